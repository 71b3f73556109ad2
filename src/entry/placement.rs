//! When a swipe happened: live, late, or told by a clock that is off.
//!
//! The gateway's own clock at arrival is right to within the network's delay for a live swipe. The
//! controller's clock is right to within its skew, which is estimated for each door as the *least*
//! difference of recent swipes: a message can be delayed on its way but never arrive early. The skew
//! is held against our monotonic clock, so that setting our wall clock changes nothing.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::time::{WallTime, signed_ns};

/// Swipes remembered for a door's skew.
const SAMPLES_MAX: usize = 16;
/// Samples that make a skew known.
const SAMPLES_MIN: usize = 3;
/// A delay up to this is the network's, and the swipe is live.
const LIVE_DELAY_MAX: Duration = Duration::from_secs(5);
/// How much slower than ours a controller's clock may run, in millionths: what an older swipe told
/// of it counts for so much later, or its drift since would be taken for a delay.
const SLOW_PPM_MAX: i64 = 100;

/// How the times of one door's controller compare with ours.
#[derive(Clone, Debug, Default)]
pub(super) struct SkewEstimate {
    /// Recent swipes, oldest first: when each arrived, and the controller's time of it.
    samples: VecDeque<(Instant, WallTime)>,
}

impl SkewEstimate {
    /// Takes in one swipe's two times.
    pub(super) fn observe(&mut self, arrived: Instant, said: WallTime) {
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back((arrived, said));
    }

    /// Forgets everything: the controller's clock was set.
    pub(super) fn reset(&mut self) {
        self.samples.clear();
    }

    /// How much longer than the least delayed of the recent ones a swipe was under way that the
    /// controller dates `said`, in ns; negative: it was faster. `None` before three swipes.
    pub(super) fn delay_ns(&self, arrived: Instant, said: WallTime) -> Option<i64> {
        if self.samples.len() < SAMPLES_MIN {
            return None;
        }
        let longer = self.samples.iter().map(|(then, said_then)| {
            let ours_ns = signed_ns(arrived, *then);
            let drift_ns = ours_ns.max(0) / 1_000_000 * SLOW_PPM_MAX;
            ours_ns
                .saturating_sub(said.ns_since(*said_then))
                .saturating_sub(drift_ns)
        });
        longer.max()
    }
}

/// What the placement of a swipe rests on.
#[derive(Clone, Copy, Debug)]
pub(super) struct SwipeTimes {
    /// Our wall clock at arrival.
    pub received: WallTime,
    /// The controller's, if it said.
    pub said: Option<WallTime>,
    /// How long it was under way by that clock, if its skew is known ([`SkewEstimate::delay_ns`]).
    pub delay_ns: Option<i64>,
    /// Largest difference at which an unknown skew is taken for none.
    pub agree_within: Duration,
    /// Could the message have waited somewhere: was the link to the broker or the door's own link
    /// made anew since the time it claims, or did the broker keep it (retained)?
    pub may_have_waited: bool,
}

/// When a swipe happened, by our wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// Just now, that long before it arrived (at most a few seconds).
    Live {
        /// From the swipe to its arrival.
        delay: Duration,
    },
    /// At another time: it waited on its way, and the controller's skew is known.
    Late {
        /// When it happened, by our clock.
        at: WallTime,
    },
    /// The controller's clock cannot be reconciled with ours; arrival is taken.
    Disagrees {
        /// `received - said`, in ns.
        difference_ns: i64,
    },
}

/// Places a swipe.
pub(super) fn place(times: &SwipeTimes) -> Placement {
    let Some(said) = times.said else {
        return Placement::Live {
            delay: Duration::ZERO,
        };
    };
    let difference_ns = times.received.ns_since(said);
    let agree_ns = i64::try_from(times.agree_within.as_nanos()).unwrap_or(i64::MAX);
    let Some(delay_ns) = times.delay_ns else {
        return if difference_ns.abs() <= agree_ns {
            Placement::Live {
                delay: duration(difference_ns),
            }
        } else if times.may_have_waited && difference_ns > 0 {
            // A message of that age out of a queue: taking arrival would show the wrong people.
            Placement::Late { at: said }
        } else {
            Placement::Disagrees { difference_ns }
        };
    };
    let delay = duration(delay_ns);
    if delay <= LIVE_DELAY_MAX {
        Placement::Live { delay }
    } else if times.may_have_waited {
        Placement::Late {
            at: times.received.minus(delay),
        }
    } else {
        Placement::Disagrees { difference_ns }
    }
}

fn duration(ns: i64) -> Duration {
    Duration::from_nanos(u64::try_from(ns).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_S: i64 = 3_600;

    fn at(ms: i64) -> WallTime {
        WallTime::from_unix_ms(1_800_000_000_000 + ms)
    }

    fn times(received_ms: i64, said_ms: i64) -> SwipeTimes {
        SwipeTimes {
            received: at(received_ms),
            said: Some(at(said_ms)),
            delay_ns: None,
            agree_within: Duration::from_secs(2),
            may_have_waited: false,
        }
    }

    fn live(ms: u64) -> Placement {
        Placement::Live {
            delay: Duration::from_millis(ms),
        }
    }

    #[test]
    fn agreeing_clocks_correct_for_the_delay_and_never_for_the_future() {
        assert_eq!(place(&times(1_000, 400)), live(600));
        assert_eq!(place(&times(1_000, 1_500)), live(0));
        assert_eq!(
            place(&SwipeTimes {
                said: None,
                ..times(0, 0)
            }),
            live(0)
        );
    }

    #[test]
    fn a_controller_an_hour_off_is_placed_on_arrival_until_its_skew_is_known() {
        let off = times(0, -HOUR_S * 1_000);
        assert!(matches!(place(&off), Placement::Disagrees { .. }));
        let mut skew = SkewEstimate::default();
        let start = Instant::now();
        let arrived = |ms: u64| start + Duration::from_millis(ms);
        for delay_ms in [30, 10, 20] {
            assert_eq!(skew.delay_ns(start, at(0)), None);
            skew.observe(arrived(delay_ms), at(-HOUR_S * 1_000));
        }
        let known = SwipeTimes {
            delay_ns: skew.delay_ns(arrived(510), at(-HOUR_S * 1_000)),
            ..times(510, -HOUR_S * 1_000)
        };
        let Placement::Live { delay } = place(&known) else {
            panic!("{:?}", place(&known));
        };
        // Less what a slow clock may have lost in half a second.
        assert!(
            (499_950..=500_000).contains(&delay.as_micros()),
            "{delay:?}"
        );
    }

    #[test]
    fn a_slow_clock_at_a_quiet_door_is_no_delay() {
        // 50 ppm slow, a swipe every two hours: 0.36 s between two, 5 s over 16.
        let mut skew = SkewEstimate::default();
        let start = Instant::now();
        for n in 0..40u64 {
            let ours_s = n * 7_200;
            let arrived = start + Duration::from_secs(ours_s);
            let slow_ms = i64::try_from(ours_s * 50 / 1_000).unwrap();
            let said = at(i64::try_from(ours_s).unwrap() * 1_000 - slow_ms);
            assert!(skew.delay_ns(arrived, said).is_none_or(|ns| ns <= 0), "{n}");
            skew.observe(arrived, said);
        }
    }

    #[test]
    fn a_swipe_out_of_a_queue_is_placed_in_the_past() {
        let waited = SwipeTimes {
            may_have_waited: true,
            ..times(600_000, 0)
        };
        assert_eq!(place(&waited), Placement::Late { at: at(0) });
        let known = SwipeTimes {
            delay_ns: Some(601_000_000_000),
            ..waited
        };
        assert_eq!(place(&known), Placement::Late { at: at(-1_000) });
    }

    #[test]
    fn a_clock_set_back_on_a_standing_link_is_not_a_late_swipe() {
        let set_back = SwipeTimes {
            delay_ns: Some(HOUR_S * 1_000_000_000),
            ..times(0, -HOUR_S * 1_000)
        };
        assert!(matches!(place(&set_back), Placement::Disagrees { .. }));
    }
}

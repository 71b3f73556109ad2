//! When a swipe happened: live, late, or told by a clock that is off.
//!
//! The gateway's own clock at arrival is right to within the network's delay for a live swipe. The
//! controller's clock is right to within its skew, which is learnt for each door as the *least*
//! difference of recent swipes: a message can be delayed on its way but never arrive early. It is held
//! against our monotonic clock, so that setting our wall clock is no delay and teaches nothing.
//!
//! A swipe that comes later than the skew allows has waited somewhere, or its controller's clock was set
//! back. Which of the two decides which people a clip shows, so it rests on evidence: what the link tells
//! ([`SwipeTimes::may_have_waited`]), and where it tells nothing, that claims within a backlog rise while
//! those of a clock that was set back fall once and then keep their new difference.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::swipe::SwipeKey;
use crate::time::{WallTime, signed_ns};

/// Swipes remembered for a door's skew.
const SAMPLES_MAX: usize = 16;
/// Samples that make a skew known.
const SAMPLES_MIN: usize = 3;
/// A delay up to this is the network's, and the swipe is live.
const LIVE_DELAY_MAX: Duration = Duration::from_secs(5);
/// How much slower than ours a controller's clock may run, in millionths: what an older swipe told
/// of it counts for so much later, or its drift since would be taken for a delay of a live swipe.
const SLOW_PPM_MAX: i64 = 100;
/// Swipes of one door that arrive within this, but claim to be further apart, come out of a backlog.
const BURST: Duration = Duration::from_secs(5);

/// How the times of one door's controller compare with ours.
#[derive(Clone, Debug, Default)]
pub(super) struct SkewEstimate {
    /// Recent live swipes, oldest first.
    samples: VecDeque<Times>,
    /// The latest swipes, oldest first: who comes again is nothing new.
    recent: VecDeque<SwipeKey>,
    /// The two times of the latest swipe that was new.
    last: Option<Times>,
    /// The latest one that was taken to have waited although its link told of nothing.
    suspect: Option<Times>,
}

/// When a swipe arrived and when it claims to have happened.
#[derive(Clone, Copy, Debug)]
struct Times {
    arrived: Instant,
    received: WallTime,
    said: WallTime,
}

impl Times {
    /// By the wall clocks.
    fn difference_ns(self) -> i64 {
        self.received.ns_since(self.said)
    }

    /// How much longer than `other` it was under way, by clocks that nobody sets; negative: shorter.
    fn longer_ns(self, other: Times) -> i64 {
        let ours_ns = signed_ns(self.arrived, other.arrived);
        ours_ns.saturating_sub(self.said.ns_since(other.said))
    }
}

/// What the placement of a swipe rests on.
#[derive(Clone, Copy, Debug)]
pub(super) struct SwipeTimes<'a> {
    /// Which swipe of its door.
    pub key: &'a SwipeKey,
    /// Our monotonic clock at arrival.
    pub arrived: Instant,
    /// Our wall clock at arrival.
    pub received: WallTime,
    /// The controller's, if it said.
    pub said: Option<WallTime>,
    /// Largest difference at which an unknown skew is taken for none.
    pub agree_within: Duration,
    /// A claim longer ago than this is a wrong clock's, whatever the swipe came out of.
    pub late_max: Duration,
    /// Could the message have waited somewhere: was the link to the broker or the door's own link
    /// made anew since the time it claims, or did the broker keep it (retained)?
    pub may_have_waited: bool,
    /// Would we know if the door's own link had been made anew?
    pub link_is_known: bool,
}

/// When a swipe happened, by our wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// Just now, that long before it arrived (at most a few seconds).
    Live {
        /// From the swipe to its arrival.
        delay: Duration,
    },
    /// At another time: it waited on its way.
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

impl SkewEstimate {
    /// What to add to the controller's time to get ours; `None` before three live swipes.
    pub(super) fn skew_ns(&self) -> Option<i64> {
        let last = self.last?;
        let delay_ns = self.delay_ns(last, 0)?.max(0);
        Some(last.difference_ns().saturating_sub(delay_ns))
    }

    /// How much longer than the least delayed of the recent ones a swipe was under way, in ns, if the
    /// controller's clock may run slow by `slow_ppm`; negative: less. `None` before three live swipes.
    fn delay_ns(&self, times: Times, slow_ppm: i64) -> Option<i64> {
        if self.samples.len() < SAMPLES_MIN {
            return None;
        }
        let longer = self.samples.iter().map(|sample| {
            let age_ns = signed_ns(times.arrived, sample.arrived).max(0);
            let drift_ns = age_ns / 1_000_000 * slow_ppm;
            times.longer_ns(*sample).saturating_sub(drift_ns)
        });
        longer.max()
    }

    /// Places a swipe, in the order of arrival, and learns from it.
    pub(super) fn place(&mut self, swipe: &SwipeTimes<'_>) -> Placement {
        let Some(said) = swipe.said else {
            return Placement::Live {
                delay: Duration::ZERO,
            };
        };
        let times = Times {
            arrived: swipe.arrived,
            received: swipe.received,
            said,
        };
        let is_repeated = self.recent.contains(swipe.key);
        let placement = match self.delay_ns(times, SLOW_PPM_MAX) {
            None => self.without_skew(swipe, times, is_repeated),
            Some(delay_ns) => self.with_skew(swipe, times, is_repeated, duration(delay_ns)),
        };
        if !is_repeated {
            if self.recent.len() == SAMPLES_MAX {
                self.recent.pop_front();
            }
            self.recent.push_back(swipe.key.clone());
            self.last = Some(times);
        }
        placement
    }

    fn without_skew(
        &mut self,
        swipe: &SwipeTimes<'_>,
        times: Times,
        is_repeated: bool,
    ) -> Placement {
        let has_waited = swipe.may_have_waited || is_repeated;
        let difference_ns = times.difference_ns();
        if difference_ns.unsigned_abs() <= ns(swipe.agree_within).unsigned_abs() {
            if !has_waited {
                self.observe(times);
            }
            return Placement::Live {
                delay: duration(difference_ns),
            };
        }
        let is_burst = self.last.is_some_and(|last| {
            let apart_ns = signed_ns(times.arrived, last.arrived);
            let claimed_ns = times.said.ns_since(last.said);
            apart_ns <= ns(BURST) && claimed_ns - apart_ns > ns(swipe.agree_within)
        });
        if is_burst && !has_waited {
            // Then the one before it waited too, so it said nothing of the skew.
            self.samples.pop_back();
        }
        if difference_ns > 0 && (has_waited || is_burst) {
            // A message of that age out of a queue: taking arrival would show the wrong people.
            return late(swipe, times, times.said);
        }
        if !has_waited {
            self.observe(times);
        }
        Placement::Disagrees { difference_ns }
    }

    fn with_skew(
        &mut self,
        swipe: &SwipeTimes<'_>,
        times: Times,
        is_repeated: bool,
        delay: Duration,
    ) -> Placement {
        let has_waited = swipe.may_have_waited || is_repeated;
        if delay <= LIVE_DELAY_MAX {
            if !has_waited {
                self.observe(times);
            }
            return Placement::Live { delay };
        }
        if !has_waited && self.was_set_back(swipe, times, delay) {
            // What we knew of the controller's clock is void.
            self.samples.clear();
            self.suspect = None;
            self.observe(times);
            return Placement::Disagrees {
                difference_ns: times.difference_ns(),
            };
        }
        if !has_waited {
            self.suspect = Some(times);
        }
        // Of a swipe that did wait, the likeliest is that the clock kept its pace.
        let delay = self.delay_ns(times, 0).map_or(delay, duration);
        late(swipe, times, times.received.minus(delay))
    }

    /// Was the controller's clock set back, or did this swipe wait on a link of which nothing is known?
    fn was_set_back(&self, swipe: &SwipeTimes<'_>, times: Times, delay: Duration) -> bool {
        let slack_ns = ns(swipe.agree_within);
        let falls = self
            .last
            .is_some_and(|last| last.said.ns_since(times.said) > slack_ns);
        let keeps_its_difference = self.suspect.is_some_and(|suspect| {
            let differs_ns = times.longer_ns(suspect);
            let apart_ns = signed_ns(times.arrived, suspect.arrived);
            differs_ns.abs() <= slack_ns && apart_ns > ns(LIVE_DELAY_MAX)
        });
        swipe.link_is_known || delay > swipe.late_max || falls || keeps_its_difference
    }

    fn observe(&mut self, times: Times) {
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(times);
    }
}

fn late(swipe: &SwipeTimes<'_>, times: Times, at: WallTime) -> Placement {
    if times.received.since(at) <= swipe.late_max {
        Placement::Late { at }
    } else {
        Placement::Disagrees {
            difference_ns: times.difference_ns(),
        }
    }
}

fn ns(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn duration(ns: i64) -> Duration {
    Duration::from_nanos(u64::try_from(ns).unwrap_or(0))
}

#[cfg(test)]
#[path = "placement_tests.rs"]
mod tests;

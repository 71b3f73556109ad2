//! A camera's media clock against ours.

use tokio::time::Instant;

use crate::time::{add_ns, ns_to_ticks, signed_ns, ticks_to_ns};

/// A camera's media clock against ours.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeLine {
    anchor: Instant,
    anchor_ticks: i64,
    rate_ppm: i32,
}

impl TimeLine {
    /// Media time `ticks` is now, and runs as fast as ours.
    pub(super) fn new(now: Instant, ticks: i64) -> TimeLine {
        TimeLine {
            anchor: now,
            anchor_ticks: ticks,
            rate_ppm: 0,
        }
    }

    /// The same time line, from `now` on faster by `ppm`.
    pub(super) fn with_rate(self, now: Instant, ppm: i32) -> TimeLine {
        TimeLine {
            anchor: now,
            anchor_ticks: self.ticks_at(now),
            rate_ppm: ppm,
        }
    }

    pub(super) fn ticks_at(&self, now: Instant) -> i64 {
        let ns = i128::from(signed_ns(now, self.anchor)) * self.rate() / 1_000_000;
        let ns = i64::try_from(ns).unwrap_or(i64::MAX);
        self.anchor_ticks.saturating_add(ns_to_ticks(ns))
    }

    pub(super) fn instant_of(&self, ticks: i64) -> Instant {
        let ns = ticks_to_ns(ticks.saturating_sub(self.anchor_ticks));
        let ns = i128::from(ns) * 1_000_000 / self.rate();
        add_ns(self.anchor, i64::try_from(ns).unwrap_or(i64::MAX))
    }

    fn rate(&self) -> i128 {
        1_000_000 + i128::from(self.rate_ppm)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_fast_crystal_changes_the_rate_and_not_the_place() {
        let now = Instant::now();
        let line = TimeLine::new(now, 900);
        let later = now + Duration::from_secs(10);
        let fast = line.with_rate(later, 1_000);
        assert_eq!(fast.ticks_at(later), line.ticks_at(later));
        let end = later + Duration::from_secs(100);
        assert_eq!(fast.ticks_at(end) - fast.ticks_at(later), 9_009_000);
        let back = fast.instant_of(fast.ticks_at(end));
        assert!(signed_ns(back, end).abs() < 20_000);
    }
}

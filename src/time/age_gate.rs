//! Ages by a wall clock that may have been set: nothing is deleted because of a wrong clock.

use std::time::Duration;

use tokio::time::Instant;

use super::WallTime;

/// A wall clock that has gone this much faster than the monotonic one was set.
const CLOCK_STEP: Duration = Duration::from_secs(600);
/// How long a clock that was set forward must stand before footage is deleted by its age.
const CLOCK_TRUST_AFTER: Duration = Duration::from_secs(15 * 60);

/// Keeps a wall clock that was set forward from deleting everything by its age: it is believed only
/// once it has stood for a while.
#[derive(Debug)]
pub struct AgeGate {
    believed: WallTime,
    at: Instant,
    /// Since when the clock has been ahead of what is believed.
    ahead_since: Option<Instant>,
}

impl AgeGate {
    /// A gate that believes `wall`, which was read at `at`.
    pub fn new(wall: WallTime, at: Instant) -> AgeGate {
        AgeGate {
            believed: wall,
            at,
            ahead_since: None,
        }
    }

    /// The wall time by which ages may be reckoned now.
    pub fn trusted(&mut self, wall: WallTime, now: Instant) -> WallTime {
        let expected = self.believed.plus(now.saturating_duration_since(self.at));
        self.at = now;
        self.believed = expected.min(wall);
        if wall.since(expected) < CLOCK_STEP {
            self.ahead_since = None;
            self.believed = wall;
            return self.believed;
        }
        let since = *self.ahead_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= CLOCK_TRUST_AFTER {
            self.ahead_since = None;
            self.believed = wall;
        }
        self.believed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_forward_ages_nothing_at_once() {
        let start = Instant::now();
        let wall = WallTime::from_unix_ms(1_000_000_000);
        let day = Duration::from_secs(86_400);
        let mut gate = AgeGate::new(wall, start);
        let minute = Duration::from_secs(60);
        assert_eq!(
            gate.trusted(wall.plus(minute), start + minute),
            wall.plus(minute)
        );
        let set = wall.plus(day * 40);
        let trusted = gate.trusted(set, start + minute * 2);
        assert_eq!(trusted, wall.plus(minute * 2));
        // It was a mistake, and is set back.
        let back = wall.plus(minute * 3);
        assert_eq!(gate.trusted(back, start + minute * 3), back);
        // It was right, and stays.
        for n in 4..25 {
            gate.trusted(set.plus(minute * n), start + minute * n);
        }
        assert_eq!(gate.trusted(set, start + minute * 25), set);
    }
}

//! One warning per period for a condition that repeats, with the count of those held back.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Lets one in each `period` pass and counts the others.
#[derive(Debug)]
pub struct Throttle {
    period: Duration,
    state: Mutex<(Option<Instant>, u64)>,
}

impl Throttle {
    /// Lets the first pass, then one in each `period`.
    pub fn new(period: Duration) -> Throttle {
        Throttle {
            period,
            state: Mutex::new((None, 0)),
        }
    }

    /// `Some(n)`: say it now, and that `n` were held back since the last; `None`: hold it back.
    pub fn pass(&self) -> Option<u64> {
        let now = Instant::now();
        let mut state = self.state.lock();
        let (last, n_held) = &mut *state;
        if last.is_some_and(|at| now.saturating_duration_since(at) < self.period) {
            *n_held += 1;
            return None;
        }
        *last = Some(now);
        Some(std::mem::take(n_held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_a_period_with_the_count_held_back() {
        let throttle = Throttle::new(Duration::from_secs(1));
        assert_eq!(throttle.pass(), Some(0));
        assert_eq!(throttle.pass(), None);
        assert_eq!(throttle.pass(), None);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(throttle.pass(), Some(2));
    }
}

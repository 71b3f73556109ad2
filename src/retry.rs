//! Exponential backoff with jitter, as a validated value. Not here: who retries what.

use std::time::Duration;

/// Why a backoff cannot be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BackoffError {
    /// `min` is zero or larger than `max`.
    #[error("backoff needs 0 < min <= max")]
    Bounds,
    /// `jitter_percent` is over 100.
    #[error("backoff jitter is 0 to 100 percent")]
    Jitter,
}

/// Bounds of an exponential backoff: 0 < `min` ≤ `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    jitter_percent: u8,
}

impl Backoff {
    /// Delays double from `min` to `max`; each is shortened at random by up to `jitter_percent`.
    ///
    /// # Errors
    /// [`BackoffError::Bounds`] unless 0 < `min` ≤ `max`; [`BackoffError::Jitter`] above 100.
    ///
    /// ```
    /// use std::time::Duration;
    /// use stairgate::retry::Backoff;
    /// let backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(60), 0).unwrap();
    /// let mut delays = backoff.delays();
    /// assert_eq!(delays.next_delay(), Duration::from_millis(500));
    /// assert_eq!(delays.next_delay(), Duration::from_secs(1));
    /// delays.reset();
    /// assert_eq!(delays.next_delay(), Duration::from_millis(500));
    /// ```
    pub const fn new(
        min: Duration,
        max: Duration,
        jitter_percent: u8,
    ) -> Result<Backoff, BackoffError> {
        if min.is_zero() || min.as_nanos() > max.as_nanos() {
            return Err(BackoffError::Bounds);
        }
        if jitter_percent > 100 {
            return Err(BackoffError::Jitter);
        }
        Ok(Backoff {
            min,
            max,
            jitter_percent,
        })
    }

    /// A fresh sequence of delays starting at `min`.
    pub fn delays(self) -> Delays {
        Delays {
            backoff: self,
            n_taken: 0,
        }
    }

    /// The delay before attempt `n_failed + 1`, before jitter: `min · 2^(n_failed − 1)`, at most `max`.
    pub fn nominal(self, n_failed: u32) -> Duration {
        let factor = 2u32
            .checked_pow(n_failed.saturating_sub(1))
            .unwrap_or(u32::MAX);
        self.min
            .checked_mul(factor)
            .unwrap_or(self.max)
            .min(self.max)
    }

    /// As [`Backoff::nominal`], shortened at random by up to the jitter.
    pub fn jittered(self, n_failed: u32) -> Duration {
        let nominal = self.nominal(n_failed);
        let cut_percent = fastrand::u32(0..=u32::from(self.jitter_percent));
        nominal - nominal * cut_percent / 100
    }
}

/// A running sequence of delays; [`Delays::reset`] after a success.
#[derive(Debug, Clone)]
pub struct Delays {
    backoff: Backoff,
    n_taken: u32,
}

impl Delays {
    /// The next delay, jittered.
    pub fn next_delay(&mut self) -> Duration {
        self.n_taken = self.n_taken.saturating_add(1);
        self.backoff.jittered(self.n_taken)
    }

    /// Starts again at the smallest delay.
    pub fn reset(&mut self) {
        self.n_taken = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refused_bounds() {
        let second = Duration::from_secs(1);
        assert_eq!(
            Backoff::new(Duration::ZERO, second, 0),
            Err(BackoffError::Bounds)
        );
        assert_eq!(
            Backoff::new(second * 2, second, 0),
            Err(BackoffError::Bounds)
        );
        assert_eq!(Backoff::new(second, second, 101), Err(BackoffError::Jitter));
    }

    proptest! {
        #[test]
        fn delay_stays_within_bounds(
            min_ms in 1u64..10_000, extra_ms in 0u64..100_000, jitter in 0u8..=100, n in 0u32..5_000,
        ) {
            let max = Duration::from_millis(min_ms + extra_ms);
            let backoff = Backoff::new(Duration::from_millis(min_ms), max, jitter).unwrap();
            let delay = backoff.jittered(n);
            prop_assert!(delay <= max);
            let floor = Duration::from_millis(min_ms) * u32::from(100 - jitter) / 100;
            prop_assert!(delay >= floor);
        }
    }
}

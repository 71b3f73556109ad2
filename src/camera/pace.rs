//! How long to let packets gather before a camera is read again. Pure.
//!
//! Waking for every packet costs twice the processor time of reading in batches, and pictures that
//! nobody watches live may be seen late: the run's clock map puts them where they belong. But what has
//! gathered must fit into the socket's window, or the camera is held up; so a fast stream is read more
//! often.

use std::time::Duration;

/// Bytes that may gather: the receive buffer that Linux gives a new TCP connection
/// (`net.ipv4.tcp_rmem`, 131,072 bytes), which grows from there as it is used.
const BATCH_BYTES: u64 = 128 << 10;

/// How long the thread of all cameras rests before it looks for packets
/// (`supervise::Supervisor::on_resting_thread`): shorter than every pause, so that a stream that is watched
/// is not seen later for it. Without it, 93 paced cameras still woke a thread 2,300 times a second.
pub const REST: Duration = Duration::from_millis(10);

/// The shortest pause while nobody looks, however fast the stream.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The pause before the next read, when `n_bytes` came in the last `elapsed`: as long as the batch's
/// bytes take to come at that rate, at most `longest`, and at least 100 ms or `longest` if that is less.
pub(super) fn pause(longest: Duration, n_bytes: u64, elapsed: Duration) -> Duration {
    let elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    let fits_us = BATCH_BYTES.saturating_mul(elapsed_us) / n_bytes.max(1);
    Duration::from_micros(fits_us).max(PAUSE_MIN).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_millis(400);

    fn after(n_bytes: u64, elapsed_ms: u64) -> u128 {
        pause(LONGEST, n_bytes, Duration::from_millis(elapsed_ms)).as_millis()
    }

    #[test]
    fn an_ordinary_stream_is_read_at_leisure_and_a_fast_one_more_often() {
        // 2 and 4 Mbit/s, then 8 and 32.
        assert_eq!(after(100_000, 400), 400);
        assert_eq!(after(130_000, 260), 262);
        assert_eq!(after(131_072, 131), 131);
        assert_eq!(after(400_000, 100), 100);
    }

    #[test]
    fn silence_and_the_first_read_are_no_special_case() {
        assert_eq!(after(0, 400), 400);
        assert_eq!(after(50_000, 0), 100);
        let finer = Duration::from_millis(20);
        assert_eq!(pause(finer, 1 << 20, finer), finer);
    }
}

//! The five clocks of the gateway and the map between a camera's clock and ours.
//!
//! | clock | type | used for | never for |
//! |---|---|---|---|
//! | camera RTP clock | [`MediaTime`] within a [`RunId`] | frame order and durations | comparing cameras |
//! | monotonic | `tokio::time::Instant` | joining swipe and frames, time-outs, age | storage, display |
//! | gateway wall | [`WallTime`] | records, labels, retention | measuring durations |
//!
//! Only wall time needs a [`Clock`]; durations use `tokio::time`, which tests can pause.

mod age_gate;
mod zone;

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tokio::time::Instant;

pub use age_gate::AgeGate;
pub use zone::{DateError, TimeZone, TimeZoneError};

const NS_PER_S: i64 = 1_000_000_000;
const NS_PER_MS: i64 = 1_000_000;

/// A moment of the gateway's wall clock: UTC, whole nanoseconds since 1970.
///
/// JSON shows it as RFC 3339 with milliseconds; binary records keep all nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(i64);

/// Text that is not an RFC 3339 moment.
#[derive(Debug, Clone, thiserror::Error)]
#[error("not an RFC 3339 time (such as 2026-11-22T08:30:15.120+08:00)")]
pub struct WallTimeParseError(#[source] jiff::Error);

impl WallTime {
    /// From nanoseconds since 1970-01-01T00:00:00Z.
    pub const fn from_unix_ns(unix_ns: i64) -> WallTime {
        WallTime(unix_ns)
    }

    /// From milliseconds since 1970; saturates at the year 2262.
    pub const fn from_unix_ms(unix_ms: i64) -> WallTime {
        WallTime(unix_ms.saturating_mul(NS_PER_MS))
    }

    /// Nanoseconds since 1970.
    pub const fn unix_ns(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since 1970, rounded down.
    pub const fn unix_ms(self) -> i64 {
        self.0.div_euclid(NS_PER_MS)
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn unix_s(self) -> i64 {
        self.0.div_euclid(NS_PER_S)
    }

    /// `self + duration`, saturating at the ends of the range.
    #[must_use]
    pub fn plus(self, duration: Duration) -> WallTime {
        WallTime(self.0.saturating_add(duration_ns(duration)))
    }

    /// `self - duration`, saturating at the ends of the range.
    #[must_use]
    pub fn minus(self, duration: Duration) -> WallTime {
        WallTime(self.0.saturating_sub(duration_ns(duration)))
    }

    /// Signed nanoseconds from `earlier` to `self`; negative when `earlier` is later.
    pub const fn ns_since(self, earlier: WallTime) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Time from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: WallTime) -> Duration {
        Duration::from_nanos(u64::try_from(self.ns_since(earlier)).unwrap_or(0))
    }

    /// The UTC calendar day as `YYYY-MM-DD`.
    pub fn utc_day(self) -> String {
        self.timestamp().strftime("%Y-%m-%d").to_string()
    }

    /// `YYYYMMDDTHHMMSS.mmmZ`: safe in file names on every system, sorts by time.
    pub fn file_label(self) -> String {
        self.timestamp().strftime("%Y%m%dT%H%M%S%.3fZ").to_string()
    }

    /// As HTTP writes it (RFC 9110, 5.6.7): `Wed, 25 Nov 2026 22:33:00 GMT`.
    pub fn http_date(self) -> String {
        let format = "%a, %d %b %Y %H:%M:%S GMT";
        self.timestamp().strftime(format).to_string()
    }

    fn timestamp(self) -> jiff::Timestamp {
        jiff::Timestamp::from_nanosecond(i128::from(self.0))
            .expect("every i64 of nanoseconds lies within jiff's years -9999 to 9999")
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.timestamp().strftime("%Y-%m-%dT%H:%M:%S%.3fZ"))
    }
}

impl fmt::Debug for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for WallTime {
    type Err = WallTimeParseError;

    fn from_str(text: &str) -> Result<WallTime, WallTimeParseError> {
        let timestamp: jiff::Timestamp = text.parse().map_err(WallTimeParseError)?;
        // Years beyond 2262 do not fit; they are clamped, since nothing we store lies there.
        let ns = timestamp.as_nanosecond();
        Ok(WallTime(i64::try_from(ns).unwrap_or(if ns < 0 {
            i64::MIN
        } else {
            i64::MAX
        })))
    }
}

impl Serialize for WallTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for WallTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<WallTime, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?
                .parse()
                .map_err(de::Error::custom)
        } else {
            i64::deserialize(deserializer).map(WallTime)
        }
    }
}

/// The gateway's wall clock: the system's, or a simulated one that tests step.
#[derive(Clone, Debug)]
pub struct Clock(ClockKind);

#[derive(Clone, Debug)]
enum ClockKind {
    System,
    Simulated(Arc<Mutex<SimulatedWall>>),
}

#[derive(Debug)]
struct SimulatedWall {
    anchor_wall: WallTime,
    anchor: Instant,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Clock {
        Clock(ClockKind::System)
    }

    /// A clock that starts at `start` and runs with `tokio::time` (so it stops when that is paused).
    pub fn simulated(start: WallTime) -> Clock {
        let wall = SimulatedWall {
            anchor_wall: start,
            anchor: Instant::now(),
        };
        Clock(ClockKind::Simulated(Arc::new(Mutex::new(wall))))
    }

    /// The wall time now. May step in either direction between two calls.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the system's clock"
    )]
    pub fn now(&self) -> WallTime {
        match &self.0 {
            ClockKind::System => {
                let ns = jiff::Timestamp::now().as_nanosecond();
                WallTime(i64::try_from(ns).unwrap_or(i64::MAX))
            }
            ClockKind::Simulated(wall) => {
                let wall = wall.lock();
                wall.anchor_wall.plus(wall.anchor.elapsed())
            }
        }
    }

    /// The wall time that [`Clock::now`] would have shown at `instant`, if the clock had not been
    /// stepped since.
    pub fn at(&self, instant: Instant) -> WallTime {
        let now = Instant::now();
        let wall = self.now();
        if instant >= now {
            wall.plus(instant - now)
        } else {
            wall.minus(now - instant)
        }
    }

    /// The instant at which this clock, unstepped, shows `wall`; clamped to what an instant can hold.
    pub fn instant_of(&self, wall: WallTime) -> Instant {
        let now = Instant::now();
        let wall_now = self.now();
        if wall >= wall_now {
            now + wall.since(wall_now)
        } else {
            now.checked_sub(wall_now.since(wall)).unwrap_or(now)
        }
    }

    /// Steps a simulated clock by `ns` (negative: backwards). A system clock is left alone.
    pub fn step(&self, ns: i64) {
        if let ClockKind::Simulated(wall) = &self.0 {
            let mut wall = wall.lock();
            wall.anchor_wall = WallTime(wall.anchor_wall.0.saturating_add(ns));
        }
    }
}

/// A camera's RTP clock within one run: 90 kHz ticks (RFC 6184, RFC 7798) since the run's first frame.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct MediaTime(pub i64);

impl MediaTime {
    /// Ticks in a second.
    pub const HZ: i64 = 90_000;

    /// `self` moved by `ticks`.
    #[must_use]
    pub const fn plus_ticks(self, ticks: i64) -> MediaTime {
        MediaTime(self.0.saturating_add(ticks))
    }

    /// Ticks from `earlier` to `self`.
    pub const fn ticks_since(self, earlier: MediaTime) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Nanoseconds since the run's first frame, rounded to the nearest.
    pub const fn ns(self) -> i64 {
        ticks_to_ns(self.0)
    }
}

/// 90 kHz ticks as nanoseconds, rounded down, saturating.
pub const fn ticks_to_ns(ticks: i64) -> i64 {
    // 1 tick = 100_000 / 9 ns; i128 keeps the product exact.
    let ns = (ticks as i128) * 100_000 / 9;
    if ns > i64::MAX as i128 {
        i64::MAX
    } else if ns < i64::MIN as i128 {
        i64::MIN
    } else {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "both bounds were just checked"
        )]
        let ns = ns as i64;
        ns
    }
}

/// Nanoseconds as 90 kHz ticks, rounded to the nearest.
pub const fn ns_to_ticks(ns: i64) -> i64 {
    let scaled = (ns as i128) * 9;
    let half = if scaled < 0 { -50_000 } else { 50_000 };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the quotient is smaller than ns"
    )]
    let ticks = ((scaled + half) / 100_000) as i64;
    ticks
}

/// One RTSP session with a camera. Random, so that it never repeats whatever the clocks do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(u64);

impl RunId {
    /// A new id.
    pub fn random() -> RunId {
        RunId(fastrand::u64(1..))
    }

    /// The id as stored.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RunId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<RunId, Self::Err> {
        u64::from_str_radix(text, 16).map(RunId)
    }
}

/// Length of one bucket of a [`ClockMap`].
const CLOCK_BUCKET: Duration = Duration::from_secs(10);
/// Buckets remembered: five minutes.
const CLOCK_BUCKETS_MAX: usize = 30;
/// How much slower than ours a camera's clock may run, in millionths: crystals are good to 50, and
/// twice that covers heat and age. What an older frame told is believed the less by so much.
const CLOCK_SLOW_PPM_MAX: i64 = 100;

/// Maps a run's media time to the monotonic clock: the least delayed frame of the last five minutes
/// fixes the offset, since a frame can arrive late but never early.
///
/// So the map stays exact although frames are read in batches, jitter on the way or come in a burst
/// at connect. A camera whose crystal is off moves away from what its older frames told: a fast one's
/// newer frames seem the less delayed and win by themselves; for a slow one, what a frame told counts
/// for later the older it is. So the map never says that a picture was taken before it was, and a
/// clip never begins late.
#[derive(Debug, Clone)]
pub struct ClockMap {
    base: Instant,
    /// The least delayed frame of each bucket, oldest first; never empty after the first observation.
    buckets: VecDeque<Bucket>,
    /// The newest arrival.
    newest: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    start: Instant,
    /// `arrival - media` of its least delayed frame, in ns since the map's base.
    least_ns: i64,
    /// When that frame arrived.
    at: Instant,
}

impl Bucket {
    /// The most that `arrival - media` of an undelayed frame can be at `now`, by this bucket.
    fn most_ns(&self, now: Instant) -> i64 {
        let age_ns = duration_ns(now.saturating_duration_since(self.at));
        self.least_ns
            .saturating_add(age_ns / 1_000_000 * CLOCK_SLOW_PPM_MAX)
    }
}

impl ClockMap {
    /// An empty map; `base` is any instant near the run's start.
    pub fn new(base: Instant) -> ClockMap {
        ClockMap {
            base,
            buckets: VecDeque::with_capacity(CLOCK_BUCKETS_MAX),
            newest: base,
        }
    }

    /// Takes in that a frame of `media` was there at `arrived`. Instants must not go backwards by
    /// more than a bucket.
    pub fn observe(&mut self, media: MediaTime, arrived: Instant) {
        self.newest = self.newest.max(arrived);
        let seen = Bucket {
            start: arrived,
            least_ns: signed_ns(arrived, self.base) - media.ns(),
            at: arrived,
        };
        match self.buckets.back_mut() {
            Some(last) if arrived.saturating_duration_since(last.start) < CLOCK_BUCKET => {
                if seen.least_ns <= last.most_ns(arrived) {
                    *last = Bucket {
                        start: last.start,
                        ..seen
                    };
                }
            }
            _ => {
                if self.buckets.len() == CLOCK_BUCKETS_MAX {
                    self.buckets.pop_front();
                }
                self.buckets.push_back(seen);
            }
        }
    }

    /// When the frame of `media` would have arrived with the least delay seen; `None` before the
    /// first observation.
    pub fn instant_of(&self, media: MediaTime) -> Option<Instant> {
        let ns = self.least_ns()?.saturating_add(media.ns());
        Some(add_ns(self.base, ns))
    }

    /// The media time whose undelayed arrival is `instant`; `None` before the first observation.
    pub fn media_of(&self, instant: Instant) -> Option<MediaTime> {
        let ns = signed_ns(instant, self.base).saturating_sub(self.least_ns()?);
        Some(MediaTime(ns_to_ticks(ns)))
    }

    fn least_ns(&self) -> Option<i64> {
        let buckets = self.buckets.iter();
        buckets.map(|bucket| bucket.most_ns(self.newest)).min()
    }
}

/// Signed nanoseconds from `origin` to `instant`.
pub fn signed_ns(instant: Instant, origin: Instant) -> i64 {
    if instant >= origin {
        duration_ns(instant - origin)
    } else {
        -duration_ns(origin - instant)
    }
}

/// `instant` moved by `ns`; stays at `instant` where the platform's clock cannot go so far back.
pub fn add_ns(instant: Instant, ns: i64) -> Instant {
    let magnitude = Duration::from_nanos(ns.unsigned_abs());
    if ns >= 0 {
        instant + magnitude
    } else {
        instant.checked_sub(magnitude).unwrap_or(instant)
    }
}

fn duration_ns(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wall_time_reads_offsets_and_shows_utc() {
        let wall: WallTime = "2026-11-22T08:30:15.120+08:00".parse().unwrap();
        assert_eq!(wall.to_string(), "2026-11-22T00:30:15.120Z");
        assert_eq!(wall.file_label(), "20261122T003015.120Z");
        assert_eq!(wall.utc_day(), "2026-11-22");
        assert!("yesterday".parse::<WallTime>().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn simulated_clock_runs_and_steps() {
        let clock = Clock::simulated(WallTime::from_unix_ms(1_000));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(clock.now().unix_ms(), 3_000);
        clock.step(-3_600 * NS_PER_S);
        assert_eq!(clock.now().unix_ms(), 3_000 - 3_600_000);
        let later = Instant::now() + Duration::from_secs(5);
        assert_eq!(clock.instant_of(clock.at(later)), later);
    }

    #[tokio::test(start_paused = true)]
    async fn least_delayed_frame_fixes_the_run() {
        let base = Instant::now();
        let mut map = ClockMap::new(base);
        assert_eq!(map.instant_of(MediaTime(0)), None);
        // A burst of old frames at connect arrives at once; later frames come in real time.
        for idx in 0..25 {
            map.observe(MediaTime(idx * 3_600), base + Duration::from_secs(1));
        }
        for idx in 25..100 {
            let jitter_ms = u64::try_from(idx % 7).unwrap() * 10;
            let due = Duration::from_millis(u64::try_from(idx).unwrap() * 40 + jitter_ms);
            map.observe(MediaTime(idx * 3_600), base + due);
        }
        // Up to 6 frames ago a frame came without delay; in that time a slow camera loses 24 us.
        let at = map.instant_of(MediaTime(3_600 * 10)).unwrap();
        let late_ns = signed_ns(at, base + Duration::from_millis(400));
        assert!((0..=24_000).contains(&late_ns), "{late_ns}");
        let media = map.media_of(base + Duration::from_secs(2)).unwrap();
        assert!((179_997..=180_000).contains(&media.0), "{media:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_camera_50_ppm_off_is_mapped_within_2_ms_over_a_day_and_never_early() {
        for ppm in [-50i64, 50] {
            let base = Instant::now();
            let mut map = ClockMap::new(base);
            for second in 0..86_400i64 {
                let arrived = base + Duration::from_secs(second.unsigned_abs());
                let media = MediaTime(second * 90_000 + second * 90_000 * ppm / 1_000_000);
                map.observe(media, arrived);
                let error_ns = signed_ns(map.instant_of(media).unwrap(), arrived);
                // A tick is 11 us.
                assert!(
                    (-12_000..=2 * NS_PER_MS).contains(&error_ns),
                    "{ppm} ppm, {second} s: {error_ns} ns"
                );
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_camera_on_a_bad_network_is_never_mapped_early() {
        let base = Instant::now();
        let mut map = ClockMap::new(base);
        for second in 0..3_600i64 {
            // Only one frame in 100 comes without delay, all others 40 ms late.
            let delay_ms = if second % 100 == 0 { 0 } else { 40 };
            let taken = base + Duration::from_secs(second.unsigned_abs());
            let media = MediaTime(second * 90_000 - second * 90_000 * 50 / 1_000_000);
            map.observe(media, taken + Duration::from_millis(delay_ms));
            let error_ns = signed_ns(map.instant_of(media).unwrap(), taken);
            let range = -12_000..=11 * NS_PER_MS;
            assert!(range.contains(&error_ns), "{second} s: {error_ns} ns");
        }
    }

    proptest! {
        #[test]
        fn ticks_survive_the_round_trip(ticks in -1_000_000_000_000i64..1_000_000_000_000) {
            prop_assert_eq!(ns_to_ticks(ticks_to_ns(ticks)), ticks);
        }

        #[test]
        fn wall_time_text_keeps_milliseconds(ms in -1_000_000_000_000i64..4_000_000_000_000) {
            let wall = WallTime::from_unix_ms(ms);
            prop_assert_eq!(wall.to_string().parse::<WallTime>().unwrap(), wall);
        }
    }
}

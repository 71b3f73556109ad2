//! How long each camera was there: looked at once a second, kept by camera and hour, for the figures of a
//! year's quarter. Nothing of what a camera shows is in it.
//!
//! What was seen since the last write is in memory only; a crash loses a minute of it, which then counts
//! as not looked at, not as an outage.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::camera::Cameras;
use crate::domain::id::CameraId;
use crate::domain::uptime::{CameraHour, HOUR_S};
use crate::store::{Store, StoreError, Txn, tables};
use crate::time::{Clock, WallTime};

/// How long it is kept: a quarter of a year, 200 cameras in 440,000 small rows.
pub const KEPT: Duration = Duration::from_secs(92 * 86_400);
/// How often all cameras are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks from write to write.
const LOOKS_PER_WRITE: u32 = 60;
/// Seconds that a camera has to come up after the gateway's start before it counts as away: all are
/// dialled within a minute.
const STARTING_S_MAX: u32 = 60;
/// Rows removed in one transaction, at most.
const REMOVED_AT_ONCE_MAX: usize = 1_000;

/// What was seen since the last write.
#[derive(Debug, Default)]
struct Tally {
    hours: BTreeMap<(WallTime, CameraId), CameraHour>,
    /// How each camera is.
    cameras: BTreeMap<CameraId, Standing>,
}

/// How a camera is, by the looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Not there yet since the gateway began, for so many seconds.
    Starting(u32),
    Up,
    /// Away for so many seconds.
    Away(u32),
}

impl Tally {
    /// Takes in one look, a second after the one before.
    fn look(&mut self, at: WallTime, cameras: impl Iterator<Item = (CameraId, bool)>) {
        let hour = hour_of(at);
        let before = std::mem::take(&mut self.cameras);
        for (camera, is_up) in cameras {
            let was = before.get(&camera).copied();
            let now = match was.unwrap_or(Standing::Starting(0)) {
                _ if is_up => Standing::Up,
                Standing::Starting(s) if s < STARTING_S_MAX => Standing::Starting(s + 1),
                Standing::Starting(_) | Standing::Up => Standing::Away(1),
                Standing::Away(s) => Standing::Away(s.saturating_add(1)),
            };
            // A camera that is no longer configured is forgotten.
            self.cameras.insert(camera.clone(), now);
            let mut seen = CameraHour {
                seen_s: 1,
                ..CameraHour::default()
            };
            match now {
                // That the gateway was away is no outage of the camera.
                Standing::Starting(_) => continue,
                Standing::Up => seen.up_s = 1,
                Standing::Away(s) => {
                    seen.n_outages = u32::from(s == 1);
                    seen.longest_s = s;
                }
            }
            self.hours.entry((hour, camera)).or_default().add(&seen);
        }
    }
}

/// The beginning of the hour in which `at` lies, in UTC. Every time zone in use is a whole number of
/// quarter hours away; figures are of whole days.
fn hour_of(at: WallTime) -> WallTime {
    let seconds = i64::from(HOUR_S);
    WallTime::from_unix_ns(at.unix_s().div_euclid(seconds) * seconds * 1_000_000_000)
}

/// Who looks, and what was seen. Cheap to clone; clones are one.
#[derive(Clone, Debug)]
pub struct Uptime {
    store: Store,
    clock: Clock,
    tally: Arc<Mutex<Tally>>,
}

impl Uptime {
    /// Nothing was seen yet.
    pub fn new(store: Store, clock: Clock) -> Uptime {
        Uptime {
            store,
            clock,
            tally: Arc::default(),
        }
    }

    /// Looks at all `cameras` until `stop`, then writes what is left.
    ///
    /// # Errors
    /// [`StoreError`] when a write fails.
    pub async fn watch(self, cameras: Cameras, stop: CancellationToken) -> Result<(), StoreError> {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        // What was missed was not seen.
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut n_looks = 0;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return self.write().await,
                _ = looks.tick() => {}
            }
            let feeds = cameras.feeds();
            let states = feeds.iter().map(|feed| {
                let is_up = feed.ticks().borrow().streaming;
                (feed.camera().clone(), is_up)
            });
            self.tally.lock().look(self.clock.now(), states);
            n_looks += 1;
            if n_looks >= LOOKS_PER_WRITE {
                n_looks = 0;
                self.write().await?;
            }
        }
    }

    async fn write(&self) -> Result<(), StoreError> {
        let hours = self.tally.lock().hours.clone();
        let limit = hour_of(self.clock.now().minus(KEPT));
        let written = hours.clone();
        let work = move |txn: &mut Txn<'_>| {
            for (key, more) in hours {
                let mut hour = txn.get(tables::CAMERA_HOURS, &key)?.unwrap_or_default();
                hour.add(&more);
                txn.put(tables::CAMERA_HOURS, &key, &hour)?;
            }
            let oldest = txn.scan(tables::CAMERA_HOURS, &(), REMOVED_AT_ONCE_MAX)?;
            for (key, _) in oldest.into_iter().take_while(|((at, _), _)| *at < limit) {
                txn.delete(tables::CAMERA_HOURS, &key);
            }
            Ok(())
        };
        self.store.write(work).await?;
        // One task looks and writes, so nothing was seen meanwhile.
        let hours = &mut self.tally.lock().hours;
        hours.retain(|key, _| !written.contains_key(key));
        Ok(())
    }

    /// How each camera was in the hours of `from` to `to`, those at both ends whole. Reads many small rows:
    /// call it where blocking is allowed.
    ///
    /// # Errors
    /// [`StoreError`] when rows cannot be read.
    pub fn read(
        &self,
        from: WallTime,
        to: WallTime,
    ) -> Result<BTreeMap<CameraId, CameraUptime>, StoreError> {
        let mut all: BTreeMap<CameraId, CameraUptime> = BTreeMap::new();
        let from = hour_of(from);
        // A write in this moment may have a part of a minute counted twice or not at all.
        for ((at, camera), hour) in self.tally.lock().hours.clone() {
            if at >= from && at < to {
                all.entry(camera).or_default().add(hour);
            }
        }
        for row in self.store.scan(tables::CAMERA_HOURS, &()) {
            let ((at, camera), hour) = row?;
            if at >= to {
                break;
            }
            if at >= from {
                all.entry(camera).or_default().add(hour);
            }
        }
        Ok(all)
    }
}

/// How a camera was over a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CameraUptime {
    /// All its hours together; more than 3,600 seconds here.
    pub seen_s: u64,
    /// Of these, seconds in which its pictures came.
    pub up_s: u64,
    /// Outages that began.
    pub n_outages: u64,
    /// The longest, in seconds.
    pub longest_s: u32,
}

impl CameraUptime {
    fn add(&mut self, hour: CameraHour) {
        self.seen_s += u64::from(hour.seen_s);
        self.up_s += u64::from(hour.up_s);
        self.n_outages += u64::from(hour.n_outages);
        self.longest_s = self.longest_s.max(hour.longest_s);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreOptions;
    use crate::supervise::Supervisor;

    fn at(s: i64) -> WallTime {
        WallTime::from_unix_ns(s * 1_000_000_000)
    }

    fn camera() -> CameraId {
        CameraId::new("c1").unwrap()
    }

    fn look(tally: &mut Tally, seconds: std::ops::Range<i64>, is_up: bool) {
        for s in seconds {
            tally.look(at(s), std::iter::once((camera(), is_up)));
        }
    }

    #[test]
    fn an_outage_over_the_hour_is_one_and_has_its_whole_length() {
        let mut tally = Tally::default();
        look(&mut tally, 3_000..3_500, true);
        look(&mut tally, 3_500..3_900, false);
        look(&mut tally, 3_900..4_000, true);
        let hour = |s| tally.hours[&(at(s), camera())];
        let (first, second) = (hour(0), hour(3_600));
        assert_eq!((first.seen_s, first.up_s, first.n_outages), (600, 500, 1));
        assert_eq!(first.longest_s, 100);
        assert_eq!((second.seen_s, second.up_s), (400, 100));
        assert_eq!((second.n_outages, second.longest_s), (0, 400));
    }

    #[test]
    fn a_start_of_the_gateway_is_no_outage_and_a_camera_that_never_comes_is_one() {
        let mut tally = Tally::default();
        look(&mut tally, 0..5, false);
        look(&mut tally, 5..10, true);
        let hour = tally.hours[&(at(0), camera())];
        assert_eq!((hour.seen_s, hour.up_s, hour.n_outages), (5, 5, 0));
        let mut tally = Tally::default();
        look(&mut tally, 0..100, false);
        let hour = tally.hours[&(at(0), camera())];
        assert_eq!((hour.seen_s, hour.up_s), (40, 0));
        assert_eq!((hour.n_outages, hour.longest_s), (1, 40));
    }

    #[tokio::test]
    async fn hours_are_added_up_kept_for_their_time_and_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions {
            path: dir.path().join("store"),
        };
        let mut registry = crate::telemetry::registry();
        let store = Store::open(&options, &Supervisor::new(), &mut registry).unwrap();
        let clock = Clock::simulated(at(250));
        let uptime = Uptime::new(store.clone(), clock);
        for from in [0, 100] {
            look(&mut uptime.tally.lock(), from..from + 100, true);
            uptime.write().await.unwrap();
        }
        // Also what is not written yet.
        look(&mut uptime.tally.lock(), 200..250, false);
        let read = |from, to| uptime.read(from, to).unwrap();
        let found = read(at(1_000), at(3_600));
        let expected = CameraUptime {
            seen_s: 250,
            up_s: 200,
            n_outages: 1,
            longest_s: 50,
        };
        assert_eq!(found[&camera()], expected);
        uptime.write().await.unwrap();
        assert_eq!(read(at(1_000), at(3_600)), found);
        assert!(read(at(3_600), at(9_000)).is_empty());
        assert_eq!(crate::store::verify(&store).unwrap(), []);

        let later = at(7_200).plus(KEPT);
        let uptime = Uptime::new(store.clone(), Clock::simulated(later));
        uptime.write().await.unwrap();
        assert!(uptime.read(at(0), later).unwrap().is_empty());
        store.close().await;
    }
}

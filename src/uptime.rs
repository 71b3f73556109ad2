//! How long each camera was there: looked at once a second, kept by camera and hour, for the figures of a
//! year's quarter. Nothing of what a camera shows is in it.
//!
//! What was seen since the last write is in memory only; a crash loses a minute of it, which then counts
//! as not looked at, not as an outage.

use std::collections::BTreeMap;
use std::time::Duration;

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
/// Rows removed in one transaction, at most.
const REMOVED_AT_ONCE_MAX: usize = 1_000;

/// What was seen since the last write.
#[derive(Debug, Default)]
struct Tally {
    hours: BTreeMap<(WallTime, CameraId), CameraHour>,
    /// Seconds for which each camera that is away has been so; a camera that was never there counts from
    /// the first look.
    away: BTreeMap<CameraId, u32>,
}

impl Tally {
    /// Takes in one look, a second after the one before.
    fn look(&mut self, at: WallTime, cameras: impl Iterator<Item = (CameraId, bool)>) {
        let hour = hour_of(at);
        let mut away = BTreeMap::new();
        for (camera, is_up) in cameras {
            let mut seen = CameraHour {
                seen_s: 1,
                up_s: u32::from(is_up),
                ..CameraHour::default()
            };
            if !is_up {
                let before = self.away.get(&camera).copied().unwrap_or(0);
                let for_s = before.saturating_add(1);
                seen.n_outages = u32::from(before == 0);
                seen.longest_s = for_s;
                away.insert(camera.clone(), for_s);
            }
            self.hours.entry((hour, camera)).or_default().add(&seen);
        }
        // A camera that is no longer configured is forgotten.
        self.away = away;
    }
}

/// The beginning of the hour in which `at` lies, in UTC. Every time zone in use is a whole number of
/// quarter hours away; figures are of whole days.
fn hour_of(at: WallTime) -> WallTime {
    let seconds = i64::from(HOUR_S);
    WallTime::from_unix_ns(at.unix_s().div_euclid(seconds) * seconds * 1_000_000_000)
}

/// Looks until `stop`, then writes what is left.
///
/// # Errors
/// [`StoreError`] when a write fails.
pub async fn watch(
    cameras: Cameras,
    store: Store,
    clock: Clock,
    stop: CancellationToken,
) -> Result<(), StoreError> {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    // What was missed was not seen.
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tally = Tally::default();
    let mut n_looks = 0;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return write(&store, &mut tally, clock.now()).await,
            _ = looks.tick() => {}
        }
        let feeds = cameras.feeds();
        let states = feeds.iter().map(|feed| {
            let is_up = feed.ticks().borrow().streaming;
            (feed.camera().clone(), is_up)
        });
        tally.look(clock.now(), states);
        n_looks += 1;
        if n_looks >= LOOKS_PER_WRITE {
            n_looks = 0;
            write(&store, &mut tally, clock.now()).await?;
        }
    }
}

async fn write(store: &Store, tally: &mut Tally, now: WallTime) -> Result<(), StoreError> {
    let hours = std::mem::take(&mut tally.hours);
    let limit = hour_of(now.minus(KEPT));
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
    store.write(work).await
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

/// How each camera was in the hours that begin from `from` on and before `to`. Reads many small rows:
/// call it where blocking is allowed.
///
/// # Errors
/// [`StoreError`] when rows cannot be read.
pub fn read(
    store: &Store,
    from: WallTime,
    to: WallTime,
) -> Result<BTreeMap<CameraId, CameraUptime>, StoreError> {
    let mut all: BTreeMap<CameraId, CameraUptime> = BTreeMap::new();
    // From the beginning of the first hour: a part of it is in the time that is asked for.
    let from = hour_of(from);
    for row in store.scan(tables::CAMERA_HOURS, &()) {
        let ((at, camera), hour) = row?;
        if at >= to {
            break;
        }
        if at < from {
            continue;
        }
        let sum = all.entry(camera).or_default();
        sum.seen_s += u64::from(hour.seen_s);
        sum.up_s += u64::from(hour.up_s);
        sum.n_outages += u64::from(hour.n_outages);
        sum.longest_s = sum.longest_s.max(hour.longest_s);
    }
    Ok(all)
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

    #[tokio::test]
    async fn hours_are_added_up_kept_for_their_time_and_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions {
            path: dir.path().join("store"),
        };
        let mut registry = crate::telemetry::registry();
        let store = Store::open(&options, &Supervisor::new(), &mut registry).unwrap();
        let mut tally = Tally::default();
        for from in [0, 100] {
            look(&mut tally, from..from + 100, true);
            write(&store, &mut tally, at(200)).await.unwrap();
        }
        look(&mut tally, 200..250, false);
        write(&store, &mut tally, at(250)).await.unwrap();
        let found = read(&store, at(1_000), at(3_600)).unwrap();
        let expected = CameraUptime {
            seen_s: 250,
            up_s: 200,
            n_outages: 1,
            longest_s: 50,
        };
        assert_eq!(found[&camera()], expected);
        assert!(read(&store, at(3_600), at(9_000)).unwrap().is_empty());
        assert_eq!(crate::store::verify(&store).unwrap(), []);

        let later = at(7_200).plus(KEPT);
        write(&store, &mut tally, later).await.unwrap();
        assert!(read(&store, at(0), later).unwrap().is_empty());
        store.close().await;
    }
}

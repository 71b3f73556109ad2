//! A day in which every clock misbehaves: ours is set an hour forward and back in mid-clip, the camera
//! runs fast, the controller is an hour off, slow, and does not know what to do about summer time.
//!
//! Nothing may be lost, stored twice or overwritten, and what is labelled is labelled right.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::time::Duration;

use stairgate::camera::Codec;
use stairgate::clip;
use stairgate::domain::clip::{ClipOutcome, ClipState, FootageName};
use stairgate::domain::footage::FootageState;
use stairgate::domain::id::EntryId;
use stairgate::entry::remove_old;
use stairgate::mux;
use stairgate::store::{tables, verify};
use stairgate::time::{AgeGate, Clock, MediaTime, WallTime};
use tokio::time::Instant;

use super::camera::S;
use super::endless::{Endless, next_read};
use super::film::{Film, distinct, films};
use super::house::House;
use super::site::{MORNING, Site, camera, folder};
use super::time::{self, simulate};

const FPS: i64 = 10;
const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 24 * HOUR_S;
/// How wrong a label may be.
const LABEL_OFF_MAX: i64 = S / 5;
/// How long footage and entries are kept here, so that a day sees them go.
const RETENTION: Duration = Duration::from_secs(12 * 3_600);
/// How much too early something may go, or too late, when the clock was set: by an hour, and the rounds
/// of whoever clears up.
const RETENTION_OFF_MAX: Duration = Duration::from_secs(3_600 + 20 * 60);
/// The camera's clock is 50 ppm fast, the controller's 50 ppm slow.
const CAMERA_PPM: i64 = 50;
const CONTROLLER_SLOW_PPM: i64 = 50;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Swipe,
    /// Our wall clock is set by so many seconds.
    SetOurs(i64),
    /// The controller's is: at first it is an hour behind.
    SetTheirs(i64),
    /// The camera's session ends, and another begins.
    Reconnect,
    Audit,
}

/// What happens in this day, in seconds from its start: our clock is set in mid-clip four times, the
/// controller follows a summer time that ends and begins, the camera reconnects.
fn acts() -> Vec<(i64, Act)> {
    let events = [
        (3, Act::SetOurs(HOUR_S)),
        (6, Act::SetOurs(-HOUR_S)),
        (9, Act::SetOurs(-HOUR_S)),
        (12, Act::SetOurs(HOUR_S)),
        (15, Act::Reconnect),
        (18, Act::SetTheirs(-HOUR_S)),
        (21, Act::SetTheirs(HOUR_S)),
    ];
    let mut acts = Vec::new();
    for (hour, act) in events {
        let at = hour * HOUR_S;
        acts.push((at, act));
        // In mid-clip: before, between and after.
        acts.extend([-13, -4, 3, 9].map(|s| (at + s, Act::Swipe)));
    }
    acts.extend((0..DAY_S / 500).map(|n| (n * 500 + 77, Act::Swipe)));
    // When no clip is open.
    let audits = (0..24).map(|hour| (hour * HOUR_S + 1_800) / 500 * 500 + 300);
    acts.extend(audits.map(|at| (at, Act::Audit)));
    acts.sort_by_key(|(at, _)| *at);
    acts
}

/// What is known of a swipe.
#[derive(Clone, Copy, Debug)]
struct Swiped {
    id: EntryId,
    at: Instant,
    /// What our wall clock showed.
    wall: WallTime,
}

/// A footage file as it was when it was closed.
struct File {
    pictures: Range<i64>,
    sha256: String,
}

struct Day<'a> {
    house: House,
    camera: Endless<'a>,
    start: Instant,
    /// When our wall clock was set, and what it showed then.
    set: Vec<(Instant, WallTime)>,
    controller_off_s: i64,
    read_at: Instant,
    random: fastrand::Rng,
    busy_until: Instant,
    n_reads: u64,
    swiped: Vec<Swiped>,
    files: BTreeMap<FootageName, File>,
    n_gone: usize,
    n_partial: usize,
    n_judged: usize,
    n_past: usize,
    worst_label_ns: i64,
    age: AgeGate,
}

impl<'a> Day<'a> {
    async fn new(film: &'a Film) -> Day<'a> {
        let clock = Clock::simulated(MORNING);
        let site = Site::open(folder(), clock.clone(), RETENTION).await;
        let start = Instant::now();
        Day {
            house: House::new(site).await,
            camera: Endless::new(film, FPS, CAMERA_PPM, start),
            start,
            set: vec![(start, MORNING)],
            controller_off_s: -HOUR_S,
            read_at: start,
            random: fastrand::Rng::with_seed(5),
            busy_until: start,
            n_reads: 0,
            swiped: Vec::new(),
            files: BTreeMap::new(),
            n_gone: 0,
            n_partial: 0,
            n_judged: 0,
            n_past: 0,
            worst_label_ns: 0,
            age: AgeGate::new(clock.now(), start),
        }
    }

    /// The camera goes on to `instant`.
    async fn play(&mut self, instant: Instant) {
        while self.read_at <= instant {
            time::to(self.read_at).await;
            self.camera.feed(&mut self.house.site.feed);
            self.n_reads += 1;
            // While nobody's clip is open there is nothing to wait for but upkeep.
            if self.read_at < self.busy_until || self.n_reads.is_multiple_of(8) {
                time::passes(&self.house.site.store, 2).await;
            }
            self.read_at = next_read(self.read_at, &mut self.random);
        }
        time::to(instant).await;
    }

    async fn act(&mut self, act: Act) {
        let now = Instant::now();
        let clock = self.house.site.clock.clone();
        match act {
            Act::Swipe => {
                let said = self.controller_says(now);
                let wall = clock.now();
                let id = self.house.swipe(Some(said), 60).await;
                self.swiped.push(Swiped { id, at: now, wall });
                self.busy_until = now + Duration::from_secs(24);
            }
            Act::SetOurs(by_s) => {
                clock.step(by_s * S);
                self.set.push((now, clock.now()));
            }
            Act::SetTheirs(by_s) => self.controller_off_s += by_s,
            Act::Reconnect => {
                let pause = Duration::from_secs(5);
                self.camera.reconnect(pause, &mut self.house.site.feed);
            }
            Act::Audit => self.audit().await,
        }
    }

    /// The controller's wall clock: an hour off, slow, and 30 ms of network later.
    fn controller_says(&self, now: Instant) -> WallTime {
        let since_ns = i64::try_from((now - self.start).as_nanos()).unwrap();
        let slow_ns = since_ns / 1_000_000 * CONTROLLER_SLOW_PPM;
        let off_ns = since_ns - slow_ns + self.controller_off_s * S - 30_000_000;
        WallTime::from_unix_ns(MORNING.unix_ns() + off_ns)
    }

    /// What our wall clock showed at `instant`, or would have by any setting of the next 20 s: footage
    /// is labelled when it is written.
    fn walls_of(&self, instant: Instant) -> Vec<WallTime> {
        let seen = |from: &Instant| *from <= instant + Duration::from_secs(20);
        let settings = self.set.iter().filter(|(from, _)| seen(from));
        let walls = settings.map(|(from, wall)| {
            if instant >= *from {
                wall.plus(instant - *from)
            } else {
                wall.minus(*from - instant)
            }
        });
        let walls: Vec<WallTime> = walls.collect();
        walls[walls.len().saturating_sub(2)..].to_vec()
    }

    /// Checks all that was kept since the last audit, and that nothing kept before has changed.
    async fn audit(&mut self) {
        let store = self.house.site.store.clone();
        let settled = || store.scan(tables::PENDING_CLIPS, &()).next().is_none();
        time::until(&store, "all clips are settled", settled).await;
        self.read_files();
        for swiped in std::mem::take(&mut self.swiped) {
            self.check_entry(&swiped);
            self.check_past(&swiped).await;
        }
        let trusted = self
            .age
            .trusted(self.house.site.clock.now(), Instant::now());
        remove_old(&store, trusted, RETENTION).await.unwrap();
        assert_eq!(verify(&store).unwrap(), []);
    }

    /// The same window from the files alone, as for a swipe that came late or after a restart, is the
    /// same clip: never another hour of the same name. Where our clock was set in mid-clip it may be
    /// less, and nothing wrong.
    async fn check_past(&mut self, swiped: &Swiped) {
        let record = self.house.entry(swiped.id).clip().clone();
        if record.state != ClipState::Whole {
            return;
        }
        let footage = self.house.site.footage.clone();
        let outcome = footage.settle_past(&camera(), record.window).await;
        let outcome = outcome.expect("the disk is there");
        let is_near = |(at, _): &(Instant, WallTime)| {
            *at < swiped.at + Duration::from_secs(40) && swiped.at < *at + Duration::from_secs(40)
        };
        let spans = match &outcome {
            ClipOutcome::Whole(spans) => spans.as_slice(),
            ClipOutcome::Partial { spans, .. } => spans.as_slice(),
            ClipOutcome::Missed(_) => &[],
        };
        if self.set.iter().skip(1).any(is_near) {
            let is_his = |file: &FootageName| record.spans.iter().any(|span| span.file == *file);
            assert!(
                spans.iter().all(|span| is_his(&span.file)),
                "{swiped:?} {outcome:?}"
            );
        } else {
            assert!(
                matches!(outcome, ClipOutcome::Whole(_)),
                "{swiped:?} {outcome:?}"
            );
            let (live, past) = (&record.spans[0], &spans[0]);
            assert_eq!(live.file, past.file);
            let off_ticks = past.from.ticks_since(live.from).abs();
            // Labels are good to 200 ms.
            assert!(off_ticks <= 18_000, "{swiped:?} {off_ticks}");
            self.n_past += 1;
        }
    }

    fn read_files(&mut self) {
        let now = Instant::now();
        let rows: BTreeMap<_, _> = self.house.site.rows().into_iter().collect();
        let gone = |name: &FootageName| !rows.contains_key(name);
        let gone: Vec<FootageName> = self.files.keys().filter(|n| gone(n)).cloned().collect();
        for name in gone {
            let file = self.files.remove(&name).unwrap();
            let age = now - self.camera.taken_at(file.pictures.end);
            assert!(
                age + RETENTION_OFF_MAX >= RETENTION,
                "{name} went at {age:?}"
            );
            self.n_gone += 1;
        }
        for (name, record) in rows {
            let path = self.house.site.root().join(name.as_str());
            let sha256 = clip::sha256_hex(&fs::read(&path).unwrap());
            if let Some(known) = self.files.get(&name) {
                assert_eq!(known.sha256, sha256, "{name} was overwritten");
                let age = now - self.camera.taken_at(known.pictures.end);
                assert!(
                    age <= RETENTION + RETENTION_OFF_MAX,
                    "{name} is {age:?} old"
                );
                continue;
            }
            assert_eq!(record.state, FootageState::Closed, "{name}");
            let all = MediaTime(i64::MAX);
            let (_, samples) = mux::read_samples(&path, MediaTime(0), all).unwrap();
            let begins = self.instant_of_label(record.starts_at);
            let pictures = self.camera.pictures(&samples, begins);
            let taken_at = self.camera.taken_at(pictures.start);
            let walls = self.walls_of(taken_at);
            let off = |wall: &WallTime| record.starts_at.ns_since(*wall).abs();
            let off_ns = walls.iter().map(off).min().unwrap();
            assert!(
                off_ns <= LABEL_OFF_MAX,
                "{name} is labelled {off_ns} ns off"
            );
            self.worst_label_ns = self.worst_label_ns.max(off_ns);
            for (other, file) in &self.files {
                let apart =
                    file.pictures.end <= pictures.start || pictures.end <= file.pictures.start;
                assert!(apart, "{name} and {other} hold the same pictures");
            }
            self.files.insert(name, File { pictures, sha256 });
        }
    }

    /// The instant within the last hour and a half that was labelled `wall`.
    fn instant_of_label(&self, wall: WallTime) -> Instant {
        let now = Instant::now();
        let by_setting = self.set.iter().rev().map(|(from, shown)| {
            let ns = wall.ns_since(*shown);
            if ns >= 0 {
                *from + Duration::from_nanos(ns.unsigned_abs())
            } else {
                from.checked_sub(Duration::from_nanos(ns.unsigned_abs()))
                    .unwrap()
            }
        });
        let recent = |at: &Instant| *at <= now && now - *at < Duration::from_secs(5_400);
        let mut by_setting = by_setting;
        by_setting.find(recent).expect("a label of this hour")
    }

    fn check_entry(&mut self, swiped: &Swiped) {
        let entry = self.house.entry(swiped.id);
        assert_eq!(entry.received_at, swiped.wall);
        let off_ns = entry.at.ns_since(swiped.wall).abs();
        assert!(off_ns <= LABEL_OFF_MAX, "{swiped:?} is dated {}", entry.at);
        let record = entry.clip();
        let since_reconnect = |idx: &i64| {
            let again = self.camera.taken_at(*idx);
            swiped.at + Duration::from_secs(26) > again
                && swiped.at < again + Duration::from_secs(11)
        };
        if self.camera.runs.iter().any(since_reconnect) {
            assert_eq!(record.state, ClipState::Partial, "{swiped:?} {record:?}");
            self.n_partial += 1;
            return;
        }
        assert_eq!(record.state, ClipState::Whole, "{swiped:?} {record:?}");
        let from = swiped.at.checked_sub(Duration::from_secs(10)).unwrap();
        let mut shown: Option<Range<i64>> = None;
        for span in &record.spans {
            let path = self.house.site.root().join(span.file.as_str());
            let (_, samples) = mux::read_samples(&path, span.from, span.to).unwrap();
            let n_lead = samples.partition_point(|sample| sample.at < span.from);
            let file = &self.files[&span.file];
            let about = self.camera.taken_at(file.pictures.start)
                + Duration::from_nanos(span.from.ns().unsigned_abs());
            let pictures = self.camera.pictures(&samples[n_lead..], about);
            // The label of what is shown first, by the clock that dated the swipe.
            let taken_at = self.camera.taken_at(pictures.start);
            let truth = if taken_at <= swiped.at {
                swiped.wall.minus(swiped.at - taken_at)
            } else {
                swiped.wall.plus(taken_at - swiped.at)
            };
            let off_ns = span.starts_at.ns_since(truth).abs();
            assert!(off_ns <= LABEL_OFF_MAX, "{swiped:?} {span:?} {off_ns} ns");
            self.worst_label_ns = self.worst_label_ns.max(off_ns);
            shown = Some(match shown {
                None => pictures,
                Some(before) => {
                    assert_eq!(before.end, pictures.start, "{swiped:?}");
                    before.start..pictures.end
                }
            });
        }
        let shown = shown.unwrap();
        let due = self.camera.on_screen(from);
        assert!(
            shown.start <= due && due - shown.start <= 1,
            "{shown:?} {due}"
        );
        let n_shown = shown.end - shown.start;
        assert!(
            (300..=301).contains(&n_shown),
            "{swiped:?}: {n_shown} pictures"
        );
        let near = |(at, _): &(Instant, WallTime)| {
            *at < swiped.at + Duration::from_secs(20) && swiped.at < *at + Duration::from_secs(20)
        };
        if self.set.iter().skip(1).any(near) {
            let played = self.house.site.played(record);
            let numbers = played.frames.iter().map(|f| f.number.unwrap() as usize);
            let expected: Vec<usize> = shown.map(|idx| self.camera.number(idx)).collect();
            assert_eq!(numbers.collect::<Vec<_>>(), expected, "{swiped:?}");
            assert!(
                (played.duration_s - 30.0).abs() < 0.1,
                "{}",
                played.duration_s
            );
            self.n_judged += 1;
        }
    }
}

async fn day(film: &Film) {
    let mut day = Day::new(film).await;
    let acts = acts();
    let n_swipes = acts.iter().filter(|(_, act)| *act == Act::Swipe).count();
    for (s, act) in acts {
        let at = day.start + Duration::from_secs(s.unsigned_abs());
        day.play(at).await;
        day.act(act).await;
    }
    day.play(day.start + Duration::from_secs(DAY_S.unsigned_abs()))
        .await;
    day.audit().await;
    println!(
        "{n_swipes} swipes in 24 h: {} partial at the reconnect, {} judged by ffmpeg, {} found again in files alone; \
         {} files gone by age, {} kept; worst label {} us off",
        day.n_partial,
        day.n_judged,
        day.n_past,
        day.n_gone,
        day.files.len(),
        day.worst_label_ns / 1_000,
    );
    assert_eq!((day.n_partial, day.n_judged), (4, 16));
    assert!(day.n_past > 170 && day.n_gone > 60 && day.files.len() > 60);
    day.house.site.close().await;
}

#[test]
fn a_day_of_clocks_that_are_set_drift_and_disagree_loses_doubles_and_overwrites_nothing() {
    let film = &distinct(Codec::H264, &films(Codec::H264, 600, &[20])[0]);
    simulate(day(film));
}

/// A gateway dies in mid-clip, and when it comes back our clock has been set back by an hour.
async fn died_and_set_back(film: &Film) {
    let month = Duration::from_secs(30 * 86_400);
    let mut house = House::new(Site::open(folder(), Clock::simulated(MORNING), month).await).await;
    let start = Instant::now();
    let mut before = Endless::new(film, FPS, 0, start);
    let mut random = fastrand::Rng::with_seed(9);
    let mut read_at = start;
    let swiped_at = start + Duration::from_millis(25_030);
    let mut id = None;
    while read_at < swiped_at + Duration::from_secs(9) {
        if read_at > swiped_at && id.is_none() {
            time::to(swiped_at).await;
            id = Some(house.swipe(None, 60).await);
        }
        time::to(read_at).await;
        before.feed(&mut house.site.feed);
        time::passes(&house.site.store, 4).await;
        read_at = next_read(read_at, &mut random);
    }
    // What a power cut leaves: all that is on the disk now, and no more.
    let left = folder();
    copy(house.site.folder.path(), left.path());
    house.site.close().await;

    let hour_ns = HOUR_S * S;
    let wall = WallTime::from_unix_ns(MORNING.unix_ns() + 40 * S - hour_ns);
    let mut house = House::new(Site::open(left, Clock::simulated(wall), month).await).await;
    let mut after = Endless::new(film, FPS, 0, Instant::now());
    let mut read_at = Instant::now();
    let id = id.unwrap();
    for _ in 0..60 {
        time::to(read_at).await;
        after.feed(&mut house.site.feed);
        time::passes(&house.site.store, 4).await;
        read_at = next_read(read_at, &mut random);
    }
    let record = house.entry(id).clip().clone();
    // Not pending until the hour comes round again, when it would show other people.
    assert_eq!(record.state, ClipState::Partial, "{record:?}");
    let numbers = house.site.played(&record).frames.into_iter();
    let numbers: Vec<usize> = numbers.map(|f| f.number.unwrap() as usize).collect();
    let due = before.on_screen(swiped_at.checked_sub(Duration::from_secs(10)).unwrap());
    let due = before.number(due);
    assert!(
        numbers[0] == due || numbers[0] + 1 == due,
        "{} {due}",
        numbers[0]
    );
    assert!(
        numbers.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "{numbers:?}"
    );
    // The pre-roll, and what was kept of the seconds after.
    assert!(numbers.len() >= 100, "{}", numbers.len());
    assert_eq!(verify(&house.site.store).unwrap(), []);
    house.site.close().await;
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_clip_torn_by_a_crash_is_not_made_an_hour_later_when_the_clock_was_set_back() {
    let film = &distinct(Codec::H264, &films(Codec::H264, 600, &[20])[0]);
    simulate(died_and_set_back(film));
}

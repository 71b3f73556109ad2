//! A store of a year: from start to ready, and pages of entries, with 1,000,000 entries in it.
//! `cargo bench --bench gateway -- store 1000000`

use std::path::Path;
use std::time::Duration;

use crate::common::process::{Program, get};
use crate::common::site::Site;
use crate::common::{ms, quantile, runtime};
use stairgate::domain::access::{Decision, Outcome, Reason};
use stairgate::domain::card::{CardHasher, CardNumber, CardRef};
use stairgate::domain::clip::{ClipLength, ClipOutcome, ClipRecord, FootageName, Span};
use stairgate::domain::entry::Entry;
use stairgate::domain::id::{CameraId, CardholderId, DoorId, DwellingId, EntryId, StairwellId};
use stairgate::domain::place::Place;
use stairgate::domain::swipe::{ControllerResult, Direction, Method, SwipeKey};
use stairgate::store::{Store, StoreOptions, Txn, tables};
use stairgate::supervise::Supervisor;
use stairgate::time::{MediaTime, RunId, WallTime};
use tokio::time::Instant;

const N_DOORS: usize = 93;
const N_ENTRIES: u64 = 1_000_000;
/// Entries written in one transaction while the store is made.
const CHUNK: u64 = 2_000;
/// A year of entries ends about now, so that none is past its retention of a year.
const SPREAD: Duration = Duration::from_secs(360 * 86_400);
const N_PAGES: usize = 200;
const N_STARTS: usize = 6;

pub(crate) fn run(asked: &[u64]) {
    let n_entries = asked.first().copied().unwrap_or(N_ENTRIES);
    let folder = tempfile::tempdir().expect("a folder for the bench");
    let site = Site::write(folder.path(), N_DOORS, &[], "");
    let log = folder.path().join("gateway.log");
    // The first start makes the site's key, without which a store is refused.
    let mut first = Program::stairgate(&site.run_args(), &log);
    first.ready(site.web, &log);
    first.stop();

    let begun = Instant::now();
    runtime(2).block_on(fill(&folder.path().join("store"), n_entries));
    let size = folder_bytes(&folder.path().join("store"));
    println!(
        "store of {n_entries} entries: made in {:.0} s, {} MB on disk",
        begun.elapsed().as_secs_f64(),
        size / 1_000_000
    );

    let start = |crash: bool| {
        let mut gateway = Program::stairgate(&site.run_args(), &log);
        let took = gateway.ready(site.web, &log);
        if crash {
            gateway.kill();
        } else {
            gateway.stop();
        }
        took
    };
    // What a million entries have left behind in one go is read once.
    println!("first start to ready: {} ms", ms(start(false)));
    for (after, crash) in [("an ordered end", false), ("kill -9", true)] {
        let mut starts: Vec<Duration> = (0..N_STARTS).map(|_| start(crash)).collect();
        // The first of them comes after the other kind of end.
        starts.remove(0);
        starts.sort();
        println!(
            "start to ready after {after}: {} ms the best, {} ms the worst of {}",
            ms(quantile(&starts, 0)),
            ms(quantile(&starts, 100)),
            starts.len()
        );
    }

    let mut gateway = Program::stairgate(&site.run_args(), &log);
    gateway.ready(site.web, &log);
    for (what, query) in [
        ("the newest 50", "limit=50"),
        ("the newest 500", "limit=500"),
        ("50 of one door", "limit=50&door=d7"),
        ("50 of one dwelling", "limit=50&dwelling=h77"),
        ("50 refused ones", "limit=50&decision=denied"),
    ] {
        let mut times = Vec::new();
        let mut cursor = None;
        for _ in 0..N_PAGES {
            let from =
                cursor.map_or_else(String::new, |cursor: String| format!("&cursor={cursor}"));
            let begun = Instant::now();
            let (status, body) = get(site.web, &format!("/api/v1/entries?{query}{from}"))
                .expect("the gateway answers");
            times.push(begun.elapsed());
            assert_eq!(status, 200, "{body}");
            let page: serde_json::Value = serde_json::from_str(&body).expect("JSON");
            cursor = page["next_cursor"].as_str().map(str::to_owned);
        }
        times.sort();
        println!(
            "page of entries, {what}: p50 {} ms, p99 {} ms over {} pages",
            ms(quantile(&times, 50)),
            ms(quantile(&times, 99)),
            times.len()
        );
    }
    println!("memory: {} MB", gateway.usage().anonymous_bytes / 1_000_000);
    gateway.stop();
}

async fn fill(path: &Path, n_entries: u64) {
    let supervisor = Supervisor::new();
    let mut registry = stairgate::telemetry::registry();
    let options = StoreOptions {
        path: path.to_owned(),
    };
    let store = Store::open(&options, &supervisor, &mut registry).expect("the store opens");
    let now = stairgate::time::Clock::system().now();
    let step = SPREAD / u32::try_from(n_entries).unwrap_or(u32::MAX);
    let hasher = CardHasher::new(&[7; 32]);
    let run = RunId::random();
    for chunk in 0..n_entries.div_ceil(CHUNK) {
        let entries: Vec<Entry> = (chunk * CHUNK..((chunk + 1) * CHUNK).min(n_entries))
            .map(|n| {
                let back = step * u32::try_from(n_entries - n).unwrap_or(u32::MAX);
                entry(n, now.minus(back), &hasher, run)
            })
            .collect();
        let write = store.write(move |txn| entries.iter().try_for_each(|entry| put(txn, entry)));
        write.await.expect("the store takes it");
    }
    store.close().await;
}

/// One of the entries of a site: as the pipeline writes them, with a whole clip.
fn entry(n: u64, at: WallTime, hasher: &CardHasher, run: RunId) -> Entry {
    let door_idx = n % N_DOORS as u64;
    let door = DoorId::new(&format!("d{door_idx}")).expect("a slug");
    let camera = CameraId::new(&format!("c{door_idx}")).expect("a slug");
    let key = SwipeKey {
        boot: "5f3a".to_owned(),
        seq: n,
    };
    let number = CardNumber::new(&format!("{:08X}", n % 3_000)).expect("hexadecimal digits");
    let window = ClipLength::DEFAULT.around(at);
    let mut clip = ClipRecord::pending(camera.clone(), window);
    let span = Span {
        file: FootageName::new(&camera, window.from, run, u32::try_from(n).unwrap_or(0)),
        from: MediaTime(90_000),
        to: MediaTime(31 * 90_000),
        starts_at: window.from,
    };
    clip.settle(ClipOutcome::Whole(vec![span]), window.to);
    clip.sha256 = Some("0".repeat(64));
    Entry {
        id: EntryId::derive(&[door.as_str().as_bytes(), &n.to_be_bytes()]),
        place: Place::Stairwell(StairwellId::new(&format!("s{door_idx}")).expect("a slug")),
        door,
        key,
        at,
        received_at: at,
        controller_at: Some(at),
        card: Some(CardRef {
            key: hasher.key_of(&number),
            tail: number.tail(),
        }),
        dwelling: Some(DwellingId::new(&format!("h{}", n % 1_500)).expect("a slug")),
        holder: Some(CardholderId::new(&format!("p{}", n % 3_000)).expect("a slug")),
        direction: Direction::In,
        method: Method::Card,
        controller_result: ControllerResult::Granted,
        decision: Decision {
            outcome: if n.is_multiple_of(50) {
                Outcome::Denied
            } else {
                Outcome::Granted
            },
            reason: if n.is_multiple_of(50) {
                Reason::WrongPlace
            } else {
                Reason::Ok
            },
            duress: false,
        },
        clips: vec![clip],
        alerts: Vec::new(),
    }
}

fn put(txn: &mut Txn<'_>, entry: &Entry) -> Result<(), stairgate::store::StoreError> {
    let (id, at) = (entry.id, entry.received_at);
    txn.put_entry(entry)?;
    txn.put(tables::ENTRIES_BY_DOOR, &(entry.door.clone(), at, id), &())?;
    if let Some(dwelling) = &entry.dwelling {
        txn.put(
            tables::ENTRIES_BY_DWELLING,
            &(dwelling.clone(), at, id),
            &(),
        )?;
    }
    txn.put(tables::SEEN, &id, &at)
}

fn folder_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => folder_bytes(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    });
    bytes.sum()
}

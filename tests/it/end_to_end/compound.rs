//! A compound of several doors and cameras in full use, and the reckoning afterwards: every swipe is one
//! entry, every alert was taken, every footage file plays and is in the index.
//!
//! Clips are short (2 s before, 3 s after), so that many begin and end within a test.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde_json::Value;
use stairgate::domain::alert::DeliveryState;
use stairgate::domain::card::CardNumber;
use stairgate::domain::clip::ClipState;
use stairgate::domain::footage::{FootageRecord, FootageState};
use stairgate::domain::id::{CompoundId, DoorId, EntryId};
use stairgate::mux::packetise;
use stairgate::sim::cameras::{CameraFault, SimCameras, SimCamerasOptions};
use stairgate::sim::doors::{
    DoorMode, SimDoor, SimDoorOptions, SimDoors, SimDoorsOptions, SimSwipe,
};
use stairgate::sim::media::Film;
use stairgate::store::{Store, StoreOptions, tables, verify};
use stairgate::supervise::Supervisor;
use stairgate::time::Clock;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::site::{KNOWN_CARD, ROSTER, UNKNOWN_CARD};
use crate::frame_number::fixture;
use crate::harness::gateway::{self, Gateway};
use crate::harness::net::free_port;
use crate::harness::receiver::Receiver;
use crate::harness::wait::{eventually, eventually_ok};
use crate::harness::{Mosquitto, MosquittoOptions, temp_dir};

/// Swipes each second, over all doors.
pub(super) const SWIPES_PER_S: u32 = 50;
/// One swipe in so many is of a card that nobody holds, which alerts.
const UNKNOWN_EVERY: u32 = 5;
const N_DOORS: usize = 10;
const N_CAMERAS: usize = 3;
/// From the last swipe until nothing is left to do: a clip of 3 s, its settling, its alert, on a machine
/// that has other tests to run.
const CALM_WITHIN: Duration = Duration::from_secs(60);

/// Everything but the gateway: broker, cameras, doors, police, folders.
pub(super) struct Compound {
    /// Locked by whoever restarts it in mid-flow.
    pub(super) mosquitto: tokio::sync::Mutex<Mosquitto>,
    pub(super) police: Receiver,
    pub(super) dir: tempfile::TempDir,
    pub(super) doors: Vec<SimDoor>,
    mqtt: String,
    web: String,
    cameras: SimCameras,
    // Ends its doors when it is dropped.
    _doors: SimDoors,
}

/// What differs from test to test.
#[derive(Clone, Debug)]
pub(super) struct CompoundOptions {
    /// More lines of the section `[footage]`.
    pub(super) footage: &'static str,
    /// From so many alerts of a door and kind within 10 s on they are counted together.
    pub(super) flood_n_max: u32,
}

impl Default for CompoundOptions {
    fn default() -> CompoundOptions {
        CompoundOptions {
            // A machine with a full disk has the same tests.
            footage: "free_space_floor = \"1%\"",
            // More than a door's share of what comes out of a queue.
            flood_n_max: 100,
        }
    }
}

/// A swipe that the broker has taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Swiped {
    pub(super) at: Instant,
    /// Nobody holds the card.
    pub(super) is_unknown: bool,
}

/// All that the broker has taken, by the entry each must become.
pub(super) type Published = BTreeMap<EntryId, Swiped>;

impl Compound {
    /// Starts the neighbours and writes the configuration.
    pub(super) async fn start(options: &CompoundOptions) -> Compound {
        let mosquitto = Mosquitto::start(MosquittoOptions::default()).await;
        let police = Receiver::start().await;
        let supervisor = Supervisor::new();
        let mut media = packetise(&fixture("video/numbered-h264-small.mp4"), 1_400).unwrap();
        media.frames.truncate(100);
        media.duration_ticks = 100 * 3_600;
        let film: Arc<Film> = Film::new(media).unwrap();
        let cameras = SimCamerasOptions {
            n_cameras: N_CAMERAS,
            ..SimCamerasOptions::default()
        };
        let cameras = SimCameras::start(cameras, vec![film], Clock::system(), &supervisor);
        let cameras = cameras.await.unwrap();
        let port = mosquitto.addr().port();
        let sim_doors = SimDoors::start(&doors_at(port), &Clock::system(), &supervisor).unwrap();
        let doors: Vec<SimDoor> = sim_doors.all().cloned().collect();
        eventually("the doors are online", Duration::from_secs(20), || {
            doors.iter().all(SimDoor::is_online)
        })
        .await;
        let compound = Compound {
            dir: temp_dir(),
            web: format!("127.0.0.1:{}", free_port()),
            mqtt: mosquitto.url(),
            mosquitto: tokio::sync::Mutex::new(mosquitto),
            police,
            doors,
            cameras,
            _doors: sim_doors,
        };
        compound.write_files(options);
        compound
    }

    fn write_files(&self, options: &CompoundOptions) {
        std::fs::write(self.path("roster.csv"), ROSTER).unwrap();
        std::fs::write(self.path("police-secret"), "a shared secret of the test\n").unwrap();
        let (web, mqtt, police) = (&self.web, &self.mqtt, self.police.url());
        let CompoundOptions {
            footage,
            flood_n_max,
        } = options;
        let mut text = format!(
            r#"
compound = {{ id = "test-1", name = "Test Compound", time_zone = "Asia/Shanghai" }}
store = {{ path = "store" }}
roster = {{ file = "roster.csv" }}
web = {{ listen = "{web}" }}
mqtt = {{ url = "{mqtt}", client_id = "gateway" }}
outbox = {{ flood_n_max = {flood_n_max} }}

[footage]
path = "footage"
pre_roll_s = 2
post_roll_s = 3
{footage}

[[stairwell]]
id = "b03-u2"
building = "3"
unit = "2"

[[linkage]]
id = "duty-room"
kind = "webhook"
url = "{police}"
secret_file = "police-secret"
kinds = ["*"]
"#
        );
        for idx in 0..N_CAMERAS {
            let url = self.cameras.url(idx);
            write!(
                text,
                "\n[[camera]]\nid = \"c{idx}\"\nplace = \"b03-u2\"\nurl = \"{url}\"\n"
            )
            .unwrap();
        }
        for idx in 0..N_DOORS {
            let camera = idx % N_CAMERAS;
            write!(
                text,
                "\n[[door]]\nid = \"d{idx}\"\nplace = \"b03-u2\"\ncameras = [\"c{camera}\"]\n"
            )
            .unwrap();
        }
        std::fs::write(self.config(), text).unwrap();
    }

    pub(super) fn config(&self) -> PathBuf {
        self.path("gateway.toml")
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Every camera ends its connections, so that what comes next goes to new files.
    pub(super) fn reset_cameras(&self) {
        for idx in 0..N_CAMERAS {
            self.cameras.set_fault(idx, CameraFault::Reset).unwrap();
        }
    }

    /// Starts the gateway and waits until the broker keeps swipes for it: what is published before its first
    /// session goes to nobody.
    pub(super) async fn gateway(&self, envs: &[(&str, &str)]) -> Gateway {
        let mut gateway = Gateway::spawn(&self.config(), &self.web, envs);
        gateway.expect("configuration problem");
        gateway.ready().await;
        eventually("subscribed", Duration::from_secs(20), || {
            gateway.log().contains("mqtt subscribed")
        })
        .await;
        gateway
    }

    /// Swipes at all doors in turn, [`SWIPES_PER_S`], until `stop`; returns when the broker has taken all.
    pub(super) async fn swipe_until(&self, stop: &CancellationToken) -> Published {
        let mut published = Published::new();
        let mut under_way = FuturesUnordered::new();
        let mut timer = tokio::time::interval(Duration::from_secs(1) / SWIPES_PER_S);
        let mut n = 0;
        let one = |n: u32| {
            let door = &self.doors[n as usize % self.doors.len()];
            // By rounds, so that each door has its share of both.
            let is_unknown = (n / u32::try_from(N_DOORS).unwrap()).is_multiple_of(UNKNOWN_EVERY);
            let card = if is_unknown { UNKNOWN_CARD } else { KNOWN_CARD };
            let swipe = SimSwipe::card(CardNumber::new(card).unwrap());
            async move {
                let report = door.swipe(&swipe).await.unwrap();
                let at = report.swiped_at;
                (report.key.entry_id(door.id()), Swiped { at, is_unknown })
            }
        };
        loop {
            tokio::select! {
                biased;
                Some((entry, swiped)) = under_way.next(), if !under_way.is_empty() => {
                    published.insert(entry, swiped);
                }
                () = stop.cancelled() => break,
                _ = timer.tick() => {
                    under_way.push(one(n));
                    n += 1;
                }
            }
        }
        published.extend(under_way.collect::<Vec<_>>().await);
        assert_eq!(
            published.len(),
            n as usize,
            "each swipe has an identity of its own"
        );
        published
    }

    /// Swipes until `does` has happened; returns what was published, and what `does` gave.
    pub(super) async fn while_swiping<T>(&self, does: impl Future<Output = T>) -> (Published, T) {
        let stop = CancellationToken::new();
        let until = async {
            let value = does.await;
            stop.cancel();
            value
        };
        tokio::join!(self.swipe_until(&stop), until)
    }

    /// Waits until every published swipe is an entry with a settled clip and no alert waits any more.
    pub(super) async fn calm(&self, gateway: &Gateway, published: &Published) {
        eventually_ok("nothing is left to do", CALM_WITHIN, || async {
            let waiting = waiting_deliveries(gateway).await;
            if waiting != 0.0 {
                return Err(format!("{waiting} deliveries wait"));
            }
            let entries = entries(gateway).await;
            let of_state = |state: &str| {
                let is_so = |entry: &&Value| entry["clip"]["state"] == state;
                entries.iter().filter(is_so).count()
            };
            let (n, n_pending) = (entries.len(), of_state("pending"));
            if n < published.len() || n_pending > 0 {
                return Err(format!(
                    "{n} of {} entries, {n_pending} pending",
                    published.len()
                ));
            }
            Ok(())
        })
        .await;
    }

    /// The reckoning, once the gateway has stopped.
    pub(super) async fn reckon(&self, published: &Published) -> Reckoning {
        let config = self.config();
        let verified = gateway::run(&["verify-store", "--config", config.to_str().unwrap()]).await;
        let errors = String::from_utf8_lossy(&verified.stderr).into_owned();
        assert!(verified.status.success(), "{errors}");

        let options = StoreOptions {
            path: self.path("store"),
        };
        let mut registry = stairgate::telemetry::registry();
        let store = Store::open(&options, &Supervisor::new(), &mut registry).unwrap();
        assert_eq!(verify(&store).unwrap(), []);
        let mut reckoning = Reckoning::default();
        reckon_entries(&store, published, &mut reckoning);
        reckon_alerts(&store, &self.police.received(), published, &mut reckoning);
        reckon_footage(&store, &self.path("footage"), &mut reckoning);
        store.close().await;
        println!("{reckoning:?}");
        reckoning
    }
}

fn doors_at(port: u16) -> SimDoorsOptions {
    let door = |idx: usize| SimDoorOptions {
        id: DoorId::new(&format!("d{idx}")).unwrap(),
        credentials: None,
        mode: DoorMode::Record,
    };
    SimDoorsOptions {
        host: "127.0.0.1".to_owned(),
        port,
        tls: None,
        compound: CompoundId::new("test-1").unwrap(),
        topic_prefix: "stairgate".to_owned(),
        doors: (0..N_DOORS).map(door).collect(),
    }
}

/// What a test found in the end.
#[derive(Debug, Default)]
pub(super) struct Reckoning {
    pub(super) n_entries: usize,
    /// By state, and by reason where there is one.
    pub(super) clips: BTreeMap<String, usize>,
    /// The same of each entry.
    pub(super) clip_of: Hidden<BTreeMap<EntryId, String>>,
    pub(super) n_alerts: usize,
    /// With the repeats.
    pub(super) n_messages: usize,
    pub(super) n_files: usize,
    pub(super) n_bytes: u64,
}

/// Not printed.
#[derive(Default)]
pub(super) struct Hidden<T>(pub(super) T);

impl<T> std::fmt::Debug for Hidden<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

fn reckon_entries(store: &Store, published: &Published, reckoning: &mut Reckoning) {
    let mut found = BTreeSet::new();
    for row in store.scan(tables::ENTRIES, &()) {
        let ((_, id), entry) = row.unwrap();
        found.insert(id);
        let swiped = published.get(&id).expect("every entry was a swipe");
        assert_eq!(entry.alerts.len(), usize::from(swiped.is_unknown));
        let clip = entry.clip();
        assert_ne!(clip.state, ClipState::Pending);
        let state = serde_json::to_value(clip).unwrap();
        let mut word = clip.state.as_str().to_owned();
        if let Some(reason) = state["reason"].as_str() {
            write!(word, ": {reason}").unwrap();
        }
        for gap in &clip.gaps {
            let reason = serde_json::to_value(gap.reason).unwrap();
            let reason = reason.as_str().unwrap();
            if !word.contains(reason) {
                write!(word, " {reason}").unwrap();
            }
        }
        *reckoning.clips.entry(word.clone()).or_default() += 1;
        reckoning.clip_of.0.insert(id, word);
    }
    let lost: Vec<_> = published.keys().filter(|id| !found.contains(id)).collect();
    assert_eq!(lost, [] as [&EntryId; 0], "of {} swipes", published.len());
    reckoning.n_entries = found.len();
}

fn reckon_alerts(
    store: &Store,
    received: &[Value],
    published: &Published,
    reckoning: &mut Reckoning,
) {
    let mut messages: BTreeMap<(String, u64), &Value> = BTreeMap::new();
    for message in received {
        let id = message["id"].as_str().unwrap().to_owned();
        let key = (id, message["revision"].as_u64().unwrap());
        let first = messages.entry(key).or_insert(message);
        assert_eq!(*first, message, "one id and revision is one message");
    }
    let mut alerted = BTreeSet::new();
    for row in store.scan(tables::ALERTS, &()) {
        let (id, alert) = row.unwrap();
        alerted.extend(alert.entry);
        let key = (id.to_string(), u64::from(alert.revision));
        assert!(
            messages.contains_key(&key),
            "{} {key:?} was never received",
            alert.kind.as_str()
        );
        reckoning.n_alerts += 1;
    }
    for row in store.scan(tables::DELIVERIES, &()) {
        let ((alert, _), delivery) = row.unwrap();
        assert_eq!(delivery.state, DeliveryState::Delivered, "{alert}");
    }
    let unknown = published.iter().filter(|(_, swiped)| swiped.is_unknown);
    let unknown: BTreeSet<_> = unknown.map(|(id, _)| *id).collect();
    assert_eq!(alerted, unknown, "an alert for each unknown card");
    reckoning.n_messages = received.len();
}

/// Files and index tell the same, byte for byte, and each file plays.
fn reckon_footage(store: &Store, root: &Path, reckoning: &mut Reckoning) {
    let rows: BTreeMap<String, FootageRecord> = store
        .scan(tables::FOOTAGE, &())
        .map(Result::unwrap)
        .map(|(name, record)| (name.to_string(), record))
        .collect();
    let mut files = Vec::new();
    list(root, root, &mut files);
    let videos: Vec<&String> = files.iter().filter(|name| name.ends_with(".mp4")).collect();
    let names: BTreeSet<&String> = videos.iter().copied().collect();
    assert_eq!(
        names,
        rows.keys().collect(),
        "files on the left, the index on the right"
    );
    for name in &files {
        let video = name.replace(".json", ".mp4");
        assert!(rows.contains_key(&video), "{name} belongs to nothing");
    }
    for (name, row) in &rows {
        assert_eq!(row.state, FootageState::Closed, "{name}");
        let path = root.join(name);
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len() as u64, row.bytes, "{name}: no orphan bytes");
        let side: Value =
            serde_json::from_slice(&std::fs::read(path.with_extension("json")).unwrap()).unwrap();
        for gop in side["gops"].as_array().unwrap() {
            let from = usize::try_from(gop["offset"].as_u64().unwrap()).unwrap();
            let to = from + usize::try_from(gop["bytes"].as_u64().unwrap()).unwrap();
            assert_eq!(
                gop["sha256"],
                stairgate::clip::sha256_hex(&bytes[from..to]),
                "{name}"
            );
        }
        let played = Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(&path)
            .args(["-f", "null", "-"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&played.stderr).into_owned();
        assert!(played.status.success() && said.is_empty(), "{name}: {said}");
        reckoning.n_files += 1;
        reckoning.n_bytes += row.bytes;
    }
}

/// Every file below `folder`, by its path below `root`, but the disk's own mark.
fn list(root: &Path, folder: &Path, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(root, &path, files);
        } else if path.parent() != Some(root) {
            let below = path.strip_prefix(root).unwrap();
            files.push(below.to_str().unwrap().to_owned());
        }
    }
}

/// All entries that the API lists.
pub(super) async fn entries(gateway: &Gateway) -> Vec<Value> {
    let mut entries = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = gateway
            .get(&format!("/api/v1/entries?limit=500{cursor}"))
            .await;
        let page = page.json();
        entries.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return entries,
        }
    }
}

/// Waits until a swipe from now on has a whole clip.
pub(super) async fn new_whole_clip(gateway: &Gateway) {
    let since = serde_json::to_value(Clock::system().now()).unwrap();
    let is_so = |entry: &Value| {
        entry["received_at"].as_str() > since.as_str() && entry["clip"]["state"] == "whole"
    };
    eventually_ok("clips are kept", Duration::from_secs(45), || async {
        let page = gateway.get("/api/v1/entries?limit=500").await.json();
        let entries = page["items"].as_array().unwrap();
        let newest = entries.first().cloned();
        entries.iter().any(is_so).then_some(()).ok_or(newest)
    })
    .await;
}

async fn waiting_deliveries(gateway: &Gateway) -> f64 {
    let metrics = gateway.get("/metrics").await.text();
    let waiting = metrics.lines().find(|line| {
        line.starts_with("stairgate_outbox_deliveries{") && line.contains("state=\"waiting\"")
    });
    let value = waiting.and_then(|line| line.rsplit(' ').next());
    value.map_or(0.0, |value| value.parse().unwrap())
}

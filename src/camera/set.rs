//! All cameras of the gateway: starting, stopping, reloading, watching over them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{error, info, info_span};

use super::dial::DialBudget;
use super::feed::Feed;
use super::life::Life;
use super::metrics::CameraMetrics;
use super::options::{CameraEvent, CameraEventKind, CameraOptions, CamerasOptions};
use super::session::Source;
use super::status::CameraStatus;
use super::sub::{RING, SubStream};
use crate::domain::id::CameraId;
use crate::domain::place::Place;
use crate::error::chain;
use crate::retry::Backoff;
use crate::supervise::Supervisor;
use crate::telemetry::{Health, HealthBoard, Registry, State};
use crate::time::Clock;

/// Events that may wait for the duty room. When it is full, an event is told at a later look: it
/// stands for a state, which is still so.
pub const EVENTS_MAX: usize = 64;

/// Longest time a camera's task may take to say goodbye: TEARDOWN has 2 s of its own.
const STOP_WITHIN: Duration = Duration::from_secs(4);

/// How often all cameras are looked at.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// Delays before a camera's task begins again after a panic.
const PANIC_BACKOFF: Backoff =
    match Backoff::new(Duration::from_secs(1), Duration::from_secs(60), 30) {
        Ok(backoff) => backoff,
        Err(_) => panic!("1 s is less than 60 s"),
    };

/// All cameras. Cheap to clone; clones share them.
#[derive(Clone, Debug)]
pub struct Cameras {
    slots: Arc<Slots>,
}

/// What a reload changed; each list is sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CamerasChanged {
    /// New cameras.
    pub added: Vec<CameraId>,
    /// Cameras that are no longer configured; their feeds end.
    pub removed: Vec<CameraId>,
    /// Cameras whose options changed: dialled anew; their feeds go on.
    pub restarted: Vec<CameraId>,
}

/// The cameras and what they have in common.
#[derive(Debug)]
pub(super) struct Slots {
    options: CamerasOptions,
    clock: Clock,
    supervisor: Supervisor,
    board: HealthBoard,
    budget: Arc<DialBudget>,
    by_id: Mutex<BTreeMap<CameraId, Slot>>,
}

/// One camera's place.
#[derive(Debug)]
struct Slot {
    options: CameraOptions,
    feed: Feed,
    tasks: Supervisor,
    health: Health,
    began: Instant,
    /// What was told last; `None` at first, so that what an earlier process told is put right.
    told_offline: Option<bool>,
    told_skew: Option<bool>,
}

impl Cameras {
    /// Dials all `cameras` and keeps dialling; the receiver gets what the duty room may want to know.
    pub fn start(
        options: CamerasOptions,
        cameras: Vec<CameraOptions>,
        clock: Clock,
        supervisor: &Supervisor,
        board: &HealthBoard,
        registry: &mut Registry,
    ) -> (Cameras, mpsc::Receiver<CameraEvent>) {
        let slots = Arc::new(Slots {
            options,
            clock,
            supervisor: supervisor.group(),
            board: board.clone(),
            budget: Arc::default(),
            by_id: Mutex::default(),
        });
        registry.register_collector(Box::new(CameraMetrics(Arc::clone(&slots))));
        let cameras_set = Cameras {
            slots: Arc::clone(&slots),
        };
        cameras_set.reload(cameras);
        let (events_tx, events_rx) = mpsc::channel(EVENTS_MAX);
        let token = slots.supervisor.token();
        let watch = async move {
            let mut ticks = tokio::time::interval(WATCH_EVERY);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            loop {
                tokio::select! {
                    biased;
                    () = token.cancelled() => return,
                    _ = ticks.tick() => slots.watch(&events_tx),
                }
            }
        };
        let span = info_span!("cameras");
        cameras_set
            .slots
            .supervisor
            .spawn("cameras-watch", span, watch);
        (cameras_set, events_rx)
    }

    /// One camera's feed; `None` when it is not configured.
    pub fn feed(&self, camera: &CameraId) -> Option<Feed> {
        let by_id = self.slots.by_id.lock();
        by_id.get(camera).map(|slot| slot.feed.clone())
    }

    /// How one camera is reached, with its log-in; `None` when it is not configured.
    pub fn options(&self, camera: &CameraId) -> Option<CameraOptions> {
        let by_id = self.slots.by_id.lock();
        by_id.get(camera).map(|slot| slot.options.clone())
    }

    /// All feeds, by camera.
    pub fn feeds(&self) -> Vec<Feed> {
        self.slots.feeds()
    }

    /// How all cameras are, by camera.
    pub fn statuses(&self) -> Vec<CameraStatus> {
        self.feeds().iter().map(Feed::status).collect()
    }

    /// Where a camera is; `None` when it is not configured.
    pub fn place(&self, camera: &CameraId) -> Option<Place> {
        let by_id = self.slots.by_id.lock();
        by_id.get(camera).map(|slot| slot.options.place.clone())
    }

    /// Dials a camera's sub stream and keeps dialling until the returned session is dropped; `None` when
    /// it has none, or is not configured.
    pub fn open_sub(&self, camera: &CameraId) -> Option<SubStream> {
        let source = self.slots.sub_source(camera)?;
        let (feed, _writer) = Feed::new(camera.clone(), RING);
        let tasks = self.slots.supervisor.group();
        let life = self.slots.life(source.clone(), feed.clone());
        let span = info_span!("camera-sub", camera = %camera);
        tasks.keep("camera-sub", span, PANIC_BACKOFF, move |token| {
            let life = Arc::clone(&life);
            async move {
                life.run(token).await;
                Ok::<(), std::convert::Infallible>(())
            }
        });
        Some(SubStream {
            feed,
            source,
            tasks,
        })
    }

    /// Does the configuration have a sub stream for this camera?
    pub fn has_sub(&self, camera: &CameraId) -> bool {
        self.slots.sub_source(camera).is_some()
    }

    /// Is `sub` still what the configuration says of its camera?
    pub fn is_current(&self, sub: &SubStream) -> bool {
        self.slots.sub_source(sub.camera()).as_ref() == Some(&sub.source)
    }

    /// Makes the cameras be these: new ones are dialled, those gone are hung up, changed ones are
    /// dialled anew, the others go on undisturbed.
    pub fn reload(&self, cameras: Vec<CameraOptions>) -> CamerasChanged {
        let mut changed = CamerasChanged::default();
        let mut by_id = self.slots.by_id.lock();
        let mut old = std::mem::take(&mut *by_id);
        for options in cameras {
            let id = options.id.clone();
            let slot = match old.remove(&id) {
                Some(slot) if slot.options == options => slot,
                Some(slot) => {
                    changed.restarted.push(id.clone());
                    slot.tasks.token().cancel();
                    let before = slot.tasks.clone();
                    self.slots.open(options, Some((slot, before)))
                }
                None => {
                    changed.added.push(id.clone());
                    self.slots.open(options, None)
                }
            };
            by_id.insert(id, slot);
        }
        for (id, slot) in old {
            changed.removed.push(id.clone());
            slot.tasks.token().cancel();
            let farewell = async move { hang_up(&id, &slot.tasks).await };
            let span = info_span!("cameras");
            self.slots.supervisor.spawn("camera-stop", span, farewell);
        }
        changed.added.sort();
        changed.restarted.sort();
        changed
    }

    /// Hangs up on all cameras, within a few seconds even when none answers. Part of the ordered
    /// shutdown: ending the parent supervisor alone would not wait for the TEARDOWNs.
    pub async fn stop(&self) {
        let all: Vec<_> = {
            let by_id = self.slots.by_id.lock();
            by_id
                .iter()
                .map(|(id, slot)| (id.clone(), slot.tasks.clone()))
                .collect()
        };
        let farewells = all.iter().map(|(id, tasks)| hang_up(id, tasks));
        futures_util::future::join_all(farewells).await;
        if let Err(err) = self.slots.supervisor.shutdown(STOP_WITHIN).await {
            error!(error = %chain(&err), "cameras do not stop");
        }
        info!(n_cameras = all.len(), "cameras hung up");
    }
}

/// Ends a camera's task and waits for its TEARDOWN.
async fn hang_up(camera: &CameraId, tasks: &Supervisor) {
    if let Err(err) = tasks.shutdown(STOP_WITHIN).await {
        error!(%camera, error = %chain(&err), "camera task does not stop");
    }
}

impl Slots {
    pub(super) fn feeds(&self) -> Vec<Feed> {
        let by_id = self.by_id.lock();
        by_id.values().map(|slot| slot.feed.clone()).collect()
    }

    /// Starts a camera's task; with `before`, in the place of one whose task is ending.
    fn open(&self, options: CameraOptions, before: Option<(Slot, Supervisor)>) -> Slot {
        let id = options.id.clone();
        let tasks = self.supervisor.group();
        let (before, ending) = before.unzip();
        let feed = match &before {
            Some(slot) => slot.feed.clone(),
            None => Feed::new(id.clone(), self.options.ring).0,
        };
        let life = self.life(Source::of(&options), feed.clone());
        let span = info_span!("camera", camera = %id);
        let camera = id.clone();
        tasks.keep("camera", span, PANIC_BACKOFF, move |token| {
            let (life, ending, camera) = (Arc::clone(&life), ending.clone(), camera.clone());
            async move {
                // Many cameras have room for one session only: hang up before dialling anew.
                if let Some(ending) = ending {
                    hang_up(&camera, &ending).await;
                }
                life.run(token).await;
                Ok::<(), std::convert::Infallible>(())
            }
        });
        let (health, told_offline, told_skew) = match before {
            Some(slot) => (slot.health, slot.told_offline, slot.told_skew),
            None => (self.board.component(format!("camera/{id}")), None, None),
        };
        Slot {
            options,
            feed,
            tasks,
            health,
            began: Instant::now(),
            told_offline,
            told_skew,
        }
    }

    fn life(&self, source: Source, feed: Feed) -> Arc<Life> {
        Arc::new(Life {
            source,
            options: self.options.clone(),
            feed,
            clock: self.clock.clone(),
            budget: Arc::clone(&self.budget),
        })
    }

    fn sub_source(&self, camera: &CameraId) -> Option<Source> {
        let by_id = self.by_id.lock();
        by_id
            .get(camera)
            .and_then(|slot| Source::sub_of(&slot.options))
    }

    /// Looks at every camera: puts its state on the board and tells what is worth telling.
    fn watch(&self, events: &mpsc::Sender<CameraEvent>) {
        let now = Instant::now();
        for slot in self.by_id.lock().values_mut() {
            let ((state, reason), key_at, gop, offset_ns) = slot.feed.look(|ring, facts| {
                (
                    facts.condition(ring, now),
                    facts.newest_key_at,
                    facts.gop(),
                    facts.clock_offset_ns(),
                )
            });
            slot.health.set(state, &reason);
            let tell = |kind| {
                let event = CameraEvent {
                    camera: slot.options.id.clone(),
                    kind,
                    at: self.clock.now(),
                };
                events.try_send(event).is_ok()
            };
            let away = now.saturating_duration_since(key_at.unwrap_or(slot.began));
            let is_offline = away > self.options.offline_after + gop.unwrap_or_default();
            if is_offline && slot.told_offline != Some(true) {
                if tell(CameraEventKind::Offline { reason }) {
                    slot.told_offline = Some(true);
                }
            } else if state == State::Ok
                && !is_offline
                && slot.told_offline != Some(false)
                && tell(CameraEventKind::Online)
            {
                slot.told_offline = Some(false);
            }
            let Some(offset_ns) = offset_ns else { continue };
            let skew = Duration::from_nanos(offset_ns.unsigned_abs());
            if skew > self.options.clock_skew_max && slot.told_skew != Some(true) {
                let offset_ms = offset_ns / 1_000_000;
                if tell(CameraEventKind::ClockSkew { offset_ms }) {
                    slot.told_skew = Some(true);
                }
            } else if skew < self.options.clock_skew_max / 2
                && slot.told_skew != Some(false)
                && tell(CameraEventKind::ClockInStep)
            {
                slot.told_skew = Some(false);
            }
        }
    }
}

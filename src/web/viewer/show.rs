//! The showing half of a viewer: takes in what it wants to see, and sends what there is of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::SinkExt as _;
use futures_util::stream::SplitSink;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, MissedTickBehavior};

use super::wire::{self, HEADER_BYTES, Kind, Said, Wish};
use super::{DEAD_AFTER, End, HELLO_WITHIN, PING_EVERY, WATCHES_MAX};
use crate::domain::audit::AuditAct;
use crate::domain::id::CameraId;
use crate::live::{Plays, Shown, Watch};
use crate::web::Api;
use crate::web::access::{Action, authorise};
use crate::web::looks::{self, Grounds, Look};
use crate::web::principal::Principal;

/// How often a viewer is told how its cameras are.
const STATE_EVERY: Duration = Duration::from_secs(1);
/// Seconds for which one record of a look at a camera stands.
const RECORD_S: i64 = 3_600;
/// Looks recorded for one viewer and hour, at most: 128 cameras in the round and as many cases as an hour
/// can have; beyond it somebody writes the audit full.
const LOOKS_AN_HOUR_MAX: usize = 1_024;

/// What is shown to one viewer.
pub(super) struct Show {
    api: Api,
    principal: Principal,
    plays: Option<Plays>,
    bell: Arc<Notify>,
    views: BTreeMap<u16, View>,
    /// What was recorded this hour: which camera, for which case.
    recorded: BTreeSet<(CameraId, Option<String>)>,
    /// The hour they are of.
    recorded_hour: i64,
    began: Instant,
    pinged_at: Instant,
}

/// One camera on the viewer's screen.
struct View {
    watch: Watch,
    case: Option<String>,
    sequence: u32,
    was_up: bool,
    began: Instant,
}

type Sink = SplitSink<WebSocket, Message>;

impl Show {
    pub(super) fn new(api: Api, principal: Principal) -> Show {
        let now = Instant::now();
        api.video.metrics().viewers.inc();
        Show {
            api,
            principal,
            plays: None,
            bell: Arc::default(),
            views: BTreeMap::new(),
            recorded: BTreeSet::new(),
            recorded_hour: 0,
            began: now,
            pinged_at: now,
        }
    }

    /// Shows until the viewer is to be let go.
    pub(super) async fn run(
        &mut self,
        sink: &mut Sink,
        mut heard: mpsc::Receiver<Said>,
        heard_at: &Mutex<Instant>,
    ) -> End {
        let mut seconds = tokio::time::interval(STATE_EVERY);
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let bell = Arc::clone(&self.bell);
        loop {
            let done = tokio::select! {
                biased;
                said = heard.recv() => match said {
                    Some(said) => self.take(sink, said).await,
                    None => Err(End::Gone),
                },
                _ = seconds.tick() => {
                    let silent = heard_at.lock().elapsed();
                    self.second(sink, silent).await
                }
                () = bell.notified() => Ok(()),
            };
            let shown = match done {
                Ok(()) => self.round(sink).await,
                Err(end) => return end,
            };
            match shown {
                // There is more, but first what was said, and the time.
                Ok(true) => self.bell.notify_one(),
                Ok(false) => {}
                Err(end) => return end,
            }
        }
    }

    async fn take(&mut self, sink: &mut Sink, said: Said) -> Result<(), End> {
        let Some(plays) = self.plays else {
            let Said::Hello(plays) = said else {
                return Err(End::Breach("say hello first".to_owned()));
            };
            self.plays = Some(plays);
            return say(sink, wire::welcome(self.api.video.clock().now())).await;
        };
        match said {
            Said::Hello(_) => Err(End::Breach("hello was said already".to_owned())),
            Said::Unwatch(id) => {
                self.views.remove(&id);
                Ok(())
            }
            Said::Watch(wish) => match self.watch(wish, plays).await? {
                Ok(()) => Ok(()),
                Err(closed) => say(sink, closed).await,
            },
        }
    }

    /// Begins to show a camera; or the message that says why not.
    async fn watch(&mut self, wish: Wish, plays: Plays) -> Result<Result<(), String>, End> {
        let Wish {
            id,
            camera,
            stream,
            case,
        } = wish;
        // A number that is used again means the new camera.
        self.views.remove(&id);
        if self.views.len() >= WATCHES_MAX {
            let detail = format!("a viewer looks at {WATCHES_MAX} cameras at most");
            return Ok(Err(wire::closed(id, "too-many", &detail)));
        }
        let cameras = self.api.video.cameras();
        let placed = camera.and_then(|camera| Some((cameras.place(&camera)?, camera)));
        let Some((place, camera)) = placed else {
            return Ok(Err(gone(id)));
        };
        if authorise(&self.principal, Action::SeeLive, Some(&place)).is_err() {
            let detail = "this account may not see this camera live";
            return Ok(Err(wire::closed(id, "forbidden", detail)));
        }
        self.record(&camera, case.as_deref()).await?;
        let video = &self.api.video;
        let Some(watch) = video.watch(&camera, stream, plays, &self.bell) else {
            return Ok(Err(gone(id)));
        };
        let view = View {
            watch,
            case,
            sequence: 0,
            was_up: false,
            began: Instant::now(),
        };
        self.views.insert(id, view);
        Ok(Ok(()))
    }

    /// Records the look, once for each camera, case and hour.
    async fn record(&mut self, camera: &CameraId, case: Option<&str>) -> Result<(), End> {
        let hour = self.api.video.clock().now().unix_s().div_euclid(RECORD_S);
        if hour != self.recorded_hour {
            self.recorded.clear();
            self.recorded_hour = hour;
        }
        let look_of = (camera.clone(), case.map(str::to_owned));
        if self.recorded.contains(&look_of) {
            return Ok(());
        }
        if self.recorded.len() >= LOOKS_AN_HOUR_MAX {
            return Err(End::Breach("too many looks for one hour".to_owned()));
        }
        let look = Look {
            act: AuditAct::Live,
            target: camera.to_string(),
            place: self.api.cameras.place(camera),
            detail: String::new(),
        };
        // Who looked must be known, or nothing is shown. The cause is logged where it is met.
        let grounds = Grounds::said(case);
        let recorded = looks::record(&self.api, &self.principal, look, grounds).await;
        recorded.or(Err(End::Failed))?;
        self.recorded.insert(look_of);
        Ok(())
    }

    /// What is due each second.
    async fn second(&mut self, sink: &mut Sink, silent: Duration) -> Result<(), End> {
        if self.plays.is_none() && self.began.elapsed() >= HELLO_WITHIN {
            return Err(End::Breach("say hello first".to_owned()));
        }
        if silent >= DEAD_AFTER {
            return Err(End::Dead);
        }
        let shown: Vec<_> = self
            .views
            .values()
            .map(|view| (view.watch.camera().clone(), view.case.clone()))
            .collect();
        for (camera, case) in shown {
            self.record(&camera, case.as_deref()).await?;
        }
        if self.pinged_at.elapsed() >= PING_EVERY {
            self.pinged_at = Instant::now();
            send(sink, Message::Ping(Bytes::new())).await?;
        }
        self.state(sink).await
    }

    /// Tells how all cameras are; nothing while none is looked at.
    async fn state(&mut self, sink: &mut Sink) -> Result<(), End> {
        if self.views.is_empty() {
            return Ok(());
        }
        let now = Instant::now();
        let lines: Vec<_> = self
            .views
            .iter_mut()
            .map(|(id, view)| {
                let now_up = view.watch.what_is_up();
                view.was_up = now_up.is_up;
                let age = now_up
                    .newest_at
                    .map(|at| now.saturating_duration_since(at).as_millis());
                let age_ms = age.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX));
                wire::line(*id, age_ms, now_up.is_up)
            })
            .collect();
        say(sink, wire::state(self.api.video.clock().now(), &lines)).await
    }

    /// One piece of each camera in turn, and word of those that went or came; is there more?
    async fn round(&mut self, sink: &mut Sink) -> Result<bool, End> {
        let mut is_more = false;
        let ids: Vec<u16> = self.views.keys().copied().collect();
        for id in ids {
            let Some(view) = self.views.get_mut(&id) else {
                continue;
            };
            match view.watch.take() {
                Shown::Nothing => {}
                Shown::Gone => {
                    self.views.remove(&id);
                    say(sink, gone(id)).await?;
                }
                shown => {
                    is_more = true;
                    self.show(sink, id, shown).await?;
                }
            }
        }
        let has_changed = |view: &View| view.was_up != view.watch.what_is_up().is_up;
        if self.views.values().any(has_changed) {
            self.state(sink).await?;
        }
        Ok(is_more)
    }

    async fn show(&mut self, sink: &mut Sink, id: u16, shown: Shown) -> Result<(), End> {
        let Some(view) = self.views.get_mut(&id) else {
            return Ok(());
        };
        let (kind, bytes, arrived) = match shown {
            Shown::Nothing | Shown::Gone => return Ok(()),
            Shown::Opened(opened) => {
                let text = wire::opened(id, view.watch.camera(), &opened);
                return say(sink, text).await;
            }
            Shown::Init { bytes, arrived } => (Kind::Init, bytes, arrived),
            Shown::Picture { bytes, arrived } => (Kind::Picture, bytes, arrived),
            Shown::Fragment {
                is_key: true,
                bytes,
                arrived,
            } => (Kind::KeyFragment, bytes, arrived),
            Shown::Fragment {
                is_key: false,
                bytes,
                arrived,
            } => (Kind::Fragment, bytes, arrived),
        };
        let video = &self.api.video;
        let (metrics, clock) = (video.metrics(), video.clock());
        let head = wire::header(kind, id, view.sequence, clock.at(arrived), clock.now());
        view.sequence = view.sequence.wrapping_add(1);
        if arrived >= view.began && kind != Kind::Init {
            let latency = arrived.elapsed().as_secs_f64();
            metrics.latency_seconds.observe(latency);
        }
        metrics.sent_bytes.inc_by(bytes.len() as u64);
        // The head is of this viewer and this moment; only here are the shared bytes copied, as they
        // would be on their way into the connection anyway.
        let mut message = BytesMut::with_capacity(HEADER_BYTES + bytes.len());
        message.put_slice(&head);
        message.put_slice(&bytes);
        send(sink, Message::Binary(message.freeze())).await
    }
}

impl Drop for Show {
    fn drop(&mut self) {
        self.api.video.metrics().viewers.dec();
    }
}

fn gone(id: u16) -> String {
    wire::closed(id, "unknown-camera", "there is no such camera")
}

async fn say(sink: &mut Sink, text: String) -> Result<(), End> {
    send(sink, Message::Text(text.into())).await
}

async fn send(sink: &mut Sink, message: Message) -> Result<(), End> {
    // A connection that breaks, or takes nothing for too long (`listener`), is the viewer's going.
    sink.send(message).await.or(Err(End::Gone))
}

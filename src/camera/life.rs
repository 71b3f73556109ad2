//! The life of one camera's task: dial, drain, lose, wait, dial again.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::dial::{Delay, DialBudget, Reconnect};
use super::error::SessionError;
use super::feed::{Feed, FeedWriter};
use super::frame::{Frame, VideoParams};
use super::options::{CamerasOptions, Transport};
use super::pace;
use super::ring::{GOP_MAX, Pushed};
use super::session::{CodedFrame, Hangup, Item, Session, Source};
use super::status::{Dropped, Trouble};
use super::timeline::{Placed, Timeline};
use crate::error::{Class, chain};
use crate::time::Clock;

/// A session without frames for so long is dead.
pub const SILENCE_MAX: Duration = Duration::from_secs(10);

/// A session without a usable key frame for so long begins again, which makes most cameras send one.
const NO_KEY_FRAME_MAX: Duration = GOP_MAX;

/// Items taken in one go before others get their turn.
const DRAIN_ITEMS_MAX: usize = 512;

/// How often a session that waits for packets looks at the clock.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Longest pause between two reads of datagrams: what comes meanwhile and finds no room is lost.
const UDP_PAUSE_MAX: Duration = Duration::from_millis(100);

/// The system's receive buffer of a socket from which datagrams can be read in batches: 100 ms of a
/// key frame at 100 Mbit/s, in packets that the kernel counts with 2.3 kB each. Below it, packets are
/// read as they come.
const UDP_BATCH_BUFFER_BYTES: u64 = 2 << 20;

/// All that one camera's task needs.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) source: Source,
    pub(super) options: CamerasOptions,
    pub(super) feed: Feed,
    pub(super) clock: Clock,
    pub(super) budget: Arc<DialBudget>,
}

/// Why a session is over without anything being wrong.
struct Stopped;

impl Life {
    /// Runs until `token` is cancelled.
    pub(super) async fn run(&self, token: CancellationToken) {
        let mut reconnect = Reconnect::default();
        let mut last_reason = String::new();
        loop {
            let mut writer = self.feed.writer();
            let hangup = Hangup::new();
            let mut key_frames_from = None;
            let result = tokio::select! {
                biased;
                () = token.cancelled() => Ok(Stopped),
                result = self.session(&mut writer, &hangup, &reconnect, &mut key_frames_from) => {
                    result.map(|never| match never {})
                }
            };
            let was_up = self.feed.with_facts(|facts| facts.up);
            writer.end_run();
            hangup.done().await;
            let Err(err) = result else { return };
            let lasted = key_frames_from.map_or(Duration::ZERO, |at: Instant| at.elapsed());
            let delay = reconnect.after(&err, lasted);
            let reason = self.note_trouble(&err);
            let delay_ms = u64::try_from(delay.unwatched.as_millis()).unwrap_or(u64::MAX);
            if was_up {
                let now = self.clock.now();
                self.feed.with_facts(|facts| facts.since = Some(now));
                warn!(error = %chain(&err), delay_ms, "camera session lost");
            } else if reason != last_reason {
                warn!(error = %chain(&err), delay_ms, "camera cannot be had");
            } else {
                debug!(error = %chain(&err), delay_ms, "camera still cannot be had");
            }
            last_reason = reason;
            tokio::select! {
                biased;
                () = token.cancelled() => return,
                () = rest(&writer, delay) => {}
            }
        }
    }

    /// One session from the knock to its end, which is always an error.
    async fn session(
        &self,
        writer: &mut FeedWriter,
        hangup: &Hangup,
        reconnect: &Reconnect,
        key_frames_from: &mut Option<Instant>,
    ) -> Result<std::convert::Infallible, SessionError> {
        let permit = self
            .budget
            .dial(&self.source.url, reconnect.is_slow())
            .await?;
        let session = Session::dial(&self.source, hangup, reconnect.is_slow()).await?;
        drop(permit);
        self.feed
            .with_facts(|facts| facts.session_began(Instant::now()));
        let mut intake = Intake::new(self, writer, session);
        let ended = intake.run().await;
        *key_frames_from = intake.key_frames_from;
        ended
    }

    fn note_trouble(&self, err: &SessionError) -> String {
        let whose = format!("camera {}", self.feed.camera());
        let reason = err.advice(&whose, self.source.username.is_some());
        self.feed.with_facts(|facts| {
            facts.trouble = Some(Trouble {
                reason: reason.clone(),
                needs_someone: err.class() == Class::Permanent,
            });
        });
        reason
    }

    /// How long packets may gather at most; `None`: take each as it comes.
    fn pause_max(&self, writer: &FeedWriter, udp_in_batches: bool) -> Option<Duration> {
        if self.source.transport == Transport::Udp && !udp_in_batches {
            None
        } else if writer.is_watched() {
            Some(self.options.drain_period_watched)
        } else if self.source.transport == Transport::Udp {
            Some(self.options.drain_period.min(UDP_PAUSE_MAX))
        } else {
            Some(self.options.drain_period)
        }
    }
}

/// Waits until the next dial is due; who begins to look makes it sooner.
async fn rest(writer: &FeedWriter, delay: Delay) {
    let now = Instant::now();
    let unwatched = tokio::time::sleep_until(now + delay.unwatched);
    tokio::pin!(unwatched);
    while !writer.is_watched() {
        tokio::select! {
            () = &mut unwatched => return,
            () = writer.watch_begins() => {}
        }
    }
    tokio::time::sleep_until(now + delay.watched).await;
}

/// Takes a session's items into the ring.
struct Intake<'a> {
    life: &'a Life,
    writer: &'a mut FeedWriter,
    session: Session,
    timeline: Timeline,
    params: Option<Arc<VideoParams>>,
    began: Instant,
    frame_at: Instant,
    key_frame_at: Option<Instant>,
    key_frames_from: Option<Instant>,
    /// A key frame came, but no parameter sets with it or before it.
    has_bare_key_frame: bool,
    /// Packets lost with frames that were dropped.
    n_lost_before: u32,
    /// When packets began to gather, and the bytes of frames taken since.
    drained_at: Instant,
    n_bytes: u64,
}

impl<'a> Intake<'a> {
    fn new(life: &'a Life, writer: &'a mut FeedWriter, session: Session) -> Intake<'a> {
        let now = Instant::now();
        Intake {
            life,
            writer,
            session,
            timeline: Timeline::new(life.feed.camera().clone()),
            params: None,
            began: now,
            frame_at: now,
            key_frame_at: None,
            key_frames_from: None,
            has_bare_key_frame: false,
            n_lost_before: 0,
            drained_at: now,
            n_bytes: 0,
        }
    }

    /// Drains all that is there, lets packets gather, and again.
    async fn run(&mut self) -> Result<std::convert::Infallible, SessionError> {
        let udp_in_batches = udp_buffer_bytes() >= UDP_BATCH_BUFFER_BYTES;
        loop {
            let result = self.drain();
            self.writer.flush();
            let is_drained = result?;
            self.check_liveness()?;
            if !is_drained {
                tokio::task::yield_now().await;
                continue;
            }
            match self.life.pause_max(self.writer, udp_in_batches) {
                Some(longest) => {
                    let pause = self.pause(longest);
                    tokio::select! {
                        biased;
                        () = self.writer.watch_begins() => {}
                        () = tokio::time::sleep(pause) => {}
                    }
                }
                None => {
                    let next = tokio::time::timeout(LOOK_EVERY, self.session.next()).await;
                    if let Ok(item) = next {
                        self.take(item?)?;
                    }
                }
            }
        }
    }

    /// How long to let packets gather now, by the rate at which they came.
    fn pause(&mut self, longest: Duration) -> Duration {
        let now = Instant::now();
        let elapsed = now.saturating_duration_since(self.drained_at);
        let pause = pace::pause(longest, self.n_bytes, elapsed);
        (self.drained_at, self.n_bytes) = (now, 0);
        pause
    }

    /// Takes what is there; false when there may be more.
    fn drain(&mut self) -> Result<bool, SessionError> {
        for _ in 0..DRAIN_ITEMS_MAX {
            match self.session.next_now() {
                Some(item) => self.take(item?)?,
                None => return Ok(true),
            }
        }
        Ok(false)
    }

    fn take(&mut self, item: Item) -> Result<(), SessionError> {
        match item {
            Item::Frame(frame) => self.take_frame(frame),
            Item::Clock { ticks, wall } => {
                if let Some(at) = self.timeline.instant_of(ticks) {
                    let offset_ns = wall.ns_since(self.life.clock.at(at));
                    self.life
                        .feed
                        .with_facts(|facts| facts.clock_came(offset_ns));
                }
                Ok(())
            }
        }
    }

    fn take_frame(&mut self, frame: CodedFrame) -> Result<(), SessionError> {
        self.frame_at = frame.arrived;
        self.n_bytes += frame.data.len() as u64;
        let n_lost = frame.n_lost.saturating_add(self.n_lost_before);
        let (run, media) = match self
            .timeline
            .place(frame.ticks, frame.is_key, frame.arrived)
        {
            Placed::On(run, media) => (run, media),
            Placed::OutOfOrder => {
                self.drop_frame(Dropped::OutOfOrder, n_lost.saturating_add(1));
                return Ok(());
            }
            Placed::BFrames => return Err(SessionError::BFrames),
        };
        if frame.is_key {
            // Parameters change only here: what comes between key frames could not be decoded anew.
            self.params = self.session.params().cloned();
            self.has_bare_key_frame = self.params.is_none();
        }
        let Some(params) = self.params.clone() else {
            let why = if self.has_bare_key_frame {
                Dropped::NoParams
            } else {
                Dropped::NoKeyFrame
            };
            self.drop_frame(why, n_lost);
            return Ok(());
        };
        let is_key = frame.is_key;
        let pushed = self.writer.push(Frame {
            run,
            params,
            media,
            arrived: frame.arrived,
            is_key,
            n_lost,
            data: frame.data,
        });
        // Counted with this frame, wherever it went.
        self.n_lost_before = 0;
        if is_key && pushed == Pushed::Kept {
            self.key_frame_came(frame.arrived);
        }
        Ok(())
    }

    fn drop_frame(&mut self, why: Dropped, n_lost: u32) {
        self.n_lost_before = n_lost;
        self.life.feed.with_facts(|facts| facts.dropped(why));
    }

    fn key_frame_came(&mut self, at: Instant) {
        self.key_frame_at = Some(at);
        if self.key_frames_from.is_none() {
            self.key_frames_from = Some(at);
            let params = self.params.as_deref();
            info!(params = ?params, "camera streams");
            let now = self.life.clock.now();
            self.life.feed.with_facts(|facts| facts.since = Some(now));
        }
    }

    fn check_liveness(&self) -> Result<(), SessionError> {
        let now = Instant::now();
        let silent = now.saturating_duration_since(self.frame_at);
        if silent >= SILENCE_MAX {
            return Err(SessionError::Stalled(silent));
        }
        let blind = now.saturating_duration_since(self.key_frame_at.unwrap_or(self.began));
        if blind >= NO_KEY_FRAME_MAX {
            return Err(if self.has_bare_key_frame {
                SessionError::NoParams(blind)
            } else {
                SessionError::NoKeyFrame(blind)
            });
        }
        Ok(())
    }
}

/// The size of a new socket's receive buffer; 0 where it cannot be known.
fn udp_buffer_bytes() -> u64 {
    std::fs::read_to_string("/proc/sys/net/core/rmem_default")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0)
}

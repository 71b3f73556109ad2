//! One camera's stream while somebody looks: follows its ring, makes pieces, rings the viewers' bells.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::cutter::{Cut, Cutter, HOLD_MAX};
use super::metrics::Counted;
use super::pictures::{Easel, PICTURE_EVERY};
use super::reel::{Cursor, Opening, Piece, Reel};
use super::{Inner, LINGER, Plays, StreamKind};
use crate::camera::{Cameras, Codec, Feed, Frame, RingTick, SubStream, Watching};
use crate::domain::id::CameraId;
use crate::error::chain;
use crate::mux::MuxError;
use crate::supervise::blocking;
use crate::telemetry::Throttle;

/// How often a stream looks whether anybody is left, and whether it is still configured.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Frames with more bytes than this are cut on a thread of their own: half a millisecond of copying.
const CUT_HERE_BYTES_MAX: usize = 512 << 10;
/// A stream whose frames cannot be cut or drawn is spoken of so often.
const TROUBLE_EVERY: Duration = Duration::from_secs(60);

/// How a viewer is shown a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Fragments of MP4.
    Fragments,
    /// A JPEG of each key frame, at most one a second.
    Pictures,
}

/// A stream that runs.
#[derive(Debug)]
pub(super) struct Channel {
    camera: CameraId,
    feed: Feed,
    ticks: watch::Receiver<RingTick>,
    sub: Option<SubStream>,
    easel: Easel,
    shared: Mutex<Shared>,
    /// Someone wants something that nobody wanted before.
    wake: Notify,
    trouble: Throttle,
    _watching: Watching,
    _counted: [Option<Counted>; 2],
}

#[derive(Debug, Default)]
struct Shared {
    codec: Option<Codec>,
    fragments: Reel,
    pictures: Reel,
    n_fragments: usize,
    n_pictures: usize,
    bells: BTreeMap<u64, Arc<Notify>>,
    /// Since when nobody looks; set from the start, for the first viewer may not come.
    empty_since: Option<Instant>,
    is_ended: bool,
}

/// What the channel's task keeps to itself.
#[derive(Default)]
struct Work {
    cutter: Option<Box<Cutter>>,
    generation: u64,
    drawn: Option<(Frame, Arc<Opening>, Instant)>,
    was_up: bool,
}

/// A viewer's place at a channel.
#[derive(Debug)]
pub(super) struct Seat {
    channel: Arc<Channel>,
    number: u64,
    cursor: Cursor,
    mode: Option<Mode>,
}

impl Channel {
    /// The stream, ready to run; `None` when the configuration has none.
    pub(super) fn open(live: &Inner, camera: &CameraId, kind: StreamKind) -> Option<Arc<Channel>> {
        let (cameras, metrics) = (&live.cameras, &live.metrics);
        let sub = match kind {
            StreamKind::Main => None,
            StreamKind::Sub => Some(cameras.open_sub(camera)?),
        };
        let feed = match &sub {
            None => cameras.feed(camera)?,
            Some(sub) => sub.feed().clone(),
        };
        let counted_sub = sub.as_ref().map(|_| Counted::one(&metrics.sub_sessions));
        Some(Arc::new(Channel {
            camera: camera.clone(),
            ticks: feed.ticks(),
            easel: live.easel.clone(),
            shared: Mutex::new(Shared {
                empty_since: Some(Instant::now()),
                ..Shared::default()
            }),
            wake: Notify::new(),
            trouble: Throttle::new(TROUBLE_EVERY),
            _watching: feed.watch(),
            _counted: [Some(Counted::one(&metrics.streams)), counted_sub],
            feed,
            sub,
        }))
    }

    /// A place for a viewer; `None` when the channel has ended.
    pub(super) fn seat(channel: &Arc<Channel>, number: u64, bell: &Arc<Notify>) -> Option<Seat> {
        let mut shared = channel.shared.lock();
        if shared.is_ended {
            return None;
        }
        shared.empty_since = None;
        shared.bells.insert(number, Arc::clone(bell));
        // What is there already is not rung for again.
        bell.notify_one();
        Some(Seat {
            channel: Arc::clone(channel),
            number,
            cursor: Cursor::default(),
            mode: None,
        })
    }

    /// Runs until nobody has looked for [`LINGER`], the configuration has another stream, or `token` is
    /// cancelled.
    pub(super) async fn run(&self, cameras: &Cameras, token: &CancellationToken) {
        let mut ticks = self.ticks.clone();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut work = Work::default();
        loop {
            let is_up = ticks.borrow_and_update().streaming;
            let next_at = self.follow(&mut work, is_up).await;
            let alarm = tokio::time::sleep_until(next_at.unwrap_or_else(Instant::now));
            tokio::select! {
                biased;
                () = token.cancelled() => break,
                _ = looks.tick() => if self.is_over(cameras) { break },
                changed = ticks.changed() => if changed.is_err() { break },
                () = self.wake.notified() => {}
                () = alarm, if next_at.is_some() => {}
            }
        }
        let mut shared = self.shared.lock();
        shared.is_ended = true;
        shared.ring();
    }

    fn is_over(&self, cameras: &Cameras) -> bool {
        let is_configured = match &self.sub {
            None => cameras
                .feed(&self.camera)
                .is_some_and(|feed| feed.is_same(&self.feed)),
            Some(sub) => cameras.is_current(sub),
        };
        let mut shared = self.shared.lock();
        let is_left = shared.empty_since.is_some_and(|at| at.elapsed() >= LINGER);
        shared.is_ended = is_left || !is_configured;
        shared.is_ended
    }

    /// Takes in what is new; when to look again even if nothing comes.
    async fn follow(&self, work: &mut Work, is_up: bool) -> Option<Instant> {
        let key_frame = self.feed.newest_key_frame();
        let codec = key_frame.as_ref().map(|frame| frame.params.codec);
        let (wants_fragments, wants_pictures, is_news) = {
            let mut shared = self.shared.lock();
            let is_news = shared.codec != codec || work.was_up != is_up;
            shared.codec = codec;
            (shared.n_fragments > 0, shared.n_pictures > 0, is_news)
        };
        work.was_up = is_up;
        let mut next_at = None;
        let mut cuts = Vec::new();
        if wants_fragments {
            cuts = match self.cut(work).await {
                Ok(cuts) => cuts,
                Err(err) => {
                    self.say_trouble(&err);
                    work.cutter = None;
                    Vec::new()
                }
            };
            let held_since = work.cutter.as_ref().and_then(|it| it.held_since());
            next_at = held_since.map(|at| at + HOLD_MAX);
        } else if work.cutter.take().is_some() {
            self.shared.lock().fragments.clear();
        }
        let picture = match key_frame.filter(|_| wants_pictures) {
            Some(frame) => self.picture(work, frame).await,
            None => Ok(None),
        };
        let picture = picture.unwrap_or_else(|due| {
            next_at = Some(next_at.map_or(due, |at| at.min(due)));
            None
        });
        if !wants_pictures && work.drawn.take().is_some() {
            self.shared.lock().pictures.clear();
        }
        let mut shared = self.shared.lock();
        let is_news = is_news || !cuts.is_empty() || picture.is_some();
        for cut in cuts {
            let Cut {
                opening,
                is_key,
                bytes,
                arrived,
            } = cut;
            shared.fragments.push(&opening, is_key, bytes, arrived);
        }
        if let Some(cut) = picture {
            let reel = &mut shared.pictures;
            reel.push(&cut.opening, true, cut.bytes, cut.arrived);
        }
        if is_news {
            shared.ring();
        }
        next_at
    }

    async fn cut(&self, work: &mut Work) -> Result<Vec<Cut>, MuxError> {
        let mut cutter = work.cutter.take().unwrap_or_default();
        let frames = cutter.new_frames(&self.feed);
        let n_bytes: usize = frames.iter().map(|frame| frame.data.len()).sum();
        let is_due = |at: Instant| at.elapsed() >= HOLD_MAX;
        let mut generation = work.generation;
        let make = move || {
            let mut cutter = cutter;
            let mut cuts = cutter.cut(frames, &mut generation)?;
            // A GOP from the ring may be old: its last frame is due at once.
            if cutter.held_since().is_some_and(is_due) {
                cuts.extend(cutter.let_go()?);
            }
            Ok::<_, MuxError>((cuts, cutter, generation))
        };
        let made = if n_bytes <= CUT_HERE_BYTES_MAX {
            make()
        } else {
            match blocking("cut live fragments", make).await {
                Ok(made) => made,
                Err(err) => {
                    self.say_trouble(&err);
                    return Ok(Vec::new());
                }
            }
        };
        let (cuts, cutter, generation) = made?;
        work.cutter = Some(cutter);
        work.generation = generation;
        Ok(cuts)
    }

    /// A picture of `frame`, unless that was drawn already; `Err` says when the next may be drawn.
    async fn picture(&self, work: &mut Work, frame: Frame) -> Result<Option<Cut>, Instant> {
        let mut opening = None;
        if let Some((drawn, known, at)) = &work.drawn {
            if drawn.run.id == frame.run.id {
                if drawn.media == frame.media {
                    return Ok(None);
                }
                opening = (drawn.params == frame.params).then(|| Arc::clone(known));
            }
            let due = *at + PICTURE_EVERY;
            if Instant::now() < due {
                return Err(due);
            }
        }
        let opening = opening.unwrap_or_else(|| {
            work.generation += 1;
            Arc::new(Opening {
                generation: work.generation,
                codec: frame.params.codec,
                rfc6381: frame.params.rfc6381.clone(),
                width: frame.params.width,
                height: frame.params.height,
                init: bytes::Bytes::new(),
            })
        });
        let arrived = frame.arrived;
        work.drawn = Some((frame.clone(), Arc::clone(&opening), Instant::now()));
        match self.easel.draw(frame).await {
            Ok(bytes) => Ok(Some(Cut {
                opening,
                is_key: true,
                bytes,
                arrived,
            })),
            Err(err) => {
                self.say_trouble(&err);
                Ok(None)
            }
        }
    }

    fn say_trouble(&self, err: &(dyn std::error::Error + 'static)) {
        match self.trouble.pass() {
            Some(_) => warn!(error = %chain(err), "live stream cannot be shown"),
            None => debug!(error = %chain(err), "live stream cannot be shown"),
        }
    }
}

impl Shared {
    fn ring(&self) {
        for bell in self.bells.values() {
            bell.notify_one();
        }
    }

    fn count(&mut self, mode: Option<Mode>, is_more: bool) {
        let n = match mode {
            Some(Mode::Fragments) => &mut self.n_fragments,
            Some(Mode::Pictures) => &mut self.n_pictures,
            None => return,
        };
        *n = if is_more { *n + 1 } else { n.saturating_sub(1) };
    }
}

impl Seat {
    /// Makes the stream be prepared as the viewer can see it; is there something to see?
    pub(super) fn prepare(&mut self, plays: Plays) -> bool {
        let mut shared = self.channel.shared.lock();
        let mode = shared.codec.map(|codec| {
            if plays.has(codec) {
                Mode::Fragments
            } else {
                Mode::Pictures
            }
        });
        if mode != self.mode {
            shared.count(self.mode, false);
            shared.count(mode, true);
            self.mode = mode;
            self.cursor.begin_anew();
            self.channel.wake.notify_one();
        }
        match mode {
            Some(Mode::Fragments) => shared.fragments.has_key(),
            Some(Mode::Pictures) => shared.pictures.has_key(),
            None => false,
        }
    }

    /// The next piece for this viewer, when there is one.
    pub(super) fn next(&mut self, plays: Plays) -> Option<(Mode, Arc<Piece>)> {
        self.prepare(plays);
        let shared = self.channel.shared.lock();
        let mode = self.mode?;
        let reel = match mode {
            Mode::Fragments => &shared.fragments,
            Mode::Pictures => &shared.pictures,
        };
        reel.next(&mut self.cursor).map(|piece| (mode, piece))
    }

    /// Pieces passed over since the last time.
    pub(super) fn take_skipped(&mut self) -> u64 {
        std::mem::take(&mut self.cursor.n_skipped)
    }

    /// Is this no longer the camera's stream?
    pub(super) fn is_ended(&self) -> bool {
        self.channel.shared.lock().is_ended
    }

    /// Does the stream have a session that has sent a key frame?
    pub(super) fn is_up(&self) -> bool {
        self.channel.ticks.borrow().streaming
    }

    /// When the newest frame's picture was taken.
    pub(super) fn newest_at(&self) -> Option<Instant> {
        self.channel.ticks.borrow().newest_media_at
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut shared = self.channel.shared.lock();
        shared.count(self.mode, false);
        shared.bells.remove(&self.number);
        if shared.bells.is_empty() {
            shared.empty_since = Some(Instant::now());
        }
    }
}

//! One viewer's look at one camera: which of its streams is shown, and what comes next.
//!
//! The main stream is in memory, so it is shown at once; the sub stream has to be dialled, and takes over
//! with its first key frame. While it fails, the main stream is shown.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::channel::{Mode, Seat};
use super::metrics::Counted;
use super::reel::Opening;
use super::{Live, Plays, StreamKind};
use crate::camera::Codec;
use crate::domain::id::CameraId;

/// A sub stream that has been away for so long gives way to the main stream.
const SUB_AWAY_MAX: Duration = Duration::from_secs(2);
/// A sub stream that was away must hold for so long before it is shown again.
const SUB_STEADY: Duration = Duration::from_secs(5);

/// Why a viewer is not shown what it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its browser cannot play the camera's codec.
    NotPlayable(Codec),
    /// The sub stream is being opened.
    SubOpening,
    /// The sub stream does not come.
    SubAway,
}

impl Why {
    /// As on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Why::NotPlayable(Codec::H264) => "h264-not-playable",
            Why::NotPlayable(Codec::H265) => "h265-not-playable",
            Why::SubOpening => "sub-opening",
            Why::SubAway => "sub-away",
        }
    }
}

/// What comes now: a player for it has to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Which stream.
    pub stream: StreamKind,
    /// Does it come as pictures?
    pub is_pictures: bool,
    /// The codec's RFC 6381 name.
    pub codec: String,
    /// Picture width in pixels.
    pub width: u32,
    /// Picture height in pixels.
    pub height: u32,
    /// Why it is not what was asked for.
    pub why: Option<Why>,
}

/// What a viewer is sent.
#[derive(Clone, Debug)]
pub enum Shown {
    /// Something else comes from now on.
    Opened(Opened),
    /// `ftyp` and `moov`.
    Init {
        /// The bytes.
        bytes: Bytes,
        /// When the first fragment's last frame arrived.
        arrived: Instant,
    },
    /// `moof` and `mdat`.
    Fragment {
        /// Does it begin with a key frame?
        is_key: bool,
        /// The bytes, shared by all viewers.
        bytes: Bytes,
        /// When its last frame arrived.
        arrived: Instant,
    },
    /// A JPEG.
    Picture {
        /// The bytes, shared by all viewers.
        bytes: Bytes,
        /// When its frame arrived.
        arrived: Instant,
    },
    /// Just now there is nothing more.
    Nothing,
    /// The camera is not configured any more.
    Gone,
}

/// Is a camera there, and how old is its newest frame?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WhatIsUp {
    /// Is there a session that has sent a key frame?
    pub is_up: bool,
    /// When the newest frame's picture was taken, as far as its arrival tells; `None` before the first.
    pub newest_at: Option<Instant>,
}

/// One viewer's look at one camera; it ends when this is dropped.
#[derive(Debug)]
pub struct Watch {
    live: Live,
    camera: CameraId,
    wants: StreamKind,
    plays: Plays,
    bell: Arc<Notify>,
    main: Option<Seat>,
    sub: Option<Seat>,
    shows: Option<StreamKind>,
    /// The generation that was opened, of the stream that is shown.
    opened: Option<(u64, Mode)>,
    ready: VecDeque<Shown>,
    sub_up_since: Option<Instant>,
    sub_down_since: Option<Instant>,
    /// Did it not come in time, once?
    has_sub_failed: bool,
    /// Was it shown and lost?
    has_lost_sub: bool,
    _counted: Counted,
}

impl Watch {
    pub(super) fn new(
        live: Live,
        camera: &CameraId,
        wants: StreamKind,
        plays: Plays,
        bell: &Arc<Notify>,
    ) -> Watch {
        Watch {
            camera: camera.clone(),
            wants,
            plays,
            bell: Arc::clone(bell),
            main: None,
            sub: None,
            shows: None,
            opened: None,
            ready: VecDeque::new(),
            sub_up_since: None,
            sub_down_since: None,
            has_sub_failed: false,
            has_lost_sub: false,
            _counted: Counted::one(&live.0.metrics.watches),
            live,
        }
    }

    /// The camera.
    pub fn camera(&self) -> &CameraId {
        &self.camera
    }

    /// What to send next.
    pub fn take(&mut self) -> Shown {
        if let Some(shown) = self.ready.pop_front() {
            return shown;
        }
        if !self.choose() {
            return Shown::Gone;
        }
        let (plays, shows) = (self.plays, self.shows);
        let Some((stream, seat)) = shows.zip(self.seat_mut()) else {
            return Shown::Nothing;
        };
        let next = seat.next(plays);
        let n_skipped = seat.take_skipped();
        self.live.0.metrics.skipped.inc_by(n_skipped);
        let Some((mode, piece)) = next else {
            return Shown::Nothing;
        };
        let (bytes, arrived) = (piece.bytes.clone(), piece.arrived);
        let generation = (piece.opening.generation, mode);
        if self.opened != Some(generation) {
            self.opened = Some(generation);
            let opened = self.opened_now(stream, mode, &piece.opening);
            self.ready.push_back(Shown::Opened(opened));
            if mode == Mode::Fragments {
                let bytes = piece.opening.init.clone();
                self.ready.push_back(Shown::Init { bytes, arrived });
            }
        }
        self.ready.push_back(match mode {
            Mode::Fragments => Shown::Fragment {
                is_key: piece.is_key,
                bytes,
                arrived,
            },
            Mode::Pictures => Shown::Picture { bytes, arrived },
        });
        self.ready.pop_front().unwrap_or(Shown::Nothing)
    }

    /// How the camera is: the stream that is shown.
    pub fn what_is_up(&self) -> WhatIsUp {
        match self.seat() {
            Some(seat) => WhatIsUp {
                is_up: seat.is_up(),
                newest_at: seat.newest_at(),
            },
            None => WhatIsUp {
                is_up: false,
                newest_at: None,
            },
        }
    }

    fn seat(&self) -> Option<&Seat> {
        match self.shows? {
            StreamKind::Main => self.main.as_ref(),
            StreamKind::Sub => self.sub.as_ref(),
        }
    }

    fn seat_mut(&mut self) -> Option<&mut Seat> {
        match self.shows? {
            StreamKind::Main => self.main.as_mut(),
            StreamKind::Sub => self.sub.as_mut(),
        }
    }

    /// Chooses the stream to show; false when the camera is gone.
    fn choose(&mut self) -> bool {
        self.main.take_if(|seat| seat.is_ended());
        self.sub.take_if(|seat| seat.is_ended());
        let kind = if self.sub_is_good(Instant::now()) {
            StreamKind::Sub
        } else {
            StreamKind::Main
        };
        if kind == StreamKind::Main && self.main.is_none() {
            let kind = StreamKind::Main;
            self.main = self.live.take_place(&self.camera, kind, &self.bell);
            self.opened = None;
            if self.main.is_none() {
                return false;
            }
        }
        if kind == StreamKind::Sub {
            self.main = None;
        }
        if self.shows != Some(kind) {
            self.shows = Some(kind);
            self.opened = None;
        }
        true
    }

    fn sub_is_good(&mut self, now: Instant) -> bool {
        if self.wants == StreamKind::Main {
            return false;
        }
        if self.sub.is_none() {
            let kind = StreamKind::Sub;
            self.sub = self.live.take_place(&self.camera, kind, &self.bell);
            if self.shows == Some(StreamKind::Sub) {
                self.opened = None;
            }
        }
        let Some(seat) = &mut self.sub else {
            return false;
        };
        if !seat.is_up() {
            self.sub_up_since = None;
            let since = *self.sub_down_since.get_or_insert(now);
            let is_away = now.saturating_duration_since(since) >= SUB_AWAY_MAX;
            let is_shown = self.shows == Some(StreamKind::Sub);
            self.has_sub_failed |= is_away;
            self.has_lost_sub |= is_away && is_shown;
            return is_shown && !is_away;
        }
        self.sub_down_since = None;
        let since = *self.sub_up_since.get_or_insert(now);
        let is_steady = now.saturating_duration_since(since) >= SUB_STEADY;
        let has_something = seat.prepare(self.plays);
        let is_shown = self.shows == Some(StreamKind::Sub);
        is_shown || (has_something && (is_steady || !self.has_lost_sub))
    }

    fn opened_now(&self, stream: StreamKind, mode: Mode, opening: &Opening) -> Opened {
        let why = match (mode, self.wants, stream) {
            (Mode::Pictures, _, _) => Some(Why::NotPlayable(opening.codec)),
            (Mode::Fragments, StreamKind::Sub, StreamKind::Main) => {
                // Without a sub stream it is what was asked for.
                self.sub.as_ref().map(|_| {
                    if self.has_sub_failed {
                        Why::SubAway
                    } else {
                        Why::SubOpening
                    }
                })
            }
            (Mode::Fragments, _, _) => None,
        };
        Opened {
            stream,
            is_pictures: mode == Mode::Pictures,
            codec: opening.rfc6381.clone(),
            width: opening.width,
            height: opening.height,
            why,
        }
    }
}

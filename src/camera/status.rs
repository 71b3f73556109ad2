//! How a camera is, as the API and the console show it.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::error::no_key_frame_advice;
use super::frame::{Codec, Frame};
use super::ring::{Pushed, Ring};
use crate::domain::id::CameraId;
use crate::telemetry::State;
use crate::time::{MediaTime, WallTime, ticks_to_ns};

/// A newest key frame older than this, and than two GOPs, is worth a word.
const KEY_FRAME_AGE_MAX: Duration = Duration::from_secs(15);

/// How long a ring that had to give away pre-roll is called too small.
const SQUEEZED_SHOWN: Duration = Duration::from_secs(60);

/// Sender reports over which the clock offset is taken: the middle one, so that a report that was
/// delayed does not count.
const CLOCK_OFFSETS: usize = 3;

/// A camera's state at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CameraStatus {
    /// The camera.
    pub camera: CameraId,
    /// Is there a session that has sent a key frame?
    pub up: bool,
    /// Why not, or what is wrong although it is up, in words that say what to do; empty when fine.
    pub reason: String,
    /// When `up` last changed; `None` until it first did.
    pub since: Option<WallTime>,
    /// The compression; `None` until the first key frame.
    pub codec: Option<Codec>,
    /// Picture width in pixels; 0 until the first key frame.
    pub width: u32,
    /// Picture height in pixels; 0 until the first key frame.
    pub height: u32,
    /// Frames a second by the camera's clock, over the last seconds; `None` until known.
    pub fps: Option<f64>,
    /// Bits a second by the camera's clock, over the last seconds; `None` until known.
    pub bits_per_s: Option<f64>,
    /// Seconds from the key frame before the newest to the newest; `None` until there are two.
    pub gop_s: Option<f64>,
    /// Seconds since the newest key frame arrived; `None` before the first.
    pub key_frame_age_s: Option<f64>,
    /// Coded bytes received since process start.
    pub bytes: u64,
    /// Frames kept since process start.
    pub frames: u64,
    /// RTP packets lost since process start.
    pub lost_packets: u64,
    /// Sessions begun since process start.
    pub sessions: u64,
    /// Camera's wall clock less ours, in seconds, from its RTCP sender reports; `None` without them.
    pub clock_offset_s: Option<f64>,
    /// Bytes in the ring.
    pub ring_bytes: usize,
    /// Seconds in the ring.
    pub ring_s: f64,
}

/// What the session knows beside the ring.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) up: bool,
    pub(super) trouble: Option<Trouble>,
    pub(super) since: Option<WallTime>,
    pub(super) bytes: u64,
    pub(super) lost_packets: u64,
    pub(super) sessions: u64,
    pub(super) newest_key_at: Option<Instant>,
    /// When the session began to play; `None` while there is none.
    session_at: Option<Instant>,
    newest_key_media: Option<MediaTime>,
    gop: Option<Duration>,
    n_dropped: [u64; Dropped::ALL.len()],
    /// The newest of the camera's clock less ours, in ns, oldest first.
    clock_offsets: VecDeque<i64>,
}

/// What the facts need of a frame that goes into the ring.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    is_key: bool,
    media: MediaTime,
    arrived: Instant,
    bytes: u64,
    n_lost: u32,
}

impl Arrival {
    pub(super) fn of(frame: &Frame) -> Arrival {
        Arrival {
            is_key: frame.is_key,
            media: frame.media,
            arrived: frame.arrived,
            bytes: u64::try_from(frame.data.len()).unwrap_or(u64::MAX),
            n_lost: frame.n_lost,
        }
    }
}

/// What keeps a camera from streaming.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) reason: String,
    /// Someone must change something; it does not pass by itself.
    pub(super) needs_someone: bool,
}

/// Why a frame did not reach the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dropped {
    NoKeyFrame,
    NoParams,
    OutOfOrder,
    TooLong,
}

impl Dropped {
    pub(super) const ALL: [Dropped; 4] = [
        Dropped::NoKeyFrame,
        Dropped::NoParams,
        Dropped::OutOfOrder,
        Dropped::TooLong,
    ];

    /// As in the metric's label.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Dropped::NoKeyFrame => "no-key-frame",
            Dropped::NoParams => "no-params",
            Dropped::OutOfOrder => "out-of-order",
            Dropped::TooLong => "gop-too-long",
        }
    }
}

impl Facts {
    pub(super) fn frame_came(&mut self, frame: Arrival, pushed: Pushed) {
        self.bytes += frame.bytes;
        self.lost_packets += u64::from(frame.n_lost);
        match pushed {
            Pushed::Kept => {}
            Pushed::NoKeyFrame => self.dropped(Dropped::NoKeyFrame),
            Pushed::TooLong => self.dropped(Dropped::TooLong),
        }
        if !frame.is_key || pushed != Pushed::Kept {
            return;
        }
        self.up = true;
        self.newest_key_at = Some(frame.arrived);
        if let Some(before) = self.newest_key_media.replace(frame.media) {
            let ns = ticks_to_ns(frame.media.ticks_since(before));
            // A run that began in between has no time in common with the one before.
            self.gop = u64::try_from(ns).ok().map(Duration::from_nanos);
        }
    }

    pub(super) fn dropped(&mut self, why: Dropped) {
        for (known, n) in Dropped::ALL.iter().zip(&mut self.n_dropped) {
            if *known == why {
                *n += 1;
            }
        }
    }

    /// Frames that did not reach the ring, by reason.
    pub(super) fn n_dropped(&self) -> impl Iterator<Item = (Dropped, u64)> {
        Dropped::ALL.into_iter().zip(self.n_dropped)
    }

    pub(super) fn session_began(&mut self, at: Instant) {
        self.sessions += 1;
        self.session_at = Some(at);
        self.trouble = None;
    }

    pub(super) fn run_ended(&mut self) {
        self.up = false;
        self.session_at = None;
        self.newest_key_media = None;
        self.clock_offsets.clear();
    }

    /// A sender report came: the camera's clock less ours.
    pub(super) fn clock_came(&mut self, offset_ns: i64) {
        if self.clock_offsets.len() == CLOCK_OFFSETS {
            self.clock_offsets.pop_front();
        }
        self.clock_offsets.push_back(offset_ns);
    }

    /// Camera's clock less ours, in ns: the middle one of the newest three; `None` before that.
    pub(super) fn clock_offset_ns(&self) -> Option<i64> {
        if self.clock_offsets.len() < CLOCK_OFFSETS {
            return None;
        }
        let mut sorted: Vec<i64> = self.clock_offsets.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(CLOCK_OFFSETS / 2).copied()
    }

    /// Media time from the key frame before the newest to the newest.
    pub(super) fn gop(&self) -> Option<Duration> {
        self.gop
    }

    /// How the camera is, with the reason.
    pub(super) fn condition(&self, ring: &Ring, now: Instant) -> (State, String) {
        let ago = |at: Instant| now.saturating_duration_since(at);
        let blind = match (self.up, self.newest_key_at, self.session_at) {
            (true, Some(at), _) | (false, _, Some(at)) => Some(ago(at)),
            (true, None, _) | (false, _, None) => None,
        };
        let blind_max = KEY_FRAME_AGE_MAX.max(self.gop.unwrap_or_default() * 2);
        if let Some(blind) = blind
            && blind > blind_max
        {
            return (State::Degraded, no_key_frame_advice(blind));
        }
        if !self.up {
            return match &self.trouble {
                Some(trouble) if trouble.needs_someone => (State::Failed, trouble.reason.clone()),
                Some(trouble) => (State::Degraded, trouble.reason.clone()),
                None => (
                    State::Starting,
                    "waiting for the first key frame".to_owned(),
                ),
            };
        }
        match ring.squeezed_at() {
            Some(at) if ago(at) < SQUEEZED_SHOWN => (State::Degraded, squeezed_advice(ring)),
            _ => (State::Ok, String::new()),
        }
    }
}

fn squeezed_advice(ring: &Ring) -> String {
    format!(
        "only {:.1} s of pre-roll fit into {} MiB: lower the camera's bit rate or key-frame interval",
        ring.span().as_secs_f64(),
        ring.options().bytes_max >> 20
    )
}

impl CameraStatus {
    pub(super) fn of(camera: &CameraId, ring: &Ring, facts: &Facts, now: Instant) -> CameraStatus {
        let params = ring.newest_frame().map(|frame| &frame.params);
        let (fps, bits_per_s) = rates(ring).unzip();
        let (_, reason) = facts.condition(ring, now);
        CameraStatus {
            camera: camera.clone(),
            up: facts.up,
            reason,
            since: facts.since,
            codec: params.map(|p| p.codec),
            width: params.map_or(0, |p| p.width),
            height: params.map_or(0, |p| p.height),
            fps,
            bits_per_s,
            gop_s: facts.gop.map(|d| d.as_secs_f64()),
            key_frame_age_s: facts
                .newest_key_at
                .map(|at| now.saturating_duration_since(at).as_secs_f64()),
            bytes: facts.bytes,
            frames: ring.totals().n_frames,
            lost_packets: facts.lost_packets,
            sessions: facts.sessions,
            clock_offset_s: facts.clock_offset_ns().map(signed_s),
            ring_bytes: ring.bytes(),
            ring_s: ring.span().as_secs_f64(),
        }
    }
}

/// Signed nanoseconds as seconds.
pub(super) fn signed_s(ns: i64) -> f64 {
    let magnitude = Duration::from_nanos(ns.unsigned_abs()).as_secs_f64();
    if ns < 0 { -magnitude } else { magnitude }
}

/// Frames and bits a second over the newest run's part of the ring; `None` with less than a second.
fn rates(ring: &Ring) -> Option<(f64, f64)> {
    let newest = ring.newest_frame()?;
    let gops = ring.gops_after(None).gops;
    let frames: Vec<_> = gops
        .iter()
        .filter(|gop| gop.run().id == newest.run.id)
        .flat_map(|gop| gop.frames.iter())
        .collect();
    let first = frames.first()?;
    let ns = ticks_to_ns(newest.media.ticks_since(first.media));
    let span_s = Duration::from_nanos(u64::try_from(ns).ok()?).as_secs_f64();
    if span_s < 1.0 {
        return None;
    }
    let n_frames = u32::try_from(frames.len() - 1).ok()?;
    // The newest frame lasts beyond the span.
    let bytes: usize = frames
        .iter()
        .take(frames.len() - 1)
        .map(|f| f.data.len())
        .sum();
    let bits = f64::from(u32::try_from(bytes).ok()?) * 8.0;
    Some((f64::from(n_frames) / span_s, bits / span_s))
}

//! How a camera is, as the API and the console show it.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::frame::{Codec, Frame};
use super::ring::{Pushed, Ring};
use crate::domain::id::CameraId;
use crate::time::{MediaTime, WallTime, ticks_to_ns};

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
    pub(super) reason: String,
    pub(super) since: Option<WallTime>,
    pub(super) bytes: u64,
    pub(super) lost_packets: u64,
    pub(super) sessions: u64,
    pub(super) clock_offset_s: Option<f64>,
    pub(super) newest_key_at: Option<Instant>,
    newest_key_media: Option<MediaTime>,
    gop: Option<Duration>,
}

impl Facts {
    pub(super) fn frame_came(&mut self, frame: &Frame, pushed: Pushed) {
        self.bytes += u64::try_from(frame.data.len()).unwrap_or(u64::MAX);
        self.lost_packets += u64::from(frame.n_lost);
        if !frame.is_key || pushed != Pushed::Kept {
            return;
        }
        self.up = true;
        self.newest_key_at = Some(frame.arrived);
        if let Some(before) = self.newest_key_media.replace(frame.media) {
            let ns = ticks_to_ns(frame.media.ticks_since(before));
            self.gop = u64::try_from(ns).ok().map(Duration::from_nanos);
        }
    }

    pub(super) fn run_ended(&mut self) {
        self.up = false;
        self.newest_key_media = None;
    }
}

impl CameraStatus {
    pub(super) fn of(camera: &CameraId, ring: &Ring, facts: &Facts, now: Instant) -> CameraStatus {
        let params = ring.newest_frame().map(|frame| &frame.params);
        let (fps, bits_per_s) = rates(ring).unzip();
        CameraStatus {
            camera: camera.clone(),
            up: facts.up,
            reason: facts.reason.clone(),
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
            clock_offset_s: facts.clock_offset_s,
            ring_bytes: ring.bytes(),
            ring_s: ring.span().as_secs_f64(),
        }
    }
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

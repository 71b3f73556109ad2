//! The pre-roll ring: the newest GOPs of one camera, whole, bounded by media time and by bytes.
//!
//! Pure: it knows no clock but the frames', and waits for nothing. Not here: who fills it
//! (`session`), who reads it ([`super::Feed`]).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::frame::{Frame, Run, VideoParams};
use crate::time::ticks_to_ns;

/// Counts the GOPs of one camera since process start, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize)]
#[serde(transparent)]
pub struct GopSeq(pub u64);

/// Why a GOP has no further frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GopEnd {
    /// The next key frame came.
    NextKey,
    /// The next frame has other parameter sets.
    ParamsChanged,
    /// The RTSP session ended, or its time line broke.
    RunEnded,
    /// It outgrew the ring, or [`GOP_MAX`]; what followed up to the next key frame was dropped and
    /// counted.
    TooLong,
}

/// A key frame and the frames up to the next: of one run, with one set of parameters.
#[derive(Clone, Debug)]
pub struct Gop {
    /// Which of the camera's GOPs.
    pub seq: GopSeq,
    /// Never empty; the first is a key frame; in decode order, which is presentation order.
    pub frames: Vec<Frame>,
    /// Why it has no further frames; `None`: it was still growing when this snapshot was taken.
    pub end: Option<GopEnd>,
}

impl Gop {
    /// The frame that decoding starts at.
    pub fn key_frame(&self) -> &Frame {
        self.frames
            .first()
            .expect("a GOP is made of its key frame and never loses it")
    }

    /// The newest frame.
    pub fn last(&self) -> &Frame {
        self.frames
            .last()
            .expect("a GOP is made of its key frame and never loses it")
    }

    /// The run that all its frames belong to.
    pub fn run(&self) -> &Arc<Run> {
        &self.key_frame().run
    }

    /// The parameters that all its frames have.
    pub fn params(&self) -> &Arc<VideoParams> {
        &self.key_frame().params
    }

    /// Media time from the key frame to the newest frame.
    pub fn span(&self) -> Duration {
        media_span(self.key_frame(), self.last())
    }
}

/// What [`super::Feed::gops_after`] gives.
#[derive(Clone, Debug, Default)]
pub struct GopsAfter {
    /// Oldest first, without holes in their numbers; the last may be a snapshot of the growing one.
    pub gops: Vec<Arc<Gop>>,
    /// GOPs newer than the one asked after that left the ring before they were asked for; 0 when
    /// nothing was asked after.
    pub n_evicted: u64,
}

/// Bounds of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingOptions {
    /// Pre-roll and margin, in milliseconds of media time: a GOP stays until the next key frame is
    /// at least this old.
    pub media_ms_max: u64,
    /// Most bytes held, frames' bookkeeping included; a GOP leaves early when it must, which is
    /// counted.
    pub bytes_max: usize,
}

impl RingOptions {
    /// 10 s pre-roll, 2 s for a late swipe message, at most 64 MiB (enough for 16 s of 32 Mbit/s).
    pub const DEFAULT: RingOptions = RingOptions {
        media_ms_max: 12_000,
        bytes_max: 64 << 20,
    };
}

impl Default for RingOptions {
    fn default() -> RingOptions {
        RingOptions::DEFAULT
    }
}

/// Longest GOP by media time: three times the longest key-frame interval seen in the field (smart
/// codecs reach 40 s). Without it a camera that sends one key frame a day would never free memory.
pub const GOP_MAX: Duration = Duration::from_secs(120);

/// What a ring did with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is in the ring.
    Kept,
    /// No key frame stands before it in its run, so nothing could decode it.
    NoKeyFrame,
    /// Its GOP had grown too long.
    TooLong,
}

/// What a ring holds and what it had to give away, since process start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingTotals {
    /// Frames kept.
    pub n_frames: u64,
    /// GOPs that left before they were old enough, because of `bytes_max`.
    pub n_gops_squeezed: u64,
    /// Frames refused because their GOP had grown too long.
    pub n_frames_too_long: u64,
    /// Frames refused because no key frame stood before them.
    pub n_frames_no_key: u64,
}

/// The newest GOPs of one camera.
#[derive(Debug)]
pub struct Ring {
    options: RingOptions,
    /// Ended ones, oldest first, numbers without holes up to `growing`'s.
    ended: VecDeque<Held>,
    growing: Option<Held>,
    next_seq: u64,
    bytes: usize,
    /// Frames up to the next key frame are refused, since their GOP was ended as too long.
    is_shedding: bool,
    squeezed_at: Option<Instant>,
    totals: RingTotals,
}

#[derive(Debug)]
struct Held {
    gop: Arc<Gop>,
    bytes: usize,
}

impl Ring {
    /// An empty ring.
    pub fn new(options: RingOptions) -> Ring {
        Ring {
            options,
            ended: VecDeque::new(),
            growing: None,
            next_seq: 1,
            bytes: 0,
            is_shedding: false,
            squeezed_at: None,
            totals: RingTotals::default(),
        }
    }

    /// Takes the camera's next frame; old GOPs leave.
    pub fn push(&mut self, frame: Frame) -> Pushed {
        if frame.is_key && frame_bytes(&frame) > self.options.bytes_max {
            self.end_gop(GopEnd::TooLong);
            self.is_shedding = true;
            self.totals.n_frames_too_long += 1;
            return Pushed::TooLong;
        } else if frame.is_key {
            self.start_gop(frame);
        } else if let Err(refused) = self.grow(frame) {
            return refused;
        }
        self.totals.n_frames += 1;
        self.evict();
        Pushed::Kept
    }

    /// Says that no further frame of the current run comes.
    pub fn end_run(&mut self) {
        self.end_gop(GopEnd::RunEnded);
        self.is_shedding = false;
    }

    /// Whole GOPs newer than `after` (`None`: all there are), oldest first, and last a snapshot of
    /// the growing one.
    pub fn gops_after(&self, after: Option<GopSeq>) -> GopsAfter {
        let held = || self.ended.iter().chain(self.growing.as_ref());
        let oldest = held().next().map_or(self.next_seq, |h| h.gop.seq.0);
        let n_evicted = after.map_or(0, |seq| oldest.saturating_sub(seq.0.saturating_add(1)));
        let gops = held()
            .filter(|h| after.is_none_or(|seq| h.gop.seq > seq))
            .map(|h| Arc::clone(&h.gop))
            .collect();
        GopsAfter { gops, n_evicted }
    }

    /// The newest GOP's number, whether it grows or has ended; `None` before the first.
    pub fn newest(&self) -> Option<GopSeq> {
        self.newest_gop().map(|gop| gop.seq)
    }

    /// The newest frame.
    pub fn newest_frame(&self) -> Option<&Frame> {
        self.newest_gop().map(Gop::last)
    }

    /// The newest key frame.
    pub fn newest_key_frame(&self) -> Option<&Frame> {
        self.newest_gop().map(Gop::key_frame)
    }

    /// Bytes held, frames' bookkeeping included.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Age of the oldest frame, seen from the newest.
    pub fn span(&self) -> Duration {
        match (self.oldest_key_frame(), self.newest_frame()) {
            (Some(oldest), Some(newest)) => age(oldest, newest),
            _ => Duration::ZERO,
        }
    }

    /// What was taken and what was given away.
    pub fn totals(&self) -> RingTotals {
        self.totals
    }

    /// When a GOP last had to leave before its time; `None`: never.
    pub fn squeezed_at(&self) -> Option<Instant> {
        self.squeezed_at
    }

    /// The bounds.
    pub fn options(&self) -> RingOptions {
        self.options
    }

    fn newest_gop(&self) -> Option<&Gop> {
        let held = self.growing.as_ref().or_else(|| self.ended.back())?;
        Some(&held.gop)
    }

    fn oldest_key_frame(&self) -> Option<&Frame> {
        let held = self.ended.front().or(self.growing.as_ref())?;
        Some(held.gop.key_frame())
    }

    fn start_gop(&mut self, key_frame: Frame) {
        if let Some(held) = &self.growing {
            let end = if held.gop.run().id != key_frame.run.id {
                GopEnd::RunEnded
            } else if held.gop.params() != &key_frame.params {
                GopEnd::ParamsChanged
            } else {
                GopEnd::NextKey
            };
            self.end_gop(end);
        }
        self.is_shedding = false;
        let bytes = frame_bytes(&key_frame);
        self.bytes += bytes;
        let gop = Arc::new(Gop {
            seq: GopSeq(self.next_seq),
            frames: vec![key_frame],
            end: None,
        });
        self.next_seq += 1;
        self.growing = Some(Held { gop, bytes });
    }

    fn grow(&mut self, frame: Frame) -> Result<(), Pushed> {
        if self.is_shedding {
            self.totals.n_frames_too_long += 1;
            return Err(Pushed::TooLong);
        }
        let bytes = frame_bytes(&frame);
        let end = match &self.growing {
            None => {
                self.totals.n_frames_no_key += 1;
                return Err(Pushed::NoKeyFrame);
            }
            Some(held) if held.gop.run().id != frame.run.id => GopEnd::RunEnded,
            Some(held) if held.gop.params() != &frame.params => GopEnd::ParamsChanged,
            Some(held)
                if held.bytes.saturating_add(bytes) > self.options.bytes_max
                    || media_span(held.gop.key_frame(), &frame) > GOP_MAX =>
            {
                self.is_shedding = true;
                GopEnd::TooLong
            }
            Some(_) => {
                self.bytes += bytes;
                if let Some(held) = &mut self.growing {
                    held.bytes += bytes;
                    // Copies the list (not the pictures) only while someone holds a snapshot.
                    Arc::make_mut(&mut held.gop).frames.push(frame);
                }
                return Ok(());
            }
        };
        self.end_gop(end);
        Err(if self.is_shedding {
            self.totals.n_frames_too_long += 1;
            Pushed::TooLong
        } else {
            self.totals.n_frames_no_key += 1;
            Pushed::NoKeyFrame
        })
    }

    fn end_gop(&mut self, end: GopEnd) {
        if let Some(mut held) = self.growing.take() {
            let gop = Arc::make_mut(&mut held.gop);
            gop.end = Some(end);
            gop.frames.shrink_to_fit();
            self.ended.push_back(held);
        }
    }

    /// Lets the oldest GOP go once the *next* key frame is old enough, so that the oldest frame kept
    /// is never younger than the pre-roll; and whatever `bytes_max` demands.
    fn evict(&mut self) {
        let media_max = Duration::from_millis(self.options.media_ms_max);
        loop {
            let next = self.ended.get(1).or(self.growing.as_ref());
            let is_old = match (next, self.newest_frame()) {
                (Some(next), Some(newest)) => age(next.gop.key_frame(), newest) >= media_max,
                _ => false,
            };
            let is_over = self.bytes > self.options.bytes_max;
            let has_newer = self.ended.len() > 1 || self.growing.is_some();
            if !(is_old || (is_over && has_newer)) {
                return;
            }
            let Some(held) = self.ended.pop_front() else {
                return;
            };
            self.bytes -= held.bytes;
            if !is_old {
                self.totals.n_gops_squeezed += 1;
                self.squeezed_at = self.newest_frame().map(|frame| frame.arrived);
            }
        }
    }
}

/// What a frame counts against `bytes_max`.
fn frame_bytes(frame: &Frame) -> usize {
    frame.data.len() + size_of::<Frame>()
}

fn media_span(from: &Frame, to: &Frame) -> Duration {
    let ns = ticks_to_ns(to.media.ticks_since(from.media));
    Duration::from_nanos(u64::try_from(ns).unwrap_or(0))
}

/// How old `frame` is, seen from `newest`. By arrival, and within a run also by media time, whichever
/// is less: a burst at connect arrives at once although it spans seconds, and a camera whose clock
/// runs fast claims seconds that have not passed. Less is the safe side: the GOP stays.
fn age(frame: &Frame, newest: &Frame) -> Duration {
    let by_arrival = newest.arrived.saturating_duration_since(frame.arrived);
    if frame.run.id == newest.run.id {
        by_arrival.min(media_span(frame, newest))
    } else {
        by_arrival
    }
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;

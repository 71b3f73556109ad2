//! What is asked of a keeper, and what it answers: windows, frames to write, settled clips.

use std::sync::Arc;

use tokio::time::Instant;

use super::ClipRequest;
use super::boxes::Flaw;
use super::kept::{FileId, Placed};
use crate::camera::{GopSeq, Run, VideoParams};
use crate::domain::clip::{ClipOutcome, GapReason};
use crate::time::MediaTime;

/// Frames of one GOP to be appended to a file as one fragment.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) file: FileId,
    /// Is it the first of a new file?
    pub(super) is_new: bool,
    pub(super) seq: GopSeq,
    pub(super) run: Arc<Run>,
    pub(super) params: Arc<VideoParams>,
    /// Never empty; the first is a key frame when `is_new`.
    pub(super) frames: Vec<Placed>,
    /// When the first frame's picture was taken.
    pub(super) taken_at: Instant,
    /// What is wrong with these frames, on the file's time line.
    pub(super) flaws: Vec<Flaw>,
    /// Does it complete its GOP?
    pub(super) is_whole: bool,
    /// Was the length of its last frame not known?
    pub(super) end_is_guess: bool,
    pub(super) base: MediaTime,
}

/// A clip whose outcome is known.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    pub(super) request: ClipRequest,
    pub(super) outcome: ClipOutcome,
}

/// An open clip.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) request: ClipRequest,
    /// Why frames at its beginning are missing, if they are; known once the ring was looked at.
    pub(super) lead: Option<GapReason>,
    /// When the ring was first looked at for it.
    pub(super) asked: Option<Instant>,
}

/// A GOP that a window needed and the disk has not taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct MissedGop {
    pub(super) from: Instant,
    pub(super) until: Instant,
    /// Has it left the ring, so that it never will be?
    pub(super) is_lost: bool,
}

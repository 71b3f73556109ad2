//! What a camera sent, so that a test can say which frames a clip must hold.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::time::MediaTime;

/// Frames remembered in a camera's log of what it sent.
const SENT_MAX: usize = 4_096;

/// A frame on its way to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentFrame {
    /// Count of frames of this film since the camera's start.
    pub number: u64,
    /// The frame's index within the film: what the picture shows.
    pub frame_idx: usize,
    /// Which film.
    pub film_idx: usize,
    /// Media time since the camera's start, the same for all sessions.
    pub at: MediaTime,
    /// When its packets were made; they leave at once unless the client reads too slowly.
    pub sent_at: Instant,
    /// Packets of it that were dropped by [`super::CameraFault::Drop`].
    pub n_dropped: u32,
    /// Can decoding start here?
    pub is_key: bool,
}

/// The last frames a camera sent, oldest first, whatever the session.
#[derive(Debug, Default)]
pub(super) struct SentLog {
    frames: Mutex<VecDeque<SentFrame>>,
    pub(super) n_frames: AtomicU64,
    pub(super) n_bytes: AtomicU64,
}

impl SentLog {
    pub(super) fn push(&self, frame: SentFrame, n_bytes: usize) {
        self.n_frames.fetch_add(1, Ordering::Relaxed);
        let n_bytes = u64::try_from(n_bytes).unwrap_or(0);
        self.n_bytes.fetch_add(n_bytes, Ordering::Relaxed);
        let mut frames = self.frames.lock();
        if frames.len() == SENT_MAX {
            frames.pop_front();
        }
        frames.push_back(frame);
    }

    pub(super) fn snapshot(&self) -> Vec<SentFrame> {
        self.frames.lock().iter().copied().collect()
    }
}

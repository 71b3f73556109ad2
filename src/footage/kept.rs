//! A file as the keeper remembers it, and what is wrong with the frames in it.
//!
//! Pure. Not here: the file itself (`file`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::boxes::Flaw;
use super::round::ticks;
use crate::camera::{Frame, GopSeq, Run, VideoParams};
use crate::domain::clip::{FootageName, GapReason};
use crate::time::MediaTime;

/// Longest file, so that one can be deleted, checked and read in reasonable time.
const FILE_MAX: Duration = Duration::from_secs(30 * 60);
/// How soon a file that could not be finished is tried again, and how often: for about as long as it counts
/// as one of this process's own.
const CLOSE_AGAIN: Duration = Duration::from_secs(5);
const CLOSE_TRIES_MAX: u32 = 100;
/// Longest time that one picture may stand; beyond it the camera counts as down.
pub(super) const FRAME_TICKS_MAX: i64 = 5 * MediaTime::HZ;

/// One file of a keeper, in the keeper's own count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FileId(pub(super) u64);

/// A frame and its place on the file's time line.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) frame: Frame,
    pub(super) at: MediaTime,
    pub(super) duration_ticks: i64,
}

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

/// A file as the keeper remembers it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) id: FileId,
    pub(super) name: FootageName,
    pub(super) run: Arc<Run>,
    pub(super) params: Arc<VideoParams>,
    /// Media time of the file's first frame: the zero of its time line.
    pub(super) base: MediaTime,
    /// Frames on the run's time line, strictly increasing, never empty; the oldest may have been
    /// forgotten.
    pub(super) frames: VecDeque<MediaTime>,
    pub(super) end: MediaTime,
    /// The frame after the last one was not known when that was written.
    pub(super) end_is_guess: bool,
    /// On the run's time line.
    pub(super) flaws: Vec<Flaw>,
    pub(super) first_seq: GopSeq,
    pub(super) last_seq: GopSeq,
    pub(super) last_is_whole: bool,
    /// The next GOP begins another file, whatever this one's state.
    pub(super) is_ended: bool,
    pub(super) life: Life,
    /// It could not be finished: when it is tried again.
    pub(super) close_after: Option<Instant>,
    n_close_tries: u32,
    /// What is known to be on the disk.
    pub(super) synced: Option<Synced>,
    pub(super) unsynced_since: Option<Instant>,
}

/// Where a file is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// Frames may be appended.
    Open,
    /// A write to it failed: nothing more may be appended.
    Broken,
    /// Finished.
    Closed,
}

/// How far a file was when the disk last confirmed it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Synced {
    pub(super) end: MediaTime,
    pub(super) last_seq: GopSeq,
    /// Frames of the GOP `last_seq`.
    pub(super) n_of_last: usize,
}

/// A GOP that a window needed and the disk has not taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct MissedGop {
    pub(super) from: Instant,
    pub(super) until: Instant,
    /// Why the disk has not taken it.
    pub(super) reason: GapReason,
    /// Has it left the ring, so that it never will be?
    pub(super) is_lost: bool,
}

impl Kept {
    /// A file that its first write is about to fill.
    pub(super) fn new(write: &Write, name: FootageName) -> Kept {
        Kept {
            id: write.file,
            name,
            run: Arc::clone(&write.run),
            params: Arc::clone(&write.params),
            base: write.base,
            frames: VecDeque::new(),
            end: write.base,
            end_is_guess: false,
            flaws: Vec::new(),
            first_seq: write.seq,
            last_seq: write.seq,
            last_is_whole: false,
            is_ended: false,
            life: Life::Open,
            close_after: None,
            n_close_tries: 0,
            synced: None,
            unsynced_since: None,
        }
    }

    /// It could not be finished: is it worth another try? Nothing more is appended either way.
    pub(super) fn close_again(&mut self, now: Instant) -> bool {
        self.n_close_tries += 1;
        let again = self.n_close_tries < CLOSE_TRIES_MAX;
        self.life = if again { Life::Broken } else { Life::Closed };
        self.close_after = Some(now + CLOSE_AGAIN);
        again
    }

    /// Takes in the frames of a write.
    pub(super) fn append(&mut self, write: &Write, now: Instant) {
        let on_run = |at: MediaTime| at.plus_ticks(write.base.0);
        for placed in &write.frames {
            self.frames.push_back(on_run(placed.at));
            self.end = on_run(placed.at).plus_ticks(placed.duration_ticks);
        }
        for flaw in &write.flaws {
            self.add_flaw(flaw.plus_ticks(write.base.0));
        }
        self.last_seq = write.seq;
        self.last_is_whole = write.is_whole;
        self.end_is_guess = write.end_is_guess;
        self.unsynced_since.get_or_insert(now);
    }

    /// Forgets what came after `synced`.
    pub(super) fn cut_to(&mut self, synced: Synced) {
        self.end = synced.end;
        self.last_seq = synced.last_seq;
        while self.frames.len() > 1 && self.frames.back().is_some_and(|at| *at >= synced.end) {
            self.frames.pop_back();
        }
        self.flaws.retain_mut(|flaw| {
            flaw.to = flaw.to.min(synced.end);
            flaw.from < flaw.to
        });
    }

    /// Forgets frames that are not shown at `bound` or later.
    pub(super) fn forget_before(&mut self, bound: MediaTime) {
        while self.frames.get(1).is_some_and(|second| *second <= bound) {
            self.frames.pop_front();
        }
        self.flaws.retain(|flaw| flaw.to >= bound);
    }

    /// Takes in that the frame after its last one is at `next`.
    pub(super) fn learn_end(&mut self, next: MediaTime) {
        let Some(last) = self.frames.back().copied() else {
            return;
        };
        if next.ticks_since(last) > FRAME_TICKS_MAX {
            self.add_flaw(Flaw {
                from: last,
                to: next,
                reason: GapReason::CameraDown,
            });
        }
        let until = next.min(last.plus_ticks(FRAME_TICKS_MAX));
        let end = until.max(last.plus_ticks(1));
        if let Some(damage) = self.damage_at_end() {
            // The last picture is no better for standing longer, and neither is what follows it.
            damage.to = end;
        }
        self.end = end;
        self.end_is_guess = false;
    }

    /// Has it reached its greatest length?
    pub(super) fn is_full(&self) -> bool {
        self.end.ticks_since(self.base) >= ticks(FILE_MAX)
    }

    pub(super) fn add_flaw(&mut self, flaw: Flaw) {
        match self.flaws.last_mut() {
            Some(last) if last.reason == flaw.reason && last.to >= flaw.from => {
                last.to = last.to.max(flaw.to);
            }
            _ => self.flaws.push(flaw),
        }
    }

    /// Did packets get lost in its newest GOP, so that the rest of that GOP is damaged too?
    fn ends_damaged(&self) -> bool {
        let is_lost = |flaw: &&Flaw| flaw.reason == GapReason::PacketsLost;
        let last = self.flaws.iter().rfind(is_lost);
        last.is_some_and(|flaw| flaw.to >= self.end)
    }

    fn damage_at_end(&mut self) -> Option<&mut Flaw> {
        let end = self.end;
        let mut flaws = self.flaws.iter_mut();
        let last = flaws.rfind(|flaw| flaw.reason == GapReason::PacketsLost);
        last.filter(|flaw| flaw.to >= end)
    }
}

/// What is wrong with `frames`: lost packets damage the pictures from the frame before the loss to
/// the next key frame, and a picture must not stand for longer than [`FRAME_TICKS_MAX`]. `file`: where they
/// are appended; `continues`: they go on with its last GOP.
pub(super) fn flaws_of(file: Option<&Kept>, continues: bool, frames: &[Placed]) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    let file_end = |kept: &Kept| Some(kept.frames.back()?.plus_ticks(-kept.base.0));
    let mut before = file.and_then(file_end);
    let is_damaged = continues && file.is_some_and(Kept::ends_damaged);
    let mut since = before.filter(|_| is_damaged);
    for placed in frames {
        let Placed { frame, at, .. } = placed;
        let flaw = |from: MediaTime, reason| Flaw {
            from,
            to: *at,
            reason,
        };
        if frame.is_key && frame.n_lost > 0 {
            // The key frame itself mends the picture.
            flaws.extend(before.map(|from| flaw(from, GapReason::PacketsLost)));
        } else if frame.n_lost > 0 {
            since = since.or(before).or(Some(*at));
        }
        if let Some(before) = before.filter(|from| at.ticks_since(*from) > FRAME_TICKS_MAX) {
            flaws.push(flaw(before, GapReason::CameraDown));
        }
        if placed.duration_ticks > FRAME_TICKS_MAX {
            flaws.push(Flaw {
                from: *at,
                to: at.plus_ticks(placed.duration_ticks),
                reason: GapReason::CameraDown,
            });
        }
        before = Some(*at);
    }
    if let (Some(from), Some(last)) = (since, frames.last()) {
        flaws.push(Flaw {
            from,
            to: last.at.plus_ticks(last.duration_ticks),
            reason: GapReason::PacketsLost,
        });
    }
    flaws
}

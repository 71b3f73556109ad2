//! Which frames of a camera's ring go to which file, and when a clip is settled.
//!
//! Pure: it does no I/O, knows no clock but its arguments, and waits for nothing. `task` carries it
//! out, round by round: [`Keeper::begin`] with what the ring holds, [`Keeper::next_write`] until
//! there is none, [`Keeper::syncs`], [`Keeper::settle`], [`Keeper::closes`]. All steps of a round
//! see the same frames and the same clock maps.
//!
//! Rules:
//! - A GOP is kept when it meets the window of a clip that is open. It is appended to the file that
//!   ends where it begins, so footage that several clips share is stored once.
//! - A file is one run with one set of parameters and without a hole, dated by one setting of the
//!   wall clock; anything else begins another.
//! - A GOP that still grows is written as far as it has come when a window ends in it, or when much
//!   of it is not on disk yet; the rest follows as a fragment of its own.
//! - A file stays open for a while after its last window, since the next swipe often continues it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::ClipRequest;
use super::kept::{
    FRAME_TICKS_MAX, FileId, Kept, Life, MissedGop, Placed, Synced, Write, flaws_of,
};
use super::round::{Round, SLACK, has_passed, lead_reason, meets, ticks};
use super::window::{Settled, Window};
use crate::camera::{Frame, Gop, GopEnd, GopSeq, SILENCE_MAX};
use crate::domain::clip::{FootageName, GapReason};
use crate::domain::id::EntryId;
use crate::time::MediaTime;

/// How long after a window's end its clip waits for the first frame after it: several frames of the
/// slowest camera worth keeping (2 frames a second), and the delay of a bad network.
pub(super) const GRACE: Duration = Duration::from_secs(2);
/// The same while the camera's session lives although nothing comes: the network may have stopped for
/// a while and then bring all at once. The session ends when it is silent for so long.
pub(super) const STALL_MAX: Duration = SILENCE_MAX;
/// Most media time of a growing GOP that is not on disk while a window is open: what a crash costs.
const PART_MAX: Duration = Duration::from_secs(4);
/// Longest time that written frames wait for the disk to confirm them when no clip is settled.
const SYNC_EVERY: Duration = Duration::from_secs(10);
/// Rest after a failed write, before the frames still in the ring are tried again.
const DISK_RETRY: Duration = Duration::from_secs(1);
/// How soon a file that cannot be closed yet is looked at again when no frames come.
const RECHECK: Duration = Duration::from_secs(5);
/// How long the frames of closed files are remembered: a window may reach back so far.
const REMEMBERED: Duration = Duration::from_secs(120);
/// Duration given to a frame whose successor is not known, when nothing else is: 25 a second.
const FRAME_TICKS: i64 = MediaTime::HZ / 25;

/// The keeper of one camera.
#[derive(Debug)]
pub(super) struct Keeper {
    /// When the gateway began to look at its cameras.
    pub(super) started: Instant,
    linger: Duration,
    windows: BTreeMap<EntryId, Window>,
    pub(super) kept: BTreeMap<FileId, Kept>,
    /// In which file each GOP lies, and how many of its frames.
    stored: BTreeMap<GopSeq, (FileId, usize)>,
    pub(super) missed: BTreeMap<GopSeq, MissedGop>,
    next_file: u64,
    blocked_until: Option<Instant>,
    /// Why the disk refused what it last refused.
    pub(super) refused_for: GapReason,
    idle_since: Option<Instant>,
    last_seen: Option<GopSeq>,
    /// When the newest picture of the last round was taken.
    looked_at: Option<Instant>,
    /// Until when frames may still come all at once; `None`: the newest run has ended.
    awaited_until: Option<Instant>,
    pub(super) is_closing: bool,
    n_gops_lost: u64,
}

impl Keeper {
    /// A keeper with nothing to do. `linger`: how long a file stays open after its last window.
    pub(super) fn new(started: Instant, linger: Duration) -> Keeper {
        Keeper {
            started,
            linger,
            windows: BTreeMap::new(),
            kept: BTreeMap::new(),
            stored: BTreeMap::new(),
            missed: BTreeMap::new(),
            next_file: 0,
            blocked_until: None,
            refused_for: GapReason::DiskFull,
            idle_since: None,
            last_seen: None,
            looked_at: None,
            awaited_until: None,
            is_closing: false,
            n_gops_lost: 0,
        }
    }

    /// Opens the window of `request`; a window of the same entry that is open already stays.
    pub(super) fn request(&mut self, request: ClipRequest) {
        let window = Window {
            request,
            lead: None,
            asked: None,
        };
        self.windows.entry(window.request.entry).or_insert(window);
    }

    /// From now on every window is over, and every file.
    pub(super) fn close(&mut self) {
        self.is_closing = true;
    }

    /// Has it anything to do when frames come?
    pub(super) fn is_active(&self) -> bool {
        !self.windows.is_empty() || self.kept.values().any(|kept| kept.life != Life::Closed)
    }

    /// GOPs that a window needed and that never reached the disk, since process start.
    pub(super) fn n_gops_lost(&self) -> u64 {
        self.n_gops_lost
    }

    /// When it must be asked again even if no frame comes; `None`: not before a request or a frame.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let ends = self.windows.values().map(|w| self.due_at(w));
        let retry = self.blocked_until.filter(|at| *at > now);
        let open = || self.kept.values().filter(|kept| kept.life != Life::Closed);
        let syncs = open().filter_map(|kept| Some(kept.unsynced_since? + SYNC_EVERY));
        let linger = self.idle_since.filter(|_| open().next().is_some());
        let closes = linger.map(|at| (at + self.linger).max(now + RECHECK));
        ends.chain(retry).chain(syncs).chain(closes).min()
    }

    /// Is the ring worth a look, now that its newest GOP is `newest`, its newest picture was taken at
    /// `taken_at`, and the camera `is_streaming` or not?
    pub(super) fn wants(
        &self,
        newest: Option<GopSeq>,
        taken_at: Option<Instant>,
        is_streaming: bool,
    ) -> bool {
        if newest != self.last_seen || is_streaming != self.awaited_until.is_some() {
            return true;
        }
        let Some(taken_at) = taken_at else {
            return false;
        };
        let has_ended = |w: &Window| taken_at >= w.request.to;
        let looked = self.looked_at;
        let is_part = looked.is_none_or(|at| taken_at.saturating_duration_since(at) >= PART_MAX);
        self.windows.values().any(has_ended) || (!self.windows.is_empty() && is_part)
    }

    /// Begins a round with all GOPs of the ring, oldest first.
    pub(super) fn begin(&mut self, now: Instant, gops: Vec<Arc<Gop>>) -> Round {
        let round = Round::new(now, gops, self.kept.values().map(|kept| &kept.run));
        self.forget(&round);
        self.count_losses(&round);
        self.learn_ends(&round);
        for window in self.windows.values_mut() {
            if window.asked.is_none() {
                window.asked = Some(now);
                window.lead = Some(lead_reason(&round, window.request.from));
            }
        }
        if self.blocked_until.is_some_and(|until| now < until) {
            self.miss(&round);
        }
        self.last_seen = round.gops.last().map(|gop| gop.seq);
        let newest = round.gops.last().map(|gop| gop.last());
        self.looked_at = newest.and_then(|frame| round.instant_of(&frame.run, frame.media));
        let last = round.gops.last();
        let lives = last.filter(|gop| gop.end != Some(GopEnd::RunEnded));
        self.awaited_until = lives.map(|gop| gop.last().arrived + STALL_MAX);
        self.idle_since = match (self.windows.is_empty(), self.idle_since) {
            (false, _) => None,
            (true, since) => Some(since.unwrap_or(now)),
        };
        round
    }

    /// The next frames to append; `None` when nothing more is to be written in this round. The
    /// answer goes to [`Keeper::wrote`] before the next is asked for.
    pub(super) fn next_write(&self, round: &Round) -> Option<Write> {
        if self.blocked_until.is_some_and(|until| round.now < until) {
            return None;
        }
        (0..round.gops.len()).find_map(|idx| self.write_of(round, idx))
    }

    /// From now on GOPs begin another file than `file`; false when they did before.
    pub(super) fn end_file(&mut self, file: FileId) -> bool {
        let kept = self.kept.get_mut(&file);
        kept.is_some_and(|kept| !std::mem::replace(&mut kept.is_ended, true))
    }

    /// Takes in how a write went: the file's name, or why the disk refused.
    pub(super) fn wrote(
        &mut self,
        round: &Round,
        write: &Write,
        result: Result<FootageName, GapReason>,
    ) {
        if write.is_new {
            self.next_file = write.file.0 + 1;
        }
        let name = match result {
            Ok(name) => name,
            Err(reason) => {
                self.write_failed(round, write, reason);
                return;
            }
        };
        let kept = self.kept.entry(write.file);
        kept.or_insert_with(|| Kept::new(write, name))
            .append(write, round.now);
        self.missed.remove(&write.seq);
        let entry = self.stored.entry(write.seq).or_insert((write.file, 0));
        if entry.0 != write.file {
            *entry = (write.file, 0);
        }
        entry.1 += write.frames.len();
    }

    /// The files whose frames must now reach the disk, because a clip is settled, the file is new or
    /// they have waited for long. The answer goes to [`Keeper::synced`].
    pub(super) fn syncs(&self, round: &Round) -> Vec<FileId> {
        let any_due = self.windows.values().any(|w| self.is_due(round, w));
        let must = |kept: &&Kept| {
            kept.unsynced_since.is_some_and(|since| {
                let waits = round.now.saturating_duration_since(since) >= SYNC_EVERY;
                any_due || waits || kept.life == Life::Broken || kept.synced.is_none()
            })
        };
        let files = self.kept.values().filter(must);
        files.map(|kept| kept.id).collect()
    }

    /// Takes in whether the disk confirmed all that was written to `file`, or why not.
    pub(super) fn synced(&mut self, round: &Round, file: FileId, result: Result<(), GapReason>) {
        let Some(kept) = self.kept.get_mut(&file) else {
            return;
        };
        kept.unsynced_since = None;
        if let Err(reason) = result {
            self.refused_for = reason;
            self.sync_failed(round.now, file);
        } else {
            let stored = self.stored.get(&kept.last_seq);
            kept.synced = Some(Synced {
                end: kept.end,
                last_seq: kept.last_seq,
                n_of_last: stored.map_or(0, |(_, n)| *n),
            });
        }
    }

    /// Takes in that `file` could not be finished, and whether all that was written to it is on the disk all
    /// the same. [`Keeper::closes`] gives it again after a while; returns whether it will.
    pub(super) fn close_failed(
        &mut self,
        round: &Round,
        file: FileId,
        confirmed: Result<(), GapReason>,
    ) -> bool {
        self.synced(round, file, confirmed);
        let kept = self.kept.get_mut(&file);
        kept.is_some_and(|kept| kept.close_again(round.now))
    }

    /// The clips whose outcome is known in this round. Called after the syncs: what is not on the disk
    /// does not count.
    pub(super) fn settle(&mut self, round: &Round) -> Vec<Settled> {
        let due: Vec<EntryId> = self
            .windows
            .iter()
            .filter(|(_, window)| self.is_due(round, window))
            .map(|(entry, _)| *entry)
            .collect();
        let mut settled = Vec::with_capacity(due.len());
        for entry in due {
            let Some(window) = self.windows.remove(&entry) else {
                continue;
            };
            let outcome = super::resolve::outcome(self, round, &window);
            settled.push(Settled {
                request: window.request,
                outcome,
            });
        }
        if self.windows.is_empty() {
            self.idle_since.get_or_insert(round.now);
        }
        settled
    }

    /// The files that are finished in this round.
    pub(super) fn closes(&mut self, round: &Round) -> Vec<FileId> {
        let is_due = |kept: &&Kept| {
            let is_time = kept.close_after <= Some(round.now) && self.is_finished(round, kept);
            kept.life != Life::Closed && (self.is_closing || is_time)
        };
        let due = self.kept.values().filter(is_due);
        let finished: Vec<FileId> = due.map(|kept| kept.id).collect();
        for id in &finished {
            if let Some(kept) = self.kept.get_mut(id) {
                kept.life = Life::Closed;
            }
        }
        if !self.is_active() {
            // GOPs that pass while nobody looks are not lost.
            self.last_seen = None;
        }
        finished
    }

    /// Is the outcome of `window` known as soon as this round's frames are on the disk?
    fn is_due(&self, round: &Round, window: &Window) -> bool {
        let is_blocked = self.blocked_until.is_some_and(|until| round.now < until);
        let has_passed = !is_blocked && has_passed(round, window.request.to);
        self.is_closing || has_passed || round.now >= self.due_at(window)
    }

    /// When the outcome of `window` must be told whatever comes. While the disk rests after a failure
    /// its frames, which are still in the ring, get another try.
    fn due_at(&self, window: &Window) -> Instant {
        let to = window.request.to;
        let last = window.asked.map_or(to, |asked| asked.max(to)) + GRACE;
        let awaited = self.awaited_until.map(|until| until.min(to + STALL_MAX));
        let due = awaited.map_or(to + GRACE, |until| until.max(to + GRACE));
        self.blocked_until
            .map_or(due, |until| due.max(until.min(last)))
    }

    fn is_finished(&self, round: &Round, kept: &Kept) -> bool {
        if kept.life == Life::Broken {
            return true;
        }
        let oldest = round.gops.first().map_or(GopSeq(0), |gop| gop.seq);
        let next = GopSeq(kept.last_seq.0 + 1);
        if kept.last_is_whole {
            let last = round.gops.iter().find(|gop| gop.seq == kept.last_seq);
            let goes_on = last.is_none_or(|gop| match gop.end {
                None | Some(GopEnd::NextKey) => true,
                Some(GopEnd::ParamsChanged | GopEnd::RunEnded | GopEnd::TooLong) => false,
            });
            if !goes_on || oldest > next || self.stored.contains_key(&next) || kept.is_full() {
                return true;
            }
        } else {
            // The rest of a GOP that lies here in part can only be appended here, so the file stays
            // open while the next window may reach back into that GOP.
            let last = round.gops.iter().find(|gop| gop.seq == kept.last_seq);
            let Some(last) = last else {
                return true;
            };
            let stands_until = last.last().media.plus_ticks(FRAME_TICKS_MAX + ticks(SLACK));
            let end = round.instant_of(last.run(), stands_until);
            if end.is_some_and(|end| end + self.linger > round.now) {
                return false;
            }
        }
        self.idle_since
            .is_some_and(|since| round.now.saturating_duration_since(since) >= self.linger)
    }

    /// What of the GOP at `idx` is to be written now.
    fn write_of(&self, round: &Round, idx: usize) -> Option<Write> {
        let gop = round.gops.get(idx)?;
        let stored = self.stored.get(&gop.seq).copied();
        let open_file = |id: FileId| self.kept.get(&id).filter(|k| k.life == Life::Open);
        // A file that broke in the middle of a GOP cannot be continued: the GOP is written anew.
        let (file, n_stored) = match stored {
            Some((id, n)) if n >= gop.frames.len() || open_file(id).is_some() => (open_file(id), n),
            Some(_) | None => (self.file_before(gop), 0),
        };
        let n_ready = self.n_ready(round, idx, n_stored);
        if n_ready <= n_stored {
            return None;
        }
        let base = file.map_or(gop.key_frame().media, |kept| kept.base);
        let mut after = file.and_then(|kept| kept.frames.back()).copied();
        let mut frames = Vec::with_capacity(n_ready - n_stored);
        let mut end_is_guess = false;
        for (frame_idx, frame) in gop.frames.iter().enumerate().take(n_ready).skip(n_stored) {
            let at = after.map_or(frame.media, |last| frame.media.max(last.plus_ticks(1)));
            let next = gop.frames.get(frame_idx + 1);
            let next = next.or_else(|| round.next_in_run(idx).map(Gop::key_frame));
            let guess = after.map_or(FRAME_TICKS, |last| at.ticks_since(last));
            let duration_ticks = match next {
                Some(next) => next.media.ticks_since(at).max(1),
                None => guess.clamp(1, FRAME_TICKS_MAX),
            };
            after = Some(at);
            end_is_guess = next.is_none();
            frames.push(Placed {
                frame: frame.clone(),
                at: at.plus_ticks(-base.0),
                duration_ticks,
            });
        }
        let first = frames.first()?;
        let taken_at = round
            .instant_of(gop.run(), first.frame.media)
            .unwrap_or(first.frame.arrived);
        Some(Write {
            file: file.map_or(FileId(self.next_file), |kept| kept.id),
            is_new: file.is_none(),
            seq: gop.seq,
            run: Arc::clone(gop.run()),
            params: Arc::clone(gop.params()),
            taken_at,
            flaws: flaws_of(file, n_stored > 0, &frames),
            frames,
            is_whole: gop.end.is_some() && n_ready == gop.frames.len(),
            end_is_guess,
            base,
        })
    }

    /// The open file that ends where `gop` begins.
    fn file_before(&self, gop: &Gop) -> Option<&Kept> {
        self.kept.values().find(|kept| {
            kept.life == Life::Open
                && !kept.is_full()
                && !kept.is_ended
                && kept.last_is_whole
                && kept.last_seq.0 + 1 == gop.seq.0
                && kept.run.id == gop.run().id
                && kept.params == *gop.params()
        })
    }

    /// How many frames of the GOP at `idx`, from its first, should be on disk now.
    fn n_ready(&self, round: &Round, idx: usize, n_stored: usize) -> usize {
        let Some(gop) = round.gops.get(idx) else {
            return 0;
        };
        let needs = |w: &&Window| meets(round, idx, w.request.from, w.request.to);
        if gop.end.is_some() {
            let is_needed = self.windows.values().any(|w| needs(&w));
            return if is_needed { gop.frames.len() } else { 0 };
        }
        // The newest frame is held back while its duration is not known.
        let n_known = gop.frames.len() - 1;
        let unwritten = gop.frames.get(n_stored..).and_then(<[Frame]>::first);
        let is_long = unwritten
            .is_some_and(|first| gop.last().media.ticks_since(first.media) >= ticks(PART_MAX));
        let wanted = |w: &Window| {
            if !self.is_due(round, w) {
                if is_long { n_known } else { 0 }
            } else if has_passed(round, w.request.to) {
                n_known
            } else {
                gop.frames.len()
            }
        };
        let windows = self.windows.values().filter(needs);
        windows.map(wanted).max().unwrap_or(0)
    }

    /// Notes what windows need while the disk rests after a failure.
    fn miss(&mut self, round: &Round) {
        for (idx, gop) in round.gops.iter().enumerate() {
            let mut windows = self.windows.values();
            let is_needed = windows.any(|w| meets(round, idx, w.request.from, w.request.to));
            let is_stored = self.stored.contains_key(&gop.seq);
            let begins = round.instant_of(gop.run(), gop.key_frame().media);
            let ends = round.instant_of(gop.run(), gop.last().media);
            if let (Some(from), Some(until), true, false) = (begins, ends, is_needed, is_stored) {
                let is_lost = false;
                let missed = MissedGop {
                    from,
                    until,
                    reason: self.refused_for,
                    is_lost,
                };
                self.missed.insert(gop.seq, missed);
            }
        }
    }

    /// The disk took none of `write`: its file is finished, its frames are tried again in another.
    fn write_failed(&mut self, round: &Round, write: &Write, reason: GapReason) {
        let last = write.frames.last().map(|placed| placed.frame.media);
        let until = last.and_then(|last| round.instant_of(&write.run, last));
        let missed = MissedGop {
            from: write.taken_at,
            until: until.unwrap_or(write.taken_at),
            reason,
            is_lost: false,
        };
        self.refused_for = reason;
        self.missed.insert(write.seq, missed);
        self.refused(round.now, write.file);
    }

    /// Nothing more goes to `file`, and for a while to none.
    fn refused(&mut self, now: Instant, file: FileId) {
        self.blocked_until = Some(now + DISK_RETRY);
        if let Some(kept) = self.kept.get_mut(&file) {
            kept.life = Life::Broken;
        }
    }

    /// The disk did not confirm what was written to `file`: only what it confirmed before counts.
    fn sync_failed(&mut self, now: Instant, file: FileId) {
        self.refused(now, file);
        let Some(kept) = self.kept.get_mut(&file) else {
            return;
        };
        let Some(synced) = kept.synced else {
            self.kept.remove(&file);
            self.stored.retain(|_, (id, _)| *id != file);
            return;
        };
        kept.cut_to(synced);
        self.stored.retain(|seq, (id, n)| {
            if *id == file && *seq == synced.last_seq {
                *n = synced.n_of_last;
            }
            *id != file || *seq <= synced.last_seq
        });
    }

    /// Forgets files and frames that no window can reach any more.
    fn forget(&mut self, round: &Round) {
        let Some(horizon) = round.now.checked_sub(REMEMBERED) else {
            return;
        };
        let froms = self.windows.values().map(|w| w.request.from);
        let horizon = froms.chain([horizon]).min().unwrap_or(horizon);
        let ends_before = |kept: &Kept| {
            round
                .instant_of(&kept.run, kept.end)
                .is_some_and(|end| end < horizon)
        };
        self.kept
            .retain(|_, kept| kept.life != Life::Closed || !ends_before(kept));
        let kept_files = &self.kept;
        let oldest = round.gops.first().map(|gop| gop.seq);
        // What is still in the ring must be known as stored, or it would be stored again.
        self.stored.retain(|seq, (id, _)| {
            kept_files.contains_key(id) || oldest.is_some_and(|oldest| *seq >= oldest)
        });
        self.missed.retain(|_, missed| missed.until >= horizon);
        for kept in self.kept.values_mut() {
            let Some(bound) = round.media_of(&kept.run, horizon) else {
                continue;
            };
            kept.forget_before(bound);
        }
    }

    /// Corrects the end of files whose last frame was written before its successor was known.
    fn learn_ends(&mut self, round: &Round) {
        for kept in self.kept.values_mut() {
            let last = |(_, gop): &(usize, &Arc<Gop>)| gop.seq == kept.last_seq;
            let Some((idx, gop)) = round.gops.iter().enumerate().find(last) else {
                continue;
            };
            let n_stored = match self.stored.get(&gop.seq) {
                Some((file, n)) if *file == kept.id => *n,
                _ => continue,
            };
            let rest = gop.frames.get(n_stored).map(|frame| frame.media);
            kept.last_is_whole |= rest.is_none() && gop.end.is_some();
            let next = rest.or_else(|| Some(round.next_in_run(idx)?.key_frame().media));
            if let Some(next) = next {
                kept.learn_end(next);
            }
        }
    }

    /// Counts GOPs that windows needed and that left the ring unwritten.
    fn count_losses(&mut self, round: &Round) {
        let Some(oldest) = round.gops.first().map(|gop| gop.seq) else {
            return;
        };
        if let Some(seen) = self.last_seen.filter(|_| !self.windows.is_empty()) {
            self.n_gops_lost += oldest.0.saturating_sub(seen.0 + 1);
        }
        for (_, missed) in self.missed.range_mut(..oldest) {
            self.n_gops_lost += u64::from(!missed.is_lost);
            missed.is_lost = true;
        }
    }
}

#[cfg(test)]
#[path = "keeper_bench.rs"]
mod bench;
#[cfg(test)]
#[path = "keeper_model_tests.rs"]
mod model_tests;
#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;

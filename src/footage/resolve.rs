//! What became of a clip: its spans, to the frame, and its gaps, each with a reason.
//!
//! Pure. Not here: which frames are kept (`keeper`), and clips found in files alone (`past`).

use tokio::time::Instant;

use super::keeper::{GRACE, Keeper};
use super::kept::{FRAME_TICKS_MAX, Kept};
use super::round::Round;
use super::window::Window;
use crate::domain::clip::{ClipOutcome, Gap, GapReason, MissedReason, Span};
use crate::time::{MediaTime, WallTime, signed_ns};

/// The outcome of `window`, from what `keeper` has on disk at the end of `round`.
pub(super) fn outcome(keeper: &Keeper, round: &Round, window: &Window) -> ClipOutcome {
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    let mut files: Vec<&Kept> = keeper.kept.values().collect();
    files.sort_by_key(|kept| kept.first_seq);
    for kept in files {
        let Some(piece) = Piece::of(round, window, kept, pieces.last()) else {
            continue;
        };
        if let (Some(before), Some(next)) = (pieces.last_mut(), piece.repeats_up_to) {
            before.stand_until(round, next);
        }
        pieces.push(piece);
    }
    let mut gaps = Gaps {
        window,
        gaps: Vec::new(),
    };
    let mut covered = window.request.from;
    let mut before: Option<&Piece<'_>> = None;
    for piece in &pieces {
        match before {
            None if piece.is_late => lead(&mut gaps, keeper, piece.from_at),
            Some(before) if !piece.continues => {
                let reason = reason_between(keeper, before, piece);
                gaps.add(before.to_at, piece.from_at, reason);
            }
            _ => {}
        }
        for (from, to, reason) in &piece.flaws {
            gaps.add(*from, *to, *reason);
        }
        covered = piece.to_at;
        before = Some(piece);
    }
    match before {
        None => return missed(keeper, window),
        Some(last) if !last.reaches_end => trail(&mut gaps, keeper, round, last, covered),
        Some(_) => {}
    }
    let spans = pieces.into_iter().map(|piece| piece.span).collect();
    let gaps = disjoint(&gaps.gaps);
    if gaps.is_empty() {
        ClipOutcome::Whole(spans)
    } else {
        ClipOutcome::Partial { spans, gaps }
    }
}

/// The part of a file that a window shows.
struct Piece<'a> {
    kept: &'a Kept,
    span: Span,
    from_at: Instant,
    to_at: Instant,
    /// Its last frame, and its end, on the run's time line.
    last: MediaTime,
    end: MediaTime,
    /// Its file begins with frames that the piece before it shows; the first after those.
    repeats_up_to: Option<MediaTime>,
    /// Its first frame comes after the window's first moment.
    is_late: bool,
    /// It begins where the piece before it ends.
    continues: bool,
    reaches_end: bool,
    flaws: Vec<(Instant, Instant, GapReason)>,
}

impl<'a> Piece<'a> {
    fn of(
        round: &Round,
        window: &Window,
        kept: &'a Kept,
        before: Option<&Piece<'_>>,
    ) -> Option<Piece<'a>> {
        let request = &window.request;
        let from = round.media_of(&kept.run, request.from)?;
        let to = round.media_of(&kept.run, request.to)?;
        let before = before.filter(|before| before.kept.run.id == kept.run.id);
        let lower = before.map_or(from, |before| from.max(before.end));
        let first = *kept.frames.front()?;
        if kept.end <= lower || first >= to {
            return None;
        }
        let n_at_or_before = kept.frames.partition_point(|at| *at <= lower);
        let shown = n_at_or_before
            .checked_sub(1)
            .and_then(|idx| kept.frames.get(idx));
        let mut start = shown.copied().unwrap_or(first);
        // A GOP that was torn at the end of the file before lies here whole.
        let mut repeats_up_to = None;
        let mut since = start;
        if let Some(before) = before.filter(|before| first <= before.last && start <= before.last) {
            let n_repeated = kept.frames.partition_point(|at| *at <= before.last);
            start = *kept.frames.get(n_repeated).filter(|next| **next < to)?;
            repeats_up_to = Some(start);
            since = before.last;
        }
        let after = kept.frames.partition_point(|at| *at < to);
        let last = after.checked_sub(1).and_then(|idx| kept.frames.get(idx));
        let next = kept.frames.get(after).copied();
        // A guessed end must not take in frames that come later.
        let end = if kept.end_is_guess {
            kept.end.min(to)
        } else {
            kept.end
        };
        let stop = next.unwrap_or(end);
        let from_at = round.instant_of(&kept.run, start)?;
        let to_at = round.instant_of(&kept.run, stop)?;
        let flaws = kept.flaws.iter();
        let flaws = flaws.filter(|flaw| flaw.from < stop && flaw.to > since);
        let flaws = flaws.filter_map(|flaw| {
            let from = round.instant_of(&kept.run, flaw.from.max(since))?;
            let to = round.instant_of(&kept.run, flaw.to.min(stop))?;
            Some((from, to, flaw.reason))
        });
        Some(Piece {
            kept,
            span: Span {
                file: kept.name.clone(),
                from: start.plus_ticks(-kept.base.0),
                to: stop.plus_ticks(-kept.base.0),
                starts_at: wall_of(window, from_at),
            },
            from_at,
            to_at,
            last: last.copied().unwrap_or(start),
            end: stop,
            repeats_up_to,
            is_late: start > from,
            continues: before.is_some_and(|before| {
                let stands_ticks = start.ticks_since(before.last);
                start <= before.end || (repeats_up_to.is_some() && stands_ticks <= FRAME_TICKS_MAX)
            }),
            reaches_end: stop >= to,
            flaws: flaws.collect(),
        })
    }
}

impl Piece<'_> {
    /// Takes in that the frame after its last one is at `next`: the end of its file was a guess.
    fn stand_until(&mut self, round: &Round, next: MediaTime) {
        let end = next.min(self.last.plus_ticks(FRAME_TICKS_MAX));
        if let Some(to_at) = round.instant_of(&self.kept.run, end) {
            self.end = end;
            self.to_at = to_at;
            self.span.to = end.plus_ticks(-self.kept.base.0);
        }
    }
}

/// Collects gaps, cut to the window; empty ones are left out.
struct Gaps<'a> {
    window: &'a Window,
    gaps: Vec<Gap>,
}

impl Gaps<'_> {
    fn add(&mut self, from: Instant, to: Instant, reason: GapReason) {
        let request = &self.window.request;
        let (from, to) = (from.max(request.from), to.min(request.to));
        if from >= to {
            return;
        }
        let (from, to) = (wall_of(self.window, from), wall_of(self.window, to));
        self.gaps.push(Gap { from, to, reason });
    }
}

/// The same gaps in order and without overlap: where several reasons hold, that which leaves no
/// picture at all; what touches for one reason is joined.
pub(super) fn disjoint(gaps: &[Gap]) -> Vec<Gap> {
    let mut borders: Vec<WallTime> = gaps.iter().flat_map(|gap| [gap.from, gap.to]).collect();
    borders.sort_unstable();
    borders.dedup();
    let mut joined: Vec<Gap> = Vec::new();
    for (from, to) in borders.iter().zip(borders.iter().skip(1)) {
        let covers = |gap: &&Gap| gap.from <= *from && gap.to >= *to;
        let all = gaps.iter().filter(covers).map(|gap| gap.reason);
        let Some(reason) = all.min_by_key(|reason| *reason == GapReason::PacketsLost) else {
            continue;
        };
        match joined.last_mut() {
            Some(last) if last.reason == reason && last.to == *from => last.to = *to,
            _ => joined.push(Gap {
                from: *from,
                to: *to,
                reason,
            }),
        }
    }
    joined
}

/// The wall time of `at`, by the window's own labels: a step of the wall clock does not tear a clip.
fn wall_of(window: &Window, at: Instant) -> WallTime {
    let ns = signed_ns(at, window.request.from);
    WallTime::from_unix_ns(window.request.window.from.unix_ns().saturating_add(ns))
}

/// The gap at the window's beginning, up to the first frame at `until`.
fn lead(gaps: &mut Gaps<'_>, keeper: &Keeper, until: Instant) {
    let window = gaps.window;
    let from = window.request.from;
    if let Some(reason) = misses(keeper, from, until) {
        gaps.add(from, until, reason);
        return;
    }
    let up = keeper.started.min(until);
    gaps.add(from, up, GapReason::GatewayDown);
    let reason = window.lead.unwrap_or(GapReason::CameraDown);
    gaps.add(from.max(up), until, reason);
}

/// The gap after the last frame, which ended at `from`.
fn trail(gaps: &mut Gaps<'_>, keeper: &Keeper, round: &Round, last: &Piece<'_>, from: Instant) {
    let to = gaps.window.request.to;
    let newest = round.gops.last();
    let has_more =
        newest.is_some_and(|gop| gop.run().id == last.kept.run.id && gop.seq > last.kept.last_seq);
    let refused = misses(keeper, from, to);
    if let Some(reason) = refused.or(has_more.then_some(keeper.refused_for)) {
        gaps.add(from, to, reason);
    } else if keeper.is_closing {
        let is_live = round.now.saturating_duration_since(from) < GRACE;
        let down = if is_live { from } else { round.now };
        gaps.add(from, down, GapReason::CameraDown);
        gaps.add(down, to, GapReason::GatewayDown);
    } else {
        gaps.add(from, to, GapReason::CameraDown);
    }
}

fn reason_between(keeper: &Keeper, before: &Piece<'_>, after: &Piece<'_>) -> GapReason {
    let is_one_run = before.kept.run.id == after.kept.run.id;
    let is_next = before.kept.last_seq.0 + 1 >= after.kept.first_seq.0;
    let otherwise = if is_one_run && !is_next {
        keeper.refused_for
    } else {
        GapReason::CameraDown
    };
    misses(keeper, before.to_at, after.from_at).unwrap_or(otherwise)
}

/// Why the disk refused a GOP between `from` and `to`, the first of them; `None`: it refused none.
fn misses(keeper: &Keeper, from: Instant, to: Instant) -> Option<GapReason> {
    let mut missed = keeper.missed.values();
    let first = missed.find(|missed| missed.from < to && missed.until > from);
    first.map(|missed| missed.reason)
}

/// Why there is nothing at all.
fn missed(keeper: &Keeper, window: &Window) -> ClipOutcome {
    let request = &window.request;
    let refused = misses(keeper, request.from, request.to);
    let reason = if let Some(refused) = refused {
        match refused {
            GapReason::DiskAway => MissedReason::DiskAway,
            GapReason::WriteFailed => MissedReason::WriteFailed,
            GapReason::DiskFull
            | GapReason::CameraDown
            | GapReason::PacketsLost
            | GapReason::BeforePreRoll
            | GapReason::GatewayDown => MissedReason::DiskFull,
        }
    } else if keeper.started > request.from {
        MissedReason::NoFootage
    } else {
        match window.lead {
            Some(GapReason::BeforePreRoll) => MissedReason::NoFootage,
            _ => MissedReason::CameraDown,
        }
    };
    ClipOutcome::Missed(reason)
}

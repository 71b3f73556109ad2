//! Clips from files alone: for a swipe that came late, and after a restart.
//!
//! Frames are found by the wall times that the fragments carry. Not here: clips of which frames are
//! still in memory (`keeper`).

use std::fs::File;
use std::path::Path;

use tracing::warn;

use super::boxes::{self, Fragment, Walk};
use super::resolve::disjoint;
use crate::domain::clip::{
    ClipOutcome, ClipWindow, FootageName, Gap, GapReason, MissedReason, Span,
};
use crate::domain::footage::FootageRecord;
use crate::error::chain;
use crate::time::{MediaTime, RunId, WallTime, ns_to_ticks};

/// The clip of `window` from `files`, the camera's files that may show some of it, in order of time.
/// A gap that begins before `opened_at`, when this gateway started, is laid to its not running. Blocks.
pub(super) fn settle(
    root: &Path,
    files: &[(FootageName, FootageRecord)],
    window: ClipWindow,
    opened_at: WallTime,
) -> ClipOutcome {
    let mut pieces: Vec<Piece> = Vec::new();
    for (name, record) in files {
        match read(root, name, record) {
            Ok(walk) => {
                let piece = Piece::of(name, record, &walk, window, pieces.last());
                if let Some(piece) = piece {
                    add(&mut pieces, piece);
                }
            }
            Err(err) => warn!(file = %name, error = %chain(&err), "footage cannot be read"),
        }
    }
    let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else {
        return ClipOutcome::Missed(MissedReason::NoFootage);
    };
    let mut gaps: Vec<Gap> = Vec::new();
    let mut gap = |from: WallTime, to: WallTime, reason: Option<GapReason>| {
        let (from, to) = (from.max(window.from), to.min(window.to));
        let reason = reason.unwrap_or(if from < opened_at {
            GapReason::GatewayDown
        } else {
            GapReason::BeforePreRoll
        });
        if from < to {
            gaps.push(Gap { from, to, reason });
        }
    };
    if first.is_late {
        gap(window.from, first.starts_at(), None);
    }
    for (before, after) in pieces.iter().zip(pieces.iter().skip(1)) {
        if !after.continues {
            let reason = (before.run != after.run).then_some(GapReason::CameraDown);
            gap(before.ends_at, after.starts_at(), reason);
        }
    }
    for (from, to, reason) in pieces.iter().flat_map(|piece| &piece.flaws) {
        gap(*from, *to, Some(*reason));
    }
    if !last.reaches_end {
        gap(last.ends_at, window.to, None);
    }
    let gaps = disjoint(&gaps);
    let spans = pieces.into_iter().map(|piece| piece.span).collect();
    if gaps.is_empty() {
        ClipOutcome::Whole(spans)
    } else {
        ClipOutcome::Partial { spans, gaps }
    }
}

/// Adds what one more file shows. Files that claim the same time were made before and after our clock
/// was set back: of those the one that shows more of the window is taken for meant, since two hours at
/// once are none.
fn add(pieces: &mut Vec<Piece>, piece: Piece) {
    match pieces.last_mut() {
        Some(last) if piece.claims_time_of(last) => {
            if piece.span_ticks() > last.span_ticks() {
                *last = piece;
            }
        }
        _ => pieces.push(piece),
    }
}

/// The outcome of a window that an earlier process saw the beginning of: `past` up to `since`, `present`
/// from there on.
pub(super) fn join(
    past: ClipOutcome,
    present: ClipOutcome,
    since: WallTime,
    window: ClipWindow,
) -> ClipOutcome {
    let (mut spans, mut gaps) = match past {
        ClipOutcome::Whole(spans) => (spans, Vec::new()),
        ClipOutcome::Partial { spans, gaps } => (spans, gaps),
        ClipOutcome::Missed(_) => return present,
    };
    match present {
        ClipOutcome::Whole(more) => spans.extend(more),
        ClipOutcome::Partial {
            spans: more,
            gaps: later,
        } => {
            spans.extend(more);
            let cut = later.into_iter().map(|gap| Gap {
                from: gap.from.max(since),
                ..gap
            });
            gaps.extend(cut.filter(|gap| gap.from < gap.to));
        }
        ClipOutcome::Missed(why) => gaps.push(Gap {
            from: since,
            to: window.to,
            reason: match why {
                MissedReason::DiskFull => GapReason::DiskFull,
                MissedReason::DiskAway => GapReason::DiskAway,
                MissedReason::WriteFailed => GapReason::WriteFailed,
                MissedReason::CameraDown
                | MissedReason::NoFootage
                | MissedReason::NoCamera
                | MissedReason::Overload
                | MissedReason::Deleted => GapReason::CameraDown,
            },
        }),
    }
    let gaps = disjoint(&gaps);
    if gaps.is_empty() {
        ClipOutcome::Whole(spans)
    } else {
        ClipOutcome::Partial { spans, gaps }
    }
}

fn read(root: &Path, name: &FootageName, record: &FootageRecord) -> Result<Walk, boxes::BoxError> {
    let file = File::open(root.join(name.as_str()))
        .map_err(|source| boxes::BoxError::Read { offset: 0, source })?;
    // Of a file that is being appended to, what the index knows is whole and on the disk.
    boxes::walk(&file, record.bytes)
}

/// What a file shows of the window.
#[expect(
    clippy::struct_excessive_bools,
    reason = "four facts about its two ends, none of which follows from another"
)]
struct Piece {
    span: Span,
    run: RunId,
    ends_at: WallTime,
    /// Its first frame comes after the window's first moment.
    is_late: bool,
    reaches_end: bool,
    /// It ends where the file ends.
    is_to_its_end: bool,
    /// It begins where the piece before it ends.
    continues: bool,
    flaws: Vec<(WallTime, WallTime, GapReason)>,
}

impl Piece {
    fn starts_at(&self) -> WallTime {
        self.span.starts_at
    }

    fn span_ticks(&self) -> i64 {
        self.span.to.ticks_since(self.span.from)
    }

    /// Does it claim to begin well before `before`, the piece before it, ends?
    fn claims_time_of(&self, before: &Piece) -> bool {
        ns_to_ticks(before.ends_at.ns_since(self.starts_at())) > OVERLAP_TICKS_MAX
    }

    fn of(
        name: &FootageName,
        record: &FootageRecord,
        walk: &Walk,
        window: ClipWindow,
        before: Option<&Piece>,
    ) -> Option<Piece> {
        let labels = Labels { record, walk };
        let frames = || walk.fragments.iter().flat_map(|f| f.frames.iter().copied());
        let from = labels.media_of(window.from);
        let to = labels.media_of(window.to);
        let end = walk.fragments.last()?.end;
        let first = frames().next()?;
        if end <= from || first >= to {
            return None;
        }
        let start = frames().take_while(|at| *at <= from).last();
        let mut start = start.unwrap_or(first);
        // A GOP that was torn at the end of the file before lies here whole.
        let before = before.filter(|before| before.run == record.run);
        let shown_to =
            before.map(|before| labels.media_of(before.ends_at).plus_ticks(-LABEL_TICKS));
        let is_repeated = shown_to.is_some_and(|shown_to| start < shown_to);
        if let Some(shown_to) = shown_to.filter(|_| is_repeated) {
            start = frames().find(|at| *at >= shown_to && *at < to)?;
        }
        let stop = frames().find(|at| *at >= to).unwrap_or(end);
        let starts_at = labels.wall_of(start);
        let flaws = walk.fragments.iter().flat_map(|f| &f.flaws);
        let flaws = flaws.filter(|flaw| flaw.from < stop && flaw.to > start);
        let flaws = flaws.map(|flaw| {
            let (from, to) = (labels.wall_of(flaw.from), labels.wall_of(flaw.to));
            (from, to, flaw.reason)
        });
        // Files of one run touch when the first was ended by its length or by new parameters.
        let touches = |before: &Piece| {
            let ns = starts_at.ns_since(before.ends_at).abs();
            before.is_to_its_end
                && (start == first || is_repeated)
                && ns_to_ticks(ns) <= TOUCH_TICKS
        };
        Some(Piece {
            span: Span {
                file: name.clone(),
                from: start,
                to: stop,
                starts_at,
            },
            run: record.run,
            ends_at: labels.wall_of(stop),
            is_late: start > from,
            reaches_end: stop >= to,
            is_to_its_end: stop == end,
            continues: before.is_some_and(touches),
            flaws: flaws.collect(),
        })
    }
}

/// Files of one run that are labelled no further apart than this follow each other: labels of one
/// frame differ by how well its run's clock was known when each was written.
const TOUCH_TICKS: i64 = MediaTime::HZ / 20;
/// By so much, most of the time, labels of one frame differ: half a frame of 25 a second.
const LABEL_TICKS: i64 = MediaTime::HZ / 50;

/// Labels of files that follow each other overlap by less than this: the longest that a camera's last
/// picture may stand after the session in which it came, and the doubt about a young run's clock.
const OVERLAP_TICKS_MAX: i64 = 6 * MediaTime::HZ;

/// The wall times of a file: each fragment's own.
struct Labels<'a> {
    record: &'a FootageRecord,
    walk: &'a Walk,
}

impl Labels<'_> {
    fn wall_of(&self, at: MediaTime) -> WallTime {
        let fragment = self.walk.fragments.iter().rfind(|f| f.at() <= at);
        let fragment = fragment.or(self.walk.fragments.first());
        let label = fragment.map_or(MediaTime(0), Fragment::at);
        moved(self.start_of(fragment), at.ticks_since(label))
    }

    fn media_of(&self, wall: WallTime) -> MediaTime {
        let begins = |f: &&Fragment| self.start_of(Some(f)) <= wall;
        let fragment = self.walk.fragments.iter().rfind(begins);
        let fragment = fragment.or(self.walk.fragments.first());
        let label = fragment.map_or(MediaTime(0), Fragment::at);
        label.plus_ticks(ns_to_ticks(wall.ns_since(self.start_of(fragment))))
    }

    fn start_of(&self, fragment: Option<&Fragment>) -> WallTime {
        let own = fragment.and_then(|f| f.wall);
        let at = fragment.map_or(MediaTime(0), Fragment::at);
        own.unwrap_or_else(|| moved(self.record.starts_at, at.0))
    }
}

fn moved(wall: WallTime, ticks: i64) -> WallTime {
    WallTime::from_unix_ns(wall.unix_ns().saturating_add(MediaTime(ticks).ns()))
}

//! What one round of a keeper sees: the ring's GOPs and the clock maps, held still.
//!
//! Pure. Not here: what is done about it (`keeper`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::kept::FRAME_TICKS_MAX;
use crate::camera::{Gop, GopSeq, Run};
use crate::domain::clip::GapReason;
use crate::time::{ClockMap, MediaTime, RunId, ns_to_ticks};

/// How much earlier than `from` a GOP may end and still be kept: the clock map may yet move so far.
pub(super) const SLACK: Duration = Duration::from_millis(250);
/// What all steps of one round see.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) now: Instant,
    pub(super) gops: Vec<Arc<Gop>>,
    clocks: BTreeMap<RunId, ClockMap>,
}

impl Round {
    /// A round with the ring's `gops`, oldest first, and the clock maps of their runs and of `runs`.
    pub(super) fn new<'a>(
        now: Instant,
        gops: Vec<Arc<Gop>>,
        runs: impl Iterator<Item = &'a Arc<Run>>,
    ) -> Round {
        let mut clocks = BTreeMap::new();
        let mut hold = |run: &Arc<Run>| {
            clocks
                .entry(run.id)
                .or_insert_with(|| run.clock.lock().clone());
        };
        gops.iter().for_each(|gop| hold(gop.run()));
        runs.for_each(hold);
        Round { now, gops, clocks }
    }

    pub(super) fn media_of(&self, run: &Run, instant: Instant) -> Option<MediaTime> {
        self.clocks.get(&run.id)?.media_of(instant)
    }

    pub(super) fn instant_of(&self, run: &Run, media: MediaTime) -> Option<Instant> {
        self.clocks.get(&run.id)?.instant_of(media)
    }

    /// The GOP right after the one at `idx`, if it is of the same run.
    pub(super) fn next_in_run(&self, idx: usize) -> Option<&Gop> {
        let (gop, next) = (self.gops.get(idx)?, self.gops.get(idx + 1)?);
        (next.seq.0 == gop.seq.0 + 1 && next.run().id == gop.run().id).then_some(next.as_ref())
    }
}

/// Does the GOP at `idx` show a part of the window, as far as the clock map can tell by now?
pub(super) fn meets(round: &Round, idx: usize, from: Instant, to: Instant) -> bool {
    let Some(gop) = round.gops.get(idx) else {
        return false;
    };
    let run = gop.run();
    let (Some(from), Some(to)) = (round.media_of(run, from), round.media_of(run, to)) else {
        return false;
    };
    let end = round.next_in_run(idx).map_or_else(
        || gop.last().media.plus_ticks(FRAME_TICKS_MAX),
        |next| next.key_frame().media,
    );
    gop.key_frame().media < to && end > from.plus_ticks(-ticks(SLACK))
}

/// Has a frame at or after `instant` been seen?
pub(super) fn has_passed(round: &Round, instant: Instant) -> bool {
    round.gops.last().is_some_and(|gop| {
        round
            .media_of(gop.run(), instant)
            .is_some_and(|media| media <= gop.last().media)
    })
}

/// Why frames after `from` would be missing, as far as the ring tells when the clip is asked for.
pub(super) fn lead_reason(round: &Round, from: Instant) -> GapReason {
    let begins = |gop: &Gop| round.instant_of(gop.run(), gop.key_frame().media);
    let is_before = |gop: &Arc<Gop>| begins(gop).is_some_and(|begin| begin <= from);
    if let Some(oldest) = round.gops.first().filter(|oldest| !is_before(oldest)) {
        let is_first = oldest.seq == GopSeq(1) || oldest.key_frame().media.0 == 0;
        let run_begin = round.instant_of(oldest.run(), MediaTime(0));
        if !is_first && run_begin.is_none_or(|begin| begin <= from) {
            return GapReason::BeforePreRoll;
        }
    }
    // What the ring has is kept, unless the disk refuses it, which is known as such; so a frame that
    // is missing all the same is one that did not come.
    GapReason::CameraDown
}

/// `duration` in 90 kHz ticks.
pub(super) fn ticks(duration: Duration) -> i64 {
    ns_to_ticks(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

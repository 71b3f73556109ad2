//! An entry's clip as something to look at and to take away: the exact window over its footage as one
//! MP4, a picture, and a manifest that says what is in it and how to check it.
//!
//! Not here: which footage a window has (`footage`), and who may see it (`web`).

mod manifest;
mod shelf;

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

pub use manifest::manifest;
pub use shelf::{ClipShelf, ShelfOptions};

use crate::domain::clip::{ClipRecord, ClipState, ClipWindow, FootageName, MissedReason, Span};
use crate::error::Class;
use crate::mux::{self, ExportPart, ExportedGop, MuxError};
use crate::supervise::BlockingError;
use crate::time::{MediaTime, WallTime, ns_to_ticks};

/// How long the last frame of a file may be held beyond its own end: the keeper had to guess how
/// long it would last (5 s at most). Anything more is footage that has gone missing.
const HOLD_TICKS_MAX: i64 = 5 * MediaTime::HZ;

/// A clip cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    /// Its window has not ended, or its last bytes are not on disk yet.
    #[error("the clip is not settled yet")]
    Pending,
    /// There never was one.
    #[error("there is no clip")]
    Missed {
        /// Why.
        reason: MissedReason,
    },
    /// Its footage is no longer there.
    #[error("footage {file} is gone")]
    Gone {
        /// The file.
        file: FootageName,
    },
    /// Its footage cannot be read.
    #[error("read footage {file}")]
    Read {
        /// The file.
        file: FootageName,
        /// Why.
        #[source]
        source: MuxError,
    },
    /// Its footage is shorter than it was when the clip was settled.
    #[error("footage {file} lacks frames of the clip")]
    Damaged {
        /// The file.
        file: FootageName,
    },
    /// Its frames could not be put into one file.
    #[error("export the clip")]
    Export {
        /// Why.
        #[source]
        source: MuxError,
    },
    /// Its picture could not be drawn.
    #[error("draw the thumbnail")]
    Draw {
        /// Why.
        #[source]
        source: MuxError,
    },
    /// Too many exports are waiting.
    #[error("{n_waiting} clips are waiting to be exported")]
    Busy {
        /// How many.
        n_waiting: usize,
    },
    /// The work was lost.
    #[error("export in the background")]
    Background {
        /// Why.
        #[source]
        source: BlockingError,
    },
}

impl ClipError {
    /// What asking again would bring.
    pub fn class(&self) -> Class {
        match self {
            ClipError::Pending | ClipError::Busy { .. } | ClipError::Background { .. } => {
                Class::Transient
            }
            ClipError::Missed { .. } | ClipError::Gone { .. } | ClipError::Damaged { .. } => {
                Class::Permanent
            }
            ClipError::Read { source, .. }
            | ClipError::Export { source }
            | ClipError::Draw { source } => source.class(),
        }
    }

    fn read(file: &FootageName, source: MuxError) -> ClipError {
        let file = file.clone();
        match &source {
            MuxError::ReadFile { source: io, .. } if io.kind() == io::ErrorKind::NotFound => {
                ClipError::Gone { file }
            }
            _ => ClipError::Read { file, source },
        }
    }
}

/// A clip as one file, and the facts its manifest needs.
#[derive(Clone, Debug)]
pub struct ExportedClip {
    /// An MP4 that shows exactly [`ExportedClip::shown`].
    pub file: Bytes,
    /// SHA-256 of `file`, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Where its GOPs lie; in order, never empty.
    pub gops: Vec<ExportedGop>,
    /// What it shows: the record's window, less what is missing at its two ends.
    pub shown: ClipWindow,
}

/// Makes the file of a settled clip: its window and nothing else, gaps within it in real time (the last
/// picture stays). The same footage gives the same bytes. Blocks for some tens of milliseconds.
///
/// # Errors
/// [`ClipError`] by operation; [`ClipError::Pending`] and [`ClipError::Missed`] say that there is
/// nothing to make.
pub fn export(footage_root: &Path, record: &ClipRecord) -> Result<ExportedClip, ClipError> {
    let spans = shown_spans(record)?;
    let mut parts: Vec<ExportPart> = Vec::with_capacity(spans.len());
    let mut before: Option<&ShownSpan<'_>> = None;
    for span in &spans {
        let gap_before_ticks = before.map_or(0, |before| span.gap_after(before, record.state));
        parts.push(part(footage_root, span, gap_before_ticks)?);
        before = Some(span);
    }
    let exported = mux::export(&parts).map_err(|source| ClipError::Export { source })?;
    let shown = ClipWindow {
        from: spans
            .first()
            .map_or(record.window.from, ShownSpan::starts_at),
        to: spans.last().map_or(record.window.to, ShownSpan::ends_at),
    };
    Ok(ExportedClip {
        sha256: sha256_hex(&exported.file),
        file: exported.file,
        gops: exported.gops,
        shown,
    })
}

/// SHA-256 of `bytes`, 64 lower-case hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        let written = write!(text, "{byte:02x}");
        debug_assert!(written.is_ok(), "a String takes any text");
    }
    text
}

/// A JPEG of the clip's key frame at or before `at`, at most `width_max` pixels wide; of the nearest
/// there is when `at` lies in a gap. Blocks for some milliseconds.
///
/// # Errors
/// As [`export`], and [`ClipError::Draw`].
pub fn thumbnail(
    footage_root: &Path,
    record: &ClipRecord,
    at: WallTime,
    width_max: u32,
) -> Result<Bytes, ClipError> {
    let spans = shown_spans(record)?;
    let begun = spans.iter().rfind(|span| span.starts_at() <= at);
    let Some(span) = begun.or(spans.first()) else {
        return Err(ClipError::Pending);
    };
    let since = ns_to_ticks(at.ns_since(span.span.starts_at));
    let last = span.to.plus_ticks(-1);
    let media = span.span.from.plus_ticks(since).max(span.from).min(last);
    let file = &span.span.file;
    let found = mux::read_key_frame(&footage_root.join(file.as_str()), media);
    let (params, key_frame) = found
        .map_err(|source| ClipError::read(file, source))?
        .ok_or_else(|| ClipError::Damaged { file: file.clone() })?;
    mux::key_frame_jpeg(&params, &key_frame.data, width_max)
        .map_err(|source| ClipError::Draw { source })
}

/// What of a span lies in the clip's window. A span begins with a whole frame, which the window may
/// begin in the middle of, and ends likewise.
struct ShownSpan<'a> {
    span: &'a Span,
    from: MediaTime,
    to: MediaTime,
}

impl ShownSpan<'_> {
    fn starts_at(&self) -> WallTime {
        self.wall_of(self.from)
    }

    fn ends_at(&self) -> WallTime {
        self.wall_of(self.to)
    }

    fn wall_of(&self, media: MediaTime) -> WallTime {
        let ns = MediaTime(media.ticks_since(self.span.from)).ns();
        WallTime::from_unix_ns(self.span.starts_at.unix_ns().saturating_add(ns))
    }

    /// Ticks without a picture between the end of `before` and this.
    fn gap_after(&self, before: &ShownSpan<'_>, state: ClipState) -> i64 {
        let ticks = if self.span.file == before.span.file {
            self.from.ticks_since(before.to)
        } else if state == ClipState::Whole {
            // They follow each other frame by frame; their labels may differ by the jitter of arrival.
            0
        } else {
            ns_to_ticks(self.starts_at().ns_since(before.ends_at()))
        };
        ticks.max(0)
    }
}

/// The spans of a settled clip, cut to its window; never empty.
fn shown_spans(record: &ClipRecord) -> Result<Vec<ShownSpan<'_>>, ClipError> {
    match record.state {
        ClipState::Pending => return Err(ClipError::Pending),
        ClipState::Missed => {
            let reason = record.reason.unwrap_or(MissedReason::NoFootage);
            return Err(ClipError::Missed { reason });
        }
        ClipState::Whole | ClipState::Partial => {}
    }
    let window = record.window;
    let spans = record.spans.iter().map(|span| {
        let media_of = |wall: WallTime| {
            let ticks = ns_to_ticks(wall.ns_since(span.starts_at));
            span.from.plus_ticks(ticks)
        };
        ShownSpan {
            span,
            from: media_of(window.from).max(span.from),
            to: media_of(window.to).min(span.to),
        }
    });
    let spans: Vec<_> = spans.filter(|span| span.from < span.to).collect();
    if spans.is_empty() {
        let reason = MissedReason::NoFootage;
        return Err(ClipError::Missed { reason });
    }
    Ok(spans)
}

fn part(
    footage_root: &Path,
    shown: &ShownSpan<'_>,
    gap_before_ticks: i64,
) -> Result<ExportPart, ClipError> {
    let file = &shown.span.file;
    let read = mux::read_samples(&footage_root.join(file.as_str()), shown.from, shown.to);
    let (params, samples) = read.map_err(|source| ClipError::read(file, source))?;
    let begins = samples.first().map(|sample| sample.at);
    let ends = samples
        .last()
        .map(|last| last.at.plus_ticks(last.duration_ticks));
    let has_begin = begins.is_some_and(|at| at <= shown.from);
    let has_end = ends.is_some_and(|end| shown.to.ticks_since(end) <= HOLD_TICKS_MAX);
    if !has_begin || !has_end {
        return Err(ClipError::Damaged { file: file.clone() });
    }
    Ok(ExportPart {
        params,
        samples,
        show_from: shown.from,
        show_to: shown.to,
        gap_before_ticks,
    })
}

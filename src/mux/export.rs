//! The file a person takes away: an ordinary MP4, `moov` in front, whose shown time is exactly what
//! was asked for, without touching a single coded picture.
//!
//! Decoding starts at a key frame, which is seldom where the clip starts; an edit list (ISO/IEC
//! 14496-12, 8.6.6) hides the frames before. The same parts always give the same bytes.
//!
//! Limits, because one edit list entry is all that every player understands:
//! - Between parts the last frame stays on screen, through the gap in real time.
//! - Frames that a later part needs only for decoding are shown for one tick (11 µs) each, at the end
//!   of that gap.
//! - When the parts' parameter sets differ, each key frame carries its own in the stream and the file
//!   is marked `avc3` or `hev1`; Safari plays `hvc1` alone.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use super::av::{Memory, Muxer, Picture};
use super::params::{in_band, in_band_entry, sample_entry};
use super::{AvError, MuxError, Sample};
use crate::camera::VideoParams;
use crate::time::MediaTime;

/// FFmpeg's name of the container.
const FORMAT: &str = "mp4";

/// Room for every header but the tables that grow with the number of frames.
const HEADER_BYTES: usize = 2_048;

/// Most bytes that FFmpeg's MP4 muxer puts into one chunk of contiguous frames.
const CHUNK_BYTES: usize = 1 << 20;

/// A stretch of one file.
#[derive(Clone, Debug)]
pub struct ExportPart {
    /// What its frames are decoded with.
    pub params: VideoParams,
    /// In order, the first a key frame; those before `show_from` are there to be decoded.
    pub samples: Vec<Sample>,
    /// First moment shown, on the samples' time line. The frame on screen then is shown from then on.
    pub show_from: MediaTime,
    /// End of what is shown, exclusive. The last frame before it is shown up to it.
    pub show_to: MediaTime,
    /// Time between the end of the part before and `show_from` of which there is no picture, in 90 kHz
    /// ticks, at least 0; without meaning for the first part.
    pub gap_before_ticks: i64,
}

/// An exported file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// All its bytes.
    pub file: Bytes,
    /// Where its GOPs lie, in order, never empty; from the first one's first byte to the last one's last
    /// byte they leave nothing out.
    pub gops: Vec<ExportedGop>,
}

/// The frames from a key frame up to the next, in an exported file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedGop {
    /// Its bytes within the file.
    pub bytes: Range<usize>,
    /// Its key frame's time from the first moment shown; negative when that is not shown.
    pub at: MediaTime,
    /// Its frames, at least 1.
    pub n_frames: usize,
}

/// One frame in its place on the exported file's time line, which shows from 0 on.
struct Placed<'a> {
    at: MediaTime,
    part_idx: usize,
    sample: &'a Sample,
}

/// Joins `parts` into one MP4, which shows each from its `show_from` to its `show_to`, and the gaps
/// between them in real time. Blocks; no I/O.
///
/// # Errors
/// [`MuxError::Empty`] without parts, [`MuxError::NotCovered`] when a part's samples do not begin
/// with a key frame at or before its `show_from`, [`MuxError::TwoCodecs`]; [`MuxError::Start`],
/// [`MuxError::Write`], [`MuxError::Finish`] and [`MuxError::Params`] when FFmpeg refuses.
pub fn export(parts: &[ExportPart]) -> Result<Export, MuxError> {
    let first = parts.first().ok_or(MuxError::Empty)?;
    if parts
        .iter()
        .any(|part| part.params.codec != first.params.codec)
    {
        return Err(MuxError::TwoCodecs);
    }
    let (placed, end) = place(parts)?;
    let one_header = parts
        .iter()
        .all(|part| part.params.extra_data == first.params.extra_data);
    let (entry, sets) = if one_header {
        (sample_entry(first.params.codec), Vec::new())
    } else {
        let sets = parts.iter().map(|part| in_band(&part.params));
        let sets = sets.collect::<Result<Vec<_>, _>>()?;
        (in_band_entry(first.params.codec), sets)
    };
    let frames: Vec<(Placed<'_>, Cow<'_, [u8]>)> = placed
        .into_iter()
        .map(|placed| {
            let data = match sets.get(placed.part_idx) {
                Some(sets) if placed.sample.is_key => {
                    Cow::Owned([sets.as_slice(), &placed.sample.data].concat())
                }
                _ => Cow::Borrowed(placed.sample.data.as_ref()),
            };
            (placed, data)
        })
        .collect();
    let file = write(&first.params, entry, &frames, end)?;
    // The frames are the end of the file, one after the other, since one track has nothing between.
    let n_bytes: usize = frames.iter().map(|(_, data)| data.len()).sum();
    let mut offset = file.len().saturating_sub(n_bytes);
    let mut gops: Vec<ExportedGop> = Vec::new();
    for (placed, data) in &frames {
        let end = offset + data.len();
        match gops.last_mut() {
            Some(gop) if !placed.sample.is_key => {
                gop.bytes.end = end;
                gop.n_frames += 1;
            }
            _ => gops.push(ExportedGop {
                bytes: offset..end,
                at: placed.at,
                n_frames: 1,
            }),
        }
        offset = end;
    }
    Ok(Export { file, gops })
}

/// Puts the frames of all parts on one time line; also its end.
fn place(parts: &[ExportPart]) -> Result<(Vec<Placed<'_>>, MediaTime), MuxError> {
    let mut placed: Vec<Placed<'_>> = Vec::new();
    let mut end = MediaTime(0);
    for (part_idx, part) in parts.iter().enumerate() {
        let not_covered = MuxError::NotCovered {
            show_from: part.show_from,
        };
        let n_from = part
            .samples
            .partition_point(|sample| sample.at <= part.show_from);
        let n_to = part
            .samples
            .partition_point(|sample| sample.at < part.show_to);
        let begins_with_key = part.samples.first().is_some_and(|sample| sample.is_key);
        if !begins_with_key || n_from == 0 || n_to < n_from {
            return Err(not_covered);
        }
        let shown_from = if part_idx == 0 {
            MediaTime(0)
        } else {
            end.plus_ticks(part.gap_before_ticks.max(0))
        };
        for (idx, sample) in part.samples.iter().take(n_to).enumerate() {
            let since_shown = sample.at.ticks_since(part.show_from);
            let at = if idx + 1 == n_from {
                shown_from
            } else if idx >= n_from || part_idx == 0 {
                shown_from.plus_ticks(since_shown)
            } else {
                let n_left = i64::try_from(n_from - 1 - idx).unwrap_or(i64::MAX);
                shown_from.plus_ticks(-n_left)
            };
            let floor = placed.last().map(|last| last.at.plus_ticks(1));
            placed.push(Placed {
                at: floor.map_or(at, |floor| at.max(floor)),
                part_idx,
                sample,
            });
        }
        end = shown_from.plus_ticks(part.show_to.ticks_since(part.show_from));
    }
    Ok((placed, end))
}

fn write(
    params: &VideoParams,
    entry: [u8; 4],
    frames: &[(Placed<'_>, Cow<'_, [u8]>)],
    end: MediaTime,
) -> Result<Bytes, MuxError> {
    let start = |source: AvError| MuxError::Start {
        format: FORMAT,
        source,
    };
    let moov_bytes = moov_bytes_max(params, frames);
    let n_bytes: usize = frames.iter().map(|(_, data)| data.len()).sum();
    let memory = Memory::default();
    memory.reserve(moov_bytes + n_bytes + 256);
    let mut muxer = Muxer::seekable(FORMAT, memory.clone()).map_err(start)?;
    let moov_size = moov_bytes.to_string();
    let options = [
        ("moov_size", moov_size.as_str()),
        ("video_track_timescale", "90000"),
        ("movie_timescale", "90000"),
        ("use_editlist", "1"),
        ("avoid_negative_ts", "disabled"),
        ("fflags", "+bitexact"),
    ];
    muxer.start(params, entry, &options).map_err(start)?;
    let mut next_ats = frames.iter().skip(1).map(|(placed, _)| placed.at);
    for (placed, data) in frames {
        let until = next_ats.next().unwrap_or(end);
        let at = placed.at;
        muxer
            .write(&Picture {
                at,
                duration_ticks: until.ticks_since(at).max(1),
                is_key: placed.sample.is_key,
                data,
            })
            .map_err(|source| MuxError::Write { at, source })?;
    }
    muxer.finish().map_err(|source| MuxError::Finish {
        what: "file",
        source,
    })?;
    Ok(Bytes::from(memory.take()))
}

/// Room that is kept for the `moov` in front of the frames. What is left of it becomes a `free` box.
fn moov_bytes_max(params: &VideoParams, frames: &[(Placed<'_>, Cow<'_, [u8]>)]) -> usize {
    let n_keys = frames
        .iter()
        .filter(|(placed, _)| placed.sample.is_key)
        .count();
    let n_bytes: usize = frames.iter().map(|(_, data)| data.len()).sum();
    // Two neighbouring chunks always have more than CHUNK_BYTES together, or they would be one.
    let n_chunks = 2 * (n_bytes / CHUNK_BYTES + 1);
    let ats = frames.iter().map(|(placed, _)| placed.at);
    let next_ats = ats.clone().skip(1);
    let durations: Vec<i64> = next_ats
        .zip(ats)
        .map(|(next, at)| next.ticks_since(at))
        .collect();
    let n_durations = durations.chunk_by(|a, b| a == b).count() + 1;
    // stts and stsc with 8 and 12 bytes a row, stss, stsz with 4, co64 with 8.
    HEADER_BYTES
        + params.extra_data.len()
        + 8 * n_durations
        + 4 * n_keys
        + 4 * frames.len()
        + 20 * n_chunks
}

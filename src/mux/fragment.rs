//! Fragmented MP4: a file that can be played up to its last whole fragment at any moment.
//!
//! Each fragment is one `moof` and one `mdat` with offsets relative to itself, so fragments can be
//! appended, cut off, and preceded by other boxes (`prft`) freely.

use std::ops::Range;

use bytes::Bytes;

use super::av::{Memory, Muxer, Picture};
use super::params::sample_entry;
use super::{AvError, MuxError, Sample};
use crate::camera::VideoParams;
use crate::time::MediaTime;

/// FFmpeg's name of the container.
const FORMAT: &str = "mp4";

/// Writes the fragments of one file. Its parameter sets never change.
pub struct FragmentWriter {
    muxer: Muxer,
    memory: Memory,
    last_at: Option<MediaTime>,
    /// End of the last frame on the muxer's own time line.
    muxer_end: MediaTime,
}

impl std::fmt::Debug for FragmentWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FragmentWriter")
            .field("last_at", &self.last_at)
            .finish_non_exhaustive()
    }
}

impl FragmentWriter {
    /// A writer, and the head of its file (`ftyp` and `moov`). Equal parameters give equal bytes.
    ///
    /// # Errors
    /// [`MuxError::Start`] when FFmpeg refuses the parameters.
    pub fn new(params: &VideoParams) -> Result<(FragmentWriter, Bytes), MuxError> {
        let start = |source: AvError| MuxError::Start {
            format: FORMAT,
            source,
        };
        let memory = Memory::default();
        let mut muxer = Muxer::appending(FORMAT, memory.clone()).map_err(start)?;
        let options = [
            // No trailer is ever written; FFmpeg would keep 40 bytes of each fragment for it, which is
            // 80 MB a day and camera for a viewer.
            (
                "movflags",
                "frag_custom+empty_moov+default_base_moof+skip_trailer",
            ),
            ("video_track_timescale", "90000"),
            ("use_editlist", "0"),
            ("avoid_negative_ts", "disabled"),
            ("fflags", "+bitexact"),
            ("flush_packets", "1"),
        ];
        muxer
            .start(params, sample_entry(params.codec), &options)
            .map_err(start)?;
        muxer.flush().map_err(start)?;
        let head = Bytes::from(memory.take());
        let writer = FragmentWriter {
            muxer,
            memory,
            last_at: None,
            muxer_end: MediaTime(0),
        };
        Ok((writer, head))
    }

    /// One fragment (`moof` and `mdat`) that holds `samples` and begins on the time line exactly at
    /// the first one's `at`; the last sample lasts its own `duration_ticks`, each other one until the
    /// next. `at` must not go back, also from call to call: a sample that does is moved to one tick
    /// after the one before it.
    ///
    /// # Errors
    /// [`MuxError::Empty`] without samples; [`MuxError::Write`] and [`MuxError::Finish`] when FFmpeg
    /// refuses, after which this writer is of no more use.
    pub fn fragment(&mut self, samples: &[Sample]) -> Result<Bytes, MuxError> {
        let finish = |source: AvError| MuxError::Finish {
            what: "fragment",
            source,
        };
        if samples.is_empty() {
            return Err(MuxError::Empty);
        }
        let n_bytes: usize = samples.iter().map(|sample| sample.data.len()).sum();
        self.memory.reserve(n_bytes + 256 + 16 * samples.len());
        // FFmpeg moves a fragment that begins before the assumed end of the frame before it. So it is
        // given times without a break, and the fragment's base time is put right afterwards.
        let first_at = samples
            .first()
            .map_or(MediaTime(0), |sample| self.forward(sample.at));
        let shift = self.muxer_end.ticks_since(first_at);
        for sample in samples {
            let at = self.forward(sample.at);
            self.last_at = Some(at);
            let duration_ticks = sample.duration_ticks.max(1);
            let muxer_at = at.plus_ticks(shift);
            self.muxer_end = muxer_at.plus_ticks(duration_ticks);
            self.muxer
                .write(&Picture {
                    at: muxer_at,
                    duration_ticks,
                    is_key: sample.is_key,
                    data: &sample.data,
                })
                .map_err(|source| MuxError::Write { at, source })?;
        }
        self.muxer.flush().map_err(finish)?;
        let mut fragment = self.memory.take();
        set_base_time(&mut fragment, first_at).ok_or(MuxError::NoBaseTime)?;
        Ok(Bytes::from(fragment))
    }

    /// `at`, or one tick after the last frame when it would go back.
    fn forward(&self, at: MediaTime) -> MediaTime {
        let floor = self.last_at.map(|last| last.plus_ticks(1));
        floor.map_or(at, |floor| at.max(floor))
    }
}

/// Puts `at` into the `tfdt` of a fragment; `None` when there is none of version 1.
fn set_base_time(fragment: &mut [u8], at: MediaTime) -> Option<()> {
    let moof = child(fragment, 0..fragment.len(), b"moof")?;
    let traf = child(fragment, moof, b"traf")?;
    let tfdt = child(fragment, traf, b"tfdt")?;
    let (version_flags, base_time) = fragment.get_mut(tfdt)?.split_first_chunk_mut::<4>()?;
    if version_flags != &[1, 0, 0, 0] || base_time.len() != 8 {
        return None;
    }
    base_time.copy_from_slice(&u64::try_from(at.0).ok()?.to_be_bytes());
    Some(())
}

/// Where the contents of the first box of `name` in `within` lie.
fn child(bytes: &[u8], within: Range<usize>, name: &[u8; 4]) -> Option<Range<usize>> {
    let mut start = within.start;
    while start < within.end {
        let (size, rest) = bytes.get(start..within.end)?.split_first_chunk::<4>()?;
        let end = start.checked_add(usize::try_from(u32::from_be_bytes(*size)).ok()?)?;
        if end > within.end || end < start + 8 {
            return None;
        }
        if rest.starts_with(name) {
            return Some(start + 8..end);
        }
        start = end;
    }
    None
}

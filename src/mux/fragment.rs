//! Fragmented MP4: a file that can be played up to its last whole fragment at any moment.
//!
//! Each fragment is one `moof` and one `mdat` with offsets relative to itself, so fragments can be
//! appended, cut off, and preceded by other boxes (`prft`) freely.

use bytes::Bytes;

use super::av::{Memory, Muxer, Picture};
use super::params::sample_entry;
use super::{AvError, MuxError, Sample};
use crate::camera::VideoParams;

/// FFmpeg's name of the container.
const FORMAT: &str = "mp4";

/// Writes the fragments of one file. Its parameter sets never change.
pub struct FragmentWriter {
    muxer: Muxer,
    memory: Memory,
    last_at: Option<i64>,
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
        let mut muxer = Muxer::streaming(FORMAT, memory.clone()).map_err(start)?;
        let options = [
            ("movflags", "frag_custom+empty_moov+default_base_moof"),
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
        // Without this the fragment would begin where the durations of earlier ones end, although the
        // last frame before may have lasted longer than was known when it was written.
        self.muxer
            .set(c"movflags", c"+frag_discont")
            .map_err(finish)?;
        for sample in samples {
            let mut at = sample.at;
            if let Some(last) = self.last_at {
                at.0 = at.0.max(last + 1);
            }
            self.last_at = Some(at.0);
            self.muxer
                .write(&Picture {
                    at,
                    duration_ticks: sample.duration_ticks.max(1),
                    is_key: sample.is_key,
                    data: &sample.data,
                })
                .map_err(|source| MuxError::Write { at, source })?;
        }
        self.muxer.flush().map_err(finish)?;
        Ok(Bytes::from(self.memory.take()))
    }
}

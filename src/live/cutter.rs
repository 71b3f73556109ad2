//! Cuts a camera's frames into fragments: the newest GOP at once, then what came since the last look.
//!
//! The newest frame is held back until the next comes, since only then is it known how long it is shown;
//! a browser drops what follows a frame that was said to last less than half as long as it did (Media
//! Source Extensions, coded frame processing). Nobody waits for a frame that does not come: after
//! [`HOLD_MAX`] it goes out with the longest duration of late.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::reel::Opening;
use crate::camera::{Feed, Frame, GopSeq, VideoParams};
use crate::mux::{FragmentWriter, MuxError, Sample};
use crate::time::{MediaTime, RunId, ns_to_ticks};

/// How long the newest frame is held back at most: two frames of a camera with ten a second.
pub(super) const HOLD_MAX: Duration = Duration::from_millis(200);
/// Durations that are looked back on.
const DURATIONS: usize = 16;
/// Taken for the duration of a frame while none is known: 25 frames a second.
const DURATION_TICKS: i64 = MediaTime::HZ / 25;

/// Where the frames of one run with one set of parameters go.
struct Take {
    writer: FragmentWriter,
    opening: Arc<Opening>,
    run: RunId,
    params: Arc<VideoParams>,
    /// Media time of its first frame, which is 0 for the player.
    base: MediaTime,
}

/// A piece for the reel.
pub(super) struct Cut {
    pub(super) opening: Arc<Opening>,
    pub(super) is_key: bool,
    pub(super) bytes: Bytes,
    pub(super) arrived: Instant,
}

/// Follows one camera's ring.
#[derive(Default)]
pub(super) struct Cutter {
    /// The newest GOP that was looked at, and how many of its frames were taken.
    at: Option<(GopSeq, usize)>,
    take: Option<Take>,
    held: Option<Frame>,
    /// The newest frame, held back or not.
    last: Option<(RunId, MediaTime)>,
    durations: VecDeque<i64>,
    batch: Vec<Sample>,
    batch_arrived: Option<Instant>,
}

impl Cutter {
    /// The frames that are new in `feed`, from a key frame on: at first those of the newest GOP.
    pub(super) fn new_frames(&mut self, feed: &Feed) -> Vec<Frame> {
        let before = self.at.map(|(seq, _)| GopSeq(seq.0.saturating_sub(1)));
        let gops = feed.gops_after(before).gops;
        let Some(newest) = gops.last() else {
            return Vec::new();
        };
        // Far behind (the machine slept): nobody wants to see what is long past.
        let follows = self.at.filter(|(seq, _)| newest.seq.0 <= seq.0 + 1);
        let mut frames = Vec::new();
        for gop in &gops {
            match follows {
                Some((seq, n_taken)) if gop.seq == seq => {
                    frames.extend(gop.frames.iter().skip(n_taken).cloned());
                }
                Some((seq, _)) if gop.seq > seq => frames.extend(gop.frames.iter().cloned()),
                None if gop.seq == newest.seq => frames.extend(gop.frames.iter().cloned()),
                Some(_) | None => {}
            }
        }
        if follows.is_none() {
            self.held = None;
        }
        self.at = Some((newest.seq, newest.frames.len()));
        frames
    }

    /// Fragments of `frames`, which follow those before; generations are numbered with `generation`.
    ///
    /// # Errors
    /// [`MuxError`] when FFmpeg refuses a frame or its parameters: begin again with a new cutter.
    pub(super) fn cut(
        &mut self,
        frames: Vec<Frame>,
        generation: &mut u64,
    ) -> Result<Vec<Cut>, MuxError> {
        let mut cuts = Vec::new();
        for frame in frames {
            let before = self.last.replace((frame.run.id, frame.media));
            let duration = before
                .filter(|(run, _)| *run == frame.run.id)
                .map(|(_, media)| frame.media.ticks_since(media))
                .filter(|ticks| *ticks > 0);
            // Also of a frame that was not held back long enough: the next is told to last as long.
            if let Some(ticks) = duration {
                self.saw_duration(ticks);
            }
            if let Some(held) = self.held.take() {
                let duration = duration.unwrap_or_else(|| self.longest());
                self.add(&held, duration);
            }
            if frame.is_key {
                cuts.extend(self.end_fragment()?);
                self.begin_take(&frame, generation)?;
            }
            self.held = Some(frame);
        }
        cuts.extend(self.end_fragment()?);
        Ok(cuts)
    }

    /// Since when a frame is held back.
    pub(super) fn held_since(&self) -> Option<Instant> {
        self.held.as_ref().map(|frame| frame.arrived)
    }

    /// The frame that is held back, as a fragment: nothing followed it for long enough.
    ///
    /// # Errors
    /// As [`Cutter::cut`].
    pub(super) fn let_go(&mut self) -> Result<Option<Cut>, MuxError> {
        let Some(held) = self.held.take() else {
            return Ok(None);
        };
        let hold = i64::try_from(HOLD_MAX.as_nanos()).map_or(DURATION_TICKS, ns_to_ticks);
        self.add(&held, self.longest().max(hold));
        self.end_fragment()
    }

    fn saw_duration(&mut self, ticks: i64) {
        if self.durations.len() == DURATIONS {
            self.durations.pop_front();
        }
        self.durations.push_back(ticks);
    }

    fn longest(&self) -> i64 {
        let longest = self.durations.iter().max();
        longest.copied().unwrap_or(DURATION_TICKS)
    }

    fn add(&mut self, frame: &Frame, duration_ticks: i64) {
        let Some(take) = &self.take else {
            return;
        };
        self.batch_arrived = Some(frame.arrived);
        self.batch.push(Sample {
            at: MediaTime(frame.media.ticks_since(take.base)),
            duration_ticks,
            is_key: frame.is_key,
            data: frame.data.clone(),
        });
    }

    fn end_fragment(&mut self) -> Result<Option<Cut>, MuxError> {
        let samples = std::mem::take(&mut self.batch);
        let arrived = self.batch_arrived.take();
        let (Some(take), Some(arrived), Some(first)) = (&mut self.take, arrived, samples.first())
        else {
            return Ok(None);
        };
        Ok(Some(Cut {
            opening: Arc::clone(&take.opening),
            is_key: first.is_key,
            bytes: take.writer.fragment(&samples)?,
            arrived,
        }))
    }

    /// Goes on with the take of `frame`'s run and parameters, or begins it.
    fn begin_take(&mut self, frame: &Frame, generation: &mut u64) -> Result<(), MuxError> {
        let is_same = |take: &Take| take.run == frame.run.id && take.params == frame.params;
        if self.take.as_ref().is_some_and(is_same) {
            return Ok(());
        }
        let (writer, init) = FragmentWriter::new(&frame.params)?;
        *generation += 1;
        self.durations.clear();
        self.take = Some(Take {
            writer,
            opening: Arc::new(Opening {
                generation: *generation,
                codec: frame.params.codec,
                rfc6381: frame.params.rfc6381.clone(),
                width: frame.params.width,
                height: frame.params.height,
                init,
            }),
            run: frame.run.id,
            params: Arc::clone(&frame.params),
            base: frame.media,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::camera::{FeedWriter, Run};
    use crate::domain::id::CameraId;
    use crate::mux::packetise;

    const FRAME_TICKS: i64 = 3_600;

    struct Source {
        feed: Feed,
        writer: FeedWriter,
        params: Arc<VideoParams>,
        run: Arc<Run>,
        media: i64,
    }

    impl Source {
        fn new() -> Source {
            let film =
                Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/video/numbered-h264.mp4");
            let params = packetise(&film, 1_400).unwrap().params;
            let camera = CameraId::new("c1").unwrap();
            let (feed, writer) = Feed::new(camera.clone(), crate::camera::RingOptions::DEFAULT);
            Source {
                feed,
                writer,
                params: Arc::new(params),
                run: Run::new(camera, Instant::now()),
                media: 0,
            }
        }

        /// `n` frames of `ticks`, the first of them a key frame if `is_key`.
        fn push(&mut self, n: usize, is_key: bool, ticks: i64) {
            for idx in 0..n {
                self.writer.push(Frame {
                    run: Arc::clone(&self.run),
                    params: Arc::clone(&self.params),
                    media: MediaTime(self.media),
                    arrived: Instant::now(),
                    is_key: is_key && idx == 0,
                    n_lost: 0,
                    data: Bytes::from_static(&[0, 0, 0, 2, 0x65, 0x88]),
                });
                self.media += ticks;
            }
        }

        fn cut(&self, cutter: &mut Cutter, generation: &mut u64) -> Vec<Cut> {
            let frames = cutter.new_frames(&self.feed);
            cutter.cut(frames, generation).unwrap()
        }
    }

    #[tokio::test]
    async fn it_begins_with_the_newest_gop_and_goes_on_with_what_is_new() {
        let (mut source, mut cutter, mut generation) = (Source::new(), Cutter::default(), 0);
        assert!(source.cut(&mut cutter, &mut generation).is_empty());
        source.push(50, true, FRAME_TICKS);
        source.push(20, true, FRAME_TICKS);
        let first = source.cut(&mut cutter, &mut generation);
        assert_eq!((first.len(), first[0].is_key), (1, true));
        assert!(source.cut(&mut cutter, &mut generation).is_empty());
        source.push(2, false, FRAME_TICKS);
        let more = source.cut(&mut cutter, &mut generation);
        assert_eq!((more.len(), more[0].is_key), (1, false));
        // A fragment never goes beyond a key frame.
        source.push(3, false, FRAME_TICKS);
        source.push(2, true, FRAME_TICKS);
        let keys = source.cut(&mut cutter, &mut generation);
        let keys: Vec<bool> = keys.iter().map(|cut| cut.is_key).collect();
        assert_eq!((keys, generation), (vec![false, true], 1));
    }

    #[tokio::test]
    async fn another_run_is_another_opening_and_nothing_of_the_old_is_lost() {
        let (mut source, mut cutter, mut generation) = (Source::new(), Cutter::default(), 0);
        source.push(10, true, FRAME_TICKS);
        let first = source.cut(&mut cutter, &mut generation);
        source.run = Run::new(source.feed.camera().clone(), Instant::now());
        source.media = 0;
        source.push(10, true, FRAME_TICKS);
        let then = source.cut(&mut cutter, &mut generation);
        let generations: Vec<u64> = then.iter().map(|cut| cut.opening.generation).collect();
        assert_eq!((first[0].opening.generation, generations), (1, vec![1, 2]));
    }

    #[tokio::test]
    async fn a_slow_camera_is_told_to_be_slow_once_it_is_known() {
        let (mut source, mut cutter, mut generation) = (Source::new(), Cutter::default(), 0);
        let second = MediaTime::HZ;
        source.push(1, true, second);
        assert!(source.cut(&mut cutter, &mut generation).is_empty());
        assert!(cutter.held_since().is_some());
        assert!(cutter.let_go().unwrap().unwrap().is_key);
        assert!(cutter.held_since().is_none() && cutter.let_go().unwrap().is_none());
        source.push(1, false, second);
        source.cut(&mut cutter, &mut generation);
        assert_eq!(cutter.longest(), second);
    }
}

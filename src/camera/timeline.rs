//! Puts a session's frames on the time lines of runs: where a camera's clock breaks, a new run
//! begins; where frames come out of order, the stream is refused. Pure.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::frame::Run;
use crate::domain::id::CameraId;
use crate::time::{MediaTime, ns_to_ticks};

/// How far ahead of the least delayed frame a new frame may be once the run's clock map is settled.
/// A frame can be late but never early, so what is earlier than this is a jump of the camera's clock.
const EARLY_MAX: Duration = Duration::from_secs(2);

/// The same while the map is young: the first frames of a session may all have been delayed.
const EARLY_MAX_YOUNG: Duration = Duration::from_secs(10);

/// How long a run is young.
const YOUNG: Duration = Duration::from_secs(10);

/// How late a frame may be before its clock is taken to have stood still or jumped back: as long as
/// a session may be silent.
const LATE_MAX: Duration = Duration::from_secs(10);

/// How far back a frame's time may go for it to be one that is shown before one sent earlier (a
/// B-frame): no encoder reorders over more than 16 frames, which last a second at 16 a second.
const REORDER_MAX: Duration = Duration::from_secs(1);

/// Frames out of order within [`REORDER_WINDOW`] frames from which the stream has B-frames; fewer
/// are a hiccup of the camera, and dropped.
const N_REORDERED_MAX: u32 = 3;

/// Frames over which those out of order are counted.
const REORDER_WINDOW: u32 = 100;

/// Where a frame belongs.
#[derive(Debug)]
pub(super) enum Placed {
    /// Here on this run's time line.
    On(Arc<Run>, MediaTime),
    /// A single frame out of order: drop it.
    OutOfOrder,
    /// So many that the stream must be refused.
    BFrames,
}

/// The time lines of one session.
#[derive(Debug)]
pub(super) struct Timeline {
    camera: CameraId,
    run: Option<Began>,
    n_reordered: u32,
    n_since_reordered: u32,
}

#[derive(Debug)]
struct Began {
    run: Arc<Run>,
    /// The camera's time of the run's first frame, in ticks.
    base: i64,
    at: Instant,
    newest: MediaTime,
}

impl Timeline {
    pub(super) fn new(camera: CameraId) -> Timeline {
        Timeline {
            camera,
            run: None,
            n_reordered: 0,
            n_since_reordered: 0,
        }
    }

    /// Places the next frame in decode order: the camera says `ticks` (any origin), and it
    /// `arrived`.
    pub(super) fn place(&mut self, ticks: i64, is_key: bool, arrived: Instant) -> Placed {
        let Some(began) = &mut self.run else {
            return self.begin(ticks, arrived);
        };
        let media = MediaTime(ticks.saturating_sub(began.base));
        let back = began.newest.ticks_since(media);
        if back > 0 {
            if is_key || back > ticks_of(REORDER_MAX) {
                return self.begin(ticks, arrived);
            }
            return self.reordered();
        }
        self.n_since_reordered = self.n_since_reordered.saturating_add(1);
        if self.n_since_reordered > REORDER_WINDOW {
            self.n_reordered = 0;
        }
        if began.is_broken(media, arrived) {
            return self.begin(ticks, arrived);
        }
        began.newest = media;
        began.run.clock.lock().observe(media, arrived);
        Placed::On(Arc::clone(&began.run), media)
    }

    /// When a moment of the camera's clock was, on ours; `None` before the first frame.
    pub(super) fn instant_of(&self, ticks: i64) -> Option<Instant> {
        let began = self.run.as_ref()?;
        began
            .run
            .instant_of(MediaTime(ticks.saturating_sub(began.base)))
    }

    fn begin(&mut self, ticks: i64, arrived: Instant) -> Placed {
        let run = Run::new(self.camera.clone(), arrived);
        let media = MediaTime(0);
        run.clock.lock().observe(media, arrived);
        self.run = Some(Began {
            run: Arc::clone(&run),
            base: ticks,
            at: arrived,
            newest: media,
        });
        self.n_reordered = 0;
        Placed::On(run, media)
    }

    fn reordered(&mut self) -> Placed {
        self.n_reordered += 1;
        self.n_since_reordered = 0;
        if self.n_reordered >= N_REORDERED_MAX {
            Placed::BFrames
        } else {
            Placed::OutOfOrder
        }
    }
}

impl Began {
    fn is_broken(&self, media: MediaTime, arrived: Instant) -> bool {
        let Some(expected) = self.run.instant_of(media) else {
            return false;
        };
        let early_max = if arrived.saturating_duration_since(self.at) < YOUNG {
            EARLY_MAX_YOUNG
        } else {
            EARLY_MAX
        };
        expected.saturating_duration_since(arrived) > early_max
            || arrived.saturating_duration_since(expected) > LATE_MAX
    }
}

fn ticks_of(duration: Duration) -> i64 {
    ns_to_ticks(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::RunId;

    const SECOND: i64 = 90_000;

    struct Camera {
        timeline: Timeline,
        began: Instant,
    }

    impl Camera {
        fn new() -> Camera {
            let timeline = Timeline::new(CameraId::new("a").unwrap());
            Camera {
                timeline,
                began: Instant::now(),
            }
        }

        /// A frame of the camera's time `ticks` that arrives `ms` after the start.
        fn frame(&mut self, ticks: i64, ms: u64, is_key: bool) -> Option<(RunId, i64)> {
            let arrived = self.began + Duration::from_millis(ms);
            match self.timeline.place(ticks, is_key, arrived) {
                Placed::On(run, media) => Some((run.id, media.0)),
                Placed::OutOfOrder | Placed::BFrames => None,
            }
        }

        /// `s` seconds of 25 frames a second from `ticks` on, on time.
        fn runs(&mut self, ticks: i64, ms: u64, s: u64) -> RunId {
            let mut run = None;
            for idx in 0..s * 25 {
                let at = ticks + i64::try_from(idx).unwrap() * 3_600;
                run = self.frame(at, ms + idx * 40, idx % 50 == 0);
            }
            run.unwrap().0
        }
    }

    #[test]
    fn one_time_line_while_the_clock_is_whole() {
        let mut camera = Camera::new();
        let run = camera.runs(1_000_000, 0, 60);
        // 5 s late in a row (a stall of the network), then on time again.
        for idx in 0..100 {
            let ticks = 1_000_000 + 60 * SECOND + idx * 3_600;
            assert_eq!(camera.frame(ticks, 65_000, false).unwrap().0, run);
        }
        let later = camera.frame(1_000_000 + 65 * SECOND, 65_010, false);
        assert_eq!(later, Some((run, 65 * SECOND)));
    }

    #[test]
    fn a_burst_at_connect_is_one_run() {
        let mut camera = Camera::new();
        let first = camera.frame(0, 0, true).unwrap().0;
        for idx in 1..200 {
            assert_eq!(
                camera.frame(idx * 3_600, 5, idx % 50 == 0).unwrap().0,
                first
            );
        }
        let on_time = camera.frame(8 * SECOND, 45, false).unwrap().0;
        assert_eq!(on_time, first);
    }

    #[test]
    fn a_jump_of_the_cameras_clock_begins_a_run() {
        for jump in [
            -3_600 * SECOND,
            -11 * SECOND,
            -2 * SECOND,
            3 * SECOND,
            3_600 * SECOND,
        ] {
            let mut camera = Camera::new();
            let before = camera.runs(0, 0, 30);
            let (after, media) = camera.frame(30 * SECOND + jump, 30_000, false).unwrap();
            assert_ne!(before, after, "{jump}");
            assert_eq!(media, 0);
        }
    }

    #[test]
    fn a_key_frame_out_of_order_begins_a_run_without_loss() {
        let mut camera = Camera::new();
        let before = camera.runs(0, 0, 30);
        let after = camera.frame(30 * SECOND - 10_000, 30_000, true).unwrap().0;
        assert_ne!(before, after);
    }

    #[test]
    fn b_frames_are_refused_but_a_hiccup_is_not() {
        let mut camera = Camera::new();
        camera.runs(0, 0, 10);
        assert!(camera.frame(10 * SECOND - 7_200, 10_000, false).is_none());
        camera.runs(10 * SECOND, 10_040, 10);

        let mut camera = Camera::new();
        let began = camera.began;
        camera.frame(0, 0, true);
        // Decode order of I P B B P B B: shown 0 3 1 2 6 4 5.
        let refused = [3, 1, 2, 6, 4, 5].map(|shown| {
            matches!(
                camera.timeline.place(shown * 3_600, false, began),
                Placed::BFrames
            )
        });
        assert!(refused.contains(&true));
    }

    #[test]
    fn equal_times_stay_in_order() {
        let mut camera = Camera::new();
        let run = camera.frame(500, 0, true).unwrap().0;
        assert_eq!(camera.frame(500, 0, false), Some((run, 0)));
    }
}

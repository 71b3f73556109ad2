//! A simulated camera as the gateway's reader sees it: when each picture was taken, when it could be
//! read, and in which batch it was.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use stairgate::camera::{FeedWriter, Frame, Run};
use stairgate::domain::id::CameraId;
use stairgate::time::{MediaTime, ns_to_ticks};
use tokio::time::Instant;

use super::film::Film;

pub(super) const MS: i64 = 1_000_000;
pub(super) const S: i64 = 1_000 * MS;
/// From the camera's start to its first burst.
const BURST_PHASE: i64 = 17 * MS;

/// How many pictures a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rate {
    Fixed(u32),
    /// 8 to 30 a second, changing all the time.
    Variable,
}

/// How frames get from the camera into the ring. Order is always kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// Each frame is late by a random time up to this: most by little, few by much. (What all are late
    /// by cannot be told from a longer way.)
    pub(super) jitter_ms: u32,
    /// Frames leave the camera only once in this time, together, in no step with the frames.
    pub(super) burst_ms: u32,
    /// The network stops from and to so many milliseconds after the camera's start, and then brings all
    /// at once.
    pub(super) stall_ms: (u32, u32),
    /// The socket is read once in this time.
    pub(super) drain_ms: u32,
    /// Does reading take its time, as in the gateway, so that reads drift over the camera's frames?
    /// Otherwise they keep step with them, which says least about when a frame was taken.
    pub(super) is_loose: bool,
}

impl Way {
    pub(super) const fn drained(drain_ms: u32) -> Way {
        Way {
            jitter_ms: 0,
            burst_ms: 0,
            stall_ms: (0, 0),
            drain_ms,
            is_loose: false,
        }
    }

    /// When a frame that was taken at `taken_ns` leaves the camera, both from the camera's start.
    fn sent_at(self, taken_ns: i64, random: &mut fastrand::Rng) -> i64 {
        let late_s = f64::from(self.jitter_ms) * random.f64().powi(3) / 1_000.0;
        let at = taken_ns + ns(Duration::from_secs_f64(late_s));
        let at = if self.burst_ms > 0 {
            next_multiple(at - BURST_PHASE, i64::from(self.burst_ms) * MS) + BURST_PHASE
        } else {
            at
        };
        let (from, to) = self.stall_ms;
        if at >= i64::from(from) * MS {
            at.max(i64::from(to) * MS)
        } else {
            at
        }
    }

    /// The first read after the one at `read_ns`.
    fn next_read(self, read_ns: i64, random: &mut fastrand::Rng) -> i64 {
        let work_ns = if self.is_loose {
            random.i64(MS / 2..3 * MS)
        } else {
            0
        };
        read_ns + i64::from(self.drain_ms) * MS + work_ns
    }
}

fn next_multiple(ns: i64, period_ns: i64) -> i64 {
    -((-ns).div_euclid(period_ns)) * period_ns
}

/// What a camera does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan<'a> {
    pub(super) film: &'a Film,
    pub(super) rate: Rate,
    pub(super) way: Way,
    /// Sessions, each from and to so long after the start; each begins with the first key frame in it.
    pub(super) sessions: &'a [(i64, i64)],
    /// How much too fast the camera's clock runs, in millionths.
    pub(super) ppm: i64,
    pub(super) seed: u64,
}

/// The truth about one picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    /// The number in it.
    pub(super) number: u32,
    /// When it was taken.
    pub(super) at: Instant,
    /// When it was read.
    pub(super) read: Instant,
}

enum Event {
    Frame(Frame),
    EndRun,
}

/// A camera in the middle of its plan.
pub(super) struct Camera {
    events: VecDeque<(Instant, Event)>,
    /// Every picture that comes through, in order.
    pub(super) taken: Vec<Taken>,
}

impl Camera {
    pub(super) fn new(id: &CameraId, start: Instant, plan: &Plan<'_>) -> Camera {
        let mut random = fastrand::Rng::with_seed(plan.seed);
        let taken_ns = take(plan, &mut random);
        let mut camera = Camera {
            events: VecDeque::new(),
            taken: Vec::new(),
        };
        for &(from, to) in plan.sessions {
            let begins = plan.film.samples.iter().zip(&taken_ns);
            let begins = begins
                .enumerate()
                .find(|(_, (sample, at))| sample.is_key && **at >= from)
                .map_or(usize::MAX, |(idx, _)| idx);
            let base = taken_ns.get(begins).copied().unwrap_or(0);
            let run = Run::new(id.clone(), at(start, base));
            let mut read = next_multiple(base, i64::from(plan.way.drain_ms) * MS);
            for (idx, &taken) in taken_ns.iter().enumerate().skip(begins) {
                if taken >= to {
                    break;
                }
                let sent = plan.way.sent_at(taken, &mut random);
                while read < sent {
                    read = plan.way.next_read(read, &mut random);
                }
                let sample = &plan.film.samples[idx];
                let media_ns = i128::from(taken - base) * i128::from(1_000_000 + plan.ppm);
                let media_ns = i64::try_from(media_ns / 1_000_000).unwrap();
                let frame = Frame {
                    run: Arc::clone(&run),
                    params: Arc::clone(&plan.film.params),
                    media: MediaTime(ns_to_ticks(media_ns)),
                    arrived: at(start, read),
                    is_key: sample.is_key,
                    n_lost: 0,
                    data: sample.data.clone(),
                };
                camera
                    .events
                    .push_back((at(start, read), Event::Frame(frame)));
                camera.taken.push(Taken {
                    number: u32::try_from(idx).unwrap(),
                    at: at(start, taken),
                    read: at(start, read),
                });
            }
            let end = at(start, to.max(read));
            camera.events.push_back((end, Event::EndRun));
        }
        camera
    }

    /// When something next comes; `None` when the plan is over.
    pub(super) fn next_at(&self) -> Option<Instant> {
        Some(self.events.front()?.0)
    }

    /// Puts what has come by `now` into the ring.
    pub(super) fn feed(&mut self, now: Instant, writer: &mut FeedWriter) {
        while let Some((at, _)) = self.events.front()
            && *at <= now
        {
            match self.events.pop_front() {
                Some((_, Event::Frame(frame))) => {
                    frame.run.clock.lock().observe(frame.media, frame.arrived);
                    writer.push(frame);
                }
                Some((_, Event::EndRun)) => writer.end_run(),
                None => {}
            }
        }
        writer.flush();
    }

    /// The least delay of the pictures read by `instant`: what no reader can know.
    pub(super) fn least_delay(&self, instant: Instant) -> Duration {
        let read = self.taken.iter().filter(|taken| taken.read <= instant);
        read.map(|taken| taken.read - taken.at).min().unwrap()
    }

    /// The picture that was on screen at `instant`: its place in [`Camera::taken`].
    pub(super) fn on_screen(&self, instant: Instant) -> usize {
        let n = self.taken.partition_point(|taken| taken.at <= instant);
        n.checked_sub(1).expect("a picture was taken by then")
    }
}

/// When each picture of the film is taken, from the camera's start.
fn take(plan: &Plan<'_>, random: &mut fastrand::Rng) -> Vec<i64> {
    let mut at = 0;
    let mut interval = f64::from(random.u32(33..=125));
    let frames = plan.film.samples.iter().enumerate();
    let taken = frames.map(|(idx, _)| match plan.rate {
        Rate::Fixed(fps) => i64::try_from(idx).unwrap() * S / i64::from(fps),
        Rate::Variable => {
            let now = at;
            interval = (interval * (0.8 + 0.45 * random.f64())).clamp(33.4, 125.0);
            at += ns(Duration::from_secs_f64(interval / 1_000.0));
            now
        }
    });
    taken.collect()
}

pub(super) fn at(start: Instant, ns: i64) -> Instant {
    start + Duration::from_nanos(u64::try_from(ns).unwrap())
}

fn ns(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap()
}

//! A camera that never ends: the same film again and again, made as it goes.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use stairgate::camera::{FeedWriter, Frame, Run};
use stairgate::mux::Sample;
use stairgate::time::{MediaTime, ns_to_ticks};
use tokio::time::Instant;

use super::camera::{S, at};
use super::film::Film;
use super::site::camera;

/// How often its socket is read.
pub(super) const READ_EVERY: Duration = Duration::from_millis(400);

/// The camera in the middle of its day.
pub(super) struct Endless<'a> {
    film: &'a Film,
    numbers: HashMap<Bytes, usize>,
    pub(super) fps: i64,
    /// How much too fast its clock runs, in millionths.
    pub(super) ppm: i64,
    pub(super) start: Instant,
    /// The next picture, counted from the start.
    next: i64,
    run: Arc<Run>,
    run_begins: i64,
    /// The first picture of each run.
    pub(super) runs: Vec<i64>,
}

impl Endless<'_> {
    /// Of a film with no two frames alike.
    pub(super) fn new(film: &Film, fps: i64, ppm: i64, start: Instant) -> Endless<'_> {
        let numbers = (0..film.samples.len()).map(|n| (film.samples[n].data.clone(), n));
        let numbers: HashMap<Bytes, usize> = numbers.collect();
        assert_eq!(numbers.len(), film.samples.len());
        Endless {
            film,
            numbers,
            fps,
            ppm,
            start,
            next: 0,
            run: Run::new(camera(), start),
            run_begins: 0,
            runs: vec![0],
        }
    }

    /// When picture `idx` is taken.
    pub(super) fn taken_at(&self, idx: i64) -> Instant {
        at(self.start, self.taken_ns(idx))
    }

    fn taken_ns(&self, idx: i64) -> i64 {
        idx * S / self.fps
    }

    /// The picture on screen at `instant`.
    pub(super) fn on_screen(&self, instant: Instant) -> i64 {
        let ns = i64::try_from((instant - self.start).as_nanos()).unwrap();
        // Pictures are not taken on whole nanoseconds.
        let idx = (ns + 1) * self.fps / S;
        if self.taken_at(idx) > instant {
            idx - 1
        } else {
            idx
        }
    }

    /// The number in picture `idx`.
    pub(super) fn number(&self, idx: i64) -> usize {
        usize::try_from(idx).unwrap() % self.film.samples.len()
    }

    /// Puts what was taken up to now into the ring.
    pub(super) fn feed(&mut self, writer: &mut FeedWriter) {
        let now = Instant::now();
        while self.taken_at(self.next) <= now {
            let idx = self.next;
            self.next += 1;
            let sample = &self.film.samples[self.number(idx)];
            let since_ns = i128::from(self.taken_ns(idx) - self.taken_ns(self.run_begins));
            let media_ns = since_ns * i128::from(1_000_000 + self.ppm) / 1_000_000;
            let media = MediaTime(ns_to_ticks(i64::try_from(media_ns).unwrap()));
            self.run.clock.lock().observe(media, now);
            writer.push(Frame {
                run: Arc::clone(&self.run),
                params: Arc::clone(&self.film.params),
                media,
                arrived: now,
                is_key: sample.is_key,
                n_lost: 0,
                data: sample.data.clone(),
            });
        }
        writer.flush();
    }

    /// The session ends; the next begins with the first key frame after a pause.
    pub(super) fn reconnect(&mut self, pause: Duration, writer: &mut FeedWriter) {
        writer.end_run();
        let from = Instant::now() + pause;
        while self.taken_at(self.next) < from || !self.film.samples[self.number(self.next)].is_key {
            self.next += 1;
        }
        self.run = Run::new(camera(), self.taken_at(self.next));
        self.run_begins = self.next;
        self.runs.push(self.next);
    }

    /// Which pictures `samples` are, the first of which was taken about then; they must follow each
    /// other without a hole.
    pub(super) fn pictures(&self, samples: &[Sample], begins_about: Instant) -> Range<i64> {
        let first = self.numbers[&samples[0].data];
        let first = self.nearest(first, begins_about);
        for (sample, idx) in samples.iter().zip(first..) {
            assert_eq!(
                self.numbers[&sample.data],
                self.number(idx),
                "{first} {idx}"
            );
        }
        first..first + i64::try_from(samples.len()).unwrap()
    }

    /// The picture with `number` that was taken nearest to `instant`.
    pub(super) fn nearest(&self, number: usize, instant: Instant) -> i64 {
        let about = self.on_screen(instant);
        let n = i64::try_from(self.film.samples.len()).unwrap();
        let off = (i64::try_from(number).unwrap() - about).rem_euclid(n);
        let idx = about + off;
        if off > n / 2 { idx - n } else { idx }
    }
}

/// The first moment of reading after `instant`; reads drift over the frames.
pub(super) fn next_read(instant: Instant, random: &mut fastrand::Rng) -> Instant {
    instant + READ_EVERY + Duration::from_nanos(random.u64(500_000..3_000_000))
}

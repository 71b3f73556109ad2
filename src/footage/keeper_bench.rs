//! A camera, a disk and a keeper for tests, with no clock but the events'.

use std::collections::BTreeMap;

use super::*;
use crate::camera::{Codec, Ring, RingOptions, Run, VideoParams};
use crate::domain::clip::{ClipOutcome, ClipWindow, Gap, Span};
use crate::domain::id::CameraId;
use crate::footage::boxes::Flaw;
use crate::time::{WallTime, add_ns, signed_ns};
use bytes::Bytes;

pub(super) const LINGER: Duration = Duration::from_secs(15);
pub(super) const PRE_ROLL: Duration = Duration::from_secs(10);
pub(super) const CLIP: Duration = Duration::from_secs(30);

pub(super) fn camera() -> CameraId {
    CameraId::new("b03-u2-in").unwrap()
}

pub(super) fn params(n: u32) -> Arc<VideoParams> {
    Arc::new(VideoParams {
        codec: Codec::H264,
        width: 640 + n,
        height: 360,
        extra_data: Bytes::new(),
        rfc6381: "avc1.4D401E".to_owned(),
    })
}

pub(super) fn entry(n: usize) -> EntryId {
    EntryId::derive(&[&n.to_be_bytes()])
}

pub(super) fn number(frame: &Frame) -> usize {
    usize::from_be_bytes(frame.data.as_ref().try_into().unwrap())
}

/// What happens to a camera and its keeper, in the order of time.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Frame(Frame),
    EndRun,
    Request(ClipRequest),
}

/// A file as the disk has it.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) frames: Vec<Placed>,
    pub(super) flaws: Vec<Flaw>,
    pub(super) is_closed: bool,
}

/// A camera, a disk and a keeper, with no clock but the events'.
pub(super) struct Bench {
    pub(super) start: Instant,
    pub(super) keeper: Keeper,
    pub(super) ring: Ring,
    pub(super) newest: Option<Frame>,
    pub(super) is_streaming: bool,
    pub(super) disk: BTreeMap<FootageName, Stored>,
    pub(super) names: BTreeMap<FileId, FootageName>,
    pub(super) settled: Vec<(Settled, Instant)>,
    /// Writes fail between these.
    pub(super) full: Option<(Instant, Instant)>,
    /// For this reason.
    pub(super) full_for: GapReason,
    pub(super) n_writes: usize,
}

impl Bench {
    pub(super) fn new(start: Instant) -> Bench {
        Bench {
            start,
            keeper: Keeper::new(start, LINGER),
            ring: Ring::new(RingOptions::default()),
            newest: None,
            is_streaming: false,
            disk: BTreeMap::new(),
            names: BTreeMap::new(),
            settled: Vec::new(),
            full: None,
            full_for: GapReason::DiskFull,
            n_writes: 0,
        }
    }

    pub(super) fn run(&mut self, events: &[(Instant, Event)]) {
        for (at, event) in events {
            self.deadlines(*at);
            match event {
                Event::Frame(frame) => {
                    frame.run.clock.lock().observe(frame.media, frame.arrived);
                    self.ring.push(frame.clone());
                    self.newest = Some(frame.clone());
                    self.is_streaming = true;
                    self.tick(*at);
                }
                Event::EndRun => {
                    self.ring.end_run();
                    self.is_streaming = false;
                    self.tick(*at);
                }
                Event::Request(request) => {
                    self.keeper.request(request.clone());
                    self.round(*at);
                }
            }
        }
        let last = events.last().map_or(self.start, |(at, _)| *at);
        self.deadlines(last + Duration::from_secs(300));
        self.keeper.close();
        self.round(last + Duration::from_secs(300));
    }

    pub(super) fn deadlines(&mut self, until: Instant) {
        let mut now = self.start;
        while let Some(at) = self.keeper.deadline(now).filter(|at| *at <= until) {
            now = at.max(now + Duration::from_millis(1));
            self.round(now);
        }
    }

    pub(super) fn tick(&mut self, now: Instant) {
        let taken_at = self.newest.as_ref().and_then(|f| f.run.instant_of(f.media));
        let (newest, is_streaming) = (self.ring.newest(), self.is_streaming);
        if self.keeper.is_active() && self.keeper.wants(newest, taken_at, is_streaming) {
            self.round(now);
        }
    }

    pub(super) fn round(&mut self, now: Instant) {
        let round = self.keeper.begin(now, self.ring.gops_after(None).gops);
        while let Some(write) = self.keeper.next_write(&round) {
            self.n_writes += 1;
            let is_full = self.full.is_some_and(|(from, to)| from <= now && now < to);
            let name = match is_full {
                true => Err(self.full_for),
                false => Ok(self.append(&write)),
            };
            self.keeper.wrote(&round, &write, name);
        }
        for file in self.keeper.syncs(&round) {
            // The disk has let go of a file that is closed.
            assert!(!self.disk[&self.names[&file]].is_closed);
            self.keeper.synced(&round, file, Ok(()));
        }
        for settled in self.keeper.settle(&round) {
            self.settled.push((settled, now));
        }
        for file in self.keeper.closes(&round) {
            let stored = self.disk.get_mut(&self.names[&file]).unwrap();
            assert!(!stored.is_closed);
            stored.is_closed = true;
        }
    }

    pub(super) fn append(&mut self, write: &Write) -> FootageName {
        if write.is_new {
            let wall = WallTime::from_unix_ms(0);
            let part = u32::try_from(write.file.0).unwrap();
            let name = FootageName::new(&camera(), wall, write.run.id, part);
            assert!(self.names.insert(write.file, name).is_none());
            assert!(write.frames[0].frame.is_key);
            assert_eq!(write.frames[0].at, MediaTime(0));
        }
        let name = self.names[&write.file].clone();
        let stored = self.disk.entry(name.clone()).or_default();
        assert!(!stored.is_closed);
        for placed in &write.frames {
            if let Some(last) = stored.frames.last() {
                assert!(placed.at > last.at, "a file's time line goes forward");
                assert_eq!(placed.frame.params, last.frame.params);
                assert_eq!(placed.frame.run.id, last.frame.run.id);
            }
            stored.frames.push(placed.clone());
        }
        stored.flaws.extend(write.flaws.clone());
        name
    }

    pub(super) fn outcome(&self, n: usize) -> &ClipOutcome {
        let found = self.settled.iter();
        let mut found = found.filter(|(s, _)| s.request.entry == entry(n));
        let (settled, _) = found.next().expect("every request is settled");
        assert!(found.next().is_none(), "and only once");
        &settled.outcome
    }

    /// The numbers of the frames that `spans` show, after checking that they can be decoded.
    pub(super) fn shown(&self, spans: &[Span]) -> Vec<usize> {
        let mut shown = Vec::new();
        for span in spans {
            let frames = &self.disk[&span.file].frames;
            let first = frames.iter().position(|p| p.at == span.from);
            let first = first.expect("a span begins at a frame");
            let last = frames.iter().rposition(|p| p.at < span.to).unwrap();
            let key = frames[..=first].iter().rposition(|p| p.frame.is_key);
            let lead_in = &frames[key.expect("decoding can start")..=last];
            for pair in lead_in.windows(2) {
                assert_eq!(number(&pair[0].frame) + 1, number(&pair[1].frame));
            }
            shown.extend(frames[first..=last].iter().map(|p| number(&p.frame)));
        }
        shown
    }

    /// Does `span` end where a frame begins, or with the file?
    pub(super) fn is_border(&self, span: &Span) -> bool {
        let frames = &self.disk[&span.file].frames;
        let last = frames.last().unwrap();
        last.at < span.to || frames.iter().any(|placed| placed.at == span.to)
    }

    pub(super) fn stored_numbers(&self) -> Vec<usize> {
        let frames = self.disk.values().flat_map(|stored| &stored.frames);
        frames.map(|placed| number(&placed.frame)).collect()
    }
}

pub(super) fn request_at(start: Instant, n: usize, from: Instant, length: Duration) -> ClipRequest {
    let wall = |at: Instant| WallTime::from_unix_ns(signed_ns(at, start));
    ClipRequest {
        entry: entry(n),
        camera: camera(),
        from,
        to: from + length,
        window: ClipWindow {
            from: wall(from),
            to: wall(from + length),
        },
    }
}

/// Builds the frames of a camera one after the other.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) start: Instant,
    pub(super) run: Arc<Run>,
    pub(super) run_begins: Instant,
    pub(super) params: Arc<VideoParams>,
    pub(super) n_params: u32,
    pub(super) media: MediaTime,
    pub(super) n_frames: usize,
    pub(super) events: Vec<(Instant, Event)>,
}

impl Source {
    pub(super) fn new(start: Instant) -> Source {
        Source {
            start,
            run: Run::new(camera(), start),
            run_begins: start,
            params: params(0),
            n_params: 0,
            media: MediaTime(0),
            n_frames: 0,
            events: Vec::new(),
        }
    }

    pub(super) fn now(&self) -> Instant {
        add_ns(self.run_begins, self.media.ns())
    }

    pub(super) fn frame(&mut self, ticks: i64, is_key: bool, n_lost: u32) {
        self.media = self.media.plus_ticks(ticks);
        let arrived = self.now();
        self.push(arrived, is_key, n_lost);
    }

    /// A frame that arrives late.
    pub(super) fn late_frame(&mut self, ticks: i64, is_key: bool, delay: Duration) {
        self.media = self.media.plus_ticks(ticks);
        let last = self.events.last().map_or(self.start, |(at, _)| *at);
        let arrived = (self.now() + delay).max(last);
        self.push(arrived, is_key, 0);
    }

    fn push(&mut self, arrived: Instant, is_key: bool, n_lost: u32) {
        let frame = Frame {
            run: Arc::clone(&self.run),
            params: Arc::clone(&self.params),
            media: self.media,
            arrived,
            is_key,
            n_lost,
            data: Bytes::copy_from_slice(&self.n_frames.to_be_bytes()),
        };
        self.n_frames += 1;
        self.events.push((arrived, Event::Frame(frame)));
    }

    /// `n` GOPs of `len` frames, 25 a second.
    pub(super) fn gops(&mut self, n: usize, len: usize) {
        for _ in 0..n {
            for idx in 0..len {
                self.frame(3_600, idx == 0, 0);
            }
        }
    }

    pub(super) fn new_params(&mut self) {
        self.n_params += 1;
        self.params = params(self.n_params);
    }

    pub(super) fn new_run(&mut self, pause: Duration) {
        let ended = self.now() + Duration::from_millis(1);
        self.events.push((ended, Event::EndRun));
        self.run_begins = ended + pause;
        self.run = Run::new(camera(), self.run_begins);
        self.media = MediaTime(0);
    }

    pub(super) fn end_run(&mut self) {
        let ended = self.now() + Duration::from_millis(1);
        self.events.push((ended, Event::EndRun));
    }

    /// Asks, `at` after the start, for a clip that begins `back` earlier.
    pub(super) fn ask(&mut self, n: usize, at: Duration, back: Duration, length: Duration) {
        let at = self.start + at;
        let from = at.checked_sub(back).unwrap();
        let request = request_at(self.start, n, from, length);
        self.events.push((at, Event::Request(request)));
    }

    pub(super) fn events(mut self) -> Vec<(Instant, Event)> {
        self.events.sort_by_key(|(at, _)| *at);
        self.events
    }
}

pub(super) fn start() -> Instant {
    // Far from the machine's own start, so that instants before it exist.
    Instant::now() + Duration::from_secs(3_600)
}

pub(super) fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn bench_of(source: Source) -> Bench {
    let mut bench = Bench::new(source.start);
    bench.run(&source.events());
    bench
}

pub(super) fn gaps_of(outcome: &ClipOutcome) -> Vec<Gap> {
    match outcome {
        ClipOutcome::Partial { gaps, .. } => gaps.clone(),
        ClipOutcome::Whole(_) | ClipOutcome::Missed(_) => Vec::new(),
    }
}

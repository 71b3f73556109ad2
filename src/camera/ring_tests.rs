//! The ring against a model that forgets nothing and recomputes everything at every step.

use bytes::Bytes;
use proptest::prelude::*;
use tokio::time::Instant;

use super::super::frame::Codec;
use super::*;
use crate::domain::id::CameraId;
use crate::time::MediaTime;

static ZEROS: [u8; 4_096] = [0; 4_096];

#[derive(Clone, Debug)]
enum Op {
    /// Ticks since the frame before, arrival delay in ms, bytes, new parameters?
    Key(i64, u64, usize, bool),
    Delta(i64, u64, usize),
    /// A new session after so many ms.
    NewRun(u64),
    /// The session ends and no other begins.
    EndRun,
}

fn op() -> impl Strategy<Value = Op> {
    // 1 tick to 20 s between frames: any rate, variable rates, gaps.
    let ticks = prop_oneof![
        8 => 1_800i64..9_000,
        2 => 1i64..90,
        1 => 90_000i64..1_800_000,
    ];
    let late_ms = prop_oneof![4 => Just(0u64), 2 => 0u64..200, 1 => 0u64..5_000];
    let size = 1usize..4_096;
    prop_oneof![
        4 => (ticks.clone(), late_ms.clone(), size.clone(), prop::bool::weighted(0.1))
            .prop_map(|(t, l, s, p)| Op::Key(t, l, s, p)),
        20 => (ticks, late_ms, size).prop_map(|(t, l, s)| Op::Delta(t, l, s)),
        1 => (0u64..30_000).prop_map(Op::NewRun),
        1 => Just(Op::EndRun),
    ]
}

fn params(n: u32) -> Arc<VideoParams> {
    Arc::new(VideoParams {
        codec: Codec::H264,
        width: 640 + n,
        height: 360,
        extra_data: Bytes::from_static(b"avcC"),
        rfc6381: "avc1.4D401E".to_owned(),
    })
}

/// Turns operations into the frames a session would push; `None` is the end of a run.
struct Source {
    run: Arc<Run>,
    params: Arc<VideoParams>,
    n_params: u32,
    media: MediaTime,
    arrived: Instant,
}

impl Source {
    fn new() -> Source {
        let now = Instant::now();
        Source {
            run: run(now),
            params: params(0),
            n_params: 0,
            media: MediaTime(0),
            arrived: now,
        }
    }

    fn apply(&mut self, op: &Op) -> Option<Frame> {
        match *op {
            Op::Key(ticks, late_ms, size, is_new) => {
                if is_new {
                    self.n_params += 1;
                    self.params = params(self.n_params);
                }
                Some(self.frame(ticks, late_ms, size, true))
            }
            Op::Delta(ticks, late_ms, size) => Some(self.frame(ticks, late_ms, size, false)),
            Op::NewRun(gap_ms) => {
                self.arrived += Duration::from_millis(gap_ms);
                self.run = run(self.arrived);
                self.media = MediaTime(0);
                None
            }
            Op::EndRun => None,
        }
    }

    fn frame(&mut self, ticks: i64, late_ms: u64, size: usize, is_key: bool) -> Frame {
        self.media = self.media.plus_ticks(ticks);
        let elapsed_ms = u64::try_from(ticks / 90).unwrap();
        self.arrived += Duration::from_millis(elapsed_ms + late_ms);
        Frame {
            run: Arc::clone(&self.run),
            params: Arc::clone(&self.params),
            media: self.media,
            arrived: self.arrived,
            is_key,
            n_lost: 0,
            data: Bytes::from_static(&ZEROS[..size]),
        }
    }
}

fn run(now: Instant) -> Arc<Run> {
    Run::new(CameraId::new("a").unwrap(), now)
}

/// All GOPs ever, by the plainest reading of the rules.
struct Model {
    options: RingOptions,
    gops: Vec<Vec<Frame>>,
    is_open: bool,
    n_gone: usize,
    is_squeezed: bool,
}

impl Model {
    fn push(&mut self, frame: Option<Frame>) {
        let Some(frame) = frame else {
            self.is_open = false;
            return;
        };
        if frame.is_key {
            self.gops.push(vec![frame]);
            self.is_open = true;
        } else if self.is_open {
            let gop = self.gops.last_mut().unwrap();
            let n_bytes: usize = gop.iter().map(frame_bytes).sum();
            let fits = n_bytes + frame_bytes(&frame) <= self.options.bytes_max;
            let is_short = frame.media.0 - gop[0].media.0 <= 120 * 90_000;
            if gop[0].run.id == frame.run.id && fits && is_short {
                gop.push(frame);
            } else {
                self.is_open = false;
                return;
            }
        } else {
            return;
        }
        self.evict();
    }

    fn evict(&mut self) {
        let newest = self.gops.last().unwrap().last().unwrap();
        let media_max = Duration::from_millis(self.options.media_ms_max);
        for idx in self.n_gone..self.gops.len() - 1 {
            let next = &self.gops[idx + 1][0];
            let n_bytes: usize = self.gops[idx..].iter().flatten().map(frame_bytes).sum();
            let is_old = age(next, newest) >= media_max;
            if is_old {
                self.n_gone = idx + 1;
                self.is_squeezed = false;
            } else if n_bytes > self.options.bytes_max {
                self.n_gone = idx + 1;
                self.is_squeezed = true;
            }
        }
    }
}

/// A frame's identity: run, time, size.
fn marks(frames: &[Frame]) -> Vec<(crate::time::RunId, i64, usize)> {
    let mark = |f: &Frame| (f.run.id, f.media.0, f.data.len());
    frames.iter().map(mark).collect()
}

fn check(ring: &Ring, model: &Model) {
    let kept = &model.gops[model.n_gone..];
    let all = ring.gops_after(None);
    assert_eq!(all.n_evicted, 0);
    assert_eq!(all.gops.len(), kept.len());
    for (idx, (gop, expected)) in all.gops.iter().zip(kept).enumerate() {
        assert_eq!(gop.seq.0, u64::try_from(model.n_gone + idx + 1).unwrap());
        assert_eq!(marks(&gop.frames), marks(expected));
        assert!(gop.frames[0].is_key);
        assert!(gop.frames[1..].iter().all(|f| !f.is_key));
        assert!(gop.frames.iter().all(|f| f.run.id == gop.run().id));
        assert!(gop.frames.iter().all(|f| &f.params == gop.params()));
        assert!(gop.end.is_some() || idx + 1 == kept.len());
    }
    for after in 0..=u64::try_from(model.gops.len()).unwrap() {
        let some = ring.gops_after(Some(GopSeq(after)));
        let n_gone = u64::try_from(model.n_gone).unwrap();
        assert_eq!(some.n_evicted, n_gone.saturating_sub(after));
        let n_newer = model.gops.len() - usize::try_from(after).unwrap().max(model.n_gone);
        assert_eq!(some.gops.len(), n_newer);
    }
    check_bounds(ring, model, &all.gops);
}

/// The promises themselves, stated without the model's steps.
fn check_bounds(ring: &Ring, model: &Model, gops: &[Arc<Gop>]) {
    let n_bytes: usize = gops.iter().flat_map(|g| &g.frames).map(frame_bytes).sum();
    assert_eq!(ring.bytes(), n_bytes);
    assert!(n_bytes <= model.options.bytes_max);
    let Some(newest) = ring.newest_frame() else {
        return;
    };
    let media_max = Duration::from_millis(model.options.media_ms_max);
    if model.n_gone > 0 && !model.is_squeezed {
        assert!(age(gops[0].key_frame(), newest) >= media_max, "L1");
    }
    if let Some(second) = gops.get(1) {
        assert!(
            age(second.key_frame(), newest) < media_max,
            "no GOP too many"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn ring_is_the_model(
        ops in prop::collection::vec(op(), 1..300),
        media_ms_max in 0u64..20_000,
        bytes_max in prop_oneof![8_192usize..60_000, Just(1usize << 26)],
    ) {
        let options = RingOptions { media_ms_max, bytes_max };
        let mut ring = Ring::new(options);
        let mut model =
            Model { options, gops: Vec::new(), is_open: false, n_gone: 0, is_squeezed: false };
        let mut source = Source::new();
        for op in &ops {
            let frame = source.apply(op);
            match &frame {
                Some(frame) => { ring.push(frame.clone()); }
                None => ring.end_run(),
            }
            model.push(frame);
            check(&ring, &model);
        }
    }
}

fn pushed(ring: &mut Ring, source: &mut Source, op: &Op) -> Pushed {
    ring.push(source.apply(op).unwrap())
}

#[test]
fn a_gop_says_why_it_ended() {
    let mut ring = Ring::new(RingOptions {
        media_ms_max: 60_000,
        bytes_max: 1 << 20,
    });
    let mut source = Source::new();
    let key = Op::Key(3_600, 0, 100, false);
    assert_eq!(
        pushed(&mut ring, &mut source, &Op::Delta(3_600, 0, 10)),
        Pushed::NoKeyFrame
    );
    pushed(&mut ring, &mut source, &key);
    pushed(&mut ring, &mut source, &key);
    pushed(&mut ring, &mut source, &Op::Key(3_600, 0, 100, true));
    source.apply(&Op::NewRun(100));
    pushed(&mut ring, &mut source, &key);
    pushed(&mut ring, &mut source, &Op::Delta(121 * 90_000, 0, 10));
    pushed(&mut ring, &mut source, &key);
    let ends: Vec<_> = ring.gops_after(None).gops.iter().map(|g| g.end).collect();
    // The 121 s without a frame also made the first three too old.
    assert_eq!(ends, vec![Some(GopEnd::TooLong), None]);
    assert_eq!(ring.totals().n_frames_too_long, 1);
    assert_eq!(ring.totals().n_frames_no_key, 1);

    let mut ring = Ring::new(RingOptions {
        media_ms_max: 60_000,
        bytes_max: 1 << 20,
    });
    let mut source = Source::new();
    pushed(&mut ring, &mut source, &key);
    pushed(&mut ring, &mut source, &key);
    pushed(&mut ring, &mut source, &Op::Key(3_600, 0, 100, true));
    source.apply(&Op::NewRun(100));
    pushed(&mut ring, &mut source, &key);
    ring.end_run();
    let ends: Vec<_> = ring.gops_after(None).gops.iter().map(|g| g.end).collect();
    let expected = [
        GopEnd::NextKey,
        GopEnd::ParamsChanged,
        GopEnd::RunEnded,
        GopEnd::RunEnded,
    ];
    assert_eq!(ends, expected.map(Some));
}

#[test]
fn a_snapshot_does_not_change_under_its_reader() {
    let mut ring = Ring::new(RingOptions::DEFAULT);
    let mut source = Source::new();
    pushed(&mut ring, &mut source, &Op::Key(3_600, 0, 100, false));
    let before = ring.gops_after(None);
    pushed(&mut ring, &mut source, &Op::Delta(3_600, 0, 10));
    let after = ring.gops_after(None);
    assert_eq!(before.gops[0].frames.len(), 1);
    assert_eq!(after.gops[0].frames.len(), 2);
    assert_eq!(before.gops[0].seq, after.gops[0].seq);
    // Bytes are shared, not copied.
    assert!(std::ptr::eq(
        before.gops[0].frames[0].data.as_ptr(),
        after.gops[0].frames[0].data.as_ptr()
    ));
}

#[test]
fn a_key_frame_larger_than_the_ring_is_refused() {
    let mut ring = Ring::new(RingOptions {
        media_ms_max: 1_000,
        bytes_max: 1_000,
    });
    let mut source = Source::new();
    assert_eq!(
        pushed(&mut ring, &mut source, &Op::Key(1, 0, 1_001, false)),
        Pushed::TooLong
    );
    assert_eq!((ring.bytes(), ring.newest()), (0, None));
}

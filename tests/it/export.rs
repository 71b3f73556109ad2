//! Exported clips show exactly what they should, frame by frame, with the `ffmpeg` program as the judge.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use stairgate::mux::{self, Export, ExportPart, FragmentWriter, MuxError, Sample};
use stairgate::time::MediaTime;

use crate::frame_number::{duration_s, shown_frames};
use crate::numbered::{boxes, gops, numbered};

const FIXTURES: [&str; 2] = ["video/numbered-h264.mp4", "video/numbered-h265.mp4"];

/// What is made of a fixture: its first GOPs cut to `gop_lengths`, one frame every `frame_ticks`, each
/// late by its own `late_ticks`; each GOP written as two fragments, cut at `split`.
#[derive(Clone, Debug)]
struct Shape {
    gop_lengths: Vec<usize>,
    frame_ticks: i64,
    late_ticks: Vec<i64>,
    split: usize,
}

fn shapes() -> impl Strategy<Value = Shape> {
    let gop_lengths = proptest::collection::vec(1..=50usize, 1..6);
    // 60 to 2 frames a second; lateness below one frame, so that time never goes back.
    (gop_lengths, 1_500..45_000i64, 0..100i64, 0..50usize).prop_flat_map(
        |(gop_lengths, frame_ticks, late_percent, split)| {
            let n_frames: usize = gop_lengths.iter().sum();
            let late_max = frame_ticks * late_percent / 100;
            proptest::collection::vec(0..=late_max, n_frames).prop_map(move |late_ticks| Shape {
                gop_lengths: gop_lengths.clone(),
                frame_ticks,
                late_ticks,
                split,
            })
        },
    )
}

/// Writes a footage file; returns time and number of each frame.
fn write_footage(path: &Path, fixture: &str, shape: &Shape) -> Vec<(i64, u32)> {
    let (media, samples) = numbered(fixture);
    let (mut writer, head) = FragmentWriter::new(&media.params).unwrap();
    let mut file = head.to_vec();
    let mut frames = Vec::new();
    for (gop_idx, (gop, &n)) in gops(&samples).iter().zip(&shape.gop_lengths).enumerate() {
        let mut timed = Vec::new();
        for (frame_idx, sample) in gop.iter().take(n).enumerate() {
            let idx = frames.len();
            let due = shape.frame_ticks * i64::try_from(idx).unwrap();
            let first_late = shape.late_ticks[0];
            let at = due + shape.late_ticks[idx] - first_late;
            frames.push((at, u32::try_from(gop_idx * 50 + frame_idx).unwrap()));
            timed.push(Sample {
                at: MediaTime(at),
                duration_ticks: shape.frame_ticks,
                ..sample.clone()
            });
        }
        let (head, tail) = timed.split_at(shape.split.min(n));
        for part in [head, tail].into_iter().filter(|part| !part.is_empty()) {
            file.extend_from_slice(&writer.fragment(part).unwrap());
        }
    }
    fs::write(path, file).unwrap();
    frames
}

/// What a player must show of `frames` in `from..to`: time from the start and number.
fn expected(frames: &[(i64, u32)], from: i64, to: i64) -> Vec<(i64, u32)> {
    let covering = frames.partition_point(|(at, _)| *at <= from) - 1;
    let shown = frames[covering..].iter().filter(|(at, _)| *at < to);
    shown
        .map(|&(at, number)| ((at - from).max(0), number))
        .collect()
}

fn assert_shows(path: &Path, expected: &[(i64, u32)], total_ticks: i64) {
    let shown = shown_frames(path);
    let numbers: Vec<_> = shown.iter().map(|frame| frame.number).collect();
    let expected_numbers: Vec<_> = expected.iter().map(|&(_, n)| Some(n)).collect();
    assert_eq!(numbers, expected_numbers);
    for (frame, (at, number)) in shown.iter().zip(expected) {
        let at_s = *at as f64 / 90_000.0;
        assert!(
            (frame.at_s - at_s).abs() < 2e-5,
            "frame {number}: {frame:?}, {at_s}"
        );
    }
    let total_s = total_ticks as f64 / 90_000.0;
    assert!(
        (duration_s(path) - total_s).abs() < 2e-5,
        "{} {total_s}",
        duration_s(path)
    );
}

fn exported(footage: &Path, from: i64, to: i64) -> Result<Export, MuxError> {
    let (params, samples) = mux::read_samples(footage, MediaTime(from), MediaTime(to))?;
    mux::export(&[ExportPart {
        params,
        samples,
        show_from: MediaTime(from),
        show_to: MediaTime(to),
        gap_before_ticks: 0,
    }])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn any_window_of_any_footage_is_shown_exactly(
        shape in shapes(),
        fixture in proptest::sample::select(&FIXTURES[..]),
        (from, length) in (0..10_000i64, 0..10_000i64),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (footage, clip) = (folder.path().join("footage.mp4"), folder.path().join("clip.mp4"));
        let written = write_footage(&footage, fixture, &shape);
        let end = written.last().unwrap().0 + shape.frame_ticks;
        let from = from * end / 10_000;
        let to = from + 1 + length * (end - from - 1) / 10_000;
        fs::write(&clip, exported(&footage, from, to).unwrap().file).unwrap();
        assert_shows(&clip, &expected(&written, from, to), to - from);
    }
}

/// A footage file of three short GOPs.
fn small_footage() -> Vec<u8> {
    let (media, samples) = numbered(FIXTURES[1]);
    let (mut writer, head) = FragmentWriter::new(&media.params).unwrap();
    let mut file = head.to_vec();
    for gop in gops(&samples[..150]) {
        file.extend_from_slice(&writer.fragment(&gop[..4]).unwrap());
    }
    file
}

proptest! {
    #[test]
    fn broken_footage_is_read_or_refused(
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
        (from, length) in (0..600_000i64, 0..600_000i64),
    ) {
        thread_local!(static WHOLE: Vec<u8> = small_footage());
        let mut file = WHOLE.with(Clone::clone);
        // Most of a file is pictures, which reading does not look at: aim at the headers.
        for (idx, byte) in flips {
            let idx = idx.index(file.len());
            let aimed = if idx % 3 == 0 { idx } else { idx % 900 };
            file[aimed] = byte;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("footage.mp4");
        fs::write(&path, &file).unwrap();
        if let Ok(index) = mux::scan(&path) {
            assert!(index.whole_bytes <= file.len() as u64);
        }
        if let Ok((params, samples)) = mux::read_samples(&path, MediaTime(from), MediaTime(from + length)) {
            let show_from = samples.first().map_or(MediaTime(0), |sample| sample.at);
            let part = ExportPart {
                params,
                samples,
                show_from,
                show_to: show_from.plus_ticks(length),
                gap_before_ticks: 0,
            };
            if let Ok(export) = mux::export(&[part]) {
                assert!(export.file.len() > 1_000);
            }
        }
    }
}

fn part(name: &str, frames: std::ops::Range<usize>, show_from: i64, show_to: i64) -> ExportPart {
    let (media, samples) = numbered(name);
    ExportPart {
        params: media.params,
        samples: samples[frames].to_vec(),
        show_from: MediaTime(show_from * 3_600),
        show_to: MediaTime(show_to * 3_600),
        gap_before_ticks: 0,
    }
}

/// `n` frames of 40 ms from `number` on, the first of them shown at frame `at`.
fn run(at: i64, number: u32, n: u32) -> impl Iterator<Item = (i64, u32)> {
    (0..n).map(move |i| ((at + i64::from(i)) * 3_600, number + i))
}

#[test]
fn a_gap_is_kept_in_real_time_and_the_last_frame_stays() {
    let folder = tempfile::tempdir().unwrap();
    let clip = folder.path().join("clip.mp4");
    for name in FIXTURES {
        let first = part(name, 0..100, 20, 80);
        let mut second = part(name, 150..300, 150, 250);
        second.gap_before_ticks = 70 * 3_600;
        fs::write(&clip, mux::export(&[first, second]).unwrap().file).unwrap();
        let shown: Vec<_> = run(0, 20, 60).chain(run(130, 150, 100)).collect();
        assert_shows(&clip, &shown, 230 * 3_600);
    }
}

#[test]
fn a_later_part_with_other_parameters_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let clip = folder.path().join("clip.mp4");
    for (name, other, other_number) in [
        (
            "video/numbered-h264.mp4",
            "video/numbered-h264-small.mp4",
            20_000,
        ),
        (
            "video/numbered-h265.mp4",
            "video/numbered-h265-small.mp4",
            40_000,
        ),
    ] {
        let parts = [
            part(name, 0..100, 30, 100),
            part(other, 0..150, 0, 120),
            part(name, 200..260, 200, 260),
        ];
        fs::write(&clip, mux::export(&parts).unwrap().file).unwrap();
        let shown = run(0, 30, 70).chain(run(70, other_number, 120));
        let shown: Vec<_> = shown.chain(run(190, 200, 60)).collect();
        assert_shows(&clip, &shown, 250 * 3_600);
    }
}

#[test]
fn frames_that_a_later_part_only_decodes_take_no_time() {
    let folder = tempfile::tempdir().unwrap();
    let clip = folder.path().join("clip.mp4");
    let first = part(FIXTURES[0], 0..50, 0, 50);
    let mut second = part(FIXTURES[0], 100..150, 103, 150);
    second.gap_before_ticks = 3_600;
    fs::write(&clip, mux::export(&[first, second]).unwrap().file).unwrap();
    let start = 51 * 3_600;
    let mut shown: Vec<_> = run(0, 0, 50).collect();
    shown.extend([(start - 3, 100), (start - 2, 101), (start - 1, 102)]);
    shown.extend(run(51, 103, 47));
    assert_shows(&clip, &shown, 98 * 3_600);
}

#[test]
fn an_export_is_one_file_with_its_head_in_front_and_always_the_same() {
    let make = || mux::export(&[part(FIXTURES[1], 50..400, 60, 399)]).unwrap();
    let Export { file, gops } = make();
    assert_eq!(gops.len(), 7);
    assert_eq!(gops[0].at, MediaTime(-10 * 3_600));
    assert_eq!((gops[6].n_frames, gops[6].bytes.end), (49, file.len()));
    let (_, samples) = numbered(FIXTURES[1]);
    let second = samples[100..150].iter().flat_map(|sample| &sample.data);
    assert!(file[gops[1].bytes.clone()].iter().eq(second));
    assert_eq!(boxes(&file), ["ftyp", "moov", "free", "free", "mdat"]);
    assert_eq!(file, make().file);
}

#[test]
fn what_cannot_be_shown_is_refused() {
    let no_key = part(FIXTURES[0], 10..40, 20, 30);
    let too_late = part(FIXTURES[0], 50..90, 20, 60);
    let backwards = part(FIXTURES[0], 0..90, 60, 20);
    for bad in [no_key, too_late, backwards] {
        assert!(matches!(
            mux::export(&[bad]),
            Err(MuxError::NotCovered { .. })
        ));
    }
    assert!(matches!(mux::export(&[]), Err(MuxError::Empty)));
    let h264 = part(FIXTURES[0], 0..90, 0, 20);
    let h265 = part(FIXTURES[1], 0..90, 0, 20);
    assert!(matches!(
        mux::export(&[h264, h265]),
        Err(MuxError::TwoCodecs)
    ));
}

#[test]
fn thirty_seconds_of_2_mbit_are_exported_at_once() {
    // 800 frames of 10 kB: 32 s at 2 Mbit/s. What is in them does not matter to a remuxer.
    let mut part = part(FIXTURES[0], 0..800, 25, 775);
    for sample in &mut part.samples {
        let n_bytes = if sample.is_key { 60_000 } else { 9_000 };
        sample.data = vec![0; n_bytes].into();
    }
    let parts = [part];
    let best = (0..5)
        .map(|_| {
            let begun = tokio::time::Instant::now();
            let file = mux::export(&parts).unwrap().file;
            assert!(file.len() > 7_500_000);
            begun.elapsed()
        })
        .min()
        .unwrap();
    println!("exported 30 s of 2 Mbit/s in {best:?}");
    assert!(best.as_millis() <= 200, "{best:?}");
}

#[test]
fn a_footage_file_cut_anywhere_is_read_up_to_its_last_whole_fragment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("footage.mp4");
    let (media, samples) = numbered(FIXTURES[0]);
    let (mut writer, head) = FragmentWriter::new(&media.params).unwrap();
    let mut file = head.to_vec();
    let mut borders = vec![file.len()];
    for gop in gops(&samples[..150]) {
        // A box that we did not write, such as prft, between fragments.
        file.extend_from_slice(&[0, 0, 0, 12, b'f', b'r', b'e', b'e', 1, 2, 3, 4]);
        file.extend_from_slice(&writer.fragment(gop).unwrap());
        borders.push(file.len());
    }
    for n_bytes in (0..file.len()).step_by(997).chain([file.len()]) {
        fs::write(&path, &file[..n_bytes]).unwrap();
        let n_whole = borders.iter().filter(|&&border| border <= n_bytes).count();
        let Ok(index) = mux::scan(&path) else {
            assert_eq!(n_whole, 0, "{n_bytes} bytes");
            continue;
        };
        assert_eq!(index.params, media.params);
        assert_eq!(index.whole_bytes, borders[n_whole - 1] as u64);
        assert_eq!(index.fragments.len(), n_whole - 1);
        let (_, read) = mux::read_samples(&path, MediaTime(0), MediaTime(i64::MAX)).unwrap();
        assert_eq!(read, samples[..50 * (n_whole - 1)]);
    }
}

#[test]
fn samples_are_read_from_the_key_frame_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("footage.mp4");
    let (media, samples) = numbered(FIXTURES[1]);
    let (mut writer, head) = FragmentWriter::new(&media.params).unwrap();
    let mut file = head.to_vec();
    for piece in samples[..200].chunks(30) {
        file.extend_from_slice(&writer.fragment(piece).unwrap());
    }
    fs::write(&path, file).unwrap();
    for (from, to, expected) in [
        (0, 1, 0..1),
        (49, 50, 0..50),
        (50, 51, 50..51),
        (120, 170, 100..170),
        (199, 900, 150..200),
        (120, 30, 0..30),
        (0, 0, 0..0),
    ] {
        let (from, to) = (MediaTime(from * 3_600), MediaTime(to * 3_600));
        let (params, read) = mux::read_samples(&path, from, to).unwrap();
        assert_eq!(params, media.params);
        assert_eq!(read, samples[expected]);
    }
}

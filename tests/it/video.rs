//! Containers, with the `ffmpeg` program as the judge.

use std::fs;

use stairgate::mux::{self, FragmentWriter, MuxError, Sample};
use stairgate::time::MediaTime;

use crate::frame_number::{duration_s, fixture, shown_frames, shown_numbers};
use crate::numbered::{boxes, gops, numbered};

#[test]
fn numbered_fixtures_show_their_numbers() {
    for (name, numbers) in [
        ("video/numbered-h264.mp4", 0..1_600),
        ("video/numbered-h264-small.mp4", 20_000..20_500),
        ("video/numbered-h265.mp4", 0..1_600),
        ("video/numbered-h265-small.mp4", 40_000..40_250),
    ] {
        let expected: Vec<u32> = numbers.collect();
        assert_eq!(shown_numbers(&fixture(name)), expected, "{name}");
    }
}

#[test]
fn packets_fit_and_carry_every_frame() {
    for (name, rtpmap, n_frames) in [
        ("video/numbered-h264.mp4", "96 H264/90000", 1_600),
        ("video/numbered-h265.mp4", "96 H265/90000", 1_600),
        ("video/numbered-h264-small.mp4", "96 H264/90000", 500),
    ] {
        let (media, samples) = numbered(name);
        assert_eq!(media.rtpmap, rtpmap);
        assert!(media.fmtp.starts_with("96 "), "{}", media.fmtp);
        assert!(media.fmtp.contains("sprop-"), "{}", media.fmtp);
        assert_eq!(samples.len(), n_frames);
        assert_eq!(
            media.duration_ticks,
            3_600 * i64::try_from(n_frames).unwrap()
        );
        for (idx, frame) in media.frames.iter().enumerate() {
            assert_eq!(frame.at.0, 3_600 * i64::try_from(idx).unwrap());
            assert_eq!(frame.is_key, idx % 50 == 0);
            assert!(!frame.packets.is_empty());
            assert!(frame.packets.iter().all(|packet| packet.len() <= 1_400));
        }
        let longest = media.frames.iter().map(|frame| frame.packets.len()).max();
        assert!(longest >= Some(3), "key frames are cut: {longest:?}");
    }
}

#[test]
fn packetising_refuses_what_is_no_video() {
    let missing = mux::packetise(&fixture("video/no-such.mp4"), 1_400);
    assert!(matches!(missing, Err(MuxError::ReadVideo { .. })));
    let script = mux::packetise(&fixture("video/make.sh"), 1_400);
    assert!(script.is_err());
}

#[test]
fn a_fragmented_file_plays_up_to_any_fragment_border() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("footage.mp4");
    for name in ["video/numbered-h264.mp4", "video/numbered-h265.mp4"] {
        let (media, samples) = numbered(name);
        let (mut writer, head) = FragmentWriter::new(&media.params).unwrap();
        let mut file = head.to_vec();
        let mut borders = Vec::new();
        for gop in gops(&samples[..200]) {
            file.extend_from_slice(&writer.fragment(gop).unwrap());
            borders.push((file.len(), gop.len()));
        }
        let mut n_frames = 0;
        for (n_bytes, n_gop) in borders {
            n_frames += n_gop;
            fs::write(&path, &file[..n_bytes]).unwrap();
            let shown = shown_frames(&path);
            assert_eq!(shown.len(), n_frames, "{name}");
            for (idx, frame) in shown.iter().enumerate() {
                assert_eq!(frame.number, u32::try_from(idx).ok());
                assert!((frame.at_s - idx as f64 * 0.04).abs() < 1e-5);
            }
            assert!((duration_s(&path) - n_frames as f64 * 0.04).abs() < 1e-3);
        }
    }
}

#[test]
fn a_fragment_is_one_moof_and_one_mdat() {
    let (media, samples) = numbered("video/numbered-h264.mp4");
    let (mut writer, head) = FragmentWriter::new(&media.params).unwrap();
    assert_eq!(boxes(&head), ["ftyp", "moov"]);
    for n in [1, 2, 50] {
        let fragment = writer.fragment(&samples[..n]).unwrap();
        assert_eq!(boxes(&fragment), ["moof", "mdat"], "{n} samples");
    }
    assert!(matches!(writer.fragment(&[]), Err(MuxError::Empty)));
}

/// A camera that is watched for a day has two million fragments.
#[test]
fn a_writer_that_never_ends_keeps_nothing_of_what_it_wrote() {
    let media = mux::packetise(&fixture("video/numbered-h264-small.mp4"), 1_400).unwrap();
    let (mut writer, _) = FragmentWriter::new(&media.params).unwrap();
    let data = bytes::Bytes::from_static(&[0, 0, 0, 2, 0x65, 0x88]);
    let mut write = |numbers: std::ops::Range<i64>| {
        for n in numbers {
            let sample = Sample {
                at: MediaTime(n * 3_600),
                duration_ticks: 3_600,
                is_key: n % 50 == 0,
                data: data.clone(),
            };
            assert!(writer.fragment(&[sample]).unwrap().len() < 300);
        }
    };
    write(0..1_000);
    let before = own_memory();
    write(1_000..101_000);
    let grown = own_memory().saturating_sub(before);
    assert!(grown < 1 << 20, "{grown} bytes for 100,000 fragments");
}

/// Resident bytes of this process that are its own.
fn own_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() << 10
}

#[test]
fn a_fragment_begins_exactly_at_its_first_frame() {
    // The last frame of a fragment is given a duration before the next one has come; that one came
    // 20 ms early the first time, and 1 s late the second time.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("footage.mp4");
    let (media, mut samples) = numbered("video/numbered-h264.mp4");
    for sample in &mut samples[70..] {
        sample.at = sample.at.plus_ticks(-1_800);
    }
    for sample in &mut samples[100..] {
        sample.at = sample.at.plus_ticks(MediaTime::HZ + 7);
    }
    let (mut writer, head) = FragmentWriter::new(&media.params).unwrap();
    let mut file = head.to_vec();
    file.extend_from_slice(&writer.fragment(&samples[..70]).unwrap());
    file.extend_from_slice(&writer.fragment(&samples[70..100]).unwrap());
    file.extend_from_slice(&writer.fragment(&samples[100..150]).unwrap());
    fs::write(&path, &file).unwrap();
    let shown = shown_frames(&path);
    assert_eq!(shown.len(), 150);
    for (frame, sample) in shown.iter().zip(&samples) {
        assert!((frame.at_s - sample.at.0 as f64 / 90_000.0).abs() < 1e-5);
    }
}

#[test]
fn equal_frames_give_equal_files() {
    let write = || {
        let (media, samples) = numbered("video/numbered-h265.mp4");
        let (mut writer, head) = FragmentWriter::new(&media.params).unwrap();
        [head, writer.fragment(&samples[..50]).unwrap()].concat()
    };
    assert_eq!(write(), write());
}

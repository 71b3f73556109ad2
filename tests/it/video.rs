//! Containers, with the `ffmpeg` program as the judge.

use std::fs;

use bytes::Bytes;
use stairgate::camera::Codec;
use stairgate::mux::{self, FragmentWriter, MuxError, RtpMedia, Sample};
use stairgate::time::MediaTime;

use crate::frame_number::{duration_s, fixture, shown_frames, shown_numbers};

#[test]
fn numbered_fixtures_show_their_numbers() {
    for (name, numbers) in [
        ("video/numbered-h264.mp4", 0..1_600),
        ("video/numbered-h264-small.mp4", 20_000..20_500),
        ("video/numbered-h265.mp4", 0..1_600),
    ] {
        let expected: Vec<u32> = numbers.collect();
        assert_eq!(shown_numbers(&fixture(name)), expected, "{name}");
    }
}

/// The frames of a packetised file put together again as a receiver does.
fn depacketise(media: &RtpMedia) -> Vec<Sample> {
    let frames = media.frames.iter().enumerate();
    frames
        .map(|(idx, frame)| {
            let next = media.frames.get(idx + 1);
            let until = next.map_or(media.duration_ticks, |next| next.at.0);
            let mut data = Vec::new();
            for (i, packet) in frame.packets.iter().enumerate() {
                let is_last = i + 1 == frame.packets.len();
                assert_eq!(packet[0], 0x80);
                assert_eq!(packet[1], 96 | if is_last { 0x80 } else { 0 });
                assert_eq!(packet[2..12], [0; 10]);
                unpack(media.params.codec, &packet[12..], &mut data);
            }
            Sample {
                at: frame.at,
                duration_ticks: until - frame.at.0,
                is_key: frame.is_key,
                data: Bytes::from(data),
            }
        })
        .collect()
}

/// One payload of RFC 6184 or RFC 7798 onto the end of `data`.
fn unpack(codec: Codec, payload: &[u8], data: &mut Vec<u8>) {
    let nal = |data: &mut Vec<u8>, nal: &[u8]| {
        data.extend_from_slice(&u32::try_from(nal.len()).unwrap().to_be_bytes());
        data.extend_from_slice(nal);
    };
    let (kind, n_head, aggregate, fragment) = match codec {
        Codec::H264 => (payload[0] & 0x1f, 1, 24, 28),
        Codec::H265 => (payload[0] >> 1 & 0x3f, 2, 48, 49),
    };
    if kind == aggregate {
        let mut rest = &payload[n_head..];
        while let Some((n, tail)) = rest.split_first_chunk::<2>() {
            let (one, tail) = tail.split_at(usize::from(u16::from_be_bytes(*n)));
            nal(data, one);
            rest = tail;
        }
    } else if kind == fragment {
        let flags = payload[n_head];
        if flags & 0x80 != 0 {
            let head = match codec {
                Codec::H264 => vec![payload[0] & 0xe0 | flags & 0x1f],
                Codec::H265 => vec![payload[0] & 0x81 | (flags & 0x3f) << 1, payload[1]],
            };
            data.extend_from_slice(&[0; 4]);
            data.extend_from_slice(&head);
        }
        data.extend_from_slice(&payload[n_head + 1..]);
        if flags & 0x40 != 0 {
            close_nal(data);
        }
    } else {
        nal(data, payload);
    }
}

/// Fills in the length of the last NAL unit, which was 0 while it grew.
fn close_nal(data: &mut [u8]) {
    let mut start = 0;
    loop {
        let n = u32::from_be_bytes(data[start..start + 4].try_into().unwrap());
        if n == 0 {
            let n_bytes = u32::try_from(data.len() - start - 4).unwrap();
            data[start..start + 4].copy_from_slice(&n_bytes.to_be_bytes());
            return;
        }
        start += 4 + usize::try_from(n).unwrap();
    }
}

fn numbered(name: &str) -> (RtpMedia, Vec<Sample>) {
    let media = mux::packetise(&fixture(name), 1_400).unwrap();
    let samples = depacketise(&media);
    (media, samples)
}

fn gops(samples: &[Sample]) -> Vec<&[Sample]> {
    let mut gops = Vec::new();
    let mut start = 0;
    for idx in 1..=samples.len() {
        if samples.get(idx).is_none_or(|sample| sample.is_key) {
            gops.push(&samples[start..idx]);
            start = idx;
        }
    }
    gops
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

#[test]
fn a_fragment_begins_exactly_at_its_first_frame() {
    // The last frame of a fragment was given a duration before the next one had come; it came 1 s late.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("footage.mp4");
    let (media, mut samples) = numbered("video/numbered-h264.mp4");
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

/// Names of the boxes on the top level.
fn boxes(mut bytes: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    while !bytes.is_empty() {
        let n = u32::from_be_bytes(bytes[..4].try_into().unwrap());
        names.push(String::from_utf8(bytes[4..8].to_vec()).unwrap());
        bytes = &bytes[usize::try_from(n).unwrap()..];
    }
    names
}

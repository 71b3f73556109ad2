//! The numbered fixtures as frames in memory.

use std::path::Path;

use bytes::Bytes;
use stairgate::camera::Codec;
use stairgate::mux::{self, RtpMedia, Sample};

use crate::frame_number::fixture;

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

/// A fixture as packets and as the frames in them.
pub(crate) fn numbered(name: &str) -> (RtpMedia, Vec<Sample>) {
    numbered_at(&fixture(name))
}

/// Any numbered video as packets and as the frames in them.
pub(crate) fn numbered_at(path: &Path) -> (RtpMedia, Vec<Sample>) {
    let media = mux::packetise(path, 1_400).unwrap();
    let samples = depacketise(&media);
    (media, samples)
}

/// From key frame to key frame.
pub(crate) fn gops(samples: &[Sample]) -> Vec<&[Sample]> {
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

/// Names of the boxes on the top level.
pub(crate) fn boxes(mut bytes: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    while !bytes.is_empty() {
        let n = u32::from_be_bytes(bytes[..4].try_into().unwrap());
        names.push(String::from_utf8(bytes[4..8].to_vec()).unwrap());
        bytes = &bytes[usize::try_from(n).unwrap()..];
    }
    names
}

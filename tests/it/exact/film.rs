//! Numbered films made on the spot: small pictures, any length of GOP, both codecs.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use stairgate::camera::{Codec, VideoParams};
use stairgate::mux::{self, RtpMedia, Sample};

use crate::harness::temp_dir;
use crate::numbered::numbered_at;

/// Size of the pictures: 20 bars of 4 pixels, and something that moves below them.
const WIDTH: u32 = 80;
const HEIGHT: u32 = 40;

/// A numbered film: frame `n` shows the number `n`.
#[derive(Clone, Debug)]
pub(super) struct Film {
    pub(super) media: RtpMedia,
    pub(super) params: Arc<VideoParams>,
    pub(super) samples: Vec<Sample>,
}

/// A film of `n_frames` frames of 25 a second for each GOP length of `gops` (in frames), by one run
/// of the encoder.
pub(super) fn films(codec: Codec, n_frames: u32, gops: &[u32]) -> Vec<Film> {
    let dir = temp_dir();
    let raw = dir.path().join("raw.gray");
    fs::write(&raw, (0..n_frames).flat_map(picture).collect::<Vec<u8>>()).unwrap();
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg
        .args([
            "-v", "error", "-nostdin", "-f", "rawvideo", "-pix_fmt", "gray", "-r", "25",
        ])
        .args(["-s", &format!("{WIDTH}x{HEIGHT}"), "-i"])
        .arg(&raw);
    let name = |gop: u32| dir.path().join(format!("{gop}.mp4"));
    for gop in gops {
        let keys = format!("keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0:bframes=0");
        ffmpeg.args(["-map", "0:v", "-pix_fmt", "yuv420p", "-preset", "ultrafast"]);
        match codec {
            Codec::H264 => ffmpeg
                .args(["-c:v", "libx264", "-threads", "1"])
                .args(["-x264-params", &format!("{keys}:threads=1")]),
            Codec::H265 => ffmpeg.args(["-c:v", "libx265", "-tag:v", "hvc1"]).args([
                "-x265-params",
                &format!("log-level=error:pools=1:frame-threads=1:{keys}"),
            ]),
        };
        ffmpeg
            .args(["-video_track_timescale", "90000"])
            .arg(name(*gop));
    }
    let output = ffmpeg.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    gops.iter().map(|gop| film_of(&name(*gop))).collect()
}

fn film_of(path: &Path) -> Film {
    let (media, samples) = numbered_at(path);
    Film {
        params: Arc::new(media.params.clone()),
        media,
        samples,
    }
}

/// Picture `number` as gray pixels; the layout is in `fixtures/README.md`.
fn picture(number: u32) -> Vec<u8> {
    let bits = (0..16).map(|bit| number >> bit & 1);
    let is_even = bits.clone().sum::<u32>().is_multiple_of(2);
    let bars = [1, 0]
        .into_iter()
        .chain(bits)
        .chain([u32::from(is_even), 1]);
    let strip: Vec<u8> = bars
        .flat_map(|lit| [if lit == 1 { 235 } else { 16 }; 4])
        .collect();
    let scene = (0..WIDTH).map(|x| u8::try_from((x * 3 + number) % 200 + 20).unwrap());
    let scene: Vec<u8> = scene.collect();
    let rows = (0..HEIGHT).map(|y| if y < 4 { &strip } else { &scene });
    rows.flatten().copied().collect()
}

/// The same picture in `n_bytes` bytes: filled up with a NAL unit that decoders skip (H.264 table
/// 7-1, type 12; H.265 table 7-1, type 38).
pub(super) fn filled(codec: Codec, sample: &Sample, n_bytes: usize) -> Sample {
    let head: &[u8] = match codec {
        Codec::H264 => &[12],
        Codec::H265 => &[38 << 1, 1],
    };
    let n_fill = n_bytes.saturating_sub(sample.data.len() + 4 + head.len() + 1);
    let n_nal = u32::try_from(head.len() + n_fill + 1).unwrap();
    let mut data = sample.data.to_vec();
    data.extend_from_slice(&n_nal.to_be_bytes());
    data.extend_from_slice(head);
    data.extend(std::iter::repeat_n(0xff, n_fill));
    data.push(0x80);
    Sample {
        data: Bytes::from(data),
        ..sample.clone()
    }
}

/// The same film with no two frames of the same bytes: each is filled up by another length.
pub(super) fn distinct(codec: Codec, film: &Film) -> Film {
    let samples = film.samples.iter().enumerate();
    let samples = samples.map(|(n, sample)| filled(codec, sample, sample.data.len() + 8 + n));
    Film {
        samples: samples.collect(),
        ..film.clone()
    }
}

/// The films' fixtures play as what they claim to be.
#[test]
fn a_film_made_on_the_spot_shows_its_numbers() {
    let dir = temp_dir();
    for codec in [Codec::H264, Codec::H265] {
        let film = &films(codec, 40, &[10])[0];
        let keys = film.samples.iter().enumerate().filter(|(_, s)| s.is_key);
        assert_eq!(
            keys.map(|(idx, _)| idx).collect::<Vec<_>>(),
            [0, 10, 20, 30]
        );
        let samples = film.samples.iter().map(|s| filled(codec, s, 2_000));
        let samples: Vec<Sample> = samples.collect();
        let (mut writer, head) = mux::FragmentWriter::new(&film.params).unwrap();
        let path = dir.path().join("film.mp4");
        fs::write(&path, [head, writer.fragment(&samples).unwrap()].concat()).unwrap();
        let numbers = crate::frame_number::shown_numbers(&path);
        assert_eq!(numbers, (0..40).collect::<Vec<u32>>());
    }
}

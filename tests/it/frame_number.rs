//! What a player shows of a video file, frame by frame: when, and the number drawn in the picture.
//!
//! The judge is the `ffmpeg` program, not our own code; the layout of the numbers is in
//! `fixtures/README.md`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Bars of a number, markers and parity included.
const N_BARS: usize = 20;

/// One frame as shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shown {
    /// When, in seconds from the start of the shown time.
    pub(crate) at_s: f64,
    /// The number in the picture; `None` when its fixed bars or parity are wrong.
    pub(crate) number: Option<u32>,
}

/// The path of a file under `fixtures/`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

/// Decodes `path` as a player does (edit lists respected) and returns every frame shown, in order.
///
/// # Panics
/// When ffmpeg has the least to complain of, or the frames and their times do not agree.
pub(crate) fn shown_frames(path: &Path) -> Vec<Shown> {
    let numbers = numbers(path);
    let times = times(path);
    assert_eq!(numbers.len(), times.len(), "frames and times of {path:?}");
    let shown = times.into_iter().zip(numbers);
    shown.map(|(at_s, number)| Shown { at_s, number }).collect()
}

/// Like [`shown_frames`], the numbers alone.
///
/// # Panics
/// When ffmpeg has the least to complain of, or a number cannot be read.
pub(crate) fn shown_numbers(path: &Path) -> Vec<u32> {
    let all = numbers(path).into_iter();
    all.map(|n| n.expect("a number that can be read")).collect()
}

/// A video file as a player plays it.
#[derive(Clone, Debug)]
pub(crate) struct Played {
    /// Every frame shown, in order.
    pub(crate) frames: Vec<Shown>,
    /// The container's duration in seconds.
    pub(crate) duration_s: f64,
}

/// [`shown_frames`] and [`duration_s`] at once.
///
/// # Panics
/// As they do.
pub(crate) fn played(path: &Path) -> Played {
    let numbers = numbers(path);
    let text = output("ffprobe", |probe| {
        probe
            .args(["-v", "error", "-threads", "1", "-select_streams", "v:0"])
            .args(["-show_entries", "frame=pts_time:format=duration"])
            .args(["-of", "csv"])
            .arg(path)
    });
    let text = String::from_utf8(text).unwrap();
    let column = |section: &'static str| {
        let lines = text
            .lines()
            .filter_map(move |line| line.strip_prefix(section));
        // A frame's line may go on with its side data.
        lines.map(|line| line.split(',').next().unwrap().parse::<f64>().unwrap())
    };
    let times: Vec<f64> = column("frame,").collect();
    assert_eq!(numbers.len(), times.len(), "frames and times of {path:?}");
    let shown = times.into_iter().zip(numbers);
    Played {
        frames: shown.map(|(at_s, number)| Shown { at_s, number }).collect(),
        duration_s: column("format,").next().unwrap(),
    }
}

/// The container's duration in seconds, as ffprobe reports it.
pub(crate) fn duration_s(path: &Path) -> f64 {
    let text = output("ffprobe", |probe| {
        probe
            .args(["-v", "error", "-show_entries", "format=duration"])
            .args(["-of", "csv=p=0"])
            .arg(path)
    });
    String::from_utf8(text).unwrap().trim().parse().unwrap()
}

fn numbers(path: &Path) -> Vec<Option<u32>> {
    let bars = output("ffmpeg", |ffmpeg| {
        ffmpeg
            .args(["-v", "error", "-nostdin", "-threads", "1", "-i"])
            .arg(path)
            .args(["-map", "0:v:0", "-vsync", "passthrough"])
            .args(["-enc_time_base", "1/90000", "-vf"])
            .arg("crop=iw:iw/20:0:0,scale=20:1:flags=area,format=gray")
            .args(["-f", "rawvideo", "-"])
    });
    assert_eq!(bars.len() % N_BARS, 0);
    bars.chunks_exact(N_BARS).map(number).collect()
}

fn number(bars: &[u8]) -> Option<u32> {
    let lit: Vec<bool> = bars.iter().map(|&luma| luma >= 128).collect();
    let odd = lit[2..19].iter().filter(|&&bar| bar).count() % 2 == 1;
    if !lit[0] || lit[1] || !lit[19] || !odd {
        return None;
    }
    let bits = lit[2..18].iter().rev();
    Some(bits.fold(0, |number, &bit| number * 2 + u32::from(bit)))
}

fn times(path: &Path) -> Vec<f64> {
    let text = output("ffprobe", |probe| {
        probe
            .args(["-v", "error", "-threads", "1", "-select_streams", "v:0"])
            .args(["-show_entries", "frame=pts_time", "-of", "csv=p=0"])
            .arg(path)
    });
    let text = String::from_utf8(text).unwrap();
    let lines = text.lines().map(|line| line.trim_end_matches(','));
    let lines = lines.filter(|line| !line.is_empty());
    lines.map(|line| line.parse().unwrap()).collect()
}

/// Standard output of a program that must succeed and say nothing on standard error.
fn output(program: &str, arguments: impl FnOnce(&mut Command) -> &mut Command) -> Vec<u8> {
    let mut command = Command::new(program);
    let output = arguments(&mut command).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaint.is_empty(),
        "{program}: {complaint}"
    );
    output.stdout
}

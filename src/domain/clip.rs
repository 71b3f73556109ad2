//! An entry's clip: a window over kept footage, and what became of it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::id::CameraId;
use crate::time::{MediaTime, RunId, WallTime};

/// How much is kept around a swipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClipLength {
    /// Before the swipe.
    pub pre_roll: Duration,
    /// After the swipe.
    pub post_roll: Duration,
}

impl ClipLength {
    /// The product's promise: 10 s before, 20 s after.
    pub const DEFAULT: ClipLength = ClipLength {
        pre_roll: Duration::from_secs(10),
        post_roll: Duration::from_secs(20),
    };

    /// The window around `at`.
    pub fn around(self, at: WallTime) -> ClipWindow {
        ClipWindow {
            from: at.minus(self.pre_roll),
            to: at.plus(self.post_roll),
        }
    }
}

/// A stretch of wall time, `from` inclusive, `to` exclusive, `from` ≤ `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClipWindow {
    /// Its first moment.
    pub from: WallTime,
    /// The first moment after it.
    pub to: WallTime,
}

/// The name of a footage file below the footage folder: `<camera>/<YYYY-MM-DD>/<start>-<run>.mp4`.
///
/// Built only from slugs and digits, so it can never lead out of that folder.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FootageName(Box<str>);

/// Text that is not a footage name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a footage name is <camera>/<YYYY-MM-DD>/<start>-<run>.mp4")]
pub struct FootageNameError;

impl FootageName {
    /// The name of the file of `camera` that starts at `start` in `run`.
    ///
    /// `part` counts the files of one run from 0, so that a wall clock that was set back cannot
    /// make two files of one name.
    pub fn new(camera: &CameraId, start: WallTime, run: RunId, part: u32) -> FootageName {
        let (day, label) = (start.utc_day(), start.file_label());
        FootageName(format!("{camera}/{day}/{label}-{run}.{part}.mp4").into_boxed_str())
    }

    /// The relative path, with `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The camera it is of.
    pub fn camera(&self) -> CameraId {
        let camera = self.0.split('/').next().unwrap_or_default();
        CameraId::new(camera).expect("checked when the name was made")
    }
}

impl FromStr for FootageName {
    type Err = FootageNameError;

    fn from_str(text: &str) -> Result<FootageName, FootageNameError> {
        let parts: Vec<&str> = text.split('/').collect();
        let [camera, day, file] = parts.as_slice() else {
            return Err(FootageNameError);
        };
        let day_ok = day.len() == 10 && day.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let stem = file.strip_suffix(".mp4").ok_or(FootageNameError)?;
        let stem_ok = !stem.starts_with('.')
            && stem
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
        if CameraId::new(camera).is_err() || !day_ok || stem.is_empty() || !stem_ok {
            return Err(FootageNameError);
        }
        Ok(FootageName(text.into()))
    }
}

impl fmt::Display for FootageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FootageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for FootageName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for FootageName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FootageName, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// A part of a clip that lies in one footage file without a break.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The file.
    pub file: FootageName,
    /// Presentation time of the first frame shown, in 90 kHz ticks of the file's own time line
    /// (which starts at 0): exactly the time stamp of a frame in the file.
    pub from: MediaTime,
    /// End of the last frame shown, exclusive, on the same time line.
    pub to: MediaTime,
    /// Wall time of `from`.
    pub starts_at: WallTime,
}

/// Why a stretch of a clip has no picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapReason {
    /// The camera was not streaming.
    CameraDown,
    /// Packets were lost between camera and gateway.
    PacketsLost,
    /// The window reaches back before what the ring held.
    BeforePreRoll,
    /// The disk had no space.
    DiskFull,
    /// The footage disk was away, or another one was in its place.
    DiskAway,
    /// The footage could not be written although there was space: the disk failed.
    WriteFailed,
    /// The gateway was not running.
    GatewayDown,
}

/// A stretch of a clip's window that has no picture, or a broken one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Its first moment.
    pub from: WallTime,
    /// The first moment after it.
    pub to: WallTime,
    /// Why.
    pub reason: GapReason,
}

/// Why there is no clip at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MissedReason {
    /// No footage of any part of the window exists.
    NoFootage,
    /// The door names no camera.
    NoCamera,
    /// The camera was down during the whole window.
    CameraDown,
    /// Too many clips were asked of this camera at once.
    Overload,
    /// The disk had no space.
    DiskFull,
    /// The footage disk was away, or another one was in its place.
    DiskAway,
    /// The footage could not be written although there was space: the disk failed.
    WriteFailed,
    /// The footage was deleted by retention.
    Deleted,
}

impl MissedReason {
    /// The word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            MissedReason::NoFootage => "no-footage",
            MissedReason::NoCamera => "no-camera",
            MissedReason::CameraDown => "camera-down",
            MissedReason::Overload => "overload",
            MissedReason::DiskFull => "disk-full",
            MissedReason::DiskAway => "disk-away",
            MissedReason::WriteFailed => "write-failed",
            MissedReason::Deleted => "deleted",
        }
    }
}

/// What became of a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClipState {
    /// Its window has not ended, or its last bytes are not on disk yet.
    Pending,
    /// Every frame of the window.
    Whole,
    /// Some of the window, with its gaps.
    Partial,
    /// None of it.
    Missed,
}

impl ClipState {
    /// The word used in JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            ClipState::Pending => "pending",
            ClipState::Whole => "whole",
            ClipState::Partial => "partial",
            ClipState::Missed => "missed",
        }
    }
}

/// The outcome of a clip: what the keeper of its camera hands back once the window is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClipOutcome {
    /// Every frame of the window: one span, or several that follow each other without a break (the
    /// camera changed its parameters, or the footage file reached its greatest length); oldest
    /// first and never empty.
    Whole(Vec<Span>),
    /// What there is, oldest first and never empty, and what is missing.
    Partial {
        /// The parts that exist.
        spans: Vec<Span>,
        /// The stretches that do not.
        gaps: Vec<Gap>,
    },
    /// Nothing.
    Missed(MissedReason),
}

/// A clip as an entry remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClipRecord {
    /// The camera; `None` when the door names none.
    pub camera: Option<CameraId>,
    /// What was asked for.
    pub window: ClipWindow,
    /// What became of it.
    pub state: ClipState,
    /// Why there is none; set exactly when `state` is `Missed`.
    #[serde(default)]
    pub reason: Option<MissedReason>,
    /// Where it lies; oldest first; empty unless `Whole` or `Partial`.
    #[serde(default)]
    pub spans: Vec<Span>,
    /// What is missing of it; empty unless `Partial`.
    #[serde(default)]
    pub gaps: Vec<Gap>,
    /// SHA-256 of the exported file, 64 hexadecimal digits, once settled.
    #[serde(default)]
    pub sha256: Option<String>,
    /// When its outcome was known.
    #[serde(default)]
    pub settled_at: Option<WallTime>,
}

impl ClipRecord {
    /// A clip that is still to be made.
    pub fn pending(camera: CameraId, window: ClipWindow) -> ClipRecord {
        ClipRecord {
            camera: Some(camera),
            window,
            state: ClipState::Pending,
            reason: None,
            spans: Vec::new(),
            gaps: Vec::new(),
            sha256: None,
            settled_at: None,
        }
    }

    /// A clip that will never be.
    pub fn missed(camera: Option<CameraId>, window: ClipWindow, why: MissedReason) -> ClipRecord {
        ClipRecord {
            camera,
            window,
            state: ClipState::Missed,
            reason: Some(why),
            spans: Vec::new(),
            gaps: Vec::new(),
            sha256: None,
            settled_at: None,
        }
    }

    /// Takes in the outcome, at `settled_at`.
    pub fn settle(&mut self, outcome: ClipOutcome, settled_at: WallTime) {
        self.settled_at = Some(settled_at);
        self.reason = None;
        match outcome {
            ClipOutcome::Whole(spans) => {
                assert!(!spans.is_empty(), "a whole clip has a part");
                self.state = ClipState::Whole;
                self.spans = spans;
                self.gaps = Vec::new();
            }
            ClipOutcome::Partial { spans, gaps } => {
                assert!(!spans.is_empty(), "a partial clip has a part");
                self.state = ClipState::Partial;
                self.spans = spans;
                self.gaps = gaps;
            }
            ClipOutcome::Missed(why) => {
                self.state = ClipState::Missed;
                self.reason = Some(why);
                self.spans = Vec::new();
                self.gaps = Vec::new();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_reasons_are_those_of_json() {
        for reason in [
            MissedReason::NoFootage,
            MissedReason::NoCamera,
            MissedReason::CameraDown,
            MissedReason::Overload,
            MissedReason::DiskFull,
            MissedReason::DiskAway,
            MissedReason::WriteFailed,
            MissedReason::Deleted,
        ] {
            assert_eq!(serde_json::json!(reason), reason.as_str());
        }
    }

    #[test]
    fn footage_names_survive_the_round_trip_and_cannot_escape() {
        let camera = CameraId::new("b03-u2-in").unwrap();
        let start = WallTime::from_unix_ms(1_795_307_415_120);
        let name = FootageName::new(&camera, start, RunId::random(), 3);
        assert_eq!(name.as_str().parse::<FootageName>().unwrap(), name);
        assert_eq!(name.camera(), camera);
        for bad in [
            "",
            "a/b",
            "../2026-11-22/x.mp4",
            "a/../x.mp4",
            "a/2026-11-22/.x.mp4",
            "a/2026-11-22/x.mp5",
        ] {
            assert_eq!(bad.parse::<FootageName>(), Err(FootageNameError), "{bad}");
        }
    }
}

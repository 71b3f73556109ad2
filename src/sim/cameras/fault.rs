//! What can be wrong with a simulated camera, as values and as words for the command line.

use std::str::FromStr;
use std::time::Duration;

/// A fault to set, a thing to happen, or the end of all faults. Faults add up until cleared.
///
/// As text: `drop=20`, `freeze`, `thaw`, `reset`, `reboot=10`, `refuse=503`, `black-hole`,
/// `jitter=200`, `burst=1000`, `clock-offset=-5000`, `clock-ppm=50`, `film=1`, `keys=all`,
/// `keys=none`, `keys=4`, `sdp=good`, `sdp=garbage`, `sdp=no-video`, `clear`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CameraFault {
    /// Every fault ends; the film and the clock's rate stay.
    Clear,
    /// So many of 1000 RTP packets are lost on the way (their sequence numbers are used up).
    Drop {
        /// 0 to 1000.
        permille: u16,
    },
    /// The connection stays and requests are answered, but no frame comes.
    Freeze,
    /// The end of [`CameraFault::Freeze`]: the frames of now come, those between never.
    Thaw,
    /// Every connection to the camera is reset, once.
    Reset,
    /// Every connection is reset, and so are new ones for a time.
    Reboot {
        /// How long the camera is away.
        down: Duration,
    },
    /// Every request is answered with this status; 200 ends it.
    Refuse {
        /// An RTSP status such as 401, 404 or 503.
        status: u16,
    },
    /// Requests are read and never answered; frames stop.
    BlackHole,
    /// Each frame is late by a random time, order kept.
    Jitter {
        /// The longest delay, in milliseconds; 0 ends it.
        ms_max: u32,
    },
    /// Frames come only once in each period, all together.
    Burst {
        /// The period in milliseconds; 0 ends it.
        period_ms: u32,
    },
    /// The wall clock in the sender reports is off.
    ClockOffset {
        /// Milliseconds ahead of ours.
        ms: i64,
    },
    /// The camera's crystal is off: media time runs faster than ours.
    ClockPpm {
        /// Millionths; -100,000 to 100,000.
        ppm: i32,
    },
    /// Shows another film from its next key frame on: other parameters, another GOP length.
    Film {
        /// Which of [`super::SimCamerasOptions`]'s films, from 0.
        idx: usize,
    },
    /// Which key frames are sent.
    Keys(KeyFrames),
    /// What DESCRIBE answers.
    Sdp(Sdp),
}

/// Which of its key frames a camera sends. What it leaves out is missing without a gap in the
/// sequence numbers, as from an encoder that never made it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyFrames {
    /// All.
    #[default]
    All,
    /// One in so many (of each round of the film); the rest are left out. At least 1.
    OneIn(u32),
    /// None, not even the first.
    None,
}

/// What DESCRIBE answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sdp {
    /// The truth.
    #[default]
    Good,
    /// Text that is no session description.
    Garbage,
    /// A session with a sound track only.
    NoVideo,
    /// Motion JPEG, which nobody asked for.
    OtherCodec,
}

/// A fault that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no camera fault; use drop=PERMILLE, freeze, thaw, reset, reboot=SECONDS, \
     refuse=STATUS, black-hole, jitter=MS, burst=MS, clock-offset=MS, clock-ppm=PPM, film=INDEX, \
     keys=all|none|N, sdp=good|garbage|no-video|other-codec or clear"
)]
pub struct CameraFaultParseError {
    text: String,
}

impl FromStr for CameraFault {
    type Err = CameraFaultParseError;

    fn from_str(text: &str) -> Result<CameraFault, CameraFaultParseError> {
        let (word, value) = match text.split_once('=') {
            Some((word, value)) => (word, Some(value)),
            None => (text, None),
        };
        let fault = match (word, value) {
            ("clear", None) => Some(CameraFault::Clear),
            ("freeze", None) => Some(CameraFault::Freeze),
            ("thaw", None) => Some(CameraFault::Thaw),
            ("reset", None) => Some(CameraFault::Reset),
            ("black-hole", None) => Some(CameraFault::BlackHole),
            (_, Some(value)) => with_value(word, value),
            (_, None) => None,
        };
        fault.ok_or_else(|| CameraFaultParseError {
            text: text.to_owned(),
        })
    }
}

fn with_value(word: &str, value: &str) -> Option<CameraFault> {
    let fault = match word {
        "drop" => CameraFault::Drop {
            permille: number(value).filter(|permille| *permille <= 1_000)?,
        },
        "reboot" => CameraFault::Reboot {
            down: Duration::from_secs(u64::from(number::<u32>(value)?)),
        },
        "refuse" => CameraFault::Refuse {
            status: number(value).filter(|status| (100..600).contains(status))?,
        },
        "jitter" => CameraFault::Jitter {
            ms_max: number(value)?,
        },
        "burst" => CameraFault::Burst {
            period_ms: number(value)?,
        },
        "clock-offset" => CameraFault::ClockOffset { ms: number(value)? },
        "clock-ppm" => CameraFault::ClockPpm {
            ppm: number(value).filter(|ppm| (-PPM_MAX..=PPM_MAX).contains(ppm))?,
        },
        "film" => CameraFault::Film {
            idx: number(value)?,
        },
        "keys" => CameraFault::Keys(match value {
            "all" => KeyFrames::All,
            "none" => KeyFrames::None,
            _ => KeyFrames::OneIn(number(value).filter(|n| *n > 0)?),
        }),
        "sdp" => CameraFault::Sdp(match value {
            "good" => Sdp::Good,
            "garbage" => Sdp::Garbage,
            "no-video" => Sdp::NoVideo,
            "other-codec" => Sdp::OtherCodec,
            _ => return None,
        }),
        _ => return None,
    };
    Some(fault)
}

/// Ten percent: beyond that it is no longer a clock.
pub(super) const PPM_MAX: i32 = 100_000;

fn number<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// The faults of one camera at one time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    pub(super) drop_permille: u16,
    pub(super) frozen: bool,
    pub(super) refuse: Option<u16>,
    pub(super) black_hole: bool,
    pub(super) jitter_ms_max: u32,
    pub(super) burst_ms: u32,
    pub(super) clock_offset_ms: i64,
    pub(super) keys: KeyFrames,
    pub(super) sdp: Sdp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_faults_and_others_are_refused() {
        let fault = |text: &str| text.parse::<CameraFault>();
        assert_eq!(fault("drop=20"), Ok(CameraFault::Drop { permille: 20 }));
        assert_eq!(
            fault("clock-offset=-5"),
            Ok(CameraFault::ClockOffset { ms: -5 })
        );
        assert_eq!(fault("keys=4"), Ok(CameraFault::Keys(KeyFrames::OneIn(4))));
        let down = Duration::from_secs(10);
        assert_eq!(fault("reboot=10"), Ok(CameraFault::Reboot { down }));
        for bad in [
            "",
            "drop",
            "drop=x",
            "drop=1001",
            "refuse=999",
            "keys=0",
            "freeze=1",
            "sdp=",
            "moon=1",
            "clock-ppm=100001",
        ] {
            assert!(fault(bad).is_err(), "{bad}");
        }
    }
}

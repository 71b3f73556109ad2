//! What can be wrong with a simulated door, as values and as words for the command line.

use std::str::FromStr;
use std::time::Duration;

/// A fault to set, a thing to happen, or the end of all faults. Faults add up until cleared.
///
/// As text: `duplicate=2`, `late=30000`, `malformed=not-json` (or `version`, `no-boot`, `bad-card`,
/// `empty`, `huge`), `retained`, `no-time`, `clock-offset=-60000`, `reboot`, `unplug`, `plug`, `clear`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoorFault {
    /// Every fault ends; an unplugged door stays so.
    Clear,
    /// Each swipe is published so many times more.
    Duplicate {
        /// How many more.
        n_more: u32,
    },
    /// Each swipe is published so much later than it happened.
    Late {
        /// How much.
        by: Duration,
    },
    /// Swipes cannot be read.
    Malformed(Malformed),
    /// Swipes are published with the retain flag, so that the broker keeps the last one.
    Retained,
    /// Swipes do not say when they happened.
    NoTime,
    /// The controller's clock is off.
    ClockOffset {
        /// Milliseconds ahead of ours.
        ms: i64,
    },
    /// The controller starts anew: another `boot`, its sequence from 1.
    Reboot,
    /// Its network cable is pulled; the broker learns it from silence.
    Unplug,
    /// The cable is put in.
    Plug,
}

/// What is wrong with the payload of a swipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// No JSON.
    NotJson,
    /// `"v": 2`.
    Version,
    /// Without `boot`.
    NoBoot,
    /// A card number that is none.
    BadCard,
    /// No byte at all.
    Empty,
    /// More than the 64 KiB that are read.
    Huge,
}

/// A fault that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no door fault; use duplicate=N, late=MS, malformed=not-json|version|no-boot|\
     bad-card|empty|huge, retained, no-time, clock-offset=MS, reboot, unplug, plug or clear"
)]
pub struct DoorFaultParseError {
    text: String,
}

impl FromStr for DoorFault {
    type Err = DoorFaultParseError;

    fn from_str(text: &str) -> Result<DoorFault, DoorFaultParseError> {
        let fault = match text.split_once('=') {
            Some((word, value)) => with_value(word, value),
            None => match text {
                "clear" => Some(DoorFault::Clear),
                "retained" => Some(DoorFault::Retained),
                "no-time" => Some(DoorFault::NoTime),
                "reboot" => Some(DoorFault::Reboot),
                "unplug" => Some(DoorFault::Unplug),
                "plug" => Some(DoorFault::Plug),
                _ => None,
            },
        };
        fault.ok_or_else(|| DoorFaultParseError {
            text: text.to_owned(),
        })
    }
}

fn with_value(word: &str, value: &str) -> Option<DoorFault> {
    let fault = match word {
        "duplicate" => DoorFault::Duplicate {
            n_more: value.parse().ok()?,
        },
        "late" => DoorFault::Late {
            by: Duration::from_millis(u64::from(value.parse::<u32>().ok()?)),
        },
        "clock-offset" => DoorFault::ClockOffset {
            ms: value.parse().ok()?,
        },
        "malformed" => DoorFault::Malformed(match value {
            "not-json" => Malformed::NotJson,
            "version" => Malformed::Version,
            "no-boot" => Malformed::NoBoot,
            "bad-card" => Malformed::BadCard,
            "empty" => Malformed::Empty,
            "huge" => Malformed::Huge,
            _ => return None,
        }),
        _ => return None,
    };
    Some(fault)
}

/// The faults of one door at one time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    pub(super) n_more: u32,
    pub(super) late: Duration,
    pub(super) malformed: Option<Malformed>,
    pub(super) retained: bool,
    pub(super) no_time: bool,
    pub(super) clock_offset_ms: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_faults_and_others_are_refused() {
        let fault = |text: &str| text.parse::<DoorFault>();
        assert_eq!(fault("duplicate=2"), Ok(DoorFault::Duplicate { n_more: 2 }));
        let by = Duration::from_millis(30_000);
        assert_eq!(fault("late=30000"), Ok(DoorFault::Late { by }));
        assert_eq!(
            fault("malformed=huge"),
            Ok(DoorFault::Malformed(Malformed::Huge))
        );
        for bad in ["", "late", "late=x", "malformed=", "clear=1", "fire"] {
            assert!(fault(bad).is_err(), "{bad}");
        }
    }
}

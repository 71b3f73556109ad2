//! What can be wrong with a simulated police receiver, as values and as words for the command line.

use std::str::FromStr;
use std::time::Duration;

/// How the receiver behaves; each replaces the one before.
///
/// As text: `clear`, `refuse=503`, `slow=5000`, `decline=retry`, `decline=final`, `hang`, `close`,
/// `truncate`, `down`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoliceFault {
    /// None: takes what is signed.
    #[default]
    Clear,
    /// Answers everything with this status.
    Refuse {
        /// 400 to 599.
        status: u16,
    },
    /// Takes everything, but answers so much later.
    Slow {
        /// How much.
        by: Duration,
    },
    /// Answers 200 with `"accepted": false`.
    Decline {
        /// Does it say that trying again is of use?
        may_retry: bool,
    },
    /// Reads and never answers.
    Hang,
    /// Reads, then closes the connection.
    Close,
    /// Dies in the middle of its answer. What it was told it has taken.
    Truncate,
    /// Refuses connections.
    Down,
}

/// A behaviour that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no receiver fault; use refuse=STATUS, slow=MS, decline=retry|final, hang, close, \
     truncate, down or clear"
)]
pub struct PoliceFaultParseError {
    text: String,
}

impl FromStr for PoliceFault {
    type Err = PoliceFaultParseError;

    fn from_str(text: &str) -> Result<PoliceFault, PoliceFaultParseError> {
        let fault = match text.split_once('=') {
            Some(("refuse", status)) => status
                .parse()
                .ok()
                .filter(|status| (400..600).contains(status))
                .map(|status| PoliceFault::Refuse { status }),
            Some(("slow", ms)) => ms.parse::<u32>().ok().map(|ms| PoliceFault::Slow {
                by: Duration::from_millis(u64::from(ms)),
            }),
            Some(("decline", "retry")) => Some(PoliceFault::Decline { may_retry: true }),
            Some(("decline", "final")) => Some(PoliceFault::Decline { may_retry: false }),
            Some(_) => None,
            None => match text {
                "clear" => Some(PoliceFault::Clear),
                "hang" => Some(PoliceFault::Hang),
                "close" => Some(PoliceFault::Close),
                "truncate" => Some(PoliceFault::Truncate),
                "down" => Some(PoliceFault::Down),
                _ => None,
            },
        };
        fault.ok_or_else(|| PoliceFaultParseError {
            text: text.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_faults_and_others_are_refused() {
        let fault = |text: &str| text.parse::<PoliceFault>();
        assert_eq!(fault("refuse=503"), Ok(PoliceFault::Refuse { status: 503 }));
        let by = Duration::from_secs(5);
        assert_eq!(fault("slow=5000"), Ok(PoliceFault::Slow { by }));
        assert_eq!(
            fault("decline=final"),
            Ok(PoliceFault::Decline { may_retry: false })
        );
        for bad in ["", "refuse=200", "slow", "decline=maybe", "hang=1", "panic"] {
            assert!(fault(bad).is_err(), "{bad}");
        }
    }
}

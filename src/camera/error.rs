//! Why a camera gives no pictures, in words for the person who must put it right.

use std::time::Duration;

use crate::error::Class;

/// What was asked of the camera when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// What does it offer?
    Describe,
    /// How shall packets travel?
    Setup,
    /// Begin.
    Play,
    /// Packets were on their way.
    Stream,
}

impl Stage {
    const fn doing(self) -> &'static str {
        match self {
            Stage::Describe => "describe the stream",
            Stage::Setup => "set up the stream",
            Stage::Play => "start the stream",
            Stage::Stream => "read the stream",
        }
    }
}

/// What an RTSP peer said or did, on one line and no longer than [`PEER_TEXT_CHARS_MAX`]: the text
/// comes from outside, so it must not be able to forge log lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct RtspError {
    text: String,
    status: Option<u16>,
}

/// Longest text kept of what a peer said.
pub const PEER_TEXT_CHARS_MAX: usize = 200;

impl RtspError {
    /// Keeps what is fit to be shown of `text`: its first paragraph, without control characters.
    pub fn new(text: &str, status: Option<u16>) -> RtspError {
        let first = text.split("\n\n").next().unwrap_or_default();
        let text = first
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(PEER_TEXT_CHARS_MAX)
            .collect();
        RtspError { text, status }
    }

    /// The status of the peer's answer, if it was an answer.
    pub fn status(&self) -> Option<u16> {
        self.status
    }
}

/// Why a session could not be had, or ended.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The URL has no host.
    #[error("find the host in the camera's url")]
    Url,
    /// The host name means nothing.
    #[error("look up the address of {host}")]
    Lookup {
        /// The host, as configured.
        host: String,
        /// What the resolver said.
        #[source]
        source: std::io::Error,
    },
    /// The connection was refused, or there is no way there.
    #[error("connect to {peer}")]
    Connect {
        /// Host and port.
        peer: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Nobody answered the call.
    #[error("connect to {peer}: no answer within {} s", .within.as_secs())]
    NoAnswer {
        /// Host and port.
        peer: String,
        /// How long we waited.
        within: Duration,
    },
    /// It takes connections but does not speak RTSP in time.
    #[error("talk RTSP with {peer}: no answer within {} s", .within.as_secs())]
    Mute {
        /// Host and port.
        peer: String,
        /// How long we waited.
        within: Duration,
    },
    /// The camera refused, or said what we cannot read.
    #[error("{}", .stage.doing())]
    Rtsp {
        /// What was asked.
        stage: Stage,
        /// What it said.
        #[source]
        source: RtspError,
    },
    /// Its description names no video.
    #[error("the camera offers no video at this url")]
    NoVideo,
    /// It sends video that we do not take.
    #[error("the camera sends {encoding}, which is neither H.264 nor H.265")]
    Codec {
        /// What it sends, as its description says.
        encoding: String,
    },
    /// Frames come out of order.
    #[error("the stream has B-frames")]
    BFrames,
    /// Frames but no key frame.
    #[error("no key frame for {} s", .0.as_secs())]
    NoKeyFrame(Duration),
    /// Key frames but no parameter sets.
    #[error("no parameter sets for {} s", .0.as_secs())]
    NoParams(Duration),
    /// No frames.
    #[error("no frames for {} s", .0.as_secs())]
    Stalled(Duration),
    /// The camera closed the connection.
    #[error("the camera closed the session")]
    Closed,
}

impl SessionError {
    /// Will it help to try again soon?
    pub fn class(&self) -> Class {
        match self {
            SessionError::Rtsp { stage, source } => match source.status() {
                // Wrong password, no right to it, nothing at that path, transport not supported.
                Some(401 | 403 | 404 | 461) => Class::Permanent,
                // A success that we cannot read: garbage, which it will say again.
                Some(200..=299) if *stage == Stage::Describe => Class::Permanent,
                _ => Class::Transient,
            },
            SessionError::Url
            | SessionError::NoVideo
            | SessionError::Codec { .. }
            | SessionError::BFrames => Class::Permanent,
            SessionError::Lookup { .. }
            | SessionError::Connect { .. }
            | SessionError::NoAnswer { .. }
            | SessionError::Mute { .. }
            | SessionError::NoKeyFrame(_)
            | SessionError::NoParams(_)
            | SessionError::Stalled(_)
            | SessionError::Closed => Class::Transient,
        }
    }

    /// Did the camera turn down the log-in? Trying again soon locks many cameras for half an hour.
    pub fn is_login_refused(&self) -> bool {
        matches!(self, SessionError::Rtsp { source, .. } if matches!(source.status(), Some(401 | 403)))
    }

    /// Is nobody there, so that asking again costs nothing?
    pub fn is_dark(&self) -> bool {
        matches!(
            self,
            SessionError::Connect { .. } | SessionError::NoAnswer { .. }
        )
    }

    /// What is wrong and what to do about it; `whose` is such as "camera b03-u2-in". Never holds a
    /// password.
    pub fn advice(&self, whose: &str, has_credentials: bool) -> String {
        match self {
            SessionError::Url => format!("url of {whose} has no host: correct it"),
            SessionError::Lookup { host, .. } => {
                format!("the name {host} has no address: check url of {whose}, or the DNS")
            }
            SessionError::Connect { peer, source } => match source.kind() {
                std::io::ErrorKind::ConnectionRefused => format!(
                    "nothing listens at {peer}: check the port in url of {whose}, and that RTSP is switched on in it"
                ),
                _ => format!("{peer} cannot be reached: check power, cable and address ({source})"),
            },
            SessionError::NoAnswer { peer, .. } => {
                format!("{peer} does not answer: check power, cable and address")
            }
            SessionError::Mute { peer, .. } => format!(
                "{peer} takes connections but does not answer RTSP: check the port, or restart the camera"
            ),
            SessionError::Rtsp { stage, source } => {
                rtsp_advice(*stage, source, whose, has_credentials)
            }
            SessionError::NoVideo => {
                format!("the camera offers no video there: check the path in url of {whose}")
            }
            SessionError::Codec { encoding } => {
                format!("the camera sends {encoding}: set it to H.264 or H.265")
            }
            SessionError::BFrames => {
                "the stream has B-frames: switch them off in the camera (H.264 baseline profile has none)"
                    .to_owned()
            }
            SessionError::NoKeyFrame(after) => no_key_frame_advice(*after),
            SessionError::NoParams(after) => format!(
                "the camera sent no parameter sets (SPS, PPS) for {} s: update or replace it",
                after.as_secs()
            ),
            SessionError::Stalled(after) => format!(
                "the camera is connected but sent no frames for {} s",
                after.as_secs()
            ),
            SessionError::Closed => "the camera closed the session".to_owned(),
        }
    }
}

/// What to do about a camera that sends frames but no key frame.
pub(super) fn no_key_frame_advice(since: Duration) -> String {
    format!(
        "no key frame for {} s: set the camera's key-frame interval to 1 to 4 s",
        since.as_secs()
    )
}

fn rtsp_advice(stage: Stage, source: &RtspError, whose: &str, has_credentials: bool) -> String {
    match source.status() {
        Some(status @ (401 | 403)) if has_credentials => format!(
            "the camera refuses the log-in ({status}): check username and password_file of {whose}"
        ),
        Some(status @ (401 | 403)) => format!(
            "the camera asks for a log-in ({status}): set username and password_file of {whose}"
        ),
        Some(404) => {
            format!("the camera has no stream at this path (404): check the path in url of {whose}")
        }
        Some(461) => {
            format!("the camera refuses this transport (461): change transport of {whose}")
        }
        Some(453) => "the camera has no room for another viewer (453): close others".to_owned(),
        Some(200..=299) if stage == Stage::Describe => {
            format!("the camera's description cannot be read: {source}")
        }
        Some(_) | None => format!("could not {}: {source}", stage.doing()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rtsp(stage: Stage, status: u16) -> SessionError {
        SessionError::Rtsp {
            stage,
            source: RtspError::new("Unexpected RTSP response status", Some(status)),
        }
    }

    #[test]
    fn what_a_person_must_change_is_permanent() {
        for status in [401, 403, 404, 461] {
            assert_eq!(rtsp(Stage::Setup, status).class(), Class::Permanent);
        }
        for status in [400, 453, 454, 500, 503] {
            assert_eq!(rtsp(Stage::Play, status).class(), Class::Transient);
        }
        assert_eq!(rtsp(Stage::Describe, 200).class(), Class::Permanent);
        assert_eq!(SessionError::Closed.class(), Class::Transient);
    }

    #[test]
    fn advice_names_the_key_to_change() {
        let whose = "camera b03-u2-in";
        insta::assert_snapshot!(rtsp(Stage::Describe, 401).advice(whose, true), @"the camera refuses the log-in (401): check username and password_file of camera b03-u2-in");
        insta::assert_snapshot!(rtsp(Stage::Describe, 401).advice(whose, false), @"the camera asks for a log-in (401): set username and password_file of camera b03-u2-in");
        insta::assert_snapshot!(rtsp(Stage::Describe, 404).advice(whose, true), @"the camera has no stream at this path (404): check the path in url of camera b03-u2-in");
    }

    #[test]
    fn a_peer_cannot_forge_a_log_line() {
        let long = format!("bad\nWARN fake{}\n\nconn: secret", "x".repeat(500));
        let err = RtspError::new(&long, None);
        let shown = err.to_string();
        assert!(shown.starts_with("bad WARN fake") && !shown.contains('\n'));
        assert_eq!(shown.chars().count(), PEER_TEXT_CHARS_MAX);
    }
}

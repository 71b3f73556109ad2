//! What goes over the wire of a live viewer: JSON both ways, and binary messages with the video. Pure.
//! `docs/live.md` is the reference.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::domain::id::CameraId;
use crate::live::{Opened, Plays, StreamKind};
use crate::time::WallTime;

/// The version of the protocol.
pub(super) const VERSION: u32 = 1;
/// Bytes before the payload of a binary message.
pub(super) const HEADER_BYTES: usize = 24;
/// Longest case (an alert's id) that a viewer may name, in characters.
const CASE_CHARS_MAX: usize = 64;

/// What a binary message holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Init = 0,
    KeyFragment = 1,
    Fragment = 2,
    Picture = 3,
}

/// Which stream a viewer asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Wanted {
    /// The sub stream where there is one.
    #[default]
    Auto,
    Main,
    Sub,
}

/// A message as it comes.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
enum Message {
    Hello {
        v: u32,
        codecs: Vec<String>,
    },
    Watch {
        id: u16,
        camera: String,
        #[serde(default)]
        stream: Wanted,
        #[serde(default)]
        case: Option<String>,
    },
    Unwatch {
        id: u16,
    },
}

/// What a viewer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// What its browser plays.
    Hello(Plays),
    /// It wants to see a camera.
    Watch(Wish),
    /// It does not want to see that any more.
    Unwatch(u16),
}

/// A camera that a viewer wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// The viewer's number for it.
    pub(super) id: u16,
    /// `None`: what it named cannot be a camera's id.
    pub(super) camera: Option<CameraId>,
    pub(super) stream: StreamKind,
    /// The case (an alert's id) on account of which it looks.
    pub(super) case: Option<String>,
}

/// Reads a text message; the error says what is wrong with it.
pub(super) fn read(text: &str) -> Result<Said, String> {
    let message: Message = serde_json::from_str(text).map_err(|err| err.to_string())?;
    match message {
        Message::Hello { v, .. } if v != VERSION => {
            Err(format!("this gateway speaks version {VERSION}, not {v}"))
        }
        Message::Hello { codecs, .. } => {
            let has = |codec: &str| codecs.iter().any(|it| it == codec);
            Ok(Said::Hello(Plays {
                h264: has("h264"),
                h265: has("h265"),
            }))
        }
        Message::Watch {
            case: Some(case), ..
        } if case.chars().count() > CASE_CHARS_MAX => {
            Err(format!("case: {CASE_CHARS_MAX} characters at most"))
        }
        Message::Watch {
            id,
            camera,
            stream,
            case,
        } => Ok(Said::Watch(Wish {
            id,
            camera: CameraId::new(&camera).ok(),
            stream: match stream {
                Wanted::Auto | Wanted::Sub => StreamKind::Sub,
                Wanted::Main => StreamKind::Main,
            },
            case: case.filter(|case| !case.is_empty()),
        })),
        Message::Unwatch { id } => Ok(Said::Unwatch(id)),
    }
}

/// The answer to `hello`.
pub(super) fn welcome(now: WallTime) -> String {
    json!({ "type": "welcome", "v": VERSION, "time": now }).to_string()
}

/// Something else comes from now on.
pub(super) fn opened(id: u16, camera: &CameraId, opened: &Opened) -> String {
    let mut message = json!({
        "type": "opened", "id": id, "camera": camera, "stream": opened.stream,
        "codec": opened.codec, "width": opened.width, "height": opened.height,
    });
    let (mode, mime) = if opened.is_pictures {
        ("picture", "image/jpeg".to_owned())
    } else {
        ("mse", format!("video/mp4; codecs=\"{}\"", opened.codec))
    };
    if let Value::Object(fields) = &mut message {
        fields.insert("mode".to_owned(), mode.into());
        fields.insert("mime".to_owned(), mime.into());
        if let Some(why) = opened.why {
            fields.insert("why".to_owned(), why.as_str().into());
        }
    }
    message.to_string()
}

/// A camera's line in `state`.
pub(super) fn line(id: u16, age_ms: Option<i64>, is_up: bool) -> Value {
    json!({ "id": id, "age_ms": age_ms, "is_up": is_up })
}

/// How all cameras are that the viewer looks at.
pub(super) fn state(now: WallTime, lines: &[Value]) -> String {
    json!({ "type": "state", "at_ms": unix_ms(now), "watches": lines }).to_string()
}

/// A camera is not shown, or not any more.
pub(super) fn closed(id: u16, code: &str, detail: &str) -> String {
    json!({ "type": "closed", "id": id, "code": code, "detail": detail }).to_string()
}

/// The head of a binary message.
pub(super) fn header(
    kind: Kind,
    id: u16,
    sequence: u32,
    arrived: WallTime,
    sent: WallTime,
) -> [u8; HEADER_BYTES] {
    let [id_0, id_1] = id.to_be_bytes();
    let [s_0, s_1, s_2, s_3] = sequence.to_be_bytes();
    let [a_0, a_1, a_2, a_3, a_4, a_5, a_6, a_7] = unix_ms(arrived).to_be_bytes();
    let [t_0, t_1, t_2, t_3, t_4, t_5, t_6, t_7] = unix_ms(sent).to_be_bytes();
    [
        1, kind as u8, id_0, id_1, s_0, s_1, s_2, s_3, a_0, a_1, a_2, a_3, a_4, a_5, a_6, a_7, t_0,
        t_1, t_2, t_3, t_4, t_5, t_6, t_7,
    ]
}

/// Milliseconds since 1970; never negative here.
fn unix_ms(at: WallTime) -> u64 {
    u64::try_from(at.unix_ns().div_euclid(1_000_000)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::Codec;
    use crate::live::Why;
    use proptest::prelude::*;

    #[test]
    fn what_a_viewer_says_is_read_or_refused_with_the_reason() {
        let plays = Plays {
            h264: true,
            h265: false,
        };
        let hello = r#"{"type":"hello","v":1,"codecs":["h264","av1"]}"#;
        assert_eq!(read(hello).unwrap(), Said::Hello(plays));
        let watch = r#"{"type":"watch","id":7,"camera":"b03-u2-in"}"#;
        let Said::Watch(wish) = read(watch).unwrap() else {
            panic!("a watch");
        };
        assert_eq!((wish.id, wish.stream), (7, StreamKind::Sub));
        let main = r#"{"type":"watch","id":7,"camera":"../x","stream":"main","case":""}"#;
        let Said::Watch(wish) = read(main).unwrap() else {
            panic!("a watch");
        };
        assert_eq!(
            (wish.camera, wish.stream, wish.case),
            (None, StreamKind::Main, None)
        );
        for (bad, part) in [
            ("", "EOF while parsing"),
            ("[]", "missing field"),
            (r#"{"type":"hello","v":2,"codecs":[]}"#, "version 1"),
            (r#"{"type":"shutdown"}"#, "unknown variant"),
            (r#"{"type":"watch","id":70000,"camera":"x"}"#, "65535"),
            (
                r#"{"type":"unwatch","id":1,"also":2}"#,
                "unknown field `also`",
            ),
        ] {
            let err = read(bad).unwrap_err();
            assert!(err.contains(part), "{bad}: {err}");
        }
        let long = format!(
            r#"{{"type":"watch","id":1,"camera":"x","case":"{}"}}"#,
            "a".repeat(65)
        );
        assert!(read(&long).unwrap_err().contains("64 characters"));
    }

    #[test]
    fn a_header_has_its_numbers_where_the_reference_says() {
        let at = |ms: i64| WallTime::from_unix_ns(ms * 1_000_000);
        let head = header(Kind::Fragment, 0x0102, 0x0304_0506, at(1), at(258));
        let expected = [
            1, 2, 1, 2, 3, 4, 5, 6, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 2,
        ];
        assert_eq!(head, expected);
    }

    #[test]
    fn opened_says_what_a_player_needs() {
        let what = Opened {
            stream: StreamKind::Main,
            is_pictures: true,
            codec: "hvc1.1.6.L93.B0".to_owned(),
            width: 1_920,
            height: 1_080,
            why: Some(Why::NotPlayable(Codec::H265)),
        };
        let camera = CameraId::new("b03-u2-in").unwrap();
        let message: Value = serde_json::from_str(&opened(7, &camera, &what)).unwrap();
        assert_eq!(message["mode"], "picture");
        assert_eq!(message["why"], "h265-not-playable");
        let what = Opened {
            is_pictures: false,
            why: None,
            ..what
        };
        let message: Value = serde_json::from_str(&opened(7, &camera, &what)).unwrap();
        assert_eq!(message["mime"], "video/mp4; codecs=\"hvc1.1.6.L93.B0\"");
        assert!(message.get("why").is_none());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,200}") {
            let _said = read(&text);
        }
    }
}

//! The contract's own messages (section 3): swipe, state, status.
//!
//! Unknown fields are ignored and unknown words become `unknown`, so that a newer controller is
//! still understood; a wrong type or version is refused, since a guess would be recorded as fact.

use super::fields::Fields;
use super::{DecodeError, Report, SwipeParts};
use crate::domain::swipe::{
    BOOT_CHARS_MAX, ControllerResult, Direction, DoorState, Method, SwipeKey,
};
use crate::time::WallTime;

/// Reads a message on `…/swipe`.
///
/// # Errors
/// [`DecodeError`] saying which field and what is wrong with it.
pub fn swipe(payload: &[u8]) -> Result<SwipeParts, DecodeError> {
    let fields = Fields::read(payload)?;
    fields.version_1()?;
    let boot = fields.required_text("boot")?;
    if boot.chars().count() > BOOT_CHARS_MAX || boot.chars().any(char::is_control) {
        return Err(DecodeError::Boot);
    }
    let seq = fields.required_count("seq")?;
    let method = method(fields.text("method")?);
    let card = fields.card("card")?;
    if card.is_none() && needs_card(method) {
        return Err(DecodeError::Missing { field: "card" });
    }
    Ok(SwipeParts {
        key: SwipeKey {
            boot: boot.to_owned(),
            seq,
        },
        card,
        direction: direction(fields.text("direction")?),
        method,
        controller_result: result(fields.text("result")?),
        controller_at: time(&fields)?,
    })
}

/// Reads a message on `…/state`.
///
/// # Errors
/// [`DecodeError`] saying which field and what is wrong with it.
pub fn state(payload: &[u8]) -> Result<Report, DecodeError> {
    let fields = Fields::read(payload)?;
    fields.version_1()?;
    let state = match fields.required_text("state")? {
        "open" => DoorState::Open,
        "closed" => DoorState::Closed,
        "forced" => DoorState::Forced,
        "held" => DoorState::Held,
        "tamper" => DoorState::Tamper,
        _ => return Err(DecodeError::State),
    };
    Ok(Report::State {
        state,
        at: time(&fields)?,
    })
}

/// Reads a message on `…/status`.
///
/// # Errors
/// [`DecodeError`] saying which field and what is wrong with it.
pub fn status(payload: &[u8]) -> Result<Report, DecodeError> {
    let fields = Fields::read(payload)?;
    fields.version_1()?;
    let online = fields.flag("online")?;
    Ok(Report::Status {
        online: online.ok_or(DecodeError::Missing { field: "online" })?,
        firmware: fields.firmware("firmware")?,
    })
}

/// Only a button, a remote opening and a duress code may come without a card: for anything else
/// "no card" would be decided as if the controller answered for it.
fn needs_card(method: Method) -> bool {
    match method {
        Method::Button | Method::Remote | Method::Duress => false,
        Method::Card | Method::Pin | Method::Qr | Method::Unknown => true,
    }
}

fn time(fields: &Fields) -> Result<Option<WallTime>, DecodeError> {
    match fields.text("at")?.map(str::parse) {
        None => Ok(None),
        Some(Ok(at)) => Ok(Some(at)),
        Some(Err(source)) => Err(DecodeError::Time {
            field: "at",
            source,
        }),
    }
}

fn direction(word: Option<&str>) -> Direction {
    match word {
        Some("in") => Direction::In,
        Some("out") => Direction::Out,
        _ => Direction::Unknown,
    }
}

fn result(word: Option<&str>) -> ControllerResult {
    match word {
        Some("granted") => ControllerResult::Granted,
        Some("denied") => ControllerResult::Denied,
        _ => ControllerResult::Unknown,
    }
}

fn method(word: Option<&str>) -> Method {
    match word {
        Some("card") => Method::Card,
        Some("pin") => Method::Pin,
        Some("qr") => Method::Qr,
        Some("button") => Method::Button,
        Some("remote") => Method::Remote,
        Some("duress") => Method::Duress,
        _ => Method::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::decode::PAYLOAD_BYTES_MAX;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn good() -> Value {
        json!({"v": 1, "boot": "5f3a", "seq": 17, "at": "2026-11-22T08:30:15.120+08:00",
            "card": "04a1B2C3D4", "direction": "in", "result": "granted", "method": "card"})
    }

    fn with(field: &str, value: Value) -> Result<SwipeParts, DecodeError> {
        let mut message = good();
        message[field] = value;
        swipe(message.to_string().as_bytes())
    }

    #[test]
    fn the_contracts_example_is_read_whole() {
        let parts = swipe(good().to_string().as_bytes()).unwrap();
        assert_eq!((parts.key.boot.as_str(), parts.key.seq), ("5f3a", 17));
        assert_eq!(parts.card.unwrap().reveal(), "04A1B2C3D4");
        assert_eq!(parts.direction, Direction::In);
        assert_eq!(parts.method, Method::Card);
        assert_eq!(parts.controller_result, ControllerResult::Granted);
        let at = parts.controller_at.unwrap();
        assert_eq!(at.to_string(), "2026-11-22T00:30:15.120Z");
    }

    #[test]
    fn what_is_optional_may_be_absent_and_what_is_unknown_is_ignored() {
        let parts = swipe(br#"{"v":1,"boot":"b","seq":0,"card":"04A1","more":[1]}"#).unwrap();
        assert_eq!(parts.controller_at, None);
        assert_eq!(parts.direction, Direction::Unknown);
        assert_eq!(parts.method, Method::Unknown);
        for field in ["direction", "result", "method"] {
            assert!(with(field, json!("sideways")).is_ok(), "{field}");
            assert!(with(field, Value::Null).is_ok(), "{field}");
        }
        assert_eq!(with("seq", json!(u64::MAX)).unwrap().key.seq, u64::MAX);
    }

    #[test]
    fn only_a_button_a_remote_opening_and_a_duress_code_come_without_a_card() {
        for (word, may) in [
            ("button", true),
            ("remote", true),
            ("duress", true),
            ("card", false),
            ("pin", false),
            ("face", false),
        ] {
            for card in ["", r#","card":null"#, r#","card":"""#] {
                let text = format!(r#"{{"v":1,"boot":"b","seq":1,"method":"{word}"{card}}}"#);
                assert_eq!(swipe(text.as_bytes()).is_ok(), may, "{text}");
            }
        }
    }

    #[test]
    fn each_mistake_has_its_own_reason() {
        let long = "b".repeat(33);
        for (field, value, reason) in [
            (
                "v",
                json!(2),
                "field \"v\" is not 1, the only version known here",
            ),
            (
                "v",
                json!("1"),
                "field \"v\" is not 1, the only version known here",
            ),
            ("v", Value::Null, "field \"v\" is missing"),
            ("boot", Value::Null, "field \"boot\" is missing"),
            ("boot", json!(5), "field \"boot\" is not text"),
            ("seq", Value::Null, "field \"seq\" is missing"),
            ("card", json!(12), "field \"card\" is not text"),
            ("card", json!("12g4"), "field \"card\" is not a card number"),
            ("card", json!("123"), "field \"card\" is not a card number"),
            (
                "card",
                json!("0".repeat(33)),
                "field \"card\" is not a card number",
            ),
            ("direction", json!(1), "field \"direction\" is not text"),
            ("at", json!(1_605_991_375), "field \"at\" is not text"),
        ] {
            let err = with(field, value).unwrap_err();
            assert_eq!(err.to_string(), reason);
        }
        for (field, value, part) in [
            ("boot", json!(long), "at most 32 characters"),
            ("boot", json!("a\u{7}"), "without control characters"),
            ("seq", json!(-1), "a whole number"),
            ("seq", json!(1.5), "a whole number"),
            ("seq", json!("17"), "a whole number"),
            ("at", json!("yesterday"), "RFC 3339"),
            ("at", json!("2026-11-22T08:30:15"), "RFC 3339"),
        ] {
            let err = with(field, value).unwrap_err();
            assert!(err.to_string().contains(part), "{err}");
        }
        let large = vec![b' '; PAYLOAD_BYTES_MAX + 1];
        for (payload, reason) in [
            (&b""[..], "the payload is empty"),
            (
                &large,
                "the payload has 65537 bytes, at most 65536 are read",
            ),
            (b"\xff{}", "the payload is not UTF-8 from byte 0 on"),
            (
                b"{\"v\":1,",
                "the payload is not JSON from line 1, column 7 on",
            ),
            (b"[1]", "the payload is JSON but not an object"),
            (b"17", "the payload is JSON but not an object"),
        ] {
            assert_eq!(swipe(payload).unwrap_err().to_string(), reason);
        }
    }

    #[test]
    fn states_and_statuses() {
        let report = state(br#"{"v":1,"state":"forced"}"#).unwrap();
        assert_eq!(
            report,
            Report::State {
                state: DoorState::Forced,
                at: None
            }
        );
        assert!(matches!(
            state(br#"{"v":1,"state":"ajar"}"#),
            Err(DecodeError::State)
        ));
        let report = status(br#"{"v":1,"online":true,"firmware":"1.2\n"}"#).unwrap();
        assert_eq!(
            report,
            Report::Status {
                online: true,
                firmware: Some("1.2".to_owned())
            }
        );
        assert!(status(br#"{"v":1}"#).is_err());
        assert!(status(br#"{"v":1,"online":"yes"}"#).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            crate::door::fuzz::swipe_payload(&payload);
        }

        #[test]
        fn almost_good_messages_never_panic_and_never_show_the_card(
            cut in 0usize..160, byte in any::<u8>(), at in 0usize..160,
        ) {
            let mut payload = good().to_string().into_bytes();
            let idx = at % payload.len();
            payload[idx] = byte;
            payload.truncate(payload.len().saturating_sub(cut % 7));
            crate::door::fuzz::swipe_payload(&payload);
            if let Err(err) = swipe(&payload) {
                let shown = crate::error::chain(&err).to_string();
                prop_assert!(!shown.contains("B2C3"), "{}", shown);
            }
        }

        #[test]
        fn any_words_of_the_right_type_are_read(
            boot in "[a-z0-9]{1,32}", seq in any::<u64>(), card in "[0-9a-fA-F]{4,32}",
            word in "[a-z]{0,8}",
        ) {
            let message = json!({"v": 1, "boot": boot, "seq": seq, "card": card,
                "direction": word, "result": word, "method": word});
            let parts = swipe(message.to_string().as_bytes()).unwrap();
            prop_assert_eq!(parts.key, SwipeKey { boot, seq });
            let read = parts.card.unwrap();
            prop_assert_eq!(read.reveal(), card.to_ascii_uppercase());
        }
    }
}

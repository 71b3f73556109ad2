//! JSON of the esp-rfid firmware (its README-MQTT), on one topic for all its controllers.
//!
//! # Identity of a swipe
//! The firmware counts nothing, so the identity is `boot` = `"esp"` and `seq` = the first 64 bits of
//! a SHA-256 over host name, time (whole seconds), what the firmware says of the card, and the
//! part of the number that an entry shows anyway: the key reveals nothing more of a card than the
//! entry beside it. Two cards with the same last digits at one controller within one second would
//! be taken for one swipe. Without a set clock (a time before 2020) the time is no help; then
//! `boot` is `"esp-noclock"` and the arrival stands in, so a message that comes twice makes two entries
//! rather than two swipes one.

use sha2::{Digest as _, Sha256};

use super::fields::Fields;
use super::{DecodeError, Report, SwipeParts};
use crate::domain::swipe::{ControllerResult, Direction, DoorState, Method, SwipeKey};
use crate::time::WallTime;

/// 2020-01-01T00:00:00Z: a controller's clock that shows less was never set.
const CLOCK_SET_UNIX_S: u64 = 1_577_836_800;
/// 2200-01-01T00:00:00Z: nor was one that shows more.
const CLOCK_ODD_UNIX_S: u64 = 7_258_118_400;

/// A message of an esp-rfid controller, of which the sender is known.
pub struct Message {
    fields: Fields,
    hostname: String,
}

/// Reads a payload as far as its sender.
///
/// # Errors
/// [`DecodeError`] when it is not a JSON object with a `hostname`.
pub fn read(payload: &[u8]) -> Result<Message, DecodeError> {
    let fields = Fields::read(payload)?;
    let hostname = fields.required_text("hostname")?.to_owned();
    Ok(Message { fields, hostname })
}

impl Message {
    /// Which controller sent it.
    pub fn hostname(&self) -> &str {
        &self.hostname
    }

    /// What it says. `received_at` stands in for the time of a controller without a clock.
    ///
    /// # Errors
    /// [`DecodeError`] saying which field and what is wrong with it.
    pub fn report(&self, received_at: WallTime) -> Result<Report, DecodeError> {
        match self.fields.required_text("type")? {
            "access" => self.swipe(received_at).map(Report::Swipe),
            "boot" | "heartbeat" => Ok(Report::Status {
                online: true,
                firmware: None,
            }),
            "INFO" | "WARN" => self.log_line(),
            _ => Ok(Report::Nothing),
        }
    }

    fn swipe(&self, received_at: WallTime) -> Result<SwipeParts, DecodeError> {
        let unix_s = self.fields.required_count("time")?;
        let card = self.fields.card("uid")?;
        let is_known = self.fields.loose_flag("isKnown")?;
        let access = self.fields.text("access")?.unwrap_or_default();
        let clock_set = (CLOCK_SET_UNIX_S..CLOCK_ODD_UNIX_S).contains(&unix_s);
        let (boot, moment) = if clock_set {
            ("esp", unix_s.to_be_bytes())
        } else {
            ("esp-noclock", received_at.unix_ns().to_be_bytes())
        };
        let shown = card.as_ref().map(|card| card.tail()).unwrap_or_default();
        let known = [is_known.map_or(2, u8::from)];
        let seq = digest64(&[
            self.hostname.as_bytes(),
            &moment,
            shown.as_bytes(),
            &known,
            access.as_bytes(),
        ]);
        let controller_at = i64::try_from(unix_s)
            .ok()
            .filter(|_| clock_set)
            .map(|unix_s| WallTime::from_unix_ms(unix_s.saturating_mul(1_000)));
        Ok(SwipeParts {
            key: SwipeKey {
                boot: boot.to_owned(),
                seq,
            },
            // The firmware reports its own `opendoor` command as an access with a blank number.
            method: if card.is_some() {
                Method::Card
            } else {
                Method::Remote
            },
            card,
            direction: Direction::Unknown,
            controller_result: result(is_known, access),
            controller_at,
        })
    }

    fn log_line(&self) -> Result<Report, DecodeError> {
        let source = self.fields.text("src")?.unwrap_or_default();
        let text = self.fields.text("desc")?.unwrap_or_default();
        let state = match (source, text) {
            ("door", "Door Open") => DoorState::Open,
            ("door", "Door Closed") => DoorState::Closed,
            ("tamper", "Door wasn't closed within max open time!") => DoorState::Held,
            // The firmware says so of a door that opens while it should be locked.
            ("tamper", _) => DoorState::Forced,
            _ => return Ok(Report::Nothing),
        };
        Ok(Report::State { state, at: None })
    }
}

fn result(is_known: Option<bool>, access: &str) -> ControllerResult {
    match (is_known, access) {
        (Some(false), _) | (_, "Disabled" | "Expired" | "Denied") => ControllerResult::Denied,
        (_, "Always" | "Admin") => ControllerResult::Granted,
        _ => ControllerResult::Unknown,
    }
}

/// The first 64 bits of a SHA-256 over `parts`, each with its length before it.
fn digest64(parts: &[&[u8]]) -> u64 {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let digest = hasher.finalize();
    digest
        .iter()
        .take(8)
        .fold(0, |seq, byte| (seq << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn at(unix_ms: i64) -> WallTime {
        WallTime::from_unix_ms(unix_ms)
    }

    fn access() -> Value {
        json!({"type": "access", "time": 1_795_000_000, "isKnown": "true", "access": "Always",
            "username": "someone", "uid": "7d3f2a10", "hostname": "door-3"})
    }

    fn swipe_of(message: &Value, received_at: WallTime) -> SwipeParts {
        let message = read(message.to_string().as_bytes()).unwrap();
        assert_eq!(message.hostname(), "door-3");
        match message.report(received_at).unwrap() {
            Report::Swipe(parts) => parts,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_access_message_is_a_swipe_whose_repeat_has_the_same_key() {
        let first = swipe_of(&access(), at(1));
        assert_eq!(first.key.boot, "esp");
        assert_eq!(first.card.as_ref().unwrap().reveal(), "7D3F2A10");
        assert_eq!(first.controller_result, ControllerResult::Granted);
        assert_eq!(first.controller_at, Some(at(1_795_000_000_000)));
        assert_eq!(swipe_of(&access(), at(2)).key, first.key);
        for (field, value) in [
            ("time", json!(1_795_000_001)),
            ("uid", json!("7d3f2a11")),
            ("access", json!("Expired")),
        ] {
            let mut other = access();
            other[field] = value;
            assert_ne!(swipe_of(&other, at(1)).key, first.key, "{field}");
        }
    }

    #[test]
    fn the_key_depends_on_no_more_of_the_card_than_an_entry_shows() {
        let mut other = access();
        other["uid"] = json!("00002a10");
        assert_eq!(swipe_of(&other, at(1)).key, swipe_of(&access(), at(1)).key);
    }

    #[test]
    fn without_a_clock_two_swipes_stay_two() {
        let mut message = access();
        message["time"] = json!(17);
        let first = swipe_of(&message, at(1));
        assert_eq!(first.key.boot, "esp-noclock");
        assert_eq!(first.controller_at, None);
        assert_ne!(swipe_of(&message, at(2)).key, first.key);
    }

    #[test]
    fn refusals_and_remote_openings_are_told() {
        let mut unknown = access();
        unknown["isKnown"] = json!(false);
        unknown["access"] = json!("Denied");
        let parts = swipe_of(&unknown, at(1));
        assert_eq!(parts.controller_result, ControllerResult::Denied);
        let mut remote = access();
        remote["uid"] = json!(" ");
        let parts = swipe_of(&remote, at(1));
        assert_eq!((parts.method, parts.card), (Method::Remote, None));
    }

    #[test]
    fn log_lines_tell_the_doors_state_and_the_rest_is_nothing() {
        for (message, report) in [
            (
                json!({"type": "WARN", "src": "tamper", "desc": "Door was tampered!", "hostname": "h"}),
                Some(DoorState::Forced),
            ),
            (
                json!({"type": "WARN", "src": "tamper", "hostname": "h",
                    "desc": "Door wasn't closed within max open time!"}),
                Some(DoorState::Held),
            ),
            (
                json!({"type": "INFO", "src": "door", "desc": "Door Closed", "hostname": "h"}),
                Some(DoorState::Closed),
            ),
            (
                json!({"type": "INFO", "src": "wifi", "hostname": "h"}),
                None,
            ),
            (json!({"type": "adduser", "hostname": "h"}), None),
        ] {
            let wanted = report.map_or(Report::Nothing, |state| Report::State { state, at: None });
            let read = read(message.to_string().as_bytes()).unwrap();
            assert_eq!(read.report(at(1)).unwrap(), wanted, "{message}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        assert!(matches!(
            read(br#"{"type":"access"}"#),
            Err(DecodeError::Missing { field: "hostname" })
        ));
        for (field, value) in [
            ("uid", json!("xyz1")),
            ("uid", json!(7)),
            ("time", json!("now")),
            ("isKnown", json!("maybe")),
        ] {
            let mut message = access();
            message[field] = value;
            let message = read(message.to_string().as_bytes()).unwrap();
            assert!(message.report(at(1)).is_err(), "{field}");
        }
    }
}

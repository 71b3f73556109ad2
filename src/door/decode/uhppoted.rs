//! Events of uhppoted-mqtt (UHPPOTE controllers), on one topic for all its controllers. The event
//! object is read bare or in the daemon's envelope (`message.event`).
//!
//! # Identity of a swipe
//! `seq` is the event id, which the controller counts and which starts again when it is reset;
//! `boot` is therefore the device id with the local date of the event. Nothing but a reset and as
//! many events again within one day could make two swipes one.
//!
//! # Card numbers
//! The decimal number becomes upper-case hexadecimal, with zeros before it up to four digits.
//! The roster must have it that way: 8165538 is `7C98A2`.

use super::fields::{Fields, wrong};
use super::{DecodeError, Report, SwipeParts};
use crate::domain::card::CardNumber;
use crate::domain::swipe::{ControllerResult, Direction, DoorState, Method, SwipeKey};
use crate::time::{TimeZone, WallTime};

/// `YYYY-MM-DD HH:MM:SS`; what follows (an abbreviated zone) is not read.
const TIMESTAMP_BYTES: usize = 19;

/// An event of which the sender is known.
pub struct Message {
    event: Fields,
    device_id: u32,
    door: Option<u8>,
}

/// Reads a payload as far as its sender.
///
/// # Errors
/// [`DecodeError`] when it is not a JSON object with an event's `device-id`.
pub fn read(payload: &[u8]) -> Result<Message, DecodeError> {
    let mut fields = Fields::read(payload)?;
    if let Some(message) = fields.take_object("message") {
        fields = message;
    }
    if let Some(event) = fields.take_object("event") {
        fields = event;
    }
    let device_id = fields.required_count("device-id")?;
    let door = fields.count("door-id")?;
    Ok(Message {
        device_id: u32::try_from(device_id)
            .or(Err(wrong("device-id", "a controller's serial number")))?,
        door: door
            .map(u8::try_from)
            .transpose()
            .or(Err(wrong("door-id", "a door of the controller")))?,
        event: fields,
    })
}

impl Message {
    /// The controller's serial number.
    pub fn device_id(&self) -> u32 {
        self.device_id
    }

    /// Which of its doors; `None` when the event does not say.
    pub fn door(&self) -> Option<u8> {
        self.door
    }

    /// What it says. `zone` is where the controller's clock hangs.
    ///
    /// # Errors
    /// [`DecodeError`] saying which field and what is wrong with it.
    pub fn report(&self, zone: &TimeZone) -> Result<Report, DecodeError> {
        let event_id = self.event.required_count("event-id")?;
        let (at, date) = self.timestamp(zone)?;
        let event_type = self.event.required_count("event-type")?;
        let reason = self.event.count("event-reason")?.unwrap_or(0);
        let method = match (event_type, reason) {
            (1, _) => Method::Card,
            (2, 20 | 31 | 32) => Method::Button,
            (2 | 3, 44 | 45) => Method::Remote,
            (2, 23) => return Ok(state(DoorState::Open, at)),
            (2, 24) => return Ok(state(DoorState::Closed, at)),
            (3, 37) => return Ok(state(DoorState::Held, at)),
            (3, 38) => return Ok(state(DoorState::Forced, at)),
            _ => return Ok(Report::Nothing),
        };
        let card = if method == Method::Card {
            Some(self.card()?)
        } else {
            None
        };
        Ok(Report::Swipe(SwipeParts {
            key: SwipeKey {
                boot: format!("{}.{date}", self.device_id),
                seq: event_id,
            },
            card,
            direction: match self.event.count("direction")? {
                Some(1) => Direction::In,
                Some(2) => Direction::Out,
                _ => Direction::Unknown,
            },
            method,
            controller_result: match self.event.flag("access-granted")? {
                Some(true) => ControllerResult::Granted,
                Some(false) => ControllerResult::Denied,
                None => ControllerResult::Unknown,
            },
            controller_at: Some(at),
        }))
    }

    fn card(&self) -> Result<CardNumber, DecodeError> {
        let field = "card-number";
        let number = self.event.required_count(field)?;
        CardNumber::new(&format!("{number:04X}"))
            .map_err(|source| DecodeError::Card { field, source })
    }

    /// The moment, and its local date as `YYYY-MM-DD`.
    fn timestamp(&self, zone: &TimeZone) -> Result<(WallTime, &str), DecodeError> {
        let field = "timestamp";
        let text = self.event.required_text(field)?;
        let (Some(local), Some(date)) = (text.get(..TIMESTAMP_BYTES), text.get(..10)) else {
            return Err(DecodeError::LocalTimeShort { field });
        };
        match zone.read_local(local) {
            Ok(at) => Ok((at, date)),
            Err(source) => Err(DecodeError::LocalTime { field, source }),
        }
    }
}

fn state(state: DoorState, at: WallTime) -> Report {
    Report::State {
        state,
        at: Some(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn event() -> Value {
        json!({"access-granted": true, "card-number": 8_165_538, "device-id": 405_419_896,
            "direction": 1, "door-id": 4, "event-id": 50, "event-reason": 1, "event-type": 1,
            "timestamp": "2026-11-22 08:30:15"})
    }

    fn zone() -> TimeZone {
        TimeZone::named("Asia/Shanghai").unwrap()
    }

    fn report(message: &Value) -> Result<Report, DecodeError> {
        read(message.to_string().as_bytes())?.report(&zone())
    }

    fn swipe_of(message: &Value) -> SwipeParts {
        match report(message).unwrap() {
            Report::Swipe(parts) => parts,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_event_is_a_swipe_bare_or_in_its_envelope() {
        let parts = swipe_of(&event());
        assert_eq!(parts.key.boot, "405419896.2026-11-22");
        assert_eq!(parts.key.seq, 50);
        assert_eq!(parts.card.as_ref().unwrap().reveal(), "7C98A2");
        assert_eq!(parts.direction, Direction::In);
        assert_eq!(parts.controller_result, ControllerResult::Granted);
        let at = parts.controller_at.unwrap();
        assert_eq!(at.to_string(), "2026-11-22T00:30:15.000Z");
        let wrapped = json!({"message": {"event": event()}, "hmac": "00"});
        assert_eq!(swipe_of(&wrapped), parts);
        let read = read(wrapped.to_string().as_bytes()).unwrap();
        assert_eq!((read.device_id(), read.door()), (405_419_896, Some(4)));
    }

    #[test]
    fn a_zone_after_the_time_is_not_read_and_small_numbers_get_four_digits() {
        let mut message = event();
        message["timestamp"] = json!("2026-11-22 08:30:15 CST");
        message["card-number"] = json!(17);
        message["direction"] = json!(2);
        let parts = swipe_of(&message);
        assert_eq!(parts.card.unwrap().reveal(), "0011");
        assert_eq!(parts.direction, Direction::Out);
        assert_eq!(
            parts.controller_at.unwrap().to_string(),
            "2026-11-22T00:30:15.000Z"
        );
    }

    #[test]
    fn buttons_states_and_the_rest() {
        let of = |event_type: u8, reason: u8| {
            let mut message = event();
            message["event-type"] = json!(event_type);
            message["event-reason"] = json!(reason);
            report(&message).unwrap()
        };
        assert!(matches!(of(2, 20), Report::Swipe(p) if p.method == Method::Button));
        for (event_type, reason, state) in [
            (2, 23, DoorState::Open),
            (2, 24, DoorState::Closed),
            (3, 37, DoorState::Held),
            (3, 38, DoorState::Forced),
        ] {
            let wanted = state;
            assert!(
                matches!(of(event_type, reason), Report::State { state, .. } if state == wanted)
            );
        }
        assert_eq!(of(3, 28), Report::Nothing);
    }

    #[test]
    fn mistakes_are_named() {
        for (field, value) in [
            ("device-id", json!(-1)),
            ("device-id", json!(1u64 << 32)),
            ("door-id", json!(999)),
            ("event-id", json!("50")),
            ("timestamp", json!("2026-11-22")),
            ("timestamp", json!("2026-13-22 08:30:15")),
            (
                "timestamp",
                json!("\u{697c}\u{697c}\u{697c}\u{697c}\u{697c}\u{697c}\u{697c}"),
            ),
            ("card-number", json!("8165538")),
            ("card-number", Value::Null),
        ] {
            let mut message = event();
            message[field] = value;
            assert!(report(&message).is_err(), "{field}");
        }
    }
}

//! Bytes of a controller to the words of the domain: pure functions, one module a dialect.
//!
//! An error says what is wrong and where, never what was sent: a payload may hold a card number.

pub mod esp_rfid;
mod fields;
pub mod native;
pub mod uhppoted;

use crate::domain::card::{CardNumber, CardNumberError};
use crate::domain::swipe::{BOOT_CHARS_MAX, ControllerResult, Direction, DoorState, Method};
use crate::domain::swipe::{Swipe, SwipeKey};
use crate::time::{DateError, WallTime, WallTimeParseError};

/// Largest payload that is read (contract, section 3).
pub const PAYLOAD_BYTES_MAX: usize = 64 << 10;
/// Longest firmware text that is kept, in characters.
const FIRMWARE_CHARS_MAX: usize = 64;

/// What a swipe message says; [`SwipeParts::arrived`] adds what only we know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwipeParts {
    /// Its identity at its door.
    pub key: SwipeKey,
    /// The card; `None` for a button, a remote opening, or a duress code without one.
    pub card: Option<CardNumber>,
    /// Which way.
    pub direction: Direction,
    /// How.
    pub method: Method,
    /// What the controller did by itself.
    pub controller_result: ControllerResult,
    /// The controller's clock, when it said so.
    pub controller_at: Option<WallTime>,
}

/// Where and when a message arrived.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Our wall clock.
    pub received_at: WallTime,
    /// Our monotonic clock.
    pub arrived: tokio::time::Instant,
    /// The broker had kept the message (MQTT retain flag).
    pub retained: bool,
}

impl SwipeParts {
    /// The swipe that arrived at `door`.
    pub fn arrived(self, door: crate::domain::id::DoorId, arrival: &Arrival) -> Swipe {
        Swipe {
            door,
            key: self.key,
            card: self.card,
            direction: self.direction,
            method: self.method,
            controller_result: self.controller_result,
            controller_at: self.controller_at,
            received_at: arrival.received_at,
            arrived: arrival.arrived,
            may_have_waited: arrival.retained,
        }
    }
}

/// What a controller's message is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// Someone asked to pass.
    Swipe(SwipeParts),
    /// The door itself changed.
    State {
        /// How it is now.
        state: DoorState,
        /// The controller's clock, when it said so.
        at: Option<WallTime>,
    },
    /// The controller is there, or its last will says that it is not.
    Status {
        /// Is it there?
        online: bool,
        /// Its firmware, when it said so; at most 64 characters, none of them control.
        firmware: Option<String>,
    },
    /// Well formed and of no interest: a heartbeat, a log line.
    Nothing,
}

/// Why a payload cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Nothing in it.
    #[error("the payload is empty")]
    Empty,
    /// Over [`PAYLOAD_BYTES_MAX`]; not looked into.
    #[error("the payload has {n_bytes} bytes, at most {PAYLOAD_BYTES_MAX} are read")]
    TooLarge {
        /// Its length.
        n_bytes: usize,
    },
    /// Text must be UTF-8.
    #[error("the payload is not UTF-8 from byte {offset} on")]
    NotUtf8 {
        /// Where the text ends.
        offset: usize,
    },
    /// Not JSON.
    #[error("the payload is not JSON from line {line}, column {column} on")]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// JSON, but a list or a single value.
    #[error("the payload is JSON but not an object")]
    NotObject,
    /// A field that must be there is not.
    #[error("field \"{field}\" is missing")]
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// A field has another type or range than it must.
    #[error("field \"{field}\" is not {expected}")]
    WrongType {
        /// Its name.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// Of a version that we do not know.
    #[error("field \"v\" is not 1, the only version known here")]
    Version,
    /// `boot` is too long or has control characters.
    #[error(
        "field \"boot\" is not text of at most {BOOT_CHARS_MAX} characters without control characters"
    )]
    Boot,
    /// Not a card number.
    #[error("field \"{field}\" is not a card number")]
    Card {
        /// Its name.
        field: &'static str,
        /// What a card number is.
        #[source]
        source: CardNumberError,
    },
    /// A time that cannot be read.
    #[error("field \"{field}\" is not an RFC 3339 time (such as 2026-11-22T08:30:15.120+08:00)")]
    Time {
        /// Its name.
        field: &'static str,
        /// What the parser said.
        #[source]
        source: WallTimeParseError,
    },
    /// A local time that cannot be read.
    #[error("field \"{field}\" is not a local time (such as 2026-11-22 08:30:15)")]
    LocalTime {
        /// Its name.
        field: &'static str,
        /// What the parser said.
        #[source]
        source: DateError,
    },
    /// A local time with too few characters.
    #[error("field \"{field}\" is not a local time (such as 2026-11-22 08:30:15)")]
    LocalTimeShort {
        /// Its name.
        field: &'static str,
    },
    /// A door's state that the contract does not have.
    #[error("field \"state\" is none of open, closed, forced, held, tamper")]
    State,
}

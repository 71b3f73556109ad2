//! What a door's controller reported, whatever dialect it spoke.

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::card::CardNumber;
use super::id::{DoorId, EntryId};
use crate::time::WallTime;

/// Longest `boot` text of a controller, in characters (contract, section 3).
pub const BOOT_CHARS_MAX: usize = 32;

/// What makes a swipe that swipe and no other: a repeat has the same key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SwipeKey {
    /// Changes whenever the controller restarts its sequence; at most 32 characters.
    pub boot: String,
    /// The controller's own count within `boot`.
    pub seq: u64,
}

impl SwipeKey {
    /// The entry that this swipe of `door` is, however often it comes.
    pub fn entry_id(&self, door: &DoorId) -> EntryId {
        EntryId::derive(&[
            door.as_str().as_bytes(),
            self.boot.as_bytes(),
            &self.seq.to_be_bytes(),
        ])
    }
}

/// Which way the person went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Into the building.
    In,
    /// Out of it.
    Out,
    /// Not said, or a word we do not know.
    #[default]
    Unknown,
}

/// What the controller did by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControllerResult {
    /// It opened.
    Granted,
    /// It stayed shut.
    Denied,
    /// Not said, or it asks us.
    #[default]
    Unknown,
}

/// How the person asked to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// A card or tag.
    Card,
    /// A code typed in.
    Pin,
    /// A picture code.
    Qr,
    /// The push button inside.
    Button,
    /// Opened from afar.
    Remote,
    /// The code for "I am being forced".
    Duress,
    /// Not said, or a word we do not know.
    #[default]
    Unknown,
}

/// One swipe, as decoded; may repeat, be late or be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swipe {
    /// Where.
    pub door: DoorId,
    /// Its identity at that door.
    pub key: SwipeKey,
    /// The card; `None` for a button or a remote opening.
    pub card: Option<CardNumber>,
    /// Which way.
    pub direction: Direction,
    /// How.
    pub method: Method,
    /// What the controller did by itself.
    pub controller_result: ControllerResult,
    /// The controller's wall clock, when it said so.
    pub controller_at: Option<WallTime>,
    /// Our wall clock at arrival.
    pub received_at: WallTime,
    /// Our monotonic clock at arrival: what the clip's window is placed on.
    pub arrived: Instant,
    /// The message may be old: the broker kept it for us (MQTT retain flag), or it came so soon after
    /// the link to the broker or to the door was made anew that it may be part of a backlog.
    pub may_have_waited: bool,
}

impl Swipe {
    /// The id of the entry that this swipe is.
    pub fn entry_id(&self) -> EntryId {
        self.key.entry_id(&self.door)
    }
}

/// What a door says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DoorState {
    /// Stands open.
    Open,
    /// Is shut.
    Closed,
    /// Was opened without leave.
    Forced,
    /// Stands open too long.
    Held,
    /// Someone is at the controller's case.
    Tamper,
}

/// A message that could not be read, kept so that someone can find out why. Its bytes are not kept:
/// they may hold a card number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// The door it claims to come from; `None` when that is none of ours.
    #[serde(default)]
    pub door: Option<DoorId>,
    /// Its topic, with control characters replaced.
    pub topic: String,
    /// What is wrong with it.
    pub reason: String,
    /// Its length in bytes.
    pub payload_bytes: u64,
}

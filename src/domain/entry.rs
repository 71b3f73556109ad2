//! Our record of one swipe.

use serde::{Deserialize, Serialize};

use super::access::Decision;
use super::card::CardRef;
use super::clip::ClipRecord;
use super::id::{AlertId, CardholderId, DoorId, DwellingId, EntryId};
use super::place::Place;
use super::swipe::{ControllerResult, Direction, Method, SwipeKey};
use crate::time::WallTime;

/// One swipe, decided and kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Derived from `door` and `key`.
    pub id: EntryId,
    /// Where.
    pub door: DoorId,
    /// Where that door is.
    pub place: Place,
    /// The swipe's identity at its door.
    pub key: SwipeKey,
    /// When it happened: the controller's time where it can be trusted, else the arrival.
    pub at: WallTime,
    /// Our wall clock at arrival. Entries are ordered by it.
    pub received_at: WallTime,
    /// The controller's wall clock, as it said.
    #[serde(default)]
    pub controller_at: Option<WallTime>,
    /// The card.
    #[serde(default)]
    pub card: Option<CardRef>,
    /// The dwelling of the card's holder, when known.
    #[serde(default)]
    pub dwelling: Option<DwellingId>,
    /// The card's holder, when known.
    #[serde(default)]
    pub holder: Option<CardholderId>,
    /// Which way.
    pub direction: Direction,
    /// How.
    pub method: Method,
    /// What the controller did by itself.
    pub controller_result: ControllerResult,
    /// What we decided.
    pub decision: Decision,
    /// One for each camera that sees the door, in the door's order; never empty: a door without a
    /// camera has one missed clip.
    pub clips: Vec<ClipRecord>,
    /// The alerts it raised.
    #[serde(default)]
    pub alerts: Vec<AlertId>,
}

impl Entry {
    /// The clip that stands for the entry: that of the door's first camera.
    ///
    /// # Panics
    /// Never on a record of ours: `clips` is not empty.
    pub fn clip(&self) -> &ClipRecord {
        self.clips
            .first()
            .expect("an entry has at least one clip record")
    }
}

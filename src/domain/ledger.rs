//! What the ledger keeps: dwellings, cardholders, cards, every change of them, and the rules in force.
//!
//! Personal fields (names, marks of persons, card numbers, the reasons that people write) are sealed:
//! see [`Sealed`]. What they are looked up by is a keyed hash.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::access::CardState;
use super::card::CardKey;
use super::dwelling::{Day, Dwelling, Relation};
use super::id::{CardholderId, DwellingId};
use super::person::{NameKey, PersonKey};
use super::reckoning::{LimitPolicy, Reckoning};
use super::role::Actor;
use crate::time::WallTime;

/// Text that only the holder of the ledger's key can read.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Which key it was sealed with.
    pub key_id: u64,
    /// Nonce, then ciphertext and tag.
    pub bytes: Bytes,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(hidden)")
    }
}

/// A dwelling as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DwellingRecord {
    /// Its facts.
    pub dwelling: Dwelling,
    /// The number of the change that made it so ([`NumberedChange::seq`]).
    pub revision: u64,
}

/// A person in a dwelling, as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardholderRecord {
    /// The cardholder.
    pub id: CardholderId,
    /// Where.
    pub dwelling: DwellingId,
    /// The person, the same in every dwelling.
    pub person: PersonKey,
    /// Finds the name.
    pub name_key: NameKey,
    /// What the person is to the dwelling.
    pub relation: Relation,
    /// First day of the tenancy; `None`: from the beginning.
    #[serde(default)]
    pub from: Option<Day>,
    /// Last day of the tenancy; `None`: open.
    #[serde(default)]
    pub to: Option<Day>,
    /// When the person was entered into this dwelling; decides who is newest.
    pub added_at: WallTime,
    /// When the person was taken off the list, if so. The record stays for its cards' sake.
    #[serde(default)]
    pub removed_at: Option<WallTime>,
    /// Name, and the mark if one was given, sealed for this cardholder and revision.
    pub personal: Sealed,
    /// The number of the change that made it so.
    pub revision: u64,
}

/// A card as it stands. Its key in the store is its [`CardKey`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardRecord {
    /// Who holds it.
    pub holder: CardholderId,
    /// Active, lost or revoked.
    pub state: CardState,
    /// First moment of validity; `None`: always was.
    #[serde(default)]
    pub valid_from: Option<WallTime>,
    /// First moment after validity; `None`: no end.
    #[serde(default)]
    pub valid_until: Option<WallTime>,
    /// When it was issued to this holder.
    pub issued_at: WallTime,
    /// The number, sealed for this card and revision.
    pub number: Sealed,
    /// The number of the change that made it so.
    pub revision: u64,
}

/// The rule about how many may hold cards, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// The rule; its version is its key in the store.
    pub policy: LimitPolicy,
    /// When it came into force.
    pub since: WallTime,
}

/// Changes that one act brought to one dwelling, or had refused. Never changed afterwards: a correction
/// is a new one. Its key in the store is the dwelling and the number of its first change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryRecord {
    /// When.
    pub at: WallTime,
    /// Who.
    pub by: Actor,
    /// Why, as that person wrote it, sealed for the record's key; `None`: nothing was said.
    #[serde(default)]
    pub why: Option<Sealed>,
    /// 1 to [`HISTORY_CHANGES_MAX`], by number.
    pub changes: Vec<NumberedChange>,
}

/// Changes in one record of the history, at most: records stay small.
pub const HISTORY_CHANGES_MAX: usize = 16;

/// A change and its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberedChange {
    /// All changes of the ledger have one order, from 1.
    pub seq: u64,
    /// What.
    pub what: Changed,
}

/// What a change was about: how it stood before, and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Changed {
    /// A dwelling.
    Dwelling {
        /// `None`: it was new.
        before: Option<DwellingRecord>,
        /// As it stands since.
        after: DwellingRecord,
    },
    /// A cardholder. One who moves is in the history of both dwellings.
    Cardholder {
        /// `None`: the person was new.
        before: Option<CardholderRecord>,
        /// As it stands since.
        after: CardholderRecord,
    },
    /// A card. One that goes to another dwelling is in the history of both.
    Card {
        /// The card.
        key: CardKey,
        /// `None`: it was new.
        before: Option<CardRecord>,
        /// As it stands since.
        after: CardRecord,
    },
    /// A change was refused since the dwelling is full.
    Refused {
        /// What was asked: the change's word.
        asked: String,
        /// For whom; `None`: someone who was not a holder yet.
        holder: Option<CardholderId>,
        /// The day on which it would have been too many.
        day: Day,
        /// The reckoning that it was refused by.
        reckoning: Reckoning,
    },
}

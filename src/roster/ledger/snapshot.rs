//! Everything the ledger holds at one moment, opened: to plan an import on, and to export.

use std::collections::BTreeMap;

use super::change::{CardFacts, HolderFacts};
use crate::domain::card::{CardKey, CardNumber};
use crate::domain::id::{CardholderId, DwellingId};
use crate::domain::ledger::DwellingRecord;
use crate::time::WallTime;

/// The ledger at one moment. Holds names and card numbers: for planning and export only.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Its newest change; what [`super::Batch::if_seq`] takes.
    pub seq: u64,
    /// Every dwelling.
    pub dwellings: BTreeMap<DwellingId, DwellingRecord>,
    /// Every cardholder but those removed.
    pub holders: BTreeMap<CardholderId, KnownHolder>,
    /// Every card ever issued, also those of removed holders (which are revoked).
    pub cards: BTreeMap<CardNumber, KnownCard>,
}

/// A cardholder of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownHolder {
    /// As it would be put.
    pub facts: HolderFacts,
    /// When the person was entered; decides who is newest.
    pub added_at: WallTime,
    /// Its revision.
    pub revision: u64,
}

/// A card of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownCard {
    /// Its keyed hash.
    pub key: CardKey,
    /// As it would be issued.
    pub facts: CardFacts,
    /// Its revision.
    pub revision: u64,
}

//! Everything the ledger holds at one moment, opened: to plan an import on, and to export.

use std::collections::BTreeMap;

use super::act::SEQ;
use super::change::{CardFacts, HolderFacts, Validity};
use super::clerk::{LedgerError, Tools};
use crate::domain::card::{CardKey, CardNumber};
use crate::domain::id::{CardholderId, DwellingId};
use crate::domain::ledger::DwellingRecord;
use crate::store::{Store, tables};
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

/// Reads everything. Changes that are made meanwhile may or may not be in it; `seq` is read first, so a
/// batch that expects it then finds the ledger changed.
pub(super) fn read(store: &Store, tools: &Tools) -> Result<Snapshot, LedgerError> {
    let mut snapshot = Snapshot {
        seq: store.get(tables::META, &SEQ.to_owned())?.unwrap_or(0),
        ..Snapshot::default()
    };
    for row in store.scan(tables::DWELLINGS, &()) {
        let (id, record) = row?;
        snapshot.dwellings.insert(id, record);
    }
    for row in store.scan(tables::HOLDERS, &()) {
        let ((dwelling, id), record) = row?;
        if record.removed_at.is_some() {
            continue;
        }
        let (name, person) = tools.vault.person_of(&record)?;
        let known = KnownHolder {
            facts: HolderFacts {
                dwelling,
                name,
                relation: record.relation,
                person,
                from: record.from,
                to: record.to,
            },
            added_at: record.added_at,
            revision: record.revision,
        };
        snapshot.holders.insert(id, known);
    }
    for row in store.scan(tables::CARDS, &()) {
        let ((_, key), record) = row?;
        let number = tools.vault.number_of(&key, &record)?;
        let known = KnownCard {
            key,
            facts: CardFacts {
                holder: record.holder,
                state: record.state,
                validity: Validity {
                    from: record.valid_from,
                    until: record.valid_until,
                },
            },
            revision: record.revision,
        };
        snapshot.cards.insert(number, known);
    }
    Ok(snapshot)
}

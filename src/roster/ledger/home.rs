//! A dwelling with its cardholders and cards, as a transaction sees and changes it.

use std::collections::BTreeMap;

use crate::domain::access::CardState;
use crate::domain::card::CardKey;
use crate::domain::id::{CardholderId, DwellingId};
use crate::domain::ledger::{
    CardRecord, CardholderRecord, Changed, DwellingRecord, NumberedChange,
};
use crate::domain::reckoning::{Holding, Occupant};
use crate::store::{StoreError, Txn, tables};

/// Cardholders of one dwelling, removed ones included, and cards likewise, at most.
pub(super) const HOME_ROWS_MAX: usize = 10_000;

/// A dwelling and what hangs on it.
#[derive(Clone, Debug)]
pub(super) struct Home {
    pub(super) id: DwellingId,
    /// `None`: there is no such dwelling (yet).
    pub(super) dwelling: Option<DwellingRecord>,
    /// Also removed ones.
    pub(super) holders: BTreeMap<CardholderId, CardholderRecord>,
    /// Also revoked ones. The holder of each is among `holders`.
    pub(super) cards: BTreeMap<CardKey, CardRecord>,
    /// What this transaction has changed, for the history.
    pub(super) changes: Vec<NumberedChange>,
}

impl Home {
    /// Reads it.
    pub(super) fn load(txn: &Txn<'_>, id: &DwellingId) -> Result<Home, StoreError> {
        let holders = txn.scan(tables::HOLDERS, id, HOME_ROWS_MAX)?;
        let cards = txn.scan(tables::CARDS, id, HOME_ROWS_MAX)?;
        Ok(Home {
            id: id.clone(),
            dwelling: txn.get(tables::DWELLINGS, id)?,
            holders: holders
                .into_iter()
                .map(|((_, id), record)| (id, record))
                .collect(),
            cards: cards
                .into_iter()
                .map(|((_, key), record)| (key, record))
                .collect(),
            changes: Vec::new(),
        })
    }

    /// The cardholder, unless removed.
    pub(super) fn holder(&self, id: &CardholderId) -> Option<&CardholderRecord> {
        self.holders
            .get(id)
            .filter(|record| record.removed_at.is_none())
    }

    /// Those who are not removed, as the reckoning sees them.
    pub(super) fn occupants(&self) -> Vec<Occupant> {
        occupants(self.holders.values(), self.cards.values())
    }

    /// The same, had the one of that id this record, and these cards beside those of others.
    pub(super) fn occupants_with(
        &self,
        holder: &CardholderRecord,
        cards: &BTreeMap<CardKey, CardRecord>,
    ) -> Vec<Occupant> {
        let others = self
            .holders
            .values()
            .filter(|record| record.id != holder.id);
        let cards = self
            .cards
            .values()
            .filter(|card| card.holder != holder.id)
            .chain(cards.values());
        occupants(others.chain([holder]), cards)
    }

    /// The cards of `holder`, also revoked ones.
    pub(super) fn cards_of(&self, holder: &CardholderId) -> BTreeMap<CardKey, CardRecord> {
        let cards = self.cards.iter().filter(|(_, card)| card.holder == *holder);
        cards.map(|(key, card)| (*key, card.clone())).collect()
    }

    pub(super) fn note(&mut self, seq: u64, what: Changed) {
        self.changes.push(NumberedChange { seq, what });
    }
}

/// Those of `holders` who are not removed, with what `cards` say of them.
pub(super) fn occupants<'a>(
    holders: impl Iterator<Item = &'a CardholderRecord>,
    cards: impl Iterator<Item = &'a CardRecord>,
) -> Vec<Occupant> {
    let mut by_holder: BTreeMap<&CardholderId, Vec<&CardRecord>> = BTreeMap::new();
    for card in cards {
        by_holder.entry(&card.holder).or_default().push(card);
    }
    let present = holders.filter(|record| record.removed_at.is_none());
    present
        .map(|record| {
            let own = by_holder
                .get(&record.id)
                .map(Vec::as_slice)
                .unwrap_or_default();
            // One who has come back, or moved in, waits for a card like anyone new: what was revoked
            // before then says nothing of now.
            let own = own.iter().filter(|card| {
                card.state != CardState::Revoked || card.issued_at >= record.added_at
            });
            Occupant {
                id: record.id.clone(),
                person: record.person,
                relation: record.relation.clone(),
                from: record.from,
                to: record.to,
                added_at: record.added_at,
                holding: Holding::of(own.map(|card| (card.state, card.valid_until))),
            }
        })
        .collect()
}

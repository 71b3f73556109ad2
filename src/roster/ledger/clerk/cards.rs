//! Changes of cards.

use super::{Clerk, Made, Stop, fresh};
use crate::domain::access::CardState;
use crate::domain::card::{CardKey, CardNumber};
use crate::domain::id::DwellingId;
use crate::domain::ledger::{CardRecord, CardholderRecord, Changed};
use crate::roster::ledger::change::{CardFacts, Refusal, Validity};
use crate::roster::ledger::home::HOME_ROWS_MAX;
use crate::store::{StoreError, tables};

impl Clerk<'_, '_> {
    /// The card, with the dwelling it is in.
    pub(super) fn find_card(
        &mut self,
        key: &CardKey,
    ) -> Result<Option<(DwellingId, CardRecord)>, StoreError> {
        let Some(dwelling) = self.txn.get(tables::CARD_HOMES, key)? else {
            return Ok(None);
        };
        let card = self.home(&dwelling)?.cards.get(key).cloned();
        Ok(card.map(|card| (dwelling, card)))
    }

    pub(super) fn issue_card(
        &mut self,
        number: &CardNumber,
        facts: &CardFacts,
        at: Option<u64>,
    ) -> Made {
        if let Some(refusal) = backwards(&facts.validity) {
            return Err(refusal.into());
        }
        let key = self.tools.hasher.key_of(number);
        let before = self.find_card(&key)?;
        fresh(at, before.as_ref().map(|(_, record)| record.revision))?;
        let Some(holder) = self
            .find_holder(&facts.holder)?
            .filter(|h| h.removed_at.is_none())
        else {
            return Err(Refusal::NoHolder(facts.holder.clone()).into());
        };
        if let Some((_, card)) = &before {
            let is_same = card.holder == facts.holder
                && card.state == facts.state
                && (card.valid_from, card.valid_until)
                    == (facts.validity.from, facts.validity.until);
            if is_same {
                return Ok(None);
            }
            let is_over = card.valid_until.is_some_and(|until| until <= self.now.at);
            if card.state != CardState::Revoked && !is_over {
                let (holder, state) = (card.holder.clone(), card.state);
                return Err(Refusal::CardTaken { holder, state }.into());
            }
        }
        let home = self.home(&holder.dwelling)?;
        if home.cards.len() >= HOME_ROWS_MAX && !home.cards.contains_key(&key) {
            return Err(Refusal::Crowded.into());
        }
        let revision = self.seq + 1;
        let after = CardRecord {
            holder: facts.holder.clone(),
            state: facts.state,
            valid_from: facts.validity.from,
            valid_until: facts.validity.until,
            issued_at: self.stamp(),
            number: self.tools.vault.seal_number((&key, revision), number)?,
            revision,
        };
        self.check_card_limit(&holder, &key, &after, "issue-card")?;
        self.next_seq();
        let came_from = before.as_ref().map(|(dwelling, _)| dwelling.clone());
        if let Some(old) = came_from.filter(|old| *old != holder.dwelling) {
            self.txn.delete(tables::CARDS, &(old.clone(), key));
            let home = self.home(&old)?;
            home.cards.remove(&key);
            let what = Changed::Card {
                key,
                before: before.as_ref().map(|(_, card)| card.clone()),
                after: after.clone(),
            };
            home.note(revision, what);
        }
        self.put_card_rows(key, before, after, &holder.dwelling)?;
        Ok(Some(revision))
    }

    pub(super) fn put_card_rows(
        &mut self,
        key: CardKey,
        before: Option<(DwellingId, CardRecord)>,
        after: CardRecord,
        dwelling: &DwellingId,
    ) -> Result<(), Stop> {
        self.txn
            .put(tables::CARDS, &(dwelling.clone(), key), &after)?;
        if before.as_ref().is_none_or(|(old, _)| old != dwelling) {
            self.txn.put(tables::CARD_HOMES, &key, dwelling)?;
        }
        let home = self.home(dwelling)?;
        home.cards.insert(key, after.clone());
        let before = before.map(|(_, card)| card);
        home.note(after.revision, Changed::Card { key, before, after });
        Ok(())
    }

    pub(super) fn change_card(
        &mut self,
        key: &CardKey,
        at: Option<u64>,
        asked: &'static str,
        change: impl FnOnce(&mut CardRecord),
    ) -> Made {
        let found = self.find_card(key)?;
        fresh(at, found.as_ref().map(|(_, record)| record.revision))?;
        let Some((dwelling, before)) = found else {
            return Err(Refusal::NoCard.into());
        };
        let mut after = before.clone();
        change(&mut after);
        if after == before {
            return Ok(None);
        }
        let holder = self.home(&dwelling)?.holder(&before.holder).cloned();
        match holder {
            Some(holder) => self.check_card_limit(&holder, key, &after, asked)?,
            None if after.state != CardState::Revoked => {
                return Err(Refusal::NoHolder(before.holder).into());
            }
            None => {}
        }
        let number = self.tools.vault.number_of(key, &before)?;
        let revision = self.next_seq();
        after.revision = revision;
        after.number = self.tools.vault.seal_number((key, revision), &number)?;
        self.put_card_rows(*key, Some((dwelling.clone(), before)), after, &dwelling)?;
        Ok(Some(revision))
    }

    fn check_card_limit(
        &mut self,
        holder: &CardholderRecord,
        key: &CardKey,
        card: &CardRecord,
        asked: &'static str,
    ) -> Result<(), Stop> {
        let home = self.home(&holder.dwelling)?;
        let mut cards = home.cards_of(&holder.id);
        cards.insert(*key, card.clone());
        let with = home.occupants_with(holder, &cards);
        self.check_limit(&holder.dwelling, &with, (asked, Some(&holder.id)))
    }
}

pub(super) fn backwards(validity: &Validity) -> Option<Refusal> {
    match (validity.from, validity.until) {
        (Some(from), Some(until)) if until <= from => Some(Refusal::DatesBackwards),
        (Some(_) | None, Some(_) | None) => None,
    }
}

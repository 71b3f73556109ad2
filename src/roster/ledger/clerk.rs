//! Makes changes inside one transaction: every check and the write that rests on it.
//!
//! Not here: what follows in memory (`book`) and who asks (`Roster::apply`).

mod cards;

use std::collections::BTreeMap;
use std::time::Duration;

use super::change::{BeyondLimit, Change, HolderFacts, Outcome, Refusal, Step};
use super::home::{HOME_ROWS_MAX, Home};
use super::vault::{Vault, VaultError};
use crate::domain::access::CardState;
use crate::domain::card::{CardHasher, CardKey};
use crate::domain::dwelling::{BEDS_MAX, Day, Dwelling, NUMBER_CHARS_MAX, Tenure};
use crate::domain::id::{CardholderId, DwellingId, StairwellId};
use crate::domain::ledger::{CardRecord, CardholderRecord, Changed, DwellingRecord};
use crate::domain::place::{Place, Stairwell};
use crate::domain::reckoning::{LimitPolicy, Moment, Occupant, Reckoning, excess_of};
use crate::store::{StoreError, Txn, tables};
use crate::time::{TimeZone, WallTime};

/// Why a transaction on the ledger fails.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The store cannot be read or written.
    #[error("use the ledger's records")]
    Store(#[source] StoreError),
    /// A personal field cannot be sealed or opened.
    #[error("use the ledger's sealed fields")]
    Vault(#[source] VaultError),
    /// The batch has too many steps.
    #[error(
        "{n_steps} changes are too many at once, at most {} are taken",
        super::STEPS_MAX
    )]
    TooManySteps {
        /// How many.
        n_steps: usize,
    },
    /// The reason is too long.
    #[error(
        "a reason has at most {} characters, none of them a control character",
        super::WHY_CHARS_MAX
    )]
    Why,
}

impl From<StoreError> for LedgerError {
    fn from(err: StoreError) -> LedgerError {
        LedgerError::Store(err)
    }
}

impl From<VaultError> for LedgerError {
    fn from(err: VaultError) -> LedgerError {
        LedgerError::Vault(err)
    }
}

/// What every transaction needs to know.
#[derive(Debug)]
pub(in crate::roster) struct Tools {
    pub(in crate::roster) vault: Vault,
    pub(in crate::roster) hasher: CardHasher,
    pub(in crate::roster) zone: TimeZone,
}

/// A change that the limit refused, for the history and the alert.
#[derive(Clone, Debug)]
pub(super) struct LimitRefusal {
    pub(super) asked: &'static str,
    pub(super) holder: Option<CardholderId>,
    pub(super) day: Day,
    pub(super) reckoning: Reckoning,
}

/// Who makes the changes of one transaction.
pub(super) struct Clerk<'c, 't> {
    pub(super) txn: &'c mut Txn<'t>,
    pub(super) tools: &'c Tools,
    pub(super) stairwells: &'c BTreeMap<StairwellId, Stairwell>,
    /// The rule in force, as the store has it.
    pub(super) policy: LimitPolicy,
    pub(super) beyond_limit: BeyondLimit,
    pub(super) now: Moment,
    /// The dwellings touched so far.
    pub(super) homes: BTreeMap<DwellingId, Home>,
    /// The first refusal by the limit of each dwelling.
    pub(super) refused: BTreeMap<DwellingId, LimitRefusal>,
    /// The number of the newest change before this transaction.
    pub(super) first_seq: u64,
    /// The number of the newest change.
    pub(super) seq: u64,
}

/// A refusal found on the way, or a failure.
enum Stop {
    Refused(Refusal),
    Failed(LedgerError),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Refused(refusal)
    }
}

impl From<StoreError> for Stop {
    fn from(err: StoreError) -> Stop {
        Stop::Failed(err.into())
    }
}

impl From<VaultError> for Stop {
    fn from(err: VaultError) -> Stop {
        Stop::Failed(err.into())
    }
}

/// `None`: it is so already.
type Made = Result<Option<u64>, Stop>;

impl Clerk<'_, '_> {
    /// Makes one change, or says why not; then nothing of it is written.
    pub(super) fn step(&mut self, step: &Step) -> Result<Outcome, LedgerError> {
        let at = step.if_revision;
        let made = match &step.change {
            Change::PutDwelling(dwelling) => self.put_dwelling(dwelling, at),
            Change::AddHolder(id, facts) => self.add_holder(id, facts, at),
            Change::ChangeHolder(id, facts) => self.change_holder(id, facts, at),
            Change::RemoveHolder(id) => self.remove_holder(id, at),
            Change::IssueCard(number, facts) => self.issue_card(number, facts, at),
            Change::SetCardState(key, state) => {
                self.change_card(key, at, step.change.word(), |card| card.state = *state)
            }
            Change::RedateCard(key, validity) => match cards::backwards(validity) {
                Some(refusal) => Err(refusal.into()),
                None => self.change_card(key, at, step.change.word(), |card| {
                    card.valid_from = validity.from;
                    card.valid_until = validity.until;
                }),
            },
        };
        match made {
            Ok(Some(revision)) => Ok(Outcome::Done { revision }),
            Ok(None) => Ok(Outcome::Unchanged),
            Err(Stop::Refused(refusal)) => Ok(Outcome::Refused(refusal)),
            Err(Stop::Failed(err)) => Err(err),
        }
    }

    /// The dwelling, from the first look at it on as this transaction has it.
    pub(super) fn home(&mut self, id: &DwellingId) -> Result<&mut Home, StoreError> {
        if !self.homes.contains_key(id) {
            let home = Home::load(self.txn, id)?;
            self.homes.insert(id.clone(), home);
        }
        Ok(self.homes.get_mut(id).expect("it was just put there"))
    }

    /// Now, later for each change of this transaction: the order of a file is the order of arrival.
    fn stamp(&self) -> WallTime {
        let n_changes = self.seq - self.first_seq;
        self.now.at.plus(Duration::from_nanos(n_changes))
    }

    fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    fn put_dwelling(&mut self, dwelling: &Dwelling, at: Option<u64>) -> Made {
        let before = self.home(&dwelling.id)?.dwelling.clone();
        fresh(at, before.as_ref().map(|record| record.revision))?;
        if before
            .as_ref()
            .is_some_and(|record| record.dwelling == *dwelling)
        {
            return Ok(None);
        }
        self.check_dwelling(dwelling)?;
        let revision = self.next_seq();
        let after = DwellingRecord {
            dwelling: dwelling.clone(),
            revision,
        };
        self.txn.put(tables::DWELLINGS, &dwelling.id, &after)?;
        let home = self.home(&dwelling.id)?;
        home.dwelling = Some(after.clone());
        home.note(revision, Changed::Dwelling { before, after });
        Ok(Some(revision))
    }

    fn check_dwelling(&self, dwelling: &Dwelling) -> Result<(), Refusal> {
        let number = dwelling.number.as_str();
        let n_chars = number.chars().count();
        if n_chars == 0 || n_chars > NUMBER_CHARS_MAX || number.chars().any(char::is_control) {
            return Err(Refusal::Number);
        }
        let beds_fit = match (dwelling.tenure, dwelling.beds) {
            (Tenure::Dormitory, Some(beds)) => beds <= BEDS_MAX,
            (Tenure::Dormitory, None) => false,
            (Tenure::Rented | Tenure::OwnerOccupied, beds) => beds.is_none(),
        };
        if !beds_fit {
            return Err(Refusal::Beds);
        }
        if let (Some(from), Some(to)) = (dwelling.from, dwelling.to)
            && to < from
        {
            return Err(Refusal::DatesBackwards);
        }
        match &dwelling.place {
            Place::Stairwell(id) if !self.stairwells.contains_key(id) => {
                Err(Refusal::NoPlace(dwelling.place.clone()))
            }
            Place::Stairwell(_) | Place::Compound => Ok(()),
        }
    }

    /// The cardholder of that id, also a removed one.
    fn find_holder(&mut self, id: &CardholderId) -> Result<Option<CardholderRecord>, StoreError> {
        let Some(home) = self.txn.get(tables::HOLDER_HOMES, id)? else {
            return Ok(None);
        };
        Ok(self.home(&home)?.holders.get(id).cloned())
    }

    fn add_holder(&mut self, id: &CardholderId, facts: &HolderFacts, at: Option<u64>) -> Made {
        let before = self.find_holder(id)?;
        fresh(at, before.as_ref().map(|record| record.revision))?;
        if before
            .as_ref()
            .is_some_and(|record| record.removed_at.is_none())
        {
            return Err(Refusal::HolderThere(id.clone()).into());
        }
        self.put_holder(id, before, facts, "add-holder")
    }

    fn change_holder(&mut self, id: &CardholderId, facts: &HolderFacts, at: Option<u64>) -> Made {
        let before = self.find_holder(id)?;
        fresh(at, before.as_ref().map(|record| record.revision))?;
        let Some(before) = before.filter(|record| record.removed_at.is_none()) else {
            return Err(Refusal::NoHolder(id.clone()).into());
        };
        let hasher = &self.tools.hasher;
        let is_same = before.dwelling == facts.dwelling
            && before.relation == facts.relation
            && (before.from, before.to) == (facts.from, facts.to)
            && before.person == hasher.person_of(facts.person.as_ref(), id)
            && before.name_key == hasher.name_of(&facts.name);
        if is_same {
            return Ok(None);
        }
        self.put_holder(id, Some(before), facts, "change-holder")
    }

    /// A new cardholder, one who comes back, one with other facts, or one who moves.
    fn put_holder(
        &mut self,
        id: &CardholderId,
        before: Option<CardholderRecord>,
        facts: &HolderFacts,
        asked: &'static str,
    ) -> Made {
        if let (Some(from), Some(to)) = (facts.from, facts.to)
            && to < from
        {
            return Err(Refusal::DatesBackwards.into());
        }
        let to_home = self.home(&facts.dwelling)?;
        if to_home.dwelling.is_none() {
            return Err(Refusal::NoDwelling(facts.dwelling.clone()).into());
        }
        if to_home.holders.len() >= HOME_ROWS_MAX && !to_home.holders.contains_key(id) {
            return Err(Refusal::Crowded.into());
        }
        let moves = before
            .as_ref()
            .is_some_and(|b| b.dwelling != facts.dwelling);
        let stays = before.as_ref().filter(|b| b.removed_at.is_none() && !moves);
        let added_at = stays.map_or(self.stamp(), |record| record.added_at);
        let revision = self.seq + 1;
        let mut after = CardholderRecord {
            id: id.clone(),
            dwelling: facts.dwelling.clone(),
            person: self.tools.hasher.person_of(facts.person.as_ref(), id),
            name_key: self.tools.hasher.name_of(&facts.name),
            relation: facts.relation.clone(),
            from: facts.from,
            to: facts.to,
            added_at,
            removed_at: None,
            personal: self.tools.vault.seal_person(
                (id, revision),
                &facts.name,
                facts.person.as_ref(),
            )?,
            revision,
        };
        let cards = match &before {
            Some(before) => self.home(&before.dwelling)?.cards_of(id),
            None => BTreeMap::new(),
        };
        let to_home = self.home(&facts.dwelling)?;
        let with = to_home.occupants_with(&after, &cards);
        self.check_limit(
            &facts.dwelling,
            &with,
            (asked, before.is_some().then_some(id)),
        )?;
        after.revision = self.next_seq();
        if let Some(before) = before.as_ref().filter(|_| moves) {
            self.move_out(before, &after)?;
            self.put_holder_rows(Some(before.clone()), after)?;
            self.move_cards_in(id, cards, &facts.dwelling)?;
        } else {
            self.put_holder_rows(before, after)?;
        }
        Ok(Some(revision))
    }

    fn put_holder_rows(
        &mut self,
        before: Option<CardholderRecord>,
        after: CardholderRecord,
    ) -> Result<(), Stop> {
        let (id, dwelling) = (after.id.clone(), after.dwelling.clone());
        self.txn
            .put(tables::HOLDERS, &(dwelling.clone(), id.clone()), &after)?;
        if before
            .as_ref()
            .is_none_or(|before| before.dwelling != dwelling)
        {
            self.txn.put(tables::HOLDER_HOMES, &id, &dwelling)?;
        }
        let home = self.home(&dwelling)?;
        home.holders.insert(id, after.clone());
        home.note(after.revision, Changed::Cardholder { before, after });
        Ok(())
    }

    /// Takes one who moves, and the cards, out of the old dwelling.
    fn move_out(
        &mut self,
        before: &CardholderRecord,
        after: &CardholderRecord,
    ) -> Result<(), Stop> {
        let (id, old) = (&before.id, &before.dwelling);
        self.txn.delete(tables::HOLDERS, &(old.clone(), id.clone()));
        let home = self.home(old)?;
        home.holders.remove(id);
        let keys: Vec<CardKey> = home.cards_of(id).into_keys().collect();
        for key in &keys {
            home.cards.remove(key);
        }
        home.note(
            after.revision,
            Changed::Cardholder {
                before: Some(before.clone()),
                after: after.clone(),
            },
        );
        for key in keys {
            self.txn.delete(tables::CARDS, &(old.clone(), key));
        }
        Ok(())
    }

    fn move_cards_in(
        &mut self,
        id: &CardholderId,
        cards: BTreeMap<CardKey, CardRecord>,
        to: &DwellingId,
    ) -> Result<(), Stop> {
        for (key, before) in cards {
            debug_assert_eq!(before.holder, *id, "these are the cards of who moves");
            let number = self.tools.vault.number_of(&key, &before)?;
            let revision = self.next_seq();
            let after = CardRecord {
                number: self.tools.vault.seal_number((&key, revision), &number)?,
                revision,
                ..before.clone()
            };
            self.put_card_rows(key, Some((to.clone(), before)), after, to)?;
            self.txn.put(tables::CARD_HOMES, &key, to)?;
        }
        Ok(())
    }

    fn remove_holder(&mut self, id: &CardholderId, at: Option<u64>) -> Made {
        let before = self.find_holder(id)?;
        fresh(at, before.as_ref().map(|record| record.revision))?;
        let Some(before) = before.filter(|record| record.removed_at.is_none()) else {
            return Err(Refusal::NoHolder(id.clone()).into());
        };
        let (name, mark) = self.tools.vault.person_of(&before)?;
        let revision = self.next_seq();
        let after = CardholderRecord {
            removed_at: Some(self.now.at),
            personal: self
                .tools
                .vault
                .seal_person((id, revision), &name, mark.as_ref())?,
            revision,
            ..before.clone()
        };
        let cards = self.home(&before.dwelling)?.cards_of(id);
        self.put_holder_rows(Some(before), after)?;
        for (key, card) in cards {
            if card.state != CardState::Revoked {
                self.change_card(&key, None, "revoke-card", |card| {
                    card.state = CardState::Revoked;
                })?;
            }
        }
        Ok(Some(revision))
    }

    /// Refuses what would put more persons into the dwelling than may be.
    fn check_limit(
        &mut self,
        dwelling: &DwellingId,
        with: &[Occupant],
        (asked, holder): (&'static str, Option<&CardholderId>),
    ) -> Result<(), Stop> {
        if self.beyond_limit == BeyondLimit::Admit {
            return Ok(());
        }
        let home = self.home(dwelling)?;
        let without = home.occupants();
        let Some(record) = home.dwelling.clone() else {
            return Err(Refusal::NoDwelling(dwelling.clone()).into());
        };
        let zone = &self.tools.zone;
        let excess = excess_of(
            &self.policy,
            &record.dwelling,
            (&without, with),
            self.now,
            zone,
        );
        let Some(excess) = excess else {
            return Ok(());
        };
        let refusal = LimitRefusal {
            asked,
            holder: holder.cloned(),
            day: excess.moment.day,
            reckoning: excess.reckoning.clone(),
        };
        self.refused.entry(dwelling.clone()).or_insert(refusal);
        Err(Refusal::LimitReached {
            dwelling: dwelling.clone(),
            day: excess.moment.day,
            reckoning: Box::new(excess.reckoning),
        }
        .into())
    }
}

/// Is what is to be changed as who asks believes?
fn fresh(expected: Option<u64>, found: Option<u64>) -> Result<(), Refusal> {
    let found = found.unwrap_or(0);
    match expected {
        Some(expected) if expected != found => Err(Refusal::Stale { found }),
        Some(_) | None => Ok(()),
    }
}

//! The ledger: the one authority on who holds cards for which dwelling, in the store.
//!
//! [`act`] runs a transaction, in which a [`clerk`] makes changes of [`home`]s under the limit; once it
//! is durable the [`book`] in memory follows on the store's own thread, so that decisions, lists and
//! doors see the commits in their order and none is missed. Personal fields go through the [`vault`].

mod act;
mod book;
mod change;
mod clerk;
mod history;
mod home;
mod key_file;
mod open;
mod snapshot;
mod vault;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::info;

pub use book::{Book, HeldCard, Household, PlaceList, Resident};
pub use change::{
    Applied, Batch, BeyondLimit, CardFacts, Change, HolderFacts, Mode, Outcome, Refusal, STEPS_MAX,
    Step, Validity, WHY_CHARS_MAX,
};
pub use clerk::LedgerError;
pub use history::{DwellingThen, HistoryItem};
pub use key_file::{LedgerKeyError, LedgerKeys, old_file};
pub use open::{OpenError, seal_anew};
pub(super) use open::{fits, is_in_use};
pub use snapshot::{KnownCard, KnownHolder, Snapshot};
pub use vault::VaultError;

use crate::domain::access::AtDoor;
use crate::domain::card::CardKey;
use crate::domain::dwelling::Day;
use crate::domain::id::{CardholderId, DwellingId, StairwellId};
use crate::domain::ledger::{CardRecord, CardholderRecord};
use crate::domain::place::{Place, Stairwell};
use crate::domain::reckoning::{LimitPolicy, Moment};
use crate::outbox::Outbox;
use crate::store::{Store, Txn, tables};
use crate::time::{Clock, WallTime};
use act::{Effects, Sight};
use clerk::Tools;

/// Steps of one transaction where a batch may be cut: swipes get their turn between two.
const CHUNK_STEPS: usize = 1_000;
/// Dwellings looked at again in one transaction.
const LOOK_AGAIN_MAX: usize = 500;

/// What the ledger stands on.
#[derive(Clone, Debug)]
pub struct LedgerBase {
    /// Where it is kept.
    pub store: Store,
    /// Who sends its alerts.
    pub outbox: Outbox,
    /// The time.
    pub clock: Clock,
}

/// What may change while it runs.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) stairwells: BTreeMap<StairwellId, Stairwell>,
    pub(super) limit: LimitPolicy,
    pub(super) at_door: AtDoor,
}

/// The ledger and its book. Shared by who follows it on the store's thread.
#[derive(Debug)]
pub(super) struct Ledger {
    base: LedgerBase,
    tools: Tools,
    rules: ArcSwap<Rules>,
    book: ArcSwap<Book>,
    /// Places whose doors may need another list.
    changed: Mutex<BTreeSet<Place>>,
    is_changed: Notify,
}

impl Ledger {
    pub(super) fn book(&self) -> Arc<Book> {
        self.book.load_full()
    }

    pub(super) fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    pub(super) fn tools(&self) -> &Tools {
        &self.tools
    }

    pub(super) fn base(&self) -> &LedgerBase {
        &self.base
    }

    /// Applies a batch; see [`super::Roster::apply`].
    pub(super) async fn apply(self: &Arc<Self>, mut batch: Batch) -> Result<Applied, LedgerError> {
        check(&batch)?;
        if batch.mode == Mode::AllOrNothing || batch.steps.len() <= CHUNK_STEPS {
            return self.apply_at_once(batch).await;
        }
        let mut whole = Applied {
            outcomes: Vec::with_capacity(batch.steps.len()),
            is_kept: true,
            is_stale: false,
            seq: 0,
        };
        let mut steps = std::mem::take(&mut batch.steps).into_iter();
        loop {
            let part = Batch {
                steps: steps.by_ref().take(CHUNK_STEPS).collect(),
                ..batch.clone()
            };
            if part.steps.is_empty() {
                return Ok(whole);
            }
            let applied = self.apply_at_once(part).await?;
            if applied.is_stale {
                return Ok(applied);
            }
            whole.outcomes.extend(applied.outcomes);
            whole.seq = applied.seq;
            // From here on it is we who change it.
            batch.if_seq = None;
        }
    }

    async fn apply_at_once(self: &Arc<Self>, batch: Batch) -> Result<Applied, LedgerError> {
        let (worker, follower) = (Arc::clone(self), Arc::clone(self));
        let by = batch.by.name.clone();
        let work = move |txn: &mut Txn<'_>| {
            Ok(worker.transact(txn, |txn, sight| act::run(txn, sight, &batch)))
        };
        let then = move |made: &Result<(Applied, Effects), LedgerError>| {
            if let Ok((_, effects)) = made {
                follower.follow(effects, BTreeSet::new());
            }
        };
        let (applied, _) = self.base.store.write_then(work, then).await??;
        let n_of = |wanted: fn(&Outcome) -> bool| {
            applied.outcomes.iter().filter(|one| wanted(one)).count()
        };
        info!(
            by = %by,
            n_done = n_of(|one| matches!(one, Outcome::Done { .. })),
            n_refused = n_of(|one| matches!(one, Outcome::Refused(_))),
            is_kept = applied.is_kept,
            seq = applied.seq,
            "ledger asked for changes"
        );
        Ok(applied)
    }

    /// What a batch would meet, without writing anything.
    pub(super) fn rehearse(&self, batch: &Batch) -> Result<Applied, LedgerError> {
        check(batch)?;
        let rehearsed = self
            .base
            .store
            .rehearse(|txn| Ok(self.transact(txn, |txn, sight| act::run(txn, sight, batch))));
        let (mut applied, _) = rehearsed??;
        applied.is_kept = false;
        Ok(applied)
    }

    /// Looks again at the dwellings at which something has begun or ended by now; returns how many.
    pub(super) async fn look_at_due(self: &Arc<Self>) -> Result<usize, LedgerError> {
        let mut n_looked = 0;
        loop {
            let due = self.book().due(self.base.clock.now(), LOOK_AGAIN_MAX);
            if due.is_empty() {
                return Ok(n_looked);
            }
            n_looked += due.len();
            self.look_again(due, true).await?;
        }
    }

    /// Looks again at these dwellings. `for_lists`: their places' lists depend on the time.
    async fn look_again(
        self: &Arc<Self>,
        dwellings: Vec<DwellingId>,
        for_lists: bool,
    ) -> Result<(), LedgerError> {
        let (worker, follower) = (Arc::clone(self), Arc::clone(self));
        let work = move |txn: &mut Txn<'_>| {
            Ok(worker.transact(txn, |txn, sight| act::look_again(txn, sight, &dwellings)))
        };
        let then = move |made: &Result<Effects, LedgerError>| {
            if let Ok(effects) = made {
                let places = if for_lists {
                    act::places_of(&effects.households)
                } else {
                    BTreeSet::new()
                };
                follower.follow(effects, places);
            }
        };
        self.base.store.write_then(work, then).await??;
        Ok(())
    }

    /// Takes in changed rules. Another limit becomes the next version, from now on; every dwelling is
    /// then looked at again.
    pub(super) async fn set_rules(self: &Arc<Self>, rules: Rules) -> Result<(), LedgerError> {
        self.rules.store(Arc::new(rules));
        let is_new = self.adopt_rules().await?;
        if !is_new {
            return Ok(());
        }
        let all: Vec<DwellingId> = {
            let book = self.book();
            let households = book.households(None);
            households.map(|home| home.dwelling.id.clone()).collect()
        };
        for some in all.chunks(LOOK_AGAIN_MAX) {
            self.look_again(some.to_vec(), false).await?;
        }
        Ok(())
    }

    /// Returns whether another limit is in force now.
    async fn adopt_rules(self: &Arc<Self>) -> Result<bool, LedgerError> {
        let rules = self.rules();
        let (clock, limit) = (self.base.clock.clone(), rules.limit.clone());
        let follower = Arc::clone(self);
        let work = move |txn: &mut Txn<'_>| act::adopt_policy(txn, &limit, clock.now());
        let then = move |(policy, _): &(LimitPolicy, bool)| {
            let mut book = Book::clone(&follower.book.load());
            book.set_policy(policy.clone());
            let places = book.set_at_door(rules.at_door);
            follower.book.store(Arc::new(book));
            follower.mark(places);
        };
        let (policy, is_new) = self.base.store.write_then(work, then).await?;
        if is_new {
            info!(version = policy.version, "another limit is in force");
        }
        Ok(is_new)
    }

    pub(super) fn snapshot(&self) -> Result<Snapshot, LedgerError> {
        snapshot::read(&self.base.store, &self.tools)
    }

    pub(super) fn dwelling(
        &self,
        id: &DwellingId,
        on: Option<Day>,
    ) -> Result<Option<DwellingThen>, LedgerError> {
        let (store, now) = (&self.base.store, Moment::of(self.now(), &self.tools.zone));
        match on {
            Some(day) if day < now.day => history::then(store, &self.tools, id, day, now.at),
            Some(_) | None => history::now(store, self.book().policy(), id, now),
        }
    }

    pub(super) fn history(
        &self,
        id: &DwellingId,
        before: Option<u64>,
        max: usize,
    ) -> Result<Vec<HistoryItem>, LedgerError> {
        history::items(&self.base.store, &self.tools, id, before, max)
    }

    pub(super) fn holder(
        &self,
        id: &CardholderId,
    ) -> Result<Option<CardholderRecord>, LedgerError> {
        let store = &self.base.store;
        let Some(dwelling) = store.get(tables::HOLDER_HOMES, id)? else {
            return Ok(None);
        };
        Ok(store.get(tables::HOLDERS, &(dwelling, id.clone()))?)
    }

    pub(super) fn card(
        &self,
        key: &CardKey,
    ) -> Result<Option<(DwellingId, CardRecord)>, LedgerError> {
        let store = &self.base.store;
        let Some(dwelling) = store.get(tables::CARD_HOMES, key)? else {
            return Ok(None);
        };
        let card = store.get(tables::CARDS, &(dwelling.clone(), *key))?;
        Ok(card.map(|card| (dwelling, card)))
    }

    /// Says that the doors at `places` may need another list.
    pub(super) fn mark(&self, places: BTreeSet<Place>) {
        if !places.is_empty() {
            self.changed.lock().extend(places);
            self.is_changed.notify_one();
        }
    }

    /// Waits until lists may have changed.
    pub(super) async fn changed(&self) {
        self.is_changed.notified().await;
    }

    pub(super) fn take_changed(&self) -> BTreeSet<Place> {
        std::mem::take(&mut *self.changed.lock())
    }

    fn transact<T>(
        &self,
        txn: &mut Txn<'_>,
        work: impl FnOnce(&mut Txn<'_>, Sight<'_>) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let (rules, raise) = (self.rules(), self.base.outbox.raise_policy());
        let sight = Sight {
            tools: &self.tools,
            stairwells: &rules.stairwells,
            raise: &raise,
            now: self.now(),
        };
        let made = work(txn, sight);
        if made.is_err() {
            txn.discard();
        }
        made
    }

    fn now(&self) -> WallTime {
        self.base.clock.now()
    }

    /// The book takes in what is durable. Called on the store's thread only, in the order of commits.
    fn follow(&self, effects: &Effects, mut places: BTreeSet<Place>) {
        let mut book = Book::clone(&self.book.load());
        places.extend(book.follow(&effects.households, effects.seq));
        self.book.store(Arc::new(book));
        self.mark(places);
        if effects.has_alerts {
            self.base.outbox.wake();
        }
    }
}

fn check(batch: &Batch) -> Result<(), LedgerError> {
    let n_steps = batch.steps.len();
    if n_steps > STEPS_MAX {
        return Err(LedgerError::TooManySteps { n_steps });
    }
    let why = batch.why.as_str();
    if why.chars().count() > WHY_CHARS_MAX || why.chars().any(char::is_control) {
        return Err(LedgerError::Why);
    }
    Ok(())
}

//! Who may enter: the ledger of dwellings, cardholders and cards, the view that decisions are made from,
//! and the doors' card lists.
//!
//! The ledger in the store is the one authority. Everything else follows it: the view in memory as each
//! commit becomes durable, the doors' lists within a second. A roster file is taken over once, into an
//! empty ledger. Not here: sending lists to doors (`gateway`), spreadsheets (`sheet`).

mod ledger;
mod problem;
pub mod sheet;
mod site_key;
mod take_over;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

pub use ledger::{
    Applied, Batch, BeyondLimit, Book, CardFacts, Change, DwellingThen, HeldCard, HistoryItem,
    HolderFacts, Household, KnownCard, KnownHolder, LedgerBase, LedgerError, LedgerKeyError,
    LedgerKeys, Mode, OpenError, Outcome, PlaceList, Refusal, Resident, STEPS_MAX, Snapshot, Step,
    Validity, VaultError, WHY_CHARS_MAX, old_file, seal_anew,
};
pub use problem::RosterError;
pub use site_key::{SiteKeyError, open_site_key};
pub use take_over::{FileReport, check_file};

use crate::domain::access::{AccessView, AtDoor};
use crate::domain::card::{CardHasher, CardKey};
use crate::domain::dwelling::Day;
use crate::domain::id::{CardholderId, DwellingId, StairwellId};
use crate::domain::ledger::{CardRecord, CardholderRecord};
use crate::domain::person::{PersonMark, PersonName};
use crate::domain::place::{Place, Stairwell};
use crate::domain::reckoning::{LimitPolicy, Moment};
use crate::time::{TimeZone, WallTime};
use ledger::{Ledger, Rules};

/// By which rules the roster works.
#[derive(Clone, Debug)]
pub struct RosterOptions {
    /// An XLSX or CSV file that is taken over into an empty ledger; `None`: the ledger begins empty.
    pub file: Option<PathBuf>,
    /// The stairwells there are; a dwelling elsewhere is refused.
    pub stairwells: BTreeMap<StairwellId, Stairwell>,
    /// In which dates are meant.
    pub time_zone: TimeZone,
    /// How many cardholders a dwelling may have; its version is the store's to say.
    pub limit: LimitPolicy,
    /// What those beyond the limit meet at the door.
    pub at_door: AtDoor,
    /// The site's key for card numbers.
    pub hasher: CardHasher,
    /// The file of the ledger's key.
    pub key_file: PathBuf,
}

impl RosterOptions {
    fn rules(&self) -> Rules {
        Rules {
            stairwells: self.stairwells.clone(),
            limit: self.limit.clone(),
            at_door: self.at_door,
        }
    }
}

/// Why the roster cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum RosterOpenError {
    /// The roster file cannot be taken over.
    #[error("read the roster file")]
    File(#[source] RosterError),
    /// The ledger cannot be opened.
    #[error("open the ledger")]
    Open(#[source] OpenError),
}

impl<E: Into<OpenError>> From<E> for RosterOpenError {
    fn from(err: E) -> RosterOpenError {
        RosterOpenError::Open(err.into())
    }
}

/// The roster. Cheap to clone, and cheap to read from any task.
#[derive(Clone, Debug)]
pub struct Roster(Arc<Ledger>);

impl Roster {
    /// Opens the ledger, reads it, and takes the roster file over when the ledger is empty.
    ///
    /// # Errors
    /// [`RosterOpenError::File`] with every row that cannot be used; nothing of it is kept then.
    pub async fn open(base: LedgerBase, options: RosterOptions) -> Result<Roster, RosterOpenError> {
        let is_in_use = ledger::is_in_use(&base.store)?;
        let keys = LedgerKeys::open(&options.key_file, is_in_use).map_err(OpenError::Key)?;
        if !ledger::fits(&base.store, &keys)? {
            let file = options.key_file.clone();
            return Err(OpenError::Key(LedgerKeyError::Wrong { file }).into());
        }
        Roster::open_with(base, options, &keys).await
    }

    /// The same with keys at hand instead of `options.key_file`.
    ///
    /// # Errors
    /// As [`Roster::open`].
    pub async fn open_with(
        base: LedgerBase,
        options: RosterOptions,
        keys: &LedgerKeys,
    ) -> Result<Roster, RosterOpenError> {
        let names = (options.time_zone.clone(), options.hasher.clone());
        let opened = Ledger::open(base, options.rules(), names, keys).await?;
        let roster = Roster(opened);
        if roster.book().seq() == 0 && options.file.is_some() {
            take_over::take_over(&roster, &options).await?;
        }
        Ok(roster)
    }

    /// Other stairwells or rules. Another limit is the next version of the rule, from now on.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be kept.
    pub async fn set_options(&self, options: &RosterOptions) -> Result<(), LedgerError> {
        self.0.set_rules(options.rules()).await
    }

    /// Applies changes: checked and written in one transaction, with their history and the alerts they
    /// raise; durable, and in force at every door that asks us, when this returns. A batch of
    /// [`Mode::SkipRefused`] of over 1,000 steps is cut into several transactions.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be done at all; refusals are in the result.
    ///
    /// # Cancel safety
    /// When dropped, changes may or may not be made; the view follows them either way.
    pub async fn apply(&self, batch: Batch) -> Result<Applied, LedgerError> {
        self.0.apply(batch).await
    }

    /// What [`Roster::apply`] would meet, without writing anything. Blocks.
    ///
    /// # Errors
    /// As [`Roster::apply`].
    pub fn rehearse(&self, batch: &Batch) -> Result<Applied, LedgerError> {
        self.0.rehearse(batch)
    }

    /// Everything, opened, to plan on or to export. Blocks.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot, LedgerError> {
        self.0.snapshot()
    }

    /// Everyone who may enter, for decisions.
    pub fn view(&self) -> Arc<AccessView> {
        Arc::clone(self.book().view())
    }

    /// The ledger in memory, without names.
    pub fn book(&self) -> Arc<Book> {
        self.0.book()
    }

    /// Now, with the compound's day.
    pub fn moment(&self) -> Moment {
        Moment::of(self.0.base().clock.now(), &self.0.tools().zone)
    }

    /// In which dates are meant.
    pub fn time_zone(&self) -> &TimeZone {
        &self.0.tools().zone
    }

    /// The stairwells there are.
    pub fn stairwells(&self) -> Vec<Stairwell> {
        self.0.rules().stairwells.values().cloned().collect()
    }

    /// One of the stairwells.
    pub fn stairwell(&self, id: &StairwellId) -> Option<Stairwell> {
        self.0.rules().stairwells.get(id).cloned()
    }

    /// The site's key for card numbers.
    pub fn card_hasher(&self) -> &CardHasher {
        &self.0.tools().hasher
    }

    /// How a dwelling stands, or stood at the end of `on`. Blocks.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be read.
    pub fn dwelling(
        &self,
        id: &DwellingId,
        on: Option<Day>,
    ) -> Result<Option<DwellingThen>, LedgerError> {
        self.0.dwelling(id, on)
    }

    /// The changes of a dwelling, newest first, from before the number `before` on: those of at most
    /// `max` acts. Blocks.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be read.
    pub fn history(
        &self,
        id: &DwellingId,
        before: Option<u64>,
        max: usize,
    ) -> Result<Vec<HistoryItem>, LedgerError> {
        self.0.history(id, before, max)
    }

    /// A cardholder, also a removed one. Blocks.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be read.
    pub fn holder(&self, id: &CardholderId) -> Result<Option<CardholderRecord>, LedgerError> {
        self.0.holder(id)
    }

    /// A card with its dwelling. Blocks.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be read.
    pub fn card(&self, key: &CardKey) -> Result<Option<(DwellingId, CardRecord)>, LedgerError> {
        self.0.card(key)
    }

    /// The name and the mark of a cardholder: for who may see them.
    ///
    /// # Errors
    /// [`LedgerError::Vault`] when they cannot be opened.
    pub fn person_of(
        &self,
        record: &CardholderRecord,
    ) -> Result<(PersonName, Option<PersonMark>), LedgerError> {
        Ok(self.0.tools().vault.person_of(record)?)
    }

    /// The last digits of a card's number: `…` and four digits at most.
    ///
    /// # Errors
    /// [`LedgerError::Vault`] when the number cannot be opened.
    pub fn tail_of(&self, key: &CardKey, record: &CardRecord) -> Result<String, LedgerError> {
        Ok(self.0.tools().vault.number_of(key, record)?.tail())
    }

    /// The cards that doors at each of `places` let in by themselves now.
    pub fn lists(&self, places: &BTreeSet<Place>) -> BTreeMap<Place, PlaceList> {
        self.book().lists(places, self.0.base().clock.now())
    }

    /// Waits until doors may need another list.
    ///
    /// # Cancel safety
    /// Safe: what was told stays told.
    pub async fn lists_changed(&self) {
        self.0.changed().await;
    }

    /// The places whose doors may need another list, since the last call.
    pub fn take_changed_places(&self) -> BTreeSet<Place> {
        self.0.take_changed()
    }

    /// Says that the doors at `places` need their lists, because they are new.
    pub fn mark_places(&self, places: BTreeSet<Place>) {
        self.0.mark(places);
    }

    /// Looks at what has begun or ended by itself: tenancies, validities. Lists and alerts follow; the
    /// reckoning and decisions never wait for this. Returns the number of dwellings looked at.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be kept.
    pub async fn look_at_due(&self) -> Result<usize, LedgerError> {
        self.0.look_at_due().await
    }

    /// When something begins or ends next.
    pub fn next_due(&self) -> Option<WallTime> {
        self.book().next_due()
    }
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

//! Opening the ledger: keys, the rule, the book, and what happened while nobody looked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::info;

use super::act::{SEQ, condition_key};
use super::book::{Book, Household};
use super::clerk::{LedgerError, Tools};
use super::home::Home;
use super::key_file::{LedgerKeyError, LedgerKeys};
use super::vault::{Place as SealedIn, Vault, VaultError};
use super::{LOOK_AGAIN_MAX, Ledger, LedgerBase, Rules};
use crate::domain::alert::AlertKind;
use crate::domain::card::CardHasher;
use crate::domain::id::DwellingId;
use crate::domain::ledger::{CardRecord, CardholderRecord, Changed, HistoryRecord, Sealed};
use crate::domain::reckoning::{LimitPolicy, Moment};
use crate::store::{Key, Record, Store, StoreError, Table, Txn, tables};
use crate::supervise::{BlockingError, blocking};
use crate::time::TimeZone;

/// Under which name `META` has the id of the key that everything is sealed with.
const KEY_ID: &str = "ledger-key";
/// Records sealed anew in one transaction.
const RESEAL_ROWS: usize = 500;

/// Why the ledger cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its key.
    #[error("open the ledger's key")]
    Key(#[source] LedgerKeyError),
    /// Its records.
    #[error("read the ledger")]
    Ledger(#[source] LedgerError),
    /// The work could not be done.
    #[error("read the ledger")]
    Blocking(#[source] BlockingError),
}

impl From<LedgerError> for OpenError {
    fn from(err: LedgerError) -> OpenError {
        OpenError::Ledger(err)
    }
}

impl From<StoreError> for OpenError {
    fn from(err: StoreError) -> OpenError {
        OpenError::Ledger(err.into())
    }
}

/// Are there sealed records?
pub(in crate::roster) fn is_in_use(store: &Store) -> Result<bool, StoreError> {
    Ok(store.get(tables::META, &KEY_ID.to_owned())?.is_some())
}

impl Ledger {
    /// Opens it. Everything sealed with the old key is sealed anew first, if there is an old one.
    pub(in crate::roster) async fn open(
        base: LedgerBase,
        rules: Rules,
        (zone, hasher): (TimeZone, CardHasher),
        keys: &LedgerKeys,
    ) -> Result<Arc<Ledger>, OpenError> {
        let vault = Vault::new(keys);
        let (vault, _) = take_up_key(&base.store, vault).await?;
        let ledger = Arc::new(Ledger {
            tools: Tools {
                vault,
                hasher,
                zone,
            },
            book: ArcSwap::from_pointee(Book::new(rules.limit.clone(), rules.at_door, 0)),
            rules: ArcSwap::from_pointee(rules),
            base,
            changed: Mutex::new(BTreeSet::new()),
            is_changed: Notify::new(),
        });
        ledger.adopt_rules().await?;
        let reader = Arc::clone(&ledger);
        let read = blocking("read the ledger", move || reader.read());
        let unlike = read.await.map_err(OpenError::Blocking)??;
        for some in unlike.chunks(LOOK_AGAIN_MAX) {
            ledger.look_again(some.to_vec(), false).await?;
        }
        let book = ledger.book();
        info!(
            n_dwellings = book.n_dwellings(),
            n_cards = book.n_cards(),
            n_looked_at = unlike.len(),
            rule = book.policy().version,
            "ledger open"
        );
        Ok(ledger)
    }

    /// Reads all into the book; returns the dwellings whose alert does not stand as it should.
    fn read(&self) -> Result<Vec<DwellingId>, LedgerError> {
        let store = &self.base.store;
        let mut homes: BTreeMap<DwellingId, Home> = BTreeMap::new();
        for row in store.scan(tables::DWELLINGS, &()) {
            let (id, record) = row?;
            let home = Home {
                id: id.clone(),
                dwelling: Some(record),
                holders: BTreeMap::new(),
                cards: BTreeMap::new(),
                changes: Vec::new(),
            };
            homes.insert(id, home);
        }
        for row in store.scan(tables::HOLDERS, &()) {
            let ((dwelling, id), record) = row?;
            if let Some(home) = homes.get_mut(&dwelling) {
                home.holders.insert(id, record);
            }
        }
        for row in store.scan(tables::CARDS, &()) {
            let ((dwelling, key), record) = row?;
            if let Some(home) = homes.get_mut(&dwelling) {
                home.cards.insert(key, record);
            }
        }
        let seq = store.get(tables::META, &SEQ.to_owned())?.unwrap_or(0);
        let mut book = Book::clone(&self.book.load());
        let households = self.households(&homes, book.policy())?;
        book.follow(&households, seq);
        let now = Moment::of(self.now(), &self.tools.zone);
        let mut unlike = Vec::new();
        let stands = standing(store)?;
        for household in &households {
            let id = &household.dwelling.id;
            let is_over = household.reckon(book.policy(), now).is_over();
            if is_over != stands.contains(&condition_key(id)) {
                unlike.push(id.clone());
            }
        }
        self.book.store(Arc::new(book));
        Ok(unlike)
    }

    fn households(
        &self,
        homes: &BTreeMap<DwellingId, Home>,
        policy: &LimitPolicy,
    ) -> Result<Vec<Arc<Household>>, VaultError> {
        let (vault, zone) = (&self.tools.vault, &self.tools.zone);
        let now = Moment::of(self.now(), zone);
        let mut households = Vec::with_capacity(homes.len());
        for home in homes.values() {
            let household = Household::of(home, vault, zone, policy, now)?;
            households.extend(household.map(Arc::new));
        }
        Ok(households)
    }
}

/// The keys of the dwellings' alerts that stand.
fn standing(store: &Store) -> Result<BTreeSet<String>, StoreError> {
    let mut keys = BTreeSet::new();
    let prefix = format!("{}/", AlertKind::OverLimit.as_str());
    for row in store.scan(tables::CONDITIONS, &()) {
        let (key, _) = row?;
        if key.starts_with(&prefix) {
            keys.insert(key);
        }
    }
    Ok(keys)
}

/// Can what is sealed be opened with `keys`?
pub(in crate::roster) fn fits(store: &Store, keys: &LedgerKeys) -> Result<bool, StoreError> {
    let sealed_with = store.get(tables::META, &KEY_ID.to_owned())?;
    let vault = Vault::new(keys);
    Ok(sealed_with.is_none_or(|key_id| vault.has_key(key_id)))
}

/// Seals everything that is still sealed with the old key anew with the current one; returns how many
/// records that were. May be interrupted at any point, and then finishes at the next start.
///
/// # Errors
/// [`OpenError`] when the store or a record cannot be read or written.
pub async fn seal_anew(store: &Store, keys: &LedgerKeys) -> Result<usize, OpenError> {
    take_up_key(store, Vault::new(keys)).await.map(|(_, n)| n)
}

/// Makes sure that everything is sealed with the current key.
async fn take_up_key(store: &Store, vault: Vault) -> Result<(Vault, usize), OpenError> {
    let current = vault.key_id();
    let sealed_with = store.get(tables::META, &KEY_ID.to_owned())?;
    if sealed_with == Some(current) {
        return Ok((vault, 0));
    }
    let vault = Arc::new(vault);
    let mut n_sealed = 0;
    if let Some(old) = sealed_with {
        if !vault.has_key(old) {
            return Err(LedgerError::Vault(VaultError::KeyGone { key_id: old }).into());
        }
        n_sealed = reseal_all(store, &vault).await?;
        info!(n_sealed, "ledger sealed with the new key");
    }
    store
        .write(move |txn| txn.put(tables::META, &KEY_ID.to_owned(), &current))
        .await?;
    let vault = Arc::into_inner(vault).expect("whoever sealed anew has finished");
    Ok((vault, n_sealed))
}

/// A record with sealed fields.
trait HasSealed<K>: Record + Clone + Send + 'static {
    /// Its sealed fields and what they belong to.
    fn sealed<'r>(&'r mut self, key: &'r K) -> Vec<(SealedIn<'r>, &'r mut Sealed)>;
}

impl HasSealed<(DwellingId, crate::domain::id::CardholderId)> for CardholderRecord {
    fn sealed<'r>(
        &'r mut self,
        _key: &'r (DwellingId, crate::domain::id::CardholderId),
    ) -> Vec<(SealedIn<'r>, &'r mut Sealed)> {
        vec![(
            SealedIn::Holder(&self.id, self.revision),
            &mut self.personal,
        )]
    }
}

impl HasSealed<(DwellingId, crate::domain::card::CardKey)> for CardRecord {
    fn sealed<'r>(
        &'r mut self,
        key: &'r (DwellingId, crate::domain::card::CardKey),
    ) -> Vec<(SealedIn<'r>, &'r mut Sealed)> {
        vec![(SealedIn::Card(&key.1, self.revision), &mut self.number)]
    }
}

impl HasSealed<(DwellingId, u64)> for HistoryRecord {
    fn sealed<'r>(&'r mut self, key: &'r (DwellingId, u64)) -> Vec<(SealedIn<'r>, &'r mut Sealed)> {
        let mut fields = Vec::new();
        if let Some(why) = &mut self.why {
            fields.push((SealedIn::Why(&key.0, key.1), why));
        }
        for change in &mut self.changes {
            match &mut change.what {
                Changed::Dwelling { .. } | Changed::Refused { .. } => {}
                Changed::Cardholder { before, after } => {
                    for record in before.iter_mut().chain([after]) {
                        let place = SealedIn::Holder(&record.id, record.revision);
                        fields.push((place, &mut record.personal));
                    }
                }
                Changed::Card { key, before, after } => {
                    for record in before.iter_mut().chain([after]) {
                        let place = SealedIn::Card(key, record.revision);
                        fields.push((place, &mut record.number));
                    }
                }
            }
        }
        fields
    }
}

async fn reseal_all(store: &Store, vault: &Arc<Vault>) -> Result<usize, LedgerError> {
    let n_holders = reseal(store, vault, tables::HOLDERS).await?;
    let n_cards = reseal(store, vault, tables::CARDS).await?;
    let n_records = reseal(store, vault, tables::HISTORY).await?;
    Ok(n_holders + n_cards + n_records)
}

/// Seals the fields of a table anew, in pieces; what is sealed with the current key already is left, so
/// it may be interrupted at any point.
async fn reseal<K, V>(
    store: &Store,
    vault: &Arc<Vault>,
    table: Table<K, V>,
) -> Result<usize, LedgerError>
where
    K: Key + Clone + Send + 'static,
    V: HasSealed<K>,
{
    let mut n_sealed = 0;
    let mut last: Option<K> = None;
    loop {
        let rows = store.range(table, &(), last.as_ref(), None);
        let some: Vec<K> = rows
            .take(RESEAL_ROWS)
            .map(|row| row.map(|(key, _)| key))
            .collect::<Result<_, _>>()?;
        let is_end = some.len() < RESEAL_ROWS;
        last = some.last().cloned();
        let worker = Arc::clone(vault);
        let work = move |txn: &mut Txn<'_>| Ok(reseal_rows(txn, &worker, table, &some));
        n_sealed += store.write(work).await??;
        if is_end {
            return Ok(n_sealed);
        }
    }
}

fn reseal_rows<K: Key, V: HasSealed<K>>(
    txn: &mut Txn<'_>,
    vault: &Vault,
    table: Table<K, V>,
    keys: &[K],
) -> Result<usize, LedgerError> {
    let mut n_sealed = 0;
    for key in keys {
        let Some(mut record) = txn.get(table, key)? else {
            continue;
        };
        let mut is_changed = false;
        for (place, sealed) in record.sealed(key) {
            if let Some(anew) = vault.reseal(place, sealed)? {
                *sealed = anew;
                is_changed = true;
            }
        }
        if is_changed {
            txn.put(table, key, &record)?;
            n_sealed += 1;
        }
    }
    Ok(n_sealed)
}

//! What was: every change of a dwelling, and how it stood on any day.

use std::collections::BTreeMap;

use super::clerk::{LedgerError, Tools};
use super::home::{Home, occupants};
use super::vault::Place as SealedIn;
use crate::domain::card::CardKey;
use crate::domain::dwelling::{Day, Dwelling};
use crate::domain::id::DwellingId;
use crate::domain::ledger::{
    CardRecord, CardholderRecord, Changed, DwellingRecord, HistoryRecord, NumberedChange,
};
use crate::domain::reckoning::{LimitPolicy, Moment, Reckoning, reckon};
use crate::domain::role::Actor;
use crate::store::{Store, StoreError, tables};
use crate::time::WallTime;

/// One change, with the reason opened.
#[derive(Clone, Debug)]
pub struct HistoryItem {
    /// Its number.
    pub seq: u64,
    /// When.
    pub at: WallTime,
    /// Who.
    pub by: Actor,
    /// Why, as that person wrote it: it may name persons.
    pub why: Option<String>,
    /// What.
    pub what: Changed,
}

/// How a dwelling stood at the end of a day, or stands now.
#[derive(Clone, Debug)]
pub struct DwellingThen {
    /// The dwelling.
    pub dwelling: Dwelling,
    /// Its revision.
    pub revision: u64,
    /// The limit and who counted, by the rule of that day.
    pub reckoning: Reckoning,
    /// The cardholders of that day, oldest first.
    pub holders: Vec<CardholderRecord>,
    /// Their cards and those of former holders.
    pub cards: BTreeMap<CardKey, CardRecord>,
}

/// The changes of a dwelling, newest first, from before the number `before` on; at most `max` records'
/// worth (each has 1 to 16).
pub(super) fn items(
    store: &Store,
    tools: &Tools,
    dwelling: &DwellingId,
    before: Option<u64>,
    max: usize,
) -> Result<Vec<HistoryItem>, LedgerError> {
    let until = before.map(|seq| (dwelling.clone(), seq));
    let rows = store.range(tables::HISTORY, dwelling, None, until.as_ref());
    let mut items = Vec::new();
    for row in rows.rev().take(max) {
        let ((_, first), record) = row?;
        let why = record.why.as_ref();
        let why = why.map(|why| tools.vault.open(SealedIn::Why(dwelling, first), why));
        let why = why.transpose()?;
        for NumberedChange { seq, what } in record.changes.into_iter().rev() {
            items.push(HistoryItem {
                seq,
                at: record.at,
                by: record.by.clone(),
                why: why.clone(),
                what,
            });
        }
    }
    Ok(items)
}

/// How `dwelling` stood at the end of `day`; `None`: it was not there yet.
pub(super) fn then(
    store: &Store,
    tools: &Tools,
    dwelling: &DwellingId,
    day: Day,
    now: WallTime,
) -> Result<Option<DwellingThen>, LedgerError> {
    let end = day.end(&tools.zone);
    let mut home = Home {
        id: dwelling.clone(),
        dwelling: None,
        holders: BTreeMap::new(),
        cards: BTreeMap::new(),
        changes: Vec::new(),
    };
    for row in store.scan(tables::HISTORY, dwelling) {
        let (_, record) = row?;
        if record.at < end {
            replay(&mut home, record);
        }
    }
    let at = now.min(WallTime::from_unix_ns(end.unix_ns().saturating_sub(1)));
    let policy = policy_at(store, end)?;
    Ok(shown(home, &policy, Moment { day, at }))
}

/// How `dwelling` stands now.
pub(super) fn now(
    store: &Store,
    policy: &LimitPolicy,
    dwelling: &DwellingId,
    moment: Moment,
) -> Result<Option<DwellingThen>, LedgerError> {
    let home = store.rehearse(|txn| Home::load(txn, dwelling))?;
    Ok(shown(home, policy, moment))
}

fn shown(home: Home, policy: &LimitPolicy, moment: Moment) -> Option<DwellingThen> {
    let DwellingRecord { dwelling, revision } = home.dwelling?;
    let occupants = occupants(home.holders.values(), home.cards.values());
    let reckoning = reckon(policy, &dwelling, &occupants, moment);
    let present = home
        .holders
        .into_values()
        .filter(|h| h.removed_at.is_none());
    let mut holders: Vec<CardholderRecord> = present.collect();
    holders.sort_by(|a, b| (a.added_at, &a.id).cmp(&(b.added_at, &b.id)));
    Some(DwellingThen {
        dwelling,
        revision,
        reckoning,
        holders,
        cards: home.cards,
    })
}

fn replay(home: &mut Home, record: HistoryRecord) {
    for change in record.changes {
        match change.what {
            Changed::Dwelling { after, .. } => home.dwelling = Some(after),
            Changed::Cardholder { after, .. } if after.dwelling == home.id => {
                home.holders.insert(after.id.clone(), after);
            }
            // One who moved away, cards and all.
            Changed::Cardholder { after, .. } => {
                home.holders.remove(&after.id);
                home.cards.retain(|_, card| card.holder != after.id);
            }
            Changed::Card { key, after, .. } => {
                if home.holders.contains_key(&after.holder) {
                    home.cards.insert(key, after);
                } else {
                    home.cards.remove(&key);
                }
            }
            Changed::Refused { .. } => {}
        }
    }
}

/// The rule that was in force just before `end`; the first one, before there was any.
fn policy_at(store: &Store, end: WallTime) -> Result<LimitPolicy, StoreError> {
    let mut found = None;
    for row in store.scan(tables::POLICIES, &()) {
        let (_, record) = row?;
        if found.is_none() || record.since < end {
            found = Some(record.policy);
        }
    }
    Ok(found.expect("the first rule is adopted before the ledger is used"))
}

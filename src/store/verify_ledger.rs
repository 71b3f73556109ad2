//! The invariants between the ledger's tables.

use std::collections::BTreeMap;

use super::error::StoreError;
use super::table::tables;
use super::verify::Findings;
use super::writer::Store;
use crate::domain::access::CardState;
use crate::domain::alert::AlertKind;
use crate::domain::card::CardKey;
use crate::domain::id::{CardholderId, DwellingId};
use crate::domain::ledger::{
    CardRecord, CardholderRecord, Changed, DwellingRecord, HISTORY_CHANGES_MAX,
};

/// Compares the ledger's tables with each other and with its history.
pub(super) fn ledger(store: &Store, findings: &mut Findings) -> Result<(), StoreError> {
    let newest = store.get(tables::META, &"ledger-seq".to_owned())?;
    let newest = newest.unwrap_or(0);
    dwellings(store, newest, findings)?;
    holders(store, newest, findings)?;
    cards(store, newest, findings)?;
    rules(store, findings)?;
    standing_alerts(store, findings)
}

fn dwellings(store: &Store, newest: u64, findings: &mut Findings) -> Result<(), StoreError> {
    for row in store.scan(tables::DWELLINGS, &()) {
        let (id, record) = row?;
        findings.expect(
            record.dwelling.id == id && record.revision <= newest,
            || {
                let of = &record.dwelling.id;
                format!(
                    "dwelling {id} carries the id {of}, revision {}",
                    record.revision
                )
            },
        );
        history(store, &id, newest, findings)?;
    }
    for row in store.scan(tables::HISTORY, &()) {
        let ((id, first), _) = row?;
        findings.expect(store.get(tables::DWELLINGS, &id)?.is_some(), || {
            format!("change {first} is one of dwelling {id}, which does not exist")
        });
    }
    Ok(())
}

/// How a dwelling stands after all that its history tells.
#[derive(Default)]
struct Replayed {
    dwelling: Option<DwellingRecord>,
    holders: BTreeMap<CardholderId, CardholderRecord>,
    cards: BTreeMap<CardKey, CardRecord>,
}

impl Replayed {
    fn take(&mut self, here: &DwellingId, what: Changed) {
        match what {
            Changed::Dwelling { after, .. } => self.dwelling = Some(after),
            Changed::Cardholder { after, .. } if after.dwelling == *here => {
                self.holders.insert(after.id.clone(), after);
            }
            Changed::Cardholder { after, .. } => {
                self.holders.remove(&after.id);
                self.cards.retain(|_, card| card.holder != after.id);
            }
            Changed::Card { key, after, .. } => {
                if self.holders.contains_key(&after.holder) {
                    self.cards.insert(key, after);
                } else {
                    self.cards.remove(&key);
                }
            }
            Changed::Refused { .. } => {}
        }
    }
}

fn history(
    store: &Store,
    id: &DwellingId,
    newest: u64,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let mut told = Replayed::default();
    let mut last = 0;
    for row in store.scan(tables::HISTORY, id) {
        let ((_, first), record) = row?;
        let n_changes = record.changes.len();
        let begins = record
            .changes
            .first()
            .is_some_and(|change| change.seq == first);
        findings.expect(begins && n_changes <= HISTORY_CHANGES_MAX, || {
            format!("the history of {id} has a record {first} of {n_changes} changes")
        });
        for change in record.changes {
            findings.expect(change.seq > last && change.seq <= newest, || {
                format!(
                    "the history of {id} has change {} after {last} of {newest}",
                    change.seq
                )
            });
            last = change.seq;
            told.take(id, change.what);
        }
    }
    let stands = store.get(tables::DWELLINGS, id)?;
    findings.expect(told.dwelling == stands, || {
        format!("dwelling {id} is not as its history tells")
    });
    let holders = store.scan(tables::HOLDERS, id);
    let holders: BTreeMap<CardholderId, CardholderRecord> = holders
        .map(|row| row.map(|((_, holder), record)| (holder, record)))
        .collect::<Result<_, _>>()?;
    findings.expect(told.holders == holders, || {
        format!("the cardholders of {id} are not as its history tells")
    });
    let cards = store.scan(tables::CARDS, id);
    let cards: BTreeMap<CardKey, CardRecord> = cards
        .map(|row| row.map(|((_, key), record)| (key, record)))
        .collect::<Result<_, _>>()?;
    findings.expect(told.cards == cards, || {
        format!("the cards of {id} are not as its history tells")
    });
    Ok(())
}

fn holders(store: &Store, newest: u64, findings: &mut Findings) -> Result<(), StoreError> {
    for row in store.scan(tables::HOLDERS, &()) {
        let ((dwelling, id), record) = row?;
        findings.expect(
            record.id == id && record.dwelling == dwelling && record.revision <= newest,
            || format!("cardholder {id} of {dwelling} is not what its key says"),
        );
        findings.expect(store.get(tables::DWELLINGS, &dwelling)?.is_some(), || {
            format!("cardholder {id} lives in {dwelling}, which does not exist")
        });
        let home = store.get(tables::HOLDER_HOMES, &id)?;
        findings.expect(home.as_ref() == Some(&dwelling), || {
            format!("cardholder {id} is in {dwelling}, listed in {home:?}")
        });
    }
    for row in store.scan(tables::HOLDER_HOMES, &()) {
        let (id, dwelling) = row?;
        let key = (dwelling, id);
        findings.expect(store.get(tables::HOLDERS, &key)?.is_some(), || {
            format!(
                "cardholder {} is listed in {}, but is not there",
                key.1, key.0
            )
        });
    }
    Ok(())
}

fn cards(store: &Store, newest: u64, findings: &mut Findings) -> Result<(), StoreError> {
    for row in store.scan(tables::CARDS, &()) {
        let ((dwelling, key), record) = row?;
        let revision = record.revision;
        let home = store.get(tables::CARD_HOMES, &key)?;
        findings.expect(
            home.as_ref() == Some(&dwelling) && revision <= newest,
            || format!("a card of {dwelling} (revision {revision}) is listed in {home:?}"),
        );
        let holder = (dwelling.clone(), record.holder.clone());
        let holder = store.get(tables::HOLDERS, &holder)?;
        findings.expect(holder.is_some(), || {
            format!(
                "a card of {dwelling} is held by {}, who is not there",
                record.holder
            )
        });
        let is_gone = holder.is_some_and(|holder| holder.removed_at.is_some());
        findings.expect(!is_gone || record.state == CardState::Revoked, || {
            format!(
                "{} was removed and has a card that is not revoked",
                record.holder
            )
        });
    }
    for row in store.scan(tables::CARD_HOMES, &()) {
        let (key, dwelling) = row?;
        let row = (dwelling, key);
        findings.expect(store.get(tables::CARDS, &row)?.is_some(), || {
            format!("a card is listed in {}, but is not there", row.0)
        });
    }
    Ok(())
}

fn rules(store: &Store, findings: &mut Findings) -> Result<(), StoreError> {
    let mut last = 0;
    for row in store.scan(tables::POLICIES, &()) {
        let (version, record) = row?;
        findings.expect(
            version == last + 1 && record.policy.version == version,
            || {
                let carries = record.policy.version;
                format!("rule {version} follows rule {last} and carries version {carries}")
            },
        );
        last = version;
    }
    let newest = store.get(tables::META, &"limit-policy".to_owned())?;
    findings.expect(newest.unwrap_or(0) == last, || {
        format!("the newest rule is {last}, in force is {newest:?}")
    });
    Ok(())
}

fn standing_alerts(store: &Store, findings: &mut Findings) -> Result<(), StoreError> {
    let prefix = format!("{}/", AlertKind::OverLimit.as_str());
    for row in store.scan(tables::CONDITIONS, &()) {
        let (key, id) = row?;
        let Some(dwelling) = key.strip_prefix(&prefix) else {
            continue;
        };
        let alert = store.get(tables::ALERTS, &id)?;
        let fits = alert.is_some_and(|alert| {
            let about = alert.dwelling.as_ref().map(DwellingId::as_str);
            alert.kind == AlertKind::OverLimit && about == Some(dwelling)
        });
        findings.expect(fits, || {
            format!("dwelling {dwelling} is over its limit by alert {id}, which says otherwise")
        });
    }
    Ok(())
}

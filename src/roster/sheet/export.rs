//! The ledger as rows: what an import takes.

use std::collections::{BTreeMap, HashMap};

use super::row::Row;
use super::value::Said;
use crate::domain::card::CardNumber;
use crate::domain::dwelling::Dwelling;
use crate::domain::id::{CardholderId, DwellingId};
use crate::roster::{KnownCard, KnownHolder, Snapshot};

/// Every dwelling with its cardholders, oldest first, and their cards. Each row says which dwelling and
/// which cardholder; their other facts stand in their first row only, so that a correction is made
/// once. Cards of cardholders who were taken off the list are left out: they are revoked.
pub fn rows_of(snapshot: &Snapshot) -> Vec<Row> {
    let mut holders_of: BTreeMap<&DwellingId, Vec<(&CardholderId, &KnownHolder)>> = BTreeMap::new();
    for (id, holder) in &snapshot.holders {
        holders_of
            .entry(&holder.facts.dwelling)
            .or_default()
            .push((id, holder));
    }
    let mut cards_of: HashMap<&CardholderId, Vec<(&CardNumber, &KnownCard)>> = HashMap::new();
    for (number, card) in &snapshot.cards {
        cards_of
            .entry(&card.facts.holder)
            .or_default()
            .push((number, card));
    }
    let mut rows = Vec::new();
    for (id, record) in &snapshot.dwellings {
        let mut holders = holders_of.remove(id).unwrap_or_default();
        holders.sort_by_key(|(id, holder)| (holder.added_at, *id));
        let mut is_first = true;
        for (holder_id, holder) in holders {
            let cards = cards_of.remove(holder_id).unwrap_or_default();
            let first = with_holder(dwelling_row(&record.dwelling, is_first), holder_id, holder);
            is_first = false;
            let Some(((number, card), more)) = cards.split_first() else {
                rows.push(first);
                continue;
            };
            rows.push(with_card(first, number, card));
            for (number, card) in more {
                let row = Row {
                    holder: Some(holder_id.clone()),
                    name: name_of(holder),
                    ..dwelling_row(&record.dwelling, false)
                };
                rows.push(with_card(row, number, card));
            }
        }
        if is_first {
            rows.push(dwelling_row(&record.dwelling, true));
        }
    }
    rows
}

fn said<T>(value: Option<T>) -> Said<T> {
    value.map_or(Said::Nothing, Said::Is)
}

fn dwelling_row(dwelling: &Dwelling, is_first: bool) -> Row {
    let which = Row {
        place: Some(dwelling.place.clone()),
        number: Some(dwelling.number.clone()),
        ..Row::of(dwelling.id.clone())
    };
    if !is_first {
        return which;
    }
    Row {
        area: Some(dwelling.area),
        tenure: Some(dwelling.tenure),
        beds: dwelling.beds,
        dwelling_from: said(dwelling.from),
        dwelling_to: said(dwelling.to),
        ..which
    }
}

fn name_of(holder: &KnownHolder) -> Option<crate::domain::person::PersonName> {
    let name = &holder.facts.name;
    (!name.is_empty()).then(|| name.clone())
}

fn with_holder(row: Row, id: &CardholderId, holder: &KnownHolder) -> Row {
    Row {
        holder: Some(id.clone()),
        name: name_of(holder),
        relation: Some(holder.facts.relation.clone()),
        person: holder.facts.person.clone(),
        from: said(holder.facts.from),
        to: said(holder.facts.to),
        ..row
    }
}

fn with_card(row: Row, number: &CardNumber, card: &KnownCard) -> Row {
    Row {
        card: Some(number.clone()),
        state: Some(card.facts.state),
        valid_from: said(card.facts.validity.from),
        valid_until: said(card.facts.validity.until),
        ..row
    }
}

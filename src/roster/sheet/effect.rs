//! What a change does, in words for the table of a dry run: ids, areas and dates, no names and no card
//! numbers.

use std::fmt::Display;

use serde::Serialize;

use super::value::Edge;
use super::write::edge_text;
use crate::domain::dwelling::Dwelling;
use crate::domain::id::{CardholderId, DwellingId};
use crate::roster::{HolderFacts, Validity};
use crate::time::TimeZone;

/// What one change is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Effect {
    /// The dwelling.
    pub dwelling: DwellingId,
    /// The cardholder.
    pub holder: Option<CardholderId>,
    /// The card: its last digits.
    pub card: Option<String>,
    /// What is new, as `area_m2 94.30 → 90.00`; may be empty.
    pub detail: String,
}

/// Collects `what before → after` of what differs.
#[derive(Default)]
struct Detail(String);

impl Detail {
    fn add(&mut self, what: &str, before: Option<&str>, after: &str) {
        let before = before.filter(|before| !before.is_empty());
        if before == Some(after) || before.is_none() && after.is_empty() {
            return;
        }
        if !self.0.is_empty() {
            self.0.push_str(", ");
        }
        let after = if after.is_empty() { "open" } else { after };
        let text = match before {
            Some(before) => format!("{what} {before} → {after}"),
            None => format!("{what} {after}"),
        };
        self.0.push_str(&text);
    }
}

fn shown<T: Display>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

pub(super) fn dwelling_detail(before: Option<&Dwelling>, after: &Dwelling) -> String {
    let mut detail = Detail::default();
    let mut add = |what: &str, of: &dyn Fn(&Dwelling) -> String| {
        detail.add(what, before.map(of).as_deref(), &of(after));
    };
    add("place", &|d| d.place.as_str().to_owned());
    add("number", &|d| d.number.clone());
    add("area_m2", &|d| d.area.to_string());
    add("tenure", &|d| d.tenure.as_str().to_owned());
    add("beds", &|d| shown(d.beds));
    add("from", &|d| shown(d.from));
    add("to", &|d| shown(d.to));
    detail.0
}

pub(super) fn holder_detail(before: Option<&HolderFacts>, after: &HolderFacts) -> String {
    let mut detail = Detail::default();
    let mut add = |what: &str, of: &dyn Fn(&HolderFacts) -> String| {
        detail.add(what, before.map(of).as_deref(), &of(after));
    };
    if before.is_some() {
        add("dwelling", &|h| h.dwelling.to_string());
    }
    add("relation", &|h| h.relation.as_str().to_owned());
    add("from", &|h| shown(h.from));
    add("to", &|h| shown(h.to));
    let is_renamed = before.is_some_and(|before| before.name != after.name);
    let is_remarked = before.is_some_and(|before| before.person != after.person);
    for (what, differs) in [("name", is_renamed), ("person_key", is_remarked)] {
        if differs {
            detail.add(what, None, "changed");
        }
    }
    detail.0
}

pub(super) fn validity_detail(before: Validity, after: Validity, zone: &TimeZone) -> String {
    let from = |validity: Validity| shown(validity.from.map(|at| edge_text(at, zone, Edge::Start)));
    let until = |validity: Validity| shown(validity.until.map(|at| edge_text(at, zone, Edge::End)));
    let mut detail = Detail::default();
    detail.add("valid_from", Some(&from(before)), &from(after));
    detail.add("valid_until", Some(&until(before)), &until(after));
    detail.0
}

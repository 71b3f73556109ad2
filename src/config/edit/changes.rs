//! What a change changes, thing by thing and value by value.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::view::Lists;
use crate::site::{CompoundEntry, FieldChange, ItemChange, SiteChange};

/// Outwards a secret is only these.
const HIDDEN: [&str; 2] = ["has_password", "has_secret"];

/// The ids that get a new secret, and the ids that others had.
#[derive(Default)]
struct Told<'c> {
    new_secret: BTreeSet<&'c str>,
    was: BTreeMap<&'c str, &'c str>,
}

pub(super) fn of(
    before: &(CompoundEntry, Lists),
    after: &(CompoundEntry, Lists),
    change: &SiteChange,
) -> Vec<ItemChange> {
    let mut changes = Vec::new();
    let told = Told::default();
    compare(
        "compound",
        std::slice::from_ref(&before.0),
        std::slice::from_ref(&after.0),
        &told,
        &mut changes,
    );
    let (before, after) = (&before.1, &after.1);
    let stairwells = change.stairwells.iter().flatten();
    let told = Told {
        new_secret: BTreeSet::new(),
        was: stairwells
            .filter_map(|entry| Some((entry.id.as_str(), entry.was.as_deref()?)))
            .collect(),
    };
    compare(
        "stairwell",
        &before.stairwells,
        &after.stairwells,
        &told,
        &mut changes,
    );
    let mut told = Told::default();
    for entry in change.cameras.iter().flatten() {
        told.note(&entry.id, entry.was.as_deref(), entry.password.is_some());
    }
    compare(
        "camera",
        &before.cameras,
        &after.cameras,
        &told,
        &mut changes,
    );
    let mut told = Told::default();
    for entry in change.doors.iter().flatten() {
        told.note(&entry.id, entry.was.as_deref(), entry.password.is_some());
    }
    compare("door", &before.doors, &after.doors, &told, &mut changes);
    let mut told = Told::default();
    for entry in change.linkages.iter().flatten() {
        told.note(&entry.id, entry.was.as_deref(), entry.secret.is_some());
    }
    compare(
        "linkage",
        &before.linkages,
        &after.linkages,
        &told,
        &mut changes,
    );
    changes
}

impl<'c> Told<'c> {
    fn note(&mut self, id: &'c str, was: Option<&'c str>, has_new_secret: bool) {
        if has_new_secret {
            self.new_secret.insert(id);
        }
        self.was.extend(was.map(|was| (id, was)));
    }
}

fn compare<E: Serialize>(
    what: &'static str,
    before: &[E],
    after: &[E],
    told: &Told<'_>,
    changes: &mut Vec<ItemChange>,
) {
    let by_id = |entries: &[E]| {
        let entries = entries.iter().map(|entry| {
            let value = serde_json::to_value(entry).unwrap_or_default();
            let id = value.get("id").and_then(Value::as_str).unwrap_or_default();
            (id.to_owned(), value)
        });
        entries.collect::<Vec<(String, Value)>>()
    };
    let before = by_id(before);
    let mut known: BTreeMap<&str, &Value> = before
        .iter()
        .map(|(id, value)| (id.as_str(), value))
        .collect();
    for (id, value) in by_id(after) {
        let was = told.was.get(id.as_str()).copied().unwrap_or(&id);
        // A compound has no other beside it.
        let was = if what == "compound" {
            before.first().map_or("", |(id, _)| id)
        } else {
            was
        };
        let old = known.remove(was);
        let mut fields = fields(old, Some(&value));
        if told.new_secret.contains(id.as_str()) {
            let had = old.is_some_and(|old| HIDDEN.iter().any(|key| old[*key] == true));
            fields.push(FieldChange {
                name: "secret".to_owned(),
                before: if had { "set".into() } else { Value::Null },
                after: "new".into(),
            });
        }
        let action = if old.is_some() { "changed" } else { "added" };
        if old.is_none() || !fields.is_empty() {
            changes.push(ItemChange {
                what,
                id,
                action,
                fields,
            });
        }
    }
    for (id, value) in &before {
        if known.contains_key(id.as_str()) {
            changes.push(ItemChange {
                what,
                id: id.clone(),
                action: "removed",
                fields: fields(Some(value), None),
            });
        }
    }
}

/// Each value that differs. Empty ones are no values.
fn fields(before: Option<&Value>, after: Option<&Value>) -> Vec<FieldChange> {
    let names: BTreeSet<&String> = [before, after]
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .flat_map(|object| object.keys())
        .collect();
    let value = |of: Option<&Value>, name: &str| {
        let value = of.and_then(|of| of.get(name)).cloned().unwrap_or_default();
        let is_empty = value.as_array().is_some_and(Vec::is_empty) || value == false;
        if is_empty { Value::Null } else { value }
    };
    let changes = names.into_iter().map(|name| FieldChange {
        name: name.clone(),
        before: value(before, name),
        after: value(after, name),
    });
    changes
        .filter(|field| field.before != field.after)
        .collect()
}

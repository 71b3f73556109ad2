//! The lists, read back from the document. The text has been checked before, so what is not as it
//! should be is only left out here.

use toml_edit::{DocumentMut, Item, TableLike};

use super::fields::{PASSWORD, SecretKeys, secret_keys_of};
use crate::site::{
    CameraEntry, CompoundEntry, DoorEntry, LinkageEntry, MatchEntry, StairwellEntry,
};

/// All lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lists {
    pub(super) stairwells: Vec<StairwellEntry>,
    pub(super) cameras: Vec<CameraEntry>,
    pub(super) doors: Vec<DoorEntry>,
    pub(super) linkages: Vec<LinkageEntry>,
}

pub(super) fn compound(document: &DocumentMut) -> CompoundEntry {
    let table = document.get("compound").and_then(Item::as_table_like);
    table.map_or_else(CompoundEntry::default, |table| CompoundEntry {
        id: text(table, "id"),
        name: text(table, "name"),
        time_zone: text(table, "time_zone"),
    })
}

pub(super) fn lists(document: &DocumentMut) -> Lists {
    Lists {
        stairwells: read(document, "stairwell", stairwell),
        cameras: read(document, "camera", camera),
        doors: read(document, "door", door),
        linkages: read(document, "linkage", linkage),
    }
}

fn read<E>(document: &DocumentMut, name: &str, entry: fn(&dyn TableLike) -> E) -> Vec<E> {
    match document.get(name) {
        Some(Item::ArrayOfTables(tables)) => tables.iter().map(|table| entry(table)).collect(),
        Some(Item::Value(value)) => {
            let tables = value.as_array().into_iter().flatten();
            let tables = tables.filter_map(|value| value.as_inline_table());
            tables.map(|table| entry(table)).collect()
        }
        Some(Item::None | Item::Table(_)) | None => Vec::new(),
    }
}

fn stairwell(table: &dyn TableLike) -> StairwellEntry {
    StairwellEntry {
        id: text(table, "id"),
        was: None,
        building: text(table, "building"),
        unit: text(table, "unit"),
    }
}

fn camera(table: &dyn TableLike) -> CameraEntry {
    CameraEntry {
        id: text(table, "id"),
        was: None,
        place: text(table, "place"),
        url: text(table, "url"),
        sub_url: optional(table, "sub_url"),
        transport: optional(table, "transport").unwrap_or_else(|| "tcp".to_owned()),
        username: optional(table, "username"),
        password: None,
        has_password: has(table, PASSWORD),
    }
}

fn door(table: &dyn TableLike) -> DoorEntry {
    let matcher = table.get("match").and_then(Item::as_table_like);
    DoorEntry {
        id: text(table, "id"),
        was: None,
        place: text(table, "place"),
        cameras: texts(table, "cameras").unwrap_or_default(),
        controller: optional(table, "controller").unwrap_or_else(|| "native".to_owned()),
        decision: optional(table, "decision").unwrap_or_else(|| "record".to_owned()),
        matcher: matcher.map(|matcher| MatchEntry {
            topic: optional(matcher, "topic"),
            hostname: optional(matcher, "hostname"),
            device_id: number(matcher, "device_id"),
            door: number(matcher, "door"),
        }),
        username: optional(table, "username"),
        password: None,
        has_password: has(table, PASSWORD),
    }
}

fn linkage(table: &dyn TableLike) -> LinkageEntry {
    let kind = text(table, "kind");
    LinkageEntry {
        id: text(table, "id"),
        was: None,
        url: text(table, "url"),
        topic: optional(table, "topic"),
        client_id: optional(table, "client_id"),
        username: optional(table, "username"),
        kinds: texts(table, "kinds").unwrap_or_else(|| vec!["*".to_owned()]),
        include: texts(table, "include").unwrap_or_default(),
        case_changes: table
            .get("case_changes")
            .and_then(Item::as_bool)
            .unwrap_or(false),
        timeout_s: number(table, "timeout_s"),
        ca_file: optional(table, "ca_file"),
        cert_file: optional(table, "cert_file"),
        key_file: optional(table, "key_file"),
        secret: None,
        has_secret: has(table, secret_keys_of(&kind)),
        kind,
    }
}

fn text(table: &dyn TableLike, key: &str) -> String {
    optional(table, key).unwrap_or_default()
}

fn optional(table: &dyn TableLike, key: &str) -> Option<String> {
    table.get(key).and_then(Item::as_str).map(str::to_owned)
}

fn number<T: TryFrom<i64>>(table: &dyn TableLike, key: &str) -> Option<T> {
    let number = table.get(key).and_then(Item::as_integer)?;
    T::try_from(number).ok()
}

fn texts(table: &dyn TableLike, key: &str) -> Option<Vec<String>> {
    let array = table.get(key).and_then(Item::as_array)?;
    let texts = array.iter().filter_map(|value| value.as_str());
    Some(texts.map(str::to_owned).collect())
}

fn has(table: &dyn TableLike, keys: SecretKeys) -> bool {
    table.contains_key(keys.0) || table.contains_key(keys.1)
}

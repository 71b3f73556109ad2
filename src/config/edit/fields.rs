//! The entries of the lists as keys and values of their tables.

use toml_edit::{Array, Value};

use crate::domain::secret::Secret;
use crate::site::{CameraEntry, DoorEntry, LinkageEntry, MatchEntry, StairwellEntry};

/// The keys under which a secret may stand: its file, and its variable of the environment.
pub(super) type SecretKeys = (&'static str, &'static str);

pub(super) const PASSWORD: SecretKeys = ("password_file", "password_env");
pub(super) const SIGNING_SECRET: SecretKeys = ("secret_file", "secret_env");
pub(super) const TOKEN: SecretKeys = ("token_file", "token_env");

/// One key of a table.
pub(super) struct Field {
    pub(super) key: &'static str,
    /// `None`: the key shall not be there.
    pub(super) value: Option<Value>,
    /// What its absence means.
    pub(super) default: Option<Value>,
}

/// What a table shall say.
pub(super) struct Wanted<'e> {
    pub(super) id: &'e str,
    /// The id that the table has, when it is to have another.
    pub(super) was: Option<&'e str>,
    pub(super) fields: Vec<Field>,
    /// `[door.match]`; `None`: not there.
    pub(super) matcher: Option<Vec<Field>>,
    /// Of these only `secret_keys` may be in the table.
    pub(super) secret_keys: Option<SecretKeys>,
    pub(super) secret: Option<&'e Secret>,
    /// Where the new secret will be.
    pub(super) secret_file: Option<String>,
}

/// An entry that can be written to a table.
pub(super) trait Entry {
    fn wanted(&self) -> Wanted<'_>;
}

pub(super) fn all<E: Entry>(entries: &[E]) -> Vec<Wanted<'_>> {
    entries.iter().map(Entry::wanted).collect()
}

/// The keys of the secret that a linkage of this kind has.
pub(super) fn secret_keys_of(kind: &str) -> SecretKeys {
    match kind {
        "grpc" => TOKEN,
        "mqtt" => PASSWORD,
        _ => SIGNING_SECRET,
    }
}

fn text(key: &'static str, value: &str) -> Field {
    Field {
        key,
        value: Some(value.into()),
        default: None,
    }
}

/// A key whose absence means `default`.
fn word(key: &'static str, value: &str, default: &str) -> Field {
    Field {
        key,
        value: Some(value.into()),
        default: Some(default.into()),
    }
}

/// A key that is not there when it is empty.
fn optional(key: &'static str, value: Option<&str>) -> Field {
    Field {
        key,
        value: value.filter(|text| !text.is_empty()).map(Value::from),
        default: None,
    }
}

fn texts(key: &'static str, values: &[String], default: &[&str]) -> Field {
    let array = |values: &mut dyn Iterator<Item = &str>| Value::Array(values.collect::<Array>());
    Field {
        key,
        value: Some(array(&mut values.iter().map(String::as_str))),
        default: Some(array(&mut default.iter().copied())),
    }
}

impl Entry for StairwellEntry {
    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            id: &self.id,
            was: self.was.as_deref(),
            fields: vec![
                text("id", &self.id),
                text("building", &self.building),
                text("unit", &self.unit),
            ],
            matcher: None,
            secret_keys: None,
            secret: None,
            secret_file: None,
        }
    }
}

impl Entry for CameraEntry {
    fn wanted(&self) -> Wanted<'_> {
        let username = self.username.as_deref().filter(|name| !name.is_empty());
        Wanted {
            id: &self.id,
            was: self.was.as_deref(),
            fields: vec![
                text("id", &self.id),
                text("place", &self.place),
                text("url", &self.url),
                optional("sub_url", self.sub_url.as_deref()),
                word("transport", &self.transport, "tcp"),
                optional("username", username),
            ],
            matcher: None,
            secret_keys: (username.is_some() || self.password.is_some()).then_some(PASSWORD),
            secret: self.password.as_ref(),
            secret_file: None,
        }
    }
}

impl Entry for DoorEntry {
    fn wanted(&self) -> Wanted<'_> {
        let username = self.username.as_deref().filter(|name| !name.is_empty());
        Wanted {
            id: &self.id,
            was: self.was.as_deref(),
            fields: vec![
                text("id", &self.id),
                text("place", &self.place),
                texts("cameras", &self.cameras, &[]),
                word("controller", &self.controller, "native"),
                word("decision", &self.decision, "record"),
                optional("username", username),
            ],
            matcher: self.matcher.as_ref().and_then(matcher_fields),
            secret_keys: (username.is_some() || self.password.is_some()).then_some(PASSWORD),
            secret: self.password.as_ref(),
            secret_file: None,
        }
    }
}

fn matcher_fields(matcher: &MatchEntry) -> Option<Vec<Field>> {
    let number = |key, value: Option<i64>| Field {
        key,
        value: value.map(Value::from),
        default: None,
    };
    let fields = vec![
        optional("topic", matcher.topic.as_deref()),
        optional("hostname", matcher.hostname.as_deref()),
        number("device_id", matcher.device_id.map(i64::from)),
        number("door", matcher.door.map(i64::from)),
    ];
    let is_any = fields.iter().any(|field| field.value.is_some());
    is_any.then_some(fields)
}

impl Entry for LinkageEntry {
    fn wanted(&self) -> Wanted<'_> {
        let username = self.username.as_deref().filter(|name| !name.is_empty());
        let keys = secret_keys_of(&self.kind);
        let has_secret = self.kind != "mqtt" || username.is_some() || self.secret.is_some();
        Wanted {
            id: &self.id,
            was: self.was.as_deref(),
            fields: vec![
                text("id", &self.id),
                text("kind", &self.kind),
                text("url", &self.url),
                optional("topic", self.topic.as_deref()),
                optional("client_id", self.client_id.as_deref()),
                optional("username", username),
                texts("kinds", &self.kinds, &["*"]),
                texts("include", &self.include, &[]),
                Field {
                    key: "case_changes",
                    value: Some(self.case_changes.into()),
                    default: Some(false.into()),
                },
                Field {
                    key: "timeout_s",
                    value: self.timeout_s.map(|s| Value::from(i64::from(s))),
                    default: None,
                },
            ],
            matcher: None,
            secret_keys: has_secret.then_some(keys),
            secret: self.secret.as_ref(),
            secret_file: None,
        }
    }
}

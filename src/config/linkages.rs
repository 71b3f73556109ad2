//! `[[linkage]]`: the receivers of alerts outside.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Linkage;
use super::section::Section;
use super::values::{SIGNING_SECRET, UrlRule, existing_file, is_loopback, read_url};
use crate::domain::alert::AlertKind;
use crate::domain::id::LinkageId;
use crate::linkage::envelope::{Extra, Include};
use crate::linkage::webhook::{CONNECT_TIMEOUT, TOTAL_TIMEOUT, WebhookOptions};

const RECEIVER: UrlRule = UrlRule {
    schemes: &["https", "http"],
    example: "\"https://host/path\"",
};

/// Kinds of linkage that are planned but not in this version.
const LATER: [&str; 3] = ["grpc", "gb28181", "viid"];

pub(super) fn read(top: &mut Section<'_>) -> Vec<Linkage> {
    let mut linkages: Vec<Linkage> = Vec::new();
    let mut ids: BTreeSet<LinkageId> = BTreeSet::new();
    for mut section in top.sections("linkage") {
        let id = section.required_parsed::<LinkageId>("id", "such as \"duty-room\"");
        if let Some(id) = &id {
            section.name_by(id.value.as_str());
            if !ids.insert(id.value.clone()) {
                let text = "another linkage has this id (each id must be there once)";
                section.report.problem(&id.spot, text);
            }
        }
        kind(&mut section);
        let linkage = webhook(&mut section, id.map(|id| id.value));
        linkages.extend(linkage);
        section.finish();
    }
    if linkages.is_empty() && ids.is_empty() {
        top.report.warning(
            &super::report::Spot {
                line: 0,
                key: "linkage".to_owned(),
            },
            "there is none: alerts are kept here and go to nobody (add a [[linkage]])",
        );
    }
    linkages
}

fn kind(section: &mut Section<'_>) {
    let Some(kind) = section.required("kind", "\"webhook\"") else {
        return;
    };
    if LATER.contains(&kind.value.as_str()) {
        let text = format!(
            "{:?} is not supported in this version (write \"webhook\")",
            kind.value
        );
        section.report.problem(&kind.spot, text);
    } else if kind.value != "webhook" {
        let text = format!("{:?} is not known (write \"webhook\")", kind.value);
        section.report.problem(&kind.spot, text);
    }
}

fn webhook(section: &mut Section<'_>, id: Option<LinkageId>) -> Option<Linkage> {
    let url = section
        .required(
            "url",
            "where alerts are posted, such as \"https://host/alerts\"",
        )
        .and_then(|text| {
            let url = read_url(section, &text, &RECEIVER)?;
            if url.scheme() == "http" && !is_loopback(&url) {
                let what = "alerts cross the network unencrypted (use https://)";
                section.report.warning(&text.spot, what);
            }
            Some(url)
        });
    let is_secret_given = SIGNING_SECRET.is_given(section);
    let secret = SIGNING_SECRET.read(section);
    if secret.is_none() && !is_secret_given {
        let what = "is missing (the receiver checks each message's signature with it)";
        section.report.problem(&section.spot("secret_file"), what);
    }
    let ca_file = existing_file(section, "ca_file");
    let kinds = kinds(section);
    let include = include(section);
    let case_changes = section.flag("case_changes", false);
    let timeout_s = section.number("timeout_s", 1..=60, TOTAL_TIMEOUT.as_secs());
    let total_timeout = Duration::from_secs(timeout_s);
    Some(Linkage {
        webhook: WebhookOptions {
            id: id?,
            url: url?,
            secret: secret?,
            ca_file,
            connect_timeout: CONNECT_TIMEOUT.min(total_timeout),
            total_timeout,
        },
        kinds,
        include,
        case_changes,
    })
}

/// What personal data the receiver gets besides; nothing unless asked for.
fn include(section: &mut Section<'_>) -> Include {
    let mut include = Include::new();
    for word in section.texts("include") {
        match Extra::from_word(&word.value) {
            Some(extra) => {
                include.insert(extra);
            }
            None => {
                let known = Extra::ALL.map(Extra::as_str).join(", ");
                let text = format!("there is no {:?} to include (known: {known})", word.value);
                section.report.problem(&word.spot, text);
            }
        }
    }
    include
}

fn kinds(section: &mut Section<'_>) -> BTreeSet<AlertKind> {
    if !section.has("kinds") {
        section.texts("kinds");
        return AlertKind::ALL.into();
    }
    let mut kinds = BTreeSet::new();
    let words = section.texts("kinds");
    for word in &words {
        if word.value == "*" {
            kinds.extend(AlertKind::ALL);
            continue;
        }
        match AlertKind::from_word(&word.value) {
            Some(kind) => {
                kinds.insert(kind);
            }
            None => {
                let known = AlertKind::ALL.map(AlertKind::as_str).join(", ");
                let text = format!(
                    "there is no alert kind {:?} (known: *, {known})",
                    word.value
                );
                section.report.problem(&word.spot, text);
            }
        }
    }
    if words.is_empty() {
        let text = "is empty: this linkage gets no alerts (write [\"*\"] for all)";
        section.report.warning(&section.spot("kinds"), text);
    }
    kinds
}

//! `[[linkage]]`: the receivers of alerts outside.

use std::collections::BTreeSet;
use std::time::Duration;

use url::Url;

use super::mqtt::check_topic;
use super::section::{At, Section};
use super::values::{SIGNING_SECRET, TOKEN, UrlRule, existing_file, is_loopback, login, read_url};
use super::{Linkage, Receiver};
use crate::domain::alert::AlertKind;
use crate::domain::id::{CompoundId, LinkageId};
use crate::linkage::envelope::{Extra, Include};
use crate::linkage::grpc::{GrpcOptions, IdentityFiles};
use crate::linkage::mqtt::MqttLinkageOptions;
use crate::linkage::webhook::WebhookOptions;
use crate::linkage::{CONNECT_TIMEOUT, TOTAL_TIMEOUT};

/// Longest client id, in bytes; brokers must take 23 (MQTT 5, 3.1.3.1) and commonly take more.
const CLIENT_ID_BYTES_MAX: usize = 96;

const WEBHOOK: UrlRule = UrlRule {
    schemes: &["https", "http"],
    example: "\"https://host/path\"",
};
const PLATFORM: UrlRule = UrlRule {
    schemes: &["https", "http"],
    example: "\"https://host:50051\"",
};
const BROKER: UrlRule = UrlRule {
    schemes: &["mqtts", "mqtt"],
    example: "\"mqtts://host:8883\"",
};

/// What receivers are told of the site, or are named by.
pub(super) struct Site<'a> {
    pub(super) compound: Option<&'a CompoundId>,
    pub(super) topic_prefix: &'a str,
}

#[derive(Clone, Copy)]
enum Kind {
    Webhook,
    Grpc,
    Mqtt,
}

/// Kinds of linkage that are planned but not in this version.
const LATER: [&str; 2] = ["gb28181", "viid"];
const KINDS: &str = "\"webhook\", \"grpc\" or \"mqtt\"";

pub(super) fn read(top: &mut Section<'_>, site: &Site<'_>) -> Vec<Linkage> {
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
        let linkage = linkage(&mut section, id.map(|id| id.value), site);
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

fn linkage(section: &mut Section<'_>, id: Option<LinkageId>, site: &Site<'_>) -> Option<Linkage> {
    let kind = kind(section);
    let kinds = kinds(section);
    let include = include(section);
    let case_changes = section.flag("case_changes", false);
    let timeout_s = section.number("timeout_s", 1..=60, TOTAL_TIMEOUT.as_secs());
    let waits = Waits {
        total: Duration::from_secs(timeout_s),
    };
    let receiver = match kind {
        Kind::Webhook => webhook(section, id.clone(), waits).map(Receiver::Webhook),
        Kind::Grpc => grpc(section, id.clone(), site, waits).map(Receiver::Grpc),
        Kind::Mqtt => mqtt(section, id.clone(), site, waits).map(Receiver::Mqtt),
    };
    Some(Linkage {
        id: id?,
        receiver: receiver?,
        kinds,
        include,
        case_changes,
    })
}

#[derive(Clone, Copy)]
struct Waits {
    total: Duration,
}

impl Waits {
    fn connect(self) -> Duration {
        CONNECT_TIMEOUT.min(self.total)
    }
}

/// The kind, or that of the reference when it is missing or wrong, so that the other keys are read.
fn kind(section: &mut Section<'_>) -> Kind {
    let Some(kind) = section.required("kind", KINDS) else {
        return Kind::Webhook;
    };
    match kind.value.as_str() {
        "webhook" => return Kind::Webhook,
        "grpc" => return Kind::Grpc,
        "mqtt" => return Kind::Mqtt,
        later if LATER.contains(&later) => {
            let text = format!("{later:?} is not supported in this version (write {KINDS})");
            section.report.problem(&kind.spot, text);
        }
        other => {
            let text = format!("{other:?} is not known (write {KINDS})");
            section.report.problem(&kind.spot, text);
        }
    }
    Kind::Webhook
}

/// The receiver's URL, with a warning when `plain` crosses the network.
fn url(section: &mut Section<'_>, rule: &UrlRule, plain: &str, hint: &str) -> Option<Url> {
    let text = section.required("url", hint)?;
    let url = read_url(section, &text, rule)?;
    if url.scheme() == plain && !is_loopback(&url) {
        let secure = rule.schemes.first().unwrap_or(&"https");
        let what = format!("alerts cross the network unencrypted (use {secure}://)");
        section.report.warning(&text.spot, what);
    }
    Some(url)
}

fn webhook(
    section: &mut Section<'_>,
    id: Option<LinkageId>,
    waits: Waits,
) -> Option<WebhookOptions> {
    let hint = "where alerts are posted, such as \"https://host/alerts\"";
    let url = url(section, &WEBHOOK, "http", hint);
    let is_secret_given = SIGNING_SECRET.is_given(section);
    let secret = SIGNING_SECRET.read(section);
    if secret.is_none() && !is_secret_given {
        let what = "is missing (the receiver checks each message's signature with it)";
        section.report.problem(&section.spot("secret_file"), what);
    }
    let ca_file = existing_file(section, "ca_file");
    Some(WebhookOptions {
        id: id?,
        url: url?,
        secret: secret?,
        ca_file,
        connect_timeout: waits.connect(),
        total_timeout: waits.total,
    })
}

fn grpc(
    section: &mut Section<'_>,
    id: Option<LinkageId>,
    site: &Site<'_>,
    waits: Waits,
) -> Option<GrpcOptions> {
    let hint = "where the platform serves AlertSink, such as \"https://host:50051\"";
    let url = url(section, &PLATFORM, "http", hint);
    let is_token_given = TOKEN.is_given(section);
    let token = TOKEN.read(section);
    let ca_file = existing_file(section, "ca_file");
    let has_cert = section.has("cert_file") || section.has("key_file");
    let identity = identity(section);
    if !is_token_given && !has_cert {
        let what = "is missing (the platform knows us by it, or by cert_file and key_file)";
        section.report.problem(&section.spot("token_file"), what);
    }
    if (is_token_given && token.is_none()) || (has_cert && identity.is_none()) {
        return None;
    }
    Some(GrpcOptions {
        id: id?,
        url: url?,
        compound: site.compound?.clone(),
        token,
        ca_file,
        identity,
        connect_timeout: waits.connect(),
        total_timeout: waits.total,
    })
}

/// `cert_file` and `key_file`: both or neither.
fn identity(section: &mut Section<'_>) -> Option<IdentityFiles> {
    let cert_file = existing_file(section, "cert_file");
    let key_file = existing_file(section, "key_file");
    for (one, other) in [("cert_file", "key_file"), ("key_file", "cert_file")] {
        if section.has(one) && !section.has(other) {
            let text = format!("stands alone (add {other})");
            section.report.problem(&section.spot(one), text);
        }
    }
    Some(IdentityFiles {
        cert_file: cert_file?,
        key_file: key_file?,
    })
}

fn mqtt(
    section: &mut Section<'_>,
    id: Option<LinkageId>,
    site: &Site<'_>,
    waits: Waits,
) -> Option<MqttLinkageOptions> {
    let hint = "the broker of the local systems, such as \"mqtts://host:8883\"";
    let url = url(section, &BROKER, "mqtt", hint);
    let is_password_given = section.has("username");
    let login = login(section);
    let ca_file = existing_file(section, "ca_file");
    let compound = site.compound.map_or("", CompoundId::as_str);
    let topic = match section.text("topic") {
        Some(text) => topic(section, text),
        None => Some(format!("{}/{compound}/alerts", site.topic_prefix)),
    };
    let client_id = match section.text("client_id") {
        Some(text) => client_id(section, text),
        None => {
            let id = id.as_ref().map_or("", LinkageId::as_str);
            Some(format!("stairgate-{compound}-{id}"))
        }
    };
    if is_password_given && login.is_none() {
        return None;
    }
    Some(MqttLinkageOptions {
        id: id?,
        url: url?,
        topic: topic?,
        client_id: client_id?,
        login: login.map(|login| (login.username, login.password)),
        ca_file,
        connect_timeout: waits.connect(),
        total_timeout: waits.total,
    })
}

fn topic(section: &Section<'_>, text: At<String>) -> Option<String> {
    if let Err(what) = check_topic(&text.value) {
        section.report.problem(&text.spot, what);
        return None;
    }
    Some(text.value)
}

fn client_id(section: &Section<'_>, text: At<String>) -> Option<String> {
    if text.value.is_empty() || text.value.len() > CLIENT_ID_BYTES_MAX {
        let what = "must be 1 to 96 bytes long, and nobody else's at this broker";
        section.report.problem(&text.spot, what);
        return None;
    }
    Some(text.value)
}

/// What personal data the receiver gets besides; nothing unless asked for.
pub(super) fn include(section: &mut Section<'_>) -> Include {
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

//! `[mqtt]`: the broker between doors and gateway, or the endpoint inside the process.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::devices::FoundDoor;
use super::section::{At, Section};
use super::site::listen_address;
use super::values::{UrlRule, existing_file, is_loopback, login, read_url};
use super::{Login, Mqtt};
use crate::domain::id::{CompoundId, DoorId};
use crate::door::topics::Topics;
use crate::door::{Broker, DoorCredential, EmbeddedBroker, ExternalBroker, TlsOptions};

/// Longest prefix and longest topic taken, in bytes; MQTT allows 65,535.
const TOPIC_BYTES_MAX: usize = 128;
/// Longest client id, in bytes; brokers must take 23 (MQTT 3.1.1, 3.1.3.1) and commonly take more.
const CLIENT_ID_BYTES_MAX: usize = 64;

const BROKER: UrlRule = UrlRule {
    schemes: &["mqtt", "mqtts"],
    example: "\"embedded\", \"mqtt://host:1883\" or \"mqtts://host:8883\"",
};

pub(super) fn read(
    top: &mut Section<'_>,
    compound: Option<&CompoundId>,
    doors: &[FoundDoor],
) -> Mqtt {
    let mut section = top.section("mqtt");
    let topic_prefix = topic_prefix(&mut section, compound);
    let url = section.text("url");
    let client_id = client_id(&mut section, compound);
    let own_login = login(&mut section);
    let ca_file = existing_file(&mut section, "ca_file");
    let has_listen = section.has("listen");
    let listen = listen_address(
        &mut section,
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1_883),
    );
    let credentials = credentials(&mut section, doors);
    let broker = match url {
        Some(url) if url.value != "embedded" => {
            if has_listen {
                let text = "is for url = \"embedded\" only (remove it)";
                section.report.problem(&section.spot("listen"), text);
            }
            for credential in &credentials {
                let text = "is for url = \"embedded\" only: this broker keeps its own log-ins \
                            (remove it)";
                section.report.problem(&credential.spot, text);
            }
            external(&section, &url, own_login, client_id, ca_file)
        }
        Some(_) | None => {
            embedded_only(&section);
            Broker::Embedded(embedded(&section, listen, credentials, doors))
        }
    };
    section.finish();
    Mqtt {
        topic_prefix,
        broker,
    }
}

fn topic_prefix(section: &mut Section<'_>, compound: Option<&CompoundId>) -> String {
    let Some(text) = section.text("topic_prefix") else {
        return "stairgate".to_owned();
    };
    if let Err(what) = check_topic(&text.value) {
        section.report.problem(&text.spot, what);
    } else if let Some(compound) = compound
        && let Err(err) = Topics::new(&text.value, compound)
    {
        section.report.problem(&text.spot, err.to_string());
    }
    text.value
}

/// Is this the name of a topic, or its first levels: no wildcard, no empty level at its ends?
pub(super) fn check_topic(text: &str) -> Result<(), &'static str> {
    if text.is_empty() || text.len() > TOPIC_BYTES_MAX {
        return Err("must be 1 to 128 bytes long");
    }
    if text.contains(['+', '#', '\0']) || text.starts_with('$') {
        return Err("must not have + or # in it, nor begin with $ (write such as \"stairgate\")");
    }
    if text.ends_with('/') {
        return Err("must not end with / (write such as \"stairgate\")");
    }
    Ok(())
}

fn client_id(section: &mut Section<'_>, compound: Option<&CompoundId>) -> String {
    if let Some(text) = section.text("client_id") {
        if text.value.is_empty() || text.value.len() > CLIENT_ID_BYTES_MAX {
            let what = "must be 1 to 64 bytes long and stay the same: it names our session";
            section.report.problem(&text.spot, what);
        }
        return text.value;
    }
    format!("stairgate-{}", compound.map_or("", CompoundId::as_str))
}

fn external(
    section: &Section<'_>,
    text: &At<String>,
    login: Option<Login>,
    client_id: String,
    ca_file: Option<std::path::PathBuf>,
) -> Broker {
    let url = read_url(section, text, &BROKER);
    let is_tls = url.as_ref().is_some_and(|url| url.scheme() == "mqtts");
    if let Some(url) = &url {
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            let what = "has a path (write only the host and port)";
            section.report.problem(&text.spot, what);
        }
        if !is_tls && ca_file.is_some() {
            let what = "is for mqtts:// only (remove it, or use mqtts://)";
            section.report.problem(&section.spot("ca_file"), what);
        }
        if !is_tls && !is_loopback(url) {
            let what = "swipes and passwords cross the network unencrypted (use mqtts:// where \
                        the network is shared)";
            section.report.warning(&text.spot, what);
        }
    }
    let (username, password) = login.map(|login| (login.username, login.password)).unzip();
    let host = url
        .as_ref()
        .and_then(url::Url::host_str)
        .unwrap_or_default();
    Broker::External(ExternalBroker {
        host: host.trim_matches(['[', ']']).to_owned(),
        port: url
            .as_ref()
            .and_then(url::Url::port)
            .unwrap_or(if is_tls { 8_883 } else { 1_883 }),
        tls: is_tls.then_some(TlsOptions { ca_file }),
        client_id,
        username,
        password,
    })
}

/// Keys that mean nothing without a broker of the site's.
fn embedded_only(section: &Section<'_>) {
    for key in ["username", "ca_file"] {
        if section.has(key) {
            section.report.warning(
                &section.spot(key),
                "is not used with url = \"embedded\" (doors log in with their own: door.username)",
            );
        }
    }
}

fn embedded(
    section: &Section<'_>,
    listen: SocketAddr,
    credentials: Vec<At<DoorCredential>>,
    doors: &[FoundDoor],
) -> EmbeddedBroker {
    let covered = |door: &DoorId| {
        credentials
            .iter()
            .any(|credential| credential.value.doors.contains(door))
    };
    if !listen.ip().is_loopback() || !credentials.is_empty() {
        for door in doors {
            let id = &door.config.door.id;
            if covered(id) {
                continue;
            }
            let spot = super::report::Spot {
                key: format!("{}.username", door.spot.key),
                ..door.spot.clone()
            };
            if listen.ip().is_loopback() {
                let text = "other doors have a log-in, this one has none: nobody can speak for it";
                section.report.warning(&spot, text);
            } else {
                section.report.problem(
                    &spot,
                    "is missing: mqtt.listen is not loopback, so every door needs a log-in (add \
                     username and password_file here, or a [[mqtt.credential]] that names it)",
                );
            }
        }
    }
    EmbeddedBroker {
        listen,
        credentials: credentials.into_iter().map(|at| at.value).collect(),
    }
}

/// `[[mqtt.credential]]`, and the log-ins that stand with their doors.
fn credentials(section: &mut Section<'_>, doors: &[FoundDoor]) -> Vec<At<DoorCredential>> {
    let mut credentials: Vec<At<DoorCredential>> = Vec::new();
    for mut entry in section.sections("credential") {
        let found = login(&mut entry);
        if found.is_none() && !entry.has("username") {
            let text = "is missing (each credential has username and password_file)";
            entry.report.problem(&entry.spot("username"), text);
        }
        let names = entry.texts("doors");
        if names.is_empty() {
            let text = "is missing (doors = [\"…\"]: the doors this log-in may speak for)";
            entry.report.problem(&entry.spot("doors"), text);
        }
        let spoken_for = names
            .iter()
            .filter_map(|name| known_door(&entry, name, doors))
            .collect();
        if let Some(login) = found {
            let credential = At {
                value: DoorCredential {
                    username: login.username,
                    password: login.password,
                    doors: spoken_for,
                },
                spot: entry.own_spot(),
            };
            add(&entry, &mut credentials, credential);
        }
        entry.finish();
    }
    for door in doors {
        if let Some(login) = &door.login {
            let credential = At {
                value: DoorCredential {
                    username: login.value.username.clone(),
                    password: login.value.password.clone(),
                    doors: vec![door.config.door.id.clone()],
                },
                spot: login.spot.clone(),
            };
            add(section, &mut credentials, credential);
        }
    }
    credentials
}

/// A user name that comes again with the same password speaks for the doors of both.
fn add(
    section: &Section<'_>,
    credentials: &mut Vec<At<DoorCredential>>,
    credential: At<DoorCredential>,
) {
    let twin = credentials
        .iter_mut()
        .find(|other| other.value.username == credential.value.username);
    match twin {
        Some(twin) if twin.value.password == credential.value.password => {
            for door in credential.value.doors {
                if !twin.value.doors.contains(&door) {
                    twin.value.doors.push(door);
                }
            }
        }
        Some(_) => section.report.problem(
            &credential.spot,
            format!(
                "the user name {:?} stands elsewhere with another password",
                credential.value.username
            ),
        ),
        None => credentials.push(credential),
    }
}

fn known_door(section: &Section<'_>, name: &At<String>, doors: &[FoundDoor]) -> Option<DoorId> {
    let found = doors
        .iter()
        .map(|door| &door.config.door.id)
        .find(|id| id.as_str() == name.value);
    if found.is_none() {
        let text = format!("there is no door {:?}", name.value);
        section.report.problem(&name.spot, text);
    }
    found.cloned()
}

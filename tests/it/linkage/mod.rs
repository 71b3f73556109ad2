//! Linkages against peers of their kind.

pub(crate) mod contract;
pub(crate) mod receiver;

mod grpc;
mod mqtt;
mod proto;
mod python;
mod webhook;

pub(crate) use grpc::{grpc as grpc_options, platform};
pub(crate) use mqtt::Broker;
pub(crate) use webhook::webhook as webhook_options;

use std::collections::BTreeMap;

use stairgate::domain::alert::{Alert, AlertKind};
use stairgate::domain::id::{AlertId, CompoundId, DoorId};
use stairgate::domain::place::Place;
use stairgate::linkage::{AlertEnvelope, Include, SiteFacts};
use stairgate::time::{TimeZone, WallTime};

/// The site of all tests here.
pub(crate) fn facts() -> SiteFacts {
    SiteFacts {
        compound: CompoundId::new("majian-1").unwrap(),
        name: "马涧花园一区".to_owned(),
        stairwells: BTreeMap::new(),
        time_zone: TimeZone::utc(),
        public_url: Some("http://127.0.0.1:1/".parse().unwrap()),
    }
}

/// Alert `n` as raised at `door`.
pub(crate) fn alert(n: u64, kind: AlertKind, door: &str, raised_at: WallTime) -> Alert {
    Alert {
        id: AlertId::derive(&[&n.to_be_bytes()]),
        revision: 1,
        kind,
        raised_at,
        place: Place::Compound,
        door: Some(DoorId::new(door).unwrap()),
        camera: None,
        entry: None,
        count: 1,
        detail: String::new(),
        ended_at: None,
        dwelling: None,
    }
}

/// A message about alert `n`.
pub(crate) fn envelope(n: u64, revision: u32) -> AlertEnvelope {
    let at = WallTime::from_unix_ms(1_795_307_415_120);
    let mut alert = alert(n, AlertKind::Duress, "gate", at);
    alert.revision = revision;
    AlertEnvelope::new(&alert, None, &facts(), &Include::new())
}

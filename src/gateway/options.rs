//! From the checked configuration to each module's options.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{Config, DecisionMode, Receiver};
use crate::domain::id::DoorId;
use crate::domain::place::Door;
use crate::door::{Broker, DoorCredential, DoorOptions, DoorsOptions};
use crate::entry::{EntryOptions, SharedRule};
use crate::footage::FootageOptions;
use crate::linkage::grpc::Grpc;
use crate::linkage::mqtt::Mqtt;
use crate::linkage::webhook::Webhook;
use crate::linkage::{Linkage, SetupError, SiteFacts};
use crate::outbox::{Kinds, LinkagePolicy, LinkageSetup};
use crate::supervise::Supervisor;
use crate::time::Clock;
use crate::web::{Front, WebDoor, WebTls, WebTlsError};

fn door_map(config: &Config) -> BTreeMap<DoorId, Door> {
    config
        .doors
        .iter()
        .map(|c| (c.door.id.clone(), c.door.clone()))
        .collect()
}

pub(super) fn doors(config: &Config) -> DoorsOptions {
    let doors = config.doors.iter().map(|door| DoorOptions {
        id: door.door.id.clone(),
        controller: door.controller.clone(),
    });
    DoorsOptions {
        compound: config.compound.id.clone(),
        topic_prefix: config.mqtt.topic_prefix.clone(),
        time_zone: config.compound.time_zone.clone(),
        broker: config.mqtt.broker.clone(),
        doors: doors.collect(),
    }
}

/// The log-ins of doors at the endpoint inside; none with a broker.
pub(super) fn credentials(config: &Config) -> &[DoorCredential] {
    match &config.mqtt.broker {
        Broker::Embedded(broker) => &broker.credentials,
        Broker::External(_) => &[],
    }
}

pub(super) fn entry(config: &Config) -> EntryOptions {
    let asks_us = config
        .doors
        .iter()
        .filter(|door| door.decision == DecisionMode::Online);
    EntryOptions {
        doors: door_map(config),
        cameras: config
            .cameras
            .iter()
            .map(|c| (c.id.clone(), c.place.clone()))
            .collect(),
        online_doors: asks_us.map(|door| door.door.id.clone()).collect(),
        length: config.footage.clip,
        clocks_agree_within: config.controller_skew_max,
        late_max: config.footage.retention,
        card_shared: SharedRule {
            within: config.card_shared_within,
            buildings: config
                .stairwells
                .iter()
                .map(|stairwell| (stairwell.id.clone(), stairwell.building.clone()))
                .collect(),
        },
    }
}

/// Who is let in over HTTP.
pub(super) fn web_door(config: &Config) -> Result<WebDoor, WebTlsError> {
    let web = &config.web;
    Ok(WebDoor {
        tls: web.tls.clone().map(WebTls::open).transpose()?,
        front: Front {
            public_url: web.public_url.clone().map(Arc::new),
            trusted_proxies: web.trusted_proxies.clone().into(),
            metrics_from: web.metrics_from.clone().into(),
        },
    })
}

pub(super) fn footage(config: &Config) -> FootageOptions {
    FootageOptions::new(
        config.footage.path.clone(),
        config.footage.retention,
        config.footage.free_space_floor,
    )
}

pub(super) fn linkages(
    config: &Config,
    clock: &Clock,
    supervisor: &Supervisor,
) -> Result<Vec<LinkageSetup>, SetupError> {
    let setup = |linkage: &crate::config::Linkage| {
        let receiver: Arc<dyn Linkage> = match &linkage.receiver {
            Receiver::Webhook(options) => Arc::new(Webhook::new(options.clone(), clock.clone())?),
            Receiver::Grpc(options) => Arc::new(Grpc::new(options.clone())?),
            Receiver::Mqtt(options) => Arc::new(Mqtt::new(options.clone(), supervisor)?),
        };
        let mut policy = LinkagePolicy::new(linkage.id.clone());
        policy.kinds = Kinds::Only(linkage.kinds.clone());
        policy.include = linkage.include.clone();
        policy.give_up_after = config.outbox.give_up_after;
        policy.case_changes = linkage.case_changes;
        Ok(LinkageSetup {
            linkage: receiver,
            policy,
        })
    };
    config.linkages.iter().map(setup).collect()
}

pub(super) fn site_facts(config: &Config) -> SiteFacts {
    let stairwells = config.stairwells.iter().map(|s| (s.id.clone(), s.clone()));
    SiteFacts {
        compound: config.compound.id.clone(),
        name: config.compound.name.clone(),
        stairwells: stairwells.collect(),
        time_zone: config.compound.time_zone.clone(),
        public_url: config.web.public_url.clone(),
    }
}

//! The configuration as each module's options.

use super::Config;
use crate::domain::card::CardHasher;
use crate::door::{DoorOptions, DoorsOptions};
use crate::linkage::envelope::SiteFacts;
use crate::roster::RosterOptions;
use crate::store::StoreOptions;

impl Config {
    /// Of the store.
    pub fn store_options(&self) -> StoreOptions {
        StoreOptions {
            path: self.store.path.clone(),
        }
    }

    /// Of the doors and their broker.
    pub fn doors_options(&self) -> DoorsOptions {
        let doors = self.doors.iter().map(|door| DoorOptions {
            id: door.door.id.clone(),
            controller: door.controller.clone(),
        });
        DoorsOptions {
            compound: self.compound.id.clone(),
            topic_prefix: self.mqtt.topic_prefix.clone(),
            time_zone: self.compound.time_zone.clone(),
            broker: self.mqtt.broker.clone(),
            doors: doors.collect(),
        }
    }

    /// Of the roster, with the site's key.
    pub fn roster_options(&self, hasher: CardHasher) -> RosterOptions {
        RosterOptions {
            file: self.roster_file.clone(),
            stairwells: self.stairwells.iter().map(|s| s.id.clone()).collect(),
            time_zone: self.compound.time_zone.clone(),
            limit: self.limit.clone(),
            at_door: self.at_door,
            hasher,
        }
    }

    /// What alerts say of the site.
    pub fn site_facts(&self) -> SiteFacts {
        let stairwells = self.stairwells.iter().cloned();
        SiteFacts {
            compound: self.compound.id.clone(),
            name: self.compound.name.clone(),
            stairwells: stairwells.map(|s| (s.id.clone(), s)).collect(),
            time_zone: self.compound.time_zone.clone(),
            public_url: self.web.public_url.clone(),
        }
    }
}

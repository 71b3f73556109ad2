//! The configuration as the options of modules that commands use without a gateway.

use super::Config;
use crate::domain::card::CardHasher;
use crate::roster::RosterOptions;
use crate::store::StoreOptions;

impl Config {
    /// Of the store.
    pub fn store_options(&self) -> StoreOptions {
        StoreOptions {
            path: self.store.path.clone(),
        }
    }

    /// Of the roster, with the site's key.
    pub fn roster_options(&self, hasher: CardHasher) -> RosterOptions {
        RosterOptions {
            file: self.roster_file.clone(),
            stairwells: self
                .stairwells
                .iter()
                .map(|stairwell| (stairwell.id.clone(), stairwell.clone()))
                .collect(),
            time_zone: self.compound.time_zone.clone(),
            limit: self.limit.clone(),
            at_door: self.at_door,
            hasher,
            key_file: self.store.ledger_key_file.clone(),
        }
    }
}

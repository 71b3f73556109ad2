//! The ledger alone, opened while the gateway does not run: for the commands that import and export.

use super::BuildError;
use super::options;
use crate::config::Config;
use crate::entry;
use crate::outbox::{Outbox, OutboxBase, OutboxOptions};
use crate::roster::{LedgerBase, Roster, open_site_key};
use crate::store::{Store, StoreOptions};
use crate::supervise::Supervisor;
use crate::telemetry::{self, HealthBoard};
use crate::time::Clock;

/// The ledger with what it stands on. The alerts that a change raises get their deliveries as in the
/// running gateway, which sends them when it starts.
#[derive(Debug)]
pub struct OpenLedger {
    roster: Roster,
    outbox: Outbox,
    store: Store,
    _supervisor: Supervisor,
}

impl OpenLedger {
    /// Opens the store and the roster of `config`.
    ///
    /// # Errors
    /// [`BuildError`]; [`BuildError::is_in_use`] when the gateway is running.
    pub async fn open(config: &Config, clock: Clock) -> Result<OpenLedger, BuildError> {
        let supervisor = Supervisor::new();
        let mut registry = telemetry::registry();
        let hasher = open_site_key(&config.store.key_file, &config.store.path)
            .map_err(BuildError::SiteKey)?;
        let store_options = StoreOptions {
            path: config.store.path.clone(),
        };
        let store = Store::open(&store_options, &supervisor.group(), &mut registry)
            .map_err(BuildError::Store)?;
        entry::take_over(&store).await.map_err(BuildError::Store)?;
        let linkages =
            options::linkages(config, &clock, &supervisor).map_err(BuildError::Linkage)?;
        let base = OutboxBase {
            store: store.clone(),
            clock: clock.clone(),
            supervisor: supervisor.clone(),
            board: HealthBoard::new(clock.clone()),
        };
        let outbox_options = OutboxOptions {
            flood: config.outbox.flood,
            ..OutboxOptions::default()
        };
        let facts = options::site_facts(config);
        let (outbox, _) = Outbox::start(base, outbox_options, linkages, facts, &mut registry)
            .map_err(BuildError::Store)?;
        outbox.set_case_rules(config.case.rules.clone());
        let base = LedgerBase {
            store: store.clone(),
            outbox: outbox.clone(),
            clock,
        };
        let roster = Roster::open(base, config.roster_options(hasher)).await;
        let roster = match roster.map_err(BuildError::Roster) {
            Ok(roster) => roster,
            Err(err) => {
                outbox.stop().await;
                store.close().await;
                return Err(err);
            }
        };
        Ok(OpenLedger {
            roster,
            outbox,
            store,
            _supervisor: supervisor,
        })
    }

    /// The roster.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Ends it, with everything on the disk.
    pub async fn close(self) {
        self.outbox.stop().await;
        self.store.close().await;
    }
}

//! Taking in a changed configuration while the gateway runs: the one way, for SIGHUP and for the API.
//!
//! What can change is stairwells, cameras, doors and their log-ins, linkages, limits, deadlines, and the
//! compound's name. Addresses, folders and keys need a restart.

use std::sync::Arc;

use tracing::{error, info};

use super::{Parts, card_lists, options};
use crate::config::{Config, Receiver};
use crate::door::CredentialError;
use crate::error::chain;
use crate::linkage::SetupError;
use crate::roster::LedgerError;
use crate::store::StoreError;

/// Why a configuration cannot be taken in.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReloadError {
    /// A linkage cannot be set up.
    #[error("set up the linkages")]
    Linkages(#[source] SetupError),
    /// The log-ins of the doors cannot be meant so.
    #[error("read the log-ins of the doors")]
    Doors(#[source] CredentialError),
    /// Stairwells and limits cannot be kept.
    #[error("keep stairwells and limits")]
    Roster(#[source] LedgerError),
    /// What waits for the linkages cannot be read.
    #[error("read what waits for the linkages")]
    Outbox(#[source] StoreError),
}

/// Makes the running gateway be as `config` says; `old` is what it runs with. After an error it may be
/// between the two: the caller takes `old` in again.
pub(super) async fn take_in(
    parts: &Parts,
    config: &Config,
    old: &Config,
) -> Result<(), ReloadError> {
    // First what can fail and has done nothing then.
    let linkages = if keeps_couriers(config, old) {
        None
    } else {
        let linkages = options::linkages(config, &parts.clock, &parts.supervisor);
        Some(linkages.map_err(ReloadError::Linkages)?)
    };
    let roster = config.roster_options(parts.roster.card_hasher().clone());
    let set = parts.roster.set_options(&roster).await;
    set.map_err(ReloadError::Roster)?;
    parts.outbox.set_case_rules(config.case.rules.clone());
    let facts = options::site_facts(config);
    match linkages {
        Some(linkages) => {
            let reloaded = parts.outbox.reload(linkages, facts).await;
            reloaded.map_err(ReloadError::Outbox)?;
        }
        None => parts.outbox.set_facts(facts),
    }
    let site = options::entry(config);
    parts.conditions.options.store(Arc::new(site));
    let doors = options::doors(config).doors;
    let reloaded = parts.doors.reload(&doors, options::credentials(config));
    reloaded.map_err(ReloadError::Doors)?;
    let changed = parts.cameras.reload(config.cameras.clone());
    for camera in &changed.removed {
        parts.footage.detach(camera);
    }
    for camera in &changed.added {
        if let Some(feed) = parts.cameras.feed(camera) {
            parts.footage.attach(feed);
        }
    }
    // A failure is the store's, and it says so itself.
    if let Err(err) = parts.conditions.forget_unknown().await {
        error!(error = %chain(&err), "conditions cannot be ended");
    }
    card_lists::mark_all(parts);
    info!(
        n_added = changed.added.len(),
        n_removed = changed.removed.len(),
        n_restarted = changed.restarted.len(),
        n_doors = config.doors.len(),
        n_linkages = config.linkages.len(),
        "configuration taken in"
    );
    Ok(())
}

/// May the couriers go on as they are? Not when a file beside the configuration may have changed.
fn keeps_couriers(config: &Config, old: &Config) -> bool {
    let reads_files = |receiver: &Receiver| match receiver {
        Receiver::Webhook(options) => options.ca_file.is_some(),
        Receiver::Grpc(options) => options.ca_file.is_some() || options.identity.is_some(),
        Receiver::Mqtt(options) => options.ca_file.is_some(),
    };
    config.linkages == old.linkages
        && config.outbox.give_up_after == old.outbox.give_up_after
        && !config
            .linkages
            .iter()
            .any(|linkage| reads_files(&linkage.receiver))
}

//! `rotate-key`: a new key for the ledger, and everything sealed anew with it, while the gateway is not
//! running.

use std::path::Path;

use super::printer::Printer;
use super::{Exit, block_on, failed, load_config};
use crate::audit;
use crate::config::Config;
use crate::domain::audit::{AuditAct, AuditEvent};
use crate::roster::{LedgerKeys, old_file, seal_anew};
use crate::store::{Store, StoreError};
use crate::supervise::Supervisor;
use crate::telemetry;
use crate::time::Clock;

pub(super) fn rotate(file: &Path, printer: &Printer) -> Exit {
    let config = match load_config(file, printer) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    if !config.store.path.join("db").exists() {
        printer.err(&format!(
            "stairgate: there is no store at {} (nothing is sealed yet: the first start makes a key)",
            config.store.path.display()
        ));
        return Exit::Failed;
    }
    block_on(printer, rotate_open(&config, printer))
}

async fn record(store: &Store, n_sealed: usize) -> Result<(), StoreError> {
    let detail = format!("a new key; {n_sealed} records sealed with it");
    let now = Clock::system().now();
    let event = AuditEvent::by_command(now, AuditAct::Change, "ledger key", detail);
    audit::append(store, event).await.map(drop)
}

async fn rotate_open(config: &Config, printer: &Printer) -> Exit {
    let supervisor = Supervisor::new();
    let mut registry = telemetry::registry();
    // First the store's lock: a running gateway must not be left with a key that is no longer there.
    let store = match Store::open(&config.store_options(), &supervisor, &mut registry) {
        Ok(store) => store,
        Err(err) => return failed(printer, &err),
    };
    let key_file = &config.store.ledger_key_file;
    let sealed = match LedgerKeys::rotate(key_file) {
        Ok(keys) => seal_anew(&store, &keys).await,
        Err(err) => {
            store.close().await;
            return failed(printer, &err);
        }
    };
    let recorded = match &sealed {
        Ok(n_sealed) => record(&store, *n_sealed).await,
        Err(_) => Ok(()),
    };
    store.close().await;
    if let Err(err) = recorded {
        return failed(printer, &err);
    }
    match sealed {
        Ok(n_sealed) => {
            printer.out(&format!(
                "{n_sealed} records are sealed with the new key {}.\nKeep {} with the backups made \
                 before, and nowhere else.",
                key_file.display(),
                old_file(key_file).display()
            ));
            Exit::Done
        }
        Err(err) => failed(printer, &err),
    }
}

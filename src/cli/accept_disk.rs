//! `accept-disk`: after a footage disk was replaced, the folder that is there now is the right one.

use std::path::Path;

use super::printer::Printer;
use super::{Exit, block_on, failed, load_config};
use crate::audit;
use crate::config::Config;
use crate::domain::audit::{AuditAct, AuditEvent};
use crate::store::{Store, StoreError, tables};
use crate::supervise::Supervisor;
use crate::telemetry;
use crate::time::Clock;

pub(super) fn accept(file: &Path, printer: &Printer) -> Exit {
    let config = match load_config(file, printer) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let shown = config.footage.path.display();
    if !config.footage.path.is_dir() {
        printer.err(&format!(
            "stairgate: there is no folder {shown} (mount the new disk, and make the folder)"
        ));
        return Exit::Failed;
    }
    if !config.store.path.join("db").exists() {
        printer.err(&format!(
            "stairgate: there is no store at {} (nothing to change: the first start takes {shown})",
            config.store.path.display()
        ));
        return Exit::Failed;
    }
    block_on(printer, forget_mark(&config, printer))
}

async fn record(store: &Store, config: &Config) -> Result<(), StoreError> {
    let detail = format!("{} taken as it is", config.footage.path.display());
    let now = Clock::system().now();
    let event = AuditEvent::by_command(now, AuditAct::Change, "footage disk", detail);
    audit::append(store, event).await.map(drop)
}

/// Without a mark in the store the next start takes the folder's, or marks the folder.
async fn forget_mark(config: &Config, printer: &Printer) -> Exit {
    let supervisor = Supervisor::new();
    let mut registry = telemetry::registry();
    let store = match Store::open(&config.store_options(), &supervisor, &mut registry) {
        Ok(store) => store,
        Err(err) => return failed(printer, &err),
    };
    let result = store
        .write(|txn| {
            txn.delete(tables::FOOTAGE_MARK, &());
            Ok(())
        })
        .await;
    let result = match result {
        Ok(()) => record(&store, config).await,
        Err(err) => Err(err),
    };
    store.close().await;
    match result {
        Ok(()) => {
            printer.out(&format!(
                "{}: taken as the footage disk at the next start",
                config.footage.path.display()
            ));
            Exit::Done
        }
        Err(err) => failed(printer, &err),
    }
}

//! `verify-store`: every invariant of the store, while the gateway is not running.

use std::path::Path;

use super::printer::Printer;
use super::{Exit, block_on, failed, load_config};
use crate::config::Config;
use crate::store::{self, Store};
use crate::supervise::Supervisor;
use crate::telemetry;

pub(super) fn verify(file: &Path, printer: &Printer) -> Exit {
    let config = match load_config(file, printer) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    if !config.store.path.join("db").exists() {
        printer.err(&format!(
            "stairgate: there is no store at {} (is store.path right?)",
            config.store.path.display()
        ));
        return Exit::Failed;
    }
    block_on(printer, verify_open(&config, printer))
}

async fn verify_open(config: &Config, printer: &Printer) -> Exit {
    let supervisor = Supervisor::new();
    let mut registry = telemetry::registry();
    let store = match Store::open(&config.store_options(), &supervisor, &mut registry) {
        Ok(store) => store,
        Err(err) => return failed(printer, &err),
    };
    let findings = store::verify(&store);
    store.close().await;
    match findings {
        Ok(findings) if findings.is_empty() => {
            let path = config.store.path.display();
            printer.out(&format!("{path}: every invariant holds"));
            Exit::Done
        }
        Ok(findings) => {
            for finding in &findings {
                printer.out(&finding.to_string());
            }
            let path = config.store.path.display();
            printer.err(&format!("{path}: {} findings", findings.len()));
            Exit::Failed
        }
        Err(err) => failed(printer, &err),
    }
}

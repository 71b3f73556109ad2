//! `verify-store`: every invariant of the store, and whether the footage it lists is on the disk, while
//! the gateway is not running.

use std::path::Path;

use super::printer::Printer;
use super::{Exit, block_on, failed, load_config};
use crate::config::Config;
use crate::store::{self, Store, StoreError, tables};
use crate::supervise::Supervisor;
use crate::telemetry;

/// Findings listed, at most.
const FINDINGS_MAX: usize = 1_000;

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
    let findings = find(&store, &config.footage.path);
    store.close().await;
    let path = config.store.path.display();
    match findings {
        Ok(findings) if findings.is_empty() => {
            printer.out(&format!("{path}: every invariant holds"));
            Exit::Done
        }
        Ok(findings) => {
            for finding in &findings {
                printer.out(finding);
            }
            printer.err(&format!("{path}: {} findings", findings.len()));
            Exit::Failed
        }
        Err(err) => failed(printer, &err),
    }
}

fn find(store: &Store, footage: &Path) -> Result<Vec<String>, StoreError> {
    let findings = store::verify(store)?;
    let mut findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
    find_files(store, footage, &mut findings)?;
    Ok(findings)
}

/// Every listed file is there and at least as long as what is durable of it.
fn find_files(store: &Store, footage: &Path, findings: &mut Vec<String>) -> Result<(), StoreError> {
    for row in store.scan(tables::FOOTAGE, &()) {
        if findings.len() >= FINDINGS_MAX {
            break;
        }
        let (name, record) = row?;
        match std::fs::metadata(footage.join(name.as_str())) {
            Ok(metadata) if metadata.len() >= record.bytes => {}
            Ok(metadata) => findings.push(format!(
                "{} has {} bytes, of which {} should be there",
                name.as_str(),
                metadata.len(),
                record.bytes
            )),
            Err(err) => findings.push(format!(
                "{} cannot be found in {}: {err} (is its disk mounted?)",
                name.as_str(),
                footage.display()
            )),
        }
    }
    Ok(())
}

//! `run`: the gateway itself.

use std::path::Path;

use tracing::warn;

use super::printer::Printer;
use super::{Exit, failed, load_config};
use crate::telemetry::init_logs;

pub(super) fn run(file: &Path, printer: &Printer) -> Exit {
    let config = match load_config(file, printer) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    if let Err(err) = init_logs(&config.log) {
        failed(printer, &err);
        return Exit::BadConfig;
    }
    for problem in &config.warnings {
        warn!(problem = %problem.show(&config.file), "configuration");
    }
    printer.err("stairgate: the gateway is not wired yet");
    Exit::Failed
}

//! `check-config`: every mistake of the configuration and of its roster.

use std::path::Path;

use super::printer::Printer;
use super::{Exit, load_config};
use crate::config::Config;
use crate::domain::card::CardHasher;
use crate::roster::{FileReport, RosterError, check_file};
use crate::time::Clock;

pub(super) fn check(file: &Path, printer: &Printer) -> Exit {
    let config = match load_config(file, printer) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    for warning in &config.warnings {
        printer.warn(&warning.show(&config.file));
    }
    let roster = match check_roster(&config, printer) {
        Ok(roster) => roster,
        Err(err) => {
            printer.err(&err.to_string());
            return Exit::BadConfig;
        }
    };
    let counts = [
        count(config.stairwells.len(), "stairwell"),
        count(config.cameras.len(), "camera"),
        count(config.doors.len(), "door"),
        count(config.linkages.len(), "linkage"),
    ];
    let of_roster = roster.as_ref().map(|roster| {
        let dwellings = count(roster.n_dwellings, "dwelling");
        format!(", {dwellings}, {}", count(roster.n_cards, "card"))
    });
    let n_over_limit = roster.map_or(0, |roster| roster.over_limit.len());
    let n_warnings = config.warnings.len() + n_over_limit;
    printer.out(&format!(
        "{}: good: {}{}; {}",
        file.display(),
        counts.join(", "),
        of_roster.unwrap_or_default(),
        count(n_warnings, "warning")
    ));
    Exit::Done
}

/// Reads the roster file as the first start would. Its key for card numbers does not matter here.
fn check_roster(config: &Config, printer: &Printer) -> Result<Option<FileReport>, RosterError> {
    let Some(file) = &config.roster_file else {
        return Ok(None);
    };
    let options = config.roster_options(CardHasher::new(&[0; 32]));
    let report = check_file(file, &options, &Clock::system())?;
    for (dwelling, n_holders, limit) in &report.over_limit {
        printer.warn(&format!(
            "{}: dwelling {dwelling}: {n_holders} cardholders, its limit is {limit}",
            file.display(),
        ));
    }
    Ok(Some(report))
}

fn count(n: usize, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {noun}{plural}")
}

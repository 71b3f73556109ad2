//! `check-config`: every mistake of the configuration and of its roster.

use std::path::Path;

use super::printer::Printer;
use super::{Exit, load_config};
use crate::config::Config;
use crate::domain::card::CardHasher;
use crate::roster::{Roster, RosterError};
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
        count(roster.n_dwellings, "dwelling"),
        count(roster.n_cards, "card"),
    ];
    let n_warnings = config.warnings.len() + roster.n_over_limit;
    printer.out(&format!(
        "{}: good: {}; {}",
        file.display(),
        counts.join(", "),
        count(n_warnings, "warning")
    ));
    Exit::Done
}

struct RosterCounts {
    n_dwellings: usize,
    n_cards: usize,
    n_over_limit: usize,
}

/// Reads the roster as the gateway would. Its key for card numbers does not matter here.
fn check_roster(config: &Config, printer: &Printer) -> Result<RosterCounts, RosterError> {
    let options = config.roster_options(CardHasher::new(&[0; 32]));
    let roster = Roster::load(options, Clock::system())?;
    let dwellings = roster.dwellings();
    let over_limit: Vec<_> = dwellings
        .iter()
        .filter(|found| found.reckoning.is_over())
        .collect();
    let file = config.roster_file.as_deref().unwrap_or(Path::new(""));
    for found in &over_limit {
        printer.warn(&format!(
            "{}: dwelling {}: {} cardholders, its limit is {}",
            file.display(),
            found.dwelling.id,
            found.reckoning.n_holders(),
            found.reckoning.limit.unwrap_or_default(),
        ));
    }
    Ok(RosterCounts {
        n_dwellings: dwellings.len(),
        n_cards: roster.view().cards.len(),
        n_over_limit: over_limit.len(),
    })
}

fn count(n: usize, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {noun}{plural}")
}

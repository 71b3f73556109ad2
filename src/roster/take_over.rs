//! The roster file is taken over once, into an empty ledger; later the ledger is the only authority.
//!
//! What the file says was so before the ledger, so persons beyond a limit are taken and their dwellings
//! are over it. Every row must be usable, or nothing is taken.

use std::path::Path;

use tracing::{info, warn};

use super::ledger::{
    Batch, BeyondLimit, CardFacts, Change, HolderFacts, Mode, Outcome, Step, Validity,
};
use super::problem::Problems;
use super::{Roster, RosterError, RosterOpenError, RosterOptions, csv_file};
use crate::domain::id::DwellingId;
use crate::domain::reckoning::{Holding, Moment, Occupant, reckon};
use crate::domain::role::{Actor, ActorName, Role};
use crate::supervise::blocking;
use crate::time::{Clock, WallTime};

/// Under which name the file's changes stand in the history.
const ACTOR: &str = "roster-file";

/// What a roster file would bring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileReport {
    /// Dwellings in it.
    pub n_dwellings: usize,
    /// Cards in it.
    pub n_cards: usize,
    /// Dwellings with more cardholders than their limit: how many, and the limit.
    pub over_limit: Vec<(DwellingId, u32, u32)>,
}

/// Reads a roster file as the first start would. Blocks.
///
/// # Errors
/// [`RosterError`] with every row that cannot be used.
pub fn check_file(
    file: &Path,
    options: &RosterOptions,
    clock: &Clock,
) -> Result<FileReport, RosterError> {
    let rows = csv_file::read(file, options)?;
    let now = Moment::of(clock.now(), &options.time_zone);
    let mut report = FileReport {
        n_dwellings: rows.dwellings.len(),
        n_cards: 0,
        over_limit: Vec::new(),
    };
    for row in &rows.dwellings {
        let occupants = occupants(&row.holders, options);
        let reckoning = reckon(&options.limit, &row.dwelling, &occupants, now);
        if reckoning.is_over() {
            let limit = reckoning.limit.unwrap_or_default();
            let over = (row.dwelling.id.clone(), reckoning.n_holders(), limit);
            report.over_limit.push(over);
        }
        let n_cards = row.holders.iter().map(|holder| holder.cards.len());
        report.n_cards += n_cards.sum::<usize>();
    }
    Ok(report)
}

fn occupants(holders: &[csv_file::HolderRows], options: &RosterOptions) -> Vec<Occupant> {
    let occupant = |(idx, holder): (usize, &csv_file::HolderRows)| {
        let cards = holder
            .cards
            .iter()
            .map(|card| (card.state, card.valid_until));
        Occupant {
            id: holder.id.clone(),
            person: options.hasher.person_of(None, &holder.id),
            relation: holder.relation.clone(),
            from: None,
            to: None,
            added_at: WallTime::from_unix_ns(i64::try_from(idx).unwrap_or(i64::MAX)),
            holding: Holding::of(cards),
        }
    };
    holders.iter().enumerate().map(occupant).collect()
}

/// Takes the file over into the empty ledger.
pub(super) async fn take_over(
    roster: &Roster,
    options: &RosterOptions,
) -> Result<(), RosterOpenError> {
    let Some(file) = options.file.clone() else {
        return Ok(());
    };
    let reader = options.clone();
    let path = file.clone();
    let read = blocking("read the roster file", move || {
        csv_file::read(&path, &reader)
    });
    let rows = read.await.map_err(super::OpenError::Blocking)?;
    let rows = rows.map_err(RosterOpenError::File)?;
    if rows.dwellings.is_empty() {
        return Ok(());
    }
    let (steps, lines) = steps(rows);
    let batch = Batch {
        by: Actor {
            name: ActorName::new(ACTOR).expect("it is a lower-case word"),
            role: Role::PropertyManager,
        },
        why: "taken over at the first start".to_owned(),
        steps,
        mode: Mode::AllOrNothing,
        beyond_limit: BeyondLimit::Admit,
        if_seq: Some(0),
    };
    let applied = roster.apply(batch).await?;
    let mut problems = Problems::default();
    for (outcome, line) in applied.outcomes.iter().zip(&lines) {
        if let Outcome::Refused(refusal) = outcome {
            problems.add(*line, "", refusal.to_string());
        }
    }
    problems
        .into_result(&file, ())
        .map_err(RosterOpenError::File)?;
    warn_of_surplus(roster);
    info!(
        n_dwellings = roster.book().n_dwellings(),
        n_cards = roster.book().n_cards(),
        "roster file taken over; from now on the ledger is what counts, and the file may go"
    );
    Ok(())
}

fn warn_of_surplus(roster: &Roster) {
    let (book, now) = (roster.book(), roster.moment());
    for household in book.households(None) {
        let reckoning = household.reckon(book.policy(), now);
        if reckoning.is_over() {
            warn!(
                dwelling = %household.dwelling.id,
                limit = reckoning.limit.unwrap_or_default(),
                n_holders = reckoning.n_holders(),
                "dwelling has more cardholders than its limit"
            );
        }
    }
}

/// The file as steps, with the line that each comes from.
fn steps(rows: csv_file::Rows) -> (Vec<Step>, Vec<u64>) {
    let mut steps = Vec::new();
    let mut lines = Vec::new();
    let mut push = |change: Change, line: u64| {
        steps.push(Step::from(change));
        lines.push(line);
    };
    for row in rows.dwellings {
        let dwelling = row.dwelling.id.clone();
        push(Change::PutDwelling(row.dwelling), row.line);
        for holder in row.holders {
            let facts = HolderFacts {
                dwelling: dwelling.clone(),
                name: holder.name,
                relation: holder.relation,
                person: None,
                from: None,
                to: None,
            };
            push(Change::AddHolder(holder.id.clone(), facts), holder.line);
            for card in holder.cards {
                let facts = CardFacts {
                    holder: holder.id.clone(),
                    state: card.state,
                    validity: Validity {
                        from: card.valid_from,
                        until: card.valid_until,
                    },
                };
                push(Change::IssueCard(card.number, facts), card.line);
            }
        }
    }
    (steps, lines)
}

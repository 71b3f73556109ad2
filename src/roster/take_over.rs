//! The roster file is taken over once, into an empty ledger; later the ledger is the only authority.
//!
//! What the file says was so before the ledger, so persons beyond a limit are taken and their dwellings
//! are over it. Every row must be usable, or nothing is taken.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use tracing::{info, warn};

use super::ledger::{
    Batch, BeyondLimit, CardFacts, Change, HolderFacts, Mode, Outcome, Refusal, Snapshot, Step,
};
use super::sheet::{
    Addresses, FILE_BYTES_MAX, Finding, Missing, PlaceBook, Plan, ReadOptions, gather, in_words,
    plan, read,
};
use super::{Roster, RosterError, RosterOpenError, RosterOptions};
use crate::domain::dwelling::{Dwelling, Tenure};
use crate::domain::id::{CardholderId, DwellingId};
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
    let now = Moment::of(clock.now(), &options.time_zone);
    let plan = plan_of(file, options, now)?;
    let (mut dwellings, mut occupants, mut cards) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    let mut n_cards = 0;
    for planned in &plan.steps {
        match &planned.change {
            Change::PutDwelling(dwelling) => dwellings.push(dwelling),
            Change::AddHolder(id, facts) => {
                let of_dwelling: &mut Vec<_> = occupants.entry(&facts.dwelling).or_default();
                of_dwelling.push((id, facts));
            }
            Change::IssueCard(_, facts) => {
                n_cards += 1;
                cards
                    .entry(&facts.holder)
                    .or_insert_with(Vec::new)
                    .push(facts);
            }
            Change::ChangeHolder(..)
            | Change::RemoveHolder(_)
            | Change::SetCardState(..)
            | Change::RedateCard(..) => {}
        }
    }
    let mut over_limit = Vec::new();
    for dwelling in &dwellings {
        let holders = occupants.get(&dwelling.id).map_or(&[][..], Vec::as_slice);
        let occupants: Vec<Occupant> = holders
            .iter()
            .enumerate()
            .map(|(idx, (id, facts))| {
                let cards = cards.get(id).map_or(&[][..], Vec::as_slice);
                occupant(idx, id, facts, cards, options)
            })
            .collect();
        let reckoning = reckon(&options.limit, dwelling, &occupants, now);
        if reckoning.is_over() {
            let limit = reckoning.limit.unwrap_or_default();
            over_limit.push((dwelling.id.clone(), reckoning.n_holders(), limit));
        }
    }
    Ok(FileReport {
        n_dwellings: dwellings.len(),
        n_cards,
        over_limit,
    })
}

fn occupant(
    idx: usize,
    id: &CardholderId,
    facts: &HolderFacts,
    cards: &[&CardFacts],
    options: &RosterOptions,
) -> Occupant {
    let cards = cards.iter().map(|card| (card.state, card.validity.until));
    Occupant {
        id: id.clone(),
        person: options.hasher.person_of(facts.person.as_ref(), id),
        relation: facts.relation.clone(),
        from: facts.from,
        to: facts.to,
        added_at: WallTime::from_unix_ns(i64::try_from(idx).unwrap_or(i64::MAX)),
        holding: Holding::of(cards),
    }
}

/// What the file would change in an empty ledger.
fn plan_of(file: &Path, options: &RosterOptions, now: Moment) -> Result<Plan, RosterError> {
    let bytes = read_file(file).map_err(|err| RosterError::of_io(file, &err))?;
    let stairwells = options.stairwells.values();
    let walls = stairwells.map(|at| (&at.id, at.building.as_str(), at.unit.as_str()));
    let by = ReadOptions {
        places: Arc::new(PlaceBook::new(walls)),
        time_zone: options.time_zone.clone(),
        today: now.day,
    };
    let book = read(&bytes, &by).map_err(|reason| RosterError::of_file(file, reason))?;
    let wanted = gather(book, &Addresses::new());
    let mut plan = plan(
        wanted,
        &Snapshot::default(),
        Missing::Keeps,
        &options.time_zone,
    );
    let wrong_beds = plan.steps.iter().filter_map(|planned| {
        let Change::PutDwelling(dwelling) = &planned.change else {
            return None;
        };
        has_wrong_beds(dwelling).then(|| Finding {
            at: planned.at.clone(),
            letters: None,
            column: Some(super::sheet::Column::Beds),
            reason: in_words(&Refusal::Beds),
        })
    });
    let wrong_beds: Vec<Finding> = wrong_beds.collect();
    plan.refused.extend(wrong_beds);
    plan.refused
        .sort_by(|a, b| (&a.at, a.letters).cmp(&(&b.at, b.letters)));
    match RosterError::of_rows(file, &plan.refused) {
        Some(err) => Err(err),
        None => Ok(plan),
    }
}

/// The ledger refuses it too; said before there is one.
fn has_wrong_beds(dwelling: &Dwelling) -> bool {
    (dwelling.tenure == Tenure::Dormitory) != dwelling.beds.is_some()
}

fn read_file(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more shows that it is too large, which the reader then says.
    let bound = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX);
    std::fs::File::open(file)?
        .take(bound.saturating_add(1))
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Takes the file over into the empty ledger.
pub(super) async fn take_over(
    roster: &Roster,
    options: &RosterOptions,
) -> Result<(), RosterOpenError> {
    let Some(file) = options.file.clone() else {
        return Ok(());
    };
    let (reader, path, now) = (options.clone(), file.clone(), roster.moment());
    let plan = blocking("read the roster file", move || plan_of(&path, &reader, now));
    let plan = plan.await.map_err(super::OpenError::Blocking)?;
    let plan = plan.map_err(RosterOpenError::File)?;
    if plan.steps.is_empty() {
        return Ok(());
    }
    let steps = plan.steps.iter();
    let batch = Batch {
        by: Actor {
            name: ActorName::new(ACTOR).expect("it is a lower-case word"),
            role: Role::PropertyManager,
        },
        why: "taken over at the first start".to_owned(),
        steps: steps
            .map(|planned| Step::from(planned.change.clone()))
            .collect(),
        mode: Mode::AllOrNothing,
        beyond_limit: BeyondLimit::Admit,
        if_seq: Some(0),
    };
    let applied = roster.apply(batch).await?;
    let refused = applied.outcomes.iter().zip(&plan.steps);
    let refused: Vec<Finding> = refused
        .filter_map(|(outcome, planned)| match outcome {
            Outcome::Refused(refusal) => Some(Finding {
                at: planned.at.clone(),
                letters: None,
                column: Some(planned.column),
                reason: in_words(refusal),
            }),
            Outcome::Done { .. } | Outcome::Unchanged => None,
        })
        .collect();
    if let Some(err) = RosterError::of_rows(&file, &refused) {
        return Err(RosterOpenError::File(err));
    }
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

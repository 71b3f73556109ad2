//! Who may enter: dwellings, cardholders and cards, as one immutable view for the decision and as
//! card lists for the doors.
//!
//! For now they come from a CSV file that someone keeps; a change is taken in by [`Roster::reload`].
//! Not here: issuing and revoking.

mod csv_file;
mod ledger;
mod problem;
pub mod sheet;
mod site_key;

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tracing::{info, warn};

pub use ledger::{
    Applied, Batch, BeyondLimit, CardFacts, Change, HolderFacts, KnownCard, KnownHolder, Mode,
    Outcome, Refusal, STEPS_MAX, Snapshot, Step, Validity, WHY_CHARS_MAX,
};
pub use problem::{RosterError, RowProblem};
pub use site_key::{SiteKeyError, open_site_key};

use crate::domain::access::{AccessView, AtDoor, CardGrant, CardState};
use crate::domain::card::{CardHasher, CardNumber};
use crate::domain::dwelling::{Day, Dwelling};
use crate::domain::id::StairwellId;
use crate::domain::person::PersonKey;
use crate::domain::place::Place;
use crate::domain::reckoning::{Holding, LimitPolicy, Moment, Occupant, Reckoning, reckon};
use crate::time::{Clock, TimeZone, WallTime};

/// Where the roster comes from and by which rules it is read.
#[derive(Clone, Debug)]
pub struct RosterOptions {
    /// The CSV file; `None`: nobody is known.
    pub file: Option<PathBuf>,
    /// The stairwells there are; a dwelling elsewhere is refused.
    pub stairwells: BTreeSet<StairwellId>,
    /// In which the file's dates are meant.
    pub time_zone: TimeZone,
    /// How many cardholders a dwelling may have.
    pub limit: LimitPolicy,
    /// What those beyond the limit meet at the door.
    pub at_door: AtDoor,
    /// The site's key for card numbers.
    pub hasher: CardHasher,
}

/// A dwelling and how many may, and do, hold cards for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReckonedDwelling {
    /// The dwelling.
    pub dwelling: Dwelling,
    /// Its limit, who counts and who does not. Only those appear who have a card that is active now
    /// or later; the file's order says who came first.
    pub reckoning: Reckoning,
}

/// A card with the place it opens and its dates, for the doors' lists.
#[derive(Clone, Debug)]
struct ListedCard {
    number: CardNumber,
    place: Place,
    valid_from: Option<WallTime>,
    valid_until: Option<WallTime>,
}

impl ListedCard {
    fn is_valid(&self, at: WallTime) -> bool {
        self.valid_from.is_none_or(|from| at >= from)
            && self.valid_until.is_none_or(|until| at < until)
    }
}

/// The roster as it is now. Cheap to read from any task.
#[derive(Debug)]
pub struct Roster {
    hasher: CardHasher,
    options: ArcSwap<RosterOptions>,
    clock: Clock,
    snapshot: ArcSwap<Standing>,
}

#[derive(Debug, Default)]
struct Standing {
    view: Arc<AccessView>,
    dwellings: Arc<[ReckonedDwelling]>,
    /// Cards that doors may let in, sorted by number.
    cards: Vec<ListedCard>,
}

impl Roster {
    /// Reads the roster.
    ///
    /// # Errors
    /// [`RosterError`] with every row that cannot be used.
    pub fn load(options: RosterOptions, clock: Clock) -> Result<Roster, RosterError> {
        let snapshot = read(&options, &clock)?;
        Ok(Roster {
            hasher: options.hasher.clone(),
            options: ArcSwap::from_pointee(options),
            clock,
            snapshot: ArcSwap::from_pointee(snapshot),
        })
    }

    /// Reads the file again; the roster stays as it was when the file cannot be used. Reckons the
    /// limit anew, so call it also at [`Roster::next_change`].
    ///
    /// # Errors
    /// [`RosterError`] with every row that cannot be used.
    pub fn reload(&self) -> Result<(), RosterError> {
        let snapshot = read(&self.options.load(), &self.clock)?;
        self.snapshot.store(Arc::new(snapshot));
        Ok(())
    }

    /// Other stairwells, rules or another file, from the next [`Roster::reload`] on. The site's key
    /// stays the one it was loaded with.
    pub fn set_options(&self, options: RosterOptions) {
        self.options.store(Arc::new(options));
    }

    /// Everyone who may enter, for decisions.
    pub fn view(&self) -> Arc<AccessView> {
        Arc::clone(&self.snapshot.load().view)
    }

    /// The site's key for card numbers.
    pub fn card_hasher(&self) -> &CardHasher {
        &self.hasher
    }

    /// The cards that a door at `place` may let in now, sorted, each once: those of its own
    /// stairwell, or all of them at the compound's gates.
    pub fn cards_of(&self, place: &Place) -> Vec<CardNumber> {
        let now = self.clock.now();
        let snapshot = self.snapshot.load();
        let listed = snapshot.cards.iter().filter(|card| {
            (*place == Place::Compound || card.place == *place) && card.is_valid(now)
        });
        listed.map(|card| card.number.clone()).collect()
    }

    /// The next moment at which a card begins or ceases to be valid, so that
    /// [`Roster::cards_of`] changes; `None`: none is planned.
    pub fn next_change(&self) -> Option<WallTime> {
        let now = self.clock.now();
        let snapshot = self.snapshot.load();
        let moments = snapshot
            .cards
            .iter()
            .flat_map(|card| [card.valid_from, card.valid_until]);
        moments.flatten().filter(|moment| *moment > now).min()
    }

    /// All dwellings, in the file's order.
    pub fn dwellings(&self) -> Arc<[ReckonedDwelling]> {
        Arc::clone(&self.snapshot.load().dwellings)
    }
}

fn read(options: &RosterOptions, clock: &Clock) -> Result<Standing, RosterError> {
    let Some(file) = &options.file else {
        let view = AccessView {
            cards: HashMap::new(),
            at_door: options.at_door,
        };
        return Ok(Standing {
            view: Arc::new(view),
            ..Standing::default()
        });
    };
    let rows = csv_file::read(file, options)?;
    let snapshot = assemble(rows, options, clock.now());
    for found in snapshot.dwellings.iter().filter(|d| d.reckoning.is_over()) {
        warn!(
            dwelling = %found.dwelling.id,
            limit = found.reckoning.limit.unwrap_or_default(),
            n_holders = found.reckoning.n_holders(),
            "dwelling has more cardholders than its limit"
        );
    }
    info!(
        n_dwellings = snapshot.dwellings.len(),
        n_cards = snapshot.view.cards.len(),
        "roster read"
    );
    Ok(snapshot)
}

/// Reckons every dwelling's limit and makes the view and the doors' lists.
fn assemble(rows: csv_file::Rows, options: &RosterOptions, now: WallTime) -> Standing {
    let moment = Moment {
        day: Day::from_civil(options.time_zone.date_of(now)),
        at: now,
    };
    let mut dwellings = Vec::new();
    let mut cards = HashMap::new();
    let mut listed = Vec::new();
    for row in rows.dwellings {
        let occupants = occupants(&row.holders, now);
        let reckoning = reckon(&options.limit, &row.dwelling, &occupants, moment);
        let place = &row.dwelling.place;
        for holder in row.holders {
            let surplus = reckoning.surplus().contains(&holder.id);
            for card in holder.cards {
                let grant = CardGrant {
                    dwelling: row.dwelling.id.clone(),
                    holder: holder.id.clone(),
                    place: place.clone(),
                    state: card.state,
                    valid_from: card.valid_from,
                    valid_until: card.valid_until,
                    surplus,
                };
                cards.insert(options.hasher.key_of(&card.number), grant);
                let is_refused = surplus && options.at_door == AtDoor::Deny;
                if card.state == CardState::Active && !is_refused {
                    listed.push(ListedCard {
                        number: card.number,
                        place: place.clone(),
                        valid_from: card.valid_from,
                        valid_until: card.valid_until,
                    });
                }
            }
        }
        dwellings.push(ReckonedDwelling {
            dwelling: row.dwelling,
            reckoning,
        });
    }
    listed.sort_by(|a, b| a.number.cmp(&b.number));
    Standing {
        view: Arc::new(AccessView {
            cards,
            at_door: options.at_door,
        }),
        dwellings: Arc::from(dwellings),
        cards: listed,
    }
}

/// Those who have a card that is active now or later, in the file's order.
fn occupants(holders: &[csv_file::HolderRows], now: WallTime) -> Vec<Occupant> {
    let mut occupants = Vec::new();
    for (idx, holder) in holders.iter().enumerate() {
        let holds = holder.cards.iter().any(|card| {
            card.state == CardState::Active && card.valid_until.is_none_or(|until| now < until)
        });
        if holds {
            // The file has one line of cards for each person of a dwelling, so a place in it is a
            // person, and earlier means longer there.
            let number = u128::try_from(idx).unwrap_or(u128::MAX);
            occupants.push(Occupant {
                id: holder.id.clone(),
                person: PersonKey::from_bytes(number.to_be_bytes()),
                relation: holder.relation.clone(),
                from: None,
                to: None,
                added_at: WallTime::from_unix_ns(i64::try_from(idx).unwrap_or(i64::MAX)),
                holding: Holding::Until(None),
            });
        }
    }
    occupants
}

#[cfg(test)]
mod tests;

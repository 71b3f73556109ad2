//! Who may enter: dwellings, cardholders and cards, as one immutable view for the decision and as
//! card lists for the doors.
//!
//! For now they come from a CSV file that someone keeps; a change is taken in by [`Roster::reload`].
//! Not here: issuing and revoking.

mod csv_file;
mod site_key;

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tracing::{info, warn};

pub use csv_file::{RosterError, RowProblem};
pub use site_key::{SiteKeyError, open_site_key};

use crate::domain::access::{AccessView, AtDoor, CardGrant, CardState};
use crate::domain::card::{CardHasher, CardNumber};
use crate::domain::id::{CardholderId, DwellingId, StairwellId};
use crate::domain::limit::{FloorArea, LimitRule, Tenure};
use crate::domain::place::Place;
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
    pub limit: LimitRule,
    /// What those beyond the limit meet at the door.
    pub at_door: AtDoor,
    /// The site's key for card numbers.
    pub hasher: CardHasher,
}

/// One dwelling and the reckoning of its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dwelling {
    /// Its id.
    pub id: DwellingId,
    /// Its stairwell, or the compound for a house of its own.
    pub place: Place,
    /// Its number, as on its door.
    pub number: String,
    /// Its floor area.
    pub area: FloorArea,
    /// Owned or rented.
    pub tenure: Tenure,
    /// How many cardholders it may have; `None`: no limit.
    pub limit: Option<u32>,
    /// Those who have a card that is active now or later, in the file's order; others do not count.
    pub holders: Vec<Cardholder>,
}

impl Dwelling {
    /// How many of its cardholders count against the limit.
    pub fn n_counted(&self) -> u32 {
        let n_counted = self.holders.iter().filter(|holder| holder.counts).count();
        u32::try_from(n_counted).unwrap_or(u32::MAX)
    }

    /// Has it more cardholders than its limit?
    pub fn is_over_limit(&self) -> bool {
        self.limit.is_some_and(|limit| self.n_counted() > limit)
    }
}

/// A person with a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cardholder {
    /// Who; names are not kept in memory.
    pub id: CardholderId,
    /// Counts against the limit (the relation is not exempt).
    pub counts: bool,
    /// Counts, and comes after the last for whom there was room.
    pub surplus: bool,
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
    options: RosterOptions,
    clock: Clock,
    snapshot: ArcSwap<Snapshot>,
}

#[derive(Debug, Default)]
struct Snapshot {
    view: Arc<AccessView>,
    dwellings: Arc<[Dwelling]>,
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
            options,
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
        let snapshot = read(&self.options, &self.clock)?;
        self.snapshot.store(Arc::new(snapshot));
        Ok(())
    }

    /// Everyone who may enter, for decisions.
    pub fn view(&self) -> Arc<AccessView> {
        Arc::clone(&self.snapshot.load().view)
    }

    /// The site's key for card numbers.
    pub fn card_hasher(&self) -> &CardHasher {
        &self.options.hasher
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
    pub fn dwellings(&self) -> Arc<[Dwelling]> {
        Arc::clone(&self.snapshot.load().dwellings)
    }
}

fn read(options: &RosterOptions, clock: &Clock) -> Result<Snapshot, RosterError> {
    let Some(file) = &options.file else {
        let view = AccessView {
            cards: HashMap::new(),
            at_door: options.at_door,
        };
        return Ok(Snapshot {
            view: Arc::new(view),
            ..Snapshot::default()
        });
    };
    let rows = csv_file::read(file, options)?;
    let snapshot = reckon(rows, options, clock.now());
    for dwelling in snapshot.dwellings.iter().filter(|d| d.is_over_limit()) {
        warn!(
            dwelling = %dwelling.id,
            limit = dwelling.limit.unwrap_or_default(),
            n_holders = dwelling.n_counted(),
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
fn reckon(rows: csv_file::Rows, options: &RosterOptions, now: WallTime) -> Snapshot {
    let mut dwellings = Vec::new();
    let mut cards = HashMap::new();
    let mut listed = Vec::new();
    for row in rows.dwellings {
        let limit = options.limit.limit_of(row.area, row.tenure);
        let mut n_counted: u32 = 0;
        let mut holders = Vec::new();
        for holder in row.holders {
            let holds = holder.cards.iter().any(|card| {
                card.state == CardState::Active && card.valid_until.is_none_or(|until| now < until)
            });
            let counts = holds && options.limit.counts(&holder.relation);
            n_counted += u32::from(counts);
            let surplus = counts && limit.is_some_and(|limit| n_counted > limit);
            for card in holder.cards {
                let is_listed = card.state == CardState::Active
                    && !(surplus && options.at_door == AtDoor::Deny);
                let grant = CardGrant {
                    dwelling: row.id.clone(),
                    holder: holder.id.clone(),
                    place: row.place.clone(),
                    state: card.state,
                    valid_from: card.valid_from,
                    valid_until: card.valid_until,
                    surplus,
                };
                cards.insert(options.hasher.key_of(&card.number), grant);
                if is_listed {
                    listed.push(ListedCard {
                        number: card.number,
                        place: row.place.clone(),
                        valid_from: card.valid_from,
                        valid_until: card.valid_until,
                    });
                }
            }
            if holds {
                holders.push(Cardholder {
                    id: holder.id,
                    counts,
                    surplus,
                });
            }
        }
        dwellings.push(Dwelling {
            id: row.id,
            place: row.place,
            number: row.number,
            area: row.area,
            tenure: row.tenure,
            limit,
            holders,
        });
    }
    listed.sort_by(|a, b| a.number.cmp(&b.number));
    Snapshot {
        view: Arc::new(AccessView {
            cards,
            at_door: options.at_door,
        }),
        dwellings: Arc::from(dwellings),
        cards: listed,
    }
}

#[cfg(test)]
mod tests;

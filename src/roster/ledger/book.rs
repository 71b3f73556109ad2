//! The ledger in memory: what decisions, lists and card lists are made from.
//!
//! A book never changes; every commit makes a new one that shares with the old what did not change, so
//! that readers wait for nobody and an issue among 100,000 cards costs microseconds. It holds no names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

use super::home::Home;
use super::vault::{Vault, VaultError};
use crate::domain::access::{AccessView, AtDoor, CardGrant, CardState};
use crate::domain::card::{CardKey, CardNumber};
use crate::domain::dwelling::{Day, Dwelling};
use crate::domain::id::{CardholderId, DwellingId};
use crate::domain::person::NameKey;
use crate::domain::place::Place;
use crate::domain::reckoning::{LimitPolicy, Moment, Occupant, Reckoning, reckon};
use crate::time::{TimeZone, WallTime};

/// A dwelling with those who hold cards for it.
#[derive(Clone, Debug)]
pub struct Household {
    /// The dwelling.
    pub dwelling: Dwelling,
    /// Its revision.
    pub revision: u64,
    /// The cardholders, removed ones excepted, oldest first.
    pub residents: Vec<Resident>,
    /// Every card, by key; also revoked ones.
    pub cards: Vec<HeldCard>,
    /// Cardholders beyond the limit, as of the last change or moment at which one began or ended.
    pub surplus: Vec<CardholderId>,
    /// The next moment at which a card or a tenancy begins or ends.
    next: Option<WallTime>,
}

/// A cardholder, without what is personal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resident {
    /// What the reckoning needs.
    pub occupant: Occupant,
    /// Finds the name.
    pub name_key: NameKey,
    /// The revision.
    pub revision: u64,
}

/// A card and its dates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldCard {
    /// Its keyed hash.
    pub key: CardKey,
    /// Its number; for the doors' lists and its tail.
    pub number: CardNumber,
    /// Who holds it.
    pub holder: CardholderId,
    /// Active, lost or revoked.
    pub state: CardState,
    /// First moment at which it opens a door: its own validity within its holder's tenancy.
    pub opens_from: Option<WallTime>,
    /// First moment at which it no longer does.
    pub opens_until: Option<WallTime>,
    /// First moment of its own validity.
    pub valid_from: Option<WallTime>,
    /// First moment after its own validity.
    pub valid_until: Option<WallTime>,
    /// When it was issued.
    pub issued_at: WallTime,
    /// Its revision.
    pub revision: u64,
}

impl HeldCard {
    /// Is it a card that a door lets in by itself at `at`, as far as its state and dates go?
    pub fn opens_at(&self, at: WallTime) -> bool {
        self.state == CardState::Active
            && self.opens_from.is_none_or(|from| from <= at)
            && self.opens_until.is_none_or(|until| at < until)
    }
}

impl Household {
    /// `None`: the home has no dwelling.
    pub(super) fn of(
        home: &Home,
        vault: &Vault,
        zone: &TimeZone,
        policy: &LimitPolicy,
        now: Moment,
    ) -> Result<Option<Household>, VaultError> {
        let Some(record) = &home.dwelling else {
            return Ok(None);
        };
        let occupants = home.occupants();
        let reckoning = reckon(policy, &record.dwelling, &occupants, now);
        let mut residents: Vec<Resident> = occupants
            .into_iter()
            .filter_map(|occupant| {
                let record = home.holders.get(&occupant.id)?;
                Some(Resident {
                    name_key: record.name_key,
                    revision: record.revision,
                    occupant,
                })
            })
            .collect();
        residents.sort_by(|a, b| {
            let age = |one: &Resident| (one.occupant.added_at, one.occupant.id.clone());
            age(a).cmp(&age(b))
        });
        let mut cards = Vec::with_capacity(home.cards.len());
        for (key, card) in &home.cards {
            let days = home.holders.get(&card.holder).map(|h| (h.from, h.to));
            let (from, to) = days.unwrap_or_default();
            cards.push(HeldCard {
                key: *key,
                number: vault.number_of(key, card)?,
                holder: card.holder.clone(),
                state: card.state,
                opens_from: card.valid_from.max(from.map(|day| day.start(zone))),
                opens_until: earlier(card.valid_until, to.map(|day| day.end(zone))),
                valid_from: card.valid_from,
                valid_until: card.valid_until,
                issued_at: card.issued_at,
                revision: card.revision,
            });
        }
        let mut household = Household {
            dwelling: record.dwelling.clone(),
            revision: record.revision,
            residents,
            cards,
            surplus: reckoning.surplus().to_vec(),
            next: None,
        };
        household.next = household.next_after(now.at, zone);
        Ok(Some(household))
    }

    /// The reckoning at `moment`.
    pub fn reckon(&self, policy: &LimitPolicy, moment: Moment) -> Reckoning {
        let residents = self.residents.iter();
        let occupants: Vec<Occupant> = residents.map(|one| one.occupant.clone()).collect();
        reckon(policy, &self.dwelling, &occupants, moment)
    }

    fn next_after(&self, now: WallTime, zone: &TimeZone) -> Option<WallTime> {
        let days = |from: Option<Day>, to: Option<Day>| {
            [from.map(|day| day.start(zone)), to.map(|day| day.end(zone))]
        };
        let of_cards = self
            .cards
            .iter()
            .filter(|card| card.state != CardState::Revoked);
        let moments = of_cards
            .flat_map(|card| [card.opens_from, card.opens_until, card.valid_until])
            .chain(
                self.residents
                    .iter()
                    .flat_map(|one| days(one.occupant.from, one.occupant.to)),
            )
            .chain(days(self.dwelling.from, self.dwelling.to));
        moments.flatten().filter(|moment| *moment > now).min()
    }

    /// What of it the doors' lists depend on, besides the place: of each active card its dates, and
    /// whether its holder is surplus.
    fn listed(&self) -> BTreeSet<(&CardKey, [Option<WallTime>; 2], bool)> {
        let active = self
            .cards
            .iter()
            .filter(|card| card.state == CardState::Active);
        active
            .map(|card| {
                let is_surplus = self.surplus.contains(&card.holder);
                (&card.key, [card.opens_from, card.opens_until], is_surplus)
            })
            .collect()
    }
}

/// The earlier of two ends, of which `None` is the latest.
fn earlier(a: Option<WallTime>, b: Option<WallTime>) -> Option<WallTime> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// The whole ledger. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Book {
    households: RedBlackTreeMapSync<DwellingId, Arc<Household>>,
    /// Households with a next moment, by it.
    due: RedBlackTreeSetSync<(WallTime, DwellingId)>,
    view: Arc<AccessView>,
    policy: Option<Arc<LimitPolicy>>,
    seq: u64,
}

impl Book {
    pub(super) fn new(policy: LimitPolicy, at_door: AtDoor, seq: u64) -> Book {
        Book {
            view: Arc::new(AccessView {
                at_door,
                ..AccessView::default()
            }),
            policy: Some(Arc::new(policy)),
            seq,
            ..Book::default()
        }
    }

    /// Everyone who may enter.
    pub fn view(&self) -> &Arc<AccessView> {
        &self.view
    }

    /// The rule in force.
    ///
    /// # Panics
    /// Never on a book of ours: it is made with one.
    pub fn policy(&self) -> &LimitPolicy {
        self.policy
            .as_deref()
            .expect("a book is made with a policy")
    }

    /// The newest change in it.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// One dwelling.
    pub fn household(&self, id: &DwellingId) -> Option<&Arc<Household>> {
        self.households.get(id)
    }

    /// How many dwellings there are.
    pub fn n_dwellings(&self) -> usize {
        self.households.size()
    }

    /// How many cards were ever issued.
    pub fn n_cards(&self) -> usize {
        self.view.cards.size()
    }

    /// All dwellings by id, from behind `after` on.
    pub fn households(&self, after: Option<&DwellingId>) -> impl Iterator<Item = &Arc<Household>> {
        let low = match after {
            Some(after) => std::ops::Bound::Excluded(after.clone()),
            None => std::ops::Bound::Unbounded,
        };
        let range = (low, std::ops::Bound::Unbounded);
        self.households.range(range).map(|(_, household)| household)
    }

    /// The dwellings at which something begins or ends at `now` or did before; at most `max`.
    pub(super) fn due(&self, now: WallTime, max: usize) -> Vec<DwellingId> {
        let due = self.due.iter().take_while(|(moment, _)| *moment <= now);
        due.take(max).map(|(_, id)| id.clone()).collect()
    }

    /// When something begins or ends next.
    pub fn next_due(&self) -> Option<WallTime> {
        self.due.first().map(|(moment, _)| *moment)
    }

    /// Takes in how dwellings stand now; returns the places whose doors' lists may have changed.
    pub(super) fn follow(&mut self, changed: &[Arc<Household>], seq: u64) -> BTreeSet<Place> {
        let mut places = BTreeSet::new();
        let mut view = AccessView::clone(&self.view);
        for new in changed {
            let id = &new.dwelling.id;
            let old = self.households.get(id).cloned();
            if let Some(old) = &old {
                if let Some(next) = old.next {
                    self.due.remove_mut(&(next, id.clone()));
                }
                let kept: BTreeSet<&CardKey> = new.cards.iter().map(|card| &card.key).collect();
                let gone = old.cards.iter().filter(|card| !kept.contains(&card.key));
                for card in gone {
                    // It may have gone to another of the changed dwellings, which was looked at first.
                    if view
                        .cards
                        .get(&card.key)
                        .is_some_and(|grant| grant.dwelling == *id)
                    {
                        view.cards.remove_mut(&card.key);
                    }
                }
            }
            let is_as_it_was = old.as_ref().is_some_and(|old| {
                old.dwelling.place == new.dwelling.place && old.listed() == new.listed()
            });
            if !is_as_it_was {
                let before = old.as_ref().map(|old| old.dwelling.place.clone());
                places.extend(before);
                places.insert(new.dwelling.place.clone());
                places.insert(Place::Compound);
            }
            for card in &new.cards {
                view.cards.insert_mut(card.key, grant_of(new, card));
            }
            if let Some(next) = new.next {
                self.due.insert_mut((next, id.clone()));
            }
            self.households.insert_mut(id.clone(), Arc::clone(new));
        }
        self.view = Arc::new(view);
        self.seq = self.seq.max(seq);
        places
    }

    /// Another rule is in force; surplus holders follow when their dwellings are looked at again.
    pub(super) fn set_policy(&mut self, policy: LimitPolicy) {
        self.policy = Some(Arc::new(policy));
    }

    /// What surplus holders meet from now on; returns the places whose doors' lists may have changed.
    pub(super) fn set_at_door(&mut self, at_door: AtDoor) -> BTreeSet<Place> {
        if self.view.at_door == at_door {
            return BTreeSet::new();
        }
        let mut view = AccessView::clone(&self.view);
        view.at_door = at_door;
        self.view = Arc::new(view);
        let crowded = self
            .households
            .values()
            .filter(|home| !home.surplus.is_empty());
        let places: BTreeSet<Place> = crowded.map(|home| home.dwelling.place.clone()).collect();
        match places.is_empty() {
            true => places,
            false => places.into_iter().chain([Place::Compound]).collect(),
        }
    }

    /// The cards that doors at each of `places` let in by themselves at `now`, sorted, each once: those
    /// of the place's own dwellings, or all of them at the compound's gates.
    pub fn lists(&self, places: &BTreeSet<Place>, now: WallTime) -> BTreeMap<Place, PlaceList> {
        let mut lists: BTreeMap<Place, PlaceList> = places
            .iter()
            .map(|place| (place.clone(), PlaceList::default()))
            .collect();
        for household in self.households.values() {
            let place = &household.dwelling.place;
            let own = if *place == Place::Compound {
                None
            } else {
                Some(place)
            };
            for target in [Some(&Place::Compound), own].into_iter().flatten() {
                let Some(list) = lists.get_mut(target) else {
                    continue;
                };
                for card in household.cards.iter().filter(|card| card.opens_at(now)) {
                    let refused = self.view.at_door == AtDoor::Deny
                        && household.surplus.contains(&card.holder);
                    if !refused {
                        list.cards.push(card.number.clone());
                        list.sum ^= sum_of(&card.key);
                    }
                }
            }
        }
        for list in lists.values_mut() {
            list.cards.sort_unstable();
        }
        lists
    }
}

/// What a door's list is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceList {
    /// Sorted, each once.
    pub cards: Vec<CardNumber>,
    /// Tells sets of cards apart, and nothing of the cards: their keyed hashes, combined.
    pub sum: u64,
}

/// The first 64 bits of a keyed hash: of two sets of cards the exclusive-or differs, but for one in 2⁶⁴.
fn sum_of(key: &CardKey) -> u64 {
    let bytes = key.as_bytes().iter().take(8);
    bytes.fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

fn grant_of(household: &Household, card: &HeldCard) -> CardGrant {
    CardGrant {
        dwelling: household.dwelling.id.clone(),
        holder: card.holder.clone(),
        place: household.dwelling.place.clone(),
        state: card.state,
        valid_from: card.opens_from,
        valid_until: card.opens_until,
        surplus: household.surplus.contains(&card.holder),
    }
}

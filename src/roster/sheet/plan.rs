//! The changes that make the ledger say what a file says, planned on a snapshot. Pure.
//!
//! What a file does not say stays. What a file does not name stays too, unless [`Missing::Ends`] is asked
//! for: then, within the dwellings that the file names, cardholders that it does not name are taken
//! off the list and cards that it does not name are revoked. While a row is refused nobody knows whom
//! it names, so nothing ends.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::column::Column;
use super::effect::{Effect, dwelling_detail, holder_detail, validity_detail};
use super::facts::{changed, is_same_text, mark_over, name_over, new_dwelling, numbered, unstated};
use super::gather::{Addresses, Wanted, WantedCard, WantedDwelling, WantedHolder, addresses_of};
use super::places::number_label;
use super::reason::{Finding, Reason, RowAt};
use crate::domain::access::CardState;
use crate::domain::card::CardNumber;
use crate::domain::dwelling::Dwelling;
use crate::domain::id::{CardholderId, DwellingId};
use crate::domain::place::Place;
use crate::roster::{CardFacts, Change, HolderFacts, KnownCard, KnownHolder, Snapshot, Validity};
use crate::time::TimeZone;

/// What it means that a file does not name someone or something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// Nothing.
    #[default]
    Keeps,
    /// In dwellings that the file names: cardholders are taken off the list, cards revoked.
    Ends,
}

/// A change, where it comes from, and what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The change.
    pub change: Change,
    /// The row that wants it; of what a file does not name, the dwelling's first row.
    pub at: RowAt,
    /// The column that it is mainly about.
    pub column: Column,
    /// What it does, for people.
    pub effect: Effect,
    /// Who holds the card it is about.
    pub holder: Option<CardholderId>,
}

impl Planned {
    fn new(at: &RowAt, column: Column, change: Change, effect: Effect) -> Planned {
        Planned {
            change,
            at: at.clone(),
            column,
            holder: effect.holder.clone(),
            effect,
        }
    }
}

/// What a file would change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which they have to be made.
    pub steps: Vec<Planned>,
    /// Rows that cannot be taken.
    pub refused: Vec<Finding>,
    /// What was noticed and keeps nothing back.
    pub notes: Vec<Finding>,
    /// Rows with something in them.
    pub n_rows: usize,
}

/// Plans `wanted` on `snapshot`; dates of cards are shown as days of `zone`.
pub fn plan(wanted: Wanted, snapshot: &Snapshot, missing: Missing, zone: &TimeZone) -> Plan {
    let mut planner = Planner::new(snapshot, missing, zone);
    let dwellings = wanted.dwellings;
    let mut claims = Claims::new();
    for dwelling in &dwellings {
        if let (Some(place), Some(number)) = (&dwelling.place, &dwelling.number) {
            let claim = (dwelling.id.clone(), dwelling.at.clone());
            let address = (place.clone(), number.clone());
            claims.entry(address).or_default().push(claim);
        }
    }
    planner.name_all(&dwellings);
    for dwelling in &dwellings {
        planner.dwelling(dwelling, &claims);
    }
    planner.refused.extend(wanted.refused);
    let found = &mut planner.refused;
    found.sort_by(|a, b| (&a.at, a.letters).cmp(&(&b.at, b.letters)));
    let mut notes = wanted.notes;
    notes.extend(planner.settle_missing());
    let Planner {
        phases, refused, ..
    } = planner;
    Plan {
        steps: phases.into_iter().flatten().collect(),
        refused,
        notes,
        n_rows: wanted.n_rows,
    }
}

/// Places are given up before others are taken, so that a family that moves out makes room for the next.
const N_PHASES: usize = 4;
const PUT: usize = 0;
const END: usize = 1;
const MOVE: usize = 2;
/// Dwelling by dwelling: other facts, new cardholders, cards.
const REST: usize = 3;

/// Which dwellings of the file are at an address, and where they stand.
type Claims = HashMap<(Place, String), Vec<(DwellingId, RowAt)>>;

struct Planner<'p> {
    zone: &'p TimeZone,
    snapshot: &'p Snapshot,
    missing: Missing,
    by_address: Addresses,
    holders_of: BTreeMap<&'p DwellingId, Vec<(&'p CardholderId, &'p KnownHolder)>>,
    cards_of: HashMap<&'p CardholderId, Vec<(&'p CardNumber, &'p KnownCard)>>,
    /// Ids that the file gives, in whichever dwelling, and those that this plan gives.
    named_ids: HashSet<CardholderId>,
    named_cards: HashSet<CardNumber>,
    phases: [Vec<Planned>; N_PHASES],
    /// Who and what the file does not name, if that ends it.
    gone: Vec<Planned>,
    refused: Vec<Finding>,
}

impl<'p> Planner<'p> {
    fn new(snapshot: &'p Snapshot, missing: Missing, zone: &'p TimeZone) -> Planner<'p> {
        let mut holders_of: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (id, holder) in &snapshot.holders {
            let of = holders_of.entry(&holder.facts.dwelling).or_default();
            of.push((id, holder));
        }
        let mut cards_of: HashMap<_, Vec<_>> = HashMap::new();
        for (number, card) in &snapshot.cards {
            cards_of
                .entry(&card.facts.holder)
                .or_default()
                .push((number, card));
        }
        Planner {
            zone,
            snapshot,
            missing,
            by_address: addresses_of(snapshot),
            holders_of,
            cards_of,
            named_ids: HashSet::new(),
            named_cards: HashSet::new(),
            phases: Default::default(),
            gone: Vec::new(),
            refused: Vec::new(),
        }
    }

    fn is_known_at(&self, id: &DwellingId, place: &Place, number: &str) -> bool {
        let known = self.known(id);
        known.is_some_and(|known| known.place == *place && number_label(&known.number) == number)
    }

    fn known(&self, id: &DwellingId) -> Option<&'p Dwelling> {
        let record = self.snapshot.dwellings.get(id)?;
        Some(&record.dwelling)
    }

    /// Why a dwelling may not have the address that the file gives it; two with one address would
    /// have the limit twice.
    fn address_conflict(&self, wanted: &WantedDwelling, claims: &Claims) -> Option<Reason> {
        let known = self.known(&wanted.id);
        let place = wanted.place.as_ref().or(known.map(|known| &known.place))?;
        let number = wanted.number.clone();
        let number = number.or_else(|| known.map(|known| number_label(&known.number)))?;
        if self.is_known_at(&wanted.id, place, &number) {
            return None;
        }
        if known.is_some() && !wanted.is_id_said {
            return Some(Reason::DerivedIdTaken(wanted.id.clone()));
        }
        if let Some(other) = self.by_address.get(&(place.clone(), number.clone())) {
            return Some(Reason::DwellingKnownAs(other.clone()));
        }
        let claimed = claims.get(&(place.clone(), number))?;
        let other = claimed.iter().find(|(id, _)| *id != wanted.id)?;
        Some(Reason::DwellingTwice(other.1.clone()))
    }

    /// Who and what stands anywhere in the file has not gone: people and cards may move.
    fn name_all(&mut self, dwellings: &[WantedDwelling]) {
        for dwelling in dwellings {
            let ids = dwelling
                .holders
                .iter()
                .filter_map(|holder| holder.id.clone());
            self.named_ids.extend(ids);
            let cards = dwelling.holders.iter().flat_map(|holder| &holder.cards);
            let cards = cards.chain(&dwelling.loose_cards);
            self.named_cards
                .extend(cards.map(|card| card.number.clone()));
        }
    }

    fn dwelling(&mut self, wanted: &WantedDwelling, claims: &Claims) {
        if let Some(reason) = self.address_conflict(wanted, claims) {
            return self.refuse_dwelling(wanted, Column::Dwelling, &reason);
        }
        let known = self.known(&wanted.id);
        let put = match known {
            Some(known) => changed(known, wanted),
            None => match new_dwelling(wanted) {
                Ok(dwelling) => dwelling,
                Err(needs) => {
                    let column = needs.first().copied().unwrap_or(Column::Dwelling);
                    return self.refuse_dwelling(wanted, column, &Reason::NewDwellingNeeds(needs));
                }
            },
        };
        if known != Some(&put) {
            let effect = Effect {
                dwelling: put.id.clone(),
                holder: None,
                card: None,
                detail: dwelling_detail(known, &put),
            };
            let change = Change::PutDwelling(put);
            self.step(PUT, &wanted.at, Column::Dwelling, change, effect);
        }
        self.holders(wanted);
    }

    fn step(&mut self, phase: usize, at: &RowAt, column: Column, change: Change, effect: Effect) {
        if let Some(phase) = self.phases.get_mut(phase) {
            phase.push(Planned::new(at, column, change, effect));
        }
    }

    fn refuse(&mut self, at: &RowAt, column: Column, reason: Reason) {
        self.refused.push(Finding {
            at: at.clone(),
            letters: None,
            column: Some(column),
            reason,
        });
    }

    /// Without the dwelling none of its rows can be taken.
    fn refuse_dwelling(&mut self, wanted: &WantedDwelling, column: Column, reason: &Reason) {
        let holders = wanted.holders.iter();
        let cards = holders
            .clone()
            .flat_map(|holder| &holder.cards)
            .chain(&wanted.loose_cards);
        let rows: BTreeSet<&RowAt> = std::iter::once(&wanted.at)
            .chain(holders.map(|holder| &holder.at))
            .chain(cards.map(|card| &card.at))
            .collect();
        for at in rows {
            self.refuse(at, column, reason.clone());
        }
    }

    fn holders(&mut self, wanted: &WantedDwelling) {
        let mut named: BTreeSet<CardholderId> = BTreeSet::new();
        let of_dwelling: Vec<(&CardholderId, &KnownHolder)> =
            self.holders_of.get(&wanted.id).cloned().unwrap_or_default();
        for holder in &wanted.holders {
            let known = match self.find(holder, &of_dwelling, &named) {
                Ok(known) => known,
                Err(reason) => {
                    self.refuse_holder(holder, Column::Name, &reason);
                    continue;
                }
            };
            let id = match known {
                Some((id, _)) => id.clone(),
                None => self.new_id(&wanted.id, holder),
            };
            named.insert(id.clone());
            let known = known.map(|(_, known)| known);
            self.holder(&wanted.id, &id, holder, known);
            for card in &holder.cards {
                self.card(&wanted.id, &id, card);
            }
        }
        for card in &wanted.loose_cards {
            let holder = self
                .snapshot
                .cards
                .get(&card.number)
                .map(|known| &known.facts.holder);
            let here = holder.filter(|holder| of_dwelling.iter().any(|(id, _)| id == holder));
            match here.cloned() {
                Some(holder) => {
                    named.insert(holder.clone());
                    self.card(&wanted.id, &holder, card);
                }
                None => self.refuse(&card.at, Column::Holder, Reason::CardWithoutHolder),
            }
        }
        if self.missing == Missing::Ends {
            self.end_missing(wanted, &of_dwelling, &named);
        }
    }

    fn refuse_holder(&mut self, holder: &WantedHolder, column: Column, reason: &Reason) {
        let cards = holder.cards.iter().map(|card| &card.at);
        let rows: BTreeSet<&RowAt> = std::iter::once(&holder.at).chain(cards).collect();
        for at in rows {
            self.refuse(at, column, reason.clone());
        }
    }

    /// Who of the ledger is meant: by id, or else within the dwelling by mark, or else by name.
    fn find(
        &self,
        wanted: &WantedHolder,
        of_dwelling: &[(&'p CardholderId, &'p KnownHolder)],
        named: &BTreeSet<CardholderId>,
    ) -> Result<Option<(&'p CardholderId, &'p KnownHolder)>, Reason> {
        if let Some(id) = &wanted.id {
            return Ok(self.snapshot.holders.get_key_value(id));
        }
        // Someone whom another row names by id may not be meant twice.
        let once = |found: &(&'p CardholderId, &'p KnownHolder)| {
            let is_taken = named.contains(found.0) || self.named_ids.contains(found.0);
            if is_taken {
                Err(Reason::TwoOfThatName)
            } else {
                Ok(Some(*found))
            }
        };
        if let Some(mark) = &wanted.person {
            let is_it = |known: &KnownHolder| known.facts.person.as_ref() == Some(mark);
            if let Some(found) = of_dwelling.iter().find(|(_, known)| is_it(known)) {
                return once(found);
            }
        }
        let Some(name) = &wanted.name else {
            return Ok(None);
        };
        let of_that_name: Vec<_> = of_dwelling
            .iter()
            .filter(|(_, known)| {
                let same_mark = wanted.person.is_none() || known.facts.person.is_none();
                is_same_text(known.facts.name.reveal(), name.reveal()) && same_mark
            })
            .collect();
        match of_that_name.as_slice() {
            [] => Ok(None),
            [found] => once(found),
            _ => Err(Reason::TwoOfThatName),
        }
    }

    /// The id that the file gives, or the dwelling's with the next number.
    fn new_id(&mut self, dwelling: &DwellingId, wanted: &WantedHolder) -> CardholderId {
        let id = wanted.id.clone().unwrap_or_else(|| {
            let mut n = 1_u32;
            loop {
                let id = numbered(dwelling, n);
                if !self.snapshot.holders.contains_key(&id) && !self.named_ids.contains(&id) {
                    return id;
                }
                n = n.saturating_add(1);
            }
        });
        self.named_ids.insert(id.clone());
        id
    }

    fn holder(
        &mut self,
        dwelling: &DwellingId,
        id: &CardholderId,
        wanted: &WantedHolder,
        known: Option<&KnownHolder>,
    ) {
        let before = known.map(|known| &known.facts);
        let facts = HolderFacts {
            dwelling: dwelling.clone(),
            name: name_over(before.map(|facts| &facts.name), wanted.name.as_ref()),
            relation: wanted
                .relation
                .clone()
                .or_else(|| before.map(|facts| facts.relation.clone()))
                .unwrap_or_else(unstated),
            person: mark_over(
                before.and_then(|facts| facts.person.as_ref()),
                wanted.person.as_ref(),
            ),
            from: wanted.from.over(before.and_then(|facts| facts.from)),
            to: wanted.to.over(before.and_then(|facts| facts.to)),
        };
        if before == Some(&facts) {
            return;
        }
        let effect = Effect {
            dwelling: dwelling.clone(),
            holder: Some(id.clone()),
            card: None,
            detail: holder_detail(before, &facts),
        };
        let is_move = before.is_some_and(|before| before.dwelling != facts.dwelling);
        let phase = if is_move { MOVE } else { REST };
        let change = match before {
            Some(_) => Change::ChangeHolder(id.clone(), facts),
            None => Change::AddHolder(id.clone(), facts),
        };
        self.step(phase, &wanted.at, Column::Holder, change, effect);
    }

    fn card(&mut self, dwelling: &DwellingId, holder: &CardholderId, wanted: &WantedCard) {
        let effect = |detail: String| Effect {
            dwelling: dwelling.clone(),
            holder: Some(holder.clone()),
            card: Some(wanted.number.tail()),
            detail,
        };
        let known = self.snapshot.cards.get(&wanted.number);
        let Some(known) = known.filter(|known| known.facts.holder == *holder) else {
            return self.card_of_other(holder, wanted, known, &effect);
        };
        let before = known.facts.validity;
        let validity = Validity {
            from: wanted.valid_from.over(before.from),
            until: wanted.valid_until.over(before.until),
        };
        let state = wanted.state.unwrap_or(known.facts.state);
        let at = &wanted.at;
        if known.facts.state == CardState::Revoked && state != CardState::Revoked {
            // A revoked card is not found again, it is issued again.
            return self.issue(holder, wanted, validity, &effect);
        }
        if state != known.facts.state {
            let change = Change::SetCardState(known.key, state);
            let phase = if state == CardState::Revoked {
                END
            } else {
                REST
            };
            self.step(phase, at, Column::State, change, effect(String::new()));
        }
        if validity != before {
            let change = Change::RedateCard(known.key, validity);
            let detail = validity_detail(before, validity, self.zone);
            self.step(REST, at, Column::ValidUntil, change, effect(detail));
        }
    }

    fn card_of_other(
        &mut self,
        holder: &CardholderId,
        wanted: &WantedCard,
        known: Option<&KnownCard>,
        effect: &dyn Fn(String) -> Effect,
    ) {
        if let Some(known) = known.filter(|known| known.facts.state != CardState::Revoked) {
            let state = wanted.state.unwrap_or(CardState::Active);
            if state != CardState::Active {
                // A row about the past: the card has been given to someone else since.
                let reason = Reason::CardOfAnother(known.facts.holder.clone());
                return self.refuse(&wanted.at, Column::Card, reason);
            }
            let change = Change::SetCardState(known.key, CardState::Revoked);
            let from = format!("from {}", known.facts.holder);
            self.step(END, &wanted.at, Column::Card, change, effect(from));
        }
        let validity = Validity {
            from: wanted.valid_from.over(None),
            until: wanted.valid_until.over(None),
        };
        self.issue(holder, wanted, validity, effect);
    }

    fn issue(
        &mut self,
        holder: &CardholderId,
        wanted: &WantedCard,
        validity: Validity,
        effect: &dyn Fn(String) -> Effect,
    ) {
        let facts = CardFacts {
            holder: holder.clone(),
            state: wanted.state.unwrap_or(CardState::Active),
            validity,
        };
        let detail = validity_detail(Validity::default(), validity, self.zone);
        let change = Change::IssueCard(wanted.number.clone(), facts);
        self.step(REST, &wanted.at, Column::Card, change, effect(detail));
    }

    fn end_missing(
        &mut self,
        wanted: &WantedDwelling,
        of_dwelling: &[(&'p CardholderId, &'p KnownHolder)],
        named: &BTreeSet<CardholderId>,
    ) {
        let effect = |id: &CardholderId, card: Option<String>| Effect {
            dwelling: wanted.id.clone(),
            holder: Some(id.clone()),
            card,
            detail: "not in the file".to_owned(),
        };
        for (id, _) in of_dwelling {
            if !named.contains(*id) && !self.named_ids.contains(*id) {
                let change = Change::RemoveHolder((*id).clone());
                let effect = effect(id, None);
                self.gone
                    .push(Planned::new(&wanted.at, Column::Holder, change, effect));
            }
        }
        for id in named {
            let cards = self.cards_of.get(id).cloned().unwrap_or_default();
            for (number, card) in cards {
                let is_alive = card.facts.state != CardState::Revoked;
                if is_alive && !self.named_cards.contains(number) {
                    let change = Change::SetCardState(card.key, CardState::Revoked);
                    let effect = effect(id, Some(number.tail()));
                    self.gone
                        .push(Planned::new(&wanted.at, Column::Card, change, effect));
                }
            }
        }
    }

    /// Ends what the file does not name, or says why it stays.
    fn settle_missing(&mut self) -> Option<Finding> {
        let gone = std::mem::take(&mut self.gone);
        let first = gone.first()?.at.clone();
        let Some(refused) = self.refused.first() else {
            self.phases[END].extend(gone);
            return None;
        };
        Some(Finding {
            at: first,
            letters: None,
            column: None,
            reason: Reason::StaysWhileRefused {
                n_steps: gone.len(),
                refused: refused.at.clone(),
            },
        })
    }
}

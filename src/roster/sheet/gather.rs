//! The rows of a file put together: dwellings, their cardholders, and their cards.
//!
//! Rows that contradict each other are refused, all of them: nobody can know which one is right.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::column::Column;
use super::grid::ColumnLetters;
use super::places::number_label;
use super::reason::{Finding, Reason, RowAt};
use super::row::{Book, Row};
use super::value::Said;
use crate::domain::access::CardState;
use crate::domain::card::CardNumber;
use crate::domain::dwelling::{Day, Dwelling, Relation, Tenure};
use crate::domain::id::{CardholderId, DwellingId};
use crate::domain::limit::FloorArea;
use crate::domain::person::{PersonMark, PersonName};
use crate::domain::place::Place;
use crate::roster::Snapshot;
use crate::time::WallTime;

/// How often rows are put together anew without those that contradict each other. The second time
/// finds more only when a refused row had joined two others.
const ROUNDS_MAX: usize = 4;

/// What a file wants, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The dwellings it names.
    pub dwellings: Vec<WantedDwelling>,
    /// The rows that cannot be taken, by where they stand.
    pub refused: Vec<Finding>,
    /// What was noticed and keeps nothing back.
    pub notes: Vec<Finding>,
    /// Rows with something in them.
    pub n_rows: usize,
}

/// What it says of a dwelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedDwelling {
    /// Its first row.
    pub at: RowAt,
    /// Its id.
    pub id: DwellingId,
    /// Is the id in the file, not made of place and number?
    pub is_id_said: bool,
    /// Its stairwell.
    pub place: Option<Place>,
    /// Its number.
    pub number: Option<String>,
    /// Its area.
    pub area: Option<FloorArea>,
    /// How it is held.
    pub tenure: Option<Tenure>,
    /// Its beds.
    pub beds: Option<u32>,
    /// Its first day.
    pub from: Said<Day>,
    /// Its last day.
    pub to: Said<Day>,
    /// Its cardholders.
    pub holders: Vec<WantedHolder>,
    /// Cards of rows that do not say whose they are.
    pub loose_cards: Vec<WantedCard>,
}

/// What it says of a cardholder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedHolder {
    /// The first row.
    pub at: RowAt,
    /// The id.
    pub id: Option<CardholderId>,
    /// The name.
    pub name: Option<PersonName>,
    /// What the person is to the dwelling.
    pub relation: Option<Relation>,
    /// What tells that two cardholders are one person.
    pub person: Option<PersonMark>,
    /// First day of the tenancy.
    pub from: Said<Day>,
    /// Last day of the tenancy.
    pub to: Said<Day>,
    /// The cards.
    pub cards: Vec<WantedCard>,
}

/// What it says of a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedCard {
    /// The row.
    pub at: RowAt,
    /// The number.
    pub number: CardNumber,
    /// The state.
    pub state: Option<CardState>,
    /// The first moment.
    pub valid_from: Said<WallTime>,
    /// The first moment after it.
    pub valid_until: Said<WallTime>,
}

/// Which dwelling the ledger has at a place under a number, as [`addresses_of`] writes it.
pub type Addresses = HashMap<(Place, String), DwellingId>;

/// The addresses of the ledger's dwellings.
pub fn addresses_of(snapshot: &Snapshot) -> Addresses {
    let dwellings = snapshot.dwellings.values().map(|record| &record.dwelling);
    let address = |dwelling: &Dwelling| (dwelling.place.clone(), number_label(&dwelling.number));
    dwellings
        .map(|dwelling| (address(dwelling), dwelling.id.clone()))
        .collect()
}

/// Puts the rows of `book` together; rows that name a dwelling by place and number mean the ledger's.
pub fn gather(book: Book, addresses: &Addresses) -> Wanted {
    let Book {
        mut rows,
        problems,
        notes,
        n_rows,
    } = book;
    let mut wanted = Wanted {
        refused: problems,
        n_rows,
        ..Wanted::default()
    };
    use_said_ids(&mut rows, addresses);
    let mut left_out = BTreeSet::new();
    for _ in 0..ROUNDS_MAX {
        // Rows that are refused lend nobody their id.
        let mut meant = rows.clone();
        let unclear = use_said_holders(&mut meant, &left_out);
        let of_that_name = |row| finding(row, Some(Column::Name), Reason::TwoOfThatName);
        let unclear_rows = unclear.iter().filter_map(|idx| meant.get(*idx));
        wanted.refused.extend(unclear_rows.map(of_that_name));
        left_out.extend(unclear);
        let mut round = Round::new(&meant);
        for idx in (0..rows.len()).filter(|idx| !left_out.contains(idx)) {
            round.take(idx);
        }
        let is_clean = round.conflicts.is_empty();
        left_out.extend(round.conflicts.iter().map(|(idx, _)| *idx));
        let conflicts = round.conflicts.into_iter().map(|(_, finding)| finding);
        wanted.refused.extend(conflicts);
        wanted.dwellings = round.dwellings;
        wanted.notes = round.notes;
        if is_clean {
            break;
        }
        wanted.dwellings.clear();
    }
    wanted.notes.extend(notes);
    wanted
        .refused
        .sort_by(|a, b| (&a.at, a.letters).cmp(&(&b.at, b.letters)));
    wanted.refused.dedup();
    wanted
        .notes
        .sort_by(|a, b| (&a.at, a.letters).cmp(&(&b.at, b.letters)));
    wanted
}

/// A row that names a dwelling by place and number means the one that another row gives an id, or
/// else the one that the ledger has there.
fn use_said_ids(rows: &mut [Row], addresses: &Addresses) {
    let mut said = Addresses::new();
    for row in rows.iter().filter(|row| row.is_id_said) {
        if let Some(address) = address_of(row) {
            said.entry(address).or_insert_with(|| row.dwelling.clone());
        }
    }
    for row in rows.iter_mut().filter(|row| !row.is_id_said) {
        if let Some(address) = address_of(row)
            && let Some(id) = said.get(&address).or_else(|| addresses.get(&address))
        {
            row.dwelling = id.clone();
            row.is_id_said = true;
        }
    }
}

/// What the rows of one cardholder's id say of who they are.
#[derive(Default)]
struct SaidOf<'r> {
    names: BTreeSet<&'r str>,
    marks: BTreeSet<&'r str>,
}

/// A row that names a cardholder by mark or name means the one of its dwelling to whom another row
/// gives an id, wherever in the file that row stands. Returns the rows that may mean either of two; those
/// `left_out` count for nothing.
fn use_said_holders(rows: &mut [Row], left_out: &BTreeSet<usize>) -> BTreeSet<usize> {
    let mut said: HashMap<&DwellingId, BTreeMap<&CardholderId, SaidOf<'_>>> = HashMap::new();
    let counted = |idx: &usize| !left_out.contains(idx);
    for (_, row) in rows.iter().enumerate().filter(|(idx, _)| counted(idx)) {
        if let Some(id) = &row.holder {
            let of = said.entry(&row.dwelling).or_default();
            let of = of.entry(id).or_default();
            of.names.extend(row.name.as_ref().map(PersonName::reveal));
            of.marks.extend(row.person.as_ref().map(PersonMark::reveal));
        }
    }
    let mut meant = Vec::new();
    let mut unclear = BTreeSet::new();
    for (idx, row) in rows.iter().enumerate().filter(|(idx, _)| counted(idx)) {
        let (None, Some(said)) = (&row.holder, said.get(&row.dwelling)) else {
            continue;
        };
        let mark = row.person.as_ref().map(PersonMark::reveal);
        let name = row.name.as_ref().map(PersonName::reveal);
        let of_mark = |of: &SaidOf<'_>| mark.is_some_and(|mark| of.marks.contains(mark));
        let of_name = |of: &SaidOf<'_>| {
            let is_open = mark.is_none() || of.marks.is_empty();
            is_open && name.is_some_and(|name| of.names.contains(name))
        };
        let mut found: Vec<_> = said.iter().filter(|(_, of)| of_mark(of)).collect();
        if found.is_empty() {
            found = said.iter().filter(|(_, of)| of_name(of)).collect();
        }
        match found.as_slice() {
            [] => {}
            [(id, _)] => meant.push((idx, (**id).clone())),
            _ => {
                unclear.insert(idx);
            }
        }
    }
    for (idx, id) in meant {
        if let Some(row) = rows.get_mut(idx) {
            row.holder = Some(id);
        }
    }
    unclear
}

fn address_of(row: &Row) -> Option<(Place, String)> {
    Some((row.place.clone()?, row.number.clone()?))
}

/// Which row said something first.
type First = BTreeMap<Column, usize>;

/// A cardholder's place: dwelling, then holder.
type HolderIdx = (usize, usize);

struct Round<'r> {
    rows: &'r [Row],
    dwellings: Vec<WantedDwelling>,
    notes: Vec<Finding>,
    /// Row and finding, for both rows of each contradiction.
    conflicts: Vec<(usize, Finding)>,
    dwelling_idx: HashMap<DwellingId, usize>,
    dwelling_firsts: Vec<First>,
    holder_ids: HashMap<CardholderId, (HolderIdx, usize)>,
    holder_firsts: HashMap<HolderIdx, First>,
    cards: HashMap<CardNumber, (Option<HolderIdx>, usize)>,
}

impl<'r> Round<'r> {
    fn new(rows: &'r [Row]) -> Round<'r> {
        Round {
            rows,
            dwellings: Vec::new(),
            notes: Vec::new(),
            conflicts: Vec::new(),
            dwelling_idx: HashMap::new(),
            dwelling_firsts: Vec::new(),
            holder_ids: HashMap::new(),
            holder_firsts: HashMap::new(),
            cards: HashMap::new(),
        }
    }

    fn take(&mut self, idx: usize) {
        let Some(row) = self.rows.get(idx) else {
            return;
        };
        let n_conflicts = self.conflicts.len();
        let (dwelling_idx, is_new_dwelling) = self.dwelling(idx, row);
        let mut is_new = is_new_dwelling;
        let holder = if row.names_holder() {
            let Some((holder, is_new_holder)) = self.holder(idx, row, dwelling_idx) else {
                return;
            };
            is_new |= is_new_holder;
            Some(holder)
        } else {
            None
        };
        if row.card.is_some() {
            self.card(idx, row, dwelling_idx, holder);
        } else if !is_new && self.conflicts.len() == n_conflicts {
            let first = match holder {
                Some((dwelling, holder)) => self
                    .dwellings
                    .get(dwelling)
                    .and_then(|d| d.holders.get(holder))
                    .map(|h| &h.at),
                None => self.dwellings.get(dwelling_idx).map(|d| &d.at),
            };
            if let Some(first) = first {
                let reason = Reason::SameAs(first.clone());
                self.notes.push(finding(row, None, reason));
            }
        }
    }

    /// Both rows, each with where the other stands.
    fn conflict(&mut self, idx: usize, first: usize, column: Column, reason: fn(RowAt) -> Reason) {
        for (own, other) in [(idx, first), (first, idx)] {
            if let (Some(row), Some(other)) = (self.rows.get(own), self.rows.get(other)) {
                let found = finding(row, Some(column), reason(other.at.clone()));
                self.conflicts.push((own, found));
            }
        }
    }

    /// The dwelling of a row, and whether the row is its first.
    fn dwelling(&mut self, idx: usize, row: &Row) -> (usize, bool) {
        let known = self.dwelling_idx.get(&row.dwelling).copied();
        let dwelling_idx = known.unwrap_or_else(|| {
            let dwelling_idx = self.dwellings.len();
            self.dwelling_idx.insert(row.dwelling.clone(), dwelling_idx);
            self.dwelling_firsts.push(First::new());
            self.dwellings.push(WantedDwelling {
                at: row.at.clone(),
                id: row.dwelling.clone(),
                is_id_said: row.is_id_said,
                place: None,
                number: None,
                area: None,
                tenure: None,
                beds: None,
                from: Said::Nothing,
                to: Said::Nothing,
                holders: Vec::new(),
                loose_cards: Vec::new(),
            });
            dwelling_idx
        });
        let mut differing = Vec::new();
        if let (Some(known), Some(firsts)) = (
            self.dwellings.get_mut(dwelling_idx),
            self.dwelling_firsts.get_mut(dwelling_idx),
        ) {
            let mut facts = Facts {
                idx,
                firsts,
                differing: &mut differing,
            };
            facts.option(Column::Place, &mut known.place, row.place.as_ref());
            facts.option(Column::Number, &mut known.number, row.number.as_ref());
            facts.option(Column::Area, &mut known.area, row.area.as_ref());
            facts.option(Column::Tenure, &mut known.tenure, row.tenure.as_ref());
            facts.option(Column::Beds, &mut known.beds, row.beds.as_ref());
            facts.said(Column::DwellingFrom, &mut known.from, row.dwelling_from);
            facts.said(Column::DwellingUntil, &mut known.to, row.dwelling_to);
        }
        for (column, first) in differing {
            self.conflict(idx, first, column, Reason::Differs);
        }
        (dwelling_idx, known.is_none())
    }

    /// The cardholder of a row, and whether the row is their first; `None`: refused.
    fn holder(&mut self, idx: usize, row: &Row, dwelling_idx: usize) -> Option<(HolderIdx, bool)> {
        let known = match self.find_holder(row, dwelling_idx) {
            Ok(known) => known,
            Err(Found::Elsewhere(first)) => {
                self.conflict(idx, first, Column::Holder, Reason::HolderElsewhere);
                return None;
            }
            Err(Found::Two) => {
                let found = finding(row, Some(Column::Name), Reason::TwoOfThatName);
                self.conflicts.push((idx, found));
                return None;
            }
        };
        let holders = &mut self.dwellings.get_mut(dwelling_idx)?.holders;
        let holder_idx = known.unwrap_or_else(|| {
            holders.push(WantedHolder {
                at: row.at.clone(),
                id: None,
                name: None,
                relation: None,
                person: None,
                from: Said::Nothing,
                to: Said::Nothing,
                cards: Vec::new(),
            });
            holders.len() - 1
        });
        let place = (dwelling_idx, holder_idx);
        let holder = holders.get_mut(holder_idx)?;
        let mut differing = Vec::new();
        let firsts = self.holder_firsts.entry(place).or_default();
        let mut facts = Facts {
            idx,
            firsts,
            differing: &mut differing,
        };
        facts.option(Column::Holder, &mut holder.id, row.holder.as_ref());
        facts.option(Column::Name, &mut holder.name, row.name.as_ref());
        facts.option(
            Column::Relation,
            &mut holder.relation,
            row.relation.as_ref(),
        );
        facts.option(Column::Person, &mut holder.person, row.person.as_ref());
        facts.said(Column::From, &mut holder.from, row.from);
        facts.said(Column::Until, &mut holder.to, row.to);
        if let Some(id) = &row.holder {
            self.holder_ids.entry(id.clone()).or_insert((place, idx));
        }
        for (column, first) in differing {
            self.conflict(idx, first, column, Reason::Differs);
        }
        Some((place, known.is_none()))
    }

    /// By id, or else by mark, or else by name.
    fn find_holder(&self, row: &Row, dwelling_idx: usize) -> Result<Option<usize>, Found> {
        let holders = self
            .dwellings
            .get(dwelling_idx)
            .map_or(&[][..], |d| d.holders.as_slice());
        if let Some(id) = &row.holder {
            match self.holder_ids.get(id) {
                Some(((dwelling, holder), _)) if *dwelling == dwelling_idx => {
                    return Ok(Some(*holder));
                }
                Some((_, first)) => return Err(Found::Elsewhere(*first)),
                None => {}
            }
        }
        // One whose id is known is someone else than a row with another id.
        let is_free = |holder: &WantedHolder| row.holder.is_none() || holder.id.is_none();
        if let Some(mark) = &row.person {
            let is_it =
                |holder: &WantedHolder| holder.person.as_ref() == Some(mark) && is_free(holder);
            if let Some(found) = holders.iter().position(is_it) {
                return Ok(Some(found));
            }
        }
        let Some(name) = &row.name else {
            return Ok(None);
        };
        let of_that_name = holders.iter().enumerate().filter(|(_, holder)| {
            let same_mark = row.person.is_none() || holder.person.is_none();
            holder.name.as_ref() == Some(name) && same_mark && is_free(holder)
        });
        let found: Vec<usize> = of_that_name.map(|(idx, _)| idx).collect();
        match found.as_slice() {
            [] => Ok(None),
            [found] => Ok(Some(*found)),
            _ => Err(Found::Two),
        }
    }

    fn card(&mut self, idx: usize, row: &Row, dwelling_idx: usize, holder: Option<HolderIdx>) {
        let Some(number) = &row.card else {
            return;
        };
        if let Some((known, first)) = self.cards.get(number).copied() {
            if known != holder {
                self.conflict(idx, first, Column::Card, Reason::CardTwice);
                return;
            }
            self.same_card(idx, row, first);
            return;
        }
        self.cards.insert(number.clone(), (holder, idx));
        let card = WantedCard {
            at: row.at.clone(),
            number: number.clone(),
            state: row.state,
            valid_from: row.valid_from,
            valid_until: row.valid_until,
        };
        let Some(dwelling) = self.dwellings.get_mut(dwelling_idx) else {
            return;
        };
        match holder {
            Some((_, holder)) => {
                if let Some(holder) = dwelling.holders.get_mut(holder) {
                    holder.cards.push(card);
                }
            }
            None => dwelling.loose_cards.push(card),
        }
    }

    /// A card that stands twice at one cardholder.
    fn same_card(&mut self, idx: usize, row: &Row, first: usize) {
        let Some(before) = self.rows.get(first) else {
            return;
        };
        let differing = [
            (Column::State, row.state != before.state),
            (Column::ValidFrom, row.valid_from != before.valid_from),
            (Column::ValidUntil, row.valid_until != before.valid_until),
        ];
        let mut is_same = true;
        for (column, _) in differing.into_iter().filter(|(_, differs)| *differs) {
            is_same = false;
            self.conflict(idx, first, column, Reason::Differs);
        }
        if is_same {
            let reason = Reason::SameAs(before.at.clone());
            self.notes.push(finding(row, Some(Column::Card), reason));
        }
    }
}

/// Why a row's cardholder is not clear.
enum Found {
    Elsewhere(usize),
    Two,
}

/// Takes what a row says over, and finds what differs.
struct Facts<'f> {
    idx: usize,
    firsts: &'f mut First,
    differing: &'f mut Vec<(Column, usize)>,
}

impl Facts<'_> {
    fn option<T: Clone + PartialEq>(
        &mut self,
        column: Column,
        known: &mut Option<T>,
        said: Option<&T>,
    ) {
        match (known.as_ref(), said) {
            (_, None) => {}
            (None, Some(said)) => {
                *known = Some(said.clone());
                self.firsts.insert(column, self.idx);
            }
            (Some(known), Some(said)) if known == said => {}
            (Some(_), Some(_)) => self.differs(column),
        }
    }

    fn said<T: Copy + PartialEq>(&mut self, column: Column, known: &mut Said<T>, said: Said<T>) {
        match (&*known, said) {
            (_, Said::Nothing) => {}
            (Said::Nothing, said) => {
                *known = said;
                self.firsts.insert(column, self.idx);
            }
            (known, said) if *known == said => {}
            (_, _) => self.differs(column),
        }
    }

    fn differs(&mut self, column: Column) {
        let first = self.firsts.get(&column).copied().unwrap_or(self.idx);
        self.differing.push((column, first));
    }
}

/// The letters of a column are not known any more here; its heading is.
fn finding(row: &Row, column: Option<Column>, reason: Reason) -> Finding {
    Finding {
        at: row.at.clone(),
        letters: column.and_then(|column| row.letters_of(column)),
        column,
        reason,
    }
}

/// So that a finding about a row that was read well still says which column.
impl Row {
    fn letters_of(&self, column: Column) -> Option<ColumnLetters> {
        let found = self.columns.iter().find(|(_, is)| **is == column);
        found.map(|(number, _)| ColumnLetters(*number))
    }
}

//! The rows of a file, each cell read as what its column means.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::column::Column;
use super::grid::{COLUMNS_MAX, Cell, ColumnLetters, Line, Table};
use super::heading::{self, HEADING_ROWS_MAX, Headings};
use super::places::{PlaceBook, number_label};
use super::reason::{FileReason, Finding, Reason, RowAt};
use super::text::{clean, quote, squeeze};
use super::value::{self, CardLengths, Edge, Said, StateWord};
use crate::domain::access::CardState;
use crate::domain::card::CardNumber;
use crate::domain::dwelling::{Day, NUMBER_CHARS_MAX, Relation, Tenure};
use crate::domain::id::{CardholderId, DwellingId, SLUG_BYTES_MAX};
use crate::domain::limit::FloorArea;
use crate::domain::person::{NAME_CHARS_MAX, PERSON_MARK_CHARS_MAX, PersonMark, PersonName};
use crate::domain::place::Place;
use crate::time::{TimeZone, WallTime};

use sha2::{Digest as _, Sha256};

/// By what a file is read.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// The stairwells there are.
    pub places: Arc<PlaceBook>,
    /// In which dates are meant.
    pub time_zone: TimeZone,
    /// Today there.
    pub today: Day,
}

/// One row: what it says of a dwelling, a cardholder of it and a card of theirs. An empty cell says
/// nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where it stands.
    pub at: RowAt,
    /// The dwelling; made of place and number where the row has no id.
    pub dwelling: DwellingId,
    /// Does the row itself give the dwelling's id?
    pub is_id_said: bool,
    /// Its stairwell.
    pub place: Option<Place>,
    /// Its number; never empty, at most 32 characters.
    pub number: Option<String>,
    /// Its floor area.
    pub area: Option<FloorArea>,
    /// How it is held.
    pub tenure: Option<Tenure>,
    /// Registered beds.
    pub beds: Option<u32>,
    /// First day of the dwelling under these facts.
    pub dwelling_from: Said<Day>,
    /// Last day of that.
    pub dwelling_to: Said<Day>,
    /// The cardholder's id.
    pub holder: Option<CardholderId>,
    /// The name; never empty.
    pub name: Option<PersonName>,
    /// What the person is to the dwelling.
    pub relation: Option<Relation>,
    /// What tells that two cardholders are one person.
    pub person: Option<PersonMark>,
    /// First day of the tenancy.
    pub from: Said<Day>,
    /// Last day of the tenancy.
    pub to: Said<Day>,
    /// The card.
    pub card: Option<CardNumber>,
    /// Its state.
    pub state: Option<CardState>,
    /// Its first moment.
    pub valid_from: Said<WallTime>,
    /// The first moment after it.
    pub valid_until: Said<WallTime>,
    /// Which column of the file is which; empty for rows that come from no file.
    pub(super) columns: Arc<BTreeMap<u32, Column>>,
}

impl Row {
    /// A row that says nothing but which dwelling.
    pub fn of(dwelling: DwellingId) -> Row {
        Row {
            at: RowAt {
                sheet: None,
                row: 0,
            },
            dwelling,
            is_id_said: true,
            place: None,
            number: None,
            area: None,
            tenure: None,
            beds: None,
            dwelling_from: Said::Nothing,
            dwelling_to: Said::Nothing,
            holder: None,
            name: None,
            relation: None,
            person: None,
            from: Said::Nothing,
            to: Said::Nothing,
            card: None,
            state: None,
            valid_from: Said::Nothing,
            valid_until: Said::Nothing,
            columns: Arc::default(),
        }
    }

    /// Does it say who?
    pub fn names_holder(&self) -> bool {
        self.holder.is_some() || self.name.is_some() || self.person.is_some()
    }

    fn says_of_holder(&self) -> bool {
        self.relation.is_some() || !self.from.is_nothing() || !self.to.is_nothing()
    }
}

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    /// The rows that can be used, in the file's order.
    pub rows: Vec<Row>,
    /// What is wrong, by row; each of these rows is left out of `rows`.
    pub problems: Vec<Finding>,
    /// What was noticed and keeps nothing back.
    pub notes: Vec<Finding>,
    /// Rows with something in them below headings, used or refused.
    pub n_rows: usize,
}

/// Reads an XLSX or CSV file; which of them is seen from its bytes.
///
/// # Errors
/// [`FileReason`] when nothing can be read of it.
pub fn read(bytes: &[u8], options: &ReadOptions) -> Result<Book, FileReason> {
    let mut tables = crate::spreadsheet::tables(bytes)?;
    let mut book = Book::default();
    let mut headed = Vec::new();
    for table in &mut tables {
        if table.is_hidden {
            book.notes.push(of_sheet(table, Reason::HiddenSheet));
            continue;
        }
        let heading_row = table
            .lines
            .get(HEADING_ROWS_MAX)
            .map_or(u32::MAX, |line| line.row);
        table.spread_merged(heading_row.min(1_000))?;
        table.lines.retain(|line| !line.is_blank());
        let n_problems = book.problems.len();
        match heading::find(table, &mut book.problems, &mut book.notes) {
            Some(headings) if book.problems.len() == n_problems => headed.push((&*table, headings)),
            // With wrong headings every row would only repeat that.
            Some(_) => {}
            None if table.lines.is_empty() => {}
            None => book.notes.push(of_sheet(table, Reason::NoHeadings)),
        }
    }
    if headed.is_empty() && book.problems.is_empty() {
        return Err(FileReason::NoHeadings);
    }
    let mut lengths = CardLengths::default();
    for (table, headings) in &headed {
        let cards = headings
            .columns
            .iter()
            .filter(|(_, column)| **column == Column::Card);
        for (number, _) in cards {
            let lines = table.lines.iter().skip(headings.first_data);
            lines.for_each(|line| lengths.add(line.cell(*number)));
        }
    }
    for (table, headings) in &headed {
        for line in table.lines.iter().skip(headings.first_data) {
            let at = RowAt {
                sheet: table.name.clone(),
                row: line.row,
            };
            let reader = RowReader {
                line,
                headings,
                options,
                lengths: &lengths,
                is_1904: table.is_1904,
                at,
                problems: Vec::new(),
                notes: Vec::new(),
            };
            reader.read(&mut book);
        }
    }
    Ok(book)
}

fn of_sheet(table: &Table, reason: Reason) -> Finding {
    Finding {
        at: RowAt {
            sheet: table.name.clone(),
            row: 0,
        },
        letters: None,
        column: None,
        reason,
    }
}

/// Words of rows that add up.
const TOTALS: [&str; 6] = ["合计", "总计", "小计", "共计", "total", "sum"];

struct RowReader<'r> {
    line: &'r Line,
    headings: &'r Headings,
    options: &'r ReadOptions,
    lengths: &'r CardLengths,
    is_1904: bool,
    at: RowAt,
    problems: Vec<Finding>,
    notes: Vec<Finding>,
}

impl RowReader<'_> {
    fn read(mut self, book: &mut Book) {
        if self.headings.is_repeated(self.line) {
            return;
        }
        let first = self.line.cells.iter().find(|cell| **cell != Cell::Empty);
        let first = first
            .and_then(|cell| value::text(cell).ok())
            .unwrap_or_default();
        if TOTALS.contains(
            &squeeze(&first)
                .trim_end_matches(':')
                .to_lowercase()
                .as_str(),
        ) {
            self.notes.push(self.of_row(Reason::Total));
            book.notes.append(&mut self.notes);
            return;
        }
        // Rows of which only unread columns hold something say nothing.
        if self
            .headings
            .columns
            .keys()
            .all(|column| *self.line.cell(*column) == Cell::Empty)
        {
            return;
        }
        book.n_rows += 1;
        let row = self.row();
        book.notes.append(&mut self.notes);
        if self.problems.is_empty() {
            book.rows.extend(row);
        } else {
            book.problems.append(&mut self.problems);
        }
    }

    fn row(&mut self) -> Option<Row> {
        let n_cells = u32::try_from(self.line.cells.len()).unwrap_or(COLUMNS_MAX);
        if self.at.sheet.is_none() && n_cells > self.headings.width {
            self.problems.push(self.of_row(Reason::MoreCells));
            return None;
        }
        // The mistakes of all cells are wanted, so each is read before any is given up.
        let (place, number) = self.place_and_number();
        let said = self.dwelling_id();
        let is_id_said = said.is_some();
        let dwelling = said.or_else(|| Some(derived_id(place.as_ref()?, number.as_deref()?)));
        if dwelling.is_none() && self.problems.is_empty() {
            self.problems.push(self.of_row(Reason::NoDwelling));
        }
        let zone = &self.options.time_zone.clone();
        let is_1904 = self.is_1904;
        let day = |cell: &Cell| value::day(cell, is_1904);
        let start = |cell: &Cell| value::moment(cell, is_1904, Edge::Start, zone);
        let end = |cell: &Cell| value::moment(cell, is_1904, Edge::End, zone);
        let row = Row {
            at: self.at.clone(),
            dwelling: dwelling.unwrap_or_else(|| DwellingId::new("-").expect("a dash is a slug")),
            is_id_said,
            place,
            number,
            area: self.cell(Column::Area, value::area),
            tenure: self.cell(Column::Tenure, value::tenure),
            beds: self.cell(Column::Beds, value::beds),
            dwelling_from: self.cell(Column::DwellingFrom, day),
            dwelling_to: self.cell(Column::DwellingUntil, day),
            holder: self.cell(Column::Holder, holder_id),
            name: self.cell(Column::Name, name),
            relation: self.cell(Column::Relation, value::relation),
            person: self.cell(Column::Person, person),
            from: self.cell(Column::From, day),
            to: self.cell(Column::Until, day),
            card: self.card(),
            state: None,
            valid_from: self.cell(Column::ValidFrom, start),
            valid_until: self.cell(Column::ValidUntil, end),
            columns: Arc::clone(&self.headings.columns),
        };
        let state = self.state(&row);
        self.check(&row);
        Some(Row {
            state,
            beds: row
                .beds
                .filter(|beds| *beds > 0 || row.tenure == Some(Tenure::Dormitory)),
            ..row
        })
    }

    /// What must fit together within a row.
    fn check(&mut self, row: &Row) {
        fn is_backwards<T: PartialOrd>(from: &Said<T>, to: &Said<T>, is_end_open: bool) -> bool {
            match (from, to) {
                (Said::Is(from), Said::Is(to)) => to < from || is_end_open && to == from,
                (_, _) => false,
            }
        }
        if is_backwards(&row.dwelling_from, &row.dwelling_to, false) {
            self.problem(Column::DwellingUntil, Reason::Backwards);
        }
        if is_backwards(&row.from, &row.to, false) {
            self.problem(Column::Until, Reason::Backwards);
        }
        if is_backwards(&row.valid_from, &row.valid_until, true) {
            self.problem(Column::ValidUntil, Reason::Backwards);
        }
        let has_card_facts =
            row.state.is_some() || !row.valid_from.is_nothing() || !row.valid_until.is_nothing();
        if row.card.is_none() && has_card_facts && !self.is_refused(Column::Card) {
            self.problem(Column::Card, Reason::Missing);
        }
        if !row.names_holder() && row.says_of_holder() {
            self.problem(Column::Holder, Reason::WithoutHolder);
        }
    }

    fn is_refused(&self, column: Column) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.column == Some(column))
    }

    fn of_row(&self, reason: Reason) -> Finding {
        Finding {
            at: self.at.clone(),
            letters: None,
            column: None,
            reason,
        }
    }

    fn finding(&self, column: Column, reason: Reason) -> Finding {
        Finding {
            at: self.at.clone(),
            letters: self.number_of(column).map(ColumnLetters),
            column: Some(column),
            reason,
        }
    }

    fn problem(&mut self, column: Column, reason: Reason) {
        let finding = self.finding(column, reason);
        self.problems.push(finding);
    }

    fn number_of(&self, column: Column) -> Option<u32> {
        let found = self.headings.columns.iter().find(|(_, is)| **is == column);
        found.map(|(number, _)| *number)
    }

    /// Reads the cell of `column`; a column that is not there is an empty cell.
    fn cell<T: Default>(
        &mut self,
        column: Column,
        read: impl FnOnce(&Cell) -> Result<T, Reason>,
    ) -> T {
        let cell = self
            .number_of(column)
            .map_or(&Cell::Empty, |n| self.line.cell(n));
        match read(cell) {
            Ok(value) => value,
            Err(reason) => {
                self.problem(column, reason);
                T::default()
            }
        }
    }

    fn dwelling_id(&mut self) -> Option<DwellingId> {
        self.cell(Column::Dwelling, |cell| {
            let text = squeeze(&value::text(cell)?);
            let id = (!text.is_empty())
                .then(|| DwellingId::new(&text))
                .transpose();
            id.map_err(|_slug| Reason::Id(quote(&text)))
        })
    }

    /// The stairwell and the number, however the row spreads them over its cells.
    fn place_and_number(&mut self) -> (Option<Place>, Option<String>) {
        let book = Arc::clone(&self.options.places);
        let place = self.cell(Column::Place, |cell| Ok(squeeze(&value::text(cell)?)));
        let building = self.cell(Column::Building, |cell| Ok(squeeze(&value::text(cell)?)));
        let unit = self.cell(Column::Unit, |cell| Ok(squeeze(&value::text(cell)?)));
        let number = self.cell(Column::Number, |cell| {
            let number = clean(&value::text(cell)?);
            if number.chars().count() > NUMBER_CHARS_MAX {
                return Err(Reason::TooLong(NUMBER_CHARS_MAX));
            }
            Ok(number)
        });
        let mut found = None;
        if !place.is_empty() {
            // `楼道` may hold the unit alone where the building has a column of its own.
            found = book.find(&place);
            if found.is_none() && !building.is_empty() {
                found = book.by_wall(&building, &place);
            }
            if found.is_none() {
                self.problem(Column::Place, Reason::Place(quote(&place)));
            }
        } else if !building.is_empty() && !unit.is_empty() {
            found = book.by_wall(&building, &unit);
            if found.is_none() {
                let wall = quote(&format!("{building}-{unit}"));
                self.problem(Column::Building, Reason::Wall(wall));
            }
        } else if !unit.is_empty() {
            // `单元` may hold both, or the stairwell's id.
            found = book.find(&unit);
            if found.is_none() {
                self.problem(Column::Unit, Reason::Place(quote(&unit)));
            }
        } else if let Some((place, label)) = book.split_address(&number) {
            return (Some(place), Some(label));
        }
        // With the place known, an address in the number is only cut when it is of that place.
        let label = match book.split_address(&number) {
            Some((of, label)) if found.as_ref() == Some(&of) => label,
            Some(_) | None => number_label(&number),
        };
        (found, (!label.is_empty()).then_some(label))
    }

    fn card(&mut self) -> Option<CardNumber> {
        let lengths = self.lengths;
        let (number, doubt) = self.cell(Column::Card, |cell| value::card(cell, lengths))?;
        if let Some(doubt) = doubt {
            let note = self.finding(Column::Card, doubt);
            self.notes.push(note);
        }
        Some(number)
    }

    fn state(&mut self, row: &Row) -> Option<CardState> {
        match self.cell(Column::State, value::state)? {
            StateWord::Is(state) => Some(state),
            StateWord::Expired => {
                let zone = &self.options.time_zone;
                let today = zone.day_start(&self.options.today.to_string()).ok();
                match (row.valid_until, today) {
                    (Said::Is(until), Some(today)) if until <= today => Some(CardState::Active),
                    (_, _) => {
                        self.problem(Column::State, Reason::ExpiredWithoutEnd);
                        None
                    }
                }
            }
        }
    }
}

fn holder_id(cell: &Cell) -> Result<Option<CardholderId>, Reason> {
    let text = squeeze(&value::text(cell)?);
    let id = (!text.is_empty())
        .then(|| CardholderId::new(&text))
        .transpose();
    id.map_err(|_slug| Reason::Id(quote(&text)))
}

fn name(cell: &Cell) -> Result<Option<PersonName>, Reason> {
    let name = PersonName::new(&value::text(cell)?);
    let name = name.map_err(|_long| Reason::TooLong(NAME_CHARS_MAX))?;
    Ok((!name.is_empty()).then_some(name))
}

fn person(cell: &Cell) -> Result<Option<PersonMark>, Reason> {
    let text = value::text(cell)?;
    let mark = (!text.is_empty())
        .then(|| PersonMark::new(&text))
        .transpose();
    mark.map_err(|_long| Reason::TooLong(PERSON_MARK_CHARS_MAX))
}

/// `b03-u2-301` from `b03-u2` and `301`; a number that no id can hold is hashed.
pub(super) fn derived_id(place: &Place, number: &str) -> DwellingId {
    let plain = format!("{}-{number}", place.as_str());
    if let Ok(id) = DwellingId::new(&plain) {
        return id;
    }
    let head: String = place.as_str().chars().take(SLUG_BYTES_MAX - 13).collect();
    let digest = short_digest(&plain);
    DwellingId::new(&format!("{head}-{digest}")).expect("a slug, a dash and hexadecimal digits")
}

/// Twelve hexadecimal digits that stand for `text`.
pub(super) fn short_digest(text: &str) -> String {
    let digest = hex::encode(Sha256::digest(text.as_bytes()));
    digest.chars().take(12).collect()
}

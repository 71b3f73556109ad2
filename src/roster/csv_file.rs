//! The roster as a CSV file: one row for each card, UTF-8, a header line.
//!
//! ```csv
//! dwelling,place,number,area_m2,tenure,beds,holder,name,relation,card,state,valid_from,valid_until
//! b03-u2-301,b03-u2,301,94.30,rented,,h1,张三,tenant,04A1B2C3D4,active,2026-01-01,2026-12-31
//! b03-u2-301,,,,,,h1,,,04A1B2C3D5,lost,,
//! ```
//!
//! `tenure` is `rented`, `owner-occupied` (also when empty) or `dormitory`, which has `beds`.
//! A later row of the same dwelling or holder may leave its facts empty; what it does say must
//! agree. A dwelling without holders and a holder without cards are rows that end early. Columns may
//! stand in any order. Problems never quote a name or a card number.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::Read as _;
use std::path::Path;

use super::RosterOptions;
use super::problem::{Problems, RosterError};
use crate::domain::access::CardState;
use crate::domain::card::CardNumber;
use crate::domain::dwelling::{BEDS_MAX, Dwelling, NUMBER_CHARS_MAX, Relation, Tenure};
use crate::domain::id::{CardholderId, DwellingId};
use crate::domain::limit::FloorArea;
use crate::domain::person::{NAME_CHARS_MAX, PersonName};
use crate::domain::place::Place;
use crate::time::{TimeZone, WallTime};

/// Largest file read: a million rows fit.
const FILE_BYTES_MAX: u64 = 128 << 20;
/// The relation of a holder whose row says none.
const RELATION_UNSTATED: &str = "unstated";

/// What the file says.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// In the file's order.
    pub(super) dwellings: Vec<DwellingRows>,
}

#[derive(Debug)]
pub(super) struct DwellingRows {
    pub(super) dwelling: Dwelling,
    /// The line that told of it first.
    pub(super) line: u64,
    /// In the file's order.
    pub(super) holders: Vec<HolderRows>,
}

#[derive(Debug)]
pub(super) struct HolderRows {
    pub(super) id: CardholderId,
    /// The line that told of it first.
    pub(super) line: u64,
    pub(super) name: PersonName,
    pub(super) relation: Relation,
    pub(super) cards: Vec<CardRow>,
}

#[derive(Debug)]
pub(super) struct CardRow {
    /// Its line.
    pub(super) line: u64,
    pub(super) number: CardNumber,
    pub(super) state: CardState,
    pub(super) valid_from: Option<WallTime>,
    pub(super) valid_until: Option<WallTime>,
}

pub(super) fn read(file: &Path, options: &RosterOptions) -> Result<Rows, RosterError> {
    let mut problems = Problems::default();
    let rows = match read_text(file) {
        Ok(bytes) => read_rows(&bytes, options, &mut problems),
        Err(err) => {
            problems.add(0, "", format!("cannot be read: {err}"));
            Rows::default()
        }
    };
    problems.into_result(file, rows)
}

fn read_text(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let n_read = std::fs::File::open(file)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)?;
    if n_read as u64 > FILE_BYTES_MAX {
        let kind = std::io::ErrorKind::InvalidData;
        return Err(std::io::Error::new(kind, "over 128 MiB"));
    }
    Ok(bytes)
}

const COLUMNS: [&str; 13] = [
    "dwelling",
    "place",
    "number",
    "area_m2",
    "tenure",
    "beds",
    "holder",
    "name",
    "relation",
    "card",
    "state",
    "valid_from",
    "valid_until",
];

/// Columns without which a file says nothing.
const COLUMNS_NEEDED: [&str; 6] = ["dwelling", "place", "number", "area_m2", "holder", "card"];

/// Where each column stands in this file.
struct Header(HashMap<&'static str, usize>);

impl Header {
    fn read(record: &csv::StringRecord, problems: &mut Problems) -> Header {
        let mut places = HashMap::new();
        for (idx, name) in record.iter().enumerate() {
            let name = name.trim().trim_start_matches('\u{feff}');
            match COLUMNS.iter().find(|column| **column == name) {
                Some(column) => {
                    if places.insert(*column, idx).is_some() {
                        problems.add(1, column, "this column stands twice");
                    }
                }
                None => {
                    let known = COLUMNS.join(",");
                    problems.add(1, "", format!("unknown column {name:?} (known: {known})"));
                }
            }
        }
        for column in COLUMNS_NEEDED {
            if !places.contains_key(column) {
                problems.add(1, column, "this column is missing");
            }
        }
        Header(places)
    }
}

/// One row: trimmed cells by column name.
struct Row<'r> {
    line: u64,
    header: &'r Header,
    record: &'r csv::StringRecord,
}

impl<'r> Row<'r> {
    fn cell(&self, column: &'static str) -> &'r str {
        let idx = self.header.0.get(column);
        idx.and_then(|idx| self.record.get(*idx))
            .map_or("", str::trim)
    }
}

fn read_rows(bytes: &[u8], options: &RosterOptions, problems: &mut Problems) -> Rows {
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .has_headers(false)
        .from_reader(bytes);
    let mut header = None;
    let mut builder = Builder::new(options, problems);
    let mut record = csv::ByteRecord::new();
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(err) => {
                let line = err.position().map_or(0, csv::Position::line);
                builder
                    .problems
                    .add(line, "", format!("cannot be read: {err}"));
                break;
            }
        }
        let line = record.position().map_or(0, csv::Position::line);
        let Ok(text) = csv::StringRecord::from_byte_record(std::mem::take(&mut record)) else {
            let what = "is not UTF-8 (save the file as \"CSV UTF-8\")";
            builder.problems.add(line, "", what);
            continue;
        };
        let Some(header) = &header else {
            header = Some(Header::read(&text, builder.problems));
            continue;
        };
        let is_blank = text.iter().all(|cell| cell.trim().is_empty());
        if is_blank || !builder.is_header_usable(header) {
            continue;
        }
        builder.row(&Row {
            line,
            header,
            record: &text,
        });
    }
    if header.is_none() {
        let columns = COLUMNS.join(",");
        let what = format!("is empty (its first line names the columns: {columns})");
        builder.problems.add(0, "", what);
    }
    builder.finish()
}

/// Puts rows together, remembering where each dwelling, holder and card was first seen.
struct Builder<'b> {
    options: &'b RosterOptions,
    problems: &'b mut Problems,
    rows: Rows,
    dwelling_idx: HashMap<DwellingId, usize>,
    /// Dwelling index, holder index.
    holder_idx: HashMap<CardholderId, (usize, usize)>,
    card_lines: HashMap<CardNumber, u64>,
}

impl<'b> Builder<'b> {
    fn new(options: &'b RosterOptions, problems: &'b mut Problems) -> Builder<'b> {
        Builder {
            options,
            problems,
            rows: Rows::default(),
            dwelling_idx: HashMap::new(),
            holder_idx: HashMap::new(),
            card_lines: HashMap::new(),
        }
    }

    /// With a column missing, every row would only repeat that.
    fn is_header_usable(&self, header: &Header) -> bool {
        COLUMNS_NEEDED
            .iter()
            .all(|column| header.0.contains_key(column))
    }

    fn finish(self) -> Rows {
        self.rows
    }

    fn row(&mut self, row: &Row<'_>) {
        if row.record.len() > row.header.0.len() {
            let what = "has more cells than the header (is a comma in a cell without quotes?)";
            self.problems.add(row.line, "", what);
            return;
        }
        // A card is read even when its dwelling is not usable, so that its own mistakes show too.
        let card = self.card(row);
        let Some(dwelling_idx) = self.dwelling(row) else {
            return;
        };
        let holder = self.holder(row, dwelling_idx);
        match (holder, card) {
            (Some((dwelling_idx, holder_idx)), Some(card)) => {
                let holders = self.rows.dwellings.get_mut(dwelling_idx);
                let holder = holders.and_then(|dwelling| dwelling.holders.get_mut(holder_idx));
                if let Some(holder) = holder {
                    holder.cards.push(card);
                }
            }
            (None, Some(_)) if row.cell("holder").is_empty() => {
                let what = "is missing (a card needs its holder)";
                self.problems.add(row.line, "holder", what);
            }
            (Some(_) | None, Some(_) | None) => {}
        }
    }

    fn dwelling(&mut self, row: &Row<'_>) -> Option<usize> {
        let id = match DwellingId::new(row.cell("dwelling")) {
            Ok(id) => id,
            Err(err) => {
                self.problems.add(row.line, "dwelling", err.to_string());
                return None;
            }
        };
        if let Some(idx) = self.dwelling_idx.get(&id).copied() {
            self.same_dwelling(row, idx);
            return Some(idx);
        }
        // The mistakes of all its cells are wanted, so each is read before any is given up.
        let place = self.place(row);
        let number = self.short_text(row, "number", NUMBER_CHARS_MAX);
        let area = self.area(row);
        let tenure = self.tenure(row);
        let beds = self.beds(row, tenure);
        if number.is_empty() {
            self.problems.add(row.line, "number", "is missing");
        }
        let idx = self.rows.dwellings.len();
        self.dwelling_idx.insert(id.clone(), idx);
        self.rows.dwellings.push(DwellingRows {
            dwelling: Dwelling {
                id,
                place: place.unwrap_or(Place::Compound),
                number,
                area: area.unwrap_or(FloorArea::from_hundredths_m2(0).expect("zero is an area")),
                tenure,
                beds,
                from: None,
                to: None,
            },
            line: row.line,
            holders: Vec::new(),
        });
        Some(idx)
    }

    /// A later row of a dwelling: what it says must agree with the first.
    fn same_dwelling(&mut self, row: &Row<'_>, idx: usize) {
        let Some(known) = self.rows.dwellings.get(idx).map(|rows| &rows.dwelling) else {
            return;
        };
        let beds = known.beds.map(|beds| beds.to_string()).unwrap_or_default();
        let area = row.cell("area_m2");
        let is_same_area = area.parse() == Ok(known.area);
        let said = [
            ("place", known.place.as_str()),
            ("number", known.number.as_str()),
            ("area_m2", if is_same_area { area } else { "another" }),
            ("tenure", known.tenure.as_str()),
            ("beds", beds.as_str()),
        ];
        for (column, known) in said {
            let cell = row.cell(column);
            if !cell.is_empty() && cell != known {
                let what = "differs from the dwelling's first row (leave it empty, or correct one)";
                self.problems.add(row.line, column, what);
            }
        }
    }

    fn holder(&mut self, row: &Row<'_>, dwelling_idx: usize) -> Option<(usize, usize)> {
        let cell = row.cell("holder");
        if cell.is_empty() {
            return None;
        }
        let id = match CardholderId::new(cell) {
            Ok(id) => id,
            Err(err) => {
                self.problems.add(row.line, "holder", err.to_string());
                return None;
            }
        };
        let name = self.short_text(row, "name", NAME_CHARS_MAX);
        let name = PersonName::new(&name).expect("a checked text is a name");
        let relation = self.relation(row);
        if let Some(place) = self.holder_idx.get(&id).copied() {
            if place.0 != dwelling_idx {
                let what = "is also a holder of another dwelling (give the person one id for each)";
                self.problems.add(row.line, "holder", what);
                return None;
            }
            self.same_holder(row, place, &name, relation.as_ref());
            return Some(place);
        }
        let dwelling = self.rows.dwellings.get_mut(dwelling_idx)?;
        let place = (dwelling_idx, dwelling.holders.len());
        dwelling.holders.push(HolderRows {
            id: id.clone(),
            line: row.line,
            name,
            relation: relation.unwrap_or_else(unstated),
            cards: Vec::new(),
        });
        self.holder_idx.insert(id, place);
        Some(place)
    }

    fn same_holder(
        &mut self,
        row: &Row<'_>,
        place: (usize, usize),
        name: &PersonName,
        relation: Option<&Relation>,
    ) {
        let dwelling = self.rows.dwellings.get(place.0);
        let Some(known) = dwelling.and_then(|dwelling| dwelling.holders.get(place.1)) else {
            return;
        };
        let what = "differs from the holder's first row (leave it empty, or correct one)";
        let differing = [
            ("name", !name.is_empty() && *name != known.name),
            (
                "relation",
                relation.is_some_and(|relation| *relation != known.relation),
            ),
        ];
        for (column, _) in differing.iter().filter(|(_, differs)| *differs) {
            self.problems.add(row.line, column, what);
        }
    }

    fn card(&mut self, row: &Row<'_>) -> Option<CardRow> {
        let state = self.state(row);
        let valid_from = self.moment(row, "valid_from", TimeZone::day_start);
        let valid_until = self.moment(row, "valid_until", TimeZone::day_end);
        if let (Some(from), Some(until)) = (valid_from, valid_until)
            && until <= from
        {
            let what = "lies before valid_from";
            self.problems.add(row.line, "valid_until", what);
        }
        let cell = row.cell("card");
        if cell.is_empty() {
            return None;
        }
        let number = match CardNumber::new(cell) {
            Ok(number) => number,
            Err(err) => {
                self.problems.add(row.line, "card", err.to_string());
                return None;
            }
        };
        if let Some(line) = self.card_lines.get(&number) {
            let what = format!("the same card stands in line {line} (a card has one holder)");
            self.problems.add(row.line, "card", what);
            return None;
        }
        self.card_lines.insert(number.clone(), row.line);
        Some(CardRow {
            line: row.line,
            number,
            state,
            valid_from,
            valid_until,
        })
    }

    fn place(&mut self, row: &Row<'_>) -> Option<Place> {
        let cell = row.cell("place");
        let place = match Place::new(cell) {
            Ok(Place::Compound) => Some(Place::Compound),
            Ok(Place::Stairwell(id)) => self
                .options
                .stairwells
                .contains_key(&id)
                .then_some(Place::Stairwell(id)),
            Err(_) => None,
        };
        if place.is_none() {
            let what = format!("there is no stairwell {cell:?} in the configuration");
            self.problems.add(row.line, "place", what);
        }
        place
    }

    fn area(&mut self, row: &Row<'_>) -> Option<FloorArea> {
        match row.cell("area_m2").parse() {
            Ok(area) => Some(area),
            Err(err) => {
                let what = format!("{err}");
                self.problems.add(row.line, "area_m2", what);
                None
            }
        }
    }

    fn tenure(&mut self, row: &Row<'_>) -> Tenure {
        match row.cell("tenure") {
            "" | "owner-occupied" => Tenure::OwnerOccupied,
            "rented" => Tenure::Rented,
            "dormitory" => Tenure::Dormitory,
            other => {
                let what =
                    format!("{other:?} is not known (write rented, owner-occupied or dormitory)");
                self.problems.add(row.line, "tenure", what);
                Tenure::OwnerOccupied
            }
        }
    }

    fn beds(&mut self, row: &Row<'_>, tenure: Tenure) -> Option<u32> {
        let cell = row.cell("beds");
        let is_dormitory = tenure == Tenure::Dormitory;
        if cell.is_empty() && !is_dormitory {
            return None;
        }
        let beds = cell.parse().ok().filter(|beds| *beds <= BEDS_MAX);
        match beds {
            Some(beds) if is_dormitory => Some(beds),
            Some(_) => {
                let what = "is for a dormitory only (leave it empty)";
                self.problems.add(row.line, "beds", what);
                None
            }
            None => {
                let what = "must be the dormitory's registered beds, 0 to 1000";
                self.problems.add(row.line, "beds", what);
                None
            }
        }
    }

    /// `None`: not stated, or not readable.
    fn relation(&mut self, row: &Row<'_>) -> Option<Relation> {
        let cell = row.cell("relation");
        if cell.is_empty() {
            return None;
        }
        let relation = Relation::new(cell).ok();
        if relation.is_none() {
            let what = "must be 1 to 32 of a-z, 0-9 and '-', such as tenant or minor-child";
            self.problems.add(row.line, "relation", what);
        }
        relation
    }

    fn state(&mut self, row: &Row<'_>) -> CardState {
        match row.cell("state") {
            "" | "active" => CardState::Active,
            "lost" => CardState::Lost,
            "revoked" => CardState::Revoked,
            other => {
                let what = format!("{other:?} is not known (write active, lost or revoked)");
                self.problems.add(row.line, "state", what);
                CardState::Revoked
            }
        }
    }

    /// A date, by `edge` its first moment or the first after it, or a moment with its offset.
    fn moment<E: Display>(
        &mut self,
        row: &Row<'_>,
        column: &'static str,
        edge: impl FnOnce(&TimeZone, &str) -> Result<WallTime, E>,
    ) -> Option<WallTime> {
        let cell = row.cell(column);
        if cell.is_empty() {
            return None;
        }
        if cell.contains('T')
            && let Ok(moment) = cell.parse()
        {
            return Some(moment);
        }
        match edge(&self.options.time_zone, cell) {
            Ok(moment) => Some(moment),
            Err(err) => {
                self.problems.add(row.line, column, err.to_string());
                None
            }
        }
    }

    fn short_text(&mut self, row: &Row<'_>, column: &'static str, chars_max: usize) -> String {
        let cell = row.cell(column);
        if cell.chars().count() > chars_max || cell.chars().any(char::is_control) {
            let what = format!("is longer than {chars_max} characters or has a control character");
            self.problems.add(row.line, column, what);
            return String::new();
        }
        cell.to_owned()
    }
}

fn unstated() -> Relation {
    Relation::new(RELATION_UNSTATED).expect("a lower-case word is a relation")
}

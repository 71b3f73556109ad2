//! Where the headings are, and which column is which.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::column::Column;
use super::grid::{COLUMNS_MAX, ColumnLetters, Line, Table};
use super::reason::{Finding, Reason, RowAt};
use super::text::{clean, quote};
use super::value;

/// Rows looked at for headings, from the first that holds something: titles and notes stand above.
pub(super) const HEADING_ROWS_MAX: usize = 30;
/// A row with so many headings was meant to have them.
const HEADINGS_MIN: usize = 2;

/// The headings of a sheet.
#[derive(Debug)]
pub(super) struct Headings {
    /// By column number from 0.
    pub(super) columns: Arc<BTreeMap<u32, Column>>,
    /// The cells of the row, to know it again further down.
    cells: Vec<String>,
    /// Where in the sheet's lines the data begin.
    pub(super) first_data: usize,
    /// Columns from the first to the last heading, also those that are not read.
    pub(super) width: u32,
}

impl Headings {
    /// Is `line` the headings once more, as printed sheets have them?
    pub(super) fn is_repeated(&self, line: &Line) -> bool {
        heading_texts(line) == self.cells
    }
}

/// Finds the headings of `table`; `None`: it has none. What is wrong with them goes to `problems`,
/// what is only noticed to `notes`.
pub(super) fn find(
    table: &Table,
    problems: &mut Vec<Finding>,
    notes: &mut Vec<Finding>,
) -> Option<Headings> {
    let n_distinct = |columns: &BTreeMap<u32, Column>| {
        let distinct: BTreeSet<Column> = columns.values().copied().collect();
        distinct.len()
    };
    let mut best: Option<(usize, BTreeMap<u32, Column>)> = None;
    for idx in 0..table.lines.len().min(HEADING_ROWS_MAX) {
        let columns = columns_of(table, idx);
        let n_found = n_distinct(&columns);
        let is_better = best
            .as_ref()
            .is_none_or(|(_, best)| n_found > n_distinct(best));
        if n_found >= HEADINGS_MIN && is_better {
            best = Some((idx, columns));
        }
    }
    let (idx, columns) = best?;
    let line = table.lines.get(idx)?;
    let at = RowAt {
        sheet: table.name.clone(),
        row: line.row,
    };
    let mut seen = BTreeMap::new();
    for (number, column) in &columns {
        if seen.insert(*column, *number).is_some() {
            problems.push(Finding {
                at: at.clone(),
                letters: Some(ColumnLetters(*number)),
                column: Some(*column),
                reason: Reason::ColumnTwice,
            });
        }
    }
    let has = |column: Column| seen.contains_key(&column);
    let says_where = has(Column::Place) || has(Column::Building) && has(Column::Unit);
    // A number may be a whole address, so it is enough; what it lacks is said row by row.
    let says_which = has(Column::Dwelling) || has(Column::Number) || says_where;
    if !says_which {
        problems.push(Finding {
            at: at.clone(),
            letters: None,
            column: Some(Column::Number),
            reason: Reason::Missing,
        });
    }
    let cells = heading_texts(line);
    for (number, text) in cells.iter().enumerate() {
        let number = u32::try_from(number).unwrap_or(COLUMNS_MAX);
        if !text.is_empty() && !columns.contains_key(&number) {
            notes.push(Finding {
                at: at.clone(),
                letters: Some(ColumnLetters(number)),
                column: None,
                reason: Reason::UnknownColumn(quote(text)),
            });
        }
    }
    Some(Headings {
        width: u32::try_from(line.cells.len()).unwrap_or(COLUMNS_MAX),
        columns: Arc::new(columns),
        cells,
        first_data: idx + 1,
    })
}

/// The columns that the line `idx` names, also together with the line above it, as `有效期` over `起`
/// and `止`.
fn columns_of(table: &Table, idx: usize) -> BTreeMap<u32, Column> {
    let above = idx.checked_sub(1).and_then(|idx| table.lines.get(idx));
    let Some(line) = table.lines.get(idx) else {
        return BTreeMap::new();
    };
    let mut columns = BTreeMap::new();
    let mut has_group = false;
    let numbers = 0..u32::try_from(line.cells.len()).unwrap_or(COLUMNS_MAX);
    for number in numbers {
        let own = raw(line, number);
        if own.trim().is_empty() {
            continue;
        }
        let own_column = Column::of_heading(&own);
        // A group stands over several columns, or makes sense of a word that has none alone.
        let group = above.map(|above| (raw(above, number), is_wide(above, number)));
        let group = group.filter(|(group, wide)| *group != own && (*wide || own_column.is_none()));
        let joined = group.map(|(group, _)| format!("{}{}", clean(&group), clean(&own)));
        let joined = joined.and_then(|joined| Column::of_heading(&joined));
        has_group |= joined.is_some();
        if let Some(column) = joined.or(own_column) {
            columns.insert(number, column);
        }
    }
    // Of two rows of headings the lower may name only what the upper groups.
    if let Some(above) = above.filter(|_| has_group) {
        for number in 0..u32::try_from(above.cells.len()).unwrap_or(COLUMNS_MAX) {
            let is_free = raw(line, number).trim().is_empty();
            if let Some(column) = Column::of_heading(&raw(above, number)).filter(|_| is_free) {
                columns.insert(number, column);
            }
        }
    }
    columns
}

/// Does a neighbour say the same, as under a merged heading?
fn is_wide(line: &Line, number: u32) -> bool {
    let own = raw(line, number);
    let before = number.checked_sub(1).map(|number| raw(line, number));
    before.as_ref() == Some(&own) || raw(line, number + 1) == own
}

/// A heading with its line breaks, which part two languages.
fn raw(line: &Line, number: u32) -> String {
    match line.cell(number) {
        super::grid::Cell::Text(text) => text.to_string(),
        cell => value::text(cell).unwrap_or_default(),
    }
}

fn heading_texts(line: &Line) -> Vec<String> {
    let texts = line
        .cells
        .iter()
        .map(|cell| value::text(cell).unwrap_or_default());
    texts.collect()
}

//! One worksheet: its cells and which of them are merged.

use std::collections::BTreeMap;

use quick_xml::events::BytesStart;

use super::part::{Part, Piece, append, attribute, name};
use super::strings;
use super::styles::{Shown, Styles};
use crate::spreadsheet::decimal::Decimal;
use crate::spreadsheet::grid::{
    CELL_CHARS_MAX, CELLS_MAX, COLUMNS_MAX, Cell, Line, Merged, ROW_NUMBER_MAX, ROWS_MAX, Table,
};
use crate::spreadsheet::reason::FileReason;

/// Most merged areas of a sheet.
const MERGED_MAX: usize = 100_000;
/// Days from the epoch of the 1900 system to that of the 1904 system.
const DAYS_1904: u64 = 1_462;

/// What all sheets of a file share.
pub(super) struct Context<'c> {
    pub(super) strings: &'c [Box<str>],
    pub(super) styles: &'c Styles,
    pub(super) is_1904: bool,
}

/// How much has been read of the file.
#[derive(Default)]
pub(super) struct Counts {
    n_cells: usize,
    n_rows: usize,
}

/// Reads a sheet into `table`.
pub(super) fn read(
    part: &mut Part<'_>,
    context: &Context<'_>,
    counts: &mut Counts,
    table: &mut Table,
) -> Result<(), FileReason> {
    // Rows are nearly always in order; a map makes them so.
    let mut lines: BTreeMap<u32, Vec<Cell>> = BTreeMap::new();
    // From 0; a row or cell that does not say where it is follows the one before.
    let mut row = 0_u32;
    let mut column = 0_u32;
    loop {
        match part.next()? {
            Piece::Open(start) => match name(&start) {
                "row" => {
                    if let Some(number) = attribute(&start, "r") {
                        row = row_index(&number).ok_or(FileReason::Damaged)?;
                    }
                    column = 0;
                }
                "c" => {
                    if let Some(reference) = attribute(&start, "r") {
                        (row, column) = cell_index(&reference).ok_or(FileReason::Damaged)?;
                    }
                    let cell = cell(part, &start, context)?;
                    put(&mut lines, counts, (row, column), cell)?;
                    column = column.saturating_add(1);
                }
                "mergeCell" if table.merged.len() < MERGED_MAX => {
                    let area = attribute(&start, "ref").and_then(|area| merged_area(&area));
                    table.merged.extend(area);
                }
                _ => {}
            },
            Piece::Close(name) if name == "row" => row = row.saturating_add(1),
            Piece::Close(_) | Piece::Text(_) => {}
            Piece::End => break,
        }
    }
    table.lines = lines
        .into_iter()
        .map(|(row, cells)| Line {
            row: row + 1,
            cells,
        })
        .collect();
    Ok(())
}

fn put(
    lines: &mut BTreeMap<u32, Vec<Cell>>,
    counts: &mut Counts,
    (row, column): (u32, u32),
    cell: Cell,
) -> Result<(), FileReason> {
    if cell == Cell::Empty {
        return Ok(());
    }
    if column >= COLUMNS_MAX {
        return Err(FileReason::TooManyColumns);
    }
    counts.n_cells += 1;
    let n_before = lines.len();
    let cells = lines.entry(row).or_default();
    let idx = column as usize;
    if cells.len() <= idx {
        cells.resize(idx + 1, Cell::Empty);
    }
    if let Some(place) = cells.get_mut(idx) {
        *place = cell;
    }
    counts.n_rows += lines.len() - n_before;
    if counts.n_rows > ROWS_MAX {
        return Err(FileReason::TooManyRows);
    }
    if counts.n_cells > CELLS_MAX {
        return Err(FileReason::TooManyCells);
    }
    Ok(())
}

/// Reads up to the end of the cell that `start` opened.
fn cell(
    part: &mut Part<'_>,
    start: &BytesStart<'_>,
    context: &Context<'_>,
) -> Result<Cell, FileReason> {
    let kind = attribute(start, "t").unwrap_or_else(|| "n".to_owned());
    let style = attribute(start, "s").and_then(|style| style.parse::<usize>().ok());
    let shown = context.styles.shown(style.unwrap_or(0));
    let mut has_formula = false;
    let mut value: Option<String> = None;
    let mut is_value = false;
    loop {
        match part.next()? {
            Piece::Open(start) => match name(&start) {
                "f" => has_formula = true,
                "v" => {
                    is_value = true;
                    value.get_or_insert_default();
                }
                "is" => return inline(part),
                _ => {}
            },
            Piece::Close(name) => match name.as_str() {
                "v" => is_value = false,
                "c" => break,
                _ => {}
            },
            Piece::Text(more) if is_value => append(value.get_or_insert_default(), &more),
            Piece::Text(_) => {}
            Piece::End => return Err(FileReason::Damaged),
        }
    }
    Ok(match value {
        None if has_formula => Cell::NoValue,
        // A number without digits: what some programs write for a formula they did not reckon.
        Some(value) if value.is_empty() && has_formula && kind == "n" => Cell::NoValue,
        None => Cell::Empty,
        Some(value) => meaning(&kind, &value, shown, context)?,
    })
}

/// An inline text, and what is left of its cell.
fn inline(part: &mut Part<'_>) -> Result<Cell, FileReason> {
    let text = strings::text(part, "is")?;
    loop {
        match part.next()? {
            Piece::Close(name) if name == "c" => return Ok(text_cell(&text)),
            Piece::Open(_) | Piece::Close(_) | Piece::Text(_) => {}
            Piece::End => return Err(FileReason::Damaged),
        }
    }
}

fn meaning(
    kind: &str,
    value: &str,
    shown: Shown,
    context: &Context<'_>,
) -> Result<Cell, FileReason> {
    Ok(match kind {
        "s" => {
            let idx = value.trim().parse::<usize>().ok();
            let text = idx.and_then(|idx| context.strings.get(idx));
            text_cell(text.ok_or(FileReason::Damaged)?)
        }
        "str" | "d" => text_cell(value),
        "b" => Cell::Flag,
        "e" => Cell::Error,
        _ => number(value.trim(), shown, context.is_1904),
    })
}

fn text_cell(text: &str) -> Cell {
    if text.is_empty() {
        Cell::Empty
    } else if text.chars().count() > CELL_CHARS_MAX {
        Cell::TooLong
    } else {
        Cell::Text(text.into())
    }
}

fn number(value: &str, shown: Shown, is_1904: bool) -> Cell {
    if value.is_empty() {
        return Cell::Empty;
    }
    match shown {
        Shown::AsDate => {
            let days = Decimal::read(value).and_then(|serial| serial.floor());
            let days = days.and_then(|d| d.checked_add(if is_1904 { DAYS_1904 } else { 0 }));
            match days {
                Some(days) => Cell::Serial(days.to_string().into()),
                None => Cell::Serial(value.into()),
            }
        }
        Shown::AsItIs => Cell::Number {
            digits: value.into(),
            n_shown: 0,
        },
        Shown::Padded(n_shown) => Cell::Number {
            digits: value.into(),
            n_shown,
        },
    }
}

/// `12` → 11.
fn row_index(text: &str) -> Option<u32> {
    let row: u32 = text.parse().ok()?;
    (1..=ROW_NUMBER_MAX).contains(&row).then(|| row - 1)
}

/// `B12` → (11, 1).
fn cell_index(text: &str) -> Option<(u32, u32)> {
    let at = text.find(|c: char| c.is_ascii_digit())?;
    let (letters, row) = text.split_at_checked(at)?;
    if letters.is_empty() || letters.len() > 3 {
        return None;
    }
    let mut column = 0_u32;
    for letter in letters.bytes() {
        let letter = letter.to_ascii_uppercase();
        if !letter.is_ascii_uppercase() {
            return None;
        }
        column = column * 26 + u32::from(letter - b'A') + 1;
    }
    Some((row_index(row)?, column - 1))
}

/// `A2:B4`.
fn merged_area(text: &str) -> Option<Merged> {
    let (first, last) = text.split_once(':')?;
    let (first_row, first_column) = cell_index(first)?;
    let (last_row, last_column) = cell_index(last)?;
    let is_area = first_row <= last_row && first_column <= last_column;
    (is_area && first_column < COLUMNS_MAX).then_some(Merged {
        first_row,
        last_row,
        first_column,
        last_column,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_within_bounds() {
        assert_eq!(cell_index("A1"), Some((0, 0)));
        assert_eq!(cell_index("AB12"), Some((11, 27)));
        assert_eq!(cell_index("XFD1048576"), Some((1_048_575, 16_383)));
        for bad in [
            "",
            "A",
            "1",
            "A0",
            "A1048577",
            "AAAA1",
            "A1B",
            "Ä1",
            "ZZZZZZZZZZ9",
            "A99999999999",
        ] {
            assert_eq!(cell_index(bad), None, "{bad}");
        }
        assert!(merged_area("A1:B2").is_some());
        assert_eq!(merged_area("B2:A1"), None);
    }

    #[test]
    fn dates_of_both_systems_are_the_same_day() {
        let serial = |days: &str| Cell::Serial(days.into());
        assert_eq!(number("46387.75", Shown::AsDate, false), serial("46387"));
        assert_eq!(number("44925", Shown::AsDate, true), serial("46387"));
    }
}

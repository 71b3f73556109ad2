//! What a file holds before anyone asks what it means: sheets of rows of cells, each with its place,
//! and how much of it is read.

use std::fmt;
use std::sync::Arc;

use super::reason::FileReason;

/// Largest file read, in bytes. 30,000 rows make an XLSX file of 2 MB or a CSV file of 5 MB.
pub const FILE_BYTES_MAX: usize = 32 << 20;
/// Most rows of a file with something in them, over all sheets.
pub const ROWS_MAX: usize = 100_000;
/// Columns looked at; what stands further to the right must be empty.
pub const COLUMNS_MAX: u32 = 128;
/// Most rows of a sheet (Excel's own bound), so the highest row number.
pub const ROW_NUMBER_MAX: u32 = 1_048_576;
/// Most cells with something in them, over all sheets.
pub const CELLS_MAX: usize = 2_000_000;
/// Longest text of a cell, in characters (Excel's own bound is 32,767).
pub const CELL_CHARS_MAX: usize = 1_000;
/// Most sheets of a workbook that are read.
pub const SHEETS_MAX: usize = 64;

/// One cell.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) enum Cell {
    #[default]
    Empty,
    /// As it stands, not cleaned.
    Text(Box<str>),
    /// A number of XLSX in the decimal digits of the file, and how many digits its format fills up
    /// with zeros (0: none).
    Number { digits: Box<str>, n_shown: u8 },
    /// A number that the file shows as a date: days since the epoch of the 1900 system.
    Serial(Box<str>),
    /// Yes or no.
    Flag,
    /// `#N/A`, `#REF!` and their like.
    Error,
    /// A formula whose value the file does not hold.
    NoValue,
    /// Longer than [`CELL_CHARS_MAX`].
    TooLong,
}

/// The cells of one row, by column from 0; none beyond the last that holds something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its number, from 1, as the spreadsheet program shows it (CSV: the line of the file).
    pub(crate) row: u32,
    pub(crate) cells: Vec<Cell>,
}

impl Line {
    pub(crate) fn cell(&self, column: u32) -> &Cell {
        self.cells.get(column as usize).unwrap_or(&Cell::Empty)
    }

    pub(crate) fn is_blank(&self) -> bool {
        self.cells.iter().all(|cell| match cell {
            Cell::Empty => true,
            Cell::Text(text) => super::text::clean(text).is_empty(),
            Cell::Number { .. }
            | Cell::Serial(_)
            | Cell::Flag
            | Cell::Error
            | Cell::NoValue
            | Cell::TooLong => false,
        })
    }
}

/// Cells that are one: rows and columns from 0, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Merged {
    pub(crate) first_row: u32,
    pub(crate) last_row: u32,
    pub(crate) first_column: u32,
    pub(crate) last_column: u32,
}

/// One sheet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    /// Its name; `None` for CSV.
    pub(crate) name: Option<Arc<str>>,
    /// People do not see it in their spreadsheet program.
    pub(crate) is_hidden: bool,
    /// Bare numbers that mean days are counted from 1904.
    pub(crate) is_1904: bool,
    /// By row; blank ones may be missing.
    pub(crate) lines: Vec<Line>,
    pub(crate) merged: Vec<Merged>,
}

impl Table {
    /// Gives every row of a merged cell its value; across columns only in the first
    /// `heading_rows_max` rows, where a heading may span several.
    ///
    /// # Errors
    /// [`FileReason::TooManyCells`] when merged cells lie on each other so often that it would never
    /// end.
    pub(crate) fn spread_merged(&mut self, heading_rows_max: u32) -> Result<(), FileReason> {
        let mut n_left = CELLS_MAX;
        for merged in std::mem::take(&mut self.merged) {
            let Some(value) = self.value_at(merged.first_row, merged.first_column) else {
                continue;
            };
            let from = self.lines.partition_point(|l| l.row <= merged.first_row);
            for line in self.lines.iter_mut().skip(from) {
                let row = line.row.saturating_sub(1);
                if row > merged.last_row {
                    break;
                }
                let last = if row < heading_rows_max {
                    merged.last_column.min(COLUMNS_MAX - 1)
                } else {
                    merged.first_column
                };
                for column in merged.first_column..=last {
                    n_left = n_left.checked_sub(1).ok_or(FileReason::TooManyCells)?;
                    fill(&mut line.cells, column, &value);
                }
            }
        }
        Ok(())
    }

    fn value_at(&self, row: u32, column: u32) -> Option<Cell> {
        let idx = self
            .lines
            .binary_search_by_key(&row.checked_add(1)?, |l| l.row);
        let cell = self.lines.get(idx.ok()?)?.cell(column);
        (*cell != Cell::Empty).then(|| cell.clone())
    }
}

fn fill(cells: &mut Vec<Cell>, column: u32, value: &Cell) {
    let idx = column as usize;
    if cells.len() <= idx {
        cells.resize(idx + 1, Cell::Empty);
    }
    if let Some(cell) = cells.get_mut(idx)
        && *cell == Cell::Empty
    {
        *cell = value.clone();
    }
}

/// A column as spreadsheet programs name it: `A`, `Z`, `AA`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ColumnLetters(pub(crate) u32);

impl fmt::Display for ColumnLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut letters = Vec::new();
        let mut rest = self.0;
        loop {
            let letter = u8::try_from(rest % 26).unwrap_or_default() + b'A';
            letters.push(char::from(letter));
            match (rest / 26).checked_sub(1) {
                Some(next) => rest = next,
                None => break,
            }
        }
        letters.iter().rev().try_for_each(|c| write!(f, "{c}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_as_spreadsheet_programs_do() {
        for (column, letters) in [
            (0, "A"),
            (25, "Z"),
            (26, "AA"),
            (51, "AZ"),
            (701, "ZZ"),
            (702, "AAA"),
        ] {
            assert_eq!(ColumnLetters(column).to_string(), letters);
        }
    }

    #[test]
    fn a_merged_cell_covers_its_rows_but_not_its_columns() {
        let text = |text: &str| Cell::Text(text.into());
        let mut table = Table {
            lines: vec![
                Line {
                    row: 1,
                    cells: vec![text("期"), Cell::Empty],
                },
                Line {
                    row: 40,
                    cells: vec![text("301"), text("a")],
                },
                Line {
                    row: 41,
                    cells: vec![Cell::Empty, text("b")],
                },
                Line {
                    row: 43,
                    cells: vec![Cell::Empty, text("c")],
                },
                Line {
                    row: 44,
                    cells: vec![Cell::Empty, text("d")],
                },
            ],
            merged: vec![
                Merged {
                    first_row: 0,
                    last_row: 0,
                    first_column: 0,
                    last_column: 1,
                },
                Merged {
                    first_row: 39,
                    last_row: 42,
                    first_column: 0,
                    last_column: 2,
                },
            ],
            ..Table::default()
        };
        table.spread_merged(30).unwrap();
        let first: Vec<&Cell> = table.lines.iter().map(|line| line.cell(0)).collect();
        let (heading, dwelling) = (text("期"), text("301"));
        assert_eq!(
            first,
            [&heading, &dwelling, &dwelling, &dwelling, &Cell::Empty]
        );
        assert_eq!(table.lines[0].cell(1), &heading);
        assert_eq!(table.lines[1].cell(2), &Cell::Empty);
    }
}

//! Spreadsheets: XLSX and CSV files of dwellings, cardholders and cards, read and written.
//!
//! Reading goes in layers, none of which knows the next: cells with their places (`spreadsheet`),
//! headings in Chinese or English, cells by what their column means, rows. Dirty is the
//! normal case, so whatever people and spreadsheet programs do to a value is undone where nothing is
//! lost, and refused with its place, its reason and what to do where something is.

mod column;
mod effect;
mod export;
mod facts;
mod files;
pub mod fuzz;
mod gather;
mod heading;
mod import;
mod outcome;
mod places;
mod plan;
mod reason;
mod report;
mod row;
mod template;
mod value;
mod write;

pub use crate::spreadsheet::{
    CELL_CHARS_MAX, CELLS_MAX, COLUMNS_MAX, ColumnLetters, FILE_BYTES_MAX, FileReason,
    ROW_NUMBER_MAX, ROWS_MAX, RowAt, SHEETS_MAX,
};
use crate::spreadsheet::{decimal, grid, text};
pub use column::{COLUMNS, Column};
pub use effect::Effect;
pub use export::rows_of;
pub use files::{ExportError, MadeFile};
pub use gather::{
    Addresses, Wanted, WantedCard, WantedDwelling, WantedHolder, addresses_of, gather,
};
pub use import::{ImportError, ImportOptions, Progress, import, in_words, read_options};
pub use outcome::{ChangeLine, FindingLine, ImportReport, LISTED_MAX};
pub use places::PlaceBook;
pub use plan::{Missing, Plan, Planned, plan};
pub use reason::{Finding, Reason};
pub use report::{ReportLine, report};
pub use row::{Book, ReadOptions, Row, read};
pub use template::template;
pub use value::Said;
pub use write::{FileFormat, Language, WriteError, WriteOptions, write};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod fixture_tests;
#[cfg(test)]
mod plan_tests;

//! XLSX and CSV files as sheets of cells, each with its place, before anyone asks what they mean.
//!
//! Written for files that strangers made: every count has a bound, and nothing that a file claims of
//! itself is believed. Not here: what a column is called and what its cells mean (`roster::sheet`, `site`).

mod comma;
pub(crate) mod decimal;
pub(crate) mod grid;
mod reason;
pub(crate) mod text;
mod xlsx;

pub use grid::{
    CELL_CHARS_MAX, CELLS_MAX, COLUMNS_MAX, ColumnLetters, FILE_BYTES_MAX, ROW_NUMBER_MAX,
    ROWS_MAX, SHEETS_MAX,
};
pub use reason::{FileReason, RowAt};

use grid::Table;

/// The sheets of a file, XLSX or CSV; which of them is seen from its bytes.
pub(crate) fn tables(bytes: &[u8]) -> Result<Vec<Table>, FileReason> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(FileReason::TooLarge);
    }
    if bytes.is_empty() {
        return Err(FileReason::Empty);
    }
    if bytes.starts_with(b"PK") {
        return xlsx::read(bytes);
    }
    // A compound file: .xls, or .xlsx with a password.
    if bytes.starts_with(b"\xd0\xcf\x11\xe0") {
        return Err(FileReason::OldExcel);
    }
    Ok(vec![comma::read(bytes)?])
}

//! XLSX files (ECMA-376): the part of them that a roster needs, read as a stream with bounds.
//!
//! Written for files that strangers made. Each part is cut off at its bound while it is unpacked, no
//! count that the file claims is believed, and numbers stay the decimal digits they are in the file.
//! The general readers that were looked at reserve memory by the file's word (`uniqueCount`), fill a
//! rectangle up to the furthest cell, and turn numbers into doubles.

mod part;
mod sheet;
mod strings;
mod styles;
mod workbook;

use std::io::Cursor;

use super::grid::{SHEETS_MAX, Table};
use super::reason::FileReason;
use part::{Budget, Part};

/// Most bytes that all parts read unpack to.
const UNPACKED_BYTES_MAX: u64 = 128 << 20;
/// Most bytes that a part other than a sheet unpacks to: it is kept in memory.
const KEPT_PART_BYTES_MAX: u64 = 32 << 20;
/// Most parts of a file; Excel writes some twenty.
const PARTS_MAX: usize = 4_096;

/// Where a part is read from.
type Package<'b> = zip::ZipArchive<Cursor<&'b [u8]>>;

/// Reads every worksheet that is there, hidden ones without their cells.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Table>, FileReason> {
    let mut package = zip::ZipArchive::new(Cursor::new(bytes)).or(Err(FileReason::NoWorkbook))?;
    if package.len() > PARTS_MAX {
        return Err(FileReason::TooManyParts);
    }
    let mut budget = Budget::new(UNPACKED_BYTES_MAX);
    let workbook = workbook::read(&mut package, &mut budget)?;
    if workbook.sheets.len() > SHEETS_MAX {
        return Err(FileReason::TooManySheets);
    }
    let strings = match workbook.strings.as_deref() {
        Some(path) => strings::read(&mut Part::kept(&mut package, &mut budget, path)?)?,
        None => Vec::new(),
    };
    let styles = match workbook.styles.as_deref() {
        Some(path) => styles::read(&mut Part::kept(&mut package, &mut budget, path)?)?,
        None => styles::Styles::default(),
    };
    let context = sheet::Context {
        strings: &strings,
        styles: &styles,
        is_1904: workbook.is_1904,
    };
    let mut tables = Vec::new();
    let mut counts = sheet::Counts::default();
    for found in workbook.sheets {
        let mut table = Table {
            name: Some(found.name),
            is_hidden: found.is_hidden,
            is_1904: workbook.is_1904,
            ..Table::default()
        };
        if !table.is_hidden {
            let mut part = Part::sheet(&mut package, &mut budget, &found.path)?;
            sheet::read(&mut part, &context, &mut counts, &mut table)?;
        }
        tables.push(table);
    }
    Ok(tables)
}

//! What a stranger can upload: each function takes any bytes and must not panic. Called by the
//! property tests here and by the fuzz targets in `tests/fuzz`.

use std::io::{Cursor, Write as _};
use std::sync::Arc;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::PlaceBook;
use super::row::{ReadOptions, read};
use crate::domain::dwelling::Day;
use crate::domain::id::StairwellId;
use crate::time::TimeZone;

/// The parts of a small workbook that has one sheet.
pub(super) const PARTS: [(&str, &str); 6] = [
    (
        "_rels/.rels",
        r#"<Relationships><Relationship Id="r1" Type="x/officeDocument" Target="xl/workbook.xml"/></Relationships>"#,
    ),
    (
        "xl/workbook.xml",
        r#"<workbook><sheets><sheet name="S" r:id="r1"/></sheets></workbook>"#,
    ),
    (
        "xl/_rels/workbook.xml.rels",
        r#"<Relationships><Relationship Id="r1" Type="x/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="r2" Type="x/sharedStrings" Target="sharedStrings.xml"/><Relationship Id="r3" Type="x/styles" Target="styles.xml"/></Relationships>"#,
    ),
    (
        "xl/sharedStrings.xml",
        "<sst><si><t>dwelling</t></si><si><t>number</t></si><si><t>card</t></si></sst>",
    ),
    (
        "xl/styles.xml",
        r#"<styleSheet><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>"#,
    ),
    (
        "xl/worksheets/sheet1.xml",
        r#"<worksheet><sheetData><row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c><c r="C1" t="s"><v>2</v></c></row></sheetData></worksheet>"#,
    ),
];

/// A ZIP file of `parts`.
pub(super) fn package(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, bytes) in parts {
        if zip.start_file(*name, options).is_ok() && zip.write_all(bytes).is_err() {
            break;
        }
    }
    zip.finish().map(Cursor::into_inner).unwrap_or_default()
}

/// The small workbook, with `bytes` instead of one of its parts.
pub(super) fn workbook_with(part: &str, bytes: &[u8]) -> Vec<u8> {
    let parts =
        PARTS.map(|(name, text)| (name, if name == part { bytes } else { text.as_bytes() }));
    package(&parts)
}

/// Options that know one stairwell.
pub(super) fn options() -> ReadOptions {
    let id = StairwellId::new("b03-u2").expect("a slug");
    ReadOptions {
        places: Arc::new(PlaceBook::new([(&id, "3", "2")])),
        time_zone: TimeZone::utc(),
        today: Day::from_civil(jiff::civil::Date::constant(2026, 11, 22)),
    }
}

/// Reads `bytes` as an uploaded file, and as each part of a workbook.
pub fn roster_sheet(bytes: &[u8]) {
    let options = options();
    std::hint::black_box(read(bytes, &options).is_ok());
    for (name, _) in PARTS {
        let file = workbook_with(name, bytes);
        std::hint::black_box(read(&file, &options).is_ok());
    }
}

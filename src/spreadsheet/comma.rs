//! CSV files: which encoding, which separator, and the rows.

use std::borrow::Cow;

use encoding_rs::{GB18030, UTF_16BE, UTF_16LE};

use super::grid::{CELL_CHARS_MAX, CELLS_MAX, COLUMNS_MAX, Cell, Line, ROWS_MAX, Table};
use super::reason::FileReason;

/// Lines looked at to find the separator.
const SEPARATOR_LINES: usize = 20;

/// Reads the file's rows.
pub(crate) fn read(bytes: &[u8]) -> Result<Table, FileReason> {
    let text = decode(bytes)?;
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .has_headers(false)
        .delimiter(separator(&text))
        .from_reader(text.as_bytes());
    let mut table = Table::default();
    let mut record = csv::StringRecord::new();
    let mut n_cells = 0;
    while reader
        .read_record(&mut record)
        .or(Err(FileReason::Encoding))?
    {
        let row = line_of(&text, record.position()).ok_or(FileReason::TooManyRows)?;
        let mut cells = Vec::new();
        for (idx, text) in record.iter().enumerate() {
            let cell = cell(text);
            if cell == Cell::Empty {
                continue;
            }
            if idx >= COLUMNS_MAX as usize {
                return Err(FileReason::TooManyColumns);
            }
            cells.resize(idx + 1, Cell::Empty);
            if let Some(place) = cells.get_mut(idx) {
                *place = cell;
            }
            n_cells += 1;
        }
        if cells.is_empty() {
            continue;
        }
        table.lines.push(Line { row, cells });
        if table.lines.len() > ROWS_MAX {
            return Err(FileReason::TooManyRows);
        }
        if n_cells > CELLS_MAX {
            return Err(FileReason::TooManyCells);
        }
    }
    Ok(table)
}

/// The line on which a record begins. The reader counts the blank lines before it to the record.
fn line_of(text: &str, position: Option<&csv::Position>) -> Option<u32> {
    let position = position?;
    let start = usize::try_from(position.byte()).ok()?;
    let bytes = text.as_bytes().get(start..).unwrap_or_default();
    let blank = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n'));
    let n_blank = blank.filter(|b| **b == b'\n').count();
    u32::try_from(position.line())
        .ok()?
        .checked_add(u32::try_from(n_blank).ok()?)
}

fn cell(text: &str) -> Cell {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        Cell::Empty
    } else if text.len() > CELL_CHARS_MAX && text.chars().count() > CELL_CHARS_MAX {
        Cell::TooLong
    } else if trimmed.starts_with('=') && !trimmed.starts_with("=\"") {
        Cell::NoValue
    } else if matches!(
        trimmed,
        "#N/A" | "#REF!" | "#VALUE!" | "#NAME?" | "#DIV/0!" | "#NUM!"
    ) {
        Cell::Error
    } else {
        Cell::Text(text.into())
    }
}

/// UTF-8 with or without its mark, UTF-16 with its mark, or else GB18030 (which has all of GBK and
/// GB2312).
fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, FileReason> {
    if let Some(rest) = bytes.strip_prefix(b"\xef\xbb\xbf") {
        return std::str::from_utf8(rest)
            .map(Cow::Borrowed)
            .or(Err(FileReason::Encoding));
    }
    let (encoding, rest) = if let Some(rest) = bytes.strip_prefix(b"\xff\xfe") {
        (UTF_16LE, rest)
    } else if let Some(rest) = bytes.strip_prefix(b"\xfe\xff") {
        (UTF_16BE, rest)
    } else {
        if let Ok(text) = std::str::from_utf8(bytes) {
            return Ok(Cow::Borrowed(text));
        }
        (GB18030, bytes)
    };
    encoding
        .decode_without_bom_handling_and_without_replacement(rest)
        .filter(|text| !text.contains('\0'))
        .ok_or(FileReason::Encoding)
}

/// The separator that stands most often in the first lines.
fn separator(text: &str) -> u8 {
    let mut best = (0, b',');
    for separator in [b',', b'\t', b';'] {
        let lines = text.lines().take(SEPARATOR_LINES);
        let n: usize = lines
            .map(|line| line.bytes().filter(|b| *b == separator).count())
            .sum();
        if n > best.0 {
            best = (n, separator);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bytes: &[u8]) -> Vec<String> {
        let table = read(bytes).unwrap();
        let cells = table.lines.iter().flat_map(|line| &line.cells);
        cells
            .map(|cell| match cell {
                Cell::Text(text) => text.to_string(),
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn encodings_are_told_apart() {
        let text = "房号,姓名\r\n301,张三\r\n";
        let (gb, _, _) = GB18030.encode(text);
        let wide: Vec<u8> = "\u{feff}"
            .encode_utf16()
            .chain(text.encode_utf16())
            .flat_map(u16::to_le_bytes)
            .collect();
        let marked = format!("\u{feff}{text}").into_bytes();
        for bytes in [text.as_bytes(), &gb, &wide, &marked] {
            assert_eq!(texts(bytes), ["房号", "姓名", "301", "张三"]);
        }
        assert_eq!(read(b"\xff\xff,\x80").unwrap_err(), FileReason::Encoding);
    }

    #[test]
    fn separators_quotes_and_lines_are_those_of_the_file() {
        assert_eq!(texts(b"a;b\n1;\"x;y\"\n"), ["a", "b", "1", "x;y"]);
        assert_eq!(texts(b"a\tb\n1\t2,5\n"), ["a", "b", "1", "2,5"]);
        let table = read(b"a,b\n\n\"two\nlines\",x\nlast,y\n").unwrap();
        let rows: Vec<u32> = table.lines.iter().map(|line| line.row).collect();
        assert_eq!(rows, [1, 3, 5]);
        assert_eq!(texts(b"=1+1,#N/A\n"), ["NoValue", "Error"]);
    }
}

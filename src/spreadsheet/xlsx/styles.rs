//! Which number formats show dates, and which fill numbers up with zeros.

use std::collections::HashMap;

use super::part::{Part, Piece, attribute, name};
use crate::spreadsheet::reason::FileReason;

/// Most formats kept; Excel's own bound is 65,490.
const FORMATS_MAX: usize = 65_536;

/// What a cell's format does to its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Shown {
    #[default]
    AsItIs,
    AsDate,
    /// Filled up with zeros to so many digits.
    Padded(u8),
}

/// By the style index of a cell.
#[derive(Debug, Default)]
pub(super) struct Styles(Vec<Shown>);

impl Styles {
    pub(super) fn shown(&self, style: usize) -> Shown {
        self.0.get(style).copied().unwrap_or_default()
    }
}

pub(super) fn read(part: &mut Part<'_>) -> Result<Styles, FileReason> {
    let mut codes = HashMap::new();
    let mut styles = Vec::new();
    let mut is_cell_formats = false;
    loop {
        match part.next()? {
            Piece::Open(start) => match name(&start) {
                "numFmt" if codes.len() < FORMATS_MAX => {
                    let id = attribute(&start, "numFmtId").and_then(|id| id.parse::<u32>().ok());
                    if let (Some(id), Some(code)) = (id, attribute(&start, "formatCode")) {
                        codes.insert(id, shown_by(&code));
                    }
                }
                "cellXfs" => is_cell_formats = true,
                "xf" if is_cell_formats && styles.len() < FORMATS_MAX => {
                    let id = attribute(&start, "numFmtId").and_then(|id| id.parse::<u32>().ok());
                    let id = id.unwrap_or(0);
                    styles.push(codes.get(&id).copied().unwrap_or_else(|| built_in(id)));
                }
                _ => {}
            },
            Piece::Close(name) if name == "cellXfs" => is_cell_formats = false,
            Piece::Close(_) | Piece::Text(_) => {}
            Piece::End => return Ok(Styles(styles)),
        }
    }
}

/// The formats that are not in the file (ECMA-376 part 1, 18.8.30; 27 to 36 and 50 to 58 are dates in
/// East Asian versions).
fn built_in(id: u32) -> Shown {
    match id {
        14..=22 | 27..=36 | 45..=47 | 50..=58 => Shown::AsDate,
        _ => Shown::AsItIs,
    }
}

fn shown_by(code: &str) -> Shown {
    // What is quoted, escaped or in brackets is shown as it is or names a colour or language.
    let mut plain = String::new();
    let mut chars = code.chars();
    let mut closes_at = None;
    while let Some(c) = chars.next() {
        match (closes_at, c) {
            (Some(end), c) if c == end => closes_at = None,
            (Some(_), _) => {}
            (None, '"') => closes_at = Some('"'),
            (None, '[') => closes_at = Some(']'),
            (None, '\\' | '_' | '*') => drop(chars.next()),
            (None, c) => plain.push(c.to_ascii_lowercase()),
        }
    }
    let first = plain.split(';').next().unwrap_or_default();
    if first == "general" {
        return Shown::AsItIs;
    }
    if first.contains(['y', 'd', 'm', 'e', '\u{5e74}', '\u{6708}', '\u{65e5}'])
        && !first.contains(['0', '#'])
    {
        return Shown::AsDate;
    }
    let is_padding = first.len() > 1 && first.bytes().all(|b| b == b'0');
    match u8::try_from(first.len()) {
        Ok(n_digits) if is_padding => Shown::Padded(n_digits),
        Ok(_) | Err(_) => Shown::AsItIs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_say_what_they_show() {
        for (code, shown) in [
            ("General", Shown::AsItIs),
            ("0.00", Shown::AsItIs),
            ("#,##0", Shown::AsItIs),
            ("0.00E+00", Shown::AsItIs),
            ("yyyy\\-mm\\-dd", Shown::AsDate),
            ("yyyy\"年\"m\"月\"d\"日\";@", Shown::AsDate),
            ("[$-804]yyyy/m/d", Shown::AsDate),
            ("0000000000", Shown::Padded(10)),
            ("0.0\"m\"", Shown::AsItIs),
            ("[Red]0000", Shown::Padded(4)),
            ("0", Shown::AsItIs),
        ] {
            assert_eq!(shown_by(code), shown, "{code}");
        }
        assert_eq!(built_in(31), Shown::AsDate);
        assert_eq!(built_in(2), Shown::AsItIs);
    }
}

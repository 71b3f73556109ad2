//! The shared texts of an XLSX file.

use super::part::{Part, Piece, append, name};
use crate::spreadsheet::grid::CELLS_MAX;
use crate::spreadsheet::reason::FileReason;

/// In the order in which cells refer to them.
pub(super) fn read(part: &mut Part<'_>) -> Result<Vec<Box<str>>, FileReason> {
    let mut strings = Vec::new();
    loop {
        match part.next()? {
            Piece::Open(start) if name(&start) == "si" => {
                if strings.len() >= CELLS_MAX {
                    return Err(FileReason::TooManyCells);
                }
                strings.push(text(part, "si")?.into_boxed_str());
            }
            Piece::Open(_) | Piece::Close(_) | Piece::Text(_) => {}
            Piece::End => return Ok(strings),
        }
    }
}

/// The text up to the end of the element `until`: its runs joined, without phonetic hints.
pub(super) fn text(part: &mut Part<'_>, until: &str) -> Result<String, FileReason> {
    let mut text = String::new();
    let mut is_text = false;
    let mut is_phonetic = false;
    loop {
        match part.next()? {
            Piece::Open(start) => match name(&start) {
                "t" => is_text = !is_phonetic,
                "rPh" => is_phonetic = true,
                _ => {}
            },
            Piece::Close(name) if name == until => return Ok(text),
            Piece::Close(name) => match name.as_str() {
                "t" => is_text = false,
                "rPh" => is_phonetic = false,
                _ => {}
            },
            Piece::Text(more) if is_text => append(&mut text, &more),
            Piece::Text(_) => {}
            Piece::End => return Err(FileReason::Damaged),
        }
    }
}

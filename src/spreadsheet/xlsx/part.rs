//! One part of an XLSX package as a stream of XML events, cut off at its bound.

use std::io::{BufReader, Read};

use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

use super::{KEPT_PART_BYTES_MAX, Package};
use crate::spreadsheet::grid::CELL_CHARS_MAX;
use crate::spreadsheet::reason::FileReason;

/// Longest single XML event, in bytes: a cell's text and then some.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// How many bytes may still be unpacked.
pub(super) struct Budget {
    left: u64,
}

impl Budget {
    pub(super) fn new(bytes: u64) -> Budget {
        Budget { left: bytes }
    }
}

/// Counts what passes, and ends with an error beyond the bound.
struct Metered<'b, R> {
    inner: R,
    budget: &'b mut Budget,
    part_left: u64,
}

/// The error by which [`Metered`] says that the bound is passed.
const OVER: &str = "unpacks to too much";

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let n_read = self.inner.read(to)?;
        let n_bytes = n_read as u64;
        let left = self.budget.left.min(self.part_left);
        if n_bytes > left {
            return Err(std::io::Error::other(OVER));
        }
        self.budget.left -= n_bytes;
        self.part_left -= n_bytes;
        Ok(n_read)
    }
}

/// A part being read.
pub(super) struct Part<'p> {
    xml: Reader<BufReader<Box<dyn Read + 'p>>>,
    buffer: Vec<u8>,
}

/// What a part is made of, as far as anyone here wants to know. Names are without prefix.
pub(super) enum Piece {
    Open(BytesStart<'static>),
    Close(String),
    Text(String),
    End,
}

impl<'p> Part<'p> {
    /// A part that is kept in memory.
    pub(super) fn kept(
        package: &'p mut Package<'_>,
        budget: &'p mut Budget,
        path: &str,
    ) -> Result<Part<'p>, FileReason> {
        Part::open(package, budget, path, KEPT_PART_BYTES_MAX)
    }

    /// A sheet; its bound is that of the whole file.
    pub(super) fn sheet(
        package: &'p mut Package<'_>,
        budget: &'p mut Budget,
        path: &str,
    ) -> Result<Part<'p>, FileReason> {
        Part::open(package, budget, path, u64::MAX)
    }

    fn open(
        package: &'p mut Package<'_>,
        budget: &'p mut Budget,
        path: &str,
        bytes_max: u64,
    ) -> Result<Part<'p>, FileReason> {
        // Some programs write other cases and back slashes than they refer to.
        let is_it = |name: &str| name.replace('\\', "/").eq_ignore_ascii_case(path);
        let mut idx = None;
        for at in 0..package.len() {
            if package
                .name_for_index(at)
                .is_some_and(|name| name.is_ok_and(|n| is_it(&n)))
            {
                idx = Some(at);
                break;
            }
        }
        let idx = idx.ok_or(FileReason::NoWorkbook)?;
        let inner = package.by_index(idx).or(Err(FileReason::Damaged))?;
        let metered: Box<dyn Read + 'p> = Box::new(Metered {
            inner,
            budget,
            part_left: bytes_max,
        });
        let mut xml = Reader::from_reader(BufReader::new(metered));
        let config = xml.config_mut();
        config.expand_empty_elements = true;
        config.check_end_names = false;
        Ok(Part {
            xml,
            buffer: Vec::new(),
        })
    }

    /// The next piece; after [`Piece::End`] only that.
    pub(super) fn next(&mut self) -> Result<Piece, FileReason> {
        loop {
            self.buffer.clear();
            self.buffer.shrink_to(EVENT_BYTES_MAX);
            let event = match self.xml.read_event_into(&mut self.buffer) {
                Ok(event) => event,
                Err(quick_xml::Error::Io(err)) if err.to_string() == OVER => {
                    return Err(FileReason::UnpacksToTooMuch);
                }
                Err(_) => return Err(FileReason::Damaged),
            };
            return Ok(match event {
                Event::Start(start) => Piece::Open(start.into_owned()),
                Event::End(end) => Piece::Close(end.local_name().as_ref().to_owned()),
                Event::Text(text) => Piece::Text(cut(&text.xml10_content())),
                Event::CData(text) => Piece::Text(cut(&text.xml10_content())),
                Event::GeneralRef(entity) => Piece::Text(resolve(&entity)),
                Event::Eof => Piece::End,
                Event::Empty(_)
                | Event::Comment(_)
                | Event::Decl(_)
                | Event::PI(_)
                | Event::DocType(_) => continue,
            });
        }
    }
}

/// Text beyond the bound of a cell is not kept: one character more says that it was too long.
fn cut(text: &str) -> String {
    text.chars().take(CELL_CHARS_MAX + 1).collect()
}

/// The five entities of XML and characters by number; others are nothing.
fn resolve(entity: &BytesRef<'_>) -> String {
    match entity.resolve_char_ref() {
        Ok(Some(c)) => return c.to_string(),
        Ok(None) => {}
        Err(_) => return String::new(),
    }
    let text = match entity.xml10_content().as_ref() {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        _ => "",
    };
    text.to_owned()
}

/// The attribute `name` (without prefix) of `start`.
pub(super) fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    let mut attributes = start.attributes();
    attributes.with_checks(false);
    let found = attributes
        .filter_map(Result::ok)
        .find(|attribute| attribute.key.local_name().as_ref() == name)?;
    let value = found.normalized_value(XmlVersion::Implicit1_0).ok()?;
    Some(cut(&value))
}

/// The name of `start` without its prefix.
pub(super) fn name<'s>(start: &'s BytesStart<'_>) -> &'s str {
    start.local_name().into_inner()
}

/// Joins a growing text with more of it, never beyond the bound of a cell by more than a character.
pub(super) fn append(text: &mut String, more: &str) {
    // Bytes are a cheap upper bound of characters.
    let is_near = text.len() + more.len() > CELL_CHARS_MAX;
    if is_near && text.chars().count() > CELL_CHARS_MAX {
        return;
    }
    text.push_str(more);
}

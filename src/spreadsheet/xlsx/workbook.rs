//! `xl/workbook.xml` and what it refers to: which sheets there are, and since when days are counted.

use std::collections::HashMap;
use std::sync::Arc;

use super::part::{Budget, Part, Piece, attribute, name};
use super::{Package, SHEETS_MAX};
use crate::spreadsheet::reason::FileReason;

/// Longest name of a sheet shown, in characters (Excel's own bound is 31).
const SHEET_NAME_CHARS_MAX: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Workbook {
    pub(super) sheets: Vec<SheetEntry>,
    /// Days are counted from 1904, as Excel for the Macintosh did.
    pub(super) is_1904: bool,
    /// The part with the shared texts.
    pub(super) strings: Option<String>,
    /// The part with the formats.
    pub(super) styles: Option<String>,
}

#[derive(Debug)]
pub(super) struct SheetEntry {
    pub(super) name: Arc<str>,
    pub(super) path: String,
    pub(super) is_hidden: bool,
}

struct Relation {
    /// The last word of its type: `worksheet`, `styles`, …
    kind: String,
    path: String,
}

pub(super) fn read(package: &mut Package<'_>, budget: &mut Budget) -> Result<Workbook, FileReason> {
    let top = relations(package, budget, "_rels/.rels", "")?;
    let path = top
        .values()
        .find(|relation| relation.kind == "officeDocument")
        .map(|relation| relation.path.clone())
        .ok_or(FileReason::NoWorkbook)?;
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", &path));
    let join = |rest: String| {
        if folder.is_empty() {
            rest
        } else {
            format!("{folder}/{rest}")
        }
    };
    let relations = relations(package, budget, &join(format!("_rels/{file}.rels")), folder)?;
    let of_kind = |kind: &str| {
        let found = relations.values().find(|relation| relation.kind == kind);
        found.map(|relation| relation.path.clone())
    };
    let mut workbook = Workbook {
        strings: of_kind("sharedStrings"),
        styles: of_kind("styles"),
        ..Workbook::default()
    };
    let mut part = Part::kept(package, budget, &path)?;
    loop {
        match part.next()? {
            Piece::Open(start) if name(&start) == "workbookPr" => {
                workbook.is_1904 = attribute(&start, "date1904")
                    .is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true"));
            }
            Piece::Open(start) if name(&start) == "sheet" => {
                let relation = attribute(&start, "id").and_then(|id| relations.get(&id));
                // Charts and dialogues are sheets too, but hold no cells.
                let Some(relation) = relation.filter(|relation| relation.kind == "worksheet")
                else {
                    continue;
                };
                let shown = attribute(&start, "name").unwrap_or_default();
                let shown: String = shown.chars().take(SHEET_NAME_CHARS_MAX).collect();
                workbook.sheets.push(SheetEntry {
                    name: Arc::from(shown),
                    path: relation.path.clone(),
                    is_hidden: attribute(&start, "state").is_some_and(|state| state != "visible"),
                });
                if workbook.sheets.len() > SHEETS_MAX {
                    break;
                }
            }
            Piece::Open(_) | Piece::Close(_) | Piece::Text(_) => {}
            Piece::End => break,
        }
    }
    Ok(workbook)
}

/// The relations of a part, by id; paths from the package's root.
fn relations(
    package: &mut Package<'_>,
    budget: &mut Budget,
    path: &str,
    folder: &str,
) -> Result<HashMap<String, Relation>, FileReason> {
    let mut part = Part::kept(package, budget, path)?;
    let mut relations = HashMap::new();
    loop {
        match part.next()? {
            Piece::Open(start) if name(&start) == "Relationship" => {
                let kind = attribute(&start, "Type").unwrap_or_default();
                let kind = kind.rsplit('/').next().unwrap_or_default().to_owned();
                let target = attribute(&start, "Target").unwrap_or_default();
                if let Some(id) = attribute(&start, "Id") {
                    let path = resolve(folder, &target);
                    relations.insert(id, Relation { kind, path });
                }
            }
            Piece::Open(_) | Piece::Close(_) | Piece::Text(_) => {}
            Piece::End => return Ok(relations),
        }
    }
}

/// `target` as seen from `folder`: absolute targets begin with a slash.
fn resolve(folder: &str, target: &str) -> String {
    let target = target.replace('\\', "/");
    let (base, rest) = match target.strip_prefix('/') {
        Some(rest) => ("", rest),
        None => (folder, target.as_str()),
    };
    let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    for part in rest.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn targets_are_relative_or_absolute() {
        assert_eq!(
            resolve("xl", "worksheets/sheet1.xml"),
            "xl/worksheets/sheet1.xml"
        );
        assert_eq!(
            resolve("xl", "/xl/worksheets/sheet1.xml"),
            "xl/worksheets/sheet1.xml"
        );
        assert_eq!(resolve("xl", "../xl/./styles.xml"), "xl/styles.xml");
        assert_eq!(resolve("", "xl\\workbook.xml"), "xl/workbook.xml");
    }
}

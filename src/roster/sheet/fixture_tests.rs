//! The dirty rosters of `fixtures/roster`, made by another writer.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::domain::id::StairwellId;
use crate::time::TimeZone;

fn options() -> ReadOptions {
    let ids = ["b03-u2", "b12-u1"].map(|id| StairwellId::new(id).unwrap());
    ReadOptions {
        places: Arc::new(PlaceBook::new([(&ids[0], "3", "2"), (&ids[1], "12", "1")])),
        time_zone: TimeZone::named("Asia/Shanghai").unwrap(),
        today: "2026-11-22".parse().unwrap(),
    }
}

fn wanted(name: &str) -> Wanted {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/roster")
        .join(name);
    let bytes = std::fs::read(file).unwrap();
    gather(read(&bytes, &options()).unwrap(), &Addresses::new())
}

/// Everything that was understood and everything that was not, as a page of text.
fn page(wanted: &Wanted) -> String {
    let mut page = String::new();
    let or = |text: Option<&str>| text.unwrap_or("·").to_owned();
    for dwelling in &wanted.dwellings {
        let place = dwelling
            .place
            .as_ref()
            .map(|place| place.as_str().to_owned());
        writeln!(
            page,
            "{} [{}] {} {} {} {} beds {}",
            dwelling.id,
            dwelling.at,
            or(place.as_deref()),
            or(dwelling.number.as_deref()),
            dwelling
                .area
                .map(|area| area.to_string())
                .unwrap_or_default(),
            dwelling
                .tenure
                .map(|tenure| tenure.as_str())
                .unwrap_or_default(),
            dwelling
                .beds
                .map(|beds| beds.to_string())
                .unwrap_or_default(),
        )
        .unwrap();
        for holder in &dwelling.holders {
            let id = holder.id.as_ref().map(ToString::to_string);
            writeln!(
                page,
                "  {} {} {} {:?}",
                or(id.as_deref()),
                or(holder.name.as_ref().map(|name| name.reveal())),
                or(holder.relation.as_ref().map(|relation| relation.as_str())),
                holder.to,
            )
            .unwrap();
            for card in &holder.cards {
                let (from, until) = (card.valid_from, card.valid_until);
                writeln!(
                    page,
                    "    {} {:?} {from:?} {until:?}",
                    card.number.reveal(),
                    card.state
                )
                .unwrap();
            }
        }
    }
    let list = |page: &mut String, what: &str, findings: &[Finding]| {
        writeln!(page, "{what}:").unwrap();
        for found in findings {
            writeln!(page, "  {found}\n    {}", found.reason.zh()).unwrap();
        }
    };
    list(&mut page, "refused", &wanted.refused);
    list(&mut page, "notes", &wanted.notes);
    page
}

#[test]
fn a_dirty_workbook_is_understood_or_explained() {
    let wanted = wanted("dirty.xlsx");
    insta::assert_snapshot!("dirty", page(&wanted));
}

#[test]
fn days_from_1904_are_todays_days() {
    insta::assert_snapshot!("dates_1904", page(&wanted("dates-1904.xlsx")));
}

#[test]
fn one_table_in_three_encodings_is_one_table() {
    let first = page(&wanted("gb18030.csv"));
    assert_eq!(first, page(&wanted("utf8-bom.csv")));
    insta::assert_snapshot!("encodings", first);
    let tabs = page(&wanted("utf16-tabs.csv"));
    assert_eq!(first, tabs);
}

#[test]
fn the_template_has_headings_and_no_rows_and_its_explanations_are_no_roster() {
    let book = read(&template().unwrap(), &options()).unwrap();
    assert_eq!(
        (book.rows.len(), book.problems.len(), book.n_rows),
        (0, 0, 0)
    );
    let notes: Vec<String> = book.notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        ["说明 Help: has no headings of a roster and was not read"]
    );
}

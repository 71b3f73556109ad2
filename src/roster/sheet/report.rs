//! The report of all dwellings: area, limit, cardholders, free places; those over their limit first. No
//! names and no card numbers.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use rust_xlsxwriter::{Format, Workbook, Worksheet, XlsxError};

use super::places::PlaceBook;
use super::value::tenure_word;
use super::write::{Formats, Language, WriteError};
use crate::domain::dwelling::{Day, Dwelling};
use crate::domain::reckoning::{LimitBasis, Reckoning};

/// A dwelling and how it stands.
#[derive(Clone, Debug)]
pub struct ReportLine {
    /// The dwelling.
    pub dwelling: Dwelling,
    /// Its limit, and who counts.
    pub reckoning: Reckoning,
}

/// Building and unit of a dwelling, so that 10 comes after 9.
fn wall_of(places: &PlaceBook, dwelling: &Dwelling) -> (String, String) {
    match places.wall_of(&dwelling.place) {
        Some((building, unit)) => (building.to_owned(), unit.to_owned()),
        None => (dwelling.place.as_str().to_owned(), String::new()),
    }
}

/// Sorts as people count: by number where there is one, then by text.
fn natural(text: &str) -> (u64, String) {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    (digits.parse().unwrap_or(u64::MAX), text.to_owned())
}

/// The report as XLSX, as of `day`: one sheet of dwellings, one of buildings.
///
/// # Errors
/// [`WriteError`] when there are more dwellings than a sheet has rows.
pub fn report(
    mut lines: Vec<ReportLine>,
    places: &PlaceBook,
    day: Day,
) -> Result<Vec<u8>, WriteError> {
    lines.sort_by_cached_key(|line| {
        let (building, unit) = wall_of(places, &line.dwelling);
        let is_within = Reverse(line.reckoning.is_over());
        let wall = (natural(&building), natural(&unit));
        (
            is_within,
            wall,
            natural(&line.dwelling.number),
            line.dwelling.id.clone(),
        )
    });
    build(&lines, places, day).map_err(WriteError::Xlsx)
}

fn build(lines: &[ReportLine], places: &PlaceBook, day: Day) -> Result<Vec<u8>, XlsxError> {
    let mut workbook = Workbook::new();
    let formats = Formats::new();
    let sheet = workbook.add_worksheet().set_name("住户 Dwellings")?;
    dwellings(sheet, lines, places, day, &formats)?;
    let sheet = workbook.add_worksheet().set_name("楼幢 Buildings")?;
    buildings(sheet, lines, places, &formats)?;
    workbook.save_to_buffer()
}

fn headings(
    sheet: &mut Worksheet,
    formats: &Formats,
    row: u32,
    headings: &[(&str, &str, u16)],
) -> Result<(), XlsxError> {
    for (number, (zh, en, width)) in (0_u16..).zip(headings) {
        sheet.set_column_width(number, *width)?;
        sheet.write_string_with_format(row, number, format!("{zh}\n{en}"), &formats.heading)?;
    }
    sheet.set_row_height(row, 32)?;
    sheet.set_freeze_panes(row + 1, 0)?;
    Ok(())
}

fn dwellings(
    sheet: &mut Worksheet,
    lines: &[ReportLine],
    places: &PlaceBook,
    day: Day,
    formats: &Formats,
) -> Result<(), XlsxError> {
    let over = Format::new().set_background_color(0x00FF_C7CE);
    let policy = lines.first().map(|line| &line.reckoning);
    let rule = policy.map_or(String::new(), |reckoning| {
        format!(
            "，每人 {} m²（规则 {}）",
            reckoning.per_person, reckoning.rule_version
        )
    });
    sheet.write_string(0, 0, format!("{day}{rule}"))?;
    headings(
        sheet,
        formats,
        1,
        &[
            ("幢号", "building", 8),
            ("单元", "unit", 8),
            ("房号", "number", 10),
            ("住户编号", "dwelling", 18),
            ("租住类型", "tenure", 12),
            ("建筑面积 m²", "area_m2", 12),
            ("限额依据", "basis", 16),
            ("限额人数", "limit", 10),
            ("持卡人数", "holders", 10),
            ("空余", "free", 8),
            ("超限", "over limit", 10),
            ("不计人数", "not counted", 10),
        ],
    )?;
    for (idx, line) in lines.iter().enumerate() {
        let row = u32::try_from(idx + 2).or(Err(XlsxError::RowColumnLimitError))?;
        let ReportLine {
            dwelling,
            reckoning,
        } = line;
        if reckoning.is_over() {
            sheet.set_row_format(row, &over)?;
        }
        let (building, unit) = wall_of(places, dwelling);
        sheet.write_string(row, 0, building)?;
        sheet.write_string(row, 1, unit)?;
        sheet.write_string(row, 2, &dwelling.number)?;
        sheet.write_string(row, 3, dwelling.id.as_str())?;
        sheet.write_string(row, 4, tenure_word(dwelling.tenure, Language::Zh))?;
        let area = f64::from(dwelling.area.hundredths_m2()) / 100.0;
        sheet.write_number_with_format(row, 5, area, &formats.area)?;
        sheet.write_string(row, 6, basis(reckoning.basis))?;
        if let Some(limit) = reckoning.limit {
            sheet.write_number(row, 7, limit)?;
        }
        sheet.write_number(row, 8, reckoning.n_holders())?;
        if let Some(free) = reckoning.n_free() {
            sheet.write_number(row, 9, free)?;
        }
        if reckoning.is_over() {
            sheet.write_string(row, 10, "超限 over")?;
        }
        let n_not_counted = u32::try_from(reckoning.not_counted.len()).unwrap_or(u32::MAX);
        sheet.write_number(row, 11, n_not_counted)?;
    }
    let last = u32::try_from(lines.len() + 1).or(Err(XlsxError::RowColumnLimitError))?;
    sheet.autofilter(1, 0, last, 11)?;
    Ok(())
}

/// Where a limit comes from, in both languages.
const fn basis(basis: LimitBasis) -> &'static str {
    match basis {
        LimitBasis::Area => "面积 area",
        LimitBasis::OwnerMinimum => "自住至少一人 owner",
        LimitBasis::Beds => "床位 beds",
        LimitBasis::Unlimited => "不限 none",
        LimitBasis::NotInEffect => "不在登记期 not in effect",
    }
}

/// Sums of one building.
#[derive(Default)]
struct Sums {
    n_dwellings: u32,
    n_over: u32,
    n_holders: u32,
    n_free: u32,
}

fn buildings(
    sheet: &mut Worksheet,
    lines: &[ReportLine],
    places: &PlaceBook,
    formats: &Formats,
) -> Result<(), XlsxError> {
    headings(
        sheet,
        formats,
        0,
        &[
            ("幢号", "building", 10),
            ("户数", "dwellings", 12),
            ("超限户数", "over limit", 12),
            ("持卡人数", "holders", 12),
            ("空余", "free", 12),
        ],
    )?;
    let mut sums: BTreeMap<(u64, String), Sums> = BTreeMap::new();
    for line in lines {
        let (building, _) = wall_of(places, &line.dwelling);
        let sum = sums.entry(natural(&building)).or_default();
        sum.n_dwellings += 1;
        sum.n_over += u32::from(line.reckoning.is_over());
        sum.n_holders += line.reckoning.n_holders();
        sum.n_free += line.reckoning.n_free().unwrap_or(0);
    }
    let mut buildings: Vec<(&(u64, String), &Sums)> = sums.iter().collect();
    buildings.sort_by_key(|(building, sum)| (Reverse(sum.n_over > 0), *building));
    for (row, ((_, building), sum)) in (1_u32..).zip(buildings) {
        sheet.write_string(row, 0, building)?;
        let counts = [sum.n_dwellings, sum.n_over, sum.n_holders, sum.n_free];
        for (number, count) in (1_u16..).zip(counts) {
            sheet.write_number(row, number, count)?;
        }
    }
    Ok(())
}

//! The figures as a spreadsheet (XLSX), one sheet for each way to group them, headed in both languages.

use std::collections::BTreeMap;

use rust_xlsxwriter::{Format, Workbook, Worksheet, XlsxError};

use super::statistics::{Figures, Statistics};
use crate::domain::case::StepKind;
use crate::time::TimeZone;

/// Why no spreadsheet could be made.
#[derive(Debug, thiserror::Error)]
#[error("write a spreadsheet")]
pub struct SheetError(#[from] XlsxError);

/// The columns before those of the steps.
const COLUMNS: [&str; 10] = [
    "组 Group",
    "告警 Alerts",
    "工单 Cases",
    "未结 Open",
    "已归档 Closed",
    "误报 Cancelled",
    "办结率 Closure rate",
    "曾超时 Overdue",
    "现超时 Overdue now",
    "曾升级 Escalated",
];

/// Writes `statistics`; times are in seconds, moments as people in `zone` write them.
pub(super) fn write(statistics: &Statistics, zone: &TimeZone) -> Result<Vec<u8>, SheetError> {
    let mut book = Workbook::new();
    let (from, to) = (zone.local(statistics.from), zone.local(statistics.to));
    let all = format!("{from} – {to}");
    let total = BTreeMap::from([(all, statistics.total.clone())]);
    for (name, groups) in [
        ("合计 Total", &total),
        ("按类型 By kind", &statistics.by_kind),
        ("按位置 By place", &statistics.by_place),
        ("按层级 By tier", &statistics.by_tier),
        ("按时段 By period", &statistics.by_period),
    ] {
        let sheet = book.add_worksheet();
        sheet.set_name(name)?;
        table(sheet, groups)?;
    }
    Ok(book.save_to_buffer()?)
}

fn table(sheet: &mut Worksheet, groups: &BTreeMap<String, Figures>) -> Result<(), XlsxError> {
    let bold = Format::new().set_bold();
    let percent = Format::new().set_num_format("0.0%");
    let seconds = Format::new().set_num_format("0.000");
    let mut column = 0u16;
    for heading in COLUMNS {
        sheet.write_string_with_format(0, column, heading, &bold)?;
        column += 1;
    }
    for step in StepKind::REGULAR {
        let title = step.title();
        for figure in ["n", "p50 (s)", "p95 (s)"] {
            let heading = format!("{} {} {figure}", title.zh, step.as_str());
            sheet.write_string_with_format(0, column, heading, &bold)?;
            column += 1;
        }
    }
    for (row, (name, figures)) in (1u32..).zip(groups) {
        // A string cell: a name that begins with `=` is no formula.
        sheet.write_string(row, 0, name)?;
        let counts = [
            (1, figures.alerts),
            (2, figures.cases),
            (3, figures.open),
            (4, figures.closed),
            (5, figures.cancelled),
            (7, figures.overdue),
            (8, figures.overdue_now),
            (9, figures.escalated),
        ];
        for (column, count) in counts {
            sheet.write_number(row, column, count as f64)?;
        }
        if let Some(rate) = figures.closure_rate {
            sheet.write_number_with_format(row, 6, rate, &percent)?;
        }
        for (first, step) in (10u16..).step_by(3).zip(StepKind::REGULAR) {
            let Some(times) = figures.steps.get(step.as_str()) else {
                continue;
            };
            sheet.write_number(row, first, times.n as f64)?;
            for (column, ms) in [(first + 1, times.p50_ms), (first + 2, times.p95_ms)] {
                if let Some(ms) = ms {
                    sheet.write_number_with_format(row, column, ms as f64 / 1_000.0, &seconds)?;
                }
            }
        }
    }
    sheet.set_freeze_panes(1, 1)?;
    sheet.autofit();
    Ok(())
}

//! Rows written as XLSX and CSV, so that [`super::read`] gives the same rows again.
//!
//! Nothing written is ever a formula: in XLSX every text is a text cell, in CSV a cell that a
//! spreadsheet program would reckon gets an apostrophe, which reading takes away.

use rust_xlsxwriter::{Format, FormatAlign, FormatBorder, Workbook, Worksheet, XlsxError};

use super::column::{COLUMNS, Column};
use super::row::Row;
use super::value::{Edge, Said, relation_word, state_word, tenure_word};
use crate::domain::dwelling::Day;
use crate::time::{TimeZone, WallTime};

/// In which language words and CSV headings are written. Headings of XLSX have both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    /// `rented`, `active`, …
    #[default]
    En,
    /// 出租、有效……
    Zh,
}

/// The format of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileFormat {
    /// Excel 2007 and later.
    #[default]
    Xlsx,
    /// Text in UTF-8, with the mark by which Excel knows it.
    Csv,
}

/// Why a file cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Too large for the format, or out of memory.
    #[error("write the workbook")]
    Xlsx(#[source] XlsxError),
    /// The same for text.
    #[error("write the table")]
    Csv(#[source] csv::Error),
}

/// How a file is written.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    /// In which days of cards are meant.
    pub time_zone: TimeZone,
    /// Of words.
    pub language: Language,
}

/// What one cell holds.
enum Value {
    Nothing,
    Text(String),
    Area(u32),
    Count(u32),
    Day(Day),
}

/// Columns that rows are written with, in this order: the stairwell's id says building and unit.
pub(super) fn written_columns() -> impl Iterator<Item = Column> {
    let left_out = [Column::Building, Column::Unit];
    COLUMNS
        .into_iter()
        .filter(move |column| !left_out.contains(column))
}

fn value(row: &Row, column: Column, options: &WriteOptions) -> Value {
    let text = |text: Option<String>| text.map_or(Value::Nothing, Value::Text);
    let language = options.language;
    match column {
        Column::Dwelling => Value::Text(row.dwelling.to_string()),
        Column::Place => text(row.place.as_ref().map(|place| place.as_str().to_owned())),
        Column::Building | Column::Unit => Value::Nothing,
        Column::Number => text(row.number.clone()),
        Column::Area => row
            .area
            .map_or(Value::Nothing, |area| Value::Area(area.hundredths_m2())),
        Column::Tenure => text(
            row.tenure
                .map(|tenure| tenure_word(tenure, language).to_owned()),
        ),
        Column::Beds => row.beds.map_or(Value::Nothing, Value::Count),
        Column::DwellingFrom => day(row.dwelling_from),
        Column::DwellingUntil => day(row.dwelling_to),
        Column::Holder => text(row.holder.as_ref().map(ToString::to_string)),
        Column::Name => text(row.name.as_ref().map(|name| name.reveal().to_owned())),
        Column::Relation => text(
            row.relation
                .as_ref()
                .map(|relation| relation_word(relation, language)),
        ),
        Column::Person => text(row.person.as_ref().map(|mark| mark.reveal().to_owned())),
        Column::From => day(row.from),
        Column::Until => day(row.to),
        Column::Card => text(row.card.as_ref().map(|card| card.reveal().to_owned())),
        Column::State => text(
            row.state
                .map(|state| state_word(state, language).to_owned()),
        ),
        Column::ValidFrom => moment(row.valid_from, options, Edge::Start),
        Column::ValidUntil => moment(row.valid_until, options, Edge::End),
    }
}

/// The word for no beginning or no end.
const OPEN: &str = "open";

fn day(said: Said<Day>) -> Value {
    match said {
        Said::Nothing => Value::Nothing,
        Said::Open => Value::Text(OPEN.to_owned()),
        Said::Is(day) => Value::Day(day),
    }
}

fn moment(said: Said<WallTime>, options: &WriteOptions, edge: Edge) -> Value {
    match said {
        Said::Nothing => Value::Nothing,
        Said::Open => Value::Text(OPEN.to_owned()),
        Said::Is(moment) => match edge_day(moment, &options.time_zone, edge) {
            Some(day) => Value::Day(day),
            None => Value::Text(exactly(moment)),
        },
    }
}

/// The day of which `moment` is the first moment, or the first after it; `None`: of none.
fn edge_day(moment: WallTime, zone: &TimeZone, edge: Edge) -> Option<Day> {
    let date = zone.date_of(moment);
    let day = match edge {
        Edge::Start => Day::from_civil(date),
        Edge::End => Day::from_civil(date.yesterday().ok()?),
    };
    let is_it = match edge {
        Edge::Start => day.start(zone) == moment,
        Edge::End => day.end(zone) == moment,
    };
    is_it.then_some(day)
}

/// A moment as the day it begins or ends, or else exactly.
pub(super) fn edge_text(moment: WallTime, zone: &TimeZone, edge: Edge) -> String {
    edge_day(moment, zone, edge).map_or_else(|| exactly(moment), |day| day.to_string())
}

/// RFC 3339 to the nanosecond.
fn exactly(moment: WallTime) -> String {
    let ns = moment.unix_ns();
    jiff::Timestamp::from_nanosecond(i128::from(ns))
        .map_or_else(|_| moment.to_string(), |at| at.to_string())
}

/// What a spreadsheet program would take for a formula, or for text marked as such.
fn is_marked(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\'', '\u{2018}', '\u{2019}'])
}

/// Reading takes one apostrophe away, so text that begins with one gets another.
fn with_apostrophe(text: &str) -> String {
    if is_marked(text) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

/// The rows in `format`.
///
/// # Errors
/// [`WriteError`] when the rows do not fit the format.
pub fn write(
    rows: &[Row],
    format: FileFormat,
    options: &WriteOptions,
) -> Result<Vec<u8>, WriteError> {
    match format {
        FileFormat::Xlsx => write_xlsx(rows, options).map_err(WriteError::Xlsx),
        FileFormat::Csv => write_csv(rows, options).map_err(WriteError::Csv),
    }
}

fn write_csv(rows: &[Row], options: &WriteOptions) -> Result<Vec<u8>, csv::Error> {
    // Excel takes a file without the mark for the machine's old encoding.
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(b"\xef\xbb\xbf".to_vec());
    let heading = |column: Column| match options.language {
        Language::En => column.heading_en(),
        Language::Zh => column.heading_zh(),
    };
    writer.write_record(written_columns().map(heading))?;
    for row in rows {
        let cells = written_columns().map(|column| match value(row, column, options) {
            Value::Nothing => String::new(),
            Value::Text(text) => with_apostrophe(&text),
            Value::Area(hundredths) => format!("{}.{:02}", hundredths / 100, hundredths % 100),
            Value::Count(count) => count.to_string(),
            Value::Day(day) => day.to_string(),
        });
        writer.write_record(cells)?;
    }
    writer
        .into_inner()
        .map_err(|err| csv::Error::from(err.into_error()))
}

/// Formats of a workbook's cells.
pub(super) struct Formats {
    pub(super) heading: Format,
    pub(super) text: Format,
    pub(super) area: Format,
    pub(super) count: Format,
    pub(super) day: Format,
}

impl Formats {
    pub(super) fn new() -> Formats {
        let heading = Format::new()
            .set_bold()
            .set_text_wrap()
            .set_align(FormatAlign::VerticalCenter)
            .set_background_color(0x00DD_EBF7)
            .set_border_bottom(FormatBorder::Thin);
        Formats {
            heading,
            text: Format::new().set_num_format("@"),
            area: Format::new().set_num_format("0.00"),
            count: Format::new().set_num_format("0"),
            day: Format::new().set_num_format("yyyy-mm-dd"),
        }
    }

    /// The format of a column's cells, also of those still empty.
    fn of(&self, column: Column) -> &Format {
        match column {
            Column::Area => &self.area,
            Column::Beds => &self.count,
            Column::DwellingFrom
            | Column::DwellingUntil
            | Column::From
            | Column::Until
            | Column::ValidFrom
            | Column::ValidUntil => &self.day,
            Column::Dwelling
            | Column::Place
            | Column::Building
            | Column::Unit
            | Column::Number
            | Column::Tenure
            | Column::Holder
            | Column::Name
            | Column::Relation
            | Column::Person
            | Column::Card
            | Column::State => &self.text,
        }
    }
}

/// Name of the sheet with the rows.
const SHEET_NAME: &str = "名册 Roster";

fn write_xlsx(rows: &[Row], options: &WriteOptions) -> Result<Vec<u8>, XlsxError> {
    let mut workbook = Workbook::new();
    let formats = Formats::new();
    let columns: Vec<Column> = written_columns().collect();
    let sheet = roster_sheet(&mut workbook, &columns, &formats)?;
    for (idx, row) in rows.iter().enumerate() {
        let line = u32::try_from(idx + 1).or(Err(XlsxError::RowColumnLimitError))?;
        for (number, column) in (0_u16..).zip(&columns) {
            put(
                sheet,
                (line, number),
                value(row, *column, options),
                &formats,
            )?;
        }
    }
    let last = u32::try_from(rows.len()).or(Err(XlsxError::RowColumnLimitError))?;
    sheet.autofilter(0, 0, last, last_of(&columns))?;
    workbook.save_to_buffer()
}

/// The number of the last of `columns`.
pub(super) fn last_of(columns: &[Column]) -> u16 {
    u16::try_from(columns.len()).map_or(u16::MAX, |n| n.saturating_sub(1))
}

/// A sheet with the headings of a roster, every column in its format.
pub(super) fn roster_sheet<'w>(
    workbook: &'w mut Workbook,
    columns: &[Column],
    formats: &Formats,
) -> Result<&'w mut Worksheet, XlsxError> {
    let sheet = workbook.add_worksheet().set_name(SHEET_NAME)?;
    for (number, column) in (0_u16..).zip(columns) {
        let heading = format!("{}\n{}", column.heading_zh(), column.heading_en());
        // A format for the whole column keeps what is typed later as it is: a card number stays text.
        sheet.set_column_format(number, formats.of(*column))?;
        sheet.set_column_width(number, 14)?;
        sheet.write_string_with_format(0, number, heading, &formats.heading)?;
    }
    sheet.set_row_height(0, 32)?;
    sheet.set_freeze_panes(1, 0)?;
    Ok(sheet)
}

/// Days from the epoch of the 1900 system to 1970-01-01.
const SERIAL_1970: i32 = 25_569;
/// 1950-01-01: days before it are written as text, which is how they are read.
const SERIAL_MIN: i32 = 18_264;

fn put(
    sheet: &mut Worksheet,
    (row, column): (u32, u16),
    value: Value,
    formats: &Formats,
) -> Result<(), XlsxError> {
    match value {
        Value::Nothing => {}
        Value::Text(text) => {
            // A text cell is never a formula; only an apostrophe needs its twin.
            let text =
                if text.starts_with(['\'', '\u{2018}', '\u{2019}']) || text.starts_with("=\"") {
                    format!("'{text}")
                } else {
                    text
                };
            sheet.write_string_with_format(row, column, text, &formats.text)?;
        }
        Value::Area(hundredths) => {
            // The format keeps numbers as doubles; reading rounds to the hundredth that was meant.
            sheet.write_number_with_format(
                row,
                column,
                f64::from(hundredths) / 100.0,
                &formats.area,
            )?;
        }
        Value::Count(count) => {
            sheet.write_number_with_format(row, column, count, &formats.count)?;
        }
        Value::Day(day) => match day.days_since_1970().saturating_add(SERIAL_1970) {
            serial if serial >= SERIAL_MIN => {
                sheet.write_number_with_format(row, column, serial, &formats.day)?;
            }
            _ => {
                sheet.write_string_with_format(row, column, day.to_string(), &formats.text)?;
            }
        },
    }
    Ok(())
}

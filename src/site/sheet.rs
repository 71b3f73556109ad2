//! Stairwells, cameras and doors from a spreadsheet, read as tolerantly as a roster: XLSX or CSV, headings
//! in Chinese or English in any order, what people leave in cells made plain.
//!
//! One row is a stairwell with a camera and a door of it; further rows of the same stairwell add others.
//! An id that is not there is made of building and unit. What the file says is laid over what there is:
//! nothing is taken away by a file. Nothing is written here.

mod columns;
mod template;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use template::template;

use super::lists::{CameraEntry, DoorEntry, MatchEntry, SiteView, StairwellEntry};
use crate::domain::place::COMPOUND;
use crate::domain::secret::Secret;
use crate::spreadsheet::grid::{Cell, Line, Table};
use crate::spreadsheet::text::{clean, squeeze};
use crate::spreadsheet::{ColumnLetters, FileReason};
use columns::Column;
use words::{controller_word, decision_word, free_id, label, made_id};

/// Rows looked at for headings, from the first that holds something.
const HEADING_ROWS_MAX: usize = 30;
/// A row with so many known headings has them.
const HEADINGS_MIN: usize = 2;
/// Problems that are listed; a file with more is the wrong file.
const PROBLEMS_MAX: usize = 1_000;

/// What a spreadsheet says, laid over what there is.
#[derive(Debug, Default, Serialize)]
pub struct SheetReport {
    /// Rows with something in them.
    pub rows: usize,
    /// Every stairwell: those there are, and those of the file.
    pub stairwells: Vec<StairwellEntry>,
    /// Every camera. Those of the file carry the password that it holds.
    #[serde(serialize_with = "with_passwords")]
    pub cameras: Vec<CameraEntry>,
    /// Every door, likewise.
    #[serde(serialize_with = "doors_with_passwords")]
    pub doors: Vec<DoorEntry>,
    /// What is wrong, by row; such a row is left out.
    pub problems: Vec<SheetProblem>,
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SheetProblem {
    /// The sheet; null: the file is CSV.
    pub sheet: Option<String>,
    /// The row as the spreadsheet program numbers it.
    pub row: u32,
    /// The column by its letters; null: the row as a whole.
    pub column: Option<String>,
    /// What is wrong and what to do, in Chinese.
    pub text_zh: String,
    /// The same in English.
    pub text_en: String,
}

/// The one place where a password goes out: to who has just sent it, so that it can be sent on.
#[derive(Serialize)]
struct Carried<'e, E> {
    #[serde(flatten)]
    entry: &'e E,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'e str>,
}

fn with_passwords<S: serde::Serializer>(
    cameras: &[CameraEntry],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(cameras.iter().map(|entry| Carried {
        entry,
        password: entry.password.as_ref().map(Secret::reveal),
    }))
}

fn doors_with_passwords<S: serde::Serializer>(
    doors: &[DoorEntry],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(doors.iter().map(|entry| Carried {
        entry,
        password: entry.password.as_ref().map(Secret::reveal),
    }))
}

/// Reads `bytes` and lays what it says over `site`. Blocks for as long as a large file takes.
///
/// # Errors
/// [`FileReason`] when nothing can be read of it.
pub fn read_sheet(bytes: &[u8], site: SiteView) -> Result<SheetReport, FileReason> {
    let mut tables = crate::spreadsheet::tables(bytes)?;
    let mut book = Book::over(site);
    let mut is_any_headed = false;
    for table in tables.iter_mut().filter(|table| !table.is_hidden) {
        table.spread_merged(0)?;
        table.lines.retain(|line| !line.is_blank());
        let Some((first_data, columns)) = headings(table) else {
            continue;
        };
        is_any_headed = true;
        for line in table.lines.iter().skip(first_data) {
            let row = Row {
                sheet: table.name.as_deref(),
                line,
                columns: &columns,
            };
            book.take(&row);
        }
    }
    if !is_any_headed {
        return Err(FileReason::NoHeadings);
    }
    Ok(book.report())
}

/// The line with most known headings, as the index of the first row of data and the columns.
fn headings(table: &Table) -> Option<(usize, BTreeMap<Column, u32>)> {
    let mut best: Option<(usize, BTreeMap<Column, u32>)> = None;
    for (idx, line) in table.lines.iter().enumerate().take(HEADING_ROWS_MAX) {
        let mut columns = BTreeMap::new();
        for (number, cell) in (0_u32..).zip(&line.cells) {
            if let Cell::Text(text) = cell
                && let Some(column) = Column::of_heading(text)
            {
                columns.entry(column).or_insert(number);
            }
        }
        let is_better = best
            .as_ref()
            .is_none_or(|(_, best)| columns.len() > best.len());
        if columns.len() >= HEADINGS_MIN && is_better {
            best = Some((idx + 1, columns));
        }
    }
    best
}

struct Row<'r> {
    sheet: Option<&'r str>,
    line: &'r Line,
    columns: &'r BTreeMap<Column, u32>,
}

/// What a cell cannot be: Chinese and English.
type Wrong = (&'static str, &'static str);

impl Row<'_> {
    /// The cell's text; empty when there is nothing.
    fn text(&self, column: Column) -> Result<String, (Column, Wrong)> {
        let Some(number) = self.columns.get(&column) else {
            return Ok(String::new());
        };
        let wrong = |zh, en| Err((column, (zh, en)));
        match self.line.cell(*number) {
            Cell::Empty => Ok(String::new()),
            // A password may begin with an apostrophe and end with a space for all we know.
            Cell::Text(text) if column.is_secret() => Ok(text.to_string()),
            Cell::Text(text) => Ok(clean(text)),
            Cell::Number { digits, n_shown } => Ok(whole(digits, *n_shown)),
            Cell::Serial(_) => wrong(
                "表格软件把它变成了日期（请把该列设为文本格式后重填）",
                "the spreadsheet program made a date of it (format the column as text and type it again)",
            ),
            Cell::Flag => wrong("写成了是/否（请写文字）", "is true or false (write a text)"),
            Cell::Error => wrong(
                "是错误值，如 #N/A（请改正）",
                "is an error such as #N/A (correct it)",
            ),
            Cell::NoValue => wrong(
                "是没有结果的公式（请打开文件重新保存）",
                "is a formula without its value (open the file and save it again)",
            ),
            Cell::TooLong => wrong("太长（请改短）", "is too long (shorten it)"),
        }
    }

    /// Every cell that has a meaning, and what is wrong with the others.
    fn cells(&self) -> (Cells, Vec<SheetProblem>) {
        let (mut cells, mut problems) = (Cells::default(), Vec::new());
        for column in self.columns.keys().copied() {
            match self.text(column) {
                // In ids, addresses and numbers a space is always a slip.
                Ok(text) if column.is_word() => drop(cells.0.insert(column, squeeze(&text))),
                Ok(text) => drop(cells.0.insert(column, text)),
                Err((column, (zh, en))) => problems.push(self.problem(Some(column), zh, en)),
            }
        }
        (cells, problems)
    }

    fn number(
        &self,
        cells: &mut Cells,
        column: Column,
        max: u32,
        problems: &mut Vec<SheetProblem>,
    ) -> Option<u32> {
        let text = cells.some(column)?;
        let number = text.parse::<u32>().ok().filter(|n| (1..=max).contains(n));
        if number.is_none() {
            problems.push(self.problem(
                Some(column),
                format!("不是 1 到 {max} 的整数"),
                &format!("is no whole number from 1 to {max}"),
            ));
        }
        number
    }

    fn problem(&self, column: Option<Column>, zh: impl Into<String>, en: &str) -> SheetProblem {
        let number = column.and_then(|column| self.columns.get(&column));
        let heading = column.map_or("", Column::heading_en);
        let zh: String = zh.into();
        SheetProblem {
            sheet: self.sheet.map(str::to_owned),
            row: self.line.row,
            column: number.map(|number| ColumnLetters(*number).to_string()),
            text_zh: match column {
                Some(column) => format!("{}：{zh}", column.heading_zh()),
                None => zh,
            },
            text_en: match column {
                Some(_) => format!("{heading}: {en}"),
                None => en.to_owned(),
            },
        }
    }
}

/// A number of the file as people see it: `3`, not `3.0`; with the zeros that its format shows.
fn whole(digits: &str, n_shown: u8) -> String {
    let plain = digits
        .split_once('.')
        .filter(|(_, places)| places.bytes().all(|b| b == b'0'))
        .map_or(digits, |(whole, _)| whole);
    format!("{plain:0>width$}", width = usize::from(n_shown))
}

/// The texts of a row, by column.
#[derive(Default)]
struct Cells(BTreeMap<Column, String>);

impl Cells {
    /// Empty when the row does not say it.
    fn take(&mut self, column: Column) -> String {
        self.0.remove(&column).unwrap_or_default()
    }

    fn some(&mut self, column: Column) -> Option<String> {
        Some(self.take(column)).filter(|text| !text.is_empty())
    }
}

fn camera_of(cells: &mut Cells, place: &str) -> Option<CameraEntry> {
    let camera = CameraEntry {
        id: cells.take(Column::Camera),
        place: place.to_owned(),
        url: cells.take(Column::Url),
        sub_url: cells.some(Column::SubUrl),
        transport: cells.take(Column::Transport).to_lowercase(),
        username: cells.some(Column::Username),
        password: cells.some(Column::Password).map(Secret::new),
        ..CameraEntry::default()
    };
    (!camera.id.is_empty() || !camera.url.is_empty()).then_some(camera)
}

fn door_of(cells: &mut Cells, place: &str, matcher: MatchEntry) -> Option<DoorEntry> {
    let door = DoorEntry {
        id: cells.take(Column::Door),
        place: place.to_owned(),
        controller: controller_word(&cells.take(Column::Controller)),
        decision: decision_word(&cells.take(Column::Decision)),
        matcher: Some(matcher).filter(|matcher| *matcher != MatchEntry::default()),
        username: cells.some(Column::DoorUsername),
        password: cells.some(Column::DoorPassword).map(Secret::new),
        ..DoorEntry::default()
    };
    let is_said = !door.id.is_empty()
        || !door.controller.is_empty()
        || !door.decision.is_empty()
        || door.matcher.is_some();
    is_said.then_some(door)
}

/// What one row says, read.
struct Said {
    place: String,
    stairwell: Option<StairwellEntry>,
    camera: Option<CameraEntry>,
    door: Option<DoorEntry>,
}

/// The lists as they become.
struct Book {
    report: SheetReport,
    /// The ids that this file has said something of, to tell a second saying from a first.
    said: BTreeSet<String>,
}

impl Book {
    fn over(site: SiteView) -> Book {
        Book {
            report: SheetReport {
                stairwells: site.stairwells,
                cameras: site.cameras,
                doors: site.doors,
                ..SheetReport::default()
            },
            said: BTreeSet::new(),
        }
    }

    fn report(mut self) -> SheetReport {
        self.report.problems.truncate(PROBLEMS_MAX);
        self.report
    }

    fn take(&mut self, row: &Row<'_>) {
        self.report.rows += 1;
        match self.read(row) {
            Ok(said) => self.lay(row, said),
            Err(problems) => self.report.problems.extend(problems),
        }
    }

    fn read(&self, row: &Row<'_>) -> Result<Said, Vec<SheetProblem>> {
        let (mut cells, mut problems) = row.cells();
        let (id, building, unit) = (
            cells.take(Column::Stairwell),
            cells.take(Column::Building),
            cells.take(Column::Unit),
        );
        let (stairwell, place) = match self.place(&id, &building, &unit) {
            Ok(found) => found,
            Err((zh, en)) => {
                problems.push(row.problem(None, zh, en));
                (None, String::new())
            }
        };
        let device_id = row.number(&mut cells, Column::DeviceId, u32::MAX, &mut problems);
        let device_door = row.number(&mut cells, Column::DeviceDoor, 4, &mut problems);
        let camera = camera_of(&mut cells, &place);
        if let Some(camera) = &camera
            && camera.url.is_empty()
            && !self
                .report
                .cameras
                .iter()
                .any(|known| known.id == camera.id)
        {
            problems.push(row.problem(
                Some(Column::Url),
                "新的摄像机必须填写地址，如 rtsp://192.0.2.10:554/…",
                "a new camera needs its address, such as rtsp://192.0.2.10:554/…",
            ));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let matcher = MatchEntry {
            topic: None,
            hostname: cells.some(Column::Hostname),
            device_id,
            door: device_door.and_then(|door| u8::try_from(door).ok()),
        };
        let door = door_of(&mut cells, &place, matcher);
        Ok(Said {
            place,
            stairwell,
            camera,
            door,
        })
    }

    /// The stairwell of the row, with its id: a known one, or a new one with building and unit.
    fn place(
        &self,
        id: &str,
        building: &str,
        unit: &str,
    ) -> Result<(Option<StairwellEntry>, String), Wrong> {
        if [COMPOUND, "小区", "大门"].contains(&id.to_lowercase().as_str()) {
            return Ok((None, COMPOUND.to_owned()));
        }
        let known = self.report.stairwells.iter().find(|known| match id {
            "" => label(&known.building) == label(building) && label(&known.unit) == label(unit),
            id => known.id == id,
        });
        let (building, unit) = match (known, building, unit) {
            (Some(known), "", "") => (known.building.clone(), known.unit.clone()),
            (Some(known), building, "") => (label(building), known.unit.clone()),
            (Some(known), "", unit) => (known.building.clone(), label(unit)),
            (None, "", _) | (None, _, "") => {
                return Err((
                    "没有说明是哪个楼道（请填写楼道编号，或幢号和单元；大门写“小区”）",
                    "does not say which stairwell (fill in its id, or building and unit; for a gate write compound)",
                ));
            }
            (Some(known), _, _) if id.is_empty() => (known.building.clone(), known.unit.clone()),
            (_, building, unit) => (label(building), label(unit)),
        };
        let id = match known {
            Some(known) => known.id.clone(),
            None if id.is_empty() => made_id(&building, &unit).ok_or((
                "幢号或单元不能变成编号（请另填楼道编号，如 b03-u2）",
                "no id can be made of building and unit (fill in the stairwell's id, such as b03-u2)",
            ))?,
            None => id.to_owned(),
        };
        let entry = StairwellEntry {
            id: id.clone(),
            was: None,
            building,
            unit,
        };
        Ok((Some(entry), id))
    }

    /// Lays what a row says over what is known.
    fn lay(&mut self, row: &Row<'_>, said: Said) {
        if let Some(entry) = said.stairwell {
            let stairwells = &mut self.report.stairwells;
            match stairwells.iter_mut().find(|known| known.id == entry.id) {
                Some(known) => *known = entry,
                None => stairwells.push(entry),
            }
        }
        let camera = said.camera.map(|camera| self.lay_camera(camera));
        let camera = match camera.transpose() {
            Ok(camera) => camera,
            Err(id) => return self.twice(row, Column::Camera, &id),
        };
        if let Some(door) = said.door {
            if let Err(id) = self.lay_door(door, camera.as_deref()) {
                self.twice(row, Column::Door, &id);
            }
        } else if let Some(camera) = camera {
            self.show_at_door(&said.place, camera);
        }
    }

    fn twice(&mut self, row: &Row<'_>, column: Column, id: &str) {
        self.report.problems.push(row.problem(
            Some(column),
            format!("{id} 在文件中出现了两次（请改其中一个编号）"),
            &format!("{id} stands twice in the file (change one of the ids)"),
        ));
    }

    /// Returns its id, as an error when the file has said something of it before.
    fn lay_camera(&mut self, mut camera: CameraEntry) -> Result<String, String> {
        let cameras = &mut self.report.cameras;
        if camera.id.is_empty() {
            // Another row with the same address means the same camera.
            let known = cameras.iter().find(|known| known.url == camera.url);
            let free = |id: &str| cameras.iter().all(|known| known.id != id);
            camera.id = match known {
                Some(known) => known.id.clone(),
                None => free_id(&format!("{}-in", camera.place), free),
            };
        }
        let id = camera.id.clone();
        let is_first = self.said.insert(format!("camera {id}"));
        let Some(known) = cameras.iter_mut().find(|known| known.id == id) else {
            if camera.transport.is_empty() {
                "tcp".clone_into(&mut camera.transport);
            }
            cameras.push(camera);
            return Ok(id);
        };
        if !is_first && !camera.url.is_empty() && camera.url != known.url {
            return Err(id);
        }
        known.place = camera.place;
        over(&mut known.url, camera.url);
        over(&mut known.transport, camera.transport);
        known.sub_url = camera.sub_url.or(known.sub_url.take());
        known.username = camera.username.or(known.username.take());
        known.password = camera.password.or(known.password.take());
        Ok(id)
    }

    fn lay_door(&mut self, mut door: DoorEntry, camera: Option<&str>) -> Result<(), String> {
        let doors = &mut self.report.doors;
        if door.id.is_empty() {
            let free = |id: &str| doors.iter().all(|known| known.id != id);
            let only = doors.iter().filter(|known| known.place == door.place);
            let only: Vec<String> = only.map(|known| known.id.clone()).collect();
            let said = self.said.contains(&format!("door {}", only.concat()));
            door.id = match only.as_slice() {
                [id] if !said => id.clone(),
                _ => free_id(&format!("{}-door", door.place), free),
            };
        }
        if !self.said.insert(format!("door {}", door.id)) {
            return Err(door.id);
        }
        let cameras = camera.map(str::to_owned);
        let Some(known) = doors.iter_mut().find(|known| known.id == door.id) else {
            let seen_by = self.report.cameras.iter();
            let own = seen_by.filter(|known| known.place == door.place && door.place != COMPOUND);
            door.cameras = match cameras {
                Some(camera) => vec![camera],
                None => own.map(|known| known.id.clone()).collect(),
            };
            for (word, default) in [
                (&mut door.controller, "native"),
                (&mut door.decision, "record"),
            ] {
                if word.is_empty() {
                    default.clone_into(word);
                }
            }
            doors.push(door);
            return Ok(());
        };
        known.place = door.place;
        over(&mut known.controller, door.controller);
        over(&mut known.decision, door.decision);
        known.matcher = door.matcher.or(known.matcher.take());
        known.username = door.username.or(known.username.take());
        known.password = door.password.or(known.password.take());
        if let Some(camera) = cameras.filter(|camera| !known.cameras.contains(camera)) {
            known.cameras.push(camera);
        }
        Ok(())
    }

    /// A camera in a row without a door sees the door of its stairwell.
    fn show_at_door(&mut self, place: &str, camera: String) {
        let doors = self.report.doors.iter_mut();
        let mut of_place = doors.filter(|door| door.place == place && place != COMPOUND);
        if let Some(door) = of_place.next()
            && !door.cameras.contains(&camera)
        {
            door.cameras.push(camera);
        }
    }
}

fn over(known: &mut String, said: String) {
    if !said.is_empty() {
        *known = said;
    }
}

#[cfg(test)]
#[path = "sheet_tests.rs"]
mod tests;

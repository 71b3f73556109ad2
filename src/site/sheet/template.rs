//! The empty spreadsheet of a site with its explanations.

use rust_xlsxwriter::{DataValidation, Format, FormatAlign, Workbook, Worksheet, XlsxError};

use super::columns::{COLUMNS, Column};
use crate::spreadsheet::ROW_NUMBER_MAX;

const SHEET_NAME: &str = "楼道 Site";
const HELP_NAME: &str = "说明 Help";

const NOTES: [(&str, &str); 5] = [
    (
        "每个楼道一行，同一行写它的摄像机和门；一个楼道有几台摄像机时，每台一行",
        "One row for each stairwell with its camera and door; further cameras of it have rows of their own",
    ),
    (
        "空单元格表示不改动；表中没有的楼道、摄像机和门也不改动",
        "An empty cell changes nothing; neither does what is not in the file",
    ),
    (
        "列的顺序不限，可以增加其他列（如备注），不会读取",
        "Columns may stand in any order; other columns are not read",
    ),
    (
        "上传后先看差异，确认后才写入",
        "After the upload the difference is shown; nothing is written before you confirm it",
    ),
    (
        "填有密码的文件用完请删除",
        "Delete a file with passwords in it after use",
    ),
];

/// The template as XLSX.
///
/// # Errors
/// When memory runs out.
pub fn template() -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    Ok(build()?)
}

fn build() -> Result<Vec<u8>, XlsxError> {
    let mut workbook = Workbook::new();
    let heading = Format::new()
        .set_bold()
        .set_text_wrap()
        .set_align(FormatAlign::Top);
    let text = Format::new().set_num_format("@");
    let sheet = workbook.add_worksheet().set_name(SHEET_NAME)?;
    for (number, about) in (0_u16..).zip(&COLUMNS) {
        sheet.set_column_format(number, &text)?;
        let is_address = matches!(about.column, Column::Url | Column::SubUrl);
        sheet.set_column_width(number, if is_address { 44 } else { 14 })?;
        let words = format!("{}\n{}", about.zh, about.en);
        sheet.write_string_with_format(0, number, words, &heading)?;
        let note = format!("{}\n{}", about.help_zh, about.help_en);
        sheet.insert_note(0, number, &rust_xlsxwriter::Note::new(note).set_width(320))?;
        if let Some(words) = words_of(about.column) {
            let list = DataValidation::new().allow_list_strings(words)?;
            let list = list.show_error_message(false);
            sheet.add_data_validation(1, number, ROW_NUMBER_MAX - 1, number, &list)?;
        }
    }
    sheet.set_row_height(0, 32)?;
    sheet.set_freeze_panes(1, 0)?;
    let help = workbook.add_worksheet().set_name(HELP_NAME)?;
    explain(help, &heading)?;
    workbook.save_to_buffer()
}

fn words_of(column: Column) -> Option<&'static [&'static str]> {
    match column {
        Column::Transport => Some(&["tcp", "udp"]),
        Column::Controller => Some(&["native", "esp-rfid", "uhppoted"]),
        Column::Decision => Some(&["record", "online"]),
        _ => None,
    }
}

fn explain(sheet: &mut Worksheet, heading: &Format) -> Result<(), XlsxError> {
    let wrapped = Format::new().set_text_wrap().set_align(FormatAlign::Top);
    for (number, width) in (0_u16..).zip([16, 16, 60, 70, 44]) {
        sheet.set_column_width(number, width)?;
    }
    // None of these is the heading of a column, so that this sheet is not read as data.
    let words = ["列名", "name", "怎样填写", "what to write", "例 example"];
    for (number, word) in (0_u16..).zip(words) {
        sheet.write_string_with_format(0, number, word, heading)?;
    }
    let mut row = 1;
    for about in &COLUMNS {
        let cells = [
            about.zh,
            about.en,
            about.help_zh,
            about.help_en,
            about.example,
        ];
        for (number, text) in (0_u16..).zip(cells) {
            sheet.write_string_with_format(row, number, text, &wrapped)?;
        }
        row += 1;
    }
    row += 1;
    for (zh, en) in NOTES {
        sheet.write_string_with_format(row, 2, zh, &wrapped)?;
        sheet.write_string_with_format(row, 3, en, &wrapped)?;
        row += 1;
    }
    sheet.set_freeze_panes(1, 0)?;
    Ok(())
}

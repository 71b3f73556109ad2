//! The empty roster with explanations: what a property manager begins with.

use rust_xlsxwriter::{DataValidation, Format, FormatAlign, Workbook, Worksheet, XlsxError};

use super::column::{COLUMNS, Column};
use super::grid::ROW_NUMBER_MAX;
use super::value::{RELATIONS, state_word, tenure_word};
use super::write::{Formats, Language, WriteError, roster_sheet};
use crate::domain::access::CardState;
use crate::domain::dwelling::Tenure;

/// Name of the sheet with the explanations.
const HELP_NAME: &str = "说明 Help";

/// What the explanations say of a column.
struct Help {
    zh: &'static str,
    en: &'static str,
    example: &'static str,
}

#[expect(clippy::too_many_lines, reason = "one table")]
const fn help(column: Column) -> Help {
    let (zh, en, example) = match column {
        Column::Dwelling => (
            "每户一个编号，1–32 个字母、数字、“-”、“_”。可不填：按楼道和房号生成",
            "One id for each dwelling: 1 to 32 letters, digits, '-' and '_'. May be empty: made of place and number",
            "b03-u2-301",
        ),
        Column::Place => (
            "配置中的楼道编号，或“3幢2单元”。也可改填幢号和单元两列；全小区写“小区”",
            "The stairwell's id of the configuration, or building and unit such as 3-2. Or fill in the two columns instead",
            "b03-u2",
        ),
        Column::Building => ("楼幢，如墙上所写", "The building, as on its wall", "3"),
        Column::Unit => ("单元，如门上所写", "The unit, as on its entrance", "2"),
        Column::Number => (
            "门牌上的房号；新的一户必填",
            "The number on its door; a new dwelling needs it",
            "301",
        ),
        Column::Area => (
            "建筑面积，平方米，最多两位小数；新的一户必填。只写在该户第一行即可",
            "Floor area in m², two places at most; a new dwelling needs it. Its first row is enough",
            "94.30",
        ),
        Column::Tenure => (
            "出租、自住或宿舍；不填为自住",
            "rented, owner-occupied or dormitory; empty is owner-occupied",
            "出租",
        ),
        Column::Beds => (
            "登记床位数；仅宿舍填写，按床位限人",
            "Registered beds, for a dormitory only: they are its limit",
            "",
        ),
        Column::DwellingFrom => (
            "该户登记生效的第一天；可不填",
            "First day of the dwelling under these facts; may be empty",
            "",
        ),
        Column::DwellingUntil => (
            "该户登记的最后一天；可不填",
            "Last day of that; may be empty",
            "",
        ),
        Column::Holder => (
            "持卡人编号；可不填：同一户内按人员编号或姓名辨认",
            "The cardholder's id; may be empty: known by person key or name within the dwelling",
            "b03-u2-301-1",
        ),
        Column::Name => (
            "姓名，最多 64 字；加密保存",
            "The name, 64 characters at most; kept encrypted",
            "示例甲",
        ),
        Column::Relation => (
            "与该户的关系，如租客、业主、配偶、未成年子女；不填为未说明",
            "What the person is to the dwelling, such as tenant, owner, minor-child; empty is unstated",
            "租客",
        ),
        Column::Person => (
            "同一个人在几户时，各行写同一个内部编号（不要写身份证号）",
            "One mark of your own for a person who lives in several dwellings (not an identity number)",
            "P-0017",
        ),
        Column::From => (
            "租期第一天，如 2026-12-31；可不填",
            "First day of the tenancy, such as 2026-12-31; may be empty",
            "2026-01-01",
        ),
        Column::Until => (
            "租期最后一天；写“长期”表示没有期限",
            "Last day of the tenancy; 'open' takes an end away",
            "2026-12-31",
        ),
        Column::Card => (
            "卡号，4–32 位十六进制数字（0-9、A-F），与读卡器送出的一致。保持文本格式，否则前面的零会丢失",
            "4 to 32 hexadecimal digits, as the reader sends them. Keep the column as text, or zeros are lost",
            "04A1B2C3D4",
        ),
        Column::State => (
            "有效、挂失或注销；不填时新卡为有效，旧卡不变",
            "active, lost or revoked; empty: a new card is active, a known one stays as it is",
            "有效",
        ),
        Column::ValidFrom => (
            "卡有效的第一天；可不填",
            "First day of the card; may be empty",
            "2026-01-01",
        ),
        Column::ValidUntil => (
            "卡有效的最后一天（含当天）；写“长期”表示没有期限",
            "Last day of the card, to its end; 'open' takes an end away",
            "2026-12-31",
        ),
    };
    Help { zh, en, example }
}

/// What else there is to know, Chinese and English.
const NOTES: [(&str, &str); 7] = [
    (
        "每张卡一行。同一户、同一人的后续行只需写清是哪一户、哪个人，其余可留空",
        "One row for each card. Further rows of a dwelling or person only need to say which",
    ),
    (
        "空单元格表示不改动；表中没有的住户、人和卡也不改动（除非导入时另行指定）",
        "An empty cell changes nothing; neither does what is not in the file, unless asked for",
    ),
    (
        "互相矛盾的行都会被拒绝，并说明在哪一行、哪一列",
        "Rows that contradict each other are refused, with row and column",
    ),
    (
        "人数限制按人计算，不按卡计算：建筑面积除以每人最少面积，向下取整",
        "The limit counts persons, not cards: area over m² a person, rounded down",
    ),
    (
        "列的顺序不限，可以增加其他列（如备注、电话），不会读取",
        "Columns may stand in any order; other columns are not read",
    ),
    (
        "隐藏的工作表不读取；公式取文件中保存的结果",
        "Hidden sheets are not read; of a formula its saved value counts",
    ),
    (
        "先试运行：stairgate import 文件 --dry-run",
        "Try it first: stairgate import FILE --dry-run",
    ),
];

/// The template as XLSX: the sheet to fill in, with lists to choose from, and its explanations.
///
/// # Errors
/// [`WriteError`] when memory runs out.
pub fn template() -> Result<Vec<u8>, WriteError> {
    build().map_err(WriteError::Xlsx)
}

fn build() -> Result<Vec<u8>, XlsxError> {
    let mut workbook = Workbook::new();
    let formats = Formats::new();
    let sheet = roster_sheet(&mut workbook, &COLUMNS, &formats)?;
    for (number, column) in (0_u16..).zip(COLUMNS) {
        if let Some(validation) = validation(column)? {
            sheet.add_data_validation(1, number, ROW_NUMBER_MAX - 1, number, &validation)?;
        }
    }
    let help = workbook.add_worksheet().set_name(HELP_NAME)?;
    explain(help, &formats)?;
    workbook.save_to_buffer()
}

/// A list to choose from where there is one; what is not in it may be written all the same, since
/// reading knows more words.
fn validation(column: Column) -> Result<Option<DataValidation>, XlsxError> {
    let words: Vec<&str> = match column {
        Column::Tenure => [Tenure::Rented, Tenure::OwnerOccupied, Tenure::Dormitory]
            .map(|tenure| tenure_word(tenure, Language::Zh))
            .to_vec(),
        Column::State => [CardState::Active, CardState::Lost, CardState::Revoked]
            .map(|state| state_word(state, Language::Zh))
            .to_vec(),
        Column::Relation => RELATIONS
            .iter()
            .filter_map(|(_, words)| words.first().copied())
            .collect(),
        Column::Dwelling
        | Column::Place
        | Column::Building
        | Column::Unit
        | Column::Number
        | Column::Area
        | Column::Beds
        | Column::DwellingFrom
        | Column::DwellingUntil
        | Column::Holder
        | Column::Name
        | Column::Person
        | Column::From
        | Column::Until
        | Column::Card
        | Column::ValidFrom
        | Column::ValidUntil => return Ok(None),
    };
    let list = DataValidation::new().allow_list_strings(&words)?;
    Ok(Some(list.show_error_message(false)))
}

fn explain(sheet: &mut Worksheet, formats: &Formats) -> Result<(), XlsxError> {
    let wrapped = Format::new().set_text_wrap().set_align(FormatAlign::Top);
    for (number, width) in (0_u16..).zip([14, 16, 60, 70, 16]) {
        sheet.set_column_width(number, width)?;
    }
    let headings = [
        "列 (中文)",
        "column",
        "怎样填写",
        "what to write",
        "例 example",
    ];
    for (number, heading) in (0_u16..).zip(headings) {
        sheet.write_string_with_format(0, number, heading, &formats.heading)?;
    }
    let mut row = 1;
    for column in COLUMNS {
        let Help { zh, en, example } = help(column);
        let cells = [column.heading_zh(), column.heading_en(), zh, en, example];
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

//! Why a file cannot be read, in English and Chinese, and where something stands in one.

use std::fmt;
use std::sync::Arc;

use super::grid::{CELLS_MAX, COLUMNS_MAX, FILE_BYTES_MAX, ROWS_MAX, SHEETS_MAX};

/// Why a file cannot be read at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileReason {
    /// Longer than [`FILE_BYTES_MAX`].
    #[error("the file is larger than {} MiB (split it)", FILE_BYTES_MAX >> 20)]
    TooLarge,
    /// Nothing in it.
    #[error("the file is empty (see `stairgate export --template`)")]
    Empty,
    /// The binary format of Excel 97 to 2003, or encrypted.
    #[error("the file is an old .xls or has a password (save it as .xlsx without a password)")]
    OldExcel,
    /// A ZIP file without a workbook.
    #[error("the file is no XLSX workbook (save it as .xlsx or as CSV)")]
    NoWorkbook,
    /// An XLSX file that ends in the middle or contradicts itself.
    #[error("the workbook is damaged (open it and save it again)")]
    Damaged,
    /// More parts than any spreadsheet program writes.
    #[error("the workbook has too many parts (copy the rows into a new one)")]
    TooManyParts,
    /// A small file that unpacks to a huge one.
    #[error("the workbook unpacks to too much (copy the rows into a new one)")]
    UnpacksToTooMuch,
    /// More than [`SHEETS_MAX`].
    #[error("the workbook has more than {SHEETS_MAX} sheets (split it)")]
    TooManySheets,
    /// More than [`ROWS_MAX`].
    #[error("the file has more than {ROWS_MAX} rows (split it)")]
    TooManyRows,
    /// Beyond [`COLUMNS_MAX`].
    #[error("the file has something beyond column {COLUMNS_MAX} (delete what is far to the right)")]
    TooManyColumns,
    /// More than [`CELLS_MAX`].
    #[error("the file has more than {CELLS_MAX} cells (split it)")]
    TooManyCells,
    /// Neither UTF-8 nor GB18030.
    #[error("the text is neither UTF-8 nor GB18030 (save it as \"CSV UTF-8\")")]
    Encoding,
    /// No sheet with headings.
    #[error("no row has the headings of a roster (see `stairgate export --template`)")]
    NoHeadings,
}

impl FileReason {
    /// The word for it in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            FileReason::TooLarge => "file-too-large",
            FileReason::Empty => "file-empty",
            FileReason::OldExcel => "old-excel",
            FileReason::NoWorkbook => "no-workbook",
            FileReason::Damaged => "damaged",
            FileReason::TooManyParts => "too-many-parts",
            FileReason::UnpacksToTooMuch => "unpacks-to-too-much",
            FileReason::TooManySheets => "too-many-sheets",
            FileReason::TooManyRows => "too-many-rows",
            FileReason::TooManyColumns => "too-many-columns",
            FileReason::TooManyCells => "too-many-cells",
            FileReason::Encoding => "encoding",
            FileReason::NoHeadings => "no-headings",
        }
    }

    /// In Chinese.
    pub fn zh(self) -> String {
        match self {
            FileReason::TooLarge => {
                format!("文件超过 {} MiB（请拆分）", FILE_BYTES_MAX >> 20)
            }
            FileReason::Empty => "文件是空的（请用 stairgate export --template 取模板）".to_owned(),
            FileReason::OldExcel => {
                "文件是旧版 .xls 或带密码（请另存为不带密码的 .xlsx）".to_owned()
            }
            FileReason::NoWorkbook => "不是 XLSX 工作簿（请另存为 .xlsx 或 CSV）".to_owned(),
            FileReason::Damaged => "工作簿已损坏（请打开后重新保存）".to_owned(),
            FileReason::TooManyParts => "工作簿的组成部分过多（请把数据复制到新工作簿）".to_owned(),
            FileReason::UnpacksToTooMuch => "工作簿解压后过大（请把数据复制到新工作簿）".to_owned(),
            FileReason::TooManySheets => format!("工作表超过 {SHEETS_MAX} 个（请拆分）"),
            FileReason::TooManyRows => format!("行数超过 {ROWS_MAX}（请拆分）"),
            FileReason::TooManyColumns => {
                format!("第 {COLUMNS_MAX} 列以后还有内容（请删除右侧多余内容）")
            }
            FileReason::TooManyCells => format!("单元格超过 {CELLS_MAX} 个（请拆分）"),
            FileReason::Encoding => {
                "文字编码既不是 UTF-8 也不是 GB18030（请另存为“CSV UTF-8”）".to_owned()
            }
            FileReason::NoHeadings => {
                "没有找到标题行（请用 stairgate export --template 取模板）".to_owned()
            }
        }
    }
}

/// Where something stands in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowAt {
    /// The sheet; `None`: the file is CSV.
    pub sheet: Option<Arc<str>>,
    /// The row as the spreadsheet program numbers it, from 1; of CSV, the line. 0: the sheet as a
    /// whole.
    pub row: u32,
}

impl fmt::Display for RowAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.sheet, self.row) {
            (Some(sheet), 0) => write!(f, "{sheet}"),
            (Some(sheet), row) => write!(f, "{sheet}!{row}"),
            (None, 0) => f.write_str("file"),
            (None, row) => write!(f, "line {row}"),
        }
    }
}

//! Why a file, a row or a cell cannot be taken, and what to do: in English and Chinese.
//!
//! Reasons never hold a name, a person's mark or a card's number. Of other cells they quote a short
//! piece.

use std::fmt;

use super::column::Column;
use super::grid::{CELL_CHARS_MAX, ColumnLetters};
use crate::domain::id::{CardholderId, DwellingId};
pub(super) use crate::spreadsheet::{FileReason, RowAt};

/// Something that is wrong, or worth a look, at one place of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which row.
    pub at: RowAt,
    /// Which cell, by the letters of its column; `None`: the row as a whole.
    pub letters: Option<ColumnLetters>,
    /// What the column is; `None`: the row as a whole, or a column that is not read.
    pub column: Option<Column>,
    /// What is wrong and what to do.
    pub reason: Reason,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.at)?;
        if let Some(letters) = self.letters {
            write!(f, " {letters}")?;
        }
        if let Some(column) = self.column {
            write!(f, " {}", column.heading_en())?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// Why a row is refused, or what was noticed about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A needed cell or column is empty or not there.
    Missing,
    /// The row does not say which dwelling it is about.
    NoDwelling,
    /// A formula whose value is not in the file.
    NoValue,
    /// `#N/A` and its like.
    CellError,
    /// TRUE or FALSE.
    Flag,
    /// Over [`CELL_CHARS_MAX`], or over the bound of this column.
    TooLong(usize),
    /// The spreadsheet program made a date of it.
    BecameDate,
    /// Not an area.
    Area(String),
    /// An area with more than two places.
    AreaPlaces(String),
    /// Not a word for how a dwelling is held.
    Tenure(String),
    /// Not a number of beds.
    Beds(String),
    /// Not a word for a relation.
    Relation(String),
    /// Not a state of a card.
    State(String),
    /// Said to be expired, without a last day in the past.
    ExpiredWithoutEnd,
    /// Not a date.
    Date(String),
    /// Day and month may be either way round.
    DateOrder,
    /// A date before 1950 or after 9999.
    DateRange,
    /// The end lies before the beginning.
    Backwards,
    /// Not an id.
    Id(String),
    /// No stairwell is called so.
    Place(String),
    /// No stairwell has this building and unit.
    Wall(String),
    /// Not 4 to 32 hexadecimal digits.
    Card,
    /// Shown as 8.16E+06: digits are lost.
    CardScientific,
    /// A number of more digits than a spreadsheet keeps.
    CardDigitsLost,
    /// A number, shorter than cards here are.
    CardZerosLost {
        /// Its digits.
        n_digits: usize,
        /// Those of the other cards.
        usual: usize,
    },
    /// A card of decimal digits, one shorter than cards here are: only a note.
    CardShort {
        /// Its digits.
        n_digits: usize,
        /// Those of most cards.
        usual: usize,
    },
    /// A card without a cardholder.
    CardWithoutHolder,
    /// Facts of a person without saying who.
    WithoutHolder,
    /// Two cardholders of the dwelling have this name.
    TwoOfThatName,
    /// Says something else than another row.
    Differs(RowAt),
    /// The card stands at another cardholder too.
    CardTwice(RowAt),
    /// The cardholder's id stands at another dwelling too.
    HolderElsewhere(RowAt),
    /// Place and number stand under another id too.
    DwellingTwice(RowAt),
    /// More cells than headings.
    MoreCells,
    /// The same as another row: only a note.
    SameAs(RowAt),
    /// A hidden sheet: only a note.
    HiddenSheet,
    /// A sheet without headings: only a note.
    NoHeadings,
    /// A column that is not read: only a note.
    UnknownColumn(String),
    /// A heading that stands twice.
    ColumnTwice,
    /// A row of totals: only a note.
    Total,
    /// A new dwelling needs this.
    NewDwellingNeeds(Vec<Column>),
    /// Place and number are those of another dwelling of the ledger.
    DwellingKnownAs(DwellingId),
    /// The id made of place and number is that of a dwelling elsewhere.
    DerivedIdTaken(DwellingId),
    /// The card is someone else's.
    CardOfAnother(CardholderId),
    /// Who and what the file does not name stays, since a row is refused: only a note.
    StaysWhileRefused {
        /// So many cardholders and cards.
        n_steps: usize,
        /// The first refused row.
        refused: RowAt,
    },
    /// The dwelling is refused.
    DwellingRefused(RowAt),
    /// The cardholder of this card is refused.
    HolderRefused(RowAt),
    /// The ledger refuses it; its own words.
    Ledger {
        /// The ledger's word.
        word: &'static str,
        /// In English.
        en: String,
        /// In Chinese.
        zh: String,
    },
}

impl Reason {
    /// The word for it in JSON.
    pub const fn word(&self) -> &'static str {
        match self {
            Reason::Missing => "missing",
            Reason::NoDwelling => "no-dwelling-said",
            Reason::NoValue => "formula-without-value",
            Reason::CellError => "cell-error",
            Reason::Flag => "true-or-false",
            Reason::TooLong(_) => "too-long",
            Reason::BecameDate => "became-date",
            Reason::Area(_) => "area",
            Reason::AreaPlaces(_) => "area-places",
            Reason::Tenure(_) => "tenure",
            Reason::Beds(_) => "beds",
            Reason::Relation(_) => "relation",
            Reason::State(_) => "state",
            Reason::ExpiredWithoutEnd => "expired-without-end",
            Reason::Date(_) => "date",
            Reason::DateOrder => "date-order",
            Reason::DateRange => "date-range",
            Reason::Backwards => "dates-backwards",
            Reason::Id(_) => "id",
            Reason::Place(_) | Reason::Wall(_) => "no-place",
            Reason::Card => "card",
            Reason::CardScientific => "card-scientific",
            Reason::CardDigitsLost => "card-digits-lost",
            Reason::CardZerosLost { .. } => "card-zeros-lost",
            Reason::CardShort { .. } => "card-short",
            Reason::CardWithoutHolder => "card-without-holder",
            Reason::WithoutHolder => "without-holder",
            Reason::TwoOfThatName => "two-of-that-name",
            Reason::Differs(_) => "differs",
            Reason::CardTwice(_) => "card-twice",
            Reason::HolderElsewhere(_) => "holder-elsewhere",
            Reason::DwellingTwice(_) => "dwelling-twice",
            Reason::MoreCells => "more-cells",
            Reason::SameAs(_) => "same-row",
            Reason::HiddenSheet => "hidden-sheet",
            Reason::NoHeadings => "no-headings",
            Reason::UnknownColumn(_) => "unknown-column",
            Reason::ColumnTwice => "column-twice",
            Reason::Total => "total",
            Reason::NewDwellingNeeds(_) => "new-dwelling-needs",
            Reason::DwellingKnownAs(_) => "dwelling-known-as",
            Reason::DerivedIdTaken(_) => "derived-id-taken",
            Reason::CardOfAnother(_) => "card-of-another",
            Reason::StaysWhileRefused { .. } => "stays-while-refused",
            Reason::DwellingRefused(_) => "dwelling-refused",
            Reason::HolderRefused(_) => "holder-refused",
            Reason::Ledger { word, .. } => word,
        }
    }
}

/// The headings of `columns`, in one language.
fn headings(columns: &[Column], heading: fn(Column) -> &'static str, comma: &str) -> String {
    let headings: Vec<&str> = columns.iter().map(|column| heading(*column)).collect();
    headings.join(comma)
}

impl fmt::Display for Reason {
    #[expect(clippy::too_many_lines, reason = "one list of sentences")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Missing => f.write_str("is missing"),
            Reason::NoDwelling => f.write_str(
                "does not say which dwelling (give its id, or place or building and unit, and number)",
            ),
            Reason::NoValue => f.write_str(
                "is a formula without a value (open the file in the spreadsheet program and save it, \
                 or paste values)",
            ),
            Reason::CellError => f.write_str("is an error of the spreadsheet (mend the formula)"),
            Reason::Flag => f.write_str("is TRUE or FALSE (write a word)"),
            Reason::TooLong(chars_max) => write!(f, "is longer than {chars_max} characters"),
            Reason::BecameDate => f.write_str(
                "was made a date by the spreadsheet program (format the column as text, type it again)",
            ),
            Reason::Area(cell) => write!(
                f,
                "{cell:?} is not an area (write square metres, such as 94.30)"
            ),
            Reason::AreaPlaces(cell) => write!(f, "{cell:?} has more than two places"),
            Reason::Tenure(cell) => write!(
                f,
                "{cell:?} is not known (write rented, owner-occupied or dormitory)"
            ),
            Reason::Beds(cell) => write!(f, "{cell:?} is not a number of beds from 0 to 1000"),
            Reason::Relation(cell) => write!(
                f,
                "{cell:?} is not known (write a word of a-z, 0-9 and '-', such as tenant, or one of \
                 the template's)"
            ),
            Reason::State(cell) => {
                write!(f, "{cell:?} is not known (write active, lost or revoked)")
            }
            Reason::ExpiredWithoutEnd => f.write_str(
                "says expired, but valid_until is not in the past (give the last day, or write revoked)",
            ),
            Reason::Date(cell) => write!(f, "{cell:?} is not a date (write 2026-12-31)"),
            Reason::DateOrder => {
                f.write_str("may be day or month first (write the year first: 2026-12-31)")
            }
            Reason::DateRange => f.write_str("is a date before 1950 (write 2026-12-31)"),
            Reason::Backwards => f.write_str("lies before the beginning"),
            Reason::Id(cell) => write!(
                f,
                "{cell:?} is not an id (1 to 32 of a-z, A-Z, 0-9, '-' and '_')"
            ),
            Reason::Place(cell) => {
                write!(f, "there is no stairwell {cell:?} in the configuration")
            }
            Reason::Wall(cell) => write!(
                f,
                "there is no stairwell with building and unit {cell:?} in the configuration"
            ),
            Reason::Card => f.write_str("is not a card number (4 to 32 hexadecimal digits)"),
            Reason::CardScientific => f.write_str(
                "was shortened by the spreadsheet program to something like 8.16E+06, digits are lost \
                 (format the column as text, type it again)",
            ),
            Reason::CardDigitsLost => f.write_str(
                "has more than 15 digits and was kept as a number, so its end is lost (format the \
                 column as text, type it again)",
            ),
            Reason::CardZerosLost { n_digits, usual } => write!(
                f,
                "was kept as a number of {n_digits} digits where cards have {usual}: zeros at its \
                 beginning were lost (format the column as text, type it again)"
            ),
            Reason::CardShort { n_digits, usual } => write!(
                f,
                "has {n_digits} digits where most cards have {usual}: was a zero at its beginning lost?"
            ),
            Reason::CardWithoutHolder => {
                f.write_str("a card needs its cardholder (holder or name)")
            }
            Reason::WithoutHolder => f.write_str("needs a cardholder (holder or name)"),
            Reason::TwoOfThatName => {
                f.write_str("two cardholders of the dwelling have this name (give the id)")
            }
            Reason::Differs(at) => write!(f, "differs from {at} (leave one empty, or correct one)"),
            Reason::CardTwice(at) => {
                write!(f, "the same card stands at {at} too (a card has one holder)")
            }
            Reason::HolderElsewhere(at) => write!(
                f,
                "is a cardholder of another dwelling at {at} (give the person one id for each)"
            ),
            Reason::DwellingTwice(at) => write!(
                f,
                "the same place and number stand under another id at {at} (correct one)"
            ),
            Reason::MoreCells => f.write_str(
                "has more cells than headings (is a comma in a cell without quotation marks?)",
            ),
            Reason::SameAs(at) => write!(f, "says the same as {at}"),
            Reason::HiddenSheet => f.write_str("is hidden and was not read"),
            Reason::NoHeadings => f.write_str("has no headings of a roster and was not read"),
            Reason::UnknownColumn(heading) => write!(f, "column {heading:?} is not read"),
            Reason::ColumnTwice => f.write_str("this column stands twice (delete one)"),
            Reason::Total => f.write_str("is a row of totals and was not read"),
            Reason::NewDwellingNeeds(columns) => {
                let columns = headings(columns, Column::heading_en, ", ");
                write!(f, "the dwelling is new and needs {columns}")
            }
            Reason::DwellingKnownAs(id) => write!(
                f,
                "place and number are those of dwelling {id} (use its id, or correct them)"
            ),
            Reason::DerivedIdTaken(id) => write!(
                f,
                "the id {id}, made of place and number, is that of a dwelling elsewhere (give an id)"
            ),
            Reason::CardOfAnother(holder) => write!(
                f,
                "the card is now {holder}'s (delete the row, or revoke it there first)"
            ),
            Reason::StaysWhileRefused { n_steps, refused } => write!(
                f,
                "{n_steps} cardholders and cards that the file does not name stay, since {refused} is \
                 refused and may mean them (mend what is refused and import the file again)"
            ),
            Reason::DwellingRefused(at) => write!(f, "its dwelling is refused at {at}"),
            Reason::HolderRefused(at) => write!(f, "its cardholder is refused at {at}"),
            Reason::Ledger { en, .. } => f.write_str(en),
        }
    }
}

impl Reason {
    /// In Chinese.
    #[expect(clippy::too_many_lines, reason = "one list of sentences")]
    pub fn zh(&self) -> String {
        match self {
            Reason::Missing => "缺少".to_owned(),
            Reason::NoDwelling => {
                "没有说明是哪一户（请填住户编号，或楼道（幢号和单元）及房号）".to_owned()
            }
            Reason::NoValue => {
                "公式没有保存结果（请用表格软件打开并保存，或粘贴为数值）".to_owned()
            }
            Reason::CellError => "单元格是表格错误值（请修正公式）".to_owned(),
            Reason::Flag => "是 TRUE 或 FALSE（请写文字）".to_owned(),
            Reason::TooLong(chars_max) => format!("超过 {chars_max} 个字符"),
            Reason::BecameDate => "被表格软件变成了日期（请把该列设为文本后重新输入）".to_owned(),
            Reason::Area(cell) => format!("“{cell}”不是面积（请写平方米数，如 94.30）"),
            Reason::AreaPlaces(cell) => format!("“{cell}”超过两位小数"),
            Reason::Tenure(cell) => format!("不认识“{cell}”（请写出租、自住或宿舍）"),
            Reason::Beds(cell) => format!("“{cell}”不是 0 到 1000 的床位数"),
            Reason::Relation(cell) => format!("不认识关系“{cell}”（请用模板中的词，如租客）"),
            Reason::State(cell) => format!("不认识状态“{cell}”（请写有效、挂失或注销）"),
            Reason::ExpiredWithoutEnd => {
                "写着过期，但有效期止不在过去（请填最后一天，或写注销）".to_owned()
            }
            Reason::Date(cell) => format!("“{cell}”不是日期（请写 2026-12-31）"),
            Reason::DateOrder => "分不清日和月（请年份在前：2026-12-31）".to_owned(),
            Reason::DateRange => "日期早于 1950 年（请写 2026-12-31）".to_owned(),
            Reason::Backwards => "早于开始日期".to_owned(),
            Reason::Id(cell) => {
                format!("“{cell}”不是编号（1 到 32 个 a-z、A-Z、0-9、“-”、“_”）")
            }
            Reason::Place(cell) => format!("配置中没有楼道“{cell}”"),
            Reason::Wall(cell) => format!("配置中没有“{cell}”的幢号和单元"),
            Reason::Card => "不是卡号（4 到 32 位十六进制数字）".to_owned(),
            Reason::CardScientific => {
                "被表格软件变成了 8.16E+06 这样的写法，数字已丢失（请把该列设为文本后重新输入）"
                    .to_owned()
            }
            Reason::CardDigitsLost => {
                "超过 15 位且存成了数值，末尾已丢失（请把该列设为文本后重新输入）".to_owned()
            }
            Reason::CardZerosLost { n_digits, usual } => format!(
                "存成了 {n_digits} 位的数值，而卡号是 {usual} 位：前面的零已丢失（请把该列设为文本后\
                 重新输入）"
            ),
            Reason::CardShort { n_digits, usual } => {
                format!("只有 {n_digits} 位，而多数卡号是 {usual} 位：前面的零是否丢失了？")
            }
            Reason::CardWithoutHolder => "卡需要有持卡人（持卡人编号或姓名）".to_owned(),
            Reason::WithoutHolder => "需要持卡人（持卡人编号或姓名）".to_owned(),
            Reason::TwoOfThatName => "该户有两名同名持卡人（请填持卡人编号）".to_owned(),
            Reason::Differs(at) => format!("与 {} 不一致（请只保留一处，或改正）", at_zh(at)),
            Reason::CardTwice(at) => {
                format!("同一张卡也出现在 {}（一张卡只有一个持卡人）", at_zh(at))
            }
            Reason::HolderElsewhere(at) => {
                format!("该持卡人在 {} 属于另一户（请每户各用一个编号）", at_zh(at))
            }
            Reason::DwellingTwice(at) => {
                format!(
                    "同一楼道和房号在 {} 用了另一个编号（请改正一处）",
                    at_zh(at)
                )
            }
            Reason::MoreCells => "单元格比标题多（是否有未加引号的逗号？）".to_owned(),
            Reason::SameAs(at) => format!("与 {} 相同", at_zh(at)),
            Reason::HiddenSheet => "是隐藏的工作表，未读取".to_owned(),
            Reason::NoHeadings => "没有住户名册的标题，未读取".to_owned(),
            Reason::UnknownColumn(heading) => format!("“{heading}”列未读取"),
            Reason::ColumnTwice => "该列出现两次（请删除一列）".to_owned(),
            Reason::Total => "是合计行，未读取".to_owned(),
            Reason::NewDwellingNeeds(columns) => {
                format!(
                    "这是新的一户，还需要{}",
                    headings(columns, Column::heading_zh, "、")
                )
            }
            Reason::DwellingKnownAs(id) => {
                format!("该楼道和房号属于住户 {id}（请用它的编号，或改正）")
            }
            Reason::DerivedIdTaken(id) => {
                format!("由楼道和房号生成的编号 {id} 属于别处的一户（请填编号）")
            }
            Reason::CardOfAnother(holder) => {
                format!("这张卡现属于持卡人 {holder}（请删除该行，或先在那里注销）")
            }
            Reason::StaysWhileRefused { n_steps, refused } => format!(
                "文件中没有的 {n_steps} 名持卡人和卡暂时保留：{}被拒绝，可能指的就是他们（请改正后重新导入）",
                at_zh(refused)
            ),
            Reason::DwellingRefused(at) => format!("该户在 {} 被拒绝", at_zh(at)),
            Reason::HolderRefused(at) => format!("其持卡人在 {} 被拒绝", at_zh(at)),
            Reason::Ledger { zh, .. } => zh.clone(),
        }
    }
}

/// Where, in Chinese.
fn at_zh(at: &RowAt) -> String {
    match &at.sheet {
        Some(sheet) => format!("{sheet} 第 {} 行", at.row),
        None => format!("第 {} 行", at.row),
    }
}

/// The bound of a cell as a reason.
pub(super) const fn cell_too_long() -> Reason {
    Reason::TooLong(CELL_CHARS_MAX)
}

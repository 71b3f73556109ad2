//! The columns of a roster, and how people head them in Chinese and English.

use super::text::squeeze;

/// Longer texts are no headings but notes.
const HEADING_CHARS_MAX: usize = 40;

/// What a column says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Column {
    /// Id of the dwelling.
    Dwelling,
    /// Its stairwell: an id, `compound`, or building and unit together.
    Place,
    /// The building, as on its wall.
    Building,
    /// The unit, as on its entrance.
    Unit,
    /// The dwelling's number, as on its door.
    Number,
    /// Its floor area in m².
    Area,
    /// How it is held.
    Tenure,
    /// Registered beds of a dormitory.
    Beds,
    /// First day on which the dwelling is lived in under these facts.
    DwellingFrom,
    /// Last day of that.
    DwellingUntil,
    /// Id of the cardholder.
    Holder,
    /// The cardholder's name.
    Name,
    /// What the cardholder is to the dwelling.
    Relation,
    /// What tells that a cardholder here and one there are the same person.
    Person,
    /// First day of the tenancy.
    From,
    /// Last day of the tenancy.
    Until,
    /// The card's number.
    Card,
    /// The card's state.
    State,
    /// First day of the card.
    ValidFrom,
    /// Last day of the card.
    ValidUntil,
}

/// All columns, in the order in which they are written.
pub const COLUMNS: [Column; 20] = [
    Column::Dwelling,
    Column::Place,
    Column::Building,
    Column::Unit,
    Column::Number,
    Column::Area,
    Column::Tenure,
    Column::Beds,
    Column::DwellingFrom,
    Column::DwellingUntil,
    Column::Holder,
    Column::Name,
    Column::Relation,
    Column::Person,
    Column::From,
    Column::Until,
    Column::Card,
    Column::State,
    Column::ValidFrom,
    Column::ValidUntil,
];

impl Column {
    /// Its English heading: what CSV exports write.
    pub const fn heading_en(self) -> &'static str {
        match self {
            Column::Dwelling => "dwelling",
            Column::Place => "place",
            Column::Building => "building",
            Column::Unit => "unit",
            Column::Number => "number",
            Column::Area => "area_m2",
            Column::Tenure => "tenure",
            Column::Beds => "beds",
            Column::DwellingFrom => "dwelling_from",
            Column::DwellingUntil => "dwelling_to",
            Column::Holder => "holder",
            Column::Name => "name",
            Column::Relation => "relation",
            Column::Person => "person_key",
            Column::From => "from",
            Column::Until => "to",
            Column::Card => "card",
            Column::State => "state",
            Column::ValidFrom => "valid_from",
            Column::ValidUntil => "valid_until",
        }
    }

    /// Its Chinese heading.
    pub const fn heading_zh(self) -> &'static str {
        match self {
            Column::Dwelling => "住户编号",
            Column::Place => "楼道",
            Column::Building => "幢号",
            Column::Unit => "单元",
            Column::Number => "房号",
            Column::Area => "建筑面积",
            Column::Tenure => "租住类型",
            Column::Beds => "床位",
            Column::DwellingFrom => "登记起",
            Column::DwellingUntil => "登记止",
            Column::Holder => "持卡人编号",
            Column::Name => "姓名",
            Column::Relation => "关系",
            Column::Person => "人员编号",
            Column::From => "租期起",
            Column::Until => "租期止",
            Column::Card => "卡号",
            Column::State => "状态",
            Column::ValidFrom => "有效期起",
            Column::ValidUntil => "有效期止",
        }
    }

    /// Other headings that people write, in the form of [`plain`].
    #[expect(clippy::too_many_lines, reason = "one table")]
    const fn synonyms(self) -> &'static [&'static str] {
        match self {
            Column::Dwelling => &[
                "dwellingid",
                "户编号",
                "房屋编号",
                "住户号",
                "套编号",
                "房产编号",
            ],
            Column::Place => &[
                "stairwell",
                "stairwellid",
                "楼道编号",
                "位置",
                "幢单元",
                "楼栋单元",
                "幢号单元",
                "楼道单元",
            ],
            Column::Building => &[
                "bldg",
                "幢",
                "栋",
                "栋号",
                "楼栋",
                "楼栋号",
                "楼号",
                "楼幢",
                "座",
                "楼宇",
            ],
            Column::Unit => &["entrance", "单元号", "梯", "门洞"],
            Column::Number => &[
                "room",
                "roomno",
                "flat",
                "flatno",
                "no",
                "dwellingnumber",
                "室号",
                "户号",
                "室",
                "门牌",
                "门牌号",
                "门牌号码",
                "房间号",
                "房间",
                "房屋号",
                "房号室号",
            ],
            Column::Area => &[
                "area",
                "floorarea",
                "aream2",
                "面积",
                "建面",
                "房屋面积",
                "房屋建筑面积",
                "产权面积",
                "住房面积",
            ],
            Column::Tenure => &[
                "occupancy",
                "居住类型",
                "居住性质",
                "房屋性质",
                "房屋用途",
                "使用性质",
                "使用类型",
                "租住性质",
                "居住情况",
                "出租自住",
                "租住方式",
            ],
            Column::Beds => &[
                "registeredbeds",
                "床位数",
                "登记床位",
                "登记床位数",
                "床数",
                "核定床位",
            ],
            Column::DwellingFrom => &[
                "effectivefrom",
                "登记日期",
                "登记起始日期",
                "登记开始日期",
                "备案日期",
            ],
            Column::DwellingUntil => &[
                "effectiveto",
                "effectiveuntil",
                "注销日期",
                "登记截止日期",
                "登记结束日期",
            ],
            Column::Holder => &[
                "holderid",
                "cardholder",
                "cardholderid",
                "持卡人id",
                "持卡人号",
            ],
            Column::Name => &[
                "fullname",
                "holdername",
                "持卡人",
                "持卡人姓名",
                "住户姓名",
                "住户",
                "居住人",
                "居住人姓名",
                "人员姓名",
                "租客姓名",
                "户主姓名",
                "业主姓名",
            ],
            Column::Relation => &[
                "relationship",
                "与户主关系",
                "与承租人关系",
                "与业主关系",
                "与产权人关系",
                "身份",
                "人员类别",
                "人员类型",
            ],
            Column::Person => &["personkey", "person", "personid", "人员号", "人员标识"],
            Column::From => &[
                "tenancyfrom",
                "movein",
                "租期开始",
                "租赁开始",
                "起租日期",
                "起租日",
                "入住日期",
                "入住时间",
                "租赁起",
                "租赁开始日期",
                "租期起始",
                "租期起始日期",
                "合同开始日期",
            ],
            Column::Until => &[
                "tenancyto",
                "tenancyuntil",
                "until",
                "moveout",
                "租期结束",
                "租期终止",
                "租赁结束",
                "退租日期",
                "到租日期",
                "租期到期",
                "租赁止",
                "租赁结束日期",
                "租期截止",
                "租期截止日期",
                "合同到期日期",
                "搬出日期",
            ],
            Column::Card => &[
                "cardno",
                "cardnumber",
                "cardid",
                "uid",
                "门禁卡号",
                "卡号码",
                "卡片号",
                "卡片编号",
                "门禁卡",
                "卡编号",
                "ic卡号",
            ],
            Column::State => &[
                "status",
                "cardstate",
                "cardstatus",
                "卡状态",
                "卡片状态",
                "使用状态",
            ],
            Column::ValidFrom => &[
                "validfrom",
                "cardfrom",
                "有效期自",
                "有效期开始",
                "有效期起始",
                "有效起始日期",
                "有效期始",
                "生效日期",
                "起始日期",
                "开始日期",
                "启用日期",
                "发卡日期",
                "有效期起日期",
                "卡有效期起",
            ],
            Column::ValidUntil => &[
                "validto",
                "validuntil",
                "expires",
                "expiry",
                "expirydate",
                "有效期至",
                "有效期到",
                "有效期结束",
                "有效期截止",
                "有效期终",
                "有效截止日期",
                "失效日期",
                "截止日期",
                "结束日期",
                "到期日期",
                "到期日",
                "有效期",
                "有效期止日期",
                "卡有效期止",
            ],
        }
    }

    /// The column that people mean by `heading`; `None`: none of them. A heading may say it twice, in
    /// two languages, and may have its unit in brackets.
    pub(super) fn of_heading(heading: &str) -> Option<Column> {
        if heading.chars().count() > HEADING_CHARS_MAX {
            return None;
        }
        let whole = plain(heading);
        if let Some(column) = Column::of_plain(&whole) {
            return Some(column);
        }
        let mut found = None;
        let parts = heading.split(['/', '\n', '\r', ' ', '(', '（', '[', '|']);
        let parts: Vec<String> = parts.map(plain).filter(|part| !part.is_empty()).collect();
        for part in &parts {
            match (Column::of_plain(part), found) {
                (Some(column), Some(before)) if column != before => return None,
                (Some(column), _) => found = Some(column),
                (None, _) => {}
            }
        }
        // Of several words one may be unknown (a unit), the first may not.
        let first = parts.first().and_then(|part| Column::of_plain(part));
        first.and(found)
    }

    fn of_plain(plain: &str) -> Option<Column> {
        let is_it = |column: &Column| {
            let own = super::column::plain(column.heading_en());
            own == plain || column.heading_zh() == plain || column.synonyms().contains(&plain)
        };
        COLUMNS.iter().copied().find(is_it)
    }
}

/// A heading without spaces, marks, units and case.
fn plain(heading: &str) -> String {
    let mut plain = squeeze(heading).to_lowercase();
    for unit in [
        "(㎡)",
        "(m²)",
        "(m2)",
        "(平方米)",
        "(平米)",
        "㎡",
        "m²",
        "*",
    ] {
        plain = plain.replace(unit, "");
    }
    plain.retain(|c| {
        !matches!(
            c,
            '_' | '-' | ':' | '.' | '(' | ')' | '、' | '/' | '\u{ff1a}' | '"'
        )
    });
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_in_both_languages_and_both_at_once() {
        for (heading, column) in [
            ("房号", Some(Column::Number)),
            (" 室 号 ", Some(Column::Number)),
            ("建筑面积（㎡）", Some(Column::Area)),
            ("建筑面积(平方米)", Some(Column::Area)),
            ("建筑面积\narea_m2", Some(Column::Area)),
            ("area_m2", Some(Column::Area)),
            ("Area (m²)", Some(Column::Area)),
            ("Valid Until", Some(Column::ValidUntil)),
            ("有效期止 valid_until", Some(Column::ValidUntil)),
            ("楼道/单元", Some(Column::Place)),
            ("卡号：", Some(Column::Card)),
            ("*姓名", Some(Column::Name)),
            ("ＣＡＲＤ", Some(Column::Card)),
            ("租期止 to", Some(Column::Until)),
            ("备注", None),
            ("姓名/卡号", None),
            ("", None),
            ("联系电话", None),
        ] {
            assert_eq!(Column::of_heading(heading), column, "{heading:?}");
        }
    }

    #[test]
    fn every_heading_means_one_column() {
        let mut seen = std::collections::BTreeMap::new();
        for column in COLUMNS {
            let own = [plain(column.heading_en()), column.heading_zh().to_owned()];
            let all = own
                .into_iter()
                .chain(column.synonyms().iter().map(|s| (*s).to_owned()));
            for heading in all {
                assert_eq!(plain(&heading), heading, "not in plain form");
                let before = seen.insert(heading.clone(), column);
                assert!(before.is_none_or(|before| before == column), "{heading}");
            }
            let both = format!("{}\n{}", column.heading_zh(), column.heading_en());
            assert_eq!(Column::of_heading(&both), Some(column), "{both}");
        }
    }
}

//! What the cells of each column mean.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::decimal::Decimal;
use super::grid::Cell;
use super::reason::{Reason, cell_too_long};
use super::text::{clean, quote, squeeze};
use super::write::Language;
use crate::domain::access::CardState;
use crate::domain::card::CardNumber;
use crate::domain::dwelling::{BEDS_MAX, Day, Relation, Tenure};
use crate::domain::limit::FloorArea;
use crate::time::{TimeZone, WallTime};

/// What a cell says of something that may be open, such as the last day of a tenancy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Said<T> {
    /// Nothing: what is known stays.
    #[default]
    Nothing,
    /// That there is none, by a word such as `open` or 长期.
    Open,
    /// This.
    Is(T),
}

impl<T: Copy> Said<T> {
    /// What holds then, when `known` held before.
    pub fn over(self, known: Option<T>) -> Option<T> {
        match self {
            Said::Nothing => known,
            Said::Open => None,
            Said::Is(value) => Some(value),
        }
    }

    /// Is nothing said?
    pub const fn is_nothing(&self) -> bool {
        matches!(self, Said::Nothing)
    }
}

/// Words that say that there is no end or no beginning.
const OPEN_WORDS: [&str; 9] = [
    "open",
    "none",
    "-",
    "--",
    "长期",
    "永久",
    "无",
    "无限期",
    "长期有效",
];

/// How a dwelling is held, in the words that people write.
const TENURES: [(Tenure, &[&str]); 3] = [
    (
        Tenure::Rented,
        &[
            "rented",
            "let",
            "出租",
            "租",
            "租住",
            "租赁",
            "出租房",
            "出租屋",
            "租房",
            "群租",
        ],
    ),
    (
        Tenure::OwnerOccupied,
        &[
            "owner-occupied",
            "owner",
            "自住",
            "自有",
            "业主自住",
            "自住房",
            "自用",
            "自购",
        ],
    ),
    (
        Tenure::Dormitory,
        &["dormitory", "宿舍", "集体宿舍", "员工宿舍", "职工宿舍"],
    ),
];

const STATES: [(CardState, &[&str]); 3] = [
    (
        CardState::Active,
        &[
            "active",
            "有效",
            "正常",
            "启用",
            "在用",
            "使用中",
            "已发",
            "可用",
        ],
    ),
    (CardState::Lost, &["lost", "挂失", "丢失", "遗失", "已挂失"]),
    (
        CardState::Revoked,
        &[
            "revoked",
            "注销",
            "吊销",
            "作废",
            "停用",
            "禁用",
            "已注销",
            "已停用",
            "退卡",
            "收回",
        ],
    ),
];

/// Words for a card whose last day is over.
const EXPIRED_WORDS: [&str; 4] = ["expired", "过期", "到期", "已过期"];

/// The relations of the template: the word kept, and what people write for it.
pub(super) const RELATIONS: [(&str, &[&str]); 14] = [
    (
        "tenant",
        &["租客", "承租人", "租户", "租住人", "主租人", "租赁人"],
    ),
    ("co-tenant", &["合租人", "合租", "同租人", "同住人"]),
    ("owner", &["业主", "户主", "产权人", "房主", "本人"]),
    ("spouse", &["配偶", "妻子", "丈夫", "夫妻", "妻", "夫"]),
    ("child", &["子女", "儿子", "女儿", "子", "女"]),
    ("minor-child", &["未成年子女", "未成年人", "未成年"]),
    ("parent", &["父母", "父亲", "母亲", "父", "母"]),
    ("sibling", &["兄弟姐妹", "兄弟", "姐妹"]),
    ("relative", &["亲属", "亲戚", "家属"]),
    ("carer", &["保姆", "护工", "家政"]),
    ("employee", &["员工", "职工", "雇员"]),
    ("friend", &["朋友"]),
    ("unstated", &["未说明", "未填"]),
    ("other", &["其他", "其它"]),
];

/// The word for `tenure` in `language`; reading knows it.
pub(super) fn tenure_word(tenure: Tenure, language: Language) -> &'static str {
    match (language, tenure) {
        (Language::En, tenure) => tenure.as_str(),
        (Language::Zh, Tenure::Rented) => "出租",
        (Language::Zh, Tenure::OwnerOccupied) => "自住",
        (Language::Zh, Tenure::Dormitory) => "宿舍",
    }
}

/// The word for `state` in `language`; reading knows it.
pub(super) const fn state_word(state: CardState, language: Language) -> &'static str {
    match (language, state) {
        (Language::En, CardState::Active) => "active",
        (Language::En, CardState::Lost) => "lost",
        (Language::En, CardState::Revoked) => "revoked",
        (Language::Zh, CardState::Active) => "有效",
        (Language::Zh, CardState::Lost) => "挂失",
        (Language::Zh, CardState::Revoked) => "注销",
    }
}

/// The word for `relation` in `language`; one that has no Chinese word stays as it is.
pub(super) fn relation_word(relation: &Relation, language: Language) -> String {
    let kept = relation.as_str();
    let known = RELATIONS.iter().find(|(word, _)| *word == kept);
    let zh = known.and_then(|(_, words)| words.first());
    match (language, zh) {
        (Language::Zh, Some(zh)) => (*zh).to_owned(),
        (Language::Zh, None) | (Language::En, _) => kept.to_owned(),
    }
}

/// A cell's text when it has one; numbers as their digits.
pub(super) fn text(cell: &Cell) -> Result<String, Reason> {
    match cell {
        Cell::Empty => Ok(String::new()),
        Cell::Text(text) => Ok(clean(text)),
        Cell::Number { digits, n_shown } => {
            let whole = Decimal::read(digits).and_then(|number| number.whole());
            Ok(match whole {
                Some(whole) => padded(&whole, *n_shown),
                None => digits.to_string(),
            })
        }
        Cell::Serial(_) => Err(Reason::BecameDate),
        Cell::Flag => Err(Reason::Flag),
        Cell::Error => Err(Reason::CellError),
        Cell::NoValue => Err(Reason::NoValue),
        Cell::TooLong => Err(cell_too_long()),
    }
}

fn padded(digits: &str, n_shown: u8) -> String {
    format!(
        "{}{digits}",
        "0".repeat(usize::from(n_shown).saturating_sub(digits.len()))
    )
}

/// A word without spaces, in lower case.
fn word(cell: &Cell) -> Result<String, Reason> {
    Ok(squeeze(&text(cell)?).to_lowercase())
}

pub(super) fn area(cell: &Cell) -> Result<Option<FloorArea>, Reason> {
    let shown = text(cell)?;
    let mut number = squeeze(&shown).to_lowercase();
    if number.is_empty() {
        return Ok(None);
    }
    for unit in ["平方米", "平米", "平方", "㎡", "m²", "m2", "m^2", "平"] {
        if let Some(rest) = number.strip_suffix(unit) {
            number = rest.to_owned();
            break;
        }
    }
    let bad = || Reason::Area(quote(&shown));
    let number = Decimal::read(&ungrouped(&number)).ok_or_else(bad)?;
    let places = || Reason::AreaPlaces(quote(&shown));
    let hundredths = number.hundredths().ok_or_else(places)?;
    let area = FloorArea::from_hundredths_m2(hundredths).map_err(|_too_large| bad())?;
    Ok(Some(area))
}

/// `1,094.30` without its comma; anything else as it is.
fn ungrouped(number: &str) -> String {
    let (whole, rest) = number.split_once('.').unwrap_or((number, ""));
    let mut groups = whole.split(',');
    let first_fits = groups
        .next()
        .is_some_and(|group| (1..=3).contains(&group.len()));
    if first_fits && groups.all(|group| group.len() == 3) && !rest.contains(',') {
        return number.replace(',', "");
    }
    number.to_owned()
}

pub(super) fn tenure(cell: &Cell) -> Result<Option<Tenure>, Reason> {
    let word = word(cell)?;
    if word.is_empty() {
        return Ok(None);
    }
    let found = TENURES
        .iter()
        .find(|(_, words)| words.contains(&word.as_str()));
    let tenure = found.map(|(tenure, _)| *tenure);
    tenure.map(Some).ok_or_else(|| Reason::Tenure(quote(&word)))
}

pub(super) fn beds(cell: &Cell) -> Result<Option<u32>, Reason> {
    let word = word(cell)?;
    let digits = word.trim_end_matches(['床', '个', '张']);
    if digits.is_empty() && word.is_empty() {
        return Ok(None);
    }
    let beds = digits.parse().ok().filter(|beds| *beds <= BEDS_MAX);
    beds.map(Some).ok_or_else(|| Reason::Beds(quote(&word)))
}

pub(super) fn relation(cell: &Cell) -> Result<Option<Relation>, Reason> {
    let word = word(cell)?;
    if word.is_empty() {
        return Ok(None);
    }
    let known = RELATIONS
        .iter()
        .find(|(_, words)| words.contains(&word.as_str()));
    let kept = known.map_or(word.as_str(), |(kept, _)| kept);
    let relation = Relation::new(kept).map_err(|_no_word| Reason::Relation(quote(&word)))?;
    Ok(Some(relation))
}

/// What a state's cell says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StateWord {
    Is(CardState),
    /// Its dates say so too, or it is a mistake.
    Expired,
}

pub(super) fn state(cell: &Cell) -> Result<Option<StateWord>, Reason> {
    let word = word(cell)?;
    if word.is_empty() {
        return Ok(None);
    }
    if EXPIRED_WORDS.contains(&word.as_str()) {
        return Ok(Some(StateWord::Expired));
    }
    let found = STATES
        .iter()
        .find(|(_, words)| words.contains(&word.as_str()));
    let state = found.map(|(state, _)| StateWord::Is(*state));
    state.map(Some).ok_or_else(|| Reason::State(quote(&word)))
}

/// How many digits the cards of a file have, so that one whose zeros were lost is found.
#[derive(Clone, Debug, Default)]
pub(super) struct CardLengths {
    texts: BTreeMap<usize, usize>,
    numbers: BTreeMap<usize, usize>,
}

impl CardLengths {
    /// Takes a cell of the card column into account.
    pub(super) fn add(&mut self, cell: &Cell) {
        match cell {
            Cell::Text(text) => {
                let digits = squeeze(text);
                if CardNumber::new(&digits).is_ok() {
                    *self.texts.entry(digits.len()).or_default() += 1;
                }
            }
            Cell::Number { .. } => {
                if let Ok(digits) = text(cell) {
                    *self.numbers.entry(digits.len()).or_default() += 1;
                }
            }
            Cell::Empty
            | Cell::Serial(_)
            | Cell::Flag
            | Cell::Error
            | Cell::NoValue
            | Cell::TooLong => {}
        }
    }

    /// The length that cards have which stand there as text; `None`: none does.
    fn usual_text(&self) -> Option<usize> {
        let most = self.texts.iter().max_by_key(|(_, n)| **n)?;
        Some(*most.0)
    }

    /// May a number of `n_digits` be a whole card? Else the length that it should have.
    fn check_number(&self, n_digits: usize) -> Result<(), usize> {
        match self.usual_text() {
            Some(_) if self.texts.contains_key(&n_digits) => Ok(()),
            Some(usual) => Err(usual),
            None => match self.numbers.keys().next_back() {
                Some(longest) if *longest != n_digits => Err(*longest),
                Some(_) | None => Ok(()),
            },
        }
    }
}

/// Digits that a spreadsheet program keeps of a number.
const NUMBER_DIGITS_MAX: usize = 15;

/// A card's number, and a doubt about it.
pub(super) fn card(
    cell: &Cell,
    lengths: &CardLengths,
) -> Result<Option<(CardNumber, Option<Reason>)>, Reason> {
    match cell {
        Cell::Number { digits, n_shown } => {
            let number = Decimal::read(digits).ok_or(Reason::Card)?;
            if number.n_digits() > NUMBER_DIGITS_MAX {
                return Err(Reason::CardDigitsLost);
            }
            let whole = number.whole().ok_or(Reason::Card)?;
            if whole.len() > NUMBER_DIGITS_MAX {
                return Err(Reason::CardDigitsLost);
            }
            let whole = padded(&whole, *n_shown);
            if let Err(usual) = lengths.check_number(whole.len()) {
                let n_digits = whole.len();
                return Err(Reason::CardZerosLost { n_digits, usual });
            }
            let number = CardNumber::new(&whole).map_err(|_short| Reason::Card)?;
            Ok(Some((number, None)))
        }
        Cell::Empty
        | Cell::Text(_)
        | Cell::Serial(_)
        | Cell::Flag
        | Cell::Error
        | Cell::NoValue
        | Cell::TooLong => card_of_text(&squeeze(&text(cell)?), lengths),
    }
}

fn card_of_text(
    digits: &str,
    lengths: &CardLengths,
) -> Result<Option<(CardNumber, Option<Reason>)>, Reason> {
    if digits.is_empty() {
        return Ok(None);
    }
    let is_scientific = digits.contains(['+', '.']) && Decimal::read(digits).is_some();
    if is_scientific {
        return Err(Reason::CardScientific);
    }
    let plain: String = digits.chars().filter(|c| !matches!(c, ':' | '-')).collect();
    let number = CardNumber::new(&plain).map_err(|_digits| Reason::Card)?;
    let n_digits = plain.len();
    let is_decimal = plain.bytes().all(|b| b.is_ascii_digit());
    let doubt = lengths
        .usual_text()
        .filter(|usual| is_decimal && usual.checked_sub(1) == Some(n_digits))
        .map(|usual| Reason::CardShort { n_digits, usual });
    Ok(Some((number, doubt)))
}

/// Days from 1970-01-01 back to the day before the epoch of the 1900 system, with the 29 February 1900
/// that Excel believes in.
const SERIAL_1970: i64 = 25_569;
/// Days between the epochs of the two systems.
const SERIAL_1904: i64 = 1_462;
/// Numbers that mean earlier days are slips: a year alone, or an amount.
const YEAR_MIN: i16 = 1950;

/// A day: a serial number, or text with the year first.
pub(super) fn day(cell: &Cell, is_1904: bool) -> Result<Said<Day>, Reason> {
    match cell {
        Cell::Serial(days) => serial_day(days, 0).map(Said::Is),
        Cell::Number { digits, .. } => {
            let number = Decimal::read(digits).and_then(|number| number.whole());
            match number {
                Some(whole) if whole.len() == 8 => day_of_text(&whole),
                Some(_) | None => {
                    serial_day(digits, if is_1904 { SERIAL_1904 } else { 0 }).map(Said::Is)
                }
            }
        }
        Cell::Empty | Cell::Text(_) | Cell::Flag | Cell::Error | Cell::NoValue | Cell::TooLong => {
            day_of_text(&text(cell)?)
        }
    }
}

fn serial_day(days: &str, offset: i64) -> Result<Day, Reason> {
    let bad = || Reason::Date(quote(days));
    let serial = Decimal::read(days).and_then(|number| number.floor());
    let serial = serial
        .and_then(|serial| i64::try_from(serial).ok())
        .ok_or_else(bad)?;
    let since_1970 = serial.saturating_add(offset).saturating_sub(SERIAL_1970);
    let span = jiff::Span::new().try_days(since_1970);
    let date = span.and_then(|span| Date::constant(1970, 1, 1).checked_add(span));
    let date = date.map_err(|_range| bad())?;
    if date.year() < YEAR_MIN {
        return Err(Reason::DateRange);
    }
    Ok(Day::from_civil(date))
}

fn day_of_text(text: &str) -> Result<Said<Day>, Reason> {
    let word = squeeze(text).to_lowercase();
    if word.is_empty() {
        return Ok(Said::Nothing);
    }
    if OPEN_WORDS.contains(&word.as_str()) {
        return Ok(Said::Open);
    }
    let bad = || Reason::Date(quote(text));
    // A time of day is dropped: what is asked for is the day.
    let date = match text.split_once([' ', 'T']) {
        Some((date, time)) if time.contains(':') && date.len() >= 8 => date.to_owned(),
        Some(_) | None => word,
    };
    let numbers: Vec<&str> = if date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit()) {
        [0..4, 4..6, 6..8]
            .into_iter()
            .filter_map(|range| date.get(range))
            .collect()
    } else {
        let marks = [
            '-', '/', '.', '\u{5e74}', '\u{6708}', '\u{65e5}', '\u{53f7}',
        ];
        date.split(marks).filter(|part| !part.is_empty()).collect()
    };
    let [year, month, day] = numbers.as_slice() else {
        return Err(bad());
    };
    if year.len() <= 2 && day.len() == 4 {
        return Err(Reason::DateOrder);
    }
    if year.len() != 4 || month.len() > 2 || day.len() > 2 {
        return Err(bad());
    }
    let (Ok(year), Ok(month), Ok(day)) = (year.parse(), month.parse(), day.parse()) else {
        return Err(bad());
    };
    let date = Date::new(year, month, day).map_err(|_no_day| bad())?;
    Ok(Said::Is(Day::from_civil(date)))
}

/// A card that is valid until this year is valid for ever; the clock ends in 2262.
const YEAR_OPEN: i16 = 2200;

/// Which end of a day is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    Start,
    End,
}

/// A moment: a day here (its first moment, or the first after it), or RFC 3339 with its offset.
pub(super) fn moment(
    cell: &Cell,
    is_1904: bool,
    edge: Edge,
    zone: &TimeZone,
) -> Result<Said<WallTime>, Reason> {
    if let Cell::Text(text) = cell {
        let text = clean(text);
        if text.contains('T')
            && let Ok(moment) = text.parse()
        {
            return Ok(Said::Is(moment));
        }
    }
    let day = match day(cell, is_1904)? {
        Said::Nothing => return Ok(Said::Nothing),
        Said::Open => return Ok(Said::Open),
        Said::Is(day) => day,
    };
    Ok(match edge {
        Edge::Start => Said::Is(day.start(zone)),
        // 9999-12-31, as people write for ever, lies beyond the clock.
        Edge::End if day.civil().year() >= YEAR_OPEN => Said::Open,
        Edge::End => Said::Is(day.end(zone)),
    })
}

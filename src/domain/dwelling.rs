//! Dwellings, calendar days, and what a person is to a dwelling.
//!
//! Not here: how many may hold cards for one (`reckoning`), and persons' names (`person`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::id::{DwellingId, IdError};
use super::limit::FloorArea;
use super::place::Place;
use crate::time::{TimeZone, WallTime};

/// Longest number of a dwelling, in characters.
pub const NUMBER_CHARS_MAX: usize = 32;
/// Most beds of a dormitory: what is more is a typing error.
pub const BEDS_MAX: u32 = 1_000;
/// Longest word for a relation, in characters.
pub const RELATION_CHARS_MAX: usize = 32;

/// How a dwelling is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tenure {
    /// Let to tenants: the rule of so many square metres a person is made for this.
    Rented,
    /// Its owner lives in it.
    OwnerOccupied,
    /// Beds are let; the registered beds are the limit.
    Dormitory,
}

impl Tenure {
    /// The word used in JSON and spreadsheets.
    pub const fn as_str(self) -> &'static str {
        match self {
            Tenure::Rented => "rented",
            Tenure::OwnerOccupied => "owner-occupied",
            Tenure::Dormitory => "dormitory",
        }
    }
}

/// A calendar day of the compound: days since 1970-01-01. Shown as `YYYY-MM-DD`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

/// Text that is not a calendar day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a day is YYYY-MM-DD")]
pub struct DayError;

const EPOCH: jiff::civil::Date = jiff::civil::Date::constant(1970, 1, 1);

impl Day {
    /// From a civil date.
    pub fn from_civil(date: jiff::civil::Date) -> Day {
        let span = date
            .since(EPOCH)
            .expect("the difference of two dates is a number of days");
        Day(span.get_days())
    }

    /// Days since 1970-01-01.
    pub const fn days_since_1970(self) -> i32 {
        self.0
    }

    /// Its first moment in `zone`.
    pub fn start(self, zone: &TimeZone) -> WallTime {
        zone.midnight(self.civil())
    }

    /// The first moment after it in `zone`.
    pub fn end(self, zone: &TimeZone) -> WallTime {
        self.civil()
            .tomorrow()
            .map_or(WallTime::from_unix_ns(i64::MAX), |next| zone.midnight(next))
    }

    /// As a civil date.
    pub fn civil(self) -> jiff::civil::Date {
        let span = jiff::Span::new().try_days(self.0);
        span.and_then(|span| EPOCH.checked_add(span))
            .unwrap_or(jiff::civil::Date::MAX)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.civil())
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Day {
    type Err = DayError;

    fn from_str(text: &str) -> Result<Day, DayError> {
        if text.len() != 10 {
            return Err(DayError);
        }
        text.parse::<jiff::civil::Date>()
            .map(Day::from_civil)
            .or(Err(DayError))
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Day, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// A flat with a floor area.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dwelling {
    /// Its id.
    pub id: DwellingId,
    /// The stairwell it opens to.
    pub place: Place,
    /// Its number, as on its door; at most 32 characters.
    pub number: String,
    /// Its floor area.
    pub area: FloorArea,
    /// How it is held.
    pub tenure: Tenure,
    /// Registered beds, 0 to [`BEDS_MAX`]; only for a dormitory.
    #[serde(default)]
    pub beds: Option<u32>,
    /// First day on which it is lived in under these facts; `None`: always was.
    #[serde(default)]
    pub from: Option<Day>,
    /// Last day of that; `None`: no end. Outside these days nobody new may hold a card for it.
    #[serde(default)]
    pub to: Option<Day>,
}

impl Dwelling {
    /// Is `day` within its days?
    pub fn is_in_effect(&self, day: Day) -> bool {
        is_within(self.from, self.to, day)
    }
}

/// Is `day` from `from` to `to`, both inclusive and either open?
pub fn is_within(from: Option<Day>, to: Option<Day>, day: Day) -> bool {
    from.is_none_or(|from| from <= day) && to.is_none_or(|to| day <= to)
}

/// What a cardholder is to the dwelling: a lower-case word such as `tenant` or `minor-child`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Relation(String);

impl Relation {
    /// Takes a word of `a-z 0-9 -`, 1 to 32 characters.
    ///
    /// # Errors
    /// [`IdError::Slug`] when it is not.
    pub fn new(text: &str) -> Result<Relation, IdError> {
        let ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if text.is_empty() || text.len() > RELATION_CHARS_MAX || !text.chars().all(ok) {
            return Err(IdError::Slug);
        }
        Ok(Relation(text.to_owned()))
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Relation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Relation, D::Error> {
        Relation::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn days_survive_the_round_trip() {
        for text in ["1970-01-01", "2026-11-22", "2000-02-29", "1949-10-01"] {
            assert_eq!(day(text).to_string(), text);
        }
        for bad in ["", "2026-02-30", "22.11.2026", "2026-11-22T00:00"] {
            assert_eq!(bad.parse::<Day>(), Err(DayError), "{bad}");
        }
    }
}

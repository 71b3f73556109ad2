//! Dwellings, the persons who hold cards for them, and the reckoning of how many may.
//!
//! The limit counts **persons**, not cards. A refusal is a value with the whole reckoning, so that a
//! clerk can explain it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::id::{CardholderId, DwellingId, IdError};
use super::limit::{FloorArea, cardholder_limit};
use super::place::Place;
use crate::time::WallTime;

/// Longest number of a dwelling, in characters.
pub const NUMBER_CHARS_MAX: usize = 32;
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
    /// Registered beds; only for a dormitory.
    #[serde(default)]
    pub beds: Option<u32>,
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

/// A person, as a keyed hash: the same in every dwelling, and of no use outside this site.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PersonKey([u8; 16]);

impl PersonKey {
    /// From its 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> PersonKey {
        PersonKey(bytes)
    }

    /// Its 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for PersonKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonKey(hidden)")
    }
}

/// What the reckoning needs of a cardholder: no name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occupant {
    /// The cardholder.
    pub id: CardholderId,
    /// The person behind it.
    pub person: PersonKey,
    /// What the person is to the dwelling.
    pub relation: Relation,
    /// First day of the tenancy; `None`: from the beginning.
    pub from: Option<Day>,
    /// Last day of the tenancy; `None`: open.
    pub to: Option<Day>,
    /// When the person was entered; decides who is newest.
    pub added_at: WallTime,
}

/// To which dwellings the rule applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AppliesTo {
    /// To all.
    #[default]
    All,
    /// To rented ones and dormitories; owners are not limited.
    Rented,
}

/// The rule in force, versioned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitPolicy {
    /// Counts up with every change.
    pub version: u64,
    /// Floor area for each person; more than zero.
    pub per_person: FloorArea,
    /// To which dwellings it applies.
    pub applies_to: AppliesTo,
    /// Relations that are not counted.
    pub exempt_relations: BTreeSet<Relation>,
}

/// Why a cardholder does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotCounted {
    /// The relation is exempt.
    Exempt(Relation),
    /// The tenancy is over.
    Ended,
    /// The tenancy has not begun.
    NotBegun,
    /// The same person is counted already in this dwelling.
    SamePerson(CardholderId),
}

/// Where a dwelling's limit comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitBasis {
    /// floor(area / m² a person).
    Area,
    /// At least one person in a dwelling its owner lives in, however small.
    OwnerMinimum,
    /// The registered beds of a dormitory.
    Beds,
    /// The rule does not apply.
    Unlimited,
}

/// How many may hold cards for a dwelling, how many do, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reckoning {
    /// Floor area.
    pub area: FloorArea,
    /// Floor area for each person.
    pub per_person: FloorArea,
    /// Version of the rule.
    pub rule_version: u64,
    /// Where the limit comes from.
    pub basis: LimitBasis,
    /// The limit; `None`: none.
    pub limit: Option<u32>,
    /// Who counts, oldest first.
    pub counted: Vec<CardholderId>,
    /// Who does not, and why.
    pub not_counted: Vec<(CardholderId, NotCounted)>,
}

impl Reckoning {
    /// Persons that count.
    pub fn n_holders(&self) -> u32 {
        u32::try_from(self.counted.len()).unwrap_or(u32::MAX)
    }

    /// Places left; `None` without a limit.
    pub fn n_free(&self) -> Option<u32> {
        self.limit
            .map(|limit| limit.saturating_sub(self.n_holders()))
    }

    /// Do more persons hold cards than may?
    pub fn is_over(&self) -> bool {
        self.limit.is_some_and(|limit| self.n_holders() > limit)
    }

    /// The newest holders beyond the limit.
    pub fn surplus(&self) -> &[CardholderId] {
        let within = self.limit.map_or(usize::MAX, |limit| limit as usize);
        self.counted.get(within..).unwrap_or_default()
    }
}

/// Reckons `dwelling` on `today`.
pub fn reckon(
    policy: &LimitPolicy,
    dwelling: &Dwelling,
    occupants: &[Occupant],
    today: Day,
) -> Reckoning {
    let (basis, limit) = limit_of(policy, dwelling);
    let mut by_age: Vec<&Occupant> = occupants.iter().collect();
    by_age.sort_by(|a, b| (a.added_at, &a.id).cmp(&(b.added_at, &b.id)));
    let mut seen: BTreeMap<PersonKey, CardholderId> = BTreeMap::new();
    let mut counted = Vec::new();
    let mut not_counted = Vec::new();
    for occupant in by_age {
        match why_not(policy, occupant, &seen, today) {
            Some(why) => not_counted.push((occupant.id.clone(), why)),
            None => {
                seen.insert(occupant.person, occupant.id.clone());
                counted.push(occupant.id.clone());
            }
        }
    }
    Reckoning {
        area: dwelling.area,
        per_person: policy.per_person,
        rule_version: policy.version,
        basis,
        limit,
        counted,
        not_counted,
    }
}

fn limit_of(policy: &LimitPolicy, dwelling: &Dwelling) -> (LimitBasis, Option<u32>) {
    let by_area = cardholder_limit(dwelling.area, policy.per_person);
    match (dwelling.tenure, policy.applies_to) {
        (Tenure::Dormitory, _) => (LimitBasis::Beds, Some(dwelling.beds.unwrap_or(0))),
        (Tenure::OwnerOccupied, AppliesTo::Rented) => (LimitBasis::Unlimited, None),
        (Tenure::OwnerOccupied, AppliesTo::All) if by_area == 0 => {
            (LimitBasis::OwnerMinimum, Some(1))
        }
        (Tenure::OwnerOccupied | Tenure::Rented, _) => (LimitBasis::Area, Some(by_area)),
    }
}

fn why_not(
    policy: &LimitPolicy,
    occupant: &Occupant,
    seen: &BTreeMap<PersonKey, CardholderId>,
    today: Day,
) -> Option<NotCounted> {
    if occupant.to.is_some_and(|to| to < today) {
        return Some(NotCounted::Ended);
    }
    if occupant.from.is_some_and(|from| from > today) {
        return Some(NotCounted::NotBegun);
    }
    if policy.exempt_relations.contains(&occupant.relation) {
        return Some(NotCounted::Exempt(occupant.relation.clone()));
    }
    seen.get(&occupant.person)
        .map(|first| NotCounted::SamePerson(first.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::StairwellId;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    fn dwelling(area: &str, tenure: Tenure) -> Dwelling {
        Dwelling {
            id: DwellingId::new("b03-u2-301").unwrap(),
            place: Place::Stairwell(StairwellId::new("b03-u2").unwrap()),
            number: "301".to_owned(),
            area: area.parse().unwrap(),
            tenure,
            beds: (tenure == Tenure::Dormitory).then_some(6),
        }
    }

    fn policy(applies_to: AppliesTo, exempt: &[&str]) -> LimitPolicy {
        LimitPolicy {
            version: 3,
            per_person: "12".parse().unwrap(),
            applies_to,
            exempt_relations: exempt
                .iter()
                .map(|word| Relation::new(word).unwrap())
                .collect(),
        }
    }

    fn occupant(n: u8, relation: &str) -> Occupant {
        Occupant {
            id: CardholderId::new(&format!("h{n}")).unwrap(),
            person: PersonKey::from_bytes([n; 16]),
            relation: Relation::new(relation).unwrap(),
            from: None,
            to: None,
            added_at: WallTime::from_unix_ms(i64::from(n)),
        }
    }

    #[test]
    fn limits_by_tenure() {
        let limit = |area, tenure, applies| {
            reckon(
                &policy(applies, &[]),
                &dwelling(area, tenure),
                &[],
                day("2026-11-22"),
            )
            .limit
        };
        assert_eq!(limit("94.30", Tenure::Rented, AppliesTo::All), Some(7));
        assert_eq!(limit("11.99", Tenure::Rented, AppliesTo::All), Some(0));
        assert_eq!(
            limit("11.99", Tenure::OwnerOccupied, AppliesTo::All),
            Some(1)
        );
        assert_eq!(
            limit("94.30", Tenure::OwnerOccupied, AppliesTo::Rented),
            None
        );
        assert_eq!(
            limit("20.00", Tenure::Dormitory, AppliesTo::Rented),
            Some(6)
        );
    }

    #[test]
    fn persons_are_counted_once_and_only_while_they_live_there() {
        let mut holders: Vec<Occupant> = (1..=5)
            .map(|n| occupant(n, if n == 2 { "minor-child" } else { "tenant" }))
            .collect();
        holders[2].to = Some(day("2026-11-21"));
        holders[3].person = holders[0].person;
        holders[4].from = Some(day("2026-11-23"));
        let rule = policy(AppliesTo::All, &["minor-child"]);
        let today = day("2026-11-22");
        let reckoning = reckon(&rule, &dwelling("12.00", Tenure::Rented), &holders, today);
        assert_eq!(reckoning.counted, [holders[0].id.clone()]);
        let why: Vec<&NotCounted> = reckoning.not_counted.iter().map(|(_, why)| why).collect();
        assert_eq!(
            why,
            [
                &NotCounted::Exempt(Relation::new("minor-child").unwrap()),
                &NotCounted::Ended,
                &NotCounted::SamePerson(holders[0].id.clone()),
                &NotCounted::NotBegun,
            ]
        );
        assert!(!reckoning.is_over());
        assert_eq!(reckoning.n_free(), Some(0));
    }

    #[test]
    fn the_newest_are_surplus() {
        let holders = [
            occupant(3, "tenant"),
            occupant(1, "tenant"),
            occupant(2, "tenant"),
        ];
        let rule = policy(AppliesTo::All, &[]);
        let reckoning = reckon(
            &rule,
            &dwelling("24.00", Tenure::Rented),
            &holders,
            day("2026-11-22"),
        );
        assert!(reckoning.is_over());
        assert_eq!(reckoning.surplus(), [holders[0].id.clone()]);
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

//! The reckoning of how many may hold cards for a dwelling, and who does.
//!
//! The limit counts **persons**, not cards. A refusal is a value with the whole reckoning, so that a
//! clerk can explain it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::access::CardState;
use super::dwelling::{Day, Dwelling, Relation, Tenure};
use super::id::CardholderId;
use super::limit::{FloorArea, cardholder_limit};
use super::person::PersonKey;
use crate::time::{TimeZone, WallTime};

/// What cards a cardholder has, as far as the reckoning asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// None was issued yet: a place is kept for the first.
    Waiting,
    /// Some, all of them valid or lost (and to be replaced) until then at most; `None`: for ever.
    Until(Option<WallTime>),
    /// Some, and all of them taken back.
    Over,
}

impl Holding {
    /// Of someone with these cards: each its state and the first moment after its validity.
    pub fn of(cards: impl IntoIterator<Item = (CardState, Option<WallTime>)>) -> Holding {
        cards
            .into_iter()
            .fold(Holding::Waiting, |held, (state, until)| {
                match (state, held) {
                    (CardState::Revoked, Holding::Waiting) => Holding::Over,
                    (CardState::Revoked, held) => held,
                    (_, Holding::Until(None)) => Holding::Until(None),
                    (_, Holding::Until(Some(held))) => Holding::Until(until.map(|at| at.max(held))),
                    (_, Holding::Waiting | Holding::Over) => Holding::Until(until),
                }
            })
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
    /// The person's cards.
    pub holding: Holding,
}

/// A moment, and the compound's calendar day of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The day.
    pub day: Day,
    /// The moment.
    pub at: WallTime,
}

impl Moment {
    /// `at`, in `zone`.
    pub fn of(at: WallTime, zone: &TimeZone) -> Moment {
        Moment {
            day: Day::from_civil(zone.date_of(at)),
            at,
        }
    }
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
    /// Every card was taken back or has expired.
    NoCard,
    /// The same person is counted already in this dwelling.
    SamePerson(CardholderId),
}

impl NotCounted {
    /// The word for JSON: of an exempt relation, the relation itself.
    pub fn word(&self) -> &str {
        match self {
            NotCounted::Exempt(relation) => relation.as_str(),
            NotCounted::Ended => "ended",
            NotCounted::NotBegun => "not-begun",
            NotCounted::NoCard => "no-card",
            NotCounted::SamePerson(_) => "same-person",
        }
    }
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
    /// The day lies outside the dwelling's own days: nobody may.
    NotInEffect,
}

/// How many may hold cards for a dwelling, how many do, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// Reckons `dwelling` at `moment`.
pub fn reckon(
    policy: &LimitPolicy,
    dwelling: &Dwelling,
    occupants: &[Occupant],
    moment: Moment,
) -> Reckoning {
    let (basis, limit) = limit_of(policy, dwelling, moment.day);
    let mut by_age: Vec<&Occupant> = occupants.iter().collect();
    by_age.sort_by(|a, b| (a.added_at, &a.id).cmp(&(b.added_at, &b.id)));
    let mut seen: BTreeMap<PersonKey, CardholderId> = BTreeMap::new();
    let mut counted = Vec::new();
    let mut not_counted = Vec::new();
    for occupant in by_age {
        match why_not(policy, occupant, &seen, moment) {
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

/// What a change of the occupants would break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excess {
    /// The first moment at which it would.
    pub moment: Moment,
    /// The reckoning at that moment **without** the change.
    pub reckoning: Reckoning,
}

/// Would `after` instead of `before` put more persons into the dwelling than may be, now or at any later
/// moment of the dwelling's own days? A change that adds nobody breaks nothing, also where there are too
/// many already.
///
/// The numbers change only where someone begins or ends, so these moments are all there are to look at.
pub fn excess_of(
    policy: &LimitPolicy,
    dwelling: &Dwelling,
    (before, after): (&[Occupant], &[Occupant]),
    now: Moment,
    zone: &TimeZone,
) -> Option<Excess> {
    // Most dwellings never get near their limit, and need no look at every moment.
    let lasting = after
        .iter()
        .filter(|one| one.to.is_none_or(|to| now.day <= to));
    let n_at_most = u32::try_from(lasting.count()).unwrap_or(u32::MAX);
    let (basis, limit) = limit_of(policy, dwelling, now.day);
    if limit.is_none_or(|limit| basis != LimitBasis::NotInEffect && n_at_most <= limit) {
        return None;
    }
    let turns = before.iter().chain(after).flat_map(|occupant| {
        let held_until = match occupant.holding {
            Holding::Until(until) => until,
            Holding::Waiting | Holding::Over => None,
        };
        let from = occupant.from.map(|day| day.start(zone));
        [from, occupant.to.map(|day| day.end(zone)), held_until]
    });
    let later: BTreeSet<WallTime> = turns.flatten().filter(|at| *at > now.at).collect();
    let moments = later.into_iter().map(|at| Moment::of(at, zone));
    let moments = moments.filter(|moment| dwelling.is_in_effect(moment.day));
    std::iter::once(now).chain(moments).find_map(|moment| {
        let then = reckon(policy, dwelling, after, moment);
        if !then.is_over() {
            return None;
        }
        let reckoning = reckon(policy, dwelling, before, moment);
        (then.n_holders() > reckoning.n_holders()).then_some(Excess { moment, reckoning })
    })
}

fn limit_of(policy: &LimitPolicy, dwelling: &Dwelling, day: Day) -> (LimitBasis, Option<u32>) {
    if !dwelling.is_in_effect(day) {
        return (LimitBasis::NotInEffect, Some(0));
    }
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
    moment: Moment,
) -> Option<NotCounted> {
    if occupant.to.is_some_and(|to| to < moment.day) {
        return Some(NotCounted::Ended);
    }
    if occupant.from.is_some_and(|from| from > moment.day) {
        return Some(NotCounted::NotBegun);
    }
    match occupant.holding {
        Holding::Until(Some(until)) if until <= moment.at => return Some(NotCounted::NoCard),
        Holding::Over => return Some(NotCounted::NoCard),
        Holding::Waiting | Holding::Until(_) => {}
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
    use crate::domain::id::{DwellingId, StairwellId};
    use crate::domain::place::Place;

    /// The end of that day, in UTC.
    fn moment(text: &str) -> Moment {
        let at = format!("{text}T23:59:00Z").parse().unwrap();
        Moment { day: day(text), at }
    }

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
            from: None,
            to: None,
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
            holding: Holding::Waiting,
        }
    }

    #[test]
    fn limits_by_tenure() {
        let limit = |area, tenure, applies| {
            reckon(
                &policy(applies, &[]),
                &dwelling(area, tenure),
                &[],
                moment("2026-11-22"),
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
        let today = moment("2026-11-22");
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
            moment("2026-11-22"),
        );
        assert!(reckoning.is_over());
        assert_eq!(reckoning.surplus(), [holders[0].id.clone()]);
    }

    #[test]
    fn cards_that_are_over_free_the_place_and_lost_ones_keep_it() {
        use CardState::{Active, Lost, Revoked};
        let until = |text: &str| Some(format!("{text}T16:00:00Z").parse().unwrap());
        let cases = [
            (vec![], true),
            (vec![(Active, None)], true),
            (vec![(Lost, None)], true),
            (vec![(Revoked, None)], false),
            (vec![(Active, until("2026-11-22"))], false),
            (
                vec![(Active, until("2026-11-22")), (Active, until("2026-11-23"))],
                true,
            ),
            (vec![(Revoked, None), (Active, until("2026-11-23"))], true),
            (vec![(Active, until("2026-11-22")), (Revoked, None)], false),
        ];
        for (cards, counts) in cases {
            let mut holder = occupant(1, "tenant");
            holder.holding = Holding::of(cards.clone());
            let rule = policy(AppliesTo::All, &[]);
            let home = dwelling("24.00", Tenure::Rented);
            let reckoning = reckon(&rule, &home, &[holder], moment("2026-11-22"));
            assert_eq!(reckoning.n_holders() == 1, counts, "{cards:?}");
        }
    }

    #[test]
    fn a_dwelling_outside_its_days_has_no_places() {
        let mut home = dwelling("94.30", Tenure::Rented);
        home.from = Some(day("2026-11-23"));
        home.to = Some(day("2026-11-24"));
        let rule = policy(AppliesTo::All, &[]);
        let limit = |text| reckon(&rule, &home, &[], moment(text)).limit;
        assert_eq!(limit("2026-11-22"), Some(0));
        assert_eq!(limit("2026-11-24"), Some(7));
        assert_eq!(limit("2026-11-25"), Some(0));
    }

    #[test]
    fn a_place_promised_for_later_is_taken_from_that_day_on() {
        let (rule, home) = (
            policy(AppliesTo::All, &[]),
            dwelling("24.00", Tenure::Rented),
        );
        let zone = TimeZone::utc();
        let excess = |before: &[Occupant], added: Occupant| {
            let mut after = before.to_vec();
            after.push(added);
            let now = moment("2026-11-22");
            excess_of(&rule, &home, (before, &after), now, &zone).map(|excess| excess.moment.day)
        };
        let mut later = occupant(2, "tenant");
        later.from = Some(day("2026-12-01"));
        let there = [occupant(1, "tenant"), later];
        // Two places: one is taken, one promised from December on.
        assert_eq!(
            excess(&there, occupant(3, "tenant")),
            Some(day("2026-12-01"))
        );
        let mut until_then = occupant(3, "tenant");
        until_then.to = Some(day("2026-11-30"));
        assert_eq!(excess(&there, until_then), None);
        let full = [occupant(1, "tenant"), occupant(2, "tenant")];
        assert_eq!(
            excess(&full, occupant(3, "tenant")),
            Some(day("2026-11-22"))
        );
        let mut second_card = full.to_vec();
        second_card[0].holding = Holding::Until(None);
        assert_eq!(
            excess_of(
                &rule,
                &home,
                (&full, &second_card),
                moment("2026-11-22"),
                &zone
            ),
            None
        );
    }

    #[test]
    fn who_stays_longer_is_measured_where_the_others_have_gone() {
        // Two places, three persons since the rule has changed; one of them leaves today.
        let (rule, home) = (
            policy(AppliesTo::All, &[]),
            dwelling("24.00", Tenure::Rented),
        );
        let mut leaving = occupant(3, "tenant");
        leaving.to = Some(day("2026-11-22"));
        let before = [occupant(1, "tenant"), occupant(2, "tenant"), leaving];
        let mut after = before.clone();
        after[2].to = None;
        let now = moment("2026-11-22");
        let excess = excess_of(&rule, &home, (&before, &after), now, &TimeZone::utc());
        assert_eq!(excess.unwrap().moment.day, day("2026-11-23"));
    }
}

//! Random changes, days that pass, rules that change and restarts, against a small model that looks at
//! every single day.

mod model;

use proptest::prelude::*;

use super::*;
use crate::domain::access::{CardState, Request};
use crate::domain::alert::AlertKind;
use crate::domain::card::CardNumber;
use crate::domain::dwelling::Relation;
use crate::domain::swipe::Method;
use crate::roster::fixture::*;
use crate::store::tables;
use model::{Holder, Model, Op};

/// Noon of day 0.
const START: &str = "2026-11-01T12:00:00+08:00";
const N_DWELLINGS: usize = 2;
/// No date of a test lies further ahead.
const HORIZON: i64 = 60;

fn op() -> impl Strategy<Value = Op> {
    let holder = 0..5usize;
    let dwelling = 0..N_DWELLINGS;
    let day = || prop::option::weighted(0.3, 0..5i64);
    let state = prop_oneof![
        Just(CardState::Active),
        Just(CardState::Lost),
        Just(CardState::Revoked)
    ];
    let child = || prop::bool::weighted(0.2);
    prop_oneof![
        6 => (holder.clone(), dwelling.clone(), child(), day(), day()).prop_map(
            |(holder, dwelling, is_child, from, to)| Op::Add { holder, dwelling, is_child, from, to }
        ),
        3 => (holder.clone(), dwelling.clone(), child(), day()).prop_map(
            |(holder, dwelling, is_child, to)| Op::Change { holder, dwelling, is_child, to }
        ),
        2 => holder.clone().prop_map(|holder| Op::Remove { holder }),
        6 => (0..6usize, holder, day()).prop_map(
            |(card, holder, until)| Op::Issue { card, holder, until }
        ),
        4 => (0..6usize, state).prop_map(|(card, state)| Op::SetState { card, state }),
        2 => (0..6usize, day()).prop_map(|(card, until)| Op::Redate { card, until }),
        3 => (dwelling, 0..4u32).prop_map(
            |(dwelling, n_places)| Op::Area { dwelling, n_places }
        ),
        1 => (prop_oneof![Just(600u32), Just(1_200), Just(1_800)], any::<bool>()).prop_map(
            |(hundredths, children_exempt)| Op::Rule { hundredths, children_exempt }
        ),
        3 => (1..4i64).prop_map(Op::Days),
        1 => Just(Op::Restart),
    ]
}

/// The ledger beside its model.
struct Pair {
    site: Site,
    open: Option<Open>,
    model: Model,
}

fn home(dwelling: usize) -> String {
    format!("d{dwelling}")
}

fn number(card: usize) -> CardNumber {
    format!("0A1B2C{card:02X}").parse().unwrap()
}

impl Pair {
    async fn new() -> Pair {
        let site = Site::new(START);
        let open = site.open().await;
        let homes = (0..N_DWELLINGS).map(|n| Change::PutDwelling(dwelling(&home(n), "24.00")));
        open.do_all(homes).await;
        Pair {
            site,
            open: Some(open),
            model: Model::new(),
        }
    }

    fn open(&self) -> &Open {
        self.open.as_ref().unwrap()
    }

    fn day(&self, day: i64) -> Day {
        let start: Day = "2026-11-01".parse().unwrap();
        let date = start
            .civil()
            .checked_add(jiff::Span::new().days(day))
            .unwrap();
        Day::from_civil(date)
    }

    fn facts(&self, holder: &Holder) -> HolderFacts {
        let relation = if holder.is_child {
            "minor-child"
        } else {
            "tenant"
        };
        HolderFacts {
            relation: Relation::new(relation).unwrap(),
            from: holder.from.map(|day| self.day(day)),
            to: holder.to.map(|day| self.day(day)),
            ..facts(&home(holder.dwelling), "Test Person")
        }
    }

    fn validity(&self, until: Option<i64>) -> Validity {
        let zone = self.open().roster.time_zone();
        Validity {
            from: None,
            until: until.map(|day| self.day(day).end(zone)),
        }
    }

    /// What the ledger is asked; `None`: it is not a change.
    fn change(&self, op: &Op) -> Option<Change> {
        let model = &self.model;
        let key = |card: usize| self.open().roster.card_hasher().key_of(&number(card));
        let id = |holder: usize| holder_id(&format!("h{holder}"));
        Some(match *op {
            Op::Add {
                holder,
                dwelling,
                is_child,
                from,
                to,
            } => {
                let (from, to) = (model.ahead(from), model.ahead(to));
                let new = Holder {
                    dwelling,
                    is_child,
                    from,
                    to,
                    is_removed: false,
                    added: 0,
                };
                Change::AddHolder(id(holder), self.facts(&new))
            }
            Op::Change {
                holder,
                dwelling,
                is_child,
                to,
            } => {
                let from = model.present(holder).and_then(|old| old.from);
                let to = model.ahead(to);
                let new = Holder {
                    dwelling,
                    is_child,
                    from,
                    to,
                    is_removed: false,
                    added: 0,
                };
                Change::ChangeHolder(id(holder), self.facts(&new))
            }
            Op::Remove { holder } => Change::RemoveHolder(id(holder)),
            Op::Issue {
                card,
                holder,
                until,
            } => {
                let facts = CardFacts {
                    holder: id(holder),
                    state: CardState::Active,
                    validity: self.validity(model.ahead(until)),
                };
                Change::IssueCard(number(card), facts)
            }
            Op::SetState { card, state } => Change::SetCardState(key(card), state),
            Op::Redate { card, until } => {
                Change::RedateCard(key(card), self.validity(model.ahead(until)))
            }
            Op::Area {
                dwelling: n,
                n_places,
            } => Change::PutDwelling(dwelling(&home(n), &format!("{}.99", n_places * 12 + 11))),
            Op::Rule { .. } | Op::Days(_) | Op::Restart => return None,
        })
    }

    async fn step(&mut self, op: &Op) {
        let expected = self.model.after(op);
        if let Some(change) = self.change(op) {
            let outcome = self.open().one(change).await;
            match (&outcome, &expected) {
                (Outcome::Done { .. }, Ok(Some(_))) | (Outcome::Unchanged, Ok(None)) => {}
                (Outcome::Refused(refusal), Err(word)) if refusal.word() == *word => {}
                other => panic!("{op:?}: {other:?}\n{:?}", self.model),
            }
        }
        match *op {
            Op::Rule {
                hundredths,
                children_exempt,
            } => {
                let exempt: &[&str] = if children_exempt {
                    &["minor-child"]
                } else {
                    &[]
                };
                let per_person = format!("{}", hundredths / 100);
                self.site.options.limit = policy(&per_person, exempt);
                let set = self.open().roster.set_options(&self.site.options);
                set.await.unwrap();
            }
            Op::Days(days) => self.site.days_later(days),
            Op::Restart => {
                self.open().verify();
                self.open.take().unwrap().close().await;
                self.open = Some(self.site.open().await);
            }
            _ => {}
        }
        if let Ok(Some(after)) = expected {
            self.model = after;
        }
        match *op {
            Op::Rule {
                hundredths,
                children_exempt,
            } => {
                self.model.per_person = hundredths;
                self.model.children_exempt = children_exempt;
            }
            Op::Days(days) => self.model.today += days,
            _ => {}
        }
        self.compare(op).await;
    }

    async fn compare(&self, op: &Op) {
        let (open, model) = (self.open(), &self.model);
        // Before anything looks: the reckoning waits for no job.
        for dwelling in 0..N_DWELLINGS {
            let there = (
                model.taken(dwelling, model.today),
                Some(model.limit(dwelling)),
            );
            assert_eq!(open.taken(&home(dwelling)), there, "{op:?}\n{model:?}");
        }
        open.roster.look_at_due().await.unwrap();
        let book = open.roster.book();
        for dwelling in 0..N_DWELLINGS {
            let is_over = model.taken(dwelling, model.today) > model.limit(dwelling);
            let key = format!("over-limit/{}", home(dwelling));
            let stands = open.store.get(tables::CONDITIONS, &key).unwrap().is_some();
            assert_eq!(stands, is_over, "{op:?}\n{model:?}");
        }
        for card in 0..6 {
            let held = model
                .cards
                .get(&card)
                .map(|card| &model.holders[&card.holder]);
            let place = stairwell("b03-u2");
            let request = Request {
                card: Some(open.roster.card_hasher().key_of(&number(card))),
                method: Method::Card,
                place: &place,
                at: open.roster.moment().at,
            };
            let view = open.roster.view();
            let (decision, grant) = view.decide(&request);
            let is_surplus = held.is_some_and(|holder| {
                let id = dwelling_id(&home(holder.dwelling));
                let household = book.household(&id).unwrap();
                let reckoning = household.reckon(book.policy(), open.roster.moment());
                grant.is_some_and(|grant| reckoning.surplus().contains(&grant.holder))
            });
            assert_eq!(
                decision.reason,
                model.reason(card, is_surplus),
                "{op:?}\n{model:?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_limit_is_never_exceeded_by_an_issue(ops in prop::collection::vec(op(), 1..60)) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let mut pair = Pair::new().await;
            for op in &ops {
                pair.step(op).await;
            }
            let open = pair.open();
            open.verify();
            // At most one alert stands for each dwelling.
            let standing = open.alerts(AlertKind::OverLimit);
            let standing = standing.iter().filter(|alert| alert.ended_at.is_none());
            let mut about: Vec<_> = standing.map(|alert| alert.dwelling.clone()).collect();
            let n_standing = about.len();
            about.sort();
            about.dedup();
            assert_eq!(about.len(), n_standing);
        });
    }
}

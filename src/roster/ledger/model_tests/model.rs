//! The small model: it keeps no index and looks at every single day.

use std::collections::BTreeMap;

use super::{HORIZON, N_DWELLINGS};
use crate::domain::access::{CardState, Reason};

#[derive(Clone, Debug)]
pub(super) enum Op {
    Add {
        holder: usize,
        dwelling: usize,
        is_child: bool,
        from: Option<i64>,
        to: Option<i64>,
    },
    Change {
        holder: usize,
        dwelling: usize,
        is_child: bool,
        to: Option<i64>,
    },
    Remove {
        holder: usize,
    },
    Issue {
        card: usize,
        holder: usize,
        until: Option<i64>,
    },
    SetState {
        card: usize,
        state: CardState,
    },
    Redate {
        card: usize,
        until: Option<i64>,
    },
    Area {
        dwelling: usize,
        n_places: u32,
    },
    Rule {
        hundredths: u32,
        children_exempt: bool,
    },
    Days(i64),
    Restart,
}

/// Days are counted from the start of the test.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    pub(super) dwelling: usize,
    pub(super) is_child: bool,
    pub(super) from: Option<i64>,
    pub(super) to: Option<i64>,
    pub(super) is_removed: bool,
    pub(super) added: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Card {
    pub(super) holder: usize,
    pub(super) state: CardState,
    /// Last day.
    pub(super) until: Option<i64>,
    pub(super) issued: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) today: i64,
    pub(super) step: usize,
    /// In 0.01 m².
    pub(super) areas: [u32; N_DWELLINGS],
    pub(super) per_person: u32,
    pub(super) children_exempt: bool,
    pub(super) holders: BTreeMap<usize, Holder>,
    pub(super) cards: BTreeMap<usize, Card>,
}

impl Model {
    pub(super) fn new() -> Model {
        Model {
            today: 0,
            step: 0,
            areas: [2_400; N_DWELLINGS],
            per_person: 1_200,
            children_exempt: true,
            holders: BTreeMap::new(),
            cards: BTreeMap::new(),
        }
    }

    pub(super) fn limit(&self, dwelling: usize) -> u32 {
        self.areas[dwelling] / self.per_person
    }

    pub(super) fn lives(holder: &Holder, day: i64) -> bool {
        !holder.is_removed
            && holder.from.is_none_or(|from| from <= day)
            && holder.to.is_none_or(|to| day <= to)
    }

    pub(super) fn counts(&self, id: usize, holder: &Holder, day: i64) -> bool {
        let mut cards = self.cards.values().filter(|card| {
            card.holder == id && (card.state != CardState::Revoked || card.issued >= holder.added)
        });
        let waits = cards.clone().next().is_none();
        let holds = cards.any(|card| {
            card.state != CardState::Revoked && card.until.is_none_or(|until| day <= until)
        });
        Model::lives(holder, day) && (waits || holds) && !(holder.is_child && self.children_exempt)
    }

    pub(super) fn taken(&self, dwelling: usize, day: i64) -> u32 {
        let here = self
            .holders
            .iter()
            .filter(|(_, holder)| holder.dwelling == dwelling);
        let counted = here.filter(|(id, holder)| self.counts(**id, holder, day));
        u32::try_from(counted.count()).unwrap()
    }

    /// Would this put someone where there is no place, on any day to come?
    pub(super) fn exceeds(&self, after: &Model) -> bool {
        (0..N_DWELLINGS).any(|dwelling| {
            (self.today..=self.today + HORIZON).any(|day| {
                let (before, then) = (self.taken(dwelling, day), after.taken(dwelling, day));
                then > before && then > self.limit(dwelling)
            })
        })
    }

    pub(super) fn present(&self, holder: usize) -> Option<&Holder> {
        self.holders
            .get(&holder)
            .filter(|holder| !holder.is_removed)
    }

    /// The state after `op`, or the word of its refusal; `None`: nothing changes.
    pub(super) fn after(&self, op: &Op) -> Result<Option<Model>, &'static str> {
        let mut after = self.clone();
        after.step += 1;
        let is_changed = match *op {
            Op::Area { dwelling, n_places } => {
                // Never refused.
                let area = n_places * 1_200 + 1_199;
                after.areas[dwelling] = area;
                return Ok((self.areas[dwelling] != area).then_some(after));
            }
            Op::Rule { .. } | Op::Days(_) | Op::Restart => return Ok(Some(after)),
            Op::Add { .. } | Op::Change { .. } | Op::Remove { .. } => {
                self.with_holder(&mut after, op)?
            }
            Op::Issue { .. } | Op::SetState { .. } | Op::Redate { .. } => {
                self.with_card(&mut after, op)?
            }
        };
        if self.exceeds(&after) {
            return Err("cardholder-limit-reached");
        }
        Ok(is_changed.then_some(after))
    }

    pub(super) fn with_holder(&self, after: &mut Model, op: &Op) -> Result<bool, &'static str> {
        match *op {
            Op::Add {
                holder,
                dwelling,
                is_child,
                from,
                to,
            } => {
                if self.present(holder).is_some() {
                    return Err("holder-exists");
                }
                let (from, to) = (self.ahead(from), self.ahead(to));
                if from.zip(to).is_some_and(|(from, to)| to < from) {
                    return Err("dates-backwards");
                }
                let (is_removed, added) = (false, after.step);
                let new = Holder {
                    dwelling,
                    is_child,
                    from,
                    to,
                    is_removed,
                    added,
                };
                after.holders.insert(holder, new);
            }
            Op::Change {
                holder,
                dwelling,
                is_child,
                to,
            } => {
                let Some(old) = self.present(holder).cloned() else {
                    return Err("no-holder");
                };
                let to = self.ahead(to);
                if (old.dwelling, old.is_child, old.to) == (dwelling, is_child, to) {
                    return Ok(false);
                }
                if old.from.zip(to).is_some_and(|(from, to)| to < from) {
                    return Err("dates-backwards");
                }
                let added = if old.dwelling == dwelling {
                    old.added
                } else {
                    after.step
                };
                let new = Holder {
                    dwelling,
                    is_child,
                    to,
                    added,
                    ..old
                };
                after.holders.insert(holder, new);
            }
            Op::Remove { holder } => {
                self.present(holder).ok_or("no-holder")?;
                after.remove(holder);
            }
            _ => {}
        }
        Ok(true)
    }

    pub(super) fn remove(&mut self, holder: usize) {
        self.holders.get_mut(&holder).unwrap().is_removed = true;
        for card in self.cards.values_mut().filter(|card| card.holder == holder) {
            card.state = CardState::Revoked;
        }
    }

    pub(super) fn with_card(&self, after: &mut Model, op: &Op) -> Result<bool, &'static str> {
        match *op {
            Op::Issue {
                card,
                holder,
                until,
            } => {
                if self.present(holder).is_none() {
                    return Err("no-holder");
                }
                let until = self.ahead(until);
                if let Some(old) = self.cards.get(&card) {
                    let is_active = old.state == CardState::Active;
                    if old.holder == holder && is_active && old.until == until {
                        return Ok(false);
                    }
                    let is_over = old.until.is_some_and(|until| until < self.today);
                    if old.state != CardState::Revoked && !is_over {
                        return Err("card-taken");
                    }
                }
                let (state, issued) = (CardState::Active, after.step);
                after.cards.insert(
                    card,
                    Card {
                        holder,
                        state,
                        until,
                        issued,
                    },
                );
                Ok(true)
            }
            Op::SetState { card, state } => {
                let holds = |new: CardState| new != CardState::Revoked;
                self.with_known_card(after, card, |card| card.state = state, holds(state))
            }
            Op::Redate { card, until } => {
                let until = self.ahead(until);
                let holds = self
                    .cards
                    .get(&card)
                    .is_some_and(|c| c.state != CardState::Revoked);
                self.with_known_card(after, card, |card| card.until = until, holds)
            }
            _ => Ok(true),
        }
    }

    pub(super) fn with_known_card(
        &self,
        after: &mut Model,
        card: usize,
        change: impl FnOnce(&mut Card),
        needs_holder: bool,
    ) -> Result<bool, &'static str> {
        let Some(old) = self.cards.get(&card) else {
            return Err("no-card");
        };
        let new = after.cards.get_mut(&card).unwrap();
        change(new);
        if (new.state, new.until) == (old.state, old.until) {
            return Ok(false);
        }
        if needs_holder && self.present(old.holder).is_none() {
            return Err("no-holder");
        }
        Ok(true)
    }

    pub(super) fn ahead(&self, days: Option<i64>) -> Option<i64> {
        days.map(|days| self.today + days)
    }

    pub(super) fn reason(&self, card: usize, is_surplus: bool) -> Reason {
        let Some(card) = self.cards.get(&card) else {
            return Reason::UnknownCard;
        };
        let holder = &self.holders[&card.holder];
        let ends = [card.until, holder.to];
        let is_over = ends.iter().flatten().any(|end| *end < self.today);
        let begins_later = holder.from.is_some_and(|from| self.today < from);
        match card.state {
            CardState::Revoked => Reason::RevokedCard,
            CardState::Lost => Reason::LostCard,
            CardState::Active if is_over => Reason::ExpiredCard,
            CardState::Active if begins_later => Reason::NotYetValid,
            CardState::Active if is_surplus => Reason::OverLimit,
            CardState::Active => Reason::Ok,
        }
    }
}

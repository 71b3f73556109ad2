//! One card at two doors too far apart in too short a time: somebody else has it, or a copy of it.
//!
//! What is remembered is the last stairwell of each card, in memory, for the short while in which a
//! second one would tell: no trail, and nothing of anyone's habits. Gates lie on everyone's way and are not
//! remembered; stairwells of one building are no distance.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::domain::card::CardKey;
use crate::domain::id::StairwellId;
use crate::domain::place::Place;
use crate::time::WallTime;

/// Cards remembered at once, at most; beyond that the oldest is forgotten.
const CARDS_MAX: usize = 10_000;

/// What is too far apart in too short a time.
#[derive(Clone, Debug, Default)]
pub struct SharedRule {
    /// Two swipes of one card in different buildings within this are one too many; zero: never.
    pub within: Duration,
    /// The building of each stairwell.
    pub buildings: BTreeMap<StairwellId, String>,
}

impl SharedRule {
    fn are_apart(&self, one: &StairwellId, other: &StairwellId) -> bool {
        match (self.buildings.get(one), self.buildings.get(other)) {
            (Some(one), Some(other)) => one != other,
            (Some(_) | None, Some(_) | None) => false,
        }
    }
}

/// The last stairwell of each card of the last moments. Cheap to clone; clones share it.
#[derive(Clone, Debug, Default)]
pub struct LastSeen(Arc<Mutex<Stairwells>>);

#[derive(Debug, Default)]
struct Stairwells {
    cards: HashMap<CardKey, Seen>,
    /// By arrival, oldest first; a card seen again is here again.
    order: VecDeque<(Instant, CardKey)>,
}

#[derive(Debug)]
struct Seen {
    stairwell: StairwellId,
    at: WallTime,
    arrived: Instant,
}

impl LastSeen {
    pub(super) fn note(
        &self,
        card: CardKey,
        place: &Place,
        when: (WallTime, Instant),
        rule: &SharedRule,
    ) -> bool {
        self.0.lock().note(card, place, when, rule)
    }
}

impl Stairwells {
    /// A swipe of `card` at `place`, which happened `at` and has `arrived` here. Was the card somewhere
    /// too far away too shortly before (or after, if this one comes late)?
    fn note(
        &mut self,
        card: CardKey,
        place: &Place,
        (at, arrived): (WallTime, Instant),
        rule: &SharedRule,
    ) -> bool {
        self.forget(arrived, rule.within);
        let Place::Stairwell(stairwell) = place else {
            return false;
        };
        if rule.within.is_zero() {
            return false;
        }
        let last = self.cards.get(&card);
        let is_shared = last.is_some_and(|last| {
            let gap = at.since(last.at).max(last.at.since(at));
            gap < rule.within && rule.are_apart(stairwell, &last.stairwell)
        });
        if last.is_none_or(|last| last.at <= at) {
            let seen = Seen {
                stairwell: stairwell.clone(),
                at,
                arrived,
            };
            self.cards.insert(card, seen);
            self.order.push_back((arrived, card));
        }
        is_shared
    }

    fn forget(&mut self, now: Instant, within: Duration) {
        while let Some((arrived, card)) = self.order.front().copied() {
            let is_old = now.saturating_duration_since(arrived) >= within;
            if !is_old && self.order.len() < CARDS_MAX {
                return;
            }
            self.order.pop_front();
            if self
                .cards
                .get(&card)
                .is_some_and(|seen| seen.arrived == arrived)
            {
                self.cards.remove(&card);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Site {
        seen: Stairwells,
        rule: SharedRule,
        start: Instant,
    }

    fn site() -> Site {
        let building = |id: &str, name: &str| (StairwellId::new(id).unwrap(), name.to_owned());
        Site {
            seen: Stairwells::default(),
            rule: SharedRule {
                within: Duration::from_secs(30),
                buildings: [
                    building("b3-u1", "3"),
                    building("b3-u2", "3"),
                    building("b4-u1", "4"),
                ]
                .into(),
            },
            start: Instant::now(),
        }
    }

    impl Site {
        /// A swipe that happened at `at_s` and arrived at `arrived_s`.
        fn swipe(&mut self, card: u8, place: &str, (at_s, arrived_s): (i64, u64)) -> bool {
            let place = Place::new(place).unwrap();
            let at = WallTime::from_unix_ms(at_s * 1_000);
            let arrived = self.start + Duration::from_secs(arrived_s);
            let card = CardKey::from_bytes([card; 16]);
            self.seen.note(card, &place, (at, arrived), &self.rule)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn two_buildings_within_half_a_minute_are_one_too_many() {
        let mut site = site();
        assert!(!site.swipe(1, "b3-u1", (0, 0)));
        assert!(!site.swipe(1, "b3-u1", (2, 2)), "its own door again");
        assert!(
            !site.swipe(1, "b3-u2", (4, 4)),
            "next door in the same building"
        );
        assert!(!site.swipe(2, "b4-u1", (5, 5)), "another card");
        assert!(
            !site.swipe(1, "compound", (6, 6)),
            "a gate is on everyone's way"
        );
        assert!(
            site.swipe(1, "b4-u1", (10, 10)),
            "the gate did not make it forgotten"
        );
        assert!(
            !site.swipe(1, "b3-u1", (40, 40)),
            "half a minute is enough for the way"
        );
        assert!(
            !site.swipe(1, "b9-u9", (41, 41)),
            "a stairwell without a building"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_swipe_that_comes_late_is_compared_by_when_it_happened() {
        let mut site = site();
        assert!(!site.swipe(1, "b3-u1", (100, 100)));
        assert!(
            !site.swipe(1, "b4-u1", (10, 101)),
            "an hour's queue is no second card"
        );
        assert!(site.swipe(1, "b4-u1", (95, 102)));
        assert!(
            !site.swipe(1, "b3-u1", (101, 103)),
            "the late one is not the last place"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_remembered_longer_than_it_can_tell() {
        let mut site = site();
        for card in 0..200 {
            site.swipe(card, "b3-u1", (0, 0));
        }
        assert_eq!(site.seen.cards.len(), 200);
        site.swipe(250, "b3-u1", (31, 31));
        assert_eq!((site.seen.cards.len(), site.seen.order.len()), (1, 1));
        site.rule.within = Duration::ZERO;
        assert!(!site.swipe(250, "b4-u1", (31, 31)));
        assert!(site.seen.cards.is_empty());
    }
}

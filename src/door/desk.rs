//! What waits to go to the doors: card lists, decisions, our own status. Bounded, and independent of
//! who carries it; the carrier says when the other side has taken something.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::event::CardList;
use super::topics::{Leaf, Topics};
use crate::domain::access::{Decision, Outcome};
use crate::domain::id::DoorId;
use crate::domain::swipe::SwipeKey;

/// Decisions that may wait; beyond that the oldest is dropped and counted.
const DECISIONS_MAX: usize = 256;
/// A decision older than this is dropped and counted: nobody stands at the door any more, and a
/// late "open" would open it for whoever comes next.
const DECISION_AGE_MAX: Duration = Duration::from_secs(5);

/// A message to be carried.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) slip: Slip,
    pub(super) topic: String,
    pub(super) payload: Bytes,
    pub(super) retain: bool,
}

/// Names a letter to [`Desk::taken`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slip {
    /// Our own status.
    Gateway { online: bool },
    /// A door's card list of that version.
    Cards { door: DoorId, version: u64 },
    /// A decision, by its number here.
    Decision { number: u64 },
}

impl Slip {
    /// The word used in metrics.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Slip::Gateway { .. } => "status",
            Slip::Cards { .. } => "cards",
            Slip::Decision { .. } => "decision",
        }
    }
}

/// Shows no content: a card list is made of card numbers.
impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Letter")
            .field("topic", &self.topic)
            .field("payload_bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}

/// Holds the letters.
pub(super) struct Desk {
    topics: Topics,
    state: Mutex<State>,
    changed: Notify,
    cleared: Notify,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

struct State {
    online: bool,
    gateway_due: bool,
    cards: BTreeMap<DoorId, (u64, Bytes)>,
    cards_due: BTreeSet<DoorId>,
    decisions: VecDeque<Waiting>,
    next_number: u64,
    n_stale: u64,
    in_hand: BTreeSet<Slip>,
}

struct Waiting {
    number: u64,
    door: DoorId,
    payload: Bytes,
    made: Instant,
}

#[derive(Serialize)]
struct DecisionMessage<'a> {
    v: u8,
    boot: &'a str,
    seq: u64,
    grant: bool,
    reason: &'static str,
}

#[derive(Serialize)]
struct CardsMessage<'a> {
    v: u8,
    version: u64,
    cards: Vec<&'a str>,
}

impl Desk {
    pub(super) fn new(topics: Topics) -> Desk {
        Desk {
            topics,
            state: Mutex::new(State {
                online: true,
                gateway_due: true,
                cards: BTreeMap::new(),
                cards_due: BTreeSet::new(),
                decisions: VecDeque::new(),
                next_number: 0,
                n_stale: 0,
                in_hand: BTreeSet::new(),
            }),
            changed: Notify::new(),
            cleared: Notify::new(),
        }
    }

    /// Returns whether the list is newer than the one held.
    pub(super) fn put_cards(&self, door: &DoorId, list: &CardList) -> bool {
        let message = CardsMessage {
            v: 1,
            version: list.version,
            cards: list.cards.iter().map(|card| card.reveal()).collect(),
        };
        let payload = json(&message);
        let mut state = self.state.lock();
        if state
            .cards
            .get(door)
            .is_some_and(|(version, _)| *version >= list.version)
        {
            return false;
        }
        state.cards.insert(door.clone(), (list.version, payload));
        state.cards_due.insert(door.clone());
        drop(state);
        self.changed.notify_one();
        true
    }

    /// Returns how many decisions were dropped for it.
    pub(super) fn put_decision(&self, door: &DoorId, key: &SwipeKey, decision: &Decision) -> u64 {
        let message = DecisionMessage {
            v: 1,
            boot: &key.boot,
            seq: key.seq,
            grant: decision.outcome == Outcome::Granted,
            reason: decision.reason.as_str(),
        };
        let payload = json(&message);
        let mut state = self.state.lock();
        let number = state.next_number;
        state.next_number += 1;
        state.decisions.push_back(Waiting {
            number,
            door: door.clone(),
            payload,
            made: Instant::now(),
        });
        let n_over = state.decisions.len().saturating_sub(DECISIONS_MAX);
        state.decisions.drain(..n_over);
        drop(state);
        self.changed.notify_one();
        u64::try_from(n_over).unwrap_or(u64::MAX)
    }

    /// Our status changes: at the end of an ordered stop.
    pub(super) fn put_online(&self, online: bool) {
        let mut state = self.state.lock();
        state.online = online;
        state.gateway_due = true;
        drop(state);
        self.changed.notify_one();
    }

    /// A new connection: what was in hand was perhaps not taken. With a lost session the broker may
    /// have lost what it retained as well, so all of that goes again.
    pub(super) fn reconnected(&self, session_present: bool) {
        let mut state = self.state.lock();
        state.in_hand.clear();
        state.gateway_due = true;
        if !session_present {
            state.cards_due = state.cards.keys().cloned().collect();
        }
        drop(state);
        self.changed.notify_one();
    }

    /// The next letter that is due and not in hand; it is then in hand until [`Desk::taken`],
    /// [`Desk::put_back`] or [`Desk::reconnected`]. Retained letters go first.
    pub(super) fn next(&self) -> Option<Letter> {
        let mut state = self.state.lock();
        state.drop_stale();
        let letter = self
            .gateway_letter(&state)
            .or_else(|| self.cards_letter(&state))
            .or_else(|| self.decision_letter(&state))?;
        state.in_hand.insert(letter.slip.clone());
        Some(letter)
    }

    /// The other side has `slip`: it is not due any more.
    pub(super) fn taken(&self, slip: &Slip) {
        let mut state = self.state.lock();
        state.in_hand.remove(slip);
        match slip {
            Slip::Gateway { online } => {
                if state.online == *online {
                    state.gateway_due = false;
                }
            }
            Slip::Cards { door, version } => {
                if state
                    .cards
                    .get(door)
                    .is_some_and(|(held, _)| held == version)
                {
                    state.cards_due.remove(door);
                }
            }
            Slip::Decision { number } => state.decisions.retain(|d| d.number != *number),
        }
        drop(state);
        self.cleared.notify_one();
    }

    /// It could not be sent now; it is due again.
    pub(super) fn put_back(&self, slip: &Slip) {
        self.state.lock().in_hand.remove(slip);
    }

    /// Waits until something may be due.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Waits until everything is taken. For one waiter.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn clear(&self) {
        while !self.is_clear() {
            self.cleared.notified().await;
        }
    }

    fn is_clear(&self) -> bool {
        let mut state = self.state.lock();
        state.drop_stale();
        !state.gateway_due && state.cards_due.is_empty() && state.decisions.is_empty()
    }

    /// Decisions dropped for their age since the last call.
    pub(super) fn take_n_stale(&self) -> u64 {
        std::mem::take(&mut self.state.lock().n_stale)
    }

    /// What a subscriber of `topic` gets at once: the retained letters.
    pub(super) fn retained(&self, topic: &str) -> Option<Bytes> {
        let state = self.state.lock();
        if topic == self.topics.gateway_status() {
            return Some(gateway_payload(state.online));
        }
        let mut lists = state.cards.iter();
        lists
            .find(|(door, _)| self.topics.door(door, Leaf::Cards) == topic)
            .map(|(_, (_, payload))| payload.clone())
    }

    fn gateway_letter(&self, state: &State) -> Option<Letter> {
        let slip = Slip::Gateway {
            online: state.online,
        };
        if !state.gateway_due || state.in_hand.contains(&slip) {
            return None;
        }
        Some(Letter {
            slip,
            topic: self.topics.gateway_status(),
            payload: gateway_payload(state.online),
            retain: true,
        })
    }

    fn cards_letter(&self, state: &State) -> Option<Letter> {
        state.cards_due.iter().find_map(|door| {
            let (version, payload) = state.cards.get(door)?;
            let slip = Slip::Cards {
                door: door.clone(),
                version: *version,
            };
            if state.in_hand.contains(&slip) {
                return None;
            }
            Some(Letter {
                slip,
                topic: self.topics.door(door, Leaf::Cards),
                payload: payload.clone(),
                retain: true,
            })
        })
    }

    fn decision_letter(&self, state: &State) -> Option<Letter> {
        state.decisions.iter().find_map(|waiting| {
            let slip = Slip::Decision {
                number: waiting.number,
            };
            if state.in_hand.contains(&slip) {
                return None;
            }
            Some(Letter {
                slip,
                topic: self.topics.door(&waiting.door, Leaf::Decision),
                payload: waiting.payload.clone(),
                retain: false,
            })
        })
    }
}

impl State {
    fn drop_stale(&mut self) {
        let now = Instant::now();
        while let Some(oldest) = self.decisions.front() {
            if now.saturating_duration_since(oldest.made) < DECISION_AGE_MAX {
                return;
            }
            let number = oldest.number;
            self.decisions.pop_front();
            // One in hand is on its way already; that it waits for its receipt makes it no staler.
            if !self.in_hand.remove(&Slip::Decision { number }) {
                self.n_stale += 1;
            }
        }
    }
}

/// The payload of our status, also as our last will.
pub(super) fn gateway_payload(online: bool) -> Bytes {
    Bytes::from_static(if online {
        br#"{"v":1,"online":true}"#
    } else {
        br#"{"v":1,"online":false}"#
    })
}

fn json(message: &impl Serialize) -> Bytes {
    Bytes::from(serde_json::to_vec(message).expect("text and numbers always become JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::access::Reason;
    use crate::domain::card::CardNumber;
    use crate::domain::id::CompoundId;

    fn desk() -> Desk {
        let desk = Desk::new(Topics::new("stairgate", &CompoundId::new("c").unwrap()).unwrap());
        let status = desk.next().unwrap();
        assert_eq!(status.topic, "stairgate/c/gateway/status");
        desk.taken(&status.slip);
        assert!(desk.is_clear());
        desk
    }

    fn list(version: u64) -> CardList {
        CardList {
            version,
            cards: vec![CardNumber::new("04a1b2c3d4").unwrap()],
        }
    }

    fn door() -> DoorId {
        DoorId::new("d").unwrap()
    }

    fn decide(desk: &Desk, seq: u64) -> u64 {
        let key = SwipeKey {
            boot: "5f3a".to_owned(),
            seq,
        };
        let decision = Decision {
            outcome: Outcome::Granted,
            reason: Reason::Ok,
            duress: false,
        };
        desk.put_decision(&door(), &key, &decision)
    }

    #[tokio::test(start_paused = true)]
    async fn the_newest_card_list_wins_whatever_was_in_hand() {
        let desk = desk();
        assert!(desk.put_cards(&door(), &list(1)));
        let first = desk.next().unwrap();
        assert!(!format!("{first:?} {desk:?}").contains("04A1"));
        assert_eq!(
            first.payload,
            r#"{"v":1,"version":1,"cards":["04A1B2C3D4"]}"#
        );
        assert!(first.retain);
        assert_eq!(desk.next(), None);
        assert!(desk.put_cards(&door(), &list(2)));
        assert!(!desk.put_cards(&door(), &list(1)));
        desk.taken(&first.slip);
        let second = desk.next().unwrap();
        desk.taken(&second.slip);
        assert!(desk.is_clear());
        assert_eq!(
            desk.retained("stairgate/c/door/d/cards"),
            Some(second.payload)
        );
        assert_eq!(desk.retained("stairgate/c/door/x/cards"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_session_sends_all_that_is_retained_again() {
        let desk = desk();
        desk.put_cards(&door(), &list(1));
        let letter = desk.next().unwrap();
        desk.taken(&letter.slip);
        desk.reconnected(true);
        assert_eq!(desk.next().unwrap().topic, "stairgate/c/gateway/status");
        assert_eq!(desk.next(), None);
        desk.reconnected(false);
        assert_eq!(desk.next().unwrap().topic, "stairgate/c/gateway/status");
        assert_eq!(desk.next().unwrap(), letter);
    }

    #[tokio::test(start_paused = true)]
    async fn a_decision_that_nobody_waits_for_any_more_is_dropped() {
        let desk = desk();
        decide(&desk, 17);
        let letter = desk.next().unwrap();
        assert_eq!(
            letter.payload,
            r#"{"v":1,"boot":"5f3a","seq":17,"grant":true,"reason":"ok"}"#
        );
        assert!(!letter.retain);
        desk.put_back(&letter.slip);
        tokio::time::advance(DECISION_AGE_MAX).await;
        assert_eq!(desk.next(), None);
        assert_eq!(desk.take_n_stale(), 1);
        for seq in 0..256 {
            assert_eq!(decide(&desk, seq), 0);
        }
        assert_eq!(decide(&desk, 256), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_ordered_stop_says_offline() {
        let desk = desk();
        desk.put_online(false);
        let letter = desk.next().unwrap();
        assert_eq!(letter.payload, r#"{"v":1,"online":false}"#);
        desk.taken(&letter.slip);
        assert!(desk.is_clear());
    }
}

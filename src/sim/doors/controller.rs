//! What a door's controller keeps and decides by itself: its sequence, its card list, the swipes it has
//! reported. No I/O.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::fault::{Faults, Malformed};
use super::{DoorMode, SimSwipe};
use crate::domain::swipe::{ControllerResult, Direction, DoorState, Method, SwipeKey};
use crate::door::device::{CardsMessage, DecisionMessage};
use crate::time::WallTime;

/// Reported swipes that the controller remembers, for [`super::SimDoor::replay`].
const HISTORY_MAX: usize = 64;
/// Swipes that may wait for a decision.
const WAITING_MAX: usize = 1_024;
/// One byte more than is read of a swipe (contract, section 3).
const HUGE_BYTES: usize = 64 * 1_024 + 1;

/// A decision as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) grant: bool,
    pub(super) reason: String,
    pub(super) at: Instant,
}

#[derive(Serialize)]
struct SwipeMessage<'a> {
    v: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    boot: Option<&'a str>,
    seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<WallTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    card: Option<&'a str>,
    direction: Direction,
    result: ControllerResult,
    method: Method,
}

#[derive(Serialize)]
struct StateMessage {
    v: u8,
    at: WallTime,
    state: DoorState,
}

/// A swipe, ready to be published.
pub(super) struct Report {
    pub(super) key: SwipeKey,
    pub(super) payload: Bytes,
    /// What the controller did by itself.
    pub(super) result: ControllerResult,
    pub(super) answer: oneshot::Receiver<Answer>,
}

pub(super) struct Controller {
    boot: String,
    seq: u64,
    pub(super) faults: Faults,
    /// Version and cards of the list held.
    cards: Option<(u64, BTreeSet<String>)>,
    history: VecDeque<Bytes>,
    waiting: BTreeMap<(String, u64), oneshot::Sender<Answer>>,
}

impl Controller {
    pub(super) fn new() -> Controller {
        Controller {
            boot: boot(),
            seq: 0,
            faults: Faults::default(),
            cards: None,
            history: VecDeque::new(),
            waiting: BTreeMap::new(),
        }
    }

    /// Starts anew, as after a loss of power: the card list is kept.
    pub(super) fn reboot(&mut self) {
        self.boot = boot();
        self.seq = 0;
        self.waiting.clear();
    }

    /// Takes a swipe at `now` of our clock.
    pub(super) fn swipe(&mut self, swipe: &SimSwipe, mode: DoorMode, now: WallTime) -> Report {
        self.seq += 1;
        let key = SwipeKey {
            boot: self.boot.clone(),
            seq: self.seq,
        };
        let result = match mode {
            DoorMode::Record => self.decide(swipe),
            DoorMode::Online => ControllerResult::Unknown,
        };
        let malformed = self.faults.malformed;
        let card = swipe.card.as_ref().map(|card| card.reveal());
        let message = SwipeMessage {
            v: if malformed == Some(Malformed::Version) {
                2
            } else {
                1
            },
            boot: (malformed != Some(Malformed::NoBoot)).then_some(key.boot.as_str()),
            seq: key.seq,
            at: (!self.faults.no_time).then(|| self.wall(now)),
            card: if malformed == Some(Malformed::BadCard) {
                Some("not a card")
            } else {
                card
            },
            direction: swipe.direction,
            result,
            method: swipe.method,
        };
        let payload = match malformed {
            Some(Malformed::NotJson) => Bytes::from_static(b"swipe!"),
            Some(Malformed::Empty) => Bytes::new(),
            Some(Malformed::Huge) => Bytes::from(vec![b' '; HUGE_BYTES]),
            Some(Malformed::Version | Malformed::NoBoot | Malformed::BadCard) | None => {
                json(&message)
            }
        };
        if self.history.len() == HISTORY_MAX {
            self.history.pop_front();
        }
        self.history.push_back(payload.clone());
        let (sender, answer) = oneshot::channel();
        if self.waiting.len() == WAITING_MAX {
            self.waiting.pop_first();
        }
        self.waiting.insert((key.boot.clone(), key.seq), sender);
        Report {
            key,
            payload,
            result,
            answer,
        }
    }

    /// What the controller does by itself: it opens to the cards of its list.
    pub(super) fn decide(&self, swipe: &SimSwipe) -> ControllerResult {
        let is_listed = match (&swipe.card, &self.cards) {
            (Some(card), Some((_, cards))) => cards.contains(card.reveal()),
            // A button inside opens, whatever the list.
            (None, _) => true,
            (Some(_), None) => false,
        };
        if is_listed {
            ControllerResult::Granted
        } else {
            ControllerResult::Denied
        }
    }

    pub(super) fn state(&self, state: DoorState, now: WallTime) -> Bytes {
        json(&StateMessage {
            v: 1,
            at: self.wall(now),
            state,
        })
    }

    /// The last `n` payloads reported, oldest first.
    pub(super) fn last_reports(&self, n: usize) -> Vec<Bytes> {
        let n_before = self.history.len().saturating_sub(n);
        self.history.iter().skip(n_before).cloned().collect()
    }

    /// Takes in a card list.
    pub(super) fn take_cards(&mut self, list: CardsMessage) {
        self.cards = Some((list.version, list.cards.into_iter().collect()));
    }

    /// Version and length of the list held.
    pub(super) fn cards(&self) -> Option<(u64, usize)> {
        let (version, cards) = self.cards.as_ref()?;
        Some((*version, cards.len()))
    }

    /// Takes in a decision; false when nobody waits for it.
    pub(super) fn take_decision(&mut self, decision: DecisionMessage, at: Instant) -> bool {
        let waiting = self.waiting.remove(&(decision.boot, decision.seq));
        let answer = Answer {
            grant: decision.grant,
            reason: decision.reason,
            at,
        };
        waiting.is_some_and(|waiting| waiting.send(answer).is_ok())
    }

    pub(super) fn forget(&mut self, key: &SwipeKey) {
        self.waiting.remove(&(key.boot.clone(), key.seq));
    }

    fn wall(&self, now: WallTime) -> WallTime {
        let offset_ms = self.faults.clock_offset_ms;
        let offset = Duration::from_millis(offset_ms.unsigned_abs());
        if offset_ms >= 0 {
            now.plus(offset)
        } else {
            now.minus(offset)
        }
    }
}

fn boot() -> String {
    format!("{:08x}", fastrand::u32(..))
}

fn json(message: &impl Serialize) -> Bytes {
    let text = serde_json::to_vec(message).expect("our messages have only plain values");
    Bytes::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::card::CardNumber;
    use crate::door::decode::native;

    fn list(card: &str) -> CardsMessage {
        CardsMessage {
            v: 1,
            version: 3,
            cards: vec![card.to_owned()],
        }
    }

    fn swipe(card: &str) -> SimSwipe {
        SimSwipe::card(CardNumber::new(card).unwrap())
    }

    #[test]
    fn what_a_controller_says_the_gateway_reads() {
        let mut controller = Controller::new();
        controller.take_cards(list("04A1B2C3D4"));
        controller.faults.clock_offset_ms = -1_500;
        let now = WallTime::from_unix_ms(10_000);
        let report = controller.swipe(&swipe("04A1B2C3D4"), DoorMode::Record, now);
        let parts = native::swipe(&report.payload).unwrap();
        assert_eq!(parts.key, report.key);
        assert_eq!(parts.controller_result, ControllerResult::Granted);
        assert_eq!(parts.controller_at, Some(WallTime::from_unix_ms(8_500)));
        let stranger = controller.swipe(&swipe("FFFF0000"), DoorMode::Record, now);
        assert_eq!(stranger.result, ControllerResult::Denied);
        assert_eq!(stranger.key.seq, 2);
        let asked = controller.swipe(&swipe("FFFF0000"), DoorMode::Online, now);
        assert_eq!(asked.result, ControllerResult::Unknown);
        assert!(native::state(&controller.state(DoorState::Forced, now)).is_ok());
        assert_eq!(controller.cards(), Some((3, 1)));
    }

    #[test]
    fn malformed_swipes_cannot_be_read() {
        for malformed in [
            Malformed::NotJson,
            Malformed::Version,
            Malformed::NoBoot,
            Malformed::BadCard,
            Malformed::Empty,
            Malformed::Huge,
        ] {
            let mut controller = Controller::new();
            controller.faults.malformed = Some(malformed);
            let now = WallTime::from_unix_ms(0);
            let report = controller.swipe(&swipe("ABCD"), DoorMode::Record, now);
            assert!(native::swipe(&report.payload).is_err(), "{malformed:?}");
        }
    }

    #[test]
    fn a_reboot_changes_the_boot_and_keeps_list_and_history() {
        let mut controller = Controller::new();
        controller.take_cards(list("ABCD"));
        let now = WallTime::from_unix_ms(0);
        let before = controller.swipe(&swipe("ABCD"), DoorMode::Record, now);
        controller.reboot();
        let after = controller.swipe(&swipe("ABCD"), DoorMode::Record, now);
        assert_eq!((before.key.seq, after.key.seq), (1, 1));
        assert_ne!(before.key.boot, after.key.boot);
        assert_eq!(after.result, ControllerResult::Granted);
        assert_eq!(
            controller.last_reports(2),
            [before.payload, after.payload.clone()]
        );
        assert_eq!(controller.last_reports(1), [after.payload]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_decision_finds_its_swipe_once() {
        let mut controller = Controller::new();
        let now = WallTime::from_unix_ms(0);
        let report = controller.swipe(&swipe("ABCD"), DoorMode::Online, now);
        let decision = DecisionMessage {
            v: 1,
            boot: report.key.boot.clone(),
            seq: report.key.seq,
            grant: true,
            reason: "ok".to_owned(),
        };
        let at = Instant::now();
        assert!(controller.take_decision(decision.clone(), at));
        assert!(!controller.take_decision(decision, at));
        let answer = report.answer.await.unwrap();
        assert!(answer.grant && answer.reason == "ok");
    }
}

//! The next unknown card at a door: somebody in the property office waits for it, and may issue that card
//! without ever seeing its number.
//!
//! The swipe is an entry like every other, and raises what it raises: nobody can keep a door quiet by
//! waiting at it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::domain::card::CardNumber;
use crate::domain::id::DoorId;
use crate::domain::role::ActorName;

/// How long a captured card can be issued.
pub const CAPTURE_KEPT: Duration = Duration::from_secs(5 * 60);
/// Captured cards held at a time; beyond that the oldest is forgotten.
const CAPTURES_MAX: usize = 64;

/// Who waits at which door, and the cards that came. Cheap to clone; clones are one.
#[derive(Clone, Debug, Default)]
pub struct NextCards(Arc<Mutex<Board>>);

#[derive(Debug, Default)]
struct Board {
    waiting: BTreeMap<DoorId, (u64, oneshot::Sender<CardNumber>)>,
    captures: Vec<Capture>,
    n_waits: u64,
}

/// A card that came. Shows no number.
#[derive(Debug)]
struct Capture {
    id: String,
    by: ActorName,
    card: CardNumber,
    at: Instant,
}

/// What whoever waited is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// Names the card once, for the account that waited.
    pub id: String,
    /// What people may see of its number.
    pub card_ref: String,
}

/// How a wait ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waited {
    /// A card came.
    Card(Captured),
    /// None came in time.
    Nothing,
    /// Somebody waits at this door already.
    Taken,
}

/// Ends a wait, also when whoever waited has gone.
struct Place<'a> {
    cards: &'a NextCards,
    door: &'a DoorId,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut board = self.cards.0.lock();
        if board
            .waiting
            .get(self.door)
            .is_some_and(|(number, _)| *number == self.number)
        {
            board.waiting.remove(self.door);
        }
    }
}

impl NextCards {
    /// Waits for the next unknown card at `door`, for the account `by`.
    ///
    /// # Cancel safety
    /// Who stops waiting gives its place back; a card that came in that moment is not captured.
    pub async fn wait(&self, door: &DoorId, by: &ActorName, within: Duration) -> Waited {
        let (card_tx, card_rx) = oneshot::channel();
        let number = {
            let mut board = self.0.lock();
            if board.waiting.contains_key(door) {
                return Waited::Taken;
            }
            board.n_waits += 1;
            let number = board.n_waits;
            board.waiting.insert(door.clone(), (number, card_tx));
            number
        };
        let _place = Place {
            cards: self,
            door,
            number,
        };
        match timeout(within, card_rx).await {
            Ok(Ok(card)) => Waited::Card(self.capture(by, card)),
            Ok(Err(_)) | Err(_) => Waited::Nothing,
        }
    }

    /// A card that nobody holds was just swiped at `door`; is it captured?
    pub(super) fn offer(&self, door: &DoorId, card: &CardNumber) -> bool {
        let waiting = self.0.lock().waiting.remove(door);
        waiting.is_some_and(|(_, card_tx)| card_tx.send(card.clone()).is_ok())
    }

    fn capture(&self, by: &ActorName, card: CardNumber) -> Captured {
        let mut board = self.0.lock();
        board.captures.retain(is_fresh);
        if board.captures.len() >= CAPTURES_MAX {
            board.captures.remove(0);
        }
        let id = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let card_ref = card.tail();
        board.captures.push(Capture {
            id: id.clone(),
            by: by.clone(),
            card,
            at: Instant::now(),
        });
        Captured { id, card_ref }
    }

    /// The card that was captured under `id` for `by`; `None` when it is older than [`CAPTURE_KEPT`], was
    /// issued, or is another account's.
    pub fn card(&self, id: &str, by: &ActorName) -> Option<CardNumber> {
        let board = self.0.lock();
        let mut fresh = board.captures.iter().filter(|it| is_fresh(it));
        let found = fresh.find(|it| it.id == id && it.by == *by);
        found.map(|it| it.card.clone())
    }

    /// The card was issued: its capture names nothing any more.
    pub fn used(&self, id: &str) {
        self.0.lock().captures.retain(|it| it.id != id);
    }
}

fn is_fresh(capture: &Capture) -> bool {
    capture.at.elapsed() < CAPTURE_KEPT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(id: &str) -> DoorId {
        DoorId::new(id).unwrap()
    }

    fn name(text: &str) -> ActorName {
        ActorName::new(text).unwrap()
    }

    async fn wait_and_offer(cards: &NextCards, number: &str) -> Captured {
        let (d1, wang) = (door("d1"), name("wang"));
        let card = CardNumber::new(number).unwrap();
        let wait = cards.wait(&d1, &wang, Duration::from_secs(10));
        let offer = async {
            assert!(!cards.offer(&door("d2"), &card), "nobody waits there");
            assert!(cards.offer(&d1, &card));
            assert!(!cards.offer(&d1, &card), "one card for one wait");
        };
        match tokio::join!(wait, offer) {
            (Waited::Card(captured), ()) => captured,
            (other, ()) => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_card_is_for_who_waited_for_it_and_for_five_minutes() {
        let cards = NextCards::default();
        let captured = wait_and_offer(&cards, "04A1B2C3D4").await;
        assert_eq!(captured.card_ref, "\u{2026}C3D4");
        assert!(!format!("{cards:?}").contains("04A1"));
        assert_eq!(cards.card(&captured.id, &name("li")), None);
        let card = cards.card(&captured.id, &name("wang")).unwrap();
        assert_eq!(card.reveal(), "04A1B2C3D4");
        tokio::time::advance(CAPTURE_KEPT).await;
        assert_eq!(cards.card(&captured.id, &name("wang")), None);

        let captured = wait_and_offer(&cards, "04A1B2C3D5").await;
        cards.used(&captured.id);
        assert_eq!(cards.card(&captured.id, &name("wang")), None);
    }

    #[tokio::test(start_paused = true)]
    async fn one_waits_at_a_door_and_a_place_is_given_back() {
        let cards = NextCards::default();
        let (d1, wang) = (door("d1"), name("wang"));
        let within = Duration::from_secs(10);
        let second = async { cards.wait(&d1, &wang, within).await };
        let (first, second) = tokio::join!(cards.wait(&d1, &wang, within), second);
        assert_eq!((first, second), (Waited::Nothing, Waited::Taken));
        drop(timeout(Duration::from_secs(1), cards.wait(&d1, &wang, within)).await);
        assert_eq!(cards.wait(&d1, &wang, within).await, Waited::Nothing);
    }

    #[tokio::test(start_paused = true)]
    async fn captured_cards_are_bounded() {
        let cards = NextCards::default();
        let first = wait_and_offer(&cards, "0000").await;
        for n in 1..=CAPTURES_MAX {
            wait_and_offer(&cards, &format!("{n:04X}")).await;
        }
        assert_eq!(cards.card(&first.id, &name("wang")), None);
        assert_eq!(cards.0.lock().captures.len(), CAPTURES_MAX);
    }
}

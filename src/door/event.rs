//! What the doors tell the rest of the gateway, and the token that says "it is kept, forget it".

use std::fmt;

use tokio::sync::oneshot;

use crate::domain::card::CardNumber;
use crate::domain::id::DoorId;
use crate::domain::swipe::{DoorState, Reject, Swipe};
use crate::time::WallTime;

/// One thing that a door said. Each comes with an [`Ack`] to be used once it is durable.
#[derive(Debug)]
pub enum DoorEvent {
    /// Someone asked to pass. May come again with the same key.
    Swipe {
        /// What was decoded.
        swipe: Swipe,
        /// For when its entry is on the disk.
        ack: Ack,
    },
    /// The door itself changed: forced, held, tampered with, opened, shut. May come again.
    State {
        /// Which door.
        door: DoorId,
        /// How it is now.
        state: DoorState,
        /// When: the controller's time where it said so, else the arrival.
        at: WallTime,
        /// For when what follows from it is on the disk.
        ack: Ack,
    },
    /// The door's controller is there, or its last will says that it is not. Comes again with each
    /// heartbeat and each new connection, mostly with nothing new in it.
    Status {
        /// Which door.
        door: DoorId,
        /// Is its controller there?
        online: bool,
        /// The controller's firmware, when it said so; at most 64 characters, none of them control.
        firmware: Option<String>,
        /// For when what follows from it is on the disk.
        ack: Ack,
    },
    /// A message that cannot be read.
    Reject {
        /// What to keep of it.
        reject: Reject,
        /// For when that is kept; else it would come back for ever.
        ack: Ack,
    },
}

/// The receipt that a message waits for.
///
/// [`Ack::done`] says that what it caused is durable: the broker may forget it. An `Ack` dropped
/// undone says that it was not: the message is asked for again.
#[must_use = "dropped undone, the message comes again"]
pub struct Ack(Option<Box<dyn FnOnce(bool) + Send + Sync>>);

impl Ack {
    /// Tells `told` once: `true` from [`Ack::done`], `false` when dropped undone. `told` must not wait.
    pub fn new(told: impl FnOnce(bool) + Send + Sync + 'static) -> Ack {
        Ack(Some(Box::new(told)))
    }

    /// For a message that nobody waits for, such as one with QoS 0.
    pub fn nobody() -> Ack {
        Ack(None)
    }

    /// An `Ack` and what becomes of it: `true` once done, `false` when dropped undone. For tests
    /// and for in-process senders.
    pub fn watched() -> (Ack, oneshot::Receiver<bool>) {
        let (tx, rx) = oneshot::channel();
        let ack = Ack::new(move |done| {
            // A receiver that has gone away does not want to know.
            let _unheard = tx.send(done).is_err();
        });
        (ack, rx)
    }

    /// What the message caused is on the disk. Never waits.
    pub fn done(mut self) {
        if let Some(told) = self.0.take() {
            told(true);
        }
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        if let Some(told) = self.0.take() {
            told(false);
        }
    }
}

impl fmt::Debug for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ack")
    }
}

/// The cards that a door lets in by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CardList {
    /// Grows with each change; a list with a smaller version than the door's is ignored.
    pub version: u64,
    /// The cards, in any order.
    pub cards: Vec<CardNumber>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_ack_tells_once_whether_it_was_done() {
        let (ack, told) = Ack::watched();
        ack.done();
        assert_eq!(told.await, Ok(true));
        let (ack, told) = Ack::watched();
        drop(ack);
        assert_eq!(told.await, Ok(false));
        Ack::nobody().done();
    }
}

//! The board on which every part of the gateway says how it is, with a reason people can act on.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;

use crate::time::{Clock, WallTime};

/// How a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Does its work.
    Ok,
    /// Is on its way up.
    Starting,
    /// Works less well, or is away and will come back by itself.
    Degraded,
    /// Needs someone.
    Failed,
}

/// One part's line on the board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Component {
    /// How it is.
    pub state: State,
    /// Why, in words that say what to do; empty when `Ok`. Never holds a password or a card.
    pub reason: String,
    /// Since when it is so.
    pub since: WallTime,
}

/// The board. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct HealthBoard {
    clock: Clock,
    components: Arc<Mutex<BTreeMap<String, Component>>>,
}

/// One part's hand on the board; its line goes away with it.
#[derive(Debug)]
pub struct Health {
    board: HealthBoard,
    name: String,
}

impl HealthBoard {
    /// An empty board.
    pub fn new(clock: Clock) -> HealthBoard {
        HealthBoard {
            clock,
            components: Arc::default(),
        }
    }

    /// Puts up a line for `name`, such as `camera/b03-u2-in`, as starting.
    pub fn component(&self, name: impl Into<String>) -> Health {
        let health = Health {
            board: self.clone(),
            name: name.into(),
        };
        health.set(State::Starting, "starting");
        health
    }

    /// All lines, by name.
    pub fn snapshot(&self) -> BTreeMap<String, Component> {
        self.components.lock().clone()
    }

    /// The worst state on the board; `Ok` when it is empty.
    pub fn worst(&self) -> State {
        self.components
            .lock()
            .values()
            .map(|c| c.state)
            .max()
            .unwrap_or(State::Ok)
    }
}

impl Health {
    /// Says how the part is; returns whether its state changed (not merely the reason).
    pub fn set(&self, state: State, reason: &str) -> bool {
        let now = self.board.clock.now();
        let mut components = self.board.components.lock();
        let changed = components
            .get(&self.name)
            .is_none_or(|old| old.state != state);
        let since = match components.get(&self.name) {
            Some(old) if !changed => old.since,
            _ => now,
        };
        components.insert(
            self.name.clone(),
            Component {
                state,
                reason: reason.to_owned(),
                since,
            },
        );
        changed
    }

    /// The part does its work.
    pub fn ok(&self) -> bool {
        self.set(State::Ok, "")
    }

    /// The part is away or works less well; it will come back by itself.
    pub fn degraded(&self, reason: &str) -> bool {
        self.set(State::Degraded, reason)
    }

    /// The part needs someone.
    pub fn failed(&self, reason: &str) -> bool {
        self.set(State::Failed, reason)
    }
}

impl Drop for Health {
    fn drop(&mut self) {
        self.board.components.lock().remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_keeps_its_since_until_the_state_changes() {
        let board = HealthBoard::new(Clock::simulated(WallTime::from_unix_ms(0)));
        let camera = board.component("camera/a");
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        assert!(camera.degraded("connection refused"));
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        assert!(!camera.degraded("time-out"));
        let line = board.snapshot()["camera/a"].clone();
        assert_eq!(
            (line.since.unix_ms(), line.reason.as_str()),
            (1_000, "time-out")
        );
        assert_eq!(board.worst(), State::Degraded);
        drop(camera);
        assert!(board.snapshot().is_empty());
    }
}

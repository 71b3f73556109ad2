//! What is known of each door, for the API and for judging a controller's clock.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::Instant;

use crate::domain::id::DoorId;
use crate::domain::swipe::{DoorState, Swipe};
use crate::telemetry::{Health, HealthBoard, State};
use crate::time::WallTime;

/// Swipes within this of a new connection may be a backlog, so they say nothing of a clock.
const BACKLOG: Duration = Duration::from_secs(5);
/// Differences of clocks remembered for each door.
const SKEW_SAMPLES: usize = 8;
const NS_PER_MS: i64 = 1_000_000;

/// What is known of a door. A field is `None` until the door has said it since we started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DoorStatus {
    /// Which door.
    pub door: DoorId,
    /// Is its controller there? `None`: never heard of it.
    pub online: Option<bool>,
    /// When anything of it last arrived.
    pub last_seen: Option<WallTime>,
    /// When its last swipe arrived.
    pub last_swipe: Option<WallTime>,
    /// What its controller says it runs.
    pub firmware: Option<String>,
    /// The version of the newest card list made for it.
    pub cards_version: Option<u64>,
    /// Its controller's clock less ours, in milliseconds; positive: theirs is ahead. From live swipes.
    pub skew_ms: Option<i64>,
    /// Open, closed, forced, held or tampered with.
    pub state: Option<DoorState>,
}

/// The statuses of all configured doors, and their lines `door/<id>` on the health board.
#[derive(Debug)]
pub(super) struct StatusBook {
    board: HealthBoard,
    lines: Mutex<BTreeMap<DoorId, Line>>,
}

#[derive(Debug)]
struct Line {
    health: Health,
    status: DoorStatus,
    skew_ns: VecDeque<i64>,
    /// Before this a swipe may come from a backlog.
    live_from: Instant,
}

impl StatusBook {
    pub(super) fn new(board: &HealthBoard) -> StatusBook {
        StatusBook {
            board: board.clone(),
            lines: Mutex::default(),
        }
    }

    /// Keeps the lines of these doors, adds what is missing, removes the others.
    pub(super) fn set_doors<'a>(&self, doors: impl Iterator<Item = &'a DoorId>) {
        let mut lines = self.lines.lock();
        let mut kept = BTreeMap::new();
        for door in doors {
            let line = lines.remove(door);
            let line = line.unwrap_or_else(|| Line::new(door, &self.board));
            kept.insert(door.clone(), line);
        }
        *lines = kept;
    }

    pub(super) fn snapshot(&self) -> Vec<DoorStatus> {
        let lines = self.lines.lock();
        lines.values().map(|line| line.status.clone()).collect()
    }

    pub(super) fn get(&self, door: &DoorId) -> Option<DoorStatus> {
        self.lines.lock().get(door).map(|line| line.status.clone())
    }

    /// A new connection to the broker: a backlog may follow, of every door.
    pub(super) fn connected(&self, at: Instant) {
        for line in self.lines.lock().values_mut() {
            line.live_from = at + BACKLOG;
        }
    }

    /// Takes in that a swipe came; returns whether it is live: neither retained nor, as far as can be
    /// told, part of a backlog.
    pub(super) fn swiped(&self, swipe: &Swipe) -> bool {
        let mut is_live = !swipe.may_have_waited;
        self.change(&swipe.door, |line| {
            line.heard(swipe.received_at);
            line.status.last_swipe = Some(swipe.received_at);
            is_live &= swipe.arrived >= line.live_from;
            if let (true, Some(controller_at)) = (is_live, swipe.controller_at) {
                line.sample(controller_at.ns_since(swipe.received_at));
            }
        });
        is_live
    }

    pub(super) fn stated(&self, door: &DoorId, state: DoorState, received_at: WallTime) {
        self.change(door, |line| {
            line.heard(received_at);
            line.status.state = Some(state);
        });
    }

    pub(super) fn reported(
        &self,
        door: &DoorId,
        online: bool,
        firmware: Option<&str>,
        at: (WallTime, Instant),
    ) {
        self.change(door, |line| {
            if online {
                line.status.last_seen = Some(at.0);
                if line.status.online != Some(true) {
                    // It may have kept swipes while it was away.
                    line.live_from = line.live_from.max(at.1 + BACKLOG);
                }
            }
            line.set_online(online);
            if let Some(firmware) = firmware {
                line.status.firmware = Some(firmware.to_owned());
            }
        });
    }

    pub(super) fn listed(&self, door: &DoorId, version: u64) {
        self.change(door, |line| line.status.cards_version = Some(version));
    }

    fn change(&self, door: &DoorId, change: impl FnOnce(&mut Line)) {
        if let Some(line) = self.lines.lock().get_mut(door) {
            change(line);
        }
    }
}

impl Line {
    fn new(door: &DoorId, board: &HealthBoard) -> Line {
        let health = board.component(format!("door/{door}"));
        health.set(State::Starting, "nothing heard of it yet");
        Line {
            health,
            status: DoorStatus {
                door: door.clone(),
                online: None,
                last_seen: None,
                last_swipe: None,
                firmware: None,
                cards_version: None,
                skew_ms: None,
                state: None,
            },
            skew_ns: VecDeque::new(),
            live_from: Instant::now() + BACKLOG,
        }
    }

    fn heard(&mut self, at: WallTime) {
        self.status.last_seen = Some(at);
        // Whoever speaks is there, whatever an older last will said.
        self.set_online(true);
    }

    fn set_online(&mut self, online: bool) {
        if self.status.online == Some(online) {
            return;
        }
        self.status.online = Some(online);
        if online {
            self.health.ok();
        } else {
            let reason = "its controller went away: look at its power and its network";
            self.health.degraded(reason);
        }
    }

    /// A delay on the way only makes a controller's clock look slower, so the largest of the last
    /// few differences is the nearest to the truth.
    fn sample(&mut self, difference_ns: i64) {
        if self.skew_ns.len() == SKEW_SAMPLES {
            self.skew_ns.pop_front();
        }
        self.skew_ns.push_back(difference_ns);
        self.status.skew_ms = self.skew_ns.iter().max().map(|ns| ns.div_euclid(NS_PER_MS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::swipe::{ControllerResult, Direction, Method, SwipeKey};
    use crate::time::Clock;

    fn book(door: &DoorId) -> StatusBook {
        let book = StatusBook::new(&HealthBoard::new(Clock::system()));
        book.set_doors(std::iter::once(door));
        book
    }

    fn swipe(door: &DoorId, received_ms: i64, controller_ms: i64) -> Swipe {
        Swipe {
            door: door.clone(),
            key: SwipeKey {
                boot: String::new(),
                seq: 0,
            },
            card: None,
            direction: Direction::Unknown,
            method: Method::Button,
            controller_result: ControllerResult::Unknown,
            controller_at: Some(WallTime::from_unix_ms(controller_ms)),
            received_at: WallTime::from_unix_ms(received_ms),
            arrived: Instant::now(),
            may_have_waited: false,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn skew_comes_from_live_swipes_and_the_least_delayed_one() {
        let door = DoorId::new("d").unwrap();
        let book = book(&door);
        assert_eq!(book.get(&door).unwrap().online, None);
        book.swiped(&swipe(&door, 10_000_000, 4_000_000));
        assert_eq!(book.get(&door).unwrap().skew_ms, None);
        assert_eq!(book.get(&door).unwrap().online, Some(true));

        tokio::time::advance(BACKLOG).await;
        book.swiped(&swipe(&door, 20_000_000, 20_001_500));
        book.swiped(&swipe(&door, 30_000_000, 29_990_000));
        assert_eq!(book.get(&door).unwrap().skew_ms, Some(1_500));

        let at = (WallTime::from_unix_ms(0), Instant::now());
        book.reported(&door, false, None, at);
        book.reported(&door, true, Some("1.2"), at);
        book.swiped(&swipe(&door, 40_000_000, 49_000_000));
        assert_eq!(book.get(&door).unwrap().skew_ms, Some(1_500));
        assert_eq!(book.get(&door).unwrap().firmware.as_deref(), Some("1.2"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_last_will_makes_a_door_offline_and_speaking_brings_it_back() {
        let door = DoorId::new("d").unwrap();
        let book = book(&door);
        let at = (WallTime::from_unix_ms(1), Instant::now());
        book.reported(&door, false, None, at);
        let health = book.board.snapshot()["door/d"].clone();
        assert_eq!(health.state, State::Degraded);
        assert_eq!(book.get(&door).unwrap().last_seen, None);
        book.stated(&door, DoorState::Held, at.0);
        let status = book.get(&door).unwrap();
        assert_eq!(
            (status.online, status.state),
            (Some(true), Some(DoorState::Held))
        );
        assert_eq!(book.snapshot().len(), 1);
        let stranger = DoorId::new("x").unwrap();
        book.reported(&stranger, true, None, at);
        assert_eq!(book.snapshot().len(), 1);
    }
}

//! What is known of each door, for the API and for judging a controller's clock.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::Instant;

use crate::domain::id::DoorId;
use crate::domain::swipe::{DoorState, Swipe};
use crate::telemetry::{Health, HealthBoard, State};
use crate::time::WallTime;

/// Swipes within this of a new connection, or of the last swipe that was surely of its backlog, may be a
/// backlog, so they say nothing of a clock.
const BACKLOG: Duration = Duration::from_secs(5);
/// Longest time to bring a backlog: 300 doors' swipes of a day, at the pace of a slow disk.
const DRAIN_MAX: Duration = Duration::from_secs(600);
/// A swipe that comes so much later than its controller says has waited.
const LATE: Duration = Duration::from_secs(5);
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
    /// Its controller's clock less ours, in milliseconds; positive: theirs is ahead. `None` before three
    /// live swipes.
    pub skew_ms: Option<i64>,
    /// Open, closed, forced, held or tampered with.
    pub state: Option<DoorState>,
}

/// The statuses of all configured doors, and their lines `door/<id>` on the health board.
#[derive(Debug)]
pub(super) struct StatusBook {
    board: HealthBoard,
    lines: Mutex<BTreeMap<DoorId, Line>>,
    /// Our link to the broker.
    broker: Mutex<Link>,
}

/// A link that was made anew, and the backlog that may come over it.
#[derive(Clone, Copy, Debug)]
struct Link {
    made: Instant,
    live_from: Instant,
}

impl Link {
    fn made(at: Instant) -> Link {
        Link {
            made: at,
            live_from: at + BACKLOG,
        }
    }

    /// Takes in that a swipe came over it; returns whether it came after the backlog.
    fn carried(&mut self, arrived: Instant, is_late: bool) -> bool {
        if arrived >= self.live_from {
            return true;
        }
        if is_late {
            let goes_on = self.live_from.max(arrived + BACKLOG);
            self.live_from = goes_on.min(self.made + DRAIN_MAX);
        }
        false
    }
}

#[derive(Debug)]
struct Line {
    health: Health,
    status: DoorStatus,
    /// Its controller's own link.
    link: Link,
    /// It, or its last will, has said that it went.
    announces: bool,
}

impl StatusBook {
    pub(super) fn new(board: &HealthBoard) -> StatusBook {
        StatusBook {
            board: board.clone(),
            lines: Mutex::default(),
            broker: Mutex::new(Link::made(Instant::now())),
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
        *self.broker.lock() = Link::made(at);
    }

    /// Takes in that a swipe came, over a connection made at `connected` when that is known; returns
    /// whether it is live: neither retained nor, as far as links tell, part of a backlog.
    pub(super) fn swiped(&self, swipe: &Swipe, connected: Option<Instant>) -> bool {
        let mut is_live = !swipe.may_have_waited;
        self.change(&swipe.door, |line| {
            line.heard(swipe.received_at);
            line.status.last_swipe = Some(swipe.received_at);
            if let Some(at) = connected.filter(|at| *at > line.link.made) {
                line.link = Link::made(at);
            }
            let is_late = line.is_late(swipe);
            is_live &= line.link.carried(swipe.arrived, is_late);
            if connected.is_none() {
                is_live &= self.broker.lock().carried(swipe.arrived, is_late);
            }
        });
        is_live
    }

    /// Does the controller of `door` say when it comes and goes, as seen once at least?
    pub(super) fn announces(&self, door: &DoorId) -> bool {
        let lines = self.lines.lock();
        lines.get(door).is_some_and(|line| line.announces)
    }

    /// Takes in what to add to the time of `door` to get ours.
    pub(super) fn set_skew(&self, door: &DoorId, skew_ns: Option<i64>) {
        let skew_ms = skew_ns.map(|ns| ns.saturating_neg().div_euclid(NS_PER_MS));
        self.change(door, |line| line.status.skew_ms = skew_ms);
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
            line.announces |= !online;
            if online {
                line.status.last_seen = Some(at.0);
                if line.status.online != Some(true) {
                    // It may have kept swipes while it was away.
                    line.link = Link::made(at.1);
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
            link: Link::made(Instant::now()),
            announces: false,
        }
    }

    /// Does `swipe` come later than its controller's clock, as far as that is known, allows?
    fn is_late(&self, swipe: &Swipe) -> bool {
        let late_ns = i64::try_from(LATE.as_nanos()).unwrap_or(i64::MAX);
        let ahead_ns = self.status.skew_ms.unwrap_or(0).saturating_mul(NS_PER_MS);
        swipe.controller_at.is_some_and(|said| {
            let delay_ns = swipe.received_at.ns_since(said).saturating_add(ahead_ns);
            delay_ns > late_ns
        })
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
    async fn what_comes_soon_after_a_new_link_may_be_a_backlog() {
        let door = DoorId::new("d").unwrap();
        let book = book(&door);
        assert_eq!(book.get(&door).unwrap().online, None);
        assert!(!book.swiped(&swipe(&door, 10_000_000, 4_000_000), None));
        assert_eq!(book.get(&door).unwrap().online, Some(true));
        tokio::time::advance(BACKLOG).await;
        assert!(book.swiped(&swipe(&door, 20_000_000, 20_001_500), None));
        assert!(!book.announces(&door));

        // A controller that says so, and one whose connection we see.
        let at = (WallTime::from_unix_ms(0), Instant::now());
        book.reported(&door, false, None, at);
        book.reported(&door, true, Some("1.2"), at);
        assert!(!book.swiped(&swipe(&door, 40_000_000, 39_000_000), None));
        assert!(book.announces(&door));
        assert_eq!(book.get(&door).unwrap().firmware.as_deref(), Some("1.2"));
        tokio::time::advance(BACKLOG).await;
        assert!(book.swiped(&swipe(&door, 50_000_000, 50_000_000), Some(at.1)));
        let connected = Some(Instant::now());
        assert!(!book.swiped(&swipe(&door, 60_000_000, 51_000_000), connected));
        tokio::time::advance(BACKLOG).await;
        assert!(book.swiped(&swipe(&door, 70_000_000, 70_000_000), connected));

        book.set_skew(&door, Some(-1_500_000_000));
        assert_eq!(book.get(&door).unwrap().skew_ms, Some(1_500));
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_backlog_of_all_doors_is_one_to_its_end_and_a_wrong_clock_is_none() {
        let doors = ["a", "b"].map(|id| DoorId::new(id).unwrap());
        let book = StatusBook::new(&HealthBoard::new(Clock::system()));
        book.set_doors(doors.iter());
        tokio::time::advance(DRAIN_MAX).await;
        book.connected(Instant::now());
        let mut received_ms = 90_000_000;
        // 20 s of swipes of an hour ago, of one door; the last one is the other's.
        for door in std::iter::repeat_n(&doors[0], 20).chain([&doors[1]]) {
            assert!(!book.swiped(&swipe(door, received_ms, received_ms - 3_600_000), None));
            tokio::time::advance(Duration::from_secs(1)).await;
            received_ms += 1_000;
        }
        tokio::time::advance(BACKLOG).await;
        assert!(book.swiped(&swipe(&doors[0], received_ms, received_ms), None));

        // A door whose clock is an hour behind, and known to be so, is live soon after a new link.
        book.set_skew(&doors[1], Some(3_600_000_000_000));
        book.connected(Instant::now());
        for n_s in 0..10 {
            let behind = swipe(&doors[1], received_ms, received_ms - 3_600_000);
            assert_eq!(book.swiped(&behind, None), n_s >= 5, "{n_s} s");
            tokio::time::advance(Duration::from_secs(1)).await;
            received_ms += 1_000;
        }
        // However long a chain of late ones is, it ends.
        book.set_skew(&doors[1], None);
        book.connected(Instant::now());
        for n_s in 0..=DRAIN_MAX.as_secs() {
            let behind = swipe(&doors[1], received_ms, received_ms - 3_600_000);
            assert_eq!(book.swiped(&behind, None), n_s >= DRAIN_MAX.as_secs());
            tokio::time::advance(Duration::from_secs(1)).await;
            received_ms += 1_000;
        }
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

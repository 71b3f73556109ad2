//! What is known of each door, for the API and for judging a controller's clock.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::Instant;

use crate::domain::id::DoorId;
use crate::domain::swipe::{DoorState, Swipe};
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

/// The statuses of all configured doors.
#[derive(Debug)]
pub(super) struct StatusBook {
    lines: Mutex<BTreeMap<DoorId, Line>>,
}

#[derive(Debug)]
struct Line {
    status: DoorStatus,
    skew_ns: VecDeque<i64>,
    /// Before this a swipe may come from a backlog.
    live_from: Instant,
}

impl StatusBook {
    pub(super) fn new<'a>(doors: impl Iterator<Item = &'a DoorId>) -> StatusBook {
        let line = |door: &DoorId| Line {
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
        };
        StatusBook {
            lines: Mutex::new(doors.map(|door| (door.clone(), line(door))).collect()),
        }
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

    pub(super) fn swiped(&self, swipe: &Swipe) {
        self.change(&swipe.door, |line| {
            line.heard(swipe.received_at);
            line.status.last_swipe = Some(swipe.received_at);
            let live = !swipe.retained && swipe.arrived >= line.live_from;
            if let (true, Some(controller_at)) = (live, swipe.controller_at) {
                line.sample(controller_at.ns_since(swipe.received_at));
            }
        });
    }

    pub(super) fn stated(&self, door: &DoorId, state: DoorState, received_at: WallTime) {
        self.change(door, |line| {
            line.heard(received_at);
            line.status.state = Some(state);
        });
    }

    /// Returns whether `online` is news.
    pub(super) fn reported(
        &self,
        door: &DoorId,
        online: bool,
        firmware: Option<&str>,
        at: (WallTime, Instant),
    ) -> bool {
        self.change(door, |line| {
            let news = line.status.online != Some(online);
            if online {
                line.status.last_seen = Some(at.0);
                if news {
                    // It may have kept swipes while it was away.
                    line.live_from = line.live_from.max(at.1 + BACKLOG);
                }
            }
            line.status.online = Some(online);
            if let Some(firmware) = firmware {
                line.status.firmware = Some(firmware.to_owned());
            }
            news
        })
        .unwrap_or(false)
    }

    pub(super) fn listed(&self, door: &DoorId, version: u64) {
        self.change(door, |line| line.status.cards_version = Some(version));
    }

    fn change<T>(&self, door: &DoorId, change: impl FnOnce(&mut Line) -> T) -> Option<T> {
        self.lines.lock().get_mut(door).map(change)
    }
}

impl Line {
    fn heard(&mut self, at: WallTime) {
        self.status.last_seen = Some(at);
        // Whoever speaks is there, whatever an older last will said.
        self.status.online = Some(true);
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
            retained: false,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn skew_comes_from_live_swipes_and_the_least_delayed_one() {
        let door = DoorId::new("d").unwrap();
        let book = StatusBook::new(std::iter::once(&door));
        assert_eq!(book.get(&door).unwrap().online, None);
        book.swiped(&swipe(&door, 10_000_000, 4_000_000));
        assert_eq!(book.get(&door).unwrap().skew_ms, None);
        assert_eq!(book.get(&door).unwrap().online, Some(true));

        tokio::time::advance(BACKLOG).await;
        book.swiped(&swipe(&door, 20_000_000, 20_001_500));
        book.swiped(&swipe(&door, 30_000_000, 29_990_000));
        assert_eq!(book.get(&door).unwrap().skew_ms, Some(1_500));

        let at = (WallTime::from_unix_ms(0), Instant::now());
        assert!(book.reported(&door, false, None, at));
        assert!(book.reported(&door, true, Some("1.2"), at));
        book.swiped(&swipe(&door, 40_000_000, 49_000_000));
        assert_eq!(book.get(&door).unwrap().skew_ms, Some(1_500));
        assert_eq!(book.get(&door).unwrap().firmware.as_deref(), Some("1.2"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_last_will_makes_a_door_offline_and_speaking_brings_it_back() {
        let door = DoorId::new("d").unwrap();
        let book = StatusBook::new(std::iter::once(&door));
        let at = (WallTime::from_unix_ms(1), Instant::now());
        assert!(book.reported(&door, false, None, at));
        assert!(!book.reported(&door, false, None, at));
        assert_eq!(book.get(&door).unwrap().last_seen, None);
        book.stated(&door, DoorState::Held, at.0);
        let status = book.get(&door).unwrap();
        assert_eq!(
            (status.online, status.state),
            (Some(true), Some(DoorState::Held))
        );
        assert_eq!(book.snapshot().len(), 1);
        let stranger = DoorId::new("x").unwrap();
        assert!(!book.reported(&stranger, true, None, at));
    }
}

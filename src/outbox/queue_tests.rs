//! The queue against a brute-force reading of its own rules, and the cases that matter most.

use proptest::prelude::*;

use super::*;
use crate::domain::alert::DeliveryState;
use crate::domain::id::LinkageId;

fn alert(n: u64) -> AlertId {
    AlertId::derive(&[&n.to_be_bytes()])
}

fn delivery(n: u64, door: &str, severity: u8) -> Delivery {
    Delivery {
        alert: alert(n),
        linkage: LinkageId::new("duty-room").unwrap(),
        state: DeliveryState::Waiting,
        raised_at: WallTime::from_unix_ms(0),
        seq: n,
        lane: door.to_owned(),
        severity,
        waiting_since: WallTime::from_unix_ms(0),
        revision: 1,
        delivered_revision: 0,
        not_before: WallTime::from_unix_ms(0),
        next_revision_at: None,
        n_failed: 0,
        n_attempts: 0,
        last_error: None,
        delivered_at: None,
        receipt: None,
    }
}

fn due(n: u64, door: &str, severity: u8, now: Instant) -> Item {
    Item::of(&delivery(n, door, severity), now, false)
}

fn backing_off(n: u64, door: &str, severity: u8, until: Instant) -> Item {
    let mut delivery = delivery(n, door, severity);
    delivery.n_failed = 1;
    Item::of(&delivery, until, false)
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn alerts_of_a_door_go_one_after_the_other_and_doors_side_by_side() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    for (n, door) in [(1, "a"), (2, "a"), (3, "b"), (4, "")] {
        queue.put(due(n, door, 3, now), now);
    }
    assert_eq!(queue.start(now), Some(alert(1)));
    assert_eq!(queue.start(now), Some(alert(3)));
    assert_eq!(queue.start(now), Some(alert(4)));
    assert_eq!(queue.start(now), None);
    queue.finish(&alert(1), None, now);
    assert_eq!(queue.start(now), Some(alert(2)));
    assert_eq!(queue.len(), 3);
}

#[tokio::test]
async fn urgent_goes_first_and_never_waits_for_routine() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    queue.put(due(1, "a", 3, now), now);
    queue.put(due(2, "b", 3, now), now);
    assert_eq!(queue.start(now), Some(alert(1)));
    queue.put(due(3, "a", 2, now), now);
    assert_eq!(queue.next_up(now), Some((2, true)));
    assert_eq!(queue.start(now), Some(alert(3)));
}

#[tokio::test]
async fn what_failed_holds_up_its_lane_but_not_a_person_in_danger_and_not_for_ever() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    queue.put(backing_off(1, "a", 2, now + SECOND * 30), now);
    queue.put(due(2, "a", 2, now), now);
    assert_eq!(queue.start(now), None);
    queue.put(due(3, "a", 1, now), now);
    assert_eq!(queue.start(now), Some(alert(3)));
    queue.finish(&alert(3), None, now);
    assert_eq!(queue.next_due_at(), Some(now + SECOND * 30));
    let later = now + SECOND * 30;
    assert_eq!(queue.start(later), Some(alert(1)));
    let much_later = now + ORDER_WAIT_MAX;
    let again = backing_off(1, "a", 2, much_later + SECOND * 30);
    queue.finish(&alert(1), Some(again), much_later);
    assert_eq!(queue.start(much_later), Some(alert(2)));
}

#[tokio::test]
async fn what_is_held_holds_up_nobody() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let until = now + SECOND * 30;
    queue.put(Item::of(&delivery(1, "a", 3), until, true), now);
    queue.put(due(2, "a", 3, now), now);
    assert_eq!(queue.oldest(), Some(WallTime::from_unix_ms(0)));
    assert_eq!(queue.start(now), Some(alert(2)));
    queue.finish(&alert(2), None, now);
    assert_eq!(
        (queue.start(now), queue.oldest(), queue.has_unheld()),
        (None, None, false)
    );
    assert_eq!(queue.start(until), Some(alert(1)));
}

#[tokio::test]
async fn a_revision_that_comes_during_the_attempt_does_not_start_a_second_one() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    queue.put(due(1, "a", 3, now), now);
    assert_eq!(queue.start(now), Some(alert(1)));
    queue.put(due(1, "a", 3, now), now);
    assert_eq!(queue.start(now), None);
    let mut follow_up = delivery(1, "a", 3);
    follow_up.delivered_revision = 1;
    queue.finish(&alert(1), Some(Item::of(&follow_up, now, false)), now);
    assert_eq!(queue.start(now), Some(alert(1)));
}

#[tokio::test]
async fn when_the_receiver_is_back_nobody_waits_for_a_backoff() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let until = now + SECOND * 60;
    queue.put(backing_off(1, "a", 3, until), now);
    queue.put(Item::of(&delivery(2, "b", 3), until, true), now);
    queue.link_is_up(now);
    assert_eq!(queue.start(now), Some(alert(1)));
    assert_eq!(queue.start(now), None);
}

#[derive(Clone, Debug)]
enum Op {
    Put {
        n: u64,
        severity: u8,
        follow_up: bool,
        n_failed: u32,
        wait_s: u64,
    },
    Remove(u64),
    Start,
    Finish {
        pick: usize,
        again_s: Option<u64>,
    },
    Wait(u64),
    Up,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => (0u64..12, 1u8..=4, any::<bool>(), 0u32..3, 0u64..40).prop_map(
            |(n, severity, follow_up, n_failed, wait_s)| Op::Put {
                n, severity, follow_up: follow_up && n % 3 == 0, n_failed,
                wait_s: wait_s.saturating_sub(20),
            }
        ),
        1 => (0u64..12).prop_map(Op::Remove),
        5 => Just(Op::Start),
        3 => (0usize..8, prop::option::of(0u64..40))
            .prop_map(|(pick, again_s)| Op::Finish { pick, again_s }),
        2 => (0u64..30).prop_map(Op::Wait),
        1 => Just(Op::Up),
    ]
}

/// The door of alert `n`: its severity is fixed too, as an alert's kind never changes.
fn door(n: u64) -> &'static str {
    ["a", "b", ""][usize::try_from(n % 3).unwrap()]
}

/// May it go, read literally from the rules.
fn may_go(queue: &Queue, item: &Item, now: Instant) -> bool {
    if item.in_flight || item.due_at > now {
        return false;
    }
    let Lane::Ordered { .. } = item.lane else {
        return true;
    };
    let in_lane = || queue.items().filter(|other| other.lane == item.lane);
    let earlier = |than: u64| in_lane().filter(move |other| other.seq < than);
    let holds_up = |other: &Item| other.due_at > now && other.blocks(now);
    let is_held_up = |item: &Item| {
        let graver = |other: &Item| other.severity == 1 || item.severity != 1;
        earlier(item.seq).any(|other| holds_up(other) && graver(other))
    };
    in_lane().all(|other| !other.in_flight)
        && !is_held_up(item)
        && earlier(item.seq).all(|other| other.due_at > now || is_held_up(other))
}

proptest! {
    #[test]
    fn the_best_of_those_that_may_go_goes(ops in prop::collection::vec(op(), 0..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time().start_paused(true).build().unwrap();
        let _guard = runtime.enter();
        let mut now = Instant::now();
        let mut queue = Queue::default();
        let mut severities = HashMap::new();
        for op in ops {
            match op {
                Op::Put { n, severity, follow_up, n_failed, wait_s } => {
                    let severity = *severities.entry(n).or_insert(severity);
                    let mut delivery = delivery(n, door(n), severity);
                    delivery.n_failed = n_failed;
                    delivery.delivered_revision = u32::from(follow_up);
                    let held = n_failed == 0 && wait_s > 0;
                    queue.put(Item::of(&delivery, now + SECOND * u32::try_from(wait_s).unwrap(), held), now);
                }
                Op::Remove(n) => queue.remove(&alert(n), now),
                Op::Start => {
                    queue.advance(now);
                    let best = queue.items().filter(|item| may_go(&queue, item, now))
                        .map(Item::rank).min();
                    prop_assert_eq!(queue.start(now), best.map(|rank| rank.alert));
                }
                Op::Finish { pick, again_s } => {
                    let mut flying: Vec<AlertId> =
                        queue.items().filter(|item| item.in_flight).map(|item| item.alert).collect();
                    flying.sort();
                    if let Some(id) = flying.get(pick % flying.len().max(1)).copied() {
                        let n = (0..12).find(|n| alert(*n) == id).unwrap();
                        let next = again_s.map(|wait_s| {
                            let until = now + SECOND * u32::try_from(wait_s).unwrap();
                            backing_off(n, door(n), severities[&n], until)
                        });
                        queue.finish(&id, next, now);
                    }
                }
                Op::Wait(seconds) => now += SECOND * u32::try_from(seconds).unwrap(),
                Op::Up => queue.link_is_up(now),
            }
            queue.advance(now);
            prop_assert!(queue.timers.len() <= 2 * queue.items.len());
            prop_assert!(queue.lanes.len() <= queue.items.len());
        }
    }
}

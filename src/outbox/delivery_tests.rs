//! The machine against a tiny model: which revisions exist, which the receiver took.

use proptest::prelude::*;

use super::*;
use crate::domain::alert::AlertKind;
use crate::domain::id::{AlertId, DoorId};
use crate::domain::place::Place;

const GIVE_UP_AFTER: Duration = Duration::from_secs(1_000);

fn rules() -> RetryRules {
    RetryRules {
        backoff: Backoff::new(Duration::from_millis(500), Duration::from_secs(60), 50).unwrap(),
        give_up_after: GIVE_UP_AFTER,
    }
}

fn at(second: u64) -> WallTime {
    WallTime::from_unix_ms(0).plus(Duration::from_secs(second))
}

fn delivery(hold_s: u64) -> Delivery {
    let alert = Alert {
        id: AlertId::derive(&[b"a"]),
        revision: 1,
        kind: AlertKind::WrongPlace,
        raised_at: at(0),
        place: Place::Compound,
        door: Some(DoorId::new("gate").unwrap()),
        camera: None,
        entry: None,
        count: 1,
        detail: String::new(),
        ended_at: None,
        dwelling: None,
    };
    let linkage = LinkageId::new("duty-room").unwrap();
    Delivery::of(&alert, &linkage, 1, Duration::from_secs(hold_s), at(0))
}

fn failure(class: Class, retry_after_s: u64) -> Failure {
    Failure {
        class,
        text: "no luck".to_owned(),
        retry_after: (retry_after_s > 0).then(|| Duration::from_secs(retry_after_s)),
    }
}

#[test]
fn a_held_delivery_is_released_by_its_clip_and_not_by_anything_else() {
    let mut held = delivery(30);
    assert!(held.is_held(at(5)));
    held.revised(2, Release::AfterHold, at(5));
    assert!(held.is_held(at(5)));
    held.revised(3, Release::Now, at(6));
    assert_eq!(held.not_before, at(6));
    assert_eq!((held.revision, held.delivered_revision), (3, 0));
}

#[test]
fn a_revision_during_an_attempt_goes_out_after_it() {
    let mut delivery = delivery(0);
    // The attempt at revision 1 runs; the clip settles; the attempt succeeds.
    delivery.revised(2, Release::Now, at(1));
    delivery.succeeded(1, "200", at(2));
    assert_eq!(delivery.state, DeliveryState::Waiting);
    assert_eq!(delivery.delivered_revision, 1);
    assert!(delivery.not_before <= at(2));
    delivery.succeeded(2, "200", at(3));
    assert_eq!(delivery.state, DeliveryState::Delivered);
}

#[test]
fn a_growing_count_is_told_once_in_a_pause() {
    let pause = Duration::from_secs(10);
    let mut delivery = delivery(0);
    delivery.revised(2, Release::AfterPause(pause), at(1));
    delivery.succeeded(1, "200", at(2));
    assert_eq!(delivery.not_before, at(11));
    delivery.revised(3, Release::AfterPause(pause), at(5));
    assert_eq!(delivery.not_before, at(11));
    delivery.succeeded(3, "200", at(11));
    delivery.revised(4, Release::AfterPause(pause), at(12));
    assert_eq!(
        (delivery.state, delivery.not_before),
        (DeliveryState::Waiting, at(22))
    );
}

#[test]
fn a_refusal_is_final_only_for_what_was_refused() {
    let mut delivery = delivery(0);
    delivery.revised(2, Release::Now, at(1));
    delivery.failed(1, &failure(Class::Permanent, 0), &rules(), at(2));
    assert_eq!(delivery.state, DeliveryState::Waiting);
    delivery.failed(2, &failure(Class::Permanent, 0), &rules(), at(3));
    assert_eq!(delivery.state, DeliveryState::Dead);
    assert_eq!(delivery.last_error.as_deref(), Some("no luck"));
    delivery.revised(3, Release::Now, at(4));
    assert_eq!(delivery.state, DeliveryState::Dead);
    assert!(delivery.retried(at(5)));
    assert!(!delivery.retried(at(5)));
    assert_eq!((delivery.revision, delivery.not_before), (3, at(5)));
}

#[test]
fn the_receivers_wish_to_wait_is_respected() {
    let mut delivery = delivery(0);
    delivery.failed(1, &failure(Class::Transient, 45), &rules(), at(1));
    assert_eq!(delivery.not_before, at(46));
    assert!(!delivery.is_held(at(1)));
}

#[test]
fn patience_ends_and_says_why() {
    let mut delivery = delivery(0);
    delivery.failed(1, &failure(Class::Transient, 0), &rules(), at(999));
    assert_eq!(delivery.state, DeliveryState::Waiting);
    delivery.failed(1, &failure(Class::Transient, 0), &rules(), at(1_000));
    assert_eq!(delivery.state, DeliveryState::Dead);
    assert_eq!(delivery.last_error.as_deref(), Some("given up: no luck"));
    // The last attempt had reached the receiver all the same.
    delivery.succeeded(1, "200", at(1_001));
    assert_eq!(delivery.state, DeliveryState::Delivered);
}

#[derive(Clone, Debug)]
enum Op {
    Revise(u8),
    Start,
    Succeed,
    Fail(u8, u64),
    Retry,
    Sweep,
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => (0u8..3).prop_map(Op::Revise),
        4 => Just(Op::Start),
        3 => Just(Op::Succeed),
        3 => (0u8..3, 0u64..90).prop_map(|(class, wait)| Op::Fail(class, wait)),
        1 => Just(Op::Retry),
        1 => Just(Op::Sweep),
        3 => (0u64..400).prop_map(Op::Wait),
    ]
}

fn is_consistent(delivery: &Delivery) -> bool {
    let newest_taken = delivery.delivered_revision == delivery.revision;
    match delivery.state {
        DeliveryState::Delivered => newest_taken,
        DeliveryState::Waiting | DeliveryState::Dead => !newest_taken,
    }
}

proptest! {
    #[test]
    fn never_lost_never_backwards_dead_only_with_a_reason(
        hold_s in 0u64..40, ops in prop::collection::vec(op(), 0..80),
    ) {
        let mut delivery = delivery(hold_s);
        let (mut now_s, mut newest, mut taken, mut on_the_way) = (0, 1, 0, None);
        for op in ops {
            let before = delivery.clone();
            let now = at(now_s);
            let mut may_die = false;
            match op {
                Op::Wait(seconds) => now_s += seconds,
                Op::Revise(how) => {
                    newest += 1;
                    let pause = Release::AfterPause(Duration::from_secs(10));
                    let how = [Release::Now, Release::AfterHold, pause][usize::from(how)];
                    delivery.revised(newest, how, now);
                }
                Op::Start => {
                    let due = delivery.state == DeliveryState::Waiting && delivery.not_before <= now;
                    if due && on_the_way.is_none() {
                        on_the_way = Some(newest);
                    }
                }
                Op::Succeed => {
                    if let Some(revision) = on_the_way.take() {
                        taken = taken.max(revision);
                        delivery.succeeded(revision, "200", now);
                    }
                }
                Op::Fail(class, wait) => {
                    if let Some(revision) = on_the_way.take() {
                        let class =
                            [Class::Transient, Class::Permanent, Class::Cancelled][usize::from(class)];
                        may_die = match class {
                            Class::Permanent => revision == newest,
                            Class::Transient => now.since(before.waiting_since) >= GIVE_UP_AFTER,
                            Class::Cancelled => false,
                        };
                        delivery.failed(revision, &failure(class, wait), &rules(), now);
                    }
                }
                Op::Retry => {
                    prop_assert_eq!(delivery.retried(now), before.state == DeliveryState::Dead);
                }
                Op::Sweep => {
                    may_die = now.since(before.waiting_since) >= GIVE_UP_AFTER;
                    if may_die {
                        delivery.give_up("away");
                    }
                }
            }
            prop_assert!(is_consistent(&delivery), "{:?}", delivery);
            prop_assert_eq!(delivery.revision, newest);
            prop_assert_eq!(delivery.delivered_revision, taken);
            let died = delivery.state == DeliveryState::Dead && before.state != DeliveryState::Dead;
            prop_assert!(!died || (may_die && delivery.last_error.is_some()));
            // Nobody waits longer than the longest backoff, hold, pause or wish of the receiver.
            let wait = delivery.not_before.since(at(now_s));
            prop_assert!(wait <= Duration::from_secs(90));
        }
        // From wherever it is: tried again by hand if need be, one receipt of the newest settles it.
        delivery.retried(at(now_s));
        delivery.succeeded(newest, "200", at(now_s));
        prop_assert_eq!(delivery.state, DeliveryState::Delivered);
    }
}

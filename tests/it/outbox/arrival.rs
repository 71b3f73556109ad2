//! What arrives, when, and what becomes of what is refused.

use std::time::Duration;

use stairgate::domain::alert::{AlertKind, DeliveryState};
use stairgate::domain::id::EntryId;
use stairgate::outbox::{Change, DeliveryId, Kinds, Retried};
use stairgate::store::tables;
use stairgate::telemetry::State;
use stairgate::time::{Clock, WallTime};
use tokio::time::Instant;

use super::{Bed, SOON, arrive, assert_in_order, fast, id, pick, setup};
use crate::harness::{Logs, eventually, temp_dir};
use crate::linkage::receiver::{Manner, Receiver};
use crate::linkage::{alert, facts};

fn now() -> WallTime {
    Clock::system().now()
}

#[tokio::test]
async fn an_alert_arrives_once_at_each_linkage_that_wants_its_kind() {
    let _logs = Logs::capture();
    let (dir, police, office) = (temp_dir(), Receiver::start().await, Receiver::start().await);
    let mut picky = setup("office", &office);
    picky.policy.kinds = Kinds::from_words(["door-held"]).unwrap();
    let bed = Bed::start(dir.path(), vec![setup("police", &police), picky]);
    let held = alert(1, AlertKind::DoorHeld, "gate", now());
    let duress = alert(2, AlertKind::Duress, "gate", now());
    bed.raise(vec![held.clone(), duress.clone(), held.clone()], false)
        .await;
    bed.raise(vec![duress.clone()], false).await;
    arrive(&police, &[held.clone(), duress.clone()], SOON).await;
    arrive(&office, std::slice::from_ref(&held), SOON).await;
    let delivered = || bed.deliveries(DeliveryState::Delivered).len() == 3;
    eventually("three are delivered", SOON, delivered).await;
    assert_eq!((police.taken().len(), office.taken().len()), (2, 1));
    let ok = || bed.health("police").state == State::Ok;
    eventually("the health is good", SOON, ok).await;
    let receipt = bed.deliveries(DeliveryState::Delivered).remove(0).receipt;
    assert_eq!(receipt.as_deref(), Some("200 fixture-17"));
    for metric in [
        r#"stairgate_outbox_deliveries{linkage="police",state="delivered"}"#,
        r#"stairgate_delivery_seconds_count{linkage="police"}"#,
    ] {
        eventually(metric, SOON, || bed.metric(metric) > 1.5).await;
    }
    bed.assert_sound();
    bed.stop().await;
}

#[tokio::test]
async fn a_routine_alert_waits_for_its_clip_and_an_urgent_one_is_followed_by_it() {
    let _logs = Logs::capture();
    let (dir, police) = (temp_dir(), Receiver::start().await);
    let bed = Bed::start(dir.path(), vec![setup("police", &police)]);
    let entry = EntryId::derive(&[b"entry"]);
    let mut routine = alert(1, AlertKind::WrongPlace, "gate", now());
    let mut urgent = alert(2, AlertKind::UnknownCard, "gate", now());
    (routine.entry, urgent.entry) = (Some(entry), Some(entry));
    bed.raise(vec![routine.clone(), urgent.clone()], true).await;
    arrive(&police, std::slice::from_ref(&urgent), SOON).await;
    assert_eq!(police.taken().len(), 1, "the routine one waits");
    let other = Change::ClipSettled {
        entry: EntryId::derive(&[b"other"]),
    };
    assert!(!bed.revise(&routine, other).await);
    let settled_at = Instant::now();
    for alert in [&routine, &urgent] {
        assert!(bed.revise(alert, Change::ClipSettled { entry }).await);
    }
    eventually("both in revision 2", SOON, || {
        let revisions = police.revisions();
        revisions.len() == 2 && revisions.values().all(|revision| *revision == 2)
    })
    .await;
    let last = police.taken().pop().unwrap();
    assert!(last.at - settled_at < Duration::from_secs(1));
    assert_eq!(police.taken().len(), 3, "the routine one came once");
    bed.stop().await;
}

#[tokio::test]
async fn what_is_refused_is_a_dead_letter_that_can_be_sent_again() {
    let mut logs = Logs::capture();
    logs.expect("alert went to the dead letters");
    let (dir, police) = (temp_dir(), Receiver::start().await);
    let bed = Bed::start(dir.path(), vec![setup("police", &police)]);
    police.behave(Manner::Answer(401, "", "who are you?"));
    let alerts: Vec<_> = (0..7)
        .map(|n| alert(n, AlertKind::DoorForced, "gate", now()))
        .collect();
    bed.raise(alerts.clone(), false).await;
    let dead = || bed.deliveries(DeliveryState::Dead);
    eventually("all are dead", SOON, || dead().len() == 7).await;
    let why = dead().remove(0).last_error.unwrap();
    assert!(why.contains("401") && why.contains("who are you?"), "{why}");
    eventually("the health says so", SOON, || {
        bed.health("police").reason.contains("7 alerts")
    })
    .await;
    assert_eq!(police.n_posts(), 7, "nothing is tried again by itself");
    bed.assert_sound();

    police.behave(Manner::Take);
    let one = DeliveryId::of(&dead()[3]);
    assert_eq!(
        bed.outbox.retry(one.clone()).await.unwrap(),
        Retried::TakenUp
    );
    eventually("one arrives", SOON, || police.taken().len() == 1).await;
    eventually("and is delivered", SOON, || dead().len() == 6).await;
    assert_eq!(bed.outbox.retry(one).await.unwrap(), Retried::NotDead);
    let strange = "00112233445566778899aabbccddeeff.police".parse().unwrap();
    assert_eq!(bed.outbox.retry(strange).await.unwrap(), Retried::Unknown);
    assert_eq!(bed.outbox.retry_all(Some(&id("police"))).await.unwrap(), 6);
    arrive(&police, &alerts, SOON).await;
    eventually("all is well", SOON, || {
        bed.health("police").state == State::Ok
    })
    .await;
    bed.assert_sound();
    bed.stop().await;
}

#[tokio::test]
async fn dead_letters_of_a_linkage_that_is_gone_stay_where_people_see_them() {
    let mut logs = Logs::capture();
    logs.expect("alert went to the dead letters");
    let (dir, police, office) = (temp_dir(), Receiver::start().await, Receiver::start().await);
    let refusal = Manner::Answer(422, "", "");
    police.behave(refusal);
    office.behave(refusal);
    let both = vec![setup("police", &police), setup("office", &office)];
    let bed = Bed::start(dir.path(), both);
    let alerts = [alert(1, AlertKind::DoorForced, "gate", now())];
    bed.raise(alerts.to_vec(), false).await;
    let dead = || bed.deliveries(DeliveryState::Dead);
    eventually("both are dead", SOON, || dead().len() == 2).await;
    let only_office = vec![setup("office", &office)];
    bed.outbox.reload(only_office, facts()).await.unwrap();
    office.behave(Manner::Take);
    let of = |linkage| DeliveryId {
        alert: alerts[0].id,
        linkage: id(linkage),
    };
    let gone = bed.outbox.retry(of("police")).await.unwrap();
    assert_eq!(gone, Retried::LinkageGone);
    let strange = bed.outbox.retry(of("nobody")).await.unwrap();
    assert_eq!(strange, Retried::Unknown);
    assert_eq!(bed.outbox.retry_all(Some(&id("police"))).await.unwrap(), 0);
    assert_eq!(bed.outbox.retry_all(None).await.unwrap(), 1);
    arrive(&office, &alerts, SOON).await;
    assert_eq!(dead().len(), 1);
    assert_eq!(dead()[0].linkage, id("police"));
    bed.assert_sound();
    bed.stop().await;
}

#[tokio::test]
async fn a_restart_goes_on_where_it_stopped() {
    let _logs = Logs::capture();
    let (dir, police) = (temp_dir(), Receiver::start().await);
    let alerts: Vec<_> = (0..100)
        .map(|n| alert(n, AlertKind::Tamper, pick(&["a", "b", "c"], n), now()))
        .collect();
    police.behave(Manner::Slow(Duration::from_millis(20)));
    let mut lives = 0;
    let bed = Bed::start(dir.path(), vec![setup("police", &police)]);
    for chunk in alerts.chunks(5) {
        bed.raise(chunk.to_vec(), false).await;
    }
    let mut bed = Some(bed);
    while police.taken().len() < 100 {
        let life = bed.take().unwrap();
        let seen = police.taken().len();
        eventually("some more", SOON, || {
            police.taken().len() >= (seen + 20).min(100)
        })
        .await;
        life.stop().await;
        lives += 1;
        bed = Some(Bed::start(dir.path(), vec![setup("police", &police)]));
    }
    assert!(lives > 2);
    assert_eq!(police.n_repeats(), 0, "an orderly stop repeats nothing");
    assert_in_order(&police.taken(), &alerts);
    let bed = bed.unwrap();
    eventually("nothing waits", SOON, || {
        bed.deliveries(DeliveryState::Waiting).is_empty()
    })
    .await;
    bed.assert_sound();
    bed.stop().await;
}

#[tokio::test]
async fn a_flood_arrives_as_few_alerts_whose_count_is_whole() {
    let _logs = Logs::capture();
    let (dir, police) = (temp_dir(), Receiver::start().await);
    let mut options = fast();
    options.flood = stairgate::outbox::FloodOptions {
        window: Duration::from_millis(500),
        ..Default::default()
    };
    let bed = Bed::start_with(
        dir.path(),
        vec![setup("police", &police)],
        options,
        Clock::system(),
    );
    for n in 0..200 {
        let mut swipe = alert(n, AlertKind::UnknownCard, "gate", now());
        swipe.entry = Some(EntryId::derive(&[&n.to_be_bytes()]));
        bed.raise(vec![swipe.clone(), swipe], false).await;
    }
    let danger: Vec<_> = (1_000..1_050)
        .map(|n| alert(n, AlertKind::Duress, "gate", now()))
        .collect();
    bed.raise(danger.clone(), false).await;
    arrive(&police, &danger, SOON).await;
    let counted = || {
        let mut counts = std::collections::HashMap::new();
        for taken in police.taken() {
            if taken.text("kind") == "unknown-card" {
                counts.insert(taken.id, taken.json["count"].as_u64().unwrap());
            }
        }
        counts.values().sum::<u64>()
    };
    eventually("the counts add up", SOON, || counted() == 200).await;
    let n_messages = police.taken().len() - danger.len();
    assert!(n_messages < 40, "{n_messages} messages for 200 swipes");
    let n_kept = bed.store.scan(tables::ALERTS_BY_ENTRY, &()).count();
    assert_eq!(n_kept, 200, "each entry knows its alert");
    bed.assert_sound();
    bed.stop().await;
}

#[tokio::test]
async fn old_delivered_rows_are_forgotten_and_nothing_else() {
    let mut logs = Logs::capture();
    logs.expect("dead letters");
    let (dir, police) = (temp_dir(), Receiver::start().await);
    let clock = Clock::simulated(now());
    let bed = Bed::start_with(
        dir.path(),
        vec![setup("police", &police)],
        fast(),
        clock.clone(),
    );
    police.behave_to("\"tamper\"", Manner::Answer(400, "", ""));
    let taken = alert(1, AlertKind::Duress, "gate", clock.now());
    let dead = alert(2, AlertKind::Tamper, "gate", clock.now());
    bed.raise(vec![taken, dead], false).await;
    let settled = || bed.deliveries(DeliveryState::Waiting).is_empty();
    eventually("nothing waits", SOON, settled).await;
    assert_eq!(bed.outbox.prune().await.unwrap(), 0);
    clock.step(31 * 86_400 * 1_000_000_000);
    let young = alert(3, AlertKind::Duress, "gate", clock.now());
    bed.raise(vec![young], false).await;
    eventually("nothing waits", SOON, settled).await;
    // One delivered row and two steps of the feed.
    assert_eq!(bed.outbox.prune().await.unwrap(), 3);
    assert_eq!(bed.deliveries(DeliveryState::Dead).len(), 1);
    assert_eq!(bed.deliveries(DeliveryState::Delivered).len(), 1);
    assert_eq!(bed.store.scan(tables::ALERTS, &()).count(), 3);
    bed.assert_sound();
    bed.stop().await;
}

#[tokio::test]
async fn a_full_outbox_sheds_to_the_dead_letters_and_says_so() {
    let mut logs = Logs::capture();
    logs.expect("linkage is down");
    logs.expect("alert shed to the dead letters");
    let (dir, mut police) = (temp_dir(), Receiver::start().await);
    let mut full = setup("police", &police);
    full.policy.rows_max = 10;
    police.vanish().await;
    let bed = Bed::start(dir.path(), vec![full]);
    let away = || bed.health("police").state == State::Degraded;
    eventually("it is away", SOON, away).await;
    // All in one transaction, so that nobody has counted them in between: ten may wait.
    let first: Vec<_> = (0..12)
        .map(|n| alert(n, AlertKind::DoorHeld, "gate", now()))
        .collect();
    bed.raise(first.clone(), false).await;
    assert_eq!(bed.deliveries(DeliveryState::Waiting).len(), 10);
    eventually("it is full", SOON, || {
        bed.health("police").state == State::Failed
    })
    .await;
    let routine = alert(20, AlertKind::DoorHeld, "yard", now());
    let danger = alert(21, AlertKind::Duress, "yard", now());
    bed.raise(vec![routine.clone(), danger.clone()], false)
        .await;
    let dead = bed.deliveries(DeliveryState::Dead);
    let shed: Vec<_> = dead.iter().map(|delivery| delivery.alert).collect();
    assert_eq!(shed.len(), 3, "two of the first, and the routine one");
    assert!(shed.contains(&routine.id) && !shed.contains(&danger.id));
    let why = dead[0].last_error.as_deref().unwrap();
    assert!(why.contains("10 alerts wait for police"), "{why}");
    police.come_back().await;
    arrive(&police, &[danger], SOON).await;
    arrive(&police, &first[..10], SOON).await;
    assert_eq!(bed.outbox.retry_all(None).await.unwrap(), 3);
    arrive(&police, &first, SOON).await;
    arrive(&police, &[routine], SOON).await;
    bed.assert_sound();
    bed.stop().await;
}

#[tokio::test]
async fn listings_page_through_everything_once() {
    let mut logs = Logs::capture();
    logs.expect("linkage is down");
    let (dir, mut a, b) = (temp_dir(), Receiver::start().await, Receiver::start().await);
    a.vanish().await;
    let bed = Bed::start(dir.path(), vec![setup("a", &a), setup("b", &b)]);
    let alerts: Vec<_> = (0..23)
        .map(|n| alert(n, AlertKind::DoorHeld, &format!("d{n}"), now()))
        .collect();
    bed.raise(alerts, false).await;
    eventually("b has all", SOON, || {
        bed.deliveries(DeliveryState::Delivered).len() == 23
    })
    .await;
    for (state, linkage, n) in [
        (None, None, 46),
        (None, Some("a"), 23),
        (Some(DeliveryState::Waiting), None, 23),
        (Some(DeliveryState::Waiting), Some("b"), 0),
        (Some(DeliveryState::Delivered), Some("b"), 23),
    ] {
        let filter = stairgate::outbox::DeliveryFilter {
            state,
            linkage: linkage.map(id),
        };
        let (mut seen, mut cursor) = (std::collections::HashSet::new(), None);
        loop {
            let page = bed.outbox.list(&filter, cursor.as_ref(), 4).unwrap();
            assert!(page.items.len() <= 4);
            for row in &page.items {
                assert!(seen.insert(DeliveryId::of(row).to_string()), "listed twice");
            }
            let Some(next) = page.next else { break };
            cursor = Some(next.to_string().parse().unwrap());
        }
        assert_eq!(seen.len(), n, "{filter:?}");
    }
    bed.stop().await;
}

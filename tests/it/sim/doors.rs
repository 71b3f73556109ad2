//! Simulated doors at a real broker.

use std::time::Duration;

use serde_json::Value;
use stairgate::domain::card::CardNumber;
use stairgate::domain::id::{CompoundId, DoorId};
use stairgate::domain::swipe::DoorState;
use stairgate::sim::doors::{
    DoorFault, DoorMode, Malformed, SimDoor, SimDoorOptions, SimDoors, SimDoorsOptions, SimSwipe,
};
use stairgate::supervise::Supervisor;
use stairgate::time::Clock;

use crate::harness::{Mosquitto, MosquittoOptions, eventually};

const WITHIN: Duration = Duration::from_secs(10);

fn topic(leaf: &str) -> String {
    format!("stairgate/c1/door/front/{leaf}")
}

fn swipe(card: &str) -> SimSwipe {
    SimSwipe::card(CardNumber::new(card).unwrap())
}

async fn door(broker: &Mosquitto, mode: DoorMode) -> (SimDoors, SimDoor) {
    let id = DoorId::new("front").unwrap();
    let options = SimDoorsOptions {
        host: "127.0.0.1".to_owned(),
        port: broker.addr().port(),
        tls: None,
        compound: CompoundId::new("c1").unwrap(),
        topic_prefix: "stairgate".to_owned(),
        doors: vec![SimDoorOptions {
            id: id.clone(),
            credentials: None,
            mode,
        }],
    };
    let doors = SimDoors::start(&options, &Clock::system(), &Supervisor::new()).unwrap();
    let door = doors.get(&id).unwrap();
    eventually("the door is online", WITHIN, || door.is_online()).await;
    (doors, door)
}

/// What `does` makes the door publish on `leaf`: `n` messages.
async fn heard(broker: &Mosquitto, leaf: &str, n: usize, does: impl Future) -> Vec<String> {
    let topic = topic(leaf);
    let subscribed = format!("{topic} (QoS 1)");
    let n_before = broker.log().matches(&subscribed).count();
    let act = async {
        eventually("someone listens", WITHIN, || {
            broker.log().matches(&subscribed).count() > n_before
        })
        .await;
        does.await;
    };
    tokio::join!(broker.receive(&topic, n), act).0
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn a_door_opens_by_the_list_it_was_sent_and_says_what_it_did() {
    let broker = Mosquitto::start(MosquittoOptions::default()).await;
    let (doors, door) = door(&broker, DoorMode::Record).await;
    let list = r#"{"v":1,"version":7,"cards":["04A1B2C3D4"]}"#;
    broker.publish(&topic("cards"), list, true).await;
    eventually("the list is there", WITHIN, || door.cards() == Some((7, 1))).await;
    let swipes = heard(&broker, "swipe", 2, async {
        let known = door.swipe(&swipe("04A1B2C3D4")).await.unwrap();
        assert!(known.has_opened && known.n_copies == 1);
        let unknown = door.swipe(&swipe("FFFF0000")).await.unwrap();
        assert!(!unknown.has_opened && unknown.decision.is_none());
    })
    .await;
    let swipes: Vec<Value> = swipes.iter().map(|text| json(text)).collect();
    assert_eq!(
        (&swipes[0]["seq"], &swipes[0]["result"]),
        (&1.into(), &"granted".into())
    );
    assert_eq!(
        (&swipes[1]["seq"], &swipes[1]["result"]),
        (&2.into(), &"denied".into())
    );
    assert_eq!(swipes[0]["boot"], swipes[1]["boot"]);
    let states = heard(&broker, "state", 1, async {
        door.report_state(DoorState::Forced).await.unwrap();
    })
    .await;
    assert_eq!(json(&states[0])["state"], "forced");
    let stats = doors.stats();
    assert_eq!((stats.n_acked, stats.n_decided), (2, 0));
    assert!(stats.ack.max > Duration::ZERO);
    doors.stop().await.unwrap();
}

#[tokio::test]
async fn an_unplugged_door_is_offline_at_the_broker_and_its_swipe_comes_later() {
    let broker = Mosquitto::start(MosquittoOptions::default()).await;
    let (_doors, door) = door(&broker, DoorMode::Record).await;
    assert_eq!(
        json(&broker.receive(&topic("status"), 1).await[0])["online"],
        true
    );
    let will = heard(&broker, "status", 2, async {
        door.set_fault(DoorFault::Unplug);
        eventually("the door is offline", WITHIN, || !door.is_online()).await;
    })
    .await;
    assert_eq!(json(&will[1])["online"], false);
    let swipes = heard(&broker, "swipe", 1, async {
        let plug = async { door.set_fault(DoorFault::Plug) };
        let swipe = swipe("ABCD");
        let (report, ()) = tokio::join!(door.swipe(&swipe), plug);
        report.unwrap();
    })
    .await;
    assert_eq!(json(&swipes[0])["seq"], 1);
}

#[tokio::test]
async fn a_swipe_is_reported_though_the_broker_dies() {
    let mut broker = Mosquitto::start(MosquittoOptions::default()).await;
    let (doors, door) = door(&broker, DoorMode::Record).await;
    broker.freeze();
    let swipe = swipe("ABCD");
    let revive = async {
        tokio::task::yield_now().await;
        broker.kill();
        broker.restart().await;
    };
    let (report, ()) = tokio::join!(door.swipe(&swipe), revive);
    assert_eq!(report.unwrap().key.seq, 1);
    assert_eq!(doors.stats().n_acked, 1);
}

#[tokio::test]
async fn a_door_that_asks_obeys_the_answer_and_without_one_its_list() {
    let broker = Mosquitto::start(MosquittoOptions::default()).await;
    let (doors, door) = door(&broker, DoorMode::Online).await;
    let unknown = swipe("FFFF0000");
    let alone = door.swipe(&unknown).await.unwrap();
    assert!(!alone.has_opened && alone.decision.is_none());
    let mut seq = alone.key.seq;
    let until = tokio::time::Instant::now() + WITHIN;
    // On a busy machine the answer of this test may take longer than a door waits.
    let report = loop {
        seq += 1;
        let answer = serde_json::json!({"v": 1, "boot": alone.key.boot, "seq": seq,
            "grant": true, "reason": "ok"});
        let (answer, topic) = (answer.to_string(), topic("decision"));
        let publish = broker.publish(&topic, &answer, false);
        let (report, ()) = tokio::join!(door.swipe(&unknown), publish);
        let report = report.unwrap();
        assert_eq!(report.key.seq, seq);
        if report.decision.is_some() {
            break report;
        }
        assert!(tokio::time::Instant::now() < until, "no answer in time");
    };
    let decision = report.decision.unwrap();
    assert!(report.has_opened && decision.grant && decision.reason == "ok");
    assert_eq!(doors.stats().n_decided, 1);
}

#[tokio::test]
async fn faulty_doors_repeat_replay_and_talk_nonsense() {
    let broker = Mosquitto::start(MosquittoOptions::default()).await;
    let (_doors, door) = door(&broker, DoorMode::Record).await;
    let swipes = heard(&broker, "swipe", 8, async {
        door.set_fault(DoorFault::Duplicate { n_more: 2 });
        assert_eq!(door.swipe(&swipe("ABCD")).await.unwrap().n_copies, 3);
        door.set_fault(DoorFault::Clear);
        door.set_fault(DoorFault::Malformed(Malformed::Version));
        door.swipe(&swipe("ABCD")).await.unwrap();
        door.set_fault(DoorFault::Clear);
        door.set_fault(DoorFault::Reboot);
        door.swipe(&swipe("ABCD")).await.unwrap();
        door.replay(3).await.unwrap();
    })
    .await;
    let swipes: Vec<Value> = swipes.iter().map(|text| json(text)).collect();
    assert_eq!(swipes[0], swipes[1]);
    assert_eq!(swipes[0], swipes[2]);
    assert_eq!(swipes[3]["v"], 2);
    assert_ne!(swipes[4]["boot"], swipes[0]["boot"]);
    assert_eq!(
        swipes[5..8],
        [swipes[0].clone(), swipes[3].clone(), swipes[4].clone()]
    );
}

#[tokio::test]
async fn a_burst_keeps_its_rate_and_every_swipe_is_acknowledged_once() {
    let broker = Mosquitto::start(MosquittoOptions::default()).await;
    let (doors, door) = door(&broker, DoorMode::Record).await;
    let begun = tokio::time::Instant::now();
    let reports = door.burst(&swipe("ABCD"), 200, 400).await;
    assert!(begun.elapsed() >= Duration::from_millis(497));
    let mut seqs: Vec<u64> = reports.into_iter().map(|r| r.unwrap().key.seq).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=200).collect::<Vec<u64>>());
    assert_eq!(doors.stats().n_acked, 200);
}

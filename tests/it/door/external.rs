//! With mosquitto.

use std::time::Duration;

use stairgate::domain::access::{Decision, Outcome, Reason};
use stairgate::domain::swipe::DoorState;
use stairgate::door::device::Link;
use stairgate::door::{Broker, Dialect, DoorEvent, DoorOptions};
use stairgate::supervise::Supervisor;
use stairgate::telemetry::State;
use stairgate::time::Clock;
use tokio::time::Instant;

use super::{
    Gateway, SOON, at_broker, beside, cards, device, device_options, door, native, secret, swipe,
};
use crate::harness::{Logs, Mosquitto, MosquittoOptions, eventually};

const DYNAMIC_SECURITY: &str = "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so";

#[tokio::test]
async fn a_swipe_comes_through_and_its_decision_goes_back() {
    let _logs = Logs::capture();
    let broker = Mosquitto::start(MosquittoOptions::default()).await;
    let mut gateway = Gateway::start(at_broker(&broker), native(1));
    gateway.healthy().await;
    let controllers = Supervisor::new();
    let device = device(broker.addr().port(), 1, &controllers).await;
    let mut decisions = device.decisions();

    device.swipe(&swipe(17), SOON).await.unwrap();
    let (heard, ack) = gateway.next_swipe().await;
    assert_eq!((heard.key.boot.as_str(), heard.key.seq), ("5f3a", 17));
    ack.done();
    let decision = Decision {
        outcome: Outcome::Granted,
        reason: Reason::Ok,
        duress: false,
    };
    gateway.doors.decide(&heard.door, &heard.key, &decision);
    let answer = decisions.recv().await.unwrap();
    assert_eq!(
        (answer.seq, answer.grant, answer.reason.as_str()),
        (17, true, "ok")
    );

    let status = gateway.doors.status_of(&door(1)).unwrap();
    assert_eq!(status.online, Some(true));
    assert_eq!(status.last_swipe, Some(heard.received_at));
    let swipes = r#"stairgate_mqtt_swipe_messages_total{door="d1",outcome="decoded"}"#;
    assert_eq!(gateway.metric(swipes), Some(1));
    gateway.doors.stop().await;
}

#[tokio::test]
async fn swipes_published_while_the_gateway_is_away_arrive_on_its_return() {
    let _logs = Logs::capture();
    let broker = Mosquitto::start(MosquittoOptions::default()).await;
    let gateway = Gateway::start(at_broker(&broker), native(1));
    gateway.healthy().await;
    gateway.crash().await;

    let controllers = Supervisor::new();
    let device = device(broker.addr().port(), 1, &controllers).await;
    for seq in 0..200 {
        device.swipe(&swipe(seq), SOON).await.unwrap();
    }
    let mut gateway = Gateway::start(at_broker(&broker), native(1));
    assert_eq!(gateway.take_swipes(0..200).await, 0);
    gateway.doors.stop().await;
}

#[tokio::test]
async fn what_is_not_acknowledged_comes_again() {
    let mut logs = Logs::capture();
    logs.expect("messages could not be kept");
    let broker = Mosquitto::start(MosquittoOptions::default()).await;
    let mut gateway = Gateway::start(at_broker(&broker), native(1));
    gateway.healthy().await;
    let controllers = Supervisor::new();
    let device = device(broker.addr().port(), 1, &controllers).await;
    device.swipe(&swipe(1), SOON).await.unwrap();

    // The store failed: the gateway asks for it again by itself.
    let (_, ack) = gateway.next_swipe().await;
    drop(ack);
    let (again, ack) = gateway.next_swipe().await;
    assert_eq!(again.key.seq, 1);

    // The gateway died before the commit: it comes again after the restart.
    gateway.crash().await;
    drop(ack);
    let mut gateway = Gateway::start(at_broker(&broker), native(1));
    let (again, ack) = gateway.next_swipe().await;
    assert_eq!(again.key.seq, 1);
    ack.done();

    // Acknowledged, it never comes again.
    gateway.doors.stop().await;
    let mut gateway = Gateway::start(at_broker(&broker), native(1));
    device.swipe(&swipe(2), SOON).await.unwrap();
    let (other, ack) = gateway.next_swipe().await;
    assert_eq!(other.key.seq, 2);
    ack.done();
    gateway.doors.stop().await;
}

#[tokio::test]
async fn a_broker_killed_and_restarted_gets_everything_again_from_both_sides() {
    let mut logs = Logs::capture();
    logs.expect("mqtt session ended");
    let mut broker = Mosquitto::start(MosquittoOptions::default()).await;
    let mut gateway = Gateway::start(at_broker(&broker), native(1));
    gateway.healthy().await;
    gateway.doors.set_cards(&door(1), &cards(1, 3));
    let controllers = Supervisor::new();
    let device = device(broker.addr().port(), 1, &controllers).await;
    device.swipe(&swipe(1), SOON).await.unwrap();
    gateway.take_swipes([1]).await;
    // What happens in the second before mosquitto saves its sessions is mosquitto's to lose.
    eventually("the session is saved", SOON, || {
        broker.has_saved("stairgate-majian-1")
    })
    .await;

    broker.kill();
    gateway.doors.set_cards(&door(1), &cards(2, 5));
    eventually("the gateway notices", SOON, || {
        gateway.mqtt_health().0 == State::Degraded
    })
    .await;
    assert!(gateway.mqtt_health().1.contains("localhost:"));
    let late = beside({
        let device = device.clone();
        async move { device.swipe(&swipe(2), SOON).await }
    });
    broker.restart().await;
    late.await.unwrap().unwrap();
    gateway.take_swipes([2]).await;
    let mut held = device.cards();
    held.wait_for(|cards| cards.as_ref().is_some_and(|c| c.version == 2))
        .await
        .unwrap();
    gateway.healthy().await;
    assert!(gateway.metric("stairgate_mqtt_reconnects_total") >= Some(1));
    gateway.doors.stop().await;
}

#[tokio::test]
async fn retained_letters_survive_a_broker_that_forgets() {
    let mut logs = Logs::capture();
    logs.expect("mqtt session ended");
    let mut broker = Mosquitto::start(MosquittoOptions::default()).await;
    let gateway = Gateway::start(at_broker(&broker), native(1));
    gateway.healthy().await;
    gateway.doors.set_cards(&door(1), &cards(7, 3));
    let topic = "stairgate/majian-1/door/d1/cards";
    assert!(broker.receive(topic, 1).await[0].contains(r#""version":7"#));
    broker.forget();
    broker.restart().await;
    assert!(broker.receive(topic, 1).await[0].contains(r#""version":7"#));
    let status = "stairgate/majian-1/gateway/status";
    let online = broker.receive(status, 1).await;
    assert_eq!(online, [r#"{"v":1,"online":true}"#]);
    gateway.doors.stop().await;
    let offline = broker.receive(status, 1).await;
    assert_eq!(offline, [r#"{"v":1,"online":false}"#]);
}

#[tokio::test]
async fn a_gateway_that_dies_is_told_by_its_last_will() {
    let _logs = Logs::capture();
    let broker = Mosquitto::start(MosquittoOptions::default()).await;
    let gateway = Gateway::start(at_broker(&broker), native(1));
    gateway.healthy().await;
    let controllers = Supervisor::new();
    let device = device(broker.addr().port(), 1, &controllers).await;
    let mut online = device.gateway_online();
    online
        .wait_for(|online| *online == Some(true))
        .await
        .unwrap();
    gateway.crash().await;
    online
        .wait_for(|online| *online == Some(false))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_door_is_unknown_then_online_then_offline_by_its_last_will() {
    let _logs = Logs::capture();
    let broker = Mosquitto::start(MosquittoOptions::default()).await;
    let mut gateway = Gateway::start(at_broker(&broker), native(2));
    gateway.healthy().await;
    assert_eq!(gateway.doors.status_of(&door(1)).unwrap().online, None);
    let controllers = Supervisor::new();
    let device = device(broker.addr().port(), 1, &controllers).await;
    let DoorEvent::Status {
        online: true,
        firmware,
        ack,
        ..
    } = gateway.next().await
    else {
        panic!("not a status");
    };
    assert_eq!(firmware.as_deref(), Some("simulated 1"));
    ack.done();
    let now = Clock::system().now();
    device.state(DoorState::Forced, now, SOON).await.unwrap();
    let DoorEvent::State { state, ack, .. } = gateway.next().await else {
        panic!("not a state");
    };
    assert_eq!(state, DoorState::Forced);
    ack.done();
    device.switch_off();
    let DoorEvent::Status {
        online: false, ack, ..
    } = gateway.next().await
    else {
        panic!("not a last will");
    };
    ack.done();
    assert_eq!(
        gateway.doors.status_of(&door(1)).unwrap().online,
        Some(false)
    );
    assert_eq!(gateway.doors.status_of(&door(2)).unwrap().online, None);
    assert_eq!(gateway.board.snapshot()["door/d1"].state, State::Degraded);

    // A gateway that starts later learns it from the retained message.
    gateway.doors.stop().await;
    let gateway = Gateway::start(at_broker(&broker), native(2));
    eventually("the retained status", SOON, || {
        gateway.doors.status_of(&door(1)).unwrap().online == Some(false)
    })
    .await;
    gateway.doors.stop().await;
}

#[tokio::test]
async fn tls_and_a_password_are_used_and_their_mistakes_explained() {
    let mut logs = Logs::capture();
    logs.expect("mqtt session ended");
    let options = MosquittoOptions {
        users: vec![("gateway", "fixture-pass"), ("door", "fixture-door")],
        tls: true,
        ..MosquittoOptions::default()
    };
    let broker = Mosquitto::start(options).await;
    let with = |change: &dyn Fn(&mut stairgate::door::ExternalBroker)| {
        let Broker::External(mut external) = at_broker(&broker) else {
            unreachable!();
        };
        external.username = Some("gateway".to_owned());
        external.password = Some(secret("fixture-pass"));
        change(&mut external);
        Gateway::start(Broker::External(external), native(1))
    };
    let mut gateway = with(&|_| {});
    gateway.healthy().await;
    let controllers = Supervisor::new();
    let mut options = device_options(broker.addr().port(), 1);
    options.credentials = Some(("door".to_owned(), secret("fixture-door")));
    options.tls = Some(stairgate::door::TlsOptions {
        ca_file: Some(broker.tls().unwrap().ca.clone()),
    });
    let device = stairgate::door::device::DoorDevice::start(options, &controllers).unwrap();
    device.connected(SOON).await.unwrap();
    device.swipe(&swipe(1), SOON).await.unwrap();
    gateway.take_swipes([1]).await;
    gateway.doors.stop().await;

    let wrong = secret("wrong");
    let gateway = with(&|external| external.password = Some(wrong.clone()));
    failed_with(&gateway, "does not let user \"gateway\" in").await;
    gateway.doors.stop().await;

    let other = crate::harness::temp_dir();
    let other_ca = crate::harness::tls::make(other.path()).ca;
    let gateway = with(&|external| {
        external.tls = Some(stairgate::door::TlsOptions {
            ca_file: Some(other_ca.clone()),
        });
    });
    failed_with(&gateway, "TLS with the broker").await;
    gateway.doors.stop().await;
}

async fn failed_with(gateway: &Gateway, part: &str) {
    let what = format!("mqtt has failed: {part}");
    eventually(&what, SOON, || {
        let (state, reason) = gateway.mqtt_health();
        state == State::Failed && reason.contains(part)
    })
    .await;
}

#[tokio::test]
async fn a_refused_subscription_fails_health_and_names_the_topic() {
    let mut logs = Logs::capture();
    logs.expect("mqtt subscription refused");
    let dir = crate::harness::temp_dir();
    let file = dir.path().join("dynamic-security.json");
    let acl = r#"{"defaultACLAccess": {"publishClientSend": true, "publishClientReceive": true,
        "subscribe": false, "unsubscribe": true}, "clients": [], "groups": [], "roles": []}"#;
    std::fs::write(&file, acl).unwrap();
    let extra = format!(
        "plugin {DYNAMIC_SECURITY}\nplugin_opt_config_file {}\n",
        file.display()
    );
    let options = MosquittoOptions {
        extra,
        ..MosquittoOptions::default()
    };
    let broker = Mosquitto::start(options).await;
    let gateway = Gateway::start(at_broker(&broker), native(1));
    failed_with(&gateway, "stairgate/majian-1/door/+/swipe").await;
    assert!(gateway.mqtt_health().1.contains("ACL"));
    gateway.doors.stop().await;
}

#[tokio::test]
async fn a_flood_loses_nothing_and_waits_at_the_broker() {
    const N_SWIPES: u64 = 5_000;
    let _logs = Logs::capture();
    let broker = Mosquitto::start(MosquittoOptions::default()).await;
    let mut gateway = Gateway::start(at_broker(&broker), native(4));
    gateway.healthy().await;
    let controllers = Supervisor::new();
    let mut senders = Vec::new();
    let begin = Instant::now();
    for n in 1..=4u64 {
        let device = device(
            broker.addr().port(),
            usize::try_from(n).unwrap(),
            &controllers,
        )
        .await;
        senders.push(beside(async move {
            let first = (n - 1) * N_SWIPES / 4;
            let sent = (first..first + N_SWIPES / 4).map(|seq| {
                let device = device.clone();
                async move { device.swipe(&swipe(seq), SOON).await.unwrap() }
            });
            futures_util::future::join_all(sent).await;
        }));
    }
    let n_repeated = gateway.take_swipes(0..N_SWIPES).await;
    let took = begin.elapsed();
    for sender in senders {
        sender.await.unwrap();
    }
    assert_eq!(n_repeated, 0);
    println!("{N_SWIPES} swipes through mosquitto in {took:?}");
    gateway.doors.stop().await;
}

#[tokio::test]
async fn a_broker_without_a_limit_in_flight_is_held_back_and_nothing_is_lost() {
    const N_SWIPES: u64 = 5_000;
    let mut logs = Logs::capture();
    logs.expect("swipes are kept more slowly than they come");
    let options = MosquittoOptions {
        extra: "max_inflight_messages 0\n".to_owned(),
        ..MosquittoOptions::default()
    };
    let broker = Mosquitto::start(options).await;
    let mut gateway = Gateway::start(at_broker(&broker), native(1));
    gateway.healthy().await;
    let controllers = Supervisor::new();
    let device = device(broker.addr().port(), 1, &controllers).await;
    let sent = (0..N_SWIPES).map(|seq| {
        let device = device.clone();
        async move { device.swipe(&swipe(seq), SOON).await.unwrap() }
    });
    // Nobody takes anything while all of it comes.
    futures_util::future::join_all(sent).await;
    eventually("health tells of it", SOON, || {
        gateway.mqtt_health().1.contains("more slowly")
    })
    .await;
    gateway.take_swipes(0..N_SWIPES).await;
    gateway.healthy().await;
    gateway.doors.stop().await;
}

#[tokio::test]
async fn each_unreadable_message_is_rejected_with_its_reason_and_never_comes_again() {
    let _logs = Logs::capture();
    let broker = Mosquitto::start(MosquittoOptions::default()).await;
    let mut gateway = Gateway::start(at_broker(&broker), native(1));
    gateway.healthy().await;
    let controllers = Supervisor::new();
    let device = device(broker.addr().port(), 1, &controllers).await;
    let own = "stairgate/majian-1/door/d1/swipe";
    let huge = vec![b'x'; 2 << 20];
    let cases: [(&str, &[u8], Option<&str>, &str); 8] = [
        (own, b"{", Some("d1"), "not JSON"),
        (own, b"\xff\xfe", Some("d1"), "not UTF-8"),
        (own, b"", Some("d1"), "empty"),
        (own, &huge, Some("d1"), "2097152 bytes"),
        (own, br#"{"v":2}"#, Some("d1"), "\"v\" is not 1"),
        (own, b"[1]", Some("d1"), "not an object"),
        (
            own,
            br#"{"v":1,"boot":"5f3a","seq":"one"}"#,
            Some("d1"),
            "\"seq\"",
        ),
        (
            "stairgate/majian-1/door/d9/swipe",
            b"{}",
            None,
            "no door of this name",
        ),
    ];
    for (topic, payload, whose, part) in cases {
        let payload = bytes::Bytes::copy_from_slice(payload);
        let sent = device.publish(topic.to_owned(), payload, false, SOON);
        sent.await.unwrap();
        let reject = loop {
            match gateway.next().await {
                DoorEvent::Reject { reject, ack } => {
                    ack.done();
                    break reject;
                }
                DoorEvent::Status { ack, .. } => ack.done(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(reject.door.as_ref().map(|d| d.as_str()), whose, "{part}");
        assert_eq!(reject.topic, topic);
        assert!(reject.reason.contains(part), "{}", reject.reason);
    }
    gateway.doors.stop().await;
    let mut gateway = Gateway::start(at_broker(&broker), native(1));
    device.swipe(&swipe(1), SOON).await.unwrap();
    assert_eq!(gateway.take_swipes([1]).await, 0);
    gateway.doors.stop().await;
}

#[tokio::test]
async fn controllers_of_other_makes_are_matched_to_their_doors() {
    let _logs = Logs::capture();
    let broker = Mosquitto::start(MosquittoOptions::default()).await;
    let doors = vec![
        DoorOptions {
            id: door(1),
            controller: Dialect::EspRfid {
                topic: "esp-rfid/send".to_owned(),
                hostname: "esp-3".to_owned(),
            },
        },
        DoorOptions {
            id: door(2),
            controller: Dialect::Uhppoted {
                topic: "uhppoted/gateway/events".to_owned(),
                device_id: 405_419_896,
                door: Some(4),
            },
        },
    ];
    let mut gateway = Gateway::start(at_broker(&broker), native(1));
    gateway.healthy().await;
    gateway.doors.reload(&doors, &[]).unwrap();
    eventually("the new session", SOON, || {
        broker.log().contains("uhppoted/gateway/events (QoS 1)")
    })
    .await;
    gateway.healthy().await;
    let esp = r#"{"type":"access","time":1795000000,"isKnown":"true","access":"Always",
        "username":"x","uid":"7d3f2a10","hostname":"esp-3"}"#;
    broker.publish("esp-rfid/send", esp, false).await;
    let (heard, ack) = gateway.next_swipe().await;
    assert_eq!((heard.door, heard.key.boot.as_str()), (door(1), "esp"));
    ack.done();
    let event = r#"{"message":{"event":{"access-granted":true,"card-number":8165538,
        "device-id":405419896,"direction":1,"door-id":4,"event-id":50,"event-type":1,
        "timestamp":"2026-11-22 08:30:15"}}}"#;
    broker
        .publish("uhppoted/gateway/events", event, false)
        .await;
    let (heard, ack) = gateway.next_swipe().await;
    assert_eq!((heard.door, heard.key.seq), (door(2), 50));
    ack.done();
    let stranger = esp.replace("esp-3", "esp-4");
    broker.publish("esp-rfid/send", &stranger, false).await;
    let DoorEvent::Reject { reject, ack } = gateway.next().await else {
        panic!("not rejected");
    };
    assert!(reject.reason.contains("[door.match]"));
    ack.done();
    gateway.doors.stop().await;
}

#[tokio::test]
async fn a_frozen_broker_is_noticed_and_left() {
    let mut logs = Logs::capture();
    logs.expect("mqtt session ended");
    let mut broker = Mosquitto::start(MosquittoOptions::default()).await;
    let gateway = Gateway::start(at_broker(&broker), native(1));
    gateway.healthy().await;
    broker.freeze();
    let patience = Duration::from_secs(45);
    eventually("the broker is given up", patience, || {
        let (state, reason) = gateway.mqtt_health();
        state == State::Degraded && reason.contains("answer")
    })
    .await;
    broker.thaw();
    gateway.healthy().await;
    gateway.doors.stop().await;
}

#[tokio::test]
async fn a_controller_with_a_wrong_password_is_told_so() {
    let _logs = Logs::capture();
    let options = MosquittoOptions {
        users: vec![("gateway", "fixture-pass")],
        ..MosquittoOptions::default()
    };
    let broker = Mosquitto::start(options).await;
    let controllers = Supervisor::new();
    let mut options = device_options(broker.addr().port(), 1);
    options.reconnect = false;
    let device = stairgate::door::device::DoorDevice::start(options, &controllers).unwrap();
    let mut link = device.link();
    let down = |link: &Link| matches!(link, Link::Down { reason } if reason.contains("refused"));
    link.wait_for(down).await.unwrap();
}

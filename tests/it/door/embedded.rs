//! With the endpoint inside the process.

use std::net::SocketAddr;
use std::time::Duration;

use stairgate::domain::access::{Decision, Outcome, Reason};
use stairgate::door::device::{DeviceError, DoorDevice, Link};
use stairgate::door::{Broker, Dialect, DoorCredential, DoorEvent, DoorOptions, EmbeddedBroker};
use stairgate::supervise::Supervisor;
use stairgate::telemetry::State;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::{Gateway, SOON, beside, cards, device, device_options, door, native, secret, swipe};
use crate::harness::{Logs, eventually, net};

/// CONNECT of client "x", MQTT 3.1.1, clean session, keep-alive 60 s.
const CONNECT: &[u8] = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01x";

/// CONNECT of door 1 as its controller does, with its last will.
fn connect_with_will() -> Vec<u8> {
    let mut packet = b"\x10\0\x00\x04MQTT\x04\x2c\x00\x3c".to_vec();
    let texts = [
        "d1",
        "stairgate/majian-1/door/d1/status",
        r#"{"v":1,"online":false}"#,
    ];
    for text in texts {
        packet.extend([0, u8::try_from(text.len()).unwrap()]);
        packet.extend(text.as_bytes());
    }
    packet[1] = u8::try_from(packet.len() - 2).unwrap();
    packet
}

fn open(listen: &str) -> Broker {
    Broker::Embedded(EmbeddedBroker {
        listen: listen.parse().unwrap(),
        credentials: Vec::new(),
    })
}

/// Doors 1 and 2 each have a user of the same name and password "pass-<door>".
fn with_passwords() -> Broker {
    let credential = |n: usize| DoorCredential {
        username: format!("d{n}"),
        password: secret(&format!("pass-d{n}")),
        doors: vec![door(n)],
    };
    Broker::Embedded(EmbeddedBroker {
        listen: "127.0.0.1:0".parse().unwrap(),
        credentials: vec![credential(1), credential(2)],
    })
}

fn start(n_doors: usize) -> Gateway {
    Gateway::start(open("127.0.0.1:0"), native(n_doors))
}

fn addr(gateway: &Gateway) -> SocketAddr {
    gateway.doors.listen_addr().unwrap()
}

fn named(gateway: &Gateway, n: usize, password: &str, controllers: &Supervisor) -> DoorDevice {
    let mut options = device_options(addr(gateway).port(), n);
    options.host = "127.0.0.1".to_owned();
    options.credentials = Some((format!("d{n}"), secret(password)));
    DoorDevice::start(options, controllers).unwrap()
}

#[tokio::test]
async fn a_puback_says_that_the_swipe_is_kept() {
    let _logs = Logs::capture();
    let mut gateway = start(1);
    let controllers = Supervisor::new();
    let device = device(addr(&gateway).port(), 1, &controllers).await;
    let sent = device.swipe(&swipe(1), Duration::from_millis(300)).await;
    assert!(matches!(sent, Err(DeviceError::Unacknowledged { .. })));
    let (heard, ack) = gateway.next_swipe().await;
    assert_eq!(heard.key.seq, 1);
    // Its status has been acknowledged, its swipe has not.
    eventually("one PUBACK", SOON, || device.n_pending() == 1).await;
    ack.done();
    eventually("the PUBACK", SOON, || device.n_pending() == 0).await;
    gateway.doors.stop().await;
}

#[tokio::test]
async fn what_could_not_be_kept_is_sent_again_by_the_controller() {
    let _logs = Logs::capture();
    let mut gateway = start(1);
    let controllers = Supervisor::new();
    let device = device(addr(&gateway).port(), 1, &controllers).await;
    let sent = beside({
        let device = device.clone();
        async move { device.swipe(&swipe(1), SOON).await }
    });
    let (_, ack) = gateway.next_swipe().await;
    drop(ack);
    let (again, ack) = gateway.next_swipe().await;
    assert_eq!(again.key.seq, 1);
    ack.done();
    sent.await.unwrap().unwrap();

    // Power lost between the swipe and its PUBACK.
    let sent = beside({
        let device = device.clone();
        async move { device.swipe(&swipe(2), SOON).await }
    });
    let (_, late) = gateway.next_swipe().await;
    device.switch_off();
    eventually("offline", SOON, || {
        gateway.doors.status_of(&door(1)).unwrap().online == Some(false)
    })
    .await;
    late.done();
    device.switch_on();
    let (again, ack) = gateway.next_swipe().await;
    assert_eq!(again.key.seq, 2);
    ack.done();
    sent.await.unwrap().unwrap();
    gateway.doors.stop().await;
}

#[tokio::test]
async fn decisions_card_lists_and_our_status_reach_the_door() {
    let _logs = Logs::capture();
    let mut gateway = start(2);
    gateway.doors.set_cards(&door(1), &cards(1, 3));
    let controllers = Supervisor::new();
    let device = device(addr(&gateway).port(), 1, &controllers).await;
    let mut decisions = device.decisions();
    let mut held = device.cards();
    held.wait_for(|cards| cards.as_ref().is_some_and(|c| c.version == 1))
        .await
        .unwrap();
    // The list of a large site's gate: over a megabyte.
    gateway.doors.set_cards(&door(1), &cards(2, 120_000));
    gateway.doors.set_cards(&door(1), &cards(1, 3));
    held.wait_for(|cards| cards.as_ref().is_some_and(|c| c.cards.len() == 120_000))
        .await
        .unwrap();
    assert_eq!(
        gateway.doors.status_of(&door(1)).unwrap().cards_version,
        Some(2)
    );

    let sent = beside({
        let device = device.clone();
        async move { device.swipe(&swipe(5), SOON).await }
    });
    let (heard, ack) = gateway.next_swipe().await;
    ack.done();
    let decision = Decision {
        outcome: Outcome::Denied,
        reason: Reason::WrongPlace,
        duress: false,
    };
    gateway.doors.decide(&heard.door, &heard.key, &decision);
    let answer = decisions.recv().await.unwrap();
    assert_eq!(
        (answer.seq, answer.grant, answer.reason.as_str()),
        (5, false, "wrong-place")
    );
    sent.await.unwrap().unwrap();

    // A door that is not there gets nothing, and nothing waits for it.
    gateway.doors.decide(&door(2), &heard.key, &decision);
    eventually("it is counted", SOON, || {
        gateway.metric(r#"stairgate_mqtt_dropped_total{kind="decision"}"#) == Some(1)
    })
    .await;

    let mut online = device.gateway_online();
    online
        .wait_for(|online| *online == Some(true))
        .await
        .unwrap();
    gateway.doors.stop().await;
    online
        .wait_for(|online| *online == Some(false))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_doors_last_will_is_its_status_and_an_old_one_does_not_undo_a_new_connection() {
    let _logs = Logs::capture();
    let gateway = start(1);
    assert_eq!(gateway.doors.status_of(&door(1)).unwrap().online, None);
    let controllers = Supervisor::new();
    let port = addr(&gateway).port();
    let first = device(port, 1, &controllers).await;
    let is = |online: bool| {
        let doors = gateway.doors.clone();
        move || doors.status_of(&door(1)).unwrap().online == Some(online)
    };
    eventually("online", SOON, is(true)).await;
    first.switch_off();
    eventually("offline", SOON, is(false)).await;
    first.switch_on();
    eventually("online again", SOON, is(true)).await;

    // The same client id connects while the old connection hangs.
    let mut options = device_options(port, 1);
    options.reconnect = false;
    first.end();
    eventually("offline", SOON, is(false)).await;
    let mut hanging = TcpStream::connect(addr(&gateway)).await.unwrap();
    hanging.write_all(&connect_with_will()).await.unwrap();
    let mut answer = [0; 4];
    hanging.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, [0x20, 2, 0, 0]);
    let second = DoorDevice::start(options, &controllers).unwrap();
    second.connected(SOON).await.unwrap();
    eventually("online", SOON, is(true)).await;
    let ended = timeout(SOON, hanging.read(&mut answer)).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)));
    assert!(is(true)());
    gateway.doors.stop().await;
}

#[tokio::test]
async fn a_door_has_its_own_topics_and_no_others() {
    let mut logs = Logs::capture();
    logs.expect("mqtt refused");
    let mut gateway = Gateway::start(with_passwords(), native(2));
    gateway.doors.set_cards(&door(1), &cards(1, 3));
    gateway.doors.set_cards(&door(2), &cards(1, 3));
    let controllers = Supervisor::new();
    let own = named(&gateway, 1, "pass-d1", &controllers);
    own.connected(SOON).await.unwrap();
    let mut held = own.cards();
    held.wait_for(Option::is_some).await.unwrap();

    // Publishing for another door ends the connection, and nobody hears of it.
    let mut link = own.link();
    link.mark_unchanged();
    let topic = "stairgate/majian-1/door/d2/swipe";
    let sent = own.publish(
        topic.to_owned(),
        "{}".into(),
        false,
        Duration::from_millis(200),
    );
    assert!(sent.await.is_err());
    let refused = r#"stairgate_mqtt_refused_total{reason="topic"}"#;
    eventually("it is counted", SOON, || gateway.metric(refused) >= Some(1)).await;
    own.end();
    while let Ok(event) = gateway.events.try_recv() {
        assert!(matches!(event, DoorEvent::Status { .. }), "{event:?}");
    }

    // So does a wrong password, or none, or a last will for another door.
    let wrong = named(&gateway, 1, "pass-d2", &controllers);
    down(&wrong, "BadUserNamePassword").await;
    wrong.end();
    let nobody = DoorDevice::start(device_options(addr(&gateway).port(), 1), &controllers).unwrap();
    down(&nobody, "BadUserNamePassword").await;
    nobody.end();
    let mut options = device_options(addr(&gateway).port(), 2);
    options.credentials = Some(("d1".to_owned(), secret("pass-d1")));
    let other = DoorDevice::start(options, &controllers).unwrap();
    down(&other, "NotAuthorized").await;
    other.end();

    // Reading is as narrow; a wildcard gives no more than one's own.
    let port = addr(&gateway).port().to_string();
    let read = |filter: &'static str, n: &'static str| {
        let mut sub = tokio::process::Command::new("mosquitto_sub");
        sub.args([
            "-p", &port, "-u", "d1", "-P", "pass-d1", "-q", "1", "-v", "-W", "5",
        ]);
        sub.args(["-t", filter, "-C", n])
            .kill_on_drop(true)
            .output()
    };
    let denied = read("stairgate/majian-1/door/d2/cards", "1").await.unwrap();
    assert!(
        denied.stdout.is_empty() && !denied.stderr.is_empty(),
        "{denied:?}"
    );
    let output = read("stairgate/#", "2").await.unwrap();
    let mut topics: Vec<_> = std::str::from_utf8(&output.stdout)
        .unwrap()
        .lines()
        .collect();
    topics.sort_unstable();
    assert!(topics[0].starts_with("stairgate/majian-1/door/d1/cards "));
    assert!(topics[1].starts_with("stairgate/majian-1/gateway/status "));
    gateway.doors.stop().await;
}

async fn down(device: &DoorDevice, part: &str) {
    let mut link = device.link();
    let seen = link.wait_for(|link| matches!(link, Link::Down { reason } if reason.contains(part)));
    timeout(SOON, seen).await.expect(part).unwrap();
}

#[tokio::test]
async fn what_others_can_reach_lets_nobody_in_before_there_are_passwords() {
    let mut logs = Logs::capture();
    logs.expect("mqtt refused");
    let gateway = Gateway::start(open("0.0.0.0:0"), native(1));
    let controllers = Supervisor::new();
    let port = addr(&gateway).port();
    let nobody = DoorDevice::start(device_options(port, 1), &controllers).unwrap();
    down(&nobody, "BadUserNamePassword").await;
    nobody.end();
    let Broker::Embedded(broker) = with_passwords() else {
        unreachable!();
    };
    gateway
        .doors
        .reload(&native(1), &broker.credentials)
        .unwrap();
    let known = named(&gateway, 1, "pass-d1", &controllers);
    let mut link = known.link();
    let up = link.wait_for(|link| matches!(link, Link::Up { .. }));
    timeout(SOON, up).await.expect("let in").unwrap();
    // Another password is in force at once, also for who is there.
    let mut changed = broker.credentials.clone();
    changed[0].password = secret("another");
    gateway.doors.reload(&native(1), &changed).unwrap();
    down(&known, "BadUserNamePassword").await;
    known.end();
    gateway.doors.stop().await;
}

#[tokio::test]
async fn an_endpoint_needs_a_free_port_and_log_ins_that_can_be_meant() {
    let _logs = Logs::capture();
    let text = |broker| {
        let err = Gateway::try_start(broker, native(1)).err().unwrap();
        stairgate::error::chain(&err).to_string()
    };
    let taken = start(1);
    let port = addr(&taken).port();
    let err = text(open(&format!("127.0.0.1:{port}")));
    assert!(err.contains(&format!(
        "listen for doors at 127.0.0.1:{port}: Address already in use"
    )));
    taken.doors.stop().await;
    // Stopped, it has given the port back.
    let again = Gateway::start(open(&format!("127.0.0.1:{port}")), native(1));
    eventually("the port is ours again", SOON, || {
        again.mqtt_health().0 == State::Ok
    })
    .await;
    again.doors.stop().await;
    let Broker::Embedded(mut broker) = with_passwords() else {
        unreachable!();
    };
    broker.credentials[1].username = "d1".to_owned();
    assert!(text(Broker::Embedded(broker)).contains("named twice"));
}

#[tokio::test]
async fn rude_strangers_harm_nobody() {
    let mut logs = Logs::capture();
    logs.expect("mqtt refused");
    let mut gateway = start(1);
    let at = addr(&gateway);
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(TcpStream::connect(at).await.unwrap());
    }
    for n in 0..1_000u32 {
        let mut stream = TcpStream::connect(at).await.unwrap();
        if n % 2 == 0 {
            stream.write_all(CONNECT).await.unwrap();
        } else {
            let noise: Vec<u8> = (0..n % 64).map(|_| fastrand::u8(..)).collect();
            // It may have cut us off already.
            drop(stream.write_all(&noise).await);
        }
        stream.set_zero_linger().unwrap();
    }
    let controllers = Supervisor::new();
    let device = device(at.port(), 1, &controllers).await;
    let sent = beside({
        let device = device.clone();
        async move { device.swipe(&swipe(1), SOON).await }
    });
    gateway.take_swipes([1]).await;
    sent.await.unwrap().unwrap();
    // Whoever says nothing is cut off.
    let mut byte = [0];
    let cut = timeout(SOON, idle[0].read(&mut byte)).await.unwrap();
    assert!(matches!(cut, Ok(0) | Err(_)));
    eventually("only the door is left", SOON, || {
        gateway.metric("stairgate_mqtt_connections") == Some(1)
    })
    .await;
    gateway.doors.stop().await;
}

#[tokio::test]
async fn a_large_message_is_rejected_and_a_huge_one_cut_off() {
    let mut logs = Logs::capture();
    logs.expect("mqtt refused");
    let mut gateway = start(1);
    let controllers = Supervisor::new();
    let device = device(addr(&gateway).port(), 1, &controllers).await;
    let topic = "stairgate/majian-1/door/d1/swipe".to_owned();
    let sent = beside({
        let (device, topic) = (device.clone(), topic.clone());
        let payload = vec![b'x'; 600_000].into();
        async move { device.publish(topic, payload, false, SOON).await }
    });
    loop {
        match gateway.next().await {
            DoorEvent::Reject { reject, ack } => {
                assert!(reject.reason.contains("600000 bytes"), "{}", reject.reason);
                ack.done();
                break;
            }
            DoorEvent::Status { ack, .. } => ack.done(),
            other => panic!("{other:?}"),
        }
    }
    sent.await.unwrap().unwrap();
    let huge = vec![b'x'; 9 << 20].into();
    let sent = device.publish(topic, huge, false, Duration::from_millis(500));
    assert!(sent.await.is_err());
    let refused = r#"stairgate_mqtt_refused_total{reason="protocol"}"#;
    eventually("it is counted", SOON, || gateway.metric(refused) >= Some(1)).await;
    device.end();
    gateway.doors.stop().await;
}

#[tokio::test]
async fn controllers_of_other_makes_speak_on_their_shared_topic() {
    let _logs = Logs::capture();
    let doors = vec![DoorOptions {
        id: door(1),
        controller: Dialect::Uhppoted {
            topic: "uhppoted/gateway/events".to_owned(),
            device_id: 405_419_896,
            door: None,
        },
    }];
    let mut gateway = Gateway::start(open("127.0.0.1:0"), doors);
    let event = r#"{"access-granted":true,"card-number":8165538,"device-id":405419896,
        "direction":2,"door-id":1,"event-id":50,"event-type":1,"timestamp":"2026-11-22 08:30:15"}"#;
    let mut publisher = tokio::process::Command::new("mosquitto_pub");
    let port = addr(&gateway).port().to_string();
    publisher.args([
        "-p",
        &port,
        "-q",
        "1",
        "-t",
        "uhppoted/gateway/events",
        "-m",
        event,
    ]);
    let sent = beside(publisher.kill_on_drop(true).output());
    gateway.take_swipes([50]).await;
    assert!(sent.await.unwrap().unwrap().status.success());
    gateway.doors.stop().await;
}

#[tokio::test]
async fn intake_that_is_closed_ends_the_events_and_refuses_what_comes() {
    let _logs = Logs::capture();
    let mut gateway = start(1);
    let controllers = Supervisor::new();
    let device = device(addr(&gateway).port(), 1, &controllers).await;
    let sent = beside({
        let device = device.clone();
        async move { device.swipe(&swipe(1), SOON).await }
    });
    let (_, ack) = gateway.next_swipe().await;
    gateway.doors.stop_intake();
    // What is in hand may still be acknowledged.
    ack.done();
    sent.await.unwrap().unwrap();
    let late = device.swipe(&swipe(2), Duration::from_millis(200)).await;
    assert!(late.is_err());
    while let Some(event) = timeout(SOON, gateway.events.recv()).await.unwrap() {
        assert!(!matches!(event, DoorEvent::Swipe { .. }), "{event:?}");
    }
    let begin = Instant::now();
    gateway.doors.stop().await;
    assert!(begin.elapsed() < Duration::from_secs(3));
    let port = addr(&gateway).port();
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    assert_ne!(net::free_port(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_doors_at_once_lose_nothing() {
    const N_DOORS: u64 = 100;
    const N_EACH: u64 = 100;
    let _logs = Logs::capture();
    let mut gateway = start(100);
    let controllers = Supervisor::new();
    let port = addr(&gateway).port();
    let mut devices = Vec::new();
    for n in 1..=100 {
        devices.push(device(port, n, &controllers).await);
    }
    let begin = Instant::now();
    let mut senders = Vec::new();
    for (n, device) in (0..N_DOORS).zip(devices) {
        senders.push(beside(async move {
            let sent = (0..N_EACH).map(|seq| {
                let device = device.clone();
                async move { device.swipe(&swipe(n * N_EACH + seq), SOON).await.unwrap() }
            });
            futures_util::future::join_all(sent).await;
        }));
    }
    assert_eq!(gateway.take_swipes(0..N_DOORS * N_EACH).await, 0);
    for sender in senders {
        sender.await.unwrap();
    }
    println!(
        "{} swipes through the endpoint in {:?}",
        N_DOORS * N_EACH,
        begin.elapsed()
    );
    gateway.doors.stop().await;
}

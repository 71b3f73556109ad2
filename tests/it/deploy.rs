//! What `deploy/` holds for those who install: it works as it stands.

use stairgate::gateway::END_MAX;

use crate::harness::{Mosquitto, MosquittoOptions};

const CONF: &str = include_str!("../../deploy/mosquitto/mosquitto.conf");
const UNIT: &str = include_str!("../../deploy/stairgate.service");
const DOCKERFILE: &str = include_str!("../../deploy/Dockerfile");
const RIGHTS: &str = include_str!("../../deploy/mosquitto/stairgate.acl");

/// What names a path or a port of the site; the harness has its own.
const OF_THE_SITE: [&str; 10] = [
    "#",
    "listener",
    "cafile",
    "certfile",
    "keyfile",
    "allow_anonymous",
    "password_file",
    "acl_file",
    "persistence",
    "set_tcp_nodelay",
];

#[tokio::test]
async fn with_the_reference_rights_a_door_speaks_for_itself_alone() {
    let own: Vec<&str> = CONF
        .lines()
        .filter(|line| !OF_THE_SITE.iter().any(|key| line.starts_with(key)))
        .collect();
    let gateway = ("gateway", "fixture-gateway");
    let door = ("b03-u2-door", "fixture-door");
    let broker = Mosquitto::start(MosquittoOptions {
        users: vec![gateway, door, ("b03-u1-door", "fixture-other")],
        tls: true,
        acl: Some(RIGHTS),
        extra: own.join("\n"),
    })
    .await;

    let of = |topic: &str| format!("stairgate/majian-1/{topic}");
    let own_topic = of("door/b03-u2-door/status");
    broker
        .publish_as(door, &of("door/b03-u1-door/status"), "forged")
        .await;
    broker
        .publish_as(door, &of("door/b03-u2-door/cards"), "forged")
        .await;
    broker
        .publish_as(door, &of("gateway/status"), "forged")
        .await;
    broker.publish_as(door, &own_topic, "own").await;
    broker
        .publish_as(gateway, &of("door/b03-u2-door/cards"), "mine")
        .await;
    broker
        .publish_as(gateway, &of("door/b03-u1-door/cards"), "theirs")
        .await;
    broker
        .publish_as(gateway, &of("gateway/status"), "up")
        .await;

    assert_eq!(
        broker.retained_as(gateway, &of("door/+/status")).await,
        ["own"]
    );
    let mut heard = broker.retained_as(door, "#").await;
    heard.sort();
    assert_eq!(heard, ["mine", "up"]);
}

#[test]
fn systemd_waits_for_the_ordered_end() {
    let stop = UNIT
        .lines()
        .find_map(|line| line.strip_prefix("TimeoutStopSec="));
    let stop_s: u64 = stop
        .expect("the unit says how long it waits")
        .parse()
        .unwrap();
    assert!(stop_s > END_MAX.as_secs() + 1, "{stop_s} s");
    let docker = format!("--stop-timeout {stop_s}");
    assert!(
        DOCKERFILE.contains(&docker),
        "the Dockerfile says the same: {docker}"
    );
}

//! MQTT against a broker that misbehaves as told, and against mosquitto with a subscriber of its own.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, ConnectReturnCode, Packet, PingResp, PubAck, PubAckReason, Publish,
};
use stairgate::domain::id::LinkageId;
use stairgate::domain::secret::Secret;
use stairgate::error::Class;
use stairgate::linkage::Linkage;
use stairgate::linkage::mqtt::{Mqtt, MqttLinkageOptions};
use stairgate::supervise::Supervisor;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tracing::Span;

use super::contract::{Peer, PeerManner, suite};
use super::envelope;
use crate::harness::{Logs, Mosquitto, MosquittoOptions, temp_dir, tls};

/// A linkage to `url` that waits a second at most.
pub(crate) fn mqtt(id: &str, url: url::Url) -> MqttLinkageOptions {
    MqttLinkageOptions {
        id: LinkageId::new(id).unwrap(),
        url,
        topic: "stairgate/majian-1/alerts".to_owned(),
        client_id: format!("stairgate-majian-1-{id}"),
        login: None,
        ca_file: None,
        connect_timeout: Duration::from_millis(500),
        total_timeout: Duration::from_secs(1),
    }
}

#[derive(Debug)]
struct Shared {
    manner: Mutex<PeerManner>,
    taken: Mutex<Vec<serde_json::Value>>,
    seen: Mutex<HashSet<String>>,
}

/// As much of an MQTT 5 broker as a publisher meets.
#[derive(Debug)]
pub(crate) struct Broker {
    addr: SocketAddr,
    shared: Arc<Shared>,
    life: Supervisor,
    clients: Supervisor,
}

impl Broker {
    pub(crate) async fn start() -> Broker {
        let mut broker = Broker {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            shared: Arc::new(Shared {
                manner: Mutex::new(PeerManner::Takes),
                taken: Mutex::default(),
                seen: Mutex::default(),
            }),
            life: Supervisor::new(),
            clients: Supervisor::new(),
        };
        broker.come_back().await;
        broker
    }
}

impl Broker {
    /// The messages that it took, each once, in order.
    pub(crate) fn messages(&self) -> Vec<serde_json::Value> {
        self.shared.taken.lock().unwrap().clone()
    }
}

impl Peer for Broker {
    fn linkage(&self) -> Arc<dyn Linkage> {
        let url = format!("mqtt://{}", self.addr).parse().unwrap();
        Arc::new(Mqtt::new(mqtt("local", url), &self.clients).unwrap())
    }

    fn behave(&self, manner: PeerManner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    fn taken(&self) -> Vec<(String, u64)> {
        let of = |json: &serde_json::Value| {
            let id = json["id"].as_str().unwrap().to_owned();
            (id, json["revision"].as_u64().unwrap())
        };
        self.messages().iter().map(of).collect()
    }

    async fn vanish(&mut self) {
        self.life.shutdown(Duration::from_secs(5)).await.unwrap();
    }

    async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.addr).await.unwrap();
        self.addr = listener.local_addr().unwrap();
        self.life = Supervisor::new();
        let (shared, life) = (Arc::clone(&self.shared), self.life.clone());
        self.life.spawn("broker", Span::none(), async move {
            let token = life.token();
            loop {
                let stream = tokio::select! {
                    () = token.cancelled() => return,
                    accepted = listener.accept() => accepted.unwrap().0,
                };
                let (shared, token) = (Arc::clone(&shared), token.clone());
                life.spawn("client", Span::none(), async move {
                    tokio::select! {
                        () = token.cancelled() => {}
                        // The peer may leave at any moment.
                        _ = serve(stream, &shared) => {}
                    }
                });
            }
        });
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut read = BytesMut::new();
    loop {
        let packet = match Packet::read(&mut read, None) {
            Ok(packet) => packet,
            Err(_) => {
                if stream.read_buf(&mut read).await? == 0 {
                    return Ok(());
                }
                continue;
            }
        };
        let answer = match packet {
            Packet::Connect(..) => Packet::ConnAck(ConnAck {
                session_present: false,
                code: ConnectReturnCode::Success,
                properties: None,
            }),
            Packet::PingReq(_) => Packet::PingResp(PingResp),
            Packet::Publish(publish) => match take(shared, &publish) {
                Some(reason) => Packet::PubAck(PubAck {
                    pkid: publish.pkid,
                    reason,
                    properties: None,
                }),
                None if *shared.manner.lock().unwrap() == PeerManner::Hangs => continue,
                None => return Ok(()),
            },
            _ => return Ok(()),
        };
        let mut bytes = BytesMut::new();
        answer.write(&mut bytes, None).unwrap();
        stream.write_all(&bytes).await?;
    }
}

/// What the broker answers; `None` when it does not.
fn take(shared: &Shared, publish: &Publish) -> Option<PubAckReason> {
    let manner = *shared.manner.lock().unwrap();
    match manner {
        PeerManner::Refuses => return Some(PubAckReason::PayloadFormatInvalid),
        PeerManner::NotReady => return Some(PubAckReason::QuotaExceeded),
        PeerManner::Takes | PeerManner::Hangs | PeerManner::BreaksOff => {}
    }
    let json: serde_json::Value = serde_json::from_slice(&publish.payload).unwrap();
    let (id, revision) = (
        json["id"].as_str().unwrap(),
        json["revision"].as_u64().unwrap(),
    );
    let properties = &publish.properties.as_ref().unwrap().user_properties;
    let key = format!("{id}.{revision}");
    assert_eq!(properties, &[("Idempotency-Key".to_owned(), key.clone())]);
    if shared.seen.lock().unwrap().insert(key) {
        shared.taken.lock().unwrap().push(json);
    }
    (manner == PeerManner::Takes).then_some(PubAckReason::Success)
}

#[tokio::test]
async fn mqtt_keeps_the_contract_of_linkages() {
    let _logs = Logs::capture();
    suite(Broker::start().await).await;
}

fn at(mosquitto: &Mosquitto) -> MqttLinkageOptions {
    let mut options = mqtt("local", mosquitto.url().parse().unwrap());
    options.ca_file = mosquitto.tls().map(|files| files.ca.clone());
    options
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_of_mosquitto_gets_the_json_of_the_webhook() {
    let _logs = Logs::capture();
    let mosquitto = Mosquitto::start(MosquittoOptions {
        users: vec![("gateway", "fixture-password")],
        tls: true,
        ..MosquittoOptions::default()
    })
    .await;
    let supervisor = Supervisor::new();
    let mut options = at(&mosquitto);
    options.login = Some(("gateway".to_owned(), Secret::new("fixture-password")));
    let linkage = Mqtt::new(options.clone(), &supervisor).unwrap();
    linkage.probe().await.unwrap();
    // Until someone subscribes, nobody has taken it.
    let err = linkage.deliver(&envelope(1, 1)).await.unwrap_err();
    assert_eq!(
        (err.class(), err.is_unreachable()),
        (Class::Transient, false)
    );
    assert!(err.to_string().contains("nobody subscribes"), "{err}");

    let sent = envelope(2, 1);
    let deliver = async {
        loop {
            match linkage.deliver(&sent).await {
                Ok(receipt) => return receipt,
                Err(err) => assert_eq!(err.class(), Class::Transient, "{err:?}"),
            }
            tokio::task::yield_now().await;
        }
    };
    let (received, receipt) = tokio::join!(mosquitto.receive("stairgate/#", 1), deliver);
    assert_eq!(receipt.text, "PUBACK");
    let received: serde_json::Value = serde_json::from_str(&received[0]).unwrap();
    assert_eq!(received, serde_json::to_value(&sent).unwrap());

    options.login = Some(("gateway".to_owned(), Secret::new("wrong")));
    let stranger = Mqtt::new(options.clone(), &supervisor).unwrap();
    assert!(stranger.probe().await.unwrap_err().is_unreachable());
    let dir = temp_dir();
    options.ca_file = Some(tls::make(dir.path()).ca);
    let mistrusting = Mqtt::new(options, &supervisor).unwrap();
    let err = mistrusting.probe().await.unwrap_err();
    let chain = stairgate::error::chain(&err).to_string();
    assert!(
        err.is_unreachable() && chain.contains("certificate"),
        "{chain}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_broker_is_noticed_and_a_topic_we_may_not_use_is_no_receipt() {
    let _logs = Logs::capture();
    let mut mosquitto = Mosquitto::start(MosquittoOptions {
        acl: Some("topic read #\ntopic write other/#\n"),
        ..MosquittoOptions::default()
    })
    .await;
    let supervisor = Supervisor::new();
    let linkage = Mqtt::new(at(&mosquitto), &supervisor).unwrap();
    let err = linkage.deliver(&envelope(1, 1)).await.unwrap_err();
    assert!(err.to_string().contains("may not publish"), "{err}");
    mosquitto.freeze();
    let err = linkage.deliver(&envelope(1, 1)).await.unwrap_err();
    assert_eq!(err.class(), Class::Transient, "{err:?}");
    linkage.probe().await.unwrap_err();
    mosquitto.thaw();
    linkage.probe().await.unwrap();
    mosquitto.kill();
    let err = linkage.deliver(&envelope(1, 1)).await.unwrap_err();
    assert!(err.is_unreachable(), "{err:?}");
}

//! One alert to everyone at once: a webhook receiver and a gRPC platform in Python, a subscriber of
//! mosquitto, and a duty-room program in Python on the gateway's own feed. It arrives at once, again
//! within a second of its clip being settled, and the clip is the one that was announced.

use std::time::Duration;

use serde_json::Value;

use super::site::{Neighbours, SWIPE_TOPIC, Site, UNKNOWN_CARD, swipe};
use super::{SETTLED_WITHIN, camera, settled_entry, warm};
use crate::harness::gateway::{self, Gateway};
use crate::harness::net::free_port;
use crate::harness::python::{self, Peer};
use crate::harness::wait::eventually_ok;
use crate::harness::{Mosquitto, MosquittoOptions, RtspCodec};

/// The contract: from a settled clip to the message that says so.
const FOLLOW_UP_WITHIN_MS: i64 = 1_000;

/// The messages about the alert that `lines` have, by the kind of peer: webhooks name fields as JSON
/// does, gRPC as the `.proto` file does.
struct Seen {
    revision: u64,
    clip_state: String,
    sha256: Option<String>,
    url: Option<String>,
    at_ms: i64,
}

fn seen(lines: &[Value]) -> Vec<Seen> {
    let of = |line: &Value| {
        let (alert, clip) = (&line["alert"], &line["alert"]["clip"]);
        let state = clip["state"].as_str().unwrap();
        let text = |field: &str| clip[field].as_str().map(str::to_owned);
        Seen {
            revision: alert["revision"].as_u64().unwrap(),
            clip_state: state.trim_start_matches("CLIP_STATE_").to_lowercase(),
            sha256: text("sha256"),
            url: text("url"),
            at_ms: line["at_ms"].as_i64().unwrap(),
        }
    };
    let alerts = lines
        .iter()
        .filter(|line| line["alert"]["clip"].is_object());
    alerts.map(of).collect()
}

/// The site's gateway, which tells everyone.
async fn start(site: &Site, webhook: u16, platform: u16, broker: &str, feed: u16) -> Gateway {
    let config = std::fs::read_to_string(site.config()).unwrap();
    let web = format!("listen = \"{}\"", site.web);
    let public = format!("{web}\npublic_url = \"http://{}\"", site.web);
    let more = format!(
        r#"
[grpc]
listen = "127.0.0.1:{feed}"

[[linkage]]
id = "room"
kind = "webhook"
url = "http://127.0.0.1:{webhook}/alerts"
secret_file = "police-secret"

[[linkage]]
id = "police"
kind = "grpc"
url = "http://127.0.0.1:{platform}"
token_file = "police-secret"
case_changes = true

[[linkage]]
id = "local"
kind = "mqtt"
url = "{broker}"
topic = "local/alerts"
"#
    );
    std::fs::write(site.config(), config.replace(&web, &public) + &more).unwrap();
    Gateway::start(&site.config(), &site.web).await
}

async fn token(site: &Site, name: &str, role: &str) -> String {
    let config = site.config();
    let args = [
        "user",
        "token",
        name,
        "--role",
        role,
        "--config",
        config.to_str().unwrap(),
    ];
    let output = gateway::run(&args).await;
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let token = text
        .split_whitespace()
        .find(|word| word.starts_with("stairgate_"));
    token
        .unwrap_or_else(|| panic!("a token in {text}"))
        .to_owned()
}

/// Everyone who is told.
struct Peers {
    webhook: Peer,
    platform: Peer,
    room: Peer,
    /// How the duty room's program reaches the gateway.
    known: [String; 4],
}

impl Peers {
    /// Starts them and the gateway.
    async fn start(site: &Site, mosquitto: &Mosquitto) -> (Peers, Gateway) {
        let folder = site.path("peers");
        std::fs::create_dir(&folder).unwrap();
        let secret = site.path("police-secret");
        let secret_text = std::fs::read_to_string(&secret).unwrap();
        let args = [secret.to_str().unwrap()];
        let (webhook, webhook_port) = Peer::serve("webhook_receiver.py", &args, &folder).await;
        let args = ["--token", secret_text.trim()];
        let (platform, platform_port) = Peer::serve("grpc_platform.py", &args, &folder).await;
        let feed_port = free_port();
        let broker = mosquitto.url();
        let mut gateway = start(site, webhook_port, platform_port, &broker, feed_port).await;
        gateway.expect("configuration problem");
        let token = token(site, "duty-1", "duty-officer").await;
        let known = [
            "--target".to_owned(),
            format!("127.0.0.1:{feed_port}"),
            "--token".to_owned(),
            token,
        ];
        let cursor = folder.join("cursor");
        let args = with(&["follow", "--cursor", cursor.to_str().unwrap()], &known);
        let room = Peer::spawn("grpc_room.py", &args, &folder);
        let peers = Peers {
            webhook,
            platform,
            room,
            known,
        };
        (peers, gateway)
    }

    /// Runs the duty room's program once; what it prints last.
    async fn room(&self, args: &[&str]) -> Value {
        python::run("grpc_room.py", &with(args, &self.known)).await
    }

    /// Both messages about the alert came to each, the second in time and with the right clip.
    async fn assert_told(&self, settled_ms: i64, sha256: &str) {
        for (who, peer) in [
            ("webhook", &self.webhook),
            ("platform", &self.platform),
            ("room", &self.room),
        ] {
            let told = eventually_ok("both messages", Duration::from_secs(20), || async {
                let told = seen(&peer.lines());
                if told.len() >= 2 {
                    Ok(told)
                } else {
                    Err(format!("{who}: {:?}", peer.lines()))
                }
            })
            .await;
            let (first, second) = (&told[0], &told[1]);
            assert_eq!(first.revision, 1, "{who}");
            assert_eq!(first.clip_state, "pending", "{who}");
            assert_eq!(second.clip_state, "whole", "{who}");
            assert_eq!(second.sha256.as_deref(), Some(sha256), "{who}");
            let late_ms = second.at_ms - settled_ms;
            println!("{who}: the clip's message {late_ms} ms after it was settled");
            assert!(late_ms <= FOLLOW_UP_WITHIN_MS, "{who}: {late_ms} ms");
            let url = second.url.as_ref().unwrap();
            let file = crate::harness::http::get(url).await.unwrap();
            assert_eq!(stairgate::clip::sha256_hex(&file.body), sha256, "{who}");
        }
    }

    /// The alerts and revisions that the duty room's program has read, each as often as it came.
    fn read_in_the_room(&self) -> Vec<(String, u64)> {
        let of = |line: &Value| {
            let alert = &line["alert"];
            let revision = alert["revision"].as_u64().unwrap();
            (alert["alert_id"].to_string(), revision)
        };
        self.room.lines().iter().map(of).collect()
    }
}

fn with<'a>(args: &[&'a str], known: &'a [String; 4]) -> Vec<&'a str> {
    let known = known.iter().map(String::as_str);
    args.iter().copied().chain(known).collect()
}

/// An alert about a swipe, to everyone; its id, and the entry.
async fn alarm(mosquitto: &Mosquitto, gateway: &Gateway, peers: &Peers) -> (String, Value) {
    let within = SETTLED_WITHIN + Duration::from_secs(30);
    let local = mosquitto.receive_within("local/alerts", 2, within);
    let message = swipe("5f3a", 17, UNKNOWN_CARD);
    let swiped = async {
        mosquitto.publish(SWIPE_TOPIC, &message, false).await;
        settled_entry(gateway).await
    };
    let (local, entry) = tokio::join!(local, swiped);
    assert_eq!(entry["clip"]["state"], "whole", "{entry}");
    let sha256 = entry["clip"]["sha256"].as_str().unwrap();
    let read = |text: &String| serde_json::from_str::<Value>(text).unwrap();
    let local: Vec<Value> = local.iter().map(read).collect();
    assert_eq!(local[0]["clip"]["state"], "pending");
    assert_eq!(local[1]["clip"]["sha256"], sha256);
    let settled_at = entry["clip"]["settled_at"].as_str().unwrap();
    let settled_at: stairgate::time::WallTime = settled_at.parse().unwrap();
    peers.assert_told(settled_at.unix_ms(), sha256).await;
    (local[0]["id"].as_str().unwrap().to_owned(), entry)
}

#[tokio::test]
async fn an_alert_reaches_peers_of_every_kind_at_once_and_again_with_its_clip() {
    let mosquitto = Mosquitto::start(MosquittoOptions::default()).await;
    let camera = camera(RtspCodec::H264).await;
    let site = Site::new(&Neighbours {
        mqtt: format!("url = \"{}\"\nclient_id = \"gateway\"", mosquitto.url()),
        camera: format!("url = \"{}\"", camera.url()),
        police: None,
    });
    let (peers, mut gateway) = Peers::start(&site, &mosquitto).await;
    warm(&gateway).await;
    let (alert, entry) = alarm(&mosquitto, &gateway, &peers).await;

    let answer = peers.room(&["acknowledge", "--alert", &alert]).await;
    assert_eq!(answer["by"], "duty-1");
    eventually_ok("the step is told", Duration::from_secs(20), || async {
        let lines = peers.platform.lines();
        let of = |line: &Value| line["alert"]["case"]["state"] == "acknowledged";
        if lines.iter().any(of) {
            Ok(())
        } else {
            Err(lines)
        }
    })
    .await;
    let out = site.path("clip.mp4");
    let entry_id = entry["id"].as_str().unwrap();
    let clip = ["clip", "--entry", entry_id, "--out", out.to_str().unwrap()];
    let clip = peers.room(&clip).await;
    assert_eq!(clip["sha256"], entry["clip"]["sha256"]);
    assert_eq!(clip["told"], entry["clip"]["sha256"]);
    assert_recorded(&gateway, &entry).await;

    // Nobody subscribes at the broker any more, so the alert waits for someone who does.
    gateway.expect("linkage is down");
    gateway.expect("footage file was open at the last end");
    let n_read = peers.read_in_the_room().len();
    gateway.restart().await;
    let message = swipe("5f3a", 18, UNKNOWN_CARD);
    mosquitto.publish(SWIPE_TOPIC, &message, false).await;
    eventually_ok("it comes back", Duration::from_secs(30), || async {
        let read = peers.read_in_the_room();
        if read.len() > n_read {
            Ok(())
        } else {
            Err(read)
        }
    })
    .await;
    let mut read = peers.read_in_the_room();
    let n_read = read.len();
    read.sort();
    read.dedup();
    assert_eq!(read.len(), n_read, "nothing twice");
    let refused = |line: &Value| line.get("refused").is_some();
    let by_webhook = peers.webhook.lines();
    assert!(!by_webhook.iter().any(refused), "{by_webhook:?}");
    gateway.stop(Duration::from_secs(20)).await;
    let config = site.config();
    let verified = gateway::run(&["verify-store", "--config", config.to_str().unwrap()]).await;
    assert!(verified.status.success(), "{verified:?}");
}

/// Who took the clip through the feed, from where, and which bytes, is in the audit: once.
async fn assert_recorded(gateway: &Gateway, entry: &Value) {
    let page = gateway
        .get("/api/v1/audit?who=duty-1&act=clip")
        .await
        .json();
    let [look] = page["items"].as_array().unwrap().as_slice() else {
        panic!("{page}");
    };
    assert_eq!(look["target"], entry["id"]);
    assert_eq!(look["place"], "b03-u2");
    assert_eq!(look["by"]["role"], "duty-officer");
    assert_eq!(look["from_address"], "127.0.0.1");
    let detail = look["detail"].as_str().unwrap();
    let sha256 = entry["clip"]["sha256"].as_str().unwrap();
    assert!(detail.contains(sha256), "{look}");
    assert!(detail.contains("b03-u2-in"), "{look}");
}

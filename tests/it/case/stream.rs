//! The live feed over real connections: a thousand viewers, each at its own place, and a gateway that
//! dies under them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{SOON, Site, step};
use crate::harness::gateway::Gateway;
use crate::harness::http;
use crate::harness::wait::eventually_ok;

const N_VIEWERS: u64 = 1_000;
/// A thousand viewers on a busy machine, in a debug build.
const ALL_WITHIN: Duration = Duration::from_secs(90);

/// One viewer over all its connections.
#[derive(Default)]
struct Viewer {
    last_id: Option<u64>,
    /// Every alert and revision it was shown.
    shown: HashSet<(String, u64)>,
    newest: HashMap<String, u64>,
    n_snapshots: usize,
}

/// An open stream.
struct Stream {
    lines: BufReader<TcpStream>,
}

impl Stream {
    async fn open(web: &str, last_id: Option<u64>, query: &str) -> Stream {
        let mut stream = TcpStream::connect(web).await.unwrap();
        let resume = last_id
            .map(|id| format!("Last-Event-ID: {id}\r\n"))
            .unwrap_or_default();
        let request = format!(
            "GET /api/v1/alerts/stream{query} HTTP/1.1\r\nHost: {web}\r\nAccept: text/event-stream\r\n\
             Authorization: Bearer {}\r\n{resume}\r\n",
            http::token_of(web).unwrap()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(stream);
        let mut status = String::new();
        lines.read_line(&mut status).await.unwrap();
        assert!(status.contains("200"), "{status}");
        loop {
            let mut line = String::new();
            lines.read_line(&mut line).await.unwrap();
            if line == "\r\n" {
                return Stream { lines };
            }
        }
    }

    /// The next event: its kind, id and data; `None` at the end.
    async fn event(&mut self) -> Option<(String, Option<u64>, Value)> {
        let (mut kind, mut id, mut data) = (String::new(), None, String::new());
        loop {
            let mut line = String::new();
            // A killed gateway leaves a reset or an end; both are the end of the stream.
            if self.lines.read_line(&mut line).await.unwrap_or(0) == 0 {
                return None;
            }
            let line = line.trim_end();
            if let Some(text) = line.strip_prefix("event: ") {
                kind = text.to_owned();
            } else if let Some(text) = line.strip_prefix("id: ") {
                id = Some(text.parse().unwrap());
            } else if let Some(text) = line.strip_prefix("data: ") {
                data = text.to_owned();
            } else if line.is_empty() && !data.is_empty() {
                return Some((kind, id, serde_json::from_str(&data).unwrap()));
            }
            // Chunk sizes, comments and `retry` are passed over.
        }
    }
}

impl Viewer {
    fn take(&mut self, (kind, id, data): (String, Option<u64>, Value)) {
        if let Some(id) = id {
            assert!(self.last_id.is_none_or(|last| last < id), "ids only rise");
            self.last_id = Some(id);
        }
        match kind.as_str() {
            "alert" => {
                let alert = data["id"].as_str().unwrap().to_owned();
                let revision = data["revision"].as_u64().unwrap();
                assert!(
                    self.shown.insert((alert.clone(), revision)),
                    "twice: {data}"
                );
                let before = self.newest.insert(alert, revision);
                assert!(
                    before.is_none_or(|before| before < revision),
                    "backwards: {data}"
                );
            }
            "ready" => {}
            "snapshot" => self.n_snapshots += 1,
            other => panic!("{other}: {data}"),
        }
    }

    fn knows(&self, all: &BTreeMap<String, u64>) -> bool {
        all.iter()
            .all(|(alert, revision)| self.newest.get(alert) == Some(revision))
    }
}

/// Every alert with its revision, once nothing moves any more: all clips are settled.
async fn settled(gateway: &Gateway, n_duress: usize) -> BTreeMap<String, u64> {
    eventually_ok("all alerts are there", SOON * 2, || async {
        let (mut all, mut n_found) = (BTreeMap::new(), 0);
        let mut cursor = String::new();
        loop {
            let url = format!("/api/v1/alerts?limit=500{cursor}");
            let page = gateway.get(&url).await.json();
            for alert in page["items"].as_array().unwrap() {
                n_found += usize::from(alert["kind"] == "duress");
                let id = alert["id"].as_str().unwrap().to_owned();
                all.insert(id, alert["revision"].as_u64().unwrap());
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let pending = gateway.get("/api/v1/entries?limit=500").await.json();
        let entries = pending["items"].as_array().unwrap();
        let is_settled = entries
            .iter()
            .all(|entry| entry["clip"]["state"] != "pending");
        if n_found == n_duress && entries.len() == n_duress && is_settled {
            Ok(all)
        } else {
            Err((n_found, is_settled))
        }
    })
    .await
}

/// Must-show 5 of issue 5.
#[tokio::test]
async fn a_thousand_viewers_resume_after_a_restart_each_at_its_own_place_without_loss() {
    let site = Site::new("");
    let mut gateway = site.start().await;
    site.raise(1, 60).await;
    settled(&gateway, 60).await;

    // In their first life they see different stretches: the n-th leaves after n mod 50 events.
    let first_life = (0..N_VIEWERS).map(|n| {
        let web = site.web.clone();
        async move {
            let mut viewer = Viewer::default();
            let mut stream = Stream::open(&web, None, "?after=0").await;
            while viewer.shown.len() < usize::try_from(n % 50).unwrap() {
                viewer.take(stream.event().await.expect("there are more"));
            }
            // Some are still connected when the gateway dies.
            (viewer, stream)
        }
    });
    let viewers = timeout(ALL_WITHIN, join_all(first_life)).await.unwrap();
    let metrics = gateway.get("/metrics").await.text();
    assert!(
        metrics.contains("stairgate_alert_streams 1000"),
        "all are open at once"
    );
    gateway.crash();
    gateway.restart().await;
    site.raise(61, 40).await;
    let all = settled(&gateway, 100).await;

    let second_life = viewers.into_iter().map(|(mut viewer, stream)| {
        drop(stream);
        let (web, all) = (site.web.clone(), &all);
        async move {
            let (last_id, query) = (viewer.last_id, "?after=0");
            let mut stream = Stream::open(&web, last_id, query).await;
            while !viewer.knows(all) {
                viewer.take(stream.event().await.expect("there are more"));
            }
            assert_eq!(viewer.n_snapshots, 0);
            (viewer, stream)
        }
    });
    let mut viewers = timeout(ALL_WITHIN, join_all(second_life)).await.unwrap();
    // All are open at once, and who asks for something else is answered all the same.
    assert_eq!(gateway.get("/readyz").await.status, 200);

    // One more alert reaches them all, live, and nothing else does.
    site.raise(101, 1).await;
    let all = settled(&gateway, 101).await;
    let live = viewers.iter_mut().map(|(viewer, stream)| {
        let all = &all;
        async move {
            while !viewer.knows(all) {
                viewer.take(stream.event().await.expect("there is more"));
            }
        }
    });
    timeout(ALL_WITHIN, join_all(live)).await.unwrap();
    // A gateway that stops ends its streams at once.
    gateway.stop(Duration::from_secs(15)).await;
    let ends = viewers.iter_mut().map(|(_, stream)| stream.event());
    let ended = timeout(SOON, join_all(ends)).await.unwrap();
    assert!(ended.iter().all(Option::is_none));
    site.verify().await;
}

#[tokio::test]
async fn a_viewer_without_a_cursor_gets_one_at_once_and_sees_what_comes_then() {
    let site = Site::new("");
    let officer = site.token("duty-officer").await;
    let gateway = site.start().await;
    site.raise(1, 1).await;
    let before = settled(&gateway, 1).await;
    let mut viewer = Viewer::default();
    let mut stream = Stream::open(&site.web, None, "").await;
    let (kind, id, data) = stream.event().await.unwrap();
    assert_eq!((kind.as_str(), id), ("ready", data["cursor"].as_u64()));
    viewer.take((kind, id, data));
    drop(stream);
    // It was never shown an alert, and misses none all the same.
    let alerts = gateway.get("/api/v1/alerts?kind=duress").await.json();
    let alert = alerts["items"][0]["id"].as_str().unwrap();
    step(&gateway, &officer, alert, "acknowledge", Value::Null).await;
    let mut stream = Stream::open(&site.web, viewer.last_id, "").await;
    let (kind, _, data) = timeout(SOON, stream.event()).await.unwrap().unwrap();
    assert_eq!((kind.as_str(), &data["id"]), ("alert", &Value::from(alert)));
    assert_eq!(data["case"]["state"], "acknowledged");
    assert_eq!(data["case"]["last"]["by"]["name"], "duty-officer");
    assert_eq!(
        data["revision"].as_u64(),
        before.get(alert).map(|revision| revision + 1)
    );
    drop(stream);
    for (cursor, status) in [("Last-Event-ID: one", 400), ("X: y", 200)] {
        let mut raw = TcpStream::connect(&site.web).await.unwrap();
        let request = format!(
            "GET /api/v1/alerts/stream HTTP/1.1\r\nHost: {}\r\n\
             Authorization: Bearer {}\r\n{cursor}\r\n\r\n",
            site.web,
            http::token_of(&site.web).unwrap()
        );
        raw.write_all(request.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        raw.read_exact(&mut head).await.unwrap();
        assert_eq!(&head[9..], status.to_string().as_bytes());
    }
    gateway.stop(Duration::from_secs(15)).await;
}

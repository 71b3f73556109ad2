//! A gateway with simulated cameras, and nothing else: no doors, no receivers.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use stairgate::domain::role::Role;
use stairgate::mux::packetise;
use stairgate::sim::cameras::{SimCameras, SimCamerasOptions};
use stairgate::sim::media::Film;
use stairgate::store::{Store, StoreOptions, tables, verify};
use stairgate::supervise::Supervisor;
use stairgate::time::Clock;

use crate::frame_number::fixture;
use crate::harness::gateway::Gateway;
use crate::harness::http::Answer;
use crate::harness::net::free_port;
use crate::harness::wait::eventually_ok;
use crate::harness::{http, temp_dir};

/// Longest time from the start until every camera streams.
const STREAMS_WITHIN: Duration = Duration::from_secs(30);

/// A camera of the site: its id and its streams.
pub(super) struct CameraLine {
    pub(super) id: &'static str,
    pub(super) url: String,
    pub(super) sub_url: Option<String>,
}

pub(super) struct Site {
    dir: tempfile::TempDir,
    /// `host:port`.
    pub(super) web: String,
    pub(super) gateway: Gateway,
}

/// `n` cameras on one port that show the fixture `name`.
pub(super) async fn cameras(n: usize, name: &str) -> SimCameras {
    let media = packetise(&fixture(name), 1_400).unwrap();
    let film: Arc<Film> = Film::new(media).unwrap();
    let options = SimCamerasOptions {
        n_cameras: n,
        ..SimCamerasOptions::default()
    };
    let supervisor = Supervisor::new();
    let started = SimCameras::start(options, vec![film], Clock::system(), &supervisor);
    started.await.unwrap()
}

impl Site {
    /// Starts the gateway and waits until all its cameras stream.
    pub(super) async fn start(cameras: &[CameraLine]) -> Site {
        let dir = temp_dir();
        let web = format!("127.0.0.1:{}", free_port());
        let mut text = format!(
            r#"
compound = {{ id = "test-1", name = "Test", time_zone = "Asia/Shanghai" }}
store = {{ path = "store" }}
footage = {{ path = "footage", free_space_floor = "1%" }}
web = {{ listen = "{web}" }}
mqtt = {{ url = "embedded", listen = "127.0.0.1:{mqtt}" }}
stairwell = [
  {{ id = "b03-u2", building = "3", unit = "2" }},
  {{ id = "b04-u1", building = "4", unit = "1" }},
]
"#,
            mqtt = free_port(),
        );
        for camera in cameras {
            let CameraLine { id, url, sub_url } = camera;
            // The place is the beginning of the id.
            let place = id.get(..6).unwrap();
            writeln!(
                text,
                "[[camera]]\nid = \"{id}\"\nplace = \"{place}\"\nurl = \"{url}\""
            )
            .unwrap();
            if let Some(sub_url) = sub_url {
                writeln!(text, "sub_url = \"{sub_url}\"").unwrap();
            }
        }
        let config = dir.path().join("gateway.toml");
        std::fs::write(&config, text).unwrap();
        let mut gateway = Gateway::spawn(&config, &web, &[]);
        gateway.expect("configuration problem");
        gateway.expect("camera session lost");
        gateway.expect("camera cannot be had");
        gateway.ready().await;
        let site = Site { dir, web, gateway };
        let what = "all cameras stream";
        eventually_ok(what, STREAMS_WITHIN, || async {
            let list = site.get("/api/v1/cameras").await.json();
            let mut items = list["items"].as_array().unwrap().iter();
            if items.all(|camera| camera["up"] == true) {
                Ok(())
            } else {
                Err(list.to_string())
            }
        })
        .await;
        site
    }

    /// A token for the account `name`; it is known when this returns.
    pub(super) async fn token(&self, name: &str, role: Role) -> String {
        let (file, now) = (self.accounts_file(), Clock::system().now());
        let name = name.parse().unwrap();
        let token = stairgate::account::make_token(&file, &name, role, now).unwrap();
        let token = token.reveal().to_owned();
        // What may be seen is another question than who asks.
        eventually_ok("the token is known", Duration::from_secs(5), || async {
            let answer = self
                .get_as(&token, "/api/v1/cameras/none/picture.jpg")
                .await;
            if answer.status == 401 {
                Err(answer.text())
            } else {
                Ok(())
            }
        })
        .await;
        token
    }

    pub(super) fn accounts_file(&self) -> PathBuf {
        let config = stairgate::config::load(&self.dir.path().join("gateway.toml")).unwrap();
        config.web.accounts_file
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Limits the account of `token` to one building; so it is when this returns.
    pub(super) async fn limit_to(&self, name: &str, building: &str, token: &str) {
        let file = self.accounts_file();
        let mut book: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        book["accounts"][name]["buildings"] = json!([building]);
        std::fs::write(&file, book.to_string()).unwrap();
        let what = "the account is limited";
        eventually_ok(what, Duration::from_secs(5), || async {
            let path = "/api/v1/cameras/b03-u2-in/picture.jpg";
            match self.get_as(token, path).await.status {
                403 => Ok(()),
                status => Err(status),
            }
        })
        .await;
    }

    /// Stops the gateway; the records of looks, as JSON. Its store is clean.
    pub(super) async fn looks(self) -> Vec<String> {
        let Site { dir, gateway, .. } = self;
        gateway.stop(Duration::from_secs(30)).await;
        let options = StoreOptions {
            path: dir.path().join("store"),
        };
        let mut registry = stairgate::telemetry::registry();
        let store = Store::open(&options, &Supervisor::new(), &mut registry).unwrap();
        assert_eq!(verify(&store).unwrap(), []);
        let rows = store.scan(tables::AUDIT, &());
        let looks = rows
            .map(|row| serde_json::to_string(&row.unwrap().1).unwrap())
            .collect();
        let hours: Vec<_> = store.scan(tables::CAMERA_HOURS, &()).collect();
        assert!(!hours.is_empty(), "uptime is written at the end");
        store.close().await;
        looks
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.gateway.get(path).await
    }

    pub(super) async fn get_as(&self, token: &str, path: &str) -> Answer {
        let url = format!("http://{}{path}", self.web);
        let request = http::client().get(url).bearer_auth(token);
        http::send(request).await.unwrap()
    }

    /// A metric without labels, in whole numbers.
    pub(super) async fn metric(&self, name: &str) -> u64 {
        let text = self.get("/metrics").await.text();
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value
            .unwrap_or_else(|| panic!("{name} in {text}"))
            .parse()
            .unwrap()
    }
}

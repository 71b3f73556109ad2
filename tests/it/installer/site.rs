//! A site that begins empty, and its simulated neighbours.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use stairgate::domain::id::CompoundId;
use stairgate::mux::packetise;
use stairgate::sim::cameras::{AuthScheme, CameraLogin, SimCameras, SimCamerasOptions};
use stairgate::sim::doors::{SimDoorOptions, SimDoors, SimDoorsOptions};
use stairgate::sim::media::Film;
use stairgate::supervise::Supervisor;
use stairgate::time::Clock;

use crate::frame_number::fixture;
use crate::harness::gateway::{self, Gateway};
use crate::harness::http::{self, Answer};
use crate::harness::net::free_port;
use crate::harness::temp_dir;
use crate::harness::wait::eventually_ok;

/// Frames of the film at 25 a second, with a key frame each second.
const N_FRAMES: usize = 100;
/// Asked for by every simulated camera that has a log-in.
pub(super) const CAMERA_PASSWORD: &str = "hush hush \" ' #";

pub(super) struct Site {
    dir: tempfile::TempDir,
    pub(super) gateway: Gateway,
    pub(super) token: String,
    mqtt_port: u16,
}

/// Nothing but what a gateway cannot do without.
fn empty_config(web: &str, mqtt_port: u16) -> String {
    format!(
        r#"# Written by hand.
[compound]
id = "test-1"
name = "Test"                # for people
time_zone = "Asia/Shanghai"

[store]
path = "store"

[footage]
path = "footage"
free_space_floor = "1%"
pre_roll_s = 2
post_roll_s = 3

[mqtt]
listen = "127.0.0.1:{mqtt_port}"

[web]
listen = "{web}"
"#
    )
}

impl Site {
    pub(super) async fn start() -> Site {
        let dir = temp_dir();
        let (web, mqtt_port) = (format!("127.0.0.1:{}", free_port()), free_port());
        let config = dir.path().join("gateway.toml");
        std::fs::write(&config, empty_config(&web, mqtt_port)).unwrap();
        let mut gateway = Gateway::spawn(&config, &web, &[]);
        gateway.expect("configuration problem");
        gateway.ready().await;
        let mut site = Site {
            dir,
            gateway,
            token: String::new(),
            mqtt_port,
        };
        site.token = site.token("setup", "installer").await;
        site
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn config(&self) -> String {
        std::fs::read_to_string(self.path("gateway.toml")).unwrap()
    }

    /// A new token; it is known when this returns.
    pub(super) async fn token(&self, name: &str, role: &str) -> String {
        let config = self.path("gateway.toml");
        let config = config.to_str().unwrap();
        let args = ["user", "token", name, "--role", role, "--config", config];
        let output = gateway::run(&args).await;
        assert!(output.status.success(), "{output:?}");
        let token = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        eventually_ok("the token is known", Duration::from_secs(5), || async {
            let url = self.gateway.url("/api/v1/health");
            let answer = http::send(http::client().get(url).bearer_auth(&token)).await;
            match answer.unwrap() {
                answer if answer.status == 200 => Ok(()),
                answer => Err(answer.text()),
            }
        })
        .await;
        token
    }

    pub(super) async fn send(&self, method: reqwest::Method, path: &str, body: Vec<u8>) -> Answer {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(40))
            .no_proxy()
            .build()
            .unwrap();
        let request = client
            .request(method, self.gateway.url(&format!("/api/v1{path}")))
            .bearer_auth(&self.token)
            .header("content-type", "application/json")
            .body(body);
        http::send(request).await.unwrap()
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        let answer = self.send(reqwest::Method::GET, path, Vec::new()).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Answer {
        let body = body.to_string().into_bytes();
        self.send(reqwest::Method::POST, path, body).await
    }

    /// Puts `change` on top of what there is now.
    pub(super) async fn put(&self, change: Value) -> Answer {
        let mut body = json!({ "version": self.get("/site").await["version"] });
        for (key, value) in change.as_object().unwrap() {
            body[key] = value.clone();
        }
        let body = body.to_string().into_bytes();
        self.send(reqwest::Method::PUT, "/site", body).await
    }

    pub(super) async fn has_missing(&self, code: &str) -> bool {
        let missing = self.get("/site/missing").await;
        let items = missing["items"].as_array().unwrap().clone();
        items.iter().any(|item| item["code"] == code)
    }

    pub(super) fn doors(&self, doors: Vec<SimDoorOptions>, supervisor: &Supervisor) -> SimDoors {
        let options = SimDoorsOptions {
            host: "127.0.0.1".to_owned(),
            port: self.mqtt_port,
            tls: None,
            compound: CompoundId::new("test-1").unwrap(),
            topic_prefix: "stairgate".to_owned(),
            doors,
        };
        SimDoors::start(&options, &Clock::system(), supervisor).unwrap()
    }
}

pub(super) async fn cameras(n_cameras: usize, login: bool, supervisor: &Supervisor) -> SimCameras {
    let mut media = packetise(&fixture("video/numbered-h264-small.mp4"), 1_400).unwrap();
    media.frames.truncate(N_FRAMES);
    media.duration_ticks = 100 * 3_600;
    let film: Arc<Film> = Film::new(media).unwrap();
    let login = login.then(|| CameraLogin {
        scheme: AuthScheme::Digest,
        username: "admin".to_owned(),
        password: CAMERA_PASSWORD.to_owned(),
    });
    let options = SimCamerasOptions {
        n_cameras,
        login,
        burst_at_connect: true,
        ..SimCamerasOptions::default()
    };
    let cameras = SimCameras::start(options, vec![film], Clock::system(), supervisor);
    cameras.await.unwrap()
}

impl Site {
    pub(super) async fn put_nothing(&self) -> u16 {
        let body = br#"{"version":"x"}"#.to_vec();
        let answer = self.send(reqwest::Method::PUT, "/site", body).await;
        answer.status
    }
}

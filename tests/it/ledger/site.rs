//! A gateway with two stairwells in two buildings, a gate, no cameras, and an empty ledger.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use stairgate::time::Clock;

use crate::harness::Mosquitto;
use crate::harness::gateway::{self, Gateway};
use crate::harness::http::{self, Answer};
use crate::harness::net::free_port;
use crate::harness::temp_dir;
use crate::harness::wait::eventually_ok;

pub(crate) struct Site {
    dir: tempfile::TempDir,
    pub(crate) gateway: Gateway,
    pub(crate) token: String,
    client: reqwest::Client,
    n_swipes: u64,
}

/// A rented dwelling of `b03-u2`.
pub(crate) fn rented(number: &str, area_m2: &str) -> Value {
    json!({
        "place": "b03-u2", "number": number, "area_m2": area_m2, "tenure": "rented", "why": "register",
    })
}

/// A tenant.
pub(crate) fn holder(id: &str, name: &str) -> Value {
    json!({"id": id, "name": name, "relation": "tenant", "why": "moved in"})
}

fn write_config(folder: &Path, web: &str, mqtt: &str, more: &str) -> PathBuf {
    let file = folder.join("gateway.toml");
    let text = format!(
        r#"
compound = {{ id = "test-1", name = "Test", time_zone = "Asia/Shanghai" }}
store = {{ path = "store" }}
footage = {{ path = "footage", free_space_floor = "1%" }}
web = {{ listen = "{web}" }}
mqtt = {{ url = "{mqtt}" }}
limit = {{ exempt_relations = ["minor-child"] }}
stairwell = [
  {{ id = "b03-u2", building = "3", unit = "2" }},
  {{ id = "b04-u1", building = "4", unit = "1" }},
]
door = [
  {{ id = "b03-u2-door", place = "b03-u2", cameras = [] }},
  {{ id = "b04-u1-door", place = "b04-u1", cameras = [] }},
  {{ id = "gate", place = "compound", cameras = [] }},
]
{more}
"#
    );
    std::fs::write(&file, text).unwrap();
    file
}

impl Site {
    pub(crate) async fn start(mosquitto: &Mosquitto) -> Site {
        Site::with(mosquitto, "", &[]).await
    }

    /// With more configuration, and files beside it.
    pub(crate) async fn with(mosquitto: &Mosquitto, more: &str, files: &[(&str, &str)]) -> Site {
        let dir = temp_dir();
        let web = format!("127.0.0.1:{}", free_port());
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let config = write_config(dir.path(), &web, &mosquitto.url(), more);
        let mut gateway = Gateway::spawn(&config, &web, &[]);
        gateway.expect("configuration problem");
        gateway.ready().await;
        let mut site = Site {
            dir,
            gateway,
            token: String::new(),
            client: http::client(),
            n_swipes: 0,
        };
        site.token = site.token("clerk", "property-manager").await;
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs `stairgate user …`; what it prints. The audit has it when this returns.
    pub(crate) async fn user(&self, args: &[&str]) -> String {
        let config = self.path("gateway.toml");
        let config = config.to_str().unwrap();
        let args = [&["user"], args, &["--config", config]].concat();
        let output = gateway::run(&args).await;
        assert!(output.status.success(), "{output:?}");
        eventually_ok("the audit has it", Duration::from_secs(5), || async {
            let accounts = std::fs::read_to_string(self.path("accounts.json")).unwrap();
            match accounts.contains("\"told\"") {
                true => Err("it waits"),
                false => Ok(()),
            }
        })
        .await;
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A new token; it is known when this returns.
    pub(crate) async fn token(&self, name: &str, role: &str) -> String {
        let token = self.user(&["token", name, "--role", role]).await;
        eventually_ok("the token is known", Duration::from_secs(5), || async {
            let answer = self.get_as(Some(&token), "/api/v1/dwellings").await;
            // Known is who is let in, or told that it needs another role.
            if answer.status != 401 {
                Ok(())
            } else {
                Err(answer.text())
            }
        })
        .await;
        token
    }

    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, self.gateway.url(path))
    }

    async fn send(
        &self,
        request: reqwest::RequestBuilder,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let request = match body {
            Some(body) => request
                .header("content-type", "application/json")
                .body(body.to_string()),
            None => request,
        };
        http::send(request).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_as(Some(&self.token), path).await
    }

    pub(crate) async fn get_as(&self, token: Option<&str>, path: &str) -> Answer {
        self.send(self.request(reqwest::Method::GET, path), token, None)
            .await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.put_as(Some(&self.token), path, body).await
    }

    pub(crate) async fn put_as(&self, token: Option<&str>, path: &str, body: &Value) -> Answer {
        self.send(self.request(reqwest::Method::PUT, path), token, Some(body))
            .await
    }

    pub(crate) async fn put_if(&self, path: &str, tag: &str, body: &Value) -> Answer {
        let request = self
            .request(reqwest::Method::PUT, path)
            .header("if-match", tag);
        self.send(request, Some(&self.token), Some(body)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_as(Some(&self.token), path, body).await
    }

    pub(crate) async fn post_as(&self, token: Option<&str>, path: &str, body: &Value) -> Answer {
        let request = self
            .request(reqwest::Method::POST, path)
            // A wait at a door is longer than other answers take.
            .timeout(Duration::from_secs(30));
        self.send(request, token, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        let request = self.request(reqwest::Method::DELETE, path);
        self.send(request, Some(&self.token), None).await
    }

    /// A client of its own for many requests at a time.
    pub(crate) fn client(&self) -> reqwest::Client {
        self.client.clone()
    }

    /// Swipes at `door`; the entry.
    pub(crate) async fn swipe(&mut self, mosquitto: &Mosquitto, door: &str, card: &str) -> Value {
        self.n_swipes += 1;
        let seq = self.n_swipes;
        self.publish_swipe(mosquitto, door, seq, card).await;
        eventually_ok("the entry", Duration::from_secs(10), || async {
            let entries = self.get("/api/v1/entries?limit=500").await.json();
            let items = entries["items"].as_array().unwrap().clone();
            if items.len() as u64 == seq {
                Ok(items[0].clone())
            } else {
                Err(entries)
            }
        })
        .await
    }

    /// The same after one that [`Site::publish_swipe`] alone has made.
    pub(crate) async fn swipe_next(
        &mut self,
        mosquitto: &Mosquitto,
        door: &str,
        card: &str,
    ) -> Value {
        self.n_swipes = self.n_swipes.max(1);
        self.swipe(mosquitto, door, card).await
    }

    /// The controller of `door` reports a swipe; does not wait for its entry.
    pub(crate) async fn publish_swipe(
        &self,
        mosquitto: &Mosquitto,
        door: &str,
        seq: u64,
        card: &str,
    ) {
        let message = json!({
            "v": 1, "boot": "5f3a", "seq": seq, "at": Clock::system().now(), "card": card,
            "direction": "in", "method": "card",
        });
        let topic = format!("stairgate/test-1/door/{door}/swipe");
        mosquitto.publish(&topic, &message.to_string(), false).await;
    }

    /// Stops it in order; its store is clean. Its folder and its log.
    pub(crate) async fn stop(self) -> (tempfile::TempDir, String) {
        let log = self.gateway.log();
        self.gateway.stop(Duration::from_secs(20)).await;
        let config = self.dir.path().join("gateway.toml");
        let args = ["verify-store", "--config", config.to_str().unwrap()];
        let verified = gateway::run(&args).await;
        assert!(verified.status.success(), "{verified:?}");
        (self.dir, log)
    }
}

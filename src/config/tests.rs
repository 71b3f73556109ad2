//! The rules of the configuration.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::camera::Transport;
use crate::domain::id::DoorId;

/// A folder with a configuration and its secrets.
pub(super) struct Site(pub(super) tempfile::TempDir);

impl Site {
    pub(super) fn new() -> Site {
        let site = Site(tempfile::tempdir().unwrap());
        site.secret("camera", "open sesame\n");
        site.secret("door", "knock knock\n");
        site.secret("webhook", "0123456789abcdef\n");
        site
    }

    pub(super) fn secret(&self, name: &str, text: &str) {
        let file = self.0.path().join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub(super) fn load(&self, text: &str) -> Result<Config, ConfigErrors> {
        let file = self.0.path().join("gateway.toml");
        fs::write(&file, text).unwrap();
        load_with(&file, &|name| {
            (name == "CAMERA").then(|| "from the air".to_owned())
        })
    }

    /// All problems as printed, without the folder's name.
    pub(super) fn refused(&self, text: &str) -> String {
        self.clean(&self.load(text).unwrap_err().to_string())
    }

    /// All warnings as printed.
    pub(super) fn warned(&self, text: &str) -> String {
        let config = self.load(text).unwrap_or_else(|err| panic!("{err}"));
        let lines = config
            .warnings
            .iter()
            .map(|w| w.show(&config.file).to_string());
        self.clean(&lines.collect::<Vec<_>>().join("\n"))
    }

    fn clean(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.path().display()), "")
    }
}

pub(super) const MINIMAL: &str = r#"
[compound]
id = "majian-1"
name = "马涧花园一区"
time_zone = "Asia/Shanghai"
"#;

pub(super) const WHOLE: &str = r#"
[compound]
id = "majian-1"
name = "马涧花园一区"
time_zone = "Asia/Shanghai"

[store]
path = "state/store"

[footage]
path = "state/footage"
free_space_floor = "10GB"

[roster]
file = "gateway.toml"

[limit]
m2_per_person = "12.5"
applies_to = "rented"
at_door = "deny"
exempt_relations = ["minor-child"]

[mqtt]
url = "embedded"
listen = "0.0.0.0:1883"

[[stairwell]]
id = "b03-u2"
building = "3"
unit = "2"

[[camera]]
id = "b03-u2-in"
place = "b03-u2"
url = "rtsp://192.0.2.10:554/Streaming/Channels/101"
transport = "udp"
username = "admin"
password_file = "camera"

[[camera]]
id = "gate"
place = "compound"
url = "rtsp://[2001:db8::10]/main"
username = "admin"
password_env = "CAMERA"

[[door]]
id = "b03-u2-door"
place = "b03-u2"
cameras = ["b03-u2-in", "gate"]
decision = "online"
username = "b03-u2-door"
password_file = "door"

[[door]]
id = "gate-door"
place = "compound"
cameras = ["gate"]
controller = "uhppoted"
username = "b03-u2-door"
password_file = "door"
[door.match]
device_id = 405419896
door = 2

[[linkage]]
id = "duty-room"
kind = "webhook"
url = "https://duty-room.example/alerts"
secret_file = "webhook"
kinds = ["duress", "unknown-card"]
include = ["card-tail"]
"#;

#[test]
fn a_whole_configuration_is_read_into_options() {
    let site = Site::new();
    let config = site.load(WHOLE).unwrap_or_else(|err| panic!("{err}"));
    assert_eq!(config.warnings, []);
    assert_eq!(config.compound.id.as_str(), "majian-1");
    assert_eq!(config.store.path, site.0.path().join("state/store"));
    assert_eq!(config.store.key_file, site.0.path().join("state/site.key"));
    assert_eq!(
        config.footage.free_space_floor,
        FreeSpaceFloor::Bytes(10_000_000_000)
    );
    assert_eq!(config.footage.clip, ClipLength::DEFAULT);
    assert_eq!(config.camera_rules.ring.media_ms_max, 12_000);
    assert_eq!(config.limit.per_person.to_string(), "12.50");
    assert_eq!(config.at_door, AtDoor::Deny);
    let [first, second] = config.cameras.as_slice() else {
        panic!("two cameras")
    };
    assert_eq!(first.transport, Transport::Udp);
    assert_eq!(first.password.as_ref().unwrap().reveal(), "open sesame");
    assert_eq!(second.password.as_ref().unwrap().reveal(), "from the air");
    let [door, gate] = config.doors.as_slice() else {
        panic!("two doors")
    };
    assert_eq!(door.decision, DecisionMode::Online);
    assert_eq!(door.door.cameras.len(), 2);
    assert!(matches!(
        gate.controller,
        Dialect::Uhppoted {
            device_id: 405_419_896,
            door: Some(2),
            ..
        }
    ));
    let Broker::Embedded(broker) = &config.mqtt.broker else {
        panic!("embedded")
    };
    let [credential] = broker.credentials.as_slice() else {
        panic!("one log-in for both doors")
    };
    let doors: Vec<&str> = credential.doors.iter().map(DoorId::as_str).collect();
    assert_eq!(doors, ["b03-u2-door", "gate-door"]);
    let [linkage] = config.linkages.as_slice() else {
        panic!("one linkage")
    };
    assert_eq!(linkage.kinds.len(), 2);
    assert!(!format!("{config:?}").contains("sesame"));
}

#[test]
fn the_least_configuration_has_defaults_and_says_what_is_missing() {
    let site = Site::new();
    insta::assert_snapshot!("minimal_warnings", site.warned(MINIMAL));
    let config = site.load(MINIMAL).unwrap();
    assert_eq!(config.store.path, Path::new("/var/lib/stairgate/store"));
    assert_eq!(
        config.store.key_file,
        Path::new("/var/lib/stairgate/site.key")
    );
    assert_eq!(config.web.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.outbox.give_up_after, Duration::from_secs(72 * 3_600));
    assert!(matches!(config.mqtt.broker, Broker::Embedded(_)));
}

#[test]
fn an_external_broker_is_read_from_its_url() {
    let site = Site::new();
    let text = format!("{MINIMAL}\n[mqtt]\nurl = \"mqtts://[2001:db8::1]\"\n");
    let config = site.load(&text).unwrap();
    let Broker::External(broker) = config.mqtt.broker else {
        panic!("external")
    };
    assert_eq!((broker.host.as_str(), broker.port), ("2001:db8::1", 8_883));
    assert_eq!(broker.client_id, "stairgate-majian-1");
    assert!(broker.tls.is_some() && broker.username.is_none());
}

#[test]
fn an_empty_file_says_what_it_needs() {
    insta::assert_snapshot!("empty", Site::new().refused(""));
}

#[test]
fn what_is_not_toml_is_named_by_line() {
    let refused = Site::new().refused("[compound\nid = majian\nname = \"a\nb = 1\n");
    insta::assert_snapshot!("syntax", refused);
}

#[test]
fn a_file_that_is_not_there_says_so() {
    let err = load(Path::new("nowhere/gateway.toml")).unwrap_err();
    insta::assert_snapshot!("no_file", err);
}

#[test]
fn every_mistake_of_the_sections_is_named_at_once() {
    let text = r#"
colour = "red"

[compound]
id = "majian 1"
name = ""
time_zone = "Asia/Shanghigh"
town = "Suzhou"

[log]
format = "xml"
filter = "=="

[store]
path = "state"
key_file = "state/site.key"
entry_retention_days = 7

[footage]
path = "state/footage"
pre_roll_s = 0
post_roll_s = "20"
retention_days = 9999
free_space_floor = "5"

[ring]
late_swipe_s = -1
size_max = "1TB"

[clock]
controller_skew_max_s = 1.5

[roster]
file = "no-roster.csv"

[limit]
m2_per_person = 12.345
applies_to = "some"
at_door = true
exempt_relations = "none"

[web]
listen = "0.0.0.0:8080"
tls_cert_file = "cert.pem"
public_url = "gateway.example"

[outbox]
give_up_after = 72

[mqtt]
url = "mqtt://user:hunter2@broker:1883"
listen = "localhost:1883"
topic_prefix = "a/#"
client_id = ""
username = "gateway"
ca_file = "no-ca.pem"

[[mqtt.credential]]
username = "x"
password = "hunter2"
doors = ["no-door"]
"#;
    let refused = Site::new().refused(text);
    assert!(!refused.contains("hunter2"));
    insta::assert_snapshot!("bad_sections", refused);
}

#[test]
fn every_mistake_of_the_devices_is_named_at_once() {
    let text = r#"
stairwell = [{ id = "compound", building = "1", unit = "1" }, { id = "b03-u2", building = 3 }]

[compound]
id = "majian-1"
name = "majian"
time_zone = "Asia/Shanghai"

[mqtt]
listen = "0.0.0.0:1883"

[[camera]]
id = "one"
place = "b03-u2"
url = "rtsp://admin:hunter2@192.0.2.10/main"

[[camera]]
id = "one"
place = "b04-u1"
url = "http://192.0.2.10/"
transport = "carrier-pigeon"
pasword_file = "camera"

[[camera]]
id = "第三"
url = "rtsp:///main"
username = "admin"
password = "hunter2"

[[camera]]
id = "four"
place = "compound"
url = "rtsp://192.0.2.13/main"
password_file = "nowhere"
password_env = "CAMERA"

[[camera]]
id = "five"
place = "compound"
url = "rtsp://192.0.2.14/main"
username = "admin"
password_env = "NOT_THERE"

[[door]]
id = "front"
place = "b03-u2"
cameras = ["one", "one", "two"]
controller = "esp-rfid"

[[door]]
id = "back"
place = "nowhere"
cameras = ["one"]
controller = "uhppoted"
decision = "never"
username = "back"
password_file = "door"
[door.match]
device_id = 1

[[door]]
id = "side"
place = "compound"
cameras = [1]
controller = "uhppoted"
username = "back"
password_file = "camera"
[door.match]
device_id = 1
door = 3

[[door]]
id = "front"
place = "compound"
cameras = ["four"]
[door.match]
hostname = "x"
"#;
    let refused = Site::new().refused(text);
    assert!(!refused.contains("hunter2"));
    insta::assert_snapshot!("bad_devices", refused);
}

#[test]
fn every_mistake_of_the_linkages_is_named_at_once() {
    let text = format!(
        "{MINIMAL}\n{}",
        r#"
[[linkage]]
id = "a"
kind = "gb28181"
url = "https://duty-room.example"
secret_file = "webhook"

[[linkage]]
id = "a"
kind = "carrier-pigeon"
url = "ftp://duty-room.example"
secret = "hunter2"
kinds = ["*", "fire"]
include = ["name"]
timeout_s = 0

[[linkage]]
id = "c"
kind = "webhook"
url = "https://user:hunter2@duty-room.example"
ca_file = "/"
"#
    );
    let refused = Site::new().refused(&text);
    assert!(!refused.contains("hunter2"));
    insta::assert_snapshot!("bad_linkages", refused);
}

#[test]
fn what_looks_wrong_is_a_warning() {
    let site = Site::new();
    let readable = site.0.path().join("readable");
    fs::write(&readable, "x").unwrap();
    fs::set_permissions(&readable, fs::Permissions::from_mode(0o644)).unwrap();
    let text = format!(
        "{MINIMAL}\n{}",
        r#"
[footage]
pre_roll_s = 5
retention_days = 7

[mqtt]
url = "mqtt://broker"

[[stairwell]]
id = "b03-u2"
building = "3"
unit = "2"

[[stairwell]]
id = "b04-u1"
building = "4"
unit = "1"

[[camera]]
id = "one"
place = "b03-u2"
url = "rtsp://192.0.2.10/main"
username = "admin"
password_file = "readable"

[[camera]]
id = "two"
place = "b03-u2"
url = "rtsp://192.0.2.10/main"

[[door]]
id = "front"
place = "b04-u1"
cameras = ["one"]

[[door]]
id = "back"
place = "b03-u2"

[[linkage]]
id = "duty-room"
kind = "webhook"
url = "http://duty-room.example/alerts"
secret_file = "webhook"
kinds = []
"#
    );
    insta::assert_snapshot!("warnings", site.warned(&text));
}

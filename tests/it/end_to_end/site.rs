//! A small site on disk: configuration, roster and folders for one gateway among real neighbours.

use std::fmt::Write as _;
use std::path::PathBuf;

use stairgate::time::Clock;

use crate::harness::net::free_port;
use crate::harness::temp_dir;

/// Holds a card of the stairwell `b03-u2`.
pub(super) const KNOWN_CARD: &str = "04A1B2C3D4";
/// Nobody's.
pub(super) const UNKNOWN_CARD: &str = "0BADC0FFEE";

pub(super) const ROSTER: &str = "\
dwelling,place,number,area_m2,tenure,holder,name,relation,card,state,valid_from,valid_until
b03-u2-301,b03-u2,301,94.30,rented,h-301-1,Test Person One,tenant,04A1B2C3D4,active,,
b03-u2-301,b03-u2,301,94.30,rented,h-301-2,Test Person Two,tenant,04A1B2C3D5,revoked,,
";

/// The folders and the configuration of one gateway.
#[derive(Debug)]
pub(super) struct Site {
    dir: tempfile::TempDir,
    /// `host:port` of its API.
    pub(super) web: String,
}

/// What differs from test to test.
#[derive(Clone, Debug)]
pub(super) struct Neighbours {
    /// The `[mqtt]` section, without its heading.
    pub(super) mqtt: String,
    /// The camera of the door: its URL and whatever else its section needs.
    pub(super) camera: String,
    /// Where alerts go; `None`: no linkage.
    pub(super) police: Option<String>,
}

impl Site {
    /// Writes the configuration; nothing runs yet.
    pub(super) fn new(neighbours: &Neighbours) -> Site {
        let dir = temp_dir();
        let web = format!("127.0.0.1:{}", free_port());
        let site = Site { dir, web };
        let root = site.dir.path();
        std::fs::write(root.join("roster.csv"), ROSTER).unwrap();
        std::fs::write(root.join("police-secret"), "a shared secret of the test\n").unwrap();
        let mut text = format!(
            r#"
[compound]
id = "test-1"
name = "Test Compound"
time_zone = "Asia/Shanghai"

[store]
path = "store"

[footage]
path = "footage"
free_space_floor = "1%"

[roster]
file = "roster.csv"

[web]
listen = "{web}"

[mqtt]
{mqtt}

[[stairwell]]
id = "b03-u2"
building = "3"
unit = "2"

[[camera]]
id = "b03-u2-in"
place = "b03-u2"
{camera}

[[door]]
id = "b03-u2-door"
place = "b03-u2"
cameras = ["b03-u2-in"]
controller = "native"
decision = "online"
"#,
            web = site.web,
            mqtt = neighbours.mqtt,
            camera = neighbours.camera,
        );
        if let Some(police) = &neighbours.police {
            write!(
                text,
                r#"
[[linkage]]
id = "duty-room"
kind = "webhook"
url = "{police}"
secret_file = "police-secret"
kinds = ["*"]
"#
            )
            .unwrap();
        }
        std::fs::write(site.config(), text).unwrap();
        site
    }

    /// The configuration file.
    pub(super) fn config(&self) -> PathBuf {
        self.dir.path().join("gateway.toml")
    }

    /// A file or folder of the site.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// A native swipe that happens now; the controller's clock is right.
pub(super) fn swipe(boot: &str, seq: u64, card: &str) -> String {
    let at = Clock::system().now();
    let message = serde_json::json!({
        "v": 1, "boot": boot, "seq": seq, "at": at, "card": card, "direction": "in", "method": "card",
    });
    message.to_string()
}

/// The topic of the site's door.
pub(super) const SWIPE_TOPIC: &str = "stairgate/test-1/door/b03-u2-door/swipe";

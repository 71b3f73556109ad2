//! A whole compound for a browser: the demo's site with its cameras and doors, and the gateway's own
//! program.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use stairgate::domain::id::CompoundId;
use stairgate::domain::secret::Secret;
use stairgate::sim::cameras::{SimCameras, SimCamerasOptions};
use stairgate::sim::demo_site::{DEMO_COMPOUND, DemoAddresses, DemoSite};
use stairgate::sim::doors::{SimDoor, SimDoors, SimDoorsOptions};
use stairgate::supervise::Supervisor;
use stairgate::time::Clock;
use url::Url;

use super::control;
use crate::harness::gateway::Gateway;
use crate::harness::net::free_port;
use crate::harness::receiver::Receiver;
use crate::harness::{eventually, in_package, temp_dir};

/// Longest time for one scenario, beside other tests.
const SCENARIO_MAX: Duration = Duration::from_secs(200);
const STARTS_WITHIN: Duration = Duration::from_secs(30);
/// Where screenshots are left.
const SCREENS: &str = "target/console-screens";
/// What comes before the token in the link that a first start prints.
const SETUP_LINK: &str = "/#/setup/";

/// What differs from test to test.
#[derive(Clone, Copy, Debug)]
pub(super) struct EstateOptions {
    /// Cameras, and doors.
    n_cameras: usize,
    /// Is the gateway not told of them?
    is_untold: bool,
}

impl EstateOptions {
    /// The demo's site of so many cameras.
    pub(super) fn new(n_cameras: usize) -> EstateOptions {
        EstateOptions {
            n_cameras,
            is_untold: false,
        }
    }

    /// The same on the wall, but a gateway that knows no stairwell yet.
    pub(super) fn untold(n_cameras: usize) -> EstateOptions {
        EstateOptions {
            n_cameras,
            is_untold: true,
        }
    }
}

/// Cameras, doors, a police receiver and a gateway that nobody has an account at yet.
pub(super) struct Estate {
    pub(super) gateway: Gateway,
    web: String,
    control: String,
    dir: tempfile::TempDir,
    supervisor: Supervisor,
    cameras: Vec<Url>,
    // Ends when it is dropped.
    police: Receiver,
}

impl Estate {
    pub(super) async fn start(options: EstateOptions) -> Estate {
        let site = DemoSite::new(options.n_cameras).unwrap();
        let supervisor = Supervisor::new();
        let dir = temp_dir();
        let cameras = cameras(&site, dir.path(), &supervisor).await;
        let police = Receiver::start().await;
        let web = format!("127.0.0.1:{}", free_port());
        let mqtt = free_port();
        let addresses = DemoAddresses {
            cameras: (0..site.n_cameras()).map(|idx| cameras.url(idx)).collect(),
            mqtt: ([127, 0, 0, 1], mqtt).into(),
            web: web.parse().unwrap(),
            police: Url::parse(&police.url()).unwrap(),
        };
        let gateway = if options.is_untold {
            untold_gateway(dir.path(), &addresses).await
        } else {
            let secret = Secret::new("a shared secret of the test");
            let config = site.write_files(dir.path(), &addresses, &secret).unwrap();
            let mut gateway = Gateway::start(&config, &web).await;
            // The demo has one on purpose.
            gateway.expect("dwelling has more cardholders than its limit");
            gateway
        };
        let doors = doors(&site, mqtt, &supervisor);
        let waits: Vec<SimDoor> = doors.all().cloned().collect();
        if !options.is_untold {
            eventually("the doors are online", STARTS_WITHIN, || {
                waits.iter().all(SimDoor::is_online)
            })
            .await;
        }
        let control = control::serve(&site, cameras, doors, &supervisor).await;
        Estate {
            gateway,
            web,
            control,
            dir,
            supervisor,
            cameras: addresses.cameras,
            police,
        }
    }

    /// Runs the scenario `name` to its end; fails with what it printed.
    pub(super) async fn play(&self, name: &str) {
        let script = in_package(&format!("src/web/console/e2e/{name}.mjs"));
        for made in ["target/console/index.html", "src/web/console/node_modules"] {
            assert!(
                in_package(made).exists(),
                "there is no {made}: run `make console`"
            );
        }
        let cameras: Vec<&str> = self.cameras.iter().map(Url::as_str).collect();
        let mut command = tokio::process::Command::new("node");
        command
            .arg(&script)
            .env("PATH", path_with_node())
            .env("HOME", self.dir.path())
            .env("STAIRGATE_URL", format!("http://{}", self.web))
            .env("STAIRGATE_CONTROL", &self.control)
            .env("STAIRGATE_SETUP", self.setup_token())
            .env("STAIRGATE_SCREENS", in_package(SCREENS))
            .env("STAIRGATE_CAMERAS", cameras.join(" "))
            .env("STAIRGATE_POLICE", self.police.url())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let ended = tokio::time::timeout(SCENARIO_MAX, command.output()).await;
        let output = ended
            .unwrap_or_else(|_| panic!("{name} ends within {SCENARIO_MAX:?}"))
            .expect("node runs; deploy/setup.sh installs it");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(output.status.success(), "{name}: {}\n{said}", output.status);
    }

    /// Ends everything in order.
    pub(super) async fn stop(self) {
        self.gateway.stop(Duration::from_secs(30)).await;
        self.supervisor
            .shutdown(Duration::from_secs(10))
            .await
            .unwrap();
    }

    /// The token of the one-time link that the gateway printed when it first started.
    fn setup_token(&self) -> String {
        let log = self.gateway.log();
        let (_, rest) = log
            .split_once(SETUP_LINK)
            .unwrap_or_else(|| panic!("a first start prints a link with {SETUP_LINK}:\n{log}"));
        rest.chars()
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
            .collect()
    }
}

/// Nothing but what a gateway cannot do without.
async fn untold_gateway(folder: &Path, addresses: &DemoAddresses) -> Gateway {
    let DemoAddresses { mqtt, web, .. } = addresses;
    let text = format!(
        r#"# Written by hand.
[compound]
id = "{DEMO_COMPOUND}"
name = "Test"
time_zone = "Asia/Shanghai"

[store]
path = "store"

[footage]
path = "footage"
free_space_floor = "1%"

[mqtt]
listen = "{mqtt}"

[web]
listen = "{web}"
"#
    );
    let config = folder.join("gateway.toml");
    std::fs::write(&config, text).unwrap();
    let mut gateway = Gateway::spawn(&config, &web.to_string(), &[]);
    gateway.expect("configuration problem");
    gateway.ready().await;
    gateway
}

async fn cameras(site: &DemoSite, folder: &Path, supervisor: &Supervisor) -> SimCameras {
    let film = DemoSite::film(folder).unwrap();
    let options = SimCamerasOptions {
        n_cameras: site.n_cameras(),
        burst_at_connect: true,
        ..SimCamerasOptions::default()
    };
    SimCameras::start(options, vec![film], Clock::system(), supervisor)
        .await
        .unwrap()
}

fn doors(site: &DemoSite, mqtt: u16, supervisor: &Supervisor) -> SimDoors {
    let options = SimDoorsOptions {
        host: "127.0.0.1".to_owned(),
        port: mqtt,
        tls: None,
        compound: CompoundId::new(DEMO_COMPOUND).unwrap(),
        topic_prefix: "stairgate".to_owned(),
        doors: site.doors(),
    };
    SimDoors::start(&options, &Clock::system(), supervisor).unwrap()
}

/// The Node of the build goes before the system's, which may be too old.
fn path_with_node() -> std::ffi::OsString {
    let own: PathBuf = in_package("target/node/bin");
    let system = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(own).chain(std::env::split_paths(&system));
    std::env::join_paths(all).unwrap()
}

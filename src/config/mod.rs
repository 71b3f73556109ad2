//! The configuration: one TOML file, read into each module's options.
//!
//! [`load`] finds **all** problems at once, each with its line, its key and what to do; unknown keys
//! are problems. Secrets are never in the file: keys ending in `_file` or `_env` say where they are.
//! `deploy/gateway.toml` is the reference of every key with its default and unit, and a test holds
//! it to what is read here.

mod cases;
mod devices;
pub mod edit;
mod grpc;
mod linkages;
mod mqtt;
mod options;
mod report;
mod section;
mod site;
mod values;

#[cfg(test)]
mod cases_tests;
#[cfg(test)]
mod linkages_tests;
#[cfg(test)]
mod reference_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;
use url::Url;

pub use report::{ConfigErrors, Problem};

use crate::camera::{CameraOptions, CamerasOptions};
pub use crate::footage::FreeSpaceFloor;

use crate::domain::access::AtDoor;
use crate::domain::alert::AlertKind;
use crate::domain::case::CaseRules;
use crate::domain::clip::ClipLength;
use crate::domain::id::{CompoundId, LinkageId};
use crate::domain::place::{Door, Stairwell};
use crate::domain::reckoning::LimitPolicy;
use crate::domain::secret::Secret;
use crate::door::{Broker, Dialect};
use crate::feed::FeedTlsFiles;
use crate::linkage::envelope::Include;
use crate::linkage::grpc::GrpcOptions;
use crate::linkage::mqtt::MqttLinkageOptions;
use crate::linkage::webhook::WebhookOptions;
use crate::outbox::FloodOptions;
use crate::telemetry::LogOptions;
use crate::time::TimeZone;
use crate::web::WebTlsFiles;
use report::{Environment, Parts, Report, Spot};
use section::{Lines, Section};

/// Largest configuration file read: ten thousand cameras fit.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// What looks wrong but does not stop the gateway, in the order of the file.
    pub warnings: Vec<Problem>,
    /// `[compound]`.
    pub compound: Compound,
    /// `[log]`.
    pub log: LogOptions,
    /// `[store]`.
    pub store: StorePaths,
    /// `[footage]`.
    pub footage: FootageRules,
    /// `[ring]`, `clock.camera_skew_max_s` and `offline.camera_after_s`: what all cameras share.
    pub camera_rules: CamerasOptions,
    /// `clock.controller_skew_max_s`: up to here a controller's own time is taken as right; beyond
    /// it its skew has to be learnt.
    pub controller_skew_max: Duration,
    /// `[mqtt]`.
    pub mqtt: Mqtt,
    /// `[roster]`: the file of dwellings, cardholders and cards; `None`: every card is unknown.
    pub roster_file: Option<PathBuf>,
    /// `[limit]`: how many cardholders a dwelling may have.
    pub limit: LimitPolicy,
    /// `limit.at_door`: what those beyond the limit meet.
    pub at_door: AtDoor,
    /// `card_shared.within_s`: one card in two buildings within this raises `card-shared`; zero: never.
    pub card_shared_within: Duration,
    /// `[web]`.
    pub web: WebRules,
    /// `[grpc]`; `None`: no feed is served.
    pub grpc: Option<FeedRules>,
    /// `[outbox]`.
    pub outbox: OutboxRules,
    /// `[case]`.
    pub case: CaseConfig,
    /// `[[stairwell]]`, by id; each id once.
    pub stairwells: Vec<Stairwell>,
    /// `[[camera]]`, in the file's order; each id once.
    pub cameras: Vec<CameraOptions>,
    /// `[[door]]`, in the file's order; each id once.
    pub doors: Vec<DoorConfig>,
    /// `[[linkage]]`, in the file's order; each id once.
    pub linkages: Vec<Linkage>,
}

/// The site.
#[derive(Clone, Debug)]
pub struct Compound {
    /// Its id, the second level of every MQTT topic.
    pub id: CompoundId,
    /// Its name for people.
    pub name: String,
    /// In which dates of the roster are meant.
    pub time_zone: TimeZone,
}

/// Where the store and the site's key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorePaths {
    /// The store's folder.
    pub path: PathBuf,
    /// The site's secret, 32 bytes; made at first start.
    pub key_file: PathBuf,
    /// `store.ledger_key_file`: what names and card numbers in the ledger are sealed with.
    pub ledger_key_file: PathBuf,
    /// How long entries and their alerts are kept; at least as long as footage.
    pub entry_retention: Duration,
    /// Audit records older than this are removed.
    pub audit_retention: Duration,
}

/// What is kept of the cameras' video, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FootageRules {
    /// The folder of the footage.
    pub path: PathBuf,
    /// How much is kept around a swipe.
    pub clip: ClipLength,
    /// How long footage is kept.
    pub retention: Duration,
    /// What stays free on the disk.
    pub free_space_floor: FreeSpaceFloor,
}

/// `[mqtt]`, checked.
#[derive(Clone, Debug)]
pub struct Mqtt {
    /// First levels of every topic.
    pub topic_prefix: String,
    /// Who carries the messages.
    pub broker: Broker,
}

/// Where the API listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebRules {
    /// Beyond loopback only with TLS or behind proxies that are named; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Encrypts; `None`: it is not encrypted here.
    pub tls: Option<WebTlsFiles>,
    /// Proxies whose word on who asks is taken.
    pub trusted_proxies: Vec<IpAddr>,
    /// Who may read the metrics, besides this machine.
    pub metrics_from: Vec<IpAddr>,
    /// Under which receivers of alerts reach the API, for links to clips; `None`: no links.
    pub public_url: Option<Url>,
    /// Accounts and their tokens, written by `stairgate user`.
    pub accounts_file: PathBuf,
}

/// How long deliveries are tried, and when alerts are counted together.
#[derive(Clone, Debug)]
pub struct OutboxRules {
    /// Given up after so long without success.
    pub give_up_after: Duration,
    /// When alerts of one door and kind are counted together.
    pub flood: FloodOptions,
}

/// What cases are held to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseConfig {
    /// The folder of the pictures that people add.
    pub pictures: PathBuf,
    /// Deadlines, and who is answerable where.
    pub rules: CaseRules,
}

/// A user name with its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// A door with its controller.
#[derive(Clone, Debug)]
pub struct DoorConfig {
    /// The door, its place and its cameras.
    pub door: Door,
    /// What its controller speaks.
    pub controller: Dialect,
    /// Does the controller ask us before it opens?
    pub decision: DecisionMode,
}

/// Who decides at a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionMode {
    /// The controller, from the card list it holds; we record.
    Record,
    /// It asks us; its card list is the fallback.
    Online,
}

/// A receiver of alerts outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linkage {
    /// Its id; each id once.
    pub id: LinkageId,
    /// How to reach it, and the secrets shared with it.
    pub receiver: Receiver,
    /// The kinds it gets.
    pub kinds: BTreeSet<AlertKind>,
    /// What it gets beside the facts of every message.
    pub include: Include,
    /// Is it told of each move of an alert's case?
    pub case_changes: bool,
}

/// How to reach a receiver of alerts, by its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// `webhook`.
    Webhook(WebhookOptions),
    /// `grpc`.
    Grpc(GrpcOptions),
    /// `mqtt`.
    Mqtt(MqttLinkageOptions),
}

/// The gRPC interface for programs of duty rooms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedRules {
    /// Beyond loopback only with TLS; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Certificate and key; `None`: unencrypted, on loopback.
    pub tls: Option<FeedTlsFiles>,
    /// Personal data that its readers get besides.
    pub include: Include,
}

/// Reads and checks the configuration at `file`. Relative paths in it start at its folder.
///
/// # Errors
/// [`ConfigErrors`] with every problem found.
pub fn load(file: &Path) -> Result<Config, ConfigErrors> {
    let environment = |name: &str| std::env::var(name).ok();
    load_with(file, &environment)
}

fn load_with(file: &Path, environment: Environment<'_>) -> Result<Config, ConfigErrors> {
    let base = file.parent().unwrap_or_else(|| Path::new(""));
    let report = Report::new(base.to_owned(), environment);
    match read_file(file) {
        Ok(text) => parse(&text, file, report).0,
        Err(err) => {
            let text = format!("cannot be read: {err} (name the file with --config)");
            report.problem(&nowhere(), text);
            Err(refuse(file, report.into_parts()))
        }
    }
}

fn read_file(file: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    let n_read = std::fs::File::open(file)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if n_read as u64 > FILE_BYTES_MAX {
        let kind = std::io::ErrorKind::InvalidData;
        return Err(std::io::Error::new(kind, "over 8 MiB"));
    }
    Ok(text)
}

/// The configuration, and every key that was asked for (for the test of the reference).
fn parse(
    text: &str,
    file: &Path,
    report: Report<'_>,
) -> (Result<Config, ConfigErrors>, Vec<String>) {
    let starts = Lines::starts(text);
    let lines = Lines::new(&starts);
    let (table, syntax_errors) = DeTable::parse_recoverable(text);
    let mut config = None;
    if syntax_errors.is_empty() {
        let mut top = Section::top(&report, lines, table.get_ref());
        config = read(&mut top, file);
        top.finish();
    }
    for err in &syntax_errors {
        let line = err.span().map_or(0, |span| lines.line_of(&span));
        let key = String::new();
        let what = err.message().replace('\n', ", ");
        report.problem(&Spot { line, key }, format!("is not TOML: {what}"));
    }
    let mut parts = report.into_parts();
    let asked = std::mem::take(&mut parts.asked);
    let result = match config {
        Some(mut config) if parts.problems.is_empty() => {
            config.warnings = parts.warnings;
            Ok(config)
        }
        Some(_) | None => Err(refuse(file, parts)),
    };
    (result, asked)
}

fn refuse(file: &Path, parts: Parts) -> ConfigErrors {
    assert!(
        !parts.problems.is_empty(),
        "a configuration is refused only for a problem that was noted"
    );
    ConfigErrors {
        file: file.to_owned(),
        problems: parts.problems,
        warnings: parts.warnings,
    }
}

fn nowhere() -> Spot {
    Spot {
        line: 0,
        key: String::new(),
    }
}

/// Reads every section; `None` when one that must be there is not usable (problems are noted).
fn read(top: &mut Section<'_>, file: &Path) -> Option<Config> {
    let compound = site::compound(top);
    let log = site::log(top);
    let store = site::store(top);
    let footage = site::footage(top, &store);
    let mut clock = top.section("clock");
    let controller_skew_max = site::controller_skew_max(&mut clock);
    let camera_rules = CamerasOptions {
        ring: site::ring(top, footage.clip),
        clock_skew_max: site::camera_skew_max(&mut clock),
        offline_after: site::offline_after(top),
        ..CamerasOptions::DEFAULT
    };
    clock.finish();
    let roster_file = site::roster(top, &store);
    let (limit, at_door) = site::limit(top);
    let card_shared_within = site::card_shared(top);
    let web = site::web(top, &store);
    let outbox = site::outbox(top);
    let stairwells = devices::stairwells(top);
    let case = cases::read(top, &store, &stairwells);
    let cameras = devices::cameras(top, &stairwells);
    let doors = devices::doors(top, &stairwells, &cameras);
    let grpc = grpc::read(top);
    let compound_id = compound.as_ref().map(|compound| &compound.id);
    let mqtt = mqtt::read(top, compound_id, &doors);
    let site = linkages::Site {
        compound: compound_id,
        topic_prefix: &mqtt.topic_prefix,
    };
    let linkages = linkages::read(top, &site);
    Some(Config {
        file: file.to_owned(),
        warnings: Vec::new(),
        compound: compound?,
        log,
        store,
        footage,
        camera_rules,
        controller_skew_max,
        mqtt,
        roster_file,
        limit,
        at_door,
        card_shared_within,
        web,
        grpc,
        outbox,
        case,
        stairwells: stairwells.into_values().collect(),
        cameras: cameras
            .into_iter()
            .filter_map(|(_, found)| found.camera)
            .collect(),
        doors: doors.into_iter().map(|door| door.config).collect(),
        linkages,
    })
}

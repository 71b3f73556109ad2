//! The sections that stand once: compound, log, store, footage, ring, clock, roster, limit, web, outbox.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::section::{At, Section};
use super::values::{UrlRule, byte_size, existing_file, free_space_floor, read_url};
use super::{Compound, FootageRules, FreeSpaceFloor, OutboxRules, StorePaths, WebRules};
use crate::camera::{CamerasOptions, RingOptions};
use crate::domain::access::AtDoor;
use crate::domain::clip::ClipLength;
use crate::domain::dwelling::Relation;
use crate::domain::limit::FloorArea;
use crate::domain::reckoning::{AppliesTo, LimitPolicy};
use crate::outbox::FloodOptions;
use crate::telemetry::{LogFormat, LogOptions};
use crate::time::TimeZone;
use crate::web::WebTlsFiles;

/// Longest name of a compound, in characters.
const NAME_CHARS_MAX: usize = 64;
/// The product's promise; another length is allowed but said.
const CLIP_S_PROMISED: u64 = 30;
/// Public security video is to be kept 30 days at least (State Council Order 799, 2025).
const RETENTION_DAYS_EXPECTED: u64 = 30;
/// The client's figure: 12 m² for each cardholder.
const PER_PERSON_HUNDREDTHS_M2: u32 = 1_200;

const PUBLIC: UrlRule = UrlRule {
    schemes: &["https", "http"],
    example: "\"https://host\"",
};

const DAY: Duration = Duration::from_secs(24 * 3_600);

pub(super) fn compound(top: &mut Section<'_>) -> Option<Compound> {
    let mut section = top.section("compound");
    let id = section.required_parsed("id", "a short name for topics and files, such as majian-1");
    let name = section.required("name", "the compound's name for people");
    let time_zone = section.required("time_zone", "such as \"Asia/Shanghai\"");
    if let Some(name) = &name {
        let n_chars = name.value.trim().chars().count();
        if n_chars == 0 || n_chars > NAME_CHARS_MAX {
            let text = "must be 1 to 64 characters";
            section.report.problem(&name.spot, text);
        }
        if name.value.contains(char::is_control) {
            let text = "has control characters in it (write one line)";
            section.report.problem(&name.spot, text);
        }
    }
    let time_zone = time_zone.and_then(|name| read_time_zone(&section, &name));
    section.finish();
    Some(Compound {
        id: id?.value,
        name: name?.value,
        time_zone: time_zone?,
    })
}

fn read_time_zone(section: &Section<'_>, name: &At<String>) -> Option<TimeZone> {
    match TimeZone::named(&name.value) {
        Ok(zone) => Some(zone),
        Err(err) => {
            section.report.problem(
                &name.spot,
                format!("{err} (write a name such as \"Asia/Shanghai\"; is tzdata installed?)"),
            );
            None
        }
    }
}

pub(super) fn log(top: &mut Section<'_>) -> LogOptions {
    let mut section = top.section("log");
    let words = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let format = section.word("format", &words).unwrap_or_default();
    let filter = section.text("filter");
    let options = LogOptions {
        format,
        filter: filter.as_ref().map(|filter| filter.value.clone()),
    };
    if let (Some(filter), Err(err)) = (filter, options.check()) {
        section.report.problem(
            &filter.spot,
            format!("{err} (write such as \"info,stairgate::camera=debug\")"),
        );
    }
    section.finish();
    options
}

pub(super) fn store(top: &mut Section<'_>) -> StorePaths {
    let mut section = top.section("store");
    let path = section.path("path").map_or_else(
        || PathBuf::from("/var/lib/stairgate/store"),
        |path| path.value,
    );
    let key_file = section.path("key_file").map_or_else(
        || path.with_file_name("site.key"),
        |key_file| key_file.value,
    );
    if key_file.starts_with(&path) {
        section.report.problem(
            &section.spot("key_file"),
            "lies inside the store's folder (put it beside it)",
        );
    }
    let ledger_key_file = section.path("ledger_key_file").map_or_else(
        || path.with_file_name("ledger.key"),
        |key_file| key_file.value,
    );
    if ledger_key_file.starts_with(&path) {
        section.report.problem(
            &section.spot("ledger_key_file"),
            "lies inside the store's folder (put it beside it)",
        );
    }
    let entry_days = section.number("entry_retention_days", 1..=3_650, 365);
    // At least the half year that logs are to be kept for, and by default three years.
    let audit_days = section.number("audit_retention_days", 180..=3_650, 1_095);
    section.finish();
    StorePaths {
        path,
        key_file,
        ledger_key_file,
        entry_retention: days(entry_days),
        audit_retention: days(audit_days),
    }
}

pub(super) fn footage(top: &mut Section<'_>, store: &StorePaths) -> FootageRules {
    let mut section = top.section("footage");
    let path = section.path("path").map_or_else(
        || PathBuf::from("/var/lib/stairgate/footage"),
        |path| path.value,
    );
    if path.starts_with(&store.path) || store.path.starts_with(&path) {
        section.report.problem(
            &section.spot("path"),
            "overlaps store.path (give each a folder of its own)",
        );
    }
    let pre_roll_s = section.number("pre_roll_s", 1..=60, 10);
    let post_roll_s = section.number("post_roll_s", 1..=120, 20);
    let clip_s = pre_roll_s + post_roll_s;
    if clip_s != CLIP_S_PROMISED {
        section.report.warning(
            &section.spot("pre_roll_s"),
            format!("clips will be {clip_s} s long, not 30 s"),
        );
    }
    let retention_days = section.number("retention_days", 1..=3_650, RETENTION_DAYS_EXPECTED);
    if retention_days < RETENTION_DAYS_EXPECTED {
        section.report.warning(
            &section.spot("retention_days"),
            format!("{retention_days} days is less than the 30 days usually required"),
        );
    }
    let retention = days(retention_days);
    if retention > store.entry_retention {
        section.report.problem(
            &section.spot("retention_days"),
            "is more than store.entry_retention_days (footage without its entry is of no use)",
        );
    }
    let free_space_floor = read_floor(&mut section);
    section.finish();
    FootageRules {
        path,
        clip: ClipLength {
            pre_roll: Duration::from_secs(pre_roll_s),
            post_roll: Duration::from_secs(post_roll_s),
        },
        retention,
        free_space_floor,
    }
}

fn days(n_days: u64) -> Duration {
    DAY * u32::try_from(n_days).expect("at most 3650")
}

fn read_floor(section: &mut Section<'_>) -> FreeSpaceFloor {
    const DEFAULT: FreeSpaceFloor = FreeSpaceFloor::Percent(5);
    let Some(text) = section.text("free_space_floor") else {
        return DEFAULT;
    };
    free_space_floor(&text.value).unwrap_or_else(|| {
        section.report.problem(
            &text.spot,
            "is not a share of the disk from 1% to 50% or a size (write \"5%\" or \"10GB\")",
        );
        DEFAULT
    })
}

pub(super) fn ring(top: &mut Section<'_>, clip: ClipLength) -> RingOptions {
    let mut section = top.section("ring");
    let late_swipe_s = section.number("late_swipe_s", 1..=120, 2);
    let mut bytes_max = RingOptions::DEFAULT.bytes_max;
    if let Some(text) = section.text("size_max") {
        let bytes = byte_size(&text.value).and_then(|bytes| usize::try_from(bytes).ok());
        match bytes {
            Some(bytes) if (1 << 20..=1 << 30).contains(&bytes) => bytes_max = bytes,
            Some(_) | None => {
                let what = "must be a size from \"1MiB\" to \"1GiB\"";
                section.report.problem(&text.spot, what);
            }
        }
    }
    section.finish();
    RingOptions {
        media_ms_max: (clip.pre_roll.as_secs() + late_swipe_s) * 1_000,
        bytes_max,
    }
}

pub(super) fn controller_skew_max(clock: &mut Section<'_>) -> Duration {
    Duration::from_secs(clock.number("controller_skew_max_s", 0..=60, 2))
}

pub(super) fn camera_skew_max(clock: &mut Section<'_>) -> Duration {
    let default_s = CamerasOptions::DEFAULT.clock_skew_max.as_secs();
    Duration::from_secs(clock.number("camera_skew_max_s", 1..=86_400, default_s))
}

pub(super) fn offline_after(top: &mut Section<'_>) -> Duration {
    let mut section = top.section("offline");
    let default_s = CamerasOptions::DEFAULT.offline_after.as_secs();
    let camera_after_s = section.number("camera_after_s", 5..=86_400, default_s);
    section.finish();
    Duration::from_secs(camera_after_s)
}

pub(super) fn roster(top: &mut Section<'_>, store: &StorePaths) -> Option<PathBuf> {
    let mut section = top.section("roster");
    let file = section.path("file");
    // It is taken over at the first start, and may go after that.
    let is_first_start = !store.path.join("db").exists();
    if let Some(file) = &file
        && is_first_start
        && !file.value.is_file()
    {
        section.report.problem(
            &file.spot,
            format!(
                "{} does not exist (make a CSV file; README, \"Roster\", has its columns)",
                file.value.display()
            ),
        );
    }
    section.finish();
    file.map(|file| file.value)
}

pub(super) fn limit(top: &mut Section<'_>) -> (LimitPolicy, AtDoor) {
    let mut section = top.section("limit");
    let default = FloorArea::from_hundredths_m2(PER_PERSON_HUNDREDTHS_M2)
        .expect("12 m² is within the range of areas");
    let mut per_person = default;
    if let Some(text) = section.decimal("m2_per_person") {
        match text.value.parse::<FloorArea>() {
            Ok(area) if area.hundredths_m2() >= 100 => per_person = area,
            Ok(_) | Err(_) => section.report.problem(
                &text.spot,
                "must be at least 1 with two decimal places at most (write 12)",
            ),
        }
    }
    let scopes = [("all", AppliesTo::All), ("rented", AppliesTo::Rented)];
    let applies_to = section.word("applies_to", &scopes).unwrap_or_default();
    let answers = [("alert", AtDoor::Alert), ("deny", AtDoor::Deny)];
    let at_door = section.word("at_door", &answers).unwrap_or_default();
    let mut exempt_relations = BTreeSet::new();
    for word in section.texts("exempt_relations") {
        match Relation::new(&word.value) {
            Ok(relation) => {
                exempt_relations.insert(relation);
            }
            Err(_) => section.report.problem(
                &word.spot,
                "is not a relation: 1 to 32 of a-z, 0-9 and '-' (write such as \"minor-child\")",
            ),
        }
    }
    section.finish();
    let policy = LimitPolicy {
        version: 1,
        per_person,
        applies_to,
        exempt_relations,
    };
    (policy, at_door)
}

/// A walk between two buildings takes longer than half a minute, badge to badge.
pub(super) fn card_shared(top: &mut Section<'_>) -> Duration {
    let mut section = top.section("card_shared");
    let within_s = section.number("within_s", 0..=600, 30);
    section.finish();
    Duration::from_secs(within_s)
}

pub(super) fn web(top: &mut Section<'_>, store: &StorePaths) -> WebRules {
    const DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8_080);
    let mut section = top.section("web");
    let listen = listen_address(&mut section, DEFAULT);
    let tls = web_tls(&mut section);
    let trusted_proxies = addresses(&mut section, "trusted_proxies");
    let metrics_from = addresses(&mut section, "metrics_from");
    let is_safe =
        listen.ip().is_loopback() || section.has("tls_cert_file") || section.has("trusted_proxies");
    if !is_safe {
        section.report.problem(
            &section.spot("listen"),
            "is not loopback, and passwords and pictures would cross the network unencrypted (add \
             tls_cert_file and tls_key_file, or name the proxy in front in trusted_proxies)",
        );
    }
    let public_url = section
        .text("public_url")
        .and_then(|text| read_url(&section, &text, &PUBLIC));
    let accounts_file = section.path("accounts_file").map_or_else(
        || store.path.with_file_name("accounts.json"),
        |file| file.value,
    );
    section.finish();
    WebRules {
        listen,
        tls,
        trusted_proxies,
        metrics_from,
        public_url,
        accounts_file,
    }
}

fn web_tls(section: &mut Section<'_>) -> Option<WebTlsFiles> {
    let cert_file = existing_file(section, "tls_cert_file");
    let key_file = existing_file(section, "tls_key_file");
    for (one, other) in [
        ("tls_cert_file", "tls_key_file"),
        ("tls_key_file", "tls_cert_file"),
    ] {
        if section.has(one) && !section.has(other) {
            let text = format!("stands without {other} (add it)");
            section.report.problem(&section.spot(one), text);
        }
    }
    Some(WebTlsFiles {
        cert_file: cert_file?,
        key_file: key_file?,
    })
}

/// A list of IP addresses.
fn addresses(section: &mut Section<'_>, key: &'static str) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for text in section.texts(key) {
        match text.value.parse::<IpAddr>() {
            Ok(address) => addresses.push(address.to_canonical()),
            Err(_) => {
                let problem = "is no IP address (write addresses such as \"192.0.2.7\")";
                section.report.problem(&text.spot, problem);
            }
        }
    }
    addresses
}

/// `listen`: an address with a port; port 0 takes a free one.
pub(super) fn listen_address(section: &mut Section<'_>, default: SocketAddr) -> SocketAddr {
    let Some(text) = section.text("listen") else {
        return default;
    };
    text.value.parse().unwrap_or_else(|_| {
        section.report.problem(
            &text.spot,
            format!("is not an address with a port (write \"{default}\")"),
        );
        default
    })
}

pub(super) fn outbox(top: &mut Section<'_>) -> OutboxRules {
    let mut section = top.section("outbox");
    let give_up_after_h = section.number("give_up_after_h", 1..=720, 72);
    let default = FloodOptions::default();
    let n_max = section.number("flood_n_max", 1..=1_000, u64::from(default.n_max));
    let window_s = section.number("flood_window_s", 1..=3_600, default.window.as_secs());
    let span_h = section.number("flood_span_h", 1..=24, default.span_max.as_secs() / 3_600);
    section.finish();
    OutboxRules {
        give_up_after: Duration::from_secs(give_up_after_h * 3_600),
        flood: FloodOptions {
            n_max: u32::try_from(n_max).expect("at most 1000"),
            window: Duration::from_secs(window_s),
            span_max: Duration::from_secs(span_h * 3_600),
        },
    }
}

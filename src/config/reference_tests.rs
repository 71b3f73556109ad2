//! `deploy/gateway.toml` is the reference: valid, complete, and nothing a slip in it does is a panic.

use std::collections::BTreeSet;
use std::fs;

use super::tests::Site;
use super::*;
use crate::domain::case::Allowances;

const REFERENCE: &str = include_str!("../../deploy/gateway.toml");

#[test]
fn the_reference_is_valid_as_it_is() {
    let site = Site::new();
    let config = site.load(REFERENCE).unwrap_or_else(|err| panic!("{err}"));
    assert_eq!(config.compound.id.as_str(), "majian-1");
    assert_eq!((config.cameras.len(), config.doors.len()), (1, 1));
}

/// With everything that is commented out in it, too, so that examples cannot rot.
#[test]
fn the_reference_is_valid_with_all_its_examples() {
    let site = Site::new();
    let mut text = String::new();
    for line in REFERENCE.lines() {
        let example = line.strip_prefix("# ").filter(|rest| is_toml(rest));
        text.push_str(example.unwrap_or(line));
        text.push('\n');
    }
    // Of two places for one secret only one may be kept; the dialects exclude each other.
    for gone in ["password_env", "secret_env", "token_env", "hostname"] {
        text = without(&text, gone);
    }
    text = text.replace("controller = \"native\"", "controller = \"uhppoted\"");
    text = text.replace("\"b03-u1-door\", ", "");
    text = text.replace("kind = \"webhook\"  ", "kind = \"webhook\"");
    // A deadline is for a severity or for kinds.
    text = text.replace("kinds = [\"door-held\", \"camera-offline\"]\n", "");
    fs::create_dir(site.0.path().join("secrets")).unwrap();
    for name in [
        "mqtt",
        "b03-controller",
        "cameras",
        "b03-u2-door",
        "duty-room",
        "police",
        "local",
    ] {
        site.secret(&format!("secrets/{name}"), "secret");
    }
    for name in [
        "secrets/broker-ca.pem",
        "secrets/duty-room-ca.pem",
        "secrets/gateway.pem",
        "secrets/gateway.key",
        "secrets/feed.pem",
        "secrets/feed.key",
        "secrets/rooms-ca.pem",
        "secrets/web.pem",
        "secrets/web.key",
        "roster.csv",
    ] {
        site.secret(name, "");
    }
    let config = site.load(&text).unwrap_or_else(|err| panic!("{err}"));
    assert_eq!(config.linkages.len(), 3);
    assert!(config.grpc.is_some_and(|rules| rules.tls.is_some()));
    assert_eq!(config.case.rules.grids.grids.len(), 1);
    assert_eq!(
        config.case.rules.deadlines.by_severity[&1],
        Allowances::of_severity(1),
        "what the reference shows is the default"
    );
}

fn is_toml(line: &str) -> bool {
    let key = line.split(" = ").next().unwrap_or_default();
    let is_key = line.contains(" = ")
        && key
            .chars()
            .all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit());
    is_key || line.starts_with('[')
}

fn without(text: &str, key: &str) -> String {
    let start = format!("{key} = ");
    let kept = text.lines().filter(|line| !line.starts_with(&start));
    kept.map(|line| format!("{line}\n")).collect()
}

/// Every key that is read stands in the reference, under its section, and nothing else does.
#[test]
fn the_reference_has_every_key_and_no_other() {
    let mut listed = BTreeSet::new();
    let mut section = String::new();
    for line in REFERENCE.lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        if line.starts_with('[') {
            let name = line.split(']').next().unwrap();
            section = name.trim_start_matches('[').to_owned();
        } else if is_toml(line) {
            let key = line.split(" = ").next().unwrap();
            listed.insert(format!("{section}.{key}"));
        }
    }
    let report = Report::new(PathBuf::new(), &|_| None);
    // One table of each kind, so that every key is asked for.
    let text = "[[stairwell]]\n[[camera]]\n[[door]]\ncontroller = \"esp-rfid\"\n[[door]]\n\
                controller = \"uhppoted\"\n[[linkage]]\n[[linkage]]\nkind = \"grpc\"\n\
                [[linkage]]\nkind = \"mqtt\"\n[[mqtt.credential]]\n[[case.deadline]]\n[[case.grid]]\n";
    let (_, asked) = parse(text, Path::new("gateway.toml"), report);
    let asked: BTreeSet<String> = asked.into_iter().collect();
    assert_eq!(listed, asked);
}

/// What a line of the reference can be turned into by a slip.
fn slip(line: &str, kind: u8) -> String {
    match kind % 6 {
        0 => String::new(),
        1 => line.replace('"', ""),
        2 => line.replace("= ", "= -9"),
        3 => line.replace("= ", "= [").replace('#', "] #"),
        4 => format!("{line}\n{line}"),
        _ => line.replace('a', "\u{0}\u{6f22}"),
    }
}

proptest::proptest! {
    #[test]
    fn no_slip_in_the_file_makes_the_reader_panic(
        slips in proptest::collection::vec((0..120_usize, proptest::num::u8::ANY), 1..5),
        uncomment in proptest::bool::ANY,
    ) {
        let mut lines: Vec<String> = REFERENCE.lines().map(str::to_owned).collect();
        if uncomment {
            for line in &mut lines {
                if let Some(rest) = line.strip_prefix("# ").filter(|rest| is_toml(rest)) {
                    *line = rest.to_owned();
                }
            }
        }
        for (idx, kind) in slips {
            if let Some(line) = lines.get_mut(idx) {
                *line = slip(line, kind);
            }
        }
        let text = lines.join("\n");
        let report = Report::new(PathBuf::new(), &|_| None);
        let (result, _) = parse(&text, Path::new("gateway.toml"), report);
        if let Err(errors) = result {
            let n_lines = text.lines().count();
            for problem in &errors.problems {
                let line = problem.line().unwrap_or(1);
                proptest::prop_assert!((1..=n_lines + 1).contains(&line), "{}", problem.text());
            }
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,200}") {
        let report = Report::new(PathBuf::new(), &|_| None);
        let (result, _) = parse(&text, Path::new("gateway.toml"), report);
        proptest::prop_assert!(result.is_err());
    }
}

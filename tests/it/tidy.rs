//! The house rules that no compiler checks: module order, one door for each foreign crate, file heads
//! and lengths, who may spawn and who may read the wall clock, indexes that must be complete.
//!
//! Needs the standard library only, so that `make lint` compiles this file alone in a second:
//! `rustc --test tests/it/tidy.rs`.
#![expect(
    clippy::string_slice,
    reason = "cut where a match or a character begins"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file longer than this wants to be two.
const FILE_LINES_MAX: usize = 600;

/// Each foreign crate that only one module names, and that module; where there are more, each for a
/// reason of its own.
const DOORS: [(&str, &[&str]); 22] = [
    ("axum", &["web"]),
    ("hyper", &["web"]),
    ("hyper_util", &["web"]),
    ("chacha20poly1305", &["roster"]),
    ("clap", &["cli"]),
    ("encoding_rs", &["roster"]),
    ("ffmpeg_next", &["mux"]),
    ("ntex", &["door"]),
    ("ntex_mqtt", &["door"]),
    ("quick_xml", &["roster"]),
    ("reqwest", &["linkage"]),
    ("retina", &["camera"]),
    ("rtsp_types", &["sim"]),
    // `door` is a client of the doors' broker, `linkage` of a broker of local systems: other protocol
    // version, other session, nothing to share.
    ("rumqttc", &["door", "linkage"]),
    // The roster's workbooks, and the report of cases.
    ("rust_xlsxwriter", &["roster", "case"]),
    ("rust_embed", &["web"]),
    ("sd_notify", &["gateway"]),
    ("sled", &["store"]),
    // `linkage` calls the police platform, `feed` serves duty rooms, `sim` plays the police platform.
    ("tonic", &["linkage", "feed", "sim"]),
    ("toml", &["config"]),
    ("tracing_subscriber", &["telemetry"]),
    ("zip", &["roster"]),
];

/// Ways to start a task or a thread; only `supervise` uses them.
const SPAWNERS: [&str; 6] = [
    "tokio::spawn",
    "task::spawn",
    "spawn_blocking",
    "spawn_local",
    "thread::spawn",
    "thread::Builder",
];

/// Ways to read the wall clock; only `time` uses them.
const WALL_CLOCKS: [&str; 3] = ["SystemTime::now", "Timestamp::now", "Zoned::now"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the project (not what git ignores), relative to its root, with its text; binary files
/// have none.
fn files() -> Vec<(String, Option<String>)> {
    let listed = Command::new("git")
        .current_dir(root())
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .output();
    let mut names: Vec<String> = match listed {
        Ok(output) if output.status.success() => output
            .stdout
            .split(|byte| *byte == 0)
            .map(|name| String::from_utf8(name.to_vec()).unwrap())
            .filter(|name| root().join(name).is_file())
            .collect(),
        // A source archive without git.
        _ => walk(&root()),
    };
    names.sort();
    names
        .into_iter()
        .map(|name| {
            let text = String::from_utf8(fs::read(root().join(&name)).unwrap()).ok();
            (name, text)
        })
        .collect()
}

fn walk(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_file() {
            let relative = path.strip_prefix(root()).unwrap();
            names.push(relative.to_str().unwrap().to_owned());
        } else if !matches!(name, "target" | ".git" | "node_modules") {
            names.extend(walk(&path));
        }
    }
    names
}

/// The Rust files, each with its text.
fn rust_files() -> Vec<(String, String)> {
    files()
        .into_iter()
        .filter(|(name, _)| name.ends_with(".rs"))
        .map(|(name, text)| (name, text.unwrap()))
        .collect()
}

/// The Rust files under `src` that belong to a module of the list, with the module's name and the code
/// without comments and literals.
fn module_files() -> Vec<(String, String, String)> {
    rust_files()
        .into_iter()
        .filter_map(|(name, text)| {
            let inner = name.strip_prefix("src/")?;
            let module = inner.split(['/', '.']).next()?.to_owned();
            (!matches!(module.as_str(), "lib" | "main")).then(|| (name, module, code_of(&text)))
        })
        .collect()
}

/// The modules in the order of `src/lib.rs`.
fn module_order() -> Vec<String> {
    let text = code_of(&fs::read_to_string(root().join("src/lib.rs")).unwrap());
    text.lines()
        .filter_map(|line| line.trim().strip_suffix(';')?.rsplit_once("mod "))
        .map(|(_, name)| name.to_owned())
        .collect()
}

/// `text` with comments, strings and characters blanked; lines stay where they are.
fn code_of(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = match literal_end(&chars, at) {
            Some(end) => end.min(chars.len()),
            None => {
                code.push(chars[at]);
                at += 1;
                continue;
            }
        };
        code.extend(
            chars[at..end]
                .iter()
                .map(|c| if *c == '\n' { '\n' } else { ' ' }),
        );
        at = end;
    }
    code
}

/// Where the comment, string or character that begins at `at` ends; `None` when none begins there.
fn literal_end(chars: &[char], at: usize) -> Option<usize> {
    let starts = |from: usize, what: &str| {
        what.chars()
            .enumerate()
            .all(|(idx, c)| chars.get(from + idx) == Some(&c))
    };
    let find = |from: usize, what: &str| (from..chars.len()).find(|idx| starts(*idx, what));
    let in_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match chars[at] {
        '/' if starts(at, "//") => Some(find(at, "\n").unwrap_or(chars.len())),
        '/' if starts(at, "/*") => Some(find(at + 2, "*/").map_or(chars.len(), |end| end + 2)),
        'r' if !in_word || (at > 0 && chars[at - 1] == 'b') => {
            let n_hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
            if chars.get(at + 1 + n_hashes) != Some(&'"') {
                return None;
            }
            let close = format!("\"{}", "#".repeat(n_hashes));
            let end = find(at + 2 + n_hashes, &close)?;
            Some(end + close.len())
        }
        '"' => {
            let mut idx = at + 1;
            while idx < chars.len() && chars[idx] != '"' {
                idx += if chars[idx] == '\\' { 2 } else { 1 };
            }
            Some(idx + 1)
        }
        // A character, not a lifetime.
        '\'' if starts(at + 1, "\\") => find(at + 3, "'").map(|end| end + 1),
        '\'' if chars.get(at + 2) == Some(&'\'') => Some(at + 3),
        _ => None,
    }
}

/// The first names of every `head::…` path in `code`, with line numbers from 1: `head::a::b` gives
/// `a`, `head::{a, b::{c, d}}` gives `a` and `b`.
fn paths_under(code: &str, head: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let head = format!("{head}::");
    for (at, _) in code.match_indices(&head) {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        let rest = &code[at + head.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.push((line, first_word(rest)));
            continue;
        };
        let mut depth = 0;
        let mut item = String::new();
        for c in group.chars() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => found.push((line, first_word(&std::mem::take(&mut item)))),
                _ if depth == 0 => item.push(c),
                _ => {}
            }
        }
        found.push((line, first_word(&item)));
    }
    found
}

/// How many modules lie between the crate's root and the code of a file: 1 for `src/a.rs` and
/// `src/a/mod.rs`, 2 for `src/a/b.rs`.
fn file_depth(name: &str) -> usize {
    let n_parts = name.split('/').count() - 1;
    n_parts - usize::from(name.ends_with("/mod.rs"))
}

/// The names that `super::…` paths reach at the crate's root, from a file `file_depth` modules deep.
fn paths_over_the_top(code: &str, file_depth: usize) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    // For each open brace, whether it is a module's.
    let mut braces: Vec<bool> = Vec::new();
    for (line, text) in code.lines().enumerate() {
        let mut supers_end = 0;
        for (at, c) in text.char_indices() {
            if c == '{' {
                let words: Vec<&str> = text[..at].split_whitespace().collect();
                braces.push(words.len() >= 2 && words[words.len() - 2] == "mod");
            } else if c == '}' {
                braces.pop();
            } else if at >= supers_end && text[at..].starts_with("super::") {
                let mut rest = &text[at..];
                let mut n_up = 0;
                while let Some(up) = rest.strip_prefix("super::") {
                    rest = up;
                    n_up += 1;
                }
                supers_end = text.len() - rest.len();
                let depth = file_depth + braces.iter().filter(|is_mod| **is_mod).count();
                if n_up == depth {
                    let path = format!("root::{rest}");
                    let names = paths_under(&path, "root").into_iter();
                    found.extend(names.map(|(_, name)| (line + 1, name)));
                }
            }
        }
    }
    found
}

fn first_word(text: &str) -> String {
    text.trim_start()
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// The lines (from 1) of `code` that name the foreign crate `name`.
fn lines_naming(code: &str, name: &str) -> Vec<usize> {
    code.match_indices(name)
        .filter(|(at, _)| {
            let before = &code[..*at];
            let after = &code[at + name.len()..];
            let starts = !before.ends_with(|c: char| c.is_alphanumeric() || "_:.".contains(c));
            let imported = before.trim_end().ends_with("use") && after.starts_with([';', ' ']);
            starts && (after.starts_with("::") || imported)
        })
        .map(|(at, _)| code[..at].matches('\n').count() + 1)
        .collect()
}

#[track_caller]
fn assert_none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}\n", broken.join("\n  "));
}

#[test]
fn a_module_names_only_modules_above_it() {
    let order = module_order();
    let rank: BTreeMap<&str, usize> = order
        .iter()
        .enumerate()
        .map(|(idx, name)| (name.as_str(), idx))
        .collect();
    assert!(rank.len() > 5, "the list in src/lib.rs: {order:?}");
    let mut broken = Vec::new();
    for (name, module, code) in module_files() {
        let Some(own) = rank.get(module.as_str()) else {
            broken.push(format!("{name}: its module is not in src/lib.rs"));
            continue;
        };
        let mut paths = paths_under(&code, "crate");
        paths.extend(paths_over_the_top(&code, file_depth(&name)));
        for (line, path) in paths {
            if rank.get(path.as_str()).is_some_and(|other| other > own) {
                broken.push(format!(
                    "{name}:{line}: {module} names {path}, which is below it"
                ));
            }
        }
    }
    assert_none("src/lib.rs has the order of modules", &broken);
}

#[test]
fn a_foreign_crate_has_one_door() {
    let mut broken = Vec::new();
    for (name, module, code) in module_files() {
        for (foreign, doors) in DOORS {
            if !doors.contains(&module.as_str()) {
                for line in lines_naming(&code, foreign) {
                    let doors = doors.join(", ");
                    broken.push(format!("{name}:{line}: only {doors} names {foreign}"));
                }
            }
        }
    }
    assert_none("each foreign crate is named by one module", &broken);
}

#[test]
fn only_supervise_spawns_and_only_time_reads_the_wall_clock() {
    let mut broken = Vec::new();
    for (name, module, code) in module_files() {
        for (line, text) in code.lines().enumerate() {
            let line = line + 1;
            if module != "supervise" && SPAWNERS.iter().any(|spawner| text.contains(spawner)) {
                broken.push(format!(
                    "{name}:{line}: only supervise starts tasks and threads"
                ));
            }
            if module != "time" && WALL_CLOCKS.iter().any(|clock| text.contains(clock)) {
                broken.push(format!("{name}:{line}: only time reads the wall clock"));
            }
        }
    }
    assert_none("tasks and clocks have one owner", &broken);
}

#[test]
fn a_rust_file_begins_by_saying_what_it_is_for_and_is_not_too_long() {
    let mut broken = Vec::new();
    for (name, text) in rust_files() {
        if !text.starts_with("//! ") {
            broken.push(format!("{name}:1: begin with `//! what this is for`"));
        }
        let n_lines = text.lines().count();
        if n_lines > FILE_LINES_MAX {
            broken.push(format!("{name}: {n_lines} lines, at most {FILE_LINES_MAX}"));
        }
    }
    assert_none("file heads and lengths", &broken);
}

#[test]
fn work_left_to_do_names_its_issue() {
    // Put together here, so that this file does not break its own rule.
    let marks = [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["X", "XX"].concat(),
    ];
    let mut broken = Vec::new();
    for (name, text) in files() {
        for (line, text) in text.unwrap_or_default().lines().enumerate() {
            for mark in &marks {
                for (at, _) in text.match_indices(mark.as_str()) {
                    let (before, after) = (&text[..at], &text[at + mark.len()..]);
                    let is_word = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
                        && !after.starts_with(|c: char| c.is_alphanumeric() || c == '_');
                    if is_word && !after.starts_with("(#") {
                        broken.push(format!("{name}:{}: write {mark}(#issue)", line + 1));
                    }
                }
            }
        }
    }
    assert_none("work left to do has an issue", &broken);
}

#[test]
fn no_file_knows_a_machine_or_a_package_host() {
    let parts: [[&str; 2]; 12] = [
        ["/ro", "ot/"],
        ["/ho", "me/"],
        ["/wo", "rk/"],
        ["/opt/", "wheels"],
        ["deb.", "debian.org"],
        ["pypi.", "org"],
        ["registry.", "npmjs.org"],
        ["index.", "crates.io"],
        ["static.", "crates.io"],
        ["rs", "proxy.cn"],
        ["npm", "mirror.com"],
        ["tuna.", "tsinghua"],
    ];
    let parts = parts.map(|part| part.concat());
    let mut broken = Vec::new();
    for (name, text) in files() {
        if name.ends_with("Cargo.lock") || name.ends_with("package-lock.json") {
            continue;
        }
        for (line, text) in text.unwrap_or_default().lines().enumerate() {
            if let Some(part) = parts.iter().find(|part| text.contains(part.as_str())) {
                broken.push(format!("{name}:{}: {part}", line + 1));
            }
        }
    }
    assert_none("the project builds anywhere", &broken);
}

#[test]
fn the_index_of_fixtures_is_complete() {
    let index = fs::read_to_string(root().join("fixtures/README.md")).unwrap_or_default();
    let listed: Vec<&str> = index.split('`').skip(1).step_by(2).collect();
    let mut broken = Vec::new();
    for (name, _) in files() {
        let Some(name) = name.strip_prefix("fixtures/") else {
            continue;
        };
        let is_listed =
            |entry: &&str| *entry == name || (entry.ends_with('/') && name.starts_with(*entry));
        if name != "README.md" && !listed.iter().any(is_listed) {
            broken.push(format!("fixtures/{name} is not in fixtures/README.md"));
        }
    }
    assert_none(
        "every fixture says what it is and where it comes from",
        &broken,
    );
}

#[test]
fn shell_scripts_parse() {
    let mut broken = Vec::new();
    for (name, text) in files() {
        let is_script = name.ends_with(".sh")
            || text.is_some_and(|text| {
                text.lines()
                    .next()
                    .is_some_and(|line| line.starts_with("#!") && line.ends_with("bash"))
            });
        if is_script {
            let output = Command::new("bash")
                .arg("-n")
                .arg(root().join(&name))
                .output()
                .unwrap();
            if !output.status.success() {
                broken.push(format!(
                    "{name}: {}",
                    String::from_utf8_lossy(&output.stderr)
                ));
            }
        }
    }
    assert_none("shell scripts", &broken);
}

#[test]
fn tidy_reads_rust_as_rust_does() {
    let code = code_of(concat!(
        "let a = \"crate::web \\\" crate::cli\"; // crate::sim\n",
        "let b = 'x'; let c: &'static str = r#\"crate::web\"#; /* crate::web\n */\n",
        "use crate::{store::{Store, Txn}, time, web::Api};\n",
        "let d = '\\''; mycrate::door(); $crate::door();\n",
    ));
    let names = paths_under(&code, "crate");
    let expected = [(4, "store"), (4, "time"), (4, "web")].map(|(n, s)| (n, s.to_owned()));
    assert_eq!(names, expected, "{code}");
    let code = "use super::web;\nuse super::super::cli;\nmod tests {\n use super::super::{sim, web::A};\n}";
    let names: Vec<_> = paths_over_the_top(code, 1)
        .into_iter()
        .map(|(_, s)| s)
        .collect();
    assert_eq!(names, ["web", "sim", "web"]);
    let depths = ["src/a.rs", "src/a/mod.rs", "src/a/b.rs"].map(file_depth);
    assert_eq!(depths, [1, 1, 2]);
    let code = code_of("use sled;\nuse sled::Db;\nunsled::a(); a.sled::<u8>(); // sled::\n");
    assert_eq!(lines_naming(&code, "sled"), [1, 2]);
}

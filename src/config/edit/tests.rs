//! The editor: what people wrote stays, what was asked for is there, and nothing else.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::*;
use crate::site::{CameraEntry, DoorEntry, MatchEntry, StairwellEntry};

const TEXT: &str = r#"# The site of the test.

[compound]
id = "test-1"          # never changes
name = "Test"
time_zone = "UTC"

[store]
path = "store"

[footage]
path = "footage"

# Building 3.

# The entrance of unit 2.
[[stairwell]]
id = "b03-u2"
building = "3"   # as on the wall
unit = "2"

[[stairwell]]
id = "b03-u3"
building = "3"
unit = "3"

# About cameras in general.

# The first camera.
[[camera]]
id = "b03-u2-in"
place = "b03-u2"
url = "rtsp://192.0.2.10:554/1"   # upper floor
username = "admin"
password_file = "camera-password"

[[door]]
id = "b03-u2-door"
place = "b03-u2"
cameras = ["b03-u2-in"]
controller = "uhppoted"
[door.match]
device_id = 405419896   # on the label
door = 1

# Notes at the end.
"#;

struct Site {
    dir: tempfile::TempDir,
    file: SiteFile,
}

fn site(text: &str) -> Site {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gateway.toml");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    std::fs::write(dir.path().join("camera-password"), "hush\n").unwrap();
    Site {
        file: SiteFile::at(&path),
        dir,
    }
}

impl Site {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.path("gateway.toml")).unwrap()
    }

    /// Everything there is, as it could be sent back.
    fn change(&self) -> SiteChange {
        let view = self.file.view().unwrap();
        let json = serde_json::to_string(&view).unwrap();
        serde_json::from_str(&json).unwrap()
    }

    fn draft(&self, change: &SiteChange) -> Draft {
        self.file.draft(change).unwrap()
    }

    /// Puts it in force, and returns the new text.
    fn put(&self, change: &SiteChange) -> String {
        let draft = self.draft(change);
        assert_eq!(draft.report.problems, []);
        let version = self.file.stage(&draft).unwrap().commit().unwrap();
        assert_eq!(self.file.view().unwrap().version, version);
        self.text()
    }
}

fn problems(draft: &Draft) -> Vec<String> {
    let problems = draft.report.problems.iter();
    problems
        .map(|problem| format!("{}: {}", problem.at, problem.what))
        .collect()
}

#[test]
fn what_is_sent_back_as_it_came_changes_nothing() {
    let site = site(TEXT);
    let draft = site.draft(&site.change());
    assert_eq!(draft.report.changes, []);
    assert_eq!(draft.report.diff, "");
    assert_eq!(draft.text, TEXT);
    assert!(draft.config.is_some());
    let reference = include_str!("../../../deploy/gateway.toml");
    let of_reference = reference.parse::<DocumentMut>().unwrap();
    let mut edited = of_reference.clone();
    let lists = view::lists(&edited);
    for (name, wanted) in [
        ("stairwell", fields::all(&lists.stairwells)),
        ("camera", fields::all(&lists.cameras)),
        ("door", fields::all(&lists.doors)),
    ] {
        assert!(tables::replace(&mut edited, name, &wanted).is_empty());
    }
    assert_eq!(edited.to_string(), reference);
}

#[test]
fn a_value_changes_where_it_stands_and_comments_stay() {
    let site = site(TEXT);
    let mut change = site.change();
    change.compound.as_mut().unwrap().name = "Another \"name\"\n[web]".to_owned();
    change.cameras.as_mut().unwrap()[0].url = "rtsp://192.0.2.10:554/2".to_owned();
    change.doors.as_mut().unwrap()[0].decision = "online".to_owned();
    change.doors.as_mut().unwrap()[0].matcher = Some(MatchEntry {
        device_id: Some(405_419_896),
        door: Some(2),
        ..MatchEntry::default()
    });
    let draft = site.draft(&change);
    assert_eq!(
        problems(&draft),
        ["compound.name: has control characters in it (write one line)"]
    );
    change.compound.as_mut().unwrap().name = "小区 \"A\" ]] # no comment".to_owned();
    let text = site.put(&change);
    assert_eq!(
        site.file.view().unwrap().compound.name,
        "小区 \"A\" ]] # no comment"
    );
    for kept in [
        "# The site of the test.",
        "# never changes",
        "# Building 3.",
        "# upper floor",
        "device_id = 405419896   # on the label",
        "# Notes at the end.",
    ] {
        assert!(text.contains(kept), "{kept}\n{text}");
    }
    let n_changed = text.lines().filter(|line| !TEXT.contains(line)).count();
    assert_eq!(n_changed, 4, "{text}");
    assert_eq!(
        std::fs::read_to_string(site.path("gateway.toml.bak")).unwrap(),
        TEXT
    );
    let mode = std::fs::metadata(site.path("gateway.toml")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o640);
    assert!(!site.path("gateway.toml.draft").exists());
}

#[test]
fn things_come_go_and_get_other_ids() {
    let site = site(TEXT);
    let mut change = site.change();
    let stairwells = change.stairwells.as_mut().unwrap();
    stairwells[0].was = Some("b03-u2".to_owned());
    stairwells[0].id = "east".to_owned();
    stairwells.remove(1);
    stairwells.push(StairwellEntry {
        id: "b04-u1".to_owned(),
        was: None,
        building: "4".to_owned(),
        unit: "1".to_owned(),
    });
    let cameras = change.cameras.as_mut().unwrap();
    cameras[0].was = Some("b03-u2-in".to_owned());
    cameras[0].id = "east-in".to_owned();
    cameras[0].place = "east".to_owned();
    change.doors = Some(Vec::new());
    let draft = site.draft(&change);
    let changes: Vec<String> = draft
        .report
        .changes
        .iter()
        .map(|one| format!("{} {} {}", one.what, one.id, one.action))
        .collect();
    assert_eq!(
        changes,
        [
            "stairwell east changed",
            "stairwell b04-u1 added",
            "stairwell b03-u3 removed",
            "camera east-in changed",
            "door b03-u2-door removed",
        ]
    );
    let text = site.put(&change);
    insta::assert_snapshot!(text);
    // Renamed, it keeps its password.
    let view = site.file.view().unwrap();
    assert!(view.cameras[0].has_password);
}

#[test]
fn comments_about_something_else_outlive_what_stood_below_them() {
    let site = site(TEXT);
    let mut change = site.change();
    change.doors = Some(Vec::new());
    change.cameras = Some(Vec::new());
    change.stairwells = Some(Vec::new());
    let text = site.put(&change);
    for kept in [
        "# Building 3.",
        "# About cameras in general.",
        "# Notes at the end.",
    ] {
        assert!(text.contains(kept), "{kept}\n{text}");
    }
    for gone in ["# The entrance of unit 2.", "# The first camera.", "[["] {
        assert!(!text.contains(gone), "{gone}\n{text}");
    }
}

#[test]
fn a_site_begins_empty_and_is_written_whole() {
    let start = "[compound]\nid = \"c\"\nname = \"C\"\ntime_zone = \"UTC\"\n\n[store]\npath = \"s\"\n\n[footage]\npath = \"f\"\n";
    let site = site(start);
    let change: SiteChange = serde_json::from_value(serde_json::json!({
        "version": site.change().version,
        "stairwells": [{ "id": "s1", "building": "1", "unit": "1" }],
        "cameras": [{ "id": "c1", "place": "s1", "url": "rtsp://192.0.2.1/", "username": "u", "password": "p\"'#" }],
        "doors": [{ "id": "d1", "place": "s1", "cameras": ["c1"], "controller": "esp-rfid", "match": { "hostname": "h" } }],
        "linkages": [{ "id": "l1", "kind": "webhook", "url": "https://192.0.2.2/a", "secret": "signing key" }],
    }))
    .unwrap();
    let draft = site.draft(&change);
    assert!(!draft.report.diff.contains("signing key") && !draft.report.diff.contains("p\\\""));
    assert_eq!(site.text(), start, "a draft is not written");
    assert!(!site.path("gateway.secrets").exists());
    let text = site.put(&change);
    insta::assert_snapshot!(text.replace(&site_version_prefix(start), "VERSION"));
    let config = crate::config::load(&site.path("gateway.toml")).unwrap();
    let camera = &config.cameras[0];
    assert_eq!(camera.password.as_ref().unwrap().reveal(), "p\"'#");
    let secrets: Vec<_> = std::fs::read_dir(site.path("gateway.secrets"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().permissions().mode() & 0o777)
        .collect();
    assert_eq!(secrets, [0o600, 0o600]);
}

fn site_version_prefix(text: &str) -> String {
    version_of(text).chars().take(SUFFIX_DIGITS).collect()
}

#[test]
fn every_mistake_is_said_at_once_and_nothing_is_written() {
    let site = site(TEXT);
    let mut change = site.change();
    change.compound.as_mut().unwrap().id = "other".to_owned();
    let cameras = change.cameras.as_mut().unwrap();
    cameras.push(CameraEntry {
        id: "../../etc/passwd".to_owned(),
        place: "nowhere".to_owned(),
        url: "http://x".to_owned(),
        transport: "pigeon".to_owned(),
        password: Some(Secret::new("x")),
        ..CameraEntry::default()
    });
    cameras.push(CameraEntry {
        id: "new".to_owned(),
        was: Some("never-was".to_owned()),
        place: "compound".to_owned(),
        url: "rtsp://192.0.2.7/".to_owned(),
        transport: "tcp".to_owned(),
        username: Some("u".to_owned()),
        ..CameraEntry::default()
    });
    change.doors.as_mut().unwrap().push(DoorEntry {
        id: "b03-u2-door".to_owned(),
        place: "b03-u2".to_owned(),
        cameras: vec!["b03-u2-in".to_owned(), "gone".to_owned()],
        controller: "native".to_owned(),
        decision: "record".to_owned(),
        ..DoorEntry::default()
    });
    let draft = site.draft(&change);
    assert!(draft.config.is_none());
    insta::assert_snapshot!(problems(&draft).join("\n"));
    assert_eq!(site.text(), TEXT);
}

#[test]
fn a_kept_password_does_not_follow_an_address_to_another_host() {
    let site = site(TEXT);
    let mut change = site.change();
    change.cameras.as_mut().unwrap()[0].url = "rtsp://198.51.100.9/steal".to_owned();
    let draft = site.draft(&change);
    assert!(problems(&draft)[0].starts_with("camera.b03-u2-in.url: is on another host"));
    change.cameras.as_mut().unwrap()[0].password = Some(Secret::new("typed again"));
    let text = site.put(&change);
    assert!(text.contains("gateway.secrets/camera-b03-u2-in."), "{text}");
    assert!(!text.contains("typed again"));
}

#[test]
fn a_log_in_goes_with_its_user_name() {
    let site = site(TEXT);
    let mut change = site.change();
    change.cameras.as_mut().unwrap()[0].username = Some(String::new());
    let text = site.put(&change);
    assert!(
        !text.contains("password_file") && !text.contains("username"),
        "{text}"
    );
    assert!(site.path("camera-password").exists(), "written by a person");
}

#[test]
fn someone_elses_change_is_not_overwritten() {
    let site = site(TEXT);
    let mut change = site.change();
    change.doors = Some(Vec::new());
    let draft = site.draft(&change);
    let staged = site.file.stage(&draft).unwrap();
    let theirs = TEXT.replace("Test", "Theirs");
    std::fs::write(site.path("gateway.toml"), &theirs).unwrap();
    let err = staged.commit().unwrap_err();
    assert!(matches!(err, StageError::Changed { .. }), "{err}");
    assert_eq!(site.text(), theirs);
    assert!(!site.path("gateway.toml.draft").exists());
    let err = site.file.draft(&change).unwrap_err();
    assert!(matches!(err, EditError::Changed { .. }), "{err}");
    std::fs::write(site.path("gateway.toml"), "[compound").unwrap();
    assert!(matches!(site.file.view(), Err(EditError::Unreadable(_))));
}

#[test]
fn secrets_that_nobody_names_any_more_are_removed() {
    let site = site(TEXT);
    for round in 0..3 {
        let mut change = site.change();
        change.cameras.as_mut().unwrap()[0].password = Some(Secret::new(format!("p{round}")));
        site.put(&change);
    }
    let n_secrets = std::fs::read_dir(site.path("gateway.secrets"))
        .unwrap()
        .count();
    assert_eq!(n_secrets, 2, "of the file and of its .bak");
    let mut change = site.change();
    change.cameras.as_mut().unwrap()[0].password = Some(Secret::new("dropped"));
    let draft = site.draft(&change);
    drop(site.file.stage(&draft).unwrap());
    let n_secrets = std::fs::read_dir(site.path("gateway.secrets"))
        .unwrap()
        .count();
    assert_eq!(n_secrets, 2, "what is not committed leaves nothing");
}

#[test]
fn lists_written_in_one_line_are_read_and_changed_too() {
    let inline = TEXT.split("# Building 3.").next().unwrap().to_owned();
    let text = format!("stairwell = [{{ id = \"a\", building = \"1\", unit = \"1\" }}]\n{inline}");
    let site = site(&text);
    let mut change = site.change();
    assert_eq!(change.stairwells.as_ref().unwrap().len(), 1);
    change.stairwells.as_mut().unwrap()[0].unit = "2".to_owned();
    site.put(&change);
    assert_eq!(site.file.view().unwrap().stairwells[0].unit, "2");
}

proptest::proptest! {
    #[test]
    fn any_text_is_kept_as_it_is(building in "\\PC{0,32}", unit in "\\PC{1,32}") {
        let mut document = TEXT.parse::<DocumentMut>().unwrap();
        let entry = StairwellEntry {
            id: "b03-u2".to_owned(),
            was: None,
            building: building.clone(),
            unit: unit.clone(),
        };
        tables::replace(&mut document, "stairwell", &fields::all(std::slice::from_ref(&entry)));
        let read = document.to_string().parse::<DocumentMut>().unwrap();
        proptest::prop_assert_eq!(view::lists(&read).stairwells, vec![entry]);
        proptest::prop_assert_eq!(view::lists(&read).cameras.len(), 1);
    }
}

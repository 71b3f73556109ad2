//! `stairgate demo` as a new user runs it: everything happens, and nothing is left behind.

use std::time::Duration;

use crate::harness::gateway::program;
use crate::harness::temp_dir;

#[tokio::test]
async fn the_demo_shows_swipes_clips_and_alerts_and_leaves_nothing_behind() {
    let folder = temp_dir();
    let mut command = tokio::process::Command::new(program());
    command.args(["demo", "--cameras", "4", "--port", "0", "--seconds", "36"]);
    command.env("TMPDIR", folder.path()).kill_on_drop(true);
    let ended = tokio::time::timeout(Duration::from_secs(90), command.output()).await;
    let output = ended.expect("the demo ends by itself").unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{log}\n{text}");
    for part in [
        "/api/v1/entries",
        "a resident comes home",
        "one swipe reported twice",
        "police unknown-card revision 1, clip pending",
        "police unknown-card revision 2, clip",
        "police revoked-card revision 1, clip pending",
        "police wrong-place revision",
        "police door-forced revision",
        "/clip.mp4",
    ] {
        assert!(
            text.contains(part),
            "{part:?} is missing in:\n{text}\n{log}"
        );
    }
    assert!(log.is_empty(), "no error is logged: {log}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

//! Deadlines and the grid map, right and wrong.

use super::tests::{Site, WHOLE};
use crate::domain::alert::AlertKind;
use crate::domain::case::{Party, Tier};
use crate::domain::place::Place;

#[test]
fn deadlines_and_the_grid_map_are_read() {
    let site = Site::new();
    let text = format!(
        r#"{WHOLE}
case_changes = true
[case]
pictures = "state/pictures"
[[case.deadline]]
severity = 2
acknowledge_s = 240
[[case.deadline]]
kinds = ["tamper", "door-held"]
resolve_s = 1
[[case.grid]]
id = "north"
buildings = ["3"]
community = "Grid officer"
district = "District office"
[[case.grid]]
id = "rest"
buildings = ["*"]
street = "Street office"
"#
    );
    let config = site.load(&text).unwrap_or_else(|err| panic!("{err}"));
    assert_eq!(config.warnings, []);
    assert!(config.linkages[0].case_changes);
    let rules = &config.case.rules;
    let tamper = rules.deadlines.of(AlertKind::Tamper);
    assert_eq!(
        (tamper.acknowledge.as_secs(), tamper.resolve.as_secs()),
        (240, 1)
    );
    let held = rules.deadlines.of(AlertKind::DoorHeld);
    assert_eq!(
        (held.acknowledge.as_secs(), held.resolve.as_secs()),
        (1_800, 1)
    );
    let party = |place: &str, tier| {
        let party = rules.grids.party(&Place::new(place).unwrap(), tier);
        party.map(Party::as_str)
    };
    assert_eq!(party("b03-u2", Tier::Community), Some("Grid officer"));
    assert_eq!(party("b03-u2", Tier::Street), None);
    assert_eq!(party("compound", Tier::Street), Some("Street office"));
}

#[test]
fn mistakes_in_deadlines_and_in_the_grid_map_are_told_all_at_once() {
    let site = Site::new();
    let text = format!(
        r#"{WHOLE}
case_changes = "yes"
[case]
pictures = "state/store/pictures"
[[case.deadline]]
severity = 4
acknowledge_s = 0
[[case.deadline]]
acknowledge_s = 60
[[case.deadline]]
severity = 1
kinds = ["duress"]
[[case.deadline]]
severity = 1
close_s = 60
[[case.deadline]]
kinds = ["clock-skew", "fire", "tamper", "tamper"]
close_m = 1
[[case.grid]]
id = "grid 1"
buildings = ["5"]
community = ""
[[case.grid]]
id = "g"
buildings = ["3", "3"]
[[case.grid]]
id = "g"
street = "Street office"
"#
    );
    insta::assert_snapshot!("mistakes_in_cases", site.refused(&text));
    let left_out =
        format!("{WHOLE}\n[[case.grid]]\nid = \"g\"\nbuildings = [\"3\"]\nstreet = \"S\"\n");
    insta::assert_snapshot!("places_without_a_grid", site.warned(&left_out));
}

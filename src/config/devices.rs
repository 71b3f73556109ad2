//! Stairwells, cameras and doors, and how they name each other.

use std::collections::BTreeMap;

use super::report::Spot;
use super::section::{At, Section};
use super::values::{UrlRule, login, read_url};
use super::{DecisionMode, DoorConfig, Login};
use crate::camera::{CameraOptions, Transport};
use crate::domain::id::{CameraId, DoorId, StairwellId};
use crate::domain::place::{COMPOUND, Door, Place, Stairwell};
use crate::door::{Dialect, ESP_RFID_TOPIC, UHPPOTED_TOPIC};

const RTSP: UrlRule = UrlRule {
    schemes: &["rtsp"],
    example: "\"rtsp://192.0.2.10:554/path\"",
};

/// Longest label of a building or a unit, in characters.
const LABEL_CHARS_MAX: usize = 32;

/// Stairwells by id.
pub(super) type Stairwells = BTreeMap<StairwellId, Stairwell>;

/// What is known of a camera even when something in it is wrong.
pub(super) struct FoundCamera {
    pub(super) spot: Spot,
    pub(super) place: Option<Place>,
    pub(super) camera: Option<CameraOptions>,
}

/// Cameras in the file's order.
pub(super) type Cameras = Vec<(CameraId, FoundCamera)>;

/// A door, and what the broker must know of it.
pub(super) struct FoundDoor {
    pub(super) config: DoorConfig,
    pub(super) login: Option<At<Login>>,
    pub(super) spot: Spot,
}

pub(super) fn stairwells(top: &mut Section<'_>) -> Stairwells {
    let mut stairwells = Stairwells::new();
    for mut section in top.sections("stairwell") {
        let id = section.required_parsed::<StairwellId>("id", "such as \"b03-u2\"");
        if let Some(id) = &id {
            section.name_by(id.value.as_str());
        }
        let building = section.required("building", "as on the wall, such as \"3\"");
        let unit = section.required("unit", "as on the door, such as \"2\"");
        for label in [&building, &unit].into_iter().flatten() {
            let n_chars = label.value.trim().chars().count();
            if n_chars == 0 || n_chars > LABEL_CHARS_MAX || label.value.contains(char::is_control) {
                let text = "must be 1 to 32 characters in one line";
                section.report.problem(&label.spot, text);
            }
        }
        if let Some(id) = id {
            if id.value.as_str() == COMPOUND {
                let text = "\"compound\" means the compound itself (choose another id)";
                section.report.problem(&id.spot, text);
            }
            let stairwell = Stairwell {
                id: id.value.clone(),
                building: building.map(|text| text.value).unwrap_or_default(),
                unit: unit.map(|text| text.value).unwrap_or_default(),
            };
            if stairwells.insert(id.value, stairwell).is_some() {
                duplicate(&section, &id.spot, "stairwell");
            }
        }
        section.finish();
    }
    stairwells
}

pub(super) fn cameras(top: &mut Section<'_>, stairwells: &Stairwells) -> Cameras {
    let mut cameras = Cameras::new();
    for mut section in top.sections("camera") {
        let id = section.required_parsed::<CameraId>("id", "such as \"b03-u2-in\"");
        if let Some(id) = &id {
            section.name_by(id.value.as_str());
            if cameras.iter().any(|(other, _)| *other == id.value) {
                duplicate(&section, &id.spot, "camera");
            }
        }
        let place = place(&mut section, stairwells);
        let url = section
            .required("url", "the camera's RTSP address")
            .and_then(|text| read_url(&section, &text, &RTSP));
        let sub_url = section
            .text("sub_url")
            .and_then(|text| read_url(&section, &text, &RTSP));
        let transports = [("tcp", Transport::Tcp), ("udp", Transport::Udp)];
        let transport = section.word("transport", &transports);
        let (username, password) = login(&mut section)
            .map(|login| (login.username, login.password))
            .unzip();
        if let Some(id) = id {
            let camera = place.clone().zip(url).map(|(place, url)| CameraOptions {
                id: id.value.clone(),
                place,
                url,
                sub_url,
                transport: transport.unwrap_or_default(),
                username,
                password,
            });
            warn_of_same_url(&section, &cameras, camera.as_ref());
            let spot = section.own_spot();
            let found = FoundCamera {
                spot,
                place,
                camera,
            };
            cameras.push((id.value, found));
        }
        section.finish();
    }
    cameras
}

fn warn_of_same_url(section: &Section<'_>, cameras: &Cameras, camera: Option<&CameraOptions>) {
    let Some(camera) = camera else { return };
    let twin = cameras
        .iter()
        .find(|(_, other)| other.camera.as_ref().is_some_and(|c| c.url == camera.url));
    if let Some((id, _)) = twin {
        section.report.warning(
            &section.spot("url"),
            format!("is also that of camera {id}: many cameras allow few sessions"),
        );
    }
}

pub(super) fn doors(
    top: &mut Section<'_>,
    stairwells: &Stairwells,
    cameras: &Cameras,
) -> Vec<FoundDoor> {
    let mut doors: Vec<FoundDoor> = Vec::new();
    for mut section in top.sections("door") {
        let id = section.required_parsed::<DoorId>("id", "such as \"b03-u2-door\"");
        if let Some(id) = &id {
            section.name_by(id.value.as_str());
            if doors.iter().any(|other| other.config.door.id == id.value) {
                duplicate(&section, &id.spot, "door");
            }
        }
        let place = place(&mut section, stairwells);
        let names = section.texts("cameras");
        let door_cameras = door_cameras(&section, &names, cameras, place.as_ref());
        let controller = controller(&mut section);
        warn_of_same_match(&section, &doors, controller.as_ref());
        let modes = [
            ("record", DecisionMode::Record),
            ("online", DecisionMode::Online),
        ];
        let decision = section.word("decision", &modes);
        let login = login(&mut section);
        if let Some(id) = id {
            let spot = section.own_spot();
            doors.push(FoundDoor {
                config: DoorConfig {
                    door: Door {
                        id: id.value,
                        place: place.unwrap_or(Place::Compound),
                        cameras: door_cameras,
                    },
                    controller: controller.unwrap_or(Dialect::Native),
                    decision: decision.unwrap_or(DecisionMode::Record),
                },
                login: login.map(|value| At {
                    value,
                    spot: section.spot("username"),
                }),
                spot,
            });
        }
        section.finish();
    }
    warn_of_unused_cameras(top, cameras, &doors);
    doors
}

fn door_cameras(
    section: &Section<'_>,
    names: &[At<String>],
    cameras: &Cameras,
    place: Option<&Place>,
) -> Vec<CameraId> {
    if names.is_empty() {
        section.report.warning(
            &section.spot("cameras"),
            "no camera sees this door: its entries will have no video (cameras = [\"…\"])",
        );
    }
    let mut found: Vec<CameraId> = Vec::new();
    for name in names {
        let Some((id, camera)) = cameras.iter().find(|(id, _)| id.as_str() == name.value) else {
            section.report.problem(
                &name.spot,
                format!(
                    "there is no camera {:?} (add it, or correct its name)",
                    name.value
                ),
            );
            continue;
        };
        if found.contains(id) {
            let text = format!("{id} is named twice");
            section.report.problem(&name.spot, text);
            continue;
        }
        if let (Some(Place::Stairwell(door)), Some(Place::Stairwell(seen))) =
            (place, camera.place.as_ref())
            && door != seen
        {
            let text = format!("camera {id} belongs to {seen}, not to {door}");
            section.report.warning(&name.spot, text);
        }
        found.push(id.clone());
    }
    found
}

fn warn_of_unused_cameras(top: &Section<'_>, cameras: &Cameras, doors: &[FoundDoor]) {
    for (id, camera) in cameras {
        let is_used = doors
            .iter()
            .any(|door| door.config.door.cameras.contains(id));
        if !is_used {
            let text = "no door names this camera: it makes no clips";
            top.report.warning(&camera.spot, text);
        }
    }
}

fn place(section: &mut Section<'_>, stairwells: &Stairwells) -> Option<Place> {
    let text = section.required("place", "a stairwell's id, or \"compound\"")?;
    let known = match Place::new(&text.value) {
        Ok(Place::Compound) => Some(Place::Compound),
        Ok(Place::Stairwell(id)) => stairwells.contains_key(&id).then_some(Place::Stairwell(id)),
        Err(_) => None,
    };
    if known.is_none() {
        section.report.problem(
            &text.spot,
            format!(
                "there is no stairwell {:?} (add a [[stairwell]], or write \"compound\")",
                text.value
            ),
        );
    }
    known
}

/// `controller` and `[door.match]`: what the controller speaks and how its messages name the door.
fn controller(section: &mut Section<'_>) -> Option<Dialect> {
    let words = [
        ("native", Word::Native),
        ("esp-rfid", Word::EspRfid),
        ("uhppoted", Word::Uhppoted),
    ];
    let is_given = section.has("controller");
    let word = section.word("controller", &words);
    let mut matcher = section.section("match");
    let topic = matcher.text("topic");
    if let Some(topic) = &topic
        && let Err(text) = super::mqtt::check_topic(&topic.value)
    {
        matcher.report.problem(&topic.spot, text);
    }
    let topic = topic.map(|topic| topic.value);
    let dialect = match word {
        None if is_given => None,
        None | Some(Word::Native) => {
            if matcher.is_present() {
                let text = "a native controller needs none: its topics name the door (remove it)";
                matcher.report.problem(&matcher.own_spot(), text);
            }
            Some(Dialect::Native)
        }
        Some(Word::EspRfid) => {
            let hint = "the controller's hostname, as in its own settings";
            let hostname = matcher.required("hostname", hint);
            hostname.map(|hostname| Dialect::EspRfid {
                topic: topic.unwrap_or_else(|| ESP_RFID_TOPIC.to_owned()),
                hostname: hostname.value,
            })
        }
        Some(Word::Uhppoted) => uhppoted(&mut matcher, topic),
    };
    for key in ["hostname", "device_id", "door"] {
        // Keys of the other dialects are said to be unknown here only when they are not ours.
        matcher.report.asked(format!("door.match.{key}"));
    }
    matcher.finish();
    dialect
}

#[derive(Clone, Copy)]
enum Word {
    Native,
    EspRfid,
    Uhppoted,
}

fn uhppoted(matcher: &mut Section<'_>, topic: Option<String>) -> Option<Dialect> {
    if !matcher.has("device_id") {
        matcher.report.problem(
            &matcher.spot("device_id"),
            "is missing (the controller's serial number, such as 405419896)",
        );
    }
    let device_id = matcher.number("device_id", 1..=u64::from(u32::MAX), 1);
    let is_one_door = matcher.has("door");
    let door = matcher.number("door", 1..=4, 1);
    Some(Dialect::Uhppoted {
        topic: topic.unwrap_or_else(|| UHPPOTED_TOPIC.to_owned()),
        device_id: u32::try_from(device_id).ok()?,
        door: is_one_door.then_some(u8::try_from(door).ok()?),
    })
}

fn warn_of_same_match(section: &Section<'_>, doors: &[FoundDoor], controller: Option<&Dialect>) {
    let Some(controller) = controller else { return };
    let twin = doors
        .iter()
        .find(|door| overlaps(&door.config.controller, controller));
    if let Some(twin) = twin {
        section.report.problem(
            &section.spot("match"),
            format!(
                "is the same as that of door {} (a message must mean one door)",
                twin.config.door.id
            ),
        );
    }
}

/// Could one message mean both doors?
fn overlaps(one: &Dialect, other: &Dialect) -> bool {
    match (one, other) {
        (Dialect::EspRfid { .. }, Dialect::EspRfid { .. }) => one == other,
        (
            Dialect::Uhppoted {
                topic,
                device_id,
                door,
            },
            Dialect::Uhppoted {
                topic: other_topic,
                device_id: other_id,
                door: other_door,
            },
        ) => {
            let is_same_door = door.is_none() || other_door.is_none() || door == other_door;
            topic == other_topic && device_id == other_id && is_same_door
        }
        (Dialect::Native | Dialect::EspRfid { .. } | Dialect::Uhppoted { .. }, _) => false,
    }
}

fn duplicate(section: &Section<'_>, spot: &Spot, what: &str) {
    section.report.problem(
        spot,
        format!("another {what} has this id (each id must be there once)"),
    );
}

//! How every camera, door, linkage, disk and clock is, as one list for people.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::words::in_chinese;
use crate::camera::CameraStatus;
use crate::domain::place::Place;
use crate::door::DoorStatus;
use crate::telemetry::{Component, State};
use crate::time::WallTime;

/// Clocks that must agree with each other before they say something of ours.
const CLOCKS_MIN: usize = 3;
/// Our clock may differ by so much from most others, in milliseconds.
const CLOCK_MS_MAX: i64 = 2_000;

/// How a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Does its work.
    Ok,
    /// Is on its way up, works less well, or is away and will come back by itself.
    Degraded,
    /// Needs someone.
    Failed,
}

/// One part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HealthItem {
    /// `camera`, `door`, `linkage`, `disk`, `clock`, `store`, `broker`, `outbox`, or another part.
    pub part: String,
    /// Its id; the part's own name where there is only one.
    pub id: String,
    /// Where it is; null: nowhere in particular.
    pub place: Option<Place>,
    /// How it is.
    pub level: Level,
    /// Since when; null: not known.
    pub since: Option<WallTime>,
    /// How it is and what to do, in Chinese.
    pub text_zh: String,
    /// The same in English.
    pub text_en: String,
    /// Numbers that tell more; which of them depends on the part.
    pub figures: Value,
}

/// What is known of every part.
#[derive(Clone, Debug)]
pub struct HealthFacts {
    /// What parts say of themselves.
    pub board: BTreeMap<String, Component>,
    /// The cameras.
    pub cameras: Vec<CameraStatus>,
    /// The doors.
    pub doors: Vec<DoorStatus>,
    /// Where cameras and doors are, by `camera/<id>` and `door/<id>`.
    pub places: BTreeMap<String, Place>,
    /// Free and all bytes of the footage disk; `None`: not known.
    pub disk: Option<(u64, u64)>,
    /// Why the store cannot be read; `None`: it can.
    pub store_trouble: Option<String>,
}

/// One item for each part, the worst first, then by part and id.
pub fn health_items(facts: &HealthFacts) -> Vec<HealthItem> {
    let mut items: Vec<HealthItem> = facts
        .board
        .iter()
        .map(|(name, component)| of_board(name, component, facts))
        .collect();
    items.push(clock(facts));
    items.push(store(facts));
    items.sort_by(|one, other| {
        let key = |item: &HealthItem| (item.part.clone(), item.id.clone());
        other
            .level
            .cmp(&one.level)
            .then_with(|| key(one).cmp(&key(other)))
    });
    items
}

fn of_board(name: &str, component: &Component, facts: &HealthFacts) -> HealthItem {
    let (part, id) = match name.split_once('/') {
        Some((part, id)) => (part, id),
        None => match name {
            "footage" => ("disk", name),
            "mqtt" => ("broker", name),
            _ => (name, name),
        },
    };
    let level = match component.state {
        State::Ok => Level::Ok,
        State::Starting | State::Degraded => Level::Degraded,
        State::Failed => Level::Failed,
    };
    let (text_zh, text_en) = if component.reason.is_empty() {
        ("正常".to_owned(), "works".to_owned())
    } else {
        (in_chinese(&component.reason), component.reason.clone())
    };
    HealthItem {
        part: part.to_owned(),
        id: id.to_owned(),
        place: facts.places.get(name).cloned(),
        level,
        since: Some(component.since),
        text_zh,
        text_en,
        figures: figures(part, id, facts),
    }
}

fn figures(part: &str, id: &str, facts: &HealthFacts) -> Value {
    match part {
        "camera" => {
            let status = facts.cameras.iter().find(|c| c.camera.as_str() == id);
            status.map_or(json!({}), |status| {
                json!({
                    "up": status.up,
                    "width": status.width,
                    "height": status.height,
                    "fps": status.fps,
                    "bitrate_bps": status.bits_per_s,
                    "keyframe_interval_s": status.gop_s,
                    "keyframe_age_s": status.key_frame_age_s,
                    "clock_offset_s": status.clock_offset_s,
                    "lost_packets": status.lost_packets,
                    "ring_s": status.ring_s,
                })
            })
        }
        "door" => {
            let status = facts.doors.iter().find(|d| d.door.as_str() == id);
            status.map_or(json!({}), |status| {
                json!({
                    "online": status.online,
                    "last_seen": status.last_seen,
                    "last_swipe": status.last_swipe,
                    "firmware": status.firmware,
                    "cards_version": status.cards_version,
                    "clock_offset_ms": status.skew_ms,
                })
            })
        }
        "disk" => facts.disk.map_or(
            json!({}),
            |(free, total)| json!({ "free_bytes": free, "total_bytes": total }),
        ),
        _ => json!({}),
    }
}

/// Our clock against those of cameras and controllers: when most of them differ by the same, it is
/// ours that is wrong.
fn clock(facts: &HealthFacts) -> HealthItem {
    let of_cameras = facts.cameras.iter().filter_map(|c| c.clock_offset_s);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a saturating cast, of seconds that were i64 nanoseconds"
    )]
    let of_cameras = of_cameras.map(|s| (s * 1_000.0) as i64);
    let of_doors = facts.doors.iter().filter_map(|d| d.skew_ms);
    let mut offsets: Vec<i64> = of_cameras.chain(of_doors).collect();
    offsets.sort_unstable();
    let median = offsets.get(offsets.len() / 2).copied();
    let judged = median.filter(|_| offsets.len() >= CLOCKS_MIN);
    let is_off = judged.is_some_and(|median| median.abs() > CLOCK_MS_MAX);
    let (text_zh, text_en) = match judged {
        Some(median) if is_off => (
            format!("网关时钟与多数设备相差 {median} 毫秒：请为网关设置对时（NTP）"),
            format!(
                "most devices differ from the gateway's clock by {median} ms: give the gateway a \
                 time server (NTP)"
            ),
        ),
        Some(median) => (
            format!("与设备时钟一致（中位差 {median} 毫秒）"),
            format!("agrees with the devices (median {median} ms)"),
        ),
        None => (
            "可对照的设备时钟不足三个".to_owned(),
            "fewer than three devices have told their time".to_owned(),
        ),
    };
    HealthItem {
        part: "clock".to_owned(),
        id: "clock".to_owned(),
        place: None,
        level: if is_off { Level::Degraded } else { Level::Ok },
        since: None,
        text_zh,
        text_en,
        figures: json!({ "devices": offsets.len(), "median_offset_ms": median }),
    }
}

fn store(facts: &HealthFacts) -> HealthItem {
    let (level, text_zh, text_en) = match &facts.store_trouble {
        None => (Level::Ok, "正常".to_owned(), "works".to_owned()),
        Some(why) => (
            Level::Failed,
            format!("数据库读取失败：{why}"),
            format!("the store cannot be read: {why}"),
        ),
    };
    HealthItem {
        part: "store".to_owned(),
        id: "store".to_owned(),
        place: None,
        level,
        since: None,
        text_zh,
        text_en,
        figures: json!({}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::DoorId;

    fn door(id: &str, skew_ms: Option<i64>) -> DoorStatus {
        DoorStatus {
            door: DoorId::new(id).unwrap(),
            online: Some(true),
            last_seen: None,
            last_swipe: None,
            firmware: None,
            cards_version: None,
            skew_ms,
            state: None,
        }
    }

    fn facts(doors: Vec<DoorStatus>) -> HealthFacts {
        let component = |state, reason: &str| Component {
            state,
            reason: reason.to_owned(),
            since: WallTime::from_unix_ms(5),
        };
        let away = "its controller went away: look at its power and its network";
        HealthFacts {
            board: BTreeMap::from([
                ("footage".to_owned(), component(State::Ok, "")),
                ("door/d1".to_owned(), component(State::Degraded, away)),
                ("camera/c1".to_owned(), component(State::Failed, "x")),
            ]),
            cameras: Vec::new(),
            doors,
            places: BTreeMap::from([("door/d1".to_owned(), Place::Compound)]),
            disk: Some((10, 100)),
            store_trouble: None,
        }
    }

    #[test]
    fn the_worst_comes_first_and_says_where_it_is() {
        let items = health_items(&facts(vec![door("d1", None)]));
        let shown: Vec<_> = items
            .iter()
            .map(|item| (item.part.as_str(), item.id.as_str(), item.level))
            .collect();
        assert_eq!(
            shown,
            [
                ("camera", "c1", Level::Failed),
                ("door", "d1", Level::Degraded),
                ("clock", "clock", Level::Ok),
                ("disk", "footage", Level::Ok),
                ("store", "store", Level::Ok),
            ]
        );
        assert_eq!(items[1].place, Some(Place::Compound));
        assert_eq!(items[1].text_zh, "控制器离线：请检查电源和网络");
        assert_eq!(items[3].figures["free_bytes"], 10);
    }

    #[test]
    fn our_clock_is_wrong_when_most_others_say_so() {
        let of = |skews: &[i64]| {
            let doors = skews.iter().map(|ms| door("d", Some(*ms))).collect();
            let items = health_items(&facts(doors));
            let clock = items.into_iter().find(|item| item.part == "clock");
            clock.unwrap().level
        };
        assert_eq!(of(&[60_000, 60_000]), Level::Ok, "too few to tell");
        assert_eq!(of(&[60_000, 60_100, -3]), Level::Degraded);
        assert_eq!(of(&[60_000, 5, -3]), Level::Ok, "one device is wrong");
    }
}

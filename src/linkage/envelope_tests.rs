//! What leaves the building, snapshot by snapshot.

use super::*;
use crate::domain::access::{Decision, Outcome, Reason};
use crate::domain::card::{CardKey, CardRef};
use crate::domain::clip::{
    ClipOutcome, ClipWindow, FootageName, Gap, GapReason, MissedReason, Span,
};
use crate::domain::id::CardholderId;
use crate::domain::swipe::{ControllerResult, Direction, Method, SwipeKey};
use crate::time::{MediaTime, RunId};

/// 2026-11-22T08:30:15.120+08:00.
const AT: WallTime = WallTime::from_unix_ms(1_795_307_415_120);

fn facts() -> SiteFacts {
    let id = StairwellId::new("b03-u2").unwrap();
    let stairwell = Stairwell {
        id: id.clone(),
        building: "3".to_owned(),
        unit: "2".to_owned(),
    };
    SiteFacts {
        compound: CompoundId::new("majian-1").unwrap(),
        name: "马涧花园一区".to_owned(),
        stairwells: BTreeMap::from([(id, stairwell)]),
        time_zone: TimeZone::named("Asia/Shanghai").unwrap(),
        public_url: Some("https://gateway.example/majian/".parse().unwrap()),
    }
}

fn entry(outcome: Option<ClipOutcome>) -> Entry {
    let camera = CameraId::new("b03-u2-in").unwrap();
    let window = ClipWindow {
        from: WallTime::from_unix_ms(AT.unix_ms() - 10_000),
        to: WallTime::from_unix_ms(AT.unix_ms() + 20_000),
    };
    let mut clip = ClipRecord::pending(camera, window);
    if let Some(outcome) = outcome {
        clip.settle(outcome, window.to);
        clip.sha256 = Some("0f".repeat(32));
    }
    let door = DoorId::new("b03-u2-door").unwrap();
    let key = SwipeKey {
        boot: "5f3a".to_owned(),
        seq: 17,
    };
    Entry {
        id: key.entry_id(&door),
        place: Place::new("b03-u2").unwrap(),
        door,
        key,
        at: AT,
        received_at: AT,
        controller_at: None,
        card: Some(CardRef {
            key: CardKey::from_bytes([7; 16]),
            tail: "\u{2026}C3D4".to_owned(),
        }),
        dwelling: Some(DwellingId::new("b03-u2-301").unwrap()),
        holder: Some(CardholderId::new("holder-of-301").unwrap()),
        direction: Direction::In,
        method: Method::Card,
        controller_result: ControllerResult::Denied,
        decision: Decision {
            outcome: Outcome::Denied,
            reason: Reason::RevokedCard,
            duress: false,
        },
        clips: vec![clip],
        alerts: Vec::new(),
    }
}

fn whole() -> ClipOutcome {
    let camera = CameraId::new("b03-u2-in").unwrap();
    ClipOutcome::Whole(vec![Span {
        file: FootageName::new(&camera, AT, RunId::random(), 0),
        from: MediaTime(0),
        to: MediaTime(30 * MediaTime::HZ),
        starts_at: AT,
    }])
}

fn alert(kind: AlertKind, entry: Option<&Entry>) -> Alert {
    Alert {
        id: AlertId::derive(&[b"test"]),
        revision: 2,
        kind,
        raised_at: AT,
        place: Place::new("b03-u2").unwrap(),
        door: entry.map(|entry| entry.door.clone()),
        camera: None,
        entry: entry.map(|entry| entry.id),
        count: 1,
        detail: "card of b03-u2-301".to_owned(),
        ended_at: None,
        dwelling: None,
    }
}

#[test]
fn by_default_no_card_no_name_no_dwelling_leaves() {
    let entry = entry(Some(whole()));
    let alert = alert(AlertKind::RevokedCard, Some(&entry));
    let envelope = AlertEnvelope::new(&alert, Some(&entry), &facts(), &Include::new());
    insta::assert_json_snapshot!("default", envelope);
    let json = String::from_utf8(envelope.to_json().to_vec()).unwrap();
    for personal in ["C3D4", "301", "holder"] {
        assert!(!json.contains(personal), "{personal} left the building");
    }
}

#[test]
fn a_linkage_gets_what_it_asks_for() {
    let entry = entry(None);
    let alert = alert(AlertKind::RevokedCard, Some(&entry));
    let include = Include::from(Extra::ALL);
    let envelope = AlertEnvelope::new(&alert, Some(&entry), &facts(), &include);
    insta::assert_json_snapshot!("everything_asked_for", envelope);
    let json = String::from_utf8(envelope.to_json().to_vec()).unwrap();
    assert!(!json.contains("holder-of-301"), "a holder never leaves");
    for extra in Extra::ALL {
        assert_eq!(Extra::from_word(extra.as_str()), Some(extra));
    }
}

#[test]
fn a_device_alert_tells_its_reason_count_and_end() {
    let mut alert = alert(AlertKind::CameraOffline, None);
    alert.camera = Some(CameraId::new("gate-cam").unwrap());
    alert.place = Place::Compound;
    alert.detail = "401\r\nfake: line".to_owned();
    alert.count = 12;
    alert.ended_at = Some(WallTime::from_unix_ms(AT.unix_ms() + 65_000));
    let envelope = AlertEnvelope::new(&alert, None, &facts(), &Include::new());
    insta::assert_json_snapshot!("device", envelope);
}

#[test]
fn a_clip_tells_what_became_of_it() {
    let clip_of = |outcome, public_url: bool| {
        let entry = entry(outcome);
        let mut facts = facts();
        facts.public_url = facts.public_url.filter(|_| public_url);
        let alert = alert(AlertKind::WrongPlace, Some(&entry));
        let envelope = AlertEnvelope::new(&alert, Some(&entry), &facts, &Include::new());
        envelope.clip.unwrap()
    };
    let gap = Gap {
        from: AT,
        to: AT,
        reason: GapReason::PacketsLost,
    };
    let ClipOutcome::Whole(spans) = whole() else {
        unreachable!()
    };
    let partial = ClipOutcome::Partial {
        spans,
        gaps: vec![gap],
    };
    let partial = clip_of(Some(partial), false);
    assert_eq!(partial.reason.as_deref(), Some("packets-lost"));
    assert_eq!((partial.url, partial.sha256.is_some()), (None, true));
    let missed = clip_of(Some(ClipOutcome::Missed(MissedReason::NoFootage)), true);
    assert_eq!(missed.reason.as_deref(), Some("no-footage"));
    assert_eq!((missed.url, missed.sha256), (None, None));
    let pending = clip_of(None, true);
    assert_eq!((pending.state, pending.url), (ClipState::Pending, None));
}

#[test]
fn the_clip_of_a_forgotten_entry_is_deleted_not_pending() {
    let entry = entry(Some(whole()));
    let alert = alert(AlertKind::WrongPlace, Some(&entry));
    let envelope = AlertEnvelope::new(&alert, None, &facts(), &Include::new());
    let clip = envelope.clip.unwrap();
    assert_eq!(clip.state, ClipState::Missed);
    assert_eq!(clip.reason.as_deref(), Some("deleted"));
}

//! From a swipe to its entry and its alerts: pure, so that every rule can be tested without a gateway.

use std::time::Duration;

use crate::domain::access::{AccessView, Decision, Reason, Request};
use crate::domain::alert::{Alert, AlertKind};
use crate::domain::card::{CardHasher, CardRef};
use crate::domain::clip::{ClipLength, ClipRecord, MissedReason};
use crate::domain::entry::Entry;
use crate::domain::id::AlertId;
use crate::domain::place::Door;
use crate::domain::swipe::Swipe;
use crate::time::WallTime;

use super::placement::Placement;

/// What an entry is made of, besides the swipe.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'a> {
    /// The door it happened at.
    pub door: &'a Door,
    /// Who may enter.
    pub view: &'a AccessView,
    /// How card numbers are hashed.
    pub hasher: &'a CardHasher,
    /// How much is kept around a swipe.
    pub length: ClipLength,
    /// When it happened.
    pub placement: Placement,
}

/// An entry that is not committed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assembled {
    /// The entry, its clips pending or missed.
    pub entry: Entry,
    /// The alerts it raises; their ids are those in the entry.
    pub alerts: Vec<Alert>,
}

impl Assembled {
    /// Raises one more alert on the entry.
    pub(super) fn raise(&mut self, kind: AlertKind) {
        let alert = alert_of(&self.entry, kind);
        self.entry.alerts.push(alert.id);
        self.alerts.push(alert);
    }
}

/// Makes the entry of `swipe` and the alerts it raises.
pub(super) fn assemble(swipe: &Swipe, facts: &Facts<'_>) -> Assembled {
    let at = happened_at(swipe, facts.placement);
    let card = swipe.card.as_ref();
    let key = card.map(|number| facts.hasher.key_of(number));
    let request = Request {
        card: key,
        method: swipe.method,
        place: &facts.door.place,
        at,
    };
    let (decision, grant) = facts.view.decide(&request);
    let window = facts.length.around(at);
    let clips = if facts.door.cameras.is_empty() {
        vec![ClipRecord::missed(None, window, MissedReason::NoCamera)]
    } else {
        facts
            .door
            .cameras
            .iter()
            .map(|id| ClipRecord::pending(id.clone(), window))
            .collect()
    };
    let mut entry = Entry {
        id: swipe.entry_id(),
        door: swipe.door.clone(),
        place: facts.door.place.clone(),
        key: swipe.key.clone(),
        at,
        received_at: swipe.received_at,
        controller_at: swipe.controller_at,
        card: card.zip(key).map(|(number, key)| CardRef {
            key,
            tail: number.tail(),
        }),
        dwelling: grant.map(|grant| grant.dwelling.clone()),
        holder: grant.map(|grant| grant.holder.clone()),
        direction: swipe.direction,
        method: swipe.method,
        controller_result: swipe.controller_result,
        decision,
        clips,
        alerts: Vec::new(),
    };
    let alerts: Vec<Alert> = alert_kinds(decision)
        .into_iter()
        .map(|kind| alert_of(&entry, kind))
        .collect();
    entry.alerts = alerts.iter().map(|alert| alert.id).collect();
    Assembled { entry, alerts }
}

/// How long before its arrival a live swipe happened; `None` when it is not live.
pub(super) fn live_delay(placement: Placement) -> Option<Duration> {
    match placement {
        Placement::Live { delay } => Some(delay),
        Placement::Disagrees { .. } => Some(Duration::ZERO),
        Placement::Late { .. } => None,
    }
}

fn happened_at(swipe: &Swipe, placement: Placement) -> WallTime {
    match placement {
        Placement::Live { delay } => swipe.received_at.minus(delay),
        Placement::Late { at } => at,
        Placement::Disagrees { .. } => swipe.received_at,
    }
}

fn alert_kinds(decision: Decision) -> Vec<AlertKind> {
    let by_reason = match decision.reason {
        Reason::Ok | Reason::NoCard => None,
        Reason::UnknownCard => Some(AlertKind::UnknownCard),
        Reason::RevokedCard | Reason::LostCard => Some(AlertKind::RevokedCard),
        Reason::ExpiredCard | Reason::NotYetValid => Some(AlertKind::ExpiredCard),
        Reason::WrongPlace => Some(AlertKind::WrongPlace),
        Reason::OverLimit => Some(AlertKind::OverLimit),
    };
    decision
        .duress
        .then_some(AlertKind::Duress)
        .into_iter()
        .chain(by_reason)
        .collect()
}

fn alert_of(entry: &Entry, kind: AlertKind) -> Alert {
    Alert {
        id: AlertId::derive(&[kind.as_str().as_bytes(), entry.id.as_bytes()]),
        revision: 1,
        kind,
        raised_at: entry.received_at,
        place: entry.place.clone(),
        door: Some(entry.door.clone()),
        camera: entry.clip().camera.clone(),
        entry: Some(entry.id),
        count: 1,
        detail: match entry.decision.reason {
            Reason::LostCard => "lost-card".to_owned(),
            Reason::NotYetValid => "not-yet-valid".to_owned(),
            _ => String::new(),
        },
        ended_at: None,
        dwelling: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::access::Outcome;
    use crate::domain::card::CardNumber;
    use crate::domain::clip::ClipState;
    use crate::domain::id::{CameraId, DoorId};
    use crate::domain::place::Place;
    use crate::domain::swipe::{ControllerResult, Direction, Method, SwipeKey};
    use tokio::time::Instant;

    fn swipe(method: Method, card: Option<&str>) -> Swipe {
        Swipe {
            door: DoorId::new("gate").unwrap(),
            key: SwipeKey {
                boot: "5f3a".to_owned(),
                seq: 17,
            },
            card: card.map(|number| CardNumber::new(number).unwrap()),
            direction: Direction::In,
            method,
            controller_result: ControllerResult::Unknown,
            controller_at: None,
            received_at: WallTime::from_unix_ms(1_800_000_000_000),
            arrived: Instant::now(),
            may_have_waited: false,
        }
    }

    fn assembled(swipe: &Swipe, cameras: &[&str]) -> Assembled {
        let door = Door {
            id: swipe.door.clone(),
            place: Place::Compound,
            cameras: cameras
                .iter()
                .map(|id| CameraId::new(id).unwrap())
                .collect(),
        };
        let facts = Facts {
            door: &door,
            view: &AccessView::default(),
            hasher: &CardHasher::new(&[1; 32]),
            length: ClipLength::DEFAULT,
            placement: Placement::Live {
                delay: Duration::from_millis(100),
            },
        };
        assemble(swipe, &facts)
    }

    #[test]
    fn an_unknown_card_makes_a_denied_entry_with_one_alert_and_a_window_around_the_swipe() {
        let swipe = swipe(Method::Card, Some("04A1B2C3D4"));
        let Assembled { entry, alerts } = assembled(&swipe, &["cam-a", "cam-b"]);
        assert_eq!(entry.decision.outcome, Outcome::Denied);
        assert_eq!(
            alerts.iter().map(|a| a.kind).collect::<Vec<_>>(),
            [AlertKind::UnknownCard]
        );
        assert_eq!(entry.alerts, [alerts[0].id]);
        assert_eq!(entry.clips.len(), 2);
        let window = entry.clip().window;
        assert_eq!(
            window.from,
            swipe.received_at.minus(Duration::from_millis(10_100))
        );
        assert_eq!(window.to.since(window.from), Duration::from_secs(30));
        assert_eq!(entry.card.unwrap().tail, "\u{2026}C3D4");
    }

    #[test]
    fn duress_without_a_card_is_one_urgent_alert() {
        let Assembled { entry, alerts } = assembled(&swipe(Method::Duress, None), &["cam-a"]);
        assert_eq!(
            alerts.iter().map(|a| a.kind).collect::<Vec<_>>(),
            [AlertKind::Duress]
        );
        assert_eq!(entry.decision.outcome, Outcome::Granted);
    }

    #[test]
    fn a_door_without_a_camera_has_a_missed_clip_with_its_reason() {
        let Assembled { entry, .. } = assembled(&swipe(Method::Button, None), &[]);
        assert_eq!(entry.clip().state, ClipState::Missed);
        assert_eq!(entry.clip().reason, Some(MissedReason::NoCamera));
    }

    #[test]
    fn a_repeated_swipe_has_the_same_entry_and_alert_ids() {
        let first = assembled(&swipe(Method::Card, Some("04A1B2C3D4")), &["cam-a"]);
        let again = assembled(&swipe(Method::Card, Some("04A1B2C3D4")), &["cam-a"]);
        assert_eq!(first.entry.id, again.entry.id);
        assert_eq!(first.alerts[0].id, again.alerts[0].id);
    }
}

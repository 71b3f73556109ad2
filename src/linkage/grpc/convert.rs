//! The envelope as a message: the same facts, field by field. What is in an envelope is decided there.

use super::wire;
use crate::domain::alert::AlertKind;
use crate::domain::clip::ClipState;
use crate::linkage::envelope::{AlertEnvelope, EnvelopeCase, EnvelopeClip, EnvelopePlace};

impl From<&AlertEnvelope> for wire::Alert {
    fn from(envelope: &AlertEnvelope) -> wire::Alert {
        wire::Alert {
            alert_id: envelope.id.to_string(),
            revision: envelope.revision,
            kind: wire::AlertKind::from(envelope.kind).into(),
            kind_word: envelope.kind.as_str().to_owned(),
            severity: u32::from(envelope.severity),
            raised_at_unix_ms: envelope.raised_at.unix_ms(),
            ended_at_unix_ms: envelope.ended_at.map(|at| at.unix_ms()),
            count: envelope.count,
            compound: envelope.compound.to_string(),
            compound_name: envelope.compound_name.clone(),
            place: Some(wire::Place::from(&envelope.place)),
            door: envelope.door.as_ref().map(ToString::to_string),
            camera: envelope.camera.as_ref().map(ToString::to_string),
            entry_id: envelope.entry_id.as_ref().map(ToString::to_string),
            clip: envelope.clip.as_ref().map(wire::Clip::from),
            summary_zh: envelope.summary_zh.clone(),
            summary_en: envelope.summary_en.clone(),
            detail: envelope.detail.clone(),
            card_tail: envelope.card_tail.clone(),
            dwelling: envelope.dwelling.as_ref().map(ToString::to_string),
            case: envelope.case.as_ref().map(wire::Case::from),
        }
    }
}

impl From<&EnvelopePlace> for wire::Place {
    fn from(place: &EnvelopePlace) -> wire::Place {
        wire::Place {
            id: place.id.to_string(),
            building: place.building.clone(),
            unit: place.unit.clone(),
        }
    }
}

impl From<&EnvelopeClip> for wire::Clip {
    fn from(clip: &EnvelopeClip) -> wire::Clip {
        let state = match clip.state {
            ClipState::Pending => wire::ClipState::Pending,
            ClipState::Whole => wire::ClipState::Whole,
            ClipState::Partial => wire::ClipState::Partial,
            ClipState::Missed => wire::ClipState::Missed,
        };
        wire::Clip {
            state: state.into(),
            reason: clip.reason.clone(),
            url: clip.url.clone(),
            sha256: clip.sha256.clone(),
        }
    }
}

impl From<&EnvelopeCase> for wire::Case {
    fn from(case: &EnvelopeCase) -> wire::Case {
        wire::Case {
            state: case.state.as_str().to_owned(),
            tier: case.tier.as_str().to_owned(),
            due_at_unix_ms: case.due_at.map(|at| at.unix_ms()),
            overdue: case.overdue,
        }
    }
}

impl From<AlertKind> for wire::AlertKind {
    fn from(kind: AlertKind) -> wire::AlertKind {
        match kind {
            AlertKind::Duress => wire::AlertKind::Duress,
            AlertKind::DoorForced => wire::AlertKind::DoorForced,
            AlertKind::Tamper => wire::AlertKind::Tamper,
            AlertKind::UnknownCard => wire::AlertKind::UnknownCard,
            AlertKind::RevokedCard => wire::AlertKind::RevokedCard,
            AlertKind::ExpiredCard => wire::AlertKind::ExpiredCard,
            AlertKind::WrongPlace => wire::AlertKind::WrongPlace,
            AlertKind::CardShared => wire::AlertKind::CardShared,
            AlertKind::LimitReached => wire::AlertKind::LimitReached,
            AlertKind::OverLimit => wire::AlertKind::OverLimit,
            AlertKind::DoorHeld => wire::AlertKind::DoorHeld,
            AlertKind::CameraOffline => wire::AlertKind::CameraOffline,
            AlertKind::DoorOffline => wire::AlertKind::DoorOffline,
            AlertKind::DiskLow => wire::AlertKind::DiskLow,
            AlertKind::LinkageDown => wire::AlertKind::LinkageDown,
            AlertKind::SwipeRejects => wire::AlertKind::SwipeRejects,
            AlertKind::ClockSkew => wire::AlertKind::ClockSkew,
        }
    }
}

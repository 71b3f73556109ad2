//! What leaves the building: the one place that decides which facts of an alert a receiver gets.
//!
//! By default no card number, no name, no dwelling, no holder; a linkage's `include` adds what the
//! receiver is entitled to. The fields are those of the public contract, section 6; each kind of
//! linkage carries the same facts in its own dress. Nothing else in the gateway writes an alert for
//! the outside.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::domain::alert::{Alert, AlertKind};
use crate::domain::case::{Case, CaseState, Tier};
use crate::domain::clip::{ClipRecord, ClipState};
use crate::domain::entry::Entry;
use crate::domain::id::{AlertId, CameraId, CompoundId, DoorId, DwellingId, EntryId, StairwellId};
use crate::domain::place::{Place, Stairwell};
use crate::time::{TimeZone, WallTime};

/// Longest text of a device or a person that is passed on, in characters.
const DETAIL_CHARS_MAX: usize = 300;

/// What is the same for all alerts of the site.
#[derive(Clone, Debug)]
pub struct SiteFacts {
    /// The compound.
    pub compound: CompoundId,
    /// Its name for people.
    pub name: String,
    /// Its stairwells, by id.
    pub stairwells: BTreeMap<StairwellId, Stairwell>,
    /// In which the summaries tell the time.
    pub time_zone: TimeZone,
    /// Under which receivers reach the gateway's API; `None`: clips are named without a URL.
    pub public_url: Option<Url>,
}

/// Something that a receiver gets only when its linkage asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extra {
    /// The last digits of the card, as people in the duty room see them.
    CardTail,
    /// The dwelling of the card's holder, or whose limit it is about.
    Dwelling,
    /// The free text of alerts about persons and dwellings. That of alerts about devices, which
    /// names none, is always in.
    Detail,
}

impl Extra {
    /// Every extra.
    pub const ALL: [Extra; 3] = [Extra::CardTail, Extra::Dwelling, Extra::Detail];

    /// The word used in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Extra::CardTail => "card-tail",
            Extra::Dwelling => "dwelling",
            Extra::Detail => "detail",
        }
    }

    /// The extra of that word.
    pub fn from_word(word: &str) -> Option<Extra> {
        Extra::ALL.into_iter().find(|extra| extra.as_str() == word)
    }
}

/// The extras of one linkage; empty by default.
pub type Include = BTreeSet<Extra>;

/// One alert at one revision, as receivers get it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlertEnvelope {
    /// The alert.
    pub id: AlertId,
    /// Of several messages of one alert the highest counts.
    pub revision: u32,
    /// What it is about.
    pub kind: AlertKind,
    /// 1 (a person may be in danger) to 4 (for the record).
    pub severity: u8,
    /// When it was raised.
    pub raised_at: WallTime,
    /// When the condition ended, for those that end.
    pub ended_at: Option<WallTime>,
    /// How many occurrences it stands for; at least 1.
    pub count: u32,
    /// The site.
    pub compound: CompoundId,
    /// The site's name.
    pub compound_name: String,
    /// Where.
    pub place: EnvelopePlace,
    /// The door concerned.
    pub door: Option<DoorId>,
    /// The camera concerned, or the one whose clip it is.
    pub camera: Option<CameraId>,
    /// The entry that raised it.
    pub entry_id: Option<EntryId>,
    /// Its clip; `None` when no entry raised it.
    pub clip: Option<EnvelopeClip>,
    /// One line in Chinese.
    pub summary_zh: String,
    /// One line in English.
    pub summary_en: String,
    /// What else there is to say; at most 300 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The last digits of the card, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card_tail: Option<String>,
    /// The dwelling, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dwelling: Option<DwellingId>,
    /// How far its handling is; `None` for alerts that open no case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case: Option<EnvelopeCase>,
}

/// The handling of an alert in an envelope: how far it is, not who handles it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EnvelopeCase {
    /// Where it stands.
    pub state: CaseState,
    /// The tier that is answerable.
    pub tier: Tier,
    /// When the next deadline passes; `None` when none will.
    pub due_at: Option<WallTime>,
    /// A deadline of the step that is due now has passed.
    pub overdue: bool,
}

impl From<&Case> for EnvelopeCase {
    fn from(case: &Case) -> EnvelopeCase {
        EnvelopeCase {
            state: case.state,
            tier: case.tier,
            due_at: case.due_at,
            overdue: case.overdue_since.is_some(),
        }
    }
}

/// A place in an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EnvelopePlace {
    /// A stairwell's id, or `compound`.
    pub id: Place,
    /// The building; `None` for the compound.
    pub building: Option<String>,
    /// The unit; `None` for the compound.
    pub unit: Option<String>,
}

/// A clip in an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EnvelopeClip {
    /// What became of it so far.
    pub state: ClipState,
    /// Why it is missed, or the first gap of a partial one.
    pub reason: Option<String>,
    /// Where it can be fetched; set when there is something to fetch and the gateway knows its own
    /// address.
    pub url: Option<String>,
    /// SHA-256 of the bytes at `url`, 64 hexadecimal digits.
    pub sha256: Option<String>,
}

impl AlertEnvelope {
    /// Writes the envelope of `alert` at its present revision. `entry` is the one that raised it; when
    /// that is gone by now, its clip is told as deleted.
    pub fn new(
        alert: &Alert,
        entry: Option<&Entry>,
        facts: &SiteFacts,
        include: &Include,
    ) -> AlertEnvelope {
        let clip_record = entry.map(Entry::clip);
        let card_tail = entry.and_then(|entry| Some(entry.card.as_ref()?.tail.clone()));
        let of_entry = entry.and_then(|entry| entry.dwelling.clone());
        let dwelling = alert.dwelling.clone().or(of_entry);
        let summary = Summary::new(alert, facts);
        AlertEnvelope {
            id: alert.id,
            revision: alert.revision,
            kind: alert.kind,
            severity: alert.kind.severity(),
            raised_at: alert.raised_at,
            ended_at: alert.ended_at,
            count: alert.count,
            compound: facts.compound.clone(),
            compound_name: facts.name.clone(),
            place: place(&alert.place, facts),
            door: alert.door.clone(),
            camera: alert
                .camera
                .clone()
                .or_else(|| clip_record.and_then(|clip| clip.camera.clone())),
            entry_id: alert.entry,
            clip: alert.entry.map(|id| match clip_record {
                Some(record) => clip(id, record, facts),
                None => deleted_clip(),
            }),
            summary_zh: summary.zh(),
            summary_en: summary.en(),
            detail: detail(alert, include),
            card_tail: card_tail.filter(|_| include.contains(&Extra::CardTail)),
            dwelling: dwelling.filter(|_| include.contains(&Extra::Dwelling)),
            case: None,
        }
    }

    /// The same with how far the alert's handling is.
    #[must_use]
    pub fn with_case(mut self, case: Option<&Case>) -> AlertEnvelope {
        self.case = case.map(EnvelopeCase::from);
        self
    }

    /// What makes this message that message: a receiver acts once on each.
    pub fn idempotency_key(&self) -> String {
        format!("{}.{}", self.id, self.revision)
    }

    /// As JSON.
    pub fn to_json(&self) -> Bytes {
        let json =
            serde_json::to_vec(self).expect("an envelope has only text keys and plain values");
        Bytes::from(json)
    }
}

fn place(place: &Place, facts: &SiteFacts) -> EnvelopePlace {
    let stairwell = match place {
        Place::Compound => None,
        Place::Stairwell(id) => facts.stairwells.get(id),
    };
    EnvelopePlace {
        id: place.clone(),
        building: stairwell.map(|stairwell| stairwell.building.clone()),
        unit: stairwell.map(|stairwell| stairwell.unit.clone()),
    }
}

fn clip(entry: EntryId, record: &ClipRecord, facts: &SiteFacts) -> EnvelopeClip {
    let (reason, fetchable) = match record.state {
        ClipState::Pending => (None, false),
        ClipState::Whole => (None, true),
        ClipState::Partial => (record.gaps.first().and_then(|gap| word(&gap.reason)), true),
        ClipState::Missed => (record.reason.as_ref().and_then(word), false),
    };
    let base = facts.public_url.as_ref().filter(|_| fetchable);
    let url = base.map(|base| {
        let base = base.as_str().trim_end_matches('/');
        format!("{base}/api/v1/entries/{entry}/clip.mp4")
    });
    EnvelopeClip {
        state: record.state,
        reason,
        url,
        sha256: record.sha256.clone().filter(|_| fetchable),
    }
}

fn deleted_clip() -> EnvelopeClip {
    EnvelopeClip {
        state: ClipState::Missed,
        reason: word(&crate::domain::clip::MissedReason::Deleted),
        url: None,
        sha256: None,
    }
}

/// The word that serde writes for a unit variant.
fn word<T: Serialize>(value: &T) -> Option<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Some(word),
        Ok(_) | Err(_) => None,
    }
}

fn detail(alert: &Alert, include: &Include) -> Option<String> {
    let of_a_device = match alert.kind {
        AlertKind::CameraOffline
        | AlertKind::DoorOffline
        | AlertKind::DiskLow
        | AlertKind::LinkageDown
        | AlertKind::SwipeRejects
        | AlertKind::ClockSkew => true,
        AlertKind::Duress
        | AlertKind::DoorForced
        | AlertKind::Tamper
        | AlertKind::UnknownCard
        | AlertKind::RevokedCard
        | AlertKind::ExpiredCard
        | AlertKind::WrongPlace
        | AlertKind::CardShared
        | AlertKind::LimitReached
        | AlertKind::OverLimit
        | AlertKind::DoorHeld => false,
    };
    let may_leave = of_a_device || include.contains(&Extra::Detail);
    let text = clean(&alert.detail, DETAIL_CHARS_MAX);
    (may_leave && !text.is_empty()).then_some(text)
}

/// `text` on one line, without control characters, at most `chars_max` long: what a device or a
/// receiver said may not forge a line of ours.
pub fn clean(text: &str, chars_max: usize) -> String {
    let shown = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let line: String = shown.take(chars_max).collect();
    line.trim().to_owned()
}

/// The parts of a summary line.
struct Summary<'a> {
    alert: &'a Alert,
    facts: &'a SiteFacts,
}

impl<'a> Summary<'a> {
    fn new(alert: &'a Alert, facts: &'a SiteFacts) -> Summary<'a> {
        Summary { alert, facts }
    }

    fn zh(&self) -> String {
        let place = match self.stairwell() {
            Some(at) => format!(
                "{}{}",
                with_unit(&at.building, "幢"),
                with_unit(&at.unit, "单元")
            ),
            None => self.other_place().to_owned(),
        };
        let mut text = self.facts.name.clone();
        for part in [place.as_str(), self.alert.kind.title().zh] {
            if !part.is_empty() {
                push(&mut text, format_args!(" {part}"));
            }
        }
        if let Some(device) = self.device() {
            push(&mut text, format_args!("（{device}）"));
        }
        push(
            &mut text,
            format_args!("，{}", self.local(self.alert.raised_at)),
        );
        if self.alert.count > 1 {
            push(&mut text, format_args!("，共 {} 次", self.alert.count));
        }
        if let Some(ended_at) = self.alert.ended_at {
            push(&mut text, format_args!("，{} 已恢复", self.local(ended_at)));
        }
        text
    }

    fn en(&self) -> String {
        let mut text = format!("{}: {}", self.facts.name, self.alert.kind.title().en);
        match (self.stairwell(), self.other_place()) {
            (Some(at), _) => push(
                &mut text,
                format_args!(" at building {}, unit {}", at.building, at.unit),
            ),
            (None, "") => {}
            (None, id) => push(&mut text, format_args!(" at {id}")),
        }
        if let Some(device) = self.device() {
            push(&mut text, format_args!(" ({device})"));
        }
        push(
            &mut text,
            format_args!(", {}", self.local(self.alert.raised_at)),
        );
        if self.alert.count > 1 {
            push(&mut text, format_args!(", {} times", self.alert.count));
        }
        if let Some(ended_at) = self.alert.ended_at {
            push(&mut text, format_args!(", ended {}", self.local(ended_at)));
        }
        text
    }

    fn stairwell(&self) -> Option<&Stairwell> {
        match &self.alert.place {
            Place::Compound => None,
            Place::Stairwell(id) => self.facts.stairwells.get(id),
        }
    }

    /// The id of a stairwell that is not in the configuration any more; empty for the compound, whose
    /// name the line begins with.
    fn other_place(&self) -> &str {
        match &self.alert.place {
            Place::Compound => "",
            Place::Stairwell(id) => id.as_str(),
        }
    }

    fn device(&self) -> Option<&str> {
        let door = self.alert.door.as_ref().map(DoorId::as_str);
        door.or_else(|| self.alert.camera.as_ref().map(CameraId::as_str))
    }

    fn local(&self, at: WallTime) -> String {
        self.facts.time_zone.local(at)
    }
}

/// Walls say `3`, people say `3幢`; a name such as `东门楼` stands for itself.
fn with_unit(name: &str, unit: &str) -> String {
    if name.bytes().all(|b| b.is_ascii_alphanumeric()) {
        format!("{name}{unit}")
    } else {
        name.to_owned()
    }
}

fn push(text: &mut String, part: std::fmt::Arguments<'_>) {
    text.write_fmt(part)
        .expect("writing to a string does not fail");
}

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;

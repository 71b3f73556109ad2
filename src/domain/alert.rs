//! Something the duty room or the police must see, and its way to each receiver.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::id::{AlertId, CameraId, DoorId, DwellingId, EntryId, LinkageId};
use super::place::Place;
use crate::time::WallTime;

/// What an alert is about. Its word, severity and hold are fixed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertKind {
    /// Someone signals that they are being forced.
    Duress,
    /// A door was opened without leave.
    DoorForced,
    /// Someone is at a controller's case.
    Tamper,
    /// A card nobody holds.
    UnknownCard,
    /// A card taken back or reported lost.
    RevokedCard,
    /// A card past its date.
    ExpiredCard,
    /// A card of another stairwell.
    WrongPlace,
    /// One card at two doors too far apart in too short a time.
    CardShared,
    /// An issue was refused because the dwelling is full.
    LimitReached,
    /// A dwelling has more holders than its limit.
    OverLimit,
    /// A door stands open too long.
    DoorHeld,
    /// A camera sends no key frames.
    CameraOffline,
    /// A door's controller is away.
    DoorOffline,
    /// Little disk space is left, or footage had to be deleted early.
    DiskLow,
    /// A receiver of alerts cannot be reached.
    LinkageDown,
    /// Swipes that could not be read.
    SwipeRejects,
    /// A camera's or a controller's clock is off.
    ClockSkew,
}

impl AlertKind {
    /// Every kind, in the order of their listing.
    pub const ALL: [AlertKind; 17] = [
        AlertKind::Duress,
        AlertKind::DoorForced,
        AlertKind::Tamper,
        AlertKind::UnknownCard,
        AlertKind::RevokedCard,
        AlertKind::ExpiredCard,
        AlertKind::WrongPlace,
        AlertKind::CardShared,
        AlertKind::LimitReached,
        AlertKind::OverLimit,
        AlertKind::DoorHeld,
        AlertKind::CameraOffline,
        AlertKind::DoorOffline,
        AlertKind::DiskLow,
        AlertKind::LinkageDown,
        AlertKind::SwipeRejects,
        AlertKind::ClockSkew,
    ];

    /// The word used in configuration, JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            AlertKind::Duress => "duress",
            AlertKind::DoorForced => "door-forced",
            AlertKind::Tamper => "tamper",
            AlertKind::UnknownCard => "unknown-card",
            AlertKind::RevokedCard => "revoked-card",
            AlertKind::ExpiredCard => "expired-card",
            AlertKind::WrongPlace => "wrong-place",
            AlertKind::CardShared => "card-shared",
            AlertKind::LimitReached => "limit-reached",
            AlertKind::OverLimit => "over-limit",
            AlertKind::DoorHeld => "door-held",
            AlertKind::CameraOffline => "camera-offline",
            AlertKind::DoorOffline => "door-offline",
            AlertKind::DiskLow => "disk-low",
            AlertKind::LinkageDown => "linkage-down",
            AlertKind::SwipeRejects => "swipe-rejects",
            AlertKind::ClockSkew => "clock-skew",
        }
    }

    /// The kind of that word.
    pub fn from_word(word: &str) -> Option<AlertKind> {
        AlertKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }

    /// 1 (a person may be in danger) to 4 (for the record).
    pub const fn severity(self) -> u8 {
        match self {
            AlertKind::Duress | AlertKind::DoorForced => 1,
            AlertKind::Tamper
            | AlertKind::RevokedCard
            | AlertKind::UnknownCard
            | AlertKind::CardShared => 2,
            AlertKind::ExpiredCard
            | AlertKind::WrongPlace
            | AlertKind::OverLimit
            | AlertKind::DoorHeld
            | AlertKind::CameraOffline
            | AlertKind::DoorOffline
            | AlertKind::DiskLow
            | AlertKind::LinkageDown => 3,
            AlertKind::LimitReached | AlertKind::SwipeRejects | AlertKind::ClockSkew => 4,
        }
    }

    /// Does the alert go out at once with `clip: pending`, followed by a second message when the
    /// clip is settled? The others wait for their clip, since most receivers show an alert once.
    pub const fn is_urgent(self) -> bool {
        self.severity() <= 2
    }

    /// Its name for people.
    pub const fn title(self) -> Title {
        let (zh, en) = match self {
            AlertKind::Duress => ("胁迫报警", "duress signal"),
            AlertKind::DoorForced => ("门被强行打开", "door forced open"),
            AlertKind::Tamper => ("门禁设备被拆动", "controller tampered with"),
            AlertKind::UnknownCard => ("未知门禁卡刷卡", "unknown card"),
            AlertKind::RevokedCard => ("已注销或挂失的卡刷卡", "revoked or lost card"),
            AlertKind::ExpiredCard => ("过期卡刷卡", "expired card"),
            AlertKind::WrongPlace => ("非本楼道门禁卡刷卡", "card of another stairwell"),
            AlertKind::CardShared => ("同卡短时异地刷卡", "one card at two distant doors"),
            AlertKind::LimitReached => {
                ("持卡人数已达上限，发卡被拒", "card refused, limit reached")
            }
            AlertKind::OverLimit => ("房屋持卡人数超过上限", "more cardholders than the limit"),
            AlertKind::DoorHeld => ("门长时间未关", "door held open"),
            AlertKind::CameraOffline => ("摄像机离线", "camera offline"),
            AlertKind::DoorOffline => ("门禁控制器离线", "door controller offline"),
            AlertKind::DiskLow => (
                "录像磁盘空间不足或不在线",
                "footage disk low on space or away",
            ),
            AlertKind::LinkageDown => ("联动平台不可达", "linkage down"),
            AlertKind::SwipeRejects => ("无法识别的刷卡数据", "unreadable swipe messages"),
            AlertKind::ClockSkew => ("设备时钟偏差过大", "clock skew"),
        };
        Title { zh, en }
    }
}

/// A kind's name in the two languages of the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Title {
    /// Chinese.
    pub zh: &'static str,
    /// English.
    pub en: &'static str,
}

/// Longest time a routine alert waits for its clip: 20 s of post-roll and 10 s for the last key
/// frame interval and the disk.
pub const CLIP_HOLD_MAX: Duration = Duration::from_secs(30);

/// One alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Derived from its cause, so that the same cause raises it once.
    pub id: AlertId,
    /// 1 when raised; one more with every change that receivers should see.
    pub revision: u32,
    /// What it is about.
    pub kind: AlertKind,
    /// When it was raised.
    pub raised_at: WallTime,
    /// Where.
    pub place: Place,
    /// The door concerned.
    #[serde(default)]
    pub door: Option<DoorId>,
    /// The camera concerned.
    #[serde(default)]
    pub camera: Option<CameraId>,
    /// The entry that raised it.
    #[serde(default)]
    pub entry: Option<EntryId>,
    /// How many occurrences it stands for; at least 1.
    pub count: u32,
    /// What else there is to say, for people: no card number and no name.
    #[serde(default)]
    pub detail: String,
    /// When the condition ended, for those that end (a camera that is back).
    #[serde(default)]
    pub ended_at: Option<WallTime>,
    /// The dwelling concerned, for alerts about a limit. Leaves the building only where a linkage's
    /// `include` asks for dwellings.
    #[serde(default)]
    pub dwelling: Option<DwellingId>,
}

/// Where one alert stands with one linkage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// Waiting: for its clip, or for its next attempt.
    Waiting,
    /// The receiver has taken the newest revision.
    Delivered,
    /// Given up: refused for good, or tried for too long. Can be retried by hand.
    Dead,
}

impl DeliveryState {
    /// The word used in JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            DeliveryState::Waiting => "waiting",
            DeliveryState::Delivered => "delivered",
            DeliveryState::Dead => "dead",
        }
    }
}

/// One alert on its way to one linkage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// What.
    pub alert: AlertId,
    /// To whom.
    pub linkage: LinkageId,
    /// Where it stands.
    pub state: DeliveryState,
    /// When the alert was raised.
    pub raised_at: WallTime,
    /// Place of the raise in the order of all alert changes (`ALERT_FEED`); deliveries of one lane go
    /// out in this order, whatever the wall clock did.
    #[serde(default)]
    pub seq: u64,
    /// Alerts of one lane go out in order: that of their door, else of their camera; empty: of none.
    #[serde(default)]
    pub lane: String,
    /// Severity of the alert, 1 to 4: urgent ones go first.
    #[serde(default)]
    pub severity: u8,
    /// Since when the newest revision waits: its raise, or the last retry by hand. Given up when
    /// this is too long ago.
    pub waiting_since: WallTime,
    /// Newest revision to deliver.
    pub revision: u32,
    /// Newest revision the receiver has taken; 0 before the first.
    pub delivered_revision: u32,
    /// Not to be tried before: the clip hold, then the backoff.
    pub not_before: WallTime,
    /// When the newest revision may go if an older one is taken first; set while there is one.
    #[serde(default)]
    pub next_revision_at: Option<WallTime>,
    /// Attempts since the last success or manual retry.
    pub n_failed: u32,
    /// Attempts ever.
    pub n_attempts: u32,
    /// What the last failed attempt met; for people.
    #[serde(default)]
    pub last_error: Option<String>,
    /// When the newest revision was taken.
    #[serde(default)]
    pub delivered_at: Option<WallTime>,
    /// What the receiver said when it took it: its status and its own reference, if any.
    #[serde(default)]
    pub receipt: Option<String>,
}

/// One step in the life of one alert: raised, or changed so that receivers should see it.
///
/// All steps of all alerts have one order, without a gap at its end: what a reader resumes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertChange {
    /// Which alert.
    pub alert: AlertId,
    /// Its revision after this step. When the alert has a higher one by now, a later step tells it.
    pub revision: u32,
    /// When.
    pub at: WallTime,
}

/// An occurrence that was not raised as an alert of its own but counted in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The alert whose count stands for it.
    pub into: AlertId,
    /// When.
    pub at: WallTime,
}

/// What is remembered of the newest alerts of one door (or camera) and kind, to notice a flood.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flood {
    /// The newest occurrences, oldest first; at most as many as may pass within the window.
    pub recent: Vec<WallTime>,
    /// The alert that was raised last, and when: further ones are counted in it.
    #[serde(default)]
    pub last: Option<Counted>,
    /// The step that told its count last.
    #[serde(default)]
    pub told: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_serde_writes() {
        for kind in AlertKind::ALL {
            let json = serde_json::to_string(&kind).unwrap();
            assert_eq!(json, format!("\"{}\"", kind.as_str()));
            assert_eq!(AlertKind::from_word(kind.as_str()), Some(kind));
            assert!((1..=4).contains(&kind.severity()));
        }
    }
}

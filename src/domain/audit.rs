//! What is recorded of looks, exports, changes and log-ins, and the chain that ties the records together.
//!
//! Each record has the SHA-256 over the one before it and its own text, so that no record can be changed,
//! moved or taken out without every later one giving it away. [`AuditEvent::canonical`] is that text: a
//! JSON array of what lists and exports show, so that anyone can reckon the chain again from an export.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::id::{AlertId, CameraId, CardholderId, EntryId};
use super::place::Place;
use super::role::Actor;
use crate::time::WallTime;

/// Longest reason for a look, in characters.
pub const REASON_CHARS_MAX: usize = 200;
/// Longest target or detail that is recorded, in characters; what a stranger types may be longer.
pub const AUDIT_TEXT_CHARS_MAX: usize = 300;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditAct {
    /// Someone looked at live pictures of a camera.
    Live,
    /// Someone looked at a picture: of a camera, or of a case.
    Picture,
    /// Someone looked at the video of an entry, or took it away.
    Clip,
    /// Someone looked at the small picture of an entry.
    Thumbnail,
    /// Someone looked at the manifest of a clip.
    Manifest,
    /// Someone looked for the entries of a person.
    Person,
    /// Something was taken away as a file.
    Export,
    /// Something was changed.
    Change,
    /// Someone logged in.
    Login,
    /// Someone tried to, and was refused.
    LoginFailed,
    /// Someone logged out, or was.
    Logout,
    /// Records past their retention were removed.
    Prune,
}

impl AuditAct {
    /// Every act, in the order of its listing.
    pub const ALL: [AuditAct; 12] = [
        AuditAct::Live,
        AuditAct::Picture,
        AuditAct::Clip,
        AuditAct::Thumbnail,
        AuditAct::Manifest,
        AuditAct::Person,
        AuditAct::Export,
        AuditAct::Change,
        AuditAct::Login,
        AuditAct::LoginFailed,
        AuditAct::Logout,
        AuditAct::Prune,
    ];

    /// The word used in JSON and exports.
    pub const fn as_str(self) -> &'static str {
        match self {
            AuditAct::Live => "live",
            AuditAct::Picture => "picture",
            AuditAct::Clip => "clip",
            AuditAct::Thumbnail => "thumbnail",
            AuditAct::Manifest => "manifest",
            AuditAct::Person => "person",
            AuditAct::Export => "export",
            AuditAct::Change => "change",
            AuditAct::Login => "login",
            AuditAct::LoginFailed => "login-failed",
            AuditAct::Logout => "logout",
            AuditAct::Prune => "prune",
        }
    }
}

/// Text that is no reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a reason is 1 to {REASON_CHARS_MAX} characters on one line")]
pub struct ReasonError;

/// Why somebody looks: 1 to [`REASON_CHARS_MAX`] characters, on one line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reason(String);

impl Reason {
    /// Checks and takes the text, without spaces around it.
    ///
    /// # Errors
    /// [`ReasonError`].
    pub fn new(text: &str) -> Result<Reason, ReasonError> {
        let text = text.trim();
        let n_chars = text.chars().count();
        if n_chars == 0 || n_chars > REASON_CHARS_MAX || text.chars().any(char::is_control) {
            return Err(ReasonError);
        }
        Ok(Reason(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Reason {
    type Error = ReasonError;

    fn try_from(text: String) -> Result<Reason, ReasonError> {
        Reason::new(&text)
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> String {
        reason.0
    }
}

/// Who did what, when, from where, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// When.
    pub at: WallTime,
    /// Who; `None`: nobody who is known, or the gateway itself.
    pub by: Option<Actor>,
    /// From which address, when that is known.
    pub from: Option<IpAddr>,
    /// What.
    pub act: AuditAct,
    /// On what: an id, or a word such as `roster`.
    pub target: String,
    /// Where that is, if it is anywhere.
    pub place: Option<Place>,
    /// What else there is to say.
    pub detail: String,
    /// Why, in the words of who did it.
    pub reason: Option<Reason>,
    /// For which case.
    pub case: Option<AlertId>,
}

/// A record: an event and its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// What happened.
    pub event: AuditEvent,
    /// The hash of the record before; zeros before the first.
    pub previous: Hash,
    /// SHA-256 over `previous` and the event's text.
    pub hash: Hash,
}

/// A SHA-256.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hash([u8; 32]);

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl AuditEvent {
    /// Something that a command did, on the machine itself.
    pub fn by_command(
        at: WallTime,
        act: AuditAct,
        target: impl Into<String>,
        detail: impl Into<String>,
    ) -> AuditEvent {
        AuditEvent {
            at,
            by: Some(Actor::command_line()),
            from: None,
            act,
            target: target.into(),
            place: None,
            detail: detail.into(),
            reason: None,
            case: None,
        }
    }

    /// What lists and exports show of the record `number`, in the order of an export's columns.
    pub fn columns(&self, number: u64) -> [String; 11] {
        let by = self.by.as_ref();
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        [
            number.to_string(),
            self.at.to_string(),
            text(by.map(|by| by.name.as_str())),
            text(by.map(|by| by.role.as_str())),
            self.from.map(|from| from.to_string()).unwrap_or_default(),
            self.act.as_str().to_owned(),
            self.target.clone(),
            text(self.place.as_ref().map(Place::as_str)),
            self.detail.clone(),
            text(self.reason.as_ref().map(Reason::as_str)),
            self.case.map(|case| case.to_string()).unwrap_or_default(),
        ]
    }

    /// The text that is hashed: the columns as a JSON array of strings.
    pub fn canonical(&self, number: u64) -> String {
        serde_json::json!(self.columns(number)).to_string()
    }
}

impl AuditRecord {
    /// The record `number`, behind the one with the hash `previous`.
    pub fn new(number: u64, event: AuditEvent, previous: Hash) -> AuditRecord {
        AuditRecord {
            hash: hash_of(&event.canonical(number), previous),
            event,
            previous,
        }
    }

    /// Is its hash that of what it says?
    pub fn is_sound(&self, number: u64) -> bool {
        self.hash == hash_of(&self.event.canonical(number), self.previous)
    }
}

/// SHA-256 of the hash before in hexadecimal digits, a line feed, and the text.
fn hash_of(canonical: &str, previous: Hash) -> Hash {
    Hash(Sha256::digest(format!("{previous}\n{canonical}")).into())
}

/// A record as stores before the chain have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldAuditRecord {
    /// When.
    pub at: WallTime,
    /// Who.
    pub by: Actor,
    /// From where, when that is known.
    #[serde(default)]
    pub from: Option<SocketAddr>,
    /// What.
    pub act: OldAuditAct,
}

/// What was done, in an [`OldAuditRecord`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OldAuditAct {
    /// The clip of an entry was taken away as a file.
    ClipTaken {
        /// Of which entry.
        entry: EntryId,
        /// Of which camera.
        #[serde(default)]
        camera: Option<CameraId>,
        /// SHA-256 of the file, 64 hexadecimal digits.
        sha256: String,
    },
    /// A camera was watched live; one record for each viewer, camera and hour.
    LiveSeen {
        /// Which camera.
        camera: CameraId,
        /// The case (an alert's id) that was named as the reason.
        #[serde(default)]
        case: Option<String>,
    },
    /// The newest picture of a camera was seen.
    PictureSeen {
        /// Which camera.
        camera: CameraId,
    },
    /// The entries of one person were searched for.
    PersonSearched {
        /// Of whom.
        holder: CardholderId,
        /// Why, in words.
        #[serde(default)]
        reason: Option<String>,
        /// On account of which case (an alert's id).
        #[serde(default)]
        case: Option<String>,
    },
    /// The roster was taken away as a file, with names and card numbers.
    RosterTaken {
        /// Dwellings in it.
        n_dwellings: usize,
        /// Cards in it.
        n_cards: usize,
    },
    /// The report of all dwellings was taken away as a file.
    ReportTaken {
        /// Dwellings in it.
        n_dwellings: usize,
    },
}

impl From<OldAuditRecord> for AuditEvent {
    fn from(old: OldAuditRecord) -> AuditEvent {
        let said = |reason: Option<String>, case: Option<String>| {
            let words = [reason, case.map(|case| format!("case {case}"))];
            let words: Vec<String> = words.into_iter().flatten().collect();
            words.join(", ")
        };
        let (act, target, detail) = match old.act {
            OldAuditAct::LiveSeen { camera, case } => {
                (AuditAct::Live, camera.to_string(), said(None, case))
            }
            OldAuditAct::PictureSeen { camera } => {
                (AuditAct::Picture, camera.to_string(), String::new())
            }
            OldAuditAct::PersonSearched {
                holder,
                reason,
                case,
            } => (AuditAct::Person, holder.to_string(), said(reason, case)),
            OldAuditAct::ClipTaken {
                entry,
                camera,
                sha256,
            } => {
                let camera = camera
                    .map(|id| format!("camera {id}, "))
                    .unwrap_or_default();
                let detail = format!("{camera}sha256 {sha256}");
                (AuditAct::Clip, entry.to_string(), detail)
            }
            OldAuditAct::RosterTaken {
                n_dwellings,
                n_cards,
            } => {
                let detail = format!("{n_dwellings} dwellings, {n_cards} cards");
                (AuditAct::Export, "roster".to_owned(), detail)
            }
            OldAuditAct::ReportTaken { n_dwellings } => {
                let detail = format!("{n_dwellings} dwellings");
                (AuditAct::Export, "report".to_owned(), detail)
            }
        };
        AuditEvent {
            at: old.at,
            by: Some(old.by),
            from: old.from.map(|from| from.ip()),
            act,
            target,
            place: None,
            detail,
            reason: None,
            case: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::role::{ActorName, Role};

    fn event(target: &str) -> AuditEvent {
        AuditEvent {
            at: WallTime::from_unix_ms(1_800_000_000_000),
            by: Some(Actor {
                name: ActorName::new("li.wei").unwrap(),
                role: Role::DutyOfficer,
            }),
            from: Some("192.0.2.7".parse().unwrap()),
            act: AuditAct::Clip,
            target: target.to_owned(),
            place: Some(Place::new("b03-u2").unwrap()),
            detail: String::new(),
            reason: Some(Reason::new("查看 \"停电\"").unwrap()),
            case: None,
        }
    }

    #[test]
    fn the_hash_is_of_the_hash_before_and_of_what_is_shown() {
        let first = AuditRecord::new(1, event("e1"), Hash::default());
        let text = r#"["1","2027-01-15T08:00:00.000Z","li.wei","duty-officer","192.0.2.7","clip","e1","b03-u2","","查看 \"停电\"",""]"#;
        assert_eq!(first.event.canonical(1), text);
        let expected = Sha256::digest(format!("{}\n{text}", "0".repeat(64)));
        assert_eq!(first.hash.to_string(), hex::encode(expected));
        let second = AuditRecord::new(2, event("e2"), first.hash);
        assert!(second.is_sound(2) && second.previous == first.hash);
    }

    #[test]
    fn every_change_of_a_record_shows() {
        let sound = AuditRecord::new(7, event("e1"), Hash::default());
        assert!(!sound.is_sound(8), "another number");
        let changes: [fn(&mut AuditRecord); 6] = [
            |one| one.event.at = one.event.at.plus(std::time::Duration::from_millis(1)),
            |one| one.event.by = None,
            |one| one.event.act = AuditAct::Live,
            |one| one.event.place = None,
            |one| one.event.reason = None,
            |one| one.previous = Hash([1; 32]),
        ];
        for change in changes {
            let mut changed = sound.clone();
            change(&mut changed);
            assert!(!changed.is_sound(7), "{changed:?}");
        }
    }

    #[test]
    fn a_reason_is_something_on_one_line() {
        assert_eq!(Reason::new("  case 7 ").unwrap().as_str(), "case 7");
        for bad in ["", "   ", "a\nb", &"x".repeat(201)] {
            assert_eq!(Reason::new(bad), Err(ReasonError), "{bad:?}");
        }
    }
}

//! The words of a case: its states, its steps, its tiers, and the texts people add.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::domain::alert::Title;
use crate::domain::role::Role;

/// Longest note, in characters.
pub const NOTE_CHARS_MAX: usize = 500;
/// Longest name of a responsible party, in characters.
pub const PARTY_CHARS_MAX: usize = 64;

/// Where a case stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaseState {
    /// Opened with its alert; nobody has taken note.
    Raised,
    /// Someone in the duty room has taken note.
    Acknowledged,
    /// Sent to a responsible party.
    Dispatched,
    /// The party has taken it on.
    Accepted,
    /// The party has dealt with it.
    Resolved,
    /// The duty room has seen that it is dealt with.
    Verified,
    /// Done.
    Closed,
    /// Done: it was a false alarm.
    Cancelled,
}

impl CaseState {
    /// Every state, in the order of a case's life.
    pub const ALL: [CaseState; 8] = [
        CaseState::Raised,
        CaseState::Acknowledged,
        CaseState::Dispatched,
        CaseState::Accepted,
        CaseState::Resolved,
        CaseState::Verified,
        CaseState::Closed,
        CaseState::Cancelled,
    ];

    /// The word used in JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            CaseState::Raised => "raised",
            CaseState::Acknowledged => "acknowledged",
            CaseState::Dispatched => "dispatched",
            CaseState::Accepted => "accepted",
            CaseState::Resolved => "resolved",
            CaseState::Verified => "verified",
            CaseState::Closed => "closed",
            CaseState::Cancelled => "cancelled",
        }
    }

    /// Is something still to be done?
    pub const fn is_open(self) -> bool {
        !matches!(self, CaseState::Closed | CaseState::Cancelled)
    }

    /// The step that is due next, and has a deadline; `None` when nothing is.
    pub const fn due_step(self) -> Option<StepKind> {
        match self {
            CaseState::Raised => Some(StepKind::Acknowledge),
            CaseState::Acknowledged => Some(StepKind::Dispatch),
            CaseState::Dispatched => Some(StepKind::Accept),
            CaseState::Accepted => Some(StepKind::Resolve),
            CaseState::Resolved => Some(StepKind::Verify),
            CaseState::Verified => Some(StepKind::Close),
            CaseState::Closed | CaseState::Cancelled => None,
        }
    }
}

/// What someone does about a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// Takes note.
    Acknowledge,
    /// Sends it to a responsible party, or to another one.
    Dispatch,
    /// Takes it on.
    Accept,
    /// Says that it is dealt with, and how.
    Resolve,
    /// Has seen that it is.
    Verify,
    /// Ends it.
    Close,
    /// Takes it up again.
    Reopen,
    /// Ends it as a false alarm.
    Cancel,
}

impl StepKind {
    /// Every step, in the order of a case's life.
    pub const ALL: [StepKind; 8] = [
        StepKind::Acknowledge,
        StepKind::Dispatch,
        StepKind::Accept,
        StepKind::Resolve,
        StepKind::Verify,
        StepKind::Close,
        StepKind::Reopen,
        StepKind::Cancel,
    ];
    /// The steps of a case that goes its way: those with a deadline, each once and in this order.
    pub const REGULAR: [StepKind; 6] = [
        StepKind::Acknowledge,
        StepKind::Dispatch,
        StepKind::Accept,
        StepKind::Resolve,
        StepKind::Verify,
        StepKind::Close,
    ];

    /// The word used in paths, JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            StepKind::Acknowledge => "acknowledge",
            StepKind::Dispatch => "dispatch",
            StepKind::Accept => "accept",
            StepKind::Resolve => "resolve",
            StepKind::Verify => "verify",
            StepKind::Close => "close",
            StepKind::Reopen => "reopen",
            StepKind::Cancel => "cancel",
        }
    }

    /// Its name for people.
    pub const fn title(self) -> Title {
        let (zh, en) = match self {
            StepKind::Acknowledge => ("签收", "acknowledge"),
            StepKind::Dispatch => ("派单", "dispatch"),
            StepKind::Accept => ("认领", "accept"),
            StepKind::Resolve => ("办结", "resolve"),
            StepKind::Verify => ("核实", "verify"),
            StepKind::Close => ("归档", "close"),
            StepKind::Reopen => ("重新打开", "reopen"),
            StepKind::Cancel => ("误报撤销", "cancel as false alarm"),
        };
        Title { zh, en }
    }

    /// Who may take it: the duty room every step, the property's people those of the party that
    /// deals with it. Installers and auditors none.
    pub const fn roles(self) -> &'static [Role] {
        match self {
            StepKind::Accept | StepKind::Resolve => {
                &[Role::DutyOfficer, Role::PropertyManager, Role::Admin]
            }
            StepKind::Acknowledge
            | StepKind::Dispatch
            | StepKind::Verify
            | StepKind::Close
            | StepKind::Reopen
            | StepKind::Cancel => &[Role::DutyOfficer, Role::Admin],
        }
    }

    /// Must a note say what or why?
    pub const fn needs_note(self) -> bool {
        matches!(
            self,
            StepKind::Resolve | StepKind::Reopen | StepKind::Cancel
        )
    }
}

/// Who is answerable for a case: it rises when a deadline passes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// The neighbourhood (社区).
    #[default]
    Community,
    /// The subdistrict (街道).
    Street,
    /// The district (区).
    District,
}

impl Tier {
    /// Every tier, lowest first.
    pub const ALL: [Tier; 3] = [Tier::Community, Tier::Street, Tier::District];

    /// The word used in configuration, JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Tier::Community => "community",
            Tier::Street => "street",
            Tier::District => "district",
        }
    }

    /// The tier above; `None` above the district.
    pub const fn above(self) -> Option<Tier> {
        match self {
            Tier::Community => Some(Tier::Street),
            Tier::Street => Some(Tier::District),
            Tier::District => None,
        }
    }
}

/// Text that is empty, too long or not on one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is 1 to {chars_max} characters without control characters")]
pub struct TextError {
    chars_max: usize,
}

fn check_text(text: &str, chars_max: usize) -> Result<String, TextError> {
    let text = text.trim();
    let n_chars = text.chars().count();
    // A note may have lines of its own; nothing else that moves a cursor.
    let is_plain = text.chars().all(|c| !c.is_control() || c == '\n');
    if n_chars == 0 || n_chars > chars_max || !is_plain {
        return Err(TextError { chars_max });
    }
    Ok(text.to_owned())
}

macro_rules! plain_text {
    ($(#[$doc:meta])* $name:ident, $chars_max:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Checks and takes `text`, without the space around it.
            ///
            /// # Errors
            /// [`TextError`] when it is empty, too long or has control characters.
            pub fn new(text: &str) -> Result<$name, TextError> {
                check_text(text, $chars_max).map($name)
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = TextError;
            fn from_str(text: &str) -> Result<$name, TextError> {
                $name::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                $name::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
            }
        }
    };
}

plain_text!(
    /// What someone says about a step: 1 to 500 characters.
    Note,
    NOTE_CHARS_MAX
);
plain_text!(
    /// A responsible party, a person or a unit, by the name people know: 1 to 64 characters.
    Party,
    PARTY_CHARS_MAX
);

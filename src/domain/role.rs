//! Who does something: a named account with one role.
//!
//! Which role may take which step is said where the step is (`domain::case`, the handlers of `web`).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Longest name of an account, in characters.
pub const ACTOR_NAME_CHARS_MAX: usize = 32;

/// What an account may do; each account has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Watches the alert feed and carries cases to their end.
    DutyOfficer,
    /// Keeps dwellings, cardholders and cards.
    PropertyManager,
    /// Sets up cameras, doors and linkages.
    Installer,
    /// Reads everything that is recorded, and changes nothing.
    Auditor,
    /// May do what every other role may.
    Admin,
}

impl Role {
    /// Every role, in the order of their listing.
    pub const ALL: [Role; 5] = [
        Role::DutyOfficer,
        Role::PropertyManager,
        Role::Installer,
        Role::Auditor,
        Role::Admin,
    ];

    /// The word used in JSON, files and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::DutyOfficer => "duty-officer",
            Role::PropertyManager => "property-manager",
            Role::Installer => "installer",
            Role::Auditor => "auditor",
            Role::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a role is duty-officer, property-manager, installer, auditor or admin")]
pub struct RoleError;

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(word: &str) -> Result<Role, RoleError> {
        let found = Role::ALL.into_iter().find(|role| role.as_str() == word);
        found.ok_or(RoleError)
    }
}

/// Text that is no account's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an account's name is 1 to 32 of the characters a-z 0-9 - _ .")]
pub struct ActorNameError;

/// An account's name: 1 to 32 of `a-z 0-9 - _ .`.
///
/// ```
/// use stairgate::domain::role::ActorName;
/// assert!(ActorName::new("li.wei").is_ok());
/// assert!(ActorName::new("Li Wei").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActorName(Arc<str>);

impl ActorName {
    /// Checks and takes the text.
    ///
    /// # Errors
    /// [`ActorNameError`] unless 1 to 32 of the allowed characters.
    pub fn new(text: &str) -> Result<ActorName, ActorNameError> {
        let is_allowed =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
        if text.is_empty() || text.len() > ACTOR_NAME_CHARS_MAX || !text.chars().all(is_allowed) {
            return Err(ActorNameError);
        }
        Ok(ActorName(Arc::from(text)))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ActorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ActorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ActorName {
    type Err = ActorNameError;

    fn from_str(text: &str) -> Result<ActorName, ActorNameError> {
        ActorName::new(text)
    }
}

impl Serialize for ActorName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ActorName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ActorName, D::Error> {
        ActorName::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Who does something, as it is recorded with what was done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Actor {
    /// The account.
    pub name: ActorName,
    /// The role it had then.
    pub role: Role,
}

impl Actor {
    /// Whoever runs a command on the machine: who may do that, may everything.
    pub fn command_line() -> Actor {
        Actor {
            name: ActorName::new("command-line").expect("it is a lower-case word"),
            role: Role::Admin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_its_word_everywhere() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse::<Role>(), Ok(role));
            let json = serde_json::to_string(&role).unwrap();
            assert_eq!(json, format!("\"{role}\""));
        }
        assert_eq!("root".parse::<Role>(), Err(RoleError));
    }

    #[test]
    fn a_name_is_a_short_word_in_lower_case() {
        for good in ["a", "duty-1", "li.wei", "roster_file", &"x".repeat(32)] {
            assert!(ActorName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "Duty", "a b", "a/b", "\u{674e}", &"x".repeat(33)] {
            assert_eq!(ActorName::new(bad), Err(ActorNameError), "{bad}");
        }
    }
}

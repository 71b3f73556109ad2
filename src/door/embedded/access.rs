//! Who may connect to the embedded endpoint, and to which topics.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::domain::id::DoorId;
use crate::door::intake::Intake;
use crate::door::options::DoorCredential;
use crate::door::topics::{Leaf, Topic, filter_matches};

/// Why the log-ins cannot be meant so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// Two with one name.
    #[error("user {username:?} is named twice")]
    Twice {
        /// Which.
        username: String,
    },
    /// No name, or no password.
    #[error("user {username:?} needs a name and a password")]
    Empty {
        /// Which.
        username: String,
    },
}

/// The log-ins.
#[derive(Debug)]
pub(super) struct Access {
    /// By user name.
    users: BTreeMap<String, User>,
    /// May anyone in while there are no users? Only where nobody else can reach us.
    is_local: bool,
}

#[derive(Debug)]
struct User {
    password: Digest256,
    doors: Vec<DoorId>,
}

/// Of a password; never printed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Digest256([u8; 32]);

impl fmt::Debug for Digest256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest256(hidden)")
    }
}

/// What a connection may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rights {
    /// It is on this machine and nobody has a password.
    All,
    /// It logged in.
    Doors {
        /// As whom.
        username: String,
        /// By which password.
        password: Digest256,
        /// For which doors.
        doors: Vec<DoorId>,
    },
}

impl Access {
    pub(super) fn new(
        credentials: &[DoorCredential],
        is_local: bool,
    ) -> Result<Access, CredentialError> {
        let mut users = BTreeMap::new();
        for credential in credentials {
            let username = credential.username.clone();
            if username.is_empty() || credential.password.reveal().is_empty() {
                return Err(CredentialError::Empty { username });
            }
            let user = User {
                password: sha256(credential.password.reveal().as_bytes()),
                doors: credential.doors.clone(),
            };
            if users.insert(username.clone(), user).is_some() {
                return Err(CredentialError::Twice { username });
            }
        }
        Ok(Access { users, is_local })
    }

    /// The rights of whoever says so; `None`: none.
    pub(super) fn log_in(&self, username: Option<&str>, password: Option<&[u8]>) -> Option<Rights> {
        if self.users.is_empty() {
            return self.is_local.then_some(Rights::All);
        }
        let username = username?;
        let user = self.users.get(username)?;
        // Comparing digests tells a guesser nothing of how near it was.
        if sha256(password.unwrap_or_default()) != user.password {
            return None;
        }
        Some(Rights::Doors {
            username: username.to_owned(),
            password: user.password.clone(),
            doors: user.doors.clone(),
        })
    }

    /// Would who has `rights` be given the same today?
    pub(super) fn still_gives(&self, rights: &Rights) -> bool {
        match rights {
            Rights::All => self.users.is_empty() && self.is_local,
            Rights::Doors {
                username,
                password,
                doors,
            } => self
                .users
                .get(username)
                .is_some_and(|user| user.password == *password && user.doors == *doors),
        }
    }
}

impl Rights {
    /// May it publish on `topic`?
    pub(super) fn may_publish(&self, topic: &str, intake: &Intake) -> bool {
        let routes = intake.routes();
        match intake.topics.read(topic) {
            Topic::Door { door, leaf } => {
                matches!(leaf, Leaf::Swipe | Leaf::State | Leaf::Status) && self.has(&door)
            }
            Topic::GatewayStatus => false,
            Topic::Other => match self {
                Rights::All => routes.shared_topics().any(|shared| shared == topic),
                Rights::Doors { doors, .. } => doors
                    .iter()
                    .filter_map(|door| routes.shared_topic_of(door))
                    .any(|shared| shared == topic),
            },
        }
    }

    /// The topics below `filter` that it may read; none: the subscription is refused.
    pub(super) fn readable(&self, filter: &str, intake: &Intake) -> Vec<String> {
        let routes = intake.routes();
        let doors: Vec<&DoorId> = match self {
            Rights::All => routes.doors().collect(),
            Rights::Doors { doors, .. } => doors.iter().collect(),
        };
        let to_door = [Leaf::Decision, Leaf::Cards];
        let own = doors
            .into_iter()
            .flat_map(|door| to_door.map(|leaf| intake.topics.door(door, leaf)));
        own.chain([intake.topics.gateway_status()])
            .filter(|topic| filter_matches(filter, topic))
            .collect()
    }

    /// As whom it logged in.
    pub(super) fn username(&self) -> Option<&str> {
        match self {
            Rights::All => None,
            Rights::Doors { username, .. } => Some(username),
        }
    }

    fn has(&self, door: &DoorId) -> bool {
        match self {
            // Also of a door that is not configured: it is rejected with its reason.
            Rights::All => true,
            Rights::Doors { doors, .. } => doors.contains(door),
        }
    }
}

fn sha256(bytes: &[u8]) -> Digest256 {
    Digest256(Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::secret::Secret;

    fn credential(username: &str, password: &str) -> DoorCredential {
        DoorCredential {
            username: username.to_owned(),
            password: Secret::new(password),
            doors: vec![DoorId::new("d1").unwrap()],
        }
    }

    #[test]
    fn a_log_in_needs_its_own_password() {
        let access = Access::new(&[credential("a", "one"), credential("b", "two")], true).unwrap();
        let rights = access.log_in(Some("a"), Some(b"one")).unwrap();
        assert_eq!(rights.username(), Some("a"));
        for (username, password) in [
            (Some("a"), Some(&b"two"[..])),
            (Some("a"), Some(b"")),
            (Some("a"), None),
            (Some("c"), Some(b"one")),
            (None, Some(b"one")),
            (None, None),
        ] {
            assert_eq!(access.log_in(username, password), None, "{username:?}");
        }
        let open = Access::new(&[], true).unwrap();
        assert_eq!(open.log_in(None, None), Some(Rights::All));
        let reachable = Access::new(&[], false).unwrap();
        assert_eq!(reachable.log_in(None, None), None);
    }

    #[test]
    fn rights_end_with_the_log_in_that_gave_them() {
        let before = Access::new(&[credential("a", "one")], true).unwrap();
        let rights = before.log_in(Some("a"), Some(b"one")).unwrap();
        assert!(before.still_gives(&rights));
        let mut wider = credential("a", "one");
        wider.doors.push(DoorId::new("d2").unwrap());
        for after in [
            vec![],
            vec![credential("a", "two")],
            vec![credential("b", "one")],
            vec![wider],
        ] {
            let after = Access::new(&after, true).unwrap();
            assert!(!after.still_gives(&rights), "{after:?}");
        }
        assert!(!before.still_gives(&Rights::All));
        assert!(!format!("{before:?}").contains("one"));
    }

    #[test]
    fn log_ins_that_cannot_be_meant_are_refused() {
        for (credentials, part) in [
            (vec![credential("a", "x"), credential("a", "y")], "twice"),
            (vec![credential("", "x")], "needs a name"),
            (vec![credential("a", "")], "needs a name"),
        ] {
            let err = Access::new(&credentials, true).unwrap_err();
            assert!(err.to_string().contains(part), "{err}");
        }
    }
}

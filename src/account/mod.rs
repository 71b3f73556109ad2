//! Accounts of people and programs: a name, a role, buildings it may be limited to, a password for the
//! console, and bearer tokens for programs.
//!
//! They lie in one small file, and not in the store, so that `stairgate user` works while the gateway
//! runs and the store is locked; the gateway looks at the file again within [`LOOK_AGAIN`], so taking
//! a token or a role away needs no restart. Tokens, links and sessions are 256 random bits and kept as
//! their SHA-256 only, passwords as argon2id: nothing in the file lets anyone in.

mod book;
mod manage;
mod password;
mod session;
mod throttle;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tracing::error;

use crate::domain::right::{Scope, ScopeError};
use crate::domain::role::{Actor, ActorName, Role};
use crate::error::chain;
use crate::time::WallTime;
use book::{Book, FILE_VERSION, Line, Stamp, TOLD_MAX};

pub use book::{AccountsFile, Told};
pub use manage::{
    INVITE_LIFE, accept_invite, add, forget_told, list, make_invite, make_setup, make_token,
    remove, remove_unless_last, set_buildings, set_password, set_rights, set_role, within,
};
pub use password::{PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN, PasswordError, check_password};
pub use session::{SESSION_IDLE_MAX, SESSION_LIFE_MAX, Session, SessionKey, SessionView, Sessions};
pub use throttle::Throttle;

/// How soon a change of the file is noticed.
pub const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Tokens that one account may have at once: a person's programs, each with its own.
pub const TOKENS_MAX: usize = 16;
/// Accounts in the file, at most; a compound has a few dozen.
pub const ACCOUNTS_MAX: usize = 1_000;

/// Why accounts cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The file or its folder cannot be used.
    #[error("use the accounts file {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not what we write.
    #[error("read the accounts file {path} (restore it, or remove it and make new tokens)")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A newer program wrote it.
    #[error("the accounts file {path} has version {found}, this program knows {FILE_VERSION}")]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// There is no such account.
    #[error("there is no account {0} (see `stairgate user list`)")]
    Unknown(ActorName),
    /// There is such an account already.
    #[error("there is an account {0} already")]
    Exists(ActorName),
    /// The account has another role.
    #[error("account {name} is {is}, not {asked} (change it with `stairgate user role`)")]
    OtherRole {
        /// The account.
        name: ActorName,
        /// Its role.
        is: Role,
        /// The role that was asked for.
        asked: Role,
    },
    /// The account has as many tokens as it may.
    #[error("account {0} has {TOKENS_MAX} tokens (`stairgate user remove` takes them all away)")]
    TooManyTokens(ActorName),
    /// There are as many accounts as there may be.
    #[error("there are {ACCOUNTS_MAX} accounts already")]
    TooManyAccounts,
    /// Commands did much while no gateway ran.
    #[error("{TOLD_MAX} changes wait for the audit (start the gateway, which takes them into it)")]
    TooManyTold,
    /// It is the last admin with a password.
    #[error("{0} is the last admin who can log in (make another one first)")]
    LastAdmin(ActorName),
    /// The buildings cannot limit an account.
    #[error("{0}")]
    Scope(ScopeError),
    /// The password is not taken.
    #[error("{0}")]
    Password(PasswordError),
    /// The link is not good.
    #[error("this link is unknown, used or older than a day (ask for a new one)")]
    NoInvite,
    /// The link of the first start makes an account, which needs a name.
    #[error("choose a name for the first admin: 1 to 32 of the characters a-z 0-9 - _ .")]
    NameNeeded,
    /// The system gives no randomness.
    #[error("draw random bytes")]
    Random,
}

/// An account as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: ActorName,
    /// Its role.
    pub role: Role,
    /// The buildings it is limited to; `None`: everywhere.
    pub buildings: Option<BTreeSet<String>>,
    /// Can its owner log in?
    pub has_password: bool,
    /// When each of its tokens was made, oldest first.
    pub tokens_made_at: Vec<WallTime>,
}

/// Who a credential belongs to, and where that account may do what its role may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The account and its role.
    pub actor: Actor,
    /// Where.
    pub scope: Scope,
}

/// A token as it is kept while its holder is watched: its digest, which lets nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Of the token as it is sent.
    pub fn of(token: &str) -> TokenDigest {
        TokenDigest(digest(token))
    }
}

/// The accounts as a running gateway sees them. Cheap to clone; clones share what was read.
#[derive(Clone, Debug)]
pub struct Accounts {
    path: Arc<Path>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    looked_at: Option<Instant>,
    stamp: Option<Stamp>,
    by_token: HashMap<TokenDigest, Holder>,
    by_name: HashMap<ActorName, Known>,
    told: Vec<Told>,
}

/// What is known of an account that may log in.
#[derive(Clone, Debug)]
struct Known {
    holder: Holder,
    /// Its hash, and when it was set.
    password: Option<(Arc<str>, WallTime)>,
}

impl Accounts {
    /// The accounts in the file at `path`; without the file there are none yet.
    pub fn at(path: &Path) -> Accounts {
        Accounts {
            path: Arc::from(path),
            seen: Arc::default(),
        }
    }

    /// Where they are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who holds `token`. A file that cannot be read lets nobody in, and the log says why.
    ///
    /// Reads a small file only when it has changed; asks whether it has once every [`LOOK_AGAIN`], and for a
    /// token that is not known.
    pub fn holder_of(&self, token: &str) -> Option<Holder> {
        self.holder_by(TokenDigest::of(token))
    }

    /// The same by a token's digest.
    pub fn holder_by(&self, token: TokenDigest) -> Option<Holder> {
        // A look-up by the digest of 256 random bits tells a guesser nothing by its time.
        let known = |seen: &Seen| seen.by_token.get(&token).cloned();
        self.with_seen(known).or_else(|| {
            // It may have been made a moment ago: whoever was handed it uses it at once.
            self.look_now();
            self.with_seen(known)
        })
    }

    /// The account `name`.
    pub fn holder_named(&self, name: &ActorName) -> Option<Holder> {
        self.with_seen(|seen| Some(seen.by_name.get(name)?.holder.clone()))
    }

    /// The account `name`, and when its password was set, if it can log in.
    fn with_password(&self, name: &ActorName) -> Option<(Holder, WallTime)> {
        self.with_seen(|seen| {
            let known = seen.by_name.get(name)?;
            let (_, set_at) = known.password.as_ref()?;
            Some((known.holder.clone(), *set_at))
        })
    }

    /// Can anybody log in yet?
    pub fn is_set_up(&self) -> bool {
        self.with_seen(|seen| seen.by_name.values().any(|known| known.password.is_some()))
    }

    /// Whose name and password this is. Blocks for the hash, equally long for a name that nobody has.
    pub fn log_in(&self, name: &str, password: &str) -> Option<Holder> {
        let name = ActorName::new(name).ok();
        let known = name.and_then(|name| self.with_seen(|seen| seen.by_name.get(&name).cloned()));
        let kept = known.as_ref().and_then(|known| known.password.clone());
        let is_right = password.len() <= PASSWORD_BYTES_MAX
            && password::is_right(password, kept.as_ref().map(|(hash, _)| hash.as_ref()));
        known.filter(|_| is_right).map(|known| known.holder)
    }

    /// What commands did and the audit does not have yet.
    pub fn told(&self) -> Vec<Told> {
        self.with_seen(|seen| seen.told.clone())
    }

    /// Looks at the file at once: for who has just changed it.
    pub fn look_now(&self) {
        let mut seen = self.seen.lock();
        seen.looked_at = Some(Instant::now());
        self.look(&mut seen);
    }

    fn with_seen<T>(&self, read: impl FnOnce(&Seen) -> T) -> T {
        let mut seen = self.seen.lock();
        let now = Instant::now();
        let is_due = |at: Instant| now.saturating_duration_since(at) >= LOOK_AGAIN;
        if seen.looked_at.is_none_or(is_due) {
            seen.looked_at = Some(now);
            self.look(&mut seen);
        }
        read(&seen)
    }

    fn look(&self, seen: &mut Seen) {
        let stamp = book::stamp_of(&self.path);
        if stamp == seen.stamp {
            return;
        }
        seen.stamp = stamp;
        let book = book::read(&self.path).unwrap_or_else(|err| {
            error!(error = %chain(&err), "accounts cannot be read, so nobody is let in");
            Book::default()
        });
        seen.by_token.clear();
        seen.by_name.clear();
        seen.told.clone_from(&book.told);
        for (name, line) in &book.accounts {
            if let Some(holder) = holder(name, line) {
                seen.add(holder, line);
            }
        }
    }
}

impl Seen {
    fn add(&mut self, holder: Holder, line: &Line) {
        for token in &line.tokens {
            let mut sha256 = [0; 32];
            if hex::decode_to_slice(&token.sha256, &mut sha256).is_ok() {
                self.by_token.insert(TokenDigest(sha256), holder.clone());
            }
        }
        let password = line.password.as_ref();
        let password = password.map(|kept| (Arc::from(kept.argon2.as_str()), kept.set_at));
        let name = holder.actor.name.clone();
        self.by_name.insert(name, Known { holder, password });
    }
}

fn holder(name: &ActorName, line: &Line) -> Option<Holder> {
    let scope = match Scope::of(line.buildings.clone()) {
        Ok(scope) => scope,
        Err(err) => {
            error!(account = %name, error = %err, "account has no scope, so it is not let in");
            return None;
        }
    };
    let actor = Actor {
        name: name.clone(),
        role: line.role,
    };
    Some(Holder { actor, scope })
}

fn random<const N: usize>() -> Result<[u8; N], AccountError> {
    let mut bytes = [0; N];
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .or(Err(AccountError::Random))?;
    Ok(bytes)
}

/// A random password that people can type: four times five letters and digits, without those that look
/// alike; 100 bits.
///
/// # Errors
/// [`AccountError::Random`].
pub fn new_password() -> Result<String, AccountError> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let bytes = random::<20>()?;
    let letter = |byte: &u8| {
        LETTERS
            .get(usize::from(byte % 32))
            .copied()
            .map_or('x', char::from)
    };
    let groups: Vec<String> = bytes
        .chunks(5)
        .map(|group| group.iter().map(letter).collect())
        .collect();
    Ok(groups.join("-"))
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests;

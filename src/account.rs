//! Accounts of people and programs: a name, a role, and the bearer tokens that prove it.
//!
//! They lie in one small file, and not in the store, so that `stairgate user` works while the gateway
//! runs and the store is locked; the gateway looks at the file again within [`LOOK_AGAIN`], so taking
//! a token or a role away needs no restart. A token is 256 random bits and kept as its SHA-256 only:
//! nothing in the file lets anyone in. Not here: passwords and sessions of the console.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tracing::{error, info};

use crate::domain::right::Scope;
use crate::domain::role::{Actor, ActorName, Role};
use crate::domain::secret::Secret;
use crate::error::chain;
use crate::file::{folder_of, replace_private};
use crate::time::WallTime;

/// How soon a change of the file is noticed.
pub const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Tokens that one account may have at once: a person's programs, each with its own.
pub const TOKENS_MAX: usize = 16;
/// Accounts in the file, at most; a compound has a few dozen.
pub const ACCOUNTS_MAX: usize = 1_000;
/// With this every token begins, so that one that leaks is recognised.
const TOKEN_PREFIX: &str = "stairgate_";
const TOKEN_BYTES: usize = 32;
/// Largest file read: all accounts with all tokens fit.
const FILE_BYTES_MAX: u64 = 8 << 20;
const FILE_VERSION: u32 = 1;

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
    /// The system gives no randomness.
    #[error("draw random bytes for a token")]
    Random,
}

/// An account as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: ActorName,
    /// Its role.
    pub role: Role,
    /// When each of its tokens was made, oldest first.
    pub tokens_made_at: Vec<WallTime>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Book {
    version: u32,
    accounts: BTreeMap<ActorName, Line>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Line {
    role: Role,
    /// Where it may; absent: everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    buildings: Option<BTreeSet<String>>,
    tokens: Vec<TokenLine>,
}

/// Who a token belongs to, and where that account may do what its role may.
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

#[derive(Clone, Debug, Serialize, Deserialize)]
struct TokenLine {
    /// Of the whole token as the client sends it, in hexadecimal digits.
    sha256: String,
    made_at: WallTime,
}

/// What tells one state of the file from another: device, inode, size, modification in ns.
type Stamp = (u64, u64, u64, i64, i64);

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
}

impl Accounts {
    /// The accounts in the file at `path`; without the file there are none yet.
    pub fn at(path: &Path) -> Accounts {
        Accounts {
            path: Arc::from(path),
            seen: Arc::default(),
        }
    }

    /// Who holds `token`. A file that cannot be read lets nobody in, and the log says why.
    ///
    /// Reads a small file at most once every [`LOOK_AGAIN`], and only when it has changed.
    pub fn holder_of(&self, token: &str) -> Option<Holder> {
        self.holder_by(TokenDigest::of(token))
    }

    /// The same by a token's digest.
    pub fn holder_by(&self, token: TokenDigest) -> Option<Holder> {
        let mut seen = self.seen.lock();
        let now = Instant::now();
        let is_due = |at: Instant| now.saturating_duration_since(at) >= LOOK_AGAIN;
        if seen.looked_at.is_none_or(is_due) {
            seen.looked_at = Some(now);
            self.look(&mut seen);
        }
        // A look-up by the digest of 256 random bits tells a guesser nothing by its time.
        seen.by_token.get(&token).cloned()
    }

    fn look(&self, seen: &mut Seen) {
        let stamp = stamp_of(&self.path);
        if stamp == seen.stamp {
            return;
        }
        seen.stamp = stamp;
        seen.by_token = match read(&self.path) {
            Ok(book) => by_token(&book),
            Err(err) => {
                error!(error = %chain(&err), "accounts cannot be read, so nobody is let in");
                HashMap::new()
            }
        };
    }
}

/// Makes a token for the account `name`, and the account itself when it is new. This is the only
/// moment at which the token can be seen.
///
/// # Errors
/// [`AccountError`]; an account of another role is left as it is.
pub fn make_token(
    path: &Path,
    name: &ActorName,
    role: Role,
    now: WallTime,
) -> Result<Secret, AccountError> {
    let token = new_token()?;
    change(path, |book| {
        let n_accounts = book.accounts.len();
        let line = book.accounts.entry(name.clone()).or_insert(Line {
            role,
            buildings: None,
            tokens: Vec::new(),
        });
        if line.role != role {
            return Err(AccountError::OtherRole {
                name: name.clone(),
                is: line.role,
                asked: role,
            });
        }
        if line.tokens.is_empty() && n_accounts >= ACCOUNTS_MAX {
            return Err(AccountError::TooManyAccounts);
        }
        if line.tokens.len() >= TOKENS_MAX {
            return Err(AccountError::TooManyTokens(name.clone()));
        }
        line.tokens.push(TokenLine {
            sha256: hex::encode(digest(token.reveal())),
            made_at: now,
        });
        Ok(())
    })?;
    info!(account = %name, %role, "token made");
    Ok(token)
}

/// Gives the account another role; its tokens stay.
///
/// # Errors
/// [`AccountError::Unknown`] and what the file can be.
pub fn set_role(path: &Path, name: &ActorName, role: Role) -> Result<(), AccountError> {
    change(path, |book| {
        let line = book.accounts.get_mut(name);
        line.ok_or_else(|| AccountError::Unknown(name.clone()))?
            .role = role;
        Ok(())
    })
}

/// Removes the account and all its tokens.
///
/// # Errors
/// [`AccountError::Unknown`] and what the file can be.
pub fn remove(path: &Path, name: &ActorName) -> Result<(), AccountError> {
    change(path, |book| {
        let gone = book.accounts.remove(name);
        gone.map(drop)
            .ok_or_else(|| AccountError::Unknown(name.clone()))
    })
}

/// Every account, by name.
///
/// # Errors
/// [`AccountError`] when the file cannot be read.
pub fn list(path: &Path) -> Result<Vec<Account>, AccountError> {
    let book = read(path)?;
    let accounts = book.accounts.into_iter().map(|(name, line)| Account {
        name,
        role: line.role,
        tokens_made_at: line.tokens.into_iter().map(|token| token.made_at).collect(),
    });
    Ok(accounts.collect())
}

/// Changes the file as one: a lock on its folder keeps two commands from undoing each other.
fn change(
    path: &Path,
    change: impl FnOnce(&mut Book) -> Result<(), AccountError>,
) -> Result<(), AccountError> {
    let io = |source| AccountError::Io {
        path: path.to_owned(),
        source,
    };
    let folder = folder_of(path);
    std::fs::create_dir_all(folder).map_err(io)?;
    let lock = File::open(folder).map_err(io)?;
    lock.lock().map_err(io)?;
    let mut book = read(path)?;
    change(&mut book)?;
    let bytes = serde_json::to_vec_pretty(&book).map_err(|source| AccountError::Malformed {
        path: path.to_owned(),
        source,
    })?;
    replace_private(path, &bytes).map_err(io)
}

fn read(path: &Path) -> Result<Book, AccountError> {
    let io = |source| AccountError::Io {
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(err) if err.kind() == ErrorKind::NotFound => {
            return Ok(Book {
                version: FILE_VERSION,
                ..Book::default()
            });
        }
        Err(err) => return Err(io(err)),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    let book: Book = serde_json::from_slice(&bytes).map_err(|source| AccountError::Malformed {
        path: path.to_owned(),
        source,
    })?;
    if book.version > FILE_VERSION {
        return Err(AccountError::TooNew {
            path: path.to_owned(),
            found: book.version,
        });
    }
    Ok(book)
}

fn by_token(book: &Book) -> HashMap<TokenDigest, Holder> {
    let mut found = HashMap::new();
    for (name, line) in &book.accounts {
        let scope = match Scope::of(line.buildings.clone()) {
            Ok(scope) => scope,
            Err(err) => {
                error!(account = %name, error = %err, "account has no scope, so it is not let in");
                continue;
            }
        };
        let actor = Actor {
            name: name.clone(),
            role: line.role,
        };
        let holder = Holder { actor, scope };
        for token in &line.tokens {
            let mut sha256 = [0; 32];
            if hex::decode_to_slice(&token.sha256, &mut sha256).is_ok() {
                found.insert(TokenDigest(sha256), holder.clone());
            }
        }
    }
    found
}

fn stamp_of(path: &Path) -> Option<Stamp> {
    let meta = std::fs::metadata(path).ok()?;
    Some((
        meta.dev(),
        meta.ino(),
        meta.size(),
        meta.mtime(),
        meta.mtime_nsec(),
    ))
}

fn new_token() -> Result<Secret, AccountError> {
    let mut bytes = [0; TOKEN_BYTES];
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .or(Err(AccountError::Random))?;
    Ok(Secret::new(format!("{TOKEN_PREFIX}{}", hex::encode(bytes))))
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ActorName {
        ActorName::new(text).unwrap()
    }

    fn now() -> WallTime {
        WallTime::from_unix_ms(1_800_000_000_000)
    }

    fn new_file() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts.json");
        (folder, path)
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_names_its_account_until_it_is_taken_away() {
        let (_folder, path) = new_file();
        let accounts = Accounts::at(&path);
        assert_eq!(accounts.holder_of("stairgate_00"), None);

        let token = make_token(&path, &name("li.wei"), Role::DutyOfficer, now()).unwrap();
        tokio::time::advance(LOOK_AGAIN).await;
        let actor = accounts.holder_of(token.reveal()).unwrap().actor;
        assert_eq!(
            (actor.name.as_str(), actor.role),
            ("li.wei", Role::DutyOfficer)
        );

        set_role(&path, &name("li.wei"), Role::Auditor).unwrap();
        tokio::time::advance(LOOK_AGAIN).await;
        assert_eq!(
            accounts.holder_of(token.reveal()).unwrap().actor.role,
            Role::Auditor
        );

        remove(&path, &name("li.wei")).unwrap();
        tokio::time::advance(LOOK_AGAIN).await;
        assert_eq!(accounts.holder_of(token.reveal()), None);
        assert!(matches!(
            remove(&path, &name("li.wei")),
            Err(AccountError::Unknown(_))
        ));
    }

    #[test]
    fn the_file_holds_no_token() {
        let (_folder, path) = new_file();
        let token = make_token(&path, &name("hall"), Role::Admin, now()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let random = token.reveal().strip_prefix(TOKEN_PREFIX).unwrap();
        assert_eq!(random.len(), 64);
        assert!(text.contains("hall") && !text.contains(random));
    }

    #[tokio::test(start_paused = true)]
    async fn a_damaged_file_lets_nobody_in_and_is_not_overwritten() {
        let (_folder, path) = new_file();
        let token = make_token(&path, &name("hall"), Role::Admin, now()).unwrap();
        let accounts = Accounts::at(&path);
        assert!(accounts.holder_of(token.reveal()).is_some());
        std::fs::write(&path, "{\"version\":1,").unwrap();
        tokio::time::advance(LOOK_AGAIN).await;
        assert_eq!(accounts.holder_of(token.reveal()), None);
        let err = make_token(&path, &name("hall"), Role::Admin, now()).unwrap_err();
        assert!(matches!(err, AccountError::Malformed { .. }), "{err}");
        std::fs::write(&path, "{\"version\":2,\"accounts\":{}}").unwrap();
        let err = list(&path).unwrap_err();
        assert!(
            matches!(err, AccountError::TooNew { found: 2, .. }),
            "{err}"
        );
    }

    #[test]
    fn a_role_is_changed_on_purpose_only_and_tokens_are_bounded() {
        let (_folder, path) = new_file();
        let hall = name("hall");
        for _ in 0..TOKENS_MAX {
            make_token(&path, &hall, Role::Admin, now()).unwrap();
        }
        let err = make_token(&path, &hall, Role::Admin, now()).unwrap_err();
        assert!(matches!(err, AccountError::TooManyTokens(_)), "{err}");
        let err = make_token(&path, &hall, Role::Auditor, now()).unwrap_err();
        assert!(matches!(err, AccountError::OtherRole { .. }), "{err}");
        let listed = list(&path).unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].tokens_made_at.len(), TOKENS_MAX);
    }

    #[test]
    fn commands_at_the_same_time_undo_nothing() {
        let (_folder, path) = new_file();
        std::thread::scope(|scope| {
            for n in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    make_token(path, &name(&format!("p{n}")), Role::Auditor, now()).unwrap();
                });
            }
        });
        assert_eq!(list(&path).unwrap().len(), 8);
    }
}

//! The file of accounts: read whole, changed as one, noticed when it changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::AccountError;
use crate::domain::audit::AUDIT_TEXT_CHARS_MAX;
use crate::domain::role::{ActorName, Role};
use crate::file::{folder_of, replace_private};
use crate::time::WallTime;

/// Largest file read: all accounts with all tokens fit.
const FILE_BYTES_MAX: u64 = 8 << 20;
/// Changes that may wait for the audit; a gateway takes them within a second.
pub(super) const TOLD_MAX: usize = 1_000;
/// Version 1 had tokens only.
pub(super) const FILE_VERSION: u32 = 2;

/// The file's content.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Book {
    version: u32,
    /// The link by which the first account with a password is made; gone once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) setup: Option<InviteLine>,
    pub(super) accounts: BTreeMap<ActorName, Line>,
    /// What commands did, until it stands in the audit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) told: Vec<Told>,
}

/// A change that a command made: it cannot reach the audit, which is in the store of a running gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// When.
    pub at: WallTime,
    /// Whose account.
    pub account: ActorName,
    /// What, in the words of the audit.
    pub what: String,
}

/// The accounts file, and whether who changes it tells the audit.
#[derive(Clone, Copy, Debug)]
pub struct AccountsFile<'p> {
    path: &'p Path,
    by_command_at: Option<WallTime>,
}

impl<'p> AccountsFile<'p> {
    /// Changed by a command at `now`: each change is kept in the file until a gateway has taken it into the
    /// audit ([`super::Accounts::told`]).
    pub fn by_command(path: &'p Path, now: WallTime) -> AccountsFile<'p> {
        AccountsFile {
            path,
            by_command_at: Some(now),
        }
    }

    /// Changes the account `name` as `work` does; `what` says so to the audit.
    pub(super) fn change<T>(
        self,
        name: &ActorName,
        what: impl Into<String>,
        work: impl FnOnce(&mut Book) -> Result<T, AccountError>,
    ) -> Result<T, AccountError> {
        change(self.path, |book| {
            let done = work(book)?;
            if let Some(at) = self.by_command_at {
                if book.told.len() >= TOLD_MAX {
                    return Err(AccountError::TooManyTold);
                }
                book.told.push(Told {
                    at,
                    account: name.clone(),
                    what: what.into().chars().take(AUDIT_TEXT_CHARS_MAX).collect(),
                });
            }
            Ok(done)
        })
    }
}

/// Of a gateway, which records changes itself.
impl<'p, P: AsRef<Path> + ?Sized> From<&'p P> for AccountsFile<'p> {
    fn from(path: &'p P) -> AccountsFile<'p> {
        AccountsFile {
            path: path.as_ref(),
            by_command_at: None,
        }
    }
}

/// One account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) role: Role,
    /// Where it may; absent: everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) buildings: Option<BTreeSet<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) password: Option<PasswordLine>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) invite: Option<InviteLine>,
    pub(super) tokens: Vec<TokenLine>,
}

/// A password.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PasswordLine {
    /// Its argon2id hash, as a PHC string.
    pub(super) argon2: String,
    pub(super) set_at: WallTime,
}

/// A link that was given out, for one use.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct InviteLine {
    pub(super) sha256: String,
    pub(super) expires_at: WallTime,
}

/// A bearer token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct TokenLine {
    /// Of the whole token as the client sends it, in hexadecimal digits.
    pub(super) sha256: String,
    pub(super) made_at: WallTime,
}

impl Line {
    /// An account that cannot be used yet.
    pub(super) fn new(role: Role, buildings: Option<BTreeSet<String>>) -> Line {
        Line {
            role,
            buildings,
            password: None,
            invite: None,
            tokens: Vec::new(),
        }
    }
}

impl Book {
    /// Can anybody log in?
    pub(super) fn has_password(&self) -> bool {
        self.accounts.values().any(|line| line.password.is_some())
    }
}

/// What tells one state of the file from another: device, inode, size, modification in ns.
pub(super) type Stamp = (u64, u64, u64, i64, i64);

pub(super) fn stamp_of(path: &Path) -> Option<Stamp> {
    let meta = std::fs::metadata(path).ok()?;
    Some((
        meta.dev(),
        meta.ino(),
        meta.size(),
        meta.mtime(),
        meta.mtime_nsec(),
    ))
}

/// Changes the file as one: a lock on its folder keeps two commands from undoing each other.
pub(super) fn change<T>(
    path: &Path,
    change: impl FnOnce(&mut Book) -> Result<T, AccountError>,
) -> Result<T, AccountError> {
    let io = |source| AccountError::Io {
        path: path.to_owned(),
        source,
    };
    let folder = folder_of(path);
    std::fs::create_dir_all(folder).map_err(io)?;
    let lock = File::open(folder).map_err(io)?;
    lock.lock().map_err(io)?;
    let mut book = read(path)?;
    let done = change(&mut book)?;
    book.version = FILE_VERSION;
    let bytes = serde_json::to_vec_pretty(&book).map_err(|source| AccountError::Malformed {
        path: path.to_owned(),
        source,
    })?;
    replace_private(path, &bytes).map_err(io)?;
    Ok(done)
}

pub(super) fn read(path: &Path) -> Result<Book, AccountError> {
    let io = |source| AccountError::Io {
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(Book::default()),
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

//! The ledger's key on disk: 32 random bytes that personal fields are sealed with, and while it is being
//! replaced the one before it, in a file of the same name with `.old` appended.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use crate::file::{folder_of, replace_private};

const KEY_BYTES: usize = 32;

/// Why there is no ledger key.
#[derive(Debug, thiserror::Error)]
pub enum LedgerKeyError {
    /// The key is gone but records are sealed with it.
    #[error(
        "the ledger key {file} is missing, and names and card numbers in the store are sealed with \
         it: restore it from the backup"
    )]
    Lost {
        /// Where it should be.
        file: PathBuf,
    },
    /// The key is another than the records are sealed with.
    #[error(
        "the ledger key {file} is not the one that the store is sealed with, and {file}.old is not \
         either: restore the key from the backup"
    )]
    Wrong {
        /// The file.
        file: PathBuf,
    },
    /// The file is no key.
    #[error("the ledger key {file} has not 32 bytes: restore it from the backup")]
    Malformed {
        /// The file.
        file: PathBuf,
    },
    /// A key was replaced before, and the old one still lies there.
    #[error(
        "{file} is there from the last rotation: move it to where the old backups are, then rotate"
    )]
    OldThere {
        /// The old key's file.
        file: PathBuf,
    },
    /// It cannot be read or made.
    #[error("use the ledger key {file}")]
    Io {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The system gives no randomness.
    #[error("draw 32 random bytes for the ledger key")]
    Random,
}

/// The keys that are there.
#[derive(Clone)]
pub struct LedgerKeys {
    /// What is sealed from now on.
    pub(super) current: [u8; KEY_BYTES],
    /// What may still be sealed with.
    pub(super) old: Option<[u8; KEY_BYTES]>,
}

impl fmt::Debug for LedgerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LedgerKeys(hidden)")
    }
}

impl LedgerKeys {
    /// A key without a file; for tests and rehearsals.
    pub const fn of(current: [u8; KEY_BYTES]) -> LedgerKeys {
        LedgerKeys { current, old: None }
    }

    /// Reads the key at `file` and the old one beside it. Without either, a key is made (mode 0600,
    /// durable) unless `is_in_use`, that is, unless records are sealed already. With only an old one, a
    /// rotation was interrupted, and it is completed.
    ///
    /// # Errors
    /// [`LedgerKeyError`]; a lost key is never replaced silently.
    pub fn open(file: &Path, is_in_use: bool) -> Result<LedgerKeys, LedgerKeyError> {
        let old = read(&old_file(file))?;
        if let Some(current) = read(file)? {
            return Ok(LedgerKeys { current, old });
        }
        if old.is_none() && is_in_use {
            return Err(LedgerKeyError::Lost {
                file: file.to_owned(),
            });
        }
        let current = make(file)?;
        info!(path = %file.display(), "ledger key made; keep it with the store's backup");
        Ok(LedgerKeys { current, old })
    }

    /// Puts a new key in the place of the one at `file`, which becomes the old one. At whatever point
    /// the power goes, [`LedgerKeys::open`] finds what it needs.
    ///
    /// # Errors
    /// [`LedgerKeyError::OldThere`] when there is an old one already.
    pub fn rotate(file: &Path) -> Result<LedgerKeys, LedgerKeyError> {
        let old_file = old_file(file);
        let old = read(file)?.ok_or(LedgerKeyError::Lost {
            file: file.to_owned(),
        })?;
        if read(&old_file)?.is_some() {
            return Err(LedgerKeyError::OldThere { file: old_file });
        }
        let io = |source| LedgerKeyError::Io {
            file: file.to_owned(),
            source,
        };
        std::fs::rename(file, &old_file).map_err(io)?;
        File::open(folder_of(file))
            .and_then(|folder| folder.sync_all())
            .map_err(io)?;
        let current = make(file)?;
        Ok(LedgerKeys {
            current,
            old: Some(old),
        })
    }
}

/// Where the key before the one at `file` lies.
pub fn old_file(file: &Path) -> PathBuf {
    let mut name: OsString = file.as_os_str().to_owned();
    name.push(".old");
    PathBuf::from(name)
}

fn make(file: &Path) -> Result<[u8; KEY_BYTES], LedgerKeyError> {
    let mut key = [0; KEY_BYTES];
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut key)
        .or(Err(LedgerKeyError::Random))?;
    replace_private(file, &key).map_err(|source| LedgerKeyError::Io {
        file: file.to_owned(),
        source,
    })?;
    Ok(key)
}

fn read(file: &Path) -> Result<Option<[u8; KEY_BYTES]>, LedgerKeyError> {
    let io = |source| LedgerKeyError::Io {
        file: file.to_owned(),
        source,
    };
    let opened = match File::open(file) {
        Ok(opened) => opened,
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(io(err)),
    };
    let mode = opened.metadata().map_err(io)?.permissions().mode();
    if mode & 0o077 != 0 {
        warn!(path = %file.display(), "ledger key can be read by others, chmod 600 it");
    }
    let mut bytes = Vec::new();
    opened
        .take(KEY_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    let key = bytes.try_into().or(Err(LedgerKeyError::Malformed {
        file: file.to_owned(),
    }))?;
    Ok(Some(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_never_behind_sealed_records() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ledger.key");
        let err = LedgerKeys::open(&file, true).unwrap_err();
        assert!(matches!(err, LedgerKeyError::Lost { .. }), "{err}");
        let made = LedgerKeys::open(&file, false).unwrap();
        let again = LedgerKeys::open(&file, true).unwrap();
        assert_eq!((made.current, None), (again.current, again.old));
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(&file, [1; 31]).unwrap();
        let err = LedgerKeys::open(&file, true).unwrap_err();
        assert!(matches!(err, LedgerKeyError::Malformed { .. }), "{err}");
    }

    #[test]
    fn a_rotation_keeps_the_old_key_and_survives_being_cut() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ledger.key");
        let first = LedgerKeys::open(&file, false).unwrap().current;
        let rotated = LedgerKeys::rotate(&file).unwrap();
        assert_ne!(rotated.current, first);
        assert_eq!(rotated.old, Some(first));
        let err = LedgerKeys::rotate(&file).unwrap_err();
        assert!(matches!(err, LedgerKeyError::OldThere { .. }), "{err}");
        // Cut between the renaming and the new key.
        std::fs::remove_file(&file).unwrap();
        let mended = LedgerKeys::open(&file, true).unwrap();
        assert_eq!(mended.old, Some(first));
    }
}

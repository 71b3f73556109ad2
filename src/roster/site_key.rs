//! The site's key: 32 random bytes, without which stored card keys cannot be turned back into card
//! numbers by trying them all.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use crate::domain::card::CardHasher;
use crate::file::replace_private;

const KEY_BYTES: usize = 32;

/// Why there is no site key.
#[derive(Debug, thiserror::Error)]
pub enum SiteKeyError {
    /// The key is gone but the store that was made with it is there.
    #[error(
        "the site key {key_file} is missing, and the store {store} was made with one: restore the \
         key from the backup, or move the store away to begin anew"
    )]
    Lost {
        /// Where the key should be.
        key_file: PathBuf,
        /// The store.
        store: PathBuf,
    },
    /// The file is no key.
    #[error(
        "the site key {key_file} has {n_bytes} bytes instead of 32: restore it from the backup"
    )]
    Malformed {
        /// The file.
        key_file: PathBuf,
        /// Its length; 33 stands for any more.
        n_bytes: usize,
    },
    /// It cannot be read or made.
    #[error("use the site key {key_file}")]
    Io {
        /// The file.
        key_file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The system gives no randomness.
    #[error("draw 32 random bytes for the site key")]
    Random,
}

/// Opens the site's key at `key_file`, or makes it (mode 0600, durable) when the store at `store`
/// does not exist yet either.
///
/// # Errors
/// [`SiteKeyError`]; a lost key is never replaced silently, since every stored card key would turn
/// into an unknown card's.
pub fn open_site_key(key_file: &Path, store: &Path) -> Result<CardHasher, SiteKeyError> {
    let io = |source| SiteKeyError::Io {
        key_file: key_file.to_owned(),
        source,
    };
    match File::open(key_file) {
        Ok(file) => {
            warn_of_readers(key_file, &file);
            let mut bytes = Vec::new();
            file.take(KEY_BYTES as u64 + 1)
                .read_to_end(&mut bytes)
                .map_err(io)?;
            let n_bytes = bytes.len();
            let key: [u8; KEY_BYTES] = bytes.try_into().or(Err(SiteKeyError::Malformed {
                key_file: key_file.to_owned(),
                n_bytes,
            }))?;
            Ok(CardHasher::new(&key))
        }
        Err(err) if err.kind() == ErrorKind::NotFound => {
            if store.join("db").exists() {
                return Err(SiteKeyError::Lost {
                    key_file: key_file.to_owned(),
                    store: store.to_owned(),
                });
            }
            let mut key = [0; KEY_BYTES];
            rustls::crypto::ring::default_provider()
                .secure_random
                .fill(&mut key)
                .or(Err(SiteKeyError::Random))?;
            replace_private(key_file, &key).map_err(io)?;
            info!(path = %key_file.display(), "site key made; keep it with the store's backup");
            Ok(CardHasher::new(&key))
        }
        Err(err) => Err(io(err)),
    }
}

fn warn_of_readers(key_file: &Path, file: &File) {
    let mode = file
        .metadata()
        .map(|metadata| metadata.permissions().mode());
    if mode.is_ok_and(|mode| mode & 0o077 != 0) {
        warn!(path = %key_file.display(), "site key can be read by others, chmod 600 it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::card::CardNumber;

    #[test]
    fn the_key_is_made_once_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let (key_file, store) = (folder.path().join("site.key"), folder.path().join("store"));
        let card = CardNumber::new("04A1B2C3D4").unwrap();
        let first = open_site_key(&key_file, &store).unwrap().key_of(&card);
        let again = open_site_key(&key_file, &store).unwrap().key_of(&card);
        assert_eq!(first, again);
        let metadata = std::fs::metadata(&key_file).unwrap();
        assert_eq!(metadata.len(), 32);
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_lost_key_is_not_replaced_behind_an_existing_store() {
        let folder = tempfile::tempdir().unwrap();
        let (key_file, store) = (folder.path().join("site.key"), folder.path().join("store"));
        std::fs::create_dir(&store).unwrap();
        std::fs::write(store.join("db"), b"").unwrap();
        let err = open_site_key(&key_file, &store).unwrap_err();
        assert!(matches!(err, SiteKeyError::Lost { .. }), "{err}");
        assert!(!key_file.exists());
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let key_file = folder.path().join("site.key");
        for n_bytes in [0, 31, 33] {
            std::fs::write(&key_file, vec![1; n_bytes]).unwrap();
            let err = open_site_key(&key_file, folder.path()).unwrap_err();
            assert!(matches!(err, SiteKeyError::Malformed { .. }), "{err}");
        }
    }
}

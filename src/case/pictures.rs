//! Pictures of cases, before and after: a file each, named by the SHA-256 of its bytes.
//!
//! The file is on the disk before its row is, so a row never names a file that is not there; a file
//! without a row (a crash in between, a case past its retention) is removed at the next sweep. They are
//! stored as they came, readable by the gateway's user only, and not encrypted by us: like the footage
//! beside them they lie on a disk that the site may encrypt as a whole. Sizes and numbers are bounded.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use tracing::info;

use super::Cases;
use crate::domain::case::{CaseState, Picture, PictureFormat, PictureWhen};
use crate::domain::id::AlertId;
use crate::domain::role::Actor;
use crate::file;
use crate::store::{Store, StoreError, tables};
use crate::supervise::{BlockingError, blocking, crash_point};

/// Largest picture: what a telephone takes, at a quality that shows what happened.
pub const PICTURE_BYTES_MAX: usize = 4 << 20;
/// Pictures of one case, at most.
pub const PICTURES_MAX: usize = 12;

/// The folder of the pictures.
#[derive(Debug)]
pub(super) struct Pictures {
    folder: PathBuf,
    /// Held while a picture is added and while files without a row are removed: neither may see the
    /// other half done.
    gate: Mutex<()>,
}

/// What became of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PictureAnswer {
    /// Added, and on the disk.
    Added(Picture),
    /// The case has it already.
    Known(Picture),
    /// The bytes are neither JPEG nor PNG.
    NotAPicture,
    /// More than [`PICTURE_BYTES_MAX`].
    TooLarge,
    /// The case has [`PICTURES_MAX`].
    TooMany,
    /// The case is done.
    Done(CaseState),
    /// The alert has no case, or there is no such alert.
    NoCase,
}

/// Why a picture cannot be kept or shown.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The store.
    #[error("read or write the rows of pictures")]
    Store(#[source] StoreError),
    /// The file.
    #[error("picture file {file}")]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not what was stored.
    #[error("picture file {file} is damaged")]
    Damaged {
        /// Which.
        file: PathBuf,
    },
    /// The work could not be done.
    #[error("work with a picture")]
    Blocking(#[source] BlockingError),
}

impl Pictures {
    pub(super) fn new(folder: PathBuf) -> Pictures {
        Pictures {
            folder,
            gate: Mutex::default(),
        }
    }

    fn file(&self, sha256: &str) -> PathBuf {
        self.folder.join(sha256)
    }
}

impl Cases {
    /// Adds a picture to the case of `alert`; it is on the disk when this returns `Added`.
    ///
    /// # Errors
    /// [`PictureError`] of the disk.
    pub async fn add_picture(
        &self,
        alert: AlertId,
        actor: Actor,
        when: PictureWhen,
        bytes: Bytes,
    ) -> Result<PictureAnswer, PictureError> {
        let inner = &self.0;
        if bytes.len() > PICTURE_BYTES_MAX {
            return Ok(PictureAnswer::TooLarge);
        }
        let Some(format) = PictureFormat::of_bytes(&bytes) else {
            return Ok(PictureAnswer::NotAPicture);
        };
        if inner
            .store
            .get(tables::CASES, &alert)
            .map_err(PictureError::Store)?
            .is_none()
        {
            return Ok(PictureAnswer::NoCase);
        }
        let _alone = inner.pictures.gate.lock().await;
        let picture = Picture {
            sha256: hex::encode(Sha256::digest(&bytes)),
            format,
            bytes: bytes.len() as u64,
            when,
            added_at: inner.clock.now(),
            added_by: actor,
        };
        let file = inner.pictures.file(&picture.sha256);
        let path = file.clone();
        blocking("keep picture", move || file::replace_private(&path, &bytes))
            .await
            .map_err(PictureError::Blocking)?
            .map_err(|source| PictureError::File { file, source })?;
        crash_point("after_picture_file_before_row");
        let work = move |txn: &mut crate::store::Txn<'_>| {
            let Some(case) = txn.get(tables::CASES, &alert)? else {
                return Ok(PictureAnswer::NoCase);
            };
            if !case.state.is_open() {
                return Ok(PictureAnswer::Done(case.state));
            }
            let known = txn.scan(tables::CASE_PICTURES, &alert, PICTURES_MAX + 1)?;
            if let Some((_, known)) = known.iter().find(|(key, _)| key.1 == picture.sha256) {
                return Ok(PictureAnswer::Known(known.clone()));
            }
            if known.len() >= PICTURES_MAX {
                return Ok(PictureAnswer::TooMany);
            }
            txn.put(
                tables::CASE_PICTURES,
                &(alert, picture.sha256.clone()),
                &picture,
            )?;
            Ok(PictureAnswer::Added(picture))
        };
        inner.store.write(work).await.map_err(PictureError::Store)
    }

    /// A picture of the case of `alert` with its bytes, which are as they were added; `None` when it has
    /// none of that name.
    ///
    /// # Errors
    /// [`PictureError`] of the disk.
    pub async fn picture(
        &self,
        alert: AlertId,
        sha256: &str,
    ) -> Result<Option<(Picture, Bytes)>, PictureError> {
        let key = (alert, sha256.to_owned());
        let row = self.0.store.get(tables::CASE_PICTURES, &key);
        let Some(picture) = row.map_err(PictureError::Store)? else {
            return Ok(None);
        };
        let file = self.0.pictures.file(&picture.sha256);
        let path = file.clone();
        let bytes = blocking("read picture", move || fs::read(path))
            .await
            .map_err(PictureError::Blocking)?;
        let bytes = bytes.map_err(|source| PictureError::File {
            file: file.clone(),
            source,
        })?;
        if hex::encode(Sha256::digest(&bytes)) != picture.sha256 {
            return Err(PictureError::Damaged { file });
        }
        Ok(Some((picture, Bytes::from(bytes))))
    }

    /// Removes files that no case has; returns how many.
    ///
    /// # Errors
    /// [`PictureError`] of the disk.
    pub async fn sweep_pictures(&self) -> Result<usize, PictureError> {
        let _alone = self.0.pictures.gate.lock().await;
        let (store, folder) = (self.0.store.clone(), self.0.pictures.folder.clone());
        let swept = blocking("sweep pictures", move || sweep(&store, &folder))
            .await
            .map_err(PictureError::Blocking)??;
        if swept > 0 {
            info!(n_removed = swept, "pictures that no case has removed");
        }
        Ok(swept)
    }
}

fn sweep(store: &Store, folder: &Path) -> Result<usize, PictureError> {
    let failed = |file: &Path, source| PictureError::File {
        file: file.to_owned(),
        source,
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // None was ever added.
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(err) => return Err(failed(folder, err)),
    };
    let mut named = HashSet::new();
    for row in store.scan(tables::CASE_PICTURES, &()) {
        let ((_, sha256), _) = row.map_err(PictureError::Store)?;
        named.insert(sha256);
    }
    let mut n_removed = 0;
    for entry in entries {
        let entry = entry.map_err(|err| failed(folder, err))?;
        let path = entry.path();
        let name = entry.file_name();
        // Only what we have written: a name of ours, or the draft of one.
        let stem = Path::new(&name).file_stem().and_then(|stem| stem.to_str());
        let is_ours = stem.is_some_and(|stem| stem.len() == 64 && hex::decode(stem).is_ok());
        let is_kept = name.to_str().is_some_and(|name| named.contains(name));
        if is_ours && !is_kept {
            fs::remove_file(&path).map_err(|err| failed(&path, err))?;
            n_removed += 1;
        }
    }
    Ok(n_removed)
}

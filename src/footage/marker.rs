//! The mark of the footage disk: a file with a random id, kept in the store too.
//!
//! "The folder is empty" mostly means "the disk is not mounted". Without the mark the folder is
//! another disk, or the bare mount point: nothing is written there, nothing is taken for deleted, and
//! it comes back by itself when the right disk does.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::store::{Store, StoreError, tables};
use crate::supervise;

/// Name of the mark's file in the footage folder.
const FILE_NAME: &str = "stairgate-footage-id";
/// Bytes of a mark that are read, at most.
const MARK_BYTES_MAX: u64 = 64;
/// Longest time for a disk to show its mark: a disk that spins up takes 10 s. Beyond it the disk hangs.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(15);

/// What the footage folder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Ours.
    Ours,
    /// Not there, or without a mark although the store knows one: the disk is away.
    Away,
    /// Marked for another store.
    Foreign,
}

/// Why the mark cannot be read or set.
#[derive(Debug, thiserror::Error)]
pub(super) enum MarkError {
    /// The folder or the mark's file cannot be used.
    #[error("use the mark {path} of the footage disk")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The store cannot be read or written.
    #[error("keep the mark of the footage disk in the store")]
    Store(#[source] StoreError),
    /// Nothing can be read in the background.
    #[error("read the mark of the footage disk")]
    Blocking(#[source] supervise::BlockingError),
}

/// Compares the folder's mark with the store's. On the very first start, when neither has one, the
/// folder is made and marked. On a disk that hangs it does not return.
pub(super) async fn check(root: PathBuf, store: Store) -> Result<Mark, MarkError> {
    let known = store
        .get(tables::FOOTAGE_MARK, &())
        .map_err(MarkError::Store)?;
    let at = root.clone();
    let found = supervise::blocking("footage-mark", move || read(&at)).await;
    match (found.map_err(MarkError::Blocking)??, known) {
        (Some(found), Some(known)) if found == known => Ok(Mark::Ours),
        (Some(_), Some(_)) => Ok(Mark::Foreign),
        (None, Some(_)) => Ok(Mark::Away),
        // The store is new and the disk was used before: its files are reported as unknown ones.
        (Some(found), None) => remember(&store, found).await.map(|()| Mark::Ours),
        (None, None) => {
            let id = format!("{:032x}", fastrand::u128(..));
            write(&root, &id)?;
            remember(&store, id).await.map(|()| Mark::Ours)
        }
    }
}

/// Is the disk at `root` ours just now? For who is about to write there: between two looks of the watch
/// the disk may have gone, and what is written then lies on the bare mount point. Blocks.
pub(super) fn is_ours(root: &Path, store: &Store) -> bool {
    let known = store.get(tables::FOOTAGE_MARK, &());
    matches!((read(root), known), (Ok(Some(found)), Ok(Some(known))) if found == known)
}

/// Has the disk gone from `root`, or given place to another? Not when it cannot be asked. Blocks.
pub(super) fn is_gone(root: &Path, store: &Store) -> bool {
    let known = store.get(tables::FOOTAGE_MARK, &());
    matches!((read(root), known), (Ok(found), Ok(known)) if found != known)
}

async fn remember(store: &Store, id: String) -> Result<(), MarkError> {
    let put = move |txn: &mut crate::store::Txn<'_>| txn.put(tables::FOOTAGE_MARK, &(), &id);
    store.write(put).await.map_err(MarkError::Store)
}

fn read(root: &Path) -> Result<Option<String>, MarkError> {
    let path = root.join(FILE_NAME);
    let mut text = String::new();
    let opened =
        File::open(&path).and_then(|file| file.take(MARK_BYTES_MAX).read_to_string(&mut text));
    match opened {
        // Made, but not written before the power went or the disk was full: no mark.
        Ok(_) if text.trim().is_empty() => Ok(None),
        Ok(_) => Ok(Some(text.trim().to_owned())),
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(MarkError::Io { path, source }),
    }
}

fn write(root: &Path, id: &str) -> Result<(), MarkError> {
    let path = root.join(FILE_NAME);
    let written = std::fs::create_dir_all(root).and_then(|()| {
        let mut file = File::create(&path)?;
        writeln!(file, "{id}")?;
        file.sync_all()?;
        File::open(root)?.sync_all()
    });
    written.map_err(|source| MarkError::Io { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreOptions;
    use crate::supervise::Supervisor;

    fn store(folder: &Path) -> Store {
        let options = StoreOptions {
            path: folder.join("store"),
        };
        let mut registry = crate::telemetry::registry();
        Store::open(&options, &Supervisor::new(), &mut registry).unwrap()
    }

    #[tokio::test]
    async fn an_empty_mount_point_and_another_disk_are_told_from_ours() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let root = folder.path().join("footage");
        assert_eq!(
            check(root.clone(), store.clone()).await.unwrap(),
            Mark::Ours
        );
        assert_eq!(
            check(root.clone(), store.clone()).await.unwrap(),
            Mark::Ours
        );
        std::fs::rename(&root, folder.path().join("elsewhere")).unwrap();
        assert_eq!(
            check(root.clone(), store.clone()).await.unwrap(),
            Mark::Away
        );
        assert!(!is_ours(&root, &store) && is_gone(&root, &store));
        assert!(!root.exists(), "nothing is made on the bare mount point");
        write(&root, "").unwrap();
        assert_eq!(
            check(root.clone(), store.clone()).await.unwrap(),
            Mark::Away
        );
        write(&root, "another").unwrap();
        assert_eq!(
            check(root.clone(), store.clone()).await.unwrap(),
            Mark::Foreign
        );
        std::fs::remove_dir_all(&root).unwrap();
        std::fs::rename(folder.path().join("elsewhere"), &root).unwrap();
        assert_eq!(
            check(root.clone(), store.clone()).await.unwrap(),
            Mark::Ours
        );
    }
}

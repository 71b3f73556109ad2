//! What a crash left: open files are finished, and disk and index are compared.
//!
//! A file that was open is cut after its last whole fragment, gets its side file, and is closed. A
//! file that the index does not know was made in the moment before its row: when it is footage it is
//! taken into the index; when it ends before its first picture it is removed; anything else is reported
//! and left alone. A row without its file is reported
//! and left alone too: "missing" mostly means that the wrong disk is there.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::boxes::{self, BoxError, Fragment};
use super::file::{FileError, Side, SideGop, sum};
use crate::domain::clip::FootageName;
use crate::domain::footage::{FootageRecord, FootageState};
use crate::time::{RunId, WallTime};

/// Largest fragment whose sum is reckoned; the ring holds no larger GOP.
const FRAGMENT_BYTES_MAX: u64 = 256 << 20;
/// Files of the disk and of the index that one comparison names in the log, at most.
pub(super) const NAMED_MAX: usize = 20;

/// Why a file cannot be finished.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecoverError {
    /// It cannot be opened, cut or read.
    #[error("{what} {path}")]
    Io {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// It is no footage.
    #[error("read the boxes of {path}")]
    Boxes {
        path: PathBuf,
        #[source]
        source: BoxError,
    },
    /// It holds no whole fragment.
    #[error("{path} holds no whole fragment")]
    Empty { path: PathBuf },
    /// Its side file cannot be written.
    #[error("finish the file")]
    Side(#[source] FileError),
}

/// Finishes the file `name` that a crash left open: cuts it after its last whole fragment, writes
/// its side file, and returns what the index shall say of it. `starts_at` labels fragments that carry no time.
/// Blocks.
pub(super) fn finish(
    root: &Path,
    name: &FootageName,
    run: RunId,
    starts_at: WallTime,
) -> Result<FootageRecord, RecoverError> {
    let path = root.join(name.as_str());
    let error = |what| {
        let path = path.clone();
        move |source| RecoverError::Io { what, path, source }
    };
    let opened = OpenOptions::new().read(true).write(true).open(&path);
    let file = opened.map_err(error("open"))?;
    crate::file::settle_on_disk(&path).map_err(error("sync"))?;
    let bytes = file.metadata().map_err(error("measure"))?.len();
    let walk = boxes::walk(&file, bytes).map_err(|source| RecoverError::Boxes {
        path: path.clone(),
        source,
    })?;
    if walk.fragments.is_empty() {
        return Err(RecoverError::Empty { path });
    }
    if walk.whole_bytes < bytes {
        file.set_len(walk.whole_bytes).map_err(error("cut"))?;
    }
    file.sync_all().map_err(error("sync"))?;
    let mut side = Side::new(name.camera(), run);
    side.header_bytes = walk.header_bytes;
    for fragment in &walk.fragments {
        let sha256 = fragment_sum(&file, fragment).map_err(error("read"))?;
        let starts_at = fragment.wall.unwrap_or(starts_at);
        let gop = SideGop {
            offset: fragment.offset,
            bytes: fragment.bytes,
            from: fragment.at(),
            to: fragment.end,
            starts_at,
            n_frames: u32::try_from(fragment.frames.len()).unwrap_or(u32::MAX),
            is_key: fragment.is_key,
            sha256,
        };
        side.push(gop, &fragment.flaws);
    }
    side.write(root, name).map_err(RecoverError::Side)?;
    Ok(side.record(FootageState::Closed))
}

fn fragment_sum(file: &File, fragment: &Fragment) -> io::Result<String> {
    if fragment.bytes > FRAGMENT_BYTES_MAX {
        return Err(io::Error::other("a fragment is too large"));
    }
    let bytes = usize::try_from(fragment.bytes).map_err(io::Error::other)?;
    let mut buffer = vec![0; bytes];
    boxes::ReadAt::read_exact_at(file, &mut buffer, fragment.offset)?;
    Ok(sum(&[&buffer]))
}

/// Removes the file `name`, which the index does not know, when it is what a crash leaves of one that was
/// just begun: nothing but whole boxes of ours and then a torn one, before any picture. Returns whether
/// it was. Blocks.
pub(super) fn remove_stump(root: &Path, name: &FootageName) -> io::Result<bool> {
    let path = root.join(name.as_str());
    let file = File::open(&path)?;
    let bytes = file.metadata()?.len();
    let is_stump = boxes::is_stump(&file, bytes)?;
    if is_stump {
        fs::remove_file(&path)?;
    }
    Ok(is_stump)
}

/// A file below the footage folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Named as footage is; its run is part of the name.
    Footage(FootageName, RunId),
    /// Anything else, by its path below the folder.
    Other(PathBuf),
}

/// All files of the folders of cameras, without side files and without those beside the folders.
/// Blocks.
pub(super) fn list(root: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for camera in folders(root)? {
        for day in folders(&camera)? {
            for entry in fs::read_dir(&day)? {
                let path = entry?.path();
                let is_side = path
                    .extension()
                    .is_some_and(|ext| ext == "json" || ext == "new");
                if !is_side {
                    let below = path.strip_prefix(root).unwrap_or(&path);
                    found.push(classify(below));
                }
            }
        }
    }
    Ok(found)
}

fn folders(parent: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        // A disk's own `lost+found` is nobody's camera.
        if entry.file_type()?.is_dir() && entry.file_name() != "lost+found" {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}

fn classify(below: &Path) -> Found {
    let parsed = below.to_str().and_then(|text| {
        let name: FootageName = text.parse().ok()?;
        let (_, rest) = text.rsplit_once('-')?;
        let (run, _) = rest.split_once('.')?;
        Some((name, run.parse().ok()?))
    });
    match parsed {
        Some((name, run)) => Found::Footage(name, run),
        None => Found::Other(below.to_owned()),
    }
}

//! One footage file: append-only fragmented MP4 that can be played up to its last whole fragment at
//! any moment, and the side file that is put beside it once it is finished.
//!
//! Everything here blocks and runs on the blocking pool. Order on the disk: write, `fdatasync`, and
//! for a new file `fsync` of its folders; only then may the index name it. An append that fails
//! leaves the file as it was before. Not here: which frames (`keeper`), the boxes (`boxes`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::boxes::{self, Flaw};
use super::kept::Placed;
use crate::camera::VideoParams;
use crate::domain::clip::{FootageName, Gap, GapReason};
use crate::domain::footage::{FootageRecord, FootageState};
use crate::domain::id::CameraId;
use crate::error::Class;
use crate::mux::{FragmentWriter, MuxError, Sample};
use crate::time::{MediaTime, RunId, WallTime};

/// Version of the side file.
const SIDE_VERSION: u8 = 1;

/// How far the wall clock may be from a file's own labels before another file begins: more than reading
/// it jitters and a camera's clock drifts in half an hour, less than a step that matters.
const LABEL_STEP: Duration = Duration::from_millis(200);

/// Where a file's bytes go: the disk, or a disk of a test.
pub(super) trait Storage: io::Write {
    /// Waits until all bytes are on the disk.
    fn sync_data(&mut self) -> io::Result<()>;
    /// Cuts the file to `bytes` and goes on from there.
    fn cut(&mut self, bytes: u64) -> io::Result<()>;
}

impl Storage for File {
    fn sync_data(&mut self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }
}

/// Why footage is not on the disk.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    /// The file or its folders cannot be made, written, or made durable.
    #[error("{what} {path}")]
    Io {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The frames cannot be put into MP4.
    #[error("put frames into {name}")]
    Mux {
        name: FootageName,
        #[source]
        source: MuxError,
    },
    /// The footage disk is not there.
    #[error("the footage disk is away")]
    Away,
}

impl FileError {
    /// A full disk may be freed; parameters that cannot be muxed stay so.
    pub(super) fn class(&self) -> Class {
        match self {
            FileError::Io { .. } | FileError::Away => Class::Transient,
            FileError::Mux { source, .. } => source.class(),
        }
    }

    /// What a gap is laid to.
    pub(super) fn reason(&self) -> GapReason {
        match self {
            FileError::Io { source, .. }
                if matches!(
                    source.kind(),
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
                ) =>
            {
                GapReason::DiskFull
            }
            FileError::Io { .. } | FileError::Mux { .. } => GapReason::WriteFailed,
            FileError::Away => GapReason::DiskAway,
        }
    }
}

/// What lies beside a finished file, as JSON: what it shows, what is wrong with it, and a sum for
/// each fragment, so that a changed byte can be placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Side {
    pub(super) v: u8,
    pub(super) camera: CameraId,
    pub(super) run: RunId,
    pub(super) starts_at: WallTime,
    pub(super) ends_at: WallTime,
    /// Bytes of the movie header, which come before the first fragment.
    pub(super) header_bytes: u64,
    pub(super) gops: Vec<SideGop>,
    /// Stretches with damaged pictures or with one that stands too long.
    pub(super) gaps: Vec<Gap>,
}

/// One fragment: a GOP, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SideGop {
    pub(super) offset: u64,
    pub(super) bytes: u64,
    /// Ticks of 1/90000 s on the file's time line.
    pub(super) from: MediaTime,
    pub(super) to: MediaTime,
    pub(super) starts_at: WallTime,
    pub(super) n_frames: u32,
    pub(super) is_key: bool,
    /// Of all its bytes, 64 hexadecimal digits.
    pub(super) sha256: String,
}

impl Side {
    pub(super) fn new(camera: CameraId, run: RunId) -> Side {
        let never = WallTime::from_unix_ns(0);
        Side {
            v: SIDE_VERSION,
            camera,
            run,
            starts_at: never,
            ends_at: never,
            header_bytes: 0,
            gops: Vec::new(),
            gaps: Vec::new(),
        }
    }

    /// Takes in one more fragment and its flaws.
    pub(super) fn push(&mut self, gop: SideGop, flaws: &[Flaw]) {
        if self.gops.is_empty() {
            self.starts_at = gop.starts_at;
        }
        let wall_of = |at: MediaTime| {
            let ns = MediaTime(at.ticks_since(gop.from)).ns();
            WallTime::from_unix_ns(gop.starts_at.unix_ns().saturating_add(ns))
        };
        self.ends_at = wall_of(gop.to);
        self.gaps.extend(flaws.iter().map(|flaw| Gap {
            from: wall_of(flaw.from),
            to: wall_of(flaw.to),
            reason: flaw.reason,
        }));
        self.gops.push(gop);
    }

    /// Forgets the fragments after `mark`.
    fn cut_to(&mut self, mark: Mark) {
        self.gops.truncate(mark.n_gops);
        self.gaps.truncate(mark.n_gaps);
        self.ends_at = mark.ends_at;
    }

    /// How far it is now.
    fn mark(&self) -> Mark {
        Mark {
            n_gops: self.gops.len(),
            n_gaps: self.gaps.len(),
            ends_at: self.ends_at,
        }
    }

    /// The end of its last fragment in the file.
    pub(super) fn whole_bytes(&self) -> u64 {
        let last = self.gops.last();
        last.map_or(self.header_bytes, |gop| gop.offset + gop.bytes)
    }

    /// What the index says of the file.
    pub(super) fn record(&self, state: FootageState) -> FootageRecord {
        FootageRecord {
            camera: self.camera.clone(),
            run: self.run,
            state,
            starts_at: self.starts_at,
            ends_at: self.ends_at,
            bytes: self.whole_bytes(),
            n_gops: u32::try_from(self.gops.len()).unwrap_or(u32::MAX),
        }
    }

    /// Puts it beside the footage file `name`, at once or not at all.
    pub(super) fn write(&self, root: &Path, name: &FootageName) -> Result<(), FileError> {
        let path = root.join(name.as_str()).with_extension("json");
        let new = path.with_extension("json.new");
        let json = serde_json::to_vec_pretty(self).expect("plain data is always JSON");
        let written = File::create(&new).and_then(|mut file| {
            file.write_all(&json)?;
            file.sync_all()
        });
        let placed = written.and_then(|()| fs::rename(&new, &path));
        let placed = placed.and_then(|()| sync_folder(path.parent().unwrap_or(root)));
        if placed.is_err() {
            // A full disk needs the bytes; what cannot be removed is written over by the next try.
            drop(fs::remove_file(&new));
        }
        placed.map_err(io_error("write", &path))
    }
}

/// A place in a side file.
#[derive(Clone, Copy, Debug)]
struct Mark {
    n_gops: usize,
    n_gaps: usize,
    ends_at: WallTime,
}

/// A file being appended to.
#[derive(Debug)]
pub(super) struct FootageFile<S: Storage = File> {
    name: FootageName,
    root: PathBuf,
    storage: S,
    writer: FragmentWriter,
    /// `ftyp` and `moov`, until the first fragment is written with it.
    head: Option<Bytes>,
    side: Side,
    /// How far the disk has confirmed it.
    confirmed: Mark,
    /// Bytes that do not count lie after the last fragment: a torn append that could not be cut off, or
    /// what the disk did not confirm.
    must_cut: bool,
    is_published: bool,
}

impl FootageFile<File> {
    /// Makes the file `start`-`run` of `camera` and its folders. Its name gets the first part number
    /// that is free; `announce` hears each name before it is tried. Nothing is written before the first
    /// append.
    pub(super) fn create(
        root: &Path,
        camera: &CameraId,
        (start, run): (WallTime, RunId),
        params: &VideoParams,
        announce: impl Fn(&FootageName),
    ) -> Result<FootageFile<File>, FileError> {
        let mut part = 0;
        loop {
            let name = FootageName::new(camera, start, run, part);
            announce(&name);
            let path = root.join(name.as_str());
            let made = make_folders(root, &path).and_then(|()| {
                OpenOptions::new()
                    .append(true)
                    .read(true)
                    .create_new(true)
                    .open(&path)
            });
            match made {
                Ok(storage) => return FootageFile::over(root, name, run, storage, params),
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists && part < u32::MAX => {
                    part += 1;
                }
                Err(err) => return Err(io_error("create", &path)(err)),
            }
        }
    }
}

impl<S: Storage> FootageFile<S> {
    /// A file whose bytes go to `storage`, which is empty.
    pub(super) fn over(
        root: &Path,
        name: FootageName,
        run: RunId,
        storage: S,
        params: &VideoParams,
    ) -> Result<FootageFile<S>, FileError> {
        let started = FragmentWriter::new(params);
        let (writer, head) = started.map_err(|source| FileError::Mux {
            name: name.clone(),
            source,
        })?;
        let side = Side::new(name.camera(), run);
        Ok(FootageFile {
            confirmed: side.mark(),
            must_cut: false,
            side,
            name,
            root: root.to_owned(),
            storage,
            writer,
            head: Some(head),
            is_published: false,
        })
    }

    pub(super) fn name(&self) -> &FootageName {
        &self.name
    }

    /// What the index says of it, up to the last append.
    pub(super) fn record(&self, state: FootageState) -> FootageRecord {
        self.side.record(state)
    }

    /// Appends `frames` as one fragment, the first of which was taken at about `wall`; returns the bytes
    /// written. When it fails the file is cut back to what it was.
    pub(super) fn append(
        &mut self,
        wall: WallTime,
        frames: &[Placed],
        flaws: &[Flaw],
    ) -> Result<u64, FileError> {
        let samples: Vec<Sample> = frames.iter().map(sample).collect();
        let fragment = self.writer.fragment(&samples);
        let fragment = fragment.map_err(|source| FileError::Mux {
            name: self.name.clone(),
            source,
        })?;
        let (Some(first), Some(last)) = (frames.first(), frames.last()) else {
            return Ok(0);
        };
        let wall = self.label(first.at, wall);
        let mut parts = boxes::prft(wall, first.at);
        if !flaws.is_empty() {
            parts.extend(boxes::flaws(flaws));
        }
        let head = self.head.clone().unwrap_or_default();
        let before = self.side.whole_bytes();
        let put = |storage: &mut S| {
            storage.write_all(&head)?;
            storage.write_all(&parts)?;
            storage.write_all(&fragment)
        };
        if let Err(err) = put(&mut self.storage) {
            self.must_cut = self.storage.cut(before).is_err();
            return Err(io_error("append to", &self.path())(err));
        }
        let head_bytes = head.len() as u64;
        if self.head.take().is_some() {
            self.side.header_bytes = head_bytes;
        }
        let bytes = (parts.len() + fragment.len()) as u64;
        let sha256 = sum(&[&parts, &fragment]);
        let gop = SideGop {
            offset: before + head_bytes,
            bytes,
            from: first.at,
            to: last.at.plus_ticks(last.duration_ticks),
            starts_at: wall,
            n_frames: u32::try_from(frames.len()).unwrap_or(u32::MAX),
            is_key: first.frame.is_key,
            sha256,
        };
        self.side.push(gop, flaws);
        Ok(head_bytes + bytes)
    }

    /// The wall time of the frame at `at`, which is about `wall`: that which the file's first label
    /// gives, so that the labels of one file agree. Where they no longer agree with the wall clock
    /// ([`FootageFile::is_off`]), another file begins with the next GOP.
    fn label(&self, at: MediaTime, wall: WallTime) -> WallTime {
        let first = self.side.gops.first();
        first.map_or(wall, |first| {
            WallTime::from_unix_ns(first.starts_at.unix_ns().saturating_add(at.ns()))
        })
    }

    /// Was the wall clock set since its first label, or that label wrong? `wall`: about when the frame
    /// at `at` was taken.
    pub(super) fn is_off(&self, at: MediaTime, wall: WallTime) -> bool {
        let label = self.label(at, wall);
        label.since(wall).max(wall.since(label)) >= LABEL_STEP
    }

    /// Waits until everything appended is on the disk, and the file's name, too.
    ///
    /// When the disk does not confirm it, what was appended since it last did is forgotten and cut off
    /// before anything else: the system reports a lost write once and takes its pages for clean, so
    /// asking again would be told that all is well.
    pub(super) fn sync(&mut self) -> Result<(), FileError> {
        let synced = self.sync_storage();
        match &synced {
            Ok(()) => self.confirmed = self.side.mark(),
            Err(_) => {
                self.side.cut_to(self.confirmed);
                self.must_cut = true;
            }
        }
        synced
    }

    fn sync_storage(&mut self) -> Result<(), FileError> {
        let path = self.path();
        self.storage.sync_data().map_err(io_error("sync", &path))?;
        if !self.is_published {
            sync_folders(&self.root, &path).map_err(io_error("sync the folders of", &path))?;
            self.is_published = true;
        }
        Ok(())
    }

    /// Has the disk confirmed none of it?
    pub(super) fn is_unconfirmed(&self) -> bool {
        self.confirmed.n_gops == 0
    }

    /// Does it hold all that was appended, all of it confirmed?
    pub(super) fn is_confirmed(&self) -> bool {
        !self.must_cut && self.confirmed.n_gops == self.side.gops.len()
    }

    /// Finishes it: all bytes and its side file are on the disk. Returns what the index says of it. When
    /// it fails it may be tried again.
    pub(super) fn finish(&mut self) -> Result<FootageRecord, FileError> {
        if self.must_cut {
            let whole_bytes = self.side.whole_bytes();
            let cut = self.storage.cut(whole_bytes);
            cut.map_err(io_error("cut", &self.path()))?;
            self.must_cut = false;
        }
        self.sync()?;
        self.side.write(&self.root, &self.name)?;
        Ok(self.side.record(FootageState::Closed))
    }

    /// Removes a file of which the disk has confirmed nothing. What cannot be removed is removed at the
    /// next start.
    pub(super) fn discard(self) {
        drop(fs::remove_file(self.path()));
    }

    fn path(&self) -> PathBuf {
        self.root.join(self.name.as_str())
    }
}

/// SHA-256 of `parts` one after the other, as 64 hexadecimal digits.
pub(super) fn sum(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hex::encode(hasher.finalize())
}

/// Makes the entries of `folder` durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The folders from that of `path` up to `root`, each entry of which leads to `path`.
fn sync_folders(root: &Path, path: &Path) -> io::Result<()> {
    for folder in path.ancestors().skip(1) {
        sync_folder(folder)?;
        if folder == root {
            break;
        }
    }
    Ok(())
}

/// Makes the folders below `root` that lead to `path`; never `root` itself, which may be a disk that
/// is not there.
fn make_folders(root: &Path, path: &Path) -> io::Result<()> {
    fs::metadata(root)?;
    match path.parent() {
        Some(folder) => fs::create_dir_all(folder),
        None => Ok(()),
    }
}

fn sample(placed: &Placed) -> Sample {
    Sample {
        at: placed.at,
        duration_ticks: placed.duration_ticks,
        is_key: placed.frame.is_key,
        data: placed.frame.data.clone(),
    }
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError::Io { what, path, source }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;

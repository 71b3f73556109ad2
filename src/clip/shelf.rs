//! A few exported clips kept in memory, so that a player that asks for one in forty ranges makes
//! it once, and so that no number of viewers makes more than a few at a time.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::{OnceCell, Semaphore};

use super::{ClipError, ExportedClip, export};
use crate::domain::clip::{ClipRecord, ClipState};
use crate::domain::id::{CameraId, EntryId};
use crate::supervise;
use crate::time::WallTime;

/// Bounds of a [`ClipShelf`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShelfOptions {
    /// Most bytes of clips kept; a clip of 30 s at 2 Mbit/s has 7.5 MB.
    pub bytes_max: usize,
    /// Most clips kept.
    pub clips_max: usize,
    /// Most exports at a time.
    pub exports_max: NonZeroUsize,
    /// Most clips waiting for their export to begin; one more is refused.
    pub waiting_max: usize,
}

impl Default for ShelfOptions {
    fn default() -> ShelfOptions {
        ShelfOptions {
            bytes_max: 256 * 1024 * 1024,
            clips_max: 32,
            exports_max: NonZeroUsize::MIN.saturating_add(1),
            waiting_max: 64,
        }
    }
}

/// Which clip: another outcome of the same clip is another clip.
type Key = (EntryId, Option<CameraId>, ClipState, Option<WallTime>);

/// Keeps the clips used last.
#[derive(Debug)]
pub struct ClipShelf {
    footage_root: PathBuf,
    options: ShelfOptions,
    permits: Semaphore,
    n_asked: AtomicUsize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    clips: HashMap<Key, Place>,
    n_uses: u64,
}

#[derive(Debug)]
struct Place {
    /// Filled by the first who asks; the others wait for it.
    cell: Arc<OnceCell<Arc<ExportedClip>>>,
    used: u64,
}

impl ClipShelf {
    /// An empty shelf over the footage folder.
    pub fn new(footage_root: PathBuf, options: ShelfOptions) -> ClipShelf {
        ClipShelf {
            footage_root,
            options,
            permits: Semaphore::new(options.exports_max.get()),
            n_asked: AtomicUsize::new(0),
            kept: Mutex::default(),
        }
    }

    /// The folder it reads.
    pub fn footage_root(&self) -> &Path {
        &self.footage_root
    }

    /// The exported clip of `record`, one of the clips of `entry`: from the shelf, or made now on the
    /// blocking pool. Whoever asks for a clip that is being made waits for it. A failure is not kept.
    ///
    /// # Errors
    /// Those of [`export`], [`ClipError::Busy`] and [`ClipError::Background`].
    ///
    /// # Cancel safety
    /// Safe: an export that nobody waits for any more is lost, nothing else.
    pub async fn get(
        &self,
        entry: &EntryId,
        record: &ClipRecord,
    ) -> Result<Arc<ExportedClip>, ClipError> {
        let camera = record.camera.clone();
        let key = (*entry, camera, record.state, record.settled_at);
        // Runs after `cell` is dropped, also when the caller goes away while it waits.
        let visit = Visit { shelf: self, key };
        let cell = self.cell(&visit.key);
        cell.get_or_try_init(|| self.make(record)).await.cloned()
    }

    async fn make(&self, record: &ClipRecord) -> Result<Arc<ExportedClip>, ClipError> {
        let asked = Asked::count(&self.n_asked);
        let exports_max = self.options.exports_max.get();
        if asked.n_before >= exports_max.saturating_add(self.options.waiting_max) {
            let n_waiting = asked.n_before - exports_max;
            return Err(ClipError::Busy { n_waiting });
        }
        let permit = self.permits.acquire().await;
        debug_assert!(permit.is_ok(), "the semaphore is never closed");
        let (root, record) = (self.footage_root.clone(), record.clone());
        supervise::blocking("clip export", move || export(&root, &record))
            .await
            .map_err(|source| ClipError::Background { source })?
            .map(Arc::new)
    }

    fn cell(&self, key: &Key) -> Arc<OnceCell<Arc<ExportedClip>>> {
        let mut kept = self.kept.lock();
        kept.n_uses += 1;
        let used = kept.n_uses;
        let place = kept.clips.entry(key.clone()).or_insert_with(|| Place {
            cell: Arc::default(),
            used,
        });
        place.used = used;
        Arc::clone(&place.cell)
    }

    /// Takes off `key` when it came to nothing and nobody waits for it, and whatever is beyond the
    /// bounds, least lately used first.
    fn tidy(&self, key: &Key) {
        let mut kept = self.kept.lock();
        let is_idle = |place: &Place| Arc::strong_count(&place.cell) == 1;
        let came_to_nothing = |place: &Place| !place.cell.initialized() && is_idle(place);
        if kept.clips.get(key).is_some_and(came_to_nothing) {
            kept.clips.remove(key);
        }
        let filled = kept.clips.iter().filter_map(|(key, place)| {
            let n_bytes = place.cell.get()?.file.len();
            Some((place.used, n_bytes, key.clone()))
        });
        let mut by_use: Vec<(u64, usize, Key)> = filled.collect();
        by_use.sort_unstable_by_key(|(used, _, _)| *used);
        let mut n_bytes: usize = by_use.iter().map(|(_, n_bytes, _)| n_bytes).sum();
        let mut n_clips = by_use.len();
        for (_, clip_bytes, key) in by_use {
            if n_bytes <= self.options.bytes_max && n_clips <= self.options.clips_max {
                break;
            }
            kept.clips.remove(&key);
            n_bytes -= clip_bytes;
            n_clips -= 1;
        }
    }
}

/// Tidies the shelf when a caller leaves.
struct Visit<'a> {
    shelf: &'a ClipShelf,
    key: Key,
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.shelf.tidy(&self.key);
    }
}

/// Counts an export from its question to its answer, also when its caller goes away in between.
struct Asked<'a> {
    n_asked: &'a AtomicUsize,
    n_before: usize,
}

impl<'a> Asked<'a> {
    fn count(n_asked: &'a AtomicUsize) -> Asked<'a> {
        let n_before = n_asked.fetch_add(1, Ordering::Relaxed);
        Asked { n_asked, n_before }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.n_asked.fetch_sub(1, Ordering::Relaxed);
    }
}

//! Which footage goes, and in what order: past its age first; below the free-space floor, files that
//! no entry shows, then the oldest whose alerts have all been delivered. What still waits to be
//! delivered to the police is never deleted; what was given up on is kept for its full time.
//!
//! A file goes in this order: one transaction takes it out of the index and marks it doomed (its
//! entries' clips become `Missed(Deleted)`), then it is unlinked, then the doom is forgotten. A crash
//! in between leaves at most a doomed file, which the next round removes.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tracing::{error, info, warn};

use super::disk::{FreeSpaceFloor, Space};
use super::task::Shared;
use crate::domain::alert::DeliveryState;
use crate::domain::clip::{ClipOutcome, FootageName, MissedReason};
use crate::domain::footage::{FootageRecord, FootageState};
use crate::domain::id::EntryId;
use crate::error::chain;
use crate::store::{Store, StoreError, Txn, tables};
use crate::supervise;
use crate::time::WallTime;

/// Files deleted in one round, at most, so that a round stays short.
const FILES_MAX: usize = 256;
/// Entries that show one file, at most, that a transaction looks at.
const USES_MAX: usize = 100_000;

/// What one round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cleared {
    /// Files past their age.
    pub(super) n_old: u64,
    /// Files deleted before their age, for space.
    pub(super) n_early: u64,
    /// Their bytes.
    pub(super) early_bytes: u64,
    /// Bytes still short of the floor, since everything left is held.
    pub(super) short_bytes: u64,
}

/// The rules of a round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub(super) root: &'a Path,
    pub(super) keep: Duration,
    pub(super) floor: FreeSpaceFloor,
}

/// Why a file is looked at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Unused,
    Delivered,
}

/// Deletes what is due at `now`, with `space` left on the disk.
pub(super) async fn clear(
    shared: &Arc<Shared>,
    rules: &Rules<'_>,
    now: WallTime,
    space: Space,
) -> Result<Cleared, StoreError> {
    let store = &shared.store;
    forget_doomed(store, rules.root).await?;
    let mut cleared = Cleared::default();
    let limit = now.minus(rules.keep);
    let mut short_bytes = space.short_bytes(rules.floor);
    let reader = Arc::clone(shared);
    let found = supervise::blocking("footage-retention", move || candidates(&reader, limit)).await;
    let mut candidates = match found {
        Ok(found) => found?,
        Err(err) => {
            error!(error = %chain(&err), "footage to delete cannot be found");
            return Ok(cleared);
        }
    };
    candidates.sort_by(|a, b| (a.0, a.2.ends_at, &a.1).cmp(&(b.0, b.2.ends_at, &b.1)));
    let (old, young): (Vec<_>, Vec<_>) = candidates
        .into_iter()
        .partition(|(_, _, record)| record.ends_at < limit);
    for (_, name, record) in old.into_iter().take(FILES_MAX) {
        if doom(store, &name, Held::Waiting, now).await? {
            short_bytes = short_bytes.saturating_sub(record.bytes);
            cleared.n_old += 1;
        }
    }
    for (_, name, record) in young.into_iter().take(FILES_MAX) {
        if short_bytes == 0 {
            break;
        }
        if doom(store, &name, Held::WaitingOrDead, now).await? {
            short_bytes = short_bytes.saturating_sub(record.bytes);
            cleared.n_early += 1;
            cleared.early_bytes += record.bytes;
            warn!(file = %name, "footage deleted before its time, the disk is full");
        }
    }
    forget_doomed(store, rules.root).await?;
    cleared.short_bytes = short_bytes;
    if cleared.n_old > 0 {
        info!(n_files = cleared.n_old, "footage past its time deleted");
    }
    Ok(cleared)
}

/// Which deliveries keep the footage of their alert.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    /// Those still under way: past its age, footage is not kept for a receiver that was given up.
    Waiting,
    /// Those given up, too: someone may retry them.
    WaitingOrDead,
}

/// Every closed file that may go, with its rank; those that end before `limit` are past their age.
fn candidates(
    shared: &Shared,
    limit: WallTime,
) -> Result<Vec<(Rank, FootageName, FootageRecord)>, StoreError> {
    let store = &shared.store;
    let mut found = Vec::new();
    for row in store.scan(tables::FOOTAGE, &()) {
        let (name, record) = row?;
        // A recent file may be shown by a clip that was settled but is not in the store yet.
        if record.state == FootageState::Open || shared.recent.contains(&name) {
            continue;
        }
        let held = if record.ends_at < limit {
            Held::Waiting
        } else {
            Held::WaitingOrDead
        };
        let mut rank = Some(Rank::Unused);
        for row in store.scan(tables::FOOTAGE_USES, &name) {
            let ((_, entry), ()) = row?;
            rank = if is_held(store, entry, held)? {
                None
            } else {
                rank.map(|_| Rank::Delivered)
            };
            if rank.is_none() {
                break;
            }
        }
        found.extend(rank.map(|rank| (rank, name, record)));
    }
    Ok(found)
}

/// Does an alert of the entry still wait to be delivered, or to be retried by hand? Or a clip of it?
fn is_held(store: &Store, entry: EntryId, held: Held) -> Result<bool, StoreError> {
    if store.get(tables::PENDING_CLIPS, &entry)?.is_some() {
        return Ok(true);
    }
    for row in store.scan(tables::ALERTS_BY_ENTRY, &entry) {
        let ((_, alert), ()) = row?;
        for row in store.scan(tables::DELIVERIES, &alert) {
            let holds = match row?.1.state {
                DeliveryState::Waiting => true,
                DeliveryState::Dead => held == Held::WaitingOrDead,
                DeliveryState::Delivered => false,
            };
            if holds {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Takes a file out of the index, unless an alert of it has begun to wait since it was chosen.
async fn doom(
    store: &Store,
    name: &FootageName,
    held: Held,
    now: WallTime,
) -> Result<bool, StoreError> {
    let reader = store.clone();
    let name = name.clone();
    store
        .write(move |txn| {
            let uses = txn.scan(tables::FOOTAGE_USES, &name, USES_MAX)?;
            for ((_, entry), ()) in &uses {
                if is_held(&reader, *entry, held)? {
                    return Ok(false);
                }
            }
            for (use_key, ()) in &uses {
                lose_clips(txn, use_key.1, &name, now)?;
                txn.delete(tables::FOOTAGE_USES, use_key);
            }
            txn.delete(tables::FOOTAGE, &name);
            txn.put(tables::FOOTAGE_DOOMED, &name, &())?;
            Ok(true)
        })
        .await
}

/// The clips of `entry` that show `name` are gone; their other files are no longer used by them.
fn lose_clips(
    txn: &mut Txn<'_>,
    id: EntryId,
    name: &FootageName,
    now: WallTime,
) -> Result<(), StoreError> {
    let Some(mut entry) = txn.entry(&id)? else {
        return Ok(());
    };
    let mut freed: Vec<FootageName> = Vec::new();
    for clip in &mut entry.clips {
        if clip.spans.iter().any(|span| span.file == *name) {
            freed.extend(clip.spans.iter().map(|span| span.file.clone()));
            clip.settle(ClipOutcome::Missed(MissedReason::Deleted), now);
        }
    }
    for file in freed {
        let shown = entry
            .clips
            .iter()
            .flat_map(|clip| &clip.spans)
            .any(|span| span.file == file);
        if !shown {
            txn.delete(tables::FOOTAGE_USES, &(file, id));
        }
    }
    txn.put_entry(&entry)
}

/// Unlinks doomed files and forgets them. A file that cannot be unlinked stays doomed.
async fn forget_doomed(store: &Store, root: &Path) -> Result<(), StoreError> {
    let mut gone = Vec::new();
    for row in store.scan(tables::FOOTAGE_DOOMED, &()) {
        let (name, ()) = row?;
        let video = root.join(name.as_str());
        let side = video.with_extension("json");
        let unlinked = [video, side]
            .iter()
            .try_for_each(|path| match std::fs::remove_file(path) {
                Err(err) if err.kind() != ErrorKind::NotFound => Err(err),
                Ok(()) | Err(_) => Ok(()),
            });
        match unlinked {
            Ok(()) => gone.push(name),
            Err(err) => error!(file = %name, error = %err, "footage file cannot be deleted"),
        }
    }
    if gone.is_empty() {
        return Ok(());
    }
    let forget = move |txn: &mut Txn<'_>| {
        gone.iter()
            .for_each(|name| txn.delete(tables::FOOTAGE_DOOMED, name));
        Ok(())
    };
    store.write(forget).await
}

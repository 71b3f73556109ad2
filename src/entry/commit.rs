//! The transactions on entries: a swipe's entry with all that hangs on it, a clip's outcome, and the
//! removal of old entries. Each keeps every index row in step with the records.

use crate::domain::clip::{ClipOutcome, ClipRecord, ClipState};
use crate::domain::entry::Entry;
use crate::domain::id::{CameraId, EntryId};
use crate::outbox::{self, Change, RaisePolicy};
use crate::store::{StoreError, Txn, tables};
use crate::time::WallTime;

use super::assemble::Assembled;

/// What a commit met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Committed {
    /// The swipe was new; its entry, alerts and deliveries are durable.
    New,
    /// The swipe was here before; nothing was changed.
    Duplicate,
}

/// Writes the entry, its dedup key, its alerts and their deliveries, unless the swipe was here before.
///
/// # Errors
/// [`StoreError`] of the transaction.
pub(super) fn commit(
    txn: &mut Txn<'_>,
    assembled: Assembled,
    policy: &RaisePolicy,
) -> Result<Committed, StoreError> {
    let Assembled { mut entry, alerts } = assembled;
    if txn.contains(tables::SEEN, &entry.id)? {
        return Ok(Committed::Duplicate);
    }
    let clip_pending = has_pending_clip(&entry);
    entry.alerts = Vec::with_capacity(alerts.len());
    for alert in &alerts {
        // A flood at one door is told by the count of one alert, so the id may be another's.
        let raised = outbox::raise(txn, alert, policy, clip_pending, entry.received_at)?;
        entry.alerts.push(raised);
    }
    put_entry_rows(txn, &entry)?;
    Ok(Committed::New)
}

/// Takes in a clip's outcome. Returns whether the entry still waited for it; alerts that were held
/// for the clip are released, urgent ones get a revision.
///
/// # Errors
/// [`StoreError`] of the transaction.
pub(super) fn settle_clip(
    txn: &mut Txn<'_>,
    id: EntryId,
    camera: &CameraId,
    settlement: &Settlement,
) -> Result<bool, StoreError> {
    let Some(mut entry) = txn.entry(&id)? else {
        return Ok(false);
    };
    let waiting = |clip: &&mut ClipRecord| {
        clip.state == ClipState::Pending && clip.camera.as_ref() == Some(camera)
    };
    let Some(clip) = entry.clips.iter_mut().find(waiting) else {
        return Ok(false);
    };
    clip.settle(settlement.outcome.clone(), settlement.at);
    clip.sha256.clone_from(&settlement.sha256);
    for span in &clip.spans {
        txn.put(tables::FOOTAGE_USES, &(span.file.clone(), id), &())?;
    }
    txn.put_entry(&entry)?;
    if !has_pending_clip(&entry) {
        txn.delete(tables::PENDING_CLIPS, &id);
    }
    // The alert shows the clip of the door's first camera; the others change nothing outside.
    if entry.clip().camera.as_ref() == Some(camera) {
        for alert in &entry.alerts {
            outbox::revise(
                txn,
                *alert,
                Change::ClipSettled { entry: id },
                settlement.at,
            )?;
        }
    }
    Ok(true)
}

/// A clip's outcome, ready to be recorded.
#[derive(Clone, Debug)]
pub(super) struct Settlement {
    /// What became of it.
    pub outcome: ClipOutcome,
    /// SHA-256 of the exported file, when there is one.
    pub sha256: Option<String>,
    /// When.
    pub at: WallTime,
}

/// Removes an entry that is past its retention: the record, its index rows and its hold on footage.
/// Its dedup key stays, and so do its alerts, whose deliveries have a retention of their own.
///
/// # Errors
/// [`StoreError`] of the transaction.
pub(super) fn remove_entry(txn: &mut Txn<'_>, id: EntryId) -> Result<(), StoreError> {
    let Some(entry) = txn.entry(&id)? else {
        return Ok(());
    };
    txn.delete(tables::ENTRIES, &(entry.received_at, id));
    txn.delete(
        tables::ENTRIES_BY_DOOR,
        &(entry.door.clone(), entry.received_at, id),
    );
    if let Some(dwelling) = &entry.dwelling {
        txn.delete(
            tables::ENTRIES_BY_DWELLING,
            &(dwelling.clone(), entry.received_at, id),
        );
    }
    txn.delete(tables::PENDING_CLIPS, &id);
    for alert in &entry.alerts {
        txn.delete(tables::ALERTS_BY_ENTRY, &(id, *alert));
    }
    txn.put(tables::SEEN_ALONE, &(entry.received_at, id), &())?;
    for span in entry.clips.iter().flat_map(|clip| &clip.spans) {
        txn.delete(tables::FOOTAGE_USES, &(span.file.clone(), id));
    }
    Ok(())
}

fn put_entry_rows(txn: &mut Txn<'_>, entry: &Entry) -> Result<(), StoreError> {
    let id = entry.id;
    txn.put_entry(entry)?;
    txn.put(
        tables::ENTRIES_BY_DOOR,
        &(entry.door.clone(), entry.received_at, id),
        &(),
    )?;
    if let Some(dwelling) = &entry.dwelling {
        txn.put(
            tables::ENTRIES_BY_DWELLING,
            &(dwelling.clone(), entry.received_at, id),
            &(),
        )?;
    }
    txn.put(tables::SEEN, &id, &entry.received_at)?;
    if has_pending_clip(entry) {
        txn.put(tables::PENDING_CLIPS, &id, &())?;
    }
    Ok(())
}

fn has_pending_clip(entry: &Entry) -> bool {
    entry
        .clips
        .iter()
        .any(|clip| clip.state == ClipState::Pending)
}

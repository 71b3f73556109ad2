//! The feed: every step of every alert in one order, for readers that come back where they were.
//!
//! A step tells its alert as it is now; when the alert has changed since, the step is passed over and
//! a later one tells it. So a reader that goes on after the number of the last step it has worked off
//! misses nothing and gets no revision twice. Not here: how readers are reached (`feed`, `web`).

use super::Outbox;
use super::raise;
use crate::domain::alert::Alert;
use crate::linkage::{AlertEnvelope, Include, SiteFacts};
use crate::store::{Store, StoreError, tables};
use crate::time::WallTime;

/// Steps read for one page, at most: what a reader that was away catches up on at a time.
pub const FEED_PAGE_MAX: usize = 256;
/// The name in `META` of the last step that was pruned.
const PRUNED: &str = "alert-feed-pruned";

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedRecord {
    /// Its number: what a reader that has worked it off goes on after.
    pub step: u64,
    /// When it was recorded.
    pub at: WallTime,
    /// The alert, at the revision of this step.
    pub alert: Alert,
}

/// Some steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedPage {
    /// In order; may be empty before the end when all steps read were passed over.
    pub records: Vec<FeedRecord>,
    /// The last step looked at: where the next page goes on after.
    pub read_to: u64,
    /// Is this all there is just now?
    pub is_end: bool,
}

/// Where the feed begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedBounds {
    /// The last step that is not kept any more; 0 when all are.
    pub pruned_to: u64,
    /// The newest step; 0 before the first.
    pub newest: u64,
}

impl FeedBounds {
    /// Can a reader go on after `step` without having missed anything?
    pub fn has_all_after(&self, step: u64) -> bool {
        (self.pruned_to..=self.newest).contains(&step)
    }
}

impl Outbox {
    /// Where the feed begins and ends just now.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub fn feed_bounds(&self) -> Result<FeedBounds, StoreError> {
        bounds(&self.0.base.store)
    }

    /// The steps after number `after`, at most [`FEED_PAGE_MAX`]. Reads the disk.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub fn feed_after(&self, after: u64) -> Result<FeedPage, StoreError> {
        read(&self.0.base.store, after)
    }

    /// `alert` as a receiver outside gets it. Reads the disk.
    ///
    /// # Errors
    /// [`StoreError`] when its entry or its case cannot be read.
    pub fn envelope(&self, alert: &Alert, include: &Include) -> Result<AlertEnvelope, StoreError> {
        let facts = self.0.facts.load();
        envelope(&self.0.base.store, alert, &facts, include)
    }
}

/// `alert`, which was read before, with its entry and its case as they are now: a clip that settles or a
/// case that moves in between is then in the message under the older revision, and told again under
/// its own.
pub(super) fn envelope(
    store: &Store,
    alert: &Alert,
    facts: &SiteFacts,
    include: &Include,
) -> Result<AlertEnvelope, StoreError> {
    let entry = match alert.entry {
        Some(entry) => store.entry(&entry)?,
        None => None,
    };
    let case = store.get(tables::CASES, &alert.id)?;
    let envelope = AlertEnvelope::new(alert, entry.as_ref(), facts, include);
    Ok(envelope.with_case(case.as_ref()))
}

fn bounds(store: &Store) -> Result<FeedBounds, StoreError> {
    Ok(FeedBounds {
        pruned_to: store.get(tables::META, &PRUNED.to_owned())?.unwrap_or(0),
        newest: raise::newest_step(store)?,
    })
}

fn read(store: &Store, after: u64) -> Result<FeedPage, StoreError> {
    let mut page = FeedPage {
        read_to: after,
        is_end: true,
        ..FeedPage::default()
    };
    let from = after.saturating_add(1);
    let rows = store.range(tables::ALERT_FEED, &(), Some(&from), None);
    for (n_read, row) in rows.take(FEED_PAGE_MAX).enumerate() {
        let (step, change) = row?;
        page.read_to = step;
        page.is_end = n_read + 1 < FEED_PAGE_MAX;
        let alert = store.get(tables::ALERTS, &change.alert)?;
        if let Some(alert) = alert.filter(|alert| alert.revision == change.revision) {
            page.records.push(FeedRecord {
                step,
                at: change.at,
                alert,
            });
        }
    }
    Ok(page)
}

/// The steps up to `step` have been pruned: a cursor before it has missed something.
pub(super) fn note_pruned(txn: &mut crate::store::Txn<'_>, step: u64) -> Result<(), StoreError> {
    txn.put(tables::META, &PRUNED.to_owned(), &step)
}

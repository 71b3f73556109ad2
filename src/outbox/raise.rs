//! Raising and revising alerts inside the caller's transaction: an alert exists exactly when its
//! deliveries do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tracing::warn;

use super::aggregate::{self, FloodOptions, Verdict, flood_key, subject};
use super::cases;
use super::delivery::Release;
use crate::domain::alert::{
    Alert, AlertChange, AlertKind, CLIP_HOLD_MAX, Counted, Delivery, DeliveryState, Flood,
};
use crate::domain::case::CaseRules;
use crate::domain::id::{AlertId, EntryId, LinkageId};
use crate::linkage::Include;
use crate::store::{StoreError, Txn, tables};
use crate::supervise::crash_point;
use crate::time::WallTime;

/// Linkages of one gateway, at most: rows of one alert that a transaction reads.
pub const LINKAGES_MAX: usize = 64;
/// Waiting deliveries of one linkage, unless configured: a week of a busy compound's alerts, 30 MB.
pub const ROWS_MAX: usize = 100_000;
/// Tried for so long, unless configured (contract, section 6).
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(72 * 3_600);
/// The name of the feed's counter in `META`.
const FEED: &str = "alert-feed";

/// Which kinds of alert a linkage gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kinds {
    /// Every kind (`["*"]`).
    All,
    /// These.
    Only(BTreeSet<AlertKind>),
}

impl Kinds {
    /// Reads the configuration's list: `*`, or words of kinds.
    ///
    /// # Errors
    /// The first word that is neither.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Kinds, String> {
        let mut kinds = BTreeSet::new();
        for word in words {
            if word == "*" {
                return Ok(Kinds::All);
            }
            kinds.insert(AlertKind::from_word(word).ok_or_else(|| word.to_owned())?);
        }
        Ok(Kinds::Only(kinds))
    }

    /// Is `kind` among them?
    pub fn contains(&self, kind: AlertKind) -> bool {
        match self {
            Kinds::All => true,
            Kinds::Only(kinds) => kinds.contains(&kind),
        }
    }
}

/// What one linkage gets, and for how long it is tried.
#[derive(Clone, Debug)]
pub struct LinkagePolicy {
    /// The linkage.
    pub id: LinkageId,
    /// The kinds it gets.
    pub kinds: Kinds,
    /// What it gets beyond the envelope everyone gets.
    pub include: Include,
    /// A delivery that waited so long and fails again is given up.
    pub give_up_after: Duration,
    /// Is it told of each move of an alert's case? Others get the case as it is when they are told of
    /// something else.
    pub case_changes: bool,
    /// Deliveries that may wait. Beyond that a new one goes straight to the dead letters, except of
    /// severity 1, and the linkage's health is `Failed` until someone acts.
    pub rows_max: usize,
    /// How many wait just now: as its courier counted them last, and those raised since.
    pub(super) backlog: Arc<AtomicUsize>,
}

impl LinkagePolicy {
    /// Every kind, no extras, 72 h, no changes of cases, 100,000 rows.
    pub fn new(id: LinkageId) -> LinkagePolicy {
        LinkagePolicy {
            id,
            kinds: Kinds::All,
            include: Include::new(),
            give_up_after: GIVE_UP_AFTER,
            case_changes: false,
            rows_max: ROWS_MAX,
            backlog: Arc::default(),
        }
    }
}

/// How alerts are raised and to whom they go.
#[derive(Clone, Debug, Default)]
pub struct RaisePolicy {
    /// The linkages, at most [`LINKAGES_MAX`].
    pub linkages: Vec<LinkagePolicy>,
    /// When alerts are counted together.
    pub flood: FloodOptions,
    /// What the case that an alert opens is held to.
    pub cases: Arc<CaseRules>,
}

impl RaisePolicy {
    /// Is `linkage` told of moves of cases?
    pub(super) fn wants_case_changes(&self, linkage: &LinkageId) -> bool {
        let mut linkages = self.linkages.iter();
        linkages.any(|policy| policy.case_changes && policy.id == *linkage)
    }

    /// Is `linkage` configured?
    pub fn names(&self, linkage: &LinkageId) -> bool {
        self.linkages.iter().any(|policy| policy.id == *linkage)
    }

    /// The same without `linkage`: who is away is not told that it is away.
    #[must_use]
    pub fn without(&self, linkage: &LinkageId) -> RaisePolicy {
        let mut others = self.clone();
        others.linkages.retain(|policy| policy.id != *linkage);
        others
    }
}

/// What about an alert has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The clip of `entry` is settled. Of no effect on an alert that another entry raised.
    ClipSettled {
        /// The entry whose clip it is.
        entry: EntryId,
    },
    /// The condition is over.
    Ended {
        /// Since when.
        at: WallTime,
    },
}

/// Raises `alert` (revision 1) in this transaction: the alert, its index rows, its case (severity 1 to
/// 3), a step in the feed and a delivery for each linkage that wants its kind. The same id raises
/// nothing twice. In a flood it is counted in the last alert of its door and kind instead, unless the
/// case of that is done.
///
/// With `clip_pending` a routine alert is held for its clip, [`CLIP_HOLD_MAX`] at most; urgent ones
/// never are. Returns the id of the alert that stands for the occurrence. Once the transaction is
/// durable, call [`super::Outbox::wake`].
///
/// # Errors
/// [`StoreError`] of the transaction.
pub fn raise(
    txn: &mut Txn<'_>,
    alert: &Alert,
    policy: &RaisePolicy,
    clip_pending: bool,
    now: WallTime,
) -> Result<AlertId, StoreError> {
    debug_assert!(
        alert.revision == 1 && alert.count >= 1,
        "raised for the first time, for at least one occurrence"
    );
    if txn.contains(tables::ALERTS, &alert.id)? {
        return Ok(alert.id);
    }
    if let Some(counted) = txn.get(tables::COUNTED, &alert.id)? {
        return Ok(counted.into);
    }
    if let Some(into) = count_in_a_flood(txn, alert, policy, now)? {
        return Ok(into);
    }
    txn.put(tables::ALERTS, &alert.id, alert)?;
    txn.put(tables::ALERTS_BY_TIME, &(alert.raised_at, alert.id), &())?;
    if let Some(entry) = alert.entry {
        txn.put(tables::ALERTS_BY_ENTRY, &(entry, alert.id), &())?;
    }
    cases::open(txn, alert, policy, now)?;
    let seq = tell(txn, alert, now)?;
    let hold = if clip_pending && !alert.kind.is_urgent() {
        CLIP_HOLD_MAX
    } else {
        Duration::ZERO
    };
    for linkage in &policy.linkages {
        if linkage.kinds.contains(alert.kind) {
            let mut delivery = Delivery::of(alert, &linkage.id, seq, hold, now);
            let n_waiting = linkage.backlog.load(Ordering::Relaxed);
            if n_waiting >= linkage.rows_max && alert.kind.severity() > 1 {
                warn!(linkage = %linkage.id, alert = %alert.id, n_waiting, "alert shed to the dead letters");
                delivery.give_up(&format!("{n_waiting} alerts wait for {}", linkage.id));
            } else {
                // A burst between two counts of the courier counts, too.
                linkage.backlog.fetch_add(1, Ordering::Relaxed);
            }
            put(txn, None, &delivery)?;
        }
    }
    crash_point("after_raise_before_commit");
    Ok(alert.id)
}

/// Adds `n` occurrences to an alert in this transaction. Receivers are told of a growing count once in
/// the window of a flood, and of its steps the feed keeps the newest. Returns whether there is such an
/// alert. Once the transaction is durable, call [`super::Outbox::wake`].
///
/// # Errors
/// [`StoreError`] of the transaction.
pub fn count_more(
    txn: &mut Txn<'_>,
    id: AlertId,
    n: u32,
    policy: &RaisePolicy,
    now: WallTime,
) -> Result<bool, StoreError> {
    let Some(mut alert) = txn.get(tables::ALERTS, &id)? else {
        return Ok(false);
    };
    let key = (subject(&alert), alert.kind.as_str().to_owned());
    let mut flood: Flood = txn.get(tables::FLOODS, &key)?.unwrap_or_default();
    if flood.last.is_none_or(|last| last.into != id) {
        aggregate::raised(&mut flood, id, now);
    }
    tell_count(txn, &mut alert, n, &mut flood, policy, now)?;
    txn.put(tables::FLOODS, &key, &flood)?;
    Ok(true)
}

/// Revises an alert in this transaction: its deliveries wait again, or are released from their hold.
/// Returns whether there was anything to revise. Once the transaction is durable, call
/// [`super::Outbox::wake`].
///
/// # Errors
/// [`StoreError`] of the transaction.
pub fn revise(
    txn: &mut Txn<'_>,
    id: AlertId,
    change: Change,
    now: WallTime,
) -> Result<bool, StoreError> {
    let Some(mut alert) = txn.get(tables::ALERTS, &id)? else {
        return Ok(false);
    };
    let release = match change {
        Change::ClipSettled { entry } => {
            if alert.entry != Some(entry) {
                return Ok(false);
            }
            Release::Now
        }
        Change::Ended { at } => {
            if alert.ended_at.is_some() {
                return Ok(false);
            }
            alert.ended_at = Some(at);
            cases::note_end(txn, id, now)?;
            Release::AfterHold
        }
    };
    publish(txn, &mut alert, release, Reach::All, now)?;
    Ok(true)
}

/// Counts the occurrence in another alert when its door and kind are in a flood.
fn count_in_a_flood(
    txn: &mut Txn<'_>,
    occurrence: &Alert,
    policy: &RaisePolicy,
    now: WallTime,
) -> Result<Option<AlertId>, StoreError> {
    let Some(key) = flood_key(occurrence) else {
        return Ok(None);
    };
    let mut flood: Flood = txn.get(tables::FLOODS, &key)?.unwrap_or_default();
    let into = match aggregate::judge(&mut flood, &policy.flood, now) {
        Verdict::Raise => None,
        // Nobody looks at an alert again whose case is done.
        Verdict::CountIn(into) if cases::is_done(txn, into)? => None,
        Verdict::CountIn(into) => txn.get(tables::ALERTS, &into)?,
    };
    let Some(mut alert) = into else {
        aggregate::raised(&mut flood, occurrence.id, now);
        txn.put(tables::FLOODS, &key, &flood)?;
        return Ok(None);
    };
    tell_count(txn, &mut alert, occurrence.count, &mut flood, policy, now)?;
    txn.put(tables::FLOODS, &key, &flood)?;
    let counted = Counted {
        into: alert.id,
        at: now,
    };
    txn.put(tables::COUNTED, &occurrence.id, &counted)?;
    if let Some(entry) = occurrence.entry {
        txn.put(tables::ALERTS_BY_ENTRY, &(entry, alert.id), &())?;
    }
    Ok(Some(alert.id))
}

/// Puts the alert with `n` more occurrences under its next revision.
fn tell_count(
    txn: &mut Txn<'_>,
    alert: &mut Alert,
    n: u32,
    flood: &mut Flood,
    policy: &RaisePolicy,
    now: WallTime,
) -> Result<(), StoreError> {
    alert.count = alert.count.saturating_add(n);
    if let Some(step) = flood.told {
        // Of a count only the newest is of interest to who resumes from the feed.
        txn.delete(tables::ALERT_FEED, &step);
    }
    let pause = Release::AfterPause(policy.flood.window);
    flood.told = Some(publish(txn, alert, pause, Reach::All, now)?);
    Ok(())
}

/// Which of an alert's receivers are told of a revision.
#[derive(Clone, Copy)]
pub(super) enum Reach<'a> {
    /// All of them.
    All,
    /// Those that want it.
    Only(&'a dyn Fn(&LinkageId) -> bool),
}

/// Puts the changed alert under its next revision, tells it in the feed and to its deliveries.
pub(super) fn publish(
    txn: &mut Txn<'_>,
    alert: &mut Alert,
    release: Release,
    reach: Reach<'_>,
    now: WallTime,
) -> Result<u64, StoreError> {
    alert.revision = alert.revision.saturating_add(1);
    txn.put(tables::ALERTS, &alert.id, alert)?;
    let step = tell(txn, alert, now)?;
    for (_, old) in txn.scan(tables::DELIVERIES, &alert.id, LINKAGES_MAX)? {
        let is_told = match reach {
            Reach::All => true,
            Reach::Only(wants) => wants(&old.linkage),
        };
        if !is_told {
            continue;
        }
        let mut delivery = old.clone();
        delivery.revised(alert.revision, release, now);
        put(txn, Some(&old), &delivery)?;
    }
    Ok(step)
}

/// Appends a step to the feed; returns its number.
fn tell(txn: &mut Txn<'_>, alert: &Alert, now: WallTime) -> Result<u64, StoreError> {
    let counter = FEED.to_owned();
    let step = txn.get(tables::META, &counter)?.unwrap_or(0) + 1;
    txn.put(tables::META, &counter, &step)?;
    let change = AlertChange {
        alert: alert.id,
        revision: alert.revision,
        at: now,
    };
    txn.put(tables::ALERT_FEED, &step, &change)?;
    Ok(step)
}

/// Puts a delivery and keeps the lists of waiting and dead ones in step with it.
pub(super) fn put(
    txn: &mut Txn<'_>,
    old: Option<&Delivery>,
    delivery: &Delivery,
) -> Result<(), StoreError> {
    let row = (delivery.linkage.clone(), delivery.raised_at, delivery.alert);
    let was = old.map(|old| old.state);
    for (table, state) in [
        (tables::OUTBOX, DeliveryState::Waiting),
        (tables::DEAD_LETTERS, DeliveryState::Dead),
    ] {
        if delivery.state == state && was != Some(state) {
            txn.put(table, &row, &())?;
        } else if delivery.state != state && was == Some(state) {
            txn.delete(table, &row);
        }
    }
    let key = (delivery.alert, delivery.linkage.clone());
    txn.put(tables::DELIVERIES, &key, delivery)
}

/// The number of the newest step in the feed; 0 before the first.
pub(super) fn newest_step(store: &crate::store::Store) -> Result<u64, StoreError> {
    Ok(store.get(tables::META, &FEED.to_owned())?.unwrap_or(0))
}

//! One transaction on the ledger from its first look to its last row: the steps of a batch, their history,
//! the alerts they raise or end, and what the book has to take in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::book::Household;
use super::change::{Applied, Batch, Mode, Outcome};
use super::clerk::{Clerk, LedgerError, LimitRefusal, Tools};
use super::home::Home;
use super::vault::Place as SealedIn;
use crate::domain::alert::{Alert, AlertKind};
use crate::domain::id::{AlertId, DwellingId, StairwellId};
use crate::domain::ledger::{
    Changed, HISTORY_CHANGES_MAX, HistoryRecord, NumberedChange, PolicyRecord,
};
use crate::domain::place::{Place, Stairwell};
use crate::domain::reckoning::{LimitPolicy, Moment, Reckoning, reckon};
use crate::domain::role::Actor;
use crate::outbox::{self, RaisePolicy};
use crate::store::{StoreError, Txn, tables};
use crate::time::WallTime;

/// The name of the ledger's counter in `META`.
pub(super) const SEQ: &str = "ledger-seq";
/// The name of the rule's newest version in `META`.
const POLICY: &str = "limit-policy";

/// What a transaction looks at besides the store.
#[derive(Clone, Copy)]
pub(super) struct Sight<'a> {
    pub(super) tools: &'a Tools,
    pub(super) stairwells: &'a BTreeMap<StairwellId, Stairwell>,
    pub(super) raise: &'a RaisePolicy,
    pub(super) now: WallTime,
}

/// What the book takes in once a transaction is durable.
#[derive(Clone, Debug, Default)]
pub(super) struct Effects {
    /// The dwellings that were touched, as they stand now.
    pub(super) households: Vec<Arc<Household>>,
    /// The newest change.
    pub(super) seq: u64,
    /// An alert was raised or ended.
    pub(super) has_alerts: bool,
}

/// Applies a batch.
pub(super) fn run(
    txn: &mut Txn<'_>,
    sight: Sight<'_>,
    batch: &Batch,
) -> Result<(Applied, Effects), LedgerError> {
    let standing = txn.get(tables::META, &SEQ.to_owned())?.unwrap_or(0);
    if batch.if_seq.is_some_and(|expected| expected != standing) {
        let applied = Applied {
            outcomes: Vec::new(),
            is_kept: false,
            is_stale: true,
            seq: standing,
        };
        return Ok((applied, Effects::default()));
    }
    let policy = policy_in_force(txn)?;
    let mut clerk = Clerk {
        txn,
        tools: sight.tools,
        stairwells: sight.stairwells,
        policy,
        beyond_limit: batch.beyond_limit,
        now: Moment::of(sight.now, &sight.tools.zone),
        homes: BTreeMap::new(),
        refused: BTreeMap::new(),
        first_seq: standing,
        seq: standing,
    };
    let mut outcomes = Vec::with_capacity(batch.steps.len());
    for step in &batch.steps {
        outcomes.push(clerk.step(step)?);
    }
    let has_refusal = outcomes
        .iter()
        .any(|outcome| matches!(outcome, Outcome::Refused(_)));
    let is_kept = !has_refusal || batch.mode == Mode::SkipRefused;
    if !is_kept {
        clerk.txn.discard();
        clerk.homes.clear();
        clerk.seq = standing;
    }
    let effects = finish(&mut clerk, sight, (&batch.by, &batch.why))?;
    let applied = Applied {
        outcomes,
        is_kept,
        is_stale: false,
        seq: effects.seq,
    };
    Ok((applied, effects))
}

/// Looks at dwellings again without changing them: what began or ended by itself is told.
pub(super) fn look_again(
    txn: &mut Txn<'_>,
    sight: Sight<'_>,
    dwellings: &[DwellingId],
) -> Result<Effects, LedgerError> {
    let policy = policy_in_force(txn)?;
    let now = Moment::of(sight.now, &sight.tools.zone);
    let mut effects = Effects {
        seq: txn.get(tables::META, &SEQ.to_owned())?.unwrap_or(0),
        ..Effects::default()
    };
    for id in dwellings {
        let home = Home::load(txn, id)?;
        take_in(txn, &home, (sight, &policy, now), &mut effects)?;
    }
    Ok(effects)
}

/// The rule in force.
pub(super) fn policy_in_force(txn: &Txn<'_>) -> Result<LimitPolicy, StoreError> {
    let version = txn.get(tables::META, &POLICY.to_owned())?.unwrap_or(0);
    let record = txn.get(tables::POLICIES, &version)?;
    Ok(record
        .expect("the first rule is adopted before the ledger is used")
        .policy)
}

/// Makes the configured rule the one in force, under the next version, unless it is.
pub(super) fn adopt_policy(
    txn: &mut Txn<'_>,
    configured: &LimitPolicy,
    now: WallTime,
) -> Result<(LimitPolicy, bool), StoreError> {
    let version = txn.get(tables::META, &POLICY.to_owned())?.unwrap_or(0);
    let mut policy = configured.clone();
    if let Some(standing) = txn.get(tables::POLICIES, &version)? {
        policy.version = standing.policy.version;
        if policy == standing.policy {
            return Ok((policy, false));
        }
    }
    policy.version = version + 1;
    let record = PolicyRecord {
        policy: policy.clone(),
        since: now,
    };
    txn.put(tables::POLICIES, &policy.version, &record)?;
    txn.put(tables::META, &POLICY.to_owned(), &policy.version)?;
    Ok((policy, true))
}

/// The key of a dwelling's standing alert in `CONDITIONS`.
pub(super) fn condition_key(dwelling: &DwellingId) -> String {
    format!("{}/{dwelling}", AlertKind::OverLimit.as_str())
}

/// History, alerts, and the counter.
fn finish(
    clerk: &mut Clerk<'_, '_>,
    sight: Sight<'_>,
    who: (&Actor, &str),
) -> Result<Effects, LedgerError> {
    let now = clerk.now;
    let mut effects = Effects::default();
    let homes = std::mem::take(&mut clerk.homes);
    for home in homes.values().filter(|home| !home.changes.is_empty()) {
        for changes in home.changes.chunks(HISTORY_CHANGES_MAX) {
            put_history(clerk, &home.id, who, changes.to_vec())?;
        }
        let policy = clerk.policy.clone();
        take_in(clerk.txn, home, (sight, &policy, now), &mut effects)?;
    }
    for (dwelling, refusal) in std::mem::take(&mut clerk.refused) {
        note_refusal(clerk, &dwelling, refusal, sight, who)?;
        effects.has_alerts = true;
    }
    if clerk.seq != clerk.first_seq {
        clerk.txn.put(tables::META, &SEQ.to_owned(), &clerk.seq)?;
    }
    effects.seq = clerk.seq;
    Ok(effects)
}

fn put_history(
    clerk: &mut Clerk<'_, '_>,
    dwelling: &DwellingId,
    (by, why): (&Actor, &str),
    changes: Vec<NumberedChange>,
) -> Result<(), LedgerError> {
    let Some(first) = changes.first().map(|change| change.seq) else {
        return Ok(());
    };
    let vault = &clerk.tools.vault;
    let why = match why {
        "" => None,
        why => Some(vault.seal(SealedIn::Why(dwelling, first), why)?),
    };
    let record = HistoryRecord {
        at: clerk.now.at,
        by: by.clone(),
        why,
        changes,
    };
    clerk
        .txn
        .put(tables::HISTORY, &(dwelling.clone(), first), &record)?;
    Ok(())
}

fn note_refusal(
    clerk: &mut Clerk<'_, '_>,
    dwelling: &DwellingId,
    refusal: LimitRefusal,
    sight: Sight<'_>,
    who: (&Actor, &str),
) -> Result<(), LedgerError> {
    clerk.seq += 1;
    let seq = clerk.seq;
    let place = clerk.txn.get(tables::DWELLINGS, dwelling)?;
    let place = place.map_or(Place::Compound, |record| record.dwelling.place);
    let alert = alert(
        AlertKind::LimitReached,
        (dwelling, place),
        &refusal.reckoning,
        (seq, clerk.now.at),
    );
    let what = Changed::Refused {
        asked: refusal.asked.to_owned(),
        holder: refusal.holder,
        day: refusal.day,
        reckoning: refusal.reckoning,
    };
    put_history(clerk, dwelling, who, vec![NumberedChange { seq, what }])?;
    outbox::raise(clerk.txn, &alert, sight.raise, false, alert.raised_at)?;
    Ok(())
}

/// Puts a dwelling as it stands now among the effects, and begins or ends its alert.
fn take_in(
    txn: &mut Txn<'_>,
    home: &Home,
    (sight, policy, now): (Sight<'_>, &LimitPolicy, Moment),
    effects: &mut Effects,
) -> Result<(), LedgerError> {
    let Some(record) = &home.dwelling else {
        return Ok(());
    };
    let reckoning = reckon(policy, &record.dwelling, &home.occupants(), now);
    let key = condition_key(&home.id);
    match (reckoning.is_over(), txn.get(tables::CONDITIONS, &key)?) {
        (true, None) => {
            let about = (&home.id, record.dwelling.place.clone());
            let at = (now.at.unix_ns().cast_unsigned(), now.at);
            let alert = alert(AlertKind::OverLimit, about, &reckoning, at);
            let raised = outbox::raise(txn, &alert, sight.raise, false, now.at)?;
            txn.put(tables::CONDITIONS, &key, &raised)?;
            effects.has_alerts = true;
        }
        (false, Some(alert)) => {
            txn.delete(tables::CONDITIONS, &key);
            outbox::revise(txn, alert, outbox::Change::Ended { at: now.at }, now.at)?;
            effects.has_alerts = true;
        }
        (true, Some(_)) | (false, None) => {}
    }
    let (vault, zone) = (&sight.tools.vault, &sight.tools.zone);
    let household = Household::of(home, vault, zone, policy, now)?;
    effects.households.extend(household.map(Arc::new));
    Ok(())
}

fn alert(
    kind: AlertKind,
    (dwelling, place): (&DwellingId, Place),
    reckoning: &Reckoning,
    (number, now): (u64, WallTime),
) -> Alert {
    let limit = reckoning.limit.unwrap_or_default();
    let parts = [
        kind.as_str().as_bytes(),
        dwelling.as_str().as_bytes(),
        &number.to_be_bytes(),
    ];
    Alert {
        id: AlertId::derive(&parts),
        revision: 1,
        kind,
        raised_at: now,
        place,
        door: None,
        camera: None,
        entry: None,
        count: 1,
        detail: format!("{} of {limit} cardholders", reckoning.n_holders()),
        ended_at: None,
        dwelling: Some(dwelling.clone()),
    }
}

/// The places of `households`.
pub(super) fn places_of(households: &[Arc<Household>]) -> BTreeSet<Place> {
    let own = households.iter().map(|home| home.dwelling.place.clone());
    own.chain([Place::Compound]).collect()
}

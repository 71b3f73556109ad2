//! One try at one delivery, from the rows in the store to the rows in the store.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::timeout;
use tracing::{debug, error};

use super::delivery::{Failure, RetryRules};
use super::{feed, raise};
use crate::domain::alert::{Alert, Delivery, DeliveryState};
use crate::domain::id::AlertId;
use crate::error::{Class, chain};
use crate::linkage::{AlertEnvelope, DeliveryError, Include, Linkage, Receipt, SiteFacts};
use crate::store::{Store, StoreError, Txn, tables};
use crate::supervise::crash_point;
use crate::time::Clock;

/// No attempt takes longer, whatever its linkage does. Linkages have shorter limits of their own.
pub(super) const ATTEMPT_MAX: Duration = Duration::from_secs(30);

/// What attempts at one linkage have in common.
pub(super) struct Attempts {
    pub(super) linkage: Arc<dyn Linkage>,
    pub(super) include: Include,
    pub(super) rules: RetryRules,
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) facts: Arc<ArcSwap<SiteFacts>>,
}

/// An attempt whose outcome is durable.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) alert: AlertId,
    pub(super) verdict: Verdict,
}

/// What an attempt says of the receiver.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It took it; when nothing of the alert had been taken before: so long after the raise.
    Taken { first_after: Option<Duration> },
    /// It is there and does not want it.
    Refused,
    /// It may not be there.
    Failed {
        reason: String,
        unreachable: bool,
        retry_after: Option<Duration>,
    },
    /// There was nothing to deliver any more.
    Gone,
}

impl Attempts {
    /// Delivers the newest revision of `alert` and records the outcome.
    ///
    /// # Cancel safety
    /// When dropped, the receiver may have it without our knowing; it is delivered again.
    pub(super) async fn make(self: Arc<Attempts>, alert: AlertId) -> Result<Settled, StoreError> {
        let gone = Settled {
            alert,
            verdict: Verdict::Gone,
        };
        let Some((found, envelope)) = self.envelope(alert)? else {
            self.give_up(vec![alert], "its alert is gone".to_owned())
                .await?;
            return Ok(gone);
        };
        // Nothing is told that a failing disk may yet take back.
        self.store.settled().await?;
        crash_point("before_attempt");
        let outcome = match timeout(ATTEMPT_MAX, self.linkage.deliver(&envelope)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(DeliveryError::TimedOut(ATTEMPT_MAX)),
        };
        if outcome.is_ok() {
            crash_point("after_receipt_before_commit");
        }
        let taken_at = self.clock.now();
        let (before, after) = match self.record(alert, envelope.revision, &outcome).await? {
            Some(rows) => rows,
            None => return Ok(gone),
        };
        if after.state == DeliveryState::Dead && before.state != DeliveryState::Dead {
            let reason = after.last_error.as_deref().unwrap_or_default();
            error!(reason, "alert went to the dead letters");
        }
        let verdict = match outcome {
            Ok(_) => {
                let is_first = before.delivered_revision == 0;
                let first_after = is_first.then(|| taken_at.since(found.raised_at));
                Verdict::Taken { first_after }
            }
            Err(err) if err.class() == Class::Permanent => Verdict::Refused,
            Err(err) => {
                let reason = chain(&err).to_string();
                debug!(reason, "attempt failed");
                Verdict::Failed {
                    reason,
                    unreachable: err.is_unreachable(),
                    retry_after: err.retry_after(),
                }
            }
        };
        Ok(Settled { alert, verdict })
    }

    /// Gives up `alerts`; returns how many of them were still waiting.
    pub(super) async fn give_up(
        &self,
        alerts: Vec<AlertId>,
        why: String,
    ) -> Result<usize, StoreError> {
        let linkage = self.linkage.id().clone();
        let work = move |txn: &mut Txn<'_>| {
            let mut n_given_up = 0;
            for alert in alerts {
                let key = (alert, linkage.clone());
                let Some(old) = txn.get(tables::DELIVERIES, &key)? else {
                    continue;
                };
                if old.state == DeliveryState::Waiting {
                    let mut row = old.clone();
                    row.give_up(&why);
                    raise::put(txn, Some(&old), &row)?;
                    n_given_up += 1;
                }
            }
            Ok(n_given_up)
        };
        self.store.write(work).await
    }

    /// The alert as it is now; `None` when it is gone.
    fn envelope(&self, id: AlertId) -> Result<Option<(Alert, AlertEnvelope)>, StoreError> {
        let Some(alert) = self.store.get(tables::ALERTS, &id)? else {
            error!("a delivery waits whose alert is gone");
            return Ok(None);
        };
        let facts = self.facts.load();
        let envelope = feed::envelope(&self.store, &alert, &facts, &self.include)?;
        Ok(Some((alert, envelope)))
    }

    /// Records the outcome of an attempt at `revision`; the row before and after.
    async fn record(
        &self,
        alert: AlertId,
        revision: u32,
        outcome: &Result<Receipt, DeliveryError>,
    ) -> Result<Option<(Delivery, Delivery)>, StoreError> {
        let outcome = match outcome {
            Ok(receipt) => Ok(receipt.text.clone()),
            Err(err) => Err(Failure {
                class: err.class(),
                text: chain(err).to_string(),
                retry_after: err.retry_after(),
            }),
        };
        let key = (alert, self.linkage.id().clone());
        let (rules, now) = (self.rules, self.clock.now());
        let work = move |txn: &mut Txn<'_>| {
            let Some(old) = txn.get(tables::DELIVERIES, &key)? else {
                return Ok(None);
            };
            let mut row = old.clone();
            match &outcome {
                Ok(receipt) => row.succeeded(revision, receipt, now),
                Err(failure) => row.failed(revision, failure, &rules, now),
            }
            raise::put(txn, Some(&old), &row)?;
            Ok(Some((old, row)))
        };
        self.store.write(work).await
    }
}

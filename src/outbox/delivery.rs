//! One alert on its way to one linkage: the pure state machine.
//!
//! ```text
//!            succeeded(newest)
//!  Waiting ────────────────────► Delivered
//!   │  ▲ ▲                          │
//!   │  │ └──────── revised ─────────┘
//!   │  └── retried by hand ── Dead
//!   └── refused for good, or given up ──► Dead
//! ```
//!
//! Never lost: nothing but a receipt of the newest revision makes a delivery `Delivered`, nothing but
//! a refusal or the end of patience makes it `Dead`. An attempt that runs is not a state: it is in the
//! courier's memory, and a crash in the middle only repeats it under the same key.

use std::time::Duration;

use crate::domain::alert::{Alert, Delivery, DeliveryState};
use crate::domain::id::LinkageId;
use crate::error::Class;
use crate::retry::Backoff;
use crate::time::WallTime;

use super::aggregate::subject;

/// How attempts are repeated.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryRules {
    /// Between attempts.
    pub(super) backoff: Backoff,
    /// Given up when it has waited so long and fails again.
    pub(super) give_up_after: Duration,
}

/// An attempt that failed.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// Of what use another try is.
    pub(super) class: Class,
    /// What it met, for people.
    pub(super) text: String,
    /// How long the receiver asked us to wait.
    pub(super) retry_after: Option<Duration>,
}

/// When a new revision goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Release {
    /// Now; what was held for it is released.
    Now,
    /// Now, but what is held stays held.
    AfterHold,
    /// After a pause, since more of the same is to be expected.
    AfterPause(Duration),
}

impl Delivery {
    /// A delivery that waits for its first attempt, which is not made before `hold` is over.
    pub(super) fn of(
        alert: &Alert,
        linkage: &LinkageId,
        seq: u64,
        hold: Duration,
        now: WallTime,
    ) -> Delivery {
        Delivery {
            alert: alert.id,
            linkage: linkage.clone(),
            state: DeliveryState::Waiting,
            raised_at: alert.raised_at,
            seq,
            lane: subject(alert),
            severity: alert.kind.severity(),
            waiting_since: now,
            revision: alert.revision,
            delivered_revision: 0,
            not_before: now.plus(hold),
            next_revision_at: None,
            n_failed: 0,
            n_attempts: 0,
            last_error: None,
            delivered_at: None,
            receipt: None,
        }
    }

    /// The alert has a new revision. A dead delivery takes note of it but stays dead.
    pub(super) fn revised(&mut self, revision: u32, release: Release, now: WallTime) {
        debug_assert!(revision > self.revision, "a revision never goes back");
        self.revision = self.revision.max(revision);
        // For the case that an older revision is on its way just now.
        let next_at = match release {
            Release::Now | Release::AfterHold => now,
            Release::AfterPause(pause) => self.next_revision_at.unwrap_or(now.plus(pause)),
        };
        self.next_revision_at = Some(next_at);
        match self.state {
            DeliveryState::Delivered => {
                self.state = DeliveryState::Waiting;
                self.waiting_since = now;
                self.not_before = next_at;
                self.n_failed = 0;
            }
            DeliveryState::Waiting if self.n_failed == 0 && release == Release::Now => {
                self.not_before = now;
            }
            // It keeps its backoff or its hold: when its time comes, the newest revision goes.
            DeliveryState::Waiting | DeliveryState::Dead => {}
        }
    }

    /// The receiver took `revision`.
    pub(super) fn succeeded(&mut self, revision: u32, receipt: &str, now: WallTime) {
        self.n_attempts = self.n_attempts.saturating_add(1);
        self.delivered_revision = self.delivered_revision.max(revision);
        self.delivered_at = Some(now);
        self.receipt = Some(receipt.to_owned());
        self.n_failed = 0;
        self.last_error = None;
        if self.delivered_revision >= self.revision {
            self.state = DeliveryState::Delivered;
            self.next_revision_at = None;
        } else if self.state == DeliveryState::Waiting {
            self.waiting_since = now;
            self.not_before = self.next_revision_at.take().unwrap_or(now);
        }
    }

    /// An attempt at `revision` failed.
    pub(super) fn failed(
        &mut self,
        revision: u32,
        failure: &Failure,
        rules: &RetryRules,
        now: WallTime,
    ) {
        if failure.class == Class::Cancelled {
            return;
        }
        self.n_attempts = self.n_attempts.saturating_add(1);
        if self.state != DeliveryState::Waiting {
            return;
        }
        self.last_error = Some(failure.text.clone());
        let superseded = revision < self.revision;
        match failure.class {
            // What was refused was an older message; the new one may please.
            Class::Permanent if superseded => {
                self.n_failed = 0;
                self.not_before = self.next_revision_at.take().unwrap_or(now);
            }
            Class::Permanent => self.state = DeliveryState::Dead,
            Class::Transient | Class::Cancelled => {
                self.n_failed = self.n_failed.saturating_add(1);
                let delay = rules.backoff.jittered(self.n_failed);
                self.not_before = now.plus(delay.max(failure.retry_after.unwrap_or_default()));
                if now.since(self.waiting_since) >= rules.give_up_after {
                    self.give_up(&failure.text);
                }
            }
        }
    }

    /// Patience is at its end; only a person tries it again.
    pub(super) fn give_up(&mut self, why: &str) {
        if self.state == DeliveryState::Waiting {
            self.state = DeliveryState::Dead;
            self.last_error = Some(format!("given up: {why}"));
        }
    }

    /// Someone asks to try it again; `false` when it is not dead.
    pub(super) fn retried(&mut self, now: WallTime) -> bool {
        if self.state != DeliveryState::Dead {
            return false;
        }
        self.state = DeliveryState::Waiting;
        self.waiting_since = now;
        self.not_before = now;
        self.next_revision_at = None;
        self.n_failed = 0;
        true
    }

    /// Does it wait for its clip (or for a pause to end), rather than after a failure?
    pub(super) fn is_held(&self, now: WallTime) -> bool {
        self.n_failed == 0 && self.not_before > now
    }
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;

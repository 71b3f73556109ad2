//! What handlers record before they show, and after they change: in the audit, with who, from where, why.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::Api;
use super::principal::Principal;
use super::problem::Problem;
use crate::audit;
use crate::domain::audit::{AUDIT_TEXT_CHARS_MAX, AuditAct, AuditEvent, Reason};
use crate::domain::id::{AlertId, DwellingId};
use crate::domain::place::Place;
use crate::linkage::envelope::clean;
use crate::store::tables;

/// What the same session asks again of the same thing within so long is one look: a player fetches a clip in
/// many ranges, and again when the viewer seeks.
pub(crate) const ONE_LOOK: Duration = Duration::from_secs(5 * 60);
/// Looks remembered for that; more are recorded again.
const LOOKS_MAX: usize = 4_096;

/// Why somebody looks, as a query says it.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Why {
    /// In words.
    pub(crate) reason: Option<String>,
    /// The alert whose case it is for.
    pub(crate) case: Option<String>,
}

impl Why {
    /// Is anything said?
    pub(crate) fn is_said(&self) -> bool {
        self.reason.is_some() || self.case.is_some()
    }
}

/// The same, checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Grounds {
    reason: Option<Reason>,
    case: Option<AlertId>,
}

/// What is looked at.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    /// How.
    pub(crate) act: AuditAct,
    /// An entry, a camera, a person.
    pub(crate) target: String,
    /// Where.
    pub(crate) place: Option<Place>,
    /// What else tells it from other looks: the camera, the stream.
    pub(crate) detail: String,
}

/// The looks of the last minutes, so that one is recorded once.
#[derive(Debug, Default)]
pub struct Looks(Mutex<HashMap<Key, Slot>>);

/// When the first of some looks was, and whether it is recorded: the others wait for that.
#[derive(Debug)]
struct Slot {
    at: Instant,
    recorded: Arc<OnceCell<()>>,
}

type Key = (String, AuditAct, String, String, Grounds);

impl Looks {
    /// What all looks of that kind within [`ONE_LOOK`] share.
    fn slot(&self, key: Key) -> Arc<OnceCell<()>> {
        let now = Instant::now();
        let is_one = |slot: &Slot| now.saturating_duration_since(slot.at) < ONE_LOOK;
        let mut seen = self.0.lock();
        if let Some(slot) = seen.get(&key).filter(|slot| is_one(slot)) {
            return Arc::clone(&slot.recorded);
        }
        if seen.len() >= LOOKS_MAX {
            seen.retain(|_, slot| is_one(slot));
        }
        let recorded = Arc::<OnceCell<()>>::default();
        if seen.len() < LOOKS_MAX {
            let slot = Slot {
                at: now,
                recorded: Arc::clone(&recorded),
            };
            seen.insert(key, slot);
        }
        recorded
    }
}

impl Grounds {
    /// Checks why `principal` looks. A person at the console must say it; a program may, unless it looks for
    /// a person (`is_needed`).
    ///
    /// # Errors
    /// 400 `reason-needed`, and 400 for a reason or a case that is none.
    pub(crate) fn of(
        api: &Api,
        principal: &Principal,
        why: &Why,
        is_needed: bool,
    ) -> Result<Grounds, Problem> {
        let reason = why.reason.as_deref().map(Reason::new).transpose();
        let reason = reason.map_err(|err| Problem::bad_request(format!("reason: {err}")))?;
        let case = why.case.as_deref().map(str::parse::<AlertId>).transpose();
        let case = case.map_err(|err| Problem::bad_request(format!("case: {err}")))?;
        if let Some(id) = &case
            && api.store.get(tables::ALERTS, id)?.is_none()
        {
            return Err(Problem::bad_request("case: there is no such alert"));
        }
        if reason.is_none() && case.is_none() && (is_needed || principal.is_person()) {
            let detail = "say why: ?reason= in a few words, or ?case= with the alert's id";
            let status = StatusCode::BAD_REQUEST;
            return Err(Problem::new(status, "reason-needed", detail));
        }
        Ok(Grounds { reason, case })
    }

    /// As a viewer of live pictures says it: an alert's id, or words.
    pub(crate) fn said(text: Option<&str>) -> Grounds {
        let case = text.and_then(|text| text.parse::<AlertId>().ok());
        let words = text.filter(|_| case.is_none());
        Grounds {
            reason: words.and_then(|words| Reason::new(words).ok()),
            case,
        }
    }

    /// For a case.
    pub(crate) fn of_case(case: AlertId) -> Grounds {
        Grounds {
            reason: None,
            case: Some(case),
        }
    }
}

/// Records a look, once within [`ONE_LOOK`]; durable when this returns, so nothing is shown before.
///
/// # Errors
/// The store's: then nothing may be shown.
pub(crate) async fn look(
    api: &Api,
    principal: &Principal,
    look: Look,
    grounds: Grounds,
) -> Result<(), Problem> {
    let key = (
        principal.credential_id(),
        look.act,
        look.target.clone(),
        look.detail.clone(),
        grounds.clone(),
    );
    let recorded = api.looks.slot(key);
    recorded
        .get_or_try_init(|| record(api, principal, look, grounds))
        .await
        .copied()
}

/// Records something done, however often.
///
/// # Errors
/// The store's.
pub(crate) async fn record(
    api: &Api,
    principal: &Principal,
    look: Look,
    grounds: Grounds,
) -> Result<(), Problem> {
    let event = AuditEvent {
        at: api.roster.moment().at,
        by: Some(principal.actor.clone()),
        from: principal.from,
        act: look.act,
        target: clean(&look.target, AUDIT_TEXT_CHARS_MAX),
        place: look.place,
        detail: clean(&look.detail, AUDIT_TEXT_CHARS_MAX),
        reason: grounds.reason,
        case: grounds.case,
    };
    audit::append(&api.store, event).await?;
    Ok(())
}

/// Records that names of the people of a dwelling are seen, once within [`ONE_LOOK`].
///
/// # Errors
/// The store's: then no name may be shown.
pub(crate) async fn names_seen(
    api: &Api,
    principal: &Principal,
    dwelling: &DwellingId,
    grounds: Grounds,
) -> Result<(), Problem> {
    let book = api.roster.book();
    let home = book.household(dwelling);
    let seen = Look {
        act: AuditAct::Person,
        target: format!("dwelling {dwelling}"),
        place: home.map(|home| home.dwelling.place.clone()),
        detail: String::new(),
    };
    look(api, principal, seen, grounds).await
}

/// Records a change of `target`.
///
/// # Errors
/// The store's.
pub(crate) async fn changed(
    api: &Api,
    principal: &Principal,
    target: impl Into<String>,
    place: Option<Place>,
    detail: impl Into<String>,
) -> Result<(), Problem> {
    let look = Look {
        act: AuditAct::Change,
        target: target.into(),
        place,
        detail: detail.into(),
    };
    record(api, principal, look, Grounds::default()).await
}

/// Records a step of a case, or what was added to it.
///
/// # Errors
/// The store's.
pub(crate) async fn case_changed(
    api: &Api,
    principal: &Principal,
    case: AlertId,
    place: Place,
    detail: String,
) -> Result<(), Problem> {
    let look = Look {
        act: AuditAct::Change,
        target: format!("case {case}"),
        place: Some(place),
        detail,
    };
    record(api, principal, look, Grounds::of_case(case)).await
}

/// Records that `target` was taken away as a file; before a byte of it leaves.
///
/// # Errors
/// The store's: then nothing may leave.
pub(crate) async fn exported(
    api: &Api,
    principal: &Principal,
    target: &str,
    detail: String,
) -> Result<(), Problem> {
    let look = Look {
        act: AuditAct::Export,
        target: target.to_owned(),
        place: None,
        detail,
    };
    record(api, principal, look, Grounds::default()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(target: &str, reason: &str) -> Key {
        let grounds = Grounds {
            reason: Reason::new(reason).ok(),
            case: None,
        };
        let who = "session 1".to_owned();
        (
            who,
            AuditAct::Clip,
            target.to_owned(),
            String::new(),
            grounds,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_clip_in_many_ranges_is_one_look_and_another_reason_is_another() {
        let looks = Looks::default();
        let slot = looks.slot(key("e1", "theft"));
        assert!(Arc::ptr_eq(&slot, &looks.slot(key("e1", "theft"))));
        for other in [key("e1", "noise"), key("e2", "theft")] {
            assert!(!Arc::ptr_eq(&slot, &looks.slot(other)));
        }
        tokio::time::advance(ONE_LOOK).await;
        assert!(!Arc::ptr_eq(&slot, &looks.slot(key("e1", "theft"))));
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_what_is_not_remembered_is_recorded_again() {
        let looks = Looks::default();
        for n in 0..2 * LOOKS_MAX {
            looks.slot(key(&format!("e{n}"), "x"));
        }
        assert_eq!(looks.0.lock().len(), LOOKS_MAX);
        let last = || looks.slot(key("last", "x"));
        assert!(!Arc::ptr_eq(&last(), &last()));
        tokio::time::advance(ONE_LOOK).await;
        assert!(Arc::ptr_eq(&last(), &last()));
    }
}

//! Records of looks at what shows people: written before anything is shown.

use super::Api;
use super::principal::Principal;
use super::problem::Problem;
use crate::audit;
use crate::domain::audit::{AuditAct, AuditRecord};

/// Records that `principal` does `act` now.
///
/// # Errors
/// When it could not be recorded: then nothing may be shown.
pub(super) async fn record(api: &Api, principal: &Principal, act: AuditAct) -> Result<(), Problem> {
    let record = AuditRecord {
        at: api.video.clock().now(),
        by: principal.actor.clone(),
        from: None,
        act,
    };
    audit::append(&api.store, record).await?;
    Ok(())
}

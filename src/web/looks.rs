//! Records of looks at what shows people: written before anything is shown.

use std::net::SocketAddr;

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
        // Who asks is known by address; the port of a connection tells nothing.
        from: principal.from.map(|ip| SocketAddr::new(ip, 0)),
        act,
    };
    audit::append(&api.store, record).await?;
    Ok(())
}

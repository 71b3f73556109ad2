//! What commands did to accounts, whose file is not in the store: into the audit, within a second.

use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::account::{self, Accounts, LOOK_AGAIN, Told};
use crate::audit;
use crate::domain::audit::{AuditAct, AuditEvent};
use crate::error::chain;
use crate::store::{Store, StoreError};
use crate::supervise::blocking;

/// Looks at the accounts until `stop` is cancelled. A change that a crash finds between the audit and the
/// file stands in the audit twice; none is left out.
pub(super) async fn follow(
    accounts: Accounts,
    store: Store,
    stop: CancellationToken,
) -> Result<(), StoreError> {
    // Stand in the audit, but could not be taken off the file.
    let mut taken: Vec<Told> = Vec::new();
    let mut is_well = true;
    let mut timer = tokio::time::interval(LOOK_AGAIN);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            _ = timer.tick() => {}
        }
        let told = accounts.told();
        taken.retain(|one| told.contains(one));
        for one in &told {
            if !taken.contains(one) {
                audit::append(&store, event(one)).await?;
                taken.push(one.clone());
            }
        }
        if !taken.is_empty() {
            is_well = forget(&accounts, taken.clone(), is_well).await;
        }
    }
}

fn event(told: &Told) -> AuditEvent {
    let target = format!("account {}", told.account);
    AuditEvent::by_command(told.at, AuditAct::Change, target, told.what.clone())
}

/// Takes `told` off the file; could it? Says so once when it cannot.
async fn forget(accounts: &Accounts, told: Vec<Told>, was_well: bool) -> bool {
    let path = accounts.path().to_owned();
    let work = move || account::forget_told(&path, &told);
    let why = match blocking("write the accounts", work).await {
        Ok(Ok(())) => {
            accounts.look_now();
            return true;
        }
        Ok(Err(err)) => chain(&err).to_string(),
        Err(err) => chain(&err).to_string(),
    };
    if was_well {
        error!(error = %why, "the accounts file cannot be written (make it the gateway user's)");
    }
    false
}

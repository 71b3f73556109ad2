//! Keeps every door's card list in step with the ledger, under a version that only rises.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::info;

use super::Parts;
use crate::domain::id::DoorId;
use crate::domain::place::Place;
use crate::door::{CardList, Doors};
use crate::roster::{LedgerError, PlaceList};
use crate::store::{Store, StoreError, tables};
use crate::supervise::{BlockingError, blocking};

/// After lists were sent, those of further changes wait so long: a hundred issues in a row are a few
/// lists, and each door still has its own within a second.
const PAUSE: Duration = Duration::from_millis(100);
/// How often the clock is asked whether something has begun or ended: it may have been set.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// Why lists can no longer be kept in step.
#[derive(Debug, thiserror::Error)]
pub(super) enum ListsError {
    /// The ledger.
    #[error("look at what began or ended in the ledger")]
    Ledger(#[from] LedgerError),
    /// The lists' versions.
    #[error("keep the versions of card lists")]
    Store(#[from] StoreError),
    /// The work could not be done.
    #[error("make card lists")]
    Blocking(#[from] BlockingError),
}

/// Sends lists at the start, after every change of the ledger to the doors concerned, and when a validity
/// or a tenancy begins or ends.
pub(super) async fn follow(parts: Parts, stop: CancellationToken) -> Result<(), ListsError> {
    mark_all(&parts);
    loop {
        let look_at = tokio::time::Instant::now() + LOOK_PERIOD;
        let due = parts.roster.next_due();
        let look_at = due.map_or(look_at, |due| look_at.min(parts.clock.instant_of(due)));
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            () = parts.roster.lists_changed() => {}
            () = tokio::time::sleep_until(look_at) => {}
        }
        let n_looked = parts.roster.look_at_due().await?;
        if n_looked > 0 {
            info!(
                n_dwellings = n_looked,
                "tenancies or validities began or ended"
            );
        }
        let places = parts.roster.take_changed_places();
        if !places.is_empty() {
            publish(&parts, places).await?;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Says that every door needs its list: there are doors that have none yet.
pub(super) fn mark_all(parts: &Parts) {
    let site = parts.conditions.options.load();
    let places = site.doors.values().map(|door| door.place.clone());
    parts.roster.mark_places(places.collect());
}

/// Sends the doors at `places` the cards they may let in by themselves. A list that is as it was keeps
/// its version.
async fn publish(parts: &Parts, places: BTreeSet<Place>) -> Result<(), ListsError> {
    let site = parts.conditions.options.load_full();
    let roster = parts.roster.clone();
    let lists = blocking("make card lists", move || roster.lists(&places)).await?;
    let doors: Vec<(DoorId, Place)> = site
        .doors
        .values()
        .filter(|door| lists.contains_key(&door.place))
        .map(|door| (door.id.clone(), door.place.clone()))
        .collect();
    let versions = versions(&parts.store, &doors, &lists).await?;
    let sender = parts.doors.clone();
    let send = move || send(&sender, &doors, &lists, &versions);
    blocking("send card lists", send).await?;
    Ok(())
}

/// Under which version each door's list goes, and whether it is new; kept in one transaction.
async fn versions(
    store: &Store,
    doors: &[(DoorId, Place)],
    lists: &BTreeMap<Place, PlaceList>,
) -> Result<Vec<(u64, bool)>, StoreError> {
    let sums: Vec<(DoorId, u64)> = doors
        .iter()
        .filter_map(|(door, place)| Some((door.clone(), lists.get(place)?.sum)))
        .collect();
    store
        .write(move |txn| {
            let mut versions = Vec::with_capacity(sums.len());
            for (door, sum) in &sums {
                let (version_key, sum_key) =
                    (format!("cards-version/{door}"), format!("cards-sum/{door}"));
                let standing = txn.get(tables::META, &version_key)?.unwrap_or(0);
                if standing > 0 && txn.get(tables::META, &sum_key)? == Some(*sum) {
                    versions.push((standing, false));
                    continue;
                }
                txn.put(tables::META, &version_key, &(standing + 1))?;
                txn.put(tables::META, &sum_key, sum)?;
                versions.push((standing + 1, true));
            }
            Ok(versions)
        })
        .await
}

fn send(
    sender: &Doors,
    doors: &[(DoorId, Place)],
    lists: &BTreeMap<Place, PlaceList>,
    versions: &[(u64, bool)],
) {
    for ((door, place), (version, is_new)) in doors.iter().zip(versions) {
        let Some(list) = lists.get(place) else {
            continue;
        };
        if *is_new {
            info!(door = %door, version, n_cards = list.cards.len(), "card list changed");
        }
        let list = CardList {
            version: *version,
            cards: list.cards.clone(),
        };
        sender.set_cards(door, &list);
    }
}

//! Keeps every door's card list in step with the roster, under a version that only rises.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use tracing::info;

use crate::domain::id::DoorId;
use crate::domain::place::Door;
use crate::door::{CardList, Doors};
use crate::roster::Roster;
use crate::store::{Store, StoreError, tables};

/// Sends each door the cards it may let in by itself. A list that is as it was keeps its version.
///
/// # Errors
/// [`StoreError`] when a version cannot be kept; the lists sent so far are right.
pub(super) async fn publish(
    store: &Store,
    roster: &Roster,
    doors: &Doors,
    map: &BTreeMap<DoorId, Door>,
) -> Result<(), StoreError> {
    for door in map.values() {
        let cards = roster.cards_of(&door.place);
        let sum = sum_of(&cards, roster);
        let n_cards = cards.len();
        let (version_key, sum_key) = (
            format!("cards-version/{}", door.id),
            format!("cards-sum/{}", door.id),
        );
        let (version, changed) = store
            .write(move |txn| {
                let standing = txn.get(tables::META, &version_key)?.unwrap_or(0);
                if standing > 0 && txn.get(tables::META, &sum_key)? == Some(sum) {
                    return Ok((standing, false));
                }
                txn.put(tables::META, &version_key, &(standing + 1))?;
                txn.put(tables::META, &sum_key, &sum)?;
                Ok((standing + 1, true))
            })
            .await?;
        if changed {
            info!(door = %door.id, version, n_cards, "card list changed");
        }
        doors.set_cards(&door.id, &CardList { version, cards });
    }
    Ok(())
}

/// 64 bits of a sum over the cards' keyed hashes: tells nothing of the cards.
fn sum_of(cards: &[crate::domain::card::CardNumber], roster: &Roster) -> u64 {
    let mut hasher = Sha256::new();
    for card in cards {
        hasher.update(roster.card_hasher().key_of(card).as_bytes());
    }
    let digest = hasher.finalize();
    digest
        .iter()
        .take(8)
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

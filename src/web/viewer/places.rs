//! How many viewers there may be: in all, and of one account, so that a broken page or a stolen token
//! does not take them all.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::domain::role::ActorName;

/// Viewers at a time.
pub(crate) const VIEWERS_MAX: usize = 128;
/// Viewers of one account at a time: two screens each at four stations.
pub(crate) const VIEWERS_PER_ACCOUNT_MAX: usize = 8;

/// The places of viewers. Cheap to clone; clones are one.
#[derive(Clone, Debug, Default)]
pub struct ViewerPlaces(Arc<Mutex<BTreeMap<ActorName, usize>>>);

/// A viewer's place, given back when dropped.
#[derive(Debug)]
pub(crate) struct ViewerSeat {
    places: ViewerPlaces,
    account: ActorName,
}

impl ViewerPlaces {
    /// A place for a viewer of `account`; `None` when there are as many as may be.
    pub(crate) fn take(&self, account: &ActorName) -> Option<ViewerSeat> {
        let mut places = self.0.lock();
        let n_all: usize = places.values().sum();
        let n_own = places.get(account).copied().unwrap_or(0);
        if n_all >= VIEWERS_MAX || n_own >= VIEWERS_PER_ACCOUNT_MAX {
            return None;
        }
        places.insert(account.clone(), n_own + 1);
        Some(ViewerSeat {
            places: self.clone(),
            account: account.clone(),
        })
    }
}

impl Drop for ViewerSeat {
    fn drop(&mut self) {
        let mut places = self.places.0.lock();
        match places.get_mut(&self.account) {
            Some(n) if *n > 1 => *n -= 1,
            Some(_) | None => {
                places.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_so_many_places_and_gets_them_back() {
        let places = ViewerPlaces::default();
        let wang = ActorName::new("wang").unwrap();
        let mut seats: Vec<_> = (0..VIEWERS_PER_ACCOUNT_MAX)
            .map(|_| places.take(&wang).unwrap())
            .collect();
        assert!(places.take(&wang).is_none());
        seats.pop();
        assert!(places.take(&wang).is_some());
        drop(seats);
        assert!(places.0.lock().is_empty());
    }

    #[test]
    fn all_together_have_so_many() {
        let places = ViewerPlaces::default();
        let seats: Vec<_> = (0..=VIEWERS_MAX)
            .filter_map(|n| places.take(&ActorName::new(&format!("a{}", n / 4)).unwrap()))
            .collect();
        assert_eq!(seats.len(), VIEWERS_MAX);
    }
}

//! The ledger: the one authority on who holds cards for which dwelling, in the store.

mod change;
mod snapshot;

pub use change::{
    Applied, Batch, BeyondLimit, CardFacts, Change, HolderFacts, Mode, Outcome, Refusal, STEPS_MAX,
    Step, Validity, WHY_CHARS_MAX,
};
pub use snapshot::{KnownCard, KnownHolder, Snapshot};

//! The pipeline from a swipe to a kept entry: decide, commit, acknowledge, have the clip made, release
//! the alert; and the reconciler that finishes what a crash or an overload interrupted.
//!
//! Nothing is acknowledged before it is durable. A swipe's entry id is derived from the swipe's own
//! key, so a repeat meets its own record.

mod assemble;
mod clips;
mod commit;
mod conditions;
mod next_card;
mod pipeline;
mod placement;
mod retention;
mod shared;
mod take_over;

pub use clips::ClipDesk;
pub use conditions::Conditions;
pub use next_card::{CAPTURE_KEPT, Captured, NextCards, Waited};
pub use pipeline::{EntryMetrics, EntryOptions, Pipeline};
pub use retention::remove_old;
pub use shared::{LastSeen, SharedRule};
pub use take_over::take_over;

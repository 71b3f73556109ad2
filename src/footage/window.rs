//! What is asked of a keeper, and what it answers.

use tokio::time::Instant;

use super::ClipRequest;
use crate::domain::clip::{ClipOutcome, GapReason};

/// A clip whose outcome is known.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    pub(super) request: ClipRequest,
    pub(super) outcome: ClipOutcome,
}

/// An open clip.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) request: ClipRequest,
    /// Why frames at its beginning are missing, if they are; known once the ring was looked at.
    pub(super) lead: Option<GapReason>,
    /// When the ring was first looked at for it.
    pub(super) asked: Option<Instant>,
}

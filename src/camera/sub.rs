//! A camera's sub stream: a second, smaller session of the same view, only while somebody looks.
//!
//! It has a ring of its own, which holds just what a viewer begins with; footage comes from the main
//! stream alone. Not here: when it is wanted, and for how long (`live`).

use super::feed::Feed;
use super::ring::RingOptions;
use super::session::Source;
use crate::domain::id::CameraId;
use crate::supervise::Supervisor;

/// The ring of a sub stream: whole GOPs of 2 s, and 16 MiB for a camera whose sub stream is none.
pub(super) const RING: RingOptions = RingOptions {
    media_ms_max: 2_000,
    bytes_max: 16 << 20,
};

/// A session with a camera's sub stream, dialled again when it is lost; hung up when this is dropped.
#[derive(Debug)]
pub struct SubStream {
    pub(super) feed: Feed,
    pub(super) source: Source,
    pub(super) tasks: Supervisor,
}

impl SubStream {
    /// Its ring.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// The camera.
    pub fn camera(&self) -> &CameraId {
        self.feed.camera()
    }
}

impl Drop for SubStream {
    fn drop(&mut self) {
        // The task says TEARDOWN and ends; the cameras' supervisor waits for it at the gateway's end.
        self.tasks.token().cancel();
    }
}

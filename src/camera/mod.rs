//! Cameras: one RTSP session a stream, frames on one time line, a pre-roll ring in memory.
//!
//! The camera path never waits for anyone: not for the disk, not for a viewer, not for the store.

mod frame;

pub use frame::{Codec, Frame, Run, VideoParams};

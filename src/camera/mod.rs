//! Cameras: one RTSP session a stream, frames on one time line, a pre-roll ring in memory.
//!
//! The camera path never waits for anyone: not for the disk, not for a viewer, not for the store.

mod frame;
mod options;
mod pace;
mod error;
mod ring;
mod status;
mod feed;
mod timeline;
mod dial;
mod session;
mod life;
mod metrics;
mod set;
mod sub;
mod probe;

pub use dial::DIALS_MAX;
pub use error::{PEER_TEXT_CHARS_MAX, RtspError, SessionError, Stage};
pub use feed::{Feed, FeedWriter, RingTick, Watching};
pub use frame::{Codec, Frame, Run, VideoParams};
pub use life::SILENCE_MAX;
pub use options::{CameraEvent, CameraEventKind, CameraOptions, CamerasOptions, Transport};
pub use pace::REST;
pub use probe::{KeyFrame, Probe, probe, probe_picture};
pub use ring::{GOP_MAX, Gop, GopEnd, GopSeq, GopsAfter, Pushed, Ring, RingOptions, RingTotals};
pub use set::{Cameras, CamerasChanged, EVENTS_MAX};
pub use status::CameraStatus;
pub use sub::SubStream;

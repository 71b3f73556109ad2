//! What every test here stands on: neighbours that end with the test, waiting with a bound, logs that
//! must be clean, and the gateway's own program to start, kill and start again.
//!
//! Not here: anything about what the gateway should do.

pub(crate) mod chromium;
pub(crate) mod disk;
pub(crate) mod gateway;
pub(crate) mod http;
pub(crate) mod logs;
pub(crate) mod mosquitto;
pub(crate) mod net;
pub(crate) mod process;
pub(crate) mod python;
pub(crate) mod receiver;
pub(crate) mod rtsp;
pub(crate) mod tls;
pub(crate) mod wait;

pub(crate) use logs::Logs;
pub(crate) use mosquitto::{Mosquitto, MosquittoOptions};
pub(crate) use rtsp::{RtspAuth, RtspCodec, RtspOptions, RtspServer};
pub(crate) use wait::{eventually, eventually_ok};

use std::path::PathBuf;

/// A folder of one's own, removed with the value.
pub(crate) fn temp_dir() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("stairgate-it-")
        .tempdir()
        .unwrap()
}

/// A file below the package's root, such as `fixtures/video/h264.mp4`.
pub(crate) fn in_package(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

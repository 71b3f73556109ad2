//! What is configured of cameras, and what they tell the rest of the gateway.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use super::ring::RingOptions;
use crate::domain::id::CameraId;
use crate::domain::place::Place;
use crate::domain::secret::Secret;
use crate::time::WallTime;

/// How RTP packets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// Within the RTSP connection: nothing is lost on the way. The default.
    #[default]
    Tcp,
    /// In datagrams of their own, for cameras that cannot do otherwise; only within one network.
    Udp,
}

/// One camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraOptions {
    /// Its id.
    pub id: CameraId,
    /// Where it is.
    pub place: Place,
    /// Its main stream: scheme `rtsp`, without user name and password in it.
    pub url: Url,
    /// A smaller stream of the same view, for the wall.
    pub sub_url: Option<Url>,
    /// How RTP packets travel.
    pub transport: Transport,
    /// The user name, for Digest or Basic log-in; `None`: the camera asks for none.
    pub username: Option<String>,
    /// The password; meant only together with a user name.
    pub password: Option<Secret>,
}

/// What all cameras share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CamerasOptions {
    /// Bounds of each camera's ring.
    pub ring: RingOptions,
    /// Longest pause between two reads of a camera's socket while nobody looks; a fast stream is read
    /// more often. `make bench` shows what waking more often costs.
    pub drain_period: Duration,
    /// How often it is read while somebody looks.
    pub drain_period_watched: Duration,
    /// How long a camera may be away before the duty room is told.
    pub offline_after: Duration,
    /// Clock offset, either way, from which the duty room is told.
    pub clock_skew_max: Duration,
}

impl CamerasOptions {
    /// 400 ms, 20 ms while watched; offline after 30 s; skew from 5 s.
    pub const DEFAULT: CamerasOptions = CamerasOptions {
        ring: RingOptions::DEFAULT,
        drain_period: Duration::from_millis(400),
        drain_period_watched: Duration::from_millis(20),
        offline_after: Duration::from_secs(30),
        clock_skew_max: Duration::from_secs(5),
    };
}

impl Default for CamerasOptions {
    fn default() -> CamerasOptions {
        CamerasOptions::DEFAULT
    }
}

/// Something the duty room may want to know of a camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraEvent {
    /// The camera.
    pub camera: CameraId,
    /// What it is.
    pub kind: CameraEventKind,
    /// When we noticed.
    pub at: WallTime,
}

/// What happened to a camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CameraEventKind {
    /// No key frame for [`CamerasOptions::offline_after`]; told once an outage.
    Offline {
        /// Why, in words that say what to do.
        reason: String,
    },
    /// Key frames come again after an `Offline`.
    Online,
    /// The camera's clock is off by more than [`CamerasOptions::clock_skew_max`]; told once until it
    /// is right again.
    ClockSkew {
        /// Camera's time less ours, in milliseconds.
        offset_ms: i64,
    },
    /// Its clock agrees with ours: told once after a skew, and once after the start.
    ClockInStep,
}

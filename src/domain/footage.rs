//! A footage file as the index remembers it.

use serde::{Deserialize, Serialize};

use super::id::CameraId;
use crate::time::{RunId, WallTime};

/// Where a footage file is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FootageState {
    /// Being appended to.
    Open,
    /// Finished: its side file with sums is beside it.
    Closed,
}

/// One append-only file of one camera: a contiguous stretch of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FootageRecord {
    /// The camera.
    pub camera: CameraId,
    /// The run its frames are of.
    pub run: RunId,
    /// Where it is in its life.
    pub state: FootageState,
    /// Wall time of its first frame.
    pub starts_at: WallTime,
    /// Wall time of its end; that of the last fragment written while `Open`.
    pub ends_at: WallTime,
    /// Bytes of whole fragments on disk.
    pub bytes: u64,
    /// Whole fragments on disk.
    pub n_gops: u32,
}

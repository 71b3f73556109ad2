//! Stands in until `footage/mod.rs` lands, which replaces this file.
mod disk;
mod marker;
mod retention;
use crate::camera::Feed;
use crate::domain::clip::{ClipOutcome, ClipWindow, MissedReason};
use crate::domain::id::{CameraId, EntryId};
use crate::store::Store;
use crate::supervise::Supervisor;
use crate::telemetry::{HealthBoard, Registry};
use crate::time::Clock;
pub use disk::FreeSpaceFloor;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
#[derive(Clone, Debug)]
pub struct ClipRequest {
    pub entry: EntryId,
    pub camera: CameraId,
    pub from: Instant,
    pub to: Instant,
    pub window: ClipWindow,
}
#[derive(Clone, Debug)]
pub struct ClipSettled {
    pub entry: EntryId,
    pub camera: CameraId,
    pub outcome: ClipOutcome,
    pub window_end: Instant,
}
#[derive(Clone, Debug)]
pub enum FootageEvent {
    DiskLow { free_bytes: u64 },
    DiskFine,
    DiskGone,
    DiskBack,
    EarlyDeletion { n_files: u64, bytes: u64 },
}
#[derive(Debug, thiserror::Error)]
#[error("footage")]
pub struct FootageError;
#[derive(Debug)]
pub struct Overload;
#[derive(Clone, Debug)]
pub struct FootageOptions;
impl FootageOptions {
    pub fn new(_: PathBuf, _: Duration, _: FreeSpaceFloor) -> FootageOptions {
        FootageOptions
    }
}
#[derive(Clone, Debug)]
pub struct Footage;
impl Footage {
    pub async fn open(
        _: FootageOptions,
        _: Clock,
        _: Store,
        _: &Supervisor,
        _: &HealthBoard,
        _: &mut Registry,
    ) -> Result<
        (
            Footage,
            mpsc::Receiver<ClipSettled>,
            mpsc::Receiver<FootageEvent>,
        ),
        FootageError,
    > {
        Err(FootageError)
    }
    pub fn attach(&self, _: Feed) {}
    pub fn detach(&self, _: &CameraId) {}
    pub fn request(&self, _: ClipRequest) -> Result<(), Overload> {
        Ok(())
    }
    pub async fn settle_past(&self, _: &CameraId, _: ClipWindow) -> ClipOutcome {
        ClipOutcome::Missed(MissedReason::NoFootage)
    }
    pub async fn close(&self) {}
}

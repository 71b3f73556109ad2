//! What people see live: a camera's frames as fragments of MP4 for a browser (Media Source Extensions),
//! made once for each stream however many look, and read by each viewer at its own pace.
//!
//! A viewer has no queue, only a cursor into the newest fragments (`reel`): who is too slow goes on at
//! the next key frame, and nobody waits for anybody, least of all the camera. While somebody looks, a
//! camera is read in finer steps; a sub stream is dialled when somebody looks and hung up a little after
//! the last has gone.
//!
//! Not here: who may look, and how it goes over the wire (`web`). Standards: ISO/IEC 14496-12 and -15, W3C
//! Media Source Extensions (ISO BMFF byte stream format).

mod channel;
mod cutter;
mod metrics;
mod pictures;
mod reel;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tracing::info_span;

use crate::camera::{Cameras, Codec};
use crate::domain::id::CameraId;
use crate::supervise::Supervisor;
use crate::telemetry::Registry;
use crate::time::Clock;

use channel::Channel;
pub use metrics::LiveMetrics;
use pictures::Easel;
pub use pictures::{DrawnPicture, PictureFault};
pub use watch::{Opened, Shown, Watch, WhatIsUp, Why};

/// How long a stream goes on after the last viewer has gone: a wall that rolls comes back soon, and a sub
/// stream that was hung up has to be dialled again.
pub const LINGER: Duration = Duration::from_secs(8);

/// Which of a camera's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StreamKind {
    /// The one that is recorded.
    Main,
    /// The smaller one.
    Sub,
}

/// What a viewer's browser can play; what it cannot comes as pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plays {
    /// H.264 in MP4.
    pub h264: bool,
    /// H.265 in MP4.
    pub h265: bool,
}

impl Plays {
    fn has(self, codec: Codec) -> bool {
        match codec {
            Codec::H264 => self.h264,
            Codec::H265 => self.h265,
        }
    }
}

/// The streams that somebody looks at. Cheap to clone; clones are one.
#[derive(Clone, Debug)]
pub struct Live(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cameras: Cameras,
    supervisor: Supervisor,
    clock: Clock,
    metrics: LiveMetrics,
    easel: Easel,
    channels: Mutex<BTreeMap<(CameraId, StreamKind), Arc<Channel>>>,
    /// Numbers the places of viewers.
    next_place: AtomicU64,
}

impl Live {
    /// Nobody looks yet.
    pub fn new(
        cameras: Cameras,
        clock: Clock,
        supervisor: &Supervisor,
        registry: &mut Registry,
    ) -> Live {
        Live(Arc::new(Inner {
            cameras,
            clock,
            easel: Easel::default(),
            supervisor: supervisor.group(),
            metrics: LiveMetrics::register(registry),
            channels: Mutex::default(),
            next_place: AtomicU64::new(1),
        }))
    }

    /// The cameras.
    pub fn cameras(&self) -> &Cameras {
        &self.0.cameras
    }

    /// The clock that viewers are told.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// What is counted.
    pub fn metrics(&self) -> &LiveMetrics {
        &self.0.metrics
    }

    /// Runs `task` for a viewer, until it ends or the gateway stops.
    pub fn serve(&self, task: impl Future<Output = ()> + Send + 'static) {
        let span = info_span!("live-viewer");
        self.0.supervisor.spawn("live-viewer", span, task);
    }

    /// Begins to look at a camera; `bell` is rung when there is something new. With [`StreamKind::Sub`] the
    /// sub stream is shown while it streams, and the main stream while it does not.
    ///
    /// `None` when the camera is not configured.
    pub fn watch(
        &self,
        camera: &CameraId,
        wants: StreamKind,
        plays: Plays,
        bell: &Arc<Notify>,
    ) -> Option<Watch> {
        self.0.cameras.feed(camera)?;
        Some(Watch::new(self.clone(), camera, wants, plays, bell))
    }

    /// The newest key frame of a camera's main stream as a picture.
    ///
    /// # Errors
    /// [`PictureFault::NoFrame`] before the first, and when the camera is not configured.
    pub async fn newest_picture(&self, camera: &CameraId) -> Result<DrawnPicture, PictureFault> {
        let feed = self.0.cameras.feed(camera).ok_or(PictureFault::NoFrame)?;
        self.0.easel.newest(&feed).await
    }

    /// A place at a stream, which runs from now on; `None` when the configuration has no such stream.
    fn take_place(
        &self,
        camera: &CameraId,
        stream: StreamKind,
        bell: &Arc<Notify>,
    ) -> Option<channel::Seat> {
        let number = self.0.next_place.fetch_add(1, Ordering::Relaxed);
        let mut channels = self.0.channels.lock();
        let key = (camera.clone(), stream);
        if let Some(channel) = channels.get(&key)
            && let Some(seat) = Channel::seat(channel, number, bell)
        {
            return Some(seat);
        }
        let channel = Channel::open(&self.0, camera, stream)?;
        let seat = Channel::seat(&channel, number, bell)?;
        channels.insert(key.clone(), Arc::clone(&channel));
        let (live, token) = (self.clone(), self.0.supervisor.token());
        let span = info_span!("live", camera = %camera);
        self.0.supervisor.spawn("live", span, async move {
            channel.run(&live.0.cameras, &token).await;
            let mut channels = live.0.channels.lock();
            if channels
                .get(&key)
                .is_some_and(|it| Arc::ptr_eq(it, &channel))
            {
                channels.remove(&key);
            }
        });
        Some(seat)
    }
}

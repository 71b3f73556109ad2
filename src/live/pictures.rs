//! The newest key frame as a picture: for browsers that cannot play a camera's codec, and for programs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::camera::{Feed, Frame};
use crate::mux::{MuxError, key_frame_jpeg};
use crate::supervise::{BlockingError, blocking};

/// Widest picture, in pixels: a tile of a wall of four on a large screen.
const WIDTH_MAX: u32 = 1_280;
/// Shortest time from picture to picture of one stream.
pub(super) const PICTURE_EVERY: Duration = Duration::from_secs(1);
/// Pictures drawn at a time, over all cameras: decoding costs some 20 ms of a core each.
const DRAWN_AT_ONCE_MAX: usize = 2;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureFault {
    /// The camera has sent no key frame yet.
    #[error("the camera has sent no picture since the gateway started")]
    NoFrame,
    /// Its newest key frame cannot be decoded.
    #[error("draw the newest key frame")]
    Draw(#[source] MuxError),
    /// It was not drawn.
    #[error("draw the newest key frame")]
    Blocking(#[source] BlockingError),
}

/// A picture and how old it is.
#[derive(Clone, Debug)]
pub struct DrawnPicture {
    /// JPEG, at most 1,280 pixels wide.
    pub jpeg: Bytes,
    /// When its frame arrived.
    pub arrived: Instant,
}

/// Draws, a few at a time. Cheap to clone; clones share the bound.
#[derive(Clone, Debug)]
pub(super) struct Easel(Arc<Semaphore>);

impl Default for Easel {
    fn default() -> Easel {
        Easel(Arc::new(Semaphore::new(DRAWN_AT_ONCE_MAX)))
    }
}

impl Easel {
    /// The key frame as JPEG.
    pub(super) async fn draw(&self, frame: Frame) -> Result<Bytes, PictureFault> {
        let _turn = self.0.acquire().await;
        let drawn = move || key_frame_jpeg(&frame.params, &frame.data, WIDTH_MAX);
        let drawn = blocking("draw live picture", drawn).await;
        drawn
            .map_err(PictureFault::Blocking)?
            .map_err(PictureFault::Draw)
    }

    /// The newest key frame of `feed`.
    pub(super) async fn newest(&self, feed: &Feed) -> Result<DrawnPicture, PictureFault> {
        let frame = feed.newest_key_frame().ok_or(PictureFault::NoFrame)?;
        let arrived = frame.arrived;
        let jpeg = self.draw(frame).await?;
        Ok(DrawnPicture { jpeg, arrived })
    }
}

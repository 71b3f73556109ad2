//! A frame as every later part sees it, and the run it belongs to.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::domain::id::CameraId;
use crate::time::{ClockMap, MediaTime, RunId};

/// How a camera compresses its pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Codec {
    /// H.264 (AVC).
    H264,
    /// H.265 (HEVC).
    H265,
}

/// What a decoder must know before the first frame.
#[derive(Clone, PartialEq, Eq)]
pub struct VideoParams {
    /// The compression.
    pub codec: Codec,
    /// Picture width in pixels, after cropping.
    pub width: u32,
    /// Picture height in pixels, after cropping.
    pub height: u32,
    /// The parameter sets: an `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 5.3.3.1) or an
    /// `HEVCDecoderConfigurationRecord` (8.3.3.1), with 4-byte NAL lengths.
    pub extra_data: Bytes,
    /// The codec's RFC 6381 name, such as `avc1.4D401E`.
    pub rfc6381: String,
}

impl fmt::Debug for VideoParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} {}x{} {}",
            self.codec, self.width, self.height, self.rfc6381
        )
    }
}

/// One RTSP session: frames of one run share a time line and a clock map.
#[derive(Debug)]
pub struct Run {
    /// Its id, never used again.
    pub id: RunId,
    /// The camera.
    pub camera: CameraId,
    /// Camera time to our monotonic time; gets better with every frame, so a clip's window is put
    /// into media time only when the clip is settled.
    pub clock: Mutex<ClockMap>,
}

impl Run {
    /// A new run that begins about `now`.
    pub fn new(camera: CameraId, now: Instant) -> Arc<Run> {
        Arc::new(Run {
            id: RunId::random(),
            camera,
            clock: Mutex::new(ClockMap::new(now)),
        })
    }

    /// When a frame of `media` arrived, or would have with the least delay; `None` before the first
    /// frame of the run.
    pub fn instant_of(&self, media: MediaTime) -> Option<Instant> {
        self.clock.lock().instant_of(media)
    }

    /// The media time that corresponds to `instant`; `None` before the first frame of the run.
    pub fn media_of(&self, instant: Instant) -> Option<MediaTime> {
        self.clock.lock().media_of(instant)
    }
}

/// One coded picture. Cloning it shares the bytes.
#[derive(Clone)]
pub struct Frame {
    /// The run it belongs to.
    pub run: Arc<Run>,
    /// What a decoder must know; the same `Arc` from key frame to key frame.
    pub params: Arc<VideoParams>,
    /// Presentation time; never goes back within a run (streams with B-frames are refused).
    pub media: MediaTime,
    /// When its last packet was read.
    pub arrived: Instant,
    /// Can decoding start here?
    pub is_key: bool,
    /// RTP packets lost since the frame before; more than 0 means that this frame, and those up to the
    /// next key frame, may show wrong pictures.
    pub n_lost: u32,
    /// The NAL units, each after its 4-byte big-endian length.
    pub data: Bytes,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("run", &self.run.id)
            .field("media", &self.media.0)
            .field("is_key", &self.is_key)
            .field("n_lost", &self.n_lost)
            .field("bytes", &self.data.len())
            .finish_non_exhaustive()
    }
}

//! Video containers: fragmented MP4 to disk, the exact export of a clip, RTP packets for simulated
//! cameras, a key frame as a picture. Nothing here decodes but [`key_frame_jpeg`], and nothing
//! encodes video: a clip is remuxed, never re-encoded.
//!
//! The only module that names FFmpeg, and the only one with unsafe code (all of it in `av`).
//! Standards: ISO/IEC 14496-12 (boxes), 14496-15 (H.264 and H.265 in them), RFC 6184 and RFC 7798.

mod av;
mod export;
mod fragment;
mod params;
mod picture;
mod read;
mod rtp;

use std::path::PathBuf;

use bytes::Bytes;

pub use export::{Export, ExportPart, ExportedGop, export};
pub use fragment::FragmentWriter;
pub use picture::key_frame_jpeg;
pub use read::{FileIndex, Fragment, read_key_frame, read_samples, scan};
pub use rtp::{PACKET_BYTES_MAX, PACKET_BYTES_MIN, RtpFrame, RtpMedia, packetise};

use crate::error::Class;
use crate::time::MediaTime;

/// One coded picture on a file's time line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Presentation time, which is decoding time too (streams with B-frames are refused).
    pub at: MediaTime,
    /// Time until the next picture, in 90 kHz ticks, at least 1.
    pub duration_ticks: i64,
    /// Can decoding start here?
    pub is_key: bool,
    /// The NAL units, each after its 4-byte big-endian length.
    pub data: Bytes,
}

/// What FFmpeg said.
#[derive(Debug, thiserror::Error)]
#[error("libav: {0}")]
pub struct AvError(ffmpeg_next::Error);

/// Video could not be written, read or drawn.
#[derive(Debug, thiserror::Error)]
pub enum MuxError {
    /// The writer of a container could not start: parameter sets that FFmpeg refuses.
    #[error("start a {format} writer")]
    Start {
        /// FFmpeg's name of the container.
        format: &'static str,
        /// Why.
        #[source]
        source: AvError,
    },
    /// A frame could not be written.
    #[error("write the frame at {} ticks", .at.0)]
    Write {
        /// The frame.
        at: MediaTime,
        /// Why.
        #[source]
        source: AvError,
    },
    /// The end of a fragment or of a file could not be written.
    #[error("finish a {what}")]
    Finish {
        /// Fragment or file.
        what: &'static str,
        /// Why.
        #[source]
        source: AvError,
    },
    /// FFmpeg wrote a fragment in another form than the one we know.
    #[error("the fragment has no base time")]
    NoBaseTime,
    /// There is no frame to write.
    #[error("no frames")]
    Empty,
    /// A video file could not be opened or read.
    #[error("read {}", .path.display())]
    ReadVideo {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: AvError,
    },
    /// A footage file could not be opened or read.
    #[error("read {}", .path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No frame covers the first moment to be shown, or none of them is a key frame at its front.
    #[error("no frames from a key frame on to {} ticks", .show_from.0)]
    NotCovered {
        /// The first moment to be shown.
        show_from: MediaTime,
    },
    /// Parts of H.264 and of H.265 cannot be one video.
    #[error("parts of two codecs in one clip")]
    TwoCodecs,
    /// A key frame could not be decoded, or its picture not be drawn.
    #[error("{step} the key frame's picture")]
    Picture {
        /// Decode, scale or compress.
        step: &'static str,
        /// Why.
        #[source]
        source: AvError,
    },
    /// A video file has no H.264 or H.265 stream, or one that a gateway cannot take.
    #[error("{} {problem}", .path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Parameter sets that cannot be read.
    #[error("the parameter sets are cut short")]
    Params,
}

impl MuxError {
    /// What a retry would bring.
    pub fn class(&self) -> Class {
        match self {
            // A full or failing disk may recover; a missing file may be on a disk not yet mounted.
            MuxError::ReadFile { .. } => Class::Transient,
            MuxError::Start { .. }
            | MuxError::Write { .. }
            | MuxError::Finish { .. }
            | MuxError::NoBaseTime
            | MuxError::Empty
            | MuxError::NotCovered { .. }
            | MuxError::TwoCodecs
            | MuxError::Picture { .. }
            | MuxError::ReadVideo { .. }
            | MuxError::Unfit { .. }
            | MuxError::Params => Class::Permanent,
        }
    }
}

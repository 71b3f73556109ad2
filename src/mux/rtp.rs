//! A video file as the RTP packets of a camera that would send it (RFC 6184, RFC 7798), for the
//! simulated cameras. The session's own numbers are left open.

use std::path::Path;

use bytes::Bytes;
use ffmpeg_next::{Packet, Rescale as _, format, media};

use super::av::{Muxer, Packets, Picture, described, init};
use super::params::{in_band, video_params};
use super::{AvError, MuxError};
use crate::camera::{Codec, VideoParams};
use crate::time::MediaTime;

/// Smallest packet that [`packetise`] makes packets for: headers and a little payload.
pub const PACKET_BYTES_MIN: usize = 128;

/// Largest packet that [`packetise`] makes: what RTSP can interleave, less its header.
pub const PACKET_BYTES_MAX: usize = 65_000;

/// The payload type of all packets (the first dynamic one, RFC 3551).
const PAYLOAD_TYPE: u8 = 96;

/// Bytes of an RTP header without extensions (RFC 3550, 5.1).
const RTP_HEADER_BYTES: usize = 12;

/// A file, ready to be sent.
#[derive(Clone, Debug)]
pub struct RtpMedia {
    /// Codec, picture size, parameter sets.
    pub params: VideoParams,
    /// The payload type in every packet and in the SDP.
    pub payload_type: u8,
    /// Value of the SDP's `a=rtpmap:`, such as `96 H264/90000`.
    pub rtpmap: String,
    /// Value of the SDP's `a=fmtp:`, such as `96 packetization-mode=1; sprop-parameter-sets=…`.
    pub fmtp: String,
    /// Length of the whole, so that it can be played again and again; more than the last `at`.
    pub duration_ticks: i64,
    /// In order, `at` from 0, never empty, the first one a key frame.
    pub frames: Vec<RtpFrame>,
}

/// One frame.
#[derive(Clone, Debug)]
pub struct RtpFrame {
    /// Time since the file's first frame.
    pub at: MediaTime,
    /// Can decoding start here? Then the parameter sets come with it.
    pub is_key: bool,
    /// RTP packets with 12-byte headers, none empty. Version, payload type and marker are set;
    /// sequence number (bytes 2–3), timestamp (4–7) and SSRC (8–11) are 0 for the sender to fill in.
    pub packets: Vec<Bytes>,
}

/// Reads the first H.264 or H.265 stream of `path` and cuts it into RTP packets of at most
/// `packet_bytes_max` bytes, header included (clamped to [`PACKET_BYTES_MIN`]..=[`PACKET_BYTES_MAX`]). Blocks.
///
/// # Errors
/// [`MuxError::ReadVideo`] when the file cannot be read, [`MuxError::Unfit`] when it has no such
/// stream or one with B-frames, [`MuxError::Params`], [`MuxError::Start`] and [`MuxError::Write`]
/// when its contents are broken.
pub fn packetise(path: &Path, packet_bytes_max: usize) -> Result<RtpMedia, MuxError> {
    init();
    let read = |source| MuxError::ReadVideo {
        path: path.to_owned(),
        source: AvError(source),
    };
    let unfit = |problem| MuxError::Unfit {
        path: path.to_owned(),
        problem,
    };
    let mut input = format::input(path).map_err(read)?;
    let stream = input
        .streams()
        .best(media::Type::Video)
        .ok_or_else(|| unfit("has no video stream"))?;
    let (stream_idx, time_base) = (stream.index(), stream.time_base());
    let parameters = stream.parameters();
    let codec = match parameters.id() {
        ffmpeg_next::codec::Id::H264 => Codec::H264,
        ffmpeg_next::codec::Id::HEVC => Codec::H265,
        _ => return Err(unfit("is neither H.264 nor H.265")),
    };
    let (width, height, extra) = described(&parameters);
    let params = video_params(codec, width, height, extra)?;
    let mut sender = Sender::new(params, packet_bytes_max)?;

    loop {
        let mut packet = Packet::empty();
        match packet.read(&mut input) {
            Ok(()) if packet.stream() == stream_idx => {}
            Ok(()) => continue,
            Err(ffmpeg_next::Error::Eof) => break,
            Err(source) => return Err(read(source)),
        }
        let ticks = |t: i64| t.rescale(time_base, (1, 90_000));
        let (Some(pts), Some(data)) = (packet.pts(), packet.data()) else {
            return Err(unfit("has frames without time or data"));
        };
        if packet.dts().is_some_and(|dts| dts != pts) {
            return Err(unfit("has B-frames"));
        }
        let at = MediaTime(ticks(pts));
        sender.send(at, ticks(packet.duration()), packet.is_key(), data)?;
    }
    let media = sender.finish()?;
    match media.frames.first() {
        Some(first) if first.is_key => Ok(media),
        Some(_) => Err(unfit("does not begin with a key frame")),
        None => Err(unfit("has no frames")),
    }
}

struct Sender {
    muxer: Muxer,
    packets: Packets,
    sets: Vec<u8>,
    first_at: Option<MediaTime>,
    media: RtpMedia,
}

impl Sender {
    fn new(params: VideoParams, packet_bytes_max: usize) -> Result<Sender, MuxError> {
        let start = |source: AvError| MuxError::Start {
            format: "rtp",
            source,
        };
        let packets = Packets::default();
        let mut muxer = Muxer::packets("rtp", packets.clone()).map_err(start)?;
        let packet_bytes = packet_bytes_max
            .clamp(PACKET_BYTES_MIN, PACKET_BYTES_MAX)
            .to_string();
        let payload_type = PAYLOAD_TYPE.to_string();
        let options = [
            ("packetsize", packet_bytes.as_str()),
            ("payload_type", payload_type.as_str()),
            // Reports are the sender's own; they would be mixed into the packets here.
            ("rtpflags", "+skip_rtcp"),
            ("fflags", "+bitexact"),
        ];
        muxer.start(&params, [0; 4], &options).map_err(start)?;
        let sdp = muxer.sdp().map_err(start)?;
        let attribute = |name: &str| {
            sdp.lines()
                .find_map(|line| line.strip_prefix(name))
                .map(|value| value.trim().to_owned())
                .ok_or(MuxError::Params)
        };
        let media = RtpMedia {
            payload_type: PAYLOAD_TYPE,
            rtpmap: attribute("a=rtpmap:")?,
            fmtp: attribute("a=fmtp:")?,
            duration_ticks: 0,
            frames: Vec::new(),
            params,
        };
        Ok(Sender {
            muxer,
            packets,
            sets: in_band(&media.params)?,
            first_at: None,
            media,
        })
    }

    fn send(
        &mut self,
        at: MediaTime,
        duration_ticks: i64,
        is_key: bool,
        data: &[u8],
    ) -> Result<(), MuxError> {
        let first_at = *self.first_at.get_or_insert(at);
        let at = MediaTime(at.ticks_since(first_at));
        // As most cameras do, so that a receiver that missed the SDP's copy can start anywhere.
        let whole = if is_key {
            [self.sets.as_slice(), data].concat()
        } else {
            data.to_vec()
        };
        self.muxer
            .write(&Picture {
                at,
                duration_ticks,
                is_key,
                data: &whole,
            })
            .map_err(|source| MuxError::Write { at, source })?;
        let packets = self.packets.take().into_iter().map(open_numbers).collect();
        self.media.duration_ticks = at.0 + duration_ticks.max(1);
        self.media.frames.push(RtpFrame {
            at,
            is_key,
            packets,
        });
        Ok(())
    }

    fn finish(self) -> Result<RtpMedia, MuxError> {
        self.muxer.finish().map_err(|source| MuxError::Finish {
            what: "stream",
            source,
        })?;
        Ok(self.media)
    }
}

/// Zeroes what belongs to the session: sequence number, timestamp, SSRC.
fn open_numbers(packet: Bytes) -> Bytes {
    let mut packet = Vec::from(packet);
    if let Some(numbers) = packet.get_mut(2..RTP_HEADER_BYTES) {
        numbers.fill(0);
    }
    Bytes::from(packet)
}

//! FFmpeg's muxers writing into memory: the one place with unsafe code.
//!
//! ffmpeg-next wraps contexts and custom I/O; what it does not wrap (raw parameter sets, packets over
//! borrowed memory, ending a fragment, the SDP text) is done here, each step with its reason.

use std::ffi::c_int;
use std::io::{Cursor, Seek, SeekFrom, Write};
use std::sync::{Arc, Once};

use bytes::Bytes;
use ffmpeg_next::codec::Parameters;
use ffmpeg_next::format::context::{Output, StreamIo};
use ffmpeg_next::{Dictionary, Error, Rational, ffi, format, log};
use parking_lot::Mutex;

use super::AvError;
use crate::camera::{Codec, VideoParams};
use crate::time::MediaTime;

/// FFmpeg's own write buffer, one for each open file.
const FILE_BUFFER_BYTES: usize = 16 * 1024;

/// The same for packets: larger than any, so that one packet is one write.
const PACKET_BUFFER_BYTES: usize = 64 * 1024;

/// Longest session description that `av_sdp_create` may write.
const SDP_BYTES_MAX: usize = 16 * 1024;

/// Makes FFmpeg silent: what it has to say arrives as an error value.
pub(super) fn init() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| log::set_level(log::Level::Quiet));
}

/// A frame over borrowed memory, on its way into a muxer.
pub(super) struct Picture<'a> {
    pub(super) at: MediaTime,
    pub(super) duration_ticks: i64,
    pub(super) is_key: bool,
    pub(super) data: &'a [u8],
}

/// Where a muxer's bytes go. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Memory(Arc<Mutex<Cursor<Vec<u8>>>>);

impl Memory {
    /// Takes out what has been written so far.
    pub(super) fn take(&self) -> Vec<u8> {
        let mut cursor = self.0.lock();
        cursor.set_position(0);
        std::mem::take(cursor.get_mut())
    }

    /// Makes room for `n` bytes.
    pub(super) fn reserve(&self, n: usize) {
        self.0.lock().get_mut().reserve(n);
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Seek for Memory {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.0.lock().seek(to)
    }
}

/// Keeps every write apart: FFmpeg's RTP muxer makes one write a packet. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Packets(Arc<Mutex<Vec<Bytes>>>);

impl Packets {
    /// Takes out the packets written so far.
    pub(super) fn take(&self) -> Vec<Bytes> {
        std::mem::take(&mut *self.0.lock())
    }
}

impl Write for Packets {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().push(Bytes::copy_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A muxer with one video stream whose clock is [`MediaTime`].
pub(super) struct Muxer(Output);

impl Muxer {
    /// A muxer that can go back to patch what it has written.
    pub(super) fn seekable(format: &str, memory: Memory) -> Result<Muxer, AvError> {
        let io = StreamIo::from_write_seek_with_capacity(memory, FILE_BUFFER_BYTES);
        Muxer::over(format, io)
    }

    /// A muxer that only ever appends.
    pub(super) fn appending(format: &str, memory: Memory) -> Result<Muxer, AvError> {
        let io = StreamIo::from_write_with_capacity(memory, FILE_BUFFER_BYTES);
        Muxer::over(format, io)
    }

    /// A muxer whose every write is a packet.
    pub(super) fn packets(format: &str, packets: Packets) -> Result<Muxer, AvError> {
        let io = StreamIo::from_write_with_capacity(packets, PACKET_BUFFER_BYTES);
        Muxer::over(format, io)
    }

    fn over(format: &str, io: Result<StreamIo, Error>) -> Result<Muxer, AvError> {
        init();
        io.and_then(|io| format::output_to_stream(io, None, Some(format)))
            .map(Muxer)
            .map_err(AvError)
    }

    /// Adds the stream, tagged `tag` (the sample entry's four letters, or 0 for the muxer's choice),
    /// and writes the header.
    pub(super) fn start(
        &mut self,
        params: &VideoParams,
        tag: [u8; 4],
        options: &[(&str, &str)],
    ) -> Result<(), AvError> {
        let parameters = parameters(params, tag).map_err(AvError)?;
        let none: Option<ffmpeg_next::Codec> = None;
        let mut stream = self.0.add_stream(none).map_err(AvError)?;
        stream.set_parameters(parameters);
        stream.set_time_base(Rational(1, CLOCK_HZ));
        let options: Dictionary<'_> = options.iter().copied().collect();
        let left = self.0.write_header_with(options).map_err(AvError)?;
        // An option that the muxer does not know would silently change what is written.
        match left.iter().next() {
            None => Ok(()),
            Some(_) => Err(AvError(Error::OptionNotFound)),
        }
    }

    /// Writes one frame; FFmpeg copies it (or packetises it) before this returns.
    #[expect(unsafe_code, reason = "a packet over memory that we only borrow")]
    pub(super) fn write(&mut self, picture: &Picture<'_>) -> Result<(), AvError> {
        let size = c_int::try_from(picture.data.len()).map_err(|_too_long| {
            AvError(Error::Other {
                errno: ffmpeg_next::error::EFBIG,
            })
        })?;
        // SAFETY: AVPacket is plain C data; FFmpeg documents all zeros with these fields set as a
        // packet that owns nothing.
        let mut packet: ffi::AVPacket = unsafe { std::mem::zeroed() };
        packet.data = picture.data.as_ptr().cast_mut();
        packet.size = size;
        packet.pts = picture.at.0;
        packet.dts = picture.at.0;
        packet.duration = picture.duration_ticks;
        packet.flags = if picture.is_key {
            ffi::AV_PKT_FLAG_KEY
        } else {
            0
        };
        // SAFETY: the context is open and has a stream 0. av_write_frame does not take ownership of a
        // packet without `buf`, does not write to its data, and is done with it when it returns: the
        // mov and rtp muxers hold no packets back.
        let code = unsafe { ffi::av_write_frame(self.0.as_mut_ptr(), &raw mut packet) };
        check(code)
    }

    /// Ends what the muxer has gathered (a fragment) and hands all bytes on.
    #[expect(unsafe_code, reason = "ffmpeg-next has no call without a packet")]
    pub(super) fn flush(&mut self) -> Result<(), AvError> {
        // SAFETY: the context is open; a null packet is the documented request to flush.
        let code = unsafe { ffi::av_write_frame(self.0.as_mut_ptr(), std::ptr::null_mut()) };
        check(code)
    }

    /// Writes the end of the file.
    pub(super) fn finish(mut self) -> Result<(), AvError> {
        self.0.write_trailer().map_err(AvError)
    }

    /// The session description (RFC 8866) of an RTP muxer that was started.
    #[expect(
        unsafe_code,
        reason = "ffmpeg-next does not wrap av_sdp_create for one"
    )]
    pub(super) fn sdp(&mut self) -> Result<String, AvError> {
        let mut text = vec![0u8; SDP_BYTES_MAX];
        let size = c_int::try_from(text.len()).unwrap_or(c_int::MAX);
        // SAFETY: one context in an array of one; `text` has `size` writable bytes, and FFmpeg ends
        // what it writes there with NUL.
        let code = unsafe {
            let mut context = self.0.as_mut_ptr();
            ffi::av_sdp_create(&raw mut context, 1, text.as_mut_ptr().cast(), size)
        };
        check(code)?;
        let end = text.iter().position(|&b| b == 0).unwrap_or(text.len());
        text.truncate(end);
        String::from_utf8(text).map_err(|_not_text| AvError(Error::InvalidData))
    }
}

/// [`MediaTime::HZ`] as FFmpeg counts.
const CLOCK_HZ: i32 = 90_000;
const _: () = assert!(MediaTime::HZ == 90_000);

fn check(code: c_int) -> Result<(), AvError> {
    if code < 0 {
        Err(AvError(Error::from(code)))
    } else {
        Ok(())
    }
}

/// FFmpeg's description of a stream of `params`.
#[expect(unsafe_code, reason = "ffmpeg-next cannot set size and parameter sets")]
pub(super) fn parameters(params: &VideoParams, tag: [u8; 4]) -> Result<Parameters, Error> {
    let no_memory = Error::Other {
        errno: ffmpeg_next::error::ENOMEM,
    };
    let too_large = Error::InvalidData;
    let width = c_int::try_from(params.width).map_err(|_wide| too_large)?;
    let height = c_int::try_from(params.height).map_err(|_high| too_large)?;
    let extra_bytes = c_int::try_from(params.extra_data.len()).map_err(|_long| too_large)?;
    const PADDING_BYTES: usize = ffi::AV_INPUT_BUFFER_PADDING_SIZE.unsigned_abs() as usize;

    let mut parameters = Parameters::new();
    parameters.set_medium(ffmpeg_next::media::Type::Video);
    parameters.set_id(match params.codec {
        Codec::H264 => ffmpeg_next::codec::Id::H264,
        Codec::H265 => ffmpeg_next::codec::Id::HEVC,
    });
    // SAFETY: `Parameters::new` owns one zeroed AVCodecParameters, which nothing else points to; it is
    // null only when memory ran out, which as_mut tells.
    let raw = unsafe { parameters.as_mut_ptr().as_mut() }.ok_or(no_memory)?;
    raw.codec_tag = u32::from_le_bytes(tag);
    raw.width = width;
    raw.height = height;
    // SAFETY: a plain allocation; the padding is zeroed with it, as libavcodec demands of extradata.
    let extra = unsafe { ffi::av_mallocz(params.extra_data.len() + PADDING_BYTES) }.cast::<u8>();
    if extra.is_null() {
        return Err(no_memory);
    }
    // SAFETY: `extra` has at least `extra_data.len()` bytes and was made this moment, so the two do
    // not overlap. avcodec_parameters_free frees it.
    unsafe {
        std::ptr::copy_nonoverlapping(params.extra_data.as_ptr(), extra, params.extra_data.len());
    }
    raw.extradata = extra;
    raw.extradata_size = extra_bytes;
    Ok(parameters)
}

/// Size and parameter sets of a stream that FFmpeg has opened.
#[expect(
    unsafe_code,
    reason = "ffmpeg-next cannot read size and parameter sets"
)]
pub(super) fn described(parameters: &Parameters) -> (u32, u32, Bytes) {
    // SAFETY: `parameters` points to a live AVCodecParameters for as long as it is borrowed.
    let raw = unsafe { &*parameters.as_ptr() };
    let n_extra = usize::try_from(raw.extradata_size).unwrap_or(0);
    let extra = if raw.extradata.is_null() {
        Bytes::new()
    } else {
        // SAFETY: extradata points to extradata_size readable bytes.
        Bytes::copy_from_slice(unsafe { std::slice::from_raw_parts(raw.extradata, n_extra) })
    };
    let size = |n: c_int| u32::try_from(n).unwrap_or(0);
    (size(raw.width), size(raw.height), extra)
}

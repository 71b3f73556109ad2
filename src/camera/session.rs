//! One RTSP session with a camera (RFC 2326): from DESCRIBE to TEARDOWN, video frames out.
//!
//! The only module that names retina. Not here: when to dial (`dial`), what becomes of the frames
//! (`life`).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use retina::client::{
    Credentials, Demuxed, Described, InitialSequenceNumberPolicy, PlayOptions, SessionGroup,
    SessionIdPolicy, SessionOptions, SetupOptions, TcpTransportOptions, UdpTransportOptions,
};
use retina::codec::{CodecItem, FrameFormat, ParametersRef, VideoFrame, VideoParametersCodec};
use tokio::time::{Instant, timeout};
use url::Url;

use super::dial::peer_name;
use super::error::{RtspError, SessionError, Stage};
use super::frame::{Codec, VideoParams};
use super::options::{CameraOptions, Transport};
use crate::domain::secret::Secret;
use crate::time::WallTime;

/// Longest time from DESCRIBE to the answer to PLAY, for a camera of which nothing bad is known.
const DIAL_WITHIN: Duration = Duration::from_secs(5);

/// The same for a camera that did not make it in that time: it may only be slow, and now it has a
/// lane of its own to be slow in.
const DIAL_WITHIN_SLOW: Duration = Duration::from_secs(15);

/// How long a dial may hold its permit for the first frame; a frame a second is the slowest sensible.
const FIRST_FRAME_WITHIN: Duration = Duration::from_secs(3);

/// Longest wait for the answer to TEARDOWN.
const TEARDOWN_WITHIN: Duration = Duration::from_secs(2);

/// Packets in a row that may be unreadable before the session is given up: the rest of a large key
/// frame whose beginning we missed, 1 MB in packets of 1 kB.
const UNREADABLE_MAX: u32 = 1_000;

/// How a stream is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) url: Url,
    pub(super) transport: Transport,
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
}

impl Source {
    pub(super) fn of(camera: &CameraOptions) -> Source {
        Source {
            url: camera.url.clone(),
            transport: camera.transport,
            username: camera.username.clone(),
            password: camera.password.clone(),
        }
    }

    /// The camera's sub stream, with the same transport and log-in; `None` when it has none.
    pub(super) fn sub_of(camera: &CameraOptions) -> Option<Source> {
        let url = camera.sub_url.clone()?;
        Some(Source {
            url,
            ..Source::of(camera)
        })
    }

    fn credentials(&self) -> Option<Credentials> {
        let username = self.username.clone()?;
        let password = self.password.as_ref().map(Secret::reveal);
        Some(Credentials {
            username,
            password: password.unwrap_or_default().to_owned(),
        })
    }
}

/// What comes out of a session.
#[derive(Debug)]
pub(super) enum Item {
    Frame(CodedFrame),
    /// The camera's wall clock at one moment of its media clock, in ticks.
    Clock {
        ticks: i64,
        wall: WallTime,
    },
}

/// A frame with the camera's own time.
#[derive(Debug)]
pub(super) struct CodedFrame {
    /// 90 kHz, any origin, may jump.
    pub(super) ticks: i64,
    pub(super) arrived: Instant,
    pub(super) is_key: bool,
    /// Packets lost before it, those unreadable included.
    pub(super) n_lost: u32,
    pub(super) data: Bytes,
}

/// A session that plays.
pub(super) struct Session {
    demuxed: Demuxed,
    stream_idx: usize,
    codec: Codec,
    params: Option<Arc<VideoParams>>,
    first: Option<Item>,
    /// Unreadable packets since the last frame.
    n_unreadable: u32,
}

/// Remembers a session until the camera knows that it has ended.
#[derive(Clone)]
pub(super) struct Hangup(Arc<SessionGroup>);

impl Hangup {
    pub(super) fn new() -> Hangup {
        Hangup(Arc::default())
    }

    /// Waits until the TEARDOWN of the dropped session was answered, or long enough.
    pub(super) async fn done(&self) {
        // A camera that does not answer forgets the session by itself; nothing to do about it.
        drop(timeout(TEARDOWN_WITHIN, self.0.await_teardown()).await);
    }
}

impl Session {
    /// Asks for the stream and waits for its first frame; longer when the camera `is_slow`. Dropping
    /// the session sends TEARDOWN, which `hangup` waits for.
    ///
    /// # Errors
    /// Any [`SessionError`] but those of the knock.
    pub(super) async fn dial(
        source: &Source,
        hangup: &Hangup,
        is_slow: bool,
    ) -> Result<Session, SessionError> {
        let within = if is_slow {
            DIAL_WITHIN_SLOW
        } else {
            DIAL_WITHIN
        };
        let mut session = match timeout(within, Session::open(source, hangup)).await {
            Ok(opened) => opened?,
            Err(_) => {
                let peer = peer_name(&source.url);
                return Err(SessionError::Mute { peer, within });
            }
        };
        if let Ok(first) = timeout(FIRST_FRAME_WITHIN, session.next()).await {
            session.first = Some(first?);
        }
        Ok(session)
    }

    async fn open(source: &Source, hangup: &Hangup) -> Result<Session, SessionError> {
        let options = SessionOptions::default()
            .creds(source.credentials())
            .user_agent(concat!("stairgate/", env!("CARGO_PKG_VERSION")).to_owned())
            .session_id(SessionIdPolicy::UseFirst)
            .session_group(Arc::clone(&hangup.0));
        let mut described = retina::client::Session::describe(source.url.clone(), options)
            .await
            .map_err(|err| rtsp(Stage::Describe, &err))?;
        let (stream_idx, codec) = pick_stream(&described)?;
        let transport = match source.transport {
            Transport::Tcp => retina::client::Transport::Tcp(TcpTransportOptions::default()),
            Transport::Udp => retina::client::Transport::Udp(UdpTransportOptions::default()),
        };
        let setup = SetupOptions::default()
            .transport(transport)
            .frame_format(FrameFormat::MP4);
        described
            .setup(stream_idx, setup)
            .await
            .map_err(|err| rtsp(Stage::Setup, &err))?;
        // What RTP-Info says of sequence numbers is often wrong, and counts as loss what was not.
        let play = PlayOptions::default().initial_seq(InitialSequenceNumberPolicy::Ignore);
        let playing = described
            .play(play)
            .await
            .map_err(|err| rtsp(Stage::Play, &err))?;
        let demuxed = playing
            .demuxed()
            .map_err(|err| rtsp(Stage::Describe, &err))?;
        Ok(Session {
            demuxed,
            stream_idx,
            codec,
            params: None,
            first: None,
            n_unreadable: 0,
        })
    }

    /// The next item.
    ///
    /// # Errors
    /// [`SessionError::Closed`] or [`SessionError::Rtsp`] when the session is over.
    ///
    /// # Cancel safety
    /// Safe: an item is either returned or still to come.
    pub(super) async fn next(&mut self) -> Result<Item, SessionError> {
        if let Some(first) = self.first.take() {
            return Ok(first);
        }
        loop {
            let result = self.demuxed.next().await;
            if let Some(item) = self.take(result)? {
                return Ok(item);
            }
        }
    }

    /// The next item if it is there already.
    ///
    /// # Errors
    /// As [`Session::next`].
    pub(super) fn next_now(&mut self) -> Option<Result<Item, SessionError>> {
        // Without `unconstrained` a poll would say "nothing there" after 128 reads.
        tokio::task::unconstrained(self.next()).now_or_never()
    }

    /// The parameters as of the frame returned last; `None`: the camera has sent none.
    pub(super) fn params(&self) -> Option<&Arc<VideoParams>> {
        self.params.as_ref()
    }

    fn take(
        &mut self,
        result: Option<Result<CodecItem, retina::Error>>,
    ) -> Result<Option<Item>, SessionError> {
        match result {
            None => Err(SessionError::Closed),
            Some(Ok(CodecItem::VideoFrame(frame))) => Ok(self.take_frame(frame)),
            Some(Ok(CodecItem::Rtcp(packet))) => Ok(clock_of(&packet)),
            Some(Ok(_)) => Ok(None),
            Some(Err(err)) => {
                // The depacketizer goes on after a packet that it could not read; other errors come
                // again until the count is full.
                self.n_unreadable += 1;
                if self.n_unreadable > UNREADABLE_MAX {
                    return Err(rtsp(Stage::Stream, &err));
                }
                Ok(None)
            }
        }
    }

    fn take_frame(&mut self, frame: VideoFrame) -> Option<Item> {
        if frame.has_new_parameters() || self.params.is_none() {
            self.params = self.read_params().or(self.params.take());
        }
        let n_lost = u32::from(frame.loss()).saturating_add(self.n_unreadable);
        let is_key = frame.is_random_access_point();
        let ticks = frame.timestamp().timestamp();
        let data = frame.into_data();
        if is_key && !has_key_picture(self.codec, &data) {
            // Something without a picture, such as a lone access unit delimiter.
            return None;
        }
        self.n_unreadable = 0;
        Some(Item::Frame(CodedFrame {
            ticks,
            arrived: Instant::now(),
            is_key,
            n_lost,
            // The vector was made with the exact size, so this does not copy.
            data: Bytes::from(data),
        }))
    }

    fn read_params(&self) -> Option<Arc<VideoParams>> {
        let stream = self.demuxed.streams().get(self.stream_idx)?;
        let Some(ParametersRef::Video(params)) = stream.parameters() else {
            return None;
        };
        let codec = match params.codec_params() {
            VideoParametersCodec::H264 { .. } => Codec::H264,
            VideoParametersCodec::H265 { .. } => Codec::H265,
            _ => return None,
        };
        let (width, height) = params.pixel_dimensions();
        let fresh = VideoParams {
            codec,
            width,
            height,
            extra_data: Bytes::copy_from_slice(params.extra_data()),
            rfc6381: params.rfc6381_codec().to_owned(),
        };
        match &self.params {
            Some(known) if **known == fresh => Some(Arc::clone(known)),
            _ => Some(Arc::new(fresh)),
        }
    }
}

fn pick_stream(
    described: &retina::client::Session<Described>,
) -> Result<(usize, Codec), SessionError> {
    let mut other = None;
    for (idx, stream) in described.streams().iter().enumerate() {
        if stream.media() != "video" {
            continue;
        }
        match stream.encoding_name() {
            "h264" => return Ok((idx, Codec::H264)),
            "h265" => return Ok((idx, Codec::H265)),
            encoding => other = other.or(Some(encoding)),
        }
    }
    match other {
        Some(encoding) => Err(SessionError::Codec {
            encoding: RtspError::new(encoding, None).to_string(),
        }),
        None => Err(SessionError::NoVideo),
    }
}

/// Is there a coded picture that decoding can start at? `data` is NAL units after 4-byte lengths.
fn has_key_picture(codec: Codec, data: &[u8]) -> bool {
    let mut rest = data;
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let is_key = match (codec, after.first()) {
            // IDR slice (H.264, table 7-1).
            (Codec::H264, Some(header)) => header & 0x1f == 5,
            // BLA, IDR and CRA slices (H.265, table 7-1).
            (Codec::H265, Some(header)) => (16..=21).contains(&((header >> 1) & 0x3f)),
            (_, None) => false,
        };
        if is_key {
            return true;
        }
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        rest = after.get(length..).unwrap_or_default();
    }
    false
}

/// The camera's wall clock, when the packet is a sender report (RFC 3550, 6.4.1) of one that knows
/// the time; others count from their start, which ends up before 1970.
fn clock_of(packet: &retina::rtcp::ReceivedCompoundPacket) -> Option<Item> {
    let ticks = packet.rtp_timestamp()?.timestamp();
    let report = packet.pkts().next()?.as_sender_report().ok()??;
    let since_1970 = report.ntp_timestamp().0.checked_sub(retina::UNIX_EPOCH.0)?;
    let (seconds, fraction) = (since_1970 >> 32, since_1970 & 0xffff_ffff);
    let ns = seconds * 1_000_000_000 + ((fraction * 1_000_000_000) >> 32);
    Some(Item::Clock {
        ticks,
        wall: WallTime::from_unix_ns(i64::try_from(ns).ok()?),
    })
}

fn rtsp(stage: Stage, err: &retina::Error) -> SessionError {
    SessionError::Rtsp {
        stage,
        source: RtspError::new(&err.to_string(), err.status_code()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_frame_has_a_key_picture() {
        let delimiter = [0, 0, 0, 2, 0x09, 0xf0];
        let idr = [0, 0, 0, 2, 0x65, 0x88];
        assert!(!has_key_picture(Codec::H264, &delimiter));
        assert!(has_key_picture(Codec::H264, &[delimiter, idr].concat()));
        let cra = [0, 0, 0, 3, 21 << 1, 1, 0];
        assert!(has_key_picture(Codec::H265, &cra));
        assert!(!has_key_picture(Codec::H265, &idr));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(data in prop::collection::vec(any::<u8>(), 0..64)) {
            has_key_picture(Codec::H264, &data);
            has_key_picture(Codec::H265, &data);
        }
    }
}

//! One look at one camera: what it sends, and whether that is fit for clips.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::dial::knock;
use super::error::SessionError;
use super::frame::{Codec, VideoParams};
use super::options::Transport;
use super::ring::RingOptions;
use super::session::{CodedFrame, Hangup, Item, Session, Source};
use super::status::signed_s;
use super::timeline::{Placed, Timeline};
use crate::domain::id::CameraId;
use crate::domain::secret::Secret;
use crate::time::{Clock, MediaTime, ticks_to_ns};

/// Key frames further apart than this are worth a word.
const KEY_FRAME_INTERVAL_MAX_S: f64 = 5.0;

/// Fewer frames a second than this are worth a word.
const FPS_MIN: f64 = 5.0;

/// A camera's clock further off than this is worth a word.
const CLOCK_OFFSET_MAX_S: f64 = 2.0;

/// What a camera sends.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Probe {
    /// The compression.
    pub codec: Codec,
    /// The codec's RFC 6381 name.
    pub rfc6381: String,
    /// Picture width in pixels.
    pub width: u32,
    /// Picture height in pixels.
    pub height: u32,
    /// Milliseconds from the call to the first frame.
    pub first_frame_ms: u64,
    /// Frames a second by the camera's clock; `None` with less than a second of frames.
    pub fps: Option<f64>,
    /// Bits a second by the camera's clock; `None` with less than a second of frames.
    pub bits_per_s: Option<f64>,
    /// Longest time between key frames in seconds; `None` when fewer than two came.
    pub key_frame_interval_s: Option<f64>,
    /// RTP packets lost.
    pub lost_packets: u64,
    /// Camera's clock less ours, in seconds; `None` when it did not say.
    pub clock_offset_s: Option<f64>,
    /// What is not as it should be, each with what to do; empty when all is well.
    pub warnings: Vec<String>,
}

impl Probe {
    /// `good`, or all warnings.
    pub fn verdict(&self) -> String {
        if self.warnings.is_empty() {
            "good".to_owned()
        } else {
            self.warnings.join("; ")
        }
    }
}

/// Looks at the stream at `url` for `within` (10 s tell most), with user name and password when the
/// camera asks for them.
///
/// # Errors
/// Any [`SessionError`]; [`SessionError::advice`] says what to do about it.
pub async fn probe(
    url: &Url,
    login: Option<(String, Secret)>,
    transport: Transport,
    within: Duration,
    clock: &Clock,
) -> Result<Probe, SessionError> {
    let seen = probe_picture(url, login, transport, within, clock).await;
    seen.map(|(probe, _)| probe)
}

/// A key frame with what it takes to decode it.
#[derive(Clone, Debug)]
pub struct KeyFrame {
    /// Of the stream.
    pub params: Arc<VideoParams>,
    /// NAL units after 4-byte lengths.
    pub data: Bytes,
}

/// The same, with the newest key frame that came.
///
/// # Errors
/// As [`probe`].
pub async fn probe_picture(
    url: &Url,
    login: Option<(String, Secret)>,
    transport: Transport,
    within: Duration,
    clock: &Clock,
) -> Result<(Probe, Option<KeyFrame>), SessionError> {
    let (username, password) = login.unzip();
    let source = Source {
        url: url.clone(),
        transport,
        username,
        password,
    };
    let began = Instant::now();
    knock(url).await?;
    let hangup = Hangup::new();
    let seen = look(&source, &hangup, within, clock).await;
    hangup.done().await;
    let seen = seen?;
    let params = seen.session_params()?;
    let fps = seen.rate(u64::from(seen.n_frames.saturating_sub(1)));
    let bits_per_s = seen.rate(seen.bytes_before_last.saturating_mul(8));
    let first_frame_ms = seen.first_at.saturating_duration_since(began).as_millis();
    let mut probe = Probe {
        codec: params.codec,
        rfc6381: params.rfc6381.clone(),
        width: params.width,
        height: params.height,
        first_frame_ms: u64::try_from(first_frame_ms).unwrap_or(u64::MAX),
        fps,
        bits_per_s,
        key_frame_interval_s: seen.key_interval.map(|interval| interval.as_secs_f64()),
        lost_packets: seen.n_lost,
        clock_offset_s: seen.clock_offset_ns.map(signed_s),
        warnings: Vec::new(),
    };
    probe.warnings = warnings(&probe, within);
    let params = Arc::clone(params);
    let key_frame = seen.key_frame.map(|data| KeyFrame { params, data });
    Ok((probe, key_frame))
}

struct Seen {
    params: Option<Arc<VideoParams>>,
    began: Instant,
    first_at: Instant,
    n_frames: u32,
    bytes_before_last: u64,
    last_bytes: u64,
    newest: MediaTime,
    key_at: Option<MediaTime>,
    key_interval: Option<Duration>,
    n_lost: u64,
    clock_offset_ns: Option<i64>,
    key_frame: Option<Bytes>,
}

async fn look(
    source: &Source,
    hangup: &Hangup,
    within: Duration,
    clock: &Clock,
) -> Result<Seen, SessionError> {
    let mut session = Session::dial(source, hangup, true).await?;
    let now = Instant::now();
    let camera = CameraId::new("probe").expect("five letters are an id");
    let mut timeline = Timeline::new(camera);
    let mut seen = Seen {
        params: None,
        began: now,
        first_at: now,
        n_frames: 0,
        bytes_before_last: 0,
        last_bytes: 0,
        newest: MediaTime(0),
        key_at: None,
        key_interval: None,
        n_lost: 0,
        clock_offset_ns: None,
        key_frame: None,
    };
    let until = now + within;
    // `timeout_at` alone would go on for ever while items are there at once.
    while Instant::now() < until {
        let Ok(item) = timeout_at(until, session.next()).await else {
            break;
        };
        match item? {
            Item::Frame(frame) => {
                seen.take(&mut timeline, &frame)?;
                seen.params = session.params().cloned();
            }
            Item::Clock { ticks, wall } => {
                let at = timeline.instant_of(ticks);
                seen.clock_offset_ns = at.map(|at| wall.ns_since(clock.at(at)));
            }
        }
    }
    Ok(seen)
}

impl Seen {
    fn take(&mut self, timeline: &mut Timeline, frame: &CodedFrame) -> Result<(), SessionError> {
        self.n_lost += u64::from(frame.n_lost);
        let media = match timeline.place(frame.ticks, frame.is_key, frame.arrived) {
            Placed::On(_, media) => media,
            Placed::OutOfOrder => return Ok(()),
            Placed::BFrames => return Err(SessionError::BFrames),
        };
        if self.n_frames == 0 {
            self.first_at = frame.arrived;
        }
        self.n_frames += 1;
        self.bytes_before_last += self.last_bytes;
        self.last_bytes = u64::try_from(frame.data.len()).unwrap_or(u64::MAX);
        self.newest = media;
        if frame.is_key {
            self.key_frame = Some(frame.data.clone());
        }
        if frame.is_key
            && let Some(before) = self.key_at.replace(media)
        {
            let ns = ticks_to_ns(media.ticks_since(before));
            let interval = Duration::from_nanos(u64::try_from(ns).unwrap_or(0));
            self.key_interval = Some(self.key_interval.unwrap_or_default().max(interval));
        }
        Ok(())
    }

    fn session_params(&self) -> Result<&Arc<VideoParams>, SessionError> {
        let looked = self.began.elapsed();
        if self.n_frames == 0 {
            return Err(SessionError::Stalled(looked));
        }
        self.params.as_ref().ok_or(SessionError::NoParams(looked))
    }

    /// `n` a second of media time; `None` with less than a second.
    fn rate(&self, n: u64) -> Option<f64> {
        let span_s = signed_s(self.newest.ns());
        let n = u32::try_from(n).ok()?;
        (span_s >= 1.0).then(|| f64::from(n) / span_s)
    }
}

fn warnings(probe: &Probe, within: Duration) -> Vec<String> {
    let mut warnings = Vec::new();
    match probe.key_frame_interval_s {
        Some(s) if s > KEY_FRAME_INTERVAL_MAX_S => warnings.push(format!(
            "a key frame every {s:.1} s: clips carry up to as much before their beginning, and live \
             pictures start as late; set the key-frame interval to 1 to 4 s"
        )),
        Some(_) => {}
        None => warnings.push(format!(
            "fewer than two key frames within {} s: set the key-frame interval to 1 to 4 s",
            within.as_secs()
        )),
    }
    if probe.codec == Codec::H265 {
        warnings.push(
            "H.265: not every browser shows it; H.264 is shown everywhere, for about twice the bytes"
                .to_owned(),
        );
    }
    if let Some(fps) = probe.fps
        && fps < FPS_MIN
    {
        warnings.push(format!("only {fps:.1} frames a second: set 10 or more"));
    }
    if probe.lost_packets > 0 {
        warnings.push(format!(
            "{} packets lost within {} s: use transport tcp, or look at the network",
            probe.lost_packets,
            within.as_secs()
        ));
    }
    if let Some(offset_s) = probe.clock_offset_s
        && offset_s.abs() > CLOCK_OFFSET_MAX_S
    {
        warnings.push(format!(
            "the camera's clock is off by {offset_s:+.1} s: give it a time server"
        ));
    }
    warnings.extend(ring_warning(probe));
    warnings
}

/// A ring of ordinary size that cannot hold the pre-roll and one GOP.
fn ring_warning(probe: &Probe) -> Option<String> {
    let ring = RingOptions::DEFAULT;
    let pre_roll_s = Duration::from_millis(ring.media_ms_max).as_secs_f64();
    let held_s = pre_roll_s + probe.key_frame_interval_s.unwrap_or_default();
    let needs_mib = probe.bits_per_s? * held_s / 8.0 / f64::from(1 << 20);
    let holds_mib = u32::try_from(ring.bytes_max >> 20).ok()?;
    (needs_mib > f64::from(holds_mib)).then(|| {
        format!("its pre-roll needs {needs_mib:.0} MiB, more than {holds_mib}: lower the bit rate")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_warning_says_what_to_do() {
        let good = Probe {
            codec: Codec::H264,
            rfc6381: "avc1.4D401E".to_owned(),
            width: 1_920,
            height: 1_080,
            first_frame_ms: 40,
            fps: Some(25.0),
            bits_per_s: Some(4e6),
            key_frame_interval_s: Some(2.0),
            lost_packets: 0,
            clock_offset_s: Some(-0.2),
            warnings: Vec::new(),
        };
        let within = Duration::from_secs(10);
        assert_eq!(warnings(&good, within), Vec::<String>::new());
        let bad = Probe {
            codec: Codec::H265,
            fps: Some(2.0),
            bits_per_s: Some(50e6),
            key_frame_interval_s: None,
            lost_packets: 7,
            clock_offset_s: Some(-3_600.0),
            ..good
        };
        insta::assert_snapshot!(warnings(&bad, within).join("\n"), @r"
        fewer than two key frames within 10 s: set the key-frame interval to 1 to 4 s
        H.265: not every browser shows it; H.264 is shown everywhere, for about twice the bytes
        only 2.0 frames a second: set 10 or more
        7 packets lost within 10 s: use transport tcp, or look at the network
        the camera's clock is off by -3600.0 s: give it a time server
        its pre-roll needs 72 MiB, more than 64: lower the bit rate
        ");
    }
}

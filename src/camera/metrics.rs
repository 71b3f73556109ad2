//! The cameras' metrics, read from the feeds at each scrape; labels come from the configuration.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::feed::Feed;
use super::set::Slots;
use super::status::{CameraStatus, Dropped};
use crate::domain::id::CameraId;

/// Reads all feeds when `/metrics` is asked for.
#[derive(Debug)]
pub(super) struct CameraMetrics(pub(super) Arc<Slots>);

struct Labels<'a>(&'a CameraId);

impl EncodeLabelSet for Labels<'_> {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelSetEncoder<'_>,
    ) -> fmt::Result {
        [("camera", self.0.as_str())].encode(encoder)
    }
}

struct DropLabels<'a>(&'a CameraId, Dropped);

impl EncodeLabelSet for DropLabels<'_> {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelSetEncoder<'_>,
    ) -> fmt::Result {
        [("camera", self.0.as_str()), ("reason", self.1.as_str())].encode(encoder)
    }
}

/// Name, help, and what of a camera it is; `None` while it is not known.
type Counter = (&'static str, &'static str, fn(&CameraStatus) -> u64);
type Gauge = (&'static str, &'static str, fn(&CameraStatus) -> Option<f64>);

const COUNTERS: [Counter; 4] = [
    ("camera_frames", "Frames taken into the ring", |status| {
        status.frames
    }),
    ("camera_bytes", "Coded bytes received", |status| {
        status.bytes
    }),
    ("camera_lost_packets", "RTP packets lost", |status| {
        status.lost_packets
    }),
    ("camera_sessions", "RTSP sessions begun", |status| {
        status.sessions
    }),
];

const GAUGES: [Gauge; 5] = [
    (
        "camera_up",
        "1 while a session has sent a key frame",
        |status| Some(if status.up { 1.0 } else { 0.0 }),
    ),
    (
        "camera_keyframe_age_seconds",
        "Age of the newest key frame",
        |status| status.key_frame_age_s,
    ),
    (
        "camera_clock_offset_seconds",
        "Camera's clock less ours, from RTCP sender reports",
        |status| status.clock_offset_s,
    ),
    ("ring_bytes", "Bytes in the pre-roll ring", |status| {
        u32::try_from(status.ring_bytes).ok().map(f64::from)
    }),
    ("ring_seconds", "Seconds in the pre-roll ring", |status| {
        Some(status.ring_s)
    }),
];

impl Collector for CameraMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let feeds = self.0.feeds();
        let statuses: Vec<CameraStatus> = feeds.iter().map(Feed::status).collect();
        for (name, help, value) in COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for status in &statuses {
                let counter = ConstCounter::new(value(status));
                counter.encode(family.encode_family(&Labels(&status.camera))?)?;
            }
        }
        for (name, help, value) in GAUGES {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for status in &statuses {
                if let Some(value) = value(status) {
                    let gauge = ConstGauge::new(value);
                    gauge.encode(family.encode_family(&Labels(&status.camera))?)?;
                }
            }
        }
        encode_drops(&mut encoder, &feeds)
    }
}

fn encode_drops(encoder: &mut DescriptorEncoder<'_>, feeds: &[Feed]) -> fmt::Result {
    let mut family = encoder.encode_descriptor(
        "camera_dropped_frames",
        "Frames that did not reach the ring",
        None,
        MetricType::Counter,
    )?;
    for feed in feeds {
        let dropped: Vec<_> = feed.look(|_, facts| facts.n_dropped().collect());
        for (why, n) in dropped {
            let labels = DropLabels(feed.camera(), why);
            ConstCounter::new(n).encode(family.encode_family(&labels)?)?;
        }
    }
    let mut family = encoder.encode_descriptor(
        "ring_squeezed_gops",
        "GOPs that left the ring before their time, for want of bytes",
        None,
        MetricType::Counter,
    )?;
    for feed in feeds {
        let n = feed.look(|ring, _| ring.totals().n_gops_squeezed);
        ConstCounter::new(n).encode(family.encode_family(&Labels(feed.camera()))?)?;
    }
    Ok(())
}

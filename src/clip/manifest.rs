//! What is in an exported clip, for whoever must trust it later: asked for and shown, gaps, clocks,
//! and sums of the file and of each GOP, so that a flipped byte names its place.
//!
//! No personal data: neither card nor holder nor dwelling.

use serde_json::{Value, json};

use super::{ExportedClip, sha256_hex};
use crate::domain::clip::{ClipRecord, ClipWindow};
use crate::domain::entry::Entry;
use crate::time::MediaTime;

/// Version of the manifest's form.
const MANIFEST_VERSION: u32 = 1;

/// The manifest of `exported`, which was made of `record`, one of the clips of `entry`.
///
/// `gops` cover the file's pictures without a break; `head_sha256` covers what stands before them. A
/// GOP's `at_ms` is its time from the first moment shown, negative when it is only decoded.
pub fn manifest(entry: &Entry, record: &ClipRecord, exported: &ExportedClip) -> Value {
    let gops = exported.gops.iter().map(|gop| {
        let bytes = exported.file.get(gop.bytes.clone()).unwrap_or_default();
        json!({
            "offset": gop.bytes.start,
            "bytes": gop.bytes.len(),
            "frames": gop.n_frames,
            "at_ms": gop.at.ns().div_euclid(1_000_000),
            "sha256": sha256_hex(bytes),
        })
    });
    let head_bytes = exported.gops.first().map_or(0, |gop| gop.bytes.start);
    let head = exported.file.get(..head_bytes).unwrap_or_default();
    let spans = record.spans.iter().map(|span| {
        json!({
            "footage": span.file,
            "starts_at": span.starts_at,
            "from_ticks": span.from,
            "to_ticks": span.to,
        })
    });
    json!({
        "v": MANIFEST_VERSION,
        "software": concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")),
        "entry": {
            "id": entry.id,
            "door": entry.door,
            "place": entry.place,
            "at": entry.at,
            "received_at": entry.received_at,
            "controller_at": entry.controller_at,
        },
        "camera": record.camera,
        "state": record.state,
        "settled_at": record.settled_at,
        "requested": window(record.window),
        "shown": window(exported.shown),
        "gaps": record.gaps,
        "spans": spans.collect::<Vec<_>>(),
        "ticks_per_second": MediaTime::HZ,
        "file": {
            "bytes": exported.file.len(),
            "sha256": exported.sha256,
            "head_bytes": head_bytes,
            "head_sha256": sha256_hex(head),
            "gops": gops.collect::<Vec<_>>(),
        },
    })
}

fn window(window: ClipWindow) -> Value {
    let ms = window.to.ns_since(window.from) / 1_000_000;
    json!({ "from": window.from, "to": window.to, "ms": ms })
}

//! The boxes of a footage file: the two we write before each fragment, and a reader that finds the
//! whole fragments of a file that may end anywhere.
//!
//! A file is `ftyp moov` and then fragments of `prft [uuid] moof mdat` (ISO/IEC 14496-12: 4.2 box
//! header, 8.8 movie fragments, 8.16.5 producer reference time). The `uuid` box is ours and holds
//! the flaws of the fragment; players skip it. Not here: `moof` and `mdat` themselves, which `mux`
//! writes.

use std::fs::File;
use std::io;

use serde::{Deserialize, Serialize};

use crate::domain::clip::GapReason;
use crate::time::{MediaTime, WallTime};

/// Seconds from the epoch of NTP (1900) to that of Unix (RFC 5905, section 6).
const NTP_UNIX_OFFSET_S: i64 = 2_208_988_800;
/// Seconds in one era of NTP; the second begins in 2036.
const NTP_ERA_S: i64 = 1 << 32;
/// NTP seconds below this are of the second era (2036 to 2104): footage is never older than 1968.
const NTP_ERA_1_BELOW_S: i64 = 1 << 31;
/// `prft` flags: the time is that at which the frame was taken (14496-12:2022, 8.16.5.3).
const PRFT_CAPTURED: u32 = 24;
/// The extended type of our box of flaws.
const FLAWS_UUID: [u8; 16] = *b"stairgate/flaws\0";
/// Codes of the reasons in our box.
const FLAW_LOST: u8 = 1;
const FLAW_DOWN: u8 = 2;
/// Largest box, other than `mdat`, that is read into memory. A `moof` of 1,200 frames has 20 KB.
const BOX_BYTES_MAX: u64 = 4 << 20;
/// Frames of one fragment, at most: 20 s at 60 frames a second, times ten.
const SAMPLES_MAX: usize = 12_000;
/// Bit of sample flags: not a key frame (8.8.3.1).
const NON_SYNC: u32 = 0x0001_0000;

/// Bytes that can be read at any offset.
pub(super) trait ReadAt {
    /// Fills `buffer` from `offset`; an error of kind `UnexpectedEof` when there are too few bytes.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }
}

/// Why a file is not footage at all.
#[derive(Debug, thiserror::Error)]
pub(super) enum BoxError {
    /// The disk does not give its bytes.
    #[error("read at byte {offset}")]
    Read {
        offset: u64,
        #[source]
        source: io::Error,
    },
    /// It does not begin with a whole `ftyp` and `moov`.
    #[error("the file does not begin with a whole movie header")]
    NoHeader,
    /// Its track does not count in 90 kHz ticks.
    #[error("the track has {0} ticks a second, not 90000")]
    Timescale(u32),
}

/// A stretch of a file whose pictures are damaged, or whose last picture stands too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Flaw {
    /// On the file's time line.
    pub(super) from: MediaTime,
    pub(super) to: MediaTime,
    /// `PacketsLost` or `CameraDown`.
    pub(super) reason: GapReason,
}

impl Flaw {
    /// The same stretch on a time line that begins `ticks` earlier.
    pub(super) fn plus_ticks(self, ticks: i64) -> Flaw {
        let (from, to) = (self.from.plus_ticks(ticks), self.to.plus_ticks(ticks));
        Flaw { from, to, ..self }
    }
}

/// One whole fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fragment {
    /// Where its first box begins.
    pub(super) offset: u64,
    /// All its boxes together.
    pub(super) bytes: u64,
    /// Wall time of its first frame.
    pub(super) wall: Option<WallTime>,
    /// Start of each frame on the file's time line; never empty, never decreasing.
    pub(super) frames: Vec<MediaTime>,
    /// End of the last frame.
    pub(super) end: MediaTime,
    /// Does it begin with a key frame?
    pub(super) is_key: bool,
    /// What is wrong with its pictures.
    pub(super) flaws: Vec<Flaw>,
}

impl Fragment {
    /// Start of its first frame.
    pub(super) fn at(&self) -> MediaTime {
        self.frames.first().copied().unwrap_or(self.end)
    }
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Walk {
    /// Bytes of `ftyp` and `moov`.
    pub(super) header_bytes: u64,
    /// The whole fragments, in order.
    pub(super) fragments: Vec<Fragment>,
    /// The end of the last whole fragment, or of the header: what may be kept of the file.
    pub(super) whole_bytes: u64,
}

/// The `prft` box: the frame at `at` of track 1 was taken at `wall`.
pub(super) fn prft(wall: WallTime, at: MediaTime) -> Vec<u8> {
    let mut body = Vec::with_capacity(24);
    body.extend_from_slice(&((1 << 24) | PRFT_CAPTURED).to_be_bytes());
    body.extend_from_slice(&1u32.to_be_bytes());
    body.extend_from_slice(&ntp_of(wall).to_be_bytes());
    body.extend_from_slice(&at.0.to_be_bytes());
    boxed(*b"prft", &body)
}

/// Our box of the flaws of a fragment.
pub(super) fn flaws(flaws: &[Flaw]) -> Vec<u8> {
    let mut body = FLAWS_UUID.to_vec();
    for flaw in flaws {
        let is_loss = flaw.reason == GapReason::PacketsLost;
        body.extend_from_slice(&flaw.from.0.to_be_bytes());
        body.extend_from_slice(&flaw.to.0.to_be_bytes());
        body.push(if is_loss { FLAW_LOST } else { FLAW_DOWN });
    }
    boxed(*b"uuid", &body)
}

/// Finds the whole fragments in the first `limit` bytes of `source`. Stops at the first box that is
/// cut off, malformed or out of place: an append that did not finish leaves such an end.
pub(super) fn walk(source: &impl ReadAt, limit: u64) -> Result<Walk, BoxError> {
    let mut offset = 0;
    let mut seen_ftyp = false;
    loop {
        let header = header_at(source, offset, limit)?.ok_or(BoxError::NoHeader)?;
        let body = |max| header.body(source, max);
        match &header.kind {
            b"ftyp" => seen_ftyp = true,
            b"moov" if seen_ftyp => {
                let moov = body(BOX_BYTES_MAX)?.ok_or(BoxError::NoHeader)?;
                let timescale = timescale_of(&moov).ok_or(BoxError::NoHeader)?;
                if i64::from(timescale) != MediaTime::HZ {
                    return Err(BoxError::Timescale(timescale));
                }
                break;
            }
            b"free" | b"skip" | b"uuid" | b"styp" => {}
            _ => return Err(BoxError::NoHeader),
        }
        offset = header.end;
    }
    let header_bytes = header_at(source, offset, limit)?.map_or(offset, |moov| moov.end);
    let mut walk = Walk {
        header_bytes,
        fragments: Vec::new(),
        whole_bytes: header_bytes,
    };
    while let Some(fragment) = fragment_at(source, walk.whole_bytes, limit)? {
        let overlaps = walk
            .fragments
            .last()
            .is_some_and(|before| fragment.at() < before.at());
        if overlaps {
            break;
        }
        walk.whole_bytes = fragment.offset + fragment.bytes;
        walk.fragments.push(fragment);
    }
    Ok(walk)
}

/// Are the first `limit` bytes of `source` what an append leaves that ended before its first picture was
/// whole: boxes as a footage file begins with, up to an end in or after one of them, and no whole `mdat`?
pub(super) fn is_stump(source: &impl ReadAt, limit: u64) -> io::Result<bool> {
    let mut at = 0;
    while limit - at >= 8 {
        let mut head = [0; 8];
        source.read_exact_at(&mut head, at)?;
        let mut fields = Fields(&head);
        let (Some(size), Some(kind)) = (fields.u32(), fields.array::<4>()) else {
            return Ok(false);
        };
        let is_first = at == 0;
        let is_ours = match &kind {
            b"ftyp" => is_first,
            b"moov" | b"prft" | b"uuid" | b"moof" | b"mdat" => !is_first,
            _ => false,
        };
        if !is_ours || size < 8 {
            return Ok(false);
        }
        at += u64::from(size);
        if at > limit {
            return Ok(true);
        }
        if &kind == b"mdat" {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The whole fragment that begins at `offset`; `None` when there is none.
fn fragment_at(
    source: &impl ReadAt,
    offset: u64,
    limit: u64,
) -> Result<Option<Fragment>, BoxError> {
    let mut at = offset;
    let (mut wall, mut flaws) = (None, Vec::new());
    loop {
        let Some(header) = header_at(source, at, limit)? else {
            return Ok(None);
        };
        at = header.end;
        if &header.kind == b"mdat" {
            return Ok(None);
        }
        let Some(body) = header.body(source, BOX_BYTES_MAX)? else {
            return Ok(None);
        };
        match &header.kind {
            b"prft" => wall = wall_of(&body),
            b"uuid" => flaws = flaws_of(&body).unwrap_or(flaws),
            b"moof" => {
                let Some(run) = TrackRun::parse(&body) else {
                    return Ok(None);
                };
                let mdat = header_at(source, at, limit)?.filter(|mdat| &mdat.kind == b"mdat");
                return Ok(mdat.map(|mdat| Fragment {
                    offset,
                    bytes: mdat.end - offset,
                    wall,
                    frames: run.frames,
                    end: run.end,
                    is_key: run.is_key,
                    flaws,
                }));
            }
            // Whatever else stands between fragments (`styp`, `sidx`, `free`) says nothing to us.
            _ => {}
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Header {
    kind: [u8; 4],
    body: u64,
    end: u64,
}

impl Header {
    /// Its body; `None` when it is larger than `max`.
    fn body(&self, source: &impl ReadAt, max: u64) -> Result<Option<Vec<u8>>, BoxError> {
        let bytes = self.end - self.body;
        let Some(bytes) = usize::try_from(bytes).ok().filter(|_| bytes <= max) else {
            return Ok(None);
        };
        let mut body = vec![0; bytes];
        read(source, &mut body, self.body)?;
        Ok(Some(body))
    }
}

/// The header of the box at `offset`; `None` unless all of the box lies before `limit`.
fn header_at(source: &impl ReadAt, offset: u64, limit: u64) -> Result<Option<Header>, BoxError> {
    if limit.saturating_sub(offset) < 8 {
        return Ok(None);
    }
    let mut small = [0; 8];
    read(source, &mut small, offset)?;
    let mut fields = Fields(&small);
    let (Some(size), Some(kind)) = (fields.u32(), fields.array::<4>()) else {
        return Ok(None);
    };
    let (head_bytes, size) = match size {
        // Size 0 is "to the end of the file", which an append-only file cannot mean.
        0 => return Ok(None),
        1 if limit - offset >= 16 => {
            let mut large = [0; 8];
            read(source, &mut large, offset + 8)?;
            (16, u64::from_be_bytes(large))
        }
        1 => return Ok(None),
        size => (8, u64::from(size)),
    };
    let end = offset.checked_add(size).filter(|end| *end <= limit);
    Ok(end.filter(|_| size >= head_bytes).map(|end| Header {
        kind,
        body: offset + head_bytes,
        end,
    }))
}

fn read(source: &impl ReadAt, buffer: &mut [u8], offset: u64) -> Result<(), BoxError> {
    source
        .read_exact_at(buffer, offset)
        .map_err(|source| BoxError::Read { offset, source })
}

/// Big-endian fields from the front of a slice.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*front)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn media(&mut self) -> Option<MediaTime> {
        self.array().map(i64::from_be_bytes).map(MediaTime)
    }

    fn skip(&mut self, n_bytes: usize) -> Option<()> {
        self.0 = self.0.get(n_bytes..)?;
        Some(())
    }

    /// The next child box and its body.
    fn child(&mut self) -> Option<([u8; 4], &'a [u8])> {
        let size = usize::try_from(self.u32()?).ok()?;
        let kind = self.array()?;
        let (body, rest) = self.0.split_at_checked(size.checked_sub(8)?)?;
        self.0 = rest;
        Some((kind, body))
    }
}

/// The body of the first child of `kind` in the body of a container box.
fn child<'a>(body: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    let mut fields = Fields(body);
    std::iter::from_fn(|| fields.child())
        .find(|(found, _)| found == kind)
        .map(|(_, body)| body)
}

fn timescale_of(moov: &[u8]) -> Option<u32> {
    let mdhd = child(child(child(moov, b"trak")?, b"mdia")?, b"mdhd")?;
    let mut fields = Fields(mdhd);
    let version = fields.u32()? >> 24;
    fields.skip(if version == 1 { 16 } else { 8 })?;
    fields.u32()
}

/// What the `moof` says of its frames (8.8.7, 8.8.8, 8.8.12).
struct TrackRun {
    frames: Vec<MediaTime>,
    end: MediaTime,
    is_key: bool,
}

impl TrackRun {
    fn parse(moof: &[u8]) -> Option<TrackRun> {
        let traf = child(moof, b"traf")?;
        let (default_ticks, default_flags) = track_defaults(child(traf, b"tfhd")?)?;
        let mut tfdt = Fields(child(traf, b"tfdt")?);
        let start = match tfdt.u32()? >> 24 {
            1 => tfdt.media()?,
            _ => MediaTime(i64::from(tfdt.u32()?)),
        };
        let mut run = Fields(child(traf, b"trun")?);
        let flags = run.u32()? & 0x00ff_ffff;
        let n_frames = usize::try_from(run.u32()?).ok()?;
        if n_frames == 0 || n_frames > SAMPLES_MAX {
            return None;
        }
        if flags & 0x1 != 0 {
            run.u32()?;
        }
        let first_flags = if flags & 0x4 == 0 {
            None
        } else {
            Some(run.u32()?)
        };
        let mut frames = Vec::with_capacity(n_frames);
        let mut at = start;
        let mut is_key = true;
        for idx in 0..n_frames {
            frames.push(at);
            let ticks = if flags & 0x100 == 0 {
                default_ticks
            } else {
                run.u32()?
            };
            if flags & 0x200 != 0 {
                run.u32()?;
            }
            let own_flags = if flags & 0x400 == 0 {
                default_flags
            } else {
                run.u32()?
            };
            if flags & 0x800 != 0 {
                run.u32()?;
            }
            if idx == 0 {
                is_key = first_flags.unwrap_or(own_flags) & NON_SYNC == 0;
            }
            at = at.plus_ticks(i64::from(ticks));
        }
        Some(TrackRun {
            frames,
            end: at,
            is_key,
        })
    }
}

/// Default duration and flags of a `tfhd`.
fn track_defaults(tfhd: &[u8]) -> Option<(u32, u32)> {
    let mut fields = Fields(tfhd);
    let flags = fields.u32()? & 0x00ff_ffff;
    fields.u32()?;
    if flags & 0x1 != 0 {
        fields.skip(8)?;
    }
    if flags & 0x2 != 0 {
        fields.skip(4)?;
    }
    let ticks = if flags & 0x8 == 0 { 0 } else { fields.u32()? };
    if flags & 0x10 != 0 {
        fields.skip(4)?;
    }
    let sample_flags = if flags & 0x20 == 0 { 0 } else { fields.u32()? };
    Some((ticks, sample_flags))
}

fn wall_of(prft: &[u8]) -> Option<WallTime> {
    let mut fields = Fields(prft);
    fields.skip(8)?;
    fields.u64().map(wall_of_ntp)
}

fn flaws_of(uuid: &[u8]) -> Option<Vec<Flaw>> {
    let mut fields = Fields(uuid);
    if fields.array::<16>()? != FLAWS_UUID {
        return None;
    }
    let next = || {
        let (from, to) = (fields.media()?, fields.media()?);
        let reason = match fields.array()? {
            [FLAW_LOST] => GapReason::PacketsLost,
            [_] => GapReason::CameraDown,
        };
        Some(Flaw { from, to, reason })
    };
    Some(std::iter::from_fn(next).collect())
}

/// `wall` as a 64-bit NTP time stamp: seconds since 1900 in the upper half, their fraction in the
/// lower (RFC 5905, section 6).
fn ntp_of(wall: WallTime) -> u64 {
    let seconds = wall.unix_s().saturating_add(NTP_UNIX_OFFSET_S) & (NTP_ERA_S - 1);
    let fraction = wall.unix_ns().rem_euclid(1_000_000_000) * NTP_ERA_S / 1_000_000_000;
    (seconds.cast_unsigned() << 32) | fraction.cast_unsigned()
}

fn wall_of_ntp(ntp: u64) -> WallTime {
    let seconds = (ntp >> 32).cast_signed();
    let era_s = if seconds < NTP_ERA_1_BELOW_S {
        NTP_ERA_S
    } else {
        0
    };
    let fraction = i128::from(ntp & u64::from(u32::MAX));
    // Rounded up, so that a nanosecond survives the round trip.
    let ns = (fraction * 1_000_000_000 + (i128::from(NTP_ERA_S) - 1)) >> 32;
    let unix_s = seconds + era_s - NTP_UNIX_OFFSET_S;
    let ns = i64::try_from(ns).unwrap_or(0);
    WallTime::from_unix_ns(unix_s.saturating_mul(1_000_000_000).saturating_add(ns))
}

fn boxed(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + 8).expect("our own boxes are small");
    let mut bytes = size.to_be_bytes().to_vec();
    bytes.extend_from_slice(&kind);
    bytes.extend_from_slice(body);
    bytes
}

#[cfg(test)]
#[path = "boxes_tests.rs"]
pub(super) mod tests;

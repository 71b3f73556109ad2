//! Reading back what [`FragmentWriter`](super::FragmentWriter) wrote: where the whole fragments of a
//! file lie, and the frames of a stretch of it.
//!
//! Our own files only, so not a general reader: one video track, `moof` before its `mdat`, offsets
//! from the `moof`. Anything may follow the last whole fragment (a crash leaves half of one) and any
//! other boxes may lie between fragments. ISO/IEC 14496-12, clauses 4.2 and 8.8.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use bytes::Bytes;

use super::params::video_params;
use super::{MuxError, Sample};
use crate::camera::{Codec, VideoParams};
use crate::time::MediaTime;

/// Largest header box read into memory. A `moof` has 16 bytes for each of its frames.
const HEADER_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Most frames in one fragment: half an hour at 60 frames a second, far more than any GOP has. A broken
/// header could claim four billion.
const FRAMES_MAX: usize = 108_000;

/// What is in a footage file.
#[derive(Clone, Debug)]
pub struct FileIndex {
    /// Its one set of parameters.
    pub params: VideoParams,
    /// Whole fragments, in the file's order; empty when there is only a head.
    pub fragments: Vec<Fragment>,
    /// Bytes up to the end of the last whole fragment (or of the head): what follows is the rest of an
    /// interrupted write.
    pub whole_bytes: u64,
    slots: Vec<Slot>,
}

/// One whole fragment: all or a part of a GOP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// From the first byte of its `moof` to the end of its `mdat`.
    pub bytes: Range<u64>,
    /// Its first frame's time.
    pub from: MediaTime,
    /// The end of its last frame, as assumed when it was written.
    pub to: MediaTime,
    /// How many frames, at least 1.
    pub n_frames: usize,
    /// Does it begin with a key frame?
    pub is_key: bool,
}

/// Bytes read at once where headers lie: those of a fragment take some hundreds, and one read for all
/// of them is what keeps the export of a clip at the end of a long file short.
const AHEAD_BYTES: u64 = 2_048;

/// Where one frame lies.
#[derive(Clone, Copy, Debug)]
struct Slot {
    at: MediaTime,
    duration_ticks: i64,
    is_key: bool,
    offset: u64,
    n_bytes: u32,
}

impl Slot {
    fn is_inside(&self, range: Range<u64>) -> bool {
        let end = self.offset.checked_add(u64::from(self.n_bytes));
        self.offset >= range.start && end.is_some_and(|end| end <= range.end)
    }
}

/// Reads where everything lies in a file that [`FragmentWriter`](super::FragmentWriter) wrote,
/// finished or not, up to the first thing that is not whole or makes no sense. Reads headers alone.
/// Blocks.
///
/// # Errors
/// [`MuxError::ReadFile`] when the disk fails, [`MuxError::Unfit`] when it is not such a file.
pub fn scan(path: &Path) -> Result<FileIndex, MuxError> {
    let source = Source::open(path)?;
    scan_source(&source)
}

/// The frames of `path` that lie in `from..to` of its time line, and before them those from the key
/// frame that the decoding of `from` must start at. Frames are shared slices of one read for each
/// fragment. Durations reach to the next frame of the file. Blocks.
///
/// When the file begins after `from`, its first key frame is the first. Empty when nothing lies before
/// `to`.
///
/// # Errors
/// Those of [`scan`].
pub fn read_samples(
    path: &Path,
    from: MediaTime,
    to: MediaTime,
) -> Result<(VideoParams, Vec<Sample>), MuxError> {
    let source = Source::open(path)?;
    let index = scan_source(&source)?;
    let slots = &index.slots;
    let n_before = slots.partition_point(|slot| slot.at < to);
    let before = slots.get(..n_before).unwrap_or_default();
    let key_idx = before
        .iter()
        .rposition(|slot| slot.is_key && slot.at <= from)
        .or_else(|| before.iter().position(|slot| slot.is_key))
        .unwrap_or(n_before);
    let wanted = before.get(key_idx..).unwrap_or_default();

    let mut samples = Vec::with_capacity(wanted.len());
    for stretch in wanted.chunk_by(|a, b| a.offset + u64::from(a.n_bytes) == b.offset) {
        let (Some(first), Some(last)) = (stretch.first(), stretch.last()) else {
            continue;
        };
        let bytes = source.read(first.offset..last.offset + u64::from(last.n_bytes))?;
        let mut rest = Bytes::from(bytes);
        for slot in stretch {
            let n_bytes = usize::try_from(slot.n_bytes).unwrap_or(usize::MAX);
            samples.push(Sample {
                at: slot.at,
                duration_ticks: slot.duration_ticks,
                is_key: slot.is_key,
                data: rest.split_to(n_bytes.min(rest.len())),
            });
        }
    }
    Ok((index.params, samples))
}

/// The key frame of `path` that is on screen at `at`, or that decoding to it starts from: the last one
/// at or before it, else the first. `None` when the file has none. Blocks.
///
/// # Errors
/// Those of [`scan`].
pub fn read_key_frame(
    path: &Path,
    at: MediaTime,
) -> Result<Option<(VideoParams, Sample)>, MuxError> {
    let source = Source::open(path)?;
    let index = scan_source(&source)?;
    let keys = index.slots.iter().filter(|slot| slot.is_key);
    let Some(slot) = keys
        .clone()
        .rfind(|slot| slot.at <= at)
        .or(keys.clone().next())
    else {
        return Ok(None);
    };
    let sample = Sample {
        at: slot.at,
        duration_ticks: slot.duration_ticks,
        is_key: true,
        data: Bytes::from(source.read(slot.offset..slot.offset + u64::from(slot.n_bytes))?),
    };
    Ok(Some((index.params, sample)))
}

/// An open file that knows its name and its length.
struct Source<'a> {
    path: &'a Path,
    file: File,
    n_bytes: u64,
    /// Where the bytes read ahead begin, and they.
    ahead: RefCell<(u64, Vec<u8>)>,
}

impl Source<'_> {
    fn open(path: &Path) -> Result<Source<'_>, MuxError> {
        let failed = |source| MuxError::ReadFile {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        let n_bytes = file.metadata().map_err(failed)?.len();
        Ok(Source {
            path,
            file,
            n_bytes,
            ahead: RefCell::default(),
        })
    }

    fn read(&self, range: Range<u64>) -> Result<Vec<u8>, MuxError> {
        let failed = |source| MuxError::ReadFile {
            path: self.path.to_owned(),
            source,
        };
        let n = range.end.saturating_sub(range.start);
        if range.end > self.n_bytes {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
        let mut bytes = vec![0; usize::try_from(n).unwrap_or(usize::MAX)];
        self.file
            .read_exact_at(&mut bytes, range.start)
            .map_err(failed)?;
        Ok(bytes)
    }

    /// The same of a header, with what follows it read ahead.
    fn read_header(&self, range: Range<u64>) -> Result<Vec<u8>, MuxError> {
        let mut ahead = self.ahead.borrow_mut();
        if range.start < ahead.0 || range.end > ahead.0 + ahead.1.len() as u64 {
            let end = range.end.max(range.start.saturating_add(AHEAD_BYTES));
            let end = end.min(self.n_bytes.max(range.end));
            *ahead = (range.start, self.read(range.start..end)?);
        }
        let within = |at: u64| usize::try_from(at - ahead.0).unwrap_or(usize::MAX);
        let bytes = ahead.1.get(within(range.start)..within(range.end));
        Ok(bytes.unwrap_or_default().to_vec())
    }

    /// Name, start of contents and end of the box at `offset`; `None` when it is not whole.
    fn header(&self, offset: u64) -> Result<Option<BoxAt>, MuxError> {
        let short = offset.saturating_add(8);
        if short > self.n_bytes {
            return Ok(None);
        }
        let n_head = if offset.saturating_add(16) > self.n_bytes {
            8
        } else {
            16
        };
        let head = self.read_header(offset..offset + n_head)?;
        let mut body = Body(&head);
        let (Some(size), Some(name)) = (body.u32(), body.name()) else {
            return Ok(None);
        };
        let (start, n_bytes) = match size {
            // A box of the whole rest of the file: not one that we write.
            0 => return Ok(None),
            1 => match body.u64() {
                Some(size) => (offset + 16, size),
                None => return Ok(None),
            },
            _ => (short, u64::from(size)),
        };
        let end = offset.saturating_add(n_bytes);
        let is_whole = end >= start && end <= self.n_bytes;
        Ok(is_whole.then_some(BoxAt { name, start, end }))
    }

    fn unfit(&self, problem: &'static str) -> MuxError {
        MuxError::Unfit {
            path: self.path.to_owned(),
            problem,
        }
    }
}

/// A whole box in the file.
struct BoxAt {
    name: [u8; 4],
    start: u64,
    end: u64,
}

fn scan_source(source: &Source<'_>) -> Result<FileIndex, MuxError> {
    let mut params = None;
    let mut fragments = Vec::new();
    let mut slots: Vec<Slot> = Vec::new();
    let mut pending: Option<(u64, Vec<Slot>)> = None;
    let mut offset = 0;
    let mut whole_bytes = 0;
    while let Some(found) = source.header(offset)? {
        let is_header = matches!(&found.name, b"moov" | b"moof");
        if is_header && found.end - found.start > HEADER_BYTES_MAX {
            break;
        }
        match &found.name {
            b"moov" => {
                let body = source.read_header(found.start..found.end)?;
                let read = track_params(Body(&body));
                params = Some(read.ok_or_else(|| source.unfit("has no readable video track"))?);
                whole_bytes = found.end;
            }
            b"moof" => {
                let body = source.read_header(found.start..found.end)?;
                let Some(read) = fragment_slots(Body(&body), offset) else {
                    break;
                };
                pending = Some((offset, read));
            }
            b"mdat" => {
                if let Some((start, read)) = pending.take() {
                    if !read
                        .iter()
                        .all(|slot| slot.is_inside(found.start..found.end))
                    {
                        break;
                    }
                    fragments.extend(summary(&read, start..found.end));
                    slots.extend(read);
                    whole_bytes = found.end;
                }
            }
            _ => {}
        }
        offset = found.end;
    }
    let params = params.ok_or_else(|| source.unfit("has no head"))?;
    last_until_the_next(&mut slots);
    Ok(FileIndex {
        params,
        fragments,
        whole_bytes,
        slots,
    })
}

fn summary(slots: &[Slot], bytes: Range<u64>) -> Option<Fragment> {
    let (first, last) = (slots.first()?, slots.last()?);
    Some(Fragment {
        bytes,
        from: first.at,
        to: last.at.plus_ticks(last.duration_ticks),
        n_frames: slots.len(),
        is_key: first.is_key,
    })
}

/// What was assumed of a fragment's last frame is replaced by what came.
fn last_until_the_next(slots: &mut [Slot]) {
    let mut next_at: Option<MediaTime> = None;
    for slot in slots.iter_mut().rev() {
        if let Some(next_at) = next_at.filter(|next_at| *next_at > slot.at) {
            slot.duration_ticks = next_at.ticks_since(slot.at);
        }
        next_at = Some(slot.at);
    }
}

/// Reads numbers and boxes off the front of a box's contents; `None` at its end.
#[derive(Clone, Copy)]
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    fn name(&mut self) -> Option<[u8; 4]> {
        self.take(4)?.try_into().ok()
    }

    /// The next box inside.
    fn next_box(&mut self) -> Option<([u8; 4], Body<'a>)> {
        let size = usize::try_from(self.u32()?).ok()?;
        let name = self.name()?;
        Some((name, Body(self.take(size.checked_sub(8)?)?)))
    }

    /// The first box of `name` inside.
    fn child(mut self, name: &[u8; 4]) -> Option<Body<'a>> {
        while let Some((found, body)) = self.next_box() {
            if &found == name {
                return Some(body);
            }
        }
        None
    }

    /// Version and flags of a full box.
    fn version_flags(&mut self) -> Option<(u8, u32)> {
        let word = self.u32()?;
        Some((word.to_be_bytes().first().copied()?, word & 0x00ff_ffff))
    }
}

/// Codec, size and parameter sets of the first track of a `moov`.
fn track_params(moov: Body<'_>) -> Option<VideoParams> {
    let media = moov.child(b"trak")?.child(b"mdia")?;
    let mut samples = media.child(b"minf")?.child(b"stbl")?.child(b"stsd")?;
    samples.take(8)?;
    let (name, mut entry) = samples.next_box()?;
    let (codec, record) = match &name {
        b"avc1" | b"avc3" => (Codec::H264, b"avcC"),
        b"hvc1" | b"hev1" => (Codec::H265, b"hvcC"),
        _ => return None,
    };
    // VisualSampleEntry (12.1.3): the picture's size after 24 bytes, child boxes after 78.
    entry.take(24)?;
    let (width, height) = (entry.u16()?, entry.u16()?);
    entry.take(50)?;
    let extra = Bytes::copy_from_slice(entry.child(record)?.0);
    video_params(codec, width.into(), height.into(), extra).ok()
}

/// The frames of a `moof` that begins at `moof_at` of the file.
fn fragment_slots(moof: Body<'_>, moof_at: u64) -> Option<Vec<Slot>> {
    let mut track = moof.child(b"traf")?;
    let mut defaults = Defaults::default();
    let mut slots: Vec<Slot> = Vec::new();
    let mut at = MediaTime(0);
    while let Some((name, body)) = track.next_box() {
        match &name {
            b"tfhd" => defaults = Defaults::read(body)?,
            b"tfdt" => at = base_time(body)?,
            b"trun" => at = run_slots(body, &defaults, moof_at, at, &mut slots)?,
            _ => {}
        }
    }
    Some(slots)
}

/// What `tfhd` says of frames of which `trun` says nothing.
#[derive(Default)]
struct Defaults {
    duration_ticks: u32,
    n_bytes: u32,
    flags: u32,
}

impl Defaults {
    fn read(mut body: Body<'_>) -> Option<Defaults> {
        let (_, flags) = body.version_flags()?;
        body.take(4)?;
        // An absolute base offset would be wrong once a fragment has moved; we never write one.
        if flags & 0x1 != 0 {
            return None;
        }
        if flags & 0x2 != 0 {
            body.take(4)?;
        }
        let mut field = |bit: u32| {
            if flags & bit == 0 {
                Some(0)
            } else {
                body.u32()
            }
        };
        Some(Defaults {
            duration_ticks: field(0x8)?,
            n_bytes: field(0x10)?,
            flags: field(0x20)?,
        })
    }
}

fn base_time(mut body: Body<'_>) -> Option<MediaTime> {
    let (version, _) = body.version_flags()?;
    let ticks = if version == 0 {
        u64::from(body.u32()?)
    } else {
        body.u64()?
    };
    Some(MediaTime(i64::try_from(ticks).ok()?))
}

/// Reads a `trun` whose first frame is at `at`; returns the end of its last frame.
fn run_slots(
    mut body: Body<'_>,
    defaults: &Defaults,
    moof_at: u64,
    mut at: MediaTime,
    slots: &mut Vec<Slot>,
) -> Option<MediaTime> {
    /// `sample_is_non_sync_sample` (8.8.3.1).
    const NON_SYNC: u32 = 0x1_0000;
    let (_, flags) = body.version_flags()?;
    let n_samples = body.u32()?;
    let mut offset = match slots.last() {
        Some(last) => last.offset.checked_add(u64::from(last.n_bytes))?,
        None => moof_at,
    };
    if flags & 0x1 != 0 {
        offset = moof_at.checked_add(u64::from(body.u32()?))?;
    }
    let mut first_flags = match flags & 0x4 {
        0 => None,
        _ => Some(body.u32()?),
    };
    for _ in 0..n_samples {
        let mut field = |bit: u32, default: u32| {
            if flags & bit == 0 {
                Some(default)
            } else {
                body.u32()
            }
        };
        let duration_ticks = i64::from(field(0x100, defaults.duration_ticks)?);
        let n_bytes = field(0x200, defaults.n_bytes)?;
        let own_flags = field(0x400, first_flags.take().unwrap_or(defaults.flags))?;
        field(0x800, 0)?;
        if n_bytes == 0 || slots.len() >= FRAMES_MAX {
            return None;
        }
        slots.push(Slot {
            at,
            duration_ticks,
            is_key: own_flags & NON_SYNC == 0,
            offset,
            n_bytes,
        });
        offset = offset.checked_add(u64::from(n_bytes))?;
        at = at.plus_ticks(duration_ticks);
    }
    Some(at)
}

//! The film that simulated cameras show: ready RTP packets, repeated for ever.
//!
//! A [`Film`] is shared by all the cameras that show it; only the 12 header bytes of a packet differ
//! from camera to camera, so 500 cameras cost the memory of one.

use std::sync::Arc;

use bytes::Bytes;

use crate::mux::{RtpFrame, RtpMedia};

/// Bytes of an RTP header without extensions (RFC 3550, 5.1).
pub(super) const RTP_HEADER_BYTES: usize = 12;

/// Why a piece of video cannot be shown by a simulated camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FilmError {
    /// It has no frame.
    #[error("a film needs at least one frame")]
    Empty,
    /// Its first frame is not a key frame.
    #[error("a film begins with a key frame")]
    NoKeyFrame,
    /// Its times go back: pictures were reordered (B-frames).
    #[error("frame {frame_idx} of the film is earlier than the one before it")]
    Backwards {
        /// The frame, counted from 0.
        frame_idx: usize,
    },
    /// It is said to be over before its last frame.
    #[error("the film's duration is not more than its last frame's time")]
    Duration,
    /// A frame has no packet, or a packet is shorter than an RTP header.
    #[error("frame {frame_idx} of the film has no packet or one without a header")]
    Packet {
        /// The frame, counted from 0.
        frame_idx: usize,
    },
}

/// A piece of video that repeats for ever.
#[derive(Debug)]
pub struct Film {
    media: RtpMedia,
    first_ticks: i64,
}

/// A place in a film that repeats: which round and which frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cursor {
    pub(super) round: i64,
    pub(super) frame_idx: usize,
}

impl Film {
    /// Takes `media` if cameras can show it.
    ///
    /// # Errors
    /// [`FilmError`], see its variants.
    pub fn new(media: RtpMedia) -> Result<Arc<Film>, FilmError> {
        let (Some(first), Some(last)) = (media.frames.first(), media.frames.last()) else {
            return Err(FilmError::Empty);
        };
        if !first.is_key {
            return Err(FilmError::NoKeyFrame);
        }
        for (frame_idx, frame) in media.frames.iter().enumerate() {
            let has_header = |packet: &Bytes| packet.len() >= RTP_HEADER_BYTES;
            if frame.packets.is_empty() || !frame.packets.iter().all(has_header) {
                return Err(FilmError::Packet { frame_idx });
            }
        }
        let first_ticks = first.at.0;
        let times = media.frames.iter().map(|frame| frame.at);
        let pairs = times.clone().zip(times.skip(1)).enumerate();
        for (idx, (earlier, later)) in pairs {
            if earlier >= later {
                return Err(FilmError::Backwards { frame_idx: idx + 1 });
            }
        }
        if media.duration_ticks <= last.at.0 - first_ticks {
            return Err(FilmError::Duration);
        }
        Ok(Arc::new(Film { media, first_ticks }))
    }

    /// What it is made of.
    pub fn media(&self) -> &RtpMedia {
        &self.media
    }

    /// Number of frames in one round; at least 1.
    pub fn n_frames(&self) -> usize {
        self.media.frames.len()
    }

    /// How long one round takes, in 90 kHz ticks; at least 1.
    pub fn period_ticks(&self) -> i64 {
        self.media.duration_ticks
    }

    /// Bytes of all packets of one round.
    pub fn round_bytes(&self) -> usize {
        let packets = self.media.frames.iter().flat_map(|frame| &frame.packets);
        packets.map(Bytes::len).sum()
    }

    pub(super) fn frame(&self, cursor: Cursor) -> &RtpFrame {
        self.media
            .frames
            .get(cursor.frame_idx)
            .or(self.media.frames.first())
            .expect("a film has at least one frame")
    }

    /// Ticks since the camera's start at which the frame at `cursor` is due.
    pub(super) fn ticks(&self, cursor: Cursor) -> i64 {
        let in_round = self.frame(cursor).at.0 - self.first_ticks;
        cursor
            .round
            .saturating_mul(self.period_ticks())
            .saturating_add(in_round)
    }

    /// Count of the frame at `cursor` since the camera's start.
    pub(super) fn number(&self, cursor: Cursor) -> u64 {
        let round = u64::try_from(cursor.round).unwrap_or(0);
        let n_frames = u64::try_from(self.n_frames()).unwrap_or(u64::MAX);
        round
            .saturating_mul(n_frames)
            .saturating_add(u64::try_from(cursor.frame_idx).unwrap_or(u64::MAX))
    }

    pub(super) fn next(&self, cursor: Cursor) -> Cursor {
        if cursor.frame_idx + 1 < self.n_frames() {
            Cursor {
                frame_idx: cursor.frame_idx + 1,
                ..cursor
            }
        } else {
            Cursor {
                round: cursor.round.saturating_add(1),
                frame_idx: 0,
            }
        }
    }

    /// The first frame due at or after `ticks`.
    pub(super) fn at_or_after(&self, ticks: i64) -> Cursor {
        let round = ticks.div_euclid(self.period_ticks());
        let in_round = ticks.rem_euclid(self.period_ticks()) + self.first_ticks;
        let frame_idx = self.media.frames.partition_point(|f| f.at.0 < in_round);
        if frame_idx < self.n_frames() {
            Cursor { round, frame_idx }
        } else {
            Cursor {
                round: round + 1,
                frame_idx: 0,
            }
        }
    }

    /// The last frame due at or before `ticks`.
    pub(super) fn at_or_before(&self, ticks: i64) -> Cursor {
        let round = ticks.div_euclid(self.period_ticks());
        let in_round = ticks.rem_euclid(self.period_ticks()) + self.first_ticks;
        let n_due = self.media.frames.partition_point(|f| f.at.0 <= in_round);
        // The first frame of a round is due at its beginning, so at least one is.
        Cursor {
            round,
            frame_idx: n_due.saturating_sub(1),
        }
    }

    /// The first key frame at or after `cursor`.
    pub(super) fn key_at_or_after(&self, cursor: Cursor) -> Cursor {
        let later = self.media.frames.iter().skip(cursor.frame_idx);
        match later.into_iter().position(|frame| frame.is_key) {
            Some(n_between) => Cursor {
                frame_idx: cursor.frame_idx + n_between,
                ..cursor
            },
            // The first frame is a key frame.
            None => Cursor {
                round: cursor.round.saturating_add(1),
                frame_idx: 0,
            },
        }
    }

    /// The last key frame at or before `cursor`.
    pub(super) fn key_at_or_before(&self, cursor: Cursor) -> Cursor {
        let mut earlier = self.media.frames.iter().take(cursor.frame_idx + 1);
        let frame_idx = earlier.rposition(|frame| frame.is_key).unwrap_or(0);
        Cursor {
            frame_idx,
            ..cursor
        }
    }

    /// Count of the key frame at `cursor` among the key frames of its round.
    pub(super) fn key_ordinal(&self, cursor: Cursor) -> usize {
        let earlier = self.media.frames.iter().take(cursor.frame_idx);
        earlier.filter(|frame| frame.is_key).count()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::camera::{Codec, VideoParams};
    use crate::time::MediaTime;
    use proptest::prelude::*;

    /// A film of 25 frames a second whose payload is the frame's index.
    pub(in crate::sim) fn numbered(n_frames: usize, gop_frames: usize, first: i64) -> Arc<Film> {
        let frames = (0..n_frames).map(|idx| {
            let mut packet = vec![0x80, 0xe0];
            packet.resize(RTP_HEADER_BYTES, 0);
            packet.extend(u32::try_from(idx).unwrap().to_be_bytes());
            RtpFrame {
                at: MediaTime(first + i64::try_from(idx).unwrap() * 3_600),
                is_key: idx % gop_frames == 0,
                packets: vec![Bytes::from(packet)],
            }
        });
        Film::new(RtpMedia {
            params: VideoParams {
                codec: Codec::H264,
                width: 320,
                height: 180,
                extra_data: Bytes::new(),
                rfc6381: String::new(),
            },
            payload_type: 96,
            rtpmap: "96 H264/90000".to_owned(),
            fmtp: "96 packetization-mode=1".to_owned(),
            duration_ticks: i64::try_from(n_frames).unwrap() * 3_600,
            frames: frames.collect(),
        })
        .unwrap()
    }

    #[test]
    fn films_that_cannot_be_shown_are_refused() {
        let film = numbered(3, 3, 0);
        let broken = |change: fn(&mut RtpMedia)| {
            let mut media = film.media.clone();
            change(&mut media);
            Film::new(media).unwrap_err()
        };
        assert_eq!(broken(|m| m.frames.clear()), FilmError::Empty);
        assert_eq!(
            broken(|m| m.frames[0].is_key = false),
            FilmError::NoKeyFrame
        );
        let backwards = broken(|m| m.frames[2].at = MediaTime(3_600));
        assert_eq!(backwards, FilmError::Backwards { frame_idx: 2 });
        let short = broken(|m| m.duration_ticks = 7_200);
        assert_eq!(short, FilmError::Duration);
        let bare = broken(|m| m.frames[1].packets[0] = Bytes::from_static(b"short"));
        assert_eq!(bare, FilmError::Packet { frame_idx: 1 });
    }

    proptest! {
        #[test]
        fn a_place_is_found_again_by_its_time(
            n_frames in 1usize..40, gop in 1usize..12, first in -9_000i64..9_000,
            ticks in -1_000_000i64..1_000_000,
        ) {
            let film = numbered(n_frames, gop, first);
            let after = film.at_or_after(ticks);
            let before = film.at_or_before(ticks);
            prop_assert!(film.ticks(after) >= ticks && film.ticks(before) <= ticks);
            prop_assert!(film.ticks(after) - film.ticks(before) <= 3_600);
            prop_assert_eq!(film.at_or_after(film.ticks(after)), after);
            prop_assert_eq!(film.at_or_before(film.ticks(after)), after);
            let next = film.next(after);
            prop_assert_eq!(film.ticks(next) - film.ticks(after), 3_600);
            let key = film.key_at_or_after(after);
            prop_assert!(film.frame(key).is_key && key >= after);
            let key = film.key_at_or_before(before);
            prop_assert!(film.frame(key).is_key && key <= before);
        }
    }
}

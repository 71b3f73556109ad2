//! The newest pieces of a stream, as viewers read them: each with a cursor of its own. Pure.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::camera::Codec;

/// A viewer that is further behind than this goes on at the newest key frame, once there is one.
pub(super) const LAG_MAX: Duration = Duration::from_secs(1);
/// Most bytes held: a minute of a wall's main stream, or a GOP of 16 s at 16 Mbit/s. Who begins while the
/// newest key frame does not fit waits for the next.
const BYTES_MAX: usize = 32 << 20;

/// What a player must have before the first piece; the same for all pieces of a run with the same
/// parameters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opening {
    /// Tells it from every other of its reel.
    pub(super) generation: u64,
    pub(super) codec: Codec,
    /// The codec's RFC 6381 name.
    pub(super) rfc6381: String,
    pub(super) width: u32,
    pub(super) height: u32,
    /// `ftyp` and `moov`; empty for pictures.
    pub(super) init: Bytes,
}

/// A fragment, or a picture.
#[derive(Debug)]
pub(super) struct Piece {
    seq: u64,
    pub(super) opening: Arc<Opening>,
    /// Can a player begin with it?
    pub(super) is_key: bool,
    /// Shared by all viewers.
    pub(super) bytes: Bytes,
    /// When the last frame in it arrived.
    pub(super) arrived: Instant,
}

/// The newest pieces, from the newest key piece on and a little before.
#[derive(Debug)]
pub(super) struct Reel {
    pieces: VecDeque<Arc<Piece>>,
    next_seq: u64,
    /// The number of the newest key piece, which may have left.
    newest_key: u64,
    bytes: usize,
    bytes_max: usize,
}

/// How far a viewer is.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// The piece to take next; `None`: begin at the newest key piece.
    next: Option<u64>,
    /// Pieces passed over, until someone takes the count.
    pub(super) n_skipped: u64,
}

impl Cursor {
    /// Begins at the newest key piece again.
    pub(super) fn begin_anew(&mut self) {
        self.next = None;
    }
}

impl Default for Reel {
    fn default() -> Reel {
        Reel {
            pieces: VecDeque::new(),
            next_seq: 0,
            newest_key: 0,
            bytes: 0,
            bytes_max: BYTES_MAX,
        }
    }
}

impl Reel {
    /// Takes the next piece; old ones leave.
    pub(super) fn push(
        &mut self,
        opening: &Arc<Opening>,
        is_key: bool,
        bytes: Bytes,
        arrived: Instant,
    ) {
        self.bytes += bytes.len();
        if is_key {
            self.newest_key = self.next_seq;
        }
        self.pieces.push_back(Arc::new(Piece {
            seq: self.next_seq,
            opening: Arc::clone(opening),
            is_key,
            bytes,
            arrived,
        }));
        self.next_seq += 1;
        while self.pieces.len() > 1 && self.front_may_leave(arrived) {
            if let Some(piece) = self.pieces.pop_front() {
                self.bytes -= piece.bytes.len();
            }
        }
    }

    /// Forgets all pieces; the numbers go on.
    pub(super) fn clear(&mut self) {
        self.pieces.clear();
        self.bytes = 0;
    }

    fn front_may_leave(&self, now: Instant) -> bool {
        let (Some(front), Some(second)) = (self.pieces.front(), self.pieces.get(1)) else {
            return false;
        };
        let has_newer_key = self.newest_key().is_some_and(|key| key.seq > front.seq);
        // By the one behind it, so that who is not too slow finds what comes next.
        let is_old = now.saturating_duration_since(second.arrived) > LAG_MAX;
        self.bytes > self.bytes_max || (has_newer_key && is_old)
    }

    fn newest_key(&self) -> Option<&Arc<Piece>> {
        // Nothing that is there is a key piece when the newest has left.
        self.piece(self.newest_key).filter(|piece| piece.is_key)
    }

    fn piece(&self, seq: u64) -> Option<&Arc<Piece>> {
        let from = self.pieces.front()?.seq;
        let idx = usize::try_from(seq.checked_sub(from)?).ok()?;
        self.pieces.get(idx)
    }

    /// Is there a key piece to begin with?
    pub(super) fn has_key(&self) -> bool {
        self.newest_key().is_some()
    }

    /// The next piece for the viewer at `cursor`; `None` when it has them all, or must wait for a key
    /// piece.
    pub(super) fn next(&self, cursor: &mut Cursor) -> Option<Arc<Piece>> {
        let back = self.pieces.back()?;
        let wanted = cursor.next.and_then(|seq| self.piece(seq));
        let key = self.newest_key();
        let is_after_key = |piece: &Arc<Piece>| key.is_none_or(|key| key.seq <= piece.seq);
        let lag = |piece: &Arc<Piece>| back.arrived.saturating_duration_since(piece.arrived);
        let piece = match wanted {
            Some(piece) if is_after_key(piece) || lag(piece) <= LAG_MAX => piece,
            _ if cursor.next == Some(self.next_seq) => return None,
            Some(_) | None => key?,
        };
        let passed_over = cursor.next.map_or(0, |seq| piece.seq.saturating_sub(seq));
        cursor.n_skipped += passed_over;
        cursor.next = Some(piece.seq + 1);
        Some(Arc::clone(piece))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn opening() -> Arc<Opening> {
        Arc::new(Opening {
            generation: 1,
            codec: Codec::H264,
            rfc6381: "avc1.4D401E".to_owned(),
            width: 640,
            height: 360,
            init: Bytes::new(),
        })
    }

    struct Stream {
        reel: Reel,
        opening: Arc<Opening>,
        at: Instant,
        n: u32,
    }

    impl Stream {
        fn new() -> Stream {
            Stream {
                reel: Reel::default(),
                opening: opening(),
                at: Instant::now(),
                n: 0,
            }
        }

        /// `n` pieces of 40 ms; every `gop`th is a key piece.
        fn push(&mut self, n: u32, gop: u32) {
            for _ in 0..n {
                let bytes = Bytes::copy_from_slice(&self.n.to_be_bytes());
                let is_key = self.n.is_multiple_of(gop);
                self.reel.push(&self.opening, is_key, bytes, self.at);
                self.n += 1;
                self.at += Duration::from_millis(40);
            }
        }

        fn take(&self, cursor: &mut Cursor) -> Option<u32> {
            let piece = self.reel.next(cursor)?;
            Some(u32::from_be_bytes(piece.bytes[..].try_into().unwrap()))
        }

        fn take_all(&self, cursor: &mut Cursor) -> Vec<u32> {
            std::iter::from_fn(|| self.take(cursor)).collect()
        }
    }

    #[test]
    fn a_viewer_begins_at_the_newest_key_frame_and_gets_each_piece_once() {
        let mut stream = Stream::new();
        stream.push(60, 50);
        let mut cursor = Cursor::default();
        assert_eq!(stream.take_all(&mut cursor), (50..60).collect::<Vec<_>>());
        stream.push(3, 50);
        assert_eq!(stream.take_all(&mut cursor), [60, 61, 62]);
        assert_eq!(cursor.n_skipped, 0);
    }

    #[test]
    fn who_is_slow_goes_on_at_the_next_key_frame_and_is_counted() {
        let mut stream = Stream::new();
        stream.push(1, 50);
        let mut cursor = Cursor::default();
        assert_eq!(stream.take(&mut cursor), Some(0));
        stream.push(49, 50);
        assert_eq!(
            stream.take(&mut cursor),
            Some(1),
            "no newer key frame: it goes on in order"
        );
        stream.push(30, 50);
        assert_eq!(stream.take(&mut cursor), Some(50));
        assert_eq!(cursor.n_skipped, 48);
    }

    #[test]
    fn who_is_a_little_late_loses_nothing_at_a_key_frame() {
        let mut stream = Stream::new();
        stream.push(45, 50);
        let mut cursor = Cursor::default();
        stream.take_all(&mut cursor);
        stream.push(15, 50);
        assert_eq!(stream.take_all(&mut cursor), (45..60).collect::<Vec<_>>());
        assert_eq!(cursor.n_skipped, 0);
    }

    #[test]
    fn bytes_are_bounded_and_who_lost_the_thread_waits_for_a_key_frame() {
        let mut stream = Stream::new();
        stream.reel.bytes_max = 40;
        stream.push(1, 50);
        let mut cursor = Cursor::default();
        assert_eq!(stream.take(&mut cursor), Some(0));
        stream.push(30, 50);
        assert_eq!(stream.reel.pieces.len(), 10);
        assert_eq!(stream.take(&mut cursor), None);
        stream.push(20, 50);
        assert_eq!(stream.take(&mut cursor), Some(50));
        assert_eq!(cursor.n_skipped, 49);
    }

    proptest! {
        #[test]
        fn pieces_come_in_order_and_a_gap_ends_at_a_key_frame(
            steps in prop::collection::vec((0u32..80, 0usize..80), 1..30),
            gop in 1u32..100,
        ) {
            let mut stream = Stream::new();
            stream.reel.bytes_max = 400;
            let mut cursor = Cursor::default();
            let mut last: Option<u32> = None;
            for (n_pushed, n_taken) in steps {
                stream.push(n_pushed, gop);
                for _ in 0..n_taken {
                    let Some(n) = stream.take(&mut cursor) else { break };
                    prop_assert!(last.is_none_or(|last| n > last));
                    if last.is_none_or(|last| n != last + 1) {
                        prop_assert!(n.is_multiple_of(gop), "a gap ends at a key frame");
                    }
                    last = Some(n);
                }
            }
        }
    }
}

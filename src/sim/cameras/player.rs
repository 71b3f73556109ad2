//! Which frame a camera shows at which instant, and its packets on the way to one client.
//!
//! No I/O but the datagrams of [`Output::Udp`], which are handed to the system or lost. All sessions
//! of a camera follow its one [`TimeLine`], so a client that comes back resumes in real time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::fault::{Faults, KeyFrames};
use super::output::Output;
use super::sent::{SentFrame, SentLog};
use super::time_line::TimeLine;
use crate::sim::media::{Cursor, Film, RTP_HEADER_BYTES};
use crate::time::{Clock, MediaTime, WallTime};

/// Time between two sender reports: RFC 3550 6.2 recommends 5 s.
const REPORT_PERIOD: Duration = Duration::from_secs(5);
/// A player that is later than this (the process was stopped) goes on with what is due now.
const LAG_MAX: Duration = Duration::from_secs(10);
/// Waiting for a change of settings, not for time.
pub(super) const FAR: Duration = Duration::from_secs(3_600);
/// Seconds from 1900 (NTP) to 1970 (Unix), RFC 5905 figure 4.
const NTP_UNIX_OFFSET_S: i64 = 2_208_988_800;

/// All of a camera that can change while it runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) time_line: TimeLine,
    pub(super) film_idx: usize,
    pub(super) faults: Faults,
    /// Connections that met a smaller count are cut.
    pub(super) n_cuts: u64,
    /// Connections are reset until then.
    pub(super) down_until: Option<Instant>,
}

/// How a client comes to see a camera.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The source named in SETUP's answer.
    pub(super) ssrc: u32,
    /// All frames since the last key frame at once, instead of waiting for the next?
    pub(super) burst: bool,
}

/// One client's view of a camera: its place in the film and its RTP numbers.
pub(super) struct Player {
    films: Arc<[Arc<Film>]>,
    settings: Settings,
    film_idx: usize,
    cursor: Cursor,
    /// Where another film takes over.
    switch: Option<(usize, Cursor)>,
    send_at: Instant,
    report_at: Instant,
    ssrc: u32,
    seq: u16,
    rtp_base: u32,
    n_packets: u32,
    n_octets: u32,
}

impl Player {
    /// Begins at the next key frame, or at once with all frames since the last one.
    pub(super) fn begin(
        films: Arc<[Arc<Film>]>,
        settings: Settings,
        now: Instant,
        entry: Entry,
    ) -> Player {
        let mut player = Player {
            film_idx: settings.film_idx,
            films,
            settings,
            cursor: Cursor {
                round: 0,
                frame_idx: 0,
            },
            switch: None,
            send_at: now,
            report_at: now,
            ssrc: entry.ssrc,
            seq: fastrand::u16(..),
            rtp_base: fastrand::u32(..),
            n_packets: 0,
            n_octets: 0,
        };
        let ticks = settings.time_line.ticks_at(now);
        let film = player.film();
        player.cursor = if entry.burst {
            film.key_at_or_before(film.at_or_before(ticks))
        } else if settings.faults.keys == KeyFrames::None {
            film.at_or_after(ticks)
        } else {
            film.key_at_or_after(film.at_or_after(ticks))
        };
        player.schedule(now);
        player.report_at = player.send_at;
        player
    }

    /// Sequence number and RTP time of the next packet, for PLAY's `RTP-Info`.
    pub(super) fn rtp_info(&self) -> (u16, u32) {
        (self.seq, self.rtp_time(self.film().ticks(self.cursor)))
    }

    /// When [`Player::pump`] has something to do, unless settings change before.
    pub(super) fn wake_at(&self) -> Instant {
        self.send_at.min(self.report_at)
    }

    /// Takes over changed settings.
    pub(super) fn set(&mut self, settings: Settings, now: Instant) {
        let was_silent = is_silent(&self.settings);
        self.settings = settings;
        if was_silent && !is_silent(&settings) {
            self.film_idx = self.switch.take().map_or(self.film_idx, |(idx, _)| idx);
            let ticks = settings.time_line.ticks_at(now);
            self.cursor = self.film().at_or_after(ticks);
            self.report_at = now;
        }
        let target = self.switch.map_or(self.film_idx, |(idx, _)| idx);
        if settings.film_idx != target {
            self.switch = self.films.get(settings.film_idx).map(|film| {
                let ticks = settings.time_line.ticks_at(now);
                let from = film.key_at_or_after(film.at_or_after(ticks));
                (settings.film_idx, from)
            });
        }
        self.schedule(now);
    }

    /// Puts out every frame that is due at `now`, and a sender report when it is time.
    pub(super) fn pump(
        &mut self,
        now: Instant,
        clock: &Clock,
        output: &mut Output<'_>,
        log: &SentLog,
    ) {
        if now.saturating_duration_since(self.send_at) > LAG_MAX {
            self.film_idx = self.switch.take().map_or(self.film_idx, |(idx, _)| idx);
            let film = self.film();
            let due = film.at_or_after(self.settings.time_line.ticks_at(now));
            self.cursor = film.key_at_or_after(due);
            self.schedule(now);
        }
        while self.send_at <= now {
            self.send_frame(now, output, log);
            self.advance();
            let not_before = self.send_at;
            self.schedule(not_before);
        }
        if self.report_at <= now {
            self.send_report(now, clock.at(now), output);
            self.report_at = now + REPORT_PERIOD;
        }
    }

    fn film(&self) -> &Arc<Film> {
        self.films
            .get(self.film_idx)
            .or(self.films.first())
            .expect("a camera has at least one film")
    }

    fn advance(&mut self) {
        self.cursor = self.film().next(self.cursor);
        let Some((film_idx, from)) = self.switch else {
            return;
        };
        let begins = self.films.get(film_idx).map(|film| film.ticks(from));
        if begins.is_some_and(|begins| begins <= self.film().ticks(self.cursor)) {
            self.film_idx = film_idx;
            self.cursor = from;
            self.switch = None;
        }
    }

    /// Sets when the frame at the cursor is sent: when it is due, later for faults, never before
    /// `not_before`.
    fn schedule(&mut self, not_before: Instant) {
        let settings = &self.settings;
        if is_silent(settings) {
            self.send_at = not_before + FAR;
            self.report_at = self.send_at;
            return;
        }
        let mut at = settings
            .time_line
            .instant_of(self.film().ticks(self.cursor));
        let faults = &settings.faults;
        if faults.jitter_ms_max > 0 {
            at += Duration::from_millis(u64::from(fastrand::u32(0..=faults.jitter_ms_max)));
        }
        if faults.burst_ms > 0 {
            let period_ticks = i64::from(faults.burst_ms) * MediaTime::HZ / 1_000;
            let ticks = settings.time_line.ticks_at(at);
            let n_periods = ticks.div_euclid(period_ticks) + 1;
            at = settings.time_line.instant_of(n_periods * period_ticks);
        }
        self.send_at = at.max(not_before);
    }

    fn send_frame(&mut self, now: Instant, output: &mut Output<'_>, log: &SentLog) {
        let film = Arc::clone(self.film());
        let frame = film.frame(self.cursor);
        let is_left_out = frame.is_key
            && match self.settings.faults.keys {
                KeyFrames::All => false,
                KeyFrames::OneIn(n) => {
                    let n = usize::try_from(n).unwrap_or(usize::MAX);
                    !film.key_ordinal(self.cursor).is_multiple_of(n)
                }
                KeyFrames::None => true,
            };
        if is_left_out {
            return;
        }
        let ticks = film.ticks(self.cursor);
        let (mut n_dropped, mut n_bytes) = (0, 0);
        let drop_permille = self.settings.faults.drop_permille;
        for packet in &frame.packets {
            if drop_permille > 0 && fastrand::u16(0..1_000) < drop_permille {
                self.seq = self.seq.wrapping_add(1);
                n_dropped += 1;
            } else {
                self.send_packet(packet, ticks, output);
                n_bytes += packet.len();
            }
        }
        let sent = SentFrame {
            number: film.number(self.cursor),
            frame_idx: self.cursor.frame_idx,
            film_idx: self.film_idx,
            at: MediaTime(ticks),
            sent_at: now,
            n_dropped,
            is_key: frame.is_key,
        };
        log.push(sent, n_bytes);
    }

    fn send_packet(&mut self, packet: &[u8], ticks: i64, output: &mut Output<'_>) {
        let Some((header, payload)) = packet.split_at_checked(RTP_HEADER_BYTES) else {
            return;
        };
        let mut patched = [0; RTP_HEADER_BYTES];
        // Version, payload type and marker are the packet's own.
        let own = header.iter().copied().take(2);
        let fields = own
            .chain(self.seq.to_be_bytes())
            .chain(self.rtp_time(ticks).to_be_bytes())
            .chain(self.ssrc.to_be_bytes());
        for (to, from) in patched.iter_mut().zip(fields) {
            *to = from;
        }
        output.rtp(packet.len(), |out| {
            out.extend_from_slice(&patched);
            out.extend_from_slice(payload);
        });
        self.seq = self.seq.wrapping_add(1);
        self.n_packets = self.n_packets.wrapping_add(1);
        let n_octets = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        self.n_octets = self.n_octets.wrapping_add(n_octets);
    }

    /// A sender report (RFC 3550, 6.4.1) and the CNAME that must go with it (6.5.1).
    fn send_report(&self, now: Instant, wall: WallTime, output: &mut Output<'_>) {
        let offset_ms = self.settings.faults.clock_offset_ms;
        let wall_ns = wall
            .unix_ns()
            .saturating_add(offset_ms.saturating_mul(1_000_000));
        let (seconds, fraction) = ntp(wall_ns);
        let rtp_time = self.rtp_time(self.settings.time_line.ticks_at(now));
        let words = [
            0x80c8_0006,
            self.ssrc,
            seconds,
            fraction,
            rtp_time,
            self.n_packets,
            self.n_octets,
            // Source description, one chunk of three words: CNAME of three bytes, end, padding.
            0x81ca_0003,
            self.ssrc,
            u32::from_be_bytes([1, 3, b's', b'i']),
            u32::from_be_bytes([b'm', 0, 0, 0]),
        ];
        output.rtcp(words.len() * 4, |out| {
            for word in words {
                out.extend_from_slice(&word.to_be_bytes());
            }
        });
    }

    fn rtp_time(&self, ticks: i64) -> u32 {
        // RTP time is 32 bits and wraps every 13 hours.
        let wrapped = u32::try_from(ticks.rem_euclid(1 << 32)).unwrap_or(0);
        self.rtp_base.wrapping_add(wrapped)
    }
}

fn is_silent(settings: &Settings) -> bool {
    settings.faults.frozen || settings.faults.black_hole
}

/// Seconds since 1900 (wrapping in 2036, as the format does) and 2^-32 fractions.
fn ntp(unix_ns: i64) -> (u32, u32) {
    let seconds = unix_ns.div_euclid(1_000_000_000) + NTP_UNIX_OFFSET_S;
    let fraction = (i128::from(unix_ns.rem_euclid(1_000_000_000)) << 32) / 1_000_000_000;
    (
        u32::try_from(seconds.rem_euclid(1 << 32)).unwrap_or(0),
        u32::try_from(fraction).unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::media::tests::numbered;

    const NEXT_KEY: Entry = Entry {
        ssrc: 7,
        burst: false,
    };
    const BURST: Entry = Entry {
        ssrc: 7,
        burst: true,
    };

    struct Bench {
        now: Instant,
        clock: Clock,
        log: SentLog,
        out: Vec<u8>,
    }

    impl Bench {
        fn new() -> Bench {
            Bench {
                now: Instant::now(),
                clock: Clock::simulated(WallTime::from_unix_ms(1_000)),
                log: SentLog::default(),
                out: Vec::new(),
            }
        }

        fn settings(&self) -> Settings {
            Settings {
                time_line: TimeLine::new(self.now, 0),
                film_idx: 0,
                faults: Faults::default(),
                n_cuts: 0,
                down_until: None,
            }
        }

        /// Pumps `player` at each of its wake times up to `ms` from the start.
        fn play(&mut self, player: &mut Player, ms: u64) {
            let end = self.now + Duration::from_millis(ms);
            while player.wake_at() <= end {
                let wake = player.wake_at();
                let mut output = Output::Interleaved {
                    out: &mut self.out,
                    rtp: 0,
                    rtcp: 1,
                };
                player.pump(wake, &self.clock, &mut output, &self.log);
            }
        }

        /// Channel and bytes of each packet put out so far.
        fn packets(&self) -> Vec<(u8, Vec<u8>)> {
            let mut rest = self.out.as_slice();
            let mut packets = Vec::new();
            while let [b'$', channel, high, low, tail @ ..] = rest {
                let (packet, tail) = tail.split_at(usize::from(u16::from_be_bytes([*high, *low])));
                packets.push((*channel, packet.to_vec()));
                rest = tail;
            }
            assert!(rest.is_empty());
            packets
        }

        fn numbers(&self) -> Vec<u64> {
            self.log.snapshot().iter().map(|s| s.number).collect()
        }
    }

    fn be32(bytes: &[u8]) -> u32 {
        u32::from_be_bytes(bytes[..4].try_into().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn time_and_sequence_continue_across_the_loop() {
        let mut bench = Bench::new();
        let films: Arc<[_]> = Arc::from([numbered(10, 5, 0)]);
        let mut player = Player::begin(films, bench.settings(), bench.now, NEXT_KEY);
        bench.play(&mut player, 1_000);
        assert_eq!(bench.numbers(), (0..26).collect::<Vec<u64>>());
        let rtp: Vec<_> = bench.packets().into_iter().filter(|p| p.0 == 0).collect();
        assert_eq!(rtp.len(), 26);
        for pair in rtp.windows(2) {
            let seq = |p: &[u8]| u16::from_be_bytes([p[2], p[3]]);
            assert_eq!(seq(&pair[1].1), seq(&pair[0].1).wrapping_add(1));
            let step = be32(&pair[1].1[4..]).wrapping_sub(be32(&pair[0].1[4..]));
            assert_eq!(step, 3_600);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_comes_back_sees_the_same_time_line() {
        let mut bench = Bench::new();
        let films: Arc<[_]> = Arc::from([numbered(100, 25, 0)]);
        let later = bench.now + Duration::from_millis(1_500);
        let mut late = Player::begin(Arc::clone(&films), bench.settings(), later, NEXT_KEY);
        bench.play(&mut late, 2_000);
        assert_eq!(
            bench.numbers(),
            [50],
            "the next key frame is the one of 2 s"
        );
        let mut bench_2 = Bench::new();
        bench_2.now = bench.now;
        let mut burst = Player::begin(films, bench_2.settings(), later, BURST);
        bench_2.play(&mut burst, 1_500);
        assert_eq!(bench_2.numbers(), (25..=37).collect::<Vec<u64>>());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_packet_uses_its_number_and_a_left_out_key_frame_does_not() {
        let mut bench = Bench::new();
        let films: Arc<[_]> = Arc::from([numbered(10, 5, 0)]);
        let mut settings = bench.settings();
        settings.faults.drop_permille = 1_000;
        let mut player = Player::begin(Arc::clone(&films), settings, bench.now, NEXT_KEY);
        let before = player.rtp_info().0;
        bench.play(&mut player, 120);
        assert_eq!(player.rtp_info().0, before.wrapping_add(4));
        assert_eq!(bench.packets().iter().filter(|p| p.0 == 0).count(), 0);

        let mut bench = Bench::new();
        let mut settings = bench.settings();
        settings.faults.keys = KeyFrames::OneIn(2);
        let mut player = Player::begin(films, settings, bench.now, NEXT_KEY);
        bench.play(&mut player, 440);
        assert_eq!(bench.numbers(), [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]);
    }

    #[tokio::test(start_paused = true)]
    async fn frozen_frames_never_come_and_the_frames_of_now_do() {
        let mut bench = Bench::new();
        let films: Arc<[_]> = Arc::from([numbered(100, 25, 0)]);
        let mut settings = bench.settings();
        let mut player = Player::begin(films, settings, bench.now, NEXT_KEY);
        bench.play(&mut player, 80);
        settings.faults.frozen = true;
        player.set(settings, bench.now + Duration::from_millis(90));
        bench.play(&mut player, 400);
        settings.faults.frozen = false;
        player.set(settings, bench.now + Duration::from_millis(401));
        bench.play(&mut player, 480);
        assert_eq!(bench.numbers(), [0, 1, 2, 11, 12]);
    }

    #[tokio::test(start_paused = true)]
    async fn another_film_takes_over_at_its_key_frame() {
        let mut bench = Bench::new();
        let films: Arc<[_]> = Arc::from([numbered(100, 25, 0), numbered(30, 10, 0)]);
        let mut settings = bench.settings();
        let mut player = Player::begin(films, settings, bench.now, NEXT_KEY);
        bench.play(&mut player, 80);
        settings.film_idx = 1;
        player.set(settings, bench.now + Duration::from_millis(90));
        bench.play(&mut player, 440);
        let log = bench.log.snapshot();
        let first = log.iter().find(|s| s.film_idx == 1).unwrap();
        assert_eq!((first.number, first.is_key), (10, true));
        let times: Vec<i64> = log.iter().map(|s| s.at.0 / 3_600).collect();
        assert_eq!(times, (0..=11).collect::<Vec<i64>>());
    }

    #[tokio::test(start_paused = true)]
    async fn jitter_keeps_order_and_a_burst_comes_together() {
        let mut bench = Bench::new();
        let films: Arc<[_]> = Arc::from([numbered(100, 25, 0)]);
        let mut settings = bench.settings();
        settings.faults.jitter_ms_max = 300;
        let mut player = Player::begin(Arc::clone(&films), settings, bench.now, NEXT_KEY);
        bench.play(&mut player, 2_000);
        let numbers = bench.numbers();
        assert!(numbers.len() > 40);
        assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());

        let mut bench = Bench::new();
        settings = bench.settings();
        settings.faults.burst_ms = 400;
        let mut player = Player::begin(films, settings, bench.now, NEXT_KEY);
        bench.play(&mut player, 850);
        let times = bench.log.snapshot().into_iter().map(|s| s.sent_at);
        let ms: Vec<u128> = times.map(|at| (at - bench.now).as_millis()).collect();
        assert_eq!(ms, [vec![400; 10], vec![800; 10]].concat());
    }

    #[tokio::test(start_paused = true)]
    async fn sender_reports_tell_the_cameras_own_clock() {
        let mut bench = Bench::new();
        let films: Arc<[_]> = Arc::from([numbered(100, 25, 0)]);
        let mut settings = bench.settings();
        settings.faults.clock_offset_ms = 2_500;
        let mut player = Player::begin(films, settings, bench.now, NEXT_KEY);
        bench.play(&mut player, 5_100);
        let reports: Vec<_> = bench.packets().into_iter().filter(|p| p.0 == 1).collect();
        assert_eq!(reports.len(), 2);
        let report = &reports[1].1;
        assert_eq!(report.len(), 44);
        assert_eq!(report[..4], [0x80, 200, 0, 6]);
        // 1 s at the start, 5 s later, 2.5 s ahead.
        assert_eq!(be32(&report[8..]), 8 + 2_208_988_800);
        assert_eq!(be32(&report[12..]), 1 << 31);
        assert_eq!(
            be32(&report[16..]).wrapping_sub(player.rtp_base),
            5 * 90_000
        );
    }
}

//! What a camera costs, side by side: processor time and memory of the gateway, of one `ffmpeg -c copy
//! -f segment` for each stream, and of a bare reader that only receives the RTSP bytes and throws them
//! away. All read the same simulated cameras of 2 Mbit/s, one after another.
//! `cargo bench --bench gateway -- streams 93 30` (cameras, seconds measured)

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::common::cameras::{Cameras, FRAMES_PER_S};
use crate::common::process::{Program, Usage, metric};
use crate::common::runtime;
use crate::common::site::Site;
use stairgate::supervise::Supervisor;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;
use url::Url;

const N_CAMERAS: usize = 93;
const MEASURED_S: u64 = 30;
/// Until rings are full, and the readers have forgotten their start.
const WARM_UP: Duration = Duration::from_secs(20);
/// With this first argument the bench is the bare reader.
pub(crate) const BARE_READER: &str = "bare-reader";
/// The bare reader's buffer for each read.
const BUFFER_BYTES: usize = 256 << 10;

pub(crate) fn run(asked: &[u64]) {
    let n = asked
        .first()
        .map_or(N_CAMERAS, |n| usize::try_from(*n).unwrap_or(N_CAMERAS));
    let seconds = Duration::from_secs(asked.get(1).copied().unwrap_or(MEASURED_S));
    let folder = tempfile::tempdir().expect("a folder for the bench");
    let cameras = Cameras::start(n, folder.path());

    println!(
        "| {n} streams of 2 Mbit/s, {} s | CPU a camera, % of a core | memory a camera, MB |",
        seconds.as_secs()
    );
    println!("|---|---|---|");
    let bare = measure(&[start_bare(&cameras, folder.path())], seconds);
    show("bare reader, woken at every packet", n, &bare);
    let ours = gateway(&cameras, folder.path(), seconds);
    show("stairgate, ring of 12 s", n, &ours.0);
    let ffmpegs: Vec<Program> = (0..n)
        .map(|idx| ffmpeg(&cameras, idx, folder.path()))
        .collect();
    let theirs = measure(&ffmpegs, seconds);
    drop(ffmpegs);
    show("ffmpeg -c copy -f segment", n, &theirs);

    let ratio = |other: &Usage| ours.0.cpu.as_secs_f64() / other.cpu.as_secs_f64();
    println!("\nstairgate / ffmpeg: {:.2} (target 0.30)", ratio(&theirs));
    println!("stairgate / bare reader: {:.2} (target 1.00)", ratio(&bare));
    let (own, ring) = (ours.0.anonymous_bytes, ours.1.ring_bytes);
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    let over = (own.saturating_sub(64 << 20)) as f64 / ring as f64;
    println!(
        "memory: {} MB for rings of {} MB: 64 MiB and {over:.2} x ring (target 1.20)",
        own / 1_000_000,
        ring / 1_000_000
    );
    println!(
        "frames: {} of {} expected, {} packets lost",
        ours.1.n_frames, ours.1.n_expected, ours.1.n_lost
    );
}

/// What the gateway says of its cameras.
struct Counted {
    ring_bytes: u64,
    n_frames: u64,
    n_expected: u64,
    n_lost: u64,
}

fn gateway(cameras: &Cameras, folder: &Path, seconds: Duration) -> (Usage, Counted) {
    let site = Site::write(folder, cameras.urls.len(), &cameras.urls, "");
    let log = folder.join("gateway.log");
    let mut program = Program::stairgate(&site.run_args(), &log);
    program.ready(site.web, &log);
    let sum = |name: &str| metric(site.web, name).iter().sum::<f64>();
    pause(WARM_UP);
    let (frames_0, at_0) = (sum("stairgate_camera_frames_total"), Instant::now());
    let programs = [program];
    let mut usage = difference(&programs, seconds);
    let (frames_1, took) = (sum("stairgate_camera_frames_total"), at_0.elapsed());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts of a bench"
    )]
    let counted = Counted {
        ring_bytes: sum("stairgate_ring_bytes") as u64,
        n_frames: (frames_1 - frames_0) as u64,
        n_expected: (took.as_secs_f64() * 1_000.0) as u64
            * FRAMES_PER_S
            * cameras.urls.len() as u64
            / 1_000,
        n_lost: sum("stairgate_camera_lost_packets_total") as u64,
    };
    let [program] = programs;
    usage.anonymous_bytes = program.usage().anonymous_bytes;
    program.stop();
    (usage, counted)
}

fn ffmpeg(cameras: &Cameras, idx: usize, folder: &Path) -> Program {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-v", "error", "-nostdin", "-rtsp_transport", "tcp", "-i"])
        .arg(cameras.urls.get(idx).expect("a stream for each"))
        .args(["-c", "copy", "-f", "segment", "-segment_time", "60", "-y"])
        .arg(folder.join(format!("ffmpeg-{idx}-%03d.mp4")));
    Program::start(&mut command, &folder.join(format!("ffmpeg-{idx}.log")))
}

fn start_bare(cameras: &Cameras, folder: &Path) -> Program {
    let own = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new(own);
    command.arg(BARE_READER).args(&cameras.urls);
    Program::start(&mut command, &folder.join("bare.log"))
}

fn measure(programs: &[Program], seconds: Duration) -> Usage {
    pause(WARM_UP);
    difference(programs, seconds)
}

/// Processor time of `programs` over the next `seconds`, and their memory at the end.
fn difference(programs: &[Program], seconds: Duration) -> Usage {
    let sum = || {
        let mut sum = Usage::default();
        for usage in programs.iter().map(Program::usage) {
            sum.cpu += usage.cpu;
            sum.anonymous_bytes += usage.anonymous_bytes;
        }
        sum
    };
    let (before, begun) = (sum(), Instant::now());
    pause(seconds);
    let (after, took) = (sum(), begun.elapsed());
    Usage {
        // As if it had been measured for one second.
        cpu: (after.cpu - before.cpu).div_f64(took.as_secs_f64()),
        anonymous_bytes: after.anonymous_bytes,
    }
}

fn show(what: &str, n: usize, usage: &Usage) {
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let (n, bytes) = (n as f64, usage.anonymous_bytes as f64);
    println!(
        "| {what} | {:.3} | {:.2} |",
        usage.cpu.as_secs_f64() * 100.0 / n,
        bytes / n / 1e6
    );
}

fn pause(duration: Duration) {
    let until = Instant::now() + duration;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}

/// Receives every stream of `words` (the first is [`BARE_READER`]) until it is killed.
pub(crate) fn bare_reader(words: &[String]) {
    let runtime = runtime(1);
    let readers = Supervisor::new();
    let _context = runtime.enter();
    for url in words.iter().skip(1) {
        let url: Url = url.parse().expect("a url of ours");
        readers.spawn("reader", tracing::Span::none(), receive(url));
    }
    runtime.block_on(std::future::pending::<()>());
}

async fn receive(url: Url) {
    let host = url.host_str().unwrap_or_default().to_owned();
    let addr = (host, url.port().unwrap_or_default());
    let mut stream = TcpStream::connect(addr).await.expect("the server listens");
    let setup = format!(
        "SETUP {url} RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
    );
    stream.write_all(setup.as_bytes()).await.expect("setup");
    let mut buffer = vec![0; BUFFER_BYTES];
    let n_bytes = stream.read(&mut buffer).await.expect("answer");
    let answer = String::from_utf8_lossy(buffer.get(..n_bytes).unwrap_or_default()).into_owned();
    let session = answer
        .lines()
        .find_map(|line| line.strip_prefix("Session: "));
    let session = session.and_then(|value| value.split(';').next());
    let session = session.expect("a session").to_owned();
    let play = format!("PLAY {url} RTSP/1.0\r\nCSeq: 2\r\nSession: {session}\r\n\r\n");
    stream.write_all(play.as_bytes()).await.expect("play");
    while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
}

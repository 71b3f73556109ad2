//! What simulated cameras cost: processor time of the server for so many streams of 2 Mbit/s, read by
//! clients that throw everything away. `cargo bench --bench gateway -- sim_cameras 93 500`

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use stairgate::camera::{Codec, VideoParams};
use stairgate::mux::{RtpFrame, RtpMedia};
use stairgate::sim::cameras::{SimCameras, SimCamerasOptions};
use stairgate::sim::media::Film;
use stairgate::supervise::Supervisor;
use stairgate::time::{Clock, MediaTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

const KEY_PACKETS: usize = 43;
const OTHER_PACKETS: usize = 6;
const PACKET_BYTES: usize = 1_400;
const N_CAMERAS: [u64; 2] = [93, 500];
const GOP_FRAMES: usize = 50;
const MEASURE: Duration = Duration::from_secs(20);

/// 25 frames a second, a key frame every 2 s, 1.9 Mbit/s.
fn film() -> Arc<Film> {
    let mut packet = vec![0x80, 0x60];
    packet.resize(PACKET_BYTES, 7);
    let packet = bytes::Bytes::from(packet);
    let frames = (0..GOP_FRAMES).map(|idx| {
        let n_packets = if idx == 0 { KEY_PACKETS } else { OTHER_PACKETS };
        RtpFrame {
            at: MediaTime(i64::try_from(idx).unwrap_or(0) * 3_600),
            is_key: idx == 0,
            packets: vec![packet.clone(); n_packets],
        }
    });
    let media = RtpMedia {
        params: VideoParams {
            codec: Codec::H264,
            width: 1_920,
            height: 1_080,
            extra_data: bytes::Bytes::new(),
            rfc6381: String::new(),
        },
        payload_type: 96,
        rtpmap: "96 H264/90000".to_owned(),
        fmtp: "96 packetization-mode=1".to_owned(),
        duration_ticks: 50 * 3_600,
        frames: frames.collect(),
    };
    Film::new(media).expect("the film is in order")
}

/// Processor seconds of this process's threads, by the first letters of their names.
fn cpu_by_thread() -> BTreeMap<String, f64> {
    let mut by_name = BTreeMap::new();
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    for task in tasks.flatten() {
        let text = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        let Some((head, tail)) = text.rsplit_once(") ") else {
            continue;
        };
        let name = head.split_once('(').map_or("", |(_, name)| name);
        let fields: Vec<f64> = tail.split(' ').filter_map(|f| f.parse().ok()).collect();
        // After the state letter: utime and stime are fields 14 and 15 of proc_pid_stat(5), in 1/100 s.
        let ticks = fields.get(10).unwrap_or(&0.0) + fields.get(11).unwrap_or(&0.0);
        *by_name.entry(name.to_owned()).or_insert(0.0) += ticks / 100.0;
    }
    by_name
}

async fn watch(url: Url) {
    let host = url.host_str().unwrap_or_default().to_owned();
    let addr = (host, url.port().unwrap_or_default());
    let mut stream = TcpStream::connect(addr).await.expect("the server listens");
    let setup = format!(
        "SETUP {url} RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
    );
    stream.write_all(setup.as_bytes()).await.expect("setup");
    let mut buffer = vec![0; 256 * 1_024];
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

fn runtime(name: &str, n_threads: usize) -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(n_threads)
        .thread_name(name)
        .enable_all()
        .build()
        .expect("a runtime")
}

fn measure(n_cameras: usize) {
    let (servers, readers) = (runtime("server", 2), runtime("reader", 1));
    let supervisor = Supervisor::new();
    let options = SimCamerasOptions {
        n_cameras,
        ..SimCamerasOptions::default()
    };
    let start = SimCameras::start(options, vec![film()], Clock::system(), &supervisor);
    let cameras = servers.block_on(start).expect("cameras");
    let _context = readers.enter();
    let watching = Supervisor::new();
    for idx in 0..n_cameras {
        let url = cameras.url(idx);
        watching.spawn("reader", tracing::Span::none(), watch(url));
    }
    readers.block_on(tokio::time::sleep(Duration::from_secs(5)));
    let (cpu_0, stats_0) = (cpu_by_thread(), cameras.stats());
    readers.block_on(tokio::time::sleep(MEASURE));
    let (cpu_1, stats_1) = (cpu_by_thread(), cameras.stats());
    let seconds = MEASURE.as_secs_f64();
    println!(
        "{n_cameras} cameras: {} connections, {:.0} frames/s, {:.0} kbit/s, {} slow",
        stats_1.n_connections,
        f64::from(u32::try_from(stats_1.n_frames - stats_0.n_frames).unwrap_or(0)) / seconds,
        f64::from(u32::try_from((stats_1.n_bytes - stats_0.n_bytes) / 125).unwrap_or(0)) / seconds,
        stats_1.n_slow
    );
    for (name, cpu) in &cpu_1 {
        let percent = (cpu - cpu_0.get(name).unwrap_or(&0.0)) / seconds * 100.0;
        println!("  {name}: {percent:.1} % of one core");
    }
    servers.shutdown_background();
    readers.shutdown_background();
}

pub(crate) fn run(asked: &[u64]) {
    let counts = if asked.is_empty() {
        &N_CAMERAS[..]
    } else {
        asked
    };
    for n in counts {
        measure(usize::try_from(*n).unwrap_or(1));
    }
}

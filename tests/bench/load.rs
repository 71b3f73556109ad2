//! How many cameras the machine carries beside their simulator, and for how long without losing a
//! frame: `cargo bench --bench gateway -- load 600 93` (seconds, cameras; several numbers of cameras one after
//! another).

use std::time::Duration;

use crate::common::cameras::{Cameras, FRAMES_PER_S};
use crate::common::process::{Program, metric};
use crate::common::site::Site;
use tokio::time::Instant;

const SECONDS: u64 = 60;
const N_CAMERAS: [u64; 2] = [93, 500];
/// Until all cameras stream and their rings are full.
const WARM_UP_MAX: Duration = Duration::from_secs(120);
const RING_FULL_S: f64 = 12.0;
/// Looks at the memory while it runs.
const N_LOOKS: u32 = 10;

pub(crate) fn run(asked: &[u64]) {
    let (seconds, counts) = match asked.split_first() {
        Some((seconds, counts)) if !counts.is_empty() => (*seconds, counts.to_vec()),
        Some((seconds, _)) => (*seconds, N_CAMERAS.to_vec()),
        None => (SECONDS, N_CAMERAS.to_vec()),
    };
    println!(
        "| cameras | seconds | frames got / due | lost packets | new sessions | oldest key frame, s \
         | gateway CPU, % | simulator CPU, % | memory MB: first, least, most |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for n in counts {
        load(
            usize::try_from(n).unwrap_or(1),
            Duration::from_secs(seconds),
        );
    }
}

fn load(n: usize, seconds: Duration) {
    let folder = tempfile::tempdir().expect("a folder for the bench");
    let cameras = Cameras::start(n, folder.path());
    let site = Site::write(folder.path(), n, &cameras.urls, "");
    let log = folder.path().join("gateway.log");
    let mut gateway = Program::stairgate(&site.run_args(), &log);
    gateway.ready(site.web, &log);
    let sum = |name: &str| metric(site.web, name).iter().sum::<f64>();
    let begun = Instant::now();
    while least(&metric(site.web, "stairgate_ring_seconds")) < RING_FULL_S
        || metric(site.web, "stairgate_ring_seconds").len() < n
    {
        if begun.elapsed() > WARM_UP_MAX {
            println!(
                "| {n} | not all streaming within {} s |",
                WARM_UP_MAX.as_secs()
            );
            break;
        }
        pause(Duration::from_millis(500));
    }
    let (cpu_0, sim_0) = (gateway.usage().cpu, cameras.program.usage().cpu);
    let (frames_0, sessions_0) = (
        sum("stairgate_camera_frames_total"),
        sum("stairgate_camera_sessions_total"),
    );
    let begun = Instant::now();
    let mut memory = Vec::new();
    let mut key_frame_age = 0.0_f64;
    for _ in 0..N_LOOKS {
        pause(seconds / N_LOOKS);
        memory.push(gateway.usage().anonymous_bytes / 1_000_000);
        let ages = metric(site.web, "stairgate_camera_keyframe_age_seconds");
        key_frame_age = ages.into_iter().fold(key_frame_age, f64::max);
    }
    let took = begun.elapsed().as_secs_f64();
    let frames = sum("stairgate_camera_frames_total") - frames_0;
    #[expect(clippy::cast_precision_loss, reason = "counts of a bench")]
    let due = took * (FRAMES_PER_S * n as u64) as f64;
    let percent = |cpu: Duration| cpu.as_secs_f64() * 100.0 / took;
    println!(
        "| {n} | {took:.0} | {frames:.0} / {due:.0} | {:.0} | {:.0} | {key_frame_age:.1} | {:.1} | {:.1} \
         | {}, {}, {} |",
        sum("stairgate_camera_lost_packets_total"),
        sum("stairgate_camera_sessions_total") - sessions_0,
        percent(gateway.usage().cpu - cpu_0),
        percent(cameras.program.usage().cpu - sim_0),
        memory.first().copied().unwrap_or(0),
        memory.iter().min().copied().unwrap_or(0),
        memory.iter().max().copied().unwrap_or(0),
    );
    gateway.stop();
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn pause(duration: Duration) {
    let until = Instant::now() + duration;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}

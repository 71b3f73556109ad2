//! A swipe's way to its acknowledgement: published, decided, durable, PUBACK, at 200 a second; the
//! highest rate that is sustained; and the decision's way through mosquitto to a door that asks online.
//! `cargo bench --bench gateway -- swipes`

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::common::process::{Program, free_addr};
use crate::common::site::Site;
use crate::common::{ms, quantile, runtime};
use futures_util::future::join_all;
use stairgate::domain::card::CardNumber;
use stairgate::domain::id::{CompoundId, DoorId};
use stairgate::sim::doors::{
    DoorMode, SimDoorOptions, SimDoors, SimDoorsOptions, SimSwipe, SwipeReport,
};
use stairgate::supervise::Supervisor;
use stairgate::time::Clock;
use tokio::time::Instant;

const N_DOORS: usize = 100;
/// A door each half second: 200 swipes a second.
const CALM_PER_DOOR_S: u32 = 2;
const CALM_S: u32 = 20;
/// As fast as each door can, with at most 64 of its swipes under way.
const FLOOD_PER_DOOR: u32 = 400;
const READY_WITHIN: Duration = Duration::from_secs(30);

pub(crate) fn run(_: &[u64]) {
    let folder = tempfile::tempdir().expect("a folder for the bench");
    let site = Site::write(folder.path(), N_DOORS, &[], "");
    let log = folder.path().join("gateway.log");
    let mut gateway = Program::stairgate(&site.run_args(), &log);
    gateway.ready(site.web, &log);
    runtime(1).block_on(async {
        let doors = doors(site.mqtt.port(), DoorMode::Record).await;
        let calm = swipe_all(&doors, CALM_PER_DOOR_S * CALM_S, CALM_PER_DOOR_S).await;
        let mut acks: Vec<Duration> = calm.iter().map(|report| report.acked_after).collect();
        acks.sort();
        println!(
            "swipe to durable to acknowledged, {} at 200/s: p50 {} ms, p99 {} ms, worst {} ms (target p99 10)",
            acks.len(),
            ms(quantile(&acks, 50)),
            ms(quantile(&acks, 99)),
            ms(quantile(&acks, 100))
        );
        let (cpu, begun) = (gateway.usage().cpu, Instant::now());
        let flood = swipe_all(&doors, FLOOD_PER_DOOR, u32::MAX).await;
        let took = begun.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = flood.len() as f64 / took;
        println!(
            "sustained: {} swipes in {took:.1} s, {rate:.0}/s (target 2000), gateway at {:.0} % of a core",
            flood.len(),
            (gateway.usage().cpu - cpu).as_secs_f64() * 100.0 / took
        );
    });
    gateway.stop();
    through_mosquitto(folder.path());
}

/// What a door at a broker of its own waits for the gateway's decision.
fn through_mosquitto(folder: &Path) {
    let broker = free_addr();
    let settings = folder.join("mosquitto.conf");
    let text = format!(
        "listener {} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n",
        broker.port()
    );
    std::fs::write(&settings, text).expect("the settings can be written");
    let mut command = Command::new("mosquitto");
    command.arg("-c").arg(&settings);
    let _mosquitto = Program::start(&mut command, &folder.join("mosquitto.log"));
    let site = folder.join("broker");
    std::fs::create_dir(&site).expect("a folder of its own");
    let written = Site::write(&site, N_DOORS, &[], "");
    let text = std::fs::read_to_string(&written.config).expect("just written");
    let text = text
        .replace(
            &format!("url = \"embedded\"\nlisten = \"{}\"", written.mqtt),
            &format!("url = \"mqtt://{broker}\""),
        )
        .replace("cameras = []", "cameras = []\ndecision = \"online\"");
    std::fs::write(&written.config, text).expect("the configuration can be written");
    let log = site.join("gateway.log");
    let mut gateway = Program::stairgate(&written.run_args(), &log);
    gateway.ready(written.web, &log);
    runtime(1).block_on(async {
        let doors = doors(broker.port(), DoorMode::Online).await;
        let reports = swipe_all(&doors, CALM_PER_DOOR_S * CALM_S, CALM_PER_DOOR_S).await;
        let mut answers: Vec<Duration> = reports
            .iter()
            .filter_map(|report| Some(report.decision.as_ref()?.after))
            .collect();
        answers.sort();
        println!(
            "swipe through mosquitto to the decision at the door, {} of {} at 200/s: p50 {} ms, p99 {} ms \
             (contract p99 200)",
            answers.len(),
            reports.len(),
            ms(quantile(&answers, 50)),
            ms(quantile(&answers, 99))
        );
    });
    gateway.stop();
}

async fn doors(port: u16, mode: DoorMode) -> SimDoors {
    let options = SimDoorsOptions {
        host: "127.0.0.1".to_owned(),
        port,
        tls: None,
        compound: CompoundId::new("bench").expect("a slug"),
        topic_prefix: "stairgate".to_owned(),
        doors: (0..N_DOORS)
            .map(|idx| SimDoorOptions {
                id: DoorId::new(&format!("d{idx}")).expect("a slug"),
                credentials: None,
                mode,
            })
            .collect(),
    };
    let supervisor = Supervisor::new();
    let doors = SimDoors::start(&options, &Clock::system(), &supervisor).expect("doors start");
    let begun = Instant::now();
    while !doors
        .all()
        .all(|door| door.is_online() && door.cards().is_some())
    {
        assert!(begun.elapsed() < READY_WITHIN, "all doors are connected");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    doors
}

/// `n` swipes at every door, so many a second, all doors side by side and not in step.
async fn swipe_all(doors: &SimDoors, n: u32, per_second: u32) -> Vec<SwipeReport> {
    let bursts = doors.all().enumerate().map(|(idx, door)| async move {
        if per_second <= CALM_PER_DOOR_S {
            let offset = Duration::from_millis(1_000) / CALM_PER_DOOR_S
                * u32::try_from(idx).unwrap_or(0)
                / u32::try_from(N_DOORS).unwrap_or(1);
            tokio::time::sleep(offset).await;
        }
        let card = CardNumber::new(&format!("04A1B2{idx:04X}")).expect("hexadecimal digits");
        door.burst(&SimSwipe::card(card), n, per_second).await
    });
    let reports = join_all(bursts).await.into_iter().flatten();
    reports
        .map(|report| report.expect("every swipe is acknowledged"))
        .collect()
}

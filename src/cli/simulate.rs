//! `simulate`: the demo's parts one by one, with faults, for trying a gateway against them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::printer::Printer;
use super::{Exit, block_on, failed};
use crate::domain::card::CardNumber;
use crate::domain::id::{CompoundId, DoorId};
use crate::domain::secret::Secret;
use crate::mux;
use crate::sim::cameras::{CameraFault, SimCameras, SimCamerasOptions};
use crate::sim::demo_site::DemoSite;
use crate::sim::doors::{DoorFault, DoorMode, SimDoorOptions, SimDoors, SimDoorsOptions, SimSwipe};
use crate::sim::media::Film;
use crate::sim::police::{PoliceFault, SimPolice, SimPoliceOptions};
use crate::supervise::{Supervisor, blocking};
use crate::telemetry::{LogOptions, init_logs};
use crate::time::Clock;

/// Largest packet of a simulated camera: fits an Ethernet frame with all headers.
const PACKET_BYTES_MAX: usize = 1_400;
/// How long a simulated part may take to end.
const END_WITHIN: Duration = Duration::from_secs(5);

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Subcommand)]
pub(super) enum Part {
    /// RTSP cameras: /cam/0001, /cam/0002 …
    #[command(after_help = "\
Example:
  stairgate simulate cameras --listen 127.0.0.1:8554 --cameras 4 --fault 30@2:freeze --fault 60@2:thaw

Faults: drop=20 (of 1000), freeze, thaw, reset, reboot=10 (s), refuse=503, black-hole, jitter=200 (ms),
burst=1000 (ms), clock-offset=-5000 (ms), clock-ppm=50, film=1, keys=all|none|4,
sdp=good|garbage|no-video|other-codec, clear")]
    Cameras(CamerasArgs),
    /// A door that swipes a card again and again.
    #[command(after_help = "\
Example:
  stairgate simulate door --broker 127.0.0.1:1883 --compound majian-1 --door b03-u2-door --card 04A1B2C3D4

Faults: duplicate=2, late=30000 (ms), malformed=not-json|version|no-boot|bad-card|empty|huge, retained, no-time,
clock-offset=-60000 (ms), reboot, unplug, plug, clear")]
    Door(DoorArgs),
    /// A police receiver that prints what reaches it.
    #[command(after_help = "\
Example:
  stairgate simulate police --listen 127.0.0.1:9000 --grpc 127.0.0.1:50051 --secret-file secrets/duty-room \
    --fault 10@refuse=503

Faults: refuse=503, slow=5000 (ms), decline=retry|final, hang, close, truncate, down, clear")]
    Police(PoliceArgs),
}

#[derive(Debug, Args)]
pub(super) struct CamerasArgs {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8554")]
    listen: SocketAddr,
    /// How many cameras.
    #[arg(long, default_value_t = 1)]
    cameras: usize,
    /// What they show (.mp4 of H.264 or H.265 without B-frames), in turns; the built-in film if none.
    #[arg(long)]
    film: Vec<PathBuf>,
    /// [SECONDS@][CAMERA:]FAULT; of camera 1 and at once unless said.
    #[arg(long)]
    fault: Vec<TimedFault<CameraFault>>,
    #[command(flatten)]
    end: EndArgs,
}

#[derive(Debug, Args)]
pub(super) struct DoorArgs {
    /// The broker, or the gateway's own MQTT endpoint.
    #[arg(long, default_value = "127.0.0.1:1883")]
    broker: SocketAddr,
    /// The compound's id.
    #[arg(long)]
    compound: CompoundId,
    /// The door's id.
    #[arg(long)]
    door: DoorId,
    /// The card to swipe, 4 to 32 hexadecimal digits.
    #[arg(long)]
    card: CardNumber,
    /// Swipes in all.
    #[arg(long, default_value_t = 1)]
    swipes: u32,
    /// Swipes a second.
    #[arg(long, default_value_t = 1)]
    per_second: u32,
    /// User name at the broker.
    #[arg(long, requires = "password_file")]
    username: Option<String>,
    /// File with its password.
    #[arg(long)]
    password_file: Option<PathBuf>,
    /// First levels of the topics.
    #[arg(long, default_value = "stairgate")]
    topic_prefix: String,
    /// Wait for the gateway's decision at each swipe.
    #[arg(long)]
    online: bool,
    /// [SECONDS@]FAULT; at once unless said.
    #[arg(long)]
    fault: Vec<TimedFault<DoorFault>>,
}

#[derive(Debug, Args)]
pub(super) struct PoliceArgs {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// Where to take alerts by gRPC (AlertSink) besides.
    #[arg(long)]
    grpc: Option<SocketAddr>,
    /// File with the secret shared with the gateway: signs webhooks, is the token of gRPC.
    #[arg(long)]
    secret_file: PathBuf,
    /// [SECONDS@]FAULT; at once unless said.
    #[arg(long)]
    fault: Vec<TimedFault<PoliceFault>>,
    #[command(flatten)]
    end: EndArgs,
}

#[derive(Debug, Args)]
struct EndArgs {
    /// End by itself after so long; else at Ctrl-C.
    #[arg(long)]
    seconds: Option<u64>,
}

/// A fault with its time and, for cameras, its place.
#[derive(Clone, Debug)]
struct TimedFault<F> {
    at: Duration,
    camera_idx: usize,
    fault: F,
}

impl<F: FromStr> FromStr for TimedFault<F>
where
    F::Err: std::fmt::Display,
{
    type Err = String;

    fn from_str(text: &str) -> Result<TimedFault<F>, String> {
        let (at, rest) = match text.split_once('@') {
            Some((seconds, rest)) => {
                let seconds: u32 = seconds
                    .parse()
                    .map_err(|err| format!("{seconds:?} seconds: {err}"))?;
                (Duration::from_secs(seconds.into()), rest)
            }
            None => (Duration::ZERO, text),
        };
        let (camera, rest) = match rest.split_once(':') {
            Some((camera, rest)) => {
                let number: usize = camera
                    .parse()
                    .map_err(|err| format!("camera {camera:?}: {err}"))?;
                (number, rest)
            }
            None => (1, rest),
        };
        let camera_idx = camera.checked_sub(1).ok_or("cameras are counted from 1")?;
        let fault = rest.parse().map_err(|err: F::Err| err.to_string())?;
        Ok(TimedFault {
            at,
            camera_idx,
            fault,
        })
    }
}

pub(super) fn simulate(part: Part, printer: &Printer) -> Exit {
    if let Err(err) = init_logs(&LogOptions::default()) {
        return failed(printer, &err);
    }
    block_on(printer, async {
        let done = match part {
            Part::Cameras(args) => cameras(args, printer).await,
            Part::Door(args) => door(args, printer).await,
            Part::Police(args) => police(args, printer).await,
        };
        match done {
            Ok(()) => Exit::Done,
            Err(err) => failed(printer, err.as_ref()),
        }
    })
}

async fn cameras(args: CamerasArgs, printer: &Printer) -> Result<(), Failure> {
    let supervisor = Supervisor::new();
    let films = blocking("make packets", move || films(&args.film)).await??;
    let options = SimCamerasOptions {
        listen: args.listen,
        n_cameras: args.cameras,
        ..SimCamerasOptions::default()
    };
    let cameras = SimCameras::start(options, films, Clock::system(), &supervisor).await?;
    for idx in 0..cameras.n_cameras() {
        printer.out(cameras.url(idx).as_str());
    }
    let faults = play(args.fault, |fault| {
        cameras
            .set_fault(fault.camera_idx, fault.fault)
            .map_err(Failure::from)
    });
    until_end(args.end.seconds, faults).await?;
    cameras.stop().await?;
    supervisor.shutdown(END_WITHIN).await?;
    Ok(())
}

fn films(paths: &[PathBuf]) -> Result<Vec<std::sync::Arc<Film>>, Failure> {
    if paths.is_empty() {
        let folder = std::env::temp_dir().join(format!("stairgate-film-{}", std::process::id()));
        std::fs::create_dir(&folder)?;
        let film = DemoSite::film(&folder);
        std::fs::remove_dir_all(&folder)?;
        return Ok(vec![film?]);
    }
    let film = |path: &PathBuf| {
        let media = mux::packetise(path, PACKET_BYTES_MAX)?;
        Film::new(media).map_err(Failure::from)
    };
    paths.iter().map(film).collect()
}

async fn door(args: DoorArgs, printer: &Printer) -> Result<(), Failure> {
    let supervisor = Supervisor::new();
    let password = match &args.password_file {
        Some(file) => Some(std::fs::read_to_string(file)?.trim_end().to_owned()),
        None => None,
    };
    let credentials = args.username.clone().zip(password.map(Secret::new));
    let mode = if args.online {
        DoorMode::Online
    } else {
        DoorMode::Record
    };
    let options = SimDoorsOptions {
        host: args.broker.ip().to_string(),
        port: args.broker.port(),
        tls: None,
        compound: args.compound.clone(),
        topic_prefix: args.topic_prefix.clone(),
        doors: vec![SimDoorOptions {
            id: args.door.clone(),
            credentials,
            mode,
        }],
    };
    let doors = SimDoors::start(&options, &Clock::system(), &supervisor)?;
    let door = doors.get(&args.door).ok_or("the door was just made")?;
    let faults = play(args.fault, |fault| {
        door.set_fault(fault.fault);
        Ok(())
    });
    let swipe = SimSwipe::card(args.card);
    let swipes = async {
        for report in door.burst(&swipe, args.swipes, args.per_second).await {
            match report {
                Ok(report) => printer.out(&format!(
                    "swipe {} acknowledged after {} ms{}",
                    report.key.seq,
                    report.acked_after.as_millis(),
                    report
                        .decision
                        .map(|d| format!(", {}", d.reason))
                        .unwrap_or_default()
                )),
                Err(err) => printer.err(&format!("swipe: {}", crate::error::chain(&err))),
            }
        }
    };
    tokio::select! {
        () = swipes => {}
        result = until_end(None, faults) => result?,
    }
    doors.stop().await?;
    supervisor.shutdown(END_WITHIN).await?;
    Ok(())
}

async fn police(args: PoliceArgs, printer: &Printer) -> Result<(), Failure> {
    let supervisor = Supervisor::new();
    let secret = Secret::new(std::fs::read_to_string(&args.secret_file)?.trim_end());
    let options = SimPoliceOptions {
        listen: args.listen,
        grpc_listen: args.grpc,
        secret,
    };
    let police = SimPolice::start(options, Clock::system(), &supervisor).await?;
    printer.out(police.url().as_str());
    if let Some(url) = police.grpc_url() {
        printer.out(&format!("{url} (gRPC)"));
    }
    let mut messages = police.subscribe();
    let shown = async {
        while let Ok(message) = messages.recv().await {
            printer.out(&format!(
                "{} {} {} revision {} after {} ms{}",
                message.received_at,
                message.via.as_str(),
                message.kind,
                message.revision,
                message.delay().as_millis(),
                if message.is_taken { "" } else { ", not taken" }
            ));
        }
        std::future::pending::<()>().await;
    };
    let faults = play(args.fault, |fault| {
        police.set_fault(fault.fault);
        Ok(())
    });
    tokio::select! {
        () = shown => {}
        result = until_end(args.end.seconds, faults) => result?,
    }
    police.stop().await?;
    supervisor.shutdown(END_WITHIN).await?;
    Ok(())
}

/// Sets each fault at its time; ends only by failing.
async fn play<F>(
    mut faults: Vec<TimedFault<F>>,
    mut set: impl FnMut(TimedFault<F>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let begun = tokio::time::Instant::now();
    faults.sort_by_key(|fault| fault.at);
    for fault in faults {
        tokio::time::sleep_until(begun + fault.at).await;
        set(fault)?;
    }
    std::future::pending().await
}

async fn until_end(
    seconds: Option<u64>,
    faults: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    tokio::select! {
        result = faults => result,
        result = super::ended(seconds) => result.map_err(Failure::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_have_a_time_and_a_camera() {
        let fault: TimedFault<CameraFault> = "30@2:freeze".parse().unwrap();
        assert_eq!((fault.at.as_secs(), fault.camera_idx), (30, 1));
        assert_eq!(fault.fault, CameraFault::Freeze);
        let fault: TimedFault<CameraFault> = "drop=20".parse().unwrap();
        assert_eq!((fault.at.as_secs(), fault.camera_idx), (0, 0));
        for bad in ["", "x@freeze", "0:freeze", "melt"] {
            assert!(bad.parse::<TimedFault<CameraFault>>().is_err(), "{bad}");
        }
    }
}

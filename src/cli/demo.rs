//! `demo`: the whole gateway on this machine alone, with simulated cameras, doors and police, in a
//! folder of its own that is removed at the end.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

use super::printer::Printer;
use super::{Exit, block_on, failed};
use crate::account;
use crate::config;
use crate::domain::clip::{ClipState, MissedReason};
use crate::domain::entry::Entry;
use crate::domain::id::{CompoundId, EntryId};
use crate::domain::role::{ActorName, Role};
use crate::domain::secret::Secret;

use crate::gateway::{Addresses, Gateway};
use crate::sim::cameras::{SimCameras, SimCamerasOptions};
use crate::sim::demo_site::{DEMO_COMPOUND, DemoAddresses, DemoSite};
use crate::sim::doors::{SimDoors, SimDoorsOptions, SwipeReport};
use crate::sim::police::{PoliceMessage, SimPolice, SimPoliceOptions};
use crate::store::{Store, tables};
use crate::supervise::{Supervisor, blocking};
use crate::telemetry::{LogFormat, LogOptions, init_logs};
use crate::time::{Clock, WallTime};

/// How often settled clips are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Newest entries that are looked at.
const LOOK_BACK: usize = 64;
/// How long the simulated parts may take to end.
const END_WITHIN: Duration = Duration::from_secs(5);
/// Any port that is free.
const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

type Failure = Box<dyn std::error::Error + Send + Sync>;

pub(super) fn demo(n_cameras: usize, port: u16, seconds: Option<u64>, printer: &Printer) -> Exit {
    // The gateway's own log would drown what the demo shows.
    let filter = std::env::var("STAIRGATE_LOG").unwrap_or_else(|_| "error".to_owned());
    let options = LogOptions {
        format: LogFormat::Text,
        filter: Some(filter),
    };
    if let Err(err) = init_logs(&options) {
        return failed(printer, &err);
    }
    let folder = match Folder::make() {
        Ok(folder) => folder,
        Err(err) => return failed(printer, &err),
    };
    let web = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    block_on(printer, async {
        match Box::pin(run(n_cameras, web, seconds, &folder, printer)).await {
            Ok(()) => Exit::Done,
            Err(err) => failed(printer, err.as_ref()),
        }
    })
}

/// A folder that goes with the demo.
struct Folder(PathBuf);

impl Folder {
    fn make() -> std::io::Result<Folder> {
        let name = format!("stairgate-demo-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(err) = std::fs::remove_dir_all(&self.0) {
            tracing::error!(folder = %self.0.display(), error = %err, "demo folder cannot be removed");
        }
    }
}

/// The simulated neighbours.
struct Neighbours {
    supervisor: Supervisor,
    cameras: SimCameras,
    police: SimPolice,
}

async fn run(
    n_cameras: usize,
    web: SocketAddr,
    seconds: Option<u64>,
    folder: &Folder,
    printer: &Printer,
) -> Result<(), Failure> {
    let clock = Clock::system();
    let site = DemoSite::new(n_cameras)?;
    let neighbours = neighbours(&site, &folder.0, &clock).await?;
    write_site(&site, &neighbours, web, &folder.0)?;
    let config = config::load(&folder.0.join("gateway.toml"))?;
    let accounts_file = config.web.accounts_file.clone();
    let gateway = Gateway::build(config, clock.clone()).await?;
    let addresses = gateway.addresses();
    let mqtt = addresses
        .mqtt
        .ok_or("the demo's gateway has no MQTT endpoint")?;
    let doors = SimDoors::start(&doors_options(&site, mqtt)?, &clock, &neighbours.supervisor)?;
    let log_in = blocking("make accounts", {
        let now = clock.now();
        move || make_accounts(&accounts_file, now)
    })
    .await??;
    greet(printer, &site, addresses, &log_in);

    let stop = CancellationToken::new();
    let (_requests, requests) = mpsc::channel(1);
    let store = gateway.store();
    let mut alerts = neighbours.police.subscribe();
    let end = async {
        tokio::select! {
            result = super::ended(seconds) => result.map_err(Failure::from),
            result = act(&site, &doors, printer) => result,
            never = show_clips(&store, addresses.http, printer) => never,
            never = show_alerts(&mut alerts, printer) => never,
        }
    };
    let served = gateway.run(stop.clone(), requests);
    let (ended, served) = tokio::join!(
        async {
            let ended = end.await;
            printer.out("\n结束 / ending …");
            stop.cancel();
            ended
        },
        served
    );
    doors.stop().await?;
    neighbours.police.stop().await?;
    neighbours.cameras.stop().await?;
    neighbours.supervisor.shutdown(END_WITHIN).await?;
    served?;
    ended
}

async fn neighbours(site: &DemoSite, folder: &Path, clock: &Clock) -> Result<Neighbours, Failure> {
    let supervisor = Supervisor::new();
    let film_folder = folder.to_owned();
    let film = blocking("demo film", move || DemoSite::film(&film_folder)).await??;
    let options = SimCamerasOptions {
        n_cameras: site.n_cameras(),
        burst_at_connect: true,
        ..SimCamerasOptions::default()
    };
    let cameras = SimCameras::start(options, vec![film], clock.clone(), &supervisor).await?;
    let secret = Secret::new(format!("{:032x}", fastrand::u128(..)));
    std::fs::write(folder.join("police.secret"), secret.reveal())?;
    let options = SimPoliceOptions {
        listen: ANY_PORT,
        grpc_listen: None,
        secret,
    };
    let police = SimPolice::start(options, clock.clone(), &supervisor).await?;
    Ok(Neighbours {
        supervisor,
        cameras,
        police,
    })
}

fn write_site(
    site: &DemoSite,
    neighbours: &Neighbours,
    web: SocketAddr,
    folder: &Path,
) -> std::io::Result<()> {
    let addresses = DemoAddresses {
        cameras: (0..site.n_cameras())
            .map(|idx| neighbours.cameras.url(idx))
            .collect(),
        mqtt: ANY_PORT,
        web,
        police: neighbours.police.url().clone(),
    };
    std::fs::write(folder.join("gateway.toml"), site.gateway_toml(&addresses))?;
    std::fs::write(folder.join("roster.csv"), site.roster_csv())
}

fn doors_options(site: &DemoSite, mqtt: SocketAddr) -> Result<SimDoorsOptions, Failure> {
    Ok(SimDoorsOptions {
        host: mqtt.ip().to_string(),
        port: mqtt.port(),
        tls: None,
        compound: CompoundId::new(DEMO_COMPOUND)?,
        topic_prefix: "stairgate".to_owned(),
        doors: site.doors(),
    })
}

/// How to get in: made for this run, random, and gone with its folder.
struct LogIn {
    name: ActorName,
    password: Secret,
    token: Secret,
}

fn make_accounts(file: &Path, now: WallTime) -> Result<LogIn, Failure> {
    let name = ActorName::new("demo")?;
    let password = Secret::new(account::new_password()?);
    let token = account::make_token(file, &name, Role::Admin, now)?;
    account::set_password(file, &name, password.reveal(), now)?;
    Ok(LogIn {
        name,
        password,
        token,
    })
}

fn greet(printer: &Printer, site: &DemoSite, addresses: Addresses, log_in: &LogIn) {
    let http = addresses.http;
    let mqtt = addresses
        .mqtt
        .map(|addr| addr.to_string())
        .unwrap_or_default();
    printer.out(&format!(
        "stairgate demo: {n} cameras, {n} doors, one police receiver, all simulated, all on this machine.\n\
         演示：{n} 路摄像机、{n} 个门禁、一个公安接收端，均为模拟。\n\n\
         \x20 console 控制台     http://{http}/\n\
         \x20 log-in  登录       {name}  {password}\n\
         \x20 entries 出入记录   http://{http}/api/v1/entries\n\
         \x20 cameras 摄像机     http://{http}/api/v1/cameras\n\
         \x20 alerts  告警       http://{http}/api/v1/alerts\n\
         \x20 health  运行状态   http://{http}/healthz\n\
         \x20 metrics 指标       http://{http}/metrics\n\
         \x20 doors   门禁 MQTT  {mqtt}\n\
         \x20 token   令牌       {token}   (admin; for `Authorization: Bearer …`)\n\n\
         A clip is 10 s before its swipe and 20 s after, so it is there 20 s after the swipe; the first\n\
         ones are partial, since the gateway had not been watching for 10 s yet. Ctrl-C ends the demo.\n\
         短视频为刷卡前 10 秒至后 20 秒，刷卡 20 秒后可看；最初几段因预录不足为部分。按 Ctrl-C 结束。\n",
        n = site.n_cameras(),
        name = log_in.name,
        password = log_in.password.reveal(),
        token = log_in.token.reveal(),
    ));
}

/// Plays the demo's story at the doors, for ever.
async fn act(site: &DemoSite, doors: &SimDoors, printer: &Printer) -> Result<(), Failure> {
    for step in site.steps() {
        tokio::time::sleep(step.after).await;
        let (zh, en) = step.story.title();
        let report = DemoSite::act(&step, doors).await?;
        let what = report.map_or_else(String::new, |report| describe(&report));
        printer.out(&format!("swipe  {:<16} {zh} / {en}{what}", step.door));
    }
    Ok(())
}

fn describe(report: &SwipeReport) -> String {
    let acked_ms = report.acked_after.as_millis();
    let opened = if report.has_opened {
        "door opened"
    } else {
        "door stayed shut"
    };
    match &report.decision {
        Some(decision) => format!(": {opened} ({}); kept after {acked_ms} ms", decision.reason),
        None => format!(": {opened}, by its own card list; kept after {acked_ms} ms"),
    }
}

/// Prints each clip once it is settled.
async fn show_clips(store: &Store, http: SocketAddr, printer: &Printer) -> ! {
    let mut pending: HashMap<EntryId, bool> = HashMap::new();
    let mut timer = tokio::time::interval(LOOK_EVERY);
    loop {
        timer.tick().await;
        let newest = store.scan(tables::ENTRIES, &()).rev().take(LOOK_BACK);
        let entries: Vec<Entry> = newest.flatten().map(|(_, entry)| entry).collect();
        for entry in entries.into_iter().rev() {
            let id = entry.id;
            if pending.get(&id) == Some(&false) {
                continue;
            }
            let is_pending = entry.clip().state == ClipState::Pending;
            pending.insert(id, is_pending);
            if !is_pending {
                printer.out(&clip_line(&entry, http));
            }
        }
    }
}

fn clip_line(entry: &Entry, http: SocketAddr) -> String {
    let (clip, door) = (entry.clip(), &entry.door);
    let url = format!("http://{http}/api/v1/entries/{}/clip.mp4", entry.id);
    let settled = clip.settled_at.unwrap_or(clip.window.to);
    let after_ms = settled.since(clip.window.to).as_millis();
    match clip.reason {
        Some(MissedReason::NoCamera) => format!("clip   {door:<16} none: the door has no camera"),
        Some(reason) => format!("clip   {door:<16} missed: {}", reason.as_str()),
        None => format!(
            "clip   {door:<16} {} {after_ms} ms after its window: {url}",
            clip.state.as_str()
        ),
    }
}

/// Prints each message that reached the police receiver.
async fn show_alerts(alerts: &mut broadcast::Receiver<PoliceMessage>, printer: &Printer) -> ! {
    loop {
        match alerts.recv().await {
            Ok(message) => {
                let clip = message.clip_state.as_deref().unwrap_or("none");
                let summary = message
                    .body
                    .get("summary_zh")
                    .and_then(|text| text.as_str());
                printer.out(&format!(
                    "police {} revision {}, clip {clip}, {} ms after it was raised: {}",
                    message.kind,
                    message.revision,
                    message.delay().as_millis(),
                    summary.unwrap_or_default()
                ));
            }
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

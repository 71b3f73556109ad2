//! How fast alerts are, and how many the outbox sustains. `cargo bench --bench outbox`
//!
//! 1. Urgent alerts: a swipe of an unknown card published to the gateway's own MQTT endpoint, 50 a second,
//!    until it is taken by a webhook and by a gRPC receiver on loopback. The contract is 50 ms at p99.
//! 2. Throughput: alerts raised as fast as the store takes them, until both receivers have taken all.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use stairgate::config;
use stairgate::domain::alert::{Alert, AlertKind};
use stairgate::domain::card::CardNumber;
use stairgate::domain::id::{AlertId, CompoundId, DoorId, LinkageId};
use stairgate::domain::place::Place;
use stairgate::domain::secret::Secret;
use stairgate::gateway::Gateway;
use stairgate::linkage::grpc::{Grpc, GrpcOptions};
use stairgate::linkage::webhook::{Webhook, WebhookOptions};
use stairgate::linkage::{CONNECT_TIMEOUT, Linkage, SiteFacts, TOTAL_TIMEOUT};
use stairgate::outbox::{
    self, FloodOptions, LinkagePolicy, LinkageSetup, Outbox, OutboxBase, OutboxOptions,
};
use stairgate::sim::doors::{DoorMode, SimDoorOptions, SimDoors, SimDoorsOptions, SimSwipe};
use stairgate::sim::police::{SimPolice, SimPoliceOptions, Via};
use stairgate::store::{Store, StoreOptions, Txn};
use stairgate::supervise::Supervisor;
use stairgate::telemetry::HealthBoard;
use stairgate::time::{Clock, TimeZone};
use tokio::sync::mpsc;
use tokio::time::{Instant, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::Span;

const N_DOORS: usize = 10;
const RATE_PER_S: u64 = 50;
const N_SWIPES: usize = 1_500;
const N_ALERTS: u64 = 20_000;
const BATCH: u64 = 50;
const SECRET: &str = "bench-secret";
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(urgent())?;
    runtime.block_on(sustained())
}

async fn police(supervisor: &Supervisor) -> Result<SimPolice, Failure> {
    let options = SimPoliceOptions {
        listen: ANY,
        grpc_listen: Some(ANY),
        secret: Secret::new(SECRET),
    };
    Ok(SimPolice::start(options, Clock::system(), supervisor).await?)
}

fn site(folder: &Path, police: &SimPolice) -> Result<(), Failure> {
    std::fs::write(folder.join("secret"), SECRET)?;
    let (webhook, grpc) = (police.url(), police.grpc_url().ok_or("gRPC is served")?);
    let mut text = format!(
        r#"
[compound]
id = "bench"
name = "Bench"
time_zone = "Asia/Shanghai"
[store]
path = "store"
[footage]
path = "footage"
free_space_floor = "1%"
[web]
listen = "127.0.0.1:0"
[mqtt]
url = "embedded"
listen = "127.0.0.1:0"
[outbox]
flood_n_max = 1000
flood_window_s = 1
[[linkage]]
id = "webhook"
kind = "webhook"
url = "{webhook}"
secret_file = "secret"
[[linkage]]
id = "grpc"
kind = "grpc"
url = "{grpc}"
token_file = "secret"
[[stairwell]]
id = "b01-u1"
building = "1"
unit = "1"
[[camera]]
id = "away"
place = "b01-u1"
url = "rtsp://127.0.0.1:9/away"
"#
    );
    for n in 0..N_DOORS {
        write!(
            text,
            "[[door]]\nid = \"d{n}\"\nplace = \"b01-u1\"\ncameras = [\"away\"]\n"
        )?;
    }
    std::fs::write(folder.join("gateway.toml"), text)?;
    Ok(())
}

/// When each alert was taken, by the entry that raised it.
type Taken = Arc<Mutex<BTreeMap<(Via, String), Instant>>>;

fn keep_book(police: &SimPolice, supervisor: &Supervisor) -> Taken {
    let taken = Taken::default();
    let (book, mut messages) = (Arc::clone(&taken), police.subscribe());
    let token = supervisor.token();
    supervisor.spawn("book", Span::none(), async move {
        loop {
            let message = tokio::select! {
                () = token.cancelled() => return,
                message = messages.recv() => message,
            };
            if let Ok(message) = message
                && let Some(entry) = message.body.get("entry_id").and_then(|id| id.as_str())
            {
                let key = (message.via, entry.to_owned());
                book.lock().entry(key).or_insert_with(Instant::now);
            }
        }
    });
    taken
}

async fn urgent() -> Result<(), Failure> {
    let supervisor = Supervisor::new();
    let folder = tempfile::tempdir()?;
    let police = police(&supervisor).await?;
    site(folder.path(), &police)?;
    let config = config::load(&folder.path().join("gateway.toml"))?;
    let gateway = Gateway::build(config, Clock::system()).await?;
    let broker = gateway.addresses().mqtt.ok_or("the endpoint is embedded")?;
    let (stop, (_requests, requests)) = (CancellationToken::new(), mpsc::channel(1));
    let running = Box::pin(gateway.run(stop.clone(), requests));
    let taken = keep_book(&police, &supervisor);
    let swiping = async {
        let swiped = swipe_at_pace(broker, &supervisor).await?;
        let all_taken = || {
            let taken = taken.lock();
            let both = |entry: &String| {
                let by = |via| taken.contains_key(&(via, entry.clone()));
                by(Via::Webhook) && by(Via::Grpc)
            };
            swiped.keys().all(both)
        };
        while !all_taken() {
            sleep(Duration::from_millis(50)).await;
        }
        for via in [Via::Webhook, Via::Grpc] {
            let taken = taken.lock();
            let delay = |(entry, at): (&String, &Instant)| {
                let taken = taken.get(&(via, entry.clone()));
                taken.map(|taken| taken.saturating_duration_since(*at))
            };
            let mut delays: Vec<Duration> = swiped.iter().filter_map(delay).collect();
            delays.sort();
            println!(
                "{}: {} urgent alerts at {RATE_PER_S}/s, swipe published to taken: p50 {:?}, p99 {:?}, max {:?}",
                via.as_str(),
                delays.len(),
                at(&delays, 50),
                at(&delays, 99),
                at(&delays, 100),
            );
        }
        stop.cancel();
        Ok::<(), Failure>(())
    };
    let (ran, swiped) = tokio::join!(running, swiping);
    ran?;
    swiped?;
    supervisor.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}

/// The entry of each swipe, and when it was made.
async fn swipe_at_pace(
    broker: SocketAddr,
    supervisor: &Supervisor,
) -> Result<BTreeMap<String, Instant>, Failure> {
    let doors = (0..N_DOORS)
        .map(|n| {
            Ok(SimDoorOptions {
                id: DoorId::new(&format!("d{n}"))?,
                credentials: None,
                mode: DoorMode::Record,
            })
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let options = SimDoorsOptions {
        host: broker.ip().to_string(),
        port: broker.port(),
        tls: None,
        topic_prefix: "stairgate".to_owned(),
        compound: CompoundId::new("bench")?,
        doors,
    };
    let doors = SimDoors::start(&options, &Clock::system(), supervisor)?;
    while !doors.all().all(|door| door.is_online()) {
        sleep(Duration::from_millis(50)).await;
    }
    let doors: Vec<_> = doors.all().cloned().collect();
    let mut pace = interval(Duration::from_millis(1_000 / RATE_PER_S));
    let mut swiped = BTreeMap::new();
    let swipe = SimSwipe::card(CardNumber::new("0BADC0FFEE")?);
    for n in 0..N_SWIPES {
        pace.tick().await;
        let Some(door) = doors.get(n % N_DOORS) else {
            continue;
        };
        let report = door.swipe(&swipe).await?;
        let entry = report.key.entry_id(door.id()).to_string();
        swiped.insert(entry, report.swiped_at);
    }
    Ok(swiped)
}

fn at(sorted: &[Duration], percent: usize) -> Duration {
    let idx = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(idx).copied().unwrap_or_default()
}

async fn sustained() -> Result<(), Failure> {
    let supervisor = Supervisor::new();
    let folder = tempfile::tempdir()?;
    let police = police(&supervisor).await?;
    let clock = Clock::system();
    let mut registry = stairgate::telemetry::registry();
    let path = folder.path().join("store");
    let store = Store::open(&StoreOptions { path }, &supervisor.group(), &mut registry)?;
    let base = OutboxBase {
        store: store.clone(),
        clock: clock.clone(),
        supervisor: supervisor.clone(),
        board: HealthBoard::new(clock.clone()),
    };
    let options = OutboxOptions {
        flood: FloodOptions {
            window: Duration::ZERO,
            ..FloodOptions::default()
        },
        ..OutboxOptions::default()
    };
    let linkages = linkages(&police)?;
    let (outbox, _events) = Outbox::start(base, options, linkages, facts()?, &mut registry)?;
    let begun = Instant::now();
    for first in (0..N_ALERTS).step_by(usize::try_from(BATCH)?) {
        raise(&store, &outbox, first, &clock).await?;
    }
    let raised = begun.elapsed();
    let wanted = 2 * N_ALERTS;
    while police.n_requests().0 < wanted {
        sleep(Duration::from_millis(20)).await;
    }
    let took = begun.elapsed();
    println!(
        "{N_ALERTS} alerts raised in {raised:?}, taken by a webhook and a gRPC receiver after {took:?}: \
         {:.0} alerts/s, {:.0} deliveries/s",
        rate(N_ALERTS, took),
        rate(wanted, took),
    );
    outbox.stop().await;
    supervisor.shutdown(Duration::from_secs(5)).await?;
    store.close().await;
    Ok(())
}

fn rate(n: u64, took: Duration) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX)) / took.as_secs_f64()
}

fn linkages(police: &SimPolice) -> Result<Vec<LinkageSetup>, Failure> {
    let webhook = Webhook::new(
        WebhookOptions {
            id: LinkageId::new("webhook")?,
            url: police.url().clone(),
            secret: Secret::new(SECRET),
            ca_file: None,
            connect_timeout: CONNECT_TIMEOUT,
            total_timeout: TOTAL_TIMEOUT,
        },
        Clock::system(),
    )?;
    let grpc = Grpc::new(GrpcOptions {
        id: LinkageId::new("grpc")?,
        url: police.grpc_url().ok_or("gRPC is served")?.clone(),
        compound: CompoundId::new("bench")?,
        token: Some(Secret::new(SECRET)),
        ca_file: None,
        identity: None,
        connect_timeout: CONNECT_TIMEOUT,
        total_timeout: TOTAL_TIMEOUT,
    })?;
    let setup = |linkage: Arc<dyn Linkage>| LinkageSetup {
        policy: LinkagePolicy::new(linkage.id().clone()),
        linkage,
    };
    Ok(vec![setup(Arc::new(webhook)), setup(Arc::new(grpc))])
}

fn facts() -> Result<SiteFacts, Failure> {
    Ok(SiteFacts {
        compound: CompoundId::new("bench")?,
        name: "Bench".to_owned(),
        stairwells: BTreeMap::new(),
        time_zone: TimeZone::utc(),
        public_url: None,
    })
}

async fn raise(store: &Store, outbox: &Outbox, first: u64, clock: &Clock) -> Result<(), Failure> {
    let now = clock.now();
    let doors = u64::try_from(N_DOORS)?;
    let alerts = (first..first + BATCH)
        .map(|n| {
            Ok(Alert {
                id: AlertId::derive(&[&n.to_be_bytes()]),
                revision: 1,
                kind: AlertKind::UnknownCard,
                raised_at: now,
                place: Place::Compound,
                door: Some(DoorId::new(&format!("d{}", n % doors))?),
                camera: None,
                entry: None,
                dwelling: None,
                count: 1,
                detail: String::new(),
                ended_at: None,
            })
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let policy = outbox.raise_policy();
    let work = move |txn: &mut Txn<'_>| {
        for alert in &alerts {
            outbox::raise(txn, alert, &policy, false, now)?;
        }
        Ok(())
    };
    store.write(work).await?;
    outbox.wake();
    Ok(())
}

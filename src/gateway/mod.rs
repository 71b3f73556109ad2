//! The whole gateway: bind, open and wire (`build`), then run, then stop in order.
//!
//! Not here: what any part does. `build` hands each module its options and the handles it needs;
//! everything it binds or opens is done before anything is served, so that a bad disk or a taken port
//! is one clear error at start.

mod card_lists;
mod ledger;
mod options;
mod reload;
mod run;
mod site;
mod told;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tracing::info;

use crate::account::{self, AccountError, Accounts, Sessions, Throttle};
use crate::audit;
use crate::camera::{CameraEvent, Cameras};
use crate::case::{Cases, CasesBase};
use crate::clip::{ClipShelf, ShelfOptions};
use crate::config::Config;
use crate::domain::secret::Secret;
use crate::door::{DoorError, DoorEvent, Doors};
use crate::entry::{self, ClipDesk, Conditions, EntryMetrics, LastSeen, NextCards, Pipeline};
use crate::feed::{Feed, FeedBase, FeedError};
use crate::footage::{ClipSettled, DiskReport, Footage, FootageError};
use crate::linkage::SetupError;
use crate::live::Live;
use crate::outbox::{Outbox, OutboxBase, OutboxEvent, OutboxOptions};
use crate::roster::{LedgerBase, Roster, RosterOpenError, SiteKeyError};
use crate::site::{SiteAsk, SiteDesk};
use crate::store::{Store, StoreError, StoreOptions};
use crate::supervise::Supervisor;
use crate::telemetry::{self, HealthBoard};
use crate::time::Clock;
use crate::uptime::Uptime;
use crate::web::{Api, Hosts, LiveFeed, Looks, ViewerPlaces, WebDoor, WebTlsError};

pub use ledger::OpenLedger;
pub use run::{END_MAX, Request, RunError};

/// Passwords checked at the same time: 19 MiB and a processor each, of a small machine.
const PASSWORDS_AT_ONCE: usize = 2;

/// Why a gateway cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The store cannot be opened.
    #[error("open the store")]
    Store(#[source] StoreError),
    /// The site's key cannot be read.
    #[error("open the site key")]
    SiteKey(#[source] SiteKeyError),
    /// The roster cannot be read.
    #[error("open the roster")]
    Roster(#[source] RosterOpenError),
    /// The footage folder cannot be used.
    #[error("open the footage")]
    Footage(#[source] FootageError),
    /// The link to the doors cannot be set up.
    #[error("set up the link to the doors")]
    Doors(#[source] DoorError),
    /// A linkage cannot be set up.
    #[error("set up the linkages")]
    Linkage(#[source] SetupError),
    /// The certificates of the gRPC interface are of no use.
    #[error("set up the gRPC interface")]
    Feed(#[source] FeedError),
    /// The certificate of the HTTP interface is of no use.
    #[error("set up TLS of the HTTP interface")]
    WebTls(#[source] WebTlsError),
    /// The accounts cannot be read.
    #[error("open the accounts")]
    Accounts(#[source] AccountError),
    /// The system gives no thread for the cameras.
    #[error("start the thread of the cameras")]
    Thread(#[source] std::io::Error),
    /// An address is taken or not ours.
    #[error("listen on {addr} for {what} (is the port taken?)")]
    Listen {
        /// HTTP or gRPC.
        what: &'static str,
        /// The address.
        addr: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl BuildError {
    /// Is it because another process has the store open: the gateway is running?
    pub fn is_in_use(&self) -> bool {
        matches!(self, BuildError::Store(err) if err.is_in_use())
    }
}

/// Where a built gateway can be reached.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// The HTTP interface.
    pub http: SocketAddr,
    /// The gRPC interface of duty rooms; `None` when none is configured.
    pub grpc: Option<SocketAddr>,
    /// The MQTT endpoint inside the gateway; `None` with an outside broker.
    pub mqtt: Option<SocketAddr>,
}

/// A gateway that has opened and bound everything; [`Gateway::run`] serves.
#[derive(Debug)]
pub struct Gateway {
    addresses: Addresses,
    supervisor: Supervisor,
    parts: Parts,
    events: Events,
    listener: TcpListener,
    web_door: WebDoor,
    setup: Option<Secret>,
    feed: Option<(Feed, TcpListener)>,
    feed_tasks: Supervisor,
    api: Api,
    ready: watch::Sender<bool>,
    config: Config,
    asks: mpsc::Receiver<SiteAsk>,
}

/// The parts that the gateway starts and stops.
#[derive(Clone, Debug)]
struct Parts {
    store: Store,
    roster: Roster,
    doors: Doors,
    cameras: Cameras,
    uptime: Uptime,
    footage: Footage,
    outbox: Outbox,
    cases: Cases,
    pipeline: Pipeline,
    desk: ClipDesk,
    conditions: Conditions,
    clock: Clock,
    supervisor: Supervisor,
}

/// The streams of events that the gateway joins.
#[derive(Debug)]
struct Events {
    doors: mpsc::Receiver<DoorEvent>,
    clips: mpsc::Receiver<ClipSettled>,
    cameras: mpsc::Receiver<CameraEvent>,
    disk: watch::Receiver<DiskReport>,
    outbox: mpsc::Receiver<OutboxEvent>,
}

impl Gateway {
    /// Opens the store, the roster and the footage, binds the addresses, and dials cameras and broker.
    ///
    /// # Errors
    /// [`BuildError`]: the first part that cannot be used.
    #[expect(
        clippy::too_many_lines,
        reason = "one list of parts, in the order they need each other"
    )]
    pub async fn build(config: Config, clock: Clock) -> Result<Gateway, BuildError> {
        let supervisor = Supervisor::new();
        let board = HealthBoard::new(clock.clone());
        let mut registry = telemetry::registry();
        let (listener, http) = bind("HTTP", config.web.listen).await?;
        let grpc_listener = match &config.grpc {
            Some(rules) => Some(bind("gRPC", rules.listen).await?),
            None => None,
        };
        let grpc_addr = grpc_listener.as_ref().map(|(_, addr)| *addr);
        let hasher = crate::roster::open_site_key(&config.store.key_file, &config.store.path)
            .map_err(BuildError::SiteKey)?;
        let store_options = StoreOptions {
            path: config.store.path.clone(),
        };
        // In a group of its own: the writer ends after everything that may still write.
        let store = Store::open(&store_options, &supervisor.group(), &mut registry)
            .map_err(BuildError::Store)?;
        // Before anything reads it.
        audit::take_over(&store).await.map_err(BuildError::Store)?;
        entry::take_over(&store).await.map_err(BuildError::Store)?;
        let linkages =
            options::linkages(&config, &clock, &supervisor).map_err(BuildError::Linkage)?;
        let base = OutboxBase {
            store: store.clone(),
            clock: clock.clone(),
            supervisor: supervisor.clone(),
            board: board.clone(),
        };
        let (outbox, outbox_events) = Outbox::start(
            base,
            OutboxOptions {
                flood: config.outbox.flood,
                ..OutboxOptions::default()
            },
            linkages,
            options::site_facts(&config),
            &mut registry,
        )
        .map_err(BuildError::Store)?;
        outbox.set_case_rules(config.case.rules.clone());
        let cases_base = CasesBase {
            store: store.clone(),
            clock: clock.clone(),
            outbox: outbox.clone(),
            pictures: config.case.pictures.clone(),
            zone: config.compound.time_zone.clone(),
        };
        let cases = Cases::new(cases_base, &mut registry);
        let base = LedgerBase {
            store: store.clone(),
            outbox: outbox.clone(),
            clock: clock.clone(),
        };
        let roster = Roster::open(base, config.roster_options(hasher))
            .await
            .map_err(BuildError::Roster)?;
        let (footage, clips, disk) = Footage::open(
            options::footage(&config),
            clock.clone(),
            store.clone(),
            &supervisor,
            &board,
            &mut registry,
        )
        .await
        .map_err(BuildError::Footage)?;
        let camera_tasks = supervisor
            .on_resting_thread("cameras", crate::camera::REST)
            .map_err(BuildError::Thread)?;
        let (cameras, camera_events) = Cameras::start(
            config.camera_rules.clone(),
            config.cameras.clone(),
            clock.clone(),
            &camera_tasks,
            &board,
            &mut registry,
        );
        for feed in cameras.feeds() {
            footage.attach(feed);
        }
        let (doors, door_events) = Doors::start(
            options::doors(&config),
            clock.clone(),
            &supervisor,
            &board,
            &mut registry,
        )
        .map_err(BuildError::Doors)?;
        let shelf = Arc::new(ClipShelf::new(
            config.footage.path.clone(),
            ShelfOptions::default(),
        ));
        let length = config.footage.clip;
        let desk = ClipDesk::new(
            store.clone(),
            footage.clone(),
            Arc::clone(&shelf),
            outbox.clone(),
            clock.clone(),
            length,
        );
        let site = Arc::new(ArcSwap::from_pointee(options::entry(&config)));
        let conditions = Conditions {
            store: store.clone(),
            outbox: outbox.clone(),
            clock: clock.clone(),
            options: Arc::clone(&site),
        };
        let next_cards = NextCards::default();
        let uptime = Uptime::new(store.clone(), clock.clone());
        let pipeline = Pipeline {
            options: site,
            store: store.clone(),
            roster: roster.clone(),
            doors: doors.clone(),
            clips: desk.clone(),
            outbox: outbox.clone(),
            conditions: conditions.clone(),
            last_seen: LastSeen::default(),
            next_cards: next_cards.clone(),
            metrics: EntryMetrics::register(&mut registry),
        };
        let accounts = Accounts::at(&config.web.accounts_file);
        let setup = account::make_setup(accounts.path(), clock.now());
        let setup = setup.map_err(BuildError::Accounts)?;
        let sessions = Sessions::open(accounts.clone(), clock.clone());
        let web_door = options::web_door(&config).map_err(BuildError::WebTls)?;
        let feed_tasks = supervisor.group();
        let feed = match (&config.grpc, grpc_listener) {
            (Some(rules), Some((listener, _))) => {
                let base = FeedBase {
                    store: store.clone(),
                    outbox: outbox.clone(),
                    cases: cases.clone(),
                    shelf: Arc::clone(&shelf),
                    accounts: accounts.clone(),
                    clock: clock.clone(),
                    include: rules.include.clone(),
                    supervisor: feed_tasks.clone(),
                };
                let feed = Feed::new(base, rules.tls.as_ref()).map_err(BuildError::Feed)?;
                Some((feed, listener))
            }
            _ => None,
        };
        let (site_desk, asks) = SiteDesk::new();
        let (ready, ready_seen) = watch::channel(false);
        let api = Api {
            store: store.clone(),
            cameras: cameras.clone(),
            doors: doors.clone(),
            compound: Arc::new((config.compound.id.clone(), config.compound.name.clone())),
            accounts,
            sessions,
            throttle: Arc::new(Throttle::default()),
            hashing: Arc::new(Semaphore::new(PASSWORDS_AT_ONCE)),
            looks: Arc::new(Looks::default()),
            front: web_door.front.clone(),
            outbox: outbox.clone(),
            live: LiveFeed::new(store.clone(), outbox.clone(), &mut registry),
            cases: cases.clone(),
            video: Live::new(cameras.clone(), clock.clone(), &supervisor, &mut registry),
            viewers: ViewerPlaces::default(),
            next_cards,
            uptime: uptime.clone(),
            roster: roster.clone(),
            roster_files: Arc::new(Semaphore::new(1)),
            shelf,
            footage: footage.clone(),
            board,
            site: Arc::clone(&pipeline.options),
            site_desk,
            probes: Arc::new(Semaphore::new(crate::web::PROBES_MAX)),
            clock: clock.clone(),
            hosts: Hosts::new(config.web.public_url.as_ref()),
            registry: Arc::new(registry),
            ready: ready_seen,
        };
        let addresses = Addresses {
            http,
            grpc: grpc_addr,
            mqtt: doors.listen_addr(),
        };
        let grpc = addresses.grpc.map(tracing::field::display);
        info!(http = %http, grpc, mqtt = addresses.mqtt.map(tracing::field::display), "gateway built");
        Ok(Gateway {
            addresses,
            supervisor: supervisor.clone(),
            parts: Parts {
                store,
                roster,
                doors,
                cameras,
                uptime,
                footage,
                outbox,
                cases,
                pipeline,
                desk,
                conditions,
                clock,
                supervisor,
            },
            events: Events {
                doors: door_events,
                clips,
                cameras: camera_events,
                disk,
                outbox: outbox_events,
            },
            listener,
            web_door,
            setup,
            feed,
            feed_tasks,
            api,
            ready,
            config,
            asks,
        })
    }

    /// The link by which the first admin is set up, unless somebody can log in already; good for a day.
    pub fn setup_link(&self) -> Option<String> {
        let token = self.setup.as_ref()?;
        Some(format!("{}/#/setup/{}", self.base_url(), token.reveal()))
    }

    /// Where a browser on this machine, or by the public URL, reaches it; without a slash at the end.
    pub fn base_url(&self) -> String {
        if let Some(url) = &self.config.web.public_url {
            return url.as_str().trim_end_matches('/').to_owned();
        }
        let scheme = if self.web_door.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let (ip, port) = (self.addresses.http.ip(), self.addresses.http.port());
        match ip {
            IpAddr::V4(ip) if ip.is_unspecified() => format!("{scheme}://127.0.0.1:{port}"),
            IpAddr::V6(ip) if ip.is_unspecified() => format!("{scheme}://[::1]:{port}"),
            _ => format!("{scheme}://{}", self.addresses.http),
        }
    }

    /// Its store, for who shows what happens (the demo).
    pub fn store(&self) -> Store {
        self.parts.store.clone()
    }

    /// Where it can be reached.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }
}

async fn bind(
    what: &'static str,
    addr: SocketAddr,
) -> Result<(TcpListener, SocketAddr), BuildError> {
    let failed = |source| BuildError::Listen { what, addr, source };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    Ok((listener, addr))
}

//! Many simulated network cameras on one port: a real RTSP server that repeats a film.
//!
//! Cheap enough for 500 streams of 2 Mbit/s beside a gateway on two cores: packets are shared, and
//! what goes out at one instant goes out in one write. Each camera shows, at one instant, the same frame
//! to every client, and the frame numbers of what was sent can be asked for, so that a test can say
//! which frames a clip must hold.

mod auth;
mod connection;
mod fault;
mod output;
mod player;
mod rtsp;
mod sent;
mod time_line;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Deserialize;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Span, debug, warn};
use url::Url;

use self::connection::Connection;
use self::fault::Faults;
use self::player::Settings;
use self::rtsp::House;
use self::sent::SentLog;
use self::time_line::TimeLine;
use super::media::Film;
use crate::supervise::{ShutdownTimeout, Supervisor};
use crate::time::Clock;

pub use self::auth::{AuthScheme, CameraLogin};
pub use self::fault::{CameraFault, CameraFaultParseError, KeyFrames, Sdp};
pub use self::sent::SentFrame;

/// Most cameras of one server: what the four digits of their paths hold.
pub const CAMERAS_MAX: usize = 9_999;
/// Connections to one camera at a time, on the average.
const CONNECTIONS_PER_CAMERA: usize = 4;
/// Attempts to find two neighbouring free UDP ports.
const PORT_ATTEMPTS: u32 = 64;
/// How long [`SimCameras::stop`] waits for connections to end.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// How the cameras are set up.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimCamerasOptions {
    /// Where the RTSP server listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How many cameras; 1 to [`CAMERAS_MAX`].
    pub n_cameras: usize,
    /// Who may see them; `None`: everyone.
    pub login: Option<CameraLogin>,
    /// A client gets, over TCP, all frames since the last key frame at once; else it waits for the next.
    pub burst_at_connect: bool,
    /// A session without any request is closed after this time and a quarter more; seconds, at least 1.
    pub session_timeout_s: u32,
    /// Bytes kept for a client that reads slowly before it is cut.
    pub backlog_bytes_max: usize,
}

impl Default for SimCamerasOptions {
    fn default() -> SimCamerasOptions {
        SimCamerasOptions {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            n_cameras: 1,
            login: None,
            burst_at_connect: false,
            session_timeout_s: 60,
            backlog_bytes_max: 4 * 1_024 * 1_024,
        }
    }
}

/// Why simulated cameras cannot start or a fault cannot be set.
#[derive(Debug, thiserror::Error)]
pub enum SimCamerasError {
    /// The address cannot be listened on.
    #[error("listen for RTSP on {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The address does not fit into a URL.
    #[error("make a url of {addr}")]
    Url {
        /// The address.
        addr: SocketAddr,
        /// Why not.
        #[source]
        source: url::ParseError,
    },
    /// No two neighbouring UDP ports are free.
    #[error("find two neighbouring udp ports")]
    UdpPorts(#[source] std::io::Error),
    /// No film was given.
    #[error("simulated cameras need at least one film")]
    NoFilm,
    /// Too few or too many cameras, or a time-out of zero.
    #[error("simulated cameras: 1 to {CAMERAS_MAX} cameras and a session time-out of at least 1 s")]
    Options,
    /// There is no such camera or no such film.
    #[error("there is no simulated camera or film {idx}")]
    NoSuch {
        /// The index asked for.
        idx: usize,
    },
}

/// One simulated camera.
struct Camera {
    films: Arc<[Arc<Film>]>,
    settings: watch::Sender<Settings>,
    log: SentLog,
}

/// What all connections share.
struct Server {
    house: Arc<House>,
    clock: Clock,
    udp_rtp: UdpSocket,
    udp_rtcp: UdpSocket,
    backlog_bytes_max: usize,
    n_connections: AtomicU64,
    n_slow: AtomicU64,
    n_dials: AtomicU64,
    n_dialling: AtomicU64,
    n_dialling_max: AtomicU64,
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SimCamerasStats {
    /// Connections open now.
    pub n_connections: u64,
    /// Clients cut since they read too slowly.
    pub n_slow: u64,
    /// Clients that have asked for a description, each once in its connection.
    pub n_dials: u64,
    /// The most of them at one time between that and PLAY.
    pub n_dialling_max: u64,
    /// Frames sent.
    pub n_frames: u64,
    /// Bytes of RTP packets sent.
    pub n_bytes: u64,
}

/// The running cameras; they end when it is dropped.
pub struct SimCameras {
    addr: SocketAddr,
    base: Url,
    server: Arc<Server>,
    supervisor: Supervisor,
}

impl std::fmt::Debug for SimCameras {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimCameras")
            .field("addr", &self.addr)
            .field("n_cameras", &self.n_cameras())
            .finish_non_exhaustive()
    }
}

impl SimCameras {
    /// Starts the server. Camera `idx` shows film `idx % films.len()`, each at another place of it, so
    /// that their key frames do not come all at once; camera 0 begins at frame 0.
    ///
    /// # Errors
    /// [`SimCamerasError`], see its variants.
    pub async fn start(
        options: SimCamerasOptions,
        films: Vec<Arc<Film>>,
        clock: Clock,
        supervisor: &Supervisor,
    ) -> Result<SimCameras, SimCamerasError> {
        let is_in_range = (1..=CAMERAS_MAX).contains(&options.n_cameras);
        if !is_in_range || options.session_timeout_s == 0 {
            return Err(SimCamerasError::Options);
        }
        let films: Arc<[Arc<Film>]> = Arc::from(films);
        let now = Instant::now();
        let cameras: Option<Vec<_>> = (0..options.n_cameras)
            .map(|idx| Camera::new(idx, Arc::clone(&films), now))
            .collect();
        let cameras = cameras.ok_or(SimCamerasError::NoFilm)?;
        let addr = options.listen;
        let listen = |source| SimCamerasError::Listen { addr, source };
        let listener = TcpListener::bind(addr).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;
        let base = Url::parse(&format!("rtsp://{addr}/"));
        let base = base.map_err(|source| SimCamerasError::Url { addr, source })?;
        let (udp_rtp, udp_rtcp, udp_ports) = udp_pair(addr).await?;
        let n_connections_max = options.n_cameras * CONNECTIONS_PER_CAMERA + 16;
        let house = House {
            cameras,
            login: options.login,
            burst_at_connect: options.burst_at_connect,
            session_timeout_s: options.session_timeout_s,
            udp_ports,
        };
        let server = Arc::new(Server {
            house: Arc::new(house),
            clock,
            udp_rtp,
            udp_rtcp,
            backlog_bytes_max: options.backlog_bytes_max,
            n_connections: AtomicU64::new(0),
            n_slow: AtomicU64::new(0),
            n_dials: AtomicU64::new(0),
            n_dialling: AtomicU64::new(0),
            n_dialling_max: AtomicU64::new(0),
        });
        let supervisor = supervisor.group();
        let accepting = accept(
            Arc::clone(&server),
            listener,
            n_connections_max,
            supervisor.clone(),
        );
        supervisor.spawn("simulated cameras", Span::current(), accepting);
        Ok(SimCameras {
            addr,
            base,
            server,
            supervisor,
        })
    }

    /// Where the server listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many cameras there are.
    pub fn n_cameras(&self) -> usize {
        self.server.house.cameras.len()
    }

    /// The address of camera `idx`, counted from 0: `rtsp://host:port/cam/0001` for the first.
    pub fn url(&self, idx: usize) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("/cam/{:04}", idx.saturating_add(1)));
        url
    }

    /// Sets `fault` on camera `idx`; connected clients feel it at once.
    ///
    /// # Errors
    /// [`SimCamerasError::NoSuch`] for a camera or film that is not there.
    pub fn set_fault(&self, idx: usize, fault: CameraFault) -> Result<(), SimCamerasError> {
        let camera = self.camera(idx)?;
        if let CameraFault::Film { idx } = fault
            && idx >= camera.films.len()
        {
            return Err(SimCamerasError::NoSuch { idx });
        }
        let now = Instant::now();
        camera
            .settings
            .send_modify(|settings| settings.change(fault, now));
        Ok(())
    }

    /// The last frames (4096 at most) that camera `idx` sent, oldest first, to whichever client.
    pub fn sent(&self, idx: usize) -> Vec<SentFrame> {
        self.camera(idx)
            .map(|camera| camera.log.snapshot())
            .unwrap_or_default()
    }

    /// The frame that camera `idx` shows at `instant`, connected or not: its count since the camera's
    /// start and its index in the film. `None` for a camera that is not there.
    pub fn frame_at(&self, idx: usize, instant: Instant) -> Option<(u64, usize)> {
        let camera = self.camera(idx).ok()?;
        let settings = *camera.settings.borrow();
        let film = camera.films.get(settings.film_idx)?;
        let cursor = film.at_or_before(settings.time_line.ticks_at(instant));
        Some((film.number(cursor), cursor.frame_idx))
    }

    /// Counts over all cameras.
    pub fn stats(&self) -> SimCamerasStats {
        let cameras = &self.server.house.cameras;
        let sum = |count: fn(&SentLog) -> &AtomicU64| {
            let counts = cameras.iter().map(|camera| count(&camera.log));
            counts.map(|count| count.load(Ordering::Relaxed)).sum()
        };
        SimCamerasStats {
            n_connections: self.server.n_connections.load(Ordering::Relaxed),
            n_slow: self.server.n_slow.load(Ordering::Relaxed),
            n_dials: self.server.n_dials.load(Ordering::Relaxed),
            n_dialling_max: self.server.n_dialling_max.load(Ordering::Relaxed),
            n_frames: sum(|log| &log.n_frames),
            n_bytes: sum(|log| &log.n_bytes),
        }
    }

    /// Closes all connections and the listener.
    ///
    /// # Errors
    /// [`ShutdownTimeout`] when they do not end within 5 s.
    pub async fn stop(&self) -> Result<(), ShutdownTimeout> {
        self.supervisor.shutdown(STOP_WITHIN).await
    }

    fn camera(&self, idx: usize) -> Result<&Arc<Camera>, SimCamerasError> {
        let camera = self.server.house.cameras.get(idx);
        camera.ok_or(SimCamerasError::NoSuch { idx })
    }
}

impl Drop for SimCameras {
    fn drop(&mut self) {
        self.supervisor.token().cancel();
    }
}

impl Camera {
    fn new(idx: usize, films: Arc<[Arc<Film>]>, now: Instant) -> Option<Arc<Camera>> {
        let film_idx = idx.checked_rem(films.len())?;
        let period_ticks = films.get(film_idx)?.period_ticks();
        // Multiples of the golden ratio spread any number of cameras evenly over the film.
        let turn = i64::try_from(idx).ok()?.saturating_mul(618_034) % 1_000_000;
        let ticks = period_ticks.saturating_mul(turn) / 1_000_000;
        let settings = Settings {
            time_line: TimeLine::new(now, ticks),
            film_idx,
            faults: Faults::default(),
            n_cuts: 0,
            down_until: None,
        };
        Some(Arc::new(Camera {
            films,
            settings: watch::Sender::new(settings),
            log: SentLog::default(),
        }))
    }
}

impl Settings {
    fn change(&mut self, fault: CameraFault, now: Instant) {
        let faults = &mut self.faults;
        match fault {
            CameraFault::Clear => {
                *faults = Faults::default();
                self.down_until = None;
            }
            CameraFault::Drop { permille } => faults.drop_permille = permille,
            CameraFault::Freeze => faults.frozen = true,
            CameraFault::Thaw => faults.frozen = false,
            CameraFault::Reset => self.n_cuts += 1,
            CameraFault::Reboot { down } => {
                self.n_cuts += 1;
                self.down_until = Some(now + down);
            }
            CameraFault::Refuse { status } => {
                faults.refuse = (status != 200).then_some(status);
            }
            CameraFault::BlackHole => faults.black_hole = true,
            CameraFault::Jitter { ms_max } => faults.jitter_ms_max = ms_max,
            CameraFault::Burst { period_ms } => faults.burst_ms = period_ms,
            CameraFault::ClockOffset { ms } => faults.clock_offset_ms = ms,
            CameraFault::ClockPpm { ppm } => {
                let ppm = ppm.clamp(-fault::PPM_MAX, fault::PPM_MAX);
                self.time_line = self.time_line.with_rate(now, ppm);
            }
            CameraFault::Film { idx } => self.film_idx = idx,
            CameraFault::Keys(keys) => faults.keys = keys,
            CameraFault::Sdp(sdp) => faults.sdp = sdp,
        }
    }
}

/// Takes connections until told to stop.
async fn accept(
    server: Arc<Server>,
    listener: TcpListener,
    n_connections_max: usize,
    supervisor: Supervisor,
) {
    let token = supervisor.token();
    let places = Arc::new(Semaphore::new(n_connections_max));
    loop {
        let accepted = tokio::select! {
            biased;
            () = token.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "simulated cameras cannot accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            warn!("simulated cameras have too many clients");
            continue;
        };
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "simulated camera lost a client at once");
            continue;
        }
        let connection = Connection::new(Arc::clone(&server), stream, peer.ip(), Instant::now());
        let server = Arc::clone(&server);
        let token: CancellationToken = token.clone();
        supervisor.spawn("simulated camera client", Span::none(), async move {
            server.n_connections.fetch_add(1, Ordering::Relaxed);
            connection.run(token).await;
            server.n_connections.fetch_sub(1, Ordering::Relaxed);
            drop(place);
        });
    }
}

/// An even port for RTP and the odd one after it for RTCP (RFC 3550, 11), shared by all sessions.
async fn udp_pair(addr: SocketAddr) -> Result<(UdpSocket, UdpSocket, (u16, u16)), SimCamerasError> {
    let mut last = std::io::Error::other("no attempt");
    for _ in 0..PORT_ATTEMPTS {
        let at = |port| SocketAddr::new(addr.ip(), port);
        let rtp_port = fastrand::u16(10_000..16_000) * 2;
        let pair = match UdpSocket::bind(at(rtp_port)).await {
            Ok(rtp) => UdpSocket::bind(at(rtp_port + 1))
                .await
                .map(|rtcp| (rtp, rtcp)),
            Err(error) => Err(error),
        };
        match pair {
            Ok((rtp, rtcp)) => return Ok((rtp, rtcp, (rtp_port, rtp_port + 1))),
            Err(error) => last = error,
        }
    }
    Err(SimCamerasError::UdpPorts(last))
}

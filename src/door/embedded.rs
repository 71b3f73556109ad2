//! An MQTT 3.1.1 endpoint inside this process (ntex-mqtt), for sites without a broker.
//!
//! It is what doors need of a broker and no more: a PUBACK says that the swipe is on our disk; a
//! subscriber gets its door's card list and our status at once, as if retained; a last will becomes the
//! door's status; nobody reads or writes another door's topics. It keeps no sessions: what is not
//! acknowledged is the controller's to send again, and card lists come with every subscription.
//!
//! It runs on a thread of its own, since ntex has its own kind of runtime. Plain TCP: across a
//! network that is not trusted, use a broker with TLS.

mod access;
mod connection;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ntex::io::IoBoxed;
use ntex::service::{Pipeline, ServiceFactory as _};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::client::Context;
use super::desk::Slip;
use super::event::DoorEvent;
use super::options::{DoorCredential, EmbeddedBroker};
use crate::error::chain;
use crate::supervise::{self, Supervisor};
use crate::telemetry::Health;

use access::Access;
pub use access::CredentialError;
use connection::{Server, Slot};

/// Connections at a time; beyond that new ones are closed at once.
const CONNECTIONS_MAX: usize = 4_096;
/// Connections that have not logged in, at a time: they cannot crowd out those that have.
const STRANGERS_MAX: usize = 1_024;
/// After the system refused us a connection (out of files, say).
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// At a stop, how long the last messages may take, and the connections after that.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why the endpoint cannot start.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// The port is taken, or the address is not ours.
    #[error("listen for doors at {addr}")]
    Listen {
        /// Where.
        addr: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A log-in that cannot be meant.
    #[error("read the log-ins of the doors")]
    Credentials(#[source] CredentialError),
    /// The system starts no thread.
    #[error("start the thread of the embedded endpoint")]
    Thread(#[source] io::Error),
}

/// The running endpoint.
#[derive(Debug)]
pub(super) struct Embedded {
    addr: SocketAddr,
    ended: watch::Receiver<bool>,
    access: watch::Sender<Arc<Access>>,
}

impl Embedded {
    pub(super) fn start(
        broker: &EmbeddedBroker,
        context: Context,
        events: mpsc::Sender<DoorEvent>,
        health: Health,
        supervisor: &Supervisor,
    ) -> Result<Embedded, EmbeddedError> {
        let addr = broker.listen;
        // Beyond loopback nobody is let in before there are log-ins.
        let access = Access::new(&broker.credentials, addr.ip().is_loopback())
            .map_err(EmbeddedError::Credentials)?;
        let (access, access_seen) = watch::channel(Arc::new(access));
        let (listener, addr) =
            listen(addr).map_err(|source| EmbeddedError::Listen { addr, source })?;
        let (ended_tx, ended) = watch::channel(false);
        let token = supervisor.token();
        let work = move || {
            let system = ntex::rt::System::new("mqtt");
            system.block_on(run(listener, context, access_seen, events, health, token));
            ended_tx.send_replace(true);
        };
        supervise::thread(supervisor, "mqtt-endpoint", work).map_err(EmbeddedError::Thread)?;
        info!(%addr, "listening for doors");
        Ok(Embedded {
            addr,
            ended,
            access,
        })
    }

    /// Takes in other log-ins and other doors: who would not be given the same rights again, or was
    /// refused what may be allowed now, is hung up on and may come again.
    pub(super) fn reload(&self, credentials: &[DoorCredential]) -> Result<(), CredentialError> {
        let access = Access::new(credentials, self.addr.ip().is_loopback())?;
        self.access.send_replace(Arc::new(access));
        Ok(())
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Waits until the thread has ended.
    pub(super) async fn ended(&self) {
        let mut ended = self.ended.clone();
        // An error means that the thread is gone, which is what we wait for.
        drop(ended.wait_for(|ended| *ended).await);
    }
}

/// Can these log-ins be meant?
pub(super) fn check(credentials: &[DoorCredential]) -> Result<(), CredentialError> {
    Access::new(credentials, false).map(drop)
}

fn listen(addr: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(addr)?;
    listener.set_nonblocking(true)?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

/// The endpoint's life, on its own thread.
async fn run(
    listener: TcpListener,
    context: Context,
    access: watch::Receiver<Arc<Access>>,
    events: mpsc::Sender<DoorEvent>,
    health: Health,
    token: CancellationToken,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(err) => {
            health.failed(&format!("the listener of the doors is of no use ({err})"));
            return;
        }
    };
    let server = Rc::new(Server::new(context.clone(), access.clone(), events));
    health.ok();
    let following = ntex::rt::spawn(follow_access(Rc::clone(&server), access));
    let accepting = ntex::rt::spawn(accept(Rc::clone(&server), listener));
    let dispatching = ntex::rt::spawn(dispatch(Rc::clone(&server)));
    let until_closed = async {
        context.intake_closed.cancelled().await;
        server.close_intake();
        context.goodbye.cancelled().await;
    };
    let polite = tokio::select! {
        biased;
        () = token.cancelled() => false,
        () = until_closed => true,
    };
    accepting.abort();
    following.abort();
    if polite
        && tokio::time::timeout(FAREWELL, server.all_delivered())
            .await
            .is_err()
    {
        warn!("some doors did not take our last messages");
    }
    dispatching.abort();
    server.close_intake();
    server.close_all();
    if tokio::time::timeout(FAREWELL, server.all_gone())
        .await
        .is_err()
    {
        warn!("some doors' connections were cut");
    }
}

/// Until it is aborted.
#[expect(clippy::infinite_loop, reason = "the caller aborts the task")]
async fn accept(server: Rc<Server>, listener: tokio::net::TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if server.n_open() >= CONNECTIONS_MAX || server.n_strangers() >= STRANGERS_MAX {
                    // Dropped, and thereby closed.
                    server.refused("connections", "too many connections", peer);
                    continue;
                }
                match stream.into_std() {
                    Ok(stream) => {
                        // It says by itself how it ends.
                        drop(ntex::rt::spawn(serve(Rc::clone(&server), stream)));
                    }
                    Err(err) => warn!(error = %chain(&err), "connection of a door lost"),
                }
            }
            Err(err) => {
                warn!(error = %chain(&err), "no connection for a door");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

/// Hangs up on those whose rights have changed, until the sender is gone.
async fn follow_access(server: Rc<Server>, mut access: watch::Receiver<Arc<Access>>) {
    while access.changed().await.is_ok() {
        let now = Arc::clone(&access.borrow_and_update());
        server.hang_up_on_others(&now);
    }
}

/// One connection, from its first byte to its last.
async fn serve(server: Rc<Server>, stream: TcpStream) {
    let Ok(io) = ntex::rt::from_tcp_stream(stream) else {
        // Reset between accept and here.
        return;
    };
    let slot = Rc::new(Slot::open(&server));
    if let Ok(service) = connection::service(&server, &slot).create(()).await {
        // How a connection ends is the controller's affair; what matters was told to the slot.
        drop(Pipeline::new(service).call(IoBoxed::from(io)).await);
    }
    server.gone(&slot).await;
}

/// Brings what is on the desk to the doors that are there, until it is aborted.
#[expect(clippy::infinite_loop, reason = "the caller aborts the task")]
async fn dispatch(server: Rc<Server>) {
    loop {
        while let Some(letter) = server.context.desk.next() {
            let n_subscribers = server.deliver(&letter);
            let metrics = &server.context.metrics;
            metrics.dropped(server.context.desk.take_n_stale());
            if n_subscribers == 0 && matches!(letter.slip, Slip::Decision { .. }) {
                metrics.dropped(1);
            }
            server.context.desk.taken(&letter.slip);
        }
        server.context.desk.changed().await;
    }
}

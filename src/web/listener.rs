//! A TCP listener that holds a bounded number of connections: so many that ask and are answered, and so
//! many that stay open as streams.

use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// Connections held at once; more wait in the system's backlog until one ends.
const CONNECTIONS_MAX: usize = 512;
/// Streams held at once, besides: a duty room, its stations and its programs are tens, issue 5 asks for
/// 1,000.
pub(super) const STREAMS_MAX: usize = 2_048;
/// A stream whose reader takes nothing for so long is ended; the reader comes back and resumes. Longer
/// than a browser's tab stalls, and short enough that a dead reader is not kept.
const STALLED_MAX: Duration = Duration::from_secs(20);
/// Bytes that the system takes in of a stream before its reader has them: little, so that live video to a
/// slow viewer is not old when it arrives, and much for a network within a house (Linux takes twice that).
const STREAM_BUFFER_BYTES: usize = 128 << 10;
/// Pause after `accept` failed (out of file descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The listener.
#[derive(Debug)]
pub(super) struct Capped {
    listener: TcpListener,
    permits: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

/// A connection that gives its place back when dropped.
#[derive(Debug)]
pub(super) struct Held {
    stream: TcpStream,
    seat: Seat,
    /// Runs while a stream's reader takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    is_narrow: bool,
}

/// Where a connection is counted: among those that ask and are answered, or among the streams.
#[derive(Clone, Debug)]
pub(super) struct Seat(Arc<SeatInner>);

#[derive(Debug)]
struct SeatInner {
    permit: Mutex<OwnedSemaphorePermit>,
    streams: Arc<Semaphore>,
    is_stream: AtomicBool,
}

impl Seat {
    /// From now on the connection is a stream: it gives its place back to those that ask, and its reader
    /// must keep up. False when there are [`STREAMS_MAX`].
    pub(super) fn become_stream(&self) -> bool {
        let inner = &self.0;
        if inner.is_stream.load(Ordering::Acquire) {
            return true;
        }
        let Ok(permit) = Arc::clone(&inner.streams).try_acquire_owned() else {
            return false;
        };
        *inner.permit.lock() = permit;
        inner.is_stream.store(true, Ordering::Release);
        true
    }

    fn is_stream(&self) -> bool {
        self.0.is_stream.load(Ordering::Acquire)
    }
}

/// What a handler may know of the connection that asks.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Where it is counted.
    pub(super) seat: Seat,
    /// Who is at the other end.
    pub(super) peer: SocketAddr,
    /// Cancelled when the gateway stops answering.
    pub(super) stop: CancellationToken,
}

impl Capped {
    pub(super) fn new(listener: TcpListener) -> Capped {
        Capped {
            listener,
            permits: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        }
    }
}

impl Held {
    /// A stream's bytes do not pile up in the system.
    fn narrow(&mut self) {
        if !self.is_narrow {
            self.is_narrow = true;
            if let Err(err) = set_socket_send_buffer_size(&self.stream, STREAM_BUFFER_BYTES) {
                debug!(error = %err, "a stream's buffer stays as it is");
            }
        }
    }

    pub(super) fn seat(&self) -> Seat {
        self.seat.clone()
    }
}

impl axum::serve::Listener for Capped {
    type Io = Held;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Held, SocketAddr) {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        loop {
            match self.listener.accept().await {
                Ok((stream, addr)) => {
                    let seat = Seat(Arc::new(SeatInner {
                        permit: Mutex::new(permit),
                        streams: Arc::clone(&self.streams),
                        is_stream: AtomicBool::new(false),
                    }));
                    let held = Held {
                        stream,
                        seat,
                        stalled: None,
                        is_narrow: false,
                    };
                    return (held, addr);
                }
                Err(err) => {
                    warn!(error = %err, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl AsyncRead for Held {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Held {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.seat.is_stream() {
            self.narrow();
        }
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Pending if self.seat.is_stream() => {
                let stalled = self
                    .stalled
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(STALLED_MAX)));
                ready!(stalled.as_mut().poll(context));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            other => {
                self.stalled = None;
                other
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use axum::serve::Listener as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn pair(capped: &mut Capped) -> (TcpStream, Held) {
        let addr = capped.local_addr().unwrap();
        let (client, held) = tokio::join!(TcpStream::connect(addr), capped.accept());
        (client.unwrap(), held.0)
    }

    async fn capped() -> Capped {
        Capped::new(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    #[tokio::test]
    async fn a_stream_gives_its_place_back_to_those_that_ask() {
        let mut capped = capped().await;
        let (_client, held) = pair(&mut capped).await;
        assert_eq!(capped.permits.available_permits(), CONNECTIONS_MAX - 1);
        assert!(held.seat().become_stream() && held.seat().become_stream());
        assert_eq!(capped.permits.available_permits(), CONNECTIONS_MAX);
        assert_eq!(capped.streams.available_permits(), STREAMS_MAX - 1);
        drop(held);
        assert_eq!(capped.streams.available_permits(), STREAMS_MAX);
        capped.streams.forget_permits(STREAMS_MAX);
        let (_client, held) = pair(&mut capped).await;
        assert!(!held.seat().become_stream(), "there are as many as may be");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_whose_reader_takes_nothing_is_ended_and_a_download_is_not() {
        let mut capped = capped().await;
        let (_asleep, mut held) = pair(&mut capped).await;
        held.seat().become_stream();
        let chunk = vec![0; 1 << 20];
        // Far more than the system's buffers hold.
        let written = async {
            loop {
                held.write_all(&chunk).await?;
            }
        };
        let ended: io::Result<()> = written.await;
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);

        let (mut client, mut held) = pair(&mut capped).await;
        let download = async {
            for _ in 0..64 {
                held.write_all(&chunk).await.unwrap();
            }
            held.shutdown().await.unwrap();
        };
        let reader = async {
            tokio::time::sleep(STALLED_MAX * 3).await;
            let mut n_read = 0;
            let mut buffer = vec![0; 1 << 20];
            loop {
                match client.read(&mut buffer).await.unwrap() {
                    0 => return n_read,
                    n => n_read += n,
                }
            }
        };
        let ((), n_read) = tokio::join!(download, reader);
        assert_eq!(n_read, 64 << 20);
    }
}

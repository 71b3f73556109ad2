//! One client's connection: reads requests, writes responses and frames, never waits for the client.
//!
//! What the client does not take at once is kept up to a bound; then the connection is reset, so that
//! a client that never reads costs others nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use rtsp_types::{Message, Method, ParseError};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::Server;
use super::output::Output;
use super::player::{FAR, Settings};
use super::rtsp::{Conversation, Link, Verdict};

/// Largest request taken.
const REQUEST_BYTES_MAX: usize = 64 * 1_024;
/// Bytes read in one go.
const READ_BYTES: usize = 4 * 1_024;
/// An empty write buffer larger than this is given back.
const IDLE_BYTES_MAX: usize = 256 * 1_024;
/// A client that has set nothing up must ask for something in this time.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The client went, said nothing for too long, or we stop.
    Close,
    /// Cut with RST.
    Reset,
}

pub(super) struct Connection {
    server: Arc<Server>,
    stream: TcpStream,
    conversation: Conversation,
    /// The settings of the conversation's camera, once it has one.
    settings: Option<watch::Receiver<Settings>>,
    /// The camera's count of cuts when this connection came to it.
    n_cuts: u64,
    input: BytesMut,
    output: Vec<u8>,
    n_written: usize,
    scratch: Vec<u8>,
    heard_at: Instant,
    dial: Option<Dial>,
}

/// Counts a client while it dials.
struct Dial(Arc<Server>);

impl Dial {
    fn begin(server: &Arc<Server>) -> Dial {
        server.n_dials.fetch_add(1, Ordering::Relaxed);
        let n_dialling = server.n_dialling.fetch_add(1, Ordering::Relaxed) + 1;
        server
            .n_dialling_max
            .fetch_max(n_dialling, Ordering::Relaxed);
        Dial(Arc::clone(server))
    }
}

impl Drop for Dial {
    fn drop(&mut self) {
        self.0.n_dialling.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connection {
    pub(super) fn new(
        server: Arc<Server>,
        stream: TcpStream,
        client: std::net::IpAddr,
        now: Instant,
    ) -> Connection {
        Connection {
            conversation: Conversation::new(Arc::clone(&server.house), client),
            server,
            stream,
            settings: None,
            n_cuts: 0,
            input: BytesMut::new(),
            output: Vec::new(),
            n_written: 0,
            scratch: Vec::new(),
            heard_at: now,
            dial: None,
        }
    }

    /// Serves the client until it goes or `token` is cancelled.
    pub(super) async fn run(mut self, token: CancellationToken) {
        let cancelled = std::pin::pin!(token.cancelled());
        let mut cancelled = cancelled;
        let mut timer = std::pin::pin!(tokio::time::sleep(FAR));
        let end = loop {
            if let Err(end) = self.pump() {
                break end;
            }
            timer.as_mut().reset(self.wake_at());
            let interest = if self.output.is_empty() {
                Interest::READABLE
            } else {
                Interest::READABLE | Interest::WRITABLE
            };
            // Every branch is cancel-safe: none takes anything but in its handler.
            let step = tokio::select! {
                biased;
                () = &mut cancelled => Err(End::Close),
                () = changed(&mut self.settings) => self.take_settings(),
                ready = self.stream.ready(interest) => match ready {
                    Ok(ready) if ready.is_readable() => self.read(),
                    Ok(_) => Ok(()),
                    Err(_) => Err(End::Close),
                },
                () = &mut timer => self.check_idle(),
            };
            if let Err(end) = step {
                break end;
            }
        };
        if end == End::Reset
            && let Err(error) = self.stream.set_zero_linger()
        {
            debug!(%error, "simulated reset became a close");
        }
    }

    fn wake_at(&self) -> Instant {
        let idle_at = self.heard_at + self.idle_max();
        let player = self.conversation.session.as_ref();
        match player.and_then(|session| session.player.as_ref()) {
            Some(player) => player.wake_at().min(idle_at),
            None => idle_at,
        }
    }

    fn idle_max(&self) -> Duration {
        if self.conversation.session.is_some() {
            let timeout_s = u64::from(self.server.house.session_timeout_s);
            // A quarter more, since clients keep alive at the very end of it.
            Duration::from_millis(timeout_s * 1_250)
        } else {
            IDLE_MAX
        }
    }

    fn check_idle(&self) -> Result<(), End> {
        if self.heard_at.elapsed() >= self.idle_max() {
            debug!("simulated session timed out");
            return Err(End::Close);
        }
        Ok(())
    }

    /// Puts out the frames that are due and writes what the client takes.
    fn pump(&mut self) -> Result<(), End> {
        let camera = self.conversation.camera.as_deref();
        if let (Some(camera), Some(session)) = (camera, self.conversation.session.as_mut())
            && let Some(player) = session.player.as_mut()
        {
            let now = Instant::now();
            if player.wake_at() <= now {
                let mut output = match session.link {
                    Link::Interleaved { rtp, rtcp } => Output::Interleaved {
                        out: &mut self.output,
                        rtp,
                        rtcp,
                    },
                    Link::Udp { rtp, rtcp } => Output::Udp {
                        rtp: (&self.server.udp_rtp, rtp),
                        rtcp: (&self.server.udp_rtcp, rtcp),
                        scratch: &mut self.scratch,
                    },
                };
                player.pump(now, &self.server.clock, &mut output, &camera.log);
            }
        }
        self.write()
    }

    fn write(&mut self) -> Result<(), End> {
        while let Some(rest) = self.output.get(self.n_written..).filter(|r| !r.is_empty()) {
            match self.stream.try_write(rest) {
                Ok(n_bytes) => self.n_written += n_bytes,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    return self.check_backlog();
                }
                Err(_) => return Err(End::Close),
            }
        }
        self.output.clear();
        self.n_written = 0;
        if self.output.capacity() > IDLE_BYTES_MAX {
            self.output.shrink_to(IDLE_BYTES_MAX);
        }
        Ok(())
    }

    fn check_backlog(&mut self) -> Result<(), End> {
        self.output.drain(..self.n_written);
        self.n_written = 0;
        if self.output.len() > self.server.backlog_bytes_max {
            self.server.n_slow.fetch_add(1, Ordering::Relaxed);
            info!("simulated camera cut a client that reads too slowly");
            return Err(End::Reset);
        }
        Ok(())
    }

    fn read(&mut self) -> Result<(), End> {
        self.input.reserve(READ_BYTES);
        match self.stream.try_read_buf(&mut self.input) {
            Ok(0) => return Err(End::Close),
            Ok(_) => self.heard_at = Instant::now(),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
            Err(_) => return Err(End::Close),
        }
        while !self.input.is_empty() {
            match Message::<Vec<u8>>::parse(&self.input) {
                Ok((message, n_bytes)) => {
                    self.input.advance(n_bytes);
                    if let Message::Request(request) = message {
                        let verdict = self.conversation.hear(&request, self.heard_at);
                        self.note_dial(*request.method() == Method::Describe);
                        self.obey(verdict)?;
                    }
                }
                Err(ParseError::Incomplete(_)) if self.input.len() < REQUEST_BYTES_MAX => break,
                Err(ParseError::Incomplete(_) | ParseError::Error) => return Err(End::Close),
            }
        }
        Ok(())
    }

    /// A client dials from its first DESCRIBE until it plays or goes.
    fn note_dial(&mut self, describes: bool) {
        let session = self.conversation.session.as_ref();
        if session.is_some_and(|session| session.player.is_some()) {
            self.dial = None;
        } else if describes && self.dial.is_none() {
            self.dial = Some(Dial::begin(&self.server));
        }
    }

    fn obey(&mut self, verdict: Verdict) -> Result<(), End> {
        self.follow_camera();
        match verdict {
            Verdict::Answer(response) => match response.write(&mut self.output) {
                Ok(()) => Ok(()),
                Err(_) => Err(End::Close),
            },
            Verdict::Silence => Ok(()),
            Verdict::Reset => Err(End::Reset),
        }
    }

    /// Watches the settings of the conversation's camera.
    fn follow_camera(&mut self) {
        if let (Some(camera), None) = (&self.conversation.camera, &self.settings) {
            let settings = camera.settings.subscribe();
            self.n_cuts = settings.borrow().n_cuts;
            self.settings = Some(settings);
        } else if self.conversation.session.is_none() {
            // The next request may be to another camera.
            self.settings = None;
        }
    }

    fn take_settings(&mut self) -> Result<(), End> {
        let Some(receiver) = &mut self.settings else {
            return Ok(());
        };
        let settings = *receiver.borrow_and_update();
        if settings.n_cuts != self.n_cuts {
            return Err(End::Reset);
        }
        let session = self.conversation.session.as_mut();
        if let Some(player) = session.and_then(|session| session.player.as_mut()) {
            player.set(settings, Instant::now());
        }
        Ok(())
    }
}

/// Waits for changed settings; for ever without a camera.
async fn changed(settings: &mut Option<watch::Receiver<Settings>>) {
    match settings {
        // The sender lives in the server, which this connection holds.
        Some(receiver) => match receiver.changed().await {
            Ok(()) => {}
            Err(_) => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

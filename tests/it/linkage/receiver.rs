//! A duty room of one's own: an HTTP receiver that takes alerts, or misbehaves as told.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use stairgate::domain::secret::Secret;
use stairgate::linkage::webhook;
use stairgate::supervise::Supervisor;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tracing::Span;

use crate::harness::tls::TlsFiles;

/// TCP, or TLS over it.
trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// What is shared with the gateway under test.
pub(crate) const SECRET: &str = "fixture-secret";

/// How it answers a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Manner {
    /// Takes it and says so.
    Take,
    /// Does not take it: status, a header line, body.
    Answer(u16, &'static str, &'static str),
    /// Takes it after a while.
    Slow(Duration),
    /// Takes it and never says so.
    Hang,
    /// Takes it and loses its voice in the middle of saying so.
    Half,
    /// Takes it and never comes to the end of saying so.
    Endless,
    /// Takes nothing and cuts the line.
    Cut,
    /// Any of these, as the dice fall.
    Moody,
}

/// One message that it took, in the order it took them.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) id: String,
    pub(crate) revision: u64,
    pub(crate) key: String,
    pub(crate) signed: bool,
    pub(crate) json: serde_json::Value,
    pub(crate) at: Instant,
}

impl Taken {
    pub(crate) fn text(&self, field: &str) -> String {
        self.json[field].as_str().unwrap_or_default().to_owned()
    }
}

#[derive(Debug)]
struct Shared {
    manner: Mutex<Manner>,
    /// Of those that are named here, by a part of the body: another manner.
    special: Mutex<Vec<(String, Manner)>>,
    taken: Mutex<Vec<Taken>>,
    keys: Mutex<HashSet<String>>,
    revisions: Mutex<HashMap<String, u64>>,
    n_posts: Mutex<u64>,
    n_repeats: Mutex<u64>,
    dice: Mutex<fastrand::Rng>,
    /// Speaks TLS, when set.
    tls: Mutex<Option<Arc<rustls::ServerConfig>>>,
}

/// The receiver; it goes with its value.
#[derive(Debug)]
pub(crate) struct Receiver {
    addr: SocketAddr,
    shared: Arc<Shared>,
    life: Option<Supervisor>,
}

impl Receiver {
    pub(crate) async fn start() -> Receiver {
        let shared = Shared {
            manner: Mutex::new(Manner::Take),
            special: Mutex::default(),
            taken: Mutex::default(),
            keys: Mutex::default(),
            revisions: Mutex::default(),
            n_posts: Mutex::default(),
            n_repeats: Mutex::default(),
            dice: Mutex::new(fastrand::Rng::with_seed(7)),
            tls: Mutex::default(),
        };
        let mut receiver = Receiver {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            shared: Arc::new(shared),
            life: None,
        };
        receiver.come_back().await;
        receiver
    }

    pub(crate) fn url(&self) -> url::Url {
        let is_tls = self.shared.tls.lock().unwrap().is_some();
        let scheme = if is_tls { "https" } else { "http" };
        format!("{scheme}://{}/alerts", self.addr).parse().unwrap()
    }

    /// Who connects from now on meets TLS with this certificate.
    pub(crate) fn present(&self, files: &TlsFiles) {
        *self.shared.tls.lock().unwrap() = Some(Arc::new(files.server_config()));
    }

    pub(crate) fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    /// Messages whose body contains `part` are met with `manner`, whatever the others are.
    pub(crate) fn behave_to(&self, part: &str, manner: Manner) {
        let mut special = self.shared.special.lock().unwrap();
        special.retain(|(other, _)| other != part);
        special.push((part.to_owned(), manner));
    }

    /// It listens no more, and its connections are cut.
    pub(crate) async fn vanish(&mut self) {
        if let Some(life) = self.life.take() {
            life.shutdown(Duration::from_secs(5)).await.unwrap();
        }
    }

    /// It listens again where it did.
    pub(crate) async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.addr).await.unwrap();
        self.addr = listener.local_addr().unwrap();
        let life = Supervisor::new();
        let (shared, connections) = (Arc::clone(&self.shared), life.clone());
        life.spawn("receiver", Span::none(), async move {
            let token = connections.token();
            loop {
                let stream = tokio::select! {
                    () = token.cancelled() => return,
                    accepted = listener.accept() => accepted.unwrap().0,
                };
                let (shared, token) = (Arc::clone(&shared), token.clone());
                connections.spawn("connection", Span::none(), async move {
                    tokio::select! {
                        () = token.cancelled() => {}
                        // The peer may leave at any moment.
                        _ = greet(stream, &shared) => {}
                    }
                });
            }
        });
        self.life = Some(life);
    }

    /// What it took, without repeats, in the order it took it first.
    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.shared.taken.lock().unwrap().clone()
    }

    /// How many messages came, taken or not.
    pub(crate) fn n_posts(&self) -> u64 {
        *self.shared.n_posts.lock().unwrap()
    }

    /// How many messages came again that it had taken.
    pub(crate) fn n_repeats(&self) -> u64 {
        *self.shared.n_repeats.lock().unwrap()
    }

    /// Does it know of all `ids`?
    pub(crate) fn knows(&self, ids: &[String]) -> bool {
        let known = self.shared.revisions.lock().unwrap();
        known.len() >= ids.len() && ids.iter().all(|id| known.contains_key(id))
    }

    /// Alerts it knows of, each with the highest revision it took.
    pub(crate) fn revisions(&self) -> HashMap<String, u64> {
        self.shared.revisions.lock().unwrap().clone()
    }
}

async fn greet(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let config = shared.tls.lock().unwrap().clone();
    match config {
        Some(config) => serve(TlsAcceptor::from(config).accept(stream).await?, shared).await,
        None => serve(stream, shared).await,
    }
}

async fn serve(mut stream: impl Stream, shared: &Shared) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let Some((head, body)) = read_request(&mut stream, &mut buffer).await? else {
            return Ok(());
        };
        if !head.starts_with("POST /alerts ") {
            stream.write_all(answer(405, "", "").as_bytes()).await?;
            continue;
        }
        *shared.n_posts.lock().unwrap() += 1;
        let manner = manner_to(shared, &body);
        match manner {
            Manner::Take => take(shared, &head, &body),
            Manner::Answer(status, header, text) => {
                let text = answer(status, header, text);
                stream.write_all(text.as_bytes()).await?;
                continue;
            }
            Manner::Slow(wait) => {
                tokio::time::sleep(wait).await;
                take(shared, &head, &body);
            }
            Manner::Hang => {
                take(shared, &head, &body);
                std::future::pending::<()>().await;
            }
            Manner::Half => {
                take(shared, &head, &body);
                let text = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"refer";
                return stream.write_all(text.as_bytes()).await;
            }
            Manner::Endless => {
                take(shared, &head, &body);
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
                loop {
                    // Until the peer has had enough.
                    stream.write_all(&[b' '; 4_096]).await?;
                }
            }
            Manner::Cut | Manner::Moody => return Ok(()),
        }
        let text = answer(200, "", r#"{"reference":"fixture-17"}"#);
        stream.write_all(text.as_bytes()).await?;
    }
}

fn manner_to(shared: &Shared, body: &str) -> Manner {
    let special = shared.special.lock().unwrap();
    let named = special.iter().find(|(part, _)| body.contains(part));
    let manner = named.map_or(*shared.manner.lock().unwrap(), |(_, manner)| *manner);
    if manner != Manner::Moody {
        return manner;
    }
    let mut dice = shared.dice.lock().unwrap();
    match dice.u32(0..20) {
        0 => Manner::Answer(500, "", "database is away"),
        1 => Manner::Answer(503, "retry-after: 0\r\n", ""),
        2 => Manner::Answer(200, "", r#"{"accepted":false,"reason":"queue full"}"#),
        3 => Manner::Answer(302, "location: /elsewhere\r\n", ""),
        4 => Manner::Hang,
        5 | 6 => Manner::Half,
        7 => Manner::Cut,
        8 => Manner::Slow(Duration::from_millis(30)),
        _ => Manner::Take,
    }
}

fn take(shared: &Shared, head: &str, body: &str) {
    let header = |name: &str| {
        let line = head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        });
        line.unwrap_or_default()
    };
    let json: serde_json::Value = serde_json::from_str(body).unwrap();
    let expected = webhook::signature(
        &Secret::new(SECRET),
        &header("x-stairgate-timestamp"),
        body.as_bytes(),
    );
    let message = Taken {
        id: json["id"].as_str().unwrap().to_owned(),
        revision: json["revision"].as_u64().unwrap(),
        key: header("idempotency-key"),
        signed: header("x-stairgate-signature") == expected,
        json,
        at: Instant::now(),
    };
    if !shared.keys.lock().unwrap().insert(message.key.clone()) {
        *shared.n_repeats.lock().unwrap() += 1;
        return;
    }
    let mut revisions = shared.revisions.lock().unwrap();
    let newest = revisions.entry(message.id.clone()).or_insert(0);
    *newest = message.revision.max(*newest);
    shared.taken.lock().unwrap().push(message);
}

fn answer(status: u16, header: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} Fixture\r\n{header}content-length: {length}\r\n\r\n{body}")
}

/// The next request's head and body; `None` when the peer has closed.
async fn read_request(
    stream: &mut impl Stream,
    buffer: &mut Vec<u8>,
) -> std::io::Result<Option<(String, String)>> {
    loop {
        let head_end = buffer.windows(4).position(|part| part == b"\r\n\r\n");
        if let Some(head_end) = head_end {
            let head = String::from_utf8(buffer[..head_end].to_vec()).unwrap();
            let length = head.lines().find_map(|line| {
                let line = line.to_ascii_lowercase();
                line.strip_prefix("content-length:")?
                    .trim()
                    .parse::<usize>()
                    .ok()
            });
            let end = head_end + 4 + length.unwrap_or(0);
            if buffer.len() >= end {
                let body = String::from_utf8(buffer[head_end + 4..end].to_vec()).unwrap();
                buffer.drain(..end);
                return Ok(Some((head, body)));
            }
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

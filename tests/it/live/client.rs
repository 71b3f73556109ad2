//! A viewer as a browser is one: one WebSocket, binary messages with a head of 24 bytes.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::Error;

/// Longest wait for a message that must come.
const WITHIN: Duration = Duration::from_secs(20);

pub(super) const INIT: u8 = 0;
pub(super) const KEY_FRAGMENT: u8 = 1;
pub(super) const FRAGMENT: u8 = 2;
pub(super) const PICTURE: u8 = 3;

/// A binary message.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) kind: u8,
    pub(super) id: u16,
    pub(super) sequence: u32,
    pub(super) arrived_ms: u64,
    pub(super) sent_ms: u64,
    pub(super) payload: Vec<u8>,
    /// When we had it.
    pub(super) at: Instant,
}

/// What came.
#[derive(Clone, Debug)]
pub(super) enum Got {
    Text(Value),
    Piece(Piece),
    /// The connection ended, with this code.
    Closed(Option<u16>),
}

pub(super) struct Viewer {
    socket: WebSocketStream<TcpStream>,
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte))
}

impl Viewer {
    /// Opens a viewer; `Err` is the HTTP status when it is refused.
    pub(super) async fn open(
        web: &str,
        token: Option<&str>,
        headers: &[(&'static str, &str)],
    ) -> Result<Viewer, u16> {
        Viewer::over(TcpSocket::new_v4().unwrap(), web, token, headers).await
    }

    /// The same over a socket that takes few bytes while nobody reads.
    pub(super) async fn open_narrow(web: &str, token: &str) -> Viewer {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(8_192).unwrap();
        Viewer::over(socket, web, Some(token), &[]).await.unwrap()
    }

    async fn over(
        socket: TcpSocket,
        web: &str,
        token: Option<&str>,
        headers: &[(&'static str, &str)],
    ) -> Result<Viewer, u16> {
        let mut request = format!("ws://{web}/api/v1/live")
            .into_client_request()
            .unwrap();
        let map = request.headers_mut();
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().unwrap();
            map.insert("authorization", value);
        }
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let stream = socket.connect(web.parse().unwrap()).await.unwrap();
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, _)) => Ok(Viewer { socket }),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(other) => panic!("{other}"),
        }
    }

    /// An open viewer that has said hello and been welcomed.
    pub(super) async fn welcomed(web: &str, token: &str, codecs: &[&str]) -> Viewer {
        let mut viewer = Viewer::open(web, Some(token), &[]).await.unwrap();
        viewer.hello(codecs).await;
        viewer
    }

    pub(super) async fn hello(&mut self, codecs: &[&str]) {
        self.say(&json!({"type": "hello", "v": 1, "codecs": codecs}))
            .await;
        let welcome = self.text("welcome").await;
        assert_eq!(welcome["v"], 1);
        assert!(welcome["time"].is_string());
    }

    pub(super) async fn watch(&mut self, id: u16, camera: &str) {
        self.say(&json!({"type": "watch", "id": id, "camera": camera, "stream": "auto"}))
            .await;
    }

    pub(super) async fn say(&mut self, message: &Value) {
        self.say_text(&message.to_string()).await;
    }

    pub(super) async fn say_text(&mut self, text: &str) {
        let message = Message::Text(text.into());
        self.socket.send(message).await.unwrap();
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> Got {
        loop {
            let message = timeout(WITHIN, self.socket.next());
            let message = match message.await.expect("a message within 20 s") {
                Some(Ok(message)) => message,
                Some(Err(_)) | None => return Got::Closed(None),
            };
            match message {
                Message::Text(text) => return Got::Text(serde_json::from_str(&text).unwrap()),
                Message::Close(frame) => {
                    return Got::Closed(frame.map(|frame| frame.code.into()));
                }
                Message::Binary(bytes) => {
                    assert_eq!(bytes[0], 1, "the version");
                    return Got::Piece(Piece {
                        kind: bytes[1],
                        id: u16::try_from(number(&bytes[2..4])).unwrap(),
                        sequence: u32::try_from(number(&bytes[4..8])).unwrap(),
                        arrived_ms: number(&bytes[8..16]),
                        sent_ms: number(&bytes[16..24]),
                        payload: bytes[24..].to_vec(),
                        at: Instant::now(),
                    });
                }
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// The next text message of that type; others are passed over.
    pub(super) async fn text(&mut self, kind: &str) -> Value {
        self.until(|got| match got {
            Got::Text(text) if text["type"] == kind => Some(text.clone()),
            _ => None,
        })
        .await
    }

    /// The next binary message.
    pub(super) async fn piece(&mut self) -> Piece {
        self.until(|got| match got {
            Got::Piece(piece) => Some(piece.clone()),
            _ => None,
        })
        .await
    }

    /// The code with which the gateway ends it.
    pub(super) async fn closed(&mut self) -> Option<u16> {
        loop {
            if let Got::Closed(code) = self.next().await {
                return code;
            }
        }
    }

    /// Takes messages until `pick` finds what it looks for.
    pub(super) async fn until<T>(&mut self, mut pick: impl FnMut(&Got) -> Option<T>) -> T {
        let ends = Instant::now() + WITHIN;
        loop {
            let got = self.next().await;
            if let Some(found) = pick(&got) {
                return found;
            }
            assert!(
                !matches!(got, Got::Closed(_)),
                "the viewer was closed: {got:?}"
            );
            assert!(Instant::now() < ends, "not within 20 s; last: {got:?}");
        }
    }
}

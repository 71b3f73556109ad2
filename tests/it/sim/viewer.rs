//! An RTSP client that does exactly what the test says, and sees every byte.

use std::time::Duration;

use rtsp_types::{Message, ParseError, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use url::Url;

const WITHIN: Duration = Duration::from_secs(10);

/// What came from the camera.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    Answer(Answer),
    Packet { channel: u8, bytes: Vec<u8> },
    Nothing,
    Closed,
    Reset,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Answer(Response<Vec<u8>>);

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.0.status().into()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(self.0.body()).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let mut headers = self.0.headers();
        let found = headers.find(|(n, _)| n.as_str().eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str().to_owned())
    }
}

pub(crate) struct Viewer {
    url: Url,
    stream: TcpStream,
    input: Vec<u8>,
    cseq: u32,
    session: Option<String>,
}

impl Viewer {
    pub(crate) async fn connect(url: &Url) -> Viewer {
        let addr = (url.host_str().unwrap(), url.port().unwrap());
        Viewer {
            url: url.clone(),
            stream: TcpStream::connect(addr).await.unwrap(),
            input: Vec::new(),
            cseq: 0,
            session: None,
        }
    }

    pub(crate) async fn send(&mut self, method: &str, headers: &str) {
        self.cseq += 1;
        let (url, cseq) = (&self.url, self.cseq);
        let request = format!("{method} {url} RTSP/1.0\r\nCSeq: {cseq}\r\n{headers}\r\n");
        // A camera that resets may do so before the request is out.
        if let Err(err) = self.stream.write_all(request.as_bytes()).await {
            eprintln!("request not sent: {err}");
        }
    }

    /// Sends a request and skips packets until its answer.
    pub(crate) async fn ask(&mut self, method: &str, headers: &str) -> Answer {
        self.send(method, headers).await;
        let until = Instant::now() + WITHIN;
        loop {
            match self.hear_until(until).await {
                Heard::Answer(answer) => {
                    assert_eq!(answer.header("CSeq"), Some(self.cseq.to_string()));
                    return answer;
                }
                Heard::Packet { .. } => {}
                other => panic!("{method}: {other:?}"),
            }
        }
    }

    pub(crate) async fn play(&mut self) {
        let transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n";
        let setup = self.ask("SETUP", transport).await;
        assert_eq!(setup.status(), 200);
        let session = setup.header("Session").unwrap();
        self.session = Some(session.split(';').next().unwrap().to_owned());
        let session = self.session();
        assert_eq!(self.ask("PLAY", &session).await.status(), 200);
    }

    /// Plays with a small receive buffer and reads no more.
    pub(crate) async fn play_without_listening(&mut self) {
        let transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n";
        let setup = self.ask("SETUP", transport).await;
        let session = setup.header("Session").unwrap();
        self.session = Some(session.split(';').next().unwrap().to_owned());
        let session = self.session();
        self.send("PLAY", &session).await;
    }

    /// The header that names the session.
    pub(crate) fn session(&self) -> String {
        format!("Session: {}\r\n", self.session.as_deref().unwrap())
    }

    pub(crate) async fn hear(&mut self, within: Duration) -> Heard {
        self.hear_until(Instant::now() + within).await
    }

    /// Takes all that comes for the length of `within`.
    pub(crate) async fn drain(&mut self, within: Duration) {
        let until = Instant::now() + within;
        while self.hear_until(until).await != Heard::Nothing {}
    }

    /// Skips everything until the connection ends.
    pub(crate) async fn end(&mut self, within: Duration) -> Heard {
        let until = Instant::now() + within;
        loop {
            match self.hear_until(until).await {
                Heard::Answer(_) | Heard::Packet { .. } => {}
                end => return end,
            }
        }
    }

    async fn hear_until(&mut self, until: Instant) -> Heard {
        loop {
            match Message::<Vec<u8>>::parse(&self.input) {
                Ok((message, n_bytes)) => {
                    self.input.drain(..n_bytes);
                    return match message {
                        Message::Response(answer) => Heard::Answer(Answer(answer)),
                        Message::Data(data) => Heard::Packet {
                            channel: data.channel_id(),
                            bytes: data.into_body(),
                        },
                        Message::Request(request) => panic!("{request:?}"),
                    };
                }
                Err(ParseError::Incomplete(_)) => {}
                Err(ParseError::Error) => panic!("not RTSP: {:?}", self.input),
            }
            match timeout_at(until, self.stream.read_buf(&mut self.input)).await {
                Ok(Ok(0)) => return Heard::Closed,
                Ok(Ok(_)) => {}
                Ok(Err(_)) => return Heard::Reset,
                Err(_) => return Heard::Nothing,
            }
        }
    }
}

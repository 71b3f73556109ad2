//! Speaks to a running gateway over HTTP, for commands that need its store.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

use crate::config::Config;
use crate::domain::secret::Secret;

/// Longest wait for the whole answer: the gateway itself gives up after 30 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// Longest wait for a connection on this machine.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Largest answer: an export of a large compound.
const ANSWER_BYTES_MAX: u64 = 256 << 20;
/// Most header lines of an answer.
const HEADERS_MAX: usize = 64;
/// Longest token file, in bytes.
const TOKEN_BYTES_MAX: u64 = 4_096;
/// The variable with a token.
const TOKEN_VARIABLE: &str = "STAIRGATE_TOKEN";

/// How a running gateway is reached.
#[derive(Debug, clap::Args)]
pub(super) struct GatewayArgs {
    /// Ask the running gateway, with the token in this file (else in STAIRGATE_TOKEN). Without a
    /// token the store is opened here, which needs the gateway stopped.
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// Where the gateway listens; default: web.listen of the configuration.
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<Url>,
}

/// Why the gateway gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error("read the token file {path}")]
    Token {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{0} cannot be asked: write http://address:port of a gateway on this machine")]
    Url(Url),
    #[error(
        "the gateway speaks TLS, and this command does not: use the console, or stop the gateway and leave the token away"
    )]
    Tls,
    #[error("connect to the gateway at {address} (is it running? is web.listen right?)")]
    Connect {
        address: String,
        #[source]
        source: io::Error,
    },
    #[error("the gateway at {address} gave no whole answer")]
    Answer {
        address: String,
        #[source]
        source: io::Error,
    },
    #[error("what answers at {0} is no stairgate (is the address right?)")]
    NotOurs(String),
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// What a problem document says, in the words of the gateway.
    pub(super) fn problem(&self) -> String {
        let document: Option<serde_json::Value> = serde_json::from_slice(&self.body).ok();
        let detail = document.as_ref().and_then(|d| d.get("detail")?.as_str());
        match detail {
            Some(detail) => format!("the gateway refuses ({}): {detail}", self.status),
            None => format!("the gateway answers {}", self.status),
        }
    }
}

/// A running gateway, and the token to show it.
#[derive(Debug)]
pub(super) struct GatewayClient {
    address: String,
    token: Secret,
}

impl GatewayClient {
    /// The gateway to ask; `None`: no token is given, so the store is to be opened here.
    pub(super) fn of(
        args: &GatewayArgs,
        config: &Config,
    ) -> Result<Option<GatewayClient>, ClientError> {
        let token = match &args.token_file {
            Some(file) => read_token(file)?,
            None => match std::env::var(TOKEN_VARIABLE) {
                Ok(token) => Secret::new(token.trim()),
                Err(_) if args.url.is_some() => Secret::new(""),
                Err(_) => return Ok(None),
            },
        };
        let address = match &args.url {
            Some(url) => address_of(url).ok_or_else(|| ClientError::Url(url.clone()))?,
            None if config.web.tls.is_some() => return Err(ClientError::Tls),
            None => config.web.listen.to_string(),
        };
        Ok(Some(GatewayClient { address, token }))
    }

    pub(super) async fn get(&self, path: &str) -> Result<Answer, ClientError> {
        self.ask("GET", path, &[]).await
    }

    pub(super) async fn post(&self, path: &str, body: &[u8]) -> Result<Answer, ClientError> {
        self.ask("POST", path, body).await
    }

    async fn ask(&self, method: &str, path: &str, body: &[u8]) -> Result<Answer, ClientError> {
        let address = &self.address;
        let connected = tokio::time::timeout(CONNECT_WITHIN, TcpStream::connect(address)).await;
        let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let stream = connected.map_err(|source| ClientError::Connect {
            address: address.clone(),
            source,
        })?;
        // HTTP/1.0: the answer ends with the connection, so there is nothing to put together.
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
            self.token.reveal(),
            body.len()
        );
        let spoken = tokio::time::timeout(ANSWER_WITHIN, speak(stream, head, body)).await;
        let spoken = spoken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let bytes = spoken.map_err(|source| ClientError::Answer {
            address: address.clone(),
            source,
        })?;
        parse(&bytes).ok_or_else(|| ClientError::NotOurs(address.clone()))
    }
}

async fn speak(mut stream: TcpStream, head: String, body: &[u8]) -> io::Result<Vec<u8>> {
    let sent = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body).await
    };
    // A gateway that refuses early closes before it has read all; its answer is what matters.
    let sent = sent.await;
    let mut bytes = Vec::new();
    let read = stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes).await;
    if bytes.is_empty() {
        sent?;
        read?;
    }
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(bytes).ok()? else {
        return None;
    };
    let status = response.code?;
    let length = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| {
            std::str::from_utf8(header.value)
                .ok()?
                .parse::<usize>()
                .ok()
        });
    let body = bytes.get(head..)?;
    // A cut answer is no answer.
    if length.is_some_and(|length| length != body.len()) {
        return None;
    }
    Some(Answer {
        status,
        body: body.to_vec(),
    })
}

fn read_token(file: &Path) -> Result<Secret, ClientError> {
    let failed = |source| ClientError::Token {
        path: file.to_owned(),
        source,
    };
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(failed)?;
    io::Read::read_to_string(&mut io::Read::take(opened, TOKEN_BYTES_MAX), &mut text)
        .map_err(failed)?;
    Ok(Secret::new(text.trim()))
}

fn address_of(url: &Url) -> Option<String> {
    if url.scheme() != "http" || !matches!(url.path(), "" | "/") {
        return None;
    }
    let port = url.port_or_known_default()?;
    Some(format!("{}:{port}", url.host_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_or_none() {
        let whole = b"HTTP/1.0 422 Unprocessable\r\ncontent-length: 2\r\n\r\n{}";
        let answer = parse(whole).unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (422, &b"{}"[..]));
        assert_eq!(answer.problem(), "the gateway answers 422");
        assert!(parse(b"HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\n{}").is_none());
        assert!(parse(b"SSH-2.0-x\r\n").is_none());
        let problem = br#"HTTP/1.0 403 Forbidden

{"detail":"no"}"#;
        let answer = parse(problem).unwrap();
        assert_eq!(answer.problem(), "the gateway refuses (403): no");
    }

    #[test]
    fn only_plain_addresses_are_asked() {
        let of = |url: &str| address_of(&url.parse().unwrap());
        assert_eq!(
            of("http://127.0.0.1:8080"),
            Some("127.0.0.1:8080".to_owned())
        );
        assert_eq!(of("http://[::1]:8080/"), Some("[::1]:8080".to_owned()));
        assert_eq!(of("https://127.0.0.1"), None);
        assert_eq!(of("http://127.0.0.1/api"), None);
    }
}

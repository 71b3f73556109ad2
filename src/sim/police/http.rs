//! As much of an HTTP/1.1 server (RFC 9112) as a receiver of webhooks needs, with control over every
//! byte, so that it can misbehave. Not for the gateway's own API, which is `web`.

use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Largest head of a request.
const HEAD_BYTES_MAX: usize = 16 * 1_024;
/// Largest body; envelopes have about one kilobyte.
const BODY_BYTES_MAX: usize = 256 * 1_024;
/// Most header fields.
const FIELDS_MAX: usize = 64;
/// A client has so long for a request once it has begun, and so long between requests.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// A request, read whole.
pub(super) struct Request {
    pub(super) method: String,
    fields: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl Request {
    /// The value of the header field `name`.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        let found = fields.find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// What came instead of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRequest {
    /// The client went or said nothing for too long.
    Gone,
    /// No HTTP, or more of it than we take: answer this status and close.
    Bad(u16),
}

/// A connection and what was read of the next request.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    input: BytesMut,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Connection {
        Connection {
            stream,
            input: BytesMut::new(),
        }
    }

    /// Reads the next request.
    pub(super) async fn read(&mut self) -> Result<Request, NoRequest> {
        match timeout(READ_TIMEOUT, self.read_whole()).await {
            Ok(read) => read,
            Err(_) => Err(NoRequest::Gone),
        }
    }

    async fn read_whole(&mut self) -> Result<Request, NoRequest> {
        let (mut request, body_bytes) = loop {
            if let Some(parsed) = self.parse_head()? {
                break parsed;
            }
            if self.input.len() > HEAD_BYTES_MAX {
                return Err(NoRequest::Bad(431));
            }
            self.fill().await?;
        };
        if body_bytes > BODY_BYTES_MAX {
            return Err(NoRequest::Bad(413));
        }
        while self.input.len() < body_bytes {
            self.fill().await?;
        }
        request.body = self.input.split_to(body_bytes).freeze();
        Ok(request)
    }

    async fn fill(&mut self) -> Result<(), NoRequest> {
        match self.stream.read_buf(&mut self.input).await {
            Ok(1..) => Ok(()),
            Ok(0) | Err(_) => Err(NoRequest::Gone),
        }
    }

    /// The head and the length of the body, once the head is there.
    fn parse_head(&mut self) -> Result<Option<(Request, usize)>, NoRequest> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut parsed = httparse::Request::new(&mut fields);
        let head_bytes = match parsed.parse(&self.input) {
            Ok(httparse::Status::Complete(head_bytes)) => head_bytes,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(NoRequest::Bad(400)),
        };
        let fields = parsed.headers.iter().map(|field| {
            let value = String::from_utf8_lossy(field.value).into_owned();
            (field.name.to_owned(), value)
        });
        let request = Request {
            method: parsed.method.unwrap_or_default().to_owned(),
            fields: fields.collect(),
            body: Bytes::new(),
        };
        self.input.advance(head_bytes);
        let body_bytes = match request.field("content-length") {
            Some(length) => length.trim().parse().or(Err(NoRequest::Bad(400)))?,
            None if request.field("transfer-encoding").is_some() => {
                return Err(NoRequest::Bad(411));
            }
            None => 0,
        };
        Ok(Some((request, body_bytes)))
    }

    /// Answers; false when the client is gone.
    pub(super) async fn answer(&mut self, status: u16, body: &str) -> bool {
        let phrase = phrase(status);
        let head = if status == 204 {
            // RFC 9110, 8.6: such an answer has no length.
            format!("HTTP/1.1 {status} {phrase}\r\n\r\n")
        } else {
            let length = body.len();
            format!(
                "HTTP/1.1 {status} {phrase}\r\nContent-Type: application/json\r\n\
                 Content-Length: {length}\r\n\r\n"
            )
        };
        self.write(&format!("{head}{body}")).await
    }

    /// Writes text as it is; false when the client is gone.
    pub(super) async fn write(&mut self, text: &str) -> bool {
        let write = self.stream.write_all(text.as_bytes());
        matches!(timeout(WRITE_TIMEOUT, write).await, Ok(Ok(())))
    }
}

fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        405 => "Method Not Allowed",
        411 => "Length Required",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "As Told",
    }
}

//! A small HTTP client for what the gateway shows.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

/// One answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|err| panic!("JSON expected: {err}: {}", self.text()))
    }

    /// A header as text; empty when absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// A client that waits at most 10 s for an answer.
pub(crate) fn client() -> reqwest::Client {
    // The second call of a process fails, and says only that the first has won.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .no_proxy()
        .build()
        .unwrap()
}

/// Sends `request` and reads the answer.
pub(crate) async fn send(request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
    let response = request.send().await?;
    Ok(Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: response.bytes().await?.to_vec(),
    })
}

/// `POST url` with `body`, as the holder of `token`.
pub(crate) async fn post(
    url: &str,
    token: Option<&str>,
    body: &serde_json::Value,
) -> Result<Answer, reqwest::Error> {
    let mut request = client()
        .post(url)
        .header("content-type", "application/json");
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    send(request.body(body.to_string())).await
}

/// `GET url`, with the harness' token when a gateway of the harness is there.
pub(crate) async fn get(url: &str) -> Result<Answer, reqwest::Error> {
    let request = client().get(url);
    match token_of(url) {
        Some(token) => send(request.bearer_auth(token)).await,
        None => send(request).await,
    }
}

/// `GET url` as somebody; `None`: as nobody.
pub(crate) async fn get_as(token: Option<&str>, url: &str) -> Result<Answer, reqwest::Error> {
    let request = client().get(url);
    match token {
        Some(token) => send(request.bearer_auth(token)).await,
        None => send(request).await,
    }
}

/// The harness' tokens, by the `host:port` of their gateway. Each test is a process of its own.
static TOKENS: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// Remembers the harness' token of the gateway at `web`.
pub(super) fn know(web: &str, token: &str) {
    let mut tokens = TOKENS.lock().unwrap();
    tokens.insert(web.to_owned(), token.to_owned());
}

/// The harness' token of the gateway that a URL or `host:port` leads to.
pub(crate) fn token_of(url: &str) -> Option<String> {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let web = rest.split('/').next().unwrap_or(rest);
    TOKENS.lock().unwrap().get(web).cloned()
}

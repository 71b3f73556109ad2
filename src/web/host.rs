//! Which names the gateway may be asked under.
//!
//! A page on the internet can have its own name lead to 127.0.0.1 and then read what a browser on this
//! machine gets from us (DNS rebinding). Its requests carry that name in `Host`, ours never do.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{StatusCode, Version, header};
use url::Url;

use super::problem::Problem;

/// The names. An IP address and `localhost` are always among them: nobody can make those lead elsewhere.
#[derive(Clone, Debug)]
pub struct Hosts {
    /// Lower case; that of `web.public_url`.
    public: Option<Arc<str>>,
}

impl Hosts {
    /// IP addresses, `localhost`, and the host of `public_url`.
    pub fn new(public_url: Option<&Url>) -> Hosts {
        let public = public_url.and_then(Url::host_str);
        Hosts {
            public: public.map(|host| host.to_ascii_lowercase().into()),
        }
    }

    /// Refuses a request under another name: 421, and 400 for HTTP/1.1 without a name (RFC 9112, 3.2).
    pub(super) fn check(&self, request: &Request) -> Result<(), Problem> {
        if request
            .uri()
            .authority()
            .is_some_and(|asked| !self.has(asked))
        {
            return Err(misdirected());
        }
        let mut named = request.headers().get_all(header::HOST).iter();
        let Some(host) = named.next() else {
            // What checks our health may speak HTTP/1.0; a browser always names the host.
            if request.version() < Version::HTTP_11 {
                return Ok(());
            }
            return Err(Problem::bad_request("the request has no Host header"));
        };
        let host = host.to_str().ok();
        match host.and_then(|host| host.parse::<Authority>().ok()) {
            Some(asked) if self.has(&asked) && named.next().is_none() => Ok(()),
            Some(_) | None => Err(misdirected()),
        }
    }

    fn has(&self, asked: &Authority) -> bool {
        let host = asked.host().to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host);
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        !asked.as_str().contains('@')
            && (bare.parse::<IpAddr>().is_ok()
                || host == "localhost"
                || self.public.as_deref() == Some(host))
    }
}

fn misdirected() -> Problem {
    Problem::new(
        StatusCode::MISDIRECTED_REQUEST,
        "misdirected",
        "the gateway is not known under this name: use its IP address or localhost, or set web.public_url",
    )
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn status(hosts: &Hosts, uri: &str, named: &[&str], version: Version) -> u16 {
        let mut request = Request::builder().uri(uri).version(version);
        for host in named {
            request = request.header(header::HOST, *host);
        }
        match hosts.check(&request.body(Body::empty()).unwrap()) {
            Ok(()) => 200,
            Err(problem) => problem.status(),
        }
    }

    #[test]
    fn only_addresses_localhost_and_the_public_name_are_answered() {
        let url = Url::parse("https://Gateway.example:8443/x").unwrap();
        let (none, public) = (Hosts::new(None), Hosts::new(Some(&url)));
        let one = |hosts: &Hosts, host: &str| status(hosts, "/healthz", &[host], Version::HTTP_11);
        for host in [
            "127.0.0.1",
            "127.0.0.1:8080",
            "[::1]:8080",
            "192.0.2.7",
            "localhost:8080",
            "LocalHost.",
        ] {
            assert_eq!(one(&none, host), 200, "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "gateway.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1@evil.example",
            "",
            "a b",
        ] {
            assert_eq!(one(&none, host), 421, "{host}");
        }
        assert_eq!(one(&public, "GATEWAY.example"), 200);
        assert_eq!(one(&public, "evil.example"), 421);
    }

    #[test]
    fn a_name_in_the_target_or_named_twice_does_not_get_around_it() {
        let hosts = Hosts::new(None);
        let at = |uri: &str, named: &[&str]| status(&hosts, uri, named, Version::HTTP_11);
        assert_eq!(at("http://evil.example/healthz", &["127.0.0.1"]), 421);
        assert_eq!(at("/healthz", &["127.0.0.1", "evil.example"]), 421);
        assert_eq!(at("/healthz", &[]), 400);
        assert_eq!(status(&hosts, "/healthz", &[], Version::HTTP_10), 200);
    }
}

//! What a request says of where it comes from, and how much of that is believed.
//!
//! A proxy in front of us is believed only when the configuration names its address; then the last address
//! in `X-Forwarded-For` that is no such proxy is who asks, and `X-Forwarded-Proto` says whether the browser
//! speaks TLS. From anyone else both headers are passed over.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, header};
use url::{Origin, Url};

use super::listener::Line;

/// Whom we believe, and what we are called.
#[derive(Clone, Debug, Default)]
pub struct Front {
    /// `web.public_url`: its origin is ours, too.
    pub public_url: Option<Arc<Url>>,
    /// Proxies whose word on who asks is taken.
    pub trusted_proxies: Arc<[IpAddr]>,
    /// Who may read the metrics and the details of health, besides this machine.
    pub metrics_from: Arc<[IpAddr]>,
}

/// Who asks, as far as that can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    /// From where; `None` only without a connection, in tests.
    pub(super) from: Option<IpAddr>,
    /// Does the browser speak TLS?
    pub(super) is_https: bool,
}

impl Front {
    /// Who asks over `line` with these headers.
    pub(super) fn caller(&self, line: Option<&Line>, headers: &HeaderMap) -> Caller {
        let Some(line) = line else {
            return Caller {
                from: None,
                is_https: false,
            };
        };
        let peer = line.peer.ip().to_canonical();
        if !self.trusted_proxies.contains(&peer) {
            return Caller {
                from: Some(peer),
                is_https: line.is_tls,
            };
        }
        let proto = headers.get("x-forwarded-proto");
        let proto = proto.and_then(|value| value.to_str().ok());
        Caller {
            from: Some(self.forwarded_for(headers).unwrap_or(peer)),
            is_https: line.is_tls || proto.is_some_and(|proto| proto.trim() == "https"),
        }
    }

    /// The last address that no proxy of ours has; what stands before it anyone may have written.
    fn forwarded_for(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let values = headers.get_all("x-forwarded-for").iter();
        let texts: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
        let hops = texts.iter().flat_map(|text| text.split(','));
        let hops: Vec<Option<IpAddr>> = hops
            .map(|hop| hop.trim().parse().ok().map(|ip: IpAddr| ip.to_canonical()))
            .collect();
        let last = hops
            .into_iter()
            .rev()
            .find(|hop| hop.is_none_or(|ip| !self.trusted_proxies.contains(&ip)));
        last.flatten()
    }

    /// May who asks read what is for machines that watch machines?
    pub(super) fn may_watch(&self, caller: Caller) -> bool {
        let is_named = |from: IpAddr| from.is_loopback() || self.metrics_from.contains(&from);
        caller.from.is_none_or(is_named)
    }

    /// Was the request made by a page of ours? `None`: it does not say which page made it.
    pub(super) fn is_our_page(&self, caller: Caller, headers: &HeaderMap) -> Option<bool> {
        let origin = headers.get(header::ORIGIN)?;
        let origin = origin.to_str().ok().and_then(|text| Url::parse(text).ok());
        let Some(origin) = origin.map(|url| url.origin()) else {
            // `null`: a page in a sandbox, or a file.
            return Some(false);
        };
        let is_public = self
            .public_url
            .as_ref()
            .is_some_and(|url| url.origin() == origin);
        let own = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let own = own.and_then(|host| own_origin(host, caller.is_https));
        Some(is_public || own.is_some_and(|own| own == origin))
    }
}

fn own_origin(host: &str, is_https: bool) -> Option<Origin> {
    let scheme = if is_https { "https" } else { "http" };
    Url::parse(&format!("{scheme}://{host}/"))
        .ok()
        .map(|url| url.origin())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn front() -> Front {
        Front {
            public_url: Some(Arc::new(Url::parse("https://gate.example/").unwrap())),
            trusted_proxies: ["127.0.0.1", "10.0.0.2"]
                .map(|ip| ip.parse().unwrap())
                .into(),
            metrics_from: ["10.0.0.9".parse().unwrap()].into(),
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn caller(peer: &str, pairs: &[(&'static str, &'static str)]) -> (String, bool) {
        let peer: SocketAddr = format!("{peer}:9").parse().unwrap();
        let line = Line::of_test(peer, false);
        let caller = front().caller(Some(&line), &headers(pairs));
        (caller.from.unwrap().to_string(), caller.is_https)
    }

    #[test]
    fn only_a_named_proxy_is_believed() {
        let said = [
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-proto", "https"),
        ];
        assert_eq!(
            caller("203.0.113.5", &said),
            ("203.0.113.5".to_owned(), false)
        );
        assert_eq!(caller("127.0.0.1", &said), ("192.0.2.7".to_owned(), true));
        assert_eq!(caller("127.0.0.1", &[]), ("127.0.0.1".to_owned(), false));
        let chain = [
            ("x-forwarded-for", "10.9.9.9, 192.0.2.7"),
            ("x-forwarded-for", "10.0.0.2"),
        ];
        assert_eq!(
            caller("127.0.0.1", &chain).0,
            "192.0.2.7",
            "what we know of the way"
        );
        let forged = [("x-forwarded-for", "127.0.0.1, nonsense, 10.0.0.2")];
        assert_eq!(
            caller("127.0.0.1", &forged).0,
            "127.0.0.1",
            "nobody can be told"
        );
    }

    #[test]
    fn a_page_of_ours_has_our_scheme_name_and_port() {
        let asks = |host: &'static str, origin: &'static str, is_https| {
            let caller = Caller {
                from: None,
                is_https,
            };
            front().is_our_page(caller, &headers(&[("host", host), ("origin", origin)]))
        };
        for (host, origin, is_https) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080", false),
            ("gate.example", "https://gate.example", true),
            ("127.0.0.1:8080", "https://gate.example", false),
            ("[::1]:8080", "http://[::1]:8080", false),
            ("localhost:80", "http://localhost", false),
        ] {
            assert_eq!(asks(host, origin, is_https), Some(true), "{origin}");
        }
        for (host, origin, is_https) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8081", false),
            ("127.0.0.1:8080", "https://127.0.0.1:8080", false),
            ("127.0.0.1:8443", "http://127.0.0.1:8443", true),
            ("127.0.0.1:8080", "http://evil.example", false),
            ("127.0.0.1:8080", "null", false),
            ("127.0.0.1:8080", "http://gate.example", false),
            ("evil.example\u{e9}", "http://evil.example", false),
        ] {
            assert_eq!(asks(host, origin, is_https), Some(false), "{origin}");
        }
        let caller = Caller {
            from: None,
            is_https: false,
        };
        let silent = headers(&[("host", "127.0.0.1:8080")]);
        assert_eq!(front().is_our_page(caller, &silent), None);
    }

    #[test]
    fn metrics_are_for_this_machine_and_who_is_named() {
        let may = |from: &str| {
            let from = Some(from.parse().unwrap());
            front().may_watch(Caller {
                from,
                is_https: false,
            })
        };
        assert!(may("127.0.0.1") && may("::1") && may("10.0.0.9"));
        assert!(!may("10.0.0.8"));
    }
}

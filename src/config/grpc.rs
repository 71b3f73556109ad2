//! `[grpc]`: the feed of alerts for programs of duty rooms.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::section::Section;
use super::site::listen_address;
use super::values::existing_file;
use super::{FeedRules, linkages};
use crate::feed::FeedTlsFiles;

/// Shown where an address is wrong; there is no default, without `listen` nothing is served.
const EXAMPLE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 50_052);

pub(super) fn read(top: &mut Section<'_>) -> Option<FeedRules> {
    let mut section = top.section("grpc");
    let is_wanted = section.has("listen");
    let listen = listen_address(&mut section, EXAMPLE);
    let cert_file = existing_file(&mut section, "tls_cert_file");
    let key_file = existing_file(&mut section, "tls_key_file");
    let client_ca_file = existing_file(&mut section, "client_ca_file");
    let has_tls = section.has("tls_cert_file") || section.has("tls_key_file");
    for (one, other) in [
        ("tls_cert_file", "tls_key_file"),
        ("tls_key_file", "tls_cert_file"),
        ("client_ca_file", "tls_cert_file"),
    ] {
        if section.has(one) && !section.has(other) {
            let text = format!("stands without {other} (add it)");
            section.report.problem(&section.spot(one), text);
        }
    }
    if is_wanted && !listen.ip().is_loopback() && !has_tls {
        let text = "is not loopback, and tokens and alerts would cross the network unencrypted \
                    (add tls_cert_file and tls_key_file)";
        section.report.problem(&section.spot("listen"), text);
    }
    if !is_wanted && section.is_present() {
        let text = "is missing: nothing is served (write \"127.0.0.1:50052\")";
        section.report.warning(&section.spot("listen"), text);
    }
    let include = linkages::include(&mut section);
    section.finish();
    let tls = match (cert_file, key_file) {
        (Some(cert_file), Some(key_file)) => Some(FeedTlsFiles {
            cert_file,
            key_file,
            client_ca_file,
        }),
        (Some(_), None) | (None, Some(_) | None) => None,
    };
    is_wanted.then_some(FeedRules {
        listen,
        tls,
        include,
    })
}

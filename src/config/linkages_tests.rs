//! Receivers of every kind, and the feed.

use super::tests::{MINIMAL, Site};
use super::*;

#[test]
fn linkages_of_every_kind_and_the_feed_are_read() {
    let site = Site::new();
    site.secret("token", "open sesame");
    for name in ["ca.pem", "cert.pem", "key.pem"] {
        site.secret(name, "");
    }
    let text = format!(
        r#"{MINIMAL}
[grpc]
listen = "0.0.0.0:50052"
tls_cert_file = "cert.pem"
tls_key_file = "key.pem"
client_ca_file = "ca.pem"
include = ["dwelling"]
[[linkage]]
id = "police"
kind = "grpc"
url = "https://police.example:50051"
token_file = "token"
ca_file = "ca.pem"
cert_file = "cert.pem"
key_file = "key.pem"
timeout_s = 3
[[linkage]]
id = "local"
kind = "mqtt"
url = "mqtts://broker.example"
username = "gateway"
password_file = "token"
[[linkage]]
id = "other"
kind = "mqtt"
url = "mqtt://127.0.0.1:1884"
topic = "a/b"
client_id = "c"
"#
    );
    let config = site.load(&text).unwrap_or_else(|err| panic!("{err}"));
    let keys: Vec<&str> = config.warnings.iter().map(Problem::text).collect();
    assert!(keys.iter().all(|text| text.contains("roster")), "{keys:?}");
    let grpc = config.grpc.clone().unwrap();
    assert_eq!(grpc.listen.port(), 50_052);
    assert!(grpc.tls.unwrap().client_ca_file.is_some());
    let [police, local, other] = config.linkages.as_slice() else {
        panic!("three linkages")
    };
    let (Receiver::Grpc(police), Receiver::Mqtt(local), Receiver::Mqtt(other)) =
        (&police.receiver, &local.receiver, &other.receiver)
    else {
        panic!("a grpc and two mqtt linkages")
    };
    assert_eq!(police.compound.as_str(), "majian-1");
    assert_eq!(police.total_timeout, Duration::from_secs(3));
    assert_eq!(police.connect_timeout, Duration::from_secs(3));
    assert!(police.token.is_some() && police.identity.is_some());
    assert_eq!(local.topic, "stairgate/majian-1/alerts");
    assert_eq!(local.client_id, "stairgate-majian-1-local");
    assert!(local.login.is_some() && other.login.is_none());
    assert_eq!(
        (other.topic.as_str(), other.client_id.as_str()),
        ("a/b", "c")
    );
    assert!(!format!("{config:?}").contains("sesame"));
}

#[test]
fn mistakes_in_grpc_and_mqtt_are_told_all_at_once() {
    let site = Site::new();
    site.secret("token", "open sesame");
    let text = format!(
        r#"{MINIMAL}
[grpc]
listen = "0.0.0.0:50052"
client_ca_file = "no-ca.pem"
include = ["faces"]
[[linkage]]
id = "a"
kind = "grpc"
url = "police.example"
[[linkage]]
id = "b"
kind = "grpc"
url = "http://police.example:50051"
token = "open sesame"
cert_file = "no-cert.pem"
secret_file = "token"
[[linkage]]
id = "c"
kind = "mqtt"
url = "http://broker.example"
topic = "alerts/#"
client_id = ""
username = "gateway"
[[linkage]]
id = "d"
kind = "viid"
url = "https://x.example/"
secret_file = "token"
"#
    );
    insta::assert_snapshot!("bad_receivers", site.refused(&text));
    let text = format!("{MINIMAL}\n[grpc]\n");
    insta::assert_snapshot!("feed_without_an_address", site.warned(&text));
}

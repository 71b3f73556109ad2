//! The signature against values computed elsewhere, and what each answer means.

use super::*;
use crate::error::Class;
use crate::linkage::{CONNECT_TIMEOUT, TOTAL_TIMEOUT};

#[test]
fn the_signature_is_that_of_any_other_hmac() {
    // printf '1795307415.{"id":"1"}' | openssl dgst -sha256 -hmac open-sesame
    let secret = Secret::new("open-sesame");
    assert_eq!(
        signature(&secret, "1795307415", br#"{"id":"1"}"#),
        "sha256=31ac7642a5c7e0873d4289c99283c2a6712b5c672dcfde2e36cbdb11daab5e37"
    );
}

fn answer(status: u16, body: &'static str) -> Result<Receipt, DeliveryError> {
    let status = StatusCode::from_u16(status).unwrap();
    judge(status, None, Ok(Bytes::from_static(body.as_bytes())))
}

#[test]
fn a_success_is_a_receipt_whatever_the_body() {
    for body in ["", "ok", "[1]", "{\"accepted\":true}", "{\"code\":500}"] {
        assert_eq!(answer(204, body).unwrap().text, "204", "{body}");
    }
    let receipt = answer(200, r#"{"reference":"JQ-2026-17"}"#).unwrap();
    assert_eq!(receipt.text, "200 JQ-2026-17");
}

#[test]
fn not_accepted_is_tried_again_unless_the_receiver_says_not_to() {
    let err = answer(200, r#"{"accepted":false,"reason":"queue full"}"#).unwrap_err();
    assert_eq!(err.class(), Class::Transient);
    assert!(err.to_string().ends_with("200 OK: queue full"), "{err}");
    let err = answer(200, r#"{"accepted":false,"retry":false}"#).unwrap_err();
    assert_eq!(err.class(), Class::Permanent);
}

#[test]
fn only_4xx_is_for_good_and_not_all_of_it() {
    for (status, class) in [
        (400, Class::Permanent),
        (401, Class::Permanent),
        (404, Class::Permanent),
        (422, Class::Permanent),
        (408, Class::Transient),
        (429, Class::Transient),
        (301, Class::Transient),
        (500, Class::Transient),
        (503, Class::Transient),
    ] {
        assert_eq!(answer(status, "").unwrap_err().class(), class, "{status}");
    }
}

#[test]
fn a_success_that_breaks_off_is_no_receipt_and_a_refusal_that_does_is_one() {
    let broken = || Err(DeliveryError::TimedOut(Duration::from_secs(10)));
    let err = judge(StatusCode::OK, None, broken()).unwrap_err();
    assert_eq!(err.class(), Class::Transient);
    let err = judge(StatusCode::BAD_REQUEST, None, broken()).unwrap_err();
    assert_eq!(err.class(), Class::Permanent);
}

#[test]
fn what_a_receiver_says_cannot_forge_lines_or_fill_the_store() {
    let err = answer(400, "no\r\nERROR forged \u{1b}[31m").unwrap_err();
    assert!(!err.to_string().contains(['\r', '\n', '\u{1b}']), "{err:?}");
    let long: &'static str = Box::leak("x".repeat(10_000).into_boxed_str());
    assert!(answer(400, long).unwrap_err().to_string().len() < 300);
}

#[test]
fn retry_after_is_respected_within_the_cap() {
    let wait = |text: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, text.parse().unwrap());
        retry_after(&headers)
    };
    assert_eq!(wait("7"), Some(Duration::from_secs(7)));
    assert_eq!(wait("86400"), Some(RETRY_AFTER_MAX));
    assert_eq!(wait("Wed, 21 Oct 2026 07:28:00 GMT"), None);
    assert_eq!(wait("-1"), None);
}

fn options(url: &str) -> WebhookOptions {
    WebhookOptions {
        id: LinkageId::new("duty-room").unwrap(),
        url: url.parse().unwrap(),
        secret: Secret::new("open-sesame"),
        ca_file: None,
        connect_timeout: CONNECT_TIMEOUT,
        total_timeout: TOTAL_TIMEOUT,
    }
}

#[test]
fn a_useless_configuration_is_refused_by_name() {
    let err = Webhook::new(options("ftp://x/"), Clock::system()).unwrap_err();
    assert!(err.to_string().contains("duty-room"), "{err}");
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("ca.pem");
    std::fs::write(&empty, "nothing").unwrap();
    for path in [empty, folder.path().join("missing.pem")] {
        let mut options = options("https://x/");
        options.ca_file = Some(path.clone());
        let err = Webhook::new(options, Clock::system()).unwrap_err();
        assert!(err.to_string().contains(path.to_str().unwrap()), "{err}");
    }
}

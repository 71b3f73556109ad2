//! What each status means, and what a useless configuration is told.

use super::*;
use crate::error::Class;
use crate::linkage::{CONNECT_TIMEOUT, TOTAL_TIMEOUT};

fn judged(status: &Status) -> Class {
    judge(status, TOTAL_TIMEOUT).class()
}

#[test]
fn only_what_is_wrong_with_the_message_is_refused_for_good() {
    for code in (1..=16).map(Code::from_i32) {
        let for_good = matches!(
            code,
            Code::InvalidArgument
                | Code::NotFound
                | Code::FailedPrecondition
                | Code::OutOfRange
                | Code::PermissionDenied
        );
        let class = if for_good {
            Class::Permanent
        } else {
            Class::Transient
        };
        assert_eq!(judged(&Status::new(code, "")), class, "{code:?}");
    }
}

#[test]
fn a_broken_line_is_no_answer_whatever_status_stands_for_it() {
    let mut status = Status::invalid_argument("h2 protocol error");
    status.set_source(std::sync::Arc::new(std::io::Error::other("reset")));
    let err = judge(&status, TOTAL_TIMEOUT);
    assert!(matches!(err, DeliveryError::Broken(_)), "{err:?}");
}

#[test]
fn what_a_platform_says_cannot_forge_lines_or_fill_the_store() {
    let text = format!("no\r\nERROR forged \u{1b}[31m{}", "x".repeat(10_000));
    let err = judge(&Status::invalid_argument(text), TOTAL_TIMEOUT).to_string();
    assert!(
        !err.contains(['\r', '\n', '\u{1b}']) && err.len() < 300,
        "{err}"
    );
    assert!(receipt(&"r".repeat(1_000)).text.len() <= PEER_TEXT_CHARS_MAX);
}

#[test]
fn pushback_is_respected_within_the_cap() {
    let wait = |text: &str| {
        let mut metadata = MetadataMap::new();
        metadata.insert("grpc-retry-pushback-ms", text.parse().unwrap());
        pushback(&metadata)
    };
    assert_eq!(wait("1500"), Some(Duration::from_millis(1_500)));
    assert_eq!(wait("86400000"), Some(RETRY_AFTER_MAX));
    assert_eq!((wait("-1"), wait("soon")), (None, None));
}

fn options(url: &str) -> GrpcOptions {
    GrpcOptions {
        id: LinkageId::new("police").unwrap(),
        url: url.parse().unwrap(),
        compound: CompoundId::new("majian-1").unwrap(),
        token: Some(Secret::new("open-sesame")),
        ca_file: None,
        identity: None,
        connect_timeout: CONNECT_TIMEOUT,
        total_timeout: TOTAL_TIMEOUT,
    }
}

#[tokio::test]
async fn a_useless_configuration_is_refused_by_name_and_a_token_is_not_shown() {
    let err = Grpc::new(options("ftp://x/")).unwrap_err();
    assert!(err.to_string().contains("police"), "{err}");
    let mut bad = options("https://x/");
    bad.token = Some(Secret::new("open\nsesame"));
    let err = Grpc::new(bad).unwrap_err();
    assert!(!err.to_string().contains("sesame"), "{err}");
    let mut bad = options("https://x/");
    bad.ca_file = Some("/no/such/ca.pem".into());
    let err = Grpc::new(bad).unwrap_err();
    assert!(err.to_string().contains("/no/such/ca.pem"), "{err}");
    let good = Grpc::new(options("http://[::1]:50051/")).unwrap();
    assert!(!format!("{good:?}").contains("sesame"));
}

//! The simulated receiver before the real webhook: what it takes, and how each fault looks.

use std::collections::BTreeMap;
use std::time::Duration;

use stairgate::domain::alert::{Alert, AlertKind};
use stairgate::domain::id::{AlertId, CompoundId, LinkageId};
use stairgate::domain::place::Place;
use stairgate::domain::secret::Secret;
use stairgate::error::Class;
use stairgate::linkage::Linkage as _;
use stairgate::linkage::envelope::{AlertEnvelope, Include, SiteFacts};
use stairgate::linkage::webhook::{Webhook, WebhookOptions};
use stairgate::sim::police::{PoliceFault, SimPolice, SimPoliceOptions};
use stairgate::supervise::Supervisor;
use stairgate::time::{Clock, TimeZone};

use crate::harness::{eventually, http};

const WITHIN: Duration = Duration::from_secs(10);

async fn police() -> SimPolice {
    let options = SimPoliceOptions {
        listen: ([127, 0, 0, 1], 0).into(),
        grpc_listen: None,
        secret: Secret::new("fixture-secret"),
    };
    SimPolice::start(options, Clock::system(), &Supervisor::new())
        .await
        .unwrap()
}

fn webhook(police: &SimPolice, secret: &str) -> Webhook {
    let options = WebhookOptions {
        id: LinkageId::new("duty-room").unwrap(),
        url: police.url().clone(),
        secret: Secret::new(secret),
        ca_file: None,
        connect_timeout: Duration::from_secs(1),
        total_timeout: Duration::from_millis(500),
    };
    Webhook::new(options, Clock::system()).unwrap()
}

fn alert(revision: u32) -> AlertEnvelope {
    let alert = Alert {
        id: AlertId::derive(&[b"a"]),
        revision,
        kind: AlertKind::DoorForced,
        raised_at: Clock::system().now(),
        place: Place::Compound,
        door: None,
        camera: None,
        entry: None,
        count: 1,
        detail: String::new(),
        ended_at: None,
        dwelling: None,
    };
    let facts = SiteFacts {
        compound: CompoundId::new("c1").unwrap(),
        name: "c1".to_owned(),
        stairwells: BTreeMap::new(),
        time_zone: TimeZone::utc(),
        public_url: None,
    };
    AlertEnvelope::new(&alert, None, &facts, &Include::default())
}

#[tokio::test]
async fn a_signed_alert_is_taken_once_and_another_is_refused() {
    let police = police().await;
    let mut told = police.subscribe();
    let webhook = webhook(&police, "fixture-secret");
    webhook.probe().await.unwrap();
    for revision in [1, 1, 2] {
        let receipt = webhook.deliver(&alert(revision)).await.unwrap();
        assert!(receipt.text.starts_with("200 P"), "{receipt:?}");
    }
    let messages = police.messages();
    let seen: Vec<_> = messages.iter().map(|m| (m.revision, m.is_repeat)).collect();
    assert_eq!(seen, [(1, false), (1, true), (2, false)]);
    assert!(
        messages
            .iter()
            .all(|m| m.kind == "door-forced" && m.is_taken)
    );
    assert!(messages.iter().all(|m| m.delay() < WITHIN));
    assert_eq!(told.recv().await.unwrap(), messages[0]);

    let stranger = self::webhook(&police, "another-secret");
    let err = stranger.deliver(&alert(1)).await.unwrap_err();
    assert_eq!(err.class(), Class::Permanent);
    assert!(err.to_string().contains("wrong signature"), "{err}");
    let page = http::get(police.url().as_str()).await.unwrap();
    assert_eq!(page.status, 405);
    assert_eq!((police.messages().len(), police.n_requests()), (3, (4, 1)));
    police.stop().await.unwrap();
}

#[tokio::test]
async fn each_fault_is_felt_and_its_end_too() {
    let police = police().await;
    let webhook = webhook(&police, "fixture-secret");
    let slow = PoliceFault::Slow { by: WITHIN };
    for (fault, class) in [
        (PoliceFault::Refuse { status: 503 }, Class::Transient),
        (PoliceFault::Refuse { status: 422 }, Class::Permanent),
        (PoliceFault::Decline { may_retry: true }, Class::Transient),
        (PoliceFault::Decline { may_retry: false }, Class::Permanent),
        (slow, Class::Transient),
        (PoliceFault::Hang, Class::Transient),
        (PoliceFault::Close, Class::Transient),
        (PoliceFault::Truncate, Class::Transient),
        (PoliceFault::Down, Class::Transient),
    ] {
        police.set_fault(fault);
        let (host, port) = (
            police.url().host_str().unwrap(),
            police.url().port().unwrap(),
        );
        if fault == PoliceFault::Down {
            eventually("nobody listens", WITHIN, || {
                std::net::TcpStream::connect((host, port)).is_err()
            })
            .await;
        }
        let err = webhook.deliver(&alert(1)).await.unwrap_err();
        assert_eq!(err.class(), class, "{fault:?}: {err}");
    }
    police.set_fault(PoliceFault::Clear);
    let back = async || webhook.deliver(&alert(2)).await;
    crate::harness::wait::eventually_ok("it listens again", WITHIN, back).await;
    let messages = police.messages();
    // Slow and truncated answers hide that the message was taken.
    let taken: Vec<u32> = messages
        .iter()
        .filter(|m| m.is_taken)
        .map(|m| m.revision)
        .collect();
    assert_eq!(taken, [1, 1, 2]);
    assert!(messages.last().is_some_and(|m| !m.is_repeat));
}

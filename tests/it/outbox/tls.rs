//! A receiver whose TLS breaks and holds again: everything waits for it, and nobody else does.

use std::sync::Arc;
use std::time::Duration;

use stairgate::domain::alert::{Alert, AlertKind};
use stairgate::linkage::webhook::Webhook;
use stairgate::time::Clock;
use tokio::time::Instant;

use super::{Bed, SOON, arrive, assert_in_order, pick, setup, setup_of};
use crate::harness::{Logs, eventually, temp_dir, tls};
use crate::linkage::receiver::Receiver;
use crate::linkage::{alert, webhook_options};

const KINDS: [AlertKind; 3] = [
    AlertKind::Duress,
    AlertKind::UnknownCard,
    AlertKind::DoorHeld,
];

fn alerts(first: u64, clock: &Clock) -> Vec<Alert> {
    (first..first + 40)
        .map(|n| {
            alert(
                n,
                pick(&KINDS, n),
                pick(&["a", "b", "c"], n / 3),
                clock.now(),
            )
        })
        .collect()
}

/// From its next life on it shows this certificate.
async fn shows(receiver: &mut Receiver, files: &tls::TlsFiles) {
    receiver.vanish().await;
    receiver.present(files);
    receiver.come_back().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_whose_tls_breaks_gets_everything_when_it_holds_again() {
    let mut logs = Logs::capture();
    logs.expect("linkage is down");
    let (dir, good_dir, bad_dir) = (temp_dir(), temp_dir(), temp_dir());
    let (good, bad) = (tls::make(good_dir.path()), tls::make(bad_dir.path()));
    let (mut police, calm) = (Receiver::start().await, Receiver::start().await);
    shows(&mut police, &good).await;
    let mut options = webhook_options("police", police.url());
    options.ca_file = Some(good.ca.clone());
    let linkage = Webhook::new(options, Clock::system()).unwrap();
    let setups = vec![setup_of(Arc::new(linkage)), setup("calm", &calm)];
    let bed = Bed::start(dir.path(), setups);

    let mut all = alerts(0, &bed.clock);
    bed.raise(all.clone(), false).await;
    arrive(&police, &all, SOON).await;
    for turn in 1..=2 {
        // Another authority's certificate, as after a mistaken renewal.
        shows(&mut police, &bad).await;
        let more = alerts(turn * 1_000, &bed.clock);
        for chunk in more.chunks(5) {
            bed.raise(chunk.to_vec(), false).await;
            let raised = Instant::now();
            arrive(&calm, chunk, SOON).await;
            let waited = raised.elapsed();
            assert!(
                waited < Duration::from_secs(1),
                "the calm one waited {waited:?}"
            );
        }
        let says_why = || bed.health("police").reason.contains("certificate");
        eventually("the health says why", SOON, says_why).await;
        assert!(
            !police.knows(&[more[0].id.to_string()]),
            "nothing leaves unsealed"
        );
        shows(&mut police, &good).await;
        all.extend(more);
        arrive(&police, &all, SOON).await;
    }
    assert_in_order(&police.taken(), &all);
    assert_in_order(&calm.taken(), &all);
    bed.assert_sound();
    bed.stop().await;
}

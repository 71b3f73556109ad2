//! What every kind of linkage promises, whatever it speaks: one suite, run against each.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use stairgate::error::Class;
use stairgate::linkage::{AlertEnvelope, Linkage};
use tokio::time::Instant;

use super::envelope;

/// How the peer of a linkage under test behaves; each kind has its own way to do these.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum PeerManner {
    /// Takes everything.
    Takes,
    /// Refuses this message for good.
    Refuses,
    /// Is not ready, try later.
    NotReady,
    /// Takes it but never answers.
    Hangs,
    /// Takes it and breaks off in the middle of the answer.
    BreaksOff,
}

/// The peer of a linkage under test.
pub(crate) trait Peer {
    /// A linkage to it whose waits are bounded by a second.
    fn linkage(&self) -> Arc<dyn Linkage>;
    fn behave(&self, manner: PeerManner);
    /// Ids and revisions that it took, each once.
    fn taken(&self) -> Vec<(String, u64)>;
    fn vanish(&mut self) -> impl Future<Output = ()>;
    fn come_back(&mut self) -> impl Future<Output = ()>;
}

/// Longest that any call may take, where the linkage's own waits are a second.
const BOUND: Duration = Duration::from_secs(5);

/// Runs the whole suite against `peer`.
pub(crate) async fn suite(mut peer: impl Peer) {
    let linkage = peer.linkage();
    assert!(!linkage.kind().is_empty());
    linkage.probe().await.unwrap();

    takes_with_a_receipt(&peer, &linkage).await;
    recognises_a_repeat(&peer, &linkage).await;
    takes_many_at_once(&peer, &linkage).await;
    tells_for_good_from_for_now(&peer, &linkage).await;
    bounds_its_waits(&peer, &linkage).await;

    peer.behave(PeerManner::Takes);
    peer.vanish().await;
    let err = linkage.deliver(&envelope(60, 1)).await.unwrap_err();
    assert_eq!(
        (err.class(), err.is_unreachable()),
        (Class::Transient, true),
        "{err:?}"
    );
    linkage.probe().await.unwrap_err();
    assert!(!peer.taken().contains(&named(&envelope(60, 1))));
    peer.come_back().await;
    linkage.probe().await.unwrap();
    linkage.deliver(&envelope(60, 1)).await.unwrap();
    assert!(peer.taken().contains(&named(&envelope(60, 1))));
}

fn named(envelope: &AlertEnvelope) -> (String, u64) {
    (envelope.id.to_string(), u64::from(envelope.revision))
}

async fn takes_with_a_receipt(peer: &impl Peer, linkage: &Arc<dyn Linkage>) {
    peer.behave(PeerManner::Takes);
    let receipt = linkage.deliver(&envelope(1, 1)).await.unwrap();
    assert!(!receipt.text.is_empty());
    assert_eq!(peer.taken(), [named(&envelope(1, 1))]);
}

async fn recognises_a_repeat(peer: &impl Peer, linkage: &Arc<dyn Linkage>) {
    linkage.deliver(&envelope(1, 1)).await.unwrap();
    linkage.deliver(&envelope(1, 2)).await.unwrap();
    let both = [named(&envelope(1, 1)), named(&envelope(1, 2))];
    assert_eq!(peer.taken(), both);
}

async fn takes_many_at_once(peer: &impl Peer, linkage: &Arc<dyn Linkage>) {
    let many: Vec<AlertEnvelope> = (10..42).map(|n| envelope(n, 1)).collect();
    let outcomes = join_all(many.iter().map(|one| linkage.deliver(one))).await;
    for (outcome, one) in outcomes.into_iter().zip(&many) {
        outcome.unwrap();
        assert!(peer.taken().contains(&named(one)));
    }
}

async fn tells_for_good_from_for_now(peer: &impl Peer, linkage: &Arc<dyn Linkage>) {
    let n_before = peer.taken().len();
    for (manner, class) in [
        (PeerManner::Refuses, Class::Permanent),
        (PeerManner::NotReady, Class::Transient),
    ] {
        peer.behave(manner);
        let err = linkage.deliver(&envelope(50, 1)).await.unwrap_err();
        assert_eq!(
            (err.class(), err.is_unreachable()),
            (class, false),
            "{manner:?}: {err:?}"
        );
    }
    assert_eq!(peer.taken().len(), n_before);
}

async fn bounds_its_waits(peer: &impl Peer, linkage: &Arc<dyn Linkage>) {
    for (n, manner) in [(51, PeerManner::Hangs), (52, PeerManner::BreaksOff)] {
        peer.behave(manner);
        let started = Instant::now();
        let err = linkage.deliver(&envelope(n, 1)).await.unwrap_err();
        assert_eq!(err.class(), Class::Transient, "{manner:?}: {err:?}");
        assert!(
            started.elapsed() < BOUND,
            "{manner:?} took {:?}",
            started.elapsed()
        );
        // It has it all the same: the repeat must change nothing.
        peer.behave(PeerManner::Takes);
        linkage.deliver(&envelope(n, 1)).await.unwrap();
        let of_it = |taken: &&(String, u64)| **taken == named(&envelope(n, 1));
        assert_eq!(peer.taken().iter().filter(of_it).count(), 1);
    }
}

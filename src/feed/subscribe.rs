//! `Subscribe`: the feed from a cursor on, then live.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep, timeout};
use tonic::Status;
use tracing::{Span, debug};

use super::caller::Caller;
use super::{READERS, Service, internal};
use crate::domain::alert::AlertKind;
use crate::linkage::grpc::wire;
use crate::outbox::FeedPage;
use crate::supervise::blocking;

/// Records that wait for a subscriber in memory; the others wait in the store.
const RECORDS_AHEAD_MAX: usize = 32;
/// A subscriber that takes nothing for so long is let go; it comes back with its cursor.
const UNREAD_MAX: Duration = Duration::from_secs(120);
/// The token is looked at again so often, and the feed even when nobody rings.
const LOOK_PERIOD: Duration = Duration::from_secs(2);
/// Words of kinds in a request, at most.
const KINDS_MAX: usize = 64;

type Sender = mpsc::Sender<Result<wire::AlertRecord, Status>>;

/// Starts a subscription.
///
/// # Errors
/// `INVALID_ARGUMENT`, `OUT_OF_RANGE`, `RESOURCE_EXHAUSTED`, and `INTERNAL` of the store.
pub(super) async fn open(
    service: &Service,
    caller: Caller,
    request: wire::SubscribeRequest,
) -> Result<BoxStream<'static, Result<wire::AlertRecord, Status>>, Status> {
    let kinds = kinds(&request.kinds)?;
    let Ok(place) = std::sync::Arc::clone(&service.0.subscribers).try_acquire_owned() else {
        return Err(Status::resource_exhausted("too many subscribers"));
    };
    let after = start(service, &request).await?;
    let (records, stream) = mpsc::channel(RECORDS_AHEAD_MAX);
    let subscription = Subscription {
        service: service.clone(),
        caller,
        kinds,
        after,
        records,
        _place: place,
    };
    let supervisor = &service.0.base.supervisor;
    supervisor.spawn("alert-subscriber", Span::current(), subscription.run());
    Ok(stream::unfold(stream, async |mut stream| {
        let record = stream.recv().await?;
        Some((record, stream))
    })
    .boxed())
}

/// The kinds asked for; `None`: every kind.
fn kinds(words: &[String]) -> Result<Option<BTreeSet<AlertKind>>, Status> {
    if words.len() > KINDS_MAX {
        return Err(Status::invalid_argument("kinds: at most 64"));
    }
    let mut kinds = BTreeSet::new();
    for word in words {
        let Some(kind) = AlertKind::from_word(word) else {
            let known = AlertKind::ALL.map(AlertKind::as_str).join(", ");
            return Err(Status::invalid_argument(format!(
                "kinds: known are {known}"
            )));
        };
        kinds.insert(kind);
    }
    Ok((!kinds.is_empty()).then_some(kinds))
}

/// After which step the subscription begins.
async fn start(service: &Service, request: &wire::SubscribeRequest) -> Result<u64, Status> {
    let outbox = service.0.base.outbox.clone();
    let bounds = blocking("feed bounds", move || outbox.feed_bounds()).await;
    let bounds = bounds
        .map_err(|err| internal("subscribe", &err))?
        .map_err(|err| internal("subscribe", &err))?;
    let cursor = request.after_cursor.as_str();
    if cursor.is_empty() {
        return Ok(if request.from_now {
            bounds.newest
        } else {
            bounds.pruned_to
        });
    }
    let Ok(step) = cursor.parse::<u64>() else {
        return Err(Status::invalid_argument(
            "after_cursor: not a cursor of ours",
        ));
    };
    if !bounds.has_all_after(step) {
        return Err(Status::out_of_range(
            "after_cursor: older than what is kept, or of another store; begin with an empty one",
        ));
    }
    Ok(step)
}

struct Subscription {
    service: Service,
    caller: Caller,
    kinds: Option<BTreeSet<AlertKind>>,
    /// The last step worked off.
    after: u64,
    records: Sender,
    _place: OwnedSemaphorePermit,
}

impl Subscription {
    /// Sends until the reader goes, may read no more, or the gateway stops.
    async fn run(mut self) {
        let stop = self.service.0.base.supervisor.token();
        let records = self.records.clone();
        let status = tokio::select! {
            biased;
            () = stop.cancelled() => Some(Status::unavailable("the gateway stops; come back")),
            () = records.closed() => None,
            status = self.follow() => status,
        };
        if let Some(status) = status {
            debug!(status = ?status.code(), "subscription ends");
            // A full channel ends without a word; the reader comes back all the same.
            drop(records.try_send(Err(status)));
        }
    }

    async fn follow(&mut self) -> Option<Status> {
        let mut changes = self.service.0.base.outbox.changes();
        let mut looked_at = Instant::now();
        loop {
            changes.mark_unchanged();
            match self.catch_up().await {
                Ok(true) => {}
                Ok(false) => return None,
                Err(status) => return Some(status),
            }
            tokio::select! {
                // The sender lives as long as the outbox, which outlives us.
                Ok(()) = changes.changed() => {}
                () = sleep(LOOK_PERIOD) => {}
            }
            if looked_at.elapsed() >= LOOK_PERIOD {
                looked_at = Instant::now();
                match self.caller.again() {
                    Ok(caller) => self.caller = caller,
                    Err(status) => return Some(status),
                }
                if let Err(status) = self.caller.require(&READERS) {
                    return Some(status);
                }
            }
        }
    }

    /// Sends what there is; `false` when the reader has gone or takes nothing.
    async fn catch_up(&mut self) -> Result<bool, Status> {
        loop {
            let (records, page) = self.read().await?;
            for record in records {
                match timeout(UNREAD_MAX, self.records.send(Ok(record))).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) | Err(_) => return Ok(false),
                }
            }
            self.after = page.read_to;
            if page.is_end {
                return Ok(true);
            }
        }
    }

    /// The next records, and the page they come from.
    async fn read(&self) -> Result<(Vec<wire::AlertRecord>, FeedPage), Status> {
        let inner = &self.service.0;
        let turn = inner.readers.acquire().await;
        let turn = turn.map_err(|err| internal("subscribe", &err))?;
        let (outbox, include) = (inner.base.outbox.clone(), inner.base.include.clone());
        let (after, kinds) = (self.after, self.kinds.clone());
        let work = move || {
            let page = outbox.feed_after(after)?;
            let mut records = Vec::with_capacity(page.records.len());
            for record in &page.records {
                let kind = record.alert.kind;
                if kinds.as_ref().is_some_and(|kinds| !kinds.contains(&kind)) {
                    continue;
                }
                let envelope = outbox.envelope(&record.alert, &include)?;
                records.push(wire::AlertRecord {
                    cursor: record.step.to_string(),
                    alert: Some((&envelope).into()),
                    recorded_at_unix_ms: record.at.unix_ms(),
                });
            }
            Ok((records, page))
        };
        let read = blocking("feed page", work).await;
        drop(turn);
        read.map_err(|err| internal("subscribe", &err))?
            .map_err(|err: crate::store::StoreError| internal("subscribe", &err))
    }
}

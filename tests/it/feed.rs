//! The alert feed: subscribers that resume, are slow, or may not; acknowledgements; clips.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use stairgate::account::{self, Accounts};
use stairgate::case::{Cases, CasesBase};
use stairgate::clip::{ClipShelf, ShelfOptions};
use stairgate::domain::alert::{Alert, AlertKind};
use stairgate::domain::case::CaseState;
use stairgate::domain::role::{ActorName, Role};
use stairgate::feed::{Feed, FeedBase, FeedTlsFiles};
use stairgate::linkage::Include;
use stairgate::linkage::grpc::wire;
use stairgate::linkage::grpc::wire::alert_feed_client::AlertFeedClient;
use stairgate::outbox::{self, FloodOptions, Outbox, OutboxBase, OutboxOptions};
use stairgate::store::{Store, StoreOptions, tables, verify};
use stairgate::supervise::Supervisor;
use stairgate::telemetry::HealthBoard;
use stairgate::time::{Clock, TimeZone};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tracing::Span;

use crate::harness::{Logs, eventually, temp_dir, tls};
use crate::linkage::{alert, facts};

/// Long enough for what takes some milliseconds on a busy machine.
const SOON: Duration = Duration::from_secs(10);
/// The same for a thousand at once, in a debug build beside other tests.
const MANY_SOON: Duration = Duration::from_secs(100);

/// A store with an outbox, and the feed over it.
struct Bed {
    store: Store,
    outbox: Outbox,
    cases: Cases,
    clock: Clock,
    supervisor: Supervisor,
    addr: SocketAddr,
}

impl Bed {
    async fn start(dir: &Path, tls: Option<&FeedTlsFiles>) -> Bed {
        let supervisor = Supervisor::new();
        let clock = Clock::simulated(Clock::system().now());
        let mut registry = stairgate::telemetry::registry();
        let path = dir.join("store");
        let store =
            Store::open(&StoreOptions { path }, &supervisor.group(), &mut registry).unwrap();
        let base = OutboxBase {
            store: store.clone(),
            clock: clock.clone(),
            supervisor: supervisor.clone(),
            board: HealthBoard::new(clock.clone()),
        };
        let options = OutboxOptions {
            flood: FloodOptions {
                window: Duration::ZERO,
                ..FloodOptions::default()
            },
            ..OutboxOptions::default()
        };
        let (outbox, _) = Outbox::start(base, options, Vec::new(), facts(), &mut registry).unwrap();
        let cases_base = CasesBase {
            store: store.clone(),
            clock: clock.clone(),
            outbox: outbox.clone(),
            pictures: dir.join("pictures"),
            zone: TimeZone::utc(),
        };
        let cases = Cases::new(cases_base, &mut registry);
        let shelf = ClipShelf::new(dir.join("footage"), ShelfOptions::default());
        let base = FeedBase {
            store: store.clone(),
            outbox: outbox.clone(),
            cases: cases.clone(),
            shelf: Arc::new(shelf),
            accounts: Accounts::at(&dir.join("accounts.json")),
            clock: clock.clone(),
            include: Include::new(),
            supervisor: supervisor.group(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let served = Feed::new(base, tls).unwrap().serve(listener);
        supervisor.vital("feed", Span::none(), served);
        Bed {
            store,
            outbox,
            cases,
            clock,
            supervisor,
            addr,
        }
    }

    async fn stop(self) {
        let findings = verify(&self.store).unwrap();
        assert!(findings.is_empty(), "{findings:?}");
        self.outbox.stop().await;
        self.supervisor.shutdown(SOON).await.unwrap();
        self.store.close().await;
    }

    async fn raise(&self, alerts: Vec<Alert>) {
        let (policy, now) = (self.outbox.raise_policy(), self.clock.now());
        let work = move |txn: &mut stairgate::store::Txn<'_>| {
            for alert in &alerts {
                outbox::raise(txn, alert, &policy, false, now)?;
            }
            Ok(())
        };
        self.store.write(work).await.unwrap();
        self.outbox.wake();
    }

    async fn end(&self, alert: &Alert) {
        let (id, now) = (alert.id, self.clock.now());
        let change = outbox::Change::Ended { at: now };
        let work = move |txn: &mut stairgate::store::Txn<'_>| outbox::revise(txn, id, change, now);
        assert!(self.store.write(work).await.unwrap());
        self.outbox.wake();
    }

    fn alerts(&self, numbers: std::ops::Range<u64>) -> Vec<Alert> {
        let now = self.clock.now();
        let one = |n| alert(n, AlertKind::UnknownCard, &format!("d{}", n % 7), now);
        numbers.map(one).collect()
    }

    async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.addr)).unwrap();
        endpoint.connect().await.unwrap()
    }

    async fn client(&self, token: &str) -> Client {
        client(self.channel().await, token)
    }
}

type Client = AlertFeedClient<InterceptedService<Channel, Bearer>>;

#[derive(Clone)]
struct Bearer(MetadataValue<Ascii>);

impl tonic::service::Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request
            .metadata_mut()
            .insert("authorization", self.0.clone());
        Ok(request)
    }
}

fn client(channel: Channel, token: &str) -> Client {
    let value = format!("Bearer {token}").parse().unwrap();
    AlertFeedClient::with_interceptor(channel, Bearer(value))
}

fn token(dir: &Path, name: &str, role: Role) -> String {
    let name = ActorName::new(name).unwrap();
    let now = Clock::system().now();
    let token = account::make_token(&dir.join("accounts.json"), &name, role, now).unwrap();
    token.reveal().to_owned()
}

fn after(cursor: &str) -> wire::SubscribeRequest {
    wire::SubscribeRequest {
        after_cursor: cursor.to_owned(),
        ..wire::SubscribeRequest::default()
    }
}

async fn next(stream: &mut Streaming<wire::AlertRecord>) -> Result<wire::AlertRecord, Status> {
    let next = timeout(MANY_SOON, stream.message()).await;
    let record = next.expect("a record comes")?;
    record.ok_or_else(|| Status::aborted("the stream ended"))
}

/// Id and revision of each, with the last cursor.
#[derive(Default)]
struct Reader {
    read: Vec<(String, u32)>,
    cursor: String,
}

impl Reader {
    /// Goes on where it was until it has read `n` records in all.
    async fn read_to(&mut self, mut client: Client, n: usize) {
        let stream = client.subscribe(after(&self.cursor)).await;
        let mut stream = stream.unwrap().into_inner();
        while self.read.len() < n {
            let record = next(&mut stream).await.unwrap();
            let alert = record.alert.unwrap();
            self.read.push((alert.alert_id, alert.revision));
            self.cursor = record.cursor;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_subscribers_resume_after_a_restart_each_at_its_own_cursor() {
    let _logs = Logs::capture();
    let dir = temp_dir();
    let token = token(dir.path(), "duty-1", Role::DutyOfficer);
    let mut readers: Vec<Reader> = (0..1_000).map(|_| Reader::default()).collect();
    for (first, last) in [(0, 30), (30, 50)] {
        let bed = Bed::start(dir.path(), None).await;
        let channels = join_all((0..10).map(|_| bed.channel())).await;
        let reading = readers.iter_mut().enumerate().map(|(n, reader)| {
            let client = client(channels[n % channels.len()].clone(), &token);
            // Before the restart each reads so far, after it to the end.
            let n_wanted = if first == 0 { 1 + n % 30 } else { 50 };
            reader.read_to(client, n_wanted)
        });
        let raising = async {
            for chunk in bed.alerts(first..last).chunks(5) {
                bed.raise(chunk.to_vec()).await;
            }
        };
        timeout(
            MANY_SOON,
            futures_util::future::join(join_all(reading), raising),
        )
        .await
        .unwrap();
        drop(channels);
        bed.stop().await;
    }
    let clock = Clock::system();
    let id = |n| alert(n, AlertKind::Duress, "d", clock.now()).id.to_string();
    let all: Vec<(String, u32)> = (0..50).map(|n| (id(n), 1)).collect();
    for reader in &readers {
        assert_eq!(reader.read, all);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_gets_each_revision_at_most_once_and_the_newest_always() {
    let _logs = Logs::capture();
    let dir = temp_dir();
    let token = token(dir.path(), "duty-1", Role::DutyOfficer);
    let bed = Bed::start(dir.path(), None).await;
    let alerts = bed.alerts(0..3);
    bed.raise(alerts.clone()).await;
    bed.end(&alerts[0]).await;
    let mut early = Reader::default();
    // Alert 0 is at revision 2 by now: its first step is passed over.
    early.read_to(bed.client(&token).await, 3).await;
    let named = |n: usize, revision| (alerts[n].id.to_string(), revision);
    assert_eq!(early.read, [named(1, 1), named(2, 1), named(0, 2)]);
    bed.end(&alerts[2]).await;
    early.read_to(bed.client(&token).await, 4).await;
    assert_eq!(early.read[3], named(2, 2));

    let mut live = wire::SubscribeRequest {
        from_now: true,
        kinds: vec!["duress".to_owned()],
        ..wire::SubscribeRequest::default()
    };
    let mut client = bed.client(&token).await;
    let mut stream = client.subscribe(live.clone()).await.unwrap().into_inner();
    bed.raise(bed.alerts(3..4)).await;
    let now = bed.clock.now();
    bed.raise(vec![alert(9, AlertKind::Duress, "gate", now)])
        .await;
    let record = next(&mut stream).await.unwrap();
    let of_it = record.alert.clone().unwrap();
    assert_eq!(
        of_it.kind(),
        wire::AlertKind::Duress,
        "the other kind was not asked for"
    );
    assert_eq!(of_it.raised_at_unix_ms, now.unix_ms());
    let since = now.unix_ms()..=bed.clock.now().unix_ms();
    assert!(since.contains(&record.recorded_at_unix_ms), "{record:?}");
    assert_eq!(of_it.case.unwrap().state, "raised");

    live.kinds = vec!["unheard-of".to_owned()];
    let refused = client.subscribe(live).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    for (cursor, code) in [("x", Code::InvalidArgument), ("99999", Code::OutOfRange)] {
        let refused = client.subscribe(after(cursor)).await.unwrap_err();
        assert_eq!(refused.code(), code, "{cursor}");
    }
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_that_has_missed_something_is_told_so() {
    let _logs = Logs::capture();
    let dir = temp_dir();
    let token = token(dir.path(), "duty-1", Role::DutyOfficer);
    let bed = Bed::start(dir.path(), None).await;
    bed.raise(bed.alerts(0..2)).await;
    let mut reader = Reader::default();
    reader.read_to(bed.client(&token).await, 1).await;
    bed.clock.step(40 * 86_400 * 1_000_000_000);
    bed.raise(bed.alerts(2..4)).await;
    assert!(bed.outbox.prune().await.unwrap() >= 2);
    let mut client = bed.client(&token).await;
    let refused = client.subscribe(after(&reader.cursor)).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
    let mut again = Reader::default();
    again.read_to(client, 2).await;
    let ids: Vec<String> = bed
        .alerts(2..4)
        .iter()
        .map(|one| one.id.to_string())
        .collect();
    assert_eq!(again.read, [(ids[0].clone(), 1), (ids[1].clone(), 1)]);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_does_not_read_delays_nobody_and_misses_nothing() {
    let _logs = Logs::capture();
    let dir = temp_dir();
    let token = token(dir.path(), "duty-1", Role::DutyOfficer);
    let bed = Bed::start(dir.path(), None).await;
    let mut asleep = bed.client(&token).await;
    let mut asleep = asleep.subscribe(after("")).await.unwrap().into_inner();
    let mut awake = Reader::default();
    // Far more than the windows of HTTP/2 and the records ahead can hold.
    for chunk in bed.alerts(0..1_000).chunks(100) {
        bed.raise(chunk.to_vec()).await;
    }
    awake.read_to(bed.client(&token).await, 1_000).await;
    for n in 0..1_000 {
        let record = next(&mut asleep).await.unwrap();
        assert_eq!(record.alert.unwrap().alert_id, awake.read[n].0);
    }
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_is_refused_and_who_may_no_more_is_let_go() {
    let _logs = Logs::capture();
    let dir = temp_dir();
    let duty = token(dir.path(), "duty-1", Role::DutyOfficer);
    let clerk = token(dir.path(), "clerk", Role::PropertyManager);
    let bed = Bed::start(dir.path(), None).await;
    let mut anonymous = AlertFeedClient::new(bed.channel().await);
    for (refused, code) in [
        (anonymous.subscribe(after("")).await, Code::Unauthenticated),
        (
            bed.client("stairgate_x").await.subscribe(after("")).await,
            Code::Unauthenticated,
        ),
        (
            bed.client(&clerk).await.subscribe(after("")).await,
            Code::PermissionDenied,
        ),
    ] {
        assert_eq!(refused.unwrap_err().code(), code);
    }
    let clip = wire::GetClipRequest::default();
    let refused = bed.client(&clerk).await.get_clip(clip).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);

    let mut client = bed.client(&duty).await;
    let mut stream = client.subscribe(after("")).await.unwrap().into_inner();
    let name = ActorName::new("duty-1").unwrap();
    account::remove(&dir.path().join("accounts.json"), &name).unwrap();
    let gone = next(&mut stream).await.unwrap_err();
    assert_eq!(gone.code(), Code::Unauthenticated);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledgement_is_a_step_of_the_alerts_case() {
    let _logs = Logs::capture();
    let dir = temp_dir();
    let duty = token(dir.path(), "duty-1", Role::DutyOfficer);
    let other = token(dir.path(), "duty-2", Role::DutyOfficer);
    let auditor = token(dir.path(), "auditor", Role::Auditor);
    let bed = Bed::start(dir.path(), None).await;
    let alerts = bed.alerts(0..1);
    let minor = alert(7, AlertKind::ClockSkew, "gate", bed.clock.now());
    bed.raise(vec![alerts[0].clone(), minor.clone()]).await;
    let ask = |id: &str| wire::AcknowledgeRequest {
        alert_id: id.to_owned(),
    };
    let id = alerts[0].id.to_string();
    let refused = bed
        .client(&auditor)
        .await
        .acknowledge(ask(&id))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    let mut client = bed.client(&duty).await;
    let begun = bed.clock.now().unix_ms();
    let first = client.acknowledge(ask(&id)).await.unwrap().into_inner();
    assert_eq!(first.acknowledged_by, "duty-1");
    let since = begun..=bed.clock.now().unix_ms();
    assert!(since.contains(&first.acknowledged_at_unix_ms), "{first:?}");
    // The answer was lost, the program asks again.
    bed.clock.step(5_000_000_000);
    let again = client.acknowledge(ask(&id)).await.unwrap().into_inner();
    assert_eq!(again, first);
    let case = bed.cases.of(alerts[0].id).unwrap().unwrap();
    assert_eq!(case.state, CaseState::Acknowledged);
    // The feed tells it.
    let mut reader = Reader::default();
    reader.read_to(client.clone(), 2).await;
    assert_eq!(reader.read[1], (id.clone(), 2));

    let late = bed
        .client(&other)
        .await
        .acknowledge(ask(&id))
        .await
        .unwrap_err();
    assert_eq!(late.code(), Code::FailedPrecondition);
    assert!(
        late.message().contains("acknowledged") && late.message().contains("duty-1"),
        "{late}"
    );
    let minor = client
        .acknowledge(ask(&minor.id.to_string()))
        .await
        .unwrap_err();
    assert_eq!(minor.code(), Code::FailedPrecondition, "{minor}");
    let unknown = client.acknowledge(ask(&"0".repeat(32))).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let wrong = client.acknowledge(ask("1")).await.unwrap_err();
    assert_eq!(wrong.code(), Code::InvalidArgument);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_tls_a_reader_shows_a_certificate_of_the_authority() {
    let _logs = Logs::capture();
    let (dir, ours, other) = (temp_dir(), temp_dir(), temp_dir());
    let token = token(dir.path(), "duty-1", Role::DutyOfficer);
    let (server, known, unknown) = (
        tls::make(dir.path()),
        tls::make(ours.path()),
        tls::make(other.path()),
    );
    let files = FeedTlsFiles {
        cert_file: server.cert.clone(),
        key_file: server.key.clone(),
        client_ca_file: Some(known.ca.clone()),
    };
    let bed = Bed::start(dir.path(), Some(&files)).await;
    bed.raise(bed.alerts(0..1)).await;
    let read = |path: &Path| std::fs::read(path).unwrap();
    let with = async |identity: &tls::TlsFiles, ca: &tls::TlsFiles| {
        let identity =
            tonic::transport::Identity::from_pem(read(&identity.cert), read(&identity.key));
        let config = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(read(&ca.ca)))
            .identity(identity);
        let url = format!("https://localhost:{}", bed.addr.port());
        let endpoint = Endpoint::from_shared(url)
            .unwrap()
            .tls_config(config)
            .unwrap();
        let channel = endpoint.connect().await.map_err(|err| err.to_string())?;
        let mut stream = client(channel, &token)
            .subscribe(after(""))
            .await
            .map_err(|err| err.to_string())?
            .into_inner();
        next(&mut stream).await.map_err(|err| err.to_string())
    };
    with(&known, &server).await.unwrap();
    with(&unknown, &server).await.unwrap_err();
    with(&known, &unknown).await.unwrap_err();
    bed.stop().await;
}

/// Who looked is on the disk, numbered from 1.
fn looks(store: &Store) -> HashMap<u64, String> {
    let rows = store.scan(tables::AUDIT_LOG, &());
    rows.map(|row| {
        row.map(|(number, record)| (number, record.event.by.unwrap().name.to_string()))
            .unwrap()
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clip_that_is_not_there_leaves_no_record_of_a_look() {
    let _logs = Logs::capture();
    let dir = temp_dir();
    let token = token(dir.path(), "duty-1", Role::DutyOfficer);
    let bed = Bed::start(dir.path(), None).await;
    let mut client = bed.client(&token).await;
    for (entry_id, code) in [
        ("x".to_owned(), Code::InvalidArgument),
        ("0".repeat(32), Code::NotFound),
    ] {
        let request = wire::GetClipRequest {
            entry_id,
            camera: String::new(),
        };
        assert_eq!(client.get_clip(request).await.unwrap_err().code(), code);
    }
    eventually("no look", SOON, || looks(&bed.store).is_empty()).await;
    bed.stop().await;
}

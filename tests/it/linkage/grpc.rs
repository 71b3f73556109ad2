//! gRPC against the simulated police platform, which is served by tonic, and against TLS that holds or
//! does not. A platform in another language is in `peers`.

use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use stairgate::domain::alert::AlertKind;
use stairgate::domain::id::{CompoundId, LinkageId};
use stairgate::domain::secret::Secret;
use stairgate::linkage::Linkage;
use stairgate::linkage::grpc::wire;
use stairgate::linkage::grpc::wire::alert_sink_server::{AlertSink, AlertSinkServer};
use stairgate::linkage::grpc::{Grpc, GrpcOptions, IdentityFiles};
use stairgate::sim::police::{PoliceFault, SimPolice, SimPoliceOptions};
use stairgate::supervise::Supervisor;
use stairgate::time::Clock;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};
use tracing::Span;

use super::contract::{Peer, PeerManner, suite};
use super::envelope;
use super::receiver::SECRET;
use crate::harness::{Logs, eventually, temp_dir, tls};

/// A linkage to `url` that waits a second at most.
pub(crate) fn grpc(id: &str, url: url::Url) -> GrpcOptions {
    GrpcOptions {
        id: LinkageId::new(id).unwrap(),
        url,
        compound: CompoundId::new("majian-1").unwrap(),
        token: Some(Secret::new(SECRET)),
        ca_file: None,
        identity: None,
        connect_timeout: Duration::from_millis(500),
        total_timeout: Duration::from_secs(1),
    }
}

/// A police platform that takes gRPC.
pub(crate) async fn platform() -> SimPolice {
    let any = ([127, 0, 0, 1], 0).into();
    let options = SimPoliceOptions {
        listen: any,
        grpc_listen: Some(any),
        secret: Secret::new(SECRET),
    };
    SimPolice::start(options, Clock::system(), &Supervisor::new())
        .await
        .unwrap()
}

pub(crate) fn url_of(police: &SimPolice) -> url::Url {
    police.grpc_url().unwrap().clone()
}

fn answers(url: &url::Url) -> bool {
    let addr = (url.host_str().unwrap(), url.port().unwrap());
    TcpStream::connect(addr).is_ok()
}

impl Peer for SimPolice {
    fn linkage(&self) -> Arc<dyn Linkage> {
        Arc::new(Grpc::new(grpc("police", url_of(self))).unwrap())
    }

    fn behave(&self, manner: PeerManner) {
        self.set_fault(match manner {
            PeerManner::Takes => PoliceFault::Clear,
            PeerManner::Refuses => PoliceFault::Decline { may_retry: false },
            PeerManner::NotReady => PoliceFault::Refuse { status: 503 },
            PeerManner::Hangs => PoliceFault::Hang,
            PeerManner::BreaksOff => PoliceFault::Truncate,
        });
    }

    fn taken(&self) -> Vec<(String, u64)> {
        let taken = self.messages().into_iter();
        taken
            .filter(|message| message.is_taken && !message.is_repeat)
            .map(|message| (message.id, u64::from(message.revision)))
            .collect()
    }

    async fn vanish(&mut self) {
        self.set_fault(PoliceFault::Down);
        let url = url_of(self);
        eventually("nobody listens", Duration::from_secs(5), || !answers(&url)).await;
    }

    async fn come_back(&mut self) {
        self.set_fault(PoliceFault::Clear);
        let url = url_of(self);
        eventually("it listens", Duration::from_secs(5), || answers(&url)).await;
    }
}

#[tokio::test]
async fn grpc_keeps_the_contract_of_linkages() {
    let _logs = Logs::capture();
    suite(platform().await).await;
}

#[tokio::test]
async fn the_message_has_the_facts_of_the_webhooks_json() {
    let _logs = Logs::capture();
    let police = platform().await;
    let sent = envelope(1, 3);
    let receipt = police.linkage().deliver(&sent).await.unwrap();
    assert_eq!(receipt.text, "OK P000001");
    let json = serde_json::to_value(&sent).unwrap();
    let message = police.messages().remove(0);
    for (field, value) in message.body.as_object().unwrap() {
        assert_eq!(
            json.get(field).unwrap_or(&serde_json::Value::Null),
            value,
            "{field}"
        );
    }
    assert_eq!(message.kind, AlertKind::Duress.as_str());
    assert_eq!(message.raised_at, sent.raised_at);
}

#[tokio::test]
async fn a_wrong_token_is_noticed_by_the_probe_and_makes_no_dead_letter() {
    let _logs = Logs::capture();
    let police = platform().await;
    let mut options = grpc("police", url_of(&police));
    options.token = Some(Secret::new("another"));
    let linkage = Grpc::new(options).unwrap();
    let err = linkage.probe().await.unwrap_err();
    assert!(err.to_string().contains("wrong token"), "{err}");
    let err = linkage.deliver(&envelope(1, 1)).await.unwrap_err();
    assert_eq!(err.class(), stairgate::error::Class::Transient, "{err}");
    assert!(police.messages().is_empty());
}

/// Takes everything.
struct Taker;

#[tonic::async_trait]
impl AlertSink for Taker {
    async fn deliver(
        &self,
        request: Request<wire::DeliverRequest>,
    ) -> Result<Response<wire::Receipt>, Status> {
        assert!(request.metadata().contains_key("grpc-timeout"));
        let reference = String::new();
        Ok(Response::new(wire::Receipt { reference }))
    }

    async fn check(
        &self,
        _: Request<wire::CheckRequest>,
    ) -> Result<Response<wire::CheckResponse>, Status> {
        Err(Status::unimplemented("an older platform"))
    }
}

/// A platform with TLS at `host`, which asks for a client's certificate of the authority in
/// `client_ca`.
async fn tls_platform(
    host: &str,
    files: &tls::TlsFiles,
    client_ca: Option<&Path>,
    supervisor: &Supervisor,
) -> u16 {
    let read = |path: &Path| std::fs::read(path).unwrap();
    let identity = Identity::from_pem(read(&files.cert), read(&files.key));
    let mut config = ServerTlsConfig::new().identity(identity);
    if let Some(ca) = client_ca {
        config = config.client_ca_root(Certificate::from_pem(read(ca)));
    }
    let listener = TcpListener::bind((host, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut server = Server::builder().tls_config(config).unwrap();
    let token = supervisor.token();
    supervisor.spawn("platform", Span::none(), async move {
        let router = server.add_service(AlertSinkServer::new(Taker));
        let incoming = TcpIncoming::from(listener);
        let served = router.serve_with_incoming_shutdown(incoming, token.cancelled_owned());
        served.await.unwrap();
    });
    port
}

fn secure(host: &str, port: u16, ca: Option<&Path>) -> GrpcOptions {
    let url = format!("https://{host}:{port}").parse().unwrap();
    let mut options = grpc("police", url);
    options.ca_file = ca.map(Path::to_owned);
    options
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_pinned_authority_may_vouch_for_the_platform() {
    let _logs = Logs::capture();
    let supervisor = Supervisor::new();
    let (dir, other) = (temp_dir(), temp_dir());
    let (files, wrong) = (tls::make(dir.path()), tls::make(other.path()));
    let port = tls_platform("127.0.0.1", &files, None, &supervisor).await;
    let unnamed = tls_platform("127.0.0.2", &files, None, &supervisor).await;
    let good = Grpc::new(secure("localhost", port, Some(&files.ca))).unwrap();
    good.probe().await.unwrap();
    good.deliver(&envelope(1, 1)).await.unwrap();
    for (host, port, ca) in [
        ("localhost", port, Some(wrong.ca.as_path())),
        ("localhost", port, None),
        ("127.0.0.2", unnamed, Some(files.ca.as_path())),
    ] {
        let linkage = Grpc::new(secure(host, port, ca)).unwrap();
        let err = linkage.deliver(&envelope(1, 1)).await.unwrap_err();
        assert!(err.is_unreachable(), "{host}: {err:?}");
        let chain = stairgate::error::chain(&err).to_string();
        assert!(chain.contains("certificate"), "{host}: {chain}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_that_asks_for_our_certificate_gets_it() {
    let _logs = Logs::capture();
    let supervisor = Supervisor::new();
    let (dir, ours, other) = (temp_dir(), temp_dir(), temp_dir());
    let files = tls::make(dir.path());
    let (known, unknown) = (tls::make(ours.path()), tls::make(other.path()));
    let port = tls_platform("127.0.0.1", &files, Some(&known.ca), &supervisor).await;
    let with = |identity: Option<&tls::TlsFiles>| {
        let mut options = secure("localhost", port, Some(&files.ca));
        options.identity = identity.map(|files| IdentityFiles {
            cert_file: files.cert.clone(),
            key_file: files.key.clone(),
        });
        Grpc::new(options).unwrap()
    };
    with(Some(&known)).deliver(&envelope(1, 1)).await.unwrap();
    for identity in [None, Some(&unknown)] {
        let err = with(identity).deliver(&envelope(1, 1)).await.unwrap_err();
        assert_eq!(err.class(), stairgate::error::Class::Transient, "{err:?}");
        with(identity).probe().await.unwrap_err();
    }
}

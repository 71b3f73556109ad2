//! Connections: accepted, each served in a task of its own, and ended in order.

use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::serve::Listener as _;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info_span};

use super::listener::{Capped, Line};
use super::{Api, router};
use crate::supervise::Supervisor;

/// Longest time from the first moment of a connection, or the end of its last answer, to the end of a
/// request's head. Who sends a head byte by byte, or nothing, does not keep one of the places.
const HEAD_TIME_MAX: Duration = Duration::from_secs(20);

/// Answers requests on `listener`, each connection as a task of `group`, until that is told to end;
/// requests in hand are finished.
///
/// # Errors
/// None: a failed `accept` is tried again.
pub async fn serve(listener: TcpListener, api: Api, group: Supervisor) -> io::Result<()> {
    let stop = group.token();
    let mut listener = Capped::new(listener);
    let router = router(api);
    loop {
        let (stream, peer) = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        let line = Line {
            seat: stream.seat(),
            peer,
            stop: stop.clone(),
        };
        let router = router.clone().layer(Extension(line));
        let served = connection(stream, router, stop.clone());
        group.spawn("web-connection", info_span!("web-connection"), served);
    }
}

async fn connection<S>(stream: S, router: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX);
    let served = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut served = pin!(served.with_upgrades());
    let ended = tokio::select! {
        biased;
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
        ended = served.as_mut() => ended,
    };
    if let Err(err) = ended {
        // Reset, too slow, or no HTTP: the client's affair.
        debug!(error = %err, "connection ended");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
    use tokio::time::Instant;

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

    fn served(stop: &CancellationToken) -> (DuplexStream, Supervisor) {
        let (client, server) = tokio::io::duplex(4_096);
        let slow = || async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            "at last"
        };
        let router = Router::new().route("/", get(|| async { "hello" }));
        let router = router.route("/slow", get(slow));
        let supervisor = Supervisor::new();
        let work = connection(server, router, stop.clone());
        supervisor.spawn("test", tracing::Span::none(), work);
        (client, supervisor)
    }

    async fn answer(client: &mut DuplexStream) -> String {
        let mut text = [0; 1_024];
        let n_bytes = client.read(&mut text).await.unwrap();
        String::from_utf8(text[..n_bytes].to_vec()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_a_head_byte_by_byte_is_cut_off() {
        let (mut client, _tasks) = served(&CancellationToken::new());
        let start = Instant::now();
        let is_cut = async {
            for byte in REQUEST.iter().cycle() {
                if client.write_all(&[*byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
                if *byte == b'\n' {
                    // Never the empty line that ends a head.
                    client.write_all(b"x: y").await.unwrap_or_default();
                }
            }
        };
        tokio::time::timeout(HEAD_TIME_MAX * 2, is_cut)
            .await
            .unwrap();
        let took = start.elapsed();
        assert!(took >= HEAD_TIME_MAX && took <= HEAD_TIME_MAX + Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_cut_off_and_who_asks_again_in_time_is_not() {
        let (mut client, _tasks) = served(&CancellationToken::new());
        for _ in 0..3 {
            tokio::time::sleep(HEAD_TIME_MAX - Duration::from_secs(1)).await;
            client.write_all(REQUEST).await.unwrap();
            assert!(answer(&mut client).await.ends_with("hello"));
        }
        let start = Instant::now();
        assert_eq!(client.read(&mut [0; 16]).await.unwrap_or_default(), 0);
        assert!(start.elapsed() <= HEAD_TIME_MAX + Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_in_hand_is_finished_at_the_end() {
        let stop = CancellationToken::new();
        let (mut client, tasks) = served(&stop);
        client
            .write_all(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.cancel();
        let text = answer(&mut client).await;
        assert!(
            text.contains("connection: close") && text.ends_with("at last"),
            "{text}"
        );
        tasks.shutdown(Duration::from_secs(1)).await.unwrap();
    }
}

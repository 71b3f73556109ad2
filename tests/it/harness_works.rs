//! The harness itself: neighbours start, die, come back, and tell the truth.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::frame_number::shown_numbers;
use crate::harness::{
    Logs, Mosquitto, MosquittoOptions, RtspAuth, RtspCodec, RtspOptions, RtspServer, eventually,
    http, net, temp_dir,
};

#[test]
fn an_unexpected_warning_is_a_surprise_and_an_expected_one_is_not() {
    let mut logs = Logs::capture();
    tracing::info!("all is well");
    tracing::warn!(camera = "a", "camera session lost");
    assert_eq!(logs.count("camera session lost"), 1);
    let surprises = logs.surprises();
    assert_eq!(surprises.len(), 1, "{surprises:?}");
    assert!(surprises[0].starts_with("WARN it::harness_works: camera session lost camera=\"a\""));
    logs.expect("session lost");
    assert!(logs.surprises().is_empty());
}

#[tokio::test]
async fn mosquitto_keeps_its_retained_messages_through_kill_and_restart() {
    let mut broker = Mosquitto::start(MosquittoOptions::default()).await;
    broker.publish("a/b", "kept", true).await;
    broker.stop().await;
    broker.restart().await;
    assert_eq!(broker.receive("a/#", 1).await, ["kept"]);
    broker.kill();
    assert!(TcpStream::connect(broker.addr()).await.is_err());
    broker.restart().await;
    assert_eq!(broker.receive("a/#", 1).await, ["kept"]);
    assert!(broker.url().starts_with("mqtt://127.0.0.1:"));
    assert!(broker.log().contains("mosquitto version"));
}

#[tokio::test]
async fn mosquitto_with_tls_password_and_acl_serves_only_whom_it_should() {
    let options = MosquittoOptions {
        users: vec![("gateway", "fixture-pass"), ("door", "other-pass")],
        tls: true,
        acl: Some("user gateway\ntopic readwrite #\n"),
        ..MosquittoOptions::default()
    };
    let mut broker = Mosquitto::start(options).await;
    broker.publish("a/b", "kept", true).await;
    assert_eq!(broker.receive("a/b", 1).await, ["kept"]);
    assert!(broker.url().starts_with("mqtts://localhost:"));
    assert!(broker.tls().unwrap().ca.exists());

    broker.freeze();
    let mut frozen = TcpStream::connect(broker.addr()).await.unwrap();
    let mut byte = [0];
    let read = frozen.read(&mut byte);
    assert!(timeout(Duration::from_millis(200), read).await.is_err());
    broker.thaw();
    assert_eq!(broker.receive("a/b", 1).await, ["kept"]);
}

/// Reads a camera for some GOPs; the lag of each key frame behind the camera's own record of it.
async fn key_frame_lags(
    server: &RtspServer,
    transport: retina::client::Transport,
) -> Vec<Duration> {
    use retina::client::{PlayOptions, Session, SessionOptions, SetupOptions};
    let creds = retina::client::Credentials {
        username: "viewer".to_owned(),
        password: "fixture-pass".to_owned(),
    };
    let options = SessionOptions::default().creds(Some(creds));
    let url = server.url().parse().unwrap();
    let mut session = Session::describe(url, options).await.unwrap();
    let setup = SetupOptions::default().transport(transport);
    session.setup(0, setup).await.unwrap();
    let playing = session.play(PlayOptions::default()).await.unwrap();
    let mut frames = playing.demuxed().unwrap();
    let mut arrivals = Vec::new();
    while arrivals.len() < 4 {
        let item = timeout(Duration::from_secs(5), frames.next())
            .await
            .unwrap();
        if let retina::codec::CodecItem::VideoFrame(frame) = item.unwrap().unwrap()
            && frame.is_random_access_point()
        {
            arrivals.push(Instant::now());
        }
    }
    let sent = server.sent();
    let keys: Vec<_> = sent.iter().filter(|f| f.key).collect();
    arrivals
        .into_iter()
        .map(|arrival| {
            let last = keys.iter().rfind(|f| f.at() <= arrival).unwrap();
            arrival.duration_since(last.at())
        })
        .collect()
}

#[tokio::test]
async fn the_rtsp_server_says_when_it_sent_each_frame() {
    let cases = [
        (RtspCodec::H264, RtspAuth::Basic),
        (RtspCodec::H265, RtspAuth::Digest),
    ];
    for (codec, auth) in cases {
        let options = RtspOptions {
            codec,
            auth,
            gop: 5,
            ..RtspOptions::default()
        };
        let server = RtspServer::start(options).await;
        for transport in [
            retina::client::Transport::Tcp(retina::client::TcpTransportOptions::default()),
            retina::client::Transport::Udp(retina::client::UdpTransportOptions::default()),
        ] {
            let lags = key_frame_lags(&server, transport).await;
            assert!(
                lags.iter()
                    .skip(1)
                    .all(|lag| *lag < Duration::from_millis(200)),
                "{codec:?}: {lags:?}"
            );
        }
        let sent = server.sent();
        let n_off_place = sent
            .iter()
            .filter(|f| f.key != f.idx.is_multiple_of(5))
            .count();
        assert_eq!(n_off_place, 0, "{sent:?}");
        let drift = sent[0].wall_ns - i64::try_from(sent[0].mono_ns).unwrap();
        assert!(
            sent.iter()
                .all(|f| (f.wall_ns - i64::try_from(f.mono_ns).unwrap() - drift).abs() < 1_000_000)
        );
        assert!(sent.iter().zip(&sent[1..]).all(|(a, b)| a.n < b.n));
    }
}

#[tokio::test]
async fn the_rtsp_server_plays_the_numbered_frames() {
    for codec in [RtspCodec::H264, RtspCodec::H265] {
        let server = RtspServer::start(RtspOptions::numbered(codec)).await;
        let dir = temp_dir();
        let file = dir.path().join("seen.mp4");
        let mut ffmpeg = tokio::process::Command::new("ffmpeg");
        ffmpeg
            .args(["-v", "error", "-rtsp_transport", "tcp", "-i"])
            .arg(server.url())
            .args(["-t", "3", "-c", "copy"])
            .arg(&file)
            .kill_on_drop(true);
        let status = timeout(Duration::from_secs(30), ffmpeg.status()).await;
        assert!(status.unwrap().unwrap().success());
        let seen = shown_numbers(&file);
        let sent: Vec<_> = server.sent().into_iter().map(|f| f.idx).collect();
        let begin = sent.iter().position(|n| *n == u64::from(seen[0])).unwrap();
        assert!(seen.len() >= 25, "{seen:?}");
        let seen: Vec<_> = seen.into_iter().map(u64::from).collect();
        assert_eq!(seen, sent[begin..begin + seen.len()]);
    }
}

#[tokio::test]
async fn the_rtsp_server_comes_back_at_its_address() {
    let mut server = RtspServer::start(RtspOptions::default()).await;
    let url = server.url();
    server.freeze();
    server.thaw();
    server.kill();
    server.restart().await;
    assert_eq!(server.url(), url);
}

#[tokio::test]
async fn eventually_sees_a_level_and_a_free_port_is_free() {
    let mut n_looks = 0;
    eventually("the third look", Duration::from_secs(5), || {
        n_looks += 1;
        n_looks == 3
    })
    .await;
    let port = net::free_port();
    assert!(
        http::get(&format!("http://127.0.0.1:{port}/"))
            .await
            .is_err()
    );
    assert!(temp_dir().path().is_dir());
}

#[tokio::test]
async fn the_http_client_shows_status_header_and_json() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let served = async {
        let (mut client, _) = listener.accept().await.unwrap();
        let answer = "HTTP/1.1 201 Created\r\nx-kind: a\r\ncontent-length: 7\r\n\r\n{\"n\":1}";
        let mut request = [0; 1_024];
        assert!(client.read(&mut request).await.unwrap() > 0);
        client.write_all(answer.as_bytes()).await.unwrap();
    };
    let url = format!("http://{addr}/a");
    let (answer, ()) = tokio::join!(http::get(&url), served);
    let answer = answer.unwrap();
    assert_eq!((answer.status, answer.header("x-kind")), (201, "a"));
    assert_eq!(
        (answer.json()["n"].as_u64(), answer.header("x-none")),
        (Some(1), "")
    );
    assert_eq!(answer.text(), r#"{"n":1}"#);
}

//! Viewers that do not keep to the protocol, and those who may not look at all.

use std::time::Duration;

use serde_json::json;
use stairgate::domain::role::Role;
use tokio::time::Instant;

use super::client::{Got, Viewer};
use super::site::{Site, cameras};
use super::{H264, line};

#[tokio::test]
async fn what_is_no_message_ends_a_viewer_and_nobody_else() {
    let sim = cameras(1, H264).await;
    let site = Site::start(&[line("b03-u2-in", &sim.url(0))]).await;
    let token = site.token("officer", Role::DutyOfficer).await;
    let mut good = Viewer::welcomed(&site.web, &token, &["h264"]).await;
    good.watch(1, "b03-u2-in").await;
    good.text("opened").await;

    let watch = r#"{"type":"watch","id":1,"camera":"b03-u2-in"}"#;
    let hello = r#"{"type":"hello","v":1,"codecs":["h264"]}"#;
    for said in [
        vec!["nonsense"],
        vec![watch],
        vec![hello, hello],
        vec![
            hello,
            r#"{"type":"watch","id":1,"camera":"b03-u2-in","then":"drop"}"#,
        ],
        vec![r#"{"type":"hello","v":9,"codecs":[]}"#],
    ] {
        let mut viewer = Viewer::open(&site.web, Some(&token), &[]).await.unwrap();
        for text in &said {
            viewer.say_text(text).await;
        }
        assert_eq!(viewer.closed().await, Some(1008), "{said:?}");
    }
    let mut viewer = Viewer::welcomed(&site.web, &token, &["h264"]).await;
    viewer.say_text(&"x".repeat(100_000)).await;
    let code = viewer.closed().await;
    assert!(code.is_none() || code == Some(1008), "{code:?}");
    good.piece().await;
}

#[tokio::test]
async fn a_viewer_sees_sixteen_cameras_and_only_such_as_there_are() {
    let sim = cameras(1, H264).await;
    let site = Site::start(&[line("b03-u2-in", &sim.url(0))]).await;
    let token = site.token("officer", Role::DutyOfficer).await;
    let mut viewer = Viewer::welcomed(&site.web, &token, &["h264"]).await;
    for camera in ["no-such", "../../etc/passwd", "<script>"] {
        viewer.watch(5, camera).await;
        let closed = viewer.text("closed").await;
        assert_eq!(
            (&closed["id"], &closed["code"]),
            (&json!(5), &json!("unknown-camera"))
        );
    }
    for id in 1..=17 {
        viewer.watch(id, "b03-u2-in").await;
    }
    let mut opened = std::collections::BTreeSet::new();
    let mut refused = None;
    while opened.len() < 16 || refused.is_none() {
        match viewer.next().await {
            Got::Text(text) if text["type"] == "opened" => {
                opened.insert(text["id"].as_u64().unwrap());
            }
            Got::Text(text) if text["type"] == "closed" => refused = Some(text),
            Got::Text(_) | Got::Piece(_) => {}
            Got::Closed(code) => panic!("closed with {code:?}"),
        }
    }
    let refused = refused.unwrap();
    assert_eq!(
        (&refused["id"], &refused["code"]),
        (&json!(17), &json!("too-many"))
    );
    // A place that is given back can be taken, and a number used again means the new camera.
    viewer.say(&json!({"type": "unwatch", "id": 3})).await;
    viewer.watch(17, "b03-u2-in").await;
    viewer
        .until(|got| match got {
            Got::Text(text) => (text["type"] == "opened" && text["id"] == 17).then_some(()),
            _ => None,
        })
        .await;
}

#[tokio::test]
async fn who_may_not_look_is_refused_before_anything_is_opened() {
    let sim = cameras(1, H264).await;
    let site = Site::start(&[line("b03-u2-in", &sim.url(0))]).await;
    let officer = site.token("officer", Role::DutyOfficer).await;
    let other = site.token("other", Role::DutyOfficer).await;
    let clerk = site.token("clerk", Role::PropertyManager).await;
    let (web, ours) = (site.web.as_str(), format!("http://{}", site.web));
    let status = async |token: Option<&str>, origin: Option<&str>| {
        let headers: Vec<_> = origin.map(|it| ("origin", it)).into_iter().collect();
        Viewer::open(web, token, &headers).await.err()
    };
    assert_eq!(status(None, None).await, Some(401));
    assert_eq!(status(Some(&clerk), None).await, Some(403));
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        assert_eq!(
            status(Some(&officer), Some(origin)).await,
            Some(403),
            "{origin}"
        );
    }
    assert_eq!(status(Some(&officer), Some(&ours)).await, None);
    let plain = site.get("/api/v1/live").await;
    assert!(
        plain.status == 426 || plain.status == 401,
        "{}",
        plain.text()
    );

    let mut viewers = Vec::new();
    let refused = loop {
        match Viewer::open(web, Some(&other), &[]).await {
            Ok(viewer) => viewers.push(viewer),
            Err(status) => break status,
        }
    };
    assert_eq!((viewers.len(), refused), (8, 429));
}

#[tokio::test]
async fn the_console_is_served_with_what_keeps_a_page_to_itself() {
    let site = Site::start(&[]).await;
    let page = site.get("/").await;
    assert!([200, 503].contains(&page.status));
    for path in ["/", "/healthz", "/api/v1/openapi.json", "/no-such"] {
        let answer = site.get(path).await;
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{path}"
        );
        assert!(policy.contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert!(
            answer.header("permissions-policy").contains("camera=()"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_viewer_sees_its_own_buildings_and_ends_when_its_right_is_changed() {
    let sim = cameras(2, H264).await;
    let site = Site::start(&[
        line("b03-u2-in", &sim.url(0)),
        line("b04-u1-in", &sim.url(1)),
    ])
    .await;
    let local = site.token("local", Role::DutyOfficer).await;
    let other = site.token("other", Role::DutyOfficer).await;
    site.limit_to("local", "4", &local).await;
    let mut good = Viewer::welcomed(&site.web, &other, &["h264"]).await;
    good.watch(1, "b03-u2-in").await;
    let mut viewer = Viewer::welcomed(&site.web, &local, &["h264"]).await;
    viewer.watch(1, "b03-u2-in").await;
    let closed = viewer.text("closed").await;
    assert_eq!(
        (&closed["id"], &closed["code"]),
        (&json!(1), &json!("forbidden"))
    );
    let path = "/api/v1/cameras/b03-u2-in/picture.jpg";
    assert_eq!(site.get_as(&local, path).await.status, 403);
    viewer.watch(1, "b04-u1-in").await;
    viewer.text("opened").await;

    let name = "local".parse().unwrap();
    stairgate::account::set_role(&site.accounts_file(), &name, Role::Auditor).unwrap();
    let changed = Instant::now();
    assert_eq!(viewer.closed().await, Some(4403));
    assert!(changed.elapsed() < Duration::from_secs(5));
    // Nobody else notices.
    good.piece().await;
}

#[tokio::test]
async fn a_look_leaves_one_record_for_each_viewer_camera_and_hour() {
    let sim = cameras(1, H264).await;
    let site = Site::start(&[line("b03-u2-in", &sim.url(0))]).await;
    let token = site.token("officer", Role::DutyOfficer).await;
    let mut viewer = Viewer::welcomed(&site.web, &token, &["h264"]).await;
    let watch =
        |id: u16| json!({"type": "watch", "id": id, "camera": "b03-u2-in", "case": "case 7"});
    for id in 1..=3 {
        viewer.say(&watch(id)).await;
        viewer.text("opened").await;
    }
    let path = "/api/v1/cameras/b03-u2-in/picture.jpg";
    assert_eq!(site.get_as(&token, path).await.status, 200);
    drop(viewer);
    let looks = site.looks().await;
    let of = |part: &str| looks.iter().filter(|it| it.contains(part)).count();
    let n_live = of("live-seen");
    // Two when the clock struck in between.
    assert!((1..=2).contains(&n_live), "{looks:?}");
    assert_eq!(of("case 7"), n_live);
    assert_eq!(of("picture-seen"), 1, "{looks:?}");
    assert_eq!(of("officer"), n_live + 1);
}

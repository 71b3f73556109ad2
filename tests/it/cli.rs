//! The program as people meet it: help, exit codes, the checks before a start.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use stairgate::store::{Store, StoreOptions, tables};
use stairgate::supervise::Supervisor;

use crate::harness::gateway::{Gateway, run};
use crate::harness::net::free_port;
use crate::harness::{RtspAuth, RtspOptions, RtspServer, in_package, temp_dir};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn status(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// A configuration with a roster in `folder`; `more` is appended.
fn site(folder: &Path, more: &str) -> String {
    let config = folder.join("gateway.toml");
    let base = r#"
[compound]
id = "majian-1"
name = "马涧花园一区"
time_zone = "Asia/Shanghai"

[store]
path = "store"

[footage]
path = "footage"
free_space_floor = "1%"

[roster]
file = "roster.csv"

[[stairwell]]
id = "b03-u2"
building = "3"
unit = "2"
"#;
    fs::write(&config, format!("{base}{more}")).unwrap();
    config.to_str().unwrap().to_owned()
}

fn roster(folder: &Path, rows: &str) {
    let columns = "dwelling,place,number,area_m2,tenure,holder,card";
    fs::write(folder.join("roster.csv"), format!("{columns}\n{rows}")).unwrap();
}

#[tokio::test]
async fn help_and_version_go_to_standard_output() {
    for args in [["--help"], ["-h"], ["help"]] {
        let output = run(&args).await;
        assert_eq!(status(&output), 0);
        assert!(text(&output.stdout).contains("stairgate run --config"));
        assert!(output.stderr.is_empty());
    }
    for args in [["--version"], ["version"]] {
        let output = run(&args).await;
        assert_eq!(status(&output), 0);
        let version = concat!("stairgate ", env!("CARGO_PKG_VERSION"));
        assert_eq!(text(&output.stdout).trim(), version);
    }
}

#[tokio::test]
async fn bad_usage_ends_with_2_and_says_what_is_wrong() {
    for args in [&["fly"][..], &["run", "--colour"], &[]] {
        let output = run(args).await;
        assert_eq!(status(&output), 2, "{args:?}");
        assert!(text(&output.stderr).contains("Usage"), "{args:?}");
    }
}

#[tokio::test]
async fn a_bad_configuration_ends_with_64_and_names_every_mistake() {
    let folder = temp_dir();
    let config = site(folder.path(), "[web]\nlisten = \"0.0.0.0:1\"\nport = 1\n");
    for args in [
        &["check-config", &config][..],
        &["run", "--config", &config],
        &["verify-store", "--config", &config],
    ] {
        let output = run(args).await;
        assert_eq!(status(&output), 64, "{args:?}");
        let errors = text(&output.stderr);
        for part in ["roster.file", "web.listen", "web.port"] {
            assert!(errors.contains(part), "{args:?}: {errors}");
        }
    }
}

#[tokio::test]
async fn a_good_configuration_is_summed_up_with_its_warnings() {
    let folder = temp_dir();
    let config = site(folder.path(), "");
    roster(
        folder.path(),
        "d1,b03-u2,301,12,rented,h1,0A01\nd1,,,,,h2,0A02\n",
    );
    let output = run(&["check-config", &config]).await;
    assert_eq!(status(&output), 0, "{output:?}");
    let summary = text(&output.stdout);
    assert!(
        summary.contains("1 stairwell, 0 cameras, 0 doors"),
        "{summary}"
    );
    assert!(
        summary.contains("1 dwelling, 2 cards; 2 warnings"),
        "{summary}"
    );
    let warnings = text(&output.stderr);
    assert!(
        warnings.contains("dwelling d1: 2 cardholders, its limit is 1"),
        "{warnings}"
    );
}

#[tokio::test]
async fn a_bad_roster_ends_with_64_and_names_its_rows() {
    let folder = temp_dir();
    let config = site(folder.path(), "");
    roster(folder.path(), "d1,nowhere,301,12,rented,h1,XYZ\n");
    let output = run(&["check-config", &config]).await;
    assert_eq!(status(&output), 64);
    let errors = text(&output.stderr);
    assert!(errors.contains("roster.csv:2: card:"), "{errors}");
    assert!(errors.contains("roster.csv:2: place:"), "{errors}");
}

#[tokio::test]
async fn the_reference_configuration_passes_its_check() {
    let reference = in_package("deploy/gateway.toml");
    let output = run(&["check-config", reference.to_str().unwrap()]).await;
    assert_eq!(status(&output), 0, "{output:?}");
}

#[tokio::test]
async fn a_store_that_is_not_there_is_not_made_by_its_check() {
    let folder = temp_dir();
    let config = site(folder.path(), "");
    roster(folder.path(), "");
    let output = run(&["verify-store", "--config", &config]).await;
    assert_eq!(status(&output), 1, "{output:?}");
    assert!(text(&output.stderr).contains("there is no store"));
    assert!(!folder.path().join("store").exists());
}

#[tokio::test]
async fn a_store_is_sound_until_a_listed_file_is_gone() {
    use stairgate::domain::clip::FootageName;
    use stairgate::domain::footage::{FootageRecord, FootageState};
    use stairgate::domain::id::CameraId;
    use stairgate::time::{RunId, WallTime};

    let folder = temp_dir();
    let config = site(folder.path(), "");
    roster(folder.path(), "");
    let supervisor = Supervisor::new();
    let options = StoreOptions {
        path: folder.path().join("store"),
    };
    let mut registry = stairgate::telemetry::registry();
    let store = Store::open(&options, &supervisor, &mut registry).unwrap();
    let camera = CameraId::new("front").unwrap();
    let at = WallTime::from_unix_ms(1_800_000_000_000);
    let run = RunId::random();
    let name = FootageName::new(&camera, at, run, 0);
    let file = folder.path().join("footage").join(name.as_str());
    let record = FootageRecord {
        camera,
        run,
        state: FootageState::Closed,
        starts_at: at,
        ends_at: at,
        bytes: 3,
        n_gops: 1,
    };
    store
        .write(move |txn| txn.put(tables::FOOTAGE, &name, &record))
        .await
        .unwrap();
    store.close().await;
    drop(store);

    let check = || run_verify(&config);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "abc").unwrap();
    let output = check().await;
    assert_eq!(status(&output), 0, "{output:?}");
    assert!(text(&output.stdout).contains("every invariant holds"));
    fs::write(&file, "ab").unwrap();
    let output = check().await;
    assert_eq!(status(&output), 1, "{output:?}");
    assert!(text(&output.stdout).contains("has 2 bytes, of which 3"));
    fs::remove_file(&file).unwrap();
    let output = check().await;
    assert_eq!(status(&output), 1, "{output:?}");
    assert!(text(&output.stdout).contains("is its disk mounted"));
}

async fn run_verify(config: &str) -> Output {
    run(&["verify-store", "--config", config]).await
}

#[tokio::test]
async fn a_probe_tells_what_a_camera_sends() {
    let camera = RtspServer::start(RtspOptions {
        gop: 25,
        ..RtspOptions::default()
    })
    .await;
    let output = run(&["probe", &camera.url(), "--seconds", "4"]).await;
    assert_eq!(status(&output), 0, "{output:?}");
    let found = text(&output.stdout);
    for part in ["H.264", "frames/s", "every 1.0 s", "verdict       good"] {
        assert!(found.contains(part), "{found}");
    }
}

#[tokio::test]
async fn a_probe_takes_a_camera_and_its_log_in_from_the_configuration() {
    let camera = RtspServer::start(RtspOptions {
        auth: RtspAuth::Digest,
        ..RtspOptions::default()
    })
    .await;
    let folder = temp_dir();
    fs::write(folder.path().join("password"), "fixture-pass\n").unwrap();
    let device = format!(
        "[[camera]]\nid = \"front\"\nplace = \"compound\"\nurl = \"{}\"\n\
         username = \"viewer\"\npassword_file = \"password\"\n",
        camera.url()
    );
    let config = site(folder.path(), &device);
    roster(folder.path(), "");
    let args = [
        "probe",
        "front",
        "--config",
        &config,
        "--seconds",
        "3",
        "--json",
    ];
    let output = run(&args).await;
    assert_eq!(status(&output), 0, "{output:?}");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["codec"], "h264");

    let output = run(&["probe", &camera.url()]).await;
    assert_eq!(status(&output), 1);
    let errors = text(&output.stderr);
    assert!(errors.contains("asks for a log-in"), "{errors}");
}

#[tokio::test]
async fn a_probe_of_nothing_says_what_to_check() {
    let output = run(&["probe", "rtsp://127.0.0.1:1/main"]).await;
    assert_eq!(status(&output), 1);
    let errors = text(&output.stderr);
    assert!(errors.contains("nothing listens at"), "{errors}");
    let output = run(&["probe", "http://127.0.0.1/"]).await;
    assert_eq!(status(&output), 2);
}

#[tokio::test]
async fn a_gateway_runs_says_so_and_ends_in_order() {
    let folder = temp_dir();
    let web = format!("127.0.0.1:{}", free_port());
    let more = format!("[web]\nlisten = \"{web}\"\n[mqtt]\nlisten = \"127.0.0.1:0\"\n");
    let config = site(folder.path(), &more);
    roster(folder.path(), "d1,b03-u2,301,12,rented,h1,0A01\n");
    let mut gateway = Gateway::start(Path::new(&config), &web).await;
    gateway.expect("linkage: there is none");
    assert_eq!(gateway.get("/healthz").await.json()["state"], "ok");
    // A store that is in use is nobody else's to look at.
    let output = run(&["verify-store", "--config", &config]).await;
    assert_eq!(status(&output), 1);
    assert!(
        text(&output.stderr).contains("is another stairgate running"),
        "{output:?}"
    );
    // Well below the sum of the steps' shares: none of them waited for its end.
    gateway.stop(Duration::from_secs(5)).await;
    let output = run(&["verify-store", "--config", &config]).await;
    assert_eq!(status(&output), 0, "{output:?}");
}

#[tokio::test]
async fn a_lost_site_key_stops_the_start_with_what_to_do() {
    let folder = temp_dir();
    let web = format!("127.0.0.1:{}", free_port());
    let more = format!("[web]\nlisten = \"{web}\"\n[mqtt]\nlisten = \"127.0.0.1:0\"\n");
    let config = site(folder.path(), &more);
    roster(folder.path(), "");
    let mut gateway = Gateway::start(Path::new(&config), &web).await;
    gateway.expect("linkage: there is none");
    gateway.stop(Duration::from_secs(10)).await;
    fs::remove_file(folder.path().join("site.key")).unwrap();
    let output = run(&["run", "--config", &config]).await;
    assert_eq!(status(&output), 1);
    assert!(
        text(&output.stderr).contains("restore the key from the backup"),
        "{output:?}"
    );
}

#[tokio::test]
async fn a_store_of_a_newer_version_stops_the_start_with_what_to_do() {
    let folder = temp_dir();
    let web = format!("127.0.0.1:{}", free_port());
    let more = format!("[web]\nlisten = \"{web}\"\n[mqtt]\nlisten = \"127.0.0.1:0\"\n");
    let config = site(folder.path(), &more);
    roster(folder.path(), "");
    let mut gateway = Gateway::start(Path::new(&config), &web).await;
    gateway.expect("linkage: there is none");
    gateway.stop(Duration::from_secs(10)).await;
    let options = StoreOptions {
        path: folder.path().join("store"),
    };
    let mut metrics = stairgate::telemetry::registry();
    let store = Store::open(&options, &Supervisor::new(), &mut metrics).unwrap();
    let newer = store.write(|txn| txn.put(tables::META, &"format".to_owned(), &99));
    newer.await.unwrap();
    store.close().await;
    drop(store);
    for command in ["run", "verify-store"] {
        let output = run(&[command, "--config", &config]).await;
        assert_eq!(status(&output), 1, "{output:?}");
        let errors = text(&output.stderr);
        for part in ["has format 99", "install the newer stairgate"] {
            assert!(errors.contains(part), "{errors}");
        }
    }
}

#[tokio::test]
async fn a_new_footage_disk_is_taken_once_someone_says_so() {
    let folder = temp_dir();
    let web = format!("127.0.0.1:{}", free_port());
    let more = format!("[web]\nlisten = \"{web}\"\n[mqtt]\nlisten = \"127.0.0.1:0\"\n");
    let config = site(folder.path(), &more);
    roster(folder.path(), "");
    let footage = folder.path().join("footage");
    let start = async || {
        let mut gateway = Gateway::start(Path::new(&config), &web).await;
        gateway.expect("linkage: there is none");
        gateway
    };
    let state = async |gateway: &Gateway| {
        let health = gateway.get("/healthz").await.json();
        health["components"]["footage"]["state"].clone()
    };
    let gateway = start().await;
    gateway.stop(Duration::from_secs(10)).await;

    fs::rename(&footage, folder.path().join("old")).unwrap();
    fs::create_dir(&footage).unwrap();
    let mut gateway = start().await;
    gateway.expect("footage disk is away");
    assert_eq!(state(&gateway).await, "failed");
    gateway.stop(Duration::from_secs(10)).await;

    // The disk of another gateway.
    fs::write(footage.join("stairgate-footage-id"), "another\n").unwrap();
    let mut gateway = start().await;
    for part in ["footage disk is away", "another disk is at"] {
        gateway.expect(part);
    }
    assert_eq!(state(&gateway).await, "failed");
    gateway.stop(Duration::from_secs(10)).await;
    let kept = fs::read_dir(&footage).unwrap().count();
    assert_eq!(kept, 1, "nothing is written on it");
    fs::remove_file(footage.join("stairgate-footage-id")).unwrap();

    let output = run(&["accept-disk", "--config", &config]).await;
    assert_eq!(status(&output), 0, "{output:?}");
    let mut gateway = start().await;
    // Its lives share one log.
    for part in ["footage disk is away", "another disk is at"] {
        gateway.expect(part);
    }
    assert_eq!(state(&gateway).await, "ok");
    gateway.stop(Duration::from_secs(10)).await;
}

//! A camera of another maker: gst-rtsp-server from Debian, driven by its Python bindings.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;
use tempfile::TempDir;
use tokio::time::Instant;

use super::net::instant_of_monotonic_ns;
use super::process::Process;
use super::wait::eventually;

/// Debian's own interpreter: the bindings are packages of the system.
const PYTHON: &str = "/usr/bin/python3";

/// What the stream carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RtspCodec {
    #[default]
    H264,
    H265,
}

/// What the camera asks of those who connect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RtspAuth {
    #[default]
    None,
    Basic,
    Digest,
}

/// How the camera is set up. User `viewer`, password `fixture-pass`, when it asks.
#[derive(Debug)]
pub(crate) struct RtspOptions {
    pub(crate) codec: RtspCodec,
    /// What it plays for ever (.mp4, .h264, .h265); `None`: a made picture.
    pub(crate) file: Option<PathBuf>,
    /// Frames a second, where the file does not say.
    pub(crate) fps: u32,
    /// Frames of a GOP of the made picture.
    pub(crate) gop: u32,
    pub(crate) auth: RtspAuth,
}

impl Default for RtspOptions {
    fn default() -> RtspOptions {
        RtspOptions {
            codec: RtspCodec::H264,
            file: None,
            fps: 25,
            gop: 50,
            auth: RtspAuth::None,
        }
    }
}

impl RtspOptions {
    /// A camera that plays the numbered fixture of `codec`: [`SentFrame::idx`] is the number shown.
    pub(crate) fn numbered(codec: RtspCodec) -> RtspOptions {
        let file = match codec {
            RtspCodec::H264 => "fixtures/video/numbered-h264.mp4",
            RtspCodec::H265 => "fixtures/video/numbered-h265.mp4",
        };
        RtspOptions {
            codec,
            file: Some(super::in_package(file)),
            ..RtspOptions::default()
        }
    }
}

/// One frame that the camera sent.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct SentFrame {
    /// Frames since the camera started, from 0, also those nobody watched.
    pub(crate) n: u64,
    /// Its place in the file, from 0: the number that a numbered fixture shows.
    pub(crate) idx: u64,
    /// Whether it is a key frame.
    pub(crate) key: bool,
    /// `CLOCK_MONOTONIC` when it was sent, in ns.
    pub(crate) mono_ns: u64,
    /// Unix time when it was sent, in ns.
    pub(crate) wall_ns: i64,
}

impl SentFrame {
    /// When it was sent, on this process's clock.
    pub(crate) fn at(&self) -> Instant {
        instant_of_monotonic_ns(self.mono_ns)
    }
}

/// A running camera with one stream, over TCP and UDP. Only frames that somebody watches are sent.
#[derive(Debug)]
pub(crate) struct RtspServer {
    // Before `dir`: fields are dropped in order, and the process still writes there.
    process: Process,
    dir: TempDir,
    port: u16,
    options: RtspOptions,
}

impl RtspServer {
    /// A camera that listens.
    pub(crate) async fn start(options: RtspOptions) -> RtspServer {
        let dir = super::temp_dir();
        let process = spawn(dir.path(), 0, &options);
        let mut server = RtspServer {
            dir,
            port: 0,
            options,
            process,
        };
        server.listens().await;
        server
    }

    /// `rtsp://127.0.0.1:port/cam`, without user and password.
    pub(crate) fn url(&self) -> String {
        format!("rtsp://127.0.0.1:{}/cam", self.port)
    }

    /// The frames sent so far to anyone, oldest first, since the last (re)start.
    pub(crate) fn sent(&self) -> Vec<SentFrame> {
        let log = std::fs::read_to_string(self.dir.path().join("sent.jsonl")).unwrap_or_default();
        // The last line may be half written.
        let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Power cut: connections are reset or hang.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Power is back: the same address, frames counted from 0 again.
    pub(crate) async fn restart(&mut self) {
        self.process.kill();
        self.process = spawn(self.dir.path(), self.port, &self.options);
        self.listens().await;
    }

    /// The connection stays open, nothing comes; until [`RtspServer::thaw`].
    pub(crate) fn freeze(&mut self) {
        self.process.freeze();
    }

    /// Goes on after [`RtspServer::freeze`].
    pub(crate) fn thaw(&mut self) {
        self.process.thaw();
    }

    async fn listens(&mut self) {
        let process = &mut self.process;
        let mut port = None;
        eventually("rtsp server listens", Duration::from_secs(30), || {
            if let Some(status) = process.exited() {
                panic!("rtsp server ended, {status}");
            }
            port = process
                .output()
                .lines()
                .filter_map(|line| line.strip_prefix("READY "))
                .next_back()
                .map(|port| port.parse().unwrap());
            port.is_some()
        })
        .await;
        self.port = port.unwrap();
    }
}

fn spawn(dir: &Path, port: u16, options: &RtspOptions) -> Process {
    let mut command = Command::new(PYTHON);
    command
        .arg(super::in_package("tests/it/peers/rtsp_server.py"))
        .args(["--port", &port.to_string()])
        .args(["--fps", &options.fps.to_string()])
        .args(["--gop", &options.gop.to_string()])
        .args(["--user", "viewer", "--password", "fixture-pass"])
        .arg("--log")
        .arg(dir.join("sent.jsonl"))
        .arg("--codec")
        .arg(match options.codec {
            RtspCodec::H264 => "h264",
            RtspCodec::H265 => "h265",
        })
        .arg("--auth")
        .arg(match options.auth {
            RtspAuth::None => "none",
            RtspAuth::Basic => "basic",
            RtspAuth::Digest => "digest",
        });
    if let Some(file) = &options.file {
        command.arg("--file").arg(file);
    }
    // The registry of plugins is kept per user; tests that run at once would all rewrite it.
    command.env("GST_REGISTRY_UPDATE", "no");
    let output = dir.join("rtsp_server.log");
    // A READY line of an earlier life must not be taken for one of this life.
    drop(std::fs::remove_file(&output));
    Process::start("rtsp server", &mut command, &output)
}

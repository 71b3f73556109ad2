//! The contract of linkages against a police platform in another language: grpcio.

use std::path::PathBuf;
use std::sync::Arc;

use stairgate::linkage::Linkage;
use stairgate::linkage::grpc::Grpc;
use tempfile::TempDir;

use super::contract::{Peer, PeerManner, suite};
use super::grpc::grpc;
use super::receiver::SECRET;
use crate::harness::{Logs, python, temp_dir};

struct Platform {
    dir: TempDir,
    manner: PathBuf,
    process: Option<python::Peer>,
    port: u16,
    /// What earlier lives took.
    taken: Vec<(String, u64)>,
}

impl Platform {
    async fn start() -> Platform {
        let dir = temp_dir();
        let mut platform = Platform {
            manner: dir.path().join("manner"),
            dir,
            process: None,
            port: 0,
            taken: Vec::new(),
        };
        platform.behave(PeerManner::Takes);
        platform.come_back().await;
        platform
    }
}

impl Peer for Platform {
    fn linkage(&self) -> Arc<dyn Linkage> {
        let url = format!("http://127.0.0.1:{}", self.port).parse().unwrap();
        Arc::new(Grpc::new(grpc("police", url)).unwrap())
    }

    fn behave(&self, manner: PeerManner) {
        let word = match manner {
            PeerManner::Takes => "takes",
            PeerManner::Refuses => "refuses",
            PeerManner::NotReady => "not-ready",
            PeerManner::Hangs => "hangs",
            PeerManner::BreaksOff => "breaks-off",
        };
        // Never half written: it is read at any moment.
        let new = self.manner.with_extension("new");
        std::fs::write(&new, word).unwrap();
        std::fs::rename(&new, &self.manner).unwrap();
    }

    fn taken(&self) -> Vec<(String, u64)> {
        let Some(process) = &self.process else {
            return self.taken.clone();
        };
        let lines = process.lines().into_iter().map(|line| {
            let alert = &line["alert"];
            let revision = alert["revision"].as_u64().unwrap();
            (alert["alert_id"].as_str().unwrap().to_owned(), revision)
        });
        lines.collect()
    }

    async fn vanish(&mut self) {
        self.taken = self.taken();
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    async fn come_back(&mut self) {
        let port = self.port.to_string();
        let manner = self.manner.to_str().unwrap();
        let args = ["--port", &port, "--token", SECRET, "--manner", manner];
        let (process, port) = python::Peer::serve("grpc_platform.py", &args, self.dir.path()).await;
        self.process = Some(process);
        self.port = port;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_in_python_is_served_by_the_same_contract() {
    let _logs = Logs::capture();
    suite(Platform::start().await).await;
}

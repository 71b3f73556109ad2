//! Peers in Python: receivers and readers of alerts that share no code with the gateway.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::process::Process;
use super::wait::eventually;

/// Made by `deploy/setup.sh test` from `tests/it/peers/requirements.txt`.
const PYTHON: &str = "target/peers/bin/python";
/// From start to "READY": grpcio is loaded and makes its stubs.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A running peer that prints JSON lines.
#[derive(Debug)]
pub(crate) struct Peer {
    process: Process,
}

/// The command that runs `script` of `tests/it/peers` with `args`.
pub(crate) fn command(script: &str, args: &[&str]) -> Command {
    let python = super::in_package(PYTHON);
    assert!(
        python.exists(),
        "{PYTHON} is missing: deploy/setup.sh test makes it"
    );
    let mut command = Command::new(python);
    command
        .arg(super::in_package(&format!("tests/it/peers/{script}")))
        .args(args)
        // No __pycache__ in the source tree.
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Runs `script` to its end, at most a minute; the JSON line it prints last.
pub(crate) async fn run(script: &str, args: &[&str]) -> Value {
    let mut command = tokio::process::Command::from(command(script, args));
    command.kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(60), command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("{script} ends")).unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{script}: {text}{errors}");
    serde_json::from_str(text.lines().last().unwrap_or_default())
        .unwrap_or_else(|err| panic!("{script} printed no JSON, {err}: {text}{errors}"))
}

impl Peer {
    /// Starts `script`; what it prints goes to a file in `dir`.
    pub(crate) fn spawn(script: &str, args: &[&str], dir: &Path) -> Peer {
        let log = dir.join(format!("{script}.log"));
        let process = Process::start(script, &mut command(script, args), &log);
        Peer { process }
    }

    /// The same, and waits until it listens; its port.
    pub(crate) async fn serve(script: &str, args: &[&str], dir: &Path) -> (Peer, u16) {
        let mut peer = Peer::spawn(script, args, dir);
        let n_before = peer.ports().len();
        eventually("a Python peer listens", READY_WITHIN, || {
            if let Some(status) = peer.process.exited() {
                panic!("{script} ended, {status}:\n{}", peer.process.output());
            }
            peer.ports().len() > n_before
        })
        .await;
        let port = *peer.ports().last().unwrap();
        (peer, port)
    }

    fn ports(&self) -> Vec<u16> {
        let output = self.process.output();
        let ready = output
            .lines()
            .filter_map(|line| line.strip_prefix("READY "));
        ready.map(|port| port.parse().unwrap()).collect()
    }

    /// The JSON lines it has printed, of all its lives.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let output = self.process.output();
        let whole = output.lines().filter(|line| line.starts_with('{'));
        // The last line may be half written.
        whole
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }
}

//! The gateway's own program: started with a configuration, killed, started again.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use stairgate::domain::role::Role;

use super::http;
use super::logs;
use super::process::Process;
use super::wait::eventually_ok;

/// Longest time from start to `/readyz`, in a debug build beside other tests.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// `stairgate run` as a process. Warnings in its log that were not expected fail the test at
/// [`Gateway::stop`], or when it is dropped.
#[derive(Debug)]
pub(crate) struct Gateway {
    config: PathBuf,
    web: String,
    envs: Vec<(String, String)>,
    expected: Vec<String>,
    process: Process,
}

/// The account as which the harness asks: an admin.
const HARNESS: &str = "harness";

/// Makes a token for the gateway of `config`; what asks at `web` without naming another sends it.
fn know(config: &Path, web: &str) {
    if http::token_of(web).is_some() {
        return;
    }
    // What cannot be used ends the gateway at once; that is its test's affair.
    let Ok(config) = stairgate::config::load(config) else {
        return;
    };
    let name = HARNESS.parse().unwrap();
    let now = stairgate::time::Clock::system().now();
    let token = stairgate::account::make_token(&config.web.accounts_file, &name, Role::Admin, now);
    http::know(web, token.unwrap().reveal());
}

/// The built program.
pub(crate) fn program() -> &'static str {
    env!("CARGO_BIN_EXE_stairgate")
}

/// Runs `stairgate` with `args` to its end, at most 60 s.
pub(crate) async fn run(args: &[&str]) -> std::process::Output {
    let mut command = tokio::process::Command::new(program());
    command.args(args).kill_on_drop(true);
    tokio::time::timeout(Duration::from_secs(60), command.output())
        .await
        .unwrap_or_else(|_| panic!("stairgate {args:?} ends within 60 s"))
        .unwrap()
}

impl Gateway {
    /// Starts `stairgate run --config {config}`, whose `[web] listen` is `web` (host:port), with
    /// `envs` added to the environment; does not wait. Its log goes beside `config`.
    pub(crate) fn spawn(config: &Path, web: &str, envs: &[(&str, &str)]) -> Gateway {
        know(config, web);
        let envs: Vec<_> = envs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        Gateway {
            config: config.to_owned(),
            web: format!("http://{web}"),
            process: spawn(config, &envs),
            envs,
            expected: Vec::new(),
        }
    }

    /// Starts it and waits until it is ready.
    pub(crate) async fn start(config: &Path, web: &str) -> Gateway {
        let mut gateway = Gateway::spawn(config, web, &[]);
        gateway.ready().await;
        gateway
    }

    /// Waits until `/readyz` says 200; fails when the program ends before.
    pub(crate) async fn ready(&mut self) {
        let url = self.url("/readyz");
        let process = &mut self.process;
        eventually_ok("gateway ready", READY_WITHIN, || {
            if let Some(status) = process.exited() {
                panic!("gateway ended before it was ready, {status}");
            }
            let url = url.clone();
            async move {
                let answer = http::get(&url).await.map_err(|err| err.to_string())?;
                match answer.status {
                    200 => Ok(()),
                    status => Err(format!("{status}: {}", answer.text())),
                }
            }
        })
        .await;
    }

    /// Log lines that contain `part` are no surprise in this test.
    pub(crate) fn expect(&mut self, part: &str) {
        self.expected.push(part.to_owned());
    }

    /// `http://host:port{path}`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.web)
    }

    /// `GET path` as an admin; fails the test when the gateway does not answer.
    pub(crate) async fn get(&self, path: &str) -> http::Answer {
        http::get(&self.url(path)).await.unwrap()
    }

    /// All its log lines so far, of all its lives.
    pub(crate) fn log(&self) -> String {
        self.process.output()
    }

    /// How it ended; `None` while it runs. For crash points that end it from inside.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.process.exited()
    }

    /// `kill -9`.
    pub(crate) fn crash(&mut self) {
        self.process.kill();
    }

    /// Starts it again with the same configuration and without the `envs` it was started with, and
    /// waits until it is ready.
    pub(crate) async fn restart(&mut self) {
        self.process.kill();
        self.envs.clear();
        self.process = spawn(&self.config, &self.envs);
        self.ready().await;
    }

    /// `kill -9` if it runs, and starts it again as it was started; does not wait.
    pub(crate) fn start_again(&mut self) {
        self.process.kill();
        self.process = spawn(&self.config, &self.envs);
    }

    /// SIGHUP: it takes in its configuration again.
    pub(crate) fn reload(&mut self) {
        self.process.hang_up();
    }

    /// Its resident memory, in bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line
            .and_then(|line| line.split_whitespace().nth(1))
            .unwrap();
        kib.parse::<u64>().unwrap() << 10
    }

    /// SIGTERM; it must end with exit code 0 within `within`, and its log must be clean.
    pub(crate) async fn stop(mut self, within: Duration) {
        let status = self.process.terminate(within).await;
        assert!(status.success(), "gateway stops in order: {status}");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.process.kill();
        if !std::thread::panicking() {
            let lines = logs::warnings_of(&self.process.output());
            let surprises = logs::surprises(&lines, &self.expected);
            assert!(
                surprises.is_empty(),
                "gateway log lines that this test did not expect:\n{}",
                surprises.join("\n")
            );
        }
    }
}

fn spawn(config: &Path, envs: &[(String, String)]) -> Process {
    let mut command = Command::new(program());
    command.args(["run", "--config"]).arg(config);
    command.envs(envs.iter().map(|(key, value)| (key, value)));
    Process::start("stairgate", &mut command, &config.with_extension("log"))
}

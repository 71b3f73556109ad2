//! A neighbour process that ends with its guard.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::wait::eventually;

/// A child process; dropping it kills it by its pid and reaps it.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    output: PathBuf,
}

impl Process {
    /// Starts `command` with standard output and error appended to `output`.
    pub(crate) fn start(name: &str, command: &mut Command, output: &Path) -> Process {
        let out = File::options()
            .create(true)
            .append(true)
            .open(output)
            .unwrap();
        let err = out.try_clone().unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .unwrap_or_else(|err| {
                panic!(
                    "start {name} ({:?}): {err}; deploy/setup.sh installs it",
                    command.get_program()
                )
            });
        Process {
            name: name.to_owned(),
            child,
            output: output.to_owned(),
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// All it printed so far, of all its lives.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// How it ended; `None` while it runs.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// `kill -9`, and it is gone when this returns.
    pub(crate) fn kill(&mut self) {
        if self.exited().is_none() {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }

    /// Stands still without closing anything, like a frozen device; until [`Process::thaw`].
    pub(crate) fn freeze(&mut self) {
        self.signal(Signal::STOP);
    }

    /// Goes on after [`Process::freeze`].
    pub(crate) fn thaw(&mut self) {
        self.signal(Signal::CONT);
    }

    /// SIGHUP.
    pub(crate) fn hang_up(&mut self) {
        self.signal(Signal::HUP);
    }

    /// SIGTERM, and how it ended; fails the test when it still runs after `within`.
    pub(crate) async fn terminate(&mut self, within: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        let what = format!("{} ends after SIGTERM", self.name);
        eventually(&what, within, || self.exited().is_some()).await;
        self.exited().unwrap()
    }

    /// Sends `signal` unless it has ended.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.exited().is_none() {
            let pid = Pid::from_child(&self.child);
            kill_process(pid, signal).unwrap();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // No panic here: the test may be on its way out with one already.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            eprintln!("--- {} printed ---\n{}", self.name, self.output());
        }
    }
}

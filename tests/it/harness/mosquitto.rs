//! A real mosquitto with a folder of its own.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;

use super::net::free_port;
use super::process::Process;
use super::tls::{self, TlsFiles};
use super::wait::eventually_ok;

/// How the broker is set up; the default is plain TCP, nobody asked for a password.
#[derive(Debug, Default)]
pub(crate) struct MosquittoOptions {
    /// User and password pairs; none: anonymous.
    pub(crate) users: Vec<(&'static str, &'static str)>,
    /// TLS with a certificate made for this test; [`Mosquitto::tls`] has its authority.
    pub(crate) tls: bool,
    /// Text of an ACL file.
    pub(crate) acl: Option<&'static str>,
    /// More lines of its configuration.
    pub(crate) extra: String,
}

/// A running (or killed) broker; its sessions live on disk, saved each second.
#[derive(Debug)]
pub(crate) struct Mosquitto {
    // Before `dir`: fields are dropped in order, and the process still writes there.
    process: Process,
    dir: TempDir,
    port: u16,
    tls: Option<TlsFiles>,
    users: Vec<(&'static str, &'static str)>,
}

impl Mosquitto {
    /// A broker that accepts connections.
    pub(crate) async fn start(options: MosquittoOptions) -> Mosquitto {
        let dir = super::temp_dir();
        let tls = options.tls.then(|| tls::make(dir.path()));
        let port = free_port();
        write_config(dir.path(), port, &options, tls.as_ref());
        let process = spawn(dir.path());
        let mut broker = Mosquitto {
            dir,
            port,
            tls,
            users: options.users,
            process,
        };
        broker.accepts().await;
        broker
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// `mqtt://127.0.0.1:port` or `mqtts://localhost:port`.
    pub(crate) fn url(&self) -> String {
        match self.tls {
            Some(_) => format!("mqtts://localhost:{}", self.port),
            None => format!("mqtt://127.0.0.1:{}", self.port),
        }
    }

    /// Its certificate files, when it has TLS.
    pub(crate) fn tls(&self) -> Option<&TlsFiles> {
        self.tls.as_ref()
    }

    /// Its log.
    pub(crate) fn log(&self) -> String {
        self.process.output()
    }

    /// `kill -9`; what was not saved in the last second is lost.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Ends it in order; it saves its sessions.
    pub(crate) async fn stop(&mut self) {
        self.process.terminate(Duration::from_secs(10)).await;
    }

    /// Is `text` (a client id, a topic) in what it has saved?
    pub(crate) fn has_saved(&self, text: &str) -> bool {
        let saved = std::fs::read(self.dir.path().join("mosquitto.db")).unwrap_or_default();
        let text = text.as_bytes();
        saved.windows(text.len()).any(|window| window == text)
    }

    /// `kill -9`, and what it had saved is gone: sessions, queues, retained messages.
    pub(crate) fn forget(&mut self) {
        self.process.kill();
        if let Err(err) = std::fs::remove_file(self.dir.path().join("mosquitto.db")) {
            // It may not have saved anything yet.
            assert_eq!(err.kind(), std::io::ErrorKind::NotFound, "{err}");
        }
    }

    /// Starts it again on the same port and folder.
    pub(crate) async fn restart(&mut self) {
        self.process.kill();
        self.process = spawn(self.dir.path());
        self.accepts().await;
    }

    /// Connections stay open, nothing is answered; until [`Mosquitto::thaw`].
    pub(crate) fn freeze(&mut self) {
        self.process.freeze();
    }

    /// Goes on after [`Mosquitto::freeze`].
    pub(crate) fn thaw(&mut self) {
        self.process.thaw();
    }

    /// Publishes with QoS 1 through `mosquitto_pub`; returns when the broker has acknowledged.
    pub(crate) async fn publish(&self, topic: &str, payload: &str, retain: bool) {
        let mut args = vec!["-q", "1", "-t", topic, "-m", payload];
        if retain {
            args.push("-r");
        }
        let output = self.client("mosquitto_pub", &args).await;
        assert!(output.status.success(), "mosquitto_pub: {output:?}");
    }

    /// The same as another of its users; the broker acknowledges also what it then drops for want of
    /// rights.
    pub(crate) async fn publish_as(&self, user: (&str, &str), topic: &str, payload: &str) {
        let args = ["-q", "1", "-r", "-t", topic, "-m", payload];
        let output = self.client_as(Some(user), "mosquitto_pub", &args).await;
        assert!(output.status.success(), "mosquitto_pub: {output:?}");
    }

    /// The first `n` messages that match `filter` (retained ones count), within 10 s.
    pub(crate) async fn receive(&self, filter: &str, n: usize) -> Vec<String> {
        self.receive_within(filter, n, Duration::from_secs(10))
            .await
    }

    /// The first `n` messages that match `filter`, in whole seconds.
    pub(crate) async fn receive_within(
        &self,
        filter: &str,
        n: usize,
        within: Duration,
    ) -> Vec<String> {
        let (n, seconds) = (n.to_string(), within.as_secs().to_string());
        let args = ["-q", "1", "-t", filter, "-C", &n, "-W", &seconds];
        let output = self.client("mosquitto_sub", &args).await;
        assert!(
            output.status.success(),
            "mosquitto_sub {filter}: {output:?}"
        );
        lines(output)
    }

    /// All retained messages that `user` may see of `filter`.
    pub(crate) async fn retained_as(&self, user: (&str, &str), filter: &str) -> Vec<String> {
        let args = ["-q", "1", "-t", filter, "--retained-only", "-W", "1"];
        lines(self.client_as(Some(user), "mosquitto_sub", &args).await)
    }

    async fn client(&self, program: &str, args: &[&str]) -> std::process::Output {
        self.client_as(self.users.first().copied(), program, args)
            .await
    }

    async fn client_as(
        &self,
        user: Option<(&str, &str)>,
        program: &str,
        args: &[&str],
    ) -> std::process::Output {
        let mut access = Vec::new();
        if let Some(tls) = &self.tls {
            access.extend(["--cafile", tls.ca.to_str().unwrap()]);
        }
        if let Some((user, password)) = user {
            access.extend(["-u", user, "-P", password]);
        }
        access.extend(args);
        client(self.port, program, &access).await
    }

    async fn accepts(&mut self) {
        let addr = self.addr();
        let process = &mut self.process;
        eventually_ok(
            "mosquitto accepts connections",
            Duration::from_secs(10),
            || {
                if let Some(status) = process.exited() {
                    panic!("mosquitto ended, {status}:\n{}", process.output());
                }
                TcpStream::connect(addr)
            },
        )
        .await;
    }
}

/// Publishes with QoS 1 through `mosquitto_pub` to any broker of this machine that asks no password;
/// returns when it has acknowledged.
pub(crate) async fn publish_at(port: u16, topic: &str, payload: &str) {
    let args = ["-q", "1", "-t", topic, "-m", payload];
    let output = client(port, "mosquitto_pub", &args).await;
    assert!(output.status.success(), "mosquitto_pub: {output:?}");
}

async fn client(port: u16, program: &str, args: &[&str]) -> std::process::Output {
    let mut command = tokio::process::Command::new(program);
    command
        .args(["-h", "localhost", "-p", &port.to_string()])
        .args(args)
        .kill_on_drop(true);
    // Each ends by itself, at its own time-out.
    tokio::time::timeout(Duration::from_secs(90), command.output())
        .await
        .unwrap_or_else(|_| panic!("{program} ends"))
        .unwrap_or_else(|err| panic!("start {program}: {err}; deploy/setup.sh installs it"))
}

fn lines(output: std::process::Output) -> Vec<String> {
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn spawn(dir: &Path) -> Process {
    // Debian keeps it in /usr/sbin, which is not on every user's PATH.
    let debian = PathBuf::from("/usr/sbin/mosquitto");
    let program = if debian.exists() {
        debian
    } else {
        PathBuf::from("mosquitto")
    };
    let mut command = Command::new(program);
    command.arg("-c").arg(dir.join("mosquitto.conf"));
    Process::start("mosquitto", &mut command, &dir.join("mosquitto.log"))
}

fn write_config(dir: &Path, port: u16, options: &MosquittoOptions, tls: Option<&TlsFiles>) {
    // `user root`: when root starts it, it would become another user that cannot read the folder.
    let mut conf = format!(
        "user root\nlistener {port} 127.0.0.1\nsocket_domain ipv4\nlog_dest stderr\nlog_type all\n\
         persistence true\npersistence_location {}/\nautosave_interval 1\n\
         max_queued_messages 0\nset_tcp_nodelay true\n",
        dir.display()
    );
    if let Some(tls) = tls {
        let (ca, cert, key) = (tls.ca.display(), tls.cert.display(), tls.key.display());
        writeln!(conf, "cafile {ca}\ncertfile {cert}\nkeyfile {key}").unwrap();
    }
    if options.users.is_empty() {
        conf.push_str("allow_anonymous true\n");
    } else {
        let file = dir.join("passwords");
        std::fs::write(&file, "").unwrap();
        for (user, password) in &options.users {
            let status = Command::new("mosquitto_passwd")
                .arg("-b")
                .arg(&file)
                .args([user, password])
                .status()
                .unwrap();
            assert!(status.success(), "mosquitto_passwd: {status}");
        }
        writeln!(
            conf,
            "allow_anonymous false\npassword_file {}",
            file.display()
        )
        .unwrap();
    }
    if let Some(acl) = options.acl {
        let file = dir.join("acl");
        std::fs::write(&file, acl).unwrap();
        writeln!(conf, "acl_file {}", file.display()).unwrap();
    }
    conf.push_str(&options.extra);
    std::fs::write(dir.join("mosquitto.conf"), conf).unwrap();
}

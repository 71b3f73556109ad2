//! A program beside the bench: started, asked over HTTP, measured through `/proc`, ended.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use stairgate::account::make_token as make_token_of;
use stairgate::domain::role::Role;
use stairgate::time::Clock;
use tokio::time::Instant;

/// Longest wait for a program to begin its work.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// Longest wait for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The configuration of the gateway that was started last, and the bench's token for it.
static TOKEN: Mutex<(String, String)> = Mutex::new((String::new(), String::new()));

fn make_token(config: &Path) -> String {
    let config = stairgate::config::load(config).expect("the bench writes good configurations");
    let name = "bench".parse().expect("a good name");
    let now = Clock::system().now();
    let token = make_token_of(&config.web.accounts_file, &name, Role::Admin, now);
    token
        .expect("the accounts can be written")
        .reveal()
        .to_owned()
}

/// A running program; killed when dropped.
pub(crate) struct Program(Child);

/// Processor time and memory of a process so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// User and system time.
    pub(crate) cpu: Duration,
    /// Resident bytes that are its own (not mapped files).
    pub(crate) anonymous_bytes: u64,
}

impl Program {
    /// Starts `command` with its log in `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Program {
        let file = std::fs::File::create(log).expect("the log can be written");
        let out = file.try_clone().expect("a second handle of the log");
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(file)
            .spawn()
            .unwrap_or_else(|err| panic!("start {command:?}: {err}"));
        Program(child)
    }

    /// `stairgate` of the same build with `args`.
    pub(crate) fn stairgate(args: &[&str], log: &Path) -> Program {
        if let ["run", "--config", config] = args {
            let mut token = TOKEN.lock().expect("nobody panics with it");
            if token.0 != *config {
                *token = ((*config).to_owned(), make_token(Path::new(config)));
            }
        }
        Program::start(
            Command::new(env!("CARGO_BIN_EXE_stairgate")).args(args),
            log,
        )
    }

    /// What it has used.
    pub(crate) fn usage(&self) -> Usage {
        usage_of(self.0.id())
    }

    /// Waits until `addr` answers `/readyz` with 200; returns how long that took.
    pub(crate) fn ready(&mut self, addr: SocketAddr, log: &Path) -> Duration {
        let begun = Instant::now();
        while begun.elapsed() < READY_WITHIN {
            if let Ok(Some(status)) = self.0.try_wait() {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                panic!("the gateway ended with {status}:\n{said}");
            }
            if get(addr, "/readyz").is_ok_and(|(status, _)| status == 200) {
                return begun.elapsed();
            }
            std::thread::park_timeout(Duration::from_millis(2));
        }
        panic!("the gateway is not ready within {READY_WITHIN:?}");
    }

    /// SIGKILL, and waits for its end.
    pub(crate) fn kill(mut self) {
        self.0.kill().expect("it runs still");
        self.0.wait().expect("it ends");
    }

    /// SIGTERM, and waits for its end.
    pub(crate) fn stop(mut self) {
        let pid = i32::try_from(self.0.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)
                .expect("it runs still");
        }
        self.0.wait().expect("it ends");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Processor time and own memory of the process `pid`; zero when it is gone.
pub(crate) fn usage_of(pid: u32) -> Usage {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // After the name in parentheses: utime and stime are fields 14 and 15 (proc_pid_stat(5)), in 1/100 s.
    let fields: Vec<u64> = stat.rsplit_once(") ").map_or_else(Vec::new, |(_, tail)| {
        tail.split(' ')
            .map(|field| field.parse().unwrap_or(0))
            .collect()
    });
    let ticks = fields.get(11).unwrap_or(&0) + fields.get(12).unwrap_or(&0);
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|kib| kib.parse::<u64>().ok());
    Usage {
        cpu: Duration::from_millis(ticks * 10),
        anonymous_bytes: kib.unwrap_or(0) * 1_024,
    }
}

/// `GET path`: the status and the body as text. One connection for each call.
pub(crate) fn get(addr: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    let bytes = answer(addr, path)?;
    let text = String::from_utf8_lossy(&bytes);
    let status = text.split(' ').nth(1).and_then(|word| word.parse().ok());
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status.unwrap_or(0), body.to_owned()))
}

/// `GET path`: the whole answer as it came, head and body.
pub(crate) fn answer(addr: SocketAddr, path: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    let token = TOKEN.lock().expect("nobody panics with it").1.clone();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {addr}\r\nAuthorization: Bearer {token}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The values of the metric `name` (whatever its labels), as `/metrics` shows them.
pub(crate) fn metric(addr: SocketAddr, name: &str) -> Vec<f64> {
    let (_, text) = get(addr, "/metrics").expect("the gateway answers");
    let ours = text.lines().filter(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with([' ', '{']))
    });
    ours.filter_map(|line| line.rsplit(' ').next()?.parse().ok())
        .collect()
}

/// A port of loopback that is free now.
pub(crate) fn free_addr() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it has an address")
}

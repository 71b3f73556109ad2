//! `probe`: one look at one camera, by its URL or by its id in a configuration.

use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::printer::Printer;
use super::{Exit, block_on, load_config};
use crate::camera::{self, Codec, Probe, Transport};
use crate::domain::secret::Secret;
use crate::time::Clock;

/// Longest password file read, in bytes.
const PASSWORD_BYTES_MAX: u64 = 4_096;

#[derive(Debug, clap::Args)]
pub(super) struct ProbeArgs {
    /// The camera: an rtsp:// URL, or with --config its id.
    #[arg(value_name = "URL|CAMERA")]
    target: String,
    /// The configuration that knows the camera.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The user name.
    #[arg(long, requires = "password_file", conflicts_with = "config")]
    username: Option<String>,
    /// A file that holds the password.
    #[arg(
        long,
        value_name = "FILE",
        requires = "username",
        conflicts_with = "config"
    )]
    password_file: Option<PathBuf>,
    /// How RTP packets travel.
    #[arg(long, value_parser = ["tcp", "udp"], default_value = "tcp", conflicts_with = "config")]
    transport: String,
    /// How long to look, in seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    seconds: u64,
    /// Print what was found as JSON.
    #[arg(long)]
    json: bool,
}

/// What to look at.
struct Target {
    /// Such as `camera b03-u2-in`, for advice.
    whose: String,
    url: Url,
    login: Option<(String, Secret)>,
    transport: Transport,
}

pub(super) fn probe(args: &ProbeArgs, printer: &Printer) -> Exit {
    let target = match &args.config {
        Some(config) => configured(&args.target, config, printer),
        None => by_url(args).map_err(|why| {
            printer.err(&format!("stairgate: {why}"));
            Exit::Usage
        }),
    };
    match target {
        Ok(target) => block_on(printer, look(&target, args, printer)),
        Err(exit) => exit,
    }
}

fn configured(id: &str, file: &Path, printer: &Printer) -> Result<Target, Exit> {
    let config = load_config(file, printer)?;
    let found = config.cameras.into_iter().find(|c| c.id.as_str() == id);
    let Some(camera) = found else {
        let file = file.display();
        printer.err(&format!("stairgate: {file} has no camera {id:?}"));
        return Err(Exit::Failed);
    };
    Ok(Target {
        whose: format!("camera {}", camera.id),
        url: camera.url,
        login: camera.username.zip(camera.password),
        transport: camera.transport,
    })
}

fn by_url(args: &ProbeArgs) -> Result<Target, String> {
    const EXAMPLE: &str = "rtsp://192.0.2.10:554/path";
    // The text is not quoted: there may be a password in it.
    let mut url = Url::parse(&args.target).map_err(|err| {
        format!("the camera is no URL: {err} (write {EXAMPLE}, or a camera's id and --config)")
    })?;
    if url.scheme() != "rtsp" || url.host_str().is_none_or(str::is_empty) {
        return Err(format!("the camera is no rtsp:// URL (write {EXAMPLE})"));
    }
    let mut login = None;
    if !url.username().is_empty() {
        let username = percent_decoded(url.username());
        let password = percent_decoded(url.password().unwrap_or_default());
        login = Some((username, Secret::new(password)));
        let is_stripped = url.set_username("").is_ok() && url.set_password(None).is_ok();
        if !is_stripped {
            return Err(format!("the camera has no host (write {EXAMPLE})"));
        }
    }
    if let (Some(username), Some(file)) = (&args.username, &args.password_file) {
        login = Some((username.clone(), read_password(file)?));
    }
    Ok(Target {
        whose: "this camera".to_owned(),
        url,
        login,
        transport: match args.transport.as_str() {
            "udp" => Transport::Udp,
            _ => Transport::Tcp,
        },
    })
}

fn read_password(file: &Path) -> Result<Secret, String> {
    use std::io::Read as _;
    let read = || {
        let mut text = String::new();
        std::fs::File::open(file)?
            .take(PASSWORD_BYTES_MAX)
            .read_to_string(&mut text)?;
        Ok::<_, std::io::Error>(text)
    };
    match read() {
        Ok(text) => Ok(Secret::new(text.trim_end_matches(['\r', '\n']))),
        Err(err) => Err(format!("cannot read {}: {err}", file.display())),
    }
}

/// `%40` as `@`; what is no such pair of digits stays as it is.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let pair = tail.get(..2).filter(|_| *first == b'%');
        let mut decoded = [0];
        match pair.map(|pair| hex::decode_to_slice(pair, &mut decoded)) {
            Some(Ok(())) => {
                bytes.extend(decoded);
                rest = tail.get(2..).unwrap_or_default();
            }
            Some(Err(_)) | None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn look(target: &Target, args: &ProbeArgs, printer: &Printer) -> Exit {
    let within = Duration::from_secs(args.seconds);
    let clock = Clock::system();
    let has_login = target.login.is_some();
    let login = target.login.clone();
    match camera::probe(&target.url, login, target.transport, within, &clock).await {
        Ok(probe) if args.json => {
            let text = serde_json::to_string_pretty(&probe)
                .expect("numbers, texts and lists are always JSON");
            printer.out(&text);
            Exit::Done
        }
        Ok(probe) => {
            printer.out(&show(&probe));
            Exit::Done
        }
        Err(err) => {
            let advice = err.advice(&target.whose, has_login);
            let what = crate::error::chain(&err);
            printer.err(&format!("stairgate: {what}\n  {advice}"));
            Exit::Failed
        }
    }
}

fn show(probe: &Probe) -> String {
    const UNKNOWN: &str = "not known";
    let with = |value: Option<f64>, show: &dyn Fn(f64) -> String| {
        value.map_or_else(|| UNKNOWN.to_owned(), show)
    };
    let fps = with(probe.fps, &|fps| format!("{fps:.1} frames/s"));
    let rate = with(probe.bits_per_s, &|bits| {
        format!("{:.1} Mbit/s", bits / 1e6)
    });
    let keys = with(probe.key_frame_interval_s, &|s| format!("every {s:.1} s"));
    let clock = with(probe.clock_offset_s, &|s| format!("{s:+.1} s from ours"));
    let codec = match probe.codec {
        Codec::H264 => "H.264",
        Codec::H265 => "H.265",
    };
    let lines = [
        ("codec", format!("{codec} ({})", probe.rfc6381)),
        ("size", format!("{}x{}", probe.width, probe.height)),
        ("rate", format!("{fps}, {rate}")),
        ("key frames", keys),
        ("first frame", format!("after {} ms", probe.first_frame_ms)),
        ("lost packets", probe.lost_packets.to_string()),
        ("clock", clock),
        ("verdict", probe.verdict().replace("; ", "\n              ")),
    ];
    let lines = lines.map(|(name, value)| format!("{name:<14}{value}"));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_in_in_a_url_is_decoded() {
        assert_eq!(percent_decoded("p%40ss%3aw%f0%9f"), "p@ss:w\u{fffd}");
        assert_eq!(percent_decoded("100%"), "100%");
        assert_eq!(percent_decoded("%zz%4"), "%zz%4");
    }
}

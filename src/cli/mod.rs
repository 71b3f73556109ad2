//! The program: its commands, what they print and how they end.
//!
//! | exit | means |
//! |---|---|
//! | 0 | done |
//! | 1 | failed, or found something wrong |
//! | 2 | bad usage |
//! | 64 | bad configuration or roster |
//!
//! Results go to standard output; errors, warnings and the log to standard error. Only `printer`
//! writes.

mod accept_disk;
mod check_config;
mod demo;
mod export;
mod gateway_client;
mod import;
mod printer;
mod probe;
mod rotate_key;
mod run;
mod simulate;
mod user;
mod verify_store;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::config::{self, Config};
use crate::error::chain;
use printer::Printer;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Done,
    Failed,
    Usage,
    BadConfig,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::BadConfig => 64,
        })
    }
}

/// Keeps 30 seconds of stairwell video for every door-card swipe, and gets alerts to the police.
#[derive(Debug, Parser)]
#[command(
    name = "stairgate",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
Examples:
  stairgate demo
  stairgate check-config gateway.toml
  stairgate probe rtsp://192.0.2.10:554/main
  stairgate run --config gateway.toml

Exit status: 0 done, 1 failed, 2 bad usage, 64 bad configuration."
)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway until SIGTERM; SIGHUP takes in changed cameras, doors, linkages and limits.
    #[command(after_help = "Example:\n  stairgate run --config /etc/stairgate/gateway.toml")]
    Run {
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Name every mistake in a configuration and its roster at once, with line and key.
    #[command(after_help = "Example:\n  stairgate check-config gateway.toml")]
    CheckConfig {
        /// The configuration file.
        #[arg(default_value = "gateway.toml")]
        file: PathBuf,
    },
    /// Check every invariant of the store; the gateway must not be running.
    #[command(after_help = "Example:\n  stairgate verify-store --config gateway.toml")]
    VerifyStore {
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Take dwellings, cardholders and cards from an XLSX or CSV file into the ledger.
    #[command(after_help = "\
Examples:
  stairgate import roster.xlsx --dry-run
  stairgate import roster.xlsx --config /etc/stairgate/gateway.toml --token-file clerk.token
  stairgate import roster.csv --skip-refused --end-missing --why \"monthly list\"")]
    Import(#[command(flatten)] import::ImportArgs),
    /// Write the ledger, its report or an empty template as XLSX or CSV.
    #[command(after_help = "\
Examples:
  stairgate export --template template.xlsx
  stairgate export roster.xlsx --config /etc/stairgate/gateway.toml --token-file clerk.token
  stairgate export --report report.xlsx")]
    Export(#[command(flatten)] export::ExportArgs),
    /// Look at one camera: codec, size, rate, key frames, clock, and whether it is fit for clips.
    #[command(after_help = "\
Examples:
  stairgate probe rtsp://192.0.2.10:554/main --username admin --password-file secrets/cameras
  stairgate probe b03-u2-in --config gateway.toml")]
    Probe(#[command(flatten)] probe::ProbeArgs),
    /// Take footage.path as the footage disk from now on, after the old one was replaced; the
    /// gateway must not be running.
    #[command(after_help = "Example:\n  stairgate accept-disk --config gateway.toml")]
    AcceptDisk {
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Make a new key for names and card numbers in the ledger, and seal them anew; the gateway must
    /// not be running.
    #[command(after_help = "Example:\n  stairgate rotate-key --config gateway.toml")]
    RotateKey {
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Show everything on this machine alone: simulated cameras, doors and police, and the gateway.
    #[command(after_help = "Example:\n  stairgate demo --cameras 9")]
    Demo {
        /// Cameras, each with a door; 1 to 500.
        #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=500))]
        cameras: u16,
        /// Port of the API; 0 takes a free one.
        #[arg(long, default_value_t = 8080)]
        port: u16,
        /// End by itself after so long; else at Ctrl-C.
        #[arg(long)]
        seconds: Option<u64>,
    },
    /// Run one part of the demo alone, with faults.
    #[command(
        after_help = "Example:\n  stairgate simulate cameras --listen 127.0.0.1:8554 --cameras 4"
    )]
    Simulate {
        #[command(subcommand)]
        part: simulate::Part,
    },
    /// Accounts of people and programs, and their tokens; also while the gateway runs.
    #[command(after_help = "Example:\n  stairgate user token hall-screen --role duty-officer")]
    User {
        #[command(subcommand)]
        command: user::UserCommand,
    },
    /// Print the version.
    Version,
}

#[derive(Debug, clap::Args)]
struct ConfigArg {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", default_value = "gateway.toml")]
    config: PathBuf,
}

/// Runs the command of this process's arguments.
pub fn main() -> ExitCode {
    let printer = Printer::standard();
    let exit = match Args::try_parse() {
        Ok(args) => dispatch(args.command, &printer),
        Err(err) => usage(&err, &printer),
    };
    exit.into()
}

fn dispatch(command: Command, printer: &Printer) -> Exit {
    match command {
        Command::Run { config } => run::run(&config.config, printer),
        Command::CheckConfig { file } => check_config::check(&file, printer),
        Command::VerifyStore { config } => verify_store::verify(&config.config, printer),
        Command::Import(args) => import::import(&args, printer),
        Command::Export(args) => export::export(&args, printer),
        Command::Probe(args) => probe::probe(&args, printer),
        Command::AcceptDisk { config } => accept_disk::accept(&config.config, printer),
        Command::RotateKey { config } => rotate_key::rotate(&config.config, printer),
        Command::Demo {
            cameras,
            port,
            seconds,
        } => demo::demo(cameras.into(), port, seconds, printer),
        Command::Simulate { part } => simulate::simulate(part, printer),
        Command::User { command } => user::user(&command, printer),
        Command::Version => {
            printer.out(concat!("stairgate ", env!("CARGO_PKG_VERSION")));
            Exit::Done
        }
    }
}

/// Help and version are asked for; everything else is a mistake.
fn usage(err: &clap::Error, printer: &Printer) -> Exit {
    use clap::error::ErrorKind;
    let text = err.render();
    if matches!(
        err.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        printer.out(&text.to_string());
        return Exit::Done;
    }
    printer.err(&text.to_string());
    Exit::Usage
}

/// The configuration; its problems are printed when it cannot be used.
fn load_config(file: &Path, printer: &Printer) -> Result<Config, Exit> {
    config::load(file).map_err(|errors| {
        printer.err(&errors.to_string());
        for warning in &errors.warnings {
            printer.warn(&warning.show(&errors.file));
        }
        Exit::BadConfig
    })
}

/// Prints why a command failed, with all its causes.
fn failed(printer: &Printer, err: &(dyn std::error::Error + 'static)) -> Exit {
    printer.err(&format!("stairgate: {}", chain(err)));
    Exit::Failed
}

/// Waits for Ctrl-C, SIGTERM, or the end of the time that was given.
async fn ended(seconds: Option<u64>) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let time_is_up = async {
        match seconds {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = time_is_up => {}
    }
    Ok(())
}

/// How long work on the blocking pool that nobody waits for any more (a read of a disk that hangs) may keep
/// the process from its end.
const LEFT_BEHIND_MAX: Duration = Duration::from_secs(1);

/// Runs `work` on a runtime of its own.
fn block_on<F: Future<Output = Exit>>(printer: &Printer, work: F) -> Exit {
    match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => {
            let exit = runtime.block_on(work);
            runtime.shutdown_timeout(LEFT_BEHIND_MAX);
            exit
        }
        Err(err) => failed(printer, &err),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_well_formed() {
        use clap::CommandFactory as _;
        Args::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example_or_needs_none() {
        use clap::CommandFactory as _;
        let command = Args::command();
        for sub in command.get_subcommands() {
            let has_example = sub
                .get_after_help()
                .is_some_and(|help| help.to_string().contains("Example"));
            assert!(
                has_example || sub.get_name() == "version",
                "{}",
                sub.get_name()
            );
        }
    }
}

//! `run`: the gateway itself.

use std::path::{Path, PathBuf};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::printer::Printer;
use super::{Exit, block_on, failed, load_config};
use crate::config;
use crate::error::chain;
use crate::gateway::{BuildError, Gateway, Request};
use crate::roster::RosterOpenError;
use crate::telemetry::init_logs;
use crate::time::Clock;

pub(super) fn run(file: &Path, printer: &Printer) -> Exit {
    let config = match load_config(file, printer) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    if let Err(err) = init_logs(&config.log) {
        failed(printer, &err);
        return Exit::BadConfig;
    }
    for problem in &config.warnings {
        warn!(problem = %problem.show(&config.file), "configuration");
    }
    block_on(printer, async {
        match Gateway::build(config, Clock::system()).await {
            Ok(gateway) => Box::pin(serve(gateway, file.to_owned(), printer)).await,
            Err(err @ BuildError::Roster(RosterOpenError::File(_))) => {
                failed(printer, &err);
                Exit::BadConfig
            }
            Err(err) => failed(printer, &err),
        }
    })
}

async fn serve(gateway: Gateway, file: PathBuf, printer: &Printer) -> Exit {
    let stop = CancellationToken::new();
    // One request at a time: a second SIGHUP while one is worked on is told apart by its file.
    let (requests_tx, requests) = mpsc::channel(1);
    let signals = match Signals::install() {
        Ok(signals) => signals,
        Err(err) => return failed(printer, &err),
    };
    if let Some(link) = gateway.setup_link() {
        printer.out(&format!(
            "Nobody can log in yet. Open this link within 24 h, once, to make the first admin:\n\
             尚无可登录的账户。请在 24 小时内打开此链接（仅一次有效），创建首位管理员：\n  {link}"
        ));
    }
    let run = gateway.run(stop.clone(), requests);
    tokio::select! {
        result = run => match result {
            Ok(()) => Exit::Done,
            Err(err) => failed(printer, &err),
        },
        // Ends only at the second signal, which means: at once.
        () = signals.listen(&stop, &requests_tx, &file) => Exit::Failed,
    }
}

struct Signals {
    end: Signal,
    interrupt: Signal,
    reload: Signal,
}

impl Signals {
    fn install() -> std::io::Result<Signals> {
        Ok(Signals {
            end: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reload: signal(SignalKind::hangup())?,
        })
    }

    async fn listen(
        mut self,
        stop: &CancellationToken,
        requests: &mpsc::Sender<Request>,
        file: &Path,
    ) {
        loop {
            tokio::select! {
                Some(()) = self.end.recv() => {}
                Some(()) = self.interrupt.recv() => {}
                Some(()) = self.reload.recv() => {
                    reload(requests, file);
                    continue;
                }
            }
            if stop.is_cancelled() {
                warn!("second signal: ending at once");
                return;
            }
            info!("signal: ending in order; a second one ends at once");
            stop.cancel();
        }
    }
}

fn reload(requests: &mpsc::Sender<Request>, file: &Path) {
    match config::load(file) {
        Ok(config) => {
            if requests
                .try_send(Request::Reload(Box::new(config)))
                .is_err()
            {
                warn!("a configuration is being taken in already; send SIGHUP again");
            }
        }
        Err(errors) => {
            error!(error = %chain(&errors), "the new configuration cannot be used; the old one stays");
        }
    }
}

//! `export`: the ledger, its report, or an empty template, as a file.

use std::path::{Path, PathBuf};

use super::gateway_client::{Answer, GatewayArgs, GatewayClient};
use super::import::{cannot_open, language, language_here};
use super::printer::Printer;
use super::{ConfigArg, Exit, block_on, failed, load_config};
use crate::audit;
use crate::config::Config;
use crate::domain::audit::{AuditAct, AuditEvent};
use crate::error::chain;
use crate::file::replace_private;
use crate::gateway::OpenLedger;
use crate::roster::sheet::{FileFormat, Language, MadeFile, template};
use crate::store::StoreError;
use crate::supervise::blocking;
use crate::time::Clock;

/// What to write.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(false).args(["file", "report", "template"]))]
pub(super) struct ExportArgs {
    /// Everything that an import takes, with names and card numbers; .xlsx or .csv.
    file: Option<PathBuf>,
    /// All dwellings with area, limit, cardholders and free places, those over their limit first.
    #[arg(long, value_name = "FILE.xlsx")]
    report: Option<PathBuf>,
    /// An empty roster with explanations; needs neither a configuration nor a gateway.
    #[arg(long, value_name = "FILE.xlsx")]
    template: Option<PathBuf>,
    /// Language of words: en or zh; default: as the terminal's.
    #[arg(long, value_parser = language)]
    lang: Option<Language>,
    #[command(flatten)]
    gateway: GatewayArgs,
    #[command(flatten)]
    config: ConfigArg,
}

enum What {
    Roster(FileFormat),
    Report,
}

pub(super) fn export(args: &ExportArgs, printer: &Printer) -> Exit {
    if let Some(file) = &args.template {
        return match template() {
            Ok(bytes) => save(file, &bytes, printer),
            Err(err) => failed(printer, &err),
        };
    }
    let (file, what) = match (&args.file, &args.report) {
        (Some(file), _) => match format_of(file) {
            Some(format) => (file, What::Roster(format)),
            None => {
                printer.err("stairgate: the file's name must end in .xlsx or .csv");
                return Exit::Usage;
            }
        },
        (None, Some(file)) => (file, What::Report),
        (None, None) => return Exit::Usage,
    };
    let config = match load_config(&args.config.config, printer) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let client = match GatewayClient::of(&args.gateway, &config) {
        Ok(client) => client,
        Err(err) => return failed(printer, &err),
    };
    let lang = args.lang.unwrap_or_else(language_here);
    let made = block_on_bytes(printer, async {
        match client {
            Some(client) => ask(&client, &what, lang, printer).await,
            None => make_here(&config, &what, lang, printer).await,
        }
    });
    match made {
        Ok(bytes) => save(file, &bytes, printer),
        Err(exit) => exit,
    }
}

fn format_of(file: &Path) -> Option<FileFormat> {
    match file.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "xlsx" => Some(FileFormat::Xlsx),
        "csv" => Some(FileFormat::Csv),
        _ => None,
    }
}

/// Runs `work` on a runtime of its own and brings its bytes out.
fn block_on_bytes(
    printer: &Printer,
    work: impl Future<Output = Result<Vec<u8>, Exit>>,
) -> Result<Vec<u8>, Exit> {
    let mut made = Err(Exit::Failed);
    let exit = block_on(printer, async {
        made = work.await;
        Exit::Done
    });
    match exit {
        Exit::Done => made,
        other => Err(other),
    }
}

async fn ask(
    client: &GatewayClient,
    what: &What,
    lang: Language,
    printer: &Printer,
) -> Result<Vec<u8>, Exit> {
    let lang = match lang {
        Language::En => "en",
        Language::Zh => "zh",
    };
    let path = match what {
        What::Roster(FileFormat::Xlsx) => format!("/api/v1/roster/export?format=xlsx&lang={lang}"),
        What::Roster(FileFormat::Csv) => format!("/api/v1/roster/export?format=csv&lang={lang}"),
        What::Report => "/api/v1/roster/report.xlsx".to_owned(),
    };
    match client.get(&path).await {
        Ok(Answer { status: 200, body }) => Ok(body),
        Ok(answer) => {
            printer.err(&format!("stairgate: {}", answer.problem()));
            Err(Exit::Failed)
        }
        Err(err) => Err(failed(printer, &err)),
    }
}

async fn make_here(
    config: &Config,
    what: &What,
    lang: Language,
    printer: &Printer,
) -> Result<Vec<u8>, Exit> {
    let ledger = OpenLedger::open(config, Clock::system()).await;
    let ledger = ledger.map_err(|err| cannot_open(&err, printer))?;
    let roster = ledger.roster().clone();
    let made = match what {
        What::Roster(format) => {
            let format = *format;
            blocking("export the roster", move || roster.export(format, lang)).await
        }
        What::Report => blocking("make the report", move || roster.report()).await,
    };
    let made = match made {
        Ok(Ok(made)) => record(&ledger, what, made).await,
        Ok(Err(err)) => Err(failed(printer, &err)),
        Err(err) => Err(failed(printer, &err)),
    };
    ledger.close().await;
    made?.map_err(|err| failed(printer, &err))
}

/// Records that the file is taken away; its bytes when that is durable.
async fn record(
    ledger: &OpenLedger,
    what: &What,
    made: MadeFile,
) -> Result<Result<Vec<u8>, StoreError>, Exit> {
    let (n_dwellings, n_cards) = (made.n_dwellings, made.n_cards);
    let (target, detail) = match what {
        What::Roster(_) => (
            "roster",
            format!("{n_dwellings} dwellings, {n_cards} cards"),
        ),
        What::Report => ("report", format!("{n_dwellings} dwellings")),
    };
    let at = ledger.roster().moment().at;
    let event = AuditEvent::by_command(at, AuditAct::Export, target, detail);
    let recorded = audit::append(ledger.store(), event).await;
    Ok(recorded.map(|_number| made.bytes))
}

/// Writes the file for its owner's eyes only: it may hold names and card numbers.
fn save(file: &Path, bytes: &[u8], printer: &Printer) -> Exit {
    match replace_private(file, bytes) {
        Ok(()) => {
            printer.out(&format!("{}: written", file.display()));
            Exit::Done
        }
        Err(err) => {
            printer.err(&format!(
                "stairgate: write {}: {}",
                file.display(),
                chain(&err)
            ));
            Exit::Failed
        }
    }
}

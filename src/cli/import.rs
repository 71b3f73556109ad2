//! `import`: a roster file into the ledger, or a look at what it would change.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use url::form_urlencoded;

use super::gateway_client::{GatewayArgs, GatewayClient};
use super::printer::Printer;
use super::{ConfigArg, Exit, block_on, failed, load_config};
use crate::audit;
use crate::config::Config;
use crate::domain::audit::{AuditAct, AuditEvent};
use crate::domain::role::Actor;
use crate::gateway::{BuildError, OpenLedger};
use crate::roster::sheet::{
    FILE_BYTES_MAX, FindingLine, ImportError, ImportOptions, ImportReport, Language, Missing,
    Progress, import as import_file,
};
use crate::roster::{BeyondLimit, Mode};
use crate::store::StoreError;
use crate::time::Clock;

/// Width of the progress bar, in characters.
const BAR_CHARS: usize = 30;

/// What to import, and how.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct ImportArgs {
    /// An XLSX or CSV file; `stairgate export --template FILE` writes an empty one.
    file: PathBuf,
    /// Only show what would change and which rows would be refused.
    #[arg(long)]
    dry_run: bool,
    /// Take the other rows when some are refused; without it nothing is taken then.
    #[arg(long)]
    skip_refused: bool,
    /// In the dwellings that the file names: take cardholders off the list and revoke cards that it
    /// does not name.
    #[arg(long)]
    end_missing: bool,
    /// Take persons beyond a dwelling's limit, which is then over it; needs an admin. For taking over
    /// what was so before.
    #[arg(long)]
    admit_beyond_limit: bool,
    /// Why, for the history.
    #[arg(long, default_value = "")]
    why: String,
    /// Language of reasons: en or zh; default: as the terminal's.
    #[arg(long, value_parser = language)]
    lang: Option<Language>,
    #[command(flatten)]
    gateway: GatewayArgs,
    #[command(flatten)]
    config: ConfigArg,
}

/// The word of a language.
pub(super) fn language(word: &str) -> Result<Language, String> {
    match word {
        "en" => Ok(Language::En),
        "zh" => Ok(Language::Zh),
        _ => Err("write en or zh".to_owned()),
    }
}

/// The language of the terminal, as far as it is one of ours.
pub(super) fn language_here() -> Language {
    let set = ["LC_ALL", "LC_MESSAGES", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    match set {
        Some(locale) if locale.starts_with("zh") => Language::Zh,
        Some(_) | None => Language::En,
    }
}

pub(super) fn import(args: &ImportArgs, printer: &Printer) -> Exit {
    let config = match load_config(&args.config.config, printer) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let bytes = match read_file(&args.file) {
        Ok(bytes) => bytes,
        Err(err) => {
            printer.err(&format!("stairgate: read {}: {err}", args.file.display()));
            return Exit::Failed;
        }
    };
    let client = match GatewayClient::of(&args.gateway, &config) {
        Ok(client) => client,
        Err(err) => return failed(printer, &err),
    };
    block_on(printer, async {
        let made = match client {
            Some(client) => ask(&client, args, &bytes, printer).await,
            None => do_here(&config, args, bytes, printer).await,
        };
        printer.progress("");
        match made {
            Ok(report) => show(&report, args, printer),
            Err(exit) => exit,
        }
    })
}

fn read_file(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more shows that it is too large, which the reader then says.
    let bound = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX);
    File::open(file)?
        .take(bound.saturating_add(1))
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

async fn ask(
    client: &GatewayClient,
    args: &ImportArgs,
    bytes: &[u8],
    printer: &Printer,
) -> Result<ImportReport, Exit> {
    printer.progress("the gateway reads, checks and applies the file …");
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("dry_run", if args.dry_run { "true" } else { "false" });
    query.append_pair(
        "mode",
        if args.skip_refused {
            "skip-refused"
        } else {
            "all-or-nothing"
        },
    );
    query.append_pair("missing", if args.end_missing { "ends" } else { "keeps" });
    query.append_pair(
        "beyond_limit",
        if args.admit_beyond_limit {
            "admit"
        } else {
            "refuse"
        },
    );
    query.append_pair("why", &args.why);
    let path = format!("/api/v1/roster/import?{}", query.finish());
    let answer = client
        .post(&path, bytes)
        .await
        .map_err(|err| failed(printer, &err))?;
    let report = match answer.status {
        200 | 422 => serde_json::from_slice(&answer.body).ok(),
        _ => None,
    };
    report.ok_or_else(|| {
        printer.progress("");
        printer.err(&format!("stairgate: {}", answer.problem()));
        Exit::Failed
    })
}

async fn do_here(
    config: &Config,
    args: &ImportArgs,
    bytes: Vec<u8>,
    printer: &Printer,
) -> Result<ImportReport, Exit> {
    let ledger = OpenLedger::open(config, Clock::system()).await;
    let ledger = ledger.map_err(|err| cannot_open(&err, printer))?;
    let options = ImportOptions {
        by: Actor::command_line(),
        why: args.why.clone(),
        mode: if args.skip_refused {
            Mode::SkipRefused
        } else {
            Mode::AllOrNothing
        },
        missing: if args.end_missing {
            Missing::Ends
        } else {
            Missing::Keeps
        },
        beyond_limit: if args.admit_beyond_limit {
            BeyondLimit::Admit
        } else {
            BeyondLimit::Refuse
        },
        is_dry_run: args.dry_run,
    };
    let progress = |progress: Progress| printer.progress(&bar(progress));
    let imported = import_file(ledger.roster(), bytes, &options, &progress).await;
    let recorded = match &imported {
        Ok(report) if report.applied => record(&ledger, report).await,
        Ok(_) | Err(_) => Ok(()),
    };
    ledger.close().await;
    recorded.map_err(|err| failed(printer, &err))?;
    imported.map_err(|err| {
        printer.progress("");
        match (&err, args.lang.unwrap_or_else(language_here)) {
            (ImportError::File(reason), Language::Zh) => {
                printer.err(&format!("{}: {}", args.file.display(), reason.zh()));
                Exit::Failed
            }
            (_, _) => failed(printer, &err),
        }
    })
}

async fn record(ledger: &OpenLedger, report: &ImportReport) -> Result<(), StoreError> {
    let at = ledger.roster().moment().at;
    let event = AuditEvent::by_command(at, AuditAct::Change, "roster", report.in_audit());
    audit::append(ledger.store(), event).await.map(drop)
}

/// Says why the ledger cannot be opened, and what to do when the gateway has it.
pub(super) fn cannot_open(err: &BuildError, printer: &Printer) -> Exit {
    if err.is_in_use() {
        printer.err(
            "stairgate: the gateway is running and has the store: ask it with --token-file FILE \
             (`stairgate user token NAME --role property-manager` makes a token), or stop it first",
        );
        return Exit::Failed;
    }
    failed(printer, err)
}

fn bar(progress: Progress) -> String {
    match progress {
        Progress::Reading => "reading the file …".to_owned(),
        Progress::Planning => "comparing with the ledger …".to_owned(),
        Progress::Changing { n_done, n_steps } => {
            let n_full = (BAR_CHARS * n_done)
                .checked_div(n_steps)
                .unwrap_or(BAR_CHARS);
            let full = "#".repeat(n_full);
            format!("[{full:<BAR_CHARS$}] {n_done} of {n_steps} changes")
        }
    }
}

fn show(report: &ImportReport, args: &ImportArgs, printer: &Printer) -> Exit {
    let lang = args.lang.unwrap_or_else(language_here);
    if report.dry_run {
        show_changes(report, printer);
    }
    for note in &report.notes {
        printer.out(&format!("note     {}", line_of(note, lang)));
    }
    more(report.more_notes, "notes", printer);
    for refused in &report.refused {
        printer.out(&format!("refused  {}", line_of(refused, lang)));
    }
    more(report.more_refused, "reasons", printer);
    let counts: Vec<String> = report
        .counts
        .iter()
        .map(|(word, n)| format!("{n} {word}"))
        .collect();
    let counts = if counts.is_empty() {
        "no changes".to_owned()
    } else {
        counts.join(", ")
    };
    let is_spoilt = report.refused_rows > 0 && !args.skip_refused;
    let what = match (report.dry_run, report.applied, is_spoilt) {
        (true, _, true) => "would be refused as a whole; without the refused rows",
        (true, _, false) => "would be done",
        (false, true, _) => "done",
        (false, false, _) => "nothing done; without the refused rows",
    };
    let (rows, refused) = (report.rows, report.refused_rows);
    let summary = format!(
        "{}: {rows} rows, {refused} refused; {what}: {counts}",
        args.file.display()
    );
    printer.out(&summary);
    if is_spoilt {
        printer.err("stairgate: correct the refused rows, or take the others with --skip-refused");
        return Exit::Failed;
    }
    Exit::Done
}

fn show_changes(report: &ImportReport, printer: &Printer) {
    for change in &report.changes {
        let at = place(change.sheet.as_deref(), change.row);
        let holder = change.holder.as_deref().unwrap_or("");
        let card = change.card_ref.as_deref().unwrap_or("");
        let cells = [
            (at.as_str(), 16),
            (&change.change, 15),
            (&change.dwelling, 18),
            (holder, 20),
            (card, 5),
        ];
        let mut line: String = cells
            .iter()
            .map(|(text, width)| padded(text, *width))
            .collect();
        line.push_str(&change.detail);
        printer.out(line.trim_end());
    }
    more(report.more_changes, "changes", printer);
}

/// `text` and two spaces or more, so that it fills `width` and a gap; Chinese characters are twice as
/// wide as others.
fn padded(text: &str, width: usize) -> String {
    let n_wide = text.chars().filter(|c| *c >= '\u{2e80}').count();
    let n_missing = width.saturating_sub(text.chars().count() + n_wide);
    format!("{text}{}", " ".repeat(n_missing + 2))
}

fn more(n_more: usize, what: &str, printer: &Printer) {
    if n_more > 0 {
        printer.out(&format!("and {n_more} more {what}"));
    }
}

fn place(sheet: Option<&str>, row: u32) -> String {
    match (sheet, row) {
        (Some(sheet), 0) => sheet.to_owned(),
        (Some(sheet), row) => format!("{sheet}!{row}"),
        (None, row) => format!("line {row}"),
    }
}

fn line_of(found: &FindingLine, lang: Language) -> String {
    let at = place(found.sheet.as_deref(), found.row);
    let letters = found.column.as_deref().unwrap_or("");
    let heading = found.heading.as_deref().unwrap_or("");
    let column = format!("{letters} {heading}");
    let text = match lang {
        Language::En => &found.en,
        Language::Zh => &found.zh,
    };
    match column.trim() {
        "" => format!("{at}: {text}"),
        column => format!("{at} {column}: {text}"),
    }
}

//! Structured logs: text for people, JSON for machines, to standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// One line of text, coloured on a terminal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged unless said otherwise. retina warns with what cameras sent, raw and over many
/// lines, which could forge lines of ours; what matters of it is in our own.
const DEFAULT_FILTER: &str = "warn,retina=error,stairgate=info";

/// What is logged and how.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    /// The look.
    pub format: LogFormat,
    /// A `tracing` filter such as `info,stairgate::camera=debug`; `None`: `STAIRGATE_LOG`, else
    /// `info` (and warnings of foreign crates).
    pub filter: Option<String>,
}

impl LogOptions {
    /// Can the filter be read?
    ///
    /// # Errors
    /// [`LogFilterError`] when it cannot.
    pub fn check(&self) -> Result<(), LogFilterError> {
        match &self.filter {
            Some(filter) => read_filter(filter).map(drop),
            None => Ok(()),
        }
    }
}

/// A log filter that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("read log filter {filter:?}")]
pub struct LogFilterError {
    filter: String,
    #[source]
    source: tracing_subscriber::filter::ParseError,
}

/// Installs the subscriber and the panic hook, once for a process; a second call changes nothing.
///
/// # Errors
/// [`LogFilterError`] when the filter cannot be read.
pub fn init_logs(options: &LogOptions) -> Result<(), LogFilterError> {
    let filter = options
        .filter
        .clone()
        .or_else(|| std::env::var("STAIRGATE_LOG").ok())
        .unwrap_or_else(|| DEFAULT_FILTER.to_owned());
    let env_filter = read_filter(&filter)?;
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(env_filter);
    let installed = match options.format {
        LogFormat::Text => {
            use std::io::IsTerminal as _;
            registry
                .with(layer.with_ansi(std::io::stderr().is_terminal()))
                .try_init()
        }
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
    };
    if installed.is_ok() {
        std::panic::set_hook(Box::new(|panic| {
            let place = panic
                .location()
                .map(ToString::to_string)
                .unwrap_or_default();
            tracing::error!(
                place,
                text = panic.payload_as_str().unwrap_or_default(),
                "panic"
            );
        }));
    }
    Ok(())
}

fn read_filter(filter: &str) -> Result<EnvFilter, LogFilterError> {
    match EnvFilter::builder().parse(filter) {
        Ok(filter) => Ok(filter),
        Err(source) => Err(LogFilterError {
            filter: filter.to_owned(),
            source,
        }),
    }
}

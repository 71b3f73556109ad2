//! Logs must be clean: a test names the warnings it expects, any other fails it.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex, OnceLock};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// One WARN or ERROR line: `WARN target: message field=value`.
type Lines = Arc<Mutex<Vec<String>>>;

static LINES: OnceLock<Lines> = OnceLock::new();

/// Collects the WARN and ERROR lines of this process (every test has its own); when it is dropped, lines
/// that were not expected fail the test. Start it first in a test.
#[derive(Debug)]
pub(crate) struct Logs {
    lines: Lines,
    expected: Vec<String>,
}

impl Logs {
    /// From now on. All lines also go to standard error, which nextest shows when a test fails;
    /// `STAIRGATE_LOG` filters what is printed, not what is collected.
    pub(crate) fn capture() -> Logs {
        let lines = LINES.get_or_init(|| {
            let lines = Lines::default();
            let filter = std::env::var("STAIRGATE_LOG").unwrap_or_else(|_| "info".to_owned());
            let printer = tracing_subscriber::fmt::layer()
                .with_ansi(false)
                .with_test_writer()
                .with_filter(tracing_subscriber::EnvFilter::new(filter));
            let subscriber = tracing_subscriber::registry()
                .with(Collector(Arc::clone(&lines)))
                .with(printer);
            tracing::subscriber::set_global_default(subscriber)
                .expect("the harness is the only one that installs a subscriber");
            lines
        });
        lines.lock().unwrap().clear();
        Logs {
            lines: Arc::clone(lines),
            expected: Vec::new(),
        }
    }

    /// Lines that contain `part` are no surprise in this test.
    pub(crate) fn expect(&mut self, part: &str) {
        self.expected.push(part.to_owned());
    }

    /// How many WARN and ERROR lines contain `part` so far.
    pub(crate) fn count(&self, part: &str) -> usize {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter(|line| line.contains(part)).count()
    }

    /// The lines nobody named.
    pub(crate) fn surprises(&self) -> Vec<String> {
        surprises(&self.lines.lock().unwrap(), &self.expected)
    }
}

/// Those of `lines` that contain none of `expected`.
pub(super) fn surprises(lines: &[String], expected: &[String]) -> Vec<String> {
    lines
        .iter()
        .filter(|line| !expected.iter().any(|part| line.contains(part)))
        .cloned()
        .collect()
}

/// The WARN and ERROR lines of a log file that `stairgate` wrote, in text or JSON.
pub(super) fn warnings_of(log: &str) -> Vec<String> {
    log.lines()
        .filter(|line| {
            if line.starts_with('{') {
                line.contains(r#""level":"WARN""#) || line.contains(r#""level":"ERROR""#)
            } else {
                let level = line.split_whitespace().nth(1);
                matches!(level, Some("WARN" | "ERROR"))
                    || line.starts_with("thread '") && line.contains("panicked at")
            }
        })
        .map(str::to_owned)
        .collect()
}

impl Drop for Logs {
    fn drop(&mut self) {
        // Without nextest the tests share a process, and a line cannot be ascribed to one of them.
        let alone = std::env::var_os("NEXTEST").is_some();
        if alone && !std::thread::panicking() {
            let surprises = self.surprises();
            assert!(
                surprises.is_empty(),
                "log lines that this test did not expect:\n{}",
                surprises.join("\n")
            );
        }
    }
}

struct Collector(Lines);

impl<S: Subscriber> Layer<S> for Collector {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() <= Level::WARN {
            let mut text = Text::default();
            event.record(&mut text);
            self.0.lock().unwrap().push(format!(
                "{} {}: {}{}",
                event.metadata().level(),
                event.metadata().target(),
                text.message,
                text.fields
            ));
        }
    }
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            write!(self.fields, " {}={value:?}", field.name()).unwrap();
        }
    }
}

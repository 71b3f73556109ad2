//! The one place that writes to the terminal.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write};

use parking_lot::Mutex;

/// Writes lines to standard output and standard error. A reader that has gone away (`| head`) is no
/// error: nobody is left to tell.
pub(super) struct Printer {
    out: Mutex<Box<dyn Write + Send>>,
    err: Mutex<Box<dyn Write + Send>>,
    /// Somebody watches standard error.
    is_watched: bool,
}

impl Printer {
    /// To this process's own.
    pub(super) fn standard() -> Printer {
        Printer {
            out: Mutex::new(Box::new(std::io::stdout())),
            err: Mutex::new(Box::new(std::io::stderr())),
            is_watched: std::io::stderr().is_terminal(),
        }
    }

    /// A result.
    pub(super) fn out(&self, text: &str) {
        write_line(&self.out, text);
    }

    /// What is wrong.
    pub(super) fn err(&self, text: &str) {
        write_line(&self.err, text);
    }

    /// How far a long command is: one line that is written over; nothing where nobody watches. Empty
    /// text takes it away.
    pub(super) fn progress(&self, text: &str) {
        if !self.is_watched {
            return;
        }
        let mut err = self.err.lock();
        // Back to the beginning of the line, and clear it.
        let written = write!(err, "\r\x1b[2K{text}").and_then(|()| err.flush());
        drop(written);
    }

    /// What looks wrong.
    pub(super) fn warn(&self, text: &dyn Display) {
        write_line(&self.err, &format!("warning: {text}"));
    }
}

fn write_line(to: &Mutex<Box<dyn Write + Send>>, text: &str) {
    let line = format!("{}\n", text.trim_end_matches('\n'));
    let mut to = to.lock();
    let written = to.write_all(line.as_bytes()).and_then(|()| to.flush());
    drop(written);
}

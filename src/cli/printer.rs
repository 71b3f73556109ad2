//! The one place that writes to the terminal.

use std::fmt::Display;
use std::io::Write;

use parking_lot::Mutex;

/// Writes lines to standard output and standard error. A reader that has gone away (`| head`) is no
/// error: nobody is left to tell.
pub(super) struct Printer {
    out: Mutex<Box<dyn Write + Send>>,
    err: Mutex<Box<dyn Write + Send>>,
}

impl Printer {
    /// To this process's own.
    pub(super) fn standard() -> Printer {
        Printer {
            out: Mutex::new(Box::new(std::io::stdout())),
            err: Mutex::new(Box::new(std::io::stderr())),
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

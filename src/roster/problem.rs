//! What is wrong with a roster file that is to be taken over: every row at once, without names or card
//! numbers.

use std::fmt;
use std::path::{Path, PathBuf};

use super::sheet::{FileReason, Finding};

/// Problems listed, at most; the rest are only counted.
const PROBLEMS_MAX: usize = 200;

/// Why a roster file cannot be used.
#[derive(Debug, Clone)]
pub struct RosterError {
    /// The file.
    pub file: PathBuf,
    /// Never empty, by row; the first 200, each with its place.
    pub problems: Vec<String>,
    /// How many more there are.
    pub n_more: usize,
}

impl RosterError {
    /// The file as a whole.
    pub(super) fn of_file(file: &Path, reason: FileReason) -> RosterError {
        RosterError::of_text(file, &reason.to_string())
    }

    /// The file cannot be opened or read.
    pub(super) fn of_io(file: &Path, err: &std::io::Error) -> RosterError {
        RosterError::of_text(file, &format!("cannot be read: {err}"))
    }

    fn of_text(file: &Path, text: &str) -> RosterError {
        RosterError {
            file: file.to_owned(),
            problems: vec![format!(": {text}")],
            n_more: 0,
        }
    }

    /// Its rows; `None`: nothing is wrong with them.
    pub(super) fn of_rows(file: &Path, findings: &[Finding]) -> Option<RosterError> {
        let listed: Vec<String> = findings.iter().take(PROBLEMS_MAX).map(line_of).collect();
        let n_more = findings.len() - listed.len();
        (!listed.is_empty()).then(|| RosterError {
            file: file.to_owned(),
            problems: listed,
            n_more,
        })
    }
}

/// What follows the file's name: `:2: card: …` in CSV, as compilers write it; ` Sheet1!2 card: …`.
fn line_of(found: &Finding) -> String {
    let place = match (&found.at.sheet, found.at.row) {
        (Some(_), _) => format!(": {}", found.at),
        (None, 0) => String::new(),
        (None, row) => format!(":{row}"),
    };
    match found.column {
        Some(column) => format!("{place}: {}: {}", column.heading_en(), found.reason),
        None => format!("{place}: {}", found.reason),
    }
}

impl fmt::Display for RosterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, problem) in self.problems.iter().enumerate() {
            if idx > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}{problem}", self.file.display())?;
        }
        if self.n_more > 0 {
            write!(f, "\n{}: and {} more", self.file.display(), self.n_more)?;
        }
        Ok(())
    }
}

impl std::error::Error for RosterError {}

//! What is wrong with a roster file: every row at once, without names or card numbers.

use std::fmt;
use std::path::{Path, PathBuf};

/// Problems listed, at most; the rest are only counted.
const PROBLEMS_MAX: usize = 200;

/// One thing that is wrong in a roster file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowProblem {
    /// The line, from 1; 0: the file as a whole.
    pub line: u64,
    /// The column's name; empty: the row as a whole.
    pub column: &'static str,
    /// What is wrong and what to do.
    pub text: String,
}

/// Why a roster file cannot be used.
#[derive(Debug, Clone)]
pub struct RosterError {
    /// The file.
    pub file: PathBuf,
    /// Never empty, by line; the first 200.
    pub problems: Vec<RowProblem>,
    /// How many more there are.
    pub n_more: usize,
}

impl fmt::Display for RosterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, problem) in self.problems.iter().enumerate() {
            if idx > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:", self.file.display())?;
            if problem.line > 0 {
                write!(f, "{}:", problem.line)?;
            }
            if !problem.column.is_empty() {
                write!(f, " {}:", problem.column)?;
            }
            write!(f, " {}", problem.text)?;
        }
        if self.n_more > 0 {
            write!(f, "\n{}: and {} more", self.file.display(), self.n_more)?;
        }
        Ok(())
    }
}

impl std::error::Error for RosterError {}

/// Collects problems; beyond the bound they are only counted.
#[derive(Default)]
pub(super) struct Problems(Vec<RowProblem>, usize);

impl Problems {
    pub(super) fn add(&mut self, line: u64, column: &'static str, text: impl Into<String>) {
        if self.0.len() >= PROBLEMS_MAX {
            self.1 += 1;
            return;
        }
        self.0.push(RowProblem {
            line,
            column,
            text: text.into(),
        });
    }

    /// `rows`, if nothing was added.
    pub(super) fn into_result<T>(mut self, file: &Path, rows: T) -> Result<T, RosterError> {
        if self.0.is_empty() {
            return Ok(rows);
        }
        self.0.sort();
        Err(RosterError {
            file: file.to_owned(),
            problems: self.0,
            n_more: self.1,
        })
    }
}

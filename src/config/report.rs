//! What is wrong with a configuration: every problem with its line, its key and what to do.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::domain::secret::Secret;

/// Where in the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    /// From 1; 0: nowhere, since it is missing.
    pub(super) line: usize,
    /// Dotted path such as `camera.b03-u2-in.url`.
    pub(super) key: String,
}

/// One thing that is wrong, or looks wrong, in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    spot: Spot,
    text: String,
}

impl Problem {
    /// The line, from 1; `None` when something is missing altogether.
    pub fn line(&self) -> Option<usize> {
        (self.spot.line > 0).then_some(self.spot.line)
    }

    /// The key concerned, such as `camera.b03-u2-in.url`.
    pub fn key(&self) -> &str {
        &self.spot.key
    }

    /// What is wrong and what to do.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// `file:12: camera.b03-u2-in.url: what is wrong (what to do)`.
    pub fn show<'a>(&'a self, file: &'a Path) -> impl fmt::Display + 'a {
        struct Line<'a>(&'a Problem, &'a Path);
        impl fmt::Display for Line<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let Line(problem, file) = self;
                write!(f, "{}:", file.display())?;
                if let Some(line) = problem.line() {
                    write!(f, "{line}:")?;
                }
                if !problem.key().is_empty() {
                    write!(f, " {}:", problem.key())?;
                }
                write!(f, " {}", problem.text())
            }
        }
        Line(self, file)
    }
}

/// Why a configuration cannot be used: all of it, in the order of the file.
#[derive(Debug, Clone)]
pub struct ConfigErrors {
    /// The file, as it was named.
    pub file: PathBuf,
    /// Never empty.
    pub problems: Vec<Problem>,
    /// What looks wrong besides.
    pub warnings: Vec<Problem>,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, problem) in self.problems.iter().enumerate() {
            if idx > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}", problem.show(&self.file))?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Looks a variable of the environment up; a parameter, so that tests need not change theirs.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Collects problems while the file is read; knows what relative paths start from.
pub(super) struct Report<'a> {
    /// The folder of the configuration file.
    pub(super) base: PathBuf,
    /// Where `…_env` keys look.
    pub(super) environment: Environment<'a>,
    /// Secrets that are not on the disk yet, by the file each will be in.
    secrets: Option<&'a BTreeMap<PathBuf, Secret>>,
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
    /// Every key asked for, without ids: `camera.url`. What is not here does not exist.
    asked: RefCell<Vec<String>>,
}

impl<'a> Report<'a> {
    pub(super) fn new(base: PathBuf, environment: Environment<'a>) -> Report<'a> {
        Report {
            base,
            environment,
            secrets: None,
            problems: RefCell::default(),
            warnings: RefCell::default(),
            asked: RefCell::default(),
        }
    }

    /// The same with secrets that are taken as written.
    pub(super) fn with_secrets(self, secrets: &'a BTreeMap<PathBuf, Secret>) -> Report<'a> {
        Report {
            secrets: Some(secrets),
            ..self
        }
    }

    /// The secret that will be in the file at `path`.
    pub(super) fn secret_to_come(&self, path: &Path) -> Option<Secret> {
        self.secrets.and_then(|secrets| secrets.get(path)).cloned()
    }

    pub(super) fn problem(&self, spot: &Spot, text: impl Into<String>) {
        add(&self.problems, spot, text.into());
    }

    pub(super) fn warning(&self, spot: &Spot, text: impl Into<String>) {
        add(&self.warnings, spot, text.into());
    }

    pub(super) fn asked(&self, key: String) {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&key) {
            asked.push(key);
        }
    }

    pub(super) fn into_parts(self) -> Parts {
        Parts {
            problems: in_file_order(self.problems.into_inner()),
            warnings: in_file_order(self.warnings.into_inner()),
            asked: self.asked.into_inner(),
        }
    }
}

/// What was collected.
pub(super) struct Parts {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
    pub(super) asked: Vec<String>,
}

fn add(list: &RefCell<Vec<Problem>>, spot: &Spot, text: String) {
    let problem = Problem {
        spot: spot.clone(),
        text,
    };
    let mut list = list.borrow_mut();
    if !list.contains(&problem) {
        list.push(problem);
    }
}

fn in_file_order(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort();
    problems
}

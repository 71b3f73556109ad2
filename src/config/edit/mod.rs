//! The configuration file, changed by the program: what an installer wants, written into the text that
//! people wrote.
//!
//! Comments, order and every key that is not asked for stay as they are. The new text goes through the
//! same check as a file that someone wrote by hand, so what the gateway would refuse at its next start
//! is refused here. Not here: taking a change in (`gateway`).

mod changes;
mod fields;
mod rules;
mod staged;
mod tables;
mod view;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use similar::TextDiff;
use toml_edit::DocumentMut;

use super::report::{ConfigErrors, Environment, Report};
use super::{Config, parse, read_file};
use crate::domain::secret::Secret;
use crate::site::{SiteChange, SiteProblem, SiteReport, SiteView};
use fields::Wanted;
pub use rules::ENTRIES_MAX;
pub use staged::{StageError, Staged};

/// Lines of the file around each change that the difference shows.
const DIFF_CONTEXT: usize = 3;
/// After so long a shorter difference is not looked for.
const DIFF_WITHIN: Duration = Duration::from_secs(1);
/// Hexadecimal digits of the version in the name of a secret's file.
const SUFFIX_DIGITS: usize = 8;

/// Why the file cannot be read, or a change not be made of it.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The file is broken, or not to be read.
    #[error("the configuration file cannot be used")]
    Unreadable(#[from] ConfigErrors),
    /// The file is not the one that the change was made from.
    #[error("the configuration file has changed")]
    Changed {
        /// Of the file as it is now.
        version: String,
    },
}

/// The configuration file, as something to be changed.
#[derive(Clone, Debug)]
pub struct SiteFile {
    path: PathBuf,
}

/// A change, written and checked, that nobody has seen yet.
#[derive(Debug)]
pub struct Draft {
    /// What it does, and what is wrong with it.
    pub report: SiteReport,
    /// The configuration it makes; `None` with problems.
    pub config: Option<Config>,
    text: String,
    /// Secrets by the file each shall be written to.
    secrets: BTreeMap<PathBuf, Secret>,
    /// Of the file it was made from.
    version: String,
}

/// The text of the file, with what is in it.
struct Present {
    text: String,
    version: String,
    document: DocumentMut,
}

impl SiteFile {
    /// The file at `path`.
    pub fn at(path: &Path) -> SiteFile {
        SiteFile {
            path: path.to_owned(),
        }
    }

    /// What there is. Blocks for the disk.
    ///
    /// # Errors
    /// [`EditError::Unreadable`].
    pub fn view(&self) -> Result<SiteView, EditError> {
        let present = self.present()?;
        let lists = view::lists(&present.document);
        Ok(SiteView {
            version: present.version,
            writable: staged::is_writable(&self.path),
            compound: view::compound(&present.document),
            stairwells: lists.stairwells,
            cameras: lists.cameras,
            doors: lists.doors,
            linkages: lists.linkages,
        })
    }

    /// Writes `change` into a copy of the file's text and checks it; the disk is only read. Blocks.
    ///
    /// # Errors
    /// [`EditError`]; what is wrong with the change is in the draft's report.
    pub fn draft(&self, change: &SiteChange) -> Result<Draft, EditError> {
        let Present {
            text: old_text,
            version,
            mut document,
        } = self.present()?;
        if change.version != version {
            return Err(EditError::Changed { version });
        }
        let before = (view::compound(&document), view::lists(&document));
        let mut problems = rules::too_many(change);
        if !problems.is_empty() {
            return Ok(Draft::refused(version, problems));
        }
        problems.extend(rules::fixed(change, &before.0, &before.1));
        problems.extend(rules::carried_off(change, &before.1));
        let names = SecretNames::new(&self.path, &version);
        let secrets = write(&mut document, change, &names, &mut problems);
        let text = document.to_string();
        let after = (view::compound(&document), view::lists(&document));
        let mut report = SiteReport {
            version: version.clone(),
            changes: changes::of(&before, &after, change),
            diff: diff(&self.path, &old_text, &text),
            ..SiteReport::default()
        };
        let environment = |name: &str| std::env::var(name).ok();
        let checked = check(&self.path, &text, &environment, &secrets);
        let (found, warnings) = match &checked {
            Ok(config) => (&[][..], &config.warnings),
            Err(errors) => (&errors.problems[..], &errors.warnings),
        };
        problems.extend(found.iter().map(site_problem));
        report.warnings = warnings.iter().map(site_problem).collect();
        let is_good = problems.is_empty();
        report.problems = problems;
        Ok(Draft {
            report,
            config: checked.ok().filter(|_| is_good),
            text,
            secrets,
            version,
        })
    }

    fn present(&self) -> Result<Present, ConfigErrors> {
        let environment = |name: &str| std::env::var(name).ok();
        let none = BTreeMap::new();
        let text = read_file(&self.path).map_err(|err| refused(&self.path, &err.to_string()))?;
        check(&self.path, &text, &environment, &none)?;
        let document = text
            .parse::<DocumentMut>()
            .map_err(|err| refused(&self.path, err.message()))?;
        Ok(Present {
            version: version_of(&text),
            text,
            document,
        })
    }
}

impl Draft {
    /// What is wrong besides, as someone else found.
    pub fn refuse(&mut self, problem: SiteProblem) {
        self.report.problems.push(problem);
        self.config = None;
    }

    fn refused(version: String, problems: Vec<SiteProblem>) -> Draft {
        Draft {
            report: SiteReport {
                version: version.clone(),
                problems,
                ..SiteReport::default()
            },
            config: None,
            text: String::new(),
            secrets: BTreeMap::new(),
            version,
        }
    }
}

/// SHA-256 of the file's text.
fn version_of(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// Reads `text` as if it stood at `path`, with `secrets` as if they were written already.
fn check(
    path: &Path,
    text: &str,
    environment: Environment<'_>,
    secrets: &BTreeMap<PathBuf, Secret>,
) -> Result<Config, ConfigErrors> {
    let base = path.parent().unwrap_or_else(|| Path::new(""));
    let report = Report::new(base.to_owned(), environment).with_secrets(secrets);
    parse(text, path, report).0
}

fn refused(path: &Path, why: &str) -> ConfigErrors {
    let environment = |_: &str| None;
    let report = Report::new(PathBuf::new(), &environment);
    report.problem(&super::nowhere(), format!("cannot be read: {why}"));
    super::refuse(path, report.into_parts())
}

/// A problem of the configuration, as an installer sees it.
pub fn site_problem(problem: &super::Problem) -> SiteProblem {
    let at = match (problem.key(), problem.line()) {
        ("", Some(line)) => format!("line {line}"),
        ("", None) => "file".to_owned(),
        (key, _) => key.to_owned(),
    };
    SiteProblem::new(at, problem.text())
}

fn diff(path: &Path, old: &str, new: &str) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    let name = name.to_string_lossy();
    TextDiff::configure()
        .timeout(DIFF_WITHIN)
        .diff_lines(old, new)
        .unified_diff()
        .context_radius(DIFF_CONTEXT)
        .header(&name, &name)
        .to_string()
}

/// How the files of new secrets are called.
struct SecretNames {
    /// Relative to the configuration's folder, such as `gateway.secrets`.
    folder: PathBuf,
    base: PathBuf,
    suffix: String,
}

impl SecretNames {
    /// A file of its own for each version, so that the old configuration keeps its secrets until the
    /// new one is in force; made of the version, so that a check shows the name that is used later.
    fn new(path: &Path, version: &str) -> SecretNames {
        SecretNames {
            folder: staged::secrets_folder(path),
            base: path.parent().unwrap_or_else(|| Path::new("")).to_owned(),
            suffix: version.chars().take(SUFFIX_DIGITS).collect(),
        }
    }

    /// As it stands in the configuration.
    fn of(&self, table: &str, id: &str) -> Option<String> {
        // What is no id is refused by the check; it must not become a path before that.
        let is_id = crate::domain::id::CameraId::new(id).is_ok();
        let folder = self.folder.to_str()?;
        is_id.then(|| format!("{folder}/{table}-{id}.{}", self.suffix))
    }
}

/// Writes `change` into the document; returns the secrets by the files they belong in.
fn write(
    document: &mut DocumentMut,
    change: &SiteChange,
    names: &SecretNames,
    problems: &mut Vec<SiteProblem>,
) -> BTreeMap<PathBuf, Secret> {
    if let Some(compound) = &change.compound {
        let root = document.as_table_mut();
        if let Some(table) = root.get_mut("compound").and_then(|t| t.as_table_like_mut()) {
            tables::set(table, "name", Some(compound.name.as_str().into()), None);
        }
    }
    let mut secrets = BTreeMap::new();
    let lists: [(&'static str, Option<Vec<Wanted<'_>>>); 4] = [
        ("stairwell", change.stairwells.as_deref().map(fields::all)),
        ("camera", change.cameras.as_deref().map(fields::all)),
        ("door", change.doors.as_deref().map(fields::all)),
        ("linkage", change.linkages.as_deref().map(fields::all)),
    ];
    for (name, wanted) in lists {
        let Some(mut wanted) = wanted else { continue };
        for entry in &mut wanted {
            if let Some(secret) = entry.secret
                && let Some(file) = names.of(name, entry.id)
            {
                secrets.insert(names.base.join(&file), secret.clone());
                entry.secret_file = Some(file);
            }
        }
        let unknown = tables::replace(document, name, &wanted);
        let known: BTreeSet<&str> = unknown.iter().map(String::as_str).collect();
        problems.extend(known.into_iter().map(|was| {
            let what = format!("there is no {name} {was:?} that could be given another id");
            SiteProblem::new(format!("{name}.{was}"), what)
        }));
    }
    secrets
}

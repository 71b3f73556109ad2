//! A draft on the disk: beside the file until the change is in force, then in its place.
//!
//! Secrets and the new text are written and synced first; what is left is two renames. Whatever is not
//! committed is removed again, so that a refusal leaves the folder as it was.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tracing::warn;

use super::{Draft, SiteFile, version_of};
use crate::config::read_file;
use crate::file::{folder_of, replace_private};

/// Hexadecimal digits at the end of the name of a secret's file that we wrote.
const SUFFIX_DIGITS: usize = super::SUFFIX_DIGITS;

/// Why a draft cannot become the file.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The disk.
    #[error("write {}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Someone has changed the file.
    #[error("the configuration file has changed")]
    Changed {
        /// Of the file as it is now.
        version: String,
    },
}

/// A draft that lies beside the file; removed when it is dropped before [`Staged::commit`].
#[derive(Debug)]
pub struct Staged {
    file: PathBuf,
    real: PathBuf,
    draft: PathBuf,
    secrets: Vec<PathBuf>,
    text: String,
    old_version: String,
    is_kept: bool,
}

impl SiteFile {
    /// Writes the draft and its secrets beside the file. Blocks for the disk.
    ///
    /// # Errors
    /// [`StageError::Io`]: nothing is left on the disk then.
    pub fn stage(&self, draft: &Draft) -> Result<Staged, StageError> {
        let real = fs::canonicalize(&self.path).map_err(io_error(&self.path))?;
        let mut staged = Staged {
            file: self.path.clone(),
            draft: beside(&real, "draft"),
            real,
            secrets: Vec::new(),
            text: draft.text.clone(),
            old_version: draft.version.clone(),
            is_kept: false,
        };
        for (path, secret) in &draft.secrets {
            make_folder(folder_of(path)).map_err(io_error(path))?;
            staged.secrets.push(path.clone());
            replace_private(path, format!("{}\n", secret.reveal()).as_bytes())
                .map_err(io_error(path))?;
        }
        let meta = fs::metadata(&staged.real).map_err(io_error(&staged.real))?;
        write_whole(&staged.draft, &draft.text, &meta).map_err(io_error(&staged.draft))?;
        Ok(staged)
    }
}

impl Staged {
    /// Puts the draft in the file's place and keeps the old one beside it as `.bak`. Blocks for the disk. Returns the new version.
    ///
    /// # Errors
    /// [`StageError`]: the old file is in place then.
    pub fn commit(mut self) -> Result<String, StageError> {
        let failed = |path: &Path| io_error(path);
        let old = read_file(&self.real).map_err(failed(&self.real))?;
        let version = version_of(&old);
        if version != self.old_version {
            return Err(StageError::Changed { version });
        }
        let meta = fs::metadata(&self.real).map_err(failed(&self.real))?;
        let (bak, bak_draft) = (beside(&self.real, "bak"), beside(&self.real, "bak-draft"));
        write_whole(&bak_draft, &old, &meta).map_err(failed(&bak_draft))?;
        fs::rename(&bak_draft, &bak).map_err(failed(&bak))?;
        fs::rename(&self.draft, &self.real).map_err(failed(&self.real))?;
        self.is_kept = true;
        let folder = folder_of(&self.real);
        if let Err(err) = File::open(folder).and_then(|folder| folder.sync_all()) {
            // It is in place, and whole; only after a power cut the old one might be there again.
            warn!(folder = %folder.display(), error = %err, "the new name is not synced");
        }
        remove_unused(&self.file, &[&self.text, &old]);
        Ok(version_of(&self.text))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        for path in self.secrets.iter().chain([&self.draft]) {
            if let Err(err) = fs::remove_file(path)
                && err.kind() != io::ErrorKind::NotFound
            {
                warn!(file = %path.display(), error = %err, "a draft is left behind");
            }
        }
    }
}

/// The folder of the secrets that we write, relative to the file's: `gateway.secrets`.
pub(super) fn secrets_folder(file: &Path) -> PathBuf {
    let stem = file.file_stem().unwrap_or(file.as_os_str());
    let mut name = stem.to_os_string();
    name.push(".secrets");
    PathBuf::from(name)
}

/// Could the file be replaced? Its folder must take new files.
pub(super) fn is_writable(file: &Path) -> bool {
    use rustix::fs::{Access, access};
    let Ok(real) = fs::canonicalize(file) else {
        return false;
    };
    let folders = [folder_of(&real), folder_of(file)];
    folders
        .into_iter()
        .all(|folder| access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok())
}

fn beside(file: &Path, what: &str) -> PathBuf {
    let mut name = file.as_os_str().to_os_string();
    name.push(".");
    name.push(what);
    PathBuf::from(name)
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> StageError + use<> {
    let path = path.to_owned();
    move |source| StageError::Io { path, source }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o700))
}

/// With the mode of the file it is to replace, and its group where we may.
fn write_whole(path: &Path, text: &str, like: &fs::Metadata) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    let own = file.metadata()?;
    if own.gid() != like.gid()
        && let Err(err) = std::os::unix::fs::fchown(&file, None, Some(like.gid()))
    {
        // Then only its owner reads it: less than before, and never more.
        warn!(file = %path.display(), error = %err, "the group of the file cannot be kept");
    } else {
        file.set_permissions(Permissions::from_mode(like.mode() & 0o777))?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Removes secrets that we wrote and that neither the file nor its `.bak` names any more.
fn remove_unused(file: &Path, texts: &[&str]) {
    let folder_name = secrets_folder(file);
    let folder = folder_of(file).join(&folder_name);
    let Ok(found) = fs::read_dir(&folder) else {
        return;
    };
    for entry in found.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| is_ours(name)) else {
            continue;
        };
        let named = format!("{}/{name}", folder_name.display());
        if texts.iter().any(|text| text.contains(&named)) {
            continue;
        }
        if let Err(err) = fs::remove_file(entry.path()) {
            warn!(file = %entry.path().display(), error = %err, "an unused secret stays");
        }
    }
}

/// Is it `camera-<id>.<digits>` and its like?
fn is_ours(name: &str) -> bool {
    let is_named = ["camera-", "door-", "linkage-"]
        .iter()
        .any(|what| name.starts_with(what));
    let suffix = name.rsplit_once('.').map(|(_, suffix)| suffix);
    is_named
        && suffix.is_some_and(|suffix| {
            suffix.len() == SUFFIX_DIGITS && suffix.bytes().all(|b| b.is_ascii_hexdigit())
        })
}

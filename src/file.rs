//! Small files that must be whole whenever the power goes: keys, accounts.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Writes `bytes` to `path` for its owner only (mode 0600): all of them or none, and durable when this
/// returns. The folder is made when missing. Blocks for the disk.
///
/// # Errors
/// When the folder or the file cannot be written; what was at `path` is still there then.
pub fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    std::fs::create_dir_all(folder)?;
    let draft = path.with_extension("draft");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    File::open(folder)?.sync_all()
}

/// Waits until the bytes of the file at `path`, if there is one, are on the disk, and has the system forget
/// its copy of them, so that what is read next is what the disk has. For what a process left that ended
/// in trouble: the system keeps showing bytes that the disk refused. Blocks for the disk.
///
/// # Errors
/// When the file cannot be opened, or the disk does not take its bytes.
pub fn settle_on_disk(path: &Path) -> io::Result<()> {
    let file = match File::open(path) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    file.sync_all()?;
    // Advice only; a file system without it has no copy to forget, or keeps it.
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap_or_default();
    Ok(())
}

/// The folder a file lies in; `.` for a bare name.
pub fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/accounts.json");
        replace_private(&path, b"first").unwrap();
        replace_private(&path, b"2").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"2");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let n_files = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(n_files, 1, "no draft is left");
    }
}

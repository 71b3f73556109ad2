//! Disks that are small, come and go, or fail: mounts of a test's own, and a shim for input/output errors.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::geteuid;

/// Set in the life of a test that has mounts of its own.
const INSIDE: &str = "STAIRGATE_TEST_MOUNTS";

/// Runs the test `module`::`name` once more, in a mount name space of its own that goes with it, and fails
/// when that fails. Returns whether the caller *is* that run: only then it goes on.
///
/// Root may always do so; others where the system lets them have a user name space. Where neither is
/// so, the test fails and says what it needs: it never passes without having run.
pub(crate) fn has_own_mounts(module: &str, name: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let module = module.split_once("::").map_or("", |(_, rest)| rest);
    let test = format!("{module}::{name}");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private"]);
    if !geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &test, "--nocapture"])
        .env(INSIDE, "1");
    let output = command
        .output()
        .expect("unshare of util-linux is installed");
    let printed = String::from_utf8_lossy(&output.stdout);
    println!("{printed}");
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(
        printed.contains("running 1 test"),
        "{test} mounts file systems of its own, which is not allowed here ({}): run the tests as root, or \
         allow user name spaces (kernel.unprivileged_userns_clone=1, \
         kernel.apparmor_restrict_unprivileged_userns=0)",
        output.status
    );
    assert!(output.status.success(), "{test} fails in its own mounts");
    false
}

/// Something mounted; unmounted when dropped.
#[derive(Debug)]
pub(crate) struct Mount(PathBuf);

impl Mount {
    /// An empty disk of `size_mb` MB in memory, at `path`, which is made.
    pub(crate) fn memory(path: &Path, size_mb: u32) -> Mount {
        std::fs::create_dir_all(path).unwrap();
        let size = format!("size={size_mb}m,mode=0755");
        run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs"], path);
        Mount(path.to_owned())
    }

    /// The disk at `other`, also at `path`, which is made.
    pub(crate) fn of(other: &Path, path: &Path) -> Mount {
        std::fs::create_dir_all(path).unwrap();
        run("mount", &["--bind", other.to_str().unwrap()], path);
        Mount(path.to_owned())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily, as an operator would whose disk is in use.
        run("umount", &["--lazy"], &self.0);
    }
}

fn run(program: &str, args: &[&str], path: &Path) {
    let output = Command::new(program).args(args).arg(path).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
}

/// Takes all the space that is left on the disk of a folder, until dropped.
#[derive(Debug)]
pub(crate) struct Ballast(PathBuf);

impl Ballast {
    /// Fills the disk of `folder` to its last byte.
    pub(crate) fn fill(folder: &Path) -> Ballast {
        use std::io::Write as _;
        let path = folder.join("ballast");
        let mut file = std::fs::File::create(&path).unwrap();
        let block = vec![0xA5; 64 << 10];
        let mut n_bytes = block.len();
        while n_bytes > 0 {
            match file.write_all(&block[..n_bytes]) {
                Ok(()) => {}
                Err(err) => {
                    assert_eq!(err.kind(), std::io::ErrorKind::StorageFull, "{err}");
                    n_bytes /= 2;
                }
            }
        }
        Ballast(path)
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

/// Which calls fail.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failing {
    /// Writes.
    Write,
    /// Syncs.
    Sync,
}

/// A disk that fails on demand, for one program: `tests/it/peers/eio.c`, compiled and preloaded.
#[derive(Debug)]
pub(crate) struct FailingDisk {
    shim: PathBuf,
    rules: PathBuf,
}

impl FailingDisk {
    /// Compiles the shim into `folder`; nothing fails yet.
    pub(crate) fn new(folder: &Path) -> FailingDisk {
        let shim = folder.join("eio.so");
        let source = super::in_package("tests/it/peers/eio.c");
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o"])
            .arg(&shim)
            .arg(source)
            .arg("-ldl")
            .output()
            .expect("cc is installed by deploy/setup.sh");
        assert!(output.status.success(), "{output:?}");
        FailingDisk {
            shim,
            rules: folder.join("eio-rules"),
        }
    }

    /// What the program's environment needs.
    pub(crate) fn envs(&self) -> [(&str, &str); 2] {
        [
            ("LD_PRELOAD", self.shim.to_str().unwrap()),
            ("STAIRGATE_EIO_FILE", self.rules.to_str().unwrap()),
        ]
    }

    /// From now on `what` fails below `folder`.
    pub(crate) fn fail(&self, what: Failing, folder: &Path) {
        let word = match what {
            Failing::Write => "write",
            Failing::Sync => "sync",
        };
        // At once, or not at all: the program may be reading it.
        let new = self.rules.with_extension("new");
        std::fs::write(&new, format!("{word} {}\n", folder.display())).unwrap();
        std::fs::rename(&new, &self.rules).unwrap();
    }

    /// All is well again.
    pub(crate) fn heal(&self) {
        std::fs::remove_file(&self.rules).unwrap();
    }
}

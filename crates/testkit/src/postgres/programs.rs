//! Where PostgreSQL's programs are, and who runs them.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{env, fs};

use super::{home, locked};

/// The first release that the product supports.
const MAJOR_MIN: u32 = 15;

const INSTALL: &str = "apt-get install -y --no-install-recommends postgresql";

/// Tells Debian's package to make no cluster, and so to start no server, when it is installed. A file of our own beside
/// the package's, so that nobody's settings are overwritten.
const NO_CLUSTER: (&str, &str) = ("/etc/postgresql-common/createcluster.d", "create_main_cluster = false\n");

/// The programs of one release.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    folder: PathBuf,
    /// Who runs the server, which refuses to be run by root: a user and a group, or none where we are not root.
    owner: Option<(u32, u32)>,
}

impl Programs {
    /// Those of the newest release here. Installs them where that is possible, and panics with the command to run where
    /// it is not.
    pub(super) fn find() -> Self {
        let folder = newest().or_else(install).unwrap_or_else(|| {
            panic!(
                "these tests run PostgreSQL {MAJOR_MIN} or newer, and neither /usr/lib/postgresql nor PATH has its \
                 server programs; install them: sudo {INSTALL}"
            )
        });
        let owner = rustix::process::geteuid().is_root().then(|| {
            account("postgres")
                .expect("because PostgreSQL's packages make the user `postgres`, who runs the server")
        });
        Self { folder, owner }
    }

    /// Says which release this is, as `postgres --version` does.
    pub(super) fn version(&self) -> String {
        text(
            &self
                .client("postgres")
                .arg("--version")
                .stdout(Stdio::piped())
                .output()
                .expect("it was found")
                .stdout,
        )
    }

    /// A program that is run by ourselves, in an environment that has nothing to say to it.
    pub(super) fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.folder.join(program));
        command.env_clear().env("LC_ALL", "C").env("TZ", "UTC").current_dir("/").stdin(Stdio::null());
        command
    }

    /// A program that is run by the owner of the data.
    pub(super) fn server(&self, program: &str) -> Command {
        let mut command = self.client(program);
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }

    /// Gives a folder to the owner of the data.
    pub(super) fn give(&self, folder: &Path) {
        if let Some((user, group)) = self.owner {
            std::os::unix::fs::chown(folder, Some(user), Some(group)).expect("because root may");
        }
    }
}

/// Runs a command to its end. Panics with all it said where it fails.
pub(super) fn run(command: &mut Command) -> String {
    match attempt(command) {
        Ok(said) => said,
        Err(why) => panic!("{why}"),
    }
}

/// Runs a command to its end: what it said, or what went wrong.
pub(super) fn attempt(command: &mut Command) -> Result<String, String> {
    let named = format!("{command:?}");
    let Output { status, stdout, stderr } =
        command.output().map_err(|error| format!("{named} does not start: {error}"))?;
    if status.success() {
        return Ok(text(&stdout));
    }
    Err(format!("{named} failed ({status})\n{}{}", text(&stdout), text(&stderr)))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}

fn newest() -> Option<PathBuf> {
    let packaged = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let on_path = env::var_os("PATH").unwrap_or_default();
    let folders = packaged.map(|release| release.path().join("bin")).chain(env::split_paths(&on_path));
    let found = folders.filter_map(|folder| Some((major(&folder)?, folder)));
    found.filter(|(major, _)| *major >= MAJOR_MIN).max_by_key(|(major, _)| *major).map(|(_, folder)| folder)
}

/// The release of which a folder has what we run: `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
fn major(folder: &Path) -> Option<u32> {
    let complete =
        ["postgres", "initdb", "pg_basebackup", "psql"].iter().all(|name| folder.join(name).is_file());
    if !complete {
        return None;
    }
    let said = text(&Command::new(folder.join("postgres")).arg("--version").output().ok()?.stdout);
    let number = said.split_whitespace().nth(2)?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Installs the programs where we may and know how. `None` where we may not; a failure says what it was.
fn install() -> Option<PathBuf> {
    if !rustix::process::geteuid().is_root() || !Path::new("/usr/bin/apt-get").exists() {
        return None;
    }
    let _installing = locked(&home().join("install"));
    // Somebody else may have installed them while this one waited.
    if let Some(folder) = newest() {
        return Some(folder);
    }
    eprintln!("PostgreSQL is missing: {INSTALL}");
    let (folder, text) = NO_CLUSTER;
    fs::create_dir_all(folder).expect("because root may");
    fs::write(Path::new(folder).join("postrider-testkit.conf"), text).expect("because root may");
    let apt = |arguments: &str| {
        let arguments = arguments.split(' ').map(OsStr::new);
        attempt(
            Command::new("apt-get")
                .args(arguments)
                .env("DEBIAN_FRONTEND", "noninteractive")
                .stdin(Stdio::null()),
        )
    };
    let arguments = INSTALL.trim_start_matches("apt-get ");
    // A machine that was never used for it has no list of packages yet.
    let installed = apt(arguments).or_else(|_| apt("update").and_then(|_| apt(arguments)));
    if let Err(why) = installed {
        panic!("PostgreSQL is missing and cannot be installed; run: {INSTALL}\n{why}");
    }
    newest()
}

/// A user's number and group.
fn account(name: &str) -> Option<(u32, u32)> {
    let accounts = fs::read_to_string("/etc/passwd").ok()?;
    let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut numbers = line.split(':').skip(2).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

//! PostgreSQL servers for tests and benches: real ones, durable as in production, that can be killed.
//!
//! * [`Postgres::start`] gives a server of its own to whoever wants to kill, stop or measure one.
//! * [`shared_database`] gives a database on a server that all test processes share, which is what most tests want.
//!
//! The programs are those of the machine, PostgreSQL 15 or newer. Where they are missing they are installed (Debian, as
//! root), or the panic names the command: nothing is skipped. Root's servers are run by the user `postgres`.
//!
//! No server outlives its users, however these end: beside each server runs a shell script, its keeper.

mod cluster;
mod process;
mod programs;
mod shared;

use std::fs::{self, File, OpenOptions};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use rustix::process::Signal;

use cluster::{Cluster, NAME, append, identifier, psql};
use process::Process;
pub use process::look_until;
use programs::{Programs, attempt, run};
pub use shared::{Database, shared_database};

/// A shutdown writes a checkpoint: as much as fits into the buffers, on a slow disk.
const STOP_PATIENCE: Duration = Duration::from_secs(120);

/// A dead process leaves at once, but a busy machine may take its time.
const DEATH_PATIENCE: Duration = Duration::from_secs(30);

const KEEPER: &str = include_str!("keeper.sh");

/// A server of its own, on a free port of 127.0.0.1. It ends, and its files are removed, when this is dropped or when
/// the process ends in whatever way.
///
/// Its methods block, and panic with what PostgreSQL said where it does not do what it is told. The user `postrider`
/// (password `postrider`) is a superuser and owns the database `postrider`.
pub struct Postgres {
    cluster: Cluster,
    port: u16,
    /// None while it is stopped.
    child: Mutex<Option<Child>>,
    keeper: Child,
}

impl Postgres {
    /// Starts a server with full durability, in the folder for temporary files (`TMPDIR`).
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with settings of `postgresql.conf`, which go before those of this file: `("shared_buffers", "1GB")`.
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_in(Programs::find(), |cluster| cluster.create(settings))
    }

    /// The server of this process, started by the first who asks, for tests that do not break it.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A database of its own on the server that all test processes share: [`shared_database`].
    pub fn shared_database(prefix: &str) -> Database {
        shared_database(prefix)
    }

    fn start_in(programs: Programs, create: impl FnOnce(&Cluster)) -> Self {
        let folder = tempfile::Builder::new().prefix("postrider-postgres-").tempdir();
        // The keeper removes it.
        let folder = folder.expect("because there is a folder for temporary files").keep();
        programs.give(&folder);
        let cluster = Cluster { programs, folder };
        let keeper = keeper(&cluster.folder, Until::InputEnds);
        create(&cluster);
        let (child, port) = cluster.start_anywhere();
        Self { cluster, port, child: Mutex::new(Some(child)), keeper }
    }

    /// The same after each start.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens: what a [`FaultProxy`](crate::proxy::FaultProxy) is started for.
    pub fn address(&self) -> SocketAddr {
        self.cluster.address(self.port)
    }

    pub fn url(&self) -> String {
        self.url_of(NAME)
    }

    pub fn url_of(&self, database: &str) -> String {
        self.cluster.url(self.port, database)
    }

    /// Makes an empty database, and gives its URL.
    pub fn create_database(&self, name: &str) -> String {
        self.sql(&format!("CREATE DATABASE {} TEMPLATE template0", identifier(name)));
        self.url_of(name)
    }

    /// Runs one statement in the database `postrider`. Gives its rows, a line each and columns parted by `|`.
    pub fn sql(&self, statement: &str) -> String {
        self.try_sql(statement).unwrap_or_else(|why| panic!("{statement}: {why}\n{}", self.log()))
    }

    /// The same, for a statement that may fail or a server that may be gone: an error has what psql said.
    pub fn try_sql(&self, statement: &str) -> Result<String, String> {
        attempt(&mut self.psql(statement))
    }

    /// A client in a process of its own, for a statement that takes long, is cut off or never ends: `psql`, not started
    /// yet. More statements are added with `-c`.
    pub fn psql(&self, statement: &str) -> Command {
        psql(&self.cluster.programs, &self.url(), statement)
    }

    /// All that the server has written to its log.
    pub fn log(&self) -> String {
        self.cluster.log()
    }

    /// The server dies as with its machine: all its processes at once, with its shared memory, and none is left when
    /// this returns. What the operating system had taken but not written yet is not lost: only a power cut would do
    /// that.
    pub fn kill(&self) {
        let mut held = self.lock();
        let Some(mut child) = held.take() else { return };
        let postmaster = postmaster(&child);
        // Standing still it starts no other, and does not see them die.
        postmaster.freeze();
        let children = postmaster.children();
        let memory = Memory::of(&self.cluster, children.iter().chain([&postmaster]));
        postmaster.signal(Signal::KILL);
        for child in &children {
            child.signal(Signal::KILL);
        }
        child.wait().expect("because it is our child");
        let gone = look_until(DEATH_PATIENCE, || children.iter().all(|child| !child.lives()));
        assert!(gone, "children of the server outlived a SIGKILL by {DEATH_PATIENCE:?}");
        memory.remove();
    }

    /// Starts the server again after [`Postgres::kill`] or [`Postgres::stop_fast`], on the same port. It recovers first.
    pub fn start_again(&self) {
        let mut held = self.lock();
        assert!(held.is_none(), "the server runs");
        *held = Some(self.cluster.start(self.port).unwrap_or_else(|why| panic!("{why}")));
    }

    /// Shuts the server down in order: it ends all connections and writes a checkpoint. One that was paused goes on first.
    pub fn stop_fast(&self) {
        self.resume();
        let mut held = self.lock();
        let Some(mut child) = held.take() else { return };
        postmaster(&child).signal(Signal::INT);
        let ended = || child.try_wait().expect("because it is our child").is_some();
        assert!(look_until(STOP_PATIENCE, ended), "the server did not stop:\n{}", self.log());
    }

    pub fn restart(&self) {
        self.stop_fast();
        self.start_again();
    }

    /// All processes of the server stand still: connections stay open and nobody answers.
    pub fn pause(&self) {
        if let Some(child) = &*self.lock() {
            let postmaster = postmaster(child);
            postmaster.freeze();
            postmaster.children().into_iter().for_each(Process::freeze);
        }
    }

    /// All processes of the server go on.
    pub fn resume(&self) {
        if let Some(child) = &*self.lock() {
            let postmaster = postmaster(child);
            for process in postmaster.children().into_iter().chain([postmaster]) {
                process.signal(Signal::CONT);
            }
        }
    }

    /// A second server that follows this one, which from now on acknowledges no commit that the other has not on disk.
    ///
    /// When the standby is gone, commits here wait until it is back or until
    /// `ALTER SYSTEM RESET synchronous_standby_names` and `SELECT pg_reload_conf()` were run.
    pub fn standby(&self) -> Self {
        let standby = Self::start_in(self.cluster.programs.clone(), |cluster| {
            let mut backup = self.cluster.programs.server("pg_basebackup");
            backup.args(["--wal-method=stream", "--checkpoint=fast", "--write-recovery-conf", "--no-sync"]);
            run(backup.arg("--dbname").arg(self.url()).arg("--pgdata").arg(cluster.data()));
            // This server may wait for another standby already. Once promoted, its copy must not.
            append(&cluster.data().join("postgresql.auto.conf"), "synchronous_standby_names = ''\n");
        });
        self.sql("ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.sql("SELECT pg_reload_conf()");
        let waits =
            "SELECT count(*) > 0 FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'";
        let follows = look_until(DEATH_PATIENCE, || self.sql(waits) == "t");
        assert!(follows, "the standby does not follow:\n{}\n{}", self.log(), standby.log());
        standby
    }

    /// Makes a standby a server that writes, and waits until it does.
    pub fn promote(&self) {
        let promoted = self.sql(&format!("SELECT pg_promote(true, {})", STOP_PATIENCE.as_secs()));
        assert_eq!(promoted, "t", "the standby was not promoted:\n{}", self.log());
    }

    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The keeper reads the end of its input, ends the server and removes the files. Removing takes longer than all
        // the rest on some disks, and nobody has to wait for it.
        drop(self.keeper.stdin.take());
        if let Some(mut child) = self.lock().take() {
            let _ = child.wait();
        }
    }
}

/// What the processes of a server share. A dead machine keeps none of it, a killed server all.
struct Memory {
    files: Vec<PathBuf>,
    segment: Option<String>,
}

impl Memory {
    fn of<'a>(cluster: &Cluster, processes: impl Iterator<Item = &'a Process>) -> Self {
        let maps = processes.map(|process| fs::read_to_string(format!("/proc/{}/maps", process.id)));
        let maps: String = maps.map(Result::unwrap_or_default).collect();
        let named = |line: &str| Some(PathBuf::from(&line[line.find("/dev/shm/PostgreSQL.")?..]));
        let files = maps.lines().filter_map(named);
        let lock = fs::read_to_string(cluster.data().join("postmaster.pid")).unwrap_or_default();
        // Key and number, where there is one.
        let segment = lock.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)).map(str::to_owned);
        Self { files: files.collect(), segment }
    }

    fn remove(self) {
        for file in self.files {
            let _ = fs::remove_file(file);
        }
        if let Some(segment) = self.segment {
            let _ = Command::new("ipcrm").args(["-m", &segment]).stderr(Stdio::null()).status();
        }
    }
}

fn postmaster(child: &Child) -> Process {
    let id = child.id().try_into().expect("because Linux numbers processes with 31 bits");
    Process::of(id).expect("because a child has its number until it was waited for")
}

/// How long a keeper lets its server live.
enum Until {
    /// This process goes, or closes the child's input.
    InputEnds,
    /// Nobody has held a lock on the folder's `users` for so long.
    Unused(Duration),
}

/// Starts the script that ends a server after its users.
fn keeper(folder: &Path, until: Until) -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", KEEPER, "keeper"]).current_dir("/");
    match until {
        Until::InputEnds => command.arg("own").arg(folder).stdin(Stdio::piped()),
        Until::Unused(time) => {
            command.arg("shared").arg(folder).arg(time.as_secs().to_string()).stdin(Stdio::null())
        }
    };
    // A group of its own, and no output of ours: it has to outlive whoever is killed with the tests' group, and must not
    // keep those waiting who read the tests' output to its end.
    command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("because there is a shell")
}

/// The folder of what test processes share. It is the user's own: another's would not be safe to trust.
fn home() -> PathBuf {
    let user = rustix::process::geteuid();
    let home = std::env::temp_dir().join(format!("postrider-test-postgres-{}", user.as_raw()));
    // Open to read: root's servers are run by another user, who has to pass.
    let made = fs::DirBuilder::new().mode(0o755).create(&home);
    let found =
        fs::symlink_metadata(&home).unwrap_or_else(|error| panic!("{}: {error} ({made:?})", home.display()));
    assert!(
        found.is_dir() && found.uid() == user.as_raw(),
        "{} is another user's: remove it",
        home.display()
    );
    home
}

/// Waits for the lock of this name, and holds it until the file is dropped or the process ends.
fn locked(path: &Path) -> File {
    let (file, path) = lock_file(path);
    file.lock().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    file
}

/// The same beside others that have it shared.
fn locked_shared(path: &Path) -> File {
    let (file, path) = lock_file(path);
    file.lock_shared().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    file
}

fn lock_file(path: &Path) -> (File, PathBuf) {
    let path = path.with_extension("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    (file.unwrap_or_else(|error| panic!("{}: {error}", path.display())), path)
}

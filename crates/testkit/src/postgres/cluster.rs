//! A data folder, and the server that runs on it.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::process::{Process, look_until};
use super::programs::{Programs, run};
use super::{home, locked, locked_shared};

/// The user, the password and the database.
pub(super) const NAME: &str = "postrider";

/// What a crash left may have to be read again first: up to `max_wal_size` of it.
const START_PATIENCE: Duration = Duration::from_secs(300);

/// Everything durable, and sized for a machine of 2 cores and 24 GiB that measures. Memory is for the data of a bench;
/// checkpoints come by time, not by load, so that one run does not have one more than another.
const SETTINGS: &[(&str, &str)] = &[
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
    ("shared_buffers", "256MB"),
    // More than is needed, so that no process of the server has a file in /dev/shm that a kill would leave behind.
    ("min_dynamic_shared_memory", "32MB"),
    ("wal_buffers", "16MB"),
    ("max_wal_size", "4GB"),
    ("checkpoint_timeout", "15min"),
    ("checkpoint_completion_target", "0.9"),
    ("max_connections", "100"),
    ("autovacuum", "on"),
    ("jit", "off"),
    // A standby that was stopped finds what it missed.
    ("wal_keep_size", "1GB"),
    // A standby whose primary was away looks for it that often, instead of every 5 s.
    ("wal_retrieve_retry_interval", "100ms"),
    ("log_line_prefix", "%m [%p] "),
];

/// A data folder has the locale of no country, so that no machine sorts differently from another.
const INITDB: &[&str] =
    &["--username=postrider", "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync"];

/// Ephemeral ports begin at 32768. One of those could be a client's own when the server wants it again after a restart,
/// and a client that dials a closed one can even meet itself.
const PORTS: std::ops::Range<u16> = 15_000..32_000;
const PORTS_TRIED_MAX: u32 = 50;

/// `data`, `log` and what else belongs to one server, in one folder.
#[derive(Debug, Clone)]
pub(super) struct Cluster {
    pub(super) programs: Programs,
    pub(super) folder: PathBuf,
}

impl Cluster {
    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(super) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.join("log")).unwrap_or_default()).into_owned()
    }

    /// Makes the data folder, as a copy of one that `initdb` has made on this machine since it was booted.
    pub(super) fn create(&self, settings: &[(&str, &str)]) {
        {
            let (template, _held) = template(&self.programs);
            run(Command::new("cp").args(["-a", "--reflink=auto"]).args([&template, &self.data()]));
        }
        self.set(settings);
    }

    /// Adds settings. Of two for the same name the later one holds.
    pub(super) fn set(&self, settings: &[(&str, &str)]) {
        let lines: String =
            settings.iter().map(|(name, value)| format!("{name} = {}\n", quoted(value))).collect();
        append(&self.data().join("postgresql.conf"), &lines);
    }

    /// Starts a server on a free port.
    pub(super) fn start_anywhere(&self) -> (Child, u16) {
        for _ in 0..PORTS_TRIED_MAX {
            let port = free_port();
            match self.start(port) {
                Ok(child) => return (child, port),
                Err(why) if why.contains("could not create any TCP/IP sockets") => {}
                Err(why) => panic!("{why}"),
            }
        }
        panic!("{PORTS_TRIED_MAX} ports between {} and {} were taken", PORTS.start, PORTS.end);
    }

    /// Starts the server, and waits until it takes connections. The child is the postmaster itself.
    pub(super) fn start(&self, port: u16) -> Result<Child, String> {
        let log = OpenOptions::new().create(true).append(true).open(self.folder.join("log"));
        let log = log.map_err(|error| format!("{}: {error}", self.folder.display()))?;
        let said_before = self.log().len();
        let mut command = self.programs.server("postgres");
        command.arg("-D").arg(self.data()).args(["-p", &port.to_string()]);
        command.args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
        // A group of its own: what ends a test at a terminal must not end the server before the test has seen it.
        command.process_group(0).stdout(Stdio::null()).stderr(log);
        let mut child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let mut ended = None;
        let ready = look_until(START_PATIENCE, || {
            ended = child.try_wait().expect("because it is our child");
            ended.is_some() || self.ready() == Some((child.id(), port))
        });
        let said = || self.log().get(said_before..).unwrap_or_default().to_owned();
        match ended {
            Some(status) => Err(format!("PostgreSQL did not start ({status}):\n{}", said())),
            None if !ready => {
                let _ = child.kill();
                let _ = child.wait();
                Err(format!("PostgreSQL was not ready after {START_PATIENCE:?}:\n{}", said()))
            }
            None => Ok(child),
        }
    }

    /// The server that runs on this folder, whoever started it, and its port.
    pub(super) fn running(&self) -> Option<(Process, u16)> {
        let (id, port) = self.ready()?;
        let process = Process::of(id.try_into().ok()?)?;
        let ours = process.lives() && process.is_called_with(&self.data());
        ours.then_some((process, port))
    }

    /// What `postmaster.pid` says of a server that takes connections: number, data folder, start, port, socket folder,
    /// address, shared memory, state. It may be a dead one's.
    fn ready(&self) -> Option<(u32, u16)> {
        let text = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        match lines[..] {
            [id, _, _, port, .., "ready"] => Some((id.parse().ok()?, port.parse().ok()?)),
            _ => None,
        }
    }

    pub(super) fn address(&self, port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    pub(super) fn url(&self, port: u16, database: &str) -> String {
        format!("postgres://{NAME}:{NAME}@{}/{database}", self.address(port))
    }
}

/// psql with one statement. It writes rows as lines and parts columns by `|`.
pub(super) fn psql(programs: &Programs, url: &str, statement: &str) -> Command {
    let mut psql = programs.client("psql");
    psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", statement]);
    psql.env("PGCONNECT_TIMEOUT", "30");
    psql
}

/// A name as an identifier.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Numbers that other processes do not have: the standard library keys its hash maps at random.
pub(super) fn unpredictable() -> u64 {
    RandomState::new().build_hasher().finish()
}

pub(super) fn append(path: &Path, text: &str) {
    let file = OpenOptions::new().append(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// A data folder to copy, and the lock under which nobody removes it.
fn template(programs: &Programs) -> (PathBuf, File) {
    // One that was made before the machine went down may be torn: it was made without a sync.
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let mut hasher = DefaultHasher::new();
    (programs.version(), boot, INITDB, SETTINGS).hash(&mut hasher);
    let template = home().join(format!("template-{:016x}", hasher.finish()));
    let path = home().join("template");
    loop {
        // Many may copy at once; one makes it, while nobody copies.
        let copying = locked_shared(&path);
        if template.join("data").is_dir() {
            return (template.join("data"), copying);
        }
        drop(copying);
        let _making = locked(&path);
        if !template.join("data").is_dir() {
            make_template(programs, &template);
        }
    }
}

fn make_template(programs: &Programs, template: &Path) {
    let old = fs::read_dir(home()).expect("because it was made").flatten().map(|entry| entry.path());
    for old in old.filter(|path| path.is_dir() && path.to_string_lossy().contains("/template-")) {
        let _ = fs::remove_dir_all(old);
    }
    let unfinished = template.with_extension("unfinished");
    fs::create_dir(&unfinished).expect("because what was here before was removed");
    programs.give(&unfinished);
    let (data, password) = (unfinished.join("data"), unfinished.join("password"));
    fs::write(&password, NAME).expect("because the folder is new");
    let mut initdb = programs.server("initdb");
    run(initdb.args(INITDB).arg("--pwfile").arg(&password).arg("-D").arg(&data));
    let lines: String =
        SETTINGS.iter().map(|(name, value)| format!("{name} = {}\n", quoted(value))).collect();
    append(&data.join("postgresql.conf"), &lines);
    // Single-user mode: no server, no port.
    let statement = unfinished.join("statement");
    fs::write(&statement, format!("CREATE DATABASE {NAME}\n")).expect("because the folder is new");
    let input = File::open(&statement).expect("because it was written");
    run(programs.server("postgres").args(["--single", "-F", "-D"]).arg(&data).arg("postgres").stdin(input));
    fs::rename(&unfinished, template).expect("because nothing has its name");
}

fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

fn free_port() -> u16 {
    let count = u64::from(PORTS.end - PORTS.start);
    let mut tries = std::iter::repeat_with(|| PORTS.start + (unpredictable() % count) as u16);
    tries
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("because it goes on until one is free")
}

//! One server for all test processes of this user.
//!
//! It lives in the folder [`home`]. Who comes takes the lock `door`, then a shared lock on `users` that it holds for the
//! rest of its life, and starts the server where none runs. The keeper ends the server a minute after the last lock on
//! `users` is gone, which the kernel sees to however a process dies. All that is found here may be a dead process's:
//! only locks and what runs are believed.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use super::cluster::{Cluster, identifier, psql, unpredictable};
use super::process::Process;
use super::programs::{Programs, attempt};
use super::{Until, home, keeper, locked};

/// Many test processes with a pool each. A test that is over removes its database while its runtime stands still, perhaps in the
/// middle of a new connection: removing any database waits until that has got in or was given up, a minute by default.
const SETTINGS: &[(&str, &str)] = &[("max_connections", "500"), ("authentication_timeout", "5s")];

/// PostgreSQL cuts names after 63 bytes: this, the mark of a process (20 at most), a number (16), and what joins them.
const PREFIX_CHARS_MAX: usize = 24;

/// How many databases of dead processes each new one replaces. Each is 7 MB on disk, and fewer than two would never catch
/// up with what was left behind.
const SWEPT_MAX: usize = 4;

/// From one test run to the next, for whoever runs one test again and again.
const IDLE: Duration = Duration::from_secs(60);

/// A database of one test's own. It is removed when this is dropped, or after its process when that was killed or kept it
/// in a static: those who come later clear away what the dead have left.
#[derive(Debug)]
pub struct Database {
    pub url: String,
    /// Where the server listens: what a [`FaultProxy`](crate::proxy::FaultProxy) is started for.
    pub address: SocketAddr,
    pub name: String,
    server: &'static Server,
    sweeping: Option<Child>,
}

/// An empty database whose name begins with `prefix`, on the server that all test processes share. The first who comes
/// starts it, and it ends a minute after the last was gone. Nobody may kill it or change its settings.
pub fn shared_database(prefix: &str) -> Database {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::enter(&home(), IDLE)).database(prefix)
}

impl Database {
    /// Runs one statement. Gives its rows, a line each and columns parted by `|`.
    pub fn sql(&self, statement: &str) -> String {
        attempt(&mut psql(&self.server.cluster.programs, &self.url, statement))
            .unwrap_or_else(|why| panic!("{why}"))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A test that has failed is not to fail twice, and the server takes what is left with it when it ends.
        let _ = self.server.sql(&removal(&self.name));
        if let Some(sweeping) = &mut self.sweeping {
            let _ = sweeping.wait();
        }
    }
}

#[derive(Debug)]
struct Server {
    cluster: Cluster,
    port: u16,
    /// Locked: while it is, the server stays.
    _users: File,
}

impl Server {
    fn enter(folder: &Path, idle: Duration) -> Self {
        let cluster = Cluster { programs: Programs::find(), folder: folder.to_owned() };
        let _door = locked(&folder.join("door"));
        let users = enter(&cluster);
        let port = match cluster.running() {
            Some((_, port)) => port,
            None => start(&cluster),
        };
        keep(&cluster, idle);
        Self { cluster, port, _users: users }
    }

    fn database(&'static self, prefix: &str) -> Database {
        let plain =
            prefix.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' });
        let prefix: String = plain.take(PREFIX_CHARS_MAX).collect();
        let name = format!("{prefix}_{}_{:016x}", Process::this().mark(), unpredictable());
        let create = format!("CREATE DATABASE {} TEMPLATE template0", identifier(&name));
        let mut psql = psql(&self.cluster.programs, &self.cluster.url(self.port, "postgres"), &create);
        let names = attempt(psql.args(["-c", "SELECT datname FROM pg_database"]));
        let names = names.unwrap_or_else(|why| panic!("{why}"));
        Database {
            url: self.cluster.url(self.port, &name),
            address: self.cluster.address(self.port),
            name,
            server: self,
            sweeping: self.sweep(names.lines()),
        }
    }

    /// Removes databases of dead processes, beside what the test does.
    fn sweep<'a>(&self, names: impl Iterator<Item = &'a str>) -> Option<Child> {
        let mut left = names.filter(|name| maker(name).is_some_and(|maker| !maker.lives())).take(SWEPT_MAX);
        let url = self.cluster.url(self.port, "postgres");
        let mut psql = psql(&self.cluster.programs, &url, &removal(left.next()?));
        for name in left {
            psql.args(["-c", &removal(name)]);
        }
        // Others may be at the same ones.
        psql.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
    }

    fn sql(&self, statement: &str) -> Result<String, String> {
        attempt(&mut psql(&self.cluster.programs, &self.cluster.url(self.port, "postgres"), statement))
    }
}

/// Who made a database: `PREFIX_ID_START_NUMBER`.
fn maker(database: &str) -> Option<Process> {
    let (rest, _number) = database.rsplit_once('_')?;
    let (start_of_mark, _) = rest.rmatch_indices('_').nth(1)?;
    Process::of_mark(&rest[start_of_mark + 1..])
}

fn removal(database: &str) -> String {
    format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", identifier(database))
}

/// Waits for a keeper that is ending the server, and lets none end it from now on.
fn enter(cluster: &Cluster) -> File {
    let users = OpenOptions::new().create(true).append(true).open(cluster.folder.join("users"));
    let mut users = users.expect("because the folder is ours");
    users.lock_shared().expect("because the kernel has locks");
    // The keeper sees by the time of the file that somebody was here.
    users
        .set_len(0)
        .and_then(|()| writeln!(users, "{}", std::process::id()))
        .expect("because the file is ours");
    users
}

fn start(cluster: &Cluster) -> u16 {
    let _ = fs::remove_dir_all(cluster.data());
    let _ = fs::remove_file(cluster.folder.join("log"));
    cluster.create(SETTINGS);
    let (_postmaster, port) = cluster.start_anywhere();
    port
}

/// Starts a keeper where none is. Two at a time are no harm: the second finds the first one's lock and leaves.
#[expect(clippy::zombie_processes, reason = "the keeper has to outlive this process")]
fn keep(cluster: &Cluster, idle: Duration) {
    let file = OpenOptions::new().create(true).append(true).open(cluster.folder.join("keeper"));
    let file = file.expect("because the folder is ours");
    if file.try_lock().is_ok() {
        drop(file);
        keeper(&cluster.folder, Until::Unused(idle));
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::super::process::look_until;
    use super::*;

    /// What a test needs to be over quickly; the process of a test that failed is over before.
    const SOON: Duration = Duration::from_secs(1);
    const PATIENCE: Duration = Duration::from_secs(60);

    /// A folder that the server's user may enter, as [`home`] is.
    fn folder() -> tempfile::TempDir {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        tempfile::Builder::new().permissions(permissions).tempdir().expect("a folder")
    }

    fn ends(server: Server) {
        let cluster = server.cluster.clone();
        let (postmaster, _) = cluster.running().expect("it runs while it is used");
        drop(server);
        assert!(look_until(PATIENCE, || !cluster.data().exists()), "the server outlives its users");
        assert!(!postmaster.lives());
        let rest = || fs::read_dir(&cluster.folder).expect("the folder").flatten();
        let removed = || !rest().any(|entry| entry.file_name().to_string_lossy().starts_with("ended."));
        assert!(look_until(PATIENCE, removed), "the files outlive the server");
    }

    #[test]
    fn those_who_come_at_once_share_one_server_that_ends_after_the_last() {
        let folder = folder();
        let servers: Vec<Server> = thread::scope(|scope| {
            let coming: Vec<_> =
                (0..20).map(|_| scope.spawn(|| Server::enter(folder.path(), SOON))).collect();
            coming.into_iter().map(|coming| coming.join().expect("one that comes")).collect()
        });
        assert!(servers.iter().all(|server| server.port == servers[0].port));
        let started = servers[0].cluster.log().matches("starting PostgreSQL").count();
        assert_eq!(started, 1);
        let last = servers.into_iter().reduce(|first, next| {
            drop(first);
            next
        });
        let last = last.expect("twenty came");
        assert_eq!(last.sql("SELECT 1"), Ok("1".to_owned()));
        ends(last);
    }

    #[test]
    fn who_comes_while_the_server_ends_gets_a_new_one() {
        let folder = folder();
        for _ in 0..3 {
            let server = Server::enter(folder.path(), SOON);
            assert_eq!(server.sql("SELECT 1"), Ok("1".to_owned()));
            let data = server.cluster.data();
            drop(server);
            // The keeper is at it as soon as this file is gone.
            assert!(look_until(PATIENCE, || !data.join("postmaster.pid").exists()), "the server goes on");
        }
        ends(Server::enter(folder.path(), SOON));
    }

    #[test]
    fn a_folder_whose_server_died_with_its_machine_is_used_again() {
        let folder = folder();
        let data = folder.path().join("data");
        fs::create_dir(&data).expect("a data folder");
        // Process 1 lives, and is no server.
        let stale = format!("1\n{}\n1\n5432\n\n127.0.0.1\n1 1\nready   \n", data.display());
        fs::write(data.join("postmaster.pid"), stale).expect("a stale file");
        let server = Server::enter(folder.path(), SOON);
        assert_eq!(server.sql("SELECT 1"), Ok("1".to_owned()));
        ends(server);
    }

    #[test]
    fn a_database_is_gone_after_its_handle_with_its_users() {
        let database = shared_database("A-Name (with signs)");
        assert!(database.name.starts_with("a_name__with_signs__"), "{}", database.name);
        let server = database.server;
        let other = shared_database("other");
        assert_ne!(database.url, other.url);
        let count = |name: &str| {
            server
                .sql(&format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'"))
                .expect("a count")
        };
        assert_eq!(count(&database.name), "1");
        let mut user = psql(&server.cluster.programs, &database.url, "SELECT pg_sleep(600)");
        let mut user = user.stderr(Stdio::null()).spawn().expect("psql");
        let busy =
            "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' AND datname = ";
        let connected = || server.sql(&format!("{busy}'{}'", database.name)).as_deref() == Ok("1");
        assert!(look_until(PATIENCE, connected));
        let name = database.name.clone();
        drop(database);
        assert_eq!(count(&name), "0");
        assert!(!user.wait().expect("psql ends").success());
    }
}

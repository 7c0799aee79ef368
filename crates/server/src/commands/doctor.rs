//! `postrider doctor`: looks at the machine and the data folder before or beside a server, and says what to change.
//!
//! It changes nothing: the one file that it writes, to time the disk, it removes. Exit status: 0 when nothing stands in the
//! way of a server, 1 otherwise; a warning is something to know.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use postrider_domain::time::{Clock as _, Timestamp};
use postrider_egress::{AllowList, Resolve as _, SystemResolver};
use postrider_store::{CONNECTIONS_MAX, ServerLook};
use secrecy::ExposeSecret as _;
use tokio::time::Instant;

use crate::complaint::Complaint;
use crate::config::{Config, Sources, Synchronous};
use crate::os::SystemClock;
use crate::wire;

/// Below this a server would soon stop accepting: a day of 100,000 events of 1 KiB, with their deliveries, takes about as much.
const FREE_BYTES_MIN: u64 = 256 * 1024 * 1024;
const FREE_BYTES_ADVISED: u64 = 2 * 1024 * 1024 * 1024;
/// This program was not written before this moment, 2026-01-01: a clock that reads earlier is wrong.
const WRITTEN: Timestamp = Timestamp::from_unix_ms(1_767_225_600_000);
const FSYNC_SAMPLES: usize = 32;
/// A commit needs one sync; above this, each publish of a quiet server takes longer than most callers expect of it.
const FSYNC_ADVISED: Duration = Duration::from_millis(20);
/// Above this, the way to a database is most of what a publish takes.
const ROUND_TRIP_ADVISED: Duration = Duration::from_millis(3);
/// Between this machine and the database's.
const CLOCKS_APART_MAX: Duration = Duration::from_secs(2);
const DATABASE: &str = "database";
/// A name that is there by rule (RFC 2606), for a look whether names resolve at all.
const PROBE_NAME: &str = "example.com";
/// File systems on which SQLite's locks or syncs cannot be relied on.
const REMOTE_FILE_SYSTEMS: [&str; 11] = [
    "9p",
    "afs",
    "ceph",
    "cifs",
    "fuse.glusterfs",
    "fuse.sshfs",
    "glusterfs",
    "nfs",
    "nfs4",
    "smb3",
    "smbfs",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    Warning,
    Bad,
}

/// What one look found.
struct Finding {
    about: &'static str,
    verdict: Verdict,
    saw: String,
    remedy: String,
}

impl Finding {
    fn good(about: &'static str, saw: impl Into<String>) -> Self {
        Self { about, verdict: Verdict::Good, saw: saw.into(), remedy: String::new() }
    }

    fn warning(about: &'static str, saw: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { about, verdict: Verdict::Warning, saw: saw.into(), remedy: remedy.into() }
    }

    fn bad(about: &'static str, saw: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { about, verdict: Verdict::Bad, saw: saw.into(), remedy: remedy.into() }
    }
}

pub(crate) async fn run(sources: &Sources) -> Result<ExitCode, Complaint> {
    let config = Config::load(sources)?;
    let mut findings = vec![Finding::good("settings", "read, every name known")];
    match &config.database_url {
        Some(url) => findings.extend(postgres(&config, url.expose_secret()).await),
        None => {
            findings.push(data_folder(&config.data));
            // The rest of the disk's story is about where the folder is or will be.
            let place = existing_ancestor(&config.data);
            findings.push(file_system(&place));
            findings.push(free_space(&place));
            findings.push(disk_latency(&place));
            findings.push(database(&config.data));
            findings.push(synchronous(config.synchronous));
            findings.push(master_key(&config));
            findings.push(clock(&config.data));
        }
    }
    findings.push(port(&config));
    findings.push(names().await);
    findings.push(egress_allow(&config.egress_allow));
    findings.push(exposure(&config));

    let mut bad = 0;
    for finding in &findings {
        let word = match finding.verdict {
            Verdict::Good => "ok     ",
            Verdict::Warning => "warning",
            Verdict::Bad => "bad    ",
        };
        println!("{word}  {:<14} {}", finding.about, finding.saw);
        if !finding.remedy.is_empty() {
            println!("         {:<14} do: {}", "", finding.remedy);
        }
        bad += usize::from(finding.verdict == Verdict::Bad);
    }
    if bad == 0 {
        println!("\nNothing stands in the way of `postrider serve`.");
        return Ok(ExitCode::SUCCESS);
    }
    println!("\n{bad} to put right before `postrider serve`.");
    Ok(ExitCode::FAILURE)
}

/// The folder itself, or the closest one above it that is there.
fn existing_ancestor(folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    absolute.ancestors().find(|path| path.exists()).map_or_else(|| PathBuf::from("/"), Path::to_owned)
}

fn data_folder(folder: &Path) -> Finding {
    const ABOUT: &str = "data folder";
    let shown = folder.display();
    match fs::metadata(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let parent = existing_ancestor(folder);
            match tempfile::tempfile_in(&parent) {
                Ok(_) => {
                    Finding::good(ABOUT, format!("{shown} is not there yet; the first start creates it"))
                }
                Err(error) => Finding::bad(
                    ABOUT,
                    format!("{shown} is not there, and {} cannot be written: {error}", parent.display()),
                    "choose another folder (--data), or give this user the right to write there",
                ),
            }
        }
        Err(error) => {
            Finding::bad(ABOUT, format!("{shown} cannot be looked at: {error}"), "check its permissions")
        }
        Ok(metadata) if !metadata.is_dir() => {
            Finding::bad(ABOUT, format!("{shown} is a file"), "choose a folder (--data)")
        }
        Ok(metadata) => {
            if let Err(error) = tempfile::tempfile_in(folder) {
                return Finding::bad(
                    ABOUT,
                    format!("{shown} cannot be written: {error}"),
                    "give this user the folder (chown), or choose another (--data)",
                );
            }
            match open_to_others(&metadata) {
                Some(mode) => Finding::warning(
                    ABOUT,
                    format!("{shown} can be entered by other users (mode {mode:o})"),
                    format!("chmod 700 {shown}"),
                ),
                None => Finding::good(ABOUT, format!("{shown} can be written, by this user only")),
            }
        }
    }
}

#[cfg(unix)]
fn open_to_others(metadata: &fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn open_to_others(_metadata: &fs::Metadata) -> Option<u32> {
    None
}

fn file_system(place: &Path) -> Finding {
    const ABOUT: &str = "file system";
    let Ok(mounts) = fs::read_to_string("/proc/self/mountinfo") else {
        return Finding::warning(
            ABOUT,
            "its kind cannot be told on this system",
            "make sure that the data folder is on a local disk: SQLite's locks fail on network file systems",
        );
    };
    let Some(kind) = kind_of_file_system(&mounts, place) else {
        return Finding::warning(
            ABOUT,
            format!("no mount holds {}", place.display()),
            "check that it is a local disk",
        );
    };
    if REMOTE_FILE_SYSTEMS.contains(&kind) {
        return Finding::bad(
            ABOUT,
            format!("{} is on {kind}, a network file system", place.display()),
            "put the data folder on a local disk (--data): SQLite's locks and syncs cannot be relied on there",
        );
    }
    if matches!(kind, "tmpfs" | "ramfs") {
        return Finding::warning(
            ABOUT,
            format!("{} is in memory ({kind})", place.display()),
            "put the data folder on a disk, unless it may be lost at a restart of the machine",
        );
    }
    Finding::good(ABOUT, format!("{kind}, local"))
}

/// The type of the mount that holds `place`, from the text of Linux's `mountinfo` (proc(5)).
fn kind_of_file_system<'a>(mountinfo: &'a str, place: &Path) -> Option<&'a str> {
    let mut best: Option<(usize, &str)> = None;
    for line in mountinfo.lines() {
        // Optional fields end with a dash; the type follows it.
        let Some((fields, rest)) = line.split_once(" - ") else { continue };
        let (Some(mount_point), Some(kind)) = (fields.split(' ').nth(4), rest.split(' ').next()) else {
            continue;
        };
        let mount_point = mount_point.replace("\\040", " ");
        let length = mount_point.len();
        // Of two mounts on the same place, the later one is on top.
        if place.starts_with(&mount_point) && best.is_none_or(|(longest, _)| length >= longest) {
            best = Some((length, kind));
        }
    }
    best.map(|(_, kind)| kind)
}

fn free_space(place: &Path) -> Finding {
    const ABOUT: &str = "free space";
    let free = match free_bytes(place) {
        Ok(free) => free,
        Err(error) => {
            return Finding::warning(ABOUT, format!("cannot be told: {error}"), "look at it with df");
        }
    };
    let shown = format!("{} MiB free", free / 1024 / 1024);
    let remedy = "free some, or choose a folder on a larger disk (--data); a shorter retention needs less";
    if free < FREE_BYTES_MIN {
        Finding::bad(ABOUT, shown, remedy)
    } else if free < FREE_BYTES_ADVISED {
        Finding::warning(ABOUT, shown, remedy)
    } else {
        Finding::good(ABOUT, shown)
    }
}

#[cfg(unix)]
fn free_bytes(place: &Path) -> std::io::Result<u64> {
    let found = rustix::fs::statvfs(place)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_place: &Path) -> std::io::Result<u64> {
    Err(std::io::ErrorKind::Unsupported.into())
}

fn disk_latency(place: &Path) -> Finding {
    const ABOUT: &str = "disk";
    match sync_times(place) {
        Err(error) => Finding::bad(
            ABOUT,
            format!("a test file could not be synced: {error}"),
            "check the disk and its mount options",
        ),
        Ok(mut times) => {
            times.sort_unstable();
            let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
            let shown = format!(
                "a sync takes {:.2} ms (median of {FSYNC_SAMPLES}), {:.2} ms at worst",
                median.as_secs_f64() * 1000.0,
                worst.as_secs_f64() * 1000.0
            );
            if median > FSYNC_ADVISED {
                Finding::warning(ABOUT, shown, "use a faster disk: each accepted request waits for one sync")
            } else {
                Finding::good(ABOUT, shown)
            }
        }
    }
}

fn sync_times(place: &Path) -> std::io::Result<Vec<Duration>> {
    let mut file = tempfile::tempfile_in(place)?;
    let page = [0u8; 4096];
    (0..FSYNC_SAMPLES)
        .map(|_| {
            let began = Instant::now();
            file.write_all(&page)?;
            file.sync_data()?;
            Ok(began.elapsed())
        })
        .collect()
}

fn database(folder: &Path) -> Finding {
    let path = folder.join(wire::DATABASE_FILE);
    let mut head = [0u8; 100];
    let read = fs::File::open(&path).and_then(|mut file| file.read_exact(&mut head));
    match read {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Finding::good(DATABASE, "not there yet; the first start creates it")
        }
        Err(error) => Finding::bad(
            DATABASE,
            format!("{} cannot be read: {error}", path.display()),
            "check its permissions; a file that is cut short has to come from a backup",
        ),
        Ok(()) => judge_database_head(&path, &head),
    }
}

/// SQLite's file format, section 1.3: the magic string, and the write version at byte 18, which is 2 for WAL.
fn judge_database_head(path: &Path, head: &[u8; 100]) -> Finding {
    const ABOUT: &str = "database";
    if !head.starts_with(b"SQLite format 3\0") {
        return Finding::bad(
            ABOUT,
            format!("{} is not an SQLite database", path.display()),
            "restore the file from a backup, or choose another folder (--data)",
        );
    }
    if head[18] != 2 {
        return Finding::warning(
            ABOUT,
            format!("{} is not in WAL mode", path.display()),
            "nothing: the next start switches it back; find out which program changed it",
        );
    }
    Finding::good(ABOUT, "SQLite, WAL mode")
}

/// What there is instead of a data folder.
async fn postgres(config: &Config, url: &str) -> Vec<Finding> {
    const KEY: &str = "master key";
    let key = match &config.master_key {
        Some(_) => Finding::good(KEY, "given by setting; every node needs the same"),
        None => Finding::bad(
            KEY,
            "not given, and nodes that share a database share a key",
            "openssl rand -hex 32, and give that to every node in POSTRIDER_MASTER_KEY",
        ),
    };
    let mut findings =
        match postrider_store::look_at_server(url, config.allow_unsafe_sync, &SystemClock).await {
            Ok(look) => server(&look, SystemClock.now()),
            Err(error) => {
                vec![Finding::bad(DATABASE, error.to_string(), wire::database_remedy(&error))]
            }
        };
    findings.push(key);
    findings
}

fn server(look: &ServerLook, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.push(if look.used || look.may_create {
        let is = if look.used { "in use" } else { "empty; the first start creates the tables" };
        Finding::good(DATABASE, format!("PostgreSQL {}, {is}", look.version))
    } else {
        Finding::bad(
            DATABASE,
            format!("PostgreSQL {}, and its user may not create tables", look.version),
            "make the user the owner of the database: ALTER DATABASE name OWNER TO user",
        )
    });
    findings.push(match (look.encrypted, look.local) {
        (true, _) => Finding::good("encryption", "TLS"),
        (false, true) => Finding::good("encryption", "none, and the server is on this machine"),
        (false, false) => Finding::warning(
            "encryption",
            "none: payloads and results go over the network in the open",
            "end the database URL with ?sslmode=verify-full (and sslrootcert=FILE for an authority of your own)",
        ),
    });
    let needed = u64::from(CONNECTIONS_MAX);
    findings.push(if look.connections >= needed {
        Finding::good("connections", format!("{} more; a node takes {needed}", look.connections))
    } else {
        Finding::bad(
            "connections",
            format!("{} more; a node takes {needed}", look.connections),
            "raise max_connections, or stop what holds them",
        )
    });
    let trip = format!("{:.1} ms to the server and back", look.round_trip.as_secs_f64() * 1e3);
    findings.push(if look.round_trip <= ROUND_TRIP_ADVISED {
        Finding::good("distance", trip)
    } else {
        Finding::warning(
            "distance",
            trip,
            "run the nodes near the server: each publish takes two trips and a sync",
        )
    });
    findings.push(if now < WRITTEN || look.clocks_apart > CLOCKS_APART_MAX {
        let apart = look.clocks_apart.as_secs_f64();
        Finding::bad(
            "clock",
            format!("it reads {now}; the server's is {apart:.1} s apart"),
            "set both (timedatectl set-ntp true): schedules, signatures and the order of events carry the time",
        )
    } else {
        Finding::good("clock", format!("{now}, as the server's"))
    });
    findings
}

fn synchronous(setting: Synchronous) -> Finding {
    match setting {
        Synchronous::Full => {
            Finding::good("syncing", "full: what was answered with a 2xx survives a power cut")
        }
        Synchronous::Normal | Synchronous::Off => Finding::warning(
            "syncing",
            "below full: a power cut can take back what was answered with a 2xx",
            "remove the setting synchronous, unless the data may be lost",
        ),
    }
}

fn master_key(config: &Config) -> Finding {
    const ABOUT: &str = "master key";
    if config.master_key.is_some() {
        return Finding::good(ABOUT, "given by setting");
    }
    let path = config.data.join(wire::MASTER_KEY_FILE);
    let shown = path.display();
    match fs::metadata(&path) {
        Ok(metadata) => match open_to_others(&metadata) {
            Some(mode) => Finding::bad(
                ABOUT,
                format!("{shown} can be read by other users (mode {mode:o})"),
                format!("chmod 600 {shown}; if others may have read it, rotate the webhooks' secrets"),
            ),
            None => Finding::good(
                ABOUT,
                format!("in {shown}; keep a copy of it apart from the backups of the database"),
            ),
        },
        Err(_) if config.data.join(wire::DATABASE_FILE).exists() => Finding::bad(
            ABOUT,
            format!("{shown} is missing, and the database was made with it"),
            "put the file back, or give its 64 hex digits in POSTRIDER_MASTER_KEY",
        ),
        Err(_) => Finding::good(ABOUT, format!("not there yet; the first start creates {shown}")),
    }
}

fn clock(folder: &Path) -> Finding {
    const ABOUT: &str = "clock";
    let now = SystemClock.now();
    if now < WRITTEN {
        return Finding::bad(
            ABOUT,
            format!("it reads {now}, which has passed"),
            "set it (timedatectl set-ntp true): signatures and schedules carry the time",
        );
    }
    let newest = newest_file(folder);
    if let Some(newest) = newest
        && newest > now.plus(Duration::from_secs(60))
    {
        return Finding::bad(
            ABOUT,
            format!("it reads {now}, but the data folder was written at {newest}"),
            "set the clock: it was put back since the server last ran",
        );
    }
    Finding::good(ABOUT, format!("{now}"))
}

fn newest_file(folder: &Path) -> Option<Timestamp> {
    let entries = fs::read_dir(folder).ok()?;
    entries
        .filter_map(|entry| entry.ok()?.metadata().ok()?.modified().ok())
        .filter_map(|moment| moment.duration_since(std::time::UNIX_EPOCH).ok())
        .filter_map(|since| i64::try_from(since.as_millis()).ok())
        .max()
        .map(Timestamp::from_unix_ms)
}

fn port(config: &Config) -> Finding {
    const ABOUT: &str = "port";
    match TcpListener::bind(config.listen) {
        Ok(_) => Finding::good(ABOUT, format!("{} is free", config.listen)),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && is_in_use(&config.data) => {
            Finding::good(ABOUT, format!("{} is taken, and a server runs on the data folder", config.listen))
        }
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Finding::bad(
            ABOUT,
            format!("{} is taken", config.listen),
            "stop the program that has it, or choose another with --listen",
        ),
        Err(error) => Finding::bad(
            ABOUT,
            format!("{} cannot be listened on: {error}", config.listen),
            "choose an address of this machine, and a port above 1023 unless this user may take lower ones",
        ),
    }
}

/// Whether a server has the data folder.
fn is_in_use(folder: &Path) -> bool {
    let lock = fs::File::open(folder.join(wire::LOCK_FILE));
    lock.is_ok_and(|file| matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)))
}

async fn names() -> Finding {
    const ABOUT: &str = "names";
    let remedy = "check /etc/resolv.conf and the firewall for port 53; receivers are found by name";
    let resolver = match SystemResolver::new() {
        Ok(resolver) => resolver,
        Err(error) => return Finding::bad(ABOUT, format!("no name server is configured: {error}"), remedy),
    };
    let began = Instant::now();
    let answer =
        tokio::time::timeout(postrider_domain::limits::DNS_TIMEOUT, resolver.addresses(PROBE_NAME)).await;
    match answer {
        Ok(Ok(_)) => {
            Finding::good(ABOUT, format!("{PROBE_NAME} resolves, in {} ms", began.elapsed().as_millis()))
        }
        Ok(Err(error)) => Finding::warning(ABOUT, format!("{PROBE_NAME} does not resolve: {error}"), remedy),
        Err(_) => Finding::warning(ABOUT, format!("{PROBE_NAME} did not resolve in time"), remedy),
    }
}

fn egress_allow(entries: &[String]) -> Finding {
    const ABOUT: &str = "egress_allow";
    if let Err(error) = AllowList::parse(entries) {
        return Finding::bad(ABOUT, error.to_string(), "correct the entry");
    }
    if entries.is_empty() {
        return Finding::good(ABOUT, "empty: webhooks reach public addresses only");
    }
    if entries.iter().any(|entry| entry.ends_with("/0")) {
        return Finding::warning(
            ABOUT,
            "opens every address, this machine's services and the cloud's metadata address among them",
            "list only the ranges that receivers are in",
        );
    }
    Finding::good(ABOUT, format!("opens {}", entries.join(", ")))
}

fn exposure(config: &Config) -> Finding {
    const ABOUT: &str = "exposure";
    match wire::exposure_warning(config) {
        None => Finding::good(ABOUT, "as configured"),
        Some((saw, remedy)) => Finding::warning(ABOUT, saw, remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /mnt/share\\040one rw - nfs4 server:/x rw
24 22 0:22 / /mnt rw shared:2 master:1 - xfs /dev/sdb rw
25 22 0:23 / /mnt/fast rw - tmpfs tmpfs rw
26 22 8:9 / /mnt/fast rw - ext4 /dev/sdc rw
";

    #[test]
    fn the_file_system_is_that_of_the_longest_mount_and_of_the_last_on_the_same_place() {
        let kind = |path: &str| kind_of_file_system(MOUNTS, Path::new(path));
        assert_eq!(kind("/var/lib/postrider"), Some("ext4"));
        assert_eq!(kind("/mnt/data"), Some("xfs"));
        assert_eq!(kind("/mnt/share one/data"), Some("nfs4"));
        assert_eq!(kind("/mnt/fast"), Some("ext4"));
        assert_eq!(kind_of_file_system("", Path::new("/")), None);
        assert_eq!(kind_of_file_system("broken\n1 - \n", Path::new("/")), None);
    }

    #[test]
    fn a_file_that_is_no_database_and_one_that_lost_its_wal_mode_are_told_apart() {
        let mut head = [0u8; 100];
        assert_eq!(judge_database_head(Path::new("x"), &head).verdict, Verdict::Bad);
        head[..16].copy_from_slice(b"SQLite format 3\0");
        assert_eq!(judge_database_head(Path::new("x"), &head).verdict, Verdict::Warning);
        head[18] = 2;
        assert_eq!(judge_database_head(Path::new("x"), &head).verdict, Verdict::Good);
    }

    #[test]
    fn a_data_folder_that_is_a_file_or_open_to_others_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "x").expect("written");
        assert_eq!(data_folder(&file).verdict, Verdict::Bad);
        assert_eq!(data_folder(&folder.path().join("new")).verdict, Verdict::Good);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("set");
            assert_eq!(data_folder(folder.path()).verdict, Verdict::Warning);
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).expect("set");
            assert_eq!(data_folder(folder.path()).verdict, Verdict::Good);
        }
    }

    #[test]
    fn a_missing_master_key_is_bad_only_beside_a_database() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = Config { data: folder.path().to_owned(), ..Config::default() };
        assert_eq!(master_key(&config).verdict, Verdict::Good);
        fs::write(folder.path().join(wire::DATABASE_FILE), "x").expect("written");
        assert_eq!(master_key(&config).verdict, Verdict::Bad);
    }

    #[test]
    fn a_port_that_somebody_has_is_reported() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let config = Config { listen: taken.local_addr().expect("bound"), ..Config::default() };
        assert_eq!(port(&config).verdict, Verdict::Bad);
    }

    #[test]
    fn a_port_that_the_folders_own_server_has_is_good() {
        let folder = tempfile::tempdir().expect("a folder");
        let lock = fs::File::create(folder.path().join(wire::LOCK_FILE)).expect("created");
        lock.try_lock().expect("nobody else has it");
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let listen = taken.local_addr().expect("bound");
        let config = Config { listen, data: folder.path().to_owned(), ..Config::default() };
        assert_eq!(port(&config).verdict, Verdict::Good);
    }

    #[test]
    fn an_allow_list_that_opens_everything_is_a_warning_and_nonsense_is_bad() {
        let verdict = |entries: &[&str]| {
            egress_allow(&entries.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>()).verdict
        };
        assert_eq!(verdict(&[]), Verdict::Good);
        assert_eq!(verdict(&["10.0.0.0/8"]), Verdict::Good);
        assert_eq!(verdict(&["0.0.0.0/0"]), Verdict::Warning);
        assert_eq!(verdict(&["10.0.0.0/99"]), Verdict::Bad);
    }
}

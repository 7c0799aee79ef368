//! The store in SQLite's files: the data folder and its lock, one writer's thread, readers beside it, and the hot
//! operations statement by statement.
//!
//! Each file is one operation with its statements beside it, run by the writer's thread (`writer`).

mod accept;
pub(crate) mod backup;
mod cancel;
mod claim;
pub(crate) mod claims;
pub(crate) mod counters;
#[cfg(test)]
pub(crate) mod plans;
mod ready;
mod reap;
mod record;
mod restored;
mod settle;
pub(crate) mod source;
mod sweep;
mod writer;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use postrider_domain::id::{EventId, TenantId};
use postrider_domain::random::Random;
use postrider_domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::{Mutex, oneshot};

use crate::StoreError;
use crate::db::{Reader, WriteTx};
use crate::migrate;
use crate::open::Synchronous;
use crate::seal::{self, MasterKey, Sealer};
use writer::Writer;

pub(crate) use writer::Batch;

const DATABASE_FILE: &str = "postrider.db";
const LOCK_FILE: &str = "lock";
/// Connections for reads: more than the cores of a small machine, so that one long list does not hold up a lookup.
const READERS: u32 = 4;
/// How long a statement waits for another connection. Writers take turns by a lock of ours, so nobody should wait at all.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a cold read or write waits for its connection before it answers "unavailable".
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// Pages of the write-ahead log at which they are brought back into the database, 16 MiB: pages that are written by every
/// batch are brought back once in that time, and a start after a crash still reads the log in well under a second.
const CHECKPOINT_PAGES: u32 = 4096;
/// Pages that the writer keeps in memory, KiB: the upper levels of all index trees and the leaves that are being filled.
const WRITER_CACHE_KIB: i64 = 8 * 1024;

const CANARY_READ: &str = "SELECT value FROM meta WHERE key = 'canary'";
const CANARY_WRITE: &str = "INSERT INTO meta (key, value) VALUES ('canary', ?1)";

impl Synchronous {
    const fn pragma(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Normal => "NORMAL",
            Self::Off => "OFF",
        }
    }
}

/// How to open a data folder.
pub(crate) struct FolderOptions {
    pub(crate) dir: PathBuf,
    pub(crate) master_key: Option<MasterKey>,
    pub(crate) synchronous: Synchronous,
    pub(crate) unsafe_allowed: bool,
    pub(crate) pages_max: Option<u32>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) now: Timestamp,
}

/// What every connection that writes is set to.
#[derive(Debug, Clone, Copy)]
struct Settings {
    synchronous: Synchronous,
    pages_max: Option<u32>,
}

pub(crate) struct Sqlite {
    pub(crate) reader: Reader,
    cold: SqlitePool,
    /// Whose turn it is to write: the writer thread for a batch, a [`WriteTx`] for its whole life.
    turn: Arc<Mutex<()>>,
    writer: Writer,
    /// Says when the writer's thread has ended and let go of the folder.
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Sqlite {
    /// Opens a data folder, making folder, schema and master key where they do not exist yet.
    pub(crate) async fn open(options: FolderOptions) -> Result<(Self, Sealer), StoreError> {
        if options.synchronous != Synchronous::Full && !options.unsafe_allowed {
            return Err(StoreError::Unsafe(format!(
                "synchronous = {} may lose events that were acknowledged. Remove the setting, or start with the flag that \
                 allows unsafe settings.",
                options.synchronous.pragma()
            )));
        }
        let path = options.dir.join(DATABASE_FILE);
        let settings = Settings { synchronous: options.synchronous, pages_max: options.pages_max };
        let prepared = tokio::task::spawn_blocking(move || prepare(options))
            .await
            .map_err(|error| StoreError::Internal(format!("opening the store panicked: {error}")))??;

        let mut connect = SqliteConnectOptions::new().filename(&path).busy_timeout(BUSY_TIMEOUT).synchronous(
            match settings.synchronous {
                Synchronous::Full => SqliteSynchronous::Full,
                Synchronous::Normal => SqliteSynchronous::Normal,
                Synchronous::Off => SqliteSynchronous::Off,
            },
        );
        let readers = connect.clone().read_only(true);
        connect = connect.pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string());
        if let Some(pages_max) = settings.pages_max {
            connect = connect.pragma("max_page_count", pages_max.to_string());
        }
        let cold = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(connect)
            .await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .connect_with(readers)
            .await?;
        let turn = Arc::new(Mutex::new(()));
        let (writer, ended) =
            Writer::start(path, settings, prepared.connection, turn.clone(), prepared.lock)?;
        let sqlite =
            Self { reader: Reader::sqlite(readers), cold, turn, writer, ended: Mutex::new(Some(ended)) };
        Ok((sqlite, prepared.sealer))
    }

    /// Queues hot work and waits for its outcome. `rows`: about how many it writes.
    pub(crate) async fn call<I, T>(
        &self,
        rows: usize,
        input: I,
        run: fn(&mut Batch<'_>, &mut I) -> Result<T, StoreError>,
    ) -> Result<T, StoreError>
    where
        I: Send + 'static,
        T: Send + 'static,
    {
        self.writer.call(rows, input, run).await
    }

    /// What is queued is written, then the data folder is let go of.
    pub(crate) async fn close(&self) {
        self.cold.close().await;
        self.reader.close().await;
        // The writer's connection is the last: closing it brings the write-ahead log back into the database.
        self.writer.stop().await;
        if let Some(ended) = self.ended.lock().await.take() {
            // An error means that the thread died; it has let go of the folder too.
            let _ = ended.await;
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.writer.has_ended()
    }

    /// Waits for its turn behind the hot batches queued before it.
    pub(crate) async fn write(&self) -> Result<WriteTx, StoreError> {
        let turn = self.turn.clone().lock_owned().await;
        WriteTx::sqlite(&self.cold, turn).await
    }
}

struct Prepared {
    connection: Connection,
    sealer: Sealer,
    lock: File,
}

/// Everything of opening that blocks.
fn prepare(options: FolderOptions) -> Result<Prepared, StoreError> {
    let dir = &options.dir;
    make_private_dir(dir)
        .map_err(|error| StoreError::Unavailable(format!("the data folder {}: {error}", dir.display())))?;
    let lock = lock_folder(dir)?;
    let settings = Settings { synchronous: options.synchronous, pages_max: options.pages_max };
    let mut connection = connect(&dir.join(DATABASE_FILE), settings)?;
    migrate::migrate_sqlite(&mut connection, options.now)?;
    let canary: Option<Vec<u8>> = connection.query_row(CANARY_READ, [], |row| row.get(0)).optional()?;
    let master = seal::master_key(dir, options.master_key, canary.is_none(), &*options.random)?;
    let sealer = Sealer::new(&master);
    match canary {
        Some(sealed) => {
            sealer.open(seal::CANARY_FIELD, &seal::CANARY_ROW, &sealed).map_err(|_| {
                StoreError::MasterKey(format!(
                    "The master key is not the one that the store in {} was made with. Give that one.",
                    dir.display()
                ))
            })?;
        }
        None => {
            let sealed =
                sealer.seal(&*options.random, seal::CANARY_FIELD, &seal::CANARY_ROW, seal::CANARY_TEXT);
            connection.execute(CANARY_WRITE, params![sealed])?;
        }
    }
    Ok(Prepared { connection, sealer, lock })
}

fn make_private_dir(dir: &Path) -> std::io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

fn lock_folder(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join(LOCK_FILE);
    let unavailable = |error: std::io::Error| StoreError::Unavailable(format!("{}: {error}", path.display()));
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(unavailable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(unavailable(error)),
    }
}

/// A connection that writes, with its settings made and checked.
fn connect(path: &Path, settings: Settings) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let mode: String =
        connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(StoreError::from)?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(StoreError::Unsafe(format!(
            "SQLite cannot use write-ahead logging on {} (it answered \"{mode}\"). The data folder must lie on a local file \
             system.",
            path.display()
        )));
    }
    connection.pragma_update(None, "synchronous", settings.synchronous.pragma())?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    if let Some(pages_max) = settings.pages_max {
        connection.pragma_update(None, "max_page_count", pages_max)?;
    }
    Ok(connection)
}

/// A row's column as an id.
fn id<T>(row: &Row<'_>, column: usize, from: fn([u8; 16]) -> T) -> rusqlite::Result<T> {
    row.get(column).map(from)
}

fn ms(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_unix_ms)
}

fn code<T>(found: Option<T>, what: &str) -> Result<T, StoreError> {
    found.ok_or_else(|| StoreError::Corrupt(format!("an unknown {what}")))
}

/// SQLite's integers have a sign.
fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn missing_event(tenant: TenantId, event: EventId) -> StoreError {
    StoreError::Corrupt(format!("event {event} of {tenant} has deliveries and no row"))
}

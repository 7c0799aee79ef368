//! What can go wrong in the store, and whose fault it is.

use std::path::PathBuf;

/// A failure of the store. Cheap to copy: one failed batch is told to everyone who was in it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// More work waits than may wait. Nothing was written; the caller may try again.
    #[error("more work is waiting to be written than may wait")]
    Overloaded,
    /// The disk is full, read-only or failing, or the database is locked. Nothing was acknowledged. It passes by itself
    /// when the cause does.
    #[error("the store cannot write or read now: {0}")]
    Unavailable(String),
    /// The store was closed, or is closing.
    #[error("the store is closed")]
    Closed,
    /// A row with this key exists already.
    #[error("a row with this key exists already: {0}")]
    Duplicate(String),
    /// Others changed the same rows at the same moment. Nothing was written; the caller may try again.
    #[error("others changed the same rows at the same moment: {0}")]
    Contended(String),
    /// Somebody else did this meanwhile. Nothing was written.
    #[error("somebody else did this meanwhile: {0}")]
    Moved(&'static str),
    /// The row asked for does not exist.
    #[error("no such row")]
    NotFound,
    /// Another process has this data folder open.
    #[error("another process uses the data folder {0}; stop it, or give this one another folder")]
    InUse(PathBuf),
    /// A setting that may lose acknowledged work, without the flag that allows it.
    #[error("{0}")]
    Unsafe(String),
    /// What the store was opened with cannot be used.
    #[error("{0}")]
    Misconfigured(String),
    /// The schema in the database is not one this program can use.
    #[error("{0}")]
    Migration(String),
    /// The master key is missing, malformed, or not the one this store was made with.
    #[error("{0}")]
    MasterKey(String),
    /// A sealed value cannot be opened: another key, another row, or damage.
    #[error("the sealed value of {0} cannot be opened")]
    Sealed(&'static str),
    /// The database holds something that this program never writes.
    #[error("the database holds an unexpected value: {0}")]
    Corrupt(String),
    /// A statement, or what was handed to the store, is wrong: a bug of ours.
    #[error("the store was misused or has a bug: {0}")]
    Internal(String),
}

/// SQLite's primary result codes that say something about the machine and not about the statement.
const SQLITE_BUSY: i32 = 5;
const SQLITE_LOCKED: i32 = 6;
const SQLITE_NOMEM: i32 = 7;
const SQLITE_READONLY: i32 = 8;
const SQLITE_INTERRUPT: i32 = 9;
const SQLITE_IOERR: i32 = 10;
const SQLITE_FULL: i32 = 13;
const SQLITE_CANTOPEN: i32 = 14;
const SQLITE_PROTOCOL: i32 = 15;
const SQLITE_CORRUPT: i32 = 11;
const SQLITE_NOTADB: i32 = 26;
/// Extended codes of a taken key: PRIMARY KEY, UNIQUE, ROWID.
const SQLITE_TAKEN: [i32; 3] = [1555, 2067, 2579];

impl StoreError {
    /// By SQLite's extended result code.
    fn from_sqlite(code: i32, message: String) -> Self {
        if SQLITE_TAKEN.contains(&code) {
            return Self::Duplicate(message);
        }
        match code & 0xff {
            SQLITE_BUSY | SQLITE_LOCKED | SQLITE_NOMEM | SQLITE_READONLY | SQLITE_INTERRUPT
            | SQLITE_IOERR | SQLITE_FULL | SQLITE_CANTOPEN | SQLITE_PROTOCOL => Self::Unavailable(message),
            SQLITE_CORRUPT | SQLITE_NOTADB => Self::Corrupt(message),
            _ => Self::Internal(message),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match &error {
            rusqlite::Error::SqliteFailure(failure, _) => {
                Self::from_sqlite(failure.extended_code, error.to_string())
            }
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..) => Self::Corrupt(error.to_string()),
            _ => Self::Internal(error.to_string()),
        }
    }
}

/// Classes and codes of SQLSTATE that say something about the server or the moment, not about the statement: the connection
/// (08), a read-only transaction (25006: a standby), resources (53), the operator's intervention (57), the system (58), a
/// standby's conflict (72).
const POSTGRES_PASSES: [&str; 6] = ["08", "25006", "53", "57", "58", "72"];
/// A serialization failure or deadlock; a lock that was not had in time.
const POSTGRES_CONTENDED: &str = "40";
const POSTGRES_LOCKED: &str = "55P03";
const POSTGRES_TAKEN: &str = "23505";
const POSTGRES_DAMAGED: &str = "XX";

impl StoreError {
    /// By PostgreSQL's SQLSTATE.
    fn from_postgres(code: &str, message: String) -> Self {
        if code == POSTGRES_TAKEN {
            Self::Duplicate(message)
        } else if code.starts_with(POSTGRES_CONTENDED) || code == POSTGRES_LOCKED {
            Self::Contended(message)
        } else if POSTGRES_PASSES.iter().any(|passes| code.starts_with(passes)) {
            Self::Unavailable(message)
        } else if code.starts_with(POSTGRES_DAMAGED) {
            Self::Corrupt(message)
        } else {
            Self::Internal(message)
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::RowNotFound => Self::NotFound,
            sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) | sqlx::Error::Tls(_) => {
                Self::Unavailable(error.to_string())
            }
            // What a connection that was cut in the middle of an answer looks like.
            sqlx::Error::Protocol(_) => Self::Unavailable(error.to_string()),
            sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => Self::Closed,
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Corrupt(error.to_string()),
            sqlx::Error::Database(database) => {
                let message = error.to_string();
                if let Some(postgres) = database.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() {
                    return Self::from_postgres(postgres.code(), message);
                }
                match database.code().and_then(|code| code.parse().ok()) {
                    Some(code) => Self::from_sqlite(code, message),
                    None => Self::Internal(message),
                }
            }
            _ => Self::Internal(error.to_string()),
        }
    }
}

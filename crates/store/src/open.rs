//! Opening and closing a store, whichever database is behind it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use postrider_domain::random::Random;
use postrider_domain::time::Timestamp;
use zeroize::Zeroizing;

use crate::StoreError;
use crate::db::{Reader, WriteTx};
use crate::postgres::{NODE_LEASE, Postgres, ServerOptions};
use crate::seal::{MasterKey, Sealer};
use crate::sqlite::{FolderOptions, Sqlite};

/// How much of a crash a commit survives (SQLite's `synchronous`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Synchronous {
    /// Power loss. The only setting under which an acknowledgement is a promise.
    #[default]
    Full,
    /// The process's death, not a power loss. Needs [`OpenOptions::unsafe_allowed`].
    Normal,
    /// Nothing is promised. Needs [`OpenOptions::unsafe_allowed`].
    Off,
}

/// Where a store is kept.
#[derive(Debug, Clone)]
pub enum Database {
    /// SQLite's files in a data folder, on a local file system. Made when it does not exist, for its owner only.
    Folder(PathBuf),
    /// A PostgreSQL 15 or newer, as a URL: `postgres://user:password@host:5432/database?sslmode=verify-full`. Of several
    /// hosts (`host-a:5432,host-b:5432`) the one that takes writes is used.
    Postgres(String),
}

/// How to open a store.
pub struct OpenOptions {
    pub database: Database,
    /// `None`: the file `master.key` in the data folder, made at the first start. Required with PostgreSQL.
    pub master_key: Option<MasterKey>,
    pub synchronous: Synchronous,
    /// Allows a [`Synchronous`] below `Full`, and a PostgreSQL that does not sync.
    pub unsafe_allowed: bool,
    /// SQLite's file grows to this many pages of 4 KiB and no further; then the store is unavailable for new work, as
    /// on a full disk, until something is removed.
    pub pages_max: Option<u32>,
    /// How this process is called among the nodes of a PostgreSQL: for people.
    pub node_name: String,
    /// For how long after its last beat this process is taken for alive, on a PostgreSQL.
    pub node_lease: Duration,
    pub random: Arc<dyn Random>,
    pub now: Timestamp,
}

impl OpenOptions {
    pub fn new(dir: impl Into<PathBuf>, random: Arc<dyn Random>, now: Timestamp) -> Self {
        Self::of(Database::Folder(dir.into()), random, now)
    }

    pub fn of(database: Database, random: Arc<dyn Random>, now: Timestamp) -> Self {
        Self {
            database,
            master_key: None,
            synchronous: Synchronous::Full,
            unsafe_allowed: false,
            pages_max: None,
            node_name: String::new(),
            node_lease: NODE_LEASE,
            random,
            now,
        }
    }
}

/// The store. Copies share one.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    backend: Backend,
    sealer: Sealer,
    random: Arc<dyn Random>,
}

pub(crate) enum Backend {
    Sqlite(Sqlite),
    Postgres(Box<Postgres>),
}

impl Store {
    /// Opens a store, making its schema, and a data folder with its master key, where they do not exist yet.
    pub async fn open(options: OpenOptions) -> Result<Self, StoreError> {
        let random = options.random.clone();
        let (backend, sealer) = match options.database {
            Database::Folder(dir) => {
                let folder = FolderOptions {
                    dir,
                    master_key: options.master_key,
                    synchronous: options.synchronous,
                    unsafe_allowed: options.unsafe_allowed,
                    pages_max: options.pages_max,
                    random: options.random,
                    now: options.now,
                };
                let (sqlite, sealer) = Sqlite::open(folder).await?;
                (Backend::Sqlite(sqlite), sealer)
            }
            Database::Postgres(url) => {
                let server = ServerOptions {
                    url,
                    master_key: options.master_key,
                    unsafe_allowed: options.unsafe_allowed,
                    node_name: options.node_name,
                    node_lease: options.node_lease,
                    random: options.random,
                    now: options.now,
                };
                let (postgres, sealer) = Postgres::open(server).await?;
                (Backend::Postgres(Box::new(postgres)), sealer)
            }
        };
        Ok(Self { inner: Arc::new(Inner { backend, sealer, random }) })
    }

    /// Ends the store for all its copies: what is queued is written, then the database is let go of.
    pub async fn close(&self) {
        match self.backend() {
            Backend::Sqlite(sqlite) => sqlite.close().await,
            Backend::Postgres(postgres) => postgres.close().await,
        }
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.inner.backend
    }

    /// For cold reads.
    pub fn read(&self) -> &Reader {
        match self.backend() {
            Backend::Sqlite(sqlite) => &sqlite.reader,
            Backend::Postgres(postgres) => &postgres.reader,
        }
    }

    /// Begins a cold transaction that writes. Waits for its turn behind this process's hot batches.
    pub async fn write(&self) -> Result<WriteTx, StoreError> {
        match self.backend() {
            Backend::Sqlite(sqlite) => sqlite.write().await,
            Backend::Postgres(postgres) => postgres.write().await,
        }
    }

    /// Seals a secret for one field of one row, named by the row's id.
    pub fn seal(&self, field: &'static str, row: &[u8; 16], plaintext: &[u8]) -> Vec<u8> {
        self.inner.sealer.seal(&*self.inner.random, field, row, plaintext)
    }

    /// Tells equal contents from others, and nothing else to who has not the master key.
    pub fn fingerprint(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.inner.sealer.fingerprint(parts)
    }

    /// Opens what [`seal`](Self::seal) made for the same field and row.
    pub fn open_sealed(
        &self,
        field: &'static str,
        row: &[u8; 16],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        self.inner.sealer.open(field, row, sealed)
    }
}

//! The store on a PostgreSQL that any number of nodes share: truth, queue and coordinator in one.
//!
//! Hot work goes over a few connections of its own (`lines`), a batch as one statement; everything else over a pool. What
//! nodes tell each other, and how one takes over from another, is in `nodes`; partitions by day in `days`. Between nodes
//! nothing is trusted but rows: claims are fenced, counters are added up, notifications only wake.

mod accept;
mod cancel;
mod claim;
mod connect;
mod counters;
mod days;
mod lines;
pub(crate) mod look;
mod nodes;
mod order;
mod reap;
mod record;
pub(crate) mod restored;
mod schema;
mod settle;
mod sweep;
pub(crate) mod target;
mod unfinished;

use std::sync::Arc;
use std::time::Duration;

use postrider_domain::random::Random;
use postrider_domain::time::Timestamp;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::sync::{Mutex, RwLock, mpsc, oneshot};
use uuid::Uuid;

use crate::db::{Reader, WriteTx};
use crate::seal::{self, MasterKey, Sealer};
use crate::work::{Commit, CommitOutcome, Settlement};
use crate::{Settled, StoreError};
use claim::ClaimLine;
pub(crate) use connect::in_time;
use connect::{Hosts, HotConnection};
use lines::Lines;
use nodes::Node;
pub(crate) use nodes::tell_at_commit;
pub use nodes::{Beat, Heard, Listener, NODE_LEASE};

/// Connections for everything that is not hot: with the lines, the claims and the listener a node has at most
/// [`CONNECTIONS_MAX`], so that a server's default of 100 is enough for six nodes.
const POOL_MAX: u32 = 8;
/// What one node needs at most.
pub const CONNECTIONS_MAX: u32 = POOL_MAX + lines::LINES as u32 + 3;
/// How long a cold read or write waits for its connection before it answers "unavailable".
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Counter rows of one node: those of its lines, and one for everything else.
const WRITERS_PER_NODE: i32 = 8;

/// How to open a store on a server.
pub(crate) struct ServerOptions {
    pub(crate) url: String,
    pub(crate) master_key: Option<MasterKey>,
    pub(crate) unsafe_allowed: bool,
    pub(crate) node_name: String,
    pub(crate) node_lease: Duration,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) now: Timestamp,
}

pub(crate) struct Postgres {
    pub(crate) reader: Reader,
    pool: PgPool,
    hosts: Arc<Hosts>,
    node: Node,
    lines: Lines,
    /// Over which due deliveries are claimed: the dispatcher asks once at a time.
    claims: Mutex<ClaimLine>,
    /// Over which the node says that it is alive.
    beats: Mutex<HotConnection>,
    /// This process's cold transactions and its hot batches take turns: a change of the configuration is decided on what
    /// stands still.
    turns: Arc<RwLock<()>>,
}

impl Postgres {
    pub(crate) async fn open(options: ServerOptions) -> Result<(Self, Sealer), StoreError> {
        let Some(master) = options.master_key else {
            return Err(StoreError::MasterKey(
                "With PostgreSQL the master key is given, the same for every node: set POSTRIDER_MASTER_KEY to 64 hex digits. \
                 `openssl rand -hex 32` makes a good one."
                    .into(),
            ));
        };
        let sealer = Sealer::new(&master);
        let mut id = [0; 16];
        options.random.fill(&mut id);
        let id = uuid::Builder::from_random_bytes(id).into_uuid();
        let hosts = Arc::new(Hosts::parse(&options.url, &format!("postrider {id}"), options.unsafe_allowed)?);
        let mut connection = hosts.connect().await?;
        schema::migrate(&mut connection, options.now).await?;
        check_master_key(&mut connection, &sealer, &*options.random).await?;
        if let Err(error) = days::make(&mut connection, options.now).await {
            // Somebody reads for long, such as a dump. The default partitions take what has none of its own.
            tracing::warn!(%error, "history.days_not_made");
        }
        let node = Node::join(&mut connection, id, &options.node_name, options.node_lease).await?;
        unfinished::refuse(&mut connection, id).await?;
        connect::close(connection).await;

        let pool = pool(&hosts);
        let turns = Arc::new(RwLock::new(()));
        let lines = Lines::start(&hosts, &node, &turns);
        let reader = Reader::postgres(pool.clone());
        let claims = Mutex::new(ClaimLine::new(HotConnection::new(hosts.clone())));
        let beats = Mutex::new(HotConnection::new(hosts.clone()));
        Ok((Self { reader, pool, hosts, node, lines, claims, beats, turns }, sealer))
    }

    pub(crate) async fn close(&self) {
        self.lines.stop().await;
        self.claims.lock().await.hot.close().await;
        self.beats.lock().await.close().await;
        self.node.leave(&self.pool).await;
        // A connection whose server has vanished is not waited for.
        let _ = tokio::time::timeout(ACQUIRE_TIMEOUT, self.pool.close()).await;
    }

    pub(crate) async fn write(&self) -> Result<WriteTx, StoreError> {
        WriteTx::postgres(&self.pool, self.turns.clone().write_owned()).await
    }

    pub(crate) fn commit_enqueue(
        &self,
        commit: Commit,
    ) -> Result<oneshot::Receiver<Result<CommitOutcome, StoreError>>, StoreError> {
        // Publishers of a node that is cut off need not wait for what the server does not say. Results have nowhere else to go.
        if commit.settled.is_empty() && !self.node_is_alive() {
            return Err(StoreError::Unavailable(
                "this node has not been heard by the server for a while".into(),
            ));
        }
        self.lines.commit(commit)
    }

    pub(crate) fn settle_enqueue<P: Send + 'static>(
        &self,
        tenant: postrider_domain::id::TenantId,
        at: Timestamp,
        settlement: Settlement,
        holder: P,
        reader: &mpsc::UnboundedSender<Settled<P>>,
    ) -> Result<(), (P, StoreError)> {
        self.lines.settle(tenant, at, settlement, holder, reader)
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.lines.has_ended()
    }

    pub(crate) async fn ready(&self) -> Result<(), StoreError> {
        if self.lines.is_stopped() {
            return Err(StoreError::Closed);
        }
        if !self.node_is_alive() {
            return Err(StoreError::Unavailable(
                "this node has not been heard by the server for a while".into(),
            ));
        }
        self.lines.ready().await?;
        let answer = sqlx::query("SELECT pg_is_in_recovery() AS standby").fetch_one(&self.pool);
        match tokio::time::timeout(ACQUIRE_TIMEOUT, answer).await {
            Ok(Ok(row)) => match sqlx::Row::try_get(&row, "standby")? {
                false => Ok(()),
                true => Err(StoreError::Unavailable("the server is a standby and takes no writes".into())),
            },
            // Reads have all connections; what writes has its own.
            Ok(Err(sqlx::Error::PoolTimedOut)) if self.node.was_just_heard() => Ok(()),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(StoreError::Unavailable("the server does not answer".into())),
        }
    }

    /// A transaction for work that is not hot enough for a line of its own.
    pub(crate) async fn begin(&self) -> Result<sqlx::Transaction<'static, sqlx::Postgres>, StoreError> {
        in_time(self.pool.begin()).await.map_err(Into::into)
    }

    pub(crate) fn node_id(&self) -> Uuid {
        self.node.id
    }

    /// Whether this node may take over what others that are gone were at.
    pub(crate) fn may_take_over(&self) -> bool {
        self.node.may_take_over()
    }

    /// Of counters that are not written by a line.
    fn writer(&self) -> i32 {
        self.node.writer(WRITERS_PER_NODE - 1)
    }
}

fn pool(hosts: &Arc<Hosts>) -> PgPool {
    let (made, taken) = (hosts.clone(), hosts.clone());
    PgPoolOptions::new()
        .max_connections(POOL_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let hosts = made.clone();
            Box::pin(async move { hosts.check(connection).await.map_err(|error| refused(&error)) })
        })
        // In place of the pool's own ping: a server that became a standby meanwhile is left too.
        .before_acquire(move |connection, _| {
            let hosts = taken.clone();
            Box::pin(async move { Ok(hosts.check(connection).await.is_ok()) })
        })
        .after_release(|connection, _| Box::pin(connect::returns(connection)))
        .connect_lazy_with(hosts.current())
}

fn refused(error: &StoreError) -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::other(error.to_string()))
}

/// The first node seals a canary with its key; every other must be able to open it.
async fn check_master_key(
    connection: &mut sqlx::PgConnection,
    sealer: &Sealer,
    random: &dyn Random,
) -> Result<(), StoreError> {
    const WRITE: &str = "INSERT INTO meta (key, value) VALUES ('canary', $1) ON CONFLICT DO NOTHING";
    const READ: &str = "SELECT value FROM meta WHERE key = 'canary'";
    let sealed = sealer.seal(random, seal::CANARY_FIELD, &seal::CANARY_ROW, seal::CANARY_TEXT);
    sqlx::query(WRITE).bind(sealed).execute(&mut *connection).await?;
    let sealed: Vec<u8> = sqlx::query_scalar(READ).fetch_one(connection).await?;
    sealer.open(seal::CANARY_FIELD, &seal::CANARY_ROW, &sealed).map(drop).map_err(|_| {
        StoreError::MasterKey(
            "POSTRIDER_MASTER_KEY is not the key that this database was made with. Give that one: all nodes share it."
                .into(),
        )
    })
}

fn uuid(bytes: &[u8; 16]) -> Uuid {
    Uuid::from_bytes(*bytes)
}

fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Codes of the domain's enums and other small numbers fit two bytes.
fn small(number: i64) -> i16 {
    i16::try_from(number).unwrap_or(i16::MAX)
}

fn code<T>(found: Option<T>, what: &str) -> Result<T, StoreError> {
    found.ok_or_else(|| StoreError::Corrupt(format!("an unknown {what}")))
}

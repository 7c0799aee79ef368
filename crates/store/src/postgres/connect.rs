//! Connections: which host, with which settings, and what is not accepted of a server.

use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};
use tokio::time::Instant;

use crate::StoreError;

/// Until a connection is made and has said what it is. A host that does not answer must not hold up the next one.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The server ends a cold statement after this time: one that a caller has given up runs on until then.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
/// After this time a statement is given up here: the server, or the way to it, is gone. Hot statements take milliseconds;
/// the server ends them (see [`HOT`]) a second before.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(6);
/// The same for cold statements.
const COLD_TIMEOUT: Duration = Duration::from_secs(12);
/// For a connection that comes back to the pool to show that it is in order.
const RETURN_TIMEOUT: Duration = Duration::from_secs(2);
/// Until the server has ended what an earlier connection of ours was doing.
const END_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection that has not been used for so long is asked whether it is still there before work is trusted to it.
const IDLE: Duration = Duration::from_millis(500);
/// How soon a server that could not be reached is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(200);
/// A transaction of ours that waits for us has lost its process, or the way to it.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(10);
/// The oldest server that has all that the statements use.
const VERSION_MIN: i32 = 150_000;

const ASK: &str =
    "SELECT pg_is_in_recovery() AS standby, current_setting('server_version_num')::int4 AS version,
  current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS synchronous_commit,
  current_setting('full_page_writes') AS full_page_writes";

/// Which of the server's processes serves a connection, and since when: numbers are used again.
const BACKEND: &str = "SELECT pid, CAST(EXTRACT(EPOCH FROM backend_start) * 1000000 AS BIGINT) AS start_us
  FROM pg_stat_activity WHERE pid = pg_backend_pid()";
/// Answers nothing when it is gone, false when it did not end in time.
const END: &str = "SELECT pg_terminate_backend(pid, $3) AS ended FROM pg_stat_activity
  WHERE pid = $1 AND CAST(EXTRACT(EPOCH FROM backend_start) * 1000000 AS BIGINT) = $2";

/// Hot statements look rows up in a `LATERAL … LIMIT 1`, so that there is no order of joins to choose, and change them by
/// their place (`ctid`). What the planner is told of costs makes a look at a place cheaper than a walk through an index
/// also while the table is empty, which is when the plan is made.
const HOT: &str =
    "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off;
  SET random_page_cost = 0; SET seq_page_cost = 0; SET cpu_operator_cost = 1; SET statement_timeout = 5000";

/// The hosts of a database URL, and the one of them that was last found to take writes.
pub(super) struct Hosts {
    hosts: Vec<PgConnectOptions>,
    current: AtomicUsize,
    unsafe_allowed: bool,
}

impl Hosts {
    /// Reads a URL like `postgres://user:password@host-a:5432,host-b/database?sslmode=verify-full`.
    pub(super) fn parse(url: &str, application: &str, unsafe_allowed: bool) -> Result<Self, StoreError> {
        let mut hosts = Vec::new();
        for one in split_hosts(url)? {
            // The message of the parser may repeat the password.
            let options = PgConnectOptions::from_str(&one).map_err(|_| malformed())?;
            hosts.push(with_settings(options, application));
        }
        Ok(Self { hosts, current: AtomicUsize::new(0), unsafe_allowed })
    }

    /// The options of the host in use.
    pub(super) fn current(&self) -> PgConnectOptions {
        self.hosts[self.current.load(Ordering::Relaxed) % self.hosts.len()].clone()
    }

    /// A connection for hot statements, whose plans are made once and kept: to make one takes longer than to run it. Each
    /// row is looked up by an index, whatever the statistics say; a plan that was made while a table was empty would read the
    /// whole table for every batch.
    pub(super) async fn connect_hot(&self) -> Result<PgConnection, StoreError> {
        let mut connection = self.connect().await?;
        answered(async { Ok(sqlx::raw_sql(HOT).execute(&mut connection).await?) }).await?;
        Ok(connection)
    }

    /// A connection to the host that takes writes: the one in use, else the next that does.
    pub(super) async fn connect(&self) -> Result<PgConnection, StoreError> {
        let first = self.current.load(Ordering::Relaxed);
        let mut failed = None;
        for step in 0..self.hosts.len() {
            let at = (first + step) % self.hosts.len();
            match self.connect_to(&self.hosts[at]).await {
                Ok(connection) => {
                    self.current.store(at, Ordering::Relaxed);
                    return Ok(connection);
                }
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or(StoreError::Closed))
    }

    async fn connect_to(&self, options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
        let connecting = async {
            let mut connection = options.connect().await?;
            self.check(&mut connection).await?;
            Ok(connection)
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(connected) => connected,
            Err(_) => Err(StoreError::Unavailable(format!(
                "{}:{} did not answer within {} s",
                options.get_host(),
                options.get_port(),
                CONNECT_TIMEOUT.as_secs()
            ))),
        }
    }

    /// Refuses a standby for the time being, and for good what is too old or may lose what was acknowledged.
    pub(super) async fn check(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let row = sqlx::query(ASK).fetch_one(connection).await?;
        if row.try_get::<bool, _>("standby")? {
            return Err(StoreError::Unavailable("this server is a standby and takes no writes".into()));
        }
        if row.try_get::<i32, _>("version")? < VERSION_MIN {
            return Err(StoreError::Unsafe(
                "This PostgreSQL is older than 15. Upgrade it, or give Postrider another one.".into(),
            ));
        }
        for (setting, bad) in [("fsync", "off"), ("synchronous_commit", "off"), ("full_page_writes", "off")] {
            if !self.unsafe_allowed && row.try_get::<&str, _>(setting)? == bad {
                return Err(StoreError::Unsafe(format!(
                    "This PostgreSQL has {setting} = {bad} and may lose events that were acknowledged. Change it, or start \
                     with the flag that allows unsafe settings."
                )));
            }
        }
        Ok(())
    }
}

fn with_settings(options: PgConnectOptions, application: &str) -> PgConnectOptions {
    let ms = |duration: Duration| duration.as_millis().to_string();
    options.application_name(application).disable_statement_logging().options([
        // Cold statements are planned for their values: which partitions they need follows from them.
        ("plan_cache_mode", "force_custom_plan".to_owned()),
        ("statement_timeout", ms(STATEMENT_TIMEOUT)),
        ("idle_in_transaction_session_timeout", ms(IDLE_IN_TRANSACTION)),
        // Statements are short: to compile one takes longer than to run it.
        ("jit", "off".to_owned()),
        // The server lets go of connections whose node is gone without a word.
        ("tcp_keepalives_idle", "5".to_owned()),
        ("tcp_keepalives_interval", "2".to_owned()),
        ("tcp_keepalives_count", "3".to_owned()),
    ])
}

fn malformed() -> StoreError {
    StoreError::Misconfigured(
        "The database URL cannot be read. It looks like postgres://user:password@host:5432/database; special characters in \
         the password are percent-encoded."
            .into(),
    )
}

/// One URL for each host.
fn split_hosts(url: &str) -> Result<Vec<String>, StoreError> {
    let (scheme, rest) = url.split_once("://").ok_or_else(malformed)?;
    if !matches!(scheme, "postgres" | "postgresql") {
        return Err(malformed());
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (format!("{user}@"), hosts),
        None => (String::new(), authority),
    };
    Ok(hosts.split(',').map(|host| format!("{scheme}://{user}{host}{path}")).collect())
}

/// A process of the server's, and when it began.
#[derive(Clone, Copy)]
struct Backend {
    pid: i32,
    start_us: i64,
}

/// A connection for hot statements, made anew when it is lost. What went over the lost one has been done or never will be
/// before anything goes over the new one.
pub(super) struct HotConnection {
    hosts: Arc<Hosts>,
    /// With the moment of its last use.
    connection: Option<(PgConnection, Instant)>,
    /// Which serves this connection, or served the one that was lost, and may not know yet that it is.
    backend: Option<Backend>,
    failed_at: Option<Instant>,
}

impl HotConnection {
    pub(super) fn new(hosts: Arc<Hosts>) -> Self {
        Self { hosts, connection: None, backend: None, failed_at: None }
    }

    /// The connection, made where it is missing or does not answer after a pause. To be given back by [`Self::used`].
    pub(super) async fn connected(&mut self) -> Result<PgConnection, StoreError> {
        if let Some((mut connection, used)) = self.connection.take()
            && (used.elapsed() < IDLE || answered(async { Ok(connection.ping().await?) }).await.is_ok())
        {
            return Ok(connection);
        }
        if let Some(failed) = self.failed_at {
            tokio::time::sleep(AGAIN_AFTER.saturating_sub(failed.elapsed())).await;
        }
        let connected = self.connect().await;
        self.failed_at = connected.is_err().then(Instant::now);
        // Whatever the server has against us now, it is not the fault of the work that waits.
        connected.map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    async fn connect(&mut self) -> Result<PgConnection, StoreError> {
        let mut connection = self.hosts.connect_hot().await?;
        let backend = answered(async {
            if let Some(lost) = self.backend {
                end(&mut connection, lost).await?;
            }
            let row = sqlx::query(BACKEND).fetch_one(&mut connection).await?;
            Ok(Backend { pid: row.try_get("pid")?, start_us: row.try_get("start_us")? })
        });
        self.backend = Some(backend.await?);
        Ok(connection)
    }

    /// Keeps a connection that is still good: after a failure of the server none is.
    pub(super) fn used(&mut self, connection: PgConnection, failed: Option<&StoreError>) {
        if !failed.is_some_and(concerns_the_server) {
            self.connection = Some((connection, Instant::now()));
        }
    }

    pub(super) async fn close(&mut self) {
        if let Some((connection, _)) = self.connection.take() {
            close(connection).await;
        }
    }
}

/// A statement of a lost connection may still be running, or waiting for a standby in the middle of its commit.
async fn end(connection: &mut PgConnection, lost: Backend) -> Result<(), StoreError> {
    let ended: Option<bool> = sqlx::query_scalar(END)
        .bind(lost.pid)
        .bind(lost.start_us)
        .bind(i64::try_from(END_TIMEOUT.as_millis()).unwrap_or(i64::MAX))
        .fetch_optional(connection)
        .await?;
    match ended {
        Some(false) => {
            Err(StoreError::Unavailable("the server still works for a connection that was lost".into()))
        }
        _ => Ok(()),
    }
}

/// What the server says to a cold statement, or that it says nothing: a host that vanishes does not even end its connections.
pub(crate) async fn in_time<T, E: From<sqlx::Error>>(
    asked: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    tokio::time::timeout(COLD_TIMEOUT, asked).await.unwrap_or_else(|_| Err(sqlx::Error::PoolTimedOut.into()))
}

/// Whether a connection that comes back may be lent again: what was asked over it and given up may still be under way, or
/// have begun a transaction that the driver does not know of. A ROLLBACK for all would fill the server's log with warnings.
pub(super) async fn returns(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    // In a simple query without a transaction both are the moment at which it came in.
    const IDLE_NOW: &str = "SELECT now() = statement_timestamp() AS idle";
    let asked = sqlx::raw_sql(IDLE_NOW).fetch_one(connection);
    let row = tokio::time::timeout(RETURN_TIMEOUT, asked).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
    row.try_get("idle")
}

/// What the server says to a hot statement, or that it says nothing.
pub(super) async fn answered<T>(asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(ANSWER_TIMEOUT, asked)
        .await
        .unwrap_or_else(|_| Err(StoreError::Unavailable("the server does not answer".into())))
}

pub(super) fn concerns_the_server(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(_))
}

/// Ends a connection of which nothing is wanted any more; its server may be gone.
pub(super) async fn close(connection: PgConnection) {
    let _ = tokio::time::timeout(Duration::from_secs(1), connection.close()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_of_a_url_is_one_with_the_same_user_and_database() {
        let split = |url| split_hosts(url).map_err(|error| error.to_string());
        assert_eq!(
            split("postgres://u:p%40@a:5432,b:5433/db?sslmode=require"),
            Ok(vec![
                "postgres://u:p%40@a:5432/db?sslmode=require".to_owned(),
                "postgres://u:p%40@b:5433/db?sslmode=require".to_owned(),
            ])
        );
        assert_eq!(split("postgresql://localhost/db"), Ok(vec!["postgresql://localhost/db".to_owned()]));
        for bad in ["mysql://a/b", "a/b"] {
            assert!(split(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_url_that_cannot_be_read_is_refused_without_its_password() {
        let error = Hosts::parse("postgres://u:hunter2@host:notaport/db", "t", false).err().expect("refused");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[tokio::test]
    async fn a_connection_in_a_transaction_is_not_lent_again() {
        let database = postrider_testkit::postgres::Postgres::shared_database("returns");
        let mut connection = PgConnection::connect(&database.url).await.expect("it takes connections");
        for _ in 0..3 {
            assert!(returns(&mut connection).await.expect("it answers"));
        }
        // As when the answer to the driver's own BEGIN was given up.
        sqlx::raw_sql("BEGIN").execute(&mut connection).await.expect("it answers");
        assert!(!returns(&mut connection).await.expect("it answers"));
        sqlx::raw_sql("SELECT 1 / 0").execute(&mut connection).await.expect_err("it fails");
        assert!(returns(&mut connection).await.is_err(), "the transaction has failed");
        sqlx::raw_sql("ROLLBACK").execute(&mut connection).await.expect("it answers");
        sqlx::query("SELECT 1").execute(&mut connection).await.expect("it answers");
        assert!(returns(&mut connection).await.expect("it answers"));
    }
}

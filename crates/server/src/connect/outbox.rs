//! The source: a connection to the application's PostgreSQL, and what is done with the outbox there.

use std::future::Future;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use postrider_domain::limits::{BATCH_BODY_BYTES_MAX, RECORDS_BATCH_MAX};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgPoolOptions, PgRow};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::batch::{Batch, Change, ROW_BYTES_MAX, Refused, Side};
use super::sql::CHANNEL;
use crate::complaint::Complaint;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A statement that has no answer after so long: the server, or the way to it, is gone. The server itself gives up earlier.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(50);
/// How far the outbox is looked through for changes that go with its first one. Without it, each batch of an outbox of many
/// tenants would read all of it.
const LOOKED_THROUGH: i64 = 2000;
/// What a batch's changes may have: a request's bound, less what stands around them.
const BATCH_BYTES: i64 = BATCH_BODY_BYTES_MAX as i64 - 256 * 1024;
const VERSION_MIN: i32 = 140_000;

/// The first connector's lock. It ends with the session, so that a dead one holds nobody up for long.
const LOCK: &str = "SELECT pg_try_advisory_lock(hashtextextended('postrider_outbox ' || $1::text, 0))";

const ASK: &str = "SELECT current_setting('server_version_num')::int4 AS version, \
  current_setting('server_encoding') AS encoding, pg_is_in_recovery() AS standby";

const IDENTITY: &str = "SELECT identity FROM postrider_outbox_meta";

const UNDER_WAY: &str = "SELECT batch, taken FROM postrider_outbox_meta WHERE taken IS NOT NULL";

/// Notes down the next batch: the first change there is, and what of its kind and tenant follows nearby, in the order of
/// `seq`. One statement, so one snapshot: of each row's changes that it sees, it takes the earliest.
const TAKE: &str = "WITH first AS (SELECT kind, tenant FROM postrider_outbox ORDER BY seq LIMIT 1),
  near AS (
    SELECT seq, kind, tenant, 6 * octet_length(id) + 64
        + CASE WHEN octet_length(old_data::text) > $1 THEN 0 ELSE coalesce(octet_length(old_data::text), 0) END
        + CASE WHEN octet_length(new_data::text) > $1 THEN 0 ELSE coalesce(octet_length(new_data::text), 0) END AS bytes
    FROM postrider_outbox ORDER BY seq LIMIT $2),
  alike AS (
    SELECT near.seq, near.bytes FROM near JOIN first
      ON near.kind = first.kind AND near.tenant IS NOT DISTINCT FROM first.tenant
    ORDER BY near.seq LIMIT $3),
  summed AS (
    SELECT seq, row_number() OVER (ORDER BY seq) AS place, sum(bytes) OVER (ORDER BY seq) AS bytes FROM alike)
  UPDATE postrider_outbox_meta
    SET batch = batch + 1,
        taken = (SELECT array_agg(seq ORDER BY seq) FROM summed WHERE bytes <= $4 OR place = 1)
    WHERE taken IS NULL AND EXISTS (SELECT FROM first)
  RETURNING batch, taken";

const CHANGES: &str = "SELECT seq, kind, tenant, id,
    octet_length(old_data::text)::int8 AS old_bytes, octet_length(new_data::text)::int8 AS new_bytes,
    CASE WHEN octet_length(old_data::text) <= $2 THEN old_data::text END AS old_data,
    CASE WHEN octet_length(new_data::text) <= $2 THEN new_data::text END AS new_data
  FROM postrider_outbox WHERE seq = ANY($1) ORDER BY seq";

/// A batch is over: its changes go, those that were refused to where people find them. Nothing happens when another
/// connector has finished it already.
const FINISH: &str = "WITH finished AS (
    UPDATE postrider_outbox_meta SET taken = NULL WHERE batch = $1 AND taken IS NOT NULL RETURNING batch),
  gone AS (
    DELETE FROM postrider_outbox WHERE seq = ANY($2) AND EXISTS (SELECT FROM finished)
    RETURNING seq, txid, source_table, kind, tenant, id, old_data, new_data, at)
  INSERT INTO postrider_outbox_refused (seq, txid, source_table, kind, tenant, id, old_data, new_data, at, problem)
    SELECT gone.seq, txid, source_table, kind, tenant, id, old_data, new_data, at, refused.problem::json
    FROM gone JOIN unnest($3::int8[], $4::text[]) AS refused (seq, problem) ON refused.seq = gone.seq";

/// Why the source does not do what it is asked.
#[derive(Debug)]
pub(crate) enum SourceError {
    /// It is away, or busy: the same is asked again later.
    Away(String),
    /// It will say the same again.
    Wrong(Complaint),
}

/// Where the source is.
pub(crate) struct Source {
    options: PgConnectOptions,
    schema: String,
}

/// A connection to the outbox.
pub(crate) struct Outbox {
    connection: PgConnection,
    identity: Uuid,
    wakes: Wakes,
}

/// A batch as it is noted down at the source: its number and its changes' places.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) number: i64,
    seqs: Vec<i64>,
}

/// What the triggers notify, over a connection of its own. Read at all times: what nobody reads fills the server's queue.
struct Wakes {
    heard: Arc<Notify>,
    listening: JoinHandle<()>,
}

impl Drop for Wakes {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Source {
    /// `schema`: where the outbox is.
    pub(crate) fn new(url: &SecretString, schema: &str) -> Result<Self, Complaint> {
        let unusable = || {
            Complaint::new(
                "the source's URL cannot be used",
                "it is not a URL of a PostgreSQL",
                "write it like postgres://user:password@host:5432/database, special characters in the password percent-encoded",
            )
        };
        let url = url.expose_secret();
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(unusable());
        }
        // The message of the parser may repeat the password.
        let options = PgConnectOptions::from_str(url).map_err(|_| unusable())?;
        let options = options.application_name("postrider connect").disable_statement_logging().options([
            // What is noted down must be on disk before it is sent, whatever the role's own setting is.
            ("synchronous_commit", "on".to_owned()),
            ("statement_timeout", STATEMENT_TIMEOUT.as_millis().to_string()),
            // The outbox is small at one moment and large at another: what the planner believes of it is always old.
            ("enable_seqscan", "off".to_owned()),
            ("enable_bitmapscan", "off".to_owned()),
            ("jit", "off".to_owned()),
            // The server lets go of a connector, and of its lock, that is gone without a word.
            ("tcp_keepalives_idle", "10".to_owned()),
            ("tcp_keepalives_interval", "5".to_owned()),
            ("tcp_keepalives_count", "3".to_owned()),
        ]);
        Ok(Self { options, schema: schema.to_owned() })
    }

    /// A connection that finds the outbox by its bare name.
    pub(crate) async fn connect(&self) -> Result<PgConnection, SourceError> {
        let connecting = async {
            let mut connection = self.options.connect().await?;
            sqlx::query("SELECT set_config('search_path', quote_ident($1), false)")
                .bind(&self.schema)
                .execute(&mut connection)
                .await?;
            let row = sqlx::query(ASK).fetch_one(&mut connection).await?;
            Ok((connection, row.try_get("version")?, row.try_get("encoding")?, row.try_get("standby")?))
        };
        let (connection, version, encoding, standby): (_, i32, String, bool) =
            in_time(CONNECT_TIMEOUT, connecting).await?;
        let unfit = |why: &str, remedy: &str| {
            SourceError::Wrong(Complaint::new("this PostgreSQL cannot be a source", why, remedy))
        };
        if standby {
            return Err(SourceError::Away("it is a standby and takes no writes".to_owned()));
        }
        if version < VERSION_MIN {
            return Err(unfit("it is older than version 14", "upgrade it"));
        }
        if encoding == "SQL_ASCII" {
            return Err(unfit(
                "its encoding is SQL_ASCII, in which text may be anything",
                "move the database to UTF8",
            ));
        }
        Ok(connection)
    }

    /// Opens the outbox. It is not ours yet: see [`Outbox::lock`].
    pub(crate) async fn open(&self) -> Result<Outbox, SourceError> {
        let mut connection = self.connect().await?;
        let identity =
            async { sqlx::query(IDENTITY).fetch_one(&mut connection).await?.try_get::<Uuid, _>("identity") };
        let identity = in_time(ANSWER_TIMEOUT, identity).await?;
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_lazy_with(self.options.clone());
        let listening = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.ignore_pool_close_event(true);
            listener.eager_reconnect(false);
            listener.listen(CHANNEL).await?;
            Ok(listener)
        };
        let mut listener = in_time(CONNECT_TIMEOUT, listening).await?;
        let heard = Arc::new(Notify::new());
        let tell = heard.clone();
        let listening = tokio::spawn(async move {
            while let Ok(Some(_)) = listener.try_recv().await {
                tell.notify_one();
            }
        });
        Ok(Outbox { connection, identity, wakes: Wakes { heard, listening } })
    }
}

impl Outbox {
    pub(crate) fn identity(&self) -> Uuid {
        self.identity
    }

    /// Whether this connection is now the one that works on the outbox.
    pub(crate) async fn lock(&mut self) -> Result<bool, SourceError> {
        let identity = self.identity.to_string();
        let asking = async {
            sqlx::query(LOCK).bind(&identity).fetch_one(&mut self.connection).await?.try_get::<bool, _>(0)
        };
        in_time(ANSWER_TIMEOUT, asking).await
    }

    /// The batch that was taken and not finished, by whomever.
    pub(crate) async fn under_way(&mut self) -> Result<Option<Taken>, SourceError> {
        let asking = async {
            let row = sqlx::query(UNDER_WAY).fetch_optional(&mut self.connection).await?;
            row.as_ref().map(taken).transpose()
        };
        in_time(ANSWER_TIMEOUT, asking).await
    }

    /// Takes the next batch: it is on disk as such when this returns. `None`: there is nothing.
    pub(crate) async fn take(&mut self) -> Result<Option<Taken>, SourceError> {
        let taking = async {
            let row = sqlx::query(TAKE)
                .bind(ROW_BYTES_MAX as i64)
                .bind(LOOKED_THROUGH)
                .bind(RECORDS_BATCH_MAX as i64)
                .bind(BATCH_BYTES)
                .fetch_optional(&mut self.connection)
                .await?;
            row.as_ref().map(taken).transpose()
        };
        in_time(ANSWER_TIMEOUT, taking).await
    }

    /// What was taken. `None`: somebody has removed all of it by hand.
    pub(crate) async fn read(&mut self, taken: &Taken) -> Result<Option<Batch>, SourceError> {
        let reading = async {
            let rows = sqlx::query(CHANGES)
                .bind(&taken.seqs)
                .bind(ROW_BYTES_MAX as i64)
                .fetch_all(&mut self.connection)
                .await?;
            let Some(first) = rows.first() else { return Ok(None) };
            Ok(Some(Batch {
                number: taken.number,
                kind: first.try_get("kind")?,
                tenant: first.try_get("tenant")?,
                changes: rows.iter().map(change).collect::<Result<_, sqlx::Error>>()?,
            }))
        };
        in_time(ANSWER_TIMEOUT, reading).await
    }

    /// Removes a batch, in one transaction with the note of what was refused of it.
    pub(crate) async fn finish(&mut self, taken: &Taken, refused: &[Refused]) -> Result<(), SourceError> {
        let seqs: Vec<i64> = refused.iter().map(|refused| refused.seq).collect();
        let problems: Vec<String> = refused.iter().map(|refused| refused.problem.to_string()).collect();
        let finishing = async {
            let statement = sqlx::query(FINISH).bind(taken.number).bind(&taken.seqs);
            statement.bind(seqs).bind(problems).execute(&mut self.connection).await
        };
        in_time(ANSWER_TIMEOUT, finishing).await?;
        Ok(())
    }

    /// Waits until the triggers tell of something, for at most `longest`: what is told while nobody waits is not lost.
    pub(crate) async fn wait(&self, longest: Duration) -> Result<(), SourceError> {
        if self.wakes.listening.is_finished() {
            return Err(SourceError::Away("the connection that listens was cut".to_owned()));
        }
        let _ = tokio::time::timeout(longest, self.wakes.heard.notified()).await;
        Ok(())
    }

    pub(crate) async fn close(self) {
        let _ = tokio::time::timeout(CONNECT_TIMEOUT, self.connection.close()).await;
    }
}

fn taken(row: &PgRow) -> Result<Taken, sqlx::Error> {
    Ok(Taken { number: row.try_get("batch")?, seqs: row.try_get("taken")? })
}

fn change(row: &PgRow) -> Result<Change, sqlx::Error> {
    let side = |json: &str, bytes: &str| -> Result<Side, sqlx::Error> {
        let (json, bytes): (Option<String>, Option<i64>) = (row.try_get(json)?, row.try_get(bytes)?);
        Ok(match (json, bytes) {
            (Some(json), _) => Side::Json(json),
            (None, Some(bytes)) => Side::TooLarge { bytes },
            (None, None) => Side::Absent,
        })
    };
    Ok(Change {
        seq: row.try_get("seq")?,
        id: row.try_get("id")?,
        old: side("old_data", "old_bytes")?,
        new: side("new_data", "new_bytes")?,
    })
}

/// Does what is asked of PostgreSQL, or says in time why not.
pub(crate) async fn in_time<T>(
    longest: Duration,
    asked: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, SourceError> {
    match tokio::time::timeout(longest, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(judge(error)),
        Err(_) => Err(SourceError::Away(format!("no answer for {} s", longest.as_secs()))),
    }
}

/// Whether it is worth asking again.
fn judge(error: sqlx::Error) -> SourceError {
    let remedy = |code: &str| match code {
        "42P01" | "3F000" => {
            "make the outbox first, with --apply; --outbox-schema names the schema that it is in"
        }
        "42501" => "connect as the outbox's owner, or grant its rights: docs/connect-postgres.md",
        "28P01" | "28000" => "check the user and password of the source's URL",
        "3D000" => "check the database's name in the source's URL",
        _ => "correct what the reason names",
    };
    match error {
        sqlx::Error::Database(said) => {
            let code = said.code().unwrap_or_default().into_owned();
            let text = said.message().to_owned();
            if is_passing(&code) {
                return SourceError::Away(format!("{text} ({code})"));
            }
            let why = format!("{text} ({code})");
            SourceError::Wrong(Complaint::new("PostgreSQL has refused", why, remedy(&code)))
        }
        sqlx::Error::RowNotFound => SourceError::Wrong(Complaint::new(
            "the outbox is not complete",
            "postrider_outbox_meta has no row",
            "make the outbox again, with --apply",
        )),
        sqlx::Error::Configuration(_)
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::Decode(_) => SourceError::Wrong(Complaint::new(
            "PostgreSQL's answer is not understood",
            error.to_string(),
            "make the outbox again, with --apply",
        )),
        // Lost connections, in all their shapes.
        other => SourceError::Away(other.to_string()),
    }
}

/// SQLSTATEs of a server that starts, stops, is full or busy; or takes no writes for the time being, after a failover.
fn is_passing(code: &str) -> bool {
    const CLASSES: [&str; 6] = ["08", "40", "53", "55", "57", "58"];
    code == "25006" || CLASSES.iter().any(|class| code.starts_with(class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_waited_for_and_a_mistake_is_not() {
        for code in ["08006", "40001", "40P01", "53300", "53100", "55P03", "57P01", "57P03", "58030", "25006"]
        {
            assert!(is_passing(code), "{code}");
        }
        for code in ["28P01", "3D000", "42P01", "42501", "23505", "22P02", ""] {
            assert!(!is_passing(code), "{code}");
        }
    }

    #[test]
    fn a_url_with_a_mistake_is_not_repeated() {
        let Err(complaint) = Source::new(&SecretString::from("postgres://u:hunter2@[::1/db"), "public")
        else {
            panic!("it is taken");
        };
        assert!(!complaint.to_string().contains("hunter2"), "{complaint}");
    }
}

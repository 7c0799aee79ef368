//! The database that a data folder is copied into: whether it is fit, what is there already, and each batch with its
//! comparison.
//!
//! What it knows of the copy is in `meta`: `migration.state`, `migration.source` (whose copy it is, and of which state of
//! the file), and `migration.copied.TABLE` (rows, then the place of the last one).

use std::collections::BTreeSet;
use std::fmt::Write as _;

use postrider_domain::id::EventId;
use postrider_domain::time::Timestamp;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Postgres, Row as _, ValueRef as _};
use uuid::Uuid;

use super::connect::Hosts;
use super::unfinished::{self, COPY, COPY_DONE, COPYING};
use super::{days, schema};
use crate::StoreError;
use crate::sqlite::source::Source;
use crate::transfer::batch::{Batch, Rows};
use crate::transfer::tables::{Kind, TABLES, Table};
use crate::transfer::{LedgerSums, TransferError};

/// Held by the one command that copies. The session of one that was killed ends with the statement under way.
const LOCK: &str = "SELECT pg_advisory_lock(7305810218428)";
const LOCK_TIMEOUT: &str = "SET lock_timeout = '30s'";
/// A batch waits for the disk at times, and counts at the end take as long as they take.
const TIMEOUTS: &str =
    "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = '5min'; SET lock_timeout = 0";
/// What is there before anything is made; what extensions made is not somebody's data.
const TABLES_THERE: &str = "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
  ORDER BY c.relname";
const OURS: &str = "SELECT to_regclass('meta') IS NOT NULL AND to_regclass('migration') IS NOT NULL
  AND to_regclass('delivery_open') IS NOT NULL";
const META: &str =
    "SELECT key, value FROM meta WHERE key IN ('canary', 'migration.source', 'migration.state')";
const META_WRITE: &str = "INSERT INTO meta (key, value) VALUES ($1, $2)";
const COPIED: &str = "SELECT value FROM meta WHERE key = $1";
const COPIED_WRITE: &str =
    "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
const COPIED_KEY: &str = "migration.copied.";
const COPIED_SUM: &str = "SELECT value FROM meta WHERE starts_with(key, 'migration.copied.')";
const COPIED_FORGET: &str = "DELETE FROM meta WHERE starts_with(key, 'migration.copied.')";
const STATE_WRITE: &str = "UPDATE meta SET value = $2 WHERE key = $1";
/// The process that had the folder, as a node that is dead: what it was sending is taken over as soon as that may be.
const FOLDERS_NODE: &str = "INSERT INTO node (id, slot, name, version, started, alive_until)
  SELECT $1, 0, 'the data folder', '', clock_timestamp(), clock_timestamp()
  WHERE EXISTS (SELECT 1 FROM delivery_open WHERE state = 1 AND node_id = $1) ON CONFLICT DO NOTHING";
const LEDGER: &str = "SELECT tenant_id, kind::int8 AS kind, SUM(accepted)::int8 AS accepted, SUM(delivered)::int8 AS delivered,
    SUM(failed)::int8 AS failed, SUM(cancelled)::int8 AS cancelled, SUM(open)::int8 AS open FROM (
    SELECT tenant_id, kind, accepted, delivered, failed, cancelled, 0 AS open FROM ledger_part
    UNION ALL SELECT tenant_id, kind, 0, 0, 0, 0, 1 FROM delivery_open) AS both_sides
  GROUP BY tenant_id, kind";

/// What was there.
pub(crate) enum Found {
    Nothing,
    Begun { rows: u64 },
}

/// How far a table is copied.
pub(crate) struct Copied {
    pub(crate) rows: u64,
    pub(crate) position: Option<Vec<u8>>,
}

pub(crate) struct Target {
    connection: PgConnection,
    /// Days that have their partitions.
    days: BTreeSet<i64>,
}

impl Target {
    /// Looks whether the database is fit, and changes nothing where it is not. Where it is, makes the schema and marks it as
    /// a copy of the source.
    pub(crate) async fn open(
        url: &str,
        unsafe_allowed: bool,
        source: &Source,
        now: Timestamp,
    ) -> Result<(Self, Found), TransferError> {
        let hosts =
            Hosts::parse(url, "postrider migrate-to", unsafe_allowed).map_err(TransferError::Target)?;
        let mut connection = hosts.connect().await.map_err(TransferError::Target)?;
        lock(&mut connection).await?;
        let found = look(&mut connection, source).await?;
        let begun = async {
            schema::migrate(&mut connection, now).await?;
            sqlx::raw_sql(TIMEOUTS).execute(&mut connection).await?;
            Ok::<_, StoreError>(connection)
        };
        let mut connection = begun.await.map_err(TransferError::Target)?;
        mark(&mut connection, source, &found).await?;
        days::make(&mut connection, now).await.map_err(TransferError::Target)?;
        Ok((Self { connection, days: BTreeSet::new() }, found))
    }

    pub(crate) async fn copied(&mut self, table: &Table) -> Result<Copied, TransferError> {
        let value: Option<Vec<u8>> = sqlx::query_scalar(COPIED)
            .bind(format!("{COPIED_KEY}{}", table.name))
            .fetch_optional(&mut self.connection)
            .await
            .map_err(failed)?;
        let Some(value) = value else { return Ok(Copied { rows: 0, position: None }) };
        Ok(Copied { rows: rows_of(&value)?, position: Some(value[COUNT_BYTES..].to_vec()) })
    }

    /// One batch: written, read back, compared and marked in one transaction. `before`: rows of the table that are there
    /// already. `cut_off`: all of it is done, and then it ends as with a kill. False: it did.
    pub(crate) async fn write(
        &mut self,
        table: &Table,
        batch: Batch,
        before: u64,
        cut_off: bool,
    ) -> Result<bool, TransferError> {
        let (copy, rows) = batch.into_copy();
        self.make_days(table, &copy, &rows).await?;
        let mut tx = self.connection.begin().await.map_err(failed)?;
        let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
        let sql = format!("COPY {} ({}) FROM STDIN (FORMAT BINARY)", table.name, names.join(", "));
        let mut writing = tx.copy_in_raw(&sql).await.map_err(failed)?;
        // An error shows when it is finished: what was sent before may still be on its way.
        let sent = writing.send(&copy[..]).await.map(drop);
        writing.finish().await.and(sent).map_err(|error| refused(table, error))?;
        compare(&mut tx, table, &copy, &rows).await?;
        let mut copied = (before + rows.count() as u64).to_be_bytes().to_vec();
        copied.extend_from_slice(&rows.position);
        sqlx::query(COPIED_WRITE)
            .bind(format!("{COPIED_KEY}{}", table.name))
            .bind(copied)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        if cut_off {
            return Ok(false);
        }
        tx.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// Before the first row of a day comes, so that none lands among those that have no day.
    async fn make_days(&mut self, table: &Table, copy: &[u8], rows: &Rows) -> Result<(), TransferError> {
        let Some(name) = table.day_of else { return Ok(()) };
        let at = table.at(name);
        for row in 0..rows.count() {
            let Some(id) = rows.fields(copy, row).nth(at).flatten().and_then(|id| id.try_into().ok()) else {
                continue;
            };
            let day = EventId::from_bytes(id).time().unix_ms().div_euclid(days::DAY_MS);
            if self.days.insert(day) {
                days::make_day(&mut self.connection, day).await.map_err(TransferError::Target)?;
            }
        }
        Ok(())
    }

    pub(crate) async fn count(&mut self, table: &Table) -> Result<u64, TransferError> {
        let sql = format!("SELECT COUNT(*) FROM {}", table.name);
        let count: i64 =
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut self.connection).await.map_err(failed)?;
        Ok(count.unsigned_abs())
    }

    /// The counters of all tenants, with a real count of what is open.
    pub(crate) async fn ledger(&mut self) -> Result<LedgerSums, TransferError> {
        let rows = sqlx::query(LEDGER).fetch_all(&mut self.connection).await.map_err(failed)?;
        let read = |row: &PgRow| {
            let mut sums = [0; 5];
            for (sum, name) in sums.iter_mut().zip(["accepted", "delivered", "failed", "cancelled", "open"]) {
                *sum = row.try_get(name)?;
            }
            Ok(((row.try_get::<Uuid, _>("tenant_id")?.into_bytes(), row.try_get("kind")?), sums))
        };
        rows.iter().map(read).collect::<Result<LedgerSums, sqlx::Error>>().map_err(failed)
    }

    /// From now on servers may start on it.
    pub(crate) async fn finish(mut self) -> Result<(), TransferError> {
        analyze(&mut self.connection).await.map_err(TransferError::Target)?;
        let done = async {
            let mut tx = self.connection.begin().await?;
            sqlx::query(COPIED_FORGET).execute(&mut *tx).await?;
            sqlx::query(FOLDERS_NODE).bind(Uuid::nil()).execute(&mut *tx).await?;
            sqlx::query(STATE_WRITE).bind(COPY).bind(COPY_DONE).execute(&mut *tx).await?;
            tx.commit().await
        };
        done.await.map_err(failed)?;
        super::connect::close(self.connection).await;
        Ok(())
    }
}

/// Plans that are made without statistics read whole tables.
pub(super) async fn analyze(connection: &mut PgConnection) -> Result<(), StoreError> {
    for table in &TABLES {
        let sql = format!("ANALYZE {}", table.name);
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    }
    Ok(())
}

fn failed(error: sqlx::Error) -> TransferError {
    TransferError::Target(error.into())
}

/// A batch that the server does not take as it is.
fn refused(table: &Table, error: sqlx::Error) -> TransferError {
    match StoreError::from(error) {
        StoreError::Duplicate(why) => TransferError::Differs(format!(
            "{} holds rows in PostgreSQL that this copy did not write: {why}",
            table.name
        )),
        other => TransferError::Target(other),
    }
}

async fn lock(connection: &mut PgConnection) -> Result<(), TransferError> {
    let locking = async {
        sqlx::query(LOCK_TIMEOUT).execute(&mut *connection).await?;
        sqlx::query("SET statement_timeout = 0").execute(&mut *connection).await?;
        sqlx::query(LOCK).execute(&mut *connection).await
    };
    match locking.await {
        Ok(_) => Ok(()),
        Err(error)
            if error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("55P03")) =>
        {
            Err(TransferError::Refused(
                "another `postrider migrate-to` is at work on this database. Wait for its end, or end it"
                    .into(),
            ))
        }
        Err(error) => Err(failed(error)),
    }
}

/// Whether the database is empty, or holds what an earlier copy of this very source left.
async fn look(connection: &mut PgConnection, source: &Source) -> Result<Found, TransferError> {
    let encoding: String =
        sqlx::query_scalar("SHOW server_encoding").fetch_one(&mut *connection).await.map_err(failed)?;
    if encoding != "UTF8" {
        return Err(TransferError::Refused(format!(
            "the database's encoding is {encoding}, which does not hold every text. Make one with CREATE DATABASE … ENCODING \
             'UTF8' TEMPLATE template0"
        )));
    }
    if !sqlx::query_scalar::<_, bool>(OURS).fetch_one(&mut *connection).await.map_err(failed)? {
        let there: Vec<String> =
            sqlx::query_scalar(TABLES_THERE).fetch_all(&mut *connection).await.map_err(failed)?;
        return match there.first() {
            None => Ok(Found::Nothing),
            Some(first) => Err(TransferError::Refused(format!(
                "the database is not empty: it has {} tables that are not Postrider's, like {first}. Make a database of its \
                 own for Postrider",
                there.len()
            ))),
        };
    }
    let (mut canary, mut identity, mut state) = (None, None, None);
    for row in sqlx::query(META).fetch_all(&mut *connection).await.map_err(failed)? {
        let value: Vec<u8> = row.try_get("value").map_err(failed)?;
        match row.try_get::<&str, _>("key").map_err(failed)? {
            "canary" => canary = Some(value),
            COPY => state = Some(value),
            _ => identity = Some(value),
        }
    }
    let refused = |why: &str| Err(TransferError::Refused(why.to_owned()));
    match (canary, identity, state) {
        // The schema was made and nothing more: cut off there, or made ahead.
        (None, None, None) => only_if_empty(connection).await,
        (Some(canary), Some(identity), Some(state)) if canary == source.canary => {
            if state == COPY_DONE {
                return refused(
                    "this data folder was copied into this database already, completely. Start servers on it; there is \
                     nothing to do here",
                );
            }
            if identity != source.fingerprint {
                return refused(
                    "the data folder has changed since the copy into this database began: a server ran on it. Drop the \
                     database, create it anew, and start from the beginning",
                );
            }
            let rows = copied_rows(connection).await?;
            Ok(Found::Begun { rows })
        }
        (_, Some(_), _) => {
            refused("the database holds the copy of another data folder. Give an empty database")
        }
        _ => refused(
            "the database holds an installation of Postrider already: a server has started on it. Give an empty database",
        ),
    }
}

async fn only_if_empty(connection: &mut PgConnection) -> Result<Found, TransferError> {
    for table in &TABLES {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {})", table.name);
        if sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *connection).await.map_err(failed)? {
            return Err(TransferError::Refused(format!(
                "the database is not empty: {} has rows. Give an empty database",
                table.name
            )));
        }
    }
    Ok(Found::Nothing)
}

async fn copied_rows(connection: &mut PgConnection) -> Result<u64, TransferError> {
    let values: Vec<Vec<u8>> = sqlx::query_scalar(COPIED_SUM).fetch_all(connection).await.map_err(failed)?;
    values.iter().map(|value| rows_of(value)).sum()
}

const COUNT_BYTES: usize = 8;

fn rows_of(copied: &[u8]) -> Result<u64, TransferError> {
    match copied.first_chunk::<COUNT_BYTES>() {
        Some(count) => Ok(u64::from_be_bytes(*count)),
        None => Err(TransferError::Target(StoreError::Corrupt("how far the copy is".into()))),
    }
}

/// Says whose copy it is, while no node is alive on it. The canary comes first: whoever opens it needs the same key.
async fn mark(connection: &mut PgConnection, source: &Source, found: &Found) -> Result<(), TransferError> {
    let mut tx = connection.begin().await.map_err(failed)?;
    let alive = unfinished::nodes_alive(&mut tx).await.map_err(TransferError::Target)?;
    if alive > 0 {
        return Err(TransferError::Refused(format!(
            "{alive} servers run on this database. Stop them; one that was killed is taken for dead after ten seconds"
        )));
    }
    if matches!(found, Found::Nothing) {
        let rows =
            [("canary", &source.canary[..]), ("migration.source", &source.fingerprint[..]), (COPY, COPYING)];
        for (key, value) in rows {
            sqlx::query(META_WRITE).bind(key).bind(value).execute(&mut *tx).await.map_err(failed)?;
        }
    }
    tx.commit().await.map_err(failed)
}

/// Reads the batch's rows by their keys, and holds each field against what was read from the source.
async fn compare(
    tx: &mut PgConnection,
    table: &Table,
    copy: &[u8],
    rows: &Rows,
) -> Result<(), TransferError> {
    let sql = read_back(table);
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for key in table.key {
        query = bind_column(query, table, table.at(key), copy, rows);
    }
    let mut found = 0;
    for row in query.fetch_all(tx).await.map_err(failed)? {
        let ordinal: i64 = row.try_get("ordinal_of_key").map_err(failed)?;
        let at = usize::try_from(ordinal - 1).unwrap_or(usize::MAX);
        found += 1;
        for ((index, column), written) in table.columns.iter().enumerate().zip(rows.fields(copy, at)) {
            let value = row.try_get_raw(index).map_err(failed)?;
            let read = match value.is_null() {
                true => None,
                false => Some(value.as_bytes().map_err(|error| failed(sqlx::Error::Decode(error)))?),
            };
            if read != written {
                return Err(TransferError::Differs(format!(
                    "{} of the row {} of {} is not in PostgreSQL what it is in the data folder",
                    column.name,
                    shown_key(table, copy, rows, at),
                    table.name
                )));
            }
        }
    }
    match found == rows.count() {
        true => Ok(()),
        false => Err(TransferError::Differs(format!(
            "of {} rows of {} that were written to PostgreSQL, {found} were found again; the first of them is {}",
            rows.count(),
            table.name,
            shown_key(table, copy, rows, 0)
        ))),
    }
}

/// Each row is looked for by the primary key, whatever the planner knows of a table that is being filled.
fn read_back(table: &Table) -> String {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    let mut arrays = Vec::new();
    let mut keys = Vec::new();
    let mut equal = Vec::new();
    for (number, key) in table.key.iter().enumerate() {
        let of = match table.columns[table.at(key)].kind {
            Kind::Id => "uuid",
            Kind::Small => "int2",
            Kind::Int => "int4",
            Kind::Big => "int8",
            Kind::Text => "text",
            Kind::Bytes => "bytea",
        };
        arrays.push(format!("${}::{of}[]", number + 1));
        keys.push(format!("key_{number}"));
        equal.push(format!("{key} = k.key_{number}"));
    }
    format!(
        "SELECT found.*, k.ordinal_of_key FROM unnest({}) WITH ORDINALITY AS k ({}, ordinal_of_key)
           CROSS JOIN LATERAL (SELECT {} FROM {} WHERE {} OFFSET 0) AS found",
        arrays.join(", "),
        keys.join(", "),
        names.join(", "),
        table.name,
        equal.join(" AND ")
    )
}

type PgQuery<'q> = Query<'q, Postgres, PgArguments>;

fn bind_column<'q>(query: PgQuery<'q>, table: &Table, at: usize, copy: &[u8], rows: &Rows) -> PgQuery<'q> {
    let values = (0..rows.count()).map(|row| rows.fields(copy, row).nth(at).flatten().unwrap_or_default());
    fn fixed<const N: usize>(value: &[u8]) -> [u8; N] {
        value.try_into().expect("because a batch writes its numbers and ids in their width")
    }
    match table.columns[at].kind {
        Kind::Id => query.bind(values.map(|id| Uuid::from_bytes(fixed(id))).collect::<Vec<_>>()),
        Kind::Small => query.bind(values.map(|number| i16::from_be_bytes(fixed(number))).collect::<Vec<_>>()),
        Kind::Int => query.bind(values.map(|number| i32::from_be_bytes(fixed(number))).collect::<Vec<_>>()),
        Kind::Big => query.bind(values.map(|number| i64::from_be_bytes(fixed(number))).collect::<Vec<_>>()),
        Kind::Text => {
            query.bind(values.map(|text| String::from_utf8_lossy(text).into_owned()).collect::<Vec<_>>())
        }
        Kind::Bytes => query.bind(values.map(<[u8]>::to_vec).collect::<Vec<_>>()),
    }
}

/// A row's key for people.
fn shown_key(table: &Table, copy: &[u8], rows: &Rows, row: usize) -> String {
    let mut shown = String::new();
    for key in table.key {
        let at = table.at(key);
        let value = rows.fields(copy, row).nth(at).flatten().unwrap_or_default();
        let comma = if shown.is_empty() { "(" } else { ", " };
        // Writing to a String does not fail.
        let _ = match table.columns[at].kind {
            Kind::Text => write!(shown, "{comma}{key} '{}'", String::from_utf8_lossy(value).escape_default()),
            _ => write!(shown, "{comma}{key} x'{}'", hex::encode(value)),
        };
    }
    shown.push(')');
    shown
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use postrider_testkit::postgres::Postgres;

    use super::*;

    /// Of PostgreSQL: what is made anew, or belongs to nodes.
    const NOT_FILLED: [&str; 4] = ["lease", "meta", "migration", "node"];

    /// A column that nobody fills would be NULL, or what it is by default, on every row.
    #[tokio::test]
    async fn every_table_and_every_column_is_filled_with_its_type() {
        let server = Postgres::shared_database("target");
        let hosts = Hosts::parse(&server.url, "postrider test", false).expect("a URL");
        let mut connection = hosts.connect().await.expect("a connection");
        schema::migrate(&mut connection, Timestamp::from_unix_ms(0)).await.expect("migrated");
        let rows = server.sql(
            "SELECT c.relname, a.attname, a.atttypid::regtype FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
             WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
               AND a.attnum > 0",
        );
        let mut there: BTreeMap<&str, BTreeSet<(&str, &str)>> = BTreeMap::new();
        for row in rows.lines() {
            let words: Vec<&str> = row.split('|').collect();
            if !NOT_FILLED.contains(&words[0]) {
                there.entry(words[0]).or_default().insert((words[1], words[2]));
            }
        }
        let filled: BTreeMap<&str, BTreeSet<(&str, &str)>> = TABLES
            .iter()
            .map(|table| {
                let columns = table.columns.iter().map(|column| {
                    let kind = match column.kind {
                        Kind::Id => "uuid",
                        Kind::Small => "smallint",
                        Kind::Int => "integer",
                        Kind::Big if column.name == "xid" => "xid8",
                        Kind::Big => "bigint",
                        Kind::Text => "text",
                        Kind::Bytes => "bytea",
                    };
                    (column.name, kind)
                });
                (table.name, columns.collect())
            })
            .collect();
        assert_eq!(filled, there);
    }
}

//! The history's partitions, one for each day (UTC) of ids: made ahead, dropped whole.

use std::ops::RangeInclusive;
use std::time::Duration;

use postrider_domain::id::EventId;
use postrider_domain::time::Timestamp;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Postgres, Row as _, Transaction};
use uuid::Uuid;

use super::connect;
use crate::StoreError;

const DAY: Duration = Duration::from_secs(24 * 3600);
pub(super) const DAY_MS: i64 = 24 * 3600 * 1000;
/// Days made ahead: a node that cannot reach the leader's work for a week still finds its partition.
const AHEAD: i64 = 7;
/// How long a change of the partitions waits for those who use their table. Everybody who comes later waits behind it, so it
/// is short: the next minute's try may find the table free.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '300ms'";
/// Held while partitions change: one node does it.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7305810218428)";
/// Held by the node that drops days, as long as its connection.
const DROP_LOCK: &str = "SELECT pg_try_advisory_lock(7305810218429)";
const NO_TIMEOUT: &str = "SET LOCAL statement_timeout = 0";
const NO_TIMEOUTS: &str = "SET statement_timeout = 0";
/// For all days that go at once: to read a day takes minutes where days are large.
const ROLL_TIMEOUT: Duration = Duration::from_secs(3600);
/// Far longer than it takes to look for what is needed, with the difference between nodes' clocks.
const LATE: Duration = Duration::from_secs(2 * 3600);
/// Ids of publishers that are forgotten in one statement.
const FORGOTTEN_MAX: i64 = 10_000;
const LIST: &str = "SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
  WHERE i.inhparent = to_regclass($1) ORDER BY c.relname";

/// A table by day.
struct ByDay {
    name: &'static str,
    /// Of which day a row is.
    id: &'static str,
    /// What is still needed of a day that is dropped, of `gone`, its rows, in the order of [`TABLES`]: events with a delivery
    /// that has not ended or was made anew since `$since`, and what hangs on them.
    needed: &'static str,
    /// What may have come to be needed meanwhile, found by an index.
    late: &'static str,
}

/// Replays that were asked for while it was looked for what is needed, of `$day`, the events' partition, since `$late`; others
/// have been seen.
const REPLAYED_LATE: &str = "UNION ALL
  SELECT gone.* FROM (SELECT DISTINCT tenant_id, event_id FROM delivery WHERE kind = 2 AND id >= '$late') r
    CROSS JOIN LATERAL (SELECT * FROM $day d WHERE d.tenant_id = r.tenant_id AND d.id = r.event_id LIMIT 1) gone
  WHERE NOT EXISTS (SELECT 1 FROM pg_temp.kept k WHERE k.tenant_id = gone.tenant_id AND k.id = gone.id)";

/// In the order in which a day is dropped.
const TABLES: [ByDay; 3] = [
    ByDay {
        name: "event",
        id: "id",
        needed: "EXISTS (SELECT 1 FROM delivery_open d WHERE d.tenant_id = gone.tenant_id AND d.event_id = gone.id)
          OR EXISTS (SELECT 1 FROM delivery_settled d WHERE d.tenant_id = gone.tenant_id AND d.event_id = gone.id
                       AND d.kind = 2 AND d.id >= '$since')",
        late: REPLAYED_LATE,
    },
    ByDay {
        name: "delivery_settled",
        id: "id",
        needed: "EXISTS (SELECT 1 FROM event e WHERE e.tenant_id = gone.tenant_id AND e.id = gone.event_id)",
        late: "",
    },
    ByDay {
        name: "attempt",
        id: "delivery_id",
        needed: "EXISTS (SELECT 1 FROM delivery d WHERE d.tenant_id = gone.tenant_id AND d.id = gone.delivery_id)",
        late: "",
    },
];

impl super::Postgres {
    /// Makes the partitions of the coming days, and drops those of days that all tenants' retention has passed. Answers how
    /// many days went. `epoch`: the node's when it was found out what is kept; what a node that was away since then believes
    /// is out of date, and drops nothing.
    pub(crate) async fn history_roll(
        &self,
        now: Timestamp,
        kept_longest: Duration,
        epoch: u64,
    ) -> Result<u64, StoreError> {
        // Of its own: with it go its lock and its table, whatever happens.
        let mut connection = self.hosts.connect().await?;
        let rolling = async {
            make(&mut connection, now).await?;
            self.drop_days(&mut connection, now, kept_longest, epoch).await
        };
        let rolled = tokio::time::timeout(ROLL_TIMEOUT, rolling)
            .await
            .unwrap_or_else(|_| Err(StoreError::Unavailable("the days do not go".into())));
        connect::close(connection).await;
        rolled
    }

    async fn drop_days(
        &self,
        connection: &mut PgConnection,
        now: Timestamp,
        kept: Duration,
        epoch: u64,
    ) -> Result<u64, StoreError> {
        if !sqlx::query_scalar(DROP_LOCK).fetch_one(&mut *connection).await? {
            return Ok(0);
        }
        sqlx::query(NO_TIMEOUTS).execute(&mut *connection).await?;
        // All of the day must be older than what is kept.
        let last = now.minus(kept).minus(DAY).unix_ms().div_euclid(DAY_MS);
        let mut dropped = 0;
        for table in &TABLES {
            for row in sqlx::query(LIST).bind(table.name).fetch_all(&mut *connection).await? {
                let name: String = row.try_get("name")?;
                if day_of(table, &name).is_none_or(|day| day > last) {
                    continue;
                }
                if !self.node_is_alive() || self.node_epoch() != epoch {
                    return Ok(dropped);
                }
                drop_day(connection, table, &name, now, kept).await?;
                tracing::info!(partition = name, "history.day_dropped");
                dropped += u64::from(table.name == "event");
            }
        }
        Ok(dropped)
    }
}

/// The partitions of the coming days.
pub(super) async fn make(connection: &mut PgConnection, now: Timestamp) -> Result<(), StoreError> {
    let today = now.unix_ms().div_euclid(DAY_MS);
    make_all(connection, today..=today + AHEAD).await
}

/// One day's partitions.
pub(super) async fn make_day(connection: &mut PgConnection, day: i64) -> Result<(), StoreError> {
    make_all(connection, day..=day).await
}

/// What the default partitions hold of the days moves into their own. A transaction for each table: who changes one holds
/// none of the others, which those who read several might wait for crosswise.
async fn make_all(connection: &mut PgConnection, days: RangeInclusive<i64>) -> Result<(), StoreError> {
    for table in &TABLES {
        if missing(connection, table, days.clone()).await?.is_empty() {
            continue;
        }
        let mut tx = changing(connection).await?;
        // Another node may have made them meanwhile.
        for day in missing(&mut tx, table, days.clone()).await? {
            let ByDay { name: table, id, .. } = table;
            let (name, from, until) = (partition(table, day), lowest(day), lowest(day + 1));
            let sql = format!(
                "CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
                 WITH moved AS (DELETE FROM {table}_rest WHERE {id} >= '{from}' AND {id} < '{until}' RETURNING *)
                   INSERT INTO {name} SELECT * FROM moved;
                 ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{from}') TO ('{until}')"
            );
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *tx).await?;
        }
        tx.commit().await?;
    }
    Ok(())
}

/// Those of the days that have no partition of the table yet.
async fn missing(
    connection: &mut PgConnection,
    table: &ByDay,
    days: RangeInclusive<i64>,
) -> Result<Vec<i64>, StoreError> {
    let rows = sqlx::query(LIST).bind(table.name).fetch_all(connection).await?;
    let there = rows.iter().map(|row| row.try_get("name")).collect::<Result<Vec<String>, _>>()?;
    Ok(days.filter(|day| !there.contains(&partition(table.name, *day))).collect())
}

/// One table's day goes; what is needed of it moves to the default partition. What takes long is done before the table is
/// locked: everybody who uses it waits behind the lock.
async fn drop_day(
    connection: &mut PgConnection,
    table: &ByDay,
    name: &str,
    now: Timestamp,
    kept: Duration,
) -> Result<(), StoreError> {
    let needed = table.needed.replace("$since", &lowest_at(now.minus(kept)).to_string());
    let sql = format!(
        "DROP TABLE IF EXISTS pg_temp.kept;
         CREATE TEMPORARY TABLE kept AS SELECT gone.* FROM {name} gone WHERE {needed}"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    let ByDay { name: table, late, .. } = table;
    if *table == "event" {
        forget_external(connection, name).await?;
    }
    let late = late.replace("$day", name).replace("$late", &lowest_at(now.minus(LATE)).to_string());
    let sql = format!(
        "ALTER TABLE {table} DETACH PARTITION {name};
         INSERT INTO {table} SELECT * FROM kept {late};
         DROP TABLE {name}, pg_temp.kept"
    );
    let mut tx = changing(connection).await?;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *tx).await?;
    Ok(tx.commit().await?)
}

/// The ids that publishers gave to events of a day that is about to go, but those of events that are kept.
async fn forget_external(connection: &mut PgConnection, day: &str) -> Result<(), StoreError> {
    let forget = format!(
        "WITH batch AS MATERIALIZED (
           SELECT tenant_id, id, external_id FROM {day} WHERE (tenant_id, id) > ($1, $2) ORDER BY tenant_id, id LIMIT $3),
         forgotten AS (
           DELETE FROM event_external x USING batch b
           WHERE x.tenant_id = b.tenant_id AND x.external_id = b.external_id AND x.event_id = b.id
             AND NOT EXISTS (SELECT 1 FROM pg_temp.kept k WHERE k.tenant_id = b.tenant_id AND k.id = b.id))
         SELECT tenant_id, id FROM batch ORDER BY tenant_id DESC, id DESC LIMIT 1"
    );
    let mut after = (Uuid::nil(), Uuid::nil());
    loop {
        let last = sqlx::query(AssertSqlSafe(forget.clone()))
            .bind(after.0)
            .bind(after.1)
            .bind(FORGOTTEN_MAX)
            .fetch_optional(&mut *connection)
            .await?;
        let Some(row) = last else { return Ok(()) };
        after = (row.try_get("tenant_id")?, row.try_get("id")?);
    }
}

/// A transaction that changes partitions: one at a time over all nodes.
async fn changing(connection: &mut PgConnection) -> Result<Transaction<'_, Postgres>, StoreError> {
    let mut tx = connection.begin().await?;
    for set in [NO_TIMEOUT, LOCK, LOCK_TIMEOUT] {
        sqlx::query(set).execute(&mut *tx).await?;
    }
    Ok(tx)
}

/// `event_20261121`: days have names that people read.
fn partition(table: &str, day: i64) -> String {
    let date = Timestamp::from_unix_ms(day * DAY_MS).to_string();
    format!("{table}_{}", date[..10].replace('-', ""))
}

fn day_of(table: &ByDay, name: &str) -> Option<i64> {
    let date = name.strip_prefix(table.name)?.strip_prefix('_').filter(|date| date.len() == 8)?;
    let text = format!("{}-{}-{}T00:00:00Z", date.get(..4)?, date.get(4..6)?, date.get(6..)?);
    Some(Timestamp::parse_rfc3339(&text)?.unix_ms().div_euclid(DAY_MS))
}

/// The lowest id of a day.
fn lowest(day: i64) -> Uuid {
    lowest_at(Timestamp::from_unix_ms(day * DAY_MS))
}

/// Without the version's bits: lower than every id of the moment.
fn lowest_at(at: Timestamp) -> Uuid {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&EventId::lowest_at(at).as_bytes()[..6]);
    Uuid::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_named_by_its_day() {
        let day = Timestamp::parse_rfc3339("2026-11-21T13:00:00Z").expect("a time").unix_ms() / DAY_MS;
        assert_eq!(partition("event", day), "event_20261121");
        assert_eq!(day_of(&TABLES[0], "event_20261121"), Some(day));
        assert_eq!(day_of(&TABLES[1], "delivery_settled_20261121"), Some(day));
        assert_eq!(day_of(&TABLES[0], "event_rest"), None);
    }
}

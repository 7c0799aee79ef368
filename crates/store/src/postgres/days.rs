//! The history's partitions, one for each day (UTC) of ids: made ahead, dropped whole.

use std::ops::RangeInclusive;
use std::time::Duration;

use postrider_domain::id::EventId;
use postrider_domain::time::Timestamp;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Postgres, Row as _, Transaction};
use uuid::Uuid;

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
const NO_TIMEOUT: &str = "SET LOCAL statement_timeout = 0";
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
}

/// In the order in which a day is dropped.
const TABLES: [ByDay; 3] = [
    ByDay {
        name: "event",
        id: "id",
        needed: "EXISTS (SELECT 1 FROM delivery_open d WHERE d.tenant_id = gone.tenant_id AND d.event_id = gone.id)
          OR EXISTS (SELECT 1 FROM delivery_settled d WHERE d.tenant_id = gone.tenant_id AND d.event_id = gone.id
                       AND d.kind = 2 AND d.id >= '$since')",
    },
    ByDay {
        name: "delivery_settled",
        id: "id",
        needed: "EXISTS (SELECT 1 FROM event e WHERE e.tenant_id = gone.tenant_id AND e.id = gone.event_id)",
    },
    ByDay {
        name: "attempt",
        id: "delivery_id",
        needed: "EXISTS (SELECT 1 FROM delivery d WHERE d.tenant_id = gone.tenant_id AND d.id = gone.delivery_id)",
    },
];

impl super::Postgres {
    /// Makes the partitions of the coming days, and drops those of days that all tenants' retention has passed. Answers how
    /// many days went.
    pub(crate) async fn history_roll(
        &self,
        now: Timestamp,
        kept_longest: Duration,
    ) -> Result<u64, StoreError> {
        let mut connection = self.pool.acquire().await?;
        roll(&mut connection, now, Some(kept_longest)).await
    }
}

/// `kept`: `None` drops nothing.
pub(super) async fn roll(
    connection: &mut PgConnection,
    now: Timestamp,
    kept: Option<Duration>,
) -> Result<u64, StoreError> {
    let today = now.unix_ms().div_euclid(DAY_MS);
    make_all(connection, today..=today + AHEAD).await?;
    let Some(kept) = kept else { return Ok(0) };
    // All of the day must be older than what is kept.
    let last = now.minus(kept).minus(DAY).unix_ms().div_euclid(DAY_MS);
    let mut dropped = 0;
    for table in &TABLES {
        for row in sqlx::query(LIST).bind(table.name).fetch_all(&mut *connection).await? {
            let name: String = row.try_get("name")?;
            if day_of(table, &name).is_none_or(|day| day > last) {
                continue;
            }
            drop_day(connection, table, &name, now.minus(kept)).await?;
            tracing::info!(partition = name, "history.day_dropped");
            dropped += u64::from(table.name == "event");
        }
    }
    Ok(dropped)
}

/// One day's partitions.
pub(super) async fn make(connection: &mut PgConnection, day: i64) -> Result<(), StoreError> {
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

/// One table's day goes; what is needed of it moves to the default partition.
async fn drop_day(
    connection: &mut PgConnection,
    table: &ByDay,
    name: &str,
    kept_since: Timestamp,
) -> Result<(), StoreError> {
    let mut tx = changing(connection).await?;
    let needed = table.needed.replace("$since", &lowest_at(kept_since).to_string());
    let table = table.name;
    let mut sql = format!(
        "ALTER TABLE {table} DETACH PARTITION {name};
         INSERT INTO {table} SELECT gone.* FROM {name} gone WHERE {needed};"
    );
    if table == "event" {
        sql.push_str(&format!(
            "DELETE FROM event_external x USING {name} gone WHERE x.tenant_id = gone.tenant_id
               AND x.external_id = gone.external_id AND x.event_id = gone.id
               AND NOT EXISTS (SELECT 1 FROM event_rest e WHERE e.tenant_id = gone.tenant_id AND e.id = gone.id);"
        ));
    }
    sql.push_str(&format!("DROP TABLE {name}"));
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *tx).await?;
    Ok(tx.commit().await?)
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

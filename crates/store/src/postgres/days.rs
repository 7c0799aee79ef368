//! The history's partitions, one for each day (UTC) of ids: made ahead, dropped whole.
//!
//! What is still needed of a day that goes, because a delivery is open or was made anew, moves to the default partition. What
//! is needed is found as keys, in the time it takes, while everybody works; then the table is locked for as long as it takes
//! to move the rows of those keys. So what became of them in between moves too, and what was removed does not come back. A
//! day of which much is needed stays; its rows go one by one (`sweep`).

use std::ops::RangeInclusive;
use std::time::Duration;

use postrider_domain::id::EventId;
use postrider_domain::time::Timestamp;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Postgres, Row as _, Transaction};
use uuid::Uuid;

use super::connect;
use crate::StoreError;
use crate::work::FIRST_DELIVERY_SHARED_BYTES;

const DAY: Duration = Duration::from_secs(24 * 3600);
pub(super) const DAY_MS: i64 = 24 * 3600 * 1000;
/// Days made ahead: a node that cannot reach the leader's work for a week still finds its partition.
const AHEAD: i64 = 7;
/// How long a change of the partitions waits for those who use their table, and for another change. Everybody who comes later
/// waits behind it, so it is short: the next minute's try may find the table free.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '300ms'";
/// Held while partitions change: one node does it.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7305810218428)";
/// What is in the default partition may have to move.
const NO_TIMEOUT: &str = "SET LOCAL statement_timeout = 0";
/// Held by the node that drops days, as long as its connection.
const DROP_LOCK: &str = "SELECT pg_try_advisory_lock(7305810218429)";
/// For one look at what is needed.
const LOOK_TIMEOUT: &str = "SET statement_timeout = '10min'";
/// For all days that go at once, a day and a table after the other.
const DROP_TIMEOUT: Duration = Duration::from_secs(3600);
/// Since the look at what is needed began, with the difference between nodes' clocks.
const LATE: Duration = Duration::from_secs(2 * 3600);
/// Events of a day that move under the lock, at most: with their deliveries and attempts it takes less than a second.
const NEEDED_MAX: i64 = 10_000;
/// Ids of publishers that are looked at in one statement.
const FORGET_MAX: i64 = 10_000;
const LIST: &str = "SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
  WHERE i.inhparent = to_regclass($1) ORDER BY c.relname";

/// A table by day.
struct ByDay {
    name: &'static str,
    /// Of which day a row is.
    id: &'static str,
    /// The keys of what is needed of a day, for all that follows. `$day`: its partition; `$from`, `$until`: the ids of its
    /// day; `$since`: what is made later is kept.
    keys: &'static str,
    /// The rows of those keys, from the partition. `$late`: what was made later may not have been seen.
    rows: &'static str,
}

/// In the order in which a day is dropped: what hangs on a row goes by whether the row went.
const TABLES: [ByDay; 3] = [
    ByDay {
        name: "event",
        id: "id",
        keys: "SELECT tenant_id, event_id AS id FROM delivery_open WHERE event_id >= '$from' AND event_id < '$until'
          UNION SELECT tenant_id, event_id FROM delivery_settled
            WHERE kind = 2 AND id >= '$since' AND event_id >= '$from' AND event_id < '$until'",
        rows: "SELECT row.* FROM (SELECT tenant_id, id FROM pg_temp.needed
            UNION SELECT tenant_id, event_id FROM delivery WHERE kind = 2 AND id >= '$late') k
          CROSS JOIN LATERAL (SELECT * FROM $day d WHERE d.tenant_id = k.tenant_id AND d.id = k.id LIMIT 1) row",
    },
    ByDay {
        name: "delivery_settled",
        id: "id",
        keys: "SELECT tenant_id, id FROM event_rest WHERE id >= '$from' AND id < '$until'
          UNION SELECT e.tenant_id, e.id FROM event_rest e WHERE e.id < '$from' AND EXISTS (
            SELECT 1 FROM $day d WHERE d.tenant_id = e.tenant_id AND d.event_id = e.id AND d.kind = 2)",
        rows: "SELECT row.* FROM pg_temp.needed k CROSS JOIN LATERAL (
            SELECT * FROM $day d
              WHERE d.tenant_id = k.tenant_id AND d.id BETWEEN k.first AND k.last AND d.event_id = k.id AND d.kind <> 2
            UNION ALL
            SELECT * FROM $day d WHERE d.tenant_id = k.tenant_id AND d.event_id = k.id AND d.kind = 2) row",
    },
    ByDay {
        name: "attempt",
        id: "delivery_id",
        keys: "SELECT tenant_id, id FROM delivery_open WHERE id >= '$from' AND id < '$until'
          UNION SELECT tenant_id, id FROM delivery_settled_rest WHERE id >= '$from' AND id < '$until'",
        rows: "SELECT row.* FROM pg_temp.needed k CROSS JOIN LATERAL (
            SELECT * FROM $day d WHERE d.tenant_id = k.tenant_id AND d.delivery_id = k.id) row",
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
        let rolled = tokio::time::timeout(DROP_TIMEOUT, rolling)
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
        sqlx::query(LOOK_TIMEOUT).execute(&mut *connection).await?;
        // All of the day must be older than what is kept.
        let last = now.minus(kept).minus(DAY).unix_ms().div_euclid(DAY_MS);
        let mut dropped = 0;
        let mut there = Vec::new();
        for table in &TABLES {
            there.push(days_there(connection, table).await?);
        }
        let mut old: Vec<i64> = there.iter().flatten().copied().filter(|day| *day <= last).collect();
        old.sort_unstable();
        old.dedup();
        for day in old {
            for (table, there) in TABLES.iter().zip(&there) {
                if !there.contains(&day) {
                    continue;
                }
                let needed = find_needed(connection, table, day, now.minus(kept)).await?;
                if table.name == "event" && needed > NEEDED_MAX {
                    tracing::info!(partition = partition(table.name, day), needed, "history.day_stays");
                    break;
                }
                if !self.node_is_alive() || self.node_epoch() != epoch {
                    return Ok(dropped);
                }
                drop_day(connection, table, day, now).await?;
                tracing::info!(partition = partition(table.name, day), needed, "history.day_dropped");
                dropped += u64::from(table.name == "event");
            }
        }
        if dropped > 0 {
            forget_external(connection).await?;
            forget_elsewhere(connection).await?;
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

/// The days for which a table has a partition.
async fn days_there(connection: &mut PgConnection, table: &ByDay) -> Result<Vec<i64>, StoreError> {
    let rows = sqlx::query(LIST).bind(table.name).fetch_all(connection).await?;
    let names = rows.iter().map(|row| row.try_get("name")).collect::<Result<Vec<String>, _>>()?;
    Ok(names.iter().filter_map(|name| day_of(table, name)).collect())
}

/// Puts the keys of what is needed of a day aside, and answers how many there are.
async fn find_needed(
    connection: &mut PgConnection,
    table: &ByDay,
    day: i64,
    kept_since: Timestamp,
) -> Result<i64, StoreError> {
    let keys = placed(table.keys, table, day).replace("$since", &lowest_at(kept_since).to_string());
    let sql = format!(
        "DROP TABLE IF EXISTS pg_temp.needed;
         CREATE TEMPORARY TABLE needed AS SELECT tenant_id, id, id AS first, id AS last FROM ({keys}) k"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    if table.name == "delivery_settled" {
        bound_first_deliveries(connection).await?;
    }
    sqlx::query("ANALYZE pg_temp.needed").execute(&mut *connection).await?;
    Ok(sqlx::query_scalar("SELECT COUNT(*) FROM pg_temp.needed").fetch_one(connection).await?)
}

/// An event shares the beginning of its id with its first deliveries.
async fn bound_first_deliveries(connection: &mut PgConnection) -> Result<(), StoreError> {
    const BOUND: &str = "UPDATE pg_temp.needed n SET first = b.first, last = b.last
      FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS b (id, first, last) WHERE n.id = b.id";
    let ids: Vec<Uuid> =
        sqlx::query_scalar("SELECT id FROM pg_temp.needed").fetch_all(&mut *connection).await?;
    let filled = |id: &Uuid, with: u8| {
        let mut bytes = id.into_bytes();
        bytes[FIRST_DELIVERY_SHARED_BYTES..].fill(with);
        Uuid::from_bytes(bytes)
    };
    let firsts: Vec<Uuid> = ids.iter().map(|id| filled(id, 0)).collect();
    let lasts: Vec<Uuid> = ids.iter().map(|id| filled(id, 0xff)).collect();
    sqlx::query(BOUND).bind(ids).bind(firsts).bind(lasts).execute(connection).await?;
    Ok(())
}

/// One table's day goes. One message, its end included: whatever becomes of this node, nobody waits for it.
async fn drop_day(
    connection: &mut PgConnection,
    table: &ByDay,
    day: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let rows = placed(table.rows, table, day).replace("$late", &lowest_at(now.minus(LATE)).to_string());
    let (name, table) = (partition(table.name, day), table.name);
    let sql = format!(
        "BEGIN; SET LOCAL statement_timeout = '3s'; {LOCK_TIMEOUT}; {LOCK};
         ALTER TABLE {table} DETACH PARTITION {name};
         INSERT INTO {table} {rows};
         DROP TABLE {name};
         COMMIT"
    );
    let gone = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await;
    if gone.is_err() {
        // The error that counts is the first.
        drop(sqlx::raw_sql("ROLLBACK").execute(connection).await);
    }
    gone?;
    Ok(())
}

fn placed(sql: &str, table: &ByDay, day: i64) -> String {
    sql.replace("$day", &partition(table.name, day))
        .replace("$from", &lowest(day).to_string())
        .replace("$until", &lowest(day + 1).to_string())
}

/// The ids that publishers gave to events that are gone. Until then they stand for nothing, and who brings one again takes it
/// (see `accept`).
async fn forget_external(connection: &mut PgConnection) -> Result<(), StoreError> {
    const FORGET: &str = "WITH batch AS MATERIALIZED (
        SELECT tenant_id, external_id, event_id FROM event_external WHERE (tenant_id, external_id) > ($1, $2)
        ORDER BY tenant_id, external_id LIMIT $3),
      forgotten AS (
        DELETE FROM event_external x USING batch b
        WHERE x.tenant_id = b.tenant_id AND x.external_id = b.external_id AND x.event_id = b.event_id AND b.event_id < $4
          AND NOT EXISTS (SELECT 1 FROM event_rest e WHERE e.tenant_id = b.tenant_id AND e.id = b.event_id))
      SELECT tenant_id, external_id FROM batch ORDER BY tenant_id DESC, external_id DESC LIMIT 1";
    // What is older than the first day that is there is in the default partition, or gone.
    let Some(first) = days_there(connection, &TABLES[0]).await?.into_iter().min() else { return Ok(()) };
    let mut after = (Uuid::nil(), String::new());
    loop {
        let last = sqlx::query(FORGET)
            .bind(after.0)
            .bind(&after.1)
            .bind(FORGET_MAX)
            .bind(lowest(first))
            .fetch_optional(&mut *connection)
            .await?;
        let Some(row) = last else { return Ok(()) };
        after = (row.try_get("tenant_id")?, row.try_get("external_id")?);
    }
}

/// Where deliveries went by hand that are gone. Read whole: there are as many as people asked for.
async fn forget_elsewhere(connection: &mut PgConnection) -> Result<(), StoreError> {
    const FORGET: &str = "DELETE FROM delivery_elsewhere e
      WHERE NOT EXISTS (SELECT 1 FROM delivery_open d WHERE d.tenant_id = e.tenant_id AND d.id = e.delivery_id)
        AND NOT EXISTS (SELECT 1 FROM delivery_settled d WHERE d.tenant_id = e.tenant_id AND d.id = e.delivery_id)";
    sqlx::query(FORGET).execute(connection).await?;
    Ok(())
}

/// A transaction that changes partitions: one at a time over all nodes.
async fn changing(connection: &mut PgConnection) -> Result<Transaction<'_, Postgres>, StoreError> {
    let mut tx = connection.begin().await?;
    for set in [NO_TIMEOUT, LOCK_TIMEOUT, LOCK] {
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
pub(super) fn lowest_at(at: Timestamp) -> Uuid {
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

    fn id(day: i64, n: u8) -> Uuid {
        let mut bytes = lowest(day).into_bytes();
        bytes[5] |= 1;
        bytes[15] = n;
        Uuid::from_bytes(bytes)
    }

    /// An empty database on which nobody else works, with the partitions of a day.
    async fn with_day(day: i64) -> (PgConnection, impl Drop) {
        let database = postrider_testkit::postgres::Postgres::shared_database("days");
        let mut connection = PgConnection::connect(&database.url).await.expect("it takes connections");
        let now = Timestamp::from_unix_ms(day * DAY_MS);
        super::super::schema::migrate(&mut connection, now).await.expect("it is empty");
        make_day(&mut connection, day).await.expect("nobody uses it");
        (connection, database)
    }

    async fn run(connection: &mut PgConnection, sql: String) {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.expect("it is right");
    }

    async fn count(connection: &mut PgConnection, table: &str) -> i64 {
        let sql = format!("SELECT COUNT(*) FROM {table}");
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await.expect("it is there")
    }

    fn event(event: Uuid) -> String {
        format!(
            "INSERT INTO event (tenant_id, id, kind, type, time_ms, accepted_ms, tenant_version, depth, data)
               VALUES ('{TENANT}', '{event}', 0, 'a.b', 0, 0, 1, 0, '{{}}');"
        )
    }

    fn open(delivery: Uuid, event: Uuid, kind: i64) -> String {
        format!(
            "INSERT INTO delivery_open (tenant_id, id, event_id, webhook_id, kind, state, reason, resend, attempts, step, fence,
               created_ms) VALUES ('{TENANT}', '{delivery}', '{event}', '{TENANT}', {kind}, 0, 0, 0, 0, 0, 0, 0);"
        )
    }

    fn settled(delivery: Uuid, event: Uuid) -> String {
        format!(
            "DELETE FROM delivery_open WHERE id = '{delivery}';
             INSERT INTO delivery_settled (tenant_id, id, event_id, webhook_id, kind, state, reason, attempts, step, fence,
               created_ms, settled_ms) VALUES ('{TENANT}', '{delivery}', '{event}', '{TENANT}', 0, 2, 0, 1, 0, 0, 0, 0);
             INSERT INTO attempt (tenant_id, delivery_id, number, class, started_ms, dns_us, connect_us, tls_us, wait_us, body_us,
               total_us, request_bytes, response_bytes, reused, resend, response_head, response_body)
               VALUES ('{TENANT}', '{delivery}', 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '', '');"
        )
    }

    const TENANT: Uuid = Uuid::from_bytes([7; 16]);
    const OLD: i64 = 20_000;

    async fn drop_table(connection: &mut PgConnection, at: usize, between: String) -> i64 {
        let now = Timestamp::from_unix_ms((OLD + 40) * DAY_MS);
        let needed =
            find_needed(connection, &TABLES[at], OLD, now.minus(30 * DAY)).await.expect("it is read");
        run(connection, between).await;
        drop_day(connection, &TABLES[at], OLD, now).await.expect("nobody uses it");
        needed
    }

    #[tokio::test]
    async fn an_event_that_is_replayed_after_the_look_stays() {
        let (mut connection, _database) = with_day(OLD).await;
        let (asked_before, asked_late, gone) = (id(OLD, 1), id(OLD, 2), id(OLD, 3));
        let rows =
            [event(asked_before), event(asked_late), event(gone), open(id(OLD + 39, 1), asked_before, 2)];
        run(&mut connection, rows.concat()).await;
        let late = open(id(OLD + 40, 2), asked_late, 2);
        assert_eq!(drop_table(&mut connection, 0, late).await, 1);
        assert_eq!(count(&mut connection, &format!("event WHERE id <> '{gone}'")).await, 2);
        assert_eq!(count(&mut connection, "event").await, 2);
    }

    #[tokio::test]
    async fn what_settles_after_the_look_keeps_its_row_and_its_attempt() {
        let (mut connection, _database) = with_day(OLD).await;
        let (owed, done) = (id(OLD, 1), id(OLD, 2));
        let rows = [event(owed), open(owed, owed, 0), event(done), open(done, done, 0), settled(done, done)];
        run(&mut connection, rows.concat()).await;
        assert_eq!(drop_table(&mut connection, 0, String::new()).await, 1);
        assert_eq!(drop_table(&mut connection, 1, settled(owed, owed)).await, 1);
        assert_eq!(count(&mut connection, "delivery_settled").await, 1);
        let tried_again =
            "UPDATE attempt SET number = 2 WHERE delivery_id = '$id'".replace("$id", &owed.to_string());
        assert_eq!(drop_table(&mut connection, 2, tried_again).await, 1);
        assert_eq!(count(&mut connection, "attempt WHERE number = 2").await, 1);
        assert_eq!(count(&mut connection, "attempt").await, 1);
    }

    #[tokio::test]
    async fn a_replay_stays_while_the_older_event_that_it_sent_does() {
        let (mut connection, _database) = with_day(OLD).await;
        let (kept, replay, other) = (id(OLD - 3, 1), id(OLD, 1), id(OLD, 2));
        // No partition takes the older event: it stands where kept ones do.
        let rows = [event(kept), settled(replay, kept), settled(other, id(OLD - 3, 2))];
        run(&mut connection, rows.concat()).await;
        run(&mut connection, "UPDATE delivery_settled SET kind = 2".to_owned()).await;
        assert_eq!(drop_table(&mut connection, 1, String::new()).await, 1);
        assert_eq!(count(&mut connection, &format!("delivery_settled WHERE id = '{replay}'")).await, 1);
        assert_eq!(count(&mut connection, "delivery_settled").await, 1);
    }

    #[tokio::test]
    async fn what_is_removed_after_the_look_does_not_come_back() {
        let (mut connection, _database) = with_day(OLD).await;
        let owed = id(OLD, 1);
        run(&mut connection, [event(owed), open(owed, owed, 0)].concat()).await;
        let removed = "DELETE FROM event; DELETE FROM delivery_open".to_owned();
        assert_eq!(drop_table(&mut connection, 0, removed).await, 1);
        assert_eq!(count(&mut connection, "event").await, 0);
    }
}

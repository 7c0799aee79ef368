//! After a restore: what is open ends as failed, and events get numbers that this server's transactions come after.
//!
//! A copy made by `pg_dump` keeps the numbers of the transactions that wrote its events, and those may be higher than any
//! that the new server has given out: whoever polls would not be shown the events until it has. Then all events are
//! numbered anew, as written before everything else, and come in the order of their ids.

use std::sync::Arc;

use postrider_domain::delivery::{DeliveryKind, DeliveryState, Reason};
use postrider_domain::id::{DeliveryId, EventId, TenantId, WebhookId};
use postrider_domain::time::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use uuid::Uuid;

use super::connect::{self, Hosts};
use super::settle::{self, Settle};
use super::unfinished::{self, RESTORED};
use super::{code, schema, small, target};
use crate::restored::{END_JOBS, INSTALLATION, JOB_ENDED, ROWS_MAX, Restored};
use crate::seal::Sealer;
use crate::transfer::tables::NO_NODES_WRITER;
use crate::work::AttemptRow;
use crate::{OpenOptions, StoreError};

/// Pages of a partition whose events are numbered anew in one transaction: 32 MiB.
const PAGES: i64 = 4096;

const HAS_STORE: &str = "SELECT to_regclass('meta') IS NOT NULL";
const HAS_CANARY: &str = "SELECT EXISTS (SELECT 1 FROM meta WHERE key = 'canary')";
/// What is decided at the beginning holds until the end, also if that is another run's.
const BEGIN: &str =
    "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = meta.value
  RETURNING value";
const END: &str = "DELETE FROM meta WHERE key = $1";
const RENUMBER: &[u8] = b"events too";
const KEEP_NUMBERS: &[u8] = b"deliveries";
/// Whether an event seems to be written by a transaction that has not begun yet. Index: `event_order`, of each tenant.
const NUMBERED_AHEAD: &str = "SELECT EXISTS (SELECT 1 FROM tenant t WHERE EXISTS
  (SELECT 1 FROM event e WHERE e.tenant_id = t.id AND e.xid >= pg_snapshot_xmax(pg_current_snapshot())))";
const PARTITIONS: &str = "SELECT i.inhrelid::regclass::text AS name,
    pg_relation_size(i.inhrelid) / current_setting('block_size')::int8 AS pages
  FROM pg_inherits i WHERE i.inhparent = 'event'::regclass ORDER BY 1";
/// Index: the primary key.
const SENDING: &str = "SELECT tenant_id, id, event_id, webhook_id, kind, fence, attempts, step, resend, claimed_ms FROM delivery_open
  WHERE state = 1 AND (tenant_id, id) > ($1, $2) ORDER BY tenant_id, id LIMIT $3 FOR UPDATE";
/// Index: the primary key. Answers the last one, and how many there were.
const END_SCHEDULED: &str = "WITH picked AS (
    SELECT tenant_id, id FROM delivery_open WHERE state = 0 AND (tenant_id, id) > ($1, $2) ORDER BY tenant_id, id LIMIT $3
      FOR UPDATE),
  ended AS (
    DELETE FROM delivery_open d USING picked p WHERE d.tenant_id = p.tenant_id AND d.id = p.id
    RETURNING d.tenant_id, d.id, d.event_id, d.webhook_id, d.kind, d.last_class, d.attempts, d.step, d.fence, d.created_ms,
      d.last_status),
  kept AS (
    INSERT INTO delivery_settled (tenant_id, id, event_id, webhook_id, kind, state, reason, last_class, attempts, step,
      fence, created_ms, settled_ms, last_status)
    SELECT tenant_id, id, event_id, webhook_id, kind, $4, $5, last_class, attempts, step, fence, created_ms, $6, last_status
    FROM ended),
  counted AS (
    INSERT INTO ledger_part (tenant_id, hour_ms, kind, writer, accepted, delivered, failed, cancelled)
    SELECT tenant_id, $6 / 3600000 * 3600000, kind, $7, 0, 0, COUNT(*), 0 FROM ended GROUP BY tenant_id, kind
    ON CONFLICT (tenant_id, hour_ms, kind, writer) DO UPDATE SET failed = ledger_part.failed + excluded.failed)
  SELECT tenant_id, id FROM ended ORDER BY tenant_id, id";

/// Ends what is open, while no node is alive. None starts until this is done, also if it is cut off.
pub(crate) async fn end_open(url: &str, options: &OpenOptions) -> Result<Restored, StoreError> {
    let Some(master) = &options.master_key else {
        return Err(StoreError::MasterKey(
            "With PostgreSQL the master key is given: set POSTRIDER_MASTER_KEY to that of the installation which was backed up."
                .into(),
        ));
    };
    let hosts = Hosts::parse(url, "postrider restored", options.unsafe_allowed)?;
    let mut connection = hosts.connect().await?;
    sqlx::raw_sql("SET statement_timeout = 0").execute(&mut connection).await?;
    let has_store = sqlx::query_scalar(HAS_STORE).fetch_one(&mut connection).await?
        && sqlx::query_scalar(HAS_CANARY).fetch_one(&mut connection).await?;
    if !has_store {
        return Err(StoreError::Misconfigured("There is no store of Postrider in this database.".into()));
    }
    schema::migrate(&mut connection, options.now).await?;
    super::check_master_key(&mut connection, &Sealer::new(master), &*options.random).await?;
    let renumber = begin(&mut connection).await?;

    let sending = end_sending(&mut connection, options.now).await?;
    let scheduled = end_scheduled(&mut connection, options.now).await?;
    let jobs = sqlx::query(END_JOBS)
        .bind(JOB_ENDED)
        .bind(options.now.unix_ms())
        .bind(Uuid::from_bytes(INSTALLATION))
        .execute(&mut connection)
        .await?
        .rows_affected();
    let renumbered = if renumber { number_anew(&mut connection).await? } else { 0 };
    // What `pg_restore` makes has no statistics.
    target::analyze(&mut connection).await?;
    sqlx::query(END).bind(RESTORED).execute(&mut connection).await?;
    connect::close(connection).await;
    Ok(Restored { scheduled, sending, jobs, renumbered, ..Restored::default() })
}

/// Keeps nodes away. Answers whether events must be numbered anew.
async fn begin(connection: &mut PgConnection) -> Result<bool, StoreError> {
    let mut tx = connection.begin().await?;
    unfinished::refuse_half_a_copy(&mut tx).await?;
    if unfinished::nodes_alive(&mut tx).await? > 0 {
        return Err(StoreError::Misconfigured(
            "Servers run on this database. Stop them first; one that was killed is taken for dead after ten seconds.".into(),
        ));
    }
    let ahead: bool = sqlx::query_scalar(NUMBERED_AHEAD).fetch_one(&mut *tx).await?;
    let wanted = if ahead { RENUMBER } else { KEEP_NUMBERS };
    let decided: Vec<u8> = sqlx::query_scalar(BEGIN).bind(RESTORED).bind(wanted).fetch_one(&mut *tx).await?;
    tx.commit().await?;
    Ok(decided == RENUMBER)
}

async fn end_sending(connection: &mut PgConnection, now: Timestamp) -> Result<u64, StoreError> {
    let mut after = (Uuid::nil(), Uuid::nil());
    let mut all = 0;
    loop {
        let mut tx = connection.begin().await?;
        let rows = sqlx::query(SENDING)
            .bind(after.0)
            .bind(after.1)
            .bind(ROWS_MAX as i64)
            .fetch_all(&mut *tx)
            .await?;
        let settles = rows.iter().map(|row| lost(row, now)).collect::<Result<Vec<Settle>, _>>()?;
        if let Some(last) = rows.last() {
            after = (last.try_get("tenant_id")?, last.try_get("id")?);
            settle::write(&mut tx, &settles, NO_NODES_WRITER).await?;
        }
        tx.commit().await?;
        all += settles.len() as u64;
        if settles.len() < ROWS_MAX {
            return Ok(all);
        }
    }
}

/// The result of an attempt of which nobody knows how it went.
fn lost(row: &PgRow, now: Timestamp) -> Result<Settle, StoreError> {
    let id = |name| Ok::<_, StoreError>(row.try_get::<Uuid, _>(name)?.into_bytes());
    let count = |name| Ok::<_, StoreError>(u32::try_from(row.try_get::<i32, _>(name)?).unwrap_or(0));
    let claimed = Timestamp::from_unix_ms(row.try_get::<Option<i64>, _>("claimed_ms")?.unwrap_or(0));
    let resend = row.try_get::<i16, _>("resend")? == settle::RESEND;
    Ok(Settle {
        tenant: TenantId::from_bytes(id("tenant_id")?),
        at: now,
        settlement: crate::work::Settlement {
            delivery: DeliveryId::from_bytes(id("id")?),
            event: EventId::from_bytes(id("event_id")?),
            webhook: WebhookId::from_bytes(id("webhook_id")?),
            kind: code(DeliveryKind::from_code(row.try_get::<i16, _>("kind")?.into()), "delivery kind")?,
            fence: row.try_get("fence")?,
            attempt: Arc::new(AttemptRow::unknown(count("attempts")?, claimed, resend)),
            state: DeliveryState::Failed,
            reason: Reason::Restored,
            due: None,
            step: count("step")?,
        },
    })
}

async fn end_scheduled(connection: &mut PgConnection, now: Timestamp) -> Result<u64, StoreError> {
    let mut after = (Uuid::nil(), Uuid::nil());
    let mut all = 0;
    loop {
        let ended = sqlx::query(END_SCHEDULED)
            .bind(after.0)
            .bind(after.1)
            .bind(ROWS_MAX as i64)
            .bind(small(DeliveryState::Failed.code()))
            .bind(small(Reason::Restored.code()))
            .bind(now.unix_ms())
            .bind(NO_NODES_WRITER)
            .fetch_all(&mut *connection)
            .await?;
        all += ended.len() as u64;
        match ended.last() {
            Some(last) if ended.len() == ROWS_MAX => {
                after = (last.try_get("tenant_id")?, last.try_get("id")?)
            }
            _ => return Ok(all),
        }
    }
}

/// Partition by partition, some pages at a time: what is written anew goes to the end of the table, behind all that is
/// still to be looked at.
async fn number_anew(connection: &mut PgConnection) -> Result<u64, StoreError> {
    let mut all = 0;
    for partition in sqlx::query(PARTITIONS).fetch_all(&mut *connection).await? {
        let (name, pages): (String, i64) = (partition.try_get("name")?, partition.try_get("pages")?);
        let mut from = 0;
        while from < pages {
            let until = from + PAGES;
            let sql = format!(
                "UPDATE {name} SET xid = '0' WHERE ctid >= '({from},0)' AND ctid < '({until},0)' AND xid <> '0'"
            );
            all += sqlx::query(AssertSqlSafe(sql)).execute(&mut *connection).await?.rows_affected();
            from = until;
        }
    }
    Ok(all)
}

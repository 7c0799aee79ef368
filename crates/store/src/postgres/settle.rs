//! `attempt_settle`: what attempts came to, and what becomes of their deliveries, a batch as one statement.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::LazyLock;

use postrider_domain::delivery::{AttemptClass, DeliveryKind};
use postrider_domain::id::{DeliveryId, TenantId};
use postrider_domain::time::Timestamp;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::{int, small, uuid};
use crate::work::Settlement;
use crate::{LATENCY_BUCKETS_MS, StoreError};

/// A result as it is handed in.
pub(super) struct Settle {
    pub(super) tenant: TenantId,
    pub(super) at: Timestamp,
    pub(super) settlement: Settlement,
}

impl Settle {
    fn key(&self) -> (TenantId, DeliveryId, i64) {
        (self.tenant, self.settlement.delivery, self.settlement.fence)
    }
}

/// The end of an attempt whose outcome was lost: the next one may be the receiver's second.
pub(super) const RESEND: i16 = 1;

/// Only for who holds the claim: a delivery that was taken from it meanwhile keeps what became of it, and its attempt has a
/// row that reads `unknown`. Index: the primary key of `delivery_open`, then the rows by their places.
///
/// `$29`: whose counters are added to. Answers the deliveries whose results were taken.
static SETTLE: LazyLock<String> = LazyLock::new(|| statement(true));
/// The same where every delivery of the batch has ended.
static SETTLE_ENDED: LazyLock<String> = LazyLock::new(|| statement(false));

fn statement(with_retries: bool) -> String {
    let mut sql = String::from(
        "WITH s AS MATERIALIZED (
    SELECT r.*, o.place
    FROM unnest($1::uuid[], $2::uuid[], $3::int8[], $4::int2[], $5::int2[], $6::int4[], $7::int8[], $8::int8[], $9::int2[],
      $10::int2[], $11::int4[], $12::int8[], $13::text[], $14::int8[], $15::int8[], $16::int8[], $17::int8[], $18::int8[],
      $19::int8[], $20::text[], $21::int2[], $22::int2[], $23::bytea[], $24::int8[], $25::bytea[], $26::bytea[], $27::int8[],
      $28::int2[], $30::int2[])
      AS r (tenant_id, id, fence, state, reason, step, due_ms, at_ms, class, status, number, started_ms, detail, dns_us,
        connect_us, tls_us, wait_us, body_us, total_us, peer, reused, resend, body_sha256, request_bytes, response_head,
        response_body, response_bytes, bucket, resend_next)
    CROSS JOIN LATERAL (
      SELECT d.ctid AS place FROM delivery_open d
      WHERE d.tenant_id = r.tenant_id AND d.id = r.id AND d.state = 1 AND d.fence = r.fence LIMIT 1) o),
  ended AS (
    DELETE FROM delivery_open d USING s
    WHERE d.ctid = s.place AND d.state = 1 AND d.fence = s.fence AND s.state >= 2
    RETURNING s.*, d.event_id, d.webhook_id, d.kind, d.attempts, d.created_ms),
  kept AS (
    INSERT INTO delivery_settled (tenant_id, id, event_id, webhook_id, kind, state, reason, last_class, attempts, step,
      fence, created_ms, settled_ms, last_status)
    SELECT tenant_id, id, event_id, webhook_id, kind, state, reason, class, attempts, step, fence, created_ms, at_ms, status
    FROM ended),
",
    );
    if with_retries {
        sql.push_str(
            "  again AS (
    UPDATE delivery_open d SET state = 0, reason = s.reason, step = s.step, due_ms = s.due_ms, claimed_ms = NULL,
      lease_ms = NULL, node_id = NULL, resend = s.resend_next, last_class = s.class, last_status = s.status
    FROM s WHERE d.ctid = s.place AND d.state = 1 AND d.fence = s.fence AND s.state = 0
    RETURNING s.*, d.event_id, d.webhook_id, d.kind, d.attempts, d.created_ms),
  taken AS (SELECT * FROM ended UNION ALL SELECT * FROM again),
",
        );
    } else {
        sql.push_str("  taken AS (SELECT * FROM ended),\n");
    }
    sql.push_str(
        "  tried AS (
    INSERT INTO attempt (tenant_id, delivery_id, number, class, status, started_ms, dns_us, connect_us, tls_us, wait_us,
      body_us, total_us, request_bytes, response_bytes, reused, resend, detail, peer, body_sha256, response_head,
      response_body)
    SELECT tenant_id, id, number, class, status, started_ms, dns_us, connect_us, tls_us, wait_us, body_us, total_us,
      request_bytes, response_bytes, reused, resend, detail, peer, body_sha256, response_head, response_body
    FROM taken),
  counted AS (
    INSERT INTO ledger_part (tenant_id, hour_ms, kind, writer, accepted, delivered, failed, cancelled)
    SELECT tenant_id, at_ms / 3600000 * 3600000, kind, $29, 0, COUNT(*) FILTER (WHERE state = 2),
      COUNT(*) FILTER (WHERE state = 3), COUNT(*) FILTER (WHERE state = 4)
    FROM ended GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (tenant_id, hour_ms, kind, writer) DO UPDATE SET delivered = ledger_part.delivered + excluded.delivered,
      failed = ledger_part.failed + excluded.failed, cancelled = ledger_part.cancelled + excluded.cancelled),
  measured AS (
    INSERT INTO webhook_part (tenant_id, webhook_id, hour_ms, writer, attempts, succeeded, last_fired_ms, ",
    );
    const COLUMNS: [&str; 8] =
        ["le_10ms", "le_30ms", "le_100ms", "le_300ms", "le_1s", "le_3s", "le_10s", "over_10s"];
    const { assert!(COLUMNS.len() == LATENCY_BUCKETS_MS.len() + 1) };
    sql.push_str(&COLUMNS.join(", "));
    sql.push_str(
        ")
    SELECT tenant_id, webhook_id, started_ms / 3600000 * 3600000, $29, COUNT(*), COUNT(*) FILTER (WHERE class = ",
    );
    // Writing to a String does not fail.
    let _ = write!(sql, "{}), MAX(started_ms)", AttemptClass::Success.code());
    for bucket in 0..COLUMNS.len() {
        let _ = write!(sql, ", COUNT(*) FILTER (WHERE bucket = {bucket})");
    }
    let _ = write!(
        sql,
        "
    FROM taken WHERE kind <> {} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (tenant_id, webhook_id, hour_ms, writer) DO UPDATE SET attempts = webhook_part.attempts + excluded.attempts,
      succeeded = webhook_part.succeeded + excluded.succeeded,
      last_fired_ms = GREATEST(webhook_part.last_fired_ms, excluded.last_fired_ms)",
        DeliveryKind::Test.code()
    );
    for column in COLUMNS {
        let _ = write!(sql, ", {column} = webhook_part.{column} + excluded.{column}");
    }
    sql.push_str(")\n  SELECT tenant_id, id, fence FROM taken");
    sql
}

/// Of an attempt whose outcome was lost there is no latency to count.
const NO_BUCKET: i16 = -1;

#[derive(Default)]
struct Columns<'s> {
    tenant: Vec<Uuid>,
    id: Vec<Uuid>,
    fence: Vec<i64>,
    state: Vec<i16>,
    reason: Vec<i16>,
    step: Vec<i32>,
    due: Vec<Option<i64>>,
    at: Vec<i64>,
    class: Vec<i16>,
    status: Vec<Option<i16>>,
    number: Vec<i32>,
    started: Vec<i64>,
    detail: Vec<Option<&'s str>>,
    timing: [Vec<i64>; 6],
    peer: Vec<Option<&'s str>>,
    reused: Vec<i16>,
    resend: Vec<i16>,
    sha256: Vec<Option<&'s [u8]>>,
    request_bytes: Vec<i64>,
    head: Vec<&'s [u8]>,
    body: Vec<&'s [u8]>,
    response_bytes: Vec<i64>,
    bucket: Vec<i16>,
    resend_next: Vec<i16>,
}

impl<'s> Columns<'s> {
    fn add(&mut self, settle: &'s Settle, resend_next: i16) {
        let settlement = &settle.settlement;
        let attempt = &settlement.attempt;
        let timing = &attempt.timing;
        self.tenant.push(uuid(settle.tenant.as_bytes()));
        self.id.push(uuid(settlement.delivery.as_bytes()));
        self.fence.push(settlement.fence);
        self.state.push(small(settlement.state.code()));
        self.reason.push(small(settlement.reason.code()));
        self.step.push(i32::try_from(settlement.step).unwrap_or(i32::MAX));
        self.due.push(settlement.due.map(Timestamp::unix_ms));
        self.at.push(settle.at.unix_ms());
        self.class.push(small(attempt.class.code()));
        self.status.push(attempt.status.map(|status| small(status.into())));
        self.number.push(i32::try_from(attempt.number).unwrap_or(i32::MAX));
        self.started.push(attempt.started.unix_ms());
        self.detail.push(attempt.detail.as_deref());
        let times = [
            timing.dns_us,
            timing.connect_us,
            timing.tls_us,
            timing.wait_us,
            timing.body_us,
            timing.total_us,
        ];
        for (column, time) in self.timing.iter_mut().zip(times) {
            column.push(int(time));
        }
        self.peer.push(attempt.peer.as_deref());
        self.reused.push(attempt.reused.into());
        self.resend.push(attempt.resend.into());
        self.sha256.push(attempt.body_sha256.as_ref().map(|hash| &hash[..]));
        self.request_bytes.push(int(attempt.request_bytes));
        self.head.push(&attempt.response_head);
        self.body.push(&attempt.response_body);
        self.response_bytes.push(int(attempt.response_bytes));
        self.bucket.push(match attempt.class {
            AttemptClass::Unknown => NO_BUCKET,
            _ => bucket(timing.total_us),
        });
        self.resend_next.push(resend_next);
    }
}

fn bucket(took_us: u64) -> i16 {
    let bucket = LATENCY_BUCKETS_MS.iter().position(|bound_ms| took_us <= bound_ms * 1000);
    i16::try_from(bucket.unwrap_or(LATENCY_BUCKETS_MS.len())).unwrap_or(NO_BUCKET)
}

/// All of `settles` in one statement. For each, whether it was taken.
pub(super) async fn write(
    connection: &mut PgConnection,
    settles: &[Settle],
    writer: i32,
) -> Result<Vec<bool>, StoreError> {
    write_with(connection, settles, writer, 0).await
}

/// `resend_next`: how those are marked that are sent again.
pub(super) async fn write_with(
    connection: &mut PgConnection,
    settles: &[Settle],
    writer: i32,
    resend_next: i16,
) -> Result<Vec<bool>, StoreError> {
    let mut columns = Columns::default();
    // In the order of keys. Two results under one claim cannot be: the later of them would be taken as well.
    let mut order: Vec<&Settle> = settles.iter().collect();
    order.sort_unstable_by_key(|settle| settle.key());
    order.dedup_by_key(|settle| settle.key());
    for settle in order {
        columns.add(settle, resend_next);
    }
    let retries = settles.iter().any(|settle| !settle.settlement.state.is_final());
    let sql: &'static str = if retries { SETTLE.as_str() } else { SETTLE_ENDED.as_str() };
    let [dns, connect, tls, wait, body_us, total] = columns.timing;
    let rows = sqlx::query(sql)
        .bind(columns.tenant)
        .bind(columns.id)
        .bind(columns.fence)
        .bind(columns.state)
        .bind(columns.reason)
        .bind(columns.step)
        .bind(columns.due)
        .bind(columns.at)
        .bind(columns.class)
        .bind(columns.status)
        .bind(columns.number)
        .bind(columns.started)
        .bind(columns.detail)
        .bind(dns)
        .bind(connect)
        .bind(tls)
        .bind(wait)
        .bind(body_us)
        .bind(total)
        .bind(columns.peer)
        .bind(columns.reused)
        .bind(columns.resend)
        .bind(columns.sha256)
        .bind(columns.request_bytes)
        .bind(columns.head)
        .bind(columns.body)
        .bind(columns.response_bytes)
        .bind(columns.bucket)
        .bind(writer)
        .bind(columns.resend_next)
        .fetch_all(connection)
        .await?;
    let mut taken = HashSet::with_capacity(rows.len());
    for row in &rows {
        let (tenant, id): (Uuid, Uuid) = (row.try_get("tenant_id")?, row.try_get("id")?);
        let (tenant, id) =
            (TenantId::from_bytes(tenant.into_bytes()), DeliveryId::from_bytes(id.into_bytes()));
        taken.insert((tenant, id, row.try_get::<i64, _>("fence")?));
    }
    let mut was_taken = |settle: &Settle| {
        let taken = taken.remove(&settle.key());
        if !taken {
            let settlement = &settle.settlement;
            tracing::warn!(delivery = %settlement.delivery, attempt = settlement.attempt.number, "settle.fenced");
        }
        taken
    };
    Ok(settles.iter().map(&mut was_taken).collect())
}

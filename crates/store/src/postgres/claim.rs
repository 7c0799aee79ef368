//! `delivery_claim` and its undoing: who may send what. Nodes that ask at the same time get different rows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use postrider_domain::delivery::{DeliveryKind, DeliveryState, Reason};
use postrider_domain::event::EventKind;
use postrider_domain::id::{DeliveryId, EventId, TenantId};
use postrider_domain::time::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::connect::{HotConnection, answered};
use super::{Postgres, code, in_time, uuid};
use crate::StoreError;
use crate::work::{ClaimAnswer, Claimed, StoredEvent, Want};

/// Index: `delivery_due`, which is in the order of due times; the rows by their places.
const CLAIM: &str = "WITH due AS MATERIALIZED (
    SELECT w.place, d.row, d.due_ms
    FROM unnest($1::uuid[], $2::uuid[], $3::int8[]) WITH ORDINALITY AS w (tenant_id, webhook_id, count, place)
    CROSS JOIN LATERAL (
      SELECT o.ctid AS row, o.due_ms FROM delivery_open o
      WHERE o.tenant_id = w.tenant_id AND o.webhook_id = w.webhook_id AND o.state = 0 AND o.due_ms <= $4
      ORDER BY o.due_ms LIMIT w.count FOR UPDATE SKIP LOCKED) d)
  UPDATE delivery_open d SET state = 1, attempts = d.attempts + 1, fence = d.fence + 1, due_ms = NULL, claimed_ms = $4,
    lease_ms = $5, node_id = $6
  FROM due WHERE d.ctid = due.row AND d.state = 0
  RETURNING due.place, due.due_ms, d.tenant_id, d.id, d.event_id, d.kind, d.fence, d.attempts, d.step, d.resend,
    d.created_ms";
/// Index: `delivery_due`, its first row.
const NEXT_DUE: &str = "SELECT w.place, (SELECT o.due_ms FROM delivery_open o
    WHERE o.tenant_id = w.tenant_id AND o.webhook_id = w.webhook_id AND o.state = 0 ORDER BY o.due_ms LIMIT 1) AS due_ms
  FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS w (tenant_id, webhook_id, place)";
/// Index: the primary key, of the partitions of the events' days.
const EVENTS: &str = "SELECT e.* FROM unnest($1::uuid[], $2::uuid[]) AS k (tenant_id, id)
  CROSS JOIN LATERAL (
    SELECT e.tenant_id, e.id, e.external_id, e.kind, e.type, e.time_ms, e.accepted_ms, e.tenant_version, e.depth, e.data
    FROM event e WHERE e.tenant_id = k.tenant_id AND e.id = k.id LIMIT 1) e";
/// Index: the primary key.
const HAND_BACK: &str =
    "UPDATE delivery_open SET state = 0, attempts = attempts - 1, due_ms = COALESCE($4, claimed_ms),
    claimed_ms = NULL, lease_ms = NULL, node_id = NULL
  WHERE tenant_id = $1 AND id = $2 AND state = 1 AND fence = $3";

/// This node's claims of a moment, but those that were made with their deliveries, which others hold: after a call that
/// failed, and nobody knows how. Index: `delivery_sending`.
const GIVE_BACK: &str =
    "UPDATE delivery_open SET state = 0, attempts = attempts - 1, due_ms = claimed_ms, claimed_ms = NULL,
    lease_ms = NULL, node_id = NULL
  WHERE state = 1 AND node_id = $1 AND claimed_ms = ANY($2) AND created_ms <> claimed_ms";

/// The connection over which due deliveries are claimed, and the moments of calls whose answers were lost.
pub(super) struct ClaimLine {
    pub(super) hot: HotConnection,
    doubtful: Vec<i64>,
    /// Of the last call that was answered: what it claimed is held, also when a failed call was made in the same millisecond.
    answered_at: i64,
}

impl ClaimLine {
    pub(super) fn new(hot: HotConnection) -> Self {
        Self { hot, doubtful: Vec::new(), answered_at: i64::MIN }
    }
}

/// When a claim found less than was asked for and yet something is due, another node is claiming it at this moment, or a
/// transaction holds it: it is asked for again after this time.
const ANOTHERS: Duration = Duration::from_millis(50);

struct Row {
    place: usize,
    due_ms: i64,
    tenant: TenantId,
    event: EventId,
    claimed: Unfilled,
}

/// A [`Claimed`] before its event is known.
struct Unfilled {
    delivery: DeliveryId,
    kind: DeliveryKind,
    fence: i64,
    attempt: u32,
    step: u32,
    resend: bool,
    created: Timestamp,
}

impl Postgres {
    pub(crate) async fn delivery_claim(
        &self,
        now: Timestamp,
        until: Timestamp,
        wants: Vec<Want>,
    ) -> Result<Vec<ClaimAnswer>, StoreError> {
        let mut claims = self.claims.lock().await;
        let mut connection = claims.hot.connected().await?;
        if !claims.doubtful.is_empty() {
            let moments = std::mem::take(&mut claims.doubtful);
            // Tried once: what is not given back is found when its lease has run out.
            if let Err(error) = answered(self.give_back(&mut connection, &moments)).await {
                tracing::warn!(%error, "claim.not_given_back");
                connection = claims.hot.connected().await?;
            }
        }
        let answers = answered(self.claim_on(&mut connection, now, until, &wants)).await;
        if answers.is_ok() {
            claims.answered_at = now.unix_ms();
        } else if claims.answered_at != now.unix_ms() {
            claims.doubtful.push(now.unix_ms());
        }
        claims.hot.used(connection, answers.as_ref().err());
        answers
    }

    /// Makes due again what calls at these moments claimed, if they did: nobody heard of it.
    async fn give_back(&self, connection: &mut PgConnection, moments: &[i64]) -> Result<(), StoreError> {
        sqlx::query(GIVE_BACK).bind(self.node.id).bind(moments).execute(connection).await?;
        Ok(())
    }

    async fn claim_on(
        &self,
        connection: &mut PgConnection,
        now: Timestamp,
        until: Timestamp,
        wants: &[Want],
    ) -> Result<Vec<ClaimAnswer>, StoreError> {
        let tenants: Vec<Uuid> = wants.iter().map(|want| uuid(want.tenant.as_bytes())).collect();
        let webhooks: Vec<Uuid> = wants.iter().map(|want| uuid(want.webhook.as_bytes())).collect();
        let counts: Vec<i64> = wants.iter().map(|want| want.count.into()).collect();
        let mut answers: Vec<ClaimAnswer> = wants
            .iter()
            .map(|want| ClaimAnswer {
                tenant: want.tenant,
                webhook: want.webhook,
                claimed: Vec::new(),
                next_due: None,
            })
            .collect();
        let mut rows = Vec::new();
        if counts.iter().any(|count| *count > 0) {
            let claimed = sqlx::query(CLAIM)
                .bind(&tenants)
                .bind(&webhooks)
                .bind(counts)
                .bind(now.unix_ms())
                .bind(until.unix_ms())
                .bind(self.node.id)
                .fetch_all(&mut *connection)
                .await?;
            rows = claimed.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        }
        rows.sort_unstable_by_key(|row| (row.place, row.due_ms, row.claimed.delivery));
        let events = events(connection, &rows).await?;
        for row in rows {
            let Some(answer) = answers.get_mut(row.place) else { continue };
            let Some(event) = events.get(&(row.tenant, row.event)).cloned() else {
                self.give_up(now, &row, answer.webhook).await?;
                continue;
            };
            let Unfilled { delivery, kind, fence, attempt, step, resend, created } = row.claimed;
            answer.claimed.push(Claimed {
                tenant: row.tenant,
                delivery,
                webhook: answer.webhook,
                kind,
                fence,
                attempt,
                step,
                resend,
                created,
                event,
            });
        }
        for row in sqlx::query(NEXT_DUE).bind(tenants).bind(webhooks).fetch_all(&mut *connection).await? {
            let place = place(&row)?;
            let (Some(answer), Some(want)) = (answers.get_mut(place), wants.get(place)) else { continue };
            let next = row.try_get::<Option<i64>, _>("due_ms")?.map(Timestamp::from_unix_ms);
            answer.next_due = match next {
                Some(due) if due <= now && answer.claimed.len() < want.count as usize => {
                    Some(now.plus(ANOTHERS))
                }
                next => next,
            };
        }
        Ok(answers)
    }

    pub(crate) async fn delivery_hand_back(
        &self,
        due: Option<Timestamp>,
        tenant: TenantId,
        delivery: DeliveryId,
        fence: i64,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(HAND_BACK)
            .bind(uuid(tenant.as_bytes()))
            .bind(uuid(delivery.as_bytes()))
            .bind(fence)
            .bind(due.map(Timestamp::unix_ms))
            .execute(&self.pool);
        Ok(in_time(done).await?.rows_affected() == 1)
    }

    /// Retention keeps an event until its deliveries are final, so this is damage. The delivery ends: one that can never be
    /// sent must not come up for ever.
    async fn give_up(
        &self,
        now: Timestamp,
        row: &Row,
        webhook: postrider_domain::id::WebhookId,
    ) -> Result<(), StoreError> {
        let (event, delivery) = (row.event, row.claimed.delivery);
        tracing::error!(%event, %delivery, "claim.event_missing");
        self.delivery_hand_back(Some(now), row.tenant, delivery, row.claimed.fence).await?;
        self.end_one(now, row.tenant, webhook, delivery, DeliveryState::Failed, Reason::NotRenderable).await
    }
}

/// The payload of each event once, whoever gets it.
async fn events(
    connection: &mut PgConnection,
    rows: &[Row],
) -> Result<HashMap<(TenantId, EventId), Arc<StoredEvent>>, StoreError> {
    let mut keys: Vec<_> = rows.iter().map(|row| (row.tenant, row.event)).collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let tenants: Vec<Uuid> = keys.iter().map(|(tenant, _)| uuid(tenant.as_bytes())).collect();
    let ids: Vec<Uuid> = keys.iter().map(|(_, event)| uuid(event.as_bytes())).collect();
    let found = sqlx::query(EVENTS).bind(tenants).bind(ids).fetch_all(connection).await?;
    found
        .iter()
        .map(|row| {
            let event = read_event(row)?;
            let tenant: Uuid = row.try_get("tenant_id")?;
            Ok(((TenantId::from_bytes(tenant.into_bytes()), event.id), Arc::new(event)))
        })
        .collect()
}

fn place(row: &PgRow) -> Result<usize, StoreError> {
    let place: i64 = row.try_get("place")?;
    usize::try_from(place - 1).map_err(|_| StoreError::Corrupt("a place below one".into()))
}

fn read(row: &PgRow) -> Result<Row, StoreError> {
    let id = |name| Ok::<_, StoreError>(row.try_get::<Uuid, _>(name)?.into_bytes());
    let count = |name| Ok::<_, StoreError>(u32::try_from(row.try_get::<i32, _>(name)?).unwrap_or(0));
    Ok(Row {
        place: place(row)?,
        due_ms: row.try_get("due_ms")?,
        tenant: TenantId::from_bytes(id("tenant_id")?),
        event: EventId::from_bytes(id("event_id")?),
        claimed: Unfilled {
            delivery: DeliveryId::from_bytes(id("id")?),
            kind: code(DeliveryKind::from_code(row.try_get::<i16, _>("kind")?.into()), "delivery kind")?,
            fence: row.try_get("fence")?,
            attempt: count("attempts")?,
            step: count("step")?,
            resend: row.try_get::<i16, _>("resend")? == 1,
            created: Timestamp::from_unix_ms(row.try_get("created_ms")?),
        },
    })
}

fn read_event(row: &PgRow) -> Result<StoredEvent, StoreError> {
    Ok(StoredEvent {
        id: EventId::from_bytes(row.try_get::<Uuid, _>("id")?.into_bytes()),
        external_id: row.try_get("external_id")?,
        kind: code(EventKind::from_code(row.try_get::<i16, _>("kind")?.into()), "event kind")?,
        event_type: row.try_get::<&str, _>("type")?.into(),
        time: Timestamp::from_unix_ms(row.try_get("time_ms")?),
        accepted: Timestamp::from_unix_ms(row.try_get("accepted_ms")?),
        tenant_version: row.try_get("tenant_version")?,
        depth: u8::try_from(row.try_get::<i16, _>("depth")?).unwrap_or(u8::MAX),
        data: Bytes::from(row.try_get::<Vec<u8>, _>("data")?),
    })
}

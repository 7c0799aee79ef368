//! `delivery_claim` and its undoing: who may send what.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use bytes::Bytes;
use postrider_domain::delivery::{DeliveryKind, DeliveryState, Reason};
use postrider_domain::event::EventKind;
use postrider_domain::id::{DeliveryId, EventId, TenantId};
use postrider_domain::time::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::Sqlite;
use super::writer::Batch;
use super::{code, id, missing_event, ms};
use crate::StoreError;
use crate::work::{ClaimAnswer, Claimed, StoredEvent, Want};

/// Index: `delivery_due`, which is in the order of due times; the rows by primary key.
const DUE: &str = "SELECT id, event_id, kind, fence, attempts, step, resend, created_ms FROM delivery
  WHERE tenant_id = ?1 AND webhook_id = ?2 AND state = 0 AND due_ms <= ?3 ORDER BY due_ms LIMIT ?4";
/// Index: the primary key.
const CLAIM: &str =
    "UPDATE delivery SET state = 1, attempts = attempts + 1, fence = fence + 1, due_ms = NULL,
    claimed_ms = ?3, lease_ms = ?4 WHERE tenant_id = ?1 AND id = ?2";
/// Index: `delivery_due`.
const NEXT_DUE: &str =
    "SELECT MIN(due_ms) FROM delivery WHERE tenant_id = ?1 AND webhook_id = ?2 AND state = 0";
/// Index: `event_id`.
const EVENT: &str =
    "SELECT id, external_id, kind, type, time_ms, accepted_ms, tenant_version, depth, data FROM event
  WHERE tenant_id = ?1 AND id = ?2";
/// Index: the primary key.
const HAND_BACK: &str =
    "UPDATE delivery SET state = 0, attempts = attempts - 1, due_ms = COALESCE(?4, claimed_ms),
    claimed_ms = NULL, lease_ms = NULL WHERE tenant_id = ?1 AND id = ?2 AND state = 1 AND fence = ?3";

struct Claim {
    now: Timestamp,
    until: Timestamp,
    wants: Vec<Want>,
}

struct HandBack {
    due: Option<Timestamp>,
    tenant: TenantId,
    delivery: DeliveryId,
    fence: i64,
}

impl Sqlite {
    pub(crate) async fn delivery_claim(
        &self,
        now: Timestamp,
        until: Timestamp,
        wants: Vec<Want>,
    ) -> Result<Vec<ClaimAnswer>, StoreError> {
        let rows = wants.iter().map(|want| want.count as usize).sum();
        self.writer.call(rows, Claim { now, until, wants }, claim).await
    }

    pub(crate) async fn delivery_hand_back(
        &self,
        due: Option<Timestamp>,
        tenant: TenantId,
        delivery: DeliveryId,
        fence: i64,
    ) -> Result<bool, StoreError> {
        self.writer.call(1, HandBack { due, tenant, delivery, fence }, hand_back).await
    }
}

fn claim(batch: &mut Batch<'_>, claim: &mut Claim) -> Result<Vec<ClaimAnswer>, StoreError> {
    let mut events = HashMap::new();
    let mut answers = Vec::with_capacity(claim.wants.len());
    for want in &claim.wants {
        answers.push(claim_one(batch, claim, *want, &mut events)?);
    }
    Ok(answers)
}

fn claim_one(
    batch: &mut Batch<'_>,
    claim: &Claim,
    want: Want,
    events: &mut HashMap<(TenantId, EventId), Arc<StoredEvent>>,
) -> Result<ClaimAnswer, StoreError> {
    let tenant = want.tenant;
    let due = {
        let statement = batch.statement(DUE)?;
        let mut rows = statement.query(params![
            tenant.as_bytes(),
            want.webhook.as_bytes(),
            claim.now.unix_ms(),
            want.count
        ])?;
        let mut due = Vec::new();
        while let Some(row) = rows.next()? {
            let event: EventId = id(row, 1, EventId::from_bytes)?;
            due.push((
                event,
                Unclaimed {
                    delivery: id(row, 0, DeliveryId::from_bytes)?,
                    kind: code(DeliveryKind::from_code(row.get(2)?), "delivery kind")?,
                    fence: row.get(3)?,
                    attempts: row.get(4)?,
                    step: row.get(5)?,
                    resend: row.get(6)?,
                    created: ms(row, 7)?,
                },
            ));
        }
        due
    };
    let mut claimed = Vec::with_capacity(due.len());
    for (event_id, row) in due {
        let event = match events.entry((tenant, event_id)) {
            Entry::Occupied(entry) => entry.get().clone(),
            Entry::Vacant(entry) => match read_event(batch, tenant, event_id)? {
                Some(event) => entry.insert(Arc::new(event)).clone(),
                None => {
                    give_up(batch, tenant, event_id, claim.now, &row)?;
                    continue;
                }
            },
        };
        batch.execute(
            CLAIM,
            params![tenant.as_bytes(), row.delivery.as_bytes(), claim.now.unix_ms(), claim.until.unix_ms()],
        )?;
        batch.claims.made(row.delivery);
        claimed.push(Claimed {
            tenant,
            delivery: row.delivery,
            webhook: want.webhook,
            kind: row.kind,
            fence: row.fence + 1,
            attempt: row.attempts + 1,
            step: row.step,
            resend: row.resend,
            created: row.created,
            event,
        });
    }
    let next_due: Option<i64> = batch
        .connection
        .prepare_cached(NEXT_DUE)?
        .query_row(params![tenant.as_bytes(), want.webhook.as_bytes()], |row| row.get(0))?;
    Ok(ClaimAnswer {
        tenant,
        webhook: want.webhook,
        claimed,
        next_due: next_due.map(Timestamp::from_unix_ms),
    })
}

struct Unclaimed {
    delivery: DeliveryId,
    kind: DeliveryKind,
    fence: i64,
    attempts: u32,
    step: u32,
    resend: bool,
    created: Timestamp,
}

fn read_event(
    batch: &mut Batch<'_>,
    tenant: TenantId,
    event: EventId,
) -> Result<Option<StoredEvent>, StoreError> {
    let statement = batch.statement(EVENT)?;
    let found = statement
        .query_row(params![tenant.as_bytes(), event.as_bytes()], |row| {
            let kind: i64 = row.get(2)?;
            Ok((
                kind,
                StoredEvent {
                    id: id(row, 0, EventId::from_bytes)?,
                    external_id: row.get(1)?,
                    kind: EventKind::Normal,
                    event_type: row.get(3)?,
                    time: ms(row, 4)?,
                    accepted: ms(row, 5)?,
                    tenant_version: row.get(6)?,
                    depth: row.get(7)?,
                    data: Bytes::from(row.get::<_, Vec<u8>>(8)?),
                },
            ))
        })
        .optional()?;
    match found {
        None => Ok(None),
        Some((kind, event)) => {
            Ok(Some(StoredEvent { kind: code(EventKind::from_code(kind), "event kind")?, ..event }))
        }
    }
}

/// Retention keeps an event until its deliveries are final, so this is damage. The delivery ends: one that can never be
/// claimed must not hold up the others behind it.
fn give_up(
    batch: &mut Batch<'_>,
    tenant: TenantId,
    event: EventId,
    now: Timestamp,
    row: &Unclaimed,
) -> Result<(), StoreError> {
    tracing::error!(error = %missing_event(tenant, event), delivery = %row.delivery, "claim.failed");
    super::cancel::end(
        batch,
        tenant,
        row.delivery,
        row.kind,
        now,
        DeliveryState::Failed,
        Reason::NotRenderable,
    )
}

fn hand_back(batch: &mut Batch<'_>, back: &mut HandBack) -> Result<bool, StoreError> {
    let changed = batch.execute(
        HAND_BACK,
        params![
            back.tenant.as_bytes(),
            back.delivery.as_bytes(),
            back.fence,
            back.due.map(Timestamp::unix_ms),
        ],
    )?;
    if changed == 1 {
        batch.claims.ended(back.delivery);
    }
    Ok(changed == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    #[test]
    fn statements_use_the_indexes_they_name() {
        for (sql, plan) in [
            (DUE, &["delivery_due (tenant_id=? AND webhook_id=? AND due_ms<?)"][..]),
            (CLAIM, &["PRIMARY KEY (id=? AND tenant_id=?)"][..]),
            (NEXT_DUE, &["delivery_due (tenant_id=? AND webhook_id=?)"][..]),
            (EVENT, &["event_id (tenant_id=? AND id=?)"][..]),
            (HAND_BACK, &["PRIMARY KEY (id=? AND tenant_id=?)"][..]),
        ] {
            plans::check(sql, plan);
        }
    }
}

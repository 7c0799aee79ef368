//! `event_accept`: a [`Commit`] becomes rows.

use postrider_domain::delivery::DeliveryState;
use postrider_domain::event::EventKind;
use postrider_domain::id::{EventId, TenantId};
use postrider_domain::limits;
use postrider_domain::time::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::Sqlite;
use super::writer::{Admission, Batch};
use super::{id, int, record, settle};
use crate::StoreError;
use crate::resends;
use crate::runs::{now_ready, write as runs};
use crate::work::{Commit, CommitOutcome, EventOutcome, JobMark, NewDelivery, NewEvent, NewIdempotency};
use tokio::sync::oneshot;

/// Index: the primary key.
const IDEMPOTENCY_READ: &str =
    "SELECT fingerprint, answer FROM idempotency WHERE scope = ?1 AND key = ?2 AND created_ms > ?3";
const IDEMPOTENCY_WRITE: &str = "INSERT INTO idempotency (scope, key, fingerprint, answer, created_ms)
  VALUES (?1, ?2, ?3, ?4, ?5)
  ON CONFLICT (scope, key) DO UPDATE SET fingerprint = excluded.fingerprint, answer = excluded.answer,
    created_ms = excluded.created_ms";
const EVENT_WRITE: &str = "INSERT INTO event
  (tenant_id, id, external_id, kind, type, time_ms, accepted_ms, tenant_version, depth, data)
  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (tenant_id, external_id)
  WHERE external_id IS NOT NULL DO NOTHING";
/// Index: `event_external`.
const EVENT_READ: &str =
    "SELECT id, kind, type, time_ms, data FROM event WHERE tenant_id = ?1 AND external_id = ?2";
/// Index: `event_id`.
const EVENT_EXISTS: &str = "SELECT 1 FROM event WHERE tenant_id = ?1 AND id = ?2";
const DELIVERY_WRITE: &str =
    "INSERT INTO delivery (tenant_id, id, event_id, webhook_id, kind, state, reason, attempts,
    step, fence, resend, created_ms, due_ms, claimed_ms, lease_ms)
  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9, 0, ?10, ?11, ?12, ?13)";
/// Index: the primary key.
const JOB_WRITE: &str = "UPDATE job SET position = ?3, done = done + ?4, updated_ms = ?5
  WHERE tenant_id = ?1 AND id = ?2 AND state = 0 AND position IS ?6";

impl Sqlite {
    pub(crate) fn commit_enqueue(
        &self,
        commit: Commit,
    ) -> Result<oneshot::Receiver<Result<CommitOutcome, StoreError>>, StoreError> {
        let admission = if commit.settled.is_empty() { Admission::New } else { Admission::Result };
        self.writer.enqueue(admission, commit.rows(), commit, write)
    }
}

fn write(batch: &mut Batch<'_>, commit: &mut Commit) -> Result<CommitOutcome, StoreError> {
    if let Some(idempotency) = &commit.idempotency
        && let Some(earlier) = earlier_answer(batch, idempotency, commit.at)?
    {
        return Ok(earlier);
    }
    let mut settled = Vec::with_capacity(commit.settled.len());
    for settlement in &commit.settled {
        settled.push(settle::write(batch, commit.tenant, commit.at, settlement)?);
    }
    if !settled.is_empty() && !settled.contains(&true) {
        // What follows from a result goes only with it.
        let (events, replays, intakes) = Default::default();
        return Ok(CommitOutcome::Done { events, replays, settled, intakes });
    }
    let mut events = Vec::new();
    for (tenant, event) in commit.all_events() {
        events.push(write_event(batch, tenant, commit.at, event)?);
    }
    let mut replays = Vec::with_capacity(commit.replays.len());
    for replay in &commit.replays {
        let stored = event_exists(batch, commit.tenant, replay.event)?;
        if stored {
            write_delivery(batch, commit.tenant, commit.at, replay)?;
        }
        replays.push(stored);
    }
    now_ready(resends::write(batch, commit.tenant, commit.resends_made(&replays)))?;
    for record in &commit.records {
        record::write(batch, commit.at, record)?;
    }
    for run in &commit.runs {
        now_ready(runs::advance(batch, commit.at, run, &events))?;
    }
    let intakes = now_ready(runs::intakes(batch, commit.at, &commit.intakes, &events))?;
    if let Some(mark) = &commit.job {
        write_job(batch, commit, mark)?;
    }
    if let Some(idempotency) = &commit.idempotency {
        let answer = (idempotency.answer)(&events);
        batch.execute(
            IDEMPOTENCY_WRITE,
            params![idempotency.scope, idempotency.key, idempotency.fingerprint, answer, commit.at.unix_ms()],
        )?;
    }
    Ok(CommitOutcome::Done { events, replays, settled, intakes })
}

fn earlier_answer(
    batch: &mut Batch<'_>,
    idempotency: &NewIdempotency,
    at: Timestamp,
) -> Result<Option<CommitOutcome>, StoreError> {
    let kept_since = at.minus(limits::IDEMPOTENCY_KEPT).unix_ms();
    let earlier: Option<([u8; 32], Vec<u8>)> = batch
        .statement(IDEMPOTENCY_READ)?
        .query_row(params![idempotency.scope, idempotency.key, kept_since], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    Ok(earlier.map(|(fingerprint, answer)| {
        if fingerprint == idempotency.fingerprint {
            CommitOutcome::Replayed(answer)
        } else {
            CommitOutcome::KeyReused
        }
    }))
}

fn write_event(
    batch: &mut Batch<'_>,
    tenant: TenantId,
    at: Timestamp,
    event: &NewEvent,
) -> Result<EventOutcome, StoreError> {
    event.check_ids()?;
    let inserted = batch.execute(
        EVENT_WRITE,
        params![
            tenant.as_bytes(),
            event.id.as_bytes(),
            event.external_id,
            event.kind.code(),
            &*event.event_type,
            event.time.unix_ms(),
            at.unix_ms(),
            event.tenant_version,
            event.depth,
            &event.data[..],
        ],
    )?;
    if inserted == 0 {
        return compare(batch, tenant, event);
    }
    for delivery in &event.deliveries {
        write_delivery(batch, tenant, at, delivery)?;
    }
    Ok(EventOutcome::New(event.id))
}

/// The event's own id is taken. Is it the same event?
fn compare(batch: &mut Batch<'_>, tenant: TenantId, event: &NewEvent) -> Result<EventOutcome, StoreError> {
    let statement = batch.statement(EVENT_READ)?;
    let outcome = statement.query_row(params![tenant.as_bytes(), event.external_id], |row| {
        let same_kind = EventKind::from_code(row.get(1)?) == Some(event.kind);
        let same_type = row.get_ref(2)?.as_bytes()? == event.event_type.as_bytes();
        let same_time = !event.time_given || row.get::<_, i64>(3)? == event.time.unix_ms();
        let same_data = row.get_ref(4)?.as_blob()? == &event.data[..];
        Ok(if same_kind && same_type && same_time && same_data {
            EventOutcome::Same(id(row, 0, EventId::from_bytes)?)
        } else {
            EventOutcome::Different
        })
    })?;
    Ok(outcome)
}

fn event_exists(batch: &mut Batch<'_>, tenant: TenantId, event: EventId) -> Result<bool, StoreError> {
    Ok(batch.statement(EVENT_EXISTS)?.exists(params![tenant.as_bytes(), event.as_bytes()])?)
}

fn write_delivery(
    batch: &mut Batch<'_>,
    tenant: TenantId,
    at: Timestamp,
    delivery: &NewDelivery,
) -> Result<(), StoreError> {
    let state = if delivery.claim.is_some() { DeliveryState::Sending } else { DeliveryState::Scheduled };
    batch.execute(
        DELIVERY_WRITE,
        params![
            tenant.as_bytes(),
            delivery.id.as_bytes(),
            delivery.event.as_bytes(),
            delivery.webhook.as_bytes(),
            delivery.kind.code(),
            state.code(),
            delivery.reason.code(),
            i64::from(delivery.claim.is_some()),
            delivery.claim.map_or(0, |claim| claim.fence),
            at.unix_ms(),
            delivery.claim.is_none().then(|| delivery.due.unix_ms()),
            delivery.claim.map(|_| at.unix_ms()),
            delivery.claim.map(|claim| claim.until.unix_ms()),
        ],
    )?;
    batch.counters.accepted(tenant, at, delivery.kind);
    if delivery.claim.is_some() {
        batch.claims.made(delivery.id);
    }
    Ok(())
}

fn write_job(batch: &mut Batch<'_>, commit: &Commit, mark: &JobMark) -> Result<(), StoreError> {
    let moved = batch.execute(
        JOB_WRITE,
        params![
            commit.tenant.as_bytes(),
            mark.job.as_bytes(),
            mark.position,
            int(mark.done),
            commit.at.unix_ms(),
            mark.after,
        ],
    )?;
    if moved == 0 { Err(StoreError::Moved("the job has come further")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    #[test]
    fn statements_use_the_indexes_they_name() {
        for (sql, plan) in [
            (IDEMPOTENCY_READ, &["idempotency_1 (scope=? AND key=?)"][..]),
            (EVENT_READ, &["event_external (tenant_id=? AND external_id=?)"][..]),
            (EVENT_EXISTS, &["event_id (tenant_id=? AND id=?)"][..]),
            (JOB_WRITE, &["job_1 (tenant_id=? AND id=?)"][..]),
        ] {
            plans::check(sql, plan);
        }
    }
}

//! Intakes and runs of a commit become rows.

use postrider_domain::id::{EventId, RequestId, RunId, TenantId, WorkflowId};
use postrider_domain::run::{RequestCause, RunState};
use postrider_domain::time::Timestamp;

use super::exec::Exec;
use super::{
    Conflict, Dedup, Hold, Intake, IntakeOutcome, NewRequest, NewRun, RunTo, RunWrite, Slot, StepRow,
};
use crate::StoreError;
use crate::db::Value;
use crate::work::{AttemptRow, EventOutcome};

/// Parts of `run_data`.
pub(crate) const INPUT: i64 = 0;
pub(crate) const OUTPUT: i64 = 1;

/// Index: the primary key.
const TICK_WRITE: &str = "INSERT INTO trigger_clock (tenant_id, trigger_id, tick_ms) VALUES ($1, $2, $3)
  ON CONFLICT (tenant_id, trigger_id) DO UPDATE SET tick_ms = excluded.tick_ms WHERE trigger_clock.tick_ms < excluded.tick_ms";
/// Index: the primary key. One that is forgotten is taken over.
const DEDUP_WRITE: &str = "INSERT INTO trigger_dedup (tenant_id, trigger_id, key, run_id, created_ms) VALUES ($1, $2, $3, $4, $5)
  ON CONFLICT (tenant_id, trigger_id, key) DO UPDATE SET run_id = excluded.run_id, created_ms = excluded.created_ms
    WHERE trigger_dedup.created_ms <= $6";
/// Index: the primary key.
const DEDUP_READ: &str =
    "SELECT run_id FROM trigger_dedup WHERE tenant_id = $1 AND trigger_id = $2 AND key = $3";
/// Index: `run_slot`.
const ACTIVE: &str =
    "SELECT COUNT(*) FROM run WHERE tenant_id = $1 AND workflow_id = $2 AND slot = $3 AND slot IS NOT NULL
  AND state < 3 AND (state > 0 OR due_ms IS NOT NULL)";
/// Index: `run_slot`.
const ALL_OF_SLOT: &str = "SELECT id, parent_id FROM run WHERE tenant_id = $1 AND workflow_id = $2 AND slot = $3 AND slot IS NOT NULL AND state < 3";
/// Whether a run that is cancelled is one of those: one that still waits for its place leaves none. Index: the primary key.
const IS_ACTIVE: &str = "SELECT id FROM run WHERE tenant_id = $1 AND id = $2
  AND state < 3 AND (state > 0 OR due_ms IS NOT NULL)";
/// Index: `run_slot`, its first; then the primary key.
const SLOT_PASSES: &str = "UPDATE run SET due_ms = $1 WHERE tenant_id = $2 AND id = (SELECT id FROM run
  WHERE tenant_id = $2 AND workflow_id = $3 AND slot = $4 AND slot IS NOT NULL AND state < 3 AND state = 0 AND due_ms IS NULL
  ORDER BY id LIMIT 1)";
const RUN_WRITE: &str = "INSERT INTO run (tenant_id, id, workflow_id, workflow_version, trigger_id, trigger_kind, request_id, event_id,
    replay_of, parent_id, state, depth, slot, fence, due_ms, lease_ms, node_id, error, created_ms, started_ms, finished_ms)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)";
const DATA_WRITE: &str = "INSERT INTO run_data (tenant_id, run_id, part, data) VALUES ($1, $2, $3, $4)";
const REQUEST_WRITE: &str = "INSERT INTO request (tenant_id, id, trigger_id, cause, status, detail, run_id, received_ms, method, query,
    peer, headers, body, body_bytes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
/// Index: the primary key.
const STEP_WRITE: &str = "INSERT INTO run_step (tenant_id, run_id, path, seq, kind, status, tries, started_ms, finished_ms, until_ms,
    link_id, output, error) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
  ON CONFLICT (run_id, path, tenant_id) DO UPDATE SET status = excluded.status, tries = excluded.tries,
    finished_ms = excluded.finished_ms, until_ms = excluded.until_ms, link_id = excluded.link_id, output = excluded.output,
    error = excluded.error";
const ATTEMPT_WRITE: &str = "INSERT INTO run_attempt (tenant_id, run_id, path, number, started_ms, class, status, detail, total_us, peer,
    response_head, response_body, response_bytes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
  ON CONFLICT DO NOTHING";
/// Index: the primary key, as with all that follow.
const GOES_ON: &str =
    "UPDATE run SET lease_ms = $1 WHERE tenant_id = $2 AND id = $3 AND state = 1 AND fence = $4";
const WAITS: &str = "UPDATE run SET state = 2, due_ms = $1, lease_ms = NULL, node_id = NULL
  WHERE tenant_id = $2 AND id = $3 AND state = 1 AND fence = $4";
const BACK: &str = "UPDATE run SET state = 0, due_ms = $1, lease_ms = NULL, node_id = NULL
  WHERE tenant_id = $2 AND id = $3 AND state = 1 AND fence = $4";
const WAKES: &str =
    "UPDATE run SET due_ms = $1 WHERE tenant_id = $2 AND id = $3 AND state = 2 AND fence = $4";
/// Only while it is this run's end that the parent waits for. Index: the primary keys.
const WAKES_PARENT: &str = "UPDATE run SET due_ms = $1 WHERE tenant_id = $2 AND id = $3 AND state = 2
    AND EXISTS (SELECT 1 FROM run_step s WHERE s.run_id = $3 AND s.tenant_id = $2 AND s.status = 0 AND s.link_id = $4)";
const ENDS: &str =
    "UPDATE run SET state = $1, error = $2, finished_ms = $3, due_ms = NULL, lease_ms = NULL, node_id = NULL
  WHERE tenant_id = $4 AND id = $5 AND state = 1 AND fence = $6";
const CANCELS: &str =
    "UPDATE run SET state = $1, error = $2, finished_ms = $3, fence = fence + 1, due_ms = NULL, lease_ms = NULL, node_id = NULL
  WHERE tenant_id = $4 AND id = $5 AND state < 3";
const WAIT_WRITE: &str = "INSERT INTO run_wait (tenant_id, run_id, path, after_id) VALUES ($1, $2, $3, $4)
  ON CONFLICT (tenant_id, run_id) DO UPDATE SET path = excluded.path, after_id = excluded.after_id";
const WAIT_DELETE: &str = "DELETE FROM run_wait WHERE tenant_id = $1 AND run_id = $2";

/// Of [`StoreError::Moved`]: what the commit wanted of a run.
pub const RUN_MOVED: &str = "the run is in other hands, or has ended";
const MOVED: StoreError = StoreError::Moved(RUN_MOVED);
/// To the tenant, of a run that was not done.
const SKIPPED: &str = "Another run of this workflow was active, and its `concurrency` says to skip.";
const REPLACED: &str =
    "A later run took its place: the workflow's `concurrency` says to cancel the previous.";

/// The intakes of a commit, in their order.
pub(crate) async fn intakes<E: Exec>(
    exec: &mut E,
    at: Timestamp,
    intakes: &[Intake],
    events: &[EventOutcome],
) -> Result<Vec<IntakeOutcome>, StoreError> {
    let mut outcomes = Vec::with_capacity(intakes.len());
    for intake in intakes {
        let event = intake.with_event.map(|place| events.get(place));
        outcomes.push(match event {
            None | Some(Some(EventOutcome::New(_))) => take_in(exec, intake.tenant, at, intake).await?,
            Some(_) => IntakeOutcome::Taken,
        });
    }
    Ok(outcomes)
}

async fn take_in<E: Exec>(
    exec: &mut E,
    tenant: TenantId,
    at: Timestamp,
    intake: &Intake,
) -> Result<IntakeOutcome, StoreError> {
    if let Some((trigger, tick)) = intake.tick {
        let values = [tenant.into(), trigger.into(), tick.into()];
        if exec.execute(TICK_WRITE, &values).await? == 0 {
            return Ok(IntakeOutcome::Taken);
        }
    }
    let Some(run) = &intake.run else {
        if let Some(request) = &intake.request {
            write_request(exec, tenant, request, None).await?;
        }
        return Ok(IntakeOutcome::Recorded);
    };
    if let Some(dedup) = &intake.dedup
        && let Some(earlier) = earlier_run(exec, tenant, at, dedup, run.id).await?
    {
        if let Some(request) = &intake.request {
            let body = request.body.clone().or_else(|| Some(run.input.clone()));
            let duplicate =
                NewRequest { cause: RequestCause::Duplicate, status: 200, body, ..request.clone() };
            write_request(exec, tenant, &duplicate, Some(earlier)).await?;
        }
        return Ok(IntakeOutcome::Duplicate(earlier));
    }
    let begins = begins(exec, tenant, at, run).await?;
    write_run(exec, tenant, at, run, &begins, intake.request.as_ref().map(|request| request.id)).await?;
    if let Some(request) = &intake.request {
        write_request(exec, tenant, request, Some(run.id)).await?;
    }
    Ok(match begins {
        Begins::Skipped => IntakeOutcome::Skipped(run.id),
        begins => IntakeOutcome::Started { run: run.id, claimed: begins == Begins::Claimed },
    })
}

async fn earlier_run<E: Exec>(
    exec: &mut E,
    tenant: TenantId,
    at: Timestamp,
    dedup: &Dedup,
    run: RunId,
) -> Result<Option<RunId>, StoreError> {
    let key = dedup.key.as_str();
    let forgotten = at.minus(dedup.kept);
    let values =
        [tenant.into(), dedup.trigger.into(), key.into(), run.into(), at.into(), Value::from(forgotten)];
    if exec.execute(DEDUP_WRITE, &values).await? > 0 {
        return Ok(None);
    }
    let found = exec.rows(DEDUP_READ, &[tenant.into(), dedup.trigger.into(), key.into()]).await?;
    match found.first().and_then(|row| row.first()) {
        Some(id) => Ok(Some(RunId::from_bytes(id.id()?))),
        None => Err(StoreError::Contended("what came before was forgotten at this moment".into())),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Begins {
    Claimed,
    Due,
    /// When a slot is passed on to it.
    Later,
    Skipped,
    Ended,
}

/// How a run begins, which is a matter of who is active in its slot.
async fn begins<E: Exec>(
    exec: &mut E,
    tenant: TenantId,
    at: Timestamp,
    run: &NewRun,
) -> Result<Begins, StoreError> {
    if run.ended || run.error.is_some() {
        return Ok(Begins::Ended);
    }
    let free = if run.claim.is_some() { Begins::Claimed } else { Begins::Due };
    let Some(Slot { key, max, conflict }) = &run.slot else { return Ok(free) };
    exec.lock(run.workflow).await?;
    let values = [tenant.into(), run.workflow.into(), key.as_str().into()];
    let active = exec.rows(ACTIVE, &values).await?;
    let active = active.first().and_then(|row| row.first()).map_or(Ok(0), |count| count.int())?;
    if active < i64::from(*max) {
        return Ok(free);
    }
    Ok(match conflict {
        Conflict::Queue => Begins::Later,
        Conflict::Skip => Begins::Skipped,
        Conflict::CancelPrevious => {
            for row in exec.rows(ALL_OF_SLOT, &values).await? {
                let [previous, parent] = row[..] else { continue };
                let (previous, parent) = (RunId::from_bytes(previous.id()?), parent.maybe_id()?);
                let state = RunState::Cancelled;
                let values = [state.into(), REPLACED.into(), at.into(), tenant.into(), previous.into()];
                exec.execute(CANCELS, &values).await?;
                // The slot passes to this one.
                after_end(exec, tenant, at, previous, None, parent.map(RunId::from_bytes)).await?;
            }
            free
        }
    })
}

async fn write_run<E: Exec>(
    exec: &mut E,
    tenant: TenantId,
    at: Timestamp,
    run: &NewRun,
    begins: &Begins,
    request: Option<RequestId>,
) -> Result<(), StoreError> {
    let claim = run.claim.filter(|_| *begins == Begins::Claimed);
    let state = match begins {
        Begins::Claimed => RunState::Running,
        Begins::Due | Begins::Later => RunState::Queued,
        Begins::Skipped => RunState::Cancelled,
        Begins::Ended if run.error.is_some() => RunState::Failed,
        Begins::Ended => RunState::Succeeded,
    };
    let error = match begins {
        Begins::Skipped => Some(SKIPPED),
        _ => run.error.as_deref(),
    };
    let started = claim.is_some() || *begins == Begins::Ended;
    let values = [
        tenant.into(),
        run.id.into(),
        run.workflow.into(),
        run.version.into(),
        run.trigger.into(),
        run.kind.into(),
        request.into(),
        run.event.into(),
        run.replay_of.into(),
        run.parent.into(),
        state.into(),
        i64::from(run.depth).into(),
        run.slot.as_ref().map(|slot| slot.key.as_str()).into(),
        claim.map_or(0, |claim| claim.fence).into(),
        (*begins == Begins::Due).then_some(at).into(),
        claim.map(|claim| claim.until).into(),
        Value::Id(exec.node().filter(|_| claim.is_some()).map(|node| *node.as_bytes())),
        error.into(),
        at.into(),
        started.then_some(at).into(),
        state.is_final().then_some(at).into(),
    ];
    exec.execute(RUN_WRITE, &values).await?;
    write_data(exec, tenant, run.id, INPUT, &run.input).await?;
    for step in &run.steps {
        write_step(exec, tenant, run.id, step).await?;
    }
    // Who waits for one that has ended already is woken. It never waited itself, and holds no slot.
    if state.is_final() {
        wake_parent(exec, tenant, at, run.id, run.parent).await?;
    }
    Ok(())
}

async fn write_data<E: Exec>(
    exec: &mut E,
    tenant: TenantId,
    run: RunId,
    part: i64,
    data: &[u8],
) -> Result<(), StoreError> {
    exec.execute(DATA_WRITE, &[tenant.into(), run.into(), part.into(), data.into()]).await.map(drop)
}

async fn write_request<E: Exec>(
    exec: &mut E,
    tenant: TenantId,
    request: &NewRequest,
    run: Option<RunId>,
) -> Result<(), StoreError> {
    let values = [
        tenant.into(),
        request.id.into(),
        request.trigger.into(),
        request.cause.into(),
        i64::from(request.status).into(),
        request.detail.as_deref().into(),
        run.into(),
        request.received.into(),
        request.method.as_str().into(),
        request.query.as_str().into(),
        request.peer.as_str().into(),
        Value::from(&request.headers[..]),
        request.body.as_deref().into(),
        i64::try_from(request.body_bytes).unwrap_or(i64::MAX).into(),
    ];
    exec.execute(REQUEST_WRITE, &values).await.map(drop)
}

async fn write_step<E: Exec>(
    exec: &mut E,
    tenant: TenantId,
    run: RunId,
    step: &StepRow,
) -> Result<(), StoreError> {
    let values = [
        tenant.into(),
        run.into(),
        step.path.as_str().into(),
        step.seq.into(),
        step.kind.as_str().into(),
        step.status.into(),
        i64::from(step.tries).into(),
        step.started.into(),
        step.finished.into(),
        step.until.into(),
        Value::Id(step.link),
        step.output.as_deref().into(),
        step.error.as_deref().into(),
    ];
    exec.execute(STEP_WRITE, &values).await.map(drop)
}

async fn write_attempt<E: Exec>(
    exec: &mut E,
    tenant: TenantId,
    run: RunId,
    path: &str,
    attempt: &AttemptRow,
) -> Result<(), StoreError> {
    let int = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let values = [
        tenant.into(),
        run.into(),
        path.into(),
        i64::from(attempt.number).into(),
        attempt.started.into(),
        attempt.class.into(),
        attempt.status.map(i64::from).into(),
        attempt.detail.as_deref().into(),
        int(attempt.timing.total_us).into(),
        attempt.peer.as_deref().into(),
        Value::from(&attempt.response_head[..]),
        Value::from(&attempt.response_body[..]),
        int(attempt.response_bytes).into(),
    ];
    exec.execute(ATTEMPT_WRITE, &values).await.map(drop)
}

/// How far a run has come. `events`: what became of those of its commit.
pub(crate) async fn advance<E: Exec>(
    exec: &mut E,
    at: Timestamp,
    write: &RunWrite,
    events: &[EventOutcome],
) -> Result<(), StoreError> {
    let (tenant, run) = (write.tenant, write.run);
    let fence = match write.hold {
        Hold::Claim(fence) | Hold::Waiting(fence) => fence,
        Hold::Any => 0,
    };
    if write.slot.is_some() && matches!(write.to, RunTo::Ended { .. }) {
        exec.lock(write.workflow).await?;
    }
    let leaves_a_place = match write.hold {
        Hold::Any if write.slot.is_some() => {
            !exec.rows(IS_ACTIVE, &[tenant.into(), run.into()]).await?.is_empty()
        }
        _ => true,
    };
    let held = |moment: Option<Timestamp>| [moment.into(), tenant.into(), run.into(), fence.into()];
    let changed = match &write.to {
        RunTo::Running { lease } => exec.execute(GOES_ON, &held(Some(*lease))).await?,
        RunTo::Waiting { due, .. } => exec.execute(WAITS, &held(*due)).await?,
        RunTo::HandedBack => exec.execute(BACK, &held(Some(at))).await?,
        RunTo::Woken => exec.execute(WAKES, &held(Some(at))).await?,
        RunTo::Ended { state, error, .. } => {
            let mut values =
                vec![(*state).into(), error.as_deref().into(), at.into(), tenant.into(), run.into()];
            if write.hold == Hold::Any {
                exec.execute(CANCELS, &values).await?
            } else {
                values.push(fence.into());
                exec.execute(ENDS, &values).await?
            }
        }
    };
    if changed == 0 {
        return Err(MOVED);
    }
    let last = write.steps.len().checked_sub(1);
    for (place, step) in write.steps.iter().enumerate() {
        match (&write.unless_emitted, events.first()) {
            (Some(refused), Some(EventOutcome::Different)) if Some(place) == last => {
                write_step(exec, tenant, run, refused).await?;
            }
            (Some(_), Some(EventOutcome::Same(event))) if Some(place) == last => {
                let step = StepRow { link: Some(*event.as_bytes()), ..step.clone() };
                write_step(exec, tenant, run, &step).await?;
            }
            _ => write_step(exec, tenant, run, step).await?,
        }
    }
    for (path, attempt) in &write.attempts {
        write_attempt(exec, tenant, run, path, attempt).await?;
    }
    match &write.to {
        RunTo::Waiting { event_after: Some(after), .. } => {
            let path = write.steps.last().map_or("", |step| step.path.as_str());
            write_wait(exec, tenant, run, path, *after).await
        }
        RunTo::Woken => {
            exec.execute(WAIT_DELETE, &[tenant.into(), run.into()]).await?;
            Ok(())
        }
        RunTo::Ended { output, .. } => {
            if let Some(output) = output {
                write_data(exec, tenant, run, OUTPUT, output).await?;
            }
            let slot = write.slot.as_deref().filter(|_| leaves_a_place).map(|slot| (write.workflow, slot));
            after_end(exec, tenant, at, run, slot, write.parent).await
        }
        RunTo::Running { .. } | RunTo::Waiting { .. } | RunTo::HandedBack => Ok(()),
    }
}

pub(crate) async fn write_wait<E: Exec>(
    exec: &mut E,
    tenant: TenantId,
    run: RunId,
    path: &str,
    after: EventId,
) -> Result<(), StoreError> {
    exec.execute(WAIT_WRITE, &[tenant.into(), run.into(), path.into(), after.into()]).await.map(drop)
}

/// What follows from a run's end: it waits no more, its slot passes on, who waits for it is woken.
async fn after_end<E: Exec>(
    exec: &mut E,
    tenant: TenantId,
    at: Timestamp,
    run: RunId,
    slot: Option<(WorkflowId, &str)>,
    parent: Option<RunId>,
) -> Result<(), StoreError> {
    exec.execute(WAIT_DELETE, &[tenant.into(), run.into()]).await?;
    if let Some((workflow, slot)) = slot {
        let values = [at.into(), tenant.into(), workflow.into(), slot.into()];
        exec.execute(SLOT_PASSES, &values).await?;
    }
    wake_parent(exec, tenant, at, run, parent).await
}

async fn wake_parent<E: Exec>(
    exec: &mut E,
    tenant: TenantId,
    at: Timestamp,
    run: RunId,
    parent: Option<RunId>,
) -> Result<(), StoreError> {
    if let Some(parent) = parent {
        exec.execute(WAKES_PARENT, &[at.into(), tenant.into(), parent.into(), run.into()]).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    #[test]
    fn statements_use_the_indexes_they_name() {
        const SLOT: &str = "run_slot (tenant_id=? AND workflow_id=? AND slot=?";
        for (sql, plan) in [
            (DEDUP_READ, &["PRIMARY KEY (tenant_id=? AND trigger_id=? AND key=?)"][..]),
            (ACTIVE, &[SLOT][..]),
            (ALL_OF_SLOT, &[SLOT][..]),
            (SLOT_PASSES, &["PRIMARY KEY (id=? AND tenant_id=?)", SLOT][..]),
            (IS_ACTIVE, &["PRIMARY KEY (id=? AND tenant_id=?)"][..]),
            (GOES_ON, &["PRIMARY KEY (id=? AND tenant_id=?)"][..]),
            (WAKES, &["PRIMARY KEY (id=? AND tenant_id=?)"][..]),
            (WAKES_PARENT, &["PRIMARY KEY (id=? AND tenant_id=?)", "PRIMARY KEY (run_id=?)"][..]),
            (CANCELS, &["PRIMARY KEY (id=? AND tenant_id=?)"][..]),
            (WAIT_DELETE, &["PRIMARY KEY (tenant_id=? AND run_id=?)"][..]),
        ] {
            plans::check(sql, plan);
        }
    }
}

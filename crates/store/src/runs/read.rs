//! What is shown of runs and requests, and what a worker needs to go on with a run. Cold.

use bytes::Bytes;
use postrider_domain::id::{EventId, RequestId, RunId, TenantId, TriggerId, WorkflowId};
use postrider_domain::run::{RequestCause, RunState};
use postrider_domain::time::Timestamp;

use super::write::{INPUT, OUTPUT};
use super::{NewRequest, RequestRow, RunAttemptRow, RunRow, StepRow, WaitRow};
use crate::db::{Row, Value};
use crate::work::{AttemptRow, AttemptTiming};
use crate::{Store, StoreError};

/// Which runs of a tenant.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunFilter {
    pub workflow: Option<WorkflowId>,
    pub trigger: Option<TriggerId>,
    pub state: Option<RunState>,
    /// Older than this one.
    pub before: Option<RunId>,
}

/// Which requests of a tenant.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestFilter {
    pub trigger: Option<TriggerId>,
    pub cause: Option<RequestCause>,
    /// Older than this one.
    pub before: Option<RequestId>,
}

const RUN: &str = "SELECT tenant_id, id, workflow_id, workflow_version, trigger_id, trigger_kind, request_id, event_id, replay_of, parent_id,
    state, depth, slot, fence, due_ms, error, created_ms, started_ms, finished_ms FROM run";
const STEPS: &str = "SELECT path, seq, kind, status, tries, started_ms, finished_ms, until_ms, link_id, output, error FROM run_step
  WHERE run_id = $1 AND tenant_id = $2 ORDER BY seq, path";
const ATTEMPTS: &str =
    "SELECT path, number, started_ms, class, status, detail, total_us, peer, response_head, response_body,
    response_bytes FROM run_attempt WHERE run_id = $1 AND tenant_id = $2 ORDER BY path, number";
const DATA: &str = "SELECT data FROM run_data WHERE run_id = $1 AND part = $2 AND tenant_id = $3";
const REQUEST: &str = "SELECT tenant_id, id, trigger_id, cause, status, detail, run_id, received_ms, method, query, peer, headers, body,
    body_bytes FROM request";
/// Without what may be megabytes.
const REQUEST_LISTED: &str = "SELECT tenant_id, id, trigger_id, cause, status, detail, run_id, received_ms, method, query, peer, headers,
    NULL AS body, body_bytes FROM request";
/// Index: `run_due`, in full: each workflow with something that waits.
const DUE: &str = "SELECT tenant_id, workflow_id, MIN(due_ms) AS due_ms FROM run WHERE state IN (0, 2) AND due_ms IS NOT NULL
  GROUP BY tenant_id, workflow_id";

impl Store {
    pub async fn run_get(&self, tenant: TenantId, run: RunId) -> Result<Option<RunRow>, StoreError> {
        let sql = format!("{RUN} WHERE id = $1 AND tenant_id = $2");
        let rows = self.read().all(sql, &[run.into(), tenant.into()]).await?;
        rows.first().map(read_run).transpose()
    }

    /// The newest first. Index: `run_workflow`; without a workflow, the primary key's order over a tenant's.
    pub async fn runs(
        &self,
        tenant: TenantId,
        filter: RunFilter,
        rows: usize,
    ) -> Result<Vec<RunRow>, StoreError> {
        let mut conditions = vec!["tenant_id = $1".to_owned()];
        let mut values: Vec<Value<'_>> = vec![tenant.into()];
        let mut and = |condition: &str, value: Option<Value<'static>>| {
            if let Some(value) = value {
                values.push(value);
                conditions.push(format!("{condition} ${}", values.len()));
            }
        };
        and("workflow_id =", filter.workflow.map(Into::into));
        and("trigger_id =", filter.trigger.map(Into::into));
        and("state =", filter.state.map(Into::into));
        and("id <", filter.before.map(Into::into));
        values.push(i64::try_from(rows).unwrap_or(i64::MAX).into());
        let limit = values.len();
        let sql = format!("{RUN} WHERE {} ORDER BY id DESC LIMIT ${limit}", conditions.join(" AND "));
        self.read().all(sql, &values).await?.iter().map(read_run).collect()
    }

    pub async fn run_input(&self, tenant: TenantId, run: RunId) -> Result<Option<Bytes>, StoreError> {
        self.run_data(tenant, run, INPUT).await
    }

    pub async fn run_output(&self, tenant: TenantId, run: RunId) -> Result<Option<Bytes>, StoreError> {
        self.run_data(tenant, run, OUTPUT).await
    }

    async fn run_data(&self, tenant: TenantId, run: RunId, part: i64) -> Result<Option<Bytes>, StoreError> {
        let rows = self.read().all(DATA, &[run.into(), part.into(), tenant.into()]).await?;
        rows.first().map(|row| row.get("data")).transpose()
    }

    /// In the order in which they began.
    pub async fn run_steps(&self, tenant: TenantId, run: RunId) -> Result<Vec<StepRow>, StoreError> {
        self.read().all(STEPS, &[run.into(), tenant.into()]).await?.iter().map(read_step).collect()
    }

    pub async fn run_attempts(&self, tenant: TenantId, run: RunId) -> Result<Vec<RunAttemptRow>, StoreError> {
        self.read().all(ATTEMPTS, &[run.into(), tenant.into()]).await?.iter().map(read_attempt).collect()
    }

    pub async fn request_get(
        &self,
        tenant: TenantId,
        request: RequestId,
    ) -> Result<Option<RequestRow>, StoreError> {
        let sql = format!("{REQUEST} WHERE id = $1 AND tenant_id = $2");
        let rows = self.read().all(sql, &[request.into(), tenant.into()]).await?;
        rows.first().map(read_request).transpose()
    }

    /// The newest first, without bodies. Index: `request_trigger`.
    pub async fn requests(
        &self,
        tenant: TenantId,
        filter: RequestFilter,
        rows: usize,
    ) -> Result<Vec<RequestRow>, StoreError> {
        let mut conditions = vec!["tenant_id = $1".to_owned()];
        let mut values: Vec<Value<'_>> = vec![tenant.into()];
        let mut and = |condition: &str, value: Option<Value<'static>>| {
            if let Some(value) = value {
                values.push(value);
                conditions.push(format!("{condition} ${}", values.len()));
            }
        };
        and("trigger_id =", filter.trigger.map(Into::into));
        and("cause =", filter.cause.map(Into::into));
        and("id <", filter.before.map(Into::into));
        values.push(i64::try_from(rows).unwrap_or(i64::MAX).into());
        let limit = values.len();
        let sql =
            format!("{REQUEST_LISTED} WHERE {} ORDER BY id DESC LIMIT ${limit}", conditions.join(" AND "));
        self.read().all(sql, &values).await?.iter().map(read_request).collect()
    }

    /// Workflows with runs that wait for their time, and when the earliest is due. At start.
    pub async fn workflows_due_any_tenant(
        &self,
    ) -> Result<Vec<(TenantId, WorkflowId, Timestamp)>, StoreError> {
        let rows = self.read().all(DUE, &[]).await?;
        rows.iter()
            .map(|row| Ok((row.get("tenant_id")?, row.get("workflow_id")?, row.get("due_ms")?)))
            .collect()
    }

    /// How far a trigger's clock has come.
    pub async fn trigger_clock(
        &self,
        tenant: TenantId,
        trigger: TriggerId,
    ) -> Result<Option<Timestamp>, StoreError> {
        const SQL: &str = "SELECT tick_ms FROM trigger_clock WHERE tenant_id = $1 AND trigger_id = $2";
        let rows = self.read().all(SQL, &[tenant.into(), trigger.into()]).await?;
        rows.first().map(|row| row.get("tick_ms")).transpose()
    }

    /// Runs that wait for an event, of all tenants or one. Index: the primary key.
    pub async fn run_waits(&self, tenant: Option<TenantId>) -> Result<Vec<WaitRow>, StoreError> {
        const ALL: &str = "SELECT tenant_id, run_id, path, after_id FROM run_wait ORDER BY tenant_id, run_id";
        const ONE: &str =
            "SELECT tenant_id, run_id, path, after_id FROM run_wait WHERE tenant_id = $1 ORDER BY run_id";
        let rows = match tenant {
            Some(tenant) => self.read().all(ONE, &[tenant.into()]).await?,
            None => self.read().all(ALL, &[]).await?,
        };
        rows.iter()
            .map(|row| {
                let (tenant, run) = (row.get("tenant_id")?, row.get("run_id")?);
                Ok(WaitRow { tenant, run, path: row.get("path")?, after: row.get("after_id")? })
            })
            .collect()
    }

    /// Events up to `after` have been looked at for a run that waits.
    pub async fn run_wait_moves(
        &self,
        tenant: TenantId,
        run: RunId,
        after: EventId,
    ) -> Result<(), StoreError> {
        const SQL: &str =
            "UPDATE run_wait SET after_id = $1 WHERE tenant_id = $2 AND run_id = $3 AND after_id < $1";
        let mut tx = self.write().await?;
        tx.execute(SQL, &[after.into(), tenant.into(), run.into()]).await?;
        tx.commit().await
    }
}

fn read_run(row: &Row) -> Result<RunRow, StoreError> {
    Ok(RunRow {
        tenant: row.get("tenant_id")?,
        id: row.get("id")?,
        workflow: row.get("workflow_id")?,
        version: row.get("workflow_version")?,
        trigger: row.get("trigger_id")?,
        kind: row.get("trigger_kind")?,
        request: row.get("request_id")?,
        event: row.get("event_id")?,
        replay_of: row.get("replay_of")?,
        parent: row.get("parent_id")?,
        state: row.get("state")?,
        depth: row.get("depth")?,
        slot: row.get("slot")?,
        fence: row.get("fence")?,
        due: row.get("due_ms")?,
        error: row.get("error")?,
        created: row.get("created_ms")?,
        started: row.get("started_ms")?,
        finished: row.get("finished_ms")?,
    })
}

fn read_step(row: &Row) -> Result<StepRow, StoreError> {
    Ok(StepRow {
        path: row.get("path")?,
        seq: row.get("seq")?,
        kind: row.get("kind")?,
        status: row.get("status")?,
        tries: row.get("tries")?,
        started: row.get("started_ms")?,
        finished: row.get("finished_ms")?,
        until: row.get("until_ms")?,
        link: row.get("link_id")?,
        output: row.get("output")?,
        error: row.get("error")?,
    })
}

fn read_attempt(row: &Row) -> Result<RunAttemptRow, StoreError> {
    let attempt = AttemptRow {
        number: row.get("number")?,
        started: row.get("started_ms")?,
        class: row.get("class")?,
        status: row.get("status")?,
        detail: row.get("detail")?,
        timing: AttemptTiming { total_us: row.get("total_us")?, ..AttemptTiming::default() },
        peer: row.get("peer")?,
        reused: false,
        resend: false,
        body_sha256: None,
        request_bytes: 0,
        response_head: row.get("response_head")?,
        response_body: row.get("response_body")?,
        response_bytes: row.get("response_bytes")?,
    };
    Ok(RunAttemptRow { path: row.get("path")?, attempt })
}

fn read_request(row: &Row) -> Result<RequestRow, StoreError> {
    let request = NewRequest {
        id: row.get("id")?,
        trigger: row.get("trigger_id")?,
        cause: row.get("cause")?,
        status: row.get("status")?,
        detail: row.get("detail")?,
        received: row.get("received_ms")?,
        method: row.get("method")?,
        query: row.get("query")?,
        peer: row.get("peer")?,
        headers: row.get("headers")?,
        body: row.get("body")?,
        body_bytes: row.get("body_bytes")?,
    };
    Ok(RequestRow { tenant: row.get("tenant_id")?, run: row.get("run_id")?, request })
}

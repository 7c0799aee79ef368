//! `run_claim`: who works on which run, and what becomes of runs whose worker is gone.

use postrider_domain::id::{RunId, TenantId, WorkflowId};
use postrider_domain::time::Timestamp;

use super::exec::Exec;
use super::now_ready;
use crate::db::Value;
use crate::open::Backend;
use crate::postgres::Postgres;
use crate::sqlite::Batch;
use crate::{Store, StoreError};

/// How many due runs of a workflow to claim.
#[derive(Debug, Clone, Copy)]
pub struct RunWant {
    pub tenant: TenantId,
    pub workflow: WorkflowId,
    pub count: u32,
}

/// What a want got, in the order of wants.
#[derive(Debug, Clone)]
pub struct RunClaimAnswer {
    /// With their fences, earliest due first.
    pub claimed: Vec<(RunId, i64)>,
    /// When the earliest of what stays is due.
    pub next_due: Option<Timestamp>,
}

/// What [`Store::run_reap`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunsReaped {
    pub runs: u64,
    /// Workflows that have something due now, once each.
    pub due: Vec<(TenantId, WorkflowId)>,
}

/// Index: `run_due`.
const DUE: &str = "SELECT id, fence FROM run
  WHERE tenant_id = $1 AND workflow_id = $2 AND state IN (0, 2) AND due_ms <= $3 ORDER BY due_ms LIMIT $4";
/// The same, of which no two nodes get the same.
const DUE_SHARED: &str = "SELECT id, fence FROM run
  WHERE tenant_id = $1 AND workflow_id = $2 AND state IN (0, 2) AND due_ms <= $3 ORDER BY due_ms LIMIT $4 FOR UPDATE SKIP LOCKED";
/// Index: the primary key.
const CLAIM: &str = "UPDATE run SET state = 1, fence = fence + 1, due_ms = NULL, lease_ms = $1, node_id = $2,
    started_ms = COALESCE(started_ms, $3) WHERE tenant_id = $4 AND id = $5 AND state IN (0, 2)";
/// Index: `run_due`.
const NEXT_DUE: &str = "SELECT MIN(due_ms) FROM run
  WHERE tenant_id = $1 AND workflow_id = $2 AND state IN (0, 2) AND due_ms IS NOT NULL";
/// Index: `run_running`.
const EXPIRED: &str = "SELECT tenant_id, id, workflow_id, fence FROM run WHERE state = 1 AND lease_ms < $1 ORDER BY lease_ms LIMIT $2";
/// This node's that ran out, and all of nodes that are not alive, by the database's clock. `$2`: this node; `$3`: 0 while it
/// may not take over from others. Index: `run_running`.
const EXPIRED_SHARED: &str = "SELECT tenant_id, id, workflow_id, fence FROM run r WHERE state = 1
    AND ((node_id = $2 AND lease_ms < $1) OR ($3 = 1 AND node_id <> $2
      AND NOT EXISTS (SELECT 1 FROM node n WHERE n.id = r.node_id AND n.alive_until > clock_timestamp())))
  ORDER BY lease_ms LIMIT $4";
/// Index: the primary key.
const REAP: &str = "UPDATE run SET state = 0, fence = fence + 1, due_ms = $1, lease_ms = NULL, node_id = NULL
  WHERE tenant_id = $2 AND id = $3 AND state = 1 AND fence = $4";
/// More than a node has in hand, of several nodes.
const REAP_ROWS_MAX: i64 = 16 * 1024;

/// A reap on its way to the writer.
struct Reap {
    now: Timestamp,
    expired_before: Timestamp,
    held: Held,
}

type Held = Box<dyn Fn(RunId) -> bool + Send + Sync>;

impl Store {
    /// Claims due runs, earliest due first. The claim is durable before this answers, and holds until `until`. Answers come in
    /// the order of `wants`.
    pub async fn run_claim(
        &self,
        now: Timestamp,
        until: Timestamp,
        wants: Vec<RunWant>,
    ) -> Result<Vec<RunClaimAnswer>, StoreError> {
        match self.backend() {
            Backend::Sqlite(sqlite) => {
                let rows = wants.iter().map(|want| want.count as usize).sum();
                let run = |batch: &mut Batch<'_>, input: &mut (Timestamp, Timestamp, Vec<RunWant>)| {
                    now_ready(claim(batch, DUE, input.0, input.1, &input.2))
                };
                sqlite.call(rows, (now, until, wants), run).await
            }
            Backend::Postgres(postgres) => {
                postgres.on_server(async |server| claim(server, DUE_SHARED, now, until, &wants).await).await
            }
        }
    }

    /// Takes runs from this process's claims that ended before a moment, or from all of them (`None`), and from processes that
    /// are gone: they are due at once. `held`: whether this process is at work on one.
    pub async fn run_reap(
        &self,
        now: Timestamp,
        expired_before: Option<Timestamp>,
        held: Held,
    ) -> Result<RunsReaped, StoreError> {
        let expired_before = expired_before.unwrap_or(Timestamp::from_unix_ms(i64::MAX));
        match self.backend() {
            Backend::Sqlite(sqlite) => {
                let run = |batch: &mut Batch<'_>, reap: &mut Reap| {
                    now_ready(async {
                        let values = [reap.expired_before.into(), REAP_ROWS_MAX.into()];
                        let found = batch.rows(EXPIRED, &values).await?;
                        reap_rows(batch, reap.now, found, &reap.held).await
                    })
                };
                sqlite.call(1, Reap { now, expired_before, held }, run).await
            }
            Backend::Postgres(postgres) => {
                let takes_over = i64::from(postgres.may_take_over());
                postgres
                    .on_server(async |server| {
                        let node = Value::Id(server.node().map(|node| *node.as_bytes()));
                        let values = [expired_before.into(), node, takes_over.into(), REAP_ROWS_MAX.into()];
                        let found = server.rows(EXPIRED_SHARED, &values).await?;
                        reap_rows(server, now, found, &held).await
                    })
                    .await
            }
        }
    }
}

async fn claim<E: Exec>(
    exec: &mut E,
    due: &'static str,
    now: Timestamp,
    until: Timestamp,
    wants: &[RunWant],
) -> Result<Vec<RunClaimAnswer>, StoreError> {
    let mut answers = Vec::with_capacity(wants.len());
    let node = Value::Id(exec.node().map(|node| *node.as_bytes()));
    for want in wants {
        let of = [want.tenant.into(), want.workflow.into()];
        let mut claimed = Vec::new();
        for row in exec.rows(due, &[of[0], of[1], now.into(), i64::from(want.count).into()]).await? {
            let [id, fence] = row[..] else { continue };
            let run = RunId::from_bytes(id.id()?);
            let values = [until.into(), node, now.into(), want.tenant.into(), run.into()];
            if exec.execute(CLAIM, &values).await? == 1 {
                claimed.push((run, fence.int()? + 1));
            }
        }
        let next = exec.rows(NEXT_DUE, &of).await?;
        let next_due = match next.first().and_then(|row| row.first()) {
            Some(super::exec::Field::Int(due)) => Some(Timestamp::from_unix_ms(*due)),
            _ => None,
        };
        answers.push(RunClaimAnswer { claimed, next_due });
    }
    Ok(answers)
}

async fn reap_rows<E: Exec>(
    exec: &mut E,
    now: Timestamp,
    found: Vec<Vec<super::exec::Field>>,
    held: &Held,
) -> Result<RunsReaped, StoreError> {
    let mut reaped = RunsReaped::default();
    for row in found {
        let [tenant, id, workflow, fence] = row[..] else { continue };
        let (tenant, run) = (TenantId::from_bytes(tenant.id()?), RunId::from_bytes(id.id()?));
        if held(run) {
            continue;
        }
        let values = [now.into(), tenant.into(), run.into(), fence.int()?.into()];
        if exec.execute(REAP, &values).await? == 1 {
            reaped.runs += 1;
            let workflow = WorkflowId::from_bytes(workflow.id()?);
            if !reaped.due.contains(&(tenant, workflow)) {
                reaped.due.push((tenant, workflow));
            }
        }
    }
    Ok(reaped)
}

impl Postgres {
    /// A transaction over the pool, for work on runs.
    async fn on_server<T>(
        &self,
        work: impl AsyncFnOnce(&mut super::exec::OnServer<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut tx = self.begin().await?;
        let done = {
            let mut server = super::exec::OnServer { tx: &mut tx, node: self.node_id() };
            work(&mut server).await?
        };
        crate::postgres::in_time(tx.commit()).await?;
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    #[test]
    fn statements_use_the_indexes_they_name() {
        plans::check(DUE, &["run_due (tenant_id=? AND workflow_id=? AND due_ms<?)"]);
        plans::check(NEXT_DUE, &["run_due (tenant_id=? AND workflow_id=? AND due_ms>?)"]);
        plans::check(EXPIRED, &["run_running (lease_ms<?)"]);
        plans::check(CLAIM, &["PRIMARY KEY (id=? AND tenant_id=?)"]);
        plans::check(REAP, &["PRIMARY KEY (id=? AND tenant_id=?)"]);
    }
}

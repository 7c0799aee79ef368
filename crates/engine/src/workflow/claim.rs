//! Runs that are due: claimed when their lane has a slot, loaded, and gone on with.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use postrider_domain::id::{RunId, TenantId, WorkflowId};
use postrider_domain::run::RunState;
use postrider_domain::workflow::RunFacts;
use postrider_store::StoreError;
use postrider_store::runs::{Hold, RunRow, RunTo, RunWant, RunWrite};
use serde_json::Value;
use tokio::sync::mpsc;

use super::hand::{Hand, Stored};
use super::run::LEASE;
use super::{POISON, Runner};
use crate::catalogue::Tenant;
use crate::outbound::lanes::{Slot, Want};

/// How soon what no wake told of is found: runs that another node's commit made due, and claims of dead nodes.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Alone, a process knows what it made due; every so many looks it makes sure.
const LOOKS_UNTIL_ALL: u64 = 12;

/// Claims what the dispatcher has slots for, until the process ends.
pub async fn claims(runner: Arc<Runner>, mut wants: mpsc::UnboundedReceiver<Vec<(WorkflowId, Want)>>) {
    while let Some(first) = wants.recv().await {
        let mut all = first;
        while let Ok(more) = wants.try_recv() {
            all.extend(more);
        }
        runner.claim(all).await;
    }
}

/// Looks now and then for runs that are due, and takes those whose worker is gone, until the process ends.
pub async fn looks(runner: Arc<Runner>) {
    for look in 1_u64.. {
        runner.outbound.clock.sleep(LOOK_EVERY).await;
        let all = runner.outbound.store.is_shared() || look % LOOKS_UNTIL_ALL == 0;
        if let Err(error) = runner.look(Some(runner.outbound.clock.now()), all).await {
            tracing::error!(%error, "runs.not_looked_for");
        }
    }
}

impl Runner {
    /// At start, and now and then: claims that ran out are taken. `expired_before`: of this process's; `None`: all of them.
    /// `all`: lanes learn what waits.
    pub(crate) async fn look(
        self: &Arc<Self>,
        expired_before: Option<postrider_domain::time::Timestamp>,
        all: bool,
    ) -> Result<(), StoreError> {
        let (outbound, now) = (&self.outbound, self.outbound.clock.now());
        let held = self.held.clone();
        let held = move |run: RunId| held.lock().expect(POISON).contains_key(&run);
        let reaped = outbound.store.run_reap(now, expired_before, Box::new(held)).await?;
        if reaped.runs > 0 {
            tracing::warn!(runs = reaped.runs, "run.reaped");
        }
        for (tenant, workflow) in reaped.due {
            outbound.lanes.scheduled(tenant, workflow.into(), now);
        }
        if all {
            for (tenant, workflow, due) in outbound.store.workflows_due_any_tenant().await? {
                outbound.lanes.scheduled(tenant, workflow.into(), due);
            }
        }
        Ok(())
    }

    async fn claim(self: &Arc<Self>, wants: Vec<(WorkflowId, Want)>) {
        let outbound = &self.outbound;
        let now = outbound.clock.now();
        let asked = wants
            .iter()
            .map(|(workflow, want)| RunWant {
                tenant: want.tenant,
                workflow: *workflow,
                count: u32::try_from(want.count).unwrap_or(u32::MAX),
            })
            .collect();
        match outbound.store.run_claim(now, now.plus(LEASE), asked).await {
            Ok(answers) => {
                for ((_, want), answer) in wants.into_iter().zip(answers) {
                    let slots = outbound.lanes.claimed(want, answer.claimed.len(), answer.next_due);
                    for ((run, fence), slot) in answer.claimed.into_iter().zip(slots) {
                        self.go_on(want, run, fence, slot);
                    }
                }
            }
            Err(error) => {
                tracing::error!(%error, "run.claim_waits");
                let again = now.plus(Duration::from_secs(1));
                for (_, want) in wants {
                    drop(outbound.lanes.claimed(want, 0, Some(again)));
                }
            }
        }
    }

    fn go_on(self: &Arc<Self>, want: Want, run: RunId, fence: i64, slot: Slot) {
        let runner = self.clone();
        let held = self.hold(run);
        tokio::spawn(async move {
            match runner.load(want, run, fence, slot).await {
                Ok(Some(hand)) => runner.drive(hand).await,
                Ok(None) => {}
                Err(error) => tracing::error!(%error, %run, "run.let_go"),
            }
            drop(held);
        });
    }

    /// A claimed run with all that is known of it. One that cannot be read any more ends here.
    async fn load(
        self: &Arc<Self>,
        want: Want,
        run: RunId,
        fence: i64,
        slot: Slot,
    ) -> Result<Option<Hand>, StoreError> {
        let Some(tenant) = self.outbound.catalogue.tenant(want.tenant) else { return Ok(None) };
        let Some(row) = self.outbound.store.run_get(tenant.id, run).await? else { return Ok(None) };
        if self.is_gone(&tenant, row.workflow).await? {
            let write = super::run::cancelling(&row, "Its workflow was deleted.");
            self.write(write).await?;
            self.was_cancelled(&row).await;
            return Ok(None);
        }
        match self.stored(&tenant, row.clone(), fence).await {
            Ok((facts, compiled, stored)) => {
                match Hand::stored(tenant.clone(), compiled, facts, stored, slot) {
                    Ok(hand) => Ok(Some(hand)),
                    Err(why) => self.fail_claimed(tenant.id, run, &why).await.map(|()| None),
                }
            }
            Err(error @ (StoreError::Corrupt(_) | StoreError::NotFound)) => {
                tracing::error!(%error, %run, "run.unreadable");
                let why = "What this run began with can no longer be read. Ask the operator to check the data folder.";
                self.fail_claimed(tenant.id, run, why).await.map(|()| None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a workflow was deleted; another node may just have made it.
    async fn is_gone(&self, tenant: &Tenant, workflow: WorkflowId) -> Result<bool, StoreError> {
        if tenant.inbound.workflow_by_id(workflow).is_some() {
            return Ok(false);
        }
        let stored = self.outbound.store.workflows(Some(tenant.id)).await?;
        Ok(!stored.iter().any(|row| row.id == workflow))
    }

    /// Ends a run that cannot be worked on.
    pub(super) async fn fail_claimed(
        self: &Arc<Self>,
        tenant: TenantId,
        run: RunId,
        why: &str,
    ) -> Result<(), StoreError> {
        let Some(row) = self.outbound.store.run_get(tenant, run).await? else { return Ok(()) };
        let write = RunWrite { hold: Hold::Claim(row.fence), ..super::run::cancelling(&row, why) };
        self.write(RunWrite { to: failed(why), ..write }).await?;
        self.outbound.metrics.run_ended(RunState::Failed);
        self.tell(run, &super::Told::Ended(RunState::Failed));
        self.after_end(tenant, row.workflow, row.slot.is_some(), row.parent).await;
        Ok(())
    }

    pub(super) async fn stored(
        &self,
        tenant: &Arc<Tenant>,
        row: RunRow,
        fence: i64,
    ) -> Result<(RunFacts, Arc<postrider_domain::workflow::Workflow>, Stored), StoreError> {
        let store = &self.outbound.store;
        let compiled = self.definition(tenant.id, row.workflow, row.version).await?;
        let input = store.run_input(tenant.id, row.id).await?.ok_or(StoreError::NotFound)?;
        let room = self.inputs.room(&input).await;
        let input: Value = serde_json::from_slice(&input)
            .map_err(|error| StoreError::Corrupt(format!("the input of {}: {error}", row.id)))?;
        let steps = store.run_steps(tenant.id, row.id).await?;
        let attempts = store.run_attempts(tenant.id, row.id).await?;
        let name = match tenant.inbound.workflow_by_id(row.workflow) {
            Some(workflow) => workflow.name.clone(),
            None => store.workflow_name(tenant.id, row.workflow).await?.unwrap_or_default(),
        };
        let trigger = row.trigger.and_then(|trigger| tenant.inbound.trigger(trigger));
        let facts = RunFacts {
            run: row.id.to_string(),
            workflow: name,
            started: row.started.unwrap_or(row.created),
            trigger_type: row.kind.as_str().to_owned(),
            trigger_name: trigger.map(|trigger| trigger.name.clone()),
        };
        let stored = Stored { row, fence, input: Arc::new(input), steps, attempts, room };
        Ok((facts, compiled, stored))
    }

    /// What a waiting run waited for may have come.
    pub(super) async fn wake(
        self: &Arc<Self>,
        tenant: TenantId,
        run: RunId,
        workflow: WorkflowId,
        fence: i64,
    ) -> Result<(), StoreError> {
        let write = RunWrite {
            tenant,
            run,
            workflow,
            hold: Hold::Waiting(fence),
            slot: None,
            parent: None,
            steps: Vec::new(),
            unless_emitted: None,
            attempts: Vec::new(),
            to: RunTo::Woken,
        };
        match self.write(write).await {
            // It goes on already.
            Ok(()) | Err(StoreError::Moved(_)) => {}
            Err(error) => return Err(error),
        }
        self.queued(tenant, workflow);
        Ok(())
    }

    /// Commits a run's write on its own.
    pub(crate) async fn write(&self, write: RunWrite) -> Result<(), StoreError> {
        let tenant = write.tenant;
        let mut answer = self.outbound.accept.submit(|mint| postrider_store::Commit {
            runs: vec![write],
            ..postrider_store::Commit::new(tenant, mint.now)
        })?;
        crate::accept::Accept::outcome(&mut answer).await.map(drop)
    }
}

fn failed(why: &str) -> RunTo {
    RunTo::Ended { state: RunState::Failed, output: None, error: Some(why.to_owned()) }
}

/// Rows by tenant.
pub(super) fn by_tenant<T>(rows: Vec<T>, tenant: impl Fn(&T) -> TenantId) -> HashMap<TenantId, Vec<T>> {
    let mut all: HashMap<_, Vec<T>> = HashMap::new();
    for row in rows {
        all.entry(tenant(&row)).or_default().push(row);
    }
    all
}

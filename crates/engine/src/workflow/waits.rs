//! Runs that wait for an event: stored events are looked through, in order, from where each run last stood; an event that has
//! just been accepted only wakes the look.

use std::sync::Arc;
use std::time::Duration;

use postrider_domain::id::{RunId, TenantId, WorkflowId};
use postrider_domain::run::{RunState, StepStatus};
use postrider_domain::time::Timestamp;
use postrider_domain::workflow::{Action, Execution, Next, WaitFor};
use postrider_store::runs::{Hold, RunTo, RunWrite, StepRow, WaitRow};
use postrider_store::{EventFilter, Order, StoreError, StoredEvent};
use serde_json::{Value, json};

use super::Runner;
use super::claim::by_tenant;
use crate::outbound::attempt::wire_id;

/// How soon an event is found that no wake told of: one that another node accepted.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Events that are looked at in one go.
const PAGE: usize = 100;

/// Until the process ends.
pub async fn waits(runner: Arc<Runner>) {
    let clock = runner.outbound.clock.clone();
    let mut all = true;
    loop {
        let looked = if all {
            runner.look_at_all().await
        } else {
            let mut looked = Ok(());
            for tenant in runner.outbound.arrivals.take() {
                looked = looked.and(runner.look_at(tenant).await);
            }
            looked
        };
        if let Err(error) = looked {
            tracing::error!(%error, "run.waits_not_looked_at");
        }
        all = tokio::select! {
            () = runner.outbound.arrivals.wake() => false,
            () = clock.sleep(LOOK_EVERY) => true,
        };
    }
}

impl Runner {
    async fn look_at_all(self: &Arc<Self>) -> Result<(), StoreError> {
        for (tenant, rows) in by_tenant(self.outbound.store.run_waits(None).await?, |row| row.tenant) {
            self.outbound.arrivals.awaits(tenant);
            self.look_for(tenant, rows).await?;
        }
        Ok(())
    }

    async fn look_at(self: &Arc<Self>, tenant: TenantId) -> Result<(), StoreError> {
        let rows = self.outbound.store.run_waits(Some(tenant)).await?;
        if rows.is_empty() {
            self.outbound.arrivals.forget(tenant);
            // One that began to wait meanwhile says so after this.
            if !self.outbound.store.run_waits(Some(tenant)).await?.is_empty() {
                self.outbound.arrivals.awaits(tenant);
            }
            return Ok(());
        }
        self.look_for(tenant, rows).await
    }

    async fn look_for(self: &Arc<Self>, tenant: TenantId, rows: Vec<WaitRow>) -> Result<(), StoreError> {
        for row in rows {
            match self.look_for_one(tenant, &row).await {
                // It goes on already.
                Ok(()) | Err(StoreError::Moved(_)) => {}
                Err(error @ (StoreError::Corrupt(_) | StoreError::NotFound)) => {
                    tracing::error!(%error, run = %row.run, "run.wait_unreadable");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn look_for_one(self: &Arc<Self>, tenant: TenantId, wait: &WaitRow) -> Result<(), StoreError> {
        let store = &self.outbound.store;
        let Some(known) = self.outbound.catalogue.tenant(tenant) else { return Ok(()) };
        let Some(row) = store.run_get(tenant, wait.run).await? else { return Ok(()) };
        if row.state != RunState::Waiting {
            return Ok(());
        }
        let (workflow, fence) = (row.workflow, row.fence);
        let (facts, compiled, stored) = self.stored(&known, row, 0).await?;
        let step = stored.steps.iter().find(|step| step.path == wait.path).cloned();
        let Some(step) = step.filter(|step| step.status == StepStatus::Pending && step.link.is_none()) else {
            return Ok(());
        };
        let results = super::hand::results(&stored.steps);
        let Ok(mut execution) = Execution::restore(compiled, &facts, stored.input, results) else {
            // Its timeout brings it to who says so.
            return Ok(());
        };
        let now = self.outbound.clock.now();
        let task = loop {
            match execution.next(now) {
                Next::Settled(path, result) => match execution.record(&path, result) {
                    Ok(()) => {}
                    Err(_) => return Ok(()),
                },
                Next::Step(task) => break task,
                Next::Done { .. } | Next::Failed { .. } => return Ok(()),
            }
        };
        let Action::Wait(waits_for @ WaitFor::Event { .. }) = &task.action else { return Ok(()) };
        let mut after = wait.after;
        loop {
            let order = Order::OldestFirst { after: Some(after) };
            let events = store.event_list(tenant, &EventFilter::default(), order, PAGE).await?;
            for event in &events {
                after = event.id;
                if is_awaited(waits_for, event) {
                    let step = StepRow { link: Some(*event.id.as_bytes()), ..step };
                    return self.awaited(tenant, wait, workflow, fence, step).await;
                }
            }
            if events.len() < PAGE {
                break;
            }
        }
        if after != wait.after {
            store.run_wait_moves(tenant, wait.run, after).await?;
        }
        Ok(())
    }

    /// The event that a run waits for, among those that were accepted by a moment.
    pub(super) async fn came_by(
        &self,
        tenant: TenantId,
        run: RunId,
        waits_for: &WaitFor,
        until: Timestamp,
    ) -> Result<Option<StoredEvent>, StoreError> {
        let rows = self.outbound.store.run_waits(Some(tenant)).await?;
        let Some(wait) = rows.into_iter().find(|row| row.run == run) else { return Ok(None) };
        let mut after = wait.after;
        loop {
            let order = Order::OldestFirst { after: Some(after) };
            let events = self.outbound.store.event_list(tenant, &EventFilter::default(), order, PAGE).await?;
            let seen = events.len();
            for event in events {
                after = event.id;
                if event.accepted <= until && is_awaited(waits_for, &event) {
                    return Ok(Some(event));
                }
            }
            if seen < PAGE {
                return Ok(None);
            }
        }
    }

    async fn awaited(
        self: &Arc<Self>,
        tenant: TenantId,
        wait: &WaitRow,
        workflow: WorkflowId,
        fence: i64,
        step: StepRow,
    ) -> Result<(), StoreError> {
        self.write(RunWrite {
            tenant,
            run: wait.run,
            workflow,
            hold: Hold::Waiting(fence),
            slot: None,
            parent: None,
            steps: vec![step],
            unless_emitted: None,
            attempts: Vec::new(),
            to: RunTo::Woken,
        })
        .await?;
        self.queued(tenant, workflow);
        Ok(())
    }
}

fn is_awaited(wait: &WaitFor, event: &StoredEvent) -> bool {
    let WaitFor::Event { types, filter, .. } = wait else { return false };
    if !types.matches(&event.event_type) {
        return false;
    }
    let Some(filter) = filter else { return true };
    // One of which it cannot be said is not the one.
    filter.holds(&event_value(event)).unwrap_or(false)
}

/// An event as expressions and steps see it.
pub(crate) fn event_value(event: &StoredEvent) -> Value {
    let data: Value = serde_json::from_slice(&event.data).unwrap_or_default();
    json!({
        "id": wire_id(event),
        "type": &*event.event_type,
        "time": event.time.to_string(),
        "data": data,
    })
}

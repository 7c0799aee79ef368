//! `call`: another workflow of the tenant. Its run begins in the transaction in which this one begins to wait for it.

use std::sync::Arc;

use bytes::Bytes;
use postrider_domain::id::RunId;
use postrider_domain::limits;
use postrider_domain::run::{RunState, TriggerKind};
use postrider_domain::time::Timestamp;
use postrider_domain::workflow::{Call, StepResult, Task};
use postrider_store::StoreError;
use postrider_store::runs::{IntakeOutcome, RunTo};
use serde_json::{Value, json};

use crate::workflow::Runner;
use crate::workflow::hand::Hand;
use crate::workflow::run::{Flow, LEASE};
use crate::workflow::start::{Origin, Start};

const KIND: &str = "call";

pub(in crate::workflow) async fn call(
    runner: &Arc<Runner>,
    hand: &mut Hand,
    task: &Task,
    call: &Call,
    now: Timestamp,
) -> Result<Flow, StoreError> {
    let path = &task.path;
    let known = hand.pending.get(path.as_str()).cloned();
    let until = known.as_ref().and_then(|known| known.until);
    let tries = known.as_ref().map_or(0, |known| known.tries);
    if let Some(run) = known.and_then(|known| known.link) {
        return returned(runner, hand, task, RunId::from_bytes(run), now).await;
    }
    if let Some(until) = until.filter(|until| now < *until) {
        // Between two tries.
        return waits(runner, hand, task, tries, None, until, now).await;
    }
    let tenant = runner.outbound.catalogue.tenant(hand.tenant.id).unwrap_or_else(|| hand.tenant.clone());
    let Some(workflow) = tenant.inbound.workflow(&call.workflow).cloned() else {
        let why = format!("There is no workflow `{}`.", call.workflow);
        hand.ended(path, KIND, StepResult::failed(why), None, now);
        return Ok(Flow::GoesOn);
    };
    let bytes = Bytes::from(call.input.to_string());
    let origin = Origin {
        kind: TriggerKind::Call,
        parent: call.wait.then_some(hand.run),
        depth: hand.depth.saturating_add(1),
        ..Origin::default()
    };
    let start = Start::new(&tenant, &workflow, Arc::new(call.input.clone()), bytes, origin);
    if call.wait && start.waits_behind(hand.workflow, hand.key()) {
        let why =
            format!("`{}` allows no second run beside this one, which would wait for it.", call.workflow);
        hand.ended(path, KIND, StepResult::failed(why), None, now);
        return Ok(Flow::GoesOn);
    }
    let run = RunId::new(now, &*runner.outbound.random);
    let link = Some(*run.as_bytes());
    let to = if call.wait {
        let until = now.plus(task.timeout.unwrap_or(limits::WAIT_MAX));
        hand.began(path, KIND, tries + 1, Some(until), link, now);
        RunTo::Waiting { due: Some(until), event_after: None }
    } else {
        let output = json!({ "runId": run.to_string() });
        hand.ended(path, KIND, StepResult::succeeded(output), link, now);
        RunTo::Running { lease: now.plus(LEASE) }
    };
    let made = runner.commit_with(hand, to, || vec![start.intake(start.run(run, None))]).await?;
    runner.outbound.metrics.run_started();
    runner.queued(tenant.id, workflow.id);
    if !call.wait {
        return Ok(Flow::GoesOn);
    }
    if !start.works() || made.contains(&IntakeOutcome::Skipped(run)) {
        // It has ended as it began, and woke this one.
        runner.queued(tenant.id, hand.workflow);
    }
    Ok(Flow::Stops)
}

/// The run that was called may have ended.
async fn returned(
    runner: &Arc<Runner>,
    hand: &mut Hand,
    task: &Task,
    run: RunId,
    now: Timestamp,
) -> Result<Flow, StoreError> {
    let (tenant, store, path) = (hand.tenant.id, &runner.outbound.store, &task.path);
    let known = hand.pending.get(path.as_str()).cloned();
    let until = known.as_ref().and_then(|known| known.until);
    let tries = known.as_ref().map_or(1, |known| known.tries);
    let link = Some(*run.as_bytes());
    let Some(row) = store.run_get(tenant, run).await? else {
        hand.ended(path, KIND, StepResult::failed("The run that was called is no longer stored."), None, now);
        return Ok(Flow::GoesOn);
    };
    let result = match row.state {
        RunState::Succeeded => {
            let output = store.run_output(tenant, run).await?;
            let output = output.and_then(|output| serde_json::from_slice(&output).ok());
            StepResult::succeeded(json!({
                "runId": run.to_string(), "output": output.unwrap_or(Value::Null)
            }))
        }
        RunState::Failed => {
            let delay = task.retries.get(tries.saturating_sub(1) as usize).copied();
            if let Some(delay) = delay {
                return waits(runner, hand, task, tries, None, now.plus(delay), now).await;
            }
            let why = row.error.unwrap_or_default();
            StepResult::failed(format!("The run {run} that was called failed: {why}"))
        }
        RunState::Cancelled => StepResult::failed(format!("The run {run} that was called was cancelled.")),
        RunState::Queued | RunState::Running | RunState::Waiting => match until {
            // It goes on by itself.
            Some(until) if until <= now => {
                StepResult::failed(format!("The run {run} that was called did not end in time."))
            }
            until => {
                let until = until.unwrap_or(now.plus(limits::WAIT_MAX));
                waits(runner, hand, task, tries, link, until, now).await?;
                // It may have ended between the look and the commit.
                let row = store.run_get(tenant, run).await?;
                if row.is_none_or(|row| row.state.is_final()) {
                    runner.wake(tenant, hand.run, hand.workflow, hand.fence).await?;
                }
                return Ok(Flow::Stops);
            }
        },
    };
    hand.ended(path, KIND, result, link, now);
    Ok(Flow::GoesOn)
}

/// For the run `link`, or where there is none for the next try.
async fn waits(
    runner: &Arc<Runner>,
    hand: &mut Hand,
    task: &Task,
    tries: u32,
    link: Option<[u8; 16]>,
    until: Timestamp,
    now: Timestamp,
) -> Result<Flow, StoreError> {
    hand.began(&task.path, KIND, tries, Some(until), link, now);
    runner.commit(hand, RunTo::Waiting { due: Some(until), event_after: None }).await?;
    Ok(Flow::Stops)
}

//! `wait`: for a while, until a moment, or for an event. Nothing is held meanwhile but rows.

use std::sync::Arc;

use postrider_domain::id::EventId;
use postrider_domain::time::Timestamp;
use postrider_domain::workflow::{StepPath, StepResult, WaitFor};
use postrider_store::StoreError;
use postrider_store::runs::RunTo;
use serde_json::json;

use crate::workflow::Runner;
use crate::workflow::hand::Hand;
use crate::workflow::run::Flow;

const KIND: &str = "wait";

pub(in crate::workflow) async fn wait(
    runner: &Arc<Runner>,
    hand: &mut Hand,
    path: &StepPath,
    wait: &WaitFor,
    now: Timestamp,
) -> Result<Flow, StoreError> {
    let Some(known) = hand.pending.get(path.as_str()).cloned() else {
        return begin(runner, hand, path, wait, now).await;
    };
    if let Some(event) = known.link {
        let event = EventId::from_bytes(event);
        let output = match runner.outbound.store.event_get(hand.tenant.id, event).await? {
            Some(stored) => super::super::waits::event_value(&stored),
            None => json!({ "id": event.to_string() }),
        };
        hand.ended(path, KIND, StepResult::succeeded(output), Some(*event.as_bytes()), now);
        return Ok(Flow::GoesOn);
    }
    let over = known.until.is_none_or(|until| until <= now);
    match wait {
        _ if !over => {
            // Events are looked at from where the look last stood.
            hand.began(path, KIND, 0, known.until, None, now);
            let to = RunTo::Waiting { due: known.until, event_after: None };
            runner.commit(hand, to).await?;
            Ok(Flow::Stops)
        }
        WaitFor::Duration(_) | WaitFor::Until(_) => {
            let until = known.until.map(|until| until.to_string());
            hand.ended(path, KIND, StepResult::succeeded(json!({ "until": until })), None, now);
            Ok(Flow::GoesOn)
        }
        WaitFor::Event { .. } => {
            // One that came in time may not have been looked at yet.
            let until = known.until.unwrap_or(now);
            if let Some(event) = runner.came_by(hand.tenant.id, hand.run, wait, until).await? {
                let output = super::super::waits::event_value(&event);
                hand.ended(path, KIND, StepResult::succeeded(output), Some(*event.id.as_bytes()), now);
                return Ok(Flow::GoesOn);
            }
            let why = "No such event came in time.";
            hand.ended(path, KIND, StepResult::failed(why), None, now);
            Ok(Flow::GoesOn)
        }
    }
}

async fn begin(
    runner: &Arc<Runner>,
    hand: &mut Hand,
    path: &StepPath,
    wait: &WaitFor,
    now: Timestamp,
) -> Result<Flow, StoreError> {
    let until = match wait {
        WaitFor::Duration(duration) => now.plus(*duration),
        WaitFor::Until(until) => *until,
        WaitFor::Event { timeout, .. } => now.plus(*timeout),
    };
    hand.began(path, KIND, 0, Some(until), None, now);
    let event_after = match wait {
        WaitFor::Duration(_) | WaitFor::Until(_) => None,
        // What is accepted from this moment on has a greater id.
        WaitFor::Event { .. } => {
            let newest = runner.outbound.store.event_newest(hand.tenant.id).await?;
            Some(newest.unwrap_or(EventId::lowest_at(Timestamp::default())))
        }
    };
    runner.commit(hand, RunTo::Waiting { due: Some(until), event_after }).await?;
    if event_after.is_some() {
        runner.outbound.arrivals.awaits(hand.tenant.id);
    }
    Ok(Flow::Stops)
}

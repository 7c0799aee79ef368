//! `emit`: an event into the outbound way, or a change of a record, in the transaction that says that the step is done.

use std::sync::Arc;

use postrider_domain::event::EventKind;
use postrider_domain::limits;
use postrider_domain::time::Timestamp;
use postrider_domain::workflow::{EmitEvent, EmitRecord, StepPath, StepResult};
use postrider_store::runs::RunTo;
use postrider_store::{EventOutcome, StoreError};
use serde_json::json;

use crate::derive::place::Place;
use crate::derive::records::{self, Change, Condition, Edit};
use crate::error::EngineError;
use crate::outbound::ingest::{self, Publication};
use crate::workflow::hand::{self, Hand};
use crate::workflow::run::{Flow, ended_state, waits_until};
use crate::workflow::{Runner, run::LEASE};

const KIND: &str = "emit";

pub(in crate::workflow) async fn event(
    runner: &Arc<Runner>,
    hand: &mut Hand,
    path: &StepPath,
    emit: &EmitEvent,
    now: Timestamp,
) -> Result<Flow, StoreError> {
    // As it is now: what was published against an older catalogue is checked against today's.
    let tenant = runner.outbound.catalogue.tenant(hand.tenant.id).unwrap_or_else(|| hand.tenant.clone());
    let data = emit.data.to_string();
    let publication = Publication {
        id: emit.id.as_deref(),
        event_type: &emit.event_type,
        time: emit.time,
        data: &data,
        depth: hand.depth + 1,
    };
    let draft = match ingest::check(&tenant, &publication, EventKind::Normal) {
        Ok(draft) => draft,
        Err(problem) => {
            hand.ended(path, KIND, StepResult::failed(problem.detail), None, now);
            return Ok(Flow::GoesOn);
        }
    };
    let named = draft.external_id.is_some();
    let done = StepResult::succeeded(output(emit));
    let refused = StepResult::failed(format!(
        "Another event has the id `{}`. An id belongs to one event: leave it out, or make it from the run's.",
        emit.id.as_deref().unwrap_or_default()
    ));
    let (write, ended, due);
    if named {
        // It may turn out that the id is another event's: what follows has to wait for that.
        let row = hand.row_of(path, KIND, &done, None, now);
        let instead = hand.row_of(path, KIND, &refused, None, now);
        let mut named = hand.write(RunTo::Running { lease: now.plus(LEASE) });
        named.steps.push(row);
        named.unless_emitted = Some(instead);
        (write, ended, due) = (named, None, None);
    } else {
        hand.ended(path, KIND, done.clone(), None, now);
        let to = hand::to(hand.peek(now, limits::RUN_RESULTS_AT_ONCE), now);
        (ended, due) = (ended_state(&to), waits_until(&to));
        write = hand.write(to);
    }
    let published = loop {
        let (draft, mut write) = (draft.clone(), write.clone());
        let published = runner.outbound.publish_of_run(&tenant, draft, |event| {
            Hand::link_of(&mut write, path.as_str(), event);
            write
        });
        match published.await {
            // Nothing was handed in. After any other error it may have been: then it is read what is there.
            Err(StoreError::Overloaded) if !runner.outbound.is_abandoned() => {
                runner.outbound.clock.sleep(limits::STORE_RETRY).await;
            }
            published => break published?,
        }
    };
    runner.written(hand, ended, due).await;
    match published.outcome {
        EventOutcome::Different => hand.recorded(path, refused),
        EventOutcome::New(_) | EventOutcome::Same(_) if named => hand.recorded(path, done),
        EventOutcome::New(_) | EventOutcome::Same(_) => {}
    }
    Ok(if ended.is_some() { Flow::Stops } else { Flow::GoesOn })
}

fn output(emit: &EmitEvent) -> serde_json::Value {
    json!({ "id": emit.id, "type": emit.event_type })
}

pub(in crate::workflow) async fn record(
    runner: &Arc<Runner>,
    hand: &mut Hand,
    path: &StepPath,
    emit: &EmitRecord,
    now: Timestamp,
) -> Result<Flow, StoreError> {
    let (place, change) = match prepared(runner, hand, emit) {
        Ok(prepared) => prepared,
        Err(problem) => {
            hand.ended(path, KIND, StepResult::failed(problem.detail), None, now);
            return Ok(Flow::GoesOn);
        }
    };
    // What is written depends on what became of the record, and is asked for again when another process was quicker.
    let carried = hand.write(RunTo::Running { lease: now.plus(LEASE) });
    let result = |became: records::Became| {
        StepResult::succeeded(json!({ "kind": emit.kind, "id": emit.id, "became": became.as_str() }))
    };
    let progress = |written: &records::Written| {
        let mut write = carried.clone();
        write.steps.push(hand.row_of(path, KIND, &result(written.became), None, now));
        write
    };
    let depth = hand.depth.saturating_add(1);
    let changed = runner.derive.record_change_of_run(&place, change, depth, &progress).await;
    match changed {
        Ok(became) => hand.recorded(path, result(became)),
        Err(EngineError::Refused(problem)) => {
            hand.put_back(carried);
            hand.ended(path, KIND, StepResult::failed(problem.detail), None, now);
        }
        Err(EngineError::Store(error)) => return Err(error),
    }
    Ok(Flow::GoesOn)
}

fn prepared(
    runner: &Runner,
    hand: &Hand,
    emit: &EmitRecord,
) -> Result<(Place, Change), postrider_domain::problem::Problem> {
    let catalogue = &runner.outbound.catalogue;
    let place = Place::find(catalogue, &emit.kind, Some(&hand.tenant), true, None)?;
    records::check_id(&emit.id)?;
    let edit = match &emit.data {
        Some(data) => Edit::Put(records::content(&data.to_string())?),
        None => Edit::Delete,
    };
    Ok((place, Change { id: emit.id.clone(), edit, old: None, condition: Condition::None }))
}

//! Workflows that call workflows.

use postrider_domain::id::RunId;
use postrider_domain::limits;
use postrider_domain::run::{RunState, StepStatus, TriggerKind};
use postrider_store::runs::RunRow;
use postrider_testkit::receiver::{Answer, Gate};
use serde_json::{Value, json};

use super::{HOUR, Runs, SECOND, Stage, left};

async fn calls(stage: &Stage, more: Value) {
    let mut step =
        json!({"id": "sub", "type": "call", "workflow": "child", "input": {"n": {"$expr": "input.n"}}});
    for (name, value) in more.as_object().expect("an object") {
        step[name] = value.clone();
    }
    stage.steps(json!([step])).await;
}

/// The runs of the workflow that is called, oldest first.
async fn children(stage: &Stage) -> Vec<RunRow> {
    stage.runs().await.into_iter().filter(|row| row.kind == TriggerKind::Call).collect()
}

/// The run that the step `sub` of a run called.
async fn child(stage: &Stage, run: RunId) -> RunRow {
    let patience = tokio::time::Instant::now() + 30 * SECOND;
    loop {
        let steps = stage.steps_of(run).await;
        if let Some(link) = steps.iter().find(|step| step.path == "sub").and_then(|step| step.link) {
            return stage.row(RunId::from_bytes(link)).await;
        }
        assert!(tokio::time::Instant::now() < patience, "nobody was called");
        postrider_testkit::clock::turn().await;
    }
}

#[tokio::test]
async fn a_call_ends_as_the_run_that_it_began() {
    let stage = Stage::open().await;
    calls(&stage, json!({})).await;
    // What is called, the state of who calls, and what is told.
    for (definition, state, told) in [
        (
            json!({"steps": [{"id": "t", "type": "transform", "output": 1}], "output": {"n": {"$expr": "input.n + 1"}}}),
            RunState::Succeeded,
            "",
        ),
        (json!({"steps": []}), RunState::Succeeded, ""),
        (json!({"steps": [{"id": "w", "type": "wait", "for": "1h"}]}), RunState::Succeeded, ""),
        (
            json!({"steps": [{"id": "bad", "type": "fail", "message": "no {{ input.n }}"}]}),
            RunState::Failed,
            "bad: no 7",
        ),
        (
            json!({"steps": [], "input": {"type": "object", "required": ["email"]}}),
            RunState::Failed,
            "failed",
        ),
    ] {
        stage.put("child", definition.clone()).await;
        let run = stage.begin(json!({"n": 7})).await;
        if definition["steps"][0]["type"] == "wait" {
            let row = stage.until(run, |row| row.state == RunState::Waiting).await;
            let child = child(&stage, run).await;
            assert_eq!((child.parent, child.depth), (Some(row.id), 1));
            assert_eq!(stage.pass_until_due(child.id).await, HOUR);
        }
        let row = stage.ended(run).await;
        assert_eq!(row.state, state, "{definition}: {:?}", row.error);
        let child = child(&stage, run).await;
        match state {
            RunState::Succeeded => {
                let output = left(&stage.step(run, "sub").await);
                let expected = if definition["output"].is_null() { json!(null) } else { json!({"n": 8}) };
                assert_eq!(output, json!({"runId": child.id.to_string(), "output": expected}));
            }
            _ => assert!(
                row.error.is_some_and(|why| why.contains(told) && why.contains(&child.id.to_string()))
            ),
        }
    }
}

#[tokio::test]
async fn who_does_not_wait_goes_on_at_once() {
    let stage = Stage::open().await;
    stage.put("child", json!({"steps": [{"id": "w", "type": "wait", "for": "1h"}, {"id": "f", "type": "fail", "message": "no"}]})).await;
    calls(&stage, json!({"wait": false})).await;
    let run = stage.begin(json!({"n": 7})).await;
    assert_eq!(stage.ended(run).await.state, RunState::Succeeded);
    let child = child(&stage, run).await;
    assert_eq!((child.parent, stage.input(child.id).await), (None, json!({"n": 7})));
    stage.pass_until_due(child.id).await;
    assert_eq!(stage.ended(child.id).await.state, RunState::Failed);
}

#[tokio::test]
async fn a_call_that_fails_is_made_again_as_its_retries_say() {
    let stage = Stage::open().await;
    stage
        .put("child", json!({"steps": [{"id": "get", "type": "http", "url": stage.receiver.url("/")}]}))
        .await;
    calls(&stage, json!({"retries": ["2s", "10s"]})).await;
    for (bad, state) in [(2, RunState::Succeeded), (3, RunState::Failed)] {
        stage.receiver.answer_next((0..bad).map(|_| Answer::status(404)));
        let before = children(&stage).await.len();
        let run = stage.begin(json!({"n": 7})).await;
        for seconds in [2, 10] {
            // Not the wait for the run that was called, which has its own bound.
            let due = stage.now_by_clock().plus(seconds * SECOND);
            let waits = |row: &RunRow| row.state == RunState::Waiting && row.due == Some(due);
            stage.until(run, |row| waits(row) && stage.engine.in_hand() == 0).await;
            stage.clock.set(due);
        }
        assert_eq!(stage.ended(run).await.state, state);
        assert_eq!(children(&stage).await.len(), before + 3);
        assert_eq!(stage.step(run, "sub").await.tries, 3);
    }
}

#[tokio::test]
async fn a_call_is_waited_for_as_long_as_it_says() {
    let stage = Stage::open().await;
    stage.put("child", json!({"steps": [{"id": "w", "type": "wait", "for": "3h"}]})).await;
    calls(
        &stage,
        json!({"timeout": "1h", "onError": {"steps": [{"id": "rest", "type": "wait", "for": "5h"}]}}),
    )
    .await;
    let run = stage.begin(json!({"n": 7})).await;
    assert_eq!(stage.pass_until_due(run).await, HOUR);
    stage.until(run, |row| row.due == Some(stage.now_by_clock().plus(5 * HOUR))).await;
    let step = stage.step(run, "sub").await;
    assert_eq!(step.status, StepStatus::Failed);
    assert!(step.error.is_some_and(|why| why.contains("in time")));
    // It goes on by itself, and its end wakes nobody who waits for something else by now.
    let child = child(&stage, run).await;
    let due = stage.row(run).await.due;
    assert_eq!(stage.pass_until_due(child.id).await, 2 * HOUR);
    assert_eq!(stage.ended(child.id).await.state, RunState::Succeeded);
    let row = stage.row(run).await;
    assert_eq!((row.state, row.due), (RunState::Waiting, due));
}

#[tokio::test]
async fn who_calls_hears_of_a_child_that_never_ran() {
    let stage = Stage::open().await;
    let gate = Gate::closed();
    let steps = json!([{"id": "get", "type": "http", "url": stage.receiver.url("/")}]);
    calls(&stage, json!({})).await;
    for (conflict, told) in [("skip", "cancelled"), ("cancelPrevious", "cancelled"), ("queue", "cancelled")] {
        let concurrency = json!({"max": 1, "onConflict": conflict});
        stage.put("child", json!({"concurrency": concurrency, "steps": steps})).await;
        stage.receiver.answer(Answer::ok().behind(&gate));
        let before = stage.receiver.received().len();
        let (holder, run) = match conflict {
            "cancelPrevious" => {
                let run = stage.begin(json!({"n": 1})).await;
                stage.receiver.wait_for(before + 1).await;
                (stage.start("child", json!({})).await, run)
            }
            _ => {
                let holder = stage.start("child", json!({})).await;
                stage.receiver.wait_for(before + 1).await;
                (holder, stage.begin(json!({"n": 1})).await)
            }
        };
        if conflict == "queue" {
            stage.in_state(run, RunState::Waiting).await;
            let queued = child(&stage, run).await;
            assert_eq!((queued.state, queued.due), (RunState::Queued, None));
            stage.engine.runner().cancel(&stage.tenant(), queued.id).await.expect("it waits");
        }
        let row = stage.ended(run).await;
        assert_eq!(row.state, RunState::Failed, "{conflict}");
        assert!(row.error.is_some_and(|why| why.contains(told)));
        stage.engine.runner().cancel(&stage.tenant(), holder).await.expect("it is under way");
    }
}

#[tokio::test]
async fn a_child_whose_workflow_is_deleted_fails_who_called_it() {
    let stage = Stage::open().await;
    stage.put("child", json!({"steps": [{"id": "w", "type": "wait", "for": "1h"}]})).await;
    calls(&stage, json!({})).await;
    let run = stage.begin(json!({"n": 7})).await;
    stage.in_state(child(&stage, run).await.id, RunState::Waiting).await;
    let actor = postrider_engine::control::Actor::postrider();
    let gone =
        stage.engine.control().workflow_delete(&actor, &stage.tenant(), "child").await.expect("deleted");
    stage.engine.runner().cancel_all(stage.tenant.id, gone).await.expect("its runs are ended");
    assert_eq!(stage.ended(run).await.state, RunState::Failed);
    // And the next call finds nobody.
    let run = stage.begin(json!({"n": 7})).await;
    assert!(stage.ended(run).await.error.is_some_and(|why| why.contains("no workflow `child`")));
}

#[tokio::test]
async fn a_workflow_that_calls_itself_comes_to_an_end() {
    for wait in [true, false] {
        let stage = Stage::open().await;
        stage.steps(json!([{"id": "again", "type": "call", "workflow": "flow", "wait": wait}])).await;
        let run = stage.begin(json!({})).await;
        let count = usize::from(limits::EVENT_DEPTH_MAX) + 2;
        let rows = stage.all_ended(count).await;
        assert_eq!(rows.len(), count);
        let first = rows.iter().find(|row| row.id == run).expect("it is there");
        assert_eq!(first.state, if wait { RunState::Failed } else { RunState::Succeeded });
        let deepest = rows.iter().max_by_key(|row| row.depth).expect("one");
        assert_eq!((deepest.state, deepest.depth), (RunState::Failed, limits::EVENT_DEPTH_MAX + 1));
        assert!(deepest.error.as_deref().is_some_and(|why| why.contains("calls itself")));
    }
}

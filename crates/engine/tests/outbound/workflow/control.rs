//! What people do with runs and workflows while they go on.

use postrider_domain::problem::Code;
use postrider_domain::run::{RunState, StepStatus, TriggerKind};
use postrider_engine::EngineError;
use postrider_engine::control::Actor;
use postrider_testkit::receiver::{Answer, Gate};
use serde_json::{Value, json};

use super::{HOUR, Runs, Stage, left, statuses};

fn code<T: std::fmt::Debug>(result: Result<T, EngineError>) -> Code {
    match result {
        Err(EngineError::Refused(problem)) => problem.code,
        other => panic!("it was not refused: {other:?}"),
    }
}

async fn slotted(stage: &Stage, max: u32, key: Option<&str>, conflict: &str) {
    let mut concurrency = json!({"max": max, "onConflict": conflict});
    if let Some(key) = key {
        concurrency["key"] = json!(key);
    }
    let steps = json!([{"id": "get", "type": "http", "url": stage.receiver.url("/{{ input.n }}")}]);
    stage.put("flow", json!({"concurrency": concurrency, "steps": steps})).await;
}

#[tokio::test]
async fn a_run_is_cancelled_in_whatever_state_and_stays_so() {
    let stage = Stage::open().await;
    let gate = Gate::closed();
    stage.receiver.answer(Answer::ok().behind(&gate));
    stage.put("rests", json!({"steps": [{"id": "w", "type": "wait", "for": "1h"}]})).await;
    slotted(&stage, 1, None, "queue").await;
    let resting = stage.start("rests", json!({})).await;
    stage.in_state(resting, RunState::Waiting).await;
    let sending = stage.begin(json!({"n": 1})).await;
    stage.receiver.wait_for(1).await;
    let queued = stage.begin(json!({"n": 2})).await;
    let last = stage.begin(json!({"n": 3})).await;
    assert_eq!(stage.row(queued).await.state, RunState::Queued);
    let runner = stage.engine.runner();
    let tenant = stage.tenant();
    for run in [queued, resting] {
        let row = runner.cancel(&tenant, run).await.expect("it is open");
        assert_eq!((row.state, row.finished), (RunState::Cancelled, Some(stage.now_by_clock())));
        assert_eq!(row.error.as_deref(), Some("It was cancelled."));
        assert_eq!(runner.cancel(&tenant, run).await.expect("once more").state, RunState::Cancelled);
    }
    assert_eq!(stage.row(last).await.due, None, "the one that sends has its place still");
    // The place of the one that sends passes to the last, though its request is not answered.
    runner.cancel(&tenant, sending).await.expect("it is open");
    stage.receiver.wait_for(2).await;
    gate.open();
    assert_eq!(stage.ended(last).await.state, RunState::Succeeded);
    stage.clock.advance(2 * HOUR);
    for run in [sending, queued, resting] {
        assert_eq!(stage.row(run).await.state, RunState::Cancelled);
    }
    assert_eq!(stage.receiver.received().len(), 2);
    assert_eq!(code(runner.cancel(&tenant, last).await), Code::Conflict);
    let foreign = postrider_domain::id::RunId::new(stage.now_by_clock(), &**stage.engine.random());
    assert_eq!(code(runner.cancel(&tenant, foreign).await), Code::NotFound);
}

#[tokio::test]
async fn runs_with_one_key_wait_are_skipped_or_replaced_as_the_workflow_says() {
    for conflict in ["queue", "skip", "cancelPrevious"] {
        let stage = Stage::open().await;
        let gate = Gate::closed();
        stage.receiver.answer(Answer::ok().behind(&gate));
        slotted(&stage, 1, Some("input.k"), conflict).await;
        let first = stage.begin(json!({"k": "a", "n": 1})).await;
        stage.receiver.wait_for(1).await;
        let other = stage.begin(json!({"k": "b", "n": 2})).await;
        stage.receiver.wait_for(2).await;
        let mut more = Vec::new();
        for n in 3..6 {
            more.push(stage.begin(json!({"k": "a", "n": n})).await);
        }
        if conflict == "cancelPrevious" {
            stage.ended(more[1]).await;
            // Only the newest goes on; it may take until what was cancelled has let go of its request.
            stage.until(more[2], |row| row.state == RunState::Running).await;
        }
        gate.open();
        let rows = stage.all_ended(5).await;
        let state = |run| rows.iter().find(|row| row.id == run).expect("it is there").state;
        use RunState::{Cancelled, Succeeded};
        let expected = match conflict {
            "queue" => [Succeeded, Succeeded, Succeeded, Succeeded],
            "skip" => [Succeeded, Cancelled, Cancelled, Cancelled],
            _ => [Cancelled, Cancelled, Cancelled, Succeeded],
        };
        assert_eq!([first, more[0], more[1], more[2]].map(state), expected, "{conflict}");
        assert_eq!(state(other), Succeeded);
        if conflict == "queue" {
            let paths: Vec<_> = stage.receiver.received().iter().map(|one| one.path.clone()).collect();
            assert_eq!(paths, ["/1", "/2", "/3", "/4", "/5"], "in their order");
        }
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_worked_out_fails_the_run_before_it_begins() {
    let stage = Stage::open().await;
    slotted(&stage, 1, Some("input.k"), "queue").await;
    for input in [json!({}), json!({"k": "x".repeat(300)}), json!(7)] {
        let run = stage.begin(input.clone()).await;
        let row = stage.ended(run).await;
        assert_eq!((row.state, row.slot), (RunState::Failed, None), "{input}");
    }
    assert!(stage.receiver.received().is_empty());
}

#[tokio::test]
async fn a_run_is_done_once_more_whole_or_from_a_step_on() {
    let stage = Stage::open().await;
    let fetch = |id: &str| json!({"id": id, "type": "http", "url": stage.receiver.url(&format!("/{id}"))});
    let mut last = fetch("c");
    last["onError"] = json!("continue");
    stage
        .steps(
            json!([fetch("a"), fetch("b"), {"id": "if", "type": "condition", "if": "true", "then": [last]}]),
        )
        .await;
    let run = stage.begin(json!({"n": 1})).await;
    stage.ended(run).await;
    for (from, paths) in [
        (None, vec!["/a", "/b", "/c"]),
        (Some("a"), vec!["/a", "/b", "/c"]),
        (Some("b"), vec!["/b", "/c"]),
        (Some("if"), vec!["/c"]),
        (Some("if/then/c"), vec!["/c"]),
    ] {
        let before = stage.receiver.received().len();
        let replayed =
            stage.engine.runner().replay(&stage.tenant(), run, from, None).await.expect("it starts");
        let postrider_engine::Answered::Fresh(begun) = replayed else { panic!("no key was given") };
        let row = stage.ended(begun.run).await;
        assert_eq!(
            (row.state, row.replay_of, row.kind),
            (RunState::Succeeded, Some(run), TriggerKind::Replay)
        );
        let sent = stage.receiver.received()[before..].to_vec();
        assert_eq!(sent.iter().map(|one| one.path.as_str()).collect::<Vec<_>>(), paths, "{from:?}");
        for one in sent {
            let key = one.header("idempotency-key").expect("a key").to_owned();
            assert!(key.starts_with(&begun.run.to_string()), "another run, another key");
        }
        assert_eq!(stage.input(begun.run).await, json!({"n": 1}));
        assert_eq!(statuses(&stage.steps_of(begun.run).await), statuses(&stage.steps_of(run).await));
    }
    let replay = async |run, from| stage.engine.runner().replay(&stage.tenant(), run, from, None).await;
    assert_eq!(code(replay(run, Some("nothing")).await), Code::InvalidField);
    stage.steps(json!([{"id": "w", "type": "wait", "for": "1h"}])).await;
    let open = stage.begin(json!({})).await;
    assert_eq!(code(replay(open, None).await), Code::Conflict);
    // What was stored does not fit today's definition.
    let replayed = replay(run, Some("b")).await.expect("it is made");
    let postrider_engine::Answered::Fresh(begun) = replayed else { panic!("no key was given") };
    let row = stage.ended(begun.run).await;
    assert_eq!(row.state, RunState::Failed);
    assert!(row.error.is_some_and(|why| why.contains("definition")));
}

#[tokio::test]
async fn a_run_goes_on_with_the_definition_that_it_began_with() {
    let mut stage = Stage::open().await;
    let definition = |says: &str| json!([{"id": "rest", "type": "wait", "for": "1h"}, {"id": "say", "type": "transform", "output": says}]);
    let old = stage.steps(definition("old")).await;
    let first = stage.begin(json!({})).await;
    stage.in_state(first, RunState::Waiting).await;
    let new = stage.steps(definition("new")).await;
    assert_eq!((old.version, new.version), (1, 2));
    let second = stage.begin(json!({})).await;
    stage.in_state(second, RunState::Waiting).await;
    stage.steps(json!([{"id": "other", "type": "fail", "message": "no"}])).await;
    stage = stage.restarted().await;
    assert_eq!(stage.pass_until_due(first).await, HOUR);
    for (run, says) in [(first, "old"), (second, "new")] {
        let row = stage.ended(run).await;
        assert_eq!((row.state, row.error), (RunState::Succeeded, None));
        assert_eq!(left(&stage.step(run, "say").await), json!(says));
    }
}

#[tokio::test]
async fn with_its_workflow_a_run_ends_and_starts_no_more() {
    let stage = Stage::open().await;
    let gate = Gate::closed();
    stage.receiver.answer(Answer::ok().behind(&gate));
    slotted(&stage, 1, None, "queue").await;
    stage.trigger("flow", TriggerKind::Event, json!({"events": ["a.b"]})).await;
    let every = stage.trigger("flow", TriggerKind::Cron, json!({"every": "1h"})).await;
    let sending = stage.begin(json!({"n": 1})).await;
    stage.receiver.wait_for(1).await;
    for n in 0..150 {
        stage.begin(json!({ "n": n })).await;
    }
    let done = Actor::postrider();
    let gone = stage.engine.control().workflow_delete(&done, &stage.tenant(), "flow").await.expect("deleted");
    stage.engine.runner().cancel_all(stage.tenant.id, gone).await.expect("its runs are ended");
    let rows = stage.runs().await;
    assert_eq!(rows.len(), 151);
    assert!(rows.iter().all(|row| row.state == RunState::Cancelled));
    gate.open();
    stage.publish(&stage.tenant, "a.b").await;
    stage.clock.advance(3 * HOUR);
    assert!(stage.tenant().inbound.trigger(every.id).is_none());
    let replayed = stage.engine.runner().replay(&stage.tenant(), sending, None, None).await;
    assert_eq!(code(replayed), Code::Conflict);
    // The name is free, and what is made under it is another workflow.
    slotted(&stage, 1, None, "queue").await;
    let run = stage.begin(json!({"n": 200})).await;
    assert_eq!(stage.ended(run).await.state, RunState::Succeeded);
    assert_eq!(stage.runs().await.len(), 152);
    assert_eq!(stage.receiver.received().len(), 2);
}

#[tokio::test]
async fn a_step_that_is_cut_off_by_a_cancel_is_not_told_as_done() {
    let stage = Stage::open().await;
    let gate = Gate::closed();
    stage.receiver.answer(Answer::ok().behind(&gate));
    stage
        .steps(json!([
            {"id": "get", "type": "http", "url": stage.receiver.url("/")},
            {"id": "tell", "type": "emit", "event": {"type": "a.b", "data": {}}}
        ]))
        .await;
    let run = stage.begin(json!({})).await;
    stage.receiver.wait_for(1).await;
    stage.engine.runner().cancel(&stage.tenant(), run).await.expect("it is under way");
    gate.open();
    // What comes after it is done in the order of the writer.
    let later = stage.begin(Value::Null).await;
    stage.ended(later).await;
    let steps = stage.steps_of(run).await;
    assert_eq!(statuses(&steps), [("get", StepStatus::Pending)]);
    assert_eq!(stage.events().await.len(), 1, "of the later run");
    assert_eq!(stage.row(run).await.state, RunState::Cancelled);
}

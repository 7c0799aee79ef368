//! Each kind of step, and what becomes of a run by it.

use postrider_domain::run::{RunState, StepStatus};
use postrider_testkit::receiver::Answer;
use serde_json::{Value, json};

use super::{Runs, Stage, left, statuses};

#[tokio::test]
async fn every_kind_of_step_leaves_behind_what_it_says() {
    let stage = Stage::open().await;
    stage.receiver.answer(Answer::ok().header("Content-Type", "application/json").body("{\"name\":\"Ada\"}"));
    stage.put("other", json!({ "steps": [] })).await;
    let definition = json!({
        "steps": [
            {"id": "get", "type": "http", "url": stage.receiver.url("/p/{{ input.id }}"), "query": {"a": [1, 2]}},
            {"id": "shape", "type": "transform", "output": {"who": "{{ steps.get.output.body.name }}", "n": {"$expr": "input.n * 2"}}},
            {"id": "big", "type": "condition", "if": "steps.shape.output.n > 3",
             "then": [{"id": "yes", "type": "transform", "output": "yes"}],
             "else": [{"id": "no", "type": "transform", "output": "no"}]},
            {"id": "each", "type": "forEach", "items": {"$expr": "input.list"}, "as": "one",
             "steps": [{"id": "say", "type": "transform", "output": "{{ one }}{{ index }}"}]},
            {"id": "never", "type": "transform", "output": 1, "when": "input.n > 100"},
            {"id": "tell", "type": "emit", "event": {"type": "lead.made", "data": {"id": "{{ input.id }}"}}},
            {"id": "answer", "type": "respond", "status": 201, "body": {"ok": true}},
            {"id": "sub", "type": "call", "workflow": "other", "input": {"a": 1}},
            {"id": "apart", "type": "call", "workflow": "other", "input": {"a": 2}, "wait": false},
            {"id": "rest", "type": "wait", "until": "{{ run.startedAt }}"}
        ],
        "output": {"who": "{{ steps.shape.output.who }}", "run": "{{ run.id }}", "of": "{{ trigger.type }}"}
    });
    stage.put("flow", definition).await;
    let run = stage.begin(json!({"id": "../admin", "n": 2, "list": ["a", "b"]})).await;
    let row = stage.ended(run).await;
    assert_eq!((row.state, row.error, row.finished.is_some()), (RunState::Succeeded, None, true));
    let output = json!({"who": "Ada", "run": run.to_string(), "of": "manual"});
    assert_eq!(stage.output(run).await, output);
    assert_eq!(stage.receiver.received()[0].path, "/p/..%2Fadmin?a=1&a=2");
    let steps = stage.steps_of(run).await;
    for (path, kind, status, expected) in [
        ("shape", "transform", StepStatus::Succeeded, json!({"who": "Ada", "n": 4})),
        ("big", "condition", StepStatus::Succeeded, json!({"branch": "then"})),
        ("big/then/yes", "transform", StepStatus::Succeeded, json!("yes")),
        ("each", "forEach", StepStatus::Succeeded, json!({"count": 2})),
        ("each/0/say", "transform", StepStatus::Succeeded, json!("a0")),
        ("each/1/say", "transform", StepStatus::Succeeded, json!("b1")),
        ("never", "transform", StepStatus::Skipped, Value::Null),
        ("tell", "emit", StepStatus::Succeeded, json!({"id": null, "type": "lead.made"})),
        ("answer", "respond", StepStatus::Succeeded, json!({"status": 201})),
    ] {
        let step =
            steps.iter().find(|step| step.path == path).unwrap_or_else(|| panic!("{path}: {steps:#?}"));
        assert_eq!((step.kind.as_str(), step.status, left(step)), (kind, status, expected), "{path}");
    }
    assert_eq!(left(&stage.step(run, "get").await)["status"], 200);
    for path in ["sub", "apart"] {
        assert!(
            left(&stage.step(run, path).await)["runId"].as_str().is_some_and(|id| id.starts_with("run_"))
        );
    }
    assert!(!steps.iter().any(|step| step.path.contains("/else/")), "the other branch is not gone");
    let mut seqs: Vec<_> = steps.iter().map(|step| step.seq).collect();
    seqs.dedup();
    assert_eq!(seqs.len(), steps.len(), "each has its own place in the order");
    assert!(steps.iter().all(|step| step.finished.is_some()));
}

#[tokio::test]
async fn a_run_fails_with_a_sentence_that_names_the_step() {
    let stage = Stage::open().await;
    let inside = json!([{"id": "bad", "type": "fail", "message": "no {{ input.id }}"}]);
    for (steps, words) in [
        (inside.clone(), &["bad: no 7"][..]),
        (
            json!([{"id": "t", "type": "transform", "output": {"$expr": "input.missing"}}]),
            &["t: ", "missing"],
        ),
        (json!([{"id": "c", "type": "condition", "if": "input.id", "then": []}]), &["c: "]),
        (json!([{"id": "c", "type": "condition", "if": "true", "then": inside}]), &["bad", "no 7"]),
        (json!([{"id": "e", "type": "forEach", "items": {"$expr": "input.id"}, "steps": inside}]), &["e: "]),
        (
            json!([{"id": "e", "type": "forEach", "items": {"$expr": "[1, 2, 3]"}, "max": 2, "steps": inside}]),
            &["e: ", "2"],
        ),
        (json!([{"id": "s", "type": "call", "workflow": "nobody"}]), &["s: ", "nobody"]),
        (
            json!([{"id": "m", "type": "emit", "record": {"kind": "job", "id": "1", "deleted": true}}]),
            &["m: ", "job"],
        ),
        (json!([{"id": "w", "type": "wait", "until": "{{ input.id }}"}]), &["w: "]),
    ] {
        stage.steps(steps.clone()).await;
        let run = stage.begin(json!({"id": 7})).await;
        let row = stage.ended(run).await;
        let error = row.error.unwrap_or_default();
        assert_eq!(row.state, RunState::Failed, "{steps}");
        assert!(words.iter().all(|word| error.contains(word)), "{steps}: {error}");
        assert!(stage.steps_of(run).await.iter().any(|step| step.status == StepStatus::Failed));
    }
    assert!(stage.events().await.is_empty() && stage.receiver.received().is_empty());
}

#[tokio::test]
async fn an_error_is_handled_where_the_step_says_so() {
    let stage = Stage::open().await;
    let fails =
        |on_error: Value| json!({"id": "a", "type": "call", "workflow": "nobody", "onError": on_error});
    let after = json!({"id": "z", "type": "transform", "output": "{{ steps.a.status }} {{ steps.a.error }}"});
    use StepStatus::{Failed, Succeeded};
    for (first, state, expected) in [
        (fails(json!("fail")), RunState::Failed, vec![("a", Failed)]),
        (fails(json!("continue")), RunState::Succeeded, vec![("a", Failed), ("z", Succeeded)]),
        (
            fails(json!({"steps": [{"id": "mend", "type": "transform", "output": "{{ steps.a.error }}"}]})),
            RunState::Succeeded,
            vec![("a", Failed), ("a!/mend", Succeeded), ("z", Succeeded)],
        ),
        (
            fails(json!({"steps": [{"id": "worse", "type": "fail", "message": "worse"}]})),
            RunState::Failed,
            vec![("a", Failed), ("a!/worse", Failed)],
        ),
    ] {
        stage.steps(json!([first.clone(), after.clone()])).await;
        let run = stage.begin(json!({})).await;
        let row = stage.ended(run).await;
        let steps = stage.steps_of(run).await;
        assert_eq!(row.state, state, "{first}: {:?}", row.error);
        let found = statuses(&steps);
        assert!(expected.iter().all(|one| found.contains(one)), "{first}: {found:?}");
        assert_eq!(found.iter().any(|(path, _)| *path == "z"), state == RunState::Succeeded);
        if let Some(z) = steps.iter().find(|step| step.path == "z") {
            assert_eq!(left(z), json!("failed There is no workflow `nobody`."));
        }
    }
}

#[tokio::test]
async fn a_workflow_without_steps_records_what_came_in() {
    let stage = Stage::open().await;
    stage.put("flow", json!({"steps": []})).await;
    let run = stage.begin(json!({"n": 1.5})).await;
    let row = stage.row(run).await;
    assert_eq!((row.state, row.started.is_some(), row.finished.is_some()), (RunState::Succeeded, true, true));
    assert_eq!(stage.input(run).await, json!({"n": 1.5}));
    assert!(stage.steps_of(run).await.is_empty());
}

#[tokio::test]
async fn an_input_that_does_not_follow_its_schema_fails_before_the_first_step() {
    let stage = Stage::open().await;
    let definition = json!({
        "input": {"type": "object", "required": ["email"], "properties": {"email": {"type": "string"}}},
        "concurrency": {"max": 1, "key": "input.email"},
        "steps": [{"id": "a", "type": "http", "url": stage.receiver.url("/")}]
    });
    stage.put("flow", definition).await;
    for input in [json!({}), json!({"email": 7}), json!(null), json!([])] {
        let run = stage.begin(input.clone()).await;
        let row = stage.ended(run).await;
        assert_eq!(row.state, RunState::Failed, "{input}");
        assert!(row.error.is_some_and(|error| !error.is_empty()));
        assert!(stage.steps_of(run).await.is_empty());
    }
    assert!(stage.receiver.received().is_empty());
    let run = stage.begin(json!({"email": "a@example.com"})).await;
    assert_eq!(stage.ended(run).await.state, RunState::Succeeded);
}

#[tokio::test]
async fn many_steps_without_effects_and_a_long_loop_come_to_their_end() {
    let stage = Stage::open().await;
    stage
        .steps(json!([
            {"id": "each", "type": "forEach", "items": {"$expr": "input.list"}, "as": "one",
             "steps": [{"id": "t", "type": "transform", "output": {"$expr": "one * 2"}}]},
            {"id": "end", "type": "transform", "output": {"$expr": "steps.each.output.count"}}
        ]))
        .await;
    let list: Vec<usize> = (0..1000).collect();
    let run = stage.begin(json!({ "list": list })).await;
    let row = stage.ended(run).await;
    assert_eq!((row.state, row.error), (RunState::Succeeded, None));
    assert_eq!(stage.steps_of(run).await.len(), 1002);
    assert_eq!(left(&stage.step(run, "each/999/t").await), json!(1998));
}

//! Runs that wait: nothing is held meanwhile, and a restart changes nothing of it.

use postrider_domain::run::{RunState, StepStatus};
use postrider_domain::time::Timestamp;
use serde_json::{Value, json};

use super::{HOUR, Runs, SECOND, Stage, left};

fn hear(more: &Value) -> Value {
    let mut event = json!({"types": ["bill.*"], "timeout": "3h"});
    for (name, value) in more.as_object().expect("an object") {
        event[name] = value.clone();
    }
    json!([{"id": "hear", "type": "wait", "event": event}])
}

#[tokio::test]
async fn a_wait_ends_at_its_moment_and_not_before() {
    let stage = Stage::open().await;
    let now = stage.now_by_clock();
    for (wait, millis) in [
        (json!({"for": "10m"}), 600_000),
        (json!({"for": "1s"}), 1000),
        (json!({"until": "{{ input.at }}"}), 7000),
    ] {
        let mut step = json!({"id": "rest", "type": "wait"});
        step.as_object_mut().expect("an object").extend(wait.as_object().expect("an object").clone());
        stage.steps(json!([step])).await;
        let before = stage.now_by_clock();
        let run = stage.begin(json!({"at": before.plus(7 * SECOND).to_string()})).await;
        let due = stage.due(run).await;
        assert_eq!(due.unix_ms() - before.unix_ms(), millis);
        stage.clock.set(due.minus(std::time::Duration::from_millis(1)));
        stage.publish(&stage.tenant, "bill.paid").await;
        assert_eq!(stage.row(run).await.state, RunState::Waiting);
        stage.clock.set(due);
        let row = stage.ended(run).await;
        assert_eq!((row.state, row.finished), (RunState::Succeeded, Some(due)));
        assert_eq!(left(&stage.step(run, "rest").await), json!({"until": due.to_string()}));
    }
    // A moment that has passed is not waited for.
    stage.steps(json!([{"id": "rest", "type": "wait", "until": "{{ input.at }}"}])).await;
    let run = stage.begin(json!({"at": now.to_string()})).await;
    assert_eq!(stage.ended(run).await.state, RunState::Succeeded);
}

#[tokio::test]
async fn an_event_is_waited_for_from_the_moment_on_at_which_the_step_began() {
    let stage = Stage::open().await;
    stage.publish(&stage.tenant, "bill.paid").await;
    let filter = json!({"filter": "event.data.n == input.n && event.type != 'bill.lost'"});
    let after = json!({"id": "after", "type": "transform", "output": "{{ steps.hear.output.data.n }}"});
    stage.steps(json!([hear(&filter)[0], after])).await;
    let run = stage.begin(json!({"n": 7})).await;
    assert_eq!(stage.due(run).await, stage.now_by_clock().plus(3 * HOUR));
    for (event_type, data) in [
        ("bill", "{\"n\":7}"),
        ("order.paid", "{\"n\":7}"),
        ("bill.lost", "{\"n\":7}"),
        ("bill.paid", "{\"n\":8}"),
        ("bill.paid", "{}"),
    ] {
        stage.try_publish(&stage.tenant, event_type, None, data).await.expect("accepted");
    }
    stage
        .try_publish(&stage.tenant, "bill.paid", Some("mine"), "{\"n\":7,\"x\":1.50}")
        .await
        .expect("accepted");
    stage.try_publish(&stage.tenant, "bill.paid", Some("late"), "{\"n\":7}").await.expect("accepted");
    let row = stage.ended(run).await;
    assert_eq!((row.state, row.error), (RunState::Succeeded, None));
    let step = stage.step(run, "hear").await;
    let output = left(&step);
    assert_eq!((&output["id"], &output["type"]), (&json!("mine"), &json!("bill.paid")));
    assert_eq!(left(&stage.step(run, "after").await), json!("7"));
    let event = stage.engine.store().event_find(stage.tenant.id, "mine").await.expect("an answer");
    assert_eq!(step.link, event.map(|event| *event.id.as_bytes()));
    assert!(stage.engine.store().run_waits(None).await.expect("waits").is_empty());
}

#[tokio::test]
async fn an_event_that_does_not_come_in_time_fails_the_step() {
    let stage = Stage::open().await;
    for (on_error, state) in [("fail", RunState::Failed), ("continue", RunState::Succeeded)] {
        let mut step = hear(&json!({}))[0].clone();
        step["onError"] = json!(on_error);
        let after = json!({"id": "rest", "type": "wait", "for": "1h"});
        stage.steps(json!([step, after])).await;
        let run = stage.begin(json!({})).await;
        assert_eq!(stage.pass_until_due(run).await, 3 * HOUR);
        if state == RunState::Succeeded {
            stage.until(run, |row| row.due == Some(stage.now_by_clock().plus(HOUR))).await;
            // It waits for something else by now.
            stage.publish(&stage.tenant, "bill.paid").await;
            assert_eq!(stage.pass_until_due(run).await, HOUR);
        }
        let row = stage.ended(run).await;
        assert_eq!(row.state, state);
        let step = stage.step(run, "hear").await;
        assert_eq!((step.status, step.link), (StepStatus::Failed, None));
        assert!(step.error.is_some_and(|why| why.contains("in time")));
    }
}

#[tokio::test]
async fn waits_of_every_kind_outlive_a_restart() {
    let mut stage = Stage::open().await;
    stage.put("sleeps", json!({"steps": [{"id": "rest", "type": "wait", "for": "2h"}]})).await;
    stage.put("hears", json!({"steps": hear(&json!({}))})).await;
    stage.put("misses", json!({"steps": hear(&json!({"types": ["never.x"], "timeout": "1h"}))})).await;
    let tries = json!([{"id": "fetch", "type": "http", "url": stage.receiver.url("/"), "retries": ["1h"]}]);
    stage.put("tries", json!({ "steps": tries })).await;
    let call = json!([{"id": "sub", "type": "call", "workflow": "sleeps"}]);
    stage.put("calls", json!({ "steps": call })).await;
    stage.receiver.answer_next([postrider_testkit::receiver::Answer::status(500)]);
    let mut runs = Vec::new();
    for name in ["sleeps", "hears", "misses", "tries", "calls"] {
        let run = stage.start(name, json!({})).await;
        stage.in_state(run, RunState::Waiting).await;
        runs.push(run);
    }
    stage.until(runs[4], |_| stage.engine.in_hand() == 0).await;
    stage.clock.advance(HOUR / 2);
    let mut before = Vec::new();
    for run in &runs {
        before.push(stage.row(*run).await);
    }
    for _ in 0..2 {
        stage = stage.restarted().await;
        for row in &before {
            assert_eq!(&stage.row(row.id).await, row);
        }
    }
    stage.publish(&stage.tenant, "bill.paid").await;
    assert_eq!(stage.ended(runs[1]).await.state, RunState::Succeeded);
    stage.clock.advance(HOUR / 2);
    assert_eq!(stage.ended(runs[2]).await.state, RunState::Failed);
    assert_eq!(stage.ended(runs[3]).await.state, RunState::Succeeded);
    assert_eq!(stage.receiver.received().len(), 2);
    stage.clock.advance(HOUR);
    assert_eq!(stage.ended(runs[0]).await.state, RunState::Succeeded);
    assert_eq!(stage.ended(runs[4]).await.state, RunState::Succeeded);
}

#[tokio::test]
async fn an_event_that_came_while_nobody_looked_is_found_at_the_start() {
    let stage = Stage::open().await;
    stage.steps(hear(&json!({}))).await;
    let run = stage.begin(json!({})).await;
    stage.in_state(run, RunState::Waiting).await;
    stage.engine.stop(SECOND).await;
    // Accepted by a process that is on its way out.
    stage.publish(&stage.tenant, "bill.paid").await;
    assert_eq!(stage.row(run).await.state, RunState::Waiting);
    let stage = stage.restarted().await;
    assert_eq!(stage.ended(run).await.state, RunState::Succeeded);
}

#[tokio::test]
async fn many_events_pass_by_and_many_wait_for_one() {
    let stage = Stage::open().await;
    stage.steps(hear(&json!({"filter": "event.data.n == 250"}))).await;
    let mut runs = Vec::new();
    for _ in 0..5 {
        let run = stage.begin(json!({})).await;
        stage.in_state(run, RunState::Waiting).await;
        runs.push(run);
    }
    for n in 0..=250 {
        stage
            .try_publish(&stage.tenant, "bill.paid", None, &format!("{{\"n\":{n}}}"))
            .await
            .expect("accepted");
    }
    for run in runs {
        stage.ended(run).await;
        assert_eq!(left(&stage.step(run, "hear").await)["data"], json!({"n": 250}));
    }
    assert!(stage.now_by_clock() < Timestamp::from_unix_ms(i64::MAX));
}

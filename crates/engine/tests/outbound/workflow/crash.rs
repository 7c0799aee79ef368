//! The process stops somewhere in a run.

use postrider_domain::delivery::AttemptClass;
use postrider_domain::run::{RunState, StepStatus, TriggerKind};
use postrider_engine::inbound::receive::Reply;
use postrider_testkit::clock::turn;
use postrider_testkit::receiver::{Answer, Gate};
use serde_json::json;

use super::{HOUR, Runs, SECOND, Stage, left, statuses};

#[tokio::test]
async fn on_disk_a_repeat_after_a_lost_answer_gives_the_same_run() {
    let stage = Stage::open().await;
    stage.steps(json!([{"id": "w", "type": "wait", "for": "1h"}])).await;
    let settings = json!({"verification": {"preset": "none"}, "dedup": {"header": "x-id"}});
    let trigger = stage.trigger("flow", TriggerKind::Webhook, settings).await;
    let ask = [("x-id", "the-same")];
    let Reply::Run { run, duplicate: false, .. } = stage.invoke(&trigger, "{\"n\":1}", &ask).await else {
        panic!("it starts")
    };
    // The answer never arrived: the sender comes again, to another process.
    let after = stage.seen_by(stage.after_power_loss().await);
    let trigger = after.tenant().inbound.trigger(trigger.id).expect("it is there").clone();
    for _ in 0..2 {
        match after.invoke(&trigger, "{\"n\":1}", &ask).await {
            Reply::Run { run: again, duplicate: true, .. } => assert_eq!(again, run),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(after.runs().await.len(), 1);
    assert_eq!(after.pass_until_due(run).await, HOUR);
    assert_eq!(after.ended(run).await.state, RunState::Succeeded);
}

#[tokio::test]
async fn on_disk_a_request_that_was_cut_off_reads_unknown_and_goes_out_again_with_its_key() {
    let stage = Stage::open().await;
    let gate = Gate::closed();
    stage.receiver.answer_next([
        Answer::ok(),
        Answer::ok().behind(&gate),
        Answer::status(500),
        Answer::status(500),
    ]);
    let fetch = |id: &str| json!({"id": id, "type": "http", "url": stage.receiver.url(&format!("/{id}")), "retries": ["3s", "9s"]});
    stage.steps(json!([fetch("a"), fetch("b")])).await;
    let run = stage.begin(json!({})).await;
    stage.receiver.wait_for(2).await;
    let after = stage.seen_by(stage.after_power_loss().await);
    let received = stage.receiver.wait_for(3).await;
    assert_eq!(received[1].header("idempotency-key"), received[2].header("idempotency-key"));
    // What was lost used no step of the schedule.
    assert_eq!(after.pass_until_due(run).await, 3 * SECOND);
    stage.receiver.wait_for(4).await;
    assert_eq!(after.pass_until_due(run).await, 9 * SECOND);
    assert_eq!(after.ended(run).await.state, RunState::Succeeded);
    let received = stage.receiver.received();
    let paths: Vec<_> = received.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(paths, ["/a", "/b", "/b", "/b", "/b"], "what was done is not done again");
    let keys: std::collections::BTreeSet<_> =
        received[1..].iter().map(|one| one.header("idempotency-key").expect("a key")).collect();
    assert_eq!(keys.len(), 1);
    let attempts = after.attempts_of(run).await;
    let seen: Vec<_> = attempts.iter().map(|one| (one.number, one.class)).collect();
    use AttemptClass::{Status, Success, Unknown};
    assert_eq!(seen, [(1, Success), (1, Unknown), (2, Status), (3, Status), (4, Success)]);
    assert_eq!(after.step(run, "b").await.tries, 4);
}

#[tokio::test]
async fn on_disk_a_request_that_is_cut_off_again_and_again_has_a_row_each_time() {
    let stage = Stage::open().await;
    let gate = Gate::closed();
    stage.receiver.answer_next((0..3).map(|_| Answer::ok().behind(&gate)));
    stage.steps(json!([{"id": "a", "type": "http", "url": stage.receiver.url("/")}])).await;
    let run = stage.begin(json!({})).await;
    stage.receiver.wait_for(1).await;
    let mut after = stage.seen_by(stage.after_power_loss().await);
    for sent in 2..=3 {
        stage.receiver.wait_for(sent).await;
        after = stage.seen_by(after.house.after_power_loss().await);
    }
    assert_eq!(after.ended(run).await.state, RunState::Succeeded);
    let classes: Vec<_> = after.attempts_of(run).await.iter().map(|one| one.class).collect();
    use AttemptClass::{Success, Unknown};
    assert_eq!(classes, [Unknown, Unknown, Unknown, Success]);
}

/// The power goes at any moment of a run that emits: each event is there once, and the run comes to its end.
#[tokio::test]
async fn on_disk_an_emit_makes_one_event_whenever_the_power_goes() {
    for turns in 0..12 {
        let stage = Stage::open().await;
        stage
            .steps(json!([
                {"id": "one", "type": "emit", "event": {"type": "a.one", "data": {}}},
                {"id": "two", "type": "emit", "event": {"type": "a.two", "data": {}, "id": "mine"}},
                {"id": "each", "type": "forEach", "items": {"$expr": "[1, 2, 3]"},
                 "steps": [{"id": "tell", "type": "emit", "event": {"type": "a.each", "data": {"n": {"$expr": "item"}}}}]}
            ]))
            .await;
        let run = stage.begin(json!({})).await;
        for _ in 0..turns {
            turn().await;
        }
        let after = stage.seen_by(stage.after_power_loss().await);
        let row = after.ended(run).await;
        assert_eq!((row.state, row.error), (RunState::Succeeded, None), "after {turns} turns");
        let mut types: Vec<_> =
            after.events().await.iter().map(|event| event.event_type.to_string()).collect();
        types.sort();
        assert_eq!(types, ["a.each", "a.each", "a.each", "a.one", "a.two"], "after {turns} turns");
        let links: std::collections::BTreeSet<_> =
            after.steps_of(run).await.into_iter().filter_map(|step| step.link).collect();
        assert_eq!(links.len(), 5, "each step has the event that it made");
    }
}

#[tokio::test]
async fn on_disk_a_record_of_a_run_fires_its_rule_once_whenever_the_power_goes() {
    for turns in 0..6 {
        let stage = Stage::of("runtight").await;
        let data = json!({"title": "Press", "status": "open", "due_date": "2027-04-01"});
        stage.steps(json!([{"id": "save", "type": "emit", "record": {"kind": "work_order", "id": "1", "data": data}}])).await;
        let run = stage.begin(json!({})).await;
        for _ in 0..turns {
            turn().await;
        }
        let after = stage.seen_by(stage.after_power_loss().await);
        assert_eq!(after.ended(run).await.state, RunState::Succeeded);
        assert_eq!(after.events().await.len(), 1, "after {turns} turns");
    }
}

#[tokio::test]
async fn on_disk_a_call_begins_one_run_whenever_the_power_goes() {
    for turns in 0..10 {
        let stage = Stage::open().await;
        stage
            .put(
                "child",
                json!({"steps": [{"id": "t", "type": "emit", "event": {"type": "a.b", "data": {}}}]}),
            )
            .await;
        stage.steps(json!([{"id": "sub", "type": "call", "workflow": "child"}])).await;
        let run = stage.begin(json!({})).await;
        for _ in 0..turns {
            turn().await;
        }
        let after = stage.seen_by(stage.after_power_loss().await);
        assert_eq!(after.ended(run).await.state, RunState::Succeeded, "after {turns} turns");
        assert_eq!((after.runs().await.len(), after.events().await.len()), (2, 1), "after {turns} turns");
    }
}

#[tokio::test]
async fn on_disk_waits_and_their_events_outlive_the_power() {
    let stage = Stage::open().await;
    stage.put("sleeps", json!({"steps": [{"id": "w", "type": "wait", "for": "1h"}]})).await;
    stage
        .put(
            "hears",
            json!({"steps": [{"id": "w", "type": "wait", "event": {"types": ["a.b"], "timeout": "9h"}}]}),
        )
        .await;
    let (sleeps, hears) = (stage.start("sleeps", json!({})).await, stage.start("hears", json!({})).await);
    for run in [sleeps, hears] {
        stage.in_state(run, RunState::Waiting).await;
    }
    // It is accepted, and the power goes before anybody has looked at it.
    stage.publish(&stage.tenant, "a.b").await;
    let after = stage.seen_by(stage.after_power_loss().await);
    assert_eq!(after.ended(hears).await.state, RunState::Succeeded);
    assert_eq!(left(&after.step(hears, "w").await)["type"], "a.b");
    assert_eq!(after.pass_until_due(sleeps).await, HOUR);
    assert_eq!(after.ended(sleeps).await.state, RunState::Succeeded);
}

#[tokio::test]
async fn on_disk_a_run_that_nobody_had_begun_begins() {
    let stage = Stage::open().await;
    stage.steps(json!([{"id": "t", "type": "emit", "event": {"type": "x.y", "data": {}}}])).await;
    stage.trigger("flow", TriggerKind::Event, json!({"events": ["a.b"]})).await;
    stage.engine.stop(SECOND).await;
    stage.publish(&stage.tenant, "a.b").await;
    let runs = stage.runs().await;
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].state, RunState::Queued);
    let after = stage.seen_by(stage.after_power_loss().await);
    assert_eq!(after.ended(runs[0].id).await.state, RunState::Succeeded);
}

#[tokio::test]
async fn on_disk_what_has_ended_is_as_it_was_after_every_crash() {
    let stage = Stage::open().await;
    stage.put("good", json!({"steps": [{"id": "t", "type": "emit", "event": {"type": "x.y", "data": {}}}], "output": 7})).await;
    stage.put("bad", json!({"steps": [{"id": "get", "type": "http", "url": stage.receiver.url("/")}, {"id": "f", "type": "fail", "message": "no"}]})).await;
    stage.put("stopped", json!({"steps": [{"id": "w", "type": "wait", "for": "1h"}]})).await;
    let runs = [
        stage.start("good", json!({})).await,
        stage.start("bad", json!({})).await,
        stage.start("stopped", json!({})).await,
    ];
    stage.in_state(runs[2], RunState::Waiting).await;
    stage.engine.runner().cancel(&stage.tenant(), runs[2]).await.expect("it waits");
    let mut before = Vec::new();
    for run in runs {
        stage.ended(run).await;
        before.push((stage.row(run).await, stage.steps_of(run).await, stage.attempts_of(run).await));
    }
    let mut after = stage.seen_by(stage.after_power_loss().await);
    for _ in 0..3 {
        after.house.clock.advance(2 * HOUR);
        // Something that goes on after it shows that this process works.
        let other = after.start("good", json!({})).await;
        after.ended(other).await;
        for (row, steps, attempts) in &before {
            assert_eq!(&after.row(row.id).await, row);
            assert_eq!(&after.steps_of(row.id).await, steps);
            assert_eq!(&after.attempts_of(row.id).await, attempts);
        }
        after = stage.seen_by(after.house.after_power_loss().await);
    }
    assert_eq!(stage.receiver.received().len(), 1);
    assert_eq!(statuses(&before[2].1), [("w", StepStatus::Pending)]);
}

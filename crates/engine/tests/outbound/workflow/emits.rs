//! What runs send out: events and changes of records, with the commit of their step; and what events start.

use postrider_domain::delivery::DeliveryState;
use postrider_domain::limits;
use postrider_domain::run::{RunState, StepStatus, TriggerKind};
use serde_json::{Value, json};

use super::{Runs, Stage, left};

#[tokio::test]
async fn an_event_of_a_run_goes_the_way_of_every_event() {
    let stage = Stage::open().await;
    stage.webhook(&stage.tenant, &stage.receiver.url("/"), &["lead.*"]).await;
    stage
        .steps(json!([
            {"id": "one", "type": "emit", "event": {"type": "lead.made", "data": {"n": {"$expr": "input.n"}}}},
            {"id": "two", "type": "emit", "event": {"type": "other.made", "data": {}, "time": "2026-01-01T00:00:00Z"}}
        ]))
        .await;
    let run = stage.begin(json!({"n": 7})).await;
    assert_eq!(stage.ended(run).await.state, RunState::Succeeded);
    let events = stage.events().await;
    let seen: Vec<_> = events.iter().map(|event| (&*event.event_type, event.depth)).collect();
    assert_eq!(seen, [("lead.made", 1), ("other.made", 1)]);
    assert_eq!(events[1].time.to_string(), "2026-01-01T00:00:00.000Z");
    for (path, event) in [("one", &events[0]), ("two", &events[1])] {
        assert_eq!(stage.step(run, path).await.link, Some(*event.id.as_bytes()));
    }
    let deliveries = stage.house.all_ended(&stage.tenant).await;
    assert_eq!(deliveries.len(), 1);
    assert_eq!(deliveries[0].state, DeliveryState::Delivered);
    let body = stage.receiver.received()[0].body.clone();
    assert!(String::from_utf8_lossy(&body).contains("\"n\":7"));
    stage.ledger_balances().await;
}

#[tokio::test]
async fn an_id_that_is_given_belongs_to_one_event() {
    let stage = Stage::open().await;
    let emit = json!({"id": "tell", "type": "emit", "onError": "continue",
        "event": {"type": "lead.made", "data": {"n": {"$expr": "input.n"}}, "id": "lead-{{ input.id }}"}});
    let after = json!({"id": "after", "type": "emit", "event": {"type": "x.after", "data": {}}});
    stage.steps(json!([emit, after])).await;
    for (n, id, status, count) in [
        (1, "a", StepStatus::Succeeded, 1),
        (1, "a", StepStatus::Succeeded, 1),
        (2, "a", StepStatus::Failed, 1),
        (2, "b", StepStatus::Succeeded, 2),
    ] {
        let run = stage.begin(json!({"n": n, "id": id})).await;
        assert_eq!(stage.ended(run).await.state, RunState::Succeeded);
        let step = stage.step(run, "tell").await;
        assert_eq!(step.status, status, "{n} {id}");
        let events = stage.events().await;
        let named: Vec<_> = events.iter().filter(|event| event.external_id.is_some()).collect();
        assert_eq!(named.len(), count);
        match status {
            StepStatus::Failed => {
                assert!(step.error.is_some_and(|why| why.contains("`lead-a`")));
                assert_eq!(step.link, None);
            }
            _ => {
                let wanted = format!("lead-{id}");
                let event = named.iter().find(|event| event.external_id.as_deref() == Some(&*wanted));
                assert_eq!(step.link, event.map(|event| *event.id.as_bytes()), "the one that is stored");
            }
        }
        assert_eq!(stage.step(run, "after").await.status, StepStatus::Succeeded);
    }
}

#[tokio::test]
async fn an_event_that_nobody_could_publish_fails_its_step_and_is_not_there() {
    let stage = Stage::open().await;
    for event in [
        json!({"type": "{{ input.bad }}", "data": {}}),
        json!({"type": "a.b", "data": {}, "id": "{{ input.long }}"}),
    ] {
        stage.steps(json!([{"id": "tell", "type": "emit", "event": event}])).await;
        let input = json!({"bad": "no type", "long": "x".repeat(5000)});
        let run = stage.begin(input).await;
        let row = stage.ended(run).await;
        assert_eq!(row.state, RunState::Failed, "{event}");
        assert!(row.error.is_some_and(|why| why.starts_with("tell: ")));
    }
    assert!(stage.events().await.is_empty());
}

#[tokio::test]
async fn a_record_of_a_run_fires_its_rules_in_the_same_commit() {
    let stage = Stage::of("runtight").await;
    let record = |more: Value| {
        let mut record = json!({"kind": "work_order", "id": "wo-{{ input.id }}"});
        for (name, value) in more.as_object().expect("an object") {
            record[name] = value.clone();
        }
        json!([{"id": "save", "type": "emit", "record": record}])
    };
    let data = |status: &str| json!({"data": {"title": "Press", "status": status, "due_date": "2027-04-01"}});
    for (more, became, fired) in [
        (data("open"), "created", vec!["wo.created"]),
        (data("open"), "unchanged", vec![]),
        (data("completed"), "updated", vec!["wo.completed"]),
        (json!({"deleted": true}), "deleted", vec![]),
    ] {
        let before = stage.events().await.len();
        stage.steps(record(more.clone())).await;
        let run = stage.begin(json!({"id": 1})).await;
        let row = stage.ended(run).await;
        assert_eq!(row.state, RunState::Succeeded, "{:?}", row.error);
        let expected = json!({"kind": "work_order", "id": "wo-1", "became": became});
        assert_eq!(left(&stage.step(run, "save").await), expected);
        let types: Vec<_> =
            stage.events().await[before..].iter().map(|event| event.event_type.to_string()).collect();
        assert_eq!(types, fired, "{more}");
    }
    for more in [
        json!({"data": {"$expr": "[1]"}}),
        json!({"kind": "nothing", "data": {}}),
        json!({"id": "", "deleted": true}),
    ] {
        stage.steps(record(more.clone())).await;
        let run = stage.begin(json!({"id": 1})).await;
        assert_eq!(stage.ended(run).await.state, RunState::Failed, "{more}");
    }
}

#[tokio::test]
async fn an_event_starts_a_run_in_its_own_commit_if_the_trigger_wants_it() {
    let stage = Stage::open().await;
    stage
        .steps(json!([{"id": "t", "type": "transform", "output": "{{ input.data.n }} {{ trigger.type }}"}]))
        .await;
    let settings = json!({"events": ["order.*", "bill.paid"], "filter": "input.data.n > 1 && input.type != 'order.bad'"});
    let trigger = stage.trigger("flow", TriggerKind::Event, settings).await;
    for (event_type, data, starts) in [
        ("order.made", "{\"n\":2}", true),
        ("order.made.late", "{\"n\":2}", true),
        ("bill.paid", "{\"n\":9}", true),
        ("bill.sent", "{\"n\":9}", false),
        ("order.made", "{\"n\":1}", false),
        ("order.bad", "{\"n\":2}", false),
        ("order.made", "{}", false),
        ("order", "{\"n\":2}", false),
    ] {
        let before = stage.runs().await.len();
        let published = stage.try_publish(&stage.tenant, event_type, None, data).await.expect("accepted");
        // It is there with the event: nobody has to wait for it.
        let runs = stage.runs().await;
        assert_eq!(runs.len() - before, usize::from(starts), "{event_type} {data}");
        if starts {
            let run = runs.last().expect("a run");
            assert_eq!((run.kind, run.trigger, run.depth), (TriggerKind::Event, Some(trigger.id), 0));
            let postrider_store::EventOutcome::New(event) = published.outcome else { panic!("it is new") };
            assert_eq!(run.event, Some(event));
            let input = stage.input(run.id).await;
            assert_eq!(
                (input["type"].as_str(), input["data"].to_string()),
                (Some(event_type), data.to_owned())
            );
            assert_eq!(stage.ended(run.id).await.state, RunState::Succeeded);
        }
    }
    // The same event again is no second one, and starts no second run.
    for _ in 0..2 {
        stage.try_publish(&stage.tenant, "bill.paid", Some("mine"), "{\"n\":5}").await.expect("accepted");
    }
    assert_eq!(stage.all_ended(4).await.len(), 4);
}

#[tokio::test]
async fn a_workflow_that_reacts_to_its_own_events_comes_to_an_end() {
    let stage = Stage::open().await;
    stage.steps(json!([{"id": "tell", "type": "emit", "event": {"type": "a.b", "data": {}}}])).await;
    stage.trigger("flow", TriggerKind::Event, json!({"events": ["a.*"]})).await;
    stage.publish(&stage.tenant, "a.b").await;
    let rows = stage.all_ended(usize::from(limits::EVENT_DEPTH_MAX) + 1).await;
    let depths: Vec<_> = stage.events().await.iter().map(|event| event.depth).collect();
    assert_eq!(depths, (0..=limits::EVENT_DEPTH_MAX).collect::<Vec<_>>());
    let (last, before): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|row| row.depth == limits::EVENT_DEPTH_MAX);
    assert!(before.iter().all(|row| row.state == RunState::Succeeded), "{before:#?}");
    let [last] = &last[..] else { panic!("{last:#?}") };
    assert_eq!(last.state, RunState::Failed);
    assert!(last.error.as_deref().is_some_and(|why| why.starts_with("tell: ")), "{:?}", last.error);
}

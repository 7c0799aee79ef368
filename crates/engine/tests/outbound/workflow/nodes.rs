//! Two nodes on one PostgreSQL work on the same runs.

use std::time::Duration;

use postrider_domain::delivery::AttemptClass;
use postrider_domain::run::{RunState, TriggerKind};
use postrider_testkit::clock::turn;
use postrider_testkit::receiver::{Answer, Gate, Receiver};
use serde_json::json;

use super::{HOUR, Runs, Stay};
use crate::house::House;

/// Two nodes that know of the same workflow `flow`.
async fn two(steps: serde_json::Value) -> [Stay; 2] {
    let [one, other] = House::two_nodes().await;
    let tenant = one.tenant("standard").await;
    other.heard(|catalogue| catalogue.tenant(tenant.id).is_some()).await;
    let one = Stay { house: one, tenant: tenant.clone() };
    one.put("flow", json!({ "steps": steps })).await;
    let knows = |house: &House| {
        let tenant = house.engine.catalogue().tenant(tenant.id);
        tenant.is_some_and(|tenant| tenant.inbound.workflow("flow").is_some())
    };
    other.heard(|_| knows(&other)).await;
    [one, Stay { house: other, tenant }]
}

#[tokio::test]
async fn no_step_is_done_by_two() {
    let receiver = Receiver::start().await;
    receiver.answer_with({
        let mut n = 0;
        move |_| {
            n += 1;
            Answer::status(if n % 3 == 0 { 500 } else { 200 })
        }
    });
    let fetch = |id: &str| json!({"id": id, "type": "http", "url": receiver.url("/"), "retries": ["1s", "1s", "1s", "1s", "1s", "1s"]});
    let [one, other] = two(json!([
        fetch("a"),
        {"id": "tell", "type": "emit", "event": {"type": "x.y", "data": {}}},
        fetch("b")
    ]))
    .await;
    for n in 0..20 {
        let node = if n % 2 == 0 { &one } else { &other };
        node.begin(json!({ "n": n })).await;
    }
    let patience = tokio::time::Instant::now() + Duration::from_secs(60);
    while !one.runs().await.iter().all(|row| row.state.is_final()) {
        assert!(tokio::time::Instant::now() < patience, "{:#?}", one.runs().await);
        one.house.clock.advance(Duration::from_secs(1));
        turn().await;
    }
    let rows = one.runs().await;
    assert!(rows.iter().all(|row| row.state == RunState::Succeeded), "{rows:#?}");
    let mut attempts = 0;
    for row in &rows {
        let of_run = one.attempts_of(row.id).await;
        assert!(of_run.iter().all(|one| one.class != AttemptClass::Unknown));
        attempts += of_run.len();
    }
    assert_eq!(receiver.received().len(), attempts, "each request has its row, and each row its request");
    assert_eq!(one.events().await.len(), 20);
}

#[tokio::test]
async fn runs_of_a_node_that_is_gone_go_on_on_the_other() {
    let receiver = Receiver::start().await;
    let gate = Gate::closed();
    receiver.answer_next([Answer::ok().behind(&gate)]);
    let [one, other] = two(json!([{"id": "a", "type": "http", "url": receiver.url("/")}, {"id": "w", "type": "wait", "for": "1h"}])).await;
    let run = one.begin(json!({})).await;
    let first = receiver.wait_for(1).await;
    one.house.engine.stop(Duration::ZERO).await;
    one.house.engine.store().close().await;
    // The other hears of it, leads, and takes over with one of its regular looks.
    let patience = tokio::time::Instant::now() + Duration::from_secs(60);
    while receiver.received().len() < 2 {
        assert!(tokio::time::Instant::now() < patience, "nobody took over");
        other.house.clock.advance(Duration::from_secs(5));
        turn().await;
    }
    let received = receiver.received();
    assert_eq!(first[0].header("idempotency-key"), received[1].header("idempotency-key"));
    gate.open();
    other.pass_until_due(run).await;
    assert_eq!(other.ended(run).await.state, RunState::Succeeded);
    let classes: Vec<_> = other.attempts_of(run).await.iter().map(|one| one.class).collect();
    assert_eq!(classes, [AttemptClass::Unknown, AttemptClass::Success]);
}

#[tokio::test]
async fn a_moment_of_the_clock_starts_one_run_however_many_look() {
    let [one, other] = two(json!([])).await;
    let trigger = one.trigger("flow", TriggerKind::Cron, json!({"every": "1h"})).await;
    other
        .house
        .heard(|catalogue| {
            let tenant = catalogue.tenant(one.tenant.id);
            tenant.is_some_and(|tenant| tenant.inbound.trigger(trigger.id).is_some())
        })
        .await;
    for hours in 1..=5 {
        one.house.clock.advance(HOUR);
        let rows = one.all_ended(hours).await;
        assert_eq!(rows.len(), hours);
    }
    let mut moments: Vec<_> = Vec::new();
    for row in one.runs().await {
        moments.push(one.input(row.id).await["scheduledAt"].clone());
    }
    let expected: Vec<_> = (1..=5).map(|hours| json!(trigger.since.plus(hours * HOUR).to_string())).collect();
    assert_eq!(moments, expected);
}

#[tokio::test]
async fn an_event_of_one_node_is_heard_by_a_run_that_began_on_the_other() {
    let [one, other] =
        two(json!([{"id": "hear", "type": "wait", "event": {"types": ["a.b"], "timeout": "9h"}}])).await;
    let run = one.begin(json!({})).await;
    one.in_state(run, RunState::Waiting).await;
    other.house.publish(&other.tenant, "a.b").await;
    let patience = tokio::time::Instant::now() + Duration::from_secs(60);
    while !one.row(run).await.state.is_final() {
        assert!(tokio::time::Instant::now() < patience, "it is not heard");
        one.house.clock.advance(Duration::from_secs(5));
        turn().await;
    }
    assert_eq!(one.row(run).await.state, RunState::Succeeded);
}

//! From a request of a stranger to a run, through the routes.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::world::{Ask, PUBLIC_URL, Reply, World};

/// A workflow and a webhook trigger of it, as the answer to its creation shows it.
pub(crate) async fn trigger(world: &World, workflow: &Value, trigger: &Value) -> Value {
    let put = world.operator(Method::PUT, "/v1/workflows/leads", "acme").json(workflow).send().await;
    assert!(matches!(put.status, 200 | 201), "{}", put.text);
    let path = "/v1/workflows/leads/triggers";
    world.operator(Method::POST, path, "acme").json(trigger).send().await.expect_status(201).json
}

/// A trigger of a workflow that records what came in.
pub(crate) async fn recorder(world: &World, made: &Value) -> Value {
    // Ids are made in the order of their milliseconds, and tests ask for lists in that order.
    world.clock.advance(Duration::from_millis(1));
    trigger(world, &json!({"steps": []}), made).await
}

/// Where a trigger's requests go, as a path.
pub(crate) fn hook(trigger: &Value) -> String {
    let url = trigger["webhookUrl"].as_str().expect("a webhook trigger has a URL");
    url.strip_prefix(PUBLIC_URL).expect("our own").to_owned()
}

/// A request to a trigger, without a key.
pub(crate) fn invoke<'w>(world: &'w World, trigger: &Value) -> Ask<'w> {
    world.ask(Method::POST, hook(trigger))
}

/// What came to a trigger, oldest first.
pub(crate) async fn requests_of(world: &World, trigger: &Value) -> Vec<Value> {
    let id = trigger["id"].as_str().expect("an id");
    let rows = world.whole_list(&format!("/v1/requests?trigger={id}"), "acme").await;
    rows.into_iter().rev().collect()
}

pub(crate) async fn runs_of(world: &World, trigger: &Value) -> Vec<Value> {
    let id = trigger["id"].as_str().expect("an id");
    let rows = world.whole_list(&format!("/v1/workflows/leads/runs?trigger={id}"), "acme").await;
    rows.into_iter().rev().collect()
}

pub(crate) fn trigger_path(trigger: &Value) -> String {
    format!("/v1/workflows/leads/triggers/{}", trigger["id"].as_str().expect("an id"))
}

/// Waits until a run has ended, and gives it.
pub(crate) async fn ended(world: &World, run: &str) -> Value {
    loop {
        let path = format!("/v1/runs/{run}");
        let shown = world.operator(Method::GET, path, "acme").send().await.expect_status(200).json;
        if !shown["finishedAt"].is_null() {
            return shown;
        }
        postrider_testkit::clock::turn().await;
    }
}

pub(crate) async fn acme() -> World {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    world
}

pub(crate) fn run_of(reply: &Reply) -> String {
    reply.str("/runId")
}

#[tokio::test]
async fn a_request_with_the_secret_starts_a_run_that_emits_an_event() {
    let world = acme().await;
    let workflow = json!({"steps": [
        {"id": "shape", "type": "transform", "output": {"text": "Hello {{ input.email }}"}},
        {"id": "tell", "type": "emit",
         "event": {"type": "lead.received", "data": {"text": {"$expr": "steps.shape.output.text"}}}},
    ]});
    let made = json!({"type": "webhook", "name": "Lead capture", "secret": "a-secret-of-at-least-24-bytes"});
    let trigger = trigger(&world, &workflow, &made).await;
    let body = json!({"event": "lead.created", "email": "person@example.com"});
    let refused = invoke(&world, &trigger).json(&body).send().await;
    refused.expect_problem(401, "verification_failed", "");
    world.clock.advance(Duration::from_millis(1));
    let reply = invoke(&world, &trigger)
        .header("X-Webhook-Secret", "a-secret-of-at-least-24-bytes")
        .json(&body)
        .send()
        .await
        .expect_status(202);
    assert_eq!(reply.json["duplicate"], false);
    let run = ended(&world, &run_of(&reply)).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    assert_eq!(run["triggerType"], "webhook");
    assert_eq!(run["input"], body);
    assert_eq!(run["steps"][0]["output"]["text"], "Hello person@example.com");
    let event = run["steps"][1]["eventId"].as_str().expect("the event that it made");
    let event = world.operator(Method::GET, format!("/v1/events/{event}"), "acme").send().await;
    assert_eq!(event.expect_status(200).json["data"]["text"], "Hello person@example.com");
    let requests = world.whole_list("/v1/requests", "acme").await;
    let causes: Vec<&str> = requests.iter().filter_map(|row| row["cause"].as_str()).collect();
    assert_eq!(causes, ["accepted", "verification_failed"]);
    assert!(!requests.iter().any(|row| row.to_string().contains("a-secret-of")));
}

#[tokio::test]
async fn a_workflow_without_steps_records_what_came_in() {
    let world = acme().await;
    let trigger =
        trigger(&world, &json!({"steps": []}), &json!({"type": "webhook", "generateSecret": true})).await;
    let secret = trigger["secret"].as_str().expect("it is shown once").to_owned();
    let reply = invoke(&world, &trigger).header("X-Webhook-Secret", &secret).raw("{\"a\": 1}").send().await;
    assert_eq!(reply.json["status"], "succeeded");
    let run = ended(&world, &run_of(&reply.expect_status(202))).await;
    assert_eq!(run["input"], json!({"a": 1}));
}

#[tokio::test]
async fn a_run_is_counted_once_as_it_begins_and_once_as_it_ends() {
    let world = acme().await;
    let trigger =
        trigger(&world, &json!({"steps": []}), &json!({"type": "webhook", "generateSecret": true})).await;
    let secret = trigger["secret"].as_str().expect("it is shown once").to_owned();
    for duplicate in [false, true] {
        let ask = invoke(&world, &trigger).header("X-Webhook-Secret", &secret);
        let reply = ask.header("Idempotency-Key", "lead-1").json(&json!({"a": 1})).send().await;
        assert_eq!(reply.json["duplicate"], duplicate, "{}", reply.text);
    }
    let metrics = world.ask(Method::GET, "/metrics").send().await.expect_status(200).text;
    for line in ["postrider_runs_started_total 1", "postrider_runs_ended_total{state=\"succeeded\"} 1"] {
        assert!(metrics.lines().any(|shown| shown == line), "{line}\n{metrics}");
    }
}

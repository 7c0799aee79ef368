//! Events: accepted once, read back with their fate.

use http::Method;
use postrider_testkit::receiver::{Answer, Receiver};
use serde_json::{Value, json};

use crate::world::World;

async fn world() -> World {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    world
}

#[tokio::test]
async fn an_accepted_event_is_delivered_and_tells_its_fate() {
    let world = world().await;
    let receiver = Receiver::start().await;
    receiver.answer(Answer::status(200).header("X-Seen", "yes").body("thanks"));
    let webhook = world.webhook("acme", &receiver.url("/in"), &["order.*"]).await;

    let accepted = world.publish("acme", &json!({"type": "order.created", "data": {"n": 1.0}})).await;
    assert_eq!(accepted["matched"], 1);
    assert_eq!(accepted["type"], "order.created");
    let received = receiver.wait_for(1).await;
    assert_eq!(received[0].path, "/in");

    let path = format!("/v1/events/{}", accepted["id"].as_str().expect("an id"));
    let event = world.operator(Method::GET, &path, "acme").send().await.expect_status(200);
    assert!(event.text.contains(r#""data":{"n":1.0}"#), "data is shown as it was sent: {}", event.text);
    let delivery = event.str("/deliveries/0/id");
    assert_eq!(event.json["outcomes"][0]["webhookId"], webhook["id"]);
    assert_eq!(event.json["outcomes"][0]["outcome"], "delivery");

    let ended = world.ended("acme", &delivery).await;
    assert_eq!(ended["state"], "delivered");
    assert_eq!(ended["reason"], "accepted");
    assert_eq!(ended["attemptCount"], 1);
    assert_eq!(ended["nextAttemptAt"], Value::Null);
    let attempt = &ended["attempts"][0];
    assert_eq!((&attempt["status"], &attempt["class"]), (&json!(200), &json!("success")));
    assert_eq!(attempt["responseBody"], "thanks");
    assert!(attempt["responseHeaders"].as_str().unwrap_or("").to_lowercase().contains("x-seen: yes"));

    let ledger = world.operator(Method::GET, "/v1/ledger", "acme").send().await.json;
    assert_eq!(
        (&ledger["accepted"], &ledger["delivered"], &ledger["balanced"]),
        (&json!(1), &json!(1), &json!(true))
    );
    let stats = format!("/v1/webhooks/{}/stats", webhook["id"].as_str().expect("an id"));
    let stats = world.operator(Method::GET, stats, "acme").send().await.expect_status(200).json;
    assert_eq!((&stats["attempts"], &stats["successRate"]), (&json!(1), &json!(1.0)));
}

#[tokio::test]
async fn every_webhook_that_gets_nothing_has_its_reason() {
    let world = world().await;
    let url = "https://hooks.example.com/in";
    world.webhook("acme", url, &["invoice.*"]).await;
    let off = world.webhook("acme", url, &["*"]).await;
    let path = format!("/v1/webhooks/{}", off["id"].as_str().expect("an id"));
    world.operator(Method::PATCH, &path, "acme").raw(r#"{"enabled": false}"#).send().await.expect_status(200);
    let gone = world.webhook("acme", url, &["*"]).await;
    let path_gone = format!("/v1/webhooks/{}", gone["id"].as_str().expect("an id"));
    world.operator(Method::DELETE, &path_gone, "acme").send().await.expect_status(204);
    let accepted = world.publish("acme", &json!({"type": "order.created", "data": 1})).await;
    assert_eq!(accepted["matched"], 0);
    // What changes later does not change the answer.
    world.operator(Method::PATCH, &path, "acme").raw(r#"{"enabled": true}"#).send().await.expect_status(200);
    world.webhook("acme", url, &["*"]).await;

    let path = format!("/v1/events/{}", accepted["id"].as_str().expect("an id"));
    let event = world.operator(Method::GET, path, "acme").send().await.expect_status(200).json;
    let reasons: Vec<&str> = event["outcomes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|outcome| outcome["reason"].as_str())
        .collect();
    assert_eq!(reasons, ["patterns_do_not_match", "webhook_off", "not_registered_then"]);
    assert_eq!(event["deliveries"], json!([]));
}

#[tokio::test]
async fn the_same_event_is_accepted_once() {
    let world = world().await;
    let event = json!({"id": "order-17", "type": "order.created", "time": "2026-04-11T09:00:00+02:00", "data": {"n": 1}});
    let first = world.publish("acme", &event).await;
    assert_eq!((&first["id"], &first["duplicate"]), (&json!("order-17"), &Value::Null));
    let second = world.publish("acme", &event).await;
    assert_eq!((&second["id"], &second["duplicate"]), (&json!("order-17"), &json!(true)));
    assert_eq!(world.whole_list("/v1/events", "acme").await.len(), 1);
    let read =
        world.operator(Method::GET, "/v1/events/order-17", "acme").send().await.expect_status(200).json;
    assert_eq!(read["time"], "2026-04-11T07:00:00.000Z");
    assert_eq!(read["acceptedAt"], "2026-04-11T09:15:30.250Z");
}

#[tokio::test]
async fn a_batch_answers_for_each_event_on_its_own() {
    let world = world().await;
    world.publish("acme", &json!({"id": "old", "type": "a.b", "data": 1})).await;
    world.webhook("acme", "https://hooks.example.com/in", &["a.*"]).await;
    let batch = r#"{"events": [
        {"id": "new", "type": "a.b", "data": 1},
        {"id": "old", "type": "a.b", "data": 1},
        {"id": "old", "type": "a.b", "data": 2},
        {"id": "new", "type": "a.b", "data": 1},
        {"type": "c.d", "data": 1},
        {"type": "a b", "data": 1},
        {"type": "a.b"},
        {"type": "a.b", "data": 1, "dat": 2},
        17
    ]}"#;
    let reply =
        world.operator(Method::POST, "/v1/events/batch", "acme").raw(batch).send().await.expect_status(200);
    let items = reply.json["data"].as_array().expect("a list of items");
    let short: Vec<Value> = items
        .iter()
        .map(|item| {
            json!([
                item["status"],
                item["id"].as_str().filter(|id| !id.starts_with("evt_")),
                item["duplicate"],
                item["matched"],
                item["problem"]["code"],
                item["problem"]["field"]
            ])
        })
        .collect();
    let expected = json!([
        [202, "new", null, 1, null, null],
        [202, "old", true, null, null, null],
        [409, null, null, null, "id_taken", "id"],
        [202, "new", true, null, null, null],
        [202, null, null, 0, null, null],
        [422, null, null, null, "invalid_field", "type"],
        [422, null, null, null, "missing_field", "data"],
        [422, null, null, null, "unknown_field", "dat"],
        [422, null, null, null, "invalid_field", null],
    ]);
    assert_eq!(json!(short), expected, "{}", reply.text);
    assert_eq!(world.whole_list("/v1/events", "acme").await.len(), 3);
}

#[tokio::test]
async fn a_batch_of_a_thousand_is_one_answer() {
    let world = world().await;
    let events: Vec<Value> =
        (0..1000).map(|n| json!({"id": format!("e-{n}"), "type": "a.b", "data": n})).collect();
    let body = json!({"events": events});
    let reply =
        world.operator(Method::POST, "/v1/events/batch", "acme").json(&body).send().await.expect_status(200);
    let items = reply.json["data"].as_array().expect("a list of items");
    assert_eq!(items.len(), 1000);
    assert!(
        items.iter().enumerate().all(|(n, item)| item["id"] == format!("e-{n}") && item["status"] == 202)
    );
    let empty =
        world.operator(Method::POST, "/v1/events/batch", "acme").raw(r#"{"events": []}"#).send().await;
    assert_eq!(empty.expect_status(200).json, json!({"data": []}));
}

#[tokio::test]
async fn a_schema_violation_draws_a_warning_unless_it_is_refused() {
    let world = World::start().await;
    world.tenant("pit", "rcmanager").await;
    let event = json!({"type": "vehicle.created", "data": {"vehicle": 7}});
    let accepted = world.publish("pit", &event).await;
    assert_eq!(accepted["warnings"][0]["code"], "schema_violation");
}

#[tokio::test]
async fn a_delivery_that_ended_is_sent_again_as_a_new_one() {
    let world = World::start().await;
    world.tenant("jobs", "org-jobs").await;
    let receiver = Receiver::start().await;
    receiver.answer_next([Answer::status(500)]);
    let settings =
        json!({"settings": {"webhook": {"url": receiver.url("/in"), "secret": "0123456789abcdef01234567"}}});
    world.operator(Method::PATCH, "/v1/tenants/jobs", "").json(&settings).send().await.expect_status(200);
    let example =
        world.operator(Method::GET, "/v1/event-types/job.created", "jobs").send().await.json["example"]
            .clone();
    let accepted = world.publish("jobs", &json!({"type": "job.created", "data": example})).await;
    let event = format!("/v1/events/{}", accepted["id"].as_str().expect("an id"));
    let first = world.operator(Method::GET, &event, "jobs").send().await.str("/deliveries/0/id");
    let ended = world.ended("jobs", &first).await;
    assert_eq!((&ended["state"], &ended["reason"]), (&json!("failed"), &json!("single_attempt_failed")));

    let retry = || {
        world
            .operator(Method::POST, format!("/v1/deliveries/{first}/retry"), "jobs")
            .header("Idempotency-Key", "r1")
    };
    let retried = retry().send().await.expect_status(202);
    let second = retried.str("/id");
    assert_ne!(second, first);
    assert_eq!(retry().send().await.expect_status(202).str("/id"), second, "the same key retries once");
    let ended = world.ended("jobs", &second).await;
    assert_eq!((&ended["state"], &ended["kind"]), (&json!("delivered"), &json!("replay")));
    let received = receiver.wait_for(2).await;
    assert_eq!(received.len(), 2);
    let old = world.operator(Method::GET, format!("/v1/deliveries/{first}"), "jobs").send().await.json;
    assert_eq!(old["state"], "failed", "what has ended stays as it ended");
    let ledger = world.operator(Method::GET, "/v1/ledger", "jobs").send().await.json;
    assert_eq!((&ledger["replays"]["delivered"], &ledger["balanced"]), (&json!(1), &json!(true)));
}

#[tokio::test]
async fn a_delivery_is_sent_once_more_to_another_url() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let (own, other) = (Receiver::start().await, Receiver::start().await);
    world.webhook("acme", &own.url("/in"), &["order.created"]).await;
    let accepted = world.publish("acme", &json!({"type": "order.created", "data": {"n": 1}})).await;
    let event = format!("/v1/events/{}", accepted["id"].as_str().expect("an id"));
    let first = world.operator(Method::GET, &event, "acme").send().await.str("/deliveries/0/id");
    world.ended("acme", &first).await;

    let there = other.url("/dev?token=hush");
    let to = |url: &str| {
        world
            .operator(Method::POST, format!("/v1/deliveries/{first}/resend"), "acme")
            .header("Idempotency-Key", "r1")
            .json(&json!({"url": url}))
    };
    let resent = to(&there).send().await.expect_status(202);
    assert_eq!(resent.str("/resendOf"), first);
    let id = resent.str("/id");
    assert_eq!(to(&there).send().await.expect_status(202).str("/id"), id, "the same key sends once");
    to(&other.url("/else")).send().await.expect_problem(409, "idempotency_key_reused", "Idempotency-Key");

    let ended = world.ended("acme", &id).await;
    assert_eq!((&ended["state"], &ended["kind"]), (&json!("delivered"), &json!("test")));
    assert_eq!((&ended["sentTo"], &ended["attemptCount"]), (&json!(there), &json!(1)));
    assert_eq!(ended["attempts"].as_array().map(Vec::len), Some(1));
    let original = world.operator(Method::GET, format!("/v1/deliveries/{first}"), "acme").send().await.json;
    assert_eq!(original.get("sentTo"), None);
    assert_eq!((own.received().len(), other.received().len()), (1, 1));
    assert_eq!(own.received()[0].body, other.received()[0].body);
    let ledger = world.operator(Method::GET, "/v1/ledger", "acme").send().await.json;
    assert_eq!((&ledger["accepted"], &ledger["balanced"]), (&json!(1), &json!(true)));

    let audit = world.whole_list("/v1/audit", "acme").await;
    let rows: Vec<_> = audit.iter().filter(|entry| entry["action"] == "delivery.resent_elsewhere").collect();
    assert_eq!(rows.len(), 1);
    assert_eq!((&rows[0]["target"], &rows[0]["after"]["host"]), (&json!(first), &json!("127.0.0.1")));
    assert!(!rows[0].to_string().contains("hush"), "a URL may hold credentials");

    let retry = format!("/v1/deliveries/{id}/retry");
    world.operator(Method::POST, retry, "acme").send().await.expect_problem(409, "conflict", "");
    let resend = |url: &str| {
        let path = format!("/v1/deliveries/{first}/resend");
        world.operator(Method::POST, path, "acme").json(&json!({"url": url}))
    };
    resend("http://169.254.169.254/latest").send().await.expect_problem(422, "url_forbidden", "url");
    resend("ftp://dev.example.com/").send().await.expect_problem(422, "url_invalid", "url");
    assert_eq!(own.received().len(), 1, "the webhook gets nothing");
}

#[tokio::test]
async fn a_delivery_that_has_not_ended_cannot_be_retried() {
    let world = World::start().await;
    world.tenant("plant", "runtight").await;
    world.webhook("plant", "https://hooks.example.com/in", &["asset.created"]).await;
    let example =
        world.operator(Method::GET, "/v1/event-types/asset.created", "plant").send().await.json["example"]
            .clone();
    world.publish("plant", &json!({"type": "asset.created", "data": example})).await;
    let waiting = world.operator(Method::GET, "/v1/deliveries?state=scheduled", "plant").send().await;
    assert_eq!(waiting.json["data"][0]["reason"], "waiting_for_scan");
    assert!(waiting.json["data"][0]["nextAttemptAt"].is_string());
    let retry = format!("/v1/deliveries/{}/retry", waiting.str("/data/0/id"));
    world.operator(Method::POST, retry, "plant").send().await.expect_problem(409, "delivery_not_final", "");
}

#[tokio::test]
async fn an_operator_runs_a_tenants_scan_now() {
    let world = World::start().await;
    world.tenant("plant", "runtight").await;
    let receiver = Receiver::start().await;
    world.webhook("plant", &receiver.url("/in"), &["asset.created"]).await;
    let example =
        world.operator(Method::GET, "/v1/event-types/asset.created", "plant").send().await.json["example"]
            .clone();
    world.publish("plant", &json!({"type": "asset.created", "data": example})).await;
    assert!(receiver.received().is_empty());
    let run = || world.operator(Method::POST, "/v1/scans/run", "plant");
    assert_eq!(run().send().await.expect_status(202).json["due"], 1);
    receiver.wait_for(1).await;
    assert_eq!(run().send().await.expect_status(202).json["due"], 0);
}

//! `POST /v1/events/preview`: what would be sent is what is sent, and nothing comes of asking.

use http::Method;
use postrider_testkit::receiver::Receiver;
use serde_json::{Value, json};

use crate::world::World;

async fn preview(world: &World, tenant: &str, event: &Value) -> Value {
    let ask = world.operator(Method::POST, "/v1/events/preview", tenant).json(event);
    ask.send().await.expect_status(200).json
}

#[tokio::test]
async fn a_preview_shows_the_bytes_that_publishing_sends() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let receiver = Receiver::start().await;
    let body = json!({
        "url": receiver.url("/in"), "events": ["order.*"], "generateSecret": true,
        "headers": {"X-Of-Mine": "hush"}
    });
    world.operator(Method::POST, "/v1/webhooks", "acme").json(&body).send().await.expect_status(201);
    let event = json!({
        "id": "mine-1", "type": "order.created", "time": "2026-01-02T03:04:05Z", "data": {"n": 1.50, "ä": "\n"}
    });
    let shown = preview(&world, "acme", &event).await;
    let outcome = &shown["outcomes"][0];
    assert_eq!((&outcome["matched"], &outcome["due"]), (&json!(true), &json!("now")), "{shown}");
    let request = &outcome["request"];
    assert!(!shown.to_string().contains("hush"), "{shown}");

    world.publish("acme", &event).await;
    receiver.wait_for(1).await;
    let received = receiver.received().remove(0);
    assert_eq!(request["body"].as_str().map(str::as_bytes), Some(&received.body[..]));
    assert_eq!(request["method"], received.method.as_str());
    // The clock stands, and the event brings its id: the signature is the same as well.
    for header in request["headers"].as_array().expect("headers") {
        let (name, value) = (header[0].as_str().expect("a name"), header[1].as_str().expect("a value"));
        let sent = received.header(name);
        if name == "x-of-mine" {
            assert_eq!((value, sent), ("********", Some("hush")));
        } else {
            assert_eq!(sent, Some(value), "{name}");
        }
    }
}

#[tokio::test]
async fn a_preview_says_why_a_webhook_would_not_get_the_event_and_stores_nothing() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    world.webhook("acme", "https://hooks.example.com/other", &["invoice.paid"]).await;
    let off = json!({"url": "https://hooks.example.com/off", "events": ["*"], "enabled": false});
    world.operator(Method::POST, "/v1/webhooks", "acme").json(&off).send().await.expect_status(201);
    let before = world.state(&["acme"]).await;
    let shown = preview(&world, "acme", &json!({"type": "order.created", "data": 1})).await;
    let reasons: Vec<&str> = shown["outcomes"]
        .as_array()
        .expect("outcomes")
        .iter()
        .filter_map(|outcome| outcome["reason"].as_str())
        .collect();
    assert_eq!(reasons, ["patterns_do_not_match", "webhook_off"], "{shown}");
    let bad = json!({"type": "order created", "data": 1});
    let ask = world.operator(Method::POST, "/v1/events/preview", "acme").json(&bad);
    ask.send().await.expect_problem(422, "invalid_field", "type");
    assert_eq!(world.state(&["acme"]).await, before);
}

#[tokio::test]
async fn a_publisher_of_all_tenants_sees_no_preview() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let event = json!({"type": "order.created", "data": 1});
    for (tenant, status) in [(None, 403), (Some("acme"), 200)] {
        let key = world.key("publisher", tenant).await;
        let ask = world.ask(Method::POST, "/v1/events/preview").key(&key).header("Postrider-Tenant", "acme");
        assert_eq!(ask.json(&event).send().await.status, status);
    }
}

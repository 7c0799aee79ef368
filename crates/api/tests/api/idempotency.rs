//! `Idempotency-Key`: a creating request that is repeated creates once and answers alike.

use http::Method;
use serde_json::{Value, json};

use crate::world::{Ask, World};

async fn world() -> World {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    world.tenant("other", "standard").await;
    world
}

/// Every creating POST: sent twice, it answers the same and creates once.
#[tokio::test]
async fn the_same_request_again_gets_the_same_answer_and_creates_nothing() {
    let world = world().await;
    let webhook = json!({"url": "https://hooks.example.com/", "events": ["*"], "generateSecret": true});
    let cases: [(&str, &str, Value, &[&str]); 6] = [
        ("/v1/events", "acme", json!({"type": "a.b", "data": 1}), &[]),
        (
            "/v1/events/batch",
            "acme",
            json!({"events": [{"type": "a.b", "data": 1}, {"type": "a b", "data": 1}]}),
            &[],
        ),
        ("/v1/webhooks", "acme", webhook, &["secret"]),
        ("/v1/inboxes", "acme", json!({"status": 503}), &[]),
        ("/v1/tenants", "", json!({"id": "new", "profile": "standard"}), &[]),
        ("/v1/keys", "", json!({"role": "admin", "tenant": "acme", "name": "n"}), &["key"]),
    ];
    for (path, tenant, body, shown_once) in cases {
        let ask = || world.operator(Method::POST, path, tenant).json(&body).header("Idempotency-Key", "k1");
        let first = ask().send().await;
        assert!(first.status < 300, "{path}: {}", first.text);
        let state = world.state(&["acme"]).await;
        let second = ask().send().await;
        assert_eq!(second.status, first.status, "{path}: {}", second.text);
        assert_eq!(second.headers["idempotency-replayed"], "true");
        let mut expected = first.json.clone();
        for name in shown_once {
            let fields = expected.as_object_mut().expect("an answer is an object");
            assert!(
                fields.remove(*name).is_some_and(|secret| secret.is_string()),
                "{path} shows {name} once"
            );
            fields.insert("secretShown".to_owned(), true.into());
            assert!(!second.text.contains(first.json[*name].as_str().expect("a secret")), "{path}");
        }
        assert_eq!(second.json, expected, "{path}");
        assert_eq!(world.state(&["acme"]).await, state, "{path} created something again");
    }
}

#[tokio::test]
async fn the_same_key_with_another_request_is_refused() {
    let world = world().await;
    let event = |data: u32| json!({"type": "a.b", "data": data});
    let publish = |data: u32| {
        world.operator(Method::POST, "/v1/events", "acme").json(&event(data)).header("Idempotency-Key", "k")
    };
    publish(1).send().await.expect_status(202);
    publish(2).send().await.expect_problem(409, "idempotency_key_reused", "Idempotency-Key");
    // Another tenant's key of the same name, and another endpoint's, are other keys.
    let other: Ask<'_> =
        world.operator(Method::POST, "/v1/events", "other").json(&event(2)).header("Idempotency-Key", "k");
    other.send().await.expect_status(202);
    let batch = json!({"events": [event(3)]});
    let batch =
        world.operator(Method::POST, "/v1/events/batch", "acme").json(&batch).header("Idempotency-Key", "k");
    batch.send().await.expect_status(200);
    assert_eq!(world.whole_list("/v1/events", "acme").await.len(), 2);
}

#[tokio::test]
async fn a_refusal_for_a_taken_id_is_repeated_too() {
    let world = world().await;
    world.publish("acme", &json!({"id": "e", "type": "a.b", "data": 1})).await;
    let body = json!({"id": "e", "type": "a.b", "data": 2});
    for _ in 0..2 {
        let ask =
            world.operator(Method::POST, "/v1/events", "acme").json(&body).header("Idempotency-Key", "k");
        ask.send().await.expect_problem(409, "id_taken", "id");
    }
}

#[tokio::test]
async fn a_refused_request_uses_no_key_up() {
    let world = world().await;
    let ask = |body: &str| {
        world.operator(Method::POST, "/v1/events", "acme").raw(body).header("Idempotency-Key", "k")
    };
    ask(r#"{"type": "a b", "data": 1}"#).send().await.expect_problem(422, "invalid_field", "type");
    ask(r#"{"type": "a.b", "data": 1}"#).send().await.expect_status(202);
}

#[tokio::test]
async fn an_idempotency_key_has_a_form() {
    let world = world().await;
    let long = "x".repeat(256);
    for key in ["", long.as_str(), "Grüße"] {
        let ask = world.operator(Method::POST, "/v1/events", "acme").raw(r#"{"type": "a.b", "data": 1}"#);
        let reply = ask.header("Idempotency-Key", key).send().await;
        reply.expect_problem(422, "idempotency_key_invalid", "Idempotency-Key");
    }
}

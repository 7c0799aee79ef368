//! API keys: shown once, listed with their use, revoked for good.

use http::Method;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::world::World;

#[tokio::test]
async fn a_key_is_shown_once_works_until_it_is_revoked_and_stays_in_the_list() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let body = json!({"role": "viewer", "tenant": "acme", "name": "A dashboard"});
    let made = world.operator(Method::POST, "/v1/keys", "").json(&body).send().await.expect_status(201);
    let (id, key) = (made.str("/id"), made.str("/key"));
    assert!(id.starts_with("key_") && key.len() >= 32);
    let ask = || world.ask(Method::GET, "/v1/tenants/acme").header("X-API-Key", &key);
    ask().send().await.expect_status(200);
    world.engine.control().key_uses_write().await.expect("uses are written");
    let list = world.operator(Method::GET, "/v1/keys", "acme").send().await.expect_status(200);
    assert!(!list.text.contains(&key), "{}", list.text);
    assert_eq!(list.json["data"].as_array().map(Vec::len), Some(1));
    assert_eq!((&list.json["data"][0]["id"], &list.json["data"][0]["revokedAt"]), (&json!(id), &Value::Null));
    assert!(list.json["data"][0]["lastUsedAt"].is_string(), "{}", list.text);

    world.operator(Method::DELETE, format!("/v1/keys/{id}"), "").send().await.expect_status(204);
    ask().send().await.expect_problem(401, "key_invalid", "");
    let list = world.operator(Method::GET, "/v1/keys", "acme").send().await.json;
    assert!(list["data"][0]["revokedAt"].is_string());
}

#[tokio::test]
async fn a_key_belongs_to_what_its_role_works_on() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    for (body, field) in [
        (json!({"role": "admin", "name": "n"}), "tenant"),
        (json!({"role": "operator", "tenant": "acme", "name": "n"}), "tenant"),
        (json!({"role": "admin", "tenant": "nobody", "name": "n"}), "tenant"),
        (json!({"role": "king", "name": "n"}), "role"),
    ] {
        let reply = world.operator(Method::POST, "/v1/keys", "").json(&body).send().await;
        assert_eq!((reply.status, reply.json["field"].as_str()), (422, Some(field)), "{}", reply.text);
    }
    let unnamed = json!({"role": "publisher"});
    let made = world.operator(Method::POST, "/v1/keys", "").json(&unnamed).send().await.expect_status(201);
    assert_eq!((made.str("/name").as_str(), &made.json["tenant"]), ("publisher", &Value::Null));
}

#[tokio::test]
async fn a_weak_operator_key_is_refused() {
    let world = World::start().await;
    let refused = world.engine.control().ensure_operator_key(Some(SecretString::from("short"))).await;
    let refused = refused.expect_err("31 characters are too few").to_string();
    assert!(refused.contains("key_too_weak") || refused.contains("32"), "{refused}");
}

//! `/v1/secrets`: written, counted, listed, and never shown.

use http::Method;
use postrider_domain::limits;
use serde_json::{Value, json};

use crate::world::World;

const VALUE: &str = "value-hush-0815";

async fn put(world: &World, name: &str, value: &str) -> crate::world::Reply {
    let body = json!({"value": value});
    world.operator(Method::PUT, format!("/v1/secrets/{name}"), "acme").json(&body).send().await
}

#[tokio::test]
async fn a_secret_is_written_counted_listed_and_deleted_and_never_shown() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let first = put(&world, "API_KEY", VALUE).await.expect_status(201);
    assert_eq!((first.str("/name"), &first.json["version"]), ("API_KEY".to_owned(), &json!(1)));
    world.clock.advance(std::time::Duration::from_secs(1));
    let second = put(&world, "API_KEY", &format!("{VALUE}-2")).await.expect_status(200);
    assert_eq!(second.json["version"], 2);
    assert_eq!(second.str("/createdAt"), first.str("/createdAt"));
    assert_ne!(second.str("/updatedAt"), first.str("/updatedAt"));
    put(&world, "b", VALUE).await.expect_status(201);
    put(&world, "Z", VALUE).await.expect_status(201);
    let one = world.operator(Method::GET, "/v1/secrets/API_KEY", "acme").send().await.expect_status(200);
    assert_eq!(one.json, second.json);

    let list = world.operator(Method::GET, "/v1/secrets?limit=2", "acme").send().await.expect_status(200);
    assert_eq!((list.str("/data/0/name"), list.str("/data/1/name")), ("API_KEY".into(), "Z".into()));
    let next = format!("/v1/secrets?limit=2&cursor={}", list.str("/nextCursor"));
    let rest = world.operator(Method::GET, next, "acme").send().await.expect_status(200);
    assert_eq!((rest.str("/data/0/name"), &rest.json["nextCursor"]), ("b".into(), &Value::Null));

    world.operator(Method::DELETE, "/v1/secrets/b", "acme").send().await.expect_status(204);
    for method in [Method::GET, Method::DELETE] {
        world.operator(method, "/v1/secrets/b", "acme").send().await.expect_problem(404, "not_found", "");
    }
    // The name begins anew.
    assert_eq!(put(&world, "b", VALUE).await.expect_status(201).json["version"], 1);
    let audit = world.operator(Method::GET, "/v1/audit", "acme").send().await.expect_status(200);
    assert!(audit.text.contains("secret.created") && audit.text.contains("secret.deleted"));
    for reply in [&first, &second, &one, &list, &rest, &audit] {
        assert!(!reply.text.contains("hush"), "{}", reply.text);
    }
}

#[tokio::test]
async fn bad_secrets_are_refused_and_change_nothing() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let before = world.state(&["acme"]).await;
    for name in ["1a", "a-b", "a.b", "_a", "%C3%A4", "a%00", &"a".repeat(65)] {
        put(&world, name, VALUE).await.expect_problem(422, "invalid_field", "name");
    }
    let long = "x".repeat(limits::STEP_SECRET_BYTES_MAX + 1);
    for value in ["", &long] {
        put(&world, "a", value).await.expect_problem(422, "secret_invalid", "value");
    }
    put(&world, "a", "a\0b").await.expect_problem(422, "invalid_field", "value");
    let ask = |body: &str| world.operator(Method::PUT, "/v1/secrets/a", "acme").raw(body);
    ask("{}").send().await.expect_problem(422, "missing_field", "value");
    ask(r#"{"value": 7}"#).send().await.expect_problem(422, "invalid_field", "value");
    ask(r#"{"value": "x", "name": "b"}"#).send().await.expect_problem(422, "unknown_field", "name");
    assert_eq!(world.state(&["acme"]).await, before);
    assert_eq!(world.whole_list("/v1/secrets", "acme").await, Vec::<Value>::new());
    put(&world, "a", &"ä".repeat(limits::STEP_SECRET_BYTES_MAX / 2)).await.expect_status(201);
}

#[tokio::test]
async fn a_tenant_has_a_bounded_number_of_secrets() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    for n in 0..limits::STEP_SECRETS_PER_TENANT_MAX {
        put(&world, &format!("s{n}"), VALUE).await.expect_status(201);
    }
    put(&world, "more", VALUE).await.expect_problem(409, "secret_limit", "");
    put(&world, "s7", VALUE).await.expect_status(200);
    assert_eq!(world.whole_list("/v1/secrets", "acme").await.len(), limits::STEP_SECRETS_PER_TENANT_MAX);
}

#[tokio::test]
async fn a_foreign_tenants_secret_does_not_exist() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    world.tenant("other", "standard").await;
    put(&world, "API_KEY", VALUE).await.expect_status(201);
    let admin = world.key("admin", Some("other")).await;
    for method in [Method::GET, Method::DELETE] {
        let ask = world.ask(method.clone(), "/v1/secrets/API_KEY").key(&admin);
        ask.send().await.expect_problem(404, "not_found", "");
        let named = world.ask(method, "/v1/secrets/API_KEY").key(&admin).header("Postrider-Tenant", "acme");
        named.send().await.expect_problem(404, "not_found", "");
    }
    // The same name is its own.
    let ask = world.ask(Method::PUT, "/v1/secrets/API_KEY").key(&admin).json(&json!({"value": "x"}));
    assert_eq!(ask.send().await.expect_status(201).json["version"], 1);
}

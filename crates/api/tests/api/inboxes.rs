//! Inboxes: made, told what to answer, sent to by anybody, read by their tenant, deleted.

use http::Method;
use postrider_domain::limits;
use serde_json::{Value, json};

use crate::world::{Reply, World};

async fn inbox(world: &World, tenant: &str) -> Value {
    world.operator(Method::POST, "/v1/inboxes", tenant).send().await.expect_status(201).json
}

/// The path of its URL.
fn path(inbox: &Value) -> String {
    let url = inbox["url"].as_str().expect("a URL");
    url.strip_prefix("http://postrider.test").expect("the installation's own").to_owned()
}

async fn set(world: &World, tenant: &str, inbox: &Value, status: u64) -> Reply {
    let path = format!("/v1/inboxes/{}", inbox["id"].as_str().expect("an id"));
    world.operator(Method::PATCH, path, tenant).json(&json!({"status": status})).send().await
}

async fn came(world: &World, tenant: &str, inbox: &Value) -> Vec<Value> {
    let path = format!("/v1/inboxes/{}/requests", inbox["id"].as_str().expect("an id"));
    world.whole_list(&path, tenant).await
}

#[tokio::test]
async fn what_anybody_sends_to_an_inbox_is_seen_by_its_tenant() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    world.tenant("other", "standard").await;
    let inbox = inbox(&world, "acme").await;
    let slug = path(&inbox);
    assert!(slug.len() >= "/inbox/".len() + 32, "{slug} is not to be guessed");
    let ask = world.ask(Method::PUT, &slug).header("X-Of-Mine", "yes").header("Authorization", "Bearer hush");
    let reply = ask.raw("{\"a\": 1}\n").send().await;
    assert_eq!((reply.status, &reply.json["received"]), (200, &json!(true)), "{}", reply.text);
    assert_eq!(set(&world, "acme", &inbox, 503).await.expect_status(200).json["status"], 503);
    let reply = world.ask(Method::POST, &slug).raw([0u8, 255]).send().await;
    assert_eq!(reply.status, 503);
    assert_eq!(world.ask(Method::GET, &slug).send().await.status, 503);
    let rows = came(&world, "acme", &inbox).await;
    let seen: Vec<_> = rows.iter().map(|row| (row["method"].as_str(), row["status"].as_u64())).collect();
    assert_eq!(seen, [(Some("GET"), Some(503)), (Some("POST"), Some(503)), (Some("PUT"), Some(200))]);
    assert_eq!((&rows[1]["bodyBase64"], &rows[1]["bodyBytes"]), (&json!("AP8="), &json!(2)));
    assert_eq!(rows[2]["body"], "{\"a\": 1}\n");
    let headers = rows[2]["headers"].to_string();
    assert!(headers.contains("[\"x-of-mine\",\"yes\"]") && !headers.contains("hush"), "{headers}");

    let admin = world.key("admin", Some("other")).await;
    let id = inbox["id"].as_str().expect("an id");
    for (method, path) in [
        (Method::GET, format!("/v1/inboxes/{id}/requests")),
        (Method::PATCH, format!("/v1/inboxes/{id}")),
        (Method::DELETE, format!("/v1/inboxes/{id}")),
    ] {
        let mut ask = world.ask(method.clone(), path).key(&admin);
        if method == Method::PATCH {
            ask = ask.raw(r#"{"status": 200}"#);
        }
        ask.send().await.expect_problem(404, "not_found", "");
    }
    assert_eq!(world.whole_list("/v1/inboxes", "other").await, Vec::<Value>::new());
}

#[tokio::test]
async fn an_inbox_takes_a_bounded_body_at_a_bounded_rate() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let one = inbox(&world, "acme").await;
    let slug = path(&one);
    let post = |body: Vec<u8>| world.ask(Method::POST, &slug).raw(body).send();
    assert_eq!(post(vec![b'x'; limits::INBOX_BODY_BYTES_MAX]).await.status, 200);
    post(vec![b'x'; limits::INBOX_BODY_BYTES_MAX + 1]).await.expect_problem(413, "body_too_large", "");
    let rows = came(&world, "acme", &one).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["bodyBytes"], limits::INBOX_BODY_BYTES_MAX);
    assert_eq!(rows[0]["body"].as_str().map(str::len), Some(limits::INBOX_BODY_KEPT_BYTES));
    // Two of the burst are used.
    for _ in 2..limits::INBOX_REQUESTS_MAX {
        assert_eq!(post(Vec::new()).await.status, 200);
    }
    post(Vec::new()).await.expect_problem(429, "rate_limited", "");
    // More inboxes do not make it more; another tenant has its own.
    let second = inbox(&world, "acme").await;
    let more = world.ask(Method::POST, path(&second)).raw("{}").send().await;
    more.expect_problem(429, "rate_limited", "");
    world.tenant("other", "standard").await;
    let foreign = inbox(&world, "other").await;
    assert_eq!(world.ask(Method::POST, path(&foreign)).raw("{}").send().await.status, 200);
    world.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(post(Vec::new()).await.status, 200);
}

#[tokio::test]
async fn what_is_no_inbox_is_not_found() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let gone = inbox(&world, "acme").await;
    let of_gone = format!("/v1/inboxes/{}", gone["id"].as_str().expect("an id"));
    world.operator(Method::DELETE, &of_gone, "acme").send().await.expect_status(204);
    world.operator(Method::DELETE, &of_gone, "acme").send().await.expect_problem(404, "not_found", "");
    let unknown = format!("/inbox/{}", "0".repeat(40));
    for path in [path(&gone).as_str(), &unknown, "/inbox/x", "/inbox/%00", "/inbox/..%2f"] {
        let reply = world.ask(Method::POST, path).raw("{}").send().await;
        assert_eq!((reply.status, reply.json["code"].as_str()), (404, Some("not_found")), "{path}");
    }
}

#[tokio::test]
async fn a_tenant_has_a_bounded_number_of_inboxes_and_each_answers_a_status() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let first = inbox(&world, "acme").await;
    for status in [0, 199, 600, 70_000] {
        set(&world, "acme", &first, status).await.expect_problem(422, "invalid_field", "status");
        let create = world.operator(Method::POST, "/v1/inboxes", "acme").json(&json!({"status": status}));
        create.send().await.expect_problem(422, "invalid_field", "status");
    }
    for status in [200, 204, 599] {
        set(&world, "acme", &first, status).await.expect_status(200);
        assert_eq!(u64::from(world.ask(Method::POST, path(&first)).raw("{}").send().await.status), status);
    }
    for _ in 1..limits::INBOXES_PER_TENANT_MAX {
        inbox(&world, "acme").await;
    }
    world.operator(Method::POST, "/v1/inboxes", "acme").send().await.expect_problem(
        422,
        "too_many_items",
        "",
    );
    assert_eq!(world.whole_list("/v1/inboxes", "acme").await.len(), limits::INBOXES_PER_TENANT_MAX);
}

#[tokio::test]
async fn an_inbox_may_be_registered_where_nothing_else_on_its_address_may() {
    let world = World::start_with(postrider_engine::control::Installation { require_https: true }).await;
    world.tenant("acme", "standard").await;
    let inbox = inbox(&world, "acme").await;
    let webhook = world.webhook("acme", inbox["url"].as_str().expect("a URL"), &["*"]).await;
    assert_eq!(webhook["warnings"].as_array().map_or(0, Vec::len), 0, "{webhook}");
    let body = json!({"url": "http://postrider.test/inbox/other", "events": ["*"]});
    let ask = world.operator(Method::POST, "/v1/webhooks", "acme").json(&body);
    ask.send().await.expect_problem(422, "https_required", "url");
}

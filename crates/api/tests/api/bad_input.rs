//! What callers get wrong: each mistake has its code, and changes nothing.

use http::Method;
use postrider_domain::limits;
use postrider_engine::control::Installation;
use serde_json::{Value, json};

use crate::world::{Ask, OPERATOR, World};

/// A tenant of the open profile, one of a closed profile, one whose plan excludes webhooks.
const OPEN: &str = "open";
const CLOSED: &str = "closed";
const UNPAID: &str = "unpaid";
const ALL: [&str; 3] = [OPEN, CLOSED, UNPAID];

async fn world() -> World {
    let world = World::start().await;
    world.tenant(OPEN, "standard").await;
    world.tenant(CLOSED, "rcmanager").await;
    let body = json!({"id": UNPAID, "profile": "runtight", "plan": "free"});
    world.operator(Method::POST, "/v1/tenants", "").json(&body).send().await.expect_status(201);
    world
}

/// Sends each request and expects its refusal; afterwards everything must be as it was.
async fn check<'w>(world: &'w World, cases: Vec<(Ask<'w>, u16, &str, &str)>) {
    let before = world.state(&ALL).await;
    for (ask, status, code, field) in cases {
        ask.send().await.expect_problem(status, code, field);
    }
    assert_eq!(world.state(&ALL).await, before, "a refused request changed something");
}

#[tokio::test]
async fn a_body_that_is_not_what_it_should_be_is_refused() {
    let world = world().await;
    let publish = |body: &str| world.operator(Method::POST, "/v1/events", OPEN).raw(body);
    let register = |body: Value| world.operator(Method::POST, "/v1/webhooks", OPEN).json(&body);
    check(
        &world,
        vec![
            (publish(r#"{"type": "a.b", "data": "#), 400, "malformed_json", ""),
            (publish("type=a.b"), 400, "malformed_json", ""),
            (publish("{\"type\": \"a.b\", \"data\": \"\u{1}\"}"), 400, "malformed_json", ""),
            (publish(r#"{"type": "a.b", "type": "c.d", "data": 1}"#), 400, "malformed_json", ""),
            (publish(""), 400, "malformed_json", ""),
            (publish("[]"), 422, "invalid_field", ""),
            (publish(r#"{"type": 7, "data": {}}"#), 422, "invalid_field", "type"),
            (publish(r#"{"type": "a b", "data": {}}"#), 422, "invalid_field", "type"),
            (publish(r#"{"type": "a.b", "data": {}, "time": "soon"}"#), 422, "invalid_field", "time"),
            (publish(r#"{"type": "a.b", "data": {}, "id": "with.dot"}"#), 422, "invalid_field", "id"),
            (publish(r#"{"type": "a.b"}"#), 422, "missing_field", "data"),
            (publish(r#"{"data": 1}"#), 422, "missing_field", "type"),
            (publish(r#"{"type": "a.b", "data": {}, "tpye": 1}"#), 422, "unknown_field", "tpye"),
            (register(json!({"url": ["https://a.example"], "events": ["*"]})), 422, "invalid_field", "url"),
            (register(json!({"url": "https://a.example", "events": "*"})), 422, "invalid_field", "events"),
            (
                register(json!({"url": "https://a.example", "events": ["*", 1]})),
                422,
                "invalid_field",
                "events[1]",
            ),
            (
                register(json!({"url": "https://a.example", "events": ["*"], "name": "a\u{0}b"})),
                422,
                "invalid_field",
                "name",
            ),
            (register(json!({"url": "https://a.example", "event": ["*"]})), 422, "unknown_field", "event"),
            (register(json!({"events": ["*"]})), 422, "missing_field", "url"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_refusal_says_where_and_what_was_probably_meant() {
    let world = world().await;
    let reply = world.operator(Method::POST, "/v1/events", OPEN).raw("{\n  \"type\": oops}").send().await;
    assert!(reply.str("/detail").contains("line 2, column 11"), "{}", reply.text);
    let body = json!({"url": "https://a.example", "events": ["*"], "headres": {}});
    let reply = world.operator(Method::POST, "/v1/webhooks", OPEN).json(&body).send().await;
    assert!(reply.str("/detail").contains("`headers`"), "{}", reply.text);
    let body = json!({"type": "vehicle.crated", "data": {}});
    let reply = world.operator(Method::POST, "/v1/events", CLOSED).json(&body).send().await;
    assert_eq!(reply.json["code"], "unknown_event_type", "{}", reply.text);
}

#[tokio::test]
async fn a_body_must_say_that_it_is_json_and_keep_within_its_bound() {
    let world = world().await;
    let event = r#"{"type": "a.b", "data": 1}"#;
    let long = format!(r#"{{"type": "a.b", "data": "{}"}}"#, "x".repeat(limits::PUBLISH_BODY_BYTES_MAX));
    let data = format!(r#"{{"type": "a.b", "data": "{}"}}"#, "x".repeat(limits::EVENT_DATA_BYTES_MAX));
    let deep = format!(r#"{{"type": "a.b", "data": {}1{}}}"#, "[".repeat(65), "]".repeat(65));
    let many = json!({"events": vec![json!({"type": "a.b", "data": 1}); limits::BATCH_EVENTS_MAX + 1]});
    let publish = || world.operator(Method::POST, "/v1/events", OPEN);
    check(
        &world,
        vec![
            (publish().untyped(event), 415, "unsupported_media_type", ""),
            (
                publish().header("Content-Type", "text/plain").untyped(event),
                415,
                "unsupported_media_type",
                "",
            ),
            (publish().raw(long), 413, "body_too_large", ""),
            (publish().raw(data), 413, "body_too_large", "data"),
            (publish().raw(deep), 422, "invalid_field", "data"),
            (
                world.operator(Method::POST, "/v1/events/batch", OPEN).json(&many),
                422,
                "too_many_items",
                "events",
            ),
        ],
    )
    .await;
    let typed = publish().header("Content-Type", "application/json; charset=utf-8").untyped(event);
    typed.send().await.expect_status(202);
}

#[tokio::test]
async fn an_event_must_fit_the_tenants_catalogue() {
    let world = world().await;
    let patch = |tenant: &str, settings: Value| {
        world
            .operator(Method::PATCH, format!("/v1/tenants/{tenant}"), "")
            .json(&json!({"settings": settings}))
    };
    patch(OPEN, json!({"strictEventTypes": true})).send().await.expect_status(200);
    let exposed = json!({"schema": "reject", "exposedEventTypes": ["vehicle.created", "vehicle.updated"]});
    patch(CLOSED, exposed).send().await.expect_status(200);
    let publish = |tenant: &str, event_type: &str, data: Value| {
        world.operator(Method::POST, "/v1/events", tenant).json(&json!({"type": event_type, "data": data}))
    };
    let raw = |body: &str| world.operator(Method::POST, "/v1/events", CLOSED).raw(body);
    let body = json!({"id": "taken-1", "type": "vehicle.updated", "data": {"vehicle": {"id": "v1"}}});
    world.operator(Method::POST, "/v1/events", CLOSED).json(&body).send().await.expect_status(202);
    let mut other = body.clone();
    other["data"]["vehicle"]["id"] = "v2".into();
    check(
        &world,
        vec![
            (publish(OPEN, "never.registered", json!({})), 422, "unknown_event_type", "type"),
            (publish(OPEN, "webhook.disabled", json!({})), 422, "unknown_event_type", "type"),
            (publish(CLOSED, "vehicle.exploded", json!({})), 422, "unknown_event_type", "type"),
            (publish(CLOSED, "session.ended", json!({})), 422, "event_type_not_exposed", "type"),
            (publish(CLOSED, "vehicle.created", json!({"vehicle": 7})), 422, "schema_violation", "data"),
            (
                raw(r#"{"type": "vehicle.created", "data": {"vehicle": {"id": "v", "n": 1e400}}}"#),
                422,
                "not_renderable",
                "data.vehicle.n",
            ),
            (
                raw(r#"{"type": "vehicle.created", "data": {"vehicle": {"id": "\ud800"}}}"#),
                422,
                "not_renderable",
                "data.vehicle.id",
            ),
            (world.operator(Method::POST, "/v1/events", CLOSED).json(&other), 409, "id_taken", "id"),
            (publish(UNPAID, "asset.created", json!({})), 403, "plan_excludes_webhooks", ""),
        ],
    )
    .await;
    let again =
        world.operator(Method::POST, "/v1/events", CLOSED).json(&body).send().await.expect_status(202);
    assert_eq!(again.json["duplicate"], true);
}

#[tokio::test]
async fn a_webhook_must_be_one_that_can_be_delivered_to() {
    let world = world().await;
    let register = |tenant: &str, change: Value| {
        let mut body = json!({"url": "https://hooks.example.com/in", "events": ["*"]});
        for (name, value) in change.as_object().expect("a change is an object") {
            body[name] = value.clone();
        }
        world.operator(Method::POST, "/v1/webhooks", tenant).json(&body)
    };
    let header = |name: &str, value: &str| {
        let mut headers = serde_json::Map::new();
        headers.insert(name.to_owned(), value.into());
        register(OPEN, json!({"headers": headers}))
    };
    check(
        &world,
        vec![
            (register(OPEN, json!({"url": "ftp://hooks.example.com/"})), 422, "url_invalid", "url"),
            (register(OPEN, json!({"url": "hooks.example.com"})), 422, "url_invalid", "url"),
            (
                register(OPEN, json!({"url": "https://user:pass@hooks.example.com/"})),
                422,
                "url_invalid",
                "url",
            ),
            (register(OPEN, json!({"url": "https://hooks.example.com:0/"})), 422, "url_invalid", "url"),
            (register(OPEN, json!({"url": "http://10.0.0.7/"})), 422, "url_forbidden", "url"),
            (register(OPEN, json!({"url": "http://169.254.169.254/latest"})), 422, "url_forbidden", "url"),
            (register(OPEN, json!({"url": "http://db.internal/"})), 422, "url_forbidden", "url"),
            (header("Host", "elsewhere"), 422, "header_forbidden", "headers.Host"),
            (header("Content-Length", "1"), 422, "header_forbidden", "headers.Content-Length"),
            (header("X-Forwarded-For", "1.2.3.4"), 422, "header_forbidden", "headers.X-Forwarded-For"),
            (header("webhook-signature", "v1,x"), 422, "header_forbidden", "headers.webhook-signature"),
            (header("X Space", "1"), 422, "header_invalid", "headers.X Space"),
            (header("X-Split", "a\r\nInjected: b"), 422, "header_invalid", "headers.X-Split"),
            (register(OPEN, json!({"secret": "not-whsec"})), 422, "secret_invalid", "secret"),
            (
                register(CLOSED, json!({"events": ["vehicle.*", "vehicel.*"]})),
                422,
                "pattern_matches_nothing",
                "events[1]",
            ),
            (register(OPEN, json!({"events": ["a.*.b"]})), 422, "pattern_invalid", "events[0]"),
            (register(UNPAID, json!({})), 403, "plan_excludes_webhooks", ""),
        ],
    )
    .await;
}

#[tokio::test]
async fn http_draws_a_warning_and_is_refused_where_https_is_required() {
    let world = world().await;
    let body = json!({"url": "http://hooks.example.com/", "events": ["*"]});
    let reply =
        world.operator(Method::POST, "/v1/webhooks", OPEN).json(&body).send().await.expect_status(201);
    let codes: Vec<&str> = reply.json["warnings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|warning| warning["code"].as_str())
        .collect();
    assert!(codes.contains(&"url_not_https"), "{}", reply.text);

    let settings = json!({"settings": {"requireHttps": true}});
    world.operator(Method::PATCH, "/v1/tenants/closed", "").json(&settings).send().await.expect_status(200);
    let refused = world.operator(Method::POST, "/v1/webhooks", CLOSED).json(&body);
    check(&world, vec![(refused, 422, "https_required", "url")]).await;

    let strict = World::start_with(Installation { require_https: true }).await;
    strict.tenant(OPEN, "standard").await;
    let refused = strict.operator(Method::POST, "/v1/webhooks", OPEN).json(&body).send().await;
    refused.expect_problem(422, "https_required", "url");
}

#[tokio::test]
async fn a_key_must_be_there_and_be_known() {
    let world = world().await;
    let revoked = world.key("admin", Some(OPEN)).await;
    let keys = world.whole_list("/v1/keys", "").await;
    let id = keys
        .iter()
        .find(|key| key["role"] == "admin")
        .and_then(|key| key["id"].as_str())
        .expect("the key is listed");
    world.operator(Method::DELETE, format!("/v1/keys/{id}"), "").send().await.expect_status(204);
    let get = || world.ask(Method::GET, "/v1/webhooks");
    let publisher = world.key("publisher", None).await;
    check(
        &world,
        vec![
            (get(), 401, "key_missing", ""),
            (get().header("Authorization", "Basic dXNlcjpwYXNz"), 401, "key_missing", ""),
            (get().header("Authorization", "Bearer "), 401, "key_missing", ""),
            (get().key("wrong-wrong-wrong-wrong-wrong-wrong"), 401, "key_invalid", ""),
            (get().header("X-API-Key", "short"), 401, "key_invalid", ""),
            (get().key(&revoked), 401, "key_invalid", ""),
            (get().key(OPERATOR), 422, "tenant_required", ""),
            (get().key(OPERATOR).header("Postrider-Tenant", "nobody"), 404, "not_found", ""),
            (world.ask(Method::POST, "/v1/events").key(&publisher).raw("{}"), 422, "tenant_required", ""),
        ],
    )
    .await;
    let reply = get().send().await;
    assert_eq!(reply.headers["www-authenticate"], "Bearer");
    let reply = get().header("X-API-Key", OPERATOR).header("Postrider-Tenant", OPEN).send().await;
    reply.expect_status(200);
}

#[tokio::test]
async fn a_foreign_tenants_ids_do_not_exist() {
    let world = world().await;
    let webhook = world.webhook(CLOSED, "https://hooks.example.com/in", &["*"]).await;
    let event =
        world.publish(CLOSED, &json!({"type": "vehicle.created", "data": {"vehicle": {"id": "v"}}})).await;
    let deliveries = world.whole_list("/v1/deliveries", CLOSED).await;
    let (webhook, event) = (webhook["id"].as_str().expect("an id"), event["id"].as_str().expect("an id"));
    let delivery = deliveries[0]["id"].as_str().expect("an id");
    let admin = world.key("admin", Some(OPEN)).await;
    let ask = |method: Method, path: String| world.ask(method, path).key(&admin);
    let range = json!({"from": "2026-01-01T00:00:00Z"});
    check(
        &world,
        vec![
            (ask(Method::GET, format!("/v1/webhooks/{webhook}")), 404, "not_found", ""),
            (
                ask(Method::PATCH, format!("/v1/webhooks/{webhook}")).raw(r#"{"enabled": false}"#),
                404,
                "not_found",
                "",
            ),
            (ask(Method::DELETE, format!("/v1/webhooks/{webhook}")), 404, "not_found", ""),
            (ask(Method::POST, format!("/v1/webhooks/{webhook}/test")), 404, "not_found", ""),
            (ask(Method::POST, format!("/v1/webhooks/{webhook}/secret/rotate")), 404, "not_found", ""),
            (ask(Method::GET, format!("/v1/webhooks/{webhook}/stats")), 404, "not_found", ""),
            (ask(Method::POST, format!("/v1/webhooks/{webhook}/recover")).json(&range), 404, "not_found", ""),
            (ask(Method::GET, format!("/v1/events/{event}")), 404, "not_found", ""),
            (ask(Method::GET, format!("/v1/deliveries/{delivery}")), 404, "not_found", ""),
            (ask(Method::POST, format!("/v1/deliveries/{delivery}/retry")), 404, "not_found", ""),
            (
                ask(Method::POST, format!("/v1/deliveries/{delivery}/resend"))
                    .json(&json!({"url": "https://dev.example.com/"})),
                404,
                "not_found",
                "",
            ),
            (ask(Method::GET, format!("/v1/tenants/{CLOSED}")), 404, "not_found", ""),
            (ask(Method::PATCH, format!("/v1/tenants/{CLOSED}")).raw("{}"), 404, "not_found", ""),
            (
                ask(Method::GET, "/v1/webhooks".to_owned()).header("Postrider-Tenant", CLOSED),
                404,
                "not_found",
                "",
            ),
            (ask(Method::GET, format!("/v1/events?order=asc&after={event}")), 404, "not_found", "after"),
        ],
    )
    .await;
    let foreign = ask(Method::GET, format!("/v1/webhooks/{webhook}")).send().await;
    let unknown = ask(Method::GET, "/v1/webhooks/wh_01h455vb4pex5vsknk084sn02q".to_owned()).send().await;
    assert_eq!(foreign.text, unknown.text, "a foreign id and one that does not exist are answered alike");
}

#[tokio::test]
async fn paths_methods_and_parameters_that_do_not_exist_are_problems_too() {
    let world = world().await;
    let ask = |method: Method, path: &str| world.operator(method, path, OPEN);
    check(
        &world,
        vec![
            (ask(Method::GET, "/v1/webhook"), 404, "not_found", ""),
            (ask(Method::GET, "/"), 404, "not_found", ""),
            (ask(Method::PUT, "/v1/webhooks"), 405, "method_not_allowed", ""),
            (ask(Method::GET, "/v1/webhooks?limt=5"), 422, "unknown_field", "limt"),
            (ask(Method::GET, "/v1/webhooks?limit=5&limit=6"), 422, "invalid_field", "limit"),
            (ask(Method::GET, "/v1/deliveries?state=lost"), 422, "invalid_field", "state"),
            (ask(Method::GET, "/v1/deliveries?from=yesterday"), 422, "invalid_field", "from"),
            (ask(Method::GET, "/v1/events?after=x"), 422, "invalid_field", "after"),
            (ask(Method::GET, "/v1/webhooks?cursor=abc"), 422, "cursor_invalid", "cursor"),
            (ask(Method::GET, "/v1/webhooks/%FF"), 404, "not_found", ""),
            (ask(Method::GET, "/v1/event-types/no.such.type"), 404, "not_found", ""),
            (ask(Method::GET, "/v1/profiles/no-such-profile"), 404, "not_found", ""),
        ],
    )
    .await;
    let reply = ask(Method::PUT, "/v1/webhooks").send().await;
    assert_eq!(reply.headers["allow"], "POST, GET, HEAD");
}

#[tokio::test]
async fn our_own_trouble_is_never_the_callers_fault() {
    let world = world().await;
    world.engine.store().close().await;
    let event = json!({"type": "a.b", "data": 1});
    for ask in [
        world.operator(Method::POST, "/v1/events", OPEN).json(&event),
        world.operator(Method::GET, "/v1/events", OPEN),
        world
            .operator(Method::POST, "/v1/webhooks", OPEN)
            .json(&json!({"url": "https://a.example/", "events": ["*"]})),
        world.ask(Method::GET, "/readyz"),
    ] {
        let reply = ask.send().await;
        assert_eq!(reply.status, 503, "{}", reply.text);
        assert_eq!(reply.headers["retry-after"], "1");
    }
    world.ask(Method::GET, "/healthz").send().await.expect_status(200);
}

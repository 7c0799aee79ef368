//! Who may call what: one row for every route, one column for every role.

use http::Method;
use serde_json::{Value, json};

use crate::world::World;

/// Operator, publisher, admin, viewer; a dash for a role that is refused. Paths name things that do not exist, so that a
/// role that is let in is told so (404), or that its empty body is wrong (422).
const MATRIX: &[(&str, &str, &str)] = &[
    ("POST", "/v1/events", "op--"),
    ("POST", "/v1/events/preview", "opa-"),
    ("POST", "/v1/events/batch", "op--"),
    ("GET", "/v1/events", "opav"),
    ("GET", "/v1/events/{event}", "opav"),
    ("POST", "/v1/webhooks", "o-a-"),
    ("GET", "/v1/webhooks", "o-av"),
    ("GET", "/v1/webhooks/{webhook}", "o-av"),
    ("PATCH", "/v1/webhooks/{webhook}", "o-a-"),
    ("DELETE", "/v1/webhooks/{webhook}", "o-a-"),
    ("POST", "/v1/webhooks/{webhook}/test", "o-a-"),
    ("POST", "/v1/webhooks/{webhook}/secret/rotate", "o-a-"),
    ("GET", "/v1/webhooks/{webhook}/stats", "o-av"),
    ("POST", "/v1/webhooks/{webhook}/recover", "o-a-"),
    ("GET", "/v1/deliveries", "o-av"),
    ("GET", "/v1/deliveries/{delivery}", "o-av"),
    ("POST", "/v1/deliveries/{delivery}/retry", "o-a-"),
    ("POST", "/v1/deliveries/retry", "o-a-"),
    ("POST", "/v1/deliveries/{delivery}/resend", "o-a-"),
    ("GET", "/v1/event-types", "opav"),
    ("GET", "/v1/event-types/{type}", "opav"),
    ("POST", "/v1/event-types", "op--"),
    ("DELETE", "/v1/event-types/{type}", "op--"),
    ("POST", "/v1/tenants", "o---"),
    ("GET", "/v1/tenants", "o---"),
    ("GET", "/v1/tenants/{tenant}", "opav"),
    ("PATCH", "/v1/tenants/{tenant}", "o-a-"),
    ("DELETE", "/v1/tenants/{tenant}", "o---"),
    ("POST", "/v1/keys", "o---"),
    ("GET", "/v1/keys", "o---"),
    ("DELETE", "/v1/keys/{key}", "o---"),
    ("POST", "/v1/portal-sessions", "o-a-"),
    ("GET", "/v1/portal-sessions", "o-a-"),
    ("DELETE", "/v1/portal-sessions/{session}", "o-a-"),
    ("POST", "/v1/profiles", "o---"),
    ("GET", "/v1/profiles", "o---"),
    ("GET", "/v1/profiles/{profile}", "o---"),
    ("PUT", "/v1/profiles/{profile}", "o---"),
    ("PUT", "/v1/records/{kind}/{id}", "op--"),
    ("PATCH", "/v1/records/{kind}/{id}", "op--"),
    ("DELETE", "/v1/records/{kind}/{id}", "op--"),
    ("GET", "/v1/records/{kind}/{id}", "opav"),
    ("GET", "/v1/records/{kind}", "opav"),
    ("POST", "/v1/records/{kind}/batch", "op--"),
    ("POST", "/v1/records/{kind}/import", "op--"),
    ("GET", "/v1/rule-errors", "opav"),
    ("POST", "/v1/scans/run", "o---"),
    ("GET", "/v1/scans", "opav"),
    ("PUT", "/v1/workflows/{workflow}", "o-a-"),
    ("GET", "/v1/workflows", "o-av"),
    ("GET", "/v1/workflows/{workflow}", "o-av"),
    ("DELETE", "/v1/workflows/{workflow}", "o-a-"),
    ("POST", "/v1/workflows/{workflow}/runs", "o-a-"),
    ("GET", "/v1/workflows/{workflow}/runs", "o-av"),
    ("POST", "/v1/workflows/{workflow}/triggers", "o-a-"),
    ("GET", "/v1/workflows/{workflow}/triggers", "o-av"),
    ("GET", "/v1/workflows/{workflow}/triggers/{trigger}", "o-av"),
    ("PATCH", "/v1/workflows/{workflow}/triggers/{trigger}", "o-a-"),
    ("DELETE", "/v1/workflows/{workflow}/triggers/{trigger}", "o-a-"),
    ("POST", "/v1/workflows/{workflow}/triggers/{trigger}/secret/rotate", "o-a-"),
    ("POST", "/v1/workflows/{workflow}/triggers/{trigger}/slug/rotate", "o-a-"),
    ("POST", "/v1/workflows/{workflow}/triggers/{trigger}/test", "o-a-"),
    ("GET", "/v1/runs", "o-av"),
    ("GET", "/v1/runs/{run}", "o-av"),
    ("POST", "/v1/runs/{run}/cancel", "o-a-"),
    ("POST", "/v1/runs/{run}/replay", "o-a-"),
    ("GET", "/v1/requests", "o-av"),
    ("GET", "/v1/requests/{request}", "o-av"),
    ("POST", "/v1/requests/{request}/replay", "o-a-"),
    ("PUT", "/v1/secrets/{name}", "o-a-"),
    ("GET", "/v1/secrets", "o-av"),
    ("GET", "/v1/secrets/{name}", "o-av"),
    ("DELETE", "/v1/secrets/{name}", "o-a-"),
    ("POST", "/v1/connections", "o-a-"),
    ("GET", "/v1/connections", "o-av"),
    ("GET", "/v1/connections/{connection}", "o-av"),
    ("PATCH", "/v1/connections/{connection}", "o-a-"),
    ("DELETE", "/v1/connections/{connection}", "o-a-"),
    ("POST", "/v1/connections/{connection}/authorize", "o-a-"),
    ("POST", "/v1/connections/{connection}/refresh", "o-a-"),
    ("POST", "/v1/connections/{connection}/revoke", "o-a-"),
    ("GET", "/v1/connection-providers", "o-av"),
    ("POST", "/v1/inboxes", "o-a-"),
    ("GET", "/v1/inboxes", "o-av"),
    ("PATCH", "/v1/inboxes/{inbox}", "o-a-"),
    ("DELETE", "/v1/inboxes/{inbox}", "o-a-"),
    ("GET", "/v1/inboxes/{inbox}/requests", "o-av"),
    ("GET", "/v1/jobs/{job}", "o-a-"),
    ("GET", "/v1/ledger", "o-av"),
    ("GET", "/v1/audit", "o-a-"),
];

/// Of [`MATRIX`], what a profile keeps from viewers that says webhooks are for admins.
const HIDDEN_FROM_VIEWERS: &[&str] = &[
    "/v1/webhooks",
    "/v1/webhooks/{webhook}",
    "/v1/webhooks/{webhook}/stats",
    "/v1/deliveries",
    "/v1/deliveries/{delivery}",
    "/v1/inboxes",
    "/v1/inboxes/{inbox}/requests",
];

const ROLES: [&str; 4] = ["operator", "publisher", "admin", "viewer"];

#[tokio::test]
async fn every_route_lets_in_the_roles_of_its_row_and_no_other() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let mut keys = Vec::new();
    for role in ROLES {
        let tenant = (role != "operator").then_some("acme");
        keys.push(world.key(role, tenant).await);
    }
    for (method, path, row) in MATRIX {
        for ((role, key), letter) in ROLES.iter().zip(&keys).zip(row.chars()) {
            let status = call(&world, method, path, key, "acme").await;
            assert_eq!(status != 403, letter != '-', "{role}: {method} {path} answered {status}");
            assert_ne!(status, 401, "{role}: {method} {path}");
            assert!(status < 500, "{role}: {method} {path} answered {status}");
        }
    }
}

#[tokio::test]
async fn viewers_see_webhooks_only_where_the_profile_lets_them() {
    let world = World::start().await;
    world.tenant("plant", "smartmaintenance").await;
    let viewer = world.key("viewer", Some("plant")).await;
    for (method, path, row) in MATRIX.iter().filter(|(_, _, row)| row.ends_with('v')) {
        let status = call(&world, method, path, &viewer, "plant").await;
        let hidden = HIDDEN_FROM_VIEWERS.contains(path);
        assert_eq!(status == 403, hidden, "{method} {path} ({row}) answered {status}");
    }
}

#[tokio::test]
async fn the_matrix_has_a_row_for_every_route_that_asks_for_a_key() {
    let document: Value = serde_json::from_str(&postrider_api::openapi_json()).expect("the document is JSON");
    let mut documented = Vec::new();
    for (path, item) in document["paths"].as_object().expect("the document has paths") {
        for (method, operation) in item.as_object().expect("a path has operations") {
            if operation["security"] != json!([]) {
                documented.push(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    let mut rows: Vec<String> = MATRIX.iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    documented.sort();
    rows.sort();
    assert_eq!(rows, documented);
}

#[tokio::test]
async fn a_publisher_publishes_for_its_own_tenants_only() {
    let world = World::start().await;
    world.tenant("mine", "standard").await;
    world.tenant("theirs", "standard").await;
    let bound = world.key("publisher", Some("mine")).await;
    let free = world.key("publisher", None).await;
    let event = json!({"type": "a.b", "data": 1});
    for (key, tenant, status) in [
        (&bound, None, 202),
        (&bound, Some("mine"), 202),
        (&bound, Some("theirs"), 404),
        (&free, None, 422),
        (&free, Some("mine"), 202),
        (&free, Some("theirs"), 202),
        (&free, Some("nobody"), 404),
    ] {
        let mut ask = world.ask(Method::POST, "/v1/events").key(key).json(&event);
        if let Some(tenant) = tenant {
            ask = ask.header("Postrider-Tenant", tenant);
        }
        let reply = ask.send().await;
        assert_eq!(reply.status, status, "{tenant:?}: {}", reply.text);
    }
    assert_eq!(world.whole_list("/v1/events", "theirs").await.len(), 1);
}

#[tokio::test]
async fn a_plan_without_webhooks_leaves_only_the_way_out() {
    let world = World::start().await;
    world.tenant("plant", "runtight").await;
    let webhook = world.webhook("plant", "https://hooks.example.com/in", &["wo.created"]).await;
    let path = format!("/v1/webhooks/{}", webhook["id"].as_str().expect("an id"));
    let admin = world.key("admin", Some("plant")).await;
    let free = json!({"plan": "free"});
    world.operator(Method::PATCH, "/v1/tenants/plant", "").json(&free).send().await.expect_status(200);
    let ask = |method: Method, path: &str| world.ask(method, path).key(&admin);
    for ask in [
        ask(Method::GET, "/v1/webhooks"),
        ask(Method::GET, &path),
        ask(Method::PATCH, &path).raw(r#"{"enabled": false}"#),
        ask(Method::POST, &format!("{path}/test")),
        ask(Method::GET, "/v1/deliveries"),
        world.operator(Method::PATCH, &path, "plant").raw(r#"{"enabled": false}"#),
    ] {
        ask.send().await.expect_problem(403, "plan_excludes_webhooks", "");
    }
    world.operator(Method::GET, &path, "plant").send().await.expect_status(200);
    ask(Method::DELETE, &path).send().await.expect_status(204);
}

#[tokio::test]
async fn a_viewer_who_may_not_see_webhooks_reads_an_event_alone() {
    let world = World::start().await;
    world.tenant("plant", "smartmaintenance").await;
    world.webhook("plant", "https://hooks.example.com/in", &["user.created"]).await;
    let accepted = world.publish("plant", &json!({"type": "user.created", "data": {}})).await;
    let path = format!("/v1/events/{}", accepted["id"].as_str().expect("an id"));
    for (role, sees) in [("viewer", false), ("admin", true)] {
        let key = world.key(role, Some("plant")).await;
        let event = world.ask(Method::GET, &path).key(&key).send().await.expect_status(200).json;
        assert_eq!(event.get("outcomes").is_some(), sees, "{role}: {event}");
        assert_eq!(event.get("deliveries").is_some(), sees, "{role}: {event}");
    }
}

#[tokio::test]
async fn a_foreign_tenant_in_the_header_is_foreign_beside_ones_own_in_the_path() {
    let world = World::start().await;
    world.tenant("mine", "standard").await;
    world.tenant("theirs", "standard").await;
    let admin = world.key("admin", Some("mine")).await;
    let ask = || world.ask(Method::GET, "/v1/tenants/mine").key(&admin);
    ask().header("Postrider-Tenant", "theirs").send().await.expect_problem(404, "not_found", "");
    ask().header("Postrider-Tenant", "mine").send().await.expect_status(200);
}

async fn call(world: &World, method: &str, path: &str, key: &str, tenant: &str) -> u16 {
    let tenant_in_path = path.contains("{tenant}");
    let path = path
        .replace("{tenant}", "nobody")
        .replace("{webhook}", "wh_01h455vb4pex5vsknk084sn02q")
        .replace("{event}", "evt_01h455vb4pex5vsknk084sn02q")
        .replace("{delivery}", "dlv_01h455vb4pex5vsknk084sn02q")
        .replace("{key}", "key_01h455vb4pex5vsknk084sn02q")
        .replace("{session}", "ses_01h455vb4pex5vsknk084sn02q")
        .replace("{workflow}", "no-such-workflow")
        .replace("{trigger}", "trg_01h455vb4pex5vsknk084sn02q")
        .replace("{run}", "run_01h455vb4pex5vsknk084sn02q")
        .replace("{request}", "req_01h455vb4pex5vsknk084sn02q")
        .replace("{inbox}", "inb_01h455vb4pex5vsknk084sn02q")
        .replace("{job}", "job_01h455vb4pex5vsknk084sn02q")
        .replace("{type}", "no.such.type")
        .replace("{profile}", "no-such-profile");
    let method: Method = method.parse().expect("the table names methods");
    let mut ask = world.ask(method.clone(), path).key(key);
    if !tenant_in_path {
        ask = ask.header("Postrider-Tenant", tenant);
    }
    if method != Method::GET && method != Method::DELETE {
        ask = ask.raw("{}");
    }
    ask.send().await.status
}

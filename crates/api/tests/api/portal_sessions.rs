//! Sessions of the portal: a URL that is shown once, a list, and an end.

use http::Method;
use postrider_engine::control::SessionKind;
use serde_json::{Value, json};

use crate::world::{PUBLIC_URL, World};

const PATH: &str = "/v1/portal-sessions";

async fn world() -> World {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    world.tenant("other", "standard").await;
    world
}

/// The token in a URL, which opens the portal.
fn token(url: &str) -> &str {
    url.strip_prefix(PUBLIC_URL)
        .and_then(|path| path.strip_prefix("/portal/open/"))
        .expect("it is a URL of the portal")
}

async fn opens(world: &World, url: &str) -> bool {
    let found = world.engine.control().session_find(token(url)).await.expect("the store answers");
    assert!(found.as_ref().is_none_or(|session| session.kind == SessionKind::Portal));
    found.is_some()
}

#[tokio::test]
async fn a_session_is_shown_once_opens_the_portal_and_ends_when_it_is_revoked() {
    let world = world().await;
    let admin = world.key("admin", Some("acme")).await;
    let body = json!({
        "role": "viewer", "name": "Acme", "logo": "https://app.example.com/logo.svg", "accent": "#0A7F5A", "language": "de",
        "origins": ["https://app.example.com/", "http://localhost:3000"], "expiresInSeconds": 60
    });
    let made = world.ask(Method::POST, PATH).key(&admin).json(&body).send().await.expect_status(201);
    let (id, url) = (made.str("/id"), made.str("/url"));
    assert!(id.starts_with("ses_") && opens(&world, &url).await);
    let list = world.operator(Method::GET, PATH, "acme").send().await.expect_status(200);
    let mut listed = made.json.clone();
    listed.as_object_mut().expect("an object").remove("url");
    listed["endedAt"] = Value::Null;
    assert_eq!(list.json["data"], json!([listed]));
    for (name, value) in [
        ("role", json!("viewer")),
        ("tenant", json!("acme")),
        ("accent", json!("#0a7f5a")),
        ("origins", json!(["https://app.example.com", "http://localhost:3000"])),
    ] {
        assert_eq!(listed[name], value);
    }
    assert!(!list.text.contains(token(&url)));

    let path = format!("{PATH}/{id}");
    world.ask(Method::DELETE, &path).key(&admin).send().await.expect_status(204);
    assert!(!opens(&world, &url).await);
    let list = world.operator(Method::GET, PATH, "acme").send().await.json;
    assert!(list["data"][0]["endedAt"].is_string());
    world.ask(Method::DELETE, &path).key(&admin).send().await.expect_status(204);
    let audit = world.operator(Method::GET, "/v1/audit", "acme").send().await.expect_status(200);
    assert_eq!(audit.str("/data/0/action"), "portal_session.revoked");
    assert_eq!(audit.str("/data/1/target"), id);
    assert!(!audit.text.contains(token(&url)));
}

#[tokio::test]
async fn the_same_request_again_is_answered_without_the_url() {
    let world = world().await;
    let body = json!({"role": "admin"});
    let ask = || world.operator(Method::POST, PATH, "acme").json(&body).header("Idempotency-Key", "k").send();
    let (first, second) = (ask().await.expect_status(201), ask().await.expect_status(201));
    let mut expected = first.json.clone();
    let fields = expected.as_object_mut().expect("an object");
    fields.remove("url");
    fields.insert("urlShown".to_owned(), true.into());
    assert_eq!(second.json, expected);
    assert_eq!(second.headers["idempotency-replayed"], "true");
    assert_eq!(world.whole_list(PATH, "acme").await.len(), 1);
}

#[tokio::test]
async fn bad_fields_are_refused_and_open_nothing() {
    let world = world().await;
    for (field, value, code, at) in [
        ("role", json!("operator"), "invalid_field", "role"),
        ("role", json!("publisher"), "invalid_field", "role"),
        ("name", json!("a\u{7}"), "invalid_field", "name"),
        ("logo", json!("http://app.example.com/logo.svg"), "https_required", "logo"),
        ("logo", json!("data:image/png;base64,AA=="), "url_invalid", "logo"),
        ("accent", json!("green"), "invalid_field", "accent"),
        ("language", json!("fr"), "invalid_field", "language"),
        ("origins", json!("https://app.example.com"), "invalid_field", "origins"),
        ("origins", json!(["https://app.example.com/x"]), "invalid_field", "origins[0]"),
        ("origins", json!(["https://*.example.com"]), "url_invalid", "origins[0]"),
        ("origins", json!(vec!["https://a.example"; 11]), "too_many_items", "origins"),
        ("expiresInSeconds", json!(59), "invalid_field", "expiresInSeconds"),
        ("expiresInSeconds", json!(86_401), "invalid_field", "expiresInSeconds"),
        ("expiresInSeconds", json!(u64::MAX), "invalid_field", "expiresInSeconds"),
        ("colour", json!("#000000"), "unknown_field", "colour"),
    ] {
        let mut body = json!({"role": "admin"});
        body[field] = value;
        let reply = world.operator(Method::POST, PATH, "acme").json(&body).send().await;
        reply.expect_problem(422, code, at);
    }
    let none = world.operator(Method::POST, PATH, "acme").raw("{}").send().await;
    none.expect_problem(422, "missing_field", "role");
    let unnamed = world.operator(Method::POST, PATH, "").json(&json!({"role": "admin"})).send().await;
    unnamed.expect_problem(422, "tenant_required", "");
    assert!(world.whole_list(PATH, "acme").await.is_empty());
}

#[tokio::test]
async fn a_foreign_tenants_session_does_not_exist() {
    let world = world().await;
    let body = json!({"role": "admin"});
    let made = world.operator(Method::POST, PATH, "acme").json(&body).send().await.expect_status(201);
    let path = format!("{PATH}/{}", made.str("/id"));
    let foreign = world.key("admin", Some("other")).await;
    world.ask(Method::DELETE, &path).key(&foreign).send().await.expect_problem(404, "not_found", "");
    world.operator(Method::DELETE, &path, "other").send().await.expect_problem(404, "not_found", "");
    let into_theirs =
        world.ask(Method::POST, PATH).key(&foreign).header("Postrider-Tenant", "acme").json(&body);
    into_theirs.send().await.expect_problem(404, "not_found", "");
    assert!(world.whole_list(PATH, "other").await.is_empty());
    let nothing = world.operator(Method::DELETE, format!("{PATH}/ses_no"), "acme").send().await;
    nothing.expect_problem(404, "not_found", "");
    let viewer = world.key("viewer", Some("acme")).await;
    for (method, path) in [(Method::POST, PATH), (Method::GET, PATH), (Method::DELETE, path.as_str())] {
        let ask = world.ask(method.clone(), path).key(&viewer);
        let ask = if method == Method::POST { ask.json(&body) } else { ask };
        ask.send().await.expect_problem(403, "forbidden", "");
    }
    assert!(opens(&world, &made.str("/url")).await);
}

#[tokio::test]
async fn pages_of_the_list_go_on_from_their_cursor() {
    let world = world().await;
    let mut made = Vec::new();
    for _ in 0..3 {
        world.clock.advance(std::time::Duration::from_millis(1));
        let reply = world.operator(Method::POST, PATH, "acme").json(&json!({"role": "viewer"})).send().await;
        made.insert(0, reply.expect_status(201).str("/id"));
    }
    let first = world.operator(Method::GET, format!("{PATH}?limit=2"), "acme").send().await.json;
    let cursor = first["nextCursor"].as_str().expect("there is a next page");
    let next = format!("{PATH}?limit=2&cursor={cursor}");
    let second = world.operator(Method::GET, next, "acme").send().await.json;
    let ids = |page: &Value| {
        let rows = page["data"].as_array().expect("a list has data").clone();
        rows.iter().map(|row| row["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!([ids(&first), ids(&second)].concat(), made);
    assert_eq!(second["nextCursor"], Value::Null);
}

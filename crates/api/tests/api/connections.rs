//! `/v1/connections`: what callers and the people they send away see. How tokens are refreshed is tested with the engine.

use http::Method;
use postrider_domain::limits;
use postrider_testkit::receiver::{Answer, Receiver};
use serde_json::{Value, json};

use crate::world::{Reply, World};

const SECRET: &str = "client-hush-4711";

fn new(receiver: &Receiver, name: &str) -> Value {
    json!({
        "name": name,
        "grant": "authorization_code",
        "clientId": "the-client",
        "clientSecret": SECRET,
        "scopes": ["read"],
        "authorizationUrl": receiver.url("/authorize"),
        "tokenUrl": receiver.url("/token"),
    })
}

async fn call(world: &World, method: Method, path: &str) -> Reply {
    world.operator(method, format!("/v1/connections{path}"), "acme").send().await
}

/// The `state` of a new link, and the answer.
async fn link(world: &World, name: &str) -> (String, Reply) {
    let reply = call(world, Method::POST, &format!("/{name}/authorize")).await.expect_status(200);
    let url = reply.str("/authorizationUrl");
    let state = url.split("&state=").nth(1).and_then(|rest| rest.split('&').next()).expect("a state");
    (state.to_owned(), reply)
}

async fn come_back(world: &World, query: &str) -> Reply {
    world.ask(Method::GET, format!("/v1/connections/callback?{query}")).send().await
}

#[tokio::test]
async fn a_connection_is_made_authorized_and_ended_and_shows_no_secret() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let receiver = Receiver::start().await;
    let tokens = r#"{"access_token":"access-hush","refresh_token":"refresh-hush","expires_in":3600}"#;
    receiver.answer(Answer::ok().body(tokens));
    let made =
        world.operator(Method::POST, "/v1/connections", "acme").json(&new(&receiver, "crm")).send().await;
    let made = made.expect_status(201);
    assert_eq!((made.str("/provider"), made.str("/state")), ("custom".into(), "pending".into()));
    let (state, linked) = link(&world, "crm").await;
    assert_eq!(linked.str("/redirectUri"), "http://postrider.test/v1/connections/callback");
    assert!(
        linked
            .str("/authorizationUrl")
            .contains("redirect_uri=http%3A%2F%2Fpostrider.test%2Fv1%2Fconnections%2Fcallback")
    );
    // What else a provider sends along is not looked at.
    let query = format!("code=code-hush&state={state}&session_state=x&scope=a+b&hd=acme.test&scope=twice");
    let page = come_back(&world, &query).await.expect_status(200);
    assert!(
        page.text.contains("<h1>Connected</h1>") && page.text.contains("The connection crm"),
        "{}",
        page.text
    );
    assert!(
        page.headers["content-security-policy"].to_str().expect("text").starts_with("default-src 'none'")
    );
    assert_eq!(page.headers["referrer-policy"], "no-referrer");
    assert_eq!(page.headers["cache-control"], "no-store");

    let by_name = call(&world, Method::GET, "/crm").await.expect_status(200);
    assert_eq!(
        (by_name.str("/state"), by_name.str("/expiresAt")),
        ("active".into(), "2026-04-11T10:15:30.250Z".into())
    );
    let by_id = call(&world, Method::GET, &format!("/{}", made.str("/id"))).await.expect_status(200);
    assert_eq!(by_name.json, by_id.json);
    let refreshed = call(&world, Method::POST, "/crm/refresh").await.expect_status(200);
    assert_eq!(refreshed.json["error"], Value::Null);
    let patch = json!({"clientSecret": "another-hush", "scopes": ["read", "write"]});
    let changed = world.operator(Method::PATCH, "/v1/connections/crm", "acme").json(&patch).send().await;
    assert_eq!(changed.json["scopes"], json!(["read", "write"]));
    let revoked = call(&world, Method::POST, "/crm/revoke").await.expect_status(200);
    assert_eq!(revoked.str("/state"), "revoked");
    assert!(revoked.str("/error").contains("no revocation URL"));
    let list = call(&world, Method::GET, "").await.expect_status(200);
    assert_eq!(list.json["data"], json!([revoked.json]));
    call(&world, Method::DELETE, "/crm").await.expect_status(204);
    for method in [Method::GET, Method::DELETE] {
        call(&world, method, "/crm").await.expect_problem(404, "not_found", "");
    }
    let audit = world.operator(Method::GET, "/v1/audit", "acme").send().await.expect_status(200);
    for action in ["created", "authorized", "updated", "revoked", "deleted"] {
        assert!(audit.text.contains(&format!("connection.{action}")), "{action}");
    }
    for reply in [made, linked, page, by_name, refreshed, changed, revoked, list, audit] {
        assert!(!reply.text.contains("hush"), "{}", reply.text);
    }
    let asked: Vec<_> = receiver.received().into_iter().map(|received| received.path.clone()).collect();
    assert_eq!(asked, ["/token", "/token"]);
}

#[tokio::test]
async fn whoever_comes_back_wrongly_reads_what_to_do() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let receiver = Receiver::start().await;
    receiver.answer(
        Answer::status(400)
            .body(r#"{"error":"invalid_grant","error_description":"<script>alert(1)</script>"}"#),
    );
    world
        .operator(Method::POST, "/v1/connections", "acme")
        .json(&new(&receiver, "crm"))
        .send()
        .await
        .expect_status(201);
    let (used, _) = link(&world, "crm").await;
    come_back(&world, &format!("state={used}&error=access_denied")).await.expect_status(400);
    let (late, _) = link(&world, "crm").await;
    world.clock.advance(limits::CONNECTION_FLOW_KEPT);
    let mut gone = Vec::new();
    for query in [
        "",
        "code=x",
        "state=&code=x",
        "state=AAAA&code=x",
        &format!("state={used}&code=x"),
        &format!("state={late}&code=x"),
    ] {
        gone.push(come_back(&world, query).await.expect_status(400).text);
    }
    assert!(gone.iter().all(|page| *page == gone[0]), "which of them it was is not told");
    assert!(gone[0].contains("start again"), "{}", gone[0]);
    assert_eq!(receiver.received().len(), 0);

    let (state, _) = link(&world, "crm").await;
    let declined =
        come_back(&world, &format!("state={state}&error=access_denied&error_description=%3Cb%3Eno%3C/b%3E"))
            .await;
    assert!(declined.text.contains("access_denied: &lt;b&gt;no&lt;/b&gt;"), "{}", declined.text);
    let (state, _) = link(&world, "crm").await;
    let refused = come_back(&world, &format!("state={state}&code=x")).await.expect_status(400);
    assert!(refused.text.contains("&lt;script&gt;") && !refused.text.contains("<script"), "{}", refused.text);
    let shown = call(&world, Method::GET, "/crm").await.expect_status(200);
    assert_eq!(shown.str("/state"), "pending");
    assert!(shown.str("/error").contains("POST /v1/connections/crm/authorize"), "{}", shown.text);
    call(&world, Method::POST, "/crm/refresh").await.expect_problem(409, "connection_not_authorized", "");
}

#[tokio::test]
async fn bad_connections_are_refused_and_change_nothing() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let receiver = Receiver::start().await;
    let good = |change: Value| {
        let mut body = new(&receiver, "crm");
        for (name, value) in change.as_object().expect("an object") {
            body[name] = value.clone();
        }
        body
    };
    world
        .operator(Method::POST, "/v1/connections", "acme")
        .json(&new(&receiver, "taken"))
        .send()
        .await
        .expect_status(201);
    let before = world.state(&["acme"]).await;
    let many: Vec<String> = (0..=limits::SCOPES_MAX).map(|n| format!("s{n}")).collect();
    let inside = "https://169.254.169.254/token";
    for (change, status, code, field) in [
        (json!({"name": "with space"}), 422, "invalid_field", "name"),
        (json!({"name": "callback"}), 422, "invalid_field", "name"),
        (json!({"name": "con_01h455vb4pex5vsknk084sn02q"}), 422, "invalid_field", "name"),
        (json!({"name": "taken"}), 409, "name_taken", "name"),
        (json!({"provider": "gogle"}), 422, "unknown_provider", "provider"),
        (json!({"provider": "slack", "grant": "client_credentials"}), 422, "invalid_field", "grant"),
        (json!({"grant": "password"}), 422, "invalid_field", "grant"),
        (json!({"clientId": ""}), 422, "invalid_field", "clientId"),
        (json!({"clientId": "a\nb"}), 422, "invalid_field", "clientId"),
        (json!({"clientSecret": ""}), 422, "secret_invalid", "clientSecret"),
        (json!({"clientSecret": null, "grant": "client_credentials"}), 422, "missing_field", "clientSecret"),
        (json!({"scopes": ["a", "b c"]}), 422, "invalid_field", "scopes[1]"),
        (json!({"scopes": many}), 422, "too_many_items", "scopes"),
        (json!({"tokenUrl": inside}), 422, "url_forbidden", "tokenUrl"),
        (json!({"revocationUrl": inside}), 422, "url_forbidden", "revocationUrl"),
        (json!({"tokenUrl": "http://login.example.com/token"}), 422, "https_required", "tokenUrl"),
        (json!({"tokenUrl": "https://user:pass@login.example.com/"}), 422, "url_invalid", "tokenUrl"),
        (json!({"authorizationUrl": "http://login.example.com/"}), 422, "https_required", "authorizationUrl"),
        (json!({"authorizationUrl": "javascript:alert(1)"}), 422, "url_invalid", "authorizationUrl"),
        (
            json!({"authorizationUrl": "https://login.example.com/?state=1"}),
            422,
            "url_invalid",
            "authorizationUrl",
        ),
        (json!({"audience": ""}), 422, "invalid_field", "audience"),
        (json!({"auth": "none"}), 422, "invalid_field", "auth"),
        (json!({"accessToken": "x"}), 422, "unknown_field", "accessToken"),
    ] {
        let reply = world.operator(Method::POST, "/v1/connections", "acme").json(&good(change)).send().await;
        reply.expect_problem(status, code, field);
    }
    let bare = json!({"name": "crm", "grant": "authorization_code", "clientId": "c"});
    let reply = world.operator(Method::POST, "/v1/connections", "acme").json(&bare).send().await;
    reply.expect_problem(422, "missing_field", "tokenUrl");
    let patch =
        world.operator(Method::PATCH, "/v1/connections/taken", "acme").json(&json!({"scopes": ["a b"]}));
    patch.send().await.expect_problem(422, "invalid_field", "scopes[0]");
    assert_eq!(world.state(&["acme"]).await, before);
    assert_eq!(receiver.received().len(), 0);
}

#[tokio::test]
async fn a_repeated_creation_makes_one_connection() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let receiver = Receiver::start().await;
    let ask = || {
        let ask = world.operator(Method::POST, "/v1/connections", "acme").header("Idempotency-Key", "k1");
        ask.json(&new(&receiver, "crm")).send()
    };
    let first = ask().await.expect_status(201);
    let again = ask().await.expect_status(201);
    assert_eq!(again.json, first.json);
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(world.whole_list("/v1/connections", "acme").await.len(), 1);
}

#[tokio::test]
async fn a_foreign_tenants_connection_does_not_exist() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    world.tenant("other", "standard").await;
    let receiver = Receiver::start().await;
    let made =
        world.operator(Method::POST, "/v1/connections", "acme").json(&new(&receiver, "crm")).send().await;
    let id = made.expect_status(201).str("/id");
    let admin = world.key("admin", Some("other")).await;
    for name in ["crm", &id] {
        for (method, rest) in [
            (Method::GET, ""),
            (Method::PATCH, ""),
            (Method::DELETE, ""),
            (Method::POST, "/authorize"),
            (Method::POST, "/refresh"),
            (Method::POST, "/revoke"),
        ] {
            let ask = world.ask(method.clone(), format!("/v1/connections/{name}{rest}")).key(&admin);
            let ask = if method == Method::PATCH { ask.raw("{}") } else { ask };
            ask.send().await.expect_problem(404, "not_found", "");
        }
    }
    let theirs = world.ask(Method::GET, "/v1/connections").key(&admin).send().await.expect_status(200);
    assert_eq!(theirs.json["data"], json!([]));
}

#[tokio::test]
async fn known_providers_are_listed_and_fill_in_what_is_left_out() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let providers = world.whole_list("/v1/connection-providers", "").await;
    let google = providers.iter().find(|provider| provider["name"] == "google").expect("google is known");
    assert_eq!(google["grants"], json!(["authorization_code"]));
    let body = json!({
        "name": "drive", "provider": "google", "grant": "authorization_code", "clientId": "c", "clientSecret": SECRET,
        "scopes": ["https://www.googleapis.com/auth/drive.readonly"],
    });
    let made =
        world.operator(Method::POST, "/v1/connections", "acme").json(&body).send().await.expect_status(201);
    for (field, value) in
        [("tokenUrl", &google["tokenUrl"]), ("issuer", &google["issuer"]), ("auth", &json!("body"))]
    {
        assert_eq!(&made.json[field], value, "{field}");
    }
    let (_, linked) = link(&world, "drive").await;
    let url = linked.str("/authorizationUrl");
    assert!(url.starts_with("https://accounts.google.com/o/oauth2/v2/auth?response_type=code&"), "{url}");
    assert!(url.contains("access_type=offline") && url.contains("prompt=consent"), "{url}");
    let microsoft = json!({
        "name": "graph", "provider": "microsoft", "grant": "authorization_code", "clientId": "c", "clientSecret": SECRET,
        "scopes": ["User.Read"],
    });
    world.operator(Method::POST, "/v1/connections", "acme").json(&microsoft).send().await.expect_status(201);
    let (_, linked) = link(&world, "graph").await;
    assert!(linked.str("/authorizationUrl").contains("scope=User.Read+offline_access"), "{}", linked.text);
}

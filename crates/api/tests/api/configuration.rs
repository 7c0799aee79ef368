//! Tenants, profiles, event types, and who changed them.

use http::Method;
use postrider_testkit::receiver::Receiver;
use serde_json::{Value, json};

use crate::world::World;

#[tokio::test]
async fn a_tenant_is_created_changed_and_deleted_with_everything() {
    let world = World::start().await;
    let body = json!({
        "id": "acme", "name": "Acme Ltd", "profile": "standard", "timezone": "Europe/Zurich",
        "attributes": {"company_id": 17}, "settings": {"delivery": "scan", "scanAt": "07:30"},
    });
    let made =
        world.operator(Method::POST, "/v1/tenants", "").json(&body).send().await.expect_status(201).json;
    for (name, value) in body.as_object().expect("an object").iter().filter(|(name, _)| *name != "settings") {
        assert_eq!(&made[name], value);
    }
    assert_eq!(
        (&made["settings"]["delivery"], &made["settings"]["scanAt"]),
        (&json!("scan"), &json!("07:30"))
    );
    let again = world.operator(Method::POST, "/v1/tenants", "").json(&body).send().await;
    again.expect_problem(409, "id_taken", "id");

    let patch = json!({"settings": {"delivery": null, "retentionDays": 7}, "plan": "pro"});
    let path = "/v1/tenants/acme";
    let changed = world.operator(Method::PATCH, path, "").json(&patch).send().await.expect_status(200).json;
    assert_eq!(
        (&changed["settings"]["delivery"], &changed["settings"]["scanAt"]),
        (&Value::Null, &json!("07:30"))
    );
    assert_eq!((&changed["plan"], &changed["name"]), (&json!("pro"), &json!("Acme Ltd")));
    world.publish("acme", &json!({"type": "a.b", "data": 1})).await;
    let other_profile = json!({"profile": "rcmanager"});
    let refused = world.operator(Method::PATCH, path, "").json(&other_profile).send().await;
    assert_eq!(
        (refused.status, &refused.json["code"]),
        (409, &json!("tenant_has_history")),
        "{}",
        refused.text
    );

    let job = world.operator(Method::DELETE, path, "").send().await.expect_status(202);
    world.operator(Method::GET, path, "").send().await.expect_problem(404, "not_found", "");
    let job = format!("/v1/jobs/{}", job.str("/id"));
    loop {
        let shown = world.operator(Method::GET, &job, "").send().await.expect_status(200).json;
        if shown["state"] == "done" {
            assert_eq!((&shown["tenant"], &shown["kind"]), (&json!("acme"), &json!("tenant_delete")));
            break;
        }
        postrider_testkit::clock::turn().await;
    }
    let audit = world.whole_list("/v1/audit", "").await;
    assert!(
        audit.iter().any(|entry| entry["action"] == "tenant.deleted" && entry["target"] == "acme"),
        "{audit:?}"
    );
}

#[tokio::test]
async fn what_a_tenant_cannot_be_is_refused() {
    let world = World::start().await;
    for (body, field) in [
        (json!({"profile": "no-such"}), "profile"),
        (json!({"profile": "standard", "id": "with.dot"}), "id"),
        (json!({"profile": "standard", "timezone": "Mars/Olympus"}), "timezone"),
        (json!({"profile": "standard", "settings": {"scanAt": "25:00"}}), "settings.scanAt"),
        (json!({"profile": "standard", "settings": {"delivery": "never"}}), "settings.delivery"),
        (json!({"profile": "standard", "settings": {"colour": "red"}}), "settings.colour"),
        (json!({"id": "x"}), "profile"),
    ] {
        let reply = world.operator(Method::POST, "/v1/tenants", "").json(&body).send().await;
        assert_eq!(
            (reply.status, reply.json["field"].as_str()),
            (422, Some(field)),
            "{body}: {}",
            reply.text
        );
    }
    assert!(world.whole_list("/v1/tenants", "").await.is_empty());
}

#[tokio::test]
async fn the_one_webhook_of_an_organisation_lives_in_its_settings() {
    let world = World::start().await;
    world.tenant("org", "org-jobs").await;
    let admin = world.key("admin", Some("org")).await;
    let receiver = Receiver::start().await;
    let change = |body: Value| world.ask(Method::PATCH, "/v1/tenants/org").key(&admin).json(&body);
    let webhook = json!({"settings": {"webhook": {"url": receiver.url("/hook"), "secret": "org-secret-0123456789abcdef"}}});
    let changed = change(webhook).send().await.expect_status(200);
    assert_eq!(changed.json["settings"]["webhook"]["enabled"], true);
    assert_eq!(changed.json["settings"]["webhook"]["secretSet"], true);
    let read = world.ask(Method::GET, "/v1/tenants/org").key(&admin).send().await.expect_status(200);
    assert!(!read.text.contains("org-secret"), "{}", read.text);
    assert_eq!(read.str("/settings/webhook/url"), receiver.url("/hook"));

    let example =
        world.operator(Method::GET, "/v1/event-types/job.created", "org").send().await.json["example"]
            .clone();
    world.publish("org", &json!({"type": "job.created", "data": example})).await;
    receiver.wait_for(1).await;

    let second = json!({"url": "https://hooks.example.com/", "events": ["*"]});
    let refused = world.ask(Method::POST, "/v1/webhooks").key(&admin).json(&second).send().await;
    assert_eq!((refused.status, &refused.json["code"]), (409, &json!("single_webhook")), "{}", refused.text);
    change(json!({"settings": {"webhook": {"enabled": false}}})).send().await.expect_status(200);
    let off = world.ask(Method::GET, "/v1/tenants/org").key(&admin).send().await.json;
    assert_eq!(off["settings"]["webhook"]["enabled"], false);
    // What the product team decides is not the tenant's to change.
    for body in
        [json!({"plan": "pro"}), json!({"profile": "standard"}), json!({"settings": {"requireHttps": false}})]
    {
        change(body).send().await.expect_problem(403, "forbidden", "");
    }
}

#[tokio::test]
async fn a_catalogue_shows_schema_and_example_of_every_type() {
    let world = World::start().await;
    world.tenant("pit", "rcmanager").await;
    let types = world.whole_list("/v1/event-types", "pit").await;
    let names: Vec<&str> = types.iter().filter_map(|known| known["type"].as_str()).collect();
    assert_eq!(names[0], "vehicle.created");
    assert!(names.contains(&"session.ended") && names.contains(&"webhook.disabled"));
    for known in types.iter().filter(|known| known["origin"] == "profile") {
        assert!(known["schema"].is_object() && known["example"].is_object(), "{known}");
        assert!(!known["description"].as_str().unwrap_or("").is_empty(), "{known}");
    }
    let closed = json!({"type": "my.own"});
    let refused = world.operator(Method::POST, "/v1/event-types", "pit").json(&closed).send().await;
    assert!(refused.status == 409 || refused.status == 422, "{}", refused.text);
}

#[tokio::test]
async fn types_are_registered_in_an_open_catalogue() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let put = |body: Value| world.operator(Method::POST, "/v1/event-types", "acme").json(&body);
    let body = json!({
        "type": "order.created", "description": "A customer ordered.", "example": {"id": 17},
        "schema": {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}},
    });
    let made = put(body).send().await.expect_status(201).json;
    assert_eq!(
        (&made["type"], &made["origin"], &made["example"]["id"]),
        (&json!("order.created"), &json!("registered"), &json!(17))
    );
    let settings = json!({"settings": {"schema": "reject"}});
    world.operator(Method::PATCH, "/v1/tenants/acme", "").json(&settings).send().await.expect_status(200);
    let event = json!({"type": "order.created", "data": {"id": "x"}});
    world.operator(Method::POST, "/v1/events", "acme").json(&event).send().await.expect_problem(
        422,
        "schema_violation",
        "data",
    );
    for (body, field) in [
        (json!({"type": "order created"}), "type"),
        (json!({"type": "a.b", "schema": {"$ref": "https://elsewhere.example/s.json"}}), "schema"),
        (json!({"type": "a.b", "schema": {"type": "no-such-type"}}), "schema"),
    ] {
        let refused = put(body).send().await;
        assert_eq!((refused.status, refused.json["field"].as_str()), (422, Some(field)), "{}", refused.text);
    }
    put(json!({"type": "webhook.disabled"})).send().await.expect_problem(409, "conflict", "type");
    world.operator(Method::DELETE, "/v1/event-types/order.created", "acme").send().await.expect_status(204);
    world.operator(Method::GET, "/v1/event-types/order.created", "acme").send().await.expect_status(404);
}

#[tokio::test]
async fn profiles_are_read_and_stored_with_every_error_named() {
    let world = World::start().await;
    let names: Vec<Value> =
        world.whole_list("/v1/profiles", "").await.iter().map(|profile| profile["name"].clone()).collect();
    assert_eq!(json!(names), json!(["org-jobs", "rcmanager", "runtight", "smartmaintenance", "standard"]));
    let standard = world.operator(Method::GET, "/v1/profiles/standard", "").send().await.expect_status(200);
    let source = standard.str("/source").replace("name = \"standard\"", "name = \"mine\"");
    let body = json!({"source": source});
    let stored = world.operator(Method::POST, "/v1/profiles", "").json(&body).send().await.expect_status(201);
    assert_eq!((&stored.json["name"], &stored.json["changed"]), (&json!("mine"), &json!(true)));
    world.tenant("own", "mine").await;
    let put =
        |name: &str, body: &Value| world.operator(Method::PUT, format!("/v1/profiles/{name}"), "").json(body);
    assert_eq!(put("mine", &body).send().await.expect_status(200).json["changed"], false);
    put("yours", &body).send().await.expect_problem(422, "profile_invalid", "source");
    let broken = json!({"source": "name = \"broken\"\n[envelope]\nx = \"{no.such}\"\n"});
    let refused = put("broken", &broken).send().await;
    assert_eq!((refused.status, &refused.json["code"]), (422, &json!("profile_invalid")), "{}", refused.text);
    assert!(refused.str("/detail").contains('3'), "the line is named: {}", refused.text);
}

#[tokio::test]
async fn the_audit_says_who_did_what_without_secrets() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let admin = world.key("admin", Some("acme")).await;
    let body = json!({"url": "https://hooks.example.com/", "events": ["*"], "headers": {"X-Token": "very-secret-value"}});
    let made =
        world.ask(Method::POST, "/v1/webhooks").key(&admin).json(&body).send().await.expect_status(201);
    let audit = world.ask(Method::GET, "/v1/audit").key(&admin).send().await.expect_status(200);
    let entry = &audit.json["data"][0];
    assert_eq!((&entry["action"], &entry["target"]), (&json!("webhook.created"), &made.json["id"]));
    assert_eq!((&entry["actorRole"], &entry["tenant"]), (&json!("admin"), &json!("acme")));
    assert!(entry["actor"].as_str().unwrap_or("").starts_with("key_"));
    assert!(
        !audit.text.contains("very-secret-value") && !audit.text.contains(&made.str("/secret")),
        "{}",
        audit.text
    );
}

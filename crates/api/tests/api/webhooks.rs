//! Webhooks: registered, shown without their secrets, changed, tried, recovered.

use http::Method;
use postrider_testkit::receiver::{Answer, Receiver};
use serde_json::{Value, json};

use crate::world::World;

/// The two requests of the RCManager text, byte for byte.
#[tokio::test]
async fn the_requests_of_the_rcmanager_text_work_as_they_are_written() {
    let world = World::start().await;
    world.tenant("pitbox", "rcmanager").await;
    let key = world.key("admin", Some("pitbox")).await;
    let first = r#"{ "url": "https://app.com/hook", "events": [ "vehicle.*", "maintenance.task.*", "parts.inventory.low" ] }"#;
    let second = r#"{ "url": "https://yourapp.com/webhooks/pro-pitbox", "events": ["vehicle.created", "vehicle.updated", "maintenance.task.created"], "description": "Production webhook endpoint" }"#;
    for (body, description) in [(first, ""), (second, "Production webhook endpoint")] {
        let reply =
            world.ask(Method::POST, "/v1/webhooks").key(&key).raw(body).send().await.expect_status(201);
        let sent: Value = serde_json::from_str(body).expect("the text's JSON is JSON");
        assert_eq!((&reply.json["url"], &reply.json["events"]), (&sent["url"], &sent["events"]));
        assert_eq!(reply.json["description"], description);
        assert_eq!(reply.json["enabled"], true);
        // This profile needs a secret: one is made, and shown here only.
        assert!(reply.str("/secret").len() >= 24);
        assert_eq!(reply.json["warnings"], json!([]));
        let shown =
            world.ask(Method::GET, format!("/v1/webhooks/{}", reply.str("/id"))).key(&key).send().await;
        assert_eq!((&shown.json["secret"], &shown.json["secretSet"]), (&Value::Null, &json!(true)));
    }
}

#[tokio::test]
async fn what_is_secret_about_a_webhook_is_shown_once_and_never_again() {
    let world = World::start().await;
    world.tenant("plant", "smartmaintenance").await;
    let secret = "plant-secret-0123456789abcdef";
    let body = json!({
        "name": "Line 4", "url": "https://hooks.example.com/in", "events": ["task.*"], "secret": secret,
        "headers": {"X-Token": "token-value-1", "X-Plant": "token-value-2"},
    });
    let made =
        world.operator(Method::POST, "/v1/webhooks", "plant").json(&body).send().await.expect_status(201);
    assert_eq!(made.str("/secret"), secret);
    assert_eq!(made.json["headers"], json!({"X-Token": "********", "X-Plant": "********"}));
    let path = format!("/v1/webhooks/{}", made.str("/id"));
    // Sent back as it was read, a masked value stays what it is; one that is new must be given.
    let change = json!({"headers": {"X-Token": "********", "X-New": "token-value-3"}});
    world.operator(Method::PATCH, &path, "plant").json(&change).send().await.expect_status(200);
    let unknown = json!({"headers": {"X-Other": "********"}});
    let refused = world.operator(Method::PATCH, &path, "plant").json(&unknown).send().await;
    refused.expect_problem(422, "header_invalid", "headers.X-Other");

    for path in [path.as_str(), "/v1/webhooks", "/v1/audit"] {
        let text = world.operator(Method::GET, path, "plant").send().await.expect_status(200).text;
        assert!(!text.contains(secret) && !text.contains("token-value"), "{path}: {text}");
    }
    let webhook = &world.engine.catalogue().tenant_by_public_id("plant").expect("the tenant").webhooks[0];
    let headers: Vec<(&str, &str)> =
        webhook.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(headers, [("X-Token", "token-value-1"), ("X-New", "token-value-3")]);
}

#[tokio::test]
async fn a_webhook_is_changed_paused_and_deleted() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let webhook = world.webhook("acme", "https://hooks.example.com/in", &["*"]).await;
    let path = format!("/v1/webhooks/{}", webhook["id"].as_str().expect("an id"));
    let change = json!({"name": "New", "events": ["a.*"], "description": "x", "enabled": false});
    let changed =
        world.operator(Method::PATCH, &path, "acme").json(&change).send().await.expect_status(200).json;
    for (name, value) in change.as_object().expect("an object") {
        assert_eq!(&changed[name], value);
    }
    assert_eq!(changed["url"], webhook["url"], "what is not mentioned stays");
    let cleared = world.operator(Method::PATCH, &path, "acme").raw(r#"{"description": null}"#).send().await;
    assert_eq!(cleared.json["description"], "");
    world.operator(Method::DELETE, &path, "acme").send().await.expect_status(204);
    world.operator(Method::GET, &path, "acme").send().await.expect_problem(404, "not_found", "");
    world.operator(Method::DELETE, &path, "acme").send().await.expect_problem(404, "not_found", "");
    let actions: Vec<String> = world
        .whole_list("/v1/audit", "acme")
        .await
        .iter()
        .filter_map(|entry| entry["action"].as_str().map(str::to_owned))
        .filter(|action| action.starts_with("webhook."))
        .collect();
    assert_eq!(actions.len(), 4, "{actions:?}");
}

#[tokio::test]
async fn a_test_event_reaches_a_webhook_that_is_off_and_counts_nowhere() {
    let world = World::start().await;
    world.tenant("plant", "smartmaintenance").await;
    let receiver = Receiver::start().await;
    let webhook = world.webhook("plant", &receiver.url("/in"), &["task.completed"]).await;
    let path = format!("/v1/webhooks/{}", webhook["id"].as_str().expect("an id"));
    world
        .operator(Method::PATCH, &path, "plant")
        .raw(r#"{"enabled": false}"#)
        .send()
        .await
        .expect_status(200);

    let test = |body: Value| world.operator(Method::POST, format!("{path}/test"), "plant").json(&body);
    let sent = test(json!({})).send().await.expect_status(202);
    assert_eq!(sent.str("/type"), "task.completed", "the first type that the webhook listens to");
    let ended = world.ended("plant", &sent.str("/deliveryId")).await;
    assert_eq!((&ended["state"], &ended["kind"]), (&json!("delivered"), &json!("test")));
    test(json!({"type": "user.created", "data": {"mark": 7}})).send().await.expect_status(202);
    let received = receiver.wait_for(2).await;
    let body: Value = serde_json::from_slice(&received[1].body).expect("a body is JSON");
    assert_eq!(
        (&body["test"], &body["event"], &body["data"]["mark"]),
        (&json!(true), &json!("user.created"), &json!(7))
    );

    let stats =
        world.operator(Method::GET, format!("{path}/stats"), "plant").send().await.expect_status(200).json;
    assert_eq!(stats, json!({"lastFiredAt": null, "attempts": 0, "succeeded": 0, "successRate": null}));
    let ledger = world.operator(Method::GET, "/v1/ledger", "plant").send().await.json;
    assert_eq!((&ledger["accepted"], &ledger["tests"]["accepted"]), (&json!(0), &json!(2)));
    test(json!({"type": "task.exploded"})).send().await.expect_problem(422, "unknown_event_type", "type");
}

#[tokio::test]
async fn what_waits_for_a_paused_webhook_reads_held_while_it_is_paused() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    let receiver = Receiver::start().await;
    receiver.answer(Answer::status(500));
    let webhook = world.webhook("acme", &receiver.url("/in"), &["*"]).await;
    let event = world.publish("acme", &json!({"type": "a.b", "data": {}})).await;
    receiver.wait_for(1).await;
    while world.engine.in_hand() > 0 {
        postrider_testkit::clock::turn().await;
    }
    let path = format!("/v1/webhooks/{}", webhook["id"].as_str().expect("an id"));
    let shown = format!("/v1/events/{}", event["id"].as_str().expect("an id"));
    for (enabled, reason) in [(true, "retry_due"), (false, "held"), (true, "retry_due")] {
        let switch = json!({ "enabled": enabled });
        world.operator(Method::PATCH, &path, "acme").json(&switch).send().await.expect_status(200);
        let event = world.operator(Method::GET, &shown, "acme").send().await.expect_status(200).json;
        assert_eq!(event["deliveries"][0]["reason"], reason);
        assert_eq!(event["outcomes"][0]["reason"], reason);
        let listed = world.whole_list("/v1/deliveries", "acme").await;
        assert_eq!((&listed[0]["reason"], &listed[0]["state"]), (&json!(reason), &json!("scheduled")));
    }
}

#[tokio::test]
async fn what_failed_in_a_time_range_is_sent_again() {
    let world = World::start().await;
    world.tenant("jobs", "rcmanager").await;
    let receiver = Receiver::start().await;
    receiver.answer(Answer::status(410));
    let webhook = world.webhook("jobs", &receiver.url("/in"), &["*"]).await;
    let id = webhook["id"].as_str().expect("an id");
    // Runs through the whole schedule, at once: a retry by hand of each failure would be the other way.
    for n in 0..2 {
        let body = json!({"type": "vehicle.deleted", "data": {"vehicle": {"id": format!("v{n}")}}});
        world.publish("jobs", &body).await;
    }
    for round in 1..=6 {
        while receiver.received().len() < 2 * round {
            postrider_testkit::clock::turn().await;
            // The pace of a failing webhook waits for a clock that does not go by itself.
            if world.engine.in_hand() == 0 {
                world.clock.advance(std::time::Duration::from_millis(400));
            }
        }
        settle(&world, round).await;
        world.clock.advance(std::time::Duration::from_secs(3700));
    }
    let failed = world.operator(Method::GET, "/v1/deliveries?state=failed", "jobs").send().await.json;
    assert_eq!(failed["data"].as_array().map(Vec::len), Some(2), "{failed}");

    receiver.answer(Answer::ok());
    let range = json!({"from": "2026-04-11T00:00:00Z"});
    let recover = || world.operator(Method::POST, format!("/v1/webhooks/{id}/recover"), "jobs").json(&range);
    let job = recover().header("Idempotency-Key", "once").send().await.expect_status(202);
    assert_eq!(job.json["total"], 2);
    let again = recover().header("Idempotency-Key", "once").send().await.expect_status(202);
    assert_eq!(again.str("/id"), job.str("/id"));
    receiver.wait_for(14).await;
    let path = format!("/v1/jobs/{}", job.str("/id"));
    loop {
        let shown = world.operator(Method::GET, &path, "jobs").send().await.expect_status(200).json;
        if shown["state"] == "done" {
            assert_eq!((&shown["done"], &shown["kind"]), (&json!(2), &json!("recover")));
            break;
        }
        postrider_testkit::clock::turn().await;
    }
    let backwards = json!({"from": "2026-04-11T00:00:00Z", "until": "2026-04-10T00:00:00Z"});
    let refused = world.operator(Method::POST, format!("/v1/webhooks/{id}/recover"), "jobs").json(&backwards);
    refused.send().await.expect_problem(422, "invalid_field", "until");
}

/// Waits until every delivery has had `round` attempts written.
async fn settle(world: &World, round: usize) {
    loop {
        let shown = world.operator(Method::GET, "/v1/deliveries", "jobs").send().await.json;
        let rows = shown["data"].as_array().expect("a list has data");
        if rows.iter().all(|row| row["attemptCount"] == round && row["state"] != "sending") {
            return;
        }
        postrider_testkit::clock::turn().await;
    }
}

#[tokio::test]
async fn a_secret_is_rotated_as_the_profiles_header_allows() {
    let world = World::start().await;
    world.tenant("lists", "standard").await;
    world.tenant("single", "smartmaintenance").await;
    let url = "https://hooks.example.com/in";
    let rotate = |tenant: &'static str, id: &str, body: Value| {
        world.operator(Method::POST, format!("/v1/webhooks/{id}/secret/rotate"), tenant).json(&body)
    };
    // A list of signatures: both secrets sign for the overlap.
    let webhook = world.webhook("lists", url, &["*"]).await;
    let id = webhook["id"].as_str().expect("an id");
    let rotated = rotate("lists", id, json!({"overlapSeconds": 3600})).send().await.expect_status(200);
    assert_ne!(rotated.str("/secret"), webhook["secret"].as_str().expect("a secret"));
    assert_eq!(rotated.json["secretPending"], false);

    // One signature: the new secret waits for its confirmation.
    let body = json!({"url": url, "events": ["*"], "secret": "old-secret-0123456789abcdef"});
    let webhook =
        world.operator(Method::POST, "/v1/webhooks", "single").json(&body).send().await.expect_status(201);
    let id = webhook.str("/id");
    let secret = "new-secret-0123456789abcdef";
    let pending = rotate("single", &id, json!({"secret": secret})).send().await.expect_status(200);
    assert_eq!((pending.str("/secret").as_str(), &pending.json["secretPending"]), (secret, &json!(true)));
    let confirmed = rotate("single", &id, json!({"confirm": true})).send().await.expect_status(200);
    assert_eq!((&confirmed.json["secretPending"], &confirmed.json["secret"]), (&json!(false), &Value::Null));
    rotate("single", &id, json!({"confirm": true})).send().await.expect_problem(
        409,
        "secret_rotation_conflict",
        "",
    );
    for (body, field) in [
        (json!({"confirm": true, "cancel": true}), "cancel"),
        (json!({"confirm": true, "secret": secret}), "secret"),
    ] {
        rotate("single", &id, body).send().await.expect_problem(422, "invalid_field", field);
    }
}

#[tokio::test]
async fn a_short_secret_is_taken_with_a_warning() {
    let world = World::start().await;
    world.tenant("plant", "smartmaintenance").await;
    let body = json!({"url": "https://hooks.example.com/", "events": ["*"], "secret": "short"});
    let made =
        world.operator(Method::POST, "/v1/webhooks", "plant").json(&body).send().await.expect_status(201);
    let warning = made.json["warnings"].as_array().and_then(|warnings| warnings.first()).cloned();
    assert!(
        warning.is_some_and(|warning| warning["code"].as_str().unwrap_or("").contains("secret")),
        "{}",
        made.text
    );
}

#[tokio::test]
async fn many_deliveries_are_counted_and_sent_again_by_a_job() {
    let world = World::start().await;
    world.tenant("acme", "standard").await;
    world.tenant("other", "standard").await;
    let webhook = world.webhook("acme", "https://hooks.example.com/in", &["*"]).await;
    let path = "/v1/deliveries/retry";
    let ask = |tenant: &str, body: Value| world.operator(Method::POST, path, tenant).json(&body).send();
    let count = json!({"webhookId": webhook["id"], "dryRun": true});
    let counted = ask("acme", count.clone()).await.expect_status(200);
    assert_eq!(counted.json, json!({"count": 0, "atLeast": false}));
    let job = ask("acme", json!({"webhookId": webhook["id"], "status": 500})).await.expect_status(202);
    assert_eq!((&job.json["kind"], &job.json["webhookId"]), (&json!("retry"), &webhook["id"]));
    let unknown = "dlv_01h455vb4pex5vsknk084sn02q";
    for (tenant, body, status, code, field) in [
        ("other", count, 404, "not_found", ""),
        ("acme", json!({"ids": [unknown]}), 404, "not_found", ""),
        ("acme", json!({"ids": ["evt_1"]}), 404, "not_found", ""),
        ("acme", json!({}), 422, "missing_field", ""),
        ("acme", json!({"dryRun": true}), 422, "missing_field", ""),
        ("acme", json!({"status": 70_000}), 422, "invalid_field", "status"),
    ] {
        ask(tenant, body).await.expect_problem(status, code, field);
    }
}

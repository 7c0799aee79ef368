//! System D, profile `org-jobs`: one webhook per organisation, fire and forget.

use std::time::Duration;

use http::Method;
use postrider_testkit::receiver::{Answer, Gate};
use serde_json::{Value, json};

use crate::stage::{SECRET, Stage, almost_wait, hmac_hex, json_of, names};

/// An organisation whose webhook is set up as its administrators do.
async fn organisation() -> Stage {
    let stage = Stage::of("org-jobs").await;
    let webhook = json!({ "url": stage.receiver.url("/hook"), "enabled": true, "secret": SECRET });
    stage.patch("/v1/tenants/tenant-uuid", &json!({ "settings": { "webhook": webhook } })).await;
    stage
}

fn job() -> Value {
    json!({
        "id": "job-uuid",
        "name": "Smith Residence - Fire Damage",
        "status": "inventory",
        "customer": { "name": "John Smith", "phone": "555-1234" },
        "insurance": { "claimNumber": "CLM-2026-001", "company": "State Farm" },
        "ownerUserId": "user-uuid",
        "createdAt": "2026-03-01T10:00:00.000Z",
        "updatedAt": "2026-03-03T14:30:00.000Z",
    })
}

fn changes() -> Value {
    json!([{
        "field": "settings.customer",
        "oldValue": { "name": "J Smith" },
        "newValue": { "name": "John Smith", "phone": "555-1234" },
    }])
}

#[tokio::test]
async fn the_configuration_lives_in_settings_webhook_and_is_read_and_changed_there() {
    let stage = organisation().await;
    let webhook = stage.get("/v1/tenants/tenant-uuid").await["settings"]["webhook"].clone();
    assert_eq!(webhook["url"], stage.receiver.url("/hook"));
    assert_eq!((&webhook["enabled"], &webhook["secretSet"]), (&json!(true), &json!(true)));
    assert_eq!(webhook["secret"], Value::Null, "a secret is not read back");
    let off = json!({ "settings": { "webhook": { "enabled": false } } });
    let changed = stage.patch("/v1/tenants/tenant-uuid", &off).await["settings"]["webhook"].clone();
    assert_eq!((&changed["enabled"], &changed["url"]), (&json!(false), &webhook["url"]));
}

#[tokio::test]
async fn it_is_the_tenant_s_one_webhook() {
    let stage = organisation().await;
    let listed = stage.get("/v1/webhooks").await;
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(1));
    let second = json!({ "url": stage.receiver.url("/second"), "secret": SECRET });
    stage.as_operator(Method::POST, "/v1/webhooks", &second).await.refused(409, "single_webhook");
}

#[tokio::test]
async fn an_https_url_is_asked_for_by_a_warning_or_required() {
    let stage = Stage::of("org-jobs").await;
    let set = |url: &str| json!({ "settings": { "webhook": { "url": url } } });
    let plain = stage.patch("/v1/tenants/tenant-uuid", &set("http://example.com/hook")).await;
    assert_eq!(plain["warnings"][0]["code"], "url_not_https", "{plain}");
    stage.patch("/v1/tenants/tenant-uuid", &json!({ "settings": { "requireHttps": true } })).await;
    let path = "/v1/tenants/tenant-uuid";
    stage
        .as_operator(Method::PATCH, path, &set("http://example.com/other"))
        .await
        .refused(422, "https_required");
    stage.patch(path, &set("https://example.com/hook")).await;
}

#[tokio::test]
async fn switched_off_nothing_is_delivered_and_the_url_stays() {
    let stage = organisation().await;
    stage.patch("/v1/tenants/tenant-uuid", &json!({ "settings": { "webhook": { "enabled": false } } })).await;
    let event = stage.publish("job.created", json!({ "job": job() })).await;
    let event = stage.get(&format!("/v1/events/{}", event["id"].as_str().expect("an id"))).await;
    assert_eq!(event["outcomes"][0]["reason"], "webhook_off");
    let settings = stage
        .patch("/v1/tenants/tenant-uuid", &json!({ "settings": { "webhook": { "enabled": true } } }))
        .await;
    assert_eq!(settings["settings"]["webhook"]["url"], stage.receiver.url("/hook"));
    stage.publish("job.created", json!({ "job": job() })).await;
    // What goes out just after a webhook is switched on goes at a bounded rate.
    stage.clock.advance(Duration::from_secs(1));
    assert_eq!(stage.the_delivery().await["state"], "delivered");
    assert_eq!(stage.receiver.received().len(), 1);
}

#[tokio::test]
async fn the_timestamp_is_the_moment_of_dispatch_not_of_the_change() {
    let stage = organisation().await;
    let event = json!({ "type": "job.created", "time": "2026-03-03T14:30:00Z", "data": { "job": job() } });
    stage.post("/v1/events", &event).await;
    // Where the clock of the tests stands.
    assert_eq!(json_of(&stage.the_request().await)["timestamp"], "2026-04-11T09:15:30.250Z");
}

#[tokio::test]
async fn there_are_three_event_types_and_the_webhook_gets_them_all() {
    let stage = organisation().await;
    for event_type in ["job.created", "job.updated", "job.deleted"] {
        let mut data = json!({ "job": job() });
        if event_type == "job.updated" {
            data["changes"] = changes();
        }
        stage.publish(event_type, data).await;
    }
    let mut seen: Vec<String> = stage
        .receiver
        .wait_for(3)
        .await
        .iter()
        .map(|request| request.header("x-webhook-event").expect("the event's type").to_owned())
        .collect();
    seen.sort();
    assert_eq!(seen, ["job.created", "job.deleted", "job.updated"]);
    let other = json!({ "type": "job.archived", "data": {} });
    stage.as_operator(Method::POST, "/v1/events", &other).await.refused(422, "unknown_event_type");
}

#[tokio::test]
async fn the_body_is_as_in_the_example_and_changes_stand_only_on_job_updated() {
    let stage = organisation().await;
    stage.publish("job.updated", json!({ "changes": changes(), "job": job() })).await;
    stage.publish("job.created", json!({ "job": job() })).await;
    for request in stage.receiver.wait_for(2).await {
        let body = json_of(&request);
        if body["event"] == "job.updated" {
            assert_eq!(names(&body), ["event", "timestamp", "organizationId", "job", "changes"]);
            assert_eq!(body["changes"], changes());
        } else {
            assert_eq!(names(&body), ["event", "timestamp", "organizationId", "job"]);
        }
        assert_eq!(body["organizationId"], "tenant-uuid");
        assert_eq!(body["job"], job());
        assert_eq!(
            names(&body["job"]),
            ["id", "name", "status", "customer", "insurance", "ownerUserId", "createdAt", "updatedAt"]
        );
    }
}

#[tokio::test]
async fn optional_fields_that_are_missing_are_left_out() {
    let stage = organisation().await;
    let bare = json!({
        "id": "job-uuid", "name": "Smith", "ownerUserId": "user-uuid",
        "createdAt": "2026-03-01T10:00:00.000Z", "updatedAt": "2026-03-03T14:30:00.000Z",
    });
    stage.publish("job.created", json!({ "job": bare })).await;
    let body = json_of(&stage.the_request().await);
    assert_eq!(names(&body["job"]), ["id", "name", "ownerUserId", "createdAt", "updatedAt"]);
}

#[tokio::test]
async fn the_headers_name_the_event_and_carry_a_signature_when_a_secret_is_set() {
    let stage = organisation().await;
    stage.publish("job.created", json!({ "job": job() })).await;
    let request = stage.receiver.wait_for(1).await.remove(0);
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert!(request.header("user-agent").is_some());
    assert_eq!(request.header("x-webhook-event"), Some("job.created"));
    let signature = format!("sha256={}", hmac_hex(SECRET, &request.body));
    assert_eq!(request.header("x-webhook-signature"), Some(signature.as_str()));
    stage.patch("/v1/tenants/tenant-uuid", &json!({ "settings": { "webhook": { "secret": null } } })).await;
    stage.publish("job.created", json!({ "job": job() })).await;
    assert_eq!(stage.receiver.wait_for(2).await[1].header("x-webhook-signature"), None);
}

#[tokio::test]
async fn a_request_is_aborted_after_thirty_seconds() {
    let stage = organisation().await;
    let never = Gate::closed();
    stage.receiver.answer(Answer::ok().behind(&never));
    stage.publish("job.created", json!({ "job": job() })).await;
    stage.receiver.wait_for(1).await;
    almost_wait(Duration::from_secs(30)).await;
    let delivery = stage.the_delivery().await;
    assert_eq!(
        (&delivery["state"], &delivery["attempts"][0]["class"]),
        (&json!("failed"), &json!("timeout"))
    );
    let total = delivery["attempts"][0]["timing"]["totalMs"].as_f64().expect("a duration");
    assert!((29_900.0..31_000.0).contains(&total), "{total} ms");
}

#[tokio::test]
async fn a_failure_is_logged_and_not_retried() {
    let stage = organisation().await;
    stage.receiver.answer(Answer::status(503).header("Retry-After", "1").body("later"));
    stage.publish("job.created", json!({ "job": job() })).await;
    let delivery = stage.the_delivery().await;
    assert_eq!((&delivery["state"], &delivery["attemptCount"]), (&json!("failed"), &json!(1)));
    let attempt = &delivery["attempts"][0];
    assert_eq!((&attempt["status"], &attempt["responseBody"]), (&json!(503), &json!("later")));
    stage.clock.advance(Duration::from_secs(30 * 24 * 3600));
    assert_eq!(stage.receiver.received().len(), 1);
    stage.ledger_balances().await;
}

#[tokio::test]
async fn any_2xx_acknowledges() {
    for status in [200, 201, 202, 204, 299] {
        let stage = organisation().await;
        stage.receiver.answer(Answer::status(status));
        stage.publish("job.created", json!({ "job": job() })).await;
        assert_eq!(stage.the_delivery().await["state"], "delivered", "{status}");
    }
}

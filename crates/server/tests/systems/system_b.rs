//! System B, profile `smartmaintenance`: immediate, retried for about fifteen minutes.

use std::time::Duration;

use http::Method;
use postrider_domain::profile::Profile;
use postrider_domain::verify::{Capture, Finding, verify};
use postrider_testkit::receiver::{Answer, Gate};
use serde_json::{Value, json};

use crate::stage::{SECRET, Stage, almost_wait, hmac_hex, json_of, names, text};

const EVENTS: [&str; 11] = [
    "task.assigned",
    "task.completed",
    "task.approved",
    "task.rejected",
    "repair_request.created",
    "repair_request.updated",
    "shutdown.reported",
    "shutdown.resolved",
    "user.created",
    "user.deactivated",
    "audit.exported",
];

fn task() -> Value {
    json!({ "task_id": 12345, "asset_id": 678, "technician_id": 42 })
}

fn id_of(value: &Value) -> &str {
    value["id"].as_str().expect("an id")
}

#[tokio::test]
async fn webhooks_are_for_the_admin_role_only() {
    let stage = Stage::of("smartmaintenance").await;
    let (admin, viewer) = (stage.key("admin").await, stage.key("viewer").await);
    stage.ask(&viewer, Method::GET, "/v1/webhooks", &Value::Null).await.refused(403, "forbidden");
    stage.ask(&admin, Method::GET, "/v1/webhooks", &Value::Null).await.ok();
}

#[tokio::test]
async fn the_list_shows_name_url_events_last_fired_success_rate_and_the_toggle() {
    let stage = Stage::of("smartmaintenance").await;
    let made = stage.webhook(&["task.*"], json!({ "name": "SAP-PM bridge" })).await;
    stage.receiver.answer_next([Answer::ok(), Answer::status(500), Answer::ok()]);
    stage.publish("task.completed", task()).await;
    stage.all_ended().await;
    stage.publish("task.completed", task()).await;
    stage.until_due().await;
    stage.all_ended().await;
    let listed = stage.get("/v1/webhooks").await["data"][0].clone();
    assert_eq!((&listed["name"], &listed["enabled"]), (&json!("SAP-PM bridge"), &json!(true)));
    assert_eq!((&listed["url"], &listed["events"]), (&made["url"], &json!(["task.*"])));
    let path = format!("/v1/webhooks/{}/stats", id_of(&made));
    let stats = stage.get(&path).await;
    // Two of three requests were answered with a 2xx.
    assert_eq!((&stats["attempts"], &stats["succeeded"]), (&json!(3), &json!(2)));
    assert_eq!(stats["successRate"], json!(2.0 / 3.0));
    assert_eq!(stats["lastFiredAt"], "2026-04-11T09:15:31.250Z");
    // The window rolls: a day later nothing of it is left but when it last fired.
    stage.clock.advance(Duration::from_secs(25 * 3600));
    let stats = stage.get(&path).await;
    assert_eq!((&stats["attempts"], &stats["successRate"]), (&json!(0), &Value::Null));
    assert_eq!(stats["lastFiredAt"], "2026-04-11T09:15:31.250Z");
}

#[tokio::test]
async fn the_form_takes_extra_headers_which_go_out_with_each_request() {
    let stage = Stage::of("smartmaintenance").await;
    let more = json!({ "headers": { "Authorization": "Bearer xyz", "X-Team": "maintenance" }, "description": "Posts to SAP" });
    let made = stage.webhook(&["task.completed"], more).await;
    assert_eq!(made["description"], "Posts to SAP");
    stage.receiver.answer_next([Answer::status(500)]);
    stage.publish("task.completed", task()).await;
    stage.until_due().await;
    for request in stage.receiver.wait_for(2).await {
        assert_eq!(request.header("authorization"), Some("Bearer xyz"));
        assert_eq!(request.header("x-team"), Some("maintenance"));
    }
}

#[tokio::test]
async fn a_webhook_is_active_at_once() {
    let stage = Stage::of("smartmaintenance").await;
    let made = stage.webhook(&["task.completed"], Value::Null).await;
    assert_eq!(made["enabled"], true);
    stage.publish("task.completed", task()).await;
    assert_eq!(stage.the_delivery().await["state"], "delivered");
}

#[tokio::test]
async fn a_url_without_https_is_warned_about_and_in_production_refused() {
    let stage = Stage::of("smartmaintenance").await;
    let new = json!({ "url": "http://example.com/hook", "events": ["task.completed"], "secret": SECRET });
    let made = stage.post("/v1/webhooks", &new).await;
    assert_eq!(made["warnings"][0]["code"], "url_not_https", "{made}");
    stage.patch("/v1/tenants/tenant-uuid", &json!({ "settings": { "requireHttps": true } })).await;
    stage.as_operator(Method::POST, "/v1/webhooks", &new).await.refused(422, "https_required");
}

#[tokio::test]
async fn there_are_eleven_event_types_in_five_families() {
    let stage = Stage::of("smartmaintenance").await;
    let listed = stage.get("/v1/event-types").await;
    let listed: Vec<&Value> = listed["data"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|known| known["origin"] == "profile")
        .collect();
    let types: Vec<&str> = listed.iter().map(|known| known["type"].as_str().expect("a type")).collect();
    assert_eq!(types, EVENTS);
    let mut families: Vec<&str> =
        listed.iter().map(|known| known["family"].as_str().expect("a family")).collect();
    families.dedup();
    assert_eq!(families, ["task", "repair_request", "shutdown", "user", "audit"]);
}

#[tokio::test]
async fn an_installation_may_expose_fewer() {
    let stage = Stage::of("smartmaintenance").await;
    let exposed = json!({ "settings": { "exposedEventTypes": ["task.assigned", "task.completed"] } });
    stage.patch("/v1/tenants/tenant-uuid", &exposed).await;
    let listed = stage.get("/v1/event-types").await;
    let shown: Vec<&str> = listed["data"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|known| known["origin"] == "profile" && known["exposed"] == true)
        .map(|known| known["type"].as_str().expect("a type"))
        .collect();
    assert_eq!(shown, ["task.assigned", "task.completed"]);
    let hidden = json!({ "type": "user.created", "data": {} });
    stage.as_operator(Method::POST, "/v1/events", &hidden).await.refused(422, "event_type_not_exposed");
}

#[tokio::test]
async fn the_body_has_the_company_s_offset_its_number_and_its_name() {
    let stage = Stage::of("smartmaintenance").await;
    stage.webhook(&["task.completed"], Value::Null).await;
    let event = json!({ "type": "task.completed", "time": "2026-04-24T02:15:30Z", "data": task() });
    stage.post("/v1/events", &event).await;
    assert_eq!(
        text(&stage.the_request().await),
        "{\"event\":\"task.completed\",\"timestamp\":\"2026-04-24T09:15:30+07:00\",\"company_id\":1,\
         \"company_name\":\"PT Kahatex\",\"data\":{\"task_id\":12345,\"asset_id\":678,\"technician_id\":42}}"
    );
}

#[tokio::test]
async fn the_headers_are_those_of_the_text() {
    let stage = Stage::of("smartmaintenance").await;
    stage.webhook(&["task.completed"], Value::Null).await;
    stage.publish("task.completed", task()).await;
    let request = stage.the_request().await;
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("user-agent"), Some("SmartMaintenance/1.0"));
    assert_eq!(request.header("x-smtm-event"), Some("task.completed"));
    let delivery = request.header("x-smtm-delivery").expect("the idempotency key");
    assert!(uuid::Uuid::parse_str(delivery).is_ok(), "{delivery}");
    let signature = format!("sha256={}", hmac_hex(SECRET, &request.body));
    assert_eq!(request.header("x-smtm-signature"), Some(signature.as_str()));
}

#[tokio::test]
async fn without_a_secret_requests_are_not_signed() {
    let stage = Stage::of("smartmaintenance").await;
    stage
        .post("/v1/webhooks", &json!({ "url": stage.receiver.url("/"), "events": ["task.completed"] }))
        .await;
    stage.publish("task.completed", task()).await;
    assert_eq!(stage.the_request().await.header("x-smtm-signature"), None);
}

#[tokio::test]
async fn the_idempotency_key_stays_over_retries_and_manual_re_fires_and_differs_between_events_and_webhooks()
{
    let stage = Stage::of("smartmaintenance").await;
    stage.webhook(&["task.completed"], Value::Null).await;
    stage.receiver.answer_next([Answer::status(500)]);
    stage.publish("task.completed", task()).await;
    stage.until_due().await;
    let delivery = stage.the_delivery().await;
    stage.post(&format!("/v1/deliveries/{}/retry", id_of(&delivery)), &json!({})).await;
    let received = stage.receiver.wait_for(3).await;
    let key = |at: usize| received[at].header("x-smtm-delivery").expect("the idempotency key").to_owned();
    assert_eq!((key(0), key(0)), (key(1), key(2)));

    stage
        .post("/v1/webhooks", &json!({ "url": stage.receiver.url("/b"), "events": ["task.completed"] }))
        .await;
    stage.publish("task.completed", task()).await;
    let received = stage.receiver.wait_for(5).await;
    let other = |at: usize| received[at].header("x-smtm-delivery").expect("the idempotency key").to_owned();
    assert!(other(3) != other(4) && other(3) != key(0) && other(4) != key(0));
}

#[tokio::test]
async fn the_first_attempt_is_immediate_and_retries_come_after_1_5_25_125_and_625_seconds() {
    for answer in [Answer::status(500), Answer::status(404), Answer::status(301), Answer::status(410)] {
        let stage = Stage::of("smartmaintenance").await;
        stage.webhook(&["task.completed"], Value::Null).await;
        let status = answer.status;
        stage.receiver.answer(answer);
        stage.publish("task.completed", task()).await;
        stage.receiver.wait_for(1).await;
        for seconds in [1, 5, 25, 125, 625] {
            assert_eq!(stage.until_due().await, Duration::from_secs(seconds), "{status}");
        }
        let delivery = stage.the_delivery().await;
        assert_eq!(
            (&delivery["state"], &delivery["attemptCount"]),
            (&json!("failed"), &json!(6)),
            "{status}"
        );
        assert_eq!(delivery["attempts"].as_array().map(Vec::len), Some(6), "{status}");
        // Permanently failed: logged, and not retried further.
        stage.clock.advance(Duration::from_secs(30 * 24 * 3600));
        assert_eq!(stage.receiver.received().len(), 6, "{status}");
        stage.ledger_balances().await;
    }
}

#[tokio::test]
async fn a_network_error_is_retried_like_a_non_2xx() {
    let stage = Stage::of("smartmaintenance").await;
    // A port that somebody had and nobody has now.
    let gone = postrider_testkit::receiver::Receiver::start().await;
    let url = gone.url("/");
    drop(gone);
    stage.post("/v1/webhooks", &json!({ "url": url, "events": ["task.completed"] })).await;
    stage.publish("task.completed", task()).await;
    for seconds in [1, 5, 25, 125, 625] {
        assert_eq!(stage.until_due().await, Duration::from_secs(seconds));
    }
    let delivery = stage.the_delivery().await;
    assert_eq!((&delivery["state"], &delivery["lastClass"]), (&json!("failed"), &json!("connect")));
}

#[tokio::test]
async fn the_response_must_come_within_thirty_seconds() {
    let stage = Stage::of("smartmaintenance").await;
    let never = Gate::closed();
    stage.receiver.answer_next([Answer::ok().behind(&never)]);
    stage.webhook(&["task.completed"], Value::Null).await;
    stage.publish("task.completed", task()).await;
    stage.receiver.wait_for(1).await;
    almost_wait(Duration::from_secs(30)).await;
    let all = stage.until(|all| all[0]["attemptCount"] == 1 && all[0]["state"] == "scheduled").await;
    let attempts = stage.delivery(&all[0]).await["attempts"].clone();
    assert_eq!(attempts[0]["class"], "timeout");
    let total = attempts[0]["timing"]["totalMs"].as_f64().expect("a duration");
    assert!((29_900.0..31_000.0).contains(&total), "{total} ms");
}

#[tokio::test]
async fn failed_deliveries_are_listed_and_can_be_fired_again_by_hand() {
    let stage = Stage::of("smartmaintenance").await;
    let webhook = stage.webhook(&["task.completed"], Value::Null).await;
    stage.receiver.answer(Answer::status(500));
    stage.publish("task.completed", task()).await;
    for _ in 0..5 {
        stage.until_due().await;
    }
    stage.all_ended().await;
    let failed = stage.get(&format!("/v1/deliveries?state=failed&webhook={}", id_of(&webhook))).await;
    assert_eq!(failed["data"].as_array().map(Vec::len), Some(1));
    stage.receiver.answer(Answer::ok());
    stage.post(&format!("/v1/deliveries/{}/retry", id_of(&failed["data"][0])), &json!({})).await;
    // A webhook that failed five times in a row is asked at a bounded rate until it answers.
    stage.clock.advance(Duration::from_secs(1));
    let all = stage.all_ended().await;
    assert_eq!((&all[0]["state"], &all[1]["state"]), (&json!("failed"), &json!("delivered")));
    assert_eq!(all[1]["kind"], "replay");
    stage.ledger_balances().await;
}

#[tokio::test]
async fn a_test_event_is_flagged_at_the_top_level_and_reaches_a_webhook_that_is_still_off() {
    let stage = Stage::of("smartmaintenance").await;
    let webhook = stage.webhook(&["task.*"], json!({ "enabled": false })).await;
    let path = format!("/v1/webhooks/{}/test", id_of(&webhook));
    stage.post(&path, &json!({ "type": "task.approved" })).await;
    let body = json_of(&stage.the_request().await);
    assert_eq!(names(&body), ["event", "timestamp", "company_id", "company_name", "data", "test"]);
    assert_eq!((&body["event"], &body["test"]), (&json!("task.approved"), &json!(true)));
    assert!(body["data"].as_object().is_some_and(|data| !data.is_empty()), "synthetic data");
    let delivery = stage.the_delivery().await;
    assert_eq!((&delivery["state"], &delivery["kind"]), (&json!("delivered"), &json!("test")));
    // Tests count in no statistic.
    assert_eq!(stage.get(&format!("/v1/webhooks/{}/stats", id_of(&webhook))).await["attempts"], 0);
}

#[tokio::test]
async fn every_event_type_can_be_test_fired() {
    let stage = Stage::of("smartmaintenance").await;
    let webhook = stage.webhook(&["*"], Value::Null).await;
    for event_type in EVENTS {
        stage.post(&format!("/v1/webhooks/{}/test", id_of(&webhook)), &json!({ "type": event_type })).await;
    }
    for request in stage.receiver.wait_for(EVENTS.len()).await {
        assert_eq!(json_of(&request)["test"], true);
    }
}

#[tokio::test]
async fn disabling_is_reversible() {
    let stage = Stage::of("smartmaintenance").await;
    let webhook = stage.webhook(&["task.completed"], Value::Null).await;
    let path = format!("/v1/webhooks/{}", id_of(&webhook));
    stage.patch(&path, &json!({ "enabled": false })).await;
    stage.publish("task.completed", task()).await;
    assert!(stage.deliveries().await.is_empty(), "no new event fires a webhook that is off");
    stage.patch(&path, &json!({ "enabled": true })).await;
    stage.publish("task.completed", task()).await;
    // What goes out just after a webhook is switched on goes at a bounded rate.
    stage.clock.advance(Duration::from_secs(1));
    assert_eq!(stage.the_delivery().await["state"], "delivered");
}

#[tokio::test]
async fn deleting_is_permanent_and_the_history_stays_in_the_audit_log() {
    let stage = Stage::of("smartmaintenance").await;
    let webhook = stage.webhook(&["task.completed"], Value::Null).await;
    let path = format!("/v1/webhooks/{}", id_of(&webhook));
    stage.publish("task.completed", task()).await;
    stage.all_ended().await;
    stage.as_operator(Method::DELETE, &path, &Value::Null).await.ok();
    stage.as_operator(Method::GET, &path, &Value::Null).await.refused(404, "not_found");
    let audit = stage.get("/v1/audit").await;
    let told =
        audit["data"].as_array().expect("a list").iter().filter(|entry| entry["target"] == webhook["id"]);
    let actions: Vec<&str> = told.map(|entry| entry["action"].as_str().expect("an action")).collect();
    assert_eq!(actions, ["webhook.deleted", "webhook.created"], "newest first");
    assert_eq!(stage.deliveries().await.len(), 1, "what was delivered stays in the history");
}

#[tokio::test]
async fn a_webhook_that_never_fires_can_be_explained() {
    let stage = Stage::of("smartmaintenance").await;
    let off = stage.webhook(&["task.completed"], json!({ "enabled": false })).await;
    let elsewhere = stage.webhook(&["user.created"], Value::Null).await;
    let event = stage.publish("task.completed", task()).await;
    let outcomes = stage.get(&format!("/v1/events/{}", id_of(&event))).await["outcomes"].clone();
    let reason = |webhook: &Value| {
        let found =
            outcomes.as_array().expect("a list").iter().find(|outcome| outcome["webhookId"] == webhook["id"]);
        found.expect("every webhook has an outcome")["reason"].clone()
    };
    assert_eq!(reason(&off), "webhook_off");
    assert_eq!(reason(&elsewhere), "patterns_do_not_match");
}

#[tokio::test]
async fn a_signature_that_fails_over_the_parsed_json_is_told_from_one_with_another_secret() {
    let stage = Stage::of("smartmaintenance").await;
    stage.webhook(&["task.completed"], Value::Null).await;
    stage.publish("task.completed", task()).await;
    let request = stage.the_request().await;
    let profile =
        Profile::parse(include_str!("../../../../profiles/smartmaintenance.toml")).expect("it compiles");
    let judge = |body: &[u8], secret: &str| {
        verify(&profile, Capture { headers: &request.headers, body, received: None }, secret)
    };
    assert_eq!(judge(&request.body, SECRET), Finding::Holds);
    let parsed: Value = serde_json::from_slice(&request.body).expect("JSON");
    let rewritten = serde_json::to_vec_pretty(&parsed).expect("JSON");
    assert!(matches!(judge(&rewritten, SECRET), Finding::BodyChanged { .. }));
    assert_eq!(judge(&request.body, "another-secret-of-more-than-24-bytes"), Finding::Mismatch);
}

#[tokio::test]
async fn failures_that_accumulate_tell_whether_the_endpoint_is_unreachable_slow_or_refusing() {
    let stage = Stage::of("smartmaintenance").await;
    stage.webhook(&["task.completed"], Value::Null).await;
    stage.receiver.answer(Answer::status(403).body("no"));
    stage.publish("task.completed", task()).await;
    for _ in 0..5 {
        stage.until_due().await;
    }
    let delivery = stage.the_delivery().await;
    assert_eq!((&delivery["lastClass"], &delivery["lastStatus"]), (&json!("status"), &json!(403)));
    for attempt in delivery["attempts"].as_array().expect("attempts") {
        assert_eq!((&attempt["status"], &attempt["responseBody"]), (&json!(403), &json!("no")));
    }
}

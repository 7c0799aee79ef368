//! System A, profile `runtight`: scanned daily, at most once.

use std::time::Duration;

use http::Method;
use postrider_domain::time::Timestamp;
use postrider_testkit::receiver::{Answer, Gate};
use serde_json::{Value, json};

use crate::stage::{SECRET, Stage, almost_wait, due, hmac_hex, json_of, names, text};

const EVENTS: [&str; 5] = ["wo.created", "wo.completed", "wo.overdue", "pm.due", "asset.created"];

/// The documented example's data, with its fields in another order and one that is not documented.
fn completed() -> Value {
    json!({
        "asset_id": "asset-uuid",
        "completed_at": "2026-04-11T18:45:10.567Z",
        "internal_note": "not for receivers",
        "time_spent_minutes": 35,
        "priority": "high",
        "title": "Weekly Hydraulic Press Inspection",
        "due_date": "2026-04-11",
        "work_order_id": "wo-uuid",
    })
}

#[tokio::test]
async fn webhooks_are_for_the_admin_role_only() {
    let stage = Stage::of("runtight").await;
    let (admin, viewer, publisher) =
        (stage.key("admin").await, stage.key("viewer").await, stage.key("publisher").await);
    let new = json!({ "url": stage.receiver.url("/"), "events": ["wo.created"] });
    for key in [&viewer, &publisher] {
        stage.ask(key, Method::POST, "/v1/webhooks", &new).await.refused(403, "forbidden");
        stage.ask(key, Method::GET, "/v1/webhooks", &Value::Null).await.refused(403, "forbidden");
    }
    stage.ask(&admin, Method::POST, "/v1/webhooks", &new).await.ok();
    stage.ask(&admin, Method::GET, "/v1/webhooks", &Value::Null).await.ok();
}

#[tokio::test]
async fn a_plan_that_is_not_pro_is_refused_with_a_clear_code() {
    for plan in [json!("free"), Value::Null] {
        let stage = Stage::of("runtight").await;
        stage.patch("/v1/tenants/tenant-uuid", &json!({ "plan": plan })).await;
        let admin = stage.key("admin").await;
        let new = json!({ "url": stage.receiver.url("/"), "events": ["wo.created"] });
        stage.ask(&admin, Method::POST, "/v1/webhooks", &new).await.refused(403, "plan_excludes_webhooks");
    }
}

#[tokio::test]
async fn a_webhook_has_a_name_a_url_an_optional_secret_and_the_events_it_receives() {
    let stage = Stage::of("runtight").await;
    let url = stage.receiver.url("/");
    let new = json!({ "name": "Zapier", "url": url, "events": ["wo.created", "pm.due"] });
    let made = stage.post("/v1/webhooks", &new).await;
    assert_eq!((&made["name"], &made["url"], &made["events"]), (&new["name"], &new["url"], &new["events"]));
    assert_eq!((&made["secretSet"], &made["secret"]), (&json!(false), &Value::Null));
    let signed = stage.webhook(&["asset.created"], Value::Null).await;
    assert_eq!(signed["secretSet"], true);
}

#[tokio::test]
async fn there_are_five_event_types_and_no_other() {
    let stage = Stage::of("runtight").await;
    let listed = stage.get("/v1/event-types").await;
    let of_profile: Vec<&str> = listed["data"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|known| known["origin"] == "profile")
        .map(|known| known["type"].as_str().expect("a type"))
        .collect();
    assert_eq!(of_profile, EVENTS);
    let other = json!({ "type": "wo.deleted", "data": {} });
    stage.as_operator(Method::POST, "/v1/events", &other).await.refused(422, "unknown_event_type");
    let new = json!({ "url": stage.receiver.url("/"), "events": ["wo.deleted"] });
    stage.as_operator(Method::POST, "/v1/webhooks", &new).await.refused(422, "pattern_matches_nothing");
}

#[tokio::test]
async fn the_body_has_four_fields_and_data_exactly_those_listed_in_their_order() {
    let stage = Stage::of("runtight").await;
    stage.webhook(&["wo.completed"], Value::Null).await;
    let event =
        json!({ "type": "wo.completed", "time": "2026-04-11T20:45:12.123+02:00", "data": completed() });
    stage.post("/v1/events", &event).await;
    stage.run_scan().await;
    assert_eq!(
        text(&stage.the_request().await),
        "{\"event\":\"wo.completed\",\"tenant_id\":\"tenant-uuid\",\"timestamp\":\"2026-04-11T18:45:12.123Z\",\"data\":{\
         \"work_order_id\":\"wo-uuid\",\"title\":\"Weekly Hydraulic Press Inspection\",\"priority\":\"high\",\
         \"due_date\":\"2026-04-11\",\"completed_at\":\"2026-04-11T18:45:10.567Z\",\"time_spent_minutes\":35,\
         \"asset_id\":\"asset-uuid\"}}"
    );
}

#[tokio::test]
async fn each_event_carries_its_own_fields_and_null_for_one_that_is_missing() {
    let fields: [(&str, &[&str]); 5] = [
        ("wo.created", &["work_order_id", "title", "priority", "status", "wo_type", "due_date", "asset_id"]),
        (
            "wo.completed",
            &[
                "work_order_id",
                "title",
                "priority",
                "due_date",
                "completed_at",
                "time_spent_minutes",
                "asset_id",
            ],
        ),
        ("wo.overdue", &["work_order_id", "title", "priority", "due_date", "asset_id"]),
        ("pm.due", &["work_order_id", "template_id", "title", "priority", "due_date", "asset_id"]),
        ("asset.created", &["asset_id", "name", "category", "criticality"]),
    ];
    for (event_type, fields) in fields {
        let stage = Stage::of("runtight").await;
        stage.webhook(&[event_type], Value::Null).await;
        // Only the record's id is known.
        let mut data = json!({});
        for id in ["work_order_id", "template_id", "asset_id"] {
            if fields.contains(&id) && (id != "asset_id" || event_type == "asset.created") {
                data[id] = json!("some-uuid");
            }
        }
        stage.publish(event_type, data.clone()).await;
        stage.run_scan().await;
        let body = json_of(&stage.the_request().await);
        assert_eq!(names(&body), ["event", "tenant_id", "timestamp", "data"], "{event_type}");
        assert_eq!(names(&body["data"]), fields, "{event_type}");
        for field in fields {
            assert_eq!(body["data"][field], data[field], "{event_type} {field}");
        }
    }
}

#[tokio::test]
async fn the_headers_are_those_of_the_text_and_the_signature_is_there_only_with_a_secret() {
    let stage = Stage::of("runtight").await;
    stage.webhook(&["wo.completed"], Value::Null).await;
    let unsigned = json!({ "url": stage.receiver.url("/unsigned"), "events": ["wo.completed"] });
    stage.post("/v1/webhooks", &unsigned).await;
    stage.publish("wo.completed", completed()).await;
    stage.run_scan().await;
    let received = stage.receiver.wait_for(2).await;
    for request in &received {
        assert_eq!(request.method, "POST");
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(request.header("user-agent"), Some("RunTight-Webhooks/1.0"));
        assert_eq!(request.header("x-webhook-event"), Some("wo.completed"));
        let signature =
            (request.path == "/hook").then(|| format!("sha256={}", hmac_hex(SECRET, &request.body)));
        assert_eq!(request.header("x-webhook-signature"), signature.as_deref());
    }
}

#[tokio::test]
async fn events_wait_for_the_daily_scan_at_six_in_the_tenant_s_zone() {
    let stage = Stage::of("runtight").await;
    stage.webhook(&["wo.completed"], Value::Null).await;
    stage.publish("wo.completed", completed()).await;
    let waiting = stage.deliveries().await;
    assert_eq!(
        (&waiting[0]["state"], &waiting[0]["reason"]),
        (&json!("scheduled"), &json!("waiting_for_scan"))
    );
    // Jakarta is seven hours ahead: its next 06:00 is 23:00 UTC of the same day.
    let scan = Timestamp::parse_rfc3339("2026-04-11T23:00:00Z").expect("a time");
    assert_eq!(due(&waiting[0]), Some(scan));
    assert_eq!(stage.receiver.received().len(), 0);
    stage.clock.set(scan);
    assert_eq!(stage.the_delivery().await["state"], "delivered");
}

#[tokio::test]
async fn zone_and_hour_of_the_scan_are_settings() {
    let stage = Stage::of("runtight").await;
    stage
        .patch(
            "/v1/tenants/tenant-uuid",
            &json!({ "timezone": "America/New_York", "settings": { "scanAt": "21:30" } }),
        )
        .await;
    stage.webhook(&["wo.completed"], Value::Null).await;
    stage.publish("wo.completed", completed()).await;
    // 21:30 in New York, four hours behind in April.
    assert_eq!(due(&stage.deliveries().await[0]), Timestamp::parse_rfc3339("2026-04-12T01:30:00Z"));
}

#[tokio::test]
async fn an_operator_may_run_the_scan_now_and_nobody_else() {
    let stage = Stage::of("runtight").await;
    let admin = stage.key("admin").await;
    stage.webhook(&["wo.completed"], Value::Null).await;
    stage.publish("wo.completed", completed()).await;
    stage.ask(&admin, Method::POST, "/v1/scans/run", &Value::Null).await.refused(403, "forbidden");
    stage.run_scan().await;
    assert_eq!(stage.the_delivery().await["state"], "delivered");
}

#[tokio::test]
async fn a_tenant_may_be_switched_to_immediate_delivery() {
    let stage = Stage::of("runtight").await;
    stage.patch("/v1/tenants/tenant-uuid", &json!({ "settings": { "delivery": "immediate" } })).await;
    stage.webhook(&["wo.completed"], Value::Null).await;
    stage.publish("wo.completed", completed()).await;
    assert_eq!(stage.the_delivery().await["state"], "delivered");
    assert_eq!(stage.receiver.received().len(), 1);
}

#[tokio::test]
async fn an_event_goes_out_at_most_once_also_over_scans_and_restarts() {
    let stage = Stage::of("runtight").await;
    stage.webhook(&["wo.completed"], Value::Null).await;
    let event = json!({ "id": "wo-uuid:completed", "type": "wo.completed", "data": completed() });
    stage.post("/v1/events", &event).await;
    let stage = stage.restart().await;
    stage.post("/v1/events", &event).await;
    stage.run_scan().await;
    stage.all_ended().await;
    let stage = stage.restart().await;
    stage.post("/v1/events", &event).await;
    stage.run_scan().await;
    stage.clock.advance(Duration::from_secs(2 * 24 * 3600));
    assert_eq!(stage.all_ended().await.len(), 1);
    assert_eq!(stage.receiver.received().len(), 1);
    stage.ledger_balances().await;
}

#[tokio::test]
async fn there_is_one_attempt_and_no_retry_whatever_the_receiver_answers() {
    for status in [500, 503, 429, 404, 410, 302] {
        let stage = Stage::of("runtight").await;
        stage
            .receiver
            .answer(Answer::status(status).header("Retry-After", "1").header("Location", "/elsewhere"));
        let webhook = stage.webhook(&["wo.completed"], Value::Null).await;
        stage.publish("wo.completed", completed()).await;
        stage.run_scan().await;
        let delivery = stage.the_delivery().await;
        assert_eq!(
            (&delivery["state"], &delivery["attemptCount"]),
            (&json!("failed"), &json!(1)),
            "{status}"
        );
        stage.clock.advance(Duration::from_secs(2 * 24 * 3600));
        assert_eq!(stage.all_ended().await.len(), 1, "{status}");
        assert_eq!(stage.receiver.received().len(), 1, "{status}");
        let webhook = stage.get(&format!("/v1/webhooks/{}", webhook["id"].as_str().expect("an id"))).await;
        assert_eq!(webhook["enabled"], true, "{status}");
    }
}

#[tokio::test]
async fn the_endpoint_has_ten_seconds_to_answer() {
    let stage = Stage::of("runtight").await;
    let never = Gate::closed();
    stage.receiver.answer(Answer::ok().behind(&never));
    stage.webhook(&["wo.completed"], Value::Null).await;
    stage.publish("wo.completed", completed()).await;
    stage.run_scan().await;
    stage.receiver.wait_for(1).await;
    almost_wait(Duration::from_secs(10)).await;
    let delivery = stage.the_delivery().await;
    assert_eq!(delivery["state"], "failed");
    assert_eq!(delivery["attempts"][0]["class"], "timeout");
    let total = delivery["attempts"][0]["timing"]["totalMs"].as_f64().expect("a duration");
    assert!((9_900.0..11_000.0).contains(&total), "{total} ms");
}

#[tokio::test]
async fn every_attempt_is_in_the_history_with_status_code_and_response_snippet() {
    let stage = Stage::of("runtight").await;
    stage.receiver.answer(Answer::status(422).body("{\"error\":\"unknown asset\"}"));
    stage.webhook(&["wo.completed"], Value::Null).await;
    stage.publish("wo.completed", completed()).await;
    stage.run_scan().await;
    let delivery = stage.the_delivery().await;
    let attempt = &delivery["attempts"][0];
    assert_eq!(
        (&attempt["status"], &attempt["responseBody"]),
        (&json!(422), &json!("{\"error\":\"unknown asset\"}"))
    );
}

#[tokio::test]
async fn while_a_webhook_is_paused_no_attempt_is_made_and_its_day_is_cancelled_at_the_scan() {
    let stage = Stage::of("runtight").await;
    let webhook = stage.webhook(&["wo.completed"], Value::Null).await;
    let path = format!("/v1/webhooks/{}", webhook["id"].as_str().expect("an id"));
    stage.publish("wo.completed", completed()).await;
    stage.patch(&path, &json!({ "enabled": false })).await;
    stage.run_scan().await;
    let delivery = stage.the_delivery().await;
    assert_eq!((&delivery["state"], &delivery["reason"]), (&json!("cancelled"), &json!("paused")));
    assert_eq!(stage.receiver.received().len(), 0);
    // It was not deleted: switched on again, the next event goes out.
    stage.patch(&path, &json!({ "enabled": true })).await;
    stage.publish("wo.completed", completed()).await;
    stage.run_scan().await;
    stage.clock.advance(Duration::from_secs(1));
    assert_eq!(stage.all_ended().await[1]["state"], "delivered");
    stage.ledger_balances().await;
}

#[tokio::test]
async fn what_a_webhook_would_have_said_can_be_polled_from_the_events_list() {
    let stage = Stage::of("runtight").await;
    let mut ids = Vec::new();
    for number in 0..3 {
        stage.clock.advance(Duration::from_millis(1));
        let event = stage.publish("wo.completed", json!({ "work_order_id": format!("wo-{number}") })).await;
        ids.push(event["id"].as_str().expect("an id").to_owned());
    }
    let publisher = stage.key("publisher").await;
    let path = format!("/v1/events?after={}&order=asc", ids[0]);
    let page = stage.ask(&publisher, Method::GET, &path, &Value::Null).await.ok();
    let seen: Vec<&str> = page["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|event| event["id"].as_str().expect("an id"))
        .collect();
    assert_eq!(seen, &ids[1..]);
    assert_eq!(page["data"][1]["data"]["work_order_id"], "wo-2");
    assert_eq!(page["data"][1]["type"], "wo.completed");
}

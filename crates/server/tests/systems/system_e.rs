//! System E, profile `rcmanager`: wildcards, retries for more than an hour, receivers that sign what they parsed.

use std::time::Duration;

use http::Method;
use postrider_testkit::receiver::{Answer, Gate};
use postrider_testkit::tls::TestAuthority;
use postrider_testkit::zoo::{Behaviour, Hostile};
use serde_json::{Value, json};

use crate::stage::{SECRET, Stage, almost_wait, hmac_hex, json_of, text};

const EVENTS: [&str; 8] = [
    "vehicle.created",
    "vehicle.updated",
    "vehicle.deleted",
    "maintenance.task.created",
    "maintenance.task.completed",
    "parts.inventory.low",
    "parts.order.created",
    "session.ended",
];

fn task() -> Value {
    json!({
        "task": {
            "id": "mnt_9z8y7x6w5v",
            "vehicle_id": "veh_4u3t2s1r0q",
            "type": "oil_change",
            "scheduled_date": "2024-12-30",
            "description": "Regular oil change",
            "status": "scheduled",
        }
    })
}

fn id_of(value: &Value) -> &str {
    value["id"].as_str().expect("an id")
}

#[tokio::test]
async fn both_requests_of_the_text_register_a_webhook_exactly_as_they_are_written() {
    let stage = Stage::of("rcmanager").await;
    let key = stage.key("admin").await;
    for written in [
        r#"{ "url": "https://app.com/hook", "events": [ "vehicle.*", "maintenance.task.*", "parts.inventory.low" ] }"#,
        "{\n    \"url\": \"https://yourapp.com/webhooks/pro-pitbox\",\n    \"events\": [\"vehicle.created\", \
         \"vehicle.updated\", \"maintenance.task.created\"],\n    \"description\": \"Production webhook endpoint\"\n  }",
    ] {
        let made = stage.ask_raw(&key, Method::POST, "/v1/webhooks", written.to_owned()).await.ok();
        let asked: Value = serde_json::from_str(written).expect("JSON");
        assert_eq!((&made["url"], &made["events"]), (&asked["url"], &asked["events"]));
        assert_eq!(made["enabled"], true);
        // Every webhook of this system is signed: the secret is generated, and shown now.
        assert!(made["secret"].as_str().is_some_and(|secret| secret.len() >= 32), "{made}");
    }
}

#[tokio::test]
async fn there_are_eight_event_types() {
    let stage = Stage::of("rcmanager").await;
    let listed = stage.get("/v1/event-types").await;
    let types: Vec<&str> = listed["data"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|known| known["origin"] == "profile")
        .map(|known| known["type"].as_str().expect("a type"))
        .collect();
    assert_eq!(types, EVENTS);
}

#[tokio::test]
async fn wildcards_match_by_segment() {
    let wanted: [(&str, &[&str]); 4] = [
        ("vehicle.*", &["vehicle.created", "vehicle.updated", "vehicle.deleted"]),
        ("maintenance.task.*", &["maintenance.task.created", "maintenance.task.completed"]),
        ("parts.inventory.low", &["parts.inventory.low"]),
        ("*", &EVENTS),
    ];
    for (pattern, expected) in wanted {
        let stage = Stage::of("rcmanager").await;
        stage.webhook(&[pattern], Value::Null).await;
        for event_type in EVENTS {
            let example = stage.get(&format!("/v1/event-types/{event_type}")).await["example"].clone();
            stage.publish(event_type, example).await;
        }
        let mut seen: Vec<String> = stage
            .receiver
            .wait_for(expected.len())
            .await
            .iter()
            .map(|request| json_of(request)["type"].as_str().expect("a type").to_owned())
            .collect();
        seen.sort();
        let mut expected: Vec<&str> = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(seen, expected, "{pattern}");
    }
    let stage = Stage::of("rcmanager").await;
    let new = json!({ "url": stage.receiver.url("/"), "events": ["veh*"] });
    let refused = stage.as_operator(Method::POST, "/v1/webhooks", &new).await;
    assert_eq!(refused.status, 422, "{}", refused.json);
}

#[tokio::test]
async fn the_body_has_id_type_created_in_whole_seconds_and_data() {
    let stage = Stage::of("rcmanager").await;
    stage.webhook(&["*"], Value::Null).await;
    let event =
        json!({ "type": "maintenance.task.created", "time": "2024-12-25T10:30:00.999Z", "data": task() });
    let published = stage.post("/v1/events", &event).await;
    assert!(id_of(&published).starts_with("evt_"));
    assert_eq!(
        text(&stage.the_request().await),
        format!(
            "{{\"id\":\"{}\",\"type\":\"maintenance.task.created\",\"created\":\"2024-12-25T10:30:00Z\",\"data\":{{\
             \"task\":{{\"id\":\"mnt_9z8y7x6w5v\",\"vehicle_id\":\"veh_4u3t2s1r0q\",\"type\":\"oil_change\",\
             \"scheduled_date\":\"2024-12-30\",\"description\":\"Regular oil change\",\"status\":\"scheduled\"}}}}}}",
            id_of(&published)
        )
    );
}

#[tokio::test]
async fn the_signature_is_hex_without_a_prefix() {
    let stage = Stage::of("rcmanager").await;
    stage.webhook(&["*"], Value::Null).await;
    stage.publish("maintenance.task.created", task()).await;
    let request = stage.the_request().await;
    assert_eq!(request.header("x-propitbox-signature"), Some(hmac_hex(SECRET, &request.body).as_str()));
    assert_eq!(request.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn the_body_is_what_json_stringify_makes_of_it() {
    let stage = Stage::of("rcmanager").await;
    stage.webhook(&["*"], Value::Null).await;
    let written = r#"{"type": "vehicle.created", "data": {"vehicle": {"id": "veh_1"}, "b": 1.0, "10": 1e21, "2": -0.0,
        "big": 9007199254740993, "twice": 1, "twice": 2, "text": "\u00e9\/\u0001\ud83d\ude97", "empty": {}, "list": []}}"#;
    stage.ask_raw(&stage.key("publisher").await, Method::POST, "/v1/events", written.to_owned()).await.ok();
    let body = text(&stage.the_request().await);
    let (_, data) = body.split_once("\"data\":").expect("data is in the body");
    // As Node 20 prints JSON.stringify(JSON.parse(…)): integer-like keys first, the last of two equal keys.
    assert_eq!(
        data,
        "{\"2\":0,\"10\":1e+21,\"vehicle\":{\"id\":\"veh_1\"},\"b\":1,\"big\":9007199254740992,\"twice\":2,\
         \"text\":\"é/\\u0001🚗\",\"empty\":{},\"list\":[]}}"
    );
}

#[tokio::test]
async fn data_that_javascript_cannot_hold_is_refused_when_it_is_published() {
    let stage = Stage::of("rcmanager").await;
    let key = stage.key("publisher").await;
    for data in [r#"{"vehicle":{"id":"v"},"n":1e400}"#, r#"{"vehicle":{"id":"v"},"s":"\ud800"}"#] {
        let body = format!(r#"{{"type": "vehicle.created", "data": {data}}}"#);
        let refused = stage.ask_raw(&key, Method::POST, "/v1/events", body).await;
        assert!((400..500).contains(&refused.status), "{data}: {}", refused.json);
    }
    assert_eq!(stage.get("/v1/events").await["data"], json!([]));
}

#[tokio::test]
async fn retries_come_after_5_and_30_seconds_2_and_10_minutes_and_1_hour() {
    let stage = Stage::of("rcmanager").await;
    stage.webhook(&["*"], Value::Null).await;
    stage.receiver.answer(Answer::status(500));
    stage.publish("maintenance.task.created", task()).await;
    for seconds in [5, 30, 120, 600, 3600] {
        assert_eq!(stage.until_due().await, Duration::from_secs(seconds));
    }
    let delivery = stage.the_delivery().await;
    assert_eq!((&delivery["state"], &delivery["attemptCount"]), (&json!("failed"), &json!(6)));
    stage.clock.advance(Duration::from_secs(30 * 24 * 3600));
    assert_eq!(stage.receiver.received().len(), 6);
    stage.ledger_balances().await;
}

#[tokio::test]
async fn a_failed_webhook_can_be_retried_by_hand_with_the_same_event_id() {
    let stage = Stage::of("rcmanager").await;
    stage.webhook(&["*"], Value::Null).await;
    stage.receiver.answer(Answer::status(500));
    let event = stage.publish("maintenance.task.created", task()).await;
    for _ in 0..5 {
        stage.until_due().await;
    }
    let failed = stage.the_delivery().await;
    stage.receiver.answer(Answer::ok());
    stage.post(&format!("/v1/deliveries/{}/retry", id_of(&failed)), &json!({})).await;
    // A webhook that failed five times in a row is asked at a bounded rate until it answers.
    stage.clock.advance(Duration::from_secs(1));
    assert_eq!(stage.all_ended().await[1]["state"], "delivered");
    for request in stage.receiver.received() {
        assert_eq!(json_of(&request)["id"], event["id"]);
    }
}

#[tokio::test]
async fn success_is_200_to_299() {
    for (status, state) in
        [(200, "delivered"), (204, "delivered"), (299, "delivered"), (302, "scheduled"), (400, "scheduled")]
    {
        let stage = Stage::of("rcmanager").await;
        stage.webhook(&["*"], Value::Null).await;
        stage.receiver.answer(Answer::status(status));
        stage.publish("maintenance.task.created", task()).await;
        stage.until(|all| all[0]["attemptCount"] == 1 && all[0]["state"] == state).await;
    }
}

#[tokio::test]
async fn success_needs_the_response_body_read_to_its_end() {
    let authority = TestAuthority::default();
    for behaviour in [Behaviour::ResetMidBody, Behaviour::LengthTooLong] {
        let stage = Stage::of("rcmanager").await;
        let hostile =
            Hostile::start(behaviour, Duration::from_millis(10), &authority).await.expect("it starts");
        let new = json!({ "url": hostile.url(), "events": ["*"], "secret": SECRET });
        stage.post("/v1/webhooks", &new).await;
        stage.publish("maintenance.task.created", task()).await;
        let all = stage.until(|all| all[0]["state"] == "scheduled" && all[0]["attemptCount"] == 1).await;
        assert_eq!(all[0]["lastStatus"], 200, "{behaviour:?}");
        assert_ne!(all[0]["lastClass"], "success", "{behaviour:?}");
    }
}

#[tokio::test]
async fn success_must_come_within_thirty_seconds() {
    let stage = Stage::of("rcmanager").await;
    stage.webhook(&["*"], Value::Null).await;
    let never = Gate::closed();
    stage.receiver.answer_next([Answer::ok().behind(&never)]);
    stage.publish("maintenance.task.created", task()).await;
    stage.receiver.wait_for(1).await;
    almost_wait(Duration::from_secs(30)).await;
    let all = stage.until(|all| all[0]["attemptCount"] == 1 && all[0]["state"] == "scheduled").await;
    let attempts = stage.delivery(&all[0]).await["attempts"].clone();
    let total = attempts[0]["timing"]["totalMs"].as_f64().expect("a duration");
    assert!((29_900.0..31_000.0).contains(&total), "{total} ms");
}

#[tokio::test]
async fn a_test_event_of_each_type_can_be_sent_to_an_endpoint() {
    let stage = Stage::of("rcmanager").await;
    let webhook = stage.webhook(&["*"], Value::Null).await;
    for event_type in EVENTS {
        stage.post(&format!("/v1/webhooks/{}/test", id_of(&webhook)), &json!({ "type": event_type })).await;
    }
    let mut seen: Vec<String> = stage
        .receiver
        .wait_for(EVENTS.len())
        .await
        .iter()
        .map(|request| json_of(request)["type"].as_str().expect("a type").to_owned())
        .collect();
    seen.sort();
    let mut expected = EVENTS.to_vec();
    expected.sort_unstable();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn recent_deliveries_response_codes_payloads_and_failures_can_be_looked_at() {
    let stage = Stage::of("rcmanager").await;
    stage.webhook(&["*"], Value::Null).await;
    stage.receiver.answer_next([Answer::status(502).body("bad gateway")]);
    let event = stage.publish("maintenance.task.created", task()).await;
    stage.until_due().await;
    let delivery = stage.the_delivery().await;
    let statuses: Vec<&Value> =
        delivery["attempts"].as_array().expect("attempts").iter().map(|attempt| &attempt["status"]).collect();
    assert_eq!(statuses, [&json!(502), &json!(200)]);
    assert_eq!(delivery["attempts"][0]["responseBody"], "bad gateway");
    let event = stage.get(&format!("/v1/events/{}", id_of(&event))).await;
    assert_eq!(event["data"], task());
}

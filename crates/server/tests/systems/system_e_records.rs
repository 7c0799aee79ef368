//! System E, profile `rcmanager`: events that follow from vehicles, tasks, parts, orders and sessions.

use http::Method;
use serde_json::{Value, json};

use crate::stage::{Stage, json_of};

async fn put(stage: &Stage, record: &str, content: Value) -> Vec<String> {
    let written = stage.put(record, &content).await;
    let events = written["events"].as_array().expect("events");
    events.iter().map(|event| event["type"].as_str().expect("a type").to_owned()).collect()
}

#[tokio::test]
async fn parts_inventory_low_once_per_fall_to_the_threshold() {
    let stage = Stage::of("rcmanager").await;
    let low = ["parts.inventory.low"];
    let part = |quantity: i64| json!({ "name": "bolt", "quantity": quantity, "threshold": 5 });
    assert_eq!(put(&stage, "part/p-1", part(9)).await, Vec::<String>::new());
    assert_eq!(put(&stage, "part/p-1", part(5)).await, low, "at the threshold it is low");
    assert_eq!(put(&stage, "part/p-1", part(5)).await, Vec::<String>::new());
    assert_eq!(put(&stage, "part/p-1", part(3)).await, Vec::<String>::new(), "it was low before");
    assert_eq!(put(&stage, "part/p-1", part(6)).await, Vec::<String>::new());
    assert_eq!(put(&stage, "part/p-1", part(0)).await, low, "it is armed again");
    assert_eq!(put(&stage, "part/p-2", part(1)).await, low, "new, and low already");
    let stage = stage.restart().await;
    assert_eq!(put(&stage, "part/p-1", part(2)).await, Vec::<String>::new(), "also over a restart");
    let events = stage.events().await;
    assert_eq!(events[0]["data"]["part"]["id"], "p-1");
    assert_eq!(events[0]["data"]["quantity"], 5);
}

#[tokio::test]
async fn vehicle_updated_carries_the_changed_fields_and_vehicle_deleted_the_id() {
    let stage = Stage::of("rcmanager").await;
    stage.webhook(&["vehicle.*"], Value::Null).await;
    let vehicle = |speed: f64| json!({ "name": "Slash 4x4", "speed": speed, "owner": { "id": 7 } });
    assert_eq!(put(&stage, "vehicle/v-1", vehicle(1.5)).await, ["vehicle.created"]);
    assert_eq!(put(&stage, "vehicle/v-1", vehicle(2.0)).await, ["vehicle.updated"]);
    stage.as_operator(Method::DELETE, "/v1/records/vehicle/v-1", &Value::Null).await.ok();
    let requests = stage.receiver.wait_for(3).await;
    let mut bodies: Vec<Value> = requests.iter().map(json_of).collect();
    bodies.sort_by_key(|body| body["id"].to_string());
    let data: Vec<&Value> = bodies.iter().map(|body| &body["data"]["vehicle"]).collect();
    let created = json!({ "id": "v-1", "name": "Slash 4x4", "speed": 1.5, "owner": { "id": 7 } });
    assert_eq!(data, [&created, &json!({ "id": "v-1", "speed": 2 }), &json!({ "id": "v-1" })]);
}

#[tokio::test]
async fn each_of_the_eight_event_types_follows_from_a_record() {
    let stage = Stage::of("rcmanager").await;
    put(&stage, "vehicle/v-1", json!({ "name": "Slash" })).await;
    put(&stage, "vehicle/v-1", json!({ "name": "Slash 4x4" })).await;
    stage.as_operator(Method::DELETE, "/v1/records/vehicle/v-1", &Value::Null).await.ok();
    put(&stage, "task/t-1", json!({ "status": "open" })).await;
    put(&stage, "task/t-1", json!({ "status": "completed", "results": { "notes": "done" } })).await;
    put(&stage, "part/p-1", json!({ "quantity": 0, "threshold": 1 })).await;
    put(&stage, "order/o-1", json!({ "total": 12 })).await;
    put(&stage, "session/s-1", json!({ "laps": 12 })).await;
    let of_profile = stage.get("/v1/event-types").await;
    let mut known: Vec<String> = of_profile["data"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|known| known["origin"] == "profile")
        .map(|known| known["type"].as_str().expect("a type").to_owned())
        .collect();
    let mut seen = stage.types().await;
    known.sort();
    seen.sort();
    assert_eq!(seen, known);
}

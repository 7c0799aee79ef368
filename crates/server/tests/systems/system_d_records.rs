//! System D, profile `org-jobs`: events that follow from jobs, which name their organisation.

use http::Method;
use serde_json::{Value, json};

use crate::stage::{SECRET, Stage, TENANT, json_of, names};

const OTHER: &str = "other-org";

/// Two organisations; the first with its webhook.
async fn organisations() -> Stage {
    let stage = Stage::of("org-jobs").await;
    let webhook = json!({ "url": stage.receiver.url("/hook"), "enabled": true, "secret": SECRET });
    stage.patch("/v1/tenants/tenant-uuid", &json!({ "settings": { "webhook": webhook } })).await;
    let other = json!({ "id": OTHER, "name": "Other", "profile": "org-jobs" });
    stage.as_operator(Method::POST, "/v1/tenants", &other).await.ok();
    stage
}

fn job(organisation: Value) -> Value {
    json!({
        "jobName": "Smith Residence - Fire Damage",
        "status": "inventory",
        "settings": {
            "customer": { "name": "John Smith", "phone": "555-1234" },
            "insurance": { "claimNumber": "CLM-2026-001", "company": "State Farm" },
        },
        "ownerUserId": "user-uuid",
        "createdAt": "2026-03-01T10:00:00.000Z",
        "updatedAt": "2026-03-03T14:30:00.000Z",
        "sharing": { "organizationId": organisation },
        "internal": true,
    })
}

async fn put(stage: &Stage, content: &Value) -> Vec<String> {
    let written = stage.put("job/job-uuid", content).await;
    let events = written["events"].as_array().expect("events");
    events.iter().map(|event| event["type"].as_str().expect("a type").to_owned()).collect()
}

#[tokio::test]
async fn the_body_is_as_in_the_example_with_changes_only_on_job_updated() {
    let stage = organisations().await;
    let mut first = job(json!(TENANT));
    first["settings"]["customer"] = json!({ "name": "J Smith" });
    put(&stage, &first).await;
    assert_eq!(put(&stage, &job(json!(TENANT))).await, ["job.updated"]);
    let requests = stage.receiver.wait_for(2).await;
    let mut bodies: Vec<Value> = requests.iter().map(json_of).collect();
    bodies.sort_by_key(|body| body["event"].to_string());
    assert_eq!(names(&bodies[0]), ["event", "timestamp", "organizationId", "job"]);
    assert_eq!(names(&bodies[1]), ["event", "timestamp", "organizationId", "job", "changes"]);
    assert_eq!(
        bodies[1]["job"],
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
    );
    let change = json!([{ "field": "settings.customer", "oldValue": { "name": "J Smith" },
                          "newValue": { "name": "John Smith", "phone": "555-1234" } }]);
    assert_eq!(bodies[1]["changes"], change);
}

#[tokio::test]
async fn job_updated_only_when_a_watched_field_changed() {
    let stage = organisations().await;
    let mut now = job(json!(TENANT));
    put(&stage, &now).await;
    for (path, value) in [
        ("/status", json!("done")),
        ("/ownerUserId", json!("another")),
        ("/updatedAt", json!("2026-03-04T14:30:00.000Z")),
        ("/internal", json!(false)),
    ] {
        *now.pointer_mut(path).expect("it is there") = value;
        assert_eq!(put(&stage, &now).await, Vec::<String>::new(), "{path}");
    }
    for (path, value) in [
        ("/jobName", json!("Smith")),
        ("/settings/customer/phone", json!("555-9999")),
        ("/settings/insurance", Value::Null),
    ] {
        *now.pointer_mut(path).expect("it is there") = value;
        assert_eq!(put(&stage, &now).await, ["job.updated"], "{path}");
    }
    assert_eq!(put(&stage, &now).await, Vec::<String>::new(), "the same again");
}

#[tokio::test]
async fn an_unlinked_job_fires_nothing() {
    let stage = organisations().await;
    for none in [Value::Null, json!("")] {
        assert_eq!(put(&stage, &job(none)).await, Vec::<String>::new());
    }
    let mut without = job(Value::Null);
    without["sharing"] = json!({});
    without["jobName"] = json!("another");
    assert_eq!(put(&stage, &without).await, Vec::<String>::new());
    assert!(stage.events().await.is_empty());
}

#[tokio::test]
async fn a_job_that_is_linked_later_is_created_and_one_that_is_unlinked_is_deleted() {
    let stage = organisations().await;
    put(&stage, &job(Value::Null)).await;
    assert_eq!(put(&stage, &job(json!(TENANT))).await, ["job.created"]);
    assert_eq!(put(&stage, &job(Value::Null)).await, ["job.deleted"]);
    let events = stage.events().await;
    assert_eq!(events[1]["data"]["job"]["name"], "Smith Residence - Fire Damage");
    put(&stage, &job(json!(TENANT))).await;
    stage.as_operator(Method::DELETE, "/v1/records/job/job-uuid", &Value::Null).await.ok();
    assert_eq!(stage.types().await, ["job.created", "job.deleted", "job.created", "job.deleted"]);
}

#[tokio::test]
async fn a_move_deletes_there_and_creates_here_in_one_transaction() {
    let stage = organisations().await;
    put(&stage, &job(json!(OTHER))).await;
    assert_eq!(put(&stage, &job(json!(TENANT))).await, ["job.deleted", "job.created"]);
    assert_eq!(stage.types().await, ["job.created"]);
    let request = stage.the_request().await;
    assert_eq!(json_of(&request)["organizationId"], TENANT);
    let stage = stage.restart().await;
    stage.all_ended().await;
    assert_eq!(stage.get("/v1/records/job/job-uuid").await["tenant"], TENANT);
}

#[tokio::test]
async fn a_job_that_names_an_unknown_organisation_is_refused_and_changes_nothing() {
    let stage = organisations().await;
    put(&stage, &job(json!(TENANT))).await;
    let path = "/v1/records/job/job-uuid";
    stage.as_operator(Method::PUT, path, &job(json!("nobody"))).await.refused(422, "unknown_tenant");
    assert_eq!(stage.types().await, ["job.created"]);
    assert_eq!(stage.get(path).await["tenant"], TENANT);
}

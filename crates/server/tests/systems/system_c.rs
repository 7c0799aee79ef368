//! System C: triggers of workflows. A product that receives webhooks, and starts runs.

use std::time::Duration;

use axum::body::Body;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use postrider_domain::time::Clock as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::stage::{SECRET, Stage, hmac_hex, json_of};

const LEADS: &str = "/v1/workflows/incoming-leads";

/// A stage with the workflow of the text. Its tenants send webhooks as the standard says: the text has none of its own.
async fn leads(steps: Value) -> Stage {
    let stage = Stage::of("standard").await;
    stage.as_operator(Method::PUT, LEADS, &json!({ "steps": steps })).await.ok();
    stage
}

fn lead() -> Value {
    json!({ "event": "lead.created", "email": "person@example.com", "company": "Acme" })
}

fn path_of(trigger: &Value) -> String {
    let url = trigger["webhookUrl"].as_str().expect("a webhook trigger has a URL");
    url.strip_prefix("http://postrider.test").expect("it is one of ours").to_owned()
}

/// A request to a trigger: its status and answer.
async fn invoke(
    stage: &Stage,
    trigger: &Value,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> (u16, Value) {
    let mut request = Request::post(path_of(trigger)).header("Content-Type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(body.into()).expect("a request");
    let answer = stage.router().oneshot(request).await.expect("the router always answers");
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.expect("a whole answer").to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

async fn run_of(stage: &Stage, taken: &(u16, Value)) -> Value {
    let id = taken.1["runId"].as_str().unwrap_or_else(|| panic!("no run in {taken:?}"));
    loop {
        let run = stage.get(&format!("/v1/runs/{id}")).await;
        if run["finishedAt"].is_string() {
            return run;
        }
        postrider_testkit::clock::turn().await;
    }
}

#[tokio::test]
async fn a_trigger_is_created_as_the_text_says_with_its_secret_given_or_generated() {
    let stage = leads(json!([])).await;
    let key = stage.key("admin").await;
    let written = r#"{
"type": "webhook",
"name": "Lead capture",
"enabled": true,
"secret": "replace-with-a-long-random-secret"
}"#;
    let request = Request::post(format!("{LEADS}/triggers"))
        .header("X-API-Key", &key)
        .header("Content-Type", "application/json")
        .body(Body::from(written))
        .expect("a request");
    let answer = stage.router().oneshot(request).await.expect("an answer");
    assert_eq!(answer.status(), 201);
    let body = answer.into_body().collect().await.expect("a whole answer").to_bytes();
    let made: Value = serde_json::from_slice(&body).expect("JSON");
    assert!(made["webhookUrl"].as_str().is_some_and(|url| url.contains("/v1/workflows/webhooks/")), "{made}");
    assert_eq!(made["secret"], "replace-with-a-long-random-secret");
    assert_eq!((&made["name"], &made["enabled"]), (&json!("Lead capture"), &json!(true)));
    let asked = json!({ "type": "webhook", "name": "Another", "generateSecret": true });
    let generated = stage.post(&format!("{LEADS}/triggers"), &asked).await;
    assert!(generated["secret"].as_str().is_some_and(|secret| secret.len() >= 32), "{generated}");
    let shown = stage.get(&format!("{LEADS}/triggers/{}", generated["id"].as_str().expect("an id"))).await;
    assert!(shown["secret"].is_null(), "it is shown once: {shown}");
}

#[tokio::test]
async fn triggers_are_listed_changed_and_deleted() {
    let stage = leads(json!([])).await;
    let made = json!({ "type": "webhook", "name": "Lead capture", "secret": SECRET });
    let trigger = stage.post(&format!("{LEADS}/triggers"), &made).await;
    let listed = stage.get(&format!("{LEADS}/triggers")).await;
    assert_eq!(listed["data"][0]["id"], trigger["id"]);
    let path = format!("{LEADS}/triggers/{}", trigger["id"].as_str().expect("an id"));
    assert_eq!(stage.patch(&path, &json!({ "enabled": false })).await["enabled"], false);
    let off = invoke(&stage, &trigger, &[("X-Webhook-Secret", SECRET)], lead().to_string()).await;
    assert_eq!(off.0, 404, "{off:?}");
    stage.as_operator(Method::DELETE, &path, &Value::Null).await.ok();
    assert_eq!(stage.get(&format!("{LEADS}/triggers")).await["data"], json!([]));
    stage.as_operator(Method::GET, &path, &Value::Null).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_cron_trigger_starts_runs_by_the_clock() {
    let stage = leads(json!([])).await;
    let made =
        json!({ "type": "cron", "name": "Every morning", "cron": "0 6 * * *", "timezone": "Asia/Jakarta" });
    let trigger = stage.post(&format!("{LEADS}/triggers"), &made).await;
    let next: Vec<&str> =
        trigger["nextTimes"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert_eq!(next.len(), 5, "{trigger}");
    assert!(next.iter().all(|time| time.ends_with("T23:00:00.000Z")), "six in the morning there: {next:?}");
    stage.at(next[0]);
    loop {
        let runs = stage.get(&format!("{LEADS}/runs")).await;
        if let Some(run) = runs["data"].get(0) {
            assert_eq!(run["triggerType"], "cron");
            assert_eq!(run["triggerId"], trigger["id"]);
            break;
        }
        postrider_testkit::clock::turn().await;
    }
}

#[tokio::test]
async fn the_payload_becomes_the_runs_input() {
    let stage = leads(json!([])).await;
    let made = json!({ "type": "webhook", "name": "Lead capture", "secret": SECRET });
    let trigger = stage.post(&format!("{LEADS}/triggers"), &made).await;
    let taken = invoke(&stage, &trigger, &[("X-Webhook-Secret", SECRET)], lead().to_string()).await;
    assert_eq!((taken.0, &taken.1["duplicate"]), (202, &json!(false)), "{taken:?}");
    assert_eq!(run_of(&stage, &taken).await["input"], lead());
}

#[tokio::test]
async fn a_trigger_with_a_secret_refuses_a_request_without_it() {
    let stage = leads(json!([])).await;
    let made = json!({ "type": "webhook", "name": "Lead capture", "secret": SECRET });
    let trigger = stage.post(&format!("{LEADS}/triggers"), &made).await;
    for headers in [&[][..], &[("X-Webhook-Secret", "another")], &[("X-Webhook-Secret", "")]] {
        let refused = invoke(&stage, &trigger, headers, lead().to_string()).await;
        assert_eq!((refused.0, &refused.1["code"]), (401, &json!("verification_failed")), "{refused:?}");
    }
    let twice = [("X-Webhook-Secret", SECRET), ("X-Webhook-Secret", SECRET)];
    assert_eq!(invoke(&stage, &trigger, &twice, lead().to_string()).await.0, 401, "a doubled header");
    assert_eq!(stage.get(&format!("{LEADS}/runs")).await["data"], json!([]), "nothing was started");
    let kept = stage.get("/v1/requests?cause=verification_failed").await;
    assert_eq!(kept["data"].as_array().map(Vec::len), Some(4), "{kept}");
}

#[tokio::test]
async fn the_last_runs_say_what_started_them_how_they_went_and_when() {
    let stage = leads(json!([])).await;
    let made = json!({ "type": "webhook", "name": "Lead capture", "secret": SECRET });
    let trigger = stage.post(&format!("{LEADS}/triggers"), &made).await;
    for n in 0..3 {
        stage.clock.advance(Duration::from_millis(1));
        let body = json!({ "n": n }).to_string();
        invoke(&stage, &trigger, &[("X-Webhook-Secret", SECRET)], body).await;
    }
    let runs = stage.get(&format!("{LEADS}/runs?limit=2")).await;
    let runs = runs["data"].as_array().expect("a list");
    assert_eq!(runs.len(), 2);
    for run in runs {
        assert_eq!((&run["triggerType"], &run["status"]), (&json!("webhook"), &json!("succeeded")), "{run}");
    }
    let newest = &runs[0];
    assert_eq!(newest["createdAt"], stage.clock.now().to_string());
    let read = stage.get(&format!("/v1/runs/{}", newest["id"].as_str().expect("an id"))).await;
    assert_eq!(read["input"]["n"], 2, "the newest first");
}

#[tokio::test]
async fn steps_use_secrets_that_nobody_is_shown() {
    let stage = Stage::of("standard").await;
    let value = "a-key-of-the-crm-0123456789";
    stage.as_operator(Method::PUT, "/v1/secrets/CRM_KEY", &json!({ "value": value })).await.ok();
    let steps = json!([{
        "id": "store", "type": "http", "method": "POST", "url": stage.receiver.url("/contacts"),
        "headers": { "Authorization": "Bearer {{ secrets.CRM_KEY }}" },
        "body": { "email": { "$expr": "input.email" } },
    }]);
    stage.as_operator(Method::PUT, LEADS, &json!({ "steps": steps })).await.ok();
    let made = json!({ "type": "webhook", "name": "Lead capture", "secret": SECRET });
    let trigger = stage.post(&format!("{LEADS}/triggers"), &made).await;
    let taken = invoke(&stage, &trigger, &[("X-Webhook-Secret", SECRET)], lead().to_string()).await;
    let run = run_of(&stage, &taken).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    let request = stage.the_request().await;
    assert_eq!(request.header("authorization"), Some(format!("Bearer {value}").as_str()));
    assert_eq!(json_of(&request), json!({ "email": "person@example.com" }));
    let key = format!("{}:store", run["id"].as_str().expect("an id"));
    assert_eq!(request.header("idempotency-key"), Some(key.as_str()));
    assert!(!run.to_string().contains(value));
    assert!(!stage.get("/v1/secrets").await.to_string().contains(value));
}

#[tokio::test]
async fn a_triggers_secret_is_rotated_without_a_refused_request() {
    let stage = leads(json!([])).await;
    let made = json!({ "type": "webhook", "name": "Lead capture", "secret": SECRET });
    let trigger = stage.post(&format!("{LEADS}/triggers"), &made).await;
    let path = format!("{LEADS}/triggers/{}/secret/rotate", trigger["id"].as_str().expect("an id"));
    let rotated = stage.post(&path, &json!({ "overlapSeconds": 3600 })).await;
    let new = rotated["secret"].as_str().expect("it is shown once").to_owned();
    for secret in [SECRET, new.as_str()] {
        let taken = invoke(&stage, &trigger, &[("X-Webhook-Secret", secret)], lead().to_string()).await;
        assert_eq!(taken.0, 202, "{taken:?}");
    }
    stage.clock.advance(Duration::from_secs(3600));
    let old = invoke(&stage, &trigger, &[("X-Webhook-Secret", SECRET)], lead().to_string()).await;
    assert_eq!(old.0, 401);
    let taken = invoke(&stage, &trigger, &[("X-Webhook-Secret", &new)], lead().to_string()).await;
    assert_eq!(taken.0, 202);
}

/// What a provider sends: its headers, for a secret and a body.
type Signed = fn(&str, &str, i64) -> Vec<(&'static str, String)>;

#[tokio::test]
async fn github_stripe_slack_and_linear_are_received_natively() {
    let stage = leads(json!([])).await;
    let seconds = stage.clock.now().unix_ms() / 1000;
    let signed: [(&str, Signed); 4] = [
        ("github", |secret, body, _| {
            let signature = format!("sha256={}", hmac_hex(secret, body.as_bytes()));
            vec![
                ("X-Hub-Signature-256", signature),
                ("X-GitHub-Delivery", "one".into()),
                ("X-GitHub-Event", "push".into()),
            ]
        }),
        ("stripe", |secret, body, now| {
            let signature = hmac_hex(secret, format!("{now}.{body}").as_bytes());
            vec![("Stripe-Signature", format!("t={now},v1={signature}"))]
        }),
        ("slack", |secret, body, now| {
            let signature = hmac_hex(secret, format!("v0:{now}:{body}").as_bytes());
            vec![
                ("X-Slack-Signature", format!("v0={signature}")),
                ("X-Slack-Request-Timestamp", now.to_string()),
            ]
        }),
        ("linear", |secret, body, _| {
            vec![("Linear-Signature", hmac_hex(secret, body.as_bytes())), ("Linear-Delivery", "two".into())]
        }),
    ];
    for (preset, sign) in signed {
        let made = json!({ "type": "webhook", "name": preset, "verification": { "preset": preset, "secrets": [SECRET] } });
        let trigger = stage.post(&format!("{LEADS}/triggers"), &made).await;
        let body =
            json!({ "id": "evt_1", "event_id": "Ev1", "webhookTimestamp": seconds * 1000, "type": "ping" });
        let body = body.to_string();
        let headers = sign(SECRET, &body, seconds);
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let taken = invoke(&stage, &trigger, &headers, body.clone()).await;
        assert_eq!(taken.0, 202, "{preset}: {taken:?}");
        let again = invoke(&stage, &trigger, &headers, body.clone()).await;
        assert_eq!(
            (again.0, &again.1["duplicate"], &again.1["runId"]),
            (200, &json!(true), &taken.1["runId"]),
            "{preset}"
        );
        let changed = invoke(&stage, &trigger, &headers, format!("{body} ")).await;
        assert_eq!(changed.0, 401, "{preset}: {changed:?}");
    }
}

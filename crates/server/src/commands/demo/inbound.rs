//! System C: a webhook from outside starts a run, and what the run emits leaves as a signed webhook.

use http::Method;
use postrider_domain::time::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    ASK_AGAIN, PATIENCE, Receiver, SYSTEMS, create_tenant, create_webhook, did_not_hold, line, tenant_of,
};
use crate::client::Client;
use crate::complaint::Complaint;

/// Of the tenant, and of the receiver's path.
pub(super) const NAME: &str = "runtools";
const EVENT: &str = "lead.received";
const SECRET: &str = "replace-with-a-long-random-secret";

pub(super) async fn show(client: &Client, receiver: &mut Receiver) -> Result<(), Complaint> {
    // What it sends is Standard Webhooks: the system's text is about what comes in.
    let standard = SYSTEMS.iter().find(|system| system.profile == "standard");
    let standard = standard.expect("because it is in the table");
    let tenant = tenant_of(NAME);
    create_tenant(client, &tenant, standard).await?;
    let signing = create_webhook(client, &tenant, &receiver.url(NAME), standard).await?;
    receiver.expect(NAME, standard.check, &signing, &[]);
    let steps = json!({ "steps": [
        { "id": "shape", "type": "transform",
          "output": { "email": { "$expr": "input.email" }, "greeting": "Hello {{ input.company }}" } },
        { "id": "tell", "type": "emit", "event": { "type": EVENT, "data": { "$expr": "steps.shape.output" } } },
    ]});
    client.expect(Method::PUT, "/v1/workflows/incoming-leads", Some(&tenant), Some(&steps)).await?;
    let new = json!({ "type": "webhook", "name": "Lead capture", "enabled": true, "secret": SECRET });
    let path = "/v1/workflows/incoming-leads/triggers";
    let trigger = client.expect(Method::POST, path, Some(&tenant), Some(&new)).await?;
    let url = trigger["webhookUrl"].as_str().ok_or_else(|| did_not_hold("the trigger has no URL"))?;

    println!("\nA webhook from outside starts a run of a workflow; what it emits leaves signed:");
    let lead = json!({ "event": "lead.created", "email": "person@example.com", "company": "Acme" });
    let refused = client.invoke(url, None, &lead).await?;
    println!("{:<18} {:<26} {:<7} refused: it has no secret", NAME, "without the secret", refused.status);
    if refused.status != 401 {
        return Err(did_not_hold("a request without the secret was not refused"));
    }
    let began = Instant::now();
    let taken = client.invoke(url, Some(SECRET), &lead).await?;
    let run = taken.body["runId"].as_str().unwrap_or_default().to_owned();
    println!("{:<18} {:<26} {:<7} {run}", NAME, "with it", taken.status);
    if taken.status != 202 {
        return Err(did_not_hold(format!("the request was answered with {}", taken.status)));
    }
    let arrived = receiver.next(NAME).await?;
    line(NAME, &arrived.event_type, &arrived, began);
    arrived.proof?;
    let run = until_succeeded(client, &tenant, &run).await?;
    println!(
        "{:<18} the run took {} ms, in {} steps, each on disk before the next one with an effect",
        "",
        took_ms(&run),
        run["steps"].as_array().map_or(0, Vec::len)
    );
    super::until_delivered(client, &tenant, 1).await
}

async fn until_succeeded(client: &Client, tenant: &str, run: &str) -> Result<Value, Complaint> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let shown = client.expect(Method::GET, &format!("/v1/runs/{run}"), Some(tenant), None).await?;
        if shown["status"] == "succeeded" {
            return Ok(shown);
        }
        if Instant::now() > deadline || shown["finishedAt"].is_string() {
            return Err(did_not_hold(format!("the run did not succeed: {shown}")));
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

fn took_ms(run: &Value) -> i64 {
    let time = |name: &str| run[name].as_str().and_then(Timestamp::parse_rfc3339).map(Timestamp::unix_ms);
    time("finishedAt").unwrap_or(0) - time("createdAt").unwrap_or(0)
}

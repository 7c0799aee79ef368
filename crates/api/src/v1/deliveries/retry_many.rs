//! `POST /v1/deliveries/retry`: send again many deliveries that failed, as a job; or say how many they are.

use http::{Method, StatusCode};
use postrider_domain::id::{DeliveryId, WebhookId};
use postrider_domain::problem::{Code, Problem};
use postrider_engine::control::{RetrySelection, Role};
use serde::Serialize;

use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer, answer_created, repeatable, written};
use crate::json::Fields;
use crate::shape::{Field, Kind, Shape};
use crate::v1::jobs::{JOB, View};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/deliveries/retry",
    tag: "Deliveries",
    summary: "Send many deliveries again",
    detail: "Filters are joined by and; at least one is needed. Each event whose last delivery to a webhook failed gets a new one; what was delivered or is under way meanwhile is left out. The answer is a job with its progress, or with `dryRun` a count.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::WebhooksWrite,
    query: &[],
    takes: Takes::creating(
        &RETRY,
        r#"{"webhookId": "wh_01h455vb4pex5vsknk084sn02q", "status": 500, "from": "2026-01-31T00:00:00Z", "dryRun": true}"#,
    ),
    gives: Gives::Started(&JOB, &PREVIEW),
    handle: |call| Box::pin(handle(call)),
};

static RETRY: Shape = Shape {
    name: "DeliveriesRetry",
    fields: &[
        Field::new("webhookId", Kind::Text, "Of this webhook only."),
        Field::new("type", Kind::Text, "Of events of this type, in full."),
        Field::new("status", Kind::Count, "Whose last answer had this HTTP status."),
        Field::new("from", Kind::Time, "Made at or after this time."),
        Field::new("until", Kind::Time, "Made before this time; now when absent."),
        Field::new(
            "ids",
            Kind::List(&Kind::Text),
            "These deliveries, at most 1,000, where they failed or were cancelled. One that does not exist refuses the request.",
        ),
        Field::new("dryRun", Kind::Bool, "Only say how many there are."),
    ],
};

static PREVIEW: Shape = Shape {
    name: "DeliveriesRetryPreview",
    fields: &[
        Field::new("count", Kind::Count, "How many would be sent again now.").required(),
        Field::new("atLeast", Kind::Bool, "There was more to look at: it may be more.").required(),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Preview {
    count: u64,
    at_least: bool,
}

async fn handle(call: Call) -> Answer {
    let mut fields = call.fields()?;
    let dry_run = fields.bool("dryRun").unwrap_or(false);
    let selection = selection(&mut fields)?;
    let control = call.app.engine.control();
    if dry_run {
        let count = control.retry_count(call.tenant(), &selection).await?;
        return answer(StatusCode::OK, &Preview { count: count.count, at_least: count.at_least });
    }
    let again = repeatable(&call.idem, &|job| written(&View::of(job)));
    let created = control.retry_many(&call.actor(), call.tenant(), selection, again).await?;
    answer_created(StatusCode::ACCEPTED, created, |job| written(&View::of(job)))
}

fn selection(fields: &mut Fields) -> Result<RetrySelection, Problem> {
    let webhook = match fields.text("webhookId") {
        // What does not look like an id does not exist.
        Some(text) => Some(WebhookId::parse(&text).map_err(|_| Problem::not_found("webhook"))?),
        None => None,
    };
    let status = match fields.count("status") {
        Some(status) => Some(u16::try_from(status).map_err(|_| {
            let detail = "`status` is an HTTP status: a number from 100 to 599.";
            Problem::at(Code::InvalidField, "status", detail)
        })?),
        None => None,
    };
    let ids = match fields.texts("ids") {
        Some(texts) => {
            let mut ids = Vec::with_capacity(texts.len());
            for text in texts {
                ids.push(DeliveryId::parse(&text).map_err(|_| Problem::not_found("delivery"))?);
            }
            Some(ids)
        }
        None => None,
    };
    Ok(RetrySelection {
        webhook,
        event_type: fields.text("type"),
        status,
        from: fields.time("from"),
        until: fields.time("until"),
        ids,
    })
}

//! `POST /v1/events/preview`: who would get an event, and as which bytes. Nothing is stored or sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{Method, StatusCode};
use postrider_domain::id::WebhookId;
use postrider_domain::limits::PUBLISH_BODY_BYTES_MAX;
use postrider_domain::problem::{Code, Problem, Warning};
use postrider_domain::time::Timestamp;
use postrider_engine::control::Role;
use postrider_engine::outbound::due::FirstDue;
use postrider_engine::outbound::preview::{Preview, PreviewOutcome, Verdict, preview};
use serde::Serialize;

use super::{EventBody, NEW_EVENT};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, BodyPresence, Call, Endpoint, Gives, JsonBody, Repeats, Takes, answer};
use crate::shape::{Field, Kind, Shape};
use crate::v1::WARNING;

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/events/preview",
    tag: "Events",
    summary: "Preview an event",
    detail: "Who would get it if it were published now, and the request that each would get, with a real signature. Nothing is stored or sent. The values of a webhook's own headers are masked. Publishers need a key that is bound to the tenant.",
    access: Access::Roles(&[Role::Operator, Role::Publisher, Role::Admin], Scope::Tenant),
    gate: Gate::WebhooksRead,
    query: &[],
    takes: Takes::Json(JsonBody {
        shape: &NEW_EVENT,
        example: r#"{"type": "order.created", "data": {"id": 17, "total": "12.50"}}"#,
        bytes_max: PUBLISH_BODY_BYTES_MAX,
        presence: BodyPresence::Required,
        repeats: Repeats::No,
    }),
    gives: Gives::Json(StatusCode::OK, &PREVIEW),
    handle: |call| Box::pin(handle(call)),
};

static PREVIEW: Shape = Shape {
    name: "EventPreview",
    fields: &[
        Field::new("outcomes", Kind::List(&Kind::Object(&OUTCOME)), "Every webhook, oldest first.")
            .required(),
        Field::new("warnings", Kind::List(&Kind::Object(&WARNING)), "What is worth knowing.").required(),
    ],
};

static OUTCOME: Shape = Shape {
    name: "EventPreviewOutcome",
    fields: &[
        Field::new("webhookId", Kind::Text, "The webhook.").required(),
        Field::new("webhookName", Kind::Text, "Its name.").required(),
        Field::new("url", Kind::Text, "Its URL.").required(),
        Field::new("matched", Kind::Bool, "Whether it would get the event.").required(),
        Field::new("reason", Kind::Text, "Why not: a stable word."),
        Field::new("detail", Kind::Text, "Why it would not get it, or why the request is not shown."),
        Field::new("due", Kind::Word(&["now", "scan"]), "When it would be sent: at once, or with the scan."),
        Field::new("dueAt", Kind::Time, "The moment of that scan."),
        Field::new("request", Kind::Object(&REQUEST), "The request that it would get."),
    ],
};

static REQUEST: Shape = Shape {
    name: "EventPreviewRequest",
    fields: &[
        Field::new("method", Kind::Text, "Its method.").required(),
        Field::new("headers", Kind::List(&Kind::List(&Kind::Text)), "Its headers as `[name, value]`.")
            .required(),
        Field::new("body", Kind::Text, "Its body, where it is text."),
        Field::new("bodyBase64", Kind::Text, "Its body, where it is no text."),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View {
    outcomes: Vec<OutcomeView>,
    warnings: Vec<Warning>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutcomeView {
    webhook_id: WebhookId,
    webhook_name: String,
    url: String,
    matched: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<RequestView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestView {
    method: String,
    headers: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

async fn handle(call: Call) -> Answer {
    let key = call.key();
    if key.role == Role::Publisher && key.tenant.is_none() {
        let detail =
            "A preview shows the tenant's webhooks: it takes a publisher's key that is bound to the tenant.";
        return Err(Problem::new(Code::Forbidden, detail).into());
    }
    let body = EventBody::read(&call.body)?;
    let Preview { outcomes, warnings } = preview(&call.app.engine, call.tenant(), &body.publication())?;
    answer(StatusCode::OK, &View { outcomes: outcomes.into_iter().map(shown).collect(), warnings })
}

fn shown(outcome: PreviewOutcome) -> OutcomeView {
    let PreviewOutcome { webhook, name, url, verdict } = outcome;
    let view = OutcomeView {
        webhook_id: webhook,
        webhook_name: name,
        url,
        matched: true,
        reason: None,
        detail: None,
        due: None,
        due_at: None,
        request: None,
    };
    match verdict {
        Verdict::Not(no) => OutcomeView {
            matched: false,
            reason: Some(no.as_str()),
            detail: Some(no.sentence().to_owned()),
            ..view
        },
        Verdict::Unshown { due, why } => OutcomeView { detail: Some(why), ..due_of(view, due) },
        Verdict::Would { due, method, headers, body } => {
            let (body, body_base64) = match String::from_utf8(body.to_vec()) {
                Ok(text) => (Some(text), None),
                Err(bytes) => (None, Some(BASE64.encode(bytes.as_bytes()))),
            };
            let request = RequestView { method, headers, body, body_base64 };
            OutcomeView { request: Some(request), ..due_of(view, due) }
        }
    }
}

fn due_of(view: OutcomeView, due: FirstDue) -> OutcomeView {
    match due {
        FirstDue::Now => OutcomeView { due: Some("now"), ..view },
        FirstDue::AtScan(at) => OutcomeView { due: Some("scan"), due_at: Some(at), ..view },
    }
}

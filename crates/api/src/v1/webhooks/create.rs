//! `POST /v1/webhooks`: register a URL.

use http::{Method, StatusCode};
use postrider_engine::control::{NewWebhook, Role};
use secrecy::SecretString;

use super::{View, WEBHOOK};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer_created, repeatable, written};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/webhooks",
    tag: "Webhooks",
    summary: "Register a webhook",
    detail: "Active at once. A secret that is given or generated is shown in this answer and never again.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::WebhooksWrite,
    query: &[],
    takes: Takes::creating(
        &NEW_WEBHOOK,
        r#"{"url": "https://example.com/hooks", "events": ["order.*"], "description": "Production"}"#,
    ),
    gives: Gives::Json(StatusCode::CREATED, &WEBHOOK),
    handle: |call| Box::pin(handle(call)),
};

static NEW_WEBHOOK: Shape = Shape {
    name: "NewWebhook",
    fields: &[
        Field::new("name", Kind::Text, "What people call it; the URL's host when absent."),
        Field::new("url", Kind::Text, "Where events go: http or https.").required(),
        Field::new("events", Kind::List(&Kind::Text), "Patterns: a type, `prefix.*`, or `*`."),
        Field::new("secret", Kind::Text, "A signing secret of your own.").nullable(),
        Field::new("generateSecret", Kind::Bool, "Make a signing secret."),
        Field::new("headers", Kind::Map(&Kind::Text), "More headers for every request."),
        Field::new("description", Kind::Text, "For people.").nullable(),
        Field::new("enabled", Kind::Bool, "Whether events go there; true when absent."),
    ],
};

async fn handle(call: Call) -> Answer {
    let mut fields = call.fields()?;
    let new = NewWebhook {
        name: fields.text("name"),
        url: fields.text("url").unwrap_or_default(),
        events: fields.texts("events"),
        secret: fields.text("secret").map(SecretString::from),
        generate_secret: fields.bool("generateSecret").unwrap_or(false),
        headers: fields.pairs("headers").unwrap_or_default(),
        description: fields.text("description"),
        enabled: fields.bool("enabled"),
    };
    let again = repeatable(&call.idem, &|changed| written(&View::of_repetition(changed)));
    let created = call.app.engine.control().webhook_create(&call.actor(), call.tenant(), new, again).await?;
    answer_created(StatusCode::CREATED, created, |changed| written(&View::of_change(changed)))
}

//! `PATCH /v1/webhooks/{webhook}`: change a webhook, or switch it on or off.

use http::{Method, StatusCode};
use postrider_engine::control::{Role, WebhookPatch};
use secrecy::SecretString;

use super::{View, WEBHOOK, in_path, unmask};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};
use crate::json::Fields;
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::PATCH,
    path: "/v1/webhooks/{webhook}",
    tag: "Webhooks",
    summary: "Change a webhook",
    detail: "What is not mentioned stays. `headers` are replaced as a whole; a value of `********` keeps what is stored. `secret` replaces every secret at once: to change it without a gap, rotate it.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::WebhooksWrite,
    query: &[],
    takes: Takes::json(&WEBHOOK_PATCH, r#"{"enabled": false}"#),
    gives: Gives::Json(StatusCode::OK, &WEBHOOK),
    handle: |call| Box::pin(handle(call)),
};

static WEBHOOK_PATCH: Shape = Shape {
    name: "WebhookPatch",
    fields: &[
        Field::new("name", Kind::Text, "What people call it."),
        Field::new("url", Kind::Text, "Where events go: http or https."),
        Field::new("events", Kind::List(&Kind::Text), "Patterns: a type, `prefix.*`, or `*`."),
        Field::new("secret", Kind::Text, "Replaces every secret; null removes them.").nullable(),
        Field::new("generateSecret", Kind::Bool, "Make a secret that replaces every other."),
        Field::new("headers", Kind::Map(&Kind::Text), "Replaces all headers."),
        Field::new("description", Kind::Text, "Null: none.").nullable(),
        Field::new("enabled", Kind::Bool, "Whether events go there."),
    ],
};

async fn handle(call: Call) -> Answer {
    let webhook = in_path(&call)?;
    let mut fields = call.fields()?;
    let headers = fields.pairs("headers").map(|sent| unmask(sent, &webhook)).transpose()?;
    let secret = fields.change("secret", Fields::text).nested();
    let patch = WebhookPatch {
        name: fields.text("name"),
        url: fields.text("url"),
        events: fields.texts("events"),
        secret: secret.map(|secret| secret.map(SecretString::from)),
        generate_secret: fields.bool("generateSecret").unwrap_or(false),
        headers,
        description: fields.change("description", Fields::text).nested(),
        enabled: fields.bool("enabled"),
    };
    let changed =
        call.app.engine.control().webhook_update(&call.actor(), call.tenant(), webhook.id, patch).await?;
    answer(StatusCode::OK, &View::of_change(&changed))
}

//! `POST …/triggers/{trigger}/secret/rotate`: another secret, with an overlap.

use std::time::Duration;

use http::{Method, StatusCode};
use postrider_domain::id::TriggerId;
use postrider_engine::control::Role;
use secrecy::SecretString;

use super::{TRIGGER, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer_created, repeatable, written};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/workflows/{workflow}/triggers/{trigger}/secret/rotate",
    tag: "Triggers",
    summary: "Rotate a trigger's secret",
    detail: "The new secret is taken at once, the old ones for the overlap more: whichever side changes first, no request is refused.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::creating_or_empty(&ROTATION, r#"{"overlapSeconds": 86400}"#),
    gives: Gives::Json(StatusCode::OK, &TRIGGER),
    handle: |call| Box::pin(handle(call)),
};

static ROTATION: Shape = Shape {
    name: "TriggerSecretRotation",
    fields: &[
        Field::new("secret", Kind::Text, "A secret of your own, or the provider's; made when absent."),
        Field::new("overlapSeconds", Kind::Count, "How long the old ones are taken; a day when absent."),
    ],
};

async fn handle(call: Call) -> Answer {
    let mut fields = call.fields()?;
    let id = call.id("trigger", "trigger", TriggerId::parse)?;
    let secret = fields.text("secret").map(SecretString::from);
    let overlap = fields.count("overlapSeconds").map(Duration::from_secs);
    let (url, now) = (call.app.public_url.as_str(), call.app.engine.clock().now());
    let repeated = |changed: &_| written(&View::of_repetition(url, now, changed));
    let again = repeatable(&call.idem, &repeated);
    let (control, workflow) = (call.app.engine.control(), call.path("workflow"));
    let rotated = control
        .trigger_secret_rotate(&call.actor(), call.tenant(), workflow, id, secret, overlap, again)
        .await?;
    answer_created(StatusCode::OK, rotated, |changed| written(&View::of_change(url, now, changed)))
}

//! `PATCH /v1/workflows/{workflow}/triggers/{trigger}`: change a trigger.

use http::{Method, StatusCode};
use postrider_domain::id::TriggerId;
use postrider_engine::control::{Role, TriggerPatch};

use super::{TRIGGER, VERIFICATION, View, said};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::PATCH,
    path: "/v1/workflows/{workflow}/triggers/{trigger}",
    tag: "Triggers",
    summary: "Change a trigger",
    detail: "What is absent stays; null takes a setting away. A `secret` given here replaces every other at once: for a change without a gap there is the rotation.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::json(&PATCH, r#"{"enabled": false}"#),
    gives: Gives::Json(StatusCode::OK, &TRIGGER),
    handle: |call| Box::pin(handle(call)),
};

static PATCH: Shape = Shape {
    name: "TriggerPatch",
    fields: &[
        Field::new("name", Kind::Text, "What people call it."),
        Field::new("enabled", Kind::Bool, "Whether it starts runs."),
        Field::new("secret", Kind::Text, "Of a webhook: replaces all secrets."),
        Field::new(
            "generateSecret",
            Kind::Bool,
            "Of a webhook: make a secret that replaces all others, in the form that its preset takes.",
        ),
        Field::new("verification", Kind::Object(&VERIFICATION), "Of a webhook: how a provider signs.")
            .nullable(),
        Field::new("filter", Kind::Text, "CEL over `input`, `headers`, `method`, `query`.").nullable(),
        Field::new(
            "dedup",
            Kind::Any,
            "Of a webhook: `{\"header\": …}`, `{\"expression\": …}` or `\"none\"`.",
        )
        .nullable(),
        Field::new("rateLimit", Kind::AnyObject, "Of a webhook: `{perSecond, burst?}`.").nullable(),
        Field::new("allowedAddresses", Kind::List(&Kind::Text), "Of a webhook: addresses and networks.")
            .nullable(),
        Field::new("methods", Kind::List(&Kind::Text), "Of a webhook.").nullable(),
        Field::new("maxBytes", Kind::Count, "Of a webhook.").nullable(),
        Field::new("respond", Kind::Word(&["accepted", "wait"]), "Of a webhook.").nullable(),
        Field::new("waitSeconds", Kind::Count, "Of a webhook.").nullable(),
        Field::new("cron", Kind::Text, "Of a clock: five fields.").nullable(),
        Field::new("every", Kind::Text, "Of a clock: a true interval.").nullable(),
        Field::new("timezone", Kind::Text, "Of a clock: an IANA zone.").nullable(),
        Field::new("catchUp", Kind::Any, "Of a clock: `\"none\"`, `\"latest\"` or `{\"all\": n}`.")
            .nullable(),
        Field::new("overlap", Kind::Word(&["skip", "queue"]), "Of a clock.").nullable(),
        Field::new("input", Kind::Any, "Of a clock: what its runs begin with.").nullable(),
        Field::new("events", Kind::List(&Kind::Text), "Of events: patterns.").nullable(),
    ],
};

async fn handle(call: Call) -> Answer {
    let mut fields = call.fields()?;
    let id = call.id("trigger", "trigger", TriggerId::parse)?;
    let said = said(&mut fields);
    let patch = TriggerPatch {
        name: fields.text("name"),
        enabled: fields.bool("enabled"),
        secrets: said.secrets,
        generate_secret: fields.bool("generateSecret").unwrap_or(false),
        verify_token: said.verify_token,
        settings: said.settings,
    };
    let control = call.app.engine.control();
    let changed =
        control.trigger_update(&call.actor(), call.tenant(), call.path("workflow"), id, patch).await?;
    let (url, now) = (call.app.public_url.as_str(), call.app.engine.clock().now());
    answer(StatusCode::OK, &View::of_change(url, now, &changed))
}

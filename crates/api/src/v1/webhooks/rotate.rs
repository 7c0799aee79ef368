//! `POST /v1/webhooks/{webhook}/secret/rotate`: a new signing secret without a request that the receiver cannot verify.

use std::time::Duration;

use http::{Method, StatusCode};
use postrider_domain::problem::{Code, Problem};
use postrider_engine::control::{Role, SecretRotation};
use secrecy::SecretString;

use super::{View, WEBHOOK, in_path};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer_created, repeatable, written};
use crate::json::Fields;
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/webhooks/{webhook}/secret/rotate",
    tag: "Webhooks",
    summary: "Rotate a webhook's signing secret",
    detail: "Where the signature header carries a list, both secrets sign for `overlapSeconds`. Where it carries one value, the new secret is pending: shown now, and used from `activateAt`, or once it is confirmed with `{\"confirm\": true}` after the receiver knows it; `{\"cancel\": true}` forgets it.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::WebhooksWrite,
    query: &[],
    takes: Takes::creating_or_empty(&ROTATION, r#"{"overlapSeconds": 86400}"#),
    gives: Gives::Json(StatusCode::OK, &WEBHOOK),
    handle: |call| Box::pin(handle(call)),
};

static ROTATION: Shape = Shape {
    name: "SecretRotation",
    fields: &[
        Field::new("secret", Kind::Text, "A signing secret of your own; made when absent."),
        Field::new(
            "overlapSeconds",
            Kind::Count,
            "How long the old secret goes on signing; a day when absent.",
        ),
        Field::new("activateAt", Kind::Time, "When a pending secret takes over."),
        Field::new("confirm", Kind::Bool, "The receiver knows the pending secret: use it from now on."),
        Field::new("cancel", Kind::Bool, "Forget the pending secret."),
    ],
};

async fn handle(call: Call) -> Answer {
    let webhook = in_path(&call)?;
    let rotation = rotation(call.fields()?)?;
    let again = repeatable(&call.idem, &|changed| written(&View::of_repetition(changed)));
    let control = &call.app.engine.control();
    let created = control.secret_rotate(&call.actor(), call.tenant(), webhook.id, rotation, again).await?;
    answer_created(StatusCode::OK, created, |changed| written(&View::of_change(changed)))
}

fn rotation(mut fields: Fields) -> Result<SecretRotation, Problem> {
    let confirm = fields.bool("confirm").unwrap_or(false);
    let cancel = fields.bool("cancel").unwrap_or(false);
    let begins = ["secret", "overlapSeconds", "activateAt"].into_iter().find(|name| fields.given(name));
    match (confirm, cancel, begins) {
        (true, false, None) => Ok(SecretRotation::Confirm),
        (false, true, None) => Ok(SecretRotation::Cancel),
        (false, false, _) => Ok(SecretRotation::Begin {
            secret: fields.text("secret").map(SecretString::from),
            overlap: fields.count("overlapSeconds").map(Duration::from_secs),
            activate_at: fields.time("activateAt"),
        }),
        (true, true, _) => Err(Problem::at(
            Code::InvalidField,
            "cancel",
            "A pending secret is either confirmed or cancelled.",
        )),
        (_, _, Some(name)) => Err(Problem::at(
            Code::InvalidField,
            name,
            format!("`{name}` begins a rotation; it cannot stand beside `confirm` or `cancel`."),
        )),
    }
}

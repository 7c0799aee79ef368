//! `PUT /v1/secrets/{name}`: write a secret.

use http::{Method, StatusCode};
use postrider_engine::control::Role;
use secrecy::SecretString;

use super::{SECRET, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::PUT,
    path: "/v1/secrets/{name}",
    tag: "Secrets",
    summary: "Write a secret",
    detail: "For steps of workflows. The value is sealed, and never shown again. 201 for a new name; for a known one 200, and steps that begin from then on use the new value.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::json(&SECRET_PUT, r#"{"value": "a-token-of-the-other-system"}"#),
    gives: Gives::Written(&SECRET),
    handle: |call| Box::pin(handle(call)),
};

static SECRET_PUT: Shape =
    Shape { name: "SecretPut", fields: &[Field::new("value", Kind::Text, "1 to 8,192 bytes.").required()] };

async fn handle(call: Call) -> Answer {
    let value = SecretString::from(call.fields()?.text("value").unwrap_or_default());
    let control = call.app.engine.control();
    let put = control.secret_put(&call.actor(), call.tenant(), call.path("name"), &value).await?;
    let status = if put.new { StatusCode::CREATED } else { StatusCode::OK };
    answer(status, &View::of(&put.row))
}

//! `PATCH /v1/connections/{connection}`: change a connection's credentials or scopes.

use http::{Method, StatusCode};
use postrider_engine::connections::ConnectionPatch;
use postrider_engine::control::Role;
use secrecy::SecretString;

use super::{CONNECTION, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};
use crate::json::Fields;
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::PATCH,
    path: "/v1/connections/{connection}",
    tag: "Connections",
    summary: "Change a connection",
    detail: "What is not mentioned stays. New scopes count from the next authorization on, or, with client credentials, from the next token on. A connection that failed is tried again.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::json(&CONNECTION_PATCH, r#"{"clientSecret": "the-apps-new-secret"}"#),
    gives: Gives::Json(StatusCode::OK, &CONNECTION),
    handle: |call| Box::pin(handle(call)),
};

static CONNECTION_PATCH: Shape = Shape {
    name: "ConnectionPatch",
    fields: &[
        Field::new("clientSecret", Kind::Text, "The app's secret; null: it has none.").nullable(),
        Field::new("scopes", Kind::List(&Kind::Text), "What to ask for."),
    ],
};

async fn handle(call: Call) -> Answer {
    let mut fields = call.fields()?;
    let secret = fields.change("clientSecret", Fields::text).nested();
    let patch = ConnectionPatch {
        client_secret: secret.map(|secret| secret.map(SecretString::from)),
        scopes: fields.texts("scopes"),
    };
    let connections = call.app.engine.connections();
    let changed = connections.update(&call.actor(), call.tenant(), call.path("connection"), patch).await?;
    answer(StatusCode::OK, &View::of(&changed))
}

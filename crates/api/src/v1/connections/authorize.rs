//! `POST /v1/connections/{connection}/authorize`: a link for the person who consents.

use http::{Method, StatusCode};
use postrider_domain::time::Timestamp;
use postrider_engine::control::Role;
use serde::Serialize;

use super::CALLBACK;
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/connections/{connection}/authorize",
    tag: "Connections",
    summary: "Make a link to authorize a connection",
    detail: "Open `authorizationUrl` in the browser of the person who consents, and give it to nobody else: it is good once, for ten minutes, and whoever consents there gives access to their own account. The provider sends them back to `/v1/connections/callback`, which must be registered there as the redirect URI.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Json(StatusCode::OK, &AUTHORIZATION),
    handle: |call| Box::pin(handle(call)),
};

static AUTHORIZATION: Shape = Shape {
    name: "Authorization",
    fields: &[
        Field::new("authorizationUrl", Kind::Text, "Where the person consents.").required(),
        Field::new("redirectUri", Kind::Text, "What must be registered at the provider.").required(),
        Field::new("expiresAt", Kind::Time, "Until when the link is good.").required(),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    authorization_url: &'a str,
    redirect_uri: &'a str,
    expires_at: Timestamp,
}

async fn handle(call: Call) -> Answer {
    let redirect_uri = format!("{}{CALLBACK}", call.app.public_url);
    let (actor, tenant, name) = (call.actor(), call.tenant(), call.path("connection"));
    let link = call.app.engine.connections().authorize(&actor, tenant, name, redirect_uri.clone()).await?;
    let view = View { authorization_url: &link.url, redirect_uri: &redirect_uri, expires_at: link.expires };
    answer(StatusCode::OK, &view)
}

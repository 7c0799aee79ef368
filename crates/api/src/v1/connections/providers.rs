//! `GET /v1/connection-providers`: the providers whose URLs and ways are known.

use http::Method;
use postrider_domain::connection::Grant;
use postrider_engine::connections::{Provider, providers};
use postrider_engine::control::Role;
use serde::Serialize;

use super::{AUTH, GRANT};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::paging::Page;
use crate::query::{CURSOR, LIMIT};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/connection-providers",
    tag: "Connections",
    summary: "List known providers",
    detail: "What a connection can name as its `provider`. Any other OAuth 2 server is `custom`, with URLs of its own.",
    access: Access::Roles(&[Role::Operator, Role::Admin, Role::Viewer], Scope::Installation),
    gate: Gate::Open,
    query: &[LIMIT, CURSOR],
    takes: Takes::Nothing,
    gives: Gives::List(&PROVIDER),
    handle: |call| Box::pin(handle(call)),
};

static PROVIDER: Shape = Shape {
    name: "ConnectionProvider",
    fields: &[
        Field::new("name", Kind::Text, "What `provider` says.").required(),
        Field::new("title", Kind::Text, "What people call it.").required(),
        Field::new("grants", Kind::List(&GRANT), "What it offers.").required(),
        Field::new("authorizationUrl", Kind::Text, "Where a person consents.").required().nullable(),
        Field::new("tokenUrl", Kind::Text, "Where tokens are given.").required().nullable(),
        Field::new("revocationUrl", Kind::Text, "Where tokens are ended.").required().nullable(),
        Field::new("issuer", Kind::Text, "What `iss` must be on the way back.").required().nullable(),
        Field::new("auth", AUTH, "How clients say who they are.").required(),
        Field::new("scopes", Kind::List(&Kind::Text), "Asked for besides a connection's own.").required(),
        Field::new("note", Kind::Text, "What to know before.").required().nullable(),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    name: &'a str,
    title: &'a str,
    grants: Vec<&'static str>,
    authorization_url: Option<&'a str>,
    token_url: Option<&'a str>,
    revocation_url: Option<&'a str>,
    issuer: Option<&'a str>,
    auth: &'static str,
    scopes: &'a [String],
    note: Option<&'a str>,
}

impl<'a> View<'a> {
    fn of(provider: &'a Provider) -> Self {
        Self {
            name: &provider.name,
            title: &provider.title,
            grants: provider.grants.iter().copied().map(Grant::as_str).collect(),
            authorization_url: provider.authorization_url.as_deref(),
            token_url: provider.token_url.as_deref(),
            revocation_url: provider.revocation_url.as_deref(),
            issuer: provider.issuer.as_deref(),
            auth: provider.auth.as_str(),
            scopes: &provider.scopes,
            note: provider.note.as_deref(),
        }
    }
}

async fn handle(call: Call) -> Answer {
    let page = Page::from_query("connection-providers", &[], &call.query)?;
    Ok(page.answer_by_place(providers(), View::of))
}

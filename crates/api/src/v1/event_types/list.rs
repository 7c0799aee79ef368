//! `GET /v1/event-types`: the catalogue of a tenant.

use http::Method;
use postrider_engine::control::Role;

use super::{EVENT_TYPE, views};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::paging::Page;
use crate::query::{CURSOR, LIMIT};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/event-types",
    tag: "Event types",
    summary: "List event types",
    detail: "The catalogue of the tenant's profile in its order, then the types that were registered, then Postrider's own.",
    access: Access::Roles(&Role::ALL, Scope::Tenant),
    gate: Gate::Open,
    query: &[LIMIT, CURSOR],
    takes: Takes::Nothing,
    gives: Gives::List(&EVENT_TYPE),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let page = Page::from_query("event-types", &call.tenant_bytes(), &call.query)?;
    let views = views(call.tenant());
    Ok(page.answer_by_place(&views, |view| view))
}

//! `GET /v1/profiles`: the profiles that tenants can have, by name.

use http::Method;
use postrider_engine::control::Role;

use super::{PROFILE, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::paging::Page;
use crate::query::{CURSOR, LIMIT};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/profiles",
    tag: "Profiles",
    summary: "List profiles",
    detail: "By name, without their sources.",
    access: Access::Roles(&[Role::Operator], Scope::Installation),
    gate: Gate::Open,
    query: &[LIMIT, CURSOR],
    takes: Takes::Nothing,
    gives: Gives::List(&PROFILE),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let page = Page::from_query("profiles", &call.tenant_bytes(), &call.query)?;
    let profiles = call.app.engine.catalogue().profiles();
    Ok(page.answer_by_place(&profiles, |profile| View::listed(profile)))
}

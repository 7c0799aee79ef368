//! `GET /v1/portal-sessions`: a tenant's sessions of the portal, newest first.

use http::Method;
use postrider_domain::id::SessionId;
use postrider_domain::time::Timestamp;
use postrider_engine::control::Role;
use serde::Serialize;

use super::{PORTAL_SESSION, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::paging::Page;
use crate::query::{CURSOR, LIMIT};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/portal-sessions",
    tag: "Portal sessions",
    summary: "List sessions of the portal",
    detail: "Without their URLs. One that has ended stays in the list until a day after it would have expired.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::Open,
    query: &[LIMIT, CURSOR],
    takes: Takes::Nothing,
    gives: Gives::List(&PORTAL_SESSION),
    handle: |call| Box::pin(handle(call)),
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedView<'a> {
    #[serde(flatten)]
    session: View<'a>,
    ended_at: Option<Timestamp>,
}

async fn handle(call: Call) -> Answer {
    let page = Page::from_query("portal-sessions", &call.tenant_bytes(), &call.query)?;
    let before = page.after()?.map(SessionId::from_bytes);
    let control = call.app.engine.control();
    let sessions = control.portal_sessions(call.tenant().id, before, page.rows()).await?;
    let rows: Vec<_> = sessions.iter().collect();
    Ok(page.answer(
        rows,
        |session| *session.id.as_bytes(),
        |session| ListedView { session: View::of(&call.app, session), ended_at: session.ended },
    ))
}

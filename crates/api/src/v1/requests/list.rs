//! `GET /v1/requests`: what came to a tenant's triggers, newest first.

use http::Method;
use postrider_domain::id::{RequestId, TriggerId};
use postrider_domain::problem::{Code, Problem};
use postrider_domain::run::RequestCause;
use postrider_engine::control::Role;
use postrider_store::runs::RequestFilter;

use super::{REQUEST, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::paging::Page;
use crate::query::{CURSOR, LIMIT, Parameter};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/requests",
    tag: "Requests",
    summary: "List requests to triggers",
    detail: "Every request, taken or refused, without its body. Of refused ones a trigger keeps the last 1000, and writes down ten a second.",
    access: Access::Roles(&[Role::Operator, Role::Admin, Role::Viewer], Scope::Tenant),
    gate: Gate::Open,
    query: &[
        Parameter::text("trigger", "To this trigger."),
        Parameter::text("cause", "With this cause, such as `verification_failed`."),
        LIMIT,
        CURSOR,
    ],
    takes: Takes::Nothing,
    gives: Gives::List(&REQUEST),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let page = Page::from_query("requests", &call.tenant_bytes(), &call.query)?;
    let trigger = call.query.text("trigger").map(TriggerId::parse).transpose();
    let trigger = trigger.map_err(|_| Problem::not_found("trigger"))?;
    let cause = call.query.text("cause").map(cause).transpose()?;
    let filter = RequestFilter { trigger, cause, before: page.after()?.map(RequestId::from_bytes) };
    let rows = call.app.engine.store().requests(call.tenant().id, filter, page.rows()).await?;
    Ok(page.answer(rows, |row| *row.request.id.as_bytes(), View::of))
}

fn cause(text: &str) -> Result<RequestCause, Problem> {
    RequestCause::parse(text).ok_or_else(|| {
        let known: Vec<&str> = RequestCause::ALL.iter().map(|cause| cause.as_str()).collect();
        Problem::at(Code::InvalidField, "cause", format!("A cause is one of {}.", known.join(", ")))
    })
}

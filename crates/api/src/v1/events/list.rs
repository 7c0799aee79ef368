//! `GET /v1/events`: events of a tenant, newest first, or in order from one on, so that they can be polled.

use std::time::Duration;

use http::Method;
use postrider_domain::id::EventId;
use postrider_domain::limits::RETENTION_DEFAULT;
use postrider_domain::problem::{Code, Problem};
use postrider_engine::control::Role;
use postrider_store::{EventFilter, Order};

use super::find;
use super::view::{EVENT, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::paging::Page;
use crate::problem::Refusal;
use crate::query::{CURSOR, LIMIT, Parameter};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/events",
    tag: "Events",
    summary: "List events",
    detail: "Newest first. To poll: `order=asc&after=ID` with the id of the last event that was seen; what is accepted later always comes later in this order.",
    access: Access::Roles(&Role::ALL, Scope::Tenant),
    gate: Gate::Open,
    query: &[
        Parameter::text("type", "An event type, in full."),
        Parameter::time("from", "Accepted at or after this time."),
        Parameter::time("until", "Accepted before this time."),
        Parameter::text("order", "`asc`: oldest first. `desc` when absent."),
        Parameter::text("after", "With `order=asc`: only events after this one, by its id."),
        LIMIT,
        CURSOR,
    ],
    takes: Takes::Nothing,
    gives: Gives::List(&EVENT),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let query = &call.query;
    let page = Page::from_query("events", &call.tenant_bytes(), query)?;
    let before = page.after()?.map(EventId::from_bytes);
    let order = match (query.text("order"), query.text("after")) {
        (None | Some("desc"), None) => Order::NewestFirst { before },
        (Some("asc"), None) => Order::OldestFirst { after: before },
        (Some("asc"), Some(after)) => match before {
            Some(_) => Order::OldestFirst { after: before },
            None => Order::OldestFirst { after: Some(place_of(&call, after).await?) },
        },
        (None | Some("desc"), Some(_)) => {
            let detail = "`after` goes forward in time, so it needs `order=asc`.";
            return Err(Problem::at(Code::InvalidField, "after", detail).into());
        }
        (Some(_), _) => {
            return Err(Problem::at(Code::InvalidField, "order", "`order` must be asc or desc.").into());
        }
    };
    let filter = EventFilter {
        event_type: query.text("type").map(str::to_owned),
        from: query.time("from")?,
        until: query.time("until")?,
    };
    let events = call.app.engine.store().event_list(call.tenant().id, &filter, order, page.rows()).await?;
    Ok(page.answer(events.iter().collect(), |event| *event.id.as_bytes(), View::of))
}

/// The place of an event in the order of acceptance. One of ours that retention has removed still has its place, so
/// that whoever was away for long can go on.
async fn place_of(call: &Call, id: &str) -> Result<EventId, Refusal> {
    if let Some(event) = find(call, id).await? {
        return Ok(event.id);
    }
    let days =
        call.tenant().settings.retention_days.map(|days| Duration::from_secs(u64::from(days) * 86_400));
    let kept = days.unwrap_or(RETENTION_DEFAULT);
    let oldest = call.app.engine.clock().now().minus(kept);
    let removed = EventId::parse(id).ok().filter(|id| id.time() < oldest);
    removed.ok_or_else(|| Problem { field: Some("after".to_owned()), ..Problem::not_found("event") }.into())
}

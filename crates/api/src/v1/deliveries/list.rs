//! `GET /v1/deliveries`: deliveries of a tenant, newest first.

use http::Method;
use postrider_domain::delivery::DeliveryState;
use postrider_domain::id::{DeliveryId, WebhookId};
use postrider_engine::control::Role;
use postrider_store::DeliveryFilter;

use super::{DELIVERY, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::paging::Page;
use crate::query::{CURSOR, LIMIT, Parameter};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/deliveries",
    tag: "Deliveries",
    summary: "List deliveries",
    detail: "Filters are joined by and. Times are those of the deliveries' making.",
    access: Access::Roles(&[Role::Operator, Role::Admin, Role::Viewer], Scope::Tenant),
    gate: Gate::WebhooksRead,
    query: &[
        Parameter::text("state", "`scheduled`, `sending`, `delivered`, `failed` or `cancelled`."),
        Parameter::text("webhook", "A webhook's id."),
        Parameter::text("type", "An event type, in full."),
        Parameter::time("from", "Made at or after this time."),
        Parameter::time("until", "Made before this time."),
        LIMIT,
        CURSOR,
    ],
    takes: Takes::Nothing,
    gives: Gives::List(&DELIVERY),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let query = &call.query;
    let page = Page::from_query("deliveries", &call.tenant_bytes(), query)?;
    let states = "scheduled, sending, delivered, failed or cancelled";
    let filter = DeliveryFilter {
        state: query.read("state", states, DeliveryState::parse)?,
        webhook: query.read("webhook", "a webhook's id (`wh_…`)", |text| WebhookId::parse(text).ok())?,
        event_type: query.text("type").map(str::to_owned),
        from: query.time("from")?,
        until: query.time("until")?,
        status: None,
        class: None,
        before: page.after()?.map(DeliveryId::from_bytes),
    };
    let store = call.app.engine.store();
    let deliveries = store.delivery_list(call.tenant().id, &filter, page.rows()).await?;
    Ok(page.answer(
        deliveries,
        |delivery| *delivery.id.as_bytes(),
        |delivery| View::of(call.tenant(), &delivery),
    ))
}

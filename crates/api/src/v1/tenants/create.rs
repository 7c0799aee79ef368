//! `POST /v1/tenants`: a new customer of the product.

use http::{Method, StatusCode};
use postrider_engine::control::{NewTenant, Role};

use super::{SETTINGS_CHANGE, TENANT, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer_created, repeatable, written};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/tenants",
    tag: "Tenants",
    summary: "Create a tenant",
    detail: "The profile decides what the tenant's webhooks look like on the wire. It can be changed until the tenant has events.",
    access: Access::Roles(&[Role::Operator], Scope::Installation),
    gate: Gate::Open,
    query: &[],
    takes: Takes::creating(
        &NEW_TENANT,
        r#"{"id": "acme", "name": "Acme Ltd", "profile": "standard", "timezone": "Europe/Zurich"}"#,
    ),
    gives: Gives::Json(StatusCode::CREATED, &TENANT),
    handle: |call| Box::pin(handle(call)),
};

static NEW_TENANT: Shape = Shape {
    name: "NewTenant",
    fields: &[
        Field::new("id", Kind::Text, "1 to 128 of `A-Z a-z 0-9 _ -`; made when absent."),
        Field::new("name", Kind::Text, "The id when absent."),
        Field::new("profile", Kind::Text, "A profile's name, see `/v1/profiles`.").required(),
        Field::new("plan", Kind::Text, "What the tenant pays for; some profiles ask for one.").nullable(),
        Field::new("timezone", Kind::Text, "IANA name; UTC when absent."),
        Field::new("attributes", Kind::AnyObject, "Values that profiles put into bodies."),
        Field::new("settings", Kind::Object(&SETTINGS_CHANGE), "How the tenant's events are treated."),
    ],
};

async fn handle(call: Call) -> Answer {
    let mut fields = call.fields()?;
    let new = NewTenant {
        id: fields.text("id"),
        name: fields.text("name"),
        profile: fields.text("profile").unwrap_or_default(),
        plan: fields.text("plan"),
        timezone: fields.text("timezone"),
        attributes: fields.map("attributes"),
        settings: fields.map("settings"),
    };
    let again = repeatable(&call.idem, &|changed| written(&View::of_repetition(changed)));
    let created = call.app.engine.control().tenant_create(&call.actor(), new, again).await?;
    answer_created(StatusCode::CREATED, created, |changed| written(&View::of_change(changed)))
}

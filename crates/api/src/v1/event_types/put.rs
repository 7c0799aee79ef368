//! `POST /v1/event-types`: register a type in an open catalogue, or change a registered one.

use http::{Method, StatusCode};
use postrider_domain::problem::Problem;
use postrider_engine::control::{EventTypePut, Role};

use super::{EVENT_TYPE, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/event-types",
    tag: "Event types",
    summary: "Register an event type",
    detail: "For profiles with an open catalogue. The same type again replaces its description, schema and example, so repeating the request is safe without an idempotency key.",
    access: Access::Roles(&[Role::Operator, Role::Publisher], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::json(
        &EVENT_TYPE_PUT,
        r#"{"type": "order.created", "description": "A customer ordered.", "schema": {"type": "object", "required": ["id"]}, "example": {"id": 17}}"#,
    ),
    gives: Gives::Json(StatusCode::CREATED, &EVENT_TYPE),
    handle: |call| Box::pin(handle(call)),
};

static EVENT_TYPE_PUT: Shape = Shape {
    name: "NewEventType",
    fields: &[
        Field::new("type", Kind::Text, "Dotted segments of `A-Z a-z 0-9 _ -`.").required(),
        Field::new("description", Kind::Text, "When it happens."),
        Field::new("schema", Kind::Any, "JSON Schema of the data; remote `$ref` is refused.").nullable(),
        Field::new("example", Kind::Any, "The data of an example event; test events send it.").nullable(),
    ],
};

async fn handle(call: Call) -> Answer {
    let mut fields = call.fields()?;
    let name = fields.text("type").unwrap_or_default();
    let put = EventTypePut {
        name: name.clone(),
        description: fields.text("description"),
        schema: fields.any("schema"),
        example: fields.any("example"),
    };
    let tenant = call.app.engine.control().event_type_put(&call.actor(), call.tenant(), put).await?;
    let view = View::find(&tenant, &name);
    answer(StatusCode::CREATED, &view.ok_or_else(|| Problem::not_found("event type"))?)
}

//! `PATCH /v1/tenants/{tenant}`: change a tenant.

use http::{Method, StatusCode};
use postrider_engine::control::{Role, TenantPatch};

use super::{SETTINGS_CHANGE, TENANT, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};
use crate::json::Fields;
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::PATCH,
    path: "/v1/tenants/{tenant}",
    tag: "Tenants",
    summary: "Change a tenant",
    detail: "What is not mentioned stays. `settings` is merged, and null removes a setting; `attributes` are replaced. An admin changes `settings.webhook` only. A tenant that has events keeps its profile (409).",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::TenantInPath),
    gate: Gate::Open,
    query: &[],
    takes: Takes::json(&TENANT_PATCH, r#"{"settings": {"delivery": "immediate"}}"#),
    gives: Gives::Json(StatusCode::OK, &TENANT),
    handle: |call| Box::pin(handle(call)),
};

static TENANT_PATCH: Shape = Shape {
    name: "TenantPatch",
    fields: &[
        Field::new("name", Kind::Text, "Stands in the bodies of some profiles."),
        Field::new("profile", Kind::Text, "A profile's name."),
        Field::new("plan", Kind::Text, "Null: no plan.").nullable(),
        Field::new("timezone", Kind::Text, "IANA name."),
        Field::new("attributes", Kind::AnyObject, "Replaces all attributes."),
        Field::new("settings", Kind::Object(&SETTINGS_CHANGE), "Merged into the settings; null removes one."),
    ],
};

async fn handle(call: Call) -> Answer {
    let mut fields = call.fields()?;
    let patch = TenantPatch {
        name: fields.text("name"),
        profile: fields.text("profile"),
        plan: fields.change("plan", Fields::text).nested(),
        timezone: fields.text("timezone"),
        attributes: fields.map("attributes"),
        settings: fields.map("settings"),
    };
    let changed = call.app.engine.control().tenant_update(&call.actor(), call.tenant().id, patch).await?;
    answer(StatusCode::OK, &View::of_change(&changed))
}

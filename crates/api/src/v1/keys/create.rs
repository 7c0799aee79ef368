//! `POST /v1/keys`: a new API key.

use http::{Method, StatusCode};
use postrider_domain::id::KeyId;
use postrider_domain::problem::{Code, Problem};
use postrider_domain::time::Timestamp;
use postrider_engine::control::{KeyCreated, NewKey, Role};
use secrecy::ExposeSecret;
use serde::Serialize;

use super::{ROLES, role};
use crate::App;
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer_created, repeatable, written};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/keys",
    tag: "Keys",
    summary: "Create an API key",
    detail: "The answer is the only place where the key is ever shown. An admin or viewer belongs to a tenant, an operator to none; a publisher without a tenant publishes for all.",
    access: Access::Roles(&[Role::Operator], Scope::Installation),
    gate: Gate::Open,
    query: &[],
    takes: Takes::creating(&NEW_KEY, r#"{"role": "admin", "tenant": "acme", "name": "Acme's dashboard"}"#),
    gives: Gives::Json(StatusCode::CREATED, &KEY_CREATED),
    handle: |call| Box::pin(handle(call)),
};

static NEW_KEY: Shape = Shape {
    name: "NewKey",
    fields: &[
        Field::new("role", ROLES, "What the key may do.").required(),
        Field::new("tenant", Kind::Text, "The id of the tenant that it belongs to.").nullable(),
        Field::new("name", Kind::Text, "Who uses it; the role when absent."),
    ],
};

static KEY_CREATED: Shape = Shape {
    name: "KeyCreated",
    fields: &[
        Field::new("id", Kind::Text, "`key_…`").required(),
        Field::new("key", Kind::Text, "The key, now and never again."),
        Field::new("secretShown", Kind::Bool, "True in a repeated answer: the key was shown before."),
        Field::new("role", ROLES, "What the key may do.").required(),
        Field::new("tenant", Kind::Text, "The tenant that it belongs to.").required().nullable(),
        Field::new("name", Kind::Text, "Who uses it.").required(),
        Field::new("createdAt", Kind::Time, "When it was created.").required(),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    id: KeyId,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    secret_shown: bool,
    role: &'static str,
    tenant: Option<String>,
    name: &'a str,
    created_at: Timestamp,
}

impl<'a> View<'a> {
    fn of(app: &App, made: &'a KeyCreated, key: Option<&'a str>) -> Self {
        Self {
            id: made.id,
            key,
            secret_shown: key.is_none(),
            role: made.role.as_str(),
            tenant: made.tenant.and_then(|id| app.public_id(id)),
            name: &made.name,
            created_at: made.created,
        }
    }
}

async fn handle(call: Call) -> Answer {
    let mut fields = call.fields()?;
    let tenant = fields.text("tenant").map(|public_id| {
        let tenant = call.app.engine.catalogue().tenant_by_public_id(&public_id);
        tenant.map(|tenant| tenant.id).ok_or_else(|| {
            Problem::at(Code::InvalidField, "tenant", format!("There is no tenant `{public_id}`."))
        })
    });
    let role = role(&fields.text("role").unwrap_or_default());
    let name = fields.text("name").unwrap_or_else(|| role.as_str().to_owned());
    let new = NewKey { role, tenant: tenant.transpose()?, name };
    let app = &call.app;
    let repetition = |made: &KeyCreated| written(&View::of(app, made, None));
    let created =
        app.engine.control().key_create(&call.actor(), new, repeatable(&call.idem, &repetition)).await?;
    answer_created(StatusCode::CREATED, created, |made| {
        written(&View::of(app, made, Some(made.key.expose_secret())))
    })
}

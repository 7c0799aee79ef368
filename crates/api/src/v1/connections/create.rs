//! `POST /v1/connections`: make a connection.

use http::{Method, StatusCode};
use postrider_domain::connection::Grant;
use postrider_engine::connections::ClientAuth;
use postrider_engine::control::{NewConnection, Role};
use secrecy::SecretString;

use super::{AUTH, CONNECTION, GRANT, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer_created, repeatable, written};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/connections",
    tag: "Connections",
    summary: "Make a connection",
    detail: "With the grant `authorization_code` a person authorizes it next: `POST /v1/connections/{connection}/authorize` makes the link. With `client_credentials` it can be used at once. The client's secret is sealed, and never shown.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::creating(
        &NEW_CONNECTION,
        r#"{"name": "google", "provider": "google", "grant": "authorization_code", "clientId": "1234.apps.googleusercontent.com", "clientSecret": "the-apps-secret", "scopes": ["https://www.googleapis.com/auth/drive.readonly"]}"#,
    ),
    gives: Gives::Json(StatusCode::CREATED, &CONNECTION),
    handle: |call| Box::pin(handle(call)),
};

static NEW_CONNECTION: Shape = Shape {
    name: "NewConnection",
    fields: &[
        Field::new("name", Kind::Text, "What steps call it: letters, digits and `_`.").required(),
        Field::new("provider", Kind::Text, "Of `GET /v1/connection-providers`; `custom` when absent."),
        Field::new("grant", GRANT, "How it comes to its tokens.").required(),
        Field::new("clientId", Kind::Text, "The app's id at the provider.").required(),
        Field::new("clientSecret", Kind::Text, "The app's secret; a public client has none.").nullable(),
        Field::new("scopes", Kind::List(&Kind::Text), "What to ask for."),
        Field::new("authorizationUrl", Kind::Text, "Instead of the provider's."),
        Field::new("tokenUrl", Kind::Text, "Instead of the provider's."),
        Field::new("revocationUrl", Kind::Text, "Instead of the provider's (RFC 7009)."),
        Field::new("issuer", Kind::Text, "What `iss` must be on the way back (RFC 9207)."),
        Field::new("audience", Kind::Text, "Sent as `audience`, which some providers want."),
        Field::new("resource", Kind::Text, "Sent as `resource` (RFC 8707)."),
        Field::new("auth", AUTH, "How the client says who it is; as the provider wants it when absent."),
    ],
};

async fn handle(call: Call) -> Answer {
    let mut fields = call.fields()?;
    let grant = fields.text("grant").as_deref().and_then(Grant::parse);
    let new = NewConnection {
        name: fields.text("name").unwrap_or_default(),
        provider: fields.text("provider"),
        grant: grant.expect("because the body was held against its shape"),
        client_id: fields.text("clientId").unwrap_or_default(),
        client_secret: fields.text("clientSecret").map(SecretString::from),
        scopes: fields.texts("scopes").unwrap_or_default(),
        authorization_url: fields.text("authorizationUrl"),
        token_url: fields.text("tokenUrl"),
        revocation_url: fields.text("revocationUrl"),
        issuer: fields.text("issuer"),
        audience: fields.text("audience"),
        resource: fields.text("resource"),
        auth: fields.text("auth").as_deref().and_then(ClientAuth::parse),
    };
    let again = repeatable(&call.idem, &|made| written(&View::of(made)));
    let control = call.app.engine.control();
    let created = control.connection_create(&call.actor(), call.tenant(), new, again).await?;
    answer_created(StatusCode::CREATED, created, |made| written(&View::of(made)))
}

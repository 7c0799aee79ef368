//! `/v1/connections`: OAuth 2 grants that steps use.

pub(crate) mod authorize;
pub(crate) mod callback;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod providers;
pub(crate) mod refresh;
pub(crate) mod revoke;
pub(crate) mod update;

use postrider_domain::id::ConnectionId;
use postrider_domain::time::Timestamp;
use postrider_engine::connections::Connection;
use serde::Serialize;

use crate::shape::{Field, Kind, Shape};

/// Where providers send people back to.
pub(crate) const CALLBACK: &str = "/v1/connections/callback";

const GRANT: Kind = Kind::Word(&["authorization_code", "client_credentials"]);
const AUTH: Kind = Kind::Word(&["basic", "body"]);

pub(crate) static CONNECTION: Shape = Shape {
    name: "Connection",
    fields: &[
        Field::new("id", Kind::Text, "`con_…`").required(),
        Field::new("name", Kind::Text, "What steps call it.").required(),
        Field::new("provider", Kind::Text, "Of `GET /v1/connection-providers`.").required(),
        Field::new("grant", GRANT, "How it comes to its tokens.").required(),
        Field::new("clientId", Kind::Text, "The app's id at the provider.").required(),
        Field::new("clientSecretSet", Kind::Bool, "Whether the app has a secret.").required(),
        Field::new("scopes", Kind::List(&Kind::Text), "What it asks for.").required(),
        Field::new("authorizationUrl", Kind::Text, "Where a person consents.").required().nullable(),
        Field::new("tokenUrl", Kind::Text, "Where tokens are given.").required().nullable(),
        Field::new("revocationUrl", Kind::Text, "Where tokens are ended (RFC 7009).").required().nullable(),
        Field::new("issuer", Kind::Text, "What `iss` must be on the way back.").required().nullable(),
        Field::new("audience", Kind::Text, "Sent as `audience`.").required().nullable(),
        Field::new("resource", Kind::Text, "Sent as `resource` (RFC 8707).").required().nullable(),
        Field::new("auth", AUTH, "How the client says who it is.").required(),
        Field::new(
            "state",
            Kind::Word(&["pending", "active", "failed", "revoked"]),
            "`pending`: nobody authorized it, or no step used it yet. `failed`: `error` says what to do.",
        )
        .required(),
        Field::new("expiresAt", Kind::Time, "When the token expires; it is refreshed before, if it can be.")
            .required()
            .nullable(),
        Field::new("error", Kind::Text, "What went wrong last, and what to do.").required().nullable(),
        Field::new("createdAt", Kind::Time, "When it was made.").required(),
        Field::new("updatedAt", Kind::Time, "When it last changed or was refreshed.").required(),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct View<'a> {
    id: ConnectionId,
    name: &'a str,
    provider: &'a str,
    grant: &'static str,
    client_id: &'a str,
    client_secret_set: bool,
    scopes: &'a [String],
    authorization_url: Option<&'a str>,
    token_url: Option<&'a str>,
    revocation_url: Option<&'a str>,
    issuer: Option<&'a str>,
    audience: Option<&'a str>,
    resource: Option<&'a str>,
    auth: &'static str,
    state: &'static str,
    expires_at: Option<Timestamp>,
    error: Option<&'a str>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl<'a> View<'a> {
    pub(crate) fn of(connection: &'a Connection) -> Self {
        Self {
            id: connection.id,
            name: &connection.name,
            provider: &connection.provider,
            grant: connection.grant.as_str(),
            client_id: &connection.client_id,
            client_secret_set: connection.client_secret_set,
            scopes: &connection.scopes,
            authorization_url: connection.authorization_url.as_deref(),
            token_url: connection.token_url.as_deref(),
            revocation_url: connection.revocation_url.as_deref(),
            issuer: connection.issuer.as_deref(),
            audience: connection.audience.as_deref(),
            resource: connection.resource.as_deref(),
            auth: connection.auth.as_str(),
            state: connection.state.as_str(),
            expires_at: connection.expires,
            error: connection.error.as_deref(),
            created_at: connection.created,
            updated_at: connection.updated,
        }
    }
}

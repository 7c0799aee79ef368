//! Who asks: the API key of a request, what its role may do, and for which tenant.
//!
//! Which role may call which endpoint stands in the endpoints' own tables (`Access`); this file only applies them. A
//! tenant that does not exist and one that belongs to somebody else are told apart nowhere: both are 404.

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;

use postrider_domain::problem::{Code, Problem};
use postrider_domain::signature;
use postrider_engine::catalogue::{ApiKey, Catalogue, Tenant};
use postrider_engine::control::{Actor, Role, WebhookUse, Who, check_webhooks};

/// Names the tenant for keys that are bound to none.
pub(crate) const TENANT_HEADER: &str = "postrider-tenant";
/// Names the profile of records that name their tenant, where several profiles have the kind.
pub(crate) const PROFILE_HEADER: &str = "postrider-profile";
pub(crate) const KEY_HEADER: &str = "x-api-key";

/// Who may call an endpoint, and which tenant it works on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Access {
    /// No key is asked for.
    Everybody,
    /// A key with one of these roles.
    Roles(&'static [Role], Scope),
}

/// Which tenant an endpoint works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// None: the whole installation.
    Installation,
    /// The key's, or the one named in `Postrider-Tenant`.
    Tenant,
    /// As `Tenant`, or the whole installation for a key that is bound to none and names none.
    TenantIfNamed,
    /// As `TenantIfNamed`: records of some kinds name their tenant themselves.
    Records,
    /// As `Records`, of one that a condition may be asked of: `If-Match`, `If-None-Match`.
    RecordIf,
    /// The one in the path.
    TenantInPath,
}

/// What an endpoint needs beyond the role: a profile may hide webhooks from viewers, and a plan may exclude them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    /// Shows webhooks or what was sent to them.
    WebhooksRead,
    /// Makes or changes webhooks, or sends something to them.
    WebhooksWrite,
}

/// The key of the request, from `Authorization: Bearer` or `X-API-Key`. Keys are looked up by their SHA-256, so the
/// time of the comparison says nothing about the key.
pub(crate) fn authenticate(headers: &HeaderMap, catalogue: &Catalogue) -> Result<Arc<ApiKey>, Problem> {
    let Some(given) = given_key(headers) else {
        return Err(Problem::new(
            Code::KeyMissing,
            "Send an API key: `Authorization: Bearer KEY` or `X-API-Key: KEY`.",
        ));
    };
    catalogue.key(&signature::sha256(given)).ok_or_else(|| {
        Problem::new(
            Code::KeyInvalid,
            "This API key is not known here, or has been revoked. Ask for a new one.",
        )
    })
}

fn given_key(headers: &HeaderMap) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer ";
    let bearer = headers.get(AUTHORIZATION).map(|value| value.as_bytes()).and_then(|value| {
        let (scheme, key) = value.split_at_checked(SCHEME.len())?;
        scheme.eq_ignore_ascii_case(SCHEME).then(|| key.trim_ascii())
    });
    let key = bearer.or_else(|| headers.get(KEY_HEADER).map(|value| value.as_bytes().trim_ascii()));
    key.filter(|key| !key.is_empty())
}

pub(crate) fn check_role(key: &ApiKey, roles: &[Role]) -> Result<(), Problem> {
    if roles.contains(&key.role) {
        return Ok(());
    }
    let wanted: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    let detail = format!(
        "A key with the role {} may not do this; it takes {}.",
        key.role.as_str(),
        wanted.join(" or ")
    );
    Err(Problem::new(Code::Forbidden, detail))
}

/// The tenant that a request works on. `in_path` is the tenant's id where the path has one.
pub(crate) fn find_tenant(
    key: &ApiKey,
    scope: Scope,
    in_path: Option<&str>,
    headers: &HeaderMap,
    catalogue: &Catalogue,
) -> Result<Option<Arc<Tenant>>, Problem> {
    if scope == Scope::Installation {
        return Ok(None);
    }
    let in_header = match headers.get(TENANT_HEADER) {
        None => None,
        Some(value) => Some(value.to_str().map_err(|_| Problem::not_found("tenant"))?),
    };
    let named = in_path.or(in_header);
    // A foreign tenant is a foreign tenant also where the path has already named one.
    if in_path.is_some_and(|in_path| in_header.is_some_and(|in_header| in_header != in_path)) {
        return Err(Problem::not_found("tenant"));
    }
    match (key.tenant, named) {
        (Some(own), None) => {
            let tenant = catalogue.tenant(own).ok_or_else(|| Problem::not_found("tenant"))?;
            Ok(Some(tenant))
        }
        (own, Some(named)) => {
            let tenant = catalogue.tenant_by_public_id(named);
            let tenant = tenant.filter(|tenant| own.is_none_or(|own| own == tenant.id));
            Ok(Some(tenant.ok_or_else(|| Problem::not_found("tenant"))?))
        }
        (None, None) if matches!(scope, Scope::TenantIfNamed | Scope::Records | Scope::RecordIf) => Ok(None),
        (None, None) => Err(Problem::new(
            Code::TenantRequired,
            "This key is not bound to a tenant. Name one in the header `Postrider-Tenant`.",
        )),
    }
}

pub(crate) fn check_gate(key: &ApiKey, gate: Gate, tenant: &Tenant) -> Result<(), Problem> {
    match gate {
        Gate::Open => Ok(()),
        Gate::WebhooksRead => check_webhooks(&actor(key), WebhookUse::Read, tenant),
        Gate::WebhooksWrite => check_webhooks(&actor(key), WebhookUse::Write, tenant),
    }
}

pub(crate) fn actor(key: &ApiKey) -> Actor {
    Actor { role: key.role, who: Who::Key(key.id), tenant: key.tenant }
}

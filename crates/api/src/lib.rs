//! The HTTP API: what a caller says, handed to the engine, and what came of it, handed back.
//!
//! An endpoint is one file with one table ([`endpoint`]); router, role checks and the OpenAPI document are made from the
//! same tables. Nothing is decided here that the pages would have to decide again: that is the engine's, in `control`
//! for configuration and in `outbound` for events.
//!
//! Reading order: `endpoint` (the way of a request), `auth`, `shape` and `json` (bodies), `problem` (refusals), `paging`,
//! `idempotency`, then the endpoints in `v1`.

mod auth;
mod docs;
mod endpoint;
mod health;
mod idempotency;
mod json;
mod openapi;
mod paging;
mod problem;
mod proxies;
mod query;
mod serve;
mod shape;
mod v1;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, any, on};
use http::Method;
use postrider_domain::id::TenantId;
use postrider_domain::problem::Problem;
use postrider_engine::Engine;

use endpoint::{Endpoint, Takes};
use problem::Refusal;

pub use openapi::openapi_json;
pub use proxies::TrustedProxies;
pub use serve::serve;

/// What the API needs to know beyond the engine.
#[derive(Debug, Clone)]
pub struct Options {
    /// The base of every URL that is handed out, without a slash at its end.
    pub public_url: String,
    pub trusted_proxies: TrustedProxies,
}

/// What every endpoint can reach.
pub(crate) struct App {
    pub(crate) engine: Engine,
    /// The base of every URL that is handed out, without a slash at its end.
    pub(crate) public_url: String,
    pub(crate) proxies: TrustedProxies,
    /// `/openapi.json`, written once.
    document: String,
}

impl App {
    /// A tenant's id as callers know it; none once it is deleted.
    pub(crate) fn public_id(&self, tenant: TenantId) -> Option<String> {
        Some(self.engine.catalogue().tenant(tenant)?.public_id.to_string())
    }
}

/// Every endpoint there is, in the order of the document.
pub(crate) fn endpoints() -> impl Iterator<Item = &'static Endpoint> {
    v1::ENDPOINTS.iter().chain(docs::ENDPOINTS).chain(health::ENDPOINTS).copied()
}

/// The whole API, ready to be served.
pub fn router(engine: Engine, options: Options) -> Router {
    let document = openapi::document(&options.public_url);
    let Options { public_url, trusted_proxies } = options;
    let app = Arc::new(App { engine, public_url, proxies: trusted_proxies, document });
    let mut router = Router::new();
    for endpoint in endpoints() {
        let handler = move |State(app): State<Arc<App>>, request: Request| async move {
            endpoint.serve(app, request).await
        };
        let routed = match endpoint.takes {
            Takes::Unread { .. } => any(handler),
            _ => {
                let filter = MethodFilter::try_from(endpoint.method.clone());
                on(filter.expect("because tables name common methods"), handler)
            }
        };
        router = router.route(endpoint.path, routed);
    }
    router.fallback(no_such_path).method_not_allowed_fallback(no_such_method).with_state(app)
}

async fn no_such_path() -> Response {
    let problem = Problem::new(
        postrider_domain::problem::Code::NotFound,
        "There is nothing at this path. `/docs` lists what there is.",
    );
    Refusal::from(problem).into_response()
}

async fn no_such_method(request: Request) -> Response {
    Refusal::method_not_allowed(request.method(), &methods_of(request.uri().path())).into_response()
}

/// The methods that a path knows, for the refusal of another one.
fn methods_of(path: &str) -> String {
    let mut methods: Vec<&str> = Vec::new();
    for endpoint in endpoints().filter(|endpoint| is_path_of(endpoint, path)) {
        methods.push(endpoint.method.as_str());
        if endpoint.method == Method::GET {
            methods.push(Method::HEAD.as_str());
        }
    }
    methods.join(", ")
}

fn is_path_of(endpoint: &Endpoint, path: &str) -> bool {
    let mut given = path.split('/');
    let mut known = endpoint.path.split('/');
    loop {
        match (known.next(), given.next()) {
            (None, None) => return true,
            (Some(known), Some(given)) if known == given || known.starts_with('{') => {}
            _ => return false,
        }
    }
}

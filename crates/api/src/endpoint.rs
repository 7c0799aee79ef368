//! What an endpoint is, and the one way a request goes through any of them.
//!
//! An endpoint is a table: method, path, who may call it, what it takes and gives, and a handler. The router, the role
//! checks and the OpenAPI document are all made from these tables, so none of them can know a route that another does not.

use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use axum::RequestExt;
use axum::body::Body;
use axum::extract::RawPathParams;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};

use postrider_domain::id::TenantId;
use postrider_domain::limits::BODY_BYTES_MAX;
use postrider_domain::problem::{Code, Problem};
use postrider_engine::catalogue::{ApiKey, Tenant};
use postrider_engine::control::{Actor, Created, Idem, Repeatable};
use postrider_engine::derive::place::Place;

use crate::App;
use crate::auth::{self, Access, Gate, Scope};
use crate::idempotency;
use crate::json::{self, Fields};
use crate::problem::Refusal;
use crate::query::{Parameter, Query};
use crate::serve::Peer;
use crate::shape::Shape;

pub(crate) type Answer = Result<Response, Refusal>;
pub(crate) type Handler = fn(Call) -> Pin<Box<dyn Future<Output = Answer> + Send>>;

pub(crate) struct Endpoint {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    /// The group in the document.
    pub(crate) tag: &'static str,
    /// A short line, then whatever else a caller should know.
    pub(crate) summary: &'static str,
    pub(crate) detail: &'static str,
    pub(crate) access: Access,
    pub(crate) gate: Gate,
    pub(crate) query: &'static [Parameter],
    pub(crate) takes: Takes,
    pub(crate) gives: Gives,
    pub(crate) handle: Handler,
}

/// The body that an endpoint takes.
pub(crate) enum Takes {
    Nothing,
    Json(JsonBody),
    /// A JSON object whose members the tenant's profile knows.
    Object {
        example: &'static str,
        media_types: &'static [&'static str],
        bytes_max: usize,
    },
    /// JSON objects of any number, one on each line, read as they come: `Call::lines`.
    Lines {
        example: &'static str,
    },
    /// Anything, read by the handler itself: `Call::lines`. Whatever the method and the query.
    Unread {
        example: &'static str,
    },
}

pub(crate) struct JsonBody {
    pub(crate) shape: &'static Shape,
    pub(crate) example: &'static str,
    pub(crate) bytes_max: usize,
    pub(crate) presence: BodyPresence,
    pub(crate) repeats: Repeats,
}

impl Takes {
    /// A JSON body that must be there.
    pub(crate) const fn json(shape: &'static Shape, example: &'static str) -> Self {
        let (presence, repeats) = (BodyPresence::Required, Repeats::No);
        Self::Json(JsonBody { shape, example, bytes_max: BODY_BYTES_MAX, presence, repeats })
    }

    /// A JSON body that must be there, of a request that creates and so heeds `Idempotency-Key`.
    pub(crate) const fn creating(shape: &'static Shape, example: &'static str) -> Self {
        let (presence, repeats) = (BodyPresence::Required, Repeats::ByKey);
        Self::Json(JsonBody { shape, example, bytes_max: BODY_BYTES_MAX, presence, repeats })
    }

    /// As `creating`; no body means `{}`.
    pub(crate) const fn creating_or_empty(shape: &'static Shape, example: &'static str) -> Self {
        let (presence, repeats) = (BodyPresence::Optional, Repeats::ByKey);
        Self::Json(JsonBody { shape, example, bytes_max: BODY_BYTES_MAX, presence, repeats })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyPresence {
    Required,
    /// No body means `{}`.
    Optional,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeats {
    /// Heeds `Idempotency-Key`.
    ByKey,
    /// A second request like the first does what it says once more.
    No,
}

/// The answer of an endpoint when all is well.
pub(crate) enum Gives {
    Json(StatusCode, &'static Shape),
    /// 201 for what is new, 200 for what was there.
    Written(&'static Shape),
    /// 202 with the first for what goes on from here, 200 with the second for what was only asked about.
    Started(&'static Shape, &'static Shape),
    /// `{data: […], nextCursor}`.
    List(&'static Shape),
    Nothing,
    /// Something that is not one JSON document, of this media type.
    Other(&'static str),
    /// HTML for a person, whatever came of it.
    Page,
}

/// A request that passed every check that does not need to understand its body.
pub(crate) struct Call {
    pub(crate) app: Arc<App>,
    endpoint: &'static Endpoint,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    peer: Option<IpAddr>,
    key: Option<Arc<ApiKey>>,
    tenant: Option<Arc<Tenant>>,
    path: Vec<(String, String)>,
    pub(crate) query: Query,
    pub(crate) body: Bytes,
    /// The body of an endpoint that takes lines. Never locked: bodies cannot be looked at by two at once, calls can.
    pub(crate) lines: Option<Mutex<Body>>,
    pub(crate) headers: HeaderMap,
    pub(crate) idem: Option<Idem>,
}

impl Endpoint {
    /// The way of a request, up to the handler and back.
    pub(crate) async fn serve(&'static self, app: Arc<App>, request: Request<Body>) -> Response {
        let answer = match self.admit(app, request).await {
            Ok(call) => (self.handle)(call).await,
            Err(refusal) => Err(refusal),
        };
        let mut response = answer.unwrap_or_else(IntoResponse::into_response);
        if let Access::Roles(..) = self.access {
            // Some answers show a secret, once: none may stay in a cache on the way.
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        tracing::debug!(
            method = self.method.as_str(),
            route = self.path,
            status = response.status().as_u16(),
            "api.answered"
        );
        response
    }

    /// Key, role, tenant, gate, query, body: in this order, so that nobody learns more than their key allows.
    async fn admit(&'static self, app: Arc<App>, mut request: Request<Body>) -> Result<Call, Refusal> {
        let path = self.path_parameters(&mut request).await?;
        let (parts, body) = request.into_parts();
        let catalogue = app.engine.catalogue();
        let mut key = None;
        let mut tenant = None;
        if let Access::Roles(roles, scope) = self.access {
            let found = auth::authenticate(&parts.headers, catalogue)?;
            app.engine.control().key_used(found.id);
            auth::check_role(&found, roles)?;
            let in_path =
                path.first().filter(|_| scope == Scope::TenantInPath).map(|(_, value)| value.as_str());
            tenant = auth::find_tenant(&found, scope, in_path, &parts.headers, catalogue)?;
            if let Some(tenant) = &tenant {
                auth::check_gate(&found, self.gate, tenant)?;
            }
            key = Some(found);
        }
        let query = match self.takes {
            Takes::Unread { .. } => Query::default(),
            _ => Query::from_uri(&parts.uri, self.query)?,
        };
        let mut lines = None;
        let (body, idem) = match &self.takes {
            Takes::Nothing => (Bytes::new(), None),
            Takes::Object { media_types, bytes_max, .. } => {
                let body = json::read_body(&parts.headers, body, *bytes_max).await?;
                json::check_media_type(&parts.headers, media_types)?;
                (body, None)
            }
            Takes::Unread { .. } => {
                lines = Some(Mutex::new(body));
                (Bytes::new(), None)
            }
            Takes::Lines { .. } => {
                json::check_media_type(&parts.headers, json::LINES)?;
                lines = Some(Mutex::new(body));
                (Bytes::new(), None)
            }
            Takes::Json(JsonBody { bytes_max, presence, repeats, .. }) => {
                let body = json::read_body(&parts.headers, body, *bytes_max).await?;
                if !body.is_empty() {
                    json::check_content_type(&parts.headers)?;
                } else if *presence == BodyPresence::Required {
                    let detail = "This request needs a JSON body, and has none.";
                    return Err(Problem::new(Code::MalformedJson, detail).into());
                }
                let idem = match repeats {
                    Repeats::No => None,
                    Repeats::ByKey => {
                        let tenant = tenant.as_ref().map(|tenant| tenant.id);
                        let store = app.engine.store();
                        idempotency::read(
                            store,
                            &parts.headers,
                            &parts.method,
                            parts.uri.path(),
                            tenant,
                            &body,
                        )?
                    }
                };
                (body, idem)
            }
        };
        let peer = parts.extensions.get::<Peer>().map(|peer| peer.0);
        Ok(Call {
            app,
            endpoint: self,
            method: parts.method,
            uri: parts.uri,
            peer,
            key,
            tenant,
            path,
            query,
            body,
            lines,
            headers: parts.headers,
            idem,
        })
    }

    /// The values in the path, in order. Most paths have none, and then nothing is decoded.
    async fn path_parameters(&self, request: &mut Request<Body>) -> Result<Vec<(String, String)>, Refusal> {
        if !self.path.contains('{') {
            return Ok(Vec::new());
        }
        let values = request.extract_parts::<RawPathParams>().await;
        let values = values.map_err(|_| Problem::not_found("page"))?;
        Ok(values.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

impl Call {
    /// The body, held against the endpoint's shape.
    pub(crate) fn fields(&self) -> Result<Fields, Problem> {
        match &self.endpoint.takes {
            Takes::Json(body) if !self.body.is_empty() => Fields::parse(body.shape, &self.body),
            Takes::Json(_)
            | Takes::Nothing
            | Takes::Object { .. }
            | Takes::Lines { .. }
            | Takes::Unread { .. } => Ok(Fields::empty()),
        }
    }

    /// Where the request came from: what the proxies that are trusted say, or else who is connected.
    pub(crate) fn peer(&self, headers: &HeaderMap) -> IpAddr {
        let connected = self.peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        self.app.proxies.client(connected, headers)
    }

    /// The tenant that the request works on.
    pub(crate) fn tenant(&self) -> &Arc<Tenant> {
        self.tenant.as_ref().expect("because the endpoint's scope asks for a tenant")
    }

    /// What cursors of this request are bound to.
    pub(crate) fn tenant_bytes(&self) -> [u8; 16] {
        self.tenant.as_ref().map_or([0; 16], |tenant| *tenant.id.as_bytes())
    }

    /// Where records of the path's kind are kept.
    pub(crate) fn records(&self) -> Result<Place, Problem> {
        let profile = self.headers.get(auth::PROFILE_HEADER).map(|value| {
            let invalid = || Problem::at(Code::InvalidField, "Postrider-Profile", "This names no profile.");
            value.to_str().map_err(|_| invalid())
        });
        let bound = self.key().tenant.is_some();
        let catalogue = self.app.engine.catalogue();
        Place::find(catalogue, self.path("kind"), self.tenant.as_ref(), bound, profile.transpose()?)
    }

    /// The tenant whose rows the caller may see: none for all.
    pub(crate) fn tenant_id(&self) -> Option<TenantId> {
        self.tenant.as_ref().map(|tenant| tenant.id)
    }

    pub(crate) fn key(&self) -> &Arc<ApiKey> {
        self.key.as_ref().expect("because the endpoint asks for a key")
    }

    pub(crate) fn actor(&self) -> Actor {
        let key = self.key();
        Actor { role: key.role, key: Some(key.id), tenant: key.tenant }
    }

    /// A value of the path.
    pub(crate) fn path(&self, name: &str) -> &str {
        let found = self.path.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).expect("because the endpoint's path has this name")
    }

    /// An id of ours in the path. What does not look like one does not exist.
    pub(crate) fn id<T, E>(
        &self,
        name: &str,
        what: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, Problem> {
        parse(self.path(name)).map_err(|_| Problem::not_found(what))
    }
}

/// JSON with a status.
pub(crate) fn answer(status: StatusCode, body: &impl serde::Serialize) -> Answer {
    Ok((status, axum::Json(body)).into_response())
}

/// JSON that was written before.
pub(crate) fn answer_bytes(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok((status, [json], body.into()).into_response())
}

/// The answer to a creation: what `write` says of what was made now, or the stored answer to the same request before.
pub(crate) fn answer_created<T>(
    status: StatusCode,
    created: Created<T>,
    write: impl FnOnce(&T) -> Vec<u8>,
) -> Answer {
    match created {
        Created::Fresh(made) => answer_bytes(status, write(&made)),
        Created::Replayed(stored) => answer_replayed(status, stored),
    }
}

/// A stored answer, and a header that says so.
pub(crate) fn answer_replayed(status: StatusCode, stored: Vec<u8>) -> Answer {
    let mut response = answer_bytes(status, stored)?;
    response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    Ok(response)
}

/// How a creation answers a repetition, for requests that came with an idempotency key.
pub(crate) fn repeatable<'a, T>(
    idem: &Option<Idem>,
    answer: &'a (dyn Fn(&T) -> Vec<u8> + Sync),
) -> Option<Repeatable<'a, T>> {
    idem.clone().map(|idem| Repeatable { idem, answer })
}

/// A view as JSON, to be answered or kept for a repetition.
pub(crate) fn written(view: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(view).expect("because a view has only strings as names")
}

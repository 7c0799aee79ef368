//! The OpenAPI 3.1 document, made from the endpoints' own tables.

use serde_json::{Map, Value, json};

use postrider_domain::problem::Code;

use crate::auth::{Access, Scope};
use crate::endpoint::{BodyPresence, Endpoint, Gives, Repeats, Takes};
use crate::endpoints;
use crate::problem;
use crate::query::{Form, Parameter};
use crate::shape::{Shape, reference};
use crate::v1::PROBLEM;

const DESCRIPTION: &str = "Postrider delivers signed webhooks.\n\n\
    Send an API key with every request: `Authorization: Bearer KEY`, or `X-API-Key: KEY`. A tenant's key implies its \
    tenant; other keys name it in `Postrider-Tenant`. Times are RFC 3339 in UTC. Lists answer `{data, nextCursor}`. \
    What a request did wrong is told as a problem (RFC 9457) with a stable `code`, and changed nothing.";

/// The document with relative addresses, for those who read it without a server.
pub fn openapi_json() -> String {
    document("/")
}

/// The document as a server at `public_url` gives it out.
pub(crate) fn document(public_url: &str) -> String {
    let mut paths = Map::new();
    let mut tags: Vec<&str> = Vec::new();
    let mut shapes: Vec<&'static Shape> = Vec::new();
    PROBLEM.visit(&mut shapes);
    for endpoint in endpoints() {
        if !tags.contains(&endpoint.tag) {
            tags.push(endpoint.tag);
        }
        visit_shapes(endpoint, &mut shapes);
        let item = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        item[endpoint.method.as_str().to_ascii_lowercase()] = operation(endpoint);
    }
    let tags: Vec<Value> = tags.into_iter().map(|name| json!({"name": name})).collect();
    let schemas: Map<String, Value> =
        shapes.iter().map(|shape| (shape.name.to_owned(), shape.schema())).collect();
    let codes: Vec<Value> = Code::ALL.iter().map(|code| code_entry(*code)).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Postrider",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": public_url}],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
        "x-problem-codes": codes,
    })
    .to_string()
}

fn visit_shapes(endpoint: &Endpoint, shapes: &mut Vec<&'static Shape>) {
    if let Takes::Json(body) = &endpoint.takes {
        body.shape.visit(shapes);
    }
    match endpoint.gives {
        Gives::Json(_, shape) | Gives::Written(shape) | Gives::List(shape) => shape.visit(shapes),
        Gives::Started(job, preview) => {
            job.visit(shapes);
            preview.visit(shapes);
        }
        Gives::Nothing | Gives::Other(_) | Gives::Page => {}
    }
}

fn operation(endpoint: &Endpoint) -> Value {
    let mut operation = json!({
        "operationId": operation_id(endpoint),
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
        "parameters": parameters(endpoint),
        "responses": responses(endpoint),
    });
    let description = description(endpoint);
    if !description.is_empty() {
        operation["description"] = description.into();
    }
    if let Takes::Json(body) = &endpoint.takes {
        let example: Value = serde_json::from_str(body.example).unwrap_or_default();
        operation["requestBody"] = json!({
            "required": body.presence == BodyPresence::Required,
            "content": {"application/json": {
                "schema": {"$ref": reference(body.shape.name)},
                "example": example,
            }},
        });
    }
    match &endpoint.takes {
        Takes::Object { example, media_types, .. } => {
            let example: Value = serde_json::from_str(example).unwrap_or_default();
            let content: Map<String, Value> = media_types
                .iter()
                .map(|media_type| {
                    let schema = json!({"type": "object"});
                    ((*media_type).to_owned(), json!({"schema": schema, "example": example}))
                })
                .collect();
            operation["requestBody"] = json!({"required": true, "content": content});
        }
        Takes::Unread { example } => {
            let example: Value = serde_json::from_str(example).unwrap_or_default();
            let content = json!({"application/json": {"schema": {}, "example": example}});
            operation["requestBody"] = json!({"required": true, "content": content});
        }
        Takes::Lines { example } => {
            let content = json!({crate::json::LINES[0]: {"schema": {"type": "string"}, "example": example}});
            operation["requestBody"] = json!({"required": true, "content": content});
        }
        Takes::Nothing | Takes::Json(_) => {}
    }
    operation["security"] = match endpoint.access {
        Access::Everybody => json!([]),
        Access::Roles(..) => json!([{"bearer": []}, {"apiKey": []}]),
    };
    operation
}

/// `POST /v1/webhooks/{webhook}/test` → `post_webhooks_webhook_test`.
fn operation_id(endpoint: &Endpoint) -> String {
    let mut id = endpoint.method.as_str().to_ascii_lowercase();
    let path = endpoint.path.strip_prefix("/v1").unwrap_or(endpoint.path);
    for segment in path.split(['/', '.', '-']).filter(|segment| !segment.is_empty()) {
        id.push('_');
        id.push_str(segment.trim_matches(['{', '}']));
    }
    id
}

fn description(endpoint: &Endpoint) -> String {
    let Access::Roles(roles, _) = endpoint.access else { return endpoint.detail.to_owned() };
    let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    format!("{} Roles: {}.", endpoint.detail, roles.join(", ")).trim().to_owned()
}

fn parameters(endpoint: &Endpoint) -> Vec<Value> {
    let mut parameters = Vec::new();
    for segment in endpoint.path.split('/') {
        if let Some(name) = segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}')) {
            parameters
                .push(json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}));
        }
    }
    if let Access::Roles(_, Scope::Tenant | Scope::TenantIfNamed | Scope::Records | Scope::RecordIf) =
        endpoint.access
    {
        parameters.push(json!({
            "name": "Postrider-Tenant",
            "in": "header",
            "description": "The tenant's id, for keys that are not bound to one.",
            "schema": {"type": "string"},
        }));
    }
    let header = |name: &str, description: &str| json!({"name": name, "in": "header", "description": description, "schema": {"type": "string"}});
    if let Access::Roles(_, Scope::Records | Scope::RecordIf) = endpoint.access {
        let what =
            "For records that name their tenant, where several profiles have the kind: which is meant.";
        parameters.push(header("Postrider-Profile", what));
    }
    if let Access::Roles(_, Scope::RecordIf) = endpoint.access {
        let what = "Only over this version: the `ETag` of what was read, or `*` for any.";
        parameters.push(header("If-Match", what));
        parameters.push(header("If-None-Match", "`*`: only where there is no such record yet."));
    }
    if let Takes::Json(body) = &endpoint.takes
        && body.repeats == Repeats::ByKey
    {
        parameters.push(json!({
            "name": "Idempotency-Key",
            "in": "header",
            "description": "The same key with the same request within 24 hours gets the same answer.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        }));
    }
    parameters.extend(endpoint.query.iter().filter_map(query_parameter));
    parameters
}

fn query_parameter(parameter: &Parameter) -> Option<Value> {
    let schema = match parameter.form {
        Form::Text => json!({"type": "string"}),
        Form::Count => json!({"type": "integer", "minimum": 0}),
        Form::Time => json!({"type": "string", "format": "date-time"}),
        Form::Others => return None,
    };
    Some(json!({"name": parameter.name, "in": "query", "description": parameter.doc, "schema": schema}))
}

fn responses(endpoint: &Endpoint) -> Value {
    let mut responses = Map::new();
    let (status, response) = match endpoint.gives {
        Gives::Json(status, shape) => {
            let schema = json!({"$ref": reference(shape.name)});
            (
                status.as_u16(),
                json!({"description": "Done.", "content": {"application/json": {"schema": schema}}}),
            )
        }
        Gives::Written(shape) => {
            let schema = json!({"$ref": reference(shape.name)});
            let written = |what: &str| json!({"description": what, "content": {"application/json": {"schema": schema}}});
            responses.insert("201".to_owned(), written("It is new."));
            (200, written("It was there, and is changed."))
        }
        Gives::Started(job, preview) => {
            let answered = |what: &str, shape: &Shape| {
                let schema = json!({"$ref": reference(shape.name)});
                json!({"description": what, "content": {"application/json": {"schema": schema}}})
            };
            responses.insert("200".to_owned(), answered("Nothing was done.", preview));
            (202, answered("It has begun.", job))
        }
        Gives::List(shape) => {
            let schema = json!({
                "type": "object",
                "additionalProperties": false,
                "required": ["data", "nextCursor"],
                "properties": {
                    "data": {"type": "array", "items": {"$ref": reference(shape.name)}},
                    "nextCursor": {"type": ["string", "null"], "description": "Null on the last page."},
                },
            });
            (200, json!({"description": "A page.", "content": {"application/json": {"schema": schema}}}))
        }
        Gives::Nothing => (204, json!({"description": "Done."})),
        Gives::Page => {
            let page = json!({"description": "A page that says what happened.", "content": {"text/html; charset=utf-8": {"schema": {"type": "string"}}}});
            responses.insert("default".to_owned(), page.clone());
            (200, page)
        }
        Gives::Other(media_type) => {
            (200, json!({"description": "Done.", "content": {media_type: {"schema": {"type": "string"}}}}))
        }
    };
    responses.insert(status.to_string(), response);
    let schema = json!({"$ref": reference(PROBLEM.name)});
    responses.entry("default").or_insert_with(
        || json!({"description": "Refused.", "content": {problem::MEDIA_TYPE: {"schema": schema}}}),
    );
    Value::Object(responses)
}

fn code_entry(code: Code) -> Value {
    json!({"code": code.as_str(), "status": code.status(), "title": problem::title(code)})
}

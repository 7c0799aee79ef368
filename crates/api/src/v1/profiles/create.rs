//! `POST /v1/profiles`: store a profile under the name that its source gives.

use http::{Method, StatusCode};
use postrider_engine::control::Role;

use super::{EXAMPLE, SOURCE, STORED, StoredView};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer_created, repeatable, written};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/profiles",
    tag: "Profiles",
    summary: "Store a profile",
    detail: "The source is read by the same parser that `postrider profile check` uses; every error is told with its line. A profile of that name gets a new version; events that were accepted before keep theirs.",
    access: Access::Roles(&[Role::Operator], Scope::Installation),
    gate: Gate::Open,
    query: &[],
    takes: Takes::creating(&SOURCE, EXAMPLE),
    gives: Gives::Json(StatusCode::CREATED, &STORED),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let source = call.fields()?.text("source").unwrap_or_default();
    let again = repeatable(&call.idem, &|made| written(&StoredView::of(made)));
    let created = call.app.engine.control().profile_put(&call.actor(), &source, again).await?;
    answer_created(StatusCode::CREATED, created, |made| written(&StoredView::of(made)))
}

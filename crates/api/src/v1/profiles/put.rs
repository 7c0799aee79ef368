//! `PUT /v1/profiles/{profile}`: store a profile under this name.

use http::{Method, StatusCode};
use postrider_domain::problem::{Code, Problem};
use postrider_engine::control::Role;

use super::{EXAMPLE, SOURCE, STORED, StoredView};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer_created, written};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::PUT,
    path: "/v1/profiles/{profile}",
    tag: "Profiles",
    summary: "Store a profile under a name",
    detail: "As `POST /v1/profiles`, for callers who want a mistyped name to be refused: the source must give the name in the path.",
    access: Access::Roles(&[Role::Operator], Scope::Installation),
    gate: Gate::Open,
    query: &[],
    takes: Takes::json(&SOURCE, EXAMPLE),
    gives: Gives::Json(StatusCode::OK, &STORED),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let source = call.fields()?.text("source").unwrap_or_default();
    let name = call.path("profile");
    // A source that does not parse is refused by control, with every error in it.
    if let Ok(profile) = postrider_domain::profile::Profile::parse(&source)
        && profile.name != name
    {
        let detail = format!("The source's name is `{}`, the path's is `{name}`.", profile.name);
        return Err(Problem::at(Code::ProfileInvalid, "source", detail).into());
    }
    let created = call.app.engine.control().profile_put(&call.actor(), &source, None).await?;
    answer_created(StatusCode::OK, created, |made| written(&StoredView::of(made)))
}

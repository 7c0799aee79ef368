//! `GET /v1/profiles/{profile}`: one profile with its source.

use http::{Method, StatusCode};
use postrider_domain::problem::Problem;
use postrider_engine::control::Role;

use super::{PROFILE, View};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/profiles/{profile}",
    tag: "Profiles",
    summary: "Read a profile",
    detail: "",
    access: Access::Roles(&[Role::Operator], Scope::Installation),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Json(StatusCode::OK, &PROFILE),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let profile = call.app.engine.catalogue().profile(call.path("profile"));
    answer(StatusCode::OK, &View::whole(&*profile.ok_or_else(|| Problem::not_found("profile"))?))
}

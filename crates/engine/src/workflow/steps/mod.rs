//! What a step with effects does, one kind a file: it begins when everything before it is on disk, and ends with a commit, or
//! with a result that the next commit carries.

pub(super) mod call;
pub(super) mod emit;
pub(super) mod http;
pub(super) mod wait;

use postrider_domain::workflow::{Respond, StepResult};
use serde_json::json;

use crate::inbound::receive::Responded;

/// A `respond` step: what whoever waits for the run is told.
pub(super) fn respond(respond: &Respond) -> (StepResult, Responded) {
    let response = Responded {
        status: respond.status,
        headers: respond.headers.clone(),
        body: respond.body.clone().unwrap_or_default(),
    };
    (StepResult::succeeded(json!({ "status": respond.status })), response)
}

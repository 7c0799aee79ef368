//! A run that was just started from a form: how it is kept for a form that is sent twice, and the way to its page.

use postrider_domain::problem::{Code, Problem};
use postrider_engine::Answered;
use postrider_engine::workflow::act::{Begun, Keep};
use postrider_store::NewIdempotency;
use serde_json::{Value, json};

use crate::page::{Answer, see_other};
use crate::visit::Visit;

pub(crate) fn keep(visit: &Visit) -> Option<Keep> {
    let idem = visit.idem()?;
    Some(Box::new(move |run, _| {
        let answer = json!({ "runId": run.to_string() }).to_string().into_bytes();
        NewIdempotency {
            scope: idem.scope,
            key: idem.key,
            fingerprint: idem.fingerprint,
            answer: Box::new(move |_| answer.clone()),
        }
    }))
}

pub(crate) fn to_run(visit: &Visit, begun: Answered<Begun>) -> Answer {
    let run = match begun {
        Answered::Fresh(begun) => begun.run.to_string(),
        Answered::Replayed(stored) => {
            let stored: Value = serde_json::from_slice(&stored).unwrap_or_default();
            stored["runId"].as_str().map(str::to_owned).ok_or_else(|| {
                Problem::new(Code::Internal, "The stored answer cannot be read. Look at the list of runs.")
            })?
        }
    };
    Ok(see_other(&visit.link(&format!("/runs/{run}"))))
}

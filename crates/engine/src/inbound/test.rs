//! A pasted request, explained: what the trigger's verifier and filter say of it. Starts nothing, writes nothing.

use bytes::Bytes;
use postrider_domain::inbound::Incoming;
use serde_json::{Value, json};

use super::Inbound;
use super::receive::{Came, Judged, judge};
use super::trigger::Trigger;

/// What would become of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    pub accepted: bool,
    /// Why not, in the words of the request history.
    pub cause: Option<&'static str>,
    pub detail: String,
    /// What was found against the secrets in force; nothing where nothing is verified.
    pub verification: Vec<Value>,
    pub dedup: Option<String>,
    pub input: Option<Value>,
}

impl Inbound {
    pub fn explain(&self, trigger: &Trigger, came: &Came, body: &Bytes) -> Explained {
        let now = self.outbound.clock.now();
        let incoming = Incoming {
            method: &came.method,
            url: &came.url,
            query: &came.query,
            headers: &came.headers,
            body,
        };
        let verification = trigger
            .verifier_at(now)
            .into_iter()
            .map(|verifier| serde_json::to_value(verifier.explain(&incoming, now)).unwrap_or_default())
            .collect();
        let none = |accepted, cause, detail: &str| Explained {
            accepted,
            cause,
            detail: detail.to_owned(),
            verification: Vec::new(),
            dedup: None,
            input: None,
        };
        let explained = if !trigger.takes_method(&came.method) {
            let detail = format!("The trigger takes {}.", trigger.methods().join(", "));
            none(false, Some("method"), &detail)
        } else {
            match judge(trigger, came, body, now) {
                Judged::Handshake(answer) => none(
                    false,
                    Some("handshake"),
                    &format!("It is a handshake, answered with {}; it starts no run.", answer.status),
                ),
                Judged::Refused(refused) => none(false, Some(refused.cause.as_str()), &refused.detail),
                Judged::Filtered => none(
                    false,
                    Some("filtered"),
                    "It holds, and the trigger's `filter` does not let it through.",
                ),
                Judged::Taken(taken) => Explained {
                    dedup: taken.dedup,
                    input: Some(taken.input),
                    ..none(true, None, "It would start a run.")
                },
            }
        };
        let off = !trigger.enabled && explained.accepted;
        let detail =
            if off { "It would start a run if the trigger were on.".to_owned() } else { explained.detail };
        Explained { detail, verification, ..explained }
    }
}

impl Explained {
    pub fn to_json(&self) -> Value {
        json!({
            "accepted": self.accepted,
            "cause": self.cause,
            "detail": self.detail,
            "verification": self.verification,
            "dedupId": self.dedup,
            "input": self.input,
        })
    }
}

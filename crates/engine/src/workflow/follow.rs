//! Runs that events start: which triggers want an event, and the run that goes into the event's own commit.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use postrider_domain::expression::Scope;
use postrider_domain::id::{EventId, RunId};
use postrider_domain::run::TriggerKind;
use postrider_domain::time::Timestamp;
use postrider_store::StoredEvent;
use serde_json::{Value, json};

use super::Runner;
use super::start::{Origin, Start};
use crate::catalogue::Tenant;
use crate::inbound::trigger::Trigger;
use crate::outbound::attempt::wire_id;
use crate::outbound::dispatch::Follower;
use crate::outbound::ingest::Draft;

impl Runner {
    /// From here on events start runs.
    pub(crate) fn follow_events(self: &Arc<Self>) {
        let runner: Weak<Self> = Arc::downgrade(self);
        let follow = move |tenant: &Arc<Tenant>, draft: &Draft| match runner.upgrade() {
            Some(runner) => followers(tenant, draft, runner.outbound.clock.now()),
            None => Vec::new(),
        };
        // An engine is put together once.
        let _ = self.outbound.follow.set(Box::new(follow));
    }
}

fn followers(tenant: &Arc<Tenant>, draft: &Draft, now: Timestamp) -> Vec<Follower> {
    let mut seen: Option<Value> = None;
    let mut followers = Vec::new();
    for trigger in tenant.inbound.on_events() {
        if !trigger.patterns.as_ref().is_some_and(|patterns| patterns.matches(&draft.event_type)) {
            continue;
        }
        let input = seen.get_or_insert_with(|| {
            let data: Value = serde_json::from_slice(&draft.data).unwrap_or_default();
            json!({
                // Given at acceptance, where the publisher gave none: of the same form, and nobody's.
                "id": draft.external_id.clone().unwrap_or_else(|| EventId::lowest_at(now).to_string()),
                "type": &*draft.event_type,
                "time": draft.time.unwrap_or(now).to_string(),
                "data": data,
            })
        });
        if !lets_through(trigger, input) {
            continue;
        }
        let Some(workflow) = tenant.inbound.workflow_by_id(trigger.workflow) else { continue };
        let origin = Origin {
            kind: TriggerKind::Event,
            trigger: Some(trigger.clone()),
            depth: draft.depth,
            ..Origin::default()
        };
        let start = Start::new(tenant, workflow, Arc::new(input.clone()), Bytes::new(), origin);
        followers.push(Follower {
            tenant: tenant.id,
            workflow: workflow.id,
            intake: Box::new(move |run: RunId, event: &StoredEvent| {
                let mut new = start.run(run, None);
                new.event = Some(event.id);
                new.input = input_of(event);
                start.intake(new)
            }),
        });
    }
    followers
}

/// A filter that cannot be decided lets nothing through.
fn lets_through(trigger: &Trigger, input: &Value) -> bool {
    let Some(filter) = &trigger.filter else { return true };
    let scope = Scope::default().with("input", Some(input)).with("headers", None);
    let scope = scope.with("method", None).with("query", None);
    filter.holds(&scope).unwrap_or_else(|why| {
        tracing::debug!(trigger = %trigger.id, why, "trigger.filter_undecided");
        false
    })
}

/// `{id, type, time, data}`, the data as it was sent.
fn input_of(event: &StoredEvent) -> Bytes {
    let head = json!({ "id": wire_id(event), "type": &*event.event_type, "time": event.time.to_string() });
    let head = head.to_string();
    let mut input = Vec::with_capacity(head.len() + event.data.len() + 16);
    input.extend_from_slice(head.trim_end_matches('}').as_bytes());
    input.extend_from_slice(b",\"data\":");
    input.extend_from_slice(&event.data);
    input.push(b'}');
    Bytes::from(input)
}

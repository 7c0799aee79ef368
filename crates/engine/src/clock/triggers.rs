//! Triggers that the clock starts. A moment of a trigger is decided once, in the transaction that makes its run: two nodes
//! that both think they lead start one run.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use postrider_domain::id::TriggerId;
use postrider_domain::run::TriggerKind;
use postrider_domain::time::Timestamp;
use postrider_store::StoreError;
use postrider_store::runs::IntakeOutcome;
use serde_json::json;

use crate::catalogue::Tenant;
use crate::inbound::trigger::{CATCH_UP_MAX, CatchUp, Overlap, Trigger};
use crate::workflow::Runner;
use crate::workflow::start::{Asked, Origin, Start, Started};

/// How soon a new trigger, or a new leader, is noticed.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Moments of one trigger that are caught up on before others have their turn.
const MOMENTS_AT_ONCE: usize = 20;
/// A moment that is noticed so late is one that passed while nobody was there.
const LATE_AFTER: Duration = Duration::from_secs(60);

/// Until the process ends.
pub async fn triggers(runner: Arc<Runner>) {
    let clock = runner.outbound.clock.clone();
    // Up to where each trigger's moments are decided, and for which times that holds.
    let mut decided: HashMap<TriggerId, (Timestamp, Timestamp)> = HashMap::new();
    loop {
        let now = clock.now();
        let mut next = now.plus(LOOK_EVERY);
        if runner.outbound.leads() {
            let mut seen: HashMap<TriggerId, (Timestamp, Timestamp)> = HashMap::new();
            for tenant in runner.outbound.catalogue.tenants() {
                for trigger in tenant.inbound.on_clock() {
                    let known = decided.get(&trigger.id).filter(|(since, _)| *since == trigger.since);
                    match runner.tick(&tenant, trigger, known.map(|(_, until)| *until), now).await {
                        Ok(until) => {
                            seen.insert(trigger.id, (trigger.since, until));
                            let due = trigger.clock.as_ref().and_then(|clock| clock.next(until));
                            next = due.map_or(next, |due| next.min(due));
                        }
                        Err(error) => tracing::error!(%error, trigger = %trigger.id, "trigger.waits"),
                    }
                }
            }
            // Those that are gone or off are forgotten.
            decided = seen;
        } else {
            decided.clear();
        }
        // Never at once again: what could not be decided now is looked at a moment later.
        clock.sleep_until(next.max(now.plus(Duration::from_millis(10)))).await;
    }
}

impl Runner {
    /// Starts what is due of a trigger by `now`. Answers up to where its moments are decided.
    async fn tick(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        trigger: &Arc<Trigger>,
        known: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        let decided = match known {
            Some(known) => known,
            None => {
                let stored = self.outbound.store.trigger_clock(tenant.id, trigger.id).await?;
                stored.map_or(trigger.since, |stored| stored.max(trigger.since))
            }
        };
        let Some(workflow) = tenant.inbound.workflow_by_id(trigger.workflow) else { return Ok(now) };
        let moments = due(trigger, decided, now);
        let last = moments.get(MOMENTS_AT_ONCE - 1).copied().filter(|_| moments.len() > MOMENTS_AT_ONCE);
        for moment in moments.into_iter().take(MOMENTS_AT_ONCE) {
            let input = match &trigger.settings.input {
                Some(input) => input.clone(),
                None => json!({ "scheduledAt": moment.to_string() }),
            };
            let bytes = Bytes::from(input.to_string());
            let origin =
                Origin { kind: TriggerKind::Cron, trigger: Some(trigger.clone()), ..Origin::default() };
            let overlap = trigger.settings.overlap.unwrap_or(Overlap::Skip);
            let start = Start::new(tenant, workflow, Arc::new(input), bytes, origin).overlapping(overlap);
            let asked = Asked { tick: Some((trigger.id, moment)), ..Asked::default() };
            if let Started::Done(outcome, _) = self.start_asked(start, asked).await?
                && outcome != IntakeOutcome::Taken
            {
                tracing::debug!(tenant = %tenant.public_id, trigger = %trigger.id, %moment, "trigger.ticked");
            }
        }
        // Others have their turn before the rest.
        Ok(last.unwrap_or(now))
    }
}

/// The moments after `decided` that start a run at `now`, in order.
pub(crate) fn due(trigger: &Trigger, decided: Timestamp, now: Timestamp) -> Vec<Timestamp> {
    let Some(clock) = &trigger.clock else { return Vec::new() };
    let (most, catch_up) = match trigger.settings.catch_up.unwrap_or(CatchUp::Latest) {
        CatchUp::None => (CATCH_UP_MAX as usize, CatchUp::None),
        CatchUp::Latest => (1, CatchUp::Latest),
        CatchUp::All(max) => (max as usize, CatchUp::All(max)),
    };
    let mut moments = clock.passed(decided, now, most);
    if catch_up == CatchUp::None {
        // Of those that are not late, one that was due twice in a moment is still one each.
        moments.retain(|moment| now.since(*moment) < LATE_AFTER);
    }
    moments
}

//! From a run to its end: durable, step by step.
//!
//! `start` (a run to be, and its first commit) → `hand` (a run in this process's hands) → `run` (step after step, each with its
//! commit) → `steps` (what a step with effects does). `claim` finds what is due, `waits` what an event brings on. What a step
//! made and how far its run has come are one commit; where a process died, the next goes on at the step where the run stood.
//! Runs share lanes, leases and fences with deliveries.

pub mod act;
mod claim;
mod follow;
mod hand;
mod room;
mod run;
pub mod start;
mod steps;
mod waits;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use postrider_domain::id::{RunId, TenantId, WorkflowId};
use postrider_domain::run::RunState;
use postrider_domain::workflow::Workflow;
use postrider_store::StoreError;
use tokio::sync::oneshot;

use crate::connections::Connections;
use crate::control::Control;
use crate::derive::Derive;
use crate::inbound::receive::Responded;
use crate::outbound::dispatch::Outbound;

pub use claim::{claims, looks};
pub use waits::waits;

const POISON: &str = "because no holder of this lock panics";
/// Versions of definitions kept compiled beside the newest ones, for runs that began with them.
const COMPILED_KEPT_MAX: usize = 1000;

/// What the stations of this flow share.
pub struct Runner {
    pub(crate) outbound: Arc<Outbound>,
    pub(crate) derive: Arc<Derive>,
    pub(crate) control: Control,
    pub(crate) connections: Connections,
    compiled: Mutex<HashMap<(TenantId, WorkflowId, i64), Arc<Workflow>>>,
    watchers: Arc<Mutex<Watchers>>,
    pub(crate) inputs: room::Inputs,
    /// Runs that this process works on.
    held: Arc<Mutex<HashMap<RunId, u32>>>,
}

type Watchers = HashMap<RunId, Vec<oneshot::Sender<Told>>>;

/// What a watcher of a run is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    Responded(Responded),
    Ended(RunState),
}

/// Somebody's wait for a run's answer.
pub struct Watch {
    run: RunId,
    told: oneshot::Receiver<Told>,
    watchers: Arc<Mutex<Watchers>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.told.close();
        let mut watchers = self.watchers.lock().expect(POISON);
        if let Some(waiting) = watchers.get_mut(&self.run) {
            waiting.retain(|watcher| !watcher.is_closed());
            if waiting.is_empty() {
                watchers.remove(&self.run);
            }
        }
    }
}

/// That a run is worked on here.
pub(crate) struct Held {
    held: Arc<Mutex<HashMap<RunId, u32>>>,
    run: RunId,
}

impl Drop for Held {
    fn drop(&mut self) {
        // What was given back may have been claimed anew before its first holder is gone.
        let mut held = self.held.lock().expect(POISON);
        if let Some(count) = held.get_mut(&self.run) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.run);
            }
        }
    }
}

impl Runner {
    pub fn new(
        outbound: Arc<Outbound>,
        derive: Arc<Derive>,
        control: Control,
        connections: Connections,
    ) -> Self {
        Self {
            outbound,
            derive,
            control,
            connections,
            compiled: Mutex::default(),
            watchers: Arc::default(),
            inputs: room::Inputs::default(),
            held: Arc::default(),
        }
    }

    pub(crate) fn hold(&self, run: RunId) -> Held {
        *self.held.lock().expect(POISON).entry(run).or_default() += 1;
        Held { held: self.held.clone(), run }
    }

    pub(crate) fn watch(&self, run: RunId) -> Watch {
        let (tell, told) = oneshot::channel();
        self.watchers.lock().expect(POISON).entry(run).or_default().push(tell);
        Watch { run, told, watchers: self.watchers.clone() }
    }

    /// Tells who waits for a run; what is told is on disk.
    pub(crate) fn tell(&self, run: RunId, told: &Told) {
        let watchers = self.watchers.lock().expect(POISON).remove(&run).unwrap_or_default();
        for watcher in watchers {
            // Nobody may be waiting any more.
            let _ = watcher.send(told.clone());
        }
    }

    /// `None`: it took too long, or goes on elsewhere.
    pub(crate) async fn wait(&self, mut watch: Watch, at_most: Duration) -> Option<Told> {
        tokio::select! {
            told = &mut watch.told => told.ok(),
            () = self.outbound.clock.sleep(at_most) => None,
        }
    }

    /// The state that the answer to a request names.
    pub(crate) fn state_at_start(&self, _run: RunId, claimed: bool) -> RunState {
        if claimed { RunState::Running } else { RunState::Queued }
    }

    /// A version of a workflow's definition, compiled.
    pub(crate) async fn definition(
        &self,
        tenant: TenantId,
        workflow: WorkflowId,
        version: i64,
    ) -> Result<Arc<Workflow>, StoreError> {
        let newest = self.outbound.catalogue.tenant(tenant);
        let newest = newest.as_ref().and_then(|tenant| tenant.inbound.workflow_by_id(workflow));
        if let Some(newest) = newest.filter(|newest| newest.version == version) {
            return Ok(newest.compiled.clone());
        }
        let key = (tenant, workflow, version);
        if let Some(known) = self.compiled.lock().expect(POISON).get(&key) {
            return Ok(known.clone());
        }
        let corrupt =
            |why: String| StoreError::Corrupt(format!("version {version} of the workflow {workflow}: {why}"));
        let source = self.outbound.store.workflow_definition(tenant, workflow, version).await?;
        let source = source.ok_or_else(|| corrupt("it is not stored".into()))?;
        let source = serde_json::from_str(&source).map_err(|error| corrupt(error.to_string()))?;
        let compiled = Workflow::compile(&source)
            .map_err(|errors| corrupt(errors.first().map(ToString::to_string).unwrap_or_default()))?;
        let compiled = Arc::new(compiled);
        let mut known = self.compiled.lock().expect(POISON);
        if known.len() >= COMPILED_KEPT_MAX {
            known.clear();
        }
        known.insert(key, compiled.clone());
        Ok(compiled)
    }
}

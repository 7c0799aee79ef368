//! What has come due: rules that waited for a moment, and generators whose next occurrence is here. Costs what is due, not
//! what exists.
//!
//! Each record is looked at in one transaction that takes its due times away. Two scans of one tenant, a restart in the
//! middle, a write beside it: whoever comes second finds them gone, and begins anew.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use postrider_domain::id::TenantId;
use postrider_domain::limits;
use postrider_domain::rules::Content;
use postrider_domain::time::Timestamp;
use postrider_store::{RecordKey, RuleDue, Rules, ScanRow, StoreError};

use super::Derive;
use super::place::{Owner, Place};
use super::records::check_schema;
use super::rules::{Events, Judging, ToMake, Working};
use crate::catalogue::Tenant;
use crate::outbound::dispatch::Caused;

/// Due times that are looked at in one transaction.
const LOOKS_MAX: usize = 250;

/// The same, of large records.
const LARGE_LOOKS_MAX: usize = 16;

/// What a scan came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scanned {
    /// Due times that were looked at.
    pub looked: u64,
    pub events: u64,
    /// Records that were made from templates.
    pub made: u64,
    /// What could not be decided.
    pub errors: u64,
}

impl Scanned {
    fn add(&mut self, other: Self) {
        self.looked += other.looked;
        self.events += other.events;
        self.made += other.made;
        self.errors += other.errors;
    }
}

impl Derive {
    /// Looks at everything of a tenant that was due by `until`, as of that moment.
    pub async fn look(&self, tenant: TenantId, until: Timestamp) -> Result<Scanned, StoreError> {
        let mut all = Scanned::default();
        // Of a moment that has been, what a look leaves waits for a later one; this bounds what a mistake could cost.
        let mut stuck = 0;
        loop {
            let Some(now) =
                self.outbound.catalogue.tenant(tenant).filter(|tenant| tenant.plan_has_webhooks())
            else {
                return Ok(all);
            };
            let come = self.outbound.store.records_due(tenant, until, LOOKS_MAX).await?;
            if come.is_empty() {
                return Ok(all);
            }
            match self.look_at(&now, come.clone(), until).await {
                Ok(scanned) if scanned.looked > 0 => {
                    stuck = 0;
                    all.add(scanned);
                    continue;
                }
                Ok(_) | Err(StoreError::Moved(_)) if stuck < limits::RECORD_TRIES => stuck += 1,
                Ok(_) | Err(StoreError::Moved(_) | StoreError::Corrupt(_) | StoreError::Internal(_)) => {
                    // One of them holds up the others.
                    let scanned = self.look_one_by_one(&now, come, until).await?;
                    if scanned.looked == 0 {
                        return Err(StoreError::Contended(
                            "the records that are due cannot be looked at".into(),
                        ));
                    }
                    stuck = 0;
                    all.add(scanned);
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn look_one_by_one(
        &self,
        tenant: &Arc<Tenant>,
        come: Vec<(RecordKey, RuleDue)>,
        until: Timestamp,
    ) -> Result<Scanned, StoreError> {
        let mut all = Scanned::default();
        for one in come {
            let (kind, id) = (one.0.kind.clone(), one.0.id.clone());
            match self.look_at(tenant, vec![one], until).await {
                Ok(scanned) => all.add(scanned),
                Err(error @ (StoreError::Moved(_) | StoreError::Corrupt(_) | StoreError::Internal(_))) => {
                    tracing::error!(%error, tenant = %tenant.public_id, kind, id, "record.not_looked_at");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    /// A scan for a tick, if nobody has claimed it. `None`: somebody has.
    pub async fn scan(&self, tenant: TenantId, tick: Timestamp) -> Result<Option<Scanned>, StoreError> {
        let store = &self.outbound.store;
        if !store.scan_begin(tenant, tick, self.outbound.clock.now()).await? {
            return Ok(None);
        }
        self.scan_on(tenant, tick).await.map(Some)
    }

    /// Goes on with a scan that was begun.
    pub async fn scan_on(&self, tenant: TenantId, tick: Timestamp) -> Result<Scanned, StoreError> {
        let _scanning = self.scanning(tenant);
        let scanned = self.look(tenant, tick).await?;
        let now = self.outbound.clock.now();
        let Scanned { looked, events, made, errors } = scanned;
        let row = ScanRow { tenant, tick, started: now, ended: Some(now), looked, events, made, errors };
        self.outbound.store.scan_end(&row).await?;
        tracing::info!(%tenant, looked, events, made, errors, "scan.done");
        Ok(scanned)
    }

    async fn look_at(
        &self,
        tenant: &Arc<Tenant>,
        come: Vec<(RecordKey, RuleDue)>,
        until: Timestamp,
    ) -> Result<Scanned, StoreError> {
        // One transaction is for records of one scope; the others' turn comes with the next look.
        let Some(scope) = come.first().map(|(key, _)| key.scope) else { return Ok(Scanned::default()) };
        let mut kinds: BTreeMap<String, BTreeMap<String, Vec<RuleDue>>> = BTreeMap::new();
        for (key, due) in come.into_iter().filter(|(key, _)| key.scope == scope) {
            kinds.entry(key.kind).or_default().entry(key.id).or_default().push(due);
        }
        let keys =
            kinds.iter().flat_map(|(kind, ids)| ids.keys().map(move |id| (kind.as_str(), id.as_str())));
        let locks = self.locks_of(&scope, keys);
        let _held = self.hold(locks).await;
        let judging = Judging { now: until, events: Events::Fire, at_once: true, depth: 0 };
        let (mut caused, mut works, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
        let mut scanned = Scanned::default();
        let mut bytes = 0;
        for (kind, ids) in &kinds {
            let ids: Vec<&str> = ids.keys().map(String::as_str).collect();
            bytes += self.outbound.store.record_bytes(&scope, kind, &ids).await?;
        }
        let large = bytes > limits::RECORDS_READ_BYTES_MAX;
        let _room = self.room_for(bytes.min(limits::RECORDS_READ_BYTES_MAX)).await;
        for (kind, ids) in kinds {
            let place = Place { scope, kind, owner: Owner::Tenant(tenant.clone()) };
            let (keys, come): (Vec<String>, Vec<Vec<RuleDue>>) = ids.into_iter().unzip();
            let mut keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            if large {
                // The turn of the others comes with the next look.
                keys.truncate(LARGE_LOOKS_MAX);
            }
            let states = self.outbound.store.record_states(&scope, &place.kind, &keys, Rules::With).await?;
            for ((id, come), state) in keys.into_iter().zip(come).zip(states) {
                let come: Vec<RuleDue> = come.into_iter().filter(|due| state.due.contains(due)).collect();
                let is_theirs = state.record.as_ref().is_some_and(|record| record.tenant == Some(tenant.id));
                if come.is_empty() || !is_theirs {
                    continue;
                }
                let mut work = self.working(&place, id, state)?;
                scanned.looked += come.len() as u64;
                let (led, to_make) = work.look(tenant, come, &judging, &mut caused);
                scanned.errors += led.errors as u64;
                wanted.extend(to_make.into_iter().map(|to_make| (works.len(), to_make)));
                works.push(work);
            }
        }
        let made = self.make(tenant, scope, &mut works, wanted, &judging, &mut caused, &mut scanned).await?;
        scanned.made += made.len() as u64;
        works.extend(made);
        if works.is_empty() {
            return Ok(scanned);
        }
        scanned.events += caused.len() as u64;
        let now = self.outbound.clock.now();
        let writes = |ids: &[_]| {
            works.into_iter().filter_map(|work| work.written(self.next_version(now, None), ids)).collect()
        };
        self.commit(scope, caused, writes, None, None).await?;
        Ok(scanned)
    }

    /// Records from templates, each once: one that is there already was made before.
    #[expect(
        clippy::too_many_arguments,
        reason = "the templates, what they make, and where what follows goes"
    )]
    async fn make(
        &self,
        tenant: &Arc<Tenant>,
        scope: [u8; 16],
        templates: &mut [Working],
        wanted: Vec<(usize, ToMake)>,
        judging: &Judging,
        caused: &mut Vec<Caused>,
        scanned: &mut Scanned,
    ) -> Result<Vec<Working>, StoreError> {
        let mut known = HashMap::new();
        for kind in
            wanted.iter().map(|(_, to_make)| to_make.kind.clone()).collect::<std::collections::BTreeSet<_>>()
        {
            let ids: Vec<&str> = wanted
                .iter()
                .filter(|(_, to_make)| to_make.kind == kind)
                .map(|(_, to_make)| to_make.made.id.as_str())
                .collect();
            let states = self.outbound.store.record_states(&scope, &kind, &ids, Rules::With).await?;
            for (id, state) in ids.iter().zip(states) {
                known.insert((kind.clone(), (*id).to_owned()), state);
            }
        }
        let mut made = Vec::new();
        for (template, to_make) in wanted {
            // None: it is made twice in this commit.
            let Some(state) = known.remove(&(to_make.kind.clone(), to_make.made.id.clone())) else {
                continue;
            };
            if state.record.is_some() || !state.marks.is_empty() {
                continue;
            }
            let place = Place { scope, kind: to_make.kind.clone(), owner: Owner::Tenant(tenant.clone()) };
            let content = Content::read(to_make.made.content.clone()).map_err(StoreError::Internal)?;
            let mut work = self.working(&place, &to_make.made.id, state)?;
            if let Err(problem) = check_schema(&place, &content) {
                scanned.errors +=
                    templates[template].not_made(tenant, &to_make, problem.detail).errors as u64;
                continue;
            }
            scanned.errors += templates[template].announce(tenant, &to_make, judging, caused).errors as u64;
            let led = work.change(Some((content, Some(tenant.clone()))), judging, caused);
            scanned.errors += led.errors as u64;
            made.push(work);
        }
        Ok(made)
    }
}

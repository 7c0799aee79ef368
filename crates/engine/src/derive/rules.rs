//! What follows from changes of records, gathered up to one commit. No waiting, no store.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use postrider_domain::event::EventKind;
use postrider_domain::id::{EventId, TenantId};
use postrider_domain::problem::Code;
use postrider_domain::rules::{Content, Mark, Write};
use postrider_domain::time::Timestamp;
use postrider_store::{
    MarkChange, RecordContent, RecordKey, RecordState, RecordTo, RecordWrite, RuleDue, RuleFault,
};

use crate::catalogue::Tenant;
use crate::outbound::dispatch::Caused;
use crate::outbound::ingest::{self, Publication};

/// Whether events go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Events {
    Fire,
    /// Rules that fire once take it that they have: for what is there already when an application comes to Postrider.
    Silent,
}

/// How and when changes are judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judging {
    pub(super) now: Timestamp,
    pub(super) events: Events,
    /// By the tenant's scan: what follows goes out with it.
    pub(super) at_once: bool,
    /// How many events led to the write.
    pub(super) depth: u8,
}

/// A record under change: as it is stored, and as it will be.
pub(super) struct Working {
    pub(super) key: RecordKey,
    stored: RecordState,
    pub(super) content: Option<Content>,
    pub(super) tenant: Option<Arc<Tenant>>,
    to: To,
    due: Vec<RuleDue>,
    /// By rule, and whose record it was.
    marks: BTreeMap<(String, TenantId), MarkEdit>,
    errors: Vec<RuleFault>,
}

enum To {
    AsItWas,
    Changed,
    /// Nothing but time passed.
    Looked(Vec<RuleDue>),
}

#[derive(Clone, Copy)]
enum MarkEdit {
    /// `caused`: the place of its event among those of the commit.
    Set {
        at: Timestamp,
        caused: Option<usize>,
    },
    Cleared,
}

/// What one step of a record led to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Led {
    pub(super) errors: usize,
}

impl Working {
    pub(super) fn new(
        key: RecordKey,
        stored: RecordState,
        content: Option<Content>,
        tenant: Option<Arc<Tenant>>,
    ) -> Self {
        let due = stored.due.clone();
        Self {
            key,
            stored,
            content,
            tenant,
            to: To::AsItWas,
            due,
            marks: BTreeMap::new(),
            errors: Vec::new(),
        }
    }

    pub(super) fn stored(&self) -> &RecordState {
        &self.stored
    }

    /// It has become this, a tenant's or nobody's: what its rules say of that.
    pub(super) fn change(
        &mut self,
        to: Option<(Content, Option<Arc<Tenant>>)>,
        judging: &Judging,
        caused: &mut Vec<Caused>,
    ) -> Led {
        let old = self.content.take();
        let old_tenant = self.tenant.take();
        let (new, new_tenant) = match to {
            Some((content, tenant)) => (Some(content), tenant),
            None => (None, None),
        };
        let mut led = Led::default();
        let waiting = std::mem::take(&mut self.due);
        let same = match (&old_tenant, &new_tenant) {
            (Some(old), Some(new)) => old.id == new.id,
            _ => false,
        };
        match (&old_tenant, &new_tenant) {
            (_, Some(tenant)) if same => {
                self.judge(tenant, old.as_ref(), new.as_ref(), &waiting, judging, caused, &mut led)
            }
            // Linked, unlinked, or moved: for the one it is gone, for the other it is new.
            (from, to) => {
                if let Some(tenant) = from {
                    self.judge(tenant, old.as_ref(), None, &waiting, judging, caused, &mut led);
                }
                if let Some(tenant) = to {
                    self.judge(tenant, None, new.as_ref(), &[], judging, caused, &mut led);
                }
            }
        }
        self.content = new;
        self.tenant = new_tenant;
        self.to = To::Changed;
        led
    }

    #[expect(clippy::too_many_arguments, reason = "the two sides of a change, and where what follows goes")]
    fn judge(
        &mut self,
        tenant: &Arc<Tenant>,
        old: Option<&Content>,
        new: Option<&Content>,
        waiting: &[RuleDue],
        judging: &Judging,
        caused: &mut Vec<Caused>,
        led: &mut Led,
    ) {
        let profile = tenant.profile().clone();
        let (kind, id) = (self.key.kind.clone(), self.key.id.clone());
        let zone = &tenant.pinned.values.timezone;
        let told = judging.events == Events::Fire;
        let write = Write { id: &id, old, new, now: judging.now, zone, told };
        for rule in profile.rules.iter().filter(|rule| rule.record == kind) {
            let fired = self.fired(&rule.name, tenant.id);
            let mut outcome = rule.after_write(&write, fired);
            if judging.events == Events::Silent && outcome.due.is_some_and(|due| due <= judging.now) {
                // It would have fired already.
                let passed = rule.when_due(&write, fired);
                let mark = if passed.mark == Mark::Stays { outcome.mark } else { passed.mark };
                outcome = postrider_domain::rules::Outcome { mark, ..passed };
            }
            // Found from now on, or since it was: a scan that makes up for an earlier hour leaves it to the next.
            let waits = waiting.iter().find(|due| due.rule == rule.name && due.tenant == tenant.id);
            let since = waits.map_or(judging.now, |waits| waits.at.min(judging.now));
            let due = outcome.due.map(|due| due.max(since));
            self.take(tenant, &rule.name, &rule.event, outcome, judging, caused, led);
            self.due.extend(due.map(|at| RuleDue { rule: rule.name.clone(), tenant: tenant.id, at }));
        }
        for generator in profile.generators.iter().filter(|generator| generator.record == kind) {
            let waits = waiting.iter().find(|due| due.rule == generator.name && due.tenant == tenant.id);
            match generator.after_write(&write, waits.map(|due| due.at)) {
                Ok(due) => self.due.extend(due.map(|at| RuleDue {
                    rule: generator.name.clone(),
                    tenant: tenant.id,
                    at,
                })),
                Err(detail) => self.fault(tenant, &generator.name, detail, led),
            }
        }
    }

    /// What rules that waited for these moments say, now that they have come. Answers the records to make.
    pub(super) fn look(
        &mut self,
        tenant: &Arc<Tenant>,
        come: Vec<RuleDue>,
        judging: &Judging,
        caused: &mut Vec<Caused>,
    ) -> (Led, Vec<ToMake>) {
        let profile = tenant.profile().clone();
        let (mut led, mut to_make, mut again) = (Led::default(), Vec::new(), Vec::new());
        let id = self.key.id.clone();
        let content = self.content.clone();
        let write = Write {
            id: &id,
            old: None,
            new: content.as_ref(),
            now: judging.now,
            zone: &tenant.pinned.values.timezone,
            told: true,
        };
        for due in &come {
            let at = if let Some(rule) = profile.rules.iter().find(|rule| rule.name == due.rule) {
                let outcome = rule.when_due(&write, self.fired(&rule.name, tenant.id));
                let at = outcome.due;
                self.take(tenant, &rule.name, &rule.event, outcome, judging, caused, &mut led);
                at
            } else if let Some(generator) = profile.generators.iter().find(|known| known.name == due.rule) {
                match generator.when_due(&write, due.at) {
                    Ok(generated) => {
                        if let Some(detail) = generated.error {
                            self.fault(tenant, &generator.name, detail, &mut led);
                        }
                        to_make.extend(generated.made.into_iter().map(|made| ToMake {
                            rule: generator.name.clone(),
                            kind: generator.makes.clone(),
                            event: generator.event.clone(),
                            made,
                        }));
                        generated.due
                    }
                    Err(detail) => {
                        self.fault(tenant, &generator.name, detail, &mut led);
                        None
                    }
                }
            } else {
                // The tenant's profile has no such rule any more.
                None
            };
            again.extend(at.map(|at| RuleDue { rule: due.rule.clone(), tenant: tenant.id, at }));
        }
        self.due = again;
        self.to = To::Looked(come);
        (led, to_make)
    }

    /// What it was to make cannot be: kept with the template.
    pub(super) fn not_made(&mut self, tenant: &Tenant, to_make: &ToMake, detail: String) -> Led {
        let mut led = Led::default();
        self.fault(tenant, &to_make.rule, detail, &mut led);
        led
    }

    /// The event that says what a generator made. An error is kept with the template.
    pub(super) fn announce(
        &mut self,
        tenant: &Arc<Tenant>,
        to_make: &ToMake,
        judging: &Judging,
        caused: &mut Vec<Caused>,
    ) -> Led {
        let mut led = Led::default();
        if let Err(Some(detail)) = event(tenant, &to_make.event, &to_make.made.data, judging, caused) {
            self.fault(tenant, &to_make.rule, detail, &mut led);
        }
        led
    }

    #[expect(clippy::too_many_arguments, reason = "a rule's names, its outcome, and where what follows goes")]
    fn take(
        &mut self,
        tenant: &Arc<Tenant>,
        rule: &str,
        event_type: &str,
        outcome: postrider_domain::rules::Outcome,
        judging: &Judging,
        caused: &mut Vec<Caused>,
        led: &mut Led,
    ) {
        // Before webhooks were in its plan, nothing fires, and nothing is marked as if it had.
        if judging.events == Events::Fire && !tenant.plan_has_webhooks() {
            return;
        }
        if let Some(detail) = outcome.error {
            self.fault(tenant, rule, detail, led);
        }
        let at = judging.now;
        if outcome.mark == Mark::Cleared {
            self.marks.insert((rule.to_owned(), tenant.id), MarkEdit::Cleared);
        }
        let Some(data) = outcome.fires else { return };
        let marks = outcome.mark == Mark::Set;
        let made = match judging.events {
            Events::Silent => Ok(None),
            Events::Fire => event(tenant, event_type, &data, judging, caused).map(Some),
        };
        match made {
            Ok(caused) if marks => {
                self.marks.insert((rule.to_owned(), tenant.id), MarkEdit::Set { at, caused });
            }
            Ok(_) | Err(None) => {}
            Err(Some(detail)) => self.fault(tenant, rule, detail, led),
        }
    }

    fn fault(&mut self, tenant: &Tenant, rule: &str, detail: String, led: &mut Led) {
        led.errors += 1;
        // Of one commit, the last word on a rule.
        self.errors.retain(|known| known.rule != rule);
        self.errors.push(RuleFault { rule: rule.to_owned(), tenant: tenant.id, detail });
    }

    /// When a rule last fired for this record while it was this tenant's.
    fn fired(&self, rule: &str, tenant: TenantId) -> Option<Timestamp> {
        match self.marks.get(&(rule.to_owned(), tenant)) {
            Some(MarkEdit::Set { at, .. }) => Some(*at),
            Some(MarkEdit::Cleared) => None,
            None => {
                let mark = self.stored.marks.iter().find(|mark| mark.rule == rule && mark.tenant == tenant);
                mark.map(|mark| mark.fired)
            }
        }
    }

    /// Whether the content is another one than is stored.
    pub(super) fn differs(&self) -> bool {
        let stored = self.stored.record.as_ref();
        match (&self.content, stored) {
            (Some(content), Some(stored)) => {
                *content.json != stored.data[..]
                    || self.tenant.as_ref().map(|tenant| tenant.id) != stored.tenant
            }
            (None, None) => false,
            _ => true,
        }
    }

    /// Whether there is nothing to write.
    pub(super) fn is_idle(&self) -> bool {
        match self.to {
            To::AsItWas => true,
            To::Looked(_) => false,
            To::Changed => {
                !self.differs()
                    && same_due(&self.due, &self.stored.due)
                    && self.marks.is_empty()
                    && self.errors.is_empty()
            }
        }
    }

    /// What is to be written, once the events have ids. `None`: nothing.
    pub(super) fn written(self, version: i64, ids: &[EventId]) -> Option<RecordWrite> {
        if self.is_idle() {
            return None;
        }
        let differs = self.differs();
        let expected = self.stored.record.as_ref().map(|record| record.version);
        let to = match self.to {
            To::AsItWas => return None,
            To::Looked(come) => RecordTo::Looked(come),
            To::Changed => match self.content {
                None => RecordTo::Deleted,
                Some(content) => RecordTo::Content(RecordContent {
                    tenant: self.tenant.map(|tenant| tenant.id),
                    version: if differs { version } else { expected.unwrap_or(version) },
                    data: Bytes::from_owner(content.json),
                }),
            },
        };
        let marks = self.marks.into_iter().map(|((rule, tenant), mark)| {
            let change = match mark {
                MarkEdit::Set { caused, .. } => {
                    MarkChange::Set { tenant, event: caused.and_then(|place| ids.get(place)).copied() }
                }
                MarkEdit::Cleared => MarkChange::Cleared { tenant },
            };
            (rule, change)
        });
        Some(RecordWrite {
            key: self.key,
            expected,
            to,
            due: self.due,
            marks: marks.collect(),
            errors: self.errors,
        })
    }
}

/// A record that a generator is about to make.
pub(super) struct ToMake {
    rule: String,
    pub(super) kind: String,
    event: String,
    pub(super) made: postrider_domain::rules::Made,
}

/// Adds an event. Answers its place among those of the commit, or why there is none: a sentence, or nothing where the tenant
/// does not have the type.
fn event(
    tenant: &Arc<Tenant>,
    event_type: &str,
    data: &[u8],
    judging: &Judging,
    caused: &mut Vec<Caused>,
) -> Result<usize, Option<String>> {
    let data = std::str::from_utf8(data).map_err(|error| Some(error.to_string()))?;
    let publication = Publication { id: None, event_type, time: None, data, depth: judging.depth };
    match ingest::check(tenant, &publication, EventKind::Normal) {
        Ok(draft) => {
            caused.push(Caused { tenant: tenant.clone(), draft, at_once: judging.at_once });
            Ok(caused.len() - 1)
        }
        Err(problem) if problem.code == Code::EventTypeNotExposed => Err(None),
        Err(problem) => Err(Some(problem.detail)),
    }
}

fn same_due(one: &[RuleDue], other: &[RuleDue]) -> bool {
    one.len() == other.len() && one.iter().all(|due| other.contains(due))
}

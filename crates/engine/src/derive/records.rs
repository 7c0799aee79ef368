//! Writes of records, up to their commit: read what is stored, judge what follows, write both, and begin anew where another
//! process was quicker.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use postrider_domain::id::{EventId, TenantId};
use postrider_domain::json::{self, JsonError};
use postrider_domain::limits;
use postrider_domain::problem::{Code, Problem, Warning};
use postrider_domain::profile::SchemaMode;
use postrider_domain::rules::Content;
use postrider_store::{
    NewIdempotency, RecordKey, RecordState, RecordTo, RecordWrite, Rules, StoreError, StoredRecord,
};

use postrider_store::runs::{RUN_MOVED, RunWrite};

use super::place::Place;
pub use super::rules::Events;
use super::rules::{Judging, Working};
use super::{Derive, Held};
use crate::EngineError;
use crate::catalogue::Tenant;
use crate::outbound::dispatch::{Caused, PublishOutcome};

/// What is to become of a record.
#[derive(Debug, Clone)]
pub struct Change {
    pub id: String,
    pub edit: Edit,
    /// What it was, by its source: for a record that was never told here.
    pub old: Option<Content>,
    pub condition: Condition,
}

#[derive(Debug, Clone)]
pub enum Edit {
    Put(Content),
    /// A JSON merge patch: compact JSON.
    Patch(Bytes),
    Delete,
}

/// What must be so before a change: `If-Match` and `If-None-Match`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Condition {
    #[default]
    None,
    Exists,
    Absent,
    /// One of these versions.
    Version(Vec<i64>),
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Became {
    Created,
    Updated,
    Unchanged,
    Deleted,
}

impl Became {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Deleted => "deleted",
        }
    }
}

/// A change that was written, with the events that it caused.
#[derive(Debug, Clone)]
pub struct Written {
    pub became: Became,
    pub tenant: Option<Arc<Tenant>>,
    /// `None`: it was deleted.
    pub version: Option<i64>,
    pub content: Option<Content>,
    pub events: Vec<(EventId, Arc<str>)>,
    pub warnings: Vec<Warning>,
}

/// What each change became, or why it was refused.
pub type Report = Vec<Result<Written, Problem>>;

/// What a batch became.
pub enum Batch {
    Done(Report),
    /// The answer that the same request got before.
    Replayed(Vec<u8>),
}

/// Makes the answer that is kept for a repetition.
pub type Keep<'a> = &'a (dyn Fn(&Report) -> NewIdempotency + Send + Sync);

/// Makes the progress of a run from what became of the record that its step changes.
pub type Progress<'a> = &'a (dyn Fn(&Written) -> RunWrite + Send + Sync);

impl Derive {
    /// A record, if the caller may know of it.
    pub async fn record_get(&self, place: &Place, id: &str) -> Result<RecordState, EngineError> {
        let states = self.outbound.store.record_states(&place.scope, &place.kind, &[id], Rules::With).await?;
        let state = states.into_iter().next().unwrap_or_default();
        match &state.record {
            Some(record) if place.shows(record.tenant) => Ok(state),
            _ => Err(Problem::not_found("record").into()),
        }
    }

    /// Changes one record.
    pub async fn record_change(&self, place: &Place, change: Change) -> Result<Written, EngineError> {
        match self.records_change(place, vec![change], Events::Fire, None).await? {
            Batch::Done(report) => match report.into_iter().next() {
                Some(written) => Ok(written?),
                None => Err(StoreError::Closed.into()),
            },
            Batch::Replayed(_) => Err(StoreError::Closed.into()),
        }
    }

    /// Changes records of one kind in one transaction, in order, each judged on its own: what is refused changes nothing and
    /// holds nothing up. A record may be changed several times. At most [`limits::RECORDS_BATCH_MAX`].
    pub async fn records_change(
        &self,
        place: &Place,
        changes: Vec<Change>,
        events: Events,
        keep: Option<Keep<'_>>,
    ) -> Result<Batch, EngineError> {
        let held = self.hold_changed(place, &changes).await;
        self.held_change(&held, place, &changes, events, keep).await
    }

    /// Changes one record with the progress of the run whose step changes it, in one transaction. `progress` makes that from
    /// what became of the record; it is asked again when another process was quicker. `depth`: of the events that follow.
    pub async fn record_change_of_run(
        &self,
        place: &Place,
        change: Change,
        depth: u8,
        progress: Progress<'_>,
    ) -> Result<Became, EngineError> {
        let changes = [change];
        let _held = self.hold_changed(place, &changes).await;
        for _ in 0..limits::RECORD_TRIES {
            match self.try_change(place, &changes, Events::Fire, None, Some((depth, progress))).await {
                Err(EngineError::Store(StoreError::Moved(why))) if why != RUN_MOVED => {}
                Ok(Batch::Done(report)) => {
                    return match report.into_iter().next() {
                        Some(written) => Ok(written?.became),
                        None => Err(StoreError::Closed.into()),
                    };
                }
                Ok(Batch::Replayed(_)) => return Err(StoreError::Closed.into()),
                Err(error) => return Err(error),
            }
        }
        let detail = "Others change the same record at this moment.";
        Err(EngineError::refused(Code::Overloaded, detail))
    }

    /// Waits until nobody else here works on what is to be changed. Whoever changes the same records in order, many at once,
    /// holds the later ones after the earlier ones.
    pub async fn hold_changed(&self, place: &Place, changes: &[Change]) -> Held {
        let keys = changes.iter().map(|change| (place.kind.as_str(), change.id.as_str()));
        let locks = self.locks_of(&place.scope, keys);
        self.hold(locks).await
    }

    /// As [`Self::records_change`], of records that are held.
    pub async fn held_change(
        &self,
        _held: &Held,
        place: &Place,
        changes: &[Change],
        events: Events,
        keep: Option<Keep<'_>>,
    ) -> Result<Batch, EngineError> {
        for _ in 0..limits::RECORD_TRIES {
            match self.try_change(place, changes, events, keep, None).await {
                Err(EngineError::Store(StoreError::Moved(_))) => {}
                ended => return ended,
            }
        }
        let detail = "Others change the same records at this moment. Try again in a few seconds.";
        Err(EngineError::refused(Code::Overloaded, detail))
    }

    async fn try_change(
        &self,
        place: &Place,
        changes: &[Change],
        events: Events,
        keep: Option<Keep<'_>>,
        of_run: Option<(u8, Progress<'_>)>,
    ) -> Result<Batch, EngineError> {
        let mut ids: Vec<&str> = changes.iter().map(|change| change.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        let bytes = self.outbound.store.record_bytes(&place.scope, &place.kind, &ids).await?;
        if ids.len() > 1 && bytes > limits::RECORDS_READ_BYTES_MAX {
            let detail = format!(
                "These records have {bytes} bytes together as they are stored; at most {} are changed at once. Change fewer of them.",
                limits::RECORDS_READ_BYTES_MAX
            );
            return Err(EngineError::refused(Code::TooManyItems, detail));
        }
        let _room = self.room_for(bytes).await;
        let mut works = self.read(place, ids).await?;
        let now = self.outbound.clock.now();
        let depth = of_run.map_or(0, |(depth, _)| depth);
        let progress = of_run.map(|(_, progress)| progress);
        let judging = Judging { now, events, at_once: false, depth };
        let mut caused: Vec<Caused> = Vec::new();
        let mut report: Report = Vec::with_capacity(changes.len());
        let mut of_change: Vec<std::ops::Range<usize>> = Vec::with_capacity(changes.len());
        for change in changes {
            let first = caused.len();
            let work = works.get_mut(&change.id).expect("because every change's record was read");
            let made = self.apply(place, work, change, &judging, &mut caused);
            if made.is_err() {
                caused.truncate(first);
            }
            report.push(made);
            of_change.push(first..caused.len());
        }
        let works: Vec<Working> = works.into_values().collect();
        let versions: Vec<i64> = works
            .iter()
            .map(|work| self.next_version(now, work.stored().record.as_ref().map(|record| record.version)))
            .collect();
        let now_at: HashMap<String, i64> = works
            .iter()
            .zip(&versions)
            .filter_map(|(work, version)| {
                let stored = work.stored().record.as_ref().map(|record| record.version);
                let version = if work.differs() { Some(*version) } else { stored };
                Some((work.key.id.clone(), version.filter(|_| work.content.is_some())?))
            })
            .collect();
        for (change, made) in changes.iter().zip(&mut report) {
            if let Ok(written) = made {
                written.version = now_at.get(&change.id).copied();
            }
        }
        if let (Some(_), Some(Err(problem))) = (progress, report.first()) {
            return Err(problem.clone().into());
        }
        let run = match (progress, report.first()) {
            (Some(progress), Some(Ok(written))) => Some(progress(written)),
            _ => None,
        };
        if run.is_none() && keep.is_none() && caused.is_empty() && works.iter().all(Working::is_idle) {
            return Ok(Batch::Done(report));
        }
        let types: Vec<Arc<str>> = caused.iter().map(|caused| caused.draft.event_type.clone()).collect();
        // The answer is kept before events have ids: it does not name them.
        let idempotency = keep.map(|keep| keep(&report));
        let mut ids: Vec<EventId> = Vec::new();
        let records = |made: &[EventId]| -> Vec<RecordWrite> {
            ids.extend_from_slice(made);
            let written =
                works.into_iter().zip(versions).filter_map(|(work, version)| work.written(version, made));
            written.collect()
        };
        match self.commit(place.scope, caused, records, run, idempotency).await? {
            PublishOutcome::Done(_) => {}
            PublishOutcome::Replayed(answer) => return Ok(Batch::Replayed(answer)),
            PublishOutcome::KeyReused => return Err(crate::key_reused().into()),
        }
        for (made, range) in report.iter_mut().zip(of_change) {
            if let Ok(written) = made {
                written.events = range.map(|place| (ids[place], types[place].clone())).collect();
            }
        }
        Ok(Batch::Done(report))
    }

    /// Writes records with what they cause, and counts them.
    pub(super) async fn commit(
        &self,
        scope: [u8; 16],
        caused: Vec<Caused>,
        records: impl FnOnce(&[EventId]) -> Vec<RecordWrite>,
        run: Option<RunWrite>,
        idempotency: Option<NewIdempotency>,
    ) -> Result<PublishOutcome, StoreError> {
        let (mut changed, mut errors, mut due) = (0, 0, 0);
        let counted = |ids: &[EventId]| {
            let writes = records(ids);
            for write in &writes {
                errors += write.errors.len() as u64;
                match &write.to {
                    RecordTo::Looked(come) => due += come.len() as u64,
                    RecordTo::Content(_) | RecordTo::Deleted => changed += 1,
                }
            }
            (writes, run.into_iter().collect())
        };
        let scope = TenantId::from_bytes(scope);
        let outcome = self.outbound.publish_caused(scope, caused, counted, idempotency).await?;
        if matches!(outcome, PublishOutcome::Done(_)) {
            self.outbound.metrics.records_written(changed, errors, due);
        }
        Ok(outcome)
    }

    async fn read(&self, place: &Place, ids: Vec<&str>) -> Result<HashMap<String, Working>, EngineError> {
        let rules = if place.keeps_marks() { Rules::With } else { Rules::Without };
        let states = self.outbound.store.record_states(&place.scope, &place.kind, &ids, rules).await?;
        ids.into_iter()
            .zip(states)
            .map(|(id, state)| Ok((id.to_owned(), self.working(place, id, state)?)))
            .collect()
    }

    /// A record as it is stored, ready to be changed.
    pub(super) fn working(&self, place: &Place, id: &str, state: RecordState) -> Result<Working, StoreError> {
        let content = state.record.as_ref().map(stored_content).transpose()?;
        let tenant = match &place.owner {
            super::place::Owner::Tenant(tenant) => state.record.as_ref().map(|_| tenant.clone()),
            // One that was deleted since has nobody to tell.
            super::place::Owner::Named { .. } => state
                .record
                .as_ref()
                .and_then(|record| record.tenant)
                .and_then(|tenant| self.outbound.catalogue.tenant(tenant)),
        };
        let key = RecordKey { scope: place.scope, kind: place.kind.clone(), id: id.to_owned() };
        Ok(Working::new(key, state, content, tenant))
    }

    fn apply(
        &self,
        place: &Place,
        work: &mut Working,
        change: &Change,
        judging: &Judging,
        caused: &mut Vec<Caused>,
    ) -> Result<Written, Problem> {
        let there = work.content.is_some();
        let whose = match &work.tenant {
            Some(tenant) => Some(tenant.id),
            // Also one that this node has not heard of, or that is being deleted.
            None => work.stored().record.as_ref().and_then(|record| record.tenant),
        };
        // A record of nobody may be linked by whoever may write, and no more.
        let links = whose.is_none() && matches!(change.edit, Edit::Put(_));
        if there && !place.shows(whose) && !links {
            return Err(Problem::not_found("record"));
        }
        check_condition(&change.condition, work)?;
        let told = change.old.as_ref().filter(|_| !there);
        let content = match (&change.edit, work.content.as_ref().or(told)) {
            (Edit::Put(content), _) => Some(content.clone()),
            (Edit::Patch(_) | Edit::Delete, None) => return Err(Problem::not_found("record")),
            (Edit::Patch(patch), Some(old)) => Some(patched(old, patch)?),
            (Edit::Delete, Some(_)) => None,
        };
        let before = |work: &mut Working| {
            if let Some(old) = told {
                work.content = Some(old.clone());
                work.tenant = place.tenant_of(&self.outbound.catalogue, old).unwrap_or_default();
            }
        };
        let Some(content) = content else {
            before(work);
            work.change(None, judging, caused);
            let became = Became::Deleted;
            return Ok(Written {
                became,
                tenant: None,
                version: None,
                content: None,
                events: Vec::new(),
                warnings: Vec::new(),
            });
        };
        let warnings = check_schema(place, &content)?;
        let tenant = place.tenant_of(&self.outbound.catalogue, &content)?;
        if there && links && !place.shows(tenant.as_ref().map(|tenant| tenant.id)) {
            return Err(Problem::not_found("record"));
        }
        before(work);
        let became = match &work.content {
            None => Became::Created,
            Some(_) if !there => Became::Created,
            Some(old) if old.json == content.json => Became::Unchanged,
            Some(_) => Became::Updated,
        };
        let told = content.clone();
        work.change(Some((content, tenant.clone())), judging, caused);
        Ok(Written { became, tenant, version: None, content: Some(told), events: Vec::new(), warnings })
    }
}

/// A record's content as it was sent: bounded, valid, an object; compact from here on.
pub fn content(raw: &str) -> Result<Content, Problem> {
    let too_large = |bytes: usize| {
        let detail = format!(
            "The record has {bytes} bytes; one has at most {}. Leave out what no rule and no event needs.",
            limits::RECORD_BYTES_MAX
        );
        Problem::at(Code::BodyTooLarge, "data", detail)
    };
    if raw.len() > limits::IMPORT_LINE_BYTES_MAX {
        return Err(too_large(raw.len()));
    }
    let compact = compact(raw)?;
    if compact.len() > limits::RECORD_BYTES_MAX {
        return Err(too_large(compact.len()));
    }
    if !compact.starts_with(b"{") {
        let detail = "A record is a JSON object, such as {\"name\": \"bolt\"}.";
        return Err(Problem::at(Code::InvalidField, "data", detail));
    }
    Content::read(compact).map_err(|error| {
        Problem::at(Code::InvalidField, "data", format!("The record cannot be kept: {error}."))
    })
}

/// A merge patch as it was sent.
pub fn patch(raw: &str) -> Result<Bytes, Problem> {
    let compact = compact(raw)?;
    if !compact.starts_with(b"{") {
        let detail = "A merge patch of a record is a JSON object (RFC 7396).";
        return Err(Problem::new(Code::InvalidField, detail));
    }
    Ok(compact.into())
}

/// A record's id: text without control characters.
pub fn check_id(id: &str) -> Result<(), Problem> {
    if (1..=limits::RECORD_ID_BYTES_MAX).contains(&id.len()) && !id.chars().any(char::is_control) {
        return Ok(());
    }
    let detail = format!(
        "A record's id is text of 1 to {} bytes without control characters.",
        limits::RECORD_ID_BYTES_MAX
    );
    Err(Problem::at(Code::InvalidField, "id", detail))
}

fn compact(raw: &str) -> Result<Vec<u8>, Problem> {
    json::compact(raw, limits::JSON_DEPTH_MAX).map_err(|error| match error {
        JsonError::TooDeep { .. } => Problem::at(
            Code::InvalidField,
            "data",
            format!("The record is nested more than {} levels deep.", limits::JSON_DEPTH_MAX),
        ),
        error => Problem::at(Code::MalformedJson, "data", format!("The record is not JSON: {error}.")),
    })
}

fn patched(old: &Content, patch: &[u8]) -> Result<Content, Problem> {
    let patched = old.patched(patch).map_err(|error| Problem::at(Code::InvalidField, "data", error))?;
    let text =
        std::str::from_utf8(&patched.json).map_err(|_| Problem::new(Code::MalformedJson, "not text"))?;
    // A patch may deepen and grow what it patches.
    content(text)
}

fn stored_content(record: &StoredRecord) -> Result<Content, StoreError> {
    Content::read(record.data.to_vec()).map_err(|error| {
        StoreError::Corrupt(format!("the record {} {}: {error}", record.key.kind, record.key.id))
    })
}

fn check_condition(condition: &Condition, work: &Working) -> Result<(), Problem> {
    let version = work.stored().record.as_ref().map(|record| record.version);
    let holds = match condition {
        Condition::None => true,
        Condition::Exists => version.is_some(),
        Condition::Absent => version.is_none(),
        Condition::Version(versions) => version.is_some_and(|version| versions.contains(&version)),
    };
    if holds {
        return Ok(());
    }
    let is = match version {
        Some(version) => format!("it is \"{version}\" now"),
        None => "there is none".to_owned(),
    };
    let (field, asked) = match condition {
        Condition::Absent => ("If-None-Match", "that there is none"),
        _ => ("If-Match", "another version of the record"),
    };
    let detail = format!("The request asks for {asked}; {is}. Read the record again and decide anew.");
    Err(Problem::at(Code::PreconditionFailed, field, detail))
}

pub(super) fn check_schema(place: &Place, content: &Content) -> Result<Vec<Warning>, Problem> {
    let Some(kind) = place.record_kind() else { return Ok(Vec::new()) };
    let Some(schema) = kind.schema.as_ref().filter(|_| kind.schema_mode != SchemaMode::Off) else {
        return Ok(Vec::new());
    };
    let Err(issues) = schema.validate(&content.value) else { return Ok(Vec::new()) };
    let first =
        issues.first().map(|issue| format!("data{}: {}", issue.path, issue.message)).unwrap_or_default();
    let detail = match issues.len() {
        0 | 1 => first,
        many => format!("{first} (and {} more)", many - 1),
    };
    match kind.schema_mode {
        SchemaMode::Reject => Err(Problem::at(
            Code::SchemaViolation,
            "data",
            format!(
                "The record does not follow the schema of {}: {detail}. GET /v1/profiles shows the schema.",
                kind.name
            ),
        )),
        SchemaMode::Warn | SchemaMode::Off => Ok(vec![Warning { code: "schema_violation", detail }]),
    }
}

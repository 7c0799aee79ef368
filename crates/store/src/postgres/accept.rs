//! `event_accept`: a batch of [`Commit`]s becomes rows.
//!
//! New events that bring no id of their own, without an idempotency key and with nothing else in their commit, are one
//! statement. Everything else of a batch is one transaction of a few statements, each for all of the batch: so that keys
//! are decided before rows are written, and the answer that is kept is the answer that is given.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use postrider_domain::delivery::{DeliveryKind, DeliveryState};
use postrider_domain::event::EventKind;
use postrider_domain::id::{EventId, TenantId};
use postrider_domain::limits;
use postrider_domain::time::Timestamp;
use sqlx::{Connection as _, PgConnection, Row as _};
use uuid::Uuid;

use super::counters::Counters;
use super::days::lowest_at;
use super::record;
use super::settle::{self, Settle};
use super::{int, small, uuid};
use crate::StoreError;
use crate::resends;
use crate::runs::{OnServer, write as runs};
use crate::work::{Commit, CommitOutcome, EventOutcome, NewDelivery, NewEvent, NewIdempotency};

/// All rows of new events: no index is read.
const ROWS: &str = "WITH events AS (
    INSERT INTO event (tenant_id, id, external_id, kind, type, time_ms, accepted_ms, tenant_version, depth, data)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::int2[], $5::text[], $6::int8[], $7::int8[], $8::int8[],
      $9::int2[], $10::bytea[])),
  counted AS (
    INSERT INTO ledger_part (tenant_id, hour_ms, kind, writer, accepted, delivered, failed, cancelled)
    SELECT tenant_id, hour_ms, kind, $15, accepted, 0, 0, 0
    FROM unnest($11::uuid[], $12::int8[], $13::int2[], $14::int8[]) AS c (tenant_id, hour_ms, kind, accepted)
    ON CONFLICT (tenant_id, hour_ms, kind, writer) DO UPDATE SET accepted = ledger_part.accepted + excluded.accepted)
  INSERT INTO delivery_open (tenant_id, id, event_id, webhook_id, kind, state, reason, resend, attempts, step, fence,
    created_ms, due_ms, claimed_ms, lease_ms, node_id)
  SELECT tenant_id, id, event_id, webhook_id, kind, state, reason, 0, state, 0, fence, created_ms, due_ms,
    CASE WHEN state = 1 THEN created_ms END, lease_ms, CASE WHEN state = 1 THEN $26::uuid END
  FROM unnest($16::uuid[], $17::uuid[], $18::uuid[], $19::uuid[], $20::int2[], $21::int2[], $22::int8[], $23::int8[],
    $24::int8[], $25::int8[], $27::int2[])
    AS d (tenant_id, id, event_id, webhook_id, kind, state, fence, created_ms, due_ms, lease_ms, reason)";
/// Index: the primary key.
const IDEMPOTENCY_READ: &str = "SELECT i.scope, i.key, i.fingerprint, i.answer
  FROM unnest($1::uuid[], $2::text[], $3::int8[]) AS k (scope, key, kept_since)
  CROSS JOIN LATERAL (
    SELECT * FROM idempotency i WHERE i.scope = k.scope AND i.key = k.key AND i.created_ms > k.kept_since LIMIT 1) i";
/// Only over what is forgotten: a key that another node took meanwhile stays its.
const IDEMPOTENCY_WRITE: &str = "INSERT INTO idempotency (scope, key, fingerprint, answer, created_ms)
  SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::bytea[], $5::int8[])
  ON CONFLICT (scope, key) DO UPDATE SET fingerprint = excluded.fingerprint, answer = excluded.answer,
    created_ms = excluded.created_ms WHERE idempotency.created_ms <= excluded.created_ms - $6";
/// In the order of keys. Answers those that were free: for the others it waited until their transactions ended. What went with
/// its day leaves its id for a while (see `days`); `$4`: only older ones may be gone, those of transactions beside this one
/// are not seen yet.
const EXTERNAL_WRITE: &str = "INSERT INTO event_external AS x (tenant_id, external_id, event_id)
  SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[])
  ON CONFLICT (tenant_id, external_id) DO UPDATE SET event_id = excluded.event_id
    WHERE x.event_id < $4 AND NOT EXISTS (SELECT 1 FROM event e WHERE e.tenant_id = x.tenant_id AND e.id = x.event_id)
  RETURNING event_id";
/// An event that is older has been seen by everybody.
const SEEN_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Indexes: the primary keys.
const EXTERNAL_READ: &str = "SELECT k.tenant_id, k.external_id, e.id, e.kind, e.type, e.time_ms, e.data
  FROM unnest($1::uuid[], $2::text[]) AS k (tenant_id, external_id)
  CROSS JOIN LATERAL (
    SELECT x.event_id FROM event_external x WHERE x.tenant_id = k.tenant_id AND x.external_id = k.external_id LIMIT 1) x
  CROSS JOIN LATERAL (
    SELECT e.id, e.kind, e.type, e.time_ms, e.data FROM event e
    WHERE e.tenant_id = k.tenant_id AND e.id = x.event_id LIMIT 1) e";
/// Index: the primary key.
const EVENTS_EXIST: &str = "SELECT k.tenant_id, k.id FROM unnest($1::uuid[], $2::uuid[]) AS k (tenant_id, id)
  CROSS JOIN LATERAL (SELECT 1 FROM event e WHERE e.tenant_id = k.tenant_id AND e.id = k.id LIMIT 1) e";
/// Index: the primary key.
const JOB_WRITE: &str = "UPDATE job SET position = $3, done = done + $4, updated_ms = $5
  WHERE tenant_id = $1 AND id = $2 AND state = 0 AND position IS NOT DISTINCT FROM $6";
/// Index: the primary key. Of a claim that nobody knows of but the database.
const GIVE_BACK: &str =
    "UPDATE delivery_open d SET state = 0, attempts = d.attempts - 1, due_ms = d.claimed_ms,
    claimed_ms = NULL, lease_ms = NULL, node_id = NULL
  FROM unnest($1::uuid[], $2::uuid[]) AS k (tenant_id, id)
  CROSS JOIN LATERAL (
    SELECT o.ctid AS place FROM delivery_open o WHERE o.tenant_id = k.tenant_id AND o.id = k.id LIMIT 1) o
  WHERE d.ctid = o.place AND d.state = 1 AND d.fence = 1 AND d.node_id = $3";

/// First claims that were made with their deliveries.
#[derive(Default)]
pub(super) struct Claims {
    tenants: Vec<Uuid>,
    deliveries: Vec<Uuid>,
}

impl Claims {
    pub(super) fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }

    pub(super) fn add(&mut self, commits: &[Commit]) {
        for commit in commits {
            let of_events = commit
                .all_events()
                .flat_map(|(tenant, event)| event.deliveries.iter().map(move |delivery| (tenant, delivery)));
            let replays = commit.replays.iter().map(|delivery| (commit.tenant, delivery));
            for (tenant, delivery) in of_events.chain(replays) {
                if delivery.claim.is_some() {
                    self.tenants.push(uuid(tenant.as_bytes()));
                    self.deliveries.push(uuid(delivery.id.as_bytes()));
                }
            }
        }
    }
}

/// Makes claims of this node due again that nobody will send.
pub(super) async fn give_back(
    connection: &mut PgConnection,
    claims: &Claims,
    node: Uuid,
) -> Result<(), StoreError> {
    sqlx::query(GIVE_BACK)
        .bind(&claims.tenants)
        .bind(&claims.deliveries)
        .bind(node)
        .execute(connection)
        .await?;
    Ok(())
}

/// All of `commits`, durable when this answers, or nothing of them.
pub(super) async fn write(
    connection: &mut PgConnection,
    commits: &[Commit],
    node: Uuid,
    writer: i32,
) -> Result<Vec<CommitOutcome>, StoreError> {
    for (_, event) in commits.iter().flat_map(Commit::all_events) {
        event.check_ids()?;
    }
    if commits.iter().all(is_plain) {
        let mut rows = Rows::default();
        let mut outcomes = Vec::with_capacity(commits.len());
        for commit in commits {
            let mut events = Vec::with_capacity(commit.events.len());
            for event in &commit.events {
                rows.event(commit.tenant, commit.at, event);
                events.push(EventOutcome::New(event.id));
            }
            let (replays, settled, intakes) = Default::default();
            outcomes.push(CommitOutcome::Done { events, replays, settled, intakes });
        }
        rows.write(connection, node, writer).await?;
        return Ok(outcomes);
    }
    let mut tx = connection.begin().await?;
    let outcomes = write_apart(&mut tx, commits, node, writer).await?;
    tx.commit().await?;
    Ok(outcomes)
}

fn is_plain(commit: &Commit) -> bool {
    commit.idempotency.is_none()
        && commit.job.is_none()
        && commit.replays.is_empty()
        && commit.settled.is_empty()
        && commit.records.is_empty()
        && commit.elsewhere.is_empty()
        && commit.runs.is_empty()
        && commit.intakes.is_empty()
        && commit.events.iter().all(|event| event.external_id.is_none())
}

async fn write_apart(
    tx: &mut PgConnection,
    commits: &[Commit],
    node: Uuid,
    writer: i32,
) -> Result<Vec<CommitOutcome>, StoreError> {
    let mut earlier = earlier_answers(tx, commits).await?;
    let applied = settle_all(tx, commits, &earlier, writer).await?;
    // What is still to be written: not what was answered before, nor what follows from a result that came too late.
    let goes: Vec<bool> = (0..commits.len())
        .map(|at| earlier[at].is_none() && (applied[at].is_empty() || applied[at].contains(&true)))
        .collect();
    let going = || commits.iter().zip(&goes).filter(|(_, goes)| **goes).map(|(commit, _)| commit);
    let taken = take_external_ids(tx, going()).await?;
    let known = known_events(tx, going(), &taken).await?;
    let stored = stored_events(tx, going()).await?;

    let mut rows = Rows::default();
    let mut answers = Answers::default();
    let mut outcomes = Vec::with_capacity(commits.len());
    for (at, (commit, settled)) in commits.iter().zip(applied).enumerate() {
        if let Some(earlier) = earlier[at].take() {
            outcomes.push(match earlier {
                Earlier::Stored(outcome) => outcome,
                // Decided by the one before it in this batch, which has its answer by now.
                Earlier::InBatch(key) => answers.outcome(commit.idempotency.as_ref(), &key)?,
            });
            continue;
        }
        if !goes[at] {
            let (events, replays, intakes) = Default::default();
            outcomes.push(CommitOutcome::Done { events, replays, settled, intakes });
            continue;
        }
        let mut events = Vec::with_capacity(commit.events.len());
        for (tenant, event) in commit.all_events() {
            let outcome = match &event.external_id {
                Some(_) if !taken.contains(&uuid(event.id.as_bytes())) => known.compare(commit, event)?,
                _ => {
                    rows.event(tenant, commit.at, event);
                    EventOutcome::New(event.id)
                }
            };
            events.push(outcome);
        }
        let mut replays = Vec::with_capacity(commit.replays.len());
        for replay in &commit.replays {
            let is_stored = stored.contains(&(commit.tenant, replay.event));
            if is_stored {
                rows.delivery(commit.tenant, commit.at, replay);
            }
            replays.push(is_stored);
        }
        if let Some(idempotency) = &commit.idempotency {
            let answer = catch_unwind(AssertUnwindSafe(|| (idempotency.answer)(&events)))
                .map_err(|_| StoreError::Internal("the making of an answer panicked".into()))?;
            answers.add(idempotency, answer, commit.at);
        }
        let intakes = Vec::new();
        outcomes.push(CommitOutcome::Done { events, replays, settled, intakes });
    }
    if !rows.is_empty() {
        rows.write(tx, node, writer).await?;
    }
    record::lock(tx, going().flat_map(|commit| &commit.records)).await?;
    let mut server = OnServer { tx, node };
    for (commit, outcome) in commits.iter().zip(&mut outcomes) {
        // Of a commit that is not written there is nothing to do here.
        let CommitOutcome::Done { intakes, events, replays, .. } = outcome else { continue };
        resends::write(&mut server, commit.tenant, commit.resends_made(replays)).await?;
        if commit.runs.is_empty() && commit.intakes.is_empty() {
            continue;
        }
        for run in &commit.runs {
            runs::advance(&mut server, commit.at, run, events).await?;
        }
        *intakes = runs::intakes(&mut server, commit.at, &commit.intakes, events).await?;
    }
    for commit in going() {
        if !commit.records.is_empty() {
            record::write(tx, commit.at, &commit.records).await?;
        }
        if let Some(mark) = &commit.job {
            let moved = sqlx::query(JOB_WRITE)
                .bind(uuid(commit.tenant.as_bytes()))
                .bind(uuid(mark.job.as_bytes()))
                .bind(&mark.position)
                .bind(int(mark.done))
                .bind(commit.at.unix_ms())
                .bind(&mark.after)
                .execute(&mut *tx)
                .await?;
            if moved.rows_affected() == 0 {
                return Err(StoreError::Moved("the job has come further"));
            }
        }
    }
    answers.write(tx).await?;
    Ok(outcomes)
}

type Key = ([u8; 16], String);

/// Why a commit with an idempotency key is not written.
enum Earlier {
    Stored(CommitOutcome),
    /// A commit before it in the same batch has the key.
    InBatch(Key),
}

async fn earlier_answers(
    tx: &mut PgConnection,
    commits: &[Commit],
) -> Result<Vec<Option<Earlier>>, StoreError> {
    let (mut scopes, mut keys, mut since) = (Vec::new(), Vec::new(), Vec::new());
    for commit in commits {
        if let Some(idempotency) = &commit.idempotency {
            scopes.push(uuid(&idempotency.scope));
            keys.push(idempotency.key.as_str());
            since.push(commit.at.minus(limits::IDEMPOTENCY_KEPT).unix_ms());
        }
    }
    let mut found: HashMap<Key, (Vec<u8>, Vec<u8>)> = HashMap::new();
    if !keys.is_empty() {
        let rows =
            sqlx::query(IDEMPOTENCY_READ).bind(scopes).bind(keys).bind(since).fetch_all(&mut *tx).await?;
        for row in rows {
            let scope: Uuid = row.try_get("scope")?;
            let key = (scope.into_bytes(), row.try_get("key")?);
            found.insert(key, (row.try_get("fingerprint")?, row.try_get("answer")?));
        }
    }
    let mut in_batch = HashSet::new();
    let earlier = commits.iter().map(|commit| {
        let idempotency = commit.idempotency.as_ref()?;
        let key = (idempotency.scope, idempotency.key.clone());
        if let Some((fingerprint, answer)) = found.get(&key) {
            return Some(Earlier::Stored(repeated(idempotency, fingerprint, answer)));
        }
        match in_batch.insert(key.clone()) {
            true => None,
            false => Some(Earlier::InBatch(key)),
        }
    });
    Ok(earlier.collect())
}

fn repeated(idempotency: &NewIdempotency, fingerprint: &[u8], answer: &[u8]) -> CommitOutcome {
    if fingerprint == idempotency.fingerprint {
        CommitOutcome::Replayed(answer.to_vec())
    } else {
        CommitOutcome::KeyReused
    }
}

/// For each commit, which of its results were taken.
async fn settle_all(
    tx: &mut PgConnection,
    commits: &[Commit],
    earlier: &[Option<Earlier>],
    writer: i32,
) -> Result<Vec<Vec<bool>>, StoreError> {
    let mut settles = Vec::new();
    let mut counts = Vec::with_capacity(commits.len());
    for (commit, earlier) in commits.iter().zip(earlier) {
        let settled = if earlier.is_none() { commit.settled.as_slice() } else { &[] };
        counts.push(settled.len());
        for settlement in settled {
            settles.push(Settle { tenant: commit.tenant, at: commit.at, settlement: settlement.clone() });
        }
    }
    let mut applied = match settles.is_empty() {
        true => Vec::new(),
        false => settle::write(tx, &settles, writer).await?,
    }
    .into_iter();
    Ok(counts.into_iter().map(|count| applied.by_ref().take(count).collect()).collect())
}

/// The ids of events whose external ids were free and are theirs now.
async fn take_external_ids<'c>(
    tx: &mut PgConnection,
    commits: impl Iterator<Item = &'c Commit>,
) -> Result<HashSet<Uuid>, StoreError> {
    let mut wanted = Vec::new();
    let mut seen = HashSet::new();
    let mut oldest = None;
    for commit in commits {
        oldest = oldest.map_or(Some(commit.at), |oldest: Timestamp| Some(oldest.min(commit.at)));
        for event in &commit.events {
            if let Some(external_id) = &event.external_id
                && seen.insert((commit.tenant, external_id.as_str()))
            {
                wanted.push((
                    uuid(commit.tenant.as_bytes()),
                    external_id.as_str(),
                    uuid(event.id.as_bytes()),
                ));
            }
        }
    }
    if wanted.is_empty() {
        return Ok(HashSet::new());
    }
    wanted.sort_unstable();
    let tenants: Vec<Uuid> = wanted.iter().map(|(tenant, ..)| *tenant).collect();
    let external: Vec<&str> = wanted.iter().map(|(_, external, _)| *external).collect();
    let events: Vec<Uuid> = wanted.iter().map(|(.., event)| *event).collect();
    let seen = lowest_at(oldest.unwrap_or(Timestamp::from_unix_ms(0)).minus(SEEN_AFTER));
    let taken = sqlx::query(EXTERNAL_WRITE).bind(tenants).bind(external).bind(events).bind(seen);
    let rows = taken.fetch_all(tx).await?;
    rows.iter().map(|row| Ok(row.try_get("event_id")?)).collect()
}

/// Events that have the external ids which others brought again.
#[derive(Default)]
struct Known {
    stored: HashMap<(TenantId, String), StoredContent>,
    /// Of this batch: not stored yet.
    in_batch: HashMap<(TenantId, String), StoredContent>,
}

struct StoredContent {
    id: EventId,
    kind: Option<EventKind>,
    event_type: String,
    time_ms: i64,
    data: Vec<u8>,
}

impl Known {
    fn compare(&self, commit: &Commit, event: &NewEvent) -> Result<EventOutcome, StoreError> {
        let key = (commit.tenant, event.external_id.clone().unwrap_or_default());
        let Some(known) = self.stored.get(&key).or_else(|| self.in_batch.get(&key)) else {
            // Retention took it between two statements: the next try finds the id free.
            return Err(StoreError::Contended("an event was removed".into()));
        };
        let same = known.kind == Some(event.kind)
            && known.event_type == *event.event_type
            && (!event.time_given || known.time_ms == event.time.unix_ms())
            && known.data == event.data[..];
        Ok(if same { EventOutcome::Same(known.id) } else { EventOutcome::Different })
    }
}

async fn known_events<'c>(
    tx: &mut PgConnection,
    commits: impl Iterator<Item = &'c Commit>,
    taken: &HashSet<Uuid>,
) -> Result<Known, StoreError> {
    let mut known = Known::default();
    let (mut tenants, mut external) = (Vec::new(), Vec::new());
    for commit in commits {
        for event in &commit.events {
            let Some(external_id) = &event.external_id else { continue };
            if taken.contains(&uuid(event.id.as_bytes())) {
                let content = StoredContent {
                    id: event.id,
                    kind: Some(event.kind),
                    event_type: event.event_type.to_string(),
                    time_ms: event.time.unix_ms(),
                    data: event.data.to_vec(),
                };
                known.in_batch.insert((commit.tenant, external_id.clone()), content);
            } else {
                tenants.push(uuid(commit.tenant.as_bytes()));
                external.push(external_id.as_str());
            }
        }
    }
    if tenants.is_empty() {
        return Ok(known);
    }
    let rows = sqlx::query(EXTERNAL_READ).bind(tenants).bind(external).fetch_all(tx).await?;
    for row in rows {
        let (tenant, id): (Uuid, Uuid) = (row.try_get("tenant_id")?, row.try_get("id")?);
        let content = StoredContent {
            id: EventId::from_bytes(id.into_bytes()),
            kind: EventKind::from_code(row.try_get::<i16, _>("kind")?.into()),
            event_type: row.try_get("type")?,
            time_ms: row.try_get("time_ms")?,
            data: row.try_get("data")?,
        };
        let key = (TenantId::from_bytes(tenant.into_bytes()), row.try_get("external_id")?);
        known.stored.insert(key, content);
    }
    Ok(known)
}

/// Of the events that are to be sent again, those that are still there.
async fn stored_events<'c>(
    tx: &mut PgConnection,
    commits: impl Iterator<Item = &'c Commit>,
) -> Result<HashSet<(TenantId, EventId)>, StoreError> {
    let (mut tenants, mut events) = (Vec::new(), Vec::new());
    for commit in commits {
        for replay in &commit.replays {
            tenants.push(uuid(commit.tenant.as_bytes()));
            events.push(uuid(replay.event.as_bytes()));
        }
    }
    if events.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = sqlx::query(EVENTS_EXIST).bind(tenants).bind(events).fetch_all(tx).await?;
    rows.iter()
        .map(|row| {
            let (tenant, id): (Uuid, Uuid) = (row.try_get("tenant_id")?, row.try_get("id")?);
            Ok((TenantId::from_bytes(tenant.into_bytes()), EventId::from_bytes(id.into_bytes())))
        })
        .collect()
}

/// Scope, key, fingerprint, answer, and when it was given: in the order of keys.
type KeptAnswer = (Uuid, String, Vec<u8>, Vec<u8>, i64);

/// Answers to keep.
#[derive(Default)]
struct Answers {
    rows: Vec<KeptAnswer>,
}

impl Answers {
    fn add(&mut self, idempotency: &NewIdempotency, answer: Vec<u8>, at: Timestamp) {
        let scope = uuid(&idempotency.scope);
        self.rows.push((
            scope,
            idempotency.key.clone(),
            idempotency.fingerprint.to_vec(),
            answer,
            at.unix_ms(),
        ));
    }

    fn outcome(&self, idempotency: Option<&NewIdempotency>, key: &Key) -> Result<CommitOutcome, StoreError> {
        let row = self.rows.iter().find(|row| *row.0.as_bytes() == key.0 && row.1 == key.1);
        match (idempotency, row) {
            (Some(idempotency), Some(row)) => Ok(repeated(idempotency, &row.2, &row.3)),
            _ => Err(StoreError::Internal("a repeated key has no first".into())),
        }
    }

    async fn write(mut self, tx: &mut PgConnection) -> Result<(), StoreError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        self.rows.sort_unstable();
        let wanted = self.rows.len() as u64;
        let (mut scopes, mut keys, mut fingerprints, mut answers, mut times) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (scope, key, fingerprint, answer, at) in self.rows {
            scopes.push(scope);
            keys.push(key);
            fingerprints.push(fingerprint);
            answers.push(answer);
            times.push(at);
        }
        let written = sqlx::query(IDEMPOTENCY_WRITE)
            .bind(scopes)
            .bind(keys)
            .bind(fingerprints)
            .bind(answers)
            .bind(times)
            .bind(i64::try_from(limits::IDEMPOTENCY_KEPT.as_millis()).unwrap_or(i64::MAX))
            .execute(tx)
            .await?
            .rows_affected();
        // Another node took one of the keys between our look and now. Done again, each piece finds the answer.
        match written == wanted {
            true => Ok(()),
            false => Err(StoreError::Contended("an idempotency key was used".into())),
        }
    }
}

/// Columns of new rows.
#[derive(Default)]
struct Rows<'c> {
    counters: Counters,
    e_tenant: Vec<Uuid>,
    e_id: Vec<Uuid>,
    e_external: Vec<Option<&'c str>>,
    e_kind: Vec<i16>,
    e_type: Vec<&'c str>,
    e_time: Vec<i64>,
    e_accepted: Vec<i64>,
    e_version: Vec<i64>,
    e_depth: Vec<i16>,
    e_data: Vec<&'c [u8]>,
    d_tenant: Vec<Uuid>,
    d_id: Vec<Uuid>,
    d_event: Vec<Uuid>,
    d_webhook: Vec<Uuid>,
    d_kind: Vec<i16>,
    d_state: Vec<i16>,
    d_reason: Vec<i16>,
    d_fence: Vec<i64>,
    d_created: Vec<i64>,
    d_due: Vec<Option<i64>>,
    d_lease: Vec<Option<i64>>,
}

impl<'c> Rows<'c> {
    fn is_empty(&self) -> bool {
        self.e_id.is_empty() && self.d_id.is_empty()
    }

    fn event(&mut self, tenant: TenantId, at: Timestamp, event: &'c NewEvent) {
        self.e_tenant.push(uuid(tenant.as_bytes()));
        self.e_id.push(uuid(event.id.as_bytes()));
        self.e_external.push(event.external_id.as_deref());
        self.e_kind.push(small(event.kind.code()));
        self.e_type.push(&event.event_type);
        self.e_time.push(event.time.unix_ms());
        self.e_accepted.push(at.unix_ms());
        self.e_version.push(event.tenant_version);
        self.e_depth.push(event.depth.into());
        self.e_data.push(&event.data);
        for delivery in &event.deliveries {
            self.delivery(tenant, at, delivery);
        }
    }

    fn delivery(&mut self, tenant: TenantId, at: Timestamp, delivery: &NewDelivery) {
        let state = if delivery.claim.is_some() { DeliveryState::Sending } else { DeliveryState::Scheduled };
        self.d_tenant.push(uuid(tenant.as_bytes()));
        self.d_id.push(uuid(delivery.id.as_bytes()));
        self.d_event.push(uuid(delivery.event.as_bytes()));
        self.d_webhook.push(uuid(delivery.webhook.as_bytes()));
        self.d_kind.push(small(DeliveryKind::code(delivery.kind)));
        self.d_state.push(small(state.code()));
        self.d_reason.push(small(delivery.reason.code()));
        self.d_fence.push(delivery.claim.map_or(0, |claim| claim.fence));
        self.d_created.push(at.unix_ms());
        self.d_due.push(delivery.claim.is_none().then(|| delivery.due.unix_ms()));
        self.d_lease.push(delivery.claim.map(|claim| claim.until.unix_ms()));
        self.counters.accepted(tenant, at, delivery.kind);
    }

    async fn write(self, connection: &mut PgConnection, node: Uuid, writer: i32) -> Result<(), StoreError> {
        let counted = self.counters.columns();
        sqlx::query(ROWS)
            .bind(self.e_tenant)
            .bind(self.e_id)
            .bind(self.e_external)
            .bind(self.e_kind)
            .bind(self.e_type)
            .bind(self.e_time)
            .bind(self.e_accepted)
            .bind(self.e_version)
            .bind(self.e_depth)
            .bind(self.e_data)
            .bind(counted.tenants)
            .bind(counted.hours)
            .bind(counted.kinds)
            .bind(counted.counts)
            .bind(writer)
            .bind(self.d_tenant)
            .bind(self.d_id)
            .bind(self.d_event)
            .bind(self.d_webhook)
            .bind(self.d_kind)
            .bind(self.d_state)
            .bind(self.d_fence)
            .bind(self.d_created)
            .bind(self.d_due)
            .bind(self.d_lease)
            .bind(node)
            .bind(self.d_reason)
            .execute(connection)
            .await?;
        Ok(())
    }
}

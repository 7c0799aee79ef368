//! What the hot way takes and gives: one [`Commit`] in, its outcome out; claims, settlements, and what was stored.

use std::sync::Arc;

use bytes::Bytes;
use postrider_domain::delivery::{AttemptClass, DeliveryKind, DeliveryState, Reason};
use postrider_domain::event::EventKind;
use postrider_domain::id::{DeliveryId, EventId, JobId, TenantId, WebhookId};
use postrider_domain::random::Random;
use postrider_domain::time::Timestamp;

use crate::StoreError;
use crate::config::AuditRow;
use crate::records::RecordWrite;
use crate::runs::{Intake, IntakeOutcome, RunWrite};

/// One unit of work of one tenant: durable whole, or not at all. Commits become durable in the order in which they were
/// queued.
pub struct Commit {
    pub tenant: TenantId,
    /// When it happened, by the caller's clock: the acceptance time of its events and the hour it counts in.
    pub at: Timestamp,
    pub events: Vec<NewEvent>,
    /// New deliveries of events that are stored already.
    pub replays: Vec<NewDelivery>,
    /// Of `replays`, those that go to another URL than their webhook's.
    pub resends: Vec<Resend>,
    pub settled: Vec<Settlement>,
    /// No two of the same record.
    pub records: Vec<RecordWrite>,
    /// Events of other tenants that the same change causes. Their outcomes follow those of `events`.
    pub elsewhere: Vec<Elsewhere>,
    /// How far runs have come; then what has come in.
    pub runs: Vec<RunWrite>,
    pub intakes: Vec<Intake>,
    pub idempotency: Option<NewIdempotency>,
    /// How far a job has come with this commit: work and position move together, so that a restarted job repeats nothing.
    pub job: Option<JobMark>,
}

impl Commit {
    pub fn new(tenant: TenantId, at: Timestamp) -> Self {
        Self {
            tenant,
            at,
            events: Vec::new(),
            replays: Vec::new(),
            resends: Vec::new(),
            settled: Vec::new(),
            records: Vec::new(),
            elsewhere: Vec::new(),
            runs: Vec::new(),
            intakes: Vec::new(),
            idempotency: None,
            job: None,
        }
    }
}

/// Events of a tenant other than the commit's.
pub struct Elsewhere {
    pub tenant: TenantId,
    /// With no ids that a publisher brought.
    pub events: Vec<NewEvent>,
}

/// An event and its first deliveries. Where the event turns out to be known already, they are not made.
pub struct NewEvent {
    /// Rises with every event of the store, in the order of commits (see `domain::id::RisingIds`): readers poll by it.
    pub id: EventId,
    /// The id that the publisher brought. The same id with the same content is the same event.
    pub external_id: Option<String>,
    pub kind: EventKind,
    pub event_type: Arc<str>,
    pub time: Timestamp,
    /// The publisher gave the time: then it is part of the content that must be the same.
    pub time_given: bool,
    /// Compact JSON.
    pub data: Bytes,
    /// The tenant's version whose values its bodies are made with.
    pub tenant_version: i64,
    pub depth: u8,
    pub deliveries: Vec<NewDelivery>,
}

impl Commit {
    /// Its events, each with its tenant, in the order of their outcomes.
    pub(crate) fn all_events(&self) -> impl Iterator<Item = (TenantId, &NewEvent)> {
        let own = self.events.iter().map(|event| (self.tenant, event));
        own.chain(
            self.elsewhere.iter().flat_map(|other| other.events.iter().map(|event| (other.tenant, event))),
        )
    }

    /// About how many rows it writes.
    pub(crate) fn rows(&self) -> usize {
        let deliveries: usize = self.all_events().map(|(_, event)| 1 + event.deliveries.len()).sum();
        let records: usize = self.records.iter().map(|write| 1 + write.due.len() + write.marks.len()).sum();
        let runs: usize = self.runs.iter().map(|write| 1 + write.steps.len()).sum();
        let again = self.replays.len() + 2 * self.resends.len();
        deliveries + again + 2 * self.settled.len() + records + runs + 4 * self.intakes.len()
    }

    /// Those of `resends` whose deliveries were made; `made`: for each of `replays`.
    pub(crate) fn resends_made<'c>(&'c self, made: &'c [bool]) -> impl Iterator<Item = &'c Resend> {
        self.resends.iter().filter(move |resend| {
            self.replays.iter().zip(made).any(|(replay, made)| *made && replay.id == resend.delivery)
        })
    }
}

/// A delivery to another URL than its webhook's: a [`DeliveryKind::Test`], which counts nowhere. Nobody would find it with its event
/// unless its id is from [`first_delivery_id`].
pub struct Resend {
    pub delivery: DeliveryId,
    pub url: String,
    /// Who asked for it.
    pub audit: AuditRow,
}

impl NewEvent {
    /// Refuses deliveries whose ids are not from [`first_delivery_id`]: nobody would find them.
    pub(crate) fn check_ids(&self) -> Result<(), StoreError> {
        let shared = &self.id.as_bytes()[..FIRST_DELIVERY_SHARED_BYTES];
        match self.deliveries.iter().all(|delivery| delivery.id.as_bytes().starts_with(shared)) {
            true => Ok(()),
            false => Err(StoreError::Internal(format!("a delivery of {} has an id of its own", self.id))),
        }
    }
}

/// One event to one webhook, from now on.
pub struct NewDelivery {
    /// Of an event's first deliveries: from [`first_delivery_id`], else the commit is refused. Of replays: a new id, but for
    /// what goes to another URL.
    pub id: DeliveryId,
    pub event: EventId,
    pub webhook: WebhookId,
    pub kind: DeliveryKind,
    pub due: Timestamp,
    pub reason: Reason,
    /// Claimed in the same transaction: its state is `sending`, and its first attempt is under way or about to be.
    pub claim: Option<Lease>,
}

/// A claim: until when, and the number that the result must come back with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    pub until: Timestamp,
    pub fence: i64,
}

impl Lease {
    /// The claim that rides in the commit which makes the delivery.
    pub const fn first(until: Timestamp) -> Self {
        Self { until, fence: 1 }
    }
}

/// An id for one of an event's first deliveries: the event's first eight bytes (time and count), then random ones. So the
/// deliveries of an event lie together in the order of the key, and are found without an index of their own.
pub fn first_delivery_id(event: EventId, random: &dyn Random) -> DeliveryId {
    let mut bytes = *event.as_bytes();
    random.fill(&mut bytes[8..]);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    DeliveryId::from_bytes(bytes)
}

pub(crate) const FIRST_DELIVERY_SHARED_BYTES: usize = 8;

/// The result of an attempt, and what becomes of its delivery.
#[derive(Clone)]
pub struct Settlement {
    pub delivery: DeliveryId,
    pub event: EventId,
    pub webhook: WebhookId,
    pub kind: DeliveryKind,
    /// Of the claim under which the attempt was made.
    pub fence: i64,
    pub attempt: Arc<AttemptRow>,
    /// `Scheduled` (then `due` is given) or a final state.
    pub state: DeliveryState,
    pub reason: Reason,
    pub due: Option<Timestamp>,
    /// Steps of the retry schedule used by now.
    pub step: u32,
}

/// One HTTP request of a delivery, with everything seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRow {
    /// From 1.
    pub number: u32,
    pub started: Timestamp,
    pub class: AttemptClass,
    pub status: Option<u16>,
    /// For the tenant, in a sentence.
    pub detail: Option<String>,
    pub timing: AttemptTiming,
    pub peer: Option<String>,
    pub reused: bool,
    /// The receiver may have had this delivery before: an earlier outcome was lost.
    pub resend: bool,
    pub body_sha256: Option<[u8; 32]>,
    pub request_bytes: u64,
    pub response_head: Bytes,
    pub response_body: Bytes,
    /// Read in all, of which `response_body` may be the beginning.
    pub response_bytes: u64,
}

impl AttemptRow {
    /// A row of which nothing more is known.
    pub fn of(number: u32, started: Timestamp, class: AttemptClass) -> Self {
        Self { class, ..Self::unknown(number, started, false) }
    }

    /// The row of an attempt whose outcome was lost.
    pub(crate) fn unknown(number: u32, started: Timestamp, resend: bool) -> Self {
        Self {
            number,
            started,
            class: AttemptClass::Unknown,
            status: None,
            detail: None,
            timing: AttemptTiming::default(),
            peer: None,
            reused: false,
            resend,
            body_sha256: None,
            request_bytes: 0,
            response_head: Bytes::new(),
            response_body: Bytes::new(),
            response_bytes: 0,
        }
    }
}

/// Where an attempt's time went, microseconds each; zero for a phase that was not entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AttemptTiming {
    pub dns_us: u64,
    pub connect_us: u64,
    pub tls_us: u64,
    pub wait_us: u64,
    pub body_us: u64,
    pub total_us: u64,
}

/// An `Idempotency-Key` that came with the request.
pub struct NewIdempotency {
    /// Whose key it is: a tenant, or an API key of the installation.
    pub scope: [u8; 16],
    pub key: String,
    /// Of what was asked, see [`Store::fingerprint`](crate::Store::fingerprint): the same key with another one is refused.
    pub fingerprint: [u8; 32],
    /// Makes the answer that is kept, from what became of each event. May be called more than once; must not block.
    pub answer: AnswerOf,
}

/// From what became of each event of a commit, the answer that its publisher gets.
pub type AnswerOf = Box<dyn Fn(&[EventOutcome]) -> Vec<u8> + Send + Sync>;

/// A job's progress.
pub struct JobMark {
    pub job: JobId,
    /// How far it had come before. The commit fails as [`StoreError::Moved`] when somebody else moved it meanwhile.
    pub after: Option<Vec<u8>>,
    /// How far it came, in the job's own terms.
    pub position: Vec<u8>,
    /// Added to its count of what is done.
    pub done: u64,
}

/// What became of one event of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventOutcome {
    New(EventId),
    /// Its id and content are those of this stored event: nothing was made.
    Same(EventId),
    /// Its id is that of another event: nothing was made.
    Different,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitOutcome {
    Done {
        events: Vec<EventOutcome>,
        /// For each replay; false: its event is no longer stored, nothing was made.
        replays: Vec<bool>,
        /// For each settlement; false: the delivery was taken from this claim meanwhile, nothing was written.
        settled: Vec<bool>,
        /// For each intake.
        intakes: Vec<IntakeOutcome>,
    },
    /// The idempotency key was used for the same request: this was the answer. Nothing was written.
    Replayed(Vec<u8>),
    /// The idempotency key was used for another request. Nothing was written.
    KeyReused,
}

/// How many due deliveries of a webhook to claim.
#[derive(Debug, Clone, Copy)]
pub struct Want {
    pub tenant: TenantId,
    pub webhook: WebhookId,
    pub count: u32,
}

/// What a want got, in the order of wants.
#[derive(Debug, Clone)]
pub struct ClaimAnswer {
    pub tenant: TenantId,
    pub webhook: WebhookId,
    /// Earliest due first.
    pub claimed: Vec<Claimed>,
    /// When the earliest of what stays scheduled is due: in the past when more is due than was wanted.
    pub next_due: Option<Timestamp>,
}

/// A delivery that is now ours to send.
#[derive(Debug, Clone)]
pub struct Claimed {
    pub tenant: TenantId,
    pub delivery: DeliveryId,
    pub webhook: WebhookId,
    pub kind: DeliveryKind,
    pub fence: i64,
    /// The number of the attempt to make.
    pub attempt: u32,
    /// Steps of the retry schedule used.
    pub step: u32,
    /// An earlier outcome was lost: mark the attempt.
    pub resend: bool,
    pub created: Timestamp,
    pub event: Arc<StoredEvent>,
}

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    pub id: EventId,
    pub external_id: Option<String>,
    pub kind: EventKind,
    pub event_type: Arc<str>,
    pub time: Timestamp,
    pub accepted: Timestamp,
    pub tenant_version: i64,
    pub depth: u8,
    pub data: Bytes,
}

/// What a crash, or a lease that ran out, means for a delivery that was being sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterCrash {
    /// Due at once, no step of the schedule used.
    SendAgain,
    /// Failed, outcome unknown: the profile sends at most once.
    Fail,
}

/// What [`Store::lease_reap`](crate::Store::lease_reap) found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReapReport {
    pub sent_again: u64,
    pub failed: u64,
    /// Webhooks that have something due now, once each.
    pub due: Vec<(TenantId, WebhookId)>,
}

/// How much a sweep removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    pub events: u64,
    pub deliveries: u64,
    pub attempts: u64,
}

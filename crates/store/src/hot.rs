//! Hot work: what the way of an event asks of the store. Each operation is written once per database: as statements row
//! by row on SQLite's writer thread (`sqlite`), as one statement for a whole batch on PostgreSQL (`postgres`).

use std::time::Duration;

use postrider_domain::delivery::Reason;
use postrider_domain::id::{DeliveryId, TenantId, WebhookId};
use postrider_domain::time::Timestamp;
use tokio::sync::{mpsc, oneshot};

use crate::open::Backend;
use crate::work::{AfterCrash, ClaimAnswer, Commit, CommitOutcome, ReapReport, Settlement, Swept, Want};
use crate::{Store, StoreError};

/// The outcome of [`Store::settle_enqueue`], with who asked. False: the delivery was taken from this claim meanwhile.
pub type Settled<P> = (P, Result<bool, StoreError>);

/// What a lost outcome means for a tenant's delivery. `None`: it is not lost, its holder is alive.
pub type AfterCrashRule = Box<dyn Fn(TenantId, DeliveryId) -> Option<AfterCrash> + Send + Sync>;

/// Calls the same operation of whichever database is behind the store.
macro_rules! each {
    ($store:expr, $backend:ident => $call:expr) => {
        match $store.backend() {
            Backend::Sqlite($backend) => $call,
            Backend::Postgres($backend) => $call,
        }
    };
}

impl Store {
    /// Hands in work that is to be durable whole or not at all. Answers at once: the receiver gets the outcome when the work
    /// is on disk. Of one tenant, work that is handed in first is durable first.
    ///
    /// [`StoreError::Overloaded`]: too much waits already. Commits that carry results of attempts have places of their own.
    pub fn commit_enqueue(
        &self,
        commit: Commit,
    ) -> Result<oneshot::Receiver<Result<CommitOutcome, StoreError>>, StoreError> {
        each!(self, backend => backend.commit_enqueue(commit))
    }

    /// Hands in the result of an attempt, or gives its holder back. `reader` is told when it is durable: one reader of all
    /// results is woken once for a batch.
    pub fn settle_enqueue<P: Send + 'static>(
        &self,
        tenant: TenantId,
        at: Timestamp,
        settlement: Settlement,
        holder: P,
        reader: &mpsc::UnboundedSender<Settled<P>>,
    ) -> Result<(), (P, StoreError)> {
        each!(self, backend => backend.settle_enqueue(tenant, at, settlement, holder, reader))
    }

    /// Claims due deliveries, earliest due first, for senders that have a free slot each. The claim is durable before this
    /// answers, and holds until `until`. Answers come in the order of `wants`.
    pub async fn delivery_claim(
        &self,
        now: Timestamp,
        until: Timestamp,
        wants: Vec<Want>,
    ) -> Result<Vec<ClaimAnswer>, StoreError> {
        each!(self, backend => backend.delivery_claim(now, until, wants).await)
    }

    /// Gives a claim back unused: no request was begun. `due`: when it is due again; `None`: when it was claimed, so that it
    /// keeps its place before what came later. False: it was no longer ours.
    pub async fn delivery_hand_back(
        &self,
        due: Option<Timestamp>,
        tenant: TenantId,
        delivery: DeliveryId,
        fence: i64,
    ) -> Result<bool, StoreError> {
        each!(self, backend => backend.delivery_hand_back(due, tenant, delivery, fence).await)
    }

    /// Cancels what was scheduled for a webhook by `now`, or of that what is due before a moment. Answers how many were.
    pub async fn delivery_cancel(
        &self,
        now: Timestamp,
        tenant: TenantId,
        webhook: WebhookId,
        reason: Reason,
        due_before: Option<Timestamp>,
    ) -> Result<u64, StoreError> {
        each!(self, backend => backend.delivery_cancel(now, tenant, webhook, reason, due_before).await)
    }

    /// Makes a tenant's deliveries that wait for its scan due at `now`. Answers how many there were.
    pub async fn delivery_make_due(&self, now: Timestamp, tenant: TenantId) -> Result<u64, StoreError> {
        each!(self, backend => backend.delivery_make_due(now, tenant).await)
    }

    /// Takes deliveries from this process's claims that ended before a moment, or from all of them (`None`), and from all
    /// claims of processes that are gone. The attempt gets its row, `unknown`; then `rule` says whether it is sent again or
    /// has failed.
    pub async fn lease_reap(
        &self,
        now: Timestamp,
        expired_before: Option<Timestamp>,
        rule: AfterCrashRule,
    ) -> Result<ReapReport, StoreError> {
        each!(self, backend => backend.lease_reap(now, expired_before, rule).await)
    }

    /// Removes a tenant's events that were accepted longer than `kept` ago, with their deliveries and attempts. An event
    /// stays whole while a delivery of it is open, or was made anew within that time. The ledger keeps its counts.
    pub async fn retention_sweep(
        &self,
        now: Timestamp,
        tenant: TenantId,
        kept: Duration,
    ) -> Result<Swept, StoreError> {
        each!(self, backend => backend.retention_sweep(now, tenant, kept).await)
    }

    /// Forgets answers to idempotency keys that were given at or before a moment. Answers how many.
    pub async fn idempotency_sweep(&self, before: Timestamp) -> Result<u64, StoreError> {
        each!(self, backend => backend.idempotency_sweep(before).await)
    }

    /// Whether what writes has ended, by [`Self::close`] or by a defect: nothing is written any more.
    pub fn has_ended(&self) -> bool {
        each!(self, backend => backend.has_ended())
    }

    /// Whether the store takes work just now. While its last word was a failure, tries: nobody else may be trying.
    pub async fn ready(&self) -> Result<(), StoreError> {
        each!(self, backend => backend.ready().await)
    }
}

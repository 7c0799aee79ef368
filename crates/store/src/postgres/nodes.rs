//! The processes that share a database: who is alive, who does what one must do for all, and what they tell each other.
//!
//! A node beats: it says, by the database's clock, until when it is to be taken for alive. The one that holds the lease
//! `clock` sweeps, and takes over from nodes that have stopped to beat: their claims are fenced off and their deliveries are
//! due again. A node that was frozen and comes back finds its claims gone and its results refused; nothing depends on its
//! noticing. What nodes tell each other only wakes: whatever it says can be read from rows, and is, after every gap.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

use postrider_domain::id::{TenantId, WebhookId};
use sqlx::postgres::{PgListener, PgNotification, PgPoolOptions};
use sqlx::{PgConnection, PgPool, Row as _};
use tokio::time::Instant;
use uuid::Uuid;

use super::connect::{Hosts, answered};
use super::{Postgres, WRITERS_PER_NODE, in_time};
use crate::StoreError;
use crate::db::WriteTx;

/// How long a node is taken for alive after its last beat: several beats, and a pause of the server.
pub const NODE_LEASE: Duration = Duration::from_secs(10);
/// How long after that a node is remembered: one that only came late keeps its number.
const REMEMBERED: &str = "1 minute";
const CHANNEL: &str = "postrider";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The lowest free slot. Under a lock: two nodes that join together get two.
const JOIN: &str = "INSERT INTO node (id, slot, name, version, started, alive_until)
  SELECT $1, (SELECT MIN(s.slot) FROM generate_series(0, (SELECT COUNT(*) FROM node)) AS s (slot)
                WHERE s.slot NOT IN (SELECT slot FROM node)),
    $2, $3, clock_timestamp(), clock_timestamp() + $4 * interval '1 millisecond'
  RETURNING slot";
const LOCK_NODES: &str = "LOCK TABLE node IN SHARE ROW EXCLUSIVE MODE";
/// Everybody's beat waits behind the lock, also when the one who has it stands still.
const NOT_FOR_LONG: &str = "SET LOCAL idle_in_transaction_session_timeout = '1s'";
const BEAT: &str =
    "UPDATE node SET alive_until = clock_timestamp() + $2 * interval '1 millisecond' WHERE id = $1";
/// Taken when it is free, kept when it is ours.
const LEAD: &str = "INSERT INTO lease (name, node_id, term, held_until)
  VALUES ('clock', $1, 1, clock_timestamp() + $2 * interval '1 millisecond')
  ON CONFLICT (name) DO UPDATE SET node_id = excluded.node_id, held_until = excluded.held_until,
    term = lease.term + CASE WHEN lease.node_id = excluded.node_id THEN 0 ELSE 1 END
  WHERE lease.node_id = excluded.node_id OR lease.held_until < clock_timestamp()
  RETURNING term";
const NODES: &str = "SELECT id, alive_until > clock_timestamp() AS alive FROM node";
const FORGET: &str = "DELETE FROM node n WHERE n.alive_until < clock_timestamp() - CAST($1 AS interval)
  AND NOT EXISTS (SELECT 1 FROM delivery_open d WHERE d.state = 1 AND d.node_id = n.id)";
/// A lease that is let go of is free at once. The node's row stays for a while: it may leave claims behind.
const LET_GO: &str = "DELETE FROM lease WHERE node_id = $1";
const LEAVE: &str = "UPDATE node SET alive_until = clock_timestamp() WHERE id = $1";
const NOTIFY: &str = "SELECT pg_notify('postrider', $1)";

/// This process among its nodes.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) id: Uuid,
    name: Arc<str>,
    lease: Duration,
    slot: Arc<AtomicI32>,
    leads: Arc<AtomicBool>,
    beats: Arc<std::sync::Mutex<Beats>>,
    /// Of the nodes that are dead, those from which this one has taken over.
    taken_over: Arc<std::sync::Mutex<Vec<Uuid>>>,
    dead: Arc<std::sync::Mutex<Vec<Uuid>>>,
}

/// When this node's beats were heard by the server.
#[derive(Default)]
struct Beats {
    /// The first and the last of those that followed each other without a gap.
    first: Option<Instant>,
    last: Option<Instant>,
    /// How often there was a gap in which others may have taken over from this node.
    epoch: u64,
}

/// What a beat tells a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// It does the clock's work for all.
    pub leads: bool,
    /// How many nodes are alive, itself included.
    pub nodes: usize,
    /// There are nodes that have stopped to beat, and it is this one's to take over from them.
    pub dead: bool,
}

const POISON: &str = "because no holder of this lock panics";

impl Node {
    pub(super) async fn join(
        connection: &mut PgConnection,
        id: Uuid,
        name: &str,
        lease: Duration,
    ) -> Result<Self, StoreError> {
        let node = Self {
            id,
            name: name.into(),
            lease,
            slot: Arc::default(),
            leads: Arc::default(),
            beats: Arc::default(),
            taken_over: Arc::default(),
            dead: Arc::default(),
        };
        node.enter(connection).await?;
        Ok(node)
    }

    fn lease_ms(&self) -> f64 {
        self.lease.as_secs_f64() * 1e3
    }

    async fn enter(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let mut tx = sqlx::Connection::begin(connection).await?;
        sqlx::query(NOT_FOR_LONG).execute(&mut *tx).await?;
        sqlx::query(LOCK_NODES).execute(&mut *tx).await?;
        let row = sqlx::query(JOIN)
            .bind(self.id)
            .bind(&*self.name)
            .bind(VERSION)
            .bind(self.lease_ms())
            .fetch_one(&mut *tx)
            .await?;
        let slot: i16 = row.try_get("slot")?;
        tx.commit().await?;
        self.slot.store(slot.into(), Ordering::Relaxed);
        self.beats.lock().expect(POISON).heard(Instant::now(), self.lease);
        tracing::info!(node = %self.id, slot, "node.joined");
        Ok(())
    }

    /// A number for counter rows that nobody else writes to.
    pub(super) fn writer(&self, line: i32) -> i32 {
        self.slot.load(Ordering::Relaxed) * WRITERS_PER_NODE + line
    }

    /// Whether it may take over from others: it leads, and has itself been heard for so long without a gap that everybody who
    /// is alive has been heard again too. After an outage of the server all are late.
    pub(super) fn may_take_over(&self) -> bool {
        self.leads.load(Ordering::Relaxed)
            && self.beats.lock().expect(POISON).is_steady(Instant::now(), self.lease)
    }

    /// Whether its last beat was heard, and is not long ago.
    pub(super) fn was_just_heard(&self) -> bool {
        let beats = self.beats.lock().expect(POISON);
        beats.first.is_some() && beats.last.is_some_and(|last| last.elapsed() < self.lease / 2)
    }

    /// Remembers who is dead. True: this node has not taken over from one of them yet.
    fn has_new_dead(&self, dead: Vec<Uuid>) -> bool {
        let mut taken_over = self.taken_over.lock().expect(POISON);
        taken_over.retain(|node| dead.contains(node));
        let new = dead.iter().any(|node| !taken_over.contains(node));
        *self.dead.lock().expect(POISON) = dead;
        new
    }

    /// The nodes that were dead at the last beat.
    pub(super) fn dead(&self) -> Vec<Uuid> {
        self.dead.lock().expect(POISON).clone()
    }

    /// Their claims were taken from the dead. They are looked for once more by every sweep.
    pub(super) async fn took_over_from(&self, dead: Vec<Uuid>, pool: &PgPool) -> Result<(), StoreError> {
        *self.taken_over.lock().expect(POISON) = dead;
        in_time(sqlx::query(FORGET).bind(REMEMBERED).execute(pool)).await?;
        Ok(())
    }

    /// At the end: others need not wait for the lease to run out.
    pub(super) async fn leave(&self, pool: &PgPool) {
        let left = async {
            for statement in [LET_GO, LEAVE] {
                sqlx::query(statement).bind(self.id).execute(pool).await?;
            }
            sqlx::query(NOTIFY).bind(Heard::NodesChanged.payload()).execute(pool).await
        };
        match tokio::time::timeout(Duration::from_secs(2), left).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "node.not_left"),
            Err(_) => tracing::warn!("node.not_left"),
        }
    }
}

impl Beats {
    fn heard(&mut self, now: Instant, lease: Duration) {
        if self.last.is_some_and(|last| now.duration_since(last) >= lease) {
            self.epoch += 1;
        }
        // Others' leases may have run out in a gap in which this one's did not.
        if self.first.is_none() || self.last.is_none_or(|last| now.duration_since(last) >= lease / 2) {
            self.first = Some(now);
        }
        self.last = Some(now);
    }

    /// A beat was not heard: perhaps nobody's was.
    fn missed(&mut self) {
        self.first = None;
    }

    fn is_steady(&self, now: Instant, lease: Duration) -> bool {
        let since = |moment: Option<Instant>| moment.map(|moment| now.duration_since(moment));
        since(self.first) >= Some(lease) && since(self.last).is_some_and(|since| since < lease)
    }
}

impl Postgres {
    /// Says that this node is alive, and asks for the lead.
    pub(crate) async fn node_beat(&self) -> Result<Beat, StoreError> {
        // Over a connection of its own: reads that fill the pool must not make this node seem dead.
        let mut hot = self.beats.lock().await;
        let beat = match hot.connected().await {
            Ok(mut connection) => {
                let beat = answered(self.beat(&mut connection)).await;
                hot.used(connection, beat.as_ref().err());
                beat
            }
            Err(error) => Err(error),
        };
        if beat.is_err() {
            self.node.beats.lock().expect(POISON).missed();
            self.node.leads.store(false, Ordering::Relaxed);
        }
        // Another host may have been promoted: the connection of the beat has found it.
        self.pool.set_connect_options(self.hosts.current());
        beat
    }

    async fn beat(&self, connection: &mut PgConnection) -> Result<Beat, StoreError> {
        // Before the server sets the time: the lease that it gives is at least as long as the one that is counted here.
        let asked = Instant::now();
        let beat =
            sqlx::query(BEAT).bind(self.node.id).bind(self.node.lease_ms()).execute(&mut *connection).await?;
        if beat.rows_affected() == 0 {
            tracing::warn!(node = %self.node.id, "node.was_forgotten");
            self.node.enter(connection).await?;
        }
        let term = sqlx::query(LEAD)
            .bind(self.node.id)
            .bind(self.node.lease_ms())
            .fetch_optional(&mut *connection)
            .await?;
        let (mut nodes, mut dead) = (0, Vec::new());
        for row in sqlx::query(NODES).fetch_all(&mut *connection).await? {
            match row.try_get("alive")? {
                true => nodes += 1,
                false => dead.push(row.try_get::<Uuid, _>("id")?),
            }
        }
        self.node.beats.lock().expect(POISON).heard(asked, self.node.lease);
        if self.node.leads.swap(term.is_some(), Ordering::Relaxed) != term.is_some() {
            tracing::info!(node = %self.node.id, leads = term.is_some(), "node.lead");
        }
        let dead = self.node.has_new_dead(dead);
        Ok(Beat { leads: term.is_some(), nodes: nodes.max(1), dead: dead && self.node.may_take_over() })
    }

    /// Whether this node's last beat is so short a time ago that nobody has taken over from it.
    pub(crate) fn node_is_alive(&self) -> bool {
        let last = self.node.beats.lock().expect(POISON).last;
        last.is_some_and(|last| last.elapsed() < self.node.lease)
    }

    pub(crate) fn node_epoch(&self) -> u64 {
        self.node.beats.lock().expect(POISON).epoch
    }

    /// Tells all nodes, this one included.
    pub(crate) async fn tell(&self, heard: Heard) -> Result<(), StoreError> {
        in_time(sqlx::query(NOTIFY).bind(heard.payload()).execute(&self.pool)).await?;
        Ok(())
    }

    pub(crate) fn listener(&self) -> Listener {
        Listener { hosts: self.hosts.clone(), connected: None }
    }
}

/// Tells all nodes when the transaction commits.
pub(crate) async fn tell_at_commit(tx: &mut WriteTx, heard: Heard) -> Result<(), StoreError> {
    if tx.is_shared() {
        let payload = heard.payload();
        tx.maybe(NOTIFY, &[(&payload).into()]).await?;
    }
    Ok(())
}

/// What a node hears of others. It says only where to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// The configuration of a tenant changed, or the tenant is gone.
    TenantChanged(TenantId),
    /// Keys or profiles changed.
    InstallationChanged,
    /// More of a webhook's deliveries are due than the node that knows of them can send.
    Due(TenantId, WebhookId),
    /// Jobs wait.
    JobsWait,
    /// A node left: what it was waiting for is anybody's.
    NodesChanged,
    /// The connection is new: anything may have been missed.
    Anything,
}

impl Heard {
    fn payload(self) -> String {
        match self {
            Self::TenantChanged(tenant) => format!("tenant {}", Uuid::from_bytes(*tenant.as_bytes())),
            Self::InstallationChanged => "installation".into(),
            Self::Due(tenant, webhook) => format!(
                "due {} {}",
                Uuid::from_bytes(*tenant.as_bytes()),
                Uuid::from_bytes(*webhook.as_bytes())
            ),
            Self::JobsWait => "jobs".into(),
            Self::NodesChanged => "nodes".into(),
            Self::Anything => "anything".into(),
        }
    }

    /// What a later version says and this one does not know may concern anything.
    fn parse(payload: &str) -> Self {
        let mut words = payload.split(' ');
        let word = words.next();
        let mut id = || words.next().and_then(|text| Uuid::try_parse(text).ok()).map(Uuid::into_bytes);
        match word {
            Some("tenant") => id().map_or(Self::Anything, |id| Self::TenantChanged(TenantId::from_bytes(id))),
            Some("installation") => Self::InstallationChanged,
            Some("due") => match (id(), id()) {
                (Some(tenant), Some(webhook)) => {
                    Self::Due(TenantId::from_bytes(tenant), WebhookId::from_bytes(webhook))
                }
                _ => Self::Anything,
            },
            Some("jobs") => Self::JobsWait,
            Some("nodes") => Self::NodesChanged,
            _ => Self::Anything,
        }
    }
}

/// What others tell, over a connection of its own.
pub struct Listener {
    hosts: Arc<Hosts>,
    connected: Option<PgListener>,
}

impl Listener {
    /// Waits for the next word. A new connection is told as [`Heard::Anything`]. Dropped while it waits, it loses nothing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: there is no connection; try again in a while.
    pub async fn next(&mut self) -> Result<Heard, StoreError> {
        let Some(listener) = &mut self.connected else {
            self.connected = Some(self.connect().await?);
            return Ok(Heard::Anything);
        };
        match listener.try_recv().await {
            Ok(Some(word)) => Ok(heard(&word)),
            Ok(None) => {
                self.connected = None;
                Err(StoreError::Unavailable("the connection that listens was cut".into()))
            }
            Err(error) => {
                self.connected = None;
                Err(error.into())
            }
        }
    }

    pub fn is_connected(&self) -> bool {
        self.connected.is_some()
    }

    /// Whether the connection still answers: one that was cut without a word would be listened to for ever.
    pub async fn check(&mut self) -> Result<(), StoreError> {
        let Some(listener) = &mut self.connected else { return Ok(()) };
        let answer = tokio::time::timeout(NODE_LEASE / 4, sqlx::query("SELECT 1").execute(listener)).await;
        if !matches!(answer, Ok(Ok(_))) {
            self.connected = None;
            return Err(StoreError::Unavailable("the connection that listens does not answer".into()));
        }
        Ok(())
    }

    async fn connect(&self) -> Result<PgListener, StoreError> {
        let connection = self.hosts.connect().await?;
        super::connect::close(connection).await;
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(super::connect::CONNECT_TIMEOUT)
            .connect_lazy_with(self.hosts.current());
        let mut listener = in_time(PgListener::connect_with(&pool)).await?;
        listener.ignore_pool_close_event(true);
        listener.eager_reconnect(false);
        in_time(listener.listen(CHANNEL)).await?;
        Ok(listener)
    }
}

fn heard(word: &PgNotification) -> Heard {
    Heard::parse(word.payload())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_what_is_heard() {
        let (tenant, webhook) = (TenantId::from_bytes([1; 16]), WebhookId::from_bytes([2; 16]));
        for heard in [
            Heard::TenantChanged(tenant),
            Heard::InstallationChanged,
            Heard::Due(tenant, webhook),
            Heard::JobsWait,
            Heard::NodesChanged,
            Heard::Anything,
        ] {
            assert_eq!(Heard::parse(&heard.payload()), heard);
        }
        for unknown in ["", "tenant", "tenant x", "due x y", "something new"] {
            assert_eq!(Heard::parse(unknown), Heard::Anything, "{unknown}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_takes_over_only_after_it_was_heard_for_a_lease_without_a_gap() {
        let mut beats = Beats::default();
        assert!(!beats.is_steady(Instant::now(), NODE_LEASE));
        beats.heard(Instant::now(), NODE_LEASE);
        for _ in 0..3 {
            tokio::time::advance(NODE_LEASE / 4).await;
            beats.heard(Instant::now(), NODE_LEASE);
            assert!(!beats.is_steady(Instant::now(), NODE_LEASE));
        }
        tokio::time::advance(NODE_LEASE / 4).await;
        beats.heard(Instant::now(), NODE_LEASE);
        assert!(beats.is_steady(Instant::now(), NODE_LEASE));
        beats.missed();
        beats.heard(Instant::now(), NODE_LEASE);
        assert!(!beats.is_steady(Instant::now(), NODE_LEASE), "a beat was missed");
        for _ in 0..4 {
            tokio::time::advance(NODE_LEASE / 4).await;
            beats.heard(Instant::now(), NODE_LEASE);
        }
        assert!(beats.is_steady(Instant::now(), NODE_LEASE));
        tokio::time::advance(NODE_LEASE / 2).await;
        beats.heard(Instant::now(), NODE_LEASE);
        assert!(!beats.is_steady(Instant::now(), NODE_LEASE), "one came late");
    }
}

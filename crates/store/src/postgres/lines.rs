//! The lines on which hot work goes to the server: each a queue, a task and a connection of its own.
//!
//! A line takes what waits when its turn comes, as one statement or one transaction, and tells everyone in it when that is
//! durable. All work of a tenant goes over the same line, new work and results apart: so it keeps its order, and no two
//! lines of a node write the same rows. One bad piece does not fail its neighbours: a batch that a statement fails is done
//! again piece by piece. When the server is gone, all of the batch is told so, and the next one tries a new connection.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use postrider_domain::id::TenantId;
use postrider_domain::limits;
use postrider_domain::time::Timestamp;
use sqlx::{Connection as _, PgConnection};
use tokio::sync::{Mutex, RwLock, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::accept;
use super::connect::{Hosts, HotConnection, answered, concerns_the_server};
use super::nodes::Node;
use super::settle::{self, Settle};
use crate::work::{Commit, CommitOutcome, Settlement};
use crate::{Settled, StoreError};

/// Lines for new work, and as many for results: two connections keep a server's processors busy while each waits for its
/// sync, and more of them only make the batches smaller.
const LINES_EACH: usize = 2;
pub(super) const LINES: usize = 2 * LINES_EACH;
/// Rows of one batch, about: at some 15 µs each it takes the server 60 ms.
const BATCH_ROWS_MAX: usize = 4096;
/// Places in the queue that only results of attempts may take.
const RESERVED_FOR_RESULTS: usize = limits::IN_HAND_MAX;
/// How often a piece is done again when others changed the same rows: the second time it finds what they left.
const CONTENDED_TRIES: usize = 3;

/// What is done on a line, with who waits for it.
pub(super) enum Piece {
    Commit(Box<Commit>, oneshot::Sender<Result<CommitOutcome, StoreError>>),
    Settle(Settle, Box<dyn FnOnce(Result<bool, StoreError>) + Send>),
}

enum Message {
    Work(Piece),
    /// Whether the server takes work.
    Probe(oneshot::Sender<Result<(), StoreError>>),
    Stop,
}

impl Piece {
    fn rows(&self) -> usize {
        match self {
            Self::Commit(commit, _) => commit.rows(),
            Self::Settle(..) => 2,
        }
    }
}

pub(super) struct Lines {
    queues: Vec<mpsc::Sender<Message>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    stopped: AtomicBool,
    /// Of each line, that its last word was a failure of the server.
    failed: Arc<[AtomicBool; LINES]>,
}

impl Lines {
    pub(super) fn start(hosts: &Arc<Hosts>, node: &Node, turns: &Arc<RwLock<()>>) -> Self {
        let mut queues = Vec::with_capacity(LINES);
        let mut tasks = Vec::with_capacity(LINES);
        let failed: Arc<[AtomicBool; LINES]> = Arc::default();
        for number in 0..LINES {
            let (queue, receiver) = mpsc::channel(limits::WRITER_QUEUE_MAX + RESERVED_FOR_RESULTS);
            let line = Line {
                node: node.clone(),
                number: i32::try_from(number).unwrap_or(0),
                turns: turns.clone(),
                queue: receiver,
                hot: HotConnection::new(hosts.clone()),
                doubtful: accept::Claims::default(),
                failed: failed.clone(),
            };
            queues.push(queue);
            tasks.push(tokio::spawn(line.run()));
        }
        Self { queues, tasks: Mutex::new(tasks), stopped: AtomicBool::new(false), failed }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Whether a line ended without being told to.
    pub(super) fn has_ended(&self) -> bool {
        !self.is_stopped() && self.queues.iter().any(mpsc::Sender::is_closed)
    }

    /// Whether the server takes what goes over each line. Where the last word was a failure nobody else may be trying.
    pub(super) async fn ready(&self) -> Result<(), StoreError> {
        for (queue, failed) in self.queues.iter().zip(&*self.failed) {
            if !failed.load(Ordering::Relaxed) {
                continue;
            }
            let (reply, answer) = oneshot::channel();
            queue.try_send(Message::Probe(reply)).map_err(|_| StoreError::Overloaded)?;
            answer.await.map_err(|_| StoreError::Closed)??;
        }
        Ok(())
    }

    /// What was queued before is still written.
    pub(super) async fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        for queue in &self.queues {
            // An error means that the line has ended.
            let _ = queue.send(Message::Stop).await;
        }
        for task in self.tasks.lock().await.drain(..) {
            if let Err(error) = task.await {
                tracing::error!(%error, "store.line_failed");
            }
        }
    }

    pub(super) fn commit(
        &self,
        commit: Commit,
    ) -> Result<oneshot::Receiver<Result<CommitOutcome, StoreError>>, StoreError> {
        let queue = &self.queues[line_of(commit.tenant)];
        if self.is_stopped() {
            return Err(StoreError::Closed);
        }
        if commit.settled.is_empty() && queue.capacity() <= RESERVED_FOR_RESULTS {
            return Err(if queue.is_closed() { StoreError::Closed } else { StoreError::Overloaded });
        }
        let (reply, outcome) = oneshot::channel();
        match queue.try_send(Message::Work(Piece::Commit(Box::new(commit), reply))) {
            Ok(()) => Ok(outcome),
            Err(mpsc::error::TrySendError::Full(_)) => Err(StoreError::Overloaded),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(StoreError::Closed),
        }
    }

    pub(super) fn settle<P: Send + 'static>(
        &self,
        tenant: TenantId,
        at: Timestamp,
        settlement: Settlement,
        holder: P,
        reader: &mpsc::UnboundedSender<Settled<P>>,
    ) -> Result<(), (P, StoreError)> {
        match self.queues[LINES_EACH + line_of(tenant)].try_reserve() {
            Ok(place) => {
                let reader = reader.clone();
                let reply = Box::new(move |outcome| drop(reader.send((holder, outcome))));
                place.send(Message::Work(Piece::Settle(Settle { tenant, at, settlement }, reply)));
                Ok(())
            }
            Err(mpsc::error::TrySendError::Full(())) => Err((holder, StoreError::Overloaded)),
            Err(mpsc::error::TrySendError::Closed(())) => Err((holder, StoreError::Closed)),
        }
    }
}

/// The last byte of an id is random.
fn line_of(tenant: TenantId) -> usize {
    usize::from(tenant.as_bytes()[15]) % LINES_EACH
}

struct Line {
    node: Node,
    number: i32,
    turns: Arc<RwLock<()>>,
    queue: mpsc::Receiver<Message>,
    hot: HotConnection,
    /// Claims of a batch of which nobody knows whether it was committed. Whoever published it was told that it failed, so
    /// nobody sends them: they are given back before anything else is done.
    doubtful: accept::Claims,
    failed: Arc<[AtomicBool; LINES]>,
}

impl Line {
    async fn run(mut self) {
        loop {
            let next = match self.doubtful.is_empty() {
                true => Ok(self.queue.recv().await),
                // Nothing may follow for a while, and meanwhile nobody sends them.
                false => tokio::time::timeout(limits::STORE_RETRY, self.queue.recv()).await,
            };
            let turns = self.turns.clone();
            let turn = turns.read().await;
            match next {
                Ok(Some(first)) => {
                    let mut probes = Vec::new();
                    let batch = self.gather(first, &mut probes);
                    self.write(batch).await;
                    if !probes.is_empty() {
                        let took = self.probe().await;
                        for reply in probes {
                            // Who asked may have gone.
                            let _ = reply.send(took.clone());
                        }
                    }
                }
                Ok(None) => break,
                // An error says that the server is still gone.
                Err(_) => drop(self.commit_some(&[]).await),
            }
            drop(turn);
        }
        self.hot.close().await;
    }

    fn gather(
        &mut self,
        first: Message,
        probes: &mut Vec<oneshot::Sender<Result<(), StoreError>>>,
    ) -> Vec<Piece> {
        let mut batch = Vec::new();
        let mut rows = 0;
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Work(piece) => {
                    rows += piece.rows();
                    batch.push(piece);
                }
                Message::Probe(reply) => probes.push(reply),
                // What was queued before is still taken, what comes later is refused at the door.
                Message::Stop => self.queue.close(),
            }
            if batch.len() >= limits::WRITER_BATCH_MAX || rows >= BATCH_ROWS_MAX {
                break;
            }
            next = self.queue.try_recv().ok();
        }
        batch
    }

    async fn write(&mut self, batch: Vec<Piece>) {
        if batch.is_empty() {
            return;
        }
        let mut commits = Vec::new();
        let mut replies = Vec::new();
        let mut settles = Vec::new();
        let mut holders = Vec::new();
        for piece in batch {
            match piece {
                Piece::Commit(commit, reply) => {
                    commits.push(*commit);
                    replies.push(reply);
                }
                Piece::Settle(settle, reply) => {
                    settles.push(settle);
                    holders.push(reply);
                }
            }
        }
        if !settles.is_empty() {
            let mut all = VecDeque::from(self.settle_all(&settles).await);
            for holder in holders {
                holder(all.pop_front().unwrap_or(Err(StoreError::Closed)));
            }
        }
        if !commits.is_empty() {
            let mut all = VecDeque::from(self.commit_all(&commits).await);
            for reply in replies {
                drop(reply.send(all.pop_front().unwrap_or(Err(StoreError::Closed))));
            }
        }
    }

    async fn settle_all(&mut self, settles: &[Settle]) -> Vec<Result<bool, StoreError>> {
        match self.settle_some(settles).await {
            Ok(applied) => applied.into_iter().map(Ok).collect(),
            Err(error) if concerns_the_server(&error) => {
                tracing::error!(%error, pieces = settles.len(), "store.batch_failed");
                settles.iter().map(|_| Err(error.clone())).collect()
            }
            Err(_) => {
                let mut all = Vec::with_capacity(settles.len());
                for settle in settles {
                    all.push(self.settle_one(settle).await);
                }
                all
            }
        }
    }

    async fn settle_one(&mut self, settle: &Settle) -> Result<bool, StoreError> {
        let mut one = Err(StoreError::Closed);
        for _ in 0..CONTENDED_TRIES {
            one = self.settle_some(std::slice::from_ref(settle)).await;
            if !matches!(one, Err(StoreError::Contended(_))) {
                break;
            }
        }
        if let Err(error) = &one {
            tracing::error!(%error, pieces = 1, "store.batch_failed");
        }
        one.map(|applied| applied.first() == Some(&true))
    }

    async fn settle_some(&mut self, settles: &[Settle]) -> Result<Vec<bool>, StoreError> {
        let writer = self.node.writer(self.number);
        let mut connection = self.connected().await?;
        let written = answered(settle::write(&mut connection, settles, writer)).await;
        self.used(connection, written.as_ref().err());
        written
    }

    async fn probe(&mut self) -> Result<(), StoreError> {
        let mut connection = self.connected().await?;
        let answer = answered(async { Ok(connection.ping().await?) }).await;
        self.used(connection, answer.as_ref().err());
        answer
    }

    async fn connected(&mut self) -> Result<PgConnection, StoreError> {
        let connected = self.hot.connected().await;
        if connected.is_err() {
            self.has_failed(true);
        }
        connected
    }

    fn used(&mut self, connection: PgConnection, failed: Option<&StoreError>) {
        self.has_failed(failed.is_some_and(concerns_the_server));
        self.hot.used(connection, failed);
    }

    fn has_failed(&self, failed: bool) {
        if let Some(mark) = usize::try_from(self.number).ok().and_then(|number| self.failed.get(number)) {
            mark.store(failed, Ordering::Relaxed);
        }
    }

    async fn commit_all(&mut self, commits: &[Commit]) -> Vec<Result<CommitOutcome, StoreError>> {
        match self.commit_some(commits).await {
            Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
            Err(error) if concerns_the_server(&error) => {
                log(&error, commits.len());
                commits.iter().map(|_| Err(error.clone())).collect()
            }
            Err(_) => {
                let mut all = Vec::with_capacity(commits.len());
                for commit in commits {
                    all.push(self.commit_one(commit).await);
                }
                all
            }
        }
    }

    async fn commit_one(&mut self, commit: &Commit) -> Result<CommitOutcome, StoreError> {
        let mut one = Err(StoreError::Closed);
        for _ in 0..CONTENDED_TRIES {
            one = self.commit_some(std::slice::from_ref(commit)).await;
            if !matches!(one, Err(StoreError::Contended(_))) {
                break;
            }
        }
        if let Err(error) = &one {
            log(error, 1);
        }
        one.and_then(|mut outcomes| outcomes.pop().ok_or(StoreError::Closed))
    }

    async fn commit_some(&mut self, commits: &[Commit]) -> Result<Vec<CommitOutcome>, StoreError> {
        let (node, writer) = (self.node.id, self.node.writer(self.number));
        let mut connection = self.connected().await?;
        if !self.doubtful.is_empty() {
            let given_back = answered(accept::give_back(&mut connection, &self.doubtful, node)).await;
            if let Err(error) = given_back {
                self.used(connection, Some(&error));
                return Err(error);
            }
            self.doubtful = accept::Claims::default();
        }
        if commits.is_empty() {
            self.used(connection, None);
            return Ok(Vec::new());
        }
        let written = answered(accept::write(&mut connection, commits, node, writer)).await;
        if let Err(error) = &written
            && concerns_the_server(error)
        {
            self.doubtful.add(commits);
        }
        self.used(connection, written.as_ref().err());
        written
    }
}

/// A commit that came second is no trouble: whoever made it begins anew.
fn log(error: &StoreError, pieces: usize) {
    match error {
        StoreError::Moved(_) => tracing::debug!(%error, pieces, "store.moved"),
        _ => tracing::error!(%error, pieces, "store.batch_failed"),
    }
}

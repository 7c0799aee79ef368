//! The one writer of hot work: a thread that turns what is queued into one transaction and one sync.
//!
//! A batch takes what waits when its turn comes and closes when the queue is empty or the batch is full: there is no
//! fixed wait, so a lone commit costs one sync, and a crowd shares it. Answers go out after COMMIT, never before. One bad
//! piece of work must not fail its neighbours: when a batch fails by a statement, it is undone and its pieces are done one
//! by one. When the disk fails, all of the batch is told so and the thread goes on with the next.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use postrider_domain::limits;
use rusqlite::{CachedStatement, Connection};
use tokio::sync::{Mutex, mpsc, oneshot};

use super::claims::{ClaimLog, Claims};
use super::counters::Counters;
use super::{Settings, connect};
use crate::StoreError;

/// Rows of one transaction, about. It bounds the time for which everyone else waits when the batch holds large pieces:
/// at 100,000 rows a second some 80 ms.
const BATCH_ROWS_MAX: usize = 8192;
/// Places in the queue that only results of attempts may take: there are never more of them than deliveries in hand, so
/// a flood of new work cannot make us forget what receivers answered.
const RESERVED_FOR_RESULTS: usize = limits::IN_HAND_MAX;
/// Statements kept prepared: all that hot work has.
const STATEMENTS_KEPT: usize = 96;

/// A piece of work with whoever waits for its outcome, whatever that is.
trait Work: Send {
    fn rows(&self) -> usize;
    /// May be called again after its transaction was undone.
    fn run(&mut self, batch: &mut Batch<'_>) -> Result<(), StoreError>;
    /// Tells whoever waits. `Ok`: what the last run made is durable.
    fn tell(self: Box<Self>, written: Result<(), StoreError>);
}

struct Piece<I, T, R> {
    rows: usize,
    input: I,
    run: fn(&mut Batch<'_>, &mut I) -> Result<T, StoreError>,
    made: Option<T>,
    reply: R,
}

/// Where an outcome goes. Nobody may be waiting any more; what is durable stays so.
trait Reply<T>: Send {
    fn give(self, outcome: Result<T, StoreError>);
}

impl<T: Send> Reply<T> for oneshot::Sender<Result<T, StoreError>> {
    fn give(self, outcome: Result<T, StoreError>) {
        let _ = self.send(outcome);
    }
}

/// For one reader of many outcomes: they wake it once.
struct Ticket<P, T> {
    holder: P,
    reader: mpsc::UnboundedSender<(P, Result<T, StoreError>)>,
}

impl<P: Send, T: Send> Reply<T> for Ticket<P, T> {
    fn give(self, outcome: Result<T, StoreError>) {
        let _ = self.reader.send((self.holder, outcome));
    }
}

impl<I: Send, T: Send, R: Reply<T>> Work for Piece<I, T, R> {
    fn rows(&self) -> usize {
        self.rows
    }

    fn run(&mut self, batch: &mut Batch<'_>) -> Result<(), StoreError> {
        self.made = Some((self.run)(batch, &mut self.input)?);
        Ok(())
    }

    fn tell(self: Box<Self>, written: Result<(), StoreError>) {
        let Self { made, reply, .. } = *self;
        let outcome = written.and_then(|()| made.ok_or_else(|| StoreError::Internal("nothing ran".into())));
        reply.give(outcome);
    }
}

/// A transaction under way, as a piece of work sees it.
pub(crate) struct Batch<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) counters: Counters,
    pub(crate) claims: Claims,
    /// Statements that this transaction has used, by their text's address.
    statements: Vec<(&'static str, CachedStatement<'a>)>,
}

impl<'a> Batch<'a> {
    fn new(connection: &'a Connection) -> Self {
        Self { connection, counters: Counters::default(), claims: Claims::default(), statements: Vec::new() }
    }

    /// A prepared statement. Looked for by address first: to look one up by its text takes about as long as to run it.
    pub(crate) fn statement(&mut self, sql: &'static str) -> Result<&mut CachedStatement<'a>, StoreError> {
        let known = self.statements.iter().position(|(text, _)| std::ptr::eq(*text, sql));
        let at = match known {
            Some(at) => at,
            None => {
                self.statements.push((sql, self.connection.prepare_cached(sql)?));
                self.statements.len() - 1
            }
        };
        Ok(&mut self.statements[at].1)
    }

    /// Runs a statement that answers no rows; answers how many rows it changed.
    pub(crate) fn execute(
        &mut self,
        sql: &'static str,
        params: impl rusqlite::Params,
    ) -> Result<usize, StoreError> {
        Ok(self.statement(sql)?.execute(params)?)
    }
}

/// Which places of the queue a piece of work may take.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    New,
    Result,
}

enum Message {
    Work(Box<dyn Work>),
    Stop,
}

/// The queue's other end.
pub(crate) struct Writer {
    queue: mpsc::Sender<Message>,
    disk_failed: Arc<AtomicBool>,
}

impl Writer {
    /// Starts the thread. It owns the folder's lock and lets go of it when it has ended.
    pub(crate) fn start(
        path: PathBuf,
        settings: Settings,
        connection: Connection,
        turn: Arc<Mutex<()>>,
        lock: File,
    ) -> Result<(Self, oneshot::Receiver<()>), StoreError> {
        let (queue, receiver) = mpsc::channel(limits::WRITER_QUEUE_MAX + RESERVED_FOR_RESULTS);
        let (ended, has_ended) = oneshot::channel();
        let disk_failed = Arc::new(AtomicBool::new(false));
        let thread = Thread {
            disk_failed: disk_failed.clone(),
            path,
            settings,
            connection: Some(connection),
            turn,
            queue: receiver,
            claims: ClaimLog::default(),
        };
        std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                thread.run();
                drop(lock);
                let _ = ended.send(());
            })
            .map_err(|error| StoreError::Unavailable(format!("the writer's thread: {error}")))?;
        Ok((Self { queue, disk_failed }, has_ended))
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.queue.is_closed()
    }

    /// Queues work at once, or refuses it. What is queued first is durable first. `rows`: about how many it writes.
    pub(crate) fn enqueue<I, T>(
        &self,
        admission: Admission,
        rows: usize,
        input: I,
        run: fn(&mut Batch<'_>, &mut I) -> Result<T, StoreError>,
    ) -> Result<oneshot::Receiver<Result<T, StoreError>>, StoreError>
    where
        I: Send + 'static,
        T: Send + 'static,
    {
        if admission == Admission::New && self.queue.capacity() <= RESERVED_FOR_RESULTS {
            return Err(if self.queue.is_closed() { StoreError::Closed } else { StoreError::Overloaded });
        }
        let (reply, outcome) = oneshot::channel();
        match self.queue.try_send(Message::Work(Box::new(Piece { rows, input, run, made: None, reply }))) {
            Ok(()) => Ok(outcome),
            Err(mpsc::error::TrySendError::Full(_)) => Err(StoreError::Overloaded),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(StoreError::Closed),
        }
    }

    /// Queues the result of an attempt at once, or gives its holder back. The outcome goes to `reader`, with the holder.
    pub(crate) fn enqueue_for<I, T, P>(
        &self,
        rows: usize,
        input: I,
        run: fn(&mut Batch<'_>, &mut I) -> Result<T, StoreError>,
        holder: P,
        reader: mpsc::UnboundedSender<(P, Result<T, StoreError>)>,
    ) -> Result<(), (P, StoreError)>
    where
        I: Send + 'static,
        T: Send + 'static,
        P: Send + 'static,
    {
        match self.queue.try_reserve() {
            Ok(place) => {
                let reply = Ticket { holder, reader };
                place.send(Message::Work(Box::new(Piece { rows, input, run, made: None, reply })));
                Ok(())
            }
            Err(mpsc::error::TrySendError::Full(())) => Err((holder, StoreError::Overloaded)),
            Err(mpsc::error::TrySendError::Closed(())) => Err((holder, StoreError::Closed)),
        }
    }

    /// Queues work, waiting for a place, and waits for its outcome.
    pub(crate) async fn call<I, T>(
        &self,
        rows: usize,
        input: I,
        run: fn(&mut Batch<'_>, &mut I) -> Result<T, StoreError>,
    ) -> Result<T, StoreError>
    where
        I: Send + 'static,
        T: Send + 'static,
    {
        let (reply, outcome) = oneshot::channel();
        let piece = Piece { rows, input, run, made: None, reply };
        self.queue.send(Message::Work(Box::new(piece))).await.map_err(|_| StoreError::Closed)?;
        outcome.await.map_err(|_| StoreError::Closed)?
    }

    /// The last transaction failed for a reason that lies in the disk.
    pub(crate) fn disk_failed(&self) -> bool {
        self.disk_failed.load(Ordering::Relaxed)
    }

    /// Asks the thread to end after what is queued.
    pub(crate) async fn stop(&self) {
        // An error means that it has ended already.
        let _ = self.queue.send(Message::Stop).await;
    }
}

struct Thread {
    path: PathBuf,
    settings: Settings,
    /// `None` after a failure of the disk: opened again for the next batch.
    connection: Option<Connection>,
    turn: Arc<Mutex<()>>,
    queue: mpsc::Receiver<Message>,
    claims: ClaimLog,
    disk_failed: Arc<AtomicBool>,
}

impl Thread {
    fn run(mut self) {
        if let Some(connection) = &self.connection {
            connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        }
        while let Some(first) = self.queue.blocking_recv() {
            // Whoever is at work goes first: it may have more for this batch. With a processor to spare this takes no time.
            std::thread::yield_now();
            let turn = self.turn.clone();
            let turn = turn.blocking_lock();
            let batch = self.gather(first);
            self.write(batch);
            drop(turn);
        }
    }

    fn gather(&mut self, first: Message) -> Vec<Box<dyn Work>> {
        let mut batch = Vec::new();
        let mut rows = 0;
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Work(work) => {
                    rows += work.rows();
                    batch.push(work);
                }
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

    fn write(&mut self, mut batch: Vec<Box<dyn Work>>) {
        if batch.is_empty() {
            return;
        }
        match self.transaction(&mut batch) {
            Ok(()) => {
                for work in batch {
                    work.tell(Ok(()));
                }
            }
            Err(error) if batch.len() == 1 || concerns_the_disk(&error) => {
                log(&error, batch.len());
                for work in batch {
                    work.tell(Err(error.clone()));
                }
            }
            Err(_) => {
                for mut work in batch {
                    let written = self.transaction(std::slice::from_mut(&mut work));
                    if let Err(error) = &written {
                        log(error, 1);
                    }
                    work.tell(written);
                }
            }
        }
    }

    /// All of `works` in one transaction, durable when this answers `Ok`, undone when it does not.
    fn transaction(&mut self, works: &mut [Box<dyn Work>]) -> Result<(), StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let connection = connect(&self.path, self.settings)?;
                connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
                connection
            }
        };
        // A panic in a piece of work is that piece's failure. Nothing of ours is half done by it: the transaction is undone,
        // and the counters are dropped with it.
        let result = catch_unwind(AssertUnwindSafe(|| in_transaction(&connection, &mut self.claims, works)))
            .unwrap_or_else(|panic| {
                let why = panic.downcast_ref::<&str>().map_or("of another kind", |text| text);
                Err(StoreError::Internal(format!("work of the writer panicked: {why}")))
            });
        if result.is_err() {
            self.claims.doubt();
        }
        if result.is_err() && !connection.is_autocommit() {
            // When this fails too, the connection is not kept.
            let _ = connection.execute_batch("ROLLBACK");
        }
        self.disk_failed.store(result.as_ref().is_err_and(concerns_the_disk), Ordering::Relaxed);
        let sound = match &result {
            Ok(()) => true,
            Err(error) => connection.is_autocommit() && !concerns_the_disk(error),
        };
        if sound {
            self.connection = Some(connection);
        }
        result
    }
}

fn in_transaction(
    connection: &Connection,
    log: &mut ClaimLog,
    works: &mut [Box<dyn Work>],
) -> Result<(), StoreError> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let mut batch = Batch::new(connection);
    for work in works {
        work.run(&mut batch)?;
    }
    let Batch { counters, claims, .. } = batch;
    counters.write(connection)?;
    let row = log.write(connection, &claims)?;
    connection.prepare_cached("COMMIT")?.execute([])?;
    log.committed(claims, row);
    Ok(())
}

/// A commit that came second is no trouble: whoever made it begins anew.
fn log(error: &StoreError, pieces: usize) {
    match error {
        StoreError::Moved(_) => tracing::debug!(%error, pieces, "store.moved"),
        _ => tracing::error!(%error, pieces, "store.batch_failed"),
    }
}

fn concerns_the_disk(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(_))
}

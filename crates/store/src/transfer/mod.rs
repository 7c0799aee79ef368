//! Moving an installation from SQLite's files into a PostgreSQL: every row copied, read back and compared.
//!
//! Called by `postrider migrate-to`, on the data folder of a stopped server. Batches of rows are read from the file on one
//! thread and written by this one. Each batch is one transaction with the place up to which the table is copied, so that
//! a copy that was cut off goes on with the next batch, and copies nothing twice. Until it is done no server starts on the
//! database. The folder is never changed, but for what any start of a server does: migrations, and the end of the log.

pub(crate) mod batch;
pub(crate) mod tables;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use postrider_domain::random::Random;
use postrider_domain::time::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::StoreError;
use crate::open::Synchronous;
use crate::postgres::target::{Found, Target};
use crate::seal::MasterKey;
use crate::sqlite::FolderOptions;
use crate::sqlite::source::Source;
use batch::Batch;
pub use batch::Unstorable;
use tables::{TABLES, Table};

/// Batches that are read ahead, of some MiB each.
const READ_AHEAD: usize = 2;
/// How often progress is told.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// What to copy, and where to.
pub struct TransferOptions {
    /// The data folder.
    pub folder: PathBuf,
    /// `None`: the file `master.key` in the folder.
    pub master_key: Option<MasterKey>,
    /// See [`Database::Postgres`](crate::Database::Postgres).
    pub url: String,
    /// Allows a PostgreSQL that does not sync.
    pub unsafe_allowed: bool,
    pub random: Arc<dyn Random>,
    pub now: Timestamp,
    /// For tests: after so many batches the copy is cut off in the midst of the next one, as by a kill.
    pub stop_after_batches: Option<usize>,
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The source was read once and is known.
    SourceRead { rows: u64, took: Duration },
    /// An earlier copy stopped after so many rows, which are not copied again.
    GoesOn { rows: u64 },
    /// Of a table, or of `of` rows of it. `now`: rows that this run copied, in which time.
    Table { name: &'static str, rows: u64, of: u64, now: u64, took: Duration },
    /// Everything is copied: both sides are counted.
    Counting,
}

/// What a copy came to.
#[derive(Debug)]
pub enum Transfer {
    Done(TransferReport),
    /// As [`TransferOptions::stop_after_batches`] wanted.
    CutOff,
}

/// Both sides, counted after the last row.
#[derive(Debug)]
pub struct TransferReport {
    pub tables: Vec<TableCount>,
    pub ledger: Vec<LedgerCount>,
    /// Rows that this run copied; the others were there from an earlier one.
    pub copied: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableCount {
    pub name: &'static str,
    pub source: u64,
    pub target: u64,
}

/// The ledger of all tenants, which are compared one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerCount {
    pub name: &'static str,
    pub source: i64,
    pub target: i64,
}

/// Why a copy could not begin, or go on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TransferError {
    #[error("there is no store in {0}")]
    NoSource(PathBuf),
    /// The source cannot be used.
    #[error(transparent)]
    Source(StoreError),
    /// The target cannot be reached, or failed. A copy that had begun goes on where it was when it is started again.
    #[error(transparent)]
    Target(StoreError),
    /// One of the two is not fit for it, and nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// A value that PostgreSQL does not take.
    #[error("{column} of a row of {table} cannot be copied: {why}; the row is the one at ({})", .row.join(", "))]
    Unstorable {
        table: &'static str,
        column: &'static str,
        /// By the table's key on SQLite.
        row: Vec<String>,
        why: Unstorable,
    },
    /// What was read back is not what was written.
    #[error("{0}")]
    Differs(String),
}

/// Of the source: what it was read from.
impl From<StoreError> for TransferError {
    fn from(error: StoreError) -> Self {
        Self::Source(error)
    }
}

/// For each tenant and kind of delivery: accepted, delivered, failed, cancelled, and how many are open.
pub(crate) type LedgerSums = BTreeMap<([u8; 16], i64), [i64; 5]>;
const LEDGER_NAMES: [&str; 5] = ["accepted", "delivered", "failed", "cancelled", "open"];

/// Copies everything, or what an earlier copy left. `progress` is called about once a second.
pub async fn copy_to_postgres(
    options: TransferOptions,
    mut progress: impl FnMut(Progress),
) -> Result<Transfer, TransferError> {
    let began = Instant::now();
    let folder = FolderOptions {
        dir: options.folder,
        master_key: options.master_key,
        synchronous: Synchronous::Full,
        unsafe_allowed: false,
        pages_max: None,
        random: options.random,
        now: options.now,
    };
    let opened = blocking(move || {
        let source = Source::open(folder)?;
        let ledger = source.ledger()?;
        let counts = TABLES.iter().map(|table| source.count(table)).collect::<Result<Vec<u64>, _>>()?;
        Ok((source, ledger, counts))
    });
    let (mut source, ledger, counts) = opened.await?;
    if let Some(((tenant, _), sums)) = ledger.iter().find(|(_, sums)| !is_balanced(sums)) {
        return Err(TransferError::Refused(format!(
            "the ledger of the tenant x'{}' does not balance in the data folder: {sums:?}. It is not copied like this; \
             report it",
            hex::encode(tenant)
        )));
    }
    progress(Progress::SourceRead { rows: counts.iter().sum(), took: began.elapsed() });

    let (mut target, found) =
        Target::open(&options.url, options.unsafe_allowed, &source, options.now).await?;
    if let Found::Begun { rows } = found {
        progress(Progress::GoesOn { rows });
    }
    let mut left = options.stop_after_batches;
    let mut copied = 0;
    for (table, of) in TABLES.iter().zip(&counts) {
        let part = copy_table(source, &mut target, table, *of, &mut left, &mut progress).await?;
        let Some((rows, back)) = part else { return Ok(Transfer::CutOff) };
        source = back;
        copied += rows;
    }

    progress(Progress::Counting);
    let mut tables = Vec::with_capacity(TABLES.len());
    for (table, rows) in TABLES.iter().zip(counts) {
        tables.push(TableCount { name: table.name, source: rows, target: target.count(table).await? });
    }
    let target_ledger = target.ledger().await?;
    let report = TransferReport { tables, ledger: totals(&ledger, &target_ledger), copied };
    check(&report, &ledger, &target_ledger)?;
    target.finish().await?;
    Ok(Transfer::Done(report))
}

/// Answers how many rows were copied now; `None`: it was to be cut off.
async fn copy_table(
    source: Source,
    target: &mut Target,
    table: &'static Table,
    of: u64,
    left: &mut Option<usize>,
    progress: &mut impl FnMut(Progress),
) -> Result<Option<(u64, Source)>, TransferError> {
    let began = Instant::now();
    let before = target.copied(table).await?;
    let (hand_on, mut batches) = mpsc::channel::<Batch>(READ_AHEAD);
    let after = before.position;
    // Ends when it has read all, or when nobody takes its batches any more.
    let reading = blocking(move || {
        source.read(table, after.as_deref(), |batch| hand_on.blocking_send(batch).is_ok())?;
        Ok(source)
    });
    let mut rows = before.rows;
    let mut told = began;
    let tell = |rows: u64| Progress::Table {
        name: table.name,
        rows,
        of,
        now: rows - before.rows,
        took: began.elapsed(),
    };
    while let Some(batch) = batches.recv().await {
        let cut_off = *left == Some(0);
        *left = left.map(|left| left.saturating_sub(1));
        let written = batch.rows() as u64;
        if !target.write(table, batch, rows, cut_off).await? {
            return Ok(None);
        }
        rows += written;
        if told.elapsed() >= TOLD_EVERY {
            told = Instant::now();
            progress(tell(rows));
        }
    }
    let source = reading.await?;
    progress(tell(rows));
    Ok(Some((rows - before.rows, source)))
}

/// Begins at once, on a thread of its own.
fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TransferError> + Send + 'static,
) -> impl Future<Output = Result<T, TransferError>> {
    let working = tokio::task::spawn_blocking(work);
    async {
        let done = working.await;
        done.map_err(|error| StoreError::Internal(format!("reading the data folder panicked: {error}")))?
    }
}

/// What was accepted is somewhere, and only once.
fn is_balanced(sums: &[i64; 5]) -> bool {
    let [accepted, rest @ ..] = sums;
    *accepted == rest.iter().sum::<i64>()
}

fn totals(source: &LedgerSums, target: &LedgerSums) -> Vec<LedgerCount> {
    let sum = |of: &LedgerSums, at: usize| of.values().map(|sums| sums[at]).sum();
    let rows = LEDGER_NAMES.iter().enumerate();
    rows.map(|(at, name)| LedgerCount { name, source: sum(source, at), target: sum(target, at) }).collect()
}

fn check(report: &TransferReport, source: &LedgerSums, target: &LedgerSums) -> Result<(), TransferError> {
    if let Some(count) = report.tables.iter().find(|count| count.source != count.target) {
        return Err(TransferError::Differs(format!(
            "{} has {} rows in the data folder and {} in PostgreSQL",
            count.name, count.source, count.target
        )));
    }
    let differs = source.iter().find(|(key, sums)| target.get(*key) != Some(*sums));
    let more = target.iter().find(|(key, _)| !source.contains_key(*key));
    match differs.or(more) {
        None => Ok(()),
        Some(((tenant, kind), _)) => Err(TransferError::Differs(format!(
            "the ledger of the tenant x'{}', kind {kind}, is {:?} in the data folder and {:?} in PostgreSQL",
            hex::encode(tenant),
            source.get(&(*tenant, *kind)),
            target.get(&(*tenant, *kind))
        ))),
    }
}

//! A copy of a data folder's database: whole, of one moment, in one file. A server may run on the folder meanwhile.
//!
//! Its pages are copied in one read of the database, which no writer disturbs and which holds up none: until it has ended
//! the write-ahead log grows. The master key is not in the copy, so that whoever has it cannot read the secrets in it.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::DATABASE_FILE;
use super::source::read_only;
use crate::StoreError;

/// What the file is called until it is whole.
const UNFINISHED: &str = "unfinished";

/// Why there is no backup. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("there is no store in {0}")]
    NoStore(PathBuf),
    #[error("{0} exists already")]
    Exists(PathBuf),
    #[error("{path}: {why}")]
    File { path: PathBuf, why: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The copy was made and read, and is not sound.
    #[error("the copy is damaged: {0}")]
    Damaged(String),
}

impl From<rusqlite::Error> for BackupError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Writes the file, reads it through, syncs it, and answers how many bytes it has. Blocks meanwhile. Never writes over a
/// file that is there.
pub fn backup_folder(folder: &Path, file: &Path) -> Result<u64, BackupError> {
    let database = folder.join(DATABASE_FILE);
    if !database.is_file() {
        return Err(BackupError::NoStore(folder.to_owned()));
    }
    if file.exists() {
        return Err(BackupError::Exists(file.to_owned()));
    }
    let mut unfinished = file.to_owned().into_os_string();
    unfinished.push(format!(".{UNFINISHED}"));
    let unfinished = PathBuf::from(unfinished);
    let held = create(&unfinished)?;
    let made = fill(&database, &unfinished).and_then(|()| finish(&held, &unfinished, file));
    if made.is_err() {
        // The first failure is the one that tells something.
        let _ = fs::remove_file(&unfinished);
    }
    made
}

/// For its owner only: it holds what customers sent.
fn create(path: &Path) -> Result<File, BackupError> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => BackupError::Exists(path.to_owned()),
        _ => failed(path, &error),
    })
}

fn fill(database: &Path, to: &Path) -> Result<(), BackupError> {
    let source = read_only(database)?;
    let mut copy =
        Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    // Until it is whole it is of no use, and then it is synced at once.
    copy.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")?;
    match Backup::new(&source, &mut copy)?.step(-1)? {
        StepResult::Done => {}
        _ => return Err(StoreError::Unavailable("the database is locked by another program".into()).into()),
    }
    // One file that needs none beside it. A start makes the log again.
    copy.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
    let verdict: String = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    match verdict.as_str() {
        "ok" => copy.close().map_err(|(_, error)| error.into()),
        _ => Err(BackupError::Damaged(verdict)),
    }
}

fn finish(held: &File, unfinished: &Path, file: &Path) -> Result<u64, BackupError> {
    held.sync_all().map_err(|error| failed(unfinished, &error))?;
    let bytes = held.metadata().map_err(|error| failed(unfinished, &error))?.len();
    // A link is refused where the name has come up meanwhile; where there are no links, a look must do.
    match fs::hard_link(unfinished, file) {
        Ok(()) => fs::remove_file(unfinished).map_err(|error| failed(unfinished, &error))?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists || file.exists() => {
            return Err(BackupError::Exists(file.to_owned()));
        }
        Err(_) => fs::rename(unfinished, file).map_err(|error| failed(file, &error))?,
    }
    // The name must survive a power loss too.
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed(folder, &error))?;
    Ok(bytes)
}

fn failed(path: &Path, error: &std::io::Error) -> BackupError {
    BackupError::File { path: path.to_owned(), why: error.to_string() }
}

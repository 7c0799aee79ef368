//! `postrider migrate-to URL`: from a data folder into PostgreSQL.

use std::sync::Arc;

use postrider_domain::time::Clock as _;
use postrider_store::transfer::{
    Progress, Transfer, TransferError, TransferOptions, TransferReport, copy_to_postgres,
};
use postrider_store::{MasterKey, StoreError};
use secrecy::{ExposeSecret as _, SecretString};

use crate::complaint::Complaint;
use crate::config::{Config, Sources};
use crate::os::{OsRandom, SystemClock};
use crate::{telemetry, wire};

pub(crate) async fn run(sources: &Sources, url: Option<SecretString>) -> Result<(), Complaint> {
    let config = Config::load(sources)?;
    telemetry::start(&config)?;
    let Some(url) = url.or_else(|| config.database_url.clone()) else {
        return Err(Complaint::new(
            "there is no database to copy into",
            "neither the command line nor POSTRIDER_DATABASE_URL names one",
            "create an empty database and give its URL: postrider migrate-to postgres://user:password@host:5432/database",
        ));
    };
    let options = TransferOptions {
        folder: config.data.clone(),
        master_key: config.master_key_bytes().map(|bytes| MasterKey::new(Box::new(bytes))),
        url: url.expose_secret().to_owned(),
        unsafe_allowed: config.allow_unsafe_sync,
        random: Arc::new(OsRandom),
        now: SystemClock.now(),
        stop_after_batches: None,
    };
    match copy_to_postgres(options, tell).await.map_err(|error| complaint(&config, error))? {
        Transfer::Done(report) => print(&config, &report),
        Transfer::CutOff => unreachable!("because nothing asked for it"),
    }
    Ok(())
}

fn tell(progress: Progress) {
    match progress {
        Progress::SourceRead { rows, took } => {
            eprintln!(
                "The data folder is locked and read: {rows} rows to copy ({:.1} s).",
                took.as_secs_f64()
            );
        }
        Progress::GoesOn { rows } => {
            eprintln!("An earlier copy stopped after {rows} rows. It goes on from there.")
        }
        Progress::Table { name, rows, of, now, took } => {
            let speed = now as f64 / took.as_secs_f64().max(0.001);
            eprintln!("{name:<18} {rows:>12} of {of:>12} rows {speed:>9.0} rows/s");
        }
        Progress::Counting => eprintln!("Everything is copied and compared. Counting both sides."),
    }
}

fn print(config: &Config, report: &TransferReport) {
    println!("{:<20} {:>16} {:>16}", "table", "data folder", "PostgreSQL");
    for count in &report.tables {
        println!("{:<20} {:>16} {:>16}", count.name, count.source, count.target);
    }
    println!("\n{:<20} {:>16} {:>16}", "ledger, all tenants", "data folder", "PostgreSQL");
    for count in &report.ledger {
        println!("{:<20} {:>16} {:>16}", count.name, count.source, count.target);
    }
    let folder = std::path::absolute(&config.data).unwrap_or_else(|_| config.data.clone());
    let key = match &config.master_key {
        Some(_) => "the POSTRIDER_MASTER_KEY that this command was given".to_owned(),
        None => {
            format!("POSTRIDER_MASTER_KEY set to what {} holds", folder.join(wire::MASTER_KEY_FILE).display())
        }
    };
    println!(
        "\nEvery row was read back and is the same; the ledgers are equal and balance.\n\
         Start servers with POSTRIDER_DATABASE_URL set to this database, each with {key}.\n\
         Start none on {} any more: what is open there would be sent by both.",
        folder.display()
    );
}

fn complaint(config: &Config, error: TransferError) -> Complaint {
    const NOT_COPIED: &str = "the data folder was not copied";
    match error {
        TransferError::NoSource(folder) => Complaint::new(
            format!("there is no store in {}", folder.display()),
            "no server has run with this data folder",
            "name the folder with --data",
        ),
        TransferError::Source(error @ StoreError::InUse(_)) => Complaint::new(
            NOT_COPIED,
            error.to_string(),
            "stop the server on it first; it stays stopped from then on",
        ),
        TransferError::Source(error) => wire::store_not_opened(&config.data, &error),
        TransferError::Target(error @ StoreError::Unavailable(_)) => Complaint::new(
            "PostgreSQL cannot be reached, or broke off",
            error.to_string(),
            "check that it runs and takes connections from here, then give the same command again: it goes on where it was",
        ),
        TransferError::Target(error) => wire::database_not_opened(&error),
        TransferError::Refused(why) => Complaint::new(
            NOT_COPIED,
            why,
            "do what it says, then give the same command again; the folder and the database are as they were",
        ),
        TransferError::Unstorable { .. } => Complaint::new(
            "a value cannot be kept in PostgreSQL",
            error.to_string(),
            "look at the row with the program sqlite3, on a copy of postrider.db. Once it is corrected in the data folder, \
             start anew with an empty database, and report it: Postrider should never have taken it",
        ),
        TransferError::Differs(why) => Complaint::new(
            "the copy is not what the data folder is",
            why,
            "drop the database, make it anew and copy again; if it happens twice, report it. The data folder is unchanged",
        ),
    }
}

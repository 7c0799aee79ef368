//! `postrider backup FILE`: a copy of the data folder's database, whether a server runs on it or not.

use std::path::Path;

use postrider_store::{BackupError, backup_folder};

use crate::complaint::Complaint;
use crate::config::{Config, Sources};
use crate::wire;

pub(crate) fn run(sources: &Sources, file: &Path) -> Result<(), Complaint> {
    let config = Config::load(sources)?;
    if config.database_url.is_some() {
        return Err(Complaint::new(
            "this command backs up a data folder, and the settings name a PostgreSQL",
            "PostgreSQL has tools of its own for it, which know more than we do",
            "use pg_dump, or pg_basebackup with an archive of its log: docs/backup.md has the commands",
        ));
    }
    let bytes = backup_folder(&config.data, file).map_err(|error| complaint(&config, &error))?;
    println!(
        "{} holds the whole store, {:.1} MiB, checked and synced.",
        file.display(),
        bytes as f64 / 1024.0 / 1024.0
    );
    let key = match &config.master_key {
        Some(_) => "POSTRIDER_MASTER_KEY".to_owned(),
        None => config.data.join(wire::MASTER_KEY_FILE).display().to_string(),
    };
    println!(
        "It does not hold the master key. Keep a copy of {key} in another place: without it the secrets are lost."
    );
    Ok(())
}

fn complaint(config: &Config, error: &BackupError) -> Complaint {
    let remedy = match error {
        BackupError::NoStore(_) => "name the folder with --data; no server has run with this one",
        BackupError::Exists(path) if path.extension().is_some_and(|end| end == "unfinished") => {
            "another backup writes it at this moment, or one was killed: then remove it"
        }
        BackupError::Exists(_) => "choose another name, with the date for example, or remove that file",
        BackupError::File { .. } => "check the folder of that file, its permissions and its free space",
        BackupError::Store(error) => return wire::store_not_opened(&config.data, error),
        BackupError::Damaged(_) => "check the data folder's disk; keep older backups",
    };
    Complaint::new("there is no backup", error.to_string(), remedy)
}

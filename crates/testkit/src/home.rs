//! Where a test's store is kept: in its folder, or, for a run of the same tests on PostgreSQL, in a database that stands for
//! the folder. Tests name a folder either way, and open it again after a restart.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};

use crate::postgres::{Database, Postgres};

/// Set to `postgres`, it runs the tests on PostgreSQL.
pub const VARIABLE: &str = "POSTRIDER_TEST_DATABASE";

/// Of every folder that this process has named. They go with the shared server, a minute after the last test.
static DATABASES: LazyLock<Mutex<HashMap<PathBuf, Database>>> = LazyLock::new(Mutex::default);

/// The URL of the database that stands for a folder; none when the tests run on SQLite.
///
/// # Panics
/// When the variable says something else.
pub fn database_of(folder: &Path) -> Option<String> {
    match std::env::var(VARIABLE).as_deref() {
        Err(_) | Ok("" | "sqlite") => return None,
        Ok("postgres") => {}
        Ok(other) => panic!("{VARIABLE} is {other:?}; it can be sqlite or postgres"),
    }
    let mut databases = DATABASES.lock().expect("because no holder of this lock panics");
    let database = databases.entry(folder.to_owned()).or_insert_with(|| Postgres::shared_database("test"));
    Some(database.url.clone())
}

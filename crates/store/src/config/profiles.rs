//! Profiles by version: what events pinned stays readable when a profile changes.

use postrider_domain::time::Timestamp;

use crate::db::{Row, WriteTx};
use crate::{Store, StoreError};

/// A version of a profile as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileRow {
    pub name: String,
    pub version: String,
    /// TOML.
    pub source: String,
    /// It came with the program, not through the API.
    pub builtin: bool,
    /// When it became the version that tenants render with: the newest of a name is in use.
    pub current_since: Timestamp,
}

impl ProfileRow {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            name: row.get("name")?,
            version: row.get("version")?,
            source: row.get("source")?,
            builtin: row.get("builtin")?,
            current_since: row.get("created_ms")?,
        })
    }
}

impl Store {
    /// Every version of every profile, each name's current one last. Scans the table: at start only.
    pub async fn profiles_all(&self) -> Result<Vec<ProfileRow>, StoreError> {
        const SQL: &str = "SELECT name, version, source, builtin, created_ms FROM profile ORDER BY name, created_ms, version";
        self.read().all(SQL, &[]).await?.iter().map(ProfileRow::read).collect()
    }
}

pub(super) async fn put(tx: &mut WriteTx, row: &ProfileRow) -> Result<(), StoreError> {
    const NEWEST: &str = "SELECT MAX(created_ms) AS newest FROM profile WHERE name = $1";
    const SQL: &str = "INSERT INTO profile (name, version, source, builtin, created_ms) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (name, version) DO UPDATE SET builtin = excluded.builtin, created_ms = excluded.created_ms";
    // The newest is the one in use, also when the clock stood still or was set back.
    let newest: Option<i64> = tx.one(NEWEST, &[(&row.name).into()]).await?.get("newest")?;
    let since = row.current_since.unix_ms().max(newest.map_or(i64::MIN, |newest| newest.saturating_add(1)));
    let values =
        [(&row.name).into(), (&row.version).into(), (&row.source).into(), row.builtin.into(), since.into()];
    tx.execute(SQL, &values).await.map(drop)
}

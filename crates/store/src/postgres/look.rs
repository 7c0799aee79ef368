//! A look at a server before or beside a node, which changes nothing.

use std::time::Duration;

use postrider_domain::time::{Clock, Timestamp};
use sqlx::Row as _;
use tokio::time::Instant;

use super::connect::{Hosts, close, in_time};
use crate::StoreError;

const SAMPLES: usize = 15;
const LOOK: &str = "SELECT current_setting('server_version') AS version,
    COALESCE((SELECT s.ssl FROM pg_stat_ssl s WHERE s.pid = pg_backend_pid()), FALSE) AS encrypted,
    COALESCE(host(inet_server_addr()) IN ('127.0.0.1', '::1'), TRUE) AS local,
    CAST(current_setting('max_connections') AS BIGINT) - CAST(current_setting('superuser_reserved_connections') AS BIGINT)
      - (SELECT COUNT(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()) AS connections,
    CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AS now_ms,
    to_regclass('migration') IS NOT NULL AS used,
    has_schema_privilege(current_schema(), 'CREATE') AS may_create";

/// What a server looks like from here.
#[derive(Debug)]
pub struct ServerLook {
    pub version: String,
    pub encrypted: bool,
    /// On this machine.
    pub local: bool,
    /// How many more it takes, this look's own not counted.
    pub connections: u64,
    /// How far its clock and this machine's are apart.
    pub clocks_apart: Duration,
    /// Postrider's tables are there.
    pub used: bool,
    /// Its user may create them.
    pub may_create: bool,
    /// The median of some questions that need no work.
    pub round_trip: Duration,
}

/// Looks at the server of a database URL as a node would use it.
///
/// # Errors
/// What a node's start would say: [`StoreError::Misconfigured`], [`StoreError::Unsafe`], [`StoreError::Unavailable`].
pub async fn look_at_server(
    url: &str,
    unsafe_allowed: bool,
    clock: &dyn Clock,
) -> Result<ServerLook, StoreError> {
    let hosts = Hosts::parse(url, "postrider doctor", unsafe_allowed)?;
    let mut connection = hosts.connect().await?;
    let before = clock.now();
    let row = in_time(sqlx::query(LOOK).fetch_one(&mut connection)).await?;
    let after = clock.now();
    let theirs = Timestamp::from_unix_ms(row.try_get("now_ms")?);
    let mut trips = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let asked = Instant::now();
        in_time(sqlx::query("SELECT 1").execute(&mut connection)).await?;
        trips.push(asked.elapsed());
    }
    close(connection).await;
    trips.sort_unstable();
    Ok(ServerLook {
        version: row.try_get("version")?,
        encrypted: row.try_get("encrypted")?,
        local: row.try_get("local")?,
        connections: u64::try_from(row.try_get::<i64, _>("connections")?).unwrap_or(0),
        // Between the two is as it should be.
        clocks_apart: theirs.since(after).max(before.since(theirs)),
        used: row.try_get("used")?,
        may_create: row.try_get("may_create")?,
        round_trip: trips[SAMPLES / 2],
    })
}

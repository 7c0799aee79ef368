//! The order in which events were written, for those who poll: up to where nothing can come in between any more.

use sqlx::Row as _;

use super::{Postgres, in_time};
use crate::StoreError;

/// The snapshot is taken first, the list of who is under way after it: whoever is not in the list, and began before the
/// snapshot, has ended, and what it wrote is seen by every later statement. Only Postrider writes events, so that a long
/// transaction of somebody else holds up nobody. Nodes must share a role: others' transactions are not shown to it.
const UNDER_WAY: &str = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS next, a.backend_xid::text AS xid
  FROM (SELECT 1) AS one LEFT JOIN pg_stat_activity a
    ON a.datname = current_database() AND a.application_name LIKE 'postrider %' AND a.backend_xid IS NOT NULL";

impl Postgres {
    /// Every transaction of ours below this number has ended.
    pub(crate) async fn finished_before(&self) -> Result<u64, StoreError> {
        let mut lowest = None;
        for row in in_time(sqlx::query(UNDER_WAY).fetch_all(&self.pool)).await? {
            let next = number(row.try_get::<&str, _>("next")?)?;
            let mut bound = next;
            if let Some(xid) = row.try_get::<Option<&str>, _>("xid")? {
                bound = widened(number(xid)?, next).min(next);
            }
            lowest = Some(lowest.map_or(bound, |lowest: u64| lowest.min(bound)));
        }
        lowest.ok_or(StoreError::NotFound)
    }
}

fn number(text: &str) -> Result<u64, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt("a transaction's number is no number".into()))
}

/// The lower 32 bits of a transaction's number are shown of those that are under way: which are within two billion of `next`.
fn widened(low: u64, next: u64) -> u64 {
    const EPOCH: u64 = 1 << 32;
    let same_epoch = next / EPOCH * EPOCH + low;
    if same_epoch > next.saturating_add(EPOCH / 2) { same_epoch.saturating_sub(EPOCH) } else { same_epoch }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_number_belongs_to_the_epoch_that_is_near() {
        const EPOCH: u64 = 1 << 32;
        for (low, next, whole) in [
            (700, 750, 700),
            (800, 750, 800),
            (700, 3 * EPOCH + 750, 3 * EPOCH + 700),
            (EPOCH - 5, 3 * EPOCH + 2, 3 * EPOCH - 5),
        ] {
            assert_eq!(widened(low, next), whole, "{low} near {next}");
        }
    }
}

//! What the database says of the nodes: the only witness of who is taken for alive, and of whose claims are whose.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use postrider_testkit::postgres::Postgres;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use crate::failure::{Failure, Result};

/// A takeover waits for the lease of the node and for that of the leader (10 s each), for the leader's beat (2 s), and for
/// the minute's sweep where the dead node's last transaction held rows locked.
const TAKEOVER_MAX: Duration = Duration::from_secs(100);
/// psql is a process each time.
const POLL: Duration = Duration::from_millis(250);

const NODES: &str = "SELECT n.name, n.alive_until > clock_timestamp(),
  (SELECT count(*) FROM delivery_open d WHERE d.state = 1 AND d.node_id = n.id) FROM node n";
/// Of what does not end, enough to see why.
const OPEN: &str = "SELECT d.tenant_id, d.id, d.webhook_id, d.state, d.reason, d.attempts, d.fence, d.resend,
  to_timestamp(d.due_ms / 1000.0), to_timestamp(d.claimed_ms / 1000.0), to_timestamp(d.lease_ms / 1000.0), n.name
  FROM delivery_open d LEFT JOIN node n ON n.id = d.node_id ORDER BY d.id LIMIT 20";

/// A node as the database has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) alive: bool,
    /// Claims.
    pub(super) sending: usize,
}

/// The nodes by the addresses that they listen on. None while the database is away.
pub(super) fn nodes(postgres: &Postgres) -> Option<BTreeMap<SocketAddr, Seen>> {
    let rows = block_in_place(|| postgres.try_sql(NODES)).ok()?;
    let node = |row: &str| {
        let mut columns = row.split('|');
        let address = columns.next()?.parse().ok()?;
        Some((address, Seen { alive: columns.next()? == "t", sending: columns.next()?.parse().ok()? }))
    };
    Some(rows.lines().filter_map(node).collect())
}

/// What is open, a line each.
pub(super) fn open(postgres: &Postgres) -> String {
    block_in_place(|| postgres.try_sql(OPEN)).unwrap_or_else(|why| why)
}

/// Waits until a node is taken for dead and has no claims any more. Says how many it had at first, and how long it took.
pub(super) async fn taken_over(postgres: &Postgres, node: SocketAddr) -> Result<(usize, Duration)> {
    let began = Instant::now();
    let mut had = 0;
    let mut last = None;
    while began.elapsed() < TAKEOVER_MAX {
        if let Some(nodes) = nodes(postgres) {
            let seen = nodes.get(&node).copied().unwrap_or(Seen { alive: false, sending: 0 });
            had = had.max(seen.sending);
            if !seen.alive && seen.sending == 0 {
                return Ok((had, began.elapsed()));
            }
            last = Some(seen);
        }
        sleep(POLL).await;
    }
    Err(Failure::new(format!(
        "nobody has taken over from {node} after {TAKEOVER_MAX:?}: {last:?}\n{}",
        open(postgres)
    )))
}

/// Waits until the database has heard of a node again.
pub(super) async fn alive(postgres: &Postgres, node: SocketAddr, patience: Duration) -> Result<Duration> {
    let began = Instant::now();
    while began.elapsed() < patience {
        if nodes(postgres).is_some_and(|nodes| nodes.get(&node).is_some_and(|seen| seen.alive)) {
            return Ok(began.elapsed());
        }
        sleep(POLL).await;
    }
    Err(Failure::new(format!("the database has not heard of {node} for {patience:?}")))
}

/// The id by which a node knows itself, as it is sent. None while the database has not heard of it.
pub(super) fn id(postgres: &Postgres, node: SocketAddr) -> Option<Vec<u8>> {
    let id = block_in_place(|| postgres.try_sql(&format!("SELECT id FROM node WHERE name = '{node}'")));
    hex::decode(id.ok()?.replace('-', "")).ok().filter(|id| !id.is_empty())
}

//! What a store that nodes share offers beyond one that is a process's own. On SQLite there is one node, which leads.

use std::time::Duration;

use postrider_domain::time::Timestamp;

use crate::open::Backend;
use crate::postgres::{Beat, Heard, Listener};
use crate::{Store, StoreError};

impl Store {
    /// Whether other processes may be at work on the same database.
    pub fn is_shared(&self) -> bool {
        matches!(self.backend(), Backend::Postgres(_))
    }

    /// Says that this node is alive, asks for the lead, and counts the nodes.
    pub async fn node_beat(&self) -> Result<Beat, StoreError> {
        match self.backend() {
            Backend::Sqlite(_) => Ok(Beat { leads: true, nodes: 1, dead: false }),
            Backend::Postgres(postgres) => postgres.node_beat().await,
        }
    }

    /// False: so much time has passed since this node's last beat that another may have taken over what it holds. Nothing
    /// must be sent then.
    pub fn node_is_alive(&self) -> bool {
        match self.backend() {
            Backend::Sqlite(_) => true,
            Backend::Postgres(postgres) => postgres.node_is_alive(),
        }
    }

    /// Rises when this node was not heard for so long that its claims may have been taken: what was claimed in an earlier
    /// epoch may be another's now.
    pub fn node_epoch(&self) -> u64 {
        match self.backend() {
            Backend::Sqlite(_) => 0,
            Backend::Postgres(postgres) => postgres.node_epoch(),
        }
    }

    /// What other nodes tell. `None`: there are no others.
    pub fn listener(&self) -> Option<Listener> {
        match self.backend() {
            Backend::Sqlite(_) => None,
            Backend::Postgres(postgres) => Some(postgres.listener()),
        }
    }

    /// Tells all nodes. It only wakes: what is told must be found in rows too.
    pub async fn tell(&self, heard: Heard) -> Result<(), StoreError> {
        match self.backend() {
            Backend::Sqlite(_) => Ok(()),
            Backend::Postgres(postgres) => postgres.tell(heard).await,
        }
    }

    /// Makes room for the history of the coming days, and drops the days that nobody keeps any more, whole. Answers how many
    /// went; on SQLite, where rows are removed one by one, none. `epoch`: [`Self::node_epoch`] when it was found out what is
    /// kept; what a node that was away since then believes may be out of date, and drops nothing.
    pub async fn history_roll(
        &self,
        now: Timestamp,
        kept_longest: Duration,
        epoch: u64,
    ) -> Result<u64, StoreError> {
        match self.backend() {
            Backend::Sqlite(_) => Ok(0),
            Backend::Postgres(postgres) => postgres.history_roll(now, kept_longest, epoch).await,
        }
    }
}

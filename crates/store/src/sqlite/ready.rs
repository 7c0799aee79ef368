//! Whether the store can take work.

use rusqlite::params;

use super::Sqlite;
use super::writer::Batch;
use crate::StoreError;

const PROBE: &str = "INSERT OR REPLACE INTO meta (key, value) VALUES ('probe', zeroblob(?1))";
/// Apart, so that the probe is really written, and what it took is there for events.
const UNPROBE: &str = "DELETE FROM meta WHERE key = 'probe'";
/// More than the largest event with its rows.
const PROBE_BYTES: i64 = 512 * 1024;

impl Sqlite {
    pub(crate) async fn ready(&self) -> Result<(), StoreError> {
        if self.writer.disk_failed() {
            self.writer.call(1, (), probe).await?;
            self.writer.call(1, (), unprobe).await?;
        }
        drop(self.write().await?);
        Ok(())
    }
}

fn unprobe(batch: &mut Batch<'_>, _: &mut ()) -> Result<(), StoreError> {
    batch.execute(UNPROBE, [])?;
    Ok(())
}

fn probe(batch: &mut Batch<'_>, _: &mut ()) -> Result<(), StoreError> {
    batch.execute(PROBE, params![PROBE_BYTES])?;
    Ok(())
}

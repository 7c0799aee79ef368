//! Text in payloads: events are read in batches, newest first, and looked through here. No index is kept for it on the way of
//! events, so each request looks at a bounded part and says how far it came.

use postrider_domain::id::{EventId, TenantId};
use postrider_domain::limits;
use postrider_domain::time::Timestamp;

use crate::work::StoredEvent;
use crate::{Store, StoreError};

/// How far back a batch may go so that its payloads fit into memory. Index: `event_id`.
const BATCH: &str =
    "SELECT id FROM (SELECT id, SUM(bytes) OVER (ORDER BY id DESC ROWS UNBOUNDED PRECEDING) AS bytes FROM
    (SELECT id, LENGTH(data) AS bytes FROM event WHERE tenant_id = $1 AND id < $2 AND id >= $3
      ORDER BY id DESC LIMIT $4) AS few) AS summed
  WHERE bytes <= $5 ORDER BY id LIMIT 1";
/// The newest before an id. Index: `event_id`.
const NEWEST: &str = "SELECT id FROM event WHERE tenant_id = $1 AND id < $2 ORDER BY id DESC LIMIT 1";

/// No more of each than is looked at: what is found is read whole afterwards. Index: `event_id`.
const PAYLOADS: &str =
    "SELECT id, data FROM event WHERE tenant_id = $1 AND id < $2 AND id >= $3 ORDER BY id DESC";

/// What one request of a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSearch {
    /// Newest first.
    pub events: Vec<StoredEvent>,
    pub looked_at: usize,
    /// Everything from here on was looked at: go on before it. None when there was nothing to look at.
    pub looked_until: Option<EventId>,
    /// There is nothing before it.
    pub complete: bool,
}

impl Store {
    /// Events whose data holds `text`, as it stands in the stored JSON, whatever the case of its letters. Begins before
    /// `before`, or with the newest; ends after [`limits::SEARCH_HITS_MAX`] hits, [`limits::SEARCH_EVENTS_MAX`] events, or a day before
    /// the first event that it looks at.
    pub async fn event_search(
        &self,
        tenant: TenantId,
        text: &str,
        before: Option<EventId>,
        now: Timestamp,
    ) -> Result<EventSearch, StoreError> {
        let needle = Needle::of(text);
        let mut before = before.unwrap_or(EventId::from_bytes([0xff; 16]));
        let mut search =
            EventSearch { events: Vec::new(), looked_at: 0, looked_until: None, complete: false };
        let Some(first) = self.newest_before(tenant, before).await? else {
            search.complete = true;
            return Ok(search);
        };
        // By the event's own time, so that each request gets on, however long nothing came.
        let floor = EventId::lowest_at(first.time().min(now).minus(limits::SEARCH_BACK_MAX));
        let mut bytes_left = limits::SEARCH_BYTES_MAX;
        while search.looked_at < limits::SEARCH_EVENTS_MAX && bytes_left > 0 {
            let rows = limits::SEARCH_BATCH_EVENTS.min(limits::SEARCH_EVENTS_MAX - search.looked_at);
            let values =
                [tenant.into(), before.into(), floor.into(), int(rows), int(limits::SEARCH_BATCH_BYTES)];
            let Some(row) = self.read().maybe(BATCH, &values).await? else {
                search.looked_until = Some(floor);
                search.complete = self.newest_before(tenant, floor).await?.is_none();
                return Ok(search);
            };
            let until: EventId = row.get("id")?;
            let rows = self.read().all(PAYLOADS, &[tenant.into(), before.into(), until.into()]).await?;
            for row in &rows {
                let (id, data): (EventId, Vec<u8>) = (row.get("id")?, row.get("data")?);
                search.looked_at += 1;
                search.looked_until = Some(id);
                bytes_left = bytes_left.saturating_sub(data.len());
                if needle.is_in(&data) {
                    // None: its time was over between the two reads.
                    search.events.extend(self.event_get(tenant, id).await?);
                    if search.events.len() == limits::SEARCH_HITS_MAX {
                        return Ok(search);
                    }
                }
            }
            before = until;
        }
        search.complete = self.newest_before(tenant, before).await?.is_none();
        Ok(search)
    }

    async fn newest_before(&self, tenant: TenantId, before: EventId) -> Result<Option<EventId>, StoreError> {
        let row = self.read().maybe(NEWEST, &[tenant.into(), before.into()]).await?;
        row.map(|row| row.get("id")).transpose()
    }
}

/// What is looked for, in small letters.
enum Needle {
    Ascii(String),
    Other(String),
}

impl Needle {
    fn of(text: &str) -> Self {
        match text.is_ascii() {
            true => Self::Ascii(text.to_ascii_lowercase()),
            false => Self::Other(text.to_lowercase()),
        }
    }

    fn is_in(&self, data: &[u8]) -> bool {
        // Data is JSON, which is UTF-8; what is not is searched as far as it can be read.
        let text = String::from_utf8_lossy(data);
        match self {
            Self::Ascii(needle) => text.to_ascii_lowercase().contains(needle),
            Self::Other(needle) => text.to_lowercase().contains(needle),
        }
    }
}

fn int(count: usize) -> crate::db::Value<'static> {
    i64::try_from(count).unwrap_or(i64::MAX).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    #[test]
    fn statements_use_the_indexes_they_name() {
        plans::check(BATCH, &["event_id (tenant_id=? AND id>? AND id<?)"]);
        plans::check(NEWEST, &["event_id (tenant_id=? AND id<?)"]);
        plans::check(PAYLOADS, &["event_id (tenant_id=? AND id>? AND id<?)"]);
    }

    #[test]
    fn text_is_found_whatever_its_case_and_means_itself() {
        for (text, data, found) in [
            ("abc", r#"{"a":"xABCx"}"#, true),
            ("ABC", r#"{"a":"xabcx"}"#, true),
            ("a%c", r#"{"a":"abc"}"#, false),
            ("a%c", r#"{"a":"A%C"}"#, true),
            ("a_c", r#"{"a":"abc"}"#, false),
            ("ÄRGER", r#"{"a":"kein ärger"}"#, true),
            ("arger", r#"{"a":"kein ärger"}"#, false),
            ("", "{}", true),
        ] {
            assert_eq!(Needle::of(text).is_in(data.as_bytes()), found, "{text} in {data}");
        }
        assert!(Needle::of("ok").is_in(b"\xff OK"));
    }
}

//! Changes of an application's own tables, from PostgreSQL to a running server, at least once.
//!
//! Triggers write each change into an outbox, in the transaction that makes it ([`sql`]). The connector takes changes from
//! there in batches ([`outbox`]), sends each batch as one request with an idempotency key ([`batch`]), and removes it once
//! it was answered ([`deliver`]). What is taken is on disk at the source before it is sent, so that whoever dies, the same
//! request is made again. Why nothing is skipped and nothing changes places: `docs/decisions/0018-outbox-with-removal.md`.
//!
//! Nothing here touches the store: it runs beside any server, over its API.

pub(crate) mod batch;
pub(crate) mod deliver;
pub(crate) mod names;
pub(crate) mod outbox;
pub(crate) mod sql;
pub(crate) mod table;

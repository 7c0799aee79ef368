//! Answers kept for repeated requests that change the configuration. Those to published work are written by the writer.

use postrider_domain::limits;
use postrider_domain::time::Timestamp;

use crate::db::{Value, WriteTx};
use crate::{Store, StoreError};

/// An answer to keep.
#[derive(Debug)]
pub struct IdempotencyRow {
    pub scope: [u8; 16],
    pub key: String,
    pub fingerprint: [u8; 32],
    pub answer: Vec<u8>,
}

impl Store {
    /// The fingerprint and answer of an idempotency key that is still kept at `now`. Index: the primary key.
    pub async fn config_answer(
        &self,
        scope: [u8; 16],
        key: &str,
        now: Timestamp,
    ) -> Result<Option<([u8; 32], Vec<u8>)>, StoreError> {
        const SQL: &str =
            "SELECT fingerprint, answer FROM idempotency WHERE scope = $1 AND key = $2 AND created_ms > $3";
        let kept_since = now.minus(limits::IDEMPOTENCY_KEPT);
        let row = self.read().maybe(SQL, &[Value::Id(Some(scope)), key.into(), kept_since.into()]).await?;
        row.map(|row| Ok((row.get("fingerprint")?, row.get("answer")?))).transpose()
    }
}

/// False: the key is in use. One that is older than answers are kept is taken over. Index: the primary key.
pub(super) async fn put(tx: &mut WriteTx, row: &IdempotencyRow, at: Timestamp) -> Result<bool, StoreError> {
    const SQL: &str = "INSERT INTO idempotency (scope, key, fingerprint, answer, created_ms) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (scope, key) DO UPDATE SET fingerprint = excluded.fingerprint, answer = excluded.answer, \
         created_ms = excluded.created_ms WHERE idempotency.created_ms <= $6";
    let values = [
        Value::Id(Some(row.scope)),
        (&row.key).into(),
        (&row.fingerprint).into(),
        (&row.answer).into(),
        at.into(),
        at.minus(limits::IDEMPOTENCY_KEPT).into(),
    ];
    Ok(tx.execute(SQL, &values).await? == 1)
}

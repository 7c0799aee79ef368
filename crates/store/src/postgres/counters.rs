//! What a batch of new work adds to the ledger, summed in memory and written with the batch. What results add is summed
//! by their statement, which knows which of them counted.

use std::collections::BTreeMap;

use postrider_domain::delivery::DeliveryKind;
use postrider_domain::id::TenantId;
use postrider_domain::time::Timestamp;
use uuid::Uuid;

use super::{int, small, uuid};

/// Columns to `unnest`, in the order of keys: two transactions that meet never wait for each other crosswise.
#[derive(Default)]
pub(super) struct Accepted {
    pub(super) tenants: Vec<Uuid>,
    pub(super) hours: Vec<i64>,
    pub(super) kinds: Vec<i16>,
    pub(super) counts: Vec<i64>,
}

#[derive(Default)]
pub(super) struct Counters(BTreeMap<(TenantId, Timestamp, DeliveryKind), u64>);

impl Counters {
    pub(super) fn accepted(&mut self, tenant: TenantId, at: Timestamp, kind: DeliveryKind) {
        *self.0.entry((tenant, at.hour(), kind)).or_default() += 1;
    }

    pub(super) fn columns(&self) -> Accepted {
        let mut columns = Accepted::default();
        for ((tenant, hour, kind), count) in &self.0 {
            columns.tenants.push(uuid(tenant.as_bytes()));
            columns.hours.push(hour.unix_ms());
            columns.kinds.push(small(kind.code()));
            columns.counts.push(int(*count));
        }
        columns
    }
}

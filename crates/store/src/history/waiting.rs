//! How much waits for some tenants, for a page that lists them.

use postrider_domain::id::TenantId;

use crate::{Store, StoreError, Value};

/// Counted for one tenant: a backlog of a million takes as long to count as one of this many, and a reader needs no more.
pub const WAITING_COUNTED_MAX: u64 = 10_000;

/// Index: `delivery_due`, a range for each tenant. `tenants`: how many.
fn waiting(tenants: usize) -> String {
    let places: Vec<String> = (0..tenants).map(|n| format!("${}", n + 2)).collect();
    format!(
        "SELECT t.id AS id, (SELECT COUNT(*) FROM (SELECT 1 FROM delivery d WHERE d.tenant_id = t.id AND d.state = 0 LIMIT $1)
    AS few) AS waiting FROM tenant t WHERE t.id IN ({})",
        places.join(", ")
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantWaiting {
    pub tenant: TenantId,
    /// Deliveries whose time has not come, or which wait for their turn; at most [`WAITING_COUNTED_MAX`].
    pub waiting: u64,
}

impl Store {
    /// `tenants`: those of one page.
    pub async fn tenants_waiting_any_tenant(
        &self,
        tenants: &[TenantId],
    ) -> Result<Vec<TenantWaiting>, StoreError> {
        if tenants.is_empty() {
            return Ok(Vec::new());
        }
        let mut values = vec![i64::try_from(WAITING_COUNTED_MAX).unwrap_or(i64::MAX).into()];
        values.extend(tenants.iter().map(|tenant| Value::from(*tenant)));
        let rows = self.read().all(waiting(tenants.len()), &values).await?;
        rows.iter()
            .map(|row| Ok(TenantWaiting { tenant: row.get("id")?, waiting: row.get("waiting")? }))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    #[test]
    fn statements_use_the_indexes_they_name() {
        plans::check(&waiting(2), &["d USING COVERING INDEX delivery_due (tenant_id=?)"]);
    }
}

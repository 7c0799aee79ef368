//! Where deliveries go that were asked for by hand to another URL than their webhook's.
//!
//! Written by the commit that makes such a delivery, read by whoever sends or shows it, and gone with it.

use postrider_domain::id::{DeliveryId, TenantId};

use crate::config::audit;
use crate::runs::Exec;
use crate::work::Resend;
use crate::{Store, StoreError};

const PUT: &str = "INSERT INTO delivery_elsewhere (tenant_id, delivery_id, url) VALUES ($1, $2, $3)";
/// Index: the primary key.
const GET: &str = "SELECT url FROM delivery_elsewhere WHERE tenant_id = $1 AND delivery_id = $2";

impl Store {
    /// The URL that a delivery goes to, when it is not its webhook's. The URL may hold credentials.
    pub async fn delivery_elsewhere(
        &self,
        tenant: TenantId,
        delivery: DeliveryId,
    ) -> Result<Option<String>, StoreError> {
        let row = self.read().maybe(GET, &[tenant.into(), delivery.into()]).await?;
        row.map(|row| row.get("url")).transpose()
    }
}

/// In the transaction that makes the delivery.
pub(crate) async fn write(
    tx: &mut impl Exec,
    tenant: TenantId,
    resends: impl Iterator<Item = &Resend>,
) -> Result<(), StoreError> {
    for Resend { delivery, url, audit: by } in resends {
        tx.execute(PUT, &[tenant.into(), (*delivery).into(), url.into()]).await?;
        tx.execute(audit::INSERT, &audit::values(by)).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    #[test]
    fn statements_use_the_indexes_they_name() {
        plans::check(GET, &["PRIMARY KEY (tenant_id=? AND delivery_id=?)"]);
    }
}

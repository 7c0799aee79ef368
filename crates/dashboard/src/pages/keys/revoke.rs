//! The end of a key.

use http::Method;
use postrider_domain::id::KeyId;
use postrider_domain::problem::Problem;

use crate::page::{Answer, Page, Who, see_other};
use crate::visit::Visit;

pub(super) static ALL: Page = Page {
    method: Method::POST,
    path: "/keys/{key}/revoke",
    who: Who::Operator,
    handle: |visit| Box::pin(revoke(visit)),
};

pub(super) static OF_TENANT: Page = Page {
    method: Method::POST,
    path: "/keys/{key}/revoke",
    who: Who::TenantOperator,
    handle: |visit| Box::pin(revoke(visit)),
};

async fn revoke(visit: Visit) -> Answer {
    let id = visit.id("key", "key", KeyId::parse)?;
    if let Some(tenant) = visit.tenant_if_any() {
        let key = visit.store().key_get(id).await?;
        if key.is_none_or(|key| key.tenant != Some(tenant.id)) {
            return Err(Problem::not_found("key").into());
        }
    }
    visit.engine().control().key_revoke(&visit.actor(), id).await?;
    Ok(see_other(&visit.link("/keys?done=revoked")))
}

//! The end of a portal link.

use http::Method;
use postrider_domain::id::SessionId;

use crate::page::{Answer, Page, Who, see_other};
use crate::visit::Visit;

pub(super) static REVOKE: Page = Page {
    method: Method::POST,
    path: "/portal-links/{session}/revoke",
    who: Who::Admin,
    handle: |visit| Box::pin(revoke(visit)),
};

async fn revoke(visit: Visit) -> Answer {
    let id = visit.id("session", "portal link", SessionId::parse)?;
    visit.engine().control().portal_session_revoke(&visit.actor(), visit.tenant(), id).await?;
    Ok(see_other(&visit.link("/portal-links?done=revoked")))
}

//! What a role and a plan let somebody do with webhooks. Pure; the API and the pages ask the same.

use postrider_domain::problem::{Code, Problem};
use postrider_domain::profile::WebhookReaders;

use super::{Actor, Role};
use crate::catalogue::Tenant;

/// What is wanted of webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookUse {
    /// To see them, or what was sent to them.
    Read,
    /// To make or change them, or to send something to them.
    Write,
}

/// A profile says whether viewers may see webhooks at all.
pub fn may_see_webhooks(role: Role, tenant: &Tenant) -> bool {
    role != Role::Viewer || tenant.profile().access.webhooks == WebhookReaders::Viewer
}

/// What is needed beyond the role: a profile may hide webhooks from viewers, and a plan may exclude them.
///
/// # Errors
/// `forbidden` for a viewer whom the profile shows no webhooks; `plan_excludes_webhooks`.
pub fn check_webhooks(actor: &Actor, wanted: WebhookUse, tenant: &Tenant) -> Result<(), Problem> {
    if !may_see_webhooks(actor.role, tenant) {
        let detail = "In this profile webhooks are for admins; a viewer does not see them.";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    // The product team still sees what a tenant had before its plan changed.
    let excused = wanted == WebhookUse::Read && actor.tenant.is_none();
    if tenant.plan_has_webhooks() || excused {
        return Ok(());
    }
    let plans = tenant.profile().access.plans.as_deref().unwrap_or_default();
    let detail = format!(
        "The tenant's plan does not include webhooks; it takes {}. The operator changes the plan.",
        plans.join(" or ")
    );
    Err(Problem::new(Code::PlanExcludesWebhooks, detail))
}

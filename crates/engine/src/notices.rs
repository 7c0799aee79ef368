//! What follows from what the outbound flow noticed but must not do itself: it writes no configuration.

use std::sync::Arc;
use std::time::Duration;

use postrider_domain::event::WEBHOOK_DISABLED;
use postrider_domain::id::{TenantId, WebhookId};
use postrider_domain::limits;
use postrider_domain::time::Timestamp;
use postrider_store::StoreError;
use serde_json::json;
use tokio::sync::mpsc;

use crate::catalogue::{DisabledReason, Tenant, Webhook};
use crate::control::Control;
use crate::outbound::dispatch::{Audience, Notice, Outbound};
use crate::outbound::ingest::Draft;

/// Within this time of its webhook's end, `webhook.disabled` is published again at a start. Below every retention.
const TOLD_AGAIN: Duration = Duration::from_secs(3600);

/// Until the process ends.
pub(crate) async fn act(control: Control, outbound: Arc<Outbound>, mut inbox: mpsc::Receiver<Notice>) {
    tell_again(&outbound).await;
    while let Some(Notice::WebhookGone { tenant, webhook, updated }) = inbox.recv().await {
        let now = outbound.catalogue.tenant(tenant).and_then(|tenant| tenant.webhook(webhook).cloned());
        if now.is_none_or(|webhook| webhook.updated > updated) {
            // The answer is about what the webhook was; its new URL has not been asked yet.
            continue;
        }
        match control.webhook_disable(tenant, webhook, DisabledReason::Gone).await {
            Ok(true) => tell_disabled(&outbound, tenant, webhook).await,
            Ok(false) => {}
            Err(error) => tracing::error!(%error, %webhook, "webhook.not_disabled"),
        }
    }
}

/// A crash between the two commits, webhook and event, would lose the event. Its id makes a second one the same.
async fn tell_again(outbound: &Arc<Outbound>) {
    let since = outbound.clock.now().minus(TOLD_AGAIN);
    for tenant in outbound.catalogue.tenants() {
        for webhook in tenant.webhooks.iter().filter(|webhook| webhook.disabled_at >= Some(since)) {
            tell_disabled(outbound, tenant.id, webhook.id).await;
        }
    }
}

async fn tell_disabled(outbound: &Arc<Outbound>, tenant: TenantId, webhook: WebhookId) {
    // Read anew each time: either may be gone by then.
    while let Some(tenant) = outbound.catalogue.tenant(tenant)
        && let Some(draft) = tenant.webhook(webhook).and_then(|webhook| disabled_draft(&tenant, webhook))
    {
        match outbound.publish(&tenant, vec![draft], Audience::Matching, None).await {
            Ok(_) => return,
            Err(error @ (StoreError::Overloaded | StoreError::Unavailable(_) | StoreError::Contended(_))) => {
                tracing::warn!(%error, %webhook, "webhook.disabled_waits");
                outbound.clock.sleep(limits::STORE_RETRY).await;
            }
            Err(error) => {
                tracing::error!(%error, %webhook, "webhook.disabled_not_published");
                return;
            }
        }
    }
}

/// `None`: it is on again, or nobody asked to be told.
fn disabled_draft(tenant: &Tenant, webhook: &Webhook) -> Option<Draft> {
    let (reason, at) = webhook.disabled_reason.zip(webhook.disabled_at)?;
    if !tenant.webhooks.iter().any(|other| other.patterns.names_exactly(WEBHOOK_DISABLED)) {
        return None;
    }
    let data = json!({
        "webhookId": webhook.id.to_string(),
        "webhookName": webhook.name,
        "url": webhook.url,
        "reason": reason.text(),
    });
    let mut draft = Draft::operational(WEBHOOK_DISABLED, at, data, 0);
    draft.external_id = Some(disabled_event_id(webhook, at));
    Some(draft)
}

fn disabled_event_id(webhook: &Webhook, at: Timestamp) -> String {
    format!("{WEBHOOK_DISABLED}:{}:{}", webhook.id, at.unix_ms()).replace('.', "-")
}

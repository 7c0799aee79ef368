//! What follows from what the outbound flow noticed but must not do itself: it writes no configuration.

use std::sync::Arc;
use std::time::Duration;

use postrider_domain::event::WEBHOOK_DISABLED;
use postrider_domain::limits;
use postrider_domain::time::Timestamp;
use postrider_store::StoreError;
use serde_json::json;
use tokio::sync::mpsc;

use crate::control::Control;
use crate::outbound::catalogue::{DisabledReason, Tenant, Webhook};
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
            Ok(true) => {
                if let Some(tenant) = outbound.catalogue.tenant(tenant)
                    && let Some(webhook) = tenant.webhook(webhook)
                {
                    tell_disabled(&outbound, &tenant, webhook).await;
                }
            }
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
            tell_disabled(outbound, &tenant, webhook).await;
        }
    }
}

async fn tell_disabled(outbound: &Arc<Outbound>, tenant: &Arc<Tenant>, webhook: &Webhook) {
    let (Some(reason), Some(at)) = (webhook.disabled_reason, webhook.disabled_at) else { return };
    if !tenant.webhooks.iter().any(|other| other.patterns.names_exactly(WEBHOOK_DISABLED)) {
        return;
    }
    let data = json!({
        "webhookId": webhook.id.to_string(),
        "webhookName": webhook.name,
        "url": webhook.url,
        "reason": reason.text(),
    });
    let mut draft = Draft::operational(WEBHOOK_DISABLED, at, data, 0);
    draft.external_id = Some(disabled_event_id(webhook, at));
    while let Err(error) = outbound.publish(tenant, vec![draft.clone()], Audience::Matching, None).await {
        tracing::error!(%error, webhook = %webhook.id, "webhook.disabled_not_published");
        if matches!(error, StoreError::Closed) {
            // Told at the next start.
            return;
        }
        outbound.clock.sleep(limits::STORE_RETRY).await;
    }
}

fn disabled_event_id(webhook: &Webhook, at: Timestamp) -> String {
    format!("{WEBHOOK_DISABLED}:{}:{}", webhook.id, at.unix_ms()).replace('.', "-")
}

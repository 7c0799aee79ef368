//! What somebody means who types something into the one search box.

use postrider_domain::event::OPERATIONAL_TYPES;
use postrider_domain::id::{DeliveryId, EventId, WebhookId};
use postrider_domain::pattern::Patterns;
use postrider_engine::catalogue::Tenant;
use postrider_store::{StoreError, StoredEvent};

use crate::visit::Visit;

/// What was found for a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Event(String),
    Delivery(DeliveryId),
    Webhook(WebhookId),
    /// A known type, in full.
    Type(String),
    /// Several types, which a pattern names.
    Types(Vec<String>),
    /// An HTTP code.
    Code(u16),
    /// None of these: text to look for in payloads.
    Text,
}

/// Ids go first, since nobody types one by chance; what may not be seen is not found.
pub(super) async fn find(visit: &Visit, text: &str) -> Result<Found, StoreError> {
    let tenant = visit.tenant();
    let sees_webhooks = visit.may_see_webhooks();
    if let Ok(id) = DeliveryId::parse(text)
        && sees_webhooks
        && visit.store().delivery_get(tenant.id, id).await?.is_some()
    {
        return Ok(Found::Delivery(id));
    }
    if let Ok(id) = WebhookId::parse(text)
        && sees_webhooks
        && tenant.webhook(id).is_some()
    {
        return Ok(Found::Webhook(id));
    }
    if let Some(event) = event(visit, text).await? {
        return Ok(Found::Event(event.external_id.unwrap_or_else(|| event.id.to_string())));
    }
    let types = types(tenant);
    if types.contains(&text) {
        return Ok(Found::Type(text.to_owned()));
    }
    if text.ends_with('*')
        && let Ok(patterns) = Patterns::parse(&[text.to_owned()])
    {
        let named: Vec<&str> = types.iter().copied().filter(|known| patterns.matches(known)).collect();
        return Ok(match named[..] {
            [one] => Found::Type(one.to_owned()),
            _ => Found::Types(named.into_iter().map(str::to_owned).collect()),
        });
    }
    if let Ok(status) = text.parse::<u16>()
        && (100..600).contains(&status)
        && text.len() == 3
        && sees_webhooks
    {
        return Ok(Found::Code(status));
    }
    Ok(Found::Text)
}

/// An event of the tenant, by the id that its publisher brought or by the one that was made for it.
pub(super) async fn event(visit: &Visit, id: &str) -> Result<Option<StoredEvent>, StoreError> {
    let (store, tenant) = (visit.store(), visit.tenant().id);
    if let Some(event) = store.event_find(tenant, id).await? {
        return Ok(Some(event));
    }
    match EventId::parse(id) {
        // An event that brought its own id is known by that one only.
        Ok(id) => Ok(store.event_get(tenant, id).await?.filter(|event| event.external_id.is_none())),
        Err(_) => Ok(None),
    }
}

/// All types that are known for a tenant, by name.
pub(crate) fn types(tenant: &Tenant) -> Vec<&str> {
    let own = tenant.profile().catalogue.types.iter().map(|known| known.name.as_str());
    let registered = tenant.types.keys().map(String::as_str);
    let mut types: Vec<&str> = own.chain(registered).chain(OPERATIONAL_TYPES).collect();
    types.sort_unstable();
    types.dedup();
    types
}

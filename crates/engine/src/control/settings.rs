//! A tenant's settings as a caller writes them, and `settings.webhook`: the one webhook of a single-webhook profile.

use postrider_domain::event;
use postrider_domain::id::WebhookId;
use postrider_domain::problem::{Code, Problem};
use postrider_domain::profile::Profile;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::catalogue::{Settings, Tenant};

/// A tenant may keep its payloads for ten years, not for ever.
const RETENTION_DAYS_MAX: u32 = 3650;

/// `settings.webhook` as it is read: never the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookSettings {
    pub id: WebhookId,
    pub url: String,
    pub enabled: bool,
    pub secret_set: bool,
}

/// `settings.webhook` of a tenant whose profile has one webhook; none: it has none, or the profile has many.
pub fn webhook_settings(tenant: &Tenant) -> Option<WebhookSettings> {
    if !tenant.profile().webhook.single {
        return None;
    }
    tenant.webhooks.first().map(|webhook| WebhookSettings {
        id: webhook.id,
        url: webhook.url.clone(),
        enabled: webhook.enabled,
        secret_set: !webhook.keys.is_empty(),
    })
}

/// What a change of `settings` says about the one webhook.
#[derive(Debug)]
pub(super) enum WebhookSetting {
    Untouched,
    Delete,
    Set(WebhookSet),
}

#[derive(Debug, Default)]
pub(super) struct WebhookSet {
    pub(super) url: Option<String>,
    pub(super) enabled: Option<bool>,
    /// `Some(None)`: removed.
    pub(super) secret: Option<Option<SecretString>>,
    pub(super) generate_secret: bool,
}

/// Takes `webhook` out of a change of `settings`.
pub(super) fn take_webhook(settings: &mut Map<String, Value>) -> Result<WebhookSetting, Problem> {
    let fields = match settings.shift_remove("webhook") {
        None => return Ok(WebhookSetting::Untouched),
        Some(Value::Null) => return Ok(WebhookSetting::Delete),
        Some(Value::Object(fields)) => fields,
        Some(_) => return Err(wrong_type("settings.webhook", "an object or null")),
    };
    let mut set = WebhookSet::default();
    for (name, value) in fields {
        let field = format!("settings.webhook.{name}");
        match (name.as_str(), value) {
            ("url", Value::Null) => return Ok(WebhookSetting::Delete),
            ("url", Value::String(url)) => set.url = Some(url),
            ("url", _) => return Err(wrong_type(&field, "text or null")),
            ("enabled", Value::Bool(enabled)) => set.enabled = Some(enabled),
            ("enabled", _) => return Err(wrong_type(&field, "true or false")),
            ("secret", Value::Null) => set.secret = Some(None),
            ("secret", Value::String(secret)) => set.secret = Some(Some(secret.into())),
            ("secret", _) => return Err(wrong_type(&field, "text or null")),
            ("generateSecret", Value::Bool(generate)) => set.generate_secret = generate,
            ("generateSecret", _) => return Err(wrong_type(&field, "true or false")),
            _ => {
                return Err(Problem::at(
                    Code::UnknownField,
                    field,
                    "`settings.webhook` has the fields url, enabled, secret and generateSecret.",
                ));
            }
        }
    }
    Ok(WebhookSetting::Set(set))
}

/// Merges a change into the settings (RFC 7396): null removes. `webhook` was taken out before.
pub(super) fn merged(
    settings: &Settings,
    change: Map<String, Value>,
    profile: &Profile,
) -> Result<Settings, Problem> {
    const NAMES: [&str; 7] = [
        "delivery",
        "scanAt",
        "requireHttps",
        "strictEventTypes",
        "exposedEventTypes",
        "schema",
        "retentionDays",
    ];
    let mut merged = match serde_json::to_value(settings) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    for (name, value) in change {
        if !NAMES.contains(&name.as_str()) {
            return Err(Problem::at(
                Code::UnknownField,
                format!("settings.{name}"),
                format!("There is no such setting. Settings are {} and webhook.", NAMES.join(", ")),
            ));
        }
        if value.is_null() {
            merged.shift_remove(&name);
            continue;
        }
        // One at a time, so that the refusal names the one at fault.
        let alone: Map<String, Value> = [(name.clone(), value.clone())].into_iter().collect();
        if let Err(error) = serde_json::from_value::<Settings>(Value::Object(alone)) {
            return Err(Problem::at(Code::InvalidField, format!("settings.{name}"), format!("{error}.")));
        }
        merged.insert(name, value);
    }
    let merged: Settings = serde_json::from_value(Value::Object(merged))
        .map_err(|error| Problem::at(Code::InvalidField, "settings", format!("{error}.")))?;
    check(&merged, profile)?;
    Ok(merged)
}

fn check(settings: &Settings, profile: &Profile) -> Result<(), Problem> {
    if settings.retention_days.is_some_and(|days| !(1..=RETENTION_DAYS_MAX).contains(&days)) {
        return Err(Problem::at(
            Code::InvalidField,
            "settings.retentionDays",
            format!("Payloads are kept for 1 to {RETENTION_DAYS_MAX} days."),
        ));
    }
    for (at, name) in settings.exposed_event_types.iter().flatten().enumerate() {
        let known =
            if profile.catalogue.open { event::is_event_type(name) } else { profile.catalogue.has(name) };
        if !known {
            return Err(Problem::at(
                Code::UnknownEventType,
                format!("settings.exposedEventTypes[{at}]"),
                format!(
                    "The profile has no such event type. The nearest are {}.",
                    profile.catalogue.nearest(name)
                ),
            ));
        }
    }
    Ok(())
}

/// For a profile whose webhooks are not kept in the settings.
pub(super) fn refuse_webhook(profile: &Profile) -> Result<(), Problem> {
    if profile.webhook.single {
        return Ok(());
    }
    Err(Problem::at(
        Code::InvalidField,
        "settings.webhook",
        "A tenant of this profile can have many webhooks: use /v1/webhooks.",
    ))
}

fn wrong_type(field: &str, wanted: &str) -> Problem {
    Problem::at(Code::InvalidField, field, format!("Expected {wanted}."))
}

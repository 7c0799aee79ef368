//! `/v1/tenants`: the customers of the product team.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod update;

use postrider_domain::problem::Warning;
use postrider_domain::time::Timestamp;
use postrider_engine::catalogue::Tenant;
use postrider_engine::control::{TenantChanged, webhook_settings};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::shape::{Field, Kind, Shape};
use crate::v1::WARNING;

pub(crate) static TENANT: Shape = Shape {
    name: "Tenant",
    fields: &[
        Field::new("id", Kind::Text, "The id that the caller brought, or one that was made.").required(),
        Field::new("name", Kind::Text, "Stands in the bodies of some profiles.").required(),
        Field::new("profile", Kind::Text, "The wire contract.").required(),
        Field::new("plan", Kind::Text, "What the tenant pays for; some profiles ask for one.")
            .required()
            .nullable(),
        Field::new("timezone", Kind::Text, "IANA name.").required(),
        Field::new("attributes", Kind::AnyObject, "Values that profiles put into bodies.").required(),
        Field::new("settings", Kind::Object(&SETTINGS), "How the tenant's events are treated.").required(),
        Field::new("createdAt", Kind::Time, "When it was created.").required(),
        Field::new("updatedAt", Kind::Time, "When its configuration last changed.").required(),
        Field::new(
            "warnings",
            Kind::List(&Kind::Object(&WARNING)),
            "What is worth knowing about the change.",
        ),
    ],
};

static SETTINGS: Shape = Shape {
    name: "TenantSettings",
    fields: &[
        DELIVERY,
        SCAN_AT,
        REQUIRE_HTTPS,
        STRICT_EVENT_TYPES,
        EXPOSED_EVENT_TYPES,
        SCHEMA_MODE,
        RETENTION_DAYS,
        Field::new("webhook", Kind::Object(&WEBHOOK), "Where the profile allows one webhook: that webhook.")
            .nullable(),
    ],
};

static WEBHOOK: Shape = Shape {
    name: "TenantWebhook",
    fields: &[
        Field::new("id", Kind::Text, "Its id under `/v1/webhooks`.").required(),
        Field::new("url", Kind::Text, "Where events go.").required(),
        Field::new("enabled", Kind::Bool, "Whether events go there.").required(),
        Field::new("secretSet", Kind::Bool, "Whether requests are signed.").required(),
        Field::new("secret", Kind::Text, "The signing secret, in the answer that made it and never again."),
        Field::new("secretShown", Kind::Bool, "True in a repeated answer whose secret was shown before."),
    ],
};

/// `settings` as they are written: null removes a setting.
pub(crate) static SETTINGS_CHANGE: Shape = Shape {
    name: "TenantSettingsChange",
    fields: &[
        DELIVERY,
        SCAN_AT,
        REQUIRE_HTTPS,
        STRICT_EVENT_TYPES,
        EXPOSED_EVENT_TYPES,
        SCHEMA_MODE,
        RETENTION_DAYS,
        Field::new(
            "webhook",
            Kind::Object(&WEBHOOK_CHANGE),
            "Where the profile allows one webhook: that webhook. Null deletes it.",
        )
        .nullable(),
    ],
};

static WEBHOOK_CHANGE: Shape = Shape {
    name: "TenantWebhookChange",
    fields: &[
        Field::new("url", Kind::Text, "Where events go: http or https."),
        Field::new("enabled", Kind::Bool, "Whether events go there; true when it is new."),
        Field::new("secret", Kind::Text, "The signing secret. Null removes it.").nullable(),
        Field::new("generateSecret", Kind::Bool, "Make a signing secret and show it in the answer."),
    ],
};

const DELIVERY: Field = Field::new(
    "delivery",
    Kind::Word(&["immediate", "scan"]),
    "When events go out; the profile's way when absent.",
)
.nullable();
const SCAN_AT: Field =
    Field::new("scanAt", Kind::Text, "`HH:MM` of the daily scan, in the tenant's zone.").nullable();
const REQUIRE_HTTPS: Field =
    Field::new("requireHttps", Kind::Bool, "Refuse webhooks whose URL is not https.").nullable();
const STRICT_EVENT_TYPES: Field =
    Field::new("strictEventTypes", Kind::Bool, "In an open catalogue: refuse types that are not registered.")
        .nullable();
const EXPOSED_EVENT_TYPES: Field = Field::new(
    "exposedEventTypes",
    Kind::List(&Kind::Text),
    "The types of the profile that this tenant's product has; all when absent.",
)
.nullable();
const SCHEMA_MODE: Field = Field::new(
    "schema",
    Kind::Word(&["off", "warn", "reject"]),
    "What happens to data that violates its schema; the profile's way when absent.",
)
.nullable();
const RETENTION_DAYS: Field = Field::new(
    "retentionDays",
    Kind::Count,
    "Days for which payloads and attempts are kept; 30 when absent.",
)
.nullable();

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct View<'a> {
    id: &'a str,
    name: &'a str,
    profile: &'a str,
    plan: Option<&'a str>,
    timezone: String,
    attributes: &'a Map<String, Value>,
    settings: Value,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<&'a [Warning]>,
}

impl<'a> View<'a> {
    pub(crate) fn of(tenant: &'a Tenant) -> Self {
        let values = &tenant.pinned.values;
        Self {
            id: &tenant.public_id,
            name: &values.name,
            profile: &tenant.profile().name,
            plan: tenant.plan.as_deref(),
            timezone: values.timezone.iana_name().unwrap_or("UTC").to_owned(),
            attributes: &values.attributes,
            settings: settings(tenant),
            created_at: tenant.created,
            updated_at: tenant.updated,
            warnings: None,
        }
    }

    /// After a change, with a secret that this change made.
    pub(crate) fn of_change(changed: &'a TenantChanged) -> Self {
        let secret = changed.secret.as_ref().map(SecretString::expose_secret);
        Self::of_change_with(changed, "secret", secret.map(Value::from))
    }

    /// As it is kept for a repetition: a secret is shown once.
    pub(crate) fn of_repetition(changed: &'a TenantChanged) -> Self {
        Self::of_change_with(changed, "secretShown", changed.secret.as_ref().map(|_| Value::from(true)))
    }

    fn of_change_with(changed: &'a TenantChanged, name: &str, value: Option<Value>) -> Self {
        let mut view = Self::of(&changed.tenant);
        view.warnings = Some(&changed.warnings);
        let webhook = view.settings.get_mut("webhook").and_then(Value::as_object_mut);
        if let (Some(webhook), Some(value)) = (webhook, value) {
            webhook.insert(name.to_owned(), value);
        }
        view
    }
}

fn settings(tenant: &Tenant) -> Value {
    let mut settings = json!(tenant.settings);
    if tenant.profile().webhook.single
        && let Some(settings) = settings.as_object_mut()
    {
        settings.insert("webhook".to_owned(), json!(webhook_settings(tenant)));
    }
    settings
}

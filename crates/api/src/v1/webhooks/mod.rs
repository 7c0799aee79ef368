//! `/v1/webhooks`: a tenant's registrations of URLs.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod recover;
pub(crate) mod rotate;
pub(crate) mod stats;
pub(crate) mod test;
pub(crate) mod update;

use std::sync::Arc;

use postrider_domain::id::WebhookId;
use postrider_domain::problem::{Code, Problem, Warning};
use postrider_domain::time::Timestamp;
use postrider_engine::catalogue::{DisabledReason, Webhook};
use postrider_engine::control::{WebhookChanged, webhook_warnings};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::endpoint::Call;
use crate::shape::{Field, Kind, Shape};
use crate::v1::WARNING;

/// Stands for a header's value in every answer: the values often hold credentials. Sent back in a change, it keeps
/// the value that is stored, so that a webhook can be read, changed and written as a whole.
pub(crate) const MASK: &str = "********";

pub(crate) static WEBHOOK: Shape = Shape {
    name: "Webhook",
    fields: &[
        Field::new("id", Kind::Text, "`wh_…`").required(),
        Field::new("name", Kind::Text, "What people call it.").required(),
        Field::new("url", Kind::Text, "Where events go.").required(),
        Field::new("events", Kind::List(&Kind::Text), "Patterns: a type, `prefix.*`, or `*`.").required(),
        Field::new("headers", Kind::Map(&Kind::Text), "Headers of every request; values are masked.")
            .required(),
        Field::new("description", Kind::Text, "For people.").required(),
        Field::new("enabled", Kind::Bool, "Whether events go there.").required(),
        Field::new("disabledReason", Kind::Text, "Why Postrider switched it off.").required().nullable(),
        Field::new("disabledAt", Kind::Time, "When Postrider switched it off.").required().nullable(),
        Field::new("secretSet", Kind::Bool, "Whether requests are signed.").required(),
        Field::new("secretPending", Kind::Bool, "Whether a new secret waits to be used.").required(),
        Field::new("secret", Kind::Text, "The signing secret, in the answer that set it and never again."),
        Field::new("secretShown", Kind::Bool, "True in a repeated answer whose secret was shown before."),
        Field::new("createdAt", Kind::Time, "When it was created.").required(),
        Field::new("updatedAt", Kind::Time, "When it last changed.").required(),
        Field::new("warnings", Kind::List(&Kind::Object(&WARNING)), "What is worth knowing.").required(),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct View<'a> {
    id: WebhookId,
    name: &'a str,
    url: &'a str,
    events: Vec<String>,
    headers: Map<String, Value>,
    description: &'a str,
    enabled: bool,
    disabled_reason: Option<&'a str>,
    disabled_at: Option<Timestamp>,
    secret_set: bool,
    secret_pending: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    secret_shown: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
    warnings: Vec<Warning>,
}

impl<'a> View<'a> {
    /// As it is at `now`.
    pub(crate) fn of(webhook: &'a Webhook, now: Timestamp) -> Self {
        let masked = |(name, _): &(String, String)| (name.clone(), Value::from(MASK));
        Self {
            id: webhook.id,
            name: &webhook.name,
            url: &webhook.url,
            events: webhook.patterns.as_strings(),
            headers: webhook.headers.iter().map(masked).collect(),
            description: &webhook.description,
            enabled: webhook.enabled,
            disabled_reason: webhook.disabled_reason.map(DisabledReason::as_str),
            disabled_at: webhook.disabled_at,
            secret_set: !webhook.keys.is_empty(),
            secret_pending: webhook.secret_pending(now),
            secret: None,
            secret_shown: false,
            created_at: webhook.created,
            updated_at: webhook.updated,
            warnings: webhook_warnings(webhook),
        }
    }

    /// After a change, with the secret that is to be shown now.
    pub(crate) fn of_change(changed: &'a WebhookChanged) -> Self {
        Self {
            secret: changed.secret.as_ref().map(SecretString::expose_secret),
            warnings: changed.warnings.clone(),
            ..Self::of(&changed.webhook, changed.webhook.updated)
        }
    }

    /// As it is kept for a repetition: a secret is shown once.
    pub(crate) fn of_repetition(changed: &'a WebhookChanged) -> Self {
        Self {
            secret_shown: changed.secret.is_some(),
            warnings: changed.warnings.clone(),
            ..Self::of(&changed.webhook, changed.webhook.updated)
        }
    }
}

/// The webhook in the path.
pub(crate) fn in_path(call: &Call) -> Result<Arc<Webhook>, Problem> {
    let id = call.id("webhook", "webhook", WebhookId::parse)?;
    call.tenant().webhook(id).cloned().ok_or_else(|| Problem::not_found("webhook"))
}

/// Headers as they were sent, with masked values put back.
fn unmask(sent: Vec<(String, String)>, webhook: &Webhook) -> Result<Vec<(String, String)>, Problem> {
    let put_back = |(name, value): (String, String)| {
        if value != MASK {
            return Ok((name, value));
        }
        let kept = webhook.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name));
        match kept {
            Some((_, value)) => Ok((name, value.clone())),
            None => Err(Problem::at(
                Code::HeaderInvalid,
                format!("headers.{name}"),
                format!(
                    "`{MASK}` stands for a value that is stored, and none is stored for `{name}`. Send the value."
                ),
            )),
        }
    };
    sent.into_iter().map(put_back).collect()
}

//! `/v1/workflows/{workflow}/triggers`: what starts runs.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod hook;
pub(crate) mod list;
pub(crate) mod rotate_secret;
pub(crate) mod rotate_slug;
pub(crate) mod test;
pub(crate) mod update;

use std::sync::Arc;

use postrider_domain::id::TriggerId;
use postrider_domain::problem::{Problem, Warning};
use postrider_domain::run::TriggerKind;
use postrider_domain::time::Timestamp;
use postrider_engine::control::{Role, TriggerChanged};
use postrider_engine::inbound::registered::RegisteredWorkflow;
use postrider_engine::inbound::trigger::Trigger;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::workflows;
use crate::endpoint::Call;
use crate::json::Fields;
use crate::shape::{Field, Kind, Shape};
use crate::v1::WARNING;

/// The next times of a trigger's clock that are shown.
const NEXT_TIMES: usize = 5;

pub(crate) static TRIGGER: Shape = Shape {
    name: "Trigger",
    fields: &[
        Field::new("id", Kind::Text, "`trg_…`").required(),
        Field::new("workflow", Kind::Text, "The workflow's name.").required(),
        Field::new("type", Kind::Word(&["webhook", "cron", "event", "manual"]), "What starts runs.")
            .required(),
        Field::new("name", Kind::Text, "What people call it.").required(),
        Field::new("enabled", Kind::Bool, "Whether it starts runs.").required(),
        Field::new(
            "webhookUrl",
            Kind::Text,
            "Of a webhook: where requests go. Nobody guesses it; viewers do not see it.",
        ),
        Field::new("secretSet", Kind::Bool, "Of a webhook: whether it has a secret."),
        Field::new("secret", Kind::Text, "In the answer that set it and never again."),
        Field::new("secretShown", Kind::Bool, "True in a repeated answer whose secret was shown before."),
        Field::new("verification", Kind::AnyObject, "Of a webhook: `{preset, tolerance?, scheme?}`."),
        Field::new(
            "filter",
            Kind::Text,
            "CEL over `input`, `headers`, `method`, `query`: what it does not hold for starts nothing.",
        ),
        Field::new(
            "dedup",
            Kind::Any,
            "Of a webhook: `{\"header\": …}`, `{\"expression\": …}` or `\"none\"`; the preset's own when absent.",
        ),
        Field::new("rateLimit", Kind::AnyObject, "Of a webhook: `{perSecond, burst?}`."),
        Field::new(
            "allowedAddresses",
            Kind::List(&Kind::Text),
            "Of a webhook: addresses and networks that may send.",
        ),
        Field::new("methods", Kind::List(&Kind::Text), "Of a webhook: the methods that it takes."),
        Field::new("maxBytes", Kind::Count, "Of a webhook: the longest body that it takes."),
        Field::new(
            "respond",
            Kind::Word(&["accepted", "wait"]),
            "Of a webhook: whether the answer waits for the run.",
        ),
        Field::new("waitSeconds", Kind::Count, "Of a webhook: how long it waits at most."),
        Field::new("cron", Kind::Text, "Of a clock: five fields."),
        Field::new("every", Kind::Text, "Of a clock: an interval such as `15m`."),
        Field::new("timezone", Kind::Text, "Of a clock: an IANA zone."),
        Field::new("catchUp", Kind::Any, "Of a clock: `\"none\"`, `\"latest\"` or `{\"all\": n}`."),
        Field::new(
            "overlap",
            Kind::Word(&["skip", "queue"]),
            "Of a clock: what becomes of a time while a run is not done.",
        ),
        Field::new("nextTimes", Kind::List(&Kind::Time), "Of a clock: its next five times."),
        Field::new("input", Kind::Any, "Of a clock: what its runs begin with."),
        Field::new("events", Kind::List(&Kind::Text), "Of events: patterns."),
        Field::new("createdAt", Kind::Time, "When it was created.").required(),
        Field::new("updatedAt", Kind::Time, "When it last changed.").required(),
        Field::new("warnings", Kind::List(&Kind::Object(&WARNING)), "What is worth knowing.").required(),
    ],
};

pub(crate) static VERIFICATION: Shape = Shape {
    name: "NewVerification",
    fields: &[
        Field::new("preset", Kind::Text, "A provider such as `github` or `stripe`, `custom`, or `none`.")
            .required(),
        Field::new(
            "secrets",
            Kind::List(&Kind::Text),
            "What requests are verified with; any of them may match.",
        ),
        Field::new(
            "tolerance",
            Kind::Count,
            "Seconds that a signed time may be off; the preset's own when absent.",
        ),
        Field::new("verifyToken", Kind::Text, "What a handshake has to say, for presets that have one."),
        Field::new("scheme", Kind::AnyObject, "Of `custom`: how requests are signed."),
    ],
};

/// Members that are part of a trigger's settings, as they are sent.
const SETTINGS: [&str; 15] = [
    "filter",
    "dedup",
    "rateLimit",
    "allowedAddresses",
    "methods",
    "maxBytes",
    "respond",
    "waitSeconds",
    "cron",
    "every",
    "timezone",
    "catchUp",
    "overlap",
    "input",
    "events",
];

/// What a request says of verification and settings.
pub(crate) struct Said {
    pub(crate) secrets: Option<Vec<SecretString>>,
    pub(crate) verify_token: Option<SecretString>,
    pub(crate) settings: Map<String, Value>,
}

pub(crate) fn said(fields: &mut Fields) -> Said {
    let mut secrets: Option<Vec<SecretString>> = None;
    let mut verify_token = None;
    let mut settings = Map::new();
    let nulled = fields.given("verification");
    match fields.any("verification") {
        Some(Value::Object(mut verification)) => {
            if let Some(Value::Array(given)) = verification.shift_remove("secrets") {
                let texts = given.into_iter().filter_map(|text| text.as_str().map(str::to_owned));
                secrets = Some(texts.map(SecretString::from).collect());
            }
            if let Some(Value::String(token)) = verification.shift_remove("verifyToken") {
                verify_token = Some(SecretString::from(token));
            }
            settings.insert("verification".to_owned(), Value::Object(verification));
        }
        _ if nulled => drop(settings.insert("verification".to_owned(), Value::Null)),
        _ => {}
    }
    if let Some(secret) = fields.text("secret") {
        secrets.get_or_insert_default().insert(0, SecretString::from(secret));
    }
    for name in SETTINGS {
        if fields.given(name) {
            settings.insert(name.to_owned(), fields.any(name).unwrap_or(Value::Null));
        }
    }
    Said { secrets, verify_token, settings }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct View {
    id: String,
    workflow: String,
    r#type: &'static str,
    name: String,
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_set: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    secret_shown: bool,
    #[serde(flatten)]
    settings: Map<String, Value>,
    created_at: String,
    updated_at: String,
    warnings: Vec<Warning>,
}

impl View {
    pub(crate) fn of(call: &Call, workflow: &RegisteredWorkflow, trigger: &Trigger) -> Self {
        let shown = Self::at(&call.app.public_url, call.app.engine.clock().now(), workflow, trigger);
        // Who has the URL may send: viewers read.
        let may_send = call.key().role != Role::Viewer;
        Self { webhook_url: shown.webhook_url.filter(|_| may_send), ..shown }
    }

    fn at(public_url: &str, now: Timestamp, workflow: &RegisteredWorkflow, trigger: &Trigger) -> Self {
        let mut settings = match serde_json::to_value(&trigger.settings) {
            Ok(Value::Object(settings)) => settings,
            _ => Map::new(),
        };
        let is_webhook = trigger.kind == TriggerKind::Webhook;
        if is_webhook {
            settings.insert("methods".to_owned(), json!(trigger.methods()));
            settings.insert("maxBytes".to_owned(), json!(trigger.body_bytes_max()));
            settings.entry("respond").or_insert_with(|| json!("accepted"));
        }
        if trigger.kind == TriggerKind::Cron {
            let next: Vec<String> =
                trigger.next_times(now, NEXT_TIMES).iter().map(ToString::to_string).collect();
            settings.insert("nextTimes".to_owned(), json!(next));
            settings.entry("catchUp").or_insert_with(|| json!("latest"));
            settings.entry("overlap").or_insert_with(|| json!("skip"));
        }
        Self {
            id: trigger.id.to_string(),
            workflow: workflow.name.clone(),
            r#type: trigger.kind.as_str(),
            name: trigger.name.clone(),
            enabled: trigger.enabled,
            webhook_url: trigger.slug.as_ref().map(|slug| hook::url(public_url, slug)),
            secret_set: is_webhook.then_some(!trigger.verifiers.is_empty()),
            secret: None,
            secret_shown: false,
            settings,
            created_at: trigger.created.to_string(),
            updated_at: trigger.updated.to_string(),
            warnings: Vec::new(),
        }
    }

    /// After a change, with the secret that is to be shown now.
    pub(crate) fn of_change(public_url: &str, now: Timestamp, changed: &TriggerChanged) -> Self {
        Self {
            secret: changed.secret.as_ref().map(|secret| secret.expose_secret().to_owned()),
            warnings: changed.warnings.clone(),
            ..Self::at(public_url, now, &changed.workflow, &changed.trigger)
        }
    }

    /// As it is kept for a repetition: a secret is shown once.
    pub(crate) fn of_repetition(public_url: &str, now: Timestamp, changed: &TriggerChanged) -> Self {
        Self {
            secret_shown: changed.secret.is_some(),
            warnings: changed.warnings.clone(),
            ..Self::at(public_url, now, &changed.workflow, &changed.trigger)
        }
    }
}

/// The trigger in the path, and its workflow.
pub(crate) fn in_path(call: &Call) -> Result<(Arc<RegisteredWorkflow>, Arc<Trigger>), Problem> {
    let workflow = workflows::in_path(call)?;
    let id = call.id("trigger", "trigger", TriggerId::parse)?;
    let found = call.tenant().inbound.trigger(id).filter(|trigger| trigger.workflow == workflow.id).cloned();
    Ok((workflow, found.ok_or_else(|| Problem::not_found("trigger"))?))
}

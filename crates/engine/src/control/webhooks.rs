//! Webhooks: what may be registered, and what follows when one is switched on, off, or deleted.

use std::sync::Arc;

use postrider_domain::delivery::Reason;
use postrider_domain::id::{TenantId, WebhookId};
use postrider_domain::limits;
use postrider_domain::pattern::Patterns;
use postrider_domain::problem::{Code, Problem, Warning};
use postrider_domain::profile::{DeliveryMode, OnDisable, Profile, SecretRule};
use postrider_domain::time::Timestamp;
use postrider_egress::{HeaderRefusalKind, Target, UrlRefusal, check_headers};
use postrider_store::config::{ConfigWrite, Over, SecretRow, TenantWrite, WebhookRow, WebhookWrite};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::audit::Act;
use super::change::{After, Turn, WebhookAfter};
use super::{Actor, Control, Created, Repeatable, Role, assemble, check, secrets};
use crate::catalogue::{DisabledReason, Tenant, Webhook};
use crate::error::EngineError;
use crate::outbound::ingest;
use crate::outbound::lanes::WebhookChange;

/// `POST /v1/webhooks`.
#[derive(Clone, Default)]
pub struct NewWebhook {
    /// Absent: the host of the URL.
    pub name: Option<String>,
    pub url: String,
    /// Absent only where the profile's webhooks take every event.
    pub events: Option<Vec<String>>,
    pub secret: Option<SecretString>,
    pub generate_secret: bool,
    pub headers: Vec<(String, String)>,
    pub description: Option<String>,
    /// Absent: on.
    pub enabled: Option<bool>,
}

/// `PATCH /v1/webhooks/{id}`: what is absent stays.
#[derive(Clone, Default)]
pub struct WebhookPatch {
    pub name: Option<String>,
    pub url: Option<String>,
    pub events: Option<Vec<String>>,
    /// Replaces every secret at once; `Some(None)` removes them. For a change without a gap there is the rotation.
    pub secret: Option<Option<SecretString>>,
    pub generate_secret: bool,
    /// Replaces all headers.
    pub headers: Option<Vec<(String, String)>>,
    /// `Some(None)`: no description.
    pub description: Option<Option<String>>,
    pub enabled: Option<bool>,
}

/// Without URL and headers: both may hold credentials.
impl std::fmt::Debug for NewWebhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewWebhook").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Without URL and headers: both may hold credentials.
impl std::fmt::Debug for WebhookPatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookPatch").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The answer to a webhook's creation, change or rotation.
#[derive(Debug, Clone)]
pub struct WebhookChanged {
    pub tenant: Arc<Tenant>,
    pub webhook: Arc<Webhook>,
    /// To be shown now and never again.
    pub secret: Option<SecretString>,
    pub warnings: Vec<Warning>,
}

/// A webhook as it is to be written, and what follows.
pub(super) struct Draft {
    pub(super) row: WebhookRow,
    pub(super) secrets: Option<Vec<SecretRow>>,
    pub(super) shown: Option<SecretString>,
    pub(super) warnings: Vec<Warning>,
    pub(super) act: Act,
    pub(super) after: Option<WebhookAfter>,
}

const WRITERS: [Role; 2] = [Role::Operator, Role::Admin];

impl Control {
    /// Registers a URL: operator, or admin of the tenant.
    pub async fn webhook_create(
        &self,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        new: NewWebhook,
        again: Option<Repeatable<'_, WebhookChanged>>,
    ) -> Result<Created<WebhookChanged>, EngineError> {
        actor.require(&WRITERS, Some(tenant.id))?;
        let turn = self.turn().await;
        if let Some(answer) = self.repeated(again.as_ref()).await? {
            return Ok(Created::Replayed(answer));
        }
        let tenant = self.tenant_now(tenant.id).await?;
        check_plan(&tenant)?;
        let draft = self.webhook_new(&tenant, new, self.now())?;
        self.webhook_commit(turn, actor, &tenant, draft, again.as_ref()).await.map(Created::Fresh)
    }

    /// What [`Self::webhook_create`] would say, and nothing is made.
    ///
    /// # Errors
    /// Those of the creation.
    pub async fn webhook_check(
        &self,
        actor: &Actor,
        tenant: &Tenant,
        new: NewWebhook,
    ) -> Result<Vec<Warning>, EngineError> {
        actor.require(&WRITERS, Some(tenant.id))?;
        check_plan(tenant)?;
        let draft = self.webhook_new(tenant, new, self.now())?;
        self.warnings_of(tenant, draft).await
    }

    /// What [`Self::webhook_update`] would say, and nothing is changed.
    ///
    /// # Errors
    /// Those of the change.
    pub async fn webhook_check_change(
        &self,
        actor: &Actor,
        tenant: &Tenant,
        webhook: WebhookId,
        patch: WebhookPatch,
    ) -> Result<Vec<Warning>, EngineError> {
        actor.require(&WRITERS, Some(tenant.id))?;
        check_plan(tenant)?;
        let (row, secrets) = self.webhook_rows(tenant, webhook).await?;
        let draft = self.webhook_patched(tenant, row, secrets, patch, self.now())?;
        self.warnings_of(tenant, draft).await
    }

    async fn warnings_of(&self, tenant: &Tenant, draft: Draft) -> Result<Vec<Warning>, EngineError> {
        let (_, webhook) = self.with_draft(tenant, &draft, self.now()).await?;
        Ok([webhook_warnings(&webhook), draft.warnings].concat())
    }

    /// Changes a webhook: operator, or admin of the tenant.
    pub async fn webhook_update(
        &self,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        webhook: WebhookId,
        patch: WebhookPatch,
    ) -> Result<WebhookChanged, EngineError> {
        actor.require(&WRITERS, Some(tenant.id))?;
        let turn = self.turn().await;
        let tenant = self.tenant_now(tenant.id).await?;
        check_plan(&tenant)?;
        let (row, secrets) = self.webhook_rows(&tenant, webhook).await?;
        let draft = self.webhook_patched(&tenant, row, secrets, patch, self.now())?;
        self.webhook_commit(turn, actor, &tenant, draft, None).await
    }

    /// Deletes a webhook: operator, or admin of the tenant. What is scheduled for it is cancelled; its history stays, and the
    /// audit keeps how it was.
    pub async fn webhook_delete(
        &self,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        webhook: WebhookId,
    ) -> Result<(), EngineError> {
        actor.require(&WRITERS, Some(tenant.id))?;
        let turn = self.turn().await;
        let tenant = self.tenant_now(tenant.id).await?;
        let (row, _) = self.webhook_rows(&tenant, webhook).await?;
        let draft = self.webhook_deleted(row, self.now())?;
        self.webhook_commit(turn, actor, &tenant, draft, None).await.map(drop)
    }

    /// By the engine itself. False: it was off or gone already.
    pub async fn webhook_disable(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        reason: DisabledReason,
    ) -> Result<bool, EngineError> {
        let turn = self.turn().await;
        let tenant = match self.tenant_now(tenant).await {
            Err(EngineError::Refused(_)) => return Ok(false),
            tenant => tenant?,
        };
        if tenant.webhook(webhook).is_none_or(|webhook| !webhook.enabled) {
            return Ok(false);
        }
        let (mut row, _) = self.webhook_rows(&tenant, webhook).await?;
        let now = self.now();
        row.enabled = false;
        row.disabled = Some(now);
        row.disabled_reason = Some(reason.code());
        row.updated = now;
        let draft = Draft {
            act: Act {
                action: "webhook.disabled",
                target: webhook.to_string(),
                before: Some(json!({ "enabled": true })),
                after: Some(json!({ "enabled": false, "reason": reason.text() })),
            },
            after: Some(switched_off(&tenant, webhook)),
            secrets: None,
            shown: None,
            warnings: Vec::new(),
            row,
        };
        self.webhook_commit(turn, &Actor::postrider(), &tenant, draft, None).await?;
        Ok(true)
    }

    /// The rows of one of the tenant's webhooks. `not_found` for a deleted one, and for another tenant's.
    pub(super) async fn webhook_rows(
        &self,
        tenant: &Tenant,
        webhook: WebhookId,
    ) -> Result<(WebhookRow, Vec<SecretRow>), EngineError> {
        if tenant.webhook(webhook).is_none() {
            return Err(Problem::not_found("webhook").into());
        }
        let row = self.store().webhook_get(tenant.id, webhook).await?;
        let row = row.filter(|row| row.deleted.is_none()).ok_or_else(|| Problem::not_found("webhook"))?;
        Ok((row, self.store().webhook_secrets(tenant.id, webhook).await?))
    }

    /// Decides about a new webhook of `tenant`.
    pub(super) fn webhook_new(
        &self,
        tenant: &Tenant,
        new: NewWebhook,
        now: Timestamp,
    ) -> Result<Draft, Problem> {
        let profile = tenant.profile();
        if profile.webhook.single && !tenant.webhooks.is_empty() {
            return Err(Problem::new(
                Code::SingleWebhook,
                "A tenant of this profile has one webhook, and this one has it already. Change that one.",
            ));
        }
        if tenant.webhooks.len() >= limits::WEBHOOKS_PER_TENANT_MAX {
            return Err(Problem::new(
                Code::WebhookLimit,
                format!(
                    "A tenant has at most {} webhooks. Delete one first.",
                    limits::WEBHOOKS_PER_TENANT_MAX
                ),
            ));
        }
        let target = self.check_url(tenant, &new.url)?;
        let name = match new.name {
            Some(name) => {
                check::name("name", &name)?;
                name
            }
            None => default_name(&target),
        };
        let patterns = check_events(tenant, new.events)?;
        check_header_list(profile, &new.headers)?;
        let description = new.description.unwrap_or_default();
        check::description(&description)?;
        let secret = self.secret_for(profile, new.secret, new.generate_secret)?;
        let id = WebhookId::new(now, self.random());
        let enabled = new.enabled.unwrap_or(true);
        let row = WebhookRow {
            tenant: tenant.id,
            id,
            name,
            url: target.as_str().to_owned(),
            events: patterns_json(&patterns),
            headers: self.seal_headers(id, &new.headers),
            description,
            enabled,
            disabled_reason: None,
            disabled: (!enabled).then_some(now),
            single: profile.webhook.single,
            created: now,
            updated: now,
            deleted: None,
        };
        let rows = secret.iter().map(|secret| self.secret_row(tenant.id, id, &secret.text, now)).collect();
        let state = self.audit_state(&row, &new.headers, secret.is_some());
        Ok(Draft {
            act: Act { action: "webhook.created", target: id.to_string(), before: None, after: Some(state) },
            row,
            secrets: Some(rows),
            shown: secret.as_ref().map(|secret| secret.text.clone()),
            warnings: secret.map(|secret| secret.warnings).unwrap_or_default(),
            after: None,
        })
    }

    /// Decides about a change of a webhook.
    pub(super) fn webhook_patched(
        &self,
        tenant: &Tenant,
        mut row: WebhookRow,
        secrets: Vec<SecretRow>,
        patch: WebhookPatch,
        now: Timestamp,
    ) -> Result<Draft, EngineError> {
        let profile = tenant.profile();
        let headers_before = assemble::headers(self.store(), &row)?;
        let before = self.audit_state(&row, &headers_before, !secrets.is_empty());
        if let Some(url) = patch.url {
            row.url = self.check_url(tenant, &url)?.as_str().to_owned();
        }
        if let Some(name) = patch.name {
            check::name("name", &name)?;
            row.name = name;
        }
        if let Some(events) = patch.events {
            row.events = patterns_json(&check_events(tenant, Some(events))?);
        }
        if let Some(description) = patch.description {
            row.description = description.unwrap_or_default();
            check::description(&row.description)?;
        }
        let headers = match patch.headers {
            Some(headers) => {
                check_header_list(profile, &headers)?;
                row.headers = self.seal_headers(row.id, &headers);
                headers
            }
            None => headers_before,
        };
        let mut draft_secrets = None;
        let mut shown = None;
        let mut warnings = Vec::new();
        match (patch.secret, patch.generate_secret) {
            (None, false) => {}
            (Some(None), false) if profile.signature.secret == SecretRule::Optional => {
                draft_secrets = Some(Vec::new())
            }
            (Some(None), _) => {
                return Err(Problem::at(
                    Code::SecretInvalid,
                    "secret",
                    "This profile's webhooks always sign. Give another secret, or rotate.",
                )
                .into());
            }
            (given, generate) => {
                let new = self.secret_for(profile, given.flatten(), generate)?;
                let new = new.expect("because a secret was given or asked for");
                draft_secrets = Some(vec![self.secret_row(tenant.id, row.id, &new.text, now)]);
                warnings = new.warnings;
                shown = Some(new.text);
            }
        }
        let after = match patch.enabled {
            Some(enabled) if enabled != row.enabled => {
                row.enabled = enabled;
                row.disabled = (!enabled).then_some(now);
                row.disabled_reason = None;
                Some(if enabled { switched_on(row.id) } else { switched_off(tenant, row.id) })
            }
            _ => None,
        };
        row.updated = now;
        let signed = draft_secrets.as_ref().map_or(!secrets.is_empty(), |rows| !rows.is_empty());
        let mut state = self.audit_state(&row, &headers, signed);
        if draft_secrets.is_some() {
            state["secretReplaced"] = true.into();
        }
        let act = Act {
            action: "webhook.updated",
            target: row.id.to_string(),
            before: Some(before),
            after: Some(state),
        };
        Ok(Draft { row, secrets: draft_secrets, shown, warnings, act, after })
    }

    /// Decides about a deletion.
    pub(super) fn webhook_deleted(&self, mut row: WebhookRow, now: Timestamp) -> Result<Draft, EngineError> {
        let headers = assemble::headers(self.store(), &row)?;
        let before = self.audit_state(&row, &headers, false);
        row.deleted = Some(now);
        row.updated = now;
        // History needs name and URL; credentials it does not need.
        row.headers = None;
        Ok(Draft {
            act: Act {
                action: "webhook.deleted",
                target: row.id.to_string(),
                before: Some(before),
                after: None,
            },
            after: Some(WebhookAfter {
                webhook: row.id,
                change: WebhookChange::Closed,
                cancel: Some(Reason::WebhookDeleted),
            }),
            row,
            secrets: Some(Vec::new()),
            shown: None,
            warnings: Vec::new(),
        })
    }

    /// Writes a webhook under the tenant's next version.
    pub(super) async fn webhook_commit(
        &self,
        turn: Turn,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        draft: Draft,
        again: Option<&Repeatable<'_, WebhookChanged>>,
    ) -> Result<WebhookChanged, EngineError> {
        let now = self.now();
        let (next, webhook) = self.with_draft(tenant, &draft, now).await?;
        let next = Arc::new(next);
        let changed = WebhookChanged {
            tenant: next.clone(),
            // What was deleted is told by its last state, which nobody reads.
            webhook: webhook.clone(),
            secret: draft.shown,
            warnings: [webhook_warnings(&webhook), draft.warnings].concat(),
        };
        let mut row = assemble::tenant_row(&next);
        row.updated = now;
        let write = ConfigWrite {
            at: now,
            tenant: Some(TenantWrite {
                row,
                over: Over::Version(tenant.version),
                pins: false,
                unless_history: false,
            }),
            webhooks: vec![WebhookWrite { row: draft.row, secrets: draft.secrets }],
            audit: vec![self.audit_row(actor, Some(tenant), now, draft.act)],
            idempotency: again.map(|again| again.row(&changed)),
            ..ConfigWrite::default()
        };
        let after =
            After { tenant: Some(next), webhooks: draft.after.into_iter().collect(), ..After::default() };
        self.commit(turn, write, after).await?;
        Ok(changed)
    }

    /// The tenant's next version with the draft in it, and the webhook as it then is.
    pub(super) async fn with_draft(
        &self,
        tenant: &Tenant,
        draft: &Draft,
        now: Timestamp,
    ) -> Result<(Tenant, Arc<Webhook>), EngineError> {
        let stored;
        let secrets = match &draft.secrets {
            Some(secrets) => secrets,
            None => {
                stored = self.store().webhook_secrets(tenant.id, draft.row.id).await?;
                &stored
            }
        };
        let inboxes = &self.0.outbound.inboxes;
        let webhook = assemble::webhook(self.store(), inboxes, tenant.profile(), &draft.row, secrets)?;
        let webhook = Arc::new(webhook);
        let mut webhooks: Vec<Arc<Webhook>> = Vec::with_capacity(tenant.webhooks.len() + 1);
        let mut replaced = draft.row.deleted.is_some();
        for existing in &tenant.webhooks {
            if existing.id != webhook.id {
                webhooks.push(existing.clone());
            } else if draft.row.deleted.is_none() {
                webhooks.push(webhook.clone());
                replaced = true;
            }
        }
        if !replaced {
            webhooks.push(webhook.clone());
        }
        Ok((assemble::with_webhooks(tenant, webhooks, now), webhook))
    }

    /// A URL as it may be stored, under the address policy and the rule on HTTPS. An inbox is under neither: nothing is opened to
    /// send to it.
    pub(super) fn check_url(&self, tenant: &Tenant, url: &str) -> Result<Target, Problem> {
        if let Ok(target) = Target::parse_stored(url)
            && self.0.outbound.inboxes.slug_of(&target).is_some()
        {
            return Ok(target);
        }
        let policy = self.0.outbound.egress.policy();
        let target = Target::parse(url, policy).map_err(|refusal| match refusal {
            UrlRefusal::Invalid { detail } => Problem::at(Code::UrlInvalid, "url", detail),
            UrlRefusal::Forbidden { detail } => Problem::at(Code::UrlForbidden, "url", detail),
        })?;
        let required = tenant.settings.require_https.unwrap_or(self.0.installation.require_https);
        if required && !target.is_https() && !target.is_allow_listed(policy) {
            return Err(Problem::at(
                Code::HttpsRequired,
                "url",
                "The URL must be https here: payloads and signatures would travel in clear.",
            ));
        }
        Ok(target)
    }

    fn seal_headers(&self, webhook: WebhookId, headers: &[(String, String)]) -> Option<Vec<u8>> {
        if headers.is_empty() {
            return None;
        }
        let json = serde_json::to_vec(headers).expect("because pairs of texts are JSON");
        Some(self.store().seal(assemble::HEADERS_FIELD, webhook.as_bytes(), &json))
    }

    /// What the audit keeps of a webhook: everything but secrets and the values of headers.
    fn audit_state(&self, row: &WebhookRow, headers: &[(String, String)], signed: bool) -> Value {
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let events: Value = serde_json::from_str(&row.events).unwrap_or_default();
        json!({
            "name": row.name,
            "url": row.url,
            "events": events,
            "headers": names,
            "description": row.description,
            "enabled": row.enabled,
            "signed": signed,
        })
    }
}

/// What is worth knowing about a webhook as it stands: `url_not_https`.
pub fn webhook_warnings(webhook: &Webhook) -> Vec<Warning> {
    match &webhook.target {
        Ok(target) if !target.is_https() && webhook.inbox.is_none() => vec![Warning {
            code: "url_not_https",
            detail: "The URL is not https: payloads travel in clear. Use https outside of development."
                .to_owned(),
        }],
        _ => Vec::new(),
    }
}

pub(super) fn check_plan(tenant: &Tenant) -> Result<(), Problem> {
    if tenant.plan_has_webhooks() { Ok(()) } else { Err(ingest::plan_problem(tenant)) }
}

/// The patterns of a webhook of `tenant`.
fn check_events(tenant: &Tenant, events: Option<Vec<String>>) -> Result<Patterns, Problem> {
    let profile = tenant.profile();
    if !profile.webhook.selects_events {
        return match events.as_deref() {
            None => Ok(Patterns::everything()),
            Some([all]) if all == "*" => Ok(Patterns::everything()),
            Some(_) => Err(Problem::at(
                Code::InvalidField,
                "events",
                "This profile's webhooks take every event. Leave `events` out.",
            )),
        };
    }
    let Some(events) = events else {
        return Err(Problem::at(
            Code::MissingField,
            "events",
            "Say which events the webhook takes; `*` asks for every event.",
        ));
    };
    let patterns = Patterns::parse(&events)?;
    let registered: Vec<String> = tenant.types.keys().cloned().collect();
    patterns.check_against(
        &profile.catalogue,
        &registered,
        tenant.settings.exposed_event_types.as_deref(),
    )?;
    Ok(patterns)
}

fn check_header_list(profile: &Profile, headers: &[(String, String)]) -> Result<(), Problem> {
    check_headers(headers, &profile.header_names()).map(drop).map_err(|refusal| {
        let code = match refusal.kind {
            HeaderRefusalKind::Forbidden | HeaderRefusalKind::Reserved => Code::HeaderForbidden,
            HeaderRefusalKind::InvalidName
            | HeaderRefusalKind::InvalidValue
            | HeaderRefusalKind::Duplicate => Code::HeaderInvalid,
            HeaderRefusalKind::TooMany | HeaderRefusalKind::TooLarge => Code::TooManyItems,
        };
        let field =
            if refusal.name.is_empty() { "headers".to_owned() } else { format!("headers.{}", refusal.name) };
        Problem::at(code, field, refusal.detail)
    })
}

/// Whether a webhook could be one of `profile`; the error is a sentence about what does not fit.
pub(super) fn fits(
    profile: &Profile,
    webhook: &Webhook,
    secrets: &[zeroize::Zeroizing<String>],
    exposed: Option<&[String]>,
) -> Result<(), String> {
    if profile.webhook.selects_events {
        webhook.patterns.check_against(&profile.catalogue, &[], exposed).map_err(|problem| problem.detail)?;
    }
    check_header_list(profile, &webhook.headers).map_err(|problem| problem.detail)?;
    if secrets.is_empty() && profile.signature.secret == SecretRule::Required {
        return Err("It has no secret, and this profile requires one.".to_owned());
    }
    for secret in secrets {
        profile.signing_key(secret).map_err(|problem| problem.detail)?;
    }
    Ok(())
}

/// The host, as far as a name goes.
fn default_name(target: &Target) -> String {
    let mut name = target.host_text().to_owned();
    // Hosts are ASCII.
    name.truncate(limits::NAME_BYTES_MAX);
    name
}

fn patterns_json(patterns: &Patterns) -> String {
    Value::from(patterns.as_strings()).to_string()
}

fn switched_on(webhook: WebhookId) -> WebhookAfter {
    WebhookAfter { webhook, change: WebhookChange::Enabled, cancel: None }
}

/// In scan mode the switch is read when the scan comes; otherwise the profile says what becomes of what is scheduled.
pub(super) fn switched_off(tenant: &Tenant, webhook: WebhookId) -> WebhookAfter {
    let cancels = cancels_when_off(tenant);
    WebhookAfter { webhook, change: WebhookChange::Disabled, cancel: cancels.then_some(Reason::WebhookOff) }
}

pub(super) fn cancels_when_off(tenant: &Tenant) -> bool {
    tenant.delivery_mode() == DeliveryMode::Immediate
        && tenant.profile().delivery.on_disable == OnDisable::Cancel
}

/// The secrets of a webhook in clear, wiped when dropped: for checks of whether they fit.
pub(super) fn open_secrets(
    control: &Control,
    rows: Vec<SecretRow>,
    now: Timestamp,
) -> Result<Vec<zeroize::Zeroizing<String>>, EngineError> {
    let mut opened = Vec::with_capacity(rows.len());
    for row in secrets::settled(rows, now) {
        opened.push(assemble::open_secret(control.store(), &row)?);
    }
    Ok(opened)
}

//! Tenants: creation and change. Their deletion is in `deletion`.

use std::sync::Arc;

use postrider_domain::id::TenantId;
use postrider_domain::problem::{Code, Problem, Warning};
use postrider_domain::profile::{Profile, TenantValues};
use postrider_domain::time::Timestamp;
use postrider_store::config::{ConfigWrite, Over, TenantRow, TenantWrite, WebhookWrite};
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::audit::Act;
use super::change::After;
use super::settings::{self, WebhookSet, WebhookSetting};
use super::webhooks::{self, Draft, NewWebhook, WebhookPatch, webhook_warnings};
use super::{Actor, Control, Created, Repeatable, Role, assemble, check};
use crate::catalogue::{Pinned, Settings, Tenant};
use crate::error::EngineError;
use crate::outbound::ingest;

/// `POST /v1/tenants`.
#[derive(Debug, Clone, Default)]
pub struct NewTenant {
    /// The caller's own id: 1 to 128 of `A-Z a-z 0-9 _ - :`. Generated (`ten_…`) when absent.
    pub id: Option<String>,
    /// Absent: the id.
    pub name: Option<String>,
    pub profile: String,
    pub plan: Option<String>,
    /// An IANA name; absent: UTC.
    pub timezone: Option<String>,
    pub attributes: Option<Map<String, Value>>,
    /// The JSON of `settings`, `webhook` included.
    pub settings: Option<Map<String, Value>>,
}

/// `PATCH /v1/tenants/{id}`: what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct TenantPatch {
    pub name: Option<String>,
    pub profile: Option<String>,
    /// `Some(None)`: no plan.
    pub plan: Option<Option<String>>,
    pub timezone: Option<String>,
    /// Replaces all attributes.
    pub attributes: Option<Map<String, Value>>,
    /// Merged into the settings (RFC 7396): null removes. `webhook` is the tenant's one webhook where the profile has only one.
    pub settings: Option<Map<String, Value>>,
}

/// The answer to a tenant's creation or change.
#[derive(Debug, Clone)]
pub struct TenantChanged {
    pub tenant: Arc<Tenant>,
    /// The secret of `settings.webhook`, when this change gave or made one: to be shown now and never again.
    pub secret: Option<SecretString>,
    /// About `settings.webhook`.
    pub warnings: Vec<Warning>,
}

impl Control {
    /// Creates a tenant: operator.
    pub async fn tenant_create(
        &self,
        actor: &Actor,
        new: NewTenant,
        again: Option<Repeatable<'_, TenantChanged>>,
    ) -> Result<Created<TenantChanged>, EngineError> {
        actor.require(&[Role::Operator], None)?;
        let turn = self.turn().await;
        if let Some(answer) = self.repeated(again.as_ref()).await? {
            return Ok(Created::Replayed(answer));
        }
        let now = self.now();
        let mut change = new.settings.clone().unwrap_or_default();
        let webhook = settings::take_webhook(&mut change)?;
        let tenant = self.tenant_new(new, change, now)?;
        if self.catalogue().tenant_by_public_id(&tenant.public_id).is_some() {
            return Err(
                Problem::at(Code::IdTaken, "id", "Another tenant has this id. Choose another one.").into()
            );
        }
        let draft = self.webhook_set(&tenant, webhook, now).await?;
        let act = Act {
            action: "tenant.created",
            target: tenant.public_id.to_string(),
            before: None,
            after: Some(audit_state(&tenant)),
        };
        let audit = self.audit_row(actor, Some(&tenant), now, act);
        let mut write = ConfigWrite { at: now, audit: vec![audit], ..ConfigWrite::default() };
        let (changed, after) = self.tenant_with(actor, tenant, draft, &mut write, now).await?;
        let row = assemble::tenant_row(&changed.tenant);
        write.tenant = Some(TenantWrite { row, over: Over::Nothing, pins: true, unless_history: false });
        write.idempotency = again.map(|again| again.row(&changed));
        self.commit(turn, write, after).await?;
        Ok(Created::Fresh(changed))
    }

    /// Changes a tenant: operator; an admin changes `settings.webhook` of its own and nothing else.
    pub async fn tenant_update(
        &self,
        actor: &Actor,
        tenant: TenantId,
        patch: TenantPatch,
    ) -> Result<TenantChanged, EngineError> {
        actor.require(&[Role::Operator, Role::Admin], Some(tenant))?;
        check_admin(actor, &patch)?;
        let turn = self.turn().await;
        let tenant = self.tenant_now(tenant).await?;
        let now = self.now();
        let mut change = patch.settings.clone().unwrap_or_default();
        let webhook = settings::take_webhook(&mut change)?;
        let moves = patch.profile.as_ref().is_some_and(|name| *name != tenant.profile().name);
        let next = self.tenant_patched(&tenant, patch, change, now)?;
        if moves {
            self.check_move(&tenant, next.profile(), now).await?;
        }
        let draft = self.webhook_set(&next, webhook, now).await?;
        let act = Act {
            action: "tenant.updated",
            target: tenant.public_id.to_string(),
            before: Some(audit_state(&tenant)),
            after: Some(audit_state(&next)),
        };
        let audit = self.audit_row(actor, Some(&tenant), now, act);
        let mut write = ConfigWrite { at: now, audit: vec![audit], ..ConfigWrite::default() };
        let pins = next.pinned_since == next.version;
        let (changed, mut after) = self.tenant_with(actor, next, draft, &mut write, now).await?;
        if changed.tenant.delivery_mode() != tenant.delivery_mode() {
            // What being off means depends on the mode.
            let off = changed.tenant.webhooks.iter().filter(|webhook| !webhook.enabled);
            after.webhooks.extend(off.map(|webhook| webhooks::switched_off(&changed.tenant, webhook.id)));
        }
        let row = assemble::tenant_row(&changed.tenant);
        write.tenant =
            Some(TenantWrite { row, over: Over::Version(tenant.version), pins, unless_history: moves });
        self.commit(turn, write, after).await?;
        Ok(changed)
    }

    /// A tenant at its first version, without webhooks.
    fn tenant_new(
        &self,
        new: NewTenant,
        change: Map<String, Value>,
        now: Timestamp,
    ) -> Result<Tenant, Problem> {
        let id = TenantId::new(now, self.random());
        let public_id = match new.id {
            Some(public_id) => {
                ingest::check_caller_id("id", &public_id)?;
                public_id
            }
            None => id.to_string(),
        };
        let profile = self.profile_named(&new.profile)?;
        let name = new.name.unwrap_or_else(|| public_id.clone());
        check::name("name", &name)?;
        if let Some(plan) = &new.plan {
            check::name("plan", plan)?;
        }
        let timezone = check::timezone(new.timezone.as_deref().unwrap_or("UTC"))?;
        let attributes = new.attributes.unwrap_or_default();
        check::attributes(&attributes)?;
        let settings = settings::merged(&Settings::default(), change, &profile)?;
        let values = TenantValues { id: public_id.clone(), name, timezone, attributes };
        Ok(Tenant {
            id,
            public_id: public_id.into(),
            version: 1,
            pinned_since: 1,
            pinned: Arc::new(Pinned::new(values, profile)),
            plan: new.plan,
            settings,
            webhooks: Vec::new(),
            inbound: Arc::default(),
            types: Default::default(),
            created: now,
            updated: now,
        })
    }

    /// The tenant's next version, its webhooks as they are.
    fn tenant_patched(
        &self,
        tenant: &Tenant,
        patch: TenantPatch,
        change: Map<String, Value>,
        now: Timestamp,
    ) -> Result<Tenant, Problem> {
        let mut next = assemble::with_webhooks(tenant, tenant.webhooks.clone(), now);
        let mut values = tenant.pinned.values.clone();
        let mut profile = tenant.profile().clone();
        let pins = patch.name.is_some()
            || patch.profile.is_some()
            || patch.timezone.is_some()
            || patch.attributes.is_some();
        if let Some(name) = patch.profile {
            profile = self.profile_named(&name)?;
        }
        if let Some(name) = patch.name {
            check::name("name", &name)?;
            values.name = name;
        }
        if let Some(timezone) = patch.timezone {
            values.timezone = check::timezone(&timezone)?;
        }
        if let Some(attributes) = patch.attributes {
            check::attributes(&attributes)?;
            values.attributes = attributes;
        }
        if let Some(plan) = patch.plan {
            if let Some(plan) = &plan {
                check::name("plan", plan)?;
            }
            next.plan = plan;
        }
        next.settings = settings::merged(&tenant.settings, change, &profile)?;
        if pins {
            next.pinned = Arc::new(Pinned::new(values, profile));
            next.pinned_since = next.version;
        }
        Ok(next)
    }

    fn profile_named(&self, name: &str) -> Result<Arc<Profile>, Problem> {
        self.catalogue().profile(name).ok_or_else(|| {
            let profiles = self.catalogue().profiles();
            let names: Vec<&str> = profiles.iter().map(|profile| profile.name.as_str()).collect();
            Problem::at(
                Code::InvalidField,
                "profile",
                format!("There is no such profile. Profiles here are {}.", names.join(", ")),
            )
        })
    }

    /// A tenant moves to another profile only while it has neither events nor records, and only with webhooks that fit there.
    async fn check_move(
        &self,
        tenant: &Tenant,
        profile: &Profile,
        now: Timestamp,
    ) -> Result<(), EngineError> {
        if self.store().tenant_has_history(tenant.id).await? {
            return Err(check::has_history().into());
        }
        self.check_fit(tenant, profile, now).await.map_err(|error| match error {
            EngineError::Refused(problem) => Problem::at(Code::Conflict, "profile", problem.detail).into(),
            error => error,
        })
    }

    /// Whether the tenant's webhooks could be webhooks of `profile`; `profile_in_use` with the first that could not.
    pub(super) async fn check_fit(
        &self,
        tenant: &Tenant,
        profile: &Profile,
        now: Timestamp,
    ) -> Result<(), EngineError> {
        let unfit = |detail: String| EngineError::refused(Code::ProfileInUse, detail);
        if profile.webhook.single && tenant.webhooks.len() > 1 {
            return Err(unfit(format!(
                "The tenant {} has {} webhooks; the profile {} allows one.",
                tenant.public_id,
                tenant.webhooks.len(),
                profile.name
            )));
        }
        for webhook in &tenant.webhooks {
            let rows = self.store().webhook_secrets(tenant.id, webhook.id).await?;
            let opened = webhooks::open_secrets(self, rows, now)?;
            let exposed = tenant.settings.exposed_event_types.as_deref();
            webhooks::fits(profile, webhook, &opened, exposed).map_err(|why| {
                unfit(format!(
                    "The webhook {} of the tenant {} does not fit the profile {}: {why}",
                    webhook.id, tenant.public_id, profile.name
                ))
            })?;
        }
        Ok(())
    }

    /// What `settings.webhook` asks for, as a change of the tenant's one webhook.
    async fn webhook_set(
        &self,
        tenant: &Tenant,
        setting: WebhookSetting,
        now: Timestamp,
    ) -> Result<Option<Draft>, EngineError> {
        let set = match setting {
            WebhookSetting::Untouched => return Ok(None),
            WebhookSetting::Delete => None,
            WebhookSetting::Set(set) => Some(set),
        };
        settings::refuse_webhook(tenant.profile())?;
        let existing = match tenant.webhooks.first() {
            Some(webhook) => Some(self.webhook_rows(tenant, webhook.id).await?),
            None => None,
        };
        let draft = match (existing, set) {
            (None, None) => return Ok(None),
            (Some((row, _)), None) => self.webhook_deleted(row, now)?,
            (existing, Some(set)) => {
                webhooks::check_plan(tenant)?;
                match existing {
                    None => self.webhook_new(tenant, new_webhook(set)?, now).map_err(in_settings)?,
                    Some((row, secrets)) => {
                        let patch = WebhookPatch {
                            url: set.url,
                            enabled: set.enabled,
                            secret: set.secret,
                            generate_secret: set.generate_secret,
                            ..WebhookPatch::default()
                        };
                        self.webhook_patched(tenant, row, secrets, patch, now).map_err(
                            |error| match error {
                                EngineError::Refused(problem) => in_settings(problem).into(),
                                error => error,
                            },
                        )?
                    }
                }
            }
        };
        Ok(Some(draft))
    }

    /// Adds the change of the one webhook to a tenant's own.
    async fn tenant_with(
        &self,
        actor: &Actor,
        tenant: Tenant,
        draft: Option<Draft>,
        write: &mut ConfigWrite,
        now: Timestamp,
    ) -> Result<(TenantChanged, After), EngineError> {
        let Some(draft) = draft else {
            let tenant = Arc::new(tenant);
            let changed = TenantChanged { tenant: tenant.clone(), secret: None, warnings: Vec::new() };
            return Ok((changed, After { tenant: Some(tenant), ..After::default() }));
        };
        let (mut with, webhook) = self.with_draft(&tenant, &draft, now).await?;
        // One change, one version.
        with.version = tenant.version;
        with.created = tenant.created;
        let warnings = if draft.row.deleted.is_some() {
            Vec::new()
        } else {
            [webhook_warnings(&webhook), draft.warnings].concat()
        };
        let tenant = Arc::new(with);
        write.audit.push(self.audit_row(actor, Some(&tenant), now, draft.act));
        write.webhooks.push(WebhookWrite { row: draft.row, secrets: draft.secrets });
        let after = After {
            tenant: Some(tenant.clone()),
            webhooks: draft.after.into_iter().collect(),
            ..After::default()
        };
        Ok((TenantChanged { tenant, secret: draft.shown, warnings }, after))
    }
}

/// An admin manages its webhook, not its plan, profile or the rules of the house.
fn check_admin(actor: &Actor, patch: &TenantPatch) -> Result<(), Problem> {
    if actor.role == Role::Operator {
        return Ok(());
    }
    let own = patch.name.is_none()
        && patch.profile.is_none()
        && patch.plan.is_none()
        && patch.timezone.is_none()
        && patch.attributes.is_none()
        && patch.settings.iter().flatten().all(|(name, _)| name == "webhook");
    if own {
        return Ok(());
    }
    Err(Problem::new(
        Code::Forbidden,
        "An admin changes `settings.webhook` only; the rest takes an operator's key.",
    ))
}

fn new_webhook(set: WebhookSet) -> Result<NewWebhook, Problem> {
    let Some(url) = set.url else {
        return Err(Problem::at(
            Code::MissingField,
            "settings.webhook.url",
            "The tenant has no webhook yet: give the URL.",
        ));
    };
    Ok(NewWebhook {
        url,
        secret: set.secret.flatten(),
        generate_secret: set.generate_secret,
        enabled: set.enabled,
        ..NewWebhook::default()
    })
}

/// The same refusal with the field where this caller wrote it.
fn in_settings(problem: Problem) -> Problem {
    Problem { field: problem.field.map(|field| format!("settings.webhook.{field}")), ..problem }
}

pub(super) fn audit_state(tenant: &Tenant) -> Value {
    let row: TenantRow = assemble::tenant_row(tenant);
    json!({
        "name": row.name,
        "profile": row.profile,
        "profileVersion": row.profile_version,
        "plan": row.plan,
        "timezone": row.timezone,
        "attributes": tenant.pinned.values.attributes,
        "settings": tenant.settings,
    })
}

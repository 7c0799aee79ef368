//! Triggers: what may be registered, their slugs, and their secrets: sealed at rest, shown once, replaced with an overlap.

use std::sync::Arc;
use std::time::Duration;

use postrider_domain::id::{TriggerId, WorkflowId};
use postrider_domain::limits;
use postrider_domain::problem::{Code, Problem, Warning};
use postrider_domain::run::TriggerKind;
use postrider_domain::time::Timestamp;
use postrider_store::config::{TriggerRow, TriggerSecretRow, TriggerWrite};
use postrider_store::{Store, StoreError};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::audit::Act;
use super::change::Turn;
use super::workflows::InboundChange;
use super::{Actor, Control, Created, Repeatable, Role, check};
use crate::catalogue::Tenant;
use crate::error::EngineError;
use crate::inbound::registered::{Registered, RegisteredWorkflow};
use crate::inbound::trigger::{
    HEADER_SECRET, NONE, OpenSecret, Trigger, TriggerParts, TriggerSettings, Verification, no_clock, preset,
};

const WRITERS: [Role; 2] = [Role::Operator, Role::Admin];
const SECRET_FIELD: &str = "trigger_secret.sealed";
/// 160 bits: nobody guesses the URL of a trigger.
const SLUG_BYTES: usize = 20;
/// 256 bits.
const SECRET_BYTES: usize = 32;
const OVERLAP_DEFAULT: Duration = Duration::from_secs(24 * 3600);
const OVERLAP_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// `POST /v1/workflows/{workflow}/triggers`.
#[derive(Clone)]
pub struct NewTrigger {
    pub kind: TriggerKind,
    /// Absent: the kind's.
    pub name: Option<String>,
    /// Absent: on.
    pub enabled: Option<bool>,
    pub secrets: Vec<SecretString>,
    pub generate_secret: bool,
    /// Of `verification`: what a handshake has to say.
    pub verify_token: Option<SecretString>,
    /// As [`TriggerSettings`], member by member.
    pub settings: Map<String, Value>,
}

/// `PATCH /v1/workflows/{workflow}/triggers/{trigger}`: what is absent stays.
#[derive(Clone, Default)]
pub struct TriggerPatch {
    pub name: Option<String>,
    pub enabled: Option<bool>,
    /// Replaces every secret at once. For a change without a gap there is the rotation.
    pub secrets: Option<Vec<SecretString>>,
    pub generate_secret: bool,
    pub verify_token: Option<SecretString>,
    /// Members of the settings; null takes one away.
    pub settings: Map<String, Value>,
}

/// The answer to a trigger's creation or change.
#[derive(Debug, Clone)]
pub struct TriggerChanged {
    pub workflow: Arc<RegisteredWorkflow>,
    pub trigger: Arc<Trigger>,
    /// To be shown now and never again.
    pub secret: Option<SecretString>,
    pub warnings: Vec<Warning>,
}

/// A trigger as it is to be written.
struct Draft {
    row: TriggerRow,
    secrets: Option<Vec<TriggerSecretRow>>,
    shown: Option<SecretString>,
    warnings: Vec<Warning>,
    act: Act,
}

impl Control {
    /// Registers a trigger of a workflow: operator, or admin of the tenant.
    pub async fn trigger_create(
        &self,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        workflow: &str,
        new: NewTrigger,
        again: Option<Repeatable<'_, TriggerChanged>>,
    ) -> Result<Created<TriggerChanged>, EngineError> {
        actor.require(&WRITERS, Some(tenant.id))?;
        let turn = self.turn().await;
        if let Some(answer) = self.repeated(again.as_ref()).await? {
            return Ok(Created::Replayed(answer));
        }
        let tenant = self.tenant_now(tenant.id).await?;
        let workflow = find(&tenant, workflow)?;
        if tenant.inbound.triggers.len() >= limits::TRIGGERS_PER_TENANT_MAX {
            return Err(Problem::new(
                Code::TooManyItems,
                format!(
                    "A tenant has at most {} triggers. Delete one first.",
                    limits::TRIGGERS_PER_TENANT_MAX
                ),
            )
            .into());
        }
        let now = self.now();
        let name = new.name.unwrap_or_else(|| new.kind.as_str().to_owned());
        check::name("name", &name)?;
        let mut settings = read_settings(new.settings)?;
        let id = TriggerId::new(now, self.random());
        let mut secrets = new.secrets;
        let verification = settings.verification.as_ref();
        let generated = new.generate_secret.then(|| self.new_secret(verification)).transpose()?;
        if generated.is_some() && !secrets.is_empty() {
            return Err(Problem::at(
                Code::InvalidField,
                "generateSecret",
                "Give a secret or ask for one; not both.",
            )
            .into());
        }
        secrets.extend(generated);
        settings_of_kind(new.kind, &mut settings, !secrets.is_empty())?;
        let warnings = warnings(&settings, &secrets);
        let shown = secrets.first().filter(|_| secrets.len() == 1).cloned();
        let mut rows: Vec<_> = secrets
            .iter()
            .map(|secret| self.trigger_secret(&tenant, id, Part::Secret, secret, now))
            .collect();
        rows.extend(
            new.verify_token.map(|token| self.trigger_secret(&tenant, id, Part::VerifyToken, &token, now)),
        );
        let row = TriggerRow {
            tenant: tenant.id,
            id,
            workflow: workflow.id,
            kind: new.kind,
            name,
            enabled: new.enabled.unwrap_or(true),
            slug: (new.kind == TriggerKind::Webhook).then(|| self.random_text(SLUG_BYTES)),
            settings: written(&settings),
            since: now,
            created: now,
            updated: now,
            deleted: None,
        };
        let act = Act {
            action: "trigger.created",
            target: id.to_string(),
            before: None,
            after: Some(audit_state(&workflow, &row, !secrets.is_empty())),
        };
        let draft = Draft { row, secrets: Some(rows), shown, warnings, act };
        self.trigger_commit(turn, actor, &tenant, workflow, draft, again.as_ref()).await.map(Created::Fresh)
    }

    /// Changes a trigger: operator, or admin of the tenant.
    pub async fn trigger_update(
        &self,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        workflow: &str,
        trigger: TriggerId,
        patch: TriggerPatch,
    ) -> Result<TriggerChanged, EngineError> {
        actor.require(&WRITERS, Some(tenant.id))?;
        let turn = self.turn().await;
        let tenant = self.tenant_now(tenant.id).await?;
        let (workflow, known) = find_trigger(&tenant, workflow, trigger)?;
        let now = self.now();
        let mut row = row(&tenant, &known);
        let before = audit_state(&workflow, &row, !known.verifiers.is_empty());
        if let Some(name) = patch.name {
            check::name("name", &name)?;
            row.name = name;
        }
        let timed = |settings: &TriggerSettings| {
            (settings.cron.clone(), settings.every.clone(), settings.timezone.clone())
        };
        let mut settings = patched(&known.settings, patch.settings)?;
        let verification = settings.verification.as_ref();
        let generated = patch.generate_secret.then(|| self.new_secret(verification)).transpose()?;
        let replaced: Option<Vec<SecretString>> = match (patch.secrets, &generated) {
            (given, Some(generated)) => {
                Some(given.unwrap_or_default().into_iter().chain([generated.clone()]).collect())
            }
            (given, None) => given,
        };
        let has_secret = replaced.as_ref().map_or(!known.verifiers.is_empty(), |secrets| !secrets.is_empty());
        settings_of_kind(row.kind, &mut settings, has_secret)?;
        if timed(&settings) != timed(&known.settings) || (patch.enabled == Some(true) && !row.enabled) {
            // Times before this moment are not what was asked for.
            row.since = now;
        }
        row.enabled = patch.enabled.unwrap_or(row.enabled);
        row.settings = written(&settings);
        row.updated = now;
        let stored = self.trigger_secret_rows(&tenant, trigger).await?;
        let mut rows = None;
        if replaced.is_some()
            || patch.verify_token.is_some()
            || settings.verification.as_ref().is_some_and(|verification| verification.preset == NONE)
        {
            let (mut secrets, mut tokens): (Vec<_>, Vec<_>) =
                stored.into_iter().partition(|row| self.is_secret(row));
            if let Some(replaced) = &replaced {
                let seal = |secret| self.trigger_secret(&tenant, trigger, Part::Secret, secret, now);
                secrets = replaced.iter().map(seal).collect();
            } else if settings.verification.as_ref().is_some_and(|verification| verification.preset == NONE) {
                secrets = Vec::new();
            }
            if let Some(token) = &patch.verify_token {
                tokens = vec![self.trigger_secret(&tenant, trigger, Part::VerifyToken, token, now)];
            }
            secrets.extend(tokens);
            rows = Some(secrets);
        }
        let given = replaced.unwrap_or_default();
        let mut after = audit_state(&workflow, &row, has_secret);
        if !given.is_empty() {
            after["secretReplaced"] = true.into();
        }
        let act = Act {
            action: "trigger.updated",
            target: trigger.to_string(),
            before: Some(before),
            after: Some(after),
        };
        let warnings = warnings(&settings, &given);
        let shown = given.first().filter(|_| given.len() == 1).cloned();
        let draft = Draft { row, secrets: rows, shown, warnings, act };
        self.trigger_commit(turn, actor, &tenant, workflow, draft, None).await
    }

    /// Deletes a trigger: operator, or admin of the tenant. Its requests and runs stay in the history.
    pub async fn trigger_delete(
        &self,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        workflow: &str,
        trigger: TriggerId,
    ) -> Result<(), EngineError> {
        actor.require(&WRITERS, Some(tenant.id))?;
        let turn = self.turn().await;
        let tenant = self.tenant_now(tenant.id).await?;
        let (workflow, known) = find_trigger(&tenant, workflow, trigger)?;
        let now = self.now();
        let before = row(&tenant, &known);
        let act = Act {
            action: "trigger.deleted",
            target: trigger.to_string(),
            before: Some(audit_state(&workflow, &before, !known.verifiers.is_empty())),
            after: None,
        };
        let gone = TriggerRow { deleted: Some(now), updated: now, slug: None, ..before };
        let triggers = tenant.inbound.triggers.iter().filter(|other| other.id != trigger).cloned().collect();
        let inbound = Registered { workflows: tenant.inbound.workflows.clone(), triggers };
        let write = TriggerWrite { row: gone, secrets: Some(Vec::new()) };
        let change = InboundChange { workflows: Vec::new(), triggers: vec![write], act, idempotency: None };
        self.inbound_commit(turn, actor, &tenant, inbound, change).await
    }

    /// Replaces a trigger's secret; the old ones are taken for `overlap` more: operator, or admin of the tenant.
    #[expect(clippy::too_many_arguments, reason = "who, what, and the three members of the request")]
    pub async fn trigger_secret_rotate(
        &self,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        workflow: &str,
        trigger: TriggerId,
        secret: Option<SecretString>,
        overlap: Option<Duration>,
        again: Option<Repeatable<'_, TriggerChanged>>,
    ) -> Result<Created<TriggerChanged>, EngineError> {
        actor.require(&WRITERS, Some(tenant.id))?;
        let overlap = overlap.unwrap_or(OVERLAP_DEFAULT);
        if overlap > OVERLAP_MAX {
            return Err(Problem::at(
                Code::InvalidField,
                "overlapSeconds",
                "The old secret can go on for at most 30 days.",
            )
            .into());
        }
        let turn = self.turn().await;
        if let Some(answer) = self.repeated(again.as_ref()).await? {
            return Ok(Created::Replayed(answer));
        }
        let tenant = self.tenant_now(tenant.id).await?;
        let (workflow, known) = find_trigger(&tenant, workflow, trigger)?;
        if known.verifiers.is_empty() {
            return Err(Problem::new(
                Code::Conflict,
                "This trigger has no secret to rotate. Give it one with PATCH.",
            )
            .into());
        }
        let now = self.now();
        let until = now.plus(overlap);
        let verification = known.settings.verification.as_ref();
        let new = secret.map_or_else(|| self.new_secret(verification), Ok)?;
        let mut rows = vec![self.trigger_secret(&tenant, trigger, Part::Secret, &new, now)];
        for mut row in self.trigger_secret_rows(&tenant, trigger).await? {
            if self.is_secret(&row) {
                if row.expires_at.is_some_and(|expires| expires <= now) || overlap.is_zero() {
                    continue;
                }
                row.expires_at = Some(row.expires_at.map_or(until, |expires| expires.min(until)));
            }
            rows.push(row);
        }
        let mut row = row(&tenant, &known);
        row.updated = now;
        let act = Act {
            action: "trigger.secret_rotated",
            target: trigger.to_string(),
            before: None,
            after: Some(json!({ "overlapSeconds": overlap.as_secs() })),
        };
        let warnings = warnings(&known.settings, std::slice::from_ref(&new));
        let draft = Draft { row, secrets: Some(rows), shown: Some(new), warnings, act };
        self.trigger_commit(turn, actor, &tenant, workflow, draft, again.as_ref()).await.map(Created::Fresh)
    }

    /// Gives a webhook trigger another URL; the old one is unknown from here on: operator, or admin of the tenant.
    pub async fn trigger_slug_rotate(
        &self,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        workflow: &str,
        trigger: TriggerId,
    ) -> Result<TriggerChanged, EngineError> {
        actor.require(&WRITERS, Some(tenant.id))?;
        let turn = self.turn().await;
        let tenant = self.tenant_now(tenant.id).await?;
        let (workflow, known) = find_trigger(&tenant, workflow, trigger)?;
        if known.kind != TriggerKind::Webhook {
            return Err(Problem::new(Code::Conflict, "Only triggers of type `webhook` have a URL.").into());
        }
        let mut row = row(&tenant, &known);
        row.slug = Some(self.random_text(SLUG_BYTES));
        row.updated = self.now();
        let act =
            Act { action: "trigger.slug_rotated", target: trigger.to_string(), before: None, after: None };
        let draft = Draft { row, secrets: None, shown: None, warnings: Vec::new(), act };
        self.trigger_commit(turn, actor, &tenant, workflow, draft, None).await
    }

    async fn trigger_commit(
        &self,
        turn: Turn,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        workflow: Arc<RegisteredWorkflow>,
        draft: Draft,
        again: Option<&Repeatable<'_, TriggerChanged>>,
    ) -> Result<TriggerChanged, EngineError> {
        let stored;
        let secrets = match &draft.secrets {
            Some(secrets) => secrets,
            None => {
                stored = self.trigger_secret_rows(tenant, draft.row.id).await?;
                &stored
            }
        };
        let parts = open_parts(self.store(), &draft.row, secrets)?;
        let trigger = Arc::new(Trigger::compile(parts)?);
        let mut triggers = tenant.inbound.triggers.clone();
        match triggers.iter_mut().find(|known| known.id == trigger.id) {
            Some(known) => *known = trigger.clone(),
            None => triggers.push(trigger.clone()),
        }
        let inbound = Registered { workflows: tenant.inbound.workflows.clone(), triggers };
        let changed = TriggerChanged { workflow, trigger, secret: draft.shown, warnings: draft.warnings };
        let change = InboundChange {
            workflows: Vec::new(),
            triggers: vec![TriggerWrite { row: draft.row, secrets: draft.secrets }],
            act: draft.act,
            idempotency: again.map(|again| again.row(&changed)),
        };
        self.inbound_commit(turn, actor, tenant, inbound, change).await?;
        Ok(changed)
    }

    async fn trigger_secret_rows(
        &self,
        tenant: &Tenant,
        trigger: TriggerId,
    ) -> Result<Vec<TriggerSecretRow>, StoreError> {
        let mut rows = self.store().trigger_secrets(Some(tenant.id)).await?;
        rows.retain(|row| row.trigger == trigger);
        Ok(rows)
    }

    fn trigger_secret(
        &self,
        tenant: &Tenant,
        trigger: TriggerId,
        part: Part,
        text: &SecretString,
        now: Timestamp,
    ) -> TriggerSecretRow {
        let mut id = [0; 16];
        self.random().fill(&mut id);
        let plain = Zeroizing::new(format!("{}{}", part.mark(), text.expose_secret()));
        TriggerSecretRow {
            tenant: tenant.id,
            trigger,
            id,
            sealed: self.store().seal(SECRET_FIELD, &id, plain.as_bytes()),
            expires_at: None,
            created: now,
        }
    }

    fn is_secret(&self, row: &TriggerSecretRow) -> bool {
        matches!(open(self.store(), row), Ok((Part::Secret, _)))
    }

    /// In the form that the trigger's preset takes.
    fn new_secret(&self, verification: Option<&Verification>) -> Result<SecretString, Problem> {
        let mut random = Zeroizing::new([0; SECRET_BYTES]);
        self.random().fill(random.as_mut());
        let preset =
            verification.filter(|verification| verification.preset != NONE).map(preset).transpose()?;
        let text = preset.map_or_else(|| Some(hex::encode(*random)), |preset| preset.secret_of(&random));
        text.map(SecretString::from).ok_or_else(|| {
            Problem::at(
                Code::InvalidField,
                "secret",
                "This provider signs with a key of its own, which cannot be made here. Give the public key that it shows.",
            )
        })
    }

    pub(super) fn random_text(&self, bytes: usize) -> String {
        let mut random = Zeroizing::new(vec![0; bytes]);
        self.random().fill(&mut random);
        hex::encode(&*random)
    }
}

/// What a sealed row of a trigger is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Secret,
    VerifyToken,
}

impl Part {
    /// Stands before the text, sealed with it.
    const fn mark(self) -> char {
        match self {
            Self::Secret => 's',
            Self::VerifyToken => 't',
        }
    }
}

fn open(store: &Store, row: &TriggerSecretRow) -> Result<(Part, Zeroizing<String>), StoreError> {
    let opened = store.open_sealed(SECRET_FIELD, &row.id, &row.sealed)?;
    let text = std::str::from_utf8(&opened).map_err(|_| StoreError::Sealed(SECRET_FIELD))?;
    let part = match text.chars().next() {
        Some('s') => Part::Secret,
        Some('t') => Part::VerifyToken,
        _ => return Err(StoreError::Sealed(SECRET_FIELD)),
    };
    Ok((part, Zeroizing::new(text[1..].to_owned())))
}

/// From rows to a trigger that is ready, except that one which no longer fits is a defect of the data.
pub(super) fn assembled(
    store: &Store,
    row: &TriggerRow,
    secrets: &[TriggerSecretRow],
) -> Result<Trigger, StoreError> {
    Trigger::compile(open_parts(store, row, secrets)?)
        .map_err(|problem| StoreError::Corrupt(format!("the trigger {}: {problem}", row.id)))
}

fn open_parts(
    store: &Store,
    row: &TriggerRow,
    rows: &[TriggerSecretRow],
) -> Result<TriggerParts, StoreError> {
    let settings = serde_json::from_str(&row.settings)
        .map_err(|error| StoreError::Corrupt(format!("the settings of the trigger {}: {error}", row.id)))?;
    let (mut secrets, mut verify_token) = (Vec::new(), None);
    for secret in rows {
        let (part, text) = open(store, secret)?;
        match part {
            Part::Secret => secrets.push(OpenSecret { text, until: secret.expires_at }),
            Part::VerifyToken => verify_token = Some(text),
        }
    }
    // The one that is not replaced leads.
    secrets.sort_by_key(|secret| secret.until.is_some());
    Ok(TriggerParts {
        id: row.id,
        workflow: row.workflow,
        kind: row.kind,
        name: row.name.clone(),
        enabled: row.enabled,
        slug: row.slug.clone(),
        settings,
        secrets,
        verify_token,
        since: row.since,
        created: row.created,
        updated: row.updated,
    })
}

/// The row of a trigger as it is.
pub(super) fn row(tenant: &Tenant, trigger: &Trigger) -> TriggerRow {
    TriggerRow {
        tenant: tenant.id,
        id: trigger.id,
        workflow: trigger.workflow,
        kind: trigger.kind,
        name: trigger.name.clone(),
        enabled: trigger.enabled,
        slug: trigger.slug.clone(),
        settings: written(&trigger.settings),
        since: trigger.since,
        created: trigger.created,
        updated: trigger.updated,
        deleted: None,
    }
}

fn find(tenant: &Tenant, workflow: &str) -> Result<Arc<RegisteredWorkflow>, Problem> {
    tenant.inbound.workflow(workflow).cloned().ok_or_else(|| Problem::not_found("workflow"))
}

fn find_trigger(
    tenant: &Tenant,
    workflow: &str,
    trigger: TriggerId,
) -> Result<(Arc<RegisteredWorkflow>, Arc<Trigger>), Problem> {
    let workflow = find(tenant, workflow)?;
    let of_workflow = |known: &&Arc<Trigger>| belongs(known, workflow.id);
    let found = tenant.inbound.trigger(trigger).filter(of_workflow).cloned();
    Ok((workflow, found.ok_or_else(|| Problem::not_found("trigger"))?))
}

fn belongs(trigger: &Trigger, workflow: WorkflowId) -> bool {
    trigger.workflow == workflow
}

fn written(settings: &TriggerSettings) -> String {
    serde_json::to_string(settings).expect("because settings have text for keys")
}

fn read_settings(given: Map<String, Value>) -> Result<TriggerSettings, Problem> {
    let Err(error) = serde_json::from_value::<TriggerSettings>(Value::Object(given.clone())) else {
        return serde_json::from_value(Value::Object(given))
            .map_err(|_| odd("settings", "they cannot be read"));
    };
    for (name, value) in given {
        let alone: Map<String, Value> = [(name.clone(), value)].into_iter().collect();
        if let Err(error) = serde_json::from_value::<TriggerSettings>(Value::Object(alone)) {
            return Err(odd(&name, &error.to_string()));
        }
    }
    Err(odd("settings", &error.to_string()))
}

fn odd(field: &str, why: &str) -> Problem {
    Problem::at(Code::InvalidField, field, format!("This cannot be read: {why}."))
}

fn patched(settings: &TriggerSettings, patch: Map<String, Value>) -> Result<TriggerSettings, Problem> {
    if patch.is_empty() {
        return Ok(settings.clone());
    }
    let mut merged = match serde_json::to_value(settings) {
        Ok(Value::Object(merged)) => merged,
        _ => return Err(odd("settings", "they cannot be written")),
    };
    for (name, value) in patch {
        match value {
            Value::Null => drop(merged.shift_remove(&name)),
            value => drop(merged.insert(name, value)),
        }
    }
    read_settings(merged)
}

/// A secret without a preset is compared with a header.
fn settings_of_kind(
    kind: TriggerKind,
    settings: &mut TriggerSettings,
    has_secret: bool,
) -> Result<(), Problem> {
    match kind {
        TriggerKind::Webhook => {
            if settings.verification.is_none() && has_secret {
                let preset = HEADER_SECRET.to_owned();
                settings.verification = Some(Verification { preset, tolerance: None, scheme: None });
            }
            Ok(())
        }
        _ if has_secret => {
            Err(Problem::at(Code::InvalidField, "secret", "Only triggers of type `webhook` have a secret."))
        }
        TriggerKind::Cron if settings.cron.is_none() && settings.every.is_none() => Err(no_clock()),
        _ => Ok(()),
    }
}

fn warnings(settings: &TriggerSettings, secrets: &[SecretString]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if secrets.iter().any(|secret| secret.expose_secret().len() < limits::SECRET_BYTES_ADVISED) {
        warnings.push(Warning {
            code: "secret_short",
            detail: format!(
                "The secret has fewer than {} bytes. Use a long random one.",
                limits::SECRET_BYTES_ADVISED
            ),
        });
    }
    if settings.verification.as_ref().is_some_and(|verification| verification.preset == NONE) {
        warnings.push(Warning {
            code: "not_verified",
            detail:
                "Whoever knows the URL can start runs. Give the trigger a secret, or a provider's preset."
                    .to_owned(),
        });
    }
    warnings
}

fn audit_state(workflow: &RegisteredWorkflow, row: &TriggerRow, has_secret: bool) -> Value {
    let settings: Value = serde_json::from_str(&row.settings).unwrap_or_default();
    json!({
        "workflow": workflow.name,
        "type": row.kind.as_str(),
        "name": row.name,
        "enabled": row.enabled,
        "secretSet": has_secret,
        "settings": settings,
    })
}

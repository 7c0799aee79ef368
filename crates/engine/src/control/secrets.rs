//! Signing secrets: sealed at rest, shown once, changed without a delivery that the receiver cannot verify.
//!
//! Where the signature header carries a list, old and new secret sign side by side for a while. Where it carries one value,
//! the new secret is *pending*: shown at once, used from its date or from its confirmation.

use std::sync::Arc;
use std::time::Duration;

use postrider_domain::id::{TenantId, WebhookId};
use postrider_domain::limits;
use postrider_domain::problem::{Code, Problem, Warning};
use postrider_domain::profile::{Profile, SecretRule};
use postrider_domain::time::Timestamp;
use postrider_store::config::{SecretRow, SecretState};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::audit::Act;
use super::webhooks::{Draft, WebhookChanged};
use super::{Actor, Control, Created, Repeatable, Role, assemble};
use crate::catalogue::Tenant;
use crate::error::EngineError;

/// How long an old secret goes on beside the new one when nothing is said: a day is enough for a deployment.
const OVERLAP_DEFAULT: Duration = Duration::from_secs(24 * 3600);
/// A secret that is thought to be gone must be gone one day.
const OVERLAP_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// As far ahead as a takeover can be planned.
const ACTIVATE_WITHIN: Duration = Duration::from_secs(365 * 24 * 3600);

/// `POST /v1/webhooks/{id}/secret/rotate`.
#[derive(Debug, Clone)]
pub enum SecretRotation {
    Begin {
        /// Absent: generated.
        secret: Option<SecretString>,
        /// Where the header carries a list: how long the old secret goes on beside the new one. Default 24 h, at most 30 days.
        overlap: Option<Duration>,
        /// Where the header carries one value: when the new secret takes over. Absent: on confirmation.
        activate_at: Option<Timestamp>,
    },
    /// The receiver has the pending secret: use it from now on.
    Confirm,
    /// Forget the pending secret.
    Cancel,
}

/// A secret that was checked, and what is to be said about it.
pub(super) struct NewSecret {
    pub(super) text: SecretString,
    pub(super) warnings: Vec<Warning>,
}

impl Control {
    /// Changes the secret of a webhook: operator, or admin of the tenant.
    ///
    /// # Errors
    /// `secret_rotation_conflict` when a pending secret waits already, when too many are in force, or when there is nothing to
    /// confirm or cancel; `invalid_field` for `overlap` or `activateAt` where the profile rotates the other way.
    pub async fn secret_rotate(
        &self,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        webhook: WebhookId,
        rotation: SecretRotation,
        again: Option<Repeatable<'_, WebhookChanged>>,
    ) -> Result<Created<WebhookChanged>, EngineError> {
        actor.require(&[Role::Operator, Role::Admin], Some(tenant.id))?;
        let turn = self.turn().await;
        if let Some(answer) = self.repeated(again.as_ref()).await? {
            return Ok(Created::Replayed(answer));
        }
        let tenant = self.tenant_now(tenant.id).await?;
        super::webhooks::check_plan(&tenant)?;
        let (row, secrets) = self.webhook_rows(&tenant, webhook).await?;
        let now = self.now();
        let settled = settled(secrets, now);
        let (action, secrets, new) = match rotation {
            SecretRotation::Begin { secret, overlap, activate_at } => {
                let new = self.secret_new(tenant.profile(), secret)?;
                let rows = if tenant.profile().signature.carries_list {
                    if activate_at.is_some() {
                        return Err(other_way("activateAt", "overlap").into());
                    }
                    overlapping(settled, overlap.unwrap_or(OVERLAP_DEFAULT), now)?
                } else {
                    if overlap.is_some() {
                        return Err(other_way("overlap", "activateAt").into());
                    }
                    check_activation(activate_at, now)?;
                    refuse_pending(&settled)?;
                    settled
                };
                let mut row = self.secret_row(tenant.id, webhook, &new.text, now);
                if !tenant.profile().signature.carries_list && !rows.is_empty() {
                    row.state = SecretState::Pending;
                    row.activate_at = activate_at;
                }
                let mut rows = rows;
                rows.push(row);
                ("secret.rotated", rows, Some(new))
            }
            SecretRotation::Confirm => ("secret.confirmed", confirmed(settled)?, None),
            SecretRotation::Cancel => ("secret.rotation_cancelled", cancelled(settled)?, None),
        };
        let act = Act {
            action,
            target: webhook.to_string(),
            before: None,
            after: Some(json!({ "secrets": shape(&secrets) })),
        };
        let mut row = row;
        row.updated = now;
        let draft = Draft {
            row,
            secrets: Some(secrets),
            shown: new.as_ref().map(|new| new.text.clone()),
            warnings: new.map(|new| new.warnings).unwrap_or_default(),
            act,
            after: None,
        };
        self.webhook_commit(turn, actor, &tenant, draft, again.as_ref()).await.map(Created::Fresh)
    }

    /// Checks the secret that a caller gave, or makes one.
    pub(super) fn secret_new(
        &self,
        profile: &Profile,
        given: Option<SecretString>,
    ) -> Result<NewSecret, Problem> {
        match given {
            Some(text) => {
                profile.signing_key(text.expose_secret())?;
                let warnings = profile.secret_warning(text.expose_secret()).into_iter().collect();
                Ok(NewSecret { text, warnings })
            }
            None => {
                Ok(NewSecret { text: profile.generate_secret(self.random()).into(), warnings: Vec::new() })
            }
        }
    }

    /// What a new webhook signs with: what is given, what is asked for, what the profile requires, or nothing.
    pub(super) fn secret_for(
        &self,
        profile: &Profile,
        given: Option<SecretString>,
        generate: bool,
    ) -> Result<Option<NewSecret>, Problem> {
        if given.is_some() && generate {
            return Err(Problem::at(
                Code::InvalidField,
                "generateSecret",
                "Give a secret or ask for one to be generated, not both.",
            ));
        }
        if given.is_none() && !generate && profile.signature.secret == SecretRule::Optional {
            return Ok(None);
        }
        self.secret_new(profile, given).map(Some)
    }

    /// A secret in force from `now`.
    pub(super) fn secret_row(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        text: &SecretString,
        now: Timestamp,
    ) -> SecretRow {
        let mut id = [0; 16];
        self.random().fill(&mut id);
        SecretRow {
            tenant,
            webhook,
            id,
            sealed: self.store().seal(assemble::SECRET_FIELD, &id, text.expose_secret().as_bytes()),
            state: SecretState::Active,
            activate_at: None,
            expires_at: None,
            created: now,
        }
    }
}

/// The secrets as time has made them: a pending one whose date has come is the active one, retired ones are gone.
pub(super) fn settled(rows: Vec<SecretRow>, now: Timestamp) -> Vec<SecretRow> {
    let has_taken_over =
        |row: &SecretRow| row.state == SecretState::Pending && row.activate_at.is_some_and(|at| at <= now);
    let taken_over = rows.iter().any(has_taken_over);
    let mut settled = Vec::with_capacity(rows.len());
    for mut row in rows {
        match row.state {
            SecretState::Active if taken_over => continue,
            SecretState::Retiring if row.expires_at.is_some_and(|at| at <= now) => continue,
            SecretState::Pending if has_taken_over(&row) => {
                row.state = SecretState::Active;
                row.activate_at = None;
            }
            _ => {}
        }
        settled.push(row);
    }
    settled
}

/// The active secret begins to retire.
fn overlapping(rows: Vec<SecretRow>, overlap: Duration, now: Timestamp) -> Result<Vec<SecretRow>, Problem> {
    if overlap > OVERLAP_MAX {
        return Err(Problem::at(
            Code::InvalidField,
            "overlap",
            format!(
                "The old secret can stay beside the new one for at most {} days.",
                OVERLAP_MAX.as_secs() / 86_400
            ),
        ));
    }
    if rows.len() >= limits::SECRETS_IN_FORCE_MAX {
        return Err(Problem::new(
            Code::SecretRotationConflict,
            format!(
                "{} secrets are in force already. Wait until the oldest has retired, or replace them all with PATCH.",
                limits::SECRETS_IN_FORCE_MAX
            ),
        ));
    }
    let mut kept = Vec::with_capacity(rows.len() + 1);
    for mut row in rows {
        if row.state == SecretState::Active {
            if overlap.is_zero() {
                continue;
            }
            row.state = SecretState::Retiring;
            row.expires_at = Some(now.plus(overlap));
        }
        kept.push(row);
    }
    Ok(kept)
}

fn check_activation(activate_at: Option<Timestamp>, now: Timestamp) -> Result<(), Problem> {
    let fits = activate_at.is_none_or(|at| at > now && at.since(now) <= ACTIVATE_WITHIN);
    if fits {
        return Ok(());
    }
    Err(Problem::at(Code::InvalidField, "activateAt", "The moment must lie in the future, within a year."))
}

fn refuse_pending(rows: &[SecretRow]) -> Result<(), Problem> {
    if rows.iter().all(|row| row.state != SecretState::Pending) {
        return Ok(());
    }
    Err(Problem::new(
        Code::SecretRotationConflict,
        "A pending secret waits already. Confirm it or cancel it before the next rotation.",
    ))
}

fn confirmed(rows: Vec<SecretRow>) -> Result<Vec<SecretRow>, Problem> {
    let pending =
        rows.into_iter().find(|row| row.state == SecretState::Pending).ok_or_else(nothing_pending)?;
    Ok(vec![SecretRow { state: SecretState::Active, activate_at: None, ..pending }])
}

fn cancelled(rows: Vec<SecretRow>) -> Result<Vec<SecretRow>, Problem> {
    let before = rows.len();
    let kept: Vec<SecretRow> = rows.into_iter().filter(|row| row.state != SecretState::Pending).collect();
    if kept.len() == before { Err(nothing_pending()) } else { Ok(kept) }
}

fn nothing_pending() -> Problem {
    Problem::new(Code::SecretRotationConflict, "No secret is pending. Begin a rotation first.")
}

fn other_way(field: &str, instead: &str) -> Problem {
    Problem::at(
        Code::InvalidField,
        field,
        format!("This profile's secrets rotate the other way: use {instead}, or leave both out."),
    )
}

/// For the audit: how many secrets, in which state, until when.
fn shape(rows: &[SecretRow]) -> serde_json::Value {
    let mut shapes = Vec::with_capacity(rows.len());
    for row in rows {
        shapes.push(match row.state {
            SecretState::Active => json!({ "state": "active" }),
            SecretState::Pending => json!({ "state": "pending", "activateAt": row.activate_at }),
            SecretState::Retiring => json!({ "state": "retiring", "expiresAt": row.expires_at }),
        });
    }
    shapes.into()
}

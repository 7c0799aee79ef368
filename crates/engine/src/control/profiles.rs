//! Profiles through the API: the same parser as for the built-in ones, and new versions for the tenants that use them.

use std::sync::Arc;

use postrider_domain::limits;
use postrider_domain::problem::{Code, Problem};
use postrider_domain::profile::{Profile, ProfileError, builtin};
use postrider_domain::time::Timestamp;
use postrider_store::config::{ConfigWrite, ProfileRow, ProfileWrite};
use serde_json::json;

use super::audit::Act;
use super::change::After;
use super::{Actor, Control, Created, Repeatable, Role};
use crate::error::EngineError;

/// A profile that was stored.
#[derive(Debug, Clone)]
pub struct ProfileStored {
    pub profile: Arc<Profile>,
    /// False: this very version was in use already, nothing changed.
    pub changed: bool,
    /// Tenants that now render with it.
    pub tenants: u64,
}

/// Errors of a source that are told at once.
const ERRORS_TOLD_MAX: usize = 20;

impl Control {
    /// Stores a profile, or a new version of one: operator. Its tenants render later events with it; earlier events keep the
    /// version that they pinned.
    ///
    /// # Errors
    /// `profile_invalid` with every error and its line; `profile_in_use` for the name of a built-in profile, and for a
    /// version that a tenant's webhook would not fit.
    pub async fn profile_put(
        &self,
        actor: &Actor,
        source: &str,
        again: Option<Repeatable<'_, ProfileStored>>,
    ) -> Result<Created<ProfileStored>, EngineError> {
        actor.require(&[Role::Operator], None)?;
        let turn = self.turn().await;
        if let Some(answer) = self.repeated(again.as_ref()).await? {
            return Ok(Created::Replayed(answer));
        }
        let profile = Arc::new(parse(source)?);
        if builtin().iter().any(|(name, _)| *name == profile.name) {
            return Err(EngineError::refused(
                Code::ProfileInUse,
                format!("`{}` is a built-in profile. Store yours under another name.", profile.name),
            ));
        }
        let now = self.now();
        let current = self.catalogue().profile(&profile.name);
        let mut tenants = 0;
        for tenant in self.catalogue().tenants() {
            if tenant.profile().name == profile.name {
                self.check_fit(&tenant, &profile, now).await?;
                tenants += 1;
            }
        }
        let changed = current.as_ref().is_none_or(|current| current.version != profile.version);
        let stored = ProfileStored { profile: profile.clone(), changed, tenants };
        let mut write = ConfigWrite {
            at: now,
            idempotency: again.map(|again| again.row(&stored)),
            ..ConfigWrite::default()
        };
        let mut after = After::default();
        if changed {
            let act = Act {
                action: "profile.stored",
                target: profile.name.clone(),
                before: current.map(|current| json!({ "version": current.version })),
                after: Some(json!({ "version": profile.version, "tenants": tenants })),
            };
            write.audit.push(self.audit_row(actor, None, now, act));
            write.profile = Some(profile_write(&profile, false, now));
            after.profile = Some(profile);
        }
        self.commit(turn, write, after).await?;
        Ok(Created::Fresh(stored))
    }
}

pub(super) fn profile_write(profile: &Profile, builtin: bool, now: Timestamp) -> ProfileWrite {
    ProfileWrite {
        row: ProfileRow {
            name: profile.name.clone(),
            version: profile.version.clone(),
            source: profile.source.clone(),
            builtin,
            current_since: now,
        },
    }
}

fn parse(source: &str) -> Result<Profile, Problem> {
    if source.len() > limits::PROFILE_BYTES_MAX {
        return Err(Problem::at(
            Code::ProfileInvalid,
            "source",
            format!(
                "The profile has {} bytes; at most {} are taken.",
                source.len(),
                limits::PROFILE_BYTES_MAX
            ),
        ));
    }
    Profile::parse(source).map_err(|errors| Problem::at(Code::ProfileInvalid, "source", told(&errors)))
}

fn told(errors: &[ProfileError]) -> String {
    let mut lines = Vec::new();
    for error in errors.iter().take(ERRORS_TOLD_MAX) {
        lines.push(match error.line {
            Some(line) => format!("line {line}: {}", error.message),
            None => error.message.clone(),
        });
    }
    if errors.len() > ERRORS_TOLD_MAX {
        lines.push(format!("and {} more", errors.len() - ERRORS_TOLD_MAX));
    }
    lines.join("; ")
}

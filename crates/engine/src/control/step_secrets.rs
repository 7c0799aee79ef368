//! Secrets for steps: written, versioned, listed by name, and never shown.

use std::collections::HashMap;
use std::sync::Arc;

use postrider_domain::id::TenantId;
use postrider_domain::limits;
use postrider_domain::problem::{Code, Problem};
use postrider_domain::signature;
use postrider_store::config::{ConfigWrite, Over, StepSecretRow, StepSecretWrite, TenantWrite};
use postrider_store::{Store, StoreError};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::audit::Act;
use super::change::{After, Turn};
use super::{Actor, Control, Role, assemble, check};
use crate::catalogue::Tenant;
use crate::error::EngineError;

/// What a value is bound to, with its tenant and name.
const FIELD: &str = "secret.sealed";
const WRITERS: [Role; 2] = [Role::Operator, Role::Admin];

/// What a PUT made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepSecretPut {
    pub row: StepSecretRow,
    /// There was none of this name before.
    pub new: bool,
}

impl Control {
    /// Writes a secret's value: operator, or admin of the tenant. Steps that begin from now on use it.
    pub async fn secret_put(
        &self,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        name: &str,
        value: &SecretString,
    ) -> Result<StepSecretPut, EngineError> {
        actor.require(&WRITERS, Some(tenant.id))?;
        check::credential_name("name", name)?;
        check_value(value.expose_secret())?;
        let turn = self.turn().await;
        let tenant = self.tenant_now(tenant.id).await?;
        let existing = self.store().step_secrets(tenant.id).await?;
        let before = existing.iter().find(|row| row.name == name);
        if before.is_none() && existing.len() >= limits::STEP_SECRETS_PER_TENANT_MAX {
            return Err(EngineError::refused(
                Code::SecretLimit,
                format!(
                    "A tenant has at most {} secrets. Delete one first.",
                    limits::STEP_SECRETS_PER_TENANT_MAX
                ),
            ));
        }
        let now = self.now();
        let row = StepSecretRow {
            tenant: tenant.id,
            name: name.to_owned(),
            version: before.map_or(1, |before| before.version + 1),
            created: before.map_or(now, |before| before.created),
            updated: now,
        };
        let act = Act {
            action: if before.is_some() { "secret.updated" } else { "secret.created" },
            target: name.to_owned(),
            before: before.map(|before| json!({ "version": before.version })),
            after: Some(json!({ "version": row.version })),
        };
        let sealed = self.store().seal(FIELD, &bound_to(tenant.id, name), value.expose_secret().as_bytes());
        let put = StepSecretPut { row: row.clone(), new: before.is_none() };
        self.secret_commit(turn, actor, &tenant, StepSecretWrite::Put { row, sealed }, act).await?;
        Ok(put)
    }

    /// Deletes a secret: operator, or admin of the tenant. Steps that name it fail from then on, and say so.
    pub async fn secret_delete(
        &self,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        name: &str,
    ) -> Result<(), EngineError> {
        actor.require(&WRITERS, Some(tenant.id))?;
        let turn = self.turn().await;
        let tenant = self.tenant_now(tenant.id).await?;
        let before = self.store().step_secret_get(tenant.id, name).await?;
        let before = before.ok_or_else(|| Problem::not_found("secret"))?;
        let act = Act {
            action: "secret.deleted",
            target: name.to_owned(),
            before: Some(json!({ "version": before.version })),
            after: None,
        };
        let delete = StepSecretWrite::Delete { tenant: tenant.id, name: name.to_owned() };
        self.secret_commit(turn, actor, &tenant, delete, act).await
    }

    /// The values of those of `names` that exist: for steps, in one read.
    pub async fn secret_values(
        &self,
        tenant: TenantId,
        names: &[&str],
    ) -> Result<HashMap<String, SecretString>, EngineError> {
        let mut values = HashMap::with_capacity(names.len());
        for (name, sealed) in self.store().step_secret_values(tenant, names).await? {
            let value = open(self.store(), tenant, &name, &sealed)?;
            values.insert(name, value);
        }
        Ok(values)
    }

    async fn secret_commit(
        &self,
        turn: Turn,
        actor: &Actor,
        tenant: &Tenant,
        change: StepSecretWrite,
        act: Act,
    ) -> Result<(), EngineError> {
        let now = self.now();
        // The tenant's next version: of two nodes that write at once, one is told to try again.
        let next = Arc::new(assemble::with_webhooks(tenant, tenant.webhooks.clone(), now));
        let write = ConfigWrite {
            at: now,
            tenant: Some(TenantWrite {
                row: assemble::tenant_row(&next),
                over: Over::Version(tenant.version),
                pins: false,
                unless_history: false,
            }),
            step_secrets: vec![change],
            audit: vec![self.audit_row(actor, Some(tenant), now, act)],
            ..ConfigWrite::default()
        };
        self.commit(turn, write, After { tenant: Some(next), ..After::default() }).await
    }
}

fn open(store: &Store, tenant: TenantId, name: &str, sealed: &[u8]) -> Result<SecretString, StoreError> {
    let value = store.open_sealed(FIELD, &bound_to(tenant, name), sealed)?;
    let text = std::str::from_utf8(&value)
        .map_err(|_| StoreError::Corrupt(format!("the secret {name} is not UTF-8")))?;
    Ok(SecretString::from(text))
}

/// What stands for the row's id: a value that is moved to another name or tenant does not open.
fn bound_to(tenant: TenantId, name: &str) -> [u8; 16] {
    let hash = signature::sha256(&[tenant.as_bytes().as_slice(), name.as_bytes()].concat());
    hash[..16].try_into().expect("because the slice has that length")
}

fn check_value(value: &str) -> Result<(), Problem> {
    if value.is_empty() || value.len() > limits::STEP_SECRET_BYTES_MAX || value.contains('\0') {
        return Err(Problem::at(
            Code::SecretInvalid,
            "value",
            format!(
                "A secret's value has 1 to {} bytes and does not hold the character U+0000.",
                limits::STEP_SECRET_BYTES_MAX
            ),
        ));
    }
    Ok(())
}

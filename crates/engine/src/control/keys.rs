//! API keys: made here, shown once, kept as hashes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use postrider_domain::id::{KeyId, TenantId};
use postrider_domain::limits;
use postrider_domain::problem::{Code, Problem};
use postrider_domain::time::Timestamp;
use postrider_store::StoreError;
use postrider_store::config::{ConfigWrite, KeyRow};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::audit::Act;
use super::change::After;
use super::{Actor, Control, Created, Repeatable, Role, check};
use crate::catalogue::{ApiKey, KeyHash, Tenant};
use crate::error::EngineError;

/// `POST /v1/keys`.
#[derive(Debug, Clone)]
pub struct NewKey {
    pub role: Role,
    /// Required for admin and viewer, not allowed for operator; a publisher without one publishes for all tenants.
    pub tenant: Option<TenantId>,
    pub name: String,
}

/// A new key. `key` is shown now and never again.
#[derive(Debug, Clone)]
pub struct KeyCreated {
    pub id: KeyId,
    pub key: SecretString,
    pub role: Role,
    pub tenant: Option<TenantId>,
    pub name: String,
    pub created: Timestamp,
}

/// A key as it is listed: never the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyListed {
    pub id: KeyId,
    pub role: Role,
    pub tenant: Option<TenantId>,
    pub name: String,
    pub created: Timestamp,
    /// To the minute.
    pub last_used: Option<Timestamp>,
    pub revoked: Option<Timestamp>,
}

/// The name of the key that came with `POSTRIDER_OPERATOR_KEY`; no other key can have it.
const GIVEN_NAME: &str = "POSTRIDER_OPERATOR_KEY";
/// The name of the key that the first start makes.
const FIRST_NAME: &str = "first operator key";
/// 24 random bytes are 192 bits.
const KEY_BYTES: usize = 24;
/// A key's use is remembered this often.
pub(super) const USE_STEP: Duration = Duration::from_secs(60);

/// When keys were last used, until it is written. Bounded by the number of keys: only known ones come here.
#[derive(Default)]
pub(super) struct Uses(Mutex<Noted>);

#[derive(Default)]
struct Noted {
    last: HashMap<KeyId, Timestamp>,
    unwritten: Vec<KeyId>,
}

const POISON: &str = "because no holder of this lock panics";

impl Control {
    /// Makes a key: operator.
    pub async fn key_create(
        &self,
        actor: &Actor,
        new: NewKey,
        again: Option<Repeatable<'_, KeyCreated>>,
    ) -> Result<Created<KeyCreated>, EngineError> {
        actor.require(&[Role::Operator], None)?;
        let turn = self.turn().await;
        if let Some(answer) = self.repeated(again.as_ref()).await? {
            return Ok(Created::Replayed(answer));
        }
        check::name("name", &new.name)?;
        if new.name == GIVEN_NAME {
            let detail = "This name belongs to the key of the environment. Choose another one.";
            return Err(Problem::at(Code::InvalidField, "name", detail).into());
        }
        check_scope(&new)?;
        let tenant = match new.tenant {
            Some(tenant) => Some(self.tenant_now(tenant).await?),
            None => None,
        };
        let now = self.now();
        let created = KeyCreated {
            id: KeyId::new(now, self.random()),
            key: self.key_text(),
            role: new.role,
            tenant: new.tenant,
            name: new.name,
            created: now,
        };
        let (mut write, after) = self.key_write(actor, &created, tenant.as_deref());
        write.idempotency = again.map(|again| again.row(&created));
        self.commit(turn, write, after).await?;
        Ok(Created::Fresh(created))
    }

    /// Ends a key at once: operator. A second time it changes nothing.
    pub async fn key_revoke(&self, actor: &Actor, key: KeyId) -> Result<(), EngineError> {
        actor.require(&[Role::Operator], None)?;
        let turn = self.turn().await;
        let row = self.store().key_get(key).await?.ok_or_else(|| Problem::not_found("key"))?;
        if row.revoked.is_some() {
            return Ok(());
        }
        let now = self.now();
        let write = self.revocation(actor, vec![row], now)?;
        let after = After { revoked: vec![key], ..After::default() };
        self.commit(turn, write, after).await
    }

    /// Sees to it that somebody can operate. `given`: `POSTRIDER_OPERATOR_KEY`, which becomes an operator's key; one that was
    /// given at an earlier start ends. Without it, and without any operator's key, one is made and returned: to be printed
    /// once.
    ///
    /// # Errors
    /// `key_too_weak` under 32 characters; `key_invalid` for a key that was revoked, or belongs to another role.
    pub async fn ensure_operator_key(
        &self,
        given: Option<SecretString>,
    ) -> Result<Option<SecretString>, EngineError> {
        let turn = self.turn().await;
        let keys = self.store().keys_any_tenant().await?;
        let now = self.now();
        let id = KeyId::new(now, self.random());
        let created = |key, name: &str| KeyCreated {
            id,
            key,
            role: Role::Operator,
            tenant: None,
            name: name.to_owned(),
            created: now,
        };
        let Some(given) = given else {
            if keys.iter().any(|key| key.role == role_code(Role::Operator)) {
                return Ok(None);
            }
            let created = created(self.key_text(), FIRST_NAME);
            let (write, after) = self.key_write(&Actor::postrider(), &created, None);
            self.commit(turn, write, after).await?;
            return Ok(Some(created.key));
        };
        check_strength(&given)?;
        let hash = hash(&given);
        let earlier: Vec<KeyRow> =
            keys.into_iter().filter(|key| key.name == GIVEN_NAME && key.hash != hash).collect();
        let revoked: Vec<KeyId> = earlier.iter().map(|key| key.id).collect();
        let mut write = self.revocation(&Actor::postrider(), earlier, now)?;
        let mut after = After::default();
        match self.store().key_by_hash(&hash).await? {
            Some(known) if known.revoked.is_some() || known.role != role_code(Role::Operator) => {
                return Err(EngineError::refused(
                    Code::KeyInvalid,
                    "POSTRIDER_OPERATOR_KEY is a key that was revoked, or that has another role. Give a new one.",
                ));
            }
            Some(_) if revoked.is_empty() => return Ok(None),
            Some(_) => {}
            None => {
                let (new, shown) = self.key_write(&Actor::postrider(), &created(given, GIVEN_NAME), None);
                write.keys.extend(new.keys);
                write.audit.extend(new.audit);
                after = shown;
            }
        }
        after.revoked = revoked;
        self.commit(turn, write, after).await?;
        Ok(None)
    }

    /// Keys, newest first: a tenant's, or all; `before`: the last id of the page before.
    pub async fn keys(
        &self,
        tenant: Option<TenantId>,
        before: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<KeyListed>, EngineError> {
        let mut listed = Vec::new();
        for row in self.store().key_list(tenant, before, limit).await? {
            listed.push(KeyListed {
                id: row.id,
                role: role(&row)?,
                tenant: row.tenant,
                name: row.name,
                created: row.created,
                last_used: row.last_used,
                revoked: row.revoked,
            });
        }
        Ok(listed)
    }

    /// Remembers that a key was used. Called for every request: it costs a look into a map, and is written in batches, at
    /// most once a minute and key.
    pub fn key_used(&self, key: KeyId) {
        let now = self.now();
        let mut noted = self.0.key_uses.0.lock().expect(POISON);
        if noted.last.get(&key).is_some_and(|last| now.since(*last) < USE_STEP) {
            return;
        }
        noted.last.insert(key, now);
        noted.unwritten.push(key);
        let first = noted.unwritten.len() == 1;
        drop(noted);
        if first {
            self.0.work.notify_one();
        }
    }

    /// Writes the uses that were noted since the last time.
    pub async fn key_uses_write(&self) -> Result<(), EngineError> {
        let mut fresh = Vec::new();
        {
            let mut noted = self.0.key_uses.0.lock().expect(POISON);
            for key in std::mem::take(&mut noted.unwritten) {
                if let Some(last) = noted.last.get(&key) {
                    fresh.push((key, *last));
                }
            }
        }
        // What is lost to a failing store is noted again with the key's next use after a minute.
        Ok(self.store().keys_used(&fresh).await?)
    }

    pub(super) fn has_key_uses(&self) -> bool {
        !self.0.key_uses.0.lock().expect(POISON).unwritten.is_empty()
    }

    fn key_text(&self) -> SecretString {
        let mut bytes = Zeroizing::new([0u8; KEY_BYTES]);
        self.random().fill(bytes.as_mut());
        format!("pr_{}", *Zeroizing::new(hex::encode(bytes.as_ref()))).into()
    }

    fn key_write(
        &self,
        actor: &Actor,
        created: &KeyCreated,
        tenant: Option<&Tenant>,
    ) -> (ConfigWrite, After) {
        let hash = hash(&created.key);
        let row = KeyRow {
            id: created.id,
            hash,
            role: role_code(created.role),
            tenant: created.tenant,
            name: created.name.clone(),
            created: created.created,
            last_used: None,
            revoked: None,
        };
        let act = Act {
            action: "key.created",
            target: created.id.to_string(),
            before: None,
            after: Some(audit_state(&row, created.role)),
        };
        let write = ConfigWrite {
            at: created.created,
            audit: vec![self.audit_row(actor, tenant, created.created, act)],
            keys: vec![row],
            ..ConfigWrite::default()
        };
        let key =
            ApiKey { id: created.id, role: created.role, tenant: created.tenant, name: created.name.clone() };
        (write, After { key: Some((hash, Arc::new(key))), ..After::default() })
    }

    fn revocation(
        &self,
        actor: &Actor,
        keys: Vec<KeyRow>,
        now: Timestamp,
    ) -> Result<ConfigWrite, EngineError> {
        let mut write = ConfigWrite { at: now, ..ConfigWrite::default() };
        for mut row in keys {
            let act = Act {
                action: "key.revoked",
                target: row.id.to_string(),
                before: Some(audit_state(&row, role(&row)?)),
                after: None,
            };
            let tenant = row.tenant.and_then(|tenant| self.catalogue().tenant(tenant));
            write.audit.push(self.audit_row(actor, tenant.as_deref(), now, act));
            row.revoked = Some(now);
            write.keys.push(row);
        }
        Ok(write)
    }
}

/// SHA-256: enough for keys of at least 128 bits, whose text nobody can guess.
pub(super) fn hash(key: &SecretString) -> KeyHash {
    Sha256::digest(key.expose_secret()).into()
}

/// The number in the store. Append only.
pub(super) const fn role_code(role: Role) -> i64 {
    match role {
        Role::Operator => 0,
        Role::Publisher => 1,
        Role::Admin => 2,
        Role::Viewer => 3,
    }
}

pub(super) fn role_of_code(code: i64) -> Option<Role> {
    Role::ALL.into_iter().find(|role| role_code(*role) == code)
}

pub(super) fn role(row: &KeyRow) -> Result<Role, EngineError> {
    role_of_code(row.role)
        .ok_or_else(|| StoreError::Corrupt(format!("the role of the key {}", row.id)).into())
}

fn check_strength(key: &SecretString) -> Result<(), Problem> {
    let text = key.expose_secret();
    if text.len() >= limits::KEY_CHARS_MIN && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Problem::at(
        Code::KeyTooWeak,
        GIVEN_NAME,
        format!(
            "An API key has at least {} characters, all of them visible ASCII. `openssl rand -hex 32` makes a good one.",
            limits::KEY_CHARS_MIN
        ),
    ))
}

fn check_scope(new: &NewKey) -> Result<(), Problem> {
    match (new.role, new.tenant) {
        (Role::Admin | Role::Viewer, None) => Err(Problem::at(
            Code::MissingField,
            "tenant",
            format!("A key with the role {} belongs to a tenant: name it.", new.role.as_str()),
        )),
        (Role::Operator, Some(_)) => Err(Problem::at(
            Code::InvalidField,
            "tenant",
            "An operator's key is for the whole installation. Leave the tenant out, or choose the role admin.",
        )),
        _ => Ok(()),
    }
}

fn audit_state(row: &KeyRow, role: Role) -> Value {
    json!({ "name": row.name, "role": role.as_str() })
}

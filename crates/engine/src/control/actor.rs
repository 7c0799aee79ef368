//! Who asks, and what they may do.

use postrider_domain::id::{KeyId, TenantId};
use postrider_domain::problem::{Code, Problem};

pub use crate::catalogue::Role;

/// Who asks for a change; the audit names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actor {
    pub role: Role,
    /// None: Postrider itself.
    pub key: Option<KeyId>,
    /// The tenant that the key is bound to.
    pub tenant: Option<TenantId>,
}

impl Actor {
    /// Postrider itself: a webhook switched off after 410, an operator's command on the machine.
    pub const fn postrider() -> Self {
        Self { role: Role::Operator, key: None, tenant: None }
    }

    /// As the audit writes it.
    pub fn name(&self) -> String {
        self.key.map_or_else(|| "postrider".to_owned(), |key| key.to_string())
    }

    /// Passes who has one of `roles` and is not bound to another tenant than `tenant`.
    ///
    /// # Errors
    /// `forbidden` for the role; `not_found` for another tenant, so that its existence does not show.
    pub(super) fn require(&self, roles: &[Role], tenant: Option<TenantId>) -> Result<(), Problem> {
        if self.tenant.is_some() && tenant.is_some() && self.tenant != tenant {
            return Err(Problem::not_found("tenant"));
        }
        if roles.contains(&self.role) {
            return Ok(());
        }
        let names: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
        Err(Problem::new(
            Code::Forbidden,
            format!(
                "This takes a key with the role {}; yours is {}.",
                names.join(" or "),
                self.role.as_str()
            ),
        ))
    }
}

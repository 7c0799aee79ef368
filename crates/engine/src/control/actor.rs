//! Who asks, and what they may do.

use postrider_domain::id::{KeyId, SessionId, TenantId};
use postrider_domain::problem::{Code, Problem};

pub use crate::catalogue::Role;

/// Who asks for a change; the audit names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actor {
    pub role: Role,
    pub who: Who,
    /// The tenant that the key, or the session, is bound to.
    pub tenant: Option<TenantId>,
}

/// What an actor is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Postrider,
    Key(KeyId),
    Session(SessionId),
}

impl Actor {
    /// Postrider itself: a webhook switched off after 410, an operator's command on the machine.
    pub const fn postrider() -> Self {
        Self { role: Role::Operator, who: Who::Postrider, tenant: None }
    }

    /// As the audit writes it.
    pub fn name(&self) -> String {
        match self.who {
            Who::Postrider => "postrider".to_owned(),
            Who::Key(key) => key.to_string(),
            Who::Session(session) => session.to_string(),
        }
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
            format!("This takes the role {}; yours is {}.", names.join(" or "), self.role.as_str()),
        ))
    }
}

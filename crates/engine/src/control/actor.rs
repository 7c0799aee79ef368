//! Who asks, and what they may do.

use postrider_domain::id::{KeyId, TenantId};
use postrider_domain::problem::{Code, Problem};

/// What an API key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The whole installation.
    Operator,
    /// Events, of all tenants or of one.
    Publisher,
    /// One tenant's webhooks and secrets.
    Admin,
    /// Reads what its profile lets viewers see.
    Viewer,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Operator, Self::Publisher, Self::Admin, Self::Viewer];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Publisher => "publisher",
            Self::Admin => "admin",
            Self::Viewer => "viewer",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

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
    /// Postrider itself: a webhook switched off after 410, a job's end.
    pub const fn postrider() -> Self {
        Self { role: Role::Operator, key: None, tenant: None }
    }

    /// As the audit writes it.
    pub fn name(&self) -> String {
        self.key.map_or_else(|| "postrider".to_owned(), |key| key.to_string())
    }

    /// One of `roles`, and not bound to another tenant than `tenant`.
    ///
    /// # Errors
    /// `forbidden` for the role; `not_found` for another tenant's, so that its existence does not show.
    pub(super) fn require(&self, roles: &[Role], tenant: Option<TenantId>) -> Result<(), Problem> {
        if let (Some(own), Some(tenant)) = (self.tenant, tenant)
            && own != tenant
        {
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

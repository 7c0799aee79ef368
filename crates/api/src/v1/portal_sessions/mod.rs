//! `/v1/portal-sessions`: links that open the portal for one tenant. A link is shown once; what is kept is its hash.

pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod revoke;

use postrider_domain::id::SessionId;
use postrider_domain::time::Timestamp;
use postrider_engine::control::PortalSession;
use serde::Serialize;

use crate::App;
use crate::shape::{Field, Kind, Shape};

/// Of the portal: who may change things there, and who may look.
const ROLES: Kind = Kind::Word(&["admin", "viewer"]);

const ID: Field = Field::new("id", Kind::Text, "`ses_…`").required();
const ROLE: Field = Field::new("role", ROLES, "What may be done in the portal.").required();
const TENANT: Field = Field::new("tenant", Kind::Text, "The tenant whose portal it opens.").required();
const NAME: Field =
    Field::new("name", Kind::Text, "Your product's name, shown in the portal.").required().nullable();
const LOGO: Field = Field::new("logo", Kind::Text, "The URL of your product's logo.").required().nullable();
const ACCENT: Field =
    Field::new("accent", Kind::Text, "`#rrggbb`, for buttons and links.").required().nullable();
const LANGUAGE: Field = Field::new("language", Kind::Text, "`en` or `de`.").required().nullable();
const ORIGINS: Field =
    Field::new("origins", Kind::List(&Kind::Text), "Sites that may show the portal inside their pages.")
        .required();
const CREATED_AT: Field = Field::new("createdAt", Kind::Time, "When it was made.").required();
const EXPIRES_AT: Field = Field::new("expiresAt", Kind::Time, "When it ends by itself.").required();

pub(crate) static PORTAL_SESSION: Shape = Shape {
    name: "PortalSession",
    fields: &[
        ID,
        ROLE,
        TENANT,
        NAME,
        LOGO,
        ACCENT,
        LANGUAGE,
        ORIGINS,
        CREATED_AT,
        EXPIRES_AT,
        Field::new("endedAt", Kind::Time, "When it was signed out of, or revoked.").required().nullable(),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    id: SessionId,
    role: &'static str,
    tenant: Option<String>,
    name: Option<&'a str>,
    logo: Option<&'a str>,
    accent: Option<&'a str>,
    language: Option<&'a str>,
    origins: &'a [String],
    created_at: Timestamp,
    expires_at: Timestamp,
}

impl<'a> View<'a> {
    fn of(app: &App, session: &'a PortalSession) -> Self {
        let look = &session.look;
        Self {
            id: session.id,
            role: session.role.as_str(),
            tenant: app.public_id(session.tenant),
            name: look.name.as_deref(),
            logo: look.logo.as_deref(),
            accent: look.accent.as_deref(),
            language: look.language.as_deref(),
            origins: &look.origins,
            created_at: session.created,
            expires_at: session.expires,
        }
    }
}

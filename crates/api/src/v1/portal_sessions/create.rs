//! `POST /v1/portal-sessions`: a link that opens the portal.

use std::time::Duration;

use http::{Method, StatusCode};
use postrider_engine::control::{Look, NewPortalSession, PortalSessionCreated, Role};
use secrecy::ExposeSecret;
use serde::Serialize;

use super::{ACCENT, CREATED_AT, EXPIRES_AT, ID, LANGUAGE, LOGO, NAME, ORIGINS, ROLE, ROLES, TENANT, View};
use crate::App;
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer_created, repeatable, written};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/portal-sessions",
    tag: "Portal sessions",
    summary: "Open the portal for a tenant",
    detail: "The answer is the only place where `url` is ever shown. Send the person's browser there, or show it in a frame of a page whose origin stands in `origins`. Whoever has the URL is in: make one for each person, when they ask for it.",
    access: Access::Roles(&[Role::Operator, Role::Admin], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::creating(
        &NEW_PORTAL_SESSION,
        r##"{"role": "admin", "name": "Acme", "logo": "https://app.example.com/logo.svg", "accent": "#0a7f5a", "language": "en", "origins": ["https://app.example.com"], "expiresInSeconds": 3600}"##,
    ),
    gives: Gives::Json(StatusCode::CREATED, &PORTAL_SESSION_CREATED),
    handle: |call| Box::pin(handle(call)),
};

static NEW_PORTAL_SESSION: Shape = Shape {
    name: "NewPortalSession",
    fields: &[
        Field::new("role", ROLES, "What may be done in the portal: `viewer` only looks.").required(),
        Field::new("name", Kind::Text, "Your product's name, shown in the portal.").nullable(),
        Field::new("logo", Kind::Text, "The https URL of your product's logo.").nullable(),
        Field::new("accent", Kind::Text, "`#rrggbb`, for buttons and links.").nullable(),
        Field::new("language", Kind::Text, "`en` or `de`.").nullable(),
        Field::new(
            "origins",
            Kind::List(&Kind::Text),
            "Sites that may show the portal inside their pages, such as `https://app.example.com`; none when absent.",
        ),
        Field::new("expiresInSeconds", Kind::Count, "60 to 86,400; an hour when absent.").nullable(),
    ],
};

static PORTAL_SESSION_CREATED: Shape = Shape {
    name: "PortalSessionCreated",
    fields: &[
        ID,
        Field::new("url", Kind::Text, "Where the portal opens, now and never again."),
        Field::new("urlShown", Kind::Bool, "True in a repeated answer: the URL was shown before."),
        ROLE,
        TENANT,
        NAME,
        LOGO,
        ACCENT,
        LANGUAGE,
        ORIGINS,
        CREATED_AT,
        EXPIRES_AT,
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CreatedView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    url_shown: bool,
    #[serde(flatten)]
    session: View<'a>,
}

impl<'a> CreatedView<'a> {
    fn of(app: &App, made: &'a PortalSessionCreated, url: Option<String>) -> Self {
        Self { url_shown: url.is_none(), url, session: View::of(app, &made.session) }
    }
}

async fn handle(call: Call) -> Answer {
    let mut fields = call.fields()?;
    let role = fields.text("role").as_deref().and_then(Role::parse);
    let new = NewPortalSession {
        role: role.expect("because the body was held against its shape"),
        look: Look {
            name: fields.text("name"),
            logo: fields.text("logo"),
            accent: fields.text("accent"),
            language: fields.text("language"),
            origins: fields.texts("origins").unwrap_or_default(),
        },
        lifetime: fields.count("expiresInSeconds").map(Duration::from_secs),
    };
    let app = &call.app;
    let repetition = |made: &PortalSessionCreated| written(&CreatedView::of(app, made, None));
    let again = repeatable(&call.idem, &repetition);
    let created =
        app.engine.control().portal_session_create(&call.actor(), call.tenant(), new, again).await?;
    answer_created(StatusCode::CREATED, created, |made| {
        let url = format!("{}/portal/open/{}", app.public_url, made.token.expose_secret());
        written(&CreatedView::of(app, made, Some(url)))
    })
}

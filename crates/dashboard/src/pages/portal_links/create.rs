//! A new portal link, shown once.

use std::time::Duration;

use axum::response::Response;
use http::Method;
use maud::html;
use postrider_domain::problem::{Code, Problem};
use postrider_engine::control::{Created, Look, NewPortalSession, PortalSessionCreated, Repeatable, Role};
use secrecy::ExposeSecret;

use super::list;
use crate::fault::Fault;
use crate::page::{Answer, Page, Who};
use crate::parts::{self, Tone, text, time};
use crate::visit::Visit;

pub(super) static CREATE: Page = Page {
    method: Method::POST,
    path: "/portal-links",
    who: Who::Admin,
    handle: |visit| Box::pin(create(visit)),
};

async fn create(visit: Visit) -> Answer {
    match created(&visit).await {
        Ok(made) => Ok(shown(&visit, made.as_ref())),
        Err(error) => {
            let problem = error.problem()?;
            let body = list::body(&visit, Some(&problem)).await?;
            Ok(visit.page_with_status(problem.code.status(), visit.t("Portal links"), body))
        }
    }
}

/// None: the same form came before, and its link was shown then.
async fn created(visit: &Visit) -> Result<Option<PortalSessionCreated>, Fault> {
    let form = &visit.form;
    let text = |name: &str| form.text(name).map(str::to_owned);
    let role = form.text("role").and_then(Role::parse);
    let role = role.ok_or_else(|| Problem::at(Code::InvalidField, "role", "Choose who the link is for."))?;
    let origins = form.raw("origins").unwrap_or_default();
    let seconds = form.text("expiresInSeconds").and_then(|seconds| seconds.parse().ok());
    let new = NewPortalSession {
        role,
        look: Look {
            name: text("name"),
            logo: text("logo"),
            accent: text("accent"),
            language: text("language"),
            origins: origins.split_whitespace().map(str::to_owned).collect(),
        },
        lifetime: seconds.map(Duration::from_secs),
    };
    let id = |made: &PortalSessionCreated| made.session.id.to_string().into_bytes();
    let again = visit.idem().map(|idem| Repeatable { idem, answer: &id });
    let control = visit.engine().control();
    Ok(match control.portal_session_create(&visit.actor(), visit.tenant(), new, again).await? {
        Created::Fresh(made) => Some(made),
        Created::Replayed(_) => None,
    })
}

fn shown(visit: &Visit, made: Option<&PortalSessionCreated>) -> Response {
    let t = |text| visit.t(text);
    visit.page(t("New portal link"), html! {
        (parts::heading(t("New portal link"), html! {}))
        @match made {
            Some(made) => {
                @let url = format!("{}/portal/open/{}", visit.app.public_url, made.token.expose_secret());
                p { (t("Whoever has this link is in, as")) " " strong { (if made.session.role == Role::Admin { t("an admin") } else { t("a viewer") }) } ". "
                    (t("It is shown once: hand it to one person, and not by mail.")) }
                (text::block(visit.words(), t("Link"), &url))
                p { (t("It ends")) " " (time::moment(visit, made.session.expires)) }
                @if made.session.look.origins.is_empty() {
                    p .hint { (t("It opens by itself only. To show it inside a page of your product, name that page's site when you make the link.")) }
                } @else {
                    (text::block(visit.words(), t("Inside a page of your product"), &format!(
                        "<iframe src=\"{url}\" title=\"Webhooks\" width=\"100%\" height=\"900\" allow=\"clipboard-write\" style=\"border: 0\"></iframe>"
                    )))
                }
            },
            None => (parts::notice(Tone::Waiting, html! {
                p { (t("This form was sent twice. The link was made once and shown then; it cannot be shown again. Revoke it and make another.")) }
            })),
        }
        p { a .button href=(visit.link("/portal-links")) { (t("I have it")) } }
    })
}

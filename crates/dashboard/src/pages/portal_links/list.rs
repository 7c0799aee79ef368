//! The portal links that are open, and the form for a new one.

use http::Method;
use maud::{Markup, html};
use postrider_domain::id::SessionId;
use postrider_domain::problem::Problem;
use postrider_engine::control::{PortalSession, Role, SessionKind};

use crate::fault::Fault;
use crate::page::{Answer, Page, Who};
use crate::parts::fields::{self, Field};
use crate::parts::{self, Tone, list, time};
use crate::visit::Visit;

pub(super) static LIST: Page = Page {
    method: Method::GET,
    path: "/portal-links",
    who: Who::Admin,
    handle: |visit| Box::pin(show(visit)),
};

async fn show(visit: Visit) -> Answer {
    let body = body(&visit, None).await?;
    Ok(visit.page(visit.t("Portal links"), body))
}

/// `problem`: of a new link that was refused.
pub(super) async fn body(visit: &Visit, problem: Option<&Problem>) -> Result<Markup, Fault> {
    let t = |text| visit.t(text);
    let before = visit.query.text("cursor").and_then(|cursor| SessionId::parse(cursor).ok());
    let tenant = visit.tenant().id;
    let mut links = visit.engine().control().portal_sessions(tenant, before, list::ROWS + 1).await?;
    let more = links.len() > list::ROWS;
    links.truncate(list::ROWS);
    let next = links.last().filter(|_| more).map(|link| link.id.to_string());
    let in_portal = visit.bearer().is_some_and(|bearer| bearer.session.kind == SessionKind::Portal);
    Ok(html! {
        (parts::heading(t("Portal links"), html! {}))
        @if visit.query.text("done") == Some("revoked") {
            (parts::notice(Tone::Good, html! { p { (t("The link is revoked. Who came in by it is out.")) } }))
        }
        p { (t("A portal link lets somebody without a key into this tenant's pages, for a while. Your product makes one for each person with POST /v1/portal-sessions; here you make one by hand.")) }
        @if in_portal {
            (parts::notice(Tone::Plain, html! { p { (t("You came by such a link yourself, and cannot make another. Ask whoever gave it to you.")) } }))
        } @else {
            section .card { h2 { (t("New link")) } (parts::refusal(problem)) (form(visit, problem)) }
        }
        h2 { (t("Links of the last days")) }
        @if links.is_empty() {
            (parts::empty(t("No link yet"), html! { p { (t("A link that was made stands here until a day after its end, with a button that revokes it.")) } }))
        } @else {
            (list::table(t("Portal links, newest first"), &[t("For"), t("Name"), t("Made"), t("Ends"), t("May be framed by"), t("State")],
                html! { @for link in &links { (row(visit, link)) } }))
            (list::pager(visit, &visit.query, next.as_deref()))
        }
    })
}

fn row(visit: &Visit, link: &PortalSession) -> Markup {
    let t = |text| visit.t(text);
    let origins = &link.look.origins;
    html! {
        tr {
            (list::cell(t("For"), html! { (if link.role == Role::Admin { t("an admin") } else { t("a viewer") }) }))
            (list::cell(t("Name"), html! { (link.look.name.as_deref().unwrap_or("–")) }))
            (list::cell(t("Made"), time::short(visit, link.created)))
            (list::cell(t("Ends"), time::moment(visit, link.expires)))
            (list::cell(t("May be framed by"), html! { (if origins.is_empty() { t("nobody").to_owned() } else { origins.join(", ") }) }))
            (list::cell(t("State"), html! {
                @if link.ended.is_some() { (parts::badge(Tone::Plain, t("ended"))) }
                @else if link.expires <= visit.now { (parts::badge(Tone::Plain, t("expired"))) }
                @else {
                    (parts::badge(Tone::Good, t("open"))) " "
                    form method="post" action=(visit.link(&format!("/portal-links/{}/revoke", link.id))) .inline {
                        (parts::hidden(visit))
                        button .danger type="submit" data-confirm=(t("Revoke this link? Who came in by it is out at once.")) { (t("Revoke")) }
                    }
                }
            }))
        }
    }
}

fn form(visit: &Visit, problem: Option<&Problem>) -> Markup {
    let t = |text| visit.t(text);
    let typed = |name: &str| visit.form.text(name).unwrap_or_default().to_owned();
    let (role, name, logo, accent) = (typed("role"), typed("name"), typed("logo"), typed("accent"));
    let (language, origins) = (typed("language"), visit.form.raw("origins").unwrap_or_default());
    let lifetime = visit.form.text("expiresInSeconds").unwrap_or("3600");
    parts::form(
        visit,
        &visit.link("/portal-links"),
        html! {
            (fields::choice(Field { name: "role", label: t("For"), value: &role, problem, ..Field::default() },
                &[("viewer", t("A viewer, who only looks")), ("admin", t("An admin, who may change webhooks and workflows"))]))
            (fields::choice(Field { name: "expiresInSeconds", label: t("Good for"), value: lifetime, problem, ..Field::default() },
                &[("900", t("15 minutes")), ("3600", t("1 hour")), ("14400", t("4 hours")), ("43200", t("12 hours")), ("86400", t("1 day"))]))
            (fields::text(Field { name: "name", label: t("Your product's name"), value: &name, hint: t("Stands at the top of the portal."), problem, ..Field::default() }, "text"))
            (fields::text(Field { name: "logo", label: t("Logo"), value: &logo, hint: t("The https URL of a picture."), problem, ..Field::default() }, "url"))
            (fields::text(Field { name: "accent", label: t("Colour"), value: &accent, hint: t("For buttons and links, written like #0a7f5a."), problem, ..Field::default() }, "text"))
            (fields::choice(Field { name: "language", label: t("Language"), value: &language, problem, ..Field::default() }, &[("", "English"), ("de", "Deutsch")]))
            (fields::area(Field { name: "origins", label: t("Sites that may show it in a frame"), value: origins, hint: t("One in a line, such as https://app.example.com. None: it opens by itself only."), problem, ..Field::default() }, 2))
            div .actions { button type="submit" { (t("Make link")) } }
        },
    )
}

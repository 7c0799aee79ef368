//! `/connections/{connection}`: where it stands, and what to do next.

use http::Method;
use maud::{Markup, html};
use postrider_domain::connection::{ConnectionState, Grant};
use postrider_engine::connections::Connection;

use super::state_badge;
use crate::page::{Answer, Page, Who};
use crate::parts::{self, Tone, time};
use crate::visit::Visit;

pub(crate) static SHOW: Page = Page {
    method: Method::GET,
    path: "/connections/{connection}",
    who: Who::Reader,
    handle: |visit| Box::pin(show(visit)),
};

async fn show(visit: Visit) -> Answer {
    let connections = visit.engine().connections();
    let connection = connections.get(visit.tenant().id, visit.path("connection")).await?;
    let body = html! {
        (parts::heading(&connection.name, html! { (state_badge(&visit, connection.state)) }))
        (parts::done(&visit, &[
            ("made", "Made. Its secret is sealed."),
            ("saved", "Saved."),
            ("scopes", "Saved. Authorize it again for the other scopes."),
            ("refreshed", "The provider gave a new token."),
            ("revoked", "Ended. Steps that use it fail from now on."),
        ]))
        @if let Some(error) = &connection.error { (parts::notice(Tone::Bad, html! { p { (error) } })) }
        p .lead { (next(&visit, &connection)) }
        (facts(&visit, &connection))
        @if visit.may_change() { (what_to_do(&visit, &connection)) }
    };
    Ok(visit.page(&connection.name, body))
}

fn next(visit: &Visit, connection: &Connection) -> &'static str {
    visit.t(match (connection.state, connection.grant) {
        (ConnectionState::Pending, Grant::AuthorizationCode) => {
            "Nobody has authorized it yet. Authorize it next: you are led to the provider, who asks for your consent."
        }
        (ConnectionState::Pending, Grant::ClientCredentials) => {
            "It is ready. The first step that uses it asks for a token."
        }
        (ConnectionState::Active, _) => "It works. Its token is renewed before it expires, where the provider lets it.",
        (ConnectionState::Failed, _) => "The provider refused for good. Put right what the message names, here by editing it, then authorize or refresh it.",
        (ConnectionState::Revoked, Grant::AuthorizationCode) => "It was ended. Authorize it again to use it.",
        (ConnectionState::Revoked, Grant::ClientCredentials) => {
            "It was ended, and the app's secret removed. Edit it and give the secret to use it again."
        }
    })
}

fn facts(visit: &Visit, connection: &Connection) -> Markup {
    let t = |text| visit.t(text);
    let grant = match connection.grant {
        Grant::AuthorizationCode => t("A person consents at the provider"),
        Grant::ClientCredentials => t("The app asks for itself"),
    };
    let mut facts = vec![
        (t("Provider"), html! { (connection.provider) }),
        (t("Tokens"), html! { (grant) }),
        (t("Client id"), html! { code { (connection.client_id) } }),
        (t("Client secret"), html! { (if connection.client_secret_set { t("set") } else { t("none") }) }),
        (t("Scopes"), html! { code { (connection.scopes.join(" ")) } }),
    ];
    let urls = [
        (t("Authorization URL"), &connection.authorization_url),
        (t("Token URL"), &connection.token_url),
        (t("Revocation URL"), &connection.revocation_url),
        (t("Issuer"), &connection.issuer),
        (t("Audience"), &connection.audience),
        (t("Resource"), &connection.resource),
    ];
    for (label, url) in urls {
        if let Some(url) = url {
            facts.push((label, html! { code { (url) } }));
        }
    }
    if let Some(expires) = connection.expires {
        facts.push((t("Token expires"), time::moment(visit, expires)));
    }
    facts.push((t("Changed"), time::moment(visit, connection.updated)));
    facts.push((t("Created"), time::moment(visit, connection.created)));
    facts.push((t("In a step"), html! { code { "connection: " (connection.name) } }));
    parts::facts(&facts)
}

fn what_to_do(visit: &Visit, connection: &Connection) -> Markup {
    let t = |text| visit.t(text);
    let to = |below: &str| visit.link(&format!("/connections/{}{below}", connection.id));
    html! {
        div .actions {
            @if connection.grant == Grant::AuthorizationCode { (parts::act(visit, &to("/authorize"), "", t("Authorize"))) }
            @if connection.state != ConnectionState::Revoked { (parts::act(visit, &to("/refresh"), "ghost", t("Refresh now"))) }
            a .button .ghost href=(to("/edit")) { (t("Edit")) }
        }
        @if connection.state != ConnectionState::Revoked {
            (parts::danger(visit, &to("/revoke"), t("Revoke"), t("Its tokens are ended at the provider, where it can be told, and here in any case.")))
        }
        (parts::danger(visit, &to("/delete"), t("Delete this connection"), t("It is revoked first. Steps that name it fail from then on. This cannot be taken back.")))
    }
}

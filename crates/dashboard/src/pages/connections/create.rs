//! `/connections/new`: make a connection to a provider whose ways are known, or to any other OAuth 2 server.

use http::Method;
use maud::{Markup, html};
use postrider_domain::connection::Grant;
use postrider_domain::problem::{Code, Problem};
use postrider_engine::connections::{CUSTOM, ClientAuth, Connection, provider, providers};
use postrider_engine::control::{Created, NewConnection, Repeatable};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::form::Form;
use crate::page::{Answer, Page, Who, see_other};
use crate::pages::typed;
use crate::parts::{self, Tone, fields};
use crate::visit::Visit;

pub(crate) static NEW: Page = Page {
    method: Method::GET,
    path: "/connections/new",
    who: Who::Admin,
    handle: |visit| Box::pin(new(visit)),
};

pub(crate) static CREATE: Page = Page {
    method: Method::POST,
    path: "/connections/new",
    who: Who::Admin,
    handle: |visit| Box::pin(create(visit)),
};

async fn new(visit: Visit) -> Answer {
    Ok(visit.page(visit.t("Make a connection"), form(&visit, &visit.query, None)))
}

async fn create(visit: Visit) -> Answer {
    match make(&visit).await {
        Ok(id) => Ok(see_other(&visit.link(&format!("/connections/{id}?done=made")))),
        Err(fault) => {
            let problem = fault.problem()?;
            let body = form(&visit, &visit.form, Some(&problem));
            Ok(visit.page_with_status(problem.code.status(), visit.t("Make a connection"), body))
        }
    }
}

async fn make(visit: &Visit) -> Result<String, Fault> {
    let text = |name: &str| visit.form.text(name).map(str::to_owned);
    let grant = visit.form.text("grant").and_then(Grant::parse).ok_or_else(|| {
        Problem::at(Code::InvalidField, "grant", "Choose how the connection comes to its tokens.")
    })?;
    let secret = visit.form.raw("clientSecret").filter(|secret| !secret.is_empty());
    let new = NewConnection {
        name: text("name").unwrap_or_default(),
        provider: text("provider"),
        grant,
        client_id: text("clientId").unwrap_or_default(),
        client_secret: secret.map(SecretString::from),
        scopes: typed::words(&visit.form, "scopes"),
        authorization_url: text("authorizationUrl"),
        token_url: text("tokenUrl"),
        revocation_url: text("revocationUrl"),
        issuer: text("issuer"),
        audience: text("audience"),
        resource: text("resource"),
        auth: visit.form.text("auth").and_then(ClientAuth::parse),
    };
    let repeated = |made: &Connection| json!({ "id": made.id.to_string() }).to_string().into_bytes();
    let again = visit.idem().map(|idem| Repeatable { idem, answer: &repeated });
    let control = visit.engine().control();
    Ok(match control.connection_create(&visit.actor(), visit.tenant(), new, again).await? {
        Created::Fresh(made) => made.id.to_string(),
        Created::Replayed(stored) => {
            let stored: Value = serde_json::from_slice(&stored).unwrap_or_default();
            stored["id"].as_str().unwrap_or_default().to_owned()
        }
    })
}

/// Choosing a provider loads the page anew with what is known of it.
fn form(visit: &Visit, values: &Form, problem: Option<&Problem>) -> Markup {
    let t = |text| visit.t(text);
    let field = |name, label, hint| fields::Field {
        name,
        label,
        value: values.raw(name).unwrap_or_default(),
        hint,
        problem,
        ..fields::Field::default()
    };
    let chosen = values.text("provider").unwrap_or(CUSTOM);
    let known = provider(chosen);
    let custom = chosen == CUSTOM;
    let titles: Vec<(&str, &str)> =
        providers().iter().map(|one| (one.name.as_str(), one.title.as_str())).collect();
    let mut choices = titles;
    if !choices.iter().any(|(name, _)| *name == CUSTOM) {
        choices.push((CUSTOM, t("Any other OAuth 2 server")));
    }
    let offered = |grant: Grant| known.is_none_or(|known| known.grants.contains(&grant));
    let grants: Vec<(&str, &str)> = [
        (Grant::AuthorizationCode, t("A person consents at the provider")),
        (Grant::ClientCredentials, t("The app asks for itself")),
    ]
    .into_iter()
    .filter(|(grant, _)| offered(*grant))
    .map(|(grant, label)| (grant.as_str(), label))
    .collect();
    let here = visit.link("/connections/new");
    let redirect = format!("{}{}", visit.app.public_url, super::act::CALLBACK);
    html! {
        (parts::heading(t("Make a connection"), html! {}))
        form .filters method="get" action=(here) {
            (fields::choice(fields::Field { name: "provider", label: t("Provider"), value: chosen, ..fields::Field::default() }, &choices))
            div .actions { button .ghost type="submit" { (t("Choose")) } }
        }
        @if let Some(note) = known.and_then(|known| known.note.as_deref()) {
            (parts::notice(Tone::Plain, html! { p { (note) } }))
        }
        p { (t("Register an app at the provider, with this as its redirect URI:")) " " code { (redirect) } }
        (parts::refusal(problem))
        (parts::form(visit, &here, html! {
            input type="hidden" name="provider" value=(chosen);
            (fields::text(fields::Field { required: true, ..field("name", t("Name"), t("What steps call it: letters, digits and _.")) }, "text"))
            (fields::choice(field("grant", t("How it comes to its tokens"), ""), &grants))
            (fields::text(fields::Field { required: true, ..field("clientId", t("Client id"), t("The app's id at the provider.")) }, "text"))
            (fields::text(fields::Field { value: "", ..field("clientSecret", t("Client secret"), t("The app's secret; empty for a public client. It is sealed, and never shown.")) }, "password"))
            (fields::area(field("scopes", t("Scopes"), t("What to ask for, with spaces or on lines of their own.")), 3))
            details .more open[custom || problem.is_some()] {
                summary { (t("Addresses and what some providers want")) }
                (fields::text(field("authorizationUrl", t("Authorization URL"), t("Where a person consents. The provider's when empty.")), "url"))
                (fields::text(field("tokenUrl", t("Token URL"), t("Where tokens are given. The provider's when empty.")), "url"))
                (fields::text(field("revocationUrl", t("Revocation URL"), t("Where tokens are ended. The provider's when empty.")), "url"))
                (fields::text(field("issuer", t("Issuer"), t("What iss must be on the way back.")), "text"))
                (fields::text(field("audience", t("Audience"), ""), "text"))
                (fields::text(field("resource", t("Resource"), ""), "text"))
                (fields::choice(field("auth", t("How the client says who it is"), ""), &[
                    ("", t("as the provider wants it")),
                    ("basic", t("in the header Authorization")),
                    ("body", t("in the body")),
                ]))
            }
            div .actions {
                button type="submit" { (t("Make the connection")) }
                a .button .ghost href=(visit.link("/connections")) { (t("Cancel")) }
            }
        }))
    }
}

//! `/connections/{connection}/edit`: another secret of the app, or other scopes.

use http::Method;
use maud::{Markup, html};
use postrider_domain::connection::Grant;
use postrider_domain::problem::{Code, Problem};
use postrider_engine::connections::{Connection, ConnectionPatch};
use secrecy::SecretString;

use crate::fault::Fault;
use crate::form::Form;
use crate::page::{Answer, Page, Who, see_other};
use crate::pages::typed;
use crate::parts::{self, fields};
use crate::visit::Visit;

pub(crate) static FORM: Page = Page {
    method: Method::GET,
    path: "/connections/{connection}/edit",
    who: Who::Admin,
    handle: |visit| Box::pin(form(visit)),
};

pub(crate) static SAVE: Page = Page {
    method: Method::POST,
    path: "/connections/{connection}/edit",
    who: Who::Admin,
    handle: |visit| Box::pin(save(visit)),
};

async fn form(visit: Visit) -> Answer {
    let connection = in_path(&visit).await?;
    let scopes = connection.scopes.join(" ");
    let body = page(&visit, &connection, Scopes { shown: &scopes, typed: &scopes }, None);
    Ok(visit.page(visit.t("Change the connection"), body))
}

async fn save(visit: Visit) -> Answer {
    let connection = in_path(&visit).await?;
    match change(&visit, &connection).await {
        Ok(done) => Ok(see_other(&visit.link(&format!("/connections/{}{done}", connection.id)))),
        Err(fault) => {
            let problem = fault.problem()?;
            let text = |name| visit.form.raw(name).unwrap_or_default();
            let scopes = Scopes { shown: text("scopesShown"), typed: text("scopes") };
            let body = page(&visit, &connection, scopes, Some(&problem));
            Ok(visit.page_with_status(problem.code.status(), visit.t("Change the connection"), body))
        }
    }
}

async fn in_path(visit: &Visit) -> Result<Connection, Fault> {
    Ok(visit.engine().connections().get(visit.tenant().id, visit.path("connection")).await?)
}

/// Gives what the connection's page says of it.
async fn change(visit: &Visit, connection: &Connection) -> Result<&'static str, Fault> {
    let scopes = typed::words(&visit.form, "scopes");
    let patch = ConnectionPatch {
        client_secret: client_secret(&visit.form)?,
        // Not what somebody else made of them meanwhile; and the same again would cost a client that asks for itself its token.
        scopes: Some(scopes).filter(|scopes| *scopes != typed::words(&visit.form, "scopesShown")),
    };
    let for_scopes = patch.scopes.is_some() && connection.grant == Grant::AuthorizationCode;
    if patch.client_secret.is_none() && patch.scopes.is_none() {
        return Ok("");
    }
    let id = connection.id.to_string();
    visit.engine().connections().update(&visit.actor(), visit.tenant(), &id, patch).await?;
    Ok(if for_scopes { "?done=scopes" } else { "?done=saved" })
}

/// A new one, none any more, or (when nothing is said) the one that there is.
fn client_secret(form: &Form) -> Result<Option<Option<SecretString>>, Problem> {
    let given = form.raw("clientSecret").filter(|secret| !secret.is_empty());
    match (given, form.is_on("withoutSecret")) {
        (Some(_), true) => Err(Problem::at(
            Code::InvalidField,
            "clientSecret",
            "Give another secret, or say that there is none any more, not both.",
        )),
        (Some(secret), false) => Ok(Some(Some(SecretString::from(secret)))),
        (None, true) => Ok(Some(None)),
        (None, false) => Ok(None),
    }
}

/// What the form showed first, and what stands in it now.
struct Scopes<'a> {
    shown: &'a str,
    typed: &'a str,
}

fn page(visit: &Visit, connection: &Connection, scopes: Scopes<'_>, problem: Option<&Problem>) -> Markup {
    let t = |text| visit.t(text);
    let field = |name, label, value, hint| fields::Field {
        name,
        label,
        value,
        hint,
        problem,
        ..fields::Field::default()
    };
    let person = connection.grant == Grant::AuthorizationCode;
    let scopes_hint = match person {
        true => t("With spaces or on lines of their own. Others count from the next authorization on."),
        false => t("With spaces or on lines of their own. Others count from the next token on."),
    };
    let secret_hint = match connection.client_secret_set {
        true => t("Another one that the provider gave the app. Empty: the one that there is stays."),
        false => t("The app's secret; empty for a public client. It is sealed, and never shown."),
    };
    let to = |below: &str| visit.link(&format!("/connections/{}{below}", connection.id));
    html! {
        (parts::heading(t("Change the connection"), html! {}))
        p .lead { (connection.name) }
        (parts::refusal(problem))
        (parts::form(visit, &to("/edit"), html! {
            (fields::text(field("clientSecret", t("Client secret"), "", secret_hint), "password"))
            @if person && connection.client_secret_set {
                (fields::check("withoutSecret", t("The app has no secret any more: it is a public client."), visit.form.is_on("withoutSecret")))
            }
            input type="hidden" name="scopesShown" value=(scopes.shown);
            (fields::area(field("scopes", t("Scopes"), scopes.typed, scopes_hint), 3))
            p .hint { (t("Name, provider, client id and addresses stay as they are: for others make another connection.")) }
            div .actions {
                button type="submit" { (t("Save")) }
                a .button .ghost href=(to("")) { (t("Cancel")) }
            }
        }))
    }
}

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
    let body = page(&visit, &connection, &connection.scopes.join(" "), None);
    Ok(visit.page(visit.t("Change the connection"), body))
}

async fn save(visit: Visit) -> Answer {
    let connection = in_path(&visit).await?;
    match change(&visit, &connection).await {
        Ok(()) => Ok(see_other(&visit.link(&format!("/connections/{}?done=saved", connection.id)))),
        Err(fault) => {
            let problem = fault.problem()?;
            let scopes = visit.form.raw("scopes").unwrap_or_default();
            let body = page(&visit, &connection, scopes, Some(&problem));
            Ok(visit.page_with_status(problem.code.status(), visit.t("Change the connection"), body))
        }
    }
}

async fn in_path(visit: &Visit) -> Result<Connection, Fault> {
    Ok(visit.engine().connections().get(visit.tenant().id, visit.path("connection")).await?)
}

async fn change(visit: &Visit, connection: &Connection) -> Result<(), Fault> {
    let patch = ConnectionPatch {
        client_secret: client_secret(&visit.form)?,
        // The same scopes again would cost a client that asks for itself its token.
        scopes: Some(typed::words(&visit.form, "scopes")).filter(|scopes| *scopes != connection.scopes),
    };
    if patch.client_secret.is_none() && patch.scopes.is_none() {
        return Ok(());
    }
    let id = connection.id.to_string();
    visit.engine().connections().update(&visit.actor(), visit.tenant(), &id, patch).await?;
    Ok(())
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

fn page(visit: &Visit, connection: &Connection, scopes: &str, problem: Option<&Problem>) -> Markup {
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
    let to = |below: &str| visit.link(&format!("/connections/{}{below}", connection.id));
    html! {
        (parts::heading(t("Change the connection"), html! {}))
        p .lead { (connection.name) }
        (parts::refusal(problem))
        (parts::form(visit, &to("/edit"), html! {
            (fields::text(field("clientSecret", t("Client secret"), "", t("Another one that the provider gave the app. Empty: the one that there is stays.")), "password"))
            @if person && connection.client_secret_set {
                (fields::check("withoutSecret", t("The app has no secret any more: it is a public client."), visit.form.is_on("withoutSecret")))
            }
            (fields::area(field("scopes", t("Scopes"), scopes, scopes_hint), 3))
            p .hint { (t("Name, provider, client id and addresses stay as they are: for others make another connection.")) }
            div .actions {
                button type="submit" { (t("Save")) }
                a .button .ghost href=(to("")) { (t("Cancel")) }
            }
        }))
    }
}

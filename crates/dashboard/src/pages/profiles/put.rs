//! Storing a profile from pasted TOML.

use http::Method;
use maud::{Markup, html};
use postrider_domain::problem::{Code, Problem};
use postrider_domain::profile::Profile;
use postrider_engine::control::{Created, ProfileStored, Repeatable};

use crate::fault::Fault;
use crate::form::escaped;
use crate::page::{Answer, Page, Who, see_other};
use crate::parts;
use crate::parts::fields::{self, Field};
use crate::visit::Visit;

pub(super) static FORM: Page = Page {
    method: Method::GET,
    path: "/profiles/new",
    who: Who::Operator,
    handle: |visit| Box::pin(async move { Ok(visit.page("Store a profile", form(&visit, None))) }),
};

pub(super) static PUT: Page = Page {
    method: Method::POST,
    path: "/profiles/new",
    who: Who::Operator,
    handle: |visit| Box::pin(put(visit)),
};

fn form(visit: &Visit, problem: Option<&Problem>) -> Markup {
    // Of a profile that is to be replaced.
    let named = visit.query.text("profile").or_else(|| visit.form.text("profile"));
    let replaced = named.and_then(|name| visit.engine().catalogue().profile(name));
    let known = replaced.as_ref().map(|profile| profile.source.as_str());
    let source = visit.form.raw("source").or(known).unwrap_or_default();
    html! {
        (parts::heading("Store a profile", html! {}))
        p { "The name in the source decides: a new name makes a new profile, a known one a new version of it. Events that were accepted before keep the version that they had. Built-in profiles cannot be replaced." }
        @if let Some(problem) = problem { (errors(problem)) }
        (parts::form(visit, "/dashboard/profiles/new", html! {
            @if let Some(replaced) = &replaced { input type="hidden" name="profile" value=(replaced.name); }
            (fields::area(Field { name: "source", label: "Profile as TOML", value: source, hint: "Start from a copy of a built-in one: its page has the source.", required: true, ..Field::default() }, 24))
            div .actions { button type="submit" { "Store" } a .button .ghost href="/dashboard/profiles" { "Cancel" } }
        }))
    }
}

/// One line for each error.
fn errors(problem: &Problem) -> Markup {
    parts::notice(
        parts::Tone::Bad,
        html! {
            p { "The profile was not stored." }
            ul { @for error in problem.detail.split("; ") { li { (error) } } }
        },
    )
}

async fn put(visit: Visit) -> Answer {
    match stored(&visit).await {
        Ok(name) => Ok(see_other(&format!("/dashboard/profiles/{}?done=stored", escaped(&name)))),
        Err(error) => {
            let problem = error.problem()?;
            Ok(visit.page_with_status(problem.code.status(), "Store a profile", form(&visit, Some(&problem))))
        }
    }
}

async fn stored(visit: &Visit) -> Result<String, Fault> {
    let source = visit.form.raw("source").unwrap_or_default().replace("\r\n", "\n");
    if let (Some(name), Ok(profile)) = (visit.form.text("profile"), Profile::parse(&source))
        && profile.name != name
    {
        let detail = format!("The source's name is `{}`; you are replacing `{name}`.", profile.name);
        return Err(Problem::at(Code::ProfileInvalid, "source", detail).into());
    }
    let name = |stored: &ProfileStored| stored.profile.name.clone().into_bytes();
    let again = visit.idem().map(|idem| Repeatable { idem, answer: &name });
    Ok(match visit.engine().control().profile_put(&visit.actor(), &source, again).await? {
        Created::Fresh(stored) => stored.profile.name.clone(),
        Created::Replayed(name) => String::from_utf8_lossy(&name).into_owned(),
    })
}

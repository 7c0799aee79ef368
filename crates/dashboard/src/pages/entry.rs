//! Ways in and out: signing in with a key or a one-time link, a portal's link, signing out; and how pages look.

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, SET_COOKIE};
use http::{HeaderValue, Method};
use maud::{Markup, html};
use postrider_domain::problem::{Code, Problem};
use postrider_domain::signature::sha256;
use postrider_engine::catalogue::Role;
use postrider_engine::control::SessionKind;

use crate::guard::CSRF_FIELD;
use crate::page::{Answer, Face, Page, Who, see_other};
use crate::parts::{self, fields};
use crate::session;
use crate::visit::Visit;

pub(crate) static START: Page = Page {
    method: Method::GET,
    path: "/",
    who: Who::Everybody,
    handle: |_| Box::pin(async { Ok(see_other("/dashboard/")) }),
};

pub(crate) static SIGN_IN: Page = Page {
    method: Method::GET,
    path: "/dashboard/login",
    who: Who::Everybody,
    handle: |visit| Box::pin(async move { Ok(visit.page("Sign in", sign_in(&visit, None))) }),
};

pub(crate) static SIGNED_IN: Page = Page {
    method: Method::POST,
    path: "/dashboard/login",
    who: Who::Everybody,
    handle: |visit| Box::pin(signed_in(visit)),
};

pub(crate) static LINK: Page = Page {
    method: Method::GET,
    path: "/dashboard/link/{token}",
    who: Who::Everybody,
    handle: |visit| Box::pin(async move { Ok(visit.page("Sign in", link(&visit))) }),
};

pub(crate) static LINK_USED: Page = Page {
    method: Method::POST,
    path: "/dashboard/link/{token}",
    who: Who::Everybody,
    handle: |visit| Box::pin(link_used(visit)),
};

pub(crate) static SIGN_OUT: Page = Page {
    method: Method::POST,
    path: "/dashboard/sign-out",
    who: Who::Everybody,
    handle: |visit| Box::pin(sign_out(visit, Face::Dashboard)),
};

pub(crate) static PORTAL_SIGN_OUT: Page = Page {
    method: Method::POST,
    path: "/portal/sign-out",
    who: Who::Everybody,
    handle: |visit| Box::pin(sign_out(visit, Face::Portal)),
};

pub(crate) static THEME: Page = Page {
    method: Method::POST,
    path: "/dashboard/theme",
    who: Who::Everybody,
    handle: |visit| Box::pin(async move { Ok(theme(&visit)) }),
};

pub(crate) static PORTAL_THEME: Page = Page {
    method: Method::POST,
    path: "/portal/theme",
    who: Who::Everybody,
    handle: |visit| Box::pin(async move { Ok(theme(&visit)) }),
};

pub(crate) static PORTAL_OPEN: Page = Page {
    method: Method::GET,
    path: "/portal/open/{token}",
    who: Who::Everybody,
    handle: |visit| Box::pin(portal_open(visit, Asked::ByLink)),
};

pub(crate) static PORTAL_CHANGED: Page = Page {
    method: Method::POST,
    path: "/portal/open/{token}",
    who: Who::Everybody,
    handle: |visit| Box::pin(portal_open(visit, Asked::ByButton)),
};

/// The product team's colour: a sheet of its own, since pages carry no style.
pub(crate) static PORTAL_LOOK: Page = Page {
    method: Method::GET,
    path: "/portal/look.css",
    who: Who::Everybody,
    handle: |visit| Box::pin(async move { Ok(look(&visit)) }),
};

fn sign_in(visit: &Visit, problem: Option<&Problem>) -> Markup {
    html! {
        div .door {
            h1 { "Sign in" }
            (parts::refusal(problem))
            form method="post" action="/dashboard/login" .form {
                // Who is signed in already may sign in anew, and then the form needs its session's word.
                input type="hidden" name=(CSRF_FIELD) value=(visit.csrf());
                input type="hidden" name="to" value=(visit.query.text("to").or_else(|| visit.form.text("to")).unwrap_or_default());
                (fields::text(fields::Field {
                    name: "key",
                    label: "API key",
                    hint: "An operator's key shows the whole installation; a tenant's key shows that tenant.",
                    required: true,
                    ..fields::Field::default()
                }, "password"))
                button type="submit" { "Sign in" }
            }
            p .hint { "No key at hand? Postrider prints a link for one sign-in when it starts, and " code { "postrider key new-operator" } " makes a new key." }
        }
    }
}

async fn signed_in(visit: Visit) -> Answer {
    let key = visit.form.text("key").unwrap_or_default();
    let control = visit.engine().control();
    let Some(key) = visit.engine().catalogue().key(&sha256(key.as_bytes())) else {
        let detail = "This key is not known here, or has been revoked. Check that you copied all of it.";
        let problem = Problem::at(Code::KeyInvalid, "key", detail);
        return Ok(visit.page_with_status(401, "Sign in", sign_in(&visit, Some(&problem))));
    };
    let (token, session) = control.session_sign_in(&key).await?;
    let (face, start) = match session.role {
        Role::Operator => (Face::Dashboard, "/dashboard/"),
        _ => (Face::Portal, "/portal/"),
    };
    let to = visit.form.text("to").and_then(session::own_path).filter(|to| to.starts_with(start));
    Ok(session::begin(&visit.app, face, &visit.headers, &token, &session, to.unwrap_or(start))?)
}

/// A link is used up by a button: programs that look at links before people do would use it otherwise.
fn link(visit: &Visit) -> Markup {
    html! {
        div .door {
            h1 { "Sign in" }
            p .lead { "This link signs you in as an operator of this installation, once." }
            form method="post" action=(visit.uri.path()) .form {
                input type="hidden" name=(CSRF_FIELD) value=(visit.csrf());
                button type="submit" { "Sign in" }
            }
        }
    }
}

async fn link_used(visit: Visit) -> Answer {
    match visit.engine().control().session_from_link(visit.path("token")).await? {
        Some((token, session)) => {
            Ok(session::begin(&visit.app, Face::Dashboard, &visit.headers, &token, &session, "/dashboard/")?)
        }
        None => Err(Problem::new(
            Code::Forbidden,
            "This link was used before, or its quarter of an hour is over. Restart Postrider for a new one, or sign in with a key.",
        )
        .into()),
    }
}

async fn sign_out(visit: Visit, face: Face) -> Answer {
    let bearer = visit.bearer_of(face).await?;
    if let Some(bearer) = &bearer {
        crate::guard::check_origin(&visit.headers, Some(bearer), &visit.form)?;
        visit.engine().control().session_end(&bearer.session).await?;
    }
    let to = if face == Face::Dashboard { "/dashboard/login" } else { "/portal/" };
    Ok(session::end(&visit.app, face, bearer.as_ref().map(|bearer| &bearer.session), to))
}

/// How a portal is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    ByLink,
    /// After a word of warning.
    ByButton,
}

async fn portal_open(visit: Visit, asked: Asked) -> Answer {
    let token = visit.path("token").to_owned();
    let session = visit.engine().control().session_find(&token).await?;
    let session = session.filter(|session| session.kind == SessionKind::Portal);
    let Some(session) = session else {
        return Err(Problem::new(
            Code::Forbidden,
            visit.t("This link has ended or was revoked. Open this page from your application again."),
        )
        .into());
    };
    // A link that somebody else sent must not take a visitor elsewhere unseen: what they enter would be the other's.
    let elsewhere = visit.bearer().is_some_and(|bearer| bearer.session.tenant != session.tenant);
    if elsewhere && asked == Asked::ByLink {
        let tenant = session.tenant.and_then(|tenant| visit.engine().catalogue().tenant(tenant));
        let name = tenant.map(|tenant| tenant.pinned.values.name.clone()).unwrap_or_default();
        return Ok(visit.page(visit.t("Another portal"), html! {
            div .door {
                h1 { (visit.t("Another portal")) }
                p .lead { (visit.t("This link leads out of the portal that you are in, and into the one of")) " " strong { (name) } }
                form method="post" action=(visit.uri.path()) .form {
                    input type="hidden" name=(CSRF_FIELD) value=(visit.csrf());
                    div .actions {
                        button type="submit" { (visit.t("Go there")) }
                        a .button .ghost href="/portal/" { (visit.t("Stay here")) }
                    }
                }
            }
        }));
    }
    Ok(session::begin(&visit.app, Face::Portal, &visit.headers, &token.into(), &session, "/portal/")?)
}

fn look(visit: &Visit) -> Response {
    // Checked when the session was made: a colour like #1f5fbf and nothing else.
    let accent = visit.bearer().and_then(|bearer| bearer.session.look.accent.clone()).unwrap_or_default();
    let sheet = if accent.is_empty() { String::new() } else { format!(":root{{--accent-given:{accent}}}") };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
    ];
    (headers, sheet).into_response()
}

/// Remembers light or dark in a cookie of its own.
fn theme(visit: &Visit) -> Response {
    let theme = if visit.form.text("theme") == Some("dark") { "dark" } else { "light" };
    let to = visit.form.text("to").and_then(session::own_path).unwrap_or("/dashboard/");
    let mut response = see_other(to);
    let cookie = format!(
        "postrider-theme={theme}; Path=/; Max-Age=31536000; HttpOnly; {}",
        session::site(&visit.app, visit.face, visit.bearer().map(|bearer| &bearer.session)),
    );
    let cookie = HeaderValue::from_str(&cookie).expect("because the theme is one of two words");
    response.headers_mut().insert(SET_COOKIE, cookie);
    response
}

//! What is done to a connection: authorize it, refresh it, end it, delete it.

use http::Method;
use maud::html;

use crate::page::{Answer, Page, Who, see_other};
use crate::parts::{self, time};
use crate::visit::Visit;

/// Where providers send people back to, below the public URL: an endpoint of the API.
pub(super) const CALLBACK: &str = "/v1/connections/callback";

pub(crate) static AUTHORIZE: Page = Page {
    method: Method::POST,
    path: "/connections/{connection}/authorize",
    who: Who::Admin,
    handle: |visit| Box::pin(authorize(visit)),
};

pub(crate) static REFRESH: Page = Page {
    method: Method::POST,
    path: "/connections/{connection}/refresh",
    who: Who::Admin,
    handle: |visit| Box::pin(refresh(visit)),
};

pub(crate) static REVOKE: Page = Page {
    method: Method::POST,
    path: "/connections/{connection}/revoke",
    who: Who::Admin,
    handle: |visit| Box::pin(revoke(visit)),
};

pub(crate) static DELETE: Page = Page {
    method: Method::POST,
    path: "/connections/{connection}/delete",
    who: Who::Admin,
    handle: |visit| Box::pin(delete(visit)),
};

/// A page with the link, not a redirect: browsers keep forms of this page from leading elsewhere.
async fn authorize(visit: Visit) -> Answer {
    let t = |text| visit.t(text);
    let name = visit.path("connection");
    let redirect = format!("{}{CALLBACK}", visit.app.public_url);
    let connections = visit.engine().connections();
    let link = connections.authorize(&visit.actor(), visit.tenant(), name, redirect.clone()).await?;
    let leads = link.url.starts_with("https://") || link.url.starts_with("http://");
    let body = html! {
        (parts::heading(t("Authorize"), html! {}))
        p .lead { (t("The provider asks for your consent, and sends you back. Whoever consents there gives access to their own account.")) }
        @if leads {
            p { a .button href=(link.url) rel="noreferrer noopener" target="_blank" { (t("Go to the provider")) } }
        } @else {
            p { (t("Its authorization URL is no web address. Make the connection anew with another.")) }
        }
        (parts::facts(&[
            (t("Good until"), time::moment(&visit, link.expires)),
            (t("Redirect URI"), html! { code { (redirect) } }),
        ]))
        p { (t("The link works once. The redirect URI must be registered at the provider.")) }
        p { a href=(visit.link(&format!("/connections/{}", crate::form::escaped(name)))) { (t("Back to the connection")) } }
    };
    Ok(visit.page(t("Authorize"), body))
}

async fn refresh(visit: Visit) -> Answer {
    let name = visit.path("connection");
    let refreshed = visit.engine().connections().refresh(&visit.actor(), visit.tenant(), name).await?;
    Ok(see_other(&visit.link(&format!("/connections/{}?done=refreshed", refreshed.id))))
}

async fn revoke(visit: Visit) -> Answer {
    let name = visit.path("connection");
    let revoked = visit.engine().connections().revoke(&visit.actor(), visit.tenant(), name).await?;
    Ok(see_other(&visit.link(&format!("/connections/{}?done=revoked", revoked.id))))
}

async fn delete(visit: Visit) -> Answer {
    visit.engine().connections().delete(&visit.actor(), visit.tenant(), visit.path("connection")).await?;
    Ok(see_other(&visit.link("/connections?done=deleted")))
}

//! `/connections`: all of a tenant, the newest first.

use http::Method;
use maud::html;
use postrider_domain::id::ConnectionId;

use super::state_badge;
use crate::page::{Answer, Page, Who};
use crate::parts::{self, list, time};
use crate::visit::Visit;

pub(crate) static LIST: Page = Page {
    method: Method::GET,
    path: "/connections",
    who: Who::Reader,
    handle: |visit| Box::pin(show(visit)),
};

async fn show(visit: Visit) -> Answer {
    let t = |text| visit.t(text);
    let before = visit.query.text("cursor").and_then(|id| ConnectionId::parse(id).ok());
    let connections = visit.engine().connections();
    let mut rows = connections.list(visit.tenant().id, before, list::ROWS + 1).await?;
    let next = list::cut(&mut rows, |row| row.id.to_string());
    let columns = [t("Name"), t("Provider"), t("State"), t("Expires"), t("Changed")];
    let new = html! { a .button href=(visit.link("/connections/new")) { (t("Make a connection")) } };
    let body = html! {
        (parts::heading(t("Connections"), html! { @if visit.may_change() { (new) } }))
        (parts::done(&visit, &[("deleted", "The connection was ended at the provider, where it could be told, and deleted.")]))
        p .lead { (t("Access to other systems by OAuth 2. Steps use a connection by its name; its tokens are renewed by themselves.")) }
        @if rows.is_empty() && before.is_none() {
            (parts::empty(t("No connections yet"), html! {
                p { (t("Register an app at the provider, give its id and secret here, and let somebody consent. From then on steps can call the provider.")) }
                @if visit.may_change() { p { (new) } }
            }))
        } @else {
            (list::table(t("Connections, the newest first"), &columns, html! {
                @for row in &rows {
                    tr {
                        (list::cell(columns[0], html! { a href=(visit.link(&format!("/connections/{}", row.id))) { (row.name) } }))
                        (list::cell(columns[1], html! { (row.provider) }))
                        (list::cell(columns[2], html! {
                            (state_badge(&visit, row.state))
                            @if let Some(error) = &row.error { div .hint { (error) } }
                        }))
                        (list::cell(columns[3], html! { @if let Some(expires) = row.expires { (time::short(&visit, expires)) } }))
                        (list::cell(columns[4], time::short(&visit, row.updated)))
                    }
                }
            }))
        }
        (list::pager(&visit, &visit.query, next.as_deref()))
    };
    Ok(visit.page(t("Connections"), body))
}

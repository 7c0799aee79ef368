//! `/deliveries`: a tenant's deliveries, newest first, with filters; what is selected, or all that match, can be sent again.

use http::Method;
use maud::{Markup, html};
use postrider_domain::delivery::DeliveryState;
use postrider_domain::problem::Problem;
use postrider_store::{DeliveryFilter, DeliveryPage};

use super::filter;
use super::row::{Select, row, table};
use crate::page::{Answer, Page, Who};
use crate::pages::events::search;
use crate::parts::{self, Tone, list, time};
use crate::visit::Visit;

pub(crate) static LIST: Page = Page {
    method: Method::GET,
    path: "/deliveries",
    who: Who::WebhookReader,
    handle: |visit| Box::pin(show(visit)),
};

async fn show(visit: Visit) -> Answer {
    let filter = match filter::read(&visit, &visit.query) {
        Ok(filter) => filter,
        Err(problem) => {
            let body = around(&visit, Some(&problem), html! { (parts::refusal(Some(&problem))) });
            return Ok(visit.page_with_status(problem.code.status(), visit.t("Deliveries"), body));
        }
    };
    // One more than is shown tells whether there are more.
    let page = visit.store().delivery_page(visit.tenant().id, &filter, list::ROWS + 1).await?;
    let body = around(&visit, None, rows(&visit, &filter, page));
    Ok(visit.page(visit.t("Deliveries"), body))
}

fn around(visit: &Visit, problem: Option<&Problem>, body: Markup) -> Markup {
    let t = |text| visit.t(text);
    let follows = problem.is_none() && visit.query.text("cursor").is_none();
    html! {
        (parts::heading(t("Deliveries"), html! {
            @if follows {
                span .hint data-live-status data-over=(t("Not live any more")) role="status" {}
                button type="button" .switch data-live-toggle hidden aria-pressed="false" { (t("Follow live")) }
            }
        }))
        (search::search_box(visit, ""))
        (filter::form(visit, problem))
        (body)
    }
}

fn rows(visit: &Visit, filter: &DeliveryFilter, mut page: DeliveryPage) -> Markup {
    let t = |text| visit.t(text);
    let is_first = filter.before.is_none();
    if page.deliveries.is_empty() && is_first && !filter::is_on(&visit.query) {
        return empty(visit);
    }
    let is_more = page.deliveries.len() > list::ROWS;
    page.deliveries.truncate(list::ROWS);
    let next = page.deliveries.last().filter(|_| is_more).map(|last| last.id.to_string());
    let live = visit.link(&format!("/deliveries/live{}", filter::query(&visit.query)));
    let select = Select::of(visit);
    let tenant = visit.tenant();
    let body = html! { @for delivery in &page.deliveries { (row(visit, tenant, delivery, select)) } };
    let table = table(visit, select, is_first.then_some(live.as_str()), body);
    html! {
        @if select == Select::Yes {
            form method="post" action=(visit.link("/deliveries/retry/preview")) {
                (parts::hidden(visit))
                (filter::hidden(&visit.query))
                (bar(visit, filter))
                (table)
            }
        } @else { (table) }
        @if page.deliveries.is_empty() && page.looked_until.is_none() {
            p { (t("No delivery matches. Take a filter away, or look at another time.")) }
        }
        @if let Some(until) = page.looked_until {
            (parts::notice(Tone::Plain, html! {
                p {
                    (t("Looked at everything back to")) " " (time::stamp(visit, until.time())) ". "
                    (t("There is more before it.")) " "
                    a href=(format!("{}{}", visit.uri.path(), visit.query.with(&[("cursor", &until.to_string())]))) {
                        (t("Go on before this time"))
                    }
                }
            }))
        }
        (list::pager(visit, &visit.query, next.as_deref()))
    }
}

/// What can be done with many at once.
fn bar(visit: &Visit, filter: &DeliveryFilter) -> Markup {
    let t = |text| visit.t(text);
    // Only what failed is sent again without being named.
    let by_filter = filter.state.is_none_or(|state| state == DeliveryState::Failed) && filter.class.is_none();
    html! {
        div .actions .bar {
            label .check data-with-script hidden {
                input type="checkbox" data-select-all="id";
                (t("Select all shown"))
            }
            button type="submit" .ghost name="what" value="selected" { (t("Retry selected")) }
            @if by_filter {
                button type="submit" .ghost name="what" value="all" { (t("Retry all failed that match")) }
            }
        }
    }
}

fn empty(visit: &Visit) -> Markup {
    let t = |text| visit.t(text);
    parts::empty(
        t("No deliveries yet"),
        html! {
            p {
                (t("A delivery is one event on its way to one webhook. As soon as an event matches a webhook, it stands here with every request and every answer."))
            }
            div .actions {
                a .button href=(visit.link("/webhooks")) { (t("Go to the webhooks")) }
                @if visit.may_change() {
                    a .button .ghost href=(visit.link("/dry-run")) { (t("See who would get an event")) }
                }
            }
        },
    )
}

//! The operator's start: every tenant with what it sent in a day and how that went, worst first.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use maud::{Markup, html};
use postrider_domain::id::TenantId;
use postrider_engine::catalogue::Tenant;
use postrider_store::{Sums, WAITING_COUNTED_MAX};

use super::facts;
use crate::form::escaped;
use crate::page::{Answer, Page, Who};
use crate::parts::fields::{self, Field};
use crate::parts::{self, Tone, list, text};
use crate::visit::Visit;

pub(crate) static LIST: Page =
    Page { method: Method::GET, path: "/", who: Who::Operator, handle: |visit| Box::pin(show(visit)) };

/// The running hour and those before it.
const SHOWN: Duration = Duration::from_secs(23 * 3600);

/// A tenant and how it is doing.
struct Standing {
    tenant: Arc<Tenant>,
    sums: Sums,
    state: State,
}

/// Worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// Half or more of what ended in the day failed.
    Failing,
    /// A receiver answered 410, and its webhook was switched off.
    SwitchedOff,
    SomeFail,
    Working,
    Quiet,
}

impl State {
    fn of(tenant: &Tenant, sums: &Sums) -> Self {
        let gone = tenant.webhooks.iter().any(|webhook| webhook.disabled_reason.is_some());
        match sums {
            _ if sums.failed > 0 && sums.failed >= sums.delivered => Self::Failing,
            _ if gone => Self::SwitchedOff,
            _ if sums.failed > 0 => Self::SomeFail,
            _ if sums.delivered > 0 => Self::Working,
            _ => Self::Quiet,
        }
    }

    fn badge(self) -> Markup {
        let (tone, label) = match self {
            Self::Failing => (Tone::Bad, "failing"),
            Self::SwitchedOff => (Tone::Bad, "webhook switched off"),
            Self::SomeFail => (Tone::Waiting, "some fail"),
            Self::Working => (Tone::Good, "working"),
            Self::Quiet => (Tone::Plain, "quiet"),
        };
        parts::badge(tone, label)
    }
}

async fn show(visit: Visit) -> Answer {
    let totals = visit.store().tenants_totals_any_tenant(visit.now.minus(SHOWN), visit.now).await?;
    let mut sums: HashMap<TenantId, Sums> =
        totals.tenants.iter().map(|total| (total.tenant, total.sums)).collect();
    let all = visit.engine().catalogue().tenants();
    let number = all.len();
    let wanted = visit.query.text("q").unwrap_or_default().to_lowercase();
    let found = all.into_iter().filter(|tenant| matches(tenant, &wanted));
    let mut rows: Vec<Standing> = found
        .map(|tenant| {
            let sums = sums.remove(&tenant.id).unwrap_or_default();
            Standing { state: State::of(&tenant, &sums), sums, tenant }
        })
        .collect();
    rows.sort_by(|a, b| {
        let failed = b.sums.failed.cmp(&a.sums.failed);
        a.state.cmp(&b.state).then(failed).then_with(|| a.tenant.public_id.cmp(&b.tenant.public_id))
    });
    let found = rows.len();
    let page: usize =
        visit.query.text("page").and_then(|page| page.parse().ok()).unwrap_or(1).clamp(1, 1_000_000);
    let rows: Vec<Standing> = rows.into_iter().skip((page - 1) * list::ROWS).take(list::ROWS).collect();
    let ids: Vec<TenantId> = rows.iter().map(|row| row.tenant.id).collect();
    let waiting = visit.store().tenants_waiting_any_tenant(&ids).await?;
    let waiting: HashMap<TenantId, u64> = waiting.iter().map(|row| (row.tenant, row.waiting)).collect();
    let actions = html! { a .button href="/dashboard/tenants/new" { "New tenant" } };
    Ok(visit.page("Tenants", html! {
        (parts::heading("Tenants", actions))
        (done(&visit))
        (facts::tiles(number, &totals.installation))
        (facts::installation(&visit))
        @if number == 0 {
            (parts::empty("No tenant yet", html! {
                p { "A tenant is one customer of your product: it has webhooks of its own, and sees nothing of others." }
                p { a .button href="/dashboard/tenants/new" { "Make the first tenant" } }
            }))
        } @else {
            (list::filters(&visit, "/dashboard/", html! {
                (fields::text(Field { name: "q", label: "Id or name", value: &wanted, hint: "", ..Field::default() }, "search"))
            }))
            @if rows.is_empty() {
                (parts::empty("No tenant here", html! { p { "No tenant's id or name has these letters." } }))
            } @else {
                (table(&rows, &waiting))
                (pages(&visit, page, found))
            }
        }
    }))
}

fn matches(tenant: &Tenant, wanted: &str) -> bool {
    wanted.is_empty()
        || tenant.public_id.to_lowercase().contains(wanted)
        || tenant.pinned.values.name.to_lowercase().contains(wanted)
}

fn done(visit: &Visit) -> Markup {
    html! {
        @if visit.query.text("done") == Some("deleted") {
            (parts::notice(Tone::Good, html! { p { "The tenant is gone. What it left is being removed." } }))
        }
    }
}

const COLUMNS: [&str; 11] = [
    "Name",
    "State",
    "Id",
    "Profile",
    "Webhooks on",
    "Accepted",
    "Delivered",
    "Failed",
    "Success",
    "Last full hour",
    "Waiting",
];

fn table(rows: &[Standing], waiting: &HashMap<TenantId, u64>) -> Markup {
    let body = html! {
        @for row in rows {
            @let tenant = &row.tenant;
            @let base = format!("/dashboard/t/{}", escaped(&tenant.public_id));
            @let on = tenant.webhooks.iter().filter(|webhook| webhook.enabled).count();
            @let sums = &row.sums;
            tr {
                (list::cell("Name", html! { a href={ (base) "/" } { (tenant.pinned.values.name) } }))
                (list::cell("State", row.state.badge()))
                (list::cell("Id", html! { code { (tenant.public_id) } }))
                (list::cell("Profile", html! { (tenant.profile().title) }))
                (list::number("Webhooks on", html! { (on) " of " (tenant.webhooks.len()) }))
                (list::number("Accepted", html! { (text::count(sums.accepted)) }))
                (list::number("Delivered", html! { (text::count(sums.delivered)) }))
                (list::number("Failed", html! {
                    @if sums.failed > 0 {
                        a href={ (base) "/deliveries?state=failed" } { (text::count(sums.failed)) }
                    } @else { "0" }
                }))
                (list::number("Success", html! { (facts::share(sums)) }))
                (list::number("Last full hour", html! { (text::count(sums.last_hour_delivered)) }))
                (list::number("Waiting", html! { (waits(waiting.get(&tenant.id).copied().unwrap_or(0))) }))
            }
        }
    };
    list::table("Tenants with their last 24 hours, worst first", &COLUMNS, body)
}

fn waits(waiting: u64) -> String {
    match waiting {
        WAITING_COUNTED_MAX => format!("{} or more", text::count(waiting)),
        _ => text::count(waiting),
    }
}

/// By number: worst first is no order that a cursor could go on from.
fn pages(visit: &Visit, page: usize, found: usize) -> Markup {
    let last = found.div_ceil(list::ROWS);
    let to = |page: usize| {
        format!("/dashboard/{}", visit.query.with(&[("page", &page.to_string()), ("done", "")]))
    };
    html! {
        @if last > 1 {
            nav .pager aria-label="More tenants" {
                @if page > 1 { a .button .ghost href=(to(page - 1)) { "Worse" } }
                span .hint { "Page " (page) " of " (last) ", " (text::count(found as u64)) " tenants" }
                @if page < last { a .button .ghost href=(to(page + 1)) { "More" } }
            }
        }
    }
}

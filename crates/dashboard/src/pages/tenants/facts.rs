//! What is known of the installation as a whole.

use http::Method;
use maud::{Markup, html};
use postrider_store::Sums;

use crate::page::{Answer, Page, Who};
use crate::parts::{self, Tone, text};
use crate::visit::Visit;

/// Whether the ledger balances: it counts all that is open, which takes a moment where there is much, so that it comes after the
/// page.
pub(crate) static LEDGER: Page = Page {
    method: Method::GET,
    path: "/ledger",
    who: Who::Operator,
    handle: |visit| Box::pin(ledger(visit)),
};

pub(super) fn tiles(tenants: usize, sums: &Sums) -> Markup {
    html! {
        dl .tiles {
            (tile("Tenants", &text::count(tenants as u64)))
            (tile("Accepted in 24 h", &text::count(sums.accepted)))
            (tile("Delivered in 24 h", &text::count(sums.delivered)))
            (tile("Failed in 24 h", &text::count(sums.failed)))
            (tile("Success", &share(sums)))
            (tile("Last full hour", &format!("{} / s", rate(sums.last_hour_delivered))))
        }
    }
}

fn tile(name: &str, value: &str) -> Markup {
    html! { div .tile { dt { (name) } dd { (value) } } }
}

/// Of what ended.
pub(super) fn share(sums: &Sums) -> String {
    text::percent(sums.delivered, sums.delivered + sums.failed).unwrap_or_else(|| "–".to_owned())
}

/// Of an hour's deliveries, those in a second.
fn rate(hour: u64) -> String {
    let per_second = hour as f64 / 3600.0;
    if per_second == 0.0 || per_second >= 10.0 {
        format!("{per_second:.0}")
    } else {
        format!("{per_second:.2}")
    }
}

pub(super) fn installation(visit: &Visit) -> Markup {
    let database =
        if visit.store().is_shared() { "PostgreSQL, shared by nodes" } else { "SQLite, in the data folder" };
    parts::facts(&[
        ("Version", html! { (env!("CARGO_PKG_VERSION")) }),
        ("Database", html! { (database) }),
        ("Address", html! { code { (visit.app.public_url) } }),
        (
            "Ledger",
            html! {
                span hx-get="/dashboard/ledger" hx-trigger="load" hx-swap="innerHTML" {
                    a href="/dashboard/ledger" { "Check that it balances" }
                }
            },
        ),
    ])
}

async fn ledger(visit: Visit) -> Answer {
    let rows = visit.store().ledger(None).await?;
    let balanced = rows.iter().all(|row| row.is_balanced());
    let badge = match balanced {
        true => {
            html! { (parts::badge(Tone::Good, "balanced")) " " span .hint { "All that was accepted is accounted for." } }
        }
        false => html! {
            (parts::badge(Tone::Bad, "not balanced")) " "
            span .hint { "Something is counted twice or not at all. Run postrider doctor and report what it says." }
        },
    };
    if visit.wants_part() {
        return Ok(visit.part(badge));
    }
    let rows: Vec<(&str, Markup)> = rows
        .iter()
        .zip(["Events", "Tests", "Replays"])
        .map(|(row, name)| {
            (name, html! {
                (text::count(row.accepted)) " accepted = " (text::count(row.scheduled)) " scheduled + " (text::count(row.sending))
                " sending + " (text::count(row.delivered)) " delivered + " (text::count(row.failed)) " failed + "
                (text::count(row.cancelled)) " cancelled"
            })
        })
        .collect();
    Ok(visit.page("Ledger", html! {
        (parts::heading("Ledger", html! {}))
        p { (badge) }
        p { "Each pair of an event and a webhook that was accepted is counted, and is in one of these states." }
        (parts::facts(&rows))
    }))
}

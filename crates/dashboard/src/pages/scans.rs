//! A tenant's daily scans: what they did, when the next one is, and running one now.

use std::time::Duration;

use http::Method;
use maud::{Markup, html};
use postrider_domain::profile::DeliveryMode;
use postrider_domain::schedule;
use postrider_engine::derive::scan::Scanned;
use postrider_store::ScanRow;

use crate::page::{Answer, Page, Who, see_other};
use crate::parts::{self, Tone, list, text, time};
use crate::visit::Visit;

pub(crate) static PAGES: &[&Page] = &[&SHOW, &RUN];

static SHOW: Page =
    Page { method: Method::GET, path: "/scans", who: Who::Reader, handle: |visit| Box::pin(show(visit)) };

static RUN: Page = Page {
    method: Method::POST,
    path: "/scans/run",
    who: Who::TenantOperator,
    handle: |visit| Box::pin(run(visit)),
};

/// Scans that are shown were due since.
const SHOWN: Duration = Duration::from_secs(90 * 24 * 3600);

async fn show(visit: Visit) -> Answer {
    let t = |text| visit.t(text);
    let since = visit.now.minus(SHOWN);
    let scans = visit.store().scans_since(visit.tenant().id, since, list::ROWS).await?;
    let run = html! {
        @if visit.is_operator() { (parts::act(&visit, &visit.link("/scans/run"), "", t("Run the scan now"))) }
    };
    Ok(visit.page(t("Scans"), html! {
        (parts::heading(t("Scans"), run))
        (done(&visit))
        (when(&visit))
        @if scans.is_empty() {
            (parts::empty(t("No scan has found anything"), html! {
                p { (t("A scan that finds nothing due leaves no row. What it does stands here once records have due times, or somebody runs it.")) }
            }))
        } @else {
            (table(&visit, &scans))
        }
    }))
}

/// In words, for either way of delivery.
fn when(visit: &Visit) -> Markup {
    let t = |text| visit.t(text);
    let tenant = visit.tenant();
    let (hour, minute) = tenant.scan_at();
    let next = schedule::next_scan(visit.now, &tenant.pinned.values.timezone, tenant.scan_at());
    let rules = !tenant.profile().records.is_empty();
    html! {
        @match tenant.delivery_mode() {
            DeliveryMode::Scan => {
                p { (t("Events wait for the daily scan, and then go out together.")) " "
                    (t("It runs at")) " " strong { (format!("{hour:02}:{minute:02}")) } " ("
                    (tenant.pinned.values.timezone.iana_name().unwrap_or("UTC")) ")." }
                p { (t("The next one:")) " " (time::stamp(visit, next)) ", " (time::countdown(visit, next)) }
            },
            DeliveryMode::Immediate => {
                (parts::notice(Tone::Plain, html! {
                    p { (t("This tenant's events go out at once, so they wait for no scan.")) }
                    @if rules { p { (t("Due times of records are looked at every minute.")) } }
                }))
            },
        }
    }
}

fn done(visit: &Visit) -> Markup {
    let t = |text| visit.t(text);
    let number = |name: &str| visit.query.text(name).and_then(|value| value.parse::<u64>().ok()).unwrap_or(0);
    html! {
        @if visit.query.text("done") == Some("run") {
            (parts::notice(Tone::Good, html! {
                p { (t("The scan has run.")) " " (t("Deliveries that waited and go out now:")) " " (text::count(number("due"))) ". "
                    (t("Events from due times:")) " " (text::count(number("events"))) ". "
                    (t("Records made from templates:")) " " (text::count(number("made"))) "." }
                @if number("errors") > 0 { p { (t("Rules that could not decide:")) " " (text::count(number("errors"))) "." } }
            }))
        }
    }
}

fn table(visit: &Visit, scans: &[ScanRow]) -> Markup {
    let t = |text| visit.t(text);
    let columns = [t("Due for"), t("Took"), t("Looked at"), t("Events"), t("Records made"), t("Undecided")];
    list::table(
        t("The last scans, newest first"),
        &columns,
        html! {
            @for scan in scans {
                tr {
                    (list::cell(t("Due for"), time::moment(visit, scan.tick)))
                    (list::cell(t("Took"), html! {
                        @match scan.ended {
                            Some(ended) => (time::duration(ended.since(scan.started))),
                            None => (parts::badge(Tone::Waiting, t("under way"))),
                        }
                    }))
                    (list::number(t("Looked at"), html! { (text::count(scan.looked)) }))
                    (list::number(t("Events"), html! { (text::count(scan.events)) }))
                    (list::number(t("Records made"), html! { (text::count(scan.made)) }))
                    (list::number(t("Undecided"), html! { (text::count(scan.errors)) }))
                }
            }
        },
    )
}

async fn run(visit: Visit) -> Answer {
    let (due, Scanned { events, made, errors, .. }) = visit.engine().scan_run(visit.tenant()).await?;
    Ok(see_other(
        &visit.link(&format!("/scans?done=run&due={due}&events={events}&made={made}&errors={errors}")),
    ))
}

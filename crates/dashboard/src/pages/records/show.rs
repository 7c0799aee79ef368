//! `/records/{kind}/{id}`: a record with what its rules know of it.

use http::Method;
use maud::html;
use postrider_domain::problem::Problem;
use postrider_engine::derive::records::check_id;

use super::list::faults_table;
use super::place;
use crate::form::escaped;
use crate::page::{Answer, Page, Who};
use crate::parts::{self, list, text, time};
use crate::visit::Visit;

pub(crate) static SHOW: Page = Page {
    method: Method::GET,
    path: "/records/{kind}/{id}",
    who: Who::Reader,
    handle: |visit| Box::pin(show(visit)),
};

async fn show(visit: Visit) -> Answer {
    let t = |text| visit.t(text);
    let (place, id) = (place(&visit)?, visit.path("id"));
    check_id(id).map_err(|_| Problem::not_found("record"))?;
    let state = visit.engine().derive().record_get(&place, id).await?;
    let record = state.record.as_ref().ok_or_else(|| Problem::not_found("record"))?;
    // A record may have moved here from another tenant: what fired there is not shown.
    let marks: Vec<_> = state.marks.iter().filter(|mark| Some(mark.tenant) == record.tenant).collect();
    let mut faults = visit.store().record_faults(&record.key).await?;
    faults.retain(|fault| Some(fault.tenant) == record.tenant);
    let body = html! {
        (parts::heading(&format!("{} {id}", place.kind), html! {
            a .button .ghost href=(visit.link(&format!("/records/{}", escaped(&place.kind)))) { (t("All of this kind")) }
        }))
        (parts::facts(&[
            (t("Version"), html! { (record.version) }),
            (t("First told"), time::moment(&visit, record.created)),
            (t("Last changed"), time::moment(&visit, record.updated)),
        ]))
        (text::json(visit.words(), t("Record"), &record.data))
        h2 { (t("Rules that fired once")) }
        @if marks.is_empty() {
            p { (t("No rule that fires once has fired for this record.")) }
        } @else {
            (list::table(t("Rules that fired once"), &[t("Rule"), t("When"), t("Event")], html! {
                @for mark in marks {
                    tr {
                        (list::cell(t("Rule"), html! { code { (mark.rule) } }))
                        (list::cell(t("When"), time::moment(&visit, mark.fired)))
                        (list::cell(t("Event"), html! {
                            @match mark.event {
                                Some(event) => a href=(visit.link(&format!("/events/{event}"))) { code { (event) } },
                                None => (t("none: set by an import without events")),
                            }
                        }))
                    }
                }
            }))
        }
        h2 { (t("When rules look at it again")) }
        @if state.due.is_empty() {
            p { (t("No rule waits for a time of this record; they look at it when it changes.")) }
        } @else {
            (list::table(t("When rules look at it again"), &[t("Rule"), t("From")], html! {
                @for due in &state.due {
                    tr {
                        (list::cell(t("Rule"), html! { code { (due.rule) } }))
                        (list::cell(t("From"), time::moment(&visit, due.at)))
                    }
                }
            }))
        }
        @if !faults.is_empty() {
            h2 { (t("What rules could not decide")) }
            (faults_table(&visit, &faults))
        }
    };
    Ok(visit.page(&format!("{} {id}", place.kind), body))
}

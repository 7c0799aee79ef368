//! Many deliveries sent again: first how many and what will happen, then a job.

use http::Method;
use maud::{Markup, html};
use postrider_domain::id::DeliveryId;
use postrider_domain::limits;
use postrider_domain::problem::{Code, Problem};
use postrider_domain::time::Timestamp;
use postrider_engine::control::{Created, Job, Repeatable, RetrySelection};

use super::filter;
use crate::fault::Fault;
use crate::page::{Answer, Page, Who, see_other};
use crate::parts::text::count;
use crate::parts::{self, Tone};
use crate::visit::Visit;

pub(crate) static PREVIEW: Page = Page {
    method: Method::POST,
    path: "/deliveries/retry/preview",
    who: Who::WebhookAdmin,
    handle: |visit| Box::pin(preview(visit)),
};

pub(crate) static START: Page = Page {
    method: Method::POST,
    path: "/deliveries/retry",
    who: Who::WebhookAdmin,
    handle: |visit| Box::pin(start(visit)),
};

async fn preview(visit: Visit) -> Answer {
    let counted = match selection(&visit) {
        Ok(selection) => {
            let found = visit.engine().control().retry_count(visit.tenant(), &selection).await;
            found.map(|found| (selection, found)).map_err(Fault::from)
        }
        Err(problem) => Err(problem.into()),
    };
    let (selection, found) = match counted {
        Ok(counted) => counted,
        Err(fault) => return refused(&visit, fault),
    };
    let body = ask(&visit, &selection, found.count, found.at_least);
    Ok(visit.page(visit.t("Send again"), body))
}

fn ask(visit: &Visit, selection: &RetrySelection, number: u64, at_least: bool) -> Markup {
    let t = |text| visit.t(text);
    let back = visit.link(&format!("/deliveries{}", filter::query(&visit.form)));
    html! {
        (parts::heading(t("Send again"), html! {}))
        @if number == 0 {
            (parts::notice(Tone::Plain, html! {
                p { (t("There is nothing to send again.")) }
                p { (t("What was delivered meanwhile, is under way, has a deleted webhook, or is past its retention is left out; so are test events.")) }
            }))
            div .actions { a .button href=(back) { (t("Back to the deliveries")) } }
        } @else {
            p .lead {
                @if at_least { (t("At least")) " " }
                strong { (count(number)) } " "
                @if number == 1 { (t("delivery will be sent again.")) } @else { (t("deliveries will be sent again.")) }
            }
            ul {
                li { (t("Each becomes a new delivery of the same event; receivers see the same event id.")) }
                li { (t("What was delivered meanwhile, is under way, has a deleted webhook, or is past its retention is left out; so are test events.")) }
                li { (t("They go out in turn, within the limits of each webhook. A webhook that still fails gets few at a time.")) }
            }
            form method="post" action=(visit.link("/deliveries/retry")) .form {
                (parts::hidden(visit))
                (filter::hidden(&visit.form))
                input type="hidden" name="what" value=(if selection.ids.is_some() { "selected" } else { "all" });
                // What fails from now on was not counted.
                @if let Some(until) = selection.until { input type="hidden" name="counted" value=(until); }
                @for id in selection.ids.iter().flatten() { input type="hidden" name="id" value=(id); }
                div .actions {
                    button type="submit" { (t("Send again")) " " (count(number)) }
                    a .button .ghost href=(back) { (t("Cancel")) }
                }
            }
        }
    }
}

async fn start(visit: Visit) -> Answer {
    let selection = match selection(&visit) {
        Ok(selection) => selection,
        Err(problem) => return refused(&visit, problem.into()),
    };
    let name = |job: &Job| job.id.to_string().into_bytes();
    let again = visit.idem().map(|idem| Repeatable { idem, answer: &name });
    let control = visit.engine().control();
    let job = match control.retry_many(&visit.actor(), visit.tenant(), selection, again).await {
        Ok(Created::Fresh(job)) => job.id.to_string(),
        Ok(Created::Replayed(id)) => String::from_utf8_lossy(&id).into_owned(),
        Err(error) => return refused(&visit, error.into()),
    };
    Ok(see_other(&visit.link(&format!("/jobs/{job}"))))
}

/// What the form means.
fn selection(visit: &Visit) -> Result<RetrySelection, Problem> {
    let form = &visit.form;
    if form.text("what") == Some("selected") {
        let mut ids = Vec::new();
        for text in form.all("id") {
            ids.push(DeliveryId::parse(text).map_err(|_| Problem::not_found("delivery"))?);
        }
        if ids.is_empty() {
            let detail = "Nothing is selected. Go back and check the deliveries to send again, or take all that match.";
            return Err(Problem::at(Code::InvalidField, "id", detail));
        }
        if ids.len() > limits::RETRY_IDS_MAX {
            let detail = format!(
                "At most {} deliveries are selected at once. Use a filter for more.",
                limits::RETRY_IDS_MAX
            );
            return Err(Problem::at(Code::TooManyItems, "id", detail));
        }
        return Ok(RetrySelection { ids: Some(ids), ..RetrySelection::default() });
    }
    let filter = filter::read(visit, form)?;
    if filter.class.is_some() {
        let detail =
            "Select these deliveries one by one: all that match can be sent again by an HTTP code only.";
        return Err(Problem::at(Code::InvalidField, "code", detail));
    }
    // The moment at which they were counted, so that what is sent again is what was shown.
    let counted = form.text("counted").and_then(Timestamp::parse_rfc3339).unwrap_or(visit.now);
    Ok(RetrySelection {
        webhook: filter.webhook,
        event_type: filter.event_type,
        status: filter.status,
        from: filter.from,
        until: Some(filter.until.map_or(counted, |until| until.min(counted))),
        ids: None,
    })
}

fn refused(visit: &Visit, fault: Fault) -> Answer {
    let problem = fault.problem()?;
    let back = visit.link(&format!("/deliveries{}", filter::query(&visit.form)));
    let body = html! {
        (parts::heading(visit.t("Send again"), html! {}))
        (parts::refusal(Some(&problem)))
        div .actions { a .button href=(back) { (visit.t("Back to the deliveries")) } }
    };
    Ok(visit.page_with_status(problem.code.status(), visit.t("Send again"), body))
}

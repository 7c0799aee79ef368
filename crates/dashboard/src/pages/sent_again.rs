//! `/jobs/{job}`: how far something that takes longer than a request has come.

use http::Method;
use maud::{Markup, html};
use postrider_domain::id::JobId;
use postrider_domain::problem::Problem;
use postrider_engine::control::{Job, JobState};

use crate::form::escaped;
use crate::page::{Answer, Page, Who};
use crate::parts::text::count;
use crate::parts::{self, Tone, time};
use crate::visit::Visit;

pub(crate) static PAGES: &[&Page] = &[&SHOW];

static SHOW: Page = Page {
    method: Method::GET,
    path: "/jobs/{job}",
    who: Who::WebhookAdmin,
    handle: |visit| Box::pin(show(visit)),
};

async fn show(visit: Visit) -> Answer {
    let id = visit.id("job", "job", JobId::parse)?;
    let job = visit.engine().control().job_get(Some(visit.tenant().id), id).await?;
    let job = job.ok_or_else(|| Problem::not_found("job"))?;
    if visit.wants_part() {
        return Ok(visit.part(progress(&visit, &job)));
    }
    let title = visit.t("Sending again");
    Ok(visit.page(
        title,
        html! {
            (parts::heading(title, html! {}))
            // Above what grows when it has ended.
            (parts::facts(&[
                (visit.t("Begun"), time::moment(&visit, job.created)),
                (visit.t("Job id"), html! { code { (job.id) } }),
            ]))
            (progress(&visit, &job))
        },
    ))
}

/// Asks for itself until the job has ended.
fn progress(visit: &Visit, job: &Job) -> Markup {
    let t = |text| visit.t(text);
    let here = visit.link(&format!("/jobs/{}", job.id));
    let is_running = job.state == JobState::Running;
    // What is sent again was counted before; meanwhile some may have gone.
    let total = job.total.max(job.done).max(1);
    let made = visit.link(&format!("/deliveries?from={}", escaped(&job.created.to_string())));
    html! {
        section #progress aria-label=(t("Progress")) hx-get=[is_running.then_some(here.as_str())]
            hx-trigger=[is_running.then_some("every 1s")] hx-swap="outerHTML" {
            @if is_running {
                p role="status" { (count(job.done)) " " (t("of")) " " (count(job.total)) " " (t("deliveries made")) }
                progress aria-label=(t("Progress")) value=(job.done) max=(total) { (job.done) " / " (total) }
                p data-without-script { a href=(here) { (t("Look again")) } }
            } @else if job.state == JobState::Done {
                (parts::notice(Tone::Good, html! {
                    p role="status" { (t("Done:")) " " (count(job.done)) " " (t("new deliveries were made. They are on their way, or have ended already.")) }
                }))
                progress aria-label=(t("Progress")) value=(total) max=(total) { "100 %" }
                div .actions { a .button href=(made) { (t("See the deliveries made")) } }
            } @else {
                (parts::notice(Tone::Bad, html! {
                    p { (t("It stopped before its end:")) " " (job.detail.as_deref().unwrap_or_default()) }
                    p { (count(job.done)) " " (t("deliveries were made before that; they go on by themselves.")) }
                }))
                progress aria-label=(t("Progress")) value=(job.done) max=(total) { (job.done) " / " (total) }
                div .actions { a .button href=(made) { (t("See the deliveries made")) } }
            }
        }
    }
}

//! How far a job of the installation has come: the removal of what a deleted tenant left.

use http::Method;
use maud::{Markup, html};
use postrider_domain::id::JobId;
use postrider_domain::problem::Problem;
use postrider_engine::control::{Job, JobKind, JobState};

use crate::page::{Answer, Page, Who};
use crate::parts::{self, Tone, text, time};
use crate::visit::Visit;

pub(crate) static PAGES: &[&Page] = &[&SHOW];

static SHOW: Page = Page {
    method: Method::GET,
    path: "/jobs/{job}",
    who: Who::Operator,
    handle: |visit| Box::pin(show(visit)),
};

async fn show(visit: Visit) -> Answer {
    let id = visit.id("job", "job", JobId::parse)?;
    let job = visit.engine().control().job_get(None, id).await?;
    let job = job.ok_or_else(|| Problem::not_found("job"))?;
    if visit.wants_part() {
        return Ok(visit.part(progress(&visit, &job)));
    }
    let title = match job.kind {
        JobKind::TenantDelete => "Deleting a tenant",
        _ => "A job",
    };
    Ok(visit.page(title, html! {
        (parts::heading(title, html! {}))
        p { "The tenant " code { (job.tenant) } " is gone for everybody. Its rows are removed in small steps, beside other work." }
        (progress(&visit, &job))
        p { a href="/dashboard/" { "All tenants" } }
    }))
}

/// Asks for itself again until the job has ended.
fn progress(visit: &Visit, job: &Job) -> Markup {
    let running = job.state == JobState::Running;
    let (tone, label) = match job.state {
        JobState::Running => (Tone::Waiting, "running"),
        JobState::Done => (Tone::Good, "done"),
        JobState::Failed => (Tone::Bad, "failed"),
    };
    html! {
        div .card hx-get=[running.then(|| visit.uri.path())] hx-trigger=[running.then_some("every 1s")] hx-swap="outerHTML" {
            (parts::facts(&[
                ("State", parts::badge(tone, label)),
                ("Rows removed", html! { (text::count(job.done)) }),
                ("Asked for", time::moment(visit, job.created)),
                ("Ended", html! { @match job.ended { Some(at) => (time::moment(visit, at)), None => "not yet" } }),
            ]))
            @if let Some(detail) = &job.detail { p .error { (detail) } }
        }
    }
}

//! A step of a run in the timeline, and `/runs/{run}/step`: the whole of it, with every request and answer.

use http::Method;
use maud::{Markup, html};
use postrider_domain::id::{EventId, RunId};
use postrider_domain::problem::Problem;
use postrider_domain::run::StepStatus;
use postrider_store::runs::{RunAttemptRow, RunRow, StepRow};

use super::names;
use crate::form::escaped;
use crate::page::{Answer, Page, Who};
use crate::parts::attempt::class_name;
use crate::parts::{self, Tone, text, time};
use crate::visit::Visit;

pub(crate) static STEP: Page = Page {
    method: Method::GET,
    path: "/runs/{run}/step",
    who: Who::Reader,
    handle: |visit| Box::pin(show(visit)),
};

/// Tries of one step, in the timeline and on its own page.
const TRIES_LISTED: usize = 5;
const TRIES_SHOWN: usize = 50;

pub(super) fn step(visit: &Visit, run: &RunRow, step: &StepRow, attempts: &[RunAttemptRow]) -> Markup {
    let t = |text| visit.t(text);
    let (tone, label) = state(step.status);
    let tries: Vec<&RunAttemptRow> = attempts.iter().filter(|attempt| attempt.path == step.path).collect();
    let id = format!("step-{}", escaped(&step.path));
    let here = visit.link(&format!("/runs/{}", run.id));
    let whole = format!("{here}/step?path={}", escaped(&step.path));
    let ended = step.status != StepStatus::Pending;
    html! {
        li class=(tone.class()) id=(id) {
            h3 { a href=(whole) { (step.path) } }
            p {
                (parts::badge(tone, t(label))) " "
                span .hint {
                    (step.kind)
                    @match step.finished {
                        Some(finished) => { " · " (time::duration(finished.since(step.started))) }
                        None => { " · " (t("began")) " " (time::short(visit, step.started)) }
                    }
                    @if step.tries > 1 { " · " (step.tries) " " (t("tries")) }
                }
            }
            @if let Some(until) = step.until.filter(|_| !ended) {
                p { (t("It waits until")) " " (time::stamp(visit, until)) ", " (time::countdown(visit, until)) }
            }
            (link(visit, step))
            @if let Some(error) = &step.error { p .bad-text { (error) } }
            @if !tries.is_empty() {
                ul {
                    @for attempt in tries.iter().rev().take(TRIES_LISTED).rev() { li { (one_line(visit, attempt)) } }
                }
            }
            @if let Some(output) = &step.output {
                // It does not change any more, so what somebody opened stays open while the page follows.
                details .more id=(format!("{id}-output")) hx-preserve="true" {
                    summary { (t("Output")) }
                    (text::excerpt(visit.words(), t("What later steps see"), output))
                }
            }
            @if ended && run.state.is_final() && visit.may_change() { (replay_from(visit, &here, step)) }
        }
    }
}

fn state(status: StepStatus) -> (Tone, &'static str) {
    match status {
        StepStatus::Pending => (Tone::Waiting, "under way"),
        StepStatus::Succeeded => (Tone::Good, "succeeded"),
        StepStatus::Failed => (Tone::Bad, "failed"),
        StepStatus::Skipped => (Tone::Plain, "skipped"),
    }
}

/// The event that it made or waited for, or the run that it called.
fn link(visit: &Visit, step: &StepRow) -> Markup {
    let Some(link) = step.link else { return html! {} };
    if step.kind == "call" {
        let run = RunId::from_bytes(link);
        return html! { p { (visit.t("It called the run")) " " a href=(visit.link(&format!("/runs/{run}"))) { code { (run) } } } };
    }
    let event = EventId::from_bytes(link);
    html! { p { (visit.t("Its event is")) " " a href=(visit.link(&format!("/events/{event}"))) { code { (event) } } } }
}

fn one_line(visit: &Visit, row: &RunAttemptRow) -> Markup {
    let attempt = &row.attempt;
    html! {
        "#" (attempt.number) " "
        @if let Some(status) = attempt.status { strong { (status) } " " }
        (visit.t(class_name(attempt.class))) " "
        span .hint { (time::micros(attempt.timing.total_us)) }
        @if let Some(detail) = &attempt.detail { " " (detail) }
    }
}

fn replay_from(visit: &Visit, here: &str, step: &StepRow) -> Markup {
    html! {
        form method="post" action=(format!("{here}/replay")) .inline {
            (parts::hidden(visit))
            input type="hidden" name="from" value=(step.path);
            button .ghost type="submit" { (visit.t("Replay from here")) }
        }
    }
}

async fn show(visit: Visit) -> Answer {
    let t = |text| visit.t(text);
    let id = visit.id("run", "run", RunId::parse)?;
    let (store, tenant) = (visit.store(), visit.tenant().id);
    let run = store.run_get(tenant, id).await?.ok_or_else(|| Problem::not_found("run"))?;
    let path = visit.query.text("path").unwrap_or_default();
    let steps = store.run_steps(tenant, id).await?;
    let step = steps.iter().find(|step| step.path == path).ok_or_else(|| Problem::not_found("step"))?;
    let mut tries = store.run_attempts(tenant, id).await?;
    tries.retain(|attempt| attempt.path == step.path);
    let more = tries.len().saturating_sub(TRIES_SHOWN);
    let names = names(&visit, std::slice::from_ref(&run)).await?;
    let (tone, label) = state(step.status);
    let mut facts = vec![
        (t("State"), parts::badge(tone, t(label))),
        (t("Type"), html! { (step.kind) }),
        (t("Began"), time::moment(&visit, step.started)),
    ];
    if let Some(finished) = step.finished {
        facts.push((t("Ended"), time::moment(&visit, finished)));
        facts.push((t("Took"), html! { (time::duration(finished.since(step.started))) }));
    }
    if let Some(until) = step.until {
        facts.push((t("Waits until"), time::moment(&visit, until)));
    }
    let body = html! {
        (parts::heading(&step.path, html! {
            a .button .ghost href=(visit.link(&format!("/runs/{id}"))) {
                (t("Run of")) " " (names.get(&run.workflow).map_or("", String::as_str))
            }
        }))
        (parts::facts(&facts))
        (link(&visit, step))
        @if let Some(error) = &step.error { (parts::notice(Tone::Bad, html! { p { (error) } })) }
        @if let Some(output) = &step.output { (text::json(visit.words(), t("What later steps see"), output)) }
        @if !tries.is_empty() {
            h2 { (t("Requests")) }
            @if more > 0 { p .hint { (more) " " (t("earlier ones are not shown.")) } }
            @for attempt in tries.iter().skip(more) { (whole(&visit, attempt)) }
        }
    };
    Ok(visit.page(&step.path, body))
}

fn whole(visit: &Visit, row: &RunAttemptRow) -> Markup {
    let t = |text| visit.t(text);
    let attempt = &row.attempt;
    let mut facts = vec![
        (t("Began"), time::moment(visit, attempt.started)),
        (t("Took"), html! { (time::micros(attempt.timing.total_us)) }),
    ];
    if let Some(peer) = &attempt.peer {
        facts.push((t("Address"), html! { code { (peer) } }));
    }
    html! {
        section .card {
            h3 { (one_line(visit, row)) }
            (parts::facts(&facts))
            @if !attempt.response_head.is_empty() { (text::excerpt(visit.words(), t("Answer's headers"), &attempt.response_head)) }
            @if !attempt.response_body.is_empty() { (text::excerpt(visit.words(), t("Answer's body"), &attempt.response_body)) }
            @if attempt.response_bytes > attempt.response_body.len() as u64 {
                p .hint { (t("Of the answer were read")) " " (text::size(attempt.response_bytes)) "." }
            }
        }
    }
}

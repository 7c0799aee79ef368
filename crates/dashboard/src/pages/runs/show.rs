//! `/runs/{run}`: a run as a timeline of its steps. While it is open the page asks for it each second and shows it in place.

use http::Method;
use maud::{Markup, html};
use postrider_domain::id::RunId;
use postrider_domain::problem::Problem;
use postrider_domain::run::RunState;
use postrider_store::runs::{RunAttemptRow, RunRow, StepRow};

use super::{names, run_badge, steps};
use crate::fault::Fault;
use crate::form::escaped;
use crate::page::{Answer, Page, Who};
use crate::parts::{self, Tone, text, time};
use crate::visit::Visit;

pub(crate) static SHOW: Page = Page {
    method: Method::GET,
    path: "/runs/{run}",
    who: Who::Reader,
    handle: |visit| Box::pin(show(visit)),
};

/// Of one run on a page. A run has 10,000 at most.
const STEPS_SHOWN: usize = 50;

async fn show(visit: Visit) -> Answer {
    let t = |text| visit.t(text);
    let id = visit.id("run", "run", RunId::parse)?;
    let (store, tenant) = (visit.store(), visit.tenant().id);
    let row = store.run_get(tenant, id).await?.ok_or_else(|| Problem::not_found("run"))?;
    let steps = store.run_steps(tenant, id).await?;
    let attempts = store.run_attempts(tenant, id).await?;
    let output = store.run_output(tenant, id).await?;
    let course = course(&visit, &row, &steps, &attempts, output.as_deref());
    if visit.wants_part() {
        return Ok(visit.part(course));
    }
    let workflow = name(&visit, &row).await?;
    let input = store.run_input(tenant, id).await?.unwrap_or_default();
    let body = html! {
        (parts::heading(&format!("{} {workflow}", t("Run of")), html! {}))
        (parts::done(&visit, &[("cancelled", "Cancelled. No further step begins; a request under way is not called back.")]))
        // Above what grows while the run goes on, so that it stays where it is.
        details .more {
            summary { (t("Where it came from, and with what")) }
            (origin(&visit, &row, &workflow))
            h2 { (t("Input")) }
            (text::json(visit.words(), t("What it began with"), &input))
        }
        (course)
    };
    Ok(visit.page(&format!("{} {id}", t("Run")), body))
}

async fn name(visit: &Visit, row: &RunRow) -> Result<String, Fault> {
    let mut names = names(visit, std::slice::from_ref(row)).await?;
    Ok(names.remove(&row.workflow).unwrap_or_default())
}

/// What changes while a run goes on.
fn course(
    visit: &Visit,
    row: &RunRow,
    all: &[StepRow],
    attempts: &[RunAttemptRow],
    output: Option<&[u8]>,
) -> Markup {
    let t = |text| visit.t(text);
    let here = visit.link(&format!("/runs/{}", row.id));
    // Where it stands is what is looked for: the last steps, unless earlier ones are asked for.
    let last = all.len().saturating_sub(STEPS_SHOWN);
    let asked = visit.query.text("from").and_then(|from| from.parse::<usize>().ok());
    let from = asked.unwrap_or(last).min(all.len());
    let shown = &all[from..all.len().min(from + STEPS_SHOWN)];
    let follows = !row.state.is_final();
    let again = format!("{here}{}", visit.query.with(&[("done", "")]));
    html! {
        div #course hx-get=[follows.then_some(&again)] hx-trigger=[follows.then_some("every 1s")] hx-swap=[follows.then_some("outerHTML")] {
            // Apart from the button: a text that counts on must not have it wrap.
            p {
                (run_badge(visit, row.state)) " "
                @if let Some(started) = row.started {
                    span .hint {
                        @match row.finished {
                            Some(finished) => { (t("took")) " " (time::duration(finished.since(started))) }
                            None => { (t("began")) " " (time::short(visit, started)) }
                        }
                    }
                }
            }
            @if visit.may_change() {
                div .actions {
                    @if follows { (parts::act(visit, &format!("{here}/cancel"), "danger", t("Cancel the run"))) }
                    @else { (parts::act(visit, &format!("{here}/replay"), "ghost", t("Replay the run"))) }
                }
            }
            (why(visit, row, all))
            h2 { (t("Steps")) }
            @if all.is_empty() { p { (no_steps(visit, row.state)) } }
            @if from > 0 {
                p { a href=(format!("{here}?from={}", from.saturating_sub(STEPS_SHOWN))) { (t("Earlier steps")) } }
            }
            ol .timeline {
                @for step in shown { (steps::step(visit, row, step, attempts)) }
            }
            @if from + shown.len() < all.len() {
                p { a href=(format!("{here}?from={}", from + STEPS_SHOWN)) { (t("Later steps")) } }
            }
            @if let Some(output) = output {
                h2 { (t("Output")) }
                (text::json(visit.words(), t("What it ended in"), output))
            }
        }
    }
}

fn no_steps(visit: &Visit, state: RunState) -> &'static str {
    visit.t(match state {
        RunState::Queued => "It has not begun: it waits for its turn.",
        RunState::Running => "Its first step is about to begin.",
        _ => "None of its steps began.",
    })
}

/// Why it failed, was cancelled, or stands still.
fn why(visit: &Visit, row: &RunRow, steps: &[StepRow]) -> Markup {
    let t = |text| visit.t(text);
    let tone = if row.state == RunState::Failed { Tone::Bad } else { Tone::Plain };
    html! {
        @if let Some(error) = &row.error {
            (parts::notice(tone, html! {
                p {
                    strong { (if row.state == RunState::Failed { t("Why it failed") } else { t("Why it ended") }) ": " }
                    (error)
                }
                @if let Some(step) = steps.iter().rev().find(|step| step.error.is_some()) {
                    p { (t("See the step")) " " a href=(format!("#step-{}", escaped(&step.path))) { code { (step.path) } } "." }
                }
            }))
        }
        @if let Some(due) = row.due.filter(|_| row.state == RunState::Waiting) {
            (parts::notice(Tone::Waiting, html! { p { (t("It waits, and is looked at again")) " " (time::countdown(visit, due)) } }))
        }
    }
}

fn origin(visit: &Visit, row: &RunRow, workflow: &str) -> Markup {
    let t = |text| visit.t(text);
    let there = visit.tenant().inbound.workflow_by_id(row.workflow).is_some();
    let run = |id: RunId| html! { a href=(visit.link(&format!("/runs/{id}"))) { code { (id) } } };
    let mut facts = vec![
        (t("Run"), html! { code { (row.id) } }),
        (
            t("Workflow"),
            html! {
                @if there { a href=(visit.link(&format!("/workflows/{}", escaped(workflow)))) { (workflow) } }
                @else { (workflow) " (" (t("deleted")) ")" }
                ", " (t("version")) " " (row.version)
            },
        ),
        (
            t("Started by"),
            html! {
                (t(row.kind.as_str()))
                @if let Some(trigger) = row.trigger {
                    " "
                    @if there {
                        a href=(visit.link(&format!("/workflows/{}/triggers/{trigger}", escaped(workflow)))) { code { (trigger) } }
                    } @else { code { (trigger) } }
                }
            },
        ),
        (t("Accepted"), time::moment(visit, row.created)),
    ];
    if let Some(finished) = row.finished {
        facts.push((t("Ended"), time::moment(visit, finished)));
    }
    if let Some(request) = row.request {
        facts.push((
            t("Request"),
            html! { a href=(visit.link(&format!("/requests/{request}"))) { code { (request) } } },
        ));
    }
    if let Some(event) = row.event {
        facts.push((
            t("Event"),
            html! { a href=(visit.link(&format!("/events/{event}"))) { code { (event) } } },
        ));
    }
    if let Some(first) = row.replay_of {
        facts.push((t("Replay of"), run(first)));
    }
    if let Some(parent) = row.parent {
        facts.push((t("Called by"), run(parent)));
    }
    parts::facts(&facts)
}

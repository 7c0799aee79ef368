//! `/workflows/{workflow}/triggers`: what starts runs.

mod act;
mod edit;
mod form;
mod said;
mod show;
mod test;

use std::sync::Arc;

use maud::{Markup, html};
use postrider_domain::id::TriggerId;
use postrider_domain::problem::Problem;
use postrider_domain::run::TriggerKind;
use postrider_engine::inbound::registered::RegisteredWorkflow;
use postrider_engine::inbound::trigger::Trigger;

use super::workflows;
use crate::page::Page;
use crate::parts::{self, Tone, list, time};
use crate::visit::Visit;

pub(crate) static PAGES: &[&Page] = &[
    &edit::NEW,
    &edit::CREATE,
    &show::SHOW,
    &edit::EDIT,
    &edit::SAVE,
    &act::SWITCH,
    &act::ROTATE_SECRET,
    &act::ROTATE_URL,
    &act::DELETE,
    &test::FORM,
    &test::TEST,
];

/// The trigger in the path, and its workflow.
fn in_path(visit: &Visit) -> Result<(Arc<RegisteredWorkflow>, Arc<Trigger>), Problem> {
    let workflow = workflows::in_path(visit)?;
    let id = visit.id("trigger", "trigger", TriggerId::parse)?;
    let found = visit.tenant().inbound.trigger(id).filter(|trigger| trigger.workflow == workflow.id).cloned();
    Ok((workflow, found.ok_or_else(|| Problem::not_found("trigger"))?))
}

fn link(visit: &Visit, workflow: &RegisteredWorkflow, trigger: &Trigger, below: &str) -> String {
    workflows::link(visit, &workflow.name, &format!("/triggers/{}{below}", trigger.id))
}

/// Where requests to a trigger go. Who has it may send, so viewers do not see it.
fn url(visit: &Visit, trigger: &Trigger) -> Option<String> {
    let slug = trigger.slug.as_ref().filter(|_| visit.may_change())?;
    Some(format!("{}/v1/workflows/webhooks/{slug}", visit.app.public_url))
}

const fn kind_label(kind: TriggerKind) -> &'static str {
    match kind {
        TriggerKind::Webhook => "webhook",
        TriggerKind::Cron => "clock",
        TriggerKind::Event => "event",
        TriggerKind::Manual => "by hand",
        TriggerKind::Call => "call",
        TriggerKind::Replay => "replay",
    }
}

/// What starts a trigger's runs, in a line.
fn line(visit: &Visit, trigger: &Trigger) -> Markup {
    let settings = &trigger.settings;
    match trigger.kind {
        TriggerKind::Webhook => {
            let preset =
                settings.verification.as_ref().map_or("", |verification| verification.preset.as_str());
            html! { (visit.t("verified by")) " " code { (preset) } }
        }
        TriggerKind::Cron => {
            let next = trigger.next_times(visit.now, 1);
            html! {
                code { (settings.cron.as_deref().or(settings.every.as_deref()).unwrap_or_default()) }
                @if let Some(zone) = &settings.timezone { " " (zone) }
                @if let Some(next) = next.first().filter(|_| trigger.enabled) { " · " (visit.t("next")) " " (time::countdown(visit, *next)) }
            }
        }
        TriggerKind::Event => html! { code { (settings.events.clone().unwrap_or_default().join(", ")) } },
        _ => html! {},
    }
}

/// The triggers of a workflow, on its page.
pub(crate) fn of_workflow(visit: &Visit, workflow: &RegisteredWorkflow) -> Markup {
    let t = |text| visit.t(text);
    let mut triggers: Vec<_> = visit.tenant().inbound.triggers_of(workflow.id).collect();
    triggers.sort_by_key(|trigger| std::cmp::Reverse(trigger.id));
    let more = triggers.len().saturating_sub(list::ROWS);
    let columns = [t("Name"), t("Type"), t("What"), t("State")];
    html! {
        @if triggers.is_empty() {
            p { (t("Nothing starts this workflow yet, but a person. A trigger starts it when a webhook comes in, at a time, or after an event.")) }
        } @else {
            (list::table(t("Triggers"), &columns, html! {
                @for trigger in triggers.into_iter().take(list::ROWS) {
                    tr {
                        (list::cell(columns[0], html! { a href=(link(visit, workflow, trigger, "")) { (trigger.name) } }))
                        (list::cell(columns[1], html! { (t(kind_label(trigger.kind))) }))
                        (list::cell(columns[2], line(visit, trigger)))
                        (list::cell(columns[3], state(visit, trigger)))
                    }
                }
            }))
            @if more > 0 { p .hint { (more) " " (t("more are not shown here.")) } }
        }
    }
}

fn state(visit: &Visit, trigger: &Trigger) -> Markup {
    match trigger.enabled {
        true => parts::badge(Tone::Good, visit.t("on")),
        false => parts::badge(Tone::Plain, visit.t("off")),
    }
}

//! What pages are made of. Each part is a function that gets values and gives markup; none of them asks the engine.

pub(crate) mod attempt;
pub(crate) mod chart;
pub(crate) mod fields;
pub(crate) mod list;
pub(crate) mod text;
pub(crate) mod time;

use maud::{Markup, html};
use postrider_domain::delivery::DeliveryState;
use postrider_domain::problem::Problem;

use crate::guard::CSRF_FIELD;
use crate::visit::Visit;

/// How a badge or a notice is meant. Colour is never the only sign: each comes with its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    Waiting,
    Plain,
}

impl Tone {
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Waiting => "waiting",
            Self::Plain => "plain",
        }
    }
}

pub(crate) fn badge(tone: Tone, label: &str) -> Markup {
    html! { span class={ "badge " (tone.class()) } { (label) } }
}

pub(crate) fn state_badge(visit: &Visit, state: DeliveryState) -> Markup {
    let (tone, label) = match state {
        DeliveryState::Scheduled => (Tone::Waiting, "scheduled"),
        DeliveryState::Sending => (Tone::Waiting, "sending"),
        DeliveryState::Delivered => (Tone::Good, "delivered"),
        DeliveryState::Failed => (Tone::Bad, "failed"),
        DeliveryState::Cancelled => (Tone::Plain, "cancelled"),
    };
    badge(tone, visit.t(label))
}

/// Something to know, above what a page is about.
pub(crate) fn notice(tone: Tone, body: Markup) -> Markup {
    html! { div class={ "notice " (tone.class()) } role=[(tone == Tone::Bad).then_some("alert")] { (body) } }
}

/// What was refused, above its form.
pub(crate) fn refusal(problem: Option<&Problem>) -> Markup {
    html! {
        @if let Some(problem) = problem { (notice(Tone::Bad, html! { p { (problem.detail) } })) }
    }
}

/// A page's heading with what can be done there.
pub(crate) fn heading(title: &str, actions: Markup) -> Markup {
    html! { div .heading { h1 { (title) } div .actions { (actions) } } }
}

/// A form of ours: it carries the session's token, and a name of this showing, so that sending it twice does one thing.
pub(crate) fn form(visit: &Visit, action: &str, body: Markup) -> Markup {
    html! {
        form method="post" action=(action) .form {
            (hidden(visit))
            (body)
        }
    }
}

/// A button that does something at once.
pub(crate) fn act(visit: &Visit, action: &str, class: &str, label: &str) -> Markup {
    html! {
        form method="post" action=(action) .inline {
            (hidden(visit))
            button type="submit" class=(class) { (label) }
        }
    }
}

/// What cannot be taken back: behind a fold, with what it means, so that it takes two steps without script as well.
pub(crate) fn danger(visit: &Visit, action: &str, label: &str, meaning: &str) -> Markup {
    html! {
        details .more {
            summary { (label) "…" }
            p { (meaning) }
            (act(visit, action, "danger", label))
        }
    }
}

/// What was done before this page: `?done=word`, and a fixed sentence for each word.
pub(crate) fn done(visit: &Visit, sentences: &[(&str, &'static str)]) -> Markup {
    let word = visit.query.text("done");
    let found = sentences.iter().find(|(known, _)| Some(*known) == word);
    html! { @if let Some((_, sentence)) = found { (notice(Tone::Good, html! { p { (visit.t(sentence)) } })) } }
}

/// What every form carries.
pub(crate) fn hidden(visit: &Visit) -> Markup {
    html! {
        input type="hidden" name=(CSRF_FIELD) value=(visit.csrf());
        input type="hidden" name="form" value=(visit.fresh_form_id());
    }
}

/// Names with values.
pub(crate) fn facts(rows: &[(&str, Markup)]) -> Markup {
    html! { dl .facts { @for (name, value) in rows { div { dt { (name) } dd { (value) } } } } }
}

/// Nothing is here yet: what would be, and how to get it.
pub(crate) fn empty(title: &str, body: Markup) -> Markup {
    html! { div .empty { h2 { (title) } (body) } }
}

/// An address to follow: only http and https lead anywhere, everything else is text.
pub(crate) fn outward(url: &str) -> Markup {
    let leads = url.starts_with("https://") || url.starts_with("http://");
    html! {
        @if leads { a href=(url) rel="noreferrer noopener" target="_blank" { (url) } } @else { span { (url) } }
    }
}

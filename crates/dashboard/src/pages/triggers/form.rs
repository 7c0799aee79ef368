//! The form of a trigger, by its kind: what most need stands open, the rest is folded.

use maud::{Markup, html};
use postrider_domain::inbound;
use postrider_domain::problem::Problem;
use postrider_domain::run::TriggerKind;
use postrider_engine::inbound::trigger::{CUSTOM, HEADER_SECRET, NONE};

use crate::form::Form;
use crate::parts::fields::{self, Field};
use crate::visit::Visit;

/// What a form is made with.
#[derive(Clone, Copy)]
pub(super) struct Shown<'a> {
    pub(super) visit: &'a Visit,
    pub(super) values: &'a Form,
    pub(super) problem: Option<&'a Problem>,
    /// The trigger is there already: it has its secrets.
    pub(super) known: bool,
}

impl<'a> Shown<'a> {
    fn field(&self, name: &'a str, label: &'static str, hint: &'static str) -> Field<'a> {
        Field {
            name,
            label: self.visit.t(label),
            value: self.values.raw(name).unwrap_or_default(),
            hint: if hint.is_empty() { "" } else { self.visit.t(hint) },
            required: false,
            problem: self.problem,
        }
    }

    fn text(&self, name: &'a str, label: &'static str, hint: &'static str) -> Markup {
        fields::text(self.field(name, label, hint), "text")
    }

    fn area(&self, name: &'a str, label: &'static str, hint: &'static str, rows: u32) -> Markup {
        fields::area(self.field(name, label, hint), rows)
    }

    fn choice(
        &self,
        name: &'a str,
        label: &'static str,
        hint: &'static str,
        options: &[(&str, &'static str)],
    ) -> Markup {
        let options: Vec<(&str, &str)> =
            options.iter().map(|(value, label)| (*value, self.visit.t(label))).collect();
        fields::choice(self.field(name, label, hint), &options)
    }
}

pub(super) fn form(kind: TriggerKind, shown: Shown<'_>) -> Markup {
    html! {
        (shown.text("name", "Name", "What people call it."))
        @match kind {
            TriggerKind::Webhook => (webhook(shown)),
            TriggerKind::Cron => (clock(shown)),
            TriggerKind::Event => (event(shown)),
            _ => (shown.area("input", "Input", "JSON that runs begin with when nobody gives another.", 6)),
        }
    }
}

fn webhook(shown: Shown<'_>) -> Markup {
    let t = |text| shown.visit.t(text);
    let mut presets: Vec<(&str, &str)> = vec![(HEADER_SECRET, t("A secret in the header X-Webhook-Secret"))];
    let providers = inbound::presets().iter().filter(|preset| preset.name() != HEADER_SECRET);
    presets.extend(providers.map(|preset| (preset.name(), preset.title())));
    presets.push((CUSTOM, t("A scheme of your own")));
    presets.push((NONE, t("Not verified: whoever knows the URL may send")));
    let secret = Field {
        value: "",
        ..shown.field(
            "secret",
            "Secret",
            if shown.known {
                "Leave it empty to keep the secrets that it has."
            } else {
                "The one that the sender has, or that the provider shows. It is not shown again."
            },
        )
    };
    html! {
        (fields::choice(shown.field("preset", "Who sends, and how it is verified", "A provider's preset knows where its signature stands and how it is made."), &presets))
        (fields::text(secret, "password"))
        (fields::check("generateSecret", t("Make a secret, and show it once"), shown.values.is_on("generateSecret")))
        (shown.text("filter", "Filter", "CEL over input, headers, method and query, such as input.type == 'order.created'. What it does not hold for starts nothing."))
        details .more open[shown.problem.is_some()] {
            summary { (t("More: repetitions, bounds, answers")) }
            (shown.choice("dedupBy", "How the same request is known again", "A repeated request starts no second run.", &[
                ("", "as the preset says"),
                ("header", "by a header"),
                ("expression", "by an expression"),
                ("none", "not at all"),
            ]))
            (shown.text("dedup", "Header or expression", "The header's name, or CEL that gives a text, such as input.id."))
            (shown.choice("respond", "Answer", "", &[
                ("", "as soon as the run is stored"),
                ("wait", "wait for what the run answers"),
            ]))
            (fields::text(shown.field("waitSeconds", "Seconds to wait at most", "10 when empty."), "number"))
            (shown.text("methods", "Methods", "POST when empty, or as the preset says."))
            (fields::text(shown.field("maxBytes", "Largest body in bytes", "1 MiB when empty."), "number"))
            (shown.text("rateLimit", "Requests a second", "No bound of its own when empty."))
            (shown.area("allowedAddresses", "Addresses that may send", "IP addresses and networks, one on a line. All when empty.", 3))
            (fields::text(shown.field("tolerance", "Seconds that a signed time may be off", "As the preset says when empty."), "number"))
            (fields::text(Field { value: "", ..shown.field("verifyToken", "Verify token", "What a provider's handshake has to say, where it has one.") }, "password"))
            (shown.area("scheme", "Scheme", "JSON, for a scheme of your own: how requests are signed.", 8))
        }
    }
}

fn clock(shown: Shown<'_>) -> Markup {
    let t = |text| shown.visit.t(text);
    html! {
        (shown.text("cron", "Times", "Five fields: minute, hour, day, month, weekday. 0 6 * * 1-5 is at six on weekdays."))
        (shown.text("every", "Or an interval", "Such as 15m or 36h, instead of times."))
        (shown.text("timezone", "Time zone", "Such as Europe/Berlin; UTC when empty."))
        (shown.area("input", "Input", "JSON that each run begins with.", 6))
        details .more open[shown.problem.is_some()] {
            summary { (t("More: times that were missed, runs that take long")) }
            (shown.choice("catchUp", "Times that passed while nobody was there", "", &[
                ("", "the latest of them"),
                ("none", "none of them"),
                ("all", "each of the last ones"),
            ]))
            (fields::text(shown.field("catchUpMax", "How many of the last ones", "100 when empty."), "number"))
            (shown.choice("overlap", "While a run is not done", "", &[
                ("", "leave the time out"),
                ("queue", "let it wait"),
            ]))
        }
    }
}

fn event(shown: Shown<'_>) -> Markup {
    html! {
        (shown.area("events", "Events", "Patterns such as order.*, one on a line.", 4))
        (shown.text("filter", "Filter", "CEL over input, such as input.data.total > 100."))
    }
}

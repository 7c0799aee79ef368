//! Fields of forms: a label, the control, a hint, and what is wrong with it.

use maud::{Markup, html};
use postrider_domain::problem::Problem;

/// A field and what is known about it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Field<'a> {
    pub(crate) name: &'a str,
    pub(crate) label: &'a str,
    pub(crate) value: &'a str,
    pub(crate) hint: &'a str,
    pub(crate) required: bool,
    /// Of an earlier try; shown at the field that it names.
    pub(crate) problem: Option<&'a Problem>,
}

impl Field<'_> {
    fn error(&self) -> Option<&str> {
        let problem = self.problem?;
        let field = problem.field.as_deref()?;
        let base = field.split(['.', '[']).next().unwrap_or(field);
        (field == self.name || base == self.name).then_some(problem.detail.as_str())
    }

    fn described_by(&self) -> Option<String> {
        match (self.hint.is_empty(), self.error().is_some()) {
            (true, false) => None,
            (false, false) => Some(format!("{}-hint", self.name)),
            (true, true) => Some(format!("{}-error", self.name)),
            (false, true) => Some(format!("{0}-hint {0}-error", self.name)),
        }
    }

    fn around(&self, control: Markup) -> Markup {
        html! {
            div .field {
                label for=(self.name) { (self.label) }
                @if !self.hint.is_empty() { p .hint id={ (self.name) "-hint" } { (self.hint) } }
                (control)
                @if let Some(error) = self.error() { p .error id={ (self.name) "-error" } { (error) } }
            }
        }
    }
}

/// One line. `kind`: the input's type.
pub(crate) fn text(field: Field<'_>, kind: &str) -> Markup {
    field.around(html! {
        input id=(field.name) name=(field.name) type=(kind) value=(field.value) required[field.required]
            aria-describedby=[field.described_by()] aria-invalid=[field.error().map(|_| "true")]
            autocomplete="off" spellcheck="false";
    })
}

/// Several lines.
pub(crate) fn area(field: Field<'_>, rows: u32) -> Markup {
    field.around(html! {
        textarea id=(field.name) name=(field.name) rows=(rows) required[field.required]
            aria-describedby=[field.described_by()] aria-invalid=[field.error().map(|_| "true")]
            spellcheck="false" { (field.value) }
    })
}

/// One of several: each a value and its label.
pub(crate) fn choice(field: Field<'_>, options: &[(&str, &str)]) -> Markup {
    field.around(html! {
        select id=(field.name) name=(field.name) aria-describedby=[field.described_by()] {
            @for (value, label) in options {
                option value=(value) selected[*value == field.value] { (label) }
            }
        }
    })
}

/// Yes or no.
pub(crate) fn check(name: &str, label: &str, on: bool) -> Markup {
    html! {
        div .check {
            input id=(name) name=(name) type="checkbox" checked[on];
            label for=(name) { (label) }
        }
    }
}

//! Lists: a table that becomes cards where there is little room, filters above it, and the way to the next page below.

use maud::{Markup, html};

use crate::form::Form;
use crate::visit::Visit;

/// Rows on a page: some 60 KiB of HTML, 6 KiB compressed.
pub(crate) const ROWS: usize = 50;

/// Of rows that were read for one more than a page, a page; and where the next begins, which is after its last row.
pub(crate) fn cut<T>(rows: &mut Vec<T>, place: impl Fn(&T) -> String) -> Option<String> {
    let more = rows.len() > ROWS;
    rows.truncate(ROWS);
    rows.last().filter(|_| more).map(place)
}

/// A table. On a phone each cell stands under its column's name, so every `td` of `rows` needs `data-label`: see [`cell`].
pub(crate) fn table(caption: &str, columns: &[&str], rows: Markup) -> Markup {
    html! {
        div .scroll {
            table .cards {
                caption .quiet { (caption) }
                thead { tr { @for column in columns { th scope="col" { (column) } } } }
                tbody { (rows) }
            }
        }
    }
}

pub(crate) fn cell(label: &str, body: Markup) -> Markup {
    html! { td data-label=(label) { (body) } }
}

/// A number, aligned by its last digit.
pub(crate) fn number(label: &str, body: Markup) -> Markup {
    html! { td .number data-label=(label) { (body) } }
}

/// A form that asks for a part of the list: it works by its address alone.
pub(crate) fn filters(visit: &Visit, action: &str, fields: Markup) -> Markup {
    html! {
        form .filters method="get" action=(action) role="search" {
            (fields)
            div .actions {
                button type="submit" { (visit.t("Show")) }
                @if visit.uri.query().is_some_and(|query| !query.is_empty()) {
                    a .button .ghost href=(action) { (visit.t("Show all")) }
                }
            }
        }
    }
}

/// The way on. `next`: where the next page begins.
pub(crate) fn pager(visit: &Visit, query: &Form, next: Option<&str>) -> Markup {
    html! {
        nav .pager aria-label=(visit.t("More of the list")) {
            @if query.text("cursor").is_some() {
                a .button .ghost href=(format!("{}{}", visit.uri.path(), query.with(&[("cursor", "")]))) { (visit.t("Newest")) }
            }
            @if let Some(next) = next {
                a .button .ghost href=(format!("{}{}", visit.uri.path(), query.with(&[("cursor", next)]))) { (visit.t("Older")) }
            }
        }
    }
}

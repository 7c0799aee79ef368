//! `/connections`: OAuth 2 grants that steps of workflows use.

mod act;
mod create;
mod edit;
mod list;
mod show;

use maud::Markup;
use postrider_domain::connection::ConnectionState;

use crate::page::Page;
use crate::parts::{self, Tone};
use crate::visit::Visit;

pub(crate) static PAGES: &[&Page] = &[
    &list::LIST,
    &create::NEW,
    &create::CREATE,
    &show::SHOW,
    &edit::FORM,
    &edit::SAVE,
    &act::AUTHORIZE,
    &act::REFRESH,
    &act::REVOKE,
    &act::DELETE,
];

fn state_badge(visit: &Visit, state: ConnectionState) -> Markup {
    let tone = match state {
        ConnectionState::Pending => Tone::Waiting,
        ConnectionState::Active => Tone::Good,
        ConnectionState::Failed => Tone::Bad,
        ConnectionState::Revoked => Tone::Plain,
    };
    parts::badge(tone, visit.t(state.as_str()))
}

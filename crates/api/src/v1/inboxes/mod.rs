//! `/v1/inboxes`: receivers of our own, to try webhooks with.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod receive;
pub(crate) mod requests;
pub(crate) mod update;

use postrider_domain::id::InboxId;
use postrider_domain::time::Timestamp;
use postrider_engine::inbox::{self, Inbox};
use serde::Serialize;

use crate::shape::{Field, Kind, Shape};

pub(crate) static INBOX: Shape = Shape {
    name: "Inbox",
    fields: &[
        Field::new("id", Kind::Text, "`inb_…`").required(),
        Field::new("url", Kind::Text, "What to register as a webhook. Nobody guesses it.").required(),
        Field::new("status", Kind::Count, "The HTTP status that it answers.").required(),
        Field::new("createdAt", Kind::Time, "When it was made.").required(),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct View {
    id: InboxId,
    url: String,
    status: u16,
    created_at: Timestamp,
}

impl View {
    pub(crate) fn of(public_url: &str, row: &Inbox) -> Self {
        let url = inbox::url(public_url, &row.slug);
        Self { id: row.id, url, status: row.status, created_at: row.created }
    }
}

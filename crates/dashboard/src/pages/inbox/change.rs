//! Making an inbox, saying what it answers, deleting it.

use http::Method;
use postrider_domain::id::InboxId;
use postrider_engine::control::{Created, Repeatable};
use postrider_engine::inbox::Inbox;

use super::list;
use crate::form::escaped;
use crate::page::{Answer, Page, Who, see_other};
use crate::visit::Visit;

pub(super) static NEW: Page = Page {
    method: Method::POST,
    path: "/inbox/new",
    who: Who::WebhookAdmin,
    handle: |visit| Box::pin(new(visit)),
};

pub(super) static STATUS: Page = Page {
    method: Method::POST,
    path: "/inbox/{inbox}/status",
    who: Who::WebhookAdmin,
    handle: |visit| Box::pin(status(visit)),
};

pub(super) static DELETE: Page = Page {
    method: Method::POST,
    path: "/inbox/{inbox}/delete",
    who: Who::WebhookAdmin,
    handle: |visit| Box::pin(delete(visit)),
};

/// `?for=webhook`: somebody is about to register a webhook and has no receiver.
async fn new(visit: Visit) -> Answer {
    let to = |inbox: &Inbox| match visit.query.text("for") {
        Some("webhook") => format!("/webhooks/new?url={}", escaped(&list::address(&visit, inbox))),
        _ => format!("/inbox/{}", inbox.id),
    };
    let kept = |inbox: &Inbox| to(inbox).into_bytes();
    let again = visit.idem().map(|idem| Repeatable { idem, answer: &kept });
    let made = visit.engine().control().inbox_create(&visit.actor(), visit.tenant(), None, again).await?;
    let to = match &made {
        Created::Fresh(inbox) => to(inbox),
        Created::Replayed(kept) => String::from_utf8_lossy(kept).into_owned(),
    };
    Ok(see_other(&visit.link(&to)))
}

async fn status(visit: Visit) -> Answer {
    let id = visit.id("inbox", "inbox", InboxId::parse)?;
    // What is no status is refused by control.
    let status = visit.form.text("status").and_then(|status| status.parse().ok()).unwrap_or(0);
    visit.engine().control().inbox_status(&visit.actor(), visit.tenant(), id, status).await?;
    Ok(see_other(&visit.link(&format!("/inbox/{id}?done=status"))))
}

async fn delete(visit: Visit) -> Answer {
    let id = visit.id("inbox", "inbox", InboxId::parse)?;
    visit.engine().control().inbox_delete(&visit.actor(), visit.tenant(), id).await?;
    Ok(see_other(&visit.link("/inbox?done=deleted")))
}

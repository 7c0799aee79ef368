//! `/webhooks/{webhook}/delete`: asks once more, on a page, then deletes for good.

use http::Method;
use maud::html;

use super::{in_path, link};
use crate::page::{Answer, Page, Who, see_other};
use crate::parts;
use crate::visit::Visit;

pub(super) static ASK: Page = Page {
    method: Method::GET,
    path: "/webhooks/{webhook}/delete",
    // Who lost the plan can still tidy up.
    who: Who::Admin,
    handle: |visit| Box::pin(ask(visit)),
};

pub(super) static DELETE: Page = Page {
    method: Method::POST,
    path: "/webhooks/{webhook}/delete",
    who: Who::Admin,
    handle: |visit| Box::pin(delete(visit)),
};

async fn ask(visit: Visit) -> Answer {
    let t = |text| visit.t(text);
    let webhook = in_path(&visit)?;
    Ok(visit.page(t("Delete the webhook?"), html! {
        (parts::heading(t("Delete the webhook?"), html! {}))
        p .lead { (webhook.name) ": " code { (webhook.url) } }
        p { (t("This cannot be undone. What waits for it is cancelled, and its secret is forgotten. Its deliveries and its entries in the audit log stay.")) }
        p { (t("To stop sending for a while, switch it off instead.")) }
        div .actions {
            (parts::act(&visit, &link(&visit, webhook.id, "/delete"), "danger", t("Delete for good")))
            a .button .ghost href=(link(&visit, webhook.id, "")) { (t("Keep it")) }
        }
    }))
}

async fn delete(visit: Visit) -> Answer {
    let webhook = in_path(&visit)?;
    visit.engine().control().webhook_delete(&visit.actor(), visit.tenant(), webhook.id).await?;
    Ok(see_other(&visit.link("/webhooks?done=deleted")))
}

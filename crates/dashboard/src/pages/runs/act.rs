//! What people do with a run: once more, whole or from a step on; or end it.

use http::Method;
use postrider_domain::id::RunId;

use super::{keep, to_run};
use crate::page::{Answer, Page, Who, see_other};
use crate::visit::Visit;

pub(crate) static REPLAY: Page = Page {
    method: Method::POST,
    path: "/runs/{run}/replay",
    who: Who::Admin,
    handle: |visit| Box::pin(replay(visit)),
};

pub(crate) static CANCEL: Page = Page {
    method: Method::POST,
    path: "/runs/{run}/cancel",
    who: Who::Admin,
    handle: |visit| Box::pin(cancel(visit)),
};

async fn replay(visit: Visit) -> Answer {
    let id = visit.id("run", "run", RunId::parse)?;
    let from = visit.form.text("from");
    let begun = visit.engine().runner().replay(visit.tenant(), id, from, keep(&visit)).await?;
    to_run(&visit, begun)
}

async fn cancel(visit: Visit) -> Answer {
    let id = visit.id("run", "run", RunId::parse)?;
    visit.engine().runner().cancel(visit.tenant(), id).await?;
    Ok(see_other(&visit.link(&format!("/runs/{id}?done=cancelled"))))
}

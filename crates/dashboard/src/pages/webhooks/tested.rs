//! `/webhooks/{webhook}/test/{delivery}`: what came of a test, in place, as soon as it has ended.

use http::Method;
use maud::{Markup, html};
use postrider_domain::delivery::DeliveryKind;
use postrider_domain::id::{DeliveryId, InboxId};
use postrider_domain::problem::Problem;
use postrider_engine::EngineError;
use postrider_engine::catalogue::Webhook;
use postrider_engine::outbound::preview::Reveal;
use postrider_engine::outbound::rendered::{RenderedRequest, rendered_as_sent};
use postrider_store::{AttemptRow, StoredDelivery};

use super::{in_path, link};
use crate::fault::Fault;
use crate::page::{Answer, Page, Who};
use crate::parts::attempt::attempt;
use crate::parts::{self, Tone, time};
use crate::visit::Visit;

pub(super) static SHOW: Page = Page {
    method: Method::GET,
    path: "/webhooks/{webhook}/test/{delivery}",
    who: Who::WebhookAdmin,
    handle: |visit| Box::pin(show(visit)),
};

async fn show(visit: Visit) -> Answer {
    let webhook = in_path(&visit)?;
    let id = visit.id("delivery", "delivery", DeliveryId::parse)?;
    let tenant = visit.tenant();
    let found = visit.store().delivery_get(tenant.id, id).await?;
    let delivery = found.filter(|found| found.webhook == webhook.id && found.kind == DeliveryKind::Test);
    let delivery = delivery.ok_or_else(|| Problem::not_found("delivery"))?;
    let attempts = visit.store().attempts(tenant.id, id).await?;
    let result = match attempts.last() {
        Some(last) => ended(&visit, &webhook, &delivery, last).await?,
        None => pending(&visit, &webhook, &delivery),
    };
    if visit.wants_part() {
        return Ok(visit.part(result));
    }
    let t = |text| visit.t(text);
    Ok(visit.page(t("The test event"), html! {
        (parts::heading(t("The test event"), html! {
            a .button href=(link(&visit, webhook.id, &format!("/test?type={}", crate::form::escaped(&delivery.event_type)))) { (t("Send another")) }
            a .button .ghost href=(link(&visit, webhook.id, "")) { (t("Back to the webhook")) }
        }))
        p .lead { code { (delivery.event_type) } " → " (webhook.name) }
        (result)
    }))
}

/// Asks again each second, until the answer does not ask any more.
fn pending(visit: &Visit, webhook: &Webhook, delivery: &StoredDelivery) -> Markup {
    let t = |text| visit.t(text);
    let here = link(visit, webhook.id, &format!("/test/{}", delivery.id));
    html! {
        div #result .result aria-live="polite" hx-get=(here) hx-trigger="every 1s" hx-swap="outerHTML" {
            (parts::notice(Tone::Waiting, html! {
                p { (parts::state_badge(visit, delivery.state)) " " (t("The request is under way. Its outcome comes here by itself.")) }
                p data-without-script { a href=(here) { (t("Look again")) } }
            }))
        }
    }
}

async fn ended(
    visit: &Visit,
    webhook: &Webhook,
    delivery: &StoredDelivery,
    last: &AttemptRow,
) -> Result<Markup, Fault> {
    let t = |text| visit.t(text);
    let request = as_sent(visit, delivery, last).await?;
    let shown = request.as_ref().map_err(String::as_str);
    let inbox = inbox_of(visit, webhook).await?;
    Ok(html! {
        div #result .result aria-live="polite" {
            @if let Some(inbox) = inbox {
                p { a .button href=(visit.link(&format!("/inbox/{inbox}"))) { (t("See it in the inbox")) } }
            }
            h2 { (t("What came of it")) }
            (attempt(visit, last, shown))
            @if let Some(due) = delivery.due {
                p { (t("It will be tried again:")) " " (time::countdown(visit, due)) }
            }
            p { a href=(visit.link(&format!("/deliveries/{}", delivery.id))) { (t("The delivery with all its attempts")) } }
        }
    })
}

/// The request, or a sentence about why it cannot be shown.
pub(super) async fn as_sent(
    visit: &Visit,
    delivery: &StoredDelivery,
    sent: &AttemptRow,
) -> Result<Result<RenderedRequest, String>, Fault> {
    match rendered_as_sent(visit.engine(), visit.tenant(), delivery.id, sent, Reveal::No).await {
        Ok(request) => Ok(Ok(request)),
        Err(EngineError::Refused(problem)) => Ok(Err(problem.detail)),
        Err(error @ EngineError::Store(_)) => Err(error.into()),
    }
}

/// Where it arrived, if that is one of ours.
async fn inbox_of(visit: &Visit, webhook: &Webhook) -> Result<Option<InboxId>, Fault> {
    let Some(slug) = webhook.inbox.as_deref() else { return Ok(None) };
    let inboxes = visit.engine().control().inboxes(visit.tenant().id).await?;
    Ok(inboxes.iter().find(|inbox| *inbox.slug == *slug).map(|inbox| inbox.id))
}

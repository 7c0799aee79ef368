//! `/deliveries/{delivery}/resend`: the event of a delivery once more, to another URL: a developer's own machine, most often.

use http::Method;
use maud::{Markup, html};
use postrider_domain::id::DeliveryId;
use postrider_domain::problem::Problem;
use postrider_engine::Answered;
use postrider_store::NewIdempotency;

use crate::fault::Fault;
use crate::page::{Answer, Page, Who, see_other};
use crate::parts::{self, fields};
use crate::visit::Visit;

pub(crate) static FORM: Page = Page {
    method: Method::GET,
    path: "/deliveries/{delivery}/resend",
    who: Who::WebhookAdmin,
    handle: |visit| Box::pin(show(visit)),
};

pub(crate) static SENT: Page = Page {
    method: Method::POST,
    path: "/deliveries/{delivery}/resend",
    who: Who::WebhookAdmin,
    handle: |visit| Box::pin(send(visit)),
};

async fn show(visit: Visit) -> Answer {
    let id = visit.id("delivery", "delivery", DeliveryId::parse)?;
    let found = visit.store().delivery_get(visit.tenant().id, id).await?;
    found.ok_or_else(|| Problem::not_found("delivery"))?;
    Ok(visit.page(visit.t("Send to another URL"), form(&visit, id, None)))
}

async fn send(visit: Visit) -> Answer {
    let id = visit.id("delivery", "delivery", DeliveryId::parse)?;
    let kept = visit.idem().map(|idem| NewIdempotency {
        scope: idem.scope,
        key: idem.key,
        fingerprint: idem.fingerprint,
        // The engine keeps the new delivery's id.
        answer: Box::new(|_| Vec::new()),
    });
    let url = visit.form.text("url").unwrap_or_default();
    let sent = visit.engine().delivery_resend(&visit.actor(), visit.tenant(), id, url, kept).await;
    let made = match sent {
        Ok(Answered::Fresh(made)) => made,
        Ok(Answered::Replayed(kept)) => DeliveryId::from_bytes(kept.try_into().unwrap_or_default()),
        Err(error) => {
            let problem = Fault::from(error).problem()?;
            let body = form(&visit, id, Some(&problem));
            return Ok(visit.page_with_status(problem.code.status(), visit.t("Send to another URL"), body));
        }
    };
    Ok(see_other(&visit.link(&format!("/deliveries/{made}?done=resent"))))
}

fn form(visit: &Visit, id: DeliveryId, problem: Option<&Problem>) -> Markup {
    let t = |text| visit.t(text);
    let back = visit.link(&format!("/deliveries/{id}"));
    html! {
        (parts::heading(t("Send to another URL"), html! {}))
        p .lead { (t("The same event goes to a URL of yours, once, exactly as the webhook would get it: same body, same event id, signed with the webhook's secret.")) }
        p .hint { (t("It is tried once, counts in no statistic, and the webhook's own receiver hears nothing of it. The webhook's own headers go along.")) }
        (parts::refusal(problem))
        (parts::form(visit, &format!("{back}/resend"), html! {
            (fields::text(fields::Field {
                name: "url",
                label: t("URL"),
                value: visit.form.raw("url").unwrap_or_default(),
                required: true,
                problem,
                ..fields::Field::default()
            }, "url"))
            div .actions {
                button type="submit" { (t("Send it there")) }
                a .button .ghost href=(back) { (t("Cancel")) }
            }
        }))
    }
}

//! What is done to a trigger at once: on and off, another secret, another URL, gone.

use std::time::Duration;

use http::Method;
use postrider_domain::id::TriggerId;
use postrider_domain::problem::{Code, Problem};
use postrider_engine::control::{Created, Repeatable, TriggerChanged, TriggerPatch};
use secrecy::SecretString;

use super::{edit, in_path, link};
use crate::page::{Answer, Page, Who, see_other};
use crate::pages::workflows;
use crate::visit::Visit;

pub(crate) static SWITCH: Page = Page {
    method: Method::POST,
    path: "/workflows/{workflow}/triggers/{trigger}/{switch}",
    who: Who::Admin,
    handle: |visit| Box::pin(switch(visit)),
};

pub(crate) static ROTATE_SECRET: Page = Page {
    method: Method::POST,
    path: "/workflows/{workflow}/triggers/{trigger}/secret",
    who: Who::Admin,
    handle: |visit| Box::pin(rotate_secret(visit)),
};

pub(crate) static ROTATE_URL: Page = Page {
    method: Method::POST,
    path: "/workflows/{workflow}/triggers/{trigger}/url",
    who: Who::Admin,
    handle: |visit| Box::pin(rotate_url(visit)),
};

pub(crate) static DELETE: Page = Page {
    method: Method::POST,
    path: "/workflows/{workflow}/triggers/{trigger}/delete",
    who: Who::Admin,
    handle: |visit| Box::pin(delete(visit)),
};

async fn switch(visit: Visit) -> Answer {
    let (workflow, trigger) = in_path(&visit)?;
    let enabled = match visit.path("switch") {
        "on" => true,
        "off" => false,
        _ => return Err(Problem::not_found("page").into()),
    };
    let patch = TriggerPatch { enabled: Some(enabled), ..TriggerPatch::default() };
    let control = visit.engine().control();
    control.trigger_update(&visit.actor(), visit.tenant(), &workflow.name, trigger.id, patch).await?;
    let done = if enabled { "?done=on" } else { "?done=off" };
    Ok(see_other(&link(&visit, &workflow, &trigger, done)))
}

async fn rotate_secret(visit: Visit) -> Answer {
    let (workflow, trigger) = in_path(&visit)?;
    let secret = visit.form.raw("secret").filter(|secret| !secret.is_empty()).map(SecretString::from);
    let generated = secret.is_none();
    let overlap = match visit.form.text("overlapSeconds").map(str::parse::<u64>) {
        None => None,
        Some(Ok(seconds)) => Some(Duration::from_secs(seconds)),
        Some(Err(_)) => {
            return Err(Problem::at(Code::InvalidField, "overlapSeconds", "This is no whole number.").into());
        }
    };
    let repeated = |_: &TriggerChanged| b"{}".to_vec();
    let again = visit.idem().map(|idem| Repeatable { idem, answer: &repeated });
    let control = visit.engine().control();
    let rotated = control
        .trigger_secret_rotate(
            &visit.actor(),
            visit.tenant(),
            &workflow.name,
            trigger.id,
            secret,
            overlap,
            again,
        )
        .await?;
    match rotated {
        Created::Fresh(changed) if generated => Ok(edit::made(&visit, &changed, true)),
        // Sent twice: it was shown before.
        _ => Ok(see_other(&link(&visit, &workflow, &trigger, "?done=rotated"))),
    }
}

async fn rotate_url(visit: Visit) -> Answer {
    let (workflow, trigger) = in_path(&visit)?;
    let control = visit.engine().control();
    control.trigger_slug_rotate(&visit.actor(), visit.tenant(), &workflow.name, trigger.id).await?;
    Ok(see_other(&link(&visit, &workflow, &trigger, "?done=url")))
}

async fn delete(visit: Visit) -> Answer {
    let id = visit.id("trigger", "trigger", TriggerId::parse)?;
    let workflow = workflows::in_path(&visit)?;
    let control = visit.engine().control();
    control.trigger_delete(&visit.actor(), visit.tenant(), &workflow.name, id).await?;
    Ok(see_other(&workflows::link(&visit, &workflow.name, "?done=trigger-deleted")))
}

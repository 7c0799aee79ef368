//! `…/triggers/new` and `…/triggers/{trigger}/edit`: make a trigger, or change one. A secret that was made is shown once, in
//! the answer to the form.

use axum::response::Response;
use http::Method;
use maud::{Markup, html};
use postrider_domain::problem::{Code, Problem};
use postrider_domain::run::TriggerKind;
use postrider_engine::control::{Created, NewTrigger, Repeatable, TriggerChanged, TriggerPatch};
use postrider_engine::inbound::registered::RegisteredWorkflow;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::form::{Shown, form};
use super::{in_path, kind_label, link, said, show};
use crate::fault::Fault;
use crate::form::Form;
use crate::page::{Answer, Page, Who, see_other};
use crate::pages::workflows;
use crate::parts::{self, Tone, text};
use crate::visit::Visit;

pub(crate) static NEW: Page = Page {
    method: Method::GET,
    path: "/workflows/{workflow}/triggers/new",
    who: Who::Admin,
    handle: |visit| Box::pin(new(visit)),
};

pub(crate) static CREATE: Page = Page {
    method: Method::POST,
    path: "/workflows/{workflow}/triggers/new",
    who: Who::Admin,
    handle: |visit| Box::pin(create(visit)),
};

pub(crate) static EDIT: Page = Page {
    method: Method::GET,
    path: "/workflows/{workflow}/triggers/{trigger}/edit",
    who: Who::Admin,
    handle: |visit| Box::pin(edit(visit)),
};

pub(crate) static SAVE: Page = Page {
    method: Method::POST,
    path: "/workflows/{workflow}/triggers/{trigger}/edit",
    who: Who::Admin,
    handle: |visit| Box::pin(save(visit)),
};

/// Kinds that are made here: the others come with runs.
const KINDS: [TriggerKind; 4] =
    [TriggerKind::Webhook, TriggerKind::Cron, TriggerKind::Event, TriggerKind::Manual];

async fn new(visit: Visit) -> Answer {
    let workflow = workflows::in_path(&visit)?;
    let kind = kind_of(visit.query.text("type"));
    // A secret is made unless somebody chooses otherwise.
    let values = Form::parse(b"generateSecret=on");
    let body = making(&visit, &workflow, kind, &values, None);
    Ok(visit.page(visit.t("Add a trigger"), body))
}

async fn create(visit: Visit) -> Answer {
    let workflow = workflows::in_path(&visit)?;
    let kind = kind_of(visit.form.text("type"));
    let generated = visit.form.is_on("generateSecret");
    match make(&visit, &workflow, kind).await {
        Ok(Created::Fresh(changed)) => Ok(made(&visit, &changed, generated)),
        Ok(Created::Replayed(stored)) => {
            let stored: Value = serde_json::from_slice(&stored).unwrap_or_default();
            let id = stored["id"].as_str().unwrap_or_default();
            Ok(see_other(&workflows::link(&visit, &workflow.name, &format!("/triggers/{id}"))))
        }
        Err(fault) => {
            let problem = said::at_the_form(fault.problem()?);
            let body = making(&visit, &workflow, kind, &visit.form, Some(&problem));
            Ok(visit.page_with_status(problem.code.status(), visit.t("Add a trigger"), body))
        }
    }
}

async fn make(
    visit: &Visit,
    workflow: &RegisteredWorkflow,
    kind: TriggerKind,
) -> Result<Created<TriggerChanged>, Fault> {
    let said = said::read(&visit.form, kind)?;
    let not_verified = visit.form.text("preset") == Some("none");
    let new = NewTrigger {
        kind,
        name: said.name,
        enabled: None,
        generate_secret: said.generate && said.secrets.is_empty() && !not_verified,
        secrets: said.secrets,
        verify_token: said.verify_token,
        settings: said.settings.into_iter().filter(|(_, value)| !value.is_null()).collect(),
    };
    let repeated =
        |changed: &TriggerChanged| json!({ "id": changed.trigger.id.to_string() }).to_string().into_bytes();
    let again = visit.idem().map(|idem| Repeatable { idem, answer: &repeated });
    let control = visit.engine().control();
    Ok(control.trigger_create(&visit.actor(), visit.tenant(), &workflow.name, new, again).await?)
}

fn making(
    visit: &Visit,
    workflow: &RegisteredWorkflow,
    kind: TriggerKind,
    values: &Form,
    problem: Option<&Problem>,
) -> Markup {
    let t = |text| visit.t(text);
    let here = workflows::link(visit, &workflow.name, "/triggers/new");
    html! {
        (parts::heading(t("Add a trigger"), html! {}))
        p .lead { (t("It starts runs of")) " " a href=(workflows::link(visit, &workflow.name, "")) { (workflow.name) } "." }
        ul .tabs {
            @for one in KINDS {
                li { a href=(format!("{here}?type={}", one.as_str())) aria-current=[(one == kind).then_some("page")] { (t(kind_label(one))) } }
            }
        }
        (parts::refusal(problem))
        (parts::form(visit, &here, html! {
            input type="hidden" name="type" value=(kind.as_str());
            (form(kind, Shown { visit, values, problem, known: false }))
            div .actions {
                button type="submit" { (t("Add the trigger")) }
                a .button .ghost href=(workflows::link(visit, &workflow.name, "")) { (t("Cancel")) }
            }
        }))
    }
}

async fn edit(visit: Visit) -> Answer {
    let (workflow, trigger) = in_path(&visit)?;
    let values = said::form_of(&trigger);
    let to = link(&visit, &workflow, &trigger, "");
    let body = changing(&visit, &to, trigger.kind, &trigger.name, &values, None);
    Ok(visit.page(&trigger.name, body))
}

async fn save(visit: Visit) -> Answer {
    let (workflow, trigger) = in_path(&visit)?;
    let to = link(&visit, &workflow, &trigger, "");
    let changed: Result<TriggerChanged, Fault> = async {
        let said = said::read(&visit.form, trigger.kind)?;
        if said.generate && !said.secrets.is_empty() {
            let detail = "Give a secret or ask for one; not both.";
            return Err(Problem::at(Code::InvalidField, "secret", detail).into());
        }
        let patch = TriggerPatch {
            name: said.name,
            enabled: None,
            generate_secret: said.generate,
            secrets: (!said.secrets.is_empty()).then_some(said.secrets),
            verify_token: said.verify_token,
            settings: said.settings,
        };
        let control = visit.engine().control();
        Ok(control.trigger_update(&visit.actor(), visit.tenant(), &workflow.name, trigger.id, patch).await?)
    }
    .await;
    match changed {
        Ok(changed) if visit.form.is_on("generateSecret") => Ok(made(&visit, &changed, true)),
        Ok(_) => Ok(see_other(&format!("{to}?done=saved"))),
        Err(fault) => {
            let problem = said::at_the_form(fault.problem()?);
            let body = changing(&visit, &to, trigger.kind, &trigger.name, &visit.form, Some(&problem));
            Ok(visit.page_with_status(problem.code.status(), &trigger.name, body))
        }
    }
}

fn changing(
    visit: &Visit,
    to: &str,
    kind: TriggerKind,
    name: &str,
    values: &Form,
    problem: Option<&Problem>,
) -> Markup {
    let t = |text| visit.t(text);
    html! {
        (parts::heading(name, html! {}))
        (parts::refusal(problem))
        (parts::form(visit, &format!("{to}/edit"), html! {
            (form(kind, Shown { visit, values, problem, known: true }))
            div .actions {
                button type="submit" { (t("Save")) }
                a .button .ghost href=(to) { (t("Cancel")) }
            }
        }))
    }
}

/// After a change. A secret that was made here is shown now and never again; one that somebody typed they know.
pub(super) fn made(visit: &Visit, changed: &TriggerChanged, generated: bool) -> Response {
    let t = |text| visit.t(text);
    let to = link(visit, &changed.workflow, &changed.trigger, "");
    let secret = changed.secret.as_ref().filter(|_| generated);
    if secret.is_none() && changed.warnings.is_empty() {
        return see_other(&format!("{to}?done=saved"));
    }
    visit.page(&changed.trigger.name, html! {
        (parts::heading(&changed.trigger.name, html! {}))
        @for warning in &changed.warnings { (parts::notice(Tone::Waiting, html! { p { (warning.detail) } })) }
        @if let Some(secret) = secret {
            (parts::notice(Tone::Good, html! {
                p { (t("This is the new secret. Copy it now and give it to the sender: it is not shown again.")) }
            }))
            (text::block(visit.words(), t("Secret"), secret.expose_secret()))
        }
        (show::how_to_send(visit, &changed.trigger))
        p { a .button href=(to) { (t("Go to the trigger")) } }
    })
}

fn kind_of(text: Option<&str>) -> TriggerKind {
    let kind = text.and_then(TriggerKind::parse).filter(|kind| KINDS.contains(kind));
    kind.unwrap_or(TriggerKind::Webhook)
}

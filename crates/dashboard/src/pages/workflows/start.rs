//! `POST /workflows/{workflow}/start`: a run by hand, with any input.

use http::Method;
use postrider_domain::id::TriggerId;
use postrider_domain::problem::Problem;
use postrider_engine::Answered;
use postrider_engine::inbound::registered::RegisteredWorkflow;
use postrider_engine::workflow::act::Begun;
use std::sync::Arc;

use super::{in_path, show};
use crate::fault::Fault;
use crate::page::{Answer, Page, Who};
use crate::pages::{runs, typed};
use crate::visit::Visit;

pub(crate) static START: Page = Page {
    method: Method::POST,
    path: "/workflows/{workflow}/start",
    who: Who::Admin,
    handle: |visit| Box::pin(start(visit)),
};

async fn start(visit: Visit) -> Answer {
    let workflow = in_path(&visit)?;
    match begin(&visit, &workflow).await {
        Ok(begun) => runs::to_run(&visit, begun),
        Err(fault) => {
            let problem = fault.problem()?;
            let newest = show::newest(&visit, &workflow).await?;
            let body = show::page(&visit, &workflow, newest, Some(&problem));
            Ok(visit.page_with_status(problem.code.status(), &workflow.name, body))
        }
    }
}

async fn begin(visit: &Visit, workflow: &Arc<RegisteredWorkflow>) -> Result<Answered<Begun>, Fault> {
    let input = typed::json(&visit.form, "input")?;
    let trigger = match visit.form.text("trigger") {
        None => None,
        Some(id) => {
            let id = TriggerId::parse(id).map_err(|_| Problem::not_found("trigger"))?;
            let found = visit.tenant().inbound.trigger(id).filter(|trigger| trigger.workflow == workflow.id);
            Some(found.cloned().ok_or_else(|| Problem::not_found("trigger"))?)
        }
    };
    let runner = visit.engine().runner();
    Ok(runner.start_by_hand(visit.tenant(), workflow, trigger.as_ref(), input, runs::keep(visit)).await?)
}

//! Saving the operator's form.

use http::Method;

use super::{form, show};
use crate::fault::Fault;
use crate::page::{Answer, Page, Who, see_other};
use crate::visit::Visit;

pub(super) static SAVE: Page = Page {
    method: Method::POST,
    path: "/settings",
    who: Who::TenantOperator,
    handle: |visit| Box::pin(save(visit)),
};

async fn save(visit: Visit) -> Answer {
    match saved(&visit).await {
        Ok(()) => Ok(see_other(&visit.link("/settings?done=saved"))),
        Err(error) => {
            let problem = error.problem()?;
            let body = show::body(&visit, Some(&problem));
            Ok(visit.page_with_status(problem.code.status(), visit.t("Settings"), body))
        }
    }
}

async fn saved(visit: &Visit) -> Result<(), Fault> {
    let tenant = visit.tenant();
    let patch = form::patch(&visit.form, tenant)?;
    visit.engine().control().tenant_update(&visit.actor(), tenant.id, patch).await?;
    Ok(())
}

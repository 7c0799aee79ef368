//! The audit log: who did what to which part of the configuration.

use http::Method;
use maud::{Markup, html};
use postrider_domain::id::AuditId;
use postrider_engine::control::AuditEntry;
use serde_json::Value;

use crate::form::escaped;
use crate::page::{Answer, Page, Who};
use crate::parts::{self, list, text, time};
use crate::visit::Visit;

pub(crate) static ALL_PAGES: &[&Page] = &[&ALL];
pub(crate) static TENANT_PAGES: &[&Page] = &[&OF_TENANT];

static ALL: Page =
    Page { method: Method::GET, path: "/audit", who: Who::Operator, handle: |visit| Box::pin(show(visit)) };

static OF_TENANT: Page =
    Page { method: Method::GET, path: "/audit", who: Who::Admin, handle: |visit| Box::pin(show(visit)) };

async fn show(visit: Visit) -> Answer {
    let t = |text| visit.t(text);
    let before = visit.query.text("cursor").and_then(|cursor| AuditId::parse(cursor).ok());
    let tenant = visit.tenant_if_any().map(|tenant| tenant.id);
    let mut entries = visit.engine().control().audit(tenant, before, list::ROWS + 1).await?;
    let more = entries.len() > list::ROWS;
    entries.truncate(list::ROWS);
    let next = entries.last().filter(|_| more).map(|entry| entry.id.to_string());
    let mut columns = vec![t("When"), t("Who"), t("Did what"), t("To what"), t("Before and after")];
    if tenant.is_none() {
        columns.insert(1, "Tenant");
    }
    Ok(visit.page(t("Audit"), html! {
        (parts::heading(t("Audit"), html! {}))
        p { (t("Every change of the configuration, with who made it. It is kept when what it tells about is deleted. Secrets never stand here.")) }
        @if entries.is_empty() {
            (parts::empty(t("Nothing was changed yet"), html! {
                p { (t("Register a webhook, or change a setting: it stands here then.")) }
            }))
        } @else {
            (list::table(t("Changes, newest first"), &columns, html! {
                @for entry in &entries { (row(&visit, entry, tenant.is_none())) }
            }))
            (list::pager(&visit, &visit.query, next.as_deref()))
        }
    }))
}

fn row(visit: &Visit, entry: &AuditEntry, with_tenant: bool) -> Markup {
    let t = |text| visit.t(text);
    html! {
        tr {
            (list::cell(t("When"), time::short(visit, entry.at)))
            @if with_tenant {
                (list::cell("Tenant", html! {
                    @if let Some(tenant) = &entry.tenant {
                        a href=(format!("/dashboard/t/{}/audit", escaped(tenant))) { (tenant) }
                    } @else { span .hint { "the installation" } }
                }))
            }
            (list::cell(t("Who"), html! { code { (entry.actor) } " " span .hint { (t(entry.actor_role.as_str())) } }))
            (list::cell(t("Did what"), html! { code { (entry.action) } }))
            (list::cell(t("To what"), html! { code { (entry.target) } }))
            (list::cell(t("Before and after"), html! {
                @if entry.before.is_some() || entry.after.is_some() {
                    details {
                        summary { (t("Show")) span .quiet { " " (entry.action) " " (entry.target) } }
                        (state(visit, t("Before"), entry.before.as_ref()))
                        (state(visit, t("After"), entry.after.as_ref()))
                    }
                }
            }))
        }
    }
}

fn state(visit: &Visit, label: &str, state: Option<&Value>) -> Markup {
    html! {
        @if let Some(state) = state {
            (text::block(visit.words(), label, &serde_json::to_string_pretty(state).unwrap_or_default()))
        }
    }
}

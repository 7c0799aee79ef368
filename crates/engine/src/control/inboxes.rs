//! Inboxes: which a tenant has, and what each answers.

use std::sync::Arc;

use postrider_domain::id::{InboxId, InboxRequestId, TenantId};
use postrider_domain::limits;
use postrider_domain::problem::{Code, Problem};
use postrider_store::config::{
    ConfigWrite, IdempotencyRow, InboxRequestRow, InboxRow, InboxWrite, Over, TenantWrite,
};
use serde_json::json;

use super::audit::Act;
use super::change::{After, Turn};
use super::{Actor, Control, Created, Repeatable, Role, assemble};
use crate::catalogue::Tenant;
use crate::error::EngineError;
use crate::inbox::{Inbox, SLUG_BYTES};

const WRITERS: [Role; 2] = [Role::Operator, Role::Admin];
/// Of an inbox that nobody has told what to answer.
const STATUS: u16 = 200;

impl Control {
    /// Makes an inbox that answers `status`, 200 when none is said: operator, or admin of the tenant.
    pub async fn inbox_create(
        &self,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        status: Option<u16>,
        again: Option<Repeatable<'_, Inbox>>,
    ) -> Result<Created<Inbox>, EngineError> {
        actor.require(&WRITERS, Some(tenant.id))?;
        let status = status.unwrap_or(STATUS);
        check_status(status)?;
        let turn = self.turn().await;
        if let Some(answer) = self.repeated(again.as_ref()).await? {
            return Ok(Created::Replayed(answer));
        }
        let tenant = self.tenant_now(tenant.id).await?;
        super::webhooks::check_plan(&tenant)?;
        if self.store().inboxes(tenant.id).await?.len() >= limits::INBOXES_PER_TENANT_MAX {
            return Err(EngineError::refused(
                Code::TooManyItems,
                format!("A tenant has at most {} inboxes. Delete one first.", limits::INBOXES_PER_TENANT_MAX),
            ));
        }
        let now = self.now();
        let row = InboxRow {
            tenant: tenant.id,
            id: InboxId::new(now, self.random()),
            slug: self.random_text(SLUG_BYTES),
            status,
            created: now,
        };
        let act = Act {
            action: "inbox.created",
            target: row.id.to_string(),
            before: None,
            after: Some(json!({ "status": row.status })),
        };
        let inbox = self.inbox_shown(row.clone());
        let kept = again.map(|again| again.row(&inbox));
        self.inbox_commit(turn, actor, &tenant, InboxWrite::Put(row), act, kept).await?;
        Ok(Created::Fresh(inbox))
    }

    /// What an inbox answers from now on: operator, or admin of the tenant.
    pub async fn inbox_status(
        &self,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        inbox: InboxId,
        status: u16,
    ) -> Result<Inbox, EngineError> {
        actor.require(&WRITERS, Some(tenant.id))?;
        check_status(status)?;
        let turn = self.turn().await;
        let tenant = self.tenant_now(tenant.id).await?;
        let before = self.inbox_row(tenant.id, inbox).await?;
        let row = InboxRow { status, ..before.clone() };
        let act = Act {
            action: "inbox.updated",
            target: inbox.to_string(),
            before: Some(json!({ "status": before.status })),
            after: Some(json!({ "status": status })),
        };
        self.inbox_commit(turn, actor, &tenant, InboxWrite::Put(row.clone()), act, None).await?;
        Ok(self.inbox_shown(row))
    }

    /// Deletes an inbox with what came to it: operator, or admin of the tenant. A webhook that sends to it gets 404 from then on.
    pub async fn inbox_delete(
        &self,
        actor: &Actor,
        tenant: &Arc<Tenant>,
        inbox: InboxId,
    ) -> Result<(), EngineError> {
        actor.require(&WRITERS, Some(tenant.id))?;
        let turn = self.turn().await;
        let tenant = self.tenant_now(tenant.id).await?;
        let before = self.inbox_row(tenant.id, inbox).await?;
        let act = Act {
            action: "inbox.deleted",
            target: inbox.to_string(),
            before: Some(json!({ "status": before.status })),
            after: None,
        };
        let delete = InboxWrite::Delete { tenant: tenant.id, id: inbox };
        self.inbox_commit(turn, actor, &tenant, delete, act, None).await
    }

    /// A tenant's inboxes, newest first.
    pub async fn inboxes(&self, tenant: TenantId) -> Result<Vec<Inbox>, EngineError> {
        let rows = self.store().inboxes(tenant).await?;
        Ok(rows.into_iter().map(|row| self.inbox_shown(row)).collect())
    }

    /// What came to one of the tenant's inboxes, newest first; `before`: the last one of the page before.
    pub async fn inbox_requests(
        &self,
        tenant: TenantId,
        inbox: InboxId,
        before: Option<InboxRequestId>,
        limit: usize,
    ) -> Result<Vec<InboxRequestRow>, EngineError> {
        self.inbox_row(tenant, inbox).await?;
        Ok(self.store().inbox_requests(tenant, inbox, before, limit).await?)
    }

    async fn inbox_row(&self, tenant: TenantId, inbox: InboxId) -> Result<InboxRow, EngineError> {
        Ok(self.store().inbox_get(tenant, inbox).await?.ok_or_else(|| Problem::not_found("inbox"))?)
    }

    fn inbox_shown(&self, row: InboxRow) -> Inbox {
        self.0.outbound.inboxes.shown(row)
    }

    async fn inbox_commit(
        &self,
        turn: Turn,
        actor: &Actor,
        tenant: &Tenant,
        change: InboxWrite,
        act: Act,
        idempotency: Option<IdempotencyRow>,
    ) -> Result<(), EngineError> {
        let now = self.now();
        // The tenant's next version: of two nodes that write at once, one is told to try again.
        let next = Arc::new(assemble::with_webhooks(tenant, tenant.webhooks.clone(), now));
        let write = ConfigWrite {
            at: now,
            tenant: Some(TenantWrite {
                row: assemble::tenant_row(&next),
                over: Over::Version(tenant.version),
                pins: false,
                unless_history: false,
            }),
            inboxes: vec![change],
            audit: vec![self.audit_row(actor, Some(tenant), now, act)],
            idempotency,
            ..ConfigWrite::default()
        };
        self.commit(turn, write, After { tenant: Some(next), ..After::default() }).await
    }
}

fn check_status(status: u16) -> Result<(), EngineError> {
    if (200..600).contains(&status) {
        return Ok(());
    }
    Err(Problem::at(Code::InvalidField, "status", "An inbox answers a status from 200 to 599.").into())
}

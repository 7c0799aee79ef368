//! A stored request once more: its run is started anew, whatever the trigger's verifier says now. Who may do this has seen it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use postrider_domain::id::RequestId;
use postrider_domain::inbound::parse_body;
use postrider_domain::problem::{Code, Problem};
use postrider_domain::run::{RequestCause, RunState, TriggerKind};
use postrider_store::StoreError;
use postrider_store::runs::{IntakeOutcome, NewRequest, RequestRow};

use super::Inbound;
use crate::Answered;
use crate::catalogue::Tenant;
use crate::error::EngineError;
use crate::workflow::act::{Begun, Keep};
use crate::workflow::start::{Asked, Origin, Start, Started};

impl Inbound {
    /// A request with its body, which may be the input of its run.
    pub async fn request_get(&self, tenant: &Tenant, request: RequestId) -> Result<RequestRow, EngineError> {
        let store = &self.outbound.store;
        let row = store.request_get(tenant.id, request).await?;
        let mut row = row.ok_or_else(|| Problem::not_found("request"))?;
        if row.request.body.is_none()
            && let Some(run) = row.run
        {
            row.request.body = store.run_input(tenant.id, run).await?;
        }
        Ok(row)
    }

    /// Starts a run from a stored request.
    pub async fn request_replay(
        &self,
        tenant: &Arc<Tenant>,
        request: RequestId,
        idempotency: Option<Keep>,
    ) -> Result<Answered<Begun>, EngineError> {
        let row = self.request_get(tenant, request).await?;
        let trigger = tenant.inbound.trigger(row.request.trigger).cloned().ok_or_else(|| {
            Problem::new(
                Code::Conflict,
                "The request's trigger was deleted. Send the request to another one.",
            )
        })?;
        let workflow = tenant.inbound.workflow_by_id(trigger.workflow).cloned();
        let workflow = workflow.ok_or_else(|| Problem::not_found("workflow"))?;
        if was_unread(&row.request) {
            return Err(EngineError::refused(
                Code::PayloadExpired,
                "The request was refused before its body was read. Let it be sent again.",
            ));
        }
        let body = row.request.body.clone().unwrap_or_default();
        if (body.len() as u64) < row.request.body_bytes {
            return Err(EngineError::refused(
                Code::PayloadExpired,
                "Of the request's body only the beginning was kept, since it was refused. Let it be sent again.",
            ));
        }
        let headers = stored_headers(&row.request.headers);
        let parsed = match trigger.preset() {
            Some(preset) => preset.parse_body(&headers, &body),
            None => parse_body(&headers, &body),
        };
        let input = parsed.map_err(|refusal| Problem::new(Code::Conflict, refusal.detail()))?;
        let bytes = Bytes::from(input.to_string());
        let origin = Origin { kind: TriggerKind::Webhook, trigger: Some(trigger), ..Origin::default() };
        let start = Start::new(tenant, &workflow, Arc::new(input), bytes, origin);
        let (works, unworked) = (start.works(), start.ended_state());
        let asked = Asked { idempotency, ..Asked::default() };
        match self.runner.start_asked(start, asked).await? {
            Started::Done(IntakeOutcome::Started { run, claimed }, _) => {
                let state = if works { self.runner.state_at_start(run, claimed) } else { unworked };
                Ok(Answered::Fresh(Begun { run, state }))
            }
            Started::Done(IntakeOutcome::Skipped(run), _) => {
                Ok(Answered::Fresh(Begun { run, state: RunState::Cancelled }))
            }
            Started::Done(..) => Err(StoreError::Internal("a run was not made".into()).into()),
            Started::Replayed(answer) => Ok(Answered::Replayed(answer)),
            Started::KeyReused => Err(crate::key_reused().into()),
        }
    }
}

/// Nothing of its body is kept, whatever it had. 408: it was not there in time.
fn was_unread(request: &NewRequest) -> bool {
    let before_the_body = [
        RequestCause::Disabled,
        RequestCause::Method,
        RequestCause::Address,
        RequestCause::RateLimited,
        RequestCause::TooLarge,
    ];
    before_the_body.contains(&request.cause) || request.status == 408
}

/// As far as they say how the body is read.
fn stored_headers(json: &[u8]) -> HeaderMap {
    let pairs: Vec<(String, String)> = serde_json::from_slice(json).unwrap_or_default();
    let header = |(name, value): (String, String)| {
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(&value).ok()?))
    };
    pairs.into_iter().filter_map(header).collect()
}

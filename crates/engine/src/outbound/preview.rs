//! A dry run: who would get an event if it were published now, and as which bytes. Nothing is stored or sent.
//!
//! The stations of the way decide and render, so that what is shown is what would be sent.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use postrider_domain::event::EventKind;
use postrider_domain::id::{EventId, WebhookId};
use postrider_domain::limits;
use postrider_domain::problem::Warning;
use postrider_domain::time::Timestamp;
use postrider_store::{StoredEvent, first_delivery_id};

use super::attempt::{self, EventInHand, Subject};
use super::due::{self, FirstDue};
use super::ingest::{self, Publication};
use super::matcher::{self, Candidate, No, Question};
use crate::Engine;
use crate::catalogue::{Tenant, Webhook};
use crate::error::EngineError;

/// In the place of values that are the tenant's secrets.
pub const MASK: &str = "********";

/// What would become of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// Of every webhook of the tenant, oldest first.
    pub outcomes: Vec<PreviewOutcome>,
    pub warnings: Vec<Warning>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewOutcome {
    pub webhook: WebhookId,
    pub name: String,
    pub url: String,
    pub verdict: Verdict,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It would get this. The event's id is a new one, where none was given; the signature is real.
    Would { due: FirstDue, method: String, headers: Vec<(String, String)>, body: Bytes },
    /// It would get the event, but the request is not shown: why, in a sentence.
    Unshown { due: FirstDue, why: String },
    /// It would not.
    Not(No),
}

/// Whether the values of a webhook's own headers, which are secrets, are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reveal {
    No,
    /// To admins of the tenant only.
    Yes,
}

/// Who would get this now, and as which bytes.
///
/// # Errors
/// As publishing it.
pub fn preview(
    engine: &Engine,
    tenant: &Arc<Tenant>,
    publication: &Publication<'_>,
) -> Result<Preview, EngineError> {
    let draft = ingest::check(tenant, publication, EventKind::Normal)?;
    let now = engine.clock().now();
    let random = &**engine.random();
    let event = EventInHand::new(Arc::new(StoredEvent {
        id: EventId::new(now, random),
        external_id: draft.external_id,
        kind: draft.kind,
        event_type: draft.event_type,
        time: draft.time.unwrap_or(now),
        accepted: now,
        data: draft.data,
        tenant_version: tenant.version,
        depth: draft.depth,
    }));
    let due = due::first_due(tenant, now);
    let question = Question { kind: event.kind, event_type: &event.event_type, mode: tenant.delivery_mode() };
    let mut outcomes = Vec::with_capacity(tenant.webhooks.len());
    let mut bytes = 0;
    for webhook in &tenant.webhooks {
        let candidate = Candidate { patterns: &webhook.patterns, enabled: webhook.enabled };
        let verdict = match matcher::interested(question, candidate) {
            Err(no) => Verdict::Not(no),
            Ok(()) if bytes > limits::PREVIEW_BYTES_MAX => Verdict::Unshown {
                due,
                why: "The requests before this one are as many as are shown at once.".to_owned(),
            },
            Ok(()) => {
                let delivery = first_delivery_id(event.id, random);
                let subject =
                    Subject { webhook, pinned: &tenant.pinned, event: &event, delivery, attempt: 1 };
                let verdict = shown(&subject, due, now);
                if let Verdict::Would { headers, body, .. } = &verdict {
                    let header = |(name, value): &(String, String)| name.len() + value.len();
                    bytes += body.len() + headers.iter().map(header).sum::<usize>();
                }
                verdict
            }
        };
        let (name, url) = (webhook.name.clone(), webhook.url.clone());
        outcomes.push(PreviewOutcome { webhook: webhook.id, name, url, verdict });
    }
    Ok(Preview { outcomes, warnings: draft.warnings })
}

fn shown(subject: &Subject<'_>, due: FirstDue, now: Timestamp) -> Verdict {
    if subject.webhook.target.is_err() {
        return Verdict::Unshown { due, why: attempt::TARGET_NOT_ALLOWED.to_owned() };
    }
    match attempt::render(subject, now) {
        Ok((headers, body)) => Verdict::Would {
            due,
            method: attempt::METHOD.as_str().to_owned(),
            headers: shown_headers(subject.webhook, &headers, Reveal::No),
            body: body.bytes,
        },
        Err(not_made) => Verdict::Unshown { due, why: not_made.detail },
    }
}

/// As they go out, but for secrets.
pub(super) fn shown_headers(webhook: &Webhook, headers: &HeaderMap, reveal: Reveal) -> Vec<(String, String)> {
    let is_secret = |name: &str| webhook.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
    headers
        .iter()
        .map(|(name, value)| {
            let value = match reveal {
                Reveal::No if is_secret(name.as_str()) => MASK.to_owned(),
                Reveal::No | Reveal::Yes => String::from_utf8_lossy(value.as_bytes()).into_owned(),
            };
            (name.as_str().to_owned(), value)
        })
        .collect()
}

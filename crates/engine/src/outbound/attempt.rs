//! One HTTP request of a delivery: render, sign, send, and note everything that was seen.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use postrider_domain::classify::Seen;
use postrider_domain::delivery::{AttemptClass, DeliveryKind};
use postrider_domain::event::EventKind;
use postrider_domain::id::{DeliveryId, DeliveryUuid};
use postrider_domain::limits;
use postrider_domain::profile::{BodyRule, Message, Profile};
use postrider_domain::signature;
use postrider_domain::time::Timestamp;
use postrider_egress::{BodyEnd, Exchange, FailureClass, ReadBody, Request, Reuse};
use postrider_store::StoredEvent;

use super::dispatch::Outbound;
use super::lanes::Slot;
use crate::catalogue::{Pinned, Tenant, Webhook};
use crate::inbox;

/// To the tenant, whose URL was allowed once.
pub(super) const TARGET_NOT_ALLOWED: &str =
    "The address of this endpoint is not allowed. Change the webhook's URL.";
/// Of every delivery.
pub(super) const METHOD: Method = Method::POST;

/// A claimed delivery in hand.
pub struct Work {
    pub tenant: Arc<Tenant>,
    /// As the request is made of it: with the other URL, when it goes elsewhere.
    pub webhook: Arc<Webhook>,
    pub destination: Destination,
    pub pinned: Arc<Pinned>,
    pub event: Arc<EventInHand>,
    pub delivery: DeliveryId,
    pub kind: DeliveryKind,
    pub fence: i64,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// Steps of the retry schedule used before it.
    pub step: u32,
    /// The attempt before it reads `unknown`: the receiver may have had this already.
    pub resend: bool,
    pub slot: Slot,
}

/// Where a delivery goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    Webhook,
    /// To a URL that somebody gave by hand: its outcome says nothing about the webhook's receiver.
    Elsewhere,
}

/// An event and, once the first of its deliveries has rendered it, its body.
pub struct EventInHand {
    pub stored: Arc<StoredEvent>,
    wire_id: String,
    body: OnceLock<Rendered>,
}

#[derive(Debug, Clone)]
pub(super) struct Rendered {
    pub(super) bytes: Bytes,
    sha256: [u8; 32],
}

/// What a request is rendered from, whether it is sent or shown.
pub(super) struct Subject<'a> {
    pub(super) webhook: &'a Webhook,
    pub(super) pinned: &'a Pinned,
    pub(super) event: &'a EventInHand,
    pub(super) delivery: DeliveryId,
    /// From 1.
    pub(super) attempt: u32,
}

impl std::ops::Deref for EventInHand {
    type Target = StoredEvent;

    fn deref(&self) -> &StoredEvent {
        &self.stored
    }
}

impl EventInHand {
    pub fn new(stored: Arc<StoredEvent>) -> Arc<Self> {
        let wire_id = wire_id(&stored);
        Arc::new(Self { stored, wire_id, body: OnceLock::new() })
    }

    /// The id that receivers see: the publisher's own, or ours.
    pub fn wire_id(&self) -> &str {
        &self.wire_id
    }
}

/// The id of a stored event as receivers and callers see it.
pub fn wire_id(event: &StoredEvent) -> String {
    event.external_id.clone().unwrap_or_else(|| event.id.to_string())
}

/// What an attempt came to, before anybody judged it.
pub struct Attempted {
    pub started: Timestamp,
    pub ended: Timestamp,
    /// `None`: the request could not be made.
    pub exchange: Option<Exchange>,
    not_made: Option<NotMade>,
    pub body_sha256: Option<[u8; 32]>,
    pub request_bytes: u64,
}

#[derive(Debug)]
pub(super) struct NotMade {
    class: AttemptClass,
    pub(super) detail: String,
}

impl Attempted {
    pub fn total_us(&self) -> u64 {
        self.exchange.as_ref().map_or(0, |exchange| exchange.timing.total_us)
    }

    pub fn seen(&self) -> Seen<'_> {
        if let Some(not_made) = &self.not_made {
            return Seen::Nothing(not_made.class);
        }
        match self.exchange.as_ref().map(|exchange| &exchange.result) {
            None => Seen::Nothing(AttemptClass::Unknown),
            Some(Ok(response)) => Seen::Answer {
                status: response.status,
                body_complete: response.body_end == BodyEnd::Complete,
                retry_after: response.retry_after.as_deref(),
            },
            Some(Err(failure)) => Seen::Nothing(match failure.class {
                FailureClass::Dns => AttemptClass::Dns,
                FailureClass::Connect => AttemptClass::Connect,
                FailureClass::Tls => AttemptClass::Tls,
                FailureClass::Timeout => AttemptClass::Timeout,
                FailureClass::Reset => AttemptClass::Reset,
                FailureClass::Protocol => AttemptClass::Protocol,
                FailureClass::Blocked => AttemptClass::BlockedTarget,
            }),
        }
    }

    /// What happened, for the tenant, where the class and status do not say it all.
    pub fn detail(&self) -> Option<String> {
        if let Some(not_made) = &self.not_made {
            return Some(not_made.detail.clone());
        }
        match self.exchange.as_ref().map(|exchange| &exchange.result) {
            Some(Err(failure)) => Some(failure.detail.clone()),
            Some(Ok(response)) => match response.body_end {
                BodyEnd::Complete => None,
                BodyEnd::Capped => Some("The response body is longer than Postrider reads.".into()),
                BodyEnd::TimedOut => Some("The response body did not end in time.".into()),
                BodyEnd::Broken => Some("The connection ended before the response body did.".into()),
            },
            None => None,
        }
    }
}

/// An attempt that could not be made.
pub fn not_renderable(outbound: &Outbound, detail: &str) -> Attempted {
    let now = outbound.clock.now();
    let not_made = NotMade { class: AttemptClass::NotRenderable, detail: detail.to_owned() };
    Attempted {
        started: now,
        ended: now,
        exchange: None,
        not_made: Some(not_made),
        body_sha256: None,
        request_bytes: 0,
    }
}

/// Makes and sends the request.
pub async fn attempt(outbound: &Outbound, work: &Work) -> Attempted {
    let started = outbound.clock.now();
    let request = match make_request(work, started) {
        Ok(request) => request,
        Err(not_made) => {
            return Attempted {
                started,
                ended: outbound.clock.now(),
                exchange: None,
                not_made: Some(not_made),
                body_sha256: None,
                request_bytes: 0,
            };
        }
    };
    let (request, sha256) = request;
    let request_bytes = request.body.len() as u64;
    let exchange = match &work.webhook.inbox {
        Some(slug) => inbox::deliver(outbound, &work.webhook, slug, request).await,
        None => outbound.egress.send(request).await,
    };
    Attempted {
        started,
        ended: outbound.clock.now(),
        exchange: Some(exchange),
        not_made: None,
        body_sha256: Some(sha256),
        request_bytes,
    }
}

fn make_request(work: &Work, now: Timestamp) -> Result<(Request, [u8; 32]), NotMade> {
    let profile = &*work.pinned.profile;
    let target = work
        .webhook
        .target
        .as_ref()
        .map_err(|_| NotMade { class: AttemptClass::BlockedTarget, detail: TARGET_NOT_ALLOWED.to_owned() })?;
    let subject = Subject {
        webhook: &work.webhook,
        pinned: &work.pinned,
        event: &work.event,
        delivery: work.delivery,
        attempt: work.attempt,
    };
    let (headers, body) = render(&subject, now)?;
    let request = Request {
        method: METHOD,
        target: target.clone(),
        headers,
        body: body.bytes.clone(),
        timeout: profile.delivery.timeout,
        partition: *work.tenant.id.as_bytes(),
        // With one attempt only, a socket that the receiver may just have given up would lose the event.
        reuse: if profile.delivery.retries.is_empty() {
            Reuse::FreshWithin(Duration::from_secs(1))
        } else {
            Reuse::Any
        },
        body_rule: match profile.delivery.success.body {
            BodyRule::Ignored => ReadBody::ForLog { at_most: limits::BODY_FOR_LOG_TIMEOUT },
            BodyRule::Complete => ReadBody::ToTheEnd,
        },
    };
    Ok((request, body.sha256))
}

/// The headers and the body as the receiver would get them now. The same for what is sent and for what is shown.
pub(super) fn render(subject: &Subject<'_>, now: Timestamp) -> Result<(HeaderMap, Rendered), NotMade> {
    let Subject { webhook, pinned, event, delivery, attempt } = *subject;
    let message = Message {
        event_id: event.wire_id(),
        event_type: &event.event_type,
        event_time: event.time,
        test: event.kind == EventKind::Test,
        data: &event.data,
        tenant: &pinned.values,
        delivery_id: delivery,
        delivery_uuid: DeliveryUuid::Of(event.id, webhook.id),
        attempt,
        sent_at: now,
    };
    let body = render_body(&pinned.profile, event, &message)?;
    let headers = render_headers(webhook, pinned, &message, &body.bytes)?;
    Ok((headers, body))
}

/// A body that depends on the event alone is rendered once for all its webhooks and retries in hand.
fn render_body(profile: &Profile, event: &EventInHand, message: &Message<'_>) -> Result<Rendered, NotMade> {
    let render = || {
        let bytes = profile.render_body(message).map_err(|error| NotMade {
            class: AttemptClass::NotRenderable,
            detail: format!("The event cannot be written in the profile's format: {error}"),
        })?;
        let sha256 = signature::sha256(&bytes);
        Ok(Rendered { bytes: Bytes::from(bytes), sha256 })
    };
    if !profile.body_depends_on_event_only() {
        return render();
    }
    if let Some(rendered) = event.body.get() {
        return Ok(rendered.clone());
    }
    let rendered = render()?;
    Ok(event.body.get_or_init(|| rendered).clone())
}

/// The webhook's own headers and the profile's, which win where both name one.
fn render_headers(
    webhook: &Webhook,
    pinned: &Pinned,
    message: &Message<'_>,
    body: &[u8],
) -> Result<HeaderMap, NotMade> {
    let Pinned { profile, headers: known, .. } = pinned;
    // All values in one piece of memory: an allocation for each would take longer than to write them.
    let mut text = Vec::with_capacity(VALUES_BYTES);
    let mut ends = Vec::with_capacity(known.len());
    for (index, (_, fixed)) in known.iter().enumerate() {
        let keys = webhook.keys_at(message.sent_at);
        let written = fixed.is_none() && profile.write_header(index, &mut text, message, body, keys);
        ends.push(written.then_some(text.len()));
    }
    let text = Bytes::from(text);
    let mut headers = HeaderMap::with_capacity(webhook.headers.len() + known.len());
    for (name, value) in &webhook.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad_header(name))?;
        let value = HeaderValue::from_str(value).map_err(|_| bad_header(name.as_str()))?;
        headers.insert(name, value);
    }
    let mut start = 0;
    for ((name, fixed), end) in known.iter().zip(ends) {
        if let Some(fixed) = fixed {
            headers.insert(name.clone(), fixed.clone());
        } else if let Some(end) = end {
            let value = HeaderValue::from_maybe_shared(text.slice(start..end));
            headers.insert(name.clone(), value.map_err(|_| bad_header(name.as_str()))?);
            start = end;
        }
    }
    Ok(headers)
}

/// What the profile's header values take, usually.
const VALUES_BYTES: usize = 256;

fn bad_header(name: &str) -> NotMade {
    NotMade {
        class: AttemptClass::NotRenderable,
        detail: format!(
            "The header {name} cannot be sent: its value has characters that HTTP does not allow."
        ),
    }
}

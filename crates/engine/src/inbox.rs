//! The built-in inbox: a receiver of our own, for who has none yet.
//!
//! A webhook whose URL is one of ours is handed over in process by `outbound::attempt`: no socket is opened and no address
//! allowed, and the attempt is written down like any other. What comes from outside goes the same way, by the API. Which
//! inboxes there are is `control`'s affair. Nothing here decides about retries.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use foldhash::HashMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};
use postrider_domain::id::{InboxId, InboxRequestId, RisingIds, TenantId};
use postrider_domain::limits;
use postrider_domain::time::Timestamp;
use postrider_egress::{BodyEnd, Exchange, Failure, FailureClass, Request, Response, Target, Timing};
use postrider_store::StoreError;
use postrider_store::config::{InboxRequestRow, InboxRow};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::catalogue::Webhook;
use crate::inbound::rate::Bucket;
use crate::inbound::receive::{MASK, is_credential};
use crate::outbound::dispatch::Outbound;

/// Of random bits in a slug: 160.
pub(crate) const SLUG_BYTES: usize = 20;
const POISON: &str = "because no holder of this lock panics";

/// An inbox of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbox {
    pub id: InboxId,
    pub slug: String,
    /// What to register as a webhook; none where nobody listens.
    pub url: Option<String>,
    /// That it answers.
    pub status: u16,
    pub created: Timestamp,
}

/// What all inboxes share in this process.
#[derive(Debug, Default)]
pub struct Inboxes {
    /// What URLs of inboxes begin with, as the parser of URLs writes it.
    base: Option<String>,
    /// By tenant: whose inboxes they are together.
    rates: Mutex<HashMap<TenantId, Bucket>>,
    ids: Mutex<RisingIds>,
}

/// A request as it came.
#[derive(Debug)]
pub struct Came {
    pub method: String,
    pub headers: HeaderMap,
    /// The beginning of the body, at least [`limits::INBOX_BODY_KEPT_BYTES`] where there is so much.
    pub body: Bytes,
    /// Of the whole body.
    pub body_bytes: u64,
}

/// What an inbox answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// Written down.
    Received { id: InboxRequestId, status: u16 },
    /// There is no such inbox.
    Unknown,
    /// More came than it takes; nothing was written down.
    TooMany,
}

impl Answered {
    pub const fn status(self) -> u16 {
        match self {
            Self::Received { status, .. } => status,
            Self::Unknown => 404,
            Self::TooMany => 429,
        }
    }

    /// The body of the answer; none where HTTP allows none.
    pub fn body(self) -> Option<Value> {
        match self {
            Self::Received { status: 204 | 205 | 304, .. } => None,
            Self::Received { id, .. } => Some(json!({ "received": true, "id": id })),
            Self::Unknown => {
                Some(json!({ "received": false, "detail": "There is no such inbox. Check the URL." }))
            }
            Self::TooMany => Some(json!({
                "received": false,
                "detail": "More requests came than inboxes take. Send it again in a few seconds."
            })),
        }
    }
}

/// The URL of an inbox. `public_url` has no slash at its end.
pub fn url(public_url: &str, slug: &str) -> String {
    format!("{public_url}/inbox/{slug}")
}

impl Inboxes {
    pub fn new(public_url: Option<&str>) -> Self {
        let base = public_url.and_then(|public_url| {
            let base = url(public_url.trim_end_matches('/'), "");
            Target::parse_stored(&base).ok().map(|base| base.as_str().to_owned())
        });
        Self { base, ..Self::default() }
    }

    /// The slug, when the URL is one of an inbox here: the same scheme, host, port and path, in whatever spelling.
    pub fn slug_of(&self, target: &Target) -> Option<String> {
        let slug = target.as_str().strip_prefix(self.base.as_ref()?)?;
        let slug = slug.split('?').next().unwrap_or(slug);
        is_slug(slug).then(|| slug.to_owned())
    }

    pub(crate) fn shown(&self, row: InboxRow) -> Inbox {
        let url = self.base.as_ref().map(|base| format!("{base}{}", row.slug));
        Inbox { id: row.id, slug: row.slug, url, status: row.status, created: row.created }
    }

    fn takes(&self, tenant: TenantId, now: Timestamp) -> bool {
        let mut rates = self.rates.lock().expect(POISON);
        if rates.len() >= limits::INBOX_RATES_KEPT && !rates.contains_key(&tenant) {
            rates.clear();
        }
        let (per_second, size) = (limits::INBOX_REQUESTS_PER_SECOND, limits::INBOX_REQUESTS_AT_ONCE);
        rates.entry(tenant).or_default().add(now, per_second, size)
    }
}

fn is_slug(text: &str) -> bool {
    text.len() == 2 * SLUG_BYTES && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Who may send to an inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender<'a> {
    /// Whoever knows the URL.
    Anybody,
    /// A webhook of this tenant, to inboxes of the same; the values of these headers are its secrets.
    Tenant(TenantId, &'a [(String, String)]),
}

/// The inbox behind a URL that may take a request now. `Err`: the answer to it.
pub(crate) async fn admit(
    outbound: &Outbound,
    slug: &str,
    sender: Sender<'_>,
) -> Result<Result<InboxRow, Answered>, StoreError> {
    if !is_slug(slug) {
        return Ok(Err(Answered::Unknown));
    }
    let row = outbound.store.inbox_by_slug_any_tenant(slug).await?;
    let Some(row) = row.filter(|row| match sender {
        Sender::Anybody => true,
        Sender::Tenant(tenant, _) => row.tenant == tenant,
    }) else {
        return Ok(Err(Answered::Unknown));
    };
    if outbound.catalogue.tenant(row.tenant).is_none() {
        return Ok(Err(Answered::Unknown));
    }
    let takes = outbound.inboxes.takes(row.tenant, outbound.clock.now());
    Ok(if takes { Ok(row) } else { Err(Answered::TooMany) })
}

async fn take(
    outbound: &Outbound,
    slug: &str,
    sender: Sender<'_>,
    came: Came,
) -> Result<Answered, StoreError> {
    match admit(outbound, slug, sender).await? {
        Ok(inbox) => write(outbound, &inbox, sender, came).await,
        Err(answered) => Ok(answered),
    }
}

/// Writes a request of an inbox down.
pub(crate) async fn write(
    outbound: &Outbound,
    inbox: &InboxRow,
    sender: Sender<'_>,
    came: Came,
) -> Result<Answered, StoreError> {
    let now = outbound.clock.now();
    let id = outbound.inboxes.ids.lock().expect(POISON).next(now, &*outbound.random);
    let id = InboxRequestId::from_uuid(id);
    let row = InboxRequestRow {
        tenant: inbox.tenant,
        inbox: inbox.id,
        id,
        received: now,
        method: came.method,
        headers: kept_headers(&came.headers, sender),
        body: came.body.slice(..came.body.len().min(limits::INBOX_BODY_KEPT_BYTES)),
        body_bytes: came.body_bytes,
        status: inbox.status,
    };
    let status = outbound.store.inbox_receive(&row).await?;
    Ok(status.map_or(Answered::Unknown, |status| Answered::Received { id, status }))
}

/// As JSON, up to a bound. What may be a credential is masked, but for what a webhook's profile writes: that is to be seen.
fn kept_headers(headers: &HeaderMap, sender: Sender<'_>) -> String {
    let mut kept: Vec<[String; 2]> = Vec::with_capacity(headers.len());
    let mut bytes = 0;
    for (name, value) in headers {
        bytes += name.as_str().len() + value.len();
        if bytes > limits::INBOX_HEADERS_KEPT_BYTES {
            break;
        }
        let is_secret = match sender {
            Sender::Anybody => is_credential(name.as_str()),
            // A header that the profile sets too has the profile's value; it is masked all the same.
            Sender::Tenant(_, secrets) => {
                secrets.iter().any(|(secret, _)| secret.eq_ignore_ascii_case(name.as_str()))
            }
        };
        let value = match is_secret {
            true => MASK.to_owned(),
            false => String::from_utf8_lossy(value.as_bytes()).into_owned(),
        };
        kept.push([name.as_str().to_owned(), value]);
    }
    serde_json::to_string(&kept).expect("because pairs of texts are JSON")
}

/// Hands a webhook's request to an inbox, within the attempt's time. To the caller it looks like any other exchange.
pub(crate) async fn deliver(
    outbound: &Outbound,
    webhook: &Webhook,
    slug: &str,
    request: Request,
) -> Exchange {
    let began = Instant::now();
    let came = Came {
        method: request.method.as_str().to_owned(),
        headers: headers_on_the_wire(&request),
        body_bytes: request.body.len() as u64,
        body: request.body,
    };
    let sender = Sender::Tenant(webhook.tenant, &webhook.headers);
    let answered = tokio::time::timeout(request.timeout, take(outbound, slug, sender, came)).await;
    let result = match answered {
        Ok(Ok(answered)) => Ok(response(answered.status(), answered.body())),
        Ok(Err(error)) => {
            tracing::error!(%error, webhook = %webhook.id, "inbox.not_written");
            let detail = "The request could not be written down just now.";
            Ok(response(503, Some(json!({ "received": false, "detail": detail }))))
        }
        Err(_) => Err(Failure {
            class: FailureClass::Timeout,
            detail: format!("The inbox did not answer within {}.", shown(request.timeout)),
            bytes_sent: true,
        }),
    };
    let total_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    // There is no name, connection or TLS: all of it is waiting for the answer.
    let timing = Timing { wait_us: total_us, total_us, ..Timing::default() };
    Exchange { result, timing, peer: None, reused: false, redialled: false }
}

/// What a receiver would see: the request's headers, and those that the connection adds.
fn headers_on_the_wire(request: &Request) -> HeaderMap {
    let mut headers = request.headers.clone();
    let rest = request.target.as_str().split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    if let Ok(host) = HeaderValue::from_str(authority) {
        headers.insert(HOST, host);
    }
    headers.insert(CONTENT_LENGTH, HeaderValue::from(request.body.len()));
    headers
}

fn response(status: u16, body: Option<Value>) -> Response {
    let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
    let name: HeaderName = CONTENT_TYPE;
    Response {
        status,
        head: Bytes::from(format!("{name}: application/json\n")),
        retry_after: None,
        body_bytes: body.len() as u64,
        body,
        body_end: BodyEnd::Complete,
    }
}

fn shown(timeout: Duration) -> String {
    format!("{} seconds", timeout.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slug_of(public_url: &str, url: &str) -> Option<String> {
        Inboxes::new(Some(public_url)).slug_of(&Target::parse_stored(url).expect("a URL"))
    }

    #[test]
    fn an_inbox_is_known_by_scheme_host_port_and_path_in_whatever_spelling() {
        let slug = "0123456789abcdef0123456789abcdef01234567";
        let at = |base: &str| format!("{base}/inbox/{slug}");
        for (public_url, url) in [
            ("http://127.0.0.1:8080", at("http://127.0.0.1:8080")),
            ("http://127.0.0.1:8080/", at("HTTP://127.0.0.1:8080")),
            ("https://hooks.example.com", at("https://Hooks.Example.com:443")),
            ("https://hooks.example.com/base", at("https://hooks.example.com/x/../base")),
            ("https://hooks.example.com", format!("{}?a=b", at("https://hooks.example.com"))),
        ] {
            assert_eq!(slug_of(public_url, &url).as_deref(), Some(slug), "{public_url} {url}");
        }
        for (public_url, url) in [
            ("http://127.0.0.1:8080", at("http://127.0.0.1:8081")),
            ("https://hooks.example.com", at("http://hooks.example.com")),
            ("https://hooks.example.com", at("https://hooks.example.com.evil.example")),
            ("https://hooks.example.com", at("https://hooks.example.com/other")),
            ("https://hooks.example.com", format!("{}/more", at("https://hooks.example.com"))),
            ("https://hooks.example.com", "https://hooks.example.com/inbox/".to_owned()),
            ("https://hooks.example.com", "https://hooks.example.com/inbox/../admin".to_owned()),
        ] {
            assert_eq!(slug_of(public_url, &url), None, "{public_url} {url}");
        }
        assert_eq!(
            Inboxes::new(None).slug_of(&Target::parse_stored(&at("http://a.example")).expect("a URL")),
            None
        );
    }

    #[test]
    fn what_is_secret_is_masked_and_what_is_too_long_is_cut() {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("hush"));
        headers.insert("x-of-mine", HeaderValue::from_static("hush"));
        headers.insert("webhook-signature", HeaderValue::from_static("v1,abc"));
        let secrets = [("X-Of-Mine".to_owned(), String::new()), ("Authorization".to_owned(), String::new())];
        let kept = kept_headers(&headers, Sender::Tenant(TenantId::from_bytes([0; 16]), &secrets));
        assert!(!kept.contains("hush") && kept.contains("v1,abc"), "{kept}");
        let long = "x".repeat(limits::INBOX_HEADERS_KEPT_BYTES);
        headers.insert("x-long", HeaderValue::from_str(&long).expect("a value"));
        let kept = kept_headers(&headers, Sender::Anybody);
        assert!(!kept.contains(&long) && !kept.contains("Bearer") && kept.contains("v1,abc"), "{kept}");
    }
}

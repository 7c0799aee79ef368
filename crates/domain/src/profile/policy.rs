//! What a profile decides apart from bytes: who sees webhooks, when deliveries go out, what counts as success.

use std::time::Duration;

/// Who may use webhooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The tenant plans that include webhooks; `None`: every plan.
    pub plans: Option<Vec<String>>,
    pub webhooks: WebhookReaders,
}

impl Access {
    /// Whether a tenant on `plan` may have webhooks.
    pub fn includes_webhooks(&self, plan: Option<&str>) -> bool {
        match &self.plans {
            None => true,
            Some(plans) => plan.is_some_and(|plan| plans.iter().any(|allowed| allowed == plan)),
        }
    }
}

/// The least role that may see a tenant's webhooks and their history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookReaders {
    Admin,
    Viewer,
}

/// What a tenant's webhooks look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookPolicy {
    /// A tenant has one webhook, kept in its `settings.webhook`.
    pub single: bool,
    /// A webhook chooses its events; otherwise it gets all.
    pub selects_events: bool,
}

/// When deliveries go out and what follows an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryPolicy {
    pub mode: DeliveryMode,
    /// Hour and minute of the daily scan in the tenant's zone, unless the tenant sets another.
    pub scan_at: (i8, i8),
    /// The whole attempt: resolving, connecting, sending, and the response body where success needs it.
    pub timeout: Duration,
    /// The delay before each retry, from the end of the failed attempt. Empty: one attempt.
    pub retries: Vec<Duration>,
    /// 0.1 spreads each delay over ±10 %.
    pub jitter: f64,
    pub retry_after: RetryAfterPolicy,
    pub gone: GonePolicy,
    pub on_disable: OnDisable,
    /// Whether a request whose outcome is unknown after a crash is never made again.
    pub at_most_once: bool,
    pub success: SuccessRule,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryMode {
    Immediate,
    /// Deliveries fall due at the tenant's next daily scan.
    Scan,
}

/// What a `Retry-After` header does to the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfterPolicy {
    Honour,
    Ignore,
}

/// What a 410 answer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GonePolicy {
    Disable,
    Retry,
}

/// What becomes of scheduled deliveries when their webhook is switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDisable {
    Hold,
    Cancel,
}

/// Which answers mean that the receiver has the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuccessRule {
    /// Inclusive ranges of statuses.
    pub statuses: Vec<(u16, u16)>,
    pub body: BodyRule,
}

impl SuccessRule {
    pub fn holds(&self, status: u16) -> bool {
        self.statuses.iter().any(|(first, last)| (*first..=*last).contains(&status))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyRule {
    /// The response body is read for the log only.
    Ignored,
    /// The response body must be read to its end, in time and within the cap.
    Complete,
}

/// How the request body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyPolicy {
    pub numbers: Numbers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// The event's data stands in the body as it was sent, whitespace apart.
    Verbatim,
    /// The body is what JavaScript's `JSON.stringify(JSON.parse(body))` makes of it: see [`crate::ecmascript`].
    Ecmascript,
}

/// What happens to an event whose data does not follow its type's schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaMode {
    Off,
    Warn,
    Reject,
}

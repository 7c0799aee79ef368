//! Refusals: what a caller did wrong, in a stable code and a sentence that says what to do.

use std::fmt;

/// Why a request was refused. The text form is a contract: callers branch on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    MalformedJson,
    InvalidField,
    UnknownField,
    MissingField,
    BodyTooLarge,
    UnsupportedMediaType,
    MethodNotAllowed,
    NotFound,
    KeyMissing,
    KeyInvalid,
    KeyTooWeak,
    Forbidden,
    PlanExcludesWebhooks,
    TenantRequired,
    TenantHasHistory,
    IdTaken,
    IdempotencyKeyReused,
    IdempotencyKeyInvalid,
    UnknownEventType,
    EventTypeNotExposed,
    SchemaViolation,
    UnknownRecordKind,
    UnknownTenant,
    ProfileRequired,
    PreconditionFailed,
    NotRenderable,
    EventLoop,
    PatternMatchesNothing,
    PatternInvalid,
    UrlInvalid,
    UrlForbidden,
    HttpsRequired,
    HeaderForbidden,
    HeaderInvalid,
    SecretInvalid,
    SecretRotationConflict,
    SingleWebhook,
    WebhookLimit,
    WorkflowInvalid,
    VerificationFailed,
    SecretLimit,
    ConnectionLimit,
    SessionLimit,
    NameTaken,
    UnknownProvider,
    ConnectionNotAuthorized,
    TooManyItems,
    ProfileInvalid,
    ProfileInUse,
    CatalogueClosed,
    DeliveryNotFinal,
    PayloadExpired,
    CursorInvalid,
    Conflict,
    RateLimited,
    Overloaded,
    StoreUnavailable,
    ShuttingDown,
    Internal,
}

impl Code {
    pub const ALL: [Self; 59] = [
        Self::MalformedJson,
        Self::InvalidField,
        Self::UnknownField,
        Self::MissingField,
        Self::BodyTooLarge,
        Self::UnsupportedMediaType,
        Self::MethodNotAllowed,
        Self::NotFound,
        Self::KeyMissing,
        Self::KeyInvalid,
        Self::KeyTooWeak,
        Self::Forbidden,
        Self::PlanExcludesWebhooks,
        Self::TenantRequired,
        Self::TenantHasHistory,
        Self::IdTaken,
        Self::IdempotencyKeyReused,
        Self::IdempotencyKeyInvalid,
        Self::UnknownEventType,
        Self::EventTypeNotExposed,
        Self::SchemaViolation,
        Self::UnknownRecordKind,
        Self::UnknownTenant,
        Self::ProfileRequired,
        Self::PreconditionFailed,
        Self::NotRenderable,
        Self::EventLoop,
        Self::PatternMatchesNothing,
        Self::PatternInvalid,
        Self::UrlInvalid,
        Self::UrlForbidden,
        Self::HttpsRequired,
        Self::HeaderForbidden,
        Self::HeaderInvalid,
        Self::SecretInvalid,
        Self::SecretRotationConflict,
        Self::SingleWebhook,
        Self::WebhookLimit,
        Self::WorkflowInvalid,
        Self::VerificationFailed,
        Self::SecretLimit,
        Self::ConnectionLimit,
        Self::SessionLimit,
        Self::NameTaken,
        Self::UnknownProvider,
        Self::ConnectionNotAuthorized,
        Self::TooManyItems,
        Self::ProfileInvalid,
        Self::ProfileInUse,
        Self::CatalogueClosed,
        Self::DeliveryNotFinal,
        Self::PayloadExpired,
        Self::CursorInvalid,
        Self::Conflict,
        Self::RateLimited,
        Self::Overloaded,
        Self::StoreUnavailable,
        Self::ShuttingDown,
        Self::Internal,
    ];

    /// The code on the wire and the HTTP status that goes with it.
    pub const fn wire(self) -> (&'static str, u16) {
        match self {
            Self::MalformedJson => ("malformed_json", 400),
            Self::InvalidField => ("invalid_field", 422),
            Self::UnknownField => ("unknown_field", 422),
            Self::MissingField => ("missing_field", 422),
            Self::BodyTooLarge => ("body_too_large", 413),
            Self::UnsupportedMediaType => ("unsupported_media_type", 415),
            Self::MethodNotAllowed => ("method_not_allowed", 405),
            Self::NotFound => ("not_found", 404),
            Self::KeyMissing => ("key_missing", 401),
            Self::KeyInvalid => ("key_invalid", 401),
            Self::KeyTooWeak => ("key_too_weak", 422),
            Self::Forbidden => ("forbidden", 403),
            Self::PlanExcludesWebhooks => ("plan_excludes_webhooks", 403),
            Self::TenantRequired => ("tenant_required", 422),
            Self::TenantHasHistory => ("tenant_has_history", 409),
            Self::IdTaken => ("id_taken", 409),
            Self::IdempotencyKeyReused => ("idempotency_key_reused", 409),
            Self::IdempotencyKeyInvalid => ("idempotency_key_invalid", 422),
            Self::UnknownEventType => ("unknown_event_type", 422),
            Self::EventTypeNotExposed => ("event_type_not_exposed", 422),
            Self::SchemaViolation => ("schema_violation", 422),
            Self::UnknownRecordKind => ("unknown_record_kind", 404),
            Self::UnknownTenant => ("unknown_tenant", 422),
            Self::ProfileRequired => ("profile_required", 422),
            Self::PreconditionFailed => ("precondition_failed", 412),
            Self::NotRenderable => ("not_renderable", 422),
            Self::EventLoop => ("loop", 422),
            Self::PatternMatchesNothing => ("pattern_matches_nothing", 422),
            Self::PatternInvalid => ("pattern_invalid", 422),
            Self::UrlInvalid => ("url_invalid", 422),
            Self::UrlForbidden => ("url_forbidden", 422),
            Self::HttpsRequired => ("https_required", 422),
            Self::HeaderForbidden => ("header_forbidden", 422),
            Self::HeaderInvalid => ("header_invalid", 422),
            Self::SecretInvalid => ("secret_invalid", 422),
            Self::SecretRotationConflict => ("secret_rotation_conflict", 409),
            Self::SingleWebhook => ("single_webhook", 409),
            Self::WebhookLimit => ("webhook_limit", 409),
            Self::WorkflowInvalid => ("workflow_invalid", 422),
            Self::VerificationFailed => ("verification_failed", 401),
            Self::SecretLimit => ("secret_limit", 409),
            Self::ConnectionLimit => ("connection_limit", 409),
            Self::SessionLimit => ("session_limit", 409),
            Self::NameTaken => ("name_taken", 409),
            Self::UnknownProvider => ("unknown_provider", 422),
            Self::ConnectionNotAuthorized => ("connection_not_authorized", 409),
            Self::TooManyItems => ("too_many_items", 422),
            Self::ProfileInvalid => ("profile_invalid", 422),
            Self::ProfileInUse => ("profile_in_use", 409),
            Self::CatalogueClosed => ("catalogue_closed", 409),
            Self::DeliveryNotFinal => ("delivery_not_final", 409),
            Self::PayloadExpired => ("payload_expired", 409),
            Self::CursorInvalid => ("cursor_invalid", 422),
            Self::Conflict => ("conflict", 409),
            Self::RateLimited => ("rate_limited", 429),
            Self::Overloaded => ("overloaded", 503),
            Self::StoreUnavailable => ("store_unavailable", 503),
            Self::ShuttingDown => ("shutting_down", 503),
            Self::Internal => ("internal", 500),
        }
    }

    pub const fn as_str(self) -> &'static str {
        self.wire().0
    }

    pub const fn status(self) -> u16 {
        self.wire().1
    }
}

/// A refusal as the caller sees it (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub code: Code,
    /// What is wrong and what to do, in a sentence or two. Never holds a secret.
    pub detail: String,
    /// The field at fault, as a path of the request: `events[2]`, `headers.Host`.
    pub field: Option<String>,
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), field: None }
    }

    pub fn at(code: Code, field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), field: Some(field.into()) }
    }

    /// The answer for an id that does not exist, and for one that belongs to somebody else.
    pub fn not_found(what: &str) -> Self {
        Self::new(
            Code::NotFound,
            format!("There is no such {what}. Check the id, and that the key belongs to its tenant."),
        )
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)
    }
}

impl std::error::Error for Problem {}

/// Something to know that is not a refusal: `{code, detail}` in a webhook's `warnings`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Warning {
    pub code: &'static str,
    pub detail: String,
}

//! Which webhooks an event is for, and the reason for each no. Pure.

use postrider_domain::event::EventKind;
use postrider_domain::pattern::Patterns;
use postrider_domain::profile::DeliveryMode;

/// Why an event makes no delivery to a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum No {
    /// None of the webhook's patterns matches the type.
    PatternsDoNotMatch,
    /// The webhook was off when the event was accepted.
    WebhookOff,
    /// An operational event goes only to webhooks that name its type in full.
    OperationalNotNamed,
    /// A test event goes only to the webhook it was asked for.
    TestOfAnotherWebhook,
    /// The webhook did not exist when the event was accepted.
    NotRegisteredThen,
}

impl No {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PatternsDoNotMatch => "patterns_do_not_match",
            Self::WebhookOff => "webhook_off",
            Self::OperationalNotNamed => "operational_not_named",
            Self::TestOfAnotherWebhook => "test_of_another_webhook",
            Self::NotRegisteredThen => "not_registered_then",
        }
    }

    /// What happened and what to do, for the tenant.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::PatternsDoNotMatch => {
                "None of the webhook's event patterns matches this type. Add the type to the webhook's events to receive it."
            }
            Self::WebhookOff => {
                "The webhook was off when the event was accepted. Switch it on to receive later events."
            }
            Self::OperationalNotNamed => {
                "Events about Postrider's own work go to webhooks that name the type in full. Add the type to the webhook's events."
            }
            Self::TestOfAnotherWebhook => "This test event was sent to another webhook.",
            Self::NotRegisteredThen => "The webhook was registered after the event was accepted.",
        }
    }
}

/// What the matcher needs to know of a webhook: today's, or as it was at some version.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    pub patterns: &'a Patterns,
    pub enabled: bool,
}

/// What the matcher needs to know of an event.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    pub kind: EventKind,
    pub event_type: &'a str,
    pub mode: DeliveryMode,
}

/// Whether the event is for this webhook. Test events are addressed, not matched: every answer here is a no.
pub fn interested(question: Question<'_>, candidate: Candidate<'_>) -> Result<(), No> {
    let named = match question.kind {
        EventKind::Test => return Err(No::TestOfAnotherWebhook),
        EventKind::Operational if !candidate.patterns.names_exactly(question.event_type) => {
            return Err(No::OperationalNotNamed);
        }
        EventKind::Operational => true,
        EventKind::Normal => candidate.patterns.matches(question.event_type),
    };
    if !named {
        return Err(No::PatternsDoNotMatch);
    }
    // With a scan, the switch is read when the scan comes: the day's events wait for it either way.
    if !candidate.enabled && question.mode == DeliveryMode::Immediate {
        return Err(No::WebhookOff);
    }
    Ok(())
}

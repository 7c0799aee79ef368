//! States, reasons and attempt classes: the words in which a delivery's fate is told.

/// Where a delivery stands. The last three are final and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    Scheduled,
    Sending,
    Delivered,
    Failed,
    Cancelled,
}

impl DeliveryState {
    pub const ALL: [Self; 5] =
        [Self::Scheduled, Self::Sending, Self::Delivered, Self::Failed, Self::Cancelled];

    pub const fn code(self) -> i64 {
        match self {
            Self::Scheduled => 0,
            Self::Sending => 1,
            Self::Delivered => 2,
            Self::Failed => 3,
            Self::Cancelled => 4,
        }
    }

    pub const fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Scheduled),
            1 => Some(Self::Sending),
            2 => Some(Self::Delivered),
            3 => Some(Self::Failed),
            4 => Some(Self::Cancelled),
            _ => None,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Sending => "sending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    pub const fn is_final(self) -> bool {
        matches!(self, Self::Delivered | Self::Failed | Self::Cancelled)
    }
}

/// Which column of the ledger a delivery counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeliveryKind {
    Normal,
    Test,
    /// A new delivery of an event that already had one: a manual retry, a recovery.
    Replay,
}

impl DeliveryKind {
    pub const ALL: [Self; 3] = [Self::Normal, Self::Test, Self::Replay];

    pub const fn code(self) -> i64 {
        match self {
            Self::Normal => 0,
            Self::Test => 1,
            Self::Replay => 2,
        }
    }

    pub const fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Normal),
            1 => Some(Self::Test),
            2 => Some(Self::Replay),
            _ => None,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Test => "test",
            Self::Replay => "replay",
        }
    }
}

/// Why a delivery is where it is. Stable codes, shown by the API and the pages with a sentence each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Delivered: the receiver accepted it.
    Accepted,
    /// Scheduled: the last attempt failed and the schedule has another.
    RetryDue,
    /// Scheduled: the first attempt waits for its turn (no free slot, or a burst).
    Waiting,
    /// Scheduled: goes out with the tenant's next scan.
    WaitingForScan,
    /// Scheduled: the webhook is off and its profile holds what was scheduled.
    Held,
    /// Scheduled: the process stopped while it was being sent; due at once.
    Interrupted,
    /// Failed: the schedule is used up.
    RetriesExhausted,
    /// Failed: the profile makes one attempt only, and it failed.
    SingleAttemptFailed,
    /// Failed: the process stopped while it was being sent, and the profile promises at most one request.
    OutcomeUnknown,
    /// Failed: the receiver answered 410 Gone, which also switched the webhook off.
    Gone,
    /// Failed: the event cannot be rendered in the profile's format.
    NotRenderable,
    /// Failed: it was open in the backup from which the installation was restored.
    Restored,
    /// Cancelled: the webhook was off when the scan came.
    Paused,
    /// Cancelled: the webhook was switched off and its profile cancels what was scheduled.
    WebhookOff,
    /// Cancelled: held for longer than the profile allows while the webhook was off.
    HeldTooLong,
    /// Cancelled: the webhook was deleted.
    WebhookDeleted,
}

impl Reason {
    pub const ALL: [Self; 16] = [
        Self::Accepted,
        Self::RetryDue,
        Self::Waiting,
        Self::WaitingForScan,
        Self::Held,
        Self::Interrupted,
        Self::RetriesExhausted,
        Self::SingleAttemptFailed,
        Self::OutcomeUnknown,
        Self::Gone,
        Self::NotRenderable,
        Self::Restored,
        Self::Paused,
        Self::WebhookOff,
        Self::HeldTooLong,
        Self::WebhookDeleted,
    ];

    /// The number in the store. Append only: a number is never given a second meaning.
    pub const fn code(self) -> i64 {
        match self {
            Self::Accepted => 0,
            Self::RetryDue => 1,
            Self::Waiting => 2,
            Self::WaitingForScan => 3,
            Self::Held => 4,
            Self::Interrupted => 5,
            Self::RetriesExhausted => 6,
            Self::SingleAttemptFailed => 7,
            Self::OutcomeUnknown => 8,
            Self::Gone => 9,
            Self::NotRenderable => 10,
            Self::Paused => 11,
            Self::WebhookOff => 12,
            Self::HeldTooLong => 13,
            Self::WebhookDeleted => 14,
            Self::Restored => 15,
        }
    }

    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::RetryDue => "retry_due",
            Self::Waiting => "waiting",
            Self::WaitingForScan => "waiting_for_scan",
            Self::Held => "held",
            Self::Interrupted => "interrupted",
            Self::RetriesExhausted => "retries_exhausted",
            Self::SingleAttemptFailed => "single_attempt_failed",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Gone => "gone",
            Self::NotRenderable => "not_renderable",
            Self::Restored => "restored",
            Self::Paused => "paused",
            Self::WebhookOff => "webhook_off",
            Self::HeldTooLong => "held_too_long",
            Self::WebhookDeleted => "webhook_deleted",
        }
    }

    /// What happened and what to do next, for the tenant.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Accepted => "The receiver accepted the event.",
            Self::RetryDue => "The last attempt failed; the next one is scheduled.",
            Self::Waiting => {
                "The delivery waits for its turn; it is sent as soon as the webhook has a free slot."
            }
            Self::WaitingForScan => "The delivery goes out with the next scan.",
            Self::Held => {
                "The webhook is off. The delivery is held and goes out when the webhook is switched on."
            }
            Self::Interrupted => {
                "Postrider stopped while sending and does not know the outcome; it sends again at once."
            }
            Self::RetriesExhausted => {
                "Every attempt of the schedule failed. Mend the endpoint, then retry the delivery or recover the webhook."
            }
            Self::SingleAttemptFailed => {
                "The one attempt that this profile makes failed. Retry the delivery by hand if it is still wanted."
            }
            Self::OutcomeUnknown => {
                "Postrider stopped while sending. The receiver may have had the request; this profile never sends twice by itself."
            }
            Self::Gone => {
                "The receiver answered 410 Gone, so the webhook was switched off. Switch it on when the endpoint is back."
            }
            Self::NotRenderable => {
                "The event cannot be written in this profile's format. See the attempt for the value at fault."
            }
            Self::Restored => {
                "This installation was restored from a backup in which the delivery was still open, so it may have been made since. Retry it or recover the webhook if it is still wanted."
            }
            Self::Paused => {
                "The webhook was paused when the scan came. Switch it on to receive later events."
            }
            Self::WebhookOff => "The webhook was switched off before the delivery was sent.",
            Self::HeldTooLong => {
                "The webhook was off for longer than held deliveries are kept. Recover it to send them again."
            }
            Self::WebhookDeleted => "The webhook was deleted before the delivery was sent.",
        }
    }
}

/// What one HTTP request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptClass {
    /// The profile's success rule holds.
    Success,
    /// An answer came, and its status is not a success.
    Status,
    /// An answer came, and the profile wants its body complete, which it was not.
    Body,
    Timeout,
    Dns,
    Connect,
    Tls,
    /// The connection ended before an answer was complete.
    Reset,
    /// What came back is not HTTP, or breaks the bounds on heads.
    Protocol,
    /// The address policy forbids the target; nothing was sent.
    BlockedTarget,
    /// The process stopped between the claim and the result: the receiver may or may not have seen the request.
    Unknown,
    /// The request could not be made from the event; nothing was sent.
    NotRenderable,
}

impl AttemptClass {
    pub const ALL: [Self; 12] = [
        Self::Success,
        Self::Status,
        Self::Body,
        Self::Timeout,
        Self::Dns,
        Self::Connect,
        Self::Tls,
        Self::Reset,
        Self::Protocol,
        Self::BlockedTarget,
        Self::Unknown,
        Self::NotRenderable,
    ];

    /// The number in the store. Append only.
    pub const fn code(self) -> i64 {
        match self {
            Self::Success => 0,
            Self::Status => 1,
            Self::Body => 2,
            Self::Timeout => 3,
            Self::Dns => 4,
            Self::Connect => 5,
            Self::Tls => 6,
            Self::Reset => 7,
            Self::Protocol => 8,
            Self::BlockedTarget => 9,
            Self::Unknown => 10,
            Self::NotRenderable => 11,
        }
    }

    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.code() == code)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Status => "status",
            Self::Body => "body",
            Self::Timeout => "timeout",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Reset => "reset",
            Self::Protocol => "protocol",
            Self::BlockedTarget => "blocked_target",
            Self::Unknown => "unknown",
            Self::NotRenderable => "not_renderable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back() {
        for state in DeliveryState::ALL {
            assert_eq!(DeliveryState::from_code(state.code()), Some(state));
            assert_eq!(DeliveryState::parse(state.as_str()), Some(state));
        }
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
        }
        for class in AttemptClass::ALL {
            assert_eq!(AttemptClass::from_code(class.code()), Some(class));
        }
        for kind in DeliveryKind::ALL {
            assert_eq!(DeliveryKind::from_code(kind.code()), Some(kind));
        }
    }
}

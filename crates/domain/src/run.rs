//! Words for what comes in: states of runs and steps, kinds of triggers, and why a request started nothing.

/// Where a run stands. The last three are final and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunState {
    /// Not begun.
    Queued,
    /// A node works on it.
    Running,
    /// For a time, an event, another run, or its next try.
    Waiting,
    Succeeded,
    Failed,
    Cancelled,
}

impl RunState {
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::Waiting, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// As stored. Append only.
    pub const fn code(self) -> i64 {
        match self {
            Self::Queued => 0,
            Self::Running => 1,
            Self::Waiting => 2,
            Self::Succeeded => 3,
            Self::Failed => 4,
            Self::Cancelled => 5,
        }
    }

    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.code() == code)
    }

    /// As the API names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }

    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StepStatus {
    /// Begun, and not ended.
    Pending,
    Succeeded,
    Failed,
    /// Its condition did not hold.
    Skipped,
}

impl StepStatus {
    pub const ALL: [Self; 4] = [Self::Pending, Self::Succeeded, Self::Failed, Self::Skipped];

    /// As stored. Append only.
    pub const fn code(self) -> i64 {
        match self {
            Self::Pending => 0,
            Self::Succeeded => 1,
            Self::Failed => 2,
            Self::Skipped => 3,
        }
    }

    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.code() == code)
    }

    /// As the API names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }
}

/// What starts runs. The first two are as system C names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TriggerKind {
    /// A request from outside.
    Webhook,
    /// The clock.
    Cron,
    /// An outbound event of the tenant.
    Event,
    /// A person or a program, by the API.
    Manual,
    /// A step of another run.
    Call,
    /// A run that is done once more.
    Replay,
}

impl TriggerKind {
    pub const ALL: [Self; 6] =
        [Self::Webhook, Self::Cron, Self::Event, Self::Manual, Self::Call, Self::Replay];

    /// As stored. Append only.
    pub const fn code(self) -> i64 {
        match self {
            Self::Webhook => 0,
            Self::Cron => 1,
            Self::Event => 2,
            Self::Manual => 3,
            Self::Call => 4,
            Self::Replay => 5,
        }
    }

    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.code() == code)
    }

    /// As the API names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Cron => "cron",
            Self::Event => "event",
            Self::Manual => "manual",
            Self::Call => "call",
            Self::Replay => "replay",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }
}

/// What became of a request to a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestCause {
    /// It started a run.
    Accepted,
    /// The trigger is off.
    Disabled,
    /// Its secret, signature or time does not hold.
    VerificationFailed,
    Method,
    ContentType,
    Unparsable,
    TooLarge,
    /// The same came before and started a run.
    Duplicate,
    /// The filter does not hold.
    Filtered,
    RateLimited,
    /// It was answered, and starts nothing.
    Handshake,
    /// It came from an address that is not allowed.
    Address,
    /// Trouble of ours: the sender was asked to come again.
    Failed,
}

impl RequestCause {
    pub const ALL: [Self; 13] = [
        Self::Accepted,
        Self::Disabled,
        Self::VerificationFailed,
        Self::Method,
        Self::ContentType,
        Self::Unparsable,
        Self::TooLarge,
        Self::Duplicate,
        Self::Filtered,
        Self::RateLimited,
        Self::Handshake,
        Self::Address,
        Self::Failed,
    ];

    /// As stored. Append only.
    pub const fn code(self) -> i64 {
        match self {
            Self::Accepted => 0,
            Self::Disabled => 1,
            Self::VerificationFailed => 2,
            Self::Method => 3,
            Self::ContentType => 4,
            Self::Unparsable => 5,
            Self::TooLarge => 6,
            Self::Duplicate => 7,
            Self::Filtered => 8,
            Self::RateLimited => 9,
            Self::Handshake => 10,
            Self::Address => 11,
            Self::Failed => 12,
        }
    }

    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.code() == code)
    }

    /// As the API names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Disabled => "disabled",
            Self::VerificationFailed => "verification_failed",
            Self::Method => "method",
            Self::ContentType => "content_type",
            Self::Unparsable => "unparsable",
            Self::TooLarge => "too_large",
            Self::Duplicate => "duplicate",
            Self::Filtered => "filtered",
            Self::RateLimited => "rate_limited",
            Self::Handshake => "handshake",
            Self::Address => "address",
            Self::Failed => "failed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }
}

//! What an event is, apart from its data.

/// Why an event exists. Decides who may be interested and what it counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// Published by the product. Goes to every webhook whose patterns match; counts in ledger and statistics.
    Normal,
    /// Asked for by "send test event". Goes to one named webhook, also when that is off; counts apart.
    Test,
    /// Made by Postrider about its own work (`webhook.disabled`, `delivery.exhausted`). Goes to webhooks that name its
    /// type in full: a `*` that was written for the product's events does not ask for these.
    Operational,
}

impl EventKind {
    pub const fn code(self) -> i64 {
        match self {
            Self::Normal => 0,
            Self::Test => 1,
            Self::Operational => 2,
        }
    }

    pub const fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Normal),
            1 => Some(Self::Test),
            2 => Some(Self::Operational),
            _ => None,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Test => "test",
            Self::Operational => "operational",
        }
    }
}

/// A webhook of the tenant was switched off by Postrider.
pub const WEBHOOK_DISABLED: &str = "webhook.disabled";
/// A delivery used up its schedule.
pub const DELIVERY_EXHAUSTED: &str = "delivery.exhausted";
/// Types that exist in every profile, whatever its catalogue says.
pub const OPERATIONAL_TYPES: [&str; 2] = [WEBHOOK_DISABLED, DELIVERY_EXHAUSTED];

/// Whether `text` can be an event type: 1 to 128 characters of `A-Z a-z 0-9 _ - .`, in segments divided by dots, none empty.
pub fn is_event_type(text: &str) -> bool {
    text.len() <= crate::limits::EVENT_TYPE_BYTES_MAX
        && text.split('.').all(|segment| {
            !segment.is_empty()
                && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
        })
}

//! Identifiers: UUIDv7 inside, `prefix_` and 26 characters of Crockford base 32 outside (the TypeID encoding).
//!
//! The text form sorts like the UUID, and a UUIDv7 sorts by its millisecond. An id never contains a dot, since some
//! signature schemes join their parts with one.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::random::Random;
use crate::signature;
use crate::time::Timestamp;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const TEXT_LEN: usize = 26;

/// An id in text form is not one of ours: wrong prefix, length or characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id that Postrider made")]
pub struct NotAnId;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            pub const PREFIX: &'static str = $prefix;

            /// A new id that sorts by `now`.
            pub fn new(now: Timestamp, random: &dyn Random) -> Self {
                Self(uuid_v7(now, random))
            }

            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            pub const fn uuid(self) -> Uuid {
                self.0
            }

            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            pub fn parse(text: &str) -> Result<Self, NotAnId> {
                parse_text($prefix, text).map(Self)
            }

            /// The smallest id whose time is `at`: the border for "newer than" and "older than".
            pub fn lowest_at(at: Timestamp) -> Self {
                Self(uuid_lowest_at(at))
            }

            /// The millisecond in which the id was made.
            pub fn time(self) -> Timestamp {
                uuid_time(self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_text(f, $prefix, self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// A tenant, inside. Outside a tenant is known by its `public_id`, which the caller may choose.
    TenantId,
    "ten_"
);
id!(
    /// A tenant's registration of a URL.
    WebhookId,
    "wh_"
);
id!(
    /// An accepted event, inside. On the wire and in the API an event is known by the id its publisher brought, if any.
    EventId,
    "evt_"
);
id!(
    /// One event to one webhook, once; a replay has an id of its own.
    DeliveryId,
    "dlv_"
);
id!(
    /// An API key's public half.
    KeyId,
    "key_"
);
id!(
    /// A long-running operation on many rows, such as a recovery.
    JobId,
    "job_"
);
id!(
    /// A row of the audit log.
    AuditId,
    "aud_"
);

id!(
    /// A workflow: what runs do.
    WorkflowId,
    "wf_"
);
id!(
    /// What starts runs of a workflow.
    TriggerId,
    "trg_"
);
id!(
    /// One execution of a workflow.
    RunId,
    "run_"
);
id!(
    /// A request to a trigger, taken or refused.
    RequestId,
    "req_"
);
id!(
    /// An OAuth 2 grant that steps use.
    ConnectionId,
    "con_"
);

id!(
    /// A receiver of ours, to try webhooks with.
    InboxId,
    "inb_"
);
id!(
    /// A request that came to an inbox.
    InboxRequestId,
    "inr_"
);

fn uuid_v7(now: Timestamp, random: &dyn Random) -> Uuid {
    let mut bytes = [0u8; 10];
    random.fill(&mut bytes);
    uuid::Builder::from_unix_timestamp_millis(now.unix_ms_unsigned(), &bytes).into_uuid()
}

fn uuid_lowest_at(at: Timestamp) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(at.unix_ms_unsigned(), &[0; 10]).into_uuid()
}

fn uuid_time(uuid: Uuid) -> Timestamp {
    let bytes = uuid.as_bytes();
    let ms = bytes[..6].iter().fold(0i64, |ms, byte| (ms << 8) | i64::from(*byte));
    Timestamp::from_unix_ms(ms)
}

/// Ids in strictly rising order, whatever the clock does: what is made later sorts later.
///
/// The acceptor makes event ids under one lock and queues them in the same order, so that a reader who polls
/// `after=ID` never skips an event that was committed late.
#[derive(Debug, Default)]
pub struct RisingIds {
    last_ms: u64,
    count: u16,
}

impl RisingIds {
    /// The 12 bits after the version hold a counter within the millisecond; the remaining 62 bits are random.
    pub fn next(&mut self, now: Timestamp, random: &dyn Random) -> Uuid {
        const COUNT_MAX: u16 = 0x0fff;
        let now_ms = now.unix_ms_unsigned();
        if now_ms > self.last_ms {
            self.last_ms = now_ms;
            self.count = 0;
        } else if self.count == COUNT_MAX {
            self.last_ms += 1;
            self.count = 0;
        } else {
            self.count += 1;
        }
        let mut bytes = [0u8; 10];
        random.fill(&mut bytes[2..]);
        bytes[..2].copy_from_slice(&self.count.to_be_bytes());
        uuid::Builder::from_unix_timestamp_millis(self.last_ms, &bytes).into_uuid()
    }
}

/// The UUID that receivers use to recognise an event they already had (`{delivery.uuid}`): the same for an event and
/// a webhook over retries, replays and manual re-fires. Made only where a profile writes it.
#[derive(Debug, Clone, Copy)]
pub enum DeliveryUuid {
    Of(EventId, WebhookId),
    /// As an example has it.
    Is(Uuid),
}

impl DeliveryUuid {
    pub fn get(self) -> Uuid {
        match self {
            Self::Of(event, webhook) => delivery_uuid(event, webhook),
            Self::Is(uuid) => uuid,
        }
    }
}

/// A UUIDv8 over SHA-256 of both ids, so that it needs no column.
fn delivery_uuid(event: EventId, webhook: WebhookId) -> Uuid {
    let mut both = [0u8; 32];
    both[..16].copy_from_slice(event.as_bytes());
    both[16..].copy_from_slice(webhook.as_bytes());
    let digest = signature::sha256(&both);
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

fn write_text(f: &mut fmt::Formatter<'_>, prefix: &str, uuid: Uuid) -> fmt::Result {
    let mut value = uuid.as_u128();
    let mut text = [0u8; TEXT_LEN];
    for slot in text.iter_mut().rev() {
        *slot = ALPHABET[(value & 31) as usize];
        value >>= 5;
    }
    f.write_str(prefix)?;
    f.write_str(std::str::from_utf8(&text).expect("because the alphabet is ASCII"))
}

fn parse_text(prefix: &str, text: &str) -> Result<Uuid, NotAnId> {
    let digits = text.strip_prefix(prefix).ok_or(NotAnId)?.as_bytes();
    // 26 × 5 = 130 bits: the first digit may use only its low three bits.
    if digits.len() != TEXT_LEN || digits[0] > b'7' {
        return Err(NotAnId);
    }
    let mut value: u128 = 0;
    for digit in digits {
        let at = ALPHABET.iter().position(|letter| letter == digit).ok_or(NotAnId)?;
        value = (value << 5) | at as u128;
    }
    Ok(Uuid::from_u128(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Zeroes;
    impl Random for Zeroes {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    #[test]
    fn an_id_survives_its_text_form() {
        let id = EventId::new(Timestamp::from_unix_ms(1_700_000_000_123), &Zeroes);
        assert_eq!(EventId::parse(&id.to_string()), Ok(id));
        assert_eq!(id.time(), Timestamp::from_unix_ms(1_700_000_000_123));
        assert_eq!(id.to_string().len(), 30);
    }

    #[test]
    fn foreign_text_is_not_an_id() {
        for text in [
            "",
            "evt_",
            "wh_01h455vb4pex5vsknk084sn02q",
            "evt_81h455vb4pex5vsknk084sn02q",
            "evt_01h455vb4pex5vsknk084sn02u",
        ] {
            assert_eq!(EventId::parse(text), Err(NotAnId), "{text}");
        }
    }

    #[test]
    fn rising_ids_rise_even_when_the_clock_stands_or_steps_back() {
        let mut ids = RisingIds::default();
        let mut last = Uuid::nil();
        for n in 0..10_000i64 {
            let now = Timestamp::from_unix_ms(1_700_000_000_000 - (n % 7) * 1000);
            let next = ids.next(now, &Zeroes);
            assert!(next > last, "{next} after {last}");
            last = next;
        }
    }

    #[test]
    fn the_delivery_uuid_belongs_to_the_pair() {
        let event = EventId::from_bytes([1; 16]);
        let a = delivery_uuid(event, WebhookId::from_bytes([2; 16]));
        let b = delivery_uuid(event, WebhookId::from_bytes([3; 16]));
        assert_ne!(a, b);
        assert_eq!(a, delivery_uuid(event, WebhookId::from_bytes([2; 16])));
        assert_eq!(a.get_version_num(), 8);
    }
}

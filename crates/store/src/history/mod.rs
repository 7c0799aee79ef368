//! Reads of work and its history, for the API and the pages. None of them is on the way of an event.
//!
//! Lists are bounded by their caller and go by id, so that a page begins where the one before ended whatever was added
//! meanwhile. Each statement names its index.

mod deliveries;
mod events;
mod health;
mod ledger;
mod minutes;
mod search;
mod statistics;
mod totals;
mod waiting;

pub use deliveries::{DeliveryFilter, DeliveryPage, StoredDelivery};
pub use events::{EventFilter, EventPage, Order, WebhookVersion};
pub use health::{HEALTH_HOURS, HourOutcome, NewestOutcome, WebhookHealth};
pub use ledger::LedgerRow;
pub use minutes::{Minute, Minutes};
pub use postrider_domain::latency::LATENCY_BUCKETS_MS;
pub use search::EventSearch;
pub use statistics::{WebhookHour, WebhookStats};
pub use totals::{Sums, TenantTotals, Totals};
pub use waiting::{TenantWaiting, WAITING_COUNTED_MAX};

use crate::db::Value;

/// A list's statement, put together from the conditions that its caller asked for.
struct Select<'a> {
    sql: String,
    values: Vec<Value<'a>>,
}

impl<'a> Select<'a> {
    /// `condition` and those that follow lack only their right side.
    fn new(head: &str, condition: &'static str, value: Value<'a>) -> Self {
        Self { sql: format!("{head} WHERE {condition} $1"), values: vec![value] }
    }

    fn and(&mut self, condition: &str, value: Value<'a>) {
        self.values.push(value);
        self.sql.push_str(&format!(" AND {condition} ${}", self.values.len()));
    }

    /// A condition on a partial index must stand in the text: a bound value does not choose it.
    fn and_code(&mut self, condition: &'static str, code: i64) {
        self.sql.push_str(&format!(" AND {condition} {code}"));
    }

    /// Goes on with the condition before, which is not complete yet.
    fn more(&mut self, text: &str, value: Value<'a>, end: &str) {
        self.values.push(value);
        self.sql.push_str(&format!("{text}${}{end}", self.values.len()));
    }

    /// The rest of the condition before, after its value.
    fn close(&mut self, text: &str) {
        self.sql.push_str(text);
    }

    /// As it stands.
    fn end(self) -> (String, Vec<Value<'a>>) {
        (self.sql, self.values)
    }

    fn finish(mut self, order_by: &str, rows: usize) -> (String, Vec<Value<'a>>) {
        self.values.push(i64::try_from(rows).unwrap_or(i64::MAX).into());
        self.sql.push_str(&format!(" ORDER BY {order_by} LIMIT ${}", self.values.len()));
        (self.sql, self.values)
    }
}

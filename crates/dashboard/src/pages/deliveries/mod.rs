//! Deliveries: one event to one webhook, with every request that was made for it.

mod advice;
mod curl;
mod filter;
mod list;
mod live;
mod resend;
mod retry;
mod retry_one;
mod row;
mod show;
mod timeline;

pub(crate) use advice::{next_step, of_delivery};
pub(crate) use filter::local;
pub(crate) use row::last_answer;

use crate::page::Page;

pub(crate) static PAGES: &[&Page] = &[
    &list::LIST,
    &live::LIVE,
    &retry::PREVIEW,
    &retry::START,
    &show::SHOW,
    &retry_one::RETRY,
    &curl::CURL,
    &curl::REVEALED,
    &resend::FORM,
    &resend::SENT,
];

/// The id that receivers and publishers know an event by.
pub(crate) fn event_name(delivery: &postrider_store::StoredDelivery) -> String {
    delivery.external_id.clone().unwrap_or_else(|| delivery.event.to_string())
}

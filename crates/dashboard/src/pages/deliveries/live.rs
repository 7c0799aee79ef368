//! `/deliveries/live`: what changes in the list of deliveries, as it happens, for a page that is open.
//!
//! A wake of this process says that something of the tenant changed, and a slow look stands behind it for what other nodes did.
//! Each look is the list's own query: what came or changed since the look before goes out as rows. However much happens, a page has
//! one look in half a second at most, its looks take a tenth of the time at most, and those of all pages follow one another and take half of it
//! (`looks`), so that deliveries are not slowed: many pages with slow lists get their rows later, all alike.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use http::Method;
use maud::html;
use postrider_domain::delivery::Reason;
use postrider_domain::id::DeliveryId;
use postrider_domain::time::Timestamp;
use postrider_engine::outbound::explain;
use postrider_engine::outbound::stirrings::Changes;
use postrider_store::{DeliveryFilter, StoredDelivery};
use tokio_stream::Stream;

use super::filter;
use super::row::{Select, gone, row};
use crate::page::{Answer, Page, Who};
use crate::parts::list;
use crate::visit::Visit;

pub(crate) static LIVE: Page = Page {
    method: Method::GET,
    path: "/deliveries/live",
    who: Who::WebhookReader,
    handle: |visit| Box::pin(follow(visit)),
};

/// Between looks: people read no faster.
const LOOK_EVERY_MIN: Duration = Duration::from_millis(500);
/// After a look that took long, this many times its length is waited.
const REST_PER_LOOK: u32 = 9;
/// Whatever a clock that was set says of a look's length.
const REST_MAX: Duration = Duration::from_secs(10);
/// Without a wake, for what other nodes did.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(2);
/// A proxy ends a connection on which nothing comes, most of them after a minute.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);
/// A page that was forgotten in some tab does not hold its place for ever.
const LASTS_MAX: Duration = Duration::from_secs(30 * 60);

async fn follow(visit: Visit) -> Answer {
    let filter = DeliveryFilter { before: None, ..filter::read(&visit, &visit.query)? };
    let changes = visit.engine().changes(visit.tenant().id)?;
    let began = visit.now;
    let watch = Watch { visit, filter, changes, shown: HashMap::new(), began, rest_until: None };
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE_EVERY);
    Ok(Sse::new(Rows::of(watch)).keep_alive(keep_alive).into_response())
}

/// One who watches.
struct Watch {
    visit: Visit,
    filter: DeliveryFilter,
    changes: Changes,
    shown: HashMap<DeliveryId, Seen>,
    began: Timestamp,
    /// None before the first look.
    rest_until: Option<Timestamp>,
}

/// What a row shows that can change.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    reason: Reason,
    attempts: u32,
    last_status: Option<u16>,
    due: Option<Timestamp>,
    webhook_name: Option<String>,
}

enum Told {
    Rows(String),
    /// Nothing more is to be expected.
    End,
    /// The server stops: the browser is to come back, here or to another node.
    Stop,
}

impl Watch {
    /// Waits for something to tell.
    async fn next(&mut self) -> Told {
        loop {
            if self.rest_until.is_some() {
                self.wait().await;
            }
            match self.look().await {
                Ok(Some(rows)) => return Told::Rows(rows),
                Ok(None) => {}
                Err(()) => return Told::End,
            }
        }
    }

    async fn wait(&mut self) {
        let clock = self.visit.engine().clock().clone();
        tokio::select! {
            () = self.changes.next() => {}
            () = clock.sleep(LOOK_EVERY_MAX) => {}
        }
        if let Some(rest_until) = self.rest_until {
            clock.sleep(rest_until.since(clock.now()).min(REST_MAX)).await;
        }
    }

    /// `Err`: it has ended.
    async fn look(&mut self) -> Result<Option<String>, ()> {
        let clock = self.visit.engine().clock().clone();
        let app = self.visit.app.clone();
        let turn = app.looks.turn(&*clock).await;
        let now = clock.now();
        self.visit.now = now;
        if now.since(self.began) >= LASTS_MAX {
            return Err(());
        }
        // One read by an index: who was shown out sees nothing more.
        if !self.visit.still_sees_webhooks().await {
            return Err(());
        }
        let tenant = self.visit.engine().catalogue().tenant(self.visit.tenant().id).ok_or(())?;
        let page = self.visit.store().delivery_page(tenant.id, &self.filter, list::ROWS).await;
        // A store in trouble is looked at again later.
        let page = page.inspect_err(|error| tracing::debug!(%error, "live.look_failed"));
        let took = turn.end(&*clock);
        let rest = LOOK_EVERY_MIN.max(took * REST_PER_LOOK).min(REST_MAX);
        self.rest_until = Some(clock.now().plus(rest));
        let Ok(page) = page else { return Ok(None) };
        let seen = |delivery: &StoredDelivery| Seen {
            reason: explain::reason(&tenant, delivery),
            attempts: delivery.attempts,
            last_status: delivery.last_status,
            due: delivery.due,
            webhook_name: tenant.webhook(delivery.webhook).map(|webhook| webhook.name.clone()),
        };
        let now_shown: HashMap<DeliveryId, Seen> =
            page.deliveries.iter().map(|delivery| (delivery.id, seen(delivery))).collect();
        let changed: Vec<&StoredDelivery> = page
            .deliveries
            .iter()
            .filter(|delivery| self.shown.get(&delivery.id) != now_shown.get(&delivery.id))
            .collect();
        // What no longer matches, but for what newer rows have pushed out of the list.
        let oldest =
            page.deliveries.last().filter(|_| page.deliveries.len() == list::ROWS).map(|last| last.id);
        let left: Vec<DeliveryId> = self
            .shown
            .keys()
            .copied()
            .filter(|id| !now_shown.contains_key(id) && oldest.is_none_or(|oldest| *id > oldest))
            .collect();
        let select = Select::of(&self.visit);
        let rows = html! {
            @for delivery in &changed { (row(&self.visit, &tenant, delivery, select)) }
            @for id in &left { (gone(*id)) }
        };
        let is_news = !changed.is_empty() || !left.is_empty();
        self.shown = now_shown;
        Ok(is_news.then(|| rows.into_string()))
    }
}

/// The watch as a stream of events. Dropping it ends the watch.
struct Rows(Option<Coming>);

/// The next thing to tell, and the watch back.
type Coming = Pin<Box<dyn Future<Output = (Watch, Told)> + Send>>;

impl Rows {
    fn of(mut watch: Watch) -> Self {
        Self(Some(Box::pin(async move {
            let stopped = watch.changes.stopped();
            let told = tokio::select! {
                told = watch.next() => told,
                () = stopped => Told::Stop,
            };
            (watch, told)
        })))
    }
}

impl Stream for Rows {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(coming) = &mut self.0 else { return Poll::Ready(None) };
        match coming.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready((watch, Told::Rows(rows))) => {
                *self = Self::of(watch);
                // Lines would each be a line of data; rows need none.
                let rows = rows.replace(['\r', '\n'], " ");
                Poll::Ready(Some(Ok(Event::default().event("rows").data(rows))))
            }
            Poll::Ready((_, Told::Stop)) => {
                self.0 = None;
                Poll::Ready(None)
            }
            Poll::Ready((_, Told::End)) => {
                self.0 = None;
                Poll::Ready(Some(Ok(Event::default().event("end").data("end"))))
            }
        }
    }
}

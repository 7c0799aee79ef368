//! `POST /v1/events`: the door through which events come. The busiest endpoint: nothing here but what an event needs.

use http::{Method, StatusCode};
use postrider_domain::limits::PUBLISH_BODY_BYTES_MAX;
use postrider_engine::Answered;
use postrider_engine::catalogue::Tenant;
use postrider_engine::control::{Idem, Role};
use postrider_engine::outbound::ingest::Draft;
use postrider_store::NewIdempotency;

use super::{ACCEPTED, Drafted, EventBody, NEW_EVENT, matched};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{
    Answer, BodyPresence, Call, Endpoint, Gives, JsonBody, Repeats, Takes, answer, answer_replayed, written,
};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/events",
    tag: "Events",
    summary: "Publish an event",
    detail: "202 means: on disk, with its deliveries. `matched` says how many webhooks get it; `GET /v1/events/{event}` says why the others do not.",
    access: Access::Roles(&[Role::Operator, Role::Publisher], Scope::Tenant),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Json(JsonBody {
        shape: &NEW_EVENT,
        example: r#"{"type": "order.created", "data": {"id": 17, "total": "12.50"}}"#,
        bytes_max: PUBLISH_BODY_BYTES_MAX,
        presence: BodyPresence::Required,
        repeats: Repeats::ByKey,
    }),
    gives: Gives::Json(StatusCode::ACCEPTED, &ACCEPTED),
    handle: |call| Box::pin(handle(call)),
};

async fn handle(call: Call) -> Answer {
    let tenant = call.tenant();
    let draft = EventBody::read(&call.body)?.draft(tenant)?;
    let drafted = Drafted::of(&draft);
    let kept = call.idem.as_ref().map(|idem| keep(idem, tenant, &draft));
    match call.app.engine.publish_drafts(tenant, vec![draft], kept).await? {
        Answered::Fresh(published) => {
            let published = published.first().expect("because one draft becomes one event");
            answer(StatusCode::ACCEPTED, &drafted.answer(published.outcome, published.matched)?)
        }
        Answered::Replayed(stored) if stored.is_empty() => Err(drafted.id_taken().into()),
        Answered::Replayed(stored) => answer_replayed(StatusCode::ACCEPTED, stored),
    }
}

/// The answer that is kept for a repetition; empty for an id that was taken, which is refused again.
fn keep(idem: &Idem, tenant: &Tenant, draft: &Draft) -> NewIdempotency {
    let (drafted, matched) = (Drafted::of(draft), matched(tenant, draft));
    let write = move |outcomes: &[postrider_store::EventOutcome]| {
        let outcome = outcomes.first().expect("because the commit has one event");
        drafted.answer(*outcome, matched).map(|accepted| written(&accepted)).unwrap_or_default()
    };
    NewIdempotency {
        scope: idem.scope,
        key: idem.key.clone(),
        fingerprint: idem.fingerprint,
        answer: Box::new(write),
    }
}

//! `GET /v1/ledger`: what was accepted, and where it is now. It always balances.

use http::{Method, StatusCode};
use postrider_engine::control::Role;
use postrider_store::LedgerRow;
use serde::Serialize;

use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes, answer};
use crate::shape::{Field, Kind, Shape};

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/ledger",
    tag: "Ledger",
    summary: "Read the ledger",
    detail: "Counts pairs of event and webhook: accepted = scheduled + sending + delivered + failed + cancelled. Tests and replays are counted apart. An operator who names no tenant reads the sum over all.",
    access: Access::Roles(&[Role::Operator, Role::Admin, Role::Viewer], Scope::TenantIfNamed),
    gate: Gate::Open,
    query: &[],
    takes: Takes::Nothing,
    gives: Gives::Json(StatusCode::OK, &LEDGER),
    handle: |call| Box::pin(handle(call)),
};

const ACCEPTED: Field = Field::new("accepted", Kind::Count, "Pairs that were accepted.").required();
const SCHEDULED: Field = Field::new("scheduled", Kind::Count, "Of these, waiting for their time.").required();
const SENDING: Field = Field::new("sending", Kind::Count, "Of these, being sent.").required();
const DELIVERED: Field = Field::new("delivered", Kind::Count, "Of these, delivered.").required();
const FAILED: Field = Field::new("failed", Kind::Count, "Of these, failed for good.").required();
const CANCELLED: Field = Field::new("cancelled", Kind::Count, "Of these, cancelled.").required();
const BALANCED: Field =
    Field::new("balanced", Kind::Bool, "Whether accepted is the sum of the rest.").required();

static LEDGER: Shape = Shape {
    name: "Ledger",
    fields: &[
        ACCEPTED,
        SCHEDULED,
        SENDING,
        DELIVERED,
        FAILED,
        CANCELLED,
        BALANCED,
        Field::new("tests", Kind::Object(&COUNTS), "Test events, counted apart.").required(),
        Field::new("replays", Kind::Object(&COUNTS), "Retries by hand and recoveries, counted apart.")
            .required(),
    ],
};

static COUNTS: Shape = Shape {
    name: "LedgerCounts",
    fields: &[ACCEPTED, SCHEDULED, SENDING, DELIVERED, FAILED, CANCELLED, BALANCED],
};

#[derive(Serialize)]
struct View {
    #[serde(flatten)]
    normal: CountsView,
    tests: CountsView,
    replays: CountsView,
}

#[derive(Serialize)]
struct CountsView {
    accepted: u64,
    scheduled: u64,
    sending: u64,
    delivered: u64,
    failed: u64,
    cancelled: u64,
    balanced: bool,
}

impl CountsView {
    fn of(row: &LedgerRow) -> Self {
        Self {
            accepted: row.accepted,
            scheduled: row.scheduled,
            sending: row.sending,
            delivered: row.delivered,
            failed: row.failed,
            cancelled: row.cancelled,
            balanced: row.is_balanced(),
        }
    }
}

async fn handle(call: Call) -> Answer {
    let [normal, tests, replays] = call.app.engine.store().ledger(call.tenant_id()).await?;
    let view = View {
        normal: CountsView::of(&normal),
        tests: CountsView::of(&tests),
        replays: CountsView::of(&replays),
    };
    answer(StatusCode::OK, &view)
}

//! Every bound of the product, with its reason. Egress is given its budgets from here; what it knows
//! of itself (lengths of URLs and of header lists) stands beside its checks.

use std::time::Duration;

/// One event's data. Payloads are copied into memory and onto the wire once per webhook.
pub const EVENT_DATA_BYTES_MAX: usize = 256 * 1024;
/// A request body that carries one event: its data and a little around it.
pub const PUBLISH_BODY_BYTES_MAX: usize = EVENT_DATA_BYTES_MAX + 16 * 1024;
/// Events in one batch; its items are committed in one transaction.
pub const BATCH_EVENTS_MAX: usize = 1000;
/// A batch's body: 1,000 events of 8 KiB each, or fewer larger ones.
pub const BATCH_BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Every other request body.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// JSON nesting. Far below the depth at which a recursive reader runs out of stack.
pub const JSON_DEPTH_MAX: usize = 64;

pub const EVENT_TYPE_BYTES_MAX: usize = 128;
/// An id that a caller brings (tenant, event): it stands in headers and in signed strings.
pub const CALLER_ID_BYTES_MAX: usize = 128;
/// Event → run → event. Beyond it, it is a loop.
pub const EVENT_DEPTH_MAX: u8 = 8;

/// Webhooks of one tenant: an event's fan-out, and one transaction's size, depend on it.
pub const WEBHOOKS_PER_TENANT_MAX: usize = 1000;
pub const PATTERNS_PER_WEBHOOK_MAX: usize = 100;
pub const NAME_BYTES_MAX: usize = 200;
pub const DESCRIPTION_BYTES_MAX: usize = 2000;
pub const SECRET_BYTES_MAX: usize = 256;
/// Below this a secret draws a warning: 24 bytes are 192 bits of key.
pub const SECRET_BYTES_ADVISED: usize = 24;
/// Signing keys of one webhook that are in force together, during a rotation.
pub const SECRETS_IN_FORCE_MAX: usize = 4;
pub const KEY_CHARS_MIN: usize = 32;
/// Attributes of a tenant, as JSON. They are pinned with every version of the tenant.
pub const ATTRIBUTES_BYTES_MAX: usize = 16 * 1024;
pub const PROFILE_BYTES_MAX: usize = 512 * 1024;

pub const LIST_ITEMS_MAX: usize = 100;
pub const LIST_ITEMS_DEFAULT: usize = 25;
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
pub const IDEMPOTENCY_KEPT: Duration = Duration::from_secs(24 * 3600);

/// Attempts in flight, in all. Each holds a socket and some 30 KiB.
pub const IN_FLIGHT_MAX: usize = 2048;
/// Of those, one tenant's: half, so that one tenant with many hanging endpoints leaves the other half to the rest.
pub const IN_FLIGHT_PER_TENANT_MAX: usize = 1024;
/// Of those, one webhook's.
pub const IN_FLIGHT_PER_WEBHOOK_MAX: usize = 128;
/// Deliveries claimed and held in memory, in all: those in flight, and those whose turn comes in a moment. A burst that
/// fits here costs the store nothing beyond its own rows. Each takes some 2 KiB beside its event.
pub const IN_HAND_MAX: usize = 4096;
/// Of those, one tenant's.
pub const IN_HAND_PER_TENANT_MAX: usize = 2048;
/// Of those, one webhook's.
pub const IN_HAND_PER_WEBHOOK_MAX: usize = 1024;
/// When the webhooks of a tenant that move have more than this in hand, its publishers wait for their turn: half of what
/// one webhook may have, so that a batch still fits, and three quarters of the tenant's.
pub const CROWD_OF_WEBHOOK: usize = IN_HAND_PER_WEBHOOK_MAX / 2;
pub const CROWD_OF_TENANT: usize = IN_HAND_PER_TENANT_MAX / 4 * 3;
/// How long a publisher waits for its turn at most.
pub const PUBLISH_WAIT_MAX: Duration = Duration::from_millis(50);
/// After somebody waited in vain: how long nobody does.
pub const PUBLISH_WAIT_AGAIN: Duration = Duration::from_secs(1);
/// How long a delivery may wait in hand for its turn before it goes back to the store: an endpoint that is slower than
/// that is no burst. Well below `LEASE_MARGIN`.
pub const IN_HAND_WAIT_MAX: Duration = Duration::from_secs(1);
/// A webhook whose last attempts all failed gets few slots until one succeeds: it can neither use many sockets nor be
/// flooded when it comes back.
pub const IN_FLIGHT_PER_FAILING_WEBHOOK_MAX: usize = 8;
/// How many failures in a row make a webhook failing.
pub const FAILING_AFTER: u32 = 5;

/// Work queued for the writer. Beyond it, accepting answers 503: what waits here waits in memory.
pub const WRITER_QUEUE_MAX: usize = 8192;
/// After the store refused, because it is full or its disk is: how long until it is asked again.
pub const STORE_RETRY: Duration = Duration::from_secs(1);
/// Operations in one transaction. At 256 the writer does 111,000 events/s, and a batch still takes under 3 ms.
pub const WRITER_BATCH_MAX: usize = 256;

/// How much longer than the whole attempt a lease lasts: the result's way through the writer.
pub const LEASE_MARGIN: Duration = Duration::from_secs(30);
pub const TIMEOUT_MAX: Duration = Duration::from_secs(60);
pub const DNS_TIMEOUT: Duration = Duration::from_secs(3);
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
pub const TLS_TIMEOUT: Duration = Duration::from_secs(5);
/// Where the body does not decide about success, it is read for the log only: no longer than this after the head.
pub const BODY_FOR_LOG_TIMEOUT: Duration = Duration::from_secs(2);
pub const RESPONSE_READ_BYTES_MAX: usize = 256 * 1024;
pub const RESPONSE_KEPT_BYTES_MAX: usize = 16 * 1024;
pub const RESPONSE_HEAD_BYTES_MAX: usize = 64 * 1024;
pub const RESPONSE_HEADERS_MAX: usize = 100;
pub const SOCKET_AGE_MAX: Duration = Duration::from_secs(60);
/// Idle sockets kept for one origin of one tenant: what its webhooks have in flight under load.
pub const IDLE_SOCKETS_PER_ORIGIN_MAX: usize = IN_FLIGHT_PER_TENANT_MAX;

/// `Retry-After` is heard up to a day.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);
/// Steps of a retry schedule, and the longest of them.
pub const RETRIES_MAX: usize = 50;
pub const RETRY_DELAY_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// What was scheduled when a webhook was switched off is held this long, then cancelled.
pub const HELD_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Attempts to one webhook per second while it works off what was held or waited: 100,000 deliveries drain in under nine
/// minutes.
pub const DRAIN_PER_SECOND: u32 = 200;
/// Attempts to one webhook per second while it fails, some at a time: each handful costs two syncs, which others wait for.
pub const FAILING_PER_SECOND: u32 = 20;

pub const RETENTION_DEFAULT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Rows removed in one transaction of the retention sweep: short enough that accepting does not notice.
pub const RETENTION_BATCH_ROWS: usize = 500;
/// Deliveries made in one transaction of a recovery.
pub const RECOVER_BATCH_ROWS: usize = 500;
/// How long SIGTERM waits for attempts in flight before their deliveries are handed back.
pub const STOP_GRACE: Duration = Duration::from_secs(65);

/// What a trigger reads of a request where it does not say, and at most: GitHub sends 25 MB.
pub const TRIGGER_BODY_BYTES_DEFAULT: usize = 1024 * 1024;
pub const TRIGGER_BODY_BYTES_MAX: usize = 26 * 1024 * 1024;
/// Of all requests to triggers that are being read or judged at one time, beyond small ones: parsed, they take many times as
/// much. Others wait for their turn.
pub const TRIGGER_BYTES_IN_ALL: usize = 2 * TRIGGER_BODY_BYTES_MAX;
/// Bodies up to this need no turn, and are judged where they are read.
pub const TRIGGER_BODY_SMALL: usize = 64 * 1024;
/// What the inputs of all runs in hand may take in memory, about; beyond it runs wait in the store. Small ones are not counted:
/// as many as may be in hand take less.
pub const RUN_INPUTS_BYTES_IN_HAND: usize = 256 * 1024 * 1024;
pub const RUN_INPUT_SMALL: usize = 64 * 1024;
/// A body has to be there in so many seconds: 1 MB at the slowest that anybody still sends.
pub const TRIGGER_BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an answer may wait for a run.
pub const TRIGGER_WAIT_SECONDS_MAX: u32 = 60;
pub const TRIGGER_WAIT_SECONDS_DEFAULT: u32 = 10;
pub const TRIGGER_TOLERANCE_MAX: Duration = Duration::from_secs(24 * 3600);
/// For so long the same once more is known again: providers retry for up to three days.
pub const DEDUP_KEPT: Duration = Duration::from_secs(3 * 24 * 3600);
pub const WORKFLOWS_PER_TENANT_MAX: usize = 1000;
pub const TRIGGERS_PER_TENANT_MAX: usize = 1000;
/// Refused requests that are written down of one trigger: anybody can send them.
pub const REFUSALS_NOTED_PER_SECOND: f64 = 10.0;
pub const REFUSALS_NOTED_AT_ONCE: f64 = 100.0;
pub const REFUSALS_KEPT_PER_TRIGGER: usize = 1000;
/// Of a refused request's body.
pub const REFUSED_BODY_KEPT_BYTES: usize = 64 * 1024;
/// Results of steps without effects that go to disk together, before the next step with one.
pub const RUN_RESULTS_AT_ONCE: usize = 64;

/// A record's content; an event that carries it whole has room for as much.
pub const RECORD_BYTES_MAX: usize = EVENT_DATA_BYTES_MAX - 16 * 1024;
pub const RECORD_ID_BYTES_MAX: usize = 200;
/// Records that are changed in one transaction: of an import, and of a batch.
pub const RECORDS_BATCH_MAX: usize = 500;
/// Bytes of an import's lines that are judged and written together; and of what is stored of the same records, which is read
/// for that. Numbers and small strings take many times as much when they are parsed.
pub const RECORDS_BATCH_BYTES: usize = 1024 * 1024;
pub const RECORDS_READ_BYTES_MAX: u64 = 2 * BATCH_BODY_BYTES_MAX as u64;
/// The same, of all that is judged at one time: others wait until there is room.
pub const RECORDS_READ_BYTES_IN_ALL: u64 = 2 * RECORDS_READ_BYTES_MAX;
/// A line of an import: a record with its id, before whitespace is taken out.
pub const IMPORT_LINE_BYTES_MAX: usize = 2 * RECORD_BYTES_MAX;
/// How often a write is judged anew because another process changed the record meanwhile.
pub const RECORD_TRIES: usize = 20;
/// Scans that run beside each other on a node.
pub const SCANS_AT_ONCE: usize = 2;
/// Scans, and what rules could not decide, are kept for so long.
pub const SCANS_KEPT: Duration = Duration::from_secs(90 * 24 * 3600);
/// Of an import's report, what is kept beside; beyond it lines are only counted.
pub const IMPORT_REPORT_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// A scan that another node has begun is gone on with after so long: by then it has ended, or its node has.
pub const SCAN_TAKEN_OVER: Duration = Duration::from_secs(600);

/// A workflow's definition, as JSON or YAML.
pub const WORKFLOW_BYTES_MAX: usize = 256 * 1024;
/// Steps of a workflow, those inside others too: what people can still read.
pub const WORKFLOW_STEPS_MAX: usize = 200;
/// Lists of steps inside each other.
pub const WORKFLOW_DEPTH_MAX: usize = 8;
/// What is told of a definition at once.
pub const WORKFLOW_ERRORS_MAX: usize = 20;
/// What one step leaves behind, as JSON; also what one step is given: a body, an event's data, an item of a list.
pub const STEP_OUTPUT_BYTES_MAX: usize = 256 * 1024;
/// What all steps of a run leave behind. It is in memory while the run goes on, and takes some times as much there.
pub const RUN_OUTPUT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Results of a run. Beyond it, a loop went out of hand.
pub const RUN_STEPS_MAX: usize = 10_000;
/// The place of a step in a run, as it is stored.
pub const STEP_PATH_BYTES_MAX: usize = 256;
pub const FOR_EACH_ITEMS_MAX: usize = 1000;
pub const STEP_RETRIES_MAX: usize = 20;
pub const STEP_RETRY_DELAY_MAX: Duration = Duration::from_secs(24 * 3600);
pub const STEP_TIMEOUT: Duration = Duration::from_secs(30);
pub const STEP_TIMEOUT_MAX: Duration = Duration::from_secs(300);
pub const WAIT_MAX: Duration = Duration::from_secs(365 * 24 * 3600);
/// Runs of one workflow beside each other.
pub const WORKFLOW_CONCURRENCY_MAX: u32 = 1000;
pub const CONCURRENCY_KEY_BYTES_MAX: usize = 256;
/// What is told of a step that failed.
pub const STEP_ERROR_BYTES_MAX: usize = 2000;
/// Secrets for steps of one tenant.
pub const STEP_SECRETS_PER_TENANT_MAX: usize = 200;
/// One of them: a private key of 4,096 bits in PEM has 3.3 KiB, a certificate beside it fits as well.
pub const STEP_SECRET_BYTES_MAX: usize = 8192;
/// A secret's or a connection's name: it stands in URLs and in definitions of workflows.
pub const CREDENTIAL_NAME_BYTES_MAX: usize = 64;
/// Connections of one tenant.
pub const CONNECTIONS_PER_TENANT_MAX: usize = 200;
pub const CLIENT_ID_BYTES_MAX: usize = 512;
pub const CLIENT_SECRET_BYTES_MAX: usize = 2048;
/// Of a connection: what it asks for stands in one URL, which has 2,048 bytes.
pub const SCOPES_MAX: usize = 50;
pub const SCOPES_BYTES_MAX: usize = 1024;
/// How long a person may take from the link to the consent.
pub const CONNECTION_FLOW_KEPT: Duration = Duration::from_secs(600);
/// Links of one connection that are open at one time: a person who clicks again, not one who floods the table.
pub const CONNECTION_FLOWS_MAX: usize = 10;
/// One request to a provider, of at most two under one lease.
pub const CONNECTION_REQUEST_TIMEOUT: Duration = Duration::from_secs(12);
/// Who calls a provider has the connection for so long: two requests, and the result's way to the store. A node that
/// dies meanwhile keeps others from it no longer.
pub const CONNECTION_LEASE: Duration = Duration::from_secs(30);
/// A provider's answer: tokens that carry claims have some KiB each, and there are at most three.
pub const TOKEN_RESPONSE_BYTES_MAX: usize = 64 * 1024;
/// One token: what still fits into a request's headers, of which there may be 16 KiB.
pub const TOKEN_BYTES_MAX: usize = 12 * 1024;
/// A token is refreshed when less than this is left of it, or less than a tenth of its lifetime: clocks differ, and a
/// step's request has to arrive.
pub const TOKEN_LEFT_MIN: Duration = Duration::from_secs(60);
/// What expires within this is looked at every few seconds; a tenth of the usual hour is six minutes.
pub const TOKEN_LOOK_AHEAD: Duration = Duration::from_secs(600);
/// What a token that can be renewed is trusted for when its provider does not say.
pub const TOKEN_LIFETIME_ASSUMED: Duration = Duration::from_secs(3600);
/// No token that a provider gives is good for longer, whatever it says.
pub const TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// After a provider could not be asked: how long until it is asked again, doubled each time up to the second.
pub const PROVIDER_RETRY_FIRST: Duration = Duration::from_secs(10);
pub const PROVIDER_RETRY_MAX: Duration = Duration::from_secs(300);
/// Tenants whose connections are refreshed ahead of time beside each other, each one after the other.
pub const REFRESH_TENANTS_AT_ONCE: usize = 64;
/// Calls of providers at one time, in all: each holds a socket.
pub const PROVIDER_CALLS_MAX: usize = 1024;

/// A working day, so that nobody signs in twice on one.
pub const SESSION_LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// The link for an operator that a start prints: somebody reads it in a terminal and opens it.
pub const OPERATOR_LINK_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// A session of the portal: as long as somebody looks at a page of the product that it stands in; a day at most, since what is
/// in a link may be passed on.
pub const PORTAL_SESSION_LIFETIME: Duration = Duration::from_secs(3600);
pub const PORTAL_SESSION_LIFETIME_MIN: Duration = Duration::from_secs(60);
pub const PORTAL_SESSION_LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);
/// Open sessions of the portal of one tenant: one for each of its people, and those of a product that makes one for every page
/// view, of which an hour holds this many at one in four seconds.
pub const PORTAL_SESSIONS_PER_TENANT_MAX: usize = 1000;
/// Open sessions that were signed in with one key: a team that shares it, not a program that signs in again and again. With the
/// bound above, what all of them take is bounded by the number of tenants and keys, which operators make; no tenant can use
/// up what another one needs.
pub const SESSIONS_PER_KEY_MAX: usize = 1000;
/// An ended session is shown in the list for so long after it would have expired.
pub const SESSIONS_KEPT: Duration = Duration::from_secs(24 * 3600);
/// Sites that may show the portal inside their pages; all of them stand in one header.
pub const PORTAL_ORIGINS_MAX: usize = 10;
/// Waiting deliveries that the health of a tenant's webhooks counts, over all of them, so that a page is there in a moment
/// whatever waits: each webhook gets an equal share, within the two bounds below.
pub const WAITING_COUNTED_IN_ALL: usize = 50_000;
pub const WAITING_COUNTED_PER_WEBHOOK_MIN: usize = 50;
pub const WAITING_COUNTED_PER_WEBHOOK_MAX: usize = 10_000;
/// Rows that one request for a filtered list of deliveries looks at: some 60 ms with their events.
pub const DELIVERIES_LOOKED_AT_MAX: usize = 10_000;
/// The same of events, where a list wants one type only.
pub const EVENTS_LOOKED_AT_MAX: usize = 20_000;
/// Events that one search in payloads looks at, how many bytes of them, how far back, and how many it shows.
pub const SEARCH_EVENTS_MAX: usize = 10_000;
pub const SEARCH_BYTES_MAX: usize = 64 * 1024 * 1024;
pub const SEARCH_BACK_MAX: Duration = Duration::from_secs(24 * 3600);
pub const SEARCH_HITS_MAX: usize = 50;
/// Of a search's events, as many as are in memory at one time.
pub const SEARCH_BATCH_EVENTS: usize = 500;
pub const SEARCH_BATCH_BYTES: usize = 4 * 1024 * 1024;
/// What is searched for.
pub const SEARCH_TEXT_BYTES_MAX: usize = 200;
/// Attempts that a chart by the minute is made from: 83 a minute over an hour, or the newest of more.
pub const MINUTES_ATTEMPTS_MAX: usize = 5000;
/// Deliveries that are named one by one to be sent again.
pub const RETRY_IDS_MAX: usize = 1000;
/// Failed deliveries that are looked at to say how many a retry would send again; beyond it: at least so many.
pub const RETRY_COUNT_MAX: usize = 100_000;
/// New deliveries in one transaction of a retry, and failed ones that are looked at for them.
pub const RETRY_BATCH_ROWS: usize = 500;
pub const RETRY_BATCH_LOOKED_AT: usize = 20_000;
/// Pages that are told of changes as they happen: each holds a connection. In all, and of one tenant.
pub const WATCHERS_MAX: usize = 256;
pub const WATCHERS_PER_TENANT_MAX: usize = 16;

/// Inboxes of one tenant: some for each who tries webhooks at the same time.
pub const INBOXES_PER_TENANT_MAX: usize = 20;
/// Requests that an inbox keeps, the newest: one page of a list. All inboxes of a tenant hold some 128 MiB at the most.
pub const INBOX_REQUESTS_MAX: usize = 100;
/// Of a request's body, what an inbox keeps.
pub const INBOX_BODY_KEPT_BYTES: usize = 64 * 1024;
/// Of a request's headers, what an inbox keeps, names and values together: what most servers take at all.
pub const INBOX_HEADERS_KEPT_BYTES: usize = 16 * 1024;
/// What an inbox reads of a body from outside: more than any event is long. Only what is kept is held.
pub const INBOX_BODY_BYTES_MAX: usize = 1024 * 1024;
/// What all inboxes of a tenant take together: each request is a transaction that work waits for. A burst may fill one inbox once.
pub const INBOX_REQUESTS_PER_SECOND: f64 = 20.0;
pub const INBOX_REQUESTS_AT_ONCE: f64 = INBOX_REQUESTS_MAX as f64;
/// Tenants whose rate is remembered; beyond it, all begin anew.
pub const INBOX_RATES_KEPT: usize = 10_000;

/// What a dry run shows of requests, in all: a tenant's 1,000 webhooks could each get 256 KiB.
pub const PREVIEW_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A captured request that is pasted: more than any that Postrider sends.
pub const CAPTURE_BYTES_MAX: usize = 16 * 1024 * 1024;

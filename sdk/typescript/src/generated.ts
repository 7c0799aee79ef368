// Made from docs/openapi.json by `npm run generate`. Changes here are lost.

/** The words to branch on that a refusal may carry. */
export type ProblemCode =
  | "malformed_json"
  | "invalid_field"
  | "unknown_field"
  | "missing_field"
  | "body_too_large"
  | "unsupported_media_type"
  | "method_not_allowed"
  | "not_found"
  | "key_missing"
  | "key_invalid"
  | "key_too_weak"
  | "forbidden"
  | "plan_excludes_webhooks"
  | "tenant_required"
  | "tenant_has_history"
  | "id_taken"
  | "idempotency_key_reused"
  | "idempotency_key_invalid"
  | "unknown_event_type"
  | "event_type_not_exposed"
  | "schema_violation"
  | "unknown_record_kind"
  | "unknown_tenant"
  | "profile_required"
  | "precondition_failed"
  | "not_renderable"
  | "loop"
  | "pattern_matches_nothing"
  | "pattern_invalid"
  | "url_invalid"
  | "url_forbidden"
  | "https_required"
  | "header_forbidden"
  | "header_invalid"
  | "secret_invalid"
  | "secret_rotation_conflict"
  | "single_webhook"
  | "webhook_limit"
  | "workflow_invalid"
  | "verification_failed"
  | "secret_limit"
  | "connection_limit"
  | "session_limit"
  | "name_taken"
  | "unknown_provider"
  | "connection_not_authorized"
  | "too_many_items"
  | "profile_invalid"
  | "profile_in_use"
  | "catalogue_closed"
  | "delivery_not_final"
  | "payload_expired"
  | "cursor_invalid"
  | "conflict"
  | "rate_limited"
  | "overloaded"
  | "store_unavailable"
  | "shutting_down"
  | "internal";

/** `Problem` of the API. */
export interface Problem {
  /** Where the code is explained. */
  type: string;
  /** The code in words. */
  title: string;
  /** The HTTP status. */
  status: number;
  /** A stable word to branch on. */
  code: string;
  /** What is wrong and what to do. */
  detail: string;
  /** The field at fault. */
  field?: string;
}

/** `NewEvent` of the API. */
export interface NewEvent {
  /** Your own id: 1 to 128 of `A-Z a-z 0-9 _ - :`. The same id with the same content is the same event; with other content it is refused. */
  id?: string | null;
  /** What happened, see `/v1/event-types`. */
  type: string;
  /** When it happened; now when absent. */
  time?: string | null;
  /** Anything, at most 256 KiB; delivered as it is sent. */
  data: unknown;
}

/** `EventAccepted` of the API. */
export interface EventAccepted {
  /** The id that was brought, or one that was made (`evt_…`). */
  id: string;
  /** What happened. */
  type: string;
  /** Deliveries that were made: webhooks that get the event. */
  matched?: number;
  /** True when this event was here already; nothing was made. */
  duplicate?: boolean;
  /** What is worth knowing. */
  warnings?: Warning[];
}

/** `Warning` of the API. */
export interface Warning {
  /** A stable word. */
  code: string;
  /** What it means and what to do. */
  detail: string;
}

/** `EventBatch` of the API. */
export interface EventBatch {
  /** At most 1,000 events. */
  events: NewEvent[];
}

/** `EventBatchResult` of the API. */
export interface EventBatchResult {
  /** An item for each event, in order. */
  data: EventBatchItem[];
}

/** `EventBatchItem` of the API. */
export interface EventBatchItem {
  /** 202, or the status of the problem. */
  status: number;
  /** The id that was brought, or one that was made (`evt_…`). */
  id?: string;
  /** What happened. */
  type?: string;
  /** Deliveries that were made: webhooks that get the event. */
  matched?: number;
  /** True when this event was here already; nothing was made. */
  duplicate?: boolean;
  /** What is worth knowing. */
  warnings?: Warning[];
  /** Why the event was refused. */
  problem?: Problem;
}

/** `EventPreview` of the API. */
export interface EventPreview {
  /** Every webhook, oldest first. */
  outcomes: EventPreviewOutcome[];
  /** What is worth knowing. */
  warnings: Warning[];
}

/** `EventPreviewOutcome` of the API. */
export interface EventPreviewOutcome {
  /** The webhook. */
  webhookId: string;
  /** Its name. */
  webhookName: string;
  /** Its URL. */
  url: string;
  /** Whether it would get the event. */
  matched: boolean;
  /** Why not: a stable word. */
  reason?: string;
  /** Why it would not get it, or why the request is not shown. */
  detail?: string;
  /** When it would be sent: at once, or with the scan. */
  due?: "now" | "scan";
  /** The moment of that scan. */
  dueAt?: string;
  /** The request that it would get. */
  request?: EventPreviewRequest;
}

/** `EventPreviewRequest` of the API. */
export interface EventPreviewRequest {
  /** Its method. */
  method: string;
  /** Its headers as `[name, value]`. */
  headers: string[][];
  /** Its body, where it is text. */
  body?: string;
  /** Its body, where it is no text. */
  bodyBase64?: string;
}

/** `Event` of the API. */
export interface Event {
  /** The id that was brought, or one that was made (`evt_…`). */
  id: string;
  /** What happened. */
  type: string;
  /** Operational: made by Postrider about its own work. */
  kind: "normal" | "test" | "operational";
  /** When it happened. */
  time: string;
  /** When it was accepted. */
  acceptedAt: string;
  /** As it was sent. */
  data: unknown;
  /** Where one event is read: what was made of it. */
  deliveries?: Delivery[];
  /** Where one event is read: every webhook, with its delivery or the reason why it has none. */
  outcomes?: EventOutcome[];
}

/** `Delivery` of the API. */
export interface Delivery {
  /** `dlv_…` */
  id: string;
  /** The event's id. */
  eventId: string;
  /** What happened. */
  eventType: string;
  /** The webhook's id. */
  webhookId: string;
  /** Replay: a retry by hand, or a recovery. */
  kind: "normal" | "test" | "replay";
  /** The last three are final. */
  state: "scheduled" | "sending" | "delivered" | "failed" | "cancelled";
  /** Why it is in this state, as a stable word. */
  reason: string;
  /** The reason in a sentence, with what to do. */
  detail: string;
  /** Requests that were begun. */
  attemptCount: number;
  /** The HTTP status of the last answer. */
  lastStatus: number | null;
  /** What the last attempt came to. */
  lastClass: string | null;
  /** When it was made. */
  createdAt: string;
  /** When it is sent next. */
  nextAttemptAt: string | null;
  /** When it came to its final state. */
  endedAt: string | null;
  /** Where it went by hand instead of to its webhook, where one delivery is read. */
  sentTo?: string;
  /** Its requests, oldest first, where one delivery is read. */
  attempts?: Attempt[];
}

/** `Attempt` of the API. */
export interface Attempt {
  /** From 1. */
  number: number;
  /** When it began. */
  startedAt: string;
  /** What it came to: `success`, `status`, `timeout`, `dns`, … */
  class: string;
  /** The HTTP status. */
  status: number | null;
  /** What went wrong, in a sentence. */
  detail: string | null;
  /** Where the time went. */
  timing: AttemptTiming;
  /** The address that was talked to. */
  peer: string | null;
  /** Whether the connection was kept alive from before. */
  reusedSocket: boolean;
  /** The receiver may have had it before: an earlier outcome was lost. */
  resend: boolean;
  /** Of the body that was sent. */
  bodySha256: string | null;
  /** Of the body that was sent. */
  requestBytes: number;
  /** The head of the answer, cut at 4 KiB. */
  responseHeaders: string;
  /** The body of the answer, cut at 16 KiB. */
  responseBody: string;
  /** Base64 where the body is not text. */
  responseBodyEncoding: "utf-8" | "base64";
  /** Of the answer's body that were read. */
  responseBytes: number;
}

/** `AttemptTiming` of the API. */
export interface AttemptTiming {
  /** Resolving the name. */
  dnsMs: number;
  /** Connecting. */
  connectMs: number;
  /** The TLS handshake. */
  tlsMs: number;
  /** From the request to the head of the answer. */
  waitMs: number;
  /** Reading the answer's body. */
  bodyMs: number;
  /** All of it. */
  totalMs: number;
}

/** `EventOutcome` of the API. */
export interface EventOutcome {
  /** The webhook's id. */
  webhookId: string;
  /** Its name when the event was accepted. */
  webhookName: string;
  /** Whether the event is delivered to it. */
  outcome: "delivery" | "not_matched";
  /** The newest delivery to it. */
  deliveryId?: string;
  /** The state of that delivery. */
  state?: "scheduled" | "sending" | "delivered" | "failed" | "cancelled";
  /** Why it is in that state, or why there is none, as a stable word. */
  reason: string;
  /** The reason in a sentence, with what to do. */
  detail: string;
}

/** `NewWebhook` of the API. */
export interface NewWebhook {
  /** What people call it; the URL's host when absent. */
  name?: string;
  /** Where events go: http or https. */
  url: string;
  /** Patterns: a type, `prefix.*`, or `*`. */
  events?: string[];
  /** A signing secret of your own. */
  secret?: string | null;
  /** Make a signing secret. */
  generateSecret?: boolean;
  /** More headers for every request. */
  headers?: { [name: string]: string };
  /** For people. */
  description?: string | null;
  /** Whether events go there; true when absent. */
  enabled?: boolean;
}

/** `Webhook` of the API. */
export interface Webhook {
  /** `wh_…` */
  id: string;
  /** What people call it. */
  name: string;
  /** Where events go. */
  url: string;
  /** Patterns: a type, `prefix.*`, or `*`. */
  events: string[];
  /** Headers of every request; values are masked. */
  headers: { [name: string]: string };
  /** For people. */
  description: string;
  /** Whether events go there. */
  enabled: boolean;
  /** Why Postrider switched it off. */
  disabledReason: string | null;
  /** When Postrider switched it off. */
  disabledAt: string | null;
  /** Whether requests are signed. */
  secretSet: boolean;
  /** Whether a new secret waits to be used. */
  secretPending: boolean;
  /** The signing secret, in the answer that set it and never again. */
  secret?: string;
  /** True in a repeated answer whose secret was shown before. */
  secretShown?: boolean;
  /** When it was created. */
  createdAt: string;
  /** When it last changed. */
  updatedAt: string;
  /** What is worth knowing. */
  warnings: Warning[];
}

/** `WebhookPatch` of the API. */
export interface WebhookPatch {
  /** What people call it. */
  name?: string;
  /** Where events go: http or https. */
  url?: string;
  /** Patterns: a type, `prefix.*`, or `*`. */
  events?: string[];
  /** Replaces every secret; null removes them. */
  secret?: string | null;
  /** Make a secret that replaces every other. */
  generateSecret?: boolean;
  /** Replaces all headers. */
  headers?: { [name: string]: string };
  /** Null: none. */
  description?: string | null;
  /** Whether events go there. */
  enabled?: boolean;
}

/** `WebhookTest` of the API. */
export interface WebhookTest {
  /** An event type; the first that the webhook's patterns match when absent. */
  type?: string;
  /** The event's data; the type's example when absent. */
  data?: unknown;
}

/** `WebhookTested` of the API. */
export interface WebhookTested {
  /** The test event's id (`evt_…`). */
  id: string;
  /** The event's type. */
  type: string;
  /** The webhook that it goes to. */
  webhookId: string;
  /** Where to see what came of it. */
  deliveryId: string;
}

/** `SecretRotation` of the API. */
export interface SecretRotation {
  /** A signing secret of your own; made when absent. */
  secret?: string;
  /** How long the old secret goes on signing; a day when absent. */
  overlapSeconds?: number;
  /** When a pending secret takes over. */
  activateAt?: string;
  /** The receiver knows the pending secret: use it from now on. */
  confirm?: boolean;
  /** Forget the pending secret. */
  cancel?: boolean;
}

/** `WebhookStats` of the API. */
export interface WebhookStats {
  /** When the last request was made, ever. */
  lastFiredAt: string | null;
  /** Requests. */
  attempts: number;
  /** Requests that the profile's success rule took. */
  succeeded: number;
  /** 0 to 1; null without requests. */
  successRate: number | null;
}

/** `Recovery` of the API. */
export interface Recovery {
  /** The start of the range. */
  from: string;
  /** The end of the range, not included; now when absent. */
  until?: string;
}

/** `Job` of the API. */
export interface Job {
  /** `job_…` */
  id: string;
  /** The tenant that it works on. */
  tenant: string;
  /** What it does. */
  kind: "recover" | "tenant_delete" | "retry";
  /** Where it stands. */
  state: "running" | "done" | "failed";
  /** The webhook that it works on. */
  webhookId: string | null;
  /** Rows to work on, as counted at its start. */
  total: number;
  /** Rows worked on. */
  done: number;
  /** When it was asked for. */
  createdAt: string;
  /** When it ended. */
  endedAt: string | null;
  /** Why it failed. */
  detail: string | null;
}

/** `DeliveryRetry` of the API. */
export interface DeliveryRetry {}

/** `DeliveryRetried` of the API. */
export interface DeliveryRetried {
  /** The new delivery. */
  id: string;
  /** The delivery that had ended. */
  retryOf: string;
}

/** `DeliveriesRetry` of the API. */
export interface DeliveriesRetry {
  /** Of this webhook only. */
  webhookId?: string;
  /** Of events of this type, in full. */
  type?: string;
  /** Whose last answer had this HTTP status. */
  status?: number;
  /** Made at or after this time. */
  from?: string;
  /** Made before this time; now when absent. */
  until?: string;
  /** These deliveries, at most 1,000, where they failed or were cancelled. One that does not exist refuses the request. */
  ids?: string[];
  /** Only say how many there are. */
  dryRun?: boolean;
}

/** `DeliveriesRetryPreview` of the API. */
export interface DeliveriesRetryPreview {
  /** How many would be sent again now. */
  count: number;
  /** There was more to look at: it may be more. */
  atLeast: boolean;
}

/** `DeliveryResend` of the API. */
export interface DeliveryResend {
  /** Where it goes: http or https, under the rules for webhooks. */
  url: string;
}

/** `DeliveryResent` of the API. */
export interface DeliveryResent {
  /** The new delivery. */
  id: string;
  /** The delivery whose event it sends. */
  resendOf: string;
}

/** `NewInbox` of the API. */
export interface NewInbox {
  /** The HTTP status that it answers, from 200 to 599; 200 when absent. */
  status?: number;
}

/** `Inbox` of the API. */
export interface Inbox {
  /** `inb_…` */
  id: string;
  /** What to register as a webhook. Nobody guesses it. */
  url: string;
  /** The HTTP status that it answers. */
  status: number;
  /** When it was made. */
  createdAt: string;
}

/** `InboxPatch` of the API. */
export interface InboxPatch {
  /** The HTTP status that it answers, from 200 to 599. */
  status: number;
}

/** `InboxRequest` of the API. */
export interface InboxRequest {
  /** `inr_…` */
  id: string;
  /** When it came. */
  receivedAt: string;
  /** Its method. */
  method: string;
  /** Its headers as `[name, value]`; what may be a credential is masked. */
  headers: string[][];
  /** That it was answered with. */
  status: number;
  /** The length of its body. */
  bodyBytes: number;
  /** Its body, where it is text. */
  body?: string;
  /** Its body, where it is no text. */
  bodyBase64?: string;
}

/** `InboxReceived` of the API. */
export interface InboxReceived {
  /** True. */
  received: boolean;
  /** Of the request, `inr_…`. */
  id: string;
}

/** `EventType` of the API. */
export interface EventType {
  /** As events carry it. */
  type: string;
  /** What it belongs to. */
  family: string;
  /** When it happens. */
  description: string;
  /** JSON Schema of the data. */
  schema: unknown;
  /** The data of an example event; test events send it. */
  example: unknown;
  /** Whether the profile brings it, it was registered by API, or Postrider makes it about its own work. */
  origin: "profile" | "registered" | "operational";
  /** False: left out by `settings.exposedEventTypes`. */
  exposed: boolean;
}

/** `NewEventType` of the API. */
export interface NewEventType {
  /** Dotted segments of `A-Z a-z 0-9 _ -`. */
  type: string;
  /** When it happens. */
  description?: string;
  /** JSON Schema of the data; remote `$ref` is refused. */
  schema?: unknown;
  /** The data of an example event; test events send it. */
  example?: unknown;
}

/** `NewTenant` of the API. */
export interface NewTenant {
  /** 1 to 128 of `A-Z a-z 0-9 _ -`; made when absent. */
  id?: string;
  /** The id when absent. */
  name?: string;
  /** A profile's name, see `/v1/profiles`. */
  profile: string;
  /** What the tenant pays for; some profiles ask for one. */
  plan?: string | null;
  /** IANA name; UTC when absent. */
  timezone?: string;
  /** Values that profiles put into bodies. */
  attributes?: { [name: string]: unknown };
  /** How the tenant's events are treated. */
  settings?: TenantSettingsChange;
}

/** `TenantSettingsChange` of the API. */
export interface TenantSettingsChange {
  /** When events go out; the profile's way when absent. */
  delivery?: "immediate" | "scan" | null;
  /** `HH:MM` of the daily scan, in the tenant's zone. */
  scanAt?: string | null;
  /** Refuse webhooks whose URL is not https. */
  requireHttps?: boolean | null;
  /** In an open catalogue: refuse types that are not registered. */
  strictEventTypes?: boolean | null;
  /** The types of the profile that this tenant's product has; all when absent. */
  exposedEventTypes?: string[] | null;
  /** What happens to data that violates its schema; the profile's way when absent. */
  schema?: "off" | "warn" | "reject" | null;
  /** Days for which payloads and attempts are kept; 30 when absent. */
  retentionDays?: number | null;
  /** Where the profile allows one webhook: that webhook. Null deletes it. */
  webhook?: TenantWebhookChange | null;
}

/** `TenantWebhookChange` of the API. */
export interface TenantWebhookChange {
  /** Where events go: http or https. */
  url?: string;
  /** Whether events go there; true when it is new. */
  enabled?: boolean;
  /** The signing secret. Null removes it. */
  secret?: string | null;
  /** Make a signing secret and show it in the answer. */
  generateSecret?: boolean;
}

/** `Tenant` of the API. */
export interface Tenant {
  /** The id that the caller brought, or one that was made. */
  id: string;
  /** Stands in the bodies of some profiles. */
  name: string;
  /** The wire contract. */
  profile: string;
  /** What the tenant pays for; some profiles ask for one. */
  plan: string | null;
  /** IANA name. */
  timezone: string;
  /** Values that profiles put into bodies. */
  attributes: { [name: string]: unknown };
  /** How the tenant's events are treated. */
  settings: TenantSettings;
  /** When it was created. */
  createdAt: string;
  /** When its configuration last changed. */
  updatedAt: string;
  /** What is worth knowing about the change. */
  warnings?: Warning[];
}

/** `TenantSettings` of the API. */
export interface TenantSettings {
  /** When events go out; the profile's way when absent. */
  delivery?: "immediate" | "scan" | null;
  /** `HH:MM` of the daily scan, in the tenant's zone. */
  scanAt?: string | null;
  /** Refuse webhooks whose URL is not https. */
  requireHttps?: boolean | null;
  /** In an open catalogue: refuse types that are not registered. */
  strictEventTypes?: boolean | null;
  /** The types of the profile that this tenant's product has; all when absent. */
  exposedEventTypes?: string[] | null;
  /** What happens to data that violates its schema; the profile's way when absent. */
  schema?: "off" | "warn" | "reject" | null;
  /** Days for which payloads and attempts are kept; 30 when absent. */
  retentionDays?: number | null;
  /** Where the profile allows one webhook: that webhook. */
  webhook?: TenantWebhook | null;
}

/** `TenantWebhook` of the API. */
export interface TenantWebhook {
  /** Its id under `/v1/webhooks`. */
  id: string;
  /** Where events go. */
  url: string;
  /** Whether events go there. */
  enabled: boolean;
  /** Whether requests are signed. */
  secretSet: boolean;
  /** The signing secret, in the answer that made it and never again. */
  secret?: string;
  /** True in a repeated answer whose secret was shown before. */
  secretShown?: boolean;
}

/** `TenantPatch` of the API. */
export interface TenantPatch {
  /** Stands in the bodies of some profiles. */
  name?: string;
  /** A profile's name. */
  profile?: string;
  /** Null: no plan. */
  plan?: string | null;
  /** IANA name. */
  timezone?: string;
  /** Replaces all attributes. */
  attributes?: { [name: string]: unknown };
  /** Merged into the settings; null removes one. */
  settings?: TenantSettingsChange;
}

/** `NewKey` of the API. */
export interface NewKey {
  /** What the key may do. */
  role: "operator" | "publisher" | "admin" | "viewer";
  /** The id of the tenant that it belongs to. */
  tenant?: string | null;
  /** Who uses it; the role when absent. */
  name?: string;
}

/** `KeyCreated` of the API. */
export interface KeyCreated {
  /** `key_…` */
  id: string;
  /** The key, now and never again. */
  key?: string;
  /** True in a repeated answer: the key was shown before. */
  secretShown?: boolean;
  /** What the key may do. */
  role: "operator" | "publisher" | "admin" | "viewer";
  /** The tenant that it belongs to. */
  tenant: string | null;
  /** Who uses it. */
  name: string;
  /** When it was created. */
  createdAt: string;
}

/** `Key` of the API. */
export interface Key {
  /** `key_…` */
  id: string;
  /** What the key may do. */
  role: "operator" | "publisher" | "admin" | "viewer";
  /** The tenant that it belongs to. */
  tenant: string | null;
  /** Who uses it. */
  name: string;
  /** When it was created. */
  createdAt: string;
  /** When it was last used, to the minute. */
  lastUsedAt: string | null;
  /** When it was revoked. */
  revokedAt: string | null;
}

/** `NewPortalSession` of the API. */
export interface NewPortalSession {
  /** What may be done in the portal: `viewer` only looks. */
  role: "admin" | "viewer";
  /** Your product's name, shown in the portal. */
  name?: string | null;
  /** The https URL of your product's logo. */
  logo?: string | null;
  /** `#rrggbb`, for buttons and links. */
  accent?: string | null;
  /** `en` or `de`. */
  language?: string | null;
  /** Sites that may show the portal inside their pages, such as `https://app.example.com`; none when absent. */
  origins?: string[];
  /** 60 to 86,400; an hour when absent. */
  expiresInSeconds?: number | null;
}

/** `PortalSessionCreated` of the API. */
export interface PortalSessionCreated {
  /** `ses_…` */
  id: string;
  /** Where the portal opens, now and never again. */
  url?: string;
  /** True in a repeated answer: the URL was shown before. */
  urlShown?: boolean;
  /** What may be done in the portal. */
  role: "admin" | "viewer";
  /** The tenant whose portal it opens. */
  tenant: string;
  /** Your product's name, shown in the portal. */
  name: string | null;
  /** The URL of your product's logo. */
  logo: string | null;
  /** `#rrggbb`, for buttons and links. */
  accent: string | null;
  /** `en` or `de`. */
  language: string | null;
  /** Sites that may show the portal inside their pages. */
  origins: string[];
  /** When it was made. */
  createdAt: string;
  /** When it ends by itself. */
  expiresAt: string;
}

/** `PortalSession` of the API. */
export interface PortalSession {
  /** `ses_…` */
  id: string;
  /** What may be done in the portal. */
  role: "admin" | "viewer";
  /** The tenant whose portal it opens. */
  tenant: string;
  /** Your product's name, shown in the portal. */
  name: string | null;
  /** The URL of your product's logo. */
  logo: string | null;
  /** `#rrggbb`, for buttons and links. */
  accent: string | null;
  /** `en` or `de`. */
  language: string | null;
  /** Sites that may show the portal inside their pages. */
  origins: string[];
  /** When it was made. */
  createdAt: string;
  /** When it ends by itself. */
  expiresAt: string;
  /** When it was signed out of, or revoked. */
  endedAt: string | null;
}

/** `ProfileSource` of the API. */
export interface ProfileSource {
  /** The profile as TOML. */
  source: string;
}

/** `ProfileStored` of the API. */
export interface ProfileStored {
  /** What tenants name it by. */
  name: string;
  /** What people call it. */
  title: string;
  /** Changes with the source; events pin it. */
  version: string;
  /** False: this very version was there already. */
  changed: boolean;
  /** Tenants whose next events use it. */
  tenants: number;
}

/** `Profile` of the API. */
export interface Profile {
  /** What tenants name it by. */
  name: string;
  /** What people call it. */
  title: string;
  /** Changes with the source; events pin it. */
  version: string;
  /** The TOML that it is made from. */
  source?: string;
}

/** `RecordWritten` of the API. */
export interface RecordWritten {
  /** What it is. */
  kind: string;
  /** The caller's id. */
  id: string;
  /** Whose it is; null for a record that names no tenant. */
  tenant: string | null;
  /** What the write did. */
  became: "created" | "updated" | "unchanged";
  /** For `If-Match`; also in the header `ETag`, in quotes. */
  version: string;
  /** The whole record. */
  data: { [name: string]: unknown };
  /** Events that follow, in the same transaction. */
  events: CausedEvent[];
  /** What is worth knowing. */
  warnings?: Warning[];
}

/** `CausedEvent` of the API. */
export interface CausedEvent {
  /** `evt_…` */
  id: string;
  /** What happened. */
  type: string;
}

/** `Record` of the API. */
export interface Record {
  /** What it is. */
  kind: string;
  /** The caller's id. */
  id: string;
  /** Whose it is; null for a record that names no tenant. */
  tenant: string | null;
  /** For `If-Match`; also in the header `ETag`, in quotes. */
  version: string;
  /** The whole record. */
  data: { [name: string]: unknown };
  /** When it was first told. */
  createdAt: string;
  /** When it was last changed. */
  updatedAt: string;
  /** Rules that have fired for it, and fire once. */
  marks: RecordMark[];
  /** When rules look at it again. */
  due: RecordDue[];
  /** What rules could not decide. */
  errors: RuleError[];
}

/** `RecordMark` of the API. */
export interface RecordMark {
  /** The rule of the profile. */
  rule: string;
  /** When it fired. */
  firedAt: string;
  /** The event; null when it was set by an import without events. */
  event: string | null;
}

/** `RecordDue` of the API. */
export interface RecordDue {
  /** The rule of the profile. */
  rule: string;
  /** From when on it is looked at. */
  at: string;
}

/** `RuleError` of the API. */
export interface RuleError {
  /** The record's kind. */
  kind: string;
  /** The record. */
  id: string;
  /** The rule of the profile. */
  rule: string;
  /** When it was last seen. */
  at: string;
  /** How often it was seen. */
  times: number;
  /** What could not be decided. */
  detail: string;
}

/** `RecordRow` of the API. */
export interface RecordRow {
  /** The caller's id. */
  id: string;
  /** Whose it is; null for a record that names no tenant. */
  tenant: string | null;
  /** For `If-Match`. */
  version: string;
  /** The whole record. */
  data: { [name: string]: unknown };
  /** When it was first told. */
  createdAt: string;
  /** When it was last changed. */
  updatedAt: string;
}

/** `RecordBatch` of the API. */
export interface RecordBatch {
  /** At most 500 changes. */
  changes: RecordChange[];
}

/** `RecordChange` of the API. */
export interface RecordChange {
  /** The caller's id. */
  id: string;
  /** The whole record. */
  data?: { [name: string]: unknown };
  /** True, without `data`: the record is gone. */
  deleted?: boolean;
  /** What the record was before, by its source: heeded only for one that was never told here. */
  old?: { [name: string]: unknown };
}

/** `RecordBatchResult` of the API. */
export interface RecordBatchResult {
  /** An item for each change, in order. */
  data: RecordChangeResult[];
}

/** `RecordChangeResult` of the API. */
export interface RecordChangeResult {
  /** Of an import: the line, from 1. */
  line?: number;
  /** 200, or the status of the problem. */
  status: number;
  /** The caller's id. */
  id?: string;
  /** What the change did. */
  became?: "created" | "updated" | "unchanged" | "deleted";
  /** Events that follow from it. */
  events?: CausedEvent[];
  /** What is worth knowing. */
  warnings?: Warning[];
  /** Why the change was refused. */
  problem?: Problem;
}

/** `RuleErrors` of the API. */
export interface RuleErrors {
  /** What could not be decided. */
  data: RuleError[];
}

/** `Workflow` of the API. */
export interface Workflow {
  /** `wf_…` */
  id: string;
  /** As in URLs. */
  name: string;
  /** Of its definition, from 1. */
  version: number;
  /** For people. */
  description: string;
  /** As it was saved; not in lists. */
  definition?: { [name: string]: unknown };
  /** When it was first saved. */
  createdAt: string;
  /** When it was last saved. */
  updatedAt: string;
}

/** `NewRun` of the API. */
export interface NewRun {
  /** What the run begins with; the trigger's when absent, or `{}`. */
  input?: unknown;
  /** A trigger of type `manual`, in whose name it starts. */
  trigger?: string;
}

/** `StartedRun` of the API. */
export interface StartedRun {
  /** `run_…` */
  runId: string;
  /** Where it stands now. */
  status: "queued" | "running" | "waiting" | "succeeded" | "failed" | "cancelled";
}

/** `Run` of the API. */
export interface Run {
  /** `run_…` */
  id: string;
  /** The workflow's name. */
  workflow: string;
  /** Of the definition that it began with. */
  workflowVersion: number;
  /** What started it. */
  triggerId: string | null;
  /** What kind of thing started it. */
  triggerType: "webhook" | "cron" | "event" | "manual" | "call" | "replay";
  /** Where it stands. The last three never change. */
  status: "queued" | "running" | "waiting" | "succeeded" | "failed" | "cancelled";
  /** When it was accepted. */
  createdAt: string;
  /** When it was first worked on. */
  startedAt: string | null;
  /** When it ended. */
  finishedAt: string | null;
  /** Why it failed or was cancelled. */
  error: string | null;
  /** The request that started it. */
  requestId: string | null;
  /** The event that started it. */
  eventId: string | null;
  /** The run that it does once more. */
  replayOf: string | null;
  /** The run whose step waits for it. */
  parentRunId: string | null;
}

/** `NewTrigger` of the API. */
export interface NewTrigger {
  /** What starts runs. */
  type: "webhook" | "cron" | "event" | "manual";
  /** What people call it; the type when absent. */
  name?: string;
  /** Whether it starts runs; true when absent. */
  enabled?: boolean;
  /** Of a webhook: what requests carry in X-Webhook-Secret. */
  secret?: string | null;
  /** Of a webhook: make a secret, in the form that its preset takes; refused where the provider signs with a key of its own. */
  generateSecret?: boolean;
  /** Of a webhook: how a provider signs. */
  verification?: NewVerification | null;
  /** CEL over `input`, `headers`, `method`, `query`. */
  filter?: string | null;
  /** Of a webhook: `{"header": …}`, `{"expression": …}` or `"none"`. */
  dedup?: unknown;
  /** Of a webhook: `{perSecond, burst?}`. */
  rateLimit?: { [name: string]: unknown } | null;
  /** Of a webhook: addresses and networks. */
  allowedAddresses?: string[] | null;
  /** Of a webhook: POST when absent. */
  methods?: string[] | null;
  /** Of a webhook: 1 MiB when absent, 26 MiB at most. */
  maxBytes?: number | null;
  /** Of a webhook: whether the answer waits for the run. */
  respond?: "accepted" | "wait" | null;
  /** Of a webhook: 10 when absent, 60 at most. */
  waitSeconds?: number | null;
  /** Of a clock: five fields, such as `0 6 * * *`. */
  cron?: string | null;
  /** Of a clock: a true interval, such as `15m`. */
  every?: string | null;
  /** Of a clock: an IANA zone; UTC when absent. */
  timezone?: string | null;
  /** Of a clock: `"none"`, `"latest"` (when absent) or `{"all": n}`. */
  catchUp?: unknown;
  /** Of a clock: `skip` when absent. */
  overlap?: "skip" | "queue" | null;
  /** Of a clock: what its runs begin with. */
  input?: unknown;
  /** Of events: patterns. */
  events?: string[] | null;
}

/** `NewVerification` of the API. */
export interface NewVerification {
  /** A provider such as `github` or `stripe`, `custom`, or `none`. */
  preset: string;
  /** What requests are verified with; any of them may match. */
  secrets?: string[];
  /** Seconds that a signed time may be off; the preset's own when absent. */
  tolerance?: number;
  /** What a handshake has to say, for presets that have one. */
  verifyToken?: string;
  /** Of `custom`: how requests are signed. */
  scheme?: { [name: string]: unknown };
}

/** `Trigger` of the API. */
export interface Trigger {
  /** `trg_…` */
  id: string;
  /** The workflow's name. */
  workflow: string;
  /** What starts runs. */
  type: "webhook" | "cron" | "event" | "manual";
  /** What people call it. */
  name: string;
  /** Whether it starts runs. */
  enabled: boolean;
  /** Of a webhook: where requests go. Nobody guesses it; viewers do not see it. */
  webhookUrl?: string;
  /** Of a webhook: whether it has a secret. */
  secretSet?: boolean;
  /** In the answer that set it and never again. */
  secret?: string;
  /** True in a repeated answer whose secret was shown before. */
  secretShown?: boolean;
  /** Of a webhook: `{preset, tolerance?, scheme?}`. */
  verification?: { [name: string]: unknown };
  /** CEL over `input`, `headers`, `method`, `query`: what it does not hold for starts nothing. */
  filter?: string;
  /** Of a webhook: `{"header": …}`, `{"expression": …}` or `"none"`; the preset's own when absent. */
  dedup?: unknown;
  /** Of a webhook: `{perSecond, burst?}`. */
  rateLimit?: { [name: string]: unknown };
  /** Of a webhook: addresses and networks that may send. */
  allowedAddresses?: string[];
  /** Of a webhook: the methods that it takes. */
  methods?: string[];
  /** Of a webhook: the longest body that it takes. */
  maxBytes?: number;
  /** Of a webhook: whether the answer waits for the run. */
  respond?: "accepted" | "wait";
  /** Of a webhook: how long it waits at most. */
  waitSeconds?: number;
  /** Of a clock: five fields. */
  cron?: string;
  /** Of a clock: an interval such as `15m`. */
  every?: string;
  /** Of a clock: an IANA zone. */
  timezone?: string;
  /** Of a clock: `"none"`, `"latest"` or `{"all": n}`. */
  catchUp?: unknown;
  /** Of a clock: what becomes of a time while a run is not done. */
  overlap?: "skip" | "queue";
  /** Of a clock: its next five times. */
  nextTimes?: string[];
  /** Of a clock: what its runs begin with. */
  input?: unknown;
  /** Of events: patterns. */
  events?: string[];
  /** When it was created. */
  createdAt: string;
  /** When it last changed. */
  updatedAt: string;
  /** What is worth knowing. */
  warnings: Warning[];
}

/** `TriggerPatch` of the API. */
export interface TriggerPatch {
  /** What people call it. */
  name?: string;
  /** Whether it starts runs. */
  enabled?: boolean;
  /** Of a webhook: replaces all secrets. */
  secret?: string;
  /** Of a webhook: make a secret that replaces all others, in the form that its preset takes. */
  generateSecret?: boolean;
  /** Of a webhook: how a provider signs. */
  verification?: NewVerification | null;
  /** CEL over `input`, `headers`, `method`, `query`. */
  filter?: string | null;
  /** Of a webhook: `{"header": …}`, `{"expression": …}` or `"none"`. */
  dedup?: unknown;
  /** Of a webhook: `{perSecond, burst?}`. */
  rateLimit?: { [name: string]: unknown } | null;
  /** Of a webhook: addresses and networks. */
  allowedAddresses?: string[] | null;
  /** Of a webhook. */
  methods?: string[] | null;
  /** Of a webhook. */
  maxBytes?: number | null;
  /** Of a webhook. */
  respond?: "accepted" | "wait" | null;
  /** Of a webhook. */
  waitSeconds?: number | null;
  /** Of a clock: five fields. */
  cron?: string | null;
  /** Of a clock: a true interval. */
  every?: string | null;
  /** Of a clock: an IANA zone. */
  timezone?: string | null;
  /** Of a clock: `"none"`, `"latest"` or `{"all": n}`. */
  catchUp?: unknown;
  /** Of a clock. */
  overlap?: "skip" | "queue" | null;
  /** Of a clock: what its runs begin with. */
  input?: unknown;
  /** Of events: patterns. */
  events?: string[] | null;
}

/** `TriggerSecretRotation` of the API. */
export interface TriggerSecretRotation {
  /** A secret of your own, or the provider's; made when absent. */
  secret?: string;
  /** How long the old ones are taken; a day when absent. */
  overlapSeconds?: number;
}

/** `PastedRequest` of the API. */
export interface PastedRequest {
  /** POST when absent. */
  method?: string;
  /** Without the question mark. */
  query?: string;
  /** As they were received. */
  headers: { [name: string]: string };
  /** The raw body, as text. */
  body?: string;
  /** The raw body, where it is no text. */
  bodyBase64?: string;
}

/** `ExplainedRequest` of the API. */
export interface ExplainedRequest {
  /** Whether it would start a run. */
  accepted: boolean;
  /** Why not, as in the list of requests. */
  cause: string | null;
  /** What would become of it, and what to do. */
  detail: string;
  /** What was found against the secrets in force; empty where nothing is verified. */
  verification: Array<{ [name: string]: unknown }>;
  /** By what it would be known again. */
  dedupId: string | null;
  /** What the run would begin with. */
  input: unknown;
}

/** `TakenRequest` of the API. */
export interface TakenRequest {
  /** The run that it started, or that the same request started before. */
  runId: string | null;
  /** Where the run stands; `filtered` when none was started. */
  status: string;
  /** Whether the same came before. */
  duplicate: boolean;
}

/** `RunDetail` of the API. */
export interface RunDetail {
  /** `run_…` */
  id: string;
  /** The workflow's name. */
  workflow: string;
  /** Of the definition that it began with. */
  workflowVersion: number;
  /** What started it. */
  triggerId: string | null;
  /** What kind of thing started it. */
  triggerType: "webhook" | "cron" | "event" | "manual" | "call" | "replay";
  /** Where it stands. The last three never change. */
  status: "queued" | "running" | "waiting" | "succeeded" | "failed" | "cancelled";
  /** When it was accepted. */
  createdAt: string;
  /** When it was first worked on. */
  startedAt: string | null;
  /** When it ended. */
  finishedAt: string | null;
  /** Why it failed or was cancelled. */
  error: string | null;
  /** The request that started it. */
  requestId: string | null;
  /** The event that started it. */
  eventId: string | null;
  /** The run that it does once more. */
  replayOf: string | null;
  /** The run whose step waits for it. */
  parentRunId: string | null;
  /** What it began with. */
  input: unknown;
  /** What it ended in. */
  output: unknown;
  /** In the order in which they began. */
  steps: RunStep[];
}

/** `RunStep` of the API. */
export interface RunStep {
  /** Its id, behind those of the steps that it stands in. */
  path: string;
  /** As in the definition. */
  type: string;
  /** How it went. */
  status: "pending" | "succeeded" | "failed" | "skipped";
  /** Requests that it began. */
  tries: number;
  /** When it began. */
  startedAt: string;
  /** When it ended. */
  finishedAt: string | null;
  /** The end of its wait. */
  until: string | null;
  /** What later steps see of it. */
  output: unknown;
  /** Why it failed. */
  error: string | null;
  /** The event that it made, or waited for. */
  eventId: string | null;
  /** The run that it called. */
  runId: string | null;
  /** Its requests. */
  attempts: RunAttempt[];
}

/** `RunAttempt` of the API. */
export interface RunAttempt {
  /** From 1. */
  number: number;
  /** When it began. */
  startedAt: string;
  /** What came of it. `unknown`: the process stopped before it could say, and the request was sent again. */
  class: string;
  /** Of the answer. */
  status: number | null;
  /** What went wrong. */
  detail: string | null;
  /** How long it took. */
  durationMs: number;
  /** The beginning of the answer's head. */
  responseHeaders: string;
  /** The beginning of the answer's body. */
  responseBody: string;
  /** Read of the body. */
  responseBytes: number;
}

/** `RunReplay` of the API. */
export interface RunReplay {
  /** The path of the step to begin at; the first when absent. */
  from?: string | null;
}

/** `Request` of the API. */
export interface Request {
  /** `req_…` */
  id: string;
  /** The trigger that it came to. */
  triggerId: string;
  /** What became of it: `accepted`, or why it started nothing. */
  cause: string;
  /** That it was answered with. */
  status: number;
  /** Why, and what to do. */
  detail: string | null;
  /** The run that it started; of a duplicate, the run of the first. */
  runId: string | null;
  /** When it came. */
  receivedAt: string;
  /** Its method. */
  method: string;
  /** Its query, without credentials. */
  query: string;
  /** Where it came from. */
  peer: string;
  /** Its headers as `[name, value]`; what may be a credential is masked. */
  headers: string[][];
  /** The length of its body. */
  bodyBytes: number;
  /** Its body, where it is text; of one that was refused the beginning. */
  body?: string;
  /** Its body, where it is no text. */
  bodyBase64?: string;
}

/** `RequestReplay` of the API. */
export interface RequestReplay {}

/** `ScanRun` of the API. */
export interface ScanRun {}

/** `Scan` of the API. */
export interface Scan {
  /** Deliveries that waited for the scan and became due. */
  due: number;
  /** Due times of records that were looked at. */
  looked: number;
  /** Events that they caused. */
  events: number;
  /** Records that were made from templates. */
  made: number;
  /** What rules could not decide: `GET /v1/rule-errors`. */
  errors: number;
}

/** `Scans` of the API. */
export interface Scans {
  /** Scans. */
  data: ScanRow[];
}

/** `ScanRow` of the API. */
export interface ScanRow {
  /** The moment for which it was due, or at which it was asked for. */
  tick: string;
  /** When it began. */
  startedAt: string;
  /** When it was done. */
  endedAt: string | null;
  /** Due times of records that were looked at. */
  looked: number;
  /** Events that they caused. */
  events: number;
  /** Records that were made from templates. */
  made: number;
  /** What rules could not decide: `GET /v1/rule-errors`. */
  errors: number;
}

/** `SecretPut` of the API. */
export interface SecretPut {
  /** 1 to 8,192 bytes. */
  value: string;
}

/** `Secret` of the API. */
export interface Secret {
  /** What steps call it. */
  name: string;
  /** Rises by one with each value. */
  version: number;
  /** When it was first written. */
  createdAt: string;
  /** When its value was written. */
  updatedAt: string;
}

/** `NewConnection` of the API. */
export interface NewConnection {
  /** What steps call it: letters, digits and `_`. */
  name: string;
  /** Of `GET /v1/connection-providers`; `custom` when absent. */
  provider?: string;
  /** How it comes to its tokens. */
  grant: "authorization_code" | "client_credentials";
  /** The app's id at the provider. */
  clientId: string;
  /** The app's secret; a public client has none. */
  clientSecret?: string | null;
  /** What to ask for. */
  scopes?: string[];
  /** Instead of the provider's. */
  authorizationUrl?: string;
  /** Instead of the provider's. */
  tokenUrl?: string;
  /** Instead of the provider's (RFC 7009). */
  revocationUrl?: string;
  /** What `iss` must be on the way back (RFC 9207). */
  issuer?: string;
  /** Sent as `audience`, which some providers want. */
  audience?: string;
  /** Sent as `resource` (RFC 8707). */
  resource?: string;
  /** How the client says who it is; as the provider wants it when absent. */
  auth?: "basic" | "body";
}

/** `Connection` of the API. */
export interface Connection {
  /** `con_…` */
  id: string;
  /** What steps call it. */
  name: string;
  /** Of `GET /v1/connection-providers`. */
  provider: string;
  /** How it comes to its tokens. */
  grant: "authorization_code" | "client_credentials";
  /** The app's id at the provider. */
  clientId: string;
  /** Whether the app has a secret. */
  clientSecretSet: boolean;
  /** What it asks for. */
  scopes: string[];
  /** Where a person consents. */
  authorizationUrl: string | null;
  /** Where tokens are given. */
  tokenUrl: string | null;
  /** Where tokens are ended (RFC 7009). */
  revocationUrl: string | null;
  /** What `iss` must be on the way back. */
  issuer: string | null;
  /** Sent as `audience`. */
  audience: string | null;
  /** Sent as `resource` (RFC 8707). */
  resource: string | null;
  /** How the client says who it is. */
  auth: "basic" | "body";
  /** `pending`: nobody authorized it, or no step used it yet. `failed`: `error` says what to do. */
  state: "pending" | "active" | "failed" | "revoked";
  /** When the token expires; it is refreshed before, if it can be. */
  expiresAt: string | null;
  /** What went wrong last, and what to do. */
  error: string | null;
  /** When it was made. */
  createdAt: string;
  /** When it last changed or was refreshed. */
  updatedAt: string;
}

/** `ConnectionPatch` of the API. */
export interface ConnectionPatch {
  /** The app's secret; null: it has none. */
  clientSecret?: string | null;
  /** What to ask for. */
  scopes?: string[];
}

/** `Authorization` of the API. */
export interface Authorization {
  /** Where the person consents. */
  authorizationUrl: string;
  /** What must be registered at the provider. */
  redirectUri: string;
  /** Until when the link is good. */
  expiresAt: string;
}

/** `ConnectionProvider` of the API. */
export interface ConnectionProvider {
  /** What `provider` says. */
  name: string;
  /** What people call it. */
  title: string;
  /** What it offers. */
  grants: Array<"authorization_code" | "client_credentials">;
  /** Where a person consents. */
  authorizationUrl: string | null;
  /** Where tokens are given. */
  tokenUrl: string | null;
  /** Where tokens are ended. */
  revocationUrl: string | null;
  /** What `iss` must be on the way back. */
  issuer: string | null;
  /** How clients say who they are. */
  auth: "basic" | "body";
  /** Asked for besides a connection's own. */
  scopes: string[];
  /** What to know before. */
  note: string | null;
}

/** `Ledger` of the API. */
export interface Ledger {
  /** Pairs that were accepted. */
  accepted: number;
  /** Of these, waiting for their time. */
  scheduled: number;
  /** Of these, being sent. */
  sending: number;
  /** Of these, delivered. */
  delivered: number;
  /** Of these, failed for good. */
  failed: number;
  /** Of these, cancelled. */
  cancelled: number;
  /** Whether accepted is the sum of the rest. */
  balanced: boolean;
  /** Test events, counted apart. */
  tests: LedgerCounts;
  /** Retries by hand and recoveries, counted apart. */
  replays: LedgerCounts;
}

/** `LedgerCounts` of the API. */
export interface LedgerCounts {
  /** Pairs that were accepted. */
  accepted: number;
  /** Of these, waiting for their time. */
  scheduled: number;
  /** Of these, being sent. */
  sending: number;
  /** Of these, delivered. */
  delivered: number;
  /** Of these, failed for good. */
  failed: number;
  /** Of these, cancelled. */
  cancelled: number;
  /** Whether accepted is the sum of the rest. */
  balanced: boolean;
}

/** `AuditEntry` of the API. */
export interface AuditEntry {
  /** `aud_…` */
  id: string;
  /** When. */
  at: string;
  /** Whose; null for the installation. */
  tenant: string | null;
  /** The id of the key or the session, or `postrider` for what it did by itself. */
  actor: string;
  /** The role of the key or the session. */
  actorRole: string;
  /** What was done: `webhook.created`, `secret.rotated`, … */
  action: string;
  /** The id of what was changed. */
  target: string;
  /** How it was. */
  before: unknown;
  /** How it is. */
  after: unknown;
}

/** `Health` of the API. */
export interface Health {
  /** All is well. */
  status: "ok";
}

/** Query of `GET /v1/events`: List events. */
export interface GetEventsQuery {
  /** An event type, in full. */
  type?: string;
  /** Accepted at or after this time. */
  from?: string | Date;
  /** Accepted before this time. */
  until?: string | Date;
  /** `asc`: oldest first. `desc` when absent. */
  order?: string;
  /** With `order=asc`: only events after this one, by its id. */
  after?: string;
  /** Rows on a page, 1 to 100; 25 when not given. */
  limit?: number;
  /** `nextCursor` of the page before. */
  cursor?: string;
}

/** Query of `GET /v1/webhooks`: List webhooks. */
export interface GetWebhooksQuery {
  /** Rows on a page, 1 to 100; 25 when not given. */
  limit?: number;
  /** `nextCursor` of the page before. */
  cursor?: string;
}

/** Query of `GET /v1/deliveries`: List deliveries. */
export interface GetDeliveriesQuery {
  /** `scheduled`, `sending`, `delivered`, `failed` or `cancelled`. */
  state?: string;
  /** A webhook's id. */
  webhook?: string;
  /** An event type, in full. */
  type?: string;
  /** Made at or after this time. */
  from?: string | Date;
  /** Made before this time. */
  until?: string | Date;
  /** Rows on a page, 1 to 100; 25 when not given. */
  limit?: number;
  /** `nextCursor` of the page before. */
  cursor?: string;
}

/** Query of `GET /v1/inboxes`: List inboxes. */
export interface GetInboxesQuery {
  /** Rows on a page, 1 to 100; 25 when not given. */
  limit?: number;
  /** `nextCursor` of the page before. */
  cursor?: string;
}

/** Query of `GET /v1/inboxes/{inbox}/requests`: List what came to an inbox. */
export interface GetInboxesInboxRequestsQuery {
  /** Rows on a page, 1 to 100; 25 when not given. */
  limit?: number;
  /** `nextCursor` of the page before. */
  cursor?: string;
}

/** Query of `GET /v1/event-types`: List event types. */
export interface GetEventTypesQuery {
  /** Rows on a page, 1 to 100; 25 when not given. */
  limit?: number;
  /** `nextCursor` of the page before. */
  cursor?: string;
}

/** Query of `GET /v1/tenants`: List tenants. */
export interface GetTenantsQuery {
  /** Rows on a page, 1 to 100; 25 when not given. */
  limit?: number;
  /** `nextCursor` of the page before. */
  cursor?: string;
}

/** Query of `GET /v1/keys`: List API keys. */
export interface GetKeysQuery {
  /** Rows on a page, 1 to 100; 25 when not given. */
  limit?: number;
  /** `nextCursor` of the page before. */
  cursor?: string;
}

/** Query of `GET /v1/portal-sessions`: List sessions of the portal. */
export interface GetPortalSessionsQuery {
  /** Rows on a page, 1 to 100; 25 when not given. */
  limit?: number;
  /** `nextCursor` of the page before. */
  cursor?: string;
}

/** Query of `GET /v1/profiles`: List profiles. */
export interface GetProfilesQuery {
  /** Rows on a page, 1 to 100; 25 when not given. */
  limit?: number;
  /** `nextCursor` of the page before. */
  cursor?: string;
}

/** Query of `GET /v1/records/{kind}`: List records. */
export interface GetRecordsKindQuery {
  /** Rows on a page, 1 to 100; 25 when not given. */
  limit?: number;
  /** `nextCursor` of the page before. */
  cursor?: string;
}

/** Query of `POST /v1/records/{kind}/import`: Write records of any number. */
export interface PostRecordsKindImportQuery {
  /** `false`: the records are there already, nothing happened. `true` when absent. */
  events?: string;
  /** `refused`: only lines that were refused, and the summary. `all` when absent. */
  report?: string;
}

/** Query of `GET /v1/workflows`: List workflows. */
export interface GetWorkflowsQuery {
  /** Rows on a page, 1 to 100; 25 when not given. */
  limit?: number;
  /** `nextCursor` of the page before. */
  cursor?: string;
}

/** Query of `GET /v1/workflows/{workflow}/runs`: List a workflow's runs. */
export interface GetWorkflowsWorkflowRunsQuery {
  /** In this state. */
  state?: string;
  /** Started by this trigger. */
  trigger?: string;
  /** Rows on a page, 1 to 100; 25 when not given. */
  limit?: number;
  /** `nextCursor` of the page before. */
  cursor?: string;
}

/** Query of `GET /v1/workflows/{workflow}/triggers`: List a workflow's triggers. */
export interface GetWorkflowsWorkflowTriggersQuery {
  /** Rows on a page, 1 to 100; 25 when not given. */
  limit?: number;
  /** `nextCursor` of the page before. */
  cursor?: string;
}

/** Query of `GET /v1/runs`: List runs. */
export interface GetRunsQuery {
  /** In this state. */
  state?: string;
  /** Rows on a page, 1 to 100; 25 when not given. */
  limit?: number;
  /** `nextCursor` of the page before. */
  cursor?: string;
}

/** Query of `GET /v1/requests`: List requests to triggers. */
export interface GetRequestsQuery {
  /** To this trigger. */
  trigger?: string;
  /** With this cause, such as `verification_failed`. */
  cause?: string;
  /** Rows on a page, 1 to 100; 25 when not given. */
  limit?: number;
  /** `nextCursor` of the page before. */
  cursor?: string;
}

/** Query of `GET /v1/scans`: List a tenant's last scans. */
export interface GetScansQuery {
  /** For a moment at or after this time. */
  from?: string | Date;
}

/** Query of `GET /v1/secrets`: List secrets. */
export interface GetSecretsQuery {
  /** Rows on a page, 1 to 100; 25 when not given. */
  limit?: number;
  /** `nextCursor` of the page before. */
  cursor?: string;
}

/** Query of `GET /v1/connections`: List connections. */
export interface GetConnectionsQuery {
  /** Rows on a page, 1 to 100; 25 when not given. */
  limit?: number;
  /** `nextCursor` of the page before. */
  cursor?: string;
}

/** Query of `GET /v1/connections/callback`: Where a provider sends people back. */
export interface GetConnectionsCallbackQuery {
  /** Of the link; good once. */
  state?: string;
  /** What the connection gets its tokens for. */
  code?: string;
  /** Why there is none. */
  error?: string;
  /** The provider's words about it. */
  error_description?: string;
  /** Who answers (RFC 9207). */
  iss?: string;
}

/** Query of `GET /v1/connection-providers`: List known providers. */
export interface GetConnectionProvidersQuery {
  /** Rows on a page, 1 to 100; 25 when not given. */
  limit?: number;
  /** `nextCursor` of the page before. */
  cursor?: string;
}

/** Query of `GET /v1/audit`: Read the audit log. */
export interface GetAuditQuery {
  /** Rows on a page, 1 to 100; 25 when not given. */
  limit?: number;
  /** `nextCursor` of the page before. */
  cursor?: string;
}

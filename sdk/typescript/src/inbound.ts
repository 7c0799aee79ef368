// Names of the inbound API's types that say more, or other, than the document's.

import type {
  Authorization,
  ExplainedRequest,
  PastedRequest,
  Request as RequestShape,
  Run as ListedRun,
  StartedRun,
} from "./generated.js";

export type {
  Connection,
  ConnectionPatch,
  ConnectionProvider,
  NewConnection,
  NewRun,
  NewTrigger,
  NewVerification,
  Run,
  RunAttempt,
  RunDetail,
  RunReplay,
  RunStep,
  Secret,
  Trigger,
  TriggerPatch,
  TriggerSecretRotation,
  Workflow,
} from "./generated.js";

/** What a workflow does, as JSON. */
export type WorkflowDefinition = Record<string, unknown>;

/** What starts runs. */
export type TriggerType = "webhook" | "cron" | "event" | "manual";

/** What is done about times that passed while nobody could run: nothing, the latest, the last so many. */
export type CatchUp = "none" | "latest" | { all: number };

/** Where a run stands. The last three are final. */
export type RunStatus = ListedRun["status"];

/** A run that was started. */
export type RunStarted = StartedRun;

/** A request as a trigger would get it. */
export type TriggerTest = PastedRequest;

/** What a trigger would make of a request. */
export type TriggerTested = ExplainedRequest;

/** Where a person is to be sent to authorize a connection. */
export type ConnectionAuthorization = Authorization;

/** A request that came to a trigger. (`Request` is the platform's own.) */
export type InboundRequest = RequestShape;

/** Which runs of a workflow. */
export interface RunsQuery {
  /** Rows on a page, 1 to 100. */
  limit?: number;
  /** `nextCursor` of the page before. */
  cursor?: string;
  /** Only those in this status. */
  state?: RunStatus;
  /** Only those of this trigger. */
  trigger?: string;
}

/** Why a request to a trigger did, or did not, start a run. */
export type RequestCause =
  | "accepted"
  | "disabled"
  | "verification_failed"
  | "method"
  | "content_type"
  | "unparsable"
  | "too_large"
  | "duplicate"
  | "filtered"
  | "rate_limited"
  | "handshake"
  | "address"
  | "failed";

/** Which requests. */
export interface RequestsQuery {
  /** Only those to this trigger. */
  trigger?: string;
  /** Only those with this cause. */
  cause?: RequestCause;
  /** Rows on a page, 1 to 100. */
  limit?: number;
  /** `nextCursor` of the page before. */
  cursor?: string;
}

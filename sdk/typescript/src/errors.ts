// What goes wrong, by whose fault it is: the request's (`ApiError` and those below it), the way's (`ConnectionError`,
// `TimeoutError`), or a webhook's that cannot be believed (`WebhookVerificationError`).

import type { Problem, ProblemCode } from "./generated.js";
import type { WebhookVerificationCode } from "./verify/codes.js";

/** Everything that this package throws by itself. An aborted call throws its signal's reason instead. */
export class PostriderError extends Error {
  override name = "PostriderError";
}

/** No answer: the name does not resolve, nobody listens, the connection broke. `cause` is what `fetch` threw. */
export class ConnectionError extends PostriderError {
  override name = "ConnectionError";
}

/** An answer took longer than `timeoutMs`. The request may have been carried out. */
export class TimeoutError extends PostriderError {
  override name = "TimeoutError";
}

/** What the codes of problems are, and `unexpected_response` for an answer that is no answer of Postrider. */
export type ApiErrorCode = ProblemCode | "unexpected_response" | (string & {});

/** An answer that is not a success, as Postrider explains it (RFC 9457). Branch on `code`: it is stable. */
export class ApiError extends PostriderError {
  override name = "ApiError";
  /** The HTTP status. */
  readonly status: number;
  /** A stable word to branch on. */
  readonly code: ApiErrorCode;
  /** What is wrong and what to do. */
  readonly detail: string;
  /** The field at fault, as a path: `events[2]`, `headers.Host`. */
  readonly field: string | undefined;
  /** Where the code is explained, relative to the base URL. */
  readonly type: string;
  /** The id of the request, where something on the way gave it one. */
  readonly requestId: string | undefined;
  /** How long the server asks to wait before the next request. */
  readonly retryAfterMs: number | undefined;

  /** Use {@link apiError}, which chooses the class. */
  constructor(status: number, problem: Partial<Problem>, headers: Headers) {
    const code = problem.code ?? "unexpected_response";
    const detail = problem.detail ?? `The server answered ${status}, with a body that is no problem+json.`;
    super(`${code}: ${detail}`);
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.field = problem.field;
    this.type = problem.type ?? "about:blank";
    this.requestId = headers.get("x-request-id") ?? undefined;
    this.retryAfterMs = retryAfterMs(headers.get("retry-after"));
  }
}

/** 400, 413, 415, 422: the request itself is wrong; `field` says where. */
export class InvalidRequestError extends ApiError {
  override name = "InvalidRequestError";
}

/** 401: no key, or one that is not known. */
export class AuthenticationError extends ApiError {
  override name = "AuthenticationError";
}

/** 403: the key's role, or the tenant's plan, does not include this. */
export class PermissionError extends ApiError {
  override name = "PermissionError";
}

/** 404: there is no such thing, or it belongs to another tenant. */
export class NotFoundError extends ApiError {
  override name = "NotFoundError";
}

/** 409 and 412: it contradicts what is there. */
export class ConflictError extends ApiError {
  override name = "ConflictError";
}

/** 429: too many requests. */
export class RateLimitError extends ApiError {
  override name = "RateLimitError";
}

/** 5xx: the server's own trouble. Nothing was acknowledged. */
export class ServerError extends ApiError {
  override name = "ServerError";
}

const CLASS_OF_STATUS: Record<number, typeof ApiError> = {
  400: InvalidRequestError,
  401: AuthenticationError,
  403: PermissionError,
  404: NotFoundError,
  409: ConflictError,
  412: ConflictError,
  413: InvalidRequestError,
  415: InvalidRequestError,
  422: InvalidRequestError,
  429: RateLimitError,
};

/** The error that an answer stands for. */
export function apiError(status: number, headers: Headers, body: string): ApiError {
  const Class = CLASS_OF_STATUS[status] ?? (status >= 500 ? ServerError : ApiError);
  return new Class(status, problemOf(headers, body), headers);
}

function problemOf(headers: Headers, body: string): Partial<Problem> {
  if (!headers.get("content-type")?.startsWith("application/problem+json")) return {};
  try {
    const problem: unknown = JSON.parse(body);
    return typeof problem === "object" && problem !== null ? problem : {};
  } catch {
    return {};
  }
}

/** `Retry-After`: whole seconds, or a date (RFC 9110, 10.2.3). */
function retryAfterMs(value: string | null): number | undefined {
  if (value === null) return undefined;
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  const until = Date.parse(value);
  return Number.isNaN(until) ? undefined : Math.max(0, until - Date.now());
}

/** A webhook that must not be believed, or options that cannot be used to tell. */
export class WebhookVerificationError extends PostriderError {
  override name = "WebhookVerificationError";
  /** A stable word to branch on. */
  readonly code: WebhookVerificationCode;

  constructor(code: WebhookVerificationCode, message: string) {
    super(message);
    this.code = code;
  }
}

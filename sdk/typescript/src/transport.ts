// The one way to the server: where a call goes, how often it is tried, how long it may take. Knows nothing of what calls mean.

import { apiError, ApiError, ConnectionError, PostriderError, TimeoutError } from "./errors.js";
import { List, type ListAnswer } from "./list.js";
import { sleep } from "./sleep.js";

/** What a client is made of. */
export interface PostriderOptions {
  /** An API key, of any role. */
  apiKey: string;
  /** Where Postrider is: `https://hooks.example.com`, without `/v1`. */
  baseUrl: string;
  /** The tenant that calls are about, for keys that are bound to none. */
  tenant?: string | undefined;
  /** Instead of the global `fetch`. */
  fetch?: typeof globalThis.fetch | undefined;
  /** How often a call is tried again, 2 when absent. */
  maxRetries?: number | undefined;
  /** How long one try may take, 30,000 when absent. 0: as long as it likes. */
  timeoutMs?: number | undefined;
}

/** What a single call may have of its own. */
export interface RequestOptions {
  /** Ends the call; it then throws the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Instead of the client's. */
  tenant?: string | undefined;
  /** Instead of the client's. */
  maxRetries?: number | undefined;
  /** Instead of the client's. */
  timeoutMs?: number | undefined;
}

/** For calls that create. */
export interface CreateOptions extends RequestOptions {
  /**
   * Repeating a call with the same key, within a day, gives the same answer and creates nothing. A random one when absent: it
   * is the same over the retries of one call.
   */
  idempotencyKey?: string | undefined;
}

/** A call, before it is known where the server is and who asks. */
export interface Call {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Made with {@link path}. */
  path: string;
  query?: object | undefined;
  headers?: Record<string, string | undefined> | undefined;
  /** Sent as JSON. */
  body?: unknown;
  /** Sent as it is, instead of `body`. */
  raw?: { contentType: string; body: string | ReadableStream<Uint8Array> };
  /**
   * Whether a POST may be carried out twice: `key` sends an idempotency key, so that it is not; `safe` ones do no harm;
   * `unsafe` ones are only repeated when the server says that nothing was done. Other methods are `safe`.
   */
  repeat?: "key" | "safe" | "unsafe";
}

const RETRIES = 2;
const TIMEOUT_MS = 30_000;
/** Delays double from the first to the last: 0.5 s, 1 s, 2 s, … Each is shortened at random by up to half. */
const DELAY_FIRST_MS = 500;
const DELAY_LAST_MS = 8_000;
/** A server that asks for a longer wait than this is not waited for: the error, which says how long, is more use. */
const RETRY_AFTER_MAX_MS = 60_000;
/** Nothing was done: the request may be sent again, whatever it is. */
const REFUSED_FOR_NOW = [429, 503];
/** Something may have been done. */
const OUTCOME_UNKNOWN = [500, 502, 504];

/** Sends calls. */
export class Transport {
  readonly #base: string;
  readonly #options: PostriderOptions;

  constructor(options: PostriderOptions) {
    if (!options.apiKey) throw new TypeError("A Postrider client needs an apiKey");
    const base = new URL(options.baseUrl);
    if (base.protocol !== "https:" && base.protocol !== "http:") {
      throw new TypeError(`The base URL ${options.baseUrl} is neither https nor http`);
    }
    this.#base = base.origin + base.pathname.replace(/\/+$/, "");
    this.#options = options;
  }

  /** Sends a call and reads its answer as JSON; `undefined` for one without a body. */
  async json<T>(call: Call, options: CreateOptions = {}): Promise<T> {
    return this.#retrying(call, options, async (response) => {
      const text = await response.text();
      if (!response.ok) throw apiError(response.status, response.headers, text);
      if (text === "") return undefined as T;
      try {
        return JSON.parse(text) as T;
      } catch {
        const detail = `The server answered ${response.status}, with a body that is no JSON.`;
        throw new ApiError(response.status, { detail }, response.headers);
      }
    });
  }

  /** Sends a call once, without a time limit, and hands out its answer while it comes. */
  async stream(call: Call, options: Pick<RequestOptions, "signal" | "tenant"> = {}): Promise<Response> {
    const url = this.#url(call);
    const { signal = null } = options;
    signal?.throwIfAborted();
    let response: Response;
    try {
      response = await this.#fetch(url, { ...this.#init(call, options), signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw notAnswered(call.method, url, error);
    }
    if (!response.ok) throw apiError(response.status, response.headers, await response.text());
    return response;
  }

  /** A list that is read with a GET. */
  list<T>(path: string, query?: object, options?: RequestOptions, headers?: Call["headers"]): List<T> {
    return new List<T>((cursor) => {
      const call: Call = { method: "GET", path, query: cursor === undefined ? query : { ...query, cursor }, headers };
      return this.json<ListAnswer<T>>(call, options);
    });
  }

  async #retrying<T>(call: Call, options: CreateOptions, read: (response: Response) => Promise<T>): Promise<T> {
    const url = this.#url(call);
    const init = this.#init(call, options);
    const retries = options.maxRetries ?? this.#options.maxRetries ?? RETRIES;
    for (let retry = 0; ; retry++) {
      try {
        return await this.#attempt(call, url, init, options, read);
      } catch (error) {
        const delay = retry < retries ? delayBefore(retry, error, call) : undefined;
        if (delay === undefined) throw error;
        await sleep(delay, options.signal);
      }
    }
  }

  #url(call: Call): string {
    return this.#base + call.path + queryString(call.query);
  }

  #fetch(url: string, init: RequestInit): Promise<Response> {
    // Called without an object before it: in workers and browsers `fetch` insists on being the global's.
    const fetch = this.#options.fetch ?? globalThis.fetch;
    return fetch(url, init);
  }

  #init(call: Call, options: CreateOptions): RequestInit {
    const headers = new Headers({ Accept: "application/json", Authorization: `Bearer ${this.#options.apiKey}` });
    const set = (name: string, value: string | undefined) => value !== undefined && headers.set(name, value);
    set("Postrider-Tenant", options.tenant ?? this.#options.tenant);
    set("Idempotency-Key", call.repeat === "key" ? (options.idempotencyKey ?? crypto.randomUUID()) : undefined);
    for (const [name, value] of Object.entries(call.headers ?? {})) set(name, value);
    const body = call.raw ? call.raw.body : call.body === undefined ? undefined : JSON.stringify(call.body);
    set("Content-Type", call.raw?.contentType ?? (body === undefined ? undefined : "application/json"));
    // A redirect would send the key elsewhere, or turn a POST into a GET: it is an answer that nobody expects.
    const init: RequestInit & { duplex?: "half" } = { method: call.method, headers, redirect: "manual" };
    if (body !== undefined) init.body = body;
    if (body instanceof ReadableStream) init.duplex = "half";
    return init;
  }

  /** One request. Its time limit holds until the answer is read. */
  async #attempt<T>(
    call: Call,
    url: string,
    init: RequestInit,
    options: RequestOptions,
    read: (response: Response) => Promise<T>,
  ): Promise<T> {
    const { signal } = options;
    signal?.throwIfAborted();
    const timeoutMs = options.timeoutMs ?? this.#options.timeoutMs ?? TIMEOUT_MS;
    const limit = new AbortController();
    const abort = () => limit.abort();
    signal?.addEventListener("abort", abort);
    let timedOut = false;
    const timer = timeoutMs > 0 ? setTimeout(() => ((timedOut = true), limit.abort()), timeoutMs) : undefined;
    try {
      return await read(await this.#fetch(url, { ...init, signal: limit.signal }));
    } catch (error) {
      signal?.throwIfAborted();
      if (timedOut) throw new TimeoutError(`${call.method} ${url} was not answered within ${timeoutMs} ms`);
      if (error instanceof PostriderError) throw error;
      throw notAnswered(call.method, url, error);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }
}

/** How long to wait before the next try; `undefined` when there is to be none. */
function delayBefore(retry: number, error: unknown, call: Call): number | undefined {
  const repeatable = call.method !== "POST" || call.repeat === "key" || call.repeat === "safe";
  const doubled = Math.min(DELAY_FIRST_MS * 2 ** retry, DELAY_LAST_MS);
  const delay = doubled * (0.5 + Math.random() / 2);
  if (error instanceof ConnectionError || error instanceof TimeoutError) return repeatable ? delay : undefined;
  if (!(error instanceof ApiError)) return undefined;
  const again = REFUSED_FOR_NOW.includes(error.status) || (repeatable && OUTCOME_UNKNOWN.includes(error.status));
  const wait = error.retryAfterMs ?? delay;
  return again && wait <= RETRY_AFTER_MAX_MS ? wait : undefined;
}

/** `fetch` fails with a general sentence and keeps the reason in `cause`. */
function notAnswered(method: string, url: string, error: unknown): ConnectionError {
  const cause: unknown = error instanceof Error ? (error.cause ?? error) : error;
  const reason = cause instanceof Error ? cause.message || cause.name : String(cause);
  return new ConnectionError(`${method} ${url} was not answered: ${reason}`, { cause: error });
}

/** A path whose values are escaped. What would lead to another endpoint is refused. */
export function path(texts: TemplateStringsArray, ...values: string[]): string {
  let out = texts[0] ?? "";
  values.forEach((value, at) => {
    if (typeof value !== "string" || value === "" || value === "." || value === "..") {
      throw new TypeError(`${JSON.stringify(value)} cannot be a part of a path`);
    }
    out += encodeURIComponent(value) + (texts[at + 1] ?? "");
  });
  return out;
}

function queryString(query: object | undefined): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined) parameters.set(name, value instanceof Date ? value.toISOString() : String(value));
  }
  const text = parameters.toString();
  return text === "" ? "" : `?${text}`;
}

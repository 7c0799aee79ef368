import { TimeoutError } from "../errors.js";
import type * as inbound from "../inbound.js";
import type { List } from "../list.js";
import { sleep } from "../sleep.js";
import { path, type CreateOptions, type RequestOptions, type Transport } from "../transport.js";

/** The delay before a run is looked at again: doubled each time, from the first to the last. */
const LOOK_FIRST_MS = 100;
const LOOK_LAST_MS = 2_000;
const PATIENCE_MS = 60_000;

/** Runs of any workflow. */
export class Runs {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** The runs of all workflows, newest first. */
  list(
    query?: { state?: inbound.RunStatus; limit?: number; cursor?: string },
    options?: RequestOptions,
  ): List<inbound.Run> {
    return this.#transport.list("/v1/runs", query, options);
  }

  /** One run with its input, its output and its steps. */
  get(run: string, options?: RequestOptions): Promise<inbound.RunDetail> {
    return this.#transport.json({ method: "GET", path: path`/v1/runs/${run}` }, options);
  }

  /** Stops a run. */
  cancel(run: string, options?: RequestOptions): Promise<inbound.Run> {
    const at = path`/v1/runs/${run}/cancel`;
    return this.#transport.json({ method: "POST", path: at, repeat: "safe" }, options);
  }

  /** Runs again with the same input, from the start or from a step. */
  replay(run: string, replay: inbound.RunReplay = {}, options?: CreateOptions): Promise<inbound.RunStarted> {
    const at = path`/v1/runs/${run}/replay`;
    return this.#transport.json({ method: "POST", path: at, body: replay, repeat: "key" }, options);
  }

  /**
   * Waits until a run has come to its end, and gives it. `timeoutMs` is for all of that, 60,000 when absent.
   *
   * @throws {TimeoutError} if it goes on for longer.
   */
  async waitFor(run: string, options: RequestOptions = {}): Promise<inbound.RunDetail> {
    const { timeoutMs = PATIENCE_MS, ...rest } = options;
    const until = Date.now() + timeoutMs;
    for (let delay = LOOK_FIRST_MS; ; delay = Math.min(delay * 2, LOOK_LAST_MS)) {
      const seen = await this.get(run, rest);
      if (["succeeded", "failed", "cancelled"].includes(seen.status)) return seen;
      const left = until - Date.now();
      if (left <= 0) throw new TimeoutError(`The run ${run} was still ${seen.status} after ${timeoutMs} ms`);
      await sleep(Math.min(delay, left), options.signal);
    }
  }
}

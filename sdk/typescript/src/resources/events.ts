import type * as api from "../generated.js";
import type { List } from "../list.js";
import { sleep } from "../sleep.js";
import { path, type CreateOptions, type RequestOptions, type Transport } from "../transport.js";

/** How to follow events as they are accepted. */
export interface PollOptions extends RequestOptions {
  /** Only events after the one with this id: the last that was seen. From the oldest on when absent. */
  after?: string | undefined;
  /** Only events of this type. */
  type?: string | undefined;
  /** How long to wait when there is nothing new, 1,000 when absent. */
  intervalMs?: number | undefined;
}

const PAGE = 100;
const INTERVAL_MS = 1_000;

/** What happened. */
export class Events {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Publishes an event. When this returns, the event is on disk together with its deliveries. */
  publish(event: api.NewEvent, options?: CreateOptions): Promise<api.EventAccepted> {
    return this.#transport.json({ method: "POST", path: "/v1/events", body: event, repeat: "key" }, options);
  }

  /** Publishes up to 1,000 events. Each has an answer of its own, in order: look at its `status`. */
  async batch(events: readonly api.NewEvent[], options?: CreateOptions): Promise<api.EventBatchItem[]> {
    const call = { method: "POST", path: "/v1/events/batch", body: { events }, repeat: "key" } as const;
    return (await this.#transport.json<api.EventBatchResult>(call, options)).data;
  }

  /** Who would get an event if it were published now, and as which bytes. Nothing is kept, nothing is sent. */
  preview(event: api.NewEvent, options?: RequestOptions): Promise<api.EventPreview> {
    return this.#transport.json({ method: "POST", path: "/v1/events/preview", body: event }, options);
  }

  /** Events, newest first unless `order` is `asc`. */
  list(query?: api.GetEventsQuery, options?: RequestOptions): List<api.Event> {
    return this.#transport.list("/v1/events", query, options);
  }

  /** One event, with what became of it at every webhook. */
  get(event: string, options?: RequestOptions): Promise<api.Event> {
    return this.#transport.json({ method: "GET", path: path`/v1/events/${event}` }, options);
  }

  /**
   * Events in the order of their acceptance, and then those that come, without end: leave the loop, or abort its signal. Keep the
   * `id` of the last one that you are done with, to go on from there.
   */
  async *poll(options: PollOptions = {}): AsyncGenerator<api.Event, never, undefined> {
    const { type, intervalMs = INTERVAL_MS, ...rest } = options;
    let { after } = options;
    for (;;) {
      const page = await this.list({ order: "asc", limit: PAGE, ...(after && { after }), ...(type && { type }) }, rest);
      for (const event of page) {
        yield event;
        after = event.id;
      }
      if (page.nextCursor === null) await sleep(intervalMs, options.signal);
    }
  }
}

import type * as api from "../generated.js";
import type { List } from "../list.js";
import { path, type CreateOptions, type RequestOptions, type Transport } from "../transport.js";

/** One event to one webhook, each. */
export class Deliveries {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Deliveries, newest first, without their attempts. */
  list(query?: api.GetDeliveriesQuery, options?: RequestOptions): List<api.Delivery> {
    return this.#transport.list("/v1/deliveries", query, options);
  }

  /** One delivery with its attempts. */
  get(delivery: string, options?: RequestOptions): Promise<api.Delivery> {
    return this.#transport.json({ method: "GET", path: path`/v1/deliveries/${delivery}` }, options);
  }

  /** Sends one that has ended once more, as a new delivery. */
  retry(delivery: string, options?: CreateOptions): Promise<api.DeliveryRetried> {
    const at = path`/v1/deliveries/${delivery}/retry`;
    return this.#transport.json({ method: "POST", path: at, body: {}, repeat: "key" }, options);
  }

  /** Sends many that failed once more, as a job: those of a selection, or those that are named. */
  retryMany(selection: Omit<api.DeliveriesRetry, "dryRun">, options?: CreateOptions): Promise<api.Job> {
    const body = { ...selection, dryRun: false };
    return this.#transport.json({ method: "POST", path: "/v1/deliveries/retry", body, repeat: "key" }, options);
  }

  /** How many `retryMany` would send. Nothing is sent. */
  countRetryMany(
    selection: Omit<api.DeliveriesRetry, "dryRun">,
    options?: CreateOptions,
  ): Promise<api.DeliveriesRetryPreview> {
    const body = { ...selection, dryRun: true };
    return this.#transport.json({ method: "POST", path: "/v1/deliveries/retry", body, repeat: "key" }, options);
  }

  /** Sends the event of one once more, to another URL, exactly as its webhook would get it. */
  resend(delivery: string, url: string, options?: CreateOptions): Promise<api.DeliveryResent> {
    const at = path`/v1/deliveries/${delivery}/resend`;
    return this.#transport.json({ method: "POST", path: at, body: { url }, repeat: "key" }, options);
  }
}

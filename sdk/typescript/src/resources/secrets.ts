import type * as inbound from "../inbound.js";
import type { List } from "../list.js";
import { path, type RequestOptions, type Transport } from "../transport.js";

/** Secrets that steps of workflows use. */
export class Secrets {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Sets a secret. */
  put(name: string, value: string, options?: RequestOptions): Promise<inbound.Secret> {
    return this.#transport.json({ method: "PUT", path: path`/v1/secrets/${name}`, body: { value } }, options);
  }

  /** All secrets, without their values. */
  list(query?: { limit?: number; cursor?: string }, options?: RequestOptions): List<inbound.Secret> {
    return this.#transport.list("/v1/secrets", query, options);
  }

  /** One secret, without its value. */
  get(name: string, options?: RequestOptions): Promise<inbound.Secret> {
    return this.#transport.json({ method: "GET", path: path`/v1/secrets/${name}` }, options);
  }

  /** Deletes a secret. Steps that need it fail from then on. */
  delete(name: string, options?: RequestOptions): Promise<void> {
    return this.#transport.json({ method: "DELETE", path: path`/v1/secrets/${name}` }, options);
  }
}

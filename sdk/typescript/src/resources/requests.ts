import type * as inbound from "../inbound.js";
import type { List } from "../list.js";
import { path, type CreateOptions, type RequestOptions, type Transport } from "../transport.js";

/** What came to webhook triggers, also what was refused. */
export class Requests {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Requests, newest first, without their bodies. */
  list(query?: inbound.RequestsQuery, options?: RequestOptions): List<inbound.InboundRequest> {
    return this.#transport.list("/v1/requests", query, options);
  }

  /** One request with its body. */
  get(request: string, options?: RequestOptions): Promise<inbound.InboundRequest> {
    return this.#transport.json({ method: "GET", path: path`/v1/requests/${request}` }, options);
  }

  /** Starts a run with a request that came before. */
  replay(request: string, options?: CreateOptions): Promise<inbound.RunStarted> {
    const at = path`/v1/requests/${request}/replay`;
    return this.#transport.json({ method: "POST", path: at, body: {}, repeat: "key" }, options);
  }
}

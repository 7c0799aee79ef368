import type * as inbound from "../inbound.js";
import type { List } from "../list.js";
import { path, type CreateOptions, type RequestOptions, type Transport } from "../transport.js";

/** Connections to other products by OAuth 2, for steps of workflows. */
export class Connections {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Makes a connection. Somebody has to allow it then, see {@link authorize}. */
  create(connection: inbound.NewConnection, options?: CreateOptions): Promise<inbound.Connection> {
    return this.#transport.json({ method: "POST", path: "/v1/connections", body: connection, repeat: "key" }, options);
  }

  /** All connections, without their tokens. */
  list(query?: { limit?: number; cursor?: string }, options?: RequestOptions): List<inbound.Connection> {
    return this.#transport.list("/v1/connections", query, options);
  }

  /** One connection, without its tokens. */
  get(connection: string, options?: RequestOptions): Promise<inbound.Connection> {
    return this.#transport.json({ method: "GET", path: path`/v1/connections/${connection}` }, options);
  }

  /** Changes what is given of a connection. */
  update(
    connection: string,
    patch: inbound.ConnectionPatch,
    options?: RequestOptions,
  ): Promise<inbound.Connection> {
    const at = path`/v1/connections/${connection}`;
    return this.#transport.json({ method: "PATCH", path: at, body: patch }, options);
  }

  /** Forgets a connection with its tokens. */
  delete(connection: string, options?: RequestOptions): Promise<void> {
    return this.#transport.json({ method: "DELETE", path: path`/v1/connections/${connection}` }, options);
  }

  /** Begins to allow a connection: the answer says where a person has to go. */
  authorize(connection: string, options?: RequestOptions): Promise<inbound.ConnectionAuthorization> {
    const at = path`/v1/connections/${connection}/authorize`;
    return this.#transport.json({ method: "POST", path: at, body: {}, repeat: "unsafe" }, options);
  }

  /** Gets a new access token now. */
  refresh(connection: string, options?: RequestOptions): Promise<inbound.Connection> {
    const at = path`/v1/connections/${connection}/refresh`;
    return this.#transport.json({ method: "POST", path: at, body: {}, repeat: "unsafe" }, options);
  }

  /** Gives a connection's tokens back to its provider, and forgets them. */
  revoke(connection: string, options?: RequestOptions): Promise<inbound.Connection> {
    const at = path`/v1/connections/${connection}/revoke`;
    return this.#transport.json({ method: "POST", path: at, body: {}, repeat: "unsafe" }, options);
  }

  /** The products that connections can be made to. */
  providers(query?: { limit?: number; cursor?: string }, options?: RequestOptions): List<inbound.ConnectionProvider> {
    return this.#transport.list("/v1/connection-providers", query, options);
  }
}

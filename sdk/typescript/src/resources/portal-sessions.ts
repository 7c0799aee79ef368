import type * as api from "../generated.js";
import type { List } from "../list.js";
import { path, type CreateOptions, type RequestOptions, type Transport } from "../transport.js";

/** Sessions of the portal, where a tenant's people see and change what is theirs. */
export class PortalSessions {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Opens the portal for a tenant. The answer shows the URL, this once: whoever has it is in. */
  create(session: api.NewPortalSession, options?: CreateOptions): Promise<api.PortalSessionCreated> {
    return this.#transport.json({ method: "POST", path: "/v1/portal-sessions", body: session, repeat: "key" }, options);
  }

  /** All sessions of the tenant's portal, without their URLs. */
  list(query?: api.GetPortalSessionsQuery, options?: RequestOptions): List<api.PortalSession> {
    return this.#transport.list("/v1/portal-sessions", query, options);
  }

  /** Ends a session at once. */
  delete(session: string, options?: RequestOptions): Promise<void> {
    return this.#transport.json({ method: "DELETE", path: path`/v1/portal-sessions/${session}` }, options);
  }
}

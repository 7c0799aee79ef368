import type * as api from "../generated.js";
import type { List } from "../list.js";
import { path, type CreateOptions, type RequestOptions, type Transport } from "../transport.js";

/** Receivers of Postrider's own, to try a webhook with. */
export class Inboxes {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Makes an inbox. Its URL can be registered as a webhook's. */
  create(inbox: api.NewInbox = {}, options?: CreateOptions): Promise<api.Inbox> {
    return this.#transport.json({ method: "POST", path: "/v1/inboxes", body: inbox, repeat: "key" }, options);
  }

  /** All inboxes, newest first. */
  list(query?: api.GetInboxesQuery, options?: RequestOptions): List<api.Inbox> {
    return this.#transport.list("/v1/inboxes", query, options);
  }

  /** Changes what it answers. */
  update(inbox: string, patch: api.InboxPatch, options?: RequestOptions): Promise<api.Inbox> {
    return this.#transport.json({ method: "PATCH", path: path`/v1/inboxes/${inbox}`, body: patch }, options);
  }

  /** Removes it with all that came to it. */
  delete(inbox: string, options?: RequestOptions): Promise<void> {
    return this.#transport.json({ method: "DELETE", path: path`/v1/inboxes/${inbox}` }, options);
  }

  /** What came to it, newest first. */
  requests(
    inbox: string,
    query?: api.GetInboxesInboxRequestsQuery,
    options?: RequestOptions,
  ): List<api.InboxRequest> {
    return this.#transport.list(path`/v1/inboxes/${inbox}/requests`, query, options);
  }
}

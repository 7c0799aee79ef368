import type * as api from "../generated.js";
import type { List } from "../list.js";
import { path, type CreateOptions, type RequestOptions, type Transport } from "../transport.js";

/** A tenant's registrations: where its events go. */
export class Webhooks {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Registers a webhook. The answer shows its secret, this once. */
  create(webhook: api.NewWebhook, options?: CreateOptions): Promise<api.Webhook> {
    return this.#transport.json({ method: "POST", path: "/v1/webhooks", body: webhook, repeat: "key" }, options);
  }

  /** All webhooks of the tenant. */
  list(query?: api.GetWebhooksQuery, options?: RequestOptions): List<api.Webhook> {
    return this.#transport.list("/v1/webhooks", query, options);
  }

  /** One webhook. */
  get(webhook: string, options?: RequestOptions): Promise<api.Webhook> {
    return this.#transport.json({ method: "GET", path: path`/v1/webhooks/${webhook}` }, options);
  }

  /** Changes what is given of a webhook. */
  update(webhook: string, patch: api.WebhookPatch, options?: RequestOptions): Promise<api.Webhook> {
    return this.#transport.json({ method: "PATCH", path: path`/v1/webhooks/${webhook}`, body: patch }, options);
  }

  /** Deletes a webhook. What was scheduled is cancelled; its history stays. */
  delete(webhook: string, options?: RequestOptions): Promise<void> {
    return this.#transport.json({ method: "DELETE", path: path`/v1/webhooks/${webhook}` }, options);
  }

  /** Sends a test event, also to a webhook that is off. */
  test(webhook: string, test: api.WebhookTest = {}, options?: CreateOptions): Promise<api.WebhookTested> {
    const at = path`/v1/webhooks/${webhook}/test`;
    return this.#transport.json({ method: "POST", path: at, body: test, repeat: "key" }, options);
  }

  /** Replaces the secret, with an overlap where the profile has one. The answer shows it, this once. */
  rotateSecret(
    webhook: string,
    rotation: api.SecretRotation = {},
    options?: CreateOptions,
  ): Promise<api.Webhook> {
    const at = path`/v1/webhooks/${webhook}/secret/rotate`;
    return this.#transport.json({ method: "POST", path: at, body: rotation, repeat: "key" }, options);
  }

  /** What it came to in the last 24 hours. */
  stats(webhook: string, options?: RequestOptions): Promise<api.WebhookStats> {
    return this.#transport.json({ method: "GET", path: path`/v1/webhooks/${webhook}/stats` }, options);
  }

  /** Sends again what failed in a range of time, as a job. */
  recover(webhook: string, recovery: api.Recovery, options?: CreateOptions): Promise<api.Job> {
    const at = path`/v1/webhooks/${webhook}/recover`;
    return this.#transport.json({ method: "POST", path: at, body: recovery, repeat: "key" }, options);
  }
}

import type * as inbound from "../inbound.js";
import type { List } from "../list.js";
import { path, type CreateOptions, type RequestOptions, type Transport } from "../transport.js";

/** Workflows, their triggers and their runs. */
export class Workflows {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Creates a workflow, or gives it another definition. A text is taken as YAML, anything else as JSON. */
  put(
    workflow: string,
    definition: inbound.WorkflowDefinition | string,
    options?: RequestOptions,
  ): Promise<inbound.Workflow> {
    const body =
      typeof definition === "string"
        ? { raw: { contentType: "application/yaml", body: definition } }
        : { body: definition };
    return this.#transport.json({ method: "PUT", path: path`/v1/workflows/${workflow}`, ...body }, options);
  }

  /** All workflows, without their definitions. */
  list(query?: { limit?: number; cursor?: string }, options?: RequestOptions): List<inbound.Workflow> {
    return this.#transport.list("/v1/workflows", query, options);
  }

  /** One workflow with its definition. */
  get(workflow: string, options?: RequestOptions): Promise<inbound.Workflow> {
    return this.#transport.json({ method: "GET", path: path`/v1/workflows/${workflow}` }, options);
  }

  /** Deletes a workflow with its triggers. Runs that are under way are cancelled. */
  delete(workflow: string, options?: RequestOptions): Promise<void> {
    return this.#transport.json({ method: "DELETE", path: path`/v1/workflows/${workflow}` }, options);
  }

  /** Creates a trigger. The answer holds the URL of a webhook and, this once, its secret. */
  createTrigger(workflow: string, trigger: inbound.NewTrigger, options?: CreateOptions): Promise<inbound.Trigger> {
    const call = { method: "POST", path: path`/v1/workflows/${workflow}/triggers`, body: trigger, repeat: "key" } as const;
    return this.#transport.json(call, options);
  }

  /** The triggers of a workflow. */
  triggers(
    workflow: string,
    query?: { limit?: number; cursor?: string },
    options?: RequestOptions,
  ): List<inbound.Trigger> {
    return this.#transport.list(path`/v1/workflows/${workflow}/triggers`, query, options);
  }

  /** One trigger. */
  getTrigger(workflow: string, trigger: string, options?: RequestOptions): Promise<inbound.Trigger> {
    return this.#transport.json({ method: "GET", path: path`/v1/workflows/${workflow}/triggers/${trigger}` }, options);
  }

  /** Changes what is given of a trigger. */
  updateTrigger(
    workflow: string,
    trigger: string,
    patch: inbound.TriggerPatch,
    options?: RequestOptions,
  ): Promise<inbound.Trigger> {
    const at = path`/v1/workflows/${workflow}/triggers/${trigger}`;
    return this.#transport.json({ method: "PATCH", path: at, body: patch }, options);
  }

  /** Deletes a trigger. Its runs stay. */
  deleteTrigger(workflow: string, trigger: string, options?: RequestOptions): Promise<void> {
    return this.#transport.json({ method: "DELETE", path: path`/v1/workflows/${workflow}/triggers/${trigger}` }, options);
  }

  /** Gives a webhook trigger a new secret; the old one is still taken for a while. The answer shows it, this once. */
  rotateTriggerSecret(
    workflow: string,
    trigger: string,
    rotation: inbound.TriggerSecretRotation = {},
    options?: CreateOptions,
  ): Promise<inbound.Trigger> {
    const at = path`/v1/workflows/${workflow}/triggers/${trigger}/secret/rotate`;
    return this.#transport.json({ method: "POST", path: at, body: rotation, repeat: "key" }, options);
  }

  /** Gives a webhook trigger a new URL; the old one is gone. */
  rotateTriggerSlug(workflow: string, trigger: string, options?: RequestOptions): Promise<inbound.Trigger> {
    const at = path`/v1/workflows/${workflow}/triggers/${trigger}/slug/rotate`;
    return this.#transport.json({ method: "POST", path: at }, options);
  }

  /** What a webhook trigger would make of a request. Nothing is started. */
  testTrigger(
    workflow: string,
    trigger: string,
    request: inbound.TriggerTest,
    options?: RequestOptions,
  ): Promise<inbound.TriggerTested> {
    const at = path`/v1/workflows/${workflow}/triggers/${trigger}/test`;
    return this.#transport.json({ method: "POST", path: at, body: request, repeat: "safe" }, options);
  }

  /** The runs of a workflow, newest first. A number is how many. */
  runs(workflow: string, query?: number | inbound.RunsQuery, options?: RequestOptions): List<inbound.Run> {
    const limited = typeof query === "number" ? { limit: query } : query;
    return this.#transport.list(path`/v1/workflows/${workflow}/runs`, limited, options);
  }

  /** Starts a run by hand. */
  startRun(workflow: string, run: inbound.NewRun = {}, options?: CreateOptions): Promise<inbound.RunStarted> {
    const at = path`/v1/workflows/${workflow}/runs`;
    return this.#transport.json({ method: "POST", path: at, body: run, repeat: "key" }, options);
  }
}

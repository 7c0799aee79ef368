import { Audit, Jobs, Keys, Ledger, Scans, Tenants } from "./resources/administration.js";
import { EventTypes, Profiles } from "./resources/catalogue.js";
import { Connections } from "./resources/connections.js";
import { Deliveries } from "./resources/deliveries.js";
import { Events } from "./resources/events.js";
import { Inboxes } from "./resources/inboxes.js";
import { PortalSessions } from "./resources/portal-sessions.js";
import { Records } from "./resources/records.js";
import { Requests } from "./resources/requests.js";
import { Runs } from "./resources/runs.js";
import { Secrets } from "./resources/secrets.js";
import { Webhooks } from "./resources/webhooks.js";
import { Workflows } from "./resources/workflows.js";
import { Transport, type PostriderOptions } from "./transport.js";

/**
 * Postrider's API.
 *
 * ```
 * const rt = new Postrider({ apiKey, baseUrl: "https://hooks.example.com" });
 * ```
 */
export class Postrider {
  /** Workflows, their triggers and their runs. */
  readonly workflows: Workflows;
  /** Runs of any workflow. */
  readonly runs: Runs;
  /** What came to webhook triggers. */
  readonly requests: Requests;
  /** Secrets that steps use. */
  readonly secrets: Secrets;
  /** Connections to other products, by OAuth 2. */
  readonly connections: Connections;
  /** Where the tenant's events go. */
  readonly webhooks: Webhooks;
  /** What happened. */
  readonly events: Events;
  /** One event to one webhook, each. */
  readonly deliveries: Deliveries;
  /** The types that events may have. */
  readonly eventTypes: EventTypes;
  /** The application's own objects. */
  readonly records: Records;
  /** The customers of the product. */
  readonly tenants: Tenants;
  /** API keys. */
  readonly keys: Keys;
  /** The portal, for people of a tenant. */
  readonly inboxes: Inboxes;
  readonly portalSessions: PortalSessions;
  /** Wire contracts. */
  readonly profiles: Profiles;
  /** What became of all that was accepted. */
  readonly ledger: Ledger;
  /** Who changed what. */
  readonly audit: Audit;
  /** The daily look at what came due. */
  readonly scans: Scans;
  /** Work that takes longer than a request. */
  readonly jobs: Jobs;
  readonly #options: PostriderOptions;

  /** Sends nothing yet. A base URL that is none is a `TypeError`. */
  constructor(options: PostriderOptions) {
    const transport = new Transport(options);
    this.#options = options;
    this.workflows = new Workflows(transport);
    this.runs = new Runs(transport);
    this.requests = new Requests(transport);
    this.secrets = new Secrets(transport);
    this.connections = new Connections(transport);
    this.webhooks = new Webhooks(transport);
    this.events = new Events(transport);
    this.deliveries = new Deliveries(transport);
    this.eventTypes = new EventTypes(transport);
    this.records = new Records(transport);
    this.tenants = new Tenants(transport);
    this.keys = new Keys(transport);
    this.inboxes = new Inboxes(transport);
    this.portalSessions = new PortalSessions(transport);
    this.profiles = new Profiles(transport);
    this.ledger = new Ledger(transport);
    this.audit = new Audit(transport);
    this.scans = new Scans(transport);
    this.jobs = new Jobs(transport);
  }

  /** The same with another tenant, for keys that are bound to none. */
  forTenant(tenant: string): Postrider {
    return new Postrider({ ...this.#options, tenant });
  }
}

import type * as api from "../generated.js";
import type { List } from "../list.js";
import { path, type CreateOptions, type RequestOptions, type Transport } from "../transport.js";

/** The customers of the product. */
export class Tenants {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Creates a tenant. */
  create(tenant: api.NewTenant, options?: CreateOptions): Promise<api.Tenant> {
    return this.#transport.json({ method: "POST", path: "/v1/tenants", body: tenant, repeat: "key" }, options);
  }

  /** All tenants. */
  list(query?: api.GetTenantsQuery, options?: RequestOptions): List<api.Tenant> {
    return this.#transport.list("/v1/tenants", query, options);
  }

  /** One tenant with its settings. */
  get(tenant: string, options?: RequestOptions): Promise<api.Tenant> {
    return this.#transport.json({ method: "GET", path: path`/v1/tenants/${tenant}` }, options);
  }

  /** Changes what is given of a tenant. Settings are merged; null removes one. */
  update(tenant: string, patch: api.TenantPatch, options?: RequestOptions): Promise<api.Tenant> {
    return this.#transport.json({ method: "PATCH", path: path`/v1/tenants/${tenant}`, body: patch }, options);
  }

  /** Deletes a tenant and all that belongs to it, as a job. */
  delete(tenant: string, options?: RequestOptions): Promise<api.Job> {
    return this.#transport.json({ method: "DELETE", path: path`/v1/tenants/${tenant}` }, options);
  }
}

/** API keys. */
export class Keys {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Creates a key. The answer shows it, this once. */
  create(key: api.NewKey, options?: CreateOptions): Promise<api.KeyCreated> {
    return this.#transport.json({ method: "POST", path: "/v1/keys", body: key, repeat: "key" }, options);
  }

  /** All keys, with their last use. */
  list(query?: api.GetKeysQuery, options?: RequestOptions): List<api.Key> {
    return this.#transport.list("/v1/keys", query, options);
  }

  /** Revokes a key. */
  revoke(key: string, options?: RequestOptions): Promise<void> {
    return this.#transport.json({ method: "DELETE", path: path`/v1/keys/${key}` }, options);
  }
}

/** What became of all that was accepted. */
export class Ledger {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** The counts; `balanced` says whether they add up. */
  get(options?: RequestOptions): Promise<api.Ledger> {
    return this.#transport.json({ method: "GET", path: "/v1/ledger" }, options);
  }
}

/** Who changed what. */
export class Audit {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Changes of the configuration, newest first. */
  list(query?: api.GetAuditQuery, options?: RequestOptions): List<api.AuditEntry> {
    return this.#transport.list("/v1/audit", query, options);
  }
}

/** The daily look at what came due. */
export class Scans {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Does the tenant's scan now. */
  run(options?: RequestOptions): Promise<api.Scan> {
    return this.#transport.json({ method: "POST", path: "/v1/scans/run", body: {}, repeat: "unsafe" }, options);
  }

  /** The scans that found something. */
  list(query?: api.GetScansQuery, options?: RequestOptions): List<api.ScanRow> {
    return this.#transport.list("/v1/scans", query, options);
  }
}

/** Work that takes longer than a request. */
export class Jobs {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Where a job stands. */
  get(job: string, options?: RequestOptions): Promise<api.Job> {
    return this.#transport.json({ method: "GET", path: path`/v1/jobs/${job}` }, options);
  }
}

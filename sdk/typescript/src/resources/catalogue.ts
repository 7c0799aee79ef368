import type * as api from "../generated.js";
import type { List } from "../list.js";
import { path, type CreateOptions, type RequestOptions, type Transport } from "../transport.js";

/** The event types that a tenant's profile and registrations have. */
export class EventTypes {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Registers an event type, where the profile's catalogue is open. */
  create(type: api.NewEventType, options?: RequestOptions): Promise<api.EventType> {
    return this.#transport.json({ method: "POST", path: "/v1/event-types", body: type, repeat: "unsafe" }, options);
  }

  /** All event types, with schema and example. */
  list(query?: api.GetEventTypesQuery, options?: RequestOptions): List<api.EventType> {
    return this.#transport.list("/v1/event-types", query, options);
  }

  /** One event type. */
  get(type: string, options?: RequestOptions): Promise<api.EventType> {
    return this.#transport.json({ method: "GET", path: path`/v1/event-types/${type}` }, options);
  }

  /** Takes a registered event type away. */
  delete(type: string, options?: RequestOptions): Promise<void> {
    return this.#transport.json({ method: "DELETE", path: path`/v1/event-types/${type}` }, options);
  }
}

/** Wire contracts. */
export class Profiles {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Stores a profile. */
  create(profile: api.ProfileSource, options?: CreateOptions): Promise<api.ProfileStored> {
    return this.#transport.json({ method: "POST", path: "/v1/profiles", body: profile, repeat: "key" }, options);
  }

  /** All profiles, without their sources. */
  list(query?: api.GetProfilesQuery, options?: RequestOptions): List<api.Profile> {
    return this.#transport.list("/v1/profiles", query, options);
  }

  /** One profile with its source. */
  get(profile: string, options?: RequestOptions): Promise<api.Profile> {
    return this.#transport.json({ method: "GET", path: path`/v1/profiles/${profile}` }, options);
  }

  /** Gives a stored profile another source. */
  put(profile: string, source: api.ProfileSource, options?: RequestOptions): Promise<api.ProfileStored> {
    return this.#transport.json({ method: "PUT", path: path`/v1/profiles/${profile}`, body: source }, options);
  }
}

// A request as it came, before anything of it is believed: its headers, its raw body, and values looked up inside.

import { WebhookVerificationError } from "../errors.js";
import { utf8 } from "./encoding.js";

/** Headers as runtimes have them: a `Headers`, Node's object, or pairs of name and value. */
export type WebhookHeaders =
  | Iterable<readonly [string, string]>
  | Readonly<Record<string, string | readonly string[] | undefined>>;

/** A webhook as it was received. */
export interface WebhookRequest {
  /** All headers; names compare without case. */
  headers: WebhookHeaders;
  /** The raw body, as it came: not parsed and written again. */
  body: string | Uint8Array | ArrayBuffer;
  /** The URL that the sender was given, with the query; from your configuration, not from `Host`. Some sign it. */
  url?: string | undefined;
  /** `POST` when absent. */
  method?: string | undefined;
}

/** Headers whose names compare without case. */
export class HeaderList {
  readonly #values = new Map<string, string[]>();
  /** Whether values of one name were put together with commas before we saw them. */
  readonly #joined: boolean;

  constructor(headers: WebhookHeaders) {
    this.#joined = !Array.isArray(headers);
    const pairs = Symbol.iterator in headers ? headers : Object.entries(headers);
    for (const [name, value] of pairs as Iterable<readonly [string, string | readonly string[] | undefined]>) {
      const values = this.#values.get(name.toLowerCase()) ?? [];
      this.#values.set(name.toLowerCase(), values.concat(value ?? []));
    }
  }

  /** Whether a header stands more than once. `commaTells`: its values hold no comma and space, so that one was put there. */
  isDoubled(name: string, commaTells: boolean): boolean {
    const values = this.#values.get(name.toLowerCase()) ?? [];
    return values.length > 1 || (commaTells && this.#joined && values.some((value) => value.includes(", ")));
  }

  /** A header that may stand once, without the spaces around it. */
  one(name: string): string | undefined {
    const values = this.#values.get(name.toLowerCase()) ?? [];
    if (values.length > 1) {
      const message = `The header ${name} stands more than once; one of them may be somebody else's`;
      throw new WebhookVerificationError("header_doubled", message);
    }
    return values[0]?.trim();
  }
}

/** What a body is by its content type; `undefined` for what is neither. */
export type Kind = "json" | "form" | undefined;

/** A request, with its body as JSON once somebody needed that. */
export class Incoming {
  readonly headers: HeaderList;
  readonly body: Uint8Array;
  readonly method: string;
  readonly #url: string | undefined;
  #json: { value: unknown } | undefined;

  constructor({ headers, body, url, method = "POST" }: WebhookRequest) {
    this.headers = new HeaderList(headers);
    this.body = bytesOf(body);
    this.method = method.toUpperCase();
    this.#url = url;
  }

  /** The URL, for those who sign it. */
  get url(): string {
    if (this.#url !== undefined) return this.#url;
    const message = "This sender signs the URL that it was given: pass it as `url`, from your configuration";
    throw new WebhookVerificationError("url_missing", message);
  }

  get kind(): Kind {
    const media = (this.headers.one("content-type") ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
    if (["", "application/json", "text/json", "text/plain"].includes(media) || media.endsWith("+json")) return "json";
    return media === "application/x-www-form-urlencoded" ? "form" : undefined;
  }

  /**
   * The body as JSON whose numbers are texts as they were written, since so they are signed; `undefined` where it is no JSON, or
   * says that it is something else.
   */
  get json(): unknown {
    this.#json ??= { value: this.kind === "json" ? parseJson(this.body, quoteNumbers) : undefined };
    return this.#json.value;
  }

  /** The fields of a form, in their order; none for a body that is no form. */
  get form(): [name: string, value: string][] {
    if (this.kind !== "form") return [];
    // The question mark is what URLSearchParams takes away, so that it does not take one of the body's.
    return [...new URLSearchParams(`?${new TextDecoder().decode(this.body)}`)];
  }

  /** The body as its receiver wants it: JSON as a value, a form as an object, anything else as text. */
  get payload(): unknown {
    if (this.kind !== "form") {
      const json = this.kind === "json" ? parseJson(this.body) : undefined;
      return json === undefined ? new TextDecoder().decode(this.body) : json;
    }
    const fields = new Map<string, string | string[]>();
    for (const [name, value] of this.form) {
      const known = fields.get(name);
      fields.set(name, known === undefined ? value : [known, value].flat());
    }
    return Object.fromEntries(fields);
  }
}

function bytesOf(body: WebhookRequest["body"]): Uint8Array {
  if (typeof body === "string") return utf8(body);
  // Not by `instanceof`: test runners and workers hand over what another realm has made.
  if (ArrayBuffer.isView(body)) return new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
  if (Object.prototype.toString.call(body) === "[object ArrayBuffer]") return new Uint8Array(body);
  throw new TypeError("The body must be raw: a string, a Uint8Array or an ArrayBuffer, not what was parsed of it");
}

function parseJson(body: Uint8Array, change?: (json: string) => string): unknown {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body);
    const json: unknown = JSON.parse(text);
    return change === undefined ? json : JSON.parse(change(text));
  } catch {
    return undefined;
  }
}

/** Makes texts of the numbers of a JSON text, which must be one. */
function quoteNumbers(json: string): string {
  return json.replace(/"(?:[^"\\]+|\\.)*"|-?\d[\d.eE+-]*/g, (token) => (token.startsWith('"') ? token : `"${token}"`));
}

/** The values at a path such as `data.id`, `items[].id`, `[].id`. One that is missing is `undefined`, not left out. */
export function findAll(path: string, json: unknown): unknown[] {
  let found = [json];
  for (const step of path.split(".")) {
    const each = step.endsWith("[]");
    const key = each ? step.slice(0, -2) : step;
    found = found.flatMap((value) => {
      const member = key === "" ? value : memberOf(value, key);
      if (!each) return [member];
      return Array.isArray(member) ? (member as unknown[]) : [undefined];
    });
  }
  return found;
}

function memberOf(value: unknown, key: string): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value) || !Object.hasOwn(value, key)) return undefined;
  return (value as Record<string, unknown>)[key];
}

/** A scalar of {@link Incoming.json} as it is signed or compared: nothing for null. `undefined` for objects and lists. */
export function scalar(value: unknown): string | undefined {
  if (value === null) return "";
  return typeof value === "string" || typeof value === "boolean" ? String(value) : undefined;
}

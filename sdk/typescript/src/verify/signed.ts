// The text that a sender signs, and the text by which a request is known again.

import { WebhookVerificationError } from "../errors.js";
import { headerBytes, utf8 } from "./encoding.js";
import type { Piece } from "./keys.js";
import { findAll, scalar, type Incoming } from "./request.js";

/** What stands beside a signature. */
export interface Values {
  readonly timestamp: string | undefined;
  readonly id: string | undefined;
  /** The body, or the item of it. */
  readonly json: unknown;
}

/** The signed text of a request, piece by piece. */
export function render(template: string, incoming: Incoming, values: Values): Piece[] {
  return tokens(template).map(({ text, inner }) => (inner === undefined ? utf8(text) : piece(inner, incoming, values)));
}

function piece(inner: string, incoming: Incoming, values: Values): Piece {
  switch (inner) {
    case "body":
      return incoming.body;
    case "secret":
      return "secret";
    case "method":
      return utf8(incoming.method);
    case "url":
      return utf8(incoming.url);
    case "url|hubspot-decoded":
      return utf8(hubspotDecoded(incoming.url));
    case "form|sorted":
      return utf8(formSorted(incoming.form));
    case "timestamp":
      return headerBytes(values.timestamp ?? refuse("timestamp_missing", "The time that is signed is missing"));
    case "id":
      return headerBytes(values.id ?? refuse("header_missing", "The id that is signed is missing"));
    default:
      break;
  }
  const [, kind, name = "", optional] = /^(json|header):(.*?)(\?)?$/.exec(inner) ?? [];
  if (kind === "header") {
    return headerBytes(incoming.headers.one(name) ?? refuse("header_missing", `There is no header ${name}, which is signed`));
  }
  if (kind !== "json") throw new TypeError(`There is no placeholder {${inner}}`);
  const value = findAll(name, values.json)[0];
  const text = value === undefined && optional ? "" : scalar(value);
  return utf8(text ?? refuse("body_malformed", `The body has no text or number at \`${name}\`, which is signed`));
}

function refuse(code: "timestamp_missing" | "header_missing" | "body_malformed", message: string): never {
  throw new WebhookVerificationError(code, message);
}

/** Text and placeholders, one after another. */
function tokens(template: string): { text: string; inner?: string }[] {
  return [...template.matchAll(/\{([^{}]+)\}|[^{}]+/g)].map(([text, inner]) =>
    inner === undefined ? { text } : { text, inner },
  );
}

/** The URL with the characters decoded that HubSpot decodes before it signs, and no others. */
function hubspotDecoded(url: string): string {
  return url.replace(/%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)/g, (escape) => decodeURIComponent(escape));
}

/** The fields of a form by name, each name directly followed by its value; the same field only once. */
function formSorted(fields: [name: string, value: string][]): string {
  const compare = (a: string, b: string) => (a < b ? -1 : Number(a > b));
  const sorted = [...fields].sort((a, b) => compare(a[0], b[0]) || compare(a[1], b[1]));
  const once = sorted.filter(([name, value], at) => sorted[at - 1]?.[0] !== name || sorted[at - 1]?.[1] !== value);
  return once.flat().join("");
}

/** By what a request is known again: the first template of which every part is there. */
export function requestId(templates: readonly string[], incoming: Incoming, id: string | undefined): string | undefined {
  for (const template of templates) {
    const parts = tokens(template).map(({ text, inner }) => (inner === undefined ? text : idPart(inner, incoming, id)));
    if (parts.every(Boolean)) return parts.join("");
  }
  return undefined;
}

function idPart(inner: string, incoming: Incoming, id: string | undefined): string | undefined {
  if (inner === "id") return id;
  const name = inner.slice(inner.indexOf(":") + 1);
  if (inner.startsWith("header:")) return incoming.headers.one(name);
  const found = findAll(name, incoming.payload).filter((value) => value !== undefined);
  return found.every((value) => typeof value === "string" || typeof value === "number") ? found.join(",") : undefined;
}

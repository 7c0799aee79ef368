// The one verifier. Senders are data; here is the order in which a request is looked at.
//
// The raw bytes are verified before anything of them is handed out. Only where a sender puts its signature into the body is
// that looked for first.

import { WebhookVerificationError } from "../errors.js";
import { FARTHEST, type WebhookVerificationCode } from "./codes.js";
import { digest, keyOf, signatureBytes, type Key, type Piece } from "./keys.js";
import { equal, fromHex, headerBytes, utf8 } from "./encoding.js";
import { findAll, Incoming, scalar, type WebhookRequest } from "./request.js";
import type { Place, Scheme, Sender } from "./scheme.js";
import { PRESETS, PROFILES, type PresetName, type ProfileName } from "./schemes.js";
import { render, requestId } from "./signed.js";

/** What a webhook is checked against. */
export type VerifyOptions = VerifyLimits &
  (
    | { /** Who sends: a Postrider, with this profile. */ profile: ProfileName }
    | { /** Who sends: this provider. */ preset: PresetName }
    | { /** Who sends: somebody who signs in this way. */ scheme: Scheme }
  );

interface VerifyLimits {
  /** The secret, or during a rotation all of them: a webhook is believed that any of them signed. */
  secrets: string | readonly string[];
  /** How far the signed time may be from now, in seconds. The sender's usual one when absent; most have 300. */
  tolerance?: number | undefined;
  /** Instead of the clock. */
  now?: Date | undefined;
}

/** A webhook that is to be believed. */
export interface VerifiedWebhook<T> {
  /**
   * By what the webhook is known again when it is sent once more. Take care: where senders put it into a header that they do
   * not sign, as GitHub does, only its sender can be trusted to leave it alone.
   */
  id: string | undefined;
  /** The signed time, where there is one. */
  timestamp: Date | undefined;
  /** The body: JSON as a value, a form as an object, anything else as text. */
  payload: T;
}

/** More than a sender that rotates has. Public keys hash the body for each. */
const SIGNATURES_MAX = 8;
const SIGNATURE_HEADER_LENGTH_MAX = 8 * 1024;
/** Items of one body that are signed one by one. */
const ITEMS_MAX = 1000;

/**
 * Tells whether a webhook comes from whom it says, and gives its content if so.
 *
 * ```
 * const { payload } = await verifyWebhook(
 *   { headers: request.headers, body: await request.text() },
 *   { profile: "standard", secrets: secret },
 * );
 * ```
 *
 * @throws {WebhookVerificationError} if it must not be believed: answer 401, or 400.
 */
export async function verifyWebhook<T = unknown>(
  request: WebhookRequest,
  options: VerifyOptions,
): Promise<VerifiedWebhook<T>> {
  const sender = senderOf(options);
  const secrets = [options.secrets].flat();
  if (secrets.length === 0) throw refusal("secret_invalid", "There must be at least one secret");
  const keys = await Promise.all(secrets.map((secret) => keyOf(sender, secret)));
  const incoming = new Incoming(request);
  const { scheme, id, timestamp } = await verify(sender, keys, incoming, options);
  return {
    id: requestId(scheme.dedup ?? sender.dedup, incoming, id),
    timestamp,
    payload: incoming.payload as T,
  };
}

function senderOf(options: VerifyOptions): Sender {
  if ("scheme" in options) {
    const covers = /\{(body|form\|sorted|json:[^}]+)\}/.test(options.scheme.signed);
    if (!covers && !isToken(options.scheme)) throw new TypeError("A scheme that signs nothing of the body accepts any body");
    return { schemes: [options.scheme], dedup: options.scheme.id ? ["{id}"] : [] };
  }
  const table: Record<string, Sender> = "profile" in options ? PROFILES : PRESETS;
  const name = "profile" in options ? options.profile : options.preset;
  const sender = Object.hasOwn(table, name) ? table[name] : undefined;
  if (sender === undefined) throw new TypeError(`${name} is none of ${Object.keys(table).join(", ")}`);
  return sender;
}

/** The first way of signing that holds; else the refusal of the one that came farthest. */
async function verify(
  sender: Sender,
  keys: readonly Key[],
  incoming: Incoming,
  options: VerifyLimits,
): Promise<Held> {
  let farthest = refusal("signature_missing", "There is no signature");
  for (const scheme of sender.schemes) {
    const holders = keys.filter((key) => key.scheme === scheme);
    if (holders.length === 0) continue;
    const names = scheme.signature.header ?? [];
    // Doubled is refused even where another header would do: one of the two is not the sender's.
    const doubled = names.find((name) => incoming.headers.isDoubled(name, !isToken(scheme)));
    if (doubled !== undefined) throw refusal("signature_doubled", `The header ${doubled} stands more than once`);
    for (let variant = 0; variant < Math.max(names.length, 1); variant++) {
      try {
        return await verifyVariant(scheme, variant, holders, incoming, options);
      } catch (error) {
        if (!(error instanceof WebhookVerificationError) || error.code === "url_missing") throw error;
        if (FARTHEST.indexOf(error.code) > FARTHEST.indexOf(farthest.code)) farthest = error;
      }
    }
  }
  throw farthest;
}

/** What is known of a request that holds. */
interface Held {
  scheme: Scheme;
  id: string | undefined;
  timestamp: Date | undefined;
}

async function verifyVariant(
  scheme: Scheme,
  variant: number,
  keys: readonly Key[],
  incoming: Incoming,
  options: VerifyLimits,
): Promise<Held> {
  const { signed, timestamp: text, id } = await read(scheme, variant, incoming);
  for (const { pieces, signatures } of signed) {
    const verdicts = await Promise.all(keys.map((key) => key.holds(pieces, signatures)));
    if (!verdicts.includes(true)) {
      const what = isToken(scheme) ? "The token" : "The signature";
      throw refusal("signature_mismatch", `${what} does not match: it is of another secret, or the body was changed`);
    }
  }
  if (scheme.timestamp === undefined) return { scheme, id, timestamp: undefined };
  const timestamp = readTime(scheme.timestamp.unit, text ?? lateTime(scheme.timestamp, incoming));
  const tolerance = options.tolerance ?? scheme.timestamp.toleranceSeconds;
  if (tolerance !== null) checkWindow(timestamp, options.now ?? new Date(), tolerance);
  return { scheme, id, timestamp };
}

/** What is to be checked: signatures with what each of them is over, and the values that stand beside. */
interface Check {
  /** One of the signatures must be over the pieces. */
  signed: { pieces: Piece[]; signatures: Uint8Array[] }[];
  timestamp: string | undefined;
  id: string | undefined;
}

async function read(scheme: Scheme, variant: number, incoming: Incoming): Promise<Check> {
  if (scheme.signature.header === undefined) return readBody(scheme, incoming);
  const name = scheme.signature.header[variant] ?? "";
  const value = incoming.headers.one(name);
  if (value === undefined) throw refusal("signature_missing", `There is no header ${name}`);
  const { signatures, time } = splitSignatures(scheme, name, value);
  const timestamp = time ?? earlyTime(scheme, variant, incoming);
  if (timestamp !== undefined && scheme.timestamp) readTime(scheme.timestamp.unit, timestamp);
  const id = scheme.id && idOf(scheme.id, variant, incoming);
  await checkBodySigned(scheme, incoming);
  const json = scheme.signed.includes("{json:") ? incoming.json : undefined;
  return { signed: [{ pieces: render(scheme.signed, incoming, { timestamp, id, json }), signatures }], timestamp, id };
}

/** The same where the signature stands in the body, once for the whole or once for each item. */
function readBody(scheme: Scheme, incoming: Incoming): Check {
  const path = scheme.signature.json ?? "";
  if (incoming.json === undefined) throw refusal("body_malformed", "The signature stands in the body, which is not JSON");
  const items = scheme.items === undefined ? [incoming.json] : findAll(scheme.items, incoming.json);
  if (items.length === 0 || items.length > ITEMS_MAX) {
    throw refusal("body_malformed", `\`${scheme.items}\` of the body must have 1 to ${ITEMS_MAX} entries`);
  }
  const timestamp = earlyTime(scheme, 0, incoming);
  if (timestamp !== undefined && scheme.timestamp) readTime(scheme.timestamp.unit, timestamp);
  const id = scheme.id && idOf(scheme.id, 0, incoming);
  const signed = items.map((item) => {
    const text = scalar(findAll(path, item)[0]);
    if (!text) throw refusal("signature_missing", `The body has no \`${path}\``);
    const signatures = [oneSignature(scheme, `\`${path}\` of the body`, text, utf8)];
    return { pieces: render(scheme.signed, incoming, { timestamp, id, json: item }), signatures };
  });
  return { signed, timestamp, id };
}

/** The signatures of a header, and the time where that stands among them. */
function splitSignatures(scheme: Scheme, name: string, value: string): { signatures: Uint8Array[]; time?: string } {
  const place = `the header ${name}`;
  if (value.length > SIGNATURE_HEADER_LENGTH_MAX) {
    throw refusal("signature_malformed", `In ${place} stand more than ${SIGNATURE_HEADER_LENGTH_MAX} characters`);
  }
  const { separator, prefix } = scheme.signature;
  if (separator === undefined) return { signatures: [oneSignature(scheme, place, value, headerBytes)] };
  const parts = value.split(separator).map((part) => part.trim());
  const texts = parts.filter((part) => withoutPrefix(part, prefix) !== undefined);
  if (texts.length > SIGNATURES_MAX) {
    throw refusal("signature_malformed", `In ${place} stand more than ${SIGNATURES_MAX} signatures`);
  }
  const timePrefix = scheme.timestamp?.part;
  const times = parts.filter((part) => timePrefix !== undefined && part.startsWith(timePrefix) && !texts.includes(part));
  if (times.length > 1) throw refusal("header_doubled", `In ${place} stand two times`);
  const signatures: Uint8Array[] = [];
  let fault = refusal("scheme_unknown", `In ${place} nothing begins with \`${prefix}\``);
  for (const text of texts) {
    try {
      signatures.push(oneSignature(scheme, place, text, headerBytes));
    } catch (error) {
      fault = error as WebhookVerificationError;
    }
  }
  if (signatures.length === 0) throw fault;
  if (timePrefix === undefined) return { signatures };
  if (times[0] === undefined) throw refusal("timestamp_missing", `In ${place} stands no time`);
  return { signatures, time: times[0].slice(timePrefix.length) };
}

function oneSignature(
  scheme: Scheme,
  place: string,
  text: string,
  bytesOf: (text: string) => Uint8Array,
): Uint8Array {
  const { prefix, encoding } = scheme.signature;
  const rest = withoutPrefix(text, prefix);
  if (rest === undefined) throw refusal("scheme_unknown", `In ${place} nothing begins with \`${prefix}\``);
  const bytes = signatureBytes(scheme, rest.trim(), bytesOf);
  if (bytes === undefined) throw refusal("signature_malformed", `What stands in ${place} is no signature in ${encoding}`);
  return bytes;
}

function withoutPrefix(text: string, prefix: string): string | undefined {
  const head = text.slice(0, prefix.length);
  return head.toLowerCase() === prefix.toLowerCase() ? text.slice(prefix.length) : undefined;
}

/** The text of the time, where it must be known before the signature is checked. */
function earlyTime({ timestamp, signed }: Scheme, variant: number, incoming: Incoming): string | undefined {
  if (timestamp === undefined || timestamp.part !== undefined) return undefined;
  const { json } = timestamp;
  const late = json !== undefined && !signed.includes("{timestamp}") && !signed.includes(`{json:${json}}`);
  if (late) return undefined;
  return textAt(timestamp, variant, incoming) ?? fail("timestamp_missing", "There is no time, which is signed");
}

/** The time in a body that is signed as a whole: looked for only when that holds. */
function lateTime(place: Place, incoming: Incoming): string {
  return textAt(place, 0, incoming) ?? fail("timestamp_missing", `The body has no time at \`${place.json}\``);
}

function idOf(place: Place, variant: number, incoming: Incoming): string {
  return textAt(place, variant, incoming) ?? fail("header_missing", "There is no id, which is signed");
}

function textAt({ header, json }: Place, variant: number, incoming: Incoming): string | undefined {
  if (json !== undefined) return scalar(findAll(json, incoming.json)[0]) || undefined;
  return incoming.headers.one(header?.[variant] ?? header?.[0] ?? "") || undefined;
}

function fail(code: WebhookVerificationCode, message: string): never {
  throw refusal(code, message);
}

/** Digits only: neither signs nor fractions nor spaces. */
function readTime(unit: "s" | "ms" | "rfc3339", text: string): Date {
  const forms = {
    s: /^\d{1,12}$/,
    ms: /^\d{1,15}$/,
    rfc3339: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/i,
  };
  // Dates have milliseconds, and not every engine reads more digits than these.
  const moment = unit === "rfc3339" ? Date.parse(text.replace(/(\.\d{3})\d+/, "$1")) : Number(text) * (unit === "s" ? 1000 : 1);
  if (!forms[unit].test(text) || Number.isNaN(moment)) {
    const expected = { s: "seconds since 1970", ms: "milliseconds since 1970", rfc3339: "like 2026-01-31T09:30:00Z" };
    throw refusal("timestamp_malformed", `The time is not ${expected[unit]}`);
  }
  return new Date(moment);
}

function checkWindow(time: Date, now: Date, toleranceSeconds: number): void {
  const ahead = time.getTime() - now.getTime();
  if (Math.abs(ahead) <= toleranceSeconds * 1000) return;
  const [code, word] = ahead < 0 ? (["timestamp_old", "before"] as const) : (["timestamp_future", "after"] as const);
  const seconds = Math.floor(Math.abs(ahead) / 1000);
  throw refusal(code, `It was signed ${seconds} seconds ${word} now; ${toleranceSeconds} are allowed`);
}

/**
 * Where a form is signed field by field, a body that is no form must be covered by its hash in the signed URL: otherwise a change
 * of the content type would make any body pass.
 */
async function checkBodySigned(scheme: Scheme, incoming: Incoming): Promise<void> {
  const { signed, bodyHashQuery } = scheme;
  if (bodyHashQuery !== undefined) {
    const query = incoming.url.split("#")[0]?.split("?").slice(1).join("?") ?? "";
    const given = new URLSearchParams(`?${query}`).getAll(bodyHashQuery);
    if (given.length > 0) {
      const hash = given.length === 1 ? fromHex(given[0] ?? "") : undefined;
      if (hash !== undefined && equal(hash, await digest(incoming.body))) return;
      throw refusal("body_unsigned", "The hash in the query is not the one of this body");
    }
  }
  const covered = !signed.includes("{form|sorted}") || signed.includes("{body}") || incoming.body.length === 0;
  if (!covered && incoming.kind !== "form") {
    throw refusal("body_unsigned", "The body is no form, and no hash of it is signed");
  }
}

function isToken({ algorithm }: Scheme): boolean {
  return algorithm === "token" || algorithm === "basic";
}

function refusal(code: WebhookVerificationCode, message: string): WebhookVerificationError {
  return new WebhookVerificationError(code, message);
}

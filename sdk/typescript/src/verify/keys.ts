// Keys: from a secret's text, and whether one of some signatures is theirs. By WebCrypto alone, so that it works everywhere.

import { WebhookVerificationError } from "../errors.js";
import { concat, equal, fromBase64, fromHex, utf8 } from "./encoding.js";
import type { Algorithm, KeyForm, Scheme, Sender } from "./scheme.js";

/** A piece of a signed text; the secret is put in by the key that has it. */
export type Piece = Uint8Array | "secret";

/** What signatures of a scheme are checked with. */
export interface Key {
  readonly scheme: Scheme;
  /** Whether one of the signatures is the one over the pieces. */
  readonly holds: (pieces: readonly Piece[], signatures: readonly Uint8Array[]) => Promise<boolean>;
}

const HMAC: Partial<Record<Algorithm, string>> = {
  "hmac-sha1": "SHA-1",
  "hmac-sha256": "SHA-256",
  "hmac-sha512": "SHA-512",
};
const PUBLIC: Partial<Record<Algorithm, { import: object; verify: object }>> = {
  ed25519: { import: { name: "Ed25519" }, verify: { name: "Ed25519" } },
  "ecdsa-p256-sha256": {
    import: { name: "ECDSA", namedCurve: "P-256" },
    verify: { name: "ECDSA", hash: "SHA-256" },
  },
  "rsa-sha256": {
    import: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
    verify: { name: "RSASSA-PKCS1-v1_5" },
  },
};
/** How many bytes a signature has, where that is fixed. */
const SIGNATURE_BYTES: Partial<Record<Algorithm, number>> = {
  "hmac-sha1": 20,
  "hmac-sha256": 32,
  sha256: 32,
  "hmac-sha512": 64,
  ed25519: 64,
};
const FORMS: Record<KeyForm, string> = {
  utf8: "text",
  whsec: "`whsec_` followed by 24 to 64 bytes in base64",
  whpk: "`whpk_` followed by an Ed25519 public key in base64",
  hex: "hexadecimal digits",
  base64: "base64",
  spki: "a public key: `-----BEGIN PUBLIC KEY-----`, or its base64",
  "user-password": "`username:password`",
};
const PREFIXES: Partial<Record<KeyForm, string>> = { whsec: "whsec_", whpk: "whpk_" };

/** The key of the first scheme that takes the secret. Errors never hold the secret. */
export async function keyOf(sender: Sender, secret: string): Promise<Key> {
  const forms = sender.schemes.map((scheme) => FORMS[scheme.key]);
  for (const scheme of sender.schemes) {
    const holds = typeof secret === "string" ? await parse(scheme, secret) : undefined;
    if (holds !== undefined) return { scheme, holds };
    const prefix = PREFIXES[scheme.key];
    // A secret with a scheme's own prefix is meant for it, and wrong; it is no token that looks alike.
    if (prefix !== undefined && String(secret).startsWith(prefix)) break;
  }
  throw new WebhookVerificationError("secret_invalid", `A secret must be ${[...new Set(forms)].join(", or ")}`);
}

/** The bytes of a signature; `undefined` for what cannot be one of the scheme. `bytesOf`: those of a text as it is. */
export function signatureBytes(
  scheme: Scheme,
  text: string,
  bytesOf: (text: string) => Uint8Array,
): Uint8Array | undefined {
  const decode = { hex: fromHex, base64: fromBase64, text: bytesOf }[scheme.signature.encoding];
  const bytes = decode(text);
  const length = SIGNATURE_BYTES[scheme.algorithm];
  if (bytes === undefined || bytes.length === 0) return undefined;
  return length === undefined || bytes.length === length ? bytes : undefined;
}

async function parse({ algorithm, key: form }: Scheme, secret: string): Promise<Key["holds"] | undefined> {
  const bytes = secretBytes(form, secret);
  if (bytes === undefined || bytes.length === 0) return undefined;
  const hash = HMAC[algorithm];
  if (hash !== undefined) return hmac(hash, bytes);
  if (PUBLIC[algorithm] !== undefined) return publicKey(algorithm, form, bytes);
  const shown = async (pieces: readonly Piece[]) =>
    algorithm === "sha256" ? digest(concat(pieces.map((piece) => (piece === "secret" ? bytes : piece)))) : bytes;
  return async (pieces, signatures) => {
    const expected = await shown(pieces);
    return signatures.some((signature) => equal(expected, signature));
  };
}

function secretBytes(form: KeyForm, secret: string): Uint8Array | undefined {
  switch (form) {
    case "utf8":
      return utf8(secret);
    case "user-password":
      return secret.indexOf(":") > 0 ? utf8(secret) : undefined;
    case "hex":
      return fromHex(secret);
    case "base64":
      return fromBase64(secret);
    case "spki":
      return fromBase64(secret.trim().replace(/^-----BEGIN PUBLIC KEY-----|-----END PUBLIC KEY-----$|\s/g, ""));
    case "whsec":
    case "whpk": {
      const prefix = `${form}_`;
      const bytes = secret.startsWith(prefix) ? fromBase64(secret.slice(prefix.length)) : undefined;
      const fits = bytes !== undefined && (form === "whpk" || (bytes.length >= 24 && bytes.length <= 64));
      return fits ? bytes : undefined;
    }
  }
}

async function hmac(hash: string, secret: Uint8Array): Promise<Key["holds"]> {
  const key = await crypto.subtle.importKey("raw", secret as BufferSource, { name: "HMAC", hash }, false, ["sign"]);
  return async (pieces, signatures) => {
    const expected = new Uint8Array(await crypto.subtle.sign("HMAC", key, message(pieces)));
    return signatures.some((signature) => equal(expected, signature));
  };
}

async function publicKey(
  algorithm: Algorithm,
  form: KeyForm,
  bytes: Uint8Array,
): Promise<Key["holds"] | undefined> {
  const parameters = PUBLIC[algorithm];
  if (parameters === undefined) return undefined;
  let key: CryptoKey;
  try {
    const format = form === "spki" ? "spki" : "raw";
    key = await crypto.subtle.importKey(format, bytes as BufferSource, parameters.import as WebAlgorithm, false, ["verify"]);
  } catch {
    return undefined;
  }
  const { modulusLength } = key.algorithm as { modulusLength?: number };
  if (modulusLength !== undefined && modulusLength < 2048) return undefined;
  return async (pieces, signatures) => {
    for (const signature of signatures) {
      const raw = algorithm === "ecdsa-p256-sha256" ? fromDer(signature) : signature;
      if (raw === undefined) continue;
      const verify = parameters.verify as WebAlgorithm;
      if (await crypto.subtle.verify(verify, key, raw as BufferSource, message(pieces))) return true;
    }
    return false;
  };
}

/** WebCrypto's idea of an algorithm. */
type WebAlgorithm = { name: string };

function message(pieces: readonly Piece[]): BufferSource {
  return concat(pieces.filter((piece) => piece !== "secret")) as BufferSource;
}

/** SHA-256. */
export async function digest(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as BufferSource));
}

/** An ECDSA signature of P-256 as WebCrypto takes it: two numbers of 32 bytes, from a SEQUENCE of two INTEGERs. */
function fromDer(der: Uint8Array): Uint8Array | undefined {
  const raw = new Uint8Array(64);
  if (der[0] !== 0x30 || der[1] !== der.length - 2) return undefined;
  let at = 2;
  for (const end of [32, 64]) {
    const length = der[at + 1] ?? 0;
    const number = der.subarray(at + 2, at + 2 + length);
    const first = number[0] ?? 0x80;
    const unpadded = first === 0 && number.length > 1 ? number.subarray(1) : number;
    const padded = unpadded.length < number.length;
    // Positive, and in the shortest form: a leading zero only where the number would be negative without.
    const shortest = first < 0x80 && (!padded || (unpadded[0] ?? 0) >= 0x80);
    if (der[at] !== 0x02 || number.length !== length || unpadded.length > 32 || !shortest) return undefined;
    raw.set(unpadded, end - unpadded.length);
    at += 2 + length;
  }
  return at === der.length ? raw : undefined;
}

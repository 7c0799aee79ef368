// How somebody signs webhooks, as data. The words are those of `presets/*.toml` and `profiles/*.toml`.

/** With what is signed. `token` and `basic` sign nothing: they show the secret itself. */
export type Algorithm =
  | "hmac-sha1"
  | "hmac-sha256"
  | "hmac-sha512"
  /** SHA-256 over a text that holds the secret. */
  | "sha256"
  | "ed25519"
  /** Signatures as ASN.1 DER. */
  | "ecdsa-p256-sha256"
  /** PKCS #1 v1.5. */
  | "rsa-sha256"
  | "token"
  | "basic";

/** How a secret's text stands for a key. */
export type KeyForm =
  /** The text's own bytes. */
  | "utf8"
  /** `whsec_` and 24 to 64 bytes in base64. */
  | "whsec"
  /** `whpk_` and an Ed25519 public key in base64. */
  | "whpk"
  | "hex"
  | "base64"
  /** A public key (SubjectPublicKeyInfo) as PEM, or the base64 inside it. */
  | "spki"
  /** `username:password`. */
  | "user-password";

/** Where a text stands: in a header, or at a path of the JSON body such as `data.id`. */
export interface Place {
  /** Several: the names that are used for the same thing. The first goes with the first of the signature, and so on. */
  readonly header?: readonly string[];
  /** Inside the item where items are signed one by one. */
  readonly json?: string;
}

/** One way of signing. */
export interface Scheme {
  /** With what is signed. */
  readonly algorithm: Algorithm;
  /** How the secret's text stands for the key. */
  readonly key: KeyForm;
  /**
   * The text that is signed, with `{body} {timestamp} {id} {method} {url} {url|hubspot-decoded} {form|sorted} {json:PATH}
   * {json:PATH?} {secret} {header:NAME}`. Empty for tokens.
   */
  readonly signed: string;
  /** Where the signatures stand. */
  readonly signature: Place & {
    /** What stands before a signature; compared without case. */
    readonly prefix: string;
    /** Divides a header's signatures, and what stands beside them. */
    readonly separator?: string;
    /** How its bytes are written; `text` for a token as it is. */
    readonly encoding: "hex" | "base64" | "text";
  };
  /** Where the time stands, which must be signed. */
  readonly timestamp?: Place & {
    /** A part of the signature header that begins with this. */
    readonly part?: string;
    /** Since 1970, or as text. */
    readonly unit: "s" | "ms" | "rfc3339";
    /** How far it may be from now, before and after. Null: as far as it likes. */
    readonly toleranceSeconds: number | null;
  };
  /** Where the id stands, which must be signed. */
  readonly id?: Place;
  /** The objects of the body that are signed one by one: `value[]`. */
  readonly items?: string;
  /** The query parameter that carries the SHA-256 of a body that is no form. */
  readonly bodyHashQuery?: string;
  /** Instead of the sender's. */
  readonly dedup?: readonly string[];
}

/** Somebody who sends webhooks. Each secret belongs to the first of the schemes that takes it. */
export interface Sender {
  readonly schemes: readonly Scheme[];
  /** By what a request is known again, the first that is there: `{id}`, `{header:NAME}`, `{json:PATH}`. */
  readonly dedup: readonly string[];
}

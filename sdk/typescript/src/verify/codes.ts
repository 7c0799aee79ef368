/**
 * Why a webhook is not believed. `secret_invalid` and `url_missing` are faults of the options; all others are words that
 * Postrider itself keeps with requests that it refused.
 */
export type WebhookVerificationCode =
  | "secret_invalid"
  | "url_missing"
  | "signature_missing"
  | "signature_doubled"
  | "header_doubled"
  | "header_missing"
  | "timestamp_missing"
  | "timestamp_malformed"
  | "scheme_unknown"
  | "signature_malformed"
  | "body_malformed"
  | "body_unsigned"
  | "signature_mismatch"
  | "timestamp_old"
  | "timestamp_future";

/** How far a request came: of several ways to sign, the refusal that came farthest is told. */
export const FARTHEST: readonly WebhookVerificationCode[] = [
  "signature_missing",
  "signature_doubled",
  "header_doubled",
  "header_missing",
  "timestamp_missing",
  "timestamp_malformed",
  "scheme_unknown",
  "signature_malformed",
  "body_malformed",
  "body_unsigned",
  "signature_mismatch",
  "timestamp_old",
  "timestamp_future",
];

// Postrider's API as a client, and the verification of webhooks: those that Postrider sends, and those of other senders.

export { Postrider } from "./client.js";
export {
  ApiError,
  AuthenticationError,
  ConflictError,
  ConnectionError,
  InvalidRequestError,
  NotFoundError,
  PermissionError,
  PostriderError,
  RateLimitError,
  ServerError,
  TimeoutError,
  WebhookVerificationError,
} from "./errors.js";
export type { ApiErrorCode } from "./errors.js";
export { List, Page } from "./list.js";
export type { CreateOptions, PostriderOptions, RequestOptions } from "./transport.js";
export type { PollOptions } from "./resources/events.js";
export type {
  RecordBatchOptions,
  RecordImport,
  RecordImportOptions,
  RecordImportSummary,
  RecordOptions,
  RecordWriteOptions,
} from "./resources/records.js";
export { verifyWebhook } from "./verify/verify.js";
export type { VerifiedWebhook, VerifyOptions } from "./verify/verify.js";
export type { PresetName, ProfileName } from "./verify/schemes.js";
export type { WebhookHeaders, WebhookRequest } from "./verify/request.js";
export type { WebhookVerificationCode } from "./verify/codes.js";
export type { Algorithm, KeyForm, Place, Scheme } from "./verify/scheme.js";
export type * from "./generated.js";
export type * from "./inbound.js";

import { ConnectionError } from "../errors.js";
import type * as api from "../generated.js";
import type { List } from "../list.js";
import { path, type CreateOptions, type RequestOptions, type Transport } from "../transport.js";

/** For records that name their tenant, where several profiles have the kind. */
export interface RecordOptions extends RequestOptions {
  /** Which profile is meant. */
  profile?: string | undefined;
}

/** For writing one record. */
export interface RecordWriteOptions extends RecordOptions {
  /** Write only over this version. */
  ifMatch?: string | undefined;
  /** `*`: write only where there is none. */
  ifNoneMatch?: "*" | undefined;
}

/** For writing several records. */
export interface RecordBatchOptions extends CreateOptions, Pick<RecordOptions, "profile"> {}

/** For an import. It has no time limit, and is not tried again: what was written stays, and may be sent again as it was. */
export interface RecordImportOptions extends Pick<RecordOptions, "signal" | "tenant" | "profile"> {
  /** False: the records are there already, nothing happened, and nothing fires. */
  events?: boolean | undefined;
  /** `refused`: tell only of lines that were refused. */
  report?: "all" | "refused" | undefined;
}

/** How an import went. */
export interface RecordImportSummary {
  /** Lines that were read. */
  lines: number;
  /** Records that are new. */
  created: number;
  /** Records that changed. */
  updated: number;
  /** Records that were so already. */
  unchanged: number;
  /** Records that are gone. */
  deleted: number;
  /** Lines that were refused. */
  refused: number;
  /** Events that follow. */
  events: number;
  /** False: it stopped early. */
  complete: boolean;
  /** What it says beside, such as why it stopped. */
  [more: string]: unknown;
}

/** The application's own objects, as last told. */
export class Records {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Tells what a record is. The same again changes nothing and causes nothing. */
  put(
    kind: string,
    id: string,
    data: Record<string, unknown>,
    options?: RecordWriteOptions,
  ): Promise<api.RecordWritten> {
    const call = { method: "PUT", path: path`/v1/records/${kind}/${id}`, headers: conditions(options), body: data } as const;
    return this.#transport.json(call, options);
  }

  /** Tells what changed of a record: a JSON merge patch, in which null removes. */
  patch(
    kind: string,
    id: string,
    patch: Record<string, unknown>,
    options?: RecordWriteOptions,
  ): Promise<api.RecordWritten> {
    const call = { method: "PATCH", path: path`/v1/records/${kind}/${id}`, headers: conditions(options), body: patch } as const;
    return this.#transport.json(call, options);
  }

  /** Tells that a record is gone. */
  delete(kind: string, id: string, options?: RecordWriteOptions): Promise<void> {
    const call = { method: "DELETE", path: path`/v1/records/${kind}/${id}`, headers: conditions(options) } as const;
    return this.#transport.json(call, options);
  }

  /** One record, with the rules that fired for it and when they look again. */
  get(kind: string, id: string, options?: RecordOptions): Promise<api.Record> {
    const call = { method: "GET", path: path`/v1/records/${kind}/${id}`, headers: conditions(options) } as const;
    return this.#transport.json(call, options);
  }

  /** The records of a kind, in the order of their ids. */
  list(kind: string, query?: api.GetRecordsKindQuery, options?: RecordOptions): List<api.RecordRow> {
    return this.#transport.list(path`/v1/records/${kind}`, query, options, conditions(options));
  }

  /** Up to 500 changes in one transaction. Each has an answer of its own, in order: look at its `status`. */
  async batch(
    kind: string,
    changes: readonly api.RecordChange[],
    options?: RecordBatchOptions,
  ): Promise<api.RecordChangeResult[]> {
    const at = path`/v1/records/${kind}/batch`;
    const call = { method: "POST", path: at, headers: conditions(options), body: { changes }, repeat: "key" } as const;
    return (await this.#transport.json<api.RecordBatchResult>(call, options)).data;
  }

  /**
   * Tells any number of changes in one request, while they are made: neither side holds them all. Iterate over what it gives for
   * the answer to each; await it for the summary alone. Nothing is sent before.
   */
  import(
    kind: string,
    changes: Iterable<api.RecordChange> | AsyncIterable<api.RecordChange>,
    options: RecordImportOptions = {},
  ): RecordImport {
    const { events, report, profile, signal } = options;
    return new RecordImport(async () => {
      const made = new Lines(changes);
      const raw = { contentType: "application/x-ndjson", body: made.stream };
      const at = path`/v1/records/${kind}/import`;
      const call = { method: "POST", path: at, query: { events, report }, headers: conditions({ profile }), raw } as const;
      try {
        return await this.#transport.stream(call, options);
      } catch (error) {
        throw made.fault ? made.fault.error : error;
      }
    }, signal);
  }

  /** What rules could not decide. */
  ruleErrors(options?: RequestOptions): List<api.RuleError> {
    return this.#transport.list("/v1/rule-errors", undefined, options);
  }
}

/** An import that was asked for: iterated over, the answers to its changes; awaited, its summary. Either once. */
export class RecordImport implements PromiseLike<RecordImportSummary>, AsyncIterable<api.RecordChangeResult> {
  readonly #send: () => Promise<Response>;
  readonly #signal: AbortSignal | undefined;
  #results: AsyncGenerator<api.RecordChangeResult, RecordImportSummary, undefined> | undefined;
  #summary: Promise<RecordImportSummary> | undefined;

  /** `send` begins the request, which `signal` may end. */
  constructor(send: () => Promise<Response>, signal?: AbortSignal) {
    this.#send = send;
    this.#signal = signal;
  }

  /** The answers to the changes, in their order. */
  async *[Symbol.asyncIterator](): AsyncGenerator<api.RecordChangeResult, void, undefined> {
    this.#results ??= this.#read();
    for (let next = await this.#results.next(); ; next = await this.#results.next()) {
      if (next.done) {
        this.#summary ??= Promise.resolve(next.value);
        return;
      }
      yield next.value;
    }
  }

  /** The summary, after all that comes before it. */
  then<A = RecordImportSummary, B = never>(
    fulfilled?: ((summary: RecordImportSummary) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#summary ??= this.#drain();
    return this.#summary.then(fulfilled, rejected);
  }

  async #drain(): Promise<RecordImportSummary> {
    this.#results ??= this.#read();
    for (;;) {
      const next = await this.#results.next();
      if (next.done) return next.value;
    }
  }

  async *#read(): AsyncGenerator<api.RecordChangeResult, RecordImportSummary, undefined> {
    const response = await this.#send();
    let cause: unknown;
    try {
      for await (const line of linesOf(response)) {
        const parsed = JSON.parse(line) as api.RecordChangeResult | { summary: RecordImportSummary };
        if ("summary" in parsed) return parsed.summary;
        yield parsed;
      }
    } catch (error) {
      this.#signal?.throwIfAborted();
      cause = error;
    }
    throw new ConnectionError("The answer to the import ended before its summary", { cause });
  }
}

function conditions(options: RecordWriteOptions = {}): Record<string, string | undefined> {
  const quoted = options.ifMatch && (options.ifMatch.startsWith('"') ? options.ifMatch : `"${options.ifMatch}"`);
  return { "Postrider-Profile": options.profile, "If-Match": quoted, "If-None-Match": options.ifNoneMatch };
}

const CHUNK_LENGTH = 64 * 1024;

/** Changes as a stream, one on each line. Pulled: the next are made when the ones before are on their way. */
class Lines {
  readonly stream: ReadableStream<Uint8Array>;
  /** What the making of changes failed with. */
  fault: { error: unknown } | undefined;

  constructor(changes: Iterable<api.RecordChange> | AsyncIterable<api.RecordChange>) {
    const iterator = Symbol.asyncIterator in changes ? changes[Symbol.asyncIterator]() : changes[Symbol.iterator]();
    const encoder = new TextEncoder();
    this.stream = new ReadableStream({
      pull: async (controller) => {
        let text = "";
        let done: boolean | undefined = false;
        try {
          while (!done && text.length < CHUNK_LENGTH) {
            const next = await iterator.next();
            done = next.done;
            if (!next.done) text += `${JSON.stringify(next.value)}\n`;
          }
        } catch (error) {
          this.fault = { error };
          throw error;
        }
        if (text !== "") controller.enqueue(encoder.encode(text));
        if (done) controller.close();
      },
      cancel: async () => {
        await iterator.return?.();
      },
    });
  }
}

async function* linesOf(response: Response): AsyncGenerator<string, void, undefined> {
  if (response.body === null) return;
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      const parts = (rest + decoder.decode(value, { stream: !done })).split("\n");
      rest = parts.pop() ?? "";
      yield* parts.filter((line) => line !== "");
      if (done) return;
    }
  } finally {
    // Also when whoever reads has seen enough.
    await reader.cancel().catch(() => undefined);
  }
}

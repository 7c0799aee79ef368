// A Postrider started from the built binary, empty, on a port and a folder of its own; and its API, to prepare what a page shows.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Of servers on loopback that live for one test. */
export const OPERATOR_KEY = "browser-operator-key-0123456789abcdef";

const BINARY = process.env["POSTRIDER_BINARY"] ?? fileURLToPath(new URL("../../../target/debug/postrider", import.meta.url));
/** A server that does not listen by then will not. */
const START_MS_MAX = 30_000;
/** Lines of the log that a failure shows. */
const LOG_LINES_MAX = 40;

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
export type Profile = "standard" | "runtight" | "smartmaintenance" | "org-jobs" | "rcmanager";
export type Role = "operator" | "publisher" | "admin" | "viewer";

/** In whose name a request is made. Without a key: the operator's. */
export interface As {
  tenant?: string;
  key?: string;
}

export interface Answer {
  status: number;
  headers: Headers;
  /** Parsed where it is JSON, otherwise the text; `null` when there is none. */
  body: any;
}

export interface Webhook {
  id: string;
  secret: string;
  [field: string]: unknown;
}

export class Server {
  private constructor(
    /** Without a slash at its end. */
    readonly url: string,
    private readonly process: ChildProcess,
    private readonly folder: string,
    private readonly log: string[],
  ) {}

  /** `settings`: more flags of `postrider serve`, as `--name value`. `allowed`: where it may send to beside the internet. `left`: of a server that was left. */
  static async start(settings: string[] = [], allowed: string[] = ["127.0.0.0/8"], left?: string): Promise<Server> {
    const folder = left ?? (await mkdtemp(join(tmpdir(), "postrider-browser-")));
    const egress = allowed.flatMap((range) => ["--egress-allow", range]);
    const flags = ["--listen", "127.0.0.1:0", ...egress, "--log-level", "warn", "--data", join(folder, "data")];
    const child = spawn(BINARY, ["serve", ...flags, ...settings], {
      env: { PATH: process.env["PATH"] ?? "", POSTRIDER_OPERATOR_KEY: OPERATOR_KEY },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const log: string[] = [];
    const note = (line: string) => {
      log.push(line);
      if (log.length > LOG_LINES_MAX) log.shift();
    };
    createInterface({ input: child.stderr }).on("line", note);
    try {
      const url = await new Promise<string>((found, failed) => {
        const late = setTimeout(() => failed(new Error(`does not listen after ${START_MS_MAX} ms`)), START_MS_MAX);
        const end = (error: Error) => (clearTimeout(late), failed(error));
        child.once("error", end);
        child.once("exit", (code, signal) => end(new Error(`ended (${code ?? signal})`)));
        createInterface({ input: child.stdout }).on("line", (line) => {
          note(line);
          const said = /listens on (http:\/\/\S+)/.exec(line);
          if (said?.[1]) (clearTimeout(late), found(said[1]));
        });
      });
      return new Server(url, child, folder, log);
    } catch (error) {
      child.kill("SIGKILL");
      await rm(folder, { recursive: true, force: true });
      throw new Error(`${BINARY} ${(error as Error).message}\n${log.join("\n")}\nIt is built by: cargo xtask browser`);
    }
  }

  /** Ends this process and no other, and removes its folder. */
  async stop(): Promise<void> {
    await rm(await this.leave(), { recursive: true, force: true });
  }

  /** Ends this process, and gives the folder with what it holds, for another one. */
  async leave(): Promise<string> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      const ended = once(this.process, "exit");
      this.process.kill("SIGKILL");
      await ended;
    }
    return this.folder;
  }

  /** The end of what it said, for the message of a failure. */
  lastWords(): string {
    return this.log.join("\n");
  }

  /** Asks, and gives what came, whatever it is. */
  async ask(method: Method, path: string, body?: unknown, as: As = {}): Promise<Answer> {
    const headers: Record<string, string> = { Authorization: `Bearer ${as.key ?? OPERATOR_KEY}` };
    if (as.tenant !== undefined) headers["Postrider-Tenant"] = as.tenant;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    const answer = await fetch(this.url + path, { method, headers, redirect: "manual", ...sent });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, body: parsed(text) };
  }

  /** Asks, and gives the JSON of a 2xx. Fails on everything else. */
  async api(method: Method, path: string, body?: unknown, as: As = {}): Promise<any> {
    const answer = await this.ask(method, path, body, as);
    if (answer.status >= 200 && answer.status < 300) return answer.body;
    throw new Error(`${method} ${path} answered ${answer.status}: ${JSON.stringify(answer.body)}\n${this.lastWords()}`);
  }

  /** Creates a tenant. `more`: name, settings, attributes, … */
  async tenant(id: string, profile: Profile = "standard", more: Record<string, unknown> = {}): Promise<string> {
    await this.api("POST", "/v1/tenants", { id, name: id, profile, plan: "pro", ...more });
    return id;
  }

  /** Creates a key and gives it. A publisher and an operator may be without a tenant. */
  async key(role: Role, tenant?: string): Promise<string> {
    const made = await this.api("POST", "/v1/keys", { role, name: `${role} of a test`, ...(tenant ? { tenant } : {}) });
    return made.key;
  }

  /** Creates a webhook. `more`: name, secret, headers, … */
  async webhook(tenant: string, url: string, events: string[] = ["*"], more: Record<string, unknown> = {}): Promise<Webhook> {
    return this.api("POST", "/v1/webhooks", { url, events, ...more }, { tenant });
  }

  /** Publishes one event and gives its id. */
  async publish(tenant: string, type: string, data: unknown = {}, more: Record<string, unknown> = {}): Promise<string> {
    const taken = await this.api("POST", "/v1/events", { type, data, ...more }, { tenant });
    return taken.id;
  }

  /** Publishes up to 1,000 events in one request. Fails unless all are accepted. Gives their ids. */
  async publishMany(tenant: string, events: { type: string; data?: unknown; id?: string }[]): Promise<string[]> {
    const whole = events.map((event) => ({ data: {}, ...event }));
    const { data } = await this.api("POST", "/v1/events/batch", { events: whole }, { tenant });
    const refused = data.find((item: { status: number }) => item.status !== 202);
    if (refused) throw new Error(`an event of a batch was refused: ${JSON.stringify(refused)}`);
    return data.map((item: { id: string }) => item.id);
  }

  /** The deliveries of a tenant as the API lists them: at most 100, newest first. `query`: `state=failed&…`. */
  async deliveries(tenant: string, query = ""): Promise<any[]> {
    const { data } = await this.api("GET", `/v1/deliveries?limit=100${query && `&${query}`}`, undefined, { tenant });
    return data;
  }
}

function parsed(text: string): unknown {
  if (text === "") return null;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

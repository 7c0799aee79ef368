// A receiver on loopback: keeps every request byte for byte, and answers as it is told.

import { createHmac, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type Server as HttpServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { expect } from "@playwright/test";

/** What a receiver says. All of it can be left out: an empty 200 at once. */
export interface Reply {
  status?: number;
  headers?: Record<string, string>;
  body?: string;
  /** How long it takes until the answer begins. */
  delayMs?: number;
}

/** A request as it came. */
export interface Received {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
  text: string;
}

export class Receiver {
  readonly received: Received[] = [];
  private usual: Reply = {};
  private next: Reply[] = [];
  private readonly waiting = new Set<NodeJS.Timeout>();

  private constructor(private readonly http: HttpServer) {}

  static async start(): Promise<Receiver> {
    const http = createServer();
    const receiver = new Receiver(http);
    http.on("request", (request, response) => {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        const body = Buffer.concat(parts);
        const { method = "", url: path = "", headers } = request;
        receiver.received.push({ method, path, headers, body, text: body.toString("utf8") });
        receiver.answer(response);
      });
    });
    http.listen(0, "127.0.0.1");
    await once(http, "listening");
    return receiver;
  }

  async stop(): Promise<void> {
    for (const timer of this.waiting) clearTimeout(timer);
    const closed = once(this.http, "close");
    this.http.close();
    this.http.closeAllConnections();
    await closed;
  }

  /** A URL of this receiver. Any path is taken. */
  url(path = "/hook"): string {
    return `http://127.0.0.1:${(this.http.address() as AddressInfo).port}${path}`;
  }

  /** From now on every request is answered like this. */
  answers(reply: Reply): void {
    this.usual = reply;
  }

  /** The next requests are answered like this, one each; those after them as usual. */
  answersNext(...replies: Reply[]): void {
    this.next.push(...replies);
  }

  /** Waits until there are at least so many requests, and gives all of them. */
  async got(count: number): Promise<Received[]> {
    await expect.poll(() => this.received.length, { message: "requests at the receiver" }).toBeGreaterThanOrEqual(count);
    return [...this.received];
  }

  private answer(response: ServerResponse): void {
    const { status = 200, headers = {}, body = "", delayMs = 0 } = this.next.shift() ?? this.usual;
    const say = () => response.writeHead(status, headers).end(body);
    if (delayMs === 0) return void say();
    const timer = setTimeout(() => (this.waiting.delete(timer), say()), delayMs);
    this.waiting.add(timer);
  }
}

/** Whether a request carries a signature of Standard Webhooks by this secret: `v1,` and an HMAC of id, time and body. */
export function verifies(request: Received, secret: string): boolean {
  const [id, time, signatures] = ["webhook-id", "webhook-timestamp", "webhook-signature"].map((name) => String(request.headers[name]));
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const mac = createHmac("sha256", key).update(`${id}.${time}.`).update(request.body).digest();
  return (signatures ?? "").split(" ").some((signature) => {
    const given = Buffer.from(signature.replace(/^v1,/, ""), "base64");
    return given.length === mac.length && timingSafeEqual(given, mac);
  });
}

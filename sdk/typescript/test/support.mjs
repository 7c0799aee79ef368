// A server on this machine whose answers a test decides, and what it was asked.

import { createServer } from "node:http";
import { after } from "node:test";

/**
 * Starts a server. `answer` gets a request as `{method, path, headers, body}` and its number from 0; it gives
 * `{status, json, text, headers}`, or nothing to never answer, or "break" to break the connection.
 */
export async function serve(answer) {
  const requests = [];
  const server = createServer(async (incoming, outgoing) => {
    const chunks = [];
    try {
      for await (const chunk of incoming) chunks.push(chunk);
    } catch {
      return undefined; // Who asked went away.
    }
    const request = {
      method: incoming.method,
      path: incoming.url,
      headers: incoming.headers,
      body: Buffer.concat(chunks).toString(),
    };
    requests.push(request);
    const answered = await answer(request, requests.length - 1);
    if (answered === "break") return incoming.socket.destroy();
    if (answered === undefined) return undefined;
    const { status = 200, json, text, headers = {} } = answered;
    const type = json === undefined ? "text/plain" : status >= 400 ? "application/problem+json" : "application/json";
    outgoing.writeHead(status, { "Content-Type": type, ...headers });
    return outgoing.end(json === undefined ? text : JSON.stringify(json));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${server.address().port}`, requests };
}

/** A refusal, as Postrider tells it. */
export function problem(status, code, more = {}) {
  const { headers, ...members } = more;
  return { status, headers, json: { type: `/docs#problem-${code}`, title: code, status, code, detail: "Why.", ...members } };
}

// What the receivers share: how they tell the test what they saw. No verification happens here.

import http from "node:http";

/** The secrets this receiver knows, in the order of the answers in `accepted`. */
export const secrets = (process.env.WEBHOOK_SECRETS ?? "").split(",");

function line(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

export function reportRequest(headers, rawBody, accepted, status) {
  line({ accepted, status, headers, body: Buffer.from(rawBody).toString("base64") });
}

/** Asks `verify` once a secret; one that throws has not accepted. */
export function acceptedBy(verify) {
  return secrets.map((secret) => {
    try {
      return Boolean(verify(secret));
    } catch {
      return false;
    }
  });
}

/** Serves `handle(req, res)` on a free loopback port and says which. Ends when the test closes our standard input. */
export function serve(handle) {
  const server = http.createServer(handle);
  server.listen(0, "127.0.0.1", () => line({ port: server.address().port }));
  process.stdin.on("end", () => process.exit(0)).resume();
}

/** The whole request body as bytes. */
export async function rawBytes(req) {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export function answer(req, res, rawBody, accepted) {
  const status = accepted.some(Boolean) ? 200 : 401;
  reportRequest(req.headers, rawBody, accepted, status);
  res.writeHead(status).end(status === 200 ? "OK" : "Invalid signature");
}

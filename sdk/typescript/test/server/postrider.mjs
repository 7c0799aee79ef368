// The Postrider that the tests talk to. Whoever starts them says where it is; `crates/server/tests/sdk.rs` does.

import { createServer } from "node:http";
import { after } from "node:test";
import { Postrider } from "@postrider/sdk";

function needed(name) {
  const value = process.env[name];
  const how = "These tests need a Postrider: cargo nextest run -p postrider-server --test sdk";
  if (!value) throw new Error(`${name} is not set. ${how}`);
  return value;
}

export const baseUrl = needed("POSTRIDER_URL");
export const operatorKey = needed("POSTRIDER_OPERATOR_KEY");
/** The key of an admin of the tenant `acme`, which has the profile `standard`. */
export const tenantKey = needed("POSTRIDER_TENANT_KEY");

export const operator = new Postrider({ apiKey: operatorKey, baseUrl });
export const admin = new Postrider({ apiKey: tenantKey, baseUrl });

let last = 0;

/** A name that no other test has. */
export function fresh(word) {
  last += 1;
  return `${word}-${process.pid}-${last}`;
}

/** Creates a tenant whose events go out at once, and gives a client for it. */
export async function tenantOf(profile, id = fresh(profile)) {
  await operator.tenants.create({
    id,
    profile,
    plan: "pro",
    attributes: { company_id: 1 },
    settings: { delivery: "immediate" },
  });
  return operator.forTenant(id);
}

/** A receiver of webhooks: `next()` waits for one, as `{headers, body}`. */
export async function receiver() {
  const seen = [];
  const waiting = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const webhook = { headers: request.headers, body: Buffer.concat(chunks) };
    response.end();
    const next = waiting.shift();
    if (next) next(webhook);
    else seen.push(webhook);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${server.address().port}/hook`,
    next: async () => seen.shift() ?? new Promise((resolve) => waiting.push(resolve)),
  };
}

// Every endpoint of the document has a method, which asks for that endpoint and no other.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Postrider } from "@postrider/sdk";

const document = JSON.parse(readFileSync(new URL("../../../docs/openapi.json", import.meta.url), "utf8"));

/** Each endpoint with its method; what stands in braces is given as it is called there. */
const CALLS = {
  "GET /v1/workflows": (rt) => rt.workflows.list(),
  "PUT /v1/workflows/{workflow}": (rt) => rt.workflows.put("{workflow}", {}),
  "GET /v1/workflows/{workflow}": (rt) => rt.workflows.get("{workflow}"),
  "DELETE /v1/workflows/{workflow}": (rt) => rt.workflows.delete("{workflow}"),
  "POST /v1/workflows/{workflow}/runs": (rt) => rt.workflows.startRun("{workflow}"),
  "GET /v1/workflows/{workflow}/runs": (rt) => rt.workflows.runs("{workflow}"),
  "POST /v1/workflows/{workflow}/triggers": (rt) => rt.workflows.createTrigger("{workflow}", {}),
  "GET /v1/workflows/{workflow}/triggers": (rt) => rt.workflows.triggers("{workflow}"),
  "GET /v1/workflows/{workflow}/triggers/{trigger}": (rt) => rt.workflows.getTrigger("{workflow}", "{trigger}"),
  "PATCH /v1/workflows/{workflow}/triggers/{trigger}": (rt) => rt.workflows.updateTrigger("{workflow}", "{trigger}", {}),
  "DELETE /v1/workflows/{workflow}/triggers/{trigger}": (rt) => rt.workflows.deleteTrigger("{workflow}", "{trigger}"),
  "POST /v1/workflows/{workflow}/triggers/{trigger}/secret/rotate": (rt) =>
    rt.workflows.rotateTriggerSecret("{workflow}", "{trigger}"),
  "POST /v1/workflows/{workflow}/triggers/{trigger}/slug/rotate": (rt) =>
    rt.workflows.rotateTriggerSlug("{workflow}", "{trigger}"),
  "POST /v1/workflows/{workflow}/triggers/{trigger}/test": (rt) => rt.workflows.testTrigger("{workflow}", "{trigger}", {}),
  "GET /v1/runs": (rt) => rt.runs.list(),
  "GET /v1/runs/{run}": (rt) => rt.runs.get("{run}"),
  "POST /v1/runs/{run}/cancel": (rt) => rt.runs.cancel("{run}"),
  "POST /v1/runs/{run}/replay": (rt) => rt.runs.replay("{run}"),
  "GET /v1/requests": (rt) => rt.requests.list(),
  "GET /v1/requests/{request}": (rt) => rt.requests.get("{request}"),
  "POST /v1/requests/{request}/replay": (rt) => rt.requests.replay("{request}"),
  "GET /v1/secrets": (rt) => rt.secrets.list(),
  "PUT /v1/secrets/{secret}": (rt) => rt.secrets.put("{secret}", "value"),
  "GET /v1/secrets/{secret}": (rt) => rt.secrets.get("{secret}"),
  "DELETE /v1/secrets/{secret}": (rt) => rt.secrets.delete("{secret}"),
  "POST /v1/connections": (rt) => rt.connections.create({}),
  "GET /v1/connections": (rt) => rt.connections.list(),
  "GET /v1/connections/{connection}": (rt) => rt.connections.get("{connection}"),
  "PATCH /v1/connections/{connection}": (rt) => rt.connections.update("{connection}", {}),
  "DELETE /v1/connections/{connection}": (rt) => rt.connections.delete("{connection}"),
  "POST /v1/connections/{connection}/authorize": (rt) => rt.connections.authorize("{connection}"),
  "POST /v1/connections/{connection}/refresh": (rt) => rt.connections.refresh("{connection}"),
  "POST /v1/connections/{connection}/revoke": (rt) => rt.connections.revoke("{connection}"),
  "GET /v1/connection-providers": (rt) => rt.connections.providers(),
  "POST /v1/events": (rt) => rt.events.publish({}),
  "GET /v1/events": (rt) => rt.events.list(),
  "POST /v1/events/batch": (rt) => rt.events.batch([]),
  "GET /v1/events/{event}": (rt) => rt.events.get("{event}"),
  "POST /v1/webhooks": (rt) => rt.webhooks.create({}),
  "GET /v1/webhooks": (rt) => rt.webhooks.list(),
  "GET /v1/webhooks/{webhook}": (rt) => rt.webhooks.get("{webhook}"),
  "PATCH /v1/webhooks/{webhook}": (rt) => rt.webhooks.update("{webhook}", {}),
  "DELETE /v1/webhooks/{webhook}": (rt) => rt.webhooks.delete("{webhook}"),
  "POST /v1/webhooks/{webhook}/test": (rt) => rt.webhooks.test("{webhook}"),
  "POST /v1/webhooks/{webhook}/secret/rotate": (rt) => rt.webhooks.rotateSecret("{webhook}"),
  "GET /v1/webhooks/{webhook}/stats": (rt) => rt.webhooks.stats("{webhook}"),
  "POST /v1/webhooks/{webhook}/recover": (rt) => rt.webhooks.recover("{webhook}", {}),
  "GET /v1/deliveries": (rt) => rt.deliveries.list(),
  "GET /v1/deliveries/{delivery}": (rt) => rt.deliveries.get("{delivery}"),
  "POST /v1/deliveries/{delivery}/retry": (rt) => rt.deliveries.retry("{delivery}"),
  "GET /v1/event-types": (rt) => rt.eventTypes.list(),
  "POST /v1/event-types": (rt) => rt.eventTypes.create({}),
  "GET /v1/event-types/{type}": (rt) => rt.eventTypes.get("{type}"),
  "DELETE /v1/event-types/{type}": (rt) => rt.eventTypes.delete("{type}"),
  "POST /v1/tenants": (rt) => rt.tenants.create({}),
  "GET /v1/tenants": (rt) => rt.tenants.list(),
  "GET /v1/tenants/{tenant}": (rt) => rt.tenants.get("{tenant}"),
  "PATCH /v1/tenants/{tenant}": (rt) => rt.tenants.update("{tenant}", {}),
  "DELETE /v1/tenants/{tenant}": (rt) => rt.tenants.delete("{tenant}"),
  "POST /v1/keys": (rt) => rt.keys.create({}),
  "GET /v1/keys": (rt) => rt.keys.list(),
  "DELETE /v1/keys/{key}": (rt) => rt.keys.revoke("{key}"),
  "POST /v1/events/preview": (rt) => rt.events.preview({}),
  "POST /v1/deliveries/retry": (rt) => rt.deliveries.retryMany({}),
  "POST /v1/deliveries/{delivery}/resend": (rt) => rt.deliveries.resend("{delivery}", "https://example.com"),
  "POST /v1/inboxes": (rt) => rt.inboxes.create(),
  "GET /v1/inboxes": (rt) => rt.inboxes.list(),
  "PATCH /v1/inboxes/{inbox}": (rt) => rt.inboxes.update("{inbox}", {}),
  "DELETE /v1/inboxes/{inbox}": (rt) => rt.inboxes.delete("{inbox}"),
  "GET /v1/inboxes/{inbox}/requests": (rt) => rt.inboxes.requests("{inbox}"),
  "POST /v1/portal-sessions": (rt) => rt.portalSessions.create({}),
  "GET /v1/portal-sessions": (rt) => rt.portalSessions.list(),
  "DELETE /v1/portal-sessions/{session}": (rt) => rt.portalSessions.delete("{session}"),
  "POST /v1/profiles": (rt) => rt.profiles.create({}),
  "GET /v1/profiles": (rt) => rt.profiles.list(),
  "GET /v1/profiles/{profile}": (rt) => rt.profiles.get("{profile}"),
  "PUT /v1/profiles/{profile}": (rt) => rt.profiles.put("{profile}", {}),
  "PUT /v1/records/{kind}/{id}": (rt) => rt.records.put("{kind}", "{id}", {}),
  "PATCH /v1/records/{kind}/{id}": (rt) => rt.records.patch("{kind}", "{id}", {}),
  "DELETE /v1/records/{kind}/{id}": (rt) => rt.records.delete("{kind}", "{id}"),
  "GET /v1/records/{kind}/{id}": (rt) => rt.records.get("{kind}", "{id}"),
  "GET /v1/records/{kind}": (rt) => rt.records.list("{kind}"),
  "POST /v1/records/{kind}/batch": (rt) => rt.records.batch("{kind}", []),
  "POST /v1/records/{kind}/import": (rt) => rt.records.import("{kind}", []),
  "GET /v1/rule-errors": (rt) => rt.records.ruleErrors(),
  "POST /v1/scans/run": (rt) => rt.scans.run(),
  "GET /v1/scans": (rt) => rt.scans.list(),
  "GET /v1/jobs/{job}": (rt) => rt.jobs.get("{job}"),
  "GET /v1/ledger": (rt) => rt.ledger.get(),
  "GET /v1/audit": (rt) => rt.audit.list(),
};

/** The endpoints that take a key; what is public, such as a trigger's own URL, is not for a client. */
function operations() {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, operation]) => path.startsWith("/v1/") && operation.security?.length > 0)
      .map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, operation })),
  );
}

/** Names of what stands in braces are the document's own affair. */
function anonymous(name) {
  return name.replace(/\{[^}]*\}/g, "{}");
}

test("every endpoint of the document has a method", () => {
  const known = Object.keys(CALLS).map(anonymous);
  const missing = operations().filter(({ name }) => !known.includes(anonymous(name)));
  assert.deepEqual(missing.map(({ name }) => name), [], "write a method in src/resources, and its line here");
});

test("each method asks for its endpoint, and sends a key where that is heeded", async () => {
  const heeded = new Map(operations().map(({ name, operation }) => [anonymous(name), heedsKey(operation)]));
  for (const [name, call] of Object.entries(CALLS)) {
    const asked = [];
    const fetch = async (url, { method, headers, body }) => {
      asked.push(`${method} ${decodeURIComponent(new URL(url).pathname)}`);
      const known = heeded.get(anonymous(name));
      if (known !== undefined) assert.equal(headers.has("Idempotency-Key"), known, name);
      if (body instanceof ReadableStream) for await (const _ of body);
      if (name.endsWith("/import")) return new Response('{"summary":{}}\n');
      return Response.json({ data: [], nextCursor: null });
    };
    await call(new Postrider({ apiKey: "key", baseUrl: "https://hooks.example.com", fetch }));
    assert.deepEqual(asked, [name]);
  }
});

function heedsKey({ parameters = [] }) {
  return parameters.some(({ name }) => name === "Idempotency-Key");
}

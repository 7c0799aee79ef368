// The documented snippets, letter for letter, against the shapes that the API has.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Postrider } from "@postrider/sdk";
import { serve } from "./support.mjs";

const RUNS = [
  { id: "run_2", triggerType: "webhook", status: "running", createdAt: "2026-01-31T09:31:00.000Z" },
  { id: "run_1", triggerType: "manual", status: "succeeded", createdAt: "2026-01-31T09:30:00.000Z" },
];

/** Triggers of one workflow, in memory. */
function workflows() {
  const triggers = [];
  return ({ method, path, body }) => {
    const [, , , workflow, kind, id] = new URL(path, "http://localhost").pathname.split("/");
    assert.equal(workflow, "incoming-leads");
    if (kind === "runs") return { json: { data: RUNS, nextCursor: null } };
    const at = triggers.findIndex((trigger) => trigger.id === id);
    switch (method) {
      case "POST": {
        const { secret, ...trigger } = JSON.parse(body);
        triggers.push({ id: "trg_1", ...trigger, webhookUrl: "https://hooks.example.com/v1/workflows/webhooks/abc" });
        return { status: 201, json: { ...triggers[0], secretSet: true, secret } };
      }
      case "GET":
        return { json: { data: triggers, nextCursor: null } };
      case "PATCH":
        return { json: Object.assign(triggers[at], JSON.parse(body)) };
      default:
        triggers.splice(at, 1);
        return { status: 204 };
    }
  };
}

test("the documented snippets work as they are written", async () => {
  const server = await serve(workflows());
  const rt = new Postrider({ apiKey: "key", baseUrl: server.url });
  const logged = [];
  const console = { log: (...values) => logged.push(values) };

  const trigger = await rt.workflows.createTrigger('incoming-leads', {
    type: 'webhook',
    name: 'Lead capture',
    enabled: true,
    secret: 'replace-with-a-long-random-secret',
  });
  console.log(trigger.webhookUrl);
  console.log(trigger.secret);

  const triggers = await rt.workflows.triggers('incoming-leads');
  await rt.workflows.updateTrigger('incoming-leads', triggers[0].id, {
    enabled: false,
  });
  await rt.workflows.deleteTrigger('incoming-leads', triggers[0].id);

  const runs = await rt.workflows.runs('incoming-leads', 25);
  for (const run of runs) {
    console.log(run.triggerType, run.status, run.createdAt);
  }

  assert.deepEqual(logged, [
    ["https://hooks.example.com/v1/workflows/webhooks/abc"],
    ["replace-with-a-long-random-secret"],
    ...RUNS.map(({ triggerType, status, createdAt }) => [triggerType, status, createdAt]),
  ]);
  assert.deepEqual(
    server.requests.map(({ method, path }) => `${method} ${path}`),
    [
      "POST /v1/workflows/incoming-leads/triggers",
      "GET /v1/workflows/incoming-leads/triggers",
      "PATCH /v1/workflows/incoming-leads/triggers/trg_1",
      "DELETE /v1/workflows/incoming-leads/triggers/trg_1",
      "GET /v1/workflows/incoming-leads/runs?limit=25",
    ],
  );
});

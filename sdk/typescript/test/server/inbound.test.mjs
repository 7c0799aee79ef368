// Workflows, triggers and runs of a real Postrider. The first test is the text that the product promises, letter for letter.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { before, test } from "node:test";
import { NotFoundError } from "@postrider/sdk";
import { admin as rt, fresh } from "./postrider.mjs";

const LEAD = { event: "lead.created", email: "person@example.com", company: "Acme" };
const DEFINITION = { steps: [{ id: "lead", type: "transform", output: { email: "{{ input.email }}" } }] };

before(() => rt.workflows.put("incoming-leads", DEFINITION));

/** Sends a lead, as the curl of the text does. */
function send(url, headers, body = JSON.stringify(LEAD)) {
  return fetch(url, { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body });
}

test("the documented snippets work as they are written", async () => {
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

  assert.match(logged[0][0], /^https?:\/\/.+\/v1\/workflows\/webhooks\/.+/);
  assert.deepEqual(logged[1], ["replace-with-a-long-random-secret"]);
  const answer = await send(trigger.webhookUrl, { "X-Webhook-Secret": "replace-with-a-long-random-secret" });
  assert.equal(answer.status, 202);
  const { runId } = await answer.json();
  assert.equal((await rt.runs.waitFor(runId)).status, "succeeded");
  logged.length = 0;

  const runs = await rt.workflows.runs('incoming-leads', 25);
  for (const run of runs) {
    console.log(run.triggerType, run.status, run.createdAt);
  }

  const [[triggerType, status, createdAt]] = logged;
  assert.deepEqual([triggerType, status], ["webhook", "succeeded"]);
  assert.equal(new Date(createdAt).toISOString(), createdAt);

  const triggers = await rt.workflows.triggers('incoming-leads');
  await rt.workflows.updateTrigger('incoming-leads', triggers[0].id, {
    enabled: false,
  });
  assert.equal((await rt.workflows.getTrigger("incoming-leads", triggers[0].id)).enabled, false);
  await rt.workflows.deleteTrigger('incoming-leads', triggers[0].id);

  await assert.rejects(rt.workflows.getTrigger("incoming-leads", triggers[0].id), NotFoundError);
});

test("a payload is a run's input, and a wrong secret starts nothing", async () => {
  const trigger = await rt.workflows.createTrigger("incoming-leads", { type: "webhook", name: "Leads", generateSecret: true });
  assert.ok(trigger.secret.length >= 24);
  const refused = await send(trigger.webhookUrl, { "X-Webhook-Secret": "wrong" });
  assert.equal(refused.status, 401);
  const { runId } = await (await send(trigger.webhookUrl, { "X-Webhook-Secret": trigger.secret })).json();
  const run = await rt.runs.waitFor(runId);
  assert.deepEqual([run.input, run.triggerId, run.steps[0].output], [LEAD, trigger.id, { email: LEAD.email }]);

  const requests = await rt.requests.list({ trigger: trigger.id });
  assert.deepEqual(requests.map(({ cause }) => cause), ["accepted", "verification_failed"]);
  const request = await rt.requests.get(requests[0].id);
  assert.deepEqual([JSON.parse(request.body), request.runId], [LEAD, runId]);
  const replayed = await rt.runs.waitFor((await rt.requests.replay(request.id)).runId);
  assert.deepEqual(replayed.input, LEAD);
  await rt.workflows.deleteTrigger("incoming-leads", trigger.id);
});

test("a preset checks what the provider signs, and tells what it would make of a request", async () => {
  const secret = "the secret that GitHub was given";
  const trigger = await rt.workflows.createTrigger("incoming-leads", {
    type: "webhook",
    name: "Pull requests",
    verification: { preset: "github", secrets: [secret] },
  });
  const body = JSON.stringify({ action: "opened" });
  const headers = { "X-Hub-Signature-256": `sha256=${createHmac("sha256", secret).update(body).digest("hex")}` };
  const tested = await rt.workflows.testTrigger("incoming-leads", trigger.id, { headers, body });
  assert.deepEqual([tested.accepted, tested.input], [true, { action: "opened" }]);
  const unsigned = await rt.workflows.testTrigger("incoming-leads", trigger.id, { headers: {}, body });
  assert.deepEqual([unsigned.accepted, unsigned.cause], [false, "verification_failed"]);
  assert.equal((await send(trigger.webhookUrl, headers, body)).status, 202);
  assert.equal((await send(trigger.webhookUrl, headers, `${body} `)).status, 401);
  await rt.workflows.deleteTrigger("incoming-leads", trigger.id);
});

test("a trigger's secret and URL are rotated", async () => {
  const trigger = await rt.workflows.createTrigger("incoming-leads", { type: "webhook", name: "Leads", generateSecret: true });
  const rotated = await rt.workflows.rotateTriggerSecret("incoming-leads", trigger.id, { overlapSeconds: 3600 });
  assert.notEqual(rotated.secret, trigger.secret);
  for (const secret of [trigger.secret, rotated.secret]) {
    assert.equal((await send(trigger.webhookUrl, { "X-Webhook-Secret": secret })).status, 202);
  }
  const moved = await rt.workflows.rotateTriggerSlug("incoming-leads", trigger.id);
  assert.equal((await send(trigger.webhookUrl, { "X-Webhook-Secret": rotated.secret })).status, 404);
  assert.equal((await send(moved.webhookUrl, { "X-Webhook-Secret": rotated.secret })).status, 202);
  await rt.workflows.deleteTrigger("incoming-leads", trigger.id);
});

test("a cron trigger says when it runs next", async () => {
  const trigger = await rt.workflows.createTrigger("incoming-leads", {
    type: "cron",
    name: "Mornings",
    cron: "0 6 * * *",
    timezone: "Europe/Berlin",
    catchUp: "latest",
    overlap: "skip",
  });
  assert.equal(trigger.nextTimes.length, 5);
  await rt.workflows.deleteTrigger("incoming-leads", trigger.id);
});

test("a workflow is put as JSON and YAML, listed, run by hand, replayed, cancelled and deleted", async () => {
  const name = fresh("by-hand");
  const made = await rt.workflows.put(name, DEFINITION);
  assert.deepEqual([made.name, made.version], [name, 1]);
  const changed = await rt.workflows.put(name, "description: From YAML\nsteps: []\n");
  assert.deepEqual([changed.version, changed.description], [2, "From YAML"]);
  const names = [];
  for await (const workflow of rt.workflows.list({ limit: 1 })) names.push(workflow.name);
  assert.ok(names.includes(name) && names.includes("incoming-leads"));

  const { runId } = await rt.workflows.startRun(name, { input: { n: 1 } }, { idempotencyKey: name });
  assert.equal((await rt.workflows.startRun(name, { input: { n: 1 } }, { idempotencyKey: name })).runId, runId);
  const run = await rt.runs.waitFor(runId);
  assert.deepEqual([run.status, run.triggerType, run.input], ["succeeded", "manual", { n: 1 }]);
  const replayed = await rt.runs.waitFor((await rt.runs.replay(runId)).runId);
  assert.equal(replayed.replayOf, runId);

  await rt.workflows.put(name, { steps: [{ id: "pause", type: "wait", for: "1h" }] });
  const waiting = await rt.workflows.startRun(name);
  assert.equal((await rt.runs.cancel(waiting.runId)).status, "cancelled");
  await rt.workflows.delete(name);
  await assert.rejects(rt.workflows.get(name), NotFoundError);
});

test("a secret is set, listed without its value, and deleted", async () => {
  const name = fresh("crm").replaceAll("-", "_");
  await rt.secrets.put(name, "the value");
  const secret = await rt.secrets.get(name);
  assert.equal(secret.name, name);
  assert.doesNotMatch(JSON.stringify(await rt.secrets.list()), /the value/);
  await rt.secrets.delete(name);
  await assert.rejects(rt.secrets.get(name), NotFoundError);
  assert.ok(Array.isArray(await rt.connections.list()));
});

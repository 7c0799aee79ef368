// Tenants, webhooks, events, deliveries and records of a real Postrider.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ConflictError, InvalidRequestError, NotFoundError, PermissionError, Postrider, verifyWebhook } from "@postrider/sdk";
import { admin, baseUrl, fresh, operator, receiver, tenantOf } from "./postrider.mjs";

const SECRET = "a-shared-secret-of-more-than-24-bytes";
const JOB = { id: "j", name: "n", ownerUserId: "u", createdAt: "c", updatedAt: "d" };
/** An event of each profile. */
const SENT = [
  { profile: "standard", type: "order.created", data: { total: 12.5, text: "Grüße 🚗" } },
  { profile: "runtight", type: "wo.created", data: { work_order_id: "wo-1", title: "Grüße" } },
  { profile: "smartmaintenance", type: "task.completed", data: { task_id: 1 } },
  { profile: "rcmanager", type: "vehicle.created", data: { vehicle: { id: "veh_1", large: 1e21 } } },
  { profile: "org-jobs", type: "job.created", data: { job: JOB } },
];

for (const { profile, type, data } of SENT) {
  test(`what the profile ${profile} sends is believed`, async () => {
    const id = fresh(profile);
    const rt = await tenantOf(profile, id);
    const target = await receiver();
    let secrets = SECRET;
    if (profile === "org-jobs") {
      await operator.tenants.update(id, { settings: { webhook: { url: target.url, enabled: true, secret: SECRET } } });
    } else {
      const secret = profile === "standard" ? {} : { secret: SECRET };
      const webhook = await rt.webhooks.create({ url: target.url, events: ["*"], ...secret });
      secrets = webhook.secret ?? SECRET;
    }
    await rt.events.publish({ type, data });
    const webhook = await target.next();
    const { payload } = await verifyWebhook(webhook, { profile, secrets });
    assert.equal(payload.event ?? payload.type, type);
    const other = profile === "standard" ? `whsec_${Buffer.alloc(24).toString("base64")}` : "another";
    await assert.rejects(verifyWebhook(webhook, { profile, secrets: other }), { code: "signature_mismatch" });
    const longer = { ...webhook, body: Buffer.concat([webhook.body, Buffer.from(" ")]) };
    await assert.rejects(verifyWebhook(longer, { profile, secrets }), { code: "signature_mismatch" });
  });
}

test("a webhook is created, read, changed, tested, rotated, counted and deleted", async () => {
  const rt = await tenantOf("standard");
  const target = await receiver();
  const made = await rt.webhooks.create({ url: target.url, events: ["order.*"], description: "Orders" });
  assert.match(made.id, /^wh_/);
  assert.match(made.secret, /^whsec_/);
  assert.equal((await rt.webhooks.get(made.id)).secret, undefined);
  assert.deepEqual((await rt.webhooks.list()).map(({ id }) => id), [made.id]);
  assert.equal((await rt.webhooks.update(made.id, { enabled: false })).enabled, false);
  const { deliveryId } = await rt.webhooks.test(made.id, { type: "order.created", data: { test: 1 } });
  await verifyWebhook(await target.next(), { profile: "standard", secrets: made.secret });
  assert.equal((await rt.deliveries.get(deliveryId)).kind, "test");
  const rotated = await rt.webhooks.rotateSecret(made.id, { overlapSeconds: 60 });
  await rt.webhooks.test(made.id, { type: "order.created" });
  const both = await target.next();
  for (const secrets of [made.secret, rotated.secret]) await verifyWebhook(both, { profile: "standard", secrets });
  assert.equal((await rt.webhooks.stats(made.id)).attempts, 0);
  const job = await rt.webhooks.recover(made.id, { from: "2026-01-01T00:00:00Z" });
  assert.equal((await rt.jobs.get(job.id)).kind, "recover");
  assert.equal(await rt.webhooks.delete(made.id), undefined);
  await assert.rejects(rt.webhooks.get(made.id), NotFoundError);
});

test("an event is published once, and found with what became of it", async () => {
  const rt = await tenantOf("standard");
  const target = await receiver();
  await rt.webhooks.create({ url: target.url, events: ["order.created"] });
  const event = { type: "order.created", data: { n: 1 } };
  const first = await rt.events.publish(event, { idempotencyKey: "once" });
  assert.deepEqual(await rt.events.publish(event, { idempotencyKey: "once" }), first);
  await assert.rejects(rt.events.publish({ ...event, data: 2 }, { idempotencyKey: "once" }), (error) => {
    return error instanceof ConflictError && error.code === "idempotency_key_reused";
  });
  await target.next();
  const { outcomes, deliveries } = await rt.events.get(first.id);
  assert.equal(outcomes[0].outcome, "delivery");
  assert.equal((await rt.deliveries.get(deliveries[0].id)).eventId, first.id);
  const items = await rt.events.batch([{ id: "b-1", type: "order.created", data: 1 }, { type: "", data: 2 }]);
  assert.deepEqual([items[0].status, items[0].id, items[1].problem.status], [202, "b-1", 422]);
  assert.equal((await rt.ledger.get()).balanced, true);
});

test("a list goes on over its pages, and polling meets every event in order", async () => {
  const rt = await tenantOf("standard");
  const ids = Array.from({ length: 230 }, (_, n) => `e-${String(n).padStart(3, "0")}`);
  for (let at = 0; at < ids.length; at += 100) {
    await rt.events.batch(ids.slice(at, at + 100).map((id) => ({ id, type: "order.created", data: id })));
  }
  const listed = [];
  for await (const { id } of rt.events.list({ limit: 50 })) listed.push(id);
  assert.deepEqual(listed.reverse(), ids);
  const polled = [];
  for await (const { id } of rt.events.poll({ intervalMs: 20 })) {
    polled.push(id);
    if (polled.length === ids.length) void rt.events.publish({ id: "last", type: "order.created", data: 0 });
    if (id === "last") break;
  }
  assert.deepEqual(polled, [...ids, "last"]);
});

test("a refusal is told with its code and field", async () => {
  await assert.rejects(admin.webhooks.create({ url: "ftp://example.com" }), (error) => {
    return error instanceof InvalidRequestError && error.code === "url_invalid" && error.field === "url";
  });
  await assert.rejects(admin.webhooks.create({ url: "https://example.com", urll: 1 }), { code: "unknown_field", field: "urll" });
  await assert.rejects(admin.tenants.list(), PermissionError);
  await assert.rejects(admin.webhooks.get("wh_0"), { name: "NotFoundError", code: "not_found", status: 404 });
  const stranger = new Postrider({ apiKey: "nobody-has-this-key-0123456789abcdef", baseUrl });
  await assert.rejects(stranger.ledger.get(), { name: "AuthenticationError", code: "key_invalid" });
});

test("records are written under conditions, in batches and by import", async () => {
  const rt = await tenantOf("rcmanager");
  const written = await rt.records.put("part", "p 1", { name: "Pinion", quantity: 4, threshold: 2 });
  assert.equal(written.became, "created");
  const { version } = await rt.records.get("part", "p 1");
  await rt.records.patch("part", "p 1", { quantity: 3 }, { ifMatch: version });
  const stale = rt.records.put("part", "p 1", { name: "x" }, { ifMatch: version });
  await assert.rejects(stale, (error) => error instanceof ConflictError && error.code === "precondition_failed");
  await assert.rejects(rt.records.put("part", "p 1", {}, { ifNoneMatch: "*" }), { code: "precondition_failed" });
  const results = await rt.records.batch("part", [{ id: "p 2", data: { quantity: 9 } }, { id: "p 1", deleted: true }]);
  assert.deepEqual(results.map(({ became }) => became), ["created", "deleted"]);

  async function* many() {
    for (let n = 0; n < 3_000; n++) yield { id: `m-${n}`, data: { name: `Part ${n}`, quantity: n } };
    yield { id: "", data: {} };
  }
  const importing = rt.records.import("part", many(), { events: false, report: "refused" });
  const refused = [];
  for await (const line of importing) refused.push(line.line);
  const summary = await importing;
  assert.deepEqual([refused, summary.created, summary.refused, summary.complete], [[3_001], 3_000, 1, true]);
  let listed = 0;
  for await (const _ of rt.records.list("part", { limit: 100 })) listed += 1;
  assert.equal(listed, 3_001);
  assert.equal((await rt.records.ruleErrors()).length, 0);
  await rt.records.delete("part", "p 2");
  await assert.rejects(rt.records.get("part", "p 2"), NotFoundError);
});

test("an operator has tenants, keys, profiles, types, scans and the audit", async () => {
  const id = fresh("tenant");
  const rt = await tenantOf("standard", id);
  assert.equal((await operator.tenants.update(id, { name: "Acme Ltd" })).name, "Acme Ltd");
  const { id: keyId, key } = await operator.keys.create({ role: "viewer", tenant: id, name: "SDK" });
  const viewer = new Postrider({ apiKey: key, baseUrl });
  assert.equal((await viewer.events.list()).length, 0);
  await operator.keys.revoke(keyId);
  await assert.rejects(viewer.events.list(), { code: "key_invalid" });
  assert.ok((await operator.profiles.list()).some(({ name }) => name === "standard"));
  assert.match((await operator.profiles.get("standard")).source, /webhook-signature/);
  await rt.eventTypes.create({ type: "lorry.parked", description: "A lorry stands." });
  assert.equal((await rt.eventTypes.get("lorry.parked")).origin, "registered");
  await rt.eventTypes.delete("lorry.parked");
  assert.equal((await rt.scans.run()).due, 0);
  assert.ok(Array.isArray(await rt.scans.list()));
  assert.ok((await rt.audit.list()).some(({ action }) => action.startsWith("event_type")));
  const job = await operator.tenants.delete(id);
  assert.equal(job.kind, "tenant_delete");
});

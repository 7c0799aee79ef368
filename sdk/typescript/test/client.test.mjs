// What the client does around a call: retries, idempotency keys, pages, errors, limits of time.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ApiError,
  ConflictError,
  ConnectionError,
  InvalidRequestError,
  NotFoundError,
  Page,
  Postrider,
  PostriderError,
  RateLimitError,
  ServerError,
  TimeoutError,
} from "@postrider/sdk";
import { problem, serve } from "./support.mjs";

const KEY = "test-key-of-at-least-32-characters";
const EVENT = { type: "order.created", data: { total: 12.5 } };

async function client(answer, options = {}) {
  const server = await serve(answer);
  return { server, rt: new Postrider({ apiKey: KEY, baseUrl: server.url, ...options }) };
}

test("a call carries key, tenant and body, and gives what was answered", async () => {
  const { server, rt } = await client(() => ({ status: 202, json: { id: "evt_1", type: "order.created", matched: 2 } }), {
    tenant: "acme",
  });
  assert.deepEqual(await rt.events.publish(EVENT), { id: "evt_1", type: "order.created", matched: 2 });
  const [{ method, path, headers, body }] = server.requests;
  assert.deepEqual([method, path, JSON.parse(body)], ["POST", "/v1/events", EVENT]);
  assert.equal(headers.authorization, `Bearer ${KEY}`);
  assert.equal(headers["postrider-tenant"], "acme");
  assert.equal(headers["content-type"], "application/json");
  await rt.events.publish(EVENT, { tenant: "other" });
  await rt.forTenant("third").events.publish(EVENT);
  assert.deepEqual(server.requests.slice(1).map(({ headers }) => headers["postrider-tenant"]), ["other", "third"]);
});

test("a base URL may have a path and slashes at its end", async () => {
  const { server } = await client(() => ({ json: {} }));
  await new Postrider({ apiKey: KEY, baseUrl: `${server.url}/hooks//` }).ledger.get();
  assert.equal(server.requests[0].path, "/hooks/v1/ledger");
  assert.throws(() => new Postrider({ apiKey: KEY, baseUrl: "ftp://example.com" }), /neither https nor http/);
  assert.throws(() => new Postrider({ apiKey: KEY, baseUrl: "example.com" }), TypeError);
  assert.throws(() => new Postrider({ apiKey: "", baseUrl: server.url }), /apiKey/);
});

test("an answer without a body is nothing", async () => {
  const { rt } = await client(() => ({ status: 204 }));
  assert.equal(await rt.webhooks.delete("wh_1"), undefined);
});

test("what is put into a path stays one part of it", async () => {
  const { server, rt } = await client(() => ({ json: {} }));
  await rt.webhooks.get("a/../b?c#d é");
  assert.equal(server.requests[0].path, "/v1/webhooks/a%2F..%2Fb%3Fc%23d%20%C3%A9");
  for (const id of ["", ".", "..", undefined, null]) assert.throws(() => rt.webhooks.get(id), TypeError);
});

test("times of a query may be dates, and what is undefined is left out", async () => {
  const { server, rt } = await client(() => ({ json: { data: [], nextCursor: null } }));
  await rt.events.list({ from: new Date(Date.UTC(2026, 0, 31, 9, 30)), type: undefined, limit: 5 });
  assert.equal(server.requests[0].path, "/v1/events?from=2026-01-31T09%3A30%3A00.000Z&limit=5");
});

test("a refusal is an error with all that the problem says", async () => {
  const refused = problem(422, "invalid_field", {
    field: "events[2]",
    detail: "Say otherwise.",
    headers: { "X-Request-Id": "r1" },
  });
  const { rt } = await client(() => refused);
  await assert.rejects(rt.webhooks.create({ url: "x" }), (error) => {
    assert.ok(error instanceof InvalidRequestError && error instanceof ApiError && error instanceof PostriderError);
    const { status, code, detail, field, type, requestId, name, message } = error;
    assert.deepEqual(
      { status, code, detail, field, type, requestId, name, message },
      {
        status: 422,
        code: "invalid_field",
        detail: "Say otherwise.",
        field: "events[2]",
        type: "/docs#problem-invalid_field",
        requestId: "r1",
        name: "InvalidRequestError",
        message: "invalid_field: Say otherwise.",
      },
    );
    return true;
  });
});

test("each status has its class", async () => {
  for (const [status, Class] of [
    [400, "InvalidRequestError"],
    [401, "AuthenticationError"],
    [403, "PermissionError"],
    [404, "NotFoundError"],
    [405, "ApiError"],
    [409, "ConflictError"],
    [412, "ConflictError"],
    [429, "RateLimitError"],
    [500, "ServerError"],
    [503, "ServerError"],
  ]) {
    const { rt } = await client(() => problem(status, "some_code"), { maxRetries: 0 });
    await assert.rejects(rt.ledger.get(), { name: Class, status, code: "some_code" });
  }
});

test("an answer that is not Postrider's is told as such", async () => {
  for (const answer of [
    { status: 404, text: "<h1>Not here</h1>" },
    { status: 404, text: "{", headers: { "Content-Type": "application/problem+json" } },
    { status: 200, text: "<h1>Welcome</h1>" },
    { status: 302, text: "", headers: { Location: "https://elsewhere.example" } },
  ]) {
    const { rt } = await client(() => answer);
    await assert.rejects(rt.ledger.get(), { code: "unexpected_response", status: answer.status });
  }
});

test("a call that is refused for now is made again, with the same idempotency key", async () => {
  for (const refused of [problem(503, "overloaded"), problem(429, "rate_limited"), problem(500, "internal"), "break"]) {
    const { server, rt } = await client((_, n) => (n < 2 ? refused : { status: 202, json: { id: "evt_1" } }));
    assert.deepEqual(await rt.events.publish(EVENT), { id: "evt_1" });
    const keys = server.requests.map(({ headers }) => headers["idempotency-key"]);
    assert.equal(keys.length, 3);
    assert.match(keys[0], /^[0-9a-f-]{36}$/);
    assert.equal(new Set(keys).size, 1);
    assert.equal(new Set(server.requests.map(({ body }) => body)).size, 1);
  }
});

test("two calls have two keys, and one's own key is taken", async () => {
  const { server, rt } = await client(() => ({ status: 202, json: {} }));
  await rt.events.publish(EVENT);
  await rt.events.publish(EVENT);
  await rt.events.publish(EVENT, { idempotencyKey: "mine" });
  const keys = server.requests.map(({ headers }) => headers["idempotency-key"]);
  assert.equal(new Set(keys).size, 3);
  assert.equal(keys[2], "mine");
});

test("after the last retry the error is told", async () => {
  const { server, rt } = await client(() => problem(503, "overloaded", { headers: { "Retry-After": "0" } }), { maxRetries: 3 });
  await assert.rejects(rt.ledger.get(), (error) => error instanceof ServerError && error.retryAfterMs === 0);
  assert.equal(server.requests.length, 4);
  await assert.rejects(rt.ledger.get({ maxRetries: 0 }), ServerError);
  assert.equal(server.requests.length, 5);
});

test("what the caller did wrong is not tried again", async () => {
  for (const [status, Class] of [[404, NotFoundError], [409, ConflictError], [422, InvalidRequestError]]) {
    const { server, rt } = await client(() => problem(status, "x"));
    await assert.rejects(rt.ledger.get(), Class);
    assert.equal(server.requests.length, 1);
  }
});

test("a POST without a key is only made again when nothing was done", async () => {
  for (const [refused, requests] of [[problem(503, "overloaded"), 2], [problem(500, "internal"), 1], ["break", 1]]) {
    const { server, rt } = await client((_, n) => (n === 0 ? refused : { json: { due: 0 } }));
    await rt.scans.run().catch(() => undefined);
    assert.equal(server.requests.length, requests);
    assert.equal(server.requests[0].headers["idempotency-key"], undefined);
  }
});

test("Retry-After is waited for, in seconds or as a date", async () => {
  for (const make of [() => "1", () => new Date(Date.now() + 2_000).toUTCString()]) {
    const value = make();
    const { rt } = await client((_, n) =>
      n === 0 ? problem(429, "rate_limited", { headers: { "Retry-After": value } }) : { json: {} },
    );
    const began = performance.now();
    await rt.ledger.get();
    const waited = performance.now() - began;
    // A date has whole seconds: up to one of the two is cut off.
    assert.ok(waited > 900 && waited < 5_000, `${waited} ms for ${value}`);
  }
});

test("a wait that is too long is the caller's to decide", async () => {
  const { server, rt } = await client(() => problem(429, "rate_limited", { headers: { "Retry-After": "3600" } }));
  await assert.rejects(rt.ledger.get(), (error) => error instanceof RateLimitError && error.retryAfterMs === 3_600_000);
  assert.equal(server.requests.length, 1);
});

test("a server that is not there is a connection error with its reason", async () => {
  const rt = new Postrider({ apiKey: KEY, baseUrl: "http://127.0.0.1:9", maxRetries: 0 });
  await assert.rejects(rt.ledger.get(), (error) => {
    assert.ok(error instanceof ConnectionError && error.cause instanceof TypeError);
    assert.match(error.message, /^GET http:\/\/127\.0\.0\.1:9\/v1\/ledger was not answered: \S/);
    return true;
  });
});

test("a try that takes too long ends, and is made again", async () => {
  const { server, rt } = await client((_, n) => (n === 0 ? undefined : { json: { balanced: true } }), { timeoutMs: 200 });
  assert.deepEqual(await rt.ledger.get(), { balanced: true });
  assert.equal(server.requests.length, 2);
  const silent = await client(() => undefined, { timeoutMs: 100, maxRetries: 1 });
  await assert.rejects(silent.rt.ledger.get(), TimeoutError);
  assert.equal(silent.server.requests.length, 2);
});

test("a body that does not end counts for the time limit as well", async () => {
  const endless = async () => new Response(new ReadableStream({ start() {} }), { status: 200 });
  const fetch = (url, { signal }) =>
    endless().then((response) => {
      const text = () => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      return Object.assign(response, { text });
    });
  const rt = new Postrider({ apiKey: KEY, baseUrl: "http://localhost", fetch, timeoutMs: 50, maxRetries: 0 });
  await assert.rejects(rt.ledger.get(), TimeoutError);
});

test("an abort ends a call, a wait and a loop, with its reason", async () => {
  const reason = new Error("enough");
  const aborted = async (answer, run) => {
    const { server, rt } = await client(answer);
    const controller = new AbortController();
    const running = run(rt, controller.signal);
    setTimeout(() => controller.abort(reason), 100);
    await assert.rejects(running, (error) => error === reason);
    return server.requests.length;
  };
  assert.equal(await aborted(() => undefined, (rt, signal) => rt.ledger.get({ signal })), 1);
  const later = problem(503, "overloaded", { headers: { "Retry-After": "30" } });
  assert.equal(await aborted(() => later, (rt, signal) => rt.ledger.get({ signal })), 1);
  const nothing = { json: { data: [], nextCursor: null } };
  const poll = async (rt, signal) => {
    for await (const _ of rt.events.poll({ signal, intervalMs: 30_000 }));
  };
  assert.equal(await aborted(() => nothing, poll), 1);
  const { server, rt } = await client(() => nothing);
  await assert.rejects(rt.ledger.get({ signal: AbortSignal.abort(reason) }), (error) => error === reason);
  assert.equal(server.requests.length, 0);
});

/** Pages of three, two and one. */
function pages({ path }) {
  const cursor = new URL(path, "http://localhost").searchParams.get("cursor");
  const page = { null: [[1, 2, 3], "b"], b: [[4, 5], "c"], c: [[6], null] }[cursor];
  return { json: { data: page[0].map((n) => ({ id: `evt_${n}` })), nextCursor: page[1] } };
}

test("a list that is awaited is its first page, an array", async () => {
  const { server, rt } = await client(pages);
  const page = await rt.events.list({ type: "a b", limit: 3 });
  assert.ok(Array.isArray(page) && page instanceof Page);
  assert.equal(page[0].id, "evt_1");
  assert.equal(page.length, 3);
  assert.equal(page.nextCursor, "b");
  assert.deepEqual(Object.keys(page), ["0", "1", "2"]);
  assert.equal(JSON.stringify(page), '[{"id":"evt_1"},{"id":"evt_2"},{"id":"evt_3"}]');
  const ids = page.map(({ id }) => id);
  assert.deepEqual([ids.constructor, ids], [Array, ["evt_1", "evt_2", "evt_3"]]);
  const second = await page.nextPage();
  const third = await second.nextPage();
  assert.deepEqual([second.length, third.length, third.nextCursor, await third.nextPage()], [2, 1, null, null]);
  assert.deepEqual(
    server.requests.map(({ path }) => path),
    ["", "&cursor=b", "&cursor=c"].map((cursor) => `/v1/events?type=a+b&limit=3${cursor}`),
  );
});

test("a list that is iterated over is all of it, page by page as it is needed", async () => {
  const { server, rt } = await client(pages);
  const seen = [];
  for await (const event of rt.events.list()) {
    seen.push(event.id);
    if (seen.length === 4) assert.equal(server.requests.length, 2);
  }
  assert.deepEqual(seen, ["evt_1", "evt_2", "evt_3", "evt_4", "evt_5", "evt_6"]);
  assert.equal(server.requests.length, 3);
  for await (const _ of rt.events.list()) break;
  assert.equal(server.requests.length, 4);
  const lengths = [];
  for await (const page of rt.events.list().pages()) lengths.push(page.length);
  assert.deepEqual(lengths, [3, 2, 1]);
});

test("a list is asked for when it is needed, and once", async () => {
  const { server, rt } = await client(pages);
  const list = rt.events.list();
  assert.equal(server.requests.length, 0);
  const [a, b] = await Promise.all([list, list]);
  assert.equal(a, b);
  for await (const _ of list) break;
  assert.equal(server.requests.length, 1);
  let settled = false;
  await list.finally(() => (settled = true));
  assert.ok(settled);
  const refused = await client(() => problem(403, "forbidden"));
  assert.equal(await refused.rt.events.list().catch(({ code }) => code), "forbidden");
});

test("runs takes a number as its limit", async () => {
  const { server, rt } = await client(() => ({ json: { data: [], nextCursor: null } }));
  await rt.workflows.runs("incoming-leads", 25);
  await rt.workflows.runs("incoming-leads", { limit: 5, state: "failed" });
  assert.deepEqual(
    server.requests.map(({ path }) => path),
    ["/v1/workflows/incoming-leads/runs?limit=25", "/v1/workflows/incoming-leads/runs?limit=5&state=failed"],
  );
});

test("a workflow is put as JSON, or as YAML when it is a text", async () => {
  const { server, rt } = await client(() => ({ status: 201, json: {} }));
  await rt.workflows.put("a", { steps: [] });
  await rt.workflows.put("a", "steps: []\n");
  assert.deepEqual(
    server.requests.map(({ headers, body }) => [headers["content-type"], body]),
    [["application/json", '{"steps":[]}'], ["application/yaml", "steps: []\n"]],
  );
});

test("polling goes on after the last event that it saw", async () => {
  const events = [[1, 2], [], [3]].map((ns) => ns.map((n) => ({ id: `evt_${n}` })));
  const { server, rt } = await client((_, n) => ({ json: { data: events[n], nextCursor: null } }));
  const seen = [];
  for await (const event of rt.events.poll({ after: "evt_0", type: "a", intervalMs: 10 })) {
    seen.push(event.id);
    if (seen.length === 3) break;
  }
  assert.deepEqual(seen, ["evt_1", "evt_2", "evt_3"]);
  assert.deepEqual(
    server.requests.map(({ path }) => path),
    ["evt_0", "evt_2", "evt_2"].map((after) => `/v1/events?order=asc&limit=100&after=${after}&type=a`),
  );
});

test("waiting for a run ends with its end, or with the patience", async () => {
  const statuses = ["queued", "running", "succeeded"];
  const { rt } = await client((_, n) => ({ json: { id: "run_1", status: statuses[n] ?? "waiting" } }));
  assert.equal((await rt.runs.waitFor("run_1")).status, "succeeded");
  await assert.rejects(rt.runs.waitFor("run_1", { timeoutMs: 150 }), (error) => {
    assert.match(error.message, /run_1 was still waiting after 150 ms/);
    return error instanceof TimeoutError;
  });
});

/** An import's answer: a line each, and the summary. */
function imported({ body }) {
  const lines = body.trimEnd().split("\n").map((line, at) => ({ line: at + 1, status: 200, id: JSON.parse(line).id }));
  const summary = { lines: lines.length, created: lines.length, refused: 0, complete: true };
  const text = [...lines, { summary }].map((line) => `${JSON.stringify(line)}\n`).join("");
  return { text, headers: { "Content-Type": "application/x-ndjson" } };
}

async function* changes(count) {
  for (let n = 0; n < count; n++) yield { id: `p-${n}`, data: { name: "bolt", n } };
}

test("an import sends lines as they are made, and tells of each", async () => {
  const { server, rt } = await client(imported);
  const importing = rt.records.import("part", changes(5_000), { events: false, report: "all", profile: "runtight" });
  assert.equal(server.requests.length, 0);
  let seen = 0;
  for await (const { line, id } of importing) {
    assert.deepEqual([line, id], [seen + 1, `p-${seen}`]);
    seen++;
  }
  assert.equal(seen, 5_000);
  assert.equal((await importing).created, 5_000);
  const [{ path, headers }] = server.requests;
  assert.equal(path, "/v1/records/part/import?events=false&report=all");
  assert.deepEqual([headers["content-type"], headers["postrider-profile"]], ["application/x-ndjson", "runtight"]);
  assert.equal(headers["transfer-encoding"], "chunked");
});

test("an import that is awaited gives its summary, also of a plain array", async () => {
  const { server, rt } = await client(imported);
  const summary = await rt.records.import("part", [{ id: "a", data: {} }, { id: "b", deleted: true }]);
  assert.deepEqual(summary, { lines: 2, created: 2, refused: 0, complete: true });
  assert.equal(server.requests[0].body, '{"id":"a","data":{}}\n{"id":"b","deleted":true}\n');
});

test("an import that is refused, aborted or cut off is an error", async () => {
  const refused = await client(() => problem(404, "unknown_record_kind"));
  await assert.rejects(async () => await refused.rt.records.import("x", []), { code: "unknown_record_kind" });
  const cut = await client(() => ({ text: '{"line":1,"status":200}\n' }));
  await assert.rejects(async () => await cut.rt.records.import("x", []), ConnectionError);
  const controller = new AbortController();
  const silent = await client(() => undefined);
  setTimeout(() => controller.abort(), 50);
  await assert.rejects(async () => await silent.rt.records.import("x", [], { signal: controller.signal }), {
    name: "AbortError",
  });
});

test("what fails while changes are made is what the import fails with", async () => {
  const { rt } = await client(imported);
  async function* failing() {
    yield* changes(10_000);
    throw new RangeError("no more");
  }
  function* failingAtOnce() {
    throw new RangeError("none");
  }
  for (const made of [failing(), failingAtOnce()]) {
    await assert.rejects(async () => await rt.records.import("part", made), RangeError);
  }
});

test("conditions of a write are headers, with the quotes that ETags have", async () => {
  const { server, rt } = await client(() => ({ json: {} }));
  await rt.records.put("part", "p 1", { a: 1 }, { ifMatch: "v1" });
  await rt.records.put("part", "p 1", { a: 1 }, { ifMatch: '"v1"' });
  await rt.records.put("part", "p 1", { a: 1 }, { ifNoneMatch: "*" });
  assert.equal(server.requests[0].path, "/v1/records/part/p%201");
  const seen = server.requests.map(({ headers }) => [headers["if-match"], headers["if-none-match"]]);
  assert.deepEqual(seen, [['"v1"', undefined], ['"v1"', undefined], [undefined, "*"]]);
});

// A tenant that has something of everything, with texts of the caller's choosing: for pages that must keep tenants apart, or texts harmless.

import { expect } from "@playwright/test";

import type { Receiver } from "./receiver.ts";
import type { As, Server } from "./server.ts";

/** Gives the text for one place. `bytes`: at most so many, of one line. */
export type Words = (place: string, bytes: number) => string;

export interface Seeded {
  tenant: string;
  /** Every id that the tenant's things have. */
  ids: string[];
}

/** With the profile rcmanager, which has records. Every webhook of it is at `receiver`, but for one that is an inbox. */
export async function seed(server: Server, receiver: Receiver, tenant: string, words: Words): Promise<Seeded> {
  const as: As = { tenant };
  const ids: string[] = [];
  const api = async (...[method, path, body]: Parameters<Server["api"]>) => {
    const answer = await server.api(method, path, body, as);
    if (typeof answer?.id === "string" && /^[a-z]+_[0-9a-z]{26}$/.test(answer.id)) ids.push(answer.id);
    return answer;
  };
  await server.tenant(tenant, "rcmanager", { name: words("tenant name", 200), attributes: { team_id: 7, team_name: words("attribute", 200) } });

  const inbox = await api("POST", "/v1/inboxes");
  const inboxed = await api("POST", "/v1/webhooks", { url: inbox.url, events: ["*"], name: words("webhook name", 200) });
  const query = encodeURIComponent(words("query of a URL", 200));
  const hook = await api("POST", "/v1/webhooks", {
    url: `${receiver.url(`/${tenant}`)}?q=${query}`,
    events: ["*"],
    name: words("another webhook name", 200),
    description: words("webhook description", 2000),
    headers: { [`X-${tenant}`]: headerSafe(words("header value", 200)) },
  });
  receiver.answersNext({ status: 400, headers: { "X-Word": headerSafe(words("header of an answer", 200)) }, body: words("body of an answer", 4000) });

  const data = { title: words("data", 4000), [words("name in data", 200)]: [words("data in a list", 2000)] };
  await api("POST", "/v1/events", { id: `evt-${tenant}`, type: "vehicle.created", data });
  await api("POST", `/v1/webhooks/${hook.id}/test`, { type: "vehicle.created", data });
  await expect.poll(async () => (await server.deliveries(tenant)).filter(({ state }) => state === "delivered").length).toBeGreaterThanOrEqual(1);

  // From outside, with what nobody signed.
  await fetch(inbox.url, { method: "POST", headers: { "X-Word": headerSafe(words("header of a request", 200)) }, body: words("body of a request", 4000) });

  await api("PUT", "/v1/records/vehicle/" + encodeURIComponent(`rec-${tenant}`), { name: words("field of a record", 2000), [words("name of a field", 200)]: 1 });
  await api("PUT", `/v1/secrets/SECRET_${tenant}`, { value: words("value of a secret", 2000) });
  await api("POST", "/v1/connections", {
    name: `con-${tenant}`,
    grant: "client_credentials",
    clientId: headerSafe(words("client id", 200)),
    clientSecret: "a-secret-of-an-app",
    tokenUrl: receiver.url("/token"),
  });

  const workflow = `wf-${tenant}`;
  await api("PUT", `/v1/workflows/${workflow}`, {
    description: words("workflow description", 1000),
    steps: [{ id: "note", type: "transform", output: { text: { $literal: words("output of a step", 2000) } } }],
  });
  const trigger = await api("POST", `/v1/workflows/${workflow}/triggers`, {
    type: "webhook",
    name: words("trigger name", 100),
    enabled: true,
    verification: { preset: "none" },
  });
  const taken = await fetch(trigger.webhookUrl, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Word": headerSafe(words("header of an inbound request", 200)) },
    body: JSON.stringify({ text: words("inbound body", 2000) }),
  });
  expect(taken.status).toBe(202);
  ids.push((await taken.json()).runId);
  await fetch(trigger.webhookUrl, { method: "POST", headers: { "Content-Type": "application/json" }, body: words("broken inbound body", 2000) });
  const started = await api("POST", `/v1/workflows/${workflow}/runs`, { input: { text: words("input of a run", 2000) } });
  if (started.runId) ids.push(started.runId);

  for (const list of ["deliveries", "events", "requests", "runs", "portal-sessions"]) {
    const { data } = await server.api("GET", `/v1/${list}?limit=100`, undefined, as);
    ids.push(...data.map(({ id }: { id: string }) => id));
  }
  ids.push(inboxed.id, `evt-${tenant}`, `rec-${tenant}`, `SECRET_${tenant}`, `con-${tenant}`, workflow, inbox.url.split("/").at(-1), trigger.webhookUrl.split("/").at(-1));
  return { tenant, ids: [...new Set(ids.filter(Boolean))] };
}

/** As a header can carry it. */
function headerSafe(text: string): string {
  return text.replace(/[^\u0020-\u007e]/gu, "?").trim() || "x";
}

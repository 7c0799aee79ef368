// Who may only look: sees no control that changes anything, and changes nothing by asking all the same.

import { sound } from "./support/checks.ts";
import { crawl, type Sends } from "./support/crawl.ts";
import { seed } from "./support/seed.ts";
import type { Server } from "./support/server.ts";
import { openPortal, session } from "./support/sign-in.ts";
import { expect, shot, test } from "./support/test.ts";

/** Forms that are sent and change nothing that anybody shares: how it looks, the way out, and questions whose words belong in no address. */
const CHANGES_NOTHING = /^\/portal\/(theme|sign-out|signature)$/;

/** Everything that a tenant has, as the API tells it. */
async function state(server: Server, tenant: string): Promise<unknown> {
  const whole: Record<string, unknown> = {};
  for (const path of [
    `/v1/tenants/${tenant}`,
    "/v1/webhooks?limit=100",
    "/v1/events?limit=100",
    "/v1/deliveries?limit=100",
    "/v1/inboxes",
    "/v1/event-types?limit=100",
    "/v1/secrets",
    "/v1/connections",
    "/v1/workflows",
    "/v1/runs?limit=100",
    "/v1/portal-sessions",
    `/v1/keys?tenant=${tenant}`,
    "/v1/audit?limit=100",
  ]) {
    whole[path] = (await server.ask("GET", path, undefined, { tenant })).body;
  }
  return whole;
}

test("a viewer sees everything and can change nothing", async ({ page, somebodyElse, server, receiver }) => {
  test.setTimeout(240_000);
  await seed(server, receiver, "acme", (place) => `Our ${place}`);
  await openPortal(page, server, "acme", "viewer");
  const viewer = await session(page);
  const links = page.getByRole("navigation", { name: "Pages" }).locator("a:visible");
  if ((await links.count()) === 0) await page.getByText("Menu", { exact: true }).click();
  const pages = await links.evaluateAll((all) => (all as HTMLAnchorElement[]).map(({ href }) => href));
  expect(pages.length).toBeGreaterThan(5);
  for (const url of pages) {
    await page.goto(url);
    await sound(page);
    await shot(page, `viewer-${new URL(url).pathname.replace(/^\/portal\/?/, "").replaceAll("/", "-") || "health"}`);
  }
  // Those, and whatever they lead to.
  const seen = await crawl(page, `${server.url}/portal/`);
  const controls = seen.flatMap(({ at, sends }) => sends.map(({ action }) => ({ at, action })));
  expect(controls.filter(({ action }) => !CHANGES_NOTHING.test(action))).toEqual([]);
  expect(seen.filter(({ status }) => status >= 400).map(({ at, status }) => `${status} ${at}`)).toEqual([]);

  const admin = await somebodyElse();
  await openPortal(admin, server, "acme", "admin");
  const forms = new Map<string, Sends>();
  for (const { sends } of await crawl(admin, `${server.url}/portal/`)) {
    for (const one of sends) if (!CHANGES_NOTHING.test(one.action)) forms.set(one.action, one);
  }
  expect(forms.size).toBeGreaterThan(10);
  await expect.poll(async () => (await server.deliveries("acme")).filter(({ state }) => state === "sending").length).toBe(0);
  const before = await state(server, "acme");
  const answers: string[] = [];
  for (const { action, fields } of forms.values()) {
    const body = new URLSearchParams(fields);
    body.set("csrf", viewer.csrf);
    const answer = await fetch(server.url + action, { method: "POST", redirect: "manual", headers: { cookie: viewer.cookie, "sec-fetch-site": "same-origin" }, body });
    await answer.text();
    if (answer.status !== 403) answers.push(`${answer.status} ${action}`);
  }
  expect(answers, "what was not refused").toEqual([]);
  expect(await state(server, "acme")).toEqual(before);
});

test("where a profile keeps webhooks for admins, a viewer is not shown that there are any", async ({ page, server, receiver }) => {
  await server.tenant("acme", "smartmaintenance", { attributes: { company_id: 17 } });
  const webhook = await server.webhook("acme", receiver.url(), ["*"], { name: "Hidden from viewers" });
  await server.publish("acme", "task.assigned", { task_id: 1 });
  const [delivery] = await server.deliveries("acme");
  await openPortal(page, server, "acme", "viewer");
  await expect(page.getByText("Webhooks and what was sent to them are for admins here.")).toBeVisible();
  await sound(page);
  await shot(page, "viewer-without-webhooks");
  const seen = await crawl(page, `${server.url}/portal/`);
  for (const { at, html, status } of seen) {
    expect(status, at).toBeLessThan(400);
    expect(html, at).not.toContain("Hidden from viewers");
    expect(html, at).not.toContain(webhook.id);
    expect(html, at).not.toMatch(/href="\/portal\/(webhooks|deliveries|inbox)"/);
  }
  for (const path of ["/webhooks", `/webhooks/${webhook.id}`, "/deliveries", `/deliveries/${delivery.id}`, "/inbox"]) {
    expect((await page.request.get(`${server.url}/portal${path}`)).status(), path).toBe(403);
  }
});

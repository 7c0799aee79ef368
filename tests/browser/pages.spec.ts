// Every page of both faces, with data and without: what holds for every page holds for each, and there is a picture of it. The navigation is
// the list, so that a new page is looked at by itself; then what each list leads to.

import type { Page } from "@playwright/test";

import { accessible, calm, fits, weight } from "./support/checks.ts";
import type { Receiver } from "./support/receiver.ts";
import type { Server } from "./support/server.ts";
import { openPortal, signIn } from "./support/sign-in.ts";
import { expect, shot, test } from "./support/test.ts";

/** Addresses of the navigation, in its order. */
async function navigation(page: Page): Promise<string[]> {
  const links = page.locator("nav.side").getByRole("link", { includeHidden: true });
  return links.evaluateAll((links) => links.map((link) => (link as HTMLAnchorElement).href));
}

/** What the content leads to, below the same face and not in the navigation: of those that look alike, the first. */
async function leads(page: Page, known: Map<string, string>): Promise<string[]> {
  const hrefs = await page.locator("main a[href]").evaluateAll((links) => links.map((link) => (link as HTMLAnchorElement).href));
  const base = new URL(page.url()).origin;
  return hrefs.filter((href) => href.startsWith(base)).map(withoutQuestion).filter((href) => {
    const shape = shapeOf(href);
    // Of the installation's pages those of one tenant are looked at with that tenant.
    if (known.has(shape)) return false;
    known.set(shape, href);
    return true;
  });
}

/** A list's questions lead to the same page again; the output of a step is named by its question alone. */
function withoutQuestion(href: string): string {
  const url = new URL(href);
  return `${url.origin}${url.pathname}${url.pathname.endsWith("/step") ? url.search : ""}`;
}

/** The path with words in the place of names and ids. */
function shapeOf(url: string): string {
  return new URL(url).pathname.replace(/\/[a-z]{2,4}_[0-9a-z]{26}/g, "/ID").replace(/(event-types|records\/[a-z]+|workflows|secrets|connections|profiles|events)\/(?!new\b)[^/]+/, "$1/ID");
}

/** Looks at a page as everybody who checks one does. Gives whether anything was there. */
async function look(page: Page, url: string, name: string): Promise<void> {
  await test.step(`${name}: ${new URL(url).pathname}`, async () => {
    const response = await page.goto(url);
    expect.soft(response?.status(), url).toBe(200);
    await softly(async () => expect(await page.getByRole("heading", { level: 1 }).count(), `one h1 on ${url}`).toBe(1));
    await softly(() => calm(page));
    await softly(() => fits(page));
    await softly(() => accessible(page));
    await softly(() => weight(response));
    await shot(page, `${name}${shapeOf(url).replace(/^\/(dashboard\/t\/[^/]+|dashboard|portal)/, "").replaceAll("/", "-") || "-home"}`);
  });
}

/** The next page is looked at as well, whatever is wrong with this one. */
async function softly(check: () => Promise<void>): Promise<void> {
  try {
    await check();
  } catch (error) {
    expect.soft((error as Error).message.split("\n\n")[0], "at fault").toBe("");
  }
}

async function everything(page: Page, name: string): Promise<void> {
  const start = page.url();
  const listed = await navigation(page);
  expect(listed.length, "links of the navigation").toBeGreaterThan(3);
  const known = new Map(listed.map((url) => [shapeOf(url), url]));
  known.set(shapeOf(start), start);
  let next = listed;
  // What lists lead to, and what that leads to.
  for (let depth = 0; depth < 3 && next.length > 0; depth++) {
    const found: string[] = [];
    for (const url of next) {
      await look(page, url, name);
      found.push(...(await leads(page, known)));
    }
    next = found;
  }
}

/** A tenant that has something on every list. */
async function fill(server: Server, receiver: Receiver, tenant: string): Promise<void> {
  const as = { tenant };
  await server.tenant(tenant, "rcmanager", { name: "Kart Racing Süd e. V.", attributes: { team_id: 7, team_name: "Süd" } });
  const inbox = await server.api("POST", "/v1/inboxes", undefined, as);
  await server.webhook(tenant, inbox.url, ["*"], { name: "What arrives" });
  await server.webhook(tenant, receiver.url(), ["vehicle.*"], { name: "Fleet of the workshop in Friedrichshafen", description: "Tells the workshop." });
  await server.webhook(tenant, receiver.url("/off"), ["*"], { name: "Old system", enabled: false });
  receiver.answersNext({ status: 503, headers: { "Retry-After": "600" }, body: "busy" });
  const published = ["vehicle.created", "vehicle.updated", "session.ended"];
  for (const type of published) await server.publish(tenant, type, { id: 7, name: "Kart 7", note: "ein längerer Text, ".repeat(10) });
  await fetch(inbox.url, { method: "POST", body: '{"from": "outside"}', headers: { "Content-Type": "application/json" } });
  await server.api("PUT", "/v1/records/vehicle/kart-7", { name: "Kart 7", laps: 12 }, as);
  await server.api("PUT", "/v1/secrets/CRM_TOKEN", { value: "a-secret-value" }, as);
  await server.api("POST", "/v1/connections", { name: "crm", grant: "client_credentials", clientId: "postrider", clientSecret: "a-secret", tokenUrl: receiver.url("/token") }, as);
  await server.api("PUT", "/v1/workflows/tell-the-crm", { description: "Tells the CRM.", steps: [{ id: "note", type: "transform", output: { hello: "world" } }] }, as);
  const trigger = await server.api("POST", "/v1/workflows/tell-the-crm/triggers", { type: "webhook", name: "From the shop", enabled: true, verification: { preset: "none" } }, as);
  await fetch(trigger.webhookUrl, { method: "POST", body: '{"order": 1}', headers: { "Content-Type": "application/json" } });
  await fetch(trigger.webhookUrl, { method: "POST", body: "not JSON", headers: { "Content-Type": "application/json" } });
  await server.key("viewer", tenant);
  await expect.poll(async () => (await server.api("GET", "/v1/runs?state=succeeded", undefined, as)).data.length).toBe(1);
  await expect.poll(async () => (await server.deliveries(tenant, "state=delivered")).length).toBeGreaterThanOrEqual(4);
}

test.describe.configure({ timeout: 900_000 });

test("the portal with data", async ({ page, server, receiver }) => {
  await fill(server, receiver, "kart");
  await openPortal(page, server, "kart", "admin", { name: "RC Manager", accent: "#8a1c5f" });
  await everything(page, "portal");
});

test("the portal of a tenant that has nothing yet", async ({ page, server }) => {
  await server.tenant("empty", "rcmanager");
  await openPortal(page, server, "empty", "admin");
  await everything(page, "empty-portal");
});

test("the dashboard with data", async ({ page, server, receiver }) => {
  await fill(server, receiver, "kart");
  await page.goto(`${server.url}/dashboard/login`);
  await look(page, page.url(), "dashboard");
  await signIn(page, server);
  await look(page, `${server.url}/dashboard/`, "dashboard");
  // With a tenant in the address its pages are in the navigation as well.
  await page.goto(`${server.url}/dashboard/t/kart/`);
  await everything(page, "dashboard");
});

test("the dashboard of an installation that has nothing yet", async ({ page, server }) => {
  await signIn(page, server);
  await everything(page, "empty-dashboard");
});

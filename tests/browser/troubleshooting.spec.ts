// What a webhook's page answers of the questions that SmartMaintenance's handbook lists under "Troubleshooting".

import type { Page } from "@playwright/test";

import { accessible, calm, fits } from "./support/checks.ts";
import { go } from "./support/go.ts";
import { openPortal } from "./support/sign-in.ts";
import { expect, shot, test } from "./support/test.ts";

const SECRET = "a-secret-that-both-sides-know";
const TASK = { task_id: 12345, asset_id: 678, technician_id: 42, note: "Pumpe geprüft" };

async function sound(page: Page): Promise<void> {
  await fits(page);
  await calm(page);
  await accessible(page);
}

/** One of the questions on the page, opened. */
async function question(page: Page, title: string) {
  const details = page.locator("details").filter({ has: page.locator("summary", { hasText: title }) });
  if (!(await details.evaluate((details) => (details as HTMLDetailsElement).open))) await details.locator("summary").click();
  return details;
}

test.beforeEach(async ({ server }) => {
  await server.tenant("kahatex", "smartmaintenance", { attributes: { company_id: 1 } });
});

test("it never fires: it is not active", async ({ page, server, receiver }) => {
  await server.webhook("kahatex", receiver.url(), ["task.completed"], { name: "SAP-PM bridge", enabled: false });
  await server.publish("kahatex", "task.completed", TASK);
  await openPortal(page, server, "kahatex", "admin");
  await go(page, "Webhooks");
  await sound(page);
  await shot(page, "webhooks");
  await page.getByRole("link", { name: "SAP-PM bridge" }).click();
  const answer = await question(page, "It never fires");
  await expect(answer).toContainText("It is switched off.");
  await sound(page);
  await shot(page, "troubleshooting-off");
  await page.getByRole("button", { name: "Activate" }).click();
  await expect(page.getByText("The webhook is on.")).toBeVisible();
});

test("it never fires: the type is not selected", async ({ page, server, receiver }) => {
  await server.webhook("kahatex", receiver.url(), ["shutdown.reported"], { name: "Data warehouse" });
  await server.publish("kahatex", "task.completed", TASK);
  await openPortal(page, server, "kahatex", "admin");
  await page.getByRole("link", { name: "Data warehouse" }).click();
  const answer = await question(page, "It never fires");
  await expect(answer).toContainText("Its patterns match none of the newest events.");
  await expect(answer).toContainText("task.completed × 1");
  await sound(page);
  await answer.getByRole("link", { name: "Change the patterns" }).click();
  await page.getByLabel("task.completed", { exact: true }).check();
  await expect(page.locator("#matches")).toContainText("task.completed");
  await sound(page);
  await shot(page, "webhook-edit");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("The change is saved")).toBeVisible();
  await server.publish("kahatex", "task.completed", TASK);
  await receiver.got(1);
});

test("the signature fails: the body was parsed and written again", async ({ page, server, receiver }) => {
  await server.webhook("kahatex", receiver.url(), ["*"], { name: "SAP-PM bridge", secret: SECRET });
  await server.publish("kahatex", "task.completed", TASK);
  const [request] = await receiver.got(1);
  if (!request) throw new Error("because one was awaited");
  await openPortal(page, server, "kahatex", "admin");
  await page.getByRole("link", { name: "SAP-PM bridge" }).click();
  const answer = await question(page, "The signature fails");
  await expect(answer).toContainText("Mostly the body was parsed before it was checked");
  await answer.getByRole("link", { name: "Signature helper" }).click();
  await sound(page);

  const head = Object.entries(request.headers).map(([name, value]) => `${name}: ${value}`).join("\n");
  const check = async (body: string) => {
    await page.getByLabel("The request").fill(`${head}\n\n${body}`);
    await page.getByLabel("Secret").fill(SECRET);
    await page.getByRole("button", { name: "Check the signature" }).click();
  };
  await check(JSON.stringify(JSON.parse(request.text), null, 2));
  await expect(page.getByText("It does not hold for this request as it is.")).toBeVisible();
  await expect(page.getByText("it was parsed and written again with other whitespace. Check the raw bytes, before any JSON parser.")).toBeVisible();
  await sound(page);
  await shot(page, "signature-rewritten");
  await check(request.text);
  await expect(page.getByText("The signature holds.", { exact: true })).toBeVisible();
  await sound(page);
});

test("failed deliveries accumulate", async ({ page, server, receiver }) => {
  await server.webhook("kahatex", receiver.url(), ["*"], { name: "Slack #maintenance" });
  receiver.answers({ status: 404, body: "no such channel" });
  await server.publish("kahatex", "task.completed", TASK);
  await server.publish("kahatex", "task.approved", TASK);
  // Two attempts each, so that it stands clear that they are repeated.
  await receiver.got(4);
  await openPortal(page, server, "kahatex", "admin");
  await page.getByRole("link", { name: "Slack #maintenance" }).click();
  const answer = await question(page, "Failures accumulate");
  await expect(answer).toContainText("404");
  await expect(answer).toContainText("Check the path of the URL, and that it takes POST.");
  await sound(page);
  await shot(page, "troubleshooting-failures");
  await answer.getByRole("link", { name: "Show them" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Deliveries");
  await expect(page.getByRole("row").filter({ hasText: "404" })).toHaveCount(2);
  await sound(page);
});

test("duplicates arrive", async ({ page, server, receiver }) => {
  await server.webhook("kahatex", receiver.url(), ["*"], { name: "SAP-PM bridge" });
  await server.publish("kahatex", "task.completed", TASK);
  await receiver.got(1);
  await openPortal(page, server, "kahatex", "admin");
  await page.getByRole("link", { name: "SAP-PM bridge" }).click();
  const answer = await question(page, "Events come twice");
  await expect(answer).toContainText("X-SMTM-Delivery");
  await sound(page);
  await shot(page, "webhook");
});

// Five hundred deliveries of one webhook failed; its receiver works again, and somebody sends all of them once more.

import { accessible, calm, fits } from "./support/checks.ts";
import { go } from "./support/go.ts";
import { openPortal } from "./support/sign-in.ts";
import { expect, shot, test } from "./support/test.ts";

const FAILED = 500;

test("all that failed are counted, sent again, and arrive once each", async ({ page, server, receiver }) => {
  test.setTimeout(180_000);
  await server.tenant("acme", "runtight", { settings: { delivery: "immediate" } });
  const webhook = await server.webhook("acme", receiver.url(), ["*"], { name: "Workshop" });
  // Of another webhook, which stays as it is.
  await server.webhook("acme", receiver.url("/other"), ["pm.due"], { name: "Other" });
  receiver.answers({ status: 500 });
  await server.publish("acme", "pm.due");
  const data = { work_order_id: "7", title: "Pump", priority: "high", status: "open", wo_type: "repair", due_date: null, asset_id: null };
  const events = Array.from({ length: FAILED - 1 }, (_, number) => ({ id: `wo-${number}`, type: "wo.created", data }));
  await server.publishMany("acme", events);
  await expect.poll(async () => (await server.api("GET", "/v1/ledger", undefined, { tenant: "acme" })).failed, { timeout: 90_000 }).toBe(FAILED + 1);
  const before = (await receiver.got(FAILED + 1)).length;
  receiver.answers({});

  await openPortal(page, server, "acme", "admin");
  await go(page, "Deliveries");
  await page.getByLabel("State").selectOption("failed");
  await page.getByLabel("Webhook").selectOption("Workshop");
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await expect(page.getByRole("row").filter({ hasText: "Workshop" })).toHaveCount(50);
  await fits(page);
  await calm(page);
  await page.getByRole("button", { name: "Retry all failed that match" }).click();

  await expect(page.getByText(`${FAILED} deliveries will be sent again.`)).toBeVisible();
  await fits(page);
  await calm(page);
  await accessible(page);
  await shot(page, "retry-500-preview");
  await page.getByRole("button", { name: `Send again ${FAILED}` }).click();

  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Sending again");
  await expect(page.getByText(`Done: ${FAILED} new deliveries were made.`)).toBeVisible({ timeout: 30_000 });
  const bar = page.getByRole("progressbar", { name: "Progress" });
  expect(await bar.evaluate((bar) => (bar as HTMLProgressElement).position)).toBe(1);
  await fits(page);
  await calm(page);
  await accessible(page);
  await shot(page, "retry-500-done");

  await expect.poll(() => receiver.received.length, { timeout: 60_000 }).toBe(before + FAILED);
  const again = receiver.received.slice(before);
  expect(again.every(({ path }) => path === "/hook")).toBe(true);
  await expect.poll(async () => (await server.api("GET", "/v1/ledger", undefined, { tenant: "acme" })).replays.delivered).toBe(FAILED);
  const delivered = new Set<string>();
  let cursor = "";
  do {
    const { data, nextCursor } = await server.api("GET", `/v1/deliveries?limit=100&state=delivered&webhook=${webhook.id}${cursor}`, undefined, { tenant: "acme" });
    for (const { eventId } of data) delivered.add(eventId);
    cursor = nextCursor ? `&cursor=${nextCursor}` : "";
  } while (cursor);
  expect(delivered.size, "events that arrived").toBe(FAILED);

  await page.getByRole("link", { name: "See the deliveries made" }).click();
  await expect(page.getByRole("row").filter({ hasText: "delivered" })).toHaveCount(50);
  await calm(page);
});

// An event did not arrive: somebody finds out why, from the portal's start, and what to do next.

import type { Page } from "@playwright/test";

import { accessible, calm, fits } from "./support/checks.ts";
import { find, go } from "./support/go.ts";
import { Server } from "./support/server.ts";
import { openPortal } from "./support/sign-in.ts";
import { expect, shot, test } from "./support/test.ts";

/** The row of one webhook on an event's page. */
function row(page: Page, webhook: string) {
  return page.getByRole("row").filter({ has: page.getByRole("link", { name: webhook, exact: true }) });
}

async function sound(page: Page): Promise<void> {
  await fits(page);
  await calm(page);
  await accessible(page);
}

test("the webhook was off", async ({ page, server, receiver }) => {
  await server.tenant("acme");
  await server.webhook("acme", receiver.url(), ["*"], { name: "Billing", enabled: false });
  await server.publish("acme", "invoice.paid", { number: "R-4711" });

  await openPortal(page, server, "acme", "admin");
  await go(page, "Events");
  await sound(page);
  await page.getByRole("table").getByRole("link").first().click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Event invoice.paid");
  await expect(row(page, "Billing")).toContainText("not sent");
  await expect(row(page, "Billing")).toContainText("The webhook was off when the event was accepted.");
  await sound(page);
  await shot(page, "why-not-off");

  await row(page, "Billing").getByRole("link", { name: "Switch it on" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Billing");
  await page.getByRole("button", { name: "Activate" }).click();
  await expect(page.getByText("The webhook is on.")).toBeVisible();
  await sound(page);
  await server.publish("acme", "invoice.paid");
  await receiver.got(1);
});

test("no pattern of the webhook matches, found by text of the payload", async ({ page, server, receiver }) => {
  await server.tenant("acme");
  await server.webhook("acme", receiver.url(), ["customer.*"], { name: "Mailing list" });
  await server.publish("acme", "invoice.paid", { number: "R-4711" });

  await openPortal(page, server, "acme", "admin");
  await go(page, "Deliveries");
  await sound(page);
  await find(page, "R-4711");
  await expect(page.getByText("1 event whose payload holds R-4711.")).toBeVisible();
  await sound(page);
  await shot(page, "search");
  await page.getByRole("table").getByRole("link").first().click();
  await expect(row(page, "Mailing list")).toContainText("None of the webhook's event patterns matches this type.");
  await expect(row(page, "Mailing list")).toContainText("customer.*");
  await sound(page);
  await shot(page, "why-not-patterns");

  await row(page, "Mailing list").getByRole("link", { name: "Add the type to its events" }).click();
  await page.getByLabel("Further patterns").fill("customer.*\ninvoice.paid");
  await page.getByLabel("Name", { exact: true }).press("Tab");
  await expect(page.locator("#matches")).toContainText("None of the types that are known here.");
  await sound(page);
  await page.getByRole("button", { name: /^Save/ }).click();
  await expect(page.getByText("The change is saved")).toBeVisible();
  await server.publish("acme", "invoice.paid");
  await receiver.got(1);
});

test("the webhook was registered later, found by the event's id", async ({ page, server, receiver }) => {
  await server.tenant("acme");
  const event = await server.publish("acme", "invoice.paid");
  await server.webhook("acme", receiver.url(), ["*"], { name: "Newcomer" });

  await openPortal(page, server, "acme", "admin");
  await go(page, "Events");
  await find(page, event);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Event invoice.paid");
  await expect(row(page, "Newcomer")).toContainText("The webhook was registered after the event was accepted.");
  await expect(row(page, "Newcomer")).toContainText("Registered at");
  await expect(row(page, "Newcomer")).toContainText("Publish the event again to have it there, too.");
  await sound(page);
  await shot(page, "why-not-later");
});

test("it failed for good", async ({ page, server, receiver }) => {
  await server.tenant("acme", "runtight", { settings: { delivery: "immediate" } });
  await server.webhook("acme", receiver.url(), ["*"], { name: "Workshop" });
  receiver.answers({ status: 500, body: "disk full" });
  await server.publish("acme", "wo.created", { work_order_id: "7" });
  await expect.poll(async () => (await server.deliveries("acme", "state=failed")).length).toBe(1);

  await openPortal(page, server, "acme", "admin");
  // The start says that it fails.
  await expect(row(page, "Workshop")).toContainText("failing");
  await sound(page);
  await shot(page, "health-failing");
  await go(page, "Deliveries");
  await page.getByLabel("State").selectOption("failed");
  await page.getByRole("button", { name: "Show", exact: true }).click();
  const delivery = page.getByRole("row").filter({ hasText: "wo.created" });
  await expect(delivery).toContainText("500");
  await sound(page);
  await shot(page, "deliveries-failed");
  await delivery.getByRole("link").first().click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Delivery of wo.created");
  await expect(page.getByText("The one attempt that this profile makes failed. Retry the delivery by hand if it is still wanted.")).toBeVisible();
  await expect(page.getByText("The endpoint failed at it: look into its log at this time.")).toBeVisible();
  await expect(page.getByText("disk full")).toBeVisible();
  await sound(page);
  await shot(page, "why-not-failed");

  receiver.answers({});
  await page.getByRole("button", { name: "Retry" }).click();
  await expect(page.getByText("This is the new delivery.")).toBeVisible();
  await expect(page.getByText("The receiver accepted the event.")).toBeVisible();
  await sound(page);
  await receiver.got(2);
});

test("its address is not allowed", async ({ page, receiver }) => {
  // What may be reached is less than it was when the webhook was registered.
  const before = await Server.start();
  await before.tenant("acme", "runtight", { settings: { delivery: "immediate" } });
  await before.webhook("acme", receiver.url(), ["*"], { name: "Inside" });
  const server = await Server.start([], [], await before.leave());
  try {
    const event = await server.publish("acme", "wo.created");
    await expect.poll(async () => (await server.deliveries("acme", "state=failed")).length).toBe(1);

    await openPortal(page, server, "acme", "admin");
    await go(page, "Deliveries");
    await find(page, event);
    await expect(row(page, "Inside")).toContainText("The address of the webhook is not allowed.");
    await expect(row(page, "Inside")).toContainText("Give the webhook a public URL, or ask the operator to allow the address.");
    await sound(page);
    await shot(page, "why-not-blocked");
    await row(page, "Inside").getByRole("link", { name: "Change the URL" }).click();
    await expect(page.getByLabel("URL", { exact: true })).toHaveValue(receiver.url());
    await sound(page);
    expect(receiver.received).toEqual([]);
  } finally {
    await server.stop();
  }
});

test("it waits, because the receiver asked for it", async ({ page, server, receiver }) => {
  await server.tenant("acme");
  await server.webhook("acme", receiver.url(), ["*"], { name: "Busy" });
  receiver.answersNext({ status: 503, headers: { "Retry-After": "120" } });
  const event = await server.publish("acme", "invoice.paid");
  await expect.poll(async () => (await server.deliveries("acme", "state=scheduled"))[0]?.attemptCount).toBe(1);

  await openPortal(page, server, "acme", "admin");
  await go(page, "Events");
  await find(page, event);
  await expect(row(page, "Busy")).toContainText("The last attempt failed; the next one is scheduled.");
  await expect(row(page, "Busy")).toContainText("The endpoint asks for patience");
  const left = row(page, "Busy").locator("time[data-countdown]");
  await expect(left).toHaveText(/^in (1 min \d+ s|2 min)/);
  await sound(page);
  await shot(page, "why-not-waiting");
  const before = await left.textContent();
  await expect(left).not.toHaveText(before ?? "");
  await row(page, "Busy").getByRole("link", { name: "See the delivery" }).click();
  await expect(page.getByText("The receiver asked to wait: Retry-After: 120 s")).toBeVisible();
  await expect(page.getByText("The next attempt is at")).toBeVisible();
  await sound(page);
  await shot(page, "delivery-waiting");
});

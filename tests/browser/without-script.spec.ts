// A browser that runs no script: everything reads, and every form works.

import { fits } from "./support/checks.ts";
import { signIn } from "./support/sign-in.ts";
import { expect, shot, test } from "./support/test.ts";

test.use({ javaScriptEnabled: false });

test("without script, a webhook is made, paused, used, retried and deleted", async ({ page, server, receiver }) => {
  await server.tenant("acme");
  await signIn(page, server);
  await page.getByRole("main").getByRole("link", { name: "acme" }).first().click();
  await page.getByRole("link", { name: "Create a webhook" }).click();
  await page.getByLabel("URL", { exact: true }).fill(receiver.url());
  await page.getByLabel("Name", { exact: true }).fill("Orders");
  await page.getByLabel("Every event, also of types to come").check();
  await page.getByRole("button", { name: "Show what matches" }).click();
  await expect(page.getByLabel("URL", { exact: true })).toHaveValue(receiver.url());
  await page.getByRole("button", { name: "Create the webhook" }).click();
  await expect(page.getByRole("region", { name: "Signing secret" })).toContainText(/^whsec_/);
  await page.getByRole("link", { name: "Open the webhook" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Orders" })).toBeVisible();
  await shot(page, "without-script-webhook");

  await page.getByRole("button", { name: "Pause" }).click();
  await expect(page.getByText("The webhook is off.")).toBeVisible();
  await page.goto(`${server.url}/dashboard/t/acme/webhooks`);
  await page.getByRole("switch", { name: "Active: Orders" }).click();
  await expect(page.getByRole("switch", { name: "Active: Orders" })).toBeChecked();

  receiver.answersNext({ status: 400, body: "no" });
  await server.publish("acme", "order.created", { id: 1 });
  await server.publish("acme", "order.paid", { id: 2 });
  await expect.poll(async () => (await server.deliveries("acme")).map(({ state }) => state).sort()).toEqual(["delivered", "failed"]);
  await page.goto(`${server.url}/dashboard/t/acme/deliveries`);
  const rows = page.getByRole("main").locator("tbody tr");
  await expect(rows).toHaveCount(2);
  await page.getByLabel("State", { exact: true }).selectOption("failed");
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await expect(rows).toHaveCount(1);
  await expect(page).toHaveURL(/state=failed/);
  await fits(page);
  await shot(page, "without-script-deliveries");
  await rows.first().getByRole("cell").getByRole("link").first().click();
  await page.getByRole("button", { name: "Retry", exact: true }).click();
  await receiver.got(3);
  await expect(async () => {
    await page.reload();
    await expect(page.getByText("Sent again").first()).toBeVisible();
    await expect(page.getByRole("heading", { name: "Delivered" })).toBeVisible({ timeout: 500 });
  }).toPass();
  await shot(page, "without-script-delivery");

  await page.goto(`${server.url}/dashboard/t/acme/webhooks`);
  await page.getByRole("main").getByRole("link", { name: "Orders" }).click();
  await page.getByRole("link", { name: "Delete" }).click();
  await page.getByRole("button", { name: "Delete for good" }).click();
  await expect(page.getByText("The webhook was deleted.")).toBeVisible();
  expect((await server.api("GET", "/v1/webhooks", undefined, { tenant: "acme" })).data).toEqual([]);
});

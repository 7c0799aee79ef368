// A new signing secret: shown once, and no request in between that the receiver cannot verify.

import { createHmac } from "node:crypto";

import type { Page } from "@playwright/test";

import { sound } from "./support/checks.ts";
import { type Received, verifies } from "./support/receiver.ts";
import type { Profile, Server } from "./support/server.ts";
import { openPortal } from "./support/sign-in.ts";
import { expect, shot, test } from "./support/test.ts";

/** The one signature of the products' profiles: HMAC-SHA256 of the body, in hexadecimal. */
function signs(request: Received, header: string, secret: string): boolean {
  return request.headers[header] === `sha256=${createHmac("sha256", secret).update(request.body).digest("hex")}`;
}

/** Makes the new secret on the page that is open, and gives it. */
async function rotate(page: Page): Promise<string> {
  await page.getByRole("link", { name: "Rotate secret" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Rotate the secret" })).toBeVisible();
  await sound(page);
  await page.getByRole("button", { name: "Make the new secret" }).click();
  const shown = page.getByRole("region", { name: "Signing secret" });
  await expect(shown).not.toBeEmpty();
  await sound(page);
  const secret = (await shown.innerText()).trim();
  expect(secret.length).toBeGreaterThanOrEqual(24);
  return secret;
}

/** Wherever somebody looks for it afterwards, it is not. */
async function isForgotten(page: Page, server: Server, webhook: string, secret: string): Promise<void> {
  // The browser sends the form again.
  await page.reload();
  expect(await page.content()).not.toContain(secret);
  for (const at of ["", "/secret", "/edit", "/verify"]) {
    await page.goto(`${server.url}/portal/webhooks/${webhook}${at}`);
    expect(await page.content(), at).not.toContain(secret);
  }
  await page.goto(`${server.url}/portal/webhooks/${webhook}`);
}

test("where a list is carried, both secrets sign for a while", async ({ page, server, receiver }) => {
  await server.tenant("acme");
  const webhook = await server.webhook("acme", receiver.url(), ["*"], { name: "Orders" });
  await server.publish("acme", "order.created", { id: 1 });
  await receiver.got(1);

  await openPortal(page, server, "acme", "admin");
  await page.getByRole("main").getByRole("link", { name: "Orders" }).click();
  const secret = await rotate(page);
  await shot(page, "rotate-secret-new");
  expect(secret).not.toBe(webhook.secret);
  await isForgotten(page, server, webhook.id, secret);

  await server.publish("acme", "order.created", { id: 2 });
  const [before, after] = await receiver.got(2);
  expect([verifies(before!, webhook.secret), verifies(before!, secret)]).toEqual([true, false]);
  expect([verifies(after!, webhook.secret), verifies(after!, secret)]).toEqual([true, true]);
});

const ONE_SIGNATURE: { profile: Profile; header: string; type: string; data: unknown }[] = [
  { profile: "smartmaintenance", header: "x-smtm-signature", type: "task.assigned", data: { task_id: 1 } },
];
for (const { profile, header, type, data } of ONE_SIGNATURE) {
  test(`where one signature is carried, the new secret waits until it is confirmed: ${profile}`, async ({ page, server, receiver }) => {
    await server.tenant("acme", profile, { attributes: { company_id: 17 } });
    const old = "an-old-secret-of-more-than-24-bytes";
    const webhook = await server.webhook("acme", receiver.url(), ["*"], { name: "Tasks", secret: old });
    await openPortal(page, server, "acme", "admin");
    await page.getByRole("main").getByRole("link", { name: "Tasks" }).click();
    const secret = await rotate(page);
    await isForgotten(page, server, webhook.id, secret);

    await server.publish("acme", type, data);
    const [meanwhile] = await receiver.got(1);
    expect([signs(meanwhile!, header, old), signs(meanwhile!, header, secret)]).toEqual([true, false]);

    await page.getByRole("link", { name: "Rotate secret" }).click();
    await expect(page.getByText("A new secret waits.")).toBeVisible();
    await sound(page);
    await shot(page, "rotate-secret-waits");
    await page.getByRole("button", { name: "The receiver has it: use it now" }).click();
    await expect(page.getByText("The new secret signs from now on.")).toBeVisible();
    await server.publish("acme", type, data);
    const [, after] = await receiver.got(2);
    expect([signs(after!, header, old), signs(after!, header, secret)]).toEqual([false, true]);
  });
}
